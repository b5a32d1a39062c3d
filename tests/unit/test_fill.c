/* The interview in a terminal: what is typed, what is shown, and what is in the store afterwards.
 */
#include "tests/support/device.h"
#include "tests/support/screen.h"

#include "agent/interview.h"
#include "agent/script.h"
#include "agent/term.h"

static struct screen screen;

static void hold(struct device_test *t, struct work *w, const char *typed, bool zh)
{
    (void)t;
    screen_begin(&screen, typed);
    interview_run(w, zh);
    screen_end(&screen);
}

static void question_by_question_to_the_end(void **state)
{
    struct device_test *t = *state;
    struct work w;
    device_enrol(t);
    feed_household(t, 1, "H1");
    begin_work(t, &w, write_form(t, visit_form), "H1");
    hold(t, &w, "Li\n12\ngood\ny\nA\n41\nn\nf\n", false);
    work_close(&w);
    SHOWS(&screen, "Visit · H1 Invented");
    SHOWS(&screen, "1 of about 3");
    SHOWS(&screen, "Member: none yet");
    SHOWS(&screen, "Member: 1 so far");
    SHOWS(&screen, "5 of about 5 · Member 1");
    SHOWS(&screen, "Finalised: Visit · H1 Invented");
    SHOWS(&screen, "5 answers");
    assert_int_equal(times_shown(&screen, "saved"), 6);
    assert_int_equal(status_now(t).drafts, 0);
    struct cut_frame f = cut_one_frame(t);
    assert_true(count_value(&f, "Li") == 1 && count_value(&f, "41") == 1);
}

static void a_wrong_answer_is_asked_again_and_costs_nothing(void **state)
{
    struct device_test *t = *state;
    struct work w;
    const char *form = write_form(t, visit_form);
    begin_work(t, &w, form, NULL);
    hold(t, &w, "Li\ntwelve\n12\n:quit\n", false);
    work_close(&w);
    SHOWS(&screen, "  ! ");
    SHOWS(&screen, "The draft is kept");
    begin_work(t, &w, form, NULL);
    assert_says(t, w.session, "/data/wage", "12");
    work_close(&w);
}

static void back_keeps_and_enter_goes_on(void **state)
{
    struct device_test *t = *state;
    struct work w;
    const char *form = write_form(t, visit_form);
    begin_work(t, &w, form, NULL);
    hold(t, &w, "Li\n12\n<\n<\n\n13\n:q\n", false);
    work_close(&w);
    SHOWS(&screen, "now: Li");
    begin_work(t, &w, form, NULL);
    assert_says(t, w.session, "/data/name", "Li");
    assert_says(t, w.session, "/data/wage", "13");
    work_close(&w);
}

static void who_stops_goes_on_at_the_same_question(void **state)
{
    struct device_test *t = *state;
    struct work w;
    const char *form = write_form(t, visit_form);
    begin_work(t, &w, form, NULL);
    hold(t, &w, "Li\n\n\n", false); /* the terminal goes away at the question about members */
    work_close(&w);
    begin_work(t, &w, form, NULL);
    hold(t, &w, "<\n:q\n", false);
    work_close(&w);
    const char *prompt = strstr(screen.shown, "Member: none yet"), *mood = strstr(screen.shown, "Mood");
    assert_true(prompt && mood && prompt < mood);
    begin_work(t, &w, form, NULL);
    hold(t, &w, ":q\n", false);
    work_close(&w);
    SHOWS(&screen,
          "3 of about 3"); /* at the mood, where it was left; not at the first one without an answer */
    assert_int_equal(times_shown(&screen, "1 of about"), 0);
}

static void a_list_to_jump_from(void **state)
{
    struct device_test *t = *state;
    struct work w;
    begin_work(t, &w, write_form(t, visit_form), NULL);
    hold(t, &w, "Li\n:list\n3\ngood\n:end\n<\n<\n:list\nq\n:q\n", false);
    SHOWS(&screen, "→   2   Wage");
    SHOWS(&screen, "    1 ✓ Name");
    assert_says(t, w.session, "/data/mood", "good");
    work_close(&w);
}

static void an_entry_is_removed_only_after_a_question(void **state)
{
    struct device_test *t = *state;
    struct work w;
    begin_work(t, &w, write_form(t, visit_form), NULL);
    hold(t, &w, ":remove\n\n\n\ny\nA\n1\ny\nB\n:remove\nn\n2\nn\n<\n<\n:remove\ny\n:q\n", false);
    SHOWS(&screen, "not part of an entry");
    SHOWS(&screen, "Member 2");
    assert_says(t, w.session, "/data/member[1]/who", "A");
    assert_false(has_place(w.session, "/data/member[2]/who"));
    work_close(&w);
}

static void not_knowing_and_refusing_are_answers(void **state)
{
    struct device_test *t = *state;
    struct work w;
    begin_work(t, &w, write_form(t, visit_form), NULL);
    hold(t, &w, ":dk\n:refused\n<\n:q\n", false);
    SHOWS(&screen, "now: does not want to say");
    struct place p;
    struct question_view v;
    OK(session_place(w.session, STR("/data/name"), &p, &t->d));
    OK(session_view(w.session, p, &t->a, &v, &t->d));
    assert_int_equal(v.status, ANSWER_DONT_KNOW);
    work_close(&w);
}

