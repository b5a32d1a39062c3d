/* The store: how far handhelds may have been told of this database's history. What a program says beyond it
 * is written down first, so that a copy of the database that is older than what was said shows it.
 */
#include "server/store_impl.h"

enum err cstore_told(struct cstore *s, uint64_t *seq_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, "SELECT seq FROM told WHERE county = ?1", &q, d);
    if (rc)
        return rc;
    rc = stmt_step(q, &row, d);
    if (!rc)
        *seq_out = row ? col_u64(q, 0) : 0;
    stmt_done(q);
    return rc;
}

enum err cstore_told_put(struct cstore *s, uint64_t seq, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            "INSERT INTO told (county, seq) VALUES (?1, ?2) ON CONFLICT (county) DO UPDATE"
                            " SET seq = excluded.seq WHERE told.seq < excluded.seq",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, seq);
    return stmt_run(q, d);
}
