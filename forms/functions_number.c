/* Functions on numbers: XForms, JavaRosa and ODK. Aggregates skip blanks (a member not asked is no zero and
 * no fault); when every member of a non-empty set is blank, the sum is 0 in a form and UNKNOWN in a rule,
 * because a rule must not call a household safe on nothing. In rule mode sums, minima, maxima and rounding of
 * exact decimals are exact.
 */
#include "forms/expr_impl.h"

#define COUNT_OF(rows) ((uint32_t)(sizeof(rows) / sizeof(*(rows))))

/* M_PI is not part of C11. */
#define PI 3.14159265358979323846

static enum err fn_sum(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    const struct nodes *n = args[0].nodes;
    struct quantity total = e->rules ? quantity_dec((struct dec){0, 0}) : quantity_of(0);
    uint32_t given = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        struct arena_mark mark = arena_mark(e->scratch);
        struct value v;
        enum err rc = spend(e, 1) ? node_value(e, n->at[i], &v) : ERR_LIMIT;
        if (rc)
            return rc;
        struct quantity q = value_quantity(e, &v);
        arena_release(e->scratch, mark);
        if (q.unknown || (!q.exact && isnan(q.number)))
            continue;
        given++;
        quantity_arith(e, OP_ADD, total, q, &total);
    }
    bool unsure = n->maybe > 0 || (n->count > 0 && given == 0);
    *out = e->rules && unsure ? value_unknown() : quantity_value(e, total);
    return ERR_OK;
}

static enum err extreme(struct eval *e, const struct value *args, uint32_t count, int sign, struct value *out)
{
    struct each each = {.args = args, .count = count};
    struct value v;
    struct quantity best = {.unknown = true};
    enum err rc;
    while (each_value(e, &each, &v, &rc)) {
        struct quantity q = value_quantity(e, &v);
        if (q.unknown || q.ranged || (!q.exact && isnan(q.number)))
            continue;
        int order = best.unknown ? sign : 0;
        if (!best.unknown && best.exact && q.exact)
            order = dec_cmp(q.dec, best.dec);
        else if (!best.unknown)
            order = q.number < best.number ? -1 : q.number > best.number;
        if (order * sign > 0)
            best = q;
    }
    if (rc)
        return rc;
    if (best.unknown || (each.maybe && e->rules))
        *out = e->rules ? value_unknown() : value_of_number(NOT_A_NUMBER);
    else
        *out = quantity_value(e, best);
    return ERR_OK;
}

static enum err fn_min(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    return extreme(e, args, count, -1, out);
}

static enum err fn_max(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    return extreme(e, args, count, 1, out);
}

static enum err fn_int(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    struct quantity q = value_quantity(e, &args[0]);
    if (q.exact) {
        for (; q.dec.scale; q.dec.scale--)
            q.dec.coefficient /= 10;
        *out = quantity_value(e, quantity_dec(q.dec));
    } else {
        *out = isinf(q.number) && args[0].type == VALUE_STRING
                   ? value_of_number(NOT_A_NUMBER)
                   : quantity_value(e, quantity_of(trunc(q.number)));
    }
    return ERR_OK;
}

/* Rounds the decimal text of a number half up (towards +Infinity) at a place, so that what is written is what
 * counts: 2.675 rounds to 2.68 although no double is exactly 2.675. */
