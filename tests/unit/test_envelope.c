/* Frames: what is made comes out again, and nothing that was changed on the way does. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "sync/batch_zstd.h"
#include "sync/envelope.h"

static struct key_pair_x25519 county, other;
static struct key_pair_p256 device, stranger;
static struct diag diag;

static int setup(void **state)
{
    (void)state;
    unsigned char seed[32] = {1};
    diag_clear(&diag);
    assert_int_equal(crypto_init(&diag), ERR_OK);
    assert_int_equal(x25519_make(seed, &county), ERR_OK);
    assert_int_equal(p256_make(seed, &device), ERR_OK);
    seed[0] = 2;
    assert_int_equal(x25519_make(seed, &other), ERR_OK);
    assert_int_equal(p256_make(seed, &stranger), ERR_OK);
    return 0;
}

static struct frame_seal how_usual(void)
{
    static const unsigned char seed[32] = {9};
    return (struct frame_seal){.type = FRAME_UP,
                               .device = UINT64_C(0x0102030405060708),
                               .inc = 3,
                               .batch_seq = 77,
                               .prev = {1, 2, 3, 4, 5, 6, 7, 8},
                               .schema = 1,
                               .recipient = county.public,
                               .author = &device,
                               .ephemeral_seed = seed};
}

static struct buf make(struct str payload)
{
    struct frame_seal how = how_usual();
    struct buf b;
    buf_init(&b, FRAME_SIZE_MAX);
    assert_int_equal(frame_make(&how, payload, &b, &diag), ERR_OK);
    return b;
}

/* Everything that a receiver does. */
static enum err receive(struct str bytes, struct buf *payload)
{
    struct frame f;
    size_t size;
    enum err rc = frame_parse(bytes, &f, &size, NULL);
    if (!rc && size != bytes.n)
        rc = ERR_CORRUPT;
    if (!rc)
        rc = frame_verify(&f, device.public, NULL);
    if (!rc)
        rc = frame_open(&f, &county, payload, NULL);
    return rc;
}

static void a_frame_comes_out_as_it_went_in(void **state)
{
    (void)state;
    char text[20000];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * i >> 3);
    static const size_t sizes[] = {0, 1, 15, 16, 17, 300, 20000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buf frame = make((struct str){text, sizes[i]}), payload;
        buf_init(&payload, FRAME_RAW_MAX);
        assert_int_equal(receive(buf_str(&frame), &payload), ERR_OK);
        assert_int_equal(payload.n, sizes[i]);
        if (sizes[i])
            assert_memory_equal(payload.p, text, sizes[i]);
        buf_free(&payload);
        buf_free(&frame);
    }
}

static void the_head_is_laid_out_as_written(void **state)
{
    (void)state;
    struct buf b = make(STR("abc"));
    const unsigned char *p = (const unsigned char *)b.p;
    unsigned char id[KEY_ID_SIZE];
    struct frame f;
    size_t size;
    key_id_of(county.public, id);
    assert_int_equal(b.n, 84 + 3 + 16 + 64);
    assert_memory_equal(p, "DSB1\x01\x01\x01\x00", 8);
    assert_memory_equal(p + 8, "\x08\x07\x06\x05\x04\x03\x02\x01\x03\0\0\0\x4d\0\0\0\0\0\0\0", 20);
    assert_memory_equal(p + 28, id, 4);
    assert_memory_equal(p + 32, "\0\0\x01\0\x03\0\0\0\x13\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08", 20);
    assert_int_equal(frame_parse(buf_str(&b), &f, &size, &diag), ERR_OK);
    assert_int_equal(size, b.n);
    assert_true(f.device == UINT64_C(0x0102030405060708) && f.inc == 3 && f.batch_seq == 77 && f.schema == 1);
    unsigned char hash[SHA256_SIZE];
    assert_int_equal(sha256((struct str){b.p, b.n - 64}, hash), ERR_OK);
    assert_memory_equal(f.batch_id, hash, BATCH_ID_SIZE);
    buf_free(&b);
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    static const char zeros[200];
    const struct str payloads[] = {STR("three fields"), {zeros, sizeof(zeros)}};
    for (int k = 0; k < 2; k++) { /* plain, and compressed */
        struct buf b = make(payloads[k]), payload;
        buf_init(&payload, FRAME_RAW_MAX);
        for (size_t i = 0; i < b.n * 8; i += THINNED(5)) {
            b.p[i / 8] ^= (char)(1 << i % 8);
            assert_int_not_equal(receive(buf_str(&b), &payload), ERR_OK);
            b.p[i / 8] ^= (char)(1 << i % 8);
        }
        assert_int_equal(payload.n, 0);
        assert_int_equal(receive(buf_str(&b), &payload), ERR_OK);
        buf_free(&payload);
        buf_free(&b);
    }
}

