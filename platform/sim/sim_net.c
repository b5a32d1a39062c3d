/* The network: one exchange is rolled from beginning to end before the next one starts, and what was held
 * back from earlier ones arrives in between. Every exchange rolls the same dice whatever the chances are, so
 * that a changed chance does not change all that follows. */
#include <stdlib.h>

#include "platform/http_text.h"
#include "platform/sim/sim_internal.h"

#define ARENA_MAX ((size_t)64 << 20) /* as platform/http_serve gives a request */
#define REPLY_MAX ((size_t)64 << 20)
#define LATE_PER_MILLE 300 /* that one that is held back arrives before the next exchange */
#define STALL_MS_DEFAULT 60000

static uint64_t headers_size(const struct http_header *headers, uint32_t count)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        n += headers[i].name.n + headers[i].value.n + 4;
    return n;
}

/* As the real client and server would write them; lengths of Date and Content-Length included. */
static uint64_t request_size(const struct http_request *q, struct str path, struct str host)
{
    return 5 + path.n + 11 + 8 + host.n + headers_size(q->headers, q->header_count) + (q->body.n ? 20 : 0) +
           2 + q->body.n;
}

static uint64_t reply_size(const struct http_reply *r)
{
    return 17 + 37 + 20 + headers_size(r->headers, r->header_count) + 2 + r->body.n;
}

/* "http://host:port/path?query" */
static bool take_apart(struct str url, struct str *host_out, struct str *path_out)
{
    struct str rest;
    if (str_starts(url, STR("http://")))
        rest = str_sub(url, 7, url.n);
    else if (str_starts(url, STR("https://")))
        rest = str_sub(url, 8, url.n);
    else
        return false;
    ptrdiff_t slash = str_find(rest, STR("/"));
    struct str host = slash < 0 ? rest : str_sub(rest, 0, (size_t)slash);
    *path_out = slash < 0 ? STR("/") : str_sub(rest, (size_t)slash, rest.n);
    ptrdiff_t colon = str_find(host, STR(":"));
    *host_out = colon < 0 ? host : str_sub(host, 0, (size_t)colon);
    return host_out->n > 0;
}

static bool reachable(const struct sim_listener *l)
{
    return !l->machine->off && !l->machine->cut_off;
}

/* The reply's texts live in `a`. */
static void deliver(struct sim *s, const struct sim_listener *l, const struct http_request *q,
                    struct arena *a, struct http_reply *reply)
{
    *reply = (struct http_reply){.status = 500};
    buf_init(&reply->body, REPLY_MAX);
    s->counts.handled++;
    l->handle(l->self, q, a, reply);
}

/* ---- late duplicates ---- */

static void late_free(struct sim_late *l)
{
    arena_free(&l->arena);
}

static void late_deliver(struct sim *s, uint32_t index)
{
    struct sim_late late = s->late[index];
    const struct sim_listener *l = &s->listeners[late.listener];
    s->late_count--;
    memmove(&s->late[index], &s->late[index + 1], (s->late_count - index) * sizeof late);
    if (reachable(l)) {
        struct http_reply unread;
        struct arena a;
        arena_init(&a, ARENA_MAX);
        s->counts.late_duplicates++;
        deliver(s, l, &late.request, &a, &unread);
        buf_free(&unread.body);
        arena_free(&a);
    }
    late_free(&late);
}

static void late_deliver_some(struct sim *s)
{
    for (uint32_t i = s->late_count; i-- > 0;) {
        if (dice_chance(&s->net, LATE_PER_MILLE) && i < s->late_count)
            late_deliver(s, i);
    }
}

void sim_net_flush(struct sim *s)
{
    while (s->late_count > 0)
        late_deliver(s, (uint32_t)dice_below(&s->net, s->late_count));
}

