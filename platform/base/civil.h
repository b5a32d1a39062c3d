/* Civil dates and times without the C library's hidden state.
 *
 * A date is a day number (days since 1970-01-01, proleptic Gregorian); an instant is milliseconds
 * since 1970-01-01T00:00Z. A zone is data handed in (parsed TZif bytes or a fixed offset), so that tests
 * and replays do not depend on the machine. Reads ISO 8601 as XForms write it.
 */
#ifndef DOORSTEP_BASE_CIVIL_H
#define DOORSTEP_BASE_CIVIL_H

#include "platform/base/arena.h"

struct civil {
    int32_t year; /* 1..9999 on input */
    uint8_t month, day, hour, minute, second;
    uint16_t ms;
    int16_t offset_min; /* east of UTC */
    bool has_date, has_time, has_offset;
};

int64_t civil_days(int32_t year, uint8_t month, uint8_t day); /* any month 1..12, day 1..31 */
void civil_from_days(int64_t days, int32_t *year, uint8_t *month, uint8_t *day);
bool civil_valid_date(int32_t year, uint8_t month, uint8_t day);
uint8_t civil_weekday(int64_t days); /* 0 = Sunday */

struct zone; /* transitions of one time zone */
/* From the bytes of a TZif file (RFC 8536, versions 1 to 4; the footer rule is applied after the last
 * transition). The zone lives in `a`. */
enum err zone_read(struct arena *a, struct str tzif, const struct zone **zone_out, struct diag *d) MUST_USE;
const struct zone *zone_utc(void);
enum err zone_fixed(struct arena *a, int16_t offset_min, const struct zone **zone_out) MUST_USE;
int16_t zone_offset_min(const struct zone *z, int64_t instant_ms);
/* Offset that local wall time has; in a gap or overlap the offset before the change is taken. */
int16_t zone_offset_local(const struct zone *z, int64_t local_ms);

/* "YYYY-MM-DD", one-digit month and day allowed. */
bool civil_read_date(struct str s, struct civil *out);
/* "HH:MM[:SS[.fff]][Z|±HH[:MM]]". */
bool civil_read_time(struct str s, struct civil *out);
/* date [ 'T' time ]. */
bool civil_read(struct str s, struct civil *out);
/* The instant; `z` gives the offset where the text has none. Needs has_date. */
int64_t civil_instant_ms(const struct civil *c, const struct zone *z);
struct civil civil_at(int64_t instant_ms, const struct zone *z);

size_t civil_write_date(int64_t days, char out[static 16]);     /* YYYY-MM-DD */
size_t civil_write(const struct civil *c, char out[static 40]); /* YYYY-MM-DDTHH:MM:SS.sss±HH:MM */

#endif
