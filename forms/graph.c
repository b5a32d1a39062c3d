/* Who reads whom: from the compiled expressions to numbered properties and, for each node, the properties
 * that depend on it.
 *
 * Vertices are (node, property). What others can see of a node is its value and whether it is relevant, so
 * only calculations and relevances have outgoing edges. An edge that a predicate draws between instances of
 * the same repeat is soft: it may point to an earlier instance, so it alone makes no cycle; such properties
 * are evaluated instance by instance. Every other cycle is an error that names the whole chain. No recursion:
 * forms chain thousands of calculations.
 */
#include "forms/model.h"

struct edge {
    uint32_t from, to; /* properties: `to` reads what `from` decides */
    bool soft;
};

/* An aggregate that reads a condition. */
struct wanted {
    uint32_t reader, pick; /* properties */
    uint32_t kept;         /* which aggregate of the reader's expression */
};

struct graph {
    struct loader *l;
    VEC(struct prop) props; /* in the order of nodes, to be numbered */
    VEC(struct edge) edges;
    uint32_t *first; /* by property: first of its edges in `sorted`, by `to` */
    const struct edge **sorted;
    uint32_t *component;      /* with soft edges */
    uint32_t *hard_component; /* without those inside a component */
    VEC(uint32_t) order;
    VEC(struct wanted) wanted;
};

/* --- vertices --- */

static struct prop *add_prop(struct graph *g, enum prop_kind kind, uint32_t node, uint32_t class,
                             const struct expr *expr)
{
    struct prop *p = vec_push(g->l->scratch, &g->props);
    if (!p) {
        load_nomem(g->l);
        return NULL;
    }
    *p = (struct prop){
        .kind = kind, .node = node, .class = class, .expr = expr, .uses = expr ? expr_uses(expr) : 0};
    g->l->form->nodes.at[node].prop[kind] = g->props.count - 1;
    return p;
}

static bool is_question(const struct form *f, uint32_t control)
{
    return control != NONE && f->controls.at[control].kind != CONTROL_GROUP &&
           f->controls.at[control].kind != CONTROL_REPEAT;
}

static void add_node_props(struct graph *g, uint32_t node)
{
    const struct form *f = g->l->form;
    const struct schema_node *n = &f->nodes.at[node];
    const struct bind *b = n->bind == NONE ? NULL : &f->binds.at[n->bind];
    for (uint32_t k = PROP_RELEVANT; b && k <= PROP_READONLY; k++)
        if (b->expr[k] && !(k == PROP_CALCULATE && n->has_elements))
            add_prop(g, (enum prop_kind)k, node, n->class, b->expr[k]);
    const struct control *c = is_question(f, n->control) ? &f->controls.at[n->control] : NULL;
    if (c &&
        (c->itemset || (b && (b->expr[PROP_VALID] || b->expr[PROP_REQUIRED] || b->always[PROP_REQUIRED])))) {
        struct prop *p = add_prop(g, PROP_VALID, node, n->class, b ? b->expr[PROP_VALID] : NULL);
        if (p && c->itemset)
            p->uses |= expr_uses(c->itemset);
    }
    if (n->repeat && f->classes.at[n->class].control != NONE) {
        const struct expr *count = f->controls.at[f->classes.at[n->class].control].count;
        if (count)
            add_prop(g, PROP_COUNT, node, f->classes.at[n->class].parent, count);
    }
}

/* --- reads --- */

struct reads {
    const struct expr_read *at[2];
    uint32_t count[2];
};

static struct reads reads_of(const struct form *f, const struct prop *p)
{
    struct reads r = {0};
    if (p->expr)
        r.count[0] = expr_reads(p->expr, &r.at[0]);
    const struct control *c = p->kind == PROP_VALID ? &f->controls.at[f->nodes.at[p->node].control] : NULL;
    if (c && c->itemset)
        r.count[1] = expr_reads(c->itemset, &r.at[1]);
    return r;
}

/* once(...), coalesce(., ...) and if(. = '', ...) read the node's own value to keep it. Written as a path
 * instead of a dot it is a cycle, as it is for JavaRosa: the author may have meant another node. */
