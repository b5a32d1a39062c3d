/* Our HTTP client against our HTTP server over loopback, and both against a peer that misbehaves byte by
 * byte. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/http_serve.h"
#include "platform/posix/http_curl.h"

#define BODY_MAX 100000

struct world {
    struct http_serve *serve;
    struct http_curl *curl;
    struct arena arena;
    struct diag diag;
    atomic_int handled;
    char base[60];
};

/* Tells back what arrived, so that the client's side can compare. */
static void handle(void *self, const struct http_request *q, struct arena *a, struct http_reply *reply)
{
    struct world *w = self;
    atomic_fetch_add(&w->handled, 1);
    struct str path = http_path(q->url);
    if (str_eq_z(path, "/slow")) {
        const struct timespec t = {.tv_nsec = 300000000};
        nanosleep(&t, NULL);
    }
    reply->status = str_eq_z(path, "/made") ? 201 : str_eq_z(path, "/away") ? 302 : 200;
    reply->headers[0] = (struct http_header){STR("X-Url"), arena_str(a, q->url)};
    reply->headers[1] = (struct http_header){STR("Location"), STR("/elsewhere")};
    reply->headers[2] = (struct http_header){STR("X-Note"),
                                             http_header_find(q->headers, q->header_count, "x-note")};
    reply->header_count = reply->headers[2].value.p ? 3 : 2;
    if (str_eq_z(path, "/forged"))
        reply->headers[1].value = STR("a\r\nX-Evil: 1");
    if (str_eq_z(path, "/large")) {
        for (int i = 0; i < 3000; i++)
            buf_put_z(&reply->body, "0123456789");
        return;
    }
    buf_put_char(&reply->body, "GHPUD"[q->method]);
    buf_put_str(&reply->body, q->body);
}

static int setup(void **state)
{
    static struct world w;
    memset(&w, 0, sizeof w);
    arena_init(&w.arena, 1 << 24);
    struct http_serve_options o = {
        .address = "127.0.0.1", .body_max = BODY_MAX, .idle_s_max = 2, .self = &w, .handle = handle};
    if (http_serve_start(&o, &w.serve, &w.diag) || http_curl_open(NULL, &w.curl, &w.diag)) {
        print_error("%s\n", w.diag.text);
        return -1;
    }
    snprintf(w.base, sizeof w.base, "http://127.0.0.1:%u", http_serve_port(w.serve));
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    http_curl_close(w->curl);
    http_serve_stop(w->serve);
    arena_free(&w->arena);
    return 0;
}

static enum err exchange(struct world *w, enum http_method method, const char *path, struct str body,
                         struct http_reply *reply)
{
    struct buf url;
    buf_init(&url, 1000);
    buf_printf(&url, "%s%s", strstr(path, "://") ? "" : w->base, path);
    struct http_request q = {
        .method = method, .url = buf_str(&url), .body = body, .body_max = 50000, .stall_ms_max = 1500};
    diag_clear(&w->diag);
    *reply = (struct http_reply){0};
    enum err rc = http_curl_exchange(w->curl, &q, &w->arena, reply, &w->diag);
    buf_free(&url);
    return rc;
}

static void assert_echo(struct world *w, enum http_method method, const char *path, int status,
                        const char *expected)
{
    struct http_reply reply;
    if (exchange(w, method, path, STR("body"), &reply))
        fail_msg("%s: %s", path, w->diag.text);
    assert_int_equal(reply.status, status);
    assert_true(str_eq_z(buf_str(&reply.body), expected));
    assert_true(str_eq_z(http_header_find(reply.headers, reply.header_count, "x-url"), path));
    buf_free(&reply.body);
}

static void every_method_crosses(void **state)
{
    struct world *w = *state;
    assert_echo(w, HTTP_POST, "/v1/frames?a=%20b&c", 200, "Pbody");
    assert_echo(w, HTTP_PUT, "/made", 201, "Ubody");
    assert_echo(w, HTTP_DELETE, "/x", 200, "Dbody");
    assert_echo(w, HTTP_GET, "/x", 200, "Gbody");
    assert_echo(w, HTTP_HEAD, "/x", 200, "");
    assert_echo(w, HTTP_GET, "/away", 302, "Gbody"); /* a redirect is a reply, and is not followed */
}

