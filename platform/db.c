/* Statements, transactions and errors: the part of platform/db that runs all day. Always true: a prepared
 * statement that is not in use is reset and holds no lock; an error of SQLite leaves here as a cause and a
 * sentence, never as a number alone; values that people gave are bound, so that no sentence and no log can
 * contain them.
 */
#include "platform/db_internal.h"

#include <errno.h>
#include <stdlib.h>

/* --- errors --- */

/* Constraints repeat in the schema what the code promises; a second row under one name is the only failure
 * that a caller can expect. */
static enum err cause_of(sqlite3 *handle, int rc)
{
    switch (rc) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID: return ERR_EXISTS;
    case SQLITE_IOERR_NOMEM: return ERR_NOMEM;
    case SQLITE_IOERR_DATA:
    case SQLITE_IOERR_CORRUPTFS: return ERR_CORRUPT;
    default: break;
    }
    switch (rc & 0xff) {
    case SQLITE_NOMEM: return ERR_NOMEM;
    case SQLITE_FULL: return ERR_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT: return ERR_CORRUPT;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY: return ERR_DENIED;
    case SQLITE_TOOBIG: return ERR_LIMIT;
    case SQLITE_ERROR: return ERR_USAGE;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR: break;
    default: return ERR_IO;
    }
    /* What the system said: a full card also shows when a file is made or its shared memory grows. */
    switch (handle ? sqlite3_system_errno(handle) : 0) {
    case ENOSPC:
    case EDQUOT: return ERR_FULL;
    case ENOENT: return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS: return ERR_DENIED;
    default: return ERR_IO;
    }
}

static enum err page_failure(struct db *db, struct diag *d)
{
    return diag_set(
        d, ERR_CORRUPT,
        "%s is damaged: a page does not carry the seal of its key. Make a copy of the file before doing "
        "anything else.",
        db->path);
}

enum err db_fail(struct db *db, int rc, const char *doing, struct diag *d)
{
    enum err cause = cause_of(db->handle, rc);
    const char *what = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);
    /* SQLCipher's own failures carry no more than the name of the code; SQL that is wrong says what is wrong.
     */
    if (db->keyed && rc == SQLITE_ERROR && strcmp(what, sqlite3_errstr(rc)) == 0)
        return page_failure(db, d);
    return diag_set(d, cause, "Cannot %s %s: %s (SQLite %d).", doing, db->path, what, rc);
}

/* --- statements --- */

static struct stmt *statement_find(struct db *db, const char *sql, uint64_t hash)
{
    for (int i = 0; i < DB_STATEMENTS_MAX; i++) {
        struct stmt *s = &db->statements[i];
        if (s->handle && !s->busy && s->hash == hash && strcmp(sqlite3_sql(s->handle), sql) == 0)
            return s;
    }
    return NULL;
}

/* An empty place, or that of the statement that has been idle longest. */
static struct stmt *statement_place(struct db *db)
{
    struct stmt *oldest = NULL;
    for (int i = 0; i < DB_STATEMENTS_MAX; i++) {
        struct stmt *s = &db->statements[i];
        if (!s->handle)
            return s;
        if (!s->busy && (!oldest || s->used < oldest->used))
            oldest = s;
    }
    if (oldest) {
        (void)sqlite3_finalize(oldest->handle);
        oldest->handle = NULL;
    }
    return oldest;
}

enum err db_prepare(struct db *db, const char *sql, struct stmt **stmt_out, struct diag *d)
{
    const uint64_t hash = str_hash(str_of(sql));
    struct stmt *s = statement_find(db, sql, hash);
    if (!s) {
        s = statement_place(db);
        if (!s)
            return diag_set(d, ERR_LIMIT, "More than %d statements are in use at once on %s.",
                            DB_STATEMENTS_MAX, db->path);
        sqlite3_stmt *handle = NULL;
        const char *rest = NULL;
        int rc = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, &rest);
        if (rc != SQLITE_OK)
            return db_fail(db, rc, "prepare a statement on", d);
        CHECK(handle && str_trim(str_of(rest)).n == 0); /* exactly one statement */
        *s = (struct stmt){.db = db, .handle = handle, .hash = hash};
    }
    s->busy = true;
    s->bind_rc = SQLITE_OK;
    s->used = ++db->clock;
    *stmt_out = s;
    return ERR_OK;
}

