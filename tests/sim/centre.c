/* See centre.h. */
#include "tests/sim/centre.h"

#include "server/courier.h"
#include "server/device_report.h"
#include "server/parts.h"

#define DIR_NAME "/county"

struct sim_centre {
    struct sim_machine *machine;
    struct server *server;
    struct arena memory;
    bool portal;
    uint32_t patience;
};

static void login_page(struct arena *a, struct http_reply *reply)
{
    (void)a;
    reply->status = 200;
    reply->headers[0] = (struct http_header){STR("Content-Type"), STR("text/html")};
    reply->header_count = 1;
    buf_put_z(&reply->body, "<html><body>Welcome! Please log in.</body></html>");
}

static void answer(void *self, const struct http_request *request, struct arena *a, struct http_reply *reply)
{
    struct sim_centre *c = self;
    c->patience -= c->patience > 0;
    if (c->patience == 0)
        reply->status = 503;
    else if (c->portal)
        login_page(a, reply);
    else if (c->server)
        srv_handle(c->server, request, a, reply);
    else
        reply->status = 503;
}

struct desk_session {
    struct arena a;
    struct buf lines;
    struct cstore *store;
    struct desk desk;
};

static enum err desk_open(struct sim_centre *c, struct desk_session *s, struct diag *d)
{
    const struct seam *seam = sim_seam(c->machine);
    memset(s, 0, sizeof *s);
    arena_init(&s->a, 256u << 20);
    buf_init(&s->lines, 1u << 20);
    enum err rc = centre_store_open(seam, DIR_NAME, &s->store, d);
    s->desk = (struct desk){.seam = seam, .st = s->store, .a = &s->a, .epoch = 1, .lines = &s->lines};
    return rc;
}

static void desk_close(struct desk_session *s)
{
    cstore_close(s->store);
    buf_free(&s->lines);
    arena_free(&s->a);
}

static enum err furnish(struct sim_centre *c, struct str form_xml, struct str households_csv, struct diag *d)
{
    struct desk_session s;
    struct publish_result published;
    struct import_result imported;

    enum err rc = desk_open(c, &s, d);
    if (!rc)
        rc = publish(&s.desk, STR("form"), STR(""), STR("sim.xml"), form_xml, &published, d);
    if (!rc)
        rc = import_households(&s.desk, households_csv, false, &imported, d);
    desk_close(&s);
    return rc;
}

static struct sim_centre *centre_new(struct sim_machine *m)
{
    struct arena memory;
    arena_init(&memory, 1u << 20);
    struct sim_centre *c = ARENA_NEW(&memory, struct sim_centre);
    CHECK(c);
    c->memory = memory;
    c->machine = m;
    c->patience = UINT32_MAX;
    return c;
}

static enum err serve(struct sim_centre *c, enum err rc, struct sim_centre **centre_out, struct diag *d)
{
    if (!rc)
        rc = sim_net_listen(c->machine, "centre", c, answer);
    if (!rc)
        rc = sim_centre_start(c, d);
    if (rc)
        sim_centre_close(c);
    else
        *centre_out = c;
    return rc;
}

enum err sim_centre_make(struct sim_machine *m, struct str form_xml, struct str households_csv,
                         struct sim_centre **centre_out, struct diag *d)
{
    char print[40];
    struct sim_centre *c = centre_new(m);
    enum err rc = centre_make(sim_seam(m), DIR_NAME, STR("Simulated county"), print, d);
    if (!rc)
        rc = furnish(c, form_xml, households_csv, d);
    return serve(c, rc, centre_out, d);
}

enum err sim_centre_take_over(struct sim_machine *m, struct sim_centre **centre_out, struct diag *d)
{
    return serve(centre_new(m), ERR_OK, centre_out, d);
}

enum err sim_centre_start(struct sim_centre *c, struct diag *d)
{
    struct server_options o = {.seam = sim_seam(c->machine), .dir = DIR_NAME};
    struct desk_session s;

    enum err rc = desk_open(c, &s, d);
    if (!rc)
        rc = cstore_check(s.store, d);
    desk_close(&s);
    return rc ? rc : srv_open(&o, &c->server, d);
}

