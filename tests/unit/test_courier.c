/* Bundles: what was put in comes out, from whole, cut, damaged and hostile bytes; and the statements beside
 * the frames. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "sync/courier.h"

static struct key_pair_x25519 county;
static struct key_pair_p256 device, centre, stranger;
static struct diag diag;

static int setup(void **state)
{
    (void)state;
    unsigned char seed[32] = {1};
    assert_int_equal(crypto_init(&diag), ERR_OK);
    assert_int_equal(x25519_make(seed, &county), ERR_OK);
    assert_int_equal(p256_make(seed, &device), ERR_OK);
    seed[0] = 2;
    assert_int_equal(p256_make(seed, &centre), ERR_OK);
    seed[0] = 3;
    assert_int_equal(p256_make(seed, &stranger), ERR_OK);
    return 0;
}

/* ---- a bundle in memory ---- */

struct memory {
    struct str bytes;
    size_t at, step; /* how much one read gives at most */
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
    struct buf *b = self;
    buf_put_str(b, bytes);
    return b->failed ? diag_set(d, b->failed, "full") : ERR_OK;
}

#define FRAMES 6

static struct buf make_frame(uint64_t number)
{
    static const unsigned char seed[32] = {9};
    char payload[64];
    struct frame_seal how = {.type = FRAME_UP,
                             .device = 7,
                             .inc = 1,
                             .batch_seq = number,
                             .schema = 1,
                             .recipient = county.public,
                             .author = &device,
                             .ephemeral_seed = seed};
    struct buf b;
    snprintf(payload, sizeof payload, "frame %llu", (unsigned long long)number);
    buf_init(&b, FRAME_SIZE_MAX);
    assert_int_equal(frame_make(&how, str_of(payload), &b, &diag), ERR_OK);
    return b;
}

static void put_frame(struct bundle_writer *w, uint64_t number)
{
    size_t size;
    struct buf b = make_frame(number);
    struct piece p = {.kind = PIECE_FRAME, .device = 7, .inc = 1, .bytes = buf_str(&b)};
    assert_int_equal(frame_parse(p.bytes, &p.frame, &size, &diag), ERR_OK);
    assert_int_equal(bundle_put(w, &p, &diag), ERR_OK);
    buf_free(&b);
}

#define TWO_PIECES (BUNDLE_OBJECT_PIECE + 5)

/* Certificate, frames 1 to FRAMES, an object, index, end. */
static struct buf make_bundle(size_t object_size)
{
    struct bundle_writer w;
    struct buf out;
    unsigned char hash[SHA256_SIZE];
    static char object[TWO_PIECES];

    buf_init(&out, 8u << 20);
    assert_int_equal(bundle_begin(&w, (struct bundle_sink){&out, memory_write}, &diag), ERR_OK);
    const struct piece c = {.kind = PIECE_CERTIFICATE,
                            .device = 7,
                            .inc = 1,
                            .bytes = STR("doorstep-cert/1 ...")};
    assert_int_equal(bundle_put(&w, &c, &diag), ERR_OK);
    for (uint64_t n = 1; n <= FRAMES; n++)
        put_frame(&w, n);
    memset(object, 'o', object_size);
    assert_int_equal(sha256((struct str){object, object_size}, hash), ERR_OK);
    assert_int_equal(bundle_put_object(&w, hash, (struct str){object, object_size}, &diag), ERR_OK);
    assert_int_equal(bundle_end(&w, &diag), ERR_OK);
    assert_int_equal(w.bytes, out.n);
    bundle_writer_free(&w);
    return out;
}

/* The frames that make_bundle() puts in, each signed and looked at once: what comes out must be these bytes.
 */
static const struct buf *true_frame(uint64_t number)
{
    static struct buf frames[FRAMES + 1];
    assert_in_range(number, 1, FRAMES);
    struct buf *b = &frames[number];
    if (!b->n) {
        struct frame f;
        size_t size;
        *b = make_frame(number);
        assert_int_equal(frame_parse(buf_str(b), &f, &size, &diag), ERR_OK);
        assert_int_equal(frame_verify(&f, device.public, &diag), ERR_OK);
    }
    return b;
}