static void headers_cross_and_bytes_are_counted(void **state)
{
    struct world *w = *state;
    char url[100];
    snprintf(url, sizeof url, "%s/x", w->base);
    struct http_reply reply = {0};
    struct http_request q = {.method = HTTP_POST,
                             .url = str_of(url),
                             .body = STR("\0\1\2binary"),
                             .body_max = 100};
    q.headers[0] = (struct http_header){STR("X-Note"), STR("村 1")};
    q.headers[1] = (struct http_header){STR("X-Empty"), STR("")};
    q.header_count = 2;
    assert_int_equal(http_curl_exchange(w->curl, &q, &w->arena, &reply, &w->diag), ERR_OK);
    assert_true(str_eq_z(http_header_find(reply.headers, reply.header_count, "X-NOTE"), "村 1"));
    assert_int_equal(reply.body.n, 10);
    assert_memory_equal(reply.body.p, "P\0\1\2binary", 10);
    /* The head as it must have been: request line, host, two headers, length. */
    char head[300];
    int n = snprintf(head, sizeof head,
                     "POST /x HTTP/1.1\r\nHost: %s\r\nX-Note: 村 1\r\nX-Empty:\r\nContent-Length: 9\r\n\r\n",
                     w->base + 7);
    assert_int_equal(reply.bytes_up, n + 9);
    assert_in_range(reply.bytes_down, 60, 400);
    buf_free(&reply.body);
    q.headers[0].value = STR("a\r\nX-Evil: 1");
    assert_int_equal(http_curl_exchange(w->curl, &q, &w->arena, &reply, &w->diag), ERR_USAGE);
}

static void a_body_that_is_too_large_is_refused(void **state)
{
    struct world *w = *state;
    struct http_reply reply;
    static char body[3000000];
    memset(body, 'x', sizeof body);
    int handled = atomic_load(&w->handled);
    assert_int_equal(exchange(w, HTTP_POST, "/x", (struct str){body, BODY_MAX + 1}, &reply), ERR_OK);
    assert_int_equal(reply.status, 413);
    buf_free(&reply.body);
    /* Far too large: the answer may come while the client still sends, or the connection is cut. */
    if (exchange(w, HTTP_POST, "/x", (struct str){body, sizeof body}, &reply) == ERR_OK) {
        assert_int_equal(reply.status, 413);
        buf_free(&reply.body);
    }
    assert_int_equal(atomic_load(&w->handled), handled);
    /* The largest that is allowed comes back whole, cap of the reply permitting. */
    assert_int_equal(exchange(w, HTTP_POST, "/x", (struct str){body, 49999}, &reply), ERR_OK);
    assert_int_equal(reply.body.n, 50000);
    buf_free(&reply.body);
    assert_int_equal(exchange(w, HTTP_POST, "/x", (struct str){body, 50000}, &reply), ERR_LIMIT);
    assert_non_null(strstr(w->diag.text, "50000"));
    assert_true(reply.bytes_up > 50000);
}

/* ---- bodies that are handed on as they arrive ---- */

/* Counts what it is given: pieces must join on to each other. */
struct pieces {
    struct world w;
    atomic_uint calls, bytes, last_calls;
    atomic_bool gap;
    uint64_t fail_at; /* answers 409 to the piece at this place; 0 = none */
};

static void take_piece(void *self, const struct http_request *q, struct arena *a, struct http_reply *reply)
{
    struct pieces *p = self;
    (void)a;
    if (q->body_at != atomic_load(&p->bytes))
        atomic_store(&p->gap, true);
    atomic_fetch_add(&p->calls, 1);
    atomic_fetch_add(&p->bytes, (unsigned)q->body.n);
    atomic_fetch_add(&p->last_calls, !q->body_more);
    reply->status = p->fail_at && q->body_at >= p->fail_at ? 409 : q->body_more ? 204 : 200;
    if (reply->status != 204)
        buf_put_u64(&reply->body, q->body_at + q->body.n);
}

static bool puts_in_pieces(void *self, const struct http_request *head)
{
    (void)self;
    return head->method == HTTP_PUT;
}

