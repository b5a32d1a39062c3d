/* The routes of the centre: one row each.
 */
#ifndef DOORSTEP_SERVER_ROUTES_H
#define DOORSTEP_SERVER_ROUTES_H

#include "platform/http_serve.h"
#include "server/parts.h"

/* One request being answered. */
struct call {
    struct server *server;
    struct cstore *st;
    const struct http_request *request;
    struct arena *texts;      /* lives as long as the reply */
    struct arena *a;          /* this request's working memory */
    struct str tail;          /* what a '*' at the end of the path stands for */
    struct device_row device; /* when the route asks for a token */
    struct person person;
    int64_t token_left_ms;
    bool who_is_it; /* ERR_DENIED because nobody proved who asks (401), not because of who it is (403) */
    struct http_reply *reply;
};

enum route_auth {
    AUTH_NONE,     /* public, or the body proves itself: a signed frame, a sealed enrolment request */
    AUTH_TOKEN,    /* an unrevoked device's bearer token */
    AUTH_TOKEN_OLD /* the same, even when it has run out: the reply is sealed to the device and renews it */
};

struct route {
    enum http_method method;
    const char *path; /* may end in '*' */
    enum route_auth auth;
    enum err (*call)(struct call *c, struct diag *d);
};

/* NULL when there is none; *path_known_out tells whether another method would have been right. */
const struct route *route_find(enum http_method method, struct str path, struct str *tail_out,
                               bool *path_known_out);
void reply_header(struct http_reply *reply, const char *name, struct str value);

#endif