/* The seal alone must hold against a thief who signs anew: every bit of the head and the ciphertext. */
static void a_changed_frame_signed_anew_does_not_open(void **state)
{
    (void)state;
    struct buf b = make(STR("x")), payload, message;
    buf_init(&payload, FRAME_RAW_MAX);
    buf_init(&message, 1000);
    size_t covered = b.n - SIGNATURE_SIZE;
    for (size_t i = 0; i < covered * 8; i += 3 * THINNED(3)) {
        b.p[i / 8] ^= (char)(1 << i % 8);
        struct frame f;
        size_t size;
        buf_clear(&message);
        buf_put_z(&message, "dsb1-sig");
        buf_put(&message, b.p, covered);
        assert_int_equal(p256_sign(&stranger, buf_str(&message), (unsigned char *)b.p + covered), ERR_OK);
        if (frame_parse(buf_str(&b), &f, &size, NULL) == ERR_OK && size == b.n) {
            assert_int_equal(frame_verify(&f, stranger.public, NULL), ERR_OK);
            assert_int_not_equal(frame_verify(&f, device.public, NULL), ERR_OK);
            assert_int_not_equal(frame_open(&f, &county, &payload, NULL), ERR_OK);
        }
        b.p[i / 8] ^= (char)(1 << i % 8);
    }
    buf_free(&message);
    buf_free(&payload);
    buf_free(&b);
}

static void a_cut_frame_says_where_it_breaks_off(void **state)
{
    (void)state;
    struct buf b = make(STR("three fields"));
    struct frame f;
    size_t size;
    for (size_t n = 0; n < b.n; n++) {
        diag_clear(&diag);
        char *exact = malloc(n ? n : 1);
        memcpy(exact, b.p, n);
        assert_int_equal(frame_parse((struct str){exact, n}, &f, &size, &diag), ERR_CORRUPT);
        assert_non_null(strstr(diag.text, "breaks off"));
        free(exact);
    }
    buf_put_z(&b, "and the next frame");
    assert_int_equal(frame_parse(buf_str(&b), &f, &size, &diag), ERR_OK);
    assert_int_equal(size, b.n - 18);
    buf_free(&b);
}

static void claims_are_held_against_the_caps(void **state)
{
    (void)state;
    struct buf b = make(STR("three fields"));
    struct frame f;
    size_t size;
    memcpy(b.p + 36, "\x01\x00\x40\x00", 4); /* 4 MiB + 1 */
    assert_int_equal(frame_parse(buf_str(&b), &f, &size, &diag), ERR_LIMIT);
    diag_clear(&diag);
    memcpy(b.p + 36, "\xff\xff\xff\xff", 4);
    memcpy(b.p + 40, "\xff\xff\xff\xff", 4);
    assert_int_equal(frame_parse(buf_str(&b), &f, &size, &diag), ERR_LIMIT);
    diag_clear(&diag);
    memcpy(b.p + 36, "\x0d\x00\x00\x00", 4); /* one more than was sealed */
    memcpy(b.p + 40, "\x1c\x00\x00\x00", 4);
    assert_int_equal(frame_parse(buf_str(&b), &f, &size, &diag), ERR_CORRUPT);
    buf_free(&b);
    static const struct {
        size_t offset;
        char value;
        enum err expected;
    } odd[] = {{4, 2, ERR_VERSION}, {5, 9, ERR_VERSION},
               {6, 3, ERR_VERSION}, {6, 0, ERR_CORRUPT}, /* changes that are not sealed */
               {7, 4, ERR_VERSION},                      /* padded: reserved */
               {7, 2, ERR_CORRUPT},                      /* a dictionary, and none is named */
               {32, 1, ERR_CORRUPT}};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        b = make(STR("x"));
        b.p[odd[i].offset] = odd[i].value;
        assert_int_equal(frame_parse(buf_str(&b), &f, &size, NULL), odd[i].expected);
        buf_free(&b);
    }
}

