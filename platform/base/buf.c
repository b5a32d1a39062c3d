/* Growing bytes, escapes, and the integers of the wire.
 *
 * Always true: after any call p[n] is NUL (once p exists), n <= n_max, and a failed buf or reader stays
 * failed until it is cleared or made anew. */
#include "platform/base/buf.h"

#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t n_max)
{
    *b = (struct buf){.n_max = n_max};
}

void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.n_max = b->n_max};
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->failed = ERR_OK;
    if (b->p)
        b->p[0] = '\0';
}

struct str buf_str(const struct buf *b)
{
    return (struct str){b->p ? b->p : "", b->n};
}

/* Room for n more bytes and the NUL. */
static bool buf_reserve(struct buf *b, size_t n)
{
    if (b->failed)
        return false;
    if (n > b->n_max - b->n || b->n + n == SIZE_MAX) {
        b->failed = ERR_LIMIT;
        return false;
    }
    size_t need = b->n + n + 1;
    if (need <= b->room)
        return true;
    size_t room = b->room < 64 ? 64 : b->room <= SIZE_MAX / 2 ? b->room * 2 : need;
    if (room > b->n_max && room - 1 > b->n_max)
        room = b->n_max + 1;
    if (room < need)
        room = need;
    char *p = realloc(b->p, room);
    if (!p) {
        b->failed = ERR_NOMEM;
        return false;
    }
    b->p = p;
    b->room = room;
    return true;
}

void buf_put(struct buf *b, const void *bytes, size_t n)
{
    if (!buf_reserve(b, n))
        return;
    if (n)
        memcpy(b->p + b->n, bytes, n);
    b->n += n;
    b->p[b->n] = '\0';
}

void buf_put_str(struct buf *b, struct str s)
{
    buf_put(b, s.p, s.n);
}

void buf_put_z(struct buf *b, const char *z)
{
    buf_put(b, z, strlen(z));
}

void buf_put_char(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}

void buf_put_u64(struct buf *b, uint64_t v)
{
    char text[20];
    size_t at = sizeof text;
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    buf_put(b, text + at, sizeof text - at);
}

void buf_put_i64(struct buf *b, int64_t v)
{
    if (v < 0)
        buf_put_char(b, '-');
    buf_put_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void buf_put_hex(struct buf *b, const void *bytes, size_t n)
{
    if (n > (SIZE_MAX - 1) / 2) {
        b->failed = b->failed ? b->failed : ERR_LIMIT;
        return;
    }
    if (!buf_reserve(b, 2 * n))
        return;
    hex_write(bytes, n, b->p + b->n);
    b->n += 2 * n;
    b->p[b->n] = '\0';
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    CHECK(n >= 0);
    if (buf_reserve(b, (size_t)n)) {
        (void)vsnprintf(b->p + b->n, (size_t)n + 1, format, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

/* Bytes that no escape changes: printable ASCII without " & ' < > and the backslash. */
static bool plain(unsigned char c)
{
    static const uint64_t set[4] = {0xAFFFFF3B00000000u, 0x7FFFFFFFEFFFFFFFu, 0, 0};
    return set[c >> 6] >> (c & 63) & 1;
}

/* Copies s, asking `escape` for each code point that is not plain: NULL = as it is, "" = dropped. Whole runs
 * are put at once. Bad UTF-8 becomes U+FFFD. */
static void put_escaped(struct buf *b, struct str s,
                        const char *(*escape)(uint32_t c, char scratch[static 8]))
{
    const char *run = s.p;
    while (s.n > 0) {
        const char *at = s.p;
        if (plain((unsigned char)*at)) {
            s.p++;
            s.n--;
            continue;
        }
        uint32_t c = utf8_next(&s);
        char scratch[8];
        const char *instead = escape(c, scratch);
        if (!instead && c == 0xFFFD && s.p - at == 1)
            instead = "\xEF\xBF\xBD";
        if (!instead)
            continue;
        buf_put(b, run, (size_t)(at - run));
        buf_put_z(b, instead);
        run = s.p;
    }
    buf_put(b, run, (size_t)(s.p - run));
}

static const char *escape_xml_text(uint32_t c, char scratch[static 8])
{
    (void)scratch;
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '\r': return "&#13;";
    case '\t':
    case '\n': return NULL;
    default: return c < 0x20 || c == 0xFFFE || c == 0xFFFF ? "" : NULL;
    }
}

static const char *escape_xml_attr(uint32_t c, char scratch[static 8])
{
    switch (c) {
    case '"': return "&quot;";
    case '\'': return "&#39;";
    case '\t': return "&#9;";
    case '\n': return "&#10;";
    default: return escape_xml_text(c, scratch);
    }
}

static const char *escape_json(uint32_t c, char scratch[static 8])
{
    switch (c) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    default: break;
    }
    if (c >= 0x20 && c != 0x7F)
        return NULL;
    unsigned char byte = (unsigned char)c;
    memcpy(scratch, "\\u00", 4);
    hex_write(&byte, 1, scratch + 4);
    scratch[6] = '\0';
    return scratch;
}

void buf_put_xml_text(struct buf *b, struct str s)
{
    put_escaped(b, s, escape_xml_text);
}

void buf_put_xml_attr(struct buf *b, struct str s)
{
    put_escaped(b, s, escape_xml_attr);
}

void buf_put_json(struct buf *b, struct str s)
{
    buf_put_char(b, '"');
    put_escaped(b, s, escape_json);
    buf_put_char(b, '"');
}

void buf_put_csv(struct buf *b, struct str s)
{
    bool quote = false;
    for (size_t i = 0; i < s.n && !quote; i++)
        quote = s.p[i] == ',' || s.p[i] == '"' || s.p[i] == '\r' || s.p[i] == '\n';
    if (!quote) {
        buf_put_str(b, s);
        return;
    }
    buf_put_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            buf_put_char(b, '"');
        buf_put_char(b, s.p[i]);
    }
    buf_put_char(b, '"');
}

static void put_le(struct buf *b, uint64_t v, size_t n)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(v >> (8 * i));
    buf_put(b, bytes, n);
}

