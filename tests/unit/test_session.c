/* Interviews: what an answer does to everything that depends on it, how repeats live, what the screen shows.
 */
#include "tests/support/forms.h"

/* A household: members with age, school only for children, sums over all of them. */
static const char *const household =
    "<itext><translation lang=\"en\"><text id=\"age\"><value>Age of <output "
    "value=\"../name\"/></value></text>"
    "<text id=\"old\"><value>Nobody is that old</value></text></translation>"
    "<translation lang=\"zh\"><text id=\"age\"><value><output value=\"../name\"/>的年龄</value></text>"
    "<text id=\"old\"><value>年龄过大</value></text></translation></itext>"
    "<instance><hh id=\"hh\" version=\"1\"><has_land/><land><area/><crop>rice</crop></land>"
    "<member jr:template=\"\"><name/><age/><school/><share/><place/></member>"
    "<count/><sum_age/><minors/><meta><instanceID/></meta></hh></instance>"
    "<bind nodeset=\"/hh/land\" relevant=\"/hh/has_land = 'yes'\"/>"
    "<bind nodeset=\"/hh/land/area\" type=\"decimal\" required=\"true()\" jr:requiredMsg=\"How large is "
    "it?\"/>"
    "<bind nodeset=\"/hh/member/name\" required=\"true()\"/>"
    "<bind nodeset=\"/hh/member/age\" type=\"int\" constraint=\". &lt;= 120\" "
    "jr:constraintMsg=\"jr:itext('old')\"/>"
    "<bind nodeset=\"/hh/member/school\" relevant=\"../age &lt; 16\"/>"
    "<bind nodeset=\"/hh/member/share\" type=\"decimal\" calculate=\"../age div sum(../../member/age)\"/>"
    "<bind nodeset=\"/hh/member/place\" type=\"int\" calculate=\"position(..)\"/>"
    "<bind nodeset=\"/hh/count\" type=\"int\" calculate=\"count(/hh/member)\"/>"
    "<bind nodeset=\"/hh/sum_age\" type=\"int\" calculate=\"sum(/hh/member/age)\"/>"
    "<bind nodeset=\"/hh/minors\" type=\"int\" calculate=\"count(/hh/member[age &lt; 16])\"/>"
    "<bind nodeset=\"/hh/meta/instanceID\" readonly=\"true()\" jr:preload=\"uid\"/>";
static const char *const household_body =
    "<select1 ref=\"/hh/has_land\"><label>Land?</label><item><label>Yes</label><value>yes</value></item>"
    "<item><label>No</label><value>no</value></item></select1>"
    "<group ref=\"/hh/land\"><label>Land</label><input ref=\"/hh/land/area\"><label>Area</label></input>"
    "<input ref=\"/hh/land/crop\"><label>Crop</label></input></group>"
    "<group ref=\"/hh/member\"><label>Member</label><repeat nodeset=\"/hh/member\">"
    "<input ref=\"/hh/member/name\"><label>Name</label></input>"
    "<input ref=\"/hh/member/age\"><label ref=\"jr:itext('age')\"/><hint>In years</hint></input>"
    "<input ref=\"/hh/member/school\"><label>School</label></input></repeat></group>";

static void member(struct interview *v, const char *name, const char *age)
{
    struct place p = add(v, "/hh", "/hh/member");
    char ref[64];
    snprintf(ref, sizeof(ref), "%s/name", text(v, session_ref(v->s, p, &v->a)));
    answer(v, ref, name);
    snprintf(ref, sizeof(ref), "%s/age", text(v, session_ref(v->s, p, &v->a)));
    answer(v, ref, age);
}

static void relevance_is_inherited_and_values_are_kept(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, household, household_body);
    assert_false(applies(&v, "/hh/land"));
    assert_false(applies(&v, "/hh/land/area"));
    assert_int_equal(try_answer(&v, "/hh/land/area", "2"), ERR_STATE);
    answer(&v, "/hh/has_land", "yes");
    assert_true(applies(&v, "/hh/land/crop"));
    answer(&v, "/hh/land/area", "2.5");
    answer(&v, "/hh/has_land", "no");
    assert_false(applies(&v, "/hh/land/area"));
    assert_string_equal(value_of(&v, "/hh/land/area"), "2.5");
    answer(&v, "/hh/has_land", "yes");
    assert_true(applies(&v, "/hh/land/area"));
    assert_string_equal(value_of(&v, "/hh/land/area"), "2.5");
    interview_close(&v);
}

static void what_does_not_apply_reads_as_empty(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v,
                   "<instance><d><on>1</on><x>5</x><seen/><n/></d></instance>"
                   "<bind nodeset=\"/d/x\" type=\"int\" relevant=\"/d/on = 1\"/>"
                   "<bind nodeset=\"/d/seen\" calculate=\"concat('[', /d/x, ']')\"/>"
                   "<bind nodeset=\"/d/n\" calculate=\"count(/d/x)\"/>",
                   "<input ref=\"/d/on\"/><input ref=\"/d/x\"/>");
    assert_string_equal(value_of(&v, "/d/seen"), "[5]");
    answer(&v, "/d/on", "0");
    assert_string_equal(value_of(&v, "/d/seen"), "[]");
    assert_string_equal(value_of(&v, "/d/n"), "0");
    answer(&v, "/d/on", "1");
    assert_string_equal(value_of(&v, "/d/seen"), "[5]");
    interview_close(&v);
}

static void a_constraint_refuses_with_the_authors_words_in_two_languages(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, household, household_body);
    member(&v, "Ama", "30");
    assert_int_equal(try_answer(&v, "/hh/member[1]/age", "130"), ERR_SYNTAX);
    assert_string_equal(v.d.text, "Nobody is that old");
    assert_string_equal(value_of(&v, "/hh/member[1]/age"), "30");
    assert_int_equal(session_language(v.s, 1, &v.d), ERR_OK);
    assert_int_equal(try_answer(&v, "/hh/member[1]/age", "130"), ERR_SYNTAX);
    assert_string_equal(v.d.text, "年龄过大");
    diag_clear(&v.d);
    assert_int_equal(session_answer_forced(v.s, at(&v, "/hh/member[1]/age"), STR("130"), &v.d), ERR_OK);
    assert_string_equal(value_of(&v, "/hh/member[1]/age"), "130");
    assert_true(view(&v, "/hh/member[1]/age").violated);
    assert_string_equal(text(&v, view(&v, "/hh/member[1]/age").message), "年龄过大");
    interview_close(&v);
}

