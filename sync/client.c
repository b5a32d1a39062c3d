/* Deciding what to do next. Always true: one step is out at a time; nothing is counted as delivered, received
 * or fetched before the caller says that it is committed; every failure either waits longer than the one
 * before or ends the run. */
#include "sync/client_impl.h"

#define TRIES_DEFAULT 8
#define REPLY_MEMORY_MAX (64u << 20)
#define HEAD_GUESS 600          /* what a request and the head of its reply cost beside their bodies */
#define DOWN_BYTES (128u << 10) /* asked for at once */
#define DOWN_REPLY_MAX (FRAME_SIZE_MAX + 1024u)
#define DOWN_BYTES_MIN 2048
#define ASK_FRAME_MIN 2048 /* a smaller frame goes again sooner than it is asked about */

/* --- back-off
 * ----------------------------------------------------------------------------------------------- */

#define WAIT_MS_MIN 5000
#define WAIT_MS_MAX (15 * 60 * 1000)

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

int64_t backoff_ms(uint32_t failures, int64_t previous_ms, uint64_t *random_state)
{
    if (!failures)
        return 0;
    int64_t previous = previous_ms < WAIT_MS_MIN   ? WAIT_MS_MIN
                       : previous_ms > WAIT_MS_MAX ? WAIT_MS_MAX
                                                   : previous_ms;
    uint64_t span = (uint64_t)(previous * 3 - WAIT_MS_MIN) + 1;
    int64_t wait = WAIT_MS_MIN + (int64_t)(random_next(random_state) % span);
    return wait < WAIT_MS_MAX ? wait : WAIT_MS_MAX;
}

/* --- trouble
 * ------------------------------------------------------------------------------------------------ */

void client_stop(struct sync_client *c, enum err cause)
{
    c->stopped = true;
    c->cause = cause;
}

void client_fail(struct sync_client *c, enum err cause)
{
    uint32_t tries_max = c->config.tries_max ? c->config.tries_max : TRIES_DEFAULT;
    c->cause = cause;
    c->portal = false;
    c->totals.failures++;
    c->failures++;
    if (c->failures >= tries_max) {
        client_stop(c, cause);
        return;
    }
    c->wait_ms = backoff_ms(c->failures, c->wait_ms, &c->random_state);
    c->wait_due = true;
}

void client_progress(struct sync_client *c)
{
    c->failures = 0;
    c->wait_ms = 0;
    c->renewed = false;
    diag_clear(&c->why);
}

void client_pass_over(struct sync_client *c, enum err cause)
{
    c->passed_over = cause;
    c->passed_over_why = c->why;
    diag_clear(&c->why);
}

/* --- opening
 * ------------------------------------------------------------------------------------------------ */

static void set_token(struct sync_client *c, struct str token)
{
    buf_clear(&c->token);
    if (token.n) {
        buf_put_z(&c->token, "Bearer ");
        buf_put_str(&c->token, token);
    }
}

enum err sync_client_open(struct arena *a, const struct sync_config *config, struct sync_client **client_out,
                          struct diag *d)
{
    struct sync_client *c = ARENA_NEW(a, struct sync_client);
    if (!c)
        return diag_set(d, ERR_NOMEM, "Not enough memory to sync.");
    c->config = *config;
    c->cursor = config->cursor;
    c->epoch = config->epoch;
    c->random_state = config->jitter_seed;
    c->piece = SYNC_PIECE_BEGIN;
    c->pace = pace_begin();
    arena_init(&c->work, REPLY_MEMORY_MAX);
    buf_init(&c->token, SYNC_TOKEN_MAX + 8);
    buf_init(&c->path, 256);
    buf_init(&c->range, 64);
    buf_init(&c->reply, DOWN_REPLY_MAX);
    set_token(c, config->token);
    c->phase = config->unsure_from ? PHASE_ASK : PHASE_FRAME;
    c->after_ask = PHASE_FRAME;
    c->ask_after = config->unsure_from ? config->unsure_from - 1 : 0;
    *client_out = c;
    return ERR_OK;
}

void sync_client_close(struct sync_client *c)
{
    if (!c)
        return;
    if (c->token.p)
        crypto_wipe(c->token.p, c->token.room);
    buf_free(&c->token);
    buf_free(&c->path);
    buf_free(&c->range);
    buf_free(&c->reply);
    buf_free(&c->object);
    arena_free(&c->work);
    crypto_wipe(&c->config.seal, sizeof(c->config.seal));
}

struct sync_totals sync_totals(const struct sync_client *c)
{
    return c->totals;
}

