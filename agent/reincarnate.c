/* See reincarnate.h. The keys of the next incarnation are kept before they are asked with: a reply that is
 * lost is asked for again, and is the same. */
#include "agent/reincarnate.h"

#include "sync/incarnation.h"

#define REPLY_MAX (1u << 20)
#define ASKS_MAX 3

struct rebirth {
    struct store *s;
    const struct seam *seam;
    struct str ca;
    struct arena a;
    struct keyset keys;
    struct identity next;
};

static enum err exchange(struct rebirth *x, enum http_method method, const char *path, struct str body,
                         int *status_out, struct str *reply_out, struct diag *d)
{
    const struct identity *id = store_identity(x->s);
    struct http_request request = {.method = method, .body = body, .body_max = REPLY_MAX, .ca = x->ca};
    struct http_reply reply = {0};
    struct buf text;
    struct str base = id->url;

    while (base.n > 0 && base.p[base.n - 1] == '/')
        base.n--;
    buf_init(&text, 8192);
    buf_put_str(&text, base);
    buf_put_z(&text, path);
    request.url = arena_str(&x->a, buf_str(&text));
    buf_clear(&text);
    buf_put_z(&text, "Bearer ");
    buf_put_str(&text, id->by.token);
    struct str token = arena_str(&x->a, buf_str(&text));
    enum err rc = text.failed || !request.url.p || !token.p ? ERR_NOMEM : ERR_OK;
    buf_free(&text);
    request.headers[request.header_count++] = (struct http_header){STR("Authorization"), token};
    if (!rc)
        rc = x->seam->http(x->seam->self, &request, &x->a, &reply, d);
    if (!rc) {
        *status_out = reply.status;
        *reply_out = arena_str(&x->a, buf_str(&reply.body));
        rc = reply_out->p ? ERR_OK : diag_set(d, ERR_NOMEM, "no memory to read the centre's reply");
    }
    buf_free(&reply.body);
    return rc;
}

static enum err receipt_take(struct rebirth *x, struct str bytes, struct diag *d)
{
    const struct identity *id = store_identity(x->s);
    struct step step = {.kind = STEP_RECEIPT};
    struct frame f;
    struct buf plain;
    size_t size;
    bool again;

    enum err rc = frame_parse(bytes, &f, &size, d);
    if (!rc)
        rc = frame_verify(&f, x->keys.sign_public, d);
    if (!rc && (f.type != FRAME_RECEIPT || f.schema != BATCH_SCHEMA_RECEIPT))
        rc = diag_set(d, ERR_CORRUPT, "the centre sent something else than receipts");
    if (rc)
        return rc;
    buf_init(&plain, f.raw_size);
    rc = frame_open(&f, &id->seal, &plain, d);
    struct str payload = rc ? STR_NONE : arena_str(&x->a, buf_str(&plain));
    buf_free(&plain);
    if (!rc)
        rc = payload.p ? receipt_read(&x->a, payload, &step.receipt, d) : ERR_NOMEM;
    step.receipt_frame = f.bytes;
    step.cursor = id->cursor;
    return rc ? rc : store_receipt(x->s, &step, &again, d);
}

/* What does the centre have of that which waits here? */
static enum err receipts_ask(struct rebirth *x, struct diag *d)
{
    struct frozen *list = NULL;
    uint32_t count = 0;
    int status = 0;
    struct str reply;
    struct buf path;

    enum err rc = store_frozen_lost(x->s, &x->a, &list, &count, d);
    if (rc || !count)
        return rc;
    buf_init(&path, 100);
    buf_printf(&path, "/v1/a?since=%llu", (unsigned long long)(list[0].batch_seq - 1));
    rc = exchange(x, HTTP_GET, path.p, STR_NONE, &status, &reply, d);
    buf_free(&path);
    if (!rc && status != 200)
        rc = diag_set(d, status == 401 || status == 403 ? ERR_DENIED : ERR_NET,
                      "the centre does not tell what it has of this device (HTTP %d); what waits here stays",
                      status);
    return rc ? rc : receipt_take(x, reply, d);
}

static enum err request_make(struct rebirth *x, struct buf *frame_out, struct diag *d)
{
    const struct identity *id = store_identity(x->s);
    struct frozen *list = NULL;
    uint32_t count = 0;
    struct buf payload;
    struct incarnation_request q = {.items = NULL};
    struct incarnation_visit *visits = NULL;
    const struct frame_seal how = {.type = FRAME_MANIFEST,
                                   .device = id->by.device,
                                   .inc = id->by.inc,
                                   .batch_seq = 1,
                                   .schema = BATCH_SCHEMA_INCARNATION,
                                   .recipient = x->keys.seal_public,
                                   .author = &id->sign};

