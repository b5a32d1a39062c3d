/* The shapes of values. Each has a writer that recognises it and a reader that spells it out again; a writer
 * may guess generously, because what it wrote is read back at once and must give the same bytes, else the
 * value goes as text.
 *
 * Always true: the reader never makes more than a few bytes of text per byte of input, except by a reference
 * to a text that it holds already. */
#include "sync/batch_value.h"

#include "platform/base/civil.h"
#include "sync/batch.h"

enum value_tag {
    /* 0..99: the whole number itself */
    TAG_EMPTY = 100,
    TAG_INT = 101,      /* ..108: whole number in 1..8 bytes; one byte counts from 100, two from 356 */
    TAG_NEGATIVE = 109, /* uv of -n - 1 */
    TAG_DEC = 110, /* ..125: 4 x scale-1 + width-1: coefficient in 1..4 bytes, 1..4 digits after the point */
    TAG_DEC_ANY = 126,    /* scale u8, sv coefficient */
    TAG_DIGITS = 127,     /* uv count of leading zeros, uv number */
    TAG_DATE_NEAR = 128,  /* one signed byte: days from the change's own day */
    TAG_DATE = 129,       /* u16: days since 1900-01-01 */
    TAG_DATE_ANY = 130,   /* sv days since 1970-01-01 */
    TAG_INSTANT_MS = 131, /* sv seconds from the change's clock, uv milliseconds, uv zone */
    TAG_INSTANT = 132,    /* sv seconds, uv zone */
    TAG_TIME_MS = 133,    /* uv milliseconds of the day, uv zone */
    TAG_TIME = 134,       /* uv minutes of the day */
    TAG_UUID_ROW = 135,   /* "uuid:" and the bytes of the row's own id */
    TAG_UUID = 136,       /* "uuid:" and 16 bytes */
    TAG_UUID_BARE = 137,
    TAG_HEX = 138,          /* uv size, bytes: lower-case hexadecimal */
    TAG_LIST = 139,         /* uv count, then a tag and a body for each word between single spaces */
    TAG_BACK = 140,         /* uv place among the longer values met before */
    TAG_TEXT = 141,         /* uv size, bytes */
    TAG_INSTANT_SAME = 142, /* as 132 and 131, in the zone of the instant before */
    TAG_INSTANT_MS_SAME = 143,
    TAG_BACK_NEAR = 144,  /* ..183: place 0..39 */
    TAG_TEXT_SHORT = 184, /* ..215: 1..32 bytes */
    TAG_WORD = 216,       /* ..253: a word of the table below */
    TAG_UUID_OWN = 254,   /* "uuid:" and the id of a row of the author's: sv counter from the one before */
    TAG_CHECK = 255,      /* "h" and hexadecimal digits: VISIT_CHECK_BYTES bytes */
};
#define INT_SMALL 100
#define INT_FROM_2 (100 + 256)
#define BACK_NEAR_COUNT 40
#define TEXT_SHORT_MAX 32
#define LIST_MAX 255
#define SHARED_BODY_MIN 3 /* from this size on a repetition is shorter as a reference */
#define DAY_1900 (-25567)

/* Words that forms and findings use again and again. Places are for ever. */
static const char *const words[38] = {
    "yes",      "no",       "true",      "false", "OK",     "other",  "none",    "male",
    "female",   "unknown",  "hit",       "red",   "yellow", "blue",   "zh",      "en",
    "never",    "rarely",   "sometimes", "often", "always", "single", "married", "divorced",
    "widowed",  "rural",    "urban",     "own",   "rent",   "dk",     "refused", "option_a",
    "option_b", "option_c", "option_d",  "a",     "b",      "c",
};

void value_coder_init(struct value_coder *c, struct arena *a)
{
    *c = (struct value_coder){.arena = a};
    map_init(&c->index, a);
}

static int64_t day_of(int64_t seconds)
{
    return seconds / 86400 - (seconds % 86400 < 0);
}

static void put_le(struct buf *b, uint64_t v, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        buf_put_char(b, (char)(v >> (8 * i)));
}

static uint64_t get_le(struct reader *r, unsigned width)
{
    struct str bytes = read_bytes(r, width);
    uint64_t v = 0;
    for (unsigned i = 0; i < width && !r->failed; i++)
        v |= (uint64_t)(unsigned char)bytes.p[i] << (8 * i);
    return v;
}

