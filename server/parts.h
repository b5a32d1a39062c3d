/* What the files of server/ share among themselves: the open server, people and tokens, cases, accepting
 * frames, the downlink. Routes and commands are on top of it.
 */
#ifndef DOORSTEP_SERVER_PARTS_H
#define DOORSTEP_SERVER_PARTS_H

#include <pthread.h>

#include "forms/session.h"
#include "platform/base/csv.h"
#include "risk/judge.h"
#include "server/numbers.h"
#include "server/server.h"
#include "sync/client.h"
#include "sync/fieldmap.h"
#include "sync/ingest.h"
#include "sync/merge.h"

/* ---- compiled forms: kept while the server lives, used only by whoever holds the write turn ---- */
#define FORM_CACHE_MAX 8
/* What the days of clocks are read from, kept while rows are worked through (lines.c). */
struct lines_basis {
    struct arena memory;
    const struct pack *pack; /* NULL = none that can be read */
    unsigned char hash[SHA256_SIZE];
    bool looked;
};
void lines_basis_free(struct lines_basis *b);
struct cached_form {
    unsigned char hash[SHA256_SIZE];
    struct arena memory;
    const struct form *form;
    struct fieldmap map;
    struct form_row about;
    struct arena pack_memory;
    const struct pack *pack; /* the last one that was needed for it (judging.c); NULL = none */
    unsigned char pack_hash[SHA256_SIZE];
    uint64_t used; /* larger = more recently */
};
struct form_cache {
    struct cached_form at[FORM_CACHE_MAX];
    uint32_t count;
    uint64_t clock;
    struct lines_basis lines;
};
/* ERR_NOT_FOUND when no such form was published here. */
enum err form_cache_get(struct form_cache *c, struct cstore *st, const unsigned char hash[static SHA256_SIZE],
                        const struct cached_form **out, struct diag *d) MUST_USE;
void form_cache_free(struct form_cache *c);

#define SRV_CONNECTIONS_MAX 16

struct server {
    const struct seam *seam;
    struct arena memory;
    struct centre centre;
    int64_t token_life_ms;
    const struct zone *zone; /* where the county is */
    pthread_mutex_t lock;    /* of the leases below */
    pthread_cond_t returned;
    pthread_mutex_t write_turn; /* SQLite has one writer: waiting here is fairer than polling its lock */
    struct cstore *stores[SRV_CONNECTIONS_MAX];
    bool leased[SRV_CONNECTIONS_MAX];
    uint32_t store_count;
    struct form_cache forms; /* under write_turn */
    const char *dir;
    int64_t marked_ms;    /* when the marker was written last; under lock */
    int64_t enrol_minute; /* of mono_ms, in which enrol_wrong were counted; under lock */
    uint32_t enrol_wrong;
    pthread_mutex_t sign_in_turn; /* one password is stretched at a time (accounts.c) */
    uint32_t password_rounds;
    struct numbers numbers;
    struct refusals *refusals; /* under lock */
    int64_t opened_ms;         /* of mono_ms */
};

int64_t srv_now_ms(const struct server *s);

/* ---- people (people.c) ---- */
/* Numbers are for ever: changes carry them. */
enum role {
    ROLE_HOUSEHOLD = 1,
    ROLE_ENUMERATOR = 2,
    ROLE_CADRE = 3,
    ROLE_SUPERVISOR = 4,
    ROLE_COUNTY = 5,
    ROLE_DEPARTMENT = 6,
    ROLE_ANALYST = 7,
    ROLE_ADMIN = 8
};
const char *role_name(uint8_t role); /* "" when unknown */
uint8_t role_of(struct str name);    /* 0 when unknown */

/* ERR_USAGE when this cannot be an area's code; "" is the whole county. */
enum err area_code_check(struct str area, struct diag *d) MUST_USE;

