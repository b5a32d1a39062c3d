/* Judging replies. Nothing is believed that the centre has not signed and sealed to this handheld, except the
 * bytes of an object, which its hash vouches for, and bad news: an unsigned refusal can only make a run end
 * sooner. */
#include "sync/batch_zstd.h"
#include "sync/client_impl.h"

#define HASH_FAILURES_MAX 2

/* --- not ours
 * ----------------------------------------------------------------------------------------------- */

static bool is_html(struct str body, struct str content_type)
{
    struct str start = str_trim(str_sub(body, 0, 256));
    return str_eq_nocase(str_sub(content_type, 0, 9), STR("text/html")) || (start.n && start.p[0] == '<');
}

static void portal(struct sync_client *c, int status)
{
    diag_clear(&c->why);
    diag_set(&c->why, ERR_NET,
             "This network answers instead of the centre (login page?), with HTTP status %d: sign in to the "
             "network, or try another one.",
             status);
    client_fail(c, ERR_NET);
    c->portal = true;
}

/* HTTP statuses that mean "not you" or "not here": trying again at once is of no use. */
struct refusal {
    int status;
    enum err cause;
    const char *sentence;
};
static const struct refusal refusals[] = {
    {401, ERR_DENIED,
     "The centre does not accept this handheld's token (HTTP 401); what it holds stays here."},
    {403, ERR_DENIED,
     "The centre refuses this handheld (HTTP 403): it may have been revoked. What it holds stays here."},
    {404, ERR_NOT_FOUND, "There is no centre at this address (HTTP 404); what is held stays here."},
    {407, ERR_DENIED,
     "A proxy on the way wants a password (HTTP 407): use another network. What is held stays here."},
    {410, ERR_NOT_FOUND, "The centre has moved from this address (HTTP 410); what is held stays here."},
    {426, ERR_VERSION, "The centre asks for a newer Doorstep (HTTP 426); what is held stays here."},
};

static const struct refusal *refusal_of(int status)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (refusals[i].status == status)
            return &refusals[i];
    return NULL;
}

/* A token that has run out is not told by a signature when the request carries nothing signed; the receipts
 * are open to an old token and bring a new one. */
static bool ask_for_token(struct sync_client *c, int status)
{
    bool may_be_token = (status == 401 || status == 403) &&
                        (c->phase == PHASE_DOWN || c->phase == PHASE_OBJECT || c->phase == PHASE_OFFSET ||
                         c->phase == PHASE_PUT || c->phase == PHASE_COMMIT);
    if (!may_be_token || c->renewed)
        return false;
    c->renewed = true;
    c->after_ask = c->phase;
    c->ask_after = UINT64_MAX >> 1;
    c->phase = PHASE_ASK;
    return true;
}

/* The centre says that it cannot take this one frame: the next may be better. */
bool client_refuse_frame(struct sync_client *c, int status)
{
    if (!phase_sends(c->phase) || c->frames_refused_count == SYNC_REFUSED_MAX ||
        (status != 400 && status != 409 && status != 413 && status != 422))
        return false;
    enum err cause = status == 413 ? ERR_LIMIT : ERR_CORRUPT;
    diag_set(&c->why, cause,
             "Frame %llu was not taken (HTTP %d); it is still held here, and the next run tries again.",
             (unsigned long long)c->head.batch_seq, status);
    c->totals.failures++;
    client_pass_over(c, cause);
    c->frames_refused[c->frames_refused_count++] = c->head.batch_seq;
    c->frame = STR_NONE;
    c->phase = c->parts ? PHASE_PART : PHASE_FRAME;
    return true;
}

/* "204: nothing new" is not signed. It is believed only after something that was. */
static bool nothing_new(struct sync_client *c, int status, struct str body)
{
    if (c->phase != PHASE_DOWN || status != 204 || body.n)
        return false;
    if (c->verified) {
        c->phase = PHASE_WANTED;
    } else {
        c->after_ask = PHASE_DOWN;
        c->ask_after = UINT64_MAX >> 1;
        c->phase = PHASE_ASK;
    }
    return true;
}

