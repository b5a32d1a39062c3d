/* Data quality over a whole table: what no single household shows. A pack that reads a table may have, beside
 * checks of one household (contradictions, an interview too short), checks "over" all of them: duplicates,
 * outliers, rows of equal answers, digits, an enumerator who differs from the others, a second visit that
 * finds other answers. Each gives flags for the review queue and the numbers they rest on. A flag is a reason
 * to look, never proof of anything.
 *
 * Sources: PovertyAction high-frequency-checks and ipabcstats, WFP-VAM DataQualityChecks; the percentile is
 * Stata's (summarize, detail). Benford's law only ranks: see docs/RISK.md.
 */
#ifndef DOORSTEP_RISK_QUALITY_H
#define DOORSTEP_RISK_QUALITY_H

#include "risk/table.h"
#include "risk/table_read.h"

#define QUALITY_ROWS_MAX 2000000 /* a province's interviews of a year */

/* Values row after row: inputs of the pack, then its results. Keys name households. */
struct quality_data {
    const struct str *values;
    const struct str *keys;
    uint32_t row_count;
};
uint32_t quality_width(const struct pack *p); /* values in a row */

struct quality_reading {
    struct arena *a, *line; /* the rows stay in `a`; `line` is for one at a time */
    const struct pack *pack;
    struct table_files from;
    const char *data, *map; /* names for `from`; map NULL = none */
    int64_t today;
    void *self;
    /* What the checks of one household find, row by row; texts last only for the call. NULL = nobody asks. */
    enum err (*tell)(void *self, struct str key, const struct finding *f, struct diag *d);
};
enum err quality_read(const struct quality_reading *q, struct quality_data *out, struct diag *d) MUST_USE;

struct quality_flag {
    struct str check;
    enum severity severity;
    uint32_t row;       /* UINT32_MAX: about a group or a column */
    struct str subject; /* the enumerator, group or column; "" = none */
    struct str value;   /* what was found */
    struct str text_zh, text_en;
};
/* One number, such as the 25th percentile of a column or the error rate of an enumerator. */
struct quality_number {
    struct str check, subject;
    const char *name; /* "p25" */
    double value;
};
struct quality_report {
    VEC(struct quality_flag) flags;
    VEC(struct quality_number) numbers;
};
/* `again`: the same households asked a second time, NULL = none; checks that need it are then left out.
 * Results live in `a`; texts point into the data. */
enum err quality_run(struct arena *a, const struct pack *p, const struct quality_data *data,
                     const struct quality_data *again, struct quality_report *out, struct diag *d) MUST_USE;

#endif
