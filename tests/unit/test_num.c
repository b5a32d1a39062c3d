/* Numbers: what a form author wrote, what is stored, and what is printed must be the same number everywhere.
 * The C library of the test machine is the independent witness. */
#include "tests/support/unit.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/base/num.h"

static uint64_t random_u64(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void assert_written(double v, const char *expected)
{
    char text[NUM_TEXT_MAX];
    size_t n = num_write(v, text);
    if (!str_eq((struct str){text, n}, str_of(expected)))
        fail_msg("%.17g was written as \"%.*s\", expected \"%s\"", v, (int)n, text, expected);
}

static void assert_read(const char *text, double expected)
{
    double v = -1;
    if (!num_read_exp(str_of(text), &v) || bits_of(v) != bits_of(expected))
        fail_msg("\"%.60s\" was read as %.17g, expected %.17g", text, v, expected);
}

static void people_see_plain_decimals(void **state)
{
    (void)state;
    assert_written(0, "0");
    assert_written(-0.0, "0");
    assert_written(-42, "-42");
    assert_written(0.1, "0.1");
    assert_written(0.1 + 0.2, "0.30000000000000004");
    assert_written(2.0 / 3, "0.6666666666666666");
    assert_written(123456.789, "123456.789");
    assert_written(0.005, "0.005");
    assert_written(1e15, "1000000000000000");
    assert_written(9007199254740992.0, "9007199254740992");
    assert_written(1e21, "1000000000000000000000");
    assert_written(1e23, "100000000000000000000000");
    assert_written(0.0000001, "0.0000001");
    assert_written(INFINITY, "Infinity");
    assert_written(-INFINITY, "-Infinity");
    assert_written(NAN, "NaN");
}

static void the_ends_of_the_range_are_written_and_read(void **state)
{
    (void)state;
    char smallest[NUM_TEXT_MAX + 1], largest[NUM_TEXT_MAX + 1];
    size_t n = num_write(double_of(1), smallest);
    smallest[n] = '\0';
    assert_int_equal(n, 2 + 324);
    assert_int_equal(smallest[n - 1], '5');
    assert_read(smallest, double_of(1));
    double max = double_of(0x7FEFFFFFFFFFFFFF);
    n = num_write(max, largest);
    largest[n] = '\0';
    assert_int_equal(n, 309);
    assert_read(largest, max);
    assert_read("1.7976931348623159e308", INFINITY);
    assert_read("1e99999999999999999999999", INFINITY);
    assert_read("-1e400", -INFINITY);
    assert_read("1e-99999999999999999999999", 0.0);
    assert_read("2.4703282292062327e-324", 0.0);
    assert_read("2.4703282292062328e-324", double_of(1));
    assert_read("2.2250738585072011e-308", 2.2250738585072011e-308);
}

static void numbers_half_way_go_to_the_even_neighbour(void **state)
{
    (void)state;
    assert_read("9007199254740993", 9007199254740992.0);
    assert_read("9007199254740993.00000000000000000000000000000000000000000000000001", 9007199254740994.0);
    assert_read("9007199254740995", 9007199254740996.0);
    /* One digit far behind the 800th decides. */
    char text[1200];
    int n = snprintf(text, sizeof text, "9007199254740993.");
    memset(text + n, '0', 1000);
    text[n + 1000] = '\0';
    assert_read(text, 9007199254740992.0);
    text[n + 999] = '1';
    assert_read(text, 9007199254740994.0);
}

static void only_numbers_are_read(void **state)
{
    (void)state;
    const char *wrong[] = {"",   "-",   ".",  "-.",  "+1",    " 1",  "1 ",       "1,5", "0x10",
                           "1e", "1e+", "e5", "--1", "1.2.3", "NaN", "Infinity", "inf", "１"};
    double v = 7;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (num_read(str_of(wrong[i]), &v) || num_read_exp(str_of(wrong[i]), &v))
            fail_msg("\"%s\" was taken for a number", wrong[i]);
    }
    assert_false(num_read(STR("1e5"), &v)); /* XPath 1.0 has no exponents */
    assert_true(v == 7);
    assert_true(num_read(STR("5."), &v) && v == 5);
    assert_true(num_read(STR("-.5"), &v) && v == -0.5);
    assert_true(num_read(STR("007"), &v) && v == 7);
    assert_true(num_read_exp(STR("1.5E+2"), &v) && v == 150);
}