struct seen {
    uint64_t frames, last_frame, object_bytes, missing, missing_number;
    uint32_t frame_bits;
    bool certificate, whole;
    uint64_t damaged;
    enum err rc;
};

static struct seen read_all(struct str bytes, size_t step)
{
    struct memory m = {.bytes = bytes, .step = step};
    struct bundle_reader r;
    struct piece p;
    struct seen s = {0};
    bool any = true;

    bundle_reader_init(&r, (struct bundle_source){&m, memory_read});
    while (!(s.rc = bundle_read(&r, &p, &any, &diag)) && any) {
        s.certificate = s.certificate || p.kind == PIECE_CERTIFICATE;
        if (p.kind == PIECE_OBJECT)
            s.object_bytes += p.bytes.n;
        if (p.kind == PIECE_INDEX && p.missing_count > 0) {
            s.missing += p.missing_count;
            s.missing_number = p.missing[0].number;
        }
        if (p.kind != PIECE_FRAME)
            continue;
        assert_true(str_eq(p.frame.bytes, buf_str(true_frame(p.frame.batch_seq))));
        s.frames++;
        s.last_frame = p.frame.batch_seq;
        s.frame_bits |= 1u << p.frame.batch_seq;
    }
    s.whole = r.whole;
    s.damaged = r.damaged;
    assert_true(s.rc || r.offset == bytes.n);
    bundle_reader_free(&r);
    return s;
}

static void what_goes_in_comes_out(void **state)
{
    (void)state;
    struct buf b = make_bundle(TWO_PIECES);
    static const size_t steps[] = {1, 7, 4096, 1u << 20};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct seen s = read_all(buf_str(&b), steps[i]);
        assert_int_equal(s.rc, ERR_OK);
        assert_true(s.whole && s.certificate);
        assert_int_equal(s.frames, FRAMES);
        assert_int_equal(s.object_bytes, BUNDLE_OBJECT_PIECE + 5);
        assert_int_equal(s.missing, 0);
        assert_int_equal(s.damaged, 0);
    }
    buf_free(&b);
}

/* Where each frame's piece ends. */
static void frame_ends(struct str bytes, uint64_t ends[static FRAMES + 1])
{
    struct memory m = {.bytes = bytes, .step = 65536};
    struct bundle_reader r;
    struct piece p;
    bool any = true;
    bundle_reader_init(&r, (struct bundle_source){&m, memory_read});
    while (!bundle_read(&r, &p, &any, &diag) && any)
        if (p.kind == PIECE_FRAME)
            ends[p.frame.batch_seq] = r.offset;
    bundle_reader_free(&r);
}

static void a_stick_cut_anywhere_gives_what_is_whole(void **state)
{
    (void)state;
    uint64_t ends[FRAMES + 1] = {0};
    struct buf b = make_bundle(TWO_PIECES);
    frame_ends(buf_str(&b), ends);
    for (size_t n = 0; n < b.n; n += n < ends[FRAMES] + 100 ? 1 : 4 * 997) {
        char *cut = malloc(n ? n : 1); /* of exactly this size: a sanitizer sees a read past the end */
        if (n)
            memcpy(cut, b.p, n);
        struct seen s = read_all((struct str){cut, n}, 65536);
        uint64_t whole = 0;
        while (whole < FRAMES && ends[whole + 1] <= n)
            whole++;
        assert_int_equal(s.rc, ERR_OK);
        assert_int_equal(s.frames, whole);
        assert_false(s.whole);
        free(cut);
    }
    buf_free(&b);
}

static void a_damaged_byte_costs_one_piece_and_is_named(void **state)
{
    (void)state;
    uint64_t ends[FRAMES + 1] = {0};
    struct buf b = make_bundle(300);
    frame_ends(buf_str(&b), ends);
    uint64_t first = ends[1] - (ends[2] - ends[1]); /* they are equally long */
    for (uint64_t at = 0; at < ends[FRAMES]; at++) {
        b.p[at] = (char)(b.p[at] ^ 0x41);
        struct seen s = read_all(buf_str(&b), 65536);
        uint64_t hit = 0; /* 0: head or certificate */
        if (at >= first)
            for (hit = 1; ends[hit] <= at; hit++) {
            }
        assert_false(s.whole);
        assert_int_equal(s.frames, hit ? FRAMES - 1 : FRAMES);
        if (hit) {
            assert_false(s.frame_bits & 1u << hit);
            assert_int_equal(s.missing, 1);
            assert_int_equal(s.missing_number, hit);
        }
        b.p[at] = (char)(b.p[at] ^ 0x41);
    }
    buf_free(&b);
}

