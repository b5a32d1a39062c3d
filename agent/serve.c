/* See serve.h. The command, who may ask, and where a request goes. */
#include "agent/serve.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/cli.h"
#include "platform/base/civil.h"
#include "platform/crypto.h"
#include "platform/http_text.h"

#define PORT 8710
#define COOKIE "doorstep"
#define POLICY                                                                                          \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "             \
    "media-src 'self' blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors " \
    "'none'"

/* ---- replies ---- */

static void header(struct http_reply *reply, const char *name, struct str value)
{
    CHECK(reply->header_count < HTTP_HEADERS_MAX);
    reply->headers[reply->header_count++] = (struct http_header){str_of(name), value};
}

static void type(struct http_reply *reply, const char *content_type)
{
    header(reply, "Content-Type", str_of(content_type));
}

static void guard_headers(struct http_reply *reply)
{
    header(reply, "Content-Security-Policy", STR(POLICY));
    header(reply, "X-Content-Type-Options", STR("nosniff"));
    header(reply, "Referrer-Policy", STR("no-referrer"));
    header(reply, "Cross-Origin-Opener-Policy", STR("same-origin"));
    header(reply, "Cross-Origin-Resource-Policy", STR("same-origin"));
    header(reply, "Permissions-Policy", STR("camera=(self), microphone=(self), geolocation=(self)"));
}

static void refuse(struct http_reply *reply, int status, const char *name, const char *text)
{
    buf_clear(&reply->body);
    reply->status = status;
    type(reply, "application/json");
    js_open(&reply->body, NULL, '{');
    js_z(&reply->body, "error", name);
    js_z(&reply->body, "text", text);
    buf_put_char(&reply->body, '}');
}

/* ---- who may ask ---- */

static struct str head_of(const struct http_request *r, const char *name)
{
    return http_header_find(r->headers, r->header_count, name);
}

/* "127.0.0.1:8710", "localhost:8710", "[::1]:8710". Another name that leads here is not ours: that is how
 * foreign pages would reach in. */
static bool is_ours(const struct serving *g, struct str host)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
    char text[40];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(text, sizeof text, "%s:%u", names[i], g->port);
        if (str_eq_z(host, text))
            return true;
    }
    return false;
}

static bool from_elsewhere(const struct serving *g, const struct http_request *r)
{
    struct str origin = head_of(r, "Origin"), site = head_of(r, "Sec-Fetch-Site");
    if (!is_ours(g, head_of(r, "Host")))
        return true;
    if (origin.p && (!str_starts(origin, STR("http://")) || !is_ours(g, str_sub(origin, 7, origin.n))))
        return true;
    return site.p && !str_eq_z(site, "same-origin") && !str_eq_z(site, "none");
}

/* No early end: how long it takes says nothing about where they differ. */
static bool same_token(struct str given, const char *held)
{
    unsigned char differ = 0;
    if (given.n != SERVE_TOKEN || strlen(held) != SERVE_TOKEN)
        return false;
    for (size_t i = 0; i < SERVE_TOKEN; i++)
        differ |= (unsigned char)(given.p[i] ^ held[i]);
    return differ == 0;
}

static bool has_session(const struct serving *g, const struct http_request *r)
{
    struct str rest = head_of(r, "Cookie"), one;
    while (str_split(&rest, ';', &one)) {
        one = str_trim(one);
        if (!str_starts(one, STR(COOKIE "=")))
            continue;
        for (uint32_t i = 0; i < SERVE_SESSIONS; i++)
            if (same_token(str_sub(one, sizeof(COOKIE), one.n), g->sessions[i]))
                return true;
    }
    return false;
}

static enum err draw_token(struct serving *g, char out[static SERVE_TOKEN + 1])
{
    unsigned char bytes[SERVE_TOKEN / 2];
    enum err rc = g->seam->random(g->seam->self, bytes, sizeof bytes);
    if (rc)
        return rc;
    hex_write(bytes, sizeof bytes, out);
    out[SERVE_TOKEN] = '\0';
    return ERR_OK;
}

enum err serve_session_begin(struct serve_call *c)
{
    char *token = c->g->sessions[c->g->session_next];
    enum err rc = draw_token(c->g, token);
    if (rc)
        return diag_set(c->d, rc, "no session could be drawn");
    c->g->session_next = (c->g->session_next + 1) % SERVE_SESSIONS;
    struct buf b;
    buf_init(&b, 256);
    buf_printf(&b, COOKIE "=%s; HttpOnly; SameSite=Strict; Path=/", token);
    header(c->reply, "Set-Cookie", arena_str(c->a, buf_str(&b)));
    buf_free(&b);
    return ERR_OK;
}

/* ---- requests ---- */

