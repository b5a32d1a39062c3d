/* Dates, times and zones as arithmetic.
 *
 * Always true: days count in the proleptic Gregorian calendar (algorithms after Howard Hinnant's
 * "chrono-compatible low-level date algorithms"); a struct zone is never changed after it was read; zone data
 * that lies is refused or gives a wrong offset, never a read outside its bytes. Seconds of local mean time
 * are kept inside and rounded to minutes only where a minute is asked for. */
#include "platform/base/civil.h"

#include "platform/base/buf.h"

#define DAY_MS ((int64_t)86400000)
#define DAY_S ((int64_t)86400)
/* Far beyond any date a form can hold, and small enough that nothing overflows. */
#define DAYS_LIMIT ((int64_t)36524000000)

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t clamp_days(int64_t days)
{
    return days > DAYS_LIMIT ? DAYS_LIMIT : days < -DAYS_LIMIT ? -DAYS_LIMIT : days;
}

/* ---- dates ---- */

int64_t civil_days(int32_t year, uint8_t month, uint8_t day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void civil_from_days(int64_t days, int32_t *year, uint8_t *month, uint8_t *day)
{
    days = clamp_days(days) + 719468;
    int64_t era = floor_div(days, 146097);
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t m = (5 * day_of_year + 2) / 153;
    *day = (uint8_t)(day_of_year - (153 * m + 2) / 5 + 1);
    *month = (uint8_t)(m < 10 ? m + 3 : m - 9);
    *year = (int32_t)(year_of_era + era * 400 + (*month <= 2));
}

static bool leap_year(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static uint8_t days_in_month(int64_t year, uint8_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return (uint8_t)(days[month - 1] + (month == 2 && leap_year(year) ? 1 : 0));
}

bool civil_valid_date(int32_t year, uint8_t month, uint8_t day)
{
    return year >= 1 && year <= 9999 && month >= 1 && month <= 12 && day >= 1 &&
           day <= days_in_month(year, month);
}

uint8_t civil_weekday(int64_t days)
{
    return (uint8_t)(((days % 7) + 11) % 7); /* 1970-01-01 was a Thursday */
}

/* ---- zones ---- */

/* When a rule of the footer applies: Mm.w.d, Jn or n, and the local time of day. */
enum rule_kind { RULE_WEEKDAY, RULE_JULIAN_NO_LEAP, RULE_JULIAN };

struct rule {
    enum rule_kind kind;
    int32_t month, week, day;
    int32_t at_s;
};

struct footer {
    bool present;
    bool has_summer;
    int32_t winter_s, summer_s; /* offsets east of UTC */
    struct rule start, end;     /* of summer time */
};

struct transition {
    int64_t at_s; /* UTC */
    int32_t offset_s;
};

struct zone {
    const struct transition *transitions; /* ascending */
    uint32_t count;
    int32_t first_s; /* offset before the first transition */
    struct footer footer;
};

static const struct zone utc = {0};

const struct zone *zone_utc(void)
{
    return &utc;
}

enum err zone_fixed(struct arena *a, int16_t offset_min, const struct zone **zone_out)
{
    struct zone *z = ARENA_NEW(a, struct zone);
    if (!z)
        return ERR_NOMEM;
    z->first_s = offset_min * 60;
    *zone_out = z;
    return ERR_OK;
}

/* The footer is a POSIX TZ string: std offset [dst [offset] [,start[/time],end[/time]]]. */
static bool footer_name(struct str *s)
{
    size_t n = 0;
    if (s->n > 0 && s->p[0] == '<') {
        while (n < s->n && s->p[n] != '>')
            n++;
        if (n == s->n)
            return false;
        n++;
    } else {
        while (n < s->n && ((s->p[n] >= 'A' && s->p[n] <= 'Z') || (s->p[n] >= 'a' && s->p[n] <= 'z')))
            n++;
    }
    *s = str_sub(*s, n, s->n);
    return n >= 3;
}

static bool footer_number(struct str *s, int32_t max, int32_t *out)
{
    size_t n = 0;
    int32_t v = 0;
    while (n < s->n && n < 4 && s->p[n] >= '0' && s->p[n] <= '9')
        v = v * 10 + (s->p[n++] - '0');
    *s = str_sub(*s, n, s->n);
    if (n == 0 || v > max)
        return false;
    *out = v;
    return true;
}

static bool footer_char(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_sub(*s, 1, s->n);
    return true;
}

/* [+-]h[:m[:s]] in seconds. */
static bool footer_time(struct str *s, int32_t *out)
{
    bool negative = footer_char(s, '-');
    if (!negative)
        footer_char(s, '+');
    int32_t h, m = 0, sec = 0;
    if (!footer_number(s, 167, &h))
        return false;
    if (footer_char(s, ':') && !footer_number(s, 59, &m))
        return false;
    if (footer_char(s, ':') && !footer_number(s, 59, &sec))
        return false;
    int32_t v = h * 3600 + m * 60 + sec;
    *out = negative ? -v : v;
    return true;
}

static bool footer_rule(struct str *s, struct rule *out)
{
    *out = (struct rule){.at_s = 2 * 3600};
    if (!footer_char(s, ','))
        return false;
    if (footer_char(s, 'M')) {
        out->kind = RULE_WEEKDAY;
        if (!footer_number(s, 12, &out->month) || !footer_char(s, '.') || !footer_number(s, 5, &out->week) ||
            !footer_char(s, '.') || !footer_number(s, 6, &out->day) || out->month < 1 || out->week < 1)
            return false;
    } else {
        out->kind = footer_char(s, 'J') ? RULE_JULIAN_NO_LEAP : RULE_JULIAN;
        if (!footer_number(s, 365, &out->day) || (out->kind == RULE_JULIAN_NO_LEAP && out->day < 1))
            return false;
    }
    return !footer_char(s, '/') || footer_time(s, &out->at_s);
}

static bool footer_read(struct str s, struct footer *out)
{
    *out = (struct footer){.present = true};
    int32_t west_s;
    if (!footer_name(&s) || !footer_time(&s, &west_s))
        return false;
    out->winter_s = -west_s;
    if (s.n == 0)
        return true;
    if (!footer_name(&s))
        return false;
    out->has_summer = true;
    out->summer_s = out->winter_s + 3600;
    if (s.n > 0 && s.p[0] != ',') {
        if (!footer_time(&s, &west_s))
            return false;
        out->summer_s = -west_s;
    }
    return footer_rule(&s, &out->start) && footer_rule(&s, &out->end) && s.n == 0;
}

/* Seconds since 1970 in local time at which the rule applies in that year. */
static int64_t rule_local_s(const struct rule *r, int32_t year)
{
    int64_t day;
    if (r->kind == RULE_WEEKDAY) {
        int64_t first = civil_days(year, (uint8_t)r->month, 1);
        int32_t ahead = (r->day - civil_weekday(first) + 7) % 7 + (r->week - 1) * 7;
        if (ahead >= days_in_month(year, (uint8_t)r->month))
            ahead -= 7;
        day = first + ahead;
    } else if (r->kind == RULE_JULIAN_NO_LEAP) {
        day = civil_days(year, 1, 1) + r->day - 1 + (leap_year(year) && r->day >= 60);
    } else {
        day = civil_days(year, 1, 1) + r->day;
    }
    return day * DAY_S + r->at_s;
}

/* What `x` is compared with: a change at that instant, seen as an instant or as the wall clock. In a gap or
 * an overlap of wall time the offset before the change counts, so the change begins at the later of its two
 * wall times. */
static int64_t change_begins(int64_t at_s, int32_t before_s, int32_t after_s, bool wall)
{
    return !wall ? at_s : at_s + (before_s > after_s ? before_s : after_s);
}

/* x lies after the table, in the years the footer speaks for. */
static int32_t footer_offset_s(const struct footer *f, int64_t x, bool wall)
{
    if (!f->has_summer)
        return f->winter_s;
    int32_t year;
    uint8_t month, day;
    civil_from_days(floor_div(x, DAY_S), &year, &month, &day);
    int64_t best_at = INT64_MIN;
    int32_t best = f->winter_s;
    /* Ends go first: where summer time lasts all year, an end and the next start are the same instant. */
    for (int32_t y = year - 1; y <= year + 1; y++) {
        int64_t end = rule_local_s(&f->end, y) - f->summer_s;
        if (end >= best_at && x >= change_begins(end, f->summer_s, f->winter_s, wall)) {
            best_at = end;
            best = f->winter_s;
        }
    }
    for (int32_t y = year - 1; y <= year + 1; y++) {
        int64_t start = rule_local_s(&f->start, y) - f->winter_s;
        if (start >= best_at && x >= change_begins(start, f->winter_s, f->summer_s, wall)) {
            best_at = start;
            best = f->summer_s;
        }
    }
    return best;
}

static int32_t zone_offset_s(const struct zone *z, int64_t x, bool wall)
{
    /* The last transition that can have begun at x: wall clocks are at most 26 hours from UTC. */
    int64_t latest = wall ? x + 26 * 3600 : x;
    uint32_t low = 0, high = z->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (z->transitions[middle].at_s <= latest)
            low = middle + 1;
        else
            high = middle;
    }
    while (low > 0) {
        const struct transition *t = &z->transitions[low - 1];
        int32_t before_s = low > 1 ? z->transitions[low - 2].offset_s : z->first_s;
        if (x >= change_begins(t->at_s, before_s, t->offset_s, wall))
            break;
        low--;
    }
    if (low == z->count && z->footer.present)
        return footer_offset_s(&z->footer, x, wall);
    return low > 0 ? z->transitions[low - 1].offset_s : z->first_s;
}

static int16_t to_minutes(int32_t offset_s)
{
    return (int16_t)floor_div((int64_t)offset_s + 30, 60);
}

int16_t zone_offset_min(const struct zone *z, int64_t instant_ms)
{
    return to_minutes(zone_offset_s(z, floor_div(instant_ms, 1000), false));
}

int16_t zone_offset_local(const struct zone *z, int64_t local_ms)
{
    return to_minutes(zone_offset_s(z, floor_div(local_ms, 1000), true));
}

/* ---- TZif (RFC 8536) ---- */

struct tzif_head {
    uint8_t version; /* 1 for the version without a number */
    uint32_t isut, isstd, leap, time, type, chars;
};

static uint32_t read_u32be(struct reader *r)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 8 | read_u8(r);
    return v;
}

