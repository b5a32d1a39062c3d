/* Whose work it is: how an incarnation of this device ends, and how what it has not delivered goes over to
 * the next.
 *
 * An incarnation ends when the centre says so (a copy of the device has sent too, or a person shut it out),
 * or when these data turn out to be older than what was sent: a backup was put back. From then on nothing is
 * frozen under its name; people go on capturing. Once another identity is granted, everything that the centre
 * does not have becomes the work of that one: rows that it does not know get new ids, frozen frames without
 * receipt are cut anew. What was finished before a copy was made, both copies hold: the centre says under
 * which incarnation such a visit goes, so that both name it alike and it counts once. And the new incarnation
 * is the heir of what it goes on from (`heir`): to what it said before, it is the same author.
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

/* ---- what it goes on from ---- */

enum err heirs_read(struct store *s, struct arena *a, uint64_t device, uint32_t inc, struct identity *out,
                    struct diag *d)
{
    struct stmt *q = NULL;
    bool more = false;
    VEC(struct heir) list = {0};
    enum err rc = db_prepare(s->db, "SELECT inc, upto FROM heir ORDER BY inc", &q, d);
    while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
        struct heir *h = vec_push(a, &list);
        if (h)
            *h = (struct heir){device, inc, (uint32_t)col_i64(q, 0), (uint64_t)col_i64(q, 1)};
        else
            rc = diag_set(d, ERR_NOMEM, "no memory for this device's settings");
    }
    stmt_done(q);
    out->heirs = list.at;
    out->heir_count = list.count;
    return rc;
}

enum err record_inherit_own(const struct store *s, struct arena *a, struct record *r, struct diag *d)
{
    for (uint32_t i = 0; i < s->id.heir_count; i++)
        if (record_inherit(a, r, &s->id.heirs[i]))
            return diag_set(d, ERR_NOMEM, "no memory for a record");
    return ERR_OK;
}

static enum err heir_put(struct store *s, uint32_t inc, uint64_t upto, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db,
                             "INSERT INTO heir(inc, upto) VALUES(?, ?) ON CONFLICT(inc) DO UPDATE SET upto = "
                             "max(upto, excluded.upto)",
                             &q, d);
    if (!rc) {
        bind_i64(q, 1, inc);
        bind_i64(q, 2, (int64_t)upto);
        rc = stmt_run(q, d);
    }
    return rc;
}

/* Visits that are finished and have no receipt, and the last change that has one. */
#define SAID_OF_VISIT(field) \
    "coalesce((SELECT val FROM chg c WHERE c.row = v.key AND c.visit = v.key AND c.fld = " field "), '')"
#define UNDELIVERED                                                                                          \
    "SELECT v.counter, chg.seq, v.key, v.parent, " SAID_OF_VISIT("4") ", " SAID_OF_VISIT(                    \
        "6") ", " SAID_OF_VISIT("7") " FROM chg JOIN row v ON v.key = chg.row WHERE chg.op = 5 AND chg.inc " \
                                     "= 0 AND "                                                              \
                                     "v.state = 1 AND v.inc = ?1 AND (chg.batch = 0 OR chg.batch IN "        \
                                     "(SELECT batch FROM outbox WHERE "                                      \
                                     "status NOT IN (1, 2, 9))) ORDER BY chg.seq"

enum err store_undelivered(struct store *s, struct arena *a, struct incarnation_visit **list_out,
                           uint32_t *count_out, uint64_t *upto_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool more = false;
    VEC(struct incarnation_visit) list = {0};
    enum err rc = db_prepare(s->db, UNDELIVERED, &q, d);
    if (!rc)
        bind_i64(q, 1, s->id.by.inc);
    while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
        struct incarnation_visit *v = vec_push(a, &list);
        if (v)
            *v = (struct incarnation_visit){(uint32_t)col_i64(q, 0), (uint64_t)col_i64(q, 1),
                                            incarnation_visit_check(col_blob(q, 4), col_blob(q, 5),
                                                                    col_blob(q, 6))};
        else
            rc = diag_set(d, ERR_NOMEM, "no memory for the visits that wait");
    }
    stmt_done(q);
    q = NULL;
    if (!rc)
        rc = db_prepare(s->db,
                        "SELECT coalesce(max(seq_hi), 0) FROM outbox WHERE inc = ? AND as_inc = 0 AND status "
                        "IN (1, 2)",
                        &q, d);
    if (!rc) {
        bind_i64(q, 1, s->id.by.inc);
        rc = stmt_step(q, &more, d);
    }
    if (!rc) {
        *upto_out = (uint64_t)col_i64(q, 0);
        *list_out = list.at;
        *count_out = list.count;
    }
    stmt_done(q);
    return rc;
}

