/* See deliver.h. The state machine decides; here its steps are carried out one by one.
 */
#include "agent/deliver.h"

#ifndef DOORSTEP_VERSION
#define DOORSTEP_VERSION "0.1"
#endif

struct run {
    struct store *store;
    const struct seam *seam;
    const struct deliver_options *o;
    struct arena arena; /* the run's */
    struct sync_client *client;
    uint64_t frame_after; /* newest frame handed to the client */
    struct buf frame;
};

static enum http_method method_of(const char *name)
{
    static const struct {
        const char *name;
        enum http_method method;
    } table[] = {{"GET", HTTP_GET},
                 {"HEAD", HTTP_HEAD},
                 {"POST", HTTP_POST},
                 {"PUT", HTTP_PUT},
                 {"DELETE", HTTP_DELETE}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].method;
    CHECK(!"a method the client never asks for");
    return HTTP_GET;
}

static void add_header(struct http_request *r, const char *name, struct str value)
{
    if (value.n > 0 && r->header_count < HTTP_HEADERS_MAX)
        r->headers[r->header_count++] = (struct http_header){str_of(name), value};
}

static enum err url_of(struct arena *a, struct str base, struct str path, struct str *out, struct diag *d)
{
    struct buf b;
    while (base.n > 0 && base.p[base.n - 1] == '/')
        base.n--;
    buf_init(&b, 8192);
    buf_put_str(&b, base);
    buf_put_str(&b, path);
    *out = b.failed ? STR_NONE : arena_str(a, buf_str(&b));
    buf_free(&b);
    return out->p ? ERR_OK : diag_set(d, ERR_USAGE, "the centre's address is too long");
}

static void step_http(struct run *run, const struct step *step)
{
    struct arena a;
    struct http_request request = {.method = method_of(step->method),
                                   .body = step->body,
                                   .body_max = step->reply_max};
    struct http_reply reply = {0};
    struct diag quiet = {0};

    arena_init(&a, 1u << 20);
    add_header(&request, "Authorization", step->authorization);
    add_header(&request, "Prefer", step->prefer);
    add_header(&request, "Range", step->range);
    enum err rc = url_of(&a, store_identity(run->store)->url, step->path, &request.url, &quiet);
    if (!rc)
        rc = run->seam->http(run->seam->self, &request, &a, &reply, &quiet);
    if (rc)
        sync_feed_failure(run->client, rc, reply.bytes_up, reply.bytes_down);
    else
        sync_feed_reply(run->client, reply.status, buf_str(&reply.body),
                        http_header_find(reply.headers, reply.header_count, "Content-Type"), reply.bytes_up,
                        reply.bytes_down);
    buf_free(&reply.body);
    arena_free(&a);
}

static enum err step_frame(struct run *run, struct diag *d)
{
    bool any = false;
    buf_clear(&run->frame);
    enum err rc = store_frame_next(run->store, run->frame_after, &run->frame_after, &run->frame, &any, d);
    if (!rc)
        sync_feed_frame(run->client, any ? buf_str(&run->frame) : STR_NONE);
    return rc;
}

static enum err step_wanted(struct run *run, struct diag *d)
{
    unsigned char hash[SHA256_SIZE];
    uint64_t size = 0;
    bool any = false;
    enum err rc = store_object_wanted(run->store, hash, &size, &any, d);
    if (!rc)
        sync_feed_wanted(run->client, any ? hash : NULL, size);
    return rc;
}

static void tell(struct run *run, int64_t wait_ms)
{
    if (!run->o->progress)
        return;
    struct arena a;
    struct store_status status = {0};
    struct diag quiet = {0};
    arena_init(&a, 16u << 20);
    if (!store_status(run->store, &a, &status, &quiet)) {
        struct deliver_progress p = {sync_totals(run->client), status.bytes_waiting, wait_ms};
        run->o->progress(run->o->self, &p);
    }
    arena_free(&a);
}

/* One step; *done_out when there is nothing left to do. */
static enum err carry_out(struct run *run, const struct step *step, bool *done_out, struct diag *d)
{
    enum err rc = ERR_OK;

