/* What each address of the centre does. Frames in, frames out; everything that a device receives is signed by
 * the centre, so that a captive portal's page is never taken for it. Replies of frames name no content type:
 * it would travel with every one of them, and says nothing that the first four bytes do not. */
#include "server/routes.h"

#define JSON_TYPE STR("application/json")
#define DOWN_DEFAULT 65536
#define DOWN_MIN 512

static bool query_u64(struct call *c, const char *name, uint64_t *out)
{
    return str_to_u64(http_query(c->a, c->request->url, name), out);
}

static enum err post_batch(struct call *c, struct diag *d)
{
    struct accepted x = {0};
    uint64_t cursor = UINT64_MAX;
    struct buf down;
    bool any = false;
    bool wants_down = query_u64(c, "d", &cursor);
    enum err rc = srv_accept(c->server, c->st, c->a, c->request->body, cursor, &x, d);
    c->who_is_it = rc == ERR_DENIED; /* an unknown handheld */
    if (rc)
        return rc;
    buf_put_str(&c->reply->body, x.batch.receipt);
    if (x.device.revoked_ms || x.caught_up || !wants_down || x.duplicate)
        return ERR_OK;
    /* What rides along is a gift: when it cannot be made, the receipt still counts. */
    const struct down_ask ask = {&x.device, x.person.area, cursor, SRV_REPLY_DOWN_MAX};
    buf_init(&down, FRAME_SIZE_MAX);
    rc = down_build(c->server, c->st, c->a, &ask, &down, &any, NULL);
    if (!rc && any && down.n <= SRV_REPLY_DOWN_MAX)
        buf_put_str(&c->reply->body, buf_str(&down));
    buf_free(&down);
    return ERR_OK;
}

static enum err get_receipts(struct call *c, struct diag *d)
{
    uint64_t since = 0;
    struct buf frame;
    (void)query_u64(c, "since", &since);
    buf_init(&frame, FRAME_SIZE_MAX);
    bool renew = c->token_left_ms <= c->server->token_life_ms / 3;
    enum err rc = srv_receipts(c->server, c->st, c->a, &c->device, since, renew, &frame, d);
    if (!rc)
        buf_put_str(&c->reply->body, buf_str(&frame));
    buf_free(&frame);
    return rc;
}

static enum err get_down(struct call *c, struct diag *d)
{
    uint64_t cursor = 0, bytes_max = DOWN_DEFAULT, epoch = 0;
    bool any = false;
    if (!query_u64(c, "c", &cursor))
        return diag_set(d, ERR_USAGE, "The query needs c=CURSOR.");
    (void)query_u64(c, "m", &bytes_max);
    /* A cursor of another epoch counts another history: everything is told again. */
    if (query_u64(c, "e", &epoch) && epoch != c->server->centre.epoch)
        cursor = 0;
    if (bytes_max < DOWN_MIN)
        bytes_max = DOWN_MIN;
    const struct down_ask ask = {&c->device, c->person.area, cursor, (size_t)bytes_max};
    return down_build(c->server, c->st, c->a, &ask, &c->reply->body, &any, d);
}

/* "bytes=N-", "bytes=N-M"; anything else is the whole object. */
static bool range_read(struct str header, size_t size, size_t *from, size_t *to)
{
    uint64_t lo = 0, hi = size ? size - 1 : 0;
    struct str dash;
    if (!str_starts(header, STR("bytes=")))
        return false;
    struct str rest = str_sub(header, 6, header.n);
    if (!str_split(&rest, '-', &dash) || !str_to_u64(dash, &lo))
        return false;
    if (rest.n && !str_to_u64(rest, &hi))
        return false;
    *from = (size_t)lo;
    *to = hi < size ? (size_t)hi + 1 : size;
    return true;
}

static enum err get_object(struct call *c, struct diag *d)
{
    unsigned char hash[SHA256_SIZE];
    struct str bytes;
    size_t from = 0, to = 0;
    struct buf text;
    if (!hex_read(c->tail, hash, sizeof hash))
        return diag_set(d, ERR_USAGE, "An object is named by 64 hexadecimal digits.");
    enum err rc = cstore_object(c->st, c->a, hash, NULL, &bytes, d);
    if (rc)
        return rc;
    struct str range = http_header_find(c->request->headers, c->request->header_count, "Range");
    reply_header(c->reply, "Content-Type", STR("application/octet-stream"));
    reply_header(c->reply, "Accept-Ranges", STR("bytes"));
    if (!range_read(range, bytes.n, &from, &to)) {
        buf_put_str(&c->reply->body, bytes);
        return ERR_OK;
    }
    buf_init(&text, 128);
    if (from >= to) {
        c->reply->status = 416;
        buf_printf(&text, "bytes */%zu", bytes.n);
    } else {
        c->reply->status = 206;
        buf_printf(&text, "bytes %zu-%zu/%zu", from, to - 1, bytes.n);
        buf_put_str(&c->reply->body, str_sub(bytes, from, to - from));
    }
    reply_header(c->reply, "Content-Range", arena_str(c->texts, buf_str(&text)));
    buf_free(&text);
    return ERR_OK;
}

static enum err post_enrol(struct call *c, struct diag *d)
{
    enum err rc = people_enrol(c->server, c->st, c->a, c->request->body, &c->reply->body, d);
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
    buf_put_u64(&c->reply->body, c->server->centre.epoch);
    buf_put_z(&c->reply->body, "}\n");
    return ERR_OK;
}

/* clang-format off */
static const struct route routes[] = {
    {HTTP_POST, "/v1/b",      AUTH_NONE,      post_batch},
    {HTTP_GET,  "/v1/a",      AUTH_TOKEN_OLD, get_receipts},
    {HTTP_GET,  "/v1/d",      AUTH_TOKEN,     get_down},
    {HTTP_GET,  "/v1/o/*",    AUTH_TOKEN,     get_object},
    {HTTP_POST, "/v1/enrol",  AUTH_NONE,      post_enrol},
    {HTTP_GET,  "/v1/keys",   AUTH_NONE,      get_keys},
    {HTTP_GET,  "/v1/health", AUTH_NONE,      get_health},
};
/* clang-format on */

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
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!path_matches(routes[i].path, path, tail_out))
            continue;
        *path_known_out = true;
        if (routes[i].method == method)
            return &routes[i];
    }
    return NULL;
}
