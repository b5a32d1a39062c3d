/* The store's ground floor: opening and sealing, identity, rows and records, objects. See store.h for what is
 * always true.
 */
#include "agent/store_impl.h"

#define APPLICATION_SEALED 0x64736831 /* "dsh1" */
#define APPLICATION_OPEN 0x64736f31   /* "dso1" */

static const struct migration sealed_migrations[] = {
    {1,
     "CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;"
     "CREATE TABLE counters(one INTEGER PRIMARY KEY CHECK(one = 1), next_seq INTEGER NOT NULL, "
     "next_counter INTEGER NOT NULL,"
     "  next_batch INTEGER NOT NULL, hlc_last INTEGER NOT NULL, hlc_received INTEGER NOT NULL, cursor "
     "INTEGER NOT NULL, set_backs INTEGER NOT NULL, set_back_base INTEGER NOT NULL) STRICT;"
     "INSERT INTO counters VALUES(1, 1, 1, 1, 0, 0, 0, 0, 0);"
     /* state: of visits, 0 draft, 1 finalised. visit: the draft that made the row, 0 once committed. */
     "CREATE TABLE row(key INTEGER PRIMARY KEY, device INTEGER NOT NULL, inc INTEGER NOT NULL, counter "
     "INTEGER NOT NULL,"
     "  number INTEGER NOT NULL DEFAULT 0, kind INTEGER NOT NULL, parent INTEGER NOT NULL, interview "
     "INTEGER NOT NULL,"
     "  household INTEGER NOT NULL, form BLOB, repeat INTEGER NOT NULL, ord INTEGER NOT NULL, visit "
     "INTEGER NOT NULL,"
     "  deleted INTEGER NOT NULL DEFAULT 0, state INTEGER NOT NULL DEFAULT 0, UNIQUE(device, inc, "
     "counter)) STRICT;"
     "CREATE INDEX row_interview ON row(interview, kind);"
     "CREATE INDEX row_parent ON row(parent, kind);"
     "CREATE INDEX row_household ON row(household, kind);"
     "CREATE INDEX row_kind ON row(kind, state);"
     "CREATE INDEX row_draft ON row(visit) WHERE visit > 0;"
     "CREATE INDEX row_number ON row(number) WHERE number > 0;"
     /* conflicts: answers in dispute */
     "CREATE TABLE record(key INTEGER PRIMARY KEY REFERENCES row(key), packed BLOB NOT NULL, conflicts "
     "INTEGER NOT NULL DEFAULT 0) STRICT;"
     "CREATE INDEX record_conflict ON record(key) WHERE conflicts > 0;"
     /* what somebody decided over values that had met here: which they were, as JSON */
     "CREATE TABLE decision(n INTEGER PRIMARY KEY, row INTEGER NOT NULL, fld INTEGER NOT NULL, op INTEGER "
     "NOT NULL, val BLOB NOT NULL, person INTEGER NOT NULL, role INTEGER NOT NULL, hlc INTEGER NOT NULL, "
     "over TEXT NOT NULL, UNIQUE(row, fld, hlc)) STRICT;"
     /* batch: the frame that carries it, 0 = not cut. inc: the incarnation whose change it is where that
        is not the one that cuts it. */
     /* What an answer costs on a card is the pages that it touches: the log and one index. Only births
        have another one; and no reference to the row, which would want a third. */
     "CREATE TABLE chg(seq INTEGER PRIMARY KEY, visit INTEGER NOT NULL, row INTEGER NOT NULL, fld INTEGER "
     "NOT NULL,"
     "  op INTEGER NOT NULL, status INTEGER NOT NULL, person INTEGER NOT NULL, role INTEGER NOT NULL, hlc "
     "INTEGER NOT NULL,"
     "  seen INTEGER NOT NULL, val BLOB, batch INTEGER NOT NULL DEFAULT 0, inc INTEGER NOT NULL DEFAULT 0) "
     "STRICT;"
     "CREATE INDEX chg_waiting ON chg(visit, row, fld) WHERE batch = 0;"
     "CREATE INDEX chg_birth ON chg(row) WHERE op = 3;"
     "CREATE INDEX chg_batch ON chg(batch) WHERE batch > 0;"
     /* batch: our own count; inc, bseq: what the frame is called. numbered: it names rows by the centre's
        numbers. sent: a first byte of it may have left. status as in receipts, 0 = none, 9 = set aside and
        cut anew. epoch: of the receipt. */
     "CREATE TABLE outbox(batch INTEGER PRIMARY KEY, inc INTEGER NOT NULL, bseq INTEGER NOT NULL, epoch "
     "INTEGER NOT NULL DEFAULT 0, seq_lo INTEGER NOT NULL, seq_hi INTEGER NOT NULL, "
     "batch_id BLOB NOT NULL,"
     "  frame BLOB NOT NULL, numbered INTEGER NOT NULL, sent INTEGER NOT NULL DEFAULT 0, status INTEGER "
     "NOT NULL DEFAULT 0, reason TEXT, receipt BLOB, receipt_ms INTEGER, urgent INTEGER NOT NULL "
     "DEFAULT 0, as_inc INTEGER NOT NULL DEFAULT 0) STRICT;"
     /* earlier incarnations of this device, and up to which change we go on from them */
     "CREATE TABLE heir(inc INTEGER PRIMARY KEY, upto INTEGER NOT NULL) STRICT;"
     /* where the person stopped in a draft */
     "CREATE TABLE bookmark(visit INTEGER PRIMARY KEY, place TEXT NOT NULL) STRICT;"
     /* the log of a draft, in pieces; the visit has it whole once it is finalised */
     "CREATE TABLE paradata(n INTEGER PRIMARY KEY, visit INTEGER NOT NULL, csv BLOB NOT NULL) STRICT;"
     "CREATE INDEX paradata_visit ON paradata(visit);"
     /* what a newer version of the form has no place for: kept with the draft and after it */
     "CREATE TABLE aside(n INTEGER PRIMARY KEY, visit INTEGER NOT NULL, row INTEGER NOT NULL, "
     "path TEXT NOT NULL, val BLOB NOT NULL, status INTEGER NOT NULL) STRICT;"
     "CREATE INDEX aside_visit ON aside(visit);"
     /* what a finalised visit is elsewhere: the exact bytes of its submission, or its envelope */
     "CREATE TABLE file(visit INTEGER NOT NULL, name TEXT NOT NULL, bytes BLOB NOT NULL, "
     "PRIMARY KEY(visit, name)) STRICT;"
     "CREATE INDEX outbox_waiting ON outbox(batch) WHERE status = 0;"},
    {2,
     "CREATE TABLE attachment(hash BLOB PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL, "
     "added_ms INTEGER NOT NULL, delivered_ms INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"
     "CREATE INDEX attachment_name ON attachment(name);"
     "CREATE TABLE attachment_piece(hash BLOB NOT NULL, at INTEGER NOT NULL, bytes BLOB NOT NULL, "
     "PRIMARY KEY(hash, at)) STRICT;"
     /* part: the object frame that told the centre of it, 0 = none yet */
     "CREATE TABLE attachment_link(visit INTEGER NOT NULL, name TEXT NOT NULL, hash BLOB NOT NULL, "
     "part INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(visit, name)) STRICT, WITHOUT ROWID;"
     "CREATE INDEX attachment_link_hash ON attachment_link(hash);"
     /* object frames; status as in receipts, 0 = none. frame: empty once it has a receipt; epoch: of that */
     "CREATE TABLE part(n INTEGER PRIMARY KEY, hash BLOB NOT NULL, at INTEGER NOT NULL, inc INTEGER NOT "
     "NULL, batch_id BLOB NOT NULL, frame BLOB NOT NULL, status INTEGER NOT NULL DEFAULT 0, reason TEXT, "
     "epoch INTEGER NOT NULL DEFAULT 0) STRICT;"
     "CREATE INDEX part_told ON part(epoch) WHERE status > 0;"
     "CREATE INDEX part_hash ON part(hash, at);"
     "CREATE INDEX part_waiting ON part(n) WHERE status = 0;"},
};

