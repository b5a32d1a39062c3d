/* Functions on dates and times. A date is a civil day and never passes through a time zone; a dateTime is an
 * instant with its offset; a time of day stays the text it was written as. Numbers made from them: a date
 * gives its day number, an instant fractional days since 1970-01-01T00:00Z. What is no date gives "" and a
 * note, never the end of the interview.
 */
#include "forms/expr_impl.h"

#define COUNT_OF(rows) ((uint32_t)(sizeof(rows) / sizeof(*(rows))))

#define DAY_MS INT64_C(86400000)
#define DAY_LIMIT 3000000.0 /* the year 9999 is day 2,932,896 */

static struct value instant(const struct eval *e, int64_t ms)
{
    struct value v = {.type = VALUE_INSTANT};
    v.instant.ms = ms;
    v.instant.offset_min = zone_offset_min(eval_zone(e), ms);
    return v;
}

static int64_t local_day(const struct eval *e, int64_t ms)
{
    int64_t local = ms + (int64_t)zone_offset_min(eval_zone(e), ms) * 60000;
    return local >= 0 ? local / DAY_MS : -((DAY_MS - 1 - local) / DAY_MS);
}

static enum err fn_today(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)args, (void)count;
    *out = value_of_day(local_day(e, e->now_ms));
    return ERR_OK;
}

static enum err fn_now(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)args, (void)count;
    *out = instant(e, e->now_ms);
    return ERR_OK;
}

static bool is_number(const struct value *v)
{
    return v->type == VALUE_NUMBER || v->type == VALUE_DEC || v->type == VALUE_RANGE;
}

/* "" for blanks and NaN without a note: an unanswered question is no mistake. */
static struct value no_date(struct eval *e, const char *function, const struct value *v)
{
    if (!value_blank(e, v)) {
        struct str s = value_text(e, v);
        expr_trouble(e, "%s(): \"%.*s\" is no date; dates are written 2026-11-23", function,
                     (int)(s.n < 80 ? s.n : 80), s.p);
    }
    return e->rules ? value_unknown() : value_of_text(STR(""));
}

/* A day or an instant from any kind of value. */
static bool read_moment(struct eval *e, const struct value *v, bool keep_time, struct value *out)
{
    if (is_number(v)) {
        double days = value_number(e, v);
        if (!(fabs(days) < DAY_LIMIT))
            return false;
        if (keep_time)
            *out = instant(e, (int64_t)floor(days * (double)DAY_MS + 0.5));
        else
            *out = value_of_day((int64_t)floor(days));
        return true;
    }
    return value_moment(e, v, out);
}

static enum err fn_date(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    struct value m;
    if (!read_moment(e, &args[0], false, &m))
        *out = no_date(e, "date", &args[0]);
    else
        *out = m.type == VALUE_INSTANT ? value_of_day(local_day(e, m.instant.ms)) : m;
    return ERR_OK;
}

/* An instant is given the local offset; a date stays a date, and a number that means a local midnight is one
 * too, as in date-time(decimal-date-time(today() - 60)). */
static enum err fn_date_time(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    struct value m;
    if (!read_moment(e, &args[0], true, &m)) {
        *out = no_date(e, "date-time", &args[0]);
        return ERR_OK;
    }
    *out = m.type == VALUE_INSTANT ? instant(e, m.instant.ms) : m;
    if (is_number(&args[0])) {
        struct value midnight = value_of_day(local_day(e, m.instant.ms));
        if (moment_ms(e, &midnight) == m.instant.ms)
            *out = midnight;
    }
    return ERR_OK;
}

/* A whole number is what arithmetic on dates gives, so it is a day: its local midnight. */
static enum err fn_decimal_date_time(struct eval *e, const struct value *args, uint32_t count,
                                     struct value *out)
{
    (void)count;
    struct value m;
    double days = is_number(&args[0]) ? value_number(e, &args[0]) : NOT_A_NUMBER;
    if (fabs(days) < DAY_LIMIT && days == floor(days)) {
        m = value_of_day((int64_t)days);
        *out = value_of_number((double)moment_ms(e, &m) / (double)DAY_MS);
        return ERR_OK;
    }
    if (read_moment(e, &args[0], true, &m)) {
        *out = value_of_number((double)moment_ms(e, &m) / (double)DAY_MS);
        return ERR_OK;
    }
    no_date(e, "decimal-date-time", &args[0]);
    *out = quantity_value(e, quantity_of(NOT_A_NUMBER));
    return ERR_OK;
}

