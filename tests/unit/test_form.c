/* Loading forms: what an author is told about a form that is wrong, and what others learn about one that is
 * right. */
#include "tests/support/forms.h"

static const char *const member_form =
    "<itext><translation lang=\"en\"><text id=\"n\"><value>Name</value></text></translation>"
    "<translation lang=\"zh\" default=\"true()\"><text "
    "id=\"n\"><value>姓名</value></text></translation></itext>"
    "<instance><hh id=\"household\" version=\"3\"><meta><instanceID/></meta><name/>"
    "<member jr:template=\"\"><age/><asset><what/></asset></member><total/></hh></instance>"
    "<instance id=\"villages\" src=\"jr://file-csv/villages.csv\"/>"
    "<bind nodeset=\"/hh/member/age\" type=\"int\"/>"
    "<bind nodeset=\"/hh/total\" type=\"int\" calculate=\"sum(/hh/member/age)\"/>"
    "<bind nodeset=\"/hh/meta/instanceID\" jr:preload=\"uid\"/>";
static const char *const member_body =
    "<input ref=\"/hh/name\"><label ref=\"jr:itext('n')\"/></input>"
    "<group ref=\"/hh/member\"><label>Member</label><repeat nodeset=\"/hh/member\">"
    "<input ref=\"/hh/member/age\"><label>Age</label></input>"
    "<repeat nodeset=\"/hh/member/asset\"><input ref=\"/hh/member/asset/what\"/></repeat></repeat></group>";

static void a_form_says_what_it_is(void **state)
{
    struct interview v;
    (void)state;
    interview_init(&v);
    assert_int_equal(interview_form(&v, form_text(&v.a, member_form, member_body)), ERR_OK);
    assert_true(str_eq_z(form_id(v.form), "household"));
    assert_true(str_eq_z(form_version(v.form), "3"));
    assert_true(str_eq_z(form_title(v.form), "Test"));
    assert_int_equal(form_language_count(v.form), 2);
    assert_int_equal(form_language_default(v.form), 1);
    assert_int_equal(form_resource_count(v.form), 1);
    assert_true(str_eq_z(form_resource(v.form, 0), "jr://file-csv/villages.csv"));
    struct form_summary s = form_summary(v.form);
    assert_int_equal(s.questions, 3);
    assert_int_equal(s.repeats, 2);
    assert_int_equal(s.calculations, 1);
    arena_free(&v.a);
}

static void fields_are_numbered_in_document_order(void **state)
{
    static const char *const paths[] = {"/hh/@id",  "/hh/@version",   "/hh/meta/instanceID",
                                        "/hh/name", "/hh/member/age", "/hh/member/asset/what",
                                        "/hh/total"};
    struct interview v;
    (void)state;
    interview_init(&v);
    assert_int_equal(interview_form(&v, form_text(&v.a, member_form, member_body)), ERR_OK);
    assert_int_equal(form_field_count(v.form), 7);
    for (uint32_t i = 0; i < 7; i++) {
        assert_string_equal(text(&v, form_field(v.form, i)->path), paths[i]);
        assert_int_equal(form_field(v.form, i)->number, i);
        assert_ptr_equal(form_field_by_path(v.form, str_of(paths[i])), form_field(v.form, i));
    }
    assert_true(form_field(v.form, 0)->attribute);
    assert_true(form_field(v.form, 2)->calculated);
    assert_true(form_field(v.form, 2)->fresh);
    assert_string_equal(text(&v, form_field(v.form, 3)->label), "姓名");
    assert_int_equal(form_field(v.form, 4)->type, FIELD_INT);
    assert_int_equal(form_field(v.form, 4)->repeat, 0);
    assert_int_equal(form_field(v.form, 5)->repeat, 1);
    assert_int_equal(form_field(v.form, 6)->repeat, FORM_NO_REPEAT);
    assert_int_equal(form_repeat(v.form, 1)->parent, 0);
    assert_null(form_field_by_path(v.form, STR("/hh/nobody")));
    arena_free(&v.a);
}