static bool keeps_itself(const struct prop *p)
{
    static const char *const starts[] = {"once(", "coalesce(.", "if(."};
    struct str text = expr_text(p->expr);
    char plain[12];
    size_t n = 0;
    for (size_t i = 0; i < text.n && n < sizeof(plain); i++)
        if (text.p[i] != ' ' && text.p[i] != '\n' && text.p[i] != '\t' && text.p[i] != '\r')
            plain[n++] = text.p[i];
    for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++)
        if (str_starts((struct str){plain, n}, str_of(starts[i])) &&
            !str_starts((struct str){plain, n}, STR("coalesce(..")) &&
            !str_starts((struct str){plain, n}, STR("if(..")))
            return true;
    return false;
}

/* --- edges --- */

static void add_edge(struct graph *g, uint32_t from, uint32_t to, bool soft)
{
    struct edge *e = vec_push(g->l->scratch, &g->edges);
    if (!e) {
        load_nomem(g->l);
        return;
    }
    *e = (struct edge){from, to, soft};
}

static bool is_soft(const struct form *f, const struct prop *reader, const struct expr_read *r)
{
    if (r->kind != READ_DYNAMIC)
        return false;
    return form_common_class(f, reader->class, f->nodes.at[ref_node(r->ref)].class) != 0;
}

/* The instance around the reader itself: its being there is no news to the reader. */
static bool is_own_container(const struct form *f, const struct prop *reader, const struct expr_read *r)
{
    uint32_t node = ref_node(r->ref);
    return f->nodes.at[node].has_elements && form_is_ancestor(f, node, reader->node) &&
           f->classes.at[f->nodes.at[node].class].depth == ref_depth(r->ref) && r->kind != READ_SCALAR;
}

static void edges_of_read(struct graph *g, uint32_t to, const struct expr_read *r)
{
    const struct form *f = g->l->form;
    const struct prop *p = &g->props.at[to];
    uint32_t node = ref_node(r->ref);
    bool soft = is_soft(f, p, r);
    if (is_own_container(f, p, r))
        return;
    uint32_t calculate = f->nodes.at[node].prop[PROP_CALCULATE];
    bool own = node == p->node && p->kind == PROP_CALCULATE && keeps_itself(p);
    if (calculate != NONE && r->kind != READ_COUNT && !own)
        add_edge(g, calculate, to, soft);
    for (uint32_t n = node; n != NONE; n = f->nodes.at[n].parent)
        if (f->nodes.at[n].prop[PROP_RELEVANT] != NONE && !(own && n == node))
            add_edge(g, f->nodes.at[n].prop[PROP_RELEVANT], to, soft);
}

static void add_edges(struct graph *g)
{
    for (uint32_t i = 0; i < g->props.count && !g->l->rc; i++) {
        struct reads r = reads_of(g->l->form, &g->props.at[i]);
        if (g->props.at[i].kind == PROP_VALID || g->props.at[i].kind == PROP_COUNT)
            continue; /* numbered behind all others in any case */
        for (uint32_t k = 0; k < r.count[0]; k++)
            edges_of_read(g, i, &r.at[0][k]);
    }
}

static bool sort_edges(struct graph *g)
{
    uint32_t n = g->props.count;
    g->first = ARENA_ARRAY(g->l->scratch, uint32_t, n + 2);
    g->sorted = ARENA_ARRAY(g->l->scratch, const struct edge *, g->edges.count + 1);
    if (!g->first || !g->sorted) {
        load_nomem(g->l);
        return false;
    }
    for (uint32_t i = 0; i < g->edges.count; i++)
        g->first[g->edges.at[i].to + 2]++;
    for (uint32_t i = 0; i < n; i++)
        g->first[i + 2] += g->first[i + 1];
    for (uint32_t i = 0; i < g->edges.count; i++)
        g->sorted[g->first[g->edges.at[i].to + 1]++] = &g->edges.at[i];
    return true;
}

/* --- components: Tarjan, with a stack of our own --- */

struct tarjan {
    uint32_t *index, *low, *stack, *path, *edge;
    bool *on_stack;
    uint32_t next, stack_count;
};