static bool tzif_read_head(struct reader *r, struct tzif_head *h)
{
    struct str magic = read_bytes(r, 4);
    if (r->failed || !str_eq(magic, STR("TZif")))
        return false;
    uint8_t version = read_u8(r);
    (void)read_bytes(r, 15);
    *h = (struct tzif_head){.version = version >= '2' ? (uint8_t)(version - '0') : 1};
    h->isut = read_u32be(r);
    h->isstd = read_u32be(r);
    h->leap = read_u32be(r);
    h->time = read_u32be(r);
    h->type = read_u32be(r);
    h->chars = read_u32be(r);
    /* The largest file of today has 310 transitions and 18 types. */
    return !r->failed && h->type >= 1 && h->type <= 256 && h->time <= 100000 && h->leap <= 10000 &&
           h->chars <= 10000 && h->isut <= 256 && h->isstd <= 256;
}

static size_t tzif_data_size(const struct tzif_head *h, size_t time_size)
{
    return h->time * (time_size + 1) + h->type * 6 + h->chars + h->leap * (time_size + 4) + h->isstd +
           h->isut;
}

static int64_t tzif_time(struct reader *times, size_t time_size)
{
    uint64_t v = read_u32be(times);
    if (time_size == 4)
        return (int32_t)(uint32_t)v;
    return (int64_t)(v << 32 | read_u32be(times));
}

