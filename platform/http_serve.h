/* http_serve: a skin of HTTP around one function. The only place that includes libmicrohttpd.
 *
 * The library's thread pool reads requests, checks caps, and calls `handle` with a whole request; the reply
 * goes back as it is. A body larger than body_max is answered 413 and never held. More than HTTP_HEADERS_MAX
 * headers are answered 431, other methods than those of enum http_method 405. All bodies that are on their
 * way together take at most held_max; beyond that a body that is not small (HTTP_BODY_SMALL) is answered 503,
 * so that clients who begin large requests and stop take neither the memory nor the turn of those who send
 * little. A client that is idle, or whose
 * body takes ten times as long as a client may be idle, is cut off. Addresses other than the one asked for
 * are never bound.
 *
 * A body that `in_pieces` asks for is not gathered: each HTTP_PIECE of it is a request of its own, handed on
 * while the rest still travels (body_at, body_more), and so is what a connection brought before it broke.
 * The reply is that of the last piece, or of the first one that failed; behind that one, nothing is read.
 *
 * Slow clients: from a request's first line its head has HTTP_HEAD_S_MAX seconds, its body ten times as long
 * as a client may be idle, and a reply that long and a second more per HTTP_REPLY_PACE bytes; who sends a
 * byte now and then does not last longer than who sends none. Stopping takes no new connection and no new
 * request, and lets those that have begun finish.
 *
 * With a certificate it speaks TLS 1.2 and 1.3 only, and gives out session tickets: a handheld that comes
 * again pays for no second handshake.
 */
#ifndef DOORSTEP_HTTP_SERVE_H
#define DOORSTEP_HTTP_SERVE_H

#include "platform/http_text.h"
#include "platform/seam.h"

struct http_serve;

#define HTTP_BODY_SMALL (64u << 10) /* a day's frame of a handheld has a tenth of it */
#define HTTP_PIECE (16u << 10)
#define HTTP_HEAD_S_MAX 20  /* a head of 500 bytes takes two seconds on the slowest link that was met */
#define HTTP_REPLY_PACE 256 /* bytes per second */

struct http_serve_options {
    const char *address;      /* numeric, e.g. "127.0.0.1" or "::1" or "0.0.0.0" */
    uint16_t port;            /* 0 = any free one, see http_serve_port */
    uint32_t threads;         /* 0 = 2 */
    uint32_t body_max;        /* bytes */
    uint32_t held_max;        /* bytes; 0 = 128 MiB */
    uint32_t connections_max; /* 0 = 1,000; one address gets at most half of them */
    uint32_t idle_s_max;      /* 0 = 60 */
    uint32_t head_s_max;      /* 0 = HTTP_HEAD_S_MAX */
    const char *certificate;  /* PEM texts, with the chain; both or none. Not kept. */
    const char *key;
    const char
        *proxies; /* numeric addresses, by commas: from these X-Forwarded-For and -Proto are believed */
    void *self;
    /* Whether this request's body is handed on as it arrives. NULL = never. */
    bool (*in_pieces)(void *self, const struct http_request *head);
    /* Called on a pool thread. `a` is the request's arena: reply header texts may live there. The reply body
     * buf is initialised with a maximum of 64 MiB and freed by the caller. */
    void (*handle)(void *self, const struct http_request *request, struct arena *a, struct http_reply *reply);
};

enum err http_serve_start(const struct http_serve_options *o, struct http_serve **serve_out,
                          struct diag *d) MUST_USE;
/* Since the start, but for `open` and `held`, which are of this moment. */
struct http_numbers {
    uint64_t connections, open, cut_off; /* cut off: too slow */
    uint64_t refused;                    /* answered here: 405, 413, 431, 503 */
    uint64_t held;                       /* bytes of bodies */
};
struct http_numbers http_serve_numbers(struct http_serve *s);
uint16_t http_serve_port(const struct http_serve *s);
void http_serve_stop(struct http_serve *s); /* waits for running requests; accepts NULL */

#endif
