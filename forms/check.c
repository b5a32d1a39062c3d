/* From the tree to operations: operators, constants and the whole. Paths are check_path.c's business,
 * functions check_call.c's.
 *
 * Always true: each part leaves exactly one value on the stack; what can be computed now is a constant.
 * Recursion follows the tree, whose depth the parser caps. The tree and everything half-made live in an arena
 * of their own that ends with the compilation; the caller's arena gets the finished arrays, and nothing else.
 */
#include "forms/check_impl.h"
#include "forms/regex.h"

enum err fault_at(struct compiler *c, uint32_t at, enum err rc)
{
    if (c->d && c->d->column == 0)
        c->d->column = lexer_column(c->x->text, at);
    return rc;
}

enum err emit(struct compiler *c, enum op_code code, uint32_t a, uint32_t b, uint32_t at, int effect)
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

enum err emit_constant(struct compiler *c, struct value v, uint32_t at)
{
    struct value *slot = vec_push(c->a, &c->x->constants);
    if (!slot)
        return ERR_NOMEM;
    *slot = v;
    return emit(c, OP_CONST, c->x->constants.count - 1, 0, at, 1);
}

uint32_t next_op(const struct compiler *c)
{
    return c->x->ops.count;
}

void patch(struct compiler *c, uint32_t op)
{
    c->x->ops.at[op].a = next_op(c);
}

enum err add_read_from(struct compiler *c, uint32_t ref, enum read_kind kind, bool fixed)
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

enum err add_read(struct compiler *c, uint32_t ref, enum read_kind kind)
{
    return add_read_from(c, ref, kind, false);
}

enum err fault(struct compiler *c, uint32_t at, const struct diag *what)
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
        case OP_KEPT:
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
enum err fold(struct compiler *c, uint32_t first)
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

enum err compile(struct compiler *c, const struct ast *n, enum want want, struct made *made)
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

/* -- the whole
 * -------------------------------------------------------------------------------------------------- */

#define COMPILE_MEMORY_MAX ((size_t)256 << 20) /* the tree of an expression of EXPR_TEXT_MAX bytes fits */

/* Copies a half-made array into the arena where it stays. */
static bool keep(struct arena *a, void **at, uint32_t count, uint32_t *room, size_t size)
{
    void *kept = count ? arena_array(a, count, size) : NULL;
    if (count && !kept)
        return false;
    if (count)
        memcpy(kept, *at, count * size);
    *at = kept;
    *room = count;
    return true;
}
#define KEEP(a, v) keep((a), (void **)&(v)->at, (v)->count, &(v)->room, sizeof(*(v)->at))

static bool keep_text(struct arena *a, const struct expr *x, struct str *s)
{
    bool ours = s->p >= x->text.p && s->p <= x->text.p + x->text.n;
    if (!s->p || s->n == 0 || ours)
        return true;
    *s = arena_str(a, *s);
    return s->p != NULL;
}

static bool keep_constants(struct arena *a, struct expr *x)
{
    for (uint32_t i = 0; i < x->constants.count; i++) {
        struct value *v = &x->constants.at[i];
        if (v->type == VALUE_STRING && !keep_text(a, x, &v->text))
            return false;
        if (v->type != VALUE_NODES)
            continue;
        v->nodes = ARENA_NEW(a, struct nodes); /* the only constant node-set is the empty one */
        if (!v->nodes)
            return false;
    }
    for (uint32_t i = 0; i < x->steps.count; i++)
        if (!keep_text(a, x, &x->steps.at[i].uri))
            return false;
    return true;
}

/* What lists are asked for: terms and wishes. */
static bool keep_questions(struct arena *a, struct expr *x)
{
    if (!KEEP(a, &x->filters) || !KEEP(a, &x->wishes))
        return false;
    for (uint32_t i = 0; i < x->filters.count; i++)
        if (!keep_text(a, x, &x->filters.at[i].column))
            return false;
    for (uint32_t i = 0; i < x->wishes.count; i++) {
        if (!keep_text(a, x, &x->wishes.at[i].list))
            return false;
        for (uint32_t c = 0; c < x->wishes.at[i].count; c++)
            if (!keep_text(a, x, &x->wishes.at[i].columns[c]))
                return false;
    }
    return true;
}

static bool keep_patterns(struct arena *a, struct expr *x)
{
    if (!KEEP(a, &x->regexes))
        return false;
    for (uint32_t i = 0; i < x->regexes.count; i++) {
        if (!keep_text(a, x, &x->regexes.at[i].pattern))
            return false;
        x->regexes.at[i].code = regex_compile(a, x->regexes.at[i].pattern, NULL);
    }
    return true;
}

