/* Shared by store.c (opening, identity, objects, lists), store_visit.c (capture) and store_sync.c (travel).
 * Private to them. */
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
    struct db *db;   /* sealed */
    struct db *open; /* plain: public objects */
    struct arena memory;
    struct identity id;
};

struct visit_rows {
    VEC(int64_t) keys; /* database key by (session key - SESSION_KEY_BASE) */
};

/* The counters that every transaction moves; read and written inside it, because another process may be
 * writing too. */
struct counters {
    uint64_t next_seq;
    uint32_t next_counter;
    int64_t hlc_last;
    int64_t hlc_received;
    uint64_t cursor;
};
enum err counters_load(struct store *s, struct counters *c, struct diag *d) MUST_USE;
enum err counters_save(struct store *s, const struct counters *c, struct diag *d) MUST_USE;

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
    struct str value;
};
enum err change_append(struct store *s, struct counters *c, const struct own_change *change,
                       struct diag *d) MUST_USE;

enum err record_load(struct store *s, struct arena *a, const struct row *row, struct record *out,
                     struct diag *d) MUST_USE;
enum err record_save(struct store *s, int64_t key, const struct record *r, struct diag *d) MUST_USE;

/* "" when absent; lives in `a`. */
enum err shown_value(struct store *s, struct arena *a, int64_t key, uint32_t field, struct str *out,
                     struct diag *d) MUST_USE;

/* Settings by name; "" when absent. */
enum err meta_get(struct store *s, const char *name, struct arena *a, struct str *out,
                  struct diag *d) MUST_USE;
enum err meta_put_str(struct store *s, const char *name, struct str value, struct diag *d) MUST_USE;

struct str hex_text(struct arena *a, const unsigned char *bytes, size_t n);
struct str iso_now(const struct store *s, struct arena *a);

#endif
