/* A rule pack over a table: each household is a line of texts by the pack's own input names, its members are
 * lines of other tables. The form of such a pack is made of its inputs, so that scores are judged by the very
 * code that judges at the door. Pure: who reads files gives the texts.
 */
#ifndef DOORSTEP_RISK_TABLE_H
#define DOORSTEP_RISK_TABLE_H

#include "risk/judge.h"

uint32_t table_input_count(const struct pack *p);
struct str table_input(const struct pack *p, uint32_t i); /* its name */
uint32_t table_set_count(const struct pack *p);
struct str table_set(const struct pack *p, uint32_t i);
uint32_t table_field_count(const struct pack *p, uint32_t set);
struct str table_field(const struct pack *p, uint32_t set, uint32_t i);

#define TABLE_ROWS_MAX 1000 /* members of one household */

struct table_rows {
    const struct str *values; /* row after row, field_count texts each; "" = missing */
    uint32_t count;
};
struct table_household {
    const struct str *values;      /* by input; "" = missing */
    const struct table_rows *sets; /* by set; NULL when the pack has none */
    struct str area;               /* "" = unknown */
    int64_t today;
};

/* What a derived value named under "results" came to. */
struct table_result {
    struct str name, text; /* "" = unknown; truth values as 1 and 0 */
    double number;         /* NaN when it is none */
};
struct table_judgement {
    struct judgement judgement;
    const struct table_result *results;
    uint32_t result_count;
    const struct table_total_part *totals; /* by total of the pack */
};
/* What one household adds to a total; none when the value or its weight is unknown or `where` does not hold.
 */
struct table_total_part {
    bool counts;
    double value, weight;
};
/* Results live in `a`. */
enum err table_judge(struct arena *a, const struct pack *p, const struct table_household *h,
                     struct table_judgement *out, struct diag *d) MUST_USE;

uint32_t table_total_count(const struct pack *p);
struct table_total_about {
    struct str name, zh, en;
};
struct table_total_about table_total(const struct pack *p, uint32_t i);

#endif
