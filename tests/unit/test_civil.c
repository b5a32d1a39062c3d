/* Dates and times: real zones of this machine, with instants whose local time is public knowledge, and the C
 * library as a witness far beyond the tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "platform/base/buf.h"
#include "platform/base/civil.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 22);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static struct str zone_bytes(const char *name)
{
    static char bytes[65536];
    char path[200];
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return STR_NONE;
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    return (struct str){bytes, n};
}

static const struct zone *zone_named(const char *name)
{
    struct diag d = {0};
    const struct zone *z = NULL;
    struct str bytes = zone_bytes(name);
    if (!bytes.p) {
        print_message("no zone files on this machine (package tzdata)\n");
        skip();
    }
    if (zone_read(&arena, bytes, &z, &d))
        fail_msg("%s: %s", name, d.text);
    return z;
}

static int64_t instant(const char *text)
{
    struct civil c;
    if (!civil_read(str_of(text), &c))
        fail_msg("%s is a date and time", text);
    return civil_instant_ms(&c, zone_utc());
}

static void assert_local(const struct zone *z, const char *utc, const char *expected)
{
    struct civil c = civil_at(instant(utc), z);
    char text[41];
    text[civil_write(&c, text)] = '\0';
    assert_string_equal(text, expected);
}

static void every_day_of_the_calendar_comes_back(void **state)
{
    (void)state;
    assert_int_equal(civil_days(1970, 1, 1), 0);
    assert_int_equal(civil_days(2000, 2, 29), 11016);
    assert_int_equal(civil_days(1, 1, 1), -719162);
    int64_t expected = civil_days(1, 1, 1);
    for (int32_t year = 1; year <= 9999; year++) {
        for (uint8_t month = 1; month <= 12; month++) {
            for (uint8_t day = 1; day <= 31; day++) {
                if (!civil_valid_date(year, month, day))
                    continue;
                int32_t y;
                uint8_t m, d;
                assert_true(civil_days(year, month, day) == expected);
                civil_from_days(expected, &y, &m, &d);
                assert_true(y == year && m == month && d == day);
                expected++;
            }
        }
    }
    assert_true(expected == 2932897); /* 10000-01-01 */
}

static void weekdays_are_right(void **state)
{
    (void)state;
    assert_int_equal(civil_weekday(0), 4);
    assert_int_equal(civil_weekday(-1), 3);
    assert_int_equal(civil_weekday(civil_days(2024, 2, 29)), 4);
    assert_int_equal(civil_weekday(civil_days(1, 1, 1)), 1);
}

static void impossible_dates_are_refused(void **state)
{
    (void)state;
    const char *wrong[] = {"",           "2023-02-29",  "2023-13-01",
                           "2023-00-10", "2023-01-00",  "2023-1-32",
                           "0000-01-01", "23-01-01",    "12023-01-01",
                           "2023/01/01", "2023-01-01 ", " 2023-01-01",
                           "2023-01",    "-2023-01-01", "2023-001-01"};
    struct civil c = {.year = 7};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (civil_read_date(str_of(wrong[i]), &c) || civil_read(str_of(wrong[i]), &c))
            fail_msg("\"%s\" was taken for a date", wrong[i]);
    }
    assert_int_equal(c.year, 7);
    assert_true(civil_read_date(STR("2024-2-9"), &c) && c.month == 2 && c.day == 9);
    const char *wrong_times[] = {"",          "8:00",    "08",        "24:00",   "08:60",
                                 "08:00:60",  "08:00:0", "08:00:00.", "08:00+8", "08:00+19:00",
                                 "08:00+08:", "08:00ZZ", "08:00+0800"};
    for (size_t i = 0; i < sizeof wrong_times / sizeof wrong_times[0]; i++) {
        if (civil_read_time(str_of(wrong_times[i]), &c))
            fail_msg("\"%s\" was taken for a time", wrong_times[i]);
    }
}

static void times_are_read_as_xforms_write_them(void **state)
{
    (void)state;
    struct civil c;
    assert_true(civil_read_time(STR("08:05"), &c));
    assert_true(c.hour == 8 && c.minute == 5 && !c.has_offset && c.has_time && !c.has_date);
    assert_true(civil_read_time(STR("23:59:59.9999-03:30"), &c));
    assert_true(c.second == 59 && c.ms == 999 && c.has_offset && c.offset_min == -210);
    assert_true(civil_read(STR("2026-11-07T10:00:00.250+08"), &c));
    assert_true(c.ms == 250 && c.offset_min == 480);
    assert_true(civil_instant_ms(&c, zone_utc()) == 1794016800250);
    assert_true(civil_read(STR("2026-11-07T02:00Z"), &c));
    assert_true(civil_instant_ms(&c, NULL) == 1794016800000);
    assert_true(civil_read(STR("2026-11-07"), &c) && !c.has_time);
    char text[41];
    struct civil back = civil_at(-1, zone_utc());
    text[civil_write(&back, text)] = '\0';
    assert_string_equal(text, "1969-12-31T23:59:59.999+00:00");
    text[civil_write_date(-719162, text)] = '\0';
    assert_string_equal(text, "0001-01-01");
    text[civil_write_date(INT64_MAX, text)] = '\0'; /* far outside: bounded, not undefined */
    assert_in_range(strlen(text), 10, 16);
    back = civil_at(INT64_MIN, zone_utc());
    assert_in_range(civil_write(&back, text), 20, 40);
}

