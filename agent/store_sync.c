/* Travel: cutting frames from the log, keeping receipts, and taking in what the centre sends.
 */
#include "agent/attach.h"
#include "agent/store_impl.h"

#define CUT_CHANGES_MAX 4000 /* changes of one frame */
#define CUT_VISITS_MAX 500
#define CUT_VALUES_MAX                                                                   \
    (48u << 10) /* bytes of their values: stays below BATCH_RAW_AIM with everything else \
                 */

#define STORE_RETENTION_MS (30LL * 86400 * 1000)

/* ---- cutting ---- */

struct cut {
    VEC(struct change) changes;
    bool urgent;
    uint32_t as_inc; /* whose they are, 0 = ours */
};

struct numbering {
    struct store *s;
    bool used;       /* some row was named by its number */
    enum err failed; /* a look-up was; what has no number is no failure */
    struct diag *d;
};

static bool number_of_row(void *self, struct row_id id, uint64_t *number_out)
{
    struct numbering *n = self;
    struct row row = {0};
    enum err rc = n->failed ? n->failed : row_by_id(n->s, id, &row, n->d);
    if (rc && rc != ERR_NOT_FOUND)
        n->failed = rc;
    if (rc || row.number == 0)
        return false;
    *number_out = row.number;
    n->used = true;
    return true;
}

/* Interviews with a visit that cannot wait: something was found that calls for help (level red), or it brings
 * what somebody is waiting for (a verification). All that is not frozen of such an interview goes together.
 */
#define URGENT_INTERVIEWS                                                                    \
    "WITH urgent(key) AS (SELECT DISTINCT v.parent FROM chg JOIN row v ON v.key = chg.visit" \
    "  WHERE chg.batch = 0 AND chg.row = v.key AND v.state = 1"                              \
    "  AND ((chg.fld = 10 AND chg.val = CAST('red' AS BLOB)) OR (chg.fld = 2 AND chg.val = " \
    "CAST('verification' AS BLOB)))) "

/* What may travel: changes of finalised visits, and changes that belong to no visit, but an interview only
 * with its first visit. `urgent`: only what cannot wait, with the interview and the household it is about. */
static enum err collect(struct store *s, struct arena *a, bool urgent, struct cut *cut, struct diag *d)
{
    static const char sql[] = URGENT_INTERVIEWS
        "SELECT chg.seq, r.device, r.inc, r.counter, chg.fld, chg.op, chg.status, chg.person, chg.role, "
        "chg.hlc, chg.seen, chg.val"
        " FROM chg JOIN row r ON r.key = chg.row LEFT JOIN row v ON v.key = chg.visit"
        " WHERE chg.batch = 0 AND chg.inc = ?3 AND (v.state = 1 OR (chg.visit = 0 AND (r.kind <> 2"
        "   OR EXISTS (SELECT 1 FROM row w WHERE w.parent = r.key AND w.kind = 4 AND w.state = 1))))"
        " AND (?1 = 0 OR v.parent IN urgent OR (chg.visit = 0 AND (r.key IN urgent"
        "   OR r.key IN (SELECT parent FROM row WHERE key IN urgent))))"
        " ORDER BY chg.seq LIMIT ?2";
    struct stmt *q = NULL;
    bool more = false;
    size_t bytes = 0;
    uint32_t visits = 0;

    enum err rc = db_prepare(s->db, sql, &q, d);
    if (!rc) {
        bind_i64(q, 1, urgent);
        bind_i64(q, 2, CUT_CHANGES_MAX);
        bind_i64(q, 3, cut->as_inc);
        while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
            struct str value = col_blob(q, 11);
            if (cut->changes.count > 0 && (bytes + value.n > CUT_VALUES_MAX || visits == CUT_VISITS_MAX))
                break;
            bytes += value.n;
            visits += col_i64(q, 5) == CHANGE_FINALISE;
            struct change *c = vec_push(a, &cut->changes);
            value = arena_str(a, value);
            if (!c || !value.p) {
                rc = diag_set(d, ERR_NOMEM, "no memory to prepare a delivery");
                break;
            }
            *c = (struct change){.seq = (uint64_t)col_i64(q, 0),
                                 .row = {(uint64_t)col_i64(q, 1), (uint32_t)col_i64(q, 2),
                                         (uint32_t)col_i64(q, 3)},
                                 .field = (uint32_t)col_i64(q, 4),
                                 .op = (enum change_op)col_i64(q, 5),
                                 .status = (uint8_t)col_i64(q, 6),
                                 .person = (uint32_t)col_i64(q, 7),
                                 .role = (uint8_t)col_i64(q, 8),
                                 .hlc = col_i64(q, 9),
                                 .seen = (uint64_t)col_i64(q, 10),
                                 .value = value};
        }
    }
    stmt_done(q);
    return rc;
}

/* A monotonic clock that stands before where it stood means a reboot: what passed since is not known. */
static enum err anchor_load(struct store *s, struct arena *a, struct batch_head *head, struct diag *d)
{
    struct str anchor, mono;
    int64_t then = 0;

    enum err rc = meta_get(s, "anchor_ms", a, &anchor, d);
    if (!rc)
        rc = meta_get(s, "anchor_mono", a, &mono, d);
    if (rc)
        return rc;
    int64_t now = s->seam->mono_ms(s->seam->self);
    head->anchor_ms = 0;
    head->elapsed_ms = -1;
    if (!str_to_i64(anchor, &head->anchor_ms))
        return ERR_OK;
    if (str_to_i64(mono, &then) && now >= then)
        head->elapsed_ms = now - then;
    return ERR_OK;
}

struct tail {
    uint64_t batch;     /* our count of the next frame */
    uint64_t batch_seq; /* its number under this incarnation */
    unsigned char prev[8];
};

