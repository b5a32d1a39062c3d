/* Versions of what is published: a draft that is only here, a version that some areas have before the others,
 * the one that all have, and the way back. Always true: what a handheld has is live for its area by the
 * catalogue it got; withdrawing publishes the earlier version again, nothing is deleted.
 */
#ifndef DOORSTEP_SERVER_STAGE_H
#define DOORSTEP_SERVER_STAGE_H

#include "server/work.h"

/* A file is checked and kept as the draft of its kind and id; nobody gets it. ERR_SYNTAX when it has errors.
 */
enum err stage_draft(struct desk *k, struct str by, struct str kind, struct str id, struct str file_name,
                     struct str bytes, struct publish_result *out, struct diag *d) MUST_USE;
struct draft_row {
    struct str kind, id, version, title, file_name, by;
    unsigned char hash[SHA256_SIZE];
    int64_t at_ms;
};
enum err stage_drafts(struct desk *k, struct draft_row **out, uint32_t *count_out, struct diag *d) MUST_USE;

/* The draft goes to handhelds whose area begins with one of `areas` (words); "" = to all, and the draft is
 * done. What was live before stays so for the others. ERR_NOT_FOUND: no draft. */
enum err stage_publish(struct desk *k, struct str kind, struct str id, struct str areas,
                       struct publish_result *out, struct diag *d) MUST_USE;
/* The version that was published before is live again for all. ERR_NOT_FOUND: there was none. */
enum err stage_withdraw(struct desk *k, struct str kind, struct str id, struct published *now_out,
                        struct diag *d) MUST_USE;

/* What is another than in the version that is live, in words. */
enum stage_sign { STAGE_ADDED = '+', STAGE_REMOVED = '-', STAGE_CHANGED = '~', STAGE_WARNING = '!' };
struct stage_change {
    enum stage_sign sign;
    struct str place, label; /* path of a question, name of a check or parameter; what it is called */
    struct str what;         /* "type", "constraint" ...; "" = the whole */
    struct str before, now;
};
struct stage_diff {
    struct published live; /* id "" = nothing is live: all is new */
    struct str version;    /* of the draft */
    struct stage_change *changes;
    uint32_t count;
    /* Of a form: visits made with the live version, taken over to the draft as a trial; how many a person
     * would have to look at, and how often why. */
    uint64_t tried, attention, gone, misfit, choice, constraint, required;
    /* Of a pack: interviews judged with both, and those whose level changes. */
    uint64_t judged, other_level;
    uint64_t from[5], to[5]; /* red, yellow, blue, unknown, none: how many by the live one, by the draft */
    struct stage_household {
        struct str code, before, now;
    } * households; /* of those whose level changes, the first 200 */
    uint32_t household_count;
};
#define STAGE_TRIALS_MAX 5000
/* `trial_max` visits at most (STAGE_TRIALS_MAX); 0 = no trial. Changes nothing. */
enum err stage_compare(struct desk *k, struct str kind, struct str id, uint32_t trial_max,
                       struct stage_diff *out, struct diag *d) MUST_USE;

#endif