static void another_key_is_told_apart_from_damage(void **state)
{
    (void)state;
    struct buf b = make(STR("three fields")), payload;
    struct frame f;
    size_t size;
    buf_init(&payload, 100);
    assert_int_equal(frame_parse(buf_str(&b), &f, &size, &diag), ERR_OK);
    assert_int_equal(frame_open(&f, &other, &payload, &diag), ERR_DENIED);
    diag_clear(&diag);
    assert_int_equal(frame_verify(&f, stranger.public, &diag), ERR_CORRUPT);
    assert_non_null(strstr(diag.text, "signature"));
    buf_free(&payload);
    buf_free(&b);
}

static void compression_is_used_only_when_it_pays(void **state)
{
    (void)state;
    char noise[600];
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
    struct buf plain = make((struct str){noise, sizeof(noise)});
    static const char zeros[600];
    struct buf packed = make((struct str){zeros, sizeof(zeros)});
    assert_int_equal(plain.p[7], 0);
    assert_int_equal(plain.n, 164 + sizeof(noise));
    assert_int_equal(packed.p[7], 1);
    assert_true(packed.n < 164 + 20);
    buf_free(&plain);
    buf_free(&packed);
}

static void a_decompression_bomb_is_bounded(void **state)
{
    (void)state;
    size_t big = 4u << 20;
    char *zeros = calloc(big, 1);
    struct buf packed, out;
    bool shorter;
    buf_init(&packed, big);
    buf_init(&out, big);
    assert_int_equal(zstd_shorten((struct str){zeros, big}, STR(""), &packed, &shorter, &diag), ERR_OK);
    assert_true(shorter && packed.n < 1000);
    assert_int_equal(zstd_restore(buf_str(&packed), STR(""), 100, &out, &diag), ERR_CORRUPT);
    assert_int_equal(out.n, 0);
    diag_clear(&diag);
    assert_int_equal(zstd_restore(buf_str(&packed), STR(""), big - 1, &out, &diag), ERR_CORRUPT);
    diag_clear(&diag);
    assert_int_equal(zstd_restore(buf_str(&packed), STR(""), big, &out, &diag), ERR_OK);
    assert_int_equal(out.n, big);
    struct frame_seal how = how_usual();
    buf_clear(&out);
    char *larger = calloc(big + 1, 1);
    assert_int_equal(frame_make(&how, (struct str){larger, big + 1}, &out, &diag), ERR_LIMIT);
    free(larger);
    free(zeros);
    buf_free(&packed);
    buf_free(&out);
}

/* --- dictionaries
 * ----------------------------------------------------------------------------------------------- */

/* Payloads of one kind: what comes again is not within one of them but between them. */
static struct str sample(char out[static 400], unsigned i)
{
    int n =
        snprintf(out, 400,
                 "household H%04u, Qinghe town, Hetang village, group %u; monitored: unstable; income %u, "
                 "medical expense %u; drinking water: safe; housing: grade B, last looked at 2026-%02u-%02u",
                 i, i % 7, i * 37 % 9000, i * 91 % 700, i % 12 + 1, i % 28 + 1);
    return (struct str){out, (size_t)n};
}

static struct buf trained(void)
{
    char text[400];
    size_t sizes[400];
    struct buf all, dict;
    buf_init(&all, 1u << 20);
    buf_init(&dict, FRAME_DICT_MAX);
    for (unsigned i = 0; i < 400; i++) {
        struct str s = sample(text, i);
        buf_put_str(&all, s);
        sizes[i] = s.n;
    }
    assert_int_equal(zstd_train(buf_str(&all), sizes, 400, 8192, &dict, &diag), ERR_OK);
    buf_free(&all);
    return dict;
}

struct shelf {
    uint16_t id;
    struct str bytes;
};

static enum err take(void *self, uint16_t id, struct str *out, struct diag *d)
{
    const struct shelf *s = self;
    if (s->id != id)
        return diag_set(d, ERR_NOT_FOUND, "not on the shelf");
    *out = s->bytes;
    return ERR_OK;
}

