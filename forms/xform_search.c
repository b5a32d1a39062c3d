/* Choices that no instance of the form declares: search('file', ...) in an appearance, the query of a
 * select_one_external, and the lists that pulldata() names. Each becomes a secondary instance like any other,
 * so that it is fetched, kept and asked as those are.
 */
#include "forms/expr_impl.h"
#include "forms/list.h"
#include "forms/model.h"
#include "forms/xml_doc.h"

/* "villages", "villages.csv" and "jr://file-csv/villages.csv" are the same list. */
bool resource_is_file(const struct resource *r, struct str name)
{
    struct str file = r->uri;
    for (ptrdiff_t slash = str_find(file, STR("/")); slash >= 0; slash = str_find(file, STR("/")))
        file = str_sub(file, (size_t)slash + 1, file.n);
    if (str_eq(r->id, name) || str_eq(file, name))
        return true;
    ptrdiff_t dot = str_find(file, STR("."));
    ptrdiff_t name_dot = str_find(name, STR("."));
    return (dot > 0 && str_eq(str_sub(file, 0, (size_t)dot), name)) ||
           (name_dot > 0 && str_eq(r->id, str_sub(name, 0, (size_t)name_dot)));
}

static void add_resource(struct loader *l, struct str id, const char *folder, const char *end)
{
    struct form *f = l->form;
    struct buf uri;
    uint32_t before;
    if (map_get(&f->resource_ids, id, &before))
        return;
    buf_init(&uri, 4096);
    buf_put_z(&uri, folder);
    buf_put_str(&uri, id);
    buf_put_z(&uri, end);
    struct resource *r = uri.failed ? NULL : vec_push(l->a, &f->resources);
    uint32_t *external = r ? vec_push(l->a, &f->external) : NULL;
    if (external) {
        *r = (struct resource){.id = load_str(l, id), .uri = load_str(l, buf_str(&uri))};
        *external = f->resources.count - 1;
    }
    buf_free(&uri);
    if (!external || map_put(&f->resource_ids, f->resources.at[*external].id, *external) != ERR_OK)
        load_nomem(l);
}

/* Files that pulldata() and search() of an expression name, and no instance declares. */
void load_named_files(struct loader *l, const struct expr *x)
{
    for (uint32_t i = 0; x && i < x->wishes.count; i++) {
        const struct filter_wish *w = &x->wishes.at[i];
        bool there = !w->file;
        for (uint32_t r = 0; r < l->form->resources.count && !there; r++)
            there = resource_is_file(&l->form->resources.at[r], w->list);
        if (there)
            continue;
        bool named = str_ends(w->list, STR(".csv"));
        add_resource(l, named ? str_sub(w->list, 0, w->list.n - 4) : w->list, "jr://file-csv/", ".csv");
    }
}

/* <input query="instance('counties')/root/item[state = /data/state]">: rows of itemsets.csv. */
void load_query(struct loader *l, uint32_t element, uint32_t control, uint32_t context)
{
    struct str query = str_trim(xml_attr(l->doc, element, "", "query"));
    ptrdiff_t open = str_find(query, STR("instance("));
    if (open >= 0) {
        struct str id = str_trim(str_sub(query, (size_t)open + 9, query.n));
        ptrdiff_t end = id.n > 1 ? str_find(str_sub(id, 1, id.n), (struct str){id.p, 1}) : -1;
        if (end > 0)
            add_resource(l, str_sub(id, 1, (size_t)end), "jr://itemsets/", "");
    }
    const struct expr *set = load_expr(l, element, context, query, "query", true);
    const struct expr *value = load_expr(l, element, NONE, STR("name"), "query", false);
    const struct expr *label = load_expr(l, element, NONE, STR("label"), "query", false);
    struct control *c = &l->form->controls.at[control];
    c->itemset = set;
    c->item_value = value;
    c->item_label = label;
}

/* The call inside the appearance: up to the bracket that closes it, quotes minded. */
static struct str search_call(struct str appearance)
{
    ptrdiff_t from = str_find(appearance, STR("search("));
    struct str call = from < 0 ? STR("") : str_sub(appearance, (size_t)from, appearance.n);
    uint32_t depth = 0;
    char quote = 0;
    for (size_t i = 0; i < call.n; i++) {
        char ch = call.p[i];
        if (quote)
            quote = ch == quote ? 0 : quote;
        else if (ch == '\'' || ch == '"')
            quote = ch;
        else if (ch == '(')
            depth++;
        else if (ch == ')' && --depth == 0)
            return str_sub(call, 0, i + 1);
    }
    return call;
}

/* Collect's rule: a choice whose value is a whole number is a choice; the other one names columns. */
static bool is_whole_number(struct str text)
{
    int64_t n;
    return str_to_i64(str_trim(text), &n);
}

void load_search(struct loader *l, uint32_t element, uint32_t control, uint32_t context)
{
    struct form *f = l->form;
    struct control *c = &f->controls.at[control];
    struct str call = search_call(c->appearance);
    uint32_t last = c->choice_first + c->choice_count;
    if (call.n == 0)
        return;
    const struct expr *x = load_expr(l, element, context, call, "appearance", true);
    c = &f->controls.at[control];
    for (uint32_t i = c->choice_first; x && i < last; i++) {
        if (is_whole_number(f->choices.at[i].value))
            continue;
        struct choice columns = f->choices.at[i];
        for (uint32_t k = i; k + 1 < last; k++)
            f->choices.at[k] = f->choices.at[k + 1];
        f->choices.at[last - 1] = columns;
        c->choice_count--;
        c->search = x;
        c->search_columns = last - 1;
        return;
    }
    if (x)
        load_finding(
            l, FINDING_WARNING, xml_at(l->doc, element)->line, xml_at(l->doc, element)->column, context,
            "search() needs one choice whose value and label are names of columns of its file. Without "
            "it there are only the choices written here.");
}