void reply_not_ours(struct sync_client *c, const struct sync_reply *reply)
{
    int status = reply->status;
    if (nothing_new(c, status, reply->body))
        return;
    if (c->phase != PHASE_SEND && phase_sends(c->phase))
        upload_again(c);
    if (is_html(reply->body, reply->content_type) || status == 511 || (status >= 200 && status < 400)) {
        portal(c, status);
        return;
    }
    if (ask_for_token(c, status) || client_refuse_frame(c, status))
        return;
    const struct refusal *refusal = refusal_of(status);
    diag_clear(&c->why);
    if (refusal) {
        diag_set(&c->why, refusal->cause, "%s", refusal->sentence);
        client_stop(c, refusal->cause);
        return;
    }
    enum err cause = status == 429 || status == 503 ? ERR_BUSY : ERR_NET;
    diag_set(&c->why, cause, "The centre, or something on the way to it, is not ready (HTTP %d).", status);
    client_fail(c, cause);
}

/* --- objects
 * ------------------------------------------------------------------------------------------------ */

void client_refuse_object(struct sync_client *c, enum err cause)
{
    if (cause)
        client_pass_over(c, cause);
    if (c->refused_count == SYNC_REFUSED_MAX) {
        c->phase = PHASE_DONE;
        return;
    }
    memcpy(c->refused[c->refused_count++], c->hash, SHA256_SIZE);
    memset(c->hash, 0, sizeof(c->hash));
    c->phase = PHASE_WANTED;
}

/* What was fetched is not what it should be: from the start, and without a patch. */
static void object_again(struct sync_client *c)
{
    buf_clear(&c->object);
    c->object_kept = 0;
    c->patching = false;
    c->patch_size = 0;
    c->base = STR_NONE;
}

static void object_damaged(struct sync_client *c)
{
    object_again(c);
    diag_clear(&c->why);
    diag_set(&c->why, ERR_CORRUPT,
             "The bytes of an object (%02x%02x%02x%02x...) do not have the hash they were asked for by; they "
             "were thrown away.",
             c->hash[0], c->hash[1], c->hash[2], c->hash[3]);
    if (++c->hash_failures >= HASH_FAILURES_MAX) {
        c->totals.failures++;
        client_refuse_object(c, ERR_CORRUPT);
        return;
    }
    client_fail(c, ERR_CORRUPT);
}

/* A patch that does not fit costs its own few bytes and nothing else: the object is fetched whole. */
static bool patch_apply(struct sync_client *c)
{
    struct buf whole;
    buf_init(&whole, c->object_size);
    enum err rc = zstd_unpatch(c->base, buf_str(&c->object), c->object_size, &whole, NULL);
    if (!rc) {
        buf_free(&c->object);
        c->object = whole;
        return true;
    }
    buf_free(&whole);
    return false;
}

static void check_object(struct sync_client *c)
{
    unsigned char hash[SHA256_SIZE];
    bool patched = c->patching;
    if (patched && !patch_apply(c)) {
        object_again(c);
        return;
    }
    enum err rc = sha256(buf_str(&c->object), hash);
    if (!rc && memcmp(hash, c->hash, sizeof(hash)) == 0) {
        c->step = (struct step){.kind = STEP_OBJECT, .object = buf_str(&c->object)};
        memcpy(c->step.hash, c->hash, sizeof(c->hash));
        c->expect = EXPECT_DONE;
        client_progress(c);
    } else if (patched) {
        object_again(c);
    } else {
        object_damaged(c);
    }
}

/* Is this the length that was asked for? What is held already stays until better bytes are here. */
static bool piece_fits(const struct sync_client *c, int status, struct str body)
{
    if (status == 200)
        return body.n <= SYNC_OBJECT_MAX && (!c->object_size || body.n == c->object_size);
    return body.n && c->step.range.n && body.n <= c->object_size - c->object.n;
}