static unsigned width_of(uint64_t v)
{
    unsigned width = 1;
    while (width < 8 && v >> (8 * width))
        width++;
    return width;
}

/* --- spelling out
 * ------------------------------------------------------------------------------------------- */

/* Short texts are put together here; nothing that comes from an integer is longer. */
struct scratch {
    char p[80];
    size_t n;
};

static void add_char(struct scratch *s, char c)
{
    CHECK(s->n < sizeof(s->p));
    s->p[s->n++] = c;
}

static void add_digits(struct scratch *s, uint64_t v, unsigned width_min)
{
    char digits[20];
    unsigned n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    for (unsigned i = n; i < width_min; i++)
        add_char(s, '0');
    while (n)
        add_char(s, digits[--n]);
}

static void add_decimal(struct scratch *s, int64_t coefficient, unsigned scale)
{
    static const uint64_t power[19] = {1,
                                       10,
                                       100,
                                       1000,
                                       10000,
                                       100000,
                                       1000000,
                                       10000000,
                                       100000000,
                                       1000000000,
                                       10000000000,
                                       100000000000,
                                       1000000000000,
                                       10000000000000,
                                       100000000000000,
                                       1000000000000000,
                                       10000000000000000,
                                       100000000000000000,
                                       1000000000000000000};
    uint64_t v = coefficient < 0 ? 0 - (uint64_t)coefficient : (uint64_t)coefficient;
    if (coefficient < 0)
        add_char(s, '-');
    add_digits(s, v / power[scale], 1);
    add_char(s, '.');
    add_digits(s, v % power[scale], scale);
}

static bool add_date(struct scratch *s, int64_t days)
{
    if (days < civil_days(1, 1, 1) || days > civil_days(9999, 12, 31))
        return false;
    int32_t year;
    uint8_t month, day;
    civil_from_days(days, &year, &month, &day);
    add_digits(s, (uint64_t)year, 4);
    add_char(s, '-');
    add_digits(s, month, 2);
    add_char(s, '-');
    add_digits(s, day, 2);
    return true;
}

static void add_clock(struct scratch *s, uint64_t seconds)
{
    add_digits(s, seconds / 3600, 2);
    add_char(s, ':');
    add_digits(s, seconds / 60 % 60, 2);
    add_char(s, ':');
    add_digits(s, seconds % 60, 2);
}

/* A zone is 0 for "Z", else 1 + zig-zag of quarters of an hour east. */
#define ZONE_QUARTERS_MAX 56

static bool zone_quarters(uint64_t zone, int64_t *out)
{
    uint64_t zigzag = zone - 1;
    *out = zone ? (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1) : 0;
    return *out >= -ZONE_QUARTERS_MAX && *out <= ZONE_QUARTERS_MAX;
}

static void add_zone(struct scratch *s, uint64_t zone, int64_t quarters)
{
    if (!zone) {
        add_char(s, 'Z');
        return;
    }
    uint64_t minutes = (uint64_t)(quarters < 0 ? -quarters : quarters) * 15;
    add_char(s, quarters < 0 ? '-' : '+');
    add_digits(s, minutes / 60, 2);
    add_char(s, ':');
    add_digits(s, minutes % 60, 2);
}

static bool add_instant(struct scratch *s, int64_t seconds, const uint64_t *ms, uint64_t zone)
{
    int64_t quarters;
    if (!zone_quarters(zone, &quarters) || (ms && *ms > 999) || seconds < -INT64_C(100000000000) ||
        seconds > INT64_C(300000000000))
        return false;
    int64_t local = seconds + quarters * 900;
    int64_t days = day_of(local);
    if (!add_date(s, days))
        return false;
    add_char(s, 'T');
    add_clock(s, (uint64_t)(local - days * 86400));
    if (ms) {
        add_char(s, '.');
        add_digits(s, *ms, 3);
    }
    add_zone(s, zone, quarters);
    return true;
}

static bool add_time_ms(struct scratch *s, uint64_t ms, uint64_t zone)
{
    int64_t quarters;
    if (!zone_quarters(zone, &quarters) || ms >= 86400000)
        return false;
    add_clock(s, ms / 1000);
    add_char(s, '.');
    add_digits(s, ms % 1000, 3);
    add_zone(s, zone, quarters);
    return true;
}

