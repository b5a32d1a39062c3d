/* Large frames in pieces, seen from the handheld: a small centre in this test keeps every byte that arrives
 * and breaks the link wherever it is told. Also how large a piece is, and what comes back as patches.
 */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "sync/batch_zstd.h"
#include "sync/client.h"
#include "sync/ingest.h"
#include "sync/pace.h"

#define DEVICE UINT64_C(0x1122334455667788)
#define NOW_MS INT64_C(1795442945000)
#define HEADS 180
#define NEVER UINT64_MAX

struct world {
    struct arena arena;
    struct diag diag;
    struct sync_client *client;
    struct key_pair_x25519 county_seal, device_seal;
    struct key_pair_p256 county_sign, device_sign;
    struct sync_config config;

    /* the handheld */
    struct str frame, part;
    bool receipted, part_receipted;
    struct str object, base, begun; /* to be fetched, and what of it is here */
    struct str fetched;
    uint64_t kept; /* bytes of pieces kept for later runs */
    uint32_t waits;
    char requests[8192];

    /* the centre */
    struct buf have; /* of the upload under way */
    unsigned char id[BATCH_ID_SIZE];
    bool taken;
    uint32_t taken_times;
    struct str patch;
    bool no_patches, lies; /* lies: says that it has everything, and has nothing */
    struct buf reply;

    /* the link */
    uint64_t cut_up, cut_down; /* bytes until it breaks, once; NEVER */
    uint64_t up, down;         /* bytes that travelled */
    bool buffers;              /* a proxy that hands on whole requests only */
};

static void seal_frame(struct world *w, enum frame_type type, uint16_t schema, struct str payload,
                       struct str *out)
{
    struct buf frame;
    struct frame_seal how = {.type = type,
                             .device = DEVICE,
                             .inc = 1,
                             .batch_seq = 1,
                             .schema = schema,
                             .recipient = w->county_seal.public,
                             .author = &w->device_sign};
    buf_init(&frame, 1u << 22);
    assert_int_equal(frame_make(&how, payload, &frame, &w->diag), ERR_OK);
    *out = arena_str(&w->arena, buf_str(&frame));
    buf_free(&frame);
}

static struct str noise(struct world *w, size_t n)
{
    char *p = ARENA_ARRAY(&w->arena, char, n);
    uint32_t x = 12345;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = (char)(x >> 24);
    }
    return (struct str){p, n};
}

static void make_frame(struct world *w, size_t size)
{
    struct batch_head head = {.device = DEVICE, .inc = 1, .epoch = 4, .now_ms = NOW_MS, .anchor_ms = NOW_MS};
    struct change c = {
        .seq = 1, .row = {DEVICE, 1, 1}, .field = 1, .hlc = NOW_MS << 16, .value = noise(w, size)};
    struct buf payload;
    buf_init(&payload, 1u << 22);
    assert_int_equal(batch_write(&head, NULL, &c, 1, &payload, &w->diag), ERR_OK);
    seal_frame(w, FRAME_UP, BATCH_SCHEMA_CHANGES, buf_str(&payload), &w->frame);
    buf_free(&payload);
}

static void make_part(struct world *w, size_t size)
{
    struct part p = {.size = size, .bytes = noise(w, size)};
    struct buf payload;
    assert_int_equal(sha256(p.bytes, p.hash), ERR_OK);
    buf_init(&payload, 1u << 22);
    assert_int_equal(part_write(&p, &payload), ERR_OK);
    seal_frame(w, FRAME_OBJECT, BATCH_SCHEMA_PART, buf_str(&payload), &w->part);
    buf_free(&payload);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    unsigned char seed[32] = {1};
    arena_init(&w->arena, 256u << 20);
    assert_int_equal(crypto_init(&w->diag), ERR_OK);
    assert_int_equal(x25519_make(seed, &w->county_seal), ERR_OK);
    assert_int_equal(p256_make(seed, &w->county_sign), ERR_OK);
    seed[0] = 2;
    assert_int_equal(x25519_make(seed, &w->device_seal), ERR_OK);
    assert_int_equal(p256_make(seed, &w->device_sign), ERR_OK);
    buf_init(&w->reply, 8u << 20);
    buf_init(&w->have, 8u << 20);
    w->cut_up = w->cut_down = NEVER;
    w->config = (struct sync_config){.device = DEVICE,
                                     .inc = 1,
                                     .seal = w->device_seal,
                                     .token = STR("token"),
                                     .epoch = 4,
                                     .cursor = 10,
                                     .jitter_seed = 5};
    memcpy(w->config.keys.sign_public, w->county_sign.public, P256_PUBLIC_SIZE);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    sync_client_close(w->client);
    buf_free(&w->reply);
    buf_free(&w->have);
    arena_free(&w->arena);
    free(w);
    return 0;
}

