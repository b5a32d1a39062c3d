/* What each address of the centre does. Frames in, frames out; everything that a device receives is signed by
 * the centre, so that a captive portal's page is never taken for it. Replies of frames name no content type:
 * it would travel with every one of them, and says nothing that the first four bytes do not. */
#include "server/routes.h"
#include "server/courier.h"
#include "server/device_report.h"
#include "server/reports.h"
#include "server/screens.h"
#include "server/transport.h"

#define JSON_TYPE STR("application/json")
#define DOWN_DEFAULT 65536
#define DOWN_MIN 512
#define COURIER_REPLY_MAX (1u << 20)

static bool query_u64(struct call *c, const char *name, uint64_t *out)
{
    return str_to_u64(http_query(c->a, c->request->url, name), out);
}

/* What rides along in `r`: a word about the handheld. That it cannot be read or kept is nobody's trouble. */
static void hear_report(struct call *c, uint64_t device)
{
    struct device_report_row row = {.device = device, .at_ms = srv_now_ms(c->server)};
    struct str text = http_query(c->a, c->request->url, "r");
    if (!text.p || !device_report_read(text, &row.report))
        return;
    pthread_mutex_lock(&c->server->write_turn);
    enum err rc = cstore_begin(c->st, NULL);
    if (!rc)
        rc = cstore_device_report_put(c->st, &row, NULL);
    if (!rc)
        rc = cstore_commit(c->st, NULL);
    (void)rc; /* what could not be noted changes nothing for the caller */
    cstore_rollback(c->st);
    pthread_mutex_unlock(&c->server->write_turn);
}

static enum err take_changes(struct call *c, struct str frame, struct diag *d)
{
    struct accepted x = {0};
    uint64_t cursor = UINT64_MAX;
    struct buf down;
    bool any = false;
    bool wants_down = query_u64(c, "d", &cursor);
    enum err rc = srv_accept(c->server, c->st, c->a, frame, cursor, &x, d);
    c->who_is_it = rc == ERR_DENIED; /* an unknown handheld */
    if (rc)
        return rc;
    hear_report(c, x.device.device);
    buf_put_str(&c->reply->body, x.batch.receipt);
    /* A frame that could not be read, or was frozen in an epoch before this one, does not say in which one
     * its author counts now. */
    if (x.device.revoked_ms || x.caught_up || !wants_down || x.duplicate || !x.epoch)
        return ERR_OK;
    /* What rides along is a gift: when it cannot be made, the receipt still counts. */
    const struct down_ask ask = {&x.device, x.person.area, cursor, SRV_REPLY_DOWN_MAX, x.epoch, false, 0};
    buf_init(&down, FRAME_SIZE_MAX);
    rc = down_build(c->server, c->st, c->a, &ask, &down, &any, NULL);
    if (!rc && any && down.n <= SRV_REPLY_DOWN_MAX)
        buf_put_str(&c->reply->body, buf_str(&down));
    buf_free(&down);
    return ERR_OK;
}

/* A frame of a handheld: changes, or a part of an attachment. */
static enum err take_frame(struct call *c, struct str frame, struct diag *d)
{
    struct buf receipt;
    if (frame.n < FRAME_HEAD_SIZE || frame.p[5] != FRAME_OBJECT)
        return take_changes(c, frame, d);
    buf_init(&receipt, FRAME_SIZE_MAX);
    enum err rc = srv_part(c->server, c->st, c->a, frame, &receipt, d);
    c->who_is_it = rc == ERR_DENIED;
    if (!rc)
        buf_put_str(&c->reply->body, buf_str(&receipt));
    buf_free(&receipt);
    return rc;
}

static enum err post_batch(struct call *c, struct diag *d)
{
    return take_frame(c, c->request->body, d);
}

/* ---- frames in pieces ---- */

static void tell_offset(struct call *c, int status, uint64_t have)
{
    struct buf text;
    buf_init(&text, 24);
    buf_put_u64(&text, have);
    c->reply->status = status;
    reply_header(c->reply, "Ds-Offset", arena_str(c->texts, buf_str(&text)));
    buf_free(&text);
}

