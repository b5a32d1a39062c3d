/* Lists that stay with the handheld's list store: whatever a form asks of one, the answer is that of the same
 * list read into memory.
 */
#include "tests/support/forms.h"

#include <string.h>
#include <unistd.h>

#include "agent/list_store.h"
#include "forms/expr.h"
#include "platform/base/buf.h"

struct shelf {
    char folder[64], path[96];
    struct list_store *store;
    struct buf bytes;
    uint32_t reads; /* imports */
    unsigned char version;
    struct diag d;
};

static enum err shelf_hash(void *self, struct str uri, unsigned char out[LIST_HASH_SIZE], struct diag *d)
{
    const struct shelf *s = self;
    if (!s->bytes.n)
        return diag_set(d, ERR_NOT_FOUND, "no such list: %.*s", STR_ARG(uri));
    memset(out, s->version, LIST_HASH_SIZE);
    return ERR_OK;
}

/* In pieces of all sizes. */
static enum err shelf_piece(void *self, struct str uri, size_t at, char *out, size_t room, size_t *n_out,
                            struct diag *d)
{
    struct shelf *s = self;
    struct str piece = str_sub(buf_str(&s->bytes), at, at % 7 ? room : room < 1000 ? room : 1000 + at % 3);
    (void)uri, (void)d;
    s->reads += at == 0;
    if (piece.n)
        memcpy(out, piece.p, piece.n);
    *n_out = piece.n;
    return ERR_OK;
}

static void shelf_close(struct shelf *s)
{
    list_store_close(s->store);
    s->store = NULL;
}

static void shelf_open(struct shelf *s)
{
    struct list_source source = {s, shelf_hash, shelf_piece};
    if (list_store_open(s->path, NULL, &source, &s->store, &s->d))
        fail_msg("the list store does not open: %s", s->d.text);
}

static void shelf_begin(struct shelf *s)
{
    *s = (struct shelf){.folder = "/tmp/doorstep-lists-XXXXXX", .version = 1};
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->path, sizeof(s->path), "%s/lists.db", s->folder);
    buf_init(&s->bytes, 1u << 26);
    shelf_open(s);
}

static void shelf_end(struct shelf *s)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    shelf_close(s);
    buf_free(&s->bytes);
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        char path[120];
        snprintf(path, sizeof(path), "%s%s", s->path, ends[i]);
        (void)unlink(path);
    }
    (void)rmdir(s->folder);
}

/* --- the same question to both --- */

static uint64_t dice;

static uint32_t roll(uint32_t n)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice >> 33) % n;
}

static const char *pick(const char *const *list, uint32_t count)
{
    return list[roll(count)];
}

static const char *const texts[] = {"",   "a", "b", "ab",   "abc",  "a b", " a",
                                    "b ", "A", "é", "日本", "a\tb", "c"};
static const char *const numbers[] = {"",     "0",   "1",   "2", "10",  "-3", "2.5",
                                      "2.50", "1,5", "007", "x", "12.", "1e2"};
static const char *const dates[] = {"", "2026-01-02", "2025-12-31", "5", "x", "2026-01-02T10:00:00Z"};
static const char *const columns[] = {"t", "u", "n", "m", "d", "none"};

#define COUNT(a) (uint32_t)(sizeof(a) / sizeof(*(a)))

static void put_csv(struct buf *b, uint32_t rows)
{
    buf_put_z(b, "t,u,n,m,d\n");
    for (uint32_t i = 0; i < rows; i++) {
        const char *cells[] = {pick(texts, COUNT(texts)), pick(texts, COUNT(texts)),
                               pick(numbers, COUNT(numbers)), pick(numbers, 9), pick(dates, COUNT(dates))};
        for (uint32_t c = 0; c < 5; c++) {
            if (c)
                buf_put_char(b, ',');
            buf_put_char(b, '"');
            buf_put_z(b, cells[c]);
            buf_put_char(b, '"');
        }
        buf_put_char(b, '\n');
    }
}

