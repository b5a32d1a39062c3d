/* Runs a compiled expression: one pass over the flat array of operations with a value stack, spending fuel
 * for each operation and each node touched. Location steps walk whatever tree the node belongs to through its
 * tree_ops.
 *
 * Always true: results live in the scratch arena; what a predicate needed for one item is released before the
 * next one, so a filter over a million rows needs the memory of one. The only recursion is a predicate inside
 * a predicate, as deep as it was written, which the parser caps. Trouble with data (a bad date) never stops:
 * it is noted and the value is empty.
 */
#include "forms/expr_impl.h"

/* -- axes
 * ------------------------------------------------------------------------------------------------------- */

static bool names_match(const struct step *s, const struct node_name *n)
{
    if (!str_eq(s->local, n->local))
        return false;
    if (s->any_namespace)
        return n->prefix.n == 0;
    return str_eq(s->uri, n->uri);
}

static bool test_matches(const struct tree *t, const struct step *s, struct node n)
{
    enum node_kind kind = t->ops->kind(t, n);
    enum node_kind principal = s->axis == AXIS_ATTRIBUTE   ? NODE_ATTRIBUTE
                               : s->axis == AXIS_NAMESPACE ? NODE_NAMESPACE
                                                           : NODE_ELEMENT;
    struct node_name name;
    switch (s->test) {
    case TEST_NODE: return true;
    case TEST_TEXT: return kind == NODE_TEXT;
    case TEST_COMMENT: return kind == NODE_COMMENT;
    case TEST_PI: return kind == NODE_PI && (s->local.n == 0 || str_eq(t->ops->name(t, n).local, s->local));
    case TEST_ANY_NAME:
        if (kind != principal)
            return false;
        return s->uri.n == 0 || str_eq(t->ops->name(t, n).uri, s->uri);
    case TEST_NAME:
        if (kind != principal)
            return false;
        name = t->ops->name(t, n);
        return names_match(s, &name);
    }
    return false;
}

/* Nothing is above what `/` stands for. */
static bool parent_of(struct eval *e, const struct tree *t, struct node n, struct node *out)
{
    if (e->root && node_same(n, *e->root))
        return false;
    return t->ops->parent(t, n, out);
}

static enum err take(struct eval *e, const struct tree *t, const struct step *s, struct node n,
                     struct node_list *out)
{
    if (test_matches(t, s, n))
        return node_list_push(e, out, n);
    return spend(e, 1) ? ERR_OK : ERR_LIMIT;
}

/* The next node in document order inside `top`, attributes aside. */
static bool next_inside(const struct tree *t, struct node top, struct node n, struct node *out)
{
    if (t->ops->first_child(t, n, out))
        return true;
    while (!node_same(n, top)) {
        if (t->ops->next_sibling(t, n, out))
            return true;
        if (!t->ops->parent(t, n, &n))
            return false;
    }
    return false;
}

static enum err walk_descendants(struct eval *e, const struct tree *t, const struct step *s, struct node top,
                                 bool self, struct node_list *out)
{
    enum err rc = self ? take(e, t, s, top, out) : ERR_OK;
    for (struct node n = top; !rc && next_inside(t, top, n, &n);)
        rc = take(e, t, s, n, out);
    return rc;
}

static enum err walk_ancestors(struct eval *e, const struct tree *t, const struct step *s, struct node n,
                               bool self, struct node_list *out)
{
    enum err rc = self ? take(e, t, s, n, out) : ERR_OK;
    while (!rc && parent_of(e, t, n, &n))
        rc = take(e, t, s, n, out);
    return rc;
}

static bool is_leaf_kind(const struct tree *t, struct node n)
{
    enum node_kind kind = t->ops->kind(t, n);
    return kind == NODE_ATTRIBUTE || kind == NODE_NAMESPACE;
}

static enum err walk_siblings(struct eval *e, const struct tree *t, const struct step *s, struct node n,
                              bool forward, struct node_list *out)
{
    enum err rc = ERR_OK;
    if (is_leaf_kind(t, n))
        return ERR_OK;
    while (!rc && (forward ? t->ops->next_sibling(t, n, &n) : t->ops->prev_sibling(t, n, &n)))
        rc = take(e, t, s, n, out);
    return rc;
}

