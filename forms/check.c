/* From the tree to operations: resolves paths against the schema and functions against the tables, checks
 * arity and types, folds constants, and writes down what the expression reads.
 *
 * The context rule of ODK forms is decided here, in path_plain(): a path the schema knows is one value where
 * one value is wanted (the instance around the context, else the only one), and all instances where a
 * node-set is. Paths with predicates, other axes or no schema are walked step by step at run time. Recursion
 * follows the tree, whose depth the parser caps.
 */
#include "forms/expr_impl.h"

enum want {
    WANT_ANY,     /* whatever it is */
    WANT_ONE,     /* one value */
    WANT_COMPARE, /* one value, or several nodes when the reference has several */
    WANT_NODES
};

/* What is known about the value an operation leaves. */
struct made {
    enum arg_kind kind;
    uint32_t ref; /* schema node of a node-set, or EXPR_REF_NONE */
    bool foreign; /* nodes of a secondary instance */
};

/* Where in the text the compiler is: what the context node is, and what an enclosing function wants to know.
 */
struct here {
    uint32_t schema;    /* schema node of the context */
    bool foreign;       /* the context is in a secondary instance */
    bool position_used; /* position() or last() */
    bool all_instances; /* indexed-repeat: relative paths, too, mean every instance */
    bool reads_count;   /* count(), position(): how many there are matters */
    bool reads_order;   /* position(): and nothing else does */
};

struct compiler {
    struct arena *a;
    const struct expr_scope *scope;
    struct expr *x;
    struct diag *d;
    uint32_t depth;      /* values on the stack */
    uint32_t predicates; /* how many we are inside of */
    struct here here;
};

static enum err compile(struct compiler *c, const struct ast *n, enum want want, struct made *made);

static const struct made made_any = {ARG_ANY, EXPR_REF_NONE, false};

static struct made made_of(enum arg_kind kind)
{
    return (struct made){kind, EXPR_REF_NONE, false};
}

/* Sentences get the column where they belong; the first one stays. */
static enum err fault_at(struct compiler *c, uint32_t at, enum err rc)
{
    if (c->d && c->d->column == 0)
        c->d->column = lexer_column(c->x->text, at);
    return rc;
}

static enum err emit(struct compiler *c, enum op_code code, uint32_t a, uint32_t b, uint32_t at, int effect)
{
    struct op *op = vec_push(c->a, &c->x->ops);
    if (!op)
        return ERR_NOMEM;
    *op = (struct op){.code = code, .a = a, .b = b, .at = at};
    c->depth = (uint32_t)((int)c->depth + effect);
    if (c->depth > EXPR_STACK_MAX)
        return fault_at(c, at,
                        diag_set(c->d, ERR_LIMIT,
                                 "this needs more than %d values at once; split the expression",
                                 EXPR_STACK_MAX));
    if (c->depth > c->x->stack_need)
        c->x->stack_need = c->depth;
    return ERR_OK;
}

static enum err emit_constant(struct compiler *c, struct value v, uint32_t at)
{
    struct value *slot = vec_push(c->a, &c->x->constants);
    if (!slot)
        return ERR_NOMEM;
    *slot = v;
    return emit(c, OP_CONST, c->x->constants.count - 1, 0, at, 1);
}

static uint32_t next_op(const struct compiler *c)
{
    return c->x->ops.count;
}

static void patch(struct compiler *c, uint32_t op)
{
    c->x->ops.at[op].a = next_op(c);
}

/* A read from the bound node itself, however deep inside predicates, has `fixed`: it is the same node for
 * every item. */
static enum err add_read_from(struct compiler *c, uint32_t ref, enum read_kind kind, bool fixed)
{
    if (c->predicates && kind != READ_COUNT && !(fixed && kind == READ_SCALAR))
        kind = READ_DYNAMIC;
    for (uint32_t i = 0; i < c->x->reads.count; i++)
        if (c->x->reads.at[i].ref == ref && c->x->reads.at[i].kind == kind)
            return ERR_OK;
    struct expr_read *r = vec_push(c->a, &c->x->reads);
    if (!r)
        return ERR_NOMEM;
    *r = (struct expr_read){ref, kind};
    return ERR_OK;
}

static enum err add_read(struct compiler *c, uint32_t ref, enum read_kind kind)
{
    return add_read_from(c, ref, kind, false);
}

/* A fault in the text: at once, or when reached (lenient). */
static enum err fault(struct compiler *c, uint32_t at, const struct diag *what)
{
    if (!c->scope->lenient) {
        if (c->d && c->d->code == ERR_OK) {
            *c->d = *what;
            c->d->column = lexer_column(c->x->text, at);
        }
        return what->code;
    }
    struct value v = value_of_text(arena_str(c->a, str_of(what->text)));
    enum err rc = v.text.p ? emit_constant(c, v, at) : ERR_NOMEM;
    return rc ? rc : emit(c, OP_FAIL, c->x->constants.count - 1, 0, at, 0);
}

/* -- constant folding
 * ------------------------------------------------------------------------------------------- */

static bool dated(const struct value *v)
{
    return v->type == VALUE_STRING && v->text.n >= 8 && v->text.p[0] >= '0' && v->text.p[0] <= '9';
}

