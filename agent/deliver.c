/* See deliver.h. The state machine decides; here its steps are carried out one by one. Nothing here knows
 * what a receipt or a frame holds.
 */
#include "agent/deliver.h"
#include "agent/store_device.h"
#include "agent/reincarnate.h"

#include "agent/attach.h"
#include "agent/store_travel.h"

#include "agent/lists.h"

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
    uint64_t part_after;  /* and of attachments */
    struct buf frame;
    struct buf begun, base; /* of the object that is being fetched */
    struct str ca; /* PEM of the authorities the centre's certificate must come from; "" = the system's */
    struct str report, version_now; /* that the centre is told in this run */
    struct diag http;               /* what the last request said when it failed */
    struct deliver_result result;
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

static struct str header_of(const struct http_reply *reply, const char *name)
{
    return http_header_find(reply->headers, reply->header_count, name);
}

static void feed(struct run *run, const struct http_reply *reply, int64_t took_ms)
{
    const struct sync_reply told = {.status = reply->status,
                                    .body = buf_str(&reply->body),
                                    .content_type = header_of(reply, "Content-Type"),
                                    .offset = header_of(reply, "Ds-Offset"),
                                    .done = header_of(reply, "Ds-Done"),
                                    .patch = header_of(reply, "Ds-Patch"),
                                    .content_range = header_of(reply, "Content-Range"),
                                    .bytes_up = reply->bytes_up,
                                    .bytes_down = reply->bytes_down,
                                    .took_ms = took_ms};
    sync_feed_reply(run->client, &told);
}

static void step_http(struct run *run, const struct step *step)
{
    struct arena a;
    struct http_request request = {.method = method_of(step->method),
                                   .body = step->body,
                                   .body_max = step->reply_max,
                                   .stop = run->o->stop,
                                   .stop_self = run->o->self,
                                   .ca = run->ca};
    struct http_reply reply = {0};
    int64_t began_ms = run->seam->mono_ms(run->seam->self);

    diag_clear(&run->http);
    arena_init(&a, 1u << 20);
    add_header(&request, "Authorization", step->authorization);
    add_header(&request, "Range", step->range);
    enum err rc = url_of(&a, store_identity(run->store)->url, step->path, &request.url, &run->http);
    if (!rc)
        rc = run->seam->http(run->seam->self, &request, &a, &reply, &run->http);
    int64_t took_ms = run->seam->mono_ms(run->seam->self) - began_ms;
    if (rc)
        sync_feed_failure(run->client, rc, reply.bytes_up, reply.bytes_down, took_ms);
    else
        feed(run, &reply, took_ms);
    buf_free(&reply.body);
    arena_free(&a);
}

static enum err step_frame(struct run *run, struct diag *d)
{
    bool any = false;
    enum err rc = ERR_OK;
    buf_clear(&run->frame);
    if (!run->o->receive_only)
        rc = store_frame_next(run->store, run->frame_after, &run->frame_after, &run->frame, &any, d);
    if (!rc && any)
        rc = store_frame_sent(run->store, run->frame_after, d);
    if (!rc)
        sync_feed_frame(run->client, any ? buf_str(&run->frame) : STR_NONE);
    return rc;
}

/* Parts of attachments are cut one by one: a card need not hold them twice. */
static enum err step_part(struct run *run, struct diag *d)
{
    bool any = false;
    buf_clear(&run->frame);
    enum err rc = ERR_OK;
    if (!run->o->receive_only)
        rc = attach_part_next(run->store, run->part_after, &run->part_after, &run->frame, &any, d);
    if (!rc)
        sync_feed_frame(run->client, any ? buf_str(&run->frame) : STR_NONE);
    return rc;
}

/* What an earlier run fetched of it, and the version before it. Neither is needed. */
static void look_for_help(struct run *run, const unsigned char *hash, unsigned char *base_hash,
                          struct sync_wanted *wanted)
{
    struct diag quiet = {0};
    buf_clear(&run->begun);
    buf_clear(&run->base);
    if (!store_object_begun(run->store, hash, &run->begun, &quiet))
        wanted->have = buf_str(&run->begun);
    if (wanted->have.n || store_object_base(run->store, hash, base_hash, &run->base, &quiet))
        return;
    wanted->base_hash = base_hash;
    wanted->base = buf_str(&run->base);
}

static enum err step_wanted(struct run *run, const struct step *step, struct diag *d)
{
    struct sync_wanted wanted = {0};
    unsigned char hash[SHA256_SIZE], base_hash[SHA256_SIZE];
    bool any = false;
    enum err rc = store_object_wanted(run->store, step->refused, step->refused_count, hash, &wanted.size,
                                      &any, d);
    if (!rc && any) {
        wanted.hash = hash;
        look_for_help(run, hash, base_hash, &wanted);
    }
    if (!rc)
        sync_feed_wanted(run->client, any ? &wanted : NULL);
    return rc;
}

