/* See attach.h. */
#include "agent/attach.h"

#include <stdio.h>

#include "agent/store_impl.h"

/* ---- small helpers ---- */

static enum err no_memory(struct diag *d)
{
    return diag_set(d, ERR_NOMEM, "no memory for an attachment");
}

static enum err run_hash(struct store *s, const char *sql, const unsigned char *hash, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db, sql, &q, d);
    if (rc)
        return rc;
    bind_blob(q, 1, hash, SHA256_SIZE);
    return stmt_run(q, d);
}

static enum err ask_i64(struct store *s, const char *sql, int64_t *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = db_prepare(s->db, sql, &q, d);
    if (!rc)
        rc = stmt_step(q, &row, d);
    if (!rc)
        *out = row ? col_i64(q, 0) : 0;
    stmt_done(q);
    return rc;
}

/* ---- taking in ---- */

#define EXTENSION_MAX 5

/* Lower-case letters and digits only: the name travels and becomes a file elsewhere. */
static void name_of(const unsigned char *hash, struct str file_name, char out[static ATTACH_NAME_MAX])
{
    size_t dot = file_name.n;
    size_t n = 24;
    hex_write(hash, n / 2, out);
    while (dot > 0 && file_name.p[dot - 1] != '.' && file_name.p[dot - 1] != '/')
        dot--;
    struct str extension = str_sub(file_name, dot, file_name.n);
    bool good = dot > 0 && file_name.p[dot - 1] == '.' && extension.n >= 1 && extension.n <= EXTENSION_MAX;
    char text[EXTENSION_MAX + 1] = "bin";
    for (size_t i = 0; good && i < extension.n; i++) {
        char c = extension.p[i];
        c = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        text[i] = c;
        text[i + 1] = '\0';
    }
    out[n++] = '.';
    (void)snprintf(out + n, ATTACH_NAME_MAX - n, "%s", good ? text : "bin");
}

static enum err check_size(struct store *s, size_t n, struct diag *d)
{
    int64_t held = 0;
    if (n > ATTACHMENT_SIZE_MAX)
        return diag_set(d, ERR_LIMIT,
                        "this file has %zu bytes and at most %u MiB can be attached: take it smaller", n,
                        ATTACHMENT_SIZE_MAX >> 20);
    enum err rc = ask_i64(s,
                          "SELECT coalesce(sum(size), 0) FROM attachment WHERE hash IN"
                          " (SELECT hash FROM attachment_piece)",
                          &held, d);
    if (!rc && (uint64_t)held + n > ATTACH_ALL_MAX)
        rc = diag_set(d, ERR_LIMIT,
                      "attachments take %u MiB already, which is all there is for them: sync first, so that "
                      "they can go",
                      ATTACH_ALL_MAX >> 20);
    return rc;
}

static enum err put_pieces(struct store *s, const unsigned char *hash, struct str bytes, struct diag *d)
{
    enum err rc = ERR_OK;
    for (size_t at = 0; !rc && at < bytes.n; at += PART_SIZE_MAX) {
        struct stmt *q = NULL;
        struct str piece = str_sub(bytes, at, PART_SIZE_MAX);
        rc = db_prepare(s->db, "INSERT INTO attachment_piece(hash, at, bytes) VALUES(?, ?, ?)", &q, d);
        if (rc)
            break;
        bind_blob(q, 1, hash, SHA256_SIZE);
        bind_i64(q, 2, (int64_t)at);
        bind_blob(q, 3, piece.p, piece.n);
        rc = stmt_run(q, d);
    }
    return rc;
}

