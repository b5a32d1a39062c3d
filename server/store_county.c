/* The store over SQLite (one file in the centre's directory) or PostgreSQL. Here: the county and its
 * counters, people, devices, the ledger; records and what is published are in store_records.c.
 *
 * SQL is never built from input: every statement is a literal. A verb gathers its rows into the caller's
 * arena before it returns, so that verbs can be called from inside loops over each other's results.
 */
#include "server/parts.h"
#include "server/store_impl.h"

/* ---- open, close, transactions ---- */

enum err cstore_open(const struct cstore_place *where, struct cstore **cstore_out, struct diag *d)
{
    struct arena memory;
    struct sql_opened opened = {0};
    arena_init(&memory, 1u << 16);
    struct cstore *s = ARENA_NEW(&memory, struct cstore);
    if (!s)
        return no_memory(d);
    enum err rc = where->url ? sql_postgres_open(where->url, where->partitions, cstore_migrations,
                                                 cstore_migration_count, &opened, d)
                             : sql_sqlite_open(where->path, where->vfs, CSTORE_APPLICATION_ID,
                                               cstore_migrations, cstore_migration_count, &opened, d);
    if (rc) {
        arena_free(&memory);
        return rc;
    }
    s->sql.ops = opened.ops;
    s->sql.db = opened.db;
    s->county = where->county;
    s->seam = where->seam;
    s->memory = memory;
    *cstore_out = s;
    return ERR_OK;
}

void cstore_close(struct cstore *s)
{
    if (!s)
        return;
    cstore_rollback(s);
    sql_close(&s->sql);
    arena_free(&s->cache.memory);
    struct arena memory = s->memory;
    arena_free(&memory);
}

#define COUNTY_COLUMNS                                                                   \
    "SELECT name, epoch, server_seq, row_number, person, own_row, hlc, line FROM county" \
    " WHERE county = ?1"

static enum err counters_read(struct cstore *s, struct arena *a, struct str *name_out, uint32_t *epoch_out,
                              struct counters *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    /* Where several programs write, the county's row is the lock under which its counters move. */
    enum err rc = statement(s,
                            s->txn.open && s->sql.ops->shared ? COUNTY_COLUMNS " FOR UPDATE" : COUNTY_COLUMNS,
                            &q, d);
    if (!rc)
        rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = diag_set(d, ERR_STATE,
                      "This directory holds no county yet. Make one with: doorstepd init DIR --county NAME");
    if (!rc && name_out)
        rc = keep(a, col_text(q, 0), name_out);
    if (!rc) {
        if (epoch_out)
            *epoch_out = (uint32_t)col_i64(q, 1);
        *out = (struct counters){.server_seq = col_u64(q, 2),
                                 .row_number = col_u64(q, 3),
                                 .person = (uint32_t)col_i64(q, 4),
                                 .own_row = (uint32_t)col_i64(q, 5),
                                 .hlc = col_i64(q, 6),
                                 .epoch = (uint32_t)col_i64(q, 1)};
        s->line_known = str_eq(col_text(q, 7), s->sql.ops->line(s->sql.db));
    }
    stmt_done(q);
    return rc;
}

/* A standby was promoted, or the database came back in another cluster: what the former line held beyond this
 * may be lost, and handhelds must send it again. */
static enum err line_take(struct cstore *s, struct diag *d)
{
    const struct seam *seam = s->seam;
    uint32_t epoch = epoch_after(s->counters.epoch, seam->wall_ms(seam->self));
    int64_t now_ms = seam->wall_ms(seam->self);
    struct str why = STR("the database goes on as another line (a promoted standby, or another cluster)");
    struct stmt *q = NULL;
    enum err rc = cstore_epoch_begin(s, epoch, s->counters.server_seq, now_ms, why, d);
    if (!rc)
        rc = cstore_audit(s, now_ms, STR("centre"), STR("set-back"), why, d);
    if (!rc)
        rc = statement(s, "UPDATE county SET line = ?2 WHERE county = ?1", &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, s->sql.ops->line(s->sql.db));
    s->line_known = true;
    return stmt_run(q, d);
}