/* The fraction of the local day that has passed. */
static enum err fn_decimal_time(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    struct value m;
    struct civil c = {0};
    int64_t ms;
    if (args[0].type == VALUE_STRING && civil_read_time(str_trim(args[0].text), &c)) {
        ms = ((int64_t)c.hour * 3600 + c.minute * 60 + c.second) * 1000 + c.ms;
        if (c.has_offset)
            ms += ((int64_t)zone_offset_min(eval_zone(e), e->now_ms) - c.offset_min) * 60000;
    } else if (read_moment(e, &args[0], true, &m)) {
        ms = moment_ms(e, &m);
        ms += (int64_t)zone_offset_min(eval_zone(e), ms) * 60000;
    } else {
        no_date(e, "decimal-time", &args[0]);
        *out = quantity_value(e, quantity_of(NOT_A_NUMBER));
        return ERR_OK;
    }
    *out = value_of_number((double)(((ms % DAY_MS) + DAY_MS) % DAY_MS) / (double)DAY_MS);
    return ERR_OK;
}

/* -- writing dates
 * ---------------------------------------------------------------------------------------------- */

struct date_names {
    const char *language; /* its code, and a word its name contains */
    const char *name;
    const char *months[12];
    const char *days[7];
};

static const struct date_names date_names[] = {
    {"en",
     "English",
     {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"},
     {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}},
    {"zh",
     "\xe4\xb8\xad\xe6\x96\x87",
     {"1月", "2月", "3月", "4月", "5月", "6月", "7月", "8月", "9月", "10月", "11月", "12月"},
     {"周日", "周一", "周二", "周三", "周四", "周五", "周六"}},
    {"zh",
     "Chinese",
     {"1月", "2月", "3月", "4月", "5月", "6月", "7月", "8月", "9月", "10月", "11月", "12月"},
     {"周日", "周一", "周二", "周三", "周四", "周五", "周六"}},
    {"es",
     "Espa",
     {"ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"},
     {"dom", "lun", "mar", "mié", "jue", "vie", "sáb"}},
    {"fr",
     "Fran",
     {"janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."},
     {"dim.", "lun.", "mar.", "mer.", "jeu.", "ven.", "sam."}},
};

static const struct date_names *names_for(struct str language)
{
    for (size_t i = 0; i < COUNT_OF(date_names); i++) {
        struct str code = str_of(date_names[i].language);
        bool coded = str_starts(language, code) &&
                     (language.n == code.n || language.p[code.n] == '-' || language.p[code.n] == '_');
        ptrdiff_t at = str_find(language, STR("("));
        if (!coded && at >= 0)
            coded = str_starts(str_sub(language, (size_t)at + 1, language.n), code);
        if (coded || str_find(language, str_of(date_names[i].name)) >= 0)
            return &date_names[i];
    }
    return &date_names[0];
}

static void put_padded(struct buf *b, int64_t n, int width)
{
    int64_t limit = 1;
    for (int i = 1; i < width; i++)
        limit *= 10;
    for (; limit > 1 && n < limit; limit /= 10)
        buf_put_char(b, '0');
    buf_put_i64(b, n);
}

/* ISO 8601 week: the one that holds the year's first Thursday is 1. */
static int64_t iso_week(int64_t day)
{
    int64_t thursday = day + 3 - (civil_weekday(day) + 6) % 7;
    int32_t year;
    uint8_t month, d;
    civil_from_days(thursday, &year, &month, &d);
    return (thursday - civil_days(year, 1, 1)) / 7 + 1;
}

static bool put_code(struct buf *b, char code, const struct civil *c, const struct date_names *names)
{
    int64_t day = civil_days(c->year, c->month, c->day);
    switch (code) {
    case '%': buf_put_char(b, '%'); return true;
    case 'Y': put_padded(b, c->year, 4); return true;
    case 'y': put_padded(b, c->year % 100, 2); return true;
    case 'm': put_padded(b, c->month, 2); return true;
    case 'n': buf_put_i64(b, c->month); return true;
    case 'b': buf_put_z(b, names->months[c->month - 1]); return true;
    case 'd': put_padded(b, c->day, 2); return true;
    case 'e': buf_put_i64(b, c->day); return true;
    case 'W': buf_put_i64(b, iso_week(day)); return true;
    case 'H': put_padded(b, c->hour, 2); return true;
    case 'h': buf_put_i64(b, c->hour); return true;
    case 'M': put_padded(b, c->minute, 2); return true;
    case 'S': put_padded(b, c->second, 2); return true;
    case '3': put_padded(b, c->ms, 3); return true;
    case 'a': buf_put_z(b, names->days[civil_weekday(day)]); return true;
    default: return false;
    }
}

/* The civil time a person in the zone would read off: an instant's local time, a day's midnight. */
static struct civil local_civil(const struct eval *e, const struct value *m)
{
    if (m->type == VALUE_INSTANT)
        return civil_at(m->instant.ms, eval_zone(e));
    struct civil c = {.has_date = true};
    civil_from_days(m->day, &c.year, &c.month, &c.day);
    return c;
}

#define FORMAT_MAX 4096

static enum err format(struct eval *e, const char *function, const struct value *args, struct value *out)
{
    struct value m;
    *out = value_of_text(STR(""));
    if (!read_moment(e, &args[0], true, &m)) {
        *out = no_date(e, function, &args[0]);
        return ERR_OK;
    }
    struct civil c = local_civil(e, &m);
    const struct date_names *names = names_for(e->language);
    struct str pattern = args[1].text;
    if (pattern.n > FORMAT_MAX) {
        expr_trouble(e, "the pattern of %s() is too long", function);
        return ERR_OK;
    }
    struct buf b;
    buf_init(&b, 16 * FORMAT_MAX);
    for (size_t i = 0; i < pattern.n; i++) {
        if (pattern.p[i] != '%' || i + 1 == pattern.n) {
            buf_put_char(&b, pattern.p[i]);
        } else if (!put_code(&b, pattern.p[++i], &c, names)) {
            expr_trouble(e, "%s() does not know %%%c; it knows Y y m n b d e W H h M S 3 a and %%", function,
                         pattern.p[i]);
            buf_put(&b, pattern.p + i - 1, 2);
        }
    }
    *out = value_of_text(scratch_copy(e, b.p ? b.p : "", b.n));
    enum err rc = b.failed;
    buf_free(&b);
    return rc;
}

static enum err fn_format_date(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    return format(e, "format-date", args, out);
}

static enum err fn_format_date_time(struct eval *e, const struct value *args, uint32_t count,
                                    struct value *out)
{
    (void)count;
    return format(e, "format-date-time", args, out);
}

#define N ARG_NUMBER
#define S ARG_STRING
#define ANY ARG_ANY
#define ZONE EXPR_USES_ZONE

/* clang-format off */
static const struct expr_function rows[] = {
    /*name                 min  max  arguments  returns  marks               call */
    {"today",             0,   0,   {ANY},     ANY,     EXPR_USES_CLOCK,    fn_today},
    {"now",               0,   0,   {ANY},     ANY,     EXPR_USES_CLOCK,    fn_now},
    {"date",              1,   1,   {ANY},     ANY,     ZONE,               fn_date},
    {"date-time",         1,   1,   {ANY},     ANY,     ZONE,               fn_date_time},
    {"decimal-date-time", 1,   1,   {ANY},     N,       ZONE,               fn_decimal_date_time},
    {"decimal-time",      1,   1,   {ANY},     N,       ZONE,               fn_decimal_time},
    {"format-date",       2,   2,   {ANY, S},  S,       EXPR_USES_LANGUAGE, fn_format_date},
    {"format-date-time",  2,   2,   {ANY, S},  S,       EXPR_USES_LANGUAGE, fn_format_date_time},
};
/* clang-format on */

struct expr_function_table expr_functions_date(void)
{
    return (struct expr_function_table){rows, COUNT_OF(rows)};
}
