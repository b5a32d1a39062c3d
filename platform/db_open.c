/* Opening: handle, key, identity, settings, migrations, in this order. Always true: nothing is written before
 * the key is proven and the file is known to be ours and not newer than this program; a setting that "saved"
 * rests on is read back, and a database that does not accept it does not open.
 */
#include "platform/db_internal.h"

#include "platform/crypto.h"

#define BUSY_MS 5000
#define BUSY_STEP_MS 10

struct setting {
    const char *set;
    const char *get;
    const char *expected;
};

static const struct setting wal = {"PRAGMA journal_mode = WAL", "PRAGMA journal_mode", "wal"};

static const struct setting settings[] = {
    {"PRAGMA synchronous = FULL", "PRAGMA synchronous", "2"},
    {"PRAGMA foreign_keys = ON", "PRAGMA foreign_keys", "1"},
    {"PRAGMA trusted_schema = OFF", "PRAGMA trusted_schema", "0"},
    {"PRAGMA temp_store = MEMORY", "PRAGMA temp_store", "2"},
    {"PRAGMA secure_delete = ON", "PRAGMA secure_delete", "1"},
    {"PRAGMA cell_size_check = ON", "PRAGMA cell_size_check", "1"},
    {"PRAGMA mmap_size = 0", "PRAGMA mmap_size", "0"},
    /* The WAL of a long import shrinks again at the next checkpoint. */
    {"PRAGMA journal_size_limit = 4194304", "PRAGMA journal_size_limit", "4194304"},
};

static enum err setting_apply(struct db *db, const struct setting *row, struct diag *d)
{
    struct stmt *s = NULL;
    bool there = false;
    enum err rc = db_exec(db, row->set, d);
    if (!rc)
        rc = db_prepare(db, row->get, &s, d);
    if (!rc)
        rc = stmt_step(s, &there, d);
    if (!rc && !(there && str_eq_z(col_text(s, 0), row->expected)))
        rc = diag_set(
            d, ERR_IO,
            "%s cannot be used safely: %s does not give %s. Is the folder on a network drive? Put it on the "
            "device's own storage.",
            db->path, row->get, row->expected);
    stmt_done(s);
    return rc;
}

/* SQLite does not wait when two processes make the same file and both turn to the WAL; the switch is once in
 * the life of a file, and so it is waited for here. */
static enum err wal_enter(struct db *db, uint32_t busy_ms, struct diag *d)
{
    struct diag why = {0};
    enum err rc = setting_apply(db, &wal, &why);
    for (uint32_t waited = 0; rc == ERR_BUSY && waited < busy_ms; waited += BUSY_STEP_MS) {
        (void)sqlite3_sleep(BUSY_STEP_MS);
        diag_clear(&why);
        rc = setting_apply(db, &wal, &why);
    }
    return rc ? diag_set(d, rc, "%s", why.text) : ERR_OK;
}

static enum err settings_apply(struct db *db, const struct db_options *o, struct diag *d)
{
    enum err rc = o->read_only ? ERR_OK : wal_enter(db, o->busy_ms_max ? o->busy_ms_max : BUSY_MS, d);
    for (size_t i = 0; i < sizeof settings / sizeof *settings && !rc; i++)
        rc = setting_apply(db, &settings[i], d);
    return rc;
}

/* --- the key --- */

int db_apply_key(sqlite3 *handle, const unsigned char key[static DB_KEY_SIZE])
{
    /* The form x'..' tells SQLCipher that these are key bytes and no passphrase. */
    char text[2 * DB_KEY_SIZE + 3] = "x'";
    hex_write(key, DB_KEY_SIZE, text + 2);
    text[sizeof text - 1] = '\'';
    int rc = sqlite3_key(handle, text, (int)sizeof text);
    crypto_wipe(text, sizeof text);
    /* The setting belongs to the process and is off already; on would lock every page in memory. */
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(handle, "PRAGMA cipher_memory_security = OFF", NULL, NULL, NULL);
    return rc;
}