static void many_pieces_have_many_indexes(void **state)
{
    (void)state;
    struct bundle_writer w;
    struct buf out;
    buf_init(&out, 8u << 20);
    assert_int_equal(bundle_begin(&w, (struct bundle_sink){&out, memory_write}, &diag), ERR_OK);
    char text[40];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "statement %u", i);
        const struct piece p = {.kind = PIECE_DONE, .device = i, .inc = 1, .bytes = str_of(text)};
        assert_int_equal(bundle_put(&w, &p, &diag), ERR_OK);
    }
    assert_int_equal(bundle_end(&w, &diag), ERR_OK);
    bundle_writer_free(&w);
    assert_int_equal(w.pieces, 1000 + 4 + 1);
    struct seen s = read_all(buf_str(&out), 4096);
    assert_true(s.whole);
    assert_int_equal(s.missing, 0);
    out.p[100] ^= 1;
    s = read_all(buf_str(&out), 4096);
    assert_false(s.whole);
    assert_int_equal(s.missing, 1);
    buf_free(&out);
}

static void what_is_no_bundle_gives_nothing(void **state)
{
    (void)state;
    assert_int_equal(read_all(STR(""), 100).frames, 0);
    assert_int_equal(read_all(STR("DSBUNDLE1"), 100).frames, 0);
    assert_false(read_all(STR("DSBUNDLE1"), 100).whole);
    assert_int_equal(read_all(STR("%PDF-1.7 DSP1DSP1DSP1 and so on DSP"), 3).damaged, 35);
}

/* A million heads that each claim four megabytes. */
static void bytes_made_to_waste_time_are_refused(void **state)
{
    (void)state;
    size_t n = 9u << 20;
    char *bytes = malloc(n);
    memset(bytes, 0, n);
    for (size_t at = 0; at + 17 < n; at += 17) {
        memcpy(bytes + at, "DSP1\x02\x00\x00\x40\x00", 9);
    }
    struct seen s = read_all((struct str){bytes, n}, 65536);
    assert_int_equal(s.rc, ERR_LIMIT);
    assert_int_equal(s.frames, 0);
    diag_clear(&diag);
    free(bytes);
}

/* ---- statements ---- */

static void what_the_centre_has_is_told_and_signed(void **state)
{
    (void)state;
    struct arena a;
    struct buf text;
    struct done read;
    const struct done_item items[] = {{44, {1, 2}}, {46, {3}}};
    const struct done told = {.epoch = 4,
                              .cursor = 900,
                              .ms = 1795442945000,
                              .device = 7,
                              .inc = 1,
                              .contiguous = 41,
                              .items = items,
                              .item_count = 2};
    arena_init(&a, 1u << 20);
    buf_init(&text, 64u << 10);
    assert_int_equal(done_write(&told, &centre, &text), ERR_OK);
    assert_int_equal(done_read(&a, buf_str(&text), centre.public, &read, &diag), ERR_OK);
    assert_int_equal(read.contiguous, 41);
    assert_int_equal(read.cursor, 900);
    assert_int_equal(read.ms, 1795442945000);
    assert_int_equal(read.item_count, 2);

    struct frame f = {.type = FRAME_UP, .device = 7, .inc = 1, .batch_seq = 41};
    assert_true(done_covers(&read, &f));
    f.batch_seq = 44;
    assert_false(done_covers(&read, &f)); /* that number, but another frame */
    memcpy(f.batch_id, items[0].batch_id, BATCH_ID_SIZE);
    assert_true(done_covers(&read, &f));
    f.type = FRAME_OBJECT;
    assert_true(done_covers(&read, &f));
    f.batch_seq = 3; /* parts of attachments are numbered apart */
    memset(f.batch_id, 9, BATCH_ID_SIZE);
    assert_false(done_covers(&read, &f));
    f.type = FRAME_UP;
    assert_true(done_covers(&read, &f));
    f.inc = 2;
    assert_false(done_covers(&read, &f));

    assert_int_equal(done_read(&a, buf_str(&text), stranger.public, &read, &diag), ERR_CORRUPT);
    diag_clear(&diag);
    for (size_t i = 0; i < text.n; i += 3) {
        text.p[i] ^= 1;
        assert_int_not_equal(done_read(&a, buf_str(&text), centre.public, &read, &diag), ERR_OK);
        diag_clear(&diag);
        text.p[i] ^= 1;
    }
    buf_free(&text);
    arena_free(&a);
}

