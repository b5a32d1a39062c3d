/* Leads and their clocks: what is due when, for whom other days hold, when a risk may be removed, and whom to
 * visit first.
 */
#include "tests/support/household.h"

#include "platform/base/civil.h"
#include "risk/clock.h"

static int64_t day(int m, int d)
{
    return civil_days(2026, (uint8_t)m, (uint8_t)d);
}

static struct lead_times opened(enum lead_channel channel)
{
    struct lead_times t;
    lead_times_init(&t);
    t.channel = channel;
    lead_times_note(&t, STR("lead"), STR("2026-11-02T09:00:00+08:00"));
    return t;
}

static struct clock clock_now(const struct lead_times *t, enum clock_name c, int64_t today)
{
    struct clock_days days;
    struct clock all[CLOCKS];
    clock_days_for(NULL, STR(""), today, &days);
    lead_clocks(t, &days, today, all);
    return all[c];
}

static void assert_clock(struct clock c, enum clock_state state, int64_t left)
{
    if (c.state != state || (state != CLOCK_OFF && c.left != left))
        fail_msg("%s, %lld left", clock_state_name(c.state), (long long)c.left);
}

static void each_clock_runs_from_its_step_and_stops_at_its_step(void **state)
{
    (void)state;
    struct lead_times t = opened(CHANNEL_SELF);
    assert_clock(clock_now(&t, CLOCK_FORWARD, day(11, 4)), CLOCK_RUNS, 0); /* the last day is in time */
    assert_clock(clock_now(&t, CLOCK_FORWARD, day(11, 5)), CLOCK_OVERDUE, -1);
    assert_clock(clock_now(&t, CLOCK_VISIT, day(11, 5)), CLOCK_RUNS, 0);
    assert_clock(clock_now(&t, CLOCK_CHAIN, day(11, 17)), CLOCK_RUNS, 0);
    assert_clock(clock_now(&t, CLOCK_CHAIN, day(11, 18)), CLOCK_OVERDUE, -1);
    assert_clock(clock_now(&t, CLOCK_COMPARE, day(12, 30)), CLOCK_OFF, 0); /* nobody was there yet */
    lead_times_note(&t, STR("visit"), STR("2026-11-06"));
    assert_clock(clock_now(&t, CLOCK_VISIT, day(12, 30)), CLOCK_LATE, -1);
    assert_clock(clock_now(&t, CLOCK_FORWARD, day(12, 30)), CLOCK_LATE, -2);
    assert_clock(clock_now(&t, CLOCK_COMPARE, day(11, 11)), CLOCK_RUNS, 0);
    lead_times_note(&t, STR("compare"), STR("2026-11-11"));
    assert_clock(clock_now(&t, CLOCK_COMPARE, day(12, 30)), CLOCK_KEPT, 0);
    lead_times_note(&t, STR("record"), STR("2026-11-17"));
    assert_clock(clock_now(&t, CLOCK_CHAIN, day(12, 30)), CLOCK_KEPT, 0);
    assert_false(lead_times_open(&t));
    assert_int_equal(lead_times_state(&t), STEP_RECORD);
}

static void a_notice_is_never_too_long_but_may_be_too_short(void **state)
{
    (void)state;
    struct lead_times t = opened(CHANNEL_PATROL);
    assert_clock(clock_now(&t, CLOCK_FORWARD, day(12, 1)), CLOCK_OFF, 0); /* nobody asked */
    assert_clock(clock_now(&t, CLOCK_NOTICE, day(12, 1)), CLOCK_OFF, 0);
    lead_times_note(&t, STR("notice"), STR("2026-11-10"));
    assert_clock(clock_now(&t, CLOCK_NOTICE, day(11, 14)), CLOCK_RUNS, 1);
    assert_clock(clock_now(&t, CLOCK_NOTICE, day(11, 20)), CLOCK_KEPT, -5);
    struct lead_times early = t;
    lead_times_note(&early, STR("notice_end"), STR("2026-11-14"));
    assert_clock(clock_now(&early, CLOCK_NOTICE, day(11, 20)), CLOCK_TOO_SHORT, -1);
    lead_times_note(&t, STR("notice_end"), STR("2026-11-15"));
    assert_clock(clock_now(&t, CLOCK_NOTICE, day(11, 20)), CLOCK_KEPT, 0);
}