/* Everything after this node that is not inside it; for an attribute also what is inside its element. */
static enum err walk_following(struct eval *e, const struct tree *t, const struct step *s, struct node n,
                               struct node_list *out)
{
    enum err rc = ERR_OK;
    struct node at;
    if (is_leaf_kind(t, n)) {
        if (!t->ops->parent(t, n, &n))
            return ERR_OK;
        rc = walk_descendants(e, t, s, n, false, out);
    }
    do {
        for (at = n; !rc && t->ops->next_sibling(t, at, &at);)
            rc = walk_descendants(e, t, s, at, true, out);
    } while (!rc && t->ops->parent(t, n, &n));
    return rc;
}

static struct node last_inside(const struct tree *t, struct node n)
{
    struct node child, next;
    while (t->ops->first_child(t, n, &child)) {
        while (t->ops->next_sibling(t, child, &next))
            child = next;
        n = child;
    }
    return n;
}

/* Backwards through everything before this node, ancestors left out. */
static enum err walk_preceding(struct eval *e, const struct tree *t, const struct step *s, struct node n,
                               struct node_list *out)
{
    enum err rc = ERR_OK;
    if (is_leaf_kind(t, n) && !t->ops->parent(t, n, &n))
        return ERR_OK;
    do {
        struct node before;
        for (struct node at = n; !rc && t->ops->prev_sibling(t, at, &before); at = before) {
            struct node x = last_inside(t, before), up;
            for (;;) {
                rc = take(e, t, s, x, out);
                if (rc || node_same(x, before))
                    break;
                if (t->ops->prev_sibling(t, x, &up))
                    x = last_inside(t, up);
                else if (!t->ops->parent(t, x, &x))
                    break;
            }
        }
    } while (!rc && t->ops->parent(t, n, &n));
    return rc;
}

static enum err walk_axis(struct eval *e, const struct tree *t, const struct step *s, struct node n,
                          struct node_list *out)
{
    enum err rc = ERR_OK;
    struct node at;
    switch (s->axis) {
    case AXIS_CHILD:
        for (bool more = t->ops->first_child(t, n, &at); more && !rc; more = t->ops->next_sibling(t, at, &at))
            rc = take(e, t, s, at, out);
        return rc;
    case AXIS_SELF: return take(e, t, s, n, out);
    case AXIS_PARENT: return parent_of(e, t, n, &at) ? take(e, t, s, at, out) : ERR_OK;
    case AXIS_ATTRIBUTE:
        if (t->ops->kind(t, n) != NODE_ELEMENT)
            return ERR_OK;
        for (bool more = t->ops->first_attribute(t, n, &at); more && !rc;
             more = t->ops->next_attribute(t, at, &at))
            rc = take(e, t, s, at, out);
        return rc;
    case AXIS_DESCENDANT: return walk_descendants(e, t, s, n, false, out);
    case AXIS_DESCENDANT_OR_SELF: return walk_descendants(e, t, s, n, true, out);
    case AXIS_ANCESTOR: return walk_ancestors(e, t, s, n, false, out);
    case AXIS_ANCESTOR_OR_SELF: return walk_ancestors(e, t, s, n, true, out);
    case AXIS_FOLLOWING: return walk_following(e, t, s, n, out);
    case AXIS_FOLLOWING_SIBLING: return walk_siblings(e, t, s, n, true, out);
    case AXIS_PRECEDING: return walk_preceding(e, t, s, n, out);
    case AXIS_PRECEDING_SIBLING: return walk_siblings(e, t, s, n, false, out);
    case AXIS_NAMESPACE:
        if (!t->ops->namespace_at || t->ops->kind(t, n) != NODE_ELEMENT)
            return ERR_OK;
        for (uint32_t i = 0; !rc && t->ops->namespace_at(t, n, i, &at); i++)
            rc = take(e, t, s, at, out);
        return rc;
    }
    return ERR_OK;
}

static bool axis_is_reverse(enum axis a)
{
    return a == AXIS_ANCESTOR || a == AXIS_ANCESTOR_OR_SELF || a == AXIS_PRECEDING ||
           a == AXIS_PRECEDING_SIBLING;
}

/* -- predicates
 * ------------------------------------------------------------------------------------------------- */