static enum err outbox_tail(struct store *s, struct tail *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    unsigned char hash[SHA256_SIZE];

    *out = (struct tail){1, 1, {0}};
    enum err rc = db_prepare(s->db, "SELECT batch, inc, bseq, frame FROM outbox ORDER BY batch DESC LIMIT 1",
                             &q, d);
    if (!rc)
        rc = stmt_step(q, &row, d);
    if (!rc && row)
        out->batch = (uint64_t)col_i64(q, 0) + 1;
    if (!rc && row && (uint32_t)col_i64(q, 1) == s->id.by.inc) {
        out->batch_seq = (uint64_t)col_i64(q, 2) + 1;
        rc = sha256(col_blob(q, 3), hash);
        memcpy(out->prev, hash, sizeof out->prev);
    }
    stmt_done(q);
    return rc;
}

static enum err mark_cut(struct store *s, uint64_t seq, uint64_t batch, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db, "UPDATE chg SET batch = ?1 WHERE seq = ?2", &q, d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)batch);
        bind_i64(q, 2, (int64_t)seq);
        rc = stmt_run(q, d);
    }
    return rc;
}

/* A dictionary that the centre did not know any more when it was used is left alone, and those before it. */
enum err store_dict(struct store *s, struct arena *a, struct frame_dict *out, struct diag *d)
{
    struct published *list = NULL, *best = NULL;
    struct str text;
    struct buf bytes;
    uint32_t count = 0;
    uint64_t newest = 0, id = 0;

    *out = (struct frame_dict){.bytes = STR("")};
    enum err rc = meta_get(s, "dict_unknown", a, &text, d);
    if (!rc)
        rc = store_published(s, a, &list, &count, d);
    if (!rc && !str_to_u64(text, &newest))
        newest = 0;
    for (uint32_t i = 0; !rc && i < count; i++) {
        bool usable = str_eq_z(list[i].kind, "dictionary") && list[i].held &&
                      list[i].size <= FRAME_DICT_MAX && str_to_u64(list[i].version, &id) && id > newest &&
                      id <= UINT16_MAX;
        if (usable) {
            best = &list[i];
            newest = id;
        }
    }
    if (rc || !best)
        return rc;
    buf_init(&bytes, FRAME_DICT_MAX);
    rc = store_object_get(s, best->hash, &bytes, d);
    if (!rc) {
        *out = (struct frame_dict){(uint16_t)newest, arena_str(a, buf_str(&bytes))};
        rc = out->bytes.p ? ERR_OK : diag_set(d, ERR_NOMEM, "no memory for a dictionary");
    }
    buf_free(&bytes);
    return rc;
}

static enum err freeze(struct store *s, struct arena *a, struct cut *cut, struct diag *d)
{
    struct batch_head head = {.device = s->id.by.device,
                              .inc = cut->as_inc ? cut->as_inc : s->id.by.inc,
                              .as_inc = cut->as_inc,
                              .epoch = s->id.epoch,
                              .now_ms = s->seam->wall_ms(s->seam->self)};
    struct numbering numbering = {.s = s, .d = d};
    struct batch_rows rows = {.self = &numbering, .number_of = number_of_row};
    struct frame_seal seal = {.type = FRAME_UP,
                              .device = head.device,
                              .inc = s->id.by.inc,
                              .schema = BATCH_SCHEMA_CHANGES,
                              .author = &s->id.sign};
    struct keyset keys;
    struct tail tail;
    struct frame_dict dict;
    struct buf payload, bytes;
    struct frame frame;
    struct stmt *q = NULL;
    size_t size;
    uint64_t lo = cut->changes.at[0].seq, hi = cut->changes.at[cut->changes.count - 1].seq;

    buf_init(&payload, FRAME_RAW_MAX);
    buf_init(&bytes, FRAME_SIZE_MAX);
    enum err rc = keyset_read(a, s->id.keyset, NULL, &keys, d);
    if (!rc)
        rc = anchor_load(s, a, &head, d);
    if (!rc)
        rc = outbox_tail(s, &tail, d);
    if (!rc) {
        seal.batch_seq = tail.batch_seq;
        memcpy(seal.prev, tail.prev, sizeof seal.prev);
    }
    if (!rc)
        rc = batch_write(&head, &rows, cut->changes.at, cut->changes.count, &payload, d);
    if (!rc)
        rc = numbering.failed;
    seal.recipient = keys.seal_public;
    seal.dict = &dict;
    if (!rc)
        rc = store_dict(s, a, &dict, d);
    if (!rc)
        rc = frame_make(&seal, buf_str(&payload), &bytes, d);
    if (!rc)
        rc = frame_parse(buf_str(&bytes), &frame, &size, d);
    if (!rc)
        rc = db_prepare(s->db,
                        "INSERT INTO outbox(batch, seq_lo, seq_hi, batch_id, frame, numbered, inc, bseq, "
                        "urgent, as_inc) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        &q, d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)tail.batch);
        bind_i64(q, 2, (int64_t)lo);
        bind_i64(q, 3, (int64_t)hi);
        bind_blob(q, 4, frame.batch_id, BATCH_ID_SIZE);
        bind_blob(q, 5, bytes.p, bytes.n);
        bind_i64(q, 6, numbering.used || frame.dict);
        bind_i64(q, 7, seal.inc);
        bind_i64(q, 8, (int64_t)seal.batch_seq);
        bind_i64(q, 9, cut->urgent);
        bind_i64(q, 10, cut->as_inc);
        rc = stmt_run(q, d);
    }
    buf_free(&payload);
    buf_free(&bytes);
    if (rc)
        return rc;

    for (uint32_t i = 0; !rc && i < cut->changes.count; i++)
        rc = mark_cut(s, cut->changes.at[i].seq, tail.batch, d);
    return rc;
}

static enum err oldest_inherited(struct store *s, uint32_t *inc_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = db_prepare(s->db, "SELECT coalesce(min(inc), 0) FROM chg WHERE batch = 0 AND inc > 0", &q,
                             d);
    if (!rc)
        rc = stmt_step(q, &row, d);
    if (!rc)
        *inc_out = (uint32_t)col_i64(q, 0);
    stmt_done(q);
    return rc;
}

