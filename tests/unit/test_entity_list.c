/* An entity list as a handheld knows it: the centre's list, and what visits said since.
 */
#include "tests/support/unit.h"

#include <stdlib.h>

#include "agent/entity_list.h"

#define BASE                                               \
    "name,label,__version,colour\n"                        \
    "11111111-1111-4111-8111-111111111111,One,3,\"a,b\"\n" \
    "22222222-2222-4222-8222-222222222222,Two,1,blue\n"
#define ONE STR("11111111-1111-4111-8111-111111111111")
#define NEW STR("99999999-9999-4999-8999-999999999999")

struct desk {
    struct arena a;
    struct diag d;
    struct buf out;
};

static int setup(void **state)
{
    struct desk *t = calloc(1, sizeof *t);
    arena_init(&t->a, 64u << 20);
    buf_init(&t->out, 1u << 20);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct desk *t = *state;
    buf_free(&t->out);
    arena_free(&t->a);
    free(t);
    return 0;
}

static struct entity_change said(const char *action, struct str id, const char *label, const char *values,
                                 const char *base)
{
    return (struct entity_change){.id = id,
                                  .action = str_of(action),
                                  .label = str_of(label),
                                  .values = str_of(values),
                                  .base_version = str_of(base),
                                  .branch_id = STR("")};
}

static const char *list_of(struct desk *t, const char *base, const struct entity_change *changes,
                           uint32_t count, uint64_t device)
{
    buf_clear(&t->out);
    enum err rc = entity_list_write(&t->a, base ? str_of(base) : STR_NONE, changes, count, device, &t->out,
                                    &t->d);
    if (rc)
        fail_msg("%s", t->d.text);
    return arena_z(&t->a, buf_str(&t->out));
}

/* The cell of the entity `id` in a column. */
static struct str cell_of(struct desk *t, const char *list, struct str id, const char *column)
{
    struct str rest = str_of(list), head, line, cell;
    uint32_t at = 0, wanted = UINT32_MAX;
    assert_true(str_split(&rest, '\n', &head));
    while (str_split(&head, ',', &cell)) {
        if (str_eq_z(cell, column))
            wanted = at;
        at++;
    }
    if (wanted == UINT32_MAX)
        fail_msg("no column %s in %s", column, list);
    while (str_split(&rest, '\n', &line)) {
        if (!str_starts(line, id))
            continue;
        for (at = 0; str_split(&line, ',', &cell); at++)
            if (at == wanted)
                return arena_str(&t->a, cell);
    }
    fail_msg("no entity %.*s in %s", STR_ARG(id), list);
    return STR_NONE;
}

#define IS(got, wanted) assert_true(str_eq_z((got), (wanted)))

static void what_the_centre_published_stays_as_it_is_and_gets_a_branch(void **state)
{
    struct desk *t = *state;
    const char *list = list_of(t, BASE, NULL, 0, 7);
    IS(cell_of(t, list, ONE, "__version"), "3");
    IS(cell_of(t, list, ONE, "__trunkVersion"), "3");
    assert_int_equal(cell_of(t, list, ONE, "__branchId").n, 36);
    assert_non_null(strstr(list, "\"a,b\""));
    /* The branch stays the same, is this device's own, and ends with the version that it began with. */
    assert_string_equal(list, list_of(t, BASE, NULL, 0, 7));
    assert_string_not_equal(list, list_of(t, BASE, NULL, 0, 8));
    struct str branch = cell_of(t, list, ONE, "__branchId");
    const char *next = list_of(t, "name,label,__version\n11111111-1111-4111-8111-111111111111,One,4\n", NULL,
                               0, 7);
    assert_false(str_eq(branch, cell_of(t, next, ONE, "__branchId")));
}

