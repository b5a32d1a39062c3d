/* What the expressions of a form ask of its lists: the columns an index would serve, composite where `and`
 * joins equalities. Equalities have no order of their own, so that a wish with fewer columns comes first
 * inside one with more, and one index serves both.
 */
#include "forms/expr_impl.h"
#include "forms/instance.h"
#include "forms/list.h"

#define WISHES_MAX 24u /* per list; a form that asks in more ways has the rest looked up slowly */

struct wishing {
    const struct form *form;
    const struct resource *resource;
    struct list_wish *at;
    uint32_t count;
};

static bool has_column(const struct list_wish *w, struct str column)
{
    for (uint32_t i = 0; i < w->count; i++)
        if (str_eq(w->columns[i], column))
            return true;
    return false;
}

static bool within(const struct list_wish *small, const struct list_wish *large)
{
    for (uint32_t i = 0; i < small->count; i++)
        if (!has_column(large, small->columns[i]))
            return false;
    return small->numeric == large->numeric;
}

static void wish(struct wishing *w, const struct list_wish *one)
{
    for (uint32_t i = 0; i < w->count; i++)
        if (w->at[i].count == one->count && within(one, &w->at[i]))
            return;
    if (one->count && w->count < WISHES_MAX)
        w->at[w->count++] = *one;
}

/* An equality with a node that holds a number is compared by number. */
static bool is_numeric(const struct form *f, uint32_t ref)
{
    uint32_t node = ref == EXPR_REF_NONE ? NONE : ref_node(ref);
    if (node >= f->nodes.count)
        return false;
    return f->nodes.at[node].type == FIELD_INT || f->nodes.at[node].type == FIELD_DECIMAL;
}

static void visit(struct wishing *w, const struct expr *x)
{
    for (uint32_t i = 0; x && i < x->wishes.count; i++) {
        const struct filter_wish *from = &x->wishes.at[i];
        struct list_wish joined = {.count = 0};
        if (from->file ? !resource_is_file(w->resource, from->list) : !str_eq(from->list, w->resource->id))
            continue;
        for (uint32_t c = 0; c < from->count; c++) {
            if (from->numeric || is_numeric(w->form, from->refs[c]))
                wish(w, &(struct list_wish){{from->columns[c]}, 1, true});
            else if (!has_column(&joined, from->columns[c]))
                joined.columns[joined.count++] = from->columns[c];
        }
        wish(w, &joined);
    }
}

static void visit_label(struct wishing *w, const struct label *l)
{
    visit(w, l->text_id);
}

static void visit_form(struct wishing *w)
{
    const struct form *f = w->form;
    for (uint32_t i = 0; i < f->binds.count; i++) {
        for (uint32_t k = 0; k < PROP_KINDS; k++)
            visit(w, f->binds.at[i].expr[k]);
        visit_label(w, &f->binds.at[i].constraint_message);
        visit_label(w, &f->binds.at[i].required_message);
    }
    for (uint32_t i = 0; i < f->controls.count; i++) {
        const struct control *c = &f->controls.at[i];
        visit(w, c->count);
        visit(w, c->itemset);
        visit(w, c->item_value);
        visit(w, c->item_label);
        visit(w, c->search);
        visit_label(w, &c->label);
        visit_label(w, &c->hint);
    }
    for (uint32_t i = 0; i < f->actions.count; i++) {
        visit(w, f->actions.at[i].value);
        visit(w, f->actions.at[i].target_nodes);
    }
    for (uint32_t i = 0; i < f->segments.count; i++)
        visit(w, f->segments.at[i].output);
    for (uint32_t i = 0; i < f->choices.count; i++)
        visit_label(w, &f->choices.at[i].label);
}

/* Columns of the largest wish inside this one come first, in their order; wishes come from few columns to
 * many. */
static void order_columns(struct list_wish *all, uint32_t i)
{
    struct list_wish *w = &all[i], done;
    const struct list_wish *inner = NULL;
    for (uint32_t k = 0; k < i; k++)
        if (all[k].count < w->count && within(&all[k], w) && (!inner || all[k].count > inner->count))
            inner = &all[k];
    if (!inner)
        return;
    done = *inner;
    for (uint32_t c = 0; c < w->count; c++)
        if (!has_column(inner, w->columns[c]))
            done.columns[done.count++] = w->columns[c];
    *w = done;
}

static bool begins(const struct list_wish *small, const struct list_wish *large)
{
    if (small->count >= large->count || small->numeric != large->numeric)
        return false;
    for (uint32_t i = 0; i < small->count; i++)
        if (!str_eq(small->columns[i], large->columns[i]))
            return false;
    return true;
}

enum err form_list_wishes(const struct form *f, uint32_t resource, struct arena *a,
                          struct list_wish **wishes_out, uint32_t *count_out)
{
    struct wishing w = {.form = f, .resource = &f->resources.at[resource]};
    struct list_wish sorted[WISHES_MAX];
    uint32_t count = 0, kept = 0;
    w.at = ARENA_ARRAY(a, struct list_wish, WISHES_MAX);
    if (!w.at)
        return ERR_NOMEM;
    visit_form(&w);
    for (uint32_t n = 1; n <= LIST_WISH_MAX; n++)
        for (uint32_t i = 0; i < w.count; i++)
            if (w.at[i].count == n)
                sorted[count++] = w.at[i];
    for (uint32_t i = 0; i < count; i++)
        order_columns(sorted, i);
    for (uint32_t i = 0; i < count; i++) {
        bool covered = false;
        for (uint32_t k = 0; k < count; k++)
            covered |= begins(&sorted[i], &sorted[k]);
        if (!covered)
            w.at[kept++] = sorted[i];
    }
    *wishes_out = w.at;
    *count_out = kept;
    return ERR_OK;
}

enum err form_lists_prepare(const struct form *f, const struct list_host *host, struct diag *d)
{
    struct arena a;
    enum err rc = ERR_OK;
    arena_init(&a, 1u << 20);
    for (uint32_t i = 0; !rc && i < f->external.count; i++) {
        struct arena_mark mark = arena_mark(&a);
        struct list_wish *wishes;
        struct list_shape shape;
        uint32_t count, r = f->external.at[i];
        rc = form_list_wishes(f, r, &a, &wishes, &count);
        if (!rc)
            rc = host->open(host->self, f->resources.at[r].uri, wishes, count, &shape, d);
        if (rc == ERR_NOT_FOUND || rc == ERR_STATE)
            rc = ERR_OK;
        arena_release(&a, mark);
    }
    arena_free(&a);
    return rc;
}