/* Loads a form that must be refused; gives the whole text of its findings. */
static const char *refused(struct interview *v, const char *model, const char *body)
{
    struct buf all;
    interview_init(v);
    assert_int_equal(interview_form(v, form_text(&v->a, model, body)), ERR_SYNTAX);
    assert_true(v->findings.error_count > 0);
    assert_true(v->d.text[0] != 0);
    buf_init(&all, 1u << 20);
    for (uint32_t i = 0; i < v->findings.list.count; i++) {
        buf_put_str(&all, v->findings.list.at[i].text);
        buf_put_char(&all, '\n');
    }
    const char *out = arena_z(&v->a, buf_str(&all));
    buf_free(&all);
    return out;
}

static void all_faults_are_found_in_one_pass(void **state)
{
    struct interview v;
    (void)state;
    const char *found =
        refused(&v,
                "<instance><d><age/><name/></d></instance>"
                "<bind nodeset=\"/d/age\" constraint=\". &gt; \" relevant=\"countt(/d/name) = 1\"/>"
                "<bind nodeset=\"/d/nome\" type=\"int\"/>",
                "<input ref=\"/d/nam\"/><input ref=\"/d/name\"><setvalue event=\"someday\" ref=\"/d/age\"/>"
                "</input>");
    assert_non_null(strstr(found, "constraint"));
    assert_non_null(strstr(found, "countt"));
    assert_non_null(strstr(found, "/d/nome"));
    assert_non_null(strstr(found, "/d/nam,"));
    assert_non_null(strstr(found, "someday"));
    assert_int_equal(v.findings.error_count, 4);
    for (uint32_t i = 0; i < v.findings.list.count; i++)
        assert_int_equal(v.findings.list.at[i].line, 1);
    arena_free(&v.a);
}

static void a_dead_path_is_answered_with_the_nearest_name(void **state)
{
    struct interview v;
    (void)state;
    interview_init(&v);
    assert_int_equal(interview_form(&v, form_text(&v.a,
                                                  "<instance><d><income/><total/></d></instance>"
                                                  "<bind nodeset=\"/d/total\" calculate=\"/d/incme * 2\"/>",
                                                  "<input ref=\"/d/income\"/>")),
                     ERR_OK);
    assert_int_equal(v.findings.list.count, 1);
    assert_int_equal(v.findings.list.at[0].severity, FINDING_WARNING);
    assert_non_null(strstr(text(&v, v.findings.list.at[0].text), "income"));
    arena_free(&v.a);
}

static bool is_told(struct interview *v, enum finding_severity severity, const char *what)
{
    for (uint32_t i = 0; i < v->findings.list.count; i++)
        if (v->findings.list.at[i].severity == severity && v->findings.list.at[i].line &&
            strstr(text(v, v->findings.list.at[i].text), what))
            return true;
    return false;
}

static void a_question_without_a_node_is_answered_with_the_nearest_node(void **state)
{
    static const char *const cases[][2] = {{"/d/g/aeg", "did you mean /d/g/age?"},
                                           {"/d/age", "did you mean /d/g/age?"},
                                           {"/d/gg/age", "did you mean /d/g"},
                                           {"/d/g/telephone", "not in the primary instance."}};
    struct interview v;
    char body[100];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        snprintf(body, sizeof(body), "<input ref=\"%s\"/>", cases[i][0]);
        refused(&v, "<instance><d><name/><g><age/></g></d></instance>", body);
        if (!is_told(&v, FINDING_ERROR, cases[i][1]))
            fail_msg("%s: %s", cases[i][0], text(&v, v.findings.list.at[0].text));
        arena_free(&v.a);
    }
}

