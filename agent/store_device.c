/* See store_device.h. Always true: a frame without receipt, the changes that are in no frame yet, and files
 * that have not arrived outlive the order, and so do the rows they are about: nothing that exists only here
 * is lost to a wrong order.
 */
#include "agent/store_device.h"

#include "agent/store_impl.h"

enum err store_report_told(struct store *s, struct arena *a, struct str *report_out, struct str *version_out,
                           struct diag *d)
{
    enum err rc = meta_get(s, "report", a, report_out, d);
    return rc ? rc : meta_get(s, "report_version", a, version_out, d);
}

enum err store_report_put(struct store *s, struct str report, struct str version, struct diag *d)
{
    enum err rc = meta_put_str(s, "report", report, d);
    return rc ? rc : meta_put_str(s, "report_version", version, d);
}

enum err store_erase_ordered(struct store *s, bool *out, struct diag *d)
{
    struct arena a;
    struct str text = STR_NONE;
    arena_init(&a, 64u << 10);
    enum err rc = meta_get(s, "erase", &a, &text, d);
    if (!rc)
        *out = text.n > 0;
    arena_free(&a);
    return rc;
}

/* Households of what the centre does not have, then everything that is neither theirs nor public. A
 * household's own row names itself; rows about nobody are kept when they themselves wait. */
static const char *const steps[] = {
    "CREATE TEMP TABLE waits(key INTEGER PRIMARY KEY)",
    ("INSERT OR IGNORE INTO waits SELECT row FROM chg WHERE batch = 0 OR batch IN"
     " (SELECT batch FROM outbox WHERE status IN (0, 9))"),
    ("INSERT OR IGNORE INTO waits SELECT visit FROM attachment_link WHERE hash IN"
     " (SELECT hash FROM attachment WHERE delivered_ms = 0)"),
    "INSERT OR IGNORE INTO waits SELECT r.key FROM row r WHERE r.visit > 0 AND r.state = 0",
    "CREATE TEMP TABLE stays(household INTEGER PRIMARY KEY)",
    ("INSERT OR IGNORE INTO stays SELECT CASE WHEN household = 0 THEN key ELSE household END FROM row"
     " WHERE key IN (SELECT key FROM waits)"),
    "CREATE TEMP TABLE goes(key INTEGER PRIMARY KEY)",
    ("INSERT INTO goes SELECT key FROM row WHERE kind <> 8 AND household NOT IN (SELECT household FROM stays)"
     " AND key NOT IN (SELECT household FROM stays) AND key NOT IN (SELECT key FROM waits)"
     " AND interview NOT IN (SELECT household FROM stays)"),
    "DELETE FROM record WHERE key IN (SELECT key FROM goes)",
    "DELETE FROM decision WHERE row IN (SELECT key FROM goes)",
    "DELETE FROM bookmark WHERE visit IN (SELECT key FROM goes)",
    "DELETE FROM paradata WHERE visit IN (SELECT key FROM goes)",
    "DELETE FROM aside WHERE visit IN (SELECT key FROM goes)",
    "DELETE FROM file WHERE visit IN (SELECT key FROM goes)",
    "DELETE FROM attachment_link WHERE visit IN (SELECT key FROM goes)",
    "DELETE FROM attachment_piece WHERE hash NOT IN (SELECT hash FROM attachment_link)",
    "DELETE FROM attachment WHERE hash NOT IN (SELECT hash FROM attachment_link)",
    "DELETE FROM chg WHERE batch > 0 AND row IN (SELECT key FROM goes)",
    "DELETE FROM outbox WHERE status IN (1, 2, 3) AND batch < (SELECT max(batch) FROM outbox)",
    "DELETE FROM row WHERE key IN (SELECT key FROM goes)",
};

static enum err left_count(struct store *s, uint64_t *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = db_prepare(s->db, "SELECT count(*) FROM stays", &q, d);
    if (!rc)
        rc = stmt_step(q, &row, d);
    if (!rc)
        *out = row ? (uint64_t)col_i64(q, 0) : 0;
    stmt_done(q);
    return rc;
}

enum err store_erase(struct store *s, uint64_t *left_out, struct diag *d)
{
    static const char *const after[] = {"DROP TABLE goes", "DROP TABLE stays", "DROP TABLE waits"};
    struct txn t = {0};
    uint64_t left = 0;
    enum err rc = txn_begin(&t, s->db, d);
    for (size_t i = 0; !rc && i < sizeof steps / sizeof *steps; i++)
        rc = db_exec(s->db, steps[i], d);
    if (!rc)
        rc = left_count(s, &left, d);
    for (size_t i = 0; !rc && i < sizeof after / sizeof *after; i++)
        rc = db_exec(s->db, after[i], d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    /* Deleted pages are overwritten (secure_delete), but older ones still lie in the log of writes. */
    if (!rc)
        rc = db_exec(s->db, "PRAGMA wal_checkpoint(TRUNCATE)", d);
    if (!rc)
        *left_out = left;
    return rc;
}
