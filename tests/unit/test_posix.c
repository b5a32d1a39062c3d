/* The real world's files, folders, randomness and zones. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/base/civil.h"
#include "platform/base/json.h"
#include "platform/posix/posix_seam.h"

struct world {
    struct seam seam;
    struct arena arena;
    struct buf bytes;
    struct diag diag;
    char folder[40];
};

static int setup(void **state)
{
    static struct world w;
    memset(&w, 0, sizeof w);
    strcpy(w.folder, "/tmp/doorstep-test-XXXXXX");
    if (!mkdtemp(w.folder) || chdir(w.folder) != 0)
        return -1;
    arena_init(&w.arena, 1 << 24);
    buf_init(&w.bytes, 1 << 20);
    *state = &w;
    return posix_seam_open(NULL, &w.seam, NULL) ? -1 : 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    char command[80];
    posix_seam_close(&w->seam);
    arena_free(&w->arena);
    buf_free(&w->bytes);
    snprintf(command, sizeof command, "rm -rf %s", w->folder);
    return chdir("/") || system(command);
}

static void assert_content(struct world *w, const char *path, const char *expected)
{
    buf_clear(&w->bytes);
    diag_clear(&w->diag);
    if (w->seam.file_read(w->seam.self, path, &w->bytes, &w->diag))
        fail_msg("%s", w->diag.text);
    assert_true(str_eq_z(buf_str(&w->bytes), expected));
}

static enum err put(struct world *w, const char *path, const char *text, bool secret)
{
    diag_clear(&w->diag);
    return w->seam.file_write(w->seam.self, path, str_of(text), secret, &w->diag);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static void a_file_is_replaced_whole(void **state)
{
    struct world *w = *state;
    assert_int_equal(put(w, "settings.json", "first", false), ERR_OK);
    assert_content(w, "settings.json", "first");
    assert_int_equal(put(w, "settings.json", "second, longer", false), ERR_OK);
    assert_content(w, "settings.json", "second, longer");
    assert_int_equal(put(w, "settings.json", "", false), ERR_OK);
    assert_content(w, "settings.json", "");
    assert_int_equal(w->seam.file_remove(w->seam.self, "settings.json"), ERR_OK);
    assert_int_equal(w->seam.file_remove(w->seam.self, "settings.json"), ERR_NOT_FOUND);
    assert_int_equal(w->seam.file_read(w->seam.self, "settings.json", &w->bytes, &w->diag), ERR_NOT_FOUND);
    assert_non_null(strstr(w->diag.text, "settings.json"));
}

static void secrets_are_for_their_owner_only(void **state)
{
    struct world *w = *state;
    umask(0);
    assert_int_equal(put(w, "key", "k", true), ERR_OK);
    assert_int_equal(mode_of("key"), 0600);
    assert_int_equal(put(w, "list", "l", false), ERR_OK);
    assert_int_equal(mode_of("list"), 0644);
    assert_int_equal(put(w, "list", "now secret", true), ERR_OK);
    assert_int_equal(mode_of("list"), 0600);
    assert_int_equal(w->seam.dir_make(w->seam.self, "data/of/county", &w->diag), ERR_OK);
    assert_int_equal(mode_of("data"), 0700);
    assert_int_equal(mode_of("data/of/county"), 0700);
}

static void a_link_is_replaced_not_followed(void **state)
{
    struct world *w = *state;
    assert_int_equal(put(w, "victim", "precious", false), ERR_OK);
    assert_int_equal(symlink("victim", "trap"), 0);
    assert_int_equal(put(w, "trap", "harmless", false), ERR_OK);
    assert_content(w, "victim", "precious");
    assert_content(w, "trap", "harmless");
}

static void special_files_are_not_read(void **state)
{
    struct world *w = *state;
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(w->seam.file_read(w->seam.self, "pipe", &w->bytes, &w->diag), ERR_USAGE);
    diag_clear(&w->diag);
    assert_int_equal(w->seam.file_read(w->seam.self, "/dev/zero", &w->bytes, &w->diag), ERR_USAGE);
    assert_int_equal(w->seam.file_read(w->seam.self, ".", &w->bytes, NULL), ERR_USAGE);
}

static void a_file_larger_than_the_cap_is_refused(void **state)
{
    struct world *w = *state;
    struct buf small;
    buf_init(&small, 4);
    assert_int_equal(put(w, "five", "12345", false), ERR_OK);
    assert_int_equal(w->seam.file_read(w->seam.self, "five", &small, &w->diag), ERR_LIMIT);
    assert_non_null(strstr(w->diag.text, "five"));
    assert_int_equal(put(w, "four", "1234", false), ERR_OK);
    assert_int_equal(w->seam.file_read(w->seam.self, "four", &small, NULL), ERR_OK);
    buf_free(&small);
    /* /proc files say they have no size. */
    buf_init(&small, 4);
    assert_int_equal(w->seam.file_read(w->seam.self, "/proc/self/status", &small, NULL), ERR_LIMIT);
    buf_free(&small);
}