/* Whether the file begins as a plain database does. */
static bool looks_plain(struct db *db)
{
    sqlite3_file *f = NULL;
    char head[16];
    if (sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_FILE_POINTER, &f) != SQLITE_OK || !f ||
        !f->pMethods)
        return false;
    return f->pMethods->xRead(f, head, sizeof head, 0) == SQLITE_OK &&
           memcmp(head, "SQLite format 3", 16) == 0;
}

/* The first read of the file: it shows whether the key, or its absence, is right. */
static enum err prove_key(struct db *db, struct diag *d)
{
    int rc = sqlite3_exec(db->handle, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        return ERR_OK;
    if ((rc & 0xff) != SQLITE_NOTADB)
        return db_fail(db, rc, "read", d);
    if (!db->keyed)
        return diag_set(d, ERR_CORRUPT,
                        "%s is not a plain database: it is sealed with a key, or is something else.",
                        db->path);
    if (looks_plain(db))
        return diag_set(d, ERR_DENIED, "%s is not sealed, but a key was given for it. Open it without a key.",
                        db->path);
    return diag_set(d, ERR_DENIED,
                    "The key does not open %s: it is another device's key, or the file is damaged.",
                    db->path);
}

/* --- open and close --- */

/* The struct, two texts, and what the arena itself needs. */
#define DB_MEMORY_MAX (sizeof(struct db) + 16384)

static enum err db_new(const struct db_options *o, struct db **db_out)
{
    struct arena arena;
    arena_init(&arena, DB_MEMORY_MAX);
    struct db *db = ARENA_NEW(&arena, struct db);
    const char *path = arena_z(&arena, str_of(o->path));
    const char *vfs = o->vfs ? arena_z(&arena, str_of(o->vfs)) : NULL;
    if (!db || !path || (o->vfs && !vfs)) {
        arena_free(&arena);
        return ERR_NOMEM;
    }
    db->path = path;
    db->vfs = vfs;
    db->keyed = o->key != NULL;
    if (o->key)
        memcpy(db->key, o->key, DB_KEY_SIZE);
    db->arena = arena;
    *db_out = db;
    return ERR_OK;
}

static enum err handle_open(struct db *db, const struct db_options *o, struct diag *d)
{
    const int flags = (o->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
                      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(o->path, &db->handle, flags, o->vfs);
    if (rc != SQLITE_OK)
        return db_fail(db, rc, "open", d);
    sqlite3 *h = db->handle;
    rc = sqlite3_busy_timeout(h, o->busy_ms_max ? (int)o->busy_ms_max : BUSY_MS);
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(h, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(h, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    if (rc == SQLITE_OK && db->keyed)
        rc = db_apply_key(h, db->key);
    return rc == SQLITE_OK ? ERR_OK : db_fail(db, rc, "open", d);
}

enum err db_open(const struct db_options *o, struct db **db_out, struct diag *d)
{
    struct db *db = NULL;
    enum err rc = db_new(o, &db);
    if (rc)
        return diag_set(d, rc, "There is not enough memory to open %s.", o->path);
    rc = handle_open(db, o, d);
    if (!rc)
        rc = prove_key(db, d);
    if (!rc)
        rc = db_check_identity(db, o, d);
    if (!rc)
        rc = settings_apply(db, o, d);
    if (!rc && !o->read_only)
        rc = db_migrate(db, o, d);
    if (rc) {
        db_close(db);
        return rc;
    }
    *db_out = db;
    return ERR_OK;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    for (int i = 0; i < DB_STATEMENTS_MAX; i++) {
        CHECK(!db->statements[i].busy); /* somebody still reads */
        (void)sqlite3_finalize(db->statements[i].handle);
    }
    (void)sqlite3_finalize(db->page_probe);
    int rc = sqlite3_close(db->handle);
    CHECK(rc == SQLITE_OK);
    crypto_wipe(db->key, sizeof db->key);
    struct arena arena = db->arena; /* it holds the struct that it stands in */
    arena_free(&arena);
}