enum err cstore_begin(struct cstore *s, struct diag *d)
{
    CHECK(!s->txn.open);
    enum err rc = s->sql.ops->begin(s->sql.db, d);
    if (rc)
        return rc;
    s->txn.open = true;
    cache_clear(s, true);
    rc = counters_read(s, NULL, NULL, NULL, &s->counters, d);
    s->counters_saved = s->counters;
    if (!rc && !s->line_known)
        rc = line_take(s, d);
    if (rc)
        cstore_rollback(s);
    return rc;
}

enum err cstore_ready(struct cstore *s, struct diag *d)
{
    struct counters now;
    CHECK(!s->txn.open);
    cache_clear(s, false);
    if (!s->sql.ops->shared)
        return ERR_OK;
    enum err rc = counters_read(s, NULL, NULL, NULL, &now, d);
    if (rc || s->line_known)
        return rc;
    rc = cstore_begin(s, d);
    if (!rc)
        rc = cstore_commit(s, d);
    cstore_rollback(s);
    return rc;
}

struct counters *cstore_counters(struct cstore *s)
{
    CHECK(s->txn.open);
    return &s->counters;
}

static enum err counters_write(struct cstore *s, struct diag *d)
{
    const struct counters *c = &s->counters, *was = &s->counters_saved;
    CHECK(c->server_seq >= was->server_seq && c->row_number >= was->row_number && c->person >= was->person &&
          c->own_row >= was->own_row && c->hlc >= was->hlc);
    if (c->server_seq == was->server_seq && c->row_number == was->row_number && c->person == was->person &&
        c->own_row == was->own_row && c->hlc == was->hlc)
        return ERR_OK;
    struct stmt *q = NULL;
    enum err rc =
        statement(s,
                  "UPDATE county SET server_seq = ?2, row_number = ?3, person = ?4, own_row = ?5, hlc = ?6"
                  " WHERE county = ?1",
                  &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, c->server_seq);
    bind_u64(q, 3, c->row_number);
    bind_i64(q, 4, c->person);
    bind_i64(q, 5, c->own_row);
    bind_i64(q, 6, c->hlc);
    return stmt_run(q, d);
}

enum err cstore_commit(struct cstore *s, struct diag *d)
{
    CHECK(s->txn.open);
    enum err rc = counters_write(s, d);
    if (!rc)
        rc = s->sql.ops->commit(s->sql.db, d);
    if (rc)
        cstore_rollback(s);
    s->txn.open = false;
    cache_clear(s, false);
    return rc;
}

void cstore_rollback(struct cstore *s)
{
    if (s->txn.open)
        s->sql.ops->rollback(s->sql.db);
    s->txn.open = false;
    cache_clear(s, false);
}

/* ---- the county ---- */

static enum err county_insert(struct cstore *s, struct str name, uint32_t epoch, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, "SELECT 1 FROM county WHERE county = ?1", &q, d);
    if (rc)
        return rc;
    rc = stmt_step(q, &row, d);
    stmt_done(q);
    if (!rc && row)
        rc = diag_set(d, ERR_EXISTS, "There is a county of this number already; choose an empty place.");
    if (!rc)
        rc =
            statement(s,
                      "INSERT INTO county (county, name, epoch, server_seq, row_number, person, own_row, hlc,"
                      " line) SELECT CASE WHEN ?1 > 0 THEN ?1 ELSE (SELECT coalesce(max(county), 0) + 1"
                      " FROM county) END, ?2, ?3, 0, 0, 0, 0, 0, ?4 RETURNING county",
                      &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, name);
    bind_i64(q, 3, epoch);
    bind_text(q, 4, s->sql.ops->line(s->sql.db));
    rc = stmt_step(q, &row, d);
    if (!rc) {
        CHECK(row);
        s->county = col_i64(q, 0);
        rc = stmt_step(q, &row, d);
    }
    stmt_done(q);
    return rc;
}

