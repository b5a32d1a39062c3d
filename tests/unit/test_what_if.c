/* What if one answer were another: the example pack over the example households. */
#include "tests/support/household.h"

#include "risk/what_if.h"

static struct household h;
static const struct pack *pack;

static int load_all(void **state)
{
    (void)state;
    household_load(&h);
    pack = example_pack(&h);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    arena_free(&h.arena);
    return 0;
}

static const struct what_if *asked(const char *answers, uint32_t *count)
{
    struct session *s = session_of_script(&h, answers);
    struct saved_interview saved;
    struct what_if *found = NULL;
    struct judge_input in = {.area = STR("990101001201"), .today = HOUSEHOLD_NOW_MS / 86400000};
    struct buf xml;
    struct diag d = {0};
    buf_init(&xml, 4u << 20);
    assert_int_equal(session_xml(s, true, &xml, &d), ERR_OK);
    assert_int_equal(submission_read(&h.arena, h.form, buf_str(&xml), 1, &saved, &d), ERR_OK);
    buf_free(&xml);
    session_close(s);
    struct session_options o = {.form = h.form,
                                .host = &h.host.host,
                                .resume = true,
                                .rows = saved.rows,
                                .row_count = saved.row_count,
                                .cells = saved.cells,
                                .cell_count = saved.cell_count,
                                .row_key_next = saved.row_count + 1};
    if (what_if_run(&h.arena, pack, &o, &in, &found, count, &d))
        fail_msg("%s", d.text);
    return found;
}

static const struct what_if *about(const struct what_if *w, uint32_t count, const char *ref,
                                   const char *check)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_eq_z(w[i].ref, ref) &&
            (str_find(w[i].come, str_of(check)) >= 0 || str_find(w[i].gone, str_of(check)) >= 0))
            return &w[i];
    return NULL;
}

static void a_calm_household_is_told_what_would_change_it(void **state)
{
    uint32_t count = 0;
    (void)state;
    const struct what_if *w = asked(DS_SOURCE_DIR "/examples/answers/calm.tsv", &count);
    const struct what_if *school = about(w, count, "/monitoring/member[4]/school", "EDU01");
    assert_non_null(school);
    assert_true(str_eq_z(school->from, "in_compulsory") && str_eq_z(school->to, "dropout"));
    assert_true(str_eq_z(school->level_from, "none") && str_eq_z(school->level_to, "red"));
    /* the nearest amount, found by judging: wages of ten months below which the income is below the line */
    const struct what_if *wage = about(w, count, "/monitoring/member[1]/wage", "INC01");
    assert_non_null(wage);
    struct dec to;
    assert_true(dec_read(wage->to, &to) && dec_cmp(to, (struct dec){4500, 0}) < 0 && to.coefficient > 0);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(w[i].gone.n, 0); /* nothing was found, so nothing can go */
}

static void what_can_make_a_lead_go_is_told_too(void **state)
{
    uint32_t count = 0, gone = 0;
    (void)state;
    const struct what_if *w = asked(DS_SOURCE_DIR "/examples/answers/trouble.tsv", &count);
    for (uint32_t i = 0; i < count; i++)
        gone += w[i].gone.n > 0;
    assert_true(gone > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_calm_household_is_told_what_would_change_it),
        cmocka_unit_test(what_can_make_a_lead_go_is_told_too),
    };
    return cmocka_run_group_tests(tests, load_all, free_all);
}
