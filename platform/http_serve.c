/* See http_serve.h. libmicrohttpd calls us three times or more for one request: with its head, with each
 * piece of its body, and when it is whole; struct request_state lives through all of them and holds the
 * request's arena. A refused request's body is read and thrown away, because a client that is still sending
 * would not see the answer; but only DISCARD_MAX of it. */
#include "platform/http_serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef DOORSTEP_HTTP_TLS
#include <gnutls/gnutls.h>
#endif

#define HEAD_MAX ((size_t)16 << 10)  /* memory of one connection; request line and headers must fit */
#define ARENA_MAX ((size_t)64 << 20) /* scratch of one request; the largest frame unpacks to far less */
#define REPLY_MAX ((size_t)64 << 20)
#define DISCARD_MAX ((uint64_t)1 << 20)
#define HELD_MAX (128u << 20)
#define STOP_WAIT_MS 10000
#define PROXIES_TEXT_MAX 1024
/* Every byte counts on a 2G link; the time that devices believe is inside what the centre signs. */
#define WITHOUT_DATE MHD_USE_SUPPRESS_DATE_NO_CLOCK
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* Keys of TLS sessions, drawn anew by each process. A handheld serves itself only, and has no TLS. */
#ifdef DOORSTEP_HTTP_TLS
struct tickets {
    gnutls_datum_t key;
};

static bool tickets_begin(struct tickets *t)
{
    return gnutls_session_ticket_key_generate(&t->key) == 0;
}

static void tickets_give(const struct tickets *t, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection,
                                                                   MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (t->key.data && info && info->tls_session)
        (void)gnutls_session_ticket_enable_server(info->tls_session, &t->key);
}

static void tickets_end(struct tickets *t)
{
    gnutls_free(t->key.data);
}
#else
struct tickets {
    char none;
};

static bool tickets_begin(struct tickets *t)
{
    (void)t;
    return false;
}

static void tickets_give(const struct tickets *t, struct MHD_Connection *connection)
{
    (void)t, (void)connection;
}

static void tickets_end(struct tickets *t)
{
    (void)t;
}
#endif

struct http_serve {
    struct http_serve_options options;
    struct MHD_Daemon *daemon;
    uint16_t port;
    atomic_uint running; /* requests that have begun and are not answered */
    atomic_bool stopping;
    pthread_mutex_t lock; /* of what follows */
    struct connection *connections;
    struct http_numbers numbers;
    pthread_t watch;
    bool watching;
    atomic_size_t held; /* memory of all bodies */
    bool secure;
    struct tickets tickets;
    char proxies[PROXIES_TEXT_MAX];
};

/* One that is open. The library says when it is closed, before its socket is: as long as it stands in the
 * list, the socket is its own. */
struct connection {
    struct connection *next, *before;
    int fd;
    int64_t until_ms; /* it is cut off then */
};

struct request_state {
    struct arena arena;
    struct http_request request;
    struct buf body;
    uint64_t body_seen;
    int refused; /* HTTP status, or 0 */
    bool head_read;
    bool counted, answered;
    bool in_pieces;
    uint64_t body_at; /* in pieces: where `body` begins */
    bool piece_failed;
    struct http_reply piece_reply; /* of the one that failed */
};

static int64_t now_ms(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t parse_address(const char *text, uint16_t port, union address *out)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        return sizeof out->v4;
    }
    if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        return sizeof out->v6;
    }
    return 0;
}

/* ---- one request ---- */

static void until_set(struct http_serve *s, struct MHD_Connection *connection, int64_t ms)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection,
                                                                   MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *c = info ? info->socket_context : NULL;
    if (!c)
        return;
    pthread_mutex_lock(&s->lock);
    c->until_ms = now_ms() + ms;
    pthread_mutex_unlock(&s->lock);
}

/* The earliest call, and the only one that sees the address as it was sent. */
static void *request_begins(void *self, const char *uri, struct MHD_Connection *connection)
{
    struct http_serve *s = self;
    struct request_state *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    until_set(s, connection, (int64_t)s->options.head_s_max * 1000);
    arena_init(&r->arena, ARENA_MAX);
    buf_init(&r->body, s->options.body_max);
    r->request.url = arena_str(&r->arena, str_of(uri));
    return r;
}

