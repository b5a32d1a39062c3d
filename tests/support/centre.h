/* A centre on a simulated machine and handhelds that talk to it through srv_handle: what the tests of server/
 * share. Frames are made with sync/ directly, so that a test can say exactly what arrives.
 */
#ifndef TESTS_SUPPORT_CENTRE_H
#define TESTS_SUPPORT_CENTRE_H

#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/sim/sim.h"
#include "server/parts.h"

#define CENTRE_DIR "/centre"

struct world {
    struct sim *sim;
    struct sim_machine *machine;
    const struct seam *seam;
    struct server *server;
    struct arena a; /* for the whole test */
    struct diag d;
};

static inline void say(const struct diag *d)
{
    if (d->text[0])
        print_message("%s\n", d->text);
}

#define OK(call)                       \
    do {                               \
        enum err rc_ = (call);         \
        if (rc_)                       \
            say(&w->d);                \
        assert_int_equal(rc_, ERR_OK); \
    } while (0)

static inline void world_start(struct world *w)
{
    const struct server_options o = {.seam = w->seam, .dir = CENTRE_DIR};
    OK(srv_open(&o, &w->server, &w->d));
}

/* Cases about the file itself. */
#define ONLY_IN_A_FILE()                   \
    do {                                   \
        if (getenv("DOORSTEP_TEST_STORE")) \
            skip();                        \
    } while (0)

static inline int world_open(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    char print[40];
    assert_non_null(w);
    arena_init(&w->a, 512u << 20);
    OK(sim_open(7, &w->sim, &w->d));
    OK(sim_machine_add(w->sim, NULL, &w->machine, &w->d));
    w->seam = sim_seam(w->machine);
    /* In PostgreSQL when the environment names one: every world is a county of its own there. */
    const struct centre_options o = {getenv("DOORSTEP_TEST_STORE"), 2};
    OK(centre_make_with(w->seam, CENTRE_DIR, STR("清河县"), &o, print, &w->d));
    world_start(w);
    *state = w;
    return 0;
}

static inline int world_close(void **state)
{
    struct world *w = *state;
    srv_close(w->server);
    sim_close(w->sim);
    arena_free(&w->a);
    free(w);
    return 0;
}

/* A second process beside the server. */
static inline struct desk desk_begin(struct world *w, struct buf *lines)
{
    struct desk k = {.seam = w->seam, .a = &w->a, .epoch = srv_centre(w->server)->epoch, .lines = lines};
    OK(centre_store_open(w->seam, CENTRE_DIR, &k.st, &w->d));
    return k;
}

static inline void desk_end(struct desk *k)
{
    cstore_close(k->st);
}

static inline uint32_t epoch_now(struct world *w)
{
    struct desk k = desk_begin(w, NULL);
    struct counters now;
    OK(cstore_county(k.st, NULL, NULL, NULL, &now, &w->d));
    desk_end(&k);
    return now.epoch;
}

static inline struct centre_counts counts_of(struct world *w)
{
    struct desk k = desk_begin(w, NULL);
    struct centre_counts n;
    OK(cstore_counts(k.st, &n, &w->d));
    desk_end(&k);
    return n;
}

/* ---- requests ---- */

struct answer {
    int status;
    struct str body, type, offset, patch, content_range; /* Ds-Offset, Ds-Patch */
    bool done;                                           /* Ds-Done */
};

struct asking {
    enum http_method method;
    const char *url;
    struct str body, authorization, range;
};

static inline struct answer ask(struct world *w, const struct asking *q)
{
    struct http_request r = {.method = q->method, .url = str_of(q->url), .body = q->body};
    struct http_reply reply = {0};
    struct arena texts;
    arena_init(&texts, 1u << 20);
    buf_init(&reply.body, 64u << 20);
    if (q->authorization.n)
        r.headers[r.header_count++] = (struct http_header){STR("authorization"), q->authorization};
    if (q->range.n)
        r.headers[r.header_count++] = (struct http_header){STR("Range"), q->range};
    srv_handle(w->server, &r, &texts, &reply);
    struct str type = http_header_find(reply.headers, reply.header_count, "Content-Type");
    struct str offset = http_header_find(reply.headers, reply.header_count, "Ds-Offset");
    struct str patch = http_header_find(reply.headers, reply.header_count, "Ds-Patch");
    struct str range = http_header_find(reply.headers, reply.header_count, "Content-Range");
    struct answer out = {.status = reply.status,
                         .body = arena_str(&w->a, buf_str(&reply.body)),
                         .type = arena_str(&w->a, type),
                         .offset = arena_str(&w->a, offset),
                         .patch = arena_str(&w->a, patch),
                         .content_range = arena_str(&w->a, range),
                         .done = http_header_find(reply.headers, reply.header_count, "Ds-Done").n > 0};
    buf_free(&reply.body);
    arena_free(&texts);
    return out;
}