    switch (step->kind) {
    case STEP_HTTP: step_http(run, step); return ERR_OK;
    case STEP_FRAME: return step_frame(run, d);
    case STEP_WANTED: return step_wanted(run, d);
    case STEP_RECEIPT: rc = store_receipt(run->store, &step->receipt, step->receipt_frame, d); break;
    case STEP_DOWN: rc = store_down(run->store, step, d); break;
    case STEP_OBJECT: rc = store_object_put(run->store, step->hash, step->object, d); break;
    case STEP_WAIT:
        tell(run, step->wait_ms);
        run->seam->sleep_ms(run->seam->self, step->wait_ms);
        break;
    case STEP_DONE: *done_out = true; return ERR_OK;
    case STEP_STOPPED: return diag_set(d, step->cause, "the sync stopped; what has no receipt is still held");
    }
    sync_feed_done(run->client, rc);
    tell(run, 0);
    return rc;
}

static enum err open_client(struct run *run, struct diag *d)
{
    const struct identity *id = store_identity(run->store);
    struct sync_config c = {.device = id->by.device,
                            .inc = id->by.inc,
                            .seal = id->seal,
                            .token = id->by.token,
                            .cursor = id->cursor,
                            .epoch = id->epoch,
                            .bytes_max = run->o->bytes_max,
                            .tries_max = run->o->tries_max};
    enum err rc = keyset_read(&run->arena, id->keyset, NULL, &c.keys, d);
    if (!rc)
        rc = run->seam->random(run->seam->self, &c.jitter_seed, sizeof c.jitter_seed);
    return rc ? rc : sync_client_open(&run->arena, &c, &run->client, d);
}

enum err deliver(struct store *s, const struct seam *seam, const struct deliver_options *o,
                 struct sync_totals *totals_out, struct diag *d)
{
    struct run run = {.store = s, .seam = seam, .o = o};
    uint32_t frames = 0;
    bool done = false;

    arena_init(&run.arena, 256u << 20);
    buf_init(&run.frame, FRAME_SIZE_MAX);
    enum err rc = store_cut(s, &frames, d);
    if (!rc)
        rc = open_client(&run, d);
    while (!rc && !done) {
        struct step step;
        sync_next(run.client, &step, d);
        rc = carry_out(&run, &step, &done, d);
    }
    if (run.client)
        *totals_out = sync_totals(run.client);
    seam->log(seam->self, rc ? LOG_SYNC_FAILED : LOG_SYNC_DONE, (int64_t)totals_out->frames_receipted,
              (int64_t)totals_out->bytes_up, rc);
    sync_client_close(run.client);
    buf_free(&run.frame);
    arena_free(&run.arena);
    return rc;
}

/* ---- enrolment ---- */

struct enrolment {
    const struct seam *seam;
    struct arena arena;
    struct str url;
    uint64_t token60;
    unsigned char print[16];
    bool has_print;
    struct keyset keys;
    struct identity id;
};

static enum err read_code(struct enrolment *e, const struct enrol_options *o, struct diag *d)
{
    struct enrol_code code;

    if (strncmp(o->code, "dse1:", 5) == 0) {
        enum err rc = enrol_code_read(&e->arena, str_of(o->code), &code, d);
        if (rc)
            return rc;
        e->url = o->url ? str_of(o->url) : code.url;
        e->token60 = code.token60;
        memcpy(e->print, code.root_print, sizeof e->print);
        e->has_print = true;
        return ERR_OK;
    }
    if (!enrol_token_read(str_of(o->code), &e->token60))
        return diag_set(d, ERR_USAGE,
                        "this code has a typing mistake: it is 13 letters and digits, XXXX-XXXX-XXXX-C");
    if (!o->url)
        return diag_set(d, ERR_USAGE, "a typed code needs the centre's address too: --centre URL");
    e->url = str_of(o->url);
    if (o->root_print) {
        if (!root_print_read(str_of(o->root_print), e->print))
            return diag_set(d, ERR_USAGE, "the fingerprint has 32 hexadecimal digits, in groups of four");
        e->has_print = true;
    }
    return ERR_OK;
}

