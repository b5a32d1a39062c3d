/* A draft meets a newer version of its form: what moves, what is set aside, what has become wrong, and that
 * nothing is lost.
 */
#include "tests/support/forms.h"

#include "forms/migrate.h"

static const char *const first =
    "<instance><d id=\"hh\" "
    "version=\"1\"><name/><phone/><age/><born/><roof/><old_note/><group><water/></group>"
    "<total/><member jr:template=\"\"><who/><years/></member><cow jr:template=\"\"><colour/></cow>"
    "<meta><instanceID/></meta></d></instance>"
    "<bind nodeset=\"/d/age\" type=\"int\"/>"
    "<bind nodeset=\"/d/total\" calculate=\"count(/d/member)\"/>"
    "<bind nodeset=\"/d/meta/instanceID\" jr:preload=\"uid\"/>";
static const char *const first_body =
    "<input ref=\"/d/name\"/><input ref=\"/d/phone\"/><input ref=\"/d/age\"/><input ref=\"/d/born\"/>"
    "<select1 ref=\"/d/roof\"><item><value>tin</value></item><item><value>straw</value></item></select1>"
    "<input ref=\"/d/old_note\"/><group ref=\"/d/group\"><input ref=\"/d/group/water\"/></group>"
    "<repeat nodeset=\"/d/member\"><input ref=\"/d/member/who\"/><input ref=\"/d/member/years\"/></repeat>"
    "<repeat nodeset=\"/d/cow\"><input ref=\"/d/cow/colour\"/></repeat>";

/* The second version: phone is a number, born a date, water stands in another group, straw roofs are no
 * choice, an age is at most 120, cows are not asked, every member has a new question with a default, and the
 * total is no more. */
static const char *const second =
    "<instance><d id=\"hh\" version=\"2\"><name/><phone/><age/><born/><roof/><house><water/><rooms>1</rooms>"
    "</house><member jr:template=\"\"><who/><years/><alive>yes</alive></member><consent/>"
    "<meta><instanceID/></meta></d></instance>"
    "<bind nodeset=\"/d/phone\" type=\"int\"/><bind nodeset=\"/d/born\" type=\"date\"/>"
    "<bind nodeset=\"/d/age\" type=\"int\" constraint=\". &lt; 121\" jr:constraintMsg=\"Too old\"/>"
    "<bind nodeset=\"/d/consent\" required=\"true()\"/>"
    "<bind nodeset=\"/d/meta/instanceID\" jr:preload=\"uid\"/>";
static const char *const second_body =
    "<input ref=\"/d/name\"/><input ref=\"/d/phone\"/><input ref=\"/d/age\"/><input ref=\"/d/born\"/>"
    "<select1 ref=\"/d/roof\"><item><value>tin</value></item><item><value>tile</value></item></select1>"
    "<group ref=\"/d/house\"><input ref=\"/d/house/water\"/><input ref=\"/d/house/rooms\"/></group>"
    "<repeat nodeset=\"/d/member\"><input ref=\"/d/member/who\"/><input ref=\"/d/member/years\"/>"
    "<input ref=\"/d/member/alive\"/></repeat><input ref=\"/d/consent\"/>";

struct moving {
    struct interview v;
    const struct form *old;
    struct kept kept;
    struct migration_plan plan;
};

static const struct form *version(struct moving *m, const char *model, const char *body)
{
    if (interview_form(&m->v, form_text(&m->v.a, model, body)))
        fail_msg("%s", m->v.d.text);
    return m->v.form;
}

/* A draft of the first version with some answers. */
static void draft(struct moving *m, const char *const answers[][2])
{
    *m = (struct moving){0};
    interview_init(&m->v);
    m->old = version(m, first, first_body);
    interview_begin(&m->v);
    for (; answers && (*answers)[0]; answers++) {
        if ((*answers)[1])
            answer(&m->v, (*answers)[0], (*answers)[1]);
        else
            add(&m->v, "/d", (*answers)[0]);
    }
    keep_changes(&m->v, &m->kept);
}

static void migrate(struct moving *m, const struct form *to, const struct set_aside *aside,
                    uint32_t aside_count)
{
    struct migration_draft d = {.from = m->old,
                                .to = to,
                                .host = &m->v.host,
                                .saved = {.rows = m->kept.rows.at,
                                          .row_count = m->kept.rows.count,
                                          .cells = m->kept.cells.at,
                                          .cell_count = m->kept.cells.count},
                                .aside = aside,
                                .aside_count = aside_count,
                                .row_key_next = 100};
    diag_clear(&m->v.d);
    if (migration_plan(&m->v.a, &d, &m->plan, &m->v.d))
        fail_msg("%s", m->v.d.text);
    m->v.form = to;
    interview_resume(&m->v, m->plan.after.rows, m->plan.after.row_count, m->plan.after.cells,
                     m->plan.after.cell_count);
}

