/* Editing what was sent: a new identity that points back, and nothing lost on the way.
 */
#include "tests/support/forms.h"

static const char *const model =
    "<instance><d id=\"f\" version=\"2\"><name/><g><age/></g><child jr:template=\"\"><n/></child>"
    "<start/><meta><instanceID/></meta></d></instance>"
    "<bind nodeset=\"/d/start\" jr:preload=\"timestamp\" jr:preloadParams=\"start\"/>"
    "<bind nodeset=\"/d/meta/instanceID\" jr:preload=\"uid\"/>"
    "<setvalue event=\"odk-instance-first-load\" ref=\"/d/g/age\" value=\"99\"/>";
static const char *const body =
    "<input ref=\"/d/name\"/><group ref=\"/d/g\"><input ref=\"/d/g/age\"/></group>"
    "<repeat nodeset=\"/d/child\"><input ref=\"/d/child/n\"/></repeat>";

static const char *const sent =
    "<d id=\"f\" version=\"1\" submissionDate=\"2026-01-01\"><name>Ama</name><g><age>41</age>"
    "<weight unit=\"kg\">60 &amp; more</weight></g>"
    "<child><n>Esi</n><x:photo xmlns:x=\"urn:x\" x:w=\"1\"><x:part>a<b/></x:part></x:photo></child>"
    "<child><n>Kofi</n></child><start>2026-01-01T10:00:00.000Z</start>"
    "<meta><instanceID>uuid:old</instanceID></meta></d>";

static void edit(struct interview *v, const char *xml_text, bool again)
{
    struct saved_interview saved;
    interview_init(v);
    if (interview_form(v, form_text(&v->a, model, body)) ||
        submission_read(&v->a, v->form, str_of(xml_text), 1, &saved, &v->d))
        fail_msg("%s", v->d.text);
    struct session_options o = {.form = v->form,
                                .host = &v->host,
                                .edit = !again,
                                .resume = again,
                                .rows = saved.rows,
                                .row_count = saved.row_count,
                                .cells = saved.cells,
                                .cell_count = saved.cell_count,
                                .unknown = saved.unknown,
                                .unknown_count = saved.unknown_count,
                                .row_key_next = 10};
    if (session_open(&v->a, &o, &v->s, &v->d))
        fail_msg("%s", v->d.text);
}

static void an_edited_copy_names_what_it_replaces(void **state)
{
    struct interview v;
    (void)state;
    edit(&v, sent, false);
    assert_string_not_equal(value_of(&v, "/d/meta/instanceID"), "uuid:old");
    assert_true(str_starts(str_of(value_of(&v, "/d/meta/instanceID")), STR("uuid:")));
    assert_non_null(strstr(xml(&v, false), "</instanceID><deprecatedID>uuid:old</deprecatedID></meta>"));
    interview_close(&v);
}

static void what_was_answered_stands_and_no_first_load_happens(void **state)
{
    struct interview v;
    (void)state;
    edit(&v, sent, false);
    assert_string_equal(value_of(&v, "/d/g/age"), "41");
    assert_string_equal(value_of(&v, "/d/start"), "2026-01-01T10:00:00.000Z");
    answer(&v, "/d/g/age", "42");
    assert_string_equal(value_of(&v, "/d/child[2]/n"), "Kofi");
    interview_close(&v);
}

static void what_the_form_does_not_know_is_sent_again(void **state)
{
    struct interview v;
    (void)state;
    edit(&v, sent, false);
    const char *out = xml(&v, false);
    assert_non_null(strstr(out, "<age>41</age><weight unit=\"kg\">60 &amp; more</weight></g>"));
    assert_non_null(strstr(out, "<child><n>Esi</n><x:photo xmlns:x=\"urn:x\" x:w=\"1\"><x:part "
                                "xmlns:x=\"urn:x\">a<b/></x:part></x:photo></child>"));
    assert_non_null(strstr(out, " submissionDate=\"2026-01-01\""));
    drop(&v, "/d/child[1]"); /* it goes with its entry */
    assert_null(strstr(xml(&v, false), "photo"));
    interview_close(&v);
}

static void the_draft_of_an_edit_is_resumed(void **state)
{
    struct interview v, w;
    struct saved_unknown *list = NULL;
    (void)state;
    edit(&v, sent, false);
    assert_int_equal(session_unknown(v.s, &v.a, &list), 4);
    assert_string_equal(text(&v, list[1].path), "/d/g");
    const char *draft = xml(&v, true);
    edit(&w, draft, true);
    assert_string_equal(xml(&w, true), draft);
    interview_close(&w);
    edit(&w, draft, false); /* and edited once more: one deprecatedID, the last */
    const char *id = value_of(&v, "/d/meta/instanceID"), *out = xml(&w, false), *first;
    first = strstr(out, "<deprecatedID>");
    assert_non_null(first);
    assert_null(strstr(first + 1, "<deprecatedID>"));
    assert_memory_equal(first + strlen("<deprecatedID>"), id, strlen(id));
    interview_close(&w);
    interview_close(&v);
}