static void check_round_trip(double v)
{
    char text[NUM_TEXT_MAX + 1];
    size_t n = num_write(v, text);
    text[n] = '\0';
    assert_in_range(n, 1, NUM_TEXT_MAX);
    double back = strtod(text, NULL);
    if (v != 0 && bits_of(back) != bits_of(v))
        fail_msg("%.17g was written as %s, which the C library reads as %.17g", v, text, back);
    double ours = 0;
    if (!num_read(str_of(text), &ours) || (v != 0 && bits_of(ours) != bits_of(v)))
        fail_msg("%s was read as %.17g, the C library says %.17g", text, ours, v);
}

/* Significant digits of plain decimal text. */
static int significant(const char *text)
{
    int count = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (*text == '0' && count == 0))
            continue;
        zeros = *text == '0' ? zeros + 1 : 0;
        count++;
    }
    return count - zeros;
}

static void assert_shortest(double v)
{
    char ours[NUM_TEXT_MAX + 1], theirs[64];
    ours[num_write(v, ours)] = '\0';
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(theirs, sizeof theirs, "%.*e", digits - 1, v);
        if (strtod(theirs, NULL) == v)
            break;
    }
    /* At a power of two the C library's nearest decimal may be longer than one that still reads back. */
    if (significant(ours) > significant(theirs))
        fail_msg("%s is not the shortest: the C library finds %s", ours, theirs);
}

static void a_million_doubles_agree_with_the_c_library(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 400000 / THINNED(8); i++) {
        uint64_t bits = random_u64(&seed);
        if ((bits >> 52 & 2047) == 2047)
            continue;
        double v = double_of(bits);
        check_round_trip(v);
        if (i % 16 == 0)
            assert_shortest(v);
    }
    /* The kind that forms hold: money, areas, coordinates, counts. */
    for (int i = 0; i < 600000 / THINNED(8); i++) {
        double v = (double)(int64_t)(random_u64(&seed) % 2000000000000) /
                   (double[]){1, 10, 100, 1000, 1e6, 3}[i % 6];
        check_round_trip(i & 8 ? -v : v);
        if (i % 64 == 0)
            assert_shortest(v);
    }
}

static void written_decimals_of_any_length_agree_with_the_c_library(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (int i = 0; i < 100000; i++) {
        char text[160];
        size_t digits = 1 + random_u64(&seed) % (i % 10 ? 20 : 120);
        size_t n = 0;
        for (size_t k = 0; k < digits; k++)
            text[n++] = (char)('0' + random_u64(&seed) % 10);
        if (i % 2)
            text[random_u64(&seed) % n] = '.';
        int exponent = (int)(random_u64(&seed) % 700) - 350;
        snprintf(text + n, sizeof text - n, "e%d", i % 3 ? exponent : exponent / 20);
        if (str_eq(str_sub(str_of(text), 0, 2), STR(".e")))
            continue;
        assert_read(text, strtod(text, NULL));
    }
}

static void powers_of_two_and_their_neighbours_are_exact(void **state)
{
    (void)state;
    for (uint64_t exponent = 0; exponent < 2047; exponent++) {
        for (int step = -1; step <= 1; step++) {
            uint64_t bits = (exponent << 52) + (uint64_t)(int64_t)step;
            if ((int64_t)bits < 0)
                continue;
            check_round_trip(double_of(bits));
            assert_shortest(double_of(bits));
        }
    }
}

static void a_locale_with_commas_changes_nothing(void **state)
{
    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
        skip();
    assert_written(1.5, "1.5");
    assert_read("1.5", 1.5);
    setlocale(LC_ALL, "C");
}

static struct dec dec_of(const char *text)
{
    struct dec d;
    if (!dec_read(str_of(text), &d))
        fail_msg("\"%s\" is a decimal", text);
    return d;
}

