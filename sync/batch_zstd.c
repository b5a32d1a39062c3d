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

/* Without a tag of ours the library would take any bytes for a dictionary of raw content. */
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

#define DICT_LEVEL 19

enum err zstd_train(struct str all, const size_t *sizes, uint32_t count, size_t size_max, struct buf *dict_out,
                    struct diag *d)
{
    struct buf dict;
    buf_init(&dict, size_max);
    char *p = room(&dict, size_max);
    ZDICT_fastCover_params_t how = {.d = 8, .steps = 8, .zParams = {.compressionLevel = DICT_LEVEL}};
    size_t n = p ? ZDICT_optimizeTrainFromBuffer_fastCover(p, size_max, all.p, sizes, count, &how) : 0;
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
