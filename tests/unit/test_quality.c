/* Checks over a whole table, on rows small enough to count by hand. Published values:
 * tests/conformance/scores. */
#include "tests/support/unit.h"

#include <math.h>
#include <string.h>

#include "risk/quality.h"

#define WIDTH 4

struct world {
    struct arena a;
    const struct pack *pack;
    struct form_findings findings;
    struct quality_report report;
    struct diag d;
};

static void load(struct world *w, const char *over, enum err expected)
{
    static const char head[] =
        "{\"format\":1,\"table\":true,\"id\":\"t\",\"version\":\"1\",\"title\":{\"zh\":\"t\",\"en\":\"t\"},"
        "\"valid\":{},\"inputs\":{\"who\":{\"type\":\"text\",\"zh\":\"w\",\"en\":\"w\"},\"x\":{\"type\":"
        "\"ratio\",\"zh\":\"x\",\"en\":\"x\"},\"y\":{\"type\":\"ratio\",\"zh\":\"y\",\"en\":\"y\"},\"z\":{"
        "\"type\":\"text\",\"zh\":\"z\",\"en\":\"z\"}},\"derived\":{},\"results\":[],\"over\":[{\"id\":\"C\","
        "\"severity\":\"red\",\"name\":{\"zh\":\"查\",\"en\":\"check\"},";
    struct buf text;
    *w = (struct world){0};
    arena_init(&w->a, 64u << 20);
    buf_init(&text, 1u << 20);
    buf_put_z(&text, head);
    buf_put_z(&text, over);
    buf_put_z(&text, "}]}");
    struct str json = arena_str(&w->a, buf_str(&text));
    buf_free(&text);
    enum err rc = pack_load_table(&w->a, json, NULL, 0, &w->pack, &w->findings, &w->d);
    if (rc != expected)
        fail_msg("%s", w->d.text);
}

/* Rows of who, x, y, z; the key is the number of the row, or `keys`. */
static struct quality_data table(struct world *w, const char *const (*rows)[WIDTH], uint32_t count)
{
    struct str *values = ARENA_ARRAY(&w->a, struct str, (size_t)count * WIDTH + 1);
    struct str *keys = ARENA_ARRAY(&w->a, struct str, (size_t)count + 1);
    static const char *const names[] = {"h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9"};
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = str_of(names[i % 10]);
        for (int k = 0; k < WIDTH; k++)
            values[i * WIDTH + (uint32_t)k] = str_of(rows[i][k]);
    }
    return (struct quality_data){values, keys, count};
}

static void check(struct world *w, const char *const (*rows)[WIDTH], uint32_t count,
                  const char *const (*again)[WIDTH], uint32_t again_count)
{
    struct quality_data data = table(w, rows, count), second = table(w, again, again_count);
    if (quality_run(&w->a, w->pack, &data, again ? &second : NULL, &w->report, &w->d))
        fail_msg("%s", w->d.text);
}

static double number(const struct world *w, const char *subject, const char *name)
{
    for (uint32_t i = 0; i < w->report.numbers.count; i++) {
        const struct quality_number *n = &w->report.numbers.at[i];
        if (str_eq_z(n->subject, subject) && strcmp(n->name, name) == 0)
            return n->value;
    }
    fail_msg("there is no %s of \"%s\"", name, subject);
    return 0;
}

static bool flagged(const struct world *w, uint32_t row)
{
    for (uint32_t i = 0; i < w->report.flags.count; i++)
        if (w->report.flags.at[i].row == row)
            return true;
    return false;
}

static bool flagged_subject(const struct world *w, const char *subject)
{
    for (uint32_t i = 0; i < w->report.flags.count; i++)
        if (w->report.flags.at[i].row == UINT32_MAX && str_eq_z(w->report.flags.at[i].subject, subject))
            return true;
    return false;
}

#define CHECK_ROWS(w, rows) check((w), (rows), sizeof(rows) / sizeof(*(rows)), NULL, 0)