static void a_required_question_stands_in_the_way_until_it_is_answered_or_excused(void **state)
{
    struct interview v;
    struct place *list = NULL;
    (void)state;
    interview_open(&v, household, household_body);
    assert_int_equal(session_violations(v.s, &v.a, &list), 0); /* land does not apply */
    answer(&v, "/hh/has_land", "yes");
    assert_int_equal(session_violations(v.s, &v.a, &list), 1);
    assert_string_equal(text(&v, session_ref(v.s, list[0], &v.a)), "/hh/land/area");
    assert_string_equal(text(&v, view(&v, "/hh/land/area").message), "How large is it?");
    diag_clear(&v.d);
    assert_int_equal(session_finalise(v.s, &v.d), ERR_STATE);
    assert_non_null(strstr(v.d.text, "/hh/land/area"));
    assert_int_equal(session_answer_status(v.s, at(&v, "/hh/land/area"), ANSWER_DONT_KNOW, &v.d), ERR_OK);
    assert_int_equal(session_violations(v.s, &v.a, &list), 0);
    assert_int_equal(view(&v, "/hh/land/area").status, ANSWER_DONT_KNOW);
    diag_clear(&v.d);
    assert_int_equal(session_finalise(v.s, &v.d), ERR_OK);
    assert_int_equal(try_answer(&v, "/hh/has_land", "no"), ERR_STATE);
    interview_close(&v);
}

static void violations_come_in_document_order(void **state)
{
    struct interview v;
    struct place *list = NULL;
    (void)state;
    interview_open(&v, household, household_body);
    add(&v, "/hh", "/hh/member");
    add(&v, "/hh", "/hh/member");
    answer(&v, "/hh/has_land", "yes");
    assert_int_equal(session_violations(v.s, &v.a, &list), 3);
    assert_string_equal(text(&v, session_ref(v.s, list[0], &v.a)), "/hh/land/area");
    assert_string_equal(text(&v, session_ref(v.s, list[1], &v.a)), "/hh/member[1]/name");
    assert_string_equal(text(&v, session_ref(v.s, list[2], &v.a)), "/hh/member[2]/name");
    interview_close(&v);
}

static void a_chain_of_calculations_is_walked_once(void **state)
{
    struct interview v;
    const struct session_change *list;
    (void)state;
    interview_open(&v,
                   "<instance><d><a>1</a><b/><c/><e/><f>0</f></d></instance>"
                   "<bind nodeset=\"/d/a\" type=\"int\"/>"
                   "<bind nodeset=\"/d/e\" calculate=\"/d/b + /d/c\"/>"
                   "<bind nodeset=\"/d/c\" calculate=\"/d/b * 10\"/>"
                   "<bind nodeset=\"/d/b\" calculate=\"/d/a + 1\"/>",
                   "<input ref=\"/d/a\"/><input ref=\"/d/f\"/>");
    assert_string_equal(value_of(&v, "/d/e"), "22");
    session_changes_clear(v.s);
    answer(&v, "/d/a", "4");
    assert_string_equal(value_of(&v, "/d/b"), "5");
    assert_string_equal(value_of(&v, "/d/c"), "50");
    assert_string_equal(value_of(&v, "/d/e"), "55");
    assert_int_equal(session_changes(v.s, &list), 4);
    assert_string_equal(text(&v, form_field(v.form, list[0].field)->path), "/d/a");
    session_changes_clear(v.s);
    answer(&v, "/d/a", "4"); /* the same again */
    assert_int_equal(session_changes(v.s, &list), 0);
    answer(&v, "/d/f", "1"); /* nobody reads it */
    assert_int_equal(session_changes(v.s, &list), 1);
    interview_close(&v);
}

static void a_sum_over_members_is_new_for_all_of_them(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, household, household_body);
    member(&v, "Ama", "30");
    member(&v, "Kofi", "10");
    assert_string_equal(value_of(&v, "/hh/count"), "2");
    assert_string_equal(value_of(&v, "/hh/sum_age"), "40");
    assert_string_equal(value_of(&v, "/hh/minors"), "1");
    assert_string_equal(value_of(&v, "/hh/member[1]/share"), "0.75");
    assert_string_equal(value_of(&v, "/hh/member[2]/share"), "0.25");
    answer(&v, "/hh/member[2]/age", "90");
    assert_string_equal(value_of(&v, "/hh/member[1]/share"), "0.25");
    assert_string_equal(value_of(&v, "/hh/member[2]/share"), "0.75");
    assert_string_equal(value_of(&v, "/hh/minors"), "0");
    assert_false(applies(&v, "/hh/member[2]/school"));
    interview_close(&v);
}

static void an_absolute_path_inside_a_repeat_means_the_same_entry(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v,
                   "<instance><d><r><a>5</a><b/><c/></r><r><a>7</a><b/><c/></r></d></instance>"
                   "<bind nodeset=\"/d/r/b\" calculate=\"/d/r/a * 2\"/>"
                   "<bind nodeset=\"/d/r/c\" calculate=\"sum(/d/r/a)\"/>",
                   "<repeat nodeset=\"/d/r\"><input ref=\"/d/r/a\"/></repeat>");
    assert_string_equal(value_of(&v, "/d/r[1]/b"), "10");
    assert_string_equal(value_of(&v, "/d/r[2]/b"), "14");
    assert_string_equal(value_of(&v, "/d/r[1]/c"), "12");
    answer(&v, "/d/r[2]/a", "1");
    assert_string_equal(value_of(&v, "/d/r[1]/b"), "10");
    assert_string_equal(value_of(&v, "/d/r[2]/b"), "2");
    assert_string_equal(value_of(&v, "/d/r[1]/c"), "6");
    assert_string_equal(value_of(&v, "/d/r[2]/c"), "6");
    interview_close(&v);
}

