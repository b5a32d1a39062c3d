/* Interviews that the centre sent back: rejected with a comment on the whole or on single questions, and not
 * corrected since. What was decided comes down as rows (ROW_REVIEW, their comments below them); a correction
 * is the present way of editing what was sent, and ends it here the moment it is finalised.
 */
#ifndef DOORSTEP_AGENT_RETURNED_H
#define DOORSTEP_AGENT_RETURNED_H

#include "agent/work.h"

struct returned_remark {
    struct str place; /* "/survey/member[2]/age" */
    struct str text;
};
struct returned {
    int64_t visit, household; /* 0 = about nobody */
    struct str code, name;    /* of the household */
    struct str form, title;   /* id and title */
    struct str instance_id, ended;
    struct str by, level, at, comment; /* who sent it back, for "village", "township" or "county", when */
    bool own;                          /* made on this device */
    bool draft;                        /* its correction is under way */
    VEC(struct returned_remark) remarks;
};
/* Oldest decision first. */
enum err store_returned(struct store *s, struct arena *a, struct returned **list_out, uint32_t *count_out,
                        struct diag *d) MUST_USE;

/* What is to be corrected, as notes before the first question, when a correction is opened. */
enum err returned_notes(struct work *w, struct diag *d) MUST_USE;

/* For `doorstep status`. */
void returned_text(const struct returned *list, uint32_t count, bool zh);
void returned_json(const struct returned *list, uint32_t count, struct buf *out);

#endif