/* --- the centre
 * --------------------------------------------------------------------------------------------- */

struct answer {
    int status;
    char offset[24], range[64];
    bool done, patch;
};

static void put_receipt(struct world *w, const struct frame *f)
{
    struct buf payload;
    struct receipt_item item = {.batch_seq = f->batch_seq, .status = RECEIPT_STORED, .reason = STR("")};
    struct receipt_part part = {.status = RECEIPT_STORED, .reason = STR("")};
    bool is_part = f->type == FRAME_OBJECT;
    struct receipt r = {.epoch = 4,
                        .device = DEVICE,
                        .inc = 1,
                        .cursor = 10,
                        .caught_up = true,
                        .cursor_from = 10,
                        .server_time_ms = NOW_MS,
                        .token = STR(""),
                        .items = &item,
                        .item_count = is_part ? 0 : 1,
                        .parts = &part,
                        .part_count = is_part};
    struct frame_seal how = {.type = FRAME_RECEIPT,
                             .inc = 4,
                             .batch_seq = 1,
                             .schema = BATCH_SCHEMA_RECEIPT,
                             .recipient = w->device_seal.public,
                             .author = &w->county_sign};
    memcpy(item.batch_id, f->batch_id, BATCH_ID_SIZE);
    memcpy(part.batch_id, f->batch_id, BATCH_ID_SIZE);
    buf_init(&payload, 1u << 20);
    assert_int_equal(receipt_write(&r, &payload), ERR_OK);
    assert_int_equal(frame_make(&how, buf_str(&payload), &w->reply, &w->diag), ERR_OK);
    buf_free(&payload);
}

static void put_nothing_new(struct world *w)
{
    struct batch_head head = {
        .epoch = 4, .now_ms = NOW_MS, .cursor_from = 10, .cursor = 10, .caught_up = true};
    struct buf payload;
    struct frame_seal how = {.type = FRAME_DOWN,
                             .inc = 4,
                             .batch_seq = 10,
                             .schema = BATCH_SCHEMA_DOWN,
                             .recipient = w->device_seal.public,
                             .author = &w->county_sign};
    buf_init(&payload, 1u << 20);
    assert_int_equal(down_write(&head, NULL, NULL, 0, &payload, &w->diag), ERR_OK);
    assert_int_equal(frame_make(&how, buf_str(&payload), &w->reply, &w->diag), ERR_OK);
    buf_free(&payload);
}

