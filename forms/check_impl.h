/* Shared by the files of the compiler: check.c (operators, constants, the whole), check_path.c (paths and
 * predicates) and check_call.c (functions). Nobody else includes it.
 */
#ifndef DOORSTEP_FORMS_CHECK_IMPL_H
#define DOORSTEP_FORMS_CHECK_IMPL_H

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
    struct str list; /* id of the secondary instance that the path in hand walks, "" = another */
};

static const struct made made_any = {ARG_ANY, EXPR_REF_NONE, false};

static inline struct made made_of(enum arg_kind kind)
{
    return (struct made){kind, EXPR_REF_NONE, false};
}

/* Any part of the tree; *made tells what it leaves on the stack. */
enum err compile(struct compiler *c, const struct ast *n, enum want want, struct made *made);
enum err compile_path(struct compiler *c, const struct ast *n, enum want want, struct made *made);
enum err compile_call(struct compiler *c, const struct ast *n, enum want want, struct made *made);
/* The value (or node) the expression stands on, or is bound to (`current`). */
enum err compile_self(struct compiler *c, uint32_t at, bool current, enum want want, struct made *made);

/* Asks the schema for the path with its predicates left out. *ref_out is EXPR_REF_NONE when it cannot tell.
 */
enum err path_ref(struct compiler *c, uint32_t schema, bool absolute, const struct ast_step *steps,
                  uint32_t count, uint32_t *ref_out, struct diag *what);

/* --- aggregates (check_kept.c): around the operations of the call; EXPR_REF_NONE = not one to keep --- */

enum err kept_begin(struct compiler *c, const char *function, const struct ast *call, uint32_t *kept_out);
void kept_end(struct compiler *c, uint32_t kept);

/* --- predicates on lists (check_path.c, check_filter.c) --- */

bool ast_independent(const struct ast *n);
bool ast_column(const struct ast *n, struct str *column_out);
/* The operations of a value that is the same for every item, aside; `ref` when it is a node of the schema. */
enum err compile_operand(struct compiler *c, const struct ast *n, enum want want, uint32_t *first_out,
                         uint32_t *end_out, uint32_t *ref_out);
enum err compile_filter(struct compiler *c, const struct ast *predicate, struct step *step);

/* One operation more; `effect` is what it does to the number of values on the stack. */
enum err emit(struct compiler *c, enum op_code code, uint32_t a, uint32_t b, uint32_t at, int effect);
enum err emit_constant(struct compiler *c, struct value v, uint32_t at);
uint32_t next_op(const struct compiler *c);
void patch(struct compiler *c, uint32_t op); /* that jump leads to the next operation */
/* Replaces the operations from `first` on by their value when nothing can change it. */
enum err fold(struct compiler *c, uint32_t first);

enum err add_read(struct compiler *c, uint32_t ref, enum read_kind kind);
/* A read from the bound node itself, however deep inside predicates, has `fixed`: it is the same node for
 * every item. */
enum err add_read_from(struct compiler *c, uint32_t ref, enum read_kind kind, bool fixed);

/* Sentences get the column where they belong; the first one stays. */
enum err fault_at(struct compiler *c, uint32_t at, enum err rc);
/* A fault in the text: at once, or when reached (lenient). Leaves one value on the stack. */
enum err fault(struct compiler *c, uint32_t at, const struct diag *what);

#endif