static void a_comment_and_the_log_of_the_way(void **state)
{
    static const char logged[] = FORM_HEAD
        "<model><instance><data "
        "id='logged'><name/><wage/><meta><instanceID/><audit/></meta></data></instance>"
        "<bind nodeset='/data/wage' type='int' constraint='. &lt; 100'/>"
        "<bind nodeset='/data/meta/audit' type='binary'/>"
        "<bind nodeset='/data/meta/instanceID' type='string' jr:preload='uid'/></model></h:head><h:body>"
        "<input ref='/data/name'><label>Name</label></input>"
        "<input ref='/data/wage'><label>Wage</label></input></h:body></h:html>";
    struct device_test *t = *state;
    struct work w;
    struct finished_visit *visits;
    uint32_t count = 0;
    device_enrol(t);
    begin_work(t, &w, write_form(t, logged), NULL);
    hold(t, &w, "Li\n:comment\nsays it is a secret\n500\n50\n:list\n1\n\n\nf\n", false);
    work_close(&w);
    SHOWS(&screen, "a comment on this question");
    SHOWS(&screen, "Finalised");
    OK(store_finished(t->store, &t->a, &visits, &count, &t->d));
    assert_int_equal(count, 1);
    static const char *const events[] = {
        "form start,", "\nquestion,/data/name,", "\nquestion,/data/wage,", "\nconstraint error,/data/wage,",
        "\njump,",     "\nend screen,",          "\nform finalize,"};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (str_find(visits[0].log, str_of(events[i])) < 0)
            fail_msg("no \"%s\" in:\n%.*s", events[i], STR_ARG(visits[0].log));
    struct cut_frame f = cut_one_frame(t);
    assert_int_equal(count_value(&f, "says it is a secret"), 1);
    assert_int_equal(count_value(&f, "/data/wage"), 1);
}

static void what_begins_like_a_command_can_be_said(void **state)
{
    struct device_test *t = *state;
    struct work w;
    begin_work(t, &w, write_form(t, visit_form), NULL);
    hold(t, &w, ":nonsense\n\\:quit\n:q\n", false);
    SHOWS(&screen, "no such command: :nonsense");
    assert_says(t, w.session, "/data/name", ":quit");
    work_close(&w);
}

static void a_line_without_end_is_refused_whole(void **state)
{
    struct device_test *t = *state;
    struct work w;
    char *typed = arena_alloc(&t->a, 200100);
    memset(typed, 'x', 200000);
    strcpy(typed + 200000, "\nLi\n:q\n");
    begin_work(t, &w, write_form(t, visit_form), NULL);
    hold(t, &w, typed, false);
    SHOWS(&screen, "too long");
    assert_says(t, w.session, "/data/name", "Li");
    work_close(&w);
}

/* ---- choices ---- */

static const char choice_form[] = FORM_HEAD
    "<model><itext><translation lang='English (en)'><text id='q'><value>Where?</value></text></translation>"
    "<translation lang='中文 (zh)'><text id='q'><value>在哪里？</value></text></translation></itext>"
    "<instance><data id='choices'><place/><goods/></data></instance>"
    "<bind nodeset='/data/place' required='true()'/></model></h:head><h:body>"
    "<select1 ref='/data/place'><label ref=\"jr:itext('q')\"/>"
    "<item><label>North village</label><value>n</value></item><item><label>South "
    "village</label><value>s</value>"
    "</item><item><label>双井村</label><value>w</value></item></select1>"
    "<select ref='/data/goods'><label>Goods</label><item><label>Pig</label><value>pig</value></item>"
    "<item><label>Ox</label><value>ox</value></item><item><label>Hen</label><value>hen</value></item></"
    "select>"
    "</h:body></h:html>";

static void choices_by_number_by_text_and_by_part(void **state)
{
    struct device_test *t = *state;
    struct work w;
    begin_work(t, &w, write_form(t, choice_form), NULL);
    hold(t, &w, "9\nmoon\n井\n3\n1 3\n<\n+2 -1\n:q\n", false);
    SHOWS(&screen, "no such choice");
    SHOWS(&screen, "no choice contains \"moon\"");
    SHOWS(&screen, "only choices with \"井\"");
    assert_says(t, w.session, "/data/place", "w");
    assert_says(t, w.session, "/data/goods", "ox hen");
    work_close(&w);
}

static void what_is_missing_is_listed_and_reached(void **state)
{
    struct device_test *t = *state;
    struct work w;
    begin_work(t, &w, write_form(t, choice_form), NULL);
    hold(t, &w, ":lang\n2\n:end\nf\nSouth village\n:errors\n:end\nf\n", false);
    SHOWS(&screen, "在哪里？");
    SHOWS(&screen, "尚未完成");
    SHOWS(&screen, "没有缺项或矛盾");
    SHOWS(&screen, "已完成");
    work_close(&w);
}

