/* The commands: what they print for people and for programs, what they say when something is wrong, and the
 * exit code, which is the error table's.
 */
#include "tests/support/device.h"
#include "tests/support/screen.h"

#include "agent/cli.h"
#include "platform/posix/posix_seam.h"

#include <sys/stat.h>

struct desk {
    struct device_test t; /* for identities and the pen; its store lies in `dir` */
    struct seam seam;
    char root[64], dir[96];
    struct screen screen;
};

static int setup(void **state)
{
    struct desk *k = calloc(1, sizeof *k);
    struct device_test *t = &k->t;
    arena_init(&t->a, 256u << 20);
    OK(crypto_init(&t->d));
    OK(posix_seam_open(NULL, &k->seam, &t->d));
    OK(db_vfs_register(NULL));
    strcpy(k->root, "/tmp/doorstep-cli-XXXXXX");
    assert_non_null(mkdtemp(k->root));
    snprintf(k->dir, sizeof k->dir, "%s/data", k->root);
    t->seam = &k->seam;
    t->epoch = 1;
    setenv("LC_ALL", "C.UTF-8", 1);
    *state = k;
    return 0;
}

static void remove_tree(struct desk *k, const char *dir)
{
    struct str *names;
    uint32_t count;
    char path[256];
    if (k->seam.dir_list(k->seam.self, dir, &k->t.a, &names, &count))
        return;
    for (uint32_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i].p);
        remove(path);
    }
    rmdir(dir);
}

static int teardown(void **state)
{
    struct desk *k = *state;
    store_close(k->t.store);
    remove_tree(k, k->dir);
    remove_tree(k, k->root);
    posix_seam_close(&k->seam);
    arena_free(&k->t.a);
    free(k);
    return 0;
}

/* Runs a command; the last argument is NULL. The data directory is added where there is one. */
static int run(struct desk *k, const struct cli_command *c, ...)
{
    char *argv[20] = {(char *)(uintptr_t)c->name, (char *)(uintptr_t) "--data", k->dir};
    int argc = c == &command_check ? 1 : 3;
    va_list args;
    va_start(args, c);
    for (char *a; (a = va_arg(args, char *)); argc++)
        argv[argc] = a;
    va_end(args);
    screen_begin(&k->screen, "");
    int code = c->run(argc, argv, &k->seam);
    screen_end(&k->screen);
    return code;
}

static const struct json *printed(struct desk *k)
{
    struct device_test *t = &k->t;
    const struct json *j;
    diag_clear(&t->d);
    enum err rc = json_read(&t->a, str_of(k->screen.shown), &j, &t->d);
    if (rc)
        fail_msg("not JSON (%s):\n%s", t->d.text, k->screen.shown);
    return j;
}

static int64_t number_in(const struct json *j, const char *name)
{
    int64_t v = -1;
    if (!json_i64(j, name, &v))
        fail_msg("no number %s", name);
    return v;
}

static void with_store(struct desk *k)
{
    struct device_test *t = &k->t;
    OK(store_open(k->dir, &k->seam, NULL, &t->store, &t->d));
}

static void without_store(struct desk *k)
{
    store_close(k->t.store);
    k->t.store = NULL;
}

static const char *file_with(struct desk *k, const char *name, const char *text)
{
    struct device_test *t = &k->t;
    char path[160];
    snprintf(path, sizeof path, "%s/%s", k->root, name);
    OK(k->seam.file_write(k->seam.self, path, str_of(text), false, &t->d));
    return arena_z(&t->a, str_of(path));
}

static int exit_of(enum err rc)
{
    return err_action(rc)->exit_code;
}

/* ---- help ---- */