static enum err exchange(struct enrolment *e, enum http_method method, const char *path, struct str body,
                         struct str *reply_out, struct diag *d)
{
    struct http_request request = {.method = method, .body = body, .body_max = 256u << 10};
    struct http_reply reply = {0};

    enum err rc = url_of(&e->arena, e->url, str_of(path), &request.url, d);
    if (!rc)
        rc = e->seam->http(e->seam->self, &request, &e->arena, &reply, d);
    if (!rc && reply.status == 403)
        rc = diag_set(d, ERR_DENIED,
                      "the centre does not accept this code: it may be used up or older than 48 hours; ask "
                      "for a new one");
    else if (!rc && (reply.status < 200 || reply.status > 299))
        rc = diag_set(d, ERR_NET, "%.*s answered %d: is this the centre's address?", STR_ARG(e->url),
                      reply.status);
    if (!rc) {
        *reply_out = arena_str(&e->arena, buf_str(&reply.body));
        rc = reply_out->p ? ERR_OK : diag_set(d, ERR_NOMEM, "no memory to enrol");
    }
    buf_free(&reply.body);
    return rc;
}

static enum err know_root(struct enrolment *e, const struct enrol_options *o, struct diag *d)
{
    unsigned char hash[SHA256_SIZE];
    char text[40];

    enum err rc = exchange(e, HTTP_GET, "/v1/keys", STR_NONE, &e->id.keyset, d);
    if (!rc)
        rc = keyset_read(&e->arena, e->id.keyset, e->has_print ? e->print : NULL, &e->keys, d);
    if (rc || e->has_print)
        return rc;
    rc = sha256((struct str){(const char *)e->keys.root_public, P256_PUBLIC_SIZE}, hash);
    if (rc)
        return rc;
    root_print_text(hash, text);
    if (!o->confirm || !o->confirm(o->self, text))
        return diag_set(d, ERR_DENIED,
                        "the centre's fingerprint is %s and nobody confirmed it: compare it with the "
                        "county's sheet, or give --root",
                        text);
    return ERR_OK;
}

static enum err ask_centre(struct enrolment *e, const struct enrol_options *o, struct diag *d)
{
    struct enrol_request request = {.token60 = e->token60,
                                    .model = str_of(o->model ? o->model : "handheld"),
                                    .version = STR(DOORSTEP_VERSION),
                                    .now_ms = e->seam->wall_ms(e->seam->self)};
    struct buf body;
    struct str reply;

    buf_init(&body, 64u << 10);
    enum err rc = x25519_make(NULL, &e->id.seal);
    if (!rc)
        rc = p256_make(NULL, &e->id.sign);
    memcpy(request.seal_public, e->id.seal.public, sizeof request.seal_public);
    memcpy(request.sign_public, e->id.sign.public, sizeof request.sign_public);
    if (!rc)
        rc = enrol_request_write(&request, e->keys.seal_public, NULL, &body, d);
    if (!rc)
        rc = exchange(e, HTTP_POST, "/v1/enrol", buf_str(&body), &reply, d);
    if (!rc)
        rc = enrol_reply_read(&e->arena, reply, &e->keys, &e->id.seal, &e->id.by, d);
    buf_free(&body);
    return rc;
}

enum err enrol(struct store *s, const struct seam *seam, const struct enrol_options *o, struct diag *d)
{
    struct enrolment e = {.seam = seam};

    if (store_identity(s)->enrolled)
        return diag_set(d, ERR_STATE, "this device is enrolled already, at %.*s",
                        STR_ARG(store_identity(s)->url));
    arena_init(&e.arena, 4u << 20);
    enum err rc = read_code(&e, o, d);
    if (!rc)
        rc = know_root(&e, o, d);
    if (!rc)
        rc = ask_centre(&e, o, d);
    if (!rc) {
        e.id.enrolled = true;
        e.id.url = e.url;
        e.id.epoch = e.id.by.epoch;
        rc = store_enrol(s, &e.id, d);
    }
    if (!rc)
        seam->log(seam->self, LOG_ENROLLED, (int64_t)e.id.by.inc, 0, ERR_OK);
    crypto_wipe(&e.id, sizeof e.id);
    arena_free(&e.arena);
    return rc;
}