static void wrong_length(struct sync_client *c)
{
    diag_clear(&c->why);
    diag_set(&c->why, ERR_NET,
             "A piece of an object came with another length than was asked for; something on the way "
             "changes replies.");
    client_fail(c, ERR_NET);
}

/* A run that ends here need not fetch these bytes again. */
static void keep_for_later(struct sync_client *c)
{
    c->step = (struct step){.kind = STEP_PIECE,
                            .object = str_sub(buf_str(&c->object), c->object_kept,
                                              c->object.n - c->object_kept),
                            .at = c->object_kept};
    memcpy(c->step.hash, c->hash, sizeof(c->hash));
    c->expect = EXPECT_DONE;
}

static void keep_piece(struct sync_client *c, int status, struct str body)
{
    if (!piece_fits(c, status, body)) {
        wrong_length(c);
        return;
    }
    if (status == 200) {
        buf_clear(&c->object);
        c->object_kept = 0;
    }
    buf_put_str(&c->object, body);
    if (c->object.failed) {
        buf_clear(&c->object);
        client_stop(c, ERR_NOMEM);
        return;
    }
    c->piece = c->piece * 2 > SYNC_PIECE_MAX ? SYNC_PIECE_MAX : c->piece * 2;
    if (status == 200 || c->object.n == c->object_size) {
        check_object(c);
        return;
    }
    client_progress(c);
    keep_for_later(c);
}

/* "bytes A-B/TOTAL" */
static uint64_t range_total(struct str content_range)
{
    uint64_t total = 0;
    ptrdiff_t slash = str_find(content_range, STR("/"));
    if (slash < 0 || !str_to_u64(str_sub(content_range, (size_t)slash + 1, content_range.n), &total))
        return 0;
    return total;
}

static void keep_patch(struct sync_client *c, const struct sync_reply *reply)
{
    uint64_t total = reply->status == 200 ? reply->body.n : range_total(reply->content_range);
    bool begins = !c->patching || reply->status == 200;
    uint64_t had = begins ? 0 : c->object.n;
    if (!total || total > c->object_size || (!begins && total != c->patch_size) || !reply->body.n ||
        reply->body.n > total - had) {
        object_again(c);
        wrong_length(c);
        return;
    }
    if (begins)
        buf_clear(&c->object);
    c->patching = true;
    c->patch_size = total;
    buf_put_str(&c->object, reply->body);
    if (c->object.failed) {
        client_stop(c, ERR_NOMEM);
        return;
    }
    client_progress(c);
    if (c->object.n == total)
        check_object(c);
}

static void keep_reply(struct sync_client *c, const struct sync_reply *reply)
{
    bool asked = str_find(c->step.path, STR("?from=")) >= 0;
    if (asked && str_eq_z(reply->patch, "1")) {
        keep_patch(c, reply);
        return;
    }
    if (asked) /* the centre would rather send the object itself */
        c->base = STR_NONE;
    if (c->patching)
        object_again(c);
    else
        keep_piece(c, reply->status, reply->body);
}

void reply_object(struct sync_client *c, const struct sync_reply *reply)
{
    int status = reply->status;
    bool page = is_html(reply->body, reply->content_type);
    if ((status == 200 || status == 206) &&
        !str_eq_nocase(str_sub(reply->content_type, 0, 9), STR("text/html"))) {
        keep_reply(c, reply);
    } else if ((status == 404 || status == 410) && !page) {
        diag_clear(&c->why);
        diag_set(&c->why, ERR_NOT_FOUND,
                 "The centre does not have an object that it named (%02x%02x%02x%02x...).", c->hash[0],
                 c->hash[1], c->hash[2], c->hash[3]);
        client_refuse_object(c, ERR_NOT_FOUND);
    } else if (status == 416 && (c->patching || c->object_kept)) {
        object_again(c);
    } else if (status == 416) {
        buf_clear(&c->object);
        diag_clear(&c->why);
        diag_set(&c->why, ERR_CORRUPT, "An object has another size at the centre than was told.");
        client_refuse_object(c, ERR_CORRUPT);
    } else {
        reply_not_ours(c, reply);
    }
}

