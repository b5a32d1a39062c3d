/* zstd behind two calls. Always true: the output of restore is at most raw_size bytes, because the library is
 * handed a block of that size and nothing else; a streaming decoder, whose window the input chooses, is never
 * made. */
#include "sync/batch_zstd.h"

#include <zstd.h>

/* Payloads are at most 64 KiB by habit; above this the highest level would need more memory than a handheld
 * has. */
#define LEVEL_HIGH 19
#define LEVEL_HIGH_MAX (256u << 10)
#define LEVEL_LOW 6

static const char magic[4] = {'\x28', '\xb5', '\x2f', '\xfd'};

/* zstd writes where a buf has room: filled with zeros first, cut to what was written after. */
static char *room(struct buf *b, size_t n)
{
    static const char zeros[512];
    size_t at = b->n;
    for (size_t left = n; left;) {
        size_t piece = left < sizeof(zeros) ? left : sizeof(zeros);
        buf_put(b, zeros, piece);
        left -= piece;
    }
    return b->failed || !b->p ? NULL : b->p + at;
}

static size_t compress(ZSTD_CCtx *c, char *out, size_t out_max, struct str raw)
{
    int level = raw.n <= LEVEL_HIGH_MAX ? LEVEL_HIGH : LEVEL_LOW;
    size_t rc = ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level);
    if (!ZSTD_isError(rc))
        rc = ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
    if (!ZSTD_isError(rc))
        rc = ZSTD_compress2(c, out, out_max, raw.p, raw.n);
    return rc;
}

enum err zstd_shorten(struct str raw, struct buf *out, bool *shorter_out, struct diag *d)
{
    enum err rc = ERR_OK;
    struct buf work;
    buf_init(&work, raw.n + sizeof(magic));
    ZSTD_CCtx *c = ZSTD_createCCtx();
    char *p = room(&work, raw.n + sizeof(magic));
    if (!c || !p) {
        rc = diag_set(d, ERR_NOMEM, "Not enough memory to compress %zu bytes.", raw.n);
        goto done;
    }
    /* What does not fit does not pay: the library says so by an error. */
    size_t n = compress(c, p, work.n, raw);
    bool shorter = !ZSTD_isError(n) && n > sizeof(magic) && n - sizeof(magic) < raw.n;
    if (shorter) {
        CHECK(memcmp(p, magic, sizeof(magic)) == 0);
        buf_put(out, p + sizeof(magic), n - sizeof(magic));
        rc = out->failed;
    }
    *shorter_out = shorter;
done:
    ZSTD_freeCCtx(c);
    buf_free(&work);
    return rc;
}

enum err zstd_restore(struct str packed, size_t raw_size, struct buf *out, struct diag *d)
{
    enum err rc = ERR_OK;
    struct buf whole;
    buf_init(&whole, packed.n + sizeof(magic));
    buf_put(&whole, magic, sizeof(magic));
    buf_put_str(&whole, packed);
    size_t at = out->n;
    char *p = room(out, raw_size);
    ZSTD_DCtx *c = ZSTD_createDCtx();
    if (!c || whole.failed || (!p && raw_size)) {
        rc = diag_set(d, out->failed == ERR_LIMIT ? ERR_LIMIT : ERR_NOMEM,
                      "Not enough room to open a payload of %zu bytes.", raw_size);
        goto done;
    }
    size_t n = ZSTD_decompressDCtx(c, p, raw_size, whole.p, whole.n);
    if (ZSTD_isError(n) || n != raw_size) {
        out->n = at;
        rc = diag_set(d, ERR_CORRUPT,
                      "The compressed payload does not give the %zu bytes that its head says.", raw_size);
    }
done:
    ZSTD_freeDCtx(c);
    buf_free(&whole);
    return rc;
}
