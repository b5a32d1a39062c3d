/* The store's part of erase.h: which rows are erased, tombstones in the ledger, and letting go of what hangs
 * on a visit.
 */
#include "server/store_erase.h"

#include "server/store_impl.h"

static enum err run_row(struct cstore *s, const char *sql, struct row_id id, struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc = statement(s, sql, &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, id, &room);
    return stmt_run(q, d);
}

enum err cstore_gone_any(struct cstore *s, bool *any_out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s, "SELECT 1 FROM gone WHERE county = ?1 LIMIT 1", &q, d);
    if (rc)
        return rc;
    rc = stmt_step(q, any_out, d);
    stmt_done(q);
    return rc;
}

enum err cstore_gone(struct cstore *s, struct row_id row, struct row_id *root_out, struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    bool any = false;
    enum err rc = statement(s, "SELECT root FROM gone WHERE county = ?1 AND row = ?2", &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, row, &room);
    rc = stmt_step(q, &any, d);
    if (!rc && any)
        *root_out = col_row(q, 0);
    stmt_done(q);
    return rc ? rc : any ? ERR_OK : ERR_NOT_FOUND;
}

enum err cstore_gone_put(struct cstore *s, struct row_id row, struct row_id root, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    struct row_bytes room[2];
    enum err rc = statement(s,
                            "INSERT INTO gone (county, row, root) VALUES (?1, ?2, ?3)"
                            " ON CONFLICT (county, row) DO NOTHING",
                            &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, row, &room[0]);
    bind_row(q, 3, root, &room[1]);
    return stmt_run(q, d);
}

enum err cstore_erased_put(struct cstore *s, struct row_id root, int64_t at_ms, struct str by, struct str why,
                           struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc =
        statement(s,
                  "INSERT INTO erased (county, root, at_ms, by_name, why) VALUES (?1, ?2, ?3, ?4, ?5)"
                  " ON CONFLICT (county, root) DO NOTHING",
                  &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, root, &room);
    bind_i64(q, 3, at_ms);
    bind_text(q, 4, none_as_empty(by));
    bind_text(q, 5, none_as_empty(why));
    return stmt_run(q, d);
}

enum err cstore_batch_erase(struct cstore *s, const struct batch_row *b, struct str frame, struct str payload,
                            uint32_t change_count, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            "UPDATE batch SET frame = ?6, payload = ?7, change_count = ?8 WHERE county = ?1"
                            " AND device = ?2 AND inc = ?3 AND bseq = ?4 AND copy = ?5",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, b->device);
    bind_i64(q, 3, b->inc);
    bind_u64(q, 4, b->batch_seq);
    bind_i64(q, 5, b->copy);
    bind_blob(q, 6, frame.p, frame.n);
    bind_blob(q, 7, payload.n ? payload.p : "", payload.n);
    bind_i64(q, 8, change_count);
    return stmt_run(q, d);
}

enum err cstore_own_replace(struct cstore *s, uint64_t seq, struct str payload, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = statement(s, "UPDATE own SET payload = ?3 WHERE county = ?1 AND seq = ?2", &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, seq);
    bind_blob(q, 3, payload.n ? payload.p : "", payload.n);
    return stmt_run(q, d);
}

enum err cstore_row_erase(struct cstore *s, struct row_id row, struct diag *d)
{
    static const char *const sql[] = {
        "DELETE FROM submission WHERE county = ?1 AND visit = ?2",
        "DELETE FROM judged WHERE county = ?1 AND visit = ?2",
        "DELETE FROM attachment_link WHERE county = ?1 AND visit = ?2",
        "DELETE FROM touch WHERE county = ?1 AND row = ?2",
        "DELETE FROM record WHERE county = ?1 AND row = ?2",
    };
    cache_clear(s, true);
    enum err rc = ERR_OK;
    CHECK(s->txn.open);
    for (size_t i = 0; !rc && i < sizeof sql / sizeof sql[0]; i++)
        rc = run_row(s, sql[i], row, d);
    return rc;
}

enum err cstore_traces_drop(struct cstore *s, struct row_id root, struct diag *d)
{
    CHECK(s->txn.open);
    return run_row(s, "DELETE FROM trace WHERE county = ?1 AND root = ?2", root, d);
}

enum err cstore_attachments_unlinked(struct cstore *s, uint64_t *count_out, struct diag *d)
{
    static const char *const sql[] = {
        "DELETE FROM attachment_piece WHERE county = ?1 AND device = 0 AND hash NOT IN"
        " (SELECT hash FROM attachment_link WHERE county = ?1)",
        "DELETE FROM attachment WHERE county = ?1 AND hash NOT IN"
        " (SELECT hash FROM attachment_link WHERE county = ?1)",
    };
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s,
                            "SELECT count(*) FROM attachment WHERE county = ?1 AND hash NOT IN"
                            " (SELECT hash FROM attachment_link WHERE county = ?1)",
                            &q, d);
    if (rc)
        return rc;
    rc = stmt_step(q, &row, d);
    if (!rc && row)
        *count_out = col_u64(q, 0);
    stmt_done(q);
    for (int i = 0; !rc && *count_out && i < 2; i++) {
        rc = statement(s, sql[i], &q, d);
        if (!rc)
            rc = stmt_run(q, d);
    }
    return rc;
}