/* What the context rule says, case by case: /d/o is a repeat, /d/o/i one inside it, /d/p another beside. */
static void the_context_rule(void **state)
{
    struct interview v;
    (void)state;
    interview_open(
        &v,
        "<instance><d><top>T</top>"
        "<o><x>1</x><i><y>a</y><own/><outer/><all/><mine/><root/></i><i><y>b</y><own/><outer/><all/><mine/>"
        "<root/></i><up/></o>"
        "<o><x>2</x><i><y>c</y><own/><outer/><all/><mine/><root/></i><up/></o>"
        "<p><other/><others/></p><down/><downs/></d></instance>"
        "<bind nodeset=\"/d/o/i/own\" calculate=\"/d/o/i/y\"/>"
        "<bind nodeset=\"/d/o/i/outer\" calculate=\"/d/o/x\"/>"
        "<bind nodeset=\"/d/o/i/all\" calculate=\"join('', /d/o/i/y)\"/>"
        "<bind nodeset=\"/d/o/i/mine\" calculate=\"join('', ../../i/y)\"/>"
        "<bind nodeset=\"/d/o/i/root\" calculate=\"/d/top\"/>"
        "<bind nodeset=\"/d/o/up\" calculate=\"join('', ../i/y)\"/>"
        "<bind nodeset=\"/d/p/other\" calculate=\"string(/d/o/x)\"/>"
        "<bind nodeset=\"/d/p/others\" calculate=\"join('', /d/o/x)\"/>"
        "<bind nodeset=\"/d/down\" calculate=\"string(/d/o/i/y)\"/>"
        "<bind nodeset=\"/d/downs\" calculate=\"join('', /d/o/i/y)\"/>",
        "<repeat nodeset=\"/d/o\"><repeat nodeset=\"/d/o/i\"><input ref=\"/d/o/i/y\"/></repeat></repeat>"
        "<repeat nodeset=\"/d/p\"><input ref=\"/d/p/other\"/></repeat>");
    static const char *const rows[][2] = {
        {"/d/o[1]/i[2]/own", "b"},   {"/d/o[2]/i[1]/own", "c"},
        {"/d/o[1]/i[2]/outer", "1"}, {"/d/o[2]/i[1]/outer", "2"},
        {"/d/o[1]/i[1]/all", "abc"}, {"/d/o[2]/i[1]/all", "abc"},
        {"/d/o[1]/i[1]/mine", "ab"}, {"/d/o[2]/i[1]/mine", "c"},
        {"/d/o[2]/i[1]/root", "T"},  {"/d/o[1]/up", "ab"},
        {"/d/o[2]/up", "c"},         {"/d/p[1]/other", "1"},
        {"/d/p[1]/others", "12"},    {"/d/down", "a"},
        {"/d/downs", "abc"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (strcmp(value_of(&v, rows[i][0]), rows[i][1]) != 0)
            fail_msg("%s is \"%s\", not \"%s\"", rows[i][0], value_of(&v, rows[i][0]), rows[i][1]);
    interview_close(&v);
}

static void removing_an_entry_keeps_the_keys_of_the_others(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, household, household_body);
    member(&v, "Ama", "30");
    member(&v, "Kofi", "10");
    member(&v, "Esi", "5");
    struct place kofi = at(&v, "/hh/member[2]/name"), esi = at(&v, "/hh/member[3]/name");
    drop(&v, "/hh/member[1]");
    assert_string_equal(text(&v, session_ref(v.s, kofi, &v.a)), "/hh/member[1]/name");
    assert_string_equal(text(&v, session_ref(v.s, esi, &v.a)), "/hh/member[2]/name");
    assert_string_equal(value_of(&v, "/hh/member[2]/name"), "Esi");
    assert_string_equal(value_of(&v, "/hh/member[2]/place"), "2");
    assert_string_equal(value_of(&v, "/hh/sum_age"), "15");
    assert_string_equal(value_of(&v, "/hh/count"), "2");
    assert_false(is_there(&v, "/hh/member[3]"));
    interview_close(&v);
}

static void an_entry_added_and_removed_before_saving_leaves_no_trace(void **state)
{
    struct interview v;
    const struct session_change *list;
    (void)state;
    interview_open(&v, household, household_body);
    member(&v, "Ama", "30");
    session_changes_clear(v.s);
    member(&v, "Kofi", "10");
    drop(&v, "/hh/member[2]");
    uint32_t count = session_changes(v.s, &list);
    for (uint32_t i = 0; i < count; i++)
        assert_true(list[i].op == SESSION_SET && list[i].calculated);
    drop(&v, "/hh/member[1]");
    count = session_changes(v.s, &list);
    uint32_t removed = 0;
    for (uint32_t i = 0; i < count; i++)
        removed += list[i].op == SESSION_ROW_REMOVE;
    assert_int_equal(removed, 1);
    interview_close(&v);
}

static const char *const counted =
    "<instance><d><n/><r jr:template=\"\"><q/><twice/></r><sum/></d></instance><bind nodeset=\"/d/n\" "
    "type=\"int\"/>"
    "<bind nodeset=\"/d/r/q\" type=\"int\" required=\"true()\"/><bind nodeset=\"/d/sum\" "
    "calculate=\"sum(/d/r/q)\"/>"
    "<bind nodeset=\"/d/r/twice\" calculate=\"../q * 2\"/>";

static void a_smaller_count_hides_entries_and_a_larger_one_brings_them_back(void **state)
{
    struct interview v;
    struct place *list = NULL;
    (void)state;
    interview_open(
        &v, counted,
        "<input ref=\"/d/n\"/><repeat nodeset=\"/d/r\" jr:count=\"/d/n\"><input ref=\"/d/r/q\"/></repeat>");
    assert_false(is_there(&v, "/d/r[1]"));
    answer(&v, "/d/n", "3");
    answer(&v, "/d/r[1]/q", "1");
    answer(&v, "/d/r[2]/q", "20");
    answer(&v, "/d/r[3]/q", "300");
    assert_string_equal(value_of(&v, "/d/sum"), "321");
    answer(&v, "/d/n", "1");
    assert_false(is_there(&v, "/d/r[2]"));
    assert_string_equal(value_of(&v, "/d/sum"), "1");
    assert_null(strstr(xml(&v, false), "300"));
    assert_non_null(strstr(xml(&v, true), "300"));
    answer(&v, "/d/n", "4");
    assert_string_equal(value_of(&v, "/d/r[3]/q"), "300");
    assert_string_equal(value_of(&v, "/d/r[3]/twice"), "600");
    assert_string_equal(value_of(&v, "/d/sum"), "321");
    assert_int_equal(session_violations(v.s, &v.a, &list), 1);
    diag_clear(&v.d);
    assert_int_equal(session_repeat_remove(v.s, at(&v, "/d/r[1]"), &v.d), ERR_STATE);
    interview_close(&v);
}

static void a_slip_in_a_count_does_not_fill_the_handheld(void **state)
{
    struct interview v;
    const struct str *warnings;
    (void)state;
    interview_open(
        &v, counted,
        "<input ref=\"/d/n\"/><repeat nodeset=\"/d/r\" jr:count=\"/d/n\"><input ref=\"/d/r/q\"/></repeat>");
    answer(&v, "/d/n", "99999999");
    assert_true(is_there(&v, "/d/r[5000]"));
    assert_false(is_there(&v, "/d/r[5001]"));
    assert_int_equal(session_warnings(v.s, &warnings), 1);
    answer(&v, "/d/n", "2");
    assert_false(is_there(&v, "/d/r[3]"));
    interview_close(&v);
}

static void a_count_may_grow_with_its_own_entries(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v,
                   "<instance><d><want/><r jr:template=\"\"><more/></r></d></instance>"
                   "<bind nodeset=\"/d/want\" type=\"int\" calculate=\"count(/d/r[more = 'yes']) + 1\"/>",
                   "<repeat nodeset=\"/d/r\" jr:count=\"/d/want\"><input ref=\"/d/r/more\"/></repeat>");
    assert_true(is_there(&v, "/d/r[1]"));
    assert_false(is_there(&v, "/d/r[2]"));
    answer(&v, "/d/r[1]/more", "yes");
    answer(&v, "/d/r[2]/more", "yes");
    assert_true(is_there(&v, "/d/r[3]"));
    answer(&v, "/d/r[3]/more", "no");
    assert_false(is_there(&v, "/d/r[4]"));
    interview_close(&v);
}

static void an_entry_may_read_the_one_before_it(void **state)
{
    struct interview v;
    (void)state;
    interview_open(
        &v,
        "<instance><d><r><x>1</x><run/></r><r><x>2</x><run/></r><r><x>3</x><run/></r></d></instance>"
        "<bind nodeset=\"/d/r/x\" type=\"int\"/><bind nodeset=\"/d/r/run\" type=\"int\" "
        "calculate=\"../x + coalesce(../../r[position() = position(current()/..) - 1]/run, 0)\"/>",
        "<repeat nodeset=\"/d/r\"><input ref=\"/d/r/x\"/></repeat>");
    assert_string_equal(value_of(&v, "/d/r[3]/run"), "6");
    answer(&v, "/d/r[1]/x", "10");
    assert_string_equal(value_of(&v, "/d/r[1]/run"), "10");
    assert_string_equal(value_of(&v, "/d/r[2]/run"), "12");
    assert_string_equal(value_of(&v, "/d/r[3]/run"), "15");
    drop(&v, "/d/r[2]");
    assert_string_equal(value_of(&v, "/d/r[2]/run"), "13");
    interview_close(&v);
}