/* One frame a transaction: a power cut between two frames leaves a whole number of them. */
static enum err cut_one(struct store *s, bool *any_out, struct diag *d)
{
    struct txn t = {0};
    struct arena a;
    struct cut cut = {0};

    arena_init(&a, STORE_SCRATCH_MAX);
    enum err rc = txn_begin(&t, s->db, d);
    *any_out = false;
    if (!rc)
        rc = oldest_inherited(s, &cut.as_inc, d);
    if (!rc)
        rc = collect(s, &a, true, &cut, d);
    cut.urgent = cut.changes.count > 0;
    if (!rc && !cut.urgent)
        rc = collect(s, &a, false, &cut, d);
    *any_out = !rc && cut.changes.count > 0;
    if (*any_out)
        rc = freeze(s, &a, &cut, d);
    if (!rc && *any_out)
        rc = frozen_count(s, d);
    if (!rc && *any_out)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    arena_free(&a);
    return rc;
}

/* A frame is kept for the retention time after its receipt, in case that the centre is set back to a backup
 * and asks for it again; measured by the centre's own times, so that no clock of ours can cut it short. The
 * newest frame stays: the next one names it. */
static enum err forget_delivered(struct store *s, struct diag *d)
{
    static const char *const sql[] = {
        "DELETE FROM chg WHERE batch IN (SELECT batch FROM outbox WHERE status IN (1, 2) AND receipt_ms > 0 "
        "AND "
        "receipt_ms < ?1 AND batch < (SELECT max(batch) FROM outbox)) AND batch > 0",
        "DELETE FROM outbox WHERE status IN (1, 2, 9) AND receipt_ms > 0 AND receipt_ms < ?1 AND batch < "
        "(SELECT "
        "max(batch) FROM outbox)"};
    struct arena a;
    struct str anchor;
    struct txn t = {0};
    struct counters c;
    int64_t anchor_ms = 0;

    arena_init(&a, 64u << 10);
    enum err rc = meta_get(s, "anchor_ms", &a, &anchor, d);
    bool due = !rc && str_to_i64(anchor, &anchor_ms) && anchor_ms > STORE_RETENTION_MS;
    arena_free(&a);
    if (rc || !due)
        return rc;
    rc = work_begin(s, &t, &c, d);
    if (!rc)
        rc = counters_save(s, &c, d); /* the newest change may go */
    for (size_t i = 0; !rc && i < sizeof sql / sizeof *sql; i++) {
        struct stmt *q = NULL;
        rc = db_prepare(s->db, sql[i], &q, d);
        if (rc)
            break;
        bind_i64(q, 1, anchor_ms - STORE_RETENTION_MS);
        rc = stmt_run(q, d);
    }
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    return rc;
}

enum err store_cut(struct store *s, uint32_t *frames_out, struct diag *d)
{
    bool any = true;
    uint32_t frames = 0;

    enum err rc = store_refresh(s, d);
    if (!rc && !s->id.enrolled)
        return diag_set(d, ERR_STATE,
                        "this device is not enrolled yet: `doorstep enrol` with the code from the county");
    if (!rc && s->id.over.n)
        any = false; /* captured, but not frozen under a name that others use */
    while (!rc && any) {
        rc = cut_one(s, &any, d);
        frames += !rc && any;
    }
    if (!rc)
        rc = forget_delivered(s, d);
    if (!rc)
        *frames_out = frames;
    return rc;
}

/* ---- sending and receipts ---- */

enum err store_frame_next(struct store *s, uint64_t after, uint64_t *batch_seq_out, struct buf *frame_out,
                          bool *any_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;

    static const char sql[] =
        "SELECT batch, frame FROM outbox WHERE status = 0 AND (?1 = 0 OR (1 - urgent, batch) > "
        "(coalesce((SELECT 1 - urgent FROM outbox WHERE batch = ?1), 1), ?1)) ORDER BY 1 - urgent, batch "
        "LIMIT 1";
    enum err rc = db_prepare(s->db, sql, &q, d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)after);
        rc = stmt_step(q, &row, d);
    }
    if (!rc && row) {
        *batch_seq_out = (uint64_t)col_i64(q, 0);
        buf_put_str(frame_out, col_blob(q, 1));
        if (frame_out->failed)
            rc = diag_set(d, frame_out->failed, "no memory to send a frame of %zu bytes", col_blob(q, 1).n);
    }
    stmt_done(q);
    if (!rc)
        *any_out = row;
    return rc;
}

enum err store_frame_sent(struct store *s, uint64_t batch_seq, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db, "UPDATE outbox SET sent = 1 WHERE batch = ? AND sent = 0", &q, d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)batch_seq);
        rc = stmt_run(q, d);
    }
    return rc;
}

#define UNSURE_BYTES_MIN 2048 /* less goes again sooner than it is asked about */

enum err store_frame_unsure(struct store *s, uint64_t *batch_seq_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc =
        db_prepare(s->db,
                   "SELECT min(bseq), coalesce(sum(length(frame)), 0), coalesce(max(status), 0) FROM outbox "
                   "WHERE (status = 0 AND sent = 1 OR status = 3) AND inc = ?",
                   &q, d);
    if (!rc) {
        bind_i64(q, 1, s->id.by.inc);
        rc = stmt_step(q, &row, d);
    }
    /* What was set apart may have been released meanwhile. */
    if (!rc)
        *batch_seq_out = row && (col_i64(q, 1) >= UNSURE_BYTES_MIN || col_i64(q, 2) == 3)
                             ? (uint64_t)col_i64(q, 0)
                             : 0;
    stmt_done(q);
    return rc;
}

struct receipt_use {
    const struct receipt *receipt;
    struct str frame; /* the signed bytes */
    bool cut_again;
};

