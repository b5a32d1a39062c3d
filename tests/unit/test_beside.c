/* What stands beside the answers of an interview: corrections of what was sent, drafts and newer forms, the
 * log, comments, entities.
 */
#include "tests/support/device.h"

static bool notes_say(const struct work *w, const char *text)
{
    for (uint32_t i = 0; i < w->notes.count; i++)
        if (str_find(w->notes.at[i], str_of(text)) >= 0)
            return true;
    return false;
}

static struct str finish_said(struct device_test *t, struct work *w)
{
    struct work_result r;
    OK(work_finish(w, &t->a, STR("fine"), &r, &t->d));
    struct str id = arena_str(&t->a, r.instance_id);
    work_close(w);
    return id;
}

/* The submission of a visit of this device. */
static struct str document(struct device_test *t, struct str instance)
{
    struct finished_visit v;
    struct visit_file *files;
    uint32_t count = 0;
    OK(store_finished_visit(t->store, &t->a, instance, 0, &v, &t->d));
    OK(store_visit_files(t->store, &t->a, v.key, &files, &count, &t->d));
    assert_int_equal(count, 1);
    assert_true(str_eq_z(files[0].name, "submission.xml"));
    return files[0].bytes;
}

static bool holds(struct str text, const char *part)
{
    return str_find(text, str_of(part)) >= 0;
}

/* ---- corrections ---- */

static enum err open_edit(struct device_test *t, struct work *w, const char *form, const char *which)
{
    const struct work_options o = {.store = t->store, .seam = t->seam, .form = form, .edit = which};
    diag_clear(&t->d);
    return work_open(w, &o, &t->d);
}

static void a_correction_asks_nothing_anew(void **state)
{
    struct device_test *t = *state;
    struct work w;
    const char *form = write_form(t, visit_form);
    device_enrol(t);
    feed_household(t, 1, "H1");
    FAILS(open_edit(t, &w, form, "H1"), ERR_NOT_FOUND);
    FAILS(open_edit(t, &w, form, "H9"), ERR_NOT_FOUND);
    begin_work(t, &w, form, "H1");
    say(t, &w, "/data/name", "Li");
    say(t, &w, "/data/mood", "good");
    add_member(t, &w, "An");
    struct str first = finish_said(t, &w);

    OK(open_edit(t, &w, form, "H1"));
    assert_true(w.visit.edit && !w.visit.revisit);
    assert_says(t, w.session, "/data/mood", "good"); /* a further visit would ask */
    assert_says(t, w.session, "/data/member[1]/who", "An");
    say(t, &w, "/data/wage", "7");
    work_close(&w);
    FAILS(open_edit(t, &w, form, "uuid:nobody"), ERR_NOT_FOUND);

    begin_work(t, &w, form, "H1"); /* the draft is found like any other, and stays a correction */
    assert_true(w.visit.resumed && w.visit.edit && notes_say(&w, "corrects what was sent"));
    struct str second = finish_said(t, &w);
    assert_false(str_eq(first, second));
    struct str xml = document(t, second);
    assert_true(holds(xml, "<mood>good</mood>") && holds(xml, "<wage>7</wage>"));
    assert_true(holds(xml, "<deprecatedID>") && str_find(xml, first) >= 0);
    assert_false(holds(document(t, first), "deprecatedID"));

    begin_work(t, &w, form, "H1"); /* the next visit is a visit again */
    assert_true(w.visit.revisit && !w.visit.edit);
    assert_says(t, w.session, "/data/mood", "");
    struct work other;
    FAILS(open_edit(t, &other, form, arena_z(&t->a, first)), ERR_STATE);
    say(t, &w, "/data/mood", "bad");
    work_close(&w);
    FAILS(open_edit(t, &other, form, "H1"), ERR_STATE); /* a visit is under way */
}