static enum truth predicate_truth(struct eval *e, const struct value *v, uint32_t position)
{
    struct quantity q;
    switch (v->type) {
    case VALUE_NUMBER: return v->number == position ? TRUTH_TRUE : TRUTH_FALSE;
    case VALUE_DEC:
    case VALUE_RANGE:
        q = value_quantity(e, v);
        if (q.ranged)
            return TRUTH_UNKNOWN;
        return q.number == position ? TRUTH_TRUE : TRUTH_FALSE;
    default: return value_truth(e, v);
    }
}

/* Keeps those of l->at[from...] for which the predicate holds; unknown ones are only counted. */
enum err apply_predicate(const struct expr *x, struct eval *e, const struct predicate *p, struct node_list *l,
                         uint32_t from, struct value *stack)
{
    struct node context = e->context;
    uint32_t position = e->position, size = e->size;
    uint32_t kept = from;
    enum err rc = ERR_OK;
    e->size = l->count - from;
    for (uint32_t i = from; !rc && i < l->count; i++) {
        struct arena_mark mark = arena_mark(e->scratch);
        e->context = l->at[i];
        e->position = i - from + 1;
        rc = expr_run(x, e, p->first, p->end, stack);
        enum truth t = rc ? TRUTH_FALSE : predicate_truth(e, stack, e->position);
        if (t == TRUTH_TRUE)
            l->at[kept++] = l->at[i];
        else if (t == TRUTH_UNKNOWN && e->rules)
            l->maybe++;
        arena_release(e->scratch, mark);
    }
    l->count = kept;
    e->context = context;
    e->position = position;
    e->size = size;
    return rc;
}

static enum err apply_predicates(const struct expr *x, struct eval *e, uint32_t first, uint32_t end,
                                 struct node_list *l, uint32_t from, struct value *stack)
{
    enum err rc = ERR_OK;
    for (uint32_t i = first; !rc && i < end; i++)
        rc = apply_predicate(x, e, &x->predicates.at[i], l, from, stack);
    return rc;
}

/* -- steps
 * ------------------------------------------------------------------------------------------------------ */

/* The text an index is asked for: only where comparing texts is what the equality would do. */
static enum err find_text(const struct expr *x, struct eval *e, const struct step *s, struct value *stack,
                          bool *usable_out, struct str *text_out)
{
    enum err rc = expr_run(x, e, s->find_first, s->find_end, stack);
    if (rc)
        return rc;
    struct value v = *stack;
    if (v.type == VALUE_NODES && v.nodes->count == 1)
        rc = node_value(e, v.nodes->at[0], &v);
    *usable_out = !rc && v.type == VALUE_STRING;
    *text_out = v.text;
    return rc;
}

static enum err run_step(const struct expr *x, struct eval *e, const struct step *s, struct value *v,
                         struct value *stack)
{
    struct nodes *in = v->nodes;
    struct node_list out = {.maybe = in->maybe};
    bool find = false;
    struct str text = STR("");
    enum err rc = ERR_OK;
    const struct tree *first = in->count ? node_tree(e, in->at[0]) : NULL;
    if (s->find && first && !first->ops->query)
        rc = find_text(x, e, s, stack, &find, &text);
    for (uint32_t i = 0; !rc && i < in->count; i++) {
        const struct tree *t = node_tree(e, in->at[i]);
        uint32_t from = out.count;
        uint32_t predicate = s->predicate_first;
        if (!t)
            continue;
        bool asked = false;
        if (t->ops->query && s->axis == AXIS_CHILD)
            rc = step_rows(x, e, s, in->at[i], stack, &out, &asked);
        if (asked) {
            predicate += predicate < s->predicate_end;
        } else if (find && t->ops->find) {
            struct nodes found = {0};
            rc = t->ops->find(t, in->at[i], s->local, s->find_column, text, e->scratch, &found);
            for (uint32_t k = 0; !rc && k < found.count; k++)
                rc = node_list_push(e, &out, found.at[k]);
            predicate += s->find_is_all;
        } else if (!rc) {
            rc = walk_axis(e, t, s, in->at[i], &out);
        }
        if (!rc)
            rc = apply_predicates(x, e, predicate, s->predicate_end, &out, from, stack);
        if (axis_is_reverse(s->axis))
            for (uint32_t a = from, b = out.count; a + 1 < b; a++, b--) {
                struct node swap = out.at[a];
                out.at[a] = out.at[b - 1];
                out.at[b - 1] = swap;
            }
    }
    if (!rc && in->count > 1 && !in->unordered)
        rc = nodes_sort(e, &out);
    return rc ? rc : node_list_value(e, &out, in->unordered, v);
}

