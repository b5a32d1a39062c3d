/* zstd behind two calls. Always true: the output of restore is at most raw_size bytes, because the library is
 * handed a block of that size and nothing else; a streaming decoder, whose window the input chooses, is never
 * made. */
#include "sync/batch_zstd.h"

#include <zdict.h>
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

static bool load_dict(ZSTD_CCtx *c, struct str dict)
{
    return !dict.n || !ZSTD_isError(ZSTD_CCtx_loadDictionary(c, dict.p, dict.n));
}

static size_t compress(ZSTD_CCtx *c, char *out, size_t out_max, struct str raw, struct str dict)
{
    int level = raw.n <= LEVEL_HIGH_MAX ? LEVEL_HIGH : LEVEL_LOW;
    size_t rc = ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level);
    if (!ZSTD_isError(rc))
        rc = ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
    if (!ZSTD_isError(rc))
        rc = ZSTD_CCtx_setParameter(c, ZSTD_c_dictIDFlag, 0);
    if (!ZSTD_isError(rc) && !load_dict(c, dict))
        return (size_t)-1;
    if (!ZSTD_isError(rc))
        rc = ZSTD_compress2(c, out, out_max, raw.p, raw.n);
    return rc;
}

enum err zstd_shorten(struct str raw, struct str dict, struct buf *out, bool *shorter_out, struct diag *d)
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
    size_t n = compress(c, p, work.n, raw, dict);
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

enum err zstd_restore(struct str packed, struct str dict, size_t raw_size, struct buf *out, struct diag *d)
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
    size_t n = ZSTD_decompress_usingDict(c, p, raw_size, whole.p, whole.n, dict.p, dict.n);
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

enum err zstd_train(struct str all, const size_t *sizes, uint32_t count, size_t size_max,
                    struct buf *dict_out, struct diag *d)
{
    struct buf dict;
    buf_init(&dict, size_max);
    char *p = room(&dict, size_max);
    size_t n = p ? ZDICT_trainFromBuffer(p, size_max, all.p, sizes, count) : 0;
    enum err rc = !p ? ERR_NOMEM : ZDICT_isError(n) ? ERR_LIMIT : ERR_OK;
    if (rc == ERR_LIMIT)
        diag_set(d, rc, "%u payloads of %zu bytes together are too few to learn from (%s).", (unsigned)count,
                 all.n, ZDICT_getErrorName(n));
    if (!rc) {
        buf_put(dict_out, p, n);
        rc = dict_out->failed;
    }
    buf_free(&dict);
    return rc;
}

bool zstd_is_dict(struct str bytes)
{
    return bytes.n > 8 && ZDICT_getDictID(bytes.p, bytes.n) != 0;
}

/* --- patches
 * ----------------------------------------------------------------------------------------------- */

#define WINDOW_LOG_MIN 17
#define WINDOW_LOG_MAX 27

/* The window must reach over the whole of the base. */
static int window_log(size_t n)
{
    int log = WINDOW_LOG_MIN;
    while (log < WINDOW_LOG_MAX && n >> log)
        log++;
    return log;
}

enum err zstd_patch(struct str base, struct str whole, struct buf *patch_out, struct diag *d)
{
    enum err rc = ERR_OK;
    struct buf work;
    size_t bound = ZSTD_compressBound(whole.n);
    buf_init(&work, bound);
    ZSTD_CCtx *c = ZSTD_createCCtx();
    char *p = room(&work, bound);
    if (!c || !p) {
        rc = diag_set(d, ERR_NOMEM, "Not enough memory to compare two objects of %zu and %zu bytes.", base.n,
                      whole.n);
        goto done;
    }
    size_t n = ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel,
                                      whole.n <= LEVEL_HIGH_MAX ? LEVEL_HIGH : LEVEL_LOW);
    if (!ZSTD_isError(n))
        n = ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log(base.n + whole.n));
    if (!ZSTD_isError(n))
        n = ZSTD_CCtx_setParameter(c, ZSTD_c_enableLongDistanceMatching, 1);
    if (!ZSTD_isError(n))
        n = ZSTD_CCtx_refPrefix(c, base.p, base.n);
    if (!ZSTD_isError(n))
        n = ZSTD_compress2(c, p, bound, whole.p, whole.n);
    if (ZSTD_isError(n)) {
        rc = diag_set(d, ERR_NOMEM, "Two objects of %zu and %zu bytes could not be compared (%s).", base.n,
                      whole.n, ZSTD_getErrorName(n));
        goto done;
    }
    buf_put(patch_out, p, n);
    rc = patch_out->failed;
done:
    ZSTD_freeCCtx(c);
    buf_free(&work);
    return rc;
}

enum err zstd_unpatch(struct str base, struct str patch, uint64_t size, struct buf *whole_out, struct diag *d)
{
    enum err rc = ERR_OK;
    size_t at = whole_out->n;
    char *p = size <= SIZE_MAX ? room(whole_out, (size_t)size) : NULL;
    ZSTD_DCtx *c = ZSTD_createDCtx();
    if (!c || !p) {
        rc = diag_set(d, whole_out->failed == ERR_LIMIT ? ERR_LIMIT : ERR_NOMEM,
                      "Not enough room for an object of %llu bytes.", (unsigned long long)size);
        goto done;
    }
    size_t n = ZSTD_DCtx_refPrefix(c, base.p, base.n);
    if (!ZSTD_isError(n))
        n = ZSTD_decompressDCtx(c, p, (size_t)size, patch.p, patch.n);
    if (ZSTD_isError(n) || n != size) {
        whole_out->n = at;
        rc = diag_set(d, ERR_CORRUPT, "The patch does not give the %llu bytes that were told.",
                      (unsigned long long)size);
    }
done:
    ZSTD_freeDCtx(c);
    return rc;
}
