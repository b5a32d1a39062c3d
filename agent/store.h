/* The handheld's store: the one place where an answer becomes a change.
 *
 * One sealed database holds who this device is, the rows it knows (households, interviews, members, visits),
 * their merged state, the log of its own changes, and the frames cut from it. Objects that are public (forms,
 * lists, rule packs) lie beside it in a plain database, by hash.
 *
 * Always true:
 *   - a call that says ERR_OK has committed; nothing is told to a person before that;
 *   - an answer and the change that reports it are one row: the log is the draft, so they cannot differ;
 *   - an earlier visit's values stay as they were until the visit that changes them is finalised: `prev`
 * costs nothing;
 *   - a frame is frozen before its first byte leaves, and forgotten only with a verified receipt;
 *   - drafts never travel; finalising makes all changes of a visit travel together;
 *   - several processes may have one store open: what one of them finalised or enrolled, the others notice
 *     before they write.
 */
#ifndef DOORSTEP_AGENT_STORE_H
#define DOORSTEP_AGENT_STORE_H

#include "forms/entities.h"
#include "forms/migrate.h"
#include "platform/seam.h"
#include "risk/judge.h"
#include "sync/client.h"
#include "sync/fieldmap.h"
#include "sync/incarnation.h"

struct store;

struct zone;

/* `dir` is made when it is not there. A key file that is missing beside an existing database is ERR_DENIED,
 * never a new key. `zone`: in which times are written, NULL = UTC; lives as long as the store. */
enum err store_open(const char *dir, const struct seam *seam, const struct zone *zone,
                    struct store **store_out, struct diag *d) MUST_USE;
void store_close(struct store *s); /* accepts NULL */
/* The county's time zone as it came down, "" = none has; and the zone in which this store tells times. */
enum err store_county_zone(struct store *s, struct arena *a, struct str *name_out, struct diag *d) MUST_USE;
void store_zone(struct store *s, const struct zone *zone);
enum err store_check(struct store *s, struct diag *d) MUST_USE; /* integrity of both databases */

/* Who this device is. Texts live until the next store_enrol, store_refresh, or first write after another
 * process enrolled. */
struct identity {
    bool enrolled;
    struct enrol_reply
        by; /* device, inc, person, certificate ... as the centre said; token is the newest one */
    struct str url;
    struct str keyset; /* its signed JSON */
    struct key_pair_x25519 seal;
    struct key_pair_p256 sign;
    uint64_t cursor;
    uint32_t epoch;
    bool retell; /* the centre was set back: it tells everything again, from `told` on */
    uint64_t told;
    bool unsettled;           /* something of a lost history waits for a draft to be finished */
    const struct heir *heirs; /* what it goes on from: earlier incarnations of this device */
    uint32_t heir_count;
    uint64_t upto;   /* of a next one: the last change that the one before delivered */
    struct str over; /* why this incarnation is over: "copy", "restored", "revoked"; "" = it is not */
};
const struct identity *store_identity(const struct store *s);
/* Looks again: another process may have synced, renewed the token or enrolled. */
enum err store_refresh(struct store *s, struct diag *d) MUST_USE;
/* A device id as people and other programs read it: 16 hex digits. */
struct str device_text(struct arena *a, uint64_t device);
/* Keeps the keys of an identity before the centre is asked: a card that takes nothing must not cost the code
 * that can be used once. */
enum err store_enrol_prepare(struct store *s, const struct identity *id, struct diag *d) MUST_USE;
/* The keys for another incarnation, kept before they are asked with: the same ones until it is granted. */
enum err store_next_keys(struct store *s, struct identity *id, struct diag *d) MUST_USE;
/* Finished visits without a receipt, by sequence, and the last sequence that has one. */
enum err store_undelivered(struct store *s, struct arena *a, struct incarnation_visit **list_out,
                           uint32_t *count_out, uint64_t *upto_out, struct diag *d) MUST_USE;
/* Frames that were frozen and never taken: they are cut anew under another incarnation. */
struct frozen {
    uint64_t batch_seq;
    unsigned char batch_id[BATCH_ID_SIZE];
};
enum err store_frozen_lost(struct store *s, struct arena *a, struct frozen **list_out, uint32_t *count_out,
                           struct diag *d) MUST_USE;
/* Takes the identity, and with it everything that was captured before: rows made so far become this device's.
 * A device that is enrolled takes another one only when its incarnation is over; what is not at the centre
 * then goes over to it.
 */
enum err store_enrol(struct store *s, const struct identity *id, struct diag *d) MUST_USE;