static void a_wrong_answer_that_is_forced_leaves_the_question_empty(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v,
                   "<instance><d><t>10:00</t><u/></d></instance><bind nodeset=\"/d/t\" type=\"time\"/>"
                   "<bind nodeset=\"/d/u\" calculate=\"/d/t\"/>",
                   "<input ref=\"/d/t\"/>");
    assert_int_equal(session_answer_forced(v.s, at(&v, "/d/t"), STR("25:02:00"), &v.d), ERR_SYNTAX);
    assert_non_null(strstr(v.d.text, "25:02:00"));
    assert_string_equal(value_of(&v, "/d/t"), "");
    assert_string_equal(value_of(&v, "/d/u"), "");
    interview_close(&v);
}

static void an_acknowledgement_is_ok_or_nothing(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, "<instance><d><t/></d></instance>", "<trigger ref=\"/d/t\"/>");
    answer(&v, "/d/t", "true");
    assert_string_equal(value_of(&v, "/d/t"), "OK");
    answer(&v, "/d/t", "false");
    assert_string_equal(value_of(&v, "/d/t"), "");
    answer(&v, "/d/t", "OK");
    assert_string_equal(value_of(&v, "/d/t"), "OK");
    interview_close(&v);
}

static void siblings_of_one_name_have_numbers(void **state)
{
    struct interview v;
    struct diag d = {0};
    struct place p;
    (void)state;
    interview_open(&v, "<instance><d><n><v>1</v></n><n><v>2</v></n><o/></d></instance>",
                   "<input ref=\"/d/o\"/>");
    assert_string_equal(value_of(&v, "/d/n[2]/v"), "2");
    assert_string_equal(value_of(&v, "/d/n[1]/v"), "1");
    assert_string_equal(text(&v, session_ref(v.s, at(&v, "/d/n[2]/v"), &v.a)), "/d/n[2]/v");
    assert_string_equal(text(&v, session_ref(v.s, at(&v, "/d/o"), &v.a)), "/d/o");
    assert_int_equal(session_place(v.s, STR("/d/n[3]/v"), &p, &d), ERR_NOT_FOUND);
    interview_close(&v);
}

static void a_hidden_repeat_asks_for_no_entry(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v,
                   "<instance><d><q>no</q><r><x/></r></d></instance>"
                   "<bind nodeset=\"/d/r\" relevant=\"/d/q = 'yes'\"/>",
                   "<input ref=\"/d/q\"/><repeat nodeset=\"/d/r\"><input ref=\"/d/r/x\"/></repeat>");
    assert_int_equal(session_next(v.s).kind, STOP_QUESTION);
    assert_int_equal(session_next(v.s).kind, STOP_END);
    answer(&v, "/d/q", "yes");
    assert_int_equal(session_jump(v.s, at(&v, "/d/r[1]/x"), &v.d), ERR_OK);
    assert_int_equal(session_next(v.s).kind, STOP_REPEAT);
    interview_close(&v);
}

static void messages_of_our_own_are_in_the_forms_language(void **state)
{
    struct interview v;
    (void)state;
    interview_open(
        &v,
        "<itext><translation lang=\"English (en)\"><text id=\"n\"><value>Name</value>"
        "<value form=\"image\">jr://images/n.png</value></text></translation>"
        "<translation lang=\"中文 (zh)\"><text id=\"n\"><value>姓名</value></text></translation></itext>"
        "<instance><d><n/></d></instance><bind nodeset=\"/d/n\" required=\"true()\"/>",
        "<input ref=\"/d/n\"><label ref=\"jr:itext('n')\"/></input>");
    assert_string_equal(text(&v, view(&v, "/d/n").message), "This question must be answered.");
    assert_string_equal(text(&v, view(&v, "/d/n").image), "jr://images/n.png");
    assert_int_equal(session_language(v.s, 1, &v.d), ERR_OK);
    assert_string_equal(text(&v, view(&v, "/d/n").message), "此题必须回答。");
    assert_string_equal(text(&v, view(&v, "/d/n").audio), "");
    interview_close(&v);
}

static void a_wrong_answer_changes_nothing(void **state)
{
    static const struct {
        const char *type, *wrong, *right, *stored;
    } cases[] = {
        {"int", "1e3", "-12.9", "-12"},
        {"int", "abc", " 7 ", "7"},
        {"decimal", "1,5", "1.50", "1.50"},
        {"decimal", "1e5", ".5", ".5"},
        {"date", "2026-02-30", "2026-2-3", "2026-02-03"},
        {"date", "yesterday", "2026-11-23", "2026-11-23"},
        {"time", "25:00", "14:30", "14:30"},
        {"dateTime", "2026-11-23", "2026-11-23T14:30:00.000+08:00", "2026-11-23T14:30:00.000+08:00"},
        {"geopoint", "91 0", "6.3 -10.8 12 4.5", "6.3 -10.8 12 4.5"},
        {"geotrace", "1 1", "1 1; 2 2", "1 1; 2 2"},
        {"geoshape", "1 1;2 2", "1 1;2 2;3 1;1 1", "1 1;2 2;3 1;1 1"},
        {"boolean", "maybe", "true", "true"},
        {"string", "\xff", " as typed ", " as typed "},
    };
    struct interview v;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char model[200];
        const struct session_change *list;
        snprintf(model, sizeof(model), "<instance><d><q/></d></instance><bind nodeset=\"/d/q\" type=\"%s\"/>",
                 cases[i].type);
        interview_open(&v, model, "<input ref=\"/d/q\"/>");
        if (try_answer(&v, "/d/q", cases[i].wrong) != ERR_SYNTAX || !v.d.text[0])
            fail_msg("%s took \"%s\"", cases[i].type, cases[i].wrong);
        assert_int_equal(session_changes(v.s, &list), 0);
        answer(&v, "/d/q", cases[i].right);
        assert_string_equal(value_of(&v, "/d/q"), cases[i].stored);
        interview_close(&v);
    }
}