static const struct migration open_migrations[] = {
    {1, "CREATE TABLE object(hash BLOB PRIMARY KEY, bytes BLOB NOT NULL) STRICT;"
        /* the beginnings of objects that are being fetched */
        "CREATE TABLE piece(hash BLOB NOT NULL, at INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY(hash, "
        "at)) STRICT;"},
};

/* ---- small helpers ---- */

struct str hex_text(struct arena *a, const unsigned char *bytes, size_t n)
{
    char *p = arena_alloc(a, 2 * n + 1);
    if (!p)
        return STR_NONE;
    hex_write(bytes, n, p);
    return (struct str){p, 2 * n};
}

struct str device_text(struct arena *a, uint64_t device)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(device >> (56 - 8 * i));
    return hex_text(a, bytes, sizeof bytes);
}

struct str iso_now(const struct store *s, struct arena *a)
{
    return iso_at(s, a, s->seam->wall_ms(s->seam->self));
}

struct str iso_at(const struct store *s, struct arena *a, int64_t ms)
{
    char text[40];
    struct civil c = civil_at(ms, s->zone);
    size_t n = civil_write(&c, text);
    ptrdiff_t point = str_find((struct str){text, n}, STR("."));
    if (point > 0) { /* nobody asks for milliseconds, and they would travel */
        memmove(text + point, text + point + 4, n - (size_t)point - 4);
        n -= 4;
    }
    return arena_str(a, (struct str){text, n});
}

enum err meta_get(struct store *s, const char *name, struct arena *a, struct str *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;

    enum err rc = db_prepare(s->db, "SELECT value FROM meta WHERE name = ?", &q, d);
    if (!rc) {
        bind_text(q, 1, str_of(name));
        rc = stmt_step(q, &row, d);
    }
    if (!rc && row) {
        struct str v = col_blob(q, 0);
        *out = arena_str(a, v);
        if (!out->p)
            rc = diag_set(d, ERR_NOMEM, "no memory for the device's settings");
    } else if (!rc) {
        *out = STR_NONE;
    }
    stmt_done(q);
    return rc;
}

static enum err meta_put(struct store *s, const char *name, const void *bytes, size_t n, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(
        s->db,
        "INSERT INTO meta(name, value) VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value",
        &q, d);
    if (!rc) {
        bind_text(q, 1, str_of(name));
        bind_blob(q, 2, bytes, n);
        rc = stmt_run(q, d);
    }
    stmt_done(q);
    return rc;
}

enum err meta_put_str(struct store *s, const char *name, struct str v, struct diag *d)
{
    return meta_put(s, name, v.p ? v.p : "", v.n, d);
}