static bool foldable(const struct compiler *c, uint32_t first)
{
    for (uint32_t i = first; i < next_op(c); i++) {
        const struct op *op = &c->x->ops.at[i];
        switch (op->code) {
        case OP_CONST:
            if (dated(&c->x->constants.at[op->a])) /* would depend on the zone */
                return false;
            break;
        case OP_CALL:
            if (c->x->functions.at[op->a]->uses & ~EXPR_TAKES_UNKNOWN)
                return false;
            break;
        case OP_SCALAR:
        case OP_REFS:
        case OP_CONTEXT:
        case OP_CURRENT:
        case OP_ROOT:
        case OP_STEP:
        case OP_FILTER:
        case OP_UNION:
        case OP_POSITION:
        case OP_LAST:
        case OP_FAIL: return false;
        default: break;
        }
    }
    return true;
}

/* Replaces the operations from `first` on by their value when nothing can change it. What would be reported
 * at run time stays. */
static enum err fold(struct compiler *c, uint32_t first)
{
    if (next_op(c) == first || (next_op(c) - first == 1 && c->x->ops.at[first].code != OP_CALL) ||
        !foldable(c, first))
        return ERR_OK;
    uint32_t room = c->x->stack_need + 1;
    struct value *stack = ARENA_ARRAY(c->a, struct value, room);
    if (!stack)
        return ERR_NOMEM;
    struct diag trouble = {0};
    struct eval e = {.scratch = c->a,
                     .context = NODE_NONE,
                     .current = NODE_NONE,
                     .fuel = 100000,
                     .rules = c->scope->rules,
                     .odk = c->scope->library == EXPR_ODK,
                     .diag = &trouble};
    if (expr_run(c->x, &e, first, next_op(c), stack) || trouble.code || stack->type == VALUE_NODES)
        return ERR_OK;
    uint32_t at = c->x->ops.at[first].at;
    c->x->ops.count = first;
    c->depth--;
    return emit_constant(c, *stack, at);
}

/* -- paths
 * ------------------------------------------------------------------------------------------------------ */

static enum err prefix_uri(struct compiler *c, struct str prefix, uint32_t at, struct str *uri_out,
                           struct diag *what)
{
    (void)at;
    struct str uri = STR_NONE;
    if (c->scope->namespace_uri)
        uri = c->scope->namespace_uri(c->scope->self, prefix);
    if (!uri.p && str_eq_z(prefix, "xml"))
        uri = STR("http://www.w3.org/XML/1998/namespace");
    if (!uri.p)
        return diag_set(what, ERR_SYNTAX, "the prefix \"%.*s:\" is not declared", STR_ARG(prefix));
    *uri_out = uri;
    return ERR_OK;
}

static bool step_is_plain(const struct ast_step *s)
{
    switch (s->axis) {
    case AXIS_CHILD:
    case AXIS_ATTRIBUTE: return s->test == TEST_NAME || s->test == TEST_ANY_NAME;
    case AXIS_SELF:
    case AXIS_PARENT: return s->test == TEST_NODE;
    default: return false;
    }
}

static bool steps_are_plain(const struct ast_step *steps, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!step_is_plain(&steps[i]))
            return false;
    return true;
}

static bool has_predicates(const struct ast *n)
{
    if (n->base_predicate_count)
        return true;
    for (uint32_t i = 0; i < n->step_count; i++)
        if (n->steps[i].predicate_count)
            return true;
    return false;
}

/* Asks the schema for the path with its predicates left out. *ref_out is EXPR_REF_NONE when it cannot tell.
 */
static enum err path_ref(struct compiler *c, uint32_t schema, bool absolute, const struct ast_step *steps,
                         uint32_t count, uint32_t *ref_out, struct diag *what)
{
    *ref_out = EXPR_REF_NONE;
    if (!c->scope->path || (!absolute && schema == EXPR_CONTEXT_NONE) || !steps_are_plain(steps, count))
        return ERR_OK;
    struct path_step *plain = ARENA_ARRAY(c->a, struct path_step, count);
    if (!plain)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        static const enum step_kind kinds[] = {STEP_CHILD, STEP_SELF, STEP_PARENT, STEP_ATTRIBUTE};
        plain[i].kind = kinds[steps[i].axis];
        plain[i].uri = STR("");
        plain[i].local = steps[i].test == TEST_NODE       ? STR("")
                         : steps[i].test == TEST_ANY_NAME ? STR("*")
                                                          : steps[i].local;
        if (steps[i].prefix.n) {
            enum err rc = prefix_uri(c, steps[i].prefix, steps[i].at, &plain[i].uri, what);
            if (rc)
                return rc;
        }
    }
    return c->scope->path(c->scope->self, schema, absolute, plain, count, ref_out, what);
}

static bool many(const struct compiler *c, uint32_t context, uint32_t ref)
{
    return c->scope->many && c->scope->many(c->scope->self, context, ref);
}

/* `column = value` where the column is a child of the item and the value has nothing to do with the item. */
static bool independent(const struct ast *n)
{
    static const char *const contextual[] = {"position",      "last",           "string",        "number",
                                             "name",          "local-name",     "namespace-uri", "lang",
                                             "string-length", "normalize-space"};
    switch (n->kind) {
    case AST_NUMBER:
    case AST_LITERAL:
    case AST_VARIABLE: return true;
    case AST_PATH:
        if (!n->base)
            return n->absolute && !has_predicates(n);
        return !has_predicates(n) && independent(n->base);
    case AST_CALL:
        for (size_t i = 0; i < sizeof(contextual) / sizeof(*contextual); i++)
            if (str_eq_z(n->text, contextual[i]) &&
                (n->item_count == 0 || i < 2 || str_eq_z(n->text, "lang")))
                return false;
        break;
    case AST_NEGATE:
    case AST_CHAIN: break;
    }
    for (uint32_t i = 0; i < n->item_count; i++)
        if (!independent(n->items[i]))
            return false;
    return true;
}

