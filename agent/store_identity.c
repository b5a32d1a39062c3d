/* Whose work it is: how an incarnation of this device ends, and how what it has not delivered goes over to
 * the next.
 *
 * An incarnation ends when the centre says so (a copy of the device has sent too, or a person shut it out),
 * or when these data turn out to be older than what was sent: a backup was put back. From then on nothing is
 * frozen under its name; people go on capturing. Once another identity is granted, everything that the centre
 * does not have becomes the work of that one: rows that it does not know get new ids, frozen frames without
 * receipt are cut anew.
 */
#include "agent/store_impl.h"

static const char *const over_names[] = {
    [OVER_COPY] = "copy", [OVER_RESTORED] = "restored", [OVER_REVOKED] = "revoked"};

enum err identity_over(struct store *s, enum over_why why, struct diag *d)
{
    struct arena a;
    struct str now = STR_NONE;

    if (!s->id.enrolled)
        return ERR_OK;
    arena_init(&a, 64u << 10);
    enum err rc = meta_get(s, "over", &a, &now, d);
    if (!rc && (!now.n || why == OVER_REVOKED))
        rc = meta_put_str(s, "over", str_of(over_names[why]), d);
    arena_free(&a);
    return rc;
}

/* ---- a database that is older than what it sent ---- */

static enum err count_of_frozen(struct store *s, uint64_t *out, struct diag *d)
{
    struct arena a;
    struct str text;

    arena_init(&a, 64u << 10);
    enum err rc = meta_get(s, "frozen", &a, &text, d);
    if (!rc && (!text.n || !str_to_u64(text, out)))
        *out = 0;
    arena_free(&a);
    return rc;
}

enum err frozen_count(struct store *s, struct diag *d)
{
    struct buf text;
    uint64_t n = 0;

    buf_init(&text, 64);
    enum err rc = count_of_frozen(s, &n, d);
    buf_put_u64(&text, n + 1);
    /* The file first: it may be one ahead after a power cut, but never behind what was sent. */
    if (!rc)
        rc = s->seam->file_write(s->seam->self, s->count_path, buf_str(&text), false, d);
    if (!rc)
        rc = meta_put_str(s, "frozen", buf_str(&text), d);
    buf_free(&text);
    return rc;
}

enum err restored_look(struct store *s, struct diag *d)
{
    struct buf file;
    struct diag quiet = {0};
    struct txn t = {0};
    uint64_t in_file = 0, here = 0;

    buf_init(&file, 64);
    bool told = s->id.enrolled && !s->id.over.n &&
                !s->seam->file_read(s->seam->self, s->count_path, &file, &quiet) &&
                str_to_u64(str_trim(buf_str(&file)), &in_file);
    buf_free(&file);
    enum err rc = told ? count_of_frozen(s, &here, d) : ERR_OK;
    if (rc || !told || in_file <= here + 1)
        return rc;
    rc = txn_begin(&t, s->db, d);
    if (!rc)
        rc = identity_over(s, OVER_RESTORED, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    return rc ? rc : store_refresh(s, d);
}

enum err store_frozen_lost(struct store *s, struct arena *a, struct frozen **list_out, uint32_t *count_out,
                           struct diag *d)
{
    struct stmt *q = NULL;
    bool more = false;
    VEC(struct frozen) list = {0};

    enum err rc = db_prepare(
        s->db, "SELECT bseq, batch_id FROM outbox WHERE inc = ? AND status NOT IN (1, 2, 9) ORDER BY bseq",
        &q, d);
    if (!rc)
        bind_i64(q, 1, s->id.by.inc);
    while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
        struct frozen *f = vec_push(a, &list);
        struct str id = col_blob(q, 1);
        if (!f || id.n != BATCH_ID_SIZE) {
            rc = diag_set(d, f ? ERR_CORRUPT : ERR_NOMEM, "the frames that wait could not be read");
            break;
        }
        f->batch_seq = (uint64_t)col_i64(q, 0);
        memcpy(f->batch_id, id.p, BATCH_ID_SIZE);
    }
    stmt_done(q);
    if (!rc) {
        *list_out = list.at;
        *count_out = list.count;
    }
    return rc;
}

/* ---- handing over ---- */