static void a_certificate_counts_only_with_the_centres_signature(void **state)
{
    (void)state;
    unsigned char signature[SIGNATURE_SIZE];
    struct certificate c;
    struct buf text;
    buf_init(&text, 4096);
    buf_put_z(&text, "doorstep-cert/1 1234605616436508552 3 ");
    buf_put_hex(&text, device.public, sizeof device.public);
    buf_put_char(&text, ' ');
    buf_put_hex(&text, county.public, sizeof county.public);
    buf_put_z(&text, " 1795442945000");
    assert_int_equal(p256_sign(&centre, buf_str(&text), signature), ERR_OK);
    buf_put_char(&text, ' ');
    buf_put_hex(&text, signature, sizeof signature);
    assert_int_equal(certificate_read(buf_str(&text), centre.public, &c, &diag), ERR_OK);
    assert_int_equal(c.device, UINT64_C(1234605616436508552));
    assert_int_equal(c.inc, 3);
    assert_memory_equal(c.sign_public, device.public, sizeof c.sign_public);
    assert_int_equal(certificate_read(buf_str(&text), stranger.public, &c, &diag), ERR_CORRUPT);
    diag_clear(&diag);
    assert_int_equal(certificate_read(STR("doorstep-cert/1 7"), centre.public, &c, &diag), ERR_CORRUPT);
    diag_clear(&diag);
    buf_free(&text);
}

static void what_a_handheld_asks_for(void **state)
{
    (void)state;
    static const unsigned char held[2][SHA256_SIZE] = {{1}, {2}};
    const struct manifest m = {.epoch = 4,
                               .cursor = UINT64_C(1) << 40,
                               .unsure_from = 3,
                               .bytes_max = 1000000,
                               .held = held,
                               .held_count = 2};
    struct manifest read;
    struct arena a;
    struct buf b;
    arena_init(&a, 1u << 20);
    buf_init(&b, 1u << 20);
    assert_int_equal(manifest_write(&m, &b), ERR_OK);
    assert_int_equal(manifest_read(&a, buf_str(&b), &read, &diag), ERR_OK);
    assert_int_equal(read.cursor, m.cursor);
    assert_int_equal(read.held_count, 2);
    assert_memory_equal(read.held[1], held[1], SHA256_SIZE);
    for (size_t n = 0; n < b.n; n++) {
        assert_int_equal(manifest_read(&a, str_sub(buf_str(&b), 0, n), &read, &diag), ERR_CORRUPT);
        diag_clear(&diag);
    }
    buf_put_char(&b, 0);
    assert_int_equal(manifest_read(&a, buf_str(&b), &read, &diag), ERR_CORRUPT);
    diag_clear(&diag);
    buf_free(&b);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(a_stick_cut_anywhere_gives_what_is_whole),
        cmocka_unit_test(a_damaged_byte_costs_one_piece_and_is_named),
        cmocka_unit_test(many_pieces_have_many_indexes),
        cmocka_unit_test(what_is_no_bundle_gives_nothing),
        cmocka_unit_test(bytes_made_to_waste_time_are_refused),
        cmocka_unit_test(what_the_centre_has_is_told_and_signed),
        cmocka_unit_test(a_certificate_counts_only_with_the_centres_signature),
        cmocka_unit_test(what_a_handheld_asks_for),
    };
    return cmocka_run_group_tests_name("courier", tests, setup, NULL);
}