static void what_can_never_be_asked_or_chosen_is_told(void **state)
{
    struct interview v;
    (void)state;
    interview_init(&v);
    assert_int_equal(
        interview_form(&v, form_text(&v.a,
                                     "<instance><d><g><a/><b/></g><c/></d></instance>"
                                     "<instance id=\"l\"><root><item><name>x</name></item></root></instance>"
                                     "<bind nodeset=\"/d/g\" relevant=\"1 = 2\"/>"
                                     "<bind nodeset=\"/d/c\" constraint=\". < 5\"/>",
                                     "<input ref=\"/d/g/a\"/><input ref=\"/d/g/b\"/><select1 ref=\"/d/c\">"
                                     "<itemset nodeset=\"instance('l')/root/item[name != 'y']\">"
                                     "<value ref=\"name\"/><label ref=\"label\"/></itemset></select1>")),
        ERR_OK);
    assert_true(is_told(&v, FINDING_WARNING, "2 questions are never asked"));
    assert_true(is_told(&v, FINDING_WARNING, "has no <label>"));
    assert_true(is_told(&v, FINDING_WARNING, "&lt;"));
    assert_int_equal(v.findings.list.count, 3);
    arena_free(&v.a);
    assert_non_null(strstr(refused(&v,
                                   "<instance><d><a/></d></instance>"
                                   "<bind nodeset=\"/d/a\" calculate=\"jr:choice-name('1', '/d/b')\"/>",
                                   ""),
                           "jr:choice-name() names no question"));
    arena_free(&v.a);
}

static void choices_that_are_never_shown_are_told(void **state)
{
    static const struct {
        const char *nodeset;
        bool told;
    } cases[] = {{"instance('l')/root/item[false()]", true},
                 {"instance('l')/root/item[1 = 2]", true},
                 {"instance('l')/root/item[name = 'x'][true() and 'a' = 'b']", true},
                 {"randomize(instance('l')/root/item[0])", true},
                 {"instance('l')/root[false()]/item[name = 'x']", true},
                 {"instance('l')/root/item[true()]", false},
                 {"instance('l')/root/item[1]", false},
                 {"instance('l')/root/item[name = 'x' or false()]", false},
                 {"instance('l')/root/item[count(../item[false()]) = 0]", false}};
    struct interview v;
    char body[300];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        interview_init(&v);
        snprintf(body, sizeof(body),
                 "<select1 ref=\"/d/c\"><itemset nodeset=\"%s\"><value ref=\"name\"/></itemset></select1>",
                 cases[i].nodeset);
        assert_int_equal(
            interview_form(&v, form_text(&v.a,
                                         "<instance><d><c/></d></instance><instance id=\"l\"><root><item>"
                                         "<name>x</name></item></root></instance>",
                                         body)),
            ERR_OK);
        if (is_told(&v, FINDING_WARNING, "none of them is ever shown") != cases[i].told)
            fail_msg("%s", cases[i].nodeset);
        arena_free(&v.a);
    }
}

static void a_pattern_that_cannot_be_read_is_told(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v,
                   "<instance><d><a/><b/></d></instance>"
                   "<bind nodeset=\"/d/a\" constraint=\"regex(., '[0-9')\"/>"
                   "<bind nodeset=\"/d/b\" constraint=\"regex(., '[0-9]+')\"/>",
                   "<input ref=\"/d/a\"/><input ref=\"/d/b\"/>");
    assert_true(is_told(&v, FINDING_WARNING, "the pattern of regex() cannot be read at character"));
    assert_int_equal(v.findings.list.count, 1);
    interview_close(&v);
}

static void one_value_of_many_is_told(void **state)
{
    static const struct {
        const char *calculate;
        bool told;
    } cases[] = {{"/d/r/a + 1", true},       {"sum(/d/r/a)", false},       {"/d/r/a = 3", false},
                 {"count(/d/r) + 1", false}, {"string(/d/r[2]/a)", false}, {"concat(/d/r/a, '')", false}};
    struct interview v;
    char model[200];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        interview_init(&v);
        snprintf(model, sizeof(model),
                 "<instance><d><r><a/></r><b/></d></instance><bind nodeset=\"/d/b\" calculate=\"%s\"/>",
                 cases[i].calculate);
        assert_int_equal(interview_form(&v, form_text(&v.a, model,
                                                      "<repeat nodeset=\"/d/r\"><input ref=\"/d/r/a\"/>"
                                                      "</repeat>")),
                         ERR_OK);
        if (is_told(&v, FINDING_WARNING, "many values") != cases[i].told)
            fail_msg("%s", cases[i].calculate);
        arena_free(&v.a);
    }
}