static void take(struct world *w, struct str bytes)
{
    struct frame f;
    size_t size;
    assert_int_equal(frame_parse(bytes, &f, &size, &w->diag), ERR_OK);
    assert_int_equal(frame_verify(&f, w->device_sign.public, &w->diag), ERR_OK);
    memcpy(w->id, f.batch_id, BATCH_ID_SIZE);
    w->taken_times += !w->taken;
    w->taken = true;
    put_receipt(w, &f);
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

static void tell_offset(struct answer *a, int status, uint64_t n)
{
    a->status = status;
    snprintf(a->offset, sizeof(a->offset), "%llu", (unsigned long long)n);
}

static void put(struct world *w, uint64_t at, uint64_t total, struct str body, struct answer *a)
{
    if (at > w->have.n) {
        tell_offset(a, 409, w->have.n);
        return;
    }
    buf_put_str(&w->have, str_sub(body, (size_t)(w->have.n - at), body.n));
    assert_true(w->have.n <= total);
    tell_offset(a, 204, w->have.n);
    if (w->have.n == total) {
        a->status = 200;
        a->offset[0] = 0;
        take(w, buf_str(&w->have));
        buf_clear(&w->have);
    }
}

static void give_range(struct world *w, const struct step *s, struct str bytes, struct answer *a)
{
    unsigned from = 0, to = 0;
    a->status = 200;
    if (s->range.n) {
        char range[64] = {0};
        memcpy(range, s->range.p, s->range.n);
        assert_int_equal(sscanf(range, "bytes=%u-%u", &from, &to), 2);
        a->status = 206;
        snprintf(a->range, sizeof(a->range), "bytes %u-%u/%zu", from, to, bytes.n);
        bytes = str_sub(bytes, from, (size_t)to - from + 1);
    }
    buf_put_str(&w->reply, bytes);
}

static struct answer serve(struct world *w, const struct step *s, struct str body, bool whole)
{
    struct answer a = {.status = 200};
    buf_clear(&w->reply);
    if (w->lies && str_starts(s->path, STR("/v1/u/"))) {
        tell_offset(&a, str_ends(s->path, STR("/commit")) || strstr(s->path.p, "/commit") ? 409 : 204,
                    strcmp(s->method, "PUT") == 0 ? number_behind(s->path, "o=") + body.n : 0);
        a.status = strcmp(s->method, "HEAD") == 0 ? 404 : a.status;
    } else if (strcmp(s->method, "HEAD") == 0) {
        a.done = w->taken;
        if (w->have.n)
            tell_offset(&a, 200, w->have.n);
        else
            a.status = w->taken ? 200 : 404;
    } else if (strcmp(s->method, "PUT") == 0) {
        put(w, number_behind(s->path, "o="), number_behind(s->path, "t="), body, &a);
    } else if (str_find(s->path, STR("/commit")) >= 0) {
        assert_true(w->taken || w->have.n);
        take(w, w->part.p ? w->part : w->frame);
    } else if (str_starts(s->path, STR("/v1/d"))) {
        put_nothing_new(w);
    } else if (str_starts(s->path, STR("/v1/b")) && whole) {
        take(w, body);
    } else if (str_starts(s->path, STR("/v1/o/"))) {
        bool patch = str_find(s->path, STR("?from=")) >= 0 && !w->no_patches;
        a.patch = patch;
        give_range(w, s, patch ? w->patch : w->object, &a);
    }
    return a;
}

static void exchange(struct world *w, const struct step *s)
{
    uint64_t sent = HEADS + s->body.n, before = w->up;
    size_t n = strlen(w->requests);
    snprintf(w->requests + n, sizeof(w->requests) - n, "%s %.*s\n", s->method, 5, s->path.p);
    bool cut = w->cut_up >= w->up && w->cut_up < w->up + sent;
    struct str body = s->body;
    if (cut) {
        w->up = w->cut_up;
        w->cut_up = NEVER;
        body = str_sub(body, 0, w->up - before > HEADS ? (size_t)(w->up - before - HEADS) : 0);
        bool put = strcmp(s->method, "PUT") == 0;
        if (put && body.n && body.n < s->body.n && !w->buffers)
            (void)serve(w, s, body, false); /* what arrived is kept */
        sync_feed_failure(w->client, ERR_NET, w->up - before, 0, 900);
        return;
    }
    w->up += sent;
    struct answer a = serve(w, s, body, true);
    uint64_t back = 120 + w->reply.n;
    if (w->cut_down >= w->down && w->cut_down < w->down + back) {
        uint64_t came = w->cut_down - w->down;
        w->down = w->cut_down;
        w->cut_down = NEVER;
        sync_feed_failure(w->client, ERR_NET, sent, came, 900);
        return;
    }
    w->down += back;
    sync_feed_reply(w->client, &(struct sync_reply){.status = a.status,
                                                    .body = buf_str(&w->reply),
                                                    .content_type = STR(""),
                                                    .offset = str_of(a.offset),
                                                    .done = str_of(a.done ? "1" : ""),
                                                    .patch = str_of(a.patch ? "1" : ""),
                                                    .content_range = str_of(a.range),
                                                    .bytes_up = sent,
                                                    .bytes_down = back,
                                                    .took_ms = 1000 + (int64_t)(sent + back) / 2});
}

/* --- the handheld
 * ------------------------------------------------------------------------------------------- */

static void receipt(struct world *w, const struct step *s)
{
    for (uint32_t i = 0; i < s->receipt.item_count; i++) {
        assert_memory_equal(s->receipt.items[i].batch_id, w->id, BATCH_ID_SIZE);
        w->receipted = true;
    }
    for (uint32_t i = 0; i < s->receipt.part_count; i++) {
        assert_memory_equal(s->receipt.parts[i].batch_id, w->id, BATCH_ID_SIZE);
        w->part_receipted = true;
    }
}

static void wanted(struct world *w)
{
    unsigned char hash[SHA256_SIZE], base[SHA256_SIZE];
    struct sync_wanted x = {.hash = hash, .size = w->object.n, .have = w->begun, .base = w->base};
    if (!w->object.p || w->fetched.p) {
        sync_feed_wanted(w->client, NULL);
        return;
    }
    assert_int_equal(sha256(w->object, hash), ERR_OK);
    assert_int_equal(sha256(w->base, base), ERR_OK);
    x.base_hash = w->base.p ? base : NULL;
    sync_feed_wanted(w->client, &x);
}

static void piece(struct world *w, const struct step *s)
{
    assert_int_equal(s->at, w->begun.n);
    assert_true(str_eq(s->object, str_sub(w->object, (size_t)s->at, s->object.n)));
    w->begun = str_sub(w->object, 0, (size_t)s->at + s->object.n);
    w->kept += s->object.n;
    sync_feed_done(w->client, ERR_OK);
}

static enum sync_step_kind run(struct world *w)
{
    struct step s;
    assert_int_equal(sync_client_open(&w->arena, &w->config, &w->client, &w->diag), ERR_OK);
    for (int steps = 0; steps < 2000; steps++) {
        diag_clear(&w->diag);
        sync_next(w->client, &s, &w->diag);
        switch (s.kind) {
        case STEP_FRAME: sync_feed_frame(w->client, w->receipted ? STR_NONE : w->frame); break;
        case STEP_PART: sync_feed_frame(w->client, w->part_receipted ? STR_NONE : w->part); break;
        case STEP_HTTP: exchange(w, &s); break;
        case STEP_WANTED: wanted(w); break;
        case STEP_PIECE: piece(w, &s); break;
        case STEP_OBJECT:
            w->fetched = arena_str(&w->arena, s.object);
            sync_feed_done(w->client, ERR_OK);
            break;
        case STEP_RECEIPT:
            receipt(w, &s);
            sync_feed_done(w->client, ERR_OK);
            break;
        case STEP_WAIT:
            w->waits++;
            sync_feed_done(w->client, ERR_OK);
            break;
        case STEP_DOWN: fail_msg("no downlink was made"); break;
        default: return s.kind;
        }
    }
    print_message("%s", w->requests);
    fail_msg("the run does not end");
    return STEP_STOPPED;
}

/* The next run of the same handheld. */
static enum sync_step_kind run_again(struct world *w)
{
    sync_client_close(w->client);
    w->client = NULL;
    return run(w);
}

/* --- uploads
 * ------------------------------------------------------------------------------------------------- */

static void a_frame_up_to_32_kib_goes_in_one_round_trip(void **state)
{
    struct world *w = *state;
    make_frame(w, SYNC_FAST_MAX - 400);
    assert_true(w->frame.n <= SYNC_FAST_MAX);
    assert_int_equal(run(w), STEP_DONE);
    assert_string_equal(w->requests, "POST /v1/b\n");
    assert_true(w->receipted);
}

static void a_larger_one_goes_in_pieces(void **state)
{
    struct world *w = *state;
    make_frame(w, 60000);
    assert_int_equal(run(w), STEP_DONE);
    assert_true(w->receipted);
    assert_int_equal(w->taken_times, 1);
    assert_true(str_starts(str_of(w->requests), STR("HEAD /v1/u\nPUT /v1/u\nPUT /v1/u\n")));
    assert_true(w->up < w->frame.n + 8 * (uint64_t)HEADS);
}

/* The link breaks once, on the way up and on the way down. Every byte of a real TCP connection is the
 * business of tests/sweep/tcp_cuts; here it is all that stands at the edge of something, and some between. */
static void cut_everywhere(struct world *w, uint64_t up, uint64_t down)
{
    const struct str frame = w->frame, part = w->part;
    for (uint64_t k = 0; k < up + down; k += k % 16384 < 200 || k >= up ? 9 : 499) {
        w->receipted = w->part_receipted = w->taken = false;
        w->taken_times = w->waits = 0;
        w->up = w->down = 0;
        w->requests[0] = 0;
        buf_clear(&w->have);
        w->cut_up = k < up ? k : NEVER;
        w->cut_down = k < up ? NEVER : k - up;
        struct arena_mark mark = arena_mark(&w->arena);
        assert_int_equal(run(w), STEP_DONE);
        assert_true(w->receipted == (frame.p != NULL) && w->part_receipted == (part.p != NULL));
        assert_int_equal(w->taken_times, 1);
        assert_true(w->waits <= 1);
        /* one more question, one more piece's head, and what was under way in one piece at most */
        assert_true(w->up <= up + 4 * (uint64_t)HEADS + 200);
        sync_client_close(w->client);
        w->client = NULL;
        arena_release(&w->arena, mark);
    }
}

static void a_link_that_breaks_at_any_byte_costs_a_question_and_no_piece(void **state)
{
    struct world *w = *state;
    make_frame(w, 34000);
    assert_int_equal(run(w), STEP_DONE);
    uint64_t up = w->up, down = w->down;
    sync_client_close(w->client);
    w->client = NULL;
    print_message("undisturbed: %llu bytes up, %llu down\n", (unsigned long long)up,
                  (unsigned long long)down);
    cut_everywhere(w, up, down);
}

static void a_proxy_that_hands_on_whole_requests_costs_one_piece(void **state)
{
    struct world *w = *state;
    make_frame(w, 60000);
    w->buffers = true;
    for (uint64_t k = 100; k < 60000; k += 2999) {
        w->receipted = w->taken = false;
        w->up = w->down = 0;
        buf_clear(&w->have);
        w->cut_up = k;
        assert_int_equal(run_again(w), STEP_DONE);
        assert_true(w->receipted);
        assert_true(w->up <= w->frame.n + PACE_PIECE_MAX + 20 * (uint64_t)HEADS);
    }
}

static void another_run_goes_on_where_this_one_broke(void **state)
{
    struct world *w = *state;
    make_frame(w, 60000);
    w->config.tries_max = 1;
    w->cut_up = 41000;
    assert_int_equal(run(w), STEP_STOPPED);
    assert_false(w->receipted);
    assert_int_equal(run_again(w), STEP_DONE);
    assert_true(w->receipted);
    assert_int_equal(w->taken_times, 1);
    assert_true(w->up < w->frame.n + 8 * (uint64_t)HEADS);
}

static void a_lost_last_reply_is_fetched_and_nothing_is_sent_again(void **state)
{
    struct world *w = *state;
    make_frame(w, 34000);
    assert_int_equal(run(w), STEP_DONE);
    uint64_t down = w->down;
    w->receipted = w->taken = false;
    w->up = w->down = 0;
    w->requests[0] = 0;
    w->cut_down = down - 30;
    assert_int_equal(run_again(w), STEP_DONE);
    assert_non_null(strstr(w->requests, "HEAD /v1/u\nPOST /v1/u\n"));
    assert_true(w->receipted);
    assert_true(w->up < w->frame.n + 8 * (uint64_t)HEADS);
}

static void who_claims_to_have_everything_is_not_believed_for_ever(void **state)
{
    struct world *w = *state;
    make_frame(w, 40000);
    w->lies = true;
    assert_int_equal(run(w), STEP_STOPPED);
    assert_false(w->receipted);
    assert_true(w->up < 6 * w->frame.n);
}

static void a_budget_ends_between_two_pieces_and_the_next_run_goes_on(void **state)
{
    struct world *w = *state;
    make_frame(w, 60000);
    for (int i = 0; i < 40 && !w->receipted; i++) {
        uint64_t before = w->up + w->down;
        w->config.bytes_max = 8000;
        (void)run_again(w);
        assert_true(w->up + w->down - before <= 8000);
    }
    assert_true(w->receipted);
    assert_int_equal(w->taken_times, 1);
}

/* --- attachments
 * --------------------------------------------------------------------------------------------- */

static void attachments_follow_and_wait_on_a_metered_link(void **state)
{
    struct world *w = *state;
    make_frame(w, 100);
    make_part(w, 90000);
    w->config.metered = true;
    assert_int_equal(run(w), STEP_DONE);
    assert_true(w->receipted && !w->part_receipted);
    w->taken = false;
    w->config.metered = false;
    assert_int_equal(run_again(w), STEP_DONE);
    assert_true(w->part_receipted);
    assert_int_equal(sync_totals(w->client).parts_receipted, 1);
}

static void a_part_survives_a_cut_at_any_byte(void **state)
{
    struct world *w = *state;
    make_part(w, 33000);
    w->receipted = true;
    w->frame = STR_NONE;
    assert_int_equal(run(w), STEP_DONE);
    assert_true(w->part_receipted);
    uint64_t up = w->up;
    for (uint64_t k = 0; k < up; k += 499) {
        w->part_receipted = w->taken = false;
        w->taken_times = 0;
        w->up = w->down = 0;
        buf_clear(&w->have);
        w->cut_up = k;
        assert_int_equal(run_again(w), STEP_DONE);
        assert_true(w->part_receipted);
        assert_int_equal(w->taken_times, 1);
        assert_true(w->up <= up + 4 * (uint64_t)HEADS + 200);
    }
}

/* --- objects
 * ------------------------------------------------------------------------------------------------- */

static void new_version(struct world *w)
{
    char *p;
    w->base = noise(w, 300000);
    w->object = arena_str(&w->arena, w->base);
    p = (char *)(uintptr_t)w->object.p;
    memcpy(p + 150000, "a corrected label", 17);
    struct buf patch;
    buf_init(&patch, 1u << 20);
    assert_int_equal(zstd_patch(w->base, w->object, &patch, &w->diag), ERR_OK);
    w->patch = arena_str(&w->arena, buf_str(&patch));
    print_message("a patch of %zu bytes for an object of %zu\n", patch.n, w->object.n);
    assert_true(patch.n < 500);
    buf_free(&patch);
}

static void a_new_version_comes_as_what_differs(void **state)
{
    struct world *w = *state;
    w->receipted = w->part_receipted = true;
    make_frame(w, 10);
    w->receipted = false;
    new_version(w);
    assert_int_equal(run(w), STEP_DONE);
    assert_true(str_eq(w->fetched, w->object));
    assert_int_equal(sync_totals(w->client).objects_patched, 1);
    assert_true(w->down < 2000);
}

static void a_patch_that_does_not_fit_costs_only_itself(void **state)
{
    struct world *w = *state;
    make_frame(w, 10);
    w->part_receipted = true;
    new_version(w);
    w->patch = str_sub(w->patch, 0, w->patch.n - 9);
    assert_int_equal(run(w), STEP_DONE);
    assert_true(str_eq(w->fetched, w->object));
    assert_int_equal(sync_totals(w->client).objects_patched, 0);
}

static void a_centre_without_a_patch_sends_the_object(void **state)
{
    struct world *w = *state;
    make_frame(w, 10);
    w->part_receipted = true;
    new_version(w);
    w->no_patches = true;
    assert_int_equal(run(w), STEP_DONE);
    assert_true(str_eq(w->fetched, w->object));
}

static void what_was_fetched_of_an_object_is_not_fetched_again(void **state)
{
    struct world *w = *state;
    make_frame(w, 10);
    w->part_receipted = true;
    w->object = noise(w, 400000);
    w->config.tries_max = 1;
    w->cut_down = 250000;
    assert_int_equal(run(w), STEP_STOPPED);
    assert_true(w->begun.n >= 64u << 10);
    uint64_t had = w->begun.n, before = w->down;
    assert_int_equal(run_again(w), STEP_DONE);
    assert_true(str_eq(w->fetched, w->object));
    assert_true(w->down - before < 400000 - had + 3000);
}

static void large_objects_wait_on_a_metered_link(void **state)
{
    struct world *w = *state;
    make_frame(w, 10);
    w->part_receipted = true;
    w->object = noise(w, 400000);
    w->config.metered = true;
    assert_int_equal(run(w), STEP_DONE);
    assert_null(w->fetched.p);
    assert_int_equal(sync_totals(w->client).objects_put_off, 1);
}

/* --- how large a piece is
 * ------------------------------------------------------------------------------------ */

static void youngs_formula(void **state)
{
    (void)state;
    assert_int_equal(pace_young(0, 1000), 0);
    assert_int_equal(pace_young(2, 1), 2);
    assert_int_equal(pace_young(2400, 60000), 16970); /* 2,000 bytes/s, a failure every 30 s */
    assert_int_equal(pace_young(UINT64_MAX, 2), UINT32_MAX);
}

static void pieces_follow_the_link(void **state)
{
    struct pace p = pace_begin();
    (void)state;
    assert_in_range(pace_piece(&p), 16000, 18000);
    for (int i = 0; i < 40; i++) /* a good link */
        pace_arrived(&p, pace_piece(&p), 300);
    assert_int_equal(pace_piece(&p), PACE_PIECE_MAX);
    uint32_t before = pace_piece(&p);
    pace_broke(&p, 100);
    assert_true(pace_piece(&p) <= before / 2);
    for (int i = 0; i < 20; i++)
        pace_broke(&p, 100);
    assert_int_equal(pace_piece(&p), PACE_PIECE_MIN);
    before = pace_piece(&p);
    pace_arrived(&p, 2000, 1000);
    assert_true(pace_piece(&p) > before && pace_piece(&p) <= before + PACE_STEP);
}

static void wild_times_do_no_harm(void **state)
{
    static const int64_t times[] = {INT64_MIN, -1, 0, 1, 900, INT64_MAX};
    struct pace p = pace_begin();
    (void)state;
    for (uint32_t i = 0; i < 600; i++) {
        int64_t t = times[i * 7 % 6];
        if (i % 5 == 0)
            pace_broke(&p, t);
        else
            pace_arrived(&p, i % 3 ? UINT64_MAX >> (i % 60) : i, t);
        assert_in_range(pace_piece(&p), PACE_PIECE_MIN, PACE_PIECE_MAX);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_frame_up_to_32_kib_goes_in_one_round_trip),
        CASE(a_larger_one_goes_in_pieces),
        CASE(a_link_that_breaks_at_any_byte_costs_a_question_and_no_piece),
        CASE(a_proxy_that_hands_on_whole_requests_costs_one_piece),
        CASE(another_run_goes_on_where_this_one_broke),
        CASE(a_lost_last_reply_is_fetched_and_nothing_is_sent_again),
        CASE(who_claims_to_have_everything_is_not_believed_for_ever),
        CASE(a_budget_ends_between_two_pieces_and_the_next_run_goes_on),
        CASE(attachments_follow_and_wait_on_a_metered_link),
        CASE(a_part_survives_a_cut_at_any_byte),
        CASE(a_new_version_comes_as_what_differs),
        CASE(a_patch_that_does_not_fit_costs_only_itself),
        CASE(a_centre_without_a_patch_sends_the_object),
        CASE(what_was_fetched_of_an_object_is_not_fetched_again),
        CASE(large_objects_wait_on_a_metered_link),
        cmocka_unit_test(youngs_formula),
        cmocka_unit_test(pieces_follow_the_link),
        cmocka_unit_test(wild_times_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
