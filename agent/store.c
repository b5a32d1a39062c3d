/* The store's ground floor: opening and sealing, identity, objects, and what lists show. See store.h for what
 * is always true.
 */
#include "agent/store_impl.h"

#define APPLICATION_SEALED 0x64736831 /* "dsh1" */
#define APPLICATION_OPEN 0x64736f31   /* "dso1" */

static const struct migration sealed_migrations[] = {
    {1, "CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;"
        "CREATE TABLE counters(one INTEGER PRIMARY KEY CHECK(one = 1), next_seq INTEGER NOT NULL, "
        "next_counter INTEGER NOT NULL,"
        "  next_batch INTEGER NOT NULL, hlc_last INTEGER NOT NULL, hlc_received INTEGER NOT NULL, cursor "
        "INTEGER NOT NULL) STRICT;"
        "INSERT INTO counters VALUES(1, 1, 1, 1, 0, 0, 0);"
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
        "CREATE INDEX row_household ON row(household, kind);"
        "CREATE INDEX row_kind ON row(kind, state);"
        "CREATE INDEX row_number ON row(number) WHERE number > 0;"
        "CREATE TABLE record(key INTEGER PRIMARY KEY REFERENCES row(key), packed BLOB NOT NULL) STRICT;"
        /* batch: the frame that carries it, 0 = not cut. */
        "CREATE TABLE chg(seq INTEGER PRIMARY KEY, visit INTEGER NOT NULL, row INTEGER NOT NULL REFERENCES "
        "row(key), fld INTEGER NOT NULL,"
        "  op INTEGER NOT NULL, status INTEGER NOT NULL, person INTEGER NOT NULL, role INTEGER NOT NULL, hlc "
        "INTEGER NOT NULL,"
        "  seen INTEGER NOT NULL, val BLOB, batch INTEGER NOT NULL DEFAULT 0) STRICT;"
        "CREATE INDEX chg_visit ON chg(visit, seq) WHERE batch = 0;"
        "CREATE TABLE outbox(batch INTEGER PRIMARY KEY, seq_lo INTEGER NOT NULL, seq_hi INTEGER NOT NULL, "
        "batch_id BLOB NOT NULL,"
        "  frame BLOB NOT NULL, status INTEGER NOT NULL DEFAULT 0, reason TEXT, receipt BLOB, receipt_ms "
        "INTEGER) STRICT;"
        "CREATE INDEX outbox_waiting ON outbox(batch) WHERE status = 0;"},
};

static const struct migration open_migrations[] = {
    {1, "CREATE TABLE object(hash BLOB PRIMARY KEY, bytes BLOB NOT NULL) STRICT;"},
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
    char text[40];
    struct civil c = civil_at(s->seam->wall_ms(s->seam->self), zone_utc());
    return arena_str(a, (struct str){text, civil_write(&c, text)});
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

enum err counters_load(struct store *s, struct counters *c, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;

    enum err rc = db_prepare(s->db,
                             "SELECT next_seq, next_counter, hlc_last, hlc_received, cursor FROM counters",
                             &q, d);
    if (!rc)
        rc = stmt_step(q, &row, d);
    if (!rc) {
        CHECK(row);
        *c = (struct counters){(uint64_t)col_i64(q, 0), (uint32_t)col_i64(q, 1), col_i64(q, 2), col_i64(q, 3),
                               (uint64_t)col_i64(q, 4)};
    }
    stmt_done(q);
    return rc;
}

enum err counters_save(struct store *s, const struct counters *c, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(
        s->db,
        "UPDATE counters SET next_seq = ?, next_counter = ?, hlc_last = ?, hlc_received = ?, cursor = ?", &q,
        d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)c->next_seq);
        bind_i64(q, 2, c->next_counter);
        bind_i64(q, 3, c->hlc_last);
        bind_i64(q, 4, c->hlc_received);
        bind_i64(q, 5, (int64_t)c->cursor);
        rc = stmt_run(q, d);
    }
    stmt_done(q);
    return rc;
}

