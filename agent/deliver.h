/* Enrolment and delivery: carries out what sync/client.h says is next, over the seam's HTTP, against the
 * store.
 */
#ifndef DOORSTEP_AGENT_DELIVER_H
#define DOORSTEP_AGENT_DELIVER_H

#include "agent/store.h"
#include "sync/device_report.h"

/* What a person wants to know while it runs: called after each step that changed something. */
struct deliver_progress {
    struct sync_totals totals;
    uint64_t frames_waiting, bytes_waiting;     /* without receipt */
    uint64_t files_waiting, file_bytes_waiting; /* attachments without receipts for all of them */
    int64_t wait_ms;                            /* > 0: waiting before the next try */
    const char *why;                            /* while waiting: what went wrong */
    bool portal;     /* while waiting: the network shows a login page instead of the centre */
    struct str list; /* being imported, so that forms open at once; "" = none */
};

struct deliver_options {
    uint64_t bytes_max;
    uint32_t tries_max;
    /* Nothing is sent, and receipts are asked for first: the other end is a bundle (courier.h). */
    bool receive_only;
    const struct device_report *state; /* how this device is, for the centre; NULL = not known */
    bool metered; /* every byte costs: answers and small objects only, no attachments, no large lists */
    void *self;
    bool (*stop)(void *self); /* asked between steps and while a request waits; may be NULL */
    void (*progress)(void *self, const struct deliver_progress *p); /* may be NULL */
};

struct deliver_result {
    struct sync_totals totals;
    uint64_t frames_waiting, bytes_waiting; /* still without receipt */
    uint64_t files_waiting, file_bytes_waiting;
    int64_t clock_off_ms; /* this device's clock minus the centre's; 0 = near enough */
    bool budget_used;     /* bytes_max ended the run before everything was done */
    bool portal;          /* a login page stood in the way to the end */
};

/* Cuts what is finalised, then runs one sync to its end. Waits (back-off) happen through the seam. Whatever
 * stops it, what has no receipt is still held. *result_out is filled in, failed or not. */
enum err deliver(struct store *s, const struct seam *seam, const struct deliver_options *o,
                 struct deliver_result *result_out, struct diag *d) MUST_USE;

/* Enrols this device. `code` is the text of the QR code ("dse1:...") or the typed token, which then needs
 * `url`. `root_print`: the fingerprint of the county's root to insist on ("7F3A 09C2 ..."), NULL only when
 * `confirm` is given: it is shown the fingerprint and answers whether a person recognises it. */
struct enrol_options {
    const char *code, *url, *root_print;
    const char *model;
    const char *ca_file; /* PEM: the only authority that the centre's certificate may come from; NULL = any */
    void *self;
    bool (*confirm)(void *self, const char *fingerprint);
};
enum err enrol(struct store *s, const struct seam *seam, const struct enrol_options *o,
               struct diag *d) MUST_USE;

#endif
