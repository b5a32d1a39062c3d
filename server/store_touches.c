/* The store: what the downlink walks. A device sees what is published, what it made itself, and
 * what lies in the areas below its own. Each of these is a stream in the centre's order with an index of its
 * own, so that a village pays for its own changes and not for the county's; who sees very many areas walks
 * them all.
 *
 * Always true: a touch says who may see its row as the row's record says it now ("*" everybody, "=AREA", ""
 * only its author).
 */
#include <stdlib.h>

#include "server/store_impl.h"

#define AREAS_MAX 64 /* streams to merge; beyond it one walk over everything is cheaper */
#define LAST_CHARACTER "\xF4\x8F\xBF\xBF"
#define SCOPE_TEXT_MAX 1024

static enum err scope_text(const struct record_row *r, struct buf *b)
{
    if (r->kind == ROW_PUBLISHED) {
        buf_put_char(b, '*');
    } else if (r->area.p) {
        buf_put_char(b, '=');
        buf_put_str(b, r->area);
    }
    return b->failed;
}

enum err touches_scope(struct cstore *s, const struct record_row *r, struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    struct buf scope;
    buf_init(&scope, SCOPE_TEXT_MAX);
    enum err rc = scope_text(r, &scope);
    if (!rc)
        rc = statement(
            s,
            "UPDATE touch INDEXED BY touch_row SET scope = ?3 WHERE county = ?1 AND row = ?2 AND scope <> ?3",
            &q, d);
    if (!rc) {
        bind_row(q, 2, r->row, &room);
        bind_text(q, 3, none_as_empty(buf_str(&scope)));
        rc = stmt_run(q, d);
    }
    buf_free(&scope);
    return rc == ERR_LIMIT ? diag_set(d, rc, "An area's code is longer than %d bytes.", SCOPE_TEXT_MAX) : rc;
}

enum err cstore_touch_put(struct cstore *s, const struct touch *t, struct diag *d)
{
    CHECK(s->txn.open && t->from <= t->seq);
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc = statement(s,
                            "INSERT INTO touch (county, seq, row, from_seq, author, scope)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, coalesce((SELECT CASE WHEN r.kind = ?6 THEN '*'"
                            "  WHEN r.area IS NULL THEN '' ELSE '=' || r.area END"
                            "  FROM record r WHERE r.county = ?1 AND r.row = ?3), ''))"
                            " ON CONFLICT (county, seq, row)"
                            " DO UPDATE SET from_seq = CASE WHEN touch.from_seq < excluded.from_seq"
                            " THEN touch.from_seq ELSE excluded.from_seq END",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, t->seq);
    bind_row(q, 3, t->row, &room);
    bind_u64(q, 4, t->from);
    bind_u64(q, 5, t->row.device);
    bind_i64(q, 6, ROW_PUBLISHED);
    struct cached_record *at = cache_find(s, t->row);
    if (at)
        at->touched = true;
    return stmt_run(q, d);
}

enum err cstore_touch_drop(struct cstore *s, const struct touch *t, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc = statement(s, "DELETE FROM touch WHERE county = ?1 AND seq = ?2 AND row = ?3", &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, t->seq);
    bind_row(q, 3, t->row, &room);
    return stmt_run(q, d);
}

/* ---- reading ---- */

struct walk {
    struct cstore *s;
    struct arena *a;
    uint64_t after_seq;
    unsigned char after_row[ROW_ID_SIZE];
    uint32_t limit;
    VEC(struct touch) list;
};

static enum err gather(struct walk *w, struct stmt *q, struct diag *d)
{
    bool row = true;
    enum err rc = ERR_OK;
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct touch *t = vec_push(w->a, &w->list);
        if (!t) {
            rc = no_memory(d);
            break;
        }
        *t = (struct touch){.seq = col_u64(q, 0), .from = col_u64(q, 1), .row = col_row(q, 2)};
    }
    stmt_done(q);
    return rc;
}

enum err cstore_touches_of(struct cstore *s, struct arena *a, struct row_id row, struct touch **out,
                           uint32_t *count_out, struct diag *d)
{
    struct walk w = {.s = s, .a = a};
    struct stmt *q = NULL;
    struct row_bytes room;
    const struct cached_record *known = cache_find(s, row);
    if (known && known->fresh && !known->touched) {
        *out = NULL;
        *count_out = 0;
        return ERR_OK;
    }
    enum err rc =
        statement(s,
                  "SELECT seq, from_seq, row FROM touch INDEXED BY touch_row WHERE county = ?1 AND row = ?2"
                  " ORDER BY seq",
                  &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, row, &room);
    rc = gather(&w, q, d);
    if (!rc) {
        *out = w.list.at;
        *count_out = w.list.count;
    }
    return rc;
}

#define TOUCH_COLUMNS "SELECT seq, from_seq, row FROM touch"
#define TOUCH_PAGE " AND (seq, row) > (?2, ?3) ORDER BY seq, row LIMIT ?4"

static void bind_page(const struct walk *w, struct stmt *q)
{
    bind_u64(q, 2, w->after_seq);
    bind_blob(q, 3, w->after_row, ROW_ID_SIZE);
    bind_i64(q, 4, w->limit);
}