/* ---- rows and records ---- */

#define ROW_COLUMNS \
    "key, device, inc, counter, number, kind, parent, interview, household, repeat, ord, visit, deleted"

static struct row row_from(struct stmt *q)
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
                             " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
        bind_i64(q, 10, (int64_t)c->cursor);
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
    if (rc)
        rc = diag_set(d, rc, "a record grew too large to keep");
    if (!rc)
        rc = db_prepare(s->db,
                        "INSERT INTO record(key, packed) VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET packed "
                        "= excluded.packed",
                        &q, d);
    if (!rc) {
        bind_i64(q, 1, key);
        bind_blob(q, 2, packed.p, packed.n);
        rc = stmt_run(q, d);
    }
    stmt_done(q);
    buf_free(&packed);
    return rc;
}

enum err shown_value(struct store *s, struct arena *a, int64_t key, uint32_t field, struct str *out,
                     struct diag *d)
{
    struct row row;
    struct record r;

    enum err rc = row_by_key(s, key, &row, d);
    if (!rc)
        rc = record_load(s, a, &row, &r, d);
    if (!rc)
        *out = record_value(&r, field);
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

/* The page key: 32 random bytes in a file of their own until the PIN wraps them. It is made only together
 * with the database. */
static enum err page_key(struct store *s, const char *key_path, const char *db_path,
                         unsigned char key[static DB_KEY_SIZE], struct diag *d)
{
    const struct seam *seam = s->seam;
    struct buf file, probe;
    struct diag quiet = {0};

    buf_init(&file, 64);
    buf_init(&probe, 1u << 30);
    enum err rc = seam->file_read(seam->self, key_path, &file, &quiet);
    if (rc == ERR_NOT_FOUND) {
        struct diag none = {0};
        if (seam->file_read(seam->self, db_path, &probe, &none) != ERR_NOT_FOUND) {
            rc = diag_set(d, ERR_DENIED,
                          "the key file %s is missing, so the answers in %s stay sealed: put the key file "
                          "back from a backup",
                          key_path, db_path);
        } else {
            rc = crypto_random(key, DB_KEY_SIZE);
            if (!rc)
                rc = seam->file_write(seam->self, key_path, (struct str){(const char *)key, DB_KEY_SIZE},
                                      true, d);
        }
    } else if (rc) {
        rc = diag_set(d, quiet.code ? quiet.code : rc, "%s", quiet.text);
    } else if (file.n != DB_KEY_SIZE) {
        rc = diag_set(d, ERR_CORRUPT,
                      "the key file %s has %zu bytes instead of %d: put it back from a backup", key_path,
                      file.n, DB_KEY_SIZE);
    } else {
        memcpy(key, file.p, DB_KEY_SIZE);
    }
    crypto_wipe(file.p, file.n);
    buf_free(&file);
    buf_free(&probe);
    return rc;
}

static enum err identity_load(struct store *s, struct diag *d)
{
    struct arena *a = &s->memory;
    struct identity id = {0};
    struct str reply_text, seal, sign, stamp;
    struct counters c;

