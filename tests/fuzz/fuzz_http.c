/* Requests to the centre as they come from anywhere: method, path, headers and body are the input's, the
 * server and its store are real, on a made-up disk. Whatever is asked, there is a reply with a status, a body
 * within its cap and headers without line breaks; and the store stays sound.
 *
 * Input: a byte for the method, a byte of switches (1 a good token, 2 an old one, 4 the body is a frame of
 * that handheld's), the path up to LF, header lines up to an empty one, and the body.
 */
#include <stdio.h>
#include <stdlib.h>

#include "platform/sim/sim.h"
#include "server/parts.h"
#include "server/transport.h"

#define CENTRE_DIR "/centre"
#define ROUNDS 4000 /* then a new county: what was fuzzed in must not slow the rest down */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct county {
    struct sim *sim;
    const struct seam *seam;
    struct server *server;
    struct key_pair_p256 sign;
    char good[BEARER_TEXT_MAX + 8], old[BEARER_TEXT_MAX + 8];
    uint32_t rounds;
} county;

static void county_close(void)
{
    struct cstore *st = NULL;
    if (!county.sim)
        return;
    srv_close(county.server);
    CHECK(!centre_store_open(county.seam, CENTRE_DIR, &st, NULL));
    CHECK(!cstore_check(st, NULL));
    cstore_close(st);
    sim_close(county.sim);
    county = (struct county){0};
}

static void bearer(char *out, int64_t until_ms)
{
    char text[BEARER_TEXT_MAX];
    CHECK(!bearer_write(srv_centre(county.server)->secret, 7, 1, until_ms, text));
    (void)snprintf(out, BEARER_TEXT_MAX + 8, "Bearer %s", text);
}

static void device_put(void)
{
    struct cstore *st = NULL;
    struct key_pair_x25519 seal;
    unsigned char seed[32] = {3};
    struct person person = {.person = 1, .role = ROLE_CADRE, .name = STR("A"), .area = STR("")};
    struct device_row device = {.device = 7, .inc = 1, .model = STR("m"), .version = STR("1")};
    CHECK(!p256_make(seed, &county.sign) && !x25519_make(seed, &seal));
    memcpy(device.sign_public, county.sign.public, sizeof device.sign_public);
    memcpy(device.seal_public, seal.public, sizeof device.seal_public);
    CHECK(!centre_store_open(county.seam, CENTRE_DIR, &st, NULL));
    CHECK(!cstore_begin(st, NULL) && !cstore_person_put(st, &person, 1, NULL));
    device.person = 1;
    CHECK(!cstore_device_put(st, &device, NULL) && !cstore_commit(st, NULL));
    cstore_close(st);
}

static void county_open(void)
{
    char print[40];
    struct sim_machine *m = NULL;
    CHECK(!sim_open(9, &county.sim, NULL) && !sim_machine_add(county.sim, NULL, &m, NULL));
    county.seam = sim_seam(m);
    CHECK(!centre_make(county.seam, CENTRE_DIR, STR("F"), print, NULL));
    const struct server_options o = {.seam = county.seam, .dir = CENTRE_DIR};
    CHECK(!srv_open(&o, &county.server, NULL));
    device_put();
    int64_t now_ms = county.seam->wall_ms(county.seam->self);
    bearer(county.good, now_ms + 86400000);
    bearer(county.old, now_ms - 86400000);
}

/* A frame whose signature is right, so that what is inside is reached. */
static void sign_over(struct str payload, struct buf *frame)
{
    unsigned char seed[32] = {5};
    struct frame_seal how = {.type = payload.n % 3 ? FRAME_UP : FRAME_OBJECT,
                             .device = 7,
                             .inc = 1,
                             .batch_seq = 1 + county.rounds,
                             .schema = payload.n % 3 ? BATCH_SCHEMA_CHANGES : BATCH_SCHEMA_PART,
                             .recipient = srv_centre(county.server)->keys.seal_public,
                             .author = &county.sign,
                             .ephemeral_seed = seed};
    if (frame_make(&how, payload, frame, NULL))
        buf_clear(frame);
}

static void headers_read(struct http_request *q, struct str *rest)
{
    struct str line, name;
    while (str_split(rest, '\n', &line) && line.n && q->header_count + 1 < HTTP_HEADERS_MAX) {
        if (str_split(&line, ':', &name))
            q->headers[q->header_count++] = (struct http_header){name, str_trim(line)};
    }
}

static void check_reply(const struct http_reply *reply)
{
    CHECK(reply->status >= 200 && reply->status < 600);
    CHECK(reply->body.n <= reply->body.n_max);
    for (uint32_t i = 0; i < reply->header_count; i++)
        for (size_t k = 0; k < reply->headers[i].value.n; k++)
            CHECK((unsigned char)reply->headers[i].value.p[k] >= ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request q = {0};
    struct http_reply reply = {0};
    struct arena texts;
    struct buf frame;
    if (size < 3)
        return 0;
    if (county.rounds++ == ROUNDS)
        county_close();
    if (!county.sim)
        county_open();
    struct str rest = {(const char *)data + 2, size - 2};
    q.method = (enum http_method)(data[0] % 5);
    (void)str_split(&rest, '\n', &q.url);
    if (data[1] & 3)
        q.headers[q.header_count++] = (struct http_header){STR("Authorization"),
                                                           str_of(data[1] & 1 ? county.good : county.old)};
    headers_read(&q, &rest);
    buf_init(&frame, FRAME_SIZE_MAX);
    if (data[1] & 4 && rest.n)
        sign_over(rest, &frame);
    q.body = frame.n ? buf_str(&frame) : rest.p ? rest : STR("");
    arena_init(&texts, 1u << 20);
    buf_init(&reply.body, 64u << 20);
    srv_handle(county.server, &q, &texts, &reply);
    check_reply(&reply);
    buf_free(&reply.body);
    arena_free(&texts);
    buf_free(&frame);
    return 0;
}
