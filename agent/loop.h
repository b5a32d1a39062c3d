/* When to sync: the decision as a pure function of what was noticed and of the time. What notices and what
 * carries it out is watch.c; tests give it made-up time.
 *
 * Always true: with nothing to send, nothing asked for and the next look at the centre far away it wants to
 * be woken by events only; with no link it waits for one without a clock; a link that comes up, or comes back
 * under another address, is used at once, but one that flaps not more often than every LOOP_CALM_MS; after a
 * failure it waits longer and longer, and a sleep of the whole device counts as a new place.
 */
#ifndef DOORSTEP_AGENT_LOOP_H
#define DOORSTEP_AGENT_LOOP_H

#include "platform/base/err.h"

#define LOOP_FOREVER INT64_MAX
#define LOOP_REFRESH_MS (6LL * 3600 * 1000) /* downlink is looked for so often while there is a link */
#define LOOP_REFUSED_MS \
    (6LL * 3600 * 1000)     /* the centre does not want this device: it may have changed its mind */
#define LOOP_CALM_MS 3000   /* between two runs that a flapping link starts */
#define LOOP_SETTLE_MS 300  /* a store that is being written to is looked at after this */
#define LOOP_SLEPT_MS 30000 /* woken so much later than asked: the device slept */

struct loop {
    int64_t now_ms;  /* counts while the device sleeps */
    bool link_known; /* somebody tells about links; else every wait is a guess */
    bool link;
    bool asked;    /* a person wants a run now */
    bool waiting;  /* something is to be sent */
    bool look_due; /* the store changed: is there something now? */
    int64_t look_at;
    int64_t not_before; /* back-off */
    int64_t refresh_at;
    int64_t ran_at; /* the last run's end; < 0 = none yet */
    uint32_t failures;
    int64_t backed_off_ms;
    uint64_t random_state;
    int64_t woken_for; /* what the last wait was until */
};

enum loop_do {
    LOOP_WAIT, /* for events, and until `until_ms` */
    LOOP_LOOK, /* into the store: loop_looked() */
    LOOP_RUN   /* a sync: loop_ran() */
};
struct loop_step {
    enum loop_do what;
    int64_t until_ms; /* WAIT; LOOP_FOREVER = events only */
};

void loop_init(struct loop *l, int64_t now_ms, bool link_known, bool link, uint64_t seed);
/* Every wake-up first says what time it is. */
void loop_time(struct loop *l, int64_t now_ms);
void loop_link(struct loop *l, bool link); /* something about links or addresses changed */
void loop_asked(struct loop *l);
void loop_changed(struct loop *l); /* the store was written to */
void loop_looked(struct loop *l, bool waiting);
/* `waiting`: something is still to be sent. */
void loop_ran(struct loop *l, enum err result, bool waiting);
struct loop_step loop_next(struct loop *l);

#endif
