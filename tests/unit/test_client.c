/* A sync run against a small centre that lives in this test and loses, repeats, forges and refuses as it is
 * told. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "sync/client.h"
#include "sync/ingest.h"

#define DEVICE UINT64_C(0x1122334455667788)
#define NOW_MS INT64_C(1795442945000)
#define FRAMES_MAX 8
#define SCRIPT_MAX 40

/* What becomes of one exchange. */
enum fate {
    FINE = 0,
    REQUEST_LOST,
    REPLY_LOST,
    PORTAL_PAGE,
    PORTAL_EMPTY, /* 200 without a byte */
    REDIRECT,
    WRONG_SIGNATURE,
    FLIPPED_BIT,
    REPLY_CUT,
    TOKEN_OVER_SIGNED, /* 401 and a receipt with a fresh token */
    TOKEN_OVER_PLAIN,  /* 403 and nothing signed */
    NOT_READY,
    REFUSED_422,
    OBJECT_DAMAGED,
    OBJECT_MISSING,
    OLD_DOWNLINK,
    OTHERS_RECEIPT,
    REVOKED
};

struct world {
    struct arena arena;
    struct diag diag;
    struct sync_client *client;
    struct key_pair_x25519 county_seal, device_seal;
    struct key_pair_p256 county_sign, device_sign, stranger;
    struct sync_config config;

    /* the handheld */
    struct str outbox[FRAMES_MAX];
    unsigned char ids[FRAMES_MAX][BATCH_ID_SIZE];
    uint32_t frame_count;
    bool receipted[FRAMES_MAX], quarantined[FRAMES_MAX];
    uint64_t cursor, changes_applied;
    char token[64];
    struct str wanted[4];
    bool held[4];
    uint32_t wanted_count, objects_kept;
    int64_t waited_ms;
    uint32_t waits;
    char last_wait[DIAG_TEXT_MAX];
    enum err store_fails;

    /* the centre */
    enum fate script[SCRIPT_MAX];
    uint32_t exchange;
    bool stored[FRAMES_MAX];
    uint32_t stored_times[FRAMES_MAX];
    uint64_t server_cursor, down_from; /* changes exist for (down_from, server_cursor] */
    bool signed_empty, quarantines, tells_caught_up, down_rides_along;
    struct buf reply;
    int status;
    const char *content_type;
    char offset[24], done[4], patch[4], content_range[64]; /* headers of the reply */
    char requests[4096];
};

static void make_outbox(struct world *w, uint32_t n, size_t value_size)
{
    unsigned char prev[8] = {0};
    for (uint32_t i = 0; i < n; i++) {
        struct batch_head head = {
            .device = DEVICE, .inc = 1, .epoch = 4, .now_ms = NOW_MS, .anchor_ms = NOW_MS};
        char *value = ARENA_ARRAY(&w->arena, char, value_size);
        for (size_t k = 0; k < value_size; k++)
            value[k] = (char)('!' + (k * 7919 + i * 31 + k * k % 83) % 90);
        struct change c = {.seq = i + 1,
                           .row = {DEVICE, 1, 1},
                           .field = i + 1,
                           .hlc = NOW_MS << 16,
                           .value = {value, value_size}};
        struct buf payload, frame;
        buf_init(&payload, 1u << 20);
        buf_init(&frame, 1u << 20);
        assert_int_equal(batch_write(&head, NULL, &c, 1, &payload, &w->diag), ERR_OK);
        struct frame_seal how = {.type = FRAME_UP,
                                 .device = DEVICE,
                                 .inc = 1,
                                 .batch_seq = i + 1,
                                 .schema = BATCH_SCHEMA_CHANGES,
                                 .recipient = w->county_seal.public,
                                 .author = &w->device_sign};
        memcpy(how.prev, prev, sizeof(prev));
        assert_int_equal(frame_make(&how, buf_str(&payload), &frame, &w->diag), ERR_OK);
        w->outbox[i] = arena_str(&w->arena, buf_str(&frame));
        struct frame parsed;
        size_t size;
        assert_int_equal(frame_parse(w->outbox[i], &parsed, &size, &w->diag), ERR_OK);
        memcpy(w->ids[i], parsed.batch_id, BATCH_ID_SIZE);
        buf_free(&payload);
        buf_free(&frame);
    }
    w->frame_count = n;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    unsigned char seed[32] = {1};
    arena_init(&w->arena, 64u << 20);
    assert_int_equal(crypto_init(&w->diag), ERR_OK);
    assert_int_equal(x25519_make(seed, &w->county_seal), ERR_OK);
    assert_int_equal(p256_make(seed, &w->county_sign), ERR_OK);
    seed[0] = 2;
    assert_int_equal(x25519_make(seed, &w->device_seal), ERR_OK);
    assert_int_equal(p256_make(seed, &w->device_sign), ERR_OK);
    seed[0] = 3;
    assert_int_equal(p256_make(seed, &w->stranger), ERR_OK);
    buf_init(&w->reply, 8u << 20);
    strcpy(w->token, "first");
    w->config = (struct sync_config){.device = DEVICE,
                                     .inc = 1,
                                     .seal = w->device_seal,
                                     .token = str_of(w->token),
                                     .epoch = 4,
                                     .cursor = 10,
                                     .jitter_seed = 5};
    memcpy(w->config.keys.sign_public, w->county_sign.public, P256_PUBLIC_SIZE);
    w->cursor = w->server_cursor = w->down_from = 10;
    w->signed_empty = true;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    sync_client_close(w->client);
    buf_free(&w->reply);
    arena_free(&w->arena);
    free(w);
    return 0;
}

