/* Data quality over all that has arrived: a pack over a table (risk/quality.h) is run on what a form's export
 * holds, and what it flags becomes a queue that people work through.
 *
 * Always true: a flag is a reason to look again, never proof, and changes no answer. A flag is known by what
 * it is about (pack, check, visit, subject), so that running again keeps what people decided; one that is
 * found no more is `gone`, and one that was dismissed comes back when what was found has changed.
 */
#ifndef DOORSTEP_SERVER_QUALITY_H
#define DOORSTEP_SERVER_QUALITY_H

#include "server/parts.h"

/* Numbers are stored. */
enum quality_state { QUALITY_OPEN, QUALITY_LOOKED, QUALITY_DISMISSED, QUALITY_GONE, QUALITY_STATES };
const char *quality_state_name(enum quality_state s); /* "open", "looked", "dismissed", "gone" */
bool quality_state_read(struct str name, enum quality_state *out);

#define QUALITY_FLAG_SIZE 16
struct quality_row {
    unsigned char flag[QUALITY_FLAG_SIZE];
    uint64_t n; /* how people call it; given out here */
    struct str form_id, pack, check;
    enum severity severity;
    struct row_id visit;   /* all zero: about an enumerator, a column ... */
    struct str code, area; /* of the household; "" */
    struct str subject;    /* the enumerator, group or column; "" */
    struct str value;      /* what was found */
    struct str text_zh, text_en;
    enum quality_state state;
    struct str reason, by;
    int64_t decided_ms, first_ms, last_ms; /* last_ms: of the run that found it last */
};

/* ---- the store's part; those that write inside a transaction ---- */
enum err cstore_quality_put(struct cstore *s, const struct quality_row *q, struct diag *d) MUST_USE;
/* What a run of this pack over this form did not find again is gone. */
enum err cstore_quality_over(struct cstore *s, struct str form_id, struct str pack, int64_t run_ms,
                             struct diag *d) MUST_USE;
/* By number. ERR_NOT_FOUND. */
enum err cstore_quality(struct cstore *s, struct arena *a, uint64_t n, struct quality_row *out,
                        struct diag *d) MUST_USE;
enum err cstore_quality_decide(struct cstore *s, uint64_t n, enum quality_state state, struct str reason,
                               struct str by, int64_t now_ms, struct diag *d) MUST_USE;
/* Of one state, the worst first, those behind (severity, n) `after` (NULL: from the first); only what lies in
 * the area (prefix): what is about no household is seen by the whole county ("") alone. */
enum err cstore_quality_list(struct cstore *s, struct arena *a, enum quality_state state, struct str area,
                             const struct quality_row *after, uint32_t limit, struct quality_row **out,
                             uint32_t *count_out, struct diag *d) MUST_USE;
enum err cstore_quality_counts(struct cstore *s, uint64_t out[static QUALITY_STATES],
                               struct diag *d) MUST_USE;

/* ---- the work ---- */
struct quality_run_result {
    uint64_t rows, flags;
    uint64_t counts[QUALITY_STATES]; /* of the whole queue, afterwards */
};
/* `pack`, `map`: their JSON. A pack's mistakes are lines of the desk. */
enum err quality_find(struct desk *k, struct str form_id, struct str pack, struct str map,
                      struct quality_run_result *out, struct diag *d) MUST_USE;
/* looked or dismissed, with who, and for dismissed the reason. `area`: of who decides. ERR_NOT_FOUND also
 * when the flag is not for that area. */
enum err quality_decide(struct desk *k, uint64_t n, enum quality_state state, struct str reason,
                        struct str by, struct str area, struct diag *d) MUST_USE;
/* One state as a table, or as a JSON object a line. */
enum err quality_tell(struct desk *k, enum quality_state state, struct str area, bool json, bool zh,
                      struct buf *out, struct diag *d) MUST_USE;

#endif
