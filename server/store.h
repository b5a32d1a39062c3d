/* The centre's store: what the county knows, behind verbs that SQLite serves in one directory and PostgreSQL
 * can serve for a province. Every table's key begins with the county.
 *
 * Always true: a store verb that writes is called between cstore_begin and cstore_commit; the county's
 * counters (server sequence, row numbers, persons, own row ids, clock) move only there, under one lock, so
 * that a reader at server sequence N has seen everything up to N. What an arriving frame brought is kept
 * verbatim in the ledger; the current state of a record is one row, packed by sync/merge; only what is asked
 * for is a column of its own.
 *
 * Texts and bytes that a verb returns live in the arena it was given. One struct cstore belongs to one thread
 * at a time.
 */
#ifndef DOORSTEP_SERVER_STORE_H
#define DOORSTEP_SERVER_STORE_H

#include "platform/base/buf.h"
#include "platform/crypto.h"
#include "platform/seam.h"
#include "sync/fieldmap.h"
#include "sync/incarnation.h"
#include "sync/wire.h"

struct cstore;

#define CSTORE_TEXT_MAX 4096          /* reasons, names, titles: more is cut by whoever writes it */
#define CSTORE_OBJECT_MAX (64u << 20) /* a form, list or pack; the largest public list met has 19 MB */

/* Where a store is: a file, or a database that several counties and several programs share. */
struct cstore_place {
    const struct seam *seam; /* its clock; lives as long as the store */
    const char *path, *vfs;  /* of the file, or */
    const char *url;         /* postgresql://... of libpq, with one host or several */
    int64_t county;          /* its number there; 0 = the next free one, when it is made */
    uint32_t partitions;     /* of each table when the tables are made; 0 = none */
};
enum err cstore_open(const struct cstore_place *where, struct cstore **cstore_out, struct diag *d) MUST_USE;
/* Before a request: is the database there, and is it still the one it was? A promoted standby begins a new
 * epoch. ERR_BUSY: it cannot be reached just now. */
enum err cstore_ready(struct cstore *s, struct diag *d) MUST_USE;
void cstore_close(struct cstore *s); /* accepts NULL */
/* The county as a SQLite file, as it is at one moment, while others write. ERR_EXISTS. */
enum err cstore_backup(struct cstore *s, const char *path, const char *vfs, struct diag *d) MUST_USE;
/* Every row of the county into an empty place; one of the two is a file. A county of number 0 there gets the
 * next free one. */
enum err cstore_copy(struct cstore *from, struct cstore *to, int64_t *county_out, struct diag *d) MUST_USE;

/* ---- one write transaction ---- */
struct counters {
    uint64_t server_seq; /* last given out */
    uint64_t row_number;
    uint32_t person;
    uint32_t own_row; /* counter of the centre's own row ids */
    int64_t hlc;
    uint32_t epoch; /* read only: cstore_epoch_begin moves it */
};
enum err cstore_begin(struct cstore *s, struct diag *d) MUST_USE;
struct counters *cstore_counters(struct cstore *s); /* inside a transaction: take by adding */
enum err cstore_commit(struct cstore *s, struct diag *d) MUST_USE;
void cstore_rollback(struct cstore *s); /* does nothing once committed or never begun */

/* ---- the county ---- */
enum err cstore_county_make(struct cstore *s, struct str name, uint32_t epoch, int64_t *county_out,
                            struct diag *d) MUST_USE;
enum err cstore_county(struct cstore *s, struct arena *a, struct str *name_out, uint32_t *epoch_out,
                       struct counters *now_out, struct diag *d) MUST_USE;
/* What incarnation `inc` of a device inherited; put: never less than before. */
enum err cstore_heirs(struct cstore *s, struct arena *a, uint64_t device, uint32_t inc, struct heir **out,
                      uint32_t *count_out, struct diag *d) MUST_USE;
enum err cstore_heir_put(struct cstore *s, const struct heir *h, struct diag *d) MUST_USE;
/* Under which incarnation a finished visit counts that copies of a handheld may hold; ERR_NOT_FOUND without a
 * sentence: nobody has asked about it yet. */
enum err cstore_claim(struct cstore *s, uint64_t device, const struct incarnation_visit *v, uint32_t *inc_out,
                      struct diag *d) MUST_USE;
enum err cstore_claim_put(struct cstore *s, uint64_t device, const struct incarnation_visit *v, uint32_t inc,
                          struct diag *d) MUST_USE;
