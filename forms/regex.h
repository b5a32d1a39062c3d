/* Patterns of regex(). A pattern matches when it matches the whole text, as in JavaRosa. */
#ifndef DOORSTEP_FORMS_REGEX_H
#define DOORSTEP_FORMS_REGEX_H

#include "platform/base/arena.h"
#include "platform/base/err.h"
#include "platform/base/str.h"

/* Patterns that came up in an interview and stay compiled: enough for a form that builds a few. Zero is an
 * empty one. */
#define REGEX_CACHED 8
struct regex_cached {
    struct arena memory;
    struct str pattern;
    const void *code;
    uint64_t used;
};
struct regex_cache {
    struct regex_cached at[REGEX_CACHED];
    uint64_t clock;
};
void regex_cache_free(struct regex_cache *c);

struct eval;
/* Lives in `a`. NULL: `d` says why, unless memory ran out. */
const void *regex_compile(struct arena *a, struct str pattern, struct diag *d);
/* Trouble with the pattern goes to e->diag, and nothing matches. */
bool regex_matches(struct eval *e, struct str text, struct str pattern);

#endif