static void a_failed_write_leaves_the_old_file_and_no_litter(void **state)
{
    struct world *w = *state;
    struct arena_mark mark = arena_mark(&w->arena);
    struct str *names;
    uint32_t count;
    assert_int_equal(put(w, "nowhere/file", "x", false), ERR_NOT_FOUND);
    assert_non_null(strstr(w->diag.text, "nowhere/file"));
    assert_int_equal(put(w, "", "x", false), ERR_USAGE);
    assert_int_equal(put(w, "..", "x", false), ERR_USAGE);
    assert_int_equal(w->seam.dir_make(w->seam.self, "busy", NULL), ERR_OK);
    assert_int_equal(put(w, "busy", "x", false), ERR_USAGE); /* a folder has that name */
    assert_int_equal(w->seam.dir_list(w->seam.self, ".", &w->arena, &names, &count), ERR_OK);
    for (uint32_t i = 0; i < count; i++)
        assert_false(str_starts(names[i], STR(SEAM_TEMPORARY)));
    char command[100];
    snprintf(command, sizeof command, "test -z \"$(find . -name '%s*')\"", SEAM_TEMPORARY);
    assert_int_equal(system(command), 0);
    arena_release(&w->arena, mark);
}

/* The writer is killed at random moments; a reader must only ever see whole files. */
static void a_killed_writer_leaves_a_whole_file(void **state)
{
    struct world *w = *state;
    static char big[2][200000];
    memset(big[0], 'a', sizeof big[0] - 1);
    memset(big[1], 'b', sizeof big[1] - 1);
    assert_int_equal(put(w, "state", big[0], false), ERR_OK);
    for (int round = 0; round < 20; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            for (int i = 0;; i++)
                (void)posix_file_write(NULL, "state", str_of(big[i % 2]), false, NULL);
        }
        usleep((useconds_t)(1000 + round * 700));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        buf_clear(&w->bytes);
        assert_int_equal(w->seam.file_read(w->seam.self, "state", &w->bytes, NULL), ERR_OK);
        assert_int_equal(w->bytes.n, sizeof big[0] - 1);
        assert_memory_equal(w->bytes.p, w->bytes.p[0] == 'a' ? big[0] : big[1], w->bytes.n);
    }
    struct str *names;
    uint32_t count;
    assert_int_equal(w->seam.dir_list(w->seam.self, ".", &w->arena, &names, &count), ERR_OK);
    assert_int_equal(system("rm -f .doorstep-tmp-*"), 0);
}