/* As far as handhelds may have been told of this history; put: inside a transaction, never goes back. */
enum err cstore_told(struct cstore *s, uint64_t *seq_out, struct diag *d) MUST_USE;
enum err cstore_told_put(struct cstore *s, uint64_t seq, struct diag *d) MUST_USE;
/* A new epoch: the database was set back to a backup, and what it numbers beyond `base` is not what it
 * numbered before. Sequences go on where they are. */
enum err cstore_epoch_begin(struct cstore *s, uint32_t epoch, uint64_t base, int64_t now_ms, struct str why,
                            struct diag *d) MUST_USE;
/* The last server sequence that means the same in `upto` as in `epoch`; UINT64_MAX when no other began
 * between.
 */
enum err cstore_epoch_base(struct cstore *s, uint32_t epoch, uint32_t upto, uint64_t *base_out,
                           struct diag *d) MUST_USE;
#define EPOCH_TODAY UINT32_MAX
/* An epoch began because a backup was put back, and not only because the centre was started. */
enum err cstore_was_set_back(struct cstore *s, bool *out, struct diag *d) MUST_USE;
/* Who did what to what, for good. */
enum err cstore_audit(struct cstore *s, int64_t now_ms, struct str who, struct str what, struct str about,
                      struct diag *d) MUST_USE;

/* How often that was done. */
enum err cstore_audit_count(struct cstore *s, struct str what, uint32_t *count_out, struct diag *d) MUST_USE;

/* ---- people, tokens, devices ---- */
struct person {
    uint32_t person;
    uint8_t role;
    struct str name, area; /* area: prefix of the codes this person may see; "" = the whole county */
};
enum err cstore_person_put(struct cstore *s, const struct person *p, int64_t now_ms, struct diag *d) MUST_USE;
enum err cstore_person(struct cstore *s, struct arena *a, uint32_t number, struct person *out,
                       struct diag *d) MUST_USE; /* ERR_NOT_FOUND */
enum err cstore_person_find(struct cstore *s, struct arena *a, struct str name, uint8_t role, struct str area,
                            struct person *out, struct diag *d) MUST_USE;

struct enrol_row {
    unsigned char hash[SHA256_SIZE];
    uint32_t person;
    int64_t until_ms;
    uint64_t device; /* 0 = not used yet */
};
enum err cstore_enrol_put(struct cstore *s, const struct enrol_row *e, struct diag *d) MUST_USE;
enum err cstore_enrol(struct cstore *s, const unsigned char hash[static SHA256_SIZE], struct enrol_row *out,
                      struct diag *d) MUST_USE;

/* Why an incarnation does not count any more. Numbers are stored. */
enum revoked_why {
    REVOKED_BY_PERSON = 0,
    REVOKED_COPY = 1,     /* two handhelds use it: each may ask for one of its own */
    REVOKED_REPLACED = 2, /* the handheld asked for another one */
    REVOKED_LOST = 4,     /* by a person, and it shall erase what has receipts */
    REVOKED_RELEASE = 3   /* never a handheld's: the author of what was released from frames of a copy */
};
struct device_row {
    uint64_t device;
    uint32_t inc;
    uint32_t person;
    unsigned char sign_public[P256_PUBLIC_SIZE];
    unsigned char seal_public[X25519_SIZE];
    struct str model, version;
    int64_t enrolled_ms, contact_ms;
    int64_t revoked_ms; /* 0 = in use */
    enum revoked_why revoked_why;
    uint64_t cursor;     /* it has everything up to here, in this epoch */
    uint64_t contiguous; /* every batch up to here is in the ledger */
};
enum err cstore_device_put(struct cstore *s, const struct device_row *v, struct diag *d) MUST_USE;
enum err cstore_device(struct cstore *s, struct arena *a, uint64_t device, uint32_t inc,
                       struct device_row *out, struct diag *d) MUST_USE;
/* All of them, ordered by enrolment. */
enum err cstore_devices(struct cstore *s, struct arena *a, struct device_row **out, uint32_t *count_out,
                        struct diag *d) MUST_USE;

