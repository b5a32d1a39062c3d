/* From tokens to the tree, by recursive descent over the grammar of XPath 1.0. Knows no names: which
 * functions, prefixes and paths exist is the compiler's business. Recursion is only over brackets and
 * predicates, capped by EXPR_DEPTH_MAX; operators of one precedence become one node with many operands,
 * however long the chain is.
 */
#include "forms/expr_impl.h"

struct parser {
    struct arena *a;
    struct lexer lexer;
    struct token token; /* the next one, not taken yet */
    uint32_t depth;
    struct diag *d;
};

static enum err parse_or(struct parser *p, struct ast **out);

/* Reads the sentence a deeper call wrote at column 0 and gives it the place it belongs to. */
static enum err fail_at(struct parser *p, uint32_t at, enum err rc)
{
    if (p->d && p->d->column == 0)
        p->d->column = lexer_column(p->lexer.text, at);
    return rc;
}

static enum err advance(struct parser *p)
{
    uint32_t at = 0;
    enum err rc = lexer_next(&p->lexer, &p->token, p->d, &at);
    return rc ? fail_at(p, at, rc) : ERR_OK;
}

static enum err unexpected(struct parser *p, const char *wanted)
{
    enum err rc;
    if (p->token.kind == TOK_END)
        rc = diag_set(p->d, ERR_SYNTAX, "the expression ends where %s should stand", wanted);
    else
        rc = diag_set(p->d, ERR_SYNTAX, "\"%.*s\" stands where %s should stand", STR_ARG(p->token.text),
                      wanted);
    return fail_at(p, p->token.at, rc);
}

static enum err expect(struct parser *p, enum token_kind kind, const char *wanted)
{
    return p->token.kind == kind ? advance(p) : unexpected(p, wanted);
}

static struct ast *ast_new(struct parser *p, enum ast_kind kind, uint32_t at)
{
    struct ast *n = ARENA_NEW(p->a, struct ast);
    if (n) {
        n->kind = kind;
        n->at = at;
    }
    return n;
}

typedef VEC(struct ast *) ast_list;
typedef VEC(struct ast_step) step_list;

static enum err list_push(struct parser *p, ast_list *l, struct ast *n)
{
    struct ast **slot = vec_push(p->a, l);
    if (!slot)
        return ERR_NOMEM;
    *slot = n;
    return ERR_OK;
}

/* '[' expression ']', any number of times. */
static enum err parse_predicates(struct parser *p, struct ast ***out, uint32_t *count_out)
{
    ast_list list = {0};
    while (p->token.kind == TOK_LBRACKET) {
        struct ast *n = NULL;
        enum err rc = advance(p);
        if (!rc)
            rc = parse_or(p, &n);
        if (!rc)
            rc = expect(p, TOK_RBRACKET, "\"]\"");
        if (!rc)
            rc = list_push(p, &list, n);
        if (rc)
            return rc;
    }
    *out = list.at;
    *count_out = list.count;
    return ERR_OK;
}

static const struct {
    const char *name;
    enum axis axis;
} axis_names[] = {
    {"child", AXIS_CHILD},           {"self", AXIS_SELF},
    {"parent", AXIS_PARENT},         {"attribute", AXIS_ATTRIBUTE},
    {"descendant", AXIS_DESCENDANT}, {"descendant-or-self", AXIS_DESCENDANT_OR_SELF},
    {"ancestor", AXIS_ANCESTOR},     {"ancestor-or-self", AXIS_ANCESTOR_OR_SELF},
    {"following", AXIS_FOLLOWING},   {"following-sibling", AXIS_FOLLOWING_SIBLING},
    {"preceding", AXIS_PRECEDING},   {"preceding-sibling", AXIS_PRECEDING_SIBLING},
    {"namespace", AXIS_NAMESPACE},
};

static const struct {
    const char *name;
    enum node_test test;
} type_names[] = {{"node", TEST_NODE},
                  {"text", TEST_TEXT},
                  {"comment", TEST_COMMENT},
                  {"processing-instruction", TEST_PI}};

static bool node_type(struct str name, enum node_test *out)
{
    for (size_t i = 0; i < sizeof(type_names) / sizeof(*type_names); i++)
        if (str_eq_z(name, type_names[i].name)) {
            *out = type_names[i].test;
            return true;
        }
    return false;
}