enum err meta_put_i64(struct store *s, const char *name, int64_t v, struct diag *d)
{
    struct buf b;
    buf_init(&b, 32);
    buf_put_i64(&b, v);
    enum err rc = b.failed ? diag_set(d, b.failed, "no memory for the device's settings")
                           : meta_put_str(s, name, buf_str(&b), d);
    buf_free(&b);
    return rc;
}

enum err anchor_put(struct store *s, int64_t server_time_ms, struct diag *d)
{
    enum err rc = meta_put_i64(s, "anchor_ms", server_time_ms, d);
    return rc ? rc : meta_put_i64(s, "anchor_mono", s->seam->mono_ms(s->seam->self), d);
}

enum err contact_put(struct store *s, struct diag *d)
{
    struct arena a;
    arena_init(&a, 64u << 10);
    enum err rc = meta_put_str(s, "last_contact", iso_now(s, &a), d);
    arena_free(&a);
    return rc;
}

enum err counters_load(struct store *s, struct counters *c, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;

    enum err rc = db_prepare(s->db,
                             "SELECT max(next_seq, coalesce(last.seq + 1, 0)), next_counter, max(hlc_last, "
                             "coalesce(last.hlc, 0)), hlc_received, cursor, set_backs, set_back_base, "
                             "?1 OR EXISTS(SELECT 1 FROM meta WHERE name = 'identity')"
                             " FROM counters LEFT JOIN chg AS last ON last.seq = (SELECT max(seq) FROM chg)",
                             &q, d);
    if (!rc) {
        bind_i64(q, 1, s->id.enrolled);
        rc = stmt_step(q, &row, d);
    }
    if (!rc) {
        CHECK(row);
        *c = (struct counters){(uint64_t)col_i64(q, 0), (uint32_t)col_i64(q, 1), col_i64(q, 2),
                               col_i64(q, 3),           (uint64_t)col_i64(q, 4), (uint64_t)col_i64(q, 5),
                               (uint64_t)col_i64(q, 6), col_i64(q, 7) != 0};
    }
    stmt_done(q);
    return rc;
}

enum err counters_save(struct store *s, const struct counters *c, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(
        s->db,
        "UPDATE counters SET next_seq = ?, next_counter = ?, hlc_last = ?, hlc_received = ?, cursor = ?, "
        "set_backs = ?, set_back_base = ?",
        &q, d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)c->next_seq);
        bind_i64(q, 2, c->next_counter);
        bind_i64(q, 3, c->hlc_last);
        bind_i64(q, 4, c->hlc_received);
        bind_i64(q, 5, (int64_t)c->cursor);
        bind_i64(q, 6, (int64_t)c->set_backs);
        bind_i64(q, 7, (int64_t)c->set_back_base);
        rc = stmt_run(q, d);
    }
    stmt_done(q);
    return rc;
}

/* ---- rows and records ---- */

struct row row_from(struct stmt *q)
{
    return (struct row){
        .key = col_i64(q, 0),
        .id = {(uint64_t)col_i64(q, 1), (uint32_t)col_i64(q, 2), (uint32_t)col_i64(q, 3)},
        .number = (uint64_t)col_i64(q, 4),
        .kind = (enum row_kind)col_i64(q, 5),
        .parent = col_i64(q, 6),
        .interview = col_i64(q, 7),
        .household = col_i64(q, 8),
        .repeat = (uint32_t)col_i64(q, 9),
        .order = col_i64(q, 10),
        .visit = col_i64(q, 11),
        .deleted = col_i64(q, 12) != 0,
    };
}

static enum err row_take(struct stmt *q, struct row *out, struct diag *d)
{
    bool found = false;
    enum err rc = stmt_step(q, &found, d);
    if (!rc && found)
        *out = row_from(q);
    else if (!rc)
        rc = ERR_NOT_FOUND;
    return rc;
}

enum err row_by_key(struct store *s, int64_t key, struct row *out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db, "SELECT " ROW_COLUMNS " FROM row WHERE key = ?", &q, d);
    if (!rc) {
        bind_i64(q, 1, key);
        rc = row_take(q, out, d);
    }
    stmt_done(q);
    return rc;
}

enum err row_by_id(struct store *s, struct row_id id, struct row *out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db,
                             "SELECT " ROW_COLUMNS " FROM row WHERE device = ? AND inc = ? AND counter = ?",
                             &q, d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)id.device);
        bind_i64(q, 2, id.inc);
        bind_i64(q, 3, id.counter);
        rc = row_take(q, out, d);
    }
    stmt_done(q);
    return rc;
}

enum err row_insert(struct store *s, struct counters *c, struct row *row, const unsigned char *form,
                    struct diag *d)
{
    struct stmt *q = NULL;

    if (row->id.counter == 0)
        row->id = (struct row_id){s->id.by.device, s->id.by.inc, c->next_counter++};
    enum err rc = db_prepare(s->db,
                             "INSERT INTO row(device, inc, counter, number, kind, parent, interview, "
                             "household, form, repeat, ord, visit)"
                             " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                             &q, d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)row->id.device);
        bind_i64(q, 2, row->id.inc);
        bind_i64(q, 3, row->id.counter);
        bind_i64(q, 4, (int64_t)row->number);
        bind_i64(q, 5, row->kind);
        bind_i64(q, 6, row->parent);
        bind_i64(q, 7, row->interview);
        bind_i64(q, 8, row->household);
        if (form)
            bind_blob(q, 9, form, 8);
        else
            bind_null(q, 9);
        bind_i64(q, 10, row->repeat);
        bind_i64(q, 11, row->order);
        bind_i64(q, 12, row->visit);
        rc = stmt_run(q, d);
    }
    stmt_done(q);
    if (!rc)
        row->key = db_last_rowid(s->db);
    return rc;
}