static bool column_of(const struct ast *n, struct str *column_out)
{
    if (n->kind != AST_PATH || n->base || n->absolute || has_predicates(n))
        return false;
    uint32_t first = n->step_count == 2 && n->steps[0].axis == AXIS_SELF && n->steps[0].test == TEST_NODE ? 1
                                                                                                          : 0;
    if (n->step_count != first + 1)
        return false;
    const struct ast_step *s = &n->steps[first];
    if (s->axis != AXIS_CHILD || s->test != TEST_NAME || s->prefix.n)
        return false;
    *column_out = s->local;
    return true;
}

static const struct ast *equality_value(const struct ast *n, struct str *column_out)
{
    if (n->kind != AST_CHAIN || n->item_count != 2 || n->ops[0] != TOK_EQ)
        return NULL;
    for (int side = 0; side < 2; side++)
        if (column_of(n->items[side], column_out) && independent(n->items[1 - side]))
            return n->items[1 - side];
    return NULL;
}

static const struct ast *indexable(const struct ast *predicate, struct str *column_out, bool *all_out)
{
    const struct ast *value = equality_value(predicate, column_out);
    *all_out = value != NULL;
    if (value || predicate->kind != AST_CHAIN || predicate->ops[0] != TOK_AND)
        return value;
    for (uint32_t i = 0; !value && i < predicate->item_count; i++)
        value = equality_value(predicate->items[i], column_out);
    return value;
}

/* Inside a predicate the context is one of `items`: nodes of a schema node, of a secondary instance, or
 * unknown. */
static struct here enter_predicate(struct compiler *c, struct made items)
{
    struct here outside = c->here;
    c->here = (struct here){.schema = items.ref, .foreign = items.foreign};
    c->predicates++;
    return outside;
}

static void leave_predicate(struct compiler *c, struct here outside)
{
    c->here = outside;
    c->predicates--;
}

static enum err compile_predicate(struct compiler *c, const struct ast *n, struct made items,
                                  struct predicate *out, bool *position_used_out)
{
    struct here outside = enter_predicate(c, items);
    uint32_t depth = c->depth;
    struct made made = made_any;
    out->first = next_op(c);
    enum err rc = compile(c, n, WANT_ANY, &made);
    out->end = next_op(c);
    out->boolean = made.kind == ARG_BOOL || made.kind == ARG_STRING || made.kind == ARG_NODES;
    c->depth = depth;
    *position_used_out = c->here.position_used;
    leave_predicate(c, outside);
    return rc;
}

/* Compiles the predicates aside: a jump leads around their operations. */
static enum err compile_predicates(struct compiler *c, struct ast *const *list, uint32_t count,
                                   struct made items, struct step *step)
{
    if (count == 0)
        return ERR_OK;
    struct predicate *done = ARENA_ARRAY(c->a, struct predicate, count);
    if (!done)
        return ERR_NOMEM;
    uint32_t jump = next_op(c);
    enum err rc = emit(c, OP_JUMP, 0, 0, list[0]->at, 0);
    bool position_used = false;
    for (uint32_t i = 0; !rc && i < count; i++)
        rc = compile_predicate(c, list[i], items, &done[i], i == 0 ? &position_used : &(bool){false});

    const struct ast *value = NULL;
    if (!rc && !position_used && done[0].boolean && step->axis == AXIS_CHILD && step->test == TEST_NAME &&
        !c->scope->rules && c->scope->library == EXPR_ODK && step->uri.n == 0)
        value = indexable(list[0], &step->find_column, &step->find_is_all);
    if (value) {
        struct predicate operand = {0};
        rc = compile_predicate(c, value, items, &operand, &position_used);
        step->find = true;
        step->find_first = operand.first;
        step->find_end = operand.end;
    }
    if (rc)
        return rc;
    patch(c, jump);
    step->predicate_first = c->x->predicates.count;
    for (uint32_t i = 0; i < count; i++) {
        struct predicate *p = vec_push(c->a, &c->x->predicates);
        if (!p)
            return ERR_NOMEM;
        *p = done[i];
    }
    step->predicate_end = c->x->predicates.count;
    return ERR_OK;
}

static enum err step_name(struct compiler *c, const struct ast_step *from, struct step *to, struct diag *what)
{
    to->local = from->local;
    to->uri = STR("");
    if (from->prefix.n)
        return prefix_uri(c, from->prefix, from->at, &to->uri, what);
    if (from->test != TEST_NAME || from->axis == AXIS_ATTRIBUTE || from->axis == AXIS_NAMESPACE)
        return ERR_OK;
    struct str fallback = STR_NONE;
    if (c->scope->namespace_uri)
        fallback = c->scope->namespace_uri(c->scope->self, STR(""));
    if (fallback.p)
        to->uri = fallback;
    else
        to->any_namespace = c->scope->library == EXPR_ODK;
    return ERR_OK;
}

