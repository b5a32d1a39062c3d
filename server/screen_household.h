/* The parts of a household's page: what its files share. */
#ifndef DOORSTEP_SERVER_SCREEN_HOUSEHOLD_H
#define DOORSTEP_SERVER_SCREEN_HOUSEHOLD_H

#include "server/leads.h"
#include "server/screens.h"

struct house {
    struct page p;
    struct work_household h;
    struct record_row row;
    struct record record;
    struct area_names names;
    struct rule_names rules;
    struct work_visit *visits; /* newest first */
    uint32_t visit_count;
    bool shown;       /* hidden numbers are: it was asked for, and noted */
    struct str wrong; /* what an act could not do */
};

/* The interviews' answers; `people`: only what stands in entries of a roster. (screen_answers.c) */
enum err house_answers(struct house *x, bool people, struct diag *d) MUST_USE;
/* Words of an answer's status, W_NONE for a plain answer. */
enum word status_word(uint8_t status);

#endif