static void every_command_explains_itself(void **state)
{
    struct desk *k = *state;
    const struct cli_command *all[] = {&command_enrol, &command_fill, &command_check, &command_sync,
                                       &command_status};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_int_equal(run(k, all[i], "--help", NULL), 0);
        SHOWS(&k->screen, "Example:\n  doorstep ");
        SHOWS(&k->screen, all[i]->summary);
        assert_int_equal(run(k, all[i], "--nonsense", NULL), exit_of(ERR_USAGE));
        TELLS(&k->screen, "--nonsense");
        assert_int_equal(run(k, all[i], "a", "b", "c", NULL), exit_of(ERR_USAGE));
    }
    assert_int_equal(run(k, &command_fill, NULL), exit_of(ERR_USAGE));
    assert_int_equal(run(k, &command_fill, "form", "--draft", NULL), exit_of(ERR_USAGE));
    assert_int_equal(run(k, &command_sync, "--tries", "many", NULL), exit_of(ERR_USAGE));
    assert_int_equal(run(k, &command_sync, "--tries", NULL), exit_of(ERR_USAGE));
}

/* ---- status ---- */

static void status_of_a_new_device(void **state)
{
    struct desk *k = *state;
    assert_int_equal(run(k, &command_status, "--json", NULL), 0);
    const struct json *j = printed(k);
    assert_false(json_bool(j, "enrolled"));
    assert_int_equal(number_in(j, "drafts"), 0);
    assert_int_equal(run(k, &command_status, NULL), 0);
    SHOWS(&k->screen, "not enrolled yet");
    assert_int_equal(run(k, &command_status, "--lang", "zh", NULL), 0);
    SHOWS(&k->screen, "尚未登记");
}

static void status_shows_the_caseload_and_nothing_that_moves_the_cursor(void **state)
{
    struct desk *k = *state;
    struct device_test *t = &k->t;
    with_store(k);
    device_enrol(t);
    feed_household(t, 1, "H1");
    feed_birth(t, centre_row(2), ROW_HOUSEHOLD, (struct row_id){0}, STR(""));
    feed_set(t, centre_row(2), HOUSEHOLD_CODE, "H2\x1b[2J");
    feed_set(t, centre_row(2), HOUSEHOLD_NAME, "双\"井\x07村");
    feed_send(t);
    feed_published(t, 3, "form", "visit\x1b]0;x", "1", STR("x"), "", false);
    OK(meta_put_i64(t->store, "clock_off_ms", -3 * 86400000LL, &t->d));
    without_store(k);

    assert_int_equal(run(k, &command_status, NULL), 0);
    assert_null(strchr(k->screen.shown, '\033'));
    assert_null(strchr(k->screen.shown, '\a'));
    SHOWS(&k->screen, "双\"井村");
    SHOWS(&k->screen, "3 days behind");
    assert_int_equal(run(k, &command_status, "--lang", "zh", NULL), 0);
    SHOWS(&k->screen, "慢 3 天");

    assert_int_equal(run(k, &command_status, "--json", "--check", NULL), 0);
    const struct json *j = printed(k);
    assert_true(json_bool(j, "enrolled"));
    assert_int_equal(number_in(j, "households"), 2);
    assert_int_equal(number_in(j, "objects_missing"), 1);
    assert_int_equal(number_in(j, "clock_off_s"), -3 * 86400);
    const struct json *second = json_at(json_get(j, "caseload"), 1);
    assert_true(str_eq_z(json_text(second, "code"), "H2\x1b[2J")); /* programs get what is there */
    assert_true(str_eq_z(json_text(second, "name"), "双\"井\x07村"));
}

static void without_the_key_status_says_so(void **state)
{
    struct desk *k = *state;
    char path[160];
    with_store(k);
    without_store(k);
    snprintf(path, sizeof path, "%s/device.key", k->dir);
    assert_int_equal(remove(path), 0);
    assert_int_equal(run(k, &command_status, "--json", NULL), exit_of(ERR_DENIED));
    TELLS(&k->screen, "device.key");
    TELLS(&k->screen, err_action(ERR_DENIED)->todo_en);
    assert_string_equal(k->screen.shown, "");
}

/* ---- sync, enrol ---- */