/* A receipt counts only for the very bytes it names: the batch id is compared, never the number alone. */
static enum err mark_frame(struct store *s, const struct receipt_use *use, const struct receipt_item *item,
                           bool *ours_out, bool *numbered_out, bool *inherited_out, uint64_t *batch_out,
                           struct diag *d)
{
    static const char sql[] =
        "UPDATE outbox SET status = ?1, reason = ?2, receipt = ?3, receipt_ms = ?4, "
        "epoch = ?7 WHERE bseq = ?5 AND batch_id = ?6 AND inc = ?8 AND status IN (0, 3) AND epoch <= ?7 "
        "RETURNING numbered, batch, as_inc";
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db, sql, &q, d);
    if (!rc) {
        bind_i64(q, 1, item->status);
        bind_text(q, 2, item->reason.n ? item->reason : STR_NONE);
        bind_blob(q, 3, use->frame.p, use->frame.n);
        bind_i64(q, 4, use->receipt->server_time_ms);
        bind_i64(q, 5, (int64_t)item->batch_seq);
        bind_blob(q, 6, item->batch_id, BATCH_ID_SIZE);
        bind_i64(q, 7, use->receipt->epoch);
        bind_i64(q, 8, use->receipt->inc);
        rc = stmt_step(q, ours_out, d);
    }
    if (!rc && *ours_out) {
        *numbered_out = col_i64(q, 0) != 0;
        *batch_out = (uint64_t)col_i64(q, 1);
        *inherited_out = col_i64(q, 2) != 0;
    }
    stmt_done(q);
    return rc;
}

static enum err change_of(struct arena *a, struct stmt *q, int64_t *row_out, struct change *out,
                          struct diag *d)
{
    *row_out = col_i64(q, 1);
    *out = (struct change){.seq = (uint64_t)col_i64(q, 0),
                           .field = (uint32_t)col_i64(q, 2),
                           .op = (enum change_op)col_i64(q, 3),
                           .status = (uint8_t)col_i64(q, 4),
                           .person = (uint32_t)col_i64(q, 5),
                           .role = (uint8_t)col_i64(q, 6),
                           .hlc = col_i64(q, 7),
                           .seen = (uint64_t)col_i64(q, 8),
                           .value = arena_str(a, col_blob(q, 9))};
    return out->value.p ? ERR_OK : diag_set(d, ERR_NOMEM, "no memory for the log of changes");
}

enum err changes_select(struct store *s, struct arena *a, const char *sql, int64_t first, int64_t second,
                        struct logged *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool more = false;

    enum err rc = db_prepare(s->db, sql, &q, d);
    if (!rc)
        bind_i64(q, 1, first);
    if (!rc && second)
        bind_i64(q, 2, second);
    while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
        struct change *c = vec_push(a, &out->changes);
        int64_t *row = vec_push(a, &out->rows);
        rc = c && row ? change_of(a, q, row, c, d)
                      : diag_set(d, ERR_NOMEM, "no memory for the log of changes");
    }
    stmt_done(q);
    return rc;
}

static enum err tell_row(struct store *s, struct arena *a, int64_t key, const struct change *changes,
                         uint32_t count, uint64_t server_seq, struct diag *d)
{
    struct row row;
    struct record r;
    enum merge_result result;

    enum err rc = row_by_key(s, key, &row, d);
    if (!rc)
        rc = record_load(s, a, &row, &r, d);
    if (!rc)
        rc = record_inherit_own(s, a, &r, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct change own = changes[i];
        own.row = row.id;
        rc = record_apply(a, &r, &own, s->id.by.device, s->id.by.inc, own.hlc, server_seq, &result);
        if (rc)
            rc = diag_set(d, rc, "no memory to take in a receipt; it will be asked for again");
    }
    return rc ? rc : record_save(s, key, &r, d);
}

/* Our own versions learn their place in the centre's order: what others say that they have seen is measured
 * by it. */
static enum err tell_versions(struct store *s, uint64_t batch, uint64_t server_seq, struct diag *d)
{
    struct arena a;
    struct logged log = {0};

    arena_init(&a, STORE_SCRATCH_MAX);
    enum err rc = changes_select(s, &a,
                                 "SELECT " CHANGE_COLUMNS
                                 " FROM chg WHERE batch = ?1 AND batch > 0 ORDER BY row, seq",
                                 (int64_t)batch, 0, &log, d);
    for (uint32_t i = 0, n; !rc && i < log.changes.count; i += n) {
        n = 1;
        while (i + n < log.changes.count && log.rows.at[i + n] == log.rows.at[i])
            n++;
        struct arena_mark mark = arena_mark(&a);
        rc = tell_row(s, &a, log.rows.at[i], log.changes.at + i, n, server_seq, d);
        arena_release(&a, mark);
    }
    arena_free(&a);
    return rc;
}

static enum err run_i64(struct store *s, const char *sql, int64_t value, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db, sql, &q, d);
    if (!rc) {
        bind_i64(q, 1, value);
        rc = stmt_run(q, d);
    }
    return rc;
}

static enum err forget_numbers(struct store *s, struct diag *d)
{
    return db_exec(s->db, "UPDATE row SET number = 0 WHERE number > 0", d);
}

static enum err forget_shorthand(struct store *s, struct diag *d)
{
    struct arena a;
    struct frame_dict dict;
    arena_init(&a, STORE_MEMORY_MAX);
    enum err rc = store_dict(s, &a, &dict, d);
    if (!rc && dict.id)
        rc = meta_put_i64(s, "dict_unknown", dict.id, d);
    arena_free(&a);
    return rc ? rc : forget_numbers(s, d);
}

/* The centre does not know a row by the number we have for it, or the dictionary we used. Neither is used any
 * more until it tells them anew; the changes go again, under full names. A frame with neither is never cut
 * again: it would be refused again. */
