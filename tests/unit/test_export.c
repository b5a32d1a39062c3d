/* What leaves the centre: tables as analysts know them, documents byte by byte, lists for people.
 */
#include "tests/support/interview.h"

#include "platform/base/json.h"

/* ---- an export into memory ---- */

#define OUTPUTS_MAX 16

struct output {
    char name[200];
    struct buf bytes;
    bool ended;
};
struct outputs {
    struct output at[OUTPUTS_MAX];
    uint32_t count;
    uint32_t open[EXPORT_FILES_MAX];
};

static enum err output_begin(void *self, uint32_t file, struct str name, struct diag *d)
{
    struct outputs *o = self;
    (void)d;
    assert_true(o->count < OUTPUTS_MAX);
    struct output *x = &o->at[o->count];
    (void)snprintf(x->name, sizeof x->name, "%.*s", STR_ARG(name));
    buf_init(&x->bytes, 16u << 20);
    o->open[file] = o->count++;
    return ERR_OK;
}

static enum err output_write(void *self, uint32_t file, struct str bytes, struct diag *d)
{
    struct outputs *o = self;
    (void)d;
    buf_put_str(&o->at[o->open[file]].bytes, bytes);
    return ERR_OK;
}

static enum err output_end(void *self, uint32_t file, struct diag *d)
{
    struct outputs *o = self;
    (void)d;
    o->at[o->open[file]].ended = true;
    return ERR_OK;
}

static void outputs_free(struct outputs *o)
{
    for (uint32_t i = 0; i < o->count; i++)
        buf_free(&o->at[i].bytes);
}

static struct str output(const struct outputs *o, const char *name)
{
    for (uint32_t i = 0; i < o->count; i++) {
        if (strcmp(o->at[i].name, name) == 0) {
            assert_true(o->at[i].ended);
            return buf_str(&o->at[i].bytes);
        }
    }
    fail_msg("no file %s", name);
    return STR_NONE;
}

static struct export_result exported(struct world *w, struct outputs *o, bool csv)
{
    const struct export_sink sink = {.self = o,
                                     .begin = output_begin,
                                     .write = output_write,
                                     .end = output_end};
    struct export_result n = {0};
    struct desk k = desk_begin(w, NULL);
    memset(o, 0, sizeof *o);
    OK(csv ? export_csv(&k, STR("survey"), &sink, &n, &w->d)
           : export_xml(&k, STR("survey"), &sink, &n, &w->d));
    desk_end(&k);
    return n;
}

/* The cell of a table by row (from 0, behind the header) and column name, read with our own CSV reader. */
static struct str cell(struct world *w, struct str table, uint32_t row, const char *column)
{
    struct csv csv;
    struct str header[CSV_FIELDS_MAX], cells[CSV_FIELDS_MAX];
    uint32_t columns = 0, count = 0, at = UINT32_MAX;
    csv_open(&csv, table);
    OK(csv_row(&csv, &w->a, header, &columns, &w->d));
    for (uint32_t i = 0; i < columns; i++)
        at = str_eq_z(header[i], column) ? i : at;
    if (at == UINT32_MAX)
        return STR_NONE;
    for (uint32_t i = 0; i <= row; i++)
        OK(csv_row(&csv, &w->a, cells, &count, &w->d));
    assert_int_equal(count, columns);
    return cells[at];
}

static struct interview visited(struct world *w, struct handheld *h, const char *name)
{
    struct interview v;
    survey_visit(w, &v, h, (struct row_id){0}, name);
    interview_finish(w, &v, h);
    (void)delivered(w, h, frame_of(w, h, v.changes, v.count));
    return v;
}

