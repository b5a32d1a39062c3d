/* What several departments hold about one household, as the one object that a judgement reads. The same on
 * handheld and centre, whatever order the records are found in.
 */
#ifndef DOORSTEP_RISK_DEPT_H
#define DOORSTEP_RISK_DEPT_H

#include "platform/base/arena.h"
#include "platform/base/buf.h"
#include "platform/base/err.h"

struct dept_record {
    struct str source, as_of, values; /* as_of: ISO date; values: a JSON object */
};

/* Sorts `list`: the newest first, then by source. One object with the members of all in that order, since
 * readers take the first of a name; "" when there is none. Every value keeps where it comes from:
 * {"med_self": {"value": 1500, "source": "...", "as_of": "..."}}; of a list of people each does. What is no
 * object is passed over: one department's mistake must not hide the others' records. *as_of_out: of the
 * newest. Texts in `a`. ERR_LIMIT, ERR_NOMEM.
 */
enum err dept_join(struct arena *a, struct dept_record *list, uint32_t count, struct str *json_out,
                   struct str *as_of_out, struct diag *d) MUST_USE;

#endif