static void sync_says_what_happened_once_and_what_to_do_once(void **state)
{
    struct desk *k = *state;
    struct device_test *t = &k->t;
    assert_int_equal(run(k, &command_sync, "--json", NULL), exit_of(ERR_STATE));
    TELLS(&k->screen, "doorstep enrol");
    assert_true(str_eq_z(json_text(printed(k), "result"), "state"));

    with_store(k);
    struct identity id = device_identity(t);
    id.url = STR("http://127.0.0.1:1"); /* nobody answers there */
    OK(store_enrol(t->store, &id, &t->d));
    without_store(k);
    assert_int_equal(run(k, &command_sync, "--tries", "1", "--json", NULL), exit_of(ERR_NET));
    const struct json *j = printed(k);
    assert_true(str_eq_z(json_text(j, "result"), "net"));
    assert_int_equal(number_in(j, "failures"), 1);
    assert_false(json_bool(j, "login_page"));
    TELLS(&k->screen, "127.0.0.1:1");
    const char *first = strstr(k->screen.told, "Nothing is lost");
    assert_non_null(first);
    assert_null(strstr(first + 1, "Nothing is lost"));
    assert_int_equal(run(k, &command_sync, "--tries", "1", "--lang", "zh", NULL), exit_of(ERR_NET));
    TELLS(&k->screen, "连不上中心");
    TELLS(&k->screen, err_action(ERR_NET)->todo_zh);
    SHOWS(&k->screen, "上行");
}

static void enrolling_with_a_mistyped_code_is_found_without_a_network(void **state)
{
    struct desk *k = *state;
    assert_int_equal(run(k, &command_enrol, "AAAA-AAAA-AAAA-A", "--centre", "http://127.0.0.1:1", NULL),
                     exit_of(ERR_USAGE));
    TELLS(&k->screen, "typing mistake");
    assert_int_equal(run(k, &command_enrol, "0000-0000-0000-0", NULL), exit_of(ERR_USAGE));
    TELLS(&k->screen, "--centre");
}

/* ---- check, fill ---- */

static void check_prints_findings_for_people_and_programs(void **state)
{
    struct desk *k = *state;
    const char *good = file_with(k, "good.xml", visit_form);
    const char *bad = file_with(k, "bad.xml",
                                FORM_HEAD
                                "<model><instance><data id='b'><a/></data></instance>"
                                "<bind nodeset='/data/a' calculate='frob\"nicate(1)'/></model></h:head>"
                                "<h:body><input ref='/data/b'><label>b</label></input></h:body></h:html>");
    assert_int_equal(run(k, &command_check, good, "--json", NULL), 0);
    const struct json *j = printed(k);
    assert_true(json_bool(j, "ok") && str_eq_z(json_text(j, "id"), "visit"));
    assert_int_equal(number_in(j, "questions"), 5);
    assert_int_equal(run(k, &command_check, bad, "--json", NULL), exit_of(ERR_SYNTAX));
    j = printed(k);
    assert_false(json_bool(j, "ok"));
    assert_true(number_in(j, "errors") >= 1);
    assert_int_equal(run(k, &command_check, bad, NULL), exit_of(ERR_SYNTAX));
    SHOWS(&k->screen, "error: ");
}

static void fill_from_a_script(void **state)
{
    struct desk *k = *state;
    const char *form = file_with(k, "visit.xml", visit_form);
    const char *good = file_with(k, "good.tsv", "/data/name\tLi \"Er\"\n/data/wage\t12\n@judgement\tfine\n");
    const char *bad = file_with(k, "bad.tsv", "/data/name\tLi\n/data/wage\ttwelve\n");
    assert_int_equal(run(k, &command_fill, form, "--answers", good, "--json", NULL), 0);
    const struct json *j = printed(k);
    assert_true(json_bool(j, "finalised") && str_starts(json_text(j, "instance_id"), STR("uuid:")));
    assert_int_equal(number_in(j, "answers"), 2);
    assert_int_equal(run(k, &command_fill, form, "--answers", bad, "--json", NULL), exit_of(ERR_SYNTAX));
    j = printed(k);
    assert_false(json_bool(j, "finalised"));
    assert_true(str_eq_z(json_text(j, "result"), "syntax"));
    TELLS(&k->screen, "line 2");
    assert_int_equal(run(k, &command_fill, form, "--answers", good, "--lang", "zh", NULL), 0);
    SHOWS(&k->screen, "已完成");
    assert_int_equal(run(k, &command_fill, form, "--answers", "/nowhere.tsv", NULL), exit_of(ERR_NOT_FOUND));
    TELLS(&k->screen, "/nowhere.tsv");
    assert_int_equal(run(k, &command_fill, form, "--answers", good, "--tz", "Mars/Olympus", NULL),
                     exit_of(ERR_NOT_FOUND));
    assert_int_equal(run(k, &command_fill, form, "--household", "H9", "--answers", good, NULL),
                     exit_of(ERR_NOT_FOUND));
    TELLS(&k->screen, "H9");
}

