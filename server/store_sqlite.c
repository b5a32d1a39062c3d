/* The store over SQLite: one plain database in the centre's directory, WAL, synchronous=FULL, STRICT tables.
 *
 * SQL is never built from input: every statement is a literal. Row ids are 16-byte blobs that sort like their numbers,
 * 64-bit ids are stored as SQLite's signed integers bit by bit. A verb gathers its rows into the caller's arena before it
 * returns, so that verbs can be called from inside loops over each other's results.
 */
#include "server/store.h"

#include "platform/db.h"
#include "sync/change.h"

#define CSTORE_APPLICATION_ID 0x44534331 /* "DSC1" */

struct cstore {
    struct db *db;
    struct arena memory;
    struct txn txn;
    struct counters counters, counters_saved;
    int64_t county;
};

/* clang-format off */
static const struct migration migrations[] = {
    {1,
     "CREATE TABLE county ("
     "  county INTEGER PRIMARY KEY, name TEXT NOT NULL, epoch INTEGER NOT NULL,"
     "  server_seq INTEGER NOT NULL, row_number INTEGER NOT NULL, person INTEGER NOT NULL,"
     "  own_row INTEGER NOT NULL, hlc INTEGER NOT NULL) STRICT;"
     "CREATE TABLE audit ("
     "  county INTEGER NOT NULL, n INTEGER NOT NULL, at_ms INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,"
     "  about TEXT NOT NULL, PRIMARY KEY (county, n)) STRICT, WITHOUT ROWID;"
     "CREATE TABLE person ("
     "  county INTEGER NOT NULL, person INTEGER NOT NULL, role INTEGER NOT NULL, name TEXT NOT NULL,"
     "  area TEXT NOT NULL, added_ms INTEGER NOT NULL, PRIMARY KEY (county, person)) STRICT, WITHOUT ROWID;"
     "CREATE TABLE enrol ("
     "  county INTEGER NOT NULL, hash BLOB NOT NULL, person INTEGER NOT NULL, until_ms INTEGER NOT NULL,"
     "  device INTEGER NOT NULL, PRIMARY KEY (county, hash)) STRICT, WITHOUT ROWID;"
     "CREATE TABLE device ("
     "  county INTEGER NOT NULL, device INTEGER NOT NULL, inc INTEGER NOT NULL, person INTEGER NOT NULL,"
     "  sign_public BLOB NOT NULL, seal_public BLOB NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL,"
     "  enrolled_ms INTEGER NOT NULL, contact_ms INTEGER NOT NULL, revoked_ms INTEGER NOT NULL,"
     "  contiguous INTEGER NOT NULL, PRIMARY KEY (county, device, inc)) STRICT, WITHOUT ROWID;"
     "CREATE TABLE batch ("
     "  county INTEGER NOT NULL, device INTEGER NOT NULL, inc INTEGER NOT NULL, bseq INTEGER NOT NULL,"
     "  batch_id BLOB NOT NULL, hash BLOB NOT NULL, status INTEGER NOT NULL, reason TEXT NOT NULL,"
     "  cause INTEGER NOT NULL, server_seq INTEGER NOT NULL, change_count INTEGER NOT NULL,"
     "  received_ms INTEGER NOT NULL, again INTEGER NOT NULL DEFAULT 0, receipt BLOB NOT NULL, frame BLOB NOT NULL, payload BLOB NOT NULL,"
     "  PRIMARY KEY (county, device, inc, bseq)) STRICT;"
     "CREATE INDEX batch_apart ON batch (county, received_ms) WHERE status = 3;"
     "CREATE TABLE clone ("
     "  county INTEGER NOT NULL, device INTEGER NOT NULL, inc INTEGER NOT NULL, bseq INTEGER NOT NULL,"
     "  batch_id BLOB NOT NULL, reason TEXT NOT NULL, received_ms INTEGER NOT NULL, receipt BLOB NOT NULL,"
     "  frame BLOB NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (county, device, inc, bseq, batch_id)) STRICT;"},
    {2,
     "CREATE TABLE record ("
     "  county INTEGER NOT NULL, row BLOB NOT NULL, number INTEGER NOT NULL, kind INTEGER NOT NULL, parent BLOB,"
     "  household BLOB, interview BLOB, area TEXT, code TEXT, last_seq INTEGER NOT NULL, packed BLOB NOT NULL,"
     "  PRIMARY KEY (county, row)) STRICT;"
     "CREATE UNIQUE INDEX record_number ON record (county, number);"
     "CREATE INDEX record_kind ON record (county, kind, number);"
     "CREATE INDEX record_code ON record (county, kind, code) WHERE code IS NOT NULL;"
     "CREATE INDEX record_parent ON record (county, parent, number) WHERE parent IS NOT NULL;"
     "CREATE INDEX record_household ON record (county, household, number) WHERE household IS NOT NULL;"
     "CREATE INDEX record_interview ON record (county, interview, number) WHERE interview IS NOT NULL;"
     "CREATE TABLE touch ("
     "  county INTEGER NOT NULL, seq INTEGER NOT NULL, row BLOB NOT NULL, from_seq INTEGER NOT NULL,"
     "  PRIMARY KEY (county, seq, row)) STRICT, WITHOUT ROWID;"
     "CREATE INDEX touch_row ON touch (county, row, seq);"
     "CREATE TABLE object ("
     "  county INTEGER NOT NULL, hash BLOB NOT NULL, kind TEXT NOT NULL, size INTEGER NOT NULL,"
     "  added_ms INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (county, hash)) STRICT;"
     "CREATE TABLE form ("
     "  county INTEGER NOT NULL, hash BLOB NOT NULL, id TEXT NOT NULL, version TEXT NOT NULL, title TEXT NOT NULL,"
     "  fieldmap TEXT NOT NULL, published_ms INTEGER NOT NULL, n INTEGER NOT NULL,"
     "  PRIMARY KEY (county, hash)) STRICT, WITHOUT ROWID;"
     "CREATE UNIQUE INDEX form_n ON form (county, id, n);"
     "CREATE TABLE field ("
     "  county INTEGER NOT NULL, form_id TEXT NOT NULL, is_repeat INTEGER NOT NULL, path TEXT NOT NULL,"
     "  type INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (county, form_id, is_repeat, path, type))"
     "  STRICT, WITHOUT ROWID;"
     "CREATE UNIQUE INDEX field_number ON field (county, form_id, is_repeat, number);"
     "CREATE TABLE submission ("
     "  county INTEGER NOT NULL, visit BLOB NOT NULL, form BLOB NOT NULL,"
     "  form_id TEXT NOT NULL, instance_id TEXT NOT NULL, xml_matches INTEGER NOT NULL, statuses TEXT NOT NULL,"
     "  device INTEGER NOT NULL, inc INTEGER NOT NULL, person INTEGER NOT NULL, final_seq INTEGER NOT NULL,"
     "  seen INTEGER NOT NULL, received_ms INTEGER NOT NULL, xml BLOB NOT NULL,"
     "  PRIMARY KEY (county, visit)) STRICT;"
     "CREATE INDEX submission_form ON submission (county, form_id, received_ms, visit);"
     "CREATE INDEX submission_open ON submission (county, visit) WHERE xml_matches = 0;"},
};
/* clang-format on */