#define BEARER_TEXT_MAX 64
enum bearer_state { BEARER_NONE, BEARER_GOOD, BEARER_EXPIRED };
struct bearer {
    enum bearer_state state;
    uint64_t device;
    uint32_t inc;
    int64_t until_ms;
};
/* Text that proves (device, incarnation) until then; nothing is stored. */
enum err bearer_write(const unsigned char secret[static 32], uint64_t device, uint32_t inc, int64_t until_ms,
                      char out[static BEARER_TEXT_MAX]) MUST_USE;
/* From the value of an Authorization header: "Bearer TEXT". Anything that is not ours is BEARER_NONE. */
enum err bearer_read(const unsigned char secret[static 32], struct str header, int64_t now_ms,
                     struct bearer *out) MUST_USE;

struct enrol_ticket {
    uint64_t token60;
    struct person person;
    int64_t until_ms;
};
enum err people_ticket(struct cstore *st, const struct centre *c, const struct seam *seam, struct str name,
                       uint8_t role, struct str area, struct enrol_ticket *out, struct diag *d) MUST_USE;
/* A handheld's request: gives the signed reply. The same request again gets the same identity (its reply was
 * lost). */
enum err people_enrol(struct server *s, struct cstore *st, struct arena *a, struct str body,
                      struct buf *reply, struct diag *d) MUST_USE;
/* A handheld's request for another incarnation (sync/incarnation.h), a frame: gives the signed reply of an
 * enrolment. The same request again gets the same incarnation. ERR_STATE: a frame that it counts as lost is
 * stored here; it must ask for its receipts first. */
enum err people_incarnation(struct server *s, struct cstore *st, struct arena *a, struct str frame,
                            struct buf *reply, struct diag *d) MUST_USE;
/* The person of this name, role and area, made when there is none; inside a transaction. */
enum err people_take(struct cstore *st, struct str name, uint8_t role, struct str area, int64_t now_ms,
                     struct person *out, struct diag *d) MUST_USE;
/* Revoked, and told at its next contact to erase what has receipts (that is final). ERR_NOT_FOUND. */
enum err people_lost(struct cstore *st, uint64_t device, int64_t now_ms, struct diag *d) MUST_USE;
/* Every incarnation of the device. ERR_NOT_FOUND. */
enum err people_revoke(struct cstore *st, uint64_t device, int64_t now_ms, struct diag *d) MUST_USE;

/* ---- cases: what changes make of records (cases.c) ---- */
struct case_author {
    uint64_t device; /* 0 = the centre */
    uint32_t inc;
};
struct cases {
    struct cstore *st;
    struct arena *a;
    struct heir *heirs; /* what the author inherited from earlier incarnations */
    uint32_t heir_count;
    int64_t now_ms;                /* of audit rows */
    bool conflict;                 /* out: a field now has versions that differ */
    VEC(struct row_id) interviews; /* out: those that were touched, each once */
    VEC(struct row_id) roots;      /* out: households, or interviews about nobody, that were touched */
    struct lines_basis *basis;     /* NULL = the pack is looked up for each edit */
};
/* Lines of everything in `roots`, made anew: after cases_apply, in the same transaction. cases_edit does it
 * itself. */
enum err cases_lines(struct cases *c, struct diag *d) MUST_USE;
/* What lists show of this household, or of an interview about nobody (lines.c). */
enum err lines_refresh(struct cstore *st, struct row_id root, struct lines_basis *basis,
                       struct diag *d) MUST_USE;
/* Changes of one author, in a transaction. All changes of a frame have one server sequence: they become
 * visible together, no cursor ever stands between. (Rows that had waited for their parent are told after it,
 * under sequences of their own.) The centre's own changes carry theirs as their `seq`, up
 * to `server_seq`. ERR_CORRUPT, ERR_SYNTAX: the changes are at fault, and nothing of this transaction may be
 * committed. */
enum err cases_apply(struct cases *c, struct case_author author, const struct change *changes,
                     const int64_t *hlc_effective, uint32_t count, uint64_t server_seq,
                     struct diag *d) MUST_USE;

