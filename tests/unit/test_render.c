/* Frames as people read them (sync/render.h): the head alone for whoever carries one, change by change for
 * whoever can open it, a reason where it cannot be read, and a receipt without its token. */
#include "tests/support/unit.h"

#include <stdlib.h>

#include "platform/base/json.h"
#include "sync/render.h"
#include "sync/wire.h"

static struct arena arena;
static struct diag diag;
static struct key_pair_x25519 county;
static struct key_pair_p256 author;

static int setup(void **state)
{
    (void)state;
    const unsigned char seed[32] = {3};
    arena_init(&arena, 8u << 20);
    diag_clear(&diag);
    assert_int_equal(crypto_init(&diag), ERR_OK);
    assert_int_equal(x25519_make(seed, &county), ERR_OK);
    assert_int_equal(p256_make(seed, &author), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static struct str sealed(struct str payload, enum frame_type type, uint16_t schema, struct frame *f)
{
    struct frame_seal how = {.type = type,
                             .device = type == FRAME_UP ? UINT64_C(0x1122334455667788) : 0,
                             .inc = 2,
                             .batch_seq = 9,
                             .schema = schema,
                             .recipient = county.public,
                             .author = &author};
    struct buf b;
    size_t size;
    buf_init(&b, FRAME_SIZE_MAX);
    assert_int_equal(frame_make(&how, payload, &b, &diag), ERR_OK);
    struct str kept = arena_str(&arena, buf_str(&b));
    buf_free(&b);
    assert_int_equal(frame_parse(kept, f, &size, &diag), ERR_OK);
    return kept;
}

static bool number_of(void *self, struct row_id id, uint64_t *out)
{
    (void)self;
    *out = 4711;
    return id.device == 5;
}

static struct str changes(void)
{
    const struct batch_head head = {.device = UINT64_C(0x1122334455667788),
                                    .inc = 2,
                                    .epoch = 1,
                                    .now_ms = INT64_C(1795420800000),
                                    .elapsed_ms = -1};
    const struct batch_rows rows = {.number_of = number_of};
    struct change c[2] = {{.seq = 7,
                           .row = {5, 1, 77},
                           .field = 12,
                           .person = 41,
                           .role = 3,
                           .hlc = INT64_C(1795420800000) << 16,
                           .value = STR("two\nlines \"quoted\"")},
                          {.seq = 8,
                           .row = {UINT64_C(0x1122334455667788), 2, 3},
                           .op = CHANGE_FINALISE,
                           .person = 41,
                           .role = 3,
                           .hlc = INT64_C(1795420800000) << 16,
                           .value = STR("")}};
    struct buf b;
    buf_init(&b, 10000);
    assert_int_equal(batch_write(&head, &rows, c, 2, &b, &diag), ERR_OK);
    struct str kept = arena_str(&arena, buf_str(&b));
    buf_free(&b);
    return kept;
}

static struct str rendered(const struct frame *f, const struct str *opened, enum render_format format)
{
    struct buf b;
    buf_init(&b, 1u << 20);
    assert_int_equal(frame_render(f, opened, NULL, format, &b), ERR_OK);
    struct str kept = arena_str(&arena, buf_str(&b));
    buf_free(&b);
    return kept;
}

static void whoever_carries_a_frame_sees_its_head_only(void **state)
{
    (void)state;
    struct frame f;
    (void)sealed(changes(), FRAME_UP, BATCH_SCHEMA_CHANGES, &f);
    struct str text = rendered(&f, NULL, RENDER_TEXT);
    assert_true(str_find(text, STR("frame: \"changes up\"\n")) >= 0);
    assert_true(str_find(text, STR("author: \"1122334455667788\"\n")) >= 0);
    assert_true(str_find(text, STR("batch: 9\n")) >= 0);
    assert_true(str_find(text, STR("payload:")) < 0);
    assert_true(str_find(text, STR("lines")) < 0);
}

static void what_was_opened_is_shown_change_by_change(void **state)
{
    (void)state;
    struct frame f;
    struct str payload = changes();
    const struct json *all;
    (void)sealed(payload, FRAME_UP, BATCH_SCHEMA_CHANGES, &f);
    struct str text = rendered(&f, &payload, RENDER_TEXT);
    assert_true(str_find(text, STR("row: \"number 4711\"")) >= 0);
    assert_true(str_find(text, STR("value: \"two\\nlines \\\"quoted\\\"\"")) >= 0);
    assert_true(str_find(text, STR("does: \"finalise\"")) >= 0);
    assert_int_equal(json_read(&arena, rendered(&f, &payload, RENDER_JSON), &all, &diag), ERR_OK);
    assert_true(str_eq_z(json_text(all, "author"), "1122334455667788"));
}

/* What cannot be read is no reason to show nothing. */
static void a_payload_that_cannot_be_read_says_why(void **state)
{
    (void)state;
    struct frame f;
    struct str payload = STR("\xff\xff\xff no payload");
    const struct json *all;
    (void)sealed(payload, FRAME_UP, BATCH_SCHEMA_CHANGES, &f);
    assert_true(str_find(rendered(&f, &payload, RENDER_TEXT), STR("not_readable: ")) >= 0);
    assert_int_equal(json_read(&arena, rendered(&f, &payload, RENDER_JSON), &all, &diag), ERR_OK);
}

static void a_receipt_is_shown_without_its_token(void **state)
{
    (void)state;
    const struct receipt_item item = {
        .batch_seq = 9, .batch_id = {1}, .status = RECEIPT_STORED, .server_seq = 70, .reason = STR("")};
    const struct receipt receipt = {.epoch = 1,
                                    .device = 7,
                                    .inc = 2,
                                    .contiguous = 9,
                                    .cursor = 71,
                                    .server_time_ms = INT64_C(1795420800000),
                                    .token = STR("open-sesame"),
                                    .token_until_ms = INT64_C(1795420900000),
                                    .items = &item,
                                    .item_count = 1};
    struct frame f;
    struct buf b;
    const struct json *all;
    buf_init(&b, 10000);
    assert_int_equal(receipt_write(&receipt, &b), ERR_OK);
    struct str payload = arena_str(&arena, buf_str(&b));
    buf_free(&b);
    (void)sealed(payload, FRAME_RECEIPT, BATCH_SCHEMA_RECEIPT, &f);
    struct str json = rendered(&f, &payload, RENDER_JSON);
    assert_true(str_find(json, STR("open-sesame")) < 0);
    assert_true(str_find(json, STR("\"status\":\"stored\"")) >= 0);
    assert_int_equal(json_read(&arena, json, &all, &diag), ERR_OK);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(whoever_carries_a_frame_sees_its_head_only),
        CASE(what_was_opened_is_shown_change_by_change),
        CASE(a_payload_that_cannot_be_read_says_why),
        CASE(a_receipt_is_shown_without_its_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