/* ERR_CORRUPT without a sentence: the caller has one for all cases. */
static enum err tzif_read_data(struct arena *a, struct reader *r, const struct tzif_head *h, size_t time_size,
                               struct zone *z)
{
    struct reader times = reader_of(read_bytes(r, h->time * time_size));
    struct reader indexes = reader_of(read_bytes(r, h->time));
    struct reader types = reader_of(read_bytes(r, h->type * 6));
    (void)read_bytes(r, h->chars + h->leap * (time_size + 4) + h->isstd + h->isut);
    if (r->failed)
        return ERR_CORRUPT;
    int32_t offsets[256];
    for (uint32_t i = 0; i < h->type; i++) {
        offsets[i] = (int32_t)read_u32be(&types);
        (void)read_bytes(&types, 2);
        if (offsets[i] < -26 * 3600 || offsets[i] > 26 * 3600)
            return ERR_CORRUPT;
    }
    struct transition *transitions = ARENA_ARRAY(a, struct transition, h->time);
    if (!transitions)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < h->time; i++) {
        int64_t at_s = tzif_time(&times, time_size);
        uint8_t type = read_u8(&indexes);
        if (type >= h->type || (i > 0 && at_s <= transitions[i - 1].at_s))
            return ERR_CORRUPT;
        transitions[i] = (struct transition){at_s, offsets[type]};
    }
    z->transitions = transitions;
    z->count = h->time;
    z->first_s = offsets[0];
    return ERR_OK;
}