enum err change_append(struct store *s, struct counters *c, const struct own_change *change, struct diag *d)
{
    struct stmt *q = NULL;

    c->hlc_last = hlc_next(c->hlc_last, s->seam->wall_ms(s->seam->self), c->hlc_received);
    enum err rc = db_prepare(s->db,
                             "INSERT INTO chg(seq, visit, row, fld, op, status, person, role, hlc, seen, val)"
                             " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, coalesce((SELECT seen FROM chg"
                             "  WHERE visit = ?2 AND row = ?3 AND fld = ?4 AND batch = 0 AND ?5 <> 5"
                             "  ORDER BY seq LIMIT 1), ?10), ?11)",
                             &q, d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)c->next_seq++);
        bind_i64(q, 2, change->visit);
        bind_i64(q, 3, change->row);
        bind_i64(q, 4, change->field);
        bind_i64(q, 5, change->op);
        bind_i64(q, 6, change->status);
        bind_i64(q, 7, s->id.by.person);
        bind_i64(q, 8, s->id.by.role);
        bind_i64(q, 9, c->hlc_last);
        bind_i64(q, 10, (int64_t)change->seen);
        bind_blob(q, 11, change->value.p ? change->value.p : "", change->value.n);
        rc = stmt_run(q, d);
    }
    stmt_done(q);
    return rc;
}

enum err record_load(struct store *s, struct arena *a, const struct row *row, struct record *out,
                     struct diag *d)
{
    struct stmt *q = NULL;
    bool found = false;
    struct str packed = STR_NONE;

    enum err rc = db_prepare(s->db, "SELECT packed FROM record WHERE key = ?", &q, d);
    if (!rc) {
        bind_i64(q, 1, row->key);
        rc = stmt_step(q, &found, d);
    }
    if (!rc && found) {
        packed = arena_str(a, col_blob(q, 0));
        if (!packed.p)
            rc = diag_set(d, ERR_NOMEM, "no memory for a record");
    }
    stmt_done(q);
    return rc ? rc : record_unpack(a, row->id, packed, out, d);
}

enum err record_save(struct store *s, int64_t key, const struct record *r, struct diag *d)
{
    struct stmt *q = NULL;
    struct buf packed;

    buf_init(&packed, 64u << 20);
    enum err rc = record_pack(r, &packed);
    uint32_t conflicts = 0;
    for (uint32_t i = 0; i < r->count; i++)
        conflicts += record_conflict(r, r->cells[i].field);
    if (rc)
        rc = diag_set(d, rc, "a record grew too large to keep");
    if (!rc)
        rc = db_prepare(
            s->db,
            "INSERT INTO record(key, packed, conflicts) VALUES(?, ?, ?) ON CONFLICT(key) DO UPDATE "
            "SET packed = excluded.packed, conflicts = excluded.conflicts",
            &q, d);
    if (!rc) {
        bind_i64(q, 1, key);
        bind_blob(q, 2, packed.p, packed.n);
        bind_i64(q, 3, conflicts);
        rc = stmt_run(q, d);
    }
    stmt_done(q);
    buf_free(&packed);
    return rc;
}

/* ---- opening ---- */

static enum err path_in(struct arena *a, const char *dir, const char *name, const char **out, struct diag *d)
{
    struct buf b;
    buf_init(&b, 4096);
    buf_put_z(&b, dir);
    buf_put_char(&b, '/');
    buf_put_z(&b, name);
    *out = b.failed ? NULL : arena_z(a, buf_str(&b));
    buf_free(&b);
    return *out ? ERR_OK
                : diag_set(d, ERR_USAGE, "the data directory's path is too long: choose a shorter one");
}

/* The page key: 32 random bytes in a file of their own until the PIN wraps them. ERR_NOT_FOUND without a
 * sentence when there is none. */
static enum err page_key_read(struct store *s, const char *path, unsigned char key[static DB_KEY_SIZE],
                              struct diag *d)
{
    struct buf file;
    struct diag quiet = {0};

    buf_init(&file, 4096);
    enum err rc = s->seam->file_read(s->seam->self, path, &file, &quiet);
    if (rc && rc != ERR_NOT_FOUND)
        rc = diag_set(d, quiet.code ? quiet.code : rc, "%s", quiet.text);
    else if (!rc && file.n != DB_KEY_SIZE)
        rc = diag_set(d, ERR_CORRUPT,
                      "the key file %s has %zu bytes instead of %d: put it back from a backup", path, file.n,
                      DB_KEY_SIZE);
    else if (!rc)
        memcpy(key, file.p, DB_KEY_SIZE);
    if (file.p)
        crypto_wipe(file.p, file.n);
    buf_free(&file);
    return rc;
}

