/* A household that the county has erased: what this handheld knew of it goes, drafts and what was not sent
 * yet too. That there was a row of this id stays, so that what still comes down about it finds nothing.
 * Frames that were frozen are sealed to the county; it drops what is in them.
 */
#include "agent/store_impl.h"

#define STAYS(field) ((field) == HOUSEHOLD_AREA || (field) == HOUSEHOLD_STATUS || (field) == HOUSEHOLD_INTO)

static enum err run(struct store *s, const char *sql, int64_t household, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db, sql, &q, d);
    if (rc)
        return rc;
    bind_i64(q, 1, household);
    return stmt_run(q, d);
}

static void trim(struct record *r)
{
    uint32_t n = 0, m = 0;
    for (uint32_t i = 0; i < r->count; i++)
        if (STAYS(r->cells[i].field))
            r->cells[n++] = r->cells[i];
    for (uint32_t i = 0; i < r->mark_count; i++)
        if (STAYS(r->marks[i].field))
            r->marks[m++] = r->marks[i];
    r->count = n;
    r->mark_count = m;
}

enum err household_forget(struct store *s, const struct row *row, struct record *r, struct diag *d)
{
    /* clang-format off */
    static const char *const sql[] = {
        "DELETE FROM file WHERE visit IN (SELECT key FROM row WHERE household = ?1 AND kind = 4)",
        "DELETE FROM bookmark WHERE visit IN (SELECT key FROM row WHERE household = ?1 AND kind = 4)",
        "DELETE FROM paradata WHERE visit IN (SELECT key FROM row WHERE household = ?1 AND kind = 4)",
        "DELETE FROM aside WHERE visit IN (SELECT key FROM row WHERE household = ?1 AND kind = 4)",
        ("DELETE FROM attachment_piece WHERE hash IN (SELECT hash FROM attachment_link WHERE visit IN"
         " (SELECT key FROM row WHERE household = ?1 AND kind = 4)) AND hash NOT IN (SELECT hash FROM"
         " attachment_link WHERE visit NOT IN (SELECT key FROM row WHERE household = ?1 AND kind = 4))"),
        "DELETE FROM attachment_link WHERE visit IN (SELECT key FROM row WHERE household = ?1 AND kind = 4)",
        "DELETE FROM decision WHERE row = ?1 OR row IN (SELECT key FROM row WHERE household = ?1)",
        "DELETE FROM chg WHERE row = ?1 OR row IN (SELECT key FROM row WHERE household = ?1)",
        "DELETE FROM record WHERE key <> ?1 AND key IN (SELECT key FROM row WHERE household = ?1)",
        "UPDATE row SET deleted = 1, visit = 0 WHERE household = ?1 AND key <> ?1",
    };
    /* clang-format on */
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < sizeof sql / sizeof *sql; i++)
        rc = run(s, sql[i], row->key, d);
    trim(r);
    if (!rc)
        rc = db_exec(s->db, "DELETE FROM meta WHERE name LIKE 'last-saved %'", d);
    return rc ? rc : record_save(s, row->key, r, d);
}