/* --- the centre
 * --------------------------------------------------------------------------------------------- */

static void seal_to_device(struct world *w, enum frame_type type, uint16_t schema, struct str payload,
                           bool forged)
{
    struct frame_seal how = {.type = type,
                             .inc = 4,
                             .batch_seq = 1,
                             .schema = schema,
                             .recipient = w->device_seal.public,
                             .author = forged ? &w->stranger : &w->county_sign};
    assert_int_equal(frame_make(&how, payload, &w->reply, &w->diag), ERR_OK);
}

static void put_receipt(struct world *w, struct receipt *r, bool forged)
{
    struct buf payload;
    buf_init(&payload, 1u << 20);
    r->epoch = 4;
    r->device = r->device ? r->device : DEVICE;
    r->inc = 1;
    r->cursor = w->server_cursor;
    r->server_time_ms = NOW_MS;
    assert_int_equal(receipt_write(r, &payload), ERR_OK);
    seal_to_device(w, FRAME_RECEIPT, BATCH_SCHEMA_RECEIPT, buf_str(&payload), forged);
    buf_free(&payload);
}

static void put_down(struct world *w, uint64_t from, uint64_t to, bool forged)
{
    struct batch_head head = {.epoch = 4, .now_ms = NOW_MS, .cursor_from = from, .cursor = to};
    struct change changes[64];
    struct down_author authors[64];
    uint32_t n = 0;
    for (uint64_t seq = from + 1; seq <= to; seq++, n++) {
        changes[n] = (struct change){.row = {0, 0, 9}, .field = n + 1, .value = STR("x")};
        authors[n] =
            (struct down_author){.seq = seq, .server_seq = seq, .hlc = NOW_MS << 16, .row_number = 3};
    }
    struct buf payload;
    buf_init(&payload, 1u << 20);
    assert_int_equal(down_write(&head, changes, authors, n, &payload, &w->diag), ERR_OK);
    seal_to_device(w, FRAME_DOWN, BATCH_SCHEMA_DOWN, buf_str(&payload), forged);
    buf_free(&payload);
}

static struct receipt_item item_of(const struct world *w, uint32_t i)
{
    struct receipt_item item = {.batch_seq = i + 1, .status = RECEIPT_STORED, .reason = STR("")};
    if (w->quarantines) {
        item.status = RECEIPT_QUARANTINED;
        item.cause = ERR_STATE;
        item.reason = STR("row numbers differ");
    }
    memcpy(item.batch_id, w->ids[i], BATCH_ID_SIZE);
    return item;
}

