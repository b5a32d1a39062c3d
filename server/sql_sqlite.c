/* The centre's database as one SQLite file: WAL, synchronous=FULL, STRICT tables. Everything is platform/db;
 * here it is only given the shape of server/sql_ops.h.
 */
#include "platform/base/arena.h"
#include "platform/db.h"
#include "server/sql_ops.h"

#define BUSY_MS_MAX 10000

struct file {
    struct arena memory;
    struct db *db;
    struct txn txn;
};

static void file_close(void *self)
{
    struct file *f = self;
    txn_rollback(&f->txn);
    db_close(f->db);
    struct arena memory = f->memory;
    arena_free(&memory);
}

static enum err file_begin(void *self, struct diag *d)
{
    struct file *f = self;
    return txn_begin(&f->txn, f->db, d);
}

static enum err file_commit(void *self, struct diag *d)
{
    struct file *f = self;
    return txn_commit(&f->txn, d);
}

static void file_rollback(void *self)
{
    struct file *f = self;
    txn_rollback(&f->txn);
}

static enum err file_prepare(void *self, const char *sql, void **q_out, struct diag *d)
{
    struct file *f = self;
    struct stmt *q = NULL;
    enum err rc = db_prepare(f->db, sql, &q, d);
    if (!rc)
        *q_out = q;
    return rc;
}

static void q_bind_null(void *q, int index)
{
    bind_null(q, index);
}

static void q_bind_i64(void *q, int index, int64_t v)
{
    bind_i64(q, index, v);
}

static void q_bind_double(void *q, int index, double v)
{
    bind_double(q, index, v);
}

static void q_bind_text(void *q, int index, struct str v)
{
    bind_text(q, index, v);
}

static void q_bind_blob(void *q, int index, const void *p, size_t n)
{
    bind_blob(q, index, p, n);
}

static enum err q_step(void *q, bool *row_out, struct diag *d)
{
    return stmt_step(q, row_out, d);
}

static enum err q_run(void *q, struct diag *d)
{
    return stmt_run(q, d);
}

static void q_done(void *q)
{
    stmt_done(q);
}

static int64_t q_col_i64(void *q, int column)
{
    return col_i64(q, column);
}

static double q_col_double(void *q, int column)
{
    return col_double(q, column);
}

static bool q_col_null(void *q, int column)
{
    return col_null(q, column);
}

static struct str q_col_text(void *q, int column)
{
    return col_text(q, column);
}

static struct str q_col_blob(void *q, int column)
{
    return col_blob(q, column);
}

static enum err file_check(void *self, struct diag *d)
{
    struct file *f = self;
    return db_check(f->db, d);
}

static enum err file_backup(void *self, const char *path, struct diag *d)
{
    struct file *f = self;
    return db_backup(f->db, path, d);
}

/* A file that was put back is known by its marker (epoch.c). */
static struct str file_line(void *self)
{
    (void)self;
    return STR("");
}

static const struct sql_ops file_ops = {
    .shared = false,
    .close = file_close,
    .begin = file_begin,
    .commit = file_commit,
    .rollback = file_rollback,
    .prepare = file_prepare,
    .bind_null = q_bind_null,
    .bind_i64 = q_bind_i64,
    .bind_double = q_bind_double,
    .bind_text = q_bind_text,
    .bind_blob = q_bind_blob,
    .step = q_step,
    .run = q_run,
    .done = q_done,
    .col_i64 = q_col_i64,
    .col_double = q_col_double,
    .col_null = q_col_null,
    .col_text = q_col_text,
    .col_blob = q_col_blob,
    .check = file_check,
    .backup = file_backup,
    .line = file_line,
};

enum err sql_sqlite_open(const char *path, const char *vfs, int32_t application_id,
                         const struct sql_migration *migrations, uint32_t migration_count,
                         struct sql_opened *out, struct diag *d)
{
    struct arena memory;
    arena_init(&memory, 1u << 16);
    struct migration *steps = ARENA_ARRAY(&memory, struct migration, migration_count);
    struct file *f = ARENA_NEW(&memory, struct file);
    enum err rc = f && steps ? ERR_OK
                             : diag_set(d, ERR_NOMEM, "Out of memory while opening the centre's database.");
    for (uint32_t i = 0; !rc && i < migration_count; i++)
        steps[i] = (struct migration){migrations[i].version, migrations[i].sql};
    const struct db_options o = {
        .path = path,
        .vfs = vfs,
        .migrations = steps,
        .migration_count = migration_count,
        .application_id = application_id,
        .busy_ms_max = BUSY_MS_MAX,
    };
    if (!rc)
        rc = db_open(&o, &f->db, d);
    if (rc) {
        arena_free(&memory);
        return rc;
    }
    f->memory = memory;
    *out = (struct sql_opened){&file_ops, f};
    return ERR_OK;
}