static void put_xml(struct buf *b, uint32_t rows)
{
    buf_put_z(b, "<places><place><t>a</t><u/><n>1</n><m>2</m><d>x</d></place>");
    for (uint32_t i = 0; i < rows; i++) {
        buf_put_z(b, "<place>");
        for (uint32_t c = 0; c < 5; c++) {
            if (roll(4) == 0)
                continue;
            const char *cell = c < 2   ? pick(texts, COUNT(texts))
                               : c < 4 ? pick(numbers, 9)
                                       : pick(dates, COUNT(dates));
            buf_put_char(b, '<');
            buf_put_z(b, columns[c]);
            buf_put_char(b, '>');
            buf_put_z(b, cell);
            buf_put_z(b, "</");
            buf_put_z(b, columns[c]);
            buf_put_char(b, '>');
        }
        buf_put_z(b, "</place>");
    }
    buf_put_z(b, "</places>");
}

static const char paper[] =
    "<d><x>a</x><y>2</y><e/><w>a b  c</w><r>a</r><r>b</r><r>10</r><day>2026-01-01</day></d>";

static void put_value(struct buf *b)
{
    static const char *const values[] = {"'a'",          "'ab'",
                                         "''",           "' a '",
                                         "'é'",          "'2'",
                                         "'2.5'",        "1",
                                         "2.5",          "10",
                                         "-3",           "0",
                                         "/d/x",         "/d/y",
                                         "/d/e",         "/d/r",
                                         "/d/none",      "/d/w",
                                         "number(/d/y)", "concat(/d/x, 'b')",
                                         "/d/day",       "date('2026-01-01')",
                                         "true()",       "1 div 0",
                                         "count(/d/r)",  "'x'",
                                         "'a b'",        "current()/d/x",
                                         "'日'"};
    buf_put_z(b, pick(values, COUNT(values)));
}

/* Every shape that becomes a question, and some that do not. */
static void put_predicate(struct buf *b, uint32_t depth)
{
    static const char *const signs[] = {" = ", " != ", " < ", " <= ", " > ", " >= "};
    static const char *const calls[] = {"contains(", "starts-with(", "ends-with(", "selected("};
    static const char *const odd[] = {"t = u",
                                      "string-length(t) = 1",
                                      "n + 1 = 3",
                                      "d",
                                      "boolean(n)",
                                      "n * 2 > 4",
                                      "count(/d/r[. = current()/x]) = 1",
                                      "normalize-space(t) = 'a'"};
    uint32_t kind = roll(depth ? 11 : 7);
    if (kind < 3) {
        bool turned = roll(4) == 0;
        if (turned)
            put_value(b);
        else
            buf_put_z(b, pick(columns, COUNT(columns)));
        buf_put_z(b, pick(signs, kind == 0 ? 1 : COUNT(signs)));
        if (turned)
            buf_put_z(b, pick(columns, COUNT(columns)));
        else
            put_value(b);
    } else if (kind < 5) {
        buf_put_z(b, pick(calls, COUNT(calls)));
        buf_put_z(b, pick(columns, COUNT(columns)));
        buf_put_z(b, ", ");
        put_value(b);
        buf_put_char(b, ')');
    } else if (kind == 5) {
        buf_put_z(b, "selected(");
        put_value(b);
        buf_put_z(b, ", ");
        buf_put_z(b, pick(columns, COUNT(columns)));
        buf_put_char(b, ')');
    } else if (kind == 6) {
        buf_put_z(b, pick(odd, COUNT(odd)));
    } else if (kind == 7) {
        buf_put_z(b, "not(");
        put_predicate(b, depth - 1);
        buf_put_char(b, ')');
    } else {
        uint32_t parts = 2 + roll(2);
        const char *joint = roll(2) ? " and " : " or ";
        for (uint32_t i = 0; i < parts; i++) {
            if (i)
                buf_put_z(b, joint);
            buf_put_char(b, '(');
            put_predicate(b, depth - 1);
            buf_put_char(b, ')');
        }
    }
}

struct asked {
    struct arena a, scratch;
    const struct tree *trees[2];
    struct node root;
};