static void add_uuid(struct scratch *s, const char *prefix, const unsigned char *bytes)
{
    static const char hex[] = "0123456789abcdef";
    for (; *prefix; prefix++)
        add_char(s, *prefix);
    for (unsigned i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            add_char(s, '-');
        add_char(s, hex[bytes[i] >> 4]);
        add_char(s, hex[bytes[i] & 15]);
    }
}

/* --- reading
 * ------------------------------------------------------------------------------------------------ */

static bool get_int(uint8_t tag, struct reader *r, struct scratch *s)
{
    unsigned width = tag - TAG_INT + 1u;
    uint64_t v = get_le(r, width);
    v += width == 1 ? INT_SMALL : width == 2 ? INT_FROM_2 : 0;
    add_digits(s, v, 1);
    return v <= INT64_MAX;
}

static bool get_negative(struct reader *r, struct scratch *s)
{
    uint64_t v = read_uv(r);
    add_char(s, '-');
    add_digits(s, v < INT64_MAX ? v + 1 : 0, 1);
    return v < INT64_MAX;
}

static bool get_decimal(uint8_t tag, struct reader *r, struct scratch *s)
{
    if (tag != TAG_DEC_ANY) {
        unsigned place = tag - TAG_DEC;
        add_decimal(s, (int64_t)get_le(r, place % 4 + 1), place / 4 + 1);
        return true;
    }
    unsigned scale = read_u8(r);
    int64_t coefficient = read_sv(r);
    if (!scale || scale > 18)
        return false;
    add_decimal(s, coefficient, scale);
    return true;
}

static bool get_digits(struct reader *r, struct scratch *s)
{
    uint64_t zeros = read_uv(r);
    uint64_t v = read_uv(r);
    if (!zeros || zeros > 40)
        return false;
    for (uint64_t i = 0; i < zeros; i++)
        add_char(s, '0');
    add_digits(s, v, 1);
    return true;
}

static bool get_date(const struct value_coder *c, uint8_t tag, struct reader *r, struct scratch *s)
{
    if (tag == TAG_DATE_NEAR)
        return add_date(s, day_of(c->now_s) + (int8_t)read_u8(r));
    return add_date(s, tag == TAG_DATE ? (int64_t)get_le(r, 2) + DAY_1900 : read_sv(r));
}

static bool get_instant(struct value_coder *c, uint8_t tag, struct reader *r, struct scratch *s)
{
    bool has_ms = tag == TAG_INSTANT_MS || tag == TAG_INSTANT_MS_SAME;
    int64_t offset = read_sv(r);
    uint64_t ms = has_ms ? read_uv(r) : 0;
    if (tag == TAG_INSTANT || tag == TAG_INSTANT_MS)
        c->zone = read_uv(r);
    int64_t seconds = (int64_t)((uint64_t)c->now_s + (uint64_t)offset);
    return add_instant(s, seconds, has_ms ? &ms : NULL, c->zone);
}

static bool get_time(uint8_t tag, struct reader *r, struct scratch *s)
{
    uint64_t v = read_uv(r);
    if (tag == TAG_TIME_MS)
        return add_time_ms(s, v, read_uv(r));
    if (v >= 1440)
        return false;
    add_digits(s, v / 60, 2);
    add_char(s, ':');
    add_digits(s, v % 60, 2);
    return true;
}

static void add_check(struct scratch *s, struct reader *r)
{
    static const char hex[] = "0123456789abcdef";
    struct str bytes = read_bytes(r, VISIT_CHECK_BYTES);
    add_char(s, 'h');
    for (size_t i = 0; i < bytes.n; i++) {
        add_char(s, hex[(unsigned char)bytes.p[i] >> 4]);
        add_char(s, hex[(unsigned char)bytes.p[i] & 15]);
    }
}

