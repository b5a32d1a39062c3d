/* Doubles to decimal text and back, exactly; and exact decimals.
 *
 * Most numbers in a form are small integers or have a few decimals: those take a fast path in which every
 * step is exact in IEEE arithmetic. All others go through big integers: free-format printing after Steele &
 * White and Burger & Dybvig (1996), reading by long division with a sticky remainder. No locale, nothing of
 * libm but what is exact (floor, ldexp, frexp), and the same bytes on every machine, which findings that are
 * replayed years later depend on. */
#include "platform/base/num.h"

#include <float.h>
#include <math.h>

_Static_assert(FLT_EVAL_METHOD == 0, "doubles must not carry hidden extra digits");
_Static_assert(DBL_MANT_DIG == 53 && DBL_MAX_EXP == 1024, "doubles must be IEEE 754 binary64");

/* ---- big natural numbers: just what conversion needs ---- */

/* The largest number that occurs is in reading: DIGITS_MAX digits below 10^-325, about 10^1150 (3,821 bits)
 * times 2^54. */
#define BIG_LIMBS 136
#define DIGITS_MAX                                                                          \
    800 /* no double and no point half-way between two has more than 767 significant digits \
         */

struct big {
    uint32_t n; /* limbs in use, without leading zeros */
    uint32_t limb[BIG_LIMBS];
};

static void big_set(struct big *b, uint64_t v)
{
    b->n = 0;
    for (; v; v >>= 32)
        b->limb[b->n++] = (uint32_t)v;
}

static void big_mul_add(struct big *b, uint32_t factor, uint32_t addend)
{
    uint64_t carry = addend;
    for (uint32_t i = 0; i < b->n; i++) {
        carry += (uint64_t)b->limb[i] * factor;
        b->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry) {
        CHECK(b->n < BIG_LIMBS);
        b->limb[b->n++] = (uint32_t)carry;
    }
}

static void big_mul_pow10(struct big *b, uint32_t exponent)
{
    for (; exponent >= 9; exponent -= 9)
        big_mul_add(b, 1000000000u, 0);
    for (; exponent > 0; exponent--)
        big_mul_add(b, 10, 0);
}

static void big_shift_left(struct big *b, uint32_t bits)
{
    uint32_t limbs = bits / 32;
    if (b->n == 0)
        return;
    CHECK(b->n + limbs < BIG_LIMBS);
    if (limbs) {
        memmove(b->limb + limbs, b->limb, b->n * sizeof b->limb[0]);
        memset(b->limb, 0, limbs * sizeof b->limb[0]);
        b->n += limbs;
    }
    if (bits % 32)
        big_mul_add(b, 1u << bits % 32, 0);
}

static uint32_t big_bits(const struct big *b)
{
    return b->n ? b->n * 32 - (uint32_t)__builtin_clz(b->limb[b->n - 1]) : 0;
}

static int big_cmp(const struct big *a, const struct big *b)
{
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    for (uint32_t i = a->n; i-- > 0;) {
        if (a->limb[i] != b->limb[i])
            return a->limb[i] < b->limb[i] ? -1 : 1;
    }
    return 0;
}

/* a + b compared with c. */
static int big_cmp_sum(const struct big *a, const struct big *b, const struct big *c)
{
    struct big sum = *a;
    uint64_t carry = 0;
    for (uint32_t i = 0; i < b->n || carry; i++) {
        if (i == sum.n) {
            CHECK(sum.n < BIG_LIMBS);
            sum.limb[sum.n++] = 0;
        }
        carry += (uint64_t)sum.limb[i] + (i < b->n ? b->limb[i] : 0);
        sum.limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return big_cmp(&sum, c);
}

/* a -= b, with a >= b. */
static void big_sub(struct big *a, const struct big *b)
{
    uint32_t borrow = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        uint64_t take = (uint64_t)(i < b->n ? b->limb[i] : 0) + borrow;
        borrow = a->limb[i] < take;
        a->limb[i] = (uint32_t)(a->limb[i] - take);
    }
    CHECK(borrow == 0);
    while (a->n > 0 && a->limb[a->n - 1] == 0)
        a->n--;
}

/* ---- doubles as bits ---- */