/* ---- handing over ---- */

struct renamed_row {
    int64_t key;
    uint32_t inc;
};

struct handover {
    struct store *s;
    const struct identity *from, *to;
    struct arena a;
    VEC(struct renamed_row) rows; /* those that get new ids */
    struct map renamed;           /* old row ids, and their new incarnation */
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

struct known_visit {
    int64_t key, interview;
    uint64_t seq;
};

static enum err visits_list(struct handover *h, struct known_visit **list_out, uint32_t *count_out,
                            struct diag *d)
{
    struct stmt *q = NULL;
    bool more = false;
    VEC(struct known_visit) list = {0};
    enum err rc = db_prepare(h->s->db, UNDELIVERED, &q, d);
    if (!rc)
        bind_i64(q, 1, h->from->by.inc);
    while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
        struct known_visit *v = vec_push(&h->a, &list);
        if (v)
            *v = (struct known_visit){col_i64(q, 2), col_i64(q, 3), (uint64_t)col_i64(q, 1)};
        else
            rc = diag_set(d, ERR_NOMEM, "no memory to hand earlier work over");
    }
    stmt_done(q);
    *list_out = list.at;
    *count_out = list.count;
    return rc;
}

/* Its changes, and the birth of its interview when that has waited for it. */
static enum err visit_goes_as(struct handover *h, const struct known_visit *v, uint32_t inc, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc =
        db_prepare(h->s->db,
                   "UPDATE chg SET inc = ?1 WHERE batch = 0 AND inc = 0 AND (visit = ?2 OR (visit = 0 "
                   "AND row = ?3 AND op = 3))",
                   &q, d);
    if (!rc) {
        bind_i64(q, 1, inc);
        bind_i64(q, 2, v->key);
        bind_i64(q, 3, v->interview);
        rc = stmt_run(q, d);
    }
    return rc ? rc : heir_put(h->s, inc, v->seq, d);
}

/* Visits that the centre knows under another name go under that one. What was finished since they were asked
 * about is ours. */
static enum err visits_name(struct handover *h, struct diag *d)
{
    struct known_visit *list = NULL;
    struct str rest = h->to->by.known, word;
    uint32_t count = 0;
    uint64_t inc = 0;
    enum err rc = visits_list(h, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count && rest.n; i++) {
        str_split(&rest, ' ', &word);
        if (!str_to_u64(word.n ? word : rest, &inc) || inc > UINT32_MAX)
            rc = diag_set(d, ERR_CORRUPT, "the centre's answer about earlier visits cannot be read");
        else if (inc != h->to->by.inc)
            rc = visit_goes_as(h, &list[i], (uint32_t)inc, d);
    }
    return rc;
}

static enum err goes_on_from(struct handover *h, struct diag *d)
{
    if (h->from->by.device != h->to->by.device) {
        enum err rc = db_exec(h->s->db, "DELETE FROM heir", d);
        return rc ? rc : db_exec(h->s->db, "UPDATE chg SET inc = 0 WHERE batch = 0", d);
    }
    enum err rc = visits_name(h, d);
    return rc ? rc : heir_put(h->s, h->from->by.inc, h->to->upto, d);
}

/* Rows that the centre does not know get ids of whoever makes them now. */
static enum err rows_find(struct handover *h, struct diag *d)
{
    struct stmt *q = NULL;
    bool more = false;
    enum err rc =
        db_prepare(h->s->db,
                   "SELECT row.key, row.counter, chg.inc FROM row JOIN chg ON chg.row = row.key AND "
                   "chg.op = 3 AND chg.batch = 0 WHERE row.device = ?1 AND row.inc = ?2 AND chg.inc "
                   "<> ?2",
                   &q, d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)h->from->by.device);
        bind_i64(q, 2, h->from->by.inc);
    }
    while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
        unsigned char id[ROW_ID_SIZE];
        struct renamed_row *row = vec_push(&h->a, &h->rows);
        uint32_t inc = col_i64(q, 2) ? (uint32_t)col_i64(q, 2) : h->to->by.inc;
        row_id_write((struct row_id){h->from->by.device, h->from->by.inc, (uint32_t)col_i64(q, 1)}, id);
        struct str kept = arena_str(&h->a, (struct str){(const char *)id, sizeof id});
        if (!row || !kept.p || map_put(&h->renamed, kept, inc))
            rc = diag_set(d, ERR_NOMEM, "no memory to hand earlier work over");
        else
            *row = (struct renamed_row){col_i64(q, 0), inc};
        if (rc)
            break;
    }
    stmt_done(q);
    return rc;
}