static enum err put_row(struct store *s, const unsigned char *hash, const char *name, size_t size,
                        bool *new_out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db,
                             "INSERT INTO attachment(hash, name, size, added_ms) VALUES(?, ?, ?, ?)"
                             " ON CONFLICT(hash) DO UPDATE SET added_ms = excluded.added_ms",
                             &q, d);
    if (rc)
        return rc;
    bind_blob(q, 1, hash, SHA256_SIZE);
    bind_text(q, 2, str_of(name));
    bind_i64(q, 3, (int64_t)size);
    bind_i64(q, 4, s->seam->wall_ms(s->seam->self));
    rc = stmt_run(q, d);
    if (rc)
        return rc;
    rc = db_prepare(s->db, "SELECT 1 FROM attachment_piece WHERE hash = ? LIMIT 1", &q, d);
    if (!rc) {
        bool held = false;
        bind_blob(q, 1, hash, SHA256_SIZE);
        rc = stmt_step(q, &held, d);
        *new_out = !held;
    }
    stmt_done(q);
    return rc;
}

enum err attach_put(struct store *s, struct str file_name, struct str bytes,
                    char name_out[static ATTACH_NAME_MAX], struct diag *d)
{
    unsigned char hash[SHA256_SIZE];
    struct txn t = {0};
    bool fresh = false;
    enum err rc = check_size(s, bytes.n, d);
    if (!rc)
        rc = sha256(bytes, hash);
    if (rc)
        return rc;
    name_of(hash, file_name, name_out);
    rc = txn_begin(&t, s->db, d);
    if (!rc)
        rc = put_row(s, hash, name_out, bytes.n, &fresh, d);
    if (!rc && fresh)
        rc = put_pieces(s, hash, bytes, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    return rc;
}

enum err attach_file(struct store *s, const struct seam *seam, struct arena *a, struct str path,
                     struct str *name_out, struct diag *d)
{
    struct buf bytes;
    struct diag said = {0};
    char name[ATTACH_NAME_MAX];
    const char *z = arena_z(a, path);
    buf_init(&bytes, ATTACHMENT_SIZE_MAX);
    enum err rc = z ? seam->file_read(seam->self, z, &bytes, &said) : no_memory(&said);
    if (rc == ERR_LIMIT)
        rc = diag_set(d, rc, "%s is too large: at most %u MiB can be attached; take it smaller", z,
                      ATTACHMENT_SIZE_MAX >> 20);
    else if (rc)
        rc = diag_set(d, rc, "%s", said.text);
    if (!rc)
        rc = attach_put(s, path, buf_str(&bytes), name, d);
    if (!rc) {
        *name_out = arena_str(a, str_of(name));
        rc = name_out->p ? ERR_OK : no_memory(d);
    }
    buf_free(&bytes);
    return rc;
}

static enum err pieces_read(struct store *s, const unsigned char *hash, uint64_t from, uint64_t to,
                            struct buf *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = true;
    enum err rc = db_prepare(
        s->db, "SELECT bytes FROM attachment_piece WHERE hash = ? AND at >= ? AND at < ? ORDER BY at", &q, d);
    if (!rc) {
        bind_blob(q, 1, hash, SHA256_SIZE);
        bind_i64(q, 2, (int64_t)from);
        bind_i64(q, 3, (int64_t)to);
    }
    while (!rc && row) {
        rc = stmt_step(q, &row, d);
        if (!rc && row)
            buf_put_str(out, col_blob(q, 0));
    }
    stmt_done(q);
    return rc ? rc : out->failed ? diag_set(d, out->failed, "an attachment is larger than can be read") : rc;
}

enum err attach_get(struct store *s, struct str name, struct buf *out, struct diag *d)
{
    struct stmt *q = NULL;
    unsigned char hash[SHA256_SIZE] = {0};
    uint64_t size = 0;
    bool row = false;
    enum err rc = db_prepare(s->db, "SELECT hash, size FROM attachment WHERE name = ?", &q, d);
    if (!rc) {
        bind_text(q, 1, name);
        rc = stmt_step(q, &row, d);
    }
    if (!rc && row && col_blob(q, 0).n == SHA256_SIZE) {
        memcpy(hash, col_blob(q, 0).p, SHA256_SIZE);
        size = (uint64_t)col_i64(q, 1);
    }
    stmt_done(q);
    size_t before = out->n;
    if (!rc && row)
        rc = pieces_read(s, hash, 0, INT64_MAX, out, d);
    if (!rc && (!row || out->n - before != size))
        rc = diag_set(d, ERR_NOT_FOUND, "the file %.*s is not on this device (any more)", STR_ARG(name));
    return rc;
}

/* ---- linking ---- */

static bool names_it(struct str xml, struct str name)
{
    for (ptrdiff_t at = 0; (at = str_find(xml, name)) >= 0;) {
        size_t end = (size_t)at + name.n;
        if (at > 0 && xml.p[at - 1] == '>' && end < xml.n && xml.p[end] == '<')
            return true;
        xml = str_sub(xml, end, xml.n);
    }
    return false;
}

struct named {
    unsigned char hash[SHA256_SIZE];
    struct str name;
};

/* The files that the submission names, of all that are here. */
static enum err named_in(struct store *s, struct arena *a, struct str xml, struct named **out,
                         uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    VEC(struct named) list = {0};
    bool row = true;
    enum err rc = db_prepare(s->db, "SELECT hash, name FROM attachment", &q, d);
    while (!rc && row) {
        rc = stmt_step(q, &row, d);
        if (rc || !row || !names_it(xml, col_text(q, 1)) || col_blob(q, 0).n != SHA256_SIZE)
            continue;
        struct named *slot = vec_push(a, &list);
        if (!slot || !(slot->name = arena_str(a, col_text(q, 1))).p)
            rc = no_memory(d);
        else
            memcpy(slot->hash, col_blob(q, 0).p, SHA256_SIZE);
    }
    stmt_done(q);
    *out = list.at;
    *count_out = list.count;
    return rc;
}

static enum err put_link(struct store *s, int64_t visit, const struct named *n, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(
        s->db, "INSERT INTO attachment_link(visit, name, hash) VALUES(?, ?, ?) ON CONFLICT DO NOTHING", &q,
        d);
    if (rc)
        return rc;
    bind_i64(q, 1, visit);
    bind_text(q, 2, n->name);
    bind_blob(q, 3, n->hash, SHA256_SIZE);
    rc = stmt_run(q, d);
    if (rc || db_changes(s->db) == 0)
        return rc;
    return run_hash(s, "UPDATE attachment SET delivered_ms = 0 WHERE hash = ?", n->hash, d);
}

enum err attach_link(struct store *s, int64_t visit, struct str xml, struct diag *d)
{
    struct arena a;
    struct named *list = NULL;
    uint32_t count = 0;
    struct txn t = {0};
    arena_init(&a, 16u << 20);
    enum err rc = named_in(s, &a, xml, &list, &count, d);
    if (!rc && count > 0) {
        rc = txn_begin(&t, s->db, d);
        for (uint32_t i = 0; !rc && i < count; i++)
            rc = put_link(s, visit, &list[i], d);
        if (!rc)
            rc = txn_commit(&t, d);
        txn_rollback(&t);
    }
    arena_free(&a);
    return rc;
}

enum err attach_link_one(struct store *s, int64_t row, struct str name, struct diag *d)
{
    struct buf named;
    buf_init(&named, 4096);
    buf_put_char(&named, '>');
    buf_put_str(&named, name);
    buf_put_char(&named, '<');
    enum err rc = named.failed ? diag_set(d, ERR_LIMIT, "the photo's name is too long")
                               : attach_link(s, row, buf_str(&named), d);
    buf_free(&named);
    return rc;
}

/* ---- cutting ---- */

/* What is linked to a finished visit, or to a step or indicator of a lead, and has a part, or a link, that no
 * frame carries. state of visits: 1 is finalised. */
#define ROW_IS_FINISHED "(row.state = 1 OR row.kind IN (12, 13))"
#define LINK_IS_FINISHED "EXISTS (SELECT 1 FROM row WHERE row.key = l.visit AND " ROW_IS_FINISHED ")"
#define NEXT_FILE                                                                           \
    "SELECT f.hash, f.size FROM attachment f WHERE EXISTS (SELECT 1 FROM attachment_link l" \
    "  WHERE l.hash = f.hash AND " LINK_IS_FINISHED " AND (l.part = 0 OR"                   \
    "  (SELECT count(*) FROM part p WHERE p.hash = f.hash AND p.at < max(f.size, 1)) <"     \
    "  max(1, (f.size + ?1 - 1) / ?1))) ORDER BY f.added_ms, f.hash LIMIT 1"

struct cutting {
    struct store *s;
    struct arena a;
    struct part part;
    struct part_link *links;
    struct buf bytes;
    int64_t number;
};

static enum err next_file(struct cutting *x, bool *any_out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(x->s->db, NEXT_FILE, &q, d);
    if (!rc) {
        bind_i64(q, 1, PART_SIZE_MAX);
        rc = stmt_step(q, any_out, d);
    }
    if (!rc && *any_out && col_blob(q, 0).n == SHA256_SIZE) {
        memcpy(x->part.hash, col_blob(q, 0).p, SHA256_SIZE);
        x->part.size = (uint64_t)col_i64(q, 1);
    }
    stmt_done(q);
    return rc;
}

/* The first part that no frame carries; the file's size when there is none, and only names are left to tell.
 */
static enum err next_at(struct cutting *x, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = true;
    enum err rc = db_prepare(x->s->db, "SELECT at FROM part WHERE hash = ? ORDER BY at", &q, d);
    if (!rc)
        bind_blob(q, 1, x->part.hash, SHA256_SIZE);
    while (!rc && row) {
        rc = stmt_step(q, &row, d);
        if (!rc && row && (uint64_t)col_i64(q, 0) == x->part.at)
            x->part.at += PART_SIZE_MAX;
    }
    stmt_done(q);
    if (x->part.at > x->part.size)
        x->part.at = x->part.size;
    return rc;
}

static enum err links_of(struct cutting *x, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = true;
    x->links = ARENA_ARRAY(&x->a, struct part_link, PART_LINKS_MAX);
    enum err rc = x->links
                      ? db_prepare(x->s->db,
                                   "SELECT l.name, row.device, row.inc, row.counter FROM attachment_link l"
                                   " JOIN row ON row.key = l.visit AND " ROW_IS_FINISHED
                                   " WHERE l.hash = ? AND l.part = 0 ORDER BY l.visit, l.name LIMIT ?",
                                   &q, d)
                      : no_memory(d);
    if (!rc) {
        bind_blob(q, 1, x->part.hash, SHA256_SIZE);
        bind_i64(q, 2, PART_LINKS_MAX);
    }
    while (!rc && row) {
        rc = stmt_step(q, &row, d);
        if (rc || !row)
            break;
        struct part_link *l = &x->links[x->part.link_count++];
        row_id_write((struct row_id){(uint64_t)col_i64(q, 1), (uint32_t)col_i64(q, 2),
                                     (uint32_t)col_i64(q, 3)},
                     l->visit);
        l->name = arena_str(&x->a, col_text(q, 0));
        if (!l->name.p)
            rc = no_memory(d);
    }
    stmt_done(q);
    x->part.links = x->links;
    return rc;
}

static enum err links_mark(struct cutting *x, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < x->part.link_count; i++) {
        struct stmt *q = NULL;
        struct row_id id;
        const struct part_link *l = &x->links[i];
        CHECK(row_id_read((struct str){(const char *)l->visit, ROW_ID_SIZE}, &id));
        rc = db_prepare(x->s->db,
                        "UPDATE attachment_link SET part = ?1 WHERE hash = ?2 AND name = ?3 AND visit ="
                        " (SELECT key FROM row WHERE device = ?4 AND inc = ?5 AND counter = ?6)",
                        &q, d);
        if (rc)
            break;
        bind_i64(q, 1, x->number);
        bind_blob(q, 2, x->part.hash, SHA256_SIZE);
        bind_text(q, 3, l->name);
        bind_i64(q, 4, (int64_t)id.device);
        bind_i64(q, 5, id.inc);
        bind_i64(q, 6, id.counter);
        rc = stmt_run(q, d);
    }
    return rc;
}