#define FRACTION_BITS 52
#define HIDDEN_BIT ((uint64_t)1 << FRACTION_BITS)
#define EXPONENT_MIN (-1074) /* of the last bit of a subnormal */
#define EXPONENT_INFINITE 2047u

static uint64_t double_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static double double_from(uint64_t bits, bool negative)
{
    double v;
    bits |= (uint64_t)negative << 63;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static const double pow10_exact[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* ---- printing ---- */

/* Significant digits and the place of the point: 0.DIGITS * 10^point. */
struct decimal {
    char digits[17];
    uint32_t count;
    int32_t point;
};

/* A decimal m / 10^k with m below 10^15 is the only one of that length that reads as v, and dividing two
 * exact doubles rounds correctly, so a hit is proven by the division alone. */
static bool short_decimal(double v, uint64_t *m_out, uint32_t *k_out)
{
    for (uint32_t k = 0; k <= 15; k++) {
        double scaled = v * pow10_exact[k];
        if (!(scaled < 1e15))
            return false;
        uint64_t m = (uint64_t)(scaled + 0.5);
        if ((double)m / pow10_exact[k] == v) {
            *m_out = m;
            *k_out = k;
            return true;
        }
    }
    return false;
}

/* floor(log10(2^e)) + 1, at most one too small for the number f * 2^e' with 2^e <= it < 2^(e+1). */
static int32_t digits_before_point(int32_t e)
{
    int64_t scaled = (int64_t)e * 1233; /* log10(2) = 1233 / 4096, close enough for |e| < 1100 */
    return (int32_t)(scaled >= 0 ? scaled / 4096 : -((-scaled + 4095) / 4096));
}

static void shortest_digits(uint64_t f, int32_t e, struct decimal *out)
{
    bool even = (f & 1) == 0;
    bool wide_above = f == HIDDEN_BIT && e > EXPONENT_MIN; /* the neighbour below is half as far */
    uint32_t up = wide_above ? 2 : 1;
    struct big r, s, above, below; /* v = r/s; half the way to the neighbours is above/s, below/s */
    big_set(&r, f);
    big_set(&s, 1);
    big_set(&above, 1);
    big_set(&below, 1);
    big_shift_left(&r, up + (e > 0 ? (uint32_t)e : 0));
    big_shift_left(&s, up + (e < 0 ? (uint32_t)-e : 0));
    big_shift_left(&above, (wide_above ? 1 : 0) + (e > 0 ? (uint32_t)e : 0));
    big_shift_left(&below, e > 0 ? (uint32_t)e : 0);

    int32_t point = digits_before_point(e + 63 - __builtin_clzll(f));
    if (point >= 0) {
        big_mul_pow10(&s, (uint32_t)point);
    } else {
        big_mul_pow10(&r, (uint32_t)-point);
        big_mul_pow10(&above, (uint32_t)-point);
        big_mul_pow10(&below, (uint32_t)-point);
    }
    /* The estimate is never too large; bring v + above into [0.1, 1) * s. */
    while (big_cmp_sum(&r, &above, &s) >= (even ? 0 : 1)) {
        big_mul_add(&s, 10, 0);
        point++;
    }
    out->point = point;
    out->count = 0;
    for (;;) {
        big_mul_add(&r, 10, 0);
        big_mul_add(&above, 10, 0);
        big_mul_add(&below, 10, 0);
        char digit = '0';
        while (big_cmp(&r, &s) >= 0) {
            big_sub(&r, &s);
            digit++;
        }
        int low = big_cmp(&r, &below);
        int high = big_cmp_sum(&r, &above, &s);
        bool may_stop_low = even ? low <= 0 : low < 0;
        bool may_stop_high = even ? high >= 0 : high > 0;
        if (may_stop_low && may_stop_high)
            digit = (char)(digit + (big_cmp_sum(&r, &r, &s) > 0 ? 1 : 0));
        else if (may_stop_high)
            digit++;
        CHECK(out->count < sizeof out->digits && digit <= '9');
        out->digits[out->count++] = digit;
        if (may_stop_low || may_stop_high)
            return;
    }
}

static void integer_digits(uint64_t m, uint32_t k, struct decimal *out)
{
    char text[20];
    uint32_t n = 0;
    for (; m; m /= 10)
        text[n++] = (char)('0' + m % 10);
    out->point = (int32_t)n - (int32_t)k;
    uint32_t zeros = 0;
    while (zeros + 1 < n && text[zeros] == '0')
        zeros++;
    out->count = n - zeros;
    CHECK(out->count <= sizeof out->digits);
    for (uint32_t i = 0; i < out->count; i++)
        out->digits[i] = text[n - 1 - i];
}

static size_t decimal_write(const struct decimal *d, char *out)
{
    char *at = out;
    if (d->point <= 0) {
        *at++ = '0';
        *at++ = '.';
        for (int32_t i = d->point; i < 0; i++)
            *at++ = '0';
    }
    for (uint32_t i = 0; i < d->count; i++) {
        if (i > 0 && (int32_t)i == d->point)
            *at++ = '.';
        *at++ = d->digits[i];
    }
    for (int32_t i = (int32_t)d->count; i < d->point; i++)
        *at++ = '0';
    return (size_t)(at - out);
}

static size_t put_word(char *out, const char *word)
{
    size_t n = strlen(word);
    memcpy(out, word, n);
    return n;
}

size_t num_write(double v, char out[static NUM_TEXT_MAX])
{
    uint64_t bits = double_bits(v);
    bool negative = bits >> 63;
    uint64_t fraction = bits & (HIDDEN_BIT - 1);
    uint32_t biased = (uint32_t)(bits >> FRACTION_BITS) & EXPONENT_INFINITE;
    if (biased == EXPONENT_INFINITE)
        return put_word(out, fraction ? "NaN" : negative ? "-Infinity" : "Infinity");
    if (biased == 0 && fraction == 0)
        return put_word(out, "0");

    struct decimal d;
    uint64_t m;
    uint32_t k;
    if (short_decimal(negative ? -v : v, &m, &k))
        integer_digits(m, k, &d);
    else if (biased == 0)
        shortest_digits(fraction, EXPONENT_MIN, &d);
    else
        shortest_digits(fraction | HIDDEN_BIT, (int32_t)biased - 1 + EXPONENT_MIN, &d);
    size_t n = 0;
    if (negative)
        out[n++] = '-';
    return n + decimal_write(&d, out + n);
}

/* ---- reading ---- */

/* num / den, rounded to nearest, ties to even. Both are non-zero. */
static double ratio_double(struct big *num, struct big *den, bool negative)
{
    /* 2^x <= num/den < 2^(x+1) */
    int32_t x = (int32_t)big_bits(num) - (int32_t)big_bits(den);
    if (x > 0)
        big_shift_left(den, (uint32_t)x);
    else
        big_shift_left(num, (uint32_t)-x);
    if (big_cmp(num, den) < 0) {
        big_shift_left(num, 1);
        x--;
    }
    if (x > 1023)
        return double_from((uint64_t)EXPONENT_INFINITE << FRACTION_BITS, negative);
    if (x < EXPONENT_MIN - 1)
        return double_from(0, negative);
    int32_t bits = x >= -1022 ? FRACTION_BITS + 1 : x - EXPONENT_MIN + 1;
    uint64_t m = 0;
    for (int32_t i = 0; i < bits; i++) {
        m <<= 1;
        if (big_cmp(num, den) >= 0) {
            big_sub(num, den);
            m |= 1;
        }
        big_shift_left(num, 1);
    }
    int half = big_cmp(num, den);
    if (half > 0 || (half == 0 && (m & 1)))
        m++;
    /* The hidden bit, and a carry out of rounding, both add themselves to the exponent. */
    if (x >= -1022)
        m += (uint64_t)(x + 1022) << FRACTION_BITS;
    return double_from(m, negative);
}

/* The number DIGITS * 10^exponent, where digits has no leading zero. */
static double decimal_double(const char *digits, uint32_t count, int64_t exponent, bool negative)
{
    while (count > 0 && digits[count - 1] == '0') {
        count--;
        exponent++;
    }
    if (count == 0 || exponent + count < -324)
        return double_from(0, negative);
    if (exponent + count > 310)
        return double_from((uint64_t)EXPONENT_INFINITE << FRACTION_BITS, negative);

    uint64_t m = 0;
    for (uint32_t i = 0; i < count && i < 16; i++)
        m = m * 10 + (uint64_t)(digits[i] - '0');
    if (count <= 16 && m < HIDDEN_BIT * 2 && exponent >= -22 && exponent <= 22) {
        double v = exponent < 0 ? (double)m / pow10_exact[-exponent] : (double)m * pow10_exact[exponent];
        return negative ? -v : v;
    }
    struct big num, den;
    big_set(&num, 0);
    big_set(&den, 1);
    for (uint32_t i = 0; i < count; i++) {
        if (num.n == 0)
            big_set(&num, (uint64_t)(digits[i] - '0'));
        else
            big_mul_add(&num, 10, (uint32_t)(digits[i] - '0'));
    }
    if (exponent < 0)
        big_mul_pow10(&den, (uint32_t)-exponent);
    else
        big_mul_pow10(&num, (uint32_t)exponent);
    return ratio_double(&num, &den, negative);
}

/* Takes one digit of the written number. Digits beyond DIGITS_MAX only matter by not being zero. */
struct digit_taker {
    char digits[DIGITS_MAX + 1];
    uint32_t count;
    int64_t exponent;
    bool any;
    bool more;
};

static void take_digit(struct digit_taker *t, char digit, bool after_point)
{
    t->any = true;
    if (t->count < DIGITS_MAX) {
        if (t->count > 0 || digit != '0')
            t->digits[t->count++] = digit;
        t->exponent -= after_point;
    } else {
        t->more |= digit != '0';
        t->exponent += !after_point;
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes "[+-]digits" after an 'e'. Far too large exponents stay far too large. */
static bool read_exponent(struct str s, int64_t *out)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_sub(s, 1, s.n);
    if (s.n == 0)
        return false;
    int64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i]))
            return false;
        if (v < INT64_MAX / 100)
            v = v * 10 + (s.p[i] - '0');
    }
    *out = negative ? -v : v;
    return true;
}