void stmt_done(struct stmt *s)
{
    if (!s || !s->busy)
        return;
    (void)sqlite3_reset(s->handle); /* repeats the error of the last step, which was told */
    (void)sqlite3_clear_bindings(s->handle);
    s->busy = false;
}

/* A wrong number is a mistake of ours; a value that is too large is the world's, and the next step tells it.
 */
static void bound(struct stmt *s, int rc)
{
    CHECK(s->busy && rc != SQLITE_RANGE && rc != SQLITE_MISUSE);
    if (rc != SQLITE_OK && s->bind_rc == SQLITE_OK)
        s->bind_rc = rc;
}

void bind_null(struct stmt *s, int index)
{
    bound(s, sqlite3_bind_null(s->handle, index));
}

void bind_i64(struct stmt *s, int index, int64_t v)
{
    bound(s, sqlite3_bind_int64(s->handle, index, v));
}

void bind_double(struct stmt *s, int index, double v)
{
    bound(s, sqlite3_bind_double(s->handle, index, v));
}

void bind_text(struct stmt *s, int index, struct str v)
{
    bound(s, sqlite3_bind_text64(s->handle, index, v.p, v.n, SQLITE_STATIC, SQLITE_UTF8));
}

void bind_blob(struct stmt *s, int index, const void *p, size_t n)
{
    bound(s, sqlite3_bind_blob64(s->handle, index, p, n, SQLITE_STATIC));
}

/* When a page of a sealed file does not pass its check, SQLCipher 4.6 hands a page of zeros to the statement
 * that asked for it, and fails whatever asks for a page after that. A value that lies on pages of its own
 * could so be read as zeros. Asking for page 1 before a row is given out turns that into an error. */
static bool page_failed(struct db *db)
{
    if (!db->keyed)
        return false;
    if (!db->page_probe && sqlite3_prepare_v3(db->handle, "SELECT 1 FROM sqlite_schema", -1,
                                              SQLITE_PREPARE_PERSISTENT, &db->page_probe, NULL) != SQLITE_OK)
        return true;
    int rc = sqlite3_step(db->page_probe);
    (void)sqlite3_reset(db->page_probe);
    return rc != SQLITE_ROW && rc != SQLITE_DONE;
}

/* COMMIT counts as reading for SQLite, but only writing meets a full card. */
static const char *doing(struct stmt *s, int rc)
{
    return sqlite3_stmt_readonly(s->handle) && (rc & 0xff) != SQLITE_FULL ? "read" : "write to";
}

enum err stmt_step(struct stmt *s, bool *row_out, struct diag *d)
{
    CHECK(s->busy);
    if (s->bind_rc != SQLITE_OK)
        return diag_set(d, cause_of(NULL, s->bind_rc),
                        "A value for %s is too large to be stored (SQLite %d).", s->db->path, s->bind_rc);
    int rc = sqlite3_step(s->handle);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return db_fail(s->db, rc, doing(s, rc), d);
    if (rc == SQLITE_ROW && page_failed(s->db))
        return page_failure(s->db, d);
    *row_out = rc == SQLITE_ROW;
    return ERR_OK;
}

enum err stmt_run(struct stmt *s, struct diag *d)
{
    bool row = false;
    enum err rc = stmt_step(s, &row, d);
    CHECK(!row); /* whoever expects rows steps */
    stmt_done(s);
    return rc;
}

int64_t col_i64(struct stmt *s, int column)
{
    return sqlite3_column_int64(s->handle, column);
}

double col_double(struct stmt *s, int column)
{
    return sqlite3_column_double(s->handle, column);
}

bool col_null(struct stmt *s, int column)
{
    return sqlite3_column_type(s->handle, column) == SQLITE_NULL;
}

