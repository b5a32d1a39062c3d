/* Choice lists from CSV, as the county office saves them from a spreadsheet. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

#include "forms/expr_doc.h"
#include "forms/form.h"
#include "forms/list.h"

struct list {
    struct arena a;
    struct expr_doc doc;
    struct eval e;
    struct diag d;
};

static enum err list_open(struct list *l, struct str csv)
{
    memset(l, 0, sizeof(*l));
    arena_init(&l->a, (size_t)256 << 20);
    l->doc.a = &l->a;
    enum err rc = list_from_csv(&l->a, csv, 0, &l->doc.tree, &l->d);
    l->e = (struct eval){.scratch = &l->a, .fuel = EXPR_FUEL_DEFAULT, .diag = &l->d};
    expr_doc_eval(&l->doc, &l->e);
    return rc;
}

static void check(struct list *l, const char *expression, const char *want)
{
    struct value v;
    assert_int_equal(expr_doc_run(&l->doc, EXPR_ODK, &l->e, str_of(expression), &v), ERR_OK);
    struct str got = value_text(&l->e, &v);
    if (!str_eq_z(got, want))
        fail_msg("%s gives \"%.*s\", not \"%s\"", expression, STR_ARG(got), want);
}

static void rows_become_items(void **state)
{
    (void)state;
    struct list l;
    assert_int_equal(list_open(&l, STR("name,label,county\nv1,East,c1\nv2,\"West, upper\",c1\nv3,,c2\n")),
                     ERR_OK);
    check(&l, "count(/root/item)", "3");
    check(&l, "/root/item[name = 'v2']/label", "West, upper");
    check(&l, "join(' ', /root/item[county = 'c1']/name)", "v1 v2");
    check(&l, "count(/root/item[label = ''])", "1");
    check(&l, "/root/item[3]/preceding-sibling::item[1]/name", "v2");
    check(&l, "name(/root/item[1]/*[last()])", "county");
    check(&l, "count(//text())", "8");
    check(&l, "string(/root/item[1])", "v1Eastc1");
    check(&l, "position(/root/item[county = 'c2'])", "3");
    check(&l, "count(/root/item/nowhere)", "0");
    arena_free(&l.a);
}

static void spreadsheets_write_csv_in_many_ways(void **state)
{
    (void)state;
    static const struct {
        const char *csv;
        const char *second; /* the label of the second row */
    } rows[] = {
        {"\xEF\xBB\xBFname;label\r\na;A\r\nb;B,C\r\n", "B,C"}, /* marks, semicolons, CR LF */
        {"name,label\na,A\n\n\nb,B", "B"},                     /* blank lines, no last line end */
        {"name,label\na,A\nb\n", ""},                          /* a short row */
        {"name,label\na,A\nb,B,more,cells\n", "B"},            /* a long one */
        {"name,label\na,A\nb,\"say \"\"hi\"\"\nthere\"\n",
         "say \"hi\"\nthere"}, /* quotes and a line end inside */
        {"\"name\",\" label \"\na,A\nb,B\n", "B"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct list l;
        struct str csv = str_of(rows[i].csv);
        assert_int_equal(list_open(&l, csv), ERR_OK);
        check(&l, "count(/root/item)", "2");
        check(&l, "/root/item[name = 'b']/label", rows[i].second);
        arena_free(&l.a);
    }
}

static void broken_lists_are_refused_and_empty_ones_are_empty(void **state)
{
    (void)state;
    struct list l;
    assert_int_equal(list_open(&l, STR("name,label\na,\"never closed\n")), ERR_SYNTAX);
    assert_int_equal(l.d.line, 2);
    arena_free(&l.a);
    static const char *const empty[] = {"", "name,label", "name,label\n", "\xEF\xBB\xBF", "\n\n"};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(list_open(&l, str_of(empty[i])), ERR_OK);
        check(&l, "count(/root/item)", "0");
        check(&l, "string(/)", "");
        arena_free(&l.a);
    }
}

static enum err geojson_open(struct list *l, const char *text)
{
    memset(l, 0, sizeof(*l));
    arena_init(&l->a, (size_t)64 << 20);
    l->doc.a = &l->a;
    enum err rc = list_from_geojson(&l->a, str_of(text), 0, &l->doc.tree, &l->d);
    l->e = (struct eval){.scratch = &l->a, .fuel = EXPR_FUEL_DEFAULT, .diag = &l->d};
    expr_doc_eval(&l->doc, &l->e);
    return rc;
}