static enum err run_filter(const struct expr *x, struct eval *e, const struct op *op, struct value *v,
                           struct value *stack)
{
    struct nodes *in = v->nodes;
    struct node_list l = {.maybe = in->maybe};
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < in->count; i++)
        rc = node_list_push(e, &l, in->at[i]);
    if (!rc)
        rc = apply_predicates(x, e, op->a, op->b, &l, 0, stack);
    return rc ? rc : node_list_value(e, &l, in->unordered, v);
}

static enum err run_union(struct eval *e, struct value *a, const struct value *b)
{
    struct node_list l = {.maybe = a->nodes->maybe + b->nodes->maybe};
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < a->nodes->count; i++)
        rc = node_list_push(e, &l, a->nodes->at[i]);
    for (uint32_t i = 0; !rc && i < b->nodes->count; i++)
        rc = node_list_push(e, &l, b->nodes->at[i]);
    if (!rc)
        rc = nodes_sort(e, &l);
    return rc ? rc : node_list_value(e, &l, false, a);
}

static enum err one_node(struct eval *e, struct node n, struct value *out)
{
    struct node_list l = {0};
    enum err rc = node_tree(e, n) ? node_list_push(e, &l, n) : ERR_OK;
    return rc ? rc : node_list_value(e, &l, false, out);
}

static enum err root_node(struct eval *e, struct value *out)
{
    const struct tree *t = node_tree(e, e->current);
    if (e->root)
        return one_node(e, *e->root, out);
    return one_node(e, t ? t->ops->root(t) : NODE_NONE, out);
}

static enum err reference_nodes(struct eval *e, struct node context, uint32_t ref, struct value *out)
{
    struct nodes *n = ARENA_NEW(e->scratch, struct nodes);
    if (!n)
        return ERR_NOMEM;
    enum err rc = e->nodes ? e->nodes(e, context, ref, n) : ERR_OK;
    if (!rc && !spend(e, n->count))
        rc = ERR_LIMIT;
    *out = (struct value){.type = VALUE_NODES, .nodes = n};
    return rc;
}

/* -- functions
 * -------------------------------------------------------------------------------------------------- */

static enum err convert_argument(struct eval *e, enum arg_kind kind, const struct expr_function *f,
                                 struct value *v)
{
    if (kind == ARG_MANY)
        return ERR_OK;
    if (kind == ARG_NODES) {
        if (v->type == VALUE_NODES)
            return ERR_OK;
        return diag_set(e->diag, ERR_SYNTAX, "%s() needs nodes, not a single value", f->name);
    }
    if (kind == ARG_BOOL) { /* of a node-set: is there any? */
        *v = value_of_truth(value_truth(e, v));
        return ERR_OK;
    }
    enum err rc = value_single(e, v, v);
    if (rc || v->type == VALUE_UNKNOWN)
        return rc;
    if (kind == ARG_NUMBER)
        *v = quantity_value(e, value_quantity(e, v));
    else if (kind == ARG_STRING)
        *v = value_of_text(value_text(e, v));
    return ERR_OK;
}

static enum err run_call(const struct expr *x, struct eval *e, const struct op *op, struct value *args)
{
    const struct expr_function *f = x->functions.at[op->a];
    bool unknown = false;
    for (uint32_t i = 0; i < op->b; i++) {
        enum arg_kind kind = f->arg[i < 3 ? i : 3];
        enum err rc = convert_argument(e, kind, f, &args[i]);
        if (rc)
            return rc;
        unknown = unknown || args[i].type == VALUE_UNKNOWN;
    }
    struct value result = value_unknown();
    enum err rc = ERR_OK;
    e->running = x;
    if (!unknown || (f->uses & EXPR_TAKES_UNKNOWN))
        rc = f->call(e, args, op->b, &result);
    args[0] = result;
    return rc;
}

/* -- the loop
 * --------------------------------------------------------------------------------------------------- */

static enum truth truth_and(enum truth a, enum truth b)
{
    if (a == TRUTH_FALSE || b == TRUTH_FALSE)
        return TRUTH_FALSE;
    return a == TRUTH_UNKNOWN || b == TRUTH_UNKNOWN ? TRUTH_UNKNOWN : TRUTH_TRUE;
}

