/* A list that stays with the host, as the tree that `instance('x')/root/item` walks: the nodes are computed
 * as in list.c (row 0 holds the document and its root; a cell of column c is 2c + 1, the text in it 2c + 2);
 * only texts are fetched. A host that fails is taken for empty cells, and the session goes on.
 */
#include "forms/list.h"

struct hosted {
    struct tree tree;
    const struct list_host *host;
    struct list_shape shape;
    unsigned char *numeric; /* by column: 0 not asked yet, 1 yes, 2 no */
};

static const struct hosted *self_of(const struct tree *t)
{
    return (const struct hosted *)t;
}

static bool fetch(const struct tree *t, uint32_t row, uint32_t column, struct str *out)
{
    const struct hosted *h = self_of(t);
    struct diag d = {0};
    return h->host->cell(h->host->self, h->shape.list, row, column, out, &d) == ERR_OK && out->p;
}

static bool is_there(const struct tree *t, uint32_t row, uint32_t column)
{
    struct str unused;
    return !self_of(t)->shape.sparse || fetch(t, row, column, &unused);
}

static bool give(const struct tree *t, uint32_t x, uint32_t y, struct node *out)
{
    *out = (struct node){t->index, x, y};
    return true;
}

/* The cell at or behind a column, in one direction. */
static bool give_cell(const struct tree *t, uint32_t row, uint32_t column, bool forward, struct node *out)
{
    for (; column < self_of(t)->shape.column_count; column += forward ? 1u : UINT32_MAX)
        if (is_there(t, row, column))
            return give(t, row, 2 * column + 1, out);
    return false;
}

static enum node_kind tree_kind(const struct tree *t, struct node n)
{
    (void)t;
    if (n.x == 0)
        return n.y ? NODE_ELEMENT : NODE_DOCUMENT;
    return n.y && n.y % 2 == 0 ? NODE_TEXT : NODE_ELEMENT;
}

static struct node_name tree_name(const struct tree *t, struct node n)
{
    const struct list_shape *s = &self_of(t)->shape;
    struct node_name name = {STR(""), STR(""), STR("")};
    if (n.x == 0)
        name.local = n.y ? s->root : STR("");
    else if (n.y == 0)
        name.local = s->item;
    else if (n.y % 2)
        name.local = s->columns[n.y / 2];
    return name;
}

static bool tree_parent(const struct tree *t, struct node n, struct node *out)
{
    if (n.x == 0)
        return n.y && give(t, 0, 0, out);
    if (n.y == 0)
        return give(t, 0, 1, out);
    return give(t, n.x, n.y % 2 ? 0 : n.y - 1, out);
}

static bool tree_first_child(const struct tree *t, struct node n, struct node *out)
{
    struct str text;
    if (n.x == 0 && n.y == 0)
        return give(t, 0, 1, out);
    if (n.x == 0)
        return self_of(t)->shape.row_count && give(t, 1, 0, out);
    if (n.y == 0)
        return give_cell(t, n.x, 0, true, out);
    return n.y % 2 && fetch(t, n.x, n.y / 2, &text) && text.n && give(t, n.x, n.y + 1, out);
}

static bool tree_next_sibling(const struct tree *t, struct node n, struct node *out)
{
    if (n.x == 0)
        return false;
    if (n.y == 0)
        return n.x < self_of(t)->shape.row_count && give(t, n.x + 1, 0, out);
    return n.y % 2 && give_cell(t, n.x, n.y / 2 + 1, true, out);
}

static bool tree_prev_sibling(const struct tree *t, struct node n, struct node *out)
{
    if (n.x == 0)
        return false;
    if (n.y == 0)
        return n.x > 1 && give(t, n.x - 1, 0, out);
    return n.y % 2 && n.y > 1 && give_cell(t, n.x, n.y / 2 - 1, false, out);
}

static bool no_attribute(const struct tree *t, struct node n, struct node *out)
{
    (void)t, (void)n, (void)out;
    return false;
}

static int tree_compare(const struct tree *t, struct node a, struct node b)
{
    (void)t;
    if (a.x != b.x)
        return a.x < b.x ? -1 : 1;
    return a.y < b.y ? -1 : a.y > b.y;
}

static struct str kept(struct arena *a, struct str text)
{
    struct str copy = arena_str(a, text);
    return copy.p ? copy : STR("");
}

/* The text of a row is that of its cells; of the whole list, that of its rows. */
static struct str tree_text(const struct tree *t, struct node n, struct arena *scratch)
{
    const struct list_shape *s = &self_of(t)->shape;
    struct str text = STR(""), all;
    uint32_t first = n.x ? n.x : 1, last = n.x ? n.x : s->row_count;
    struct buf b;
    if (n.x && n.y)
        return fetch(t, n.x, (n.y - 1) / 2, &text) ? kept(scratch, text) : STR("");
    buf_init(&b, 1u << 26);
    for (uint32_t row = first; row <= last && !b.failed; row++)
        for (uint32_t c = 0; c < s->column_count; c++)
            if (fetch(t, row, c, &text))
                buf_put_str(&b, text);
    all = b.failed ? STR("") : kept(scratch, buf_str(&b));
    buf_free(&b);
    return all;
}