/* A pattern that nothing can match is told, not refused. */
static void tell_pattern(struct arena *work, const struct expr *x, struct diag *d)
{
    for (uint32_t i = 0; i < x->regexes.count && d->code == ERR_OK; i++) {
        if (x->regexes.at[i].code)
            continue;
        struct diag why = {0};
        regex_compile(work, x->regexes.at[i].pattern, &why);
        diag_set_at(d, ERR_USAGE, 1, lexer_column(x->text, x->regexes.at[i].at), "%s; nothing matches it",
                    why.text);
    }
}

static enum err finish(struct arena *a, struct expr *half, const struct expr **expr_out);

/* Their conditions are expressions without aggregates: this goes one level deep. */
static bool keep_aggregates(struct arena *a, struct expr *x)
{
    uint32_t count = x->kept_halves.count;
    if (count && !vec_reserve(a, &x->kept, count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct kept_half *half = &x->kept_halves.at[i];
        struct expr_kept *kept = vec_push(a, &x->kept);
        *kept = half->kept;
        if (half->condition && finish(a, half->condition, &kept->condition))
            return false;
    }
    x->kept_halves.at = NULL;
    x->kept_halves.count = x->kept_halves.room = 0;
    return true;
}

static enum err finish(struct arena *a, struct expr *half, const struct expr **expr_out)
{
    struct expr *x = ARENA_NEW(a, struct expr);
    if (!x)
        return ERR_NOMEM;
    *x = *half;
    if (!KEEP(a, &x->ops) || !KEEP(a, &x->constants) || !KEEP(a, &x->steps) || !KEEP(a, &x->predicates) ||
        !KEEP(a, &x->functions) || !KEEP(a, &x->reads) || !keep_constants(a, x) || !keep_questions(a, x) ||
        !keep_aggregates(a, x) || !keep_patterns(a, x))
        return ERR_NOMEM;
    if (x->ops.count == 1 && x->ops.at[0].code == OP_CONST &&
        x->constants.at[x->ops.at[0].a].type != VALUE_NODES) {
        x->constant = true;
        x->constant_value = x->constants.at[x->ops.at[0].a];
    }
    *expr_out = x;
    return ERR_OK;
}

enum err expr_compile(struct arena *a, const struct expr_scope *scope, struct str text,
                      const struct expr **expr_out, struct diag *d)
{
    struct arena work;
    struct diag mine = {0};
    struct ast *n = NULL;
    struct expr half = {.text = arena_str(a, text), .library = scope->library, .rules = scope->rules};
    if (!half.text.p)
        return diag_set(d, ERR_NOMEM, "no memory left to compile this expression");
    arena_init(&work, COMPILE_MEMORY_MAX);
    enum err rc = expr_parse(&work, half.text, &n, &mine);
    if (!rc) {
        struct compiler c = {
            .a = &work, .scope = scope, .x = &half, .d = &mine, .here = {.schema = scope->context}};
        struct made made = made_any;
        rc = compile(&c, n, scope->nodes ? WANT_NODES : WANT_ANY, &made);
    }
    if (!rc)
        rc = finish(a, &half, expr_out);
    if (!rc && mine.code == ERR_OK)
        tell_pattern(&work, *expr_out, &mine);
    arena_free(&work);
    if (rc == ERR_NOMEM)
        diag_set(&mine, rc, "no memory left to compile this expression");
    if (mine.code && d && d->code == ERR_OK)
        *d = mine;
    return rc;
}

struct expr_kept *expr_aggregates(const struct expr *e, uint32_t *count_out)
{
    *count_out = e->kept.count;
    return e->kept.at;
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

static bool never_holds(const struct expr *e, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        const struct predicate *p = &e->predicates.at[i];
        const struct op *op = &e->ops.at[p->first];
        const struct value *v = p->end == p->first + 1 && op->code == OP_CONST ? &e->constants.at[op->a]
                                                                               : NULL;
        if (v && ((v->type == VALUE_BOOL && !v->boolean) || (v->type == VALUE_NUMBER && !(v->number >= 1))))
            return true;
    }
    return false;
}

bool expr_never_any(const struct expr *e)
{
    for (uint32_t i = 0; i < e->ops.count;) {
        const struct op *op = &e->ops.at[i];
        switch (op->code) {
        case OP_CONST:
        case OP_SCALAR:
        case OP_REFS:
        case OP_CONTEXT:
        case OP_CURRENT:
        case OP_ROOT:
        case OP_CALL: break;
        case OP_STEP:
            if (never_holds(e, e->steps.at[op->a].predicate_first, e->steps.at[op->a].predicate_end))
                return true;
            break;
        case OP_FILTER:
            if (never_holds(e, op->a, op->b))
                return true;
            break;
        case OP_JUMP: break;   /* around predicates */
        default: return false; /* either this or that */
        }
        i = op->code == OP_JUMP ? op->a : i + 1;
    }
    return false;
}

struct str expr_text(const struct expr *e)
{
    return e->text;
}