enum err cstore_county_make(struct cstore *s, struct str name, uint32_t epoch, int64_t *county_out,
                            struct diag *d)
{
    int64_t before = s->county;
    enum err rc = s->sql.ops->begin(s->sql.db, d);
    if (rc)
        return rc;
    s->txn.open = true;
    rc = county_insert(s, name, epoch, d);
    if (!rc)
        rc = s->sql.ops->commit(s->sql.db, d);
    if (rc) {
        cstore_rollback(s);
        s->county = before;
    }
    s->txn.open = false;
    if (!rc && county_out)
        *county_out = s->county;
    return rc;
}

enum err cstore_county(struct cstore *s, struct arena *a, struct str *name_out, uint32_t *epoch_out,
                       struct counters *now_out, struct diag *d)
{
    return counters_read(s, a, name_out, epoch_out, now_out, d);
}

enum err cstore_epoch_begin(struct cstore *s, uint32_t epoch, uint64_t base, int64_t now_ms, struct str why,
                            struct diag *d)
{
    CHECK(s->txn.open && epoch > s->counters.epoch && base <= s->counters.server_seq);
    struct stmt *q = NULL;
    enum err rc = statement(s, "UPDATE county SET epoch = ?2 WHERE county = ?1", &q, d);
    if (!rc) {
        bind_i64(q, 2, epoch);
        rc = stmt_run(q, d);
    }
    if (!rc)
        rc = statement(s, "INSERT INTO epoch VALUES (?1, ?2, ?3, ?4, ?5)", &q, d);
    if (!rc) {
        bind_i64(q, 2, epoch);
        bind_u64(q, 3, base);
        bind_i64(q, 4, now_ms);
        bind_text(q, 5, none_as_empty(why));
        rc = stmt_run(q, d);
    }
    if (!rc)
        rc = statement(s, "UPDATE device SET cursor = ?2 WHERE county = ?1 AND cursor > ?2", &q, d);
    if (!rc) {
        bind_u64(q, 2, base);
        rc = stmt_run(q, d);
    }
    if (!rc)
        s->counters.epoch = s->counters_saved.epoch = epoch;
    return rc;
}

enum err cstore_epoch_base(struct cstore *s, uint32_t epoch, uint32_t upto, uint64_t *base_out,
                           struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, "SELECT min(base) FROM epoch WHERE county = ?1 AND epoch > ?2 AND epoch <= ?3",
                            &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, epoch);
    bind_i64(q, 3, upto);
    rc = stmt_step(q, &row, d);
    if (!rc)
        *base_out = row && !col_null(q, 0) ? col_u64(q, 0) : UINT64_MAX;
    stmt_done(q);
    return rc;
}

/* ---- people ---- */

enum err cstore_person_put(struct cstore *s, const struct person *p, int64_t now_ms, struct diag *d)
{
    CHECK(s->txn.open && p->person > 0);
    struct stmt *q = NULL;
    enum err rc = statement(s, "INSERT INTO person VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, p->person);
    bind_i64(q, 3, p->role);
    bind_text(q, 4, none_as_empty(p->name));
    bind_text(q, 5, none_as_empty(p->area));
    bind_i64(q, 6, now_ms);
    return stmt_run(q, d);
}

static enum err person_read(struct stmt *q, struct arena *a, struct person *out, const char *what,
                            struct diag *d)
{
    bool row = false;
    enum err rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = diag_set(d, ERR_NOT_FOUND, "%s is not on the centre's list.", what);
    struct person p = {0};
    if (!rc) {
        p.person = (uint32_t)col_i64(q, 0);
        p.role = (uint8_t)col_i64(q, 1);
        rc = keep(a, col_text(q, 2), &p.name);
    }
    if (!rc)
        rc = keep(a, col_text(q, 3), &p.area);
    if (!rc)
        *out = p;
    stmt_done(q);
    return rc;
}

enum err cstore_person(struct cstore *s, struct arena *a, uint32_t number, struct person *out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            "SELECT person, role, name, area FROM person WHERE county = ?1 AND person = ?2",
                            &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, number);
    return person_read(q, a, out, "This person", d);
}