    enum err rc = store_frozen_lost(x->s, &x->a, &list, &count, d);
    struct incarnation_item *items = rc ? NULL
                                        : ARENA_ARRAY(&x->a, struct incarnation_item, (size_t)count + 1);
    if (!rc && (!items || count > INCARNATION_ITEMS_MAX))
        rc = diag_set(d, items ? ERR_LIMIT : ERR_NOMEM, "too much waits here to be handed over at once");
    for (uint32_t i = 0; !rc && i < count; i++) {
        items[i].batch_seq = list[i].batch_seq;
        memcpy(items[i].batch_id, list[i].batch_id, BATCH_ID_SIZE);
    }
    q.items = items;
    q.item_count = count;
    if (!rc)
        rc = store_undelivered(x->s, &x->a, &visits, &q.visit_count, &q.upto, d);
    if (!rc && q.visit_count > INCARNATION_ITEMS_MAX)
        rc = diag_set(d, ERR_LIMIT, "too much waits here to be handed over at once");
    q.visits = visits;
    x->next.upto = q.upto;
    memcpy(q.seal_public, x->next.seal.public, sizeof q.seal_public);
    memcpy(q.sign_public, x->next.sign.public, sizeof q.sign_public);
    buf_init(&payload, FRAME_RAW_MAX);
    if (!rc)
        rc = incarnation_write(&q, &payload);
    if (!rc)
        rc = frame_make(&how, buf_str(&payload), frame_out, d);
    buf_free(&payload);
    return rc;
}

static enum err ask(struct rebirth *x, bool *stored_out, struct diag *d)
{
    struct buf frame;
    struct str reply;
    int status = 0;

    buf_init(&frame, FRAME_SIZE_MAX);
    enum err rc = request_make(x, &frame, d);
    if (!rc)
        rc = exchange(x, HTTP_POST, "/v1/i", buf_str(&frame), &status, &reply, d);
    buf_free(&frame);
    *stored_out = !rc && status == 409;
    if (!rc && status == 403)
        rc = diag_set(
            d, ERR_DENIED,
            "the county has shut this device out: what it holds stays here until it is enrolled with a "
            "new code");
    else if (!rc && status != 200)
        rc = diag_set(d, ERR_NET,
                      "the centre does not make this device known anew yet (HTTP %d); try again later",
                      status);
    return rc ? rc : enrol_reply_read(&x->a, reply, &x->keys, &x->next.seal, &x->next.by, d);
}

enum err reincarnate(struct store *s, const struct seam *seam, struct str ca, struct diag *d)
{
    struct rebirth x = {.s = s, .seam = seam, .ca = ca};
    bool stored = true;

    if (str_eq_z(store_identity(s)->over, "revoked"))
        return diag_set(
            d, ERR_DENIED,
            "the county has shut this device out: what it holds stays here until it is enrolled with a "
            "new code");
    arena_init(&x.a, 64u << 20);
    enum err rc = keyset_read(&x.a, store_identity(s)->keyset, NULL, &x.keys, d);
    if (!rc)
        rc = store_next_keys(s, &x.next, d);
    /* A courier may deliver between the question and the request: then the question is asked again. */
    for (int i = 0; i < ASKS_MAX && stored && (!rc || i > 0); i++) {
        if (i > 0)
            diag_clear(d);
        rc = receipts_ask(&x, d);
        if (!rc)
            rc = ask(&x, &stored, d);
        else
            stored = false;
    }
    if (!rc) {
        x.next.enrolled = true;
        x.next.url = arena_str(&x.a, store_identity(s)->url);
        x.next.keyset = arena_str(&x.a, store_identity(s)->keyset);
        x.next.epoch = x.next.by.epoch;
        rc = x.next.url.p && x.next.keyset.p ? store_enrol(s, &x.next, d) : ERR_NOMEM;
    }
    if (!rc)
        seam->log(seam->self, LOG_ENROLLED, (int64_t)x.next.by.inc, 0, ERR_OK);
    crypto_wipe(&x.next, sizeof x.next);
    arena_free(&x.a);
    return rc;
}
