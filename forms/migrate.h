/* A draft and a newer version of its form. The plan is a dry run: nothing is changed, everything that will
 * happen is listed, and what came out can be opened as it stands. An answer keeps its row and goes to the
 * question at the same path, else to the one of the same name if that is unmistakable. An answer without a
 * place is set aside, never dropped: the host keeps it with the draft and gives it to the next migration.
 */
#ifndef DOORSTEP_FORMS_MIGRATE_H
#define DOORSTEP_FORMS_MIGRATE_H

#include "forms/session.h"

enum migration_kind {
    MIGRATE_MOVED,      /* kept, at another path */
    MIGRATE_RETYPED,    /* kept, the question's type is another */
    MIGRATE_RETURNED,   /* was set aside before and has a place again */
    MIGRATE_GONE,       /* set aside: no such question */
    MIGRATE_MISFIT,     /* set aside: cannot be of the new type */
    MIGRATE_ENTRY_GONE, /* an entry of a repeat that there is no more; its answers are set aside */
    MIGRATE_CHOICE,     /* kept, and no longer among the choices */
    MIGRATE_CONSTRAINT, /* kept, and no longer allowed */
    MIGRATE_REQUIRED,   /* must be answered now */
};
struct migration_item {
    enum migration_kind kind;
    uint64_t key;        /* row */
    struct str from, to; /* path in the old form, place in the new one; "" = none */
    struct str value;
    struct str text; /* a sentence */
};
/* Of an entry of a repeat: the repeat's path, "PARENT ORDER" and ANSWER_NONE, so that it comes back with its
 * answers; entries stand before what is in them. */
struct set_aside {
    uint64_t key;
    struct str path; /* in the form it was answered in */
    struct str value;
    enum answer_status status;
};

struct migration_plan {
    struct migration_item *items;
    uint32_t item_count;
    uint32_t attention; /* of them, those that a person should look at: from MIGRATE_GONE on */
    struct saved_interview after;
    struct set_aside *aside;
    uint32_t aside_count;
    uint64_t row_key_next;
};

/* A draft of the form `from`, as its store has it, with what earlier migrations set aside. */
struct migration_draft {
    const struct form *from, *to;
    const struct session_host *host; /* lists, clock */
    struct saved_interview saved;
    const struct set_aside *aside;
    uint32_t aside_count;
    uint64_t row_key_next;
};
/* The plan lives in `a`; texts that did not change point into the draft and the forms. ERR_USAGE for two
 * different forms; otherwise what session_open says when the draft cannot be opened with either. */
enum err migration_plan(struct arena *a, const struct migration_draft *draft, struct migration_plan *plan_out,
                        struct diag *d) MUST_USE;

#endif