static void without_a_household_a_visit_is_corrected_by_its_name(void **state)
{
    struct device_test *t = *state;
    struct work w;
    const char *form = write_form(t, visit_form);
    begin_work(t, &w, form, NULL);
    say(t, &w, "/data/name", "A");
    struct str first = finish_said(t, &w);
    begin_work(t, &w, form, NULL);
    say(t, &w, "/data/name", "B");
    struct str other = finish_said(t, &w);
    OK(open_edit(t, &w, form, arena_z(&t->a, first)));
    assert_says(t, w.session, "/data/name", "A");
    say(t, &w, "/data/wage", "1");
    work_close(&w);
    OK(open_edit(t, &w, form, arena_z(&t->a, first)));
    assert_true(w.visit.resumed);
    assert_says(t, w.session, "/data/wage", "1");
    assert_true(holds(document(t, finish_said(t, &w)), "<name>A</name><wage>1</wage>"));
    assert_false(holds(document(t, other), "deprecatedID"));
}

/* ---- newer forms ---- */

/* Members have another number, the name stands elsewhere, the mood is gone, the wage is a choice of words. */
static const char grown_form[] = FORM_HEAD
    "<model><instance><data id='visit' version='2'><pet jr:template=''><kind/></pet><about><name/></about>"
    "<wage/><member jr:template=''><who/><age/></member><meta><instanceID/></meta></data></instance>"
    "<bind nodeset='/data/about/name' type='string'/><bind nodeset='/data/wage' type='date'/>"
    "<bind nodeset='/data/member/who' type='string'/><bind nodeset='/data/member/age' type='int'/>"
    "<bind nodeset='/data/meta/instanceID' type='string' jr:preload='uid'/></model></h:head><h:body>"
    "<group ref='/data/pet'><label>Pet</label><repeat nodeset='/data/pet'>"
    "<input ref='/data/pet/kind'><label>Kind</label></input></repeat></group>"
    "<group ref='/data/about'><label>About</label><input ref='/data/about/name'><label>Name</label></input>"
    "</group><input ref='/data/wage'><label>Wage</label></input>"
    "<group ref='/data/member'><label>Member</label><repeat nodeset='/data/member'>"
    "<input ref='/data/member/who'><label>Who</label></input>"
    "<input ref='/data/member/age'><label>Age</label></input></repeat></group></h:body></h:html>";

static enum err migrate(struct device_test *t, const char *form, bool dry, struct work_migration *out,
                        struct work *w)
{
    const struct work_options o = {.store = t->store, .seam = t->seam, .form = form};
    memset(w, 0, sizeof *w);
    diag_clear(&t->d);
    return work_migrate(w, &o, dry, out, &t->d);
}

static const struct migration_item *item_of(const struct work_migration *m, enum migration_kind kind)
{
    for (uint32_t i = 0; i < m->plan.item_count; i++)
        if (m->plan.items[i].kind == kind)
            return &m->plan.items[i];
    return NULL;
}