static enum err keep_object(struct run *run, const struct step *step, struct diag *d)
{
    enum err rc = store_object_put(run->store, step->hash, step->object, d);
    return rc ? rc : store_object_pieces_drop(run->store, step->hash, d);
}

static enum err step_receipt(struct run *run, const struct step *step, struct diag *d)
{
    bool again = false;
    uint32_t frames;
    enum err rc = store_receipt(run->store, step, &again, d);
    if (!rc)
        rc = attach_receipt(run->store, &step->receipt, d);
    if (!rc)
        run->result.clock_off_ms = step->receipt.clock_off_ms;
    return !rc && again ? store_cut(run->store, &frames, d) : rc;
}

/* What has no receipt yet. */
static enum err waiting(struct store *s, uint64_t *frames, uint64_t *bytes, uint64_t *files,
                        uint64_t *file_bytes)
{
    struct diag quiet = {0};
    struct attach_status attached = {0};
    enum err rc = store_waiting(s, frames, bytes, &quiet);
    if (!rc)
        rc = attach_status(s, &attached, &quiet);
    *files = attached.waiting;
    *file_bytes = attached.bytes_waiting;
    return rc;
}

static void tell(struct run *run, int64_t wait_ms, const char *why, bool portal)
{
    struct deliver_progress p = {.totals = sync_totals(run->client),
                                 .wait_ms = wait_ms,
                                 .why = why,
                                 .portal = portal};
    if (run->o->progress &&
        !waiting(run->store, &p.frames_waiting, &p.bytes_waiting, &p.files_waiting, &p.file_bytes_waiting))
        run->o->progress(run->o->self, &p);
}

static void tell_list(void *self, struct str list)
{
    struct run *run = self;
    struct deliver_progress p = {.totals = sync_totals(run->client), .list = list};
    if (run->o->progress)
        run->o->progress(run->o->self, &p);
}

/* The machine knows causes; what exactly broke, the request itself said. */
static const char *sentence(const struct run *run, const struct step *step, const struct diag *said)
{
    bool general = strcmp(said->text, err_action(step->cause)->todo_en) == 0;
    return general && run->http.text[0] ? run->http.text : said->text;
}

static void wait_a_while(struct run *run, const struct step *step, const struct diag *said)
{
    tell(run, step->wait_ms, sentence(run, step, said), step->portal);
    run->seam->sleep_ms(run->seam->self, step->wait_ms);
    sync_feed_done(run->client, ERR_OK);
}

static enum err stopped(struct run *run, const struct step *step, const struct diag *said, struct diag *d)
{
    run->result.budget_used = step->budget;
    run->result.portal = step->portal;
    return step->budget ? ERR_OK : diag_set(d, step->cause, "%s", sentence(run, step, said));
}

static enum err commit(struct run *run, const struct step *step, struct diag *d)
{
    switch (step->kind) {
    case STEP_RECEIPT: return step_receipt(run, step, d);
    case STEP_DOWN: return store_down(run->store, step, d);
    case STEP_PIECE: return store_object_piece(run->store, step->hash, step->at, step->object, d);
    default: return keep_object(run, step, d);
    }
}

/* One step; *done_out when there is nothing left to do. */
static enum err carry_out(struct run *run, bool *done_out, struct diag *d)
{
    struct step step;
    struct diag said = {0};
    enum err rc = ERR_OK;

    sync_next(run->client, &step, &said);
    switch (step.kind) {
    case STEP_HTTP: step_http(run, &step); break;
    case STEP_FRAME: rc = step_frame(run, d); break;
    case STEP_WANTED: rc = step_wanted(run, &step, d); break;
    case STEP_PART: rc = step_part(run, d); break;
    case STEP_WAIT: wait_a_while(run, &step, &said); break;
    case STEP_RECEIPT:
    case STEP_DOWN:
    case STEP_PIECE:
    case STEP_OBJECT:
        rc = commit(run, &step, d);
        sync_feed_done(run->client, rc);
        tell(run, 0, NULL, false);
        break;
    case STEP_DONE: *done_out = true; break;
    case STEP_STOPPED:
        *done_out = true;
        rc = stopped(run, &step, &said, d);
        break;
    }
    return rc;
}

