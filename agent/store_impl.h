/* Shared by store.c (opening, identity, rows, objects), store_lists.c (what lists show), store_visit.c
 * (capture) and store_sync.c (travel). Private to them. */
#ifndef DOORSTEP_AGENT_STORE_IMPL_H
#define DOORSTEP_AGENT_STORE_IMPL_H

#include "agent/store.h"
#include "platform/base/json.h"
#include "platform/base/map.h"
#include "platform/db.h"
#include "sync/merge.h"

#define STORE_MEMORY_MAX (8u << 20) /* identity and keyset texts */
#define STORE_SCRATCH_MAX \
    (256u << 20) /* one call's working memory: an interview with a full roster, a batch of changes */
#define SESSION_KEY_BASE \
    (1ull << 40) /* session keys from here on are rows made in this session; below are database keys */

struct store {
    const struct seam *seam;
    const struct zone *zone;
    struct db *db;   /* sealed */
    struct db *open; /* plain: public objects */
    struct arena memory;
    struct identity id;
    struct arena texts;     /* the identity's */
    const char *count_path; /* a file beside the database that a backup of it does not take back */
};

struct visit_rows {
    VEC(int64_t) keys;  /* database key by (session key - SESSION_KEY_BASE) */
    uint64_t cursor;    /* when the interview was read: what the person sees is no newer */
    uint64_t set_backs; /* what the cursor counts by */
};

/* The counters that every transaction moves; read and written inside it, because another process may be
 * writing too. next_seq and hlc_last are at least what the newest change in the log says: whoever only
 * appends changes need not save them, whoever deletes changes must. */
struct counters {
    uint64_t next_seq;
    uint32_t next_counter;
    int64_t hlc_last;
    int64_t hlc_received;
    uint64_t cursor;
    uint64_t set_backs, set_back_base; /* how often the centre was set back; as far as all its orders agree */
    bool enrolled;                     /* read only: the database says so, whoever enrolled it */
};
/* What the person of a visit has seen, in the centre's order of today. */
static inline uint64_t seen_in_visit(const struct counters *c, const struct visit_rows *r)
{
    return c->set_backs == r->set_backs || r->cursor < c->set_back_base ? r->cursor : c->set_back_base;
}
enum err counters_load(struct store *s, struct counters *c, struct diag *d) MUST_USE;
enum err counters_save(struct store *s, const struct counters *c, struct diag *d) MUST_USE;
/* Begins a transaction that makes rows or changes: knows who this device is by now. */
enum err work_begin(struct store *s, struct txn *t, struct counters *c, struct diag *d) MUST_USE;

/* A row of ours or of others. */
struct row {
    int64_t key;
    struct row_id id; /* device 0, inc 0 = ours, not enrolled yet */
    uint64_t number;  /* the centre's, 0 = not told */
    enum row_kind kind;
    int64_t parent, interview, household;
    uint32_t repeat; /* stable */
    int64_t order;
    int64_t visit; /* draft visit that made it; 0 = committed to the record */
    bool deleted;
};
#define ROW_COLUMNS \
    "key, device, inc, counter, number, kind, parent, interview, household, repeat, ord, visit, deleted"
struct row row_from(struct stmt *q); /* the statement begins with ROW_COLUMNS */
/* ERR_NOT_FOUND without a sentence when there is none. */
enum err row_by_key(struct store *s, int64_t key, struct row *out, struct diag *d) MUST_USE;
enum err row_by_id(struct store *s, struct row_id id, struct row *out, struct diag *d) MUST_USE;
/* Gives the row its key and, when its id is all zero, the next id of this device. */
enum err row_insert(struct store *s, struct counters *c, struct row *row, const unsigned char *form,
                    struct diag *d) MUST_USE;

/* Appends one change of ours, not cut yet. */
struct own_change {
    int64_t visit; /* 0 = belongs to no visit */
    int64_t row;
    uint32_t field;
    enum change_op op;
    uint8_t status;
    uint64_t
        seen; /* cursor up to which the person saw; an earlier change of the draft to this field counts */
    struct str value;
};
enum err change_append(struct store *s, struct counters *c, const struct own_change *change,
                       struct diag *d) MUST_USE;

/* Changes of the log as `sql` gives them (CHANGE_COLUMNS first), with the key of each one's row; their own
 * `row` is left empty. `second` is bound unless it is 0. */
#define CHANGE_COLUMNS "seq, row, fld, op, status, person, role, hlc, seen, val"
struct logged {
    VEC(struct change) changes;
    VEC(int64_t) rows;
};
enum err changes_select(struct store *s, struct arena *a, const char *sql, int64_t first, int64_t second,
                        struct logged *out, struct diag *d) MUST_USE;