static void a_newer_form_comes_to_know_what_was_kept(void **state)
{
    struct interview v, w;
    struct saved_unknown *list = NULL;
    (void)state;
    edit(&v, sent, false);
    uint32_t count = session_unknown(v.s, &v.a, &list);
    interview_init(&w);
    assert_int_equal(interview_form(&w,
                                    form_text(&w.a,
                                              "<instance><d id=\"f\" submissionDate=\"\"><g><age/><weight/>"
                                              "</g><meta><instanceID/></meta></d></instance>",
                                              "<input ref=\"/d/g/weight\"/>")),
                     ERR_OK);
    struct session_options o = {
        .form = w.form, .host = &w.host, .resume = true, .unknown = list, .unknown_count = count};
    assert_int_equal(session_open(&w.a, &o, &w.s, &w.d), ERR_OK);
    assert_string_equal(value_of(&w, "/d/g/weight"), "60 & more");
    const char *out = xml(&w, true);
    assert_null(strstr(strstr(out, "<weight>") + 1, "<weight")); /* once */
    assert_null(strstr(strstr(out, "submissionDate") + 1, "submissionDate"));
    assert_non_null(strstr(out, "photo")); /* its entry is gone, it is not */
    interview_close(&w);
    interview_close(&v);
}

static void what_would_spoil_the_document_is_left_out(void **state)
{
    static const char *const hostile[] = {
        "</meta></d>", "<a/><b/>",    "<a>",     "words",  " x=\"1\"><evil/",
        "<a/>words",   "<!-- no -->", "</x><x>", "<p:a/>", " x=\"1\"/><x y=\"",
    };
    struct interview v;
    struct saved_unknown list[11];
    (void)state;
    interview_init(&v);
    assert_int_equal(interview_form(&v, form_text(&v.a, model, body)), ERR_OK);
    for (uint32_t i = 0; i < 10; i++)
        list[i] = (struct saved_unknown){.path = STR("/d/meta"), .xml = str_of(hostile[i])};
    list[10] = (struct saved_unknown){.path = STR("/d/meta"), .xml = STR("<good>1 &lt; 2</good>")};
    struct session_options o = {
        .form = v.form, .host = &v.host, .resume = true, .unknown = list, .unknown_count = 11};
    assert_int_equal(session_open(&v.a, &o, &v.s, &v.d), ERR_OK);
    const char *out = xml(&v, false);
    assert_non_null(strstr(out, "<good>1 &lt; 2</good></meta>"));
    assert_null(strstr(out, "evil"));
    assert_null(strstr(out, "<a/>"));
    assert_null(strstr(out, "<a>"));
    assert_null(strstr(out, "p:a"));
    assert_null(strstr(out, "words"));
    struct saved_interview again;
    assert_int_equal(submission_read(&v.a, v.form, str_of(out), 1, &again, &v.d), ERR_OK);
    interview_close(&v);
}

static void without_an_instance_id_nothing_can_be_replaced(void **state)
{
    struct interview v;
    struct saved_interview saved;
    (void)state;
    interview_init(&v);
    assert_int_equal(interview_form(&v, form_text(&v.a, model, body)), ERR_OK);
    assert_int_equal(submission_read(&v.a, v.form, STR("<d id=\"f\"><name>Ama</name></d>"), 1, &saved, &v.d),
                     ERR_OK);
    struct session_options o = {
        .form = v.form, .host = &v.host, .edit = true, .cells = saved.cells, .cell_count = saved.cell_count};
    assert_int_equal(session_open(&v.a, &o, &v.s, &v.d), ERR_STATE);
    assert_non_null(strstr(v.d.text, "instanceID"));
    arena_free(&v.a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edited_copy_names_what_it_replaces),
        cmocka_unit_test(what_was_answered_stands_and_no_first_load_happens),
        cmocka_unit_test(what_the_form_does_not_know_is_sent_again),
        cmocka_unit_test(the_draft_of_an_edit_is_resumed),
        cmocka_unit_test(a_newer_form_comes_to_know_what_was_kept),
        cmocka_unit_test(what_would_spoil_the_document_is_left_out),
        cmocka_unit_test(without_an_instance_id_nothing_can_be_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
