/* Scripts of answers: what each line does to a session, and how a line that cannot be carried out is named.
 */
#include "tests/support/household.h"

#include "agent/script.h"

static struct household h;

static int load_form(void **state)
{
    (void)state;
    household_load(&h);
    return 0;
}

static int free_form(void **state)
{
    (void)state;
    arena_free(&h.arena);
    return 0;
}

static enum err run(struct session *s, const char *text, struct script *script, struct diag *d)
{
    *script = (struct script){.form = h.form, .session = s, .a = &h.arena, .file = "a.tsv"};
    return script_run(script, str_of(text), d);
}

static void commands_do_what_they_say(void **state)
{
    (void)state;
    struct session *s = new_session(&h);
    struct script script;
    struct diag d = {0};
    enum err rc =
        run(s,
            "# a comment\n\n@language\tEnglish (en)\n@add\t/monitoring/member\n@add\t/monitoring/member\r\n"
            "/monitoring/member[2]/name\tB\n/monitoring/member/name\tA\n@remove\t/monitoring/member[1]\n"
            "/monitoring/closing/remark\tone\\ntwo\\tthree\\\\\n@status\t/monitoring/spend/care\trefused\n"
            "@judgement\tnot\\nnow",
            &script, &d);
    if (rc)
        fail_msg("%s", d.text);
    assert_int_equal(script.answers, 3);
    assert_string_equal(script.judgement.p, "not\nnow");
    struct str name = session_value(s, place_at(s, STR("/monitoring/member/name")), NULL);
    assert_true(str_eq_z(name, "B"));
    struct str remark = session_value(s, place_at(s, STR("/monitoring/closing/remark")), NULL);
    assert_true(str_eq_z(remark, "one\ntwo\tthree\\"));
    session_close(s);
}

static void a_line_that_cannot_be_carried_out_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"/monitoring/visit/consent\tagreed\n/monitoring/nowhere\t1", "a.tsv, line 2: "},
        {"/monitoring/household/registered_size\tmany", "a.tsv, line 1: "},
        {"/monitoring/household/registered_size\t31", "a.tsv, line 1: 请填 0 到 30"},
        {"/monitoring/household/relief\tgold", "a.tsv, line 1: "},
        {"/monitoring/member[1]/name\tA", "a.tsv, line 1: "},
        {"@add\t/monitoring/house", "has no repeat"},
        {"@add\tmember", "wants the path"},
        {"@remove\t/monitoring/member[3]", "a.tsv, line 1: "},
        {"@status\t/monitoring/spend/care\tmaybe", "refused or dont_know"},
        {"@language\tKlingon", "no language"},
        {"@wait\t3", "no command @wait"},
        {"/monitoring/spend/care", "a.tsv"},
        {"\tvalue", "a.tsv, line 1: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct session *s = new_session(&h);
        struct script script;
        struct diag d = {0};
        enum err rc = run(s, cases[i].text, &script, &d);
        if (i == 11)
            assert_int_equal(rc, ERR_OK); /* a place without a value is emptied */
        else if (!rc || str_find(str_of(d.text), str_of(cases[i].says)) < 0)
            fail_msg("%s: %s", cases[i].text, d.text);
        session_close(s);
    }
}

static enum err full_card(void *self, struct diag *d)
{
    uint32_t *left = self;
    return (*left)-- > 0 ? ERR_OK : diag_set(d, ERR_FULL, "the card is full");
}

static void who_takes_no_comments_says_so(void **state)
{
    (void)state;
    static const char *const lines[] = {"@comment\t/monitoring/closing/remark\tx\n", "@position\t1 2\n"};
    for (size_t i = 0; i < 2; i++) {
        struct session *s = new_session(&h);
        struct script script;
        struct diag d = {0};
        assert_int_equal(run(s, lines[i], &script, &d), ERR_USAGE);
        assert_non_null(strstr(d.text, "line 1"));
        session_close(s);
    }
}

static void a_line_that_is_not_saved_ends_the_script(void **state)
{
    (void)state;
    uint32_t left = 1;
    struct session *s = new_session(&h);
    struct diag d = {0};
    struct script script = {
        .form = h.form, .session = s, .a = &h.arena, .file = "a.tsv", .self = &left, .after_line = full_card};
    struct str text = STR(
        "/monitoring/visit/consent\tagreed\n/monitoring/place/group\t3\n/monitoring/place/group\t4\n");
    assert_int_equal(script_run(&script, text, &d), ERR_FULL);
    assert_string_equal(d.text, "a.tsv, line 2: the card is full");
    session_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_do_what_they_say),
        cmocka_unit_test(a_line_that_cannot_be_carried_out_is_named),
        cmocka_unit_test(who_takes_no_comments_says_so),
        cmocka_unit_test(a_line_that_is_not_saved_ends_the_script),
    };
    return cmocka_run_group_tests(tests, load_form, free_form);
}