static void a_date_without_day_is_kept_as_partial(void **state)
{
    struct interview v;
    (void)state;
    interview_open(
        &v,
        "<instance><d><born/><year/></d></instance><bind nodeset=\"/d/born\" type=\"date\" "
        "constraint=\". &lt; today()\"/><bind nodeset=\"/d/year\" calculate=\"substr(/d/born, 0, 4)\"/>",
        "<input ref=\"/d/born\"/>");
    answer(&v, "/d/born", "1957");
    assert_int_equal(view(&v, "/d/born").status, ANSWER_PARTIAL);
    assert_string_equal(value_of(&v, "/d/born"), "1957");
    assert_string_equal(value_of(&v, "/d/year"), "");
    answer(&v, "/d/born", "1957-03");
    assert_int_equal(view(&v, "/d/born").status, ANSWER_PARTIAL);
    answer(&v, "/d/born", "1957-03-09");
    assert_int_equal(view(&v, "/d/born").status, ANSWER_GIVEN);
    assert_string_equal(value_of(&v, "/d/year"), "1957");
    assert_int_equal(session_answer_status(v.s, at(&v, "/d/born"), ANSWER_REFUSED, &v.d), ERR_OK);
    assert_string_equal(value_of(&v, "/d/born"), "");
    assert_int_equal(view(&v, "/d/born").status, ANSWER_REFUSED);
    diag_clear(&v.d);
    assert_int_equal(session_answer_status(v.s, at(&v, "/d/born"), ANSWER_GIVEN, &v.d), ERR_USAGE);
    interview_close(&v);
}

static const char *const places =
    "<instance><d><county/><town/><other/><name/></d></instance>"
    "<instance id=\"towns\"><root><item><name>t1</name><label>Alpha</label><county>a</county></item>"
    "<item><name>t2</name><label>Beta</label><county>a</county></item>"
    "<item><name>t3</name><label>Gamma</label><county>b</county></item></root></instance>"
    "<bind nodeset=\"/d/name\" calculate=\"jr:choice-name(/d/town, '/d/town')\"/>";
static const char *const places_body =
    "<select1 ref=\"/d/county\"><item><label>A</label><value>a</value></item>"
    "<item><label>B</label><value>b</value></item></select1>"
    "<select1 ref=\"/d/town\"><itemset nodeset=\"instance('towns')/root/item[county = /d/county]\">"
    "<value ref=\"name\"/><label ref=\"label\"/></itemset></select1>"
    "<select ref=\"/d/other\"><itemset nodeset=\"instance('towns')/root/item\"><value ref=\"name\"/>"
    "<label ref=\"label\"/></itemset></select>";

static void choices_follow_their_filter_and_a_stale_one_is_flagged(void **state)
{
    struct interview v;
    struct choice_view *list = NULL;
    uint32_t count, total;
    struct place *wrong = NULL;
    (void)state;
    interview_open(&v, places, places_body);
    assert_int_equal(session_choices(v.s, at(&v, "/d/town"), 0, 9, &v.a, &list, &count, &total, &v.d),
                     ERR_OK);
    assert_int_equal(total, 0);
    answer(&v, "/d/county", "a");
    assert_int_equal(session_choices(v.s, at(&v, "/d/town"), 1, 9, &v.a, &list, &count, &total, &v.d),
                     ERR_OK);
    assert_int_equal(total, 2);
    assert_int_equal(count, 1);
    assert_string_equal(text(&v, list[0].label), "Beta");
    answer(&v, "/d/town", "t2");
    assert_string_equal(value_of(&v, "/d/name"), "Beta");
    assert_int_equal(try_answer(&v, "/d/town", "t3"), ERR_USAGE);
    assert_int_equal(session_violations(v.s, &v.a, &wrong), 0);
    answer(&v, "/d/county", "b");
    assert_int_equal(session_violations(v.s, &v.a, &wrong), 1);
    assert_string_equal(value_of(&v, "/d/town"), "t2"); /* never destroyed silently */
    assert_non_null(strstr(text(&v, view(&v, "/d/town").message), "choices"));
    answer(&v, "/d/town", "t3");
    assert_int_equal(session_violations(v.s, &v.a, &wrong), 0);
    answer(&v, "/d/other", "t3  t1 t3");
    assert_string_equal(value_of(&v, "/d/other"), "t3 t1");
    assert_int_equal(try_answer(&v, "/d/other", "t1 t9"), ERR_USAGE);
    interview_close(&v);
}

static void lists_beside_the_form_are_asked_of_the_host(void **state)
{
    static const char *const model =
        "<instance><d><v/><county/></d></instance><instance id=\"villages\" "
        "src=\"jr://file-csv/villages.csv\"/>"
        "<bind nodeset=\"/d/county\" calculate=\"pulldata('villages', 'county', 'name', /d/v)\"/>";
    static const char *const body =
        "<select1 ref=\"/d/v\"><itemset nodeset=\"instance('villages')/root/item\">"
        "<value ref=\"name\"/><label ref=\"label\"/></itemset></select1>";
    struct interview v;
    const struct str *warnings;
    (void)state;
    interview_init(&v);
    v.list_uri = "jr://file-csv/villages.csv";
    v.list = "name,label,county\nv1,One,Bong\nv2,Two,Lofa\n";
    assert_int_equal(interview_form(&v, form_text(&v.a, model, body)), ERR_OK);
    interview_begin(&v);
    answer(&v, "/d/v", "v2");
    assert_string_equal(value_of(&v, "/d/county"), "Lofa");
    assert_int_equal(session_warnings(v.s, &warnings), 0);
    session_close(v.s);
    v.list_uri = NULL;
    interview_begin(&v);
    assert_int_equal(session_warnings(v.s, &warnings), 1);
    assert_non_null(strstr(text(&v, warnings[0]), "villages.csv"));
    assert_int_equal(try_answer(&v, "/d/v", "v2"), ERR_USAGE);
    interview_close(&v);
}

static void labels_speak_the_language_and_name_the_member(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, household, household_body);
    member(&v, "Ama", "30");
    struct question_view q = view(&v, "/hh/member[1]/age");
    assert_string_equal(text(&v, q.label), "Age of Ama");
    assert_string_equal(text(&v, q.hint), "In years");
    assert_string_equal(text(&v, q.group), "Member 1");
    assert_string_equal(text(&v, q.ref), "/hh/member[1]/age");
    assert_int_equal(q.control, CONTROL_INPUT);
    assert_int_equal(q.type, FIELD_INT);
    assert_true(q.answered);
    assert_int_equal(session_language(v.s, 1, &v.d), ERR_OK);
    assert_string_equal(text(&v, view(&v, "/hh/member[1]/age").label), "Ama的年龄");
    answer(&v, "/hh/member[1]/name", "Esi");
    assert_string_equal(text(&v, view(&v, "/hh/member[1]/age").label), "Esi的年龄");
    diag_clear(&v.d);
    assert_int_equal(session_language(v.s, 2, &v.d), ERR_NOT_FOUND);
    interview_close(&v);
}

static const char *stop_text(struct interview *v, struct stop s)
{
    static char out[200];
    static const char *const kinds[] = {"start", "question", "list", "repeat", "end"};
    snprintf(out, sizeof(out), "%s %s", kinds[s.kind], text(v, session_ref(v->s, s.place, &v->a)));
    return out;
}