/* --- requests
 * ----------------------------------------------------------------------------------------------- */

uint64_t client_bytes_left(const struct sync_client *c)
{
    uint64_t used = c->totals.bytes_up + c->totals.bytes_down;
    if (!c->config.bytes_max)
        return UINT64_MAX;
    return used < c->config.bytes_max ? c->config.bytes_max - used : 0;
}

/* False, and the run ends, when `bytes` more would pass the budget. */
bool client_afford(struct sync_client *c, uint64_t bytes)
{
    if (client_bytes_left(c) >= bytes + HEAD_GUESS)
        return true;
    diag_set(&c->why, ERR_LIMIT,
             "The budget of %llu bytes for this run is used up; the rest goes with the next one.",
             (unsigned long long)c->config.bytes_max);
    c->budget = true;
    client_stop(c, ERR_LIMIT);
    return false;
}

void client_request(struct sync_client *c, const char *method, uint32_t reply_max)
{
    c->step = (struct step){.kind = STEP_HTTP,
                            .method = method,
                            .path = buf_str(&c->path),
                            .body = STR(""),
                            .authorization = buf_str(&c->token),
                            .range = STR(""),
                            .reply_max = reply_max};
    c->expect = EXPECT_REPLY;
}

static void put_report(struct sync_client *c)
{
    c->report_rides = c->config.report.n > 0 && !c->totals.report_told && !c->parts;
    if (!c->report_rides)
        return;
    buf_put_char(&c->path, str_find(buf_str(&c->path), STR("?")) < 0 ? '?' : '&');
    buf_put_z(&c->path, "r=");
    buf_put_str(&c->path, c->config.report);
}

static void request_receipts(struct sync_client *c)
{
    buf_clear(&c->path);
    buf_put_z(&c->path, "/v1/a?since=");
    buf_put_u64(&c->path, c->ask_after);
    put_report(c);
    if (client_afford(c, 0))
        client_request(c, "GET", FRAME_REPLY_MAX);
}

void client_put_cursor(struct sync_client *c, char before)
{
    if (c->parts) /* the downlink has been fetched by then */
        return;
    buf_put_char(&c->path, before);
    buf_put_z(&c->path, "d=");
    buf_put_u64(&c->path, c->cursor);
}

static void request_send(struct sync_client *c)
{
    if (!client_afford(c, c->frame.n))
        return;
    buf_clear(&c->path);
    buf_put_z(&c->path, "/v1/b");
    if (!c->config.own_too) /* what rides along is never told again */
        client_put_cursor(c, '?');
    put_report(c);
    client_request(c, "POST", FRAME_REPLY_MAX);
    c->step.body = c->frame;
    c->step.authorization = STR(""); /* the frame's signature says more than a token could */
    c->totals.frames_sent++;
}

static void request_down(struct sync_client *c)
{
    if (!client_afford(c, DOWN_BYTES_MIN))
        return;
    uint64_t room = client_bytes_left(c) - HEAD_GUESS;
    buf_clear(&c->path);
    buf_put_z(&c->path, "/v1/d?c=");
    buf_put_u64(&c->path, c->cursor);
    buf_put_z(&c->path, "&m=");
    buf_put_u64(&c->path, room < DOWN_BYTES ? room : DOWN_BYTES);
    if (c->config.own_too)
        buf_put_z(&c->path, "&o=1");
    buf_put_z(&c->path, "&e=");
    buf_put_u64(&c->path, c->epoch);
    if (c->config.dict.id) {
        buf_put_z(&c->path, "&z=");
        buf_put_u64(&c->path, c->config.dict.id);
    }
    put_report(c);
    client_request(c, "GET", DOWN_REPLY_MAX);
}

static void put_range(struct sync_client *c, uint64_t from, uint64_t size)
{
    buf_clear(&c->range);
    buf_put_z(&c->range, "bytes=");
    buf_put_u64(&c->range, from);
    buf_put_char(&c->range, '-');
    buf_put_u64(&c->range, from + size - 1);
    c->step.range = buf_str(&c->range);
}

/* Against a version that is held. How long the patch is, its first piece tells; until then it may be the
 * object itself, if the centre would rather send that. */
static void request_patch(struct sync_client *c)
{
    uint64_t left = (c->patch_size ? c->patch_size : c->object_size) - c->object.n;
    uint64_t piece = left < c->piece ? left : c->piece;
    uint64_t room = client_bytes_left(c) - HEAD_GUESS;
    piece = piece < room ? piece : room;
    buf_put_z(&c->path, "?from=");
    buf_put_hex(&c->path, c->base_hash, sizeof(c->base_hash));
    client_request(c, "GET", (uint32_t)c->object_size + SYNC_PIECE_MIN);
    put_range(c, c->object.n, piece);
}

