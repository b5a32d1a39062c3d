/* The routes of the centre: one row each.
 */
#ifndef DOORSTEP_SERVER_ROUTES_H
#define DOORSTEP_SERVER_ROUTES_H

#include "platform/http_serve.h"
#include "platform/http_form.h"
#include "server/accounts.h"
#include "server/parts.h"

/* One request being answered. */
struct call {
    struct server *server;
    struct cstore *st;
    const struct http_request *request;
    struct arena *texts;        /* lives as long as the reply */
    struct arena *a;            /* this request's working memory */
    struct str tail;            /* what a '*' at the end of the path stands for */
    struct device_row device;   /* when the route asks for a token */
    struct person person;       /* whose device it is; or who is signed in, person 0 = nobody */
    struct session_row session; /* when somebody is signed in */
    char csrf[CSRF_TEXT];       /* what every form of this session carries as its field "csrf"; "" = none */
    struct http_form form;      /* AUTH_SESSION and AUTH_PAGE: what was sent as a form */
    int64_t token_left_ms;
    int refused_status; /* instead of the error's own; 0 = that */
    bool who_is_it;     /* ERR_DENIED because nobody proved who asks (401), not because of who it is (403) */
    struct http_reply *reply;
};

enum route_auth {
    AUTH_NONE,      /* public, or the body proves itself: a signed frame, a sealed enrolment request */
    AUTH_TOKEN,     /* an unrevoked device's bearer token */
    AUTH_TOKEN_OLD, /* the same, even when it has run out: the reply is sealed to the device and renews it */
    AUTH_SESSION, /* somebody is signed in, in one of `roles`; what is not GET or HEAD carries the CSRF token
                   */
    AUTH_PAGE     /* public, for browsers: forms are read, and who is signed in is known */
};
#define ROLE_BIT(role) (1u << (role))
#define ROLES_CENTRE /* everyone who works at a desk */                              \
    (ROLE_BIT(ROLE_SUPERVISOR) | ROLE_BIT(ROLE_COUNTY) | ROLE_BIT(ROLE_DEPARTMENT) | \
     ROLE_BIT(ROLE_ANALYST) | ROLE_BIT(ROLE_ADMIN))
#define ROLES_ALL 0x1feu /* bits 1 to ROLE_ADMIN */

struct route {
    enum http_method method;
    const char *path; /* may end in '*' */
    enum route_auth auth;
    enum err (*call)(struct call *c, struct diag *d);
    uint32_t roles; /* AUTH_SESSION: ROLE_BIT of each that may; 0 = all */
};
struct route_table {
    const struct route *at;
    uint32_t count;
};
extern const struct route_table session_routes; /* sessions.c */

/* NULL when there is none; *path_known_out tells whether another method would have been right. */
const struct route *route_find(enum http_method method, struct str path, struct str *tail_out,
                               bool *path_known_out);
void reply_header(struct http_reply *reply, const char *name, struct str value);
/* 303: a browser asks for `path` next. */
enum err reply_see_other(struct call *c, struct str path, struct diag *d) MUST_USE;
/* A browser that shows pages asks, not a program. */
bool call_wants_html(const struct call *c);

/* ---- sessions (sessions.c) ---- */
/* Who is signed in by this request's cookie: c->person, c->session, c->csrf. Nobody is ERR_OK, too. */
enum err session_look(struct call *c, struct diag *d) MUST_USE;
/* Reads the form, and checks for AUTH_SESSION that the request was made on a page of ours: ERR_DENIED. */
enum err session_form(struct call *c, const struct route *route, struct diag *d) MUST_USE;

#endif
