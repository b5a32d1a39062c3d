/* What a database must be able to do for the centre's store: one table of functions, filled by sql_sqlite.c
 * and by sql_postgres.c. Statements are opaque here; whoever writes verbs includes server/sql.h.
 *
 * Always true: a statement is used by one verb at a time and handed back by `done`; what was bound lives
 * until then; texts and bytes of a column live until the next step.
 */
#ifndef DOORSTEP_SERVER_SQL_OPS_H
#define DOORSTEP_SERVER_SQL_OPS_H

#include "platform/base/buf.h"
#include "platform/base/err.h"
#include "platform/base/str.h"

struct sql_migration {
    int64_t version; /* 1, 2, 3 ... in order */
    const char *sql; /* in SQLite's words */
};

struct sql_ops {
    /* Whether several programs on several machines may write: then the county's row is locked by name. */
    bool shared;
    void (*close)(void *db);
    enum err (*begin)(void *db, struct diag *d);
    enum err (*commit)(void *db, struct diag *d);
    void (*rollback)(void *db);
    enum err (*prepare)(void *db, const char *sql, void **q_out, struct diag *d);
    void (*bind_null)(void *q, int index);
    void (*bind_i64)(void *q, int index, int64_t v);
    void (*bind_double)(void *q, int index, double v);
    void (*bind_text)(void *q, int index, struct str v);
    void (*bind_blob)(void *q, int index, const void *p, size_t n);
    enum err (*step)(void *q, bool *row_out, struct diag *d);
    /* Without results. Inside a transaction a failure may be told by a later call of it, at the latest by
     * `commit`. */
    enum err (*run)(void *q, struct diag *d);
    /* Sends it ahead of its first step, so that the answers to several come in one round trip; they are then
     * stepped in this order, with nothing else in between. NULL where it gains nothing. */
    enum err (*ask)(void *q, struct diag *d);
    void (*done)(void *q);
    int64_t (*col_i64)(void *q, int column);
    double (*col_double)(void *q, int column);
    bool (*col_null)(void *q, int column);
    struct str (*col_text)(void *q, int column);
    struct str (*col_blob)(void *q, int column);
    enum err (*check)(void *db, struct diag *d);
    /* Into a new file; NULL where the database has means of its own. */
    enum err (*backup)(void *db, const char *path, struct diag *d);
    /* Which line of history this is: other words after a promotion or in another cluster. "" = one file, one
     * line. */
    struct str (*line)(void *db);
};

struct sql_opened {
    const struct sql_ops *ops;
    void *db;
};
enum err sql_sqlite_open(const char *path, const char *vfs, int32_t application_id,
                         const struct sql_migration *migrations, uint32_t migration_count,
                         struct sql_opened *out, struct diag *d) MUST_USE;
/* `url`: a connection string of libpq, with one host or several. `partitions`: of each table when it is made,
 * 0 = none. */
enum err sql_postgres_open(const char *url, uint32_t partitions, const struct sql_migration *migrations,
                           uint32_t migration_count, struct sql_opened *out, struct diag *d) MUST_USE;

#endif