/* ---- handhelds ---- */

struct handheld {
    struct key_pair_p256 sign;
    struct key_pair_x25519 seal;
    uint64_t device;
    uint32_t inc, person;
    struct str token; /* "Bearer ..." */
    uint64_t batch_seq, seq, cursor;
    uint32_t counter, epoch; /* epoch 0: today's */
    int64_t hlc;
    unsigned char prev[8];
};

static inline void keys_make(struct world *w, struct handheld *h)
{
    unsigned char seed[32];
    OK(w->seam->random(w->seam->self, seed, sizeof seed));
    OK(p256_make(seed, &h->sign));
    OK(w->seam->random(w->seam->self, seed, sizeof seed));
    OK(x25519_make(seed, &h->seal));
}

static inline struct str bearer_header(struct world *w, struct str token)
{
    struct buf b;
    buf_init(&b, 200);
    buf_put_z(&b, "Bearer ");
    buf_put_str(&b, token);
    struct str s = arena_str(&w->a, buf_str(&b));
    buf_free(&b);
    return s;
}

static inline uint64_t ticket(struct world *w, const char *name, const char *area)
{
    struct desk k = desk_begin(w, NULL);
    struct enrol_ticket t;
    OK(people_ticket(k.st, srv_centre(w->server), w->seam, str_of(name), ROLE_CADRE, str_of(area), &t,
                     &w->d));
    desk_end(&k);
    return t.token60;
}

static inline struct answer enrol_ask(struct world *w, const struct handheld *h, uint64_t token60)
{
    struct enrol_request q = {.token60 = token60,
                              .model = STR("test"),
                              .version = STR("1"),
                              .now_ms = w->seam->wall_ms(w->seam->self)};
    struct buf body;
    memcpy(q.seal_public, h->seal.public, sizeof q.seal_public);
    memcpy(q.sign_public, h->sign.public, sizeof q.sign_public);
    buf_init(&body, 1u << 16);
    OK(enrol_request_write(&q, srv_centre(w->server)->keys.seal_public, NULL, &body, &w->d));
    struct answer r = ask(w,
                          &(struct asking){.method = HTTP_POST, .url = "/v1/enrol", .body = buf_str(&body)});
    buf_free(&body);
    return r;
}

static inline struct enrol_reply enrol_read(struct world *w, struct handheld *h, struct answer r)
{
    struct enrol_reply out;
    assert_int_equal(r.status, 200);
    OK(enrol_reply_read(&w->a, r.body, &srv_centre(w->server)->keys, &h->seal, &out, &w->d));
    h->device = out.device;
    h->inc = out.inc;
    h->person = out.person;
    h->token = bearer_header(w, out.token);
    return out;
}

static inline struct handheld enrolled(struct world *w, const char *name, const char *area)
{
    struct handheld h = {0};
    keys_make(w, &h);
    (void)enrol_read(w, &h, enrol_ask(w, &h, ticket(w, name, area)));
    return h;
}

/* ---- changes and frames ---- */

static inline struct row_id row_new(struct handheld *h)
{
    return (struct row_id){h->device, h->inc, ++h->counter};
}

static inline struct change change_of(struct world *w, struct handheld *h, struct row_id row, uint32_t field,
                                      enum change_op op, struct str value)
{
    h->hlc = hlc_next(h->hlc, w->seam->wall_ms(w->seam->self), 0);
    return (struct change){.seq = ++h->seq,
                           .row = row,
                           .field = field,
                           .op = op,
                           .person = h->person,
                           .role = ROLE_CADRE,
                           .hlc = h->hlc,
                           .seen = h->cursor,
                           .value = value};
}

static inline struct change birth_of(struct world *w, struct handheld *h, struct row_id row,
                                     const struct row_birth *birth)
{
    struct buf b;
    buf_init(&b, 256);
    OK(row_birth_write(&b, birth));
    struct change c = change_of(w, h, row, 0, CHANGE_ROW_CREATE, arena_str(&w->a, buf_str(&b)));
    buf_free(&b);
    return c;
}