void sim_centre_stop(struct sim_centre *c)
{
    srv_close(c->server);
    c->server = NULL;
}

void sim_centre_close(struct sim_centre *c)
{
    if (!c)
        return;
    sim_centre_stop(c);
    struct arena memory = c->memory;
    arena_free(&memory);
}

void sim_centre_patience(struct sim_centre *c, uint32_t requests)
{
    c->patience = requests;
}

bool sim_centre_is_tired(const struct sim_centre *c)
{
    return c->patience == 0;
}

void sim_centre_portal(struct sim_centre *c, bool on)
{
    c->portal = on;
}

enum err sim_centre_token(struct sim_centre *c, struct str person, struct str area, char token[static 32],
                          char print[static 40], struct diag *d)
{
    struct desk_session s;
    struct enrol_ticket ticket;
    unsigned char hash[SHA256_SIZE];
    const struct centre *centre = srv_centre(c->server);

    enum err rc = desk_open(c, &s, d);
    if (!rc)
        rc = people_ticket(s.store, centre, sim_seam(c->machine), person, ROLE_CADRE, area, &ticket, d);
    if (!rc)
        rc = sha256((struct str){(const char *)centre->keys.root_public, P256_PUBLIC_SIZE}, hash);
    if (!rc) {
        enrol_token_write(ticket.token60, token);
        root_print_text(hash, print);
    }
    desk_close(&s);
    return rc;
}

enum err sim_centre_submissions(struct sim_centre *c, struct arena *a, struct str form_id,
                                struct sim_submission **out, uint32_t *count_out, struct diag *d)
{
    struct desk_session s;
    VEC(struct sim_submission) list = {0};
    struct submission_row last, *rows;
    uint32_t count = 0;
    bool any = false;

    enum err rc = desk_open(c, &s, d);
    do {
        if (!rc)
            rc = cstore_submissions(s.store, a, form_id, any ? &last : NULL, 20, &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct sim_submission *slot = vec_push(a, &list);
            CHECK(slot);
            *slot = (struct sim_submission){rows[i].instance_id, rows[i].xml, rows[i].xml_matches};
            last = rows[i];
            any = true;
        }
    } while (!rc && count > 0);
    desk_close(&s);
    *out = list.at;
    *count_out = list.count;
    return rc;
}

enum err sim_centre_counts(struct sim_centre *c, struct sim_centre_counts *out, struct diag *d)
{
    struct desk_session s;
    struct centre_counts n;

    enum err rc = desk_open(c, &s, d);
    if (!rc)
        rc = cstore_counts(s.store, &n, d);
    if (!rc)
        *out = (struct sim_centre_counts){n.frames, n.frames_quarantined, n.clones, n.duplicates};
    desk_close(&s);
    return rc;
}

static enum err each_record(struct sim_centre *c, int kind, void *self,
                            enum err (*take)(void *self, const struct record_row *row, const struct record *r,
                                             struct diag *d),
                            struct diag *d)
{
    struct desk_session s;
    struct record_row *rows;
    uint32_t count = 0;
    uint64_t after = 0;

    enum err rc = desk_open(c, &s, d);
    do {
        struct arena_mark mark = arena_mark(&s.a);
        if (!rc)
            rc = cstore_records(s.store, &s.a, RECORDS_OF_KIND, (struct row_id){0}, kind, after, 100, &rows,
                                &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct record r;
            after = rows[i].number;
            rc = record_unpack(&s.a, rows[i].row, rows[i].packed, &r, d);
            if (!rc)
                rc = take(self, &rows[i], &r, d);
        }
        arena_release(&s.a, mark);
    } while (!rc && count > 0);
    desk_close(&s);
    return rc;
}

struct versions {
    struct arena *a;
    VEC(struct sim_version) list;
};