/* What the centre was told last stands in the store; only what differs is said. */
static enum err report_make(struct run *run, struct diag *d)
{
    uint64_t frames = 0, bytes = 0, files = 0, file_bytes = 0;
    struct str told_version = STR_NONE, told = STR_NONE;
    struct buf text;
    if (!run->o->state)
        return ERR_OK;
    struct device_report r = *run->o->state;
    enum err rc = waiting(run->store, &frames, &bytes, &files, &file_bytes);
    if (!rc)
        rc = store_report_told(run->store, &run->arena, &told, &told_version, d);
    if (rc)
        return rc;
    r.waiting = (uint32_t)((frames > 1 ? frames : 0) + files);
    r.version = STR("");
    run->version_now = str_of(DOORSTEP_VERSION);
    if (!str_eq(told_version, run->version_now))
        r.version = run->version_now;
    buf_init(&text, DEVICE_REPORT_MAX);
    device_report_write(&r, &text);
    run->report = str_eq(buf_str(&text), told) ? STR("") : arena_str(&run->arena, buf_str(&text));
    buf_free(&text);
    return run->report.p ? ERR_OK : ERR_NOMEM;
}

/* Without the version, which is said once: that is what the next report is compared with. */
static enum err report_keep(struct run *run, struct diag *d)
{
    struct str levels, waiting_text, rest = run->report;
    if (!run->report.n || !run->result.totals.report_told)
        return ERR_OK;
    (void)str_split(&rest, '.', &levels);
    (void)str_split(&rest, '.', &waiting_text);
    size_t n = (size_t)(waiting_text.p + waiting_text.n - run->report.p);
    return store_report_put(run->store, str_sub(run->report, 0, n), run->version_now, d);
}

/* By the county's order, once nothing more can be given. */
static enum err erase_if_ordered(struct run *run, enum err rc, struct diag *d)
{
    bool ordered = false;
    uint64_t left = 0;
    enum err looked = store_erase_ordered(run->store, &ordered, NULL);
    if (!looked && ordered)
        looked = store_erase(run->store, &left, NULL);
    if (looked || !ordered)
        return rc; /* it is tried again with the next run */
    if (d)
        diag_clear(d);
    return diag_set(d, ERR_DENIED,
                    "The county has shut this handheld out as lost. What it had given was erased; %llu "
                    "households stay, because something about them was given to nobody yet.",
                    (unsigned long long)left);
}

static enum err open_client(struct run *run, struct diag *d)
{
    const struct identity *id = store_identity(run->store);
    struct sync_config c = {.device = id->by.device,
                            .inc = id->by.inc,
                            .seal = id->seal,
                            .token = id->by.token,
                            .cursor = id->retell ? id->told : id->cursor,
                            .own_too = id->retell,
                            .epoch = id->epoch,
                            .bytes_max = run->o->bytes_max,
                            .metered = run->o->metered,
                            .tries_max = run->o->tries_max};
    enum err rc = store_frame_unsure(run->store, &c.unsure_from, d);
    if (!rc)
        rc = report_make(run, d);
    c.report = run->report;
    if (run->o->receive_only)
        c.unsure_from = 1;
    if (!rc)
        rc = store_dict(run->store, &run->arena, &c.dict, d);
    if (!rc)
        rc = store_ca(run->store, &run->arena, &run->ca, d);
    if (!rc)
        rc = keyset_read(&run->arena, id->keyset, NULL, &c.keys, d);
    if (!rc)
        rc = run->seam->random(run->seam->self, &c.jitter_seed, sizeof c.jitter_seed);
    if (!rc)
        rc = sync_client_open(&run->arena, &c, &run->client, d);
    crypto_wipe(&c.seal, sizeof c.seal);
    return rc;
}

static enum err deliver_once(struct store *s, const struct seam *seam, const struct deliver_options *o,
                             struct deliver_result *result_out, struct diag *d)
{
    struct run run = {.store = s, .seam = seam, .o = o};
    uint32_t frames = 0;
    bool done = false;