static void a_cycle_is_named_with_its_whole_chain(void **state)
{
    struct interview v;
    (void)state;
    const char *found = refused(&v,
                                "<instance><d><a/><b/><c/><free/></d></instance>"
                                "<bind nodeset=\"/d/a\" calculate=\"/d/b + 1\"/>"
                                "<bind nodeset=\"/d/b\" calculate=\"/d/c + 2\"/>"
                                "<bind nodeset=\"/d/c\" relevant=\"/d/a &gt; 3\"/>"
                                "<bind nodeset=\"/d/free\" calculate=\"/d/a\"/>",
                                "<input ref=\"/d/c\"/>");
    assert_non_null(strstr(found, "/d/a (calculate: /d/b + 1)"));
    assert_non_null(strstr(found, "/d/b (calculate: /d/c + 2)"));
    assert_non_null(strstr(found, "/d/c (relevant: /d/a > 3)"));
    assert_null(strstr(found, "/d/free"));
    arena_free(&v.a);
}

static void a_node_may_ask_itself_only_in_its_constraint_or_to_keep_its_value(void **state)
{
    struct interview v;
    (void)state;
    interview_init(&v);
    assert_int_equal(interview_form(&v, form_text(&v.a,
                                                  "<instance><d><a/><b/><c/></d></instance>"
                                                  "<bind nodeset=\"/d/a\" constraint=\". &gt; 3\"/>"
                                                  "<bind nodeset=\"/d/b\" calculate=\"once(random())\"/>"
                                                  "<bind nodeset=\"/d/c\" calculate=\"coalesce(., 'x')\"/>",
                                                  "<input ref=\"/d/a\"/>")),
                     ERR_OK);
    arena_free(&v.a);
    static const char *const wrong[] = {"calculate=\". + 1\"", "relevant=\"/d/a != ''\"",
                                        "required=\". = ''\"", "readonly=\"/d/a = 1\""};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        char model[200];
        snprintf(model, sizeof(model), "<instance><d><a/></d></instance><bind nodeset=\"/d/a\" %s/>",
                 wrong[i]);
        assert_non_null(strstr(refused(&v, model, "<input ref=\"/d/a\"/>"), "Cycle"));
        arena_free(&v.a);
    }
}

static void a_group_may_not_depend_on_what_is_inside_it(void **state)
{
    struct interview v;
    (void)state;
    assert_non_null(strstr(refused(&v,
                                   "<instance><d><g><a/></g></d></instance>"
                                   "<bind nodeset=\"/d/g\" relevant=\"/d/g/a = 1\"/>",
                                   "<input ref=\"/d/g/a\"/>"),
                           "Cycle"));
    arena_free(&v.a);
}

static void hostile_documents_are_refused_with_a_reason(void **state)
{
    static const struct {
        const char *xml, *says;
    } cases[] = {
        {"", "empty"},
        {"<h:html xmlns:h=\"x\"><h:head>", "well-formed"},
        {"<!DOCTYPE a [<!ENTITY lol \"lol\"><!ENTITY big \"&lol;&lol;&lol;\">]><a>&big;</a>", "entity"},
        {"<data/>", "not an XForm"},
        {"<html><head><title/></head></html>", "no <model>"},
        {"<html><head><model/></head></html>", "no <instance>"},
        {"<html><head><model><instance/></model></head></html>", "empty"},
    };
    struct interview v;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        interview_init(&v);
        assert_int_equal(interview_form(&v, str_of(cases[i].xml)), ERR_SYNTAX);
        assert_non_null(strstr(v.d.text, cases[i].says));
        assert_true(v.findings.error_count > 0);
        arena_free(&v.a);
    }
}