static bool get_uuid(struct value_coder *c, uint8_t tag, struct row_id row, struct reader *r,
                     struct scratch *s)
{
    unsigned char id[ROW_ID_SIZE] = {0};
    if (tag == TAG_UUID_OWN) {
        c->author.counter = (uint32_t)((uint64_t)c->author.counter + (uint64_t)read_sv(r));
        row_id_write(c->author, id);
    } else if (tag == TAG_UUID_ROW) {
        row_id_write(row, id);
    } else {
        struct str bytes = read_bytes(r, sizeof(id));
        if (bytes.n == sizeof(id))
            memcpy(id, bytes.p, sizeof(id));
    }
    add_uuid(s, tag == TAG_UUID_BARE ? "" : "uuid:", id);
    return true;
}

/* Everything that is spelled out from a few integers. False: malformed, or another kind of tag. */
static bool get_short(struct value_coder *c, struct row_id row, uint8_t tag, struct reader *r,
                      struct scratch *s)
{
    if (tag < INT_SMALL) {
        add_digits(s, tag, 1);
        return true;
    }
    if (tag == TAG_CHECK) {
        add_check(s, r);
        return true;
    }
    if (tag == TAG_UUID_OWN)
        return get_uuid(c, tag, row, r, s);
    if (tag >= TAG_WORD) {
        for (const char *p = words[tag - TAG_WORD]; *p; p++)
            add_char(s, *p);
        return true;
    }
    if (tag >= TAG_INT && tag < TAG_NEGATIVE)
        return get_int(tag, r, s);
    if (tag >= TAG_DEC && tag <= TAG_DEC_ANY)
        return get_decimal(tag, r, s);
    switch (tag) {
    case TAG_EMPTY: return true;
    case TAG_NEGATIVE: return get_negative(r, s);
    case TAG_DIGITS: return get_digits(r, s);
    case TAG_DATE_NEAR:
    case TAG_DATE:
    case TAG_DATE_ANY: return get_date(c, tag, r, s);
    case TAG_INSTANT_MS:
    case TAG_INSTANT:
    case TAG_INSTANT_SAME:
    case TAG_INSTANT_MS_SAME: return get_instant(c, tag, r, s);
    case TAG_TIME_MS:
    case TAG_TIME: return get_time(tag, r, s);
    case TAG_UUID_ROW:
    case TAG_UUID:
    case TAG_UUID_BARE: return get_uuid(c, tag, row, r, s);
    default: return false;
    }
}

static struct str get_text(uint8_t tag, struct reader *r)
{
    uint64_t n = tag == TAG_TEXT ? read_uv(r) : (uint64_t)tag - TAG_TEXT_SHORT + 1;
    if (n > BATCH_VALUE_MAX)
        r->failed = true;
    return r->failed ? STR("") : read_bytes(r, (size_t)n);
}

static enum err get_hex(struct value_coder *c, struct reader *r, struct str *out)
{
    uint64_t n = read_uv(r);
    if (n > reader_left(r))
        r->failed = true;
    if (r->failed)
        return ERR_OK;
    struct str bytes = read_bytes(r, (size_t)n);
    char *p = ARENA_ARRAY(c->arena, char, bytes.n * 2);
    if (!p)
        return ERR_NOMEM;
    hex_write(bytes.p, bytes.n, p);
    *out = (struct str){p, bytes.n * 2};
    return ERR_OK;
}

static enum err get_list(struct value_coder *c, struct row_id row, struct reader *r, struct str *out)
{
    uint64_t count = read_uv(r);
    if (count < 2 || count > LIST_MAX)
        r->failed = true;
    struct buf text;
    buf_init(&text, BATCH_VALUE_MAX);
    for (uint64_t i = 0; i < count && !r->failed; i++) {
        uint8_t tag = read_u8(r);
        struct scratch s = {.n = 0};
        struct str word;
        if (tag == TAG_TEXT || (tag >= TAG_TEXT_SHORT && tag < TAG_WORD)) {
            word = get_text(tag, r);
        } else {
            if (!get_short(c, row, tag, r, &s))
                r->failed = true;
            word = (struct str){s.p, s.n};
        }
        if (i)
            buf_put_char(&text, ' ');
        buf_put_str(&text, word);
    }
    struct str kept = STR("");
    if (!r->failed && !text.failed)
        kept = arena_str(c->arena, buf_str(&text));
    enum err rc = text.failed == ERR_NOMEM || !kept.p ? ERR_NOMEM : ERR_OK;
    r->failed = r->failed || text.failed == ERR_LIMIT;
    buf_free(&text);
    *out = kept;
    return rc;
}

