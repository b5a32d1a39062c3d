/* Versions: a draft that nobody gets, a version that some areas have first, what it changes, and the way
 * back. */
#include "server/stage.h"
#include "tests/support/centre.h"

static struct str form_of(struct world *w, const char *version, const char *questions, const char *binds)
{
    struct buf b;
    buf_init(&b, 1u << 16);
    buf_printf(
        &b,
        "<h:html xmlns=\"http://www.w3.org/2002/xforms\" xmlns:h=\"http://www.w3.org/1999/xhtml\"><h:head>"
        "<h:title>Note</h:title><model><instance><note id=\"note\" version=\"%s\"><said/>%s</note></instance>"
        "<bind nodeset=\"/note/said\" type=\"string\"/>%s</model></h:head><h:body>"
        "<input ref=\"/note/said\"><label>Said</label></input></h:body></h:html>",
        version, questions, binds);
    struct str s = arena_str(&w->a, buf_str(&b));
    buf_free(&b);
    return s;
}

/* The version that this handheld would begin with, as the newest row that is live for it says. */
static struct str version_of(struct world *w, struct desk *k, const char *area)
{
    struct published *list;
    uint32_t count = 0;
    struct str version = STR(""), word;
    OK(published_all(k->st, &w->a, &list, &count, &w->d));
    for (uint32_t i = 0; i < count; i++) {
        struct str areas = list[i].areas;
        bool here = areas.n == 0;
        while (str_word(&areas, &word))
            here = here || str_starts(str_of(area), word);
        if (here && str_eq_z(list[i].state, "live"))
            version = list[i].version;
    }
    return version;
}

static const struct stage_change *change_at(const struct stage_diff *x, char sign, const char *place)
{
    for (uint32_t i = 0; i < x->count; i++)
        if (x->changes[i].sign == (enum stage_sign)sign && str_eq_z(x->changes[i].place, place))
            return &x->changes[i];
    return NULL;
}

static void test_a_draft_goes_to_some_then_to_all_and_back(void **state)
{
    struct world *w = *state;
    struct publish_result r;
    struct published now;
    struct draft_row *drafts;
    struct published live;
    uint32_t count = 0;
    struct buf lines;
    buf_init(&lines, 1u << 20);
    struct desk k = desk_begin(w, &lines);
    struct str one = form_of(w, "1", "", ""),
               two = form_of(w, "2", "<age/>", "<bind nodeset=\"/note/age\" type=\"int\"/>");
    OK(publish(&k, STR("form"), STR(""), STR("note.xml"), one, &r, &w->d));
    OK(stage_draft(&k, STR("Wu"), STR("form"), STR(""), STR("note.xml"), two, &r, &w->d));
    OK(stage_drafts(&k, &drafts, &count, &w->d));
    assert_true(count == 1 && str_eq_z(drafts[0].version, "2") && str_eq_z(drafts[0].by, "Wu"));
    assert_true(str_eq_z(version_of(w, &k, "990101"), "1"));
    assert_int_equal(stage_publish(&k, STR("form"), STR("other"), STR("99"), &r, NULL), ERR_NOT_FOUND);
    assert_int_equal(stage_publish(&k, STR("form"), STR("note"), STR("99;x"), &r, NULL), ERR_USAGE);
    OK(stage_publish(&k, STR("form"), STR("note"), STR("990101 990102"), &r, &w->d));
    assert_true(str_eq_z(version_of(w, &k, "990101001"), "2"));
    assert_true(str_eq_z(version_of(w, &k, "990103001"), "1"));
    OK(published_live(k.st, &w->a, "form", STR("note"), &live, &w->d));
    assert_true(str_eq_z(live.version, "1")); /* what counts here is what all have */
    OK(stage_withdraw(&k, STR("form"), STR("note"), &now, &w->d));
    assert_true(str_eq_z(now.version, "1"));
    assert_true(str_eq_z(version_of(w, &k, "990101001"), "1"));
    OK(stage_publish(&k, STR("form"), STR("note"), STR(""), &r, &w->d));
    assert_true(str_eq_z(version_of(w, &k, "990103001"), "2"));
    OK(stage_drafts(&k, &drafts, &count, &w->d));
    assert_int_equal(count, 0);
    OK(stage_withdraw(&k, STR("form"), STR("note"), &now, &w->d));
    assert_true(str_eq_z(version_of(w, &k, "990103001"), "1"));
    assert_int_equal(stage_withdraw(&k, STR("form"), STR("note"), &now, NULL), ERR_NOT_FOUND);
    /* A broken form is no draft, and a version does not change its contents. */
    assert_int_equal(stage_draft(&k, STR(""), STR("form"), STR(""), STR("x.xml"), STR("<no"), &r, NULL),
                     ERR_SYNTAX);
    assert_int_equal(stage_draft(&k, STR(""), STR("form"), STR(""), STR("note.xml"),
                                 form_of(w, "1", "<other/>", ""), &r, NULL),
                     ERR_EXISTS);
    desk_end(&k);
    buf_free(&lines);
}

static void test_what_a_draft_changes_is_told_question_by_question(void **state)
{
    struct world *w = *state;
    struct publish_result r;
    struct stage_diff x;
    struct buf lines;
    buf_init(&lines, 1u << 20);
    struct desk k = desk_begin(w, &lines);
    OK(publish(&k, STR("form"), STR(""), STR("note.xml"),
               form_of(w, "1", "<age/><gone/>",
                       "<bind nodeset=\"/note/age\" type=\"int\" constraint=\". &lt; 50\"/>"),
               &r, &w->d));
    OK(stage_draft(&k, STR(""), STR("form"), STR(""), STR("note.xml"),
                   form_of(w, "2", "<age/><new/>",
                           "<bind nodeset=\"/note/age\" type=\"int\" constraint=\". &lt; 100\"/>"),
                   &r, &w->d));
    OK(stage_compare(&k, STR("form"), STR("note"), 10, &x, &w->d));
    assert_non_null(change_at(&x, '+', "/note/new"));
    assert_non_null(change_at(&x, '-', "/note/gone"));
    const struct stage_change *age = change_at(&x, '~', "/note/age");
    assert_non_null(age);
    assert_true(str_eq_z(age->what, "constraint") && str_eq_z(age->before, ". < 50") &&
                str_eq_z(age->now, ". < 100"));
    assert_null(change_at(&x, '~', "/note/said"));
    assert_int_equal(stage_compare(&k, STR("form"), STR("other"), 10, &x, NULL), ERR_NOT_FOUND);
    desk_end(&k);
    buf_free(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, world_open, world_close)
        TEST(test_a_draft_goes_to_some_then_to_all_and_back),
        TEST(test_what_a_draft_changes_is_told_question_by_question),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