static enum err its_instance(struct eval *e, struct str id, struct node *out)
{
    const struct asked *q = e->host;
    *out = q->root;
    return str_eq_z(id, "list") ? ERR_OK : ERR_NOT_FOUND;
}

static struct str no_namespace(void *self, struct str prefix)
{
    (void)self, (void)prefix;
    return STR_NONE;
}

static struct str ask(struct asked *q, const struct expr *x)
{
    struct diag d = {0};
    struct value v;
    struct eval e = {.scratch = &q->scratch,
                     .host = q,
                     .trees = q->trees,
                     .tree_count = 2,
                     .instance = its_instance,
                     .context = {0, 0, 0},
                     .fuel = EXPR_FUEL_DEFAULT,
                     .zone = zone_utc(),
                     .diag = &d};
    enum err rc = expr_eval(x, &e, &v);
    if (rc)
        return rc == ERR_LIMIT ? STR("too long") : STR("error");
    return value_text(&e, &v);
}

static void compare(struct shelf *s, const char *uri, const char *row_path, uint32_t questions)
{
    struct asked memory = {0}, hosted = {0};
    struct arena exprs;
    struct list_shape shape;
    arena_init(&memory.a, (size_t)1 << 30);
    arena_init(&hosted.a, (size_t)1 << 30);
    arena_init(&memory.scratch, (size_t)1 << 30);
    arena_init(&hosted.scratch, (size_t)1 << 30);
    arena_init(&exprs, (size_t)1 << 30);
    const struct list_wish wishes[] = {{{STR("t"), STR("u")}, 2, false}, {{STR("n")}, 1, true}};
    const struct list_host *host = list_store_host(s->store);
    if (host->open(host->self, str_of(uri), wishes, 2, &shape, &s->d))
        fail_msg("%s is not kept: %s", uri, s->d.text);
    assert_int_equal(list_from_uri(&memory.a, str_of(uri), buf_str(&s->bytes), 1, &memory.trees[1], &s->d),
                     ERR_OK);
    assert_int_equal(list_on_host(&hosted.a, host, &shape, 1, &hosted.trees[1], &s->d), ERR_OK);
    assert_int_equal(xml_tree_read(&memory.a, str_of(paper), 0, &memory.trees[0], &s->d), ERR_OK);
    hosted.trees[0] = memory.trees[0];
    memory.root = hosted.root = (struct node){1, 0, 0};
    uint32_t found = 0;
    for (uint32_t i = 0; i < questions; i++) {
        struct buf b;
        struct expr_scope scope = {.library = EXPR_ODK,
                                   .context = EXPR_CONTEXT_NONE,
                                   .namespace_uri = no_namespace};
        const struct expr *x = NULL;
        struct arena_mark m = arena_mark(&memory.scratch), h = arena_mark(&hosted.scratch),
                          c = arena_mark(&exprs);
        buf_init(&b, 1u << 16);
        buf_put_z(&b, i % 2 ? "count(" : "join('|', ");
        buf_put_z(&b, row_path);
        buf_put_char(&b, '[');
        put_predicate(&b, 3);
        buf_put_z(&b, i % 5 == 0 ? "][n > 1]" : i % 7 == 0 ? "][2]" : "]");
        buf_put_z(&b, i % 2 ? ")" : "/u)");
        diag_clear(&s->d);
        if (expr_compile(&exprs, &scope, buf_str(&b), &x, &s->d))
            fail_msg("%.*s: %s", STR_ARG(buf_str(&b)), s->d.text);
        struct str want = ask(&memory, x), got = ask(&hosted, x);
        if (!str_eq(want, got))
            fail_msg("%.*s\n gives %.*s\n   not %.*s", STR_ARG(buf_str(&b)), STR_ARG(got), STR_ARG(want));
        found += want.n > 1;
        buf_free(&b);
        arena_release(&memory.scratch, m);
        arena_release(&hosted.scratch, h);
        arena_release(&exprs, c);
    }
    assert_true(found > questions / 4);
    arena_free(&memory.a);
    arena_free(&hosted.a);
    arena_free(&memory.scratch);
    arena_free(&hosted.scratch);
    arena_free(&exprs);
}

