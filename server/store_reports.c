/* The store's part of reports.h: reports by number, those that wait, and how many came from one sender. A
 * settled report keeps nothing but its number, its time and its sender.
 */
#include "server/store_reports.h"

#include "server/store_impl.h"

enum err cstore_report_put(struct cstore *s, const struct report_row *r, bool settled, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = statement(
        s,
        "INSERT INTO report (county, n, at_ms, settled, code, name, place, phone, body, sender)"
        " SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM report WHERE county = ?1",
        &q, d);
    if (rc)
        return rc;
    const struct str texts[] = {r->code, r->name, r->place, r->phone, r->text, r->from};
    bind_i64(q, 2, r->at_ms);
    bind_i64(q, 3, settled);
    for (int i = 0; i < 6; i++)
        bind_text(q, 4 + i, none_as_empty(texts[i]));
    return stmt_run(q, d);
}

static enum err count_read(struct stmt *q, uint32_t *out, struct diag *d)
{
    bool row = false;
    enum err rc = stmt_step(q, &row, d);
    if (!rc && row)
        *out = (uint32_t)col_i64(q, 0);
    stmt_done(q);
    return rc;
}

enum err cstore_report_counts(struct cstore *s, struct str from, int64_t since_ms, uint32_t *from_out,
                              uint32_t *waiting_out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s, "SELECT count(*) FROM report WHERE county = ?1 AND sender = ?2 AND at_ms > ?3",
                            &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, none_as_empty(from));
    bind_i64(q, 3, since_ms);
    rc = count_read(q, from_out, d);
    if (!rc)
        rc = statement(s, "SELECT count(*) FROM report WHERE county = ?1 AND settled = 0", &q, d);
    return rc ? rc : count_read(q, waiting_out, d);
}

enum err cstore_reports(struct cstore *s, struct arena *a, uint64_t after, uint32_t limit,
                        struct report_row **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    VEC(struct report_row) list = {0};
    enum err rc =
        statement(s,
                  "SELECT n, at_ms, code, name, place, phone, body, sender FROM report WHERE county = ?1"
                  " AND settled = 0 AND n > ?2 ORDER BY n LIMIT ?3",
                  &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, after);
    bind_i64(q, 3, limit);
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct report_row *r = vec_push(a, &list);
        if (!r || keep(a, col_text(q, 2), &r->code) || keep(a, col_text(q, 3), &r->name) ||
            keep(a, col_text(q, 4), &r->place) || keep(a, col_text(q, 5), &r->phone) ||
            keep(a, col_text(q, 6), &r->text) || keep(a, col_text(q, 7), &r->from)) {
            rc = no_memory(d);
            break;
        }
        r->n = col_u64(q, 0);
        r->at_ms = col_i64(q, 1);
    }
    stmt_done(q);
    *out = list.at;
    *count_out = list.count;
    return rc;
}

enum err cstore_report_settle(struct cstore *s, uint64_t n, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    /* Who sent it is needed no more, and neither are the words: the lead has them. */
    enum err rc = statement(s,
                            "UPDATE report SET settled = 1, name = '', phone = '', place = '', body = ''"
                            " WHERE county = ?1 AND n = ?2",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, n);
    return stmt_run(q, d);
}