static void folders_are_listed_in_order(void **state)
{
    struct world *w = *state;
    struct str *names = NULL;
    uint32_t count = 0;
    assert_int_equal(w->seam.dir_make(w->seam.self, "sorted//deep/", NULL), ERR_OK);
    assert_int_equal(w->seam.dir_make(w->seam.self, "sorted", NULL), ERR_OK);
    assert_int_equal(put(w, "sorted/b", "", false), ERR_OK);
    assert_int_equal(put(w, "sorted/.a", "", false), ERR_OK);
    assert_int_equal(put(w, "sorted/村", "", false), ERR_OK);
    assert_int_equal(put(w, "sorted/B", "", false), ERR_OK);
    assert_int_equal(put(w, "sorted/" SEAM_TEMPORARY "x", "", false), ERR_OK);
    assert_int_equal(w->seam.dir_list(w->seam.self, "sorted", &w->arena, &names, &count), ERR_OK);
    const char *expected[] = {".a", "B", "b", "deep", "村"};
    assert_int_equal(count, 5);
    for (uint32_t i = 0; i < 5; i++)
        assert_string_equal(names[i].p, expected[i]);
    assert_int_equal(w->seam.dir_list(w->seam.self, "absent", &w->arena, &names, &count), ERR_NOT_FOUND);
    assert_int_equal(w->seam.dir_make(w->seam.self, "sorted/b/c", &w->diag), ERR_EXISTS);
    struct arena tiny;
    arena_init(&tiny, 100);
    assert_int_equal(w->seam.dir_list(w->seam.self, "sorted", &tiny, &names, &count), ERR_NOMEM);
    arena_free(&tiny);
}

static void random_bytes_differ(void **state)
{
    struct world *w = *state;
    unsigned char a[300] = {0}, b[300] = {0};
    assert_int_equal(w->seam.random(w->seam.self, a, sizeof a), ERR_OK);
    assert_int_equal(w->seam.random(w->seam.self, b, sizeof b), ERR_OK);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + 270, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 30);
}

static void clocks_run(void **state)
{
    struct world *w = *state;
    int64_t before = w->seam.mono_ms(w->seam.self);
    w->seam.sleep_ms(w->seam.self, 20);
    w->seam.sleep_ms(w->seam.self, -5);
    assert_in_range(w->seam.mono_ms(w->seam.self) - before, 19, 5000);
    assert_true(w->seam.wall_ms(w->seam.self) > 1700000000000);
}

static void a_log_that_was_moved_away_begins_anew(void **state)
{
    struct world *w = *state;
    struct seam seam;
    assert_int_equal(posix_seam_open(&(struct posix_options){.log_file = "turning"}, &seam, NULL), ERR_OK);
    seam.log(seam.self, LOG_START, 1, 0, ERR_OK);
    assert_int_equal(rename("turning", "turning.1"), 0);
    seam.log(seam.self, LOG_START, 2, 0, ERR_OK);
    assert_int_equal(posix_log_reopen(&seam, NULL), ERR_OK);
    seam.log(seam.self, LOG_START, 3, 0, ERR_OK);
    buf_clear(&w->bytes);
    assert_int_equal(w->seam.file_read(w->seam.self, "turning.1", &w->bytes, NULL), ERR_OK);
    assert_non_null(strstr(w->bytes.p, "\"a\":2,"));
    assert_null(strstr(w->bytes.p, "\"a\":3,"));
    buf_clear(&w->bytes);
    assert_int_equal(w->seam.file_read(w->seam.self, "turning", &w->bytes, NULL), ERR_OK);
    assert_non_null(strstr(w->bytes.p, "\"a\":3,"));
    /* A new one cannot be made: the old one goes on. */
    assert_int_equal(unlink("turning"), 0);
    assert_int_equal(mkdir("turning", 0700), 0);
    assert_int_equal(posix_log_reopen(&seam, NULL), ERR_IO);
    seam.log(seam.self, LOG_START, 4, 0, ERR_OK);
    assert_int_equal(rmdir("turning"), 0);
    posix_seam_close(&seam);
}