static enum truth truth_or(enum truth a, enum truth b)
{
    if (a == TRUTH_TRUE || b == TRUTH_TRUE)
        return TRUTH_TRUE;
    return a == TRUTH_UNKNOWN || b == TRUTH_UNKNOWN ? TRUTH_UNKNOWN : TRUTH_FALSE;
}

/* An unknown condition has an answer all the same when both sides are equal. */
static enum err choose(struct eval *e, struct value *v)
{
    enum truth t = value_truth(e, &v[0]);
    if (t == TRUTH_UNKNOWN) {
        struct value same = value_unknown();
        enum err rc = v[1].type == VALUE_UNKNOWN || v[2].type == VALUE_UNKNOWN
                          ? ERR_OK
                          : value_compare(e, TOK_EQ, &v[1], &v[2], &same);
        v[0] = !rc && same.type == VALUE_BOOL && same.boolean ? v[1] : value_unknown();
        return rc;
    }
    v[0] = t == TRUTH_TRUE ? v[1] : v[2];
    return ERR_OK;
}

/* Two dates far apart by their days; a date and an instant by the moments they stand for; all else by number.
 */
static struct value subtract(struct eval *e, const struct value *a, const struct value *b)
{
    bool mixed = (a->type == VALUE_DATE && b->type == VALUE_INSTANT) ||
                 (a->type == VALUE_INSTANT && b->type == VALUE_DATE);
    if (mixed)
        return value_of_number((double)(moment_ms(e, a) - moment_ms(e, b)) / 86400000.0);
    struct quantity q;
    quantity_arith(e, OP_SUB, value_quantity(e, a), value_quantity(e, b), &q);
    return quantity_value(e, q);
}

static struct value negate(struct eval *e, const struct value *v)
{
    struct quantity q = value_quantity(e, v);
    if (q.exact && q.dec.coefficient == INT64_MIN)
        q.exact = false;
    if (q.exact)
        q.dec.coefficient = -q.dec.coefficient;
    if (q.ranged) {
        int64_t lo = q.lo;
        q.lo = -q.hi;
        q.hi = -lo;
    }
    q.number = -q.number;
    return quantity_value(e, q);
}

/* The node-set operations need one underneath; a function may have given something else. */
static enum err need_nodes(const struct expr *x, struct eval *e, const struct op *op, const struct value *v)
{
    if (v->type == VALUE_NODES)
        return ERR_OK;
    if (v->type == VALUE_STRING && v->text.n == 0)
        return ERR_OK;
    return diag_set_at(e->diag, ERR_SYNTAX, 0, lexer_column(x->text, op->at),
                       "a path or \"[...]\" can only follow nodes");
}

static enum err as_nodes(const struct expr *x, struct eval *e, const struct op *op, struct value *v)
{
    enum err rc = need_nodes(x, e, op, v);
    if (rc || v->type == VALUE_NODES)
        return rc;
    return one_node(e, NODE_NONE, v);
}