static enum err upload_name(struct str text, unsigned char id[static BATCH_ID_SIZE], struct diag *d)
{
    return hex_read(text, id, BATCH_ID_SIZE)
               ? ERR_OK
               : diag_set(d, ERR_USAGE, "A frame is named by 32 hexadecimal digits.");
}

static enum err head_upload(struct call *c, struct diag *d)
{
    unsigned char id[BATCH_ID_SIZE];
    struct upload_state now;
    enum err rc = upload_name(c->tail, id, d);
    if (!rc)
        rc = upload_look(c->st, &c->device, id, &now, d);
    if (!rc && !now.known && !now.done)
        rc = diag_set(d, ERR_NOT_FOUND, "Nothing of this frame is here.");
    if (!rc && now.done)
        reply_header(c->reply, "Ds-Done", STR("1"));
    else if (!rc)
        tell_offset(c, 200, now.have);
    return rc;
}

/* It was taken before: the receipt once more. */
static enum err receipt_again(struct call *c, const unsigned char id[static BATCH_ID_SIZE], struct diag *d)
{
    struct str frame;
    struct buf receipt;
    enum err rc = cstore_batch_by_id(c->st, c->a, id, &frame, d);
    if (rc != ERR_NOT_FOUND)
        return rc ? rc : take_changes(c, frame, d);
    buf_init(&receipt, FRAME_SIZE_MAX);
    rc = srv_part_receipt(c->server, c->st, c->a, id, &receipt, d);
    if (!rc)
        buf_put_str(&c->reply->body, buf_str(&receipt));
    buf_free(&receipt);
    return rc == ERR_NOT_FOUND ? diag_set(d, rc, "Nothing of this frame is here.") : rc;
}

/* Whatever cannot be cured by sending the same bytes again must not lie here for a week. */
static enum err finish_upload(struct call *c, const unsigned char id[static BATCH_ID_SIZE], struct diag *d)
{
    struct str frame;
    enum err rc = upload_frame(c->server, c->st, c->a, &c->device, id, &frame, d);
    if (rc == ERR_NOT_FOUND) /* another connection was faster */
        return receipt_again(c, id, d);
    if (!rc)
        rc = take_frame(c, frame, d);
    if (!rc || !err_action(rc)->retry) {
        enum err dropped = upload_drop(c->server, c->st, &c->device, id, NULL);
        (void)dropped; /* it is too old in a week */
    }
    return rc;
}

static enum err put_upload(struct call *c, struct diag *d)
{
    unsigned char id[BATCH_ID_SIZE];
    uint64_t at = 0, total = 0;
    struct upload_state now;
    enum err rc = upload_name(c->tail, id, d);
    if (!rc && (!query_u64(c, "o", &at) || !query_u64(c, "t", &total) || at > FRAME_SIZE_MAX))
        rc = diag_set(d, ERR_USAGE, "The query needs o=OFFSET and t=TOTAL.");
    if (!rc)
        rc = upload_put(c->server, c->st, &c->device, id, at + c->request->body_at, total, c->request->body,
                        &now, d);
    if (rc)
        return rc;
    if (now.done)
        return receipt_again(c, id, d);
    if (!now.whole) {
        tell_offset(c, now.gap ? 409 : 204, now.have);
        return ERR_OK;
    }
    return finish_upload(c, id, d);
}

/* For a reply that got lost: the frame is whole, or was taken before. */
static enum err commit_upload(struct call *c, struct diag *d)
{
    unsigned char id[BATCH_ID_SIZE];
    struct upload_state now;
    struct str name = c->tail;
    if (!str_ends(name, STR("/commit")))
        return diag_set(d, ERR_NOT_FOUND, "The centre has no such address.");
    name.n -= 7;
    enum err rc = upload_name(name, id, d);
    if (!rc)
        rc = upload_look(c->st, &c->device, id, &now, d);
    if (rc)
        return rc;
    if (now.whole)
        return finish_upload(c, id, d);
    if (!now.known)
        return receipt_again(c, id, d);
    tell_offset(c, 409, now.have);
    return ERR_OK;
}