static enum err get_one(struct value_coder *c, struct row_id row, uint8_t tag, struct reader *r,
                        struct str *out)
{
    if (tag == TAG_BACK || (tag >= TAG_BACK_NEAR && tag < TAG_TEXT_SHORT)) {
        uint64_t place = tag == TAG_BACK ? read_uv(r) : (uint64_t)tag - TAG_BACK_NEAR;
        if (place >= c->texts.count)
            r->failed = true;
        else
            *out = c->texts.at[place];
        return ERR_OK;
    }
    if (tag == TAG_TEXT || (tag >= TAG_TEXT_SHORT && tag < TAG_WORD)) {
        *out = get_text(tag, r);
        return ERR_OK;
    }
    if (tag == TAG_HEX)
        return get_hex(c, r, out);
    if (tag == TAG_LIST)
        return get_list(c, row, r, out);
    struct scratch s = {.n = 0};
    if (!get_short(c, row, tag, r, &s))
        r->failed = true;
    if (r->failed)
        return ERR_OK;
    *out = arena_str(c->arena, (struct str){s.p, s.n});
    return out->p ? ERR_OK : ERR_NOMEM;
}

static enum err remember(struct value_coder *c, struct str value)
{
    struct str *slot = vec_push(c->arena, &c->texts);
    if (!slot)
        return ERR_NOMEM;
    *slot = value;
    return ERR_OK;
}

static bool is_back(uint8_t tag)
{
    return tag == TAG_BACK || (tag >= TAG_BACK_NEAR && tag < TAG_TEXT_SHORT);
}

/* Worth being remembered: short references are few, and a moment or a check does not come again. */
static bool may_recur(uint8_t tag)
{
    return !is_back(tag) && tag != TAG_CHECK && tag != TAG_UUID_OWN && tag != TAG_INSTANT &&
           tag != TAG_INSTANT_MS && tag != TAG_INSTANT_SAME && tag != TAG_INSTANT_MS_SAME;
}

enum err value_get(struct value_coder *c, struct row_id row, uint8_t tag, struct reader *r,
                   struct str *value_out)
{
    struct str value = STR("");
    size_t before = reader_left(r);
    enum err rc = get_one(c, row, tag, r, &value);
    if (!rc && !r->failed && may_recur(tag) && before - reader_left(r) >= SHARED_BODY_MIN)
        rc = remember(c, value);
    if (!rc)
        *value_out = r->failed ? STR("") : value;
    return rc;
}

