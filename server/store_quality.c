/* The store's part of quality.h: flags by what they are about, and the queue of one state, the worst first.
 */
#include "server/quality.h"
#include "server/store_impl.h"

#define COLUMNS                                                                                        \
    "flag, n, form_id, pack, check_id, severity, visit, code, area, subject, value, text_zh, text_en," \
    " state, reason, by_name, decided_ms, first_ms, last_ms"
#define AREA_MAX 100

enum err cstore_quality_put(struct cstore *s, const struct quality_row *q, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *p = NULL;
    struct row_bytes room;
    enum err rc = statement(
        s,
        "INSERT INTO quality_flag (county, flag, n, form_id, pack, check_id, severity, visit, code, area,"
        " subject, value, text_zh, text_en, state, reason, by_name, decided_ms, first_ms, last_ms)"
        " VALUES (?1, ?2, (SELECT coalesce(max(x.n), 0) + 1 FROM quality_flag x WHERE x.county = ?1),"
        " ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 0, '', '', 0, ?14, ?14)"
        " ON CONFLICT (county, flag) DO UPDATE SET severity = excluded.severity, code = excluded.code,"
        " area = excluded.area, text_zh = excluded.text_zh, text_en = excluded.text_en,"
        " last_ms = excluded.last_ms, state = CASE WHEN quality_flag.state = 3 OR (quality_flag.state = 2"
        " AND quality_flag.value <> excluded.value) THEN 0 ELSE quality_flag.state END,"
        " value = excluded.value",
        &p, d);
    if (rc)
        return rc;
    bind_blob(p, 2, q->flag, sizeof q->flag);
    bind_text(p, 3, none_as_empty(q->form_id));
    bind_text(p, 4, none_as_empty(q->pack));
    bind_text(p, 5, none_as_empty(q->check));
    bind_i64(p, 6, q->severity);
    bind_row(p, 7, q->visit, &room);
    bind_text(p, 8, none_as_empty(q->code));
    bind_text(p, 9, none_as_empty(q->area));
    bind_text(p, 10, none_as_empty(q->subject));
    bind_text(p, 11, none_as_empty(q->value));
    bind_text(p, 12, none_as_empty(q->text_zh));
    bind_text(p, 13, none_as_empty(q->text_en));
    bind_i64(p, 14, q->last_ms);
    return stmt_run(p, d);
}

enum err cstore_quality_over(struct cstore *s, struct str form_id, struct str pack, int64_t run_ms,
                             struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *p = NULL;
    enum err rc = statement(s,
                            "UPDATE quality_flag SET state = 3 WHERE county = ?1 AND form_id = ?2"
                            " AND pack = ?3 AND state IN (0, 1) AND last_ms < ?4",
                            &p, d);
    if (rc)
        return rc;
    bind_text(p, 2, form_id);
    bind_text(p, 3, pack);
    bind_i64(p, 4, run_ms);
    return stmt_run(p, d);
}

static enum err row_read(struct stmt *p, struct arena *a, struct quality_row *out, struct diag *d)
{
    *out = (struct quality_row){.n = col_u64(p, 1),
                                .severity = (enum severity)col_i64(p, 5),
                                .visit = col_row(p, 6),
                                .state = (enum quality_state)col_i64(p, 13),
                                .decided_ms = col_i64(p, 16),
                                .first_ms = col_i64(p, 17),
                                .last_ms = col_i64(p, 18)};
    if (!col_bytes(p, 0, out->flag, sizeof out->flag))
        return damaged(d, "quality_flag");
    const struct {
        int column;
        struct str *to;
    } texts[] = {{2, &out->form_id},  {3, &out->pack},    {4, &out->check},  {7, &out->code},
                 {8, &out->area},     {9, &out->subject}, {10, &out->value}, {11, &out->text_zh},
                 {12, &out->text_en}, {14, &out->reason}, {15, &out->by}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (keep(a, col_text(p, texts[i].column), texts[i].to))
            return no_memory(d);
    return ERR_OK;
}

enum err cstore_quality(struct cstore *s, struct arena *a, uint64_t n, struct quality_row *out,
                        struct diag *d)
{
    struct stmt *p = NULL;
    bool row = false;
    enum err rc = statement(s, "SELECT " COLUMNS " FROM quality_flag WHERE county = ?1 AND n = ?2", &p, d);
    if (rc)
        return rc;
    bind_u64(p, 2, n);
    rc = stmt_step(p, &row, d);
    if (!rc)
        rc = row ? row_read(p, a, out, d) : ERR_NOT_FOUND;
    stmt_done(p);
    return rc;
}

enum err cstore_quality_decide(struct cstore *s, uint64_t n, enum quality_state state, struct str reason,
                               struct str by, int64_t now_ms, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *p = NULL;
    enum err rc = statement(s,
                            "UPDATE quality_flag SET state = ?3, reason = ?4, by_name = ?5, decided_ms = ?6"
                            " WHERE county = ?1 AND n = ?2",
                            &p, d);
    if (rc)
        return rc;
    bind_u64(p, 2, n);
    bind_i64(p, 3, state);
    bind_text(p, 4, none_as_empty(reason));
    bind_text(p, 5, none_as_empty(by));
    bind_i64(p, 6, now_ms);
    return stmt_run(p, d);
}

enum err cstore_quality_list(struct cstore *s, struct arena *a, enum quality_state state, struct str area,
                             const struct quality_row *after, uint32_t limit, struct quality_row **out,
                             uint32_t *count_out, struct diag *d)
{
    struct stmt *p = NULL;
    bool row = false;
    VEC(struct quality_row) list = {0};
    char end[AREA_MAX + 4];
    struct str from = str_sub(none_as_empty(area), 0, AREA_MAX);
    memcpy(end, from.p, from.n);
    memcpy(end + from.n, "\xF4\x8F\xBF\xBF", 4); /* above every character */
    enum err rc = statement(s,
                            "SELECT " COLUMNS " FROM quality_flag WHERE county = ?1 AND state = ?2"
                            " AND area >= ?3 AND area < ?4 AND (severity < ?5 OR (severity = ?5 AND n > ?6))"
                            " ORDER BY severity DESC, n LIMIT ?7",
                            &p, d);
    if (rc)
        return rc;
    bind_i64(p, 2, state);
    bind_text(p, 3, from);
    bind_text(p, 4, (struct str){end, from.n + 4});
    bind_i64(p, 5, after ? (int64_t)after->severity : SEVERITY_RED);
    bind_u64(p, 6, after ? after->n : 0);
    bind_i64(p, 7, limit);
    while (!(rc = stmt_step(p, &row, d)) && row) {
        struct quality_row *slot = vec_push(a, &list);
        rc = slot ? row_read(p, a, slot, d) : no_memory(d);
        if (rc)
            break;
    }
    stmt_done(p);
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}

enum err cstore_quality_counts(struct cstore *s, uint64_t out[static QUALITY_STATES], struct diag *d)
{
    struct stmt *p = NULL;
    bool row = false;
    memset(out, 0, QUALITY_STATES * sizeof *out);
    enum err rc = statement(s, "SELECT state, count(*) FROM quality_flag WHERE county = ?1 GROUP BY state",
                            &p, d);
    while (!rc && !(rc = stmt_step(p, &row, d)) && row) {
        int64_t state = col_i64(p, 0);
        if (state >= 0 && state < QUALITY_STATES)
            out[state] = col_u64(p, 1);
    }
    stmt_done(p);
    return rc;
}