static void what_does_not_go_together_is_said_before_anything_is_done(void **state)
{
    struct desk *k = *state;
    const char *form = file_with(k, "visit.xml", visit_form);
    assert_int_equal(run(k, &command_fill, form, "--dry-run", NULL), exit_of(ERR_USAGE));
    TELLS(&k->screen, "--migrate");
    assert_int_equal(run(k, &command_fill, form, "--edit", "H1", "--household", "H1", NULL),
                     exit_of(ERR_USAGE));
    assert_int_equal(run(k, &command_fill, form, "--reason", "why", NULL), exit_of(ERR_USAGE));
    assert_int_equal(run(k, &command_fill, form, "--json", NULL), exit_of(ERR_USAGE));
    assert_int_equal(run(k, &command_fill, form, "--migrate", "--dry-run", NULL), exit_of(ERR_NOT_FOUND));
    TELLS(&k->screen, "no draft");
    assert_int_equal(run(k, &command_export, NULL), exit_of(ERR_USAGE));
    assert_int_equal(run(k, &command_export, "--sms", "--odk", "/nowhere", NULL), exit_of(ERR_USAGE));
    assert_int_equal(run(k, &command_export, "--sms", "--lang", "zh", NULL), 0);
    TELLS(&k->screen, "没有可导出的走访");
}

static void a_finished_visit_is_exported_as_it_was(void **state)
{
    struct desk *k = *state;
    const char *form = file_with(k, "visit.xml", visit_form);
    const char *answers = file_with(k, "a.tsv", "/data/name\tLi\n");
    char out[96], path[300];
    struct buf xml;
    snprintf(out, sizeof out, "%s/out", k->root);
    assert_int_equal(run(k, &command_fill, form, "--answers", answers, "--draft", NULL), 0);
    assert_int_equal(run(k, &command_export, "--odk", out, "--json", NULL), 0);
    assert_int_equal(json_get(printed(k), "visits")->count, 0); /* drafts are nobody's */
    assert_int_equal(run(k, &command_fill, form, "--answers", answers, "--json", NULL), 0);
    struct str id = arena_str(&k->t.a, json_text(printed(k), "instance_id"));
    assert_int_equal(run(k, &command_export, "--odk", out, "--json", NULL), 0);
    const struct json *visit = json_at(json_get(printed(k), "visits"), 0);
    assert_true(str_eq(json_text(visit, "instance_id"), id) && !json_bool(visit, "encrypted"));
    struct str folder = json_text(visit, "folder");
    snprintf(path, sizeof path, "%.*s/submission.xml", STR_ARG(folder));
    buf_init(&xml, 1u << 20);
    assert_int_equal(k->seam.file_read(k->seam.self, path, &xml, &k->t.d), ERR_OK);
    assert_true(str_find(buf_str(&xml), STR("<name>Li</name>")) > 0);
    buf_free(&xml);
    remove_tree(k, arena_z(&k->t.a, folder));
    rmdir(out);
    assert_int_equal(run(k, &command_export, "--odk", out, "--form", "other", "--json", NULL), 0);
    assert_int_equal(json_get(printed(k), "visits")->count, 0);
    assert_int_equal(run(k, &command_export, "--sms", NULL), 0);
    TELLS(&k->screen, "no message");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_command_explains_itself),
        CASE(status_of_a_new_device),
        CASE(status_shows_the_caseload_and_nothing_that_moves_the_cursor),
        CASE(without_the_key_status_says_so),
        CASE(sync_says_what_happened_once_and_what_to_do_once),
        CASE(enrolling_with_a_mistyped_code_is_found_without_a_network),
        CASE(check_prints_findings_for_people_and_programs),
        CASE(fill_from_a_script),
        CASE(what_does_not_go_together_is_said_before_anything_is_done),
        CASE(a_finished_visit_is_exported_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
