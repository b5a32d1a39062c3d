/* Text and its small change: comparing, cutting, whole numbers, UTF-8, hexadecimal.
 *
 * Always true: nothing here reads outside the given bytes, allocates, or asks the locale. */
#include "platform/base/str.h"

static char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Names differ early: they are compared before anyone measures them. */
bool str_eq_z(struct str a, const char *z)
{
    size_t i = 0;
    while (i < a.n && z[i] == a.p[i] && z[i] != 0)
        i++;
    return i == a.n && z[i] == 0;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
            return false;
    }
    return true;
}

int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    if (order != 0)
        return order < 0 ? -1 : 1;
    return (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq((struct str){s.p, prefix.n}, prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_eq(str_sub(s, s.n - suffix.n, suffix.n), suffix);
}

ptrdiff_t str_find(struct str s, struct str needle)
{
    if (needle.n == 0)
        return 0;
    for (size_t i = 0; i + needle.n <= s.n; i++) {
        const char *hit = memchr(s.p + i, needle.p[0], s.n - needle.n - i + 1);
        if (!hit)
            return -1;
        i = (size_t)(hit - s.p);
        if (memcmp(hit, needle.p, needle.n) == 0)
            return (ptrdiff_t)i;
    }
    return -1;
}

struct str str_sub(struct str s, size_t from, size_t n)
{
    if (!s.p)
        return s;
    if (from > s.n)
        from = s.n;
    if (n > s.n - from)
        n = s.n - from;
    return (struct str){s.p + from, n};
}

struct str str_trim(struct str s)
{
    while (s.n > 0 && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* An exhausted list has p NULL; a list that ended in a separator still owes one empty token. */
bool str_split(struct str *rest, char separator, struct str *token_out)
{
    if (!rest->p)
        return false;
    const char *hit = rest->n ? memchr(rest->p, separator, rest->n) : NULL;
    if (!hit) {
        *token_out = *rest;
        *rest = STR_NONE;
        return true;
    }
    size_t n = (size_t)(hit - rest->p);
    *token_out = (struct str){rest->p, n};
    *rest = (struct str){hit + 1, rest->n - n - 1};
    return true;
}

bool str_word(struct str *rest, struct str *word_out)
{
    while (rest->n > 0 && is_space(rest->p[0])) {
        rest->p++;
        rest->n--;
    }
    if (rest->n == 0)
        return false;
    size_t n = 0;
    while (n < rest->n && !is_space(rest->p[n]))
        n++;
    *word_out = (struct str){rest->p, n};
    rest->p += n;
    rest->n -= n;
    return true;
}

bool str_to_u64(struct str s, uint64_t *out)
{
    if (s.n == 0)
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.p[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

bool str_to_i64(struct str s, int64_t *out)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    uint64_t v = 0;
    if (!str_to_u64(negative ? str_sub(s, 1, s.n - 1) : s, &v))
        return false;
    if (v > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    if (!negative)
        *out = (int64_t)v;
    else
        *out = v == 0 ? 0 : -(int64_t)(v - 1) - 1;
    return true;
}

/* Every byte reaches the low bits, which are what tables use. */
static uint64_t hash_word(uint64_t h, uint64_t word)
{
    h ^= word;
    h = (h ^ h >> 32) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

uint64_t str_hash(struct str s)
{
    uint64_t h = s.n, word;
    for (; s.n >= sizeof(word); s.p += sizeof(word), s.n -= sizeof(word)) {
        memcpy(&word, s.p, sizeof(word));
        h = hash_word(h, word);
    }
    for (word = 0; s.n > 0; s.n--)
        word = word << 8 | (unsigned char)s.p[s.n - 1];
    return hash_word(h, word);
}

/* Bytes of the well-formed sequence at p (Unicode table 3-7), or 0. */
static size_t utf8_sequence(const unsigned char *p, size_t n, uint32_t *code_point_out)
{
    unsigned char lead = p[0];
    if (lead < 0x80) {
        *code_point_out = lead;
        return 1;
    }
    size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || n < length)
        return 0;
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high)
        return 0;
    uint32_t c = lead & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3Fu);
    }
    *code_point_out = c;
    return length;
}

uint32_t utf8_next(struct str *rest)
{
    uint32_t c = 0xFFFD;
    size_t n = utf8_sequence((const unsigned char *)rest->p, rest->n, &c);
    if (n == 0)
        n = 1;
    rest->p += n;
    rest->n -= n;
    return c;
}

size_t utf8_length(struct str s)
{
    size_t count = 0;
    for (; s.n > 0; count++)
        utf8_next(&s);
    return count;
}

size_t utf8_offset(struct str s, size_t code_points)
{
    struct str rest = s;
    while (code_points-- > 0 && rest.n > 0)
        utf8_next(&rest);
    return s.n - rest.n;
}

bool utf8_valid(struct str s)
{
    while (s.n > 0) {
        uint32_t c;
        size_t n = utf8_sequence((const unsigned char *)s.p, s.n, &c);
        if (n == 0 || c == 0)
            return false;
        s.p += n;
        s.n -= n;
    }
    return true;
}

size_t utf8_put(uint32_t c, char out[static 4])
{
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        c = 0xFFFD;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

void hex_write(const void *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_read(struct str s, void *out, size_t n)
{
    if (n > SIZE_MAX / 2 || s.n != 2 * n)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (hex_digit(s.p[i]) < 0)
            return false;
    }
    unsigned char *p = out;
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)(hex_digit(s.p[2 * i]) * 16 + hex_digit(s.p[2 * i + 1]));
    return true;
}

static const char base32_digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void base32_write(uint64_t v, size_t digits, char *out)
{
    for (size_t i = digits; i-- > 0; v >>= 5)
        out[i] = base32_digits[v & 31];
}

static int base32_digit(char c)
{
    if (c >= 'a' && c <= 'z')
        c = (char)(c - 'a' + 'A');
    if (c == 'I' || c == 'L')
        return 1;
    if (c == 'O')
        return 0;
    const char *hit = c ? strchr(base32_digits, c) : NULL;
    return hit ? (int)(hit - base32_digits) : -1;
}

bool base32_read(struct str s, uint64_t *out)
{
    uint64_t v = 0;
    size_t digits = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '-' || s.p[i] == ' ')
            continue;
        int digit = base32_digit(s.p[i]);
        if (digit < 0 || v >> 59)
            return false;
        v = v << 5 | (uint64_t)digit;
        digits++;
    }
    if (digits == 0)
        return false;
    *out = v;
    return true;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_write(const void *bytes, size_t n, char *out)
{
    const unsigned char *in = bytes;
    size_t written = 0;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t block = (uint32_t)in[i] << 16;
        if (i + 1 < n)
            block |= (uint32_t)in[i + 1] << 8;
        if (i + 2 < n)
            block |= in[i + 2];
        out[written++] = base64_digits[block >> 18];
        out[written++] = base64_digits[block >> 12 & 63];
        out[written++] = i + 1 < n ? base64_digits[block >> 6 & 63] : '=';
        out[written++] = i + 2 < n ? base64_digits[block & 63] : '=';
    }
    return written;
}

static int base64_digit(char c)
{
    const char *at = c ? strchr(base64_digits, c) : NULL;
    if (at)
        return (int)(at - base64_digits);
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool base64_read(struct str s, void *out, size_t *n_out)
{
    unsigned char *p = out;
    size_t n = 0;
    uint32_t bits = 0, have = 0;
    for (size_t i = 0; i < s.n && s.p[i] != '='; i++) {
        int digit = base64_digit(s.p[i]);
        if (digit < 0 && (s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == ' ' || s.p[i] == '\t'))
            continue;
        if (digit < 0)
            return false;
        bits = (bits << 6 | (uint32_t)digit) & 0xffffff;
        have += 6;
        if (have >= 8) {
            have -= 8;
            p[n++] = (unsigned char)(bits >> have);
        }
    }
    *n_out = n;
    return true;
}