static inline struct str payload_seal(struct world *w, struct handheld *h, struct str payload,
                                      uint64_t batch_seq)
{
    struct buf frame;
    unsigned char hash[SHA256_SIZE];
    struct frame_seal how = {.type = FRAME_UP,
                             .device = h->device,
                             .inc = h->inc,
                             .batch_seq = batch_seq,
                             .schema = BATCH_SCHEMA_CHANGES,
                             .recipient = srv_centre(w->server)->keys.seal_public,
                             .author = &h->sign};
    memcpy(how.prev, h->prev, sizeof how.prev);
    buf_init(&frame, FRAME_SIZE_MAX);
    OK(frame_make(&how, payload, &frame, &w->d));
    struct str bytes = arena_str(&w->a, buf_str(&frame));
    buf_free(&frame);
    OK(sha256(bytes, hash));
    memcpy(h->prev, hash, sizeof h->prev);
    return bytes;
}

/* Freezes the next frame of the handheld. */
static inline struct str frame_of(struct world *w, struct handheld *h, const struct change *changes,
                                  uint32_t count)
{
    struct batch_head head = {.device = h->device,
                              .inc = h->inc,
                              .epoch = h->epoch ? h->epoch : epoch_now(w),
                              .now_ms = w->seam->wall_ms(w->seam->self),
                              .anchor_ms = w->seam->wall_ms(w->seam->self)};
    struct buf payload;
    buf_init(&payload, FRAME_RAW_MAX);
    OK(batch_write(&head, NULL, changes, count, &payload, &w->d));
    struct str bytes = payload_seal(w, h, buf_str(&payload), ++h->batch_seq);
    buf_free(&payload);
    return bytes;
}

static inline struct answer send_frame(struct world *w, const struct handheld *h, struct str frame)
{
    (void)h;
    return ask(w, &(struct asking){.method = HTTP_POST, .url = "/v1/b", .body = frame});
}

/* The receipt at the front of a reply, verified and opened as the handheld does. */
static inline struct receipt receipt_of(struct world *w, const struct handheld *h, struct str body,
                                        size_t *size_out)
{
    struct frame f;
    struct receipt r;
    struct buf payload;
    size_t size = 0;
    OK(frame_parse(body, &f, &size, &w->d));
    assert_int_equal(f.type, FRAME_RECEIPT);
    OK(frame_verify(&f, srv_centre(w->server)->keys.sign_public, &w->d));
    buf_init(&payload, FRAME_RAW_MAX);
    OK(frame_open(&f, &h->seal, &payload, &w->d));
    OK(receipt_read(&w->a, arena_str(&w->a, buf_str(&payload)), &r, &w->d));
    buf_free(&payload);
    assert_true(r.device == h->device && r.inc == h->inc);
    if (size_out)
        *size_out = size;
    return r;
}

static inline struct receipt delivered(struct world *w, const struct handheld *h, struct str frame)
{
    struct answer r = send_frame(w, h, frame);
    if (r.status != 200)
        print_message("%.*s\n", STR_ARG(r.body));
    assert_int_equal(r.status, 200);
    return receipt_of(w, h, r.body, NULL);
}

struct downlink {
    struct batch_head head;
    struct change *changes;
    struct down_author *authors;
    uint32_t count;
};

static inline struct downlink down_of(struct world *w, const struct handheld *h, struct str body)
{
    struct frame f;
    struct downlink out = {0};
    struct buf payload;
    size_t size = 0;
    OK(frame_parse(body, &f, &size, &w->d));
    assert_int_equal(f.type, FRAME_DOWN);
    assert_int_equal(size, body.n);
    OK(frame_verify(&f, srv_centre(w->server)->keys.sign_public, &w->d));
    buf_init(&payload, FRAME_RAW_MAX);
    OK(frame_open(&f, &h->seal, &payload, &w->d));
    out.head.device = f.device;
    out.head.inc = f.inc;
    OK(down_read(&w->a, arena_str(&w->a, buf_str(&payload)), &out.head, &out.changes, &out.authors,
                 &out.count, &w->d));
    buf_free(&payload);
    return out;
}

static inline struct downlink pulled(struct world *w, struct handheld *h, uint64_t cursor, const char *limit)
{
    char url[100];
    (void)snprintf(url, sizeof url, "/v1/d?c=%llu%s", (unsigned long long)cursor, limit);
    struct answer r = ask(w, &(struct asking){.method = HTTP_GET, .url = url, .authorization = h->token});
    assert_int_equal(r.status, 200);
    return down_of(w, h, r.body);
}

#endif