static bool read_number(struct str s, bool exponent_allowed, double *out)
{
    struct digit_taker t;
    t.count = 0;
    t.exponent = 0;
    t.any = t.more = false;
    bool negative = s.n > 0 && s.p[0] == '-';
    bool after_point = false;
    for (size_t i = negative; i < s.n; i++) {
        char c = s.p[i];
        if (is_digit(c)) {
            take_digit(&t, c, after_point);
        } else if (c == '.' && !after_point) {
            after_point = true;
        } else if ((c == 'e' || c == 'E') && exponent_allowed && t.any) {
            int64_t exponent;
            if (!read_exponent(str_sub(s, i + 1, s.n), &exponent))
                return false;
            t.exponent += exponent;
            break;
        } else {
            return false;
        }
    }
    if (!t.any)
        return false;
    if (t.more) {
        t.digits[t.count++] = '1';
        t.exponent--;
    }
    *out = decimal_double(t.digits, t.count, t.exponent, negative);
    return true;
}

bool num_read(struct str s, double *out)
{
    return read_number(s, false, out);
}

bool num_read_exp(struct str s, double *out)
{
    return read_number(s, true, out);
}

/* ---- exact decimals ---- */

#define SCALE_MAX 9

static const uint64_t pow10_u64[] = {1u,
                                     10u,
                                     100u,
                                     1000u,
                                     10000u,
                                     100000u,
                                     1000000u,
                                     10000000u,
                                     100000000u,
                                     1000000000u,
                                     10000000000u,
                                     100000000000u,
                                     1000000000000u,
                                     10000000000000u,
                                     100000000000000u,
                                     1000000000000000u,
                                     10000000000000000u,
                                     100000000000000000u,
                                     1000000000000000000u};

