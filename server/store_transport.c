/* The store, third part: frames on their way, attachments, patches. Pieces are rows of their own,
 * so that a photo is never rewritten as it grows. */
#include "server/store_impl.h"
#include "server/transport.h"

/* ---- frames on their way ---- */

static enum err upload_row_of(struct stmt *q, struct upload_row *out, struct diag *d)
{
    bool row = false;
    enum err rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = ERR_NOT_FOUND;
    if (!rc) {
        *out = (struct upload_row){.device = col_u64(q, 0),
                                   .inc = (uint32_t)col_i64(q, 1),
                                   .total = col_u64(q, 3),
                                   .have = col_u64(q, 4),
                                   .touched_ms = col_i64(q, 5)};
        if (!col_bytes(q, 2, out->id, BATCH_ID_SIZE))
            rc = damaged(d, "upload");
    }
    stmt_done(q);
    return rc;
}

enum err cstore_upload(struct cstore *s, uint64_t device, uint32_t inc,
                       const unsigned char id[static BATCH_ID_SIZE], struct upload_row *out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            "SELECT device, inc, id, total, have, touched_ms FROM upload"
                            " WHERE county = ?1 AND device = ?2 AND inc = ?3 AND id = ?4",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_i64(q, 3, inc);
    bind_blob(q, 4, id, BATCH_ID_SIZE);
    return upload_row_of(q, out, d);
}

static void bind_upload(struct stmt *q, const struct upload_row *u)
{
    bind_u64(q, 2, u->device);
    bind_i64(q, 3, u->inc);
    bind_blob(q, 4, u->id, BATCH_ID_SIZE);
}

enum err cstore_upload_append(struct cstore *s, struct upload_row *u, struct str bytes, struct diag *d)
{
    CHECK(s->txn.open && u->have + bytes.n <= u->total);
    struct stmt *q = NULL;
    enum err rc = ERR_OK;
    if (bytes.n) {
        rc = statement(s, "INSERT INTO upload_piece VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &q, d);
        if (rc)
            return rc;
        bind_upload(q, u);
        bind_u64(q, 5, u->have);
        bind_blob(q, 6, bytes.p, bytes.n);
        rc = stmt_run(q, d);
    }
    if (!rc)
        rc = statement(s,
                       "INSERT INTO upload VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
                       " ON CONFLICT (county, device, inc, id)"
                       " DO UPDATE SET have = excluded.have, touched_ms = excluded.touched_ms",
                       &q, d);
    if (rc)
        return rc;
    bind_upload(q, u);
    bind_u64(q, 5, u->total);
    bind_u64(q, 6, u->have + bytes.n);
    bind_i64(q, 7, u->touched_ms);
    rc = stmt_run(q, d);
    if (!rc)
        u->have += bytes.n;
    return rc;
}

/* Pieces of a whole, in order and without gaps. `q` gives (at, bytes). */
static enum err gather(struct stmt *q, struct arena *a, uint64_t size, struct str *bytes_out, struct diag *d)
{
    char *p = arena_alloc(a, (size_t)size + 1);
    uint64_t n = 0;
    bool row = true;
    enum err rc = p ? ERR_OK : no_memory(d);
    while (!rc) {
        rc = stmt_step(q, &row, d);
        if (rc || !row)
            break;
        struct str piece = col_blob(q, 1);
        if (col_u64(q, 0) != n || piece.n > size - n) {
            rc = ERR_NOT_FOUND;
            break;
        }
        memcpy(p + n, piece.p, piece.n);
        n += piece.n;
    }
    stmt_done(q);
    if (!rc && n != size)
        rc = ERR_NOT_FOUND;
    if (!rc)
        *bytes_out = (struct str){p, (size_t)size};
    return rc;
}

enum err cstore_upload_bytes(struct cstore *s, struct arena *a, const struct upload_row *u,
                             struct str *bytes_out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            "SELECT at, bytes FROM upload_piece"
                            " WHERE county = ?1 AND device = ?2 AND inc = ?3 AND id = ?4 ORDER BY at",
                            &q, d);
    if (rc)
        return rc;
    bind_upload(q, u);
    rc = gather(q, a, u->have, bytes_out, d);
    return rc == ERR_NOT_FOUND ? damaged(d, "upload_piece") : rc;
}

