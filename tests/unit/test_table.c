/* Packs over tables: values that are missing stay missing, look-up tables, members, mistakes; and the two
 * functions of libm that rules have of their own. Published values: tests/conformance/scores. */
#include "tests/support/unit.h"

#include <math.h>
#include <string.h>

#include "risk/table.h"

static void assert_str(struct str got, const char *want)
{
    if (!str_eq_z(got, want))
        fail_msg("\"%.*s\" instead of \"%s\"", STR_ARG(got), want);
}

struct world {
    struct arena a;
    const struct pack *pack;
    struct form_findings findings;
    struct diag d;
};

static const char head[] =
    "{\"format\":1,\"table\":true,\"id\":\"t\",\"version\":\"1\",\"title\":{\"zh\":\"t\",\"en\":\"t\"},"
    "\"valid\":{},\"inputs\":{\"a\":{\"type\":\"count\",\"zh\":\"a\",\"en\":\"a\"},"
    "\"day\":{\"type\":\"date\",\"zh\":\"d\",\"en\":\"d\"}},"
    "\"sets\":{\"members\":{\"zh\":\"m\",\"en\":\"m\",\"fields\":{"
    "\"age\":{\"type\":\"count\",\"zh\":\"a\",\"en\":\"a\"}}}},";

static enum err load(struct world *w, const char *rest, const struct pack_lookup_file *files, uint32_t count)
{
    struct buf text;
    arena_init(&w->a, 64u << 20);
    buf_init(&text, 1u << 20);
    buf_put_z(&text, head);
    buf_put_z(&text, rest);
    struct str json = arena_str(&w->a, buf_str(&text));
    buf_free(&text);
    return pack_load_table(&w->a, json, files, count, &w->pack, &w->findings, &w->d);
}

static struct table_judgement judged(struct world *w, const char *a, const char *day, const char *const *ages,
                                     uint32_t count)
{
    struct str values[2] = {str_of(a), str_of(day)}, members[8];
    struct table_judgement out;
    for (uint32_t i = 0; i < count; i++)
        members[i] = str_of(ages[i]);
    struct table_rows rows = {members, count};
    struct table_household h = {values, &rows, STR(""), 20000};
    if (table_judge(&w->a, w->pack, &h, &out, &w->d))
        fail_msg("%s", w->d.text);
    return out;
}

static void a_missing_value_gives_no_score(void **state)
{
    struct world w = {0};
    const char *const ages[] = {"4", "", "70"};
    (void)state;
    assert_int_equal(load(&w,
                          "\"derived\":{\"twice\":{\"value\":\"$a * 2\",\"type\":\"count\",\"zh\":\"t\","
                          "\"en\":\"t\"},\"old\":{\"value\":\"count($members[age >= 60]) > 0\",\"type\":"
                          "\"yesno\",\"zh\":\"o\",\"en\":\"o\"},\"young\":{\"value\":\"count($members[age < "
                          "3]) > 0\",\"type\":\"yesno\",\"zh\":\"y\",\"en\":\"y\"}},"
                          "\"results\":[\"twice\",\"old\",\"young\"],\"totals\":{\"mean\":{\"mean\":"
                          "\"twice\",\"zh\":\"m\",\"en\":\"m\"}}}",
                          NULL, 0),
                     ERR_OK);
    struct table_judgement j = judged(&w, "21", "", ages, 3);
    assert_int_equal(j.result_count, 3);
    assert_str(j.results[0].text, "42");
    assert_str(j.results[1].text, "1"); /* the one of 70 is enough */
    assert_str(j.results[2].text, "");  /* the one without an age may be younger than 3 */
    assert_true(j.totals[0].counts && j.totals[0].value == 42 && j.totals[0].weight == 1);
    j = judged(&w, "many", "", ages, 1);
    assert_str(j.results[0].text, ""); /* text is no count */
    assert_false(j.totals[0].counts);
    assert_str(j.results[1].text, "0");
    arena_free(&w.a);
}

