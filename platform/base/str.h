/* Text as (pointer, length). A `struct str` owns nothing and need not end in NUL; it belongs to
 * whatever it points into. Bytes are UTF-8 by convention and may be anything by accident.
 * No function here depends on the locale.
 */
#ifndef DOORSTEP_BASE_STR_H
#define DOORSTEP_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "platform/base/err.h"

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_NONE ((struct str){NULL, 0})
#define STR_ARG(s) (int)(s).n, (s).p /* for printf's %.*s */

static inline struct str str_of(const char *z)
{
    return (struct str){z, z ? strlen(z) : 0};
}

bool str_eq(struct str a, struct str b);
bool str_eq_z(struct str a, const char *z);
bool str_eq_nocase(struct str a, struct str b); /* ASCII letters only */
int str_cmp(struct str a, struct str b);        /* bytewise, shorter first */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
ptrdiff_t str_find(struct str s, struct str needle);     /* byte offset, or -1 */
struct str str_sub(struct str s, size_t from, size_t n); /* clamped */
struct str str_trim(struct str s);                       /* XML white space: space, tab, CR, LF */

/* Takes the next token up to `separator` off the front of *rest; "a,,b," gives "a", "", "b", "". False when
 * nothing is left, which is then *rest with p NULL. */
bool str_split(struct str *rest, char separator, struct str *token_out);
/* The next run of non-white-space, for lists such as select-multiple values. */
bool str_word(struct str *rest, struct str *word_out);

/* Whole-string numbers; false when anything is left over or it does not fit. No signs but '-', no spaces. */
bool str_to_i64(struct str s, int64_t *out);
bool str_to_u64(struct str s, uint64_t *out);

/* 64 bits for hash tables inside a process: not the same elsewhere, never for identity. */
uint64_t str_hash(struct str s);

/* UTF-8. */
size_t utf8_length(struct str s);                     /* code points; a bad byte counts as one */
size_t utf8_offset(struct str s, size_t code_points); /* byte offset of that code point, clamped */
bool utf8_valid(struct str s);                        /* well-formed, no surrogates, no NUL */
size_t utf8_put(uint32_t code_point, char out[static 4]);
uint32_t utf8_next(
    struct str *rest); /* takes one code point; U+FFFD for a bad byte; rest must not be empty */

/* Hexadecimal: written in lower case, read in either. */
void hex_write(const void *bytes, size_t n, char *out /* 2n */);
bool hex_read(struct str s, void *out, size_t n); /* exactly 2n digits; `out` untouched when false */

/* Base 64 of RFC 4648 section 4, padded. Read with either alphabet, with or without padding; spaces and line
 * ends are skipped. */
#define BASE64_SIZE(n) (((n) + 2) / 3 * 4)
size_t base64_write(const void *bytes, size_t n, char *out /* BASE64_SIZE(n) */);
bool base64_read(struct str s, void *out /* s.n bytes are always enough */, size_t *n_out);

/* Crockford base 32 for codes that people type: no I, L, O, U; reads either case, i and l as 1, o as 0, and
 * skips hyphens and spaces. Written with exactly `digits` digits, the lowest 5 bits last. */
void base32_write(uint64_t v, size_t digits, char *out);
bool base32_read(struct str s,
                 uint64_t *out); /* false for other letters, no digit at all, or more than 64 bits */

#endif
