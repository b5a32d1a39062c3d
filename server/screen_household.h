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

/* What everything on the page is of. ERR_NOT_FOUND, also when it is not in the reader's area. */
enum err house_read(struct house *x, struct str code, struct diag *d) MUST_USE;
/* The form's language whose name says so: "zh", "中文", "English (en)"; else its own. */
void form_language_for(struct session *s, const struct form *form, bool english);
/* The interviews' answers; `people`: only what stands in entries of a roster. (screen_answers.c) */
enum err house_answers(struct house *x, bool people, struct diag *d) MUST_USE;
/* Words of an answer's status, W_NONE for a plain answer. */
enum word status_word(uint8_t status);

#endif