/* `a//b` without predicates is one walk over the descendants. */
static bool merges(const struct ast_step *s, const struct ast_step *next)
{
    return s->axis == AXIS_DESCENDANT_OR_SELF && s->test == TEST_NODE && s->predicate_count == 0 &&
           next->axis == AXIS_CHILD && next->predicate_count == 0;
}

static enum err compile_step(struct compiler *c, const struct ast_step *from, enum axis axis,
                             struct made items, struct diag *what)
{
    struct step step = {.axis = axis, .test = from->test};
    enum err rc = step_name(c, from, &step, what);
    if (!rc)
        rc = compile_predicates(c, from->predicates, from->predicate_count, items, &step);
    if (rc)
        return rc;
    struct step *slot = vec_push(c->a, &c->x->steps);
    if (!slot)
        return ERR_NOMEM;
    *slot = step;
    return emit(c, OP_STEP, c->x->steps.count - 1, 0, from->at, 0);
}

static enum err filter(struct compiler *c, const struct ast *n, struct made items)
{
    struct step aside = {.axis = AXIS_SELF};
    enum err rc = compile_predicates(c, n->base_predicates, n->base_predicate_count, items, &aside);
    return rc ? rc
              : emit(c, OP_FILTER, aside.predicate_first, aside.predicate_end, n->base_predicates[0]->at, 0);
}

/* Where a path starts, as far as the schema is concerned. */
struct start {
    uint32_t schema;
    bool absolute, known, foreign, current;
};

/* What the path reads, for the dependency graph, and the schema node it ends at. */
static enum err note_reads(struct compiler *c, const struct ast *n, struct start s, struct made *made)
{
    if (!c->scope->path || s.foreign)
        return ERR_OK;
    if (!s.known || !steps_are_plain(n->steps, n->step_count)) {
        c->x->uses |= EXPR_USES_ALL;
        return ERR_OK;
    }
    struct diag what = {0};
    enum err rc = path_ref(c, s.schema, s.absolute, n->steps, n->step_count, &made->ref, &what);
    if (rc == ERR_NOT_FOUND) {
        made->ref = EXPR_REF_NONE;
        if (c->d && c->d->code == ERR_OK) {
            *c->d = what;
            c->d->column = lexer_column(c->x->text, n->at);
        }
        return ERR_OK;
    }
    if (rc)
        return rc;
    if (made->ref == EXPR_REF_NONE) {
        c->x->uses |= EXPR_USES_ALL;
        return ERR_OK;
    }
    if (c->here.reads_count)
        rc = add_read(c, made->ref, READ_COUNT);
    if (c->here.reads_order && !has_predicates(n))
        return rc;
    return rc ? rc : add_read(c, made->ref, has_predicates(n) || n->base ? READ_DYNAMIC : READ_NODES);
}

/* Step by step at run time. */
static enum err path_walked(struct compiler *c, const struct ast *n, struct made *made)
{
    struct diag what = {0};
    struct made base = made_any;
    struct start s = {c->here.schema, n->absolute, true, c->here.foreign && !n->absolute, false};
    enum err rc;
    if (n->base) {
        bool counted = c->here.reads_count;
        c->here.reads_count = false;
        rc = compile(c, n->base, WANT_NODES, &base);
        c->here.reads_count = counted;
        if (!rc && base.kind != ARG_NODES && base.kind != ARG_ANY) {
            diag_set(&what, ERR_SYNTAX, "a path or \"[...]\" can only follow something that gives nodes");
            c->depth--;
            return fault(c, n->at, &what);
        }
        s = (struct start){base.ref, false, base.ref != EXPR_REF_NONE, base.foreign, false};
    } else {
        rc = emit(c, n->absolute ? OP_ROOT : OP_CONTEXT, 0, 0, n->at, 1);
        s.known = n->absolute || c->here.schema != EXPR_CONTEXT_NONE;
    }
    if (!rc && n->base_predicate_count)
        rc = filter(c, n, base);
    for (uint32_t i = 0; !rc && i < n->step_count; i++) {
        const struct ast_step *from = &n->steps[i];
        struct made items = {ARG_NODES, EXPR_REF_NONE, s.foreign};
        if (from->predicate_count && s.known && !s.foreign) {
            struct diag unused = {0};
            if (path_ref(c, s.schema, s.absolute, n->steps, i + 1, &items.ref, &unused))
                items.ref = EXPR_REF_NONE;
            if (items.ref != EXPR_REF_NONE)
                rc = add_read(c, items.ref, READ_COUNT);
        }
        enum axis axis = from->axis;
        if (i + 1 < n->step_count && merges(from, from + 1)) {
            axis = AXIS_DESCENDANT;
            from = &n->steps[++i];
        }
        if (!rc)
            rc = compile_step(c, from, axis, items, &what);
    }
    if (what.code && rc == what.code) {
        c->depth--; /* an undeclared prefix: the nodes before it are left behind */
        return fault(c, n->at, &what);
    }
    *made = (struct made){ARG_NODES, EXPR_REF_NONE, s.foreign};
    return rc ? rc : note_reads(c, n, s, made);
}

