/* Inside the expression engine: the tree a text is parsed into, the operations it is compiled into, and the
 * few calls that lexer, parser, compiler, evaluator and functions share. Nobody outside forms/ includes it.
 *
 * The tree lives in the compile arena beside the finished expression; its depth never passes EXPR_DEPTH_MAX
 * times the number of precedence levels, because chains of one precedence (a or b or c ...) are one node with
 * many operands.
 */
#ifndef DOORSTEP_FORMS_EXPR_IMPL_H
#define DOORSTEP_FORMS_EXPR_IMPL_H

#include "forms/expr.h"
#include "forms/limits.h"

#include <math.h>

/* Tokens. */
enum token_kind {
    TOK_END,
    TOK_NUMBER,
    TOK_LITERAL,
    TOK_NAME,     /* also p:* */
    TOK_VARIABLE, /* $name */
    TOK_ANY_NAME, /* * where a name is expected */
    TOK_LPAREN,
    TOK_RPAREN,
    TOK_LBRACKET,
    TOK_RBRACKET,
    TOK_COMMA,
    TOK_AT,
    TOK_DOT,
    TOK_DOTDOT,
    TOK_AXIS, /* :: */
    TOK_SLASH,
    TOK_SLASH2,
    /* operators from here on, in no order */
    TOK_PIPE,
    TOK_PLUS,
    TOK_MINUS,
    TOK_MUL,
    TOK_DIV,
    TOK_MOD,
    TOK_AND,
    TOK_OR,
    TOK_EQ,
    TOK_NE,
    TOK_LT,
    TOK_LE,
    TOK_GT,
    TOK_GE
};

struct token {
    enum token_kind kind;
    uint32_t at;       /* byte offset in the text */
    struct str text;   /* as written; LITERAL: without quotes */
    struct str prefix; /* NAME */
    struct str local;  /* NAME, VARIABLE */
};

struct lexer {
    struct str text;
    size_t at;
    bool operand_before; /* the token before was an operand: a name or `*` is now an operator */
};

/* ERR_SYNTAX with `at` of the offending byte in *at_out. */
enum err lexer_next(struct lexer *l, struct token *out, struct diag *d, uint32_t *at_out);
/* Does '(' or '::' follow? Decides between a function, a node test, an axis and an element name. */
bool lexer_sees(const struct lexer *l, const char *what);
/* Column from 1, in code points, of a byte offset. */
uint32_t lexer_column(struct str text, uint32_t at);

/* The tree. */
enum axis {
    AXIS_CHILD,
    AXIS_SELF,
    AXIS_PARENT,
    AXIS_ATTRIBUTE,
    AXIS_DESCENDANT,
    AXIS_DESCENDANT_OR_SELF,
    AXIS_ANCESTOR,
    AXIS_ANCESTOR_OR_SELF,
    AXIS_FOLLOWING,
    AXIS_FOLLOWING_SIBLING,
    AXIS_PRECEDING,
    AXIS_PRECEDING_SIBLING,
    AXIS_NAMESPACE
};

enum node_test { TEST_NAME, TEST_ANY_NAME, TEST_NODE, TEST_TEXT, TEST_COMMENT, TEST_PI };

enum ast_kind {
    AST_NUMBER,
    AST_LITERAL,
    AST_VARIABLE,
    AST_CALL,
    AST_NEGATE,
    AST_CHAIN, /* operands of one precedence, left to right; `|` too */
    AST_PATH
};

struct ast;

struct ast_step {
    enum axis axis;
    enum node_test test;
    struct str prefix;
    struct str local; /* name; target of processing-instruction('x') */
    uint32_t at;
    struct ast **predicates;
    uint32_t predicate_count;
};

struct ast {
    enum ast_kind kind;
    uint32_t at;          /* byte offset */
    struct str text;      /* NUMBER, LITERAL, VARIABLE: name; CALL: name with prefix */
    struct ast **items;   /* CALL: arguments; CHAIN: operands; NEGATE: one */
    enum token_kind *ops; /* CHAIN: ops[i] stands before items[i + 1] */
    uint32_t item_count;
    struct ast *base; /* PATH: filter expression it starts from, or NULL */
    struct ast **base_predicates;
    uint32_t base_predicate_count;
    bool absolute;          /* PATH */
    struct ast_step *steps; /* PATH */
    uint32_t step_count;
};

enum err expr_parse(struct arena *a, struct str text, struct ast **ast_out, struct diag *d);