/* --- frames
 * ------------------------------------------------------------------------------------------------- */

static enum err own_dict(void *self, uint16_t id, struct str *bytes_out, struct diag *d)
{
    const struct frame_dict *held = self;
    (void)d; /* what opens the frame says it better */
    if (!id || id != held->id)
        return ERR_NOT_FOUND;
    *bytes_out = held->bytes;
    return ERR_OK;
}

static enum err open_frame(struct sync_client *c, const struct frame *f, struct str *payload)
{
    const struct frame_dicts dicts = {.self = &c->config.dict, .find = own_dict};
    struct buf plain;
    buf_init(&plain, f->raw_size);
    enum err rc = frame_open_with(f, &c->config.seal, &dicts, &plain, &c->why);
    if (!rc) {
        *payload = arena_str(&c->work, buf_str(&plain));
        rc = payload->p ? ERR_OK : ERR_NOMEM;
    }
    if (plain.p)
        crypto_wipe(plain.p, plain.room);
    buf_free(&plain);
    return rc;
}

static enum err take_receipt(struct sync_client *c, const struct frame *f, struct str payload)
{
    struct receipt r;
    if (f->schema != BATCH_SCHEMA_RECEIPT)
        return diag_set(&c->why, ERR_VERSION,
                        "The receipt has a form that is not known here; update this program.");
    enum err rc = receipt_read(&c->work, payload, &r, &c->why);
    if (rc)
        return rc;
    if (r.device != c->config.device || r.inc != c->config.inc)
        return diag_set(&c->why, ERR_CORRUPT, "The receipt is for another handheld.");
    /* It was set back and does not know it. What proves that goes with a request that only we can make. */
    if (r.epoch < c->epoch && !c->behind_told) {
        c->behind = c->behind_told = true;
        return ERR_OK;
    }
    if (r.epoch < c->epoch)
        return diag_set(&c->why, ERR_CORRUPT,
                        "The receipt is from before the centre was restored; it does not count.");
    bool own_only = r.caught_up && r.epoch == c->epoch && r.cursor_from <= c->cursor && r.cursor > c->cursor;
    c->step = (struct step){.kind = STEP_RECEIPT,
                            .receipt = r,
                            .receipt_frame = f->bytes,
                            .cursor = own_only ? r.cursor : c->cursor};
    c->expect = EXPECT_DONE;
    return ERR_OK;
}

static enum err take_down(struct sync_client *c, const struct frame *f, struct str payload)
{
    struct batch_head head = {.device = f->device, .inc = f->inc};
    struct change *changes;
    struct down_author *authors;
    uint32_t count;
    if (f->schema != BATCH_SCHEMA_DOWN)
        return diag_set(&c->why, ERR_VERSION,
                        "The downlink has a form that is not known here; update this program.");
    enum err rc = down_read(&c->work, payload, &head, &changes, &authors, &count, &c->why);
    if (rc)
        return rc;
    bool joins = head.epoch > c->epoch ||
                 (head.epoch == c->epoch && head.cursor_from <= c->cursor && head.cursor >= c->cursor);
    bool moves = head.epoch > c->epoch || head.cursor > c->cursor;
    if (!joins || (count && !moves))
        return diag_set(&c->why, ERR_CORRUPT,
                        "The downlink leads from %llu to %llu and does not join on to what is held here "
                        "(%llu); it is an old "
                        "one.",
                        (unsigned long long)head.cursor_from, (unsigned long long)head.cursor,
                        (unsigned long long)c->cursor);
    c->caught_up = head.caught_up || !count;
    if (!moves)
        return ERR_OK;
    c->step = (struct step){.kind = STEP_DOWN,
                            .changes = changes,
                            .authors = authors,
                            .change_count = count,
                            .cursor = head.cursor,
                            .cursor_from = head.cursor_from,
                            .agreed = head.agreed,
                            .heirs = head.heirs,
                            .heir_count = head.heir_count,
                            .epoch = head.epoch};
    c->expect = EXPECT_DONE;
    return ERR_OK;
}