static const struct serve_file *file_named(struct str path)
{
    struct str name = str_eq_z(path, "/") ? STR("index.html") : str_sub(path, 1, path.n);
    for (size_t i = 0; i < serve_file_count; i++)
        if (str_eq_z(name, serve_files[i].name))
            return &serve_files[i];
    return NULL;
}

/* The link that was printed opens the first session, once. */
static bool take_link(struct serve_call *c)
{
    struct str key = http_query(c->a, c->request->url, "key");
    if (!key.p || !same_token(key, c->g->link))
        return false;
    c->g->link[0] = '\0';
    if (serve_session_begin(c))
        return false;
    c->reply->status = 303;
    header(c->reply, "Location", STR("/"));
    header(c->reply, "Cache-Control", STR("no-store"));
    return true;
}

static void give_file(struct serve_call *c, struct str path)
{
    const struct serve_file *f = file_named(path);
    if (str_eq_z(path, "/") && take_link(c))
        return;
    if (!f) {
        refuse(c->reply, 404, "not_found", "there is no such page");
        return;
    }
    c->reply->status = 200;
    type(c->reply, f->type);
    header(c->reply, "Cache-Control", STR("no-cache"));
    if (c->request->method != HTTP_HEAD)
        buf_put(&c->reply->body, f->bytes, f->size);
}

static const struct serve_route *route_of(const struct http_request *r, struct str path)
{
    const struct serve_route *const tables[] = {serve_today_routes,  serve_visit_routes,
                                                serve_finish_routes, serve_lead_routes,
                                                serve_device_routes, serve_training_routes};
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct serve_route *x = tables[t]; x->path; x++)
            if (x->method == r->method && str_eq_z(path, x->path))
                return x;
    return NULL;
}

static void tell_error(struct http_reply *reply, enum err rc, const struct diag *d)
{
    const struct err_action *action = err_action(rc);
    buf_clear(&reply->body);
    reply->status = action->http_status;
    js_open(&reply->body, NULL, '{');
    js_z(&reply->body, "error", action->name);
    js_z(&reply->body, "text", d->text);
    js_z(&reply->body, "todo_en", action->todo_en);
    js_z(&reply->body, "todo_zh", action->todo_zh);
    buf_put_char(&reply->body, '}');
}

#define IDLE_MS (3LL * 60 * 1000)
#define IDLE_VISIT_MS (10LL * 60 * 1000)

/* Nobody touched it for long: whoever comes next shows the PIN. What a page asks by itself is no touch. */
static void note_touch(struct serving *g, bool by_itself)
{
    int64_t now = g->seam->mono_ms(g->seam->self);
    int64_t idle = g->visit.open ? IDLE_VISIT_MS : IDLE_MS;
    if (!g->locked && now - g->touched_ms > idle && serve_has_pin(g))
        serve_lock(g);
    if (!by_itself)
        g->touched_ms = now;
}

/* What is needed to unlock. */
static bool is_open_route(const struct http_request *r, struct str path)
{
    return (r->method == HTTP_GET && str_eq_z(path, "/api/lock")) ||
           (r->method == HTTP_POST && str_eq_z(path, "/api/unlock"));
}

/* A page of ours sets a header of its own: what a plain form or image of another site sends has none. */
static void run_route(struct serve_call *c, struct str path)
{
    const struct serve_route *route = route_of(c->request, path);
    bool media = str_starts(path, STR("/api/media"));
    if (!media && !head_of(c->request, "X-Doorstep").p) {
        refuse(c->reply, 403, "denied", "not a page of this program");
        return;
    }
    note_touch(c->g, str_eq_z(head_of(c->request, "X-Doorstep"), "self"));
    if (!is_open_route(c->request, path) && (c->g->locked || !has_session(c->g, c->request))) {
        refuse(c->reply, 401, "session", "open the link that doorstep serve prints");
        return;
    }
    if (!route) {
        refuse(c->reply, 404, "not_found", "there is no such route");
        return;
    }
    enum err rc = ERR_OK;
    bool is_json = str_starts(head_of(c->request, "Content-Type"), STR("application/json"));
    if (c->request->body.n > 0 && is_json)
        rc = json_read(c->a, c->request->body, &c->in, c->d);
    if (!rc)
        rc = route->run(c);
    if (!rc && c->out->failed)
        rc = diag_set(c->d, c->out->failed, "the reply is too large");
    if (!media || rc) {
        type(c->reply, "application/json");
        header(c->reply, "Cache-Control", STR("no-store"));
    }
    if (rc)
        tell_error(c->reply, rc, c->d);
    else
        c->reply->status = 200;
}

static void handle(void *self, const struct http_request *request, struct arena *a, struct http_reply *reply)
{
    struct serving *g = self;
    struct diag d = {0};
    struct str path = http_path(request->url);
    struct serve_call c = {.g = g, .request = request, .reply = reply, .a = a, .out = &reply->body, .d = &d};
    guard_headers(reply);
    if (from_elsewhere(g, request))
        refuse(reply, 403, "denied", "only pages of this program on this machine may ask");
    else if (str_starts(path, STR("/api/")))
        run_route(&c, path);
    else if (request->method == HTTP_GET || request->method == HTTP_HEAD)
        give_file(&c, path);
    else
        refuse(reply, 405, "usage", "pages are read only");
}

