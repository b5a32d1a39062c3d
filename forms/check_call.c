/* Functions: looked up in the host's table and ours, arity and kinds of arguments checked, `if`, `coalesce`
 * and `once` turned into jumps. A name that does not exist is answered with the nearest one that does.
 */
#include "forms/check_impl.h"

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

/* The i-th table to look in, nearest first; false behind the last. */
static bool table_at(const struct compiler *c, uint32_t i, struct expr_function_table *out)
{
    if (i == 0) {
        *out = (struct expr_function_table){c->scope->functions, c->scope->function_count};
        return true;
    }
    i += c->scope->library == EXPR_XPATH_1 ? EXPR_TABLES - 2 : -1u;
    *out = expr_function_table(i);
    return i < EXPR_TABLES;
}

static const struct expr_function *find_function(const struct compiler *c, struct str name)
{
    struct expr_function_table t;
    for (uint32_t i = 0; table_at(c, i, &t); i++)
        for (uint32_t k = 0; k < t.count; k++)
            if (str_eq_z(name, t.rows[k].name))
                return &t.rows[k];
    return NULL;
}

/* The name that may have been meant, or NULL. */
static const char *nearest_function(const struct compiler *c, struct str name)
{
    struct expr_function_table t;
    const char *nearest = NULL;
    uint32_t distance = name.n > 7 ? 4 : name.n > 4 ? 3 : 2; /* nothing this far off */
    for (uint32_t i = 0; table_at(c, i, &t); i++)
        for (uint32_t k = 0; k < t.count; k++) {
            uint32_t d = edit_distance(name, str_of(t.rows[k].name));
            if (d < distance) {
                distance = d;
                nearest = t.rows[k].name;
            }
        }
    return nearest;
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

/* jr:choice-name('a', '/data/question'): the path is a text, and a wrong one would give blanks for ever. */
static enum err check_quoted_path(struct compiler *c, const struct ast *n)
{
    const struct ast *path = n->items[1];
    const struct expr *x = NULL;
    struct diag told = {0}, what = {0};
    if (path->kind != AST_LITERAL || memchr(path->text.p, '\'', path->text.n) ||
        memchr(path->text.p, '"', path->text.n))
        return ERR_OK;
    enum err rc = expr_compile(c->a, c->scope, str_trim(path->text), &x, &told);
    if (rc == ERR_NOMEM || (!rc && told.code != ERR_NOT_FOUND)) /* a path that leads nowhere is only told */
        return rc;
    diag_set(&what, ERR_SYNTAX, "jr:choice-name() names no question: %s", told.text);
    return fault(c, path->at, &what);
}

/* pulldata('file', 'wanted', 'key', key), search('file', ..., 'filter column', value): files and indexes. */
static enum err wish_for_file(struct compiler *c, const struct ast *n)
{
    uint32_t column = str_eq_z(n->text, "pulldata") ? 2 : 4;
    struct filter_wish *w;
    if (n->items[0]->kind != AST_LITERAL)
        return ERR_OK;
    w = vec_push(c->a, &c->x->wishes);
    if (!w)
        return ERR_NOMEM;
    *w = (struct filter_wish){.list = n->items[0]->text, .file = true};
    if (column < n->item_count && n->items[column]->kind == AST_LITERAL) {
        w->columns[0] = n->items[column]->text;
        w->refs[0] = EXPR_REF_NONE;
        w->count = 1;
    }
    return ERR_OK;
}

static enum err note_pattern(struct compiler *c, const struct ast *n)
{
    if (n->items[1]->kind != AST_LITERAL)
        return ERR_OK;
    struct regex_written *r = vec_push(c->a, &c->x->regexes);
    if (!r)
        return ERR_NOMEM;
    *r = (struct regex_written){.pattern = n->items[1]->text, .at = n->items[1]->at};
    return ERR_OK;
}

static enum err compile_table_call(struct compiler *c, const struct ast *n, const struct expr_function *f,
                                   struct made *made)
{
    enum err rc = ERR_OK;
    bool foreign = false;
    uint32_t first = next_op(c);
    if (str_eq_z(n->text, "search") && n->item_count != 1 && n->item_count != 4 && n->item_count != 6) {
        struct diag what = {0};
        diag_set(&what, ERR_SYNTAX, "search() takes 1, 4 or 6 arguments, not %u", n->item_count);
        *made = made_any;
        return fault(c, n->at, &what);
    }
    if (str_eq_z(n->text, "jr:choice-name"))
        rc = check_quoted_path(c, n);
    uint32_t kept = EXPR_REF_NONE;
    if (!rc)
        rc = kept_begin(c, f->name, n, &kept);
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
    if (str_eq_z(n->text, "pulldata") || str_eq_z(n->text, "search"))
        rc = wish_for_file(c, n);
    else if (str_eq_z(n->text, "regex"))
        rc = note_pattern(c, n);
    if (rc)
        return rc;
    c->x->uses |= f->uses & ~(EXPR_TAKES_UNKNOWN | EXPR_USES_ZONE);
    if (n->item_count == 0 && f->args_max == 1) /* string(), name() ... of the context node */
        c->x->uses |= EXPR_USES_SELF;
    *made = made_of(f->returns);
    made->foreign = foreign || str_eq_z(STR("instance"), f->name);
    rc = emit(c, OP_CALL, c->x->functions.count - 1, n->item_count, n->at, 1 - (int)n->item_count);
    kept_end(c, kept);
    return rc ? rc : fold(c, first);
}

enum err compile_call(struct compiler *c, const struct ast *n, enum want want, struct made *made)
{
    struct diag what = {0};
    const struct expr_function *f = find_function(c, n->text);
    if (!f) {
        const char *nearest = nearest_function(c, n->text);
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