static enum err take_frame(struct sync_client *c)
{
    struct str rest = str_sub(buf_str(&c->reply), c->reply_at, c->reply.n - c->reply_at);
    struct frame f;
    struct str payload;
    size_t size;
    enum err rc = frame_parse(rest, &f, &size, &c->why);
    if (!rc)
        rc = frame_verify(&f, c->config.keys.sign_public, &c->why);
    if (!rc && (f.device != 0 || (f.type != FRAME_RECEIPT && f.type != FRAME_DOWN)))
        rc = diag_set(&c->why, ERR_CORRUPT, "The centre sent a frame of type %u where none belongs.",
                      (unsigned)f.type);
    if (!rc)
        rc = open_frame(c, &f, &payload);
    if (!rc)
        rc = f.type == FRAME_RECEIPT ? take_receipt(c, &f, payload) : take_down(c, &f, payload);
    if (rc)
        return rc;
    c->reply_at += size;
    c->got_down = c->got_down || f.type == FRAME_DOWN;
    c->verified = true;
    c->totals.report_told = c->totals.report_told || c->report_rides;
    return ERR_OK;
}

bool reply_take(struct sync_client *c)
{
    while (c->reply_at < c->reply.n) {
        arena_free(&c->work);
        diag_clear(&c->why);
        enum err rc = take_frame(c);
        if (rc) {
            /* What was committed stays so; the rest comes again. A receipt that came first counts. */
            buf_clear(&c->reply);
            if (phase_sends(c->phase) && c->receipted)
                c->phase = c->parts ? PHASE_PART : PHASE_FRAME;
            else if (c->phase != PHASE_SEND && phase_sends(c->phase))
                upload_again(c);
            client_fail(c, rc);
            return false;
        }
        if (c->behind)
            return false;
        if (c->expect != EXPECT_NOTHING)
            return true;
    }
    return false;
}

/* Signed, but not what was asked for: a receipt with a new token, perhaps. Once. */
static void end_without(struct sync_client *c)
{
    if (!c->renewed) {
        c->renewed = true;
        return;
    }
    diag_clear(&c->why);
    diag_set(&c->why, ERR_STATE, "The centre answers, but not what it was asked.");
    client_fail(c, ERR_STATE);
}

static void end_of_send(struct sync_client *c)
{
    if (c->receipted) {
        c->frame = STR_NONE;
        c->phase = c->parts ? PHASE_PART : PHASE_FRAME;
        client_progress(c);
        return;
    }
    if (c->phase != PHASE_SEND)
        upload_again(c);
    end_without(c);
}

static void end_of_ask(struct sync_client *c)
{
    bool delivered = c->after_ask == PHASE_SEND && c->receipted;
    c->phase = delivered ? PHASE_FRAME : c->after_ask;
    if (c->phase == PHASE_DOWN && c->caught_up)
        c->phase = PHASE_WANTED;
    if (delivered)
        client_progress(c);
}

static void end_of_down(struct sync_client *c)
{
    if (c->caught_up)
        c->phase = PHASE_WANTED;
    else if (!c->got_down)
        end_without(c);
}

void reply_end(struct sync_client *c)
{
    buf_clear(&c->reply);
    if (c->behind) {
        c->behind = c->caught_up = c->renewed = false;
        c->frame = STR_NONE;
        c->phase = PHASE_DOWN;
        return;
    }
    switch (c->phase) {
    case PHASE_SEND:
    case PHASE_OFFSET:
    case PHASE_PUT:
    case PHASE_COMMIT: end_of_send(c); break;
    case PHASE_ASK: end_of_ask(c); break;
    case PHASE_DOWN: end_of_down(c); break;
    case PHASE_OBJECT: end_without(c); break;
    default: break;
    }
}