static enum err cut_again(struct store *s, uint64_t batch, struct diag *d)
{
    enum err rc = run_i64(s, "UPDATE chg SET batch = 0 WHERE batch = ?1 AND batch > 0", (int64_t)batch, d);
    if (!rc)
        rc = run_i64(s, "UPDATE outbox SET status = 9 WHERE batch = ?1", (int64_t)batch, d);
    return rc ? rc : forget_shorthand(s, d);
}

/* The number is taken, by a frame that we do not know: somebody else sends as we do, or our data are older
 * than what we sent. */
static enum err foreign_item(struct store *s, const struct receipt_item *item, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = db_prepare(s->db, "SELECT batch_id FROM outbox WHERE bseq = ? AND inc = ?", &q, d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)item->batch_seq);
        bind_i64(q, 2, s->id.by.inc);
        rc = stmt_step(q, &row, d);
    }
    struct str ours = !rc && row ? col_blob(q, 0) : STR_NONE;
    bool same = ours.n == BATCH_ID_SIZE && memcmp(ours.p, item->batch_id, BATCH_ID_SIZE) == 0;
    stmt_done(q);
    return rc || same ? rc : identity_over(s, row ? OVER_COPY : OVER_RESTORED, d);
}

static enum err take_item(struct store *s, struct receipt_use *use, const struct receipt_item *item,
                          struct diag *d)
{
    bool ours = false, numbered = false, inherited = false;
    uint64_t batch = 0;
    enum err rc = mark_frame(s, use, item, &ours, &numbered, &inherited, &batch, d);
    if (!rc && !ours && item->status != RECEIPT_QUARANTINED)
        return foreign_item(s, item, d);
    if (rc || !ours)
        return rc;
    if (item->status != RECEIPT_QUARANTINED)
        return item->server_seq && !inherited ? tell_versions(s, batch, item->server_seq, d) : ERR_OK;
    if (item->cause != ERR_STATE || !numbered)
        return ERR_OK;
    use->cut_again = true;
    return cut_again(s, batch, d);
}

/* The centre was set back to a backup: of what it had receipted it may have lost the end. All of it counts as
 * sent and unsure, until a receipt of this epoch names it; one of an earlier epoch does so no more. */
static enum err hear_epoch(struct store *s, uint32_t epoch, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db,
                             "UPDATE outbox SET status = 0, sent = 1, epoch = ?1"
                             " WHERE epoch < ?1 AND epoch > 0 AND inc = ?2 "
                             "AND status IN (1, 2, 3)",
                             &q, d);
    if (!rc) {
        bind_i64(q, 1, epoch);
        bind_i64(q, 2, s->id.by.inc);
        rc = stmt_run(q, d);
    }
    return rc ? rc : attach_set_back(s, epoch, d);
}

/* The centre has more of us than we know: our data were put back from a backup. */
static enum err look_ahead(struct store *s, const struct receipt *r, struct diag *d)
{
    struct tail tail;
    enum err rc = outbox_tail(s, &tail, d);
    return rc || r->contiguous < tail.batch_seq ? rc : identity_over(s, OVER_RESTORED, d);
}

/* What the newest receipt counted as contiguous, and when the centre signed it. */
struct counted {
    int64_t contiguous, signed_ms;
    bool known;
};

static enum err counted_load(struct store *s, struct counted *out, struct diag *d)
{
    struct arena a;
    struct str contiguous, when;

    arena_init(&a, 64u << 10);
    enum err rc = meta_get(s, "contiguous", &a, &contiguous, d);
    if (!rc)
        rc = meta_get(s, "contiguous_ms", &a, &when, d);
    if (!rc)
        out->known = str_to_i64(contiguous, &out->contiguous) && str_to_i64(when, &out->signed_ms);
    arena_free(&a);
    return rc;
}

static enum err counted_put(struct store *s, const struct receipt *r, struct diag *d)
{
    enum err rc = meta_put_i64(s, "contiguous", (int64_t)r->contiguous, d);
    return rc ? rc : meta_put_i64(s, "contiguous_ms", r->server_time_ms, d);
}

static enum err unsure_from(struct store *s, const struct receipt *r, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(
        s->db, "UPDATE outbox SET status = 0, sent = 1 WHERE inc = ? AND bseq > ? AND status IN (1, 2, 3)",
        &q, d);
    if (!rc) {
        bind_i64(q, 1, r->inc);
        bind_i64(q, 2, (int64_t)r->contiguous);
        rc = stmt_run(q, d);
    }
    return rc ? rc : attach_set_back(s, r->epoch + 1, d);
}

/* The centre once had more of us than it has now: a backup was put back there, whether anybody said so or
 * not. What it may lack goes again. A receipt for a frame that went twice is the one that was signed first:
 * of two the later counts, and of two from the same second the one that counts more. */
static enum err look_behind(struct store *s, const struct receipt *r, struct diag *d)
{
    struct counted last = {0};
    enum err rc = counted_load(s, &last, d);
    bool more = !rc && (!last.known || (int64_t)r->contiguous >= last.contiguous);
    if (rc || (!more && r->server_time_ms <= last.signed_ms))
        return rc;
    if (!more)
        rc = unsure_from(s, r, d);
    return rc ? rc : counted_put(s, r, d);
}

/* The newest places in the centre's order that receipts spoke of: in our epoch, and in one that the downlink
 * has not brought yet. Of more than one such epoch nothing is said any more (`ahead` 0): whether they are the
 * same history is not known here. */
struct heard {
    uint64_t newest, ahead, ahead_newest;
};

static enum err heard_get(struct store *s, struct heard *out, struct diag *d)
{
    struct arena a;
    struct str text, word;
    uint64_t n[3] = {0};
    arena_init(&a, 64u << 10);
    enum err rc = meta_get(s, "heard", &a, &text, d);
    for (int i = 0; !rc && i < 3 && str_split(&text, ' ', &word); i++)
        if (!str_to_u64(word, &n[i]))
            rc = diag_set(d, ERR_CORRUPT, "this device's settings are damaged: put its data back");
    arena_free(&a);
    *out = (struct heard){n[0], n[1], n[2]};
    return rc;
}

