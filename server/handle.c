/* The open server, and one request from path to reply. What a route does is in routes.c; here are leases,
 * authentication and errors.
 */
#include "server/page.h"
#include "server/routes.h"

int64_t srv_now_ms(const struct server *s)
{
    return s->seam->wall_ms(s->seam->self);
}

const struct centre *srv_centre(const struct server *s)
{
    return &s->centre;
}

const struct zone *srv_zone(const struct server *s)
{
    return s->zone;
}

enum err srv_open(const struct server_options *o, struct server **server_out, struct diag *d)
{
    struct arena memory;
    uint32_t connections = o->connections ? o->connections : 2;
    CHECK(connections <= SRV_CONNECTIONS_MAX);
    arena_init(&memory, 1u << 20);
    struct server *s = ARENA_NEW(&memory, struct server);
    if (!s)
        return diag_set(d, ERR_NOMEM, "Out of memory while starting the centre.");
    s->seam = o->seam;
    s->zone = o->zone ? o->zone : zone_utc();
    s->token_life_ms = o->token_life_ms ? o->token_life_ms : SRV_TOKEN_LIFE_MS;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->returned, NULL);
    pthread_mutex_init(&s->write_turn, NULL);
    pthread_mutex_init(&s->sign_in_turn, NULL);
    s->opened_ms = o->seam->mono_ms(o->seam->self);
    s->refusals = ARENA_NEW(&memory, struct refusals);
    s->password_rounds = o->password_rounds ? o->password_rounds : PASSWORD_ROUNDS;
    s->memory = memory;
    if (!s->refusals) {
        srv_close(s);
        return diag_set(d, ERR_NOMEM, "Out of memory while starting the centre.");
    }
    enum err rc = centre_read(o->seam, o->dir, &s->memory, &s->centre, d);
    for (; !rc && s->store_count < connections; s->store_count++)
        rc = centre_store_open(o->seam, o->dir, &s->stores[s->store_count], d);
    s->dir = rc ? NULL : arena_z(&s->memory, str_of(o->dir));
    if (!rc && !s->dir)
        rc = diag_set(d, ERR_NOMEM, "Out of memory while starting the centre.");
    if (!rc)
        rc = centre_epoch_begin(o->seam, o->dir, s->stores[0], d);
    if (!rc)
        centre_mark(s, s->stores[0], true);
    if (rc)
        srv_close(s);
    else
        *server_out = s;
    return rc;
}

void srv_close(struct server *s)
{
    if (!s)
        return;
    if (s->dir)
        centre_mark(s, s->stores[0], true);
    for (uint32_t i = 0; i < SRV_CONNECTIONS_MAX; i++)
        cstore_close(s->stores[i]);
    form_cache_free(&s->forms);
    crypto_wipe(&s->centre, sizeof s->centre);
    pthread_mutex_destroy(&s->sign_in_turn);
    pthread_mutex_destroy(&s->write_turn);
    pthread_cond_destroy(&s->returned);
    pthread_mutex_destroy(&s->lock);
    struct arena memory = s->memory;
    arena_free(&memory);
}

static uint32_t store_lease(struct server *s)
{
    uint32_t at = 0;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        for (at = 0; at < s->store_count && s->leased[at]; at++) {
        }
        if (at < s->store_count)
            break;
        pthread_cond_wait(&s->returned, &s->lock);
    }
    s->leased[at] = true;
    pthread_mutex_unlock(&s->lock);
    return at;
}

static void store_return(struct server *s, uint32_t at)
{
    pthread_mutex_lock(&s->lock);
    s->leased[at] = false;
    pthread_cond_signal(&s->returned);
    pthread_mutex_unlock(&s->lock);
}

void reply_header(struct http_reply *reply, const char *name, struct str value)
{
    CHECK(reply->header_count < HTTP_HEADERS_MAX);
    reply->headers[reply->header_count++] = (struct http_header){str_of(name), value};
}

/* {"error":"denied","text":"...","todo":"..."}: what happened, and what anyone can do about it. */
static void reply_error(struct http_reply *reply, enum err rc, const struct diag *d)
{
    const struct err_action *action = err_action(rc);
    reply->status = action->http_status;
    reply->header_count = 0;
    buf_clear(&reply->body);
    buf_put_z(&reply->body, "{\"error\":");
    buf_put_json(&reply->body, str_of(action->name));
    buf_put_z(&reply->body, ",\"text\":");
    buf_put_json(&reply->body, str_of(d->text[0] ? d->text : action->todo_en));
    buf_put_z(&reply->body, ",\"todo\":");
    buf_put_json(&reply->body, str_of(action->todo_en));
    buf_put_z(&reply->body, "}\n");
    reply_header(reply, "Content-Type", STR("application/json"));
}

