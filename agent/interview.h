/* The interview in a terminal: question by question, back, a list to jump from, languages, what is missing,
 * and at the end the person's own judgement before any finding.
 *
 * Every accepted answer is committed before "saved" is printed, and where the person is, is noted with it: a
 * terminal that is killed loses nothing, and the same command goes on at the same question.
 */
#ifndef DOORSTEP_AGENT_INTERVIEW_H
#define DOORSTEP_AGENT_INTERVIEW_H

#include "agent/work.h"

#include <stdio.h>

/* Reads standard input, writes standard output. `zh`: language of the program's own words. */
void interview_run(struct work *w, bool zh);
/* What is shown once an interview is finalised: the findings, and a short receipt. */
void interview_result(const struct work *w, const struct work_result *r, uint32_t answers, bool zh);

/* What the rules hold urgent, from the nth on: a line each. */
void interview_alerts(const struct work *w, uint32_t from, bool zh, FILE *to);

#endif
