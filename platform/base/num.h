/* Numbers to text and back, the same on every machine and in every locale.
 *
 * num_write gives the shortest decimal that reads back to the same double, without an exponent
 * (XPath 1.0 section 4.2: "NaN", "Infinity", "-Infinity", "0" for both zeros).
 */
#ifndef DOORSTEP_BASE_NUM_H
#define DOORSTEP_BASE_NUM_H

#include "platform/base/buf.h"

#define NUM_TEXT_MAX 352 /* "-0." and 323 zeros and 17 digits */

size_t num_write(double v, char out[static NUM_TEXT_MAX]); /* bytes written, no NUL */
/* Optional sign '-', digits, optional fraction; correctly rounded. False for anything else, "" included. */
bool num_read(struct str s, double *out);
/* As num_read, and also an exponent: for JSON and GeoJSON. */
bool num_read_exp(struct str s, double *out);

/* e^v and the natural logarithm, the same bits on every machine, within four units in the last place. The
 * library's own differ from one machine to the next. num_log wants v > 0; NaN gives NaN. */
double num_exp(double v);
double num_log(double v);

/* Exact decimals: value = coefficient / 10^scale, scale 0..9. */
struct dec {
    int64_t coefficient;
    uint8_t scale;
};
bool dec_read(struct str s, struct dec *out);              /* false when it is not one or does not fit */
size_t dec_write(struct dec d, char out[static 24]);       /* no trailing zeros after the point */
bool dec_add(struct dec a, struct dec b, struct dec *out); /* false on overflow */
bool dec_sub(struct dec a, struct dec b, struct dec *out);
bool dec_mul(struct dec a, struct dec b, struct dec *out);
/* False unless the quotient is exact within scale 9. */
bool dec_div(struct dec a, struct dec b, struct dec *out);
int dec_cmp(struct dec a, struct dec b); /* exact, never overflows */
double dec_double(struct dec d);         /* correctly rounded */

#endif