struct handover {
    struct store *s;
    const struct identity *from, *to;
    struct arena a;
    VEC(int64_t) rows;  /* keys of those that get new ids */
    struct map renamed; /* old row ids */
};

/* What has no receipt was never the centre's: its changes count as not cut. */
static enum err uncut(struct handover *h, struct diag *d)
{
    static const char *const sql[] = {
        "UPDATE chg SET batch = 0 WHERE batch IN (SELECT batch FROM outbox WHERE status NOT IN (1, 2, 9)) "
        "AND "
        "batch > 0",
        "UPDATE outbox SET status = 9, receipt_ms = coalesce(receipt_ms, 1) WHERE status NOT IN (1, 2, 9)"};
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < sizeof sql / sizeof *sql; i++)
        rc = db_exec(h->s->db, sql[i], d);
    /* Another device counts its frames from 1 under the same incarnation. */
    if (!rc && h->from->by.device != h->to->by.device)
        rc = db_exec(h->s->db, "UPDATE outbox SET inc = 0", d);
    return rc;
}

static enum err rows_find(struct handover *h, struct diag *d)
{
    struct stmt *q = NULL;
    bool more = false;
    enum err rc =
        db_prepare(h->s->db,
                   "SELECT key, counter FROM row WHERE device = ? AND inc = ? AND key IN (SELECT row "
                   "FROM chg WHERE op = 3 AND batch = 0)",
                   &q, d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)h->from->by.device);
        bind_i64(q, 2, h->from->by.inc);
    }
    while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
        unsigned char id[ROW_ID_SIZE];
        int64_t *key = vec_push(&h->a, &h->rows);
        row_id_write((struct row_id){h->from->by.device, h->from->by.inc, (uint32_t)col_i64(q, 1)}, id);
        struct str kept = arena_str(&h->a, (struct str){(const char *)id, sizeof id});
        if (!key || !kept.p || map_put(&h->renamed, kept, 1))
            rc = diag_set(d, ERR_NOMEM, "no memory to hand earlier work over");
        else
            *key = col_i64(q, 0);
        if (rc)
            break;
    }
    stmt_done(q);
    return rc;
}

static void id_rename(struct handover *h, struct row_id *id)
{
    unsigned char bytes[ROW_ID_SIZE];
    uint32_t one;
    row_id_write(*id, bytes);
    if (!map_get(&h->renamed, (struct str){(const char *)bytes, sizeof bytes}, &one))
        return;
    id->device = h->to->by.device;
    id->inc = h->to->by.inc;
}

static enum err birth_value(struct handover *h, struct str *value, struct diag *d)
{
    struct row_birth birth;
    struct buf b;
    if (!row_birth_read(*value, &birth))
        return ERR_OK;
    id_rename(h, &birth.parent);
    buf_init(&b, 256);
    enum err rc = row_birth_write(&b, &birth);
    if (!rc)
        *value = arena_str(&h->a, buf_str(&b));
    buf_free(&b);
    return rc || !value->p ? diag_set(d, ERR_NOMEM, "no memory to hand earlier work over") : ERR_OK;
}

static enum err birth_logged(struct handover *h, int64_t key, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = db_prepare(h->s->db, "SELECT seq, val FROM chg WHERE row = ? AND op = 3 AND batch = 0", &q,
                             d);
    if (!rc) {
        bind_i64(q, 1, key);
        rc = stmt_step(q, &row, d);
    }
    int64_t seq = !rc && row ? col_i64(q, 0) : 0;
    struct str value = !rc && row ? arena_str(&h->a, col_blob(q, 1)) : STR("");
    stmt_done(q);
    q = NULL;
    if (!rc && row)
        rc = birth_value(h, &value, d);
    if (!rc && row)
        rc = db_prepare(h->s->db, "UPDATE chg SET val = ? WHERE seq = ?", &q, d);
    if (!rc && row) {
        bind_blob(q, 1, value.p, value.n);
        bind_i64(q, 2, seq);
        rc = stmt_run(q, d);
    }
    return rc;
}