/* {"error":...} for programs, a page for browsers. */
static void reply_failure(struct call *c, enum err rc, const struct diag *d)
{
    reply_error(c->reply, rc, d);
    if (call_wants_html(c))
        page_error(c, rc, d);
}

/* The device behind the token. Revoked, forged or missing: ERR_DENIED. */
static enum err authenticate(struct server *s, struct call *c, const struct route *route, struct diag *d)
{
    struct bearer bearer;
    struct str header = http_header_find(c->request->headers, c->request->header_count, "Authorization");
    enum err rc = bearer_read(s->centre.secret, header, srv_now_ms(s), &bearer);
    if (rc)
        return diag_set(d, rc, "The token could not be checked.");
    c->who_is_it = bearer.state != BEARER_GOOD;
    if (bearer.state == BEARER_NONE)
        return diag_set(d, ERR_DENIED, "This address needs a handheld's token; enrol the handheld first.");
    if (bearer.state == BEARER_EXPIRED && route->auth != AUTH_TOKEN_OLD)
        return diag_set(
            d, ERR_DENIED,
            "The handheld's token has run out. A new one comes with the next receipt (GET /v1/a).");
    rc = cstore_device(c->st, c->a, bearer.device, bearer.inc, &c->device, NULL);
    if (rc && rc != ERR_NOT_FOUND)
        return diag_set(d, rc, "The device could not be looked up.");
    /* Where old tokens are taken a revoked device hears of it in a signed receipt. */
    if (rc || (c->device.revoked_ms && route->auth != AUTH_TOKEN_OLD))
        return diag_set(d, ERR_DENIED, "This handheld has been revoked. Enrol it again with a new token.");
    c->token_left_ms = bearer.until_ms - srv_now_ms(s);
    return cstore_person(c->st, c->a, c->device.person, &c->person, d);
}

/* Somebody who is not signed in is shown where to do that, and comes back after it. */
static enum err not_signed_in(struct call *c, struct diag *d)
{
    struct buf path;
    if (!call_wants_html(c)) {
        c->refused_status = 401;
        return diag_set(d, ERR_DENIED, "Nobody is signed in. Sign in at /login first.");
    }
    buf_init(&path, 16384);
    buf_put_z(&path, "/login");
    if (c->request->method == HTTP_GET && !str_eq_z(c->request->url, "/")) {
        buf_put_z(&path, "?next=");
        http_encode(&path, c->request->url);
    }
    enum err rc = path.failed ? diag_set(d, path.failed, "The address is too long.")
                              : reply_see_other(c, buf_str(&path), d);
    buf_free(&path);
    return rc;
}

/* That someone asked for what is not theirs to do is worth knowing; that it cannot be noted changes nothing.
 */
static void note_refused(struct call *c, const struct route *route)
{
    struct server *s = c->server;
    struct buf what;
    buf_init(&what, CSTORE_TEXT_MAX);
    buf_printf(&what, "%s %s", role_name(c->person.role), route->path);
    pthread_mutex_lock(&s->write_turn);
    enum err rc = cstore_begin(c->st, NULL);
    if (!rc)
        rc = cstore_audit(c->st, srv_now_ms(s), c->person.name, STR("refused"), buf_str(&what), NULL);
    if (!rc)
        rc = cstore_commit(c->st, NULL);
    (void)rc; /* what could not be noted changes nothing for the caller */
    cstore_rollback(c->st);
    pthread_mutex_unlock(&s->write_turn);
    buf_free(&what);
}

/* *call_out: the route is to be called. False without an error: the reply is complete. */
static enum err let_in(struct call *c, const struct route *route, bool *call_out, struct diag *d)
{
    enum err rc = session_look(c, d);
    if (!rc && route->auth == AUTH_SESSION && !c->person.person)
        return not_signed_in(c, d);
    if (!rc && route->auth == AUTH_SESSION && route->roles && !(route->roles & ROLE_BIT(c->person.role))) {
        note_refused(c, route);
        rc = diag_set(d, ERR_DENIED, "This is not for a person signed in as %s.", role_name(c->person.role));
    }
    if (!rc)
        rc = session_form(c, route, d);
    *call_out = !rc;
    return rc;
}

/* Pages of people: nothing is kept by browsers or proxies, nothing runs that the centre did not send, and no
 * other site may show them in a frame. A route that set one of these itself is right. */
