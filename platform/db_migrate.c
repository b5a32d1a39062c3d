/* Whose file is it, and of which version: the table schema_migration has one row for every migration that was
 * carried out. Always true: a migration and its row are one transaction; when several processes open a file
 * at once, each migration runs in one of them; what does not belong to us or is newer is left alone.
 */
#include "platform/db_internal.h"

#define VERSION_TABLE "CREATE TABLE IF NOT EXISTS schema_migration (version INTEGER PRIMARY KEY) STRICT"

/* 0 for a file without the table. */
static enum err version_read(struct db *db, int64_t *version_out, struct diag *d)
{
    int64_t there = 0;
    enum err rc = db_query_i64(
        db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migration'", 0,
        &there, d);
    if (rc)
        return rc;
    if (there)
        return db_query_i64(db, "SELECT max(version) FROM schema_migration", 0, version_out, d);
    *version_out = 0;
    return ERR_OK;
}

static int64_t version_known(const struct db_options *o)
{
    return o->migration_count ? o->migrations[o->migration_count - 1].version : 0;
}

enum err db_check_identity(struct db *db, const struct db_options *o, struct diag *d)
{
    int64_t id = 0;
    int64_t tables = 0;
    int64_t version = 0;
    for (uint32_t i = 0; i < o->migration_count; i++)
        CHECK(o->migrations[i].version == (int64_t)i + 1);

    /* One look at all three: another process may be making the file at this moment. */
    enum err rc = db_exec(db, "BEGIN", d);
    if (!rc)
        rc = db_query_i64(db, "PRAGMA application_id", 0, &id, d);
    if (!rc)
        rc = db_query_i64(db, "SELECT count(*) FROM sqlite_schema", 0, &tables, d);
    if (!rc)
        rc = version_read(db, &version, d);
    if (!sqlite3_get_autocommit(db->handle))
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    if (rc)
        return rc;
    if (o->application_id && id != o->application_id && (id || tables))
        return diag_set(d, ERR_EXISTS,
                        "%s belongs to another program (it carries the mark %lld). Choose another file.",
                        db->path, (long long)id);
    if (!o->migration_count)
        return ERR_OK;
    if (version > version_known(o))
        return diag_set(
            d, ERR_VERSION,
            "%s was written by a newer Doorstep (data version %lld; this program knows %lld). Update the "
            "program; the file was not changed.",
            db->path, (long long)version, (long long)version_known(o));
    if (o->read_only && version < version_known(o))
        return diag_set(
            d, ERR_STATE,
            "%s is of an older version (%lld; this program needs %lld) and was opened only for reading. "
            "Start the program that keeps it once, so that it is brought up to date.",
            db->path, (long long)version, (long long)version_known(o));
    return ERR_OK;
}

static enum err version_write(struct db *db, int64_t version, struct diag *d)
{
    struct stmt *s = NULL;
    enum err rc = db_prepare(db, "INSERT INTO schema_migration (version) VALUES (?1)", &s, d);
    if (rc)
        return rc;
    bind_i64(s, 1, version);
    return stmt_run(s, d);
}

static enum err mark_write(struct db *db, int32_t application_id, struct diag *d)
{
    char sql[64];
    int64_t id = 0;
    enum err rc = db_query_i64(db, "PRAGMA application_id", 0, &id, d);
    if (rc || !application_id || id == application_id)
        return rc;
    (void)sqlite3_snprintf((int)sizeof sql, sql, "PRAGMA application_id = %d", (int)application_id);
    return db_exec(db, sql, d);
}

/* Does nothing when another process was faster. */
static enum err migrate_one(struct db *db, const struct migration *m, int32_t application_id, struct diag *d)
{
    struct txn t = {0};
    int64_t version = 0;
    enum err rc = txn_begin(&t, db, d);
    if (rc)
        goto done;
    rc = version_read(db, &version, d);
    if (rc || version >= m->version)
        goto done;
    rc = mark_write(db, application_id, d);
    if (!rc)
        rc = db_exec(db, VERSION_TABLE, d);
    if (!rc)
        rc = db_exec(db, m->sql, d);
    if (!rc)
        rc = version_write(db, m->version, d);
    if (!rc)
        rc = txn_commit(&t, d);

done:
    txn_rollback(&t);
    return rc;
}

enum err db_migrate(struct db *db, const struct db_options *o, struct diag *d)
{
    int64_t version = 0;
    enum err rc = version_read(db, &version, d);
    for (uint32_t i = 0; i < o->migration_count && !rc; i++) {
        struct diag why = {0};
        if (o->migrations[i].version <= version)
            continue;
        rc = migrate_one(db, &o->migrations[i], o->application_id, &why);
        if (rc)
            rc = diag_set(d, rc, "Bringing %s to data version %lld failed and was undone: %s", db->path,
                          (long long)o->migrations[i].version, why.text);
    }
    if (!rc && !o->migration_count)
        rc = mark_write(db, o->application_id, d);
    return rc;
}