static void pieces_start(struct pieces *p)
{
    struct http_serve_options o = {.address = "127.0.0.1",
                                   .body_max = BODY_MAX,
                                   .self = p,
                                   .handle = take_piece,
                                   .in_pieces = puts_in_pieces};
    arena_init(&p->w.arena, 1 << 24);
    assert_int_equal(http_serve_start(&o, &p->w.serve, NULL), ERR_OK);
    assert_int_equal(http_curl_open(NULL, &p->w.curl, NULL), ERR_OK);
    snprintf(p->w.base, sizeof p->w.base, "http://127.0.0.1:%u", http_serve_port(p->w.serve));
}

static void pieces_stop(struct pieces *p)
{
    http_curl_close(p->w.curl);
    http_serve_stop(p->w.serve);
    arena_free(&p->w.arena);
}

static int put_bytes(struct pieces *p, size_t n, const char *expected)
{
    static const char bytes[BODY_MAX];
    struct http_reply reply;
    if (exchange(&p->w, HTTP_PUT, "/u", (struct str){bytes, n}, &reply))
        fail_msg("%s", p->w.diag.text);
    assert_true(str_eq_z(buf_str(&reply.body), expected));
    buf_free(&reply.body);
    return reply.status;
}

static void a_body_is_handed_on_while_it_arrives(void **state)
{
    struct pieces p = {0};
    (void)state;
    pieces_start(&p);
    assert_int_equal(put_bytes(&p, 50000, "50000"), 200);
    assert_int_equal(atomic_load(&p.calls), 4);
    assert_int_equal(atomic_load(&p.last_calls), 1);
    assert_false(atomic_load(&p.gap));
    atomic_store(&p.bytes, 0);
    assert_int_equal(put_bytes(&p, 2 * HTTP_PIECE, "32768"),
                     200); /* the last piece's reply, not an empty one's */
    assert_int_equal(atomic_load(&p.calls), 6);
    pieces_stop(&p);
}

static void a_piece_that_fails_ends_the_request(void **state)
{
    struct pieces p = {.fail_at = HTTP_PIECE};
    (void)state;
    pieces_start(&p);
    assert_int_equal(put_bytes(&p, 80000, "32768"), 409);
    assert_int_equal(atomic_load(&p.calls), 2);
    pieces_stop(&p);
}

static int dial(struct world *w);

static void what_a_broken_connection_brought_is_handed_on(void **state)
{
    static const char head[] = "PUT /u HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n";
    static const char body[20000];
    struct pieces p = {0};
    (void)state;
    pieces_start(&p);
    int fd = dial(&p.w);
    assert_int_equal(send(fd, head, sizeof head - 1, 0), sizeof head - 1);
    assert_int_equal(send(fd, body, sizeof body, 0), sizeof body);
    for (int i = 0; i < 100 && atomic_load(&p.bytes) < HTTP_PIECE; i++)
        usleep(10000);
    assert_int_equal(atomic_load(&p.bytes), HTTP_PIECE); /* kept before the request is whole */
    close(fd);
    for (int i = 0; i < 200 && atomic_load(&p.bytes) < sizeof body; i++)
        usleep(10000);
    assert_int_equal(atomic_load(&p.bytes), sizeof body);
    assert_int_equal(atomic_load(&p.last_calls), 0);
    assert_false(atomic_load(&p.gap));
    pieces_stop(&p);
}

/* ---- raw bytes at the server ---- */

static int dial(struct world *w)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(http_serve_port(w->serve))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int status_for(struct world *w, struct str bytes)
{
    char answer[4096];
    int status = 0;
    int fd = dial(w);
    while (bytes.n > 0) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n < 0)
            break;
        bytes = str_sub(bytes, (size_t)n, bytes.n);
    }
    ssize_t n = recv(fd, answer, sizeof answer - 1, 0);
    if (n > 12 && memcmp(answer, "HTTP/1.1 ", 9) == 0)
        status = atoi(answer + 9);
    close(fd);
    return status;
}