static void walking_stops_at_what_applies(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, household, household_body);
    assert_string_equal(stop_text(&v, session_next(v.s)), "question /hh/has_land");
    struct stop s = session_next(v.s); /* land is passed over */
    assert_string_equal(stop_text(&v, s), "repeat /hh");
    assert_true(s.can_add);
    assert_int_equal(s.count, 0);
    member(&v, "Ama", "30");
    assert_int_equal(session_jump(v.s, at(&v, "/hh/member[1]"), &v.d), ERR_OK);
    assert_string_equal(stop_text(&v, session_stop(v.s)), "question /hh/member[1]/name");
    assert_string_equal(stop_text(&v, session_next(v.s)), "question /hh/member[1]/age");
    assert_string_equal(stop_text(&v, session_next(v.s)), "repeat /hh"); /* no school at 30 */
    assert_string_equal(stop_text(&v, session_next(v.s)), "end /hh");
    assert_int_equal(session_next(v.s).kind, STOP_END);
    assert_string_equal(stop_text(&v, session_prev(v.s)), "repeat /hh");
    assert_string_equal(stop_text(&v, session_prev(v.s)), "question /hh/member[1]/age");
    assert_string_equal(stop_text(&v, session_prev(v.s)), "question /hh/member[1]/name");
    assert_string_equal(stop_text(&v, session_prev(v.s)), "question /hh/has_land");
    answer(&v, "/hh/has_land", "yes");
    assert_string_equal(stop_text(&v, session_next(v.s)), "question /hh/land/area");
    answer(&v, "/hh/has_land", "no"); /* from another screen: the stop at hand is gone */
    assert_string_equal(stop_text(&v, session_prev(v.s)), "question /hh/has_land");
    diag_clear(&v.d);
    assert_int_equal(session_jump(v.s, at(&v, "/hh/land/area"), &v.d), ERR_STATE);
    interview_close(&v);
}

static void leaving_a_removed_entry(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, household, household_body);
    member(&v, "Ama", "30");
    member(&v, "Kofi", "10");
    assert_int_equal(session_jump(v.s, at(&v, "/hh/member[2]/school"), &v.d), ERR_OK);
    drop(&v, "/hh/member[2]");
    assert_string_equal(stop_text(&v, session_stop(v.s)), "repeat /hh");
    assert_string_equal(stop_text(&v, session_prev(v.s)), "question /hh/member[1]/age");
    interview_close(&v);
}

static void a_field_list_is_one_stop(void **state)
{
    struct interview v;
    struct place *list = NULL;
    (void)state;
    interview_open(&v,
                   "<instance><d><g><a/><b/><c/></g><x/></d></instance>"
                   "<bind nodeset=\"/d/g/b\" relevant=\"/d/g/a = '1'\"/>",
                   "<group ref=\"/d/g\" appearance=\"field-list\"><label>Both</label><input ref=\"/d/g/a\"/>"
                   "<input ref=\"/d/g/b\"/><group><label>Inner</label><input ref=\"/d/g/c\"/></group></group>"
                   "<input ref=\"/d/x\"/>");
    struct stop s = session_next(v.s);
    assert_int_equal(s.kind, STOP_FIELD_LIST);
    assert_string_equal(text(&v, view(&v, "/d/g").label), "Both");
    assert_int_equal(session_stop_questions(v.s, &v.a, &list), 2);
    answer(&v, "/d/g/a", "1");
    assert_int_equal(session_stop_questions(v.s, &v.a, &list), 3);
    assert_string_equal(text(&v, session_ref(v.s, list[1], &v.a)), "/d/g/b");
    assert_string_equal(text(&v, view(&v, "/d/g/c").group), "Both › Inner");
    assert_int_equal(session_jump(v.s, at(&v, "/d/g/c"), &v.d), ERR_OK);
    assert_int_equal(session_stop(v.s).kind, STOP_FIELD_LIST);
    assert_string_equal(stop_text(&v, session_next(v.s)), "question /d/x");
    interview_close(&v);
}

static void events_run_in_their_order(void **state)
{
    struct interview v;
    struct place *asked = NULL;
    (void)state;
    interview_open(&v,
                   "<instance><d><start/><device/><first/><each/><src/><copy/><again/><here/>"
                   "<r jr:template=\"\"><from/></r></d></instance>"
                   "<bind nodeset=\"/d/start\" jr:preload=\"timestamp\" jr:preloadParams=\"start\"/>"
                   "<bind nodeset=\"/d/device\" jr:preload=\"property\" jr:preloadParams=\"deviceid\"/>"
                   "<setvalue event=\"odk-instance-first-load\" ref=\"/d/first\" value=\"/d/device\"/>"
                   "<setvalue event=\"odk-instance-load\" ref=\"/d/each\" value=\"concat(/d/first, '!')\"/>",
                   "<input ref=\"/d/src\"><setvalue event=\"xforms-value-changed\" ref=\"/d/copy\" "
                   "value=\"concat('saw ', /d/src)\"/><odk:setgeopoint event=\"xforms-value-changed\" "
                   "ref=\"/d/here\"/></input><input ref=\"/d/copy\"><setvalue event=\"xforms-value-changed\" "
                   "ref=\"/d/again\">yes</setvalue></input><repeat nodeset=\"/d/r\"><setvalue "
                   "event=\"odk-new-repeat\" ref=\"/d/r/from\" value=\"concat(/d/src, position(..))\"/>"
                   "<input ref=\"/d/r/from\"/></repeat>");
    assert_string_equal(value_of(&v, "/d/start"), "2026-11-23T12:41:51.000+00:00");
    assert_string_equal(value_of(&v, "/d/first"), "handheld-7");
    assert_string_equal(value_of(&v, "/d/each"), "handheld-7!");
    answer(&v, "/d/src", "x");
    assert_string_equal(value_of(&v, "/d/copy"), "saw x");
    assert_string_equal(value_of(&v, "/d/again"), "yes");
    assert_int_equal(session_requests(v.s, &v.a, &asked), 1);
    assert_string_equal(text(&v, session_ref(v.s, asked[0], &v.a)), "/d/here");
    assert_int_equal(session_requests(v.s, &v.a, &asked), 0);
    add(&v, "/d", "/d/r");
    add(&v, "/d", "/d/r");
    assert_string_equal(value_of(&v, "/d/r[2]/from"), "x2");
    interview_close(&v);
}

static void actions_that_chase_each_other_come_to_rest(void **state)
{
    struct interview v;
    (void)state;
    interview_open(
        &v, "<instance><d><a>0</a><b>0</b></d></instance>",
        "<input ref=\"/d/a\"><setvalue event=\"xforms-value-changed\" ref=\"/d/b\" value=\"/d/a + "
        "1\"/></input>"
        "<input ref=\"/d/b\"><setvalue event=\"xforms-value-changed\" ref=\"/d/a\" value=\"/d/b + 1\"/>"
        "</input>");
    answer(&v, "/d/a", "1");
    assert_true(strlen(value_of(&v, "/d/a")) < 4);
    interview_close(&v);
}

static void a_place_that_is_not_there_is_explained(void **state)
{
    struct interview v;
    struct place p;
    (void)state;
    interview_open(&v, household, household_body);
    assert_int_equal(session_place(v.s, STR("/hh/membr/age"), &p, &v.d), ERR_NOT_FOUND);
    assert_non_null(strstr(v.d.text, "member"));
    diag_clear(&v.d);
    assert_int_equal(session_place(v.s, STR("/hh/member[1]/age"), &p, &v.d), ERR_NOT_FOUND);
    assert_non_null(strstr(v.d.text, "0 entries"));
    interview_close(&v);
}

