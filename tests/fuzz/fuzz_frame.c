/* Any bytes as frames one after another, as they lie in a reply or on a stick; and any bytes as compressed
 * ones. */
#include <stddef.h>
#include <stdint.h>

#include "sync/batch_zstd.h"
#include "sync/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char seed[32] = {1};
    struct key_pair_x25519 recipient;
    struct key_pair_p256 author;
    struct diag d = {0};
    CHECK(crypto_init(&d) == ERR_OK && x25519_make(seed, &recipient) == ERR_OK &&
          p256_make(seed, &author) == ERR_OK);
    struct str rest = {(const char *)data, size};
    struct buf payload;
    buf_init(&payload, FRAME_RAW_MAX);
    for (int frames = 0; frames < 8; frames++) {
        struct frame f;
        size_t used;
        diag_clear(&d);
        if (frame_parse(rest, &f, &used, &d)) {
            CHECK(d.text[0] != '\0');
            break;
        }
        CHECK(used <= rest.n && f.bytes.n == used && f.raw_size <= FRAME_RAW_MAX);
        enum err verified = frame_verify(&f, author.public, NULL);
        enum err opened = frame_open(&f, &recipient, &payload, NULL);
        CHECK(opened || payload.n == f.raw_size);
        CHECK(verified || !opened); /* what this author signed in the seeds also opens */
        buf_clear(&payload);
        rest = str_sub(rest, used, rest.n - used);
    }
    if (size > 2) {
        size_t raw = (size_t)data[0] << 8 | data[1];
        struct str packed = {(const char *)data + 2, size - 2};
        enum err rc = zstd_restore(packed, raw, &payload, NULL);
        CHECK(payload.n == (rc ? 0 : raw));
    }
    buf_free(&payload);
    return 0;
}