enum err cstore_person_find(struct cstore *s, struct arena *a, struct str name, uint8_t role, struct str area,
                            struct person *out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc =
        statement(s,
                  "SELECT person, role, name, area FROM person WHERE county = ?1 AND name = ?2 AND role = ?3"
                  " AND area = ?4 ORDER BY person LIMIT 1",
                  &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, none_as_empty(name));
    bind_i64(q, 3, role);
    bind_text(q, 4, none_as_empty(area));
    return person_read(q, a, out, "This person", d);
}

/* ---- enrolment tokens ---- */

enum err cstore_enrol_put(struct cstore *s, const struct enrol_row *e, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc =
        statement(s,
                  "INSERT INTO enrol VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (county, hash) DO UPDATE SET"
                  " person = excluded.person, until_ms = excluded.until_ms, device = excluded.device",
                  &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, e->hash, SHA256_SIZE);
    bind_i64(q, 3, e->person);
    bind_i64(q, 4, e->until_ms);
    bind_u64(q, 5, e->device);
    return stmt_run(q, d);
}

enum err cstore_enrol(struct cstore *s, const unsigned char hash[static SHA256_SIZE], struct enrol_row *out,
                      struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, "SELECT person, until_ms, device FROM enrol WHERE county = ?1 AND hash = ?2",
                            &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, hash, SHA256_SIZE);
    rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = diag_set(d, ERR_NOT_FOUND, "This enrolment token is not one of the county's.");
    if (!rc) {
        memcpy(out->hash, hash, SHA256_SIZE);
        out->person = (uint32_t)col_i64(q, 0);
        out->until_ms = col_i64(q, 1);
        out->device = col_u64(q, 2);
    }
    stmt_done(q);
    return rc;
}

/* ---- devices ---- */

enum err cstore_device_put(struct cstore *s, const struct device_row *v, struct diag *d)
{
    CHECK(s->txn.open && v->device > 0);
    struct stmt *q = NULL;
    enum err rc = statement(
        s,
        "INSERT INTO device (county, device, inc, person, sign_public, seal_public, model, version, "
        "enrolled_ms,"
        " contact_ms, revoked_ms, contiguous, revoked_why, cursor)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
        " ON CONFLICT (county, device, inc) DO UPDATE SET person = excluded.person,"
        " sign_public = excluded.sign_public, seal_public = excluded.seal_public, model = excluded.model,"
        " version = excluded.version, enrolled_ms = excluded.enrolled_ms, contact_ms = excluded.contact_ms,"
        " revoked_ms = excluded.revoked_ms, contiguous = excluded.contiguous,"
        " revoked_why = excluded.revoked_why, cursor = excluded.cursor",
        &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, v->device);
    bind_i64(q, 3, v->inc);
    bind_i64(q, 4, v->person);
    bind_blob(q, 5, v->sign_public, P256_PUBLIC_SIZE);
    bind_blob(q, 6, v->seal_public, X25519_SIZE);
    bind_text(q, 7, none_as_empty(v->model));
    bind_text(q, 8, none_as_empty(v->version));
    bind_i64(q, 9, v->enrolled_ms);
    bind_i64(q, 10, v->contact_ms);
    bind_i64(q, 11, v->revoked_ms);
    bind_u64(q, 12, v->contiguous);
    bind_i64(q, 13, v->revoked_why);
    bind_u64(q, 14, v->cursor);
    return stmt_run(q, d);
}

