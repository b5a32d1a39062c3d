/* The audit log: who read or changed what about whom, in order, for good.
 *
 * Always true: rows are only ever added; each row's hash covers its own words and the hash of the row before
 * it, so that a row that was changed, removed or put in between shows at the next row, with its number. What
 * the chain cannot show by itself is a tail that was cut off: for that the county notes the newest number and
 * hash now and then (`doorstepd audit DIR --verify` prints them, `--head N:HASH` compares).
 */
#ifndef DOORSTEP_SERVER_AUDIT_H
#define DOORSTEP_SERVER_AUDIT_H

#include "server/store.h"

struct audit_row {
    uint64_t n; /* from 1, without gaps */
    int64_t at_ms;
    uint32_t person;      /* number; 0 = nobody who is signed in: the centre itself, a handheld */
    struct str who;       /* name, or "centre", "device", ... */
    struct str what;      /* the act: "signed-in", "read", "exported" ... */
    struct str household; /* its code; "" = none */
    struct str about;     /* whatever else says what it was */
    unsigned char hash[SHA256_SIZE];
};

/* In a transaction; n and hash are filled in by the store. */
enum err cstore_audit_add(struct cstore *s, const struct audit_row *row, struct diag *d) MUST_USE;

struct audit_filter {
    struct str who, what, household; /* "" = any; household also finds rows whose `about` is this code */
    uint64_t after; /* those behind this number; with newest_first those before it, 0 = all */
    bool newest_first;
    uint32_t limit;
};
enum err cstore_audit_rows(struct cstore *s, struct arena *a, const struct audit_filter *f,
                           struct audit_row **out, uint32_t *count_out, struct diag *d) MUST_USE;

struct audit_state {
    uint64_t rows, newest;           /* how many were looked at; the number of the last */
    unsigned char hash[SHA256_SIZE]; /* of the last */
    int64_t newest_ms;
    uint64_t broken; /* the first row that is not what was written; 0 = the chain is whole */
    bool missing;    /* ... because the row is gone */
    bool head_found; /* the row that was asked for is there with that hash */
};
/* Walks the whole chain. `head`: number and hash noted earlier; n 0 = none. */
enum err audit_verify(struct cstore *s, const struct audit_row *head, struct audit_state *out,
                      struct diag *d) MUST_USE;

#endif