static void a_draft_goes_over_to_a_newer_form_and_back_and_loses_nothing(void **state)
{
    struct device_test *t = *state;
    struct work w;
    struct work_migration m;
    const char *old = write_form(t, visit_form), *grown = write_form(t, grown_form);
    const char *third = write_form(t, arena_z(&t->a, str_of(visit_form)));

    assert_int_equal(migrate(t, grown, true, &m, &w), ERR_NOT_FOUND);
    work_close(&w);
    begin_work(t, &w, old, NULL);
    say(t, &w, "/data/name", "Li");
    say(t, &w, "/data/wage", "12");
    say(t, &w, "/data/mood", "good");
    add_member(t, &w, "An");
    add_member(t, &w, "Bo");
    say(t, &w, "/data/member[2]/age", "41");
    work_close(&w);

    OK(migrate(t, grown, true, &m, &w));
    assert_true(item_of(&m, MIGRATE_MOVED) && item_of(&m, MIGRATE_GONE) && item_of(&m, MIGRATE_MISFIT));
    assert_int_equal(m.plan.attention, 2);
    work_close(&w);
    begin_work(t, &w, grown, NULL); /* that was a dry run */
    assert_true(str_eq_z(form_version(w.form), "1") && notes_say(&w, "--migrate"));
    work_close(&w);

    OK(migrate(t, grown, false, &m, &w));
    work_close(&w);
    device_reopen(t);
    begin_work(t, &w, grown, NULL);
    assert_true(str_eq_z(form_version(w.form), "2") && w.visit.resumed);
    assert_says(t, w.session, "/data/about/name", "Li");
    assert_says(t, w.session, "/data/member[1]/who", "An");
    assert_says(t, w.session, "/data/member[2]/age", "41");
    assert_false(has_place(w.session, "/data/pet[1]/kind"));
    assert_false(has_place(w.session, "/data/member[3]"));
    assert_true(notes_say(&w, "/data/mood: good") && notes_say(&w, "/data/wage: 12"));
    say(t, &w, "/data/member[1]/age", "3");
    work_close(&w);
    assert_int_equal(migrate(t, grown, false, &m, &w), ERR_STATE);
    work_close(&w);

    OK(migrate(t, third, false, &m, &w)); /* the county went back to the first version */
    assert_non_null(item_of(&m, MIGRATE_RETURNED));
    work_close(&w);
    begin_work(t, &w, third, NULL);
    assert_says(t, w.session, "/data/name", "Li");
    assert_says(t, w.session, "/data/wage", "12");
    assert_says(t, w.session, "/data/mood", "good");
    assert_says(t, w.session, "/data/member[1]/who", "An");
    assert_says(t, w.session, "/data/member[1]/age", "3");
    assert_says(t, w.session, "/data/member[2]/who", "Bo");
    assert_int_equal(w.notes.count, 0);
    struct str xml = document(t, finish_said(t, &w));
    assert_true(holds(xml, "<name>Li</name><wage>12</wage><mood>good</mood>"));
}

/* ---- the log ---- */

#define LOG_FORM(settings)                                                                                   \
    FORM_HEAD "<model><instance><data id='logged' version='1'><name/><wage/><meta><instanceID/><audit/>"     \
              "</meta></data></instance><bind nodeset='/data/wage' type='int'/>"                             \
              "<bind nodeset='/data/meta/audit' type='binary' xmlns:odk='http://www.opendatakit.org/xforms'" \
              " " settings "/><bind nodeset='/data/meta/instanceID' type='string' jr:preload='uid'/>"        \
              "</model></h:head><h:body><input ref='/data/name'><label>Name</label></input>"                 \
              "<input ref='/data/wage'><label>Wage</label></input></h:body></h:html>"

static uint64_t log_bytes(struct device_test *t)
{
    struct stmt *q = NULL;
    bool row = false;
    OK(db_prepare(t->store->db, "SELECT coalesce(sum(length(csv)), 0) FROM paradata", &q, &t->d));
    OK(stmt_step(q, &row, &t->d));
    uint64_t n = (uint64_t)col_i64(q, 0);
    stmt_done(q);
    return n;
}

static struct str log_of(struct device_test *t, struct str instance)
{
    struct finished_visit v;
    OK(store_finished_visit(t->store, &t->a, instance, 0, &v, &t->d));
    return v.log;
}

static void show(struct device_test *t, struct work *w, const char *ref)
{
    struct place p;
    OK(session_place(w->session, str_of(ref), &p, &t->d));
    OK(session_jump(w->session, p, &t->d));
    audit_view(w->audit);
}

static void the_log_is_written_with_answers_only(void **state)
{
    struct device_test *t = *state;
    struct work w;
    begin_work(t, &w, write_form(t, LOG_FORM("")), NULL);
    say(t, &w, "/data/name", "A");
    uint64_t before = log_bytes(t), operations = sim_operations(t->machine);
    for (int i = 0; i < 20; i++) {
        show(t, &w, i % 2 ? "/data/name" : "/data/wage");
        OK(work_save(&w, &t->d));
    }
    assert_true(log_bytes(t) == before && sim_operations(t->machine) == operations);
    say(t, &w, "/data/wage", "1");
    assert_true(log_bytes(t) > before);
    work_close(&w);

    begin_work(t, &w, "/form0.xml", NULL);
    struct str log = log_of(t, finish_said(t, &w));
    assert_true(str_starts(log, STR("event,node,start,end\nform start,,")));
    assert_true(holds(log, "\nform exit,") && holds(log, "\nform resume,") && holds(log, "\nform finalize,"));
    assert_true(holds(log, "\nquestion,/data/wage,"));
    assert_int_equal(log_bytes(t), 0);                  /* the visit has it now */
    begin_work(t, &w, write_form(t, visit_form), NULL); /* a form that asks for none */
    say(t, &w, "/data/name", "A");
    assert_int_equal(log_of(t, finish_said(t, &w)).n, 0);
}