static void id_rename(struct handover *h, struct row_id *id)
{
    unsigned char bytes[ROW_ID_SIZE];
    uint32_t inc;
    row_id_write(*id, bytes);
    if (!map_get(&h->renamed, (struct str){(const char *)bytes, sizeof bytes}, &inc))
        return;
    id->device = h->to->by.device;
    id->inc = inc;
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
        (row->id.device == h->from->by.device && row->id.inc == h->from->by.inc))
        return ERR_OK;
    r->birth.device = row->id.device;
    r->birth.inc = row->id.inc;
    return birth_value(h, &r->birth.value, d);
}

struct of_row {
    int64_t row;
    uint64_t seq;
    uint32_t inc; /* that they become those of */
};

/* Those that become changes of one incarnation. */
static enum err record_give(struct handover *h, struct record *r, const struct of_row *list, uint32_t count,
                            uint32_t inc, struct diag *d)
{
    uint32_t n = 0;
    uint64_t *seqs = ARENA_ARRAY(&h->a, uint64_t, count);
    for (uint32_t i = 0; seqs && i < count; i++)
        if (list[i].inc == inc)
            seqs[n++] = list[i].seq;
    const struct record_handover w = {h->from->by.device, h->from->by.inc, h->to->by.device, inc, seqs, n};
    if (!seqs || record_hand_over(&h->a, r, &w))
        return diag_set(d, ERR_NOMEM, "no memory to hand earlier work over");
    return ERR_OK;
}

static enum err record_rename(struct handover *h, const struct of_row *list, uint32_t count, struct diag *d)
{
    struct row row;
    struct record r;
    struct identity heir = *h->to;
    enum err rc = row_by_key(h->s, list[0].row, &row, d);
    if (!rc)
        rc = record_load(h->s, &h->a, &row, &r, d);
    if (!rc)
        rc = heirs_read(h->s, &h->a, h->to->by.device, h->to->by.inc, &heir, d);
    for (uint32_t i = 0; !rc && i < heir.heir_count; i++)
        if (record_inherit(&h->a, &r, &heir.heirs[i]))
            rc = diag_set(d, ERR_NOMEM, "no memory to hand earlier work over");
    if (!rc)
        rc = birth_recorded(h, &row, &r, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        bool before = list[i].inc == h->from->by.inc && h->from->by.device == h->to->by.device;
        for (uint32_t k = 0; k < i && !before; k++)
            before = list[k].inc == list[i].inc;
        if (!before)
            rc = record_give(h, &r, list, count, list[i].inc, d);
    }
    return rc || (!r.born && !r.count) ? rc : record_save(h->s, row.key, &r, d);
}

/* All changes that are not cut, row by row. */
static enum err records_rename(struct handover *h, struct diag *d)
{
    struct stmt *q = NULL;
    bool more = false;
    VEC(struct of_row) list = {0};
    enum err rc = db_prepare(h->s->db, "SELECT row, seq, inc FROM chg WHERE batch = 0 ORDER BY row, seq", &q,
                             d);
    while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
        struct of_row *slot = vec_push(&h->a, &list);
        if (slot)
            *slot = (struct of_row){col_i64(q, 0), (uint64_t)col_i64(q, 1),
                                    col_i64(q, 2) ? (uint32_t)col_i64(q, 2) : h->to->by.inc};
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
        bind_i64(q, 2, h->rows.at[i].inc);
        bind_i64(q, 3, h->rows.at[i].key);
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
        rc = goes_on_from(&h, d);
    if (!rc)
        rc = rows_find(&h, d);
    if (!rc)
        rc = ids_write(&h, d);
    for (uint32_t i = 0; !rc && i < h.rows.count; i++)
        rc = birth_logged(&h, h.rows.at[i].key, d);
    if (!rc)
        rc = records_rename(&h, d);
    if (!rc)
        rc = db_prepare(s->db, "UPDATE chg SET person = ?, role = ? WHERE batch = 0", &q, d);
    if (!rc) {
        bind_i64(q, 1, to->by.person);
        bind_i64(q, 2, to->by.role);
        rc = stmt_run(q, d);
    }
    /* Another device has been told nothing yet. */
    if (!rc && from->by.device != to->by.device)
        rc = db_exec(s->db, "UPDATE counters SET cursor = 0", d);
    arena_free(&h.a);
    return rc;
}