static const struct migration_item *item(struct moving *m, enum migration_kind kind, const char *value)
{
    for (uint32_t i = 0; i < m->plan.item_count; i++)
        if (m->plan.items[i].kind == kind && str_eq_z(m->plan.items[i].value, value))
            return &m->plan.items[i];
    fail_msg("nothing is said about \"%s\"", value);
    return NULL;
}

static void end(struct moving *m)
{
    interview_close(&m->v);
}

static void answers_stay_with_their_questions_and_their_rows(void **state)
{
    static const char *const answers[][2] = {{"/d/name", "Ama"},           {"/d/member", NULL},
                                             {"/d/member", NULL},          {"/d/member[1]/who", "Esi"},
                                             {"/d/member[2]/who", "Kofi"}, {NULL, NULL}};
    struct moving m;
    (void)state;
    draft(&m, answers);
    const char *id = value_of(&m.v, "/d/meta/instanceID");
    uint64_t key = at(&m.v, "/d/member[2]").key;
    migrate(&m, version(&m, second, second_body), NULL, 0);
    assert_string_equal(value_of(&m.v, "/d/name"), "Ama");
    assert_string_equal(value_of(&m.v, "/d/member[2]/who"), "Kofi");
    assert_string_equal(value_of(&m.v, "/d/meta/instanceID"), id);
    assert_int_equal(at(&m.v, "/d/member[2]").key, key);
    end(&m);
}

static void a_question_that_moved_takes_its_answer_along(void **state)
{
    static const char *const answers[][2] = {{"/d/group/water", "well"}, {NULL, NULL}};
    struct moving m;
    (void)state;
    draft(&m, answers);
    migrate(&m, version(&m, second, second_body), NULL, 0);
    const struct migration_item *i = item(&m, MIGRATE_MOVED, "well");
    assert_string_equal(text(&m.v, i->from), "/d/group/water");
    assert_string_equal(text(&m.v, i->to), "/d/house/water");
    assert_string_equal(value_of(&m.v, "/d/house/water"), "well");
    assert_int_equal(m.plan.aside_count, 1); /* the total, which nobody answered and nobody misses */
    end(&m);
}

static void what_has_no_place_is_set_aside_and_told(void **state)
{
    static const char *const answers[][2] = {{"/d/old_note", "by the river"},
                                             {"/d/cow", NULL},
                                             {"/d/cow[1]/colour", "brown"},
                                             {NULL, NULL}};
    struct moving m;
    (void)state;
    draft(&m, answers);
    migrate(&m, version(&m, second, second_body), NULL, 0);
    assert_string_equal(text(&m.v, item(&m, MIGRATE_GONE, "by the river")->from), "/d/old_note");
    item(&m, MIGRATE_GONE, "brown");
    assert_string_equal(text(&m.v, item(&m, MIGRATE_ENTRY_GONE, "")->from), "/d/cow");
    uint32_t found = 0;
    for (uint32_t i = 0; i < m.plan.aside_count; i++)
        found += str_eq_z(m.plan.aside[i].value, "brown") || str_eq_z(m.plan.aside[i].value, "by the river");
    assert_int_equal(found, 2);
    end(&m);
}

static void entries_come_back_with_their_answers(void **state)
{
    static const char *const answers[][2] = {{"/d/cow", NULL},
                                             {"/d/cow", NULL},
                                             {"/d/cow[1]/colour", "brown"},
                                             {"/d/cow[2]/colour", "white"},
                                             {NULL, NULL}};
    struct moving m;
    (void)state;
    draft(&m, answers);
    uint64_t key = at(&m.v, "/d/cow[2]").key;
    migrate(&m, version(&m, second, second_body), NULL, 0);
    assert_false(is_there(&m.v, "/d/cow[1]"));
    struct migration_plan there = m.plan;
    m.kept = (struct kept){0};
    m.old = m.v.form;
    struct migration_draft d = {.from = m.old,
                                .to = version(&m, first, first_body),
                                .host = &m.v.host,
                                .saved = there.after,
                                .aside = there.aside,
                                .aside_count = there.aside_count,
                                .row_key_next = there.row_key_next};
    assert_int_equal(migration_plan(&m.v.a, &d, &m.plan, &m.v.d), ERR_OK);
    interview_resume(&m.v, m.plan.after.rows, m.plan.after.row_count, m.plan.after.cells,
                     m.plan.after.cell_count);
    assert_string_equal(value_of(&m.v, "/d/cow[1]/colour"), "brown");
    assert_string_equal(value_of(&m.v, "/d/cow[2]/colour"), "white");
    assert_int_equal(at(&m.v, "/d/cow[2]").key, key);
    for (uint32_t i = 0; i < m.plan.aside_count; i++)
        assert_true(m.plan.aside[i].status != ANSWER_NONE);
    end(&m);
}

