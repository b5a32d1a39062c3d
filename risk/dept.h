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

/* What tells one state of a household's departmental values from another: the newest as-of date and the
 * first bytes of the SHA-256 of what dept_join() made, "2026-11-10 5f0c3a91"; "" for none. `sha256` is the
 * caller's. */
#define DEPT_MARK_BYTES 4
struct str dept_mark(struct arena *a, struct str as_of, const unsigned char sha256[static DEPT_MARK_BYTES]);

#endif
