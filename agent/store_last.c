/* The newest finished interview of a form, as last-saved wants it: its XML, sealed like every answer. */
#include "agent/store_impl.h"

static struct str name_of(struct arena *a, struct str form_id)
{
    struct buf b;
    buf_init(&b, 4096);
    buf_put_z(&b, "last-saved ");
    buf_put_str(&b, form_id);
    struct str name = b.failed ? STR_NONE : arena_str(a, buf_str(&b));
    buf_free(&b);
    return name;
}

enum err store_last_saved_put(struct store *s, struct arena *a, struct str form_id, struct str xml,
                              struct diag *d)
{
    struct stmt *q = NULL;
    struct str name = name_of(a, form_id);
    if (!name.p)
        return diag_set(d, ERR_NOMEM, "no memory to keep the finished interview for the next one");
    enum err rc = db_prepare(s->db,
                             "INSERT INTO meta(name, value) VALUES(?1, ?2) "
                             "ON CONFLICT(name) DO UPDATE SET value = ?2",
                             &q, d);
    if (rc)
        return rc;
    bind_text(q, 1, name);
    bind_blob(q, 2, xml.p, xml.n);
    return stmt_run(q, d);
}

enum err store_last_saved(struct store *s, struct arena *a, struct str form_id, struct buf *out,
                          struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    struct str name = name_of(a, form_id);
    if (!name.p)
        return diag_set(d, ERR_NOMEM, "no memory to read the interview before");
    enum err rc = db_prepare(s->db, "SELECT value FROM meta WHERE name = ?", &q, d);
    if (rc)
        return rc;
    bind_text(q, 1, name);
    rc = stmt_step(q, &row, d);
    if (!rc && row)
        buf_put_str(out, col_blob(q, 0));
    stmt_done(q);
    return rc ? rc : row ? out->failed : ERR_NOT_FOUND;
}

struct str store_public_path(const struct store *s)
{
    return str_of(db_path(s->open));
}