static void take_batch(struct world *w, struct str body, enum fate fate)
{
    struct ingest_author author = {.known = true};
    struct ingest in;
    memcpy(author.sign_public, w->device_sign.public, P256_PUBLIC_SIZE);
    ingest_frame(&w->arena, body, &author, &w->county_seal, NULL, &in, &w->diag);
    assert_int_equal(in.verdict, INGEST_ACCEPT);
    uint32_t i = (uint32_t)in.frame.batch_seq - 1;
    w->stored_times[i] += !w->stored[i];
    w->stored[i] = true;
    struct receipt_item item = item_of(w, i);
    struct receipt r = {.items = &item, .item_count = fate == TOKEN_OVER_SIGNED ? 0 : 1, .token = STR("")};
    if (fate == TOKEN_OVER_SIGNED)
        r.token = STR("fresh");
    if (fate == OTHERS_RECEIPT)
        r.device = 77;
    if (fate == REVOKED)
        r.refused = ERR_DENIED;
    if (w->tells_caught_up) {
        w->server_cursor++;
        r.caught_up = true;
        r.cursor_from = w->cursor;
    }
    put_receipt(w, &r, fate == WRONG_SIGNATURE);
    if (w->down_rides_along)
        put_down(w, w->down_from, w->server_cursor, false);
}

static void give_receipts(struct world *w, uint64_t since)
{
    struct receipt_item items[FRAMES_MAX];
    struct receipt r = {.items = items, .token = STR("fresh"), .token_until_ms = NOW_MS};
    for (uint32_t i = 0; i < w->frame_count; i++)
        if (w->stored[i] && i + 1 > since)
            items[r.item_count++] = item_of(w, i);
    put_receipt(w, &r, false);
}

static void give_down(struct world *w, uint64_t cursor, enum fate fate)
{
    if (fate == OLD_DOWNLINK) {
        put_down(w, cursor + 3, cursor + 5, false);
        return;
    }
    if (cursor >= w->server_cursor && !w->signed_empty) {
        w->status = 204;
        w->content_type = "";
        return;
    }
    uint64_t to = cursor + 20 < w->server_cursor ? cursor + 20 : w->server_cursor;
    put_down(w, cursor, to, fate == WRONG_SIGNATURE);
}

static void give_object(struct world *w, const struct step *s, enum fate fate)
{
    unsigned char hash[SHA256_SIZE], want[SHA256_SIZE];
    unsigned from = 0, to = UINT32_MAX - 1;
    assert_true(hex_read(str_sub(s->path, 6, 64), want, sizeof(want)));
    for (uint32_t i = 0; i < w->wanted_count; i++) {
        assert_int_equal(sha256(w->wanted[i], hash), ERR_OK);
        if (memcmp(hash, want, sizeof(hash)) != 0)
            continue;
        w->content_type = "application/octet-stream";
        if (s->range.n) {
            char range[64] = {0};
            memcpy(range, s->range.p, s->range.n);
            assert_int_equal(sscanf(range, "bytes=%u-%u", &from, &to), 2);
            w->status = 206;
        }
        buf_put_str(&w->reply, str_sub(w->wanted[i], from, (size_t)to - from + 1));
        if (fate == OBJECT_DAMAGED)
            w->reply.p[0] ^= 1;
        return;
    }
    fail();
}

static void give_error(struct world *w, int status, const char *type, const char *body)
{
    buf_clear(&w->reply);
    w->status = status;
    w->content_type = type;
    buf_put_z(&w->reply, body);
}

static uint64_t number_behind(struct str path, const char *name)
{
    ptrdiff_t at = str_find(path, str_of(name));
    uint64_t v = 0;
    assert_true(at >= 0);
    for (size_t i = (size_t)at + strlen(name); i < path.n && path.p[i] >= '0' && path.p[i] <= '9'; i++)
        v = v * 10 + (uint64_t)(path.p[i] - '0');
    return v;
}

static void serve(struct world *w, const struct step *s, enum fate fate)
{
    buf_clear(&w->reply);
    w->status = 200;
    w->content_type = "application/vnd.doorstep.frame";
    if (fate == TOKEN_OVER_PLAIN) {
        give_error(w, 403, "application/json", "{\"error\":\"denied\"}");
    } else if (str_starts(s->path, STR("/v1/b"))) {
        take_batch(w, s->body, fate);
    } else if (str_starts(s->path, STR("/v1/a"))) {
        give_receipts(w, number_behind(s->path, "since="));
    } else if (str_starts(s->path, STR("/v1/d")) && fate == TOKEN_OVER_SIGNED) {
        struct receipt r = {.token = STR("fresh"), .token_until_ms = NOW_MS};
        put_receipt(w, &r, false);
    } else if (str_starts(s->path, STR("/v1/d"))) {
        give_down(w, number_behind(s->path, "c="), fate);
    } else {
        give_object(w, s, fate);
    }
    if (fate == TOKEN_OVER_SIGNED)
        w->status = 401;
    if (fate == FLIPPED_BIT)
        w->reply.p[w->reply.n - 1] ^= 1;
    if (fate == REPLY_CUT)
        w->reply.n -= w->reply.n / 3;
    if (fate == PORTAL_PAGE)
        give_error(w, 200, "text/html; charset=utf-8",
                   "<html><body>Welcome to Hotel WiFi, please log in</body></html>");
    if (fate == PORTAL_EMPTY)
        give_error(w, 200, "", "");
    if (fate == REDIRECT)
        give_error(w, 302, "", "");
    if (fate == NOT_READY)
        give_error(w, 503, "application/json", "{}");
    if (fate == OBJECT_MISSING)
        give_error(w, 404, "application/json", "{}");
}

