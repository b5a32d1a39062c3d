/* Browsers that are signed in: the cookie, the form that proves it was one of ours, signing in and out.
 *
 * Always true: the cookie is __Host-ds (Secure, HttpOnly, SameSite=Strict, no domain) wherever the centre is
 * reached over TLS, and ds without Secure only where it is not; its token is in the database only as a hash;
 * a request that changes anything names the session's CSRF token in its form or in the header Ds-Csrf, and
 * when the browser says from where it comes, it comes from here.
 */
#include "server/routes.h"

static const char *cookie_name(const struct call *c)
{
    return c->request->secure ? "__Host-ds" : "ds";
}

static struct str header_of(const struct call *c, const char *name)
{
    return http_header_find(c->request->headers, c->request->header_count, name);
}

bool call_wants_html(const struct call *c)
{
    return str_find(header_of(c, "Accept"), STR("text/html")) >= 0;
}

enum err reply_see_other(struct call *c, struct str path, struct diag *d)
{
    struct str kept = arena_str(c->texts, path);
    if (!kept.p)
        return diag_set(d, ERR_NOMEM, "The address to go on with does not fit into memory.");
    c->reply->status = 303;
    reply_header(c->reply, "Location", kept);
    return ERR_OK;
}

/* ---- who is signed in ---- */

static bool cookie_hash(const struct call *c, unsigned char out[static SHA256_SIZE])
{
    unsigned char token[SESSION_TOKEN_SIZE];
    struct str text = http_cookie(header_of(c, "Cookie"), cookie_name(c));
    return text.p && hex_read(text, token, sizeof token) &&
           sha256((struct str){(const char *)token, sizeof token}, out) == ERR_OK;
}

/* "Last used" is written now and then, not with every request; that it cannot be is no reason to refuse. */
static void session_touch(struct call *c, int64_t now_ms)
{
    struct server *s = c->server;
    if (now_ms - c->session.used_ms < SESSION_TOUCH_MS)
        return;
    pthread_mutex_lock(&s->write_turn);
    enum err rc = cstore_begin(c->st, NULL);
    if (!rc)
        rc = cstore_session_used(c->st, c->session.hash, now_ms, NULL);
    if (!rc)
        rc = cstore_commit(c->st, NULL);
    cstore_rollback(c->st);
    pthread_mutex_unlock(&s->write_turn);
    if (!rc)
        c->session.used_ms = now_ms;
}

enum err session_look(struct call *c, struct diag *d)
{
    unsigned char hash[SHA256_SIZE];
    struct session_row row;
    struct person person;
    int64_t ended_ms = 0, now_ms = srv_now_ms(c->server);
    if (!cookie_hash(c, hash))
        return ERR_OK;
    enum err rc = cstore_session(c->st, c->a, hash, &row, &person, &ended_ms, NULL);
    if (rc == ERR_NOT_FOUND)
        return ERR_OK;
    if (rc)
        return diag_set(d, rc, "The session could not be looked up.");
    if (ended_ms || now_ms >= row.until_ms || now_ms - row.used_ms >= SESSION_IDLE_MS)
        return ERR_OK;
    c->person = person;
    c->session = row;
    hex_write(row.csrf, sizeof row.csrf, c->csrf);
    c->csrf[CSRF_TEXT - 1] = 0;
    session_touch(c, now_ms);
    return ERR_OK;
}

/* ---- forms ---- */

/* "https://county.example:8443" and "county.example:8443". Browsers that say nothing are old or no browsers:
 * for them the CSRF token has to be enough. */
static bool comes_from_here(const struct call *c)
{
    struct str origin = header_of(c, "Origin"), host = header_of(c, "Host"),
               site = header_of(c, "Sec-Fetch-Site");
    if (site.p && !str_eq_z(site, "same-origin") && !str_eq_z(site, "none"))
        return false;
    if (!origin.p)
        return true;
    ptrdiff_t at = str_find(origin, STR("://"));
    return at >= 0 && host.n > 0 && str_eq_nocase(str_sub(origin, (size_t)at + 3, origin.n), host);
}

enum err session_form(struct call *c, const struct route *route, struct diag *d)
{
    const struct http_request *q = c->request;
    if (q->method == HTTP_GET || q->method == HTTP_HEAD)
        return ERR_OK;
    if (!comes_from_here(c))
        return diag_set(d, ERR_DENIED,
                        "This request was made on another site. Open the centre's page and do it there.");
    /* A body that arrives in pieces is no form that could be read here. */
    if (!q->body_at && !q->body_more) {
        enum err rc = http_form_read(c->a, header_of(c, "Content-Type"), q->body, &c->form, d);
        if (rc)
            return rc;
    }
    if (route->auth != AUTH_SESSION)
        return ERR_OK;
    struct str given = http_form_get(&c->form, "csrf");
    if (!given.p)
        given = header_of(c, "Ds-Csrf");
    if (given.n == CSRF_TEXT - 1 && crypto_equal(given.p, c->csrf, CSRF_TEXT - 1))
        return ERR_OK;
    return diag_set(d, ERR_DENIED,
                    "This form is of another session. Open the page again and send it from there.");
}

