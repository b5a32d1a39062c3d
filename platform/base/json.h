/* JSON in and out: a thin skin over cJSON that caps depth and size, keeps exact integers, and gives
 * a sentence with line and column when the text is wrong. Writing goes through buf (buf_put_json).
 */
#ifndef DOORSTEP_BASE_JSON_H
#define DOORSTEP_BASE_JSON_H

#include "platform/base/arena.h"
#include "platform/base/buf.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* A read-only tree in an arena. Members keep their order; names may repeat (the first one is found). */
struct json {
    enum json_type type;
    bool boolean;
    double number;
    struct str text; /* STRING: the value; NUMBER: its text as written */
    struct str name; /* inside an object */
    uint32_t line;
    uint32_t count;           /* of children */
    const struct json *child; /* first of ARRAY or OBJECT */
    const struct json *next;
};

#define JSON_DEPTH_MAX 64
#define JSON_TEXT_MAX (64u << 20) /* a list of every point in a county is far smaller */

/* Strict JSON in UTF-8, a leading byte order mark allowed. Refused besides what is malformed: more than
 * JSON_DEPTH_MAX levels, "\u0000" in a string. The tree does not point into `text`. */
enum err json_read(struct arena *a, struct str text, const struct json **json_out, struct diag *d) MUST_USE;
/* NULL when absent, or object NULL. */
const struct json *json_get(const struct json *object, const char *name);
const struct json *json_at(const struct json *array, uint32_t index);
struct str json_text(const struct json *object, const char *name); /* "" (p NULL) when absent or no string */
/* Exact over the whole int64 range, because it reads the number's own text; "1.0" and "1e3" are whole. */
bool json_i64(const struct json *object, const char *name, int64_t *out);
bool json_bool(const struct json *object, const char *name); /* false when absent */

#endif