static enum err heard_put(struct store *s, const struct heard *h, struct diag *d)
{
    struct buf b;
    buf_init(&b, 128);
    buf_printf(&b, "%llu %llu %llu", (unsigned long long)h->newest, (unsigned long long)h->ahead,
               (unsigned long long)h->ahead_newest);
    enum err rc = meta_put_str(s, "heard", buf_str(&b), d);
    buf_free(&b);
    return rc;
}

static enum err hear_newest(struct store *s, const struct receipt *r, struct diag *d)
{
    struct heard h;
    enum err rc = heard_get(s, &h, d);
    const struct heard before = h;
    if (rc || r->epoch < s->id.epoch)
        return rc;
    if (r->epoch == s->id.epoch) {
        h.newest = r->cursor > h.newest ? r->cursor : h.newest;
    } else {
        h.ahead = h.ahead_newest && h.ahead != r->epoch ? 0 : r->epoch;
        h.ahead_newest = r->cursor > h.ahead_newest ? r->cursor : h.ahead_newest;
    }
    return memcmp(&h, &before, sizeof h) ? heard_put(s, &h, d) : ERR_OK;
}

static enum err take_refusal(struct store *s, enum err refused, struct diag *d)
{
    return refused == ERR_OK ? ERR_OK : identity_over(s, refused == ERR_EXISTS ? OVER_COPY : OVER_REVOKED, d);
}

static enum err take_contact(struct store *s, const struct receipt *r, struct diag *d)
{
    enum err rc = anchor_put(s, r->server_time_ms, d);
    if (!rc && r->token.n > 0)
        rc = meta_put_str(s, "token", r->token, d);
    if (!rc)
        rc = meta_put_i64(s, "clock_off_ms", r->clock_off_ms, d);
    return rc ? rc : contact_put(s, d);
}

/* The epoch is not taken from a receipt: it goes with a cursor, and that comes with the downlink. */
enum err store_receipt(struct store *s, const struct step *step, bool *cut_again_out, struct diag *d)
{
    struct receipt_use use = {.receipt = &step->receipt, .frame = step->receipt_frame};
    const struct receipt *r = use.receipt;
    struct txn t = {0};
    struct counters c;

    if (r->device != s->id.by.device || r->inc != s->id.by.inc)
        return diag_set(d, ERR_CORRUPT,
                        "a receipt for another device arrived; nothing was marked as delivered");
    enum err rc = work_begin(s, &t, &c, d);
    if (!rc)
        rc = look_behind(s, r, d);
    for (uint32_t i = 0; !rc && i < r->item_count; i++)
        rc = take_item(s, &use, &r->items[i], d);
    if (!rc)
        rc = look_ahead(s, r, d);
    if (!rc)
        rc = take_refusal(s, r->refused, d);
    if (!rc && r->erase)
        rc = meta_put_str(s, "erase", STR("1"), d);
    if (!rc)
        rc = take_contact(s, r, d);
    if (!rc)
        rc = hear_newest(s, r, d);
    if (!rc && step->cursor > c.cursor && r->epoch == s->id.epoch) {
        c.cursor = step->cursor;
        rc = counters_save(s, &c, d);
    }
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    if (!rc)
        rc = store_refresh(s, d);
    if (!rc)
        *cut_again_out = use.cut_again;
    return rc;
}

/* ---- downlink ---- */

static enum err note_number(struct store *s, int64_t key, uint64_t number, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db, "UPDATE row SET number = ? WHERE key = ?", &q, d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)number);
        bind_i64(q, 2, key);
        rc = stmt_run(q, d);
    }
    stmt_done(q);
    return rc;
}

/* A row that is only named so far: kind 0 until its birth arrives. */
static enum err row_for(struct store *s, struct counters *c, struct row_id id, struct row *out,
                        struct diag *d)
{
    enum err rc = row_by_id(s, id, out, d);
    bool ours = id.device == s->id.by.device && id.inc == s->id.by.inc;
    if (rc == ERR_NOT_FOUND && ours && id.counter >= c->next_counter) {
        /* Made by somebody else under our name: what we make next must not meet it. */
        c->next_counter = id.counter + 1;
        rc = identity_over(s, OVER_COPY, d);
        rc = rc ? rc : ERR_NOT_FOUND;
    }
    if (rc == ERR_NOT_FOUND) {
        *out = (struct row){.id = id};
        rc = row_insert(s, c, out, NULL, d);
    }
    return rc;
}

/* Whatever came before its parent learns where it is now: children, and theirs. */
static enum err place_below(struct store *s, int64_t key, enum row_kind kind, int64_t interview,
                            int64_t household, struct diag *d)
{
    static const char sql[] =
        "WITH RECURSIVE below(key) AS (SELECT key FROM row WHERE parent = ?1"
        "  UNION SELECT row.key FROM row JOIN below ON row.parent = below.key)"
        " UPDATE row SET household = ?2, interview = CASE WHEN ?3 THEN ?3 ELSE interview END"
        " WHERE key IN below AND kind <> 1";
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db, sql, &q, d);
    if (!rc) {
        bind_i64(q, 1, key);
        bind_i64(q, 2, kind == ROW_HOUSEHOLD ? key : household);
        bind_i64(q, 3, kind == ROW_INTERVIEW ? key : interview);
        rc = stmt_run(q, d);
    }
    return rc;
}