#define DEVICE_COLUMNS                                                                                \
    "SELECT device, inc, person, sign_public, seal_public, model, version, enrolled_ms, contact_ms, " \
    "revoked_ms,"                                                                                     \
    " contiguous, revoked_why, cursor FROM device WHERE county = ?1"

static enum err device_read(struct stmt *q, struct arena *a, struct device_row *out, struct diag *d)
{
    struct device_row v = {.device = col_u64(q, 0),
                           .inc = (uint32_t)col_i64(q, 1),
                           .person = (uint32_t)col_i64(q, 2),
                           .enrolled_ms = col_i64(q, 7),
                           .contact_ms = col_i64(q, 8),
                           .revoked_ms = col_i64(q, 9),
                           .contiguous = col_u64(q, 10),
                           .revoked_why = (enum revoked_why)col_i64(q, 11),
                           .cursor = col_u64(q, 12)};
    if (!col_bytes(q, 3, v.sign_public, P256_PUBLIC_SIZE) || !col_bytes(q, 4, v.seal_public, X25519_SIZE))
        return damaged(d, "device");
    if (keep(a, col_text(q, 5), &v.model) || keep(a, col_text(q, 6), &v.version))
        return no_memory(d);
    *out = v;
    return ERR_OK;
}

enum err cstore_device(struct cstore *s, struct arena *a, uint64_t device, uint32_t inc,
                       struct device_row *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, DEVICE_COLUMNS " AND device = ?2 AND inc = ?3", &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_i64(q, 3, inc);
    rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = diag_set(d, ERR_NOT_FOUND, "Device %016llx is not enrolled here.", (unsigned long long)device);
    if (!rc)
        rc = device_read(q, a, out, d);
    stmt_done(q);
    return rc;
}

enum err cstore_devices(struct cstore *s, struct arena *a, struct device_row **out, uint32_t *count_out,
                        struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    VEC(struct device_row) list = {0};
    enum err rc = statement(s, DEVICE_COLUMNS " ORDER BY enrolled_ms, device, inc", &q, d);
    if (rc)
        return rc;
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct device_row *v = vec_push(a, &list);
        rc = v ? device_read(q, a, v, d) : no_memory(d);
        if (rc)
            break;
    }
    stmt_done(q);
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}

/* ---- the ledger ---- */

enum err cstore_batch_put(struct cstore *s, const struct batch_row *b, struct diag *d)
{
    CHECK(s->txn.open && b->batch_seq > 0 && b->receipt.n > 0 && b->status != 0);
    struct stmt *q = NULL;
    enum err rc = statement(
        s,
        "INSERT INTO batch (county, device, inc, bseq, batch_id, hash, status, reason, server_seq,"
        " change_count, received_ms, receipt, frame, payload, cause, epoch, as_inc, came_epoch, copy)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,"
        "  ?19, CASE WHEN ?18 = 0 THEN 0 ELSE (SELECT coalesce(max(copy), 0) + 1 FROM batch"
        "   WHERE county = ?1 AND device = ?2 AND inc = ?3 AND bseq = ?4) END)",
        &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, b->device);
    bind_i64(q, 3, b->inc);
    bind_u64(q, 4, b->batch_seq);
    bind_blob(q, 5, b->batch_id, BATCH_ID_SIZE);
    bind_blob(q, 6, b->hash, sizeof b->hash);
    bind_i64(q, 7, b->status);
    bind_text(q, 8, none_as_empty(b->reason));
    bind_u64(q, 9, b->server_seq);
    bind_i64(q, 10, b->change_count);
    bind_i64(q, 11, b->received_ms);
    bind_blob(q, 12, b->receipt.p, b->receipt.n);
    bind_blob(q, 13, b->frame.p, b->frame.n);
    bind_blob(q, 14, b->payload.n ? b->payload.p : "", b->payload.n);
    bind_i64(q, 15, b->cause);
    bind_i64(q, 16, b->epoch);
    bind_i64(q, 17, b->as_inc);
    bind_i64(q, 18, b->copy);
    bind_i64(q, 19, b->came_epoch);
    return stmt_run(q, d);
}

