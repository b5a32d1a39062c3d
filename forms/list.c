/* A choice list from CSV bytes, as the tree that `instance('x')/root/item` walks. The cells are one block of
 * text and one array of offsets, four bytes a cell; the tree's nodes are computed: a row is (row, 0), a cell
 * (row, 2c + 1), the text in it (row, 2c + 2).
 */
#include "forms/form.h"
#include "forms/limits.h"
#include "forms/list_impl.h"
#include "forms/tree_index.h"

struct list {
    struct tree tree;
    struct str *columns;
    uint32_t column_count, row_count;
    const char *text;
    const uint32_t *offsets; /* rows x columns, and one past the end */
    struct tree_indexes *indexes;
};

/* Rows count from 1; row 0 holds the document (y 0) and the element `root` (y 1). */
static const struct list *self_of(const struct tree *t)
{
    return (const struct list *)t;
}

static struct str cell(const struct list *l, uint32_t row, uint32_t column)
{
    const uint32_t *o = &l->offsets[(size_t)(row - 1) * l->column_count + column];
    return (struct str){l->text + o[0], o[1] - o[0]};
}

static bool give(const struct tree *t, uint32_t x, uint32_t y, struct node *out)
{
    *out = (struct node){t->index, x, y};
    return true;
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
    struct node_name name = {STR(""), STR(""), STR("")};
    if (n.x == 0)
        name.local = n.y ? STR("root") : STR("");
    else if (n.y == 0)
        name.local = STR("item");
    else if (n.y % 2)
        name.local = self_of(t)->columns[n.y / 2];
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
    const struct list *l = self_of(t);
    if (n.x == 0 && n.y == 0)
        return give(t, 0, 1, out);
    if (n.x == 0)
        return l->row_count && give(t, 1, 0, out);
    if (n.y == 0)
        return l->column_count && give(t, n.x, 1, out);
    return n.y % 2 && cell(l, n.x, n.y / 2).n && give(t, n.x, n.y + 1, out);
}

static bool tree_next_sibling(const struct tree *t, struct node n, struct node *out)
{
    const struct list *l = self_of(t);
    if (n.x == 0)
        return false;
    if (n.y == 0)
        return n.x < l->row_count && give(t, n.x + 1, 0, out);
    return n.y % 2 && n.y / 2 + 1 < l->column_count && give(t, n.x, n.y + 2, out);
}

