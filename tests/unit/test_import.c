/* Registers of other offices: columns called otherwise, rows with mistakes, the same file again, and files
 * that are longer than one wants to hold. */
#include "server/table_in.h"
#include "server/work.h"
#include "tests/support/centre.h"

struct errors {
    struct import_error at[20];
    uint32_t count;
    struct arena *a;
};

static void note(void *self, const struct import_error *e)
{
    struct errors *x = self;
    if (x->count == 20)
        return;
    x->at[x->count] = *e;
    x->at[x->count].content = arena_str(x->a, e->content);
    x->at[x->count].name = arena_str(x->a, e->name);
    x->at[x->count++].remedy = arena_str(x->a, e->remedy);
}

static const char mapping[] = "# register of the registry office\n"
                              "code = No.\n"
                              "name = Head of household\n"
                              "area := 990101001\n";

static uint32_t households_here(struct world *w, struct desk *k)
{
    struct work_ask q = {.st = k->st, .a = &w->a, .area = STR("")};
    struct work_household *list;
    uint32_t count = 0;
    OK(work_search(&q, STR(""), STR(""), 0, &list, &count, &w->d));
    return count;
}

static void test_columns_are_called_as_the_office_calls_them(void **state)
{
    struct world *w = *state;
    struct import_result r = {0};
    struct str kept;
    struct buf lines;
    buf_init(&lines, 1u << 20);
    struct desk k = desk_begin(w, &lines);
    OK(mapping_put(&k, STR("registry"), str_of(mapping), &w->d));
    OK(mapping_get(&k, STR("registry"), &kept, &w->d));
    assert_int_equal(mapping_get(&k, STR("other"), &kept, NULL), ERR_NOT_FOUND);
    assert_int_equal(mapping_put(&k, STR("x"), STR("no equals sign"), NULL), ERR_SYNTAX);
    struct import_ask ask = {.from = {.text = STR(
                                          "\xEF\xBB\xBFNo.,Remark,Head of household\nH1,x,Zhang\nH2,,Li\n")},
                             .mapping = kept};
    OK(import_table(&k, IMPORT_HOUSEHOLDS, &ask, &r, &w->d));
    assert_int_equal(r.added, 2);
    OK(import_table(&k, IMPORT_HOUSEHOLDS, &ask, &r, &w->d));
    assert_true(r.added == 0 && r.changed == 0 && r.same == 2); /* the same file again */
    ask.from.text = STR("Number,Head of household\nH3,Wang\n");
    assert_int_equal(import_table(&k, IMPORT_HOUSEHOLDS, &ask, &r, NULL), ERR_SYNTAX);
    const struct import_ask insurer = {
        .from = {.text = STR("hh,self paid\nH1,6200\n")},
        .mapping = STR("household = hh\nmed_self = self paid\nsource := insurer\nas_of := 2026-11-05\n")};
    OK(import_table(&k, IMPORT_DEPARTMENTS, &insurer, &r, &w->d));
    assert_int_equal(r.added, 1);
    assert_int_equal(households_here(w, &k), 2);
    desk_end(&k);
    buf_free(&lines);
}

static void test_rows_with_mistakes_are_told_and_left_out_when_asked(void **state)
{
    struct world *w = *state;
    struct import_result r = {0};
    struct arena told; /* the rows' own arena is wound back after each */
    struct errors errors = {.a = &told};
    arena_init(&told, 1u << 20);
    struct buf lines;
    buf_init(&lines, 1u << 20);
    struct desk k = desk_begin(w, &lines);
    struct import_ask ask = {
        .from = {.text = STR(
                     "code,area,name,position\nH1,990101,Zhang,\nH 2,990101,Li,\nH3,990101,Wu,far away\n"
                     "H1,990101,Zhang,\nH5,990101,Hu,\n")},
        .mapping = STR(""),
        .self = &errors,
        .error = note};
    assert_int_equal(import_table(&k, IMPORT_HOUSEHOLDS, &ask, &r, NULL), ERR_SYNTAX);
    assert_int_equal(households_here(w, &k), 0); /* nothing is written unless told */
    assert_int_equal(errors.count, 3);
    assert_int_equal(errors.at[1].line, 4);
    assert_int_equal(errors.at[1].column, 4);
    assert_true(str_eq_z(errors.at[1].name, "position") && str_eq_z(errors.at[1].content, "far away"));
    assert_true(str_find(errors.at[1].remedy, STR("latitude")) >= 0);
    assert_int_equal(r.bad, 3);
    ask.only_good = true;
    ask.dry_run = true;
    OK(import_table(&k, IMPORT_HOUSEHOLDS, &ask, &r, &w->d));
    assert_true(r.added == 2 && r.bad == 3);
    assert_int_equal(households_here(w, &k), 0);
    ask.dry_run = false;
    OK(import_table(&k, IMPORT_HOUSEHOLDS, &ask, &r, &w->d));
    assert_int_equal(households_here(w, &k), 2);
    ask.from.text = STR("code,name\nH9,x\n");
    assert_int_equal(import_table(&k, IMPORT_HOUSEHOLDS, &ask, &r, NULL),
                     ERR_SYNTAX); /* no row can be good */
    arena_free(&told);
    desk_end(&k);
    buf_free(&lines);
}

/* A file that is never held whole: made as it is read, in pieces of awkward sizes. */
struct long_file {
    uint32_t row, rows;
    char line[64];
    size_t at, size;
    uint32_t piece;
};

static enum err long_read(void *self, char *out, size_t n, size_t *got_out, struct diag *d)
{
    struct long_file *f = self;
    size_t got = 0, wanted = 1 + f->piece++ * 7919 % 1000;
    (void)d;
    while (got < n && got < wanted && f->row <= f->rows) {
        if (f->at == f->size) {
            f->size = (size_t)(f->row ? snprintf(f->line, sizeof f->line, "H%06u,990101,\"Li,\n%u\"\r\n",
                                                 f->row, f->row)
                                      : snprintf(f->line, sizeof f->line, "code,area,name\r\n"));
            f->at = 0;
        }
        out[got++] = f->line[f->at++];
        f->row += f->at == f->size;
    }
    *got_out = got;
    return ERR_OK;
}

static void test_a_long_file_comes_in_pieces(void **state)
{
    struct world *w = *state;
    struct import_result r = {0};
    struct long_file f = {.rows = 3000};
    struct desk k = desk_begin(w, NULL);
    const struct import_ask ask = {.from = {.self = &f, .read = long_read}, .mapping = STR("")};
    size_t before = w->a.used;
    OK(import_table(&k, IMPORT_HOUSEHOLDS, &ask, &r, &w->d));
    assert_int_equal(r.added, 3000);
    assert_true(w->a.used - before < 4096); /* a row leaves nothing behind */
    desk_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, world_open, world_close)
        TEST(test_columns_are_called_as_the_office_calls_them),
        TEST(test_rows_with_mistakes_are_told_and_left_out_when_asked),
        TEST(test_a_long_file_comes_in_pieces),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