static bool follows(const struct graph *g, const struct edge *e, bool all_soft)
{
    return !e->soft || all_soft || g->component[e->from] != g->component[e->to];
}

static void close_component(struct graph *g, struct tarjan *t, uint32_t v, uint32_t *component, bool emit)
{
    for (uint32_t w = NONE; w != v;) {
        w = t->stack[--t->stack_count];
        t->on_stack[w] = false;
        component[w] = v;
        uint32_t *slot = emit ? vec_push(g->l->scratch, &g->order) : NULL;
        if (slot)
            *slot = w;
        else if (emit)
            load_nomem(g->l);
    }
}

static void visit(struct graph *g, struct tarjan *t, uint32_t root, uint32_t *component, bool all_soft)
{
    uint32_t depth = 0;
    t->path[depth++] = root;
    t->index[root] = t->low[root] = ++t->next;
    t->stack[t->stack_count++] = root;
    t->on_stack[root] = true;
    t->edge[root] = g->first[root];
    while (depth > 0) {
        uint32_t v = t->path[depth - 1];
        if (t->edge[v] < g->first[v + 1]) {
            const struct edge *e = g->sorted[t->edge[v]++];
            uint32_t w = e->from;
            if (!follows(g, e, all_soft))
                continue;
            if (t->index[w] == 0) {
                t->index[w] = t->low[w] = ++t->next;
                t->stack[t->stack_count++] = w;
                t->on_stack[w] = true;
                t->edge[w] = g->first[w];
                t->path[depth++] = w;
            } else if (t->on_stack[w] && t->index[w] < t->low[v]) {
                t->low[v] = t->index[w];
            }
            continue;
        }
        if (t->low[v] == t->index[v])
            close_component(g, t, v, component, !all_soft);
        depth--;
        if (depth > 0 && t->low[v] < t->low[t->path[depth - 1]])
            t->low[t->path[depth - 1]] = t->low[v];
    }
}

static void components(struct graph *g, uint32_t *component, bool all_soft)
{
    struct arena *a = g->l->scratch;
    uint32_t n = g->props.count;
    struct tarjan t = {.index = ARENA_ARRAY(a, uint32_t, n + 1),
                       .low = ARENA_ARRAY(a, uint32_t, n + 1),
                       .stack = ARENA_ARRAY(a, uint32_t, n + 1),
                       .path = ARENA_ARRAY(a, uint32_t, n + 1),
                       .edge = ARENA_ARRAY(a, uint32_t, n + 1),
                       .on_stack = ARENA_ARRAY(a, bool, n + 1)};
    if (!t.index || !t.low || !t.stack || !t.path || !t.edge || !t.on_stack) {
        load_nomem(g->l);
        return;
    }
    for (uint32_t v = 0; v < n && !g->l->rc; v++)
        if (t.index[v] == 0)
            visit(g, &t, v, component, all_soft);
}

/* --- cycles --- */

static const char *const prop_names[] = {
    [PROP_RELEVANT] = "relevant", [PROP_CALCULATE] = "calculate", [PROP_REQUIRED] = "required",
    [PROP_READONLY] = "readonly", [PROP_COUNT] = "jr:count",      [PROP_VALID] = "constraint",
    [PROP_PICK] = "condition"};

static void describe(struct graph *g, struct buf *b, uint32_t p)
{
    const struct prop *prop = &g->props.at[p];
    struct str text = expr_text(prop->expr);
    buf_put_str(b, form_node_path(g->l->form, prop->node, g->l->scratch));
    buf_put_z(b, " (");
    buf_put_z(b, prop_names[prop->kind]);
    buf_put_z(b, ": ");
    buf_put_str(b, text.n > 120 ? str_sub(text, 0, utf8_offset(text, 60)) : text);
    buf_put_z(b, ")");
}

