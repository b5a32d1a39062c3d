/* Rates, intervals and comparisons: published intervals, and counts small enough to check by hand. */
#include "tests/support/unit.h"

#include <math.h>
#include <string.h>

#include "risk/backtest.h"

static bool near(double got, double want)
{
    return fabs(got - want) < 0.00005;
}

/* Newcombe 1998, table I, method 3 (Wilson's score). */
static void shares_have_the_published_intervals(void **state)
{
    static const struct {
        uint32_t hits, of;
        double low, high;
    } cases[] = {{81, 263, 0.2553, 0.3662},
                 {15, 148, 0.0624, 0.1605},
                 {0, 20, 0, 0.1611},
                 {1, 29, 0.0061, 0.1718}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct share s = share_of(cases[i].hits, cases[i].of);
        assert_true(near(s.low, cases[i].low) && near(s.high, cases[i].high));
    }
    struct share all = share_of(29, 29), none = share_of(0, 0);
    assert_true(all.high == 1 && isnan(none.value) && isnan(none.low));
}

static struct backtest_household household(bool flagged, bool truth, bool baseline, const char *group)
{
    return (struct backtest_household){.flagged = flagged,
                                       .truth = truth,
                                       .has_baseline = true,
                                       .baseline = baseline,
                                       .group = str_of(group),
                                       .score = NAN,
                                       .flagged_day = INT64_MIN,
                                       .onset_day = INT64_MIN};
}

static struct backtest run(struct arena *a, const struct backtest_household *h, uint32_t count)
{
    struct backtest b;
    assert_int_equal(backtest_run(a, h, count, &b), ERR_OK);
    return b;
}

/* In need: 3 found by both, 8 by the rules only, 1 by people only, 2 by nobody. Not in need: 4 flagged by the
 * rules, 2 by people, 6 by nobody. */
static void rules_and_people_are_compared_on_the_same_households(void **state)
{
    struct backtest_household h[26];
    uint32_t n = 0;
    struct arena a;
    (void)state;
    arena_init(&a, 1u << 20);
    for (int i = 0; i < 3; i++)
        h[n++] = household(true, true, true, "near");
    for (int i = 0; i < 8; i++)
        h[n++] = household(true, true, false, "far");
    h[n++] = household(false, true, true, "near");
    for (int i = 0; i < 2; i++)
        h[n++] = household(false, true, false, "far");
    for (int i = 0; i < 4; i++)
        h[n++] = household(true, false, false, "far");
    for (int i = 0; i < 2; i++)
        h[n++] = household(false, false, true, "near");
    for (int i = 0; i < 6; i++)
        h[n++] = household(false, false, false, "near");
    struct backtest b = run(&a, h, n);
    assert_int_equal(b.all.counts.true_positive, 11);
    assert_int_equal(b.all.counts.false_positive, 4);
    assert_int_equal(b.all.counts.false_negative, 3);
    assert_int_equal(b.all.counts.true_negative, 8);
    assert_true(b.all.exclusion_error.value == 3.0 / 14 && b.all.inclusion_error.value == 4.0 / 15);
    assert_true(b.all.workload.of == 26 && b.all.workload.hits == 15 && near(b.all.visits_per_case, 1.36364));
    assert_true(b.has_baseline && b.baseline.recall.hits == 4 && b.baseline.recall.of == 14);
    assert_int_equal(b.only_flags, 8);
    assert_int_equal(b.only_baseline, 1);
    assert_true(near(b.p_value, 20.0 / 512)); /* 2 * (1 + 9) / 2^9 */
    assert_true(near(b.recall_difference, 0.5) && b.recall_low > 0 && b.recall_high < 1);
    /* agree on 3 + 2 + 6 of 26; by chance 15/26 * 6/26 + 11/26 * 20/26 */
    double chance = (15.0 * 6 + 11.0 * 20) / (26.0 * 26);
    assert_true(near(b.kappa, (11.0 / 26 - chance) / (1 - chance)));
    assert_int_equal(b.group_count, 2);
    assert_true(str_eq_z(b.groups[0].group, "far") && b.groups[0].recall.hits == 8 &&
                b.groups[0].recall.of == 10);
    assert_true(b.groups[1].recall.hits == 3 && b.groups[1].recall.of == 4);
    arena_free(&a);
}

static void a_score_is_judged_by_its_order(void **state)
{
    static const double scores[] = {1, 2, 2, 3, 4};
    static const bool need[] = {false, false, true, false, true};
    struct backtest_household h[5];
    struct arena a;
    (void)state;
    arena_init(&a, 1u << 20);
    for (int i = 0; i < 5; i++) {
        h[i] = household(false, need[i], false, "");
        h[i].has_baseline = false;
        h[i].score = scores[i];
    }
    struct backtest b = run(&a, h, 5);
    assert_true(near(b.auc, 4.5 / 6)); /* 2 beats 1, ties 2, loses to 3; 4 beats all three */
    assert_false(b.has_baseline);
    assert_true(isnan(b.all.precision.value) && b.all.recall.value == 0);
    arena_free(&a);
}

static void a_flag_before_the_need_counts_as_in_time(void **state)
{
    struct backtest_household h[4] = {household(true, true, false, ""), household(true, true, false, ""),
                                      household(true, true, false, ""), household(false, true, false, "")};
    struct arena a;
    (void)state;
    arena_init(&a, 1u << 20);
    for (int i = 0; i < 4; i++)
        h[i].onset_day = 1000;
    h[0].flagged_day = 990;
    h[1].flagged_day = 1031;
    h[2].flagged_day = 1032;
    struct backtest b = run(&a, h, 4);
    assert_true(b.on_time.hits == 2 && b.on_time.of == 4);
    assert_true(b.timed == 3 && near(b.lead_mean, 53.0 / 3) && b.lead_p50 == 31);
    arena_free(&a);
}

static void nobody_at_all_gives_no_figures(void **state)
{
    struct arena a;
    struct buf out;
    (void)state;
    arena_init(&a, 1u << 20);
    struct backtest b = run(&a, NULL, 0);
    buf_init(&out, 1u << 16);
    backtest_json(&b, &out);
    backtest_text(&b, STR("zh"), &out);
    backtest_text(&b, STR("en"), &out);
    assert_int_equal(out.failed, 0);
    assert_true(str_find(buf_str(&out), STR("nan")) < 0);
    buf_free(&out);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_have_the_published_intervals),
        cmocka_unit_test(rules_and_people_are_compared_on_the_same_households),
        cmocka_unit_test(a_score_is_judged_by_its_order),
        cmocka_unit_test(a_flag_before_the_need_counts_as_in_time),
        cmocka_unit_test(nobody_at_all_gives_no_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
