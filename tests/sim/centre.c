/* See centre.h. */
#include "tests/sim/centre.h"

#include "server/parts.h"

#define DIR_NAME "/county"

struct sim_centre {
    struct sim_machine *machine;
    struct server *server;
    struct arena memory;
    bool portal;
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
    if (c->portal)
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

enum err sim_centre_make(struct sim_machine *m, struct str form_xml, struct str households_csv,
                         struct sim_centre **centre_out, struct diag *d)
{
    struct arena memory;
    char print[40];

    arena_init(&memory, 1u << 20);
    struct sim_centre *c = ARENA_NEW(&memory, struct sim_centre);
    if (!c)
        return diag_set(d, ERR_NOMEM, "no memory for a centre");
    c->memory = memory;
    c->machine = m;
    enum err rc = centre_make(sim_seam(m), DIR_NAME, STR("Simulated county"), print, d);
    if (!rc)
        rc = furnish(c, form_xml, households_csv, d);
    if (!rc)
        rc = sim_net_listen(m, "centre", c, answer);
    if (!rc)
        rc = sim_centre_start(c, d);
    if (rc)
        sim_centre_close(c);
    else
        *centre_out = c;
    return rc;
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