enum err cstore_batch_settle(struct cstore *s, const struct batch_row *b, struct diag *d)
{
    CHECK(s->txn.open && b->receipt.n > 0 && b->status != 0);
    struct stmt *q = NULL;
    enum err rc = statement(
        s,
        "UPDATE batch SET status = ?6, reason = ?7, cause = ?8, server_seq = ?9, change_count = ?10,"
        " receipt = ?11, epoch = ?12, as_inc = ?13, came_epoch = ?14 WHERE county = ?1 AND device = ?2 AND "
        "inc = ?3"
        " AND bseq = ?4 AND copy = ?5",
        &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, b->device);
    bind_i64(q, 3, b->inc);
    bind_u64(q, 4, b->batch_seq);
    bind_i64(q, 5, b->copy);
    bind_i64(q, 6, b->status);
    bind_text(q, 7, none_as_empty(b->reason));
    bind_i64(q, 8, b->cause);
    bind_u64(q, 9, b->server_seq);
    bind_i64(q, 10, b->change_count);
    bind_blob(q, 11, b->receipt.p, b->receipt.n);
    bind_i64(q, 12, b->epoch);
    bind_i64(q, 13, b->as_inc);
    bind_i64(q, 14, b->came_epoch);
    return stmt_run(q, d);
}

#define BATCH_COLUMNS                                                                                   \
    "SELECT device, inc, bseq, batch_id, hash, status, reason, server_seq, change_count, received_ms, " \
    "receipt, cause, epoch, as_inc, copy, came_epoch"
#define BATCH_OF " FROM batch WHERE county = ?1 AND device = ?2 AND inc = ?3"
#define BATCH_LEDGER BATCH_COLUMNS BATCH_OF " AND copy = 0"

static enum err batch_read_row(struct stmt *q, struct arena *a, struct batch_row *out, struct diag *d)
{
    struct batch_row b = {.device = col_u64(q, 0),
                          .inc = (uint32_t)col_i64(q, 1),
                          .batch_seq = col_u64(q, 2),
                          .status = (enum receipt_status)col_i64(q, 5),
                          .server_seq = col_u64(q, 7),
                          .cause = (enum err)col_i64(q, 11),
                          .change_count = (uint32_t)col_i64(q, 8),
                          .received_ms = col_i64(q, 9),
                          .epoch = (uint32_t)col_i64(q, 12),
                          .as_inc = (uint32_t)col_i64(q, 13),
                          .copy = (uint32_t)col_i64(q, 14),
                          .came_epoch = (uint32_t)col_i64(q, 15)};
    if (!col_bytes(q, 3, b.batch_id, BATCH_ID_SIZE) || !col_bytes(q, 4, b.hash, sizeof b.hash))
        return damaged(d, "batch");
    if (keep(a, col_text(q, 6), &b.reason) || keep(a, col_blob(q, 10), &b.receipt))
        return no_memory(d);
    *out = b;
    return ERR_OK;
}

enum err cstore_batch(struct cstore *s, struct arena *a, uint64_t device, uint32_t inc, uint64_t batch_seq,
                      struct batch_row *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, BATCH_LEDGER " AND bseq = ?4", &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_i64(q, 3, inc);
    bind_u64(q, 4, batch_seq);
    rc = stmt_step(q, &row, d);
    if (!rc)
        rc = row ? batch_read_row(q, a, out, d) : ERR_NOT_FOUND;
    stmt_done(q);
    return rc;
}