    enum err rc = counters_load(s, &c, d);
    if (!rc)
        rc = meta_get(s, "identity", a, &reply_text, d);
    if (!rc)
        rc = meta_get(s, "url", a, &id.url, d);
    if (!rc)
        rc = meta_get(s, "keyset", a, &id.keyset, d);
    if (!rc)
        rc = meta_get(s, "seal", a, &seal, d);
    if (!rc)
        rc = meta_get(s, "sign", a, &sign, d);
    if (!rc)
        rc = meta_get(s, "token", a, &id.by.token, d);
    if (!rc)
        rc = meta_get(s, "epoch", a, &stamp, d);
    if (rc)
        return rc;
    id.cursor = c.cursor;
    if (reply_text.n > 0) {
        const struct json *j;
        int64_t device, inc, person, role, epoch;
        rc = json_read(a, reply_text, &j, d);
        if (rc)
            return rc;
        struct str device_text = json_text(j, "device");
        unsigned char raw[8];
        if (!hex_read(device_text, raw, 8) || !json_i64(j, "inc", &inc) || !json_i64(j, "person", &person) ||
            !json_i64(j, "role", &role) || !json_i64(j, "epoch", &epoch) || seal.n != sizeof id.seal ||
            sign.n != sizeof id.sign)
            return diag_set(d, ERR_CORRUPT,
                            "this device's identity is damaged: enrol it again; what was captured stays");
        device = 0;
        for (int i = 0; i < 8; i++)
            device = (int64_t)(((uint64_t)device << 8) | raw[i]);
        id.enrolled = true;
        id.by.device = (uint64_t)device;
        id.by.inc = (uint32_t)inc;
        id.by.person = (uint32_t)person;
        id.by.role = (uint8_t)role;
        id.by.person_name = json_text(j, "name");
        id.by.county = json_text(j, "county");
        id.by.area = json_text(j, "area");
        memcpy(&id.seal, seal.p, sizeof id.seal);
        memcpy(&id.sign, sign.p, sizeof id.sign);
        id.epoch = (uint32_t)epoch;
        uint64_t newer;
        if (stamp.n > 0 && str_to_u64(stamp, &newer))
            id.epoch = (uint32_t)newer;
    }
    s->id = id;
    return ERR_OK;
}

enum err store_open(const char *dir, const struct seam *seam, struct store **store_out, struct diag *d)
{
    struct arena paths;
    const char *key_path, *db_path, *open_path;
    unsigned char key[DB_KEY_SIZE];
    struct store *s = NULL;
    struct arena memory;

    arena_init(&paths, 64u << 10);
    arena_init(&memory, STORE_MEMORY_MAX);
    s = ARENA_NEW(&memory, struct store);
    if (!s)
        return diag_set(d, ERR_NOMEM, "no memory to open the store");
    s->seam = seam;
    s->memory = memory;

    enum err rc = seam->dir_make(seam->self, dir, d);
    if (!rc)
        rc = path_in(&paths, dir, "device.key", &key_path, d);
    if (!rc)
        rc = path_in(&paths, dir, "device.db", &db_path, d);
    if (!rc)
        rc = path_in(&paths, dir, "public.db", &open_path, d);
    if (!rc)
        rc = page_key(s, key_path, db_path, key, d);
    if (!rc) {
        struct db_options sealed = {.path = db_path,
                                    .vfs = seam->vfs,
                                    .key = key,
                                    .migrations = sealed_migrations,
                                    .migration_count = sizeof sealed_migrations / sizeof *sealed_migrations,
                                    .application_id = APPLICATION_SEALED};
        rc = db_open(&sealed, &s->db, d);
    }
    if (!rc) {
        struct db_options plain = {.path = open_path,
                                   .vfs = seam->vfs,
                                   .migrations = open_migrations,
                                   .migration_count = sizeof open_migrations / sizeof *open_migrations,
                                   .application_id = APPLICATION_OPEN};
        rc = db_open(&plain, &s->open, d);
    }
    if (!rc)
        rc = identity_load(s, d);

    crypto_wipe(key, sizeof key);
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

/* Rows and versions captured before enrolment carry device 0, incarnation 0; now they get their author. */
static enum err adopt_records(struct store *s, const struct identity *id, struct diag *d)
{
    struct stmt *q = NULL;
    struct arena a;
    VEC(int64_t) keys = {0};
    bool more = false;