static enum err seal_part(struct cutting *x, struct buf *frame_out, struct diag *d)
{
    const struct identity *id = &x->s->id;
    struct buf payload;
    unsigned char seed[32];
    struct keyset keys;
    struct frame_seal how = {.type = FRAME_OBJECT,
                             .device = id->by.device,
                             .inc = id->by.inc,
                             .batch_seq = (uint64_t)x->number,
                             .schema = BATCH_SCHEMA_PART,
                             .author = &id->sign,
                             .ephemeral_seed = seed};
    buf_init(&payload, FRAME_RAW_MAX);
    enum err rc = keyset_read(&x->a, id->keyset, NULL, &keys, d);
    how.recipient = keys.seal_public;
    if (!rc)
        rc = x->s->seam->random(x->s->seam->self, seed, sizeof seed);
    if (!rc)
        rc = part_write(&x->part, &payload);
    if (!rc)
        rc = frame_make(&how, buf_str(&payload), frame_out, d);
    crypto_wipe(seed, sizeof seed);
    if (payload.p)
        crypto_wipe(payload.p, payload.room);
    buf_free(&payload);
    return rc ? diag_set(d, rc, "a part of an attachment could not be sealed") : ERR_OK;
}

static enum err keep_part(struct cutting *x, struct str frame, struct diag *d)
{
    struct frame f;
    size_t size;
    struct stmt *q = NULL;
    enum err rc = frame_parse(frame, &f, &size, d);
    if (!rc)
        rc = db_prepare(x->s->db,
                        "INSERT INTO part(n, hash, at, inc, batch_id, frame) VALUES(?, ?, ?, ?, ?, ?)", &q,
                        d);
    if (rc)
        return rc;
    bind_i64(q, 1, x->number);
    bind_blob(q, 2, x->part.hash, SHA256_SIZE);
    bind_i64(q, 3, (int64_t)x->part.at);
    bind_i64(q, 4, f.inc);
    bind_blob(q, 5, f.batch_id, BATCH_ID_SIZE);
    bind_blob(q, 6, frame.p, frame.n);
    return stmt_run(q, d);
}