static void phoenix_has_no_summer_time_today(void **state)
{
    (void)state;
    const struct zone *z = zone_named("America/Phoenix");
    assert_local(z, "2026-07-01T12:00Z", "2026-07-01T05:00:00.000-07:00");
    assert_local(z, "2026-12-01T12:00Z", "2026-12-01T05:00:00.000-07:00");
    assert_local(z, "1943-07-01T12:00Z", "1943-07-01T06:00:00.000-06:00"); /* war time */
    assert_local(z, "2100-07-01T12:00Z", "2100-07-01T05:00:00.000-07:00");
}

static void shanghai_had_summer_time_until_1991(void **state)
{
    (void)state;
    const struct zone *z = zone_named("Asia/Shanghai");
    assert_local(z, "2026-07-01T12:00Z", "2026-07-01T20:00:00.000+08:00");
    assert_local(z, "1988-07-01T12:00Z", "1988-07-01T21:00:00.000+09:00");
    assert_local(z, "1992-07-01T12:00Z", "1992-07-01T20:00:00.000+08:00");
    assert_local(z, "1900-01-01T00:00Z", "1900-01-01T08:06:00.000+08:06"); /* 8:05:43, to the minute */
}

static void berlin_follows_its_rule_beyond_the_table(void **state)
{
    (void)state;
    const struct zone *z = zone_named("Europe/Berlin");
    assert_local(z, "2026-03-29T00:59:59Z", "2026-03-29T01:59:59.000+01:00");
    assert_local(z, "2026-03-29T01:00Z", "2026-03-29T03:00:00.000+02:00");
    assert_local(z, "2026-10-25T00:59:59Z", "2026-10-25T02:59:59.000+02:00");
    assert_local(z, "2026-10-25T01:00Z", "2026-10-25T02:00:00.000+01:00");
    assert_local(z, "2099-07-01T00:00Z", "2099-07-01T02:00:00.000+02:00");
    assert_local(z, "2099-12-31T23:30Z", "2100-01-01T00:30:00.000+01:00");
}

/* A visit at half past two in the night when the clocks change. */
static void gaps_and_overlaps_take_the_offset_before_the_change(void **state)
{
    (void)state;
    const struct zone *z = zone_named("Europe/Berlin");
    const struct {
        const char *local;
        int offset_min;
    } cases[] = {
        {"2026-03-29T01:59", 60},  {"2026-03-29T02:30", 60},  {"2026-03-29T03:00", 120},
        {"2026-10-25T01:59", 120}, {"2026-10-25T02:30", 120}, {"2026-10-25T03:00", 60},
        {"2090-03-26T02:30", 60},  {"2090-03-26T03:00", 120}, {"2090-10-29T02:30", 120},
        {"2090-10-29T03:00", 60},  {"1996-10-27T02:30", 120}, {"2030-01-01T00:00", 60},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (zone_offset_local(z, instant(cases[i].local)) != cases[i].offset_min)
            fail_msg("%s", cases[i].local);
    }
}

/* The C library reads the same files with code of its own. */
static void all_kinds_of_zones_agree_with_the_c_library(void **state)
{
    (void)state;
    const char *names[] = {"America/Phoenix",  "Asia/Shanghai",     "Europe/Berlin",    "America/New_York",
                           "Europe/Dublin",    "Africa/Casablanca", "Asia/Kathmandu",   "Australia/Lord_Howe",
                           "America/Santiago", "Pacific/Apia",      "Asia/Gaza",        "America/Nuuk",
                           "Africa/Monrovia",  "America/Caracas",   "Antarctica/Troll", "Pacific/Chatham"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct zone *z = zone_named(names[i]);
        setenv("TZ", names[i], 1);
        tzset();
        for (int64_t s = -2000000000; s < 5000000000; s += 86400 * 3 + 3601) {
            time_t t = (time_t)s;
            struct tm tm;
            localtime_r(&t, &tm);
            long off = tm.tm_gmtoff;
            long expected = off >= 0 ? (off + 30) / 60 : -((-off + 29) / 60);
            if (zone_offset_min(z, s * 1000) != expected)
                fail_msg("%s at %lld: %d, expected %ld", names[i], (long long)s, zone_offset_min(z, s * 1000),
                         expected);
        }
    }
    unsetenv("TZ");
    tzset();
}

/* A file without transitions, whose footer alone decides. */
static struct str made_zone(struct buf *b, const char *footer)
{
    static const unsigned char head[44] = {'T', 'Z',      'i',     'f',
                                           '2', [39] = 1, [43] = 4}; /* one type, 4 letters */
    buf_clear(b);
    for (int i = 0; i < 2; i++) {
        buf_put(b, head, sizeof head);
        buf_put(b, "\0\0\0\0\0\0UTC\0", 10);
    }
    buf_printf(b, "\n%s\n", footer);
    return buf_str(b);
}