/* ---- findings ---- */

static struct str read_example(struct device_test *t, const char *name)
{
    char path[600];
    struct buf b;
    snprintf(path, sizeof path, "%s/examples/%s", DS_SOURCE_DIR, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    buf_init(&b, 8u << 20);
    for (int c = getc(f); c != EOF; c = getc(f))
        buf_put_char(&b, (char)c);
    fclose(f);
    struct str text = arena_str(&t->a, buf_str(&b));
    buf_free(&b);
    return text;
}

static enum err save_line(void *self, struct diag *d)
{
    return work_save(self, d);
}

static void the_own_judgement_comes_before_any_finding(void **state)
{
    struct device_test *t = *state;
    struct work w;
    device_enrol(t);
    feed_household(t, 1, "H0002");
    OK(t->seam->file_write(t->seam->self, "/m.xml", read_example(t, "monitoring.xform.xml"), false, &t->d));
    OK(t->seam->file_write(t->seam->self, "/villages.csv", read_example(t, "villages.csv"), false, &t->d));
    OK(t->seam->file_write(t->seam->self, "/pack.json", read_example(t, "pack.cn.json"), false, &t->d));
    const struct work_options o = {
        .store = t->store, .seam = t->seam, .form = "/m.xml", .pack = "/pack.json", .household = "H0002"};
    OK(work_open(&w, &o, &t->d));
    struct script script = {.form = w.form,
                            .session = w.session,
                            .a = &t->a,
                            .file = "trouble",
                            .self = &w,
                            .after_line = save_line};
    OK(script_run(&script, read_example(t, "answers/trouble.tsv"), &t->d));
    hold(t, &w, ":end\nf\n\nthey owe a lot\n", true);
    const char *asked = strstr(screen.shown, "自己对这户的判断"),
               *again = strstr(screen.shown, "再按一次回车"), *finding = strstr(screen.shown, "EDU"),
               *receipt = strstr(screen.shown, "已完成");
    assert_true(asked && again && receipt);
    assert_true(asked < again && again < receipt);
    assert_true(!finding || (again < finding && finding < receipt));
    work_close(&w);
    struct cut_frame f = cut_one_frame(t);
    assert_int_equal(count_value(&f, "they owe a lot"), 1);
    assert_true(count_value(&f, "red") >= 1);
}

/* ---- what labels may not do ---- */

static void labels_do_not_reach_into_the_terminal(void **state)
{
    static const char hostile[] = FORM_HEAD
        "<model><instance><data id='hostile'><name/></data></instance></model></h:head><h:body>"
        "<input ref='/data/name'><label>Na&#x9B;31mme &#x202E;desrever</label></input></h:body></h:html>";
    struct device_test *t = *state;
    struct work w;
    begin_work(t, &w, write_form(t, hostile), NULL);
    hold(t, &w,
         "x\xC2\x9B"
         "2J\n<\n:q\n",
         false);
    work_close(&w);
    SHOWS(&screen, "Na31mme desrever");
    assert_null(strstr(screen.shown, "\xC2\x9B"));
    assert_null(strstr(screen.shown, "\xE2\x80\xAE"));
    assert_null(strchr(screen.shown, '\033'));
}

static void columns_are_counted_as_a_terminal_does(void **state)
{
    (void)state;
    assert_int_equal(term_width(STR("abc")), 3);
    assert_int_equal(term_width(STR("双井村")), 6);
    assert_int_equal(term_width(STR("a\x1b[31m")), 5); /* the escape itself is gone */
    assert_int_equal(term_width(STR("e\xCC\x81")), 1);
    assert_int_equal(term_width(STR("a\nb")), 3);
    screen_begin(&screen, "");
    term_put_columns(stdout, STR("双井村"), 5, false);
    fputs("|", stdout);
    term_put_columns(stdout, STR("ab"), 5, true);
    fputs("|", stdout);
    term_put_wrapped(stdout, STR("one two three four"), 2, 14);
    screen_end(&screen);
    assert_string_equal(screen.shown, "双井…|ab   |one two\n  three four");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(question_by_question_to_the_end),
        CASE(a_wrong_answer_is_asked_again_and_costs_nothing),
        CASE(back_keeps_and_enter_goes_on),
        CASE(who_stops_goes_on_at_the_same_question),
        CASE(a_list_to_jump_from),
        CASE(an_entry_is_removed_only_after_a_question),
        CASE(not_knowing_and_refusing_are_answers),
        CASE(a_comment_and_the_log_of_the_way),
        CASE(what_begins_like_a_command_can_be_said),
        CASE(a_line_without_end_is_refused_whole),
        CASE(choices_by_number_by_text_and_by_part),
        CASE(what_is_missing_is_listed_and_reached),
        CASE(the_own_judgement_comes_before_any_finding),
        CASE(labels_do_not_reach_into_the_terminal),
        cmocka_unit_test(columns_are_counted_as_a_terminal_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