/* ---- small helpers ---- */

static struct str none_as_empty(struct str s)
{
    return s.p ? s : STR("");
}

static void bind_u64(struct stmt *q, int index, uint64_t v)
{
    int64_t bits;
    memcpy(&bits, &v, sizeof bits);
    bind_i64(q, index, bits);
}

static uint64_t col_u64(struct stmt *q, int column)
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

static bool row_none(struct row_id id)
{
    return id.device == 0 && id.inc == 0 && id.counter == 0;
}

static void bind_row(struct stmt *q, int index, struct row_id id, struct row_bytes *room)
{
    if (row_none(id)) {
        bind_null(q, index);
        return;
    }
    row_id_write(id, room->at);
    bind_blob(q, index, room->at, ROW_ID_SIZE);
}

static struct row_id col_row(struct stmt *q, int column)
{
    struct row_id id = {0};
    struct str bytes = col_blob(q, column);
    if (!bytes.p || !row_id_read(bytes, &id))
        return (struct row_id){0};
    return id;
}

static bool col_bytes(struct stmt *q, int column, void *out, size_t n)
{
    struct str bytes = col_blob(q, column);
    if (bytes.n != n)
        return false;
    memcpy(out, bytes.p, n);
    return true;
}

static enum err keep(struct arena *a, struct str from, struct str *out)
{
    if (!from.p) {
        *out = STR_NONE;
        return ERR_OK;
    }
    *out = arena_str(a, from);
    return out->p ? ERR_OK : ERR_NOMEM;
}

static enum err no_memory(struct diag *d)
{
    return diag_set(d, ERR_NOMEM, "Out of memory while reading the centre's database.");
}

static enum err damaged(struct diag *d, const char *table)
{
    return diag_set(d, ERR_CORRUPT,
                    "The centre's database holds a row of table %s with a wrong size. Restore it from a backup.", table);
}

/* One statement whose result is one row. Begins it; *found_out tells whether the row is there. */
static enum err one(struct cstore *s, const char *sql, struct stmt **q_out, struct diag *d)
{
    enum err rc = db_prepare(s->db, sql, q_out, d);
    if (rc)
        return rc;
    bind_i64(*q_out, 1, s->county);
    return ERR_OK;
}

/* ---- open, close, transactions ---- */

enum err cstore_open(const char *path, const char *vfs, struct cstore **cstore_out, struct diag *d)
{
    struct arena memory;
    arena_init(&memory, 1u << 16);
    struct cstore *s = ARENA_NEW(&memory, struct cstore);
    if (!s)
        return no_memory(d);
    struct db_options o = {
        .path = path,
        .vfs = vfs,
        .migrations = migrations,
        .migration_count = sizeof migrations / sizeof migrations[0],
        .application_id = CSTORE_APPLICATION_ID,
        .busy_ms_max = 10000,
    };
    enum err rc = db_open(&o, &s->db, d);
    if (rc) {
        arena_free(&memory);
        return rc;
    }
    s->county = 1;
    s->memory = memory;
    *cstore_out = s;
    return ERR_OK;
}

void cstore_close(struct cstore *s)
{
    if (!s)
        return;
    txn_rollback(&s->txn);
    db_close(s->db);
    struct arena memory = s->memory;
    arena_free(&memory);
}

