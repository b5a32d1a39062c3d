/* Requests of browsers: pages, forms and their bodies, by people of every role, signed in or not, over a real
 * server and store on a made-up disk. Whatever is asked there is a reply with a status, a body within its cap
 * and headers without line breaks; nobody who is not signed in sees a page that needs it, nothing changes
 * without the form's token; and the store and the chain of the audit log stay sound.
 *
 * Input: a byte for the method, a byte of switches (1 signed in, 2 the form's token is right, 4 over TLS, 8 a
 * multipart form, 16 wants JSON), a byte for the role, the address up to LF, and the body; "&csrf=" or its
 * part is put in front of it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "platform/sim/sim.h"
#include "server/accounts.h"
#include "server/audit.h"
#include "server/parts.h"
#include "server/routes.h"

#define CENTRE_DIR "/centre"
#define ROUNDS 2000 /* then a new county */
#define BOUNDARY "XyZ"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct county {
    struct sim *sim;
    const struct seam *seam;
    struct server *server;
    char cookie[ROLE_ADMIN + 1][64], csrf[CSRF_TEXT];
    uint32_t rounds;
} county;

static void county_close(void)
{
    struct cstore *st = NULL;
    struct audit_state audit;
    if (!county.sim)
        return;
    srv_close(county.server);
    CHECK(!centre_store_open(county.seam, CENTRE_DIR, &st, NULL));
    CHECK(!cstore_check(st, NULL));
    CHECK(!audit_verify(st, NULL, &audit, NULL) && !audit.broken);
    cstore_close(st);
    sim_close(county.sim);
    county = (struct county){0};
}

static void session_put(struct cstore *st, uint8_t role, int64_t now_ms)
{
    unsigned char token[SESSION_TOKEN_SIZE] = {role};
    char text[CSRF_TEXT] = {0};
    const struct person p = {.person = role, .role = role, .name = STR("P"), .area = STR("")};
    struct session_row row = {.person = role,
                              .made_ms = now_ms,
                              .used_ms = now_ms,
                              .until_ms = now_ms + 1000 * SESSION_LIFE_MS};
    memset(row.csrf, 7, sizeof row.csrf);
    CHECK(!sha256((struct str){(const char *)token, sizeof token}, row.hash));
    CHECK(!cstore_person_put(st, &p, now_ms, NULL) && !cstore_session_put(st, &row, NULL));
    hex_write(token, sizeof token, text);
    (void)snprintf(county.cookie[role], sizeof county.cookie[role], "%s", text);
    hex_write(row.csrf, sizeof row.csrf, county.csrf);
}

static void county_open(void)
{
    char print[40];
    struct sim_machine *m = NULL;
    struct cstore *st = NULL;
    CHECK(!sim_open(9, &county.sim, NULL) && !sim_machine_add(county.sim, NULL, &m, NULL));
    county.seam = sim_seam(m);
    CHECK(!centre_make(county.seam, CENTRE_DIR, STR("F"), print, NULL));
    const struct server_options o = {.seam = county.seam, .dir = CENTRE_DIR, .password_rounds = 1};
    CHECK(!srv_open(&o, &county.server, NULL));
    CHECK(!centre_store_open(county.seam, CENTRE_DIR, &st, NULL) && !cstore_begin(st, NULL));
    for (uint8_t role = 1; role <= ROLE_ADMIN; role++)
        session_put(st, role, county.seam->wall_ms(county.seam->self));
    CHECK(!cstore_commit(st, NULL));
    cstore_close(st);
}

static void body_make(struct buf *b, uint8_t switches, struct str rest)
{
    const char *csrf = switches & 2 ? county.csrf : "00";
    if (switches & 8)
        buf_printf(b, "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n%s\r\n", csrf);
    else
        buf_printf(b, "csrf=%s&", csrf);
    buf_put_str(b, rest.p ? rest : STR(""));
}

static bool sent_to_sign_in(const struct http_reply *reply)
{
    struct str where = http_header_find(reply->headers, reply->header_count, "Location");
    return reply->status == 303 && str_starts(where, STR("/login"));
}

static void check_reply(const struct http_request *q, uint8_t switches, const struct http_reply *reply)
{
    CHECK(reply->status >= 200 && reply->status < 600);
    CHECK(reply->body.n <= reply->body.n_max);
    for (uint32_t i = 0; i < reply->header_count; i++)
        for (size_t k = 0; k < reply->headers[i].value.n; k++)
            CHECK((unsigned char)reply->headers[i].value.p[k] >= ' ');
    struct str tail = STR("");
    bool known = false;
    const struct route *route = route_find(q->method, http_path(q->url), &tail, &known);
    if (!route || route->auth != AUTH_SESSION)
        return;
    if (!(switches & 1))
        CHECK(reply->status == 303 || reply->status == 401);
    else if (q->method != HTTP_GET && q->method != HTTP_HEAD && !(switches & 2))
        CHECK(reply->status >= 400 || sent_to_sign_in(reply)); /* somebody signed out before */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_reply reply = {0};
    struct arena texts;
    struct buf body;
    char cookie[80];
    if (size < 4)
        return 0;
    if (county.rounds++ == ROUNDS)
        county_close();
    if (!county.sim)
        county_open();
    uint8_t switches = data[1], role = (uint8_t)(1 + data[2] % ROLE_ADMIN);
    struct str rest = {(const char *)data + 3, size - 3};
    struct http_request q = {.method = (enum http_method)(data[0] % 5), .secure = switches & 4};
    (void)str_split(&rest, '\n', &q.url);
    (void)snprintf(cookie, sizeof cookie, "%s=%s", q.secure ? "__Host-ds" : "ds", county.cookie[role]);
    if (switches & 1)
        q.headers[q.header_count++] = (struct http_header){STR("Cookie"), str_of(cookie)};
    q.headers[q.header_count++] = (struct http_header){STR("Accept"), switches & 16 ? STR("application/json")
                                                                                    : STR("text/html")};
    q.headers[q.header_count++] = (struct http_header){STR("Content-Type"),
                                                       switches & 8
                                                           ? STR("multipart/form-data; boundary=" BOUNDARY)
                                                           : STR("application/x-www-form-urlencoded")};
    buf_init(&body, 8u << 20);
    if (q.method != HTTP_GET && q.method != HTTP_HEAD)
        body_make(&body, switches, rest);
    q.body = body.n ? buf_str(&body) : STR("");
    arena_init(&texts, 1u << 20);
    buf_init(&reply.body, 64u << 20);
    srv_handle(county.server, &q, &texts, &reply);
    check_reply(&q, switches, &reply);
    buf_free(&reply.body);
    buf_free(&body);
    arena_free(&texts);
    return 0;
}