static void exchange(struct world *w, const struct step *s)
{
    assert_true(w->exchange < SCRIPT_MAX);
    enum fate fate = w->script[w->exchange++];
    strncat(w->requests, s->method, sizeof(w->requests) - strlen(w->requests) - 1);
    strncat(w->requests, " ", sizeof(w->requests) - strlen(w->requests) - 1);
    strncat(w->requests, arena_z(&w->arena, str_sub(s->path, 0, 5)),
            sizeof(w->requests) - strlen(w->requests) - 1);
    strncat(w->requests, "\n", sizeof(w->requests) - strlen(w->requests) - 1);
    if (fate == REQUEST_LOST) {
        sync_feed_failure(w->client, ERR_NET, s->body.n + 100, 0, 900);
        return;
    }
    if (fate == REFUSED_422) {
        sync_feed_reply(w->client, &(struct sync_reply){.status = 422,
                                                        .body = STR("{}"),
                                                        .content_type = STR("application/json"),
                                                        .bytes_up = s->body.n + 100,
                                                        .bytes_down = 100,
                                                        .took_ms = 900});
        return;
    }
    serve(w, s, fate);
    if (fate == REPLY_LOST) {
        sync_feed_failure(w->client, ERR_NET, s->body.n + 100, 0, 900);
        return;
    }
    assert_true(w->reply.n <= s->reply_max);
    sync_feed_reply(w->client, &(struct sync_reply){.status = w->status,
                                                    .body = buf_str(&w->reply),
                                                    .content_type = str_of(w->content_type),
                                                    .offset = str_of(w->offset),
                                                    .done = str_of(w->done),
                                                    .patch = str_of(w->patch),
                                                    .content_range = str_of(w->content_range),
                                                    .bytes_up = s->body.n + 100,
                                                    .bytes_down = w->reply.n + 100,
                                                    .took_ms = 900});
}

/* --- the handheld
 * ------------------------------------------------------------------------------------------- */

static void next_frame(struct world *w, const struct step *s)
{
    for (uint32_t i = 0; i < w->frame_count; i++) {
        bool refused = false;
        for (uint32_t k = 0; k < s->frames_refused_count; k++)
            refused = refused || s->frames_refused[k] == i + 1;
        if (!w->receipted[i] && !refused) {
            sync_feed_frame(w->client, w->outbox[i]);
            return;
        }
    }
    sync_feed_frame(w->client, STR_NONE);
}

static void keep_receipt(struct world *w, const struct step *s)
{
    for (uint32_t k = 0; k < s->receipt.item_count; k++)
        for (uint32_t i = 0; i < w->frame_count; i++)
            if (memcmp(s->receipt.items[k].batch_id, w->ids[i], BATCH_ID_SIZE) == 0) {
                w->receipted[i] = true;
                w->quarantined[i] = s->receipt.items[k].status == RECEIPT_QUARANTINED;
            }
    if (s->receipt.token.n)
        snprintf(w->token, sizeof(w->token), "%.*s", STR_ARG(s->receipt.token));
    assert_true(s->receipt_frame.n > 164);
    w->cursor = s->cursor;
}

static void next_wanted(struct world *w, const struct step *s)
{
    for (uint32_t i = 0; i < w->wanted_count; i++) {
        unsigned char hash[SHA256_SIZE];
        bool refused = false;
        assert_int_equal(sha256(w->wanted[i], hash), ERR_OK);
        for (uint32_t k = 0; k < s->refused_count; k++)
            refused = refused || memcmp(s->refused[k], hash, sizeof(hash)) == 0;
        if (!w->held[i] && !refused) {
            sync_feed_wanted(w->client, &(struct sync_wanted){.hash = hash, .size = w->wanted[i].n});
            return;
        }
    }
    sync_feed_wanted(w->client, NULL);
}

