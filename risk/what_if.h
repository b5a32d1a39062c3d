/* What if one answer were another: which answers decide what was found, and from where on. Every question of
 * the interview is given other answers, one at a time, on a copy; of amounts the nearest one that changes
 * something is looked for. Nothing is believed of the rules: the household is judged anew each time.
 *
 * It shows what to verify first. It is not for choosing answers: see docs/RISK.md.
 */
#ifndef DOORSTEP_RISK_WHAT_IF_H
#define DOORSTEP_RISK_WHAT_IF_H

#include "risk/judge.h"

struct what_if {
    struct str ref;        /* "/monitoring/member[2]/health" */
    struct str label;      /* of the question, in the session's language */
    struct str from, to;   /* answers as they are stored; "" = none */
    struct str gone, come; /* checks that are no longer hit, and that are hit now: ids, space-separated */
    struct str level_from, level_to;
};

#define WHAT_IF_CHOICES_MAX 40 /* of one question; a village list decides nothing */
#define WHAT_IF_TRIES_MAX 20000

/* `options` opens the interview that is asked about (resume, with its rows and cells); `in` as for
 * judge_household, in->now is not looked at. Results live in `a`, by the order of the form; ERR_LIMIT after
 * WHAT_IF_TRIES_MAX judgements. */
enum err what_if_run(struct arena *a, const struct pack *p, const struct session_options *options,
                     const struct judge_input *in, struct what_if **out, uint32_t *count_out,
                     struct diag *d) MUST_USE;

#endif
