/* Paths: resolved against the schema where it knows them, else compiled to steps that are walked at run time.
 *
 * The context rule of ODK forms is decided here, in path_plain(): a path the schema knows is one value where
 * one value is wanted (the instance around the context, else the only one), and all instances where a
 * node-set is.
 */
#include "forms/check_impl.h"

static enum err prefix_uri(const struct compiler *c, struct str prefix, struct str *uri_out,
                           struct diag *what)
{
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

enum err path_ref(struct compiler *c, uint32_t schema, bool absolute, const struct ast_step *steps,
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
            enum err rc = prefix_uri(c, steps[i].prefix, &plain[i].uri, what);
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

/* The value has nothing to do with the item that a predicate looks at. */
bool ast_independent(const struct ast *n)
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
        return !has_predicates(n) && ast_independent(n->base);
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
        if (!ast_independent(n->items[i]))
            return false;
    return true;
}

/* A child of the item. */
bool ast_column(const struct ast *n, struct str *column_out)
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

/* `column = value` with an independent value. */
static const struct ast *equality_value(const struct ast *n, struct str *column_out)
{
    if (n->kind != AST_CHAIN || n->item_count != 2 || n->ops[0] != TOK_EQ)
        return NULL;
    for (int side = 0; side < 2; side++)
        if (ast_column(n->items[side], column_out) && ast_independent(n->items[1 - side]))
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

static enum err compile_predicate(struct compiler *c, const struct ast *n, struct made items, enum want want,
                                  struct predicate *out, bool *position_used_out)
{
    struct here outside = enter_predicate(c, items);
    uint32_t depth = c->depth;
    struct made made = made_any;
    out->first = next_op(c);
    enum err rc = compile(c, n, want, &made);
    out->end = next_op(c);
    out->boolean = made.kind == ARG_BOOL || made.kind == ARG_STRING || made.kind == ARG_NODES;
    c->depth = depth;
    *position_used_out = c->here.position_used;
    leave_predicate(c, outside);
    return rc;
}

enum err compile_operand(struct compiler *c, const struct ast *n, enum want want, uint32_t *first_out,
                         uint32_t *end_out, uint32_t *ref_out)
{
    struct made items = {ARG_NODES, EXPR_REF_NONE, true};
    struct predicate operand = {0};
    bool position_used;
    enum err rc = compile_predicate(c, n, items, want, &operand, &position_used);
    *first_out = operand.first;
    *end_out = operand.end;
    *ref_out = EXPR_REF_NONE;
    const struct op *only = operand.end == operand.first + 1 ? &c->x->ops.at[operand.first] : NULL;
    if (!rc && only && (only->code == OP_SCALAR || only->code == OP_REFS))
        *ref_out = only->a;
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
        rc = compile_predicate(c, list[i], items, WANT_ANY, &done[i],
                               i == 0 ? &position_used : &(bool){false});

    const struct ast *value = NULL;
    bool askable = !rc && !position_used && done[0].boolean && step->axis == AXIS_CHILD &&
                   step->test == TEST_NAME && !c->scope->rules && c->scope->library == EXPR_ODK &&
                   step->uri.n == 0;
    if (askable)
        value = indexable(list[0], &step->find_column, &step->find_is_all);
    if (askable && items.foreign)
        rc = compile_filter(c, list[0], step);
    if (value && !rc) {
        struct predicate operand = {0};
        rc = compile_predicate(c, value, items, WANT_COMPARE, &operand, &position_used);
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
        return prefix_uri(c, from->prefix, &to->uri, what);
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

static struct str instance_id(const struct ast *n)
{
    bool named = n->kind == AST_CALL && str_eq_z(n->text, "instance") && n->item_count == 1 &&
                 n->items[0]->kind == AST_LITERAL;
    return named ? n->items[0]->text : STR("");
}

/* Step by step at run time. */
static enum err path_walked(struct compiler *c, const struct ast *n, struct made *made)
{
    struct diag what = {0};
    struct made base = made_any;
    struct start s = {c->here.schema, n->absolute, true, c->here.foreign && !n->absolute, false};
    struct str list = c->list;
    enum err rc;
    c->list = STR("");
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
        c->list = instance_id(n->base);
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
    c->list = list;
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

/* One value is wanted where the path leads to an entry of each of many: the first is read, which is seldom
 * what was meant. Told, not refused. */
static void tell_many(struct compiler *c, const struct ast *n)
{
    if (!c->d || c->d->code != ERR_OK || c->scope->rules || c->scope->context == EXPR_CONTEXT_NONE)
        return;
    diag_set_at(c->d, ERR_USAGE, 1, lexer_column(c->x->text, n->at),
                "this path leads to many values, one in each entry of a repeat, and only the first is read; "
                "name one with indexed-repeat() or take them together with sum(), count() or join()");
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
    if (want == WANT_ONE && many(c, context, ref))
        tell_many(c, n);
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

enum err compile_path(struct compiler *c, const struct ast *n, enum want want, struct made *made)
{
    bool done = false;
    enum err rc = path_plain(c, n, want, made, &done);
    return rc || done ? rc : path_walked(c, n, made);
}

static const struct ast_step self_step = {.axis = AXIS_SELF, .test = TEST_NODE};

/* The value of the node the expression is bound to. */
enum err compile_self(struct compiler *c, uint32_t at, bool current, enum want want, struct made *made)
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