/* ---- the ledger: frames as they came ---- */
struct batch_row {
    uint64_t device;
    uint32_t inc;
    uint64_t batch_seq;
    uint32_t copy; /* 0 = the first frame under this number; others lie beside it */
    unsigned char batch_id[BATCH_ID_SIZE];
    unsigned char hash[8]; /* SHA-256(frame)[0..8): what the next frame's `prev` must say */
    struct str frame;
    struct str payload; /* opened; "" when it did not open */
    enum receipt_status status;
    struct str reason;
    struct str receipt;  /* the signed frame that answers it */
    uint32_t epoch;      /* under which that was signed */
    uint32_t came_epoch; /* in which its changes were applied */
    uint32_t as_inc;     /* its changes are those of this incarnation; 0 = its author's own */
    enum err cause;      /* QUARANTINED */
    uint64_t server_seq; /* of all its changes; 0 = they were not applied */
    uint32_t change_count;
    int64_t received_ms;
};
/* b->copy above 0: it gets the next free one. */
enum err cstore_batch_put(struct cstore *s, const struct batch_row *b, struct diag *d) MUST_USE;
/* Another status, cause, reason, server sequence, count, receipt or epoch for a frame that is kept. */
enum err cstore_batch_settle(struct cstore *s, const struct batch_row *b, struct diag *d) MUST_USE;
/* With frame and payload. ERR_NOT_FOUND. */
enum err cstore_batch_whole(struct cstore *s, struct arena *a, uint64_t device, uint32_t inc,
                            uint64_t batch_seq, uint32_t copy, struct batch_row *out,
                            struct diag *d) MUST_USE;
/* The frame of this id that lies beside another one of its number. ERR_NOT_FOUND. */
enum err cstore_batch_beside(struct cstore *s, struct arena *a, uint64_t device, uint32_t inc,
                             uint64_t batch_seq, const unsigned char batch_id[static BATCH_ID_SIZE],
                             struct batch_row *out, struct diag *d) MUST_USE;
/* What a frame of the ledger says about the one before it. ERR_NOT_FOUND. */
enum err cstore_batch_prev(struct cstore *s, uint64_t device, uint32_t inc, uint64_t batch_seq,
                           unsigned char prev_out[static 8], struct diag *d) MUST_USE;
/* Frames and payloads of a device that are kept apart, in bytes. */
enum err cstore_apart_bytes(struct cstore *s, uint64_t device, uint64_t *bytes_out, struct diag *d) MUST_USE;
/* That a device sends what this frame holds anew, as another incarnation. Not found: ERR_NOT_FOUND. */
enum err cstore_recut_put(struct cstore *s, uint64_t device,
                          const unsigned char batch_id[static BATCH_ID_SIZE], uint32_t as_inc,
                          struct diag *d) MUST_USE;
enum err cstore_recut(struct cstore *s, uint64_t device, const unsigned char batch_id[static BATCH_ID_SIZE],
                      uint32_t *as_inc_out, struct diag *d) MUST_USE;
/* Whole frames of all devices whose changes were applied, by server sequence, those after `after`. */
enum err cstore_applied(struct cstore *s, struct arena *a, uint64_t after, uint32_t limit,
                        struct batch_row **out, uint32_t *count_out, struct diag *d) MUST_USE;
/* The centre's own changes, as payloads of batch.h. */
struct own_row {
    uint64_t seq; /* of its first change */
    struct str payload;
};
enum err cstore_own_put(struct cstore *s, const struct own_row *o, struct diag *d) MUST_USE;
enum err cstore_own(struct cstore *s, struct arena *a, uint64_t after, uint32_t limit, struct own_row **out,
                    uint32_t *count_out, struct diag *d) MUST_USE;
/* Of the ledger, without frame and payload. ERR_NOT_FOUND. */
enum err cstore_batch(struct cstore *s, struct arena *a, uint64_t device, uint32_t inc, uint64_t batch_seq,
                      struct batch_row *out, struct diag *d) MUST_USE;
/* The same, for batch_seq > since, ascending, at most `limit`. */
enum err cstore_batches(struct cstore *s, struct arena *a, uint64_t device, uint32_t inc, uint64_t since,
                        uint32_t limit, struct batch_row **out, uint32_t *count_out, struct diag *d) MUST_USE;

/* What was applied of one device, with payload, for batch_seq > since, ascending, at most `limit`. */
enum err cstore_payloads(struct cstore *s, struct arena *a, uint64_t device, uint32_t inc, uint64_t since,
                         uint32_t limit, struct batch_row **out, uint32_t *count_out,
                         struct diag *d) MUST_USE;

/* The frame came again: counted, nothing else. */
enum err cstore_batch_again(struct cstore *s, uint64_t device, uint32_t inc, uint64_t batch_seq,
                            struct diag *d) MUST_USE;