static void a_log_that_is_full_says_so_and_ends(void **state)
{
    struct device_test *t = *state;
    struct work w;
    char long_text[3000];
    begin_work(t, &w, write_form(t, LOG_FORM("odk:track-changes='true'")), NULL);
    for (int i = 0; i < 120; i++) {
        memset(long_text, 'a' + i % 2, sizeof long_text - 1);
        long_text[sizeof long_text - 1] = '\0';
        show(t, &w, "/data/name");
        say(t, &w, "/data/name", long_text);
        show(t, &w, "/data/wage");
    }
    assert_true(notes_say(&w, "is full"));
    assert_true(log_bytes(t) <= 256 * 1024 && log_bytes(t) > 200 * 1024);
    struct str id = finish_said(t, &w);
    assert_true(log_of(t, id).n <= 260 * 1024);
    assert_true(holds(document(t, id), "<name>bbb"));
}

static void who_corrects_says_why_where_the_form_asks(void **state)
{
    struct device_test *t = *state;
    struct work w;
    struct work_result r;
    const char *form = write_form(t, LOG_FORM("odk:track-changes-reasons='on-form-edit'"));
    begin_work(t, &w, form, NULL);
    say(t, &w, "/data/name", "A");
    const char *id = arena_z(&t->a, finish_said(t, &w));
    OK(open_edit(t, &w, form, id));
    FAILS(work_finish(&w, &t->a, STR(""), &r, &t->d), ERR_USAGE);
    work_close(&w);
    const struct work_options o = {
        .store = t->store, .seam = t->seam, .form = form, .edit = id, .reason = "typing mistake"};
    OK(work_open(&w, &o, &t->d));
    assert_true(holds(log_of(t, finish_said(t, &w)), "typing mistake"));
}

/* ---- comments ---- */

static void a_comment_names_the_answer_and_travels_with_its_visit(void **state)
{
    struct device_test *t = *state;
    struct work w;
    struct place p;
    device_enrol(t);
    feed_household(t, 1, "H1");
    begin_work(t, &w, write_form(t, visit_form), "H1");
    add_member(t, &w, "An");
    add_member(t, &w, "Bo");
    OK(session_place(w.session, STR("/data/member[2]/age"), &p, &t->d));
    OK(work_comment(&w, p, STR("nobody knows"), &t->d));
    OK(session_answer_status(w.session, p, ANSWER_DONT_KNOW, &t->d));
    OK(work_save(&w, &t->d));
    FAILS(work_comment(&w, p, STR(""), &t->d), ERR_LIMIT);
    OK(session_place(w.session, STR("/data/member[2]"), &p, &t->d));
    FAILS(work_comment(&w, p, STR("on an entry"), &t->d), ERR_USAGE);
    work_close(&w);
    uint32_t frames = 9;
    OK(store_cut(t->store, &frames, &t->d));
    assert_int_equal(frames, 0); /* a draft's */
    begin_work(t, &w, "/form0.xml", "H1");
    finish_work(t, &w);
    struct cut_frame f = cut_one_frame(t);
    assert_int_equal(count_value(&f, "nobody knows"), 1);
    assert_int_equal(count_value(&f, "/data/member[2]/age"), 1);
    uint32_t unknown = 0;
    for (uint32_t i = 0; i < f.count; i++)
        unknown += f.changes[i].status == ANSWER_DONT_KNOW;
    assert_int_equal(unknown, 1);
}

static void a_comment_alone_begins_a_draft(void **state)
{
    struct device_test *t = *state;
    struct work w;
    struct place p;
    begin_work(t, &w, write_form(t, bare_form), NULL);
    OK(session_place(w.session, STR("/data/name"), &p, &t->d));
    OK(work_comment(&w, p, STR("was not at home"), &t->d));
    OK(work_save(&w, &t->d));
    work_close(&w);
    assert_int_equal(status_now(t).drafts, 1);
}