static enum err get_receipts(struct call *c, struct diag *d)
{
    uint64_t since = 0;
    struct buf frame;
    (void)query_u64(c, "since", &since);
    buf_init(&frame, FRAME_SIZE_MAX);
    hear_report(c, c->device.device);
    bool renew = c->token_left_ms <= c->server->token_life_ms / 3;
    enum err rc = srv_receipts(c->server, c->st, c->a, &c->device, since, renew, &frame, d);
    if (!rc)
        buf_put_str(&c->reply->body, buf_str(&frame));
    buf_free(&frame);
    return rc;
}

static enum err get_down(struct call *c, struct diag *d)
{
    uint64_t cursor = 0, bytes_max = DOWN_DEFAULT, epoch = 0, dict = 0;
    bool any = false;
    if (!query_u64(c, "c", &cursor))
        return diag_set(d, ERR_USAGE, "The query needs c=CURSOR.");
    hear_report(c, c->device.device);
    (void)query_u64(c, "m", &bytes_max);
    if (!query_u64(c, "e", &epoch) || epoch > UINT32_MAX)
        epoch = 0;
    if (bytes_max < DOWN_MIN)
        bytes_max = DOWN_MIN;
    if (!query_u64(c, "z", &dict) || dict > UINT16_MAX)
        dict = 0;
    uint64_t own = 0;
    (void)query_u64(c, "o", &own);
    const struct down_ask ask = {&c->device,      c->person.area, cursor,        (size_t)bytes_max,
                                 (uint32_t)epoch, own == 1,       (uint16_t)dict};
    return down_build(c->server, c->st, c->a, &ask, &c->reply->body, &any, d);
}

/* "bytes=N-", "bytes=N-M"; anything else is the whole object. The last byte may lie behind the end. */
static bool range_read(struct str header, uint64_t *from, uint64_t *last)
{
    uint64_t lo = 0, hi = UINT64_MAX;
    struct str dash;
    if (!str_starts(header, STR("bytes=")))
        return false;
    struct str rest = str_sub(header, 6, header.n);
    if (!str_split(&rest, '-', &dash) || !str_to_u64(dash, &lo))
        return false;
    if (rest.n && !str_to_u64(rest, &hi))
        return false;
    *from = lo;
    *last = hi;
    return true;
}

/* A range: `bytes` are those from `from` on of something of `size`; none = it lies behind the end. */
static void give_range(struct call *c, struct str bytes, uint64_t from, uint64_t size)
{
    struct buf text;
    buf_init(&text, 128);
    c->reply->status = bytes.n ? 206 : 416;
    if (bytes.n)
        buf_printf(&text, "bytes %llu-%llu/%llu", (unsigned long long)from,
                   (unsigned long long)(from + bytes.n - 1), (unsigned long long)size);
    else
        buf_printf(&text, "bytes */%llu", (unsigned long long)size);
    reply_header(c->reply, "Content-Range", arena_str(c->texts, buf_str(&text)));
    buf_free(&text);
    buf_put_str(&c->reply->body, bytes);
}

static uint64_t range_count(uint64_t from, uint64_t last)
{
    return last < from ? 0 : last - from < UINT64_MAX ? last - from + 1 : UINT64_MAX;
}

/* A patch is short: it is held whole, and cut. */
static enum err give_patch(struct call *c, struct str patch, bool ranged, uint64_t from, uint64_t last)
{
    reply_header(c->reply, "Ds-Patch", STR("1"));
    size_t at = from < patch.n ? (size_t)from : patch.n;
    uint64_t count = range_count(from, last);
    if (ranged)
        give_range(c, str_sub(patch, at, count < patch.n ? (size_t)count : patch.n), from, patch.n);
    else
        buf_put_str(&c->reply->body, patch);
    return ERR_OK;
}