static void keep_object(struct world *w, const struct step *s)
{
    for (uint32_t i = 0; i < w->wanted_count; i++)
        if (str_eq(w->wanted[i], s->object)) {
            assert_false(w->held[i]);
            w->held[i] = true;
            w->objects_kept++;
        }
}

static enum sync_step_kind run(struct world *w)
{
    if (!w->client)
        assert_int_equal(sync_client_open(&w->arena, &w->config, &w->client, &w->diag), ERR_OK);
    for (int steps = 0; steps < 400; steps++) {
        struct step s;
        diag_clear(&w->diag);
        sync_next(w->client, &s, &w->diag);
        switch (s.kind) {
        case STEP_FRAME: next_frame(w, &s); break;
        case STEP_HTTP: exchange(w, &s); break;
        case STEP_WANTED: next_wanted(w, &s); break;
        case STEP_RECEIPT:
            keep_receipt(w, &s);
            sync_feed_done(w->client, w->store_fails);
            break;
        case STEP_DOWN:
            w->changes_applied += s.change_count;
            assert_true(s.cursor >= w->cursor);
            w->cursor = s.cursor;
            sync_feed_done(w->client, ERR_OK);
            break;
        case STEP_PIECE: sync_feed_done(w->client, ERR_OK); break;
        case STEP_PART: sync_feed_frame(w->client, STR_NONE); break;
        case STEP_OBJECT:
            keep_object(w, &s);
            sync_feed_done(w->client, ERR_OK);
            break;
        case STEP_WAIT:
            assert_true(s.wait_ms >= 5000 && s.wait_ms <= 15 * 60 * 1000);
            assert_true(w->diag.text[0] != 0);
            snprintf(w->last_wait, sizeof(w->last_wait), "%s", w->diag.text);
            w->waited_ms += s.wait_ms;
            w->waits++;
            sync_feed_done(w->client, ERR_OK);
            break;
        default: return s.kind;
        }
    }
    fail_msg("the run does not end");
    return STEP_STOPPED;
}

static void all_delivered_once(const struct world *w)
{
    for (uint32_t i = 0; i < w->frame_count; i++) {
        assert_true(w->receipted[i]);
        assert_int_equal(w->stored_times[i], 1);
    }
    assert_int_equal(sync_totals(w->client).frames_receipted, w->frame_count);
}

/* --- in words
 * ----------------------------------------------------------------------------------------------- */

static void a_quiet_run(void **state)
{
    struct world *w = *state;
    assert_int_equal(run(w), STEP_DONE);
    assert_string_equal(w->requests, "GET /v1/d\n");
    assert_int_equal(w->waits, 0);
}

static void frames_then_downlink_then_objects(void **state)
{
    struct world *w = *state;
    make_outbox(w, 3, 20);
    w->server_cursor = 55;
    w->wanted[0] = STR("a form");
    w->wanted_count = 1;
    assert_int_equal(run(w), STEP_DONE);
    all_delivered_once(w);
    assert_int_equal(w->changes_applied, 45);
    assert_true(w->cursor == 55);
    assert_int_equal(w->objects_kept, 1);
    assert_string_equal(
        w->requests,
        "POST /v1/b\nPOST /v1/b\nPOST /v1/b\nGET /v1/d\nGET /v1/d\nGET /v1/d\nGET /v1/d\nGET /v1/o\n");
}

static void one_round_trip_when_the_receipt_says_enough(void **state)
{
    struct world *w = *state;
    make_outbox(w, 1, 3);
    w->tells_caught_up = true;
    assert_int_equal(run(w), STEP_DONE);
    all_delivered_once(w);
    assert_string_equal(w->requests, "POST /v1/b\n");
    assert_true(w->cursor == 11);
}

static void downlink_rides_along_with_the_receipt(void **state)
{
    struct world *w = *state;
    make_outbox(w, 1, 3);
    w->down_rides_along = true;
    w->server_cursor = 12;
    assert_int_equal(run(w), STEP_DONE);
    assert_int_equal(w->changes_applied, 2);
    assert_true(w->cursor == 12);
}

static void a_lost_request_is_repeated(void **state)
{
    struct world *w = *state;
    make_outbox(w, 1, 3);
    w->script[0] = w->script[1] = REQUEST_LOST;
    assert_int_equal(run(w), STEP_DONE);
    all_delivered_once(w);
    assert_int_equal(w->waits, 2);
}