    arena_init(&a, STORE_SCRATCH_MAX);
    enum err rc = db_prepare(
        s->db, "SELECT record.key FROM record JOIN row USING(key) WHERE row.device = ? AND row.inc = ?", &q,
        d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)id->by.device);
        bind_i64(q, 2, id->by.inc);
        while (!(rc = stmt_step(q, &more, d)) && more) {
            int64_t *slot = vec_push(&a, &keys);
            if (!slot) {
                rc = diag_set(d, ERR_NOMEM, "no memory to take over earlier interviews");
                break;
            }
            *slot = col_i64(q, 0);
        }
    }
    stmt_done(q);
    for (uint32_t i = 0; !rc && i < keys.count; i++) {
        struct arena_mark mark = arena_mark(&a);
        struct row row;
        struct record r;
        rc = row_by_key(s, keys.at[i], &row, d);
        if (!rc)
            rc = record_load(s, &a, &row, &r, d);
        for (uint32_t k = 0; !rc && k < r.count; k++)
            for (uint32_t v = 0; v < r.cells[k].count; v++)
                if (r.cells[k].versions[v].device == 0 && r.cells[k].versions[v].inc == 0) {
                    r.cells[k].versions[v].device = id->by.device;
                    r.cells[k].versions[v].inc = id->by.inc;
                    r.cells[k].versions[v].person = id->by.person;
                    r.cells[k].versions[v].role = id->by.role;
                }
        if (!rc)
            rc = record_save(s, row.key, &r, d);
        arena_release(&a, mark);
    }
    arena_free(&a);
    return rc;
}

static enum err adopt_rows(struct store *s, const struct identity *id, struct diag *d)
{
    struct stmt *q = NULL;

    enum err rc = db_prepare(s->db, "UPDATE row SET device = ?, inc = ? WHERE device = 0 AND inc = 0", &q, d);
    if (!rc) {
        bind_i64(q, 1, (int64_t)id->by.device);
        bind_i64(q, 2, id->by.inc);
        rc = stmt_run(q, d);
    }
    stmt_done(q);
    q = NULL;
    if (!rc)
        rc = db_prepare(s->db, "UPDATE chg SET person = ?, role = ? WHERE person = 0 AND batch = 0", &q, d);
    if (!rc) {
        bind_i64(q, 1, id->by.person);
        bind_i64(q, 2, id->by.role);
        rc = stmt_run(q, d);
    }
    stmt_done(q);
    return rc ? rc : adopt_records(s, id, d);
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

enum err store_enrol(struct store *s, const struct identity *id, struct diag *d)
{
    struct txn t = {0};
    struct buf json;

    if (s->id.enrolled)
        return diag_set(
            d, ERR_STATE,
            "this device is enrolled already, at %.*s; use another data directory for another centre",
            STR_ARG(s->id.url));
    buf_init(&json, 64u << 10);
    identity_json(id, &json);
    enum err rc = json.failed ? diag_set(d, json.failed, "the centre's names are too long")
                              : txn_begin(&t, s->db, d);
    if (!rc)
        rc = meta_put_str(s, "identity", buf_str(&json), d);
    if (!rc)
        rc = meta_put_str(s, "url", id->url, d);
    if (!rc)
        rc = meta_put_str(s, "keyset", id->keyset, d);
    if (!rc)
        rc = meta_put_str(s, "token", id->by.token, d);
    if (!rc)
        rc = meta_put(s, "seal", &id->seal, sizeof id->seal, d);
    if (!rc)
        rc = meta_put(s, "sign", &id->sign, sizeof id->sign, d);
    if (!rc)
        rc = adopt_rows(s, id, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    buf_free(&json);
    return rc ? rc : identity_load(s, d);
}

/* ---- objects ---- */

enum err store_object_put(struct store *s, const unsigned char hash[static SHA256_SIZE], struct str bytes,
                          struct diag *d)
{
    struct stmt *q = NULL;
    unsigned char actual[SHA256_SIZE];

