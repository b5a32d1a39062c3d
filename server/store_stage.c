/* Drafts in the store (store_stage.h): one of each kind and id; their bytes are objects.
 */
#include "server/store_stage.h"

#include "server/store_impl.h"

enum err cstore_draft_put(struct cstore *s, const struct draft_row *r, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = statement(
        s,
        "INSERT INTO draft (county, kind, id, version, title, hash, media, at_ms, by_name)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (county, kind, id) DO UPDATE SET"
        " version = excluded.version, title = excluded.title, hash = excluded.hash, media = excluded.media,"
        " at_ms = excluded.at_ms, by_name = excluded.by_name",
        &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, r->kind);
    bind_text(q, 3, r->id);
    bind_text(q, 4, none_as_empty(r->version));
    bind_text(q, 5, none_as_empty(r->title));
    bind_blob(q, 6, r->hash, SHA256_SIZE);
    bind_text(q, 7, none_as_empty(r->file_name));
    bind_i64(q, 8, r->at_ms);
    bind_text(q, 9, none_as_empty(r->by));
    return stmt_run(q, d);
}

enum err cstore_drafts(struct cstore *s, struct arena *a, struct draft_row **out, uint32_t *count_out,
                       struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    VEC(struct draft_row) list = {0};
    enum err rc = statement(s,
                            "SELECT kind, id, version, title, hash, media, at_ms, by_name FROM draft"
                            " WHERE county = ?1 ORDER BY kind, id",
                            &q, d);
    if (rc)
        return rc;
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct draft_row *r = vec_push(a, &list);
        if (!r || keep(a, col_text(q, 0), &r->kind) || keep(a, col_text(q, 1), &r->id) ||
            keep(a, col_text(q, 2), &r->version) || keep(a, col_text(q, 3), &r->title) ||
            keep(a, col_text(q, 5), &r->file_name) || keep(a, col_text(q, 7), &r->by)) {
            rc = no_memory(d);
            break;
        }
        if (!col_bytes(q, 4, r->hash, SHA256_SIZE)) {
            rc = damaged(d, "draft");
            break;
        }
        r->at_ms = col_i64(q, 6);
    }
    stmt_done(q);
    *out = list.at;
    *count_out = list.count;
    return rc;
}

enum err cstore_draft_drop(struct cstore *s, struct str kind, struct str id, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = statement(s, "DELETE FROM draft WHERE county = ?1 AND kind = ?2 AND id = ?3", &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, kind);
    bind_text(q, 3, id);
    return stmt_run(q, d);
}