/* ---- records ---- */
struct record_row {
    struct row_id row;
    uint64_t number;         /* server row number, from 1, never used twice */
    int kind;                /* enum row_kind; 0 = its birth has not arrived */
    struct row_id parent;    /* all zero = none, or not known yet */
    struct row_id household; /* the case it belongs to; a household's own id */
    struct row_id interview;
    struct str area; /* p NULL = not known: only its author sees it */
    struct str code; /* household code, instanceID of a visit, severity of a finding ("unknown": cannot
                        judge); p NULL = none */
    uint64_t last_seq;
    uint32_t conflicts; /* fields whose values are in dispute */
    uint64_t
        deleted_seq; /* since when the row is deleted; 0 = it is not, or its answers are buried already */
    struct str packed;
};
/* ERR_NOT_FOUND. */
enum err cstore_record(struct cstore *s, struct arena *a, struct row_id row, struct record_row *out,
                       struct diag *d) MUST_USE;
/* All rows that a frame names, before they are asked for one by one: a single round trip, where that counts.
 */
enum err cstore_records_warm(struct cstore *s, const struct row_id *rows, uint32_t count,
                             struct diag *d) MUST_USE;
enum err cstore_record_put(struct cstore *s, const struct record_row *r, struct diag *d) MUST_USE;
enum err cstore_record_of_number(struct cstore *s, uint64_t number, struct row_id *row_out,
                                 struct diag *d) MUST_USE;
enum record_by {
    RECORDS_OF_KIND,
    RECORDS_OF_PARENT,
    RECORDS_OF_HOUSEHOLD,
    RECORDS_OF_INTERVIEW,
    RECORDS_IN_CONFLICT, /* key and kind are not looked at */
};
/* By row number, those after `after`, at most `limit`; `kind` 0 = every kind (not with RECORDS_OF_KIND). */
enum err cstore_records(struct cstore *s, struct arena *a, enum record_by by, struct row_id key, int kind,
                        uint64_t after, uint32_t limit, struct record_row **out, uint32_t *count_out,
                        struct diag *d) MUST_USE;
/* Only inside a transaction that is rolled back: as if no record had ever been made. */
enum err cstore_records_forget(struct cstore *s, struct diag *d) MUST_USE;
/* Every record, by row id, those after `after`. */
enum err cstore_records_all(struct cstore *s, struct arena *a, struct row_id after, uint32_t limit,
                            struct record_row **out, uint32_t *count_out, struct diag *d) MUST_USE;
/* Deleted rows that are not buried, with deleted_seq <= upto; at most `limit`. */
enum err cstore_tombstones(struct cstore *s, struct arena *a, uint64_t upto, uint32_t limit,
                           struct record_row **out, uint32_t *count_out, struct diag *d) MUST_USE;
/* Records of a kind with this code. */
enum err cstore_records_coded(struct cstore *s, struct arena *a, int kind, struct str code,
                              struct record_row **out, uint32_t *count_out, struct diag *d) MUST_USE;

/* That versions with from <= server_seq <= seq of a row became current at `seq`: what the downlink walks. */
struct touch {
    uint64_t seq, from;
    struct row_id row;
};
enum err cstore_touch_put(struct cstore *s, const struct touch *t, struct diag *d) MUST_USE;
enum err cstore_touch_drop(struct cstore *s, const struct touch *t, struct diag *d) MUST_USE;
/* Of one row, all; and of all rows, those after (seq, row), in that order, which a device with this area
 * prefix may see. */
enum err cstore_touches_of(struct cstore *s, struct arena *a, struct row_id row, struct touch **out,
                           uint32_t *count_out, struct diag *d) MUST_USE;
enum err cstore_touches(struct cstore *s, struct arena *a, uint64_t after_seq, struct row_id after_row,
                        uint64_t device, struct str area, uint32_t limit, struct touch **out,
                        uint32_t *count_out, struct diag *d) MUST_USE;

/* ---- objects, forms, field numbers ---- */
enum err cstore_object_put(struct cstore *s, const unsigned char hash[static SHA256_SIZE], struct str kind,
                           struct str bytes, int64_t now_ms, struct diag *d) MUST_USE;
enum err cstore_object(struct cstore *s, struct arena *a, const unsigned char hash[static SHA256_SIZE],
                       struct str *kind_out, struct str *bytes_out, struct diag *d) MUST_USE;
/* At most `count` bytes from `from` on, and how long the whole is. */
enum err cstore_object_range(struct cstore *s, struct arena *a, const unsigned char hash[static SHA256_SIZE],
                             uint64_t from, uint64_t count, struct str *bytes_out, uint64_t *size_out,
                             struct diag *d) MUST_USE;

struct form_row {
    unsigned char hash[SHA256_SIZE];
    struct str id, version, title, fieldmap;
    int64_t published_ms;
};
enum err cstore_form_put(struct cstore *s, const struct form_row *f, struct diag *d) MUST_USE;
enum err cstore_form(struct cstore *s, struct arena *a, const unsigned char hash[static SHA256_SIZE],
                     struct form_row *out, struct diag *d) MUST_USE;