/* Frames of an incarnation that is no longer ours would not be taken: they are cut anew. */
static enum err drop_of_others(struct store *s, struct diag *d)
{
    static const char *const sql[] = {"UPDATE attachment_link SET part = 0 WHERE part IN (SELECT n FROM part "
                                      "WHERE status = 0 AND inc <> ?1)",
                                      "DELETE FROM part WHERE status = 0 AND inc <> ?1"};
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < 2; i++) {
        struct stmt *q = NULL;
        rc = db_prepare(s->db, sql[i], &q, d);
        if (rc)
            break;
        bind_i64(q, 1, s->id.by.inc);
        rc = stmt_run(q, d);
    }
    return rc;
}

static enum err cut(struct cutting *x, struct buf *frame_out, bool *any_out, struct diag *d)
{
    enum err rc = drop_of_others(x->s, d);
    if (!rc)
        rc = next_file(x, any_out, d);
    if (rc || !*any_out)
        return rc;
    rc = next_at(x, d);
    if (!rc)
        rc = links_of(x, d);
    if (!rc)
        rc = pieces_read(x->s, x->part.hash, x->part.at, x->part.at + PART_SIZE_MAX, &x->bytes, d);
    x->part.bytes = buf_str(&x->bytes);
    uint64_t left = x->part.size - x->part.at;
    if (!rc && x->bytes.n != (left < PART_SIZE_MAX ? left : PART_SIZE_MAX))
        rc = diag_set(d, ERR_CORRUPT, "an attachment lacks some of its bytes: doorstep status --check");
    if (!rc)
        rc = ask_i64(x->s, "SELECT max(n) FROM part", &x->number, d);
    x->number++;
    if (!rc)
        rc = seal_part(x, frame_out, d);
    if (!rc)
        rc = keep_part(x, buf_str(frame_out), d);
    return rc ? rc : links_mark(x, d);
}