static void test_table_has_the_columns_analysts_know(void **state)
{
    struct world *w = *state;
    struct outputs o;
    struct handheld h = enrolled(w, "王芳", "9901");
    form_publish_text(w, survey_form);
    (void)visited(w, &h, "田, 大米");
    struct export_result n = exported(w, &o, true);
    assert_true(n.submissions == 1 && n.files == 2 && n.rows == 3 && n.left_out == 0);
    struct str root = output(&o, "survey.csv"), members = output(&o, "survey-member.csv");
    assert_true(str_starts(
        root, STR("SubmissionDate,name,money-wage,money-gift,where-Latitude,where-Longitude,where-Altitude,"
                  "where-Accuracy,meta-instanceID,KEY,SubmitterID,SubmitterName,AttachmentsPresent,"
                  "AttachmentsExpected,Status,ReviewState,DeviceID,Edits,FormVersion\n")));
    assert_true(str_starts(members, STR("who,age,work,PARENT_KEY,KEY\n")));
    assert_true(str_eq_z(cell(w, root, 0, "name"), "田, 大米"));
    assert_true(str_eq_z(cell(w, root, 0, "money-wage"), "1200"));
    assert_true(str_eq_z(cell(w, root, 0, "money-gift"), ""));
    assert_true(str_eq_z(cell(w, root, 0, "where-Longitude"), "104.25"));
    assert_true(str_eq_z(cell(w, root, 0, "SubmitterName"), "王芳"));
    assert_true(str_eq_z(cell(w, root, 0, "FormVersion"), "1"));
    assert_true(str_starts(cell(w, root, 0, "SubmissionDate"), STR("2026-11-07T02:00:00.000Z")));
    struct str key = cell(w, root, 0, "KEY");
    assert_true(str_eq(key, cell(w, root, 0, "meta-instanceID")));
    assert_true(str_eq(key, cell(w, members, 0, "PARENT_KEY")));
    assert_true(str_starts(cell(w, members, 1, "KEY"), key));
    assert_true(str_ends(cell(w, members, 1, "KEY"), STR("/member[2]")));
    assert_true(str_eq_z(cell(w, members, 0, "who"), "Li, \"the elder\""));
    assert_true(str_eq_z(cell(w, members, 0, "work"), "farmer\nand driver"));
    assert_true(str_find(members, STR("\"Li, \"\"the elder\"\"\"")) > 0);
    assert_true(str_eq_z(cell(w, members, 1, "work"), "")); /* a child is not asked */
    outputs_free(&o);
}

static void test_refused_answers_get_a_column_where_there_are_any(void **state)
{
    struct world *w = *state;
    struct outputs o;
    struct interview v;
    struct handheld h = enrolled(w, "王芳", "9901");
    form_publish_text(w, survey_form);
    (void)visited(w, &h, "plain");
    survey_visit(w, &v, &h, (struct row_id){0}, "shy");
    refuse(w, &v, "/survey/money/gift", ANSWER_REFUSED);
    refuse(w, &v, "/survey/member[2]/age", ANSWER_DONT_KNOW);
    interview_finish(w, &v, &h);
    sim_advance(w->sim, 1000);
    (void)delivered(w, &h, frame_of(w, &h, v.changes, v.count));
    (void)exported(w, &o, true);
    struct str root = output(&o, "survey.csv"), members = output(&o, "survey-member.csv");
    assert_true(str_eq_z(cell(w, root, 0, "name"), "shy")); /* newest first */
    assert_true(str_eq_z(cell(w, root, 0, "money-gift-status"), "refused"));
    assert_true(str_eq_z(cell(w, root, 1, "money-gift-status"), ""));
    assert_null(cell(w, root, 0, "money-wage-status").p);
    assert_true(str_eq_z(cell(w, members, 1, "age-status"), "dont_know"));
    assert_true(str_eq_z(cell(w, members, 0, "age-status"), ""));
    outputs_free(&o);
}

static void test_documents_are_the_bytes_of_the_door(void **state)
{
    struct world *w = *state;
    struct outputs o;
    struct handheld h = enrolled(w, "王芳", "9901");
    form_publish_text(w, survey_form);
    struct interview one = visited(w, &h, "one"), two = visited(w, &h, "two");
    struct export_result n = exported(w, &o, false);
    assert_int_equal(n.submissions, 2);
    bool found_one = false, found_two = false;
    for (uint32_t i = 0; i < o.count; i++) {
        found_one = found_one || str_eq(buf_str(&o.at[i].bytes), one.xml_out);
        found_two = found_two || str_eq(buf_str(&o.at[i].bytes), two.xml_out);
        assert_true(str_starts(str_of(o.at[i].name), STR("uuid_")) &&
                    str_ends(str_of(o.at[i].name), STR(".xml")));
    }
    assert_true(found_one && found_two);
    outputs_free(&o);
}

/* What a handheld calls its visit is its own affair; a file that another overwrites is a document lost. */
static void test_two_visits_of_one_name_are_two_files(void **state)
{
    static const char *const names[] = {"uuid:one", "uuid:one", "uuid_one", "../one", ".._one"};
    struct world *w = *state;
    struct outputs o;
    struct handheld h = enrolled(w, "王芳", "9901");
    form_publish_text(w, survey_form);
    for (int i = 0; i < 5; i++) {
        struct interview v;
        survey_visit(w, &v, &h, (struct row_id){0}, "x");
        interview_finish(w, &v, &h);
        for (uint32_t c = 0; c < v.count; c++) {
            if (row_id_same(v.changes[c].row, v.visit) && v.changes[c].field == VISIT_INSTANCE)
                v.changes[c].value = str_of(names[i]);
        }
        (void)delivered(w, &h, frame_of(w, &h, v.changes, v.count));
    }
    assert_int_equal(exported(w, &o, false).submissions, 5);
    assert_int_equal(o.count, 5);
    for (uint32_t i = 0; i < o.count; i++) {
        assert_true(str_find(str_of(o.at[i].name), STR("/")) < 0);
        for (uint32_t k = 0; k < i; k++)
            assert_string_not_equal(o.at[i].name, o.at[k].name);
    }
    outputs_free(&o);
}