static void a_kept_list_answers_like_one_in_memory(void **state)
{
    (void)state;
    struct shelf s;
    shelf_begin(&s);
    dice = 7;
    put_csv(&s.bytes, 400);
    compare(&s, "jr://file-csv/places.csv", "instance('list')/root/item", 1500 / THINNED(5));
    assert_int_equal(s.reads, 1);
    shelf_end(&s);
}

static void also_when_rows_lack_cells(void **state)
{
    (void)state;
    struct shelf s;
    shelf_begin(&s);
    dice = 11;
    put_xml(&s.bytes, 300);
    compare(&s, "jr://file/places.xml", "instance('list')/places/place", 1000 / THINNED(5));
    shelf_end(&s);
}

/* --- in an interview --- */

#define VILLAGES "jr://file-csv/villages.csv"
static const char model[] =
    "<instance><d id=\"t\"><county/><town/><size/><village/><label/><many/><big/><pulled/></d></instance>"
    "<instance id=\"villages\" src=\"" VILLAGES "\"/>"
    "<bind nodeset=\"/d/size\" type=\"int\"/>"
    "<bind nodeset=\"/d/label\" calculate=\"jr:choice-name(/d/village, '/d/village')\"/>"
    "<bind nodeset=\"/d/big\" calculate=\"count(instance('villages')/root/item[pop &gt; 900])\"/>"
    "<bind nodeset=\"/d/pulled\" calculate=\"pulldata('villages', 'label', 'name', /d/village)\"/>";
static const char body[] =
    "<input ref=\"/d/county\"/><input ref=\"/d/town\"/><input ref=\"/d/size\"/>"
    "<select1 ref=\"/d/village\"><itemset nodeset=\"instance('villages')/root/item[county = /d/county and "
    "town = "
    "/d/town]\"><value ref=\"name\"/><label ref=\"label\"/></itemset></select1>"
    "<select ref=\"/d/many\"><itemset nodeset=\"instance('villages')/root/item[town = /d/town][1 = 1]\">"
    "<value ref=\"name\"/><label ref=\"label\"/></itemset></select>";

static void put_villages(struct buf *b)
{
    buf_put_z(b, "name,label,county,town,pop\n");
    for (uint32_t i = 0; i < 1000; i++)
        buf_printf(b, "v%03u,Village %u,c%u,t%u,%u\n", i, i, i / 100, i / 10, i);
}

static enum err shelf_resource(void *self, struct str uri, struct str *bytes_out, struct diag *d)
{
    struct shelf *s = self;
    (void)uri, (void)d;
    s->reads += 100;
    *bytes_out = buf_str(&s->bytes);
    return ERR_OK;
}

static void interview_on(struct interview *v, struct shelf *s)
{
    interview_init(v);
    v->host.self = s;
    v->host.resource = shelf_resource;
    v->host.lists = list_store_host(s->store);
    v->host.random = NULL;
    if (interview_form(v, form_text(&v->a, model, body)))
        fail_msg("the form does not load: %s", v->d.text);
    interview_begin(v);
}