/* The centre's own edits: a new row (when `birth` is given) or an existing one, and fields; values with p
 * NULL are left as they are, and so are values that would not change. `resolve`: a decision, made even when
 * it confirms what is shown. */
struct case_field {
    uint32_t field;
    struct str value;
};
struct case_edit {
    struct row_id row; /* in: existing row; out: the new one */
    const struct row_birth *birth;
    const struct case_field *fields;
    uint32_t field_count;
    bool resolve;
    bool clear, remove; /* of a decision: that there is no answer; that the row is removed */
    uint8_t status;     /* of a decision */
    uint32_t person;    /* who: 0 = the centre itself */
    uint8_t role;
    bool changed; /* out */
};
enum err cases_edit(struct cases *c, uint32_t epoch, int64_t now_ms, struct case_edit *edit,
                    struct diag *d) MUST_USE;
static inline bool row_id_none(struct row_id id)
{
    return id.device == 0 && id.inc == 0 && id.counter == 0;
}

/* ---- submissions rebuilt from records (rebuild.c) ---- */
/* Lists that forms read, kept while many interviews are opened one after the other. */
struct resource {
    struct str uri, bytes;
};
struct resource_cache {
    struct arena memory;
    VEC(struct resource) list;
};
struct rebuild {
    struct cstore *st;
    struct arena *a; /* scratch */
    struct form_cache *forms;
    const struct seam *seam;
    struct resource_cache *resources; /* NULL = the newest is looked up each time */
    /* The frame that is being accepted: its changes are not in the ledger yet. */
    const struct ingest *frame;
    struct case_author author; /* of its changes */
    uint64_t server_seq;
    bool cut; /* its author had seen what the centre has lost */
    const struct batch_rows *rows;
    uint32_t rows_left; /* of interviews that may still be read for this frame: it holds the write turn */
};
#define REBUILD_ROWS_MAX 60000
/* Notes that a visit was finalised by this change. */
enum err rebuild_note(struct rebuild *r, const struct change *finalise, int64_t now_ms,
                      struct diag *d) MUST_USE;
/* Visits of this interview that are finalised, whose XML is not yet proven, and to which this frame may have
 * brought something: rebuilds, compares, keeps. Only the store's own failures are errors: a visit that cannot
 * be rebuilt is kept as differing. */
enum err rebuild_interview(struct rebuild *r, struct row_id interview, struct diag *d) MUST_USE;

/* ---- visits judged again (judging.c) ---- */
/* What a visit was judged by besides its answers, as its author had seen it. */
struct judging_basis {
    bool wanted; /* else there is nothing to compare, or it was noted why it cannot be */
    const struct pack *pack;
    struct judge_input in; /* the caller adds `now`, and `prev` when `before` is set */
    struct str before;     /* when the visit before ended, "" = there was none */
    struct row_id visit_before;
};
/* Two steps, for a visit whose document is proven; in between, sessions are opened. */
enum err judging_begin(struct rebuild *r, const struct record *visit, struct row_id interview,
                       const struct submission_row *s, struct judging_basis *b, struct diag *d) MUST_USE;
enum err judging_end(struct rebuild *r, const struct record *visit, const struct submission_row *s,
                     struct judging_basis *b, struct diag *d) MUST_USE;

/* The interview as the records are now, for judging; `host` lives as long as the session. *since_out: whether
 * anything was said of it that the author of visit `since` had not seen at the finish. */
enum err interview_open_now(struct rebuild *r, const struct cached_form *f, struct row_id interview,
                            const struct submission_row *since, bool *since_out, struct session_host *host,
                            struct session **out, struct diag *d) MUST_USE;
/* As it was when this visit was finalised, from its document; rows have the keys of interview_open_now.
 * ERR_STATE: the document has other rows than the records. */