static enum err path_missing(struct compiler *c, const struct ast *n, const struct diag *what,
                             struct made *made)
{
    if (c->d && c->d->code == ERR_OK) {
        *c->d = *what;
        c->d->column = lexer_column(c->x->text, n->at);
    }
    struct nodes *none = ARENA_NEW(c->a, struct nodes);
    if (!none)
        return ERR_NOMEM;
    *made = made_of(ARG_NODES);
    return emit_constant(c, (struct value){.type = VALUE_NODES, .nodes = none}, n->at);
}

static bool is_current(const struct ast *n)
{
    return n->kind == AST_CALL && str_eq_z(n->text, "current") && n->item_count == 0;
}

/* A path that is nothing but names, `.`, `..` and attributes, from here, from the root, or from current(). */
static enum err path_plain(struct compiler *c, const struct ast *n, enum want want, struct made *made,
                           bool *done_out)
{
    *done_out = false;
    bool from_current = n->base && is_current(n->base);
    if ((n->base && !from_current) || has_predicates(n))
        return ERR_OK;
    uint32_t context = from_current ? c->scope->context : c->here.schema;
    bool bind_current = from_current;
    if (n->absolute && c->predicates && context == EXPR_CONTEXT_NONE) {
        context = c->scope->context;
        bind_current = true;
    }
    uint32_t ref = EXPR_REF_NONE;
    struct diag what = {0};
    enum err rc = path_ref(c, context, n->absolute, n->steps, n->step_count, &ref, &what);
    if (rc == ERR_NOT_FOUND) {
        *done_out = true;
        return path_missing(c, n, &what, made);
    }
    if (rc == ERR_SYNTAX) {
        *done_out = true;
        return fault(c, n->at, &what);
    }
    if (rc || ref == EXPR_REF_NONE)
        return rc;
    if (n->absolute && c->predicates && !bind_current && c->scope->context != EXPR_CONTEXT_NONE &&
        many(c, context, ref) && !many(c, c->scope->context, ref)) {
        context = c->scope->context; /* not of the item's own repeat, but of the question's */
        bind_current = true;
    }
    if (!n->absolute && n->step_count == 1 && n->steps[0].axis == AXIS_SELF)
        c->x->uses |= EXPR_USES_SELF;

    bool all = want == WANT_NODES || (want == WANT_COMPARE && many(c, context, ref));
    if (all && !n->absolute && !c->here.all_instances)
        return ERR_OK; /* own branch only: walked */
    *done_out = true;
    *made = (struct made){all ? ARG_NODES : ARG_ANY, ref, false};
    rc = emit(c, all ? OP_REFS : OP_SCALAR, ref, bind_current, n->at, 1);
    if (!rc && c->here.reads_count)
        rc = add_read(c, ref, READ_COUNT);
    if (c->here.reads_order)
        return rc;
    return rc ? rc
              : add_read_from(c, ref,
                              c->here.all_instances ? READ_DYNAMIC
                              : all                 ? READ_NODES
                                                    : READ_SCALAR,
                              bind_current);
}

static enum err compile_path(struct compiler *c, const struct ast *n, enum want want, struct made *made)
{
    bool done = false;
    enum err rc = path_plain(c, n, want, made, &done);
    return rc || done ? rc : path_walked(c, n, made);
}

/* -- operators
 * -------------------------------------------------------------------------------------------------- */

static enum err compile_logic(struct compiler *c, const struct ast *n)
{
    bool is_and = n->ops[0] == TOK_AND;
    VEC(uint32_t) jumps = {0};
    struct made made = made_any;
    enum err rc = compile(c, n->items[0], WANT_ONE, &made);
    for (uint32_t i = 1; !rc && i < n->item_count; i++) {
        uint32_t *jump = vec_push(c->a, &jumps);
        if (!jump)
            return ERR_NOMEM;
        *jump = next_op(c);
        rc = emit(c, is_and ? OP_AND_TEST : OP_OR_TEST, 0, 0, n->at, 0);
        if (!rc)
            rc = compile(c, n->items[i], WANT_ONE, &made);
        if (!rc)
            rc = emit(c, is_and ? OP_AND : OP_OR, 0, 0, n->at, -1);
    }
    for (uint32_t i = 0; !rc && i < jumps.count; i++)
        patch(c, jumps.at[i]);
    return rc;
}

static enum err compile_union(struct compiler *c, const struct ast *n, struct made *made)
{
    *made = (struct made){ARG_NODES, EXPR_REF_NONE, true};
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < n->item_count; i++) {
        struct made one = made_any;
        rc = compile(c, n->items[i], WANT_NODES, &one);
        made->foreign = made->foreign && one.foreign;
        if (!rc && one.kind != ARG_NODES && one.kind != ARG_ANY) {
            struct diag what = {0};
            diag_set(&what, ERR_SYNTAX, "\"|\" joins nodes; use \"or\" between conditions");
            c->depth--;
            rc = fault(c, n->at, &what);
        }
        if (!rc && i > 0)
            rc = emit(c, OP_UNION, 0, 0, n->at, -1);
    }
    return rc;
}