    arena_init(&run.arena, 256u << 20);
    buf_init(&run.frame, FRAME_SIZE_MAX);
    buf_init(&run.begun, SYNC_OBJECT_MAX);
    buf_init(&run.base, STORE_BASE_MAX);
    enum err rc = store_cut(s, &frames, d);
    if (!rc)
        rc = open_client(&run, d);
    while (!rc && !done) {
        rc = carry_out(&run, &done, d);
        if (!rc && !done && o->stop && o->stop(o->self))
            rc = diag_set(d, ERR_NET, "the sync was ended, as was asked; what has no receipt is still held");
    }
    if (run.client)
        run.result.totals = sync_totals(run.client);
    if (report_keep(&run, NULL))
        run.result.totals.failures++; /* it is said again with the next run */
    rc = erase_if_ordered(&run, rc, d);
    if (run.result.totals.objects_received > 0)
        lists_prepare(s, seam, &(struct lists_watch){&run, tell_list});
    if (!rc)
        rc = attach_forget(s, d);
    if (waiting(s, &run.result.frames_waiting, &run.result.bytes_waiting, &run.result.files_waiting,
                &run.result.file_bytes_waiting))
        run.result.frames_waiting = 0; /* the store failed; that is what `rc` says */
    *result_out = run.result;
    seam->log(seam->self, rc ? LOG_SYNC_FAILED : LOG_SYNC_DONE, (int64_t)run.result.totals.frames_receipted,
              (int64_t)run.result.totals.bytes_up, rc);
    sync_client_close(run.client);
    buf_free(&run.frame);
    buf_free(&run.begun);
    buf_free(&run.base);
    arena_free(&run.arena);
    return rc;
}

/* An incarnation that is over sends nothing more: another one is asked for first. */
static enum err over_settle(struct store *s, const struct seam *seam, struct diag *d)
{
    struct arena a;
    struct str ca = STR("");

    if (!store_identity(s)->over.n)
        return ERR_OK;
    arena_init(&a, 4u << 20);
    enum err rc = store_ca(s, &a, &ca, d);
    if (!rc)
        rc = reincarnate(s, seam, ca, d);
    arena_free(&a);
    return rc;
}

enum err deliver(struct store *s, const struct seam *seam, const struct deliver_options *o,
                 struct deliver_result *result_out, struct diag *d)
{
    struct deliver_result result = {0};
    enum err rc = store_refresh(s, d);
    if (!rc && !o->receive_only)
        rc = over_settle(s, seam, d);
    if (!rc)
        rc = deliver_once(s, seam, o, &result, d);
    /* The run itself may find out that a copy of this device has sent, or that its data are older than that.
     */
    if (!o->receive_only && store_identity(s)->over.n && !str_eq_z(store_identity(s)->over, "revoked")) {
        diag_clear(d);
        rc = over_settle(s, seam, d);
        if (!rc)
            rc = deliver_once(s, seam, o, &result, d);
    }
    *result_out = result;
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
    struct str ca;
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

/* What the centre answers here is JSON; a page in its place comes from a network that wants a login first. */
static bool is_page(const struct http_reply *reply)
{
    struct str body = str_trim(str_sub(buf_str(&reply->body), 0, 256));
    return (body.n > 0 && body.p[0] == '<') || (reply->status >= 300 && reply->status < 400);
}

static enum err exchange(struct enrolment *e, enum http_method method, const char *path, struct str body,
                         struct str *reply_out, struct diag *d)
{
    struct http_request request = {.method = method, .body = body, .body_max = 256u << 10, .ca = e->ca};
    struct http_reply reply = {0};

    enum err rc = url_of(&e->arena, e->url, str_of(path), &request.url, d);
    if (!rc)
        rc = e->seam->http(e->seam->self, &request, &e->arena, &reply, d);
    if (!rc && is_page(&reply))
        rc = diag_set(d, ERR_NET,
                      "this network answers instead of the centre (login page?): sign in to the network, or "
                      "try another one; the code stays good");
    else if (!rc && reply.status == 403)
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

static enum err read_ca(struct enrolment *e, const struct enrol_options *o, struct diag *d)
{
    struct buf pem;
    if (!o->ca_file)
        return ERR_OK;
    buf_init(&pem, 256u << 10);
    enum err rc = e->seam->file_read(e->seam->self, o->ca_file, &pem, d);
    if (!rc) {
        e->ca = arena_str(&e->arena, buf_str(&pem));
        rc = e->ca.p ? ERR_OK : diag_set(d, ERR_NOMEM, "no memory to enrol");
    }
    buf_free(&pem);
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

static enum err ask_centre(struct enrolment *e, struct store *s, const struct enrol_options *o,
                           struct diag *d)
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
    if (!rc)
        rc = store_enrol_prepare(s, &e->id, d);
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

    if (store_identity(s)->enrolled && !store_identity(s)->over.n)
        return diag_set(d, ERR_STATE, "this device is enrolled already, at %.*s",
                        STR_ARG(store_identity(s)->url));
    arena_init(&e.arena, 4u << 20);
    enum err rc = read_code(&e, o, d);
    if (!rc)
        rc = read_ca(&e, o, d);
    if (!rc && e.ca.n)
        rc = store_ca_put(s, e.ca, d);
    if (!rc)
        rc = know_root(&e, o, d);
    if (!rc)
        rc = ask_centre(&e, s, o, d);
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