static void a_lookup_table_has_only_its_own_keys(void **state)
{
    struct world w = {0};
    const struct pack_lookup_file file = {STR("t"), STR("score,value\n0,88.0\n20,70.2\n")};
    const char rest[] =
        "\"lookups\":{\"t\":{\"zh\":\"t\",\"en\":\"t\",\"source\":\"s\"}},\"derived\":{\"v\":{"
        "\"value\":\"lookup('t', $a)\",\"type\":\"ratio\",\"zh\":\"v\",\"en\":\"v\"}},"
        "\"results\":[\"v\"]}";
    (void)state;
    assert_int_equal(load(&w, rest, &file, 1), ERR_OK);
    assert_str(judged(&w, "20", "", NULL, 0).results[0].text, "70.2");
    assert_str(judged(&w, "0", "", NULL, 0).results[0].text, "88");
    assert_str(judged(&w, "10", "", NULL, 0).results[0].text, "");
    assert_str(judged(&w, "", "", NULL, 0).results[0].text, "");
    arena_free(&w.a);
    w = (struct world){0};
    assert_int_equal(load(&w, rest, NULL, 0), ERR_SYNTAX);
    assert_non_null(strstr(w.d.text, "--lookup t=FILE.csv"));
    arena_free(&w.a);
    const struct pack_lookup_file twice = {STR("t"), STR("0,1\n0,2\n")};
    w = (struct world){0};
    assert_int_equal(load(&w, rest, &twice, 1), ERR_SYNTAX);
    arena_free(&w.a);
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *rest, *said;
    } cases[] = {
        {"\"derived\":{},\"results\":[\"x\"]}", "no derived value \"x\""},
        {"\"derived\":{}}", "\"results\" is missing"},
        {"\"derived\":{},\"results\":[],\"forms\":[\"f\"]}", "no \"forms\" here"},
        {"\"derived\":{\"v\":{\"value\":\"sin($a)\",\"type\":\"ratio\",\"zh\":\"v\",\"en\":\"v\"}},"
         "\"results\":"
         "[\"v\"]}",
         "cannot use sin()"},
        {"\"derived\":{\"v\":{\"value\":\"lookup('u', $a)\",\"type\":\"ratio\",\"zh\":\"v\",\"en\":\"v\"}},"
         "\"results\":[\"v\"]}",
         "no look-up table \"u\""},
        {"\"derived\":{},\"results\":[],\"totals\":{\"t\":{\"mean\":\"v\",\"zh\":\"t\",\"en\":\"t\"}}}",
         "no derived value \"v\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct world w = {0};
        assert_int_equal(load(&w, cases[i].rest, NULL, 0), ERR_SYNTAX);
        if (!strstr(w.d.text, cases[i].said))
            fail_msg("case %zu says: %s", i, w.d.text);
        arena_free(&w.a);
    }
}

static void a_pack_for_a_form_is_no_pack_for_a_table(void **state)
{
    struct world w = {0};
    (void)state;
    arena_init(&w.a, 1u << 20);
    assert_int_equal(pack_load_table(&w.a, STR("{\"format\":1}"), NULL, 0, &w.pack, &w.findings, &w.d),
                     ERR_SYNTAX);
    assert_non_null(strstr(w.d.text, "\"table\": true"));
    arena_free(&w.a);
}

/* In units of the last place of `want`. */
static double distance(double got, double want)
{
    int exponent;
    (void)frexp(want, &exponent);
    return fabs(got - want) / ldexp(1, exponent - 53);
}

static void exp_and_log_are_ours_and_right(void **state)
{
    double worst_exp = 0, worst_log = 0;
    (void)state;
    for (int i = -70000; i <= 70000; i++) {
        double v = i / 100.0 + i * 1e-7;
        worst_exp = fmax(worst_exp, distance(num_exp(v), exp(v)));
        double positive = exp(v);
        worst_log = fmax(worst_log, distance(num_log(positive), log(positive)));
    }
    for (int i = 1; i < 100000; i++)
        worst_log = fmax(worst_log, distance(num_log(0.9 + i * 2e-6), log(0.9 + i * 2e-6)));
    assert_true(worst_exp <= 2 && worst_log <= 4);
    assert_true(num_exp(0) == 1 && num_log(1) == 0);
    assert_true(isnan(num_exp(NAN)) && isnan(num_log(NAN)) && isnan(num_log(0)) && isnan(num_log(-1)));
    assert_true(isinf(num_exp(710)) && num_exp(-746) == 0 && num_exp(-740) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_value_gives_no_score),
        cmocka_unit_test(a_lookup_table_has_only_its_own_keys),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(a_pack_for_a_form_is_no_pack_for_a_table),
        cmocka_unit_test(exp_and_log_are_ours_and_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