/* Objects by hash. Put checks the hash. */
enum err store_object_put(struct store *s, const unsigned char hash[static SHA256_SIZE], struct str bytes,
                          struct diag *d) MUST_USE;
enum err store_object_get(struct store *s, const unsigned char hash[static SHA256_SIZE], struct buf *out,
                          struct diag *d) MUST_USE;
/* The newest compression dictionary that the centre announced and that is held here; id 0 = none. */
enum err store_dict(struct store *s, struct arena *a, struct frame_dict *out, struct diag *d) MUST_USE;
/* The same piece by piece (db_blob_read), for what is larger than memory should hold. */
struct db_blob;
enum err store_object_open(struct store *s, const unsigned char hash[static SHA256_SIZE],
                           struct db_blob **blob_out, size_t *size_out, struct diag *d) MUST_USE;
/* The next object the catalogue names and this device lacks, other than `refused`. *any_out false: none. */
enum err store_object_wanted(struct store *s, const unsigned char (*refused)[SHA256_SIZE],
                             uint32_t refused_count, unsigned char hash_out[static SHA256_SIZE],
                             uint64_t *size_out, bool *any_out, struct diag *d) MUST_USE;

/* What the centre has published and not retired, newest first within (kind, id). */
struct published {
    struct str kind, id, version, title, fieldmap;
    unsigned char hash[SHA256_SIZE];
    uint64_t size;
    bool held;
};
enum err store_published(struct store *s, struct arena *a, struct published **list_out, uint32_t *count_out,
                         struct diag *d) MUST_USE;

/* That very version, retired ones too: what a draft was begun with. ERR_NOT_FOUND without a sentence. */
enum err store_published_by_hash(struct store *s, struct arena *a,
                                 const unsigned char hash[static SHA256_SIZE], struct published *out,
                                 struct diag *d) MUST_USE;

/* The newest other version of the same object that is here whole. ERR_NOT_FOUND without a sentence. */
enum err store_published_before(struct store *s, struct arena *a,
                                const unsigned char hash[static SHA256_SIZE], struct published *out,
                                struct diag *d) MUST_USE;

struct household {
    int64_t key;
    struct str code, area, name, address, category;
    struct str last_visit, last_level; /* of the newest finalised visit this device knows, "" = none */
    bool draft;
};
enum err store_households(struct store *s, struct arena *a, struct household **list_out, uint32_t *count_out,
                          struct diag *d) MUST_USE;
enum err store_household(struct store *s, struct arena *a, struct str code, struct household *out,
                         struct diag *d) MUST_USE;
/* The departments' values about a household as one JSON object ("" = none) and the newest as-of date. */
enum err store_department(struct store *s, struct arena *a, int64_t household, struct str *json_out,
                          struct str *as_of_out, struct diag *d) MUST_USE;

/* A visit under way. */
struct visit_start {
    const struct form *form;
    unsigned char form_hash[SHA256_SIZE];
    const struct fieldmap *map;
    int64_t household; /* 0 = none: every visit is an interview of its own */
    bool fresh;        /* without household: begin a new interview even when a draft is there */
    /* What was sent is corrected: a visit of its own, VISIT_CORRECTION, on the interview as it is. */
    bool edit;
    int64_t interview; /* without household: the interview that is corrected */
    struct str type, language;
    struct str unknown; /* VISIT_UNKNOWN of a correction, "" = nothing */
};
#define VISIT_CORRECTION "correction"
struct visit {
    int64_t key;           /* row of the visit; 0 until something was saved */
    int64_t interview;     /* row of the interview; 0 until something was saved */
    bool resumed;          /* a draft was there */
    bool revisit;          /* the interview was finalised before: earlier answers are carried */
    struct str prev_ended; /* of the visit before, ISO, "" = none */
    struct str started;
    struct str place;     /* where the person stopped (store_visit_place), "" = nowhere */
    bool edit;            /* a correction of what was sent; then !revisit, and prev is empty */
    struct str unknown;   /* VISIT_UNKNOWN of a draft */
    struct str judgement; /* the person's own, given before any finding was shown; "" = not yet */
    uint64_t log_bytes;   /* of the log that the draft has so far */
    /* Answers to open the session with: the interview as it is now, drafts included. */
    struct saved_interview now;
    /* As it was before this visit; empty when !revisit. */
    struct saved_interview prev;
    uint64_t row_key_next;  /* for the session */
    struct str instance_id; /* for a new visit: made of the id its row will have; "" = none was set aside */
    /* private */
    struct row_id reserved;
    const struct visit_start *start;
    struct visit_rows *rows;
    struct arena *arena;
};
/* The form version that a draft was begun with, if there is a draft for this form id: it goes on with that
 * version. */