/* 128 bits by hand: 32-bit ARM has no __int128. */
struct wide {
    uint64_t high;
    uint64_t low;
};

static struct wide wide_mul(uint64_t a, uint64_t b)
{
    uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    uint64_t low = a0 * b0;
    uint64_t middle = a1 * b0 + (low >> 32);
    uint64_t middle2 = a0 * b1 + (uint32_t)middle;
    return (struct wide){a1 * b1 + (middle >> 32) + (middle2 >> 32), middle2 << 32 | (uint32_t)low};
}

static int wide_cmp(struct wide a, struct wide b)
{
    if (a.high != b.high)
        return a.high < b.high ? -1 : 1;
    return (a.low > b.low) - (a.low < b.low);
}

static struct wide wide_add(struct wide a, struct wide b)
{
    uint64_t low = a.low + b.low;
    return (struct wide){a.high + b.high + (low < a.low), low};
}

static struct wide wide_sub(struct wide a, struct wide b)
{
    return (struct wide){a.high - b.high - (a.low < b.low), a.low - b.low};
}

/* Bit by bit: exactness is wanted here, not speed. divisor < 2^63. */
static struct wide wide_div(struct wide a, uint64_t divisor, uint64_t *rest_out)
{
    uint64_t rest = 0;
    struct wide q = {0, 0};
    for (int i = 127; i >= 0; i--) {
        rest = rest << 1 | ((i >= 64 ? a.high >> (i - 64) : a.low >> i) & 1);
        q = (struct wide){q.high << 1 | q.low >> 63, q.low << 1};
        if (rest >= divisor) {
            rest -= divisor;
            q.low |= 1;
        }
    }
    *rest_out = rest;
    return q;
}

