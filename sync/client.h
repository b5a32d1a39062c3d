/* The device's half of a sync as a state machine: says what to do next, is told how it went, never does
 * anything itself.
 *
 *   while (sync_next(c, &step) ...) { do it; sync_feed_...(c, ...); }
 *
 * Order of a run: unsent frames oldest first (urgent ones before), receipts, downlink from the cursor until
 * it is empty, then objects that are named by the catalogue and not held, then parts of attachments. A frame
 * of up to SYNC_FAST_MAX bytes goes in one round trip; a larger one in pieces that the centre counts, so that
 * what arrived before a link broke is not sent again. Progress resets the back-off. A
 * reply that is not ours (a captive portal's page, a proxy's error) is recognised by its missing signature
 * and never counts as success. A device marks a frame as delivered only through STEP_RECEIPT. What the centre
 * refuses (one frame, one object) is passed over in this run and does not block what stands behind it.
 */
#ifndef DOORSTEP_SYNC_CLIENT_H
#define DOORSTEP_SYNC_CLIENT_H

#include "sync/wire.h"

struct sync_client;

#define SYNC_FAST_MAX (32u << 10)           /* a frame of this size goes whole */
#define SYNC_OBJECT_MAX (64u << 20)         /* larger ones are not fetched */
#define SYNC_METERED_OBJECT_MAX (64u << 10) /* larger objects wait for a link that costs nothing */

struct sync_config {
    uint64_t device;
    uint32_t inc;
    struct keyset keys;
    struct key_pair_x25519 seal; /* the device's own */
    struct str token;            /* bearer; may have expired */
    uint64_t cursor;
    uint32_t epoch;
    uint64_t bytes_max; /* budget of this run, 0 = none */
    uint32_t tries_max; /* failures in a row before STEP_STOPPED; 0 = 8 */
    bool metered;       /* every byte costs: no attachments, no large objects */
    uint64_t jitter_seed;
    /* batch_seq of the oldest frame that was sent and has no receipt, 0 = none: the run then begins by asking
     * for the receipts from there on, so that nothing large goes twice. */
    uint64_t unsure_from;
    bool own_too; /* the downlink shall also hold what this device itself said: it is told everything again */
    /* How this device is (wire.h, device report), "" = as the centre was told before: it rides along with the
     * first request of this run that has room for it. */
    struct str report;
    struct frame_dict dict; /* of the centre, held here; id 0 = none. Its bytes outlive the client */
};

enum sync_step_kind {
    STEP_FRAME,   /* give the next frozen, unreceipted frame that is not in `frames_refused`, or none */
    STEP_PART,    /* the same of attachments: the next object frame; sync_feed_frame */
    STEP_HTTP,    /* carry out `request`: sync_feed_reply or sync_feed_failure */
    STEP_RECEIPT, /* commit this verified receipt (and token, and `cursor`): sync_feed_done */
    STEP_DOWN,    /* apply these changes and the cursor in one transaction: sync_feed_done */
    STEP_WANTED,  /* name the next object hash that is needed, other than `refused`: sync_feed_wanted */
    STEP_PIECE,   /* keep these bytes of an object at `at` for a later run: sync_feed_done */
    STEP_OBJECT,  /* keep these bytes, whose hash was checked: sync_feed_done */
    STEP_WAIT,    /* wait_ms, then sync_feed_done; cause and the diag say why */
    STEP_DONE,    /* nothing left */
    STEP_STOPPED  /* cannot go on now: cause and the diag; what is not receipted is still held */
};

struct step {
    enum sync_step_kind kind;
    /* FRAME, PART: numbers of frames that the centre did not take in this run. A caller that gives one of
     * them again is taken to have no other. */
    const uint64_t *frames_refused;
    uint32_t frames_refused_count;
    /* HTTP: path below the centre's address ("/v1/b"), headers, body. Valid until the next call. */
    const char *method;
    struct str path;
    struct str body;
    struct str authorization; /* value of that header, "" = none */
    struct str range;         /* value of "Range", "" = none */
    uint32_t reply_max;
    /* RECEIPT */
    struct receipt receipt;
    struct str receipt_frame; /* the signed bytes, to be kept */
    /* DOWN; cursor also RECEIPT: the cursor to hold from now on */
    const struct change *changes; /* all by the centre or passed on by it; authors in `authors` */
    const struct down_author *authors;
    uint32_t change_count;
    uint64_t cursor;
    uint32_t epoch;       /* DOWN */
    uint64_t cursor_from; /* DOWN: what it goes on from */
    const struct heir *heirs;
    uint32_t heir_count;
    uint64_t agreed; /* DOWN, of a later epoch: as far as both histories agree */
    /* WANTED: what the centre does not have */
    const unsigned char (*refused)[SHA256_SIZE];
    uint32_t refused_count;
    /* OBJECT, PIECE */
    unsigned char hash[SHA256_SIZE];
    struct str object;
    uint64_t at; /* PIECE */
    /* WAIT, STOPPED */
    int64_t wait_ms;
    enum err cause;
    bool portal; /* what answers is not the centre but the network: a login page */
    bool budget; /* STOPPED: bytes_max is used up, nothing went wrong */
};

/* `config` is copied. */
enum err sync_client_open(struct arena *a, const struct sync_config *config, struct sync_client **client_out,
                          struct diag *d) MUST_USE;
void sync_client_close(struct sync_client *c); /* accepts NULL */
/* Asking again before the answer was fed gives the same step. */
void sync_next(struct sync_client *c, struct step *step_out, struct diag *d);
/* Of FRAME, PART. p NULL = none left; bytes must live until the next step of that kind or the run's end. */
void sync_feed_frame(struct sync_client *c, struct str frame);

/* Any status. Texts need not outlive the call. */
struct sync_reply {
    int status;
    struct str body, content_type;
    struct str offset;        /* "Ds-Offset", "" = none */
    struct str done;          /* "Ds-Done" */
    struct str patch;         /* "Ds-Patch" */
    struct str content_range; /* "Content-Range" */
    uint64_t bytes_up, bytes_down;
    int64_t took_ms;
};
void sync_feed_reply(struct sync_client *c, const struct sync_reply *reply);
void sync_feed_failure(struct sync_client *c, enum err cause, uint64_t bytes_up, uint64_t bytes_down,
                       int64_t took_ms);

/* What of an object is here already. */
struct sync_wanted {
    const unsigned char *hash; /* SHA256_SIZE */
    uint64_t size;             /* 0 = not known */
    struct str have;           /* its first bytes, kept by an earlier run */
    /* An earlier version, whole: the centre may then send only what differs. `base` must live until the next
     * STEP_WANTED. */
    const unsigned char *base_hash; /* NULL = none */
    struct str base;
};
/* NULL = none. */
void sync_feed_wanted(struct sync_client *c, const struct sync_wanted *wanted);
/* Of RECEIPT, DOWN, PIECE, OBJECT, WAIT. What could not be committed stops the run. */
void sync_feed_done(struct sync_client *c, enum err result);

struct sync_totals {
    uint64_t frames_sent, frames_receipted, frames_quarantined, parts_receipted, parts_quarantined,
        changes_received, objects_received, objects_patched, objects_put_off, bytes_up, bytes_down, exchanges,
        failures;
    bool report_told; /* the centre has it */
};
struct sync_totals sync_totals(const struct sync_client *c);

/* Decorrelated jitter, 5 s to 15 min, as a pure function: the wait after `failures` in a row. */
int64_t backoff_ms(uint32_t failures, int64_t previous_ms, uint64_t *random_state);

#endif