static void request_piece(struct sync_client *c)
{
    uint64_t left = c->object_size - c->object.n;
    uint64_t piece = left < c->piece ? left : c->piece;
    bool whole = !c->object_size || (!c->object.n && piece == left);
    if (!client_afford(c, SYNC_PIECE_MIN < left ? SYNC_PIECE_MIN : left))
        return;
    uint64_t room = client_bytes_left(c) - HEAD_GUESS;
    if (piece > room) {
        piece = room;
        whole = false;
    }
    buf_clear(&c->path);
    buf_put_z(&c->path, "/v1/o/");
    buf_put_hex(&c->path, c->hash, sizeof(c->hash));
    if (c->base.p && c->object_size && (c->patching || !c->object.n)) {
        request_patch(c);
        return;
    }
    uint32_t reply_max = c->object_size ? (uint32_t)c->object_size : SYNC_OBJECT_MAX;
    client_request(c, "GET", reply_max > SYNC_PIECE_BEGIN ? reply_max : SYNC_PIECE_BEGIN);
    if (!whole)
        put_range(c, c->object.n, piece);
}

/* --- what next
 * ---------------------------------------------------------------------------------------------- */

static void give(struct sync_client *c, enum sync_step_kind kind, enum expect expect)
{
    c->step = (struct step){.kind = kind};
    c->expect = expect;
}

static void finish(struct sync_client *c)
{
    if (!c->passed_over) {
        give(c, STEP_DONE, EXPECT_NOTHING);
        return;
    }
    c->why = c->passed_over_why;
    client_stop(c, c->passed_over);
}

static void choose(struct sync_client *c)
{
    switch (c->phase) {
    case PHASE_ASK: request_receipts(c); break;
    case PHASE_FRAME:
    case PHASE_PART:
        give(c, c->phase == PHASE_PART ? STEP_PART : STEP_FRAME, EXPECT_FRAME);
        c->step.frames_refused = c->frames_refused;
        c->step.frames_refused_count = c->frames_refused_count;
        break;
    case PHASE_SEND: request_send(c); break;
    case PHASE_OFFSET:
    case PHASE_PUT:
    case PHASE_COMMIT: upload_request(c); break;
    case PHASE_DOWN: request_down(c); break;
    case PHASE_WANTED:
        give(c, STEP_WANTED, EXPECT_WANTED);
        c->step.refused = (const unsigned char(*)[SHA256_SIZE])c->refused;
        c->step.refused_count = c->refused_count;
        break;
    case PHASE_OBJECT: request_piece(c); break;
    case PHASE_DONE: finish(c); break;
    }
}

/* Trouble first, then what the last reply still holds, then the phase. */
static void advance(struct sync_client *c)
{
    if (!c->stopped && !c->wait_due && c->reply.n && !reply_take(c) && !c->stopped && !c->wait_due)
        reply_end(c);
    if (c->expect != EXPECT_NOTHING)
        return;
    if (c->wait_due && !c->stopped) {
        give(c, STEP_WAIT, EXPECT_DONE);
        c->step.wait_ms = c->wait_ms;
        return;
    }
    if (!c->stopped)
        choose(c);
    if (c->stopped)
        give(c, STEP_STOPPED, EXPECT_NOTHING);
}

void sync_next(struct sync_client *c, struct step *step_out, struct diag *d)
{
    if (c->expect == EXPECT_NOTHING)
        advance(c);
    if (c->step.kind == STEP_WAIT || c->step.kind == STEP_STOPPED) {
        c->step.cause = c->cause;
        c->step.portal = c->portal;
        c->step.budget = c->budget;
        diag_set(d, c->cause, "%s", c->why.text[0] ? c->why.text : err_action(c->cause)->todo_en);
    }
    *step_out = c->step;
}

/* --- being told
 * --------------------------------------------------------------------------------------------- */

static void told(struct sync_client *c, enum expect what)
{
    CHECK(c->expect == what);
    c->expect = EXPECT_NOTHING;
}

static void count_exchange(struct sync_client *c, uint64_t bytes_up, uint64_t bytes_down)
{
    c->totals.exchanges++;
    c->totals.bytes_up += bytes_up;
    c->totals.bytes_down += bytes_down;
}