static void a_map_s_features_are_a_list_too(void **state)
{
    (void)state;
    struct list l;
    assert_int_equal(
        geojson_open(&l,
                     "{\"type\":\"FeatureCollection\",\"features\":["
                     "{\"type\":\"Feature\",\"geometry\":{\"type\":\"Point\",\"coordinates\":[102,0.5]},"
                     "\"properties\":{\"id\":\"w1\",\"name\":\"Well, upper\",\"deep\":true}},"
                     "{\"type\":\"Feature\",\"id\":67,\"geometry\":{\"type\":\"LineString\","
                     "\"coordinates\":[[104,1.5],[1e2,-2]]},\"properties\":{\"name\":\"Road\",\"id\":\"x\"}},"
                     "{\"type\":\"Feature\",\"geometry\":null,\"properties\":null}]}"),
        ERR_OK);
    check(&l, "count(/root/item)", "3");
    check(&l, "/root/item[id = 'w1']/geometry", "0.5 102 0 0");
    check(&l, "/root/item[id = 'w1']/name", "Well, upper");
    check(&l, "/root/item[1]/deep", "true");
    check(&l, "/root/item[id = '67']/geometry", "1.5 104 0 0; -2 100 0 0"); /* the feature's own id counts */
    check(&l, "/root/item[2]/deep", "");
    check(&l, "name(/root/item[1]/*[1])", "geometry");
    arena_free(&l.a);

#define ONE_FEATURE(geometry) \
    ("{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"geometry\":" geometry "}]}")
    static const char *const wrong[] = {
        "{\"type\":\"Feature\"}",
        "[]",
        "{",
        ONE_FEATURE("{\"type\":\"Point\",\"coordinates\":[]}"),
        ONE_FEATURE("{\"type\":\"GeometryCollection\"}"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_int_equal(geojson_open(&l, wrong[i]), ERR_SYNTAX);
        assert_true(l.d.text[0] != 0);
        arena_free(&l.a);
    }
}

/* A look-up costs the same in a list of ten and of ten thousand: the fuel it takes shows that no row was
 * walked. */
static void equality_is_answered_by_an_index(void **state)
{
    (void)state;
    struct list l;
    struct buf csv;
    buf_init(&csv, 1 << 20);
    buf_put_z(&csv, "name,county\n");
    for (int i = 0; i < 10000; i++) {
        char line[40];
        snprintf(line, sizeof(line), "v%d,c%d\n", i, i % 100);
        buf_put_z(&csv, line);
    }
    assert_int_equal(list_open(&l, buf_str(&csv)), ERR_OK);
    buf_free(&csv);
    uint32_t before = l.e.fuel;
    check(&l, "/root/item[name = 'v9876']/county", "c76");
    assert_true(before - l.e.fuel < 100);
    check(&l, "count(/root/item[county = 'c7'])", "100");
    check(&l, "/root/item[county = 'c7' and name = 'v107']/name", "v107");
    assert_true(before - l.e.fuel < 3000);
    /* as numbers "07" and 7 are equal, so an index of texts must not answer */
    check(&l, "count(/root/item[substr(name, 1) = 7])", "1");
    check(&l, "count(/root/item[name = 'none'])", "0");
    arena_free(&l.a);
}

/* --- row by row --- */

struct pieces {
    struct str bytes;
    size_t step;  /* bytes of one piece */
    size_t fails; /* reading on from here fails, 0 = never */
};

static enum err read_piece(void *self, size_t at, char *out, size_t room, size_t *n_out, struct diag *d)
{
    const struct pieces *p = self;
    struct str piece = str_sub(p->bytes, at, room < p->step ? room : p->step);
    if (p->fails && at >= p->fails)
        return diag_set(d, ERR_IO, "the card was pulled out");
    if (piece.n)
        memcpy(out, piece.p, piece.n);
    *n_out = piece.n;
    return ERR_OK;
}

struct rows {
    const struct tree *t;
    struct arena *a;
    struct node row;
    bool more;
    uint32_t columns, count;
};

/* Between the items of XML stand line ends. */
static bool next_element(const struct tree *t, struct node *n)
{
    bool more = t->ops->next_sibling(t, *n, n);
    while (more && t->ops->kind(t, *n) != NODE_ELEMENT)
        more = t->ops->next_sibling(t, *n, n);
    return more;
}

static enum err take_shape(void *self, const struct list_shape *shape, struct diag *d)
{
    struct rows *r = self;
    (void)d;
    r->columns = shape->column_count;
    return ERR_OK;
}

static enum err take_row(void *self, const struct str *cells, struct diag *d)
{
    struct rows *r = self;
    struct node cell;
    (void)d;
    assert_true(r->more);
    assert_true(r->t->ops->first_child(r->t, r->row, &cell));
    for (uint32_t i = 0; i < r->columns; i++) {
        assert_true(str_eq(r->t->ops->text(r->t, cell, r->a), cells[i]));
        assert_int_equal(r->t->ops->next_sibling(r->t, cell, &cell), i + 1 < r->columns);
    }
    r->more = next_element(r->t, &r->row);
    r->count++;
    return ERR_OK;
}

/* Rows with everything that is looked at twice: quotes, doubled quotes, line ends of each kind, blank lines.
 */
static void put_rows(struct buf *csv, bool xml)
{
    static const char *const ends[] = {"\n", "\r\n", "\n\n", "\r\n\r\n", "\r"};
    buf_put_z(csv, xml ? "<root>" : "\xEF\xBB\xBFname;label\n");
    for (uint32_t i = 0; csv->n < 300000; i++) {
        if (xml)
            buf_printf(csv, "<item><name>v%u</name><label>&lt;%u 村&gt;</label></item>%s", i, i * i,
                       ends[i % 4]);
        else
            buf_printf(csv, "v%u;\"Village \"\"%u\"\"%s村; upper\"%s", i, i * i, ends[i % 5], ends[i % 5]);
    }
    buf_put_z(csv, xml ? "</root>" : "last;one");
}

static void a_list_read_in_pieces_is_the_same(void **state)
{
    static const size_t steps[] = {65536, 1, 17, 4096, 65535, 1000000};
    (void)state;
    for (int xml = 0; xml < 2; xml++) {
        struct buf text;
        struct str uri = xml ? STR("jr://file/x.xml") : STR("jr://file-csv/x.csv");
        buf_init(&text, 1u << 20);
        put_rows(&text, xml);
        for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
            struct arena a;
            struct diag d = {0};
            struct rows rows = {.a = &a};
            struct node root;
            arena_init(&a, (size_t)256 << 20);
            assert_int_equal(list_from_uri(&a, uri, buf_str(&text), 0, &rows.t, &d), ERR_OK);
            assert_true(rows.t->ops->first_child(rows.t, rows.t->ops->root(rows.t), &root));
            rows.more = rows.t->ops->first_child(rows.t, root, &rows.row);
            struct pieces pieces = {buf_str(&text), steps[i], 0};
            struct list_bytes source = {&pieces, read_piece};
            struct list_sink sink = {&rows, take_shape, take_row};
            assert_int_equal(list_import(uri, &source, &sink, &d), ERR_OK);
            assert_false(rows.more);
            assert_in_range(rows.count, 3000, 30000);
            arena_free(&a);
        }
        buf_free(&text);
    }
}