static enum err tzif_read(struct arena *a, struct str tzif, struct zone *z)
{
    struct reader r = reader_of(tzif);
    struct tzif_head head;
    if (!tzif_read_head(&r, &head))
        return ERR_CORRUPT;
    if (head.version < 2)
        return tzif_read_data(a, &r, &head, 4, z);
    (void)read_bytes(&r, tzif_data_size(&head, 4));
    if (!tzif_read_head(&r, &head))
        return ERR_CORRUPT;
    enum err rc = tzif_read_data(a, &r, &head, 8, z);
    if (rc)
        return rc;
    struct str rest = read_bytes(&r, reader_left(&r));
    struct str line;
    if (rest.n < 2 || rest.p[0] != '\n')
        return ERR_CORRUPT;
    rest = str_sub(rest, 1, rest.n);
    if (str_find(rest, STR("\n")) < 0 || !str_split(&rest, '\n', &line))
        return ERR_CORRUPT;
    if (line.n > 0 && !footer_read(line, &z->footer))
        return ERR_CORRUPT;
    return ERR_OK;
}

enum err zone_read(struct arena *a, struct str tzif, const struct zone **zone_out, struct diag *d)
{
    struct zone *z = ARENA_NEW(a, struct zone);
    enum err rc = z ? tzif_read(a, tzif, z) : ERR_NOMEM;
    if (rc == ERR_NOMEM)
        return diag_set(d, rc, "Not enough memory to read the time zone.");
    if (rc)
        return diag_set(d, rc,
                        "This is not time zone data (TZif). Install the zone files (package tzdata) again.");
    *zone_out = z;
    return ERR_OK;
}

/* ---- text ---- */

/* Takes between min and max digits off the front. */
static bool take_number(struct str *s, size_t min, size_t max, int32_t *out)
{
    size_t n = 0;
    int32_t v = 0;
    while (n < s->n && n < max && s->p[n] >= '0' && s->p[n] <= '9')
        v = v * 10 + (s->p[n++] - '0');
    if (n < min)
        return false;
    *s = str_sub(*s, n, s->n);
    *out = v;
    return true;
}

static bool take_date(struct str *s, struct civil *out)
{
    int32_t year, month, day;
    if (!take_number(s, 4, 4, &year) || !footer_char(s, '-') || !take_number(s, 1, 2, &month) ||
        !footer_char(s, '-') || !take_number(s, 1, 2, &day))
        return false;
    if (!civil_valid_date(year, (uint8_t)month, (uint8_t)day))
        return false;
    out->year = year;
    out->month = (uint8_t)month;
    out->day = (uint8_t)day;
    out->has_date = true;
    return true;
}

/* Fractions keep milliseconds; further digits are cut. */
static bool take_fraction(struct str *s, uint16_t *ms_out)
{
    int32_t scale = 100, ms = 0;
    size_t n = 0;
    for (; n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++) {
        ms += (s->p[n] - '0') * scale;
        scale /= 10;
    }
    *s = str_sub(*s, n, s->n);
    *ms_out = (uint16_t)ms;
    return n > 0;
}

static bool take_offset(struct str *s, struct civil *out)
{
    if (footer_char(s, 'Z')) {
        out->has_offset = true;
        return true;
    }
    bool west = s->n > 0 && s->p[0] == '-';
    if (!west && !(s->n > 0 && s->p[0] == '+'))
        return true;
    *s = str_sub(*s, 1, s->n);
    int32_t hours, minutes = 0;
    if (!take_number(s, 2, 2, &hours))
        return false;
    if (s->n > 0 && (!footer_char(s, ':') || !take_number(s, 2, 2, &minutes)))
        return false;
    int32_t offset = hours * 60 + minutes;
    if (minutes > 59 || offset > 18 * 60)
        return false;
    out->offset_min = (int16_t)(west ? -offset : offset);
    out->has_offset = true;
    return true;
}