struct str col_text(struct stmt *s, int column)
{
    const char *p = (const char *)sqlite3_column_text(s->handle, column);
    return (struct str){p, p ? (size_t)sqlite3_column_bytes(s->handle, column) : 0};
}

struct str col_blob(struct stmt *s, int column)
{
    if (col_null(s, column))
        return STR_NONE;
    const char *p = sqlite3_column_blob(s->handle, column); /* NULL for a blob of no bytes */
    return p ? (struct str){p, (size_t)sqlite3_column_bytes(s->handle, column)} : STR("");
}

enum err db_exec(struct db *db, const char *sql, struct diag *d)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? ERR_OK : db_fail(db, rc, "write to", d);
}

enum err db_query_i64(struct db *db, const char *sql, int64_t otherwise, int64_t *out, struct diag *d)
{
    struct stmt *s = NULL;
    bool row = false;
    enum err rc = db_prepare(db, sql, &s, d);
    if (!rc)
        rc = stmt_step(s, &row, d);
    if (!rc)
        *out = row ? col_i64(s, 0) : otherwise;
    stmt_done(s);
    return rc;
}

int64_t db_changes(struct db *db)
{
    return sqlite3_changes64(db->handle);
}

int64_t db_last_rowid(struct db *db)
{
    return sqlite3_last_insert_rowid(db->handle);
}

const char *db_path(const struct db *db)
{
    return db->path;
}

/* --- transactions --- */

static enum err run_once(struct db *db, const char *sql, struct diag *d)
{
    struct stmt *s = NULL;
    enum err rc = db_prepare(db, sql, &s, d);
    return rc ? rc : stmt_run(s, d);
}

enum err txn_begin(struct txn *t, struct db *db, struct diag *d)
{
    CHECK(!t->open && sqlite3_get_autocommit(db->handle)); /* one at a time */
    enum err rc = run_once(db, "BEGIN IMMEDIATE", d);
    if (!rc)
        *t = (struct txn){db, true};
    return rc;
}

enum err txn_commit(struct txn *t, struct diag *d)
{
    CHECK(t->open);
    /* Some failures roll back by themselves; a later COMMIT must not then look like success or like a
     * mistake. */
    if (sqlite3_get_autocommit(t->db->handle))
        return diag_set(d, ERR_IO,
                        "The transaction on %s was undone by an earlier failure; nothing was saved.",
                        t->db->path);
    enum err rc = run_once(t->db, "COMMIT", d);
    if (!rc)
        t->open = false;
    return rc;
}

void txn_rollback(struct txn *t)
{
    if (!t->open)
        return;
    t->open = false;
    if (!sqlite3_get_autocommit(t->db->handle))
        (void)sqlite3_exec(t->db->handle, "ROLLBACK", NULL, NULL,
                           NULL); /* a failure leaves nothing more to undo */
}

/* --- the whole file --- */

/* The first row of a check that is not "ok". */
static enum err check_run(struct db *db, const char *sql, struct diag *d)
{
    struct stmt *s = NULL;
    bool row = false;
    enum err rc = db_prepare(db, sql, &s, d);
    if (!rc)
        rc = stmt_step(s, &row, d);
    if (!rc && row) {
        struct str finding = col_text(s, 0);
        if (!str_eq_z(finding, "ok"))
            rc = diag_set(d, ERR_CORRUPT,
                          "%s is damaged: %.*s. Make a copy of the file before doing anything else.",
                          db->path, STR_ARG(finding));
    }
    stmt_done(s);
    return rc;
}

/* The seals are checked in the file itself, where a copying from the log that was cut short leaves pages half
 * written; the log still has them whole, and they are read from there. So the copying is finished first.
 * False when it cannot be, because others read or the card is full: the pages are then checked as they are
 * read. The log is left as long as it is: cutting it would be one more thing for a power cut to undo. */