enum err interview_open_visit(struct rebuild *r, const struct cached_form *f, struct row_id interview,
                              const struct submission_row *s, struct session_host *host, struct session **out,
                              struct diag *d) MUST_USE;
/* As its author had it before the visit began with change `first_seq`, from the ledger: slow. */
enum err interview_open_before(struct rebuild *r, const struct cached_form *f, struct row_id interview,
                               const struct submission_row *s, uint64_t first_seq, struct session_host *host,
                               struct session **out, struct diag *d) MUST_USE;
/* Every interview that was judged at the door, judged again as it is now, by the pack of its newest visit and
 * on that visit's day. Compared with what is stored where nothing but that visit has a say: one visit, no
 * newer values of departments. Reads only. */
struct desk;
struct replay_result {
    uint64_t judged, same, differing, not_compared,
        left_out;      /* left_out: no pack or form of theirs is here */
    uint64_t revisits; /* of those judged: compared with a visit before */
    uint64_t red, yellow, blue, unknown, none;
};
enum err judging_replay(struct desk *k, struct replay_result *out, struct diag *d) MUST_USE;

/* ---- what is published (publish.c) ---- */
struct published {
    struct row_id row;
    struct str kind, id, version, title, state;
    struct str areas; /* prefixes between spaces, of those that have it before the others; "" = all */
    unsigned char hash[SHA256_SIZE];
};
/* Everything that was ever published, oldest first. */
enum err published_all(struct cstore *st, struct arena *a, struct published **out, uint32_t *count_out,
                       struct diag *d) MUST_USE;
/* The newest live one. ERR_NOT_FOUND. */
enum err published_live(struct cstore *st, struct arena *a, const char *kind, struct str id,
                        struct published *out, struct diag *d) MUST_USE;

/* ---- what people at the centre do (publish.c, import.c, export.c, list.c) ----
 * Each works on an open store inside its own transaction, and tells what it found as lines for people:
 * "error: ...", "warning: ...". */
struct desk {
    const struct seam *seam;
    struct cstore *st;
    struct arena *a;
    uint32_t epoch;
    struct buf *lines;
    void (*progress)(void *self, uint64_t done); /* NULL = nobody watches; called once per row */
    void *self;
    const struct zone *zone; /* NULL = not looked up yet: county_zone() */
};
/* Where the county is, as `doorstepd zone` says; the machine's zone where nobody said. Days of clocks, dates
 * of lists and what is late follow from it, here and on handhelds. */
