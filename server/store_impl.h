/* What the store's files share: the open store, and how ids are bound and read. Row ids are 16-byte blobs
 * that sort like their numbers, 64-bit ids are the database's signed integers bit by bit. The verbs and their
 * SQL exist once; server/sql.h carries them to SQLite or PostgreSQL.
 */
#ifndef DOORSTEP_SERVER_STORE_IMPL_H
#define DOORSTEP_SERVER_STORE_IMPL_H

#include "platform/base/map.h"
#include "server/sql.h"
#include "server/store.h"
#include "sync/change.h"

#define CSTORE_APPLICATION_ID 0x44534331 /* "DSC1" */

extern const struct sql_migration cstore_migrations[];
extern const uint32_t cstore_migration_count;

/* Records of the frame that is being taken in (store_cache.c). */
struct cached_record {
    struct record_row row;
    bool there;   /* else it is known that there is none */
    bool fresh;   /* there was none when the transaction began */
    bool touched; /* since then */
};
struct record_cache {
    struct arena memory;
    struct map index; /* by row id */
    VEC(struct cached_record) rows;
    bool on;
};

struct cstore {
    struct record_cache cache;
    struct sql sql;
    struct arena memory;
    struct {
        bool open;
    } txn;
    struct counters counters, counters_saved;
    int64_t county;
    const struct seam *seam;
    bool line_known; /* the county was last written in the line of history that is open here */
};

static inline struct str none_as_empty(struct str s)
{
    return s.p ? s : STR("");
}

static inline void bind_u64(struct stmt *q, int index, uint64_t v)
{
    int64_t bits;
    memcpy(&bits, &v, sizeof bits);
    bind_i64(q, index, bits);
}

static inline uint64_t col_u64(struct stmt *q, int column)
{
    int64_t bits = col_i64(q, column);
    uint64_t v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* A row id's bytes must live until the statement is done: they lie in the statement's own frame. */
struct row_bytes {
    unsigned char at[ROW_ID_SIZE];
};

static inline bool row_none(struct row_id id)
{
    return id.device == 0 && id.inc == 0 && id.counter == 0;
}

static inline void bind_row(struct stmt *q, int index, struct row_id id, struct row_bytes *room)
{
    if (row_none(id)) {
        bind_null(q, index);
        return;
    }
    row_id_write(id, room->at);
    bind_blob(q, index, room->at, ROW_ID_SIZE);
}

static inline struct row_id col_row(struct stmt *q, int column)
{
    struct row_id id = {0};
    struct str bytes = col_blob(q, column);
    if (!bytes.p || !row_id_read(bytes, &id))
        return (struct row_id){0};
    return id;
}

static inline bool col_bytes(struct stmt *q, int column, void *out, size_t n)
{
    struct str bytes = col_blob(q, column);
    if (bytes.n != n)
        return false;
    memcpy(out, bytes.p, n);
    return true;
}

static inline enum err keep(struct arena *a, struct str from, struct str *out)
{
    if (!from.p) {
        *out = STR_NONE;
        return ERR_OK;
    }
    *out = arena_str(a, from);
    return out->p ? ERR_OK : ERR_NOMEM;
}

static inline enum err no_memory(struct diag *d)
{
    return diag_set(d, ERR_NOMEM, "Out of memory while reading the centre's database.");
}

static inline enum err damaged(struct diag *d, const char *table)
{
    return diag_set(
        d, ERR_CORRUPT,
        "The centre's database holds a row of table %s with a wrong size. Restore it from a backup.", table);
}

void cache_clear(struct cstore *s, bool on);
struct cached_record *cache_find(struct cstore *s, struct row_id row); /* NULL: not known */
void cache_put(struct cstore *s, const struct record_row *r, bool there, bool fresh);
/* *known_out: the cache answers. ERR_NOT_FOUND: and there is none. */
enum err cache_get(struct cstore *s, struct arena *a, struct row_id row, bool *known_out,
                   struct record_row *out, struct diag *d) MUST_USE;
/* The two halves of reading a record. */
enum err row_ask(struct cstore *s, struct row_id row, struct row_bytes *room, struct stmt **q_out,
                 struct diag *d) MUST_USE;
enum err row_answer(struct stmt *q, struct arena *a, bool *there_out, struct record_row *out,
                    struct diag *d) MUST_USE;

/* Who may see this record, for its touches. */
enum err touches_scope(struct cstore *s, const struct record_row *r, struct diag *d) MUST_USE;

/* A statement of this county: its first parameter is bound. */
static inline enum err statement(struct cstore *s, const char *sql, struct stmt **q_out, struct diag *d)
{
    enum err rc = sql_prepare(&s->sql, sql, q_out, d);
    if (rc)
        return rc;
    bind_i64(*q_out, 1, s->county);
    return ERR_OK;
}

#endif
