/* What a browser sends: cookies, and forms as application/x-www-form-urlencoded or multipart/form-data
 * (RFC 7578). Pure: bytes in, fields out, everything capped; nothing is copied that can be pointed at.
 */
#ifndef DOORSTEP_HTTP_FORM_H
#define DOORSTEP_HTTP_FORM_H

#include "platform/base/arena.h"
#include "platform/base/str.h"

#define HTTP_FIELDS_MAX 2000    /* a page of 50 rows with their boxes has a tenth of it */
#define HTTP_FIELD_NAME_MAX 200 /* bytes */
#define HTTP_PART_HEAD_MAX 4096 /* bytes of one part's headers */
#define HTTP_BOUNDARY_MAX 70    /* RFC 2046 */

struct http_field {
    struct str name, value;
    struct str file_name; /* p NULL = not a file; its last part only, whatever path was sent */
    struct str type;      /* of a file; "" when not said */
};
struct http_form {
    struct http_field *at;
    uint32_t count;
};

/* `type` is the request's Content-Type. A body of another type, or none, has no fields: ERR_OK. ERR_SYNTAX:
 * not what it claims to be. ERR_LIMIT. The fields point into `body` and `a`. */
enum err http_form_read(struct arena *a, struct str type, struct str body, struct http_form *out,
                        struct diag *d) MUST_USE;
/* The first of this name; p NULL when there is none. */
struct str http_form_get(const struct http_form *f, const char *name);
/* NULL when there is none, or the field is no file. */
const struct http_field *http_form_file(const struct http_form *f, const char *name);

/* From the value of a Cookie header; p NULL when absent. */
struct str http_cookie(struct str header, const char *name);

/* '+' is a space; a '%' without two digits stands for itself. p NULL: out of memory. */
struct str http_decode(struct arena *a, struct str s);
/* For addresses: everything but letters, digits and -._~ is escaped; '/' is kept. */
struct buf;
void http_encode(struct buf *b, struct str s);

#endif