static void positions_alike_to_five_decimals_are_twice(void **state)
{
    static const char *const rows[][WIDTH] = {
        {"a", "30.123456", "110.5", ""}, {"a", "30.123459", "110.500001", ""},
        {"b", "30.1235", "110.5", ""},   {"b", "", "110.5", ""},
        {"b", "", "110.5", ""},
    };
    struct world w;
    (void)state;
    load(&w, "\"kind\":\"duplicate\",\"columns\":[\"x\",\"y\"],\"decimals\":5", ERR_OK);
    CHECK_ROWS(&w, rows);
    assert_true(flagged(&w, 0) && flagged(&w, 1) && !flagged(&w, 2));
    assert_false(flagged(&w, 3) || flagged(&w, 4)); /* what is missing is no twin */
    assert_true(number(&w, "x", "repeated") == 1);
    arena_free(&w.a);
}

static void an_outlier_is_one_of_its_own_group(void **state)
{
    static const char *const rows[][WIDTH] = {
        {"a", "1", "", ""},   {"a", "2", "", ""},   {"a", "3", "", ""},   {"a", "4", "", ""},
        {"a", "100", "", ""}, {"b", "100", "", ""}, {"b", "101", "", ""}, {"b", "-", "", ""},
    };
    struct world w;
    (void)state;
    load(&w, "\"kind\":\"outlier\",\"columns\":[\"x\"],\"by\":\"who\"", ERR_OK);
    CHECK_ROWS(&w, rows);
    assert_true(flagged(&w, 4) && w.report.flags.count == 1);
    assert_true(number(&w, "x, a", "p25") == 2 && number(&w, "x, a", "p75") == 4);
    assert_true(number(&w, "x, b", "p50") == 100.5);
    arena_free(&w.a);
}

static void a_row_of_equal_answers_is_a_straight_line(void **state)
{
    static const char *const rows[][WIDTH] = {{"a", "3", "3", "3"},
                                              {"a", "0", "0", "0"},
                                              {"a", "3", "3", "2"},
                                              {"b", "", "", ""}};
    struct world w;
    (void)state;
    load(&w, "\"kind\":\"straight-line\",\"columns\":[\"x\",\"y\",\"z\"],\"by\":\"who\"", ERR_OK);
    CHECK_ROWS(&w, rows);
    assert_true(flagged(&w, 0) && w.report.flags.count == 1);
    assert_true(fabs(number(&w, "a", "share") - 1.0 / 3) < 1e-12);
    arena_free(&w.a);
}

static void late_hours_are_told_also_after_nine(void **state)
{
    static const char *const rows[][WIDTH] = {{"a", "", "", "2026-11-23T06:59:00+08:00"},
                                              {"a", "", "", "2026-11-23T07:00:00+08:00"},
                                              {"a", "", "", "2026-11-23T18:59:59+08:00"},
                                              {"a", "", "", "2026-11-23T22:30:00+08:00"},
                                              {"a", "", "", "2026-11-23"}};
    struct world w;
    (void)state;
    load(&w, "\"kind\":\"hour\",\"columns\":[\"z\"]", ERR_OK);
    CHECK_ROWS(&w, rows);
    assert_true(flagged(&w, 0) && flagged(&w, 3) && w.report.flags.count == 2);
    arena_free(&w.a);
}

static void round_ages_give_whipples_index(void **state)
{
    static const char *const rows[][WIDTH] = {
        {"a", "25", "", ""}, {"a", "30", "", ""}, {"a", "31", "", ""}, {"a", "40", "", ""},
        {"a", "20", "", ""}, {"a", "65", "", ""}, {"b", "23", "", ""}, {"b", "62", "", ""},
    };
    struct world w;
    (void)state;
    load(&w, "\"kind\":\"whipple\",\"columns\":[\"x\"],\"by\":\"who\",\"count\":4", ERR_OK);
    CHECK_ROWS(&w, rows);
    assert_true(number(&w, "a", "whipple") == 375 && number(&w, "a", "count") == 4);
    assert_true(number(&w, "b", "whipple") == 0);
    assert_true(flagged_subject(&w, "a") && w.report.flags.count == 1);
    arena_free(&w.a);
}