static struct node tree_root(const struct tree *t)
{
    return (struct node){t->index, 0, 0};
}

static uint32_t tree_ordinal(const struct tree *t, struct node n)
{
    (void)t;
    return n.x && n.y == 0 ? n.x : 1;
}

static bool query_answers(const struct tree *t, struct node parent, struct str item)
{
    return parent.x == 0 && parent.y == 1 && str_eq(item, self_of(t)->shape.item);
}

static bool query_column(const struct tree *t, struct str name, uint32_t *column_out)
{
    const struct list_shape *s = &self_of(t)->shape;
    for (uint32_t i = 0; i < s->column_count; i++)
        if (str_eq(s->columns[i], name)) {
            *column_out = i;
            return true;
        }
    return false;
}

static bool query_numeric(const struct tree *t, uint32_t column)
{
    const struct hosted *h = self_of(t);
    struct diag d = {0};
    if (!h->numeric[column])
        h->numeric[column] = h->host->numeric(h->host->self, h->shape.list, column, &d) ? 2 : 1;
    return h->numeric[column] == 1;
}

struct passing {
    uint32_t tree;
    enum err (*found)(void *to, struct node n);
    void *to;
    enum err rc;
};

static enum err pass(void *to, uint32_t row)
{
    struct passing *p = to;
    p->rc = p->found(p->to, (struct node){p->tree, row, 0});
    return p->rc;
}

/* What the host cannot read is not found; what the finder says ends it. */
static enum err query_rows(const struct tree *t, const struct list_query *q, uint32_t skip, uint32_t limit,
                           enum err (*found)(void *to, struct node n), void *to)
{
    const struct hosted *h = self_of(t);
    struct passing p = {t->index, found, to, ERR_OK};
    struct diag d = {0};
    enum err rc = h->host->rows(h->host->self, h->shape.list, q, skip, limit, pass, &p, &d);
    return p.rc ? p.rc : rc == ERR_NOMEM ? rc : ERR_OK;
}

struct gathering {
    struct arena *a;
    struct nodes *out;
    uint32_t room;
};

static enum err gather(void *to, struct node n)
{
    struct gathering *g = to;
    struct node *slot = vec_push_raw(g->a, (void **)&g->out->at, &g->out->count, &g->room, sizeof(n));
    if (!slot)
        return ERR_NOMEM;
    *slot = n;
    return ERR_OK;
}

static enum err query_count(const struct tree *t, const struct list_query *q, uint32_t *count_out)
{
    const struct hosted *h = self_of(t);
    struct diag d = {0};
    *count_out = h->shape.row_count;
    if (q->count == 1 && q->at[0].op == LIST_TRUE)
        return ERR_OK;
    return h->host->count(h->host->self, h->shape.list, q, count_out, &d);
}

static enum err tree_find(const struct tree *t, struct node parent, struct str item, struct str column,
                          struct str text, struct arena *scratch, struct nodes *out)
{
    struct list_term term = {.op = LIST_EQ, .text = text};
    if (!query_answers(t, parent, item) || !query_column(t, column, &term.column))
        return ERR_OK;
    struct gathering g = {scratch, out, 0};
    return query_rows(t, &(struct list_query){&term, 1}, 0, UINT32_MAX, gather, &g);
}

static const struct tree_query_ops hosted_query = {
    .answers = query_answers,
    .column = query_column,
    .numeric = query_numeric,
    .rows = query_rows,
    .count = query_count,
};

static const struct tree_ops hosted_ops = {
    .kind = tree_kind,
    .name = tree_name,
    .parent = tree_parent,
    .first_child = tree_first_child,
    .next_sibling = tree_next_sibling,
    .prev_sibling = tree_prev_sibling,
    .first_attribute = no_attribute,
    .next_attribute = no_attribute,
    .compare = tree_compare,
    .text = tree_text,
    .root = tree_root,
    .find = tree_find,
    .ordinal = tree_ordinal,
    .query = &hosted_query,
};

enum err list_on_host(struct arena *a, const struct list_host *host, const struct list_shape *shape,
                      uint32_t index, const struct tree **tree_out, struct diag *d)
{
    struct hosted *h = ARENA_NEW(a, struct hosted);
    if (h)
        h->numeric = arena_alloc(a, shape->column_count + 1u);
    if (!h || !h->numeric)
        return diag_set(d, ERR_NOMEM, "no memory left for this list");
    h->tree = (struct tree){&hosted_ops, index};
    h->host = host;
    h->shape = *shape;
    *tree_out = &h->tree;
    return ERR_OK;
}
