/* Fuzz target: CSV lists. Read into memory, a list answers questions about its rows; handed over row by row,
 * as for the handheld's list store, it has the same rows and the same cells. */
#include "forms/list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rows {
    const struct tree *t;
    struct arena *a;
    struct node row;
    bool more;
    uint32_t columns;
};

static enum err shape(void *self, const struct list_shape *s, struct diag *d)
{
    struct rows *r = self;
    (void)d;
    r->columns = s->column_count;
    return ERR_OK;
}

static enum err row(void *self, const struct str *cells, struct diag *d)
{
    struct rows *r = self;
    struct node cell;
    (void)d;
    CHECK(r->more);
    bool there = r->t->ops->first_child(r->t, r->row, &cell);
    for (uint32_t i = 0; i < r->columns; i++) {
        CHECK(there && str_eq(r->t->ops->text(r->t, cell, r->a), cells[i]));
        there = r->t->ops->next_sibling(r->t, cell, &cell);
    }
    CHECK(!there);
    r->more = r->t->ops->next_sibling(r->t, r->row, &r->row);
    return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct diag d = {0}, e = {0};
    const struct tree *t = NULL;
    const struct str uri = STR("jr://file-csv/x.csv"), bytes = {(const char *)data, size};
    struct node root;
    struct nodes found = {0};

    arena_init(&a, 64u << 20);
    enum err rc = list_from_uri(&a, uri, bytes, 0, &t, &d);
    CHECK((rc == ERR_OK) == (d.text[0] == '\0'));
    if (!rc) {
        struct rows rows = {.t = t, .a = &a};
        CHECK(t->ops->first_child(t, t->ops->root(t), &root));
        rows.more = t->ops->first_child(t, root, &rows.row);
        const struct list_bytes source = list_bytes_of(&bytes);
        enum err imported = list_import(uri, &source, &(struct list_sink){&rows, shape, row}, &e);
        CHECK(imported == ERR_OK || imported == ERR_STATE || imported == ERR_LIMIT);
        CHECK(imported != ERR_OK || !rows.more);
        CHECK(t->ops->find(t, root, STR("item"), STR("name"), STR("a"), &a, &found) == ERR_OK);
        (void)list_from_uri(&a, STR("jr://itemsets/a"), bytes, 0, &t, &e);
    }
    arena_free(&a);
    return 0;
}