static void a_second_visit_finds_who_answers_otherwise(void **state)
{
    static const char *const first[][WIDTH] = {{"a", "4", "", "f"}, {"a", "5", "", "m"}, {"a", "6", "", "f"},
                                               {"b", "2", "", "f"}, {"b", "9", "", "m"}, {"b", "3", "", ""}};
    static const char *const second[][WIDTH] = {
        {"", "4", "", "f"}, {"", "5", "", "m"}, {"", "6", "", "f"}, {"", "4", "", "m"}, {"", "9", "", "m"}};
    struct world w;
    (void)state;
    load(&w, "\"kind\":\"back-check\",\"columns\":[\"x\",\"z\"],\"by\":\"who\"", ERR_OK);
    check(&w, first, 6, second, 5);
    assert_true(number(&w, "", "pairs") == 5 && number(&w, "", "compared") == 10);
    assert_true(number(&w, "x", "error") == 0.2 && number(&w, "z", "error") == 0.2);
    assert_true(number(&w, "b", "error") == 0.5 && number(&w, "a", "error") == 0);
    assert_true(flagged_subject(&w, "b") && !flagged_subject(&w, "a"));
    /* differences 0 0 0 -2 0: variance 0.8; first answers 4 5 6 2 9: variance 6.7 */
    assert_true(fabs(number(&w, "x", "srv") - 0.4) < 1e-12);
    assert_true(fabs(number(&w, "x", "reliability") - (1 - 0.4 / 6.7)) < 1e-12);
    arena_free(&w.a);
}

static void benford_does_not_judge_few_numbers(void **state)
{
    static const char *const rows[][WIDTH] = {{"a", "9", "", ""}, {"a", "99", "", ""}};
    struct world w;
    (void)state;
    load(&w, "\"kind\":\"benford\",\"columns\":[\"x\"]", ERR_OK);
    CHECK_ROWS(&w, rows);
    assert_int_equal(w.report.flags.count + w.report.numbers.count, 0);
    arena_free(&w.a);
}

static void far_from_the_village_is_flagged(void **state)
{
    static const char over[] = "\"kind\":\"position\",\"columns\":[\"x\",\"y\",\"z\"],\"accuracy\":20";
    static const char *const rows[][WIDTH] = {{"a", "30.5", "110.5", "8"},
                                              {"a", "30.5", "110.5", "21"},
                                              {"a", "", "", ""}};
    struct world w;
    (void)state;
    load(&w, over, ERR_OK);
    CHECK_ROWS(&w, rows);
    assert_true(flagged(&w, 1) && w.report.flags.count == 1);
    arena_free(&w.a);
}

static void mistakes_in_a_check_are_named(void **state)
{
    static const char *const cases[][2] = {
        {"\"kind\":\"outliers\",\"columns\":[\"x\"]", "known are: duplicate"},
        {"\"kind\":\"outlier\",\"columns\":[\"q\"]", "no input or result \"q\""},
        {"\"kind\":\"outlier\",\"columns\":[\"x\"],\"k\":\"much\"", "must be a number"},
        {"\"kind\":\"outlier\",\"columns\":[\"x\"],\"kk\":2", "no \"kk\" here"},
        {"\"kind\":\"straight-line\",\"columns\":[\"x\"]", "at least 2 columns"},
    };
    struct world w;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        load(&w, cases[i][0], ERR_SYNTAX);
        if (!strstr(w.d.text, cases[i][1]))
            fail_msg("case %zu says: %s", i, w.d.text);
        arena_free(&w.a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_alike_to_five_decimals_are_twice),
        cmocka_unit_test(an_outlier_is_one_of_its_own_group),
        cmocka_unit_test(a_row_of_equal_answers_is_a_straight_line),
        cmocka_unit_test(late_hours_are_told_also_after_nine),
        cmocka_unit_test(round_ages_give_whipples_index),
        cmocka_unit_test(a_second_visit_finds_who_answers_otherwise),
        cmocka_unit_test(benford_does_not_judge_few_numbers),
        cmocka_unit_test(far_from_the_village_is_flagged),
        cmocka_unit_test(mistakes_in_a_check_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