static void test_many_visits_are_walked_in_pages(void **state)
{
    struct world *w = *state;
    struct outputs o;
    struct handheld h = enrolled(w, "王芳", "9901");
    form_publish_text(w, survey_form);
    for (int i = 0; i < 37; i++) {
        char name[20];
        (void)snprintf(name, sizeof name, "n%d", i);
        (void)visited(w, &h, name);
        if (i % 3 == 0)
            sim_advance(w->sim, 1000); /* several share a moment */
    }
    struct export_result n = exported(w, &o, true);
    assert_int_equal(n.submissions, 37);
    bool seen[37] = {false};
    for (uint32_t i = 0; i < 37; i++) {
        struct str name = cell(w, output(&o, "survey.csv"), i, "name");
        int64_t number = 0;
        assert_true(str_to_i64(str_sub(name, 1, name.n), &number) && number < 37 && !seen[number]);
        seen[number] = true;
    }
    outputs_free(&o);
}

/* Version 2 puts a question first and drops one. */
static struct str second_version(struct world *w)
{
    struct buf b;
    struct str rest = str_of(survey_form);
    static const struct {
        const char *from, *to;
    } edits[] = {
        {"version=\"1\"", "version=\"2\""},
        {"<name/><money><wage/>", "<hello/><name/><money>"},
        {"<bind nodeset=\"/survey/money/wage\" type=\"int\"/>",
         "<bind nodeset=\"/survey/hello\" type=\"string\"/>"},
        {"<input ref=\"/survey/name\">",
         "<input ref=\"/survey/hello\"><label>Hello</label></input><input ref=\"/survey/name\">"},
        {"<input ref=\"/survey/money/wage\"><label>Wage</label></input>", ""},
    };
    buf_init(&b, 1u << 20);
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        ptrdiff_t at = str_find(rest, str_of(edits[i].from));
        assert_true(at >= 0);
        buf_put(&b, rest.p, (size_t)at);
        buf_put_z(&b, edits[i].to);
        rest = str_sub(rest, (size_t)at + strlen(edits[i].from), rest.n);
    }
    buf_put_str(&b, rest);
    struct str out = arena_str(&w->a, buf_str(&b));
    buf_free(&b);
    return out;
}

static void test_versions_of_a_form_share_one_table_and_their_numbers(void **state)
{
    struct world *w = *state;
    struct outputs o;
    struct handheld h = enrolled(w, "王芳", "9901");
    form_publish_text(w, survey_form);
    (void)visited(w, &h, "old");
    struct str xml = second_version(w);
    form_publish_text(w, xml.p);
    struct desk k = desk_begin(w, NULL);
    struct form_row *forms = NULL;
    uint32_t count = 0;
    OK(cstore_forms(k.st, &w->a, STR("survey"), &forms, &count, &w->d));
    assert_int_equal(count, 2);
    assert_true(str_eq_z(forms[0].version, "2") && forms[0].fieldmap.n > 0);
    assert_true(str_eq_z(forms[1].version, "1") && forms[1].fieldmap.n == 0);
    struct fieldmap map;
    const struct form *form = NULL;
    struct form_findings findings = {0};
    OK(form_load(&w->a, xml, &form, &findings, &w->d));
    OK(fieldmap_read(&w->a, forms[0].fieldmap, form_policies(&w->a, form), form_field_count(form),
                     form_repeat_count(form), &map, &w->d));
    desk_end(&k);
    struct interview old;
    interview_form(w, &old, survey_form);
    uint32_t name_before = old.map.field_stable[form_field_by_path(old.form, STR("/survey/name"))->number];
    assert_int_equal(map.field_stable[form_field_by_path(form, STR("/survey/name"))->number], name_before);
    assert_int_equal(map.field_stable[form_field_by_path(form, STR("/survey/hello"))->number],
                     form_field_count(old.form)); /* one of the old ones, the id, is numbered apart */
    (void)exported(w, &o, true);
    struct str root = output(&o, "survey.csv");
    assert_true(str_starts(root, STR("SubmissionDate,hello,name,money-gift,")));
    assert_true(str_eq_z(cell(w, root, 0, "name"), "old"));
    assert_true(str_eq_z(cell(w, root, 0, "money-wage"), "1200"));
    assert_true(str_eq_z(cell(w, root, 0, "hello"), ""));
    outputs_free(&o);
}