static enum err compile_chain(struct compiler *c, const struct ast *n, struct made *made)
{
    enum token_kind kind = n->ops[0];
    if (kind == TOK_PIPE)
        return compile_union(c, n, made);
    *made = made_of(ARG_BOOL);
    if (kind == TOK_AND || kind == TOK_OR)
        return compile_logic(c, n);
    bool compares = kind == TOK_EQ || kind == TOK_NE || kind == TOK_LT || kind == TOK_LE || kind == TOK_GT ||
                    kind == TOK_GE;
    if (!compares)
        *made = made_of(ARG_NUMBER);
    struct made one = made_any;
    enum err rc = compile(c, n->items[0], compares ? WANT_COMPARE : WANT_ONE, &one);
    for (uint32_t i = 1; !rc && i < n->item_count; i++) {
        rc = compile(c, n->items[i], compares ? WANT_COMPARE : WANT_ONE, &one);
        if (rc)
            break;
        switch (n->ops[i - 1]) {
        case TOK_PLUS: rc = emit(c, OP_ADD, 0, 0, n->at, -1); break;
        case TOK_MINUS: rc = emit(c, OP_SUB, 0, 0, n->at, -1); break;
        case TOK_MUL: rc = emit(c, OP_MUL, 0, 0, n->at, -1); break;
        case TOK_DIV: rc = emit(c, OP_DIV, 0, 0, n->at, -1); break;
        case TOK_MOD: rc = emit(c, OP_MOD, 0, 0, n->at, -1); break;
        default: rc = emit(c, OP_COMPARE, n->ops[i - 1], 0, n->at, -1); break;
        }
    }
    return rc;
}

/* -- functions
 * -------------------------------------------------------------------------------------------------- */

static uint32_t edit_distance(struct str a, struct str b)
{
    enum { LONGEST = 24 };
    uint32_t row[LONGEST + 1];
    if (a.n > LONGEST || b.n > LONGEST)
        return LONGEST;
    for (uint32_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (uint32_t i = 1; i <= a.n; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= b.n; j++) {
            uint32_t replace = diagonal + (a.p[i - 1] != b.p[j - 1]);
            diagonal = row[j];
            uint32_t best = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;
            row[j] = replace < best ? replace : best;
        }
    }
    return row[b.n];
}

static const struct expr_function *find_in(const struct expr_function *table, uint32_t count, struct str name,
                                           const char **nearest, uint32_t *distance)
{
    for (uint32_t i = 0; i < count; i++) {
        if (str_eq_z(name, table[i].name))
            return &table[i];
        uint32_t d = edit_distance(name, str_of(table[i].name));
        if (d < *distance) {
            *distance = d;
            *nearest = table[i].name;
        }
    }
    return NULL;
}

static const struct expr_function *find_function(const struct compiler *c, struct str name,
                                                 const char **nearest)
{
    uint32_t distance = name.n > 7 ? 4 : name.n > 4 ? 3 : 2; /* suggest what is nearer than this */
    *nearest = NULL;
    const struct expr_function *f = find_in(c->scope->functions, c->scope->function_count, name, nearest,
                                            &distance);
    for (uint32_t i = c->scope->library == EXPR_XPATH_1 ? EXPR_TABLES - 1 : 0; !f && i < EXPR_TABLES; i++) {
        struct expr_function_table t = expr_function_table(i);
        f = find_in(t.rows, t.count, name, nearest, &distance);
    }
    return f;
}

static void arity_fault(const struct expr_function *f, uint32_t given, struct diag *what)
{
    if (f->args_max == EXPR_ARGS_MANY)
        diag_set(what, ERR_SYNTAX, "%s() needs at least %u argument%s and got %u", f->name, f->args_min,
                 f->args_min == 1 ? "" : "s", given);
    else if (f->args_min == f->args_max)
        diag_set(what, ERR_SYNTAX, "%s() takes %u argument%s and got %u", f->name, f->args_min,
                 f->args_min == 1 ? "" : "s", given);
    else
        diag_set(what, ERR_SYNTAX, "%s() takes %u to %u arguments and got %u", f->name, f->args_min,
                 f->args_max, given);
}

static enum err compile_if(struct compiler *c, const struct ast *n, enum want want, struct made *made)
{
    struct made one = made_any, other = made_any;
    enum err rc = compile(c, n->items[0], WANT_ONE, made);
    if (!rc &&
        c->scope->rules) { /* both sides, because an unknown condition still has an answer when they agree */
        rc = emit(c, OP_TRUTH, 0, 0, n->at, 0);
        if (!rc)
            rc = compile(c, n->items[1], want, &one);
        if (!rc)
            rc = compile(c, n->items[2], want, &other);
        if (!rc)
            rc = emit(c, OP_CHOOSE, 0, 0, n->at, -2);
    } else if (!rc) {
        uint32_t test = next_op(c);
        rc = emit(c, OP_IF, 0, 0, n->at, -1);
        if (!rc)
            rc = compile(c, n->items[1], want, &one);
        uint32_t jump = next_op(c);
        if (!rc)
            rc = emit(c, OP_JUMP, 0, 0, n->at, -1);
        if (rc)
            return rc;
        patch(c, test);
        rc = compile(c, n->items[2], want, &other);
        patch(c, jump);
    }
    *made = one.kind == other.kind ? made_of(one.kind) : made_any;
    made->foreign = one.foreign && other.foreign;
    return rc;
}

/* The first value that is not empty; `first_at` operations for it are already there. */
static enum err compile_or_else(struct compiler *c, const struct ast *second, struct made *made)
{
    uint32_t test = next_op(c);
    enum err rc = emit(c, OP_NOT_EMPTY, 0, 0, second->at, -1);
    if (!rc)
        rc = compile(c, second, WANT_ONE, made);
    if (!rc)
        patch(c, test);
    *made = made_any;
    return rc;
}