static void a_calculated_or_readonly_value_is_not_answered(void **state)
{
    struct interview v;
    (void)state;
    interview_open(
        &v,
        "<instance><d><c/><g><r>x</r></g></d></instance><bind nodeset=\"/d/c\" calculate=\"1 + 1\"/>"
        "<bind nodeset=\"/d/g\" readonly=\"true()\"/>",
        "<input ref=\"/d/g/r\"/>");
    assert_int_equal(try_answer(&v, "/d/c", "3"), ERR_STATE);
    assert_int_equal(try_answer(&v, "/d/g/r", "y"), ERR_STATE);
    assert_true(view(&v, "/d/g/r").readonly);
    interview_close(&v);
}

/* Cost follows what is touched: an entry at the end moves no position, one answer renews two sums and a
 * thousand shares. */
static void a_thousand_members(void **state)
{
    struct interview v;
    char ref[64];
    (void)state;
    interview_open(
        &v,
        "<instance><d><m jr:template=\"\"><age/><share/><place/></m><sum/><n/></d></instance>"
        "<bind nodeset=\"/d/m/age\" type=\"int\"/><bind nodeset=\"/d/sum\" calculate=\"sum(/d/m/age)\"/>"
        "<bind nodeset=\"/d/m/share\" calculate=\"../age div /d/sum\"/>"
        "<bind nodeset=\"/d/m/place\" calculate=\"position(..)\"/>"
        "<bind nodeset=\"/d/n\" calculate=\"count(/d/m)\"/>",
        "<repeat nodeset=\"/d/m\"><input ref=\"/d/m/age\"/></repeat>");
    for (int i = 0; i < 1000; i++)
        add(&v, "/d", "/d/m");
    for (int i = 1; i <= 1000; i += 100) {
        snprintf(ref, sizeof(ref), "/d/m[%d]/age", i);
        answer(&v, ref, "20");
    }
    assert_string_equal(value_of(&v, "/d/sum"), "200");
    assert_string_equal(value_of(&v, "/d/m[1]/share"), "0.1");
    assert_string_equal(value_of(&v, "/d/m[1000]/place"), "1000");
    drop(&v, "/d/m[500]");
    assert_string_equal(value_of(&v, "/d/m[999]/place"), "999");
    assert_string_equal(value_of(&v, "/d/n"), "999");
    interview_close(&v);
}

/* More patterns than stay compiled, each used again after the others. */
static void patterns_may_come_from_answers(void **state)
{
    struct interview v;
    char pattern[40], text[16];
    (void)state;
    interview_open(&v,
                   "<instance><d id=\"d\"><like/><code/><fits/><plain/></d></instance>"
                   "<bind nodeset=\"/d/fits\" calculate=\"regex(/d/code, /d/like)\"/>"
                   "<bind nodeset=\"/d/plain\" calculate=\"regex(/d/code, '[0-9]+')\"/>",
                   "<input ref=\"/d/like\"/><input ref=\"/d/code\"/>");
    for (uint32_t i = 0; i < 60; i++) {
        snprintf(pattern, sizeof(pattern), "x{%u}|%u", i % 20 + 1, i % 20);
        snprintf(text, sizeof(text), "%u", i % 20);
        answer(&v, "/d/code", text);
        answer(&v, "/d/like", pattern);
        assert_string_equal(value_of(&v, "/d/fits"), "true");
        assert_string_equal(value_of(&v, "/d/plain"), "true");
        answer(&v, "/d/code", "20x");
        assert_string_equal(value_of(&v, "/d/fits"), "false");
        assert_string_equal(value_of(&v, "/d/plain"), "false");
    }
    answer(&v, "/d/like", "(");
    assert_string_equal(value_of(&v, "/d/fits"), "false");
    interview_close(&v);
}

static void what_is_wrong_is_said_in_the_language_of_the_form(void **state)
{
    struct interview v;
    (void)state;
    interview_open(
        &v,
        "<itext><translation lang=\"English (en)\"><text id=\"n\"><value>How "
        "many?</value></text></translation>"
        "<translation lang=\"中文 (zh)\"><text id=\"n\"><value>多少？</value></text></translation></itext>"
        "<instance><d id=\"d\"><n/><day/><pick/><how/></d></instance><bind nodeset=\"/d/n\" type=\"int\"/>"
        "<bind nodeset=\"/d/day\" type=\"date\"/><bind nodeset=\"/d/how\" type=\"int\"/>",
        "<input ref=\"/d/n\"><label ref=\"jr:itext('n')\"/></input><input ref=\"/d/day\"/>"
        "<select1 ref=\"/d/pick\"><item><label>A</label><value>a</value></item></select1>"
        "<range ref=\"/d/how\" start=\"1\" end=\"5\" step=\"1\"/>");
    static const struct {
        const char *ref, *text, *english, *chinese;
    } cases[] = {{"/d/n", "many", "\"many\" is not a whole number.", "“many”不是整数。"},
                 {"/d/day", "soon", "\"soon\" is not a date such as 2026-11-23.",
                  "“soon”不是日期（例如 2026-11-23）。"},
                 {"/d/pick", "b", "\"b\" is not among the choices.", "“b”不在选项之中。"},
                 {"/d/how", "9", "9 is not between 1 and 5.", "9 不在 1 和 5 之间。"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(session_language(v.s, 0, &v.d), ERR_OK);
        assert_int_not_equal(try_answer(&v, cases[i].ref, cases[i].text), ERR_OK);
        assert_string_equal(v.d.text, cases[i].english);
        assert_int_equal(session_language(v.s, 1, &v.d), ERR_OK);
        assert_int_not_equal(try_answer(&v, cases[i].ref, cases[i].text), ERR_OK);
        assert_string_equal(v.d.text, cases[i].chinese);
    }
    interview_close(&v);
}

/* How many nodes there are does not change with their values: such an entry would count itself up for ever.
 */
static void a_calculation_that_asks_for_its_own_place_settles(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v,
                   "<instance><d id=\"d\"><r jr:template=\"\"><x/><q/></r><r><x>1</x><q/></r></d></instance>"
                   "<bind nodeset=\"/d/r/x\" type=\"int\"/><bind nodeset=\"/d/r/q\" type=\"int\" calculate=\""
                   "coalesce(../../r[position() = position(current()/.) - 0]/q, 0) + ../x\"/>",
                   "<group ref=\"/d/r\"><repeat nodeset=\"/d/r\"><input ref=\"/d/r/x\"/></repeat></group>");
    add(&v, "/d", "/d/r");
    answer(&v, "/d/r[2]/x", "5");
    assert_string_not_equal(value_of(&v, "/d/r[2]/q"), "");
    interview_close(&v);
}

static const char *const entries_that_read_all =
    "<instance><d id=\"d\"><n>40</n><word/><x>7</x><r "
    "jr:template=\"\"><q>1</q><all/><twice/></r><sum/></d></instance>"
    "<bind nodeset=\"/d/n\" type=\"int\"/><bind nodeset=\"/d/x\" type=\"int\"/>"
    "<bind nodeset=\"/d/r\" relevant=\"not(contains(/, 'nothing'))\"/>"
    "<bind nodeset=\"/d/r/twice\" type=\"int\" calculate=\"/d/x * 2\"/>"
    "<bind nodeset=\"/d/sum\" type=\"int\" calculate=\"sum(/d/r/twice)\"/>";