static void body_drop(struct http_serve *s, struct request_state *r)
{
    atomic_fetch_sub(&s->held, r->body.room);
    buf_free(&r->body);
}

/* What is here of a body that is handed on as it arrives. */
static void hand_on(struct http_serve *s, struct request_state *r, bool more, struct http_reply *reply)
{
    buf_init(&reply->body, REPLY_MAX);
    reply->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    r->request.body = buf_str(&r->body);
    r->request.body_at = r->body_at;
    r->request.body_more = more;
    s->options.handle(s->options.self, &r->request, &r->arena, reply);
    r->body_at += r->body.n;
    buf_clear(&r->body);
}

static void request_ends(void *self, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct http_serve *s = self;
    struct request_state *r = *state;
    (void)code;
    if (!r)
        return;
    until_set(s, connection, (int64_t)s->options.idle_s_max * 1000);
    if (r->in_pieces && !r->answered && !r->piece_failed && !r->refused && r->body.n > 0) {
        struct http_reply unheard = {0};
        hand_on(s, r, true, &unheard); /* the connection broke: what arrived need not come again */
        buf_free(&unheard.body);
    }
    if (r->counted)
        atomic_fetch_sub(&s->running, 1);
    buf_free(&r->piece_reply.body);
    body_drop(s, r);
    arena_free(&r->arena);
    free(r);
    *state = NULL;
}

static bool method_of(const char *name, enum http_method *out)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum http_method)i;
            return true;
        }
    }
    return false;
}

static enum MHD_Result take_header(void *self, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct request_state *r = self;
    (void)kind;
    if (r->request.header_count == HTTP_HEADERS_MAX) {
        r->refused = MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
        return MHD_NO;
    }
    r->request.headers[r->request.header_count++] = (struct http_header){str_of(name), str_of(value)};
    return MHD_YES;
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, struct arena *a,
                                  struct http_reply *reply)
{
    struct MHD_Response *response = NULL;
    enum MHD_Result sent = MHD_NO;
    if (reply->body.failed)
        goto done;
    response = reply->body.n
                   ? MHD_create_response_from_buffer_with_free_callback(reply->body.n, reply->body.p, free)
                   : MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!response)
        goto done;
    if (reply->body.n)
        reply->body = (struct buf){0}; /* the response owns it now */
    for (uint32_t i = 0; i < reply->header_count; i++) {
        const char *name = arena_z(a, reply->headers[i].name);
        const char *value = arena_z(a, reply->headers[i].value);
        /* A line break in a header would let an answer forge another one. */
        if (!name || !value || MHD_add_response_header(response, name, value) != MHD_YES)
            goto done;
    }
    sent = MHD_queue_response(connection, (unsigned)reply->status, response);

done:
    if (response)
        MHD_destroy_response(response);
    buf_free(&reply->body);
    return sent;
}

static enum MHD_Result send_status(struct MHD_Connection *connection, int status)
{
    struct arena none = {0};
    struct http_reply reply = {.status = status};
    return send_reply(connection, &none, &reply);
}

/* The numeric address of the other end; a mapped IPv4 address as what it is. */
static struct str peer_of(struct MHD_Connection *connection, struct arena *a)
{
    char text[INET6_ADDRSTRLEN] = "";
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection,
                                                                   MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!info || !info->client_addr)
        return STR("");
    union address at;
    if (info->client_addr->sa_family == AF_INET6) {
        memcpy(&at.v6, info->client_addr, sizeof at.v6);
        (void)inet_ntop(AF_INET6, &at.v6.sin6_addr, text, sizeof text);
    } else if (info->client_addr->sa_family == AF_INET) {
        memcpy(&at.v4, info->client_addr, sizeof at.v4);
        (void)inet_ntop(AF_INET, &at.v4.sin_addr, text, sizeof text);
    }
    struct str s = str_of(text);
    return arena_str(a, str_starts(s, STR("::ffff:")) && str_find(s, STR(".")) > 0 ? str_sub(s, 7, s.n) : s);
}