/* --- writing
 * ------------------------------------------------------------------------------------------------ */

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The number that n characters at p spell; -1 when one of them is no digit. */
static int64_t digits_at(const char *p, size_t n)
{
    int64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        if (!digit(p[i]))
            return -1;
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

static bool put_int(struct str v, uint8_t *tag, struct buf *body)
{
    int64_t n;
    if (v.n > 20 || !str_to_i64(v, &n))
        return false;
    if (n < 0) {
        *tag = TAG_NEGATIVE;
        buf_put_uv(body, (uint64_t) - (n + 1));
        return true;
    }
    if (n < INT_SMALL) {
        *tag = (uint8_t)n;
        return true;
    }
    uint64_t u = (uint64_t)n;
    unsigned width = u < INT_FROM_2 ? 1 : u < INT_FROM_2 + 65536 ? 2 : width_of(u);
    *tag = (uint8_t)(TAG_INT + width - 1);
    put_le(body, width == 1 ? u - INT_SMALL : width == 2 ? u - INT_FROM_2 : u, width);
    return true;
}

static bool put_digits(struct str v, uint8_t *tag, struct buf *body)
{
    size_t zeros = 0;
    while (zeros < v.n && v.p[zeros] == '0')
        zeros++;
    uint64_t n;
    if (zeros && zeros == v.n)
        zeros--;
    if (!zeros || zeros > 40 || !str_to_u64(str_sub(v, zeros, v.n - zeros), &n))
        return false;
    *tag = TAG_DIGITS;
    buf_put_uv(body, zeros);
    buf_put_uv(body, n);
    return true;
}

static bool put_decimal(struct str v, uint8_t *tag, struct buf *body)
{
    ptrdiff_t point = str_find(v, STR("."));
    if (point < 1 || v.n > 20)
        return false;
    size_t scale = v.n - (size_t)point - 1;
    char plain[20];
    memcpy(plain, v.p, (size_t)point);
    memcpy(plain + point, v.p + point + 1, scale);
    bool negative = plain[0] == '-';
    int64_t n = digits_at(plain + negative, v.n - 1 - negative);
    if (n < 0 || !scale || scale > 18 || v.n - 1 - negative > 18)
        return false;
    if (negative || scale > 4 || (uint64_t)n >> 32) {
        *tag = TAG_DEC_ANY;
        buf_put_char(body, (char)scale);
        buf_put_sv(body, negative ? -n : n);
        return true;
    }
    unsigned width = width_of((uint64_t)n);
    *tag = (uint8_t)(TAG_DEC + 4 * (scale - 1) + width - 1);
    put_le(body, (uint64_t)n, width);
    return true;
}

static bool read_date(struct str v, int64_t *days)
{
    if (v.n < 10 || v.p[4] != '-' || v.p[7] != '-')
        return false;
    int64_t y = digits_at(v.p, 4), m = digits_at(v.p + 5, 2), d = digits_at(v.p + 8, 2);
    if (y < 1 || m < 1 || m > 12 || d < 1 || d > 31)
        return false;
    *days = civil_days((int32_t)y, (uint8_t)m, (uint8_t)d);
    return true;
}

static bool put_date(const struct value_coder *c, struct str v, uint8_t *tag, struct buf *body)
{
    int64_t days;
    if (v.n != 10 || !read_date(v, &days))
        return false;
    int64_t near = days - day_of(c->now_s);
    int64_t since_1900 = days - DAY_1900;
    if (near >= -128 && near <= 127) {
        *tag = TAG_DATE_NEAR;
        buf_put_char(body, (char)near);
    } else if (since_1900 >= 0 && since_1900 < 65536) {
        *tag = TAG_DATE;
        put_le(body, (uint64_t)since_1900, 2);
    } else {
        *tag = TAG_DATE_ANY;
        buf_put_sv(body, days);
    }
    return true;
}

static bool read_clock(const char *p, int64_t *seconds)
{
    int64_t h = digits_at(p, 2), m = digits_at(p + 3, 2), s = digits_at(p + 6, 2);
    if (h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 59 || p[2] != ':' || p[5] != ':')
        return false;
    *seconds = h * 3600 + m * 60 + s;
    return true;
}

/* "Z" or "+HH:MM"; quarters of an hour only. */
static bool read_zone(struct str v, uint64_t *zone, int64_t *quarters)
{
    *quarters = 0;
    *zone = 0;
    if (v.n == 1 && v.p[0] == 'Z')
        return true;
    if (v.n != 6 || v.p[3] != ':' || (v.p[0] != '+' && v.p[0] != '-'))
        return false;
    int64_t h = digits_at(v.p + 1, 2), m = digits_at(v.p + 4, 2);
    int64_t q = (h * 60 + m) / 15;
    if (h < 0 || m < 0 || m > 59 || m % 15 || q > ZONE_QUARTERS_MAX)
        return false;
    *quarters = v.p[0] == '-' ? -q : q;
    *zone = 1 + ((uint64_t)(*quarters * 2) ^ (*quarters < 0 ? UINT64_MAX : 0));
    return true;
}

/* [".mmm"] and a zone, the end of an instant or a time of day. */
static bool read_tail(struct str v, int64_t *ms, uint64_t *zone, int64_t *quarters)
{
    *ms = -1;
    if (v.n > 4 && v.p[0] == '.') {
        *ms = digits_at(v.p + 1, 3);
        if (*ms < 0)
            return false;
        v = str_sub(v, 4, v.n - 4);
    }
    return read_zone(v, zone, quarters);
}

static bool put_instant(const struct value_coder *c, struct str v, uint8_t *tag, struct buf *body)
{
    int64_t days, seconds, ms, quarters;
    uint64_t zone;
    if (v.n < 20 || v.n > 29 || v.p[10] != 'T' || !read_date(v, &days) || !read_clock(v.p + 11, &seconds) ||
        !read_tail(str_sub(v, 19, v.n - 19), &ms, &zone, &quarters))
        return false;
    bool same = zone == c->zone;
    *tag = ms < 0 ? (same ? TAG_INSTANT_SAME : TAG_INSTANT) : same ? TAG_INSTANT_MS_SAME : TAG_INSTANT_MS;
    buf_put_sv(body, (int64_t)((uint64_t)(days * 86400 + seconds - quarters * 900) - (uint64_t)c->now_s));
    if (ms >= 0)
        buf_put_uv(body, (uint64_t)ms);
    if (!same)
        buf_put_uv(body, zone);
    return true;
}

static bool put_time(struct str v, uint8_t *tag, struct buf *body)
{
    int64_t seconds, ms, quarters;
    uint64_t zone;
    if (v.n == 5 && v.p[2] == ':') {
        int64_t h = digits_at(v.p, 2), m = digits_at(v.p + 3, 2);
        if (h < 0 || h > 23 || m < 0 || m > 59)
            return false;
        *tag = TAG_TIME;
        buf_put_uv(body, (uint64_t)(h * 60 + m));
        return true;
    }
    if (v.n < 13 || v.n > 18 || !read_clock(v.p, &seconds) ||
        !read_tail(str_sub(v, 8, v.n - 8), &ms, &zone, &quarters) || ms < 0)
        return false;
    *tag = TAG_TIME_MS;
    buf_put_uv(body, (uint64_t)(seconds * 1000 + ms));
    buf_put_uv(body, zone);
    return true;
}

static bool put_uuid(struct value_coder *c, struct row_id row, struct str v, uint8_t *tag, struct buf *body)
{
    bool bare = v.n == 36;
    if (!bare && !(v.n == 41 && str_starts(v, STR("uuid:"))))
        return false;
    const char *p = v.p + v.n - 36;
    char digits[32];
    size_t n = 0;
    for (size_t i = 0; i < 36; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen && p[i] != '-')
            return false;
        if (!hyphen)
            digits[n++] = p[i];
    }
    unsigned char id[16], own[ROW_ID_SIZE];
    if (!hex_read((struct str){digits, 32}, id, sizeof(id)))
        return false;
    row_id_write(row, own);
    if (!bare && memcmp(own, id, sizeof(own)) == 0) {
        *tag = TAG_UUID_ROW;
        return true;
    }
    struct row_id named;
    if (!bare && row_id_read((struct str){(const char *)id, sizeof(id)}, &named) && c->author.device &&
        named.device == c->author.device && named.inc == c->author.inc) {
        *tag = TAG_UUID_OWN;
        buf_put_sv(body, (int64_t)named.counter - c->author.counter);
        return true;
    }
    *tag = bare ? TAG_UUID_BARE : TAG_UUID;
    buf_put(body, id, sizeof(id));
    return true;
}