/* The row's own birth, as the record has it. The row carries its new id already. */
static enum err birth_recorded(struct handover *h, const struct row *row, struct record *r, struct diag *d)
{
    if (!r->born || r->birth.device != h->from->by.device || r->birth.inc != h->from->by.inc ||
        row->id.device != h->to->by.device || row->id.inc != h->to->by.inc)
        return ERR_OK;
    r->birth.device = h->to->by.device;
    r->birth.inc = h->to->by.inc;
    return birth_value(h, &r->birth.value, d);
}

struct of_row {
    int64_t row;
    uint64_t seq;
};

static enum err record_rename(struct handover *h, const struct of_row *list, uint32_t count, struct diag *d)
{
    struct row row;
    struct record r;
    uint64_t *seqs = ARENA_ARRAY(&h->a, uint64_t, count);
    if (!seqs)
        return diag_set(d, ERR_NOMEM, "no memory to hand earlier work over");
    for (uint32_t i = 0; i < count; i++)
        seqs[i] = list[i].seq;
    enum err rc = row_by_key(h->s, list[0].row, &row, d);
    if (!rc)
        rc = record_load(h->s, &h->a, &row, &r, d);
    if (!rc)
        rc = birth_recorded(h, &row, &r, d);
    const struct record_handover w = {
        h->from->by.device, h->from->by.inc, h->to->by.device, h->to->by.inc, seqs, count};
    if (!rc && record_hand_over(&h->a, &r, &w))
        rc = diag_set(d, ERR_NOMEM, "no memory to hand earlier work over");
    return rc || (!r.born && !r.count) ? rc : record_save(h->s, row.key, &r, d);
}

/* All changes that are not cut, row by row. */
static enum err records_rename(struct handover *h, struct diag *d)
{
    struct stmt *q = NULL;
    bool more = false;
    VEC(struct of_row) list = {0};
    enum err rc = db_prepare(h->s->db, "SELECT row, seq FROM chg WHERE batch = 0 ORDER BY row, seq", &q, d);
    while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
        struct of_row *slot = vec_push(&h->a, &list);
        if (slot)
            *slot = (struct of_row){col_i64(q, 0), (uint64_t)col_i64(q, 1)};
        else
            rc = diag_set(d, ERR_NOMEM, "no memory to hand earlier work over");
    }
    stmt_done(q);
    for (uint32_t i = 0, n; !rc && i < list.count; i += n) {
        struct arena_mark mark = arena_mark(&h->a);
        for (n = 1; i + n < list.count && list.at[i + n].row == list.at[i].row; n++) {
        }
        rc = record_rename(h, list.at + i, n, d);
        arena_release(&h->a, mark);
    }
    return rc;
}

static enum err ids_write(struct handover *h, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < h->rows.count; i++) {
        struct stmt *q = NULL;
        rc = db_prepare(h->s->db, "UPDATE row SET device = ?, inc = ? WHERE key = ?", &q, d);
        if (rc)
            break;
        bind_i64(q, 1, (int64_t)h->to->by.device);
        bind_i64(q, 2, h->to->by.inc);
        bind_i64(q, 3, h->rows.at[i]);
        rc = stmt_run(q, d);
    }
    return rc;
}

enum err rows_rename(struct store *s, const struct identity *from, const struct identity *to, struct diag *d)
{
    struct handover h = {.s = s, .from = from, .to = to};
    struct stmt *q = NULL;

    arena_init(&h.a, STORE_SCRATCH_MAX);
    map_init(&h.renamed, &h.a);
    enum err rc = uncut(&h, d);
    if (!rc)
        rc = rows_find(&h, d);
    if (!rc)
        rc = ids_write(&h, d);
    for (uint32_t i = 0; !rc && i < h.rows.count; i++)
        rc = birth_logged(&h, h.rows.at[i], d);
    if (!rc)
        rc = records_rename(&h, d);
    if (!rc)
        rc = db_prepare(s->db, "UPDATE chg SET person = ?, role = ? WHERE batch = 0", &q, d);
    if (!rc) {
        bind_i64(q, 1, to->by.person);
        bind_i64(q, 2, to->by.role);
        rc = stmt_run(q, d);
    }
    /* The new one has been told nothing yet: what the old one delivered comes to it like anybody's. */
    if (!rc)
        rc = db_exec(s->db, "UPDATE counters SET cursor = 0", d);
    arena_free(&h.a);
    return rc;
}
