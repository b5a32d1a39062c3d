/* What an answer in dispute is about, as people know it. */
#ifndef DOORSTEP_AGENT_DISPUTES_H
#define DOORSTEP_AGENT_DISPUTES_H

#include "agent/store.h"

struct dispute_names {
    struct store *s;
    struct arena *a;
    struct published *list; /* store_published */
    uint32_t count;
};
/* The question's label, else its path, else its number. */
struct str dispute_name(struct dispute_names *n, const struct contested *c);

#endif