/* With from=SHA256: a patch against that version when it is shorter, marked as such; else the object. Of a
 * range no more is read than the range. */
static enum err get_object(struct call *c, struct diag *d)
{
    unsigned char hash[SHA256_SIZE], base[SHA256_SIZE];
    struct str bytes, patch = STR_NONE;
    uint64_t at = 0, last = UINT64_MAX, size = 0;
    enum err rc = ERR_OK;
    if (!hex_read(c->tail, hash, sizeof hash))
        return diag_set(d, ERR_USAGE, "An object is named by 64 hexadecimal digits.");
    struct str from = http_query(c->a, c->request->url, "from");
    if (from.p && !hex_read(from, base, sizeof base))
        return diag_set(d, ERR_USAGE, "from= names an object by 64 hexadecimal digits.");
    struct str header = http_header_find(c->request->headers, c->request->header_count, "Range");
    bool ranged = range_read(header, &at, &last);
    if (from.p)
        rc = cstore_object_range(c->st, c->a, hash, 0, 0, &bytes, &size, d);
    if (!rc && from.p && size <= SRV_PATCH_OBJECT_MAX) {
        rc = cstore_object(c->st, c->a, hash, NULL, &bytes, d);
        if (!rc)
            rc = srv_patch(c->server, c->st, c->a, base, hash, bytes, &patch, d);
    }
    if (rc)
        return rc;
    reply_header(c->reply, "Content-Type", STR("application/octet-stream"));
    if (patch.p)
        return give_patch(c, patch, ranged, at, last);
    if (ranged) {
        rc = cstore_object_range(c->st, c->a, hash, at, range_count(at, last), &bytes, &size, d);
        if (!rc)
            give_range(c, bytes, at, size);
    } else {
        rc = cstore_object(c->st, c->a, hash, NULL, &bytes, d);
        if (!rc)
            buf_put_str(&c->reply->body, bytes);
    }
    return rc;
}

/* Frames of others, brought by a handheld that has radio; it takes the answer home to them. */
static enum err post_courier(struct call *c, struct diag *d)
{
    reply_header(c->reply, "Content-Type", STR("application/octet-stream"));
    return courier_answer_bytes(c->server, c->st, c->request->body, COURIER_REPLY_MAX, &c->reply->body, d);
}

static enum err post_enrol(struct call *c, struct diag *d)
{
    enum err rc = people_enrol(c->server, c->st, c->a, c->request->body, &c->reply->body, d);
    if (!rc)
        reply_header(c->reply, "Content-Type", JSON_TYPE);
    return rc;
}

static enum err post_incarnation(struct call *c, struct diag *d)
{
    enum err rc = people_incarnation(c->server, c->st, c->a, c->request->body, &c->reply->body, d);
    if (!rc)
        reply_header(c->reply, "Content-Type", JSON_TYPE);
    return rc;
}

static enum err get_keys(struct call *c, struct diag *d)
{
    (void)d;
    reply_header(c->reply, "Content-Type", JSON_TYPE);
    buf_put_str(&c->reply->body, c->server->centre.keyset_json);
    return ERR_OK;
}

static enum err get_health(struct call *c, struct diag *d)
{
    struct counters now;
    enum err rc = cstore_county(c->st, c->a, NULL, NULL, &now, d);
    if (rc)
        return rc;
    reply_header(c->reply, "Content-Type", JSON_TYPE);
    buf_put_z(&c->reply->body, "{\"ok\":true,\"epoch\":");
    buf_put_u64(&c->reply->body, now.epoch);
    buf_put_z(&c->reply->body, "}\n");
    return ERR_OK;
}

/* Of this machine only, or of where `serve --proxy` says requests come from: how much is going on here is
 * nobody else's business. */
