/* Files written and read piece by piece: whole or not at all under their names. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/posix/posix_stream.h"

static char folder[64];
static struct diag diag;

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/doorstep-stream-XXXXXX");
    diag_clear(&diag);
    return mkdtemp(folder) ? 0 : -1;
}

static const char *path(const char *name)
{
    static char text[2][200];
    static int turn;
    turn = !turn;
    snprintf(text[turn], sizeof text[turn], "%s/%s", folder, name);
    return text[turn];
}

static int teardown(void **state)
{
    (void)state;
    static const char *const names[] = {"a.dsb", "a.dsb.part",    "b.dsb", "c.dsb.part",
                                        "d.txt", "link.dsb.part", "target"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)unlink(path(names[i]));
    return rmdir(folder);
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(path(name), "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void assert_holds(const char *name, const char *text)
{
    struct stream_in *in = NULL;
    char bytes[100] = {0};
    size_t n = 0, got = 1;
    assert_int_equal(stream_in_open(path(name), &in, &diag), ERR_OK);
    while (got > 0 && n < sizeof bytes - 1) {
        assert_int_equal(stream_in_read(in, bytes + n, 3, &got, &diag), ERR_OK);
        n += got;
    }
    assert_int_equal(stream_in_size(in), n);
    assert_string_equal(bytes, text);
    stream_in_close(in);
}

static void a_file_appears_whole(void **state)
{
    (void)state;
    struct stream_out *out = NULL;
    write_file("a.dsb", "old");
    assert_int_equal(stream_out_open(path("a.dsb"), &out, &diag), ERR_OK);
    assert_int_equal(stream_out_write(out, STR("new "), &diag), ERR_OK);
    assert_holds("a.dsb", "old");
    assert_holds("a.dsb.part", "new "); /* what a card that is pulled out keeps */
    assert_int_equal(stream_out_write(out, STR("bytes"), &diag), ERR_OK);
    assert_int_equal(stream_out_commit(out, &diag), ERR_OK);
    assert_holds("a.dsb", "new bytes");
    assert_int_not_equal(access(path("a.dsb.part"), F_OK), 0);
}

static void a_file_that_is_given_up_leaves_the_old_one(void **state)
{
    (void)state;
    struct stream_out *out = NULL;
    write_file("a.dsb", "old");
    assert_int_equal(stream_out_open(path("a.dsb"), &out, &diag), ERR_OK);
    assert_int_equal(stream_out_write(out, STR("half"), &diag), ERR_OK);
    stream_out_drop(out);
    assert_holds("a.dsb", "old");
    assert_int_not_equal(access(path("a.dsb.part"), F_OK), 0);
}

static void a_link_is_not_written_through(void **state)
{
    (void)state;
    struct stream_out *out = NULL;
    write_file("target", "mine");
    assert_int_equal(symlink(path("target"), path("link.dsb.part")), 0);
    assert_int_equal(stream_out_open(path("link.dsb"), &out, &diag), ERR_DENIED);
    diag_clear(&diag);
    assert_holds("target", "mine");
}

static void what_cannot_be_read_is_told(void **state)
{
    (void)state;
    struct stream_in *in = NULL;
    assert_int_equal(stream_in_open("/dev/full", &in, &diag), ERR_USAGE); /* no ordinary file */
    diag_clear(&diag);
    assert_int_equal(stream_in_open(path("nothing"), &in, &diag), ERR_NOT_FOUND);
    assert_true(diag.text[0] != 0);
    diag_clear(&diag);
}

static void a_folder_gives_its_bundles_and_a_file_itself(void **state)
{
    (void)state;
    struct arena a;
    struct str *paths = NULL;
    uint32_t count = 0;
    arena_init(&a, 1u << 20);
    write_file("b.dsb", "");
    write_file("a.dsb", "");
    write_file("c.dsb.part", "");
    write_file("d.txt", "");
    assert_int_equal(stream_list(&a, folder, ".dsb", 10, &paths, &count, &diag), ERR_OK);
    assert_int_equal(count, 3);
    assert_string_equal(paths[0].p, path("a.dsb"));
    assert_string_equal(paths[2].p, path("c.dsb.part"));
    assert_int_equal(stream_list(&a, folder, ".dsb", 2, &paths, &count, &diag), ERR_OK);
    assert_int_equal(count, 2);
    assert_int_equal(stream_list(&a, path("d.txt"), ".dsb", 2, &paths, &count, &diag), ERR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(stream_list(&a, path("nowhere"), ".dsb", 2, &paths, &count, &diag), ERR_NOT_FOUND);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_appears_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_is_given_up_leaves_the_old_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_link_is_not_written_through, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_gives_its_bundles_and_a_file_itself, setup, teardown),
    };
    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