static void a_lost_reply_is_no_second_delivery(void **state)
{
    struct world *w = *state;
    make_outbox(w, 1, 3);
    w->script[0] = REPLY_LOST;
    assert_int_equal(run(w), STEP_DONE);
    all_delivered_once(w);
}

static void a_large_frame_is_asked_about_before_it_goes_again(void **state)
{
    struct world *w = *state;
    make_outbox(w, 1, 9000);
    w->script[0] = REPLY_LOST;
    assert_int_equal(run(w), STEP_DONE);
    all_delivered_once(w);
    assert_string_equal(w->requests, "POST /v1/b\nGET /v1/a\n");
    assert_int_equal(sync_totals(w->client).frames_sent, 1);
}

static void frames_of_an_earlier_run_are_asked_about_first(void **state)
{
    struct world *w = *state;
    make_outbox(w, 3, 3);
    w->stored[0] = w->stored[1] = true;
    w->stored_times[0] = w->stored_times[1] = 1;
    w->config.unsure_from = 1;
    assert_int_equal(run(w), STEP_DONE);
    all_delivered_once(w);
    assert_string_equal(w->requests, "GET /v1/a\nPOST /v1/b\n");
    assert_string_equal(w->token, "fresh");
}

static void a_login_page_is_not_the_centre(void **state)
{
    struct world *w = *state;
    static const enum fate pages[] = {PORTAL_PAGE, PORTAL_EMPTY, REDIRECT};
    make_outbox(w, 3, 3);
    for (uint32_t i = 0; i < 3; i++)
        w->script[i * 2] = pages[i];
    assert_int_equal(run(w), STEP_DONE);
    all_delivered_once(w);
    assert_int_equal(w->waits, 3);
    assert_non_null(strstr(w->last_wait, "login page?"));
}

static void a_login_page_that_stays_ends_the_run(void **state)
{
    struct world *w = *state;
    make_outbox(w, 1, 3);
    w->config.tries_max = 3;
    for (int i = 0; i < 3; i++)
        w->script[i] = PORTAL_PAGE;
    assert_int_equal(run(w), STEP_STOPPED);
    assert_non_null(strstr(w->diag.text, "login page?"));
    assert_int_equal(w->diag.code, ERR_NET);
    assert_false(w->receipted[0]);
    assert_int_equal(w->waits, 2);
}

static void nothing_counts_without_the_centres_signature(void **state)
{
    struct world *w = *state;
    static const enum fate forgeries[] = {WRONG_SIGNATURE, FLIPPED_BIT, REPLY_CUT, OTHERS_RECEIPT};
    for (uint32_t k = 0; k < 4; k++) {
        sync_client_close(w->client);
        w->client = NULL;
        w->exchange = 0;
        make_outbox(w, 1, 3);
        w->receipted[0] = false;
        w->config.tries_max = 2;
        w->script[0] = w->script[1] = forgeries[k];
        assert_int_equal(run(w), STEP_STOPPED);
        assert_int_equal(w->diag.code, ERR_CORRUPT);
        assert_false(w->receipted[0]);
    }
}

static void an_expired_token_never_blocks(void **state)
{
    struct world *w = *state;
    make_outbox(w, 1, 3);
    w->server_cursor = 12;
    w->script[0] =
        TOKEN_OVER_SIGNED; /* the frame is stored; the reply has no receipt for it but a new token */
    w->script[2] = TOKEN_OVER_SIGNED;
    assert_int_equal(run(w), STEP_DONE);
    all_delivered_once(w);
    assert_string_equal(w->token, "fresh");
    assert_int_equal(w->changes_applied, 2);
    assert_int_equal(w->waits, 0);
}

static void a_token_refused_without_signature_is_renewed_with_the_receipts(void **state)
{
    struct world *w = *state;
    w->server_cursor = 12;
    w->script[0] = TOKEN_OVER_PLAIN;
    assert_int_equal(run(w), STEP_DONE);
    assert_string_equal(w->requests, "GET /v1/d\nGET /v1/a\nGET /v1/d\nGET /v1/d\n");
    assert_string_equal(w->token, "fresh");
}

