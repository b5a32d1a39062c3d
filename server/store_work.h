/* The store's part of work.h: lines, tallies, traces, leases. Lines are written whole; what a list needs is a
 * column. As all verbs of the store (store.h); those that write are called inside a transaction.
 */
#ifndef DOORSTEP_SERVER_STORE_WORK_H
#define DOORSTEP_SERVER_STORE_WORK_H

#include "server/store.h"

/* Days are civil days since 1970, 0 = none. */
struct house_line {
    struct row_id row;
    uint64_t number;
    struct str area, code, name, status, into_code, level, clock_code;
    uint32_t person;
    int64_t visited, due, clock;
    int64_t next; /* what is due first: a visit or a clock */
    uint32_t leads, conflicts;
    struct str tallies; /* lines "what<TAB>day<TAB>n<LF>" that this household adds to the tallies */
};
struct visit_line {
    struct row_id row, root, household, interview;
    uint64_t number;
    struct str area, code, name, form_id, level, why;
    uint32_t person;
    uint64_t device;
    int64_t day;
    uint32_t round, waits, state, flags, verdict; /* verdict: enum judged, 0 = not judged */
};
struct lead_line {
    struct row_id row, household;
    uint64_t number;
    struct str area, code, name, channel, source, state, clock_code;
    int64_t opened, next;
};

/* Every record of a household, or of an interview without one, by number; `packed` only of the kinds that
 * lines are made of. */
enum err cstore_line_records(struct cstore *s, struct arena *a, struct row_id root, struct record_row **out,
                             uint32_t *count_out, struct diag *d) MUST_USE;
/* What became of a visit's document and findings. Zero where there is nothing yet. */
struct visit_facts {
    bool submitted, matches;
    struct str form_id;
    uint64_t device;
    uint32_t person;
    uint32_t verdict;
};
enum err cstore_visit_facts(struct cstore *s, struct arena *a, struct row_id visit, struct visit_facts *out,
                            struct diag *d) MUST_USE;

/* ERR_NOT_FOUND. */
enum err cstore_house_line(struct cstore *s, struct arena *a, struct row_id row, struct house_line *out,
                           struct diag *d) MUST_USE;
enum err cstore_house_line_put(struct cstore *s, const struct house_line *l, struct diag *d) MUST_USE;
enum err cstore_house_line_drop(struct cstore *s, struct row_id row, struct diag *d) MUST_USE;
enum err cstore_visit_line_put(struct cstore *s, const struct visit_line *l, struct diag *d) MUST_USE;
enum err cstore_lead_line_put(struct cstore *s, const struct lead_line *l, struct diag *d) MUST_USE;
/* All lines of a root but its own. */
enum err cstore_lines_drop(struct cstore *s, struct row_id root, struct diag *d) MUST_USE;
enum err cstore_lines_forget(struct cstore *s, struct diag *d) MUST_USE;
/* n may be negative. */
enum err cstore_tally_add(struct cstore *s, struct str area, struct str what, int64_t day, int64_t n,
                          struct diag *d) MUST_USE;

/* ---- lists: cut to areas with this prefix; behind (place, number), or from the beginning ---- */
enum house_list {
    HOUSES_BY_AREA,     /* place text: area */
    HOUSES_IN_CONFLICT, /* the same */
    HOUSES_BY_CODE,     /* of codes that begin with `text`; place: code */
    HOUSES_BY_NAME,     /* of names that begin with `text`; place: name */
    HOUSES_NEXT         /* next <= upto; place: day */
};
struct line_page {
    struct str area; /* prefix */
    struct str text; /* prefix of code or name */
    int64_t upto;
    struct str after_text;
    int64_t after_day;
    uint64_t after; /* number */
    uint32_t limit;
};
enum err cstore_house_lines(struct cstore *s, struct arena *a, enum house_list which,
                            const struct line_page *p, struct house_line **out, uint32_t *count_out,
                            struct diag *d) MUST_USE;
enum visit_list {
    VISITS_WAITING, /* upto: enum visit_waits. The others: whatever they wait for */
    VISITS_DIFFERING,
    VISITS_DOUBTFUL
};
enum err cstore_visit_lines(struct cstore *s, struct arena *a, enum visit_list which,
                            const struct line_page *p, struct visit_line **out, uint32_t *count_out,
                            struct diag *d) MUST_USE;
enum err cstore_visit_lines_of(struct cstore *s, struct arena *a, struct row_id root, struct visit_line **out,
                               uint32_t *count_out, struct diag *d) MUST_USE;
/* ERR_NOT_FOUND. */
enum err cstore_visit_line(struct cstore *s, struct arena *a, struct row_id visit, struct visit_line *out,
                           struct diag *d) MUST_USE;
/* By day of the next clock. */
enum err cstore_lead_lines(struct cstore *s, struct arena *a, const struct line_page *p,
                           struct lead_line **out, uint32_t *count_out, struct diag *d) MUST_USE;
/* Sums by area and what, days from..upto (upto INT64_MAX: all); `what` a prefix, such as "cause:". `digits`:
 * of the area that are told apart, 0 = none. */
struct tally_sum {
    struct str area, what;
    int64_t n;
};
enum err cstore_tallies(struct cstore *s, struct arena *a, struct str area, struct str what, int64_t from,
                        int64_t upto, bool by_area, struct tally_sum **out, uint32_t *count_out,
                        struct diag *d) MUST_USE;

/* ---- the log by household ---- */
enum err cstore_trace_put(struct cstore *s, struct row_id root, uint64_t seq, struct diag *d) MUST_USE;
/* Descending, below `before`. */
enum err cstore_traces(struct cstore *s, struct arena *a, struct row_id root, uint64_t before, uint32_t limit,
                       uint64_t **out, uint32_t *count_out, struct diag *d) MUST_USE;
/* The frame of this server sequence, without frame bytes and receipt. ERR_NOT_FOUND: the centre's own, or
 * erased. */
enum err cstore_batch_at(struct cstore *s, struct arena *a, uint64_t seq, struct batch_row *out,
                         struct diag *d) MUST_USE;
/* The centre's own changes that this sequence is among: those that begin last at or before it. */
enum err cstore_own_at(struct cstore *s, struct arena *a, uint64_t seq, struct own_row *out,
                       struct diag *d) MUST_USE;

/* ---- leases ---- */
struct lease_row {
    struct str what, name;
    uint32_t person;
    int64_t until_ms;
};
/* Taken by nobody else at now_ms: it is this person's. *held_out says who has it. */
enum err cstore_lease_take(struct cstore *s, struct arena *a, const struct lease_row *l, int64_t now_ms,
                           struct lease_row *held_out, struct diag *d) MUST_USE;
enum err cstore_lease_end(struct cstore *s, struct str what, uint32_t person, struct diag *d) MUST_USE;
/* ERR_NOT_FOUND: nobody has it at now_ms. */
enum err cstore_lease(struct cstore *s, struct arena *a, struct str what, int64_t now_ms,
                      struct lease_row *out, struct diag *d) MUST_USE;
enum err cstore_leases_tidy(struct cstore *s, int64_t now_ms, struct diag *d) MUST_USE;

/* ---- mappings of columns, by name (table_in.h) ---- */
enum err cstore_mapping_put(struct cstore *s, struct str name, struct str text, int64_t now_ms,
                            struct diag *d) MUST_USE;
/* ERR_NOT_FOUND. */
enum err cstore_mapping(struct cstore *s, struct arena *a, struct str name, struct str *text_out,
                        struct diag *d) MUST_USE;

#endif