/* The shortest way from a property back to itself, by breadth. parent[v] is who reads v. */
static void report_cycle(struct graph *g, uint32_t start, uint32_t *parent, uint32_t *queue)
{
    uint32_t head = 0, tail = 0;
    bool found = false;
    for (uint32_t i = 0; i < g->props.count; i++)
        parent[i] = NONE;
    queue[tail++] = start;
    while (head < tail && !found) {
        uint32_t v = queue[head++];
        for (uint32_t i = g->first[v]; i < g->first[v + 1] && !found; i++) {
            const struct edge *e = g->sorted[i];
            if (!follows(g, e, false) || g->hard_component[e->from] != g->hard_component[start])
                continue;
            if (parent[e->from] == NONE) {
                parent[e->from] = v;
                queue[tail++] = e->from;
            }
            found = e->from == start;
        }
    }
    struct buf b;
    uint32_t named = 0;
    buf_init(&b, 16384);
    describe(g, &b, start);
    for (uint32_t v = parent[start]; v != start && v != NONE && named < CYCLE_CHAIN_MAX;
         v = parent[v], named++) {
        buf_put_z(&b, " is read by ");
        describe(g, &b, v);
    }
    const struct prop *p = &g->props.at[start];
    const struct form *f = g->l->form;
    uint32_t bind = f->nodes.at[p->node].bind;
    load_finding(g->l, FINDING_ERROR, bind == NONE ? 0 : f->binds.at[bind].line,
                 bind == NONE ? 0 : f->binds.at[bind].column, p->node,
                 "Cycle: %.*s%s. Break it: one of these must not depend on the others.", STR_ARG(buf_str(&b)),
                 named ? ", and is itself read by the first" : " reads itself");
    buf_free(&b);
}

static void find_cycles(struct graph *g)
{
    uint32_t n = g->props.count;
    uint32_t *size = ARENA_ARRAY(g->l->scratch, uint32_t, n + 1),
             *parent = ARENA_ARRAY(g->l->scratch, uint32_t, n + 1);
    uint32_t *queue = ARENA_ARRAY(g->l->scratch, uint32_t, n + 1);
    if (!size || !parent || !queue) {
        load_nomem(g->l);
        return;
    }
    for (uint32_t v = 0; v < n; v++)
        size[g->hard_component[v]]++;
    for (uint32_t i = 0; i < g->edges.count; i++) {
        const struct edge *e = &g->edges.at[i];
        if (e->from == e->to && follows(g, e, false) && size[g->hard_component[e->to]] == 1)
            size[g->hard_component[e->to]] = 2; /* reads itself */
    }
    for (uint32_t v = 0; v < n && !g->l->rc; v++)
        if (g->hard_component[v] == v && size[v] > 1)
            report_cycle(g, v, parent, queue);
}

/* Required and readonly feed nothing, so they close no cycle; asking the answer whether it may be given is
 * still a mistake. */
static void find_self_questions(struct graph *g)
{
    const struct form *f = g->l->form;
    for (uint32_t i = 0; i < g->props.count; i++) {
        const struct prop *p = &g->props.at[i];
        if (p->kind != PROP_REQUIRED && p->kind != PROP_READONLY)
            continue;
        struct reads r = reads_of(f, p);
        for (uint32_t k = 0; k < r.count[0]; k++) {
            if (ref_node(r.at[0][k].ref) != p->node || r.at[0][k].kind != READ_SCALAR)
                continue;
            struct str text = expr_text(p->expr);
            load_finding(g->l, FINDING_ERROR, f->binds.at[f->nodes.at[p->node].bind].line,
                         f->binds.at[f->nodes.at[p->node].bind].column, p->node,
                         "Cycle: the %s of this node reads the node itself (%.*s).", prop_names[p->kind],
                         STR_ARG(text.n > 200 ? str_sub(text, 0, utf8_offset(text, 150)) : text));
            break;
        }
    }
}

/* --- numbering --- */

static void take(struct graph *g, uint32_t old, uint32_t *number)
{
    struct form *f = g->l->form;
    struct prop *p = vec_push(g->l->a, &f->props);
    if (!p) {
        load_nomem(g->l);
        return;
    }
    *p = g->props.at[old];
    p->group = g->component[old];
    number[old] = f->props.count - 1;
    if (p->kind != PROP_PICK)
        f->nodes.at[p->node].prop[p->kind] = number[old];
}

