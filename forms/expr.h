/* The expression engine: XPath 1.0 with the functions of ODK XForms, compiled once, run often.
 *
 *   text -> tokens -> tree -> resolved and typed -> flat post-order array of operations -> value
 *
 * Compilation resolves names: a path that the schema knows becomes a reference (a number), functions become
 * rows of a table, arity and types are checked, constants are folded. Evaluation walks the array once with a
 * value stack; it compares no names, allocates only in the scratch arena, spends fuel, and never stops the
 * process. The same engine judges risk rules: in rule mode blanks are UNKNOWN (Kleene), numbers written in
 * the text are exact decimals, `$name` is a variable.
 */
#ifndef DOORSTEP_FORMS_EXPR_H
#define DOORSTEP_FORMS_EXPR_H

#include "forms/value.h"

struct expr; /* compiled, immutable, in the arena it was compiled into */

/* One step of a plain location path, as handed to the resolver. */
enum step_kind { STEP_CHILD, STEP_SELF, STEP_PARENT, STEP_ATTRIBUTE };
struct path_step {
    enum step_kind kind;
    struct str uri;   /* namespace of the name; "" = none given */
    struct str local; /* "" for `.` and `..` and node(); "*" for any name */
};

enum expr_library { EXPR_ODK, EXPR_XPATH_1 };

#define EXPR_REF_NONE UINT32_MAX
#define EXPR_CONTEXT_NONE UINT32_MAX

struct expr_function;

/* What compilation asks. All callbacks may be NULL. */
struct expr_scope {
    void *self;
    enum expr_library library;
    bool rules;   /* rule mode */
    bool nodes;   /* the whole expression is to give a node-set (itemset nodeset, jr:count path, `doorstep
                     expr`) */
    bool lenient; /* unknown functions, prefixes and wrong argument counts fail when they are reached, not at
                     once */
    uint32_t context; /* schema node the expression is bound to, EXPR_CONTEXT_NONE = only known at run time */
    /* A plain path to a schema reference. Sets *ref_out = EXPR_REF_NONE when only evaluation can tell
     * (wildcards); returns ERR_NOT_FOUND with a sentence (naming the nearest existing node) when the path can
     * never lead anywhere: the compiler reports it and goes on with an empty node-set. */
    enum err (*path)(void *self, uint32_t context, bool absolute, const struct path_step *steps,
                     uint32_t count, uint32_t *ref_out, struct diag *d);
    /* May this reference, seen from this context, lead to several nodes at once (a repeat that is not around
     * the context)? Then a comparison with it is existential; else it reads one value by the context rule.
     * NULL: it never does. References and contexts are numbered alike: the reference of a predicate's path is
     * the context inside the predicate. */
    bool (*many)(void *self, uint32_t context, uint32_t ref);
    /* Rule mode: `$name`. As `path`. */
    enum err (*variable)(void *self, struct str name, uint32_t *ref_out, struct diag *d);
    /* Functions beside the built-in table, looked up first. */
    const struct expr_function *functions;
    uint32_t function_count;
    /* Namespace of a prefix; p NULL when undeclared. */
    struct str (*namespace_uri)(void *self, struct str prefix);
};

/* ERR_SYNTAX with the column (from 1, in code points) of the offending token; ERR_LIMIT for an expression
 * longer or deeper than limits.h allows. Unknown functions and wrong arity name the nearest function or the
 * right count. */
enum err expr_compile(struct arena *a, const struct expr_scope *scope, struct str text,
                      const struct expr **expr_out, struct diag *d) MUST_USE;

/* What an expression reads, for the dependency graph. */
enum read_kind {
    READ_SCALAR,  /* one node, by the context rule: own frame or an ancestor's, else the only one */
    READ_NODES,   /* every instance (aggregates, existential comparison) */
    READ_DYNAMIC, /* behind a predicate, current(), indexed-repeat: any instance may matter */
    READ_COUNT    /* how many instances of a repeat there are, or their order (position, count) */
};
struct expr_read {
    uint32_t ref;
    enum read_kind kind;
};
uint32_t expr_reads(const struct expr *e, const struct expr_read **reads_out);
/* Does it use the clock, chance, the language, or everything (`//x`, wildcards)? */
#define EXPR_USES_CLOCK 1u
#define EXPR_USES_RANDOM 2u
#define EXPR_USES_LANGUAGE 4u
#define EXPR_USES_ALL 8u
#define EXPR_USES_SELF 16u /* once(), `.` */
#define EXPR_USES_HOST 32u /* a host function: pulldata, dept, prev ... */
/* Further marks of a table row, never reported by expr_uses: */
#define EXPR_TAKES_UNKNOWN 64u /* is called even when an argument is UNKNOWN (else the result is UNKNOWN) */
#define EXPR_USES_ZONE 128u    /* depends on the time zone, so it is not folded */
uint32_t expr_uses(const struct expr *e);
/* References that a function only adds up, such as sum(/data/member/age) or count(/data/member[age < 16]):
 * the host may keep the result. */
