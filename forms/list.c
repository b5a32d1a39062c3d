/* A choice list from CSV bytes, as the tree that `instance('x')/root/item` walks. The cells are one block of
 * text and one array of offsets, four bytes a cell; the tree's nodes are computed: a row is (row, 0), a cell
 * (row, 2c + 1), the text in it (row, 2c + 2).
 */
#include "forms/expr_impl.h"
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

#define RETURNS_MAX 100u /* so many carriage returns make a blank line */

struct csv {
    struct str in; /* the window */
    size_t at;
    const struct list_bytes *more; /* what comes behind the window; NULL = nothing */
    size_t read;                   /* bytes taken from there */
    char *window;
    enum err failed;
    char separator;
    uint32_t line;
    char *text; /* unescaped cells */
    size_t text_n, text_max;
    struct diag *d;
};

/* Moves the window on; what was not yet looked at stays in it. */
static void csv_fill(struct csv *c)
{
    size_t left = c->in.n - c->at, n = 1;
    memmove(c->window, c->in.p + c->at, left);
    c->at = 0;
    while (left < LIST_WINDOW && n > 0 && !c->failed) {
        n = 0;
        c->failed = c->more->read(c->more->self, c->read, c->window + left, LIST_WINDOW - left, &n, c->d);
        c->read += n;
        left += n;
    }
    c->in = (struct str){c->window, left};
    if (!c->failed && c->read > LIST_BYTES_MAX)
        c->failed = list_too_large(c->read, c->d);
    if (n == 0 || c->failed)
        c->more = NULL;
}

static bool csv_at_end(struct csv *c)
{
    if (c->at >= c->in.n && c->more)
        csv_fill(c);
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
        } else if (!quoted && ch == '\r') { /* with a line feed, or alone from an old spreadsheet */
            if (csv_at_end(c) || c->in.p[c->at] == '\n')
                continue;
            *last_out = true;
            c->line++;
            return ERR_OK;
        }
        c->line += ch == '\n';
        if (c->text_n == c->text_max)
            return diag_set_at(c->d, ERR_LIMIT, line, 0, "line %u of the list is longer than %u bytes", line,
                               LIST_ROW_BYTES_MAX);
        c->text[c->text_n++] = ch;
    }
}

static bool csv_blank_line(struct csv *c)
{
    if (c->in.n - c->at < RETURNS_MAX + 2 && c->more)
        csv_fill(c);
    size_t i = c->at;
    while (i < c->in.n && i - c->at < RETURNS_MAX && c->in.p[i] == '\r')
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
    in = str_sub(in, 0, LIST_WINDOW);
    for (size_t i = 0; i < in.n && (quoted || (in.p[i] != '\n' && in.p[i] != '\r')); i++) {
        if (in.p[i] == '"')
            quoted = !quoted;
        else if (!quoted && in.p[i] == ';')
            return ';';
    }
    return ',';
}

static enum err read_header(struct csv *c, struct arena *a, struct str **columns_out, uint32_t *count_out)
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
    *columns_out = columns.at;
    *count_out = columns.count;
    return c->failed;
}

/* One row, its cells appended to the text; `from` has room for one more than the columns. Short rows are
 * padded with empty cells, further cells of long ones dropped. */
static enum err read_row(struct csv *c, uint32_t columns, uint32_t *from)
{
    bool last = false;
    for (uint32_t column = 0; column < columns || !last; column++) {
        size_t at = c->text_n;
        enum err rc = last ? ERR_OK : csv_field(c, &last);
        if (rc)
            return rc;
        if (column < columns)
            from[column] = (uint32_t)at;
        else
            c->text_n = at;
    }
    from[columns] = (uint32_t)c->text_n;
    return c->failed;
}

static uint32_t column_named(const struct str *columns, uint32_t count, struct str name)
{
    uint32_t i = 0;
    while (i < count && !str_eq(columns[i], name))
        i++;
    return i;
}

/* Is the row of the wanted part of itemsets.csv? */
static bool wanted(const struct csv *c, struct str only, uint32_t column, const uint32_t *from)
{
    if (!only.p)
        return true;
    return str_eq((struct str){c->text + from[column], from[column + 1] - from[column]}, only);
}

static enum err read_rows(struct csv *c, struct arena *a, struct list *l, struct str only)
{
    VEC(uint32_t) offsets = {0};
    uint32_t *row = arena_array(a, l->column_count + 1u, sizeof(*row));
    uint32_t by = column_named(l->columns, l->column_count, STR("list_name"));
    while (row && !csv_at_end(c)) {
        size_t before = c->text_n;
        if (csv_blank_line(c))
            continue;
        enum err rc = read_row(c, l->column_count, row);
        if (rc)
            return rc;
        if (only.p && (by == l->column_count || !wanted(c, only, by, row))) {
            c->text_n = before;
            continue;
        }
        if (l->row_count >= LIST_ROWS_MAX)
            return diag_set_at(c->d, ERR_LIMIT, c->line, 0, "the list has more than %d rows", LIST_ROWS_MAX);
        for (uint32_t i = 0; i < l->column_count; i++) {
            uint32_t *slot = vec_push(a, &offsets);
            if (!slot)
                return ERR_NOMEM;
            *slot = row[i];
        }
        l->row_count++;
    }
    uint32_t *end = row ? vec_push(a, &offsets) : NULL;
    if (!end)
        return ERR_NOMEM;
    *end = (uint32_t)c->text_n;
    l->offsets = offsets.at;
    return ERR_OK;
}