static void number_props(struct graph *g, uint32_t *number)
{
    struct form *f = g->l->form;
    if (!vec_reserve(g->l->a, &f->props, g->props.count)) {
        load_nomem(g->l);
        return;
    }
    for (uint32_t i = 0; i < g->order.count && !g->l->rc; i++) {
        enum prop_kind kind = g->props.at[g->order.at[i]].kind;
        if (kind != PROP_COUNT && kind != PROP_VALID)
            take(g, g->order.at[i], number);
    }
    for (uint32_t i = 0; i < g->props.count && !g->l->rc; i++)
        if (g->props.at[i].kind == PROP_COUNT)
            take(g, i, number);
    for (uint32_t i = 0; i < g->props.count && !g->l->rc; i++)
        if (g->props.at[i].kind == PROP_VALID)
            take(g, i, number);
    for (uint32_t i = 0; i < g->edges.count && !g->l->rc; i++) {
        const struct edge *e = &g->edges.at[i];
        if (e->soft && g->component[e->from] == g->component[e->to])
            f->props.at[number[e->to]].ordered = true;
    }
}

static void list_class_props(struct graph *g)
{
    struct form *f = g->l->form;
    f->class_props.at = ARENA_ARRAY(g->l->a, uint32_t, f->props.count + 1);
    if (!f->class_props.at) {
        load_nomem(g->l);
        return;
    }
    for (uint32_t i = 0; i < f->props.count; i++)
        f->classes.at[f->props.at[i].class].prop_count++;
    uint32_t total = 0;
    for (uint32_t c = 0; c < f->classes.count; c++) {
        f->classes.at[c].prop_first = total;
        total += f->classes.at[c].prop_count;
        f->classes.at[c].prop_count = 0;
    }
    for (uint32_t i = 0; i < f->props.count; i++) {
        struct frame_class *c = &f->classes.at[f->props.at[i].class];
        f->props.at[i].bit = c->prop_count;
        f->class_props.at[c->prop_first + c->prop_count++] = i;
    }
    f->class_props.count = total;
}

/* --- dependants --- */

struct found {
    uint32_t node;
    struct dependant d;
};

static bool feeds_group(const struct form *f, uint32_t node, uint32_t group)
{
    uint32_t calculate = f->nodes.at[node].prop[PROP_CALCULATE];
    if (calculate != NONE && f->props.at[calculate].group == group)
        return true;
    for (uint32_t n = node; n != NONE; n = f->nodes.at[n].parent) {
        uint32_t relevant = f->nodes.at[n].prop[PROP_RELEVANT];
        if (relevant != NONE && f->props.at[relevant].group == group)
            return true;
    }
    return false;
}

/* Inside a predicate a path starts at the items, so any instance may be meant. */
static uint32_t reader_base(const struct form *f, const struct prop *p, const struct expr_read *r)
{
    return r->kind == READ_DYNAMIC ? 0 : form_base_class(f, p->class, r->ref, r->kind == READ_SCALAR);
}

static void list_dependants(struct graph *g)
{
    struct loader *l = g->l;
    struct form *f = l->form;
    VEC(struct found) list = {0};
    for (uint32_t i = 0; i < f->props.count && !l->rc; i++) {
        const struct prop *p = &f->props.at[i];
        struct reads r = reads_of(f, p);
        for (uint32_t k = 0; k < r.count[0] + r.count[1]; k++) {
            const struct expr_read *read = k < r.count[0] ? &r.at[0][k] : &r.at[1][k - r.count[0]];
            uint32_t node = ref_node(read->ref);
            if (node == p->node && (p->kind == PROP_VALID || p->kind == PROP_CALCULATE) &&
                read->kind == READ_SCALAR)
                continue; /* its own value: VALID follows it anyway, once() must not */
            struct found *to = vec_push(l->scratch, &list);
            if (!to) {
                load_nomem(l);
                return;
            }
            to->node = node;
            to->d = (struct dependant){.prop = i,
                                       .kind = read->kind,
                                       .base = reader_base(f, p, read),
                                       .later = is_soft(f, p, read) && p->ordered &&
                                                feeds_group(f, node, p->group)};
        }
        if (p->uses & EXPR_USES_ALL) {
            uint32_t *slot = vec_push(l->a, &f->all_readers);
            if (!slot)
                load_nomem(l);
            else
                *slot = i;
        }
    }
    f->dependants.at = ARENA_ARRAY(l->a, struct dependant, list.count + 1);
    if (!f->dependants.at) {
        load_nomem(l);
        return;
    }
    f->dependants.count = list.count;
    for (uint32_t i = 0; i < list.count; i++)
        f->nodes.at[list.at[i].node].dependant_end++;
    uint32_t total = 0;
    for (uint32_t n = 0; n < f->nodes.count; n++) {
        f->nodes.at[n].dependant_first = total;
        total += f->nodes.at[n].dependant_end;
        f->nodes.at[n].dependant_end = f->nodes.at[n].dependant_first;
    }
    for (uint32_t i = 0; i < list.count; i++)
        f->dependants.at[f->nodes.at[list.at[i].node].dependant_end++] = list.at[i].d;
}

