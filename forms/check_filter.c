/* Predicates as questions: what a predicate asks of the columns of a list, beside the operations that ask it
 * item by item. The evaluator hands the question to lists that live with the host (list_query.c); its columns
 * become wishes for indexes. A part that is no comparison of one column with a value that is the same for
 * every item stays opaque: only the evaluator can tell.
 */
#include "forms/check_impl.h"
#include "forms/list.h"

static enum err put_term(struct compiler *c, struct filter_term term)
{
    struct filter_term *slot = vec_push(c->a, &c->x->filters);
    if (!slot)
        return ERR_NOMEM;
    *slot = term;
    return ERR_OK;
}

static enum err put_wish(struct compiler *c, struct filter_wish wish)
{
    struct filter_wish *slot = c->list.n ? vec_push(c->a, &c->x->wishes) : NULL;
    if (!slot)
        return c->list.n ? ERR_NOMEM : ERR_OK;
    *slot = wish;
    slot->list = c->list;
    return ERR_OK;
}

/* Equalities that one `and` joins are wished for together, up to the width of an index; what stands inside
 * `or` or `not` (`joined` NULL) on its own. */
static enum err wish_for(struct compiler *c, const struct filter_term *t, struct filter_wish *joined)
{
    bool ordered = t->op == LIST_LT || t->op == LIST_LE || t->op == LIST_GT || t->op == LIST_GE;
    struct filter_wish own = {.columns = {t->column}, .refs = {t->ref}, .count = 1};
    own.numeric = ordered || t->number;
    if (!own.numeric && t->op != LIST_EQ && t->op != LIST_STARTS && t->op != LIST_AMONG)
        return ERR_OK;
    if (own.numeric || t->op != LIST_EQ || !joined || joined->count == LIST_WISH_MAX)
        return put_wish(c, own);
    joined->columns[joined->count] = t->column;
    joined->refs[joined->count++] = t->ref;
    return ERR_OK;
}

static enum err put_operand(struct compiler *c, enum list_op op, struct str column, const struct ast *value,
                            enum want want, struct filter_wish *joined)
{
    struct filter_term term = {.op = op, .column = column, .number = value->kind == AST_NUMBER};
    enum err rc = compile_operand(c, value, want, &term.first, &term.end, &term.ref);
    if (!rc)
        rc = wish_for(c, &term, joined);
    return rc ? rc : put_term(c, term);
}

/* `column op value`, or `value op column` read backwards. */
static enum err put_comparison(struct compiler *c, const struct ast *n, struct filter_wish *joined)
{
    static const struct {
        enum token_kind token;
        enum list_op op, backwards;
    } ops[] = {
        {TOK_EQ, LIST_EQ, LIST_EQ}, {TOK_NE, LIST_NE, LIST_NE}, {TOK_LT, LIST_LT, LIST_GT},
        {TOK_LE, LIST_LE, LIST_GE}, {TOK_GT, LIST_GT, LIST_LT}, {TOK_GE, LIST_GE, LIST_LE},
    };
    struct str column;
    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops) && n->item_count == 2; i++) {
        if (ops[i].token != n->ops[0])
            continue;
        if (ast_column(n->items[0], &column) && ast_independent(n->items[1]))
            return put_operand(c, ops[i].op, column, n->items[1], WANT_COMPARE, joined);
        if (ast_column(n->items[1], &column) && ast_independent(n->items[0]))
            return put_operand(c, ops[i].backwards, column, n->items[0], WANT_COMPARE, joined);
    }
    return put_term(c, (struct filter_term){.op = FILTER_OPAQUE});
}

/* Functions that a host does not replace: looked up by the name as written. */
static enum err put_call(struct compiler *c, const struct ast *n, struct filter_wish *joined)
{
    static const struct {
        const char *name;
        enum list_op op;
    } calls[] = {{"contains", LIST_CONTAINS},
                 {"starts-with", LIST_STARTS},
                 {"ends-with", LIST_ENDS},
                 {"selected", LIST_WORD}};
    struct str column;
    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls) && n->item_count == 2; i++) {
        if (!str_eq_z(n->text, calls[i].name))
            continue;
        if (ast_column(n->items[0], &column) && ast_independent(n->items[1]))
            return put_operand(c, calls[i].op, column, n->items[1], WANT_ONE, joined);
        if (calls[i].op == LIST_WORD && ast_column(n->items[1], &column) && ast_independent(n->items[0]))
            return put_operand(c, LIST_AMONG, column, n->items[0], WANT_ONE, joined);
    }
    return put_term(c, (struct filter_term){.op = FILTER_OPAQUE});
}

/* Recursion as deep as the parser allows. */
static enum err put_part(struct compiler *c, const struct ast *n, struct filter_wish *joined)
{
    enum err rc = ERR_OK;
    if (n->kind == AST_CALL && n->item_count == 1 && str_eq_z(n->text, "not")) {
        rc = put_part(c, n->items[0], NULL);
        return rc ? rc : put_term(c, (struct filter_term){.op = LIST_NOT});
    }
    if (n->kind == AST_CALL && n->item_count == 0 && str_eq_z(n->text, "true"))
        return put_term(c, (struct filter_term){.op = LIST_TRUE});
    if (n->kind == AST_CALL && n->item_count == 0 && str_eq_z(n->text, "false"))
        return put_term(c, (struct filter_term){.op = LIST_FALSE});
    if (n->kind == AST_CALL)
        return put_call(c, n, joined);
    if (n->kind != AST_CHAIN)
        return put_term(c, (struct filter_term){.op = FILTER_OPAQUE});
    if (n->ops[0] != TOK_AND && n->ops[0] != TOK_OR)
        return put_comparison(c, n, joined);
    for (uint32_t i = 0; !rc && i < n->item_count; i++)
        rc = put_part(c, n->items[i], n->ops[0] == TOK_AND ? joined : NULL);
    return rc ? rc
              : put_term(c, (struct filter_term){.op = n->ops[0] == TOK_AND ? LIST_AND : LIST_OR,
                                                 .count = n->item_count});
}

enum err compile_filter(struct compiler *c, const struct ast *predicate, struct step *step)
{
    struct filter_wish joined = {0};
    uint32_t first = c->x->filters.count;
    enum err rc = put_part(c, predicate, &joined);
    if (!rc && joined.count)
        rc = put_wish(c, joined);
    step->filter_first = first;
    step->filter_end = c->x->filters.count;
    if (!rc && step->filter_end == first + 1 && c->x->filters.at[first].op == FILTER_OPAQUE)
        step->filter_end = first;
    return rc;
}