static uint64_t magnitude(int64_t v)
{
    return v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

/* The decimal with this sign and size, in its shortest scale; false when it does not fit. */
static bool dec_make(bool negative, struct wide size, uint32_t scale, struct dec *out)
{
    while (scale > 0) {
        uint64_t rest = size.low % 10;
        struct wide tenth = {0, size.low / 10};
        if (size.high)
            tenth = wide_div(size, 10, &rest);
        if (rest != 0)
            break;
        size = tenth;
        scale--;
    }
    if (scale > SCALE_MAX || size.high != 0 || size.low > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    int64_t coefficient = negative && size.low ? -(int64_t)(size.low - 1) - 1 : (int64_t)size.low;
    *out = (struct dec){coefficient, (uint8_t)scale};
    return true;
}

bool dec_read(struct str s, struct dec *out)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    struct wide size = {0, 0};
    uint32_t scale = 0, zeros = 0; /* zeros after the point count once a digit follows */
    bool any = false, after_point = false;
    for (size_t i = negative; i < s.n; i++) {
        char c = s.p[i];
        if (c == '.' && !after_point) {
            after_point = true;
            continue;
        }
        if (!is_digit(c))
            return false;
        any = true;
        if (after_point && c == '0') {
            zeros++;
            continue;
        }
        uint32_t shift = after_point ? zeros + 1 : 1;
        if (size.low == 0 && !after_point && c == '0')
            continue;
        if (after_point && (zeros > SCALE_MAX || scale + shift > SCALE_MAX))
            return false;
        size = wide_add(wide_mul(size.low, pow10_u64[shift]), (struct wide){0, (uint64_t)(c - '0')});
        if (size.high)
            return false;
        if (after_point)
            scale += shift;
        zeros = 0;
    }
    return any && dec_make(negative, size, scale, out);
}

size_t dec_write(struct dec d, char out[static 24])
{
    uint64_t m = magnitude(d.coefficient);
    uint32_t scale = d.scale;
    CHECK(scale <= SCALE_MAX);
    while (scale > 0 && m % 10 == 0) {
        m /= 10;
        scale--;
    }
    char text[24];
    size_t n = 0;
    do {
        text[n++] = (char)('0' + m % 10);
        m /= 10;
        if (scale > 0 && n == scale)
            text[n++] = '.';
    } while (m || (scale > 0 && n < scale + 2));
    if (d.coefficient < 0)
        text[n++] = '-';
    for (size_t i = 0; i < n; i++)
        out[i] = text[n - 1 - i];
    return n;
}

/* a + b, b's sign turned when asked. */
static bool dec_sum(struct dec a, struct dec b, bool turn, struct dec *out)
{
    CHECK(a.scale <= SCALE_MAX && b.scale <= SCALE_MAX);
    uint32_t scale = a.scale > b.scale ? a.scale : b.scale;
    struct wide x = wide_mul(magnitude(a.coefficient), pow10_u64[scale - a.scale]);
    struct wide y = wide_mul(magnitude(b.coefficient), pow10_u64[scale - b.scale]);
    bool x_negative = a.coefficient < 0;
    bool y_negative = (b.coefficient < 0) != turn;
    if (x_negative == y_negative)
        return dec_make(x_negative, wide_add(x, y), scale, out);
    if (wide_cmp(x, y) >= 0)
        return dec_make(x_negative, wide_sub(x, y), scale, out);
    return dec_make(y_negative, wide_sub(y, x), scale, out);
}

bool dec_add(struct dec a, struct dec b, struct dec *out)
{
    return dec_sum(a, b, false, out);
}

bool dec_sub(struct dec a, struct dec b, struct dec *out)
{
    return dec_sum(a, b, true, out);
}

bool dec_mul(struct dec a, struct dec b, struct dec *out)
{
    struct wide size = wide_mul(magnitude(a.coefficient), magnitude(b.coefficient));
    return dec_make((a.coefficient < 0) != (b.coefficient < 0), size, (uint32_t)a.scale + b.scale, out);
}

bool dec_div(struct dec a, struct dec b, struct dec *out)
{
    CHECK(a.scale <= SCALE_MAX && b.scale <= SCALE_MAX);
    if (b.coefficient == 0)
        return false;
    /* Rid b of factors that only scale it, so that the divisor stays below 2^63 also for INT64_MIN. */
    uint64_t divisor = magnitude(b.coefficient);
    struct wide size = wide_mul(magnitude(a.coefficient), pow10_u64[SCALE_MAX + b.scale - a.scale]);
    if (divisor > INT64_MAX) {
        if (size.low & 1)
            return false;
        size = (struct wide){size.high >> 1, size.low >> 1 | size.high << 63};
        divisor >>= 1;
    }
    uint64_t rest;
    struct wide quotient = wide_div(size, divisor, &rest);
    if (rest != 0)
        return false;
    return dec_make((a.coefficient < 0) != (b.coefficient < 0), quotient, SCALE_MAX, out);
}

int dec_cmp(struct dec a, struct dec b)
{
    CHECK(a.scale <= SCALE_MAX && b.scale <= SCALE_MAX);
    int sign_a = (a.coefficient > 0) - (a.coefficient < 0);
    int sign_b = (b.coefficient > 0) - (b.coefficient < 0);
    if (sign_a != sign_b)
        return sign_a < sign_b ? -1 : 1;
    struct wide x = wide_mul(magnitude(a.coefficient), pow10_u64[b.scale]);
    struct wide y = wide_mul(magnitude(b.coefficient), pow10_u64[a.scale]);
    return sign_a * wide_cmp(x, y);
}

double dec_double(struct dec d)
{
    char digits[20];
    uint32_t n = 0;
    char text[20];
    for (uint64_t m = magnitude(d.coefficient); m; m /= 10)
        text[n++] = (char)('0' + m % 10);
    for (uint32_t i = 0; i < n; i++)
        digits[i] = text[n - 1 - i];
    return decimal_double(digits, n, -(int64_t)d.scale, d.coefficient < 0);
}

/* -- e^v and log v
 * -----------------------------------------------------------------------------------------
 * Additions, multiplications, divisions and exponents moved by ldexp and frexp only: IEEE 754 says what these
 * give. ln 2 in two parts, the first with its last 32 bits zero, so that k times it is exact. */

#define LN2_HIGH 0x1.62e42fee00000p-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#define ONE_OVER_LN2 0x1.71547652b82fep+0

double num_exp(double v)
{
    if (isnan(v))
        return v;
    if (v > 709.79)
        return INFINITY;
    if (v < -745.2)
        return 0;
    double k = floor(v * ONE_OVER_LN2 + 0.5);
    double r = (v - k * LN2_HIGH) - k * LN2_LOW, sum = 1;
    for (int i = 16; i > 0; i--) /* |r| <= 0.347: the 17th term is below 2^-70 */
        sum = 1 + sum * r / i;
    return ldexp(sum, (int)k);
}

double num_log(double v)
{
    int exponent = 0;
    if (isnan(v) || v <= 0)
        return NAN;
    if (isinf(v))
        return v;
    double m = frexp(v, &exponent); /* in [0.5, 1) */
    if (m < 0.70710678118654752) {
        m *= 2;
        exponent--;
    }
    double s = (m - 1) / (m + 1), square = s * s, sum = 0; /* |s| < 0.172 */
    for (int i = 25; i > 0; i -= 2)
        sum = sum * square + 1.0 / i;
    double k = exponent;
    return k * LN2_HIGH + (2 * s * sum + k * LN2_LOW);
}