static void no_more_frames(struct sync_client *c)
{
    c->frame = STR_NONE;
    if (c->parts)
        c->phase = PHASE_DONE;
    else
        c->phase = c->caught_up ? PHASE_WANTED : PHASE_DOWN;
}

static bool frame_is_refused(const struct sync_client *c, uint64_t batch_seq)
{
    for (uint32_t i = 0; i < c->frames_refused_count; i++)
        if (c->frames_refused[i] == batch_seq)
            return true;
    return false;
}

void sync_feed_frame(struct sync_client *c, struct str frame)
{
    size_t size;
    told(c, EXPECT_FRAME);
    if (!frame.p) {
        no_more_frames(c);
        return;
    }
    enum err rc = frame_parse(frame, &c->head, &size, &c->why);
    enum frame_type type = c->parts ? FRAME_OBJECT : FRAME_UP;
    if (!rc && (size != frame.n || c->head.type != type || c->head.device != c->config.device ||
                c->head.inc != c->config.inc))
        rc = diag_set(&c->why, ERR_CORRUPT, "The outbox holds a frame that is not this handheld's own.");
    if (rc) {
        client_stop(c, rc);
    } else if (frame_is_refused(c, c->head.batch_seq)) {
        no_more_frames(c);
    } else {
        c->frame = frame;
        c->receipted = false;
        c->phase = PHASE_SEND;
        if (frame.n > SYNC_FAST_MAX)
            upload_begin(c);
    }
}

void sync_feed_failure(struct sync_client *c, enum err cause, uint64_t bytes_up, uint64_t bytes_down,
                       int64_t took_ms)
{
    told(c, EXPECT_REPLY);
    count_exchange(c, bytes_up, bytes_down);
    pace_broke(&c->pace, took_ms);
    if (cause == ERR_OK)
        cause = ERR_NET;
    if (!err_action(cause)->retry && cause != ERR_LIMIT) {
        client_stop(c, cause);
        return;
    }
    if (cause == ERR_LIMIT)
        diag_set(&c->why, cause,
                 "The reply was longer than any of the centre's: this network answers instead of it (login "
                 "page?).");
    c->piece = c->piece / 2 < SYNC_PIECE_MIN ? SYNC_PIECE_MIN : c->piece / 2;
    if (c->phase == PHASE_SEND && c->frame.n >= ASK_FRAME_MIN && c->parts) {
        upload_begin(c);
    } else if (c->phase == PHASE_SEND && c->frame.n >= ASK_FRAME_MIN) {
        c->ask_after = c->head.batch_seq - 1;
        c->after_ask = PHASE_SEND;
        c->phase = PHASE_ASK;
    } else if (c->phase != PHASE_SEND && phase_sends(c->phase)) {
        upload_again(c);
    }
    client_fail(c, cause);
}

static bool looks_like_frame(struct str body)
{
    return str_starts(body, STR("DSB1"));
}

void sync_feed_reply(struct sync_client *c, const struct sync_reply *reply)
{
    told(c, EXPECT_REPLY);
    count_exchange(c, reply->bytes_up, reply->bytes_down);
    pace_arrived(&c->pace, reply->bytes_up + reply->bytes_down, reply->took_ms);
    buf_clear(&c->reply);
    c->reply_at = 0;
    c->got_down = false;
    if (c->phase == PHASE_OBJECT && (reply->status < 400 || !looks_like_frame(reply->body))) {
        reply_object(c, reply);
    } else if (!looks_like_frame(reply->body)) {
        if (!upload_reply(c, reply))
            reply_not_ours(c, reply);
    } else {
        buf_put_str(&c->reply, reply->body);
        if (c->reply.failed) {
            buf_clear(&c->reply);
            client_fail(c, ERR_LIMIT);
        }
    }
}

static bool is_refused_object(const struct sync_client *c, const unsigned char *hash)
{
    for (uint32_t i = 0; i < c->refused_count; i++)
        if (memcmp(c->refused[i], hash, SHA256_SIZE) == 0)
            return true;
    return false;
}

static void take_wanted(struct sync_client *c, const struct sync_wanted *w)
{
    bool same = memcmp(c->hash, w->hash, SHA256_SIZE) == 0 && c->object_size == w->size;
    c->base = w->base_hash && w->size && !w->have.n ? w->base : STR_NONE;
    if (c->base.p)
        memcpy(c->base_hash, w->base_hash, SHA256_SIZE);
    if (same)
        return;
    memcpy(c->hash, w->hash, SHA256_SIZE);
    c->object_size = w->size;
    c->hash_failures = 0;
    c->patching = false;
    c->patch_size = 0;
    buf_free(&c->object);
    buf_init(&c->object, w->size ? w->size : SYNC_OBJECT_MAX);
    c->object_kept = 0;
    if (w->size && w->have.n < w->size) {
        buf_put_str(&c->object, w->have);
        c->object_kept = w->have.n;
    }
}