/* Only together with the database: beside an older one it would look like a device that forgot everything. */
static enum err page_key_make(struct store *s, const char *path, const char *db_path,
                              unsigned char key[static DB_KEY_SIZE], struct diag *d)
{
    struct buf probe;
    struct diag quiet = {0};

    buf_init(&probe, 1);
    enum err rc = s->seam->file_read(s->seam->self, db_path, &probe, &quiet);
    buf_free(&probe);
    if (rc != ERR_NOT_FOUND)
        return diag_set(d, ERR_DENIED,
                        "the key file %s is missing, so the answers in %s stay sealed: put the key file back "
                        "from a backup",
                        path, db_path);
    rc = crypto_random(key, DB_KEY_SIZE);
    if (rc)
        return diag_set(d, rc, "no random numbers for the key");
    return s->seam->file_write(s->seam->self, path, (struct str){(const char *)key, DB_KEY_SIZE}, true, d);
}

struct identity_texts {
    struct str about, seal, sign, epoch, told, unsettled;
};

static enum err identity_read(struct store *s, struct arena *a, struct identity *id, struct identity_texts *t,
                              struct diag *d)
{
    const struct {
        const char *name;
        struct str *out;
    } wanted[] = {{"identity", &t->about},     {"url", &id->url},
                  {"keyset", &id->keyset},     {"seal", &t->seal},
                  {"sign", &t->sign},          {"token", &id->by.token},
                  {"epoch", &t->epoch},        {"certificate", &id->by.certificate},
                  {"over", &id->over},         {"told", &t->told},
                  {"unsettled", &t->unsettled}};
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < sizeof wanted / sizeof *wanted; i++)
        rc = meta_get(s, wanted[i].name, a, wanted[i].out, d);
    return rc;
}

static enum err identity_parse(struct arena *a, struct identity *id, const struct identity_texts *t,
                               struct diag *d)
{
    const struct json *j;
    int64_t inc, person, role, epoch;
    unsigned char device[8];
    uint64_t newer;

    enum err rc = json_read(a, t->about, &j, d);
    if (rc)
        return rc;
    if (!hex_read(json_text(j, "device"), device, sizeof device) || !json_i64(j, "inc", &inc) ||
        !json_i64(j, "person", &person) || !json_i64(j, "role", &role) || !json_i64(j, "epoch", &epoch) ||
        t->seal.n != sizeof id->seal || t->sign.n != sizeof id->sign)
        return diag_set(d, ERR_CORRUPT,
                        "this device's identity is damaged: put its data back from a backup; what was "
                        "captured is still there");
    for (size_t i = 0; i < sizeof device; i++)
        id->by.device = id->by.device << 8 | device[i];
    id->enrolled = true;
    id->by.inc = (uint32_t)inc;
    id->by.person = (uint32_t)person;
    id->by.role = (uint8_t)role;
    id->by.person_name = json_text(j, "name");
    id->by.county = json_text(j, "county");
    id->by.area = json_text(j, "area");
    memcpy(&id->seal, t->seal.p, sizeof id->seal);
    memcpy(&id->sign, t->sign.p, sizeof id->sign);
    id->epoch = t->epoch.n && str_to_u64(t->epoch, &newer) ? (uint32_t)newer : (uint32_t)epoch;
    return ERR_OK;
}

enum err store_refresh(struct store *s, struct diag *d)
{
    struct arena texts;
    struct identity id = {0};
    struct identity_texts t = {0};
    struct counters c;

    arena_init(&texts, STORE_MEMORY_MAX);
    enum err rc = counters_load(s, &c, d);
    if (!rc)
        rc = identity_read(s, &texts, &id, &t, d);
    if (!rc && t.about.n)
        rc = identity_parse(&texts, &id, &t, d);
    if (rc) {
        arena_free(&texts);
        return rc;
    }
    if (!rc)
        rc = heirs_read(s, &texts, id.by.device, id.by.inc, &id, d);
    if (rc) {
        arena_free(&texts);
        return rc;
    }
    id.cursor = c.cursor;
    id.unsettled = t.unsettled.n > 0;
    id.retell = t.told.n && str_to_u64(t.told, &id.told);
    arena_free(&s->texts);
    s->texts = texts;
    s->id = id;
    return ERR_OK;
}

enum err work_begin(struct store *s, struct txn *t, struct counters *c, struct diag *d)
{
    enum err rc = txn_begin(t, s->db, d);
    if (!rc)
        rc = counters_load(s, c, d);
    /* Another process may have enrolled this device since it was opened here: a row that is made now must
     * carry its name. */
    return !rc && c->enrolled && !s->id.enrolled ? store_refresh(s, d) : rc;
}

/* Two processes that open an empty folder at once must not make two keys: the public database's write lock
 * lets only one of them look and make. */
static enum err open_sealed(struct store *s, const char *key_path, const char *db_path, struct diag *d)
{
    unsigned char key[DB_KEY_SIZE];
    struct db_options o = {.path = db_path,
                           .vfs = s->seam->vfs,
                           .key = key,
                           .migrations = sealed_migrations,
                           .migration_count = sizeof sealed_migrations / sizeof *sealed_migrations,
                           .application_id = APPLICATION_SEALED};
    struct txn lock = {0};

    enum err rc = page_key_read(s, key_path, key, d);
    if (rc == ERR_NOT_FOUND) {
        rc = txn_begin(&lock, s->open, d);
        if (!rc)
            rc = page_key_read(s, key_path, key, d);
        if (rc == ERR_NOT_FOUND)
            rc = page_key_make(s, key_path, db_path, key, d);
    }
    if (!rc)
        rc = db_open(&o, &s->db, d);
    txn_rollback(&lock);
    crypto_wipe(key, sizeof key);
    return rc;
}