    enum err rc = sha256(bytes, actual);
    if (!rc && memcmp(actual, hash, SHA256_SIZE) != 0)
        rc = diag_set(d, ERR_CORRUPT, "an object's bytes do not match its hash: it will be fetched again");
    if (!rc)
        rc = db_prepare(s->open, "INSERT INTO object(hash, bytes) VALUES(?, ?) ON CONFLICT(hash) DO NOTHING",
                        &q, d);
    if (!rc) {
        bind_blob(q, 1, hash, SHA256_SIZE);
        bind_blob(q, 2, bytes.p ? bytes.p : "", bytes.n);
        rc = stmt_run(q, d);
    }
    stmt_done(q);
    return rc;
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
        rc = diag_set(d, ERR_NOT_FOUND, "this form, list or rule pack is not on the device yet: sync first");
    if (!rc) {
        buf_put_str(out, col_blob(q, 0));
        if (out->failed)
            rc = diag_set(d, out->failed, "an object is larger than this call allows");
    }
    stmt_done(q);
    return rc;
}

static enum err object_held(struct store *s, const unsigned char *hash, bool *held_out, struct diag *d)
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

/* ---- lists ---- */

typedef enum err (*record_visitor)(struct store *s, struct arena *a, const struct row *row,
                                   const struct record *r, void *self, struct diag *d);

/* Every committed, undeleted row of a kind, with its record, in key order. */
static enum err each_record(struct store *s, struct arena *a, const char *sql, int64_t argument,
                            record_visitor visit, void *self, struct diag *d)
{
    struct stmt *q = NULL;
    VEC(struct row) rows = {0};
    bool more = false;

    enum err rc = db_prepare(s->db, sql, &q, d);
    if (!rc) {
        bind_i64(q, 1, argument);
        while (!(rc = stmt_step(q, &more, d)) && more) {
            struct row *slot = vec_push(a, &rows);
            if (!slot) {
                rc = diag_set(d, ERR_NOMEM, "no memory for the list");
                break;
            }
            *slot = row_from(q);
        }
    }
    stmt_done(q);
    for (uint32_t i = 0; !rc && i < rows.count; i++) {
        struct record r;
        rc = record_load(s, a, &rows.at[i], &r, d);
        if (!rc && !record_deleted(&r))
            rc = visit(s, a, &rows.at[i], &r, self, d);
    }
    return rc;
}

#define ROWS_OF_KIND \
    "SELECT " ROW_COLUMNS " FROM row WHERE kind = ? AND visit = 0 AND deleted = 0 ORDER BY key"

struct published_list {
    VEC(struct published) list;
};

static enum err take_published(struct store *s, struct arena *a, const struct row *row,
                               const struct record *r, void *self, struct diag *d)
{
    struct published_list *out = self;
    struct published p = {
        .kind = record_value(r, PUBLISHED_KIND),
        .id = record_value(r, PUBLISHED_ID),
        .version = record_value(r, PUBLISHED_VERSION),
        .title = record_value(r, PUBLISHED_TITLE),
        .fieldmap = record_value(r, PUBLISHED_FIELDS),
    };
    (void)row;
    if (!hex_read(record_value(r, PUBLISHED_HASH), p.hash, SHA256_SIZE) ||
        !str_to_u64(record_value(r, PUBLISHED_SIZE), &p.size) ||
        !str_eq(record_value(r, PUBLISHED_STATE), STR("live")))
        return ERR_OK;
    enum err rc = object_held(s, p.hash, &p.held, d);
    if (rc)
        return rc;

    /* Rows come oldest first; the newest of an id stands first in the list. */
    struct published *slot = vec_push(a, &out->list);
    if (!slot)
        return diag_set(d, ERR_NOMEM, "no memory for the catalogue");
    memmove(out->list.at + 1, out->list.at, (out->list.count - 1) * sizeof *out->list.at);
    out->list.at[0] = p;
    return ERR_OK;
}

enum err store_published(struct store *s, struct arena *a, struct published **list_out, uint32_t *count_out,
                         struct diag *d)
{
    struct published_list out = {0};
    enum err rc = each_record(s, a, ROWS_OF_KIND, ROW_PUBLISHED, take_published, &out, d);
    if (rc)
        return rc;
    *list_out = out.list.at;
    *count_out = out.list.count;
    return ERR_OK;
}

enum err store_object_wanted(struct store *s, unsigned char hash_out[static SHA256_SIZE], uint64_t *size_out,
                             bool *any_out, struct diag *d)
{
    struct arena a;
    struct published *list;
    uint32_t count;

    arena_init(&a, STORE_SCRATCH_MAX);
    enum err rc = store_published(s, &a, &list, &count, d);
    if (!rc) {
        *any_out = false;
        for (uint32_t i = 0; i < count && !*any_out; i++)
            if (!list[i].held) {
                memcpy(hash_out, list[i].hash, SHA256_SIZE);
                *size_out = list[i].size;
                *any_out = true;
            }
    }
    arena_free(&a);
    return rc;
}

struct household_list {
    VEC(struct household) list;
    struct str code; /* p NULL = all */
};

/* The newest finalised visit to the household, and whether a draft is open. */
static enum err household_visits(struct store *s, struct arena *a, struct household *h, struct diag *d)
{
    struct stmt *q = NULL;
    bool more = false;
    int64_t newest = 0;