enum err expr_run(const struct expr *x, struct eval *e, uint32_t first, uint32_t end, struct value *stack)
{
    struct value *sp = stack; /* the first free slot */
    enum err rc = ERR_OK;
    uint32_t pc = first;
    while (pc < end) {
        const struct op *op = &x->ops.at[pc++];
        if (!spend(e, 1))
            return diag_set(e->diag, ERR_LIMIT, "the expression takes too long; it was stopped");
        struct quantity q;
        enum truth t;
        switch ((enum op_code)op->code) {
        case OP_CONST: *sp++ = x->constants.at[op->a]; break;
        case OP_SCALAR:
            rc = ERR_OK;
            *sp = e->rules ? value_unknown() : value_of_text(STR(""));
            if (e->scalar)
                rc = e->scalar(e, op->b ? e->current : e->context, op->a, sp);
            sp++;
            break;
        case OP_REFS: rc = reference_nodes(e, op->b ? e->current : e->context, op->a, sp++); break;
        case OP_KEPT:
            if (e->aggregate && e->aggregate(e, &x->kept.at[op->a], sp)) {
                sp++;
                pc = x->kept.at[op->a].behind;
            }
            break;
        case OP_CONTEXT: rc = one_node(e, e->context, sp++); break;
        case OP_CURRENT: rc = one_node(e, e->current, sp++); break;
        case OP_ROOT: rc = root_node(e, sp++); break;
        case OP_STEP:
            rc = as_nodes(x, e, op, &sp[-1]);
            if (!rc)
                rc = run_step(x, e, &x->steps.at[op->a], &sp[-1], sp);
            break;
        case OP_FILTER:
            rc = as_nodes(x, e, op, &sp[-1]);
            if (!rc)
                rc = run_filter(x, e, op, &sp[-1], sp);
            break;
        case OP_UNION:
            sp--;
            rc = as_nodes(x, e, op, &sp[-1]);
            if (!rc)
                rc = as_nodes(x, e, op, &sp[0]);
            if (!rc)
                rc = run_union(e, &sp[-1], &sp[0]);
            break;
        case OP_NEGATE: sp[-1] = negate(e, &sp[-1]); break;
        case OP_SUB: {
            struct value a, b;
            sp--;
            rc = value_single(e, &sp[-1], &a);
            if (!rc)
                rc = value_single(e, &sp[0], &b);
            if (!rc)
                sp[-1] = subtract(e, &a, &b);
            break;
        }
        case OP_ADD:
        case OP_MUL:
        case OP_DIV:
        case OP_MOD:
            sp--;
            quantity_arith(e, (enum op_code)op->code, value_quantity(e, &sp[-1]), value_quantity(e, &sp[0]),
                           &q);
            sp[-1] = quantity_value(e, q);
            break;
        case OP_COMPARE:
            sp--;
            rc = value_compare(e, (enum token_kind)op->a, &sp[-1], &sp[0], &sp[-1]);
            break;
        case OP_TRUTH: sp[-1] = value_of_truth(value_truth(e, &sp[-1])); break;
        case OP_AND_TEST:
        case OP_OR_TEST:
            t = value_truth(e, &sp[-1]);
            sp[-1] = value_of_truth(t);
            if (t == (op->code == OP_AND_TEST ? TRUTH_FALSE : TRUTH_TRUE))
                pc = op->a;
            break;
        case OP_AND:
        case OP_OR:
            sp--;
            t = value_truth(e, &sp[0]);
            t = op->code == OP_AND ? truth_and(value_truth(e, &sp[-1]), t)
                                   : truth_or(value_truth(e, &sp[-1]), t);
            sp[-1] = value_of_truth(t);
            break;
        case OP_JUMP: pc = op->a; break;
        case OP_IF:
            sp--;
            if (value_truth(e, sp) != TRUTH_TRUE)
                pc = op->a;
            break;
        case OP_CHOOSE:
            sp -= 2;
            rc = choose(e, &sp[-1]);
            break;
        case OP_NOT_EMPTY:
            sp--;
            if (!value_blank(e, sp)) {
                rc = value_single(e, sp, sp);
                sp++;
                pc = op->a;
            }
            break;
        case OP_CALL:
            sp -= op->b;
            rc = run_call(x, e, op, sp++);
            break;
        case OP_POSITION:
            *sp++ = e->rules ? (struct value){.type = VALUE_DEC, .dec = {e->position, 0}}
                             : value_of_number(e->position);
            break;
        case OP_LAST:
            *sp++ = e->rules ? (struct value){.type = VALUE_DEC, .dec = {e->size, 0}}
                             : value_of_number(e->size);
            break;
        case OP_FAIL:
            return diag_set_at(e->diag, ERR_SYNTAX, 0, lexer_column(x->text, op->at), "%.*s",
                               STR_ARG(x->constants.at[op->a].text));
        }
        if (rc)
            return rc;
    }
    return ERR_OK;
}

enum err expr_eval(const struct expr *x, struct eval *e, struct value *out)
{
    if (x->constant) {
        *out = x->constant_value;
        return ERR_OK;
    }
    struct value *stack = ARENA_ARRAY(e->scratch, struct value, x->stack_need + 1);
    if (!stack)
        return diag_set(e->diag, ERR_NOMEM, "no memory left for this expression");
    e->odk = x->library == EXPR_ODK;
    e->current = e->context;
    e->position = e->size = 1;
    enum err rc = expr_run(x, e, 0, x->ops.count, stack);
    if (rc == ERR_NOMEM)
        diag_set(e->diag, rc, "no memory left for this expression");
    if (rc == ERR_LIMIT)
        diag_set(e->diag, rc, "the expression takes too long; it was stopped");
    if (rc)
        return rc;
    *out = stack[0];
    return ERR_OK;
}