static void what_is_noted_twice_counts_from_the_first_time(void **state)
{
    (void)state;
    struct lead_times t = opened(CHANNEL_DEPARTMENT), other = t;
    lead_times_note(&t, STR("visit"), STR("2026-11-05"));
    lead_times_note(&t, STR("visit"), STR("2026-11-04"));
    lead_times_note(&other, STR("visit"), STR("2026-11-04"));
    lead_times_note(&other, STR("visit"), STR("2026-11-05"));
    lead_times_note(&other, STR("visit"), STR("soon"));
    lead_times_note(&other, STR("dance"), STR("2026-11-01"));
    assert_memory_equal(&t, &other, sizeof t);
    assert_true(t.at[STEP_VISIT] == day(11, 4));
}

static void a_lead_that_is_closed_stops_its_clocks(void **state)
{
    (void)state;
    struct lead_times t = opened(CHANNEL_DEPARTMENT);
    lead_times_note(&t, STR("deadline"), STR("2026-11-09"));
    assert_clock(clock_now(&t, CLOCK_DEADLINE, day(11, 10)), CLOCK_OVERDUE, -1);
    lead_times_note(&t, STR("close"), STR("2026-11-08"));
    assert_clock(clock_now(&t, CLOCK_DEADLINE, day(12, 1)), CLOCK_KEPT, 1);
    assert_clock(clock_now(&t, CLOCK_VISIT, day(12, 1)), CLOCK_OFF, 0);
    assert_clock(clock_now(&t, CLOCK_CHAIN, day(12, 1)), CLOCK_KEPT, 9);
    assert_false(lead_times_open(&t));
}

static void a_county_sets_its_own_days(void **state)
{
    struct household *h = *state;
    const struct pack *pack;
    struct form_findings none = {0};
    struct diag d = {0};
    struct clock_days here, there;
    struct str text = read_whole(&h->arena, DS_SOURCE_DIR "/examples/pack.cn.json");
    assert_int_equal(pack_load_alone(&h->arena, text, &pack, &none, &d), ERR_OK);
    assert_int_equal(none.list.count, 0);
    clock_days_for(pack, STR("990101002205"), day(11, 2), &there);
    clock_days_for(pack, STR("340800000000"), day(11, 2), &here);
    assert_true(there.days[CLOCK_VISIT] == 3 && here.days[CLOCK_VISIT] == 2);
    assert_true(there.days[CLOCK_CHAIN] == 15 && there.days[CLOCK_NOTICE] == 5);
}

static void what_is_not_known_keeps_a_risk_from_being_removed(void **state)
{
    (void)state;
    struct removal r = {.above_since = day(5, 31),
                        .spending_solved = TRUTH_TRUE,
                        .guarantees_held = TRUTH_TRUE,
                        .original_gone = TRUTH_TRUE,
                        .new_risk = TRUTH_FALSE,
                        .has_labour = TRUTH_TRUE};
    assert_int_equal(removal_missing(&r, day(12, 1)), 0); /* there is no 31 November */
    assert_int_equal(removal_missing(&r, day(11, 30)), 1u << REMOVAL_INCOME);
    r.guarantees_held = TRUTH_UNKNOWN;
    r.new_risk = TRUTH_UNKNOWN;
    r.has_labour = TRUTH_FALSE;
    assert_int_equal(removal_missing(&r, day(12, 1)),
                     1u << REMOVAL_GUARANTEES | 1u << REMOVAL_NEW_RISK | 1u << REMOVAL_LABOUR);
    r = (struct removal){.above_since = LEAD_NEVER};
    assert_int_equal(removal_missing(&r, day(12, 1)),
                     ((1u << REMOVAL_CONDITIONS) - 1) & ~(1u << REMOVAL_NEW_RISK));
}

static void a_person_affirms_each_condition_in_words(void **state)
{
    static const char all[] =
        "above=2026-05-31 spending=yes guarantees=yes original=yes new-risk=no labour=yes";
    struct diag d = {0};
    struct removal r;
    (void)state;
    assert_int_equal(removal_check(str_of(all), day(12, 1), &d), ERR_OK);
    assert_int_equal(removal_check(str_of(all), day(11, 30), &d), ERR_STATE);
    assert_non_null(strstr(d.text, "said: above ("));
    assert_null(strstr(d.text, "labour"));
    diag_clear(&d);
    assert_int_equal(removal_check(STR("spending=yes"), day(12, 1), &d), ERR_STATE);
    assert_non_null(strstr(d.text, "new-risk, labour")); /* not said is not known */
    diag_clear(&d);
    assert_int_equal(removal_read(STR("labour=perhaps"), &r, &d), ERR_SYNTAX);
    assert_int_equal(removal_read(STR("above=soon"), &r, &d), ERR_SYNTAX);
    diag_clear(&d);
    assert_int_equal(removal_read(STR("money=yes"), &r, &d), ERR_SYNTAX);
    assert_non_null(strstr(d.text, "money=yes"));
}