static enum err parse_axis(struct parser *p, struct ast_step *s)
{
    for (size_t i = 0; i < sizeof(axis_names) / sizeof(*axis_names); i++)
        if (p->token.prefix.n == 0 && str_eq_z(p->token.local, axis_names[i].name)) {
            s->axis = axis_names[i].axis;
            enum err rc = advance(p);
            return rc ? rc : advance(p); /* the "::" that lexer_sees promised */
        }
    enum err rc =
        diag_set(p->d, ERR_SYNTAX,
                 "there is no axis \"%.*s\"; the common ones are child, parent, ancestor and descendant",
                 STR_ARG(p->token.text));
    return fail_at(p, p->token.at, rc);
}

static enum err parse_node_type(struct parser *p, struct ast_step *s)
{
    enum err rc = advance(p);
    if (!rc)
        rc = expect(p, TOK_LPAREN, "\"(\"");
    if (!rc && s->test == TEST_PI && p->token.kind == TOK_LITERAL) {
        s->local = p->token.text;
        rc = advance(p);
    }
    return rc ? rc : expect(p, TOK_RPAREN, "\")\"");
}

static enum err parse_node_test(struct parser *p, struct ast_step *s)
{
    if (p->token.kind == TOK_ANY_NAME) {
        s->test = TEST_ANY_NAME;
        return advance(p);
    }
    if (p->token.kind != TOK_NAME)
        return unexpected(p, "the name of a node");
    if (lexer_sees(&p->lexer, "(")) {
        if (p->token.prefix.n || !node_type(p->token.local, &s->test)) {
            enum err rc = diag_set(
                p->d, ERR_SYNTAX,
                "a function such as \"%.*s\" cannot be a step of a path; only node(), text(), comment() "
                "and processing-instruction() can",
                STR_ARG(p->token.text));
            return fail_at(p, p->token.at, rc);
        }
        return parse_node_type(p, s);
    }
    s->prefix = p->token.prefix;
    s->local = p->token.local;
    s->test = str_eq_z(s->local, "*") ? TEST_ANY_NAME : TEST_NAME;
    return advance(p);
}

static bool starts_step(const struct parser *p)
{
    switch (p->token.kind) {
    case TOK_NAME:
    case TOK_ANY_NAME:
    case TOK_AT:
    case TOK_DOT:
    case TOK_DOTDOT: return true;
    default: return false;
    }
}

static enum err parse_step(struct parser *p, step_list *steps)
{
    struct ast_step *s = vec_push(p->a, steps);
    if (!s)
        return ERR_NOMEM;
    s->at = p->token.at;
    s->axis = AXIS_CHILD;
    struct ast_step step = *s;
    enum err rc = ERR_OK;
    if (p->token.kind == TOK_DOT || p->token.kind == TOK_DOTDOT) {
        step.axis = p->token.kind == TOK_DOT ? AXIS_SELF : AXIS_PARENT;
        step.test = TEST_NODE;
        rc = advance(p);
    } else {
        if (p->token.kind == TOK_AT) {
            step.axis = AXIS_ATTRIBUTE;
            rc = advance(p);
        } else if (p->token.kind == TOK_NAME && lexer_sees(&p->lexer, "::")) {
            rc = parse_axis(p, &step);
        }
        if (!rc)
            rc = parse_node_test(p, &step);
    }
    /* XPath 1.0 allows no predicate after `.` and `..`; the reference engines do, and forms use `..[...]`. */
    if (!rc)
        rc = parse_predicates(p, &step.predicates, &step.predicate_count);
    steps->at[steps->count - 1] = step;
    return rc;
}

static enum err push_descendants(struct parser *p, step_list *steps)
{
    struct ast_step *s = vec_push(p->a, steps);
    if (!s)
        return ERR_NOMEM;
    *s = (struct ast_step){.axis = AXIS_DESCENDANT_OR_SELF, .test = TEST_NODE, .at = p->token.at};
    return ERR_OK;
}

/* Steps with the separators between them; the first separator is already taken. */
static enum err parse_steps(struct parser *p, step_list *steps)
{
    enum err rc = parse_step(p, steps);
    while (!rc && (p->token.kind == TOK_SLASH || p->token.kind == TOK_SLASH2)) {
        if (p->token.kind == TOK_SLASH2)
            rc = push_descendants(p, steps);
        if (!rc)
            rc = advance(p);
        if (!rc)
            rc = parse_step(p, steps);
    }
    return rc;
}

