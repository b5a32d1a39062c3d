/* Leads on the handheld: what came down from departments, what people told or a patrol saw; the steps taken
 * and what was seen of each indicator. Clocks are computed (risk/clock.h).
 */
#ifndef DOORSTEP_AGENT_LEADS_H
#define DOORSTEP_AGENT_LEADS_H

#include "agent/work.h"
#include "risk/clock.h"

/* What was seen of one indicator. */
struct lead_seen {
    struct str name, result, note; /* result: "confirmed", "refuted", "unclear" */
    struct str photo, position;    /* photo: a name that attach_file gave */
    int64_t visit;                 /* in which it was seen; 0 = in none */
};
struct lead {
    int64_t key, household;
    struct str code, area; /* of the household */
    struct str source, opened, deadline, note;
    struct str indicators; /* JSON object: the evidence by name, "" = none */
    struct lead_times times;
    struct str result, category; /* of the newest step that has them */
    VEC(struct lead_seen) seen;
};
/* `household` 0 = all. */
enum err store_leads(struct store *s, struct arena *a, int64_t household, struct lead **list_out,
                     uint32_t *count_out, struct diag *d) MUST_USE;
/* Of `l`: channel, source, opened ("" = now), deadline, indicators, note. */
enum err store_lead_open(struct store *s, int64_t household, const struct lead *l, int64_t *key_out,
                         struct diag *d) MUST_USE;
struct lead_step_taken {
    enum lead_step step;
    struct str at; /* "" = now */
    struct str note, result, category, follow_up;
    struct str photo; /* a name that attach_file gave */
    int64_t visit;    /* during which it was taken; 0 = in none */
};
/* ERR_DENIED when the person enrolled here does not note this step. */
enum err store_lead_step(struct store *s, int64_t lead, const struct lead_step_taken *t,
                         struct diag *d) MUST_USE;
enum err store_lead_indicator(struct store *s, int64_t lead, const struct lead_seen *i,
                              struct diag *d) MUST_USE;

/* The newest rule pack that is here, whatever form it is for: it sets the days of clocks. NULL = none. */
enum err store_clock_pack(struct store *s, struct arena *a, const struct pack **out, struct diag *d) MUST_USE;
/* Puts households into the order in which to visit them (queue_priority). */
enum err store_queue(struct store *s, struct arena *a, int64_t today, struct household *list, uint32_t count,
                     struct diag *d) MUST_USE;

/* After an interview at the door, in the terminal: each indicator of each open lead, with a note; then the
 * step "visit" with what came of it. `read_line` gives a line, "" at its end. */
struct lead_asking {
    struct work *w;
    bool zh;
    struct str category; /* suggested by the rules, "" = none */
    void *self;
    struct str (*read_line)(void *self);
    bool (*ended)(void *self);
};
enum err lead_ask(const struct lead_asking *q, struct diag *d) MUST_USE;
/* What stands open about this household, a line each, as notes before the first question. */
enum err lead_notes(struct work *w, struct diag *d) MUST_USE;

#endif