static enum err walk_scope(struct walk *w, struct str scope, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(w->s,
                            TOUCH_COLUMNS
                            " INDEXED BY touch_scope WHERE county = ?1 AND scope = ?5" TOUCH_PAGE,
                            &q, d);
    if (rc)
        return rc;
    bind_page(w, q);
    bind_text(q, 5, scope);
    return gather(w, q, d);
}

static enum err walk_own(struct walk *w, uint64_t device, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(
        w->s,
        TOUCH_COLUMNS " INDEXED BY touch_author WHERE county = ?1 AND author = ?5 AND author <> 0" TOUCH_PAGE,
        &q, d);
    if (rc)
        return rc;
    bind_page(w, q);
    bind_u64(q, 5, device);
    return gather(w, q, d);
}

static enum err walk_all(struct walk *w, uint64_t device, struct str from, struct str to, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(w->s,
                            TOUCH_COLUMNS " WHERE county = ?1 AND (scope = '*' OR author = ?5"
                                          " OR (scope >= ?6 AND scope < ?7))" TOUCH_PAGE,
                            &q, d);
    if (rc)
        return rc;
    bind_page(w, q);
    bind_u64(q, 5, device);
    bind_text(q, 6, from);
    bind_text(q, 7, to);
    return gather(w, q, d);
}

/* Scopes from `from` on, below `to`, of which there are touches: one step in the index for each. */
static enum err scopes(struct walk *w, struct str from, struct str to, struct str *out, uint32_t *count_out,
                       struct diag *d)
{
    struct str last = from;
    bool row = true, at_least = true;
    enum err rc = ERR_OK;
    *count_out = 0;
    while (!rc && row && *count_out <= AREAS_MAX) {
        struct stmt *q = NULL;
        rc = statement(w->s,
                       at_least ? "SELECT scope FROM touch INDEXED BY touch_scope WHERE county = ?1"
                                  " AND scope >= ?2 AND scope < ?3 ORDER BY scope LIMIT 1"
                                : "SELECT scope FROM touch INDEXED BY touch_scope WHERE county = ?1"
                                  " AND scope > ?2 AND scope < ?3 ORDER BY scope LIMIT 1",
                       &q, d);
        if (rc)
            break;
        bind_text(q, 2, last);
        bind_text(q, 3, to);
        rc = stmt_step(q, &row, d);
        if (!rc && row && keep(w->a, col_text(q, 0), &last))
            rc = no_memory(d);
        stmt_done(q);
        if (!rc && row)
            out[(*count_out)++] = last;
        at_least = false;
    }
    return rc;
}

static int by_place(const void *a, const void *b)
{
    const struct touch *x = a, *y = b;
    unsigned char p[ROW_ID_SIZE], q[ROW_ID_SIZE];
    if (x->seq != y->seq)
        return x->seq < y->seq ? -1 : 1;
    row_id_write(x->row, p);
    row_id_write(y->row, q);
    return memcmp(p, q, ROW_ID_SIZE);
}

/* In one order, each once, no more than were asked for. */
static void merge(struct walk *w)
{
    uint32_t n = 0;
    if (w->list.count)
        qsort(w->list.at, w->list.count, sizeof(struct touch), by_place);
    for (uint32_t i = 0; i < w->list.count && n < w->limit; i++)
        if (n == 0 || by_place(&w->list.at[n - 1], &w->list.at[i]) != 0)
            w->list.at[n++] = w->list.at[i];
    w->list.count = n;
}

static enum err walk_streams(struct walk *w, uint64_t device, const struct str *areas, uint32_t count,
                             struct diag *d)
{
    enum err rc = walk_scope(w, STR("*"), d);
    if (!rc)
        rc = walk_own(w, device, d);
    for (uint32_t i = 0; !rc && i < count; i++)
        rc = walk_scope(w, areas[i], d);
    if (!rc)
        merge(w);
    return rc;
}

enum err cstore_touches(struct cstore *s, struct arena *a, uint64_t after_seq, struct row_id after_row,
                        uint64_t device, struct str area, uint32_t limit, struct touch **out,
                        uint32_t *count_out, struct diag *d)
{
    struct walk w = {.s = s, .a = a, .after_seq = after_seq, .limit = limit};
    struct str areas[AREAS_MAX + 1];
    uint32_t count = 0;
    struct buf from, to;
    row_id_write(after_row, w.after_row);
    buf_init(&from, SCOPE_TEXT_MAX);
    buf_init(&to, SCOPE_TEXT_MAX + 4);
    buf_put_char(&from, '=');
    buf_put_str(&from, area);
    buf_put_str(&to, buf_str(&from));
    buf_put_z(&to, LAST_CHARACTER);
    enum err rc = to.failed ? no_memory(d) : scopes(&w, buf_str(&from), buf_str(&to), areas, &count, d);
    if (!rc)
        rc = count > AREAS_MAX ? walk_all(&w, device, buf_str(&from), buf_str(&to), d)
                               : walk_streams(&w, device, areas, count, d);
    buf_free(&from);
    buf_free(&to);
    if (!rc) {
        *out = w.list.at;
        *count_out = w.list.count;
    }
    return rc;
}