static void a_handheld_that_is_refused_stops_and_says_so(void **state)
{
    struct world *w = *state;
    make_outbox(w, 1, 3);
    w->script[0] = TOKEN_OVER_PLAIN;
    assert_int_equal(run(w), STEP_STOPPED);
    assert_int_equal(w->diag.code, ERR_DENIED);
    assert_int_equal(w->waits, 0);
    assert_non_null(strstr(w->diag.text, "revoked"));
}

static void a_revoked_handheld_is_told_by_a_signature(void **state)
{
    struct world *w = *state;
    make_outbox(w, 2, 3);
    w->quarantines = true;
    w->script[0] = REVOKED;
    assert_int_equal(run(w), STEP_STOPPED);
    assert_int_equal(w->diag.code, ERR_DENIED);
    assert_true(w->receipted[0]);
    assert_true(w->quarantined[0]);
    assert_false(w->receipted[1]);
}

static void a_frame_that_is_not_taken_does_not_block_the_next(void **state)
{
    struct world *w = *state;
    make_outbox(w, 3, 3);
    w->script[1] = REFUSED_422;
    assert_int_equal(run(w), STEP_STOPPED); /* at the end of everything else */
    assert_non_null(strstr(w->diag.text, "Frame 2 was not taken"));
    assert_true(w->receipted[0] && !w->receipted[1] && w->receipted[2]);
    assert_string_equal(w->requests, "POST /v1/b\nPOST /v1/b\nPOST /v1/b\n");
}

static void a_quarantined_frame_has_its_receipt(void **state)
{
    struct world *w = *state;
    make_outbox(w, 1, 3);
    w->quarantines = true;
    assert_int_equal(run(w), STEP_DONE);
    assert_true(w->receipted[0] && w->quarantined[0]);
    assert_int_equal(sync_totals(w->client).frames_quarantined, 1);
}

static void an_old_downlink_is_refused(void **state)
{
    struct world *w = *state;
    w->server_cursor = 12;
    w->script[0] = OLD_DOWNLINK;
    assert_int_equal(run(w), STEP_DONE);
    assert_int_equal(w->changes_applied, 2);
    assert_int_equal(w->waits, 1);
    assert_non_null(strstr(w->last_wait, "does not join"));
}

static void an_unsigned_nothing_is_believed_only_beside_a_signature(void **state)
{
    struct world *w = *state;
    w->signed_empty = false;
    assert_int_equal(run(w), STEP_DONE);
    assert_string_equal(w->requests, "GET /v1/d\nGET /v1/a\n");
}

static void a_large_object_comes_in_pieces_and_goes_on_after_a_failure(void **state)
{
    struct world *w = *state;
    char *big = ARENA_ARRAY(&w->arena, char, 300000);
    for (uint32_t i = 0; i < 300000; i++)
        big[i] = (char)(i * 2654435761u >> 13);
    w->wanted[0] = (struct str){big, 300000};
    w->wanted_count = 1;
    w->script[2] = REQUEST_LOST;
    w->script[3] = PORTAL_PAGE;
    assert_int_equal(run(w), STEP_DONE);
    assert_int_equal(w->objects_kept, 1);
    assert_int_equal(w->waits, 2);
    assert_true(sync_totals(w->client).bytes_down < 310000); /* nothing came twice */
}

static void a_missing_or_damaged_object_does_not_block_the_next(void **state)
{
    struct world *w = *state;
    w->wanted[0] = STR("missing");
    w->wanted[1] = STR("damaged");
    w->wanted[2] = STR("good");
    w->wanted_count = 3;
    w->script[1] = OBJECT_MISSING;
    w->script[2] = w->script[3] = OBJECT_DAMAGED;
    assert_int_equal(run(w), STEP_STOPPED);
    assert_int_equal(w->diag.code, ERR_CORRUPT);
    assert_true(!w->held[0] && !w->held[1] && w->held[2]);
}

static void a_budget_stops_politely(void **state)
{
    struct world *w = *state;
    make_outbox(w, 3, 3000);
    w->config.bytes_max = 5000;
    assert_int_equal(run(w), STEP_STOPPED);
    assert_int_equal(w->diag.code, ERR_LIMIT);
    assert_non_null(strstr(w->diag.text, "budget"));
    assert_true(w->receipted[0] && !w->receipted[1]);
    assert_true(sync_totals(w->client).bytes_up + sync_totals(w->client).bytes_down <= 5000);
}