static void depth_and_size_are_capped(void **state)
{
    struct interview v;
    struct buf b;
    (void)state;
    interview_init(&v);
    buf_init(&b, 1u << 20);
    for (int i = 0; i < 5000; i++)
        buf_put_z(&b, "<a>");
    assert_int_equal(interview_form(&v, buf_str(&b)), ERR_LIMIT);
    assert_non_null(strstr(v.d.text, "nested"));
    buf_free(&b);
    char *large = calloc(1, FORM_BYTES_MAX + 1u);
    assert_non_null(large);
    diag_clear(&v.d);
    assert_int_equal(form_load(&v.a, (struct str){large, FORM_BYTES_MAX + 1u}, &v.form, &v.findings, &v.d),
                     ERR_LIMIT);
    assert_non_null(strstr(v.d.text, "64 MB"));
    free(large);
    arena_free(&v.a);
}

static void two_lists_of_one_name_are_refused(void **state)
{
    struct interview v;
    (void)state;
    assert_non_null(strstr(refused(&v,
                                   "<instance><d><a/></d></instance><instance id=\"l\"><root/></instance>"
                                   "<instance id=\"l\"><root/></instance>",
                                   ""),
                           "\"l\""));
    arena_free(&v.a);
}

/* The public forms that acceptance uses. */
static void published_forms_load(void **state)
{
    static const char *const files[] = {
        "forms/liberia_coverage_r2.xform.xml", "forms/liberia_village_r2.xform.xml",
        "conformance/forms/"
        "web-forms__packages_common_src_fixtures_test-javarosa_resources_smoketests_whova_form.xml",
        "conformance/forms/reference_xforms/"
        "web-forms__packages_common_src_fixtures_preview-service_xlsforms_socio-economic-survey-v20240515."
        "xlsx.xml"};
    const char *shared = getenv("DOORSTEP_SHARED");
    char path[1000];
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        snprintf(path, sizeof(path), "%s/%s", shared ? shared : DS_SOURCE_DIR "/../shared", files[i]);
        FILE *f = fopen(path, "rb");
        if (!f)
            skip(); /* the published forms are not at hand */
        struct buf b;
        char block[65536];
        size_t n;
        buf_init(&b, FORM_BYTES_MAX);
        while ((n = fread(block, 1, sizeof(block), f)) > 0)
            buf_put(&b, block, n);
        fclose(f);
        struct interview v;
        interview_init(&v);
        if (interview_form(&v, buf_str(&b)))
            fail_msg("%s: %s", files[i], v.d.text);
        buf_free(&b);
        interview_begin(&v);
        uint32_t stops = 0;
        while (session_next(v.s).kind != STOP_END)
            stops++;
        assert_true(stops > 3);
        interview_close(&v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_says_what_it_is),
        cmocka_unit_test(fields_are_numbered_in_document_order),
        cmocka_unit_test(all_faults_are_found_in_one_pass),
        cmocka_unit_test(a_dead_path_is_answered_with_the_nearest_name),
        cmocka_unit_test(a_question_without_a_node_is_answered_with_the_nearest_node),
        cmocka_unit_test(what_can_never_be_asked_or_chosen_is_told),
        cmocka_unit_test(one_value_of_many_is_told),
        cmocka_unit_test(a_cycle_is_named_with_its_whole_chain),
        cmocka_unit_test(a_node_may_ask_itself_only_in_its_constraint_or_to_keep_its_value),
        cmocka_unit_test(a_group_may_not_depend_on_what_is_inside_it),
        cmocka_unit_test(hostile_documents_are_refused_with_a_reason),
        cmocka_unit_test(depth_and_size_are_capped),
        cmocka_unit_test(two_lists_of_one_name_are_refused),
        cmocka_unit_test(published_forms_load),
        cmocka_unit_test(choices_that_are_never_shown_are_told),
        cmocka_unit_test(a_pattern_that_cannot_be_read_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
