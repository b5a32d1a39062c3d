/* What the centre counts about itself while it runs, for whoever watches it: how many requests with which
 * outcome and how long they took, and which addresses send what has to be refused. Nothing here is about a
 * person, and nothing of it is stored.
 */
#ifndef DOORSTEP_SERVER_NUMBERS_H
#define DOORSTEP_SERVER_NUMBERS_H

#include <stdatomic.h>

#include "platform/base/buf.h"

#define NUMBERS_BUCKETS 6

struct numbers {
    atomic_ullong by_class[6];             /* [2] = 2xx ... */
    atomic_ullong within[NUMBERS_BUCKETS]; /* requests that took at most so long (numbers.c) */
    atomic_ullong took_ms, bytes_in, bytes_out;
    atomic_ullong turned_away; /* 429 because of what their address did before */
};
void numbers_request(struct numbers *n, int status, int64_t took_ms, uint64_t bytes_in, uint64_t bytes_out);
/* Prometheus' text format. */
void numbers_write(struct numbers *n, struct buf *out);
void numbers_line(struct buf *out, const char *name, const char *type, const char *help, uint64_t value);

/* Refusals by address: each counts one, and one is forgiven every REFUSALS_FORGIVE_MS. Beyond
 * REFUSALS_MAX the address waits. Many devices share one address, so that what succeeds counts nothing. */
#define REFUSALS_MAX 600
#define REFUSALS_FORGIVE_MS 200
#define REFUSALS_SLOTS 4096 /* by hash: two addresses in one slot count together */
struct refusals {
    struct {
        uint32_t count;
        int64_t at_ms;
    } at[REFUSALS_SLOTS];
};
/* How many the address has left to answer for, `more` added. "" is nobody: 0. */
uint32_t refusals_of(struct refusals *r, struct str address, int64_t mono_ms, uint32_t more);

#endif