static bool in_list(struct str list, struct str address)
{
    struct str one;
    while (str_split(&list, ',', &one)) {
        if (address.n > 0 && str_eq(str_trim(one), address))
            return true;
    }
    return false;
}

/* Of "client, proxy, proxy" each was written by who stands behind it: from the right, the first that is no
 * proxy of ours. What stands left of it anybody could have made up. */
static struct str forwarded_for(struct str header, struct str proxies, struct str peer)
{
    union address at;
    char text[INET6_ADDRSTRLEN];
    struct str found = peer;
    while (header.n > 0) {
        size_t from = header.n;
        while (from > 0 && header.p[from - 1] != ',')
            from--;
        struct str one = str_trim(str_sub(header, from, header.n));
        if (one.n == 0 || one.n >= sizeof text)
            return found;
        memcpy(text, one.p, one.n);
        text[one.n] = 0;
        if (parse_address(text, 0, &at) == 0)
            return found;
        found = one;
        if (!in_list(proxies, one))
            return found;
        header = str_sub(header, 0, from ? from - 1 : 0);
    }
    return found;
}

/* Of several lines the last: what the proxy wrote stands behind what it was sent. */
static struct str header_last(const struct http_request *q, const char *name)
{
    struct str found = STR_NONE;
    for (uint32_t i = 0; i < q->header_count; i++) {
        if (str_eq_nocase(q->headers[i].name, str_of(name)))
            found = q->headers[i].value;
    }
    return found;
}

static void read_whence(const struct http_serve *s, struct request_state *r,
                        struct MHD_Connection *connection)
{
    struct http_request *q = &r->request;
    struct str proxies = str_of(s->options.proxies);
    q->client = peer_of(connection, &r->arena);
    q->secure = s->secure;
    if (!proxies.n || !in_list(proxies, q->client))
        return;
    q->secure = str_eq_nocase(header_last(q, "X-Forwarded-Proto"), STR("https"));
    q->client = forwarded_for(header_last(q, "X-Forwarded-For"), proxies, q->client);
}

static int64_t body_ms_max(const struct http_serve *s)
{
    return (int64_t)s->options.idle_s_max * 10 * 1000;
}

static enum MHD_Result read_head(struct http_serve *s, struct request_state *r,
                                 struct MHD_Connection *connection, const char *method)
{
    r->head_read = true;
    r->counted = true;
    atomic_fetch_add(&s->running, 1);
    until_set(s, connection, body_ms_max(s));
    if (!r->request.url.p)
        return MHD_NO;
    if (!method_of(method, &r->request.method))
        r->refused = MHD_HTTP_METHOD_NOT_ALLOWED;
    MHD_get_connection_values(connection, MHD_HEADER_KIND, take_header, r);
    read_whence(s, r, connection);
    struct str length = http_header_find(r->request.headers, r->request.header_count, "Content-Length");
    uint64_t n = 0;
    if (str_to_u64(length, &n) && n > s->options.body_max) {
        r->refused = MHD_HTTP_CONTENT_TOO_LARGE;
        if (n > s->options.body_max + DISCARD_MAX)
            return send_status(connection, r->refused);
    }
    r->in_pieces = !r->refused && s->options.in_pieces && s->options.in_pieces(s->options.self, &r->request);
    return MHD_YES;
}

/* A piece leaves only when there is more behind it: the last one's reply is the request's. */
static void take_pieces(struct http_serve *s, struct request_state *r, struct str bytes)
{
    while (bytes.n > 0 && !r->piece_failed) {
        if (r->body.n == HTTP_PIECE) {
            hand_on(s, r, true, &r->piece_reply);
            r->piece_failed = r->piece_reply.status >= 300;
            if (!r->piece_failed)
                buf_free(&r->piece_reply.body);
            continue;
        }
        size_t n = HTTP_PIECE - r->body.n < bytes.n ? HTTP_PIECE - r->body.n : bytes.n;
        buf_put(&r->body, bytes.p, n);
        bytes = str_sub(bytes, n, bytes.n);
    }
}

