/* What becomes of a household as a case: corrected, moved, split, merged with its duplicate, closed. Each is
 * an act of a named person, stays as an event below the household (change.h, ROW_EVENT), and travels.
 *
 * Always true: rows never change their parent. What was captured about a merged household stays below it, and
 * a pointer says which one stands for it, so that it does not matter whether a visit came before or after the
 * merge. Whoever had not seen that a household moved may still send what was captured before.
 */
#ifndef DOORSTEP_SERVER_HOUSEHOLD_H
#define DOORSTEP_SERVER_HOUSEHOLD_H

#include "server/work.h"

/* ERR_NOT_FOUND, ERR_DENIED (outside the area of who does it), ERR_USAGE (a reason is needed), ERR_STATE (it
 * is merged, closed or erased). Each in its own transaction. */

/* `field`: "name", "address", "category", "position", "phone" or "code". */
enum err household_correct(struct desk *k, const struct work_by *by, struct str code, struct str field,
                           struct str value, struct str reason, struct diag *d) MUST_USE;
enum err household_move(struct desk *k, const struct work_by *by, struct str code, struct str area,
                        struct str reason, struct diag *d) MUST_USE;
/* A part of it goes: a new household. `area` "" = the same. `members`: who went, in words. */
struct household_split {
    struct str code, new_code, new_name, area, members, reason;
};
enum err household_split(struct desk *k, const struct work_by *by, const struct household_split *s,
                         struct diag *d) MUST_USE;
/* `code` is the same household as `into`, or has become part of it. */
enum err household_merge(struct desk *k, const struct work_by *by, struct str code, struct str into,
                         struct str reason, struct diag *d) MUST_USE;
enum err household_close(struct desk *k, const struct work_by *by, struct str code, struct str reason,
                         struct diag *d) MUST_USE;
/* Also of one that was merged by mistake. */
enum err household_reopen(struct desk *k, const struct work_by *by, struct str code, struct str reason,
                          struct diag *d) MUST_USE;

/* What was done, oldest first. */
struct household_event {
    struct str code, other, remark, members, before, name; /* other: code of the other household */
    uint32_t person;
    int64_t at_ms;
};
enum err household_events(const struct work_ask *q, struct row_id household, struct household_event **out,
                          uint32_t *count_out, struct diag *d) MUST_USE;

#endif