static enum err get_metrics(struct call *c, struct diag *d)
{
    struct str from = c->request->client;
    struct centre_counts n;
    if (from.n && !str_eq_z(from, "127.0.0.1") && !str_eq_z(from, "::1"))
        return diag_set(d, ERR_DENIED, "These numbers are for this machine only.");
    enum err rc = cstore_counts(c->st, &n, d);
    if (rc)
        return rc;
    struct buf *out = &c->reply->body;
    reply_header(c->reply, "Content-Type", STR("text/plain; version=0.0.4"));
    srv_numbers(c->server, out);
    numbers_line(out, "doorstep_devices", "gauge", "Handhelds enrolled.", n.devices);
    numbers_line(out, "doorstep_devices_revoked", "gauge", "Of these shut out.", n.devices_revoked);
    numbers_line(out, "doorstep_frames_total", "counter", "Frames in the ledger.", n.frames);
    numbers_line(out, "doorstep_frames_duplicate_total", "counter", "Frames that came again.", n.duplicates);
    numbers_line(out, "doorstep_frames_apart", "gauge", "Frames set apart, for a person to look at.",
                 n.frames_quarantined);
    numbers_line(out, "doorstep_conflicts", "gauge", "Answers in dispute.", n.conflicts);
    numbers_line(out, "doorstep_visits", "gauge", "Visits known.", n.visits);
    numbers_line(out, "doorstep_households", "gauge", "Households known.", n.households);
    return ERR_OK;
}

/* clang-format off */
static const struct route routes[] = {
    {HTTP_POST, "/v1/b",      AUTH_NONE,      post_batch, 0},
    {HTTP_HEAD, "/v1/u/*",    AUTH_TOKEN_OLD, head_upload, 0},
    {HTTP_PUT,  "/v1/u/*",    AUTH_TOKEN_OLD, put_upload, 0},
    {HTTP_POST, "/v1/u/*",    AUTH_TOKEN_OLD, commit_upload, 0},
    {HTTP_GET,  "/v1/a",      AUTH_TOKEN_OLD, get_receipts, 0},
    {HTTP_GET,  "/v1/d",      AUTH_TOKEN,     get_down, 0},
    {HTTP_GET,  "/v1/o/*",    AUTH_TOKEN,     get_object, 0},
    {HTTP_POST, "/v1/courier", AUTH_TOKEN,    post_courier, 0},
    {HTTP_POST, "/v1/i",      AUTH_NONE,      post_incarnation, 0},
    {HTTP_POST, "/v1/enrol",  AUTH_NONE,      post_enrol, 0},
    {HTTP_GET,  "/v1/keys",   AUTH_NONE,      get_keys, 0},
    {HTTP_GET,  "/v1/health", AUTH_NONE,      get_health, 0},
    {HTTP_GET,  "/health",    AUTH_NONE,      get_health, 0},
    {HTTP_GET,  "/metrics",   AUTH_NONE,      get_metrics, 0},
};
/* clang-format on */
static const struct route_table device_routes = {routes, sizeof routes / sizeof routes[0]};

/* In this order. */
static const struct route_table *const tables[] = {&device_routes, &session_routes, &screen_routes,
                                                   &report_routes};

static bool path_matches(const char *pattern, struct str path, struct str *tail_out)
{
    struct str p = str_of(pattern);
    if (!str_ends(p, STR("*")))
        return str_eq(p, path);
    p.n--;
    if (!str_starts(path, p))
        return false;
    *tail_out = str_sub(path, p.n, path.n);
    return true;
}

const struct route *route_find(enum http_method method, struct str path, struct str *tail_out,
                               bool *path_known_out)
{
    *path_known_out = false;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        for (uint32_t i = 0; i < tables[t]->count; i++) {
            const struct route *r = &tables[t]->at[i];
            if (!path_matches(r->path, path, tail_out))
                continue;
            *path_known_out = true;
            if (r->method == method)
                return r;
        }
    }
    return NULL;
}

bool srv_in_pieces(void *self, const struct http_request *head)
{
    (void)self;
    return head->method == HTTP_PUT && str_starts(head->url, STR("/v1/u/"));
}