    enum err rc = db_prepare(
        s->db, "SELECT key, state FROM row WHERE household = ? AND kind = ? AND deleted = 0 ORDER BY key", &q,
        d);
    if (!rc) {
        bind_i64(q, 1, h->key);
        bind_i64(q, 2, ROW_VISIT);
        while (!(rc = stmt_step(q, &more, d)) && more) {
            if (col_i64(q, 1) == 0)
                h->draft = true;
            else
                newest = col_i64(q, 0);
        }
    }
    stmt_done(q);
    if (!rc && newest) {
        rc = shown_value(s, a, newest, VISIT_ENDED, &h->last_visit, d);
        if (!rc)
            rc = shown_value(s, a, newest, VISIT_LEVEL, &h->last_level, d);
    }
    return rc;
}

static enum err take_household(struct store *s, struct arena *a, const struct row *row,
                               const struct record *r, void *self, struct diag *d)
{
    struct household_list *out = self;
    struct household h = {
        .key = row->key,
        .code = record_value(r, HOUSEHOLD_CODE),
        .area = record_value(r, HOUSEHOLD_AREA),
        .name = record_value(r, HOUSEHOLD_NAME),
        .address = record_value(r, HOUSEHOLD_ADDRESS),
        .category = record_value(r, HOUSEHOLD_CATEGORY),
    };
    if (out->code.p && !str_eq(out->code, h.code))
        return ERR_OK;
    enum err rc = household_visits(s, a, &h, d);
    if (rc)
        return rc;
    struct household *slot = vec_push(a, &out->list);
    if (!slot)
        return diag_set(d, ERR_NOMEM, "no memory for the list of households");
    *slot = h;
    return ERR_OK;
}

enum err store_households(struct store *s, struct arena *a, struct household **list_out, uint32_t *count_out,
                          struct diag *d)
{
    struct household_list out = {0};
    enum err rc = each_record(s, a, ROWS_OF_KIND, ROW_HOUSEHOLD, take_household, &out, d);
    if (rc)
        return rc;
    *list_out = out.list.at;
    *count_out = out.list.count;
    return ERR_OK;
}

enum err store_household(struct store *s, struct arena *a, struct str code, struct household *out,
                         struct diag *d)
{
    struct household_list found = {.code = code};
    enum err rc = each_record(s, a, ROWS_OF_KIND, ROW_HOUSEHOLD, take_household, &found, d);
    if (rc)
        return rc;
    if (found.list.count == 0)
        return diag_set(d, ERR_NOT_FOUND,
                        "no household %.*s on this device: `doorstep status` lists them, `doorstep sync` "
                        "fetches new ones",
                        STR_ARG(code));
    *out = found.list.at[0];
    return ERR_OK;
}

struct department_merge {
    VEC(struct str) texts;
    struct str as_of;
};

static enum err take_department(struct store *s, struct arena *a, const struct row *row,
                                const struct record *r, void *self, struct diag *d)
{
    struct department_merge *out = self;
    (void)s, (void)row;
    struct str *slot = vec_push(a, &out->texts);
    if (!slot)
        return diag_set(d, ERR_NOMEM, "no memory for department records");
    *slot = record_value(r, DEPARTMENT_VALUES);
    struct str as_of = record_value(r, DEPARTMENT_AS_OF);
    if (str_cmp(as_of, out->as_of) > 0)
        out->as_of = as_of;
    return ERR_OK;
}

enum err store_department(struct store *s, struct arena *a, int64_t household, struct str *json_out,
                          struct str *as_of_out, struct diag *d)
{
    static const char sql[] =
        "SELECT " ROW_COLUMNS
        " FROM row WHERE household = ? AND kind = 7 AND visit = 0 AND deleted = 0 ORDER BY key";
    struct department_merge out = {0};
    struct buf b;