static enum err take_versions(void *self, const struct record_row *row, const struct record *r,
                              struct diag *d)
{
    struct versions *out = self;
    bool removed = record_deleted(r);
    (void)row;
    (void)d;
    for (uint32_t i = 0; i < r->count; i++) {
        for (uint32_t k = 0; k < r->cells[i].count; k++) {
            const struct version *v = &r->cells[i].versions[k];
            if (r->cells[i].field == 0 || v->value.n < 2 || v->value.p[0] != 'v')
                continue;
            struct sim_version *slot = vec_push(out->a, &out->list);
            CHECK(slot);
            *slot = (struct sim_version){arena_str(out->a, v->value), k == 0, removed};
        }
    }
    return ERR_OK;
}

enum err sim_centre_versions(struct sim_centre *c, struct arena *a, struct sim_version **out,
                             uint32_t *count_out, struct diag *d)
{
    struct versions v = {.a = a};
    enum err rc = each_record(c, ROW_INTERVIEW, &v, take_versions, d);
    if (!rc)
        rc = each_record(c, ROW_REPEAT, &v, take_versions, d);
    *out = v.list.at;
    *count_out = v.list.count;
    return rc;
}

int sim_centre_hand_in(struct sim_centre *c, struct str frame)
{
    struct http_request q = {.method = HTTP_POST, .url = STR("/v1/b"), .body = frame};
    struct http_reply reply = {0};
    struct arena a;
    arena_init(&a, 64u << 20);
    buf_init(&reply.body, 1u << 20);
    answer(c, &q, &a, &reply);
    buf_free(&reply.body);
    arena_free(&a);
    return reply.status;
}

enum err sim_centre_bundle(struct sim_centre *c, struct str bundle, struct buf *answer_out, struct diag *d)
{
    struct desk_session s;
    enum err rc = desk_open(c, &s, d);
    if (!rc)
        rc = courier_answer_bytes(c->server, s.store, bundle, 1u << 20, answer_out, d);
    desk_close(&s);
    return rc;
}

enum err sim_centre_revoke(struct sim_centre *c, uint64_t device, struct diag *d)
{
    struct desk_session s;
    enum err rc = desk_open(c, &s, d);
    if (!rc)
        rc = people_revoke(s.store, device, s.desk.seam->wall_ms(s.desk.seam->self), d);
    desk_close(&s);
    return rc;
}

enum err sim_centre_lost(struct sim_centre *c, uint64_t device, struct diag *d)
{
    struct desk_session s;
    enum err rc = desk_open(c, &s, d);
    if (!rc)
        rc = people_lost(s.store, device, s.desk.seam->wall_ms(s.desk.seam->self), d);
    desk_close(&s);
    return rc;
}

enum err sim_centre_report(struct sim_centre *c, uint64_t device, struct arena *a, int *battery_out,
                           struct str *version_out, struct diag *d)
{
    struct desk_session s;
    struct device_report_row row;
    enum err rc = desk_open(c, &s, d);
    if (!rc)
        rc = cstore_device_report(s.store, a, device, &row, NULL);
    *battery_out = rc ? -1 : row.report.battery;
    *version_out = rc ? STR("") : row.report.version;
    desk_close(&s);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

/* ---- the state as a hash ---- */

enum err sim_centre_hash(struct sim_centre *c, unsigned char out[static 32], struct diag *d)
{
    struct desk_session s;
    enum err rc = desk_open(c, &s, d);
    if (!rc)
        rc = centre_state_hash(s.store, out, NULL, d);
    desk_close(&s);
    return rc;
}

enum err sim_centre_replay(struct sim_centre *c, uint64_t order, unsigned char out[static 32], struct diag *d)
{
    struct desk_session s;
    enum err rc = desk_open(c, &s, d);
    if (!rc)
        rc = centre_replay_hash(s.store, s.desk.seam, order, out, NULL, d);
    desk_close(&s);
    return rc;
}

enum err sim_centre_set_back(struct sim_centre *c, struct diag *d)
{
    struct desk_session s;
    enum err rc = desk_open(c, &s, d);
    if (!rc)
        rc = centre_set_back(s.desk.seam, DIR_NAME, s.store, d);
    desk_close(&s);
    return rc;
}