static void a_dictionary_shortens_a_single_record(void **state)
{
    (void)state;
    char text[400];
    struct buf bytes = trained(), frame, payload;
    struct frame_dict dict = {7, buf_str(&bytes)};
    struct shelf shelf = {7, buf_str(&bytes)};
    const struct frame_dicts dicts = {&shelf, take};
    struct frame_seal how = how_usual();
    struct frame f;
    size_t size;
    buf_init(&frame, FRAME_SIZE_MAX);
    buf_init(&payload, FRAME_RAW_MAX);
    assert_true(zstd_is_dict(buf_str(&bytes)));
    struct str record = sample(text, 1234);
    how.dict = &dict;
    assert_int_equal(frame_make(&how, record, &frame, &diag), ERR_OK);
    assert_int_equal(frame_parse(buf_str(&frame), &f, &size, &diag), ERR_OK);
    assert_true(f.flags == (FRAME_ZSTD | FRAME_DICT) && f.dict == 7);
    assert_true(f.cipher.n * 3 < record.n);
    /* The one who has it reads it; who has not, or has another under its number, is told so and loses
     * nothing.
     */
    assert_int_equal(frame_open_with(&f, &county, &dicts, &payload, &diag), ERR_OK);
    assert_true(str_eq(buf_str(&payload), record));
    buf_clear(&payload);
    assert_int_equal(frame_open(&f, &county, &payload, &diag), ERR_STATE);
    diag_clear(&diag);
    shelf.id = 8;
    assert_int_equal(frame_open_with(&f, &county, &dicts, &payload, &diag), ERR_STATE);
    diag_clear(&diag);
    shelf = (struct shelf){7, str_sub(buf_str(&bytes), 0, bytes.n / 2)};
    assert_int_not_equal(frame_open_with(&f, &county, &dicts, &payload, &diag), ERR_OK);
    assert_int_equal(payload.n, 0);
    buf_free(&payload);
    buf_free(&frame);
    buf_free(&bytes);
}

static void a_dictionary_that_does_not_help_is_not_used(void **state)
{
    (void)state;
    char noise[300];
    uint32_t x = 5;
    struct buf bytes = trained(), frame;
    struct frame_dict dict = {7, buf_str(&bytes)};
    struct frame_seal how = how_usual();
    buf_init(&frame, FRAME_SIZE_MAX);
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
    how.dict = &dict;
    assert_int_equal(frame_make(&how, (struct str){noise, sizeof(noise)}, &frame, &diag), ERR_OK);
    assert_int_equal(frame.p[7], 0);
    assert_memory_equal(frame.p + 32, "\0\0", 2);
    buf_free(&frame);
    buf_free(&bytes);
}

static void too_little_to_learn_from_is_said(void **state)
{
    (void)state;
    const size_t sizes[] = {3, 4};
    struct buf dict;
    buf_init(&dict, 4096);
    assert_int_equal(zstd_train(STR("abcdefg"), sizes, 2, 4096, &dict, &diag), ERR_LIMIT);
    assert_int_equal(dict.n, 0);
    assert_false(zstd_is_dict(STR("a text that is no dictionary")));
    buf_free(&dict);
}

/* A receipt without secrets: signed, not sealed, 48 bytes less. */
static void a_receipt_may_be_signed_only(void **state)
{
    (void)state;
    struct frame_seal how = how_usual();
    struct buf b, payload;
    struct frame f;
    size_t size;
    buf_init(&b, FRAME_SIZE_MAX);
    buf_init(&payload, 1000);
    how.type = FRAME_RECEIPT;
    how.recipient = NULL;
    assert_int_equal(frame_make(&how, STR("stored"), &b, &diag), ERR_OK);
    assert_int_equal(b.n, 52 + 6 + 64);
    assert_int_equal(receive(buf_str(&b), &payload), ERR_OK);
    assert_true(str_eq_z(buf_str(&payload), "stored"));
    buf_clear(&payload);
    for (size_t i = 0; i < b.n * 8; i += THINNED(5)) {
        b.p[i / 8] ^= (char)(1 << i % 8);
        assert_int_not_equal(receive(buf_str(&b), &payload), ERR_OK);
        b.p[i / 8] ^= (char)(1 << i % 8);
    }
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(frame_parse(str_sub(buf_str(&b), 0, n), &f, &size, NULL), ERR_CORRUPT);
    buf_free(&payload);
    buf_free(&b);
}

#define CASE(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_frame_comes_out_as_it_went_in),
        CASE(the_head_is_laid_out_as_written),
        CASE(every_flipped_bit_is_noticed),
        CASE(a_changed_frame_signed_anew_does_not_open),
        CASE(a_cut_frame_says_where_it_breaks_off),
        CASE(claims_are_held_against_the_caps),
        CASE(another_key_is_told_apart_from_damage),
        CASE(compression_is_used_only_when_it_pays),
        CASE(a_decompression_bomb_is_bounded),
        CASE(a_dictionary_shortens_a_single_record),
        CASE(a_dictionary_that_does_not_help_is_not_used),
        CASE(too_little_to_learn_from_is_said),
        CASE(a_receipt_may_be_signed_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