static void who_is_visited_first(void **state)
{
    (void)state;
    static const struct queue_place order[] = {
        {.lead_overdue = true, .lead_open = true, .level = {"none", 4}, .last_visit = LEAD_NEVER},
        {.lead_open = true, .level = {"none", 4}, .last_visit = LEAD_NEVER},
        {.level = {"red", 3}, .groups = 3, .last_visit = 20000},
        {.level = {"red", 3}, .groups = 1, .last_visit = 20000},
        {.level = {"yellow", 6}, .groups = 1, .last_visit = 20000},
        {.level = {"yellow", 6}, .last_visit = 20000},
        {.level = {"unknown", 7}, .last_visit = 20000},
        {.level = {"none", 4}, .last_visit = LEAD_NEVER},
        {.level = {"none", 4}, .last_visit = 20000},
        {.level = {"none", 4}, .last_visit = 20300},
    };
    for (size_t i = 1; i < sizeof order / sizeof *order; i++) {
        struct queue_place a = order[i - 1], b = order[i];
        a.assigned_due = b.assigned_due = LEAD_NEVER;
        if (queue_priority(&a, 20400) <= queue_priority(&b, 20400))
            fail_msg("place %zu does not come before %zu", i - 1, i);
    }
    enum must_visit group;
    assert_true(must_visit_read(STR("disability"), &group));
    assert_int_equal(group, MUST_DISABILITY);
    assert_false(must_visit_read(STR("DIS02"), &group)); /* which check it is, the pack says */
}

static void each_step_is_noted_by_those_whose_it_is(void **state)
{
    (void)state;
    enum { ENUMERATOR = 2, CADRE, TOWNSHIP, COUNTY, DEPARTMENT, ANALYST, ADMIN };
    static const struct {
        enum lead_step step;
        const char *may; /* E C T Y D, in the order of roles */
    } cases[] = {{STEP_FORWARD, "TY"},    {STEP_VISIT, "ECTY"}, {STEP_COMPARE, "TYD"}, {STEP_NOTICE, "CT"},
                 {STEP_NOTICE_END, "CT"}, {STEP_TOWNSHIP, "T"}, {STEP_COUNTY, "Y"},    {STEP_ANNOUNCE, "TY"},
                 {STEP_RECORD, "TY"},     {STEP_HELP, "CTY"},   {STEP_REMOVE, "Y"},    {STEP_CLOSE, "TY"}};
    static const char letters[] = "--ECTYD--";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (uint8_t role = ENUMERATOR; role <= ADMIN; role++) {
            struct diag d = {0};
            bool may = letters[role] != '-' && strchr(cases[i].may, letters[role]);
            if (may != (lead_step_by(cases[i].step, role, &d) == ERR_OK))
                fail_msg("step %s, role %u", lead_step_about(cases[i].step)->code, role);
            if (!may)
                assert_true(str_find(str_of(d.text), STR("is noted by")) > 0);
        }
    struct diag d = {0};
    assert_int_equal(lead_step_by(STEP_COUNTY, 0, &d), ERR_OK); /* nobody is enrolled: nothing is signed */
    assert_int_equal(lead_step_by(STEP_VISIT, 200, &d), ERR_DENIED);
}

static int open_arena(void **state)
{
    static struct household h;
    arena_init(&h.arena, 256u << 20);
    *state = &h;
    return 0;
}

static int close_arena(void **state)
{
    struct household *h = *state;
    arena_free(&h->arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_clock_runs_from_its_step_and_stops_at_its_step),
        cmocka_unit_test(each_step_is_noted_by_those_whose_it_is),
        cmocka_unit_test(a_notice_is_never_too_long_but_may_be_too_short),
        cmocka_unit_test(what_is_noted_twice_counts_from_the_first_time),
        cmocka_unit_test(a_lead_that_is_closed_stops_its_clocks),
        cmocka_unit_test_setup_teardown(a_county_sets_its_own_days, open_arena, close_arena),
        cmocka_unit_test(what_is_not_known_keeps_a_risk_from_being_removed),
        cmocka_unit_test(a_person_affirms_each_condition_in_words),
        cmocka_unit_test(who_is_visited_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
