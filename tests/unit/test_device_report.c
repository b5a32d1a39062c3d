/* The word that a handheld says about itself: there and back, coarse on purpose, and nothing else passes. */
#include "tests/support/unit.h"

#include <string.h>

#include "sync/device_report.h"

static struct str written(struct buf *b, int battery, int64_t free_mb, uint32_t waiting, const char *version)
{
    const struct device_report r = {battery, free_mb, waiting, str_of(version)};
    buf_init(b, DEVICE_REPORT_MAX);
    device_report_write(&r, b);
    return buf_str(b);
}

static void test_there_and_back(void **state)
{
    static const struct {
        int battery;
        int64_t free_mb;
        uint32_t waiting;
        const char *version, *text;
        int64_t least_mb;
    } cases[] = {
        {3, 5000, 0, "", "3c.0", 4096},       {0, 0, 17, "0.9.1-dev", "00.17.0.9.1-dev", 0},
        {-1, -1, 0, "", "--.0", -1},          {2, 1, 1, "a b/c", "20.1.a_b_c", 0},
        {1, 1LL << 40, 0, "", "1f.0", 32768}, {1, 511, 0, "", "18.0", 256},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf b;
        struct device_report r;
        struct str text = written(&b, cases[i].battery, cases[i].free_mb, cases[i].waiting, cases[i].version);
        assert_true(str_eq_z(text, cases[i].text));
        assert_true(device_report_read(text, &r));
        assert_int_equal(r.battery, cases[i].battery);
        assert_int_equal(r.free_mb, cases[i].least_mb);
        assert_int_equal(r.waiting, cases[i].waiting);
        buf_free(&b);
    }
}

static void test_batteries_are_told_in_four_steps(void **state)
{
    static const int steps[] = {0, 9, 10, 29, 30, 59, 60, 100}, levels[] = {0, 0, 1, 1, 2, 2, 3, 3};
    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_equal(device_battery_level(steps[i]), levels[i]);
    assert_int_equal(device_battery_level(-1), -1);
}

static void test_what_is_none_is_not_taken(void **state)
{
    static const char *const wrong[] = {"",      ".",        "3",        "3c",       "3c.",
                                        "4c.0",  "3g.0",     "3c.x",     "3cc.0",    "3c.4294967296",
                                        "3c.-1", "3c.0.<b>", "3c.0.a b", "3c.0.\x01"};
    struct device_report r;
    char long_text[200];
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(device_report_read(str_of(wrong[i]), &r));
    memset(long_text, 'a', sizeof long_text);
    memcpy(long_text, "3c.0.", 5);
    assert_false(device_report_read((struct str){long_text, 5 + DEVICE_VERSION_MAX + 1}, &r));
    assert_true(device_report_read((struct str){long_text, 5 + DEVICE_VERSION_MAX}, &r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_batteries_are_told_in_four_steps),
        cmocka_unit_test(test_what_is_none_is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