enum aggregate { AGGREGATE_COUNT, AGGREGATE_GIVEN, AGGREGATE_SUM, AGGREGATE_MIN, AGGREGATE_MAX };
struct expr_kept {
    enum aggregate what;
    uint32_t ref;  /* what is added up */
    uint32_t from; /* the node (or what is below it) only counts where `condition` holds for it: */
    const struct expr *condition; /* bound to that node; reads single values only. NULL = all count */
    uint32_t number;              /* the host's own; EXPR_REF_NONE at first */
    uint32_t behind;              /* private */
};
/* To write the host's numbers into. */
struct expr_kept *expr_aggregates(const struct expr *e, uint32_t *count_out);
/* The value when it is a constant, e.g. true(). */
bool expr_constant(const struct expr *e, struct value *out);
/* Does a predicate that is always false stand in the way of every node? */
bool expr_never_any(const struct expr *e);
struct str expr_text(const struct expr *e);

/* One evaluation. The struct is the caller's; set it up once and change `context` between calls. */
struct eval {
    struct arena *scratch; /* results live here; the caller releases it */
    void *host;            /* handed to the callbacks below */
    struct node context;   /* the node the expression is bound to, also current() */
    /* Reads of references. `scalar` gives the node's value typed by its bind (empty text: an empty STRING in
     * forms, UNKNOWN in rule mode); `nodes` appends every instance by the context rule for node-sets,
     * relevant ones only. */
    enum err (*scalar)(struct eval *e, struct node context, uint32_t ref, struct value *out);
    enum err (*nodes)(struct eval *e, struct node context, uint32_t ref, struct nodes *out);
    /* What an aggregate comes to, where the host keeps it; false: the nodes are asked for and added up. May
     * be NULL. */
    bool (*aggregate)(struct eval *e, const struct expr_kept *kept, struct value *out);
    /* Typed value of one node found by evaluation; may be NULL: then its text. */
    enum err (*typed)(struct eval *e, struct node n, struct value *out);
    const struct tree *const *trees; /* by node.tree; entries may be NULL */
    uint32_t tree_count;
    /* instance('id'); ERR_NOT_FOUND gives an empty node-set. May be NULL. */
    enum err (*instance)(struct eval *e, struct str id, struct node *root_out);
    /* jr:itext(id), jr:choice-name(value, path), property(name), version(): NULL gives "". */
    enum err (*text)(struct eval *e, const char *what, struct str a, struct str b, struct str *out);
    enum err (*random)(struct eval *e, void *out, size_t n);
    /* digest() and text seeds of randomize(): `algorithm` is "MD5", "SHA-1", "SHA-256", "SHA-384" or
     * "SHA-512". NULL: both report trouble and give "" or the order as it is. */
    enum err (*digest)(struct eval *e, struct str algorithm, struct str data, unsigned char out[64],
                       size_t *n_out);
    const struct node *root; /* what `/` stands for; NULL = the root of the context node's tree */
    int64_t now_ms;
    const struct zone *zone;
    struct str language;
    uint32_t fuel; /* counts down by operation and node; at 0 the result is ERR_LIMIT */
    bool rules;
    struct diag
        *diag; /* first non-fatal trouble (a bad date, a wrong type): the value is then empty or UNKNOWN */
    struct regex_cache *regexes; /* patterns that stay compiled between calls; NULL = none do */
    /* private to eval.c */
    const struct expr *running;
    struct node current;
    uint32_t position, size;
    uint32_t depth;
    bool odk;
};

/* A context that is no node at all: `doorstep expr` without --context. */
#define NODE_NONE ((struct node){UINT32_MAX, 0, 0})

#define EXPR_FUEL_DEFAULT 20000000u

enum err expr_eval(const struct expr *x, struct eval *e, struct value *out) MUST_USE;

/* Conversions by XPath 1.0 and ODK. In rule mode UNKNOWN stays UNKNOWN where the result type has it: */
enum truth { TRUTH_FALSE, TRUTH_TRUE, TRUTH_UNKNOWN };
enum truth value_truth(struct eval *e, const struct value *v);
double value_number(struct eval *e, const struct value *v);   /* UNKNOWN gives NaN */
struct str value_text(struct eval *e, const struct value *v); /* UNKNOWN gives "" */

/* The function table: built-in functions and the host's are rows of the same shape. Arguments arrive
 * evaluated, except where EXPR_LAZY functions (if, coalesce, once) are compiled to jumps. */
enum arg_kind {
    ARG_ANY = 0, /* one value of any type; a node-set arrives as its first node's value */
    ARG_BOOL,
    ARG_NUMBER, /* VALUE_NUMBER; in rule mode VALUE_DEC where exact */
    ARG_STRING,
    ARG_NODES,
    ARG_MANY /* any value, and a node-set stays whole: concat, join, max */
};
#define EXPR_ARGS_MANY 255
struct expr_function {
    const char *name;
    uint8_t args_min, args_max; /* EXPR_ARGS_MANY = no end */
    uint8_t arg[4];             /* enum arg_kind of the first three; arg[3] for all further ones */
    uint8_t returns;            /* enum arg_kind */
    uint8_t uses;               /* EXPR_USES_*, 0 = pure */
    enum err (*call)(struct eval *e, const struct value *args, uint32_t count, struct value *out);
};
#endif
