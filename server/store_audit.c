/* The store: the audit log and its chain of hashes (audit.h). */
#include "server/audit.h"
#include "server/store_impl.h"

#define PAGE 500
#define PAGE_MEMORY_MAX (16u << 20)

static void put_text(struct buf *b, struct str s)
{
    buf_put_uv(b, s.n);
    buf_put_str(b, s);
}

/* Lengths stand before texts, so that no words can move from one column to the next. */
static enum err row_hash(const struct audit_row *r, const unsigned char before[static SHA256_SIZE],
                         unsigned char out[static SHA256_SIZE])
{
    struct buf b;
    buf_init(&b, 8 * CSTORE_TEXT_MAX);
    buf_put_z(&b, "doorstep-audit/1");
    buf_put(&b, before, SHA256_SIZE);
    buf_put_u64le(&b, r->n);
    buf_put_u64le(&b, (uint64_t)r->at_ms);
    buf_put_u32le(&b, r->person);
    put_text(&b, r->who);
    put_text(&b, r->what);
    put_text(&b, r->household);
    put_text(&b, r->about);
    enum err rc = b.failed ? b.failed : sha256(buf_str(&b), out);
    buf_free(&b);
    return rc;
}

static enum err audit_last(struct cstore *s, uint64_t *n_out, unsigned char hash_out[static SHA256_SIZE],
                           struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, "SELECT n, hash FROM audit WHERE county = ?1 ORDER BY n DESC LIMIT 1", &q, d);
    if (rc)
        return rc;
    memset(hash_out, 0, SHA256_SIZE);
    *n_out = 0;
    rc = stmt_step(q, &row, d);
    if (!rc && row) {
        *n_out = col_u64(q, 0);
        if (!col_bytes(q, 1, hash_out, SHA256_SIZE))
            rc = damaged(d, "audit");
    }
    stmt_done(q);
    return rc;
}

enum err cstore_audit_add(struct cstore *s, const struct audit_row *row, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    struct audit_row r = *row;
    unsigned char before[SHA256_SIZE];
    r.who = none_as_empty(str_sub(row->who, 0, CSTORE_TEXT_MAX));
    r.what = none_as_empty(str_sub(row->what, 0, CSTORE_TEXT_MAX));
    r.household = none_as_empty(str_sub(row->household, 0, CSTORE_TEXT_MAX));
    r.about = none_as_empty(str_sub(row->about, 0, CSTORE_TEXT_MAX));
    enum err rc = audit_last(s, &r.n, before, d);
    if (rc)
        return rc;
    r.n++;
    rc = row_hash(&r, before, r.hash);
    if (rc)
        return diag_set(d, rc, "A row of the audit log could not be hashed.");
    rc = statement(s,
                   "INSERT INTO audit (county, n, at_ms, person, who, what, household, about, hash)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                   &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, r.n);
    bind_i64(q, 3, r.at_ms);
    bind_i64(q, 4, r.person);
    bind_text(q, 5, r.who);
    bind_text(q, 6, r.what);
    bind_text(q, 7, r.household);
    bind_text(q, 8, r.about);
    bind_blob(q, 9, r.hash, sizeof r.hash);
    return stmt_run(q, d);
}

enum err cstore_audit(struct cstore *s, int64_t now_ms, struct str who, struct str what, struct str about,
                      struct diag *d)
{
    const struct audit_row row = {.at_ms = now_ms, .who = who, .what = what, .about = about};
    return cstore_audit_add(s, &row, d);
}

enum err cstore_audit_count(struct cstore *s, struct str what, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, "SELECT count(*) FROM audit WHERE county = ?1 AND what = ?2", &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, what);
    rc = stmt_step(q, &row, d);
    if (!rc)
        *count_out = (uint32_t)col_i64(q, 0);
    stmt_done(q);
    return rc;
}

/* ---- reading ---- */

static enum err row_read(struct stmt *q, struct arena *a, struct audit_row *r, struct diag *d)
{
    r->n = col_u64(q, 0);
    r->at_ms = col_i64(q, 1);
    r->person = (uint32_t)col_i64(q, 2);
    if (keep(a, col_text(q, 3), &r->who) || keep(a, col_text(q, 4), &r->what) ||
        keep(a, col_text(q, 5), &r->household) || keep(a, col_text(q, 6), &r->about))
        return no_memory(d);
    return col_bytes(q, 7, r->hash, sizeof r->hash) ? ERR_OK : damaged(d, "audit");
}

#define AUDIT_COLUMNS "SELECT n, at_ms, person, who, what, household, about, hash FROM audit"
#define AUDIT_FILTER                                        \
    " AND (?3 = '' OR who = ?3) AND (?4 = '' OR what = ?4)" \
    " AND (?5 = '' OR household = ?5 OR about = ?5)"

enum err cstore_audit_rows(struct cstore *s, struct arena *a, const struct audit_filter *f,
                           struct audit_row **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    VEC(struct audit_row) list = {0};
    bool row = true;
    enum err rc = statement(s,
                            f->newest_first ? AUDIT_COLUMNS " WHERE county = ?1 AND n < ?2" AUDIT_FILTER
                                                            " ORDER BY n DESC LIMIT ?6"
                                            : AUDIT_COLUMNS " WHERE county = ?1 AND n > ?2" AUDIT_FILTER
                                                            " ORDER BY n LIMIT ?6",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, f->newest_first && !f->after ? (uint64_t)INT64_MAX : f->after);
    bind_text(q, 3, none_as_empty(f->who));
    bind_text(q, 4, none_as_empty(f->what));
    bind_text(q, 5, none_as_empty(f->household));
    bind_i64(q, 6, f->limit);
    while (!rc && !(rc = stmt_step(q, &row, d)) && row) {
        struct audit_row *r = vec_push(a, &list);
        rc = r ? row_read(q, a, r, d) : no_memory(d);
    }
    stmt_done(q);
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}

/* ---- the chain ---- */

static enum err chain_step(struct audit_state *x, const struct audit_row *r, const struct audit_row *head)
{
    unsigned char want[SHA256_SIZE];
    if (x->broken)
        return ERR_OK;
    if (r->n != x->newest + 1) {
        x->broken = x->newest + 1;
        x->missing = true;
        return ERR_OK;
    }
    enum err rc = row_hash(r, x->hash, want);
    if (rc)
        return rc;
    if (memcmp(want, r->hash, sizeof want) != 0) {
        x->broken = r->n;
        return ERR_OK;
    }
    x->head_found = x->head_found ||
                    (head && head->n == r->n && memcmp(head->hash, r->hash, SHA256_SIZE) == 0);
    x->newest = r->n;
    x->newest_ms = r->at_ms;
    memcpy(x->hash, r->hash, SHA256_SIZE);
    return ERR_OK;
}

enum err audit_verify(struct cstore *s, const struct audit_row *head, struct audit_state *out, struct diag *d)
{
    struct audit_state x = {0};
    enum err rc = ERR_OK;
    uint32_t count = PAGE;
    uint64_t after = 0;
    while (!rc && count == PAGE && !x.broken) {
        struct arena a;
        struct audit_row *rows = NULL;
        const struct audit_filter f = {.after = after, .limit = PAGE};
        arena_init(&a, PAGE_MEMORY_MAX);
        rc = cstore_audit_rows(s, &a, &f, &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            rc = chain_step(&x, &rows[i], head);
            x.rows++;
            after = rows[i].n;
        }
        arena_free(&a);
    }
    if (!rc)
        *out = x;
    return rc;
}
