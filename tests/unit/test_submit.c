/* The interview as XML, and back from the store or from a submission: nothing is lost, the same state gives
 * the same bytes. */
#include "tests/support/forms.h"

static const char *const model =
    "<instance><hh id=\"hh\" orx:version=\"7\"><orx:meta><orx:instanceID/><orx:deprecatedID/></orx:meta><on/>"
    "<land kind=\"\"><area/></land><member jr:template=\"\"><name/><asset "
    "jr:template=\"\"><what/></asset></member>"
    "<visit/><n>5</n></hh></instance>"
    "<bind nodeset=\"/hh/land\" relevant=\"/hh/on = 'yes'\"/>"
    "<bind nodeset=\"/hh/land/@kind\" calculate=\"concat('k', /hh/on)\"/>"
    "<bind nodeset=\"/hh/visit\" ds:fresh=\"true()\"/>"
    "<bind nodeset=\"/hh/n\" type=\"int\"/>"
    "<bind nodeset=\"/hh/orx:meta/orx:instanceID\" jr:preload=\"uid\"/>";
static const char *const body =
    "<input ref=\"/hh/on\"/><input ref=\"/hh/land/area\"/><repeat nodeset=\"/hh/member\"><input "
    "ref=\"/hh/member/name\"/>"
    "<repeat nodeset=\"/hh/member/asset\"><input ref=\"/hh/member/asset/what\"/></repeat></repeat>"
    "<input ref=\"/hh/visit\"/><input ref=\"/hh/n\"/>";

static void fill(struct interview *v)
{
    answer(v, "/hh/on", "yes");
    answer(v, "/hh/land/area", "2 < 3 & \"x\"");
    add(v, "/hh", "/hh/member");
    add(v, "/hh", "/hh/member");
    answer(v, "/hh/member[1]/name", "阿玛");
    answer(v, "/hh/member[2]/name", "Kofi");
    add(v, "/hh/member[2]", "/hh/member/asset");
    answer(v, "/hh/member[2]/asset[1]/what", "cow");
    answer(v, "/hh/visit", "first");
}

static void a_submission_has_names_attributes_and_escapes(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, model, body);
    fill(&v);
    assert_string_equal(
        xml(&v, false),
        "<?xml version=\"1.0\"?><hh xmlns:orx=\"http://openrosa.org/xforms\" id=\"hh\" "
        "orx:version=\"7\"><orx:meta>"
        "<orx:instanceID>uuid:0b16212c-3742-4d58-a36e-79848f9aa5b0</orx:instanceID><orx:deprecatedID/></"
        "orx:meta>"
        "<on>yes</on><land kind=\"kyes\"><area>2 &lt; 3 &amp; "
        "\"x\"</area></land><member><name>阿玛</name></member>"
        "<member><name>Kofi</name><asset><what>cow</what></asset></member><visit>first</visit><n>5</n></hh>");
    interview_close(&v);
}

static void a_submission_prunes_what_does_not_apply_and_a_draft_keeps_it(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, model, body);
    fill(&v);
    answer(&v, "/hh/on", "no");
    assert_null(strstr(xml(&v, false), "<land"));
    assert_non_null(strstr(xml(&v, true), "<area>2 &lt; 3"));
    interview_close(&v);
}

static void the_store_brings_back_the_same_interview(void **state)
{
    struct interview v;
    struct kept kept = {0};
    const struct session_change *list;
    (void)state;
    interview_open(&v, model, body);
    keep_changes(&v, &kept);
    fill(&v);
    keep_changes(&v, &kept);
    answer(&v, "/hh/n", "");
    drop(&v, "/hh/member[1]");
    add(&v, "/hh", "/hh/member");
    answer(&v, "/hh/member[2]/name", "Esi");
    assert_int_equal(session_answer_status(v.s, at(&v, "/hh/land/area"), ANSWER_DONT_KNOW, &v.d), ERR_OK);
    keep_changes(&v, &kept);
    const char *before = xml(&v, true);
    interview_resume(&v, kept.rows.at, kept.rows.count, kept.cells.at, kept.cells.count);
    assert_string_equal(xml(&v, true), before);
    assert_string_equal(value_of(&v, "/hh/n"), ""); /* not the form's default again */
    assert_int_equal(view(&v, "/hh/land/area").status, ANSWER_DONT_KNOW);
    assert_int_equal(session_changes(v.s, &list), 0);
    struct place p = add(&v, "/hh", "/hh/member");
    for (uint32_t i = 0; i < kept.rows.count; i++)
        assert_true(kept.rows.at[i].key != p.key); /* a new key, never an old one */
    assert_string_equal(text(&v, session_ref(v.s, p, &v.a)), "/hh/member[3]");
    interview_close(&v);
}

