/* Any bytes as a bundle. What comes out of it is written again and read again, and is the same then; whole is
 * only what the writer would have written. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "sync/courier.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory {
    struct str bytes;
    size_t at, step;
};

static enum err memory_read(void *self, char *out, size_t n, size_t *got_out, struct diag *d)
{
    struct memory *m = self;
    (void)d;
    struct str part = str_sub(m->bytes, m->at, n < m->step ? n : m->step);
    if (part.n)
        memcpy(out, part.p, part.n);
    m->at += part.n;
    *got_out = part.n;
    return ERR_OK;
}

static enum err memory_write(void *self, struct str bytes, struct diag *d)
{
    (void)d;
    buf_put_str(self, bytes);
    return ERR_OK;
}

/* Statements are read too: their text is as foreign as the rest. */
static void read_statement(const struct piece *p)
{
    static struct key_pair_p256 centre;
    static const unsigned char seed[32] = {2};
    struct arena a;
    struct certificate c;
    struct done s;
    struct manifest m;
    if (!centre.public[0])
        CHECK(crypto_init(NULL) == ERR_OK && p256_make(seed, &centre) == ERR_OK);
    arena_init(&a, 1u << 20);
    (void)!certificate_read(p->bytes, centre.public, &c, NULL);
    (void)!done_read(&a, p->bytes, centre.public, &s, NULL);
    (void)!manifest_read(&a, p->bytes, &m, NULL);
    arena_free(&a);
}

static uint64_t read_all(struct str bytes, size_t step, struct bundle_writer *w, bool *whole_out)
{
    struct memory m = {.bytes = bytes, .step = step};
    struct bundle_reader r;
    struct piece p;
    uint64_t given = 0;
    bool any = true;
    bundle_reader_init(&r, (struct bundle_source){&m, memory_read});
    for (;;) {
        enum err rc = bundle_read(&r, &p, &any, NULL);
        CHECK(rc == ERR_OK || rc == ERR_LIMIT);
        if (rc || !any)
            break;
        CHECK(p.missing_count <= BUNDLE_PAGE);
        if (p.kind == PIECE_INDEX || p.kind == PIECE_END)
            continue;
        given++;
        if (p.kind == PIECE_CERTIFICATE || p.kind == PIECE_DONE)
            read_statement(&p);
        if (w)
            CHECK(bundle_put(w, &p, NULL) == ERR_OK);
    }
    *whole_out = r.whole;
    bundle_reader_free(&r);
    return given;
}

/* Where something looks like a piece, the right check is put: what stands behind it is looked at as well. */
static void put_checks(char *bytes, size_t n)
{
    for (size_t at = 0; at + 17 <= n; at++) {
        unsigned char digest[SHA256_SIZE];
        if (memcmp(bytes + at, "DSP1", 4) != 0)
            continue;
        struct reader r = reader_of((struct str){bytes + at + 5, 4});
        size_t size = read_u32le(&r);
        if (size > n - at - 17)
            continue;
        const struct str parts[] = {{bytes + at, 9}, {bytes + at + 17, size}};
        CHECK(sha256_parts(parts, 2, digest) == ERR_OK);
        memcpy(bytes + at + 9, digest, BUNDLE_CHECK_SIZE);
        at += 16 + size;
    }
}

static void read_and_write(struct str bytes)
{
    struct bundle_writer w;
    struct buf again;
    bool whole, whole_again;

    buf_init(&again, 64u << 20);
    CHECK(bundle_begin(&w, (struct bundle_sink){&again, memory_write}, NULL) == ERR_OK);
    uint64_t given = read_all(bytes, bytes.n % 13 + 1, &w, &whole);
    CHECK(bundle_end(&w, NULL) == ERR_OK);
    bundle_writer_free(&w);
    CHECK(read_all(buf_str(&again), 65536, NULL, &whole_again) == given && whole_again);
    buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_and_write((struct str){(const char *)data, size});
    char *copy = malloc(size + 1);
    CHECK(copy);
    memcpy(copy, data, size);
    put_checks(copy, size);
    read_and_write((struct str){copy, size});
    free(copy);
    return 0;
}