enum err store_draft_form(struct store *s, struct str form_id, int64_t household,
                          unsigned char hash_out[static SHA256_SIZE], bool *any_out, struct diag *d) MUST_USE;
/* Sets aside the id that the visit's row will have, so that the submission's instanceID can be made of it:
 * such a name travels for nothing. Where that fails (a full card, not enrolled yet) the name is drawn as
 * ever. */
void store_visit_reserve(struct store *s, struct visit *v);
/* Reads only: a visit that is opened and left without an answer never was. */
enum err store_visit_open(struct store *s, struct arena *a, const struct visit_start *start,
                          struct visit *visit_out, struct diag *d) MUST_USE;
/* What is saved beside answers, in their transaction. */
struct visit_comment {
    uint64_t key; /* session key of the row, and the field in it */
    uint32_t field;
    struct str place, text;
};
struct visit_beside {
    struct str log; /* further rows of audit.csv */
    const struct visit_comment *comments;
    uint32_t comment_count;
};
/* Commits what the session says has changed, and with the first changes the visit itself. Only then may a
 * screen say "saved". `beside` may be NULL. ERR_STATE when another window finalised or began this visit
 * meanwhile. */
enum err store_visit_save(struct store *s, struct visit *v, const struct session_change *changes,
                          uint32_t count, const struct visit_beside *beside, struct diag *d) MUST_USE;
/* The rows of the log that a draft has so far are appended. */
enum err store_visit_log(struct store *s, const struct visit *v, struct buf *out, struct diag *d) MUST_USE;
/* Notes where the person is, so that a draft opens there again. */
enum err store_visit_place(struct store *s, struct visit *v, struct str place, struct diag *d) MUST_USE;

/* Keeps the person's own judgement with the draft, before anything that the rules found is shown; a later one
 * stands beside it in the log. Lives in `v` until it is closed. */
enum err store_visit_judged(struct store *s, struct visit *v, struct str judgement, struct diag *d) MUST_USE;

/* A file of a finalised visit: "submission.xml", or what of it is sealed. */
struct visit_file {
    struct str name, bytes;
};
struct visit_finish {
    /* What was not saved yet; the rest of the log is in `log`. */
    const struct session_change *changes;
    uint32_t change_count;
    const struct visit_comment *comments;
    uint32_t comment_count;
    unsigned char xml_hash[SHA256_SIZE];
    struct str instance_id, judgement;
    int64_t ended_ms; /* what was judged, was at this moment; 0 = now */
    bool judged;
    unsigned char pack_hash[SHA256_SIZE];
    struct str dept_mark;                /* which departmental values it was judged by, "" = none (dept.h) */
    const struct judgement *findings;    /* when judged */
    const struct entity_delta *entities; /* those without a fault are kept */
    uint32_t entity_count;
    struct str log; /* audit.csv, "" = the form wants none */
    const struct visit_file *files;
    uint32_t file_count;
};
enum err store_visit_finalise(struct store *s, struct visit *v, const struct visit_finish *finish,
                              struct diag *d) MUST_USE;

/* A draft goes over to a newer version of its form, whole or not at all: `v` was opened with that version,
 * `changes` make of what it then shows what the migration wants. `aside`: all that has no place now. */
struct visit_migration {
    unsigned char form_hash[SHA256_SIZE];
    const struct session_change *changes;
    uint32_t count;
    const struct set_aside *aside;
    uint32_t aside_count;
};
enum err store_visit_migrate(struct store *s, struct visit *v, const struct visit_migration *m,
                             struct diag *d) MUST_USE;
/* What earlier migrations of this draft set aside. */
enum err store_visit_aside(struct store *s, struct arena *a, const struct visit *v,
                           struct set_aside **list_out, uint32_t *count_out, struct diag *d) MUST_USE;

/* A finalised visit of this device or another. */
struct finished_visit {
    int64_t key, interview, household;
    struct str household_code; /* "" = none */
    struct str instance_id, ended, type, log, unknown;
    unsigned char form_hash[SHA256_SIZE];
    bool files; /* its bytes are here: it was finalised on this device */
};
/* Those that were finalised last come last. */
enum err store_finished(struct store *s, struct arena *a, struct finished_visit **list_out,
                        uint32_t *count_out, struct diag *d) MUST_USE;
/* By instanceID, or by key with `instance_id` p NULL. ERR_NOT_FOUND without a sentence. */
enum err store_finished_visit(struct store *s, struct arena *a, struct str instance_id, int64_t key,
                              struct finished_visit *out, struct diag *d) MUST_USE;