/* What others hold counts with the room it takes, one's own with its bytes: a buffer that has just doubled is
 * no reason to refuse its last piece. */
static enum MHD_Result take_body(struct http_serve *s, struct request_state *r, struct str piece)
{
    r->body_seen += piece.n;
    if (r->body_seen > s->options.body_max)
        r->refused = MHD_HTTP_CONTENT_TOO_LARGE;
    else if (r->body_seen > HTTP_BODY_SMALL &&
             atomic_load(&s->held) - r->body.room + r->body.n + piece.n > s->options.held_max)
        r->refused = MHD_HTTP_SERVICE_UNAVAILABLE;
    if (r->refused) {
        body_drop(s, r);
        return r->body_seen > s->options.body_max + DISCARD_MAX ? MHD_NO : MHD_YES;
    }
    size_t room = r->body.room;
    if (r->in_pieces)
        take_pieces(s, r, piece);
    else
        buf_put_str(&r->body, piece);
    atomic_fetch_add(&s->held, r->body.room - room);
    return r->body.failed ? MHD_NO : MHD_YES;
}

static enum MHD_Result answer(struct http_serve *s, struct request_state *r,
                              struct MHD_Connection *connection)
{
    struct http_reply reply = {.status = MHD_HTTP_INTERNAL_SERVER_ERROR};
    r->answered = true;
    if (r->refused) {
        pthread_mutex_lock(&s->lock);
        s->numbers.refused++;
        pthread_mutex_unlock(&s->lock);
        return send_status(connection, r->refused);
    }
    if (r->piece_failed) {
        reply = r->piece_reply;
        r->piece_reply.body = (struct buf){0};
    } else {
        hand_on(s, r, false, &reply);
    }
    until_set(s, connection, body_ms_max(s) + (int64_t)(reply.body.n / HTTP_REPLY_PACE) * 1000);
    if (atomic_load(&s->stopping) && reply.header_count < HTTP_HEADERS_MAX)
        reply.headers[reply.header_count++] = (struct http_header){STR("Connection"), STR("close")};
    if (send_reply(connection, &r->arena, &reply) == MHD_YES)
        return MHD_YES;
    return send_status(connection, MHD_HTTP_INTERNAL_SERVER_ERROR);
}

static enum MHD_Result on_call(void *self, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *piece, size_t *piece_size,
                               void **state)
{
    struct http_serve *s = self;
    struct request_state *r = *state;
    (void)url;
    (void)version;
    if (!r)
        return MHD_NO;
    if (!r->head_read)
        return read_head(s, r, connection, method);
    if (*piece_size > 0) {
        struct str bytes = {piece, *piece_size};
        *piece_size = 0;
        return take_body(s, r, bytes);
    }
    return answer(s, r, connection);
}

/* ---- the server ---- */

static enum err fail_listen(int error, const struct http_serve_options *o, struct diag *d)
{
    if (error == EADDRINUSE)
        return diag_set(d, ERR_BUSY,
                        "%s port %u is in use by another program. Stop it, or choose another port.",
                        o->address, o->port);
    if (error == EACCES || error == EPERM)
        return diag_set(d, ERR_DENIED, "Port %u needs special rights. Choose one above 1023.", o->port);
    if (error == EADDRNOTAVAIL)
        return diag_set(d, ERR_USAGE, "%s is not an address of this machine. 127.0.0.1 always is.",
                        o->address);
    return diag_set(d, ERR_IO, "Listening on %s port %u failed: %s.", o->address, o->port, strerror(error));
}

static enum err open_socket(const struct http_serve_options *o, int *fd_out, uint16_t *port_out,
                            struct diag *d)
{
    union address address;
    int one = 1;
    socklen_t size = parse_address(o->address, o->port, &address);
    if (size == 0)
        return diag_set(d, ERR_USAGE, "\"%.60s\" is not a numeric address such as 127.0.0.1 or ::1.",
                        o->address);
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail_listen(errno, o, d);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        (address.any.sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) ||
        bind(fd, &address.any, size) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, &address.any, &size) != 0) {
        int error = errno;
        close(fd);
        return fail_listen(error, o, d);
    }
    *fd_out = fd;
    *port_out = ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
    return ERR_OK;
}

