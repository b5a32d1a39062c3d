/* What the centre makes of an arriving frame, before it touches its store. */
#include "tests/support/unit.h"

#include "sync/ingest.h"

#define DEVICE UINT64_C(0x1122334455667788)
#define NOW_MS INT64_C(1795442945000)
#define DAY_MS INT64_C(86400000)

static struct arena arena;
static struct diag diag;
static struct key_pair_x25519 county, other;
static struct key_pair_p256 handheld, stranger;

static int setup(void **state)
{
    (void)state;
    unsigned char seed[32] = {1};
    diag_clear(&diag);
    arena_init(&arena, 8u << 20);
    assert_int_equal(crypto_init(&diag), ERR_OK);
    assert_int_equal(x25519_make(seed, &county), ERR_OK);
    assert_int_equal(p256_make(seed, &handheld), ERR_OK);
    seed[0] = 2;
    assert_int_equal(x25519_make(seed, &other), ERR_OK);
    assert_int_equal(p256_make(seed, &stranger), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static bool number_of(void *self, struct row_id id, uint64_t *out)
{
    (void)self;
    *out = id.counter;
    return id.device == 5;
}

static const struct batch_rows numbered = {.number_of = number_of};

struct spoil {
    const struct batch_rows *rows;
    struct str payload; /* p NULL: a good one */
    const struct key_pair_p256 *author;
    const unsigned char *recipient;
    uint64_t batch_seq;
    uint16_t schema;
    enum frame_type type;
};

static struct str frame_with(struct spoil s)
{
    struct batch_head head = {.device = DEVICE,
                              .inc = 1,
                              .epoch = 4,
                              .now_ms = NOW_MS,
                              .anchor_ms = NOW_MS - DAY_MS,
                              .elapsed_ms = DAY_MS};
    struct change changes[2] = {
        {.seq = 1, .row = {5, 1, 9}, .field = 3, .hlc = NOW_MS << 16, .value = STR("4")},
        {.seq = 2, .row = {5, 1, 9}, .field = 4, .hlc = (NOW_MS + 4000 * DAY_MS) << 16, .value = STR("5")}};
    struct buf payload, frame;
    buf_init(&payload, 10000);
    buf_init(&frame, FRAME_SIZE_MAX);
    assert_int_equal(batch_write(&head, s.rows, changes, 2, &payload, &diag), ERR_OK);
    struct frame_seal how = {.type = s.type ? s.type : FRAME_UP,
                             .device = DEVICE,
                             .inc = 1,
                             .batch_seq = s.batch_seq,
                             .prev = {7, 7, 7, 7, 7, 7, 7, 7},
                             .schema = s.schema,
                             .recipient = s.recipient ? s.recipient : county.public,
                             .author = s.author ? s.author : &handheld};
    assert_int_equal(frame_make(&how, s.payload.p ? s.payload : buf_str(&payload), &frame, &diag), ERR_OK);
    struct str kept = arena_str(&arena, buf_str(&frame));
    buf_free(&payload);
    buf_free(&frame);
    return kept;
}

static const struct spoil good = {.batch_seq = 3, .schema = BATCH_SCHEMA_CHANGES};

static struct ingest_author author_known(void)
{
    struct ingest_author a = {.known = true, .prev_known = true, .prev = {7, 7, 7, 7, 7, 7, 7, 7}};
    memcpy(a.sign_public, handheld.public, sizeof(a.sign_public));
    return a;
}

static struct ingest ingest(struct str frame, const struct ingest_author *author)
{
    struct ingest out;
    diag_clear(&diag);
    ingest_frame(&arena, frame, author, &county, NULL, &out, &diag);
    if (out.verdict == INGEST_ACCEPT)
        assert_int_equal(out.cause, ERR_OK);
    else
        assert_true(out.cause != ERR_OK && diag.text[0] != 0);
    return out;
}

static void a_good_frame_is_accepted_with_bounded_clocks(void **state)
{
    (void)state;
    struct ingest_author author = author_known();
    struct ingest in = ingest(frame_with(good), &author);
    assert_int_equal(in.verdict, INGEST_ACCEPT);
    assert_int_equal(in.change_count, 2);
    assert_true(in.head.epoch == 4 && in.head.device == DEVICE && in.head.inc == 1);
    assert_true(in.hlc_effective[0] == in.changes[0].hlc);
    assert_true(in.hlc_effective[1] == (NOW_MS + 180 * DAY_MS)
                                           << 16); /* ten years ahead: bounded by the frame */

    struct ingest again;
    ingest_again(&arena, frame_with(good), in.payload, &author, NULL, &again, &diag);
    assert_int_equal(again.verdict, INGEST_ACCEPT);
    assert_int_equal(again.change_count, 2);
    assert_true(again.hlc_effective[1] == in.hlc_effective[1]);
}

static void what_is_not_authentic_is_refused(void **state)
{
    (void)state;
    struct ingest_author author = author_known(), unknown = {.known = false};
    struct str frame = frame_with(good);
    assert_int_equal(ingest(frame, &unknown).verdict, INGEST_REFUSE);
    assert_int_equal(diag.code, ERR_DENIED);
    struct spoil s = good;
    s.author = &stranger;
    assert_int_equal(ingest(frame_with(s), &author).verdict, INGEST_REFUSE);
    assert_int_equal(diag.code, ERR_CORRUPT);
    s = good;
    s.type = FRAME_RECEIPT;
    assert_int_equal(ingest(frame_with(s), &author).verdict, INGEST_REFUSE);
    for (size_t cut = 0; cut < frame.n; cut += 7)
        assert_int_equal(ingest((struct str){frame.p, cut}, &author).verdict, INGEST_REFUSE);
    char *longer = ARENA_ARRAY(&arena, char, frame.n + 1);
    memcpy(longer, frame.p, frame.n);
    assert_int_equal(ingest((struct str){longer, frame.n + 1}, &author).verdict, INGEST_REFUSE);
}

static void what_is_authentic_but_wrong_is_kept_apart(void **state)
{
    (void)state;
    struct ingest_author author = author_known();
    struct spoil s = good;
    s.payload = STR("no payload at all");
    assert_int_equal(ingest(frame_with(s), &author).verdict, INGEST_QUARANTINE);
    assert_int_equal(diag.code, ERR_CORRUPT);
    s = good;
    s.recipient = other.public;
    assert_int_equal(ingest(frame_with(s), &author).verdict, INGEST_QUARANTINE);
    assert_int_equal(diag.code, ERR_DENIED);
    s = good;
    s.schema = 9;
    struct ingest newer = ingest(frame_with(s), &author);
    assert_int_equal(newer.verdict, INGEST_QUARANTINE);
    assert_int_equal(newer.cause, ERR_VERSION);
    assert_true(newer.payload.n > 0); /* opened while the key lives */
    s = good;
    s.rows = &numbered;
    assert_int_equal(ingest(frame_with(s), &author).verdict, INGEST_QUARANTINE);
    assert_int_equal(diag.code, ERR_STATE);
    s = good;
    s.batch_seq = 0;
    assert_int_equal(ingest(frame_with(s), &author).verdict, INGEST_QUARANTINE);
}

static void a_copied_handheld_is_noticed_by_its_chain(void **state)
{
    (void)state;
    struct ingest_author author = author_known();
    author.prev[0] = 8;
    struct ingest in = ingest(frame_with(good), &author);
    assert_int_equal(in.verdict, INGEST_QUARANTINE);
    assert_int_equal(in.cause, ERR_EXISTS);
    author.prev_known = false; /* frame 2 has not come yet: a stick may be on its way */
    assert_int_equal(ingest(frame_with(good), &author).verdict, INGEST_ACCEPT);
}

static void a_revoked_handheld_s_frames_wait_for_a_person(void **state)
{
    (void)state;
    struct ingest_author author = author_known();
    author.revoked = true;
    struct ingest in = ingest(frame_with(good), &author);
    assert_int_equal(in.verdict, INGEST_QUARANTINE);
    assert_int_equal(in.cause, ERR_DENIED);
    assert_true(in.payload.n > 0);
}

/* It would be stored, and then no downlink could ever pass it. */
static void what_could_not_be_told_to_others_is_kept_apart(void **state)
{
    (void)state;
    struct ingest_author author = author_known();
    struct spoil s = good;
    char *bytes = arena_alloc(&arena, INGEST_RAW_MAX + 1);
    memset(bytes, 0, INGEST_RAW_MAX + 1);
    s.payload = (struct str){bytes, INGEST_RAW_MAX + 1};
    struct ingest in = ingest(frame_with(s), &author);
    assert_true(in.verdict == INGEST_QUARANTINE && in.cause == ERR_LIMIT);
}

static void no_memory_is_nobodys_fault(void **state)
{
    (void)state;
    struct ingest_author author = author_known();
    struct str frame = frame_with(good);
    for (size_t room = 0; room < 3000; room += 16) {
        struct arena small;
        struct ingest out;
        struct diag d = {0};
        arena_init(&small, room);
        ingest_frame(&small, frame, &author, &county, NULL, &out, &d);
        assert_true(out.verdict == INGEST_ACCEPT || (out.verdict == INGEST_REFUSE && out.cause == ERR_NOMEM));
        arena_free(&small);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_good_frame_is_accepted_with_bounded_clocks),   CASE(what_is_not_authentic_is_refused),
        CASE(what_is_authentic_but_wrong_is_kept_apart),      CASE(a_copied_handheld_is_noticed_by_its_chain),
        CASE(a_revoked_handheld_s_frames_wait_for_a_person),  CASE(no_memory_is_nobodys_fault),
        CASE(what_could_not_be_told_to_others_is_kept_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