void buf_put_u16le(struct buf *b, uint16_t v)
{
    put_le(b, v, 2);
}

void buf_put_u32le(struct buf *b, uint32_t v)
{
    put_le(b, v, 4);
}

void buf_put_u64le(struct buf *b, uint64_t v)
{
    put_le(b, v, 8);
}

void buf_put_uv(struct buf *b, uint64_t v)
{
    unsigned char bytes[10];
    size_t n = 0;
    while (v >= 0x80) {
        bytes[n++] = (unsigned char)(v | 0x80);
        v >>= 7;
    }
    bytes[n++] = (unsigned char)v;
    buf_put(b, bytes, n);
}

void buf_put_sv(struct buf *b, int64_t v)
{
    buf_put_uv(b, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

struct reader reader_of(struct str s)
{
    static const unsigned char none[1];
    const unsigned char *p = s.p ? (const unsigned char *)s.p : none;
    return (struct reader){p, p + s.n, false};
}

size_t reader_left(const struct reader *r)
{
    return r->failed ? 0 : (size_t)(r->end - r->p);
}

static uint64_t read_le(struct reader *r, size_t n)
{
    if (reader_left(r) < n) {
        r->failed = true;
        return 0;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)r->p[i] << (8 * i);
    r->p += n;
    return v;
}

uint8_t read_u8(struct reader *r)
{
    return (uint8_t)read_le(r, 1);
}

uint16_t read_u16le(struct reader *r)
{
    return (uint16_t)read_le(r, 2);
}

uint32_t read_u32le(struct reader *r)
{
    return (uint32_t)read_le(r, 4);
}

uint64_t read_u64le(struct reader *r)
{
    return read_le(r, 8);
}

/* One spelling per number: a longer one would let two different frames carry the same content. */
uint64_t read_uv(struct reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = read_u8(r);
        if (r->failed)
            return 0;
        if (shift == 63 && byte > 1)
            break;
        v |= (uint64_t)(byte & 0x7F) << shift;
        if (byte & 0x80)
            continue;
        if (byte == 0 && shift > 0)
            break;
        return v;
    }
    r->failed = true;
    return 0;
}

int64_t read_sv(struct reader *r)
{
    uint64_t v = read_uv(r);
    uint64_t half = v >> 1;
    return v & 1 ? -(int64_t)half - 1 : (int64_t)half;
}

struct str read_bytes(struct reader *r, size_t n)
{
    if (reader_left(r) < n) {
        r->failed = true;
        return STR_NONE;
    }
    struct str s = {(const char *)r->p, n};
    r->p += n;
    return s;
}