#define HEX_MIN 8

static bool put_hex(struct str v, uint8_t *tag, struct buf *body)
{
    if (v.n < HEX_MIN || v.n % 2)
        return false;
    for (size_t i = 0; i < v.n; i++)
        if (!digit(v.p[i]) && !(v.p[i] >= 'a' && v.p[i] <= 'f'))
            return false;
    *tag = TAG_HEX;
    buf_put_uv(body, v.n / 2);
    for (size_t i = 0; i < v.n; i += 2) {
        unsigned char byte = 0;
        CHECK(hex_read(str_sub(v, i, 2), &byte, 1));
        buf_put_char(body, (char)byte);
    }
    return true;
}

static bool put_word(struct str v, uint8_t *tag)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (str_eq_z(v, words[i])) {
            *tag = (uint8_t)(TAG_WORD + i);
            return true;
        }
    return false;
}

static void put_text(struct str v, uint8_t *tag, struct buf *body)
{
    if (v.n >= 1 && v.n <= TEXT_SHORT_MAX) {
        *tag = (uint8_t)(TAG_TEXT_SHORT + v.n - 1);
    } else {
        *tag = TAG_TEXT;
        buf_put_uv(body, v.n);
    }
    buf_put_str(body, v);
}

static bool put_check(struct str v, uint8_t *tag, struct buf *body)
{
    unsigned char bytes[VISIT_CHECK_BYTES];
    if (v.n != 1 + 2 * sizeof(bytes) || v.p[0] != 'h' || !hex_read(str_sub(v, 1, v.n), bytes, sizeof(bytes)))
        return false;
    *tag = TAG_CHECK;
    buf_put(body, bytes, sizeof(bytes));
    return true;
}