static void malformed_requests_never_reach_the_handler(void **state)
{
    struct world *w = *state;
    int handled = atomic_load(&w->handled);
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_put_z(&b, "GET / HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < HTTP_HEADERS_MAX; i++)
        buf_printf(&b, "X-%d: 1\r\n", i);
    buf_put_z(&b, "\r\n");
    assert_int_equal(status_for(w, buf_str(&b)), 431);
    buf_clear(&b);
    buf_put_z(&b, "GET /");
    for (int i = 0; i < 50000; i++)
        buf_put_char(&b, 'a');
    buf_put_z(&b, " HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_in_range(status_for(w, buf_str(&b)), 0, 499);
    assert_int_equal(status_for(w, STR("PATCH / HTTP/1.1\r\nHost: x\r\n\r\n")), 405);
    assert_int_equal(status_for(w, STR("GET / HTTP/1.1\r\n\r\n")), 400);
    assert_in_range(status_for(w, STR("\x16\x03\x01 nonsense\r\n\r\n")), 0, 499);
    assert_int_equal(status_for(w, STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")),
                     413);
    /* A body that ends early: the request is not carried out. */
    int fd = dial(w);
    struct str part = STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly this");
    assert_int_equal(send(fd, part.p, part.n, 0), part.n);
    close(fd);
    buf_free(&b);
    assert_int_equal(atomic_load(&w->handled), handled);
    assert_int_equal(status_for(w, STR("GET /x HTTP/1.1\r\nHost: x\r\n\r\n")), 200);
}

static void chunked_bodies_are_capped_too(void **state)
{
    struct world *w = *state;
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_put_z(&b, "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n");
    assert_int_equal(status_for(w, buf_str(&b)), 200);
    int handled = atomic_load(&w->handled);
    buf_clear(&b);
    buf_put_z(&b, "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 2 * BODY_MAX / 1000; i++) {
        buf_put_z(&b, "3e8\r\n");
        for (int k = 0; k < 1000; k++)
            buf_put_char(&b, 'x');
        buf_put_z(&b, "\r\n");
    }
    buf_put_z(&b, "0\r\n\r\n");
    assert_int_equal(status_for(w, buf_str(&b)), 413);
    assert_int_equal(atomic_load(&w->handled), handled);
    buf_free(&b);
}

static struct str post_of(struct buf *b, size_t stated, size_t sent)
{
    buf_init(b, 1 << 20);
    buf_printf(b, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", stated);
    for (size_t i = 0; i < sent; i++)
        buf_put_char(b, 'x');
    return buf_str(b);
}

static void clients_that_begin_large_requests_and_stop_take_only_so_much(void **state)
{
    (void)state;
    struct world w = {0};
    struct http_serve_options o = {.address = "127.0.0.1",
                                   .body_max = 8 * HTTP_BODY_SMALL,
                                   .held_max = 6 * HTTP_BODY_SMALL,
                                   .self = &w,
                                   .handle = handle};
    assert_int_equal(http_serve_start(&o, &w.serve, NULL), ERR_OK);
    struct buf half, large, small;
    struct str stalled = post_of(&half, 8 * HTTP_BODY_SMALL, 3 * HTTP_BODY_SMALL);
    (void)post_of(&large, 4 * HTTP_BODY_SMALL, 4 * HTTP_BODY_SMALL);
    (void)post_of(&small, 1000, 1000);
    int fd = dial(&w);
    assert_int_equal(send(fd, stalled.p, stalled.n, 0), stalled.n);
    int status = 200;
    for (int i = 0; i < 100 && status != 503; i++) { /* until what was sent has been read */
        usleep(20000);
        status = status_for(&w, buf_str(&large));
    }
    assert_int_equal(status, 503);
    assert_int_equal(status_for(&w, buf_str(&small)), 200);
    close(fd);
    for (int i = 0; i < 100 && status != 200; i++) {
        usleep(20000);
        status = status_for(&w, buf_str(&large));
    }
    assert_int_equal(status, 200);
    http_serve_stop(w.serve);
    buf_free(&half);
    buf_free(&large);
    buf_free(&small);
}

static int dial_from(struct world *w, uint32_t address)
{
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(http_serve_port(w->serve))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void one_address_cannot_hold_all_connections(void **state)
{
    (void)state;
    struct world w = {0};
    struct http_serve_options o = {.address = "127.0.0.1",
                                   .body_max = 10,
                                   .connections_max = 8,
                                   .threads = 1,
                                   .self = &w,
                                   .handle = handle};
    int fds[20];
    char answer[20] = {0};
    assert_int_equal(http_serve_start(&o, &w.serve, NULL), ERR_OK);
    for (int i = 0; i < 20; i++) {
        fds[i] = dial_from(&w, INADDR_LOOPBACK);
        (void)send(fds[i], "GET ", 4, MSG_NOSIGNAL); /* and no more */
    }
    usleep(200000);
    int fd = dial_from(&w, INADDR_LOOPBACK + 1);
    struct str ask = STR("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    struct timeval patience = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(send(fd, ask.p, ask.n, MSG_NOSIGNAL), ask.n);
    assert_true(recv(fd, answer, 12, 0) == 12);
    assert_memory_equal(answer, "HTTP/1.1 200", 12);
    close(fd);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    http_serve_stop(w.serve);
}

static int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool hung_up(int fd)
{
    char bytes[200];
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    while (n > 0)
        n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    return n == 0 || errno != EAGAIN;
}

/* Sixty who send a byte of their head four times a second, sixty whose body comes that slowly, twenty who say
 * nothing at all: all are gone after their time, none before half of it, and whoever is quick is served
 * meanwhile. */
static void who_sends_a_byte_now_and_then_is_cut_off(void **state)
{
    enum { SLOW_HEAD = 60, SLOW_BODY = 60, SILENT = 20, ALL = SLOW_HEAD + SLOW_BODY + SILENT };
    (void)state;
    struct world w = {0};
    struct http_serve_options o = {.address = "127.0.0.1",
                                   .body_max = BODY_MAX,
                                   .idle_s_max = 1,
                                   .head_s_max = 2,
                                   .connections_max = 400,
                                   .self = &w,
                                   .handle = handle};
    int fds[ALL];
    bool over[ALL] = {false};
    struct str post = STR("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
    int64_t last_head = 0, first_head = 0, last_body = 0, slowest = 0, begun = clock_ms();
    assert_int_equal(http_serve_start(&o, &w.serve, NULL), ERR_OK);
    for (int i = 0; i < ALL; i++) {
        fds[i] = dial(&w);
        if (i < SLOW_HEAD)
            (void)send(fds[i], "GET /x HTTP/1.1\r\nHost: x\r\nX-A: ", 32, MSG_NOSIGNAL);
        else if (i < SLOW_HEAD + SLOW_BODY)
            (void)send(fds[i], post.p, post.n, MSG_NOSIGNAL);
    }
    for (int left = ALL; left > 0 && clock_ms() - begun < 20000;) {
        int64_t asked = clock_ms();
        assert_int_equal(status_for(&w, STR("GET /x HTTP/1.1\r\nHost: x\r\n\r\n")), 200);
        slowest = clock_ms() - asked > slowest ? clock_ms() - asked : slowest;
        for (int i = 0; i < ALL; i++) {
            if (over[i] ||
                (i < SLOW_HEAD + SLOW_BODY && send(fds[i], "a", 1, MSG_NOSIGNAL) == 1 && !hung_up(fds[i])))
                continue;
            if (i >= SLOW_HEAD + SLOW_BODY && !hung_up(fds[i]))
                continue;
            over[i] = true;
            left--;
            int64_t after = clock_ms() - begun;
            if (i < SLOW_HEAD) {
                first_head = first_head ? first_head : after;
                last_head = after;
            } else if (i < SLOW_HEAD + SLOW_BODY) {
                last_body = after;
            }
        }
        usleep(250000);
    }
    print_message(
        "slow heads were cut off after %lld..%lld ms, slow bodies by %lld ms, an ordinary request took at "
        "most %lld ms\n",
        (long long)first_head, (long long)last_head, (long long)last_body, (long long)slowest);
    assert_in_range(first_head, 1000, 5000);
    assert_in_range(last_head, 1000, 5000);
    assert_in_range(last_body, 5000, 15000);
    assert_true(slowest < 2000);
    struct http_numbers n = http_serve_numbers(w.serve);
    assert_true(n.cut_off >= SLOW_HEAD + SLOW_BODY);
    for (int i = 0; i < ALL; i++)
        close(fds[i]);
    http_serve_stop(w.serve);
}

static void *stop_run(void *self)
{
    http_serve_stop(self);
    return NULL;
}

/* A body that was on its way when the stop came is taken and answered, and its client hears that the
 * connection ends; a new client is not let in. */
static void stopping_lets_a_request_that_has_begun_finish(void **state)
{
    (void)state;
    struct world w = {0};
    struct http_serve_options o = {.address = "127.0.0.1",
                                   .body_max = BODY_MAX,
                                   .self = &w,
                                   .handle = handle};
    struct str head = STR("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nfour");
    char answer[400] = {0};
    size_t got = 0;
    pthread_t stopper;
    assert_int_equal(http_serve_start(&o, &w.serve, NULL), ERR_OK);
    uint16_t port = http_serve_port(w.serve);
    int fd = dial(&w);
    assert_int_equal(send(fd, head.p, head.n, 0), head.n);
    usleep(200000);
    assert_int_equal(pthread_create(&stopper, NULL, stop_run, w.serve), 0);
    usleep(500000);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int late = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_not_equal(connect(late, (struct sockaddr *)&to, sizeof to), 0);
    close(late);
    assert_int_equal(send(fd, "more", 4, 0), 4);
    ssize_t n;
    while (got + 1 < sizeof answer && (n = recv(fd, answer + got, sizeof answer - 1 - got, 0)) > 0)
        got += (size_t)n;
    assert_memory_equal(answer, "HTTP/1.1 200", 12);
    assert_non_null(strstr(answer, "Pfourmore"));
    assert_non_null(strcasestr(answer, "connection: close"));
    pthread_join(stopper, NULL);
    close(fd);
}

static struct str whence_seen;
static char whence_room[100];

static void tell_whence(void *self, const struct http_request *q, struct arena *a, struct http_reply *reply)
{
    (void)self;
    (void)a;
    size_t n = q->client.n < sizeof whence_room ? q->client.n : sizeof whence_room;
    memcpy(whence_room, q->client.p, n);
    whence_seen = (struct str){whence_room, n};
    reply->status = q->secure ? 201 : 200;
}

static void only_a_proxy_that_was_named_is_believed(void **state)
{
    static const struct {
        const char *headers, *client;
        int status;
    } cases[] = {
        {"", "127.0.0.1", 200},
        {"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n", "203.0.113.7", 201},
        {"X-Forwarded-For: 6.6.6.6, 203.0.113.7\r\n", "203.0.113.7", 200},
        {"X-Forwarded-For: 203.0.113.7, 10.1.1.1\r\n", "203.0.113.7", 200},
        {"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 2001:db8::7\r\n", "2001:db8::7", 200},
        {"X-Forwarded-For: not an address\r\n", "127.0.0.1", 200},
        {"X-Forwarded-For: 6.6.6.6, nonsense\r\n", "127.0.0.1", 200},
        {"X-Forwarded-For: ,\r\n", "127.0.0.1", 200},
    };
    (void)state;
    for (int trusted = 0; trusted < 2; trusted++) {
        struct world w = {0};
        struct http_serve_options o = {.address = "127.0.0.1",
                                       .body_max = 100,
                                       .proxies = trusted ? "127.0.0.1, 10.1.1.1" : NULL,
                                       .self = &w,
                                       .handle = tell_whence};
        assert_int_equal(http_serve_start(&o, &w.serve, NULL), ERR_OK);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct buf b;
            buf_init(&b, 1000);
            buf_printf(&b, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", cases[i].headers);
            assert_int_equal(status_for(&w, buf_str(&b)), trusted ? cases[i].status : 200);
            assert_true(str_eq_z(whence_seen, trusted ? cases[i].client : "127.0.0.1"));
            buf_free(&b);
        }
        http_serve_stop(w.serve);
    }
    struct http_serve *none = NULL;
    struct http_serve_options o = {.address = "127.0.0.1", .proxies = "proxy.example", .handle = tell_whence};
    assert_int_equal(http_serve_start(&o, &none, NULL), ERR_USAGE);
}

static void an_idle_client_is_cut_off(void **state)
{
    struct world *w = *state;
    char byte;
    int fd = dial(w);
    assert_int_equal(send(fd, "GET ", 4, 0), 4);
    struct timeval patience = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ssize_t n;
    while ((n = recv(fd, &byte, 1, 0)) > 0) {
    }
    assert_true(n == 0); /* closed by the server, not our patience */
    close(fd);
}

static void a_forged_header_becomes_an_error(void **state)
{
    struct world *w = *state;
    struct http_reply reply;
    assert_int_equal(exchange(w, HTTP_GET, "/forged", STR_NONE, &reply), ERR_OK);
    assert_int_equal(reply.status, 500);
    assert_null(http_header_find(reply.headers, reply.header_count, "X-Evil").p);
    buf_free(&reply.body);
}

static void stopping_waits_for_a_running_request(void **state)
{
    (void)state;
    struct world w = {0};
    struct http_serve_options o = {.address = "::1", .body_max = 10, .self = &w, .handle = handle};
    if (http_serve_start(&o, &w.serve, &w.diag)) {
        print_message("no IPv6 here: %s\n", w.diag.text);
        o.address = "127.0.0.1";
        assert_int_equal(http_serve_start(&o, &w.serve, NULL), ERR_OK);
        snprintf(w.base, sizeof w.base, "http://127.0.0.1:%u", http_serve_port(w.serve));
    } else {
        snprintf(w.base, sizeof w.base, "http://[::1]:%u", http_serve_port(w.serve));
    }
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    arena_init(&w.arena, 1 << 20);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct http_reply reply;
        char ok = 'n';
        if (http_curl_open(NULL, &w.curl, NULL) == ERR_OK &&
            exchange(&w, HTTP_GET, "/slow", STR_NONE, &reply) == ERR_OK)
            ok = reply.status == 200 ? 'y' : 'n';
        ssize_t n = write(fd[1], &ok, 1);
        _exit(n == 1 ? 0 : 1);
    }
    while (atomic_load(&w.handled) == 0)
        usleep(1000);
    http_serve_stop(w.serve);
    char ok = 0;
    assert_int_equal(read(fd[0], &ok, 1), 1);
    assert_int_equal(ok, 'y');
    close(fd[0]);
    close(fd[1]);
    arena_free(&w.arena);
    http_serve_stop(NULL);
}

static void a_port_in_use_and_a_wrong_address_are_told(void **state)
{
    struct world *w = *state;
    struct http_serve *other = NULL;
    struct http_serve_options o = {.address = "127.0.0.1",
                                   .port = http_serve_port(w->serve),
                                   .handle = handle};
    diag_clear(&w->diag);
    assert_int_equal(http_serve_start(&o, &other, &w->diag), ERR_BUSY);
    o.address = "localhost";
    assert_int_equal(http_serve_start(&o, &other, NULL), ERR_USAGE);
    o.address = "192.0.2.1";
    o.port = 0;
    assert_int_equal(http_serve_start(&o, &other, NULL), ERR_USAGE);
    assert_null(other);
}

/* ---- a server that misbehaves ---- */

struct peer {
    int listening;
    uint16_t port;
    struct str answer;
    int then_wait_ms;
};

static void *peer_run(void *self)
{
    struct peer *p = self;
    char request[4096];
    int fd = accept(p->listening, NULL, NULL);
    if (recv(fd, request, sizeof request, 0) > 0 && p->answer.n)
        (void)!send(fd, p->answer.p, p->answer.n, MSG_NOSIGNAL);
    usleep((useconds_t)p->then_wait_ms * 1000);
    close(fd);
    return NULL;
}

static enum err ask_peer(struct world *w, struct str answer, int then_wait_ms, struct http_reply *reply)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    struct peer p = {.answer = answer, .then_wait_ms = then_wait_ms};
    pthread_t thread;
    char url[60];
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p.listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(p.listening, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(p.listening, 1), 0);
    assert_int_equal(getsockname(p.listening, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(pthread_create(&thread, NULL, peer_run, &p), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/token?secret=1", ntohs(address.sin_port));
    enum err rc = exchange(w, HTTP_GET, url, STR_NONE, reply);
    pthread_join(thread, NULL);
    close(p.listening);
    return rc;
}

static void a_cut_reply_is_no_reply(void **state)
{
    struct world *w = *state;
    struct http_reply reply;
    struct str whole = STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde");
    assert_int_equal(ask_peer(w, whole, 0, &reply), ERR_OK);
    assert_true(str_eq_z(buf_str(&reply.body), "abcde"));
    buf_free(&reply.body);
    assert_int_equal(ask_peer(w, STR("HTTP/1.1 200 OK\r\n\r\nno length, so it may be cut"), 0, &reply),
                     ERR_NET);
    assert_int_equal(ask_peer(w, STR("HTTP/1.1 204 Nothing\r\n\r\n"), 0, &reply), ERR_OK);
    for (size_t n = 0; n < whole.n; n++) {
        enum err rc = ask_peer(w, str_sub(whole, 0, n), 0, &reply);
        if (rc != ERR_NET)
            fail_msg("cut after %zu bytes: %d %s", n, rc, w->diag.text);
        assert_non_null(strstr(w->diag.text, "127.0.0.1"));
        assert_null(strstr(w->diag.text, "secret"));
        assert_true(reply.bytes_down <= n && reply.bytes_up > 20);
    }
}

static void a_stall_ends_in_time(void **state)
{
    struct world *w = *state;
    struct http_reply reply;
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(ask_peer(w, STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), 3500, &reply),
                     ERR_NET);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_non_null(strstr(w->diag.text, "Nothing moved"));
    assert_in_range(after.tv_sec - before.tv_sec, 1, 6);
}

static void interim_replies_and_many_headers_do_no_harm(void **state)
{
    struct world *w = *state;
    struct http_reply reply;
    struct buf b;
    buf_init(&b, 100000);
    buf_put_z(&b, "HTTP/1.1 103 Early\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n");
    for (int i = 0; i < 40; i++)
        buf_printf(&b, "X-%d: %d\r\n", i, i);
    buf_put_z(&b, "\r\nok");
    assert_int_equal(ask_peer(w, buf_str(&b), 0, &reply), ERR_OK);
    assert_int_equal(reply.header_count, HTTP_HEADERS_MAX);
    assert_null(http_header_find(reply.headers, reply.header_count, "X-Early").p);
    assert_true(str_eq_z(buf_str(&reply.body), "ok"));
    buf_free(&reply.body);
    buf_free(&b);
}

static void who_is_not_there_is_named(void **state)
{
    struct world *w = *state;
    struct http_reply reply;
    assert_int_equal(exchange(w, HTTP_GET, "http://127.0.0.1:1/x", STR_NONE, &reply), ERR_NET);
    assert_non_null(strstr(w->diag.text, "127.0.0.1:1"));
    assert_int_equal(exchange(w, HTTP_GET, "http://centre.invalid/", STR_NONE, &reply), ERR_NET);
    assert_non_null(strstr(w->diag.text, "centre.invalid"));
    assert_int_equal(exchange(w, HTTP_GET, "file:///etc/passwd", STR_NONE, &reply), ERR_USAGE);
    assert_int_equal(exchange(w, HTTP_GET, "ftp://127.0.0.1/", STR_NONE, &reply), ERR_USAGE);
}

static void a_proxy_in_the_environment_is_ignored(void **state)
{
    struct world *w = *state;
    struct http_reply reply;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    assert_int_equal(exchange(w, HTTP_GET, "/x", STR_NONE, &reply), ERR_OK);
    buf_free(&reply.body);
    unsetenv("http_proxy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_crosses),
        cmocka_unit_test(headers_cross_and_bytes_are_counted),
        cmocka_unit_test(a_body_that_is_too_large_is_refused),
        cmocka_unit_test(malformed_requests_never_reach_the_handler),
        cmocka_unit_test(chunked_bodies_are_capped_too),
        cmocka_unit_test(a_body_is_handed_on_while_it_arrives),
        cmocka_unit_test(a_piece_that_fails_ends_the_request),
        cmocka_unit_test(what_a_broken_connection_brought_is_handed_on),
        cmocka_unit_test(clients_that_begin_large_requests_and_stop_take_only_so_much),
        cmocka_unit_test(one_address_cannot_hold_all_connections),
        cmocka_unit_test(an_idle_client_is_cut_off),
        cmocka_unit_test(who_sends_a_byte_now_and_then_is_cut_off),
        cmocka_unit_test(stopping_lets_a_request_that_has_begun_finish),
        cmocka_unit_test(only_a_proxy_that_was_named_is_believed),
        cmocka_unit_test(a_forged_header_becomes_an_error),
        cmocka_unit_test(stopping_waits_for_a_running_request),
        cmocka_unit_test(a_port_in_use_and_a_wrong_address_are_told),
        cmocka_unit_test(a_cut_reply_is_no_reply),
        cmocka_unit_test(a_stall_ends_in_time),
        cmocka_unit_test(interim_replies_and_many_headers_do_no_harm),
        cmocka_unit_test(who_is_not_there_is_named),
        cmocka_unit_test(a_proxy_in_the_environment_is_ignored),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