    enum err rc = each_record(s, a, sql, household, take_department, &out, d);
    if (rc)
        return rc;
    /* One object: the members of all records, the newest last, since readers of JSON here take the first of a
     * name. */
    buf_init(&b, 1u << 20);
    buf_put_char(&b, '{');
    for (uint32_t i = out.texts.count; i-- > 0;) {
        struct str t = str_trim(out.texts.at[i]);
        if (t.n < 3 || t.p[0] != '{')
            continue;
        if (b.n > 1)
            buf_put_char(&b, ',');
        buf_put(&b, t.p + 1, t.n - 2);
    }
    buf_put_char(&b, '}');
    if (b.failed)
        rc = diag_set(d, b.failed, "the departments' records about this household are too large");
    else
        *json_out = b.n > 2 ? arena_str(a, buf_str(&b)) : STR_NONE;
    *as_of_out = out.as_of;
    buf_free(&b);
    return rc;
}

static enum err count_of(struct store *s, const char *sql, uint64_t *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = db_prepare(s->db, sql, &q, d);
    if (!rc)
        rc = stmt_step(q, &row, d);
    if (!rc)
        *out = row ? (uint64_t)col_i64(q, 0) : 0;
    stmt_done(q);
    return rc;
}

enum err store_status(struct store *s, struct arena *a, struct store_status *out, struct diag *d)
{
    struct store_status st = {0};
    uint64_t n[8] = {0};
    static const char *const counts[] = {
        "SELECT count(*) FROM row WHERE kind = 1 AND deleted = 0",
        "SELECT count(*) FROM row WHERE kind = 4 AND state = 0 AND deleted = 0",
        ("SELECT count(DISTINCT chg.visit) FROM chg JOIN row ON row.key = chg.visit"
         " WHERE chg.batch = 0 AND row.state = 1"),
        "SELECT count(*) FROM outbox WHERE status = 0",
        "SELECT count(*) FROM outbox WHERE status IN (1, 2)",
        "SELECT count(*) FROM outbox WHERE status = 3",
        "SELECT coalesce(sum(length(frame)), 0) FROM outbox WHERE status = 0",
        "SELECT count(*) FROM chg",
    };
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < sizeof counts / sizeof *counts; i++)
        rc = count_of(s, counts[i], &n[i], d);
    if (!rc)
        rc = meta_get(s, "last_contact", a, &st.last_contact, d);
    struct published *list = NULL;
    uint32_t published = 0;
    if (!rc)
        rc = store_published(s, a, &list, &published, d);
    if (rc)
        return rc;
    st.households = (uint32_t)n[0];
    st.drafts = (uint32_t)n[1];
    st.finalised_unsent = (uint32_t)n[2];
    st.frames_waiting = (uint32_t)n[3];
    st.frames_receipted = (uint32_t)n[4];
    st.frames_quarantined = (uint32_t)n[5];
    st.bytes_waiting = n[6];
    st.changes = n[7];
    for (uint32_t i = 0; i < published; i++)
        st.objects_missing += !list[i].held;
    *out = st;
    return ERR_OK;
}