static enum err any_shape(void *self, const struct list_shape *shape, struct diag *d)
{
    (void)self, (void)shape, (void)d;
    return ERR_OK;
}

static enum err any_row(void *self, const struct str *cells, struct diag *d)
{
    (void)self, (void)cells, (void)d;
    return ERR_OK;
}

static void a_list_that_cannot_be_read_on_is_not_a_short_list(void **state)
{
    (void)state;
    for (int xml = 0; xml < 2; xml++) {
        struct buf text;
        struct diag d = {0};
        buf_init(&text, 1u << 20);
        put_rows(&text, xml);
        struct pieces pieces = {buf_str(&text), 5000, 150000};
        struct list_bytes source = {&pieces, read_piece};
        struct list_sink sink = {NULL, any_shape, any_row};
        assert_int_equal(list_import(xml ? STR("x.xml") : STR("x.csv"), &source, &sink, &d), ERR_IO);
        assert_string_equal(d.text, "the card was pulled out");
        buf_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_items),
        cmocka_unit_test(spreadsheets_write_csv_in_many_ways),
        cmocka_unit_test(broken_lists_are_refused_and_empty_ones_are_empty),
        cmocka_unit_test(a_map_s_features_are_a_list_too),
        cmocka_unit_test(equality_is_answered_by_an_index),
        cmocka_unit_test(a_list_read_in_pieces_is_the_same),
        cmocka_unit_test(a_list_that_cannot_be_read_on_is_not_a_short_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
