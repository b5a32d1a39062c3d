/* ${name}: which node it means, and the path to it from where it stands. Inside a repeat that both share the
 * path is relative, so that it means the same instance; everywhere else it is absolute. In predicates of
 * instance() paths a relative one begins at current().
 */
#include "forms/xlsform_impl.h"

/* The next node in document order below `top`, NOWHERE at the end. */
uint32_t xl_after(struct xl *x, uint32_t i)
{
    if (xl_node(x, i)->first_child != NOWHERE)
        return xl_node(x, i)->first_child;
    while (i != NOWHERE && xl_node(x, i)->next == NOWHERE)
        i = xl_node(x, i)->parent;
    return i == NOWHERE ? NOWHERE : xl_node(x, i)->next;
}

static void learn_name(struct xl *x, uint32_t i)
{
    const struct xl_node *n = xl_node(x, i);
    uint32_t k;
    if (!n->name.n || n->kind == XL_META || n->kind == XL_ENTITY || n->kind == XL_ENTITY_FIELD ||
        n->kind == XL_EXTERNAL_INSTANCE)
        return;
    if (map_get(&x->name_index, n->name, &k)) {
        x->names.at[k].count++;
        return;
    }
    struct xl_name *name = xl_push(x, &x->names);
    if (!name)
        return;
    *name = (struct xl_name){i, 1};
    if (map_put(&x->name_index, n->name, x->names.count - 1))
        xl_check(x, NULL);
}

void xl_paths(struct xl *x)
{
    map_init(&x->name_index, x->a);
    x->names.count = 0;
    for (uint32_t i = 0; i != NOWHERE && !x->rc; i = xl_after(x, i)) {
        struct xl_node *n = xl_node(x, i);
        struct str up = n->parent == NOWHERE ? STR("") : xl_node(x, n->parent)->path;
        n->path = xl_concat(x, up, STR("/"), n->name);
        if (i > 0)
            learn_name(x, i);
    }
}

uint32_t xl_lookup(struct xl *x, struct str name, struct xl_cell cell)
{
    uint32_t k;
    if (!map_get(&x->name_index, name, &k)) {
        struct str near = STR("");
        uint32_t best = 3;
        for (uint32_t i = 0; i < x->names.count; i++) {
            uint32_t d = xl_distance(name, xl_node(x, x->names.at[i].node)->name);
            if (d < best) {
                best = d;
                near = xl_node(x, x->names.at[i].node)->name;
            }
        }
        xl_error(x, cell,
                 "The reference ${%.*s} is invalid. There is no survey element with this name: '%.*s' was "
                 "not found in the "
                 "'name' column of the survey sheet.%s%.*s%s",
                 STR_ARG(name), STR_ARG(name), near.n ? " Did you mean ${" : "", STR_ARG(near),
                 near.n ? "}?" : "");
        return NOWHERE;
    }
    if (x->names.at[k].count > 1) {
        xl_error(x, cell,
                 "The reference ${%.*s} is invalid. There are multiple survey elements with this name: a "
                 "name that is "
                 "referred to must be unique, and '%.*s' occurs %u times.",
                 STR_ARG(name), STR_ARG(name), x->names.at[k].count);
        return NOWHERE;
    }
    return x->names.at[k].node;
}

static uint32_t depth_of(struct xl *x, uint32_t i)
{
    uint32_t d = 0;
    for (; i != NOWHERE; i = xl_node(x, i)->parent)
        d++;
    return d;
}

/* The innermost node strictly above both. */
static uint32_t common_above(struct xl *x, uint32_t a, uint32_t b)
{
    uint32_t i = xl_node(x, a)->parent;
    while (i != NOWHERE && (i == b || !xl_inside(x, b, i)))
        i = xl_node(x, i)->parent;
    return i;
}