static enum err place_row(struct store *s, const struct row *row, const struct row_birth *birth,
                          const struct row *parent, struct diag *d)
{
    struct stmt *q = NULL;
    bool within = birth->kind == ROW_REPEAT || birth->kind == ROW_FINDING || birth->kind == ROW_VISIT ||
                  birth->kind == ROW_ENTITY || birth->kind == ROW_COMMENT || birth->kind == ROW_REVIEW;
    int64_t interview = within ? (parent->kind == ROW_INTERVIEW ? parent->key : parent->interview) : 0;
    int64_t household = parent->kind == ROW_HOUSEHOLD ? parent->key : parent->household;

    enum err rc = db_prepare(
        s->db,
        "UPDATE row SET kind = ?, parent = ?, interview = ?, household = ?, form = ?, repeat = ?, ord = ?,"
        " state = max(state, ?) WHERE key = ?",
        &q, d);
    if (!rc) {
        bind_i64(q, 1, birth->kind);
        bind_i64(q, 2, parent->key);
        bind_i64(q, 3, interview);
        bind_i64(q, 4, household);
        if (birth->kind == ROW_INTERVIEW)
            bind_blob(q, 5, birth->object, sizeof birth->object);
        else
            bind_null(q, 5);
        bind_i64(q, 6, birth->number);
        bind_i64(q, 7, birth->order);
        bind_i64(q, 8, birth->kind == ROW_VISIT); /* only finalised visits travel */
        bind_i64(q, 9, row->key);
        rc = stmt_run(q, d);
    }
    return rc ? rc : place_below(s, row->key, birth->kind, interview, household, d);
}

static enum err take_birth(struct store *s, struct counters *c, struct row *row, const struct record *r,
                           struct diag *d)
{
    struct row_birth birth;
    struct row parent = {0};

    if (row->kind != 0 || !record_birth(r, &birth))
        return ERR_OK;
    enum err rc = ERR_OK;
    if (birth.parent.counter != 0)
        rc = row_for(s, c, birth.parent, &parent, d);
    return rc ? rc : place_row(s, row, &birth, &parent, d);
}

static bool born_household(const struct record *r)
{
    struct row_birth birth;
    return record_birth(r, &birth) && birth.kind == ROW_HOUSEHOLD;
}

/* An instance of a repeat that nobody has made is none, whoever answered in it: after the centre was set back
 * its birth may have to come again. */
static bool is_gone(enum row_kind kind, const struct record *r)
{
    return record_deleted(r) || (kind == ROW_REPEAT && !r->born);
}

static bool by_any(const struct heir *h, const struct down_author *authors, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (authors[i].device == h->device && authors[i].inc == h->inc)
            return true;
    return false;
}

static enum err down_row(struct store *s, struct arena *a, struct counters *c, const struct step *step,
                         const struct change *changes, const struct down_author *authors, uint32_t count,
                         struct diag *d)
{
    struct row row = {0};
    struct record r = {0};
    enum merge_result result;

    enum err rc = row_for(s, c, changes[0].row, &row, d);
    if (!rc)
        rc = record_load(s, a, &row, &r, d);
    for (uint32_t i = 0; !rc && i < step->heir_count; i++)
        if (by_any(&step->heirs[i], authors, count))
            rc = record_inherit(a, &r, &step->heirs[i]);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (changes[i].op == CHANGE_RESOLVE)
            rc = decision_note(s, &row, &r, &changes[i], d);
        if (rc)
            break;
        rc = record_apply(a, &r, &changes[i], authors[i].device, authors[i].inc, authors[i].hlc,
                          authors[i].server_seq, &result);
        if (rc)
            rc = diag_set(d, rc, "no memory to take in what the centre sent; it will be sent again");
        if (authors[i].hlc > c->hlc_received)
            c->hlc_received = authors[i].hlc;
    }
    if (!rc && authors[0].row_number && authors[0].row_number != row.number)
        rc = note_number(s, row.key, authors[0].row_number, d);
    if (!rc)
        rc = record_save(s, row.key, &r, d);
    if (!rc)
        rc = take_birth(s, c, &row, &r, d);
    if (!rc && str_eq_z(record_value(&r, HOUSEHOLD_STATUS), "erased") && born_household(&r))
        rc = household_forget(s, &row, &r, d);
    if (rc)
        return rc;
    bool gone = is_gone(row.kind, &r);
    if (gone != row.deleted) {
        struct stmt *q = NULL;
        rc = db_prepare(s->db, "UPDATE row SET deleted = ? WHERE key = ?", &q, d);
        if (!rc) {
            bind_i64(q, 1, gone);
            bind_i64(q, 2, row.key);
            rc = stmt_run(q, d);
        }
        stmt_done(q);
    }
    return rc;
}

struct known_row {
    int64_t key;
};
typedef enum err (*record_change)(struct store *s, const struct row *row, struct record *r, void *self,
                                  struct diag *d);

static enum err records_change(struct store *s, record_change change, void *self, struct diag *d)
{
    struct arena a;
    struct stmt *q = NULL;
    VEC(struct known_row) rows = {0};
    bool more = false;

    arena_init(&a, STORE_SCRATCH_MAX);
    enum err rc = db_prepare(s->db, "SELECT key FROM record", &q, d);
    while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
        struct known_row *slot = vec_push(&a, &rows);
        if (slot)
            slot->key = col_i64(q, 0);
        else
            rc = diag_set(d, ERR_NOMEM, "no memory to take in what the centre sent");
    }
    stmt_done(q);
    for (uint32_t i = 0; !rc && i < rows.count; i++) {
        struct arena_mark mark = arena_mark(&a);
        struct row row;
        struct record r;
        rc = row_by_key(s, rows.at[i].key, &row, d);
        if (!rc)
            rc = record_load(s, &a, &row, &r, d);
        if (!rc)
            rc = change(s, &row, &r, self, d);
        arena_release(&a, mark);
    }
    arena_free(&a);
    return rc;
}

static enum err set_record_back(struct store *s, const struct row *row, struct record *r, void *self,
                                struct diag *d)
{
    record_set_back(r, *(const uint64_t *)self, s->id.by.device, s->id.by.inc);
    return record_save(s, row->key, r, d);
}