static void test_a_version_never_changes_its_contents(void **state)
{
    struct world *w = *state;
    struct publish_result p;
    struct diag d = {0};
    form_publish_text(w, survey_form);
    struct desk k = desk_begin(w, NULL);
    OK(publish(&k, STR("form"), STR(""), STR("f.xml"), str_of(survey_form), &p, &w->d));
    assert_false(p.changed);
    struct buf other;
    buf_init(&other, 1u << 20);
    buf_put_z(&other, survey_form);
    buf_put_char(&other, '\n');
    assert_int_equal(publish(&k, STR("form"), STR(""), STR("f.xml"), buf_str(&other), &p, &d), ERR_EXISTS);
    assert_true(str_find(str_of(d.text), STR("new version")) >= 0);
    buf_free(&other);
    desk_end(&k);
}

static void test_visit_without_a_document_is_told_and_not_left_out_silently(void **state)
{
    struct world *w = *state;
    struct interview v;
    struct outputs o = {0};
    struct buf lines;
    struct handheld h = enrolled(w, "王芳", "9901");
    form_publish_text(w, survey_form);
    survey_visit(w, &v, &h, (struct row_id){0}, "x");
    interview_finish(w, &v, &h);
    /* Only the end of the visit arrives: its answers are on another card. */
    uint32_t from = v.count - 5;
    (void)frame_of(w, &h, v.changes, from);
    (void)delivered(w, &h, frame_of(w, &h, v.changes + from, 5));
    buf_init(&lines, 1u << 20);
    struct desk k = desk_begin(w, &lines);
    const struct export_sink sink = {.self = &o,
                                     .begin = output_begin,
                                     .write = output_write,
                                     .end = output_end};
    struct export_result n = {0};
    OK(export_xml(&k, STR("survey"), &sink, &n, &w->d));
    assert_int_equal(n.submissions, 0);
    struct centre_counts counts = counts_of(w);
    assert_true(counts.submissions == 1 && counts.submissions_differing == 1);
    assert_int_equal(export_xml(&k, STR("nothing"), &sink, &n, NULL), ERR_NOT_FOUND);
    desk_end(&k);
    buf_free(&lines);
    outputs_free(&o);
}

static void test_status_and_lists_in_both_shapes(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct import_result n;
    struct buf out;
    const struct json *json = NULL;
    int64_t households = 0;
    buf_init(&out, 1u << 20);
    form_publish_text(w, survey_form);
    (void)visited(w, &h, "x");
    struct desk k = desk_begin(w, NULL);
    OK(import_households(&k, STR("code,area,name\nH1,990101,田大米\nH22,990101,Li\n"), false, &n, &w->d));
    OK(list_status(&k, true, &out, &w->d));
    OK(json_read(&w->a, buf_str(&out), &json, &w->d));
    assert_true(json_i64(json, "households", &households) && households == 2);
    assert_true(str_eq_z(json_text(json, "county"), "清河县"));
    buf_clear(&out);
    OK(list_of(&k, STR("households"), false, STR("en"), &out, &w->d));
    /* The column behind a Chinese name begins where it begins behind a Latin one. */
    assert_true(str_find(buf_str(&out), STR("\nH1    990101  田大米  ")) >= 0);
    assert_true(str_find(buf_str(&out), STR("\nH22   990101  Li      ")) >= 0);
    static const char *const all[] = {"households", "visits",  "findings",
                                      "quarantine", "devices", "published"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        buf_clear(&out);
        OK(list_of(&k, str_of(all[i]), true, STR("zh"), &out, &w->d));
        OK(json_read(&w->a, buf_str(&out), &json, &w->d));
        assert_int_equal(json->type, JSON_ARRAY);
    }
    assert_int_equal(list_of(&k, STR("secrets"), true, STR("zh"), &out, NULL), ERR_USAGE);
    desk_end(&k);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)
        TEST(test_table_has_the_columns_analysts_know),
        TEST(test_refused_answers_get_a_column_where_there_are_any),
        TEST(test_documents_are_the_bytes_of_the_door),
        TEST(test_two_visits_of_one_name_are_two_files),
        TEST(test_many_visits_are_walked_in_pages),
        TEST(test_versions_of_a_form_share_one_table_and_their_numbers),
        TEST(test_a_version_never_changes_its_contents),
        TEST(test_visit_without_a_document_is_told_and_not_left_out_silently),
        TEST(test_status_and_lists_in_both_shapes),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