static void late_keep(struct sim *s, uint32_t listener, const struct http_request *q)
{
    if (s->late_count == SIM_LATE_MAX)
        late_deliver(s, 0);
    struct sim_late *late = &s->late[s->late_count++];
    *late = (struct sim_late){.request = *q, .listener = listener};
    arena_init(&late->arena, SIZE_MAX);
    late->request.url = arena_str(&late->arena, q->url);
    late->request.body = arena_str(&late->arena, q->body);
    for (uint32_t i = 0; i < q->header_count; i++) {
        late->request.headers[i].name = arena_str(&late->arena, q->headers[i].name);
        late->request.headers[i].value = arena_str(&late->arena, q->headers[i].value);
        CHECK(late->request.headers[i].value.p);
    }
    CHECK(late->request.url.p && late->request.body.p);
}

/* ---- an exchange ---- */

struct weather {
    bool lose_request, truncate, lose_reply, duplicate, late_duplicate, second_reply;
    int64_t delay_ms;
    uint64_t luck; /* where a cut falls */
};

static struct weather roll_weather(struct sim *s)
{
    const struct sim_net_faults *f = &s->faults;
    uint32_t span = f->delay_ms_max > f->delay_ms_min ? f->delay_ms_max - f->delay_ms_min : 0;
    struct weather w;
    w.lose_request = dice_chance(&s->net, f->lose_request);
    w.truncate = dice_chance(&s->net, f->truncate);
    w.lose_reply = dice_chance(&s->net, f->lose_reply);
    w.duplicate = dice_chance(&s->net, f->duplicate);
    w.late_duplicate = dice_chance(&s->net, f->late_duplicate);
    w.second_reply = dice_chance(&s->net, 500);
    w.delay_ms = (int64_t)f->delay_ms_min + (int64_t)dice_below(&s->net, (uint64_t)span + 1);
    w.luck = dice_roll(&s->net);
    return w;
}

static enum err hand_over(const struct http_request *q, const struct http_reply *reply, struct arena *a,
                          struct http_reply *reply_out, struct diag *d)
{
    struct http_reply copy = {.status = reply->status, .header_count = reply->header_count};
    for (uint32_t i = 0; i < reply->header_count; i++) {
        copy.headers[i].name = arena_str(a, reply->headers[i].name);
        copy.headers[i].value = arena_str(a, reply->headers[i].value);
        if (!copy.headers[i].name.p || !copy.headers[i].value.p)
            return diag_set(d, ERR_NOMEM, "Not enough memory for the reply.");
    }
    buf_init(&copy.body, q->body_max);
    buf_put_str(&copy.body, buf_str(&reply->body));
    if (copy.body.failed) {
        enum err rc = copy.body.failed;
        buf_free(&copy.body);
        return diag_set(d, rc, "The reply has more than %u bytes, the most that is taken here.",
                        (unsigned)q->body_max);
    }
    copy.bytes_up = reply_out->bytes_up;
    copy.bytes_down = reply_out->bytes_down;
    *reply_out = copy;
    return ERR_OK;
}

static enum err carry_out(struct sim *s, uint32_t listener, const struct weather *w,
                          const struct http_request *q, struct str path, struct arena *a,
                          struct http_reply *reply_out, struct diag *d)
{
    const struct sim_listener *l = &s->listeners[listener];
    struct http_request received = *q;
    struct http_reply replies[2] = {{0}};
    struct arena arenas[2];
    uint32_t times = w->duplicate ? 2 : 1;
    received.url = path;
    for (uint32_t i = 0; i < times; i++) {
        arena_init(&arenas[i], ARENA_MAX);
        if (!l->machine->off)
            deliver(s, l, &received, &arenas[i], &replies[i]);
    }
    s->counts.duplicates += w->duplicate;
    if (w->late_duplicate)
        late_keep(s, listener, &received);

    const struct http_reply *reply = &replies[times == 2 && w->second_reply];
    enum err rc;
    if (l->machine->off || reply->status == 0) {
        rc = diag_set(d, ERR_NET, "The centre went away before it answered. It is tried again later.");
    } else if (w->lose_reply) {
        s->counts.lost_replies++;
        reply_out->bytes_down = w->luck % reply_size(reply);
        rc = diag_set(d, ERR_NET,
                      "The connection broke before the reply was whole. It is tried again later.");
    } else {
        reply_out->bytes_down = reply_size(reply);
        rc = hand_over(q, reply, a, reply_out, d);
    }
    for (uint32_t i = 0; i < times; i++) {
        buf_free(&replies[i].body);
        arena_free(&arenas[i]);
    }
    return rc;
}