/* Whoever has had a connection for longer than what they are at may take is cut off. The socket is only shut
 * here: the library sees that and closes it. */
static void *watch_run(void *self)
{
    struct http_serve *s = self;
    const struct timespec moment = {.tv_nsec = 250000000};
    while (!atomic_load(&s->stopping)) {
        nanosleep(&moment, NULL);
        int64_t now = now_ms();
        pthread_mutex_lock(&s->lock);
        for (struct connection *c = s->connections; c; c = c->next) {
            if (now < c->until_ms)
                continue;
            (void)shutdown(c->fd, SHUT_RDWR);
            c->until_ms = INT64_MAX;
            s->numbers.cut_off++;
        }
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

static void connection_ends(struct http_serve *s, struct connection *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&s->lock);
    if (c->before)
        c->before->next = c->next;
    else
        s->connections = c->next;
    if (c->next)
        c->next->before = c->before;
    s->numbers.open--;
    pthread_mutex_unlock(&s->lock);
    free(c);
}

/* Without memory for it the connection is not watched; the library's own limits still hold. */
static void connection_watch(struct http_serve *s, struct MHD_Connection *connection, void **socket_context)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection,
                                                                   MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *c = info ? calloc(1, sizeof *c) : NULL;
    if (!c)
        return;
    c->fd = info->connect_fd;
    c->until_ms = now_ms() + (int64_t)s->options.idle_s_max * 1000;
    *socket_context = c;
    pthread_mutex_lock(&s->lock);
    c->next = s->connections;
    if (c->next)
        c->next->before = c;
    s->connections = c;
    s->numbers.connections++;
    s->numbers.open++;
    pthread_mutex_unlock(&s->lock);
}

/* The earliest moment at which a connection can be told; its handshake comes after it. */
static void connection_changes(void *self, struct MHD_Connection *connection, void **socket_context,
                               enum MHD_ConnectionNotificationCode code)
{
    struct http_serve *s = self;
    if (code != MHD_CONNECTION_NOTIFY_STARTED) {
        connection_ends(s, *socket_context);
        *socket_context = NULL;
        return;
    }
    connection_watch(s, connection, socket_context);
    tickets_give(&s->tickets, connection);
}

static enum err prepare_tls(struct http_serve *s, const struct http_serve_options *o, struct diag *d)
{
    if (!o->certificate && !o->key)
        return ERR_OK;
    if (!o->certificate || !o->key)
        return diag_set(d, ERR_USAGE, "HTTPS needs both a certificate and its key.");
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return diag_set(d, ERR_VERSION, "The HTTP library of this machine cannot do TLS.");
    if (!tickets_begin(&s->tickets))
        return diag_set(d, ERR_NOMEM, "Keys for TLS sessions could not be drawn.");
    return ERR_OK;
}

static enum err keep_proxies(struct http_serve *s, const char *text, struct diag *d)
{
    union address at;
    struct str list = str_of(text), one;
    if (list.n >= sizeof s->proxies)
        return diag_set(d, ERR_USAGE, "The list of proxies is longer than %d bytes.", PROXIES_TEXT_MAX);
    while (list.p && str_split(&list, ',', &one)) {
        char z[INET6_ADDRSTRLEN] = "";
        one = str_trim(one);
        if (one.n < sizeof z)
            memcpy(z, one.p, one.n);
        if (parse_address(z, 0, &at) == 0)
            return diag_set(d, ERR_USAGE, "\"%.*s\" is not a proxy's numeric address such as 127.0.0.1.",
                            STR_ARG(one));
    }
    if (text)
        memcpy(s->proxies, text, strlen(text) + 1);
    s->options.proxies = s->proxies;
    return ERR_OK;
}