static enum err parse_location(struct parser *p, struct ast **out)
{
    struct ast *n = ast_new(p, AST_PATH, p->token.at);
    if (!n)
        return ERR_NOMEM;
    step_list steps = {0};
    enum err rc = ERR_OK;
    if (p->token.kind == TOK_SLASH) {
        n->absolute = true;
        rc = advance(p);
        if (!rc && starts_step(p))
            rc = parse_steps(p, &steps);
    } else if (p->token.kind == TOK_SLASH2) {
        n->absolute = true;
        rc = push_descendants(p, &steps);
        if (!rc)
            rc = advance(p);
        if (!rc)
            rc = parse_steps(p, &steps);
    } else {
        rc = parse_steps(p, &steps);
    }
    n->steps = steps.at;
    n->step_count = steps.count;
    *out = n;
    return rc;
}

static enum err parse_call(struct parser *p, struct ast **out)
{
    struct ast *n = ast_new(p, AST_CALL, p->token.at);
    if (!n)
        return ERR_NOMEM;
    n->text = p->token.text;
    ast_list args = {0};
    enum err rc = advance(p);
    if (!rc)
        rc = advance(p); /* the "(" that lexer_sees promised */
    while (!rc && p->token.kind != TOK_RPAREN) {
        struct ast *arg = NULL;
        rc = parse_or(p, &arg);
        if (!rc)
            rc = list_push(p, &args, arg);
        if (rc || p->token.kind == TOK_RPAREN)
            break;
        rc = expect(p, TOK_COMMA, "\",\" or \")\"");
        if (!rc && p->token.kind == TOK_RPAREN)
            rc = unexpected(p, "an argument");
    }
    if (!rc)
        rc = expect(p, TOK_RPAREN, "\")\"");
    n->items = args.at;
    n->item_count = args.count;
    *out = n;
    return rc;
}

static enum err parse_primary(struct parser *p, struct ast **out)
{
    struct ast *n = NULL;
    switch (p->token.kind) {
    case TOK_NUMBER:
    case TOK_LITERAL:
    case TOK_VARIABLE:
        n = ast_new(p,
                    p->token.kind == TOK_NUMBER    ? AST_NUMBER
                    : p->token.kind == TOK_LITERAL ? AST_LITERAL
                                                   : AST_VARIABLE,
                    p->token.at);
        if (!n)
            return ERR_NOMEM;
        n->text = p->token.kind == TOK_VARIABLE ? p->token.local : p->token.text;
        *out = n;
        return advance(p);
    case TOK_LPAREN: {
        enum err rc = advance(p);
        if (!rc)
            rc = parse_or(p, out);
        return rc ? rc : expect(p, TOK_RPAREN, "\")\"");
    }
    case TOK_NAME: return parse_call(p, out);
    default: return unexpected(p, "a value");
    }
}

static bool starts_primary(struct parser *p)
{
    enum node_test test;
    switch (p->token.kind) {
    case TOK_NUMBER:
    case TOK_LITERAL:
    case TOK_VARIABLE:
    case TOK_LPAREN: return true;
    case TOK_NAME:
        return lexer_sees(&p->lexer, "(") && (p->token.prefix.n || !node_type(p->token.local, &test));
    default: return false;
    }
}

/* A value with predicates and steps behind it, or a location path. */
static enum err parse_path(struct parser *p, struct ast **out)
{
    if (!starts_primary(p)) {
        if (p->token.kind == TOK_SLASH || p->token.kind == TOK_SLASH2 || starts_step(p))
            return parse_location(p, out);
        return unexpected(p, "a value, a path or a function");
    }
    uint32_t at = p->token.at;
    struct ast *base = NULL;
    struct ast **predicates = NULL;
    uint32_t predicate_count = 0;
    enum err rc = parse_primary(p, &base);
    if (!rc)
        rc = parse_predicates(p, &predicates, &predicate_count);
    if (rc)
        return rc;
    bool steps_follow = p->token.kind == TOK_SLASH || p->token.kind == TOK_SLASH2;
    *out = base;
    if (!steps_follow && predicate_count == 0)
        return ERR_OK;
    struct ast *n = ast_new(p, AST_PATH, at);
    if (!n)
        return ERR_NOMEM;
    n->base = base;
    n->base_predicates = predicates;
    n->base_predicate_count = predicate_count;
    *out = n;
    if (!steps_follow)
        return ERR_OK;
    step_list steps = {0};
    if (p->token.kind == TOK_SLASH2)
        rc = push_descendants(p, &steps);
    if (!rc)
        rc = advance(p);
    if (!rc)
        rc = parse_steps(p, &steps);
    n->steps = steps.at;
    n->step_count = steps.count;
    return rc;
}