/* --- aggregates --- */

/* Is there anything to keep: several nodes, and what the aggregate needs of them? */
static bool worth_keeping(const struct form *f, const struct expr_kept *kept, uint32_t class)
{
    const struct schema_node *n = &f->nodes.at[ref_node(kept->ref)];
    return n->class != form_base_class(f, class, kept->ref, false) &&
           (!n->has_elements || kept->what == AGGREGATE_COUNT);
}

/* Its condition becomes a property of the nodes it is asked of. The aggregate reads it as softly as it reads
 * what stands in it. */
static void add_pick(struct graph *g, uint32_t reader, uint32_t index, const struct expr_kept *kept)
{
    struct form *f = g->l->form;
    uint32_t node = ref_node(kept->from), class = f->nodes.at[node].class;
    struct pick *pick = vec_push(g->l->a, &f->picks);
    struct prop *p = pick ? vec_push(g->l->scratch, &g->props) : NULL;
    struct wanted *w = p ? vec_push(g->l->scratch, &g->wanted) : NULL;
    if (!w) {
        load_nomem(g->l);
        return;
    }
    *pick = (struct pick){.class = class, .slot = f->classes.at[class].pick_count++, .tallied = NONE};
    *p = (struct prop){.kind = PROP_PICK,
                       .node = node,
                       .class = class,
                       .expr = kept->condition,
                       .uses = expr_uses(kept->condition),
                       .pick = f->picks.count - 1};
    *w = (struct wanted){reader, g->props.count - 1, index};
    const struct prop *r = &g->props.at[reader];
    struct expr_read read = {kept->from, READ_DYNAMIC};
    if (r->kind != PROP_VALID && r->kind != PROP_COUNT)
        add_edge(g, g->props.count - 1, reader, is_soft(f, r, &read));
}

static void add_picks(struct graph *g)
{
    uint32_t props = g->props.count;
    for (uint32_t i = 0; i < props && !g->l->rc; i++) {
        uint32_t count = 0;
        struct expr_kept *kept = g->props.at[i].expr ? expr_aggregates(g->props.at[i].expr, &count) : NULL;
        for (uint32_t k = 0; k < count && !g->l->rc; k++)
            if (kept[k].condition && worth_keeping(g->l->form, &kept[k], g->props.at[i].class))
                add_pick(g, i, k, &kept[k]);
    }
}

static uint32_t find_tallied(struct loader *l, uint32_t node, uint32_t pick)
{
    struct form *f = l->form;
    for (uint32_t t = f->nodes.at[node].tallied; t != NONE; t = f->tallied.at[t].next)
        if (f->tallied.at[t].pick == pick)
            return t;
    struct tallied *t = vec_push(l->a, &f->tallied);
    if (!t) {
        load_nomem(l);
        return NONE;
    }
    *t = (struct tallied){.node = node, .pick = pick, .place = NONE, .next = f->nodes.at[node].tallied};
    f->nodes.at[node].tallied = f->tallied.count - 1;
    return f->tallied.count - 1;
}