static enum err open_public(struct store *s, const char *path, struct diag *d)
{
    struct db_options o = {.path = path,
                           .vfs = s->seam->vfs,
                           .migrations = open_migrations,
                           .migration_count = sizeof open_migrations / sizeof *open_migrations,
                           .application_id = APPLICATION_OPEN};
    return db_open(&o, &s->open, d);
}

enum err store_open(const char *dir, const struct seam *seam, const struct zone *zone,
                    struct store **store_out, struct diag *d)
{
    struct arena paths, memory;
    const char *key_path, *db_path, *open_path;

    arena_init(&memory, STORE_MEMORY_MAX);
    struct store *s = ARENA_NEW(&memory, struct store);
    if (!s)
        return diag_set(d, ERR_NOMEM, "no memory to open the store");
    s->seam = seam;
    s->zone = zone ? zone : zone_utc();
    s->memory = memory;

    arena_init(&paths, 64u << 10);
    enum err rc = seam->dir_make(seam->self, dir, d);
    if (!rc)
        rc = path_in(&paths, dir, "device.key", &key_path, d);
    if (!rc)
        rc = path_in(&paths, dir, "device.db", &db_path, d);
    if (!rc)
        rc = path_in(&paths, dir, "public.db", &open_path, d);
    if (!rc)
        rc = open_public(s, open_path, d);
    if (!rc)
        rc = path_in(&s->memory, dir, "device.count", &s->count_path, d);
    if (!rc)
        rc = open_sealed(s, key_path, db_path, d);
    if (!rc)
        rc = store_refresh(s, d);
    if (!rc)
        rc = restored_look(s, d);
    arena_free(&paths);
    if (rc)
        store_close(s);
    else
        *store_out = s;
    return rc;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    db_close(s->db);
    db_close(s->open);
    crypto_wipe(&s->id.seal, sizeof s->id.seal);
    crypto_wipe(&s->id.sign, sizeof s->id.sign);
    arena_free(&s->texts);
    struct arena memory = s->memory; /* `s` itself lies in it */
    arena_free(&memory);
}

enum err store_check(struct store *s, struct diag *d)
{
    enum err rc = db_check(s->db, d);
    return rc ? rc : db_check(s->open, d);
}

/* ---- identity ---- */

const struct identity *store_identity(const struct store *s)
{
    return &s->id;
}

/* What was captured before enrolment carries device 0, incarnation 0; now it gets its author: the rows, their
 * births (which name their parents), the log and the records. */
struct adoption {
    const struct identity *id;
    struct arena arena;
};

static void adopt_author(const struct adoption *w, uint64_t *device, uint32_t *inc)
{
    if (*device == 0 && *inc == 0) {
        *device = w->id->by.device;
        *inc = w->id->by.inc;
    }
}

static enum err adopt_birth(struct adoption *w, struct str *value, struct diag *d)
{
    struct row_birth birth;
    struct buf b;

    if (!row_birth_read(*value, &birth) || birth.parent.counter == 0)
        return ERR_OK;
    adopt_author(w, &birth.parent.device, &birth.parent.inc);
    buf_init(&b, 256);
    enum err rc = row_birth_write(&b, &birth);
    if (!rc)
        *value = arena_str(&w->arena, buf_str(&b));
    buf_free(&b);
    return rc || !value->p ? diag_set(d, ERR_NOMEM, "no memory to take over earlier interviews") : ERR_OK;
}

static void adopt_version(const struct adoption *w, struct version *v)
{
    if (v->device == 0 && v->inc == 0) {
        v->person = w->id->by.person;
        v->role = w->id->by.role;
    }
    adopt_author(w, &v->device, &v->inc);
    v->hlc = hlc_effective(v->hlc, w->id->by.server_time_ms, 0);
}

static enum err adopt_record(struct store *s, struct adoption *w, const struct row *row, struct diag *d)
{
    struct record r;
    enum err rc = record_load(s, &w->arena, row, &r, d);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < r.count; i++)
        for (uint32_t v = 0; v < r.cells[i].count; v++)
            adopt_version(w, &r.cells[i].versions[v]);
    for (uint32_t i = 0; i < r.mark_count; i++) /* the only author so far: their order stays */
        adopt_author(w, &r.marks[i].device, &r.marks[i].inc);
    if (r.born) {
        adopt_version(w, &r.birth);
        rc = adopt_birth(w, &r.birth.value, d);
    }
    return rc ? rc : record_save(s, row->key, &r, d);
}

struct own_row {
    int64_t key;
    struct str value; /* of its birth in the log */
    int64_t seq;
};

/* Keys of all own rows, and the births among their changes: read first, because what follows writes. */
static enum err own_births(struct store *s, struct adoption *w, struct own_row **list_out,
                           uint32_t *count_out, struct diag *d)
{
    static const char sql[] = "SELECT row.key, chg.seq, chg.val FROM row LEFT JOIN chg ON chg.row = row.key "
                              "AND chg.op = 3 WHERE row.device = 0 AND row.inc = 0";
    struct stmt *q = NULL;
    VEC(struct own_row) rows = {0};
    bool more = false;

    enum err rc = db_prepare(s->db, sql, &q, d);
    while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
        struct own_row *slot = vec_push(&w->arena, &rows);
        if (slot)
            *slot = (struct own_row){col_i64(q, 0), arena_str(&w->arena, col_blob(q, 2)), col_i64(q, 1)};
        if (!slot || !slot->value.p)
            rc = diag_set(d, ERR_NOMEM, "no memory to take over earlier interviews");
    }
    stmt_done(q);
    *list_out = rows.at;
    *count_out = rows.count;
    return rc;
}

