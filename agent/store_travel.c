/* See store_travel.h. */
#include "agent/store_travel.h"

#include "agent/store_impl.h"

static enum err kept_bytes(struct store *s, const unsigned char *hash, uint64_t *n_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = db_prepare(s->open, "SELECT coalesce(max(at + length(bytes)), 0) FROM piece WHERE hash = ?",
                             &q, d);
    if (!rc) {
        bind_blob(q, 1, hash, SHA256_SIZE);
        rc = stmt_step(q, &row, d);
    }
    if (!rc)
        *n_out = row ? (uint64_t)col_i64(q, 0) : 0;
    stmt_done(q);
    return rc;
}

enum err store_object_piece(struct store *s, const unsigned char hash[static SHA256_SIZE], uint64_t at,
                            struct str bytes, struct diag *d)
{
    struct stmt *q = NULL;
    uint64_t have = 0;
    enum err rc = ERR_OK;
    if (at == 0)
        rc = store_object_pieces_drop(s, hash, d);
    if (!rc)
        rc = kept_bytes(s, hash, &have, d);
    if (rc || at != have || bytes.n == 0)
        return rc;
    rc = db_prepare(s->open, "INSERT INTO piece(hash, at, bytes) VALUES(?, ?, ?)", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 1, hash, SHA256_SIZE);
    bind_i64(q, 2, (int64_t)at);
    bind_blob(q, 3, bytes.p, bytes.n);
    return stmt_run(q, d);
}

enum err store_object_begun(struct store *s, const unsigned char hash[static SHA256_SIZE], struct buf *out,
                            struct diag *d)
{
    struct stmt *q = NULL;
    bool row = true;
    size_t before = out->n;
    enum err rc = db_prepare(s->open, "SELECT at, bytes FROM piece WHERE hash = ? ORDER BY at", &q, d);
    if (!rc)
        bind_blob(q, 1, hash, SHA256_SIZE);
    while (!rc && row) {
        rc = stmt_step(q, &row, d);
        if (rc || !row || (uint64_t)col_i64(q, 0) != out->n - before)
            break;
        buf_put_str(out, col_blob(q, 1));
    }
    stmt_done(q);
    return rc ? rc : out->failed ? diag_set(d, out->failed, "no room for the beginning of an object") : rc;
}

enum err store_object_pieces_drop(struct store *s, const unsigned char hash[static SHA256_SIZE],
                                  struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->open, "DELETE FROM piece WHERE hash = ? OR hash IN (SELECT hash FROM object)",
                             &q, d);
    if (rc)
        return rc;
    bind_blob(q, 1, hash, SHA256_SIZE);
    return stmt_run(q, d);
}

enum err store_object_base(struct store *s, const unsigned char hash[static SHA256_SIZE],
                           unsigned char base_out[static SHA256_SIZE], struct buf *bytes_out, struct diag *d)
{
    struct arena a;
    struct published base;
    arena_init(&a, STORE_SCRATCH_MAX);
    enum err rc = store_published_before(s, &a, hash, &base, d);
    if (!rc && base.size > STORE_BASE_MAX)
        rc = ERR_NOT_FOUND;
    if (!rc)
        rc = store_object_get(s, base.hash, bytes_out, d);
    if (!rc)
        memcpy(base_out, base.hash, SHA256_SIZE);
    arena_free(&a);
    return rc;
}

/* ---- TLS ---- */

#define CA_NAME "tls_ca"
#define CA_MAX (256u << 10)

enum err store_ca(struct store *s, struct arena *a, struct str *pem_out, struct diag *d)
{
    enum err rc = meta_get(s, CA_NAME, a, pem_out, d);
    if (!rc && !pem_out->p)
        *pem_out = STR("");
    return rc;
}

enum err store_ca_put(struct store *s, struct str pem, struct diag *d)
{
    struct txn t = {0};
    if (pem.n > CA_MAX || str_find(pem, STR("-----BEGIN CERTIFICATE-----")) < 0)
        return diag_set(d, ERR_USAGE,
                        "the file of the authority holds no certificate: PEM begins with BEGIN CERTIFICATE");
    enum err rc = txn_begin(&t, s->db, d);
    if (!rc)
        rc = meta_put_str(s, CA_NAME, pem, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    return rc;
}