static const struct ast_step self_step = {.axis = AXIS_SELF, .test = TEST_NODE};

/* The value of the node the expression is bound to. */
static enum err compile_self(struct compiler *c, uint32_t at, bool current, enum want want, struct made *made)
{
    uint32_t ref = EXPR_REF_NONE;
    struct diag what = {0};
    uint32_t schema = current ? c->scope->context : c->here.schema;
    if (want != WANT_NODES && path_ref(c, schema, false, &self_step, 1, &ref, &what) == ERR_OK &&
        ref != EXPR_REF_NONE) {
        *made = (struct made){ARG_ANY, ref, false};
        enum err rc = emit(c, OP_SCALAR, ref, current, at, 1);
        return rc ? rc : add_read_from(c, ref, READ_SCALAR, current);
    }
    *made = (struct made){ARG_NODES, schema, !current && c->here.foreign};
    return emit(c, current ? OP_CURRENT : OP_CONTEXT, 0, 0, at, 1);
}

static enum err compile_argument(struct compiler *c, const struct expr_function *f, uint32_t i,
                                 const struct ast *arg, struct made *made)
{
    enum arg_kind kind = f->arg[i < 3 ? i : 3];
    bool indexed = str_eq_z(STR("indexed-repeat"), f->name);
    if (indexed)
        kind = i > 0 && i % 2 == 0 ? ARG_NUMBER : ARG_NODES;
    struct here outside = c->here;
    c->here.all_instances = indexed && kind == ARG_NODES;
    c->here.reads_order = str_eq_z(STR("position"), f->name);
    c->here.reads_count = c->here.reads_order || str_eq_z(STR("count"), f->name);
    enum err rc = compile(c, arg, kind == ARG_NODES || kind == ARG_MANY ? WANT_NODES : WANT_ONE, made);
    outside.position_used = c->here.position_used;
    c->here = outside;
    if (!rc && kind == ARG_NODES && made->kind != ARG_NODES && made->kind != ARG_ANY &&
        made->kind != ARG_MANY) {
        struct diag what = {0};
        diag_set(&what, ERR_SYNTAX, "%s() needs a path to nodes as argument %u, not a single value", f->name,
                 i + 1);
        c->depth--;
        rc = fault(c, arg->at, &what);
    }
    return rc;
}

static enum err compile_table_call(struct compiler *c, const struct ast *n, const struct expr_function *f,
                                   struct made *made)
{
    enum err rc = ERR_OK;
    bool foreign = false;
    uint32_t first = next_op(c);
    for (uint32_t i = 0; !rc && i < n->item_count; i++) {
        struct made one = made_any;
        rc = compile_argument(c, f, i, n->items[i], &one);
        if (i == 0)
            foreign = one.foreign;
    }
    const struct expr_function **slot = rc ? NULL : vec_push(c->a, &c->x->functions);
    if (!slot)
        return rc ? rc : ERR_NOMEM;
    *slot = f;
    c->x->uses |= f->uses & ~(EXPR_TAKES_UNKNOWN | EXPR_USES_ZONE);
    if (n->item_count == 0 && f->args_max == 1) /* string(), name() ... of the context node */
        c->x->uses |= EXPR_USES_SELF;
    *made = made_of(f->returns);
    made->foreign = foreign || str_eq_z(STR("instance"), f->name);
    rc = emit(c, OP_CALL, c->x->functions.count - 1, n->item_count, n->at, 1 - (int)n->item_count);
    return rc ? rc : fold(c, first);
}

static enum err compile_call(struct compiler *c, const struct ast *n, enum want want, struct made *made)
{
    const char *nearest = NULL;
    struct diag what = {0};
    const struct expr_function *f = find_function(c, n->text, &nearest);
    if (!f) {
        if (nearest)
            diag_set(&what, ERR_SYNTAX, "there is no function %.*s(); did you mean %s()?", STR_ARG(n->text),
                     nearest);
        else
            diag_set(&what, ERR_SYNTAX, "there is no function %.*s()", STR_ARG(n->text));
        *made = made_any;
        return fault(c, n->at, &what);
    }
    if (n->item_count < f->args_min || (f->args_max != EXPR_ARGS_MANY && n->item_count > f->args_max)) {
        arity_fault(f, n->item_count, &what);
        *made = made_any;
        return fault(c, n->at, &what);
    }
    if (str_eq_z(n->text, "position") && n->item_count == 0) {
        c->here.position_used = true;
        *made = made_of(ARG_NUMBER);
        return emit(c, OP_POSITION, 0, 0, n->at, 1);
    }
    if (str_eq_z(n->text, "last")) {
        c->here.position_used = true;
        *made = made_of(ARG_NUMBER);
        return emit(c, OP_LAST, 0, 0, n->at, 1);
    }
    if (f->call)
        return compile_table_call(c, n, f, made);
    if (str_eq_z(n->text, "extract-signed")) {
        diag_set(&what, ERR_SYNTAX,
                 "extract-signed() is not supported: its signatures (Ed25519) cannot be checked here");
        *made = made_any;
        return fault(c, n->at, &what);
    }