enum err cstore_upload_drop(struct cstore *s, const struct upload_row *u, struct diag *d)
{
    CHECK(s->txn.open);
    static const char *const sql[] = {
        "DELETE FROM upload_piece WHERE county = ?1 AND device = ?2 AND inc = ?3 AND id = ?4",
        "DELETE FROM upload WHERE county = ?1 AND device = ?2 AND inc = ?3 AND id = ?4"};
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < 2; i++) {
        struct stmt *q = NULL;
        rc = statement(s, sql[i], &q, d);
        if (rc)
            return rc;
        bind_upload(q, u);
        rc = stmt_run(q, d);
    }
    return rc;
}

enum err cstore_upload_usage(struct cstore *s, uint64_t device, uint32_t inc, struct upload_usage *out,
                             struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s,
                            "SELECT count(*), coalesce(sum(have), 0),"
                            " count(*) FILTER (WHERE device = ?2 AND inc = ?3),"
                            " coalesce(sum(total) FILTER (WHERE device = ?2 AND inc = ?3), 0)"
                            " FROM upload WHERE county = ?1",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_i64(q, 3, inc);
    rc = stmt_step(q, &row, d);
    if (!rc && row)
        *out = (struct upload_usage){.count_all = col_u64(q, 0),
                                     .bytes_all = col_u64(q, 1),
                                     .count = col_u64(q, 2),
                                     .bytes = col_u64(q, 3)};
    stmt_done(q);
    return rc;
}

enum err cstore_upload_oldest(struct cstore *s, uint64_t device, uint32_t inc, struct upload_row *out,
                              struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            device ? "SELECT device, inc, id, total, have, touched_ms FROM upload"
                                     " WHERE county = ?1 AND device = ?2 AND inc = ?3"
                                     " ORDER BY touched_ms, id LIMIT 1"
                                   : "SELECT device, inc, id, total, have, touched_ms FROM upload"
                                     " WHERE county = ?1 ORDER BY touched_ms, id LIMIT 1",
                            &q, d);
    if (rc)
        return rc;
    if (device) {
        bind_u64(q, 2, device);
        bind_i64(q, 3, inc);
    }
    return upload_row_of(q, out, d);
}

enum err cstore_batch_by_id(struct cstore *s, struct arena *a, const unsigned char id[static BATCH_ID_SIZE],
                            struct str *frame_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, "SELECT frame FROM batch WHERE county = ?1 AND batch_id = ?2", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, id, BATCH_ID_SIZE);
    rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = ERR_NOT_FOUND;
    if (!rc && keep(a, col_blob(q, 0), frame_out))
        rc = no_memory(d);
    stmt_done(q);
    return rc;
}

/* ---- attachments ----
 * While a file is on its way its pieces belong to the device that sends it: nobody can spoil another's. Once
 * its hash is proven they belong to all (device 0). */

static enum err piece_put(struct cstore *s, const struct frame *f, const struct part *p, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc =
        statement(s,
                  "INSERT INTO attachment_piece VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
                  " ON CONFLICT (county, hash, device, inc, at) DO UPDATE SET bytes = excluded.bytes",
                  &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, p->hash, SHA256_SIZE);
    bind_u64(q, 3, f->device);
    bind_i64(q, 4, f->inc);
    bind_u64(q, 5, p->at);
    bind_blob(q, 6, p->bytes.n ? p->bytes.p : "", p->bytes.n);
    return stmt_run(q, d);
}

static enum err links_put(struct cstore *s, const struct part *p, int64_t now_ms, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < p->link_count; i++) {
        struct stmt *q = NULL;
        rc = statement(s,
                       "INSERT INTO attachment_link VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
                       " ON CONFLICT (county, visit, name) DO NOTHING",
                       &q, d);
        if (rc)
            return rc;
        bind_blob(q, 2, p->links[i].visit, ROW_ID_SIZE);
        bind_text(q, 3, p->links[i].name);
        bind_blob(q, 4, p->hash, SHA256_SIZE);
        bind_u64(q, 5, p->size);
        bind_i64(q, 6, now_ms);
        rc = stmt_run(q, d);
    }
    return rc;
}

static enum err pieces_gather(struct cstore *s, struct arena *a, const unsigned char *hash, uint64_t device,
                              uint32_t inc, uint64_t size, struct str *bytes_out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            "SELECT at, bytes FROM attachment_piece"
                            " WHERE county = ?1 AND hash = ?2 AND device = ?3 AND inc = ?4 ORDER BY at",
                            &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, hash, SHA256_SIZE);
    bind_u64(q, 3, device);
    bind_i64(q, 4, inc);
    return gather(q, a, size, bytes_out, d);
}