static const char *const entries_that_read_all_body =
    "<input ref=\"/d/n\"/><input ref=\"/d/word\"/><input ref=\"/d/x\"/><group ref=\"/d/r\"><repeat "
    "nodeset=\"/d/r\" "
    "jr:count=\"/d/n\"><input ref=\"/d/r/q\"/></repeat></group>";

static uint32_t warnings_about(struct interview *v, const char *start)
{
    const struct str *at;
    uint32_t found = 0, count = session_warnings(v->s, &at);
    for (uint32_t i = 0; i < count; i++)
        found += str_starts(at[i], str_of(start));
    return found;
}

static uint32_t warnings_about_texts(struct interview *v)
{
    return warnings_about(v, "Calculations of this form read the text of whole groups");
}

static void entries_may_read_the_text_of_the_whole_interview(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, entries_that_read_all, entries_that_read_all_body);
    assert_true(applies(&v, "/d/r[40]"));
    answer(&v, "/d/word", "nothing");
    assert_false(applies(&v, "/d/r[1]"));
    assert_false(applies(&v, "/d/r[40]"));
    assert_int_equal(warnings_about_texts(&v), 0);
    interview_close(&v);
}

/* Entries squared: what reads those texts keeps its value, is told once, and nothing else suffers. */
static void too_many_that_read_the_whole_interview_are_told_and_left_as_they_were(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, entries_that_read_all, entries_that_read_all_body);
    answer(&v, "/d/n", "4000");
    assert_int_equal(warnings_about_texts(&v), 1);
    assert_true(applies(&v, "/d/r[4000]"));
    assert_string_equal(value_of(&v, "/d/sum"), "56000");
    answer(&v, "/d/x", "8");
    assert_string_equal(value_of(&v, "/d/r[4000]/twice"), "16");
    assert_string_equal(value_of(&v, "/d/sum"), "64000");
    answer(&v, "/d/word", "nothing");
    assert_true(applies(&v, "/d/r[4000]"));
    assert_int_equal(warnings_about_texts(&v), 1);
    answer(&v, "/d/n", "20");
    assert_false(applies(&v, "/d/r[1]"));
    answer(&v, "/d/word", "all");
    assert_true(applies(&v, "/d/r[1]"));
    interview_close(&v);
}

/* Entries that each look through all the others: what costs much is left as it was, what stands outside goes
 * on, and with fewer entries it is computed again. */
static void too_much_work_is_told_and_the_rest_of_the_form_goes_on(void **state)
{
    struct interview v;
    (void)state;
    interview_init(&v);
    v.work_max = 100000;
    interview_load(&v,
                   "<instance><d id=\"d\"><n>2</n><x>7</x><y/><r jr:template=\"\"><q>a</q><same/></r></d>"
                   "</instance><bind nodeset=\"/d/n\" type=\"int\"/>"
                   "<bind nodeset=\"/d/r/same\" calculate=\"count(../../r[q = current()/../q])\"/>"
                   "<bind nodeset=\"/d/y\" type=\"int\" calculate=\"/d/x * 2\"/>",
                   "<input ref=\"/d/n\"/><input ref=\"/d/x\"/><group ref=\"/d/r\"><repeat nodeset=\"/d/r\" "
                   "jr:count=\"/d/n\"><input ref=\"/d/r/q\"/></repeat></group>");
    assert_string_equal(value_of(&v, "/d/r[2]/same"), "2");
    assert_int_equal(warnings_about(&v, "Calculations of this form look through"), 0);
    answer(&v, "/d/n", "2000");
    assert_int_equal(warnings_about(&v, "Calculations of this form look through"), 1);
    assert_string_equal(value_of(&v, "/d/r[2000]/same"), "");
    answer(&v, "/d/x", "8");
    assert_string_equal(value_of(&v, "/d/y"), "16");
    answer(&v, "/d/n", "3");
    assert_string_equal(value_of(&v, "/d/r[3]/same"), "3");
    interview_close(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relevance_is_inherited_and_values_are_kept),
        cmocka_unit_test(what_does_not_apply_reads_as_empty),
        cmocka_unit_test(a_constraint_refuses_with_the_authors_words_in_two_languages),
        cmocka_unit_test(a_required_question_stands_in_the_way_until_it_is_answered_or_excused),
        cmocka_unit_test(violations_come_in_document_order),
        cmocka_unit_test(a_chain_of_calculations_is_walked_once),
        cmocka_unit_test(a_sum_over_members_is_new_for_all_of_them),
        cmocka_unit_test(an_absolute_path_inside_a_repeat_means_the_same_entry),
        cmocka_unit_test(the_context_rule),
        cmocka_unit_test(removing_an_entry_keeps_the_keys_of_the_others),
        cmocka_unit_test(an_entry_added_and_removed_before_saving_leaves_no_trace),
        cmocka_unit_test(a_smaller_count_hides_entries_and_a_larger_one_brings_them_back),
        cmocka_unit_test(a_slip_in_a_count_does_not_fill_the_handheld),
        cmocka_unit_test(a_count_may_grow_with_its_own_entries),
        cmocka_unit_test(an_entry_may_read_the_one_before_it),
        cmocka_unit_test(a_wrong_answer_changes_nothing),
        cmocka_unit_test(a_wrong_answer_that_is_forced_leaves_the_question_empty),
        cmocka_unit_test(an_acknowledgement_is_ok_or_nothing),
        cmocka_unit_test(siblings_of_one_name_have_numbers),
        cmocka_unit_test(a_hidden_repeat_asks_for_no_entry),
        cmocka_unit_test(messages_of_our_own_are_in_the_forms_language),
        cmocka_unit_test(a_date_without_day_is_kept_as_partial),
        cmocka_unit_test(choices_follow_their_filter_and_a_stale_one_is_flagged),
        cmocka_unit_test(lists_beside_the_form_are_asked_of_the_host),
        cmocka_unit_test(labels_speak_the_language_and_name_the_member),
        cmocka_unit_test(walking_stops_at_what_applies),
        cmocka_unit_test(leaving_a_removed_entry),
        cmocka_unit_test(a_field_list_is_one_stop),
        cmocka_unit_test(events_run_in_their_order),
        cmocka_unit_test(actions_that_chase_each_other_come_to_rest),
        cmocka_unit_test(a_place_that_is_not_there_is_explained),
        cmocka_unit_test(a_calculated_or_readonly_value_is_not_answered),
        cmocka_unit_test(a_thousand_members),
        cmocka_unit_test(patterns_may_come_from_answers),
        cmocka_unit_test(what_is_wrong_is_said_in_the_language_of_the_form),
        cmocka_unit_test(a_calculation_that_asks_for_its_own_place_settles),
        cmocka_unit_test(too_much_work_is_told_and_the_rest_of_the_form_goes_on),
        cmocka_unit_test(entries_may_read_the_text_of_the_whole_interview),
        cmocka_unit_test(too_many_that_read_the_whole_interview_are_told_and_left_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