enum level {
    LEVEL_OR,
    LEVEL_AND,
    LEVEL_EQUAL,
    LEVEL_LESS,
    LEVEL_ADD,
    LEVEL_MULTIPLY,
    LEVEL_NEGATE,
    LEVEL_UNION,
    LEVEL_PATH
};

static enum level operator_level(enum token_kind kind)
{
    switch (kind) {
    case TOK_OR: return LEVEL_OR;
    case TOK_AND: return LEVEL_AND;
    case TOK_EQ:
    case TOK_NE: return LEVEL_EQUAL;
    case TOK_LT:
    case TOK_LE:
    case TOK_GT:
    case TOK_GE: return LEVEL_LESS;
    case TOK_PLUS:
    case TOK_MINUS: return LEVEL_ADD;
    case TOK_MUL:
    case TOK_DIV:
    case TOK_MOD: return LEVEL_MULTIPLY;
    case TOK_PIPE: return LEVEL_UNION;
    default: return LEVEL_PATH;
    }
}

static enum err parse_level(struct parser *p, enum level level, struct ast **out);

static enum err parse_negation(struct parser *p, struct ast **out)
{
    uint32_t at = p->token.at;
    uint32_t minus = 0;
    enum err rc = ERR_OK;
    while (!rc && p->token.kind == TOK_MINUS) {
        minus++;
        rc = advance(p);
    }
    if (!rc)
        rc = parse_level(p, LEVEL_UNION, out);
    /* Two signs cancel but still make a number of the operand. */
    for (uint32_t i = 0; !rc && i < (minus > 2 ? 2 - minus % 2 : minus); i++) {
        struct ast *n = ast_new(p, AST_NEGATE, at);
        struct ast **item = n ? ARENA_NEW(p->a, struct ast *) : NULL;
        if (!item)
            return ERR_NOMEM;
        *item = *out;
        n->items = item;
        n->item_count = 1;
        *out = n;
    }
    return rc;
}

/* operand { operator operand }, all of one level. */
static enum err parse_level(struct parser *p, enum level level, struct ast **out)
{
    if (level == LEVEL_PATH)
        return parse_path(p, out);
    if (level == LEVEL_NEGATE)
        return parse_negation(p, out);
    enum err rc = parse_level(p, level + 1, out);
    if (rc || operator_level(p->token.kind) != level || p->token.kind < TOK_PIPE)
        return rc;

    struct ast *n = ast_new(p, AST_CHAIN, p->token.at);
    if (!n)
        return ERR_NOMEM;
    ast_list items = {0};
    VEC(enum token_kind) ops = {0};
    rc = list_push(p, &items, *out);
    while (!rc && p->token.kind >= TOK_PIPE && operator_level(p->token.kind) == level) {
        enum token_kind *op = vec_push(p->a, &ops);
        struct ast *item = NULL;
        if (!op)
            return ERR_NOMEM;
        *op = p->token.kind;
        rc = advance(p);
        if (!rc)
            rc = parse_level(p, level + 1, &item);
        if (!rc)
            rc = list_push(p, &items, item);
    }
    n->items = items.at;
    n->item_count = items.count;
    n->ops = ops.at;
    *out = n;
    return rc;
}

static enum err parse_or(struct parser *p, struct ast **out)
{
    if (p->depth >= EXPR_DEPTH_MAX) {
        enum err rc = diag_set(p->d, ERR_LIMIT,
                               "brackets are nested deeper than %d here; split the expression",
                               EXPR_DEPTH_MAX);
        return fail_at(p, p->token.at, rc);
    }
    p->depth++;
    enum err rc = parse_level(p, LEVEL_OR, out);
    p->depth--;
    return rc;
}

enum err expr_parse(struct arena *a, struct str text, struct ast **ast_out, struct diag *d)
{
    if (text.n > EXPR_TEXT_MAX)
        return diag_set(d, ERR_LIMIT, "an expression of %zu bytes is longer than the %d that are allowed",
                        text.n, EXPR_TEXT_MAX);
    struct parser p = {.a = a, .lexer = {.text = text}, .d = d};
    struct ast *n = NULL;
    enum err rc = advance(&p);
    if (!rc && p.token.kind == TOK_END)
        return diag_set_at(d, ERR_SYNTAX, 0, 1, "the expression is empty");
    if (!rc)
        rc = parse_or(&p, &n);
    if (!rc && p.token.kind != TOK_END)
        rc = unexpected(&p, "an operator or the end");
    if (rc == ERR_NOMEM)
        return diag_set(d, ERR_NOMEM, "no memory left to read this expression");
    if (!rc)
        *ast_out = n;
    return rc;
}