/* Operations. Each names its effect on the value stack. */
enum op_code {
    OP_CONST,   /* a: constant                          -> value */
    OP_SCALAR,  /* a: reference, b: 1 = from current()  -> value */
    OP_REFS,    /* a: reference, b: 1 = from current()  -> nodes */
    OP_KEPT,    /* a: aggregate. Where the host keeps it -> value, and its operations are passed over */
    OP_CONTEXT, /* -> the context node */
    OP_CURRENT, /* -> the node current() */
    OP_ROOT,    /* b: 1 = of current()'s tree           -> root node */
    OP_STEP,    /* a: step                              nodes -> nodes */
    OP_FILTER,  /* a: first predicate, b: end           nodes -> nodes */
    OP_UNION,   /* nodes nodes -> nodes */
    OP_NEGATE,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_COMPARE,  /* a: enum token_kind                   value value -> boolean */
    OP_TRUTH,    /* value -> boolean or UNKNOWN */
    OP_AND_TEST, /* a: target when FALSE, which stays    value -> truth */
    OP_OR_TEST,  /* a: target when TRUE, which stays     value -> truth */
    OP_AND,      /* truth value -> truth */
    OP_OR,
    OP_JUMP,      /* a: target */
    OP_IF,        /* a: target when not true              value -> */
    OP_CHOOSE,    /* rule mode                            truth value value -> value */
    OP_NOT_EMPTY, /* a: target when not empty (kept)      value -> (nothing when empty) */
    OP_CALL,      /* a: function, b: argument count       values -> value */
    OP_POSITION,
    OP_LAST,
    OP_FAIL /* a: constant, the sentence */
};

struct op {
    uint32_t code;
    uint32_t a, b;
    uint32_t at; /* byte offset in the text, for messages */
};

struct predicate {
    uint32_t first, end; /* its operations */
    bool boolean;        /* can only be a truth value, so position plays no part unless it asks */
};

struct step {
    enum axis axis;
    enum node_test test;
    bool any_namespace; /* unprefixed name in a form: any default namespace will do */
    struct str uri, local;
    uint32_t predicate_first, predicate_end;
    /* `child::item[column = value ...]` with a value that does not depend on the item: asked of the tree's
     * index first. */
    bool find;
    bool find_is_all; /* the equality is the whole first predicate */
    struct str find_column;
    uint32_t find_first, find_end; /* operations of the value */
    /* The first predicate as a question to a list, as far as it can be one (list_query.c). */
    uint32_t filter_first, filter_end;
};

/* One term of such a question, postfix. */
#define FILTER_OPAQUE UINT32_MAX /* only the evaluator can tell */
struct filter_term {
    uint32_t op;    /* enum list_op or FILTER_OPAQUE */
    uint32_t count; /* AND, OR */
    struct str column;
    uint32_t first, end; /* operations of the value */
    uint32_t ref;        /* the value is this node's, for its type; or EXPR_REF_NONE */
    bool number;         /* the value is a number whatever happens */
};

/* Columns that a question joins by `and`, for the index it would like. */
struct filter_wish {
    struct str list;
    struct str columns[4];
    uint32_t refs[4];
    uint32_t count;
    bool numeric;
    bool file; /* `list` names a file, as pulldata() does */
};

/* An aggregate while its condition is being compiled. */
struct kept_half {
    struct expr_kept kept;
    struct expr *condition;
};

/* A pattern that is written in the text. */
struct regex_written {
    struct str pattern;
    uint32_t at;
    const void *code; /* NULL = cannot be read */
};

struct expr {
    struct str text;
    enum expr_library library;
    bool rules;
    uint32_t uses;
    uint32_t stack_need;
    bool constant;
    struct value constant_value;
    VEC(struct op) ops;
    VEC(struct value) constants;
    VEC(struct step) steps;
    VEC(struct predicate) predicates;
    VEC(const struct expr_function *) functions;
    VEC(struct expr_read) reads;
    VEC(struct expr_kept) kept;
    VEC(struct kept_half) kept_halves; /* while compiling */
    VEC(struct regex_written) regexes;
    VEC(struct filter_term) filters;
    VEC(struct filter_wish) wishes;
};

struct node_list;
enum err apply_predicate(const struct expr *x, struct eval *e, const struct predicate *p, struct node_list *l,
                         uint32_t from, struct value *stack);
/* Runs operations [first, end); the result is left in stack[0]. */
enum err expr_run(const struct expr *x, struct eval *e, uint32_t first, uint32_t end, struct value *stack);

/* NAN is a float, and the compilers rightly ask. */
#define NOT_A_NUMBER ((double)NAN)

/* Values. */
static inline struct value value_bool(bool b)
{
    return (struct value){.type = VALUE_BOOL, .boolean = b};
}
static inline struct value value_of_number(double n)
{
    return (struct value){.type = VALUE_NUMBER, .number = n};
}
static inline struct value value_of_text(struct str s)
{
    return (struct value){.type = VALUE_STRING, .text = s};
}
static inline struct value value_of_day(int64_t day)
{
    return (struct value){.type = VALUE_DATE, .day = day};
}
static inline struct value value_unknown(void)
{
    return (struct value){.type = VALUE_UNKNOWN};
}
struct value value_of_truth(enum truth t);