static enum err adopt_row(struct store *s, struct adoption *w, struct own_row *own, struct diag *d)
{
    struct stmt *q = NULL;
    struct row row;

    enum err rc = adopt_birth(w, &own->value, d);
    if (!rc)
        rc = db_prepare(s->db, "UPDATE chg SET val = ? WHERE seq = ? AND op = 3", &q, d);
    if (!rc) {
        bind_blob(q, 1, own->value.p, own->value.n);
        bind_i64(q, 2, own->seq);
        rc = stmt_run(q, d);
    }
    if (!rc)
        rc = row_by_key(s, own->key, &row, d);
    return rc ? rc : adopt_record(s, w, &row, d);
}

static enum err adopt(struct store *s, const struct identity *id, struct diag *d)
{
    struct adoption w = {.id = id};
    struct stmt *q = NULL;
    struct own_row *rows = NULL;
    uint32_t count = 0;

    arena_init(&w.arena, STORE_SCRATCH_MAX);
    enum err rc = own_births(s, &w, &rows, &count, d);
    if (!rc)
        rc = db_prepare(s->db, "UPDATE row SET device = ?, inc = ? WHERE device = 0 AND inc = 0", &q, d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)id->by.device);
        bind_i64(q, 2, id->by.inc);
        rc = stmt_run(q, d);
    }
    if (!rc)
        rc = db_prepare(s->db, "UPDATE chg SET person = ?, role = ? WHERE person = 0 AND batch = 0", &q, d);
    if (!rc) {
        bind_i64(q, 1, id->by.person);
        bind_i64(q, 2, id->by.role);
        rc = stmt_run(q, d);
    }
    /* Nothing bounded the clock before the centre told its time. */
    if (!rc)
        rc = db_prepare(s->db, "UPDATE chg SET hlc = min(hlc, ?) WHERE batch = 0", &q, d);
    if (!rc) {
        bind_i64(q, 1, hlc_effective(INT64_MAX, id->by.server_time_ms, 0));
        rc = stmt_run(q, d);
    }
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct arena_mark mark = arena_mark(&w.arena);
        rc = adopt_row(s, &w, &rows[i], d);
        arena_release(&w.arena, mark);
    }
    arena_free(&w.arena);
    return rc;
}

static void identity_json(const struct identity *id, struct buf *b)
{
    unsigned char device[8];
    for (int i = 0; i < 8; i++)
        device[i] = (unsigned char)(id->by.device >> (56 - 8 * i));
    buf_put_z(b, "{\"device\":\"");
    buf_put_hex(b, device, sizeof device);
    buf_put_z(b, "\",\"inc\":");
    buf_put_u64(b, id->by.inc);
    buf_put_z(b, ",\"person\":");
    buf_put_u64(b, id->by.person);
    buf_put_z(b, ",\"role\":");
    buf_put_u64(b, id->by.role);
    buf_put_z(b, ",\"epoch\":");
    buf_put_u64(b, id->by.epoch);
    buf_put_z(b, ",\"name\":");
    buf_put_json(b, id->by.person_name);
    buf_put_z(b, ",\"county\":");
    buf_put_json(b, id->by.county);
    buf_put_z(b, ",\"area\":");
    buf_put_json(b, id->by.area);
    buf_put_char(b, '}');
}

static enum err keys_write(struct store *s, const struct identity *id, struct diag *d)
{
    enum err rc = meta_put(s, "seal", &id->seal, sizeof id->seal, d);
    return rc ? rc : meta_put(s, "sign", &id->sign, sizeof id->sign, d);
}

/* Those of the incarnation that is asked for: the ones in use stay until it is granted. */
static enum err next_keys_write(struct store *s, const struct identity *id, struct diag *d)
{
    enum err rc = meta_put(s, "next_seal", &id->seal, sizeof id->seal, d);
    return rc ? rc : meta_put(s, "next_sign", &id->sign, sizeof id->sign, d);
}

enum err store_next_keys(struct store *s, struct identity *id, struct diag *d)
{
    struct arena a;
    struct str seal, sign;

    arena_init(&a, 64u << 10);
    enum err rc = meta_get(s, "next_seal", &a, &seal, d);
    if (!rc)
        rc = meta_get(s, "next_sign", &a, &sign, d);
    if (!rc && seal.n == sizeof id->seal && sign.n == sizeof id->sign) {
        memcpy(&id->seal, seal.p, sizeof id->seal);
        memcpy(&id->sign, sign.p, sizeof id->sign);
    } else if (!rc) {
        rc = x25519_make(NULL, &id->seal);
        if (!rc)
            rc = p256_make(NULL, &id->sign);
        if (!rc)
            rc = store_enrol_prepare(s, id, d);
    }
    arena_free(&a);
    return rc;
}

enum err store_enrol_prepare(struct store *s, const struct identity *id, struct diag *d)
{
    struct txn t = {0};
    struct counters c;