static bool take_time(struct str *s, struct civil *out)
{
    int32_t hour, minute, second = 0;
    if (!take_number(s, 2, 2, &hour) || !footer_char(s, ':') || !take_number(s, 2, 2, &minute))
        return false;
    if (footer_char(s, ':')) {
        if (!take_number(s, 2, 2, &second))
            return false;
        if (footer_char(s, '.') && !take_fraction(s, &out->ms))
            return false;
    }
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    out->hour = (uint8_t)hour;
    out->minute = (uint8_t)minute;
    out->second = (uint8_t)second;
    out->has_time = true;
    return take_offset(s, out);
}

bool civil_read_date(struct str s, struct civil *out)
{
    struct civil c = {0};
    if (!take_date(&s, &c) || s.n > 0)
        return false;
    *out = c;
    return true;
}

bool civil_read_time(struct str s, struct civil *out)
{
    struct civil c = {0};
    if (!take_time(&s, &c) || s.n > 0)
        return false;
    *out = c;
    return true;
}

bool civil_read(struct str s, struct civil *out)
{
    struct civil c = {0};
    if (!take_date(&s, &c))
        return false;
    if (footer_char(&s, 'T') && !take_time(&s, &c))
        return false;
    if (s.n > 0)
        return false;
    *out = c;
    return true;
}

int64_t civil_instant_ms(const struct civil *c, const struct zone *z)
{
    CHECK(c->has_date);
    int64_t local = civil_days(c->year, c->month, c->day) * DAY_MS;
    if (c->has_time)
        local += ((c->hour * 60 + c->minute) * 60 + c->second) * (int64_t)1000 + c->ms;
    int16_t offset = c->has_offset ? c->offset_min : zone_offset_local(z, local);
    return local - offset * (int64_t)60000;
}

struct civil civil_at(int64_t instant_ms, const struct zone *z)
{
    struct civil c = {.has_date = true, .has_time = true, .has_offset = true};
    c.offset_min = zone_offset_min(z, instant_ms);
    /* Split first, shift then: the sum of the two could pass the end of 64 bits. */
    int64_t days = floor_div(instant_ms, DAY_MS);
    int64_t rest = (instant_ms % DAY_MS + DAY_MS) % DAY_MS + c.offset_min * (int64_t)60000;
    days += floor_div(rest, DAY_MS);
    rest = (rest % DAY_MS + DAY_MS) % DAY_MS;
    civil_from_days(days, &c.year, &c.month, &c.day);
    c.ms = (uint16_t)(rest % 1000);
    c.second = (uint8_t)(rest / 1000 % 60);
    c.minute = (uint8_t)(rest / 60000 % 60);
    c.hour = (uint8_t)(rest / 3600000);
    return c;
}

/* At least `width` digits, zeros in front. */
static char *put_padded(char *at, int64_t v, int width)
{
    char text[20];
    int n = 0;
    if (v < 0) {
        *at++ = '-';
        v = -v;
    }
    for (; v || n < width; v /= 10)
        text[n++] = (char)('0' + v % 10);
    while (n > 0)
        *at++ = text[--n];
    return at;
}

static char *put_date(char *at, int32_t year, uint8_t month, uint8_t day)
{
    at = put_padded(at, year, 4);
    *at++ = '-';
    at = put_padded(at, month, 2);
    *at++ = '-';
    return put_padded(at, day, 2);
}

size_t civil_write_date(int64_t days, char out[static 16])
{
    int32_t year;
    uint8_t month, day;
    civil_from_days(days, &year, &month, &day);
    return (size_t)(put_date(out, year, month, day) - out);
}

size_t civil_write(const struct civil *c, char out[static 40])
{
    char *at = put_date(out, c->year, c->month, c->day);
    *at++ = 'T';
    at = put_padded(at, c->hour, 2);
    *at++ = ':';
    at = put_padded(at, c->minute, 2);
    *at++ = ':';
    at = put_padded(at, c->second, 2);
    *at++ = '.';
    at = put_padded(at, c->ms, 3);
    int32_t offset = c->offset_min;
    *at++ = offset < 0 ? '-' : '+';
    offset = offset < 0 ? -offset : offset;
    at = put_padded(at, offset / 60, 2);
    *at++ = ':';
    at = put_padded(at, offset % 60, 2);
    return (size_t)(at - out);
}