static enum err part_waiting(struct store *s, uint64_t after, uint64_t *number_out, struct buf *frame_out,
                             bool *any_out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db,
                             "SELECT n, frame FROM part WHERE status = 0 AND n > ? AND inc = ?"
                             " ORDER BY n LIMIT 1",
                             &q, d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)after);
        bind_i64(q, 2, s->id.by.inc);
        rc = stmt_step(q, any_out, d);
    }
    if (!rc && *any_out) {
        *number_out = (uint64_t)col_i64(q, 0);
        buf_put_str(frame_out, col_blob(q, 1));
        rc = frame_out->failed;
    }
    stmt_done(q);
    return rc;
}

enum err attach_part_next(struct store *s, uint64_t after, uint64_t *number_out, struct buf *frame_out,
                          bool *any_out, struct diag *d)
{
    struct cutting x = {.s = s};
    struct txn t = {0};
    *any_out = false;
    if (!s->id.enrolled)
        return ERR_OK;
    enum err rc = part_waiting(s, after, number_out, frame_out, any_out, d);
    if (rc || *any_out)
        return rc;
    arena_init(&x.a, 4u << 20);
    buf_init(&x.bytes, PART_SIZE_MAX);
    rc = txn_begin(&t, s->db, d);
    if (!rc)
        rc = cut(&x, frame_out, any_out, d);
    if (!rc && *any_out)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    *number_out = (uint64_t)x.number;
    buf_free(&x.bytes);
    arena_free(&x.a);
    return rc;
}

