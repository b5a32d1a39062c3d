/* Functions that only a form has: pulldata('list', 'wanted column', 'key column', key). They look into the
 * secondary instances of the session, through the index of the list.
 */
#include "forms/instance.h"

/* "villages", "villages.csv" and "jr://file-csv/villages.csv" are the same list. */
static bool same_list(const struct resource *r, struct str name)
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
        if (!t || !same_list(&s->form->resources.at[i], args[0].text))
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

const struct expr_function form_functions[] = {
    {"pulldata",
     4,
     4,
     {ARG_STRING, ARG_STRING, ARG_STRING, ARG_STRING},
     ARG_STRING,
     EXPR_USES_HOST,
     fn_pulldata},
};
const uint32_t form_function_count = sizeof(form_functions) / sizeof(*form_functions);