const struct zone *county_zone(struct desk *k);
void desk_progress(struct desk *k, uint64_t done);
void desk_line(struct desk *k, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct publish_result {
    struct str kind, id, version;
    unsigned char hash[SHA256_SIZE];
    uint32_t fields, repeats;
    bool changed;        /* false: this very object was live already */
    struct str own_list; /* a list inside a workbook (external_choices), published with it; "" = none */
};
/* kind: "form", "list", "pack", "dictionary". `id`: "" = the object's own, or `file_name` for a list.
 * ERR_SYNTAX when the object has errors: all of them are told. ERR_EXISTS when the same version was published
 * with other contents. */
enum err publish(struct desk *k, struct str kind, struct str id, struct str file_name, struct str bytes,
                 struct publish_result *out, struct diag *d) MUST_USE;

/* The same for handhelds of these areas only (prefixes between spaces); what was live stays so for the
 * others. */
enum err publish_in(struct desk *k, struct str kind, struct str id, struct str file_name, struct str bytes,
                    struct str areas, struct publish_result *out, struct diag *d) MUST_USE;
/* Everything but the publishing. */
enum err publish_check(struct desk *k, struct str kind, struct str id, struct str file_name, struct str bytes,
                       struct publish_result *out, struct diag *d) MUST_USE;

/* Where a table comes from: a text, or piece by piece (posix_stream.h). */
struct import_source {
    struct str text; /* when `read` is NULL */
    void *self;
    enum err (*read)(void *self, char *out, size_t n, size_t *got_out, struct diag *d);
};
/* One mistake: where, what stands there, what to do about it. */
struct import_error {
    uint32_t line, column; /* as in the file, from 1; column 0 = the row */
    struct str name;       /* of the column, as the file calls it; "" = not known */
    struct str content, remedy;
};
struct import_ask {
    struct import_source from;
    struct str mapping; /* text of a mapping (table_in.h); "" = columns are called as we call them */
    bool dry_run;       /* nothing is written, all is checked */
    bool only_good;     /* rows with mistakes are left out, the others are written */
    void *self;
    void (*error)(void *self, const struct import_error *e); /* NULL = mistakes are only told as lines */
};
enum import_what { IMPORT_HOUSEHOLDS, IMPORT_DEPARTMENTS, IMPORT_LEADS };
struct import_result {
    uint64_t rows, added, changed, same;
    uint64_t bad; /* rows with mistakes */
};
/* Departments and leads from CSV; JSON goes to import_departments and import_leads. ERR_SYNTAX: there were
 * mistakes, and nothing was written. The same file again changes nothing. */
enum err import_table(struct desk *k, enum import_what what, const struct import_ask *ask,
                      struct import_result *out, struct diag *d) MUST_USE;
/* Nothing is imported when there is an error; all errors are told by row and column. `dry_run`: nothing is
 * imported, all is checked. */
enum err import_households(struct desk *k, struct str csv, bool dry_run, struct import_result *out,
                           struct diag *d) MUST_USE;
/* CSV (household, source, as_of, then one column per value) or JSON {"records":[{household, source, as_of,
 * values}]}. */
enum err import_departments(struct desk *k, struct str text, bool dry_run, struct import_result *out,
                            struct diag *d) MUST_USE;
/* Departments' alerts as leads: CSV (household, source, opened, [deadline], then one column per indicator) or
 * JSON
 * {"records":[{household, source, opened, deadline, indicators}]}. */
enum err import_leads(struct desk *k, struct str text, bool dry_run, struct import_result *out,
                      struct diag *d) MUST_USE;
/* `due`: ISO date or "". */
enum err assign_household(struct desk *k, struct str code, uint32_t person, struct str due, bool *changed_out,
                          struct diag *d) MUST_USE;

/* The same for one household, inside a transaction. */
enum err assign_row(struct desk *k, struct row_id household, uint32_t person, struct str due, int64_t now,
                    struct lines_basis *basis, bool *changed_out, struct diag *d) MUST_USE;

/* Where an export goes: one file is open at a time per number 0..EXPORT_FILES_MAX-1. A name may lie in a
 * folder ("media/x.jpg"). */
#define EXPORT_FILES_MAX 64
struct export_sink {
    void *self;
    enum err (*begin)(void *self, uint32_t file, struct str name, struct diag *d);
    enum err (*write)(void *self, uint32_t file, struct str bytes, struct diag *d);
    enum err (*end)(void *self, uint32_t file, struct diag *d);
    bool tables_only; /* photos and logs of interviews are not even read */
};
struct export_result {
    uint64_t submissions, rows, files, bytes, left_out; /* left_out: without XML, told as warnings */
    uint64_t attachments, attachments_missing;          /* in media/; those that have not arrived whole */
};
enum err export_csv(struct desk *k, struct str form_id, const struct export_sink *sink,
                    struct export_result *out, struct diag *d) MUST_USE;
/* The same tables for the public: only answers that the form marks with ds:public, no texts, photos,
 * positions, names or ids; rows are numbered. ERR_STATE when nothing is marked. */
enum err export_public(struct desk *k, struct str form_id, const struct export_sink *sink,
                       struct export_result *out, struct diag *d) MUST_USE;
enum err export_xml(struct desk *k, struct str form_id, const struct export_sink *sink,
                    struct export_result *out, struct diag *d) MUST_USE;

/* Tables for people and JSON for programs. */
enum err list_status(struct desk *k, bool json, struct buf *out, struct diag *d) MUST_USE;
enum err list_of(struct desk *k, struct str what, bool json, struct str language, struct buf *out,
                 struct diag *d) MUST_USE; /* ERR_USAGE when there is no such list */

/* ---- accepting frames (accept.c) ---- */
struct accepted {
    struct device_row device;
    struct person person;
    struct batch_row batch; /* with the receipt to send */
    bool duplicate;
    bool caught_up; /* the receipt says so: no downlink is needed */
    uint32_t epoch; /* of the frame */
};
/* Takes the write turn itself. `cursor`: as its sender told, UINT64_MAX = not told. ERR_OK: stored or
 * quarantined, `batch.receipt` answers. Otherwise nothing was kept. */
enum err srv_accept(struct server *s, struct cstore *st, struct arena *a, struct str frame, uint64_t cursor,
                    struct accepted *out, struct diag *d) MUST_USE;
/* Why the centre does not take what this incarnation sends: ERR_OK, ERR_DENIED (a person shut the device
 * out), or ERR_EXISTS (this incarnation is over; it may ask for another one). */
enum err device_refused(const struct device_row *v);
/* Whether a handheld may make these changes. `everywhere`: whatever their area. */
enum err changes_allowed(struct cstore *st, struct arena *a, const struct device_row *device,
                         const struct person *person, bool everywhere, const struct ingest *in,
                         struct diag *d) MUST_USE;
/* Cuts what changes of this epoch say they had seen to what means the same in epoch `upto`. */
enum err seen_cap(struct cstore *st, uint32_t epoch, uint32_t upto, struct change *changes, uint32_t count,
                  struct diag *d) MUST_USE;
/* What an accepted, a released and a replayed frame do to the records; in a transaction. */
struct frame_apply {
    struct cstore *st;
    struct arena *a;
    struct form_cache *forms;
    const struct seam *seam;
    const struct ingest *in;
    struct case_author author;
    uint64_t seq; /* the server sequence of all its changes */
    const struct batch_rows *rows;
    int64_t now_ms;
    bool cut; /* its author had seen what the centre has lost */
    struct ingest
        *left;     /* out, may be NULL: what was applied, when something was about an erased household */
    bool *dropped; /* out, with `left` */
};
enum err frame_apply(const struct frame_apply *w, bool *conflict_out, struct diag *d) MUST_USE;
/* Changes of another incarnation are sent only by its heir, and only what that one inherited. Out: whose
 * changes they are. */
enum err inherited_check(struct cstore *st, struct arena *a, const struct device_row *device,
                         const struct ingest *in, struct device_row *author_out, struct diag *d) MUST_USE;
/* Rows by the centre's numbers. */
struct row_names {
    struct cstore *st;
    enum err failed; /* the store did: a number that nobody knows is no failure */
};
struct batch_rows row_names_of(struct row_names *n);

/* ---- compression dictionaries (dictionary.c) ---- */

/* A dictionary is an object of the catalogue like a form; its version is the number that frames name it by.
 * Every one that was ever published is found, live or not. ERR_NOT_FOUND. */
enum err dict_find(struct cstore *st, struct arena *a, uint16_t id, struct str *bytes_out,
                   struct diag *d) MUST_USE;
struct dicts {
    struct cstore *st;
    struct arena *a;
};
struct frame_dicts dicts_of(struct dicts *x);
/* The number that the next dictionary gets; or, when these bytes were published before, the one they have. */
enum err dict_number(struct cstore *st, struct arena *a, const unsigned char hash[static SHA256_SIZE],
                     uint16_t *id_out, struct diag *d) MUST_USE;
/* Learns one from the payloads in the ledger, newest first. ERR_LIMIT when there are too few. */
enum err dict_train(struct desk *k, struct str *bytes_out, struct diag *d) MUST_USE;
/* The receipt for a frame that was released. */
enum err srv_receipt_again(struct server *s, struct cstore *st, struct arena *a,
                           const struct device_row *device, struct batch_row *batch, struct diag *d) MUST_USE;

/* ---- what a clerk looks at (review.c) ---- */
/* Answers in dispute, of one household ("" = all). */
enum err review_conflicts(struct desk *k, struct str household, bool json, struct buf *out,
                          struct diag *d) MUST_USE;
struct review_decision {
    struct str id;   /* as listed: NUMBER.FIELD */
    uint64_t number; /* of the row */
    uint32_t field;
    uint32_t keep;    /* the n-th value as listed, from 1; 0 = `value` */
    struct str value; /* "" on field 0: the row stays */
    struct str by;    /* a supervisor's name */
    uint32_t person;  /* who that is; 0 = the supervisor of that name, made when there is none */
    uint8_t role;     /* with `person` */
};
enum err review_resolve(struct desk *k, const struct review_decision *c, struct diag *d) MUST_USE;
/* Frames that were set apart. */
enum err review_apart(struct desk *k, bool json, struct buf *out, struct diag *d) MUST_USE;
struct apart_name {
    uint64_t device;
    uint32_t inc;
    uint64_t batch_seq;
    uint32_t copy;
};
/* Applies a frame that was set apart. `force`: also one that the handheld sends again by itself. */
enum err review_release(struct server *s, struct cstore *st, struct arena *a, const struct apart_name *name,
                        struct str by, bool force, struct diag *d) MUST_USE;
/* The rows that a copy of a handheld made are those of `as_inc`. */
enum err changes_rename(struct cstore *st, struct arena *a, const struct device_row *device, uint32_t as_inc,
                        struct ingest *in, struct diag *d) MUST_USE;

/* ---- epochs (epoch.c): the database was set back to a backup ---- */
/* The number that a new epoch gets at this time at least: seconds since 2024. */
uint32_t epoch_of_time(int64_t now_ms);
uint32_t epoch_after(uint32_t newest, int64_t now_ms);
/* At every start of a program that serves. */
enum err centre_epoch_begin(const struct seam *seam, const char *dir, struct cstore *st,
                            struct diag *d) MUST_USE;
/* Before a handheld is told of the centre's order as far as `seq`. Takes the write turn when that was not
 * noted yet; not inside a transaction: there, cstore_told_put. */
enum err srv_telling(struct server *s, struct cstore *st, uint64_t seq, struct diag *d) MUST_USE;
/* Notes beside the database how far it is, now and then (`now`: in any case): a database that is behind its
 * marker was set back. */
void centre_mark(struct server *s, struct cstore *st, bool now);

/* A receipt for what is in the ledger after `since`, made on request and not stored. A revoked device is told
 * so, signed. */
enum err srv_receipts(struct server *s, struct cstore *st, struct arena *a, const struct device_row *device,
                      uint64_t since, bool fresh_token, struct buf *frame_out, struct diag *d) MUST_USE;

/* ---- downlink (down.c) ---- */
struct down_ask {
    const struct device_row *device;
    struct str area;
    uint64_t cursor;
    size_t bytes_max; /* about, before sealing */
    uint32_t epoch;   /* that the cursor is of; 0 = today's */
    bool own_too;     /* also what the device itself said */
    uint16_t dict;    /* a dictionary that the device says it holds; 0 = none */
};
/* One frame of what the device may see after its cursor; when that is nothing, a frame that says so.
 * *any_out: whether it holds changes. */
enum err down_build(struct server *s, struct cstore *st, struct arena *a, const struct down_ask *ask,
                    struct buf *frame_out, bool *any_out, struct diag *d) MUST_USE;
/* Whether there is nothing for the device between its cursor and the store's newest sequence. Gives up, with
 * false, when finding out would take long. */
enum err down_nothing(struct cstore *st, struct arena *a, const struct down_ask *ask, uint64_t newest,
                      bool *nothing_out, struct diag *d) MUST_USE;

#endif