/* Says once what went wrong without stopping the evaluation. */
#define expr_trouble(e, ...) ((void)diag_set((e)->diag, ERR_SYNTAX, __VA_ARGS__))

/* Node-sets under construction, in the scratch arena. */
struct node_list {
    struct node *at;
    uint32_t count, room, maybe;
};
enum err node_list_push(struct eval *e, struct node_list *l, struct node n);
enum err node_list_value(struct eval *e, const struct node_list *l, bool unordered, struct value *out);
enum err nodes_sort(struct eval *e, struct node_list *l); /* document order, no doubles */
int node_order(struct eval *e, struct node a, struct node b);
const struct tree *node_tree(const struct eval *e, struct node n); /* NULL for NODE_NONE */
struct str node_text(struct eval *e, struct node n);
/* The node's typed value: text in forms; in rule mode UNKNOWN when blank. */
enum err node_value(struct eval *e, struct node n, struct value *out);
/* A single value in place of a node-set: its first node's, or empty (UNKNOWN). Other values are themselves.
 */
enum err value_single(struct eval *e, const struct value *v, struct value *out);
/* What the argument lists of concat, join, max ... expand to. */
bool value_blank(struct eval *e, const struct value *v); /* "", NaN, UNKNOWN, no node */

/* A number that may be exact or unknown. */
struct quantity {
    bool unknown, exact, ranged;
    double number;
    struct dec dec;
    int64_t lo, hi;
};
struct quantity value_quantity(struct eval *e, const struct value *v);
struct value quantity_value(struct eval *e, struct quantity q);
struct quantity quantity_of(double d);
struct quantity quantity_dec(struct dec d);
bool quantity_arith(struct eval *e, enum op_code op, struct quantity a, struct quantity b,
                    struct quantity *out);

enum err value_compare(struct eval *e, enum token_kind op, const struct value *a, const struct value *b,
                       struct value *out);

/* A date or instant in a value or in text that looks like one. */
bool value_moment(struct eval *e, const struct value *v, struct value *out);
const struct zone *eval_zone(const struct eval *e);
int64_t moment_ms(const struct eval *e, const struct value *v); /* DATE: its local midnight */
double text_number(const struct eval *e, struct str s);

/* Scratch text. p is NULL when memory ran out, which then also uses up the fuel. */
struct str scratch_copy(struct eval *e, const char *p, size_t n);
bool spend(struct eval *e, uint32_t amount);

/* --- list_query.c: a predicate as a question to a list --- */

struct tree_query_ops;
struct list_term;
/* The children of `parent` that the step's name and first predicate keep, through the tree's query. Fills
 * `done_out` false when the tree must be walked instead. */
enum err step_rows(const struct expr *x, struct eval *e, const struct step *s, struct node parent,
                   struct value *stack, struct node_list *out, bool *done_out);

/* Some of the nodes of a path that ends in rows of a host's list, without making the others. Not open:
 * evaluate the expression. Lives in the scratch arena of `e`. */
struct expr_window {
    const struct tree *t;
    const struct list_term *terms;
    uint32_t count;
};
enum err expr_window_open(const struct expr *x, struct eval *e, struct expr_window *w, bool *open_out);
/* Those for which a further question, one result, holds too. */
enum err expr_window_narrow(const struct expr_window *w, const struct list_term *also, uint32_t count,
                            struct arena *a, struct expr_window *out);
enum err expr_window_rows(const struct expr_window *w, uint32_t skip, uint32_t limit, struct arena *a,
                          struct nodes *out);
enum err expr_window_count(const struct expr_window *w, uint32_t *count_out);
/* Is the expression nothing but the name of a child? */
bool expr_column(const struct expr *x, struct str *column_out);

/* The function tables, by origin; a name found in an earlier one hides a later one. The last is XPath 1.0's
 * own, the only one of EXPR_XPATH_1. */
struct expr_function_table {
    const struct expr_function *rows;
    uint32_t count;
};
#define EXPR_TABLES 6
struct expr_function_table expr_function_table(uint32_t i);
struct expr_function_table expr_functions_text(void);
struct expr_function_table expr_functions_number(void);
struct expr_function_table expr_functions_date(void);
struct expr_function_table expr_functions_nodes(void);
struct expr_function_table expr_functions_geo(void);

/* Shared by functions: walks the single values that arguments of kind ARG_MANY stand for. */
struct each {
    const struct value *args;
    uint32_t count, arg, node;
    bool maybe; /* met a node-set with unknown members */
};
bool each_value(struct eval *e, struct each *i, struct value *out, enum err *rc);
uint32_t node_ordinal(struct eval *e, struct node n);
struct value value_count(const struct eval *e, int64_t n);
bool text_digest(struct eval *e, struct str algorithm, struct str data, unsigned char out[64], size_t *n_out);

#endif