static enum err roll_exchange(struct sim_machine *m, const struct http_request *q, struct arena *a,
                              struct http_reply *reply_out, struct diag *d)
{
    struct sim *s = m->sim;
    struct str host, path;
    uint32_t listener = 0;
    late_deliver_some(s);
    struct weather w = roll_weather(s);
    sim_advance(s, w.delay_ms);
    if (!take_apart(q->url, &host, &path))
        return diag_set(d, ERR_USAGE,
                        "\"%.*s\" is no address to send to. It begins with https:// or http://.",
                        STR_ARG(str_sub(q->url, 0, 60)));
    while (listener < s->listener_count && !str_eq_z(host, s->listeners[listener].host))
        listener++;
    if (m->off || m->cut_off || listener == s->listener_count)
        return diag_set(d, ERR_NET,
                        "The name %.*s was not found. Check the signal, then the address of the centre.",
                        STR_ARG(str_sub(host, 0, 120)));
    if (!reachable(&s->listeners[listener]))
        return diag_set(d, ERR_NET, "%.*s does not answer. Check the signal.",
                        STR_ARG(str_sub(host, 0, 120)));
    uint64_t size = request_size(q, path, host);
    reply_out->bytes_up = w.truncate ? w.luck % size : size;
    if (w.truncate) {
        s->counts.truncated++;
        return diag_set(d, ERR_NET, "The connection broke while sending. It is tried again later.");
    }
    if (w.lose_request) {
        s->counts.lost_requests++;
        sim_advance(s, q->stall_ms_max ? q->stall_ms_max : STALL_MS_DEFAULT);
        return diag_set(d, ERR_NET, "Nothing moved for a long time. Try again where the signal is better.");
    }
    return carry_out(s, listener, &w, q, path, a, reply_out, d);
}

enum err net_exchange(struct sim_machine *m, const struct http_request *q, struct arena *a,
                      struct http_reply *reply_out, struct diag *d)
{
    struct sim_net_counts *c = &m->sim->counts;
    reply_out->bytes_up = reply_out->bytes_down = 0;
    c->exchanges++;
    enum err rc = roll_exchange(m, q, a, reply_out, d);
    c->bytes_up += reply_out->bytes_up;
    c->bytes_down += reply_out->bytes_down;
    return rc;
}

/* ---- settings ---- */

enum err sim_net_listen(struct sim_machine *m, const char *host, void *self,
                        void (*handle)(void *self, const struct http_request *request, struct arena *a,
                                       struct http_reply *reply))
{
    struct sim *s = m->sim;
    for (uint32_t i = 0; i < s->listener_count; i++) {
        if (strcmp(s->listeners[i].host, host) == 0) {
            /* The same name again: a restarted centre. */
            s->listeners[i].machine = m;
            s->listeners[i].self = self;
            s->listeners[i].handle = handle;
            return ERR_OK;
        }
    }
    struct sim_listener *grown = realloc(s->listeners, (s->listener_count + 1) * sizeof *grown);
    if (!grown)
        return ERR_NOMEM;
    s->listeners = grown;
    char *copy = strdup(host);
    if (!copy)
        return ERR_NOMEM;
    s->listeners[s->listener_count++] = (struct sim_listener){m, copy, self, handle};
    return ERR_OK;
}

void sim_net_faults(struct sim *s, const struct sim_net_faults *faults)
{
    s->faults = faults ? *faults : (struct sim_net_faults){0};
}

void sim_net_partition(struct sim_machine *m, bool cut)
{
    m->cut_off = cut;
}

struct sim_net_counts sim_net_counts(const struct sim *s)
{
    return s->counts;
}

void net_free(struct sim *s)
{
    for (uint32_t i = 0; i < s->late_count; i++)
        late_free(&s->late[i]);
    for (uint32_t i = 0; i < s->listener_count; i++)
        free(s->listeners[i].host);
    free(s->listeners);
    s->listeners = NULL;
    s->late_count = s->listener_count = 0;
}
