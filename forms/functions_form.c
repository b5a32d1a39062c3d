/* Functions that only a form has: pulldata('list', 'wanted column', 'key column', key) and, in appearances,
 * search(). They look into the secondary instances of the session, through the index of the list.
 */
#include "forms/expr_impl.h"
#include "forms/instance.h"

static bool child_by_name(const struct tree *t, struct node parent, struct str local, struct node *out)
{
    bool attribute = str_starts(local, STR("@"));
    struct str name = str_sub(local, attribute, local.n);
    bool there = attribute ? t->ops->first_attribute(t, parent, out) : t->ops->first_child(t, parent, out);
    while (there && !str_eq(t->ops->name(t, *out).local, name))
        there = attribute ? t->ops->next_attribute(t, *out, out) : t->ops->next_sibling(t, *out, out);
    return there;
}

static enum err first_item(const struct tree *t, struct node rows, struct str column, struct str key,
                           struct arena *scratch, struct node *out, bool *found_out)
{
    struct nodes hits = {0};
    struct node cell;
    *found_out = false;
    if (t->ops->find && !str_starts(column, STR("@"))) {
        enum err rc = t->ops->find(t, rows, STR("item"), column, key, scratch, &hits);
        if (!rc && hits.count) {
            *out = hits.at[0];
            *found_out = true;
        }
        return rc == ERR_NOT_FOUND ? ERR_OK : rc;
    }
    for (bool there = t->ops->first_child(t, rows, out); there; there = t->ops->next_sibling(t, *out, out)) {
        if (child_by_name(t, *out, column, &cell) && str_eq(t->ops->text(t, cell, scratch), key)) {
            *found_out = true;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

static enum err fn_pulldata(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    const struct session *s = e->host;
    (void)count;
    *out = (struct value){.type = VALUE_STRING, .text = STR("")};
    for (uint32_t i = 0; i < s->form->resources.count; i++) {
        const struct tree *t = s->trees[i + 1];
        struct node rows, item, cell;
        bool found = false;
        if (!t || !resource_is_file(&s->form->resources.at[i], args[0].text))
            continue;
        if (!t->ops->first_child(t, s->roots[i + 1], &rows) || args[3].text.n == 0)
            return ERR_OK;
        enum err rc = first_item(t, rows, args[2].text, args[3].text, e->scratch, &item, &found);
        if (!rc && found && child_by_name(t, item, args[1].text, &cell))
            out->text = t->ops->text(t, cell, e->scratch);
        return rc;
    }
    diag_set(e->diag, ERR_NOT_FOUND, "pulldata(): there is no list \"%.*s\".", STR_ARG(args[0].text));
    return ERR_OK;
}

/* --- search('file', 'contains', 'name,label', text, 'filter column', value) --- */

enum { SEARCH_COLUMNS_MAX = 32 };

struct searching {
    struct eval *e;
    const struct tree *t;
    enum list_op op;
    struct str columns[SEARCH_COLUMNS_MAX];
    uint32_t column_count;
    struct str text;
    struct node_list found;
};

static bool has_nocase(struct str s, struct str part)
{
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (str_eq_nocase(str_sub(s, i, part.n), part))
            return true;
    return false;
}

/* As Collect's SQL has it: without regard to the case of ASCII letters. */
static bool cell_matches(enum list_op op, struct str cell, struct str text)
{
    switch (op) {
    case LIST_STARTS: return cell.n >= text.n && str_eq_nocase(str_sub(cell, 0, text.n), text);
    case LIST_ENDS: return cell.n >= text.n && str_eq_nocase(str_sub(cell, cell.n - text.n, text.n), text);
    case LIST_EQ: return str_eq_nocase(cell, text);
    default: return has_nocase(cell, text);
    }
}

static enum err search_row(void *to, struct node item)
{
    struct searching *s = to;
    struct node cell;
    bool found = s->column_count == 0;
    struct arena_mark mark = arena_mark(s->e->scratch);
    for (uint32_t i = 0; i < s->column_count && !found; i++)
        found = child_by_name(s->t, item, s->columns[i], &cell) &&
                cell_matches(s->op, s->t->ops->text(s->t, cell, s->e->scratch), s->text);
    arena_release(s->e->scratch, mark);
    if (!spend(s->e, 1))
        return ERR_LIMIT;
    return found ? node_list_push(s->e, &s->found, item) : ERR_OK;
}

/* Rows of the filter, or all: asked of the host where it keeps the list. */
static enum err search_rows(struct searching *s, struct node rows, const struct value *args, uint32_t count)
{
    const struct tree *t = s->t;
    struct node item, cell;
    struct list_term filter = {.op = LIST_TRUE, .text = STR("")};
    enum err rc = ERR_OK;
    bool filtered = count == 6;
    if (t->ops->query) {
        filter.op = filtered ? LIST_EQ : LIST_TRUE;
        filter.text = filtered ? args[5].text : STR("");
        if (filtered && !t->ops->query->column(t, args[4].text, &filter.column))
            return ERR_OK;
        return t->ops->query->rows(t, &(struct list_query){&filter, 1}, 0, UINT32_MAX, search_row, s);
    }
    for (bool more = t->ops->first_child(t, rows, &item); more && !rc;
         more = t->ops->next_sibling(t, item, &item)) {
        if (t->ops->kind(t, item) != NODE_ELEMENT)
            continue;
        if (!filtered || (child_by_name(t, item, args[4].text, &cell) &&
                          str_eq(t->ops->text(t, cell, s->e->scratch), args[5].text)))
            rc = search_row(s, item);
    }
    return rc;
}

struct sorted {
    double by;
    uint32_t place;
};

/* By the column "sortby" where there is one, blanks last; else as in the file. A merge from below. */
static enum err search_sort(struct searching *s)
{
    uint32_t n = s->found.count;
    struct node cell;
    if (n == 0 || !child_by_name(s->t, s->found.at[0], STR("sortby"), &cell))
        return ERR_OK;
    struct sorted *a = ARENA_ARRAY(s->e->scratch, struct sorted, n);
    struct sorted *b = ARENA_ARRAY(s->e->scratch, struct sorted, n);
    struct node *at = ARENA_ARRAY(s->e->scratch, struct node, n);
    if (!a || !b || !at)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < n; i++) {
        a[i] = (struct sorted){INFINITY, i};
        if (child_by_name(s->t, s->found.at[i], STR("sortby"), &cell))
            a[i].by = text_number(s->e, s->t->ops->text(s->t, cell, s->e->scratch));
        if (isnan(a[i].by))
            a[i].by = INFINITY;
    }
    for (uint32_t width = 1; width < n; width *= 2) {
        for (uint32_t from = 0; from < n; from += 2 * width) {
            uint32_t mid = from + width < n ? from + width : n, end = mid + width < n ? mid + width : n;
            uint32_t x = from, y = mid;
            for (uint32_t k = from; k < end; k++)
                b[k] = x < mid && (y >= end || a[x].by <= a[y].by) ? a[x++] : a[y++];
        }
        struct sorted *swap = a;
        a = b;
        b = swap;
    }
    for (uint32_t i = 0; i < n; i++)
        at[i] = s->found.at[a[i].place];
    s->found.at = at;
    return ERR_OK;
}

static enum err fn_search(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    const struct session *session = e->host;
    struct searching s = {.e = e, .op = LIST_CONTAINS};
    struct str rest = count > 1 ? args[2].text : STR(""), column;
    struct node rows;
    enum err rc = ERR_OK;
    static const struct {
        const char *name;
        enum list_op op;
    } types[] = {{"startswith", LIST_STARTS}, {"endswith", LIST_ENDS}, {"matches", LIST_EQ}};
    for (size_t i = 0; i < sizeof(types) / sizeof(*types) && count > 1; i++)
        if (str_eq_nocase(str_trim(args[1].text), str_of(types[i].name)))
            s.op = types[i].op;
    while (str_split(&rest, ',', &column) && s.column_count < SEARCH_COLUMNS_MAX)
        if (str_trim(column).n)
            s.columns[s.column_count++] = str_trim(column);
    s.text = count > 1 ? args[3].text : STR("");
    for (uint32_t i = 0; i < session->form->resources.count && !s.t; i++) {
        if (!session->trees[i + 1] || !resource_is_file(&session->form->resources.at[i], args[0].text))
            continue;
        s.t = session->trees[i + 1];
        if (s.t->ops->first_child(s.t, session->roots[i + 1], &rows))
            rc = search_rows(&s, rows, args, count);
    }
    if (!rc)
        rc = search_sort(&s);
    return rc ? rc : node_list_value(e, &s.found, true, out);
}

const struct expr_function form_functions[] = {
    {"pulldata",
     4,
     4,
     {ARG_STRING, ARG_STRING, ARG_STRING, ARG_STRING},
     ARG_STRING,
     EXPR_USES_HOST,
     fn_pulldata},
    {"search", 1, 6, {ARG_STRING, ARG_STRING, ARG_STRING, ARG_STRING}, ARG_NODES, EXPR_USES_HOST, fn_search},
};
const uint32_t form_function_count = sizeof(form_functions) / sizeof(*form_functions);