static bool tree_prev_sibling(const struct tree *t, struct node n, struct node *out)
{
    if (n.x == 0)
        return false;
    if (n.y == 0)
        return n.x > 1 && give(t, n.x - 1, 0, out);
    return n.y % 2 && n.y > 1 && give(t, n.x, n.y - 2, out);
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

/* The cells of a row, and the rows of a list, lie one behind the other. */
static struct str tree_text(const struct tree *t, struct node n, struct arena *scratch)
{
    const struct list *l = self_of(t);
    (void)scratch;
    if (n.x && n.y)
        return cell(l, n.x, (n.y - 1) / 2);
    if (l->row_count == 0 || l->column_count == 0)
        return STR("");
    struct str first = cell(l, n.x ? n.x : 1, 0),
               last = cell(l, n.x ? n.x : l->row_count, l->column_count - 1);
    return (struct str){first.p, (size_t)(last.p + last.n - first.p)};
}

static struct node tree_root(const struct tree *t)
{
    return (struct node){t->index, 0, 0};
}

static enum err tree_find(const struct tree *t, struct node parent, struct str item, struct str column,
                          struct str text, struct arena *scratch, struct nodes *out)
{
    return tree_index_find(t, self_of(t)->indexes, parent, item, column, text, scratch, out);
}

static uint32_t tree_ordinal(const struct tree *t, struct node n)
{
    (void)t;
    return n.x && n.y == 0 ? n.x : 1;
}

static const struct tree_ops list_ops = {
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
};

/* -- reading CSV
 * ------------------------------------------------------------------------------------------------ */

struct csv {
    struct str in;
    size_t at;
    char separator;
    uint32_t line;
    char *text; /* unescaped cells; never longer than the input */
    size_t text_n;
    struct diag *d;
};

static bool csv_at_end(const struct csv *c)
{
    return c->at >= c->in.n;
}

/* One field, appended to the text. *last_out: it was the last one of its record. */
static enum err csv_field(struct csv *c, bool *last_out)
{
    bool quoted = !csv_at_end(c) && c->in.p[c->at] == '"';
    uint32_t line = c->line;
    c->at += quoted;
    for (;;) {
        if (csv_at_end(c)) {
            if (quoted)
                return diag_set_at(c->d, ERR_SYNTAX, line, 0,
                                   "a quoted cell that starts in line %u of the list is never closed", line);
            *last_out = true;
            return ERR_OK;
        }
        char ch = c->in.p[c->at++];
        if (quoted && ch == '"') {
            if (!csv_at_end(c) && c->in.p[c->at] == '"')
                c->at++;
            else {
                quoted = false;
                continue;
            }
        } else if (!quoted && (ch == c->separator || ch == '\n')) {
            *last_out = ch == '\n';
            c->line += ch == '\n';
            return ERR_OK;
        } else if (!quoted && ch == '\r' && (csv_at_end(c) || c->in.p[c->at] == '\n')) {
            continue;
        }
        c->line += ch == '\n';
        c->text[c->text_n++] = ch;
    }
}

static bool csv_blank_line(struct csv *c)
{
    size_t i = c->at;
    while (i < c->in.n && c->in.p[i] == '\r')
        i++;
    if (i < c->in.n && c->in.p[i] != '\n')
        return false;
    c->at = i < c->in.n ? i + 1 : i;
    c->line++;
    return true;
}

static char csv_separator(struct str in)
{
    bool quoted = false;
    for (size_t i = 0; i < in.n && (quoted || in.p[i] != '\n'); i++) {
        if (in.p[i] == '"')
            quoted = !quoted;
        else if (!quoted && in.p[i] == ';')
            return ';';
    }
    return ',';
}

static enum err read_header(struct csv *c, struct arena *a, struct list *l)
{
    VEC(struct str) columns = {0};
    bool last = csv_at_end(c);
    while (!last) {
        size_t from = c->text_n;
        enum err rc = csv_field(c, &last);
        struct str *slot = rc ? NULL : vec_push(a, &columns);
        if (!slot)
            return rc ? rc : ERR_NOMEM;
        *slot = str_trim((struct str){c->text + from, c->text_n - from});
    }
    l->columns = columns.at;
    l->column_count = columns.count;
    return ERR_OK;
}

/* Short rows are padded with empty cells, further cells of long ones dropped. */
static enum err read_rows(struct csv *c, struct arena *a, struct list *l)
{
    VEC(uint32_t) offsets = {0};
    while (!csv_at_end(c)) {
        if (csv_blank_line(c))
            continue;
        if (l->row_count >= LIST_ROWS_MAX)
            return diag_set_at(c->d, ERR_LIMIT, c->line, 0, "the list has more than %d rows", LIST_ROWS_MAX);
        bool last = false;
        for (uint32_t column = 0; column < l->column_count || !last; column++) {
            size_t from = c->text_n;
            enum err rc = last ? ERR_OK : csv_field(c, &last);
            if (rc)
                return rc;
            if (column >= l->column_count) {
                c->text_n = from;
                continue;
            }
            uint32_t *slot = vec_push(a, &offsets);
            if (!slot)
                return ERR_NOMEM;
            *slot = (uint32_t)from;
        }
        l->row_count++;
    }
    uint32_t *end = vec_push(a, &offsets);
    if (!end)
        return ERR_NOMEM;
    *end = (uint32_t)c->text_n;
    l->offsets = offsets.at;
    return ERR_OK;
}

enum err list_read(struct arena *a, struct str csv, char separator, uint32_t index,
                   const struct tree **tree_out, struct diag *d)
{
    struct list *l = ARENA_NEW(a, struct list);
    if (l)
        l->indexes = ARENA_NEW(a, struct tree_indexes);
    struct csv c = {.in = csv, .separator = separator, .line = 1, .text = arena_alloc(a, csv.n + 1), .d = d};
    if (!l || !l->indexes || !c.text)
        return diag_set(d, ERR_NOMEM, "no memory left to read this list");
    l->tree = (struct tree){&list_ops, index};
    l->indexes->arena = a;
    l->text = c.text;
    enum err rc = read_header(&c, a, l);
    if (!rc)
        rc = read_rows(&c, a, l);
    if (rc)
        return diag_set(d, rc, "no memory left to read this list");
    *tree_out = &l->tree;
    return ERR_OK;
}

enum err list_from_csv(struct arena *a, struct str csv, uint32_t index, const struct tree **tree_out,
                       struct diag *d)
{
    if (csv.n > LIST_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, "a list of %zu bytes is larger than the %u that are allowed", csv.n,
                        LIST_BYTES_MAX);
    if (str_starts(csv, STR("\xEF\xBB\xBF")))
        csv = str_sub(csv, 3, csv.n);
    return list_read(a, csv, csv_separator(csv), index, tree_out, d);
}