static void another_type_keeps_what_fits_it(void **state)
{
    static const char *const answers[][2] = {{"/d/phone", "077123"},
                                             {"/d/born", "in the rains"},
                                             {NULL, NULL}};
    struct moving m;
    (void)state;
    draft(&m, answers);
    migrate(&m, version(&m, second, second_body), NULL, 0);
    item(&m, MIGRATE_RETYPED, "077123");
    assert_string_equal(value_of(&m.v, "/d/phone"), "077123");
    item(&m, MIGRATE_MISFIT, "in the rains");
    assert_string_equal(value_of(&m.v, "/d/born"), "");
    end(&m);
}

static void answers_that_have_become_wrong_stand_and_are_told(void **state)
{
    static const char *const answers[][2] = {{"/d/age", "130"}, {"/d/roof", "straw"}, {NULL, NULL}};
    struct moving m;
    (void)state;
    draft(&m, answers);
    migrate(&m, version(&m, second, second_body), NULL, 0);
    const struct migration_item *i = item(&m, MIGRATE_CONSTRAINT, "130");
    assert_string_equal(text(&m.v, i->text), "Too old");
    assert_string_equal(text(&m.v, i->to), "/d/age");
    item(&m, MIGRATE_CHOICE, "straw");
    assert_string_equal(text(&m.v, item(&m, MIGRATE_REQUIRED, "")->to), "/d/consent");
    assert_string_equal(value_of(&m.v, "/d/age"), "130");
    assert_string_equal(value_of(&m.v, "/d/roof"), "straw");
    assert_int_equal(m.plan.attention, 3);
    end(&m);
}

static void what_was_wrong_before_is_not_told_again(void **state)
{
    struct moving m;
    (void)state;
    draft(&m, NULL);
    m.old = version(&m, second, second_body);
    m.kept = (struct kept){0};
    migrate(&m, version(&m, second, second_body), NULL, 0);
    assert_int_equal(m.plan.item_count, 0); /* consent was missing in the old version, too */
    end(&m);
}

static void new_questions_begin_with_their_defaults_in_every_row(void **state)
{
    static const char *const answers[][2] = {{"/d/member", NULL}, {NULL, NULL}};
    struct moving m;
    (void)state;
    draft(&m, answers);
    migrate(&m, version(&m, second, second_body), NULL, 0);
    assert_string_equal(value_of(&m.v, "/d/house/rooms"), "1");
    assert_string_equal(value_of(&m.v, "/d/member[1]/alive"), "yes");
    end(&m);
}

static void a_new_repeat_begins_with_the_entries_of_the_form(void **state)
{
    struct moving m;
    (void)state;
    draft(&m, NULL);
    migrate(&m,
            version(&m,
                    "<instance><d id=\"hh\"><name/><field><crop>rice</crop></field><meta><instanceID/></meta>"
                    "<field><crop>maize</crop></field></d></instance>",
                    "<input ref=\"/d/name\"/><repeat nodeset=\"/d/field\"><input "
                    "ref=\"/d/field/crop\"/></repeat>"),
            NULL, 0);
    assert_int_equal(m.plan.after.row_count, 2);
    assert_true(m.plan.after.rows[0].key >= 100 && m.plan.row_key_next == 102);
    assert_true(is_there(&m.v, "/d/field[2]/crop"));
    end(&m);
}

static void what_was_set_aside_comes_back_with_its_question(void **state)
{
    static const char *const answers[][2] = {{"/d/old_note", "by the river"}, {NULL, NULL}};
    struct moving m;
    (void)state;
    draft(&m, answers);
    migrate(&m, version(&m, second, second_body), NULL, 0);
    struct migration_plan away = m.plan;
    m.old = m.v.form;
    m.kept.cells.at = away.after.cells;
    m.kept.cells.count = away.after.cell_count;
    migrate(&m, version(&m, first, first_body), away.aside, away.aside_count);
    item(&m, MIGRATE_RETURNED, "by the river");
    assert_string_equal(value_of(&m.v, "/d/old_note"), "by the river");
    for (uint32_t i = 0; i < m.plan.aside_count; i++)
        assert_false(str_eq_z(m.plan.aside[i].value, "by the river"));
    end(&m);
}