static void assert_dec(struct dec d, const char *expected)
{
    char text[24];
    size_t n = dec_write(d, text);
    if (!str_eq((struct str){text, n}, str_of(expected)))
        fail_msg("got %.*s, expected %s", (int)n, text, expected);
}

static void money_is_exact(void **state)
{
    (void)state;
    struct dec sum = dec_of("0");
    for (int i = 0; i < 1000; i++)
        assert_true(dec_add(sum, dec_of("0.1"), &sum));
    assert_dec(sum, "100");
    struct dec out;
    assert_true(dec_sub(dec_of("10000.00"), dec_of("0.01"), &out));
    assert_dec(out, "9999.99");
    assert_true(dec_mul(dec_of("-12.5"), dec_of("0.08"), &out));
    assert_dec(out, "-1");
    assert_true(dec_div(dec_of("1"), dec_of("8"), &out));
    assert_dec(out, "0.125");
    assert_true(dec_div(dec_of("-7500.60"), dec_of("12"), &out));
    assert_dec(out, "-625.05");
    assert_false(dec_div(dec_of("1"), dec_of("3"), &out));
    assert_false(dec_div(dec_of("1"), dec_of("0"), &out));
    assert_dec(dec_of("0.000000001"), "0.000000001");
    assert_dec(dec_of("-0.50"), "-0.5");
    assert_dec(dec_of("000.000"), "0");
    assert_true(dec_double(dec_of("0.1")) == 0.1);
    assert_true(dec_double(dec_of("-922337203685477.5808")) == -922337203685477.5808);
}

static void decimals_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct dec d = {5, 0}, max = dec_of("9223372036854775807"), min = dec_of("-9223372036854775808");
    const char *wrong[] = {"",
                           "-",
                           ".",
                           "1e3",
                           "0.0000000001",
                           "9223372036854775808",
                           "99999999999999999999",
                           "1844674407370955161600",
                           " 1",
                           "1-"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (dec_read(str_of(wrong[i]), &d))
            fail_msg("\"%s\" was taken for a decimal", wrong[i]);
    }
    assert_int_equal(d.coefficient, 5);
    assert_false(dec_add(max, dec_of("1"), &d));
    assert_false(dec_sub(min, dec_of("1"), &d));
    assert_false(dec_mul(max, dec_of("2"), &d));
    assert_false(dec_mul(dec_of("0.00001"), dec_of("0.00001"), &d)); /* would need ten places */
    assert_true(dec_add(max, min, &d));
    assert_dec(d, "-1");
    assert_true(dec_div(min, min, &d));
    assert_dec(d, "1");
    /* A sum that fits although one operand, brought to the other's scale, does not. */
    assert_true(dec_add(dec_of("1000000000000000000"), dec_of("-920000000000000000.5"), &d));
    assert_dec(d, "79999999999999999.5");
}

static void decimals_compare_by_value(void **state)
{
    (void)state;
    assert_int_equal(dec_cmp(dec_of("1.50"), dec_of("1.5")), 0);
    assert_int_equal(dec_cmp(dec_of("-1"), dec_of("0.000000001")), -1);
    assert_int_equal(dec_cmp(dec_of("9223372036854775807"), dec_of("9223372036.854775807")), 1);
    assert_int_equal(dec_cmp(dec_of("-2"), dec_of("-3.5")), 1);
    assert_int_equal(dec_cmp((struct dec){0, 9}, (struct dec){0, 0}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_see_plain_decimals),
        cmocka_unit_test(the_ends_of_the_range_are_written_and_read),
        cmocka_unit_test(numbers_half_way_go_to_the_even_neighbour),
        cmocka_unit_test(only_numbers_are_read),
        cmocka_unit_test(a_million_doubles_agree_with_the_c_library),
        cmocka_unit_test(written_decimals_of_any_length_agree_with_the_c_library),
        cmocka_unit_test(powers_of_two_and_their_neighbours_are_exact),
        cmocka_unit_test(a_locale_with_commas_changes_nothing),
        cmocka_unit_test(money_is_exact),
        cmocka_unit_test(decimals_that_do_not_fit_are_refused),
        cmocka_unit_test(decimals_compare_by_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