/* ---- signing in and out ---- */

/* Only a path of ours: "//host" and "/\host" lead away. */
static struct str next_path(struct str next)
{
    if (next.n == 0 || next.n > 1000 || next.p[0] != '/')
        return STR("/");
    if (next.n > 1 && (next.p[1] == '/' || next.p[1] == '\\'))
        return STR("/");
    for (size_t i = 0; i < next.n; i++) {
        if ((unsigned char)next.p[i] <= ' ' || next.p[i] == 127)
            return STR("/");
    }
    return next;
}

static enum err cookie_set(struct call *c, const char *token, int64_t life_s, struct diag *d)
{
    struct buf text;
    buf_init(&text, 512);
    buf_printf(&text, "%s=%s; Path=/; HttpOnly; SameSite=Strict%s; Max-Age=%lld", cookie_name(c), token,
               c->request->secure ? "; Secure" : "", (long long)life_s);
    struct str kept = text.failed ? STR_NONE : arena_str(c->texts, buf_str(&text));
    buf_free(&text);
    if (!kept.p)
        return diag_set(d, ERR_NOMEM, "The cookie does not fit into memory.");
    reply_header(c->reply, "Set-Cookie", kept);
    return ERR_OK;
}

/* Back to the page with the reason in its address: "wrong", or "wait" and how long. */
static enum err sign_in_again(struct call *c, enum err why, int64_t wait_s, struct str next, struct diag *d)
{
    struct buf path;
    buf_init(&path, 8192);
    buf_put_z(&path, why == ERR_BUSY ? "/login?why=wait&s=" : "/login?why=wrong");
    if (why == ERR_BUSY)
        buf_put_i64(&path, wait_s);
    buf_put_z(&path, "&next=");
    http_encode(&path, next);
    enum err rc = path.failed ? diag_set(d, path.failed, "The address to go on with is too long.")
                              : reply_see_other(c, buf_str(&path), d);
    buf_free(&path);
    return rc;
}

static enum err post_login(struct call *c, struct diag *d)
{
    unsigned char old[SHA256_SIZE];
    struct signed_in in = {0};
    struct diag why = {0};
    int64_t wait_s = 0;
    struct str next = next_path(http_form_get(&c->form, "next"));
    const struct sign_in q = {.login = http_form_get(&c->form, "name"),
                              .password = http_form_get(&c->form, "password"),
                              .code = http_form_get(&c->form, "code"),
                              .address = c->request->client,
                              .old = cookie_hash(c, old) ? old : NULL};
    enum err rc = account_sign_in(c->server, c->st, c->a, &q, &in, &wait_s, &why);
    if ((rc == ERR_DENIED || rc == ERR_BUSY) && call_wants_html(c))
        return sign_in_again(c, rc, wait_s, next, d);
    if (rc) {
        c->refused_status = rc == ERR_BUSY ? 429 : 0;
        return diag_set(d, rc, "%s", why.text);
    }
    rc = cookie_set(c, in.token, SESSION_LIFE_MS / 1000, d);
    crypto_wipe(in.token, sizeof in.token);
    return rc ? rc : reply_see_other(c, next, d);
}

static enum err post_logout(struct call *c, struct diag *d)
{
    struct server *s = c->server;
    pthread_mutex_lock(&s->write_turn);
    enum err rc = cstore_begin(c->st, d);
    if (!rc)
        rc = cstore_session_drop(c->st, c->session.hash, d);
    if (!rc)
        rc = cstore_audit(c->st, srv_now_ms(s), c->person.name, STR("signed-out"), STR(""), d);
    if (!rc)
        rc = cstore_commit(c->st, d);
    cstore_rollback(c->st);
    pthread_mutex_unlock(&s->write_turn);
    if (!rc)
        rc = cookie_set(c, "", 0, d);
    return rc ? rc : reply_see_other(c, STR("/login"), d);
}

/* clang-format off */
static const struct route routes[] = {
    {HTTP_POST, "/login",  AUTH_PAGE,    post_login,  0},
    {HTTP_POST, "/logout", AUTH_SESSION, post_logout, ROLES_ALL},
};
/* clang-format on */
const struct route_table session_routes = {routes, sizeof routes / sizeof routes[0]};
