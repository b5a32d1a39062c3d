/* The inside of struct db, shared by the files db*.c and nobody else. */
#ifndef DOORSTEP_DB_INTERNAL_H
#define DOORSTEP_DB_INTERNAL_H

#include "platform/db.h"

#include <sqlite3.h>

/* Statements kept prepared per connection. The agent and the centre have some eighty each; one more than this
 * in use at the same moment is a leak of ours. */
#define DB_STATEMENTS_MAX 160

struct stmt {
    struct db *db;
    sqlite3_stmt *handle; /* NULL: a free place */
    uint64_t hash;        /* of the SQL text */
    uint64_t used;        /* the db's clock when last prepared */
    int bind_rc;          /* the first bind that failed, told at the next step */
    bool busy;            /* between db_prepare and stmt_done */
};

struct db {
    struct arena arena; /* holds this struct and its texts */
    sqlite3 *handle;
    const char *path;
    const char *vfs; /* NULL: the default */
    bool keyed;
    unsigned char key[DB_KEY_SIZE]; /* a backup is sealed with it too */
    sqlite3_stmt *page_probe;
    uint64_t clock;
    struct stmt statements[DB_STATEMENTS_MAX];
};

/* The cause behind a code of SQLite, and the sentence: "Cannot <doing> <path>: ...". */
enum err db_fail(struct db *db, int rc, const char *doing, struct diag *d);
/* The first column of the first row, or `otherwise` when there is no row. */
enum err db_query_i64(struct db *db, const char *sql, int64_t otherwise, int64_t *out,
                      struct diag *d) MUST_USE;
/* Gives SQLCipher the key, before anything else is asked of the handle. */
int db_apply_key(sqlite3 *handle, const unsigned char key[static DB_KEY_SIZE]);

/* Refuses another program's file and a newer program's, having written nothing. */
enum err db_check_identity(struct db *db, const struct db_options *o, struct diag *d) MUST_USE;
enum err db_migrate(struct db *db, const struct db_options *o, struct diag *d) MUST_USE;

#endif