/* ---- entities ---- */

static const char entity_form[] =
    "<h:html xmlns='http://www.w3.org/2002/xforms' xmlns:h='http://www.w3.org/1999/xhtml' "
    "xmlns:entities='http://www.opendatakit.org/xforms/entities' "
    "xmlns:jr='http://openrosa.org/javarosa'><h:head><h:title>E</h:title>"
    "<model entities:entities-version='2024.1.0'><instance><data id='register' version='1'><name/><id/>"
    "<meta><instanceID/><entity dataset='people' create='1' id=''><label/></entity></meta></data></instance>"
    "<instance id='people' src='jr://file-csv/people.csv'/>"
    "<bind nodeset='/data/name' type='string' entities:saveto='full_name'/>"
    "<bind nodeset='/data/meta/entity/@id' calculate='/data/id'/>"
    "<bind nodeset='/data/meta/entity/label' calculate='/data/name'/>"
    "<bind nodeset='/data/meta/instanceID' type='string' jr:preload='uid'/></model></h:head><h:body>"
    "<input ref='/data/name'><label>N</label></input><input ref='/data/id'><label>I</label></input>"
    "</h:body></h:html>";

static uint32_t known_people(struct device_test *t)
{
    struct entity_change *list;
    uint32_t count = 0;
    OK(store_entities(t->store, &t->a, STR("people"), &list, &count, &t->d));
    return count;
}

static void only_what_is_finished_and_sound_becomes_an_entity(void **state)
{
    struct device_test *t = *state;
    struct work w;
    struct work_result r;
    const char *form = write_form(t, entity_form);
    begin_work(t, &w, form, NULL);
    say(t, &w, "/data/name", "Mai");
    say(t, &w, "/data/id", "3f2504e0-4f89-41d3-9a0c-0305e82c3301");
    assert_int_equal(known_people(t), 0);
    OK(work_finish(&w, &t->a, STR(""), &r, &t->d));
    assert_int_equal(r.entities, 1);
    work_close(&w);
    assert_int_equal(known_people(t), 1);
    device_reopen(t);
    begin_work(t, &w, form, NULL);
    say(t, &w, "/data/name", "Lan");
    say(t, &w, "/data/id", "number seven");
    OK(work_finish(&w, &t->a, STR(""), &r, &t->d));
    assert_int_equal(r.entities, 0);
    assert_true(notes_say(&w, "not a UUID"));
    work_close(&w);
    assert_int_equal(known_people(t), 1);
}

static void others_of_the_area_say_who_there_is(void **state)
{
    struct device_test *t = *state;
    const struct row_id interview = {7, 1, 1}, visit = {7, 1, 2}, entity = {7, 1, 3};
    device_enrol(t);
    feed_household(t, 1, "H1");
    feed_birth(t, interview, ROW_INTERVIEW, centre_row(1), STR("register"));
    feed_birth(t, visit, ROW_VISIT, interview, STR(""));
    feed_birth(t, entity, ROW_ENTITY, visit, STR(""));
    feed_set(t, entity, ENTITY_DATASET, "people");
    feed_set(t, entity, ENTITY_ID, "3f2504e0-4f89-41d3-9a0c-0305e82c3301");
    feed_set(t, entity, ENTITY_ACTION, "create");
    feed_set(t, entity, ENTITY_LABEL, "Minh");
    feed_send(t);
    assert_int_equal(known_people(t), 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_correction_asks_nothing_anew),
        CASE(without_a_household_a_visit_is_corrected_by_its_name),
        CASE(a_draft_goes_over_to_a_newer_form_and_back_and_loses_nothing),
        CASE(the_log_is_written_with_answers_only),
        CASE(a_log_that_is_full_says_so_and_ends),
        CASE(who_corrects_says_why_where_the_form_asks),
        CASE(a_comment_names_the_answer_and_travels_with_its_visit),
        CASE(a_comment_alone_begins_a_draft),
        CASE(only_what_is_finished_and_sound_becomes_an_entity),
        CASE(others_of_the_area_say_who_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