static enum err counters_read(struct cstore *s, struct arena *a, struct str *name_out, uint32_t *epoch_out,
                              struct counters *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = one(s,
                      "SELECT name, epoch, server_seq, row_number, person, own_row, hlc FROM county"
                      " WHERE county = ?1",
                      &q, d);
    if (!rc)
        rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = diag_set(d, ERR_STATE, "This directory holds no county yet. Make one with: doorstepd init DIR --county NAME");
    if (!rc && name_out)
        rc = keep(a, col_text(q, 0), name_out);
    if (!rc) {
        if (epoch_out)
            *epoch_out = (uint32_t)col_i64(q, 1);
        *out = (struct counters){.server_seq = col_u64(q, 2),
                                 .row_number = col_u64(q, 3),
                                 .person = (uint32_t)col_i64(q, 4),
                                 .own_row = (uint32_t)col_i64(q, 5),
                                 .hlc = col_i64(q, 6)};
    }
    stmt_done(q);
    return rc;
}

enum err cstore_begin(struct cstore *s, struct diag *d)
{
    CHECK(!s->txn.open);
    enum err rc = txn_begin(&s->txn, s->db, d);
    if (rc)
        return rc;
    rc = counters_read(s, NULL, NULL, NULL, &s->counters, d);
    s->counters_saved = s->counters;
    if (rc)
        txn_rollback(&s->txn);
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
    enum err rc = one(s,
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
    rc = stmt_run(q, d);
    stmt_done(q);
    return rc;
}

enum err cstore_commit(struct cstore *s, struct diag *d)
{
    CHECK(s->txn.open);
    enum err rc = counters_write(s, d);
    if (!rc)
        rc = txn_commit(&s->txn, d);
    if (rc)
        txn_rollback(&s->txn);
    return rc;
}

void cstore_rollback(struct cstore *s)
{
    txn_rollback(&s->txn);
}

/* ---- the county ---- */

enum err cstore_county_make(struct cstore *s, struct str name, uint32_t epoch, struct diag *d)
{
    struct stmt *q = NULL;
    struct txn t = {0};
    bool row = false;
    enum err rc = txn_begin(&t, s->db, d);
    if (!rc)
        rc = one(s, "SELECT 1 FROM county WHERE county = ?1", &q, d);
    if (!rc)
        rc = stmt_step(q, &row, d);
    stmt_done(q);
    q = NULL;
    if (!rc && row)
        rc = diag_set(d, ERR_EXISTS, "This directory holds a county already; choose an empty one.");
    if (!rc)
        rc = one(s, "INSERT INTO county VALUES (?1, ?2, ?3, 0, 0, 0, 0, 0)", &q, d);
    if (!rc) {
        bind_text(q, 2, name);
        bind_i64(q, 3, epoch);
        rc = stmt_run(q, d);
        stmt_done(q);
    }
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    return rc;
}

enum err cstore_county(struct cstore *s, struct arena *a, struct str *name_out, uint32_t *epoch_out,
                      struct counters *now_out, struct diag *d)
{
    return counters_read(s, a, name_out, epoch_out, now_out, d);
}

enum err cstore_audit(struct cstore *s, int64_t now_ms, struct str who, struct str what, struct str about,
                     struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = one(s,
                      "INSERT INTO audit SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3, ?4, ?5 FROM audit"
                      " WHERE county = ?1",
                      &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, now_ms);
    bind_text(q, 3, none_as_empty(who));
    bind_text(q, 4, none_as_empty(what));
    bind_text(q, 5, none_as_empty(about));
    rc = stmt_run(q, d);
    stmt_done(q);
    return rc;
}

/* ---- people ---- */

enum err cstore_person_put(struct cstore *s, const struct person *p, int64_t now_ms, struct diag *d)
{
    CHECK(s->txn.open && p->person > 0);
    struct stmt *q = NULL;
    enum err rc = one(s, "INSERT INTO person VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, p->person);
    bind_i64(q, 3, p->role);
    bind_text(q, 4, none_as_empty(p->name));
    bind_text(q, 5, none_as_empty(p->area));
    bind_i64(q, 6, now_ms);
    rc = stmt_run(q, d);
    stmt_done(q);
    return rc;
}

static enum err person_read(struct stmt *q, struct arena *a, struct person *out, const char *what, struct diag *d)
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
    enum err rc = one(s, "SELECT person, role, name, area FROM person WHERE county = ?1 AND person = ?2", &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, number);
    return person_read(q, a, out, "This person", d);
}

enum err cstore_person_find(struct cstore *s, struct arena *a, struct str name, uint8_t role, struct str area,
                           struct person *out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = one(s,
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
    enum err rc = one(s, "INSERT OR REPLACE INTO enrol VALUES (?1, ?2, ?3, ?4, ?5)", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, e->hash, SHA256_SIZE);
    bind_i64(q, 3, e->person);
    bind_i64(q, 4, e->until_ms);
    bind_u64(q, 5, e->device);
    rc = stmt_run(q, d);
    stmt_done(q);
    return rc;
}

enum err cstore_enrol(struct cstore *s, const unsigned char hash[static SHA256_SIZE], struct enrol_row *out,
                     struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = one(s, "SELECT person, until_ms, device FROM enrol WHERE county = ?1 AND hash = ?2", &q, d);
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
    enum err rc = one(
        s, "INSERT OR REPLACE INTO device VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)", &q, d);
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
    rc = stmt_run(q, d);
    stmt_done(q);
    return rc;
}

#define DEVICE_COLUMNS                                                                                                \
    "SELECT device, inc, person, sign_public, seal_public, model, version, enrolled_ms, contact_ms, revoked_ms,"      \
    " contiguous FROM device WHERE county = ?1"

static enum err device_read(struct stmt *q, struct arena *a, struct device_row *out, struct diag *d)
{
    struct device_row v = {.device = col_u64(q, 0),
                           .inc = (uint32_t)col_i64(q, 1),
                           .person = (uint32_t)col_i64(q, 2),
                           .enrolled_ms = col_i64(q, 7),
                           .contact_ms = col_i64(q, 8),
                           .revoked_ms = col_i64(q, 9),
                           .contiguous = col_u64(q, 10)};
    if (!col_bytes(q, 3, v.sign_public, P256_PUBLIC_SIZE) || !col_bytes(q, 4, v.seal_public, X25519_SIZE))
        return damaged(d, "device");
    if (keep(a, col_text(q, 5), &v.model) || keep(a, col_text(q, 6), &v.version))
        return no_memory(d);
    *out = v;
    return ERR_OK;
}

enum err cstore_device(struct cstore *s, struct arena *a, uint64_t device, uint32_t inc, struct device_row *out,
                      struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = one(s, DEVICE_COLUMNS " AND device = ?2 AND inc = ?3", &q, d);
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
    enum err rc = one(s, DEVICE_COLUMNS " ORDER BY enrolled_ms, device, inc", &q, d);
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
    enum err rc = one(s,
                      "INSERT INTO batch (county, device, inc, bseq, batch_id, hash, status, reason, server_seq,"
                      " change_count, received_ms, receipt, frame, payload, cause)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
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
    rc = stmt_run(q, d);
    stmt_done(q);
    return rc;
}

#define BATCH_COLUMNS                                                                                                 \
    "SELECT device, inc, bseq, batch_id, hash, status, reason, server_seq, change_count, received_ms, receipt,"     \
    " cause"                                                                                                          \
    " FROM batch WHERE county = ?1 AND device = ?2 AND inc = ?3"

static enum err batch_read_row(struct stmt *q, struct arena *a, struct batch_row *out, struct diag *d)
{
    struct batch_row b = {.device = col_u64(q, 0),
                          .inc = (uint32_t)col_i64(q, 1),
                          .batch_seq = col_u64(q, 2),
                          .status = (enum receipt_status)col_i64(q, 5),
                          .server_seq = col_u64(q, 7),
                          .cause = (enum err)col_i64(q, 11),
                          .change_count = (uint32_t)col_i64(q, 8),
                          .received_ms = col_i64(q, 9)};
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
    enum err rc = one(s, BATCH_COLUMNS " AND bseq = ?4", &q, d);
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
    enum err rc = one(s, BATCH_COLUMNS " AND bseq > ?4 ORDER BY bseq LIMIT ?5", &q, d);
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

enum err cstore_batch_again(struct cstore *s, uint64_t device, uint32_t inc, uint64_t batch_seq, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = one(s,
                      "UPDATE batch SET again = again + 1 WHERE county = ?1 AND device = ?2 AND inc = ?3"
                      " AND bseq = ?4",
                      &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_i64(q, 3, inc);
    bind_u64(q, 4, batch_seq);
    rc = stmt_run(q, d);
    stmt_done(q);
    return rc;
}

enum err cstore_clone_put(struct cstore *s, const struct batch_row *b, struct diag *d)
{
    CHECK(s->txn.open && b->receipt.n > 0);
    struct stmt *q = NULL;
    enum err rc = one(s, "INSERT INTO clone VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)", &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, b->device);
    bind_i64(q, 3, b->inc);
    bind_u64(q, 4, b->batch_seq);
    bind_blob(q, 5, b->batch_id, BATCH_ID_SIZE);
    bind_text(q, 6, none_as_empty(b->reason));
    bind_i64(q, 7, b->received_ms);
    bind_blob(q, 8, b->receipt.p, b->receipt.n);
    bind_blob(q, 9, b->frame.p, b->frame.n);
    bind_blob(q, 10, b->payload.n ? b->payload.p : "", b->payload.n);
    rc = stmt_run(q, d);
    stmt_done(q);
    return rc;
}

enum err cstore_clone(struct cstore *s, struct arena *a, uint64_t device, uint32_t inc, uint64_t batch_seq,
                     const unsigned char batch_id[static BATCH_ID_SIZE], struct batch_row *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = one(s,
                      "SELECT reason, received_ms, receipt FROM clone WHERE county = ?1 AND device = ?2 AND inc = ?3"
                      " AND bseq = ?4 AND batch_id = ?5",
                      &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_i64(q, 3, inc);
    bind_u64(q, 4, batch_seq);
    bind_blob(q, 5, batch_id, BATCH_ID_SIZE);
    rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = ERR_NOT_FOUND;
    struct batch_row b = {.device = device, .inc = inc, .batch_seq = batch_seq, .status = RECEIPT_QUARANTINED,
                          .cause = ERR_EXISTS};
    if (!rc) {
        memcpy(b.batch_id, batch_id, BATCH_ID_SIZE);
        b.received_ms = col_i64(q, 1);
        if (keep(a, col_text(q, 0), &b.reason) || keep(a, col_blob(q, 2), &b.receipt))
            rc = no_memory(d);
    }
    if (!rc)
        *out = b;
    stmt_done(q);
    return rc;
}

/* ---- records ---- */

#define RECORD_COLUMNS                                                                                                \
    "SELECT row, number, kind, parent, household, interview, area, code, last_seq, packed FROM record"                \
    " WHERE county = ?1"

static enum err record_read_row(struct stmt *q, struct arena *a, struct record_row *out, struct diag *d)
{
    struct record_row r = {.row = col_row(q, 0),
                           .number = col_u64(q, 1),
                           .kind = (int)col_i64(q, 2),
                           .parent = col_row(q, 3),
                           .household = col_row(q, 4),
                           .interview = col_row(q, 5),
                           .last_seq = col_u64(q, 8)};
    if (row_none(r.row))
        return damaged(d, "record");
    if (keep(a, col_text(q, 6), &r.area) || keep(a, col_text(q, 7), &r.code) || keep(a, col_blob(q, 9), &r.packed))
        return no_memory(d);
    *out = r;
    return ERR_OK;
}

enum err cstore_record(struct cstore *s, struct arena *a, struct row_id row_id, struct record_row *out,
                      struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    bool row = false;
    enum err rc = one(s, RECORD_COLUMNS " AND row = ?2", &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, row_id, &room);
    rc = stmt_step(q, &row, d);
    if (!rc)
        rc = row ? record_read_row(q, a, out, d) : ERR_NOT_FOUND;
    stmt_done(q);
    return rc;
}

enum err cstore_record_put(struct cstore *s, const struct record_row *r, struct diag *d)
{
    CHECK(s->txn.open && r->number > 0 && !row_none(r->row));
    struct stmt *q = NULL;
    struct row_bytes room[4];
    enum err rc = one(s,
                      "INSERT INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
                      " ON CONFLICT (county, row) DO UPDATE SET kind = excluded.kind, parent = excluded.parent,"
                      " household = excluded.household, interview = excluded.interview, area = excluded.area,"
                      " code = excluded.code, last_seq = excluded.last_seq, packed = excluded.packed",
                      &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, r->row, &room[0]);
    bind_u64(q, 3, r->number);
    bind_i64(q, 4, r->kind);
    bind_row(q, 5, r->parent, &room[1]);
    bind_row(q, 6, r->household, &room[2]);
    bind_row(q, 7, r->interview, &room[3]);
    bind_text(q, 8, r->area);
    bind_text(q, 9, r->code);
    bind_u64(q, 10, r->last_seq);
    bind_blob(q, 11, r->packed.n ? r->packed.p : "", r->packed.n);
    rc = stmt_run(q, d);
    stmt_done(q);
    return rc;
}

enum err cstore_record_of_number(struct cstore *s, uint64_t number, struct row_id *row_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = one(s, "SELECT row FROM record WHERE county = ?1 AND number = ?2", &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, number);
    rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = ERR_NOT_FOUND;
    if (!rc)
        *row_out = col_row(q, 0);
    stmt_done(q);
    return rc;
}

/* clang-format off */
static const char *const records_sql[] = {
    [RECORDS_OF_KIND]      = RECORD_COLUMNS " AND kind = ?3 AND number > ?4 ORDER BY number LIMIT ?5",
    [RECORDS_OF_PARENT]    = RECORD_COLUMNS " AND parent = ?2 AND (?3 = 0 OR kind = ?3) AND number > ?4"
                             " ORDER BY number LIMIT ?5",
    [RECORDS_OF_HOUSEHOLD] = RECORD_COLUMNS " AND household = ?2 AND (?3 = 0 OR kind = ?3) AND number > ?4"
                             " ORDER BY number LIMIT ?5",
    [RECORDS_OF_INTERVIEW] = RECORD_COLUMNS " AND interview = ?2 AND (?3 = 0 OR kind = ?3) AND number > ?4"
                             " ORDER BY number LIMIT ?5",
};
/* clang-format on */

static enum err records_gather(struct stmt *q, struct arena *a, struct record_row **out, uint32_t *count_out,
                               struct diag *d)
{
    bool row = false;
    enum err rc = ERR_OK;
    VEC(struct record_row) list = {0};
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct record_row *r = vec_push(a, &list);
        rc = r ? record_read_row(q, a, r, d) : no_memory(d);
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

enum err cstore_records(struct cstore *s, struct arena *a, enum record_by by, struct row_id key, int kind,
                       uint64_t after, uint32_t limit, struct record_row **out, uint32_t *count_out,
                       struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc = one(s, records_sql[by], &q, d);
    if (rc)
        return rc;
    if (by != RECORDS_OF_KIND)
        bind_row(q, 2, key, &room);
    bind_i64(q, 3, kind);
    bind_u64(q, 4, after);
    bind_i64(q, 5, limit);
    return records_gather(q, a, out, count_out, d);
}

enum err cstore_records_coded(struct cstore *s, struct arena *a, int kind, struct str code, struct record_row **out,
                             uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = one(s, RECORD_COLUMNS " AND kind = ?2 AND code = ?3 ORDER BY number LIMIT 100", &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, kind);
    bind_text(q, 3, none_as_empty(code));
    return records_gather(q, a, out, count_out, d);
}

/* ---- touches ---- */

static enum err touch_write(struct cstore *s, const char *sql, const struct touch *t, bool put, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc = one(s, sql, &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, t->seq);
    bind_row(q, 3, t->row, &room);
    if (put)
        bind_u64(q, 4, t->from);
    rc = stmt_run(q, d);
    stmt_done(q);
    return rc;
}

enum err cstore_touch_put(struct cstore *s, const struct touch *t, struct diag *d)
{
    CHECK(t->from <= t->seq);
    return touch_write(s,
                       "INSERT INTO touch VALUES (?1, ?2, ?3, ?4) ON CONFLICT (county, seq, row)"
                       " DO UPDATE SET from_seq = min(from_seq, excluded.from_seq)",
                       t, true, d);
}

enum err cstore_touch_drop(struct cstore *s, const struct touch *t, struct diag *d)
{
    return touch_write(s, "DELETE FROM touch WHERE county = ?1 AND seq = ?2 AND row = ?3", t, false, d);
}

static enum err touches_gather(struct stmt *q, struct arena *a, struct touch **out, uint32_t *count_out,
                               struct diag *d)
{
    bool row = false;
    enum err rc = ERR_OK;
    VEC(struct touch) list = {0};
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct touch *t = vec_push(a, &list);
        if (!t) {
            rc = no_memory(d);
            break;
        }
        *t = (struct touch){.seq = col_u64(q, 0), .from = col_u64(q, 1), .row = col_row(q, 2)};
    }
    stmt_done(q);
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}

enum err cstore_touches_of(struct cstore *s, struct arena *a, struct row_id row, struct touch **out,
                          uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc =
        one(s, "SELECT seq, from_seq, row FROM touch WHERE county = ?1 AND row = ?2 ORDER BY seq", &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, row, &room);
    return touches_gather(q, a, out, count_out, d);
}

enum err cstore_touches(struct cstore *s, struct arena *a, uint64_t after_seq, struct row_id after_row,
                       uint64_t device, struct str area, uint32_t limit, struct touch **out,
                       uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    unsigned char after[ROW_ID_SIZE], own[ROW_ID_SIZE];
    row_id_write(after_row, after);
    row_id_write((struct row_id){.device = device}, own);
    enum err rc = one(s,
                      "SELECT t.seq, t.from_seq, t.row FROM touch t JOIN record r"
                      " ON r.county = t.county AND r.row = t.row"
                      " WHERE t.county = ?1 AND (t.seq, t.row) > (?2, ?3)"
                      " AND (r.kind = ?4 OR substr(t.row, 1, 8) = ?5 OR substr(r.area, 1, ?6) = ?7)"
                      " ORDER BY t.seq, t.row LIMIT ?8",
                      &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, after_seq);
    bind_blob(q, 3, after, ROW_ID_SIZE);
    bind_i64(q, 4, ROW_PUBLISHED);
    bind_blob(q, 5, own, 8);
    bind_i64(q, 6, (int64_t)utf8_length(area));
    bind_text(q, 7, none_as_empty(area));
    bind_i64(q, 8, limit);
    return touches_gather(q, a, out, count_out, d);
}

/* ---- objects ---- */

enum err cstore_object_put(struct cstore *s, const unsigned char hash[static SHA256_SIZE], struct str kind,
                          struct str bytes, int64_t now_ms, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = one(s,
                      "INSERT INTO object VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (county, hash) DO NOTHING",
                      &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, hash, SHA256_SIZE);
    bind_text(q, 3, kind);
    bind_i64(q, 4, (int64_t)bytes.n);
    bind_i64(q, 5, now_ms);
    bind_blob(q, 6, bytes.n ? bytes.p : "", bytes.n);
    rc = stmt_run(q, d);
    stmt_done(q);
    return rc;
}

enum err cstore_object(struct cstore *s, struct arena *a, const unsigned char hash[static SHA256_SIZE],
                      struct str *kind_out, struct str *bytes_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = one(s, "SELECT kind, bytes FROM object WHERE county = ?1 AND hash = ?2", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, hash, SHA256_SIZE);
    rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = diag_set(d, ERR_NOT_FOUND, "The centre holds no object of this hash.");
    if (!rc && kind_out && keep(a, col_text(q, 0), kind_out))
        rc = no_memory(d);
    if (!rc && keep(a, col_blob(q, 1), bytes_out))
        rc = no_memory(d);
    if (!rc && !bytes_out->p)
        *bytes_out = STR("");
    stmt_done(q);
    return rc;
}

/* ---- forms ---- */

enum err cstore_form_put(struct cstore *s, const struct form_row *f, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = one(s,
                      "INSERT INTO form SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7,"
                      " (SELECT coalesce(max(n), 0) + 1 FROM form WHERE county = ?1 AND id = ?3)",
                      &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, f->hash, SHA256_SIZE);
    bind_text(q, 3, f->id);
    bind_text(q, 4, none_as_empty(f->version));
    bind_text(q, 5, none_as_empty(f->title));
    bind_text(q, 6, none_as_empty(f->fieldmap));
    bind_i64(q, 7, f->published_ms);
    rc = stmt_run(q, d);
    stmt_done(q);
    return rc;
}

#define FORM_COLUMNS "SELECT hash, id, version, title, fieldmap, published_ms FROM form WHERE county = ?1"

static enum err form_read_row(struct stmt *q, struct arena *a, struct form_row *out, struct diag *d)
{
    struct form_row f = {.published_ms = col_i64(q, 5)};
    if (!col_bytes(q, 0, f.hash, SHA256_SIZE))
        return damaged(d, "form");
    if (keep(a, col_text(q, 1), &f.id) || keep(a, col_text(q, 2), &f.version) || keep(a, col_text(q, 3), &f.title) ||
        keep(a, col_text(q, 4), &f.fieldmap))
        return no_memory(d);
    *out = f;
    return ERR_OK;
}

enum err cstore_form(struct cstore *s, struct arena *a, const unsigned char hash[static SHA256_SIZE],
                    struct form_row *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = one(s, FORM_COLUMNS " AND hash = ?2", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, hash, SHA256_SIZE);
    rc = stmt_step(q, &row, d);
    if (!rc)
        rc = row ? form_read_row(q, a, out, d) : ERR_NOT_FOUND;
    stmt_done(q);
    return rc;
}

enum err cstore_forms(struct cstore *s, struct arena *a, struct str id, struct form_row **out, uint32_t *count_out,
                     struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    VEC(struct form_row) list = {0};
    enum err rc = one(s, FORM_COLUMNS " AND (?2 = '' OR id = ?2) ORDER BY id, n DESC", &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, none_as_empty(id));
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct form_row *f = vec_push(a, &list);
        rc = f ? form_read_row(q, a, f, d) : no_memory(d);
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

enum err cstore_field_number(struct cstore *s, struct str form_id, bool repeat, struct str path, int type,
                            uint32_t *number_out, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = one(s,
                      "INSERT INTO field SELECT ?1, ?2, ?3, ?4, ?5,"
                      " (SELECT coalesce(max(number), 0) + 1 FROM field WHERE county = ?1 AND form_id = ?2"
                      "  AND is_repeat = ?3)"
                      " WHERE true ON CONFLICT (county, form_id, is_repeat, path, type) DO UPDATE SET type = ?5"
                      " RETURNING number",
                      &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, form_id);
    bind_i64(q, 3, repeat);
    bind_text(q, 4, path);
    bind_i64(q, 5, type);
    rc = stmt_step(q, &row, d);
    if (!rc) {
        CHECK(row);
        *number_out = (uint32_t)col_i64(q, 0);
        rc = stmt_step(q, &row, d);
    }
    stmt_done(q);
    return rc;
}

/* ---- submissions ---- */

enum err cstore_submission_put(struct cstore *s, const struct submission_row *r, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc = one(s,
                      "INSERT INTO submission VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
                      " ON CONFLICT (county, visit) DO UPDATE SET xml_matches = excluded.xml_matches,"
                      " statuses = excluded.statuses, xml = excluded.xml, final_seq = excluded.final_seq,"
                      " seen = excluded.seen, instance_id = excluded.instance_id, form = excluded.form,"
                      " form_id = excluded.form_id",
                      &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, r->visit, &room);
    bind_blob(q, 3, r->form, SHA256_SIZE);
    bind_text(q, 4, none_as_empty(r->form_id));
    bind_text(q, 5, none_as_empty(r->instance_id));
    bind_i64(q, 6, r->xml_matches);
    bind_text(q, 7, none_as_empty(r->statuses));
    bind_u64(q, 8, r->device);
    bind_i64(q, 9, r->inc);
    bind_i64(q, 10, r->person);
    bind_u64(q, 11, r->final_seq);
    bind_u64(q, 12, r->seen);
    bind_i64(q, 13, r->received_ms);
    bind_blob(q, 14, r->xml.n ? r->xml.p : "", r->xml.n);
    rc = stmt_run(q, d);
    stmt_done(q);
    return rc;
}

#define SUBMISSION_COLUMNS                                                                                            \
    "SELECT s.visit, s.form, s.form_id, s.instance_id, s.xml_matches, s.statuses, s.device, s.inc, s.person,"         \
    " s.final_seq, s.seen, s.received_ms, s.xml FROM submission s "

static enum err submissions_gather(struct stmt *q, struct arena *a, struct submission_row **out,
                                   uint32_t *count_out, struct diag *d)
{
    bool row = false;
    enum err rc = ERR_OK;
    VEC(struct submission_row) list = {0};
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct submission_row *r = vec_push(a, &list);
        if (!r) {
            rc = no_memory(d);
            break;
        }
        *r = (struct submission_row){.visit = col_row(q, 0),
                                     .xml_matches = col_i64(q, 4) != 0,
                                     .device = col_u64(q, 6),
                                     .inc = (uint32_t)col_i64(q, 7),
                                     .person = (uint32_t)col_i64(q, 8),
                                     .final_seq = col_u64(q, 9),
                                     .seen = col_u64(q, 10),
                                     .received_ms = col_i64(q, 11)};
        if (!col_bytes(q, 1, r->form, SHA256_SIZE))
            rc = damaged(d, "submission");
        else if (keep(a, col_text(q, 2), &r->form_id) || keep(a, col_text(q, 3), &r->instance_id) ||
                 keep(a, col_text(q, 5), &r->statuses) || keep(a, col_blob(q, 12), &r->xml))
            rc = no_memory(d);
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

enum err cstore_submission(struct cstore *s, struct arena *a, struct row_id visit, struct submission_row *out,
                           struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    struct submission_row *list = NULL;
    uint32_t count = 0;
    enum err rc = one(s, SUBMISSION_COLUMNS "WHERE s.county = ?1 AND s.visit = ?2", &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, visit, &room);
    rc = submissions_gather(q, a, &list, &count, d);
    if (!rc && count == 0)
        rc = ERR_NOT_FOUND;
    if (!rc)
        *out = list[0];
    return rc;
}

enum err cstore_submissions_open(struct cstore *s, struct arena *a, struct row_id interview,
                                 struct submission_row **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc = one(s,
                      SUBMISSION_COLUMNS "JOIN record r ON r.county = s.county AND r.row = s.visit"
                                         " WHERE s.county = ?1 AND r.interview = ?2 AND s.xml_matches = 0"
                                         " ORDER BY s.final_seq LIMIT 50",
                      &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, interview, &room);
    return submissions_gather(q, a, out, count_out, d);
}

enum err cstore_submissions(struct cstore *s, struct arena *a, struct str form_id,
                           const struct submission_row *before, uint32_t limit, struct submission_row **out,
                           uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    unsigned char visit[ROW_ID_SIZE];
    memset(visit, 0xff, sizeof visit);
    if (before)
        row_id_write(before->visit, visit);
    enum err rc = one(s,
                      SUBMISSION_COLUMNS "WHERE s.county = ?1 AND s.form_id = ?2"
                                         " AND (s.received_ms, s.visit) < (?3, ?4)"
                                         " ORDER BY s.received_ms DESC, s.visit DESC LIMIT ?5",
                      &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, none_as_empty(form_id));
    bind_i64(q, 3, before ? before->received_ms : INT64_MAX);
    bind_blob(q, 4, visit, sizeof visit);
    bind_i64(q, 5, limit);
    return submissions_gather(q, a, out, count_out, d);
}

/* ---- counts ---- */

/* clang-format off */
static const struct {
    const char *sql;
    size_t offset[5];
    int count;
} count_queries[] = {
#define AT(field) offsetof(struct centre_counts, field)
    {"SELECT count(*), coalesce(sum(revoked_ms > 0), 0) FROM device WHERE county = ?1",
     {AT(devices), AT(devices_revoked)}, 2},
    {"SELECT count(*) FROM record WHERE county = ?1 AND kind = 1", {AT(households)}, 1},
    {"SELECT count(*) FROM record WHERE county = ?1 AND kind = 2", {AT(interviews)}, 1},
    {"SELECT count(*) FROM record WHERE county = ?1 AND kind = 4", {AT(visits)}, 1},
    {"SELECT count(*), coalesce(sum(code = 'red'), 0), coalesce(sum(code = 'yellow'), 0),"
     " coalesce(sum(code = 'blue'), 0), coalesce(sum(code = 'unknown'), 0)"
     " FROM record WHERE county = ?1 AND kind = 5",
     {AT(findings), AT(findings_red), AT(findings_yellow), AT(findings_blue), AT(findings_unknown)}, 5},
    {"SELECT count(*), coalesce(sum(xml_matches = 0), 0) FROM submission WHERE county = ?1",
     {AT(submissions), AT(submissions_differing)}, 2},
    {"SELECT count(*), coalesce(sum(change_count), 0), coalesce(sum(length(frame)), 0), coalesce(sum(again), 0)"
     " FROM batch WHERE county = ?1", {AT(frames), AT(changes), AT(frame_bytes), AT(duplicates)}, 4},
    {"SELECT coalesce(sum(status = 2), 0), coalesce(sum(status = 3), 0) FROM batch WHERE county = ?1",
     {AT(frames_conflicts), AT(frames_quarantined)}, 2},
    {"SELECT count(*) FROM clone WHERE county = ?1", {AT(clones)}, 1},
    {"SELECT count(*), coalesce(sum(size), 0) FROM object WHERE county = ?1", {AT(objects), AT(object_bytes)}, 2},
#undef AT
};
/* clang-format on */

enum err cstore_counts(struct cstore *s, struct centre_counts *out, struct diag *d)
{
    struct centre_counts counts = {0};
    for (size_t i = 0; i < sizeof count_queries / sizeof count_queries[0]; i++) {
        struct stmt *q = NULL;
        bool row = false;
        enum err rc = one(s, count_queries[i].sql, &q, d);
        if (!rc)
            rc = stmt_step(q, &row, d);
        if (rc) {
            stmt_done(q);
            return rc;
        }
        for (int c = 0; c < count_queries[i].count; c++) {
            uint64_t v = col_u64(q, c);
            memcpy((char *)&counts + count_queries[i].offset[c], &v, sizeof v);
        }
        stmt_done(q);
    }
    *out = counts;
    return ERR_OK;
}

enum err cstore_quarantine(struct cstore *s, struct arena *a, struct quarantined **out, uint32_t *count_out,
                          struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    VEC(struct quarantined) list = {0};
    enum err rc = one(s,
                      "SELECT device, inc, bseq, batch_id, reason, received_ms, length(frame), 0 FROM batch"
                      " WHERE county = ?1 AND status = 3 UNION ALL"
                      " SELECT device, inc, bseq, batch_id, reason, received_ms, length(frame), 1 FROM clone"
                      " WHERE county = ?1 ORDER BY 6, 3 LIMIT 10000",
                      &q, d);
    if (rc)
        return rc;
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct quarantined *z = vec_push(a, &list);
        if (!z) {
            rc = no_memory(d);
            break;
        }
        z->batch = (struct batch_row){.device = col_u64(q, 0),
                                      .inc = (uint32_t)col_i64(q, 1),
                                      .batch_seq = col_u64(q, 2),
                                      .status = RECEIPT_QUARANTINED,
                                      .received_ms = col_i64(q, 5)};
        z->bytes = col_u64(q, 6);
        z->clone = col_i64(q, 7) != 0;
        if (!col_bytes(q, 3, z->batch.batch_id, BATCH_ID_SIZE))
            rc = damaged(d, "batch");
        else if (keep(a, col_text(q, 4), &z->batch.reason))
            rc = no_memory(d);
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

enum err cstore_check(struct cstore *s, struct diag *d)
{
    return db_check(s->db, d);
}