static void what_cannot_be_stored_here_stops_the_run(void **state)
{
    struct world *w = *state;
    make_outbox(w, 1, 3);
    w->store_fails = ERR_FULL;
    assert_int_equal(run(w), STEP_STOPPED);
    assert_int_equal(w->diag.code, ERR_FULL);
    assert_int_equal(sync_totals(w->client).frames_receipted, 0);
}

static void waits_grow_and_progress_resets_them(void **state)
{
    struct world *w = *state;
    make_outbox(w, 2, 3);
    for (int i = 0; i < 5; i++)
        w->script[i] = NOT_READY;
    for (int i = 6; i < 13; i++)
        w->script[i] = NOT_READY;
    assert_int_equal(run(w), STEP_DONE); /* 5 and 7 failures, and yet never 8 in a row */
    assert_int_equal(w->waits, 12);
    all_delivered_once(w);
    uint64_t a = 9, b = 9;
    int64_t wait = 0;
    assert_true(backoff_ms(0, 0, &a) == 0);
    for (uint32_t i = 1; i < 100; i++) {
        int64_t next = backoff_ms(i, wait, &a);
        assert_true(next == backoff_ms(i, wait, &b));
        assert_true(next >= 5000 && next <= 900000 && next <= (wait < 5000 ? 15000 : wait * 3));
        wait = next;
    }
}

/* Any mixture of faults: in the end all is delivered exactly once, or the run has stopped with a sentence. */
static void any_mixture_of_faults(void **state)
{
    struct world *w = *state;
    static const enum fate faults[] = {
        FINE,        FINE,      REQUEST_LOST, REPLY_LOST,        PORTAL_PAGE,    WRONG_SIGNATURE,
        FLIPPED_BIT, REPLY_CUT, NOT_READY,    TOKEN_OVER_SIGNED, OTHERS_RECEIPT, PORTAL_EMPTY};
    uint32_t x = 12345;
    make_outbox(w, 4, 40);
    for (int round = 0; round < 60 / THINNED(4); round++) {
        sync_client_close(w->client);
        w->client = NULL;
        w->exchange = 0;
        w->requests[0] = 0;
        memset(w->receipted, 0, sizeof(w->receipted));
        memset(w->stored, 0, sizeof(w->stored));
        memset(w->stored_times, 0, sizeof(w->stored_times));
        w->cursor = 10;
        w->server_cursor = 14;
        for (int i = 0; i < SCRIPT_MAX; i++) {
            x = x * 1664525 + 1013904223;
            w->script[i] = i < 24 ? faults[(x >> 16) % 12] : FINE;
        }
        enum sync_step_kind end = run(w);
        for (uint32_t i = 0; i < w->frame_count; i++)
            assert_true(!w->receipted[i] || w->stored_times[i] == 1);
        if (end == STEP_DONE) {
            all_delivered_once(w);
            assert_true(w->cursor == 14);
        } else {
            assert_true(w->diag.text[0] != 0);
        }
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_quiet_run),
        CASE(frames_then_downlink_then_objects),
        CASE(one_round_trip_when_the_receipt_says_enough),
        CASE(downlink_rides_along_with_the_receipt),
        CASE(a_lost_request_is_repeated),
        CASE(a_lost_reply_is_no_second_delivery),
        CASE(a_large_frame_is_asked_about_before_it_goes_again),
        CASE(frames_of_an_earlier_run_are_asked_about_first),
        CASE(a_login_page_is_not_the_centre),
        CASE(a_login_page_that_stays_ends_the_run),
        CASE(nothing_counts_without_the_centres_signature),
        CASE(an_expired_token_never_blocks),
        CASE(a_token_refused_without_signature_is_renewed_with_the_receipts),
        CASE(a_handheld_that_is_refused_stops_and_says_so),
        CASE(a_revoked_handheld_is_told_by_a_signature),
        CASE(a_frame_that_is_not_taken_does_not_block_the_next),
        CASE(a_quarantined_frame_has_its_receipt),
        CASE(an_old_downlink_is_refused),
        CASE(an_unsigned_nothing_is_believed_only_beside_a_signature),
        CASE(a_large_object_comes_in_pieces_and_goes_on_after_a_failure),
        CASE(a_missing_or_damaged_object_does_not_block_the_next),
        CASE(a_budget_stops_politely),
        CASE(what_cannot_be_stored_here_stops_the_run),
        CASE(waits_grow_and_progress_resets_them),
        CASE(any_mixture_of_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