enum err record_load(struct store *s, struct arena *a, const struct row *row, struct record *out,
                     struct diag *d) MUST_USE;
enum err record_save(struct store *s, int64_t key, const struct record *r, struct diag *d) MUST_USE;

enum err object_held(struct store *s, const unsigned char *hash, bool *held_out, struct diag *d) MUST_USE;

/* Settings by name; "" when absent. */
enum err meta_get(struct store *s, const char *name, struct arena *a, struct str *out,
                  struct diag *d) MUST_USE;
enum err meta_put_str(struct store *s, const char *name, struct str value, struct diag *d) MUST_USE;

enum err meta_put_i64(struct store *s, const char *name, int64_t v, struct diag *d) MUST_USE;
/* The last time that the centre signed, and our own clock at that moment. */
enum err anchor_put(struct store *s, int64_t server_time_ms, struct diag *d) MUST_USE;
/* The centre answered, signed, just now. */
enum err contact_put(struct store *s, struct diag *d) MUST_USE;

/* The finalised visit that ended last; key 0 when there is none. Texts live in `a`. */
struct newest_visit {
    int64_t key;
    struct str ended, level;
};
enum err newest_visit_of_interview(struct store *s, struct arena *a, int64_t interview,
                                   struct newest_visit *out, struct diag *d) MUST_USE;

/* A row of the visit under way, born in its log: finding, entity, comment. */
struct row_value {
    uint32_t field;
    struct str value; /* "" is left out */
};
enum err visit_child(struct store *s, struct counters *c, const struct visit *v, enum row_kind kind,
                     const struct row_value *values, uint32_t count, struct diag *d) MUST_USE;
/* A row that belongs to no visit, in the transaction that inserted it: its birth; then, once its values are
 * in the log, its record. */
enum err row_born(struct store *s, struct counters *c, const struct row *row, struct row_id parent,
                  struct diag *d) MUST_USE;
enum err row_merged(struct store *s, struct arena *a, int64_t key, struct diag *d) MUST_USE;
enum err entity_rows(struct store *s, struct arena *a, struct counters *c, const struct visit *v,
                     const struct entity_delta *deltas, uint32_t count, struct diag *d) MUST_USE;

/* Every row that `sql` gives (ROW_COLUMNS first; `argument` bound), with its record; deleted ones are left
 * out. */
typedef enum err (*record_visitor)(struct store *s, struct arena *a, const struct row *row,
                                   const struct record *r, void *self, struct diag *d);
enum err each_record(struct store *s, struct arena *a, const char *sql, int64_t argument,
                     record_visitor visit, void *self, struct diag *d) MUST_USE;

/* ---- whose work it is (store_identity.c) ---- */
/* This incarnation is over: nothing more is frozen under its name. Inside a transaction; the first reason
 * stays. */
enum over_why { OVER_COPY, OVER_RESTORED, OVER_REVOKED };
enum err identity_over(struct store *s, enum over_why why, struct diag *d) MUST_USE;
enum err heirs_read(struct store *s, struct arena *a, uint64_t device, uint32_t inc, struct identity *out,
                    struct diag *d) MUST_USE;
/* Before own changes are applied to a record. */
enum err record_inherit_own(const struct store *s, struct arena *a, struct record *r,
                            struct diag *d) MUST_USE;
/* Everything that is not at the centre becomes the work of another identity: rows, births, log, records; what
 * was frozen and has no receipt is cut anew. Inside a transaction. */
enum err rows_rename(struct store *s, const struct identity *from, const struct identity *to,
                     struct diag *d) MUST_USE;
/* Frozen frames are counted twice, in the database and in a file beside it: a database that is behind was put
 * back from a backup. */
enum err frozen_count(struct store *s, struct diag *d) MUST_USE;
enum err restored_look(struct store *s, struct diag *d) MUST_USE;

/* ---- erased at the county (store_erase.c) ---- */
/* Of the household itself stays what the county says of it. Inside a transaction. */
enum err household_forget(struct store *s, const struct row *row, struct record *r, struct diag *d) MUST_USE;

/* ---- answers in dispute (store_conflicts.c) ---- */
/* Before a change that comes down is merged: notes what a decision is made over. */
enum err decision_note(struct store *s, const struct row *row, const struct record *before,
                       const struct change *c, struct diag *d) MUST_USE;
/* ERR_STATE when an answer of this interview that bars finishing is in dispute. */
enum err dispute_check(struct store *s, int64_t interview, struct diag *d) MUST_USE;

struct str hex_text(struct arena *a, const unsigned char *bytes, size_t n);
struct str iso_now(const struct store *s, struct arena *a);
struct str iso_at(const struct store *s, struct arena *a, int64_t ms);

#endif
