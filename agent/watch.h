/* Syncing in the background: one thread, one wait. Beside it, in processes of their own, people fill in forms
 * into the same store; a run here holds its write lock for one commit at a time.
 */
#ifndef DOORSTEP_AGENT_WATCH_H
#define DOORSTEP_AGENT_WATCH_H

#include "agent/deliver.h"

struct watch_stats {
    uint64_t wakeups; /* of the wait, for any reason */
    uint64_t runs, runs_failed, looks, link_changes, asked;
};
struct watch_options {
    const char *data; /* the store's folder */
    uint64_t bytes_max;
    bool metered;
    void *self;
    /* After each run, and when the link comes or goes (`result` NULL). May be NULL. */
    void (*told)(void *self, bool link, const struct deliver_result *result, enum err rc, const char *why);
    void (*progress)(void *self, const struct deliver_progress *p); /* during a run; may be NULL */
};
/* How this machine is, with its store in `folder`: what a sync tells the centre. */
struct device_report device_state(const char *folder);

/* Until SIGTERM or SIGINT; SIGUSR1 asks for a run now. ERR_BUSY when another one watches this store. */
enum err watch(struct store *s, const struct seam *seam, const struct watch_options *o,
               struct watch_stats *stats_out, struct diag *d) MUST_USE;

#endif