enum err cstore_batches(struct cstore *s, struct arena *a, uint64_t device, uint32_t inc, uint64_t since,
                        uint32_t limit, struct batch_row **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    VEC(struct batch_row) list = {0};
    enum err rc = statement(s, BATCH_LEDGER " AND bseq > ?4 ORDER BY bseq LIMIT ?5", &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_i64(q, 3, inc);
    bind_u64(q, 4, since);
    bind_i64(q, 5, limit);
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct batch_row *b = vec_push(a, &list);
        rc = b ? batch_read_row(q, a, b, d) : no_memory(d);
        if (rc)
            break;
    }
    stmt_done(q);
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}

enum err cstore_payloads(struct cstore *s, struct arena *a, uint64_t device, uint32_t inc, uint64_t since,
                         uint32_t limit, struct batch_row **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    VEC(struct batch_row) list = {0};
    enum err rc = statement(s,
                            "SELECT bseq, server_seq, payload FROM batch WHERE county = ?1 AND device = ?2"
                            " AND inc = ?3 AND bseq > ?4 AND copy = 0 AND as_inc = 0 AND status <> ?5"
                            " ORDER BY bseq LIMIT ?6",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_i64(q, 3, inc);
    bind_u64(q, 4, since);
    bind_i64(q, 5, RECEIPT_QUARANTINED);
    bind_i64(q, 6, limit);
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct batch_row *b = vec_push(a, &list);
        if (!b) {
            rc = no_memory(d);
            break;
        }
        *b = (struct batch_row){.device = device,
                                .inc = inc,
                                .batch_seq = col_u64(q, 0),
                                .server_seq = col_u64(q, 1)};
        if (keep(a, col_blob(q, 2), &b->payload)) {
            rc = no_memory(d);
            break;
        }
    }
    stmt_done(q);
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}