static void rows_come_back_in_their_order_whatever_the_order_of_the_store(void **state)
{
    struct interview v;
    struct kept kept = {0};
    (void)state;
    interview_open(&v, model, body);
    fill(&v);
    keep_changes(&v, &kept);
    struct saved_row swap = kept.rows.at[0];
    kept.rows.at[0] = kept.rows.at[1];
    kept.rows.at[1] = swap;
    const char *before = xml(&v, true);
    interview_resume(&v, kept.rows.at, kept.rows.count, kept.cells.at, kept.cells.count);
    assert_string_equal(xml(&v, true), before);
    interview_close(&v);
}

static void a_submission_is_read_back(void **state)
{
    struct interview v;
    struct saved_interview saved;
    (void)state;
    interview_open(&v, model, body);
    fill(&v);
    const char *sent = xml(&v, false);
    assert_int_equal(submission_read(&v.a, v.form, str_of(sent), 40, &saved, &v.d), ERR_OK);
    assert_int_equal(saved.row_count, 3);
    assert_int_equal(saved.rows[0].key, 40);
    assert_int_equal(saved.rows[2].parent_key, 41);
    interview_resume(&v, saved.rows, saved.row_count, saved.cells, saved.cell_count);
    assert_string_equal(xml(&v, false), sent);
    interview_close(&v);
}

static void a_submission_of_another_form_is_refused(void **state)
{
    static const struct {
        const char *xml, *says;
    } cases[] = {
        {"<hh id=\"other\"/>", "\"other\""},
        {"<household/>", "<household>"},
        {"<hh><on>", "well-formed"},
        {"", "empty"},
    };
    struct interview v;
    struct saved_interview saved;
    (void)state;
    interview_open(&v, model, body);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        diag_clear(&v.d);
        assert_int_equal(submission_read(&v.a, v.form, str_of(cases[i].xml), 1, &saved, &v.d), ERR_SYNTAX);
        assert_non_null(strstr(v.d.text, cases[i].says));
    }
    assert_int_equal(submission_read(&v.a, v.form, STR("<hh><stranger/><on>no</on></hh>"), 1, &saved, &v.d),
                     ERR_OK);
    assert_int_equal(saved.cell_count, 2); /* and the default of a question that was left out */
    interview_close(&v);
}

static void a_further_visit_asks_anew_and_points_back(void **state)
{
    struct interview v;
    struct kept kept = {0};
    const struct session_change *list;
    (void)state;
    interview_open(&v, model, body);
    fill(&v);
    keep_changes(&v, &kept);
    const char *old = value_of(&v, "/hh/meta/instanceID");
    struct session_options o = {.form = v.form,
                                .host = &v.host,
                                .revisit = true,
                                .rows = kept.rows.at,
                                .row_count = kept.rows.count,
                                .cells = kept.cells.at,
                                .cell_count = kept.cells.count,
                                .row_key_next = 1};
    session_close(v.s);
    assert_int_equal(session_open(&v.a, &o, &v.s, &v.d), ERR_OK);
    assert_string_equal(value_of(&v, "/hh/visit"), "");
    assert_string_equal(value_of(&v, "/hh/land/area"), "2 < 3 & \"x\"");
    assert_string_equal(value_of(&v, "/hh/meta/deprecatedID"), old);
    assert_true(strcmp(value_of(&v, "/hh/meta/instanceID"), old) != 0);
    uint32_t cleared = 0, count = session_changes(v.s, &list);
    for (uint32_t i = 0; i < count; i++)
        cleared += list[i].op == SESSION_CLEAR;
    assert_int_equal(count, 3);
    assert_int_equal(cleared, 1);
    interview_close(&v);
}

static void a_frozen_record_is_as_it_was_and_stays_so(void **state)
{
    static const char *const clock = "<instance><d><a/><when/><g><x/></g></d></instance><bind "
                                     "nodeset=\"/d/when\" calculate=\"concat(/d/a, now())\"/>"
                                     "<bind nodeset=\"/d/g\" relevant=\"/d/a = '1'\"/>"
                                     "<setvalue event=\"odk-instance-load\" ref=\"/d/a\">2</setvalue>";
    struct interview v;
    (void)state;
    interview_init(&v);
    assert_int_equal(interview_form(&v, form_text(&v.a, clock, "<input ref=\"/d/a\"/>")), ERR_OK);
    struct saved_cell cells[] = {{0, 0, STR("1"), ANSWER_GIVEN}, {0, 1, STR("then"), ANSWER_GIVEN}};
    struct session_options o = {
        .form = v.form, .host = &v.host, .frozen = true, .cells = cells, .cell_count = 2};
    assert_int_equal(session_open(&v.a, &o, &v.s, &v.d), ERR_OK);
    assert_string_equal(value_of(&v, "/d/a"), "1");
    assert_string_equal(value_of(&v, "/d/when"), "then");
    assert_true(applies(&v, "/d/g/x"));
    assert_int_equal(try_answer(&v, "/d/a", "3"), ERR_STATE);
    interview_close(&v);
}