/* What get_short() spells out. */
static bool put_short(struct value_coder *c, struct row_id row, struct str v, uint8_t *tag, struct buf *body)
{
    return put_word(v, tag) || put_int(v, tag, body) || put_decimal(v, tag, body) ||
           put_date(c, v, tag, body) || put_instant(c, v, tag, body) || put_time(v, tag, body) ||
           put_digits(v, tag, body) || put_uuid(c, row, v, tag, body) || put_check(v, tag, body);
}

/* Does what was just written spell `v`? If not, it is taken back. */
static bool proven(struct value_coder *c, struct row_id row, struct str v, uint8_t tag, struct buf *body,
                   size_t at)
{
    struct scratch s = {.n = 0};
    struct reader r = reader_of(str_sub(buf_str(body), at, body->n - at));
    bool same = get_short(c, row, tag, &r, &s) && !r.failed && !reader_left(&r) &&
                str_eq(v, (struct str){s.p, s.n});
    if (!same)
        body->n = at;
    return same;
}

static bool put_proven(struct value_coder *c, struct row_id row, struct str v, uint8_t *tag, struct buf *body)
{
    size_t at = body->n;
    uint64_t zone = c->zone;
    uint32_t counter = c->author.counter;
    if (put_short(c, row, v, tag, body) && !body->failed && proven(c, row, v, *tag, body, at))
        return true;
    c->zone = zone; /* a guess that was taken back may have moved them */
    c->author.counter = counter;
    return false;
}

/* Two or more words between single spaces, if that is shorter than the text. */
static bool put_list(struct value_coder *c, struct row_id row, struct str v, uint8_t *tag, struct buf *body)
{
    uint64_t count = 1;
    for (size_t i = 0; i < v.n; i++)
        count += v.p[i] == ' ';
    if (count < 2 || count > LIST_MAX)
        return false;
    size_t at = body->n;
    uint64_t zone = c->zone;
    uint32_t counter = c->author.counter;
    buf_put_uv(body, count);
    struct buf one;
    buf_init(&one, BATCH_VALUE_MAX + 16);
    struct str rest = v, word;
    while (str_split(&rest, ' ', &word)) {
        uint8_t t = TAG_EMPTY;
        buf_clear(&one);
        if (word.n && !put_proven(c, row, word, &t, &one)) {
            buf_clear(&one);
            put_text(word, &t, &one);
        }
        buf_put_char(body, (char)t);
        buf_put_str(body, buf_str(&one));
    }
    bool shorter = !one.failed && !body->failed && body->n - at < v.n;
    buf_free(&one);
    if (!shorter) {
        body->n = at;
        c->zone = zone;
        c->author.counter = counter;
    }
    *tag = TAG_LIST;
    return shorter;
}

static bool put_back(const struct value_coder *c, struct str v, uint8_t *tag, struct buf *body)
{
    uint32_t place;
    if (!map_get(&c->index, v, &place))
        return false;
    if (place < BACK_NEAR_COUNT) {
        *tag = (uint8_t)(TAG_BACK_NEAR + place);
    } else {
        *tag = TAG_BACK;
        buf_put_uv(body, place);
    }
    return true;
}

enum err value_put(struct value_coder *c, struct row_id row, struct str value, struct buf *tags,
                   struct buf *body)
{
    size_t at = body->n;
    uint8_t tag = TAG_EMPTY;
    bool shared = false;
    if (value.n) {
        shared = put_back(c, value, &tag, body);
        if (!shared && !put_proven(c, row, value, &tag, body) && !put_hex(value, &tag, body) &&
            !put_list(c, row, value, &tag, body))
            put_text(value, &tag, body);
    }
    buf_put_char(tags, (char)tag);
    if (shared || body->failed || tags->failed || !may_recur(tag) || body->n - at < SHARED_BODY_MIN)
        return body->failed ? body->failed : tags->failed;
    enum err rc = map_put(&c->index, value, c->texts.count);
    return rc ? rc : remember(c, value);
}
