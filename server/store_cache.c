/* The records of the frame that is being taken in, as they are now: a record is asked for a dozen times on
 * its way through rights, merging and rebuilding, and is read from the database once.
 *
 * Always true: what is here is what the database holds. Inside a transaction nobody else may write the
 * county, and every write of ours passes through here; outside of one it lasts for the look at one frame.
 * With cstore_records_warm all rows that a frame names come in one round trip.
 */
#include "server/store_impl.h"

#define CACHE_ROWS_MAX 20000
#define CACHE_MEMORY_MAX (24u << 20)
#define ASK_MAX 64

void cache_clear(struct cstore *s, bool on)
{
    struct record_cache *c = &s->cache;
    arena_free(&c->memory);
    arena_init(&c->memory, CACHE_MEMORY_MAX);
    memset(&c->rows, 0, sizeof c->rows);
    map_init(&c->index, &c->memory);
    c->on = on;
}

static struct str key_of(const struct record_row *r, char room[static ROW_ID_SIZE])
{
    row_id_write(r->row, (unsigned char *)room);
    return (struct str){room, ROW_ID_SIZE};
}

struct cached_record *cache_find(struct cstore *s, struct row_id row)
{
    const struct record_row r = {.row = row};
    char room[ROW_ID_SIZE];
    uint32_t at = 0;
    return s->cache.on && map_get(&s->cache.index, key_of(&r, room), &at) ? &s->cache.rows.at[at] : NULL;
}

static bool row_keep(struct arena *a, const struct record_row *from, struct record_row *to)
{
    *to = *from;
    return !keep(a, from->area, &to->area) && !keep(a, from->code, &to->code) &&
           !keep(a, none_as_empty(from->packed), &to->packed);
}

/* Whatever does not fit is read from the database as before. */
void cache_put(struct cstore *s, const struct record_row *r, bool there, bool fresh)
{
    struct record_cache *c = &s->cache;
    struct cached_record *at = cache_find(s, r->row);
    char *room = NULL;
    if (!c->on)
        return;
    if (!at) {
        room = arena_alloc(&c->memory, ROW_ID_SIZE);
        bool fits = room && c->rows.count < CACHE_ROWS_MAX &&
                    map_put(&c->index, key_of(r, room), c->rows.count) == ERR_OK;
        at = fits ? vec_push(&c->memory, &c->rows) : NULL;
        if (at)
            at->fresh = fresh;
    }
    if (!at || !row_keep(&c->memory, r, &at->row)) {
        cache_clear(s, true);
        return;
    }
    at->there = there;
}

enum err cache_get(struct cstore *s, struct arena *a, struct row_id row, bool *known_out,
                   struct record_row *out, struct diag *d)
{
    const struct cached_record *at = cache_find(s, row);
    *known_out = at != NULL;
    if (!at)
        return ERR_OK;
    if (!at->there)
        return ERR_NOT_FOUND;
    return row_keep(a, &at->row, out) ? ERR_OK : no_memory(d);
}

/* One round trip for up to ASK_MAX rows that are not here yet. */
static enum err rows_ask(struct cstore *s, const struct row_id *rows, uint32_t count, struct diag *d)
{
    struct stmt *q[ASK_MAX];
    struct row_bytes room[ASK_MAX];
    uint32_t asked = 0;
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < count; i++) {
        rc = row_ask(s, rows[i], &room[i], &q[i], d);
        asked += !rc;
    }
    for (uint32_t i = 0; i < asked; i++) {
        struct arena scratch;
        struct record_row r = {.row = rows[i]};
        bool there = false;
        arena_init(&scratch, CACHE_MEMORY_MAX);
        if (!rc)
            rc = row_answer(q[i], &scratch, &there, &r, d);
        if (!rc)
            cache_put(s, &r, there, !there && s->txn.open);
        stmt_done(q[i]);
        arena_free(&scratch);
    }
    return rc;
}

enum err cstore_records_warm(struct cstore *s, const struct row_id *rows, uint32_t count, struct diag *d)
{
    struct row_id wanted[ASK_MAX];
    uint32_t n = 0;
    enum err rc = ERR_OK;
    if (!s->sql.ops->ask)
        return ERR_OK;
    if (!s->txn.open)
        cache_clear(s, true);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (!cache_find(s, rows[i]))
            wanted[n++] = rows[i];
        if (n == ASK_MAX || (n && i + 1 == count)) {
            rc = rows_ask(s, wanted, n, d);
            n = 0;
        }
    }
    return rc;
}