/* The newest visit with this form to a household, or of that interview. ERR_NOT_FOUND without a sentence. */
enum err store_finished_newest(struct store *s, struct arena *a, struct str form_id, int64_t household,
                               int64_t interview, struct finished_visit *out, struct diag *d) MUST_USE;
enum err store_visit_files(struct store *s, struct arena *a, int64_t visit, struct visit_file **files_out,
                           uint32_t *count_out, struct diag *d) MUST_USE;

/* What visits said about the entities of a list, oldest first. */
struct entity_change {
    struct str id, action, label, values, base_version, branch_id;
    int64_t hlc;
    struct row_id row;
};
enum err store_entities(struct store *s, struct arena *a, struct str dataset, struct entity_change **list_out,
                        uint32_t *count_out, struct diag *d) MUST_USE;

/* Sync. Cut freezes what is finalised into frames; the rest serves sync/client.h. */
enum err store_cut(struct store *s, uint32_t *frames_out, struct diag *d) MUST_USE;
/* The frame without receipt that goes after batch `after` (0 = the first): urgent ones, then the others, each
 * oldest first. *any_out false: none. */
enum err store_frame_next(struct store *s, uint64_t after, uint64_t *batch_seq_out, struct buf *frame_out,
                          bool *any_out, struct diag *d) MUST_USE;
/* Before the first byte of a frame leaves. */
enum err store_frame_sent(struct store *s, uint64_t batch_seq, struct diag *d) MUST_USE;
/* The oldest frame that was sent and has no receipt; 0 when there is none, or when asking for the receipt
 * would cost more than sending it again. */
enum err store_frame_unsure(struct store *s, uint64_t *batch_seq_out, struct diag *d) MUST_USE;
/* Of a STEP_RECEIPT: receipts, server sequences of what was stored, token, cursor. A batch that the centre
 * could not read for its row numbers becomes uncut again: *cut_again_out. */
enum err store_receipt(struct store *s, const struct step *step, bool *cut_again_out,
                       struct diag *d) MUST_USE;
/* Of a STEP_DOWN. */
enum err store_down(struct store *s, const struct step *step, struct diag *d) MUST_USE;

/* Answers in dispute, and what was decided over such. */
struct contested_value {
    struct str value; /* p NULL = there is no answer */
    bool removed;     /* the row was */
    bool own, disputes;
    uint8_t status;
    uint32_t person;
    uint8_t role;
    int64_t at_ms;
};
struct contested {
    int64_t row;
    uint32_t field;
    enum row_kind kind;
    struct str household;           /* code, "" = none */
    unsigned char form[8];          /* of an interview's rows: SHA-256(form id)[0..8) */
    bool decided;                   /* then values[0] is the decision, the others what it was made over */
    struct contested_value *values; /* the first is shown */
    uint32_t count;
};
enum err store_contested(struct store *s, struct arena *a, struct contested **list_out, uint32_t *count_out,
                         struct diag *d) MUST_USE;
/* Decides as this device's person: a change like any other, by somebody who has seen all values that are
 * here. value p NULL: there is no answer. ERR_DENIED for an answer that only the county may replace. */
enum err store_resolve(struct store *s, int64_t row, uint32_t field, struct str value,
                       struct diag *d) MUST_USE;

struct store_status {
    uint32_t conflicts, decisions;
    uint32_t households, drafts, finalised_unsent, frames_waiting, frames_receipted, frames_quarantined,
        objects_missing;
    uint64_t bytes_waiting;
    uint64_t changes;
    struct str last_contact; /* ISO, "" = never */
    int64_t clock_off_ms; /* this device's clock minus the centre's at the last delivery; 0 = near enough */
};
enum err store_waiting(struct store *s, uint64_t *frames_out, uint64_t *bytes_out, struct diag *d) MUST_USE;
enum err store_status(struct store *s, struct arena *a, struct store_status *out, struct diag *d) MUST_USE;

/* The XML of the newest finished interview of a form, for jr://instance/last-saved. ERR_NOT_FOUND without a
 * sentence when there is none. */
enum err store_last_saved(struct store *s, struct arena *a, struct str form_id, struct buf *out,
                          struct diag *d) MUST_USE;
enum err store_last_saved_put(struct store *s, struct arena *a, struct str form_id, struct str xml,
                              struct diag *d) MUST_USE;
/* Where the plain database is: other public files lie beside it. */
struct str store_public_path(const struct store *s);

#endif
