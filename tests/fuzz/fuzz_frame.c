/* Any bytes as frames one after another, as they lie in a reply or on a stick, opened, with a dictionary and
 * shown; and any bytes as compressed ones, and as a dictionary. */
#include <stddef.h>
#include <stdint.h>

#include "sync/batch_zstd.h"
#include "sync/envelope.h"
#include "sync/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every odd number is a dictionary; the bytes are content as it comes. */
static enum err find(void *self, uint16_t id, struct str *bytes_out, struct diag *d)
{
    (void)self;
    (void)d;
    *bytes_out = STR("household of Hetang village, Qinghe town; monitored: unstable; income 1200");
    return id & 1 ? ERR_OK : ERR_NOT_FOUND;
}

static void show(const struct frame *f, const struct buf *payload)
{
    struct str opened = buf_str(payload);
    struct buf out;
    buf_init(&out, 64u << 20);
    enum err text = frame_render(f, &opened, NULL, RENDER_TEXT, &out);
    enum err json = frame_render(f, NULL, NULL, RENDER_JSON, &out);
    CHECK(!json && (!text || text == ERR_LIMIT || text == ERR_NOMEM));
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct frame_dicts dicts = {.find = find};
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
        enum err opened = frame_open_with(&f, &recipient, &dicts, &payload, NULL);
        CHECK(opened || payload.n == f.raw_size);
        CHECK(verified || !opened || f.dict); /* what this author signed in the seeds also opens */
        if (!opened)
            show(&f, &payload);
        buf_clear(&payload);
        rest = str_sub(rest, used, rest.n - used);
    }
    if (size > 2) {
        size_t raw = (size_t)data[0] << 8 | data[1];
        struct str packed = {(const char *)data + 2, size - 2};
        enum err rc = zstd_restore(packed, STR(""), raw, &payload, NULL);
        CHECK(payload.n == (rc ? 0 : raw));
        buf_clear(&payload);
        struct str dict = str_sub(packed, 0, packed.n / 2);
        rc = zstd_restore(str_sub(packed, dict.n, packed.n), dict, raw, &payload, NULL);
        CHECK(payload.n == (rc ? 0 : raw));
    }
    buf_free(&payload);
    return 0;
}