static void the_log_is_one_line_of_json_per_event(void **state)
{
    struct world *w = *state;
    struct seam seam;
    assert_int_equal(posix_seam_open(&(struct posix_options){.log_file = "log"}, &seam, NULL), ERR_OK);
    seam.log(seam.self, LOG_FRAME_SENT, 12, -3, ERR_OK);
    seam.log(seam.self, LOG_SYNC_FAILED, 1, 0, ERR_NET);
    posix_seam_close(&seam);
    posix_seam_close(&seam);
    assert_int_equal(mode_of("log"), 0600);
    buf_clear(&w->bytes);
    assert_int_equal(w->seam.file_read(w->seam.self, "log", &w->bytes, NULL), ERR_OK);
    struct str rest = buf_str(&w->bytes), line;
    const struct json *j;
    int64_t v;
    assert_true(str_split(&rest, '\n', &line));
    assert_int_equal(json_read(&w->arena, line, &j, &w->diag), ERR_OK);
    assert_true(str_eq_z(json_text(j, "event"), "frame-sent"));
    assert_true(json_i64(j, "b", &v) && v == -3);
    assert_true(str_split(&rest, '\n', &line));
    assert_int_equal(json_read(&w->arena, line, &j, &w->diag), ERR_OK);
    assert_true(str_eq_z(json_text(j, "cause"), "net"));
    diag_clear(&w->diag);
    assert_int_equal(posix_seam_open(&(struct posix_options){.log_file = "absent/log"}, &seam, &w->diag),
                     ERR_IO);
    assert_non_null(strstr(w->diag.text, "absent/log"));
}

static void zones_are_found_by_name_only(void **state)
{
    struct world *w = *state;
    const struct zone *z = NULL;
    if (access("/usr/share/zoneinfo/Asia/Shanghai", R_OK) != 0)
        skip();
    assert_int_equal(posix_zone_load(&w->arena, "Asia/Shanghai", &z, NULL), ERR_OK);
    assert_int_equal(zone_offset_min(z, 1794016800000), 480);
    assert_int_equal(posix_zone_load(&w->arena, "UTC", &z, NULL), ERR_OK);
    diag_clear(&w->diag);
    assert_int_equal(posix_zone_load(&w->arena, "Asia/Atlantis", &z, &w->diag), ERR_NOT_FOUND);
    assert_non_null(strstr(w->diag.text, "Asia/Atlantis"));
    const char *wrong[] = {"", "../../../etc/passwd", "/etc/localtime", "Asia/Shang hai", "zone.tab"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_not_equal(posix_zone_load(&w->arena, wrong[i], &z, NULL), ERR_OK);
    assert_int_equal(posix_zone_load(&w->arena, "Asia", &z, NULL), ERR_NOT_FOUND);
    setenv("TZ", ":America/Phoenix", 1);
    assert_int_equal(posix_zone_load(&w->arena, NULL, &z, NULL), ERR_OK);
    assert_int_equal(zone_offset_min(z, 1794016800000), -420);
    unsetenv("TZ");
    assert_int_equal(posix_zone_load(&w->arena, NULL, &z, NULL), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_replaced_whole),
        cmocka_unit_test(secrets_are_for_their_owner_only),
        cmocka_unit_test(a_link_is_replaced_not_followed),
        cmocka_unit_test(special_files_are_not_read),
        cmocka_unit_test(a_file_larger_than_the_cap_is_refused),
        cmocka_unit_test(a_failed_write_leaves_the_old_file_and_no_litter),
        cmocka_unit_test(a_killed_writer_leaves_a_whole_file),
        cmocka_unit_test(folders_are_listed_in_order),
        cmocka_unit_test(random_bytes_differ),
        cmocka_unit_test(clocks_run),
        cmocka_unit_test(the_log_is_one_line_of_json_per_event),
        cmocka_unit_test(a_log_that_was_moved_away_begins_anew),
        cmocka_unit_test(zones_are_found_by_name_only),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