    enum err rc = work_begin(s, &t, &c, d);
    if (!rc && s->id.enrolled && !s->id.over.n)
        rc = diag_set(d, ERR_STATE, "this device was enrolled in another window meanwhile");
    if (!rc)
        rc = s->id.enrolled ? next_keys_write(s, id, d) : keys_write(s, id, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    return rc;
}

/* Of the same device: the downlink goes on, and tells everything once more; what the old incarnation
 * delivered comes to the new one like anybody's. */
static enum err goes_on(struct store *s, const struct identity *was, struct diag *d)
{
    enum err rc = meta_put_i64(s, "epoch", was->epoch, d);
    return rc ? rc : meta_put_i64(s, "told", 0, d);
}

static enum err identity_write(struct store *s, const struct identity *id, struct diag *d)
{
    struct buf json;
    buf_init(&json, 64u << 10);
    identity_json(id, &json);
    enum err rc = json.failed ? diag_set(d, json.failed, "the centre's names are too long")
                              : meta_put_str(s, "identity", buf_str(&json), d);
    buf_free(&json);
    if (!rc)
        rc = meta_put_str(s, "url", id->url, d);
    if (!rc)
        rc = meta_put_str(s, "keyset", id->keyset, d);
    if (!rc)
        rc = meta_put_str(s, "token", id->by.token, d);
    if (!rc)
        rc = meta_put_str(s, "certificate", id->by.certificate, d);
    if (!rc)
        rc = keys_write(s, id, d);
    if (!rc)
        rc = db_exec(s->db,
                     "DELETE FROM meta WHERE name IN ('over', 'next_seal', 'next_sign', 'epoch', 'told', "
                     "'contiguous', 'contiguous_ms', 'erase', 'report', 'report_version')",
                     d);
    /* The first time that the centre signed: what passes from here on can be told apart from a clock that
     * jumps. */
    if (!rc)
        rc = anchor_put(s, id->by.server_time_ms, d);
    return rc ? rc : contact_put(s, d);
}

enum err store_enrol(struct store *s, const struct identity *id, struct diag *d)
{
    struct txn t = {0};
    struct counters c;

    enum err rc = work_begin(s, &t, &c, d);
    if (!rc && s->id.enrolled && !s->id.over.n)
        rc = diag_set(
            d, ERR_STATE,
            "this device is enrolled already, at %.*s; use another data directory for another centre",
            STR_ARG(s->id.url));
    const struct identity was = s->id;
    if (!rc)
        rc = was.enrolled ? rows_rename(s, &was, id, d) : adopt(s, id, d);
    if (!rc)
        rc = identity_write(s, id, d);
    if (!rc && was.enrolled && was.by.device == id->by.device)
        rc = goes_on(s, &was, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    return rc ? rc : store_refresh(s, d);
}

/* ---- objects ---- */

enum err object_held(struct store *s, const unsigned char *hash, bool *held_out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->open, "SELECT 1 FROM object WHERE hash = ?", &q, d);
    if (!rc) {
        bind_blob(q, 1, hash, SHA256_SIZE);
        rc = stmt_step(q, held_out, d);
    }
    stmt_done(q);
    return rc;
}

enum err store_object_put(struct store *s, const unsigned char hash[static SHA256_SIZE], struct str bytes,
                          struct diag *d)
{
    struct stmt *q = NULL;
    unsigned char actual[SHA256_SIZE];
    bool held = false;

    enum err rc = sha256(bytes, actual);
    if (!rc && memcmp(actual, hash, SHA256_SIZE) != 0)
        rc = diag_set(d, ERR_CORRUPT, "an object's bytes do not match its hash: it will be fetched again");
    if (!rc)
        rc = object_held(s, hash, &held, d);
    if (rc || held)
        return rc;
    rc = db_prepare(s->open, "INSERT INTO object(hash, bytes) VALUES(?, ?) ON CONFLICT(hash) DO NOTHING", &q,
                    d);
    if (!rc) {
        bind_blob(q, 1, hash, SHA256_SIZE);
        bind_blob(q, 2, bytes.p ? bytes.p : "", bytes.n);
        rc = stmt_run(q, d);
    }
    return rc;
}

static enum err not_here(struct diag *d)
{
    return diag_set(d, ERR_NOT_FOUND, "this form, list or rule pack is not on the device yet: sync first");
}

enum err store_object_get(struct store *s, const unsigned char hash[static SHA256_SIZE], struct buf *out,
                          struct diag *d)
{
    struct stmt *q = NULL;
    bool found = false;

    enum err rc = db_prepare(s->open, "SELECT bytes FROM object WHERE hash = ?", &q, d);
    if (!rc) {
        bind_blob(q, 1, hash, SHA256_SIZE);
        rc = stmt_step(q, &found, d);
    }
    if (!rc && !found)
        rc = not_here(d);
    if (!rc) {
        buf_put_str(out, col_blob(q, 0));
        if (out->failed)
            rc = diag_set(d, out->failed, "an object is larger than this call allows");
    }
    stmt_done(q);
    return rc;
}

enum err store_object_open(struct store *s, const unsigned char hash[static SHA256_SIZE],
                           struct db_blob **blob_out, size_t *size_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool found = false;
    int64_t row = 0;

    enum err rc = db_prepare(s->open, "SELECT rowid FROM object WHERE hash = ?", &q, d);
    if (!rc) {
        bind_blob(q, 1, hash, SHA256_SIZE);
        rc = stmt_step(q, &found, d);
    }
    if (!rc && found)
        row = col_i64(q, 0);
    stmt_done(q);
    if (!rc && !found)
        rc = not_here(d);
    return rc ? rc : db_blob_open(s->open, "object", "bytes", row, blob_out, size_out, d);
}