/* Newest first; `id` "" = all. */
enum err cstore_forms(struct cstore *s, struct arena *a, struct str id, struct form_row **out,
                      uint32_t *count_out, struct diag *d) MUST_USE;
/* The number of (form id, path, type), given out on first use. `repeat`: numbers of repeats are counted
 * apart. */
enum err cstore_field_number(struct cstore *s, struct str form_id, bool repeat, struct str path, int type,
                             enum field_policy policy, uint32_t *number_out, struct diag *d) MUST_USE;
/* The path that a stable number of this form stands for. ERR_NOT_FOUND. */
enum err cstore_field_path(struct cstore *s, struct arena *a, struct str form_id, uint32_t number,
                           struct str *path_out, struct diag *d) MUST_USE;

/* ---- submissions: finalised visits as exact XML ---- */
struct submission_row {
    struct row_id visit;
    unsigned char form[SHA256_SIZE]; /* all zero = the visit's record has not said */
    struct str form_id;
    struct str instance_id;
    struct str xml;      /* as rebuilt here; "" when it could not be */
    bool xml_matches;    /* its SHA-256 is the one the device stated */
    struct str statuses; /* lines "ref<TAB>status<LF>" of answers that are not answers */
    uint64_t device;
    uint32_t inc, person;
    uint64_t final_seq, seen; /* of the finalising change */
    bool capped; /* the centre was set back once: its author may have seen more than `seen` says */
    int64_t received_ms;
};
enum err cstore_submission_put(struct cstore *s, const struct submission_row *r, struct diag *d) MUST_USE;
/* ERR_NOT_FOUND. */
enum err cstore_submission(struct cstore *s, struct arena *a, struct row_id visit, struct submission_row *out,
                           struct diag *d) MUST_USE;
/* Those of an interview's visits whose XML does not match yet, or whose findings were still on their way,
 * oldest first, at most 50. */
enum err cstore_submissions_open(struct cstore *s, struct arena *a, struct row_id interview,
                                 struct submission_row **out, uint32_t *count_out, struct diag *d) MUST_USE;
/* Every submission by visit, those after `after`. */
enum err cstore_submissions_all(struct cstore *s, struct arena *a, struct row_id after, uint32_t limit,
                                struct submission_row **out, uint32_t *count_out, struct diag *d) MUST_USE;
/* Of a form id, newest first; `before` (received_ms, visit) continues a walk, NULL begins it. With xml: few
 * at a time. */
enum err cstore_submissions(struct cstore *s, struct arena *a, struct str form_id,
                            const struct submission_row *before, uint32_t limit, struct submission_row **out,
                            uint32_t *count_out, struct diag *d) MUST_USE;

/* Whether the findings of a visit follow from its answers (judging.c). `said`, `found`: the handheld's and
 * the centre's, when they differ. */
enum judged { JUDGED_SAME = 1, JUDGED_DIFFERS, JUDGED_NOT, JUDGED_WAITS };
struct judged_row {
    struct row_id visit;
    enum judged verdict;
    int64_t at_ms;
    struct str why, said, found;
};
enum err cstore_judged_put(struct cstore *s, const struct judged_row *j, struct diag *d) MUST_USE;
/* By visit, those after `after`; `verdict` 0 = all. */
enum err cstore_judged(struct cstore *s, struct arena *a, struct row_id after, enum judged verdict,
                       uint32_t limit, struct judged_row **out, uint32_t *count_out, struct diag *d) MUST_USE;

/* ---- counts and what stands apart ---- */
struct centre_counts {
    uint64_t devices, devices_revoked, households, interviews, visits, submissions, submissions_differing;
    uint64_t judged_same, judged_differing, judged_not;
    uint64_t findings, findings_red, findings_yellow, findings_blue, findings_unknown;
    uint64_t frames, frames_conflicts, frames_quarantined, clones, changes, conflicts;
    uint64_t frame_bytes, objects, object_bytes, duplicates;
};
enum err cstore_counts(struct cstore *s, struct centre_counts *out, struct diag *d) MUST_USE;
struct quarantined {
    struct batch_row batch; /* without frame, payload and receipt */
    uint64_t bytes;
};
enum err cstore_quarantine(struct cstore *s, struct arena *a, struct quarantined **out, uint32_t *count_out,
                           struct diag *d) MUST_USE;
enum err cstore_check(struct cstore *s, struct diag *d) MUST_USE;

#endif
