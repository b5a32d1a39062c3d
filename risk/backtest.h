/* How well flags would have found the households that truly needed help: counts, rates with their intervals,
 * by group, beside a baseline. Pure: whoever judged the households says who was flagged.
 *
 * Intervals are Wilson's (1927) for shares and Newcombe's (1998, method 10, paired) for the difference of two
 * shares of the same households, at 95 %. The test beside the baseline is McNemar's, exact.
 */
#ifndef DOORSTEP_RISK_BACKTEST_H
#define DOORSTEP_RISK_BACKTEST_H

#include "platform/base/arena.h"
#include "platform/base/buf.h"

struct backtest_household {
    bool flagged;
    bool truth;        /* the label: needed help */
    bool has_baseline; /* and what the baseline said */
    bool baseline;
    struct str group;    /* "" = none */
    double score;        /* the more, the likelier; NaN = none */
    int64_t flagged_day; /* first flagged, INT64_MIN = not or not known */
    int64_t onset_day;   /* when the need began, INT64_MIN = not known */
};

struct share {
    uint32_t hits, of;
    double value, low, high; /* NaN without households */
};
struct share share_of(uint32_t hits, uint32_t of);

struct backtest_counts {
    uint32_t true_positive, false_positive, false_negative, true_negative;
};
struct backtest_rates {
    struct str group; /* "" = all */
    struct backtest_counts counts;
    struct share precision;       /* of the flagged, in need */
    struct share recall;          /* of those in need, flagged */
    struct share exclusion_error; /* of those in need, missed */
    struct share inclusion_error; /* of the flagged, not in need */
    struct share workload;        /* flagged of all: visits to make */
    double visits_per_case;       /* visits for one household in need; NaN when none was found */
};
struct backtest {
    uint32_t households, labelled;
    struct backtest_rates all;
    struct backtest_rates *groups; /* by name */
    uint32_t group_count;
    struct backtest_rates baseline; /* counts all zero: there is none */
    bool has_baseline;
    double recall_difference, recall_low, recall_high; /* flags - baseline, among those in need */
    uint32_t only_flags, only_baseline;                /* in need, found by one of the two only */
    double p_value;                                    /* McNemar, exact */
    double kappa;                                      /* agreement of flags and baseline */
    double auc, auc_error;                             /* of the score; NaN = none */
    uint32_t timed;                                    /* flagged, in need, with both days */
    double lead_mean, lead_p25, lead_p50, lead_p75;    /* days from onset to flag: below 0 is before */
    struct share on_time;                              /* of those in need, flagged within 31 days */
};
enum err backtest_run(struct arena *a, const struct backtest_household *h, uint32_t count,
                      struct backtest *out) MUST_USE;
/* As a table for people, in "zh" or "en", and as one JSON object. */
void backtest_text(const struct backtest *b, struct str language, struct buf *out);
void backtest_json(const struct backtest *b, struct buf *out);

#endif
