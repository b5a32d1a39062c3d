/* Growing bytes with a maximum. A buf that would pass its maximum, or finds no memory, keeps what it
 * has, refuses all further writes and says so in `failed`: write a whole message, then ask once.
 * Readers take bytes from a `struct reader`, which fails the same way: once, and for good.
 */
#ifndef DOORSTEP_BASE_BUF_H
#define DOORSTEP_BASE_BUF_H

#include <stdarg.h>
#include <stdint.h>

#include "platform/base/err.h"
#include "platform/base/str.h"

struct buf {
    char *p; /* ends in NUL once anything was written; the NUL is not counted */
    size_t n;
    size_t room;
    size_t n_max;
    enum err failed; /* ERR_OK, ERR_LIMIT or ERR_NOMEM */
};

void buf_init(struct buf *b, size_t n_max);
void buf_free(struct buf *b);  /* accepts a zeroed buf */
void buf_clear(struct buf *b); /* keeps memory and maximum */
struct str buf_str(const struct buf *b);

void buf_put(struct buf *b, const void *bytes, size_t n);
void buf_put_str(struct buf *b, struct str s);
void buf_put_z(struct buf *b, const char *z);
void buf_put_char(struct buf *b, char c);
void buf_put_i64(struct buf *b, int64_t v);  /* decimal text */
void buf_put_u64(struct buf *b, uint64_t v); /* decimal text */
void buf_put_hex(struct buf *b, const void *bytes, size_t n);
/* For logs, messages and command output; pure folders use the calls above. */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Text escaped for the place it goes to. */
void buf_put_xml_text(struct buf *b, struct str s); /* & < > and CR; drops what XML 1.0 forbids */
void buf_put_xml_attr(struct buf *b, struct str s); /* also quotes, tab, LF */
void buf_put_json(struct buf *b, struct str s);     /* with the quotes; bad UTF-8 becomes U+FFFD */
void buf_put_csv(struct buf *b, struct str s);      /* RFC 4180, quoted only when needed */

/* Little-endian integers and LEB128 variable-length integers, zig-zag for the signed ones. */
void buf_put_u16le(struct buf *b, uint16_t v);
void buf_put_u32le(struct buf *b, uint32_t v);
void buf_put_u64le(struct buf *b, uint64_t v);
void buf_put_uv(struct buf *b, uint64_t v);
void buf_put_sv(struct buf *b, int64_t v);

struct reader {
    const unsigned char *p;
    const unsigned char *end;
    bool failed; /* went past the end, or a malformed integer: all later reads give 0 */
};

struct reader reader_of(struct str s);
size_t reader_left(const struct reader *r);
uint8_t read_u8(struct reader *r);
uint16_t read_u16le(struct reader *r);
uint32_t read_u32le(struct reader *r);
uint64_t read_u64le(struct reader *r);
uint64_t read_uv(struct reader *r); /* at most 10 bytes, shortest form only */
int64_t read_sv(struct reader *r);
struct str read_bytes(struct reader *r, size_t n); /* points into the input */

#endif