static void another_form_is_not_a_newer_version(void **state)
{
    struct moving m;
    (void)state;
    draft(&m, NULL);
    struct migration_draft d = {.from = m.old, .host = &m.v.host};
    d.to = version(&m, "<instance><d id=\"other\"><name/></d></instance>", "<input ref=\"/d/name\"/>");
    assert_int_equal(migration_plan(&m.v.a, &d, &m.plan, &m.v.d), ERR_USAGE);
    end(&m);
}

/* Every value of the draft is afterwards in the interview or set aside: none twice, none nowhere. */
static void nothing_is_lost(void **state)
{
    static const char *const answers[][2] = {{"/d/name", "v1"},
                                             {"/d/phone", "v2"},
                                             {"/d/born", "v3"},
                                             {"/d/old_note", "v4"},
                                             {"/d/group/water", "v5"},
                                             {"/d/member", NULL},
                                             {"/d/member[1]/who", "v6"},
                                             {"/d/member[1]/years", "v7"},
                                             {"/d/cow", NULL},
                                             {"/d/cow", NULL},
                                             {"/d/cow[1]/colour", "v8"},
                                             {"/d/cow[2]/colour", "v9"},
                                             {NULL, NULL}};
    struct moving m;
    (void)state;
    draft(&m, answers);
    migrate(&m, version(&m, second, second_body), NULL, 0);
    for (char digit = '1'; digit <= '9'; digit++) {
        char value[3] = {'v', digit, 0};
        uint32_t found = 0;
        for (uint32_t i = 0; i < m.plan.after.cell_count; i++)
            found += str_eq_z(m.plan.after.cells[i].value, value);
        for (uint32_t i = 0; i < m.plan.aside_count; i++)
            found += str_eq_z(m.plan.aside[i].value, value);
        assert_int_equal(found, 1);
    }
    end(&m);
}

/* Whatever memory the plan is given, it is made or refused; nothing is half done. */
static void a_plan_without_memory_is_refused(void **state)
{
    static const char *const answers[][2] = {{"/d/age", "130"},   {"/d/roof", "straw"}, {"/d/born", "x"},
                                             {"/d/member", NULL}, {"/d/cow", NULL},     {NULL, NULL}};
    struct moving m;
    bool made = false;
    (void)state;
    draft(&m, answers);
    struct migration_draft d = {.from = m.old,
                                .to = version(&m, second, second_body),
                                .host = &m.v.host,
                                .saved = {.rows = m.kept.rows.at,
                                          .row_count = m.kept.rows.count,
                                          .cells = m.kept.cells.at,
                                          .cell_count = m.kept.cells.count},
                                .row_key_next = 100};
    for (size_t max = 16; !made; max += 48) {
        struct arena a;
        struct migration_plan plan = {.attention = 77};
        assert_true(max < 1u << 20);
        arena_init(&a, max);
        diag_clear(&m.v.d);
        enum err rc = migration_plan(&a, &d, &plan, &m.v.d);
        assert_true(rc == ERR_OK || rc == ERR_NOMEM);
        assert_true(rc == ERR_OK || (plan.attention == 77 && m.v.d.text[0] != 0));
        made = rc == ERR_OK;
        arena_free(&a);
    }
    end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_stay_with_their_questions_and_their_rows),
        cmocka_unit_test(a_question_that_moved_takes_its_answer_along),
        cmocka_unit_test(what_has_no_place_is_set_aside_and_told),
        cmocka_unit_test(entries_come_back_with_their_answers),
        cmocka_unit_test(another_type_keeps_what_fits_it),
        cmocka_unit_test(answers_that_have_become_wrong_stand_and_are_told),
        cmocka_unit_test(what_was_wrong_before_is_not_told_again),
        cmocka_unit_test(new_questions_begin_with_their_defaults_in_every_row),
        cmocka_unit_test(a_new_repeat_begins_with_the_entries_of_the_form),
        cmocka_unit_test(what_was_set_aside_comes_back_with_its_question),
        cmocka_unit_test(another_form_is_not_a_newer_version),
        cmocka_unit_test(nothing_is_lost),
        cmocka_unit_test(a_plan_without_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