enum err list_read(struct arena *a, struct str csv, char separator, struct str only, uint32_t index,
                   const struct tree **tree_out, struct diag *d)
{
    struct list *l = ARENA_NEW(a, struct list);
    if (l)
        l->indexes = ARENA_NEW(a, struct tree_indexes);
    struct csv c = {.in = csv,
                    .separator = separator,
                    .line = 1,
                    .text = arena_alloc(a, csv.n + 1),
                    .text_max = csv.n + 1,
                    .d = d};
    if (!l || !l->indexes || !c.text)
        return diag_set(d, ERR_NOMEM, "no memory left to read this list");
    l->tree = (struct tree){&list_ops, index};
    l->indexes->arena = a;
    l->text = c.text;
    enum err rc = read_header(&c, a, &l->columns, &l->column_count);
    if (!rc)
        rc = read_rows(&c, a, l, only);
    if (rc)
        return diag_set(d, rc, "no memory left to read this list");
    *tree_out = &l->tree;
    return ERR_OK;
}

enum err list_too_large(size_t n, struct diag *d)
{
    return diag_set(d, ERR_LIMIT, "a list of %zu bytes is larger than the %u that are allowed", n,
                    LIST_BYTES_MAX);
}

/* Without the mark some programs put first. */
static struct str without_mark(struct str csv)
{
    return str_starts(csv, STR("\xEF\xBB\xBF")) ? str_sub(csv, 3, csv.n) : csv;
}

static enum err csv_open(struct str *csv, struct diag *d)
{
    if (csv->n > LIST_BYTES_MAX)
        return list_too_large(csv->n, d);
    *csv = without_mark(*csv);
    return ERR_OK;
}

enum err list_from_csv(struct arena *a, struct str csv, uint32_t index, const struct tree **tree_out,
                       struct diag *d)
{
    enum err rc = csv_open(&csv, d);
    return rc ? rc : list_read(a, csv, csv_separator(csv), STR_NONE, index, tree_out, d);
}

/* -- by uri
 * ------------------------------------------------------------------------------------------------------ */

static struct str list_name(struct str uri)
{
    const struct str folder = STR("jr://itemsets/");
    return str_starts(uri, folder) ? str_sub(uri, folder.n, uri.n) : STR_NONE;
}

static bool is_csv(struct str uri)
{
    return list_name(uri).p || str_starts(uri, STR("jr://file-csv/")) || str_ends(uri, STR(".csv"));
}

enum err list_from_uri(struct arena *a, struct str uri, struct str bytes, uint32_t index,
                       const struct tree **tree_out, struct diag *d)
{
    if (is_csv(uri)) {
        enum err rc = csv_open(&bytes, d);
        return rc ? rc : list_read(a, bytes, csv_separator(bytes), list_name(uri), index, tree_out, d);
    }
    if (str_ends(uri, STR(".geojson")))
        return list_from_geojson(a, bytes, index, tree_out, d);
    return xml_tree_read(a, bytes, index, tree_out, d);
}

enum err list_irregular(struct diag *d)
{
    return diag_set(d, ERR_STATE, "the list is no plain table");
}

/* A table can be kept elsewhere when its columns have different names. */
static enum err give_shape(const struct list_sink *sink, const struct str *columns, uint32_t count,
                           struct diag *d)
{
    struct list_shape shape = {.root = STR("root"),
                               .item = STR("item"),
                               .columns = columns,
                               .column_count = count};
    if (count == 0 || count > LIST_COLUMNS_MAX)
        return list_irregular(d);
    for (uint32_t i = 0; i < count; i++)
        if (column_named(columns, count, columns[i]) != i || !utf8_valid(columns[i]))
            return list_irregular(d);
    return sink->shape(sink->self, &shape, d);
}

