/* An expression over one XML document, as `doorstep expr --context` and the published cases want it: prefixes
 * are given by hand, instance('x') is the <instance id="x"> inside the document, jr:itext('x') its <itext>.
 */
#ifndef DOORSTEP_FORMS_EXPR_DOC_H
#define DOORSTEP_FORMS_EXPR_DOC_H

#include "forms/expr.h"

struct expr_prefix {
    struct str prefix; /* "" = names without one */
    struct str uri;
};

struct expr_doc {
    struct arena *a;
    const struct tree *tree; /* NULL = no document */
    const struct expr_prefix *prefixes;
    uint32_t prefix_count;
    struct str language;
};

/* Fill in what the document answers; everything else (clock, zone, chance, digests) is the caller's. */
void expr_doc_scope(struct expr_doc *doc, enum expr_library library, struct expr_scope *scope);
void expr_doc_eval(struct expr_doc *doc, struct eval *e);

/* Compiles and evaluates in one go. */
enum err expr_doc_run(struct expr_doc *doc, enum expr_library library, struct eval *e, struct str text,
                      struct value *out);

#endif
