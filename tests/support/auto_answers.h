/* An interview held by nobody: walks a form as a person would and answers what it asks, the same way for the
 * same seed. Every relevant question that can be answered gets an answer, repeats that may grow get two
 * entries. A question whose constraint refuses every candidate is left open.
 */
#ifndef TESTS_SUPPORT_AUTO_ANSWERS_H
#define TESTS_SUPPORT_AUTO_ANSWERS_H

#include "forms/session.h"

struct auto_line {
    struct str add; /* ref of an added repeat entry, p NULL = an answer */
    struct place place;
};

struct auto_answers {
    struct session *session;
    struct arena *arena;
    uint64_t random; /* seed at first */
    bool first;      /* always the first choice, which in most forms opens the sections behind it */
    uint32_t refused;
    uint32_t shown, stops;       /* questions that were there to be answered; stops of the walk */
    VEC(struct auto_line) lines; /* what was done, in order */
};

/* A number below `below`. */
uint64_t auto_draw(struct auto_answers *m, uint64_t below);
/* Walks on from where the session stands; false when the end is not reached. */
bool auto_walk(struct auto_answers *m);
/* Goes back to what still stands open, as a person would who is told of it at the end. What must be answered
 * and has nothing that could be (a list without choices) is refused, if `refuse`. */
void auto_go_back(struct auto_answers *m, bool refuse);

#endif