static void an_identifier_drawn_once_is_not_drawn_again_on_resume(void **state)
{
    struct interview v;
    struct kept kept = {0};
    (void)state;
    interview_open(&v,
                   "<instance><d><id/><a/></d></instance>"
                   "<bind nodeset=\"/d/id\" calculate=\"concat('uuid:', uuid())\"/>",
                   "<input ref=\"/d/a\"/>");
    keep_changes(&v, &kept);
    const char *before = value_of(&v, "/d/id");
    assert_int_equal(strlen(before), 41);
    interview_resume(&v, kept.rows.at, kept.rows.count, kept.cells.at, kept.cells.count);
    assert_string_equal(value_of(&v, "/d/id"), before);
    interview_close(&v);
}

static void rows_and_values_of_another_form_are_refused(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, model, body);
    const struct saved_row rows[] = {{1, 0, 9, 1}, {1, 77, 0, 1}, {1, 0, 1, 1}};
    for (size_t i = 0; i < 3; i++) {
        struct session *s = NULL;
        struct session_options o = {
            .form = v.form, .host = &v.host, .resume = true, .rows = &rows[i], .row_count = 1};
        diag_clear(&v.d);
        assert_int_equal(session_open(&v.a, &o, &s, &v.d), ERR_STATE);
        assert_null(s);
    }
    const struct saved_cell cells[] = {{0, 99, STR("x"), ANSWER_GIVEN}, {5, 3, STR("x"), ANSWER_GIVEN}};
    for (size_t i = 0; i < 2; i++) {
        struct session *s = NULL;
        struct session_options o = {
            .form = v.form, .host = &v.host, .resume = true, .cells = &cells[i], .cell_count = 1};
        diag_clear(&v.d);
        assert_int_equal(session_open(&v.a, &o, &s, &v.d), ERR_STATE);
    }
    interview_close(&v);
}

static void finalising_writes_the_end_time(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v,
                   "<instance><d><end/><a>1</a></d></instance>"
                   "<bind nodeset=\"/d/end\" jr:preload=\"timestamp\" jr:preloadParams=\"end\"/>",
                   "<input ref=\"/d/a\"/>");
    assert_string_equal(value_of(&v, "/d/end"), "");
    assert_int_equal(session_finalise(v.s, &v.d), ERR_OK);
    assert_string_equal(value_of(&v, "/d/end"), "2026-11-23T12:41:51.000+00:00");
    interview_close(&v);
}

/* An arena that gives out at every size: each failure is reported, nothing leaks, nothing is read twice. */
static void memory_running_out_is_an_error_at_every_point(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, model, body);
    bool opened = false;
    for (size_t max = 1024; max < 400000 && !opened; max += 512) {
        struct session *s = NULL;
        struct session_options o = {.form = v.form, .host = &v.host, .memory_max = max, .row_key_next = 1};
        diag_clear(&v.d);
        enum err rc = session_open(&v.a, &o, &s, &v.d);
        assert_true(rc == ERR_OK || rc == ERR_NOMEM);
        if (rc) {
            assert_true(v.d.text[0] != 0);
            continue;
        }
        struct place root, added;
        assert_int_equal(session_place(s, STR("/hh"), &root, &v.d), ERR_OK);
        for (int i = 0; i < 5000 && !rc; i++)
            rc = session_repeat_add(s, root, 0, &added, &v.d);
        assert_true(rc == ERR_OK || rc == ERR_NOMEM);
        opened = rc == ERR_OK;
        session_close(s);
    }
    interview_close(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_submission_has_names_attributes_and_escapes),
        cmocka_unit_test(a_submission_prunes_what_does_not_apply_and_a_draft_keeps_it),
        cmocka_unit_test(the_store_brings_back_the_same_interview),
        cmocka_unit_test(rows_come_back_in_their_order_whatever_the_order_of_the_store),
        cmocka_unit_test(a_submission_is_read_back),
        cmocka_unit_test(a_submission_of_another_form_is_refused),
        cmocka_unit_test(a_further_visit_asks_anew_and_points_back),
        cmocka_unit_test(a_frozen_record_is_as_it_was_and_stays_so),
        cmocka_unit_test(an_identifier_drawn_once_is_not_drawn_again_on_resume),
        cmocka_unit_test(rows_and_values_of_another_form_are_refused),
        cmocka_unit_test(finalising_writes_the_end_time),
        cmocka_unit_test(memory_running_out_is_an_error_at_every_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