static double round_text(double v, int places)
{
    static const double power[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6};
    if (places >= 0 && (uint32_t)places < COUNT_OF(power) && fabs(v) < 1e4) {
        /* Far enough from the half that no way of writing the number could put it on the other side; and
         * dividing two exact doubles gives what reading the text would give. */
        double scaled = fabs(v) * power[places], whole = floor(scaled), left = scaled - whole;
        if (left > 0.5001 || left < 0.4999)
            return copysign((whole + (left > 0.5 ? 1 : 0)) / power[places], v);
    }
    char text[NUM_TEXT_MAX + 2];
    size_t n = num_write(fabs(v), text + 1);
    text[0] = '0';
    n++;
    size_t point = 0;
    while (point < n && text[point] != '.')
        point++;
    ptrdiff_t cut = (ptrdiff_t)point + places; /* first digit that goes, the point left out of the count */
    if (places >= 0)
        cut++;
    if (places > 0 ? cut >= (ptrdiff_t)n : places == 0 && point >= n)
        return v;
    if (cut < 1)
        return v < 0 ? -0.0 : 0;
    ptrdiff_t digit = places == 0 ? (ptrdiff_t)point + 1 : cut;
    bool more = false;
    for (ptrdiff_t i = digit + 1; i < (ptrdiff_t)n; i++)
        more = more || (text[i] != '0' && text[i] != '.');
    bool up = text[digit] > '5' || (text[digit] == '5' && (more || v > 0));
    ptrdiff_t last = places > 0 ? digit - 1 : places == 0 ? (ptrdiff_t)point - 1 : digit - 1;
    for (ptrdiff_t i = places < 0 ? digit : (ptrdiff_t)n; places < 0 && i < (ptrdiff_t)point; i++)
        text[i] = '0';
    for (ptrdiff_t i = last; up && i >= 0; i--) {
        if (text[i] == '.')
            continue;
        if (text[i] != '9') {
            text[i]++;
            break;
        }
        text[i] = '0';
    }
    size_t end = places > 0 ? (size_t)digit : point;
    double r = 0;
    num_read((struct str){text, end}, &r);
    return v < 0 ? -r : r;
}

static bool round_dec(struct dec d, int places, struct dec *out)
{
    if (places >= (int)d.scale) {
        *out = d;
        return true;
    }
    int drop = (int)d.scale - places;
    if (drop > 18)
        return false;
    int64_t unit = 1;
    for (int i = 0; i < drop; i++)
        unit *= 10;
    int64_t whole = d.coefficient / unit, left = d.coefficient % unit;
    if (left < 0) {
        left += unit;
        whole--;
    }
    if (left >= unit - left)
        whole++;
    if (places < 0) {
        for (int i = 0; i < -places; i++) {
            if (whole > INT64_MAX / 10 || whole < INT64_MIN / 10)
                return false;
            whole *= 10;
        }
        *out = (struct dec){whole, 0};
    } else {
        *out = (struct dec){whole, (uint8_t)places};
    }
    return true;
}

static enum err fn_round(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct quantity q = value_quantity(e, &args[0]);
    double wanted = count > 1 ? value_number(e, &args[1]) : 0;
    if (q.ranged) {
        *out = value_unknown();
        return ERR_OK;
    }
    if (isnan(wanted)) {
        *out = quantity_value(e, quantity_of(NOT_A_NUMBER));
        return ERR_OK;
    }
    int places = wanted > 400 ? 400 : wanted < -400 ? -400 : (int)wanted;
    struct dec d = {0};
    if (q.exact && round_dec(q.dec, places, &d))
        *out = quantity_value(e, quantity_dec(d));
    else if (isnan(q.number) || isinf(q.number) || q.number == 0)
        *out = quantity_value(e, quantity_of(q.number));
    else
        *out = quantity_value(e, quantity_of(round_text(q.number, places)));
    return ERR_OK;
}

static enum err fn_abs(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    struct quantity q = value_quantity(e, &args[0]);
    if (q.exact && q.dec.coefficient != INT64_MIN) {
        if (q.dec.coefficient < 0)
            q.dec.coefficient = -q.dec.coefficient;
    } else if (q.ranged) {
        q = (struct quantity){.unknown = true};
    } else {
        q.exact = false;
    }
    q.number = fabs(q.number);
    *out = quantity_value(e, q);
    return ERR_OK;
}

static double exp10_of(double v)
{
    return pow(10, v);
}

#define NUMERIC(name, function)                                                                       \
    static enum err name(struct eval *e, const struct value *args, uint32_t count, struct value *out) \
    {                                                                                                 \
        (void)count;                                                                                  \
        *out = quantity_value(e, quantity_of(function(value_number(e, &args[0]))));                   \
        return ERR_OK;                                                                                \
    }