static void a_page_of_choices_is_all_that_is_read(void **state)
{
    (void)state;
    struct shelf s;
    struct interview v;
    struct choice_view *list;
    uint32_t count, total;
    shelf_begin(&s);
    put_villages(&s.bytes);
    interview_on(&v, &s);
    answer(&v, "/d/county", "c4");
    answer(&v, "/d/town", "t42");
    assert_int_equal(session_choices(v.s, at(&v, "/d/village"), 3, 4, &v.a, &list, &count, &total, &v.d),
                     ERR_OK);
    assert_int_equal(total, 10);
    assert_int_equal(count, 4);
    assert_string_equal(text(&v, list[0].value), "v423");
    assert_string_equal(text(&v, list[3].label), "Village 426");
    assert_int_equal(session_choices(v.s, at(&v, "/d/village"), 9, 40, &v.a, &list, &count, &total, &v.d),
                     ERR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(session_choices_starting(v.s, at(&v, "/d/village"), STR("Village 42"), 3, &v.a, &list,
                                              &count, &v.d),
                     ERR_OK);
    assert_int_equal(count, 3);
    assert_int_equal(session_choices_starting(v.s, at(&v, "/d/village"), STR("v427"), 3, &v.a, &list, &count,
                                              &v.d),
                     ERR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(try_answer(&v, "/d/village", "v500"), ERR_USAGE);
    answer(&v, "/d/village", "v425");
    assert_string_equal(value_of(&v, "/d/label"), "Village 425");
    assert_string_equal(value_of(&v, "/d/pulled"), "Village 425");
    assert_string_equal(value_of(&v, "/d/big"), "99");
    answer(&v, "/d/many", "v421 v420");
    assert_int_equal(try_answer(&v, "/d/many", "v421 v430"), ERR_USAGE);
    answer(&v, "/d/town", "t43"); /* another town: the village stays and is shown to be wrong */
    assert_true(view(&v, "/d/village").violated);
    assert_int_equal(s.reads, 1);
    interview_close(&v);
    shelf_end(&s);
}

static void a_list_is_imported_once(void **state)
{
    (void)state;
    struct shelf s;
    struct interview v;
    shelf_begin(&s);
    put_villages(&s.bytes);
    for (int i = 0; i < 3; i++) {
        interview_on(&v, &s);
        assert_string_equal(value_of(&v, "/d/big"), "99");
        interview_close(&v);
        shelf_close(&s);
        shelf_open(&s);
    }
    assert_int_equal(s.reads, 1);
    buf_printf(&s.bytes, "new,New,c1,t1,5000\n");
    s.version++;
    interview_on(&v, &s);
    assert_string_equal(value_of(&v, "/d/big"), "100");
    assert_int_equal(s.reads, 2);
    interview_close(&v);
    shelf_end(&s);
}

static void small_lists_and_odd_ones_stay_in_memory(void **state)
{
    (void)state;
    struct shelf s;
    struct interview v;
    shelf_begin(&s);
    buf_put_z(&s.bytes, "name,label,county,town,pop\nv1,One,c1,t1,901\n");
    interview_on(&v, &s);
    assert_string_equal(value_of(&v, "/d/big"), "1");
    assert_int_equal(s.reads, 101);
    interview_close(&v);
    buf_clear(&s.bytes);
    put_villages(&s.bytes);
    buf_put_z(&s.bytes, "x,\xff\xfe,c1,t1,2000\n"); /* no UTF-8: not for SQLite */
    s.version++;
    interview_on(&v, &s);
    assert_string_equal(value_of(&v, "/d/big"), "100");
    assert_int_equal(s.reads, 202);
    interview_close(&v);
    shelf_end(&s);
}

static void wishes_share_an_index(void **state)
{
    (void)state;
    struct interview v;
    struct list_wish *wishes;
    uint32_t count, composite = 0, numeric = 0;
    interview_init(&v);
    assert_int_equal(interview_form(&v, form_text(&v.a, model, body)), ERR_OK);
    assert_int_equal(form_list_wishes(v.form, 0, &v.a, &wishes, &count), ERR_OK);
    assert_int_equal(count, 3); /* name; town and county; pop by number */
    for (uint32_t i = 0; i < count; i++) {
        numeric += wishes[i].numeric;
        if (wishes[i].count < 2)
            continue;
        composite++;
        assert_string_equal(text(&v, wishes[i].columns[0]), "town"); /* asked for alone, too */
        assert_string_equal(text(&v, wishes[i].columns[1]), "county");
    }
    assert_int_equal(composite, 1);
    assert_int_equal(numeric, 1);
    arena_free(&v.a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kept_list_answers_like_one_in_memory),
        cmocka_unit_test(also_when_rows_lack_cells),
        cmocka_unit_test(a_page_of_choices_is_all_that_is_read),
        cmocka_unit_test(a_list_is_imported_once),
        cmocka_unit_test(small_lists_and_odd_ones_stay_in_memory),
        cmocka_unit_test(wishes_share_an_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
