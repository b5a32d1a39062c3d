/* A range of an object. Always true: what is read into memory here is the range; the whole object is never
 * copied. Whether a hash is right for the bytes is judged where they were put, and by whoever fetches them.
 */
#include "server/store_impl.h"

enum err cstore_object_range(struct cstore *s, struct arena *a, const unsigned char hash[static SHA256_SIZE],
                             uint64_t from, uint64_t count, struct str *bytes_out, uint64_t *size_out,
                             struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    /* No object is as long as 2 GiB, and the function wants plain integers. */
    uint64_t at = from < INT32_MAX ? from + 1 : INT32_MAX, n = count < INT32_MAX ? count : INT32_MAX;
    enum err rc = statement(s,
                            "SELECT size, substr(bytes, CAST(?3 AS INTEGER), CAST(?4 AS INTEGER))"
                            " FROM object WHERE county = ?1 AND hash = ?2",
                            &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, hash, SHA256_SIZE);
    bind_u64(q, 3, at);
    bind_u64(q, 4, n);
    rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = diag_set(d, ERR_NOT_FOUND, "The centre holds no object of this hash.");
    if (!rc)
        *size_out = col_u64(q, 0);
    if (!rc && keep(a, col_blob(q, 1), bytes_out))
        rc = no_memory(d);
    if (!rc && !bytes_out->p)
        *bytes_out = STR("");
    stmt_done(q);
    return rc;
}