NUMERIC(fn_sqrt, sqrt)
NUMERIC(fn_exp, exp)
NUMERIC(fn_exp10, exp10_of)
NUMERIC(fn_log, log)
NUMERIC(fn_log10, log10)
NUMERIC(fn_sin, sin)
NUMERIC(fn_cos, cos)
NUMERIC(fn_tan, tan)
NUMERIC(fn_asin, asin)
NUMERIC(fn_acos, acos)
NUMERIC(fn_atan, atan)

static enum err fn_pow(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    double base = value_number(e, &args[0]), exponent = value_number(e, &args[1]);
    *out = quantity_value(e, quantity_of(isnan(exponent) ? NOT_A_NUMBER : pow(base, exponent)));
    return ERR_OK;
}

static enum err fn_atan2(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    *out = quantity_value(e, quantity_of(atan2(value_number(e, &args[0]), value_number(e, &args[1]))));
    return ERR_OK;
}

static enum err fn_pi(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)e, (void)args, (void)count;
    *out = value_of_number(PI);
    return ERR_OK;
}

/* At least 0 and less than 1. */
static enum err fn_random(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)args, (void)count;
    uint64_t bits = 0;
    *out = quantity_value(e, quantity_of(NOT_A_NUMBER));
    if (!e->random || e->random(e, &bits, sizeof(bits)))
        expr_trouble(e, "there is no source of random numbers here");
    else
        *out = value_of_number((double)(bits >> 11) / 9007199254740992.0);
    return ERR_OK;
}

#define N ARG_NUMBER
#define SET ARG_NODES
#define MANY ARG_MANY
#define ANY ARG_ANY

/* clang-format off */
static const struct expr_function rows[] = {
    /*name      min  max             arguments                 returns  marks               call */
    {"sum",    1,   1,              {SET},                    N,       0,                  fn_sum},
    {"min",    1,   EXPR_ARGS_MANY, {MANY, MANY, MANY, MANY}, N,       EXPR_TAKES_UNKNOWN, fn_min},
    {"max",    1,   EXPR_ARGS_MANY, {MANY, MANY, MANY, MANY}, N,       EXPR_TAKES_UNKNOWN, fn_max},
    {"int",    1,   1,              {ANY},                    N,       0,                  fn_int},
    {"round",  1,   2,              {N, N},                   N,       0,                  fn_round},
    {"abs",    1,   1,              {N},                      N,       0,                  fn_abs},
    {"pow",    2,   2,              {N, N},                   N,       0,                  fn_pow},
    {"sqrt",   1,   1,              {N},                      N,       0,                  fn_sqrt},
    {"exp",    1,   1,              {N},                      N,       0,                  fn_exp},
    {"exp10",  1,   1,              {N},                      N,       0,                  fn_exp10},
    {"log",    1,   1,              {N},                      N,       0,                  fn_log},
    {"log10",  1,   1,              {N},                      N,       0,                  fn_log10},
    {"sin",    1,   1,              {N},                      N,       0,                  fn_sin},
    {"cos",    1,   1,              {N},                      N,       0,                  fn_cos},
    {"tan",    1,   1,              {N},                      N,       0,                  fn_tan},
    {"asin",   1,   1,              {N},                      N,       0,                  fn_asin},
    {"acos",   1,   1,              {N},                      N,       0,                  fn_acos},
    {"atan",   1,   1,              {N},                      N,       0,                  fn_atan},
    {"atan2",  2,   2,              {N, N},                   N,       0,                  fn_atan2},
    {"pi",     0,   0,              {ANY},                    N,       0,                  fn_pi},
    {"random", 0,   0,              {ANY},                    N,       EXPR_USES_RANDOM,   fn_random},
};
/* clang-format on */

struct expr_function_table expr_functions_number(void)
{
    return (struct expr_function_table){rows, COUNT_OF(rows)};
}