struct str xl_path_to(struct xl *x, uint32_t target, uint32_t from, bool from_parent)
{
    struct str path = xl_node(x, target)->path;
    uint32_t repeat = xl_repeat_of(x, target);
    while (from != NOWHERE && repeat != NOWHERE && (from == repeat || !xl_inside(x, from, repeat)))
        repeat = xl_repeat_of(x, repeat);
    /* Choices taken from a repeat are all its instances, also for a question inside it. */
    uint32_t own = xl_repeat_of(x, target);
    bool inside = from_parent && from != NOWHERE && own != NOWHERE && xl_inside(x, from, own);
    if (from == NOWHERE || (repeat == NOWHERE && !inside))
        return path;
    uint32_t top = inside ? xl_node(x, own)->parent : common_above(x, target, from);
    struct str up = STR("");
    for (uint32_t k = depth_of(x, from) - depth_of(x, top); k > 0; k--)
        up = xl_concat(x, up, up.n ? STR("/..") : STR(".."), STR(""));
    return xl_concat(x, up, str_sub(path, xl_node(x, top)->path.n, path.n), STR(""));
}

/* indexed-repeat(target, repeat, index, repeat, index ...): its nodes are named absolutely, its indexes not.
 */
static bool absolute_argument(struct str text, size_t at)
{
    struct str head = str_sub(text, 0, at);
    ptrdiff_t call = -1;
    for (ptrdiff_t k, from = 0;
         (k = str_find(str_sub(head, (size_t)from, head.n), STR("indexed-repeat("))) >= 0;) {
        call = from + k + 15;
        from = call;
    }
    if (call < 0)
        return false;
    uint32_t argument = 0, depth = 0;
    for (size_t i = (size_t)call; i < at; i++) {
        char c = text.p[i];
        if (c == ')' && depth == 0)
            return false;
        depth += c == '(' || c == '[' || c == '{';
        depth -= depth > 0 && (c == ')' || c == ']' || c == '}');
        argument += c == ',' && depth == 0;
    }
    return argument == 0 || argument == 1 || argument == 3 || argument == 5;
}

struct seen_from {
    uint32_t node, candidate; /* NOWHERE = none */
    bool current;
};

static void put_path(struct xl *x, struct buf *out, uint32_t target, struct seen_from from, struct str text,
                     size_t at)
{
    if (from.candidate != NOWHERE && target != from.candidate && xl_inside(x, target, from.candidate)) {
        struct str path = xl_node(x, target)->path;
        size_t n = xl_node(x, from.candidate)->path.n;
        buf_put_char(out, '.');
        buf_put_str(out, str_sub(path, n, path.n));
        return;
    }
    struct str path = xl_path_to(x, target, absolute_argument(text, at) ? NOWHERE : from.node, false);
    if (path.p[0] == '.' && (from.current || xl_in_instance_predicate(text, at)))
        buf_put_z(out, "current()/");
    buf_put_str(out, path);
}

static struct str resolve(struct xl *x, struct str text, struct xl_cell cell, struct seen_from seen)
{
    size_t start, end, from = 0;
    struct str name;
    bool last_saved;
    struct buf out;
    if (str_find(text, STR("${")) < 0)
        return text;
    buf_init(&out, 1u << 24);
    for (; xl_find_reference(text, from, &start, &end, &name, &last_saved); from = end) {
        buf_put_str(&out, str_sub(text, from, start - from));
        uint32_t target = name.n ? xl_lookup(x, name, cell) : NOWHERE;
        if (target == NOWHERE) {
            buf_put_str(&out, str_sub(text, start, end - start));
            continue;
        }
        buf_put_z(&out, last_saved ? " instance('__last-saved')" : " ");
        if (last_saved)
            buf_put_str(&out, xl_node(x, target)->path);
        else
            put_path(x, &out, target, seen, text, start);
        buf_put_char(&out, ' ');
    }
    buf_put_str(&out, str_sub(text, from, text.n));
    struct str s = out.failed ? STR_NONE : arena_str(x->a, buf_str(&out));
    buf_free(&out);
    return xl_check(x, s.p ? x : NULL) ? s : STR("");
}

struct str xl_resolve(struct xl *x, struct str text, uint32_t node, struct xl_cell cell, bool current)
{
    return resolve(x, text, cell, (struct seen_from){node, NOWHERE, current});
}

struct str xl_resolve_filter(struct xl *x, struct str text, uint32_t node, struct xl_cell cell,
                             uint32_t candidate)
{
    return resolve(x, text, cell, (struct seen_from){node, candidate, true});
}
