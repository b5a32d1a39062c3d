/* A world: a centre, handhelds in teams that share households, and what goes wrong in it. world.c makes it
 * and lets time pass, visits.c is what people do at doors, final.c compares in the end.
 */
#ifndef DOORSTEP_TESTS_SIM_WORLD_H
#define DOORSTEP_TESTS_SIM_WORLD_H

#include "agent/deliver.h"
#include "agent/work.h"
#include "platform/sim/sim.h"
#include "tests/sim/centre.h"
#include "tests/sim/screen.h"

#define DEVICES_MAX 200
#define CLONES_MAX 1 /* in one world */
#define HOUSEHOLDS 4 /* of each team */
#define DRAFT_MAX 64

/* What can go wrong. Every seed switches some of them on. */
enum fault {
    FAULT_LOSS,
    FAULT_TRUNCATE,
    FAULT_DUPLICATE,
    FAULT_LATE,
    FAULT_PARTITION,
    FAULT_PORTAL,
    FAULT_CLOCK,
    FAULT_FULL,
    FAULT_CUT_DEVICE,
    FAULT_CUT_CENTRE,
    FAULT_KILL,
    FAULT_STICK,     /* frames by hand, before the radio or after it */
    FAULT_MEANWHILE, /* a sync while an interview is open */
    FAULT_CENTRE_FULL,
    FAULT_REVOKE,
    FAULT_SET_BACK, /* the centre is set back to a backup */
    FAULT_CLONE,    /* a handheld's card is copied, and both go on */
    FAULT_EPOCHAL,  /* clocks at both ends say 1970 or 2099 for a while */
    FAULT_COUNT
};

/* One step at a door: an answer, a member added (with its name) or removed. */
struct deed {
    enum { DEED_ANSWER, DEED_ADD, DEED_REMOVE } kind;
    char member[TEXT_MAX], field[8], text[TEXT_MAX];
};

/* Something said in a visit that is not finalised. */
struct drafted {
    enum said_kind kind;
    char member[TEXT_MAX], field[8], text[TEXT_MAX], stood[TEXT_MAX];
    uint64_t heard;
    bool own;    /* of a member that was added in this very draft */
    bool shared; /* it stood there when the handheld was copied */
};

/* A handheld's view of one household, as the checker knows it. */
struct book {
    char code[16];
    uint32_t household;
    bool draft; /* a visit is open */
    struct on_screen screen;
    struct drafted drafted[DRAFT_MAX];
    uint32_t drafted_count;
    uint64_t heard;        /* when the interview was opened */
    struct deed cut_short; /* the deed whose saving failed */
    bool unsure;
    bool finalising; /* cut short while finalising */
};

struct device {
    struct sim_machine *machine;
    struct store *store;
    struct book books[HOUSEHOLDS];
    uint32_t team, author;
    uint64_t heard; /* step of its last talk */
    bool full;      /* the card takes no more for the moment */
    bool revoked;
};

/* A finalised visit: what its submission must say. */
struct visit_said {
    struct on_screen screen;
    uint32_t author, household;
    bool landed;   /* its handheld said that everything was delivered */
    bool optional; /* its handheld was shut out before that */
};

struct on_stick {
    struct str frame;
    uint32_t device;
};

struct world {
    uint64_t seed, step;
    struct sim *sim;
    struct sim_machine *centre_machine, *backup; /* `backup` NULL: none was made */
    struct sim_centre *centre;
    struct device *devices;
    uint32_t device_count, batches, team_size, teams, clones;
    bool faults[FAULT_COUNT];
    bool always_cut; /* asked for power cuts */
    bool telling;    /* how far it is, on stderr */
    struct arena arena;
    VEC(struct visit_said) visits;
    VEC(struct on_stick) stick;
    struct history history;
    uint64_t values; /* for unique texts */
    struct world_counts {
        uint64_t cuts, refusals, pages, carried, conflicts, overwritten, set_back, clones, differing;
    } n;
    bool portal, centre_full, set_back, unnoticed;
    struct diag diag;
    const char *failed; /* NULL = fine */
    char detail[160];
};

void fail(struct world *w, const char *what);
/* The same, with what it is about. */
void fail_about(struct world *w, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void world_run(struct world *w); /* frees everything but the counts and what failed */

/* world.c */
bool device_is_off(const struct device *v);
enum err run_deliver(struct world *w, struct device *v);

/* visits.c */
enum err book_open(struct world *w, struct device *v, struct book *b, struct work *k);
void book_settle(struct world *w, struct device *v, struct book *b);
/* Some answers, each saved; finalised at the end, perhaps or surely. */
void visit(struct world *w, struct device *v, struct book *b, bool to_the_end);
/* A failure needs a reason of this world: the power, or a card that is full and says so. */
void excuse(struct world *w, struct device *v, enum err rc, const char *what);

/* final.c */
void final_check(struct world *w);

#endif