static enum err pieces_do(struct cstore *s, const char *sql, const struct frame *f, const struct part *p,
                          struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s, sql, &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, p->hash, SHA256_SIZE);
    bind_u64(q, 3, f->device);
    bind_i64(q, 4, f->inc);
    return stmt_run(q, d);
}

static enum err is_whole(struct cstore *s, const unsigned char *hash, bool *whole_out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s, "SELECT 1 FROM attachment WHERE county = ?1 AND hash = ?2", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, hash, SHA256_SIZE);
    rc = stmt_step(q, whole_out, d);
    stmt_done(q);
    return rc;
}

#define OWN_PIECES " WHERE county = ?1 AND hash = ?2 AND device = ?3 AND inc = ?4"

static enum err whole_put(struct cstore *s, const struct frame *f, const struct part *p, int64_t now_ms,
                          struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = pieces_do(s, "UPDATE attachment_piece SET device = 0, inc = 0" OWN_PIECES, f, p, d);
    if (!rc)
        rc = statement(s, "INSERT INTO attachment VALUES (?1, ?2, ?3, ?4)", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, p->hash, SHA256_SIZE);
    bind_u64(q, 3, p->size);
    bind_i64(q, 4, now_ms);
    return stmt_run(q, d);
}

static enum err complete(struct cstore *s, struct arena *a, const struct frame *f, const struct part *p,
                         int64_t now_ms, bool *bad_out, struct diag *d)
{
    struct str bytes;
    unsigned char hash[SHA256_SIZE];
    struct arena_mark mark = arena_mark(a);
    enum err rc = pieces_gather(s, a, p->hash, f->device, f->inc, p->size, &bytes, d);
    if (rc == ERR_NOT_FOUND)
        return ERR_OK; /* more to come */
    if (!rc)
        rc = sha256(bytes, hash);
    arena_release(a, mark);
    if (rc)
        return rc;
    *bad_out = memcmp(hash, p->hash, SHA256_SIZE) != 0;
    if (*bad_out)
        return pieces_do(s, "DELETE FROM attachment_piece" OWN_PIECES, f, p, d);
    return whole_put(s, f, p, now_ms, d);
}

/* Parts that are here have receipts and do not come again, so they stay for as long as it takes: what a
 * device begins is bounded instead. */
static enum err begun_look(struct cstore *s, const struct frame *f, const struct part *p, bool *bad_out,
                           struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s,
                            "SELECT count(*), coalesce(sum(length(bytes)), 0), (SELECT count(DISTINCT hash)"
                            "  FROM attachment_piece WHERE county = ?1 AND device = ?3 AND device <> 0"
                            "  AND hash <> ?2)"
                            " FROM attachment_piece" OWN_PIECES " AND at <> ?5",
                            &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, p->hash, SHA256_SIZE);
    bind_u64(q, 3, f->device);
    bind_i64(q, 4, f->inc);
    bind_u64(q, 5, p->at);
    rc = stmt_step(q, &row, d);
    uint64_t parts = rc ? 0 : col_u64(q, 0), bytes = rc ? 0 : col_u64(q, 1), files = rc ? 0 : col_u64(q, 2);
    stmt_done(q);
    if (!rc && parts == 0 && files >= FILES_BEGUN_MAX)
        return diag_set(d, ERR_LIMIT,
                        "Parts of %llu files of this handheld are here and none of them is whole; they come "
                        "first.",
                        (unsigned long long)files);
    *bad_out = !rc && (parts >= FILE_PARTS_MAX || bytes + p->bytes.n > p->size);
    return !rc && *bad_out ? pieces_do(s, "DELETE FROM attachment_piece" OWN_PIECES, f, p, d) : rc;
}

enum err cstore_part_put(struct cstore *s, struct arena *a, const struct frame *f, const struct part *p,
                         int64_t now_ms, bool *bad_out, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    bool whole = false;
    *bad_out = false;
    enum err rc = is_whole(s, p->hash, &whole, d);
    if (!rc && !whole)
        rc = begun_look(s, f, p, bad_out, d);
    if (!rc && !whole && !*bad_out)
        rc = piece_put(s, f, p, d);
    if (!rc && !whole && !*bad_out)
        rc = complete(s, a, f, p, now_ms, bad_out, d);
    if (!rc && whole) /* another device was faster */
        rc = pieces_do(s, "DELETE FROM attachment_piece" OWN_PIECES, f, p, d);
    if (rc || *bad_out)
        return rc;
    rc = links_put(s, p, now_ms, d);
    if (!rc)
        rc = statement(s, "INSERT INTO part VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (county, id) DO NOTHING",
                       &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, f->batch_id, BATCH_ID_SIZE);
    bind_u64(q, 3, f->device);
    bind_i64(q, 4, f->inc);
    bind_i64(q, 5, now_ms);
    return stmt_run(q, d);
}