static void footers_of_every_form_are_read(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    const struct {
        const char *footer, *utc;
        int offset_min;
    } cases[] = {
        {"<+0545>-5:45", "2026-01-01T00:00Z", 345},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-03-08T06:59:59Z", -300},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-03-08T07:00Z", -240},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-11-01T05:59:59Z", -240},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-11-01T06:00Z", -300},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T00:59:59Z", -120},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00Z", -60},
        {"XXX3EDT4,0/0,J365/23", "2026-01-01T02:59:00Z", -240}, /* summer all year, RFC 8536 section 3.3.1 */
        {"XXX3EDT4,0/0,J365/23", "2026-01-01T03:00Z", -240},
        {"XXX3EDT4,0/0,J365/23", "2026-07-01T00:00Z", -240},
        {"AAA-1BBB,J60,J300", "2024-03-01T00:59:59Z", 60}, /* J60 is the first of March in a leap year too */
        {"AAA-1BBB,J60,J300", "2024-03-01T01:00Z", 120},
        {"AAA-1BBB,59,299", "2024-02-29T01:00Z", 120},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct zone *z;
        struct diag d = {0};
        if (zone_read(&arena, made_zone(&b, cases[i].footer), &z, &d))
            fail_msg("%s: %s", cases[i].footer, d.text);
        int got = zone_offset_min(z, instant(cases[i].utc));
        if (got != cases[i].offset_min)
            fail_msg("%s at %s: %d", cases[i].footer, cases[i].utc, got);
    }
    const char *wrong[] = {"U0",
                           "UTC",
                           "<UTC0",
                           "UTC0DST,M13.1.0,M11.1.0",
                           "UTC0DST",
                           "UTC0DST,M3.2.0",
                           "UTC0DST,M3.6.0,M4.1.0",
                           "UTC0 ",
                           "UTC999",
                           "UTC0DST,J0,J3"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const struct zone *z = NULL;
        if (zone_read(&arena, made_zone(&b, wrong[i]), &z, NULL) != ERR_CORRUPT)
            fail_msg("\"%s\" was taken for a rule", wrong[i]);
        assert_null(z);
    }
    buf_free(&b);
}

static void damaged_zone_files_are_refused_or_bounded(void **state)
{
    (void)state;
    struct str whole = zone_bytes("Europe/Berlin");
    if (!whole.p)
        skip();
    char *copy = malloc(whole.n);
    assert_non_null(copy);
    for (size_t n = 0; n < whole.n; n++) {
        const struct zone *z = NULL;
        char *exact = malloc(n ? n : 1); /* its own block, so that a read past the end is seen */
        assert_non_null(exact);
        memcpy(exact, whole.p, n);
        struct arena_mark mark = arena_mark(&arena);
        assert_int_equal(zone_read(&arena, (struct str){exact, n}, &z, NULL), ERR_CORRUPT);
        arena_release(&arena, mark);
        free(exact);
    }
    for (size_t i = 0; i < whole.n; i++) {
        const struct zone *z = NULL;
        struct diag d = {0};
        memcpy(copy, whole.p, whole.n);
        copy[i] = (char)(copy[i] ^ 0xFF);
        struct arena_mark mark = arena_mark(&arena);
        if (zone_read(&arena, (struct str){copy, whole.n}, &z, &d) == ERR_OK)
            assert_in_range(zone_offset_min(z, 1794016800000) + 26 * 60, 0, 52 * 60);
        else
            assert_true(d.text[0] != '\0');
        arena_release(&arena, mark);
    }
    free(copy);
}

static void fixed_zones_stay_fixed(void **state)
{
    (void)state;
    const struct zone *z;
    assert_int_equal(zone_fixed(&arena, -210, &z), ERR_OK);
    assert_int_equal(zone_offset_min(z, 0), -210);
    assert_int_equal(zone_offset_local(z, INT64_MAX / 2), -210);
    assert_int_equal(zone_offset_min(zone_utc(), 12345), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_of_the_calendar_comes_back),
        cmocka_unit_test(weekdays_are_right),
        cmocka_unit_test(impossible_dates_are_refused),
        cmocka_unit_test(times_are_read_as_xforms_write_them),
        cmocka_unit_test(phoenix_has_no_summer_time_today),
        cmocka_unit_test(shanghai_had_summer_time_until_1991),
        cmocka_unit_test(berlin_follows_its_rule_beyond_the_table),
        cmocka_unit_test(gaps_and_overlaps_take_the_offset_before_the_change),
        cmocka_unit_test(all_kinds_of_zones_agree_with_the_c_library),
        cmocka_unit_test(footers_of_every_form_are_read),
        cmocka_unit_test(damaged_zone_files_are_refused_or_bounded),
        cmocka_unit_test(fixed_zones_stay_fixed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