static struct MHD_Daemon *start_daemon(struct http_serve *s, const struct http_serve_options *o, int fd)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | WITHOUT_DATE;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)o->certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)o->key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };
    if (o->certificate)
        flags |= MHD_USE_TLS;
    else
        tls[0] = tls[3];
    return MHD_start_daemon(flags, 0, NULL, NULL, on_call, s, MHD_OPTION_LISTEN_SOCKET, fd,
                            MHD_OPTION_THREAD_POOL_SIZE, (unsigned)s->options.threads,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->options.connections_max,
                            MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                            (unsigned)(s->options.connections_max + 1) / 2, MHD_OPTION_CONNECTION_TIMEOUT,
                            (unsigned)s->options.idle_s_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEAD_MAX,
                            MHD_OPTION_URI_LOG_CALLBACK, request_begins, s, MHD_OPTION_NOTIFY_COMPLETED,
                            request_ends, s, MHD_OPTION_NOTIFY_CONNECTION, connection_changes, s,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

static void serve_free(struct http_serve *s)
{
    pthread_mutex_destroy(&s->lock);
    tickets_end(&s->tickets);
    free(s);
}

enum err http_serve_start(const struct http_serve_options *o, struct http_serve **serve_out, struct diag *d)
{
    int fd = -1;
    struct http_serve *s = calloc(1, sizeof *s);
    if (!s)
        return diag_set(d, ERR_NOMEM, "Not enough memory to start serving.");
    s->options = *o;
    s->secure = o->certificate != NULL;
    pthread_mutex_init(&s->lock, NULL);
    if (s->options.threads == 0)
        s->options.threads = 2;
    if (s->options.connections_max == 0)
        s->options.connections_max = 1000;
    if (s->options.idle_s_max == 0)
        s->options.idle_s_max = 60;
    if (s->options.head_s_max == 0)
        s->options.head_s_max = HTTP_HEAD_S_MAX;
    if (s->options.held_max == 0)
        s->options.held_max = HELD_MAX;
    enum err rc = prepare_tls(s, o, d);
    if (!rc)
        rc = keep_proxies(s, o->proxies, d);
    if (!rc)
        rc = open_socket(o, &fd, &s->port, d);
    if (rc) {
        serve_free(s);
        return rc;
    }
    s->options.address = s->options.certificate = s->options.key = NULL; /* texts need not live on */
    s->daemon = start_daemon(s, o, fd);
    if (!s->daemon) {
        close(fd);
        serve_free(s);
        return o->certificate
                   ? diag_set(d, ERR_USAGE, "The certificate or its key cannot be used; both are PEM texts.")
                   : diag_set(d, ERR_NOMEM,
                              "The HTTP server does not start: too few threads, files or too little memory.");
    }
    s->watching = pthread_create(&s->watch, NULL, watch_run, s) == 0;
    if (!s->watching) {
        http_serve_stop(s);
        return diag_set(d, ERR_NOMEM, "The HTTP server does not start: too few threads.");
    }
    *serve_out = s;
    return ERR_OK;
}

struct http_numbers http_serve_numbers(struct http_serve *s)
{
    pthread_mutex_lock(&s->lock);
    struct http_numbers n = s->numbers;
    pthread_mutex_unlock(&s->lock);
    n.held = atomic_load(&s->held);
    return n;
}

uint16_t http_serve_port(const struct http_serve *s)
{
    return s->port;
}

/* New connections are refused first; then requests that have begun get their answer, and with it hear that
 * the connection ends. */
void http_serve_stop(struct http_serve *s)
{
    if (!s)
        return;
    atomic_store(&s->stopping, true);
    if (s->watching)
        (void)pthread_join(s->watch, NULL);
    MHD_socket listening = MHD_quiesce_daemon(s->daemon);
    if (listening != MHD_INVALID_SOCKET)
        (void)shutdown(listening, SHUT_RDWR);
    const struct timespec moment = {.tv_nsec = 5000000};
    for (int64_t until = now_ms() + STOP_WAIT_MS; atomic_load(&s->running) > 0 && now_ms() < until;)
        nanosleep(&moment, NULL);
    MHD_stop_daemon(s->daemon);
    if (listening != MHD_INVALID_SOCKET) /* its threads still take it out of what they wait for, till then */
        close(listening);
    serve_free(s);
}