static enum err give_rows(struct csv *c, uint32_t count, struct str only, uint32_t by, uint32_t *from,
                          struct str *cells, const struct list_sink *sink)
{
    enum err rc = ERR_OK;
    for (uint32_t rows = 0; !rc && !csv_at_end(c);) {
        if (csv_blank_line(c))
            continue;
        c->text_n = 0;
        rc = read_row(c, count, from);
        if (rc || !wanted(c, only, by, from))
            continue;
        if (++rows > LIST_ROWS_MAX)
            return diag_set_at(c->d, ERR_LIMIT, c->line, 0, "the list has more than %d rows", LIST_ROWS_MAX);
        if (!utf8_valid((struct str){c->text, c->text_n}))
            return list_irregular(c->d);
        for (uint32_t i = 0; i < count; i++)
            cells[i] = (struct str){c->text + from[i], from[i + 1] - from[i]};
        rc = sink->row(sink->self, cells, c->d);
    }
    return rc ? rc : c->failed;
}

static enum err import_rows(struct csv *c, struct arena *a, struct str only, const struct list_sink *sink)
{
    struct str *columns = NULL;
    uint32_t count = 0;
    enum err rc = read_header(c, a, &columns, &count);
    for (uint32_t i = 0; !rc && i < count; i++) {
        columns[i] = arena_str(a, columns[i]);
        rc = columns[i].p ? ERR_OK : ERR_NOMEM;
    }
    uint32_t by = column_named(columns, count, STR("list_name"));
    if (!rc && only.p && by == count)
        rc = diag_set(c->d, ERR_SYNTAX, "itemsets.csv has no column list_name");
    if (!rc)
        rc = give_shape(sink, columns, count, c->d);
    uint32_t *from = ARENA_ARRAY(a, uint32_t, count + 1u);
    struct str *cells = ARENA_ARRAY(a, struct str, count + 1u);
    if (!rc)
        rc = from && cells ? give_rows(c, count, only, by, from, cells, sink) : ERR_NOMEM;
    return rc;
}

/* The text of a row grows with the longest row there is. */
static enum err import_csv(const struct list_bytes *bytes, struct str only, const struct list_sink *sink,
                           struct diag *d)
{
    struct arena a;
    enum err rc = ERR_NOMEM;
    arena_init(&a, (size_t)16 << 20);
    struct csv c = {.more = bytes, .line = 1, .d = d, .in = STR("")};
    c.window = arena_alloc(&a, LIST_WINDOW);
    if (c.window) {
        csv_fill(&c);
        c.in = without_mark(c.in);
        c.separator = csv_separator(c.in);
        c.text_max = c.more ? LIST_ROW_BYTES_MAX : c.in.n + 1;
        c.text = arena_alloc(&a, c.text_max);
    }
    if (c.text)
        rc = c.failed ? c.failed : import_rows(&c, &a, only, sink);
    arena_free(&a);
    return rc ? diag_set(d, rc, "no memory left to read this list") : ERR_OK;
}

static enum err import_geojson(const struct list_bytes *bytes, const struct list_sink *sink, struct diag *d)
{
    struct buf text, csv;
    char piece[4096];
    size_t n = 1;
    enum err rc = ERR_OK;
    buf_init(&text, LIST_BYTES_MAX);
    buf_init(&csv, LIST_BYTES_MAX);
    while (!rc && n > 0) {
        n = 0;
        rc = bytes->read(bytes->self, text.n, piece, sizeof(piece), &n, d);
        buf_put(&text, piece, n);
        rc = rc ? rc : text.failed;
    }
    if (!rc)
        rc = geojson_csv(buf_str(&text), &csv, d);
    buf_free(&text);
    struct str rows = buf_str(&csv);
    struct list_bytes source = list_bytes_of(&rows);
    if (!rc)
        rc = import_csv(&source, STR_NONE, sink, d);
    buf_free(&csv);
    return rc;
}

enum err list_import(struct str uri, const struct list_bytes *bytes, const struct list_sink *sink,
                     struct diag *d)
{
    if (is_csv(uri))
        return import_csv(bytes, list_name(uri), sink, d);
    return str_ends(uri, STR(".geojson")) ? import_geojson(bytes, sink, d) : list_import_xml(bytes, sink, d);
}

static enum err read_memory(void *self, size_t at, char *out, size_t room, size_t *n_out, struct diag *d)
{
    struct str rest = str_sub(*(const struct str *)self, at, room);
    (void)d;
    if (rest.n)
        memcpy(out, rest.p, rest.n);
    *n_out = rest.n;
    return ERR_OK;
}

struct list_bytes list_bytes_of(const struct str *bytes)
{
    return (struct list_bytes){(void *)(uintptr_t)bytes, read_memory};
}

/* -- numbers
 * ------------------------------------------------------------------------------------------------------ */

/* As value_quantity() takes the text of a form: comma or point, "5."; a date or time is no plain number. */
enum list_number list_number(struct str cell, double *number_out)
{
    struct eval e = {.odk = true};
    struct civil c = {0};
    double n = text_number(&e, cell);
    *number_out = n;
    if (!isnan(n))
        return LIST_NUMBER;
    cell = str_trim(cell);
    return cell.n >= 8 && civil_read(cell, &c) && c.has_date ? LIST_MOMENT : LIST_NO_NUMBER;
}