static bool log_copied(struct db *db)
{
    sqlite3_stmt *s = NULL;
    bool whole = false;
    if (sqlite3_prepare_v2(db->handle, "PRAGMA wal_checkpoint(PASSIVE)", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        whole = sqlite3_column_int(s, 0) == 0 && sqlite3_column_int(s, 1) == sqlite3_column_int(s, 2);
    (void)sqlite3_finalize(s);
    return whole;
}

enum err db_check(struct db *db, struct diag *d)
{
    enum err rc = ERR_OK;
    if (db->keyed && log_copied(db))
        rc = check_run(db, "PRAGMA cipher_integrity_check", d);
    if (!rc)
        rc = check_run(db, "PRAGMA integrity_check(1)", d);
    return rc;
}

/* One transaction around the copy keeps a failed page in view until it has been asked for. */
static int backup_copy(struct db *db, sqlite3 *to)
{
    int rc = sqlite3_exec(db->handle, "BEGIN; SELECT 1 FROM sqlite_schema", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        goto done;
    sqlite3_backup *b = sqlite3_backup_init(to, "main", db->handle, "main");
    if (!b) {
        rc = sqlite3_extended_errcode(to);
        goto done;
    }
    rc = sqlite3_backup_step(b, -1);
    int end = sqlite3_backup_finish(b);
    rc = rc == SQLITE_DONE ? end : rc;
    if (page_failed(db))
        rc = SQLITE_CORRUPT;

done:
    if (!sqlite3_get_autocommit(db->handle))
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

enum err db_backup(struct db *db, const char *path, struct diag *d)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(db->vfs);
    sqlite3 *to = NULL;
    int there = 0;
    CHECK(vfs && sqlite3_get_autocommit(db->handle));
    if (vfs->xAccess(vfs, path, SQLITE_ACCESS_EXISTS, &there) == SQLITE_OK && there)
        return diag_set(d, ERR_EXISTS, "%s is there already; a backup never overwrites. Choose another name.",
                        path);

    int rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                             db->vfs);
    if (to)
        (void)sqlite3_extended_result_codes(to, 1);
    if (rc == SQLITE_OK && db->keyed)
        rc = db_apply_key(to, db->key);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(to, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = backup_copy(db, to);
    enum err cause = ERR_OK;
    if (rc != SQLITE_OK)
        cause = diag_set(d, cause_of(to, rc), "Cannot back up %s to %s: %s (SQLite %d).", db->path, path,
                         sqlite3_errstr(rc), rc);
    int closed = sqlite3_close(to);
    CHECK(closed == SQLITE_OK);
    if (cause)
        (void)vfs->xDelete(vfs, path, 0);
    return cause;
}

/* --- blobs --- */

struct db_blob {
    struct db *db;
    sqlite3_blob *handle;
};

enum err db_blob_open(struct db *db, const char *table, const char *column, int64_t row,
                      struct db_blob **blob_out, size_t *size_out, struct diag *d)
{
    struct db_blob *b = calloc(1, sizeof(*b));
    if (!b)
        return diag_set(d, ERR_NOMEM, "There is no memory to read from %s.", db->path);
    b->db = db;
    int rc = sqlite3_blob_open(db->handle, "main", table, column, row, 0, &b->handle);
    if (rc != SQLITE_OK) {
        enum err why = rc == SQLITE_ERROR ? diag_set(d, ERR_NOT_FOUND, "%s does not hold this.", db->path)
                                          : db_fail(db, rc, "read", d);
        db_blob_close(b);
        return why;
    }
    *size_out = (size_t)sqlite3_blob_bytes(b->handle);
    *blob_out = b;
    return ERR_OK;
}

enum err db_blob_read(struct db_blob *b, size_t at, void *out, size_t n, struct diag *d)
{
    CHECK(at <= INT32_MAX && n <= INT32_MAX);
    int rc = sqlite3_blob_read(b->handle, out, (int)n, (int)at);
    return rc == SQLITE_OK ? ERR_OK : db_fail(b->db, rc, "read", d);
}

void db_blob_close(struct db_blob *b)
{
    if (!b)
        return;
    (void)sqlite3_blob_close(b->handle);
    free(b);
}