    /* Rows without a call are compiled to jumps. */
    uint32_t first = next_op(c);
    enum err rc;
    if (str_eq_z(n->text, "current"))
        return compile_self(c, n->at, true, want, made);
    if (str_eq_z(n->text, "if")) {
        rc = compile_if(c, n, want, made);
    } else if (str_eq_z(n->text, "once")) {
        c->x->uses |= EXPR_USES_SELF;
        rc = compile_self(c, n->at, true, WANT_ONE, made);
        if (!rc)
            rc = compile_or_else(c, n->items[0], made);
        if (!rc) { /* what cannot be computed leaves the node empty */
            uint32_t test = next_op(c);
            rc = emit(c, OP_NOT_EMPTY, 0, 0, n->at, -1);
            if (!rc)
                rc = emit_constant(c, c->scope->rules ? value_unknown() : value_of_text(STR("")), n->at);
            if (!rc)
                patch(c, test);
        }
    } else {
        CHECK(str_eq_z(n->text, "coalesce"));
        rc = compile(c, n->items[0], WANT_ONE, made);
        if (!rc)
            rc = compile_or_else(c, n->items[1], made);
    }
    return rc ? rc : fold(c, first);
}

static enum err compile_number(struct compiler *c, const struct ast *n)
{
    struct value v = {.type = VALUE_NUMBER};
    if (c->scope->rules && dec_read(n->text, &v.dec)) {
        v.type = VALUE_DEC;
        return emit_constant(c, v, n->at);
    }
    struct str text = n->text;
    if (str_ends(text, STR("."))) /* "5." is a number in XPath */
        text.n--;
    if (!num_read(text, &v.number))
        return fault_at(c, n->at, diag_set(c->d, ERR_SYNTAX, "\"%.*s\" is not a number", STR_ARG(n->text)));
    return emit_constant(c, v, n->at);
}

static enum err compile_variable(struct compiler *c, const struct ast *n, struct made *made)
{
    uint32_t ref = EXPR_REF_NONE;
    struct diag what = {0};
    enum err rc = ERR_SYNTAX;
    *made = made_any;
    if (c->scope->variable)
        rc = c->scope->variable(c->scope->self, n->text, &ref, &what);
    else
        diag_set(&what, ERR_SYNTAX, "there are no variables such as $%.*s here", STR_ARG(n->text));
    if (rc)
        return rc == ERR_NOMEM ? rc : fault(c, n->at, &what);
    made->ref = ref;
    rc = emit(c, OP_SCALAR, ref, c->predicates > 0, n->at, 1);
    return rc ? rc : add_read(c, ref, READ_SCALAR);
}

static enum err compile(struct compiler *c, const struct ast *n, enum want want, struct made *made)
{
    uint32_t first = next_op(c);
    enum err rc = ERR_OK;
    switch (n->kind) {
    case AST_NUMBER: *made = made_of(ARG_NUMBER); return compile_number(c, n);
    case AST_LITERAL: *made = made_of(ARG_STRING); return emit_constant(c, value_of_text(n->text), n->at);
    case AST_VARIABLE: return compile_variable(c, n, made);
    case AST_CALL: return compile_call(c, n, want, made);
    case AST_PATH: return compile_path(c, n, want, made);
    case AST_NEGATE:
        rc = compile(c, n->items[0], WANT_ONE, made);
        *made = made_of(ARG_NUMBER);
        if (!rc)
            rc = emit(c, OP_NEGATE, 0, 0, n->at, 0);
        break;
    case AST_CHAIN: rc = compile_chain(c, n, made); break;
    }
    return rc ? rc : fold(c, first);
}

enum err expr_compile(struct arena *a, const struct expr_scope *scope, struct str text,
                      const struct expr **expr_out, struct diag *d)
{
    struct expr *x = ARENA_NEW(a, struct expr);
    struct str own = arena_str(a, text);
    struct diag mine = {0};
    if (!x || !own.p)
        return diag_set(d, ERR_NOMEM, "no memory left to compile this expression");
    x->text = own;
    x->library = scope->library;
    x->rules = scope->rules;
    struct ast *n = NULL;
    enum err rc = expr_parse(a, own, &n, &mine);
    if (!rc) {
        struct compiler c = {.a = a, .scope = scope, .x = x, .d = &mine, .here = {.schema = scope->context}};
        struct made made = made_any;
        rc = compile(&c, n, scope->nodes ? WANT_NODES : WANT_ANY, &made);
    }
    if (rc == ERR_NOMEM)
        diag_set(&mine, rc, "no memory left to compile this expression");
    if (mine.code && d && d->code == ERR_OK)
        *d = mine;
    if (rc)
        return rc;
    if (x->ops.count == 1 && x->ops.at[0].code == OP_CONST &&
        x->constants.at[x->ops.at[0].a].type != VALUE_NODES) {
        x->constant = true;
        x->constant_value = x->constants.at[x->ops.at[0].a];
    }
    *expr_out = x;
    return ERR_OK;
}

uint32_t expr_reads(const struct expr *e, const struct expr_read **reads_out)
{
    *reads_out = e->reads.at;
    return e->reads.count;
}

uint32_t expr_uses(const struct expr *e)
{
    return e->uses;
}

bool expr_constant(const struct expr *e, struct value *out)
{
    if (e->constant)
        *out = e->constant_value;
    return e->constant;
}

struct str expr_text(const struct expr *e)
{
    return e->text;
}