enum err cstore_part_author(struct cstore *s, const unsigned char id[static BATCH_ID_SIZE],
                            uint64_t *device_out, uint32_t *inc_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, "SELECT device, inc FROM part WHERE county = ?1 AND id = ?2", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, id, BATCH_ID_SIZE);
    rc = stmt_step(q, &row, d);
    if (!rc && row) {
        *device_out = col_u64(q, 0);
        *inc_out = (uint32_t)col_i64(q, 1);
    }
    stmt_done(q);
    return rc ? rc : row ? ERR_OK : ERR_NOT_FOUND;
}

enum err cstore_attachments(struct cstore *s, struct arena *a, struct row_id visit,
                            struct attachment_row **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    VEC(struct attachment_row) list = {0};
    bool row = true;
    enum err rc = statement(s,
                            "SELECT l.name, l.hash, l.size, a.hash IS NOT NULL FROM attachment_link l"
                            " LEFT JOIN attachment a ON a.county = l.county AND a.hash = l.hash"
                            " WHERE l.county = ?1 AND l.visit = ?2 ORDER BY l.name",
                            &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, visit, &room);
    while (!rc) {
        rc = stmt_step(q, &row, d);
        if (rc || !row)
            break;
        struct attachment_row *slot = vec_push(a, &list);
        if (!slot || keep(a, col_text(q, 0), &slot->name)) {
            rc = no_memory(d);
            break;
        }
        slot->visit = visit;
        slot->size = col_u64(q, 2);
        slot->whole = col_i64(q, 3);
        if (!col_bytes(q, 1, slot->hash, SHA256_SIZE))
            rc = damaged(d, "attachment_link");
    }
    stmt_done(q);
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}

enum err cstore_attachment_bytes(struct cstore *s, struct arena *a,
                                 const unsigned char hash[static SHA256_SIZE], struct str *bytes_out,
                                 struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    uint64_t size = 0;
    enum err rc = statement(s, "SELECT size FROM attachment WHERE county = ?1 AND hash = ?2", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, hash, SHA256_SIZE);
    rc = stmt_step(q, &row, d);
    if (!rc && row)
        size = col_u64(q, 0);
    stmt_done(q);
    if (!rc && !row)
        return ERR_NOT_FOUND;
    if (!rc)
        rc = pieces_gather(s, a, hash, 0, 0, size, bytes_out, d);
    return rc == ERR_NOT_FOUND ? damaged(d, "attachment_piece") : rc;
}

enum err cstore_attachment_counts(struct cstore *s, struct attachment_counts *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s,
                            "SELECT count(*), coalesce(sum(size), 0),"
                            " (SELECT count(DISTINCT l.hash) FROM attachment_link l WHERE l.county = ?1"
                            "   AND NOT EXISTS (SELECT 1 FROM attachment a WHERE a.county = ?1"
                            "   AND a.hash = l.hash)) FROM attachment WHERE county = ?1",
                            &q, d);
    if (rc)
        return rc;
    rc = stmt_step(q, &row, d);
    if (!rc && row)
        *out = (struct attachment_counts){col_u64(q, 0), col_u64(q, 1), col_u64(q, 2)};
    stmt_done(q);
    return rc;
}

/* ---- patches ---- */

enum err cstore_patch(struct cstore *s, struct arena *a, const unsigned char from[static SHA256_SIZE],
                      const unsigned char to[static SHA256_SIZE], struct str *patch_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s,
                            "SELECT bytes FROM patch WHERE county = ?1 AND from_hash = ?2 AND to_hash = ?3",
                            &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, from, SHA256_SIZE);
    bind_blob(q, 3, to, SHA256_SIZE);
    rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = ERR_NOT_FOUND;
    if (!rc && keep(a, col_blob(q, 0), patch_out))
        rc = no_memory(d);
    stmt_done(q);
    return rc;
}

enum err cstore_patch_put(struct cstore *s, const unsigned char from[static SHA256_SIZE],
                          const unsigned char to[static SHA256_SIZE], struct str patch, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = statement(s, "INSERT INTO patch VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, from, SHA256_SIZE);
    bind_blob(q, 3, to, SHA256_SIZE);
    if (patch.p)
        bind_blob(q, 4, patch.p, patch.n);
    else
        bind_null(q, 4);
    return stmt_run(q, d);
}