static void page_headers(struct http_reply *reply)
{
    /* clang-format off */
    static const struct { const char *name, *value; } set[] = {
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "same-origin"},
        {"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; "
                                    "img-src 'self' data:; font-src 'self'; connect-src 'self'; "
                                    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof set / sizeof set[0] && reply->header_count < HTTP_HEADERS_MAX; i++) {
        if (!http_header_find(reply->headers, reply->header_count, set[i].name).p)
            reply_header(reply, set[i].name, str_of(set[i].value));
    }
}

static enum err answer(struct call *c, const struct route *route, struct diag *d)
{
    bool call = route->auth != AUTH_SESSION && route->auth != AUTH_PAGE;
    uint32_t lease = store_lease(c->server);
    c->st = c->server->stores[lease];
    enum err rc = cstore_ready(c->st, d);
    if (!rc && (route->auth == AUTH_SESSION || route->auth == AUTH_PAGE))
        rc = let_in(c, route, &call, d);
    else if (!rc && route->auth != AUTH_NONE)
        rc = authenticate(c->server, c, route, d);
    if (!rc && call)
        rc = route->call(c, d);
    store_return(c->server, lease);
    if (!rc && c->reply->body.failed)
        rc = diag_set(d, c->reply->body.failed, "The reply is larger than the centre sends at once.");
    return rc;
}

static uint32_t refusals_look(struct server *s, struct str address, int64_t mono_ms, uint32_t more)
{
    pthread_mutex_lock(&s->lock);
    uint32_t count = refusals_of(s->refusals, address, mono_ms, more);
    pthread_mutex_unlock(&s->lock);
    return count;
}

static enum err turned_away(struct call *c, struct diag *d)
{
    atomic_fetch_add(&c->server->numbers.turned_away, 1);
    c->refused_status = 429;
    return diag_set(d, ERR_BUSY, "Too much that came from this address had to be refused. Wait a minute.");
}

void srv_numbers(struct server *s, struct buf *out)
{
    numbers_write(&s->numbers, out);
    numbers_line(out, "doorstep_up_seconds", "gauge", "Since this program began.",
                 (uint64_t)((s->seam->mono_ms(s->seam->self) - s->opened_ms) / 1000));
    pthread_mutex_lock(&s->lock);
    uint32_t leased = 0;
    for (uint32_t i = 0; i < s->store_count; i++)
        leased += s->leased[i];
    pthread_mutex_unlock(&s->lock);
    numbers_line(out, "doorstep_store_connections_used", "gauge", "Of the database, at this moment.", leased);
}

void srv_handle(struct server *s, const struct http_request *request, struct arena *a,
                struct http_reply *reply)
{
    struct diag d = {0};
    struct arena work;
    struct call c = {.server = s, .request = request, .texts = a, .a = &work, .reply = reply};
    bool path_known = false;
    int64_t begun_ms = s->seam->mono_ms(s->seam->self);
    arena_init(&work, SRV_REQUEST_MEMORY_MAX);
    reply->status = 200;
    enum err rc = ERR_OK;
    const struct route *route = route_find(request->method, http_path(request->url), &c.tail, &path_known);
    if (refusals_look(s, request->client, begun_ms, 0) >= REFUSALS_MAX)
        rc = turned_away(&c, &d);
    else if (route)
        rc = answer(&c, route, &d);
    else
        rc = path_known ? diag_set(&d, ERR_USAGE, "This address does not take this method.")
                        : diag_set(&d, ERR_NOT_FOUND, "The centre has no such address.");
    if (rc) {
        reply_failure(&c, rc, &d);
        if (!route && path_known)
            reply->status = 405;
        if (c.refused_status)
            reply->status = c.refused_status;
        if (rc == ERR_DENIED && c.who_is_it) {
            reply->status = 401;
            reply_header(reply, "WWW-Authenticate", STR("Bearer"));
        }
    }
    if (route && (route->auth == AUTH_SESSION || route->auth == AUTH_PAGE))
        page_headers(reply);
    /* A door that is shut (429) and a name that is not here (404) are no attack; the same bytes again (409)
     * neither. */
    if (reply->status >= 400 && reply->status < 500 && reply->status != 404 && reply->status != 409 &&
        reply->status != 429)
        (void)refusals_look(s, request->client, begun_ms, 1);
    numbers_request(&s->numbers, reply->status, s->seam->mono_ms(s->seam->self) - begun_ms, request->body.n,
                    reply->body.n);
    s->seam->log(s->seam->self, LOG_REQUEST, reply->status, (int64_t)reply->body.n, rc);
    crypto_wipe(c.csrf, sizeof c.csrf);
    arena_free(&work);
}