/* ---- delivered ---- */

static enum err take_part(struct store *s, const struct receipt_part *part, uint32_t epoch, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc =
        db_prepare(s->db,
                   "UPDATE part SET status = ?1, reason = ?2, frame = x'', epoch = ?4 WHERE batch_id = ?3"
                   " AND status = 0",
                   &q, d);
    if (rc)
        return rc;
    bind_i64(q, 1, part->status);
    bind_text(q, 2, part->reason);
    bind_blob(q, 3, part->batch_id, BATCH_ID_SIZE);
    bind_i64(q, 4, epoch);
    return stmt_run(q, d);
}

/* A file is delivered when all of it and all its names have receipts. */
#define DELIVERED                                                                            \
    "UPDATE attachment AS f SET delivered_ms = ?1 WHERE delivered_ms = 0"                    \
    " AND NOT EXISTS (SELECT 1 FROM attachment_link l WHERE l.hash = f.hash AND l.part = 0)" \
    " AND NOT EXISTS (SELECT 1 FROM part p WHERE p.hash = f.hash AND p.status <> 1)"         \
    " AND (SELECT count(*) FROM part p WHERE p.hash = f.hash AND p.at < max(f.size, 1)) >="  \
    "  max(1, (f.size + ?2 - 1) / ?2)"

static enum err mark_delivered(struct store *s, int64_t server_time_ms, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db, DELIVERED, &q, d);
    if (rc)
        return rc;
    bind_i64(q, 1, server_time_ms > 0 ? server_time_ms : 1);
    bind_i64(q, 2, PART_SIZE_MAX);
    return stmt_run(q, d);
}