void sync_feed_wanted(struct sync_client *c, const struct sync_wanted *w)
{
    told(c, EXPECT_WANTED);
    if (!w || !w->hash || is_refused_object(c, w->hash)) {
        c->parts = true;
        c->frames_refused_count = 0;
        c->phase = c->config.metered ? PHASE_DONE : PHASE_PART;
        return;
    }
    c->phase = PHASE_OBJECT;
    if (w->size > SYNC_OBJECT_MAX) {
        memcpy(c->hash, w->hash, SHA256_SIZE);
        diag_set(&c->why, ERR_LIMIT,
                 "An object of %llu bytes is too large for this handheld; %u are allowed.",
                 (unsigned long long)w->size, (unsigned)SYNC_OBJECT_MAX);
        client_refuse_object(c, ERR_LIMIT);
        return;
    }
    take_wanted(c, w);
    if (c->object.failed) {
        client_stop(c, ERR_NOMEM);
    } else if (c->config.metered && w->size - c->object.n > SYNC_METERED_OBJECT_MAX && !c->base.p) {
        c->totals.objects_put_off++;
        client_refuse_object(c, ERR_OK);
    }
}

/* --- committed
 * ---------------------------------------------------------------------------------------------- */

/* `asked`: receipts of an earlier run's frames, none of which is under way. */
static void count_item(struct sync_client *c, const struct receipt_item *item, bool asked)
{
    bool ours = c->frame.p && !c->parts && item->batch_seq == c->head.batch_seq &&
                memcmp(item->batch_id, c->head.batch_id, BATCH_ID_SIZE) == 0;
    if (!asked && (!ours || c->receipted))
        return;
    c->totals.frames_receipted++;
    c->totals.frames_quarantined += item->status == RECEIPT_QUARANTINED;
    c->receipted = c->receipted || ours;
}

static void count_part(struct sync_client *c, const struct receipt_part *part)
{
    if (!c->parts || !c->frame.p || c->receipted ||
        memcmp(part->batch_id, c->head.batch_id, BATCH_ID_SIZE) != 0)
        return;
    c->receipted = true;
    c->totals.parts_receipted++;
    c->totals.parts_quarantined += part->status == RECEIPT_QUARANTINED;
}

static void done_receipt(struct sync_client *c)
{
    const struct receipt *r = &c->step.receipt;
    bool asked = c->phase == PHASE_ASK && c->after_ask == PHASE_FRAME;
    for (uint32_t i = 0; i < r->item_count; i++)
        count_item(c, &r->items[i], asked);
    for (uint32_t i = 0; i < r->part_count; i++)
        count_part(c, &r->parts[i]);
    if (r->token.n)
        set_token(c, r->token);
    c->caught_up = r->epoch == c->epoch && c->step.cursor == r->cursor;
    c->cursor = c->step.cursor;
    /* A lost handheld gives what it has before it erases it: the centre sets that apart, with a receipt. */
    if (r->refused && !(r->erase && phase_sends(c->phase))) {
        diag_set(&c->why, r->refused, "The centre no longer serves this handheld; what it holds stays here.");
        client_stop(c, r->refused);
    }
}

static void done_down(struct sync_client *c)
{
    c->cursor = c->step.cursor;
    c->epoch = c->step.epoch;
    c->totals.changes_received += c->step.change_count;
    client_progress(c);
}

void sync_feed_done(struct sync_client *c, enum err result)
{
    told(c, EXPECT_DONE);
    if (result && c->step.kind != STEP_WAIT) {
        diag_clear(&c->why);
        diag_set(&c->why, result, "What the centre sent could not be stored here. %s",
                 err_action(result)->todo_en);
    }
    if (result) {
        client_stop(c, result);
        return;
    }
    switch (c->step.kind) {
    case STEP_RECEIPT: done_receipt(c); break;
    case STEP_DOWN: done_down(c); break;
    case STEP_PIECE: c->object_kept = c->object.n; break;
    case STEP_OBJECT:
        c->totals.objects_received++;
        c->totals.objects_patched += c->patching;
        c->patching = false;
        buf_free(&c->object);
        memset(c->hash, 0, sizeof(c->hash));
        c->phase = PHASE_WANTED;
        break;
    default: c->wait_due = false; diag_clear(&c->why);
    }
}
