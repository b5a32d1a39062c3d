/* db: the one place that includes SQLite. Opens a database through the seam's VFS with the settings that
 * make "saved" true (WAL, synchronous=FULL, foreign keys on, trusted schema off, temp store in memory),
 * runs statements, and migrates.
 *
 * Always true: a database that opens has passed its migrations whole, each in one transaction; a key, when
 * given, was right (a wrong key is ERR_DENIED, never an empty database); a database made by a newer program
 * is ERR_VERSION and is not touched; another program's file is ERR_EXISTS. SQLite's SQLITE_FULL is ERR_FULL,
 * SQLITE_BUSY after the time-out is ERR_BUSY, SQLITE_CORRUPT and SQLITE_NOTADB are ERR_CORRUPT (or ERR_DENIED
 * for a keyed open), a second row under one key is ERR_EXISTS, any other broken constraint ERR_CORRUPT, SQL
 * that SQLite does not accept ERR_USAGE.
 *
 * Not thread-safe: one struct db per thread.
 */
#ifndef DOORSTEP_DB_H
#define DOORSTEP_DB_H

#include "platform/base/arena.h"
#include "platform/seam.h"

struct db;
struct stmt;

struct migration {
    int64_t version; /* 1, 2, 3 ... in order */
    const char *sql; /* one or more statements */
};

#define DB_KEY_SIZE 32

struct db_options {
    const char *path;
    const char *vfs;          /* NULL = default */
    const unsigned char *key; /* DB_KEY_SIZE raw bytes for SQLCipher, or NULL for a plain file */
    const struct migration *migrations;
    uint32_t migration_count;
    int32_t application_id; /* PRAGMA application_id; another program's file is refused; 0 = any */
    bool read_only;         /* a file of an older version is then ERR_STATE */
    uint32_t busy_ms_max;   /* 0 = 5,000 */
};

enum err db_open(const struct db_options *o, struct db **db_out, struct diag *d) MUST_USE;
void db_close(struct db *db); /* accepts NULL; finalises cached statements */
const char *db_path(const struct db *db);

/* Runs statements without results. */
enum err db_exec(struct db *db, const char *sql, struct diag *d) MUST_USE;

/* A prepared statement from the connection's cache, reset and cleared; `sql` must be a string literal or
 * outlive the db. It belongs to the db: never finalise it; call stmt_done() so that it can be used again. */
enum err db_prepare(struct db *db, const char *sql, struct stmt **stmt_out, struct diag *d) MUST_USE;
void bind_null(struct stmt *s, int index);
void bind_i64(struct stmt *s, int index, int64_t v);
void bind_double(struct stmt *s, int index, double v);
/* Text and blob: p NULL binds NULL; the bytes must live until stmt_done. */
void bind_text(struct stmt *s, int index, struct str v);
void bind_blob(struct stmt *s, int index, const void *p, size_t n);

/* One step. *row_out tells whether a row is there. */
enum err stmt_step(struct stmt *s, bool *row_out, struct diag *d) MUST_USE;
/* Step to the end, expecting no row; then done, whether it failed or not: do not use `s` again. */
enum err stmt_run(struct stmt *s, struct diag *d) MUST_USE;
void stmt_done(struct stmt *s); /* accepts NULL */
int64_t col_i64(struct stmt *s, int column);
double col_double(struct stmt *s, int column);
struct str col_text(struct stmt *s, int column); /* valid until the next step; p NULL for NULL */
struct str col_blob(struct stmt *s, int column);
bool col_null(struct stmt *s, int column);
int64_t db_changes(struct db *db);
int64_t db_last_rowid(struct db *db);

/* One blob of a table with row numbers, piece by piece. The row must not change before it is closed.
 * ERR_NOT_FOUND: there is no such row. */
struct db_blob;
enum err db_blob_open(struct db *db, const char *table, const char *column, int64_t row,
                      struct db_blob **blob_out, size_t *size_out, struct diag *d) MUST_USE;
enum err db_blob_read(struct db_blob *b, size_t at, void *out, size_t n, struct diag *d) MUST_USE;
void db_blob_close(struct db_blob *b); /* accepts NULL */

/* A transaction. txn_begin takes the write lock at once (BEGIN IMMEDIATE). txn_rollback does nothing once
 * committed or never begun: put it in every exit path. Only after txn_commit gives ERR_OK is anything
 * "saved". */
struct txn {
    struct db *db;
    bool open;
};
enum err txn_begin(struct txn *t, struct db *db, struct diag *d) MUST_USE;
enum err txn_commit(struct txn *t, struct diag *d) MUST_USE;
void txn_rollback(struct txn *t);

/* PRAGMA integrity_check; on a keyed database also cipher_integrity_check. ERR_CORRUPT with the first
 * finding. */
enum err db_check(struct db *db, struct diag *d) MUST_USE;
/* Online backup into a new file with the same key; not inside a transaction. ERR_EXISTS when the file is
 * there. */
enum err db_backup(struct db *db, const char *path, struct diag *d) MUST_USE;

/* Registers the VFS of the real world under the name "doorstep" (wraps "unix", keeps its shared memory).
 * Every operation "open", "read", "write", "truncate", "sync", "delete" and "shm" (a piece of shared memory)
 * passes a hook first, so that sweeps can fail operation n with a cause: `fault` may be NULL. A later call
 * changes the hook; no database may be in use then. */
struct db_fault {
    void *self;
    /* ERR_OK lets the operation through; ERR_IO, ERR_FULL, ERR_NOMEM fail it. */
    enum err (*before)(void *self, const char *operation, const char *path);
};
enum err db_vfs_register(const struct db_fault *fault) MUST_USE;

#endif