static void a_new_entity_needs_no_list_at_the_centre(void **state)
{
    struct desk *t = *state;
    const struct entity_change made[] = {
        said("create", NEW, "Nine", "{\"colour\":\"red\",\"size\":\"9\"}", "")};
    const char *list = list_of(t, NULL, made, 1, 7);
    IS(cell_of(t, list, NEW, "label"), "Nine");
    IS(cell_of(t, list, NEW, "__version"), "1");
    IS(cell_of(t, list, NEW, "__trunkVersion"), "");
    IS(cell_of(t, list, NEW, "size"), "9");
}

static void changes_count_on_and_leave_the_rest(void **state)
{
    struct desk *t = *state;
    struct entity_change changes[] = {said("create", NEW, "Nine", "{\"colour\":\"red\",\"size\":\"9\"}", ""),
                                      said("update", NEW, "", "{\"colour\":\"green\"}", "1"),
                                      said("update", ONE, "Uno", "{\"colour\":\"\"}", "3")};
    changes[2].branch_id = STR("b-of-another-device");
    const char *list = list_of(t, BASE, changes, 3, 7);
    IS(cell_of(t, list, NEW, "label"), "Nine");
    IS(cell_of(t, list, NEW, "colour"), "green");
    IS(cell_of(t, list, NEW, "size"), "9");
    IS(cell_of(t, list, NEW, "__version"), "2");
    IS(cell_of(t, list, ONE, "label"), "Uno");
    IS(cell_of(t, list, ONE, "colour"), "");
    IS(cell_of(t, list, ONE, "__version"), "4");
    IS(cell_of(t, list, ONE, "__trunkVersion"), "3");
    IS(cell_of(t, list, ONE, "__branchId"), "b-of-another-device");
}

static void what_the_centre_knows_already_is_not_done_twice(void **state)
{
    struct desk *t = *state;
    const struct entity_change changes[] = {said("update", ONE, "Old word", "", "2"),
                                            said("create", ONE, "Made here once", "", "")};
    const char *list = list_of(t, BASE, changes, 2, 7);
    IS(cell_of(t, list, ONE, "label"), "One");
    IS(cell_of(t, list, ONE, "__version"), "3");
}

static void nothing_is_made_of_an_entity_that_is_not_here(void **state)
{
    struct desk *t = *state;
    const struct entity_change changes[] = {said("update", NEW, "Nine", "", "1")};
    assert_null(strstr(list_of(t, BASE, changes, 1, 7), "9999"));
    const struct entity_change either[] = {said("upsert", NEW, "Nine", "", "")};
    IS(cell_of(t, list_of(t, BASE, either, 1, 7), NEW, "label"), "Nine");
}

static void a_list_without_versions_is_changed_all_the_same(void **state)
{
    struct desk *t = *state;
    const struct entity_change changes[] = {said("update", ONE, "Uno", "", ""),
                                            said("update", ONE, "Eins", "", "2")};
    const char *list = list_of(t, "name,label\n11111111-1111-4111-8111-111111111111,One\n", changes, 2, 7);
    IS(cell_of(t, list, ONE, "label"), "Eins");
    IS(cell_of(t, list, ONE, "__version"), "3");
}

static void words_that_cannot_be_read_hide_nothing(void **state)
{
    struct desk *t = *state;
    const struct entity_change changes[] = {said("update", ONE, "Uno", "{not json", "3"),
                                            said("update", ONE, "", "{\"colour\":[1],\"__version\":\"77\"}",
                                                 "4")};
    const char *list = list_of(t, BASE, changes, 2, 7);
    IS(cell_of(t, list, ONE, "label"), "Uno");
    IS(cell_of(t, list, ONE, "__version"), "5");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_the_centre_published_stays_as_it_is_and_gets_a_branch),
        CASE(a_new_entity_needs_no_list_at_the_centre),
        CASE(changes_count_on_and_leave_the_rest),
        CASE(what_the_centre_knows_already_is_not_done_twice),
        CASE(nothing_is_made_of_an_entity_that_is_not_here),
        CASE(a_list_without_versions_is_changed_all_the_same),
        CASE(words_that_cannot_be_read_hide_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