/* Beyond `base` the centre's order means something else now, in everything that is held here. */
static enum err order_forget(struct store *s, uint64_t base, struct diag *d)
{
    enum err rc = records_change(s, set_record_back, &base, d);
    /* Of those in frames too: they may have to be cut anew. */
    return rc ? rc : run_i64(s, "UPDATE chg SET seen = min(seen, ?1)", (int64_t)base, d);
}

static enum err drafted(struct store *s, int64_t interview, bool *out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db, "SELECT 1 FROM row WHERE parent = ? AND kind = 4 AND state = 0", &q, d);
    if (!rc) {
        bind_i64(q, 1, interview);
        rc = stmt_step(q, out, d);
    }
    stmt_done(q);
    return rc;
}

/* A row that only the lost history knew is hidden until its author has sent it again; unless something of
 * ours is about it. Under an open draft nothing goes away: that waits until it is finished. */
static enum err settle_record(struct store *s, const struct row *row, struct record *r, void *self,
                              struct diag *d)
{
    bool *later = self, draft = false;
    if (!record_settle(r, s->id.by.device))
        return ERR_OK;
    enum err rc = drafted(s, row->interview ? row->interview : row->key, &draft, d);
    *later = *later || draft;
    if (rc || draft)
        return rc;
    rc = record_save(s, row->key, r, d);
    if (!rc && (r->born || r->count))
        return run_i64(s,
                       is_gone(row->kind, r) ? "UPDATE row SET deleted = 1 WHERE key = ?1"
                                             : "UPDATE row SET deleted = 0 WHERE key = ?1",
                       row->key, d);
    return rc ? rc
              : run_i64(s,
                        "UPDATE row SET deleted = 1 WHERE key = ?1 AND NOT EXISTS (SELECT 1 FROM chg WHERE "
                        "chg.row = ?1) AND NOT EXISTS (SELECT 1 FROM row c JOIN chg ON chg.row = c.key WHERE "
                        "c.parent = ?1)",
                        row->key, d);
}

static enum err settle(struct store *s, struct diag *d)
{
    bool later = false;
    enum err rc = records_change(s, settle_record, &later, d);
    if (rc || later == s->id.unsettled)
        return rc;
    return later ? meta_put_str(s, "unsettled", STR("1"), d)
                 : db_exec(s->db, "DELETE FROM meta WHERE name = 'unsettled'", d);
}

/* How far everything was told again; at the cursor this is over. */
static enum err take_again(struct store *s, const struct counters *c, const struct step *step, bool *all_out,
                           struct diag *d)
{
    if (!s->id.retell || step->cursor_from != s->id.told)
        return ERR_OK;
    *all_out = step->cursor >= c->cursor;
    return *all_out ? db_exec(s->db, "DELETE FROM meta WHERE name = 'told'", d)
                    : meta_put_i64(s, "told", (int64_t)step->cursor, d);
}

/* Beyond where the downlink goes on from, the centre's order begins anew: its row numbers, what is held of
 * it, and what was receipted. */
static enum err begin_anew(struct store *s, struct counters *c, const struct step *step, struct diag *d)
{
    if (!c->set_backs || step->agreed < c->set_back_base)
        c->set_back_base = step->agreed;
    c->set_backs++;
    enum err rc = forget_numbers(s, d);
    if (!rc)
        rc = order_forget(s, step->agreed, d);
    if (!rc)
        rc = hear_epoch(s, step->epoch, d);
    return rc ? rc : meta_put_i64(s, "told", 0, d);
}

/* Every start of the centre begins an epoch. One that goes on from all that was ever heard of here changes
 * nothing; else a backup was put back. */
static enum err take_epoch(struct store *s, struct counters *c, const struct step *step, bool *all_out,
                           struct diag *d)
{
    if (step->epoch < s->id.epoch)
        return diag_set(d, ERR_STATE, "another sync of this device was faster: run it again");
    struct heard h = {0};
    bool later = step->epoch > s->id.epoch;
    enum err rc = later ? heard_get(s, &h, d) : ERR_OK;
    bool between = h.ahead_newest && h.ahead != step->epoch;
    bool anew = later && (step->agreed < c->cursor || step->agreed < h.newest || between);
    if (!rc && anew)
        rc = begin_anew(s, c, step, d);
    else if (!rc)
        rc = take_again(s, c, step, all_out, d);
    if (anew || step->cursor > c->cursor) /* another process may have been faster */
        c->cursor = step->cursor;
    if (rc || !later)
        return rc;
    h = (struct heard){.newest = between ? 0 : h.ahead_newest};
    rc = heard_put(s, &h, d);
    return rc ? rc : meta_put_i64(s, "epoch", step->epoch, d);
}

/* The changes and the cursor that says "seen" are one transaction: a cursor ahead of its data would later
 * claim to have seen what never arrived. */
enum err store_down(struct store *s, const struct step *step, struct diag *d)
{
    struct txn t = {0};
    struct counters c;
    struct arena a;
    bool all = false; /* everything was told again */

    arena_init(&a, STORE_SCRATCH_MAX);
    enum err rc = work_begin(s, &t, &c, d);
    if (!rc)
        rc = store_refresh(s, d);
    if (!rc)
        rc = take_epoch(s, &c, step, &all, d);
    for (uint32_t i = 0, n; !rc && i < step->change_count; i += n) {
        n = 1;
        while (i + n < step->change_count && row_id_same(step->changes[i + n].row, step->changes[i].row))
            n++;
        struct arena_mark mark = arena_mark(&a);
        rc = down_row(s, &a, &c, step, step->changes + i, step->authors + i, n, d);
        arena_release(&a, mark);
    }
    if (!rc && (all || s->id.unsettled))
        rc = settle(s, d);
    if (!rc)
        rc = counters_save(s, &c, d);
    if (!rc)
        rc = contact_put(s, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    arena_free(&a);
    return rc ? rc : store_refresh(s, d);
}
