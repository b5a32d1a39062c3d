/* Aggregates that a host may keep instead of computing: count(), sum() and their kin over one path that the
 * schema knows, whole or with a condition.
 *
 * In front of the operations of such a call stands one that asks the host first; what the host does not keep
 * is walked as if it had not been asked. A condition is kept only where it can be asked of each node by
 * itself: it is a truth value, knows no position, uses no clock, chance or language, and reads single values
 * of the node or of what is around it, never through current(). It is compiled a second time, alone.
 */
#include "forms/check_impl.h"

static bool aggregate_named(const char *name, enum aggregate *what_out)
{
    static const struct {
        const char *name;
        enum aggregate what;
    } known[] = {{"count", AGGREGATE_COUNT},
                 {"count-non-empty", AGGREGATE_GIVEN},
                 {"sum", AGGREGATE_SUM},
                 {"min", AGGREGATE_MIN},
                 {"max", AGGREGATE_MAX}};
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (strcmp(name, known[i].name) == 0) {
            *what_out = known[i].what;
            return true;
        }
    return false;
}

/* Operations whose result only hangs on the node and on what is around it. */
static bool stays_with_the_node(const struct expr *x)
{
    for (uint32_t i = 0; i < x->ops.count; i++)
        switch ((enum op_code)x->ops.at[i].code) {
        case OP_CONST:
        case OP_NEGATE:
        case OP_ADD:
        case OP_SUB:
        case OP_MUL:
        case OP_DIV:
        case OP_MOD:
        case OP_COMPARE:
        case OP_TRUTH:
        case OP_AND_TEST:
        case OP_OR_TEST:
        case OP_AND:
        case OP_OR:
        case OP_JUMP:
        case OP_IF:
        case OP_CHOOSE:
        case OP_NOT_EMPTY:
        case OP_CALL: break;
        case OP_SCALAR:
            if (x->ops.at[i].b) /* from current() */
                return false;
            break;
        default: return false;
        }
    return true;
}

static bool reads_single_values(const struct compiler *c, const struct expr *x, uint32_t from)
{
    const struct expr_scope *scope = c->scope;
    for (uint32_t i = 0; i < x->reads.count; i++)
        if (x->reads.at[i].kind != READ_SCALAR ||
            (scope->many && scope->many(scope->self, from, x->reads.at[i].ref)))
            return false;
    return true;
}

/* All predicates of a step as one condition on its nodes; *out stays NULL when it is not of this kind. */
static enum err compile_condition(struct compiler *c, const struct ast_step *step, uint32_t from,
                                  struct expr **out)
{
    struct expr *x = ARENA_NEW(c->a, struct expr);
    uint32_t *jumps = ARENA_ARRAY(c->a, uint32_t, step->predicate_count);
    if (!x || !jumps)
        return ERR_NOMEM;
    struct expr_scope scope = *c->scope;
    struct diag told = {0};
    struct compiler inner = {.a = c->a, .scope = &scope, .x = x, .d = &told, .here = {.schema = from}};
    bool truth = true;
    enum err rc = ERR_OK;
    scope.context = from;
    scope.nodes = false;
    *x = (struct expr){.text = c->x->text, .library = c->x->library};
    for (uint32_t i = 0; !rc && i < step->predicate_count; i++) {
        struct made made = made_any;
        jumps[i] = next_op(&inner);
        if (i > 0)
            rc = emit(&inner, OP_AND_TEST, 0, 0, step->at, 0);
        if (!rc)
            rc = compile(&inner, step->predicates[i], WANT_ANY, &made);
        if (!rc && i > 0)
            rc = emit(&inner, OP_AND, 0, 0, step->at, -1);
        truth = truth && made.kind == ARG_BOOL;
    }
    for (uint32_t i = 1; !rc && i < step->predicate_count; i++)
        patch(&inner, jumps[i]);
    if (rc)
        return rc == ERR_NOMEM ? rc : ERR_OK; /* the text itself is judged where it stands */
    if (truth && !told.code && !inner.here.position_used && !(x->uses & ~EXPR_USES_SELF) &&
        stays_with_the_node(x) && reads_single_values(&inner, x, from))
        *out = x;
    return ERR_OK;
}

/* Up, then down, with predicates on the way down and in one step only. */
static bool has_the_shape(const struct ast *n, uint32_t *step_out)
{
    bool down = false;
    *step_out = n->step_count;
    for (uint32_t i = 0; i < n->step_count; i++) {
        const struct ast_step *s = &n->steps[i];
        bool child = s->axis == AXIS_CHILD || s->axis == AXIS_ATTRIBUTE;
        if (s->predicate_count && (!child || *step_out != n->step_count))
            return false;
        if (s->predicate_count)
            *step_out = i;
        if (down && !child)
            return false;
        down = down || child;
    }
    return true;
}

static enum err known_ref(struct compiler *c, const struct ast *n, uint32_t count, uint32_t *ref_out)
{
    struct diag unused = {0};
    enum err rc = path_ref(c, c->here.schema, n->absolute, n->steps, count, ref_out, &unused);
    if (rc)
        *ref_out = EXPR_REF_NONE;
    return rc == ERR_NOMEM ? rc : ERR_OK;
}

enum err kept_begin(struct compiler *c, const char *function, const struct ast *call, uint32_t *kept_out)
{
    const struct ast *n = call->item_count == 1 ? call->items[0] : NULL;
    struct expr_kept kept = {.from = EXPR_REF_NONE, .number = EXPR_REF_NONE};
    struct expr *condition = NULL;
    uint32_t step = 0;
    enum err rc;
    *kept_out = EXPR_REF_NONE;
    if (!n || n->kind != AST_PATH || n->base || !aggregate_named(function, &kept.what) || c->predicates ||
        c->scope->rules || c->here.foreign || !has_the_shape(n, &step))
        return ERR_OK;
    rc = known_ref(c, n, n->step_count, &kept.ref);
    if (rc || kept.ref == EXPR_REF_NONE)
        return rc;
    if (step < n->step_count) {
        rc = known_ref(c, n, step + 1, &kept.from);
        if (!rc && kept.from != EXPR_REF_NONE)
            rc = compile_condition(c, &n->steps[step], kept.from, &condition);
        if (rc || !condition)
            return rc;
    }
    struct kept_half *slot = vec_push(c->a, &c->x->kept_halves);
    if (!slot)
        return ERR_NOMEM;
    *slot = (struct kept_half){kept, condition};
    *kept_out = c->x->kept_halves.count - 1;
    return emit(c, OP_KEPT, *kept_out, 0, n->at, 0);
}

void kept_end(struct compiler *c, uint32_t kept)
{
    if (kept != EXPR_REF_NONE)
        c->x->kept_halves.at[kept].kept.behind = next_op(c);
}