static uint32_t find_place(struct loader *l, uint32_t tallied, uint32_t base)
{
    struct form *f = l->form;
    for (uint32_t i = f->tallied.at[tallied].place; i != NONE; i = f->tallies.at[i].next)
        if (f->tallies.at[i].base == base)
            return i;
    struct tally_place *p = vec_push(l->a, &f->tallies);
    if (!p) {
        load_nomem(l);
        return NONE;
    }
    *p = (struct tally_place){tallied, base, f->classes.at[base].tally_count++, f->tallied.at[tallied].place};
    f->tallied.at[tallied].place = f->tallies.count - 1;
    return f->tallies.count - 1;
}

static void keep(struct loader *l, struct expr_kept *kept, uint32_t class, uint32_t pick)
{
    uint32_t base = form_base_class(l->form, class, kept->ref, false);
    uint32_t tallied = find_tallied(l, ref_node(kept->ref), pick);
    if (tallied != NONE)
        kept->number = find_place(l, tallied, base);
}

/* Conditions that feed each other through the aggregate are left to be walked. */
static void keep_picked(struct graph *g, const uint32_t *number)
{
    struct form *f = g->l->form;
    for (uint32_t i = 0; i < g->wanted.count && !g->l->rc; i++) {
        const struct wanted *w = &g->wanted.at[i];
        const struct prop *reader = &f->props.at[number[w->reader]];
        uint32_t pick = f->props.at[number[w->pick]].pick, count;
        struct expr_kept *kept = &expr_aggregates(reader->expr, &count)[w->kept];
        if (g->component[w->pick] == g->component[w->reader])
            continue;
        keep(g->l, kept, reader->class, pick);
        f->picks.at[pick].tallied = f->nodes.at[ref_node(kept->ref)].tallied;
        f->picks.at[pick].reader = (struct dependant){.prop = number[w->reader],
                                                      .kind = READ_DYNAMIC,
                                                      .base = form_base_class(f, reader->class, kept->ref,
                                                                              false)};
    }
}

static void keep_whole(struct loader *l)
{
    struct form *f = l->form;
    for (uint32_t i = 0; i < f->props.count && !l->rc; i++) {
        const struct prop *p = &f->props.at[i];
        uint32_t count = 0;
        struct expr_kept *kept = p->expr ? expr_aggregates(p->expr, &count) : NULL;
        for (uint32_t k = 0; k < count && !l->rc; k++)
            if (!kept[k].condition && worth_keeping(f, &kept[k], p->class))
                keep(l, &kept[k], p->class, NONE);
    }
}

static void number_shares(struct loader *l)
{
    struct form *f = l->form;
    for (uint32_t c = 0; c < f->classes.count && f->tallies.count && !l->rc; c++) {
        f->classes.at[c].share_first = f->shares.count;
        for (uint32_t k = 0; k < f->classes.at[c].slot_count && !l->rc; k++) {
            uint32_t node = f->class_nodes.at[f->classes.at[c].slots + k];
            for (uint32_t t = f->nodes.at[node].tallied; t != NONE && !l->rc; t = f->tallied.at[t].next) {
                uint32_t *slot = vec_push(l->a, &f->shares);
                if (!slot) {
                    load_nomem(l);
                    return;
                }
                *slot = t;
                f->tallied.at[t].share = f->classes.at[c].share_count++;
            }
        }
    }
}

void load_graph(struct loader *l)
{
    struct graph g = {.l = l};
    for (uint32_t n = 0; n < l->form->nodes.count && !l->rc; n++)
        add_node_props(&g, n);
    add_picks(&g);
    add_edges(&g);
    if (l->rc || !sort_edges(&g))
        return;
    g.component = ARENA_ARRAY(l->scratch, uint32_t, g.props.count + 1);
    g.hard_component = ARENA_ARRAY(l->scratch, uint32_t, g.props.count + 1);
    uint32_t *number = ARENA_ARRAY(l->scratch, uint32_t, g.props.count + 1);
    if (!g.component || !g.hard_component || !number) {
        load_nomem(l);
        return;
    }
    components(&g, g.component, true);
    components(&g, g.hard_component, false);
    find_cycles(&g);
    find_self_questions(&g);
    if (l->rc || l->findings->error_count)
        return;
    number_props(&g, number);
    list_class_props(&g);
    list_dependants(&g);
    keep_whole(l);
    keep_picked(&g, number);
    number_shares(l);
}