struct str serve_query(const struct serve_call *c, const char *name)
{
    struct str value = http_query(c->a, c->request->url, name);
    return value.p ? value : STR("");
}

int64_t serve_today(const struct serving *g)
{
    struct civil c = civil_at(g->seam->wall_ms(g->seam->self), g->zone ? g->zone : zone_utc());
    return civil_days(c.year, c.month, c.day);
}

/* ---- the command ---- */

/* Threads that come after it leave these signals to the main thread. */
static void hold_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    (void)signal(SIGPIPE, SIG_IGN);
}

static enum err listen_on(struct serving *g, const char *port_text, struct http_serve **out, struct diag *d)
{
    uint64_t port = PORT;
    if (port_text && (!str_to_u64(str_of(port_text), &port) || port > 65535))
        return diag_set(d, ERR_USAGE, "--port takes a number up to 65535; 0 = any free one");
    const struct http_serve_options o = {.address = "127.0.0.1",
                                         .port = (uint16_t)port,
                                         .threads = 1,
                                         .body_max = SERVE_BODY_MAX,
                                         .held_max = 2 * SERVE_BODY_MAX,
                                         .connections_max = 64,
                                         .idle_s_max = 120,
                                         .self = g,
                                         .handle = handle};
    enum err rc = draw_token(g, g->link);
    if (rc)
        return diag_set(d, rc, "no link could be drawn");
    rc = http_serve_start(&o, out, d);
    if (!rc)
        g->port = http_serve_port(*out);
    return rc;
}

static void print_link(const struct serving *g, bool zh)
{
    printf("http://127.0.0.1:%u/?key=%s\n", g->port, g->link);
    (void)fflush(stdout);
    fprintf(stderr, "%s\n",
            zh ? "用本机浏览器打开上面的链接（只能用一次）。"
               : "Open this link in a browser on this machine; it works once.");
}

static int run_serve(int argc, char **argv, struct seam *seam)
{
    const char *data = NULL, *port = NULL, *tz = NULL, *no_sync = NULL, *lang = NULL, *card = NULL, *args[1];
    const struct cli_option options[] = {
        {"--port", "N", "on 127.0.0.1; 0 = any free one (8710)", &port},
        {"--no-sync", NULL, "do not sync in the background", &no_sync},
        {"--card", "DIR", "a folder that counts as a memory card", &card},
        {"--tz", "ZONE", "time zone, as Asia/Shanghai", &tz},
        {"--lang", "zh|en", "language of the messages", &lang},
        {"--data", "DIR", "where this device keeps its data", &data},
    };
    int n;
    struct arena a;
    struct diag d = {0};
    struct http_serve *server = NULL;
    struct serving g = {.seam = seam, .sync.lock = PTHREAD_MUTEX_INITIALIZER};

    int code = cli_parse(&command_serve, options, (int)(sizeof options / sizeof *options), argc, argv, args,
                         0, 0, &n);
    if (code >= 0)
        return code;
    hold_signals();
    buf_init(&g.sync.texts, 65536);
    arena_init(&a, WORK_MEMORY_MAX);
    code = cli_store_open("serve", &a, data, tz, seam, &g.zone, &g.store);
    if (code < 0) {
        g.no_sync = no_sync != NULL;
        g.card = card;
        enum err rc = cli_data_dir(&a, data, &g.base, &d);
        if (!rc && strlen(g.base) >= sizeof g.data - 16)
            rc = diag_set(&d, ERR_USAGE, "the data directory's path is too long");
        if (!rc) {
            snprintf(g.data, sizeof g.data, "%s", g.base);
            serve_training_end(&g); /* what an end without notice left */
            g.locked = serve_has_pin(&g);
            g.touched_ms = seam->mono_ms(seam->self);
        }
        if (!rc)
            rc = listen_on(&g, port, &server, &d);
        if (!rc) {
            print_link(&g, cli_chinese(lang));
            rc = serve_sync_run(&g, &d);
        }
        http_serve_stop(server);
        if (g.base)
            serve_training_end(&g);
        visit_close(&g);
        buf_free(&g.sync.texts);
        code = rc ? cli_fail("serve", rc, &d) : 0;
    }
    store_close(g.store);
    arena_free(&a);
    return code;
}

const struct cli_command command_serve = {
    .name = "serve",
    .arguments = "[--port N] [--no-sync]",
    .summary = "the screens in a browser on this machine, with sync in the background",
    .example = "doorstep serve --data ~/doorstep",
    .run = run_serve,
};
