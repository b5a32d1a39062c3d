/* Hash indexes over static trees; see tree_index.h. Works through tree_ops alone, so XML and CSV share it. */
#include "forms/tree_index.h"

static bool named(const struct tree *t, struct node n, struct str name)
{
    return t->ops->kind(t, n) == NODE_ELEMENT && str_eq(t->ops->name(t, n).local, name);
}

static struct tree_index_slot *slot_of(const struct tree_index *x, struct str text)
{
    for (uint32_t i = (uint32_t)str_hash(text) & x->mask;; i = (i + 1) & x->mask)
        if (!x->slots[i].text.p || str_eq(x->slots[i].text, text))
            return &x->slots[i];
}

/* Walks items backwards, so that pushing to the front leaves each chain in document order. */
static enum err fill(const struct tree *t, struct tree_index *x, struct arena *a, struct node last)
{
    struct node item = last, c;
    do {
        if (!named(t, item, x->item))
            continue;
        for (bool more = t->ops->first_child(t, item, &c); more; more = t->ops->next_sibling(t, c, &c)) {
            if (!named(t, c, x->column))
                continue;
            struct str text = t->ops->text(t, c, a);
            struct tree_index_slot *s = slot_of(x, text.p ? text : STR(""));
            if (s->text.p && node_same(x->entries.at[s->first - 1].item, item))
                continue;
            struct tree_index_entry *entry = vec_push(a, &x->entries);
            if (!entry)
                return ERR_NOMEM;
            *entry = (struct tree_index_entry){item, s->text.p ? s->first : 0};
            s->text = text.p ? text : STR("");
            s->first = x->entries.count;
        }
    } while (t->ops->prev_sibling(t, item, &item));
    return ERR_OK;
}

static enum err build(const struct tree *t, struct tree_index *x, struct arena *a)
{
    struct node n, last, c;
    uint64_t cells = 0;
    if (!t->ops->first_child(t, x->parent, &n))
        return ERR_OK;
    do {
        last = n;
        if (named(t, n, x->item))
            for (bool more = t->ops->first_child(t, n, &c); more; more = t->ops->next_sibling(t, c, &c))
                cells += named(t, c, x->column);
    } while (t->ops->next_sibling(t, n, &n));
    uint64_t room = 16;
    while (room < cells * 2)
        room *= 2;
    if (room > UINT32_MAX)
        return ERR_LIMIT;
    x->slots = arena_array(a, room, sizeof(*x->slots));
    if (!x->slots)
        return ERR_NOMEM;
    x->mask = (uint32_t)(room - 1);
    return fill(t, x, a, last);
}

static enum err push(struct arena *scratch, struct nodes *out, uint32_t *room, struct node n)
{
    struct node *slot = vec_push_raw(scratch, (void **)&out->at, &out->count, room, sizeof(n));
    if (!slot)
        return ERR_NOMEM;
    *slot = n;
    return ERR_OK;
}

static enum err scan(const struct tree *t, struct node parent, struct str item, struct str column,
                     struct str text, struct arena *scratch, struct nodes *out)
{
    struct node n, c;
    uint32_t room = 0;
    enum err rc = ERR_OK;
    for (bool more = t->ops->first_child(t, parent, &n); more && !rc; more = t->ops->next_sibling(t, n, &n)) {
        bool found = false;
        if (named(t, n, item))
            for (bool cell = t->ops->first_child(t, n, &c); cell && !found;
                 cell = t->ops->next_sibling(t, c, &c))
                found = named(t, c, column) && str_eq(t->ops->text(t, c, scratch), text);
        if (found)
            rc = push(scratch, out, &room, n);
    }
    return rc;
}

enum err tree_index_find(const struct tree *t, struct tree_indexes *cache, struct node parent,
                         struct str item, struct str column, struct str text, struct arena *scratch,
                         struct nodes *out)
{
    struct tree_index *x = NULL;
    for (uint32_t i = 0; i < cache->count && !x; i++)
        if (node_same(cache->at[i].parent, parent) && str_eq(cache->at[i].column, column) &&
            str_eq(cache->at[i].item, item))
            x = &cache->at[i];
    if (!x && cache->count == TREE_INDEXES_MAX)
        return scan(t, parent, item, column, text, scratch, out);
    if (!x) {
        struct tree_index made = {.parent = parent,
                                  .item = arena_str(cache->arena, item),
                                  .column = arena_str(cache->arena, column)};
        if (!made.item.p || !made.column.p)
            return ERR_NOMEM;
        enum err rc = build(t, &made, cache->arena);
        if (rc)
            return rc;
        x = &cache->at[cache->count++];
        *x = made;
    }
    if (!x->slots)
        return ERR_OK;
    const struct tree_index_slot *s = slot_of(x, text);
    uint32_t room = 0;
    for (uint32_t i = s->text.p ? s->first : 0; i; i = x->entries.at[i - 1].next) {
        enum err rc = push(scratch, out, &room, x->entries.at[i - 1].item);
        if (rc)
            return rc;
    }
    return ERR_OK;
}