enum err cstore_batch_again(struct cstore *s, uint64_t device, uint32_t inc, uint64_t batch_seq,
                            struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc =
        statement(s,
                  "UPDATE batch SET again = again + 1 WHERE county = ?1 AND device = ?2 AND inc = ?3"
                  " AND bseq = ?4 AND copy = 0",
                  &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_i64(q, 3, inc);
    bind_u64(q, 4, batch_seq);
    return stmt_run(q, d);
}

static enum err batch_read_whole(struct stmt *q, struct arena *a, struct batch_row *out, struct diag *d)
{
    enum err rc = batch_read_row(q, a, out, d);
    if (!rc && (keep(a, col_blob(q, 16), &out->frame) || keep(a, col_blob(q, 17), &out->payload)))
        rc = no_memory(d);
    if (!rc)
        out->payload = none_as_empty(out->payload);
    return rc;
}

enum err cstore_batch_whole(struct cstore *s, struct arena *a, uint64_t device, uint32_t inc,
                            uint64_t batch_seq, uint32_t copy, struct batch_row *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, BATCH_COLUMNS ", frame, payload" BATCH_OF " AND bseq = ?4 AND copy = ?5", &q,
                            d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_i64(q, 3, inc);
    bind_u64(q, 4, batch_seq);
    bind_i64(q, 5, copy);
    rc = stmt_step(q, &row, d);
    if (!rc)
        rc = row ? batch_read_whole(q, a, out, d) : ERR_NOT_FOUND;
    stmt_done(q);
    return rc;
}

enum err cstore_batch_beside(struct cstore *s, struct arena *a, uint64_t device, uint32_t inc,
                             uint64_t batch_seq, const unsigned char batch_id[static BATCH_ID_SIZE],
                             struct batch_row *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, BATCH_COLUMNS BATCH_OF " AND bseq = ?4 AND copy > 0 AND batch_id = ?5", &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_i64(q, 3, inc);
    bind_u64(q, 4, batch_seq);
    bind_blob(q, 5, batch_id, BATCH_ID_SIZE);
    rc = stmt_step(q, &row, d);
    if (!rc)
        rc = row ? batch_read_row(q, a, out, d) : ERR_NOT_FOUND;
    stmt_done(q);
    return rc;
}

/* The frame's head has it at byte 44 (envelope.h). */
enum err cstore_batch_prev(struct cstore *s, uint64_t device, uint32_t inc, uint64_t batch_seq,
                           unsigned char prev_out[static 8], struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, "SELECT substr(frame, 45, 8)" BATCH_OF " AND bseq = ?4 AND copy = 0", &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_i64(q, 3, inc);
    bind_u64(q, 4, batch_seq);
    rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = ERR_NOT_FOUND;
    else if (!rc && !col_bytes(q, 0, prev_out, 8))
        rc = damaged(d, "batch");
    stmt_done(q);
    return rc;
}

enum err cstore_apart_bytes(struct cstore *s, uint64_t device, uint64_t *bytes_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s,
                            "SELECT coalesce(sum(length(frame) + length(payload)), 0) FROM batch"
                            " WHERE county = ?1 AND device = ?2 AND status = 3",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    rc = stmt_step(q, &row, d);
    if (!rc)
        *bytes_out = col_u64(q, 0);
    stmt_done(q);
    return rc;
}

enum err cstore_recut_put(struct cstore *s, uint64_t device,
                          const unsigned char batch_id[static BATCH_ID_SIZE], uint32_t as_inc, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            "INSERT INTO recut VALUES (?1, ?2, ?3, ?4) ON CONFLICT (county, device, batch_id)"
                            " DO UPDATE SET as_inc = excluded.as_inc",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_blob(q, 3, batch_id, BATCH_ID_SIZE);
    bind_i64(q, 4, as_inc);
    return stmt_run(q, d);
}

enum err cstore_recut(struct cstore *s, uint64_t device, const unsigned char batch_id[static BATCH_ID_SIZE],
                      uint32_t *as_inc_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, "SELECT as_inc FROM recut WHERE county = ?1 AND device = ?2 AND batch_id = ?3",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_blob(q, 3, batch_id, BATCH_ID_SIZE);
    rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = ERR_NOT_FOUND;
    if (!rc)
        *as_inc_out = (uint32_t)col_i64(q, 0);
    stmt_done(q);
    return rc;
}

enum err cstore_applied(struct cstore *s, struct arena *a, uint64_t after, uint32_t limit,
                        struct batch_row **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    VEC(struct batch_row) list = {0};
    enum err rc = statement(s,
                            BATCH_COLUMNS
                            ", frame, payload FROM batch WHERE county = ?1"
                            " AND server_seq > ?2 AND server_seq > 0 ORDER BY server_seq LIMIT ?3",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, after);
    bind_i64(q, 3, limit);
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct batch_row *b = vec_push(a, &list);
        rc = b ? batch_read_whole(q, a, b, d) : no_memory(d);
        if (rc)
            break;
    }
    stmt_done(q);
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}

/* ---- the centre's own changes ---- */

enum err cstore_own_put(struct cstore *s, const struct own_row *o, struct diag *d)
{
    CHECK(s->txn.open && o->seq > 0);
    struct stmt *q = NULL;
    enum err rc = statement(s, "INSERT INTO own VALUES (?1, ?2, ?3)", &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, o->seq);
    bind_blob(q, 3, o->payload.p, o->payload.n);
    return stmt_run(q, d);
}

enum err cstore_own(struct cstore *s, struct arena *a, uint64_t after, uint32_t limit, struct own_row **out,
                    uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    VEC(struct own_row) list = {0};
    enum err rc = statement(
        s, "SELECT seq, payload FROM own WHERE county = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3", &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, after);
    bind_i64(q, 3, limit);
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct own_row *o = vec_push(a, &list);
        if (!o) {
            rc = no_memory(d);
            break;
        }
        o->seq = col_u64(q, 0);
        if (keep(a, col_blob(q, 1), &o->payload)) {
            rc = no_memory(d);
            break;
        }
    }
    stmt_done(q);
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}
