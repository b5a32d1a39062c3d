/* The store: how far handhelds may have been told of this database's history (what a program says beyond it
 * is written down first, so that a copy of the database that is older than what was said shows it), and how
 * the incarnations of a handheld follow each other.
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

enum err cstore_was_set_back(struct cstore *s, bool *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s,
                            "SELECT count(*) FROM epoch WHERE county = ?1 AND why IN"
                            " ('a backup was put back', 'the database is behind its marker')",
                            &q, d);
    if (rc)
        return rc;
    rc = stmt_step(q, &row, d);
    *out = !rc && row && col_i64(q, 0) > 0;
    stmt_done(q);
    return rc;
}

/* ---- incarnations ---- */

enum err cstore_heir_put(struct cstore *s, const struct heir *h, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc =
        statement(s,
                  "INSERT INTO heir (county, device, inc, from_inc, upto) VALUES (?1, ?2, ?3, ?4, ?5)"
                  " ON CONFLICT (county, device, inc, from_inc) DO UPDATE SET upto = excluded.upto"
                  " WHERE heir.upto < excluded.upto",
                  &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, h->device);
    bind_i64(q, 3, h->inc);
    bind_i64(q, 4, h->from);
    bind_u64(q, 5, h->upto);
    return stmt_run(q, d);
}

enum err cstore_heirs(struct cstore *s, struct arena *a, uint64_t device, uint32_t inc, struct heir **out,
                      uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    VEC(struct heir) list = {0};
    enum err rc = statement(s,
                            "SELECT from_inc, upto FROM heir WHERE county = ?1 AND device = ?2 AND inc = ?3"
                            " ORDER BY from_inc",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_i64(q, 3, inc);
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct heir *h = vec_push(a, &list);
        if (!h) {
            rc = no_memory(d);
            break;
        }
        *h = (struct heir){device, inc, (uint32_t)col_i64(q, 0), col_u64(q, 1)};
    }
    stmt_done(q);
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}

enum err cstore_claim(struct cstore *s, uint64_t device, const struct incarnation_visit *v, uint32_t *inc_out,
                      struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s,
                            "SELECT inc FROM claim WHERE county = ?1 AND device = ?2 AND counter = ?3 AND"
                            " seq = ?4 AND proof = ?5",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_i64(q, 3, v->counter);
    bind_u64(q, 4, v->seq);
    bind_u64(q, 5, v->check);
    rc = stmt_step(q, &row, d);
    if (!rc && row)
        *inc_out = (uint32_t)col_i64(q, 0);
    stmt_done(q);
    return rc ? rc : row ? ERR_OK : ERR_NOT_FOUND;
}

enum err cstore_claim_put(struct cstore *s, uint64_t device, const struct incarnation_visit *v, uint32_t inc,
                          struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            "INSERT INTO claim (county, device, counter, seq, proof, inc)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, device);
    bind_i64(q, 3, v->counter);
    bind_u64(q, 4, v->seq);
    bind_u64(q, 5, v->check);
    bind_i64(q, 6, inc);
    return stmt_run(q, d);
}