enum err attach_receipt(struct store *s, const struct receipt *r, struct diag *d)
{
    struct txn t = {0};
    if (r->part_count == 0)
        return ERR_OK;
    enum err rc = txn_begin(&t, s->db, d);
    for (uint32_t i = 0; !rc && i < r->part_count; i++)
        rc = take_part(s, &r->parts[i], r->epoch, d);
    if (!rc)
        rc = mark_delivered(s, r->server_time_ms, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    return rc;
}

/* What the centre had before it was set back it may have lost: files whose bytes are still here go again. */
enum err attach_set_back(struct store *s, uint32_t epoch, struct diag *d)
{
#define TOLD_BEFORE                                                          \
    " WHERE hash IN (SELECT hash FROM part WHERE status > 0 AND epoch < ?1)" \
    " AND hash IN (SELECT hash FROM attachment_piece)"
    static const char *const sql[] = {"UPDATE attachment SET delivered_ms = 0" TOLD_BEFORE,
                                      "UPDATE attachment_link SET part = 0" TOLD_BEFORE,
                                      "DELETE FROM part" TOLD_BEFORE,
                                      "UPDATE part SET epoch = ?1 WHERE status > 0 AND epoch < ?1"};
#undef TOLD_BEFORE
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < sizeof sql / sizeof *sql; i++) {
        struct stmt *q = NULL;
        rc = db_prepare(s->db, sql[i], &q, d);
        if (rc)
            break;
        bind_i64(q, 1, epoch);
        rc = stmt_run(q, d);
    }
    return rc;
}

/* The centre's time, as it was last told: no clock of ours cuts the retention short. */
static enum err centre_time(struct store *s, int64_t *out, struct diag *d)
{
    struct arena a;
    struct str text;
    arena_init(&a, 64u << 10);
    enum err rc = meta_get(s, "anchor_ms", &a, &text, d);
    if (!rc && !str_to_i64(text, out))
        *out = 0;
    arena_free(&a);
    return rc;
}

enum err attach_forget(struct store *s, struct diag *d)
{
    static const char *const sql[] = {
        /* no answer names it, and nobody took it in just now */
        ("DELETE FROM attachment WHERE added_ms < ?1 AND NOT EXISTS"
         " (SELECT 1 FROM attachment_link l WHERE l.hash = attachment.hash)"
         " AND NOT EXISTS (SELECT 1 FROM row WHERE row.kind = 4 AND row.state = 0)"),
        /* what is known of a file stays: a later visit may name it again */
        ("DELETE FROM attachment_piece WHERE hash IN"
         " (SELECT hash FROM attachment WHERE delivered_ms > 0 AND delivered_ms < ?2)"),
        "DELETE FROM attachment_piece WHERE hash NOT IN (SELECT hash FROM attachment)",
    };
    int64_t now_ms = s->seam->wall_ms(s->seam->self), centre_ms = 0, any = 0;
    struct txn t = {0};
    enum err rc = ask_i64(s, "SELECT EXISTS (SELECT 1 FROM attachment)", &any, d);
    if (rc || !any)
        return rc;
    rc = txn_begin(&t, s->db, d);
    if (!rc)
        rc = centre_time(s, &centre_ms, d);
    for (size_t i = 0; !rc && i < sizeof sql / sizeof *sql; i++) {
        struct stmt *q = NULL;
        rc = db_prepare(s->db, sql[i], &q, d);
        if (rc)
            break;
        if (i == 0)
            bind_i64(q, 1, now_ms - ATTACH_LOOSE_MS);
        if (i == 1)
            bind_i64(q, 2, centre_ms - ATTACH_KEEP_MS);
        rc = stmt_run(q, d);
    }
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    return rc;
}

enum err attach_status(struct store *s, struct attach_status *out, struct diag *d)
{
    static const char sql[] =
        "SELECT count(*) FILTER (WHERE delivered_ms = 0),"
        " coalesce(sum(size) FILTER (WHERE delivered_ms = 0), 0),"
        " count(*) FILTER (WHERE delivered_ms > 0),"
        " (SELECT count(DISTINCT hash) FROM part WHERE status = 3)"
        " FROM attachment f WHERE EXISTS (SELECT 1 FROM attachment_link l WHERE l.hash = f.hash"
        " AND " LINK_IS_FINISHED ")";
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = db_prepare(s->db, sql, &q, d);
    if (!rc)
        rc = stmt_step(q, &row, d);
    if (!rc && row)
        *out = (struct attach_status){(uint64_t)col_i64(q, 0), (uint64_t)col_i64(q, 1),
                                      (uint64_t)col_i64(q, 2), (uint64_t)col_i64(q, 3)};
    stmt_done(q);
    return rc;
}
