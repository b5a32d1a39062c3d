/* Handhelds: whose they are, when they were last heard of, what they run; enrolling one by a code that is
 * shown once; shutting one out. */
#include "server/device_report.h"
#include "server/qr.h"
#include "server/screens.h"

#define DEVICES_SHOWN 500

struct devices {
    struct page p;
    struct device_row *list;
    uint32_t count;
    struct enrol_ticket ticket; /* token60 0 = none was made */
    struct str url, wrong;
};

static void ticket_draw(struct devices *x, struct diag *d)
{
    struct page *p = &x->p;
    const struct centre *c = srv_centre(p->c->server);
    char token[ENROL_TOKEN_TEXT], print[40];
    unsigned char hash[SHA256_SIZE];
    struct enrol_code code = {.url = x->url, .token60 = x->ticket.token60};
    struct buf text;
    buf_init(&text, 4096);
    memcpy(code.seal_public, c->keys.seal_public, sizeof code.seal_public);
    if (sha256((struct str){(const char *)c->keys.root_public, P256_PUBLIC_SIZE}, hash))
        memset(hash, 0, sizeof hash);
    memcpy(code.root_print, hash, sizeof code.root_print);
    root_print_text(hash, print);
    enrol_token_write(x->ticket.token60, token);
    pg_open(p, "section", "ticket");
    pg_leaf_word(p, "h2", NO_CLASS, W_ENROL_READY);
    if (!enrol_code_write(&code, &text))
        pg_qr(p, buf_str(&text), word_of(p, W_ENROL_READY));
    buf_free(&text);
    pg_note(p, "warn", word_of(p, W_ENROL_ONCE));
    pg_open(p, "dl", "facts");
    pg_leaf_word(p, "dt", NO_CLASS, W_PERSON);
    pg_open(p, "dd", NO_CLASS);
    pg_data(p, x->ticket.person.name);
    pg_close(p);
    pg_leaf_word(p, "dt", NO_CLASS, W_ENROL_TYPE);
    pg_leaf(p, "dd", "code", str_of(token));
    pg_leaf_word(p, "dt", NO_CLASS, W_ENROL_FINGERPRINT);
    pg_leaf(p, "dd", "code", str_of(print));
    pg_close(p);
    pg_open(p, "p", NO_CLASS);
    pg_say(p, W_ENROL_UNTIL, page_time(p, x->ticket.until_ms), STR(""));
    pg_close(p);
    pg_close(p);
    (void)d;
}

/* What it said of itself last: version, what waits, battery, free space. */
static void report_cells(struct devices *x, const struct device_row *v, bool quiet_long)
{
    static const char *const battery[] = {"< 10 %", "10–30 %", "30–60 %", "> 60 %"};
    struct page *p = &x->p;
    struct device_report_row r = {.report = {.battery = -1, .free_mb = -1, .version = STR("")}};
    struct diag quiet = {0};
    bool said = cstore_device_report(p->c->st, p->a, v->device, &r, &quiet) == ERR_OK;
    pg_cell(p, said && r.report.version.n ? r.report.version : v->version);
    if (said && !quiet_long)
        pg_cell_number(p, r.report.waiting);
    else
        pg_leaf_word(p, "td", "number", W_QUEUE_UNKNOWN);
    pg_leaf(p, "td", r.report.battery == 0 ? "number over" : "number",
            r.report.battery >= 0 && r.report.battery <= 3 ? str_of(battery[r.report.battery]) : STR("—"));
    pg_leaf(p, "td", "number",
            r.report.free_mb >= 0
                ? page_join(p, STR("≥ "), page_count(p, (uint64_t)r.report.free_mb), STR(" MB"))
                : STR("—"));
}

static void device_row_draw(struct devices *x, const struct device_row *v)
{
    struct page *p = &x->p;
    struct person who = {0};
    struct diag quiet = {0};
    bool known = cstore_person(p->c->st, p->a, v->person, &who, &quiet) == ERR_OK;
    if (!known ||
        !str_starts(who.area.p ? who.area : STR(""), p->c->person.area.p ? p->c->person.area : STR("")))
        return;
    bool quiet_long = !v->revoked_ms && p->now_ms - v->contact_ms > WORK_SILENT_DAYS * 86400000LL;
    pg_row(p);
    pg_open(p, "td", "code");
    pg_text(p, page_hex(p, v->device));
    pg_close(p);
    pg_cell(p, who.name);
    pg_cell(p, who.area);
    pg_open(p, "td", quiet_long ? "over" : "when");
    pg_time(p, v->contact_ms);
    pg_close(p);
    report_cells(x, v, quiet_long);
    pg_cell_word(p, !v->revoked_ms                   ? W_DEVICE_IN_USE
                    : v->revoked_why == REVOKED_LOST ? W_DEVICE_LOST
                                                     : W_DEVICE_REVOKED);
    pg_open(p, "td", NO_CLASS);
    if (!v->revoked_ms && screen_can(p->c, ACT_MANAGE_DEVICES, who.area.p ? who.area : STR(""))) {
        pg_open(p, "details", NO_CLASS);
        pg_leaf_word(p, "summary", NO_CLASS, W_REVOKE);
        pg_post_begin(p, STR("/devices"), NULL);
        pg_hidden(p, "device", page_hex(p, v->device));
        struct str hex = page_hex(p, v->device);
        pg_open(p, "p", "hint-line");
        pg_say(p, W_REVOKE_TYPE, str_sub(hex, 12, 4), STR(""));
        pg_close(p);
        pg_void(p, "input",
                ATTRS({"type", STR("text")}, {"name", STR("typed")}, {"maxlength", STR("16")},
                      {"autocomplete", STR("off")},
                      {"aria-label", page_say(p, W_REVOKE_TYPE, str_sub(hex, 12, 4), STR(""))}));
        pg_open(p, "div", "actions");
        pg_button_key(p, W_REVOKE, "danger", "act", "revoke", NULL);
        pg_button_key(p, W_WIPE, "danger", "act", "lost", NULL);
        pg_close(p);
        pg_leaf_word(p, "p", "hint-line", W_WIPE_INTRO);
        pg_close(p);
        pg_close(p);
    }
    pg_close(p);
    pg_close(p);
}

static void enrol_form(struct devices *x)
{
    struct page *p = &x->p;
    const struct option roles[] = {{STR("cadre"), word_of(p, W_ROLE_3)},
                                   {STR("enumerator"), word_of(p, W_ROLE_2)},
                                   {STR("supervisor"), word_of(p, W_ROLE_4)}};
    struct str host = http_header_find(p->c->request->headers, p->c->request->header_count, "Host");
    struct str url = page_join(p, p->c->request->secure ? STR("https://") : STR("http://"), host, STR(""));
    if (!screen_can(p->c, ACT_MANAGE_DEVICES, STR_NONE))
        return;
    pg_leaf_word(p, "h2", NO_CLASS, W_ENROL);
    pg_leaf_word(p, "p", "hint-line", W_ENROL_INTRO);
    pg_post_begin(p, STR("/devices"), NULL);
    pg_hidden(p, "act", STR("enrol"));
    pg_field(p, &(struct field){.name = "person",
                                .label = W_ENROL_PERSON,
                                .required = true,
                                .value = posted(p->c, "person")});
    pg_select(p, &(struct field){.name = "role", .label = W_ROLE, .value = STR("cadre")}, roles, 3);
    pg_field(p, &(struct field){.name = "area",
                                .label = W_ENROL_AREA,
                                .value = x->url.n ? posted(p->c, "area") : p->c->person.area});
    pg_field(p, &(struct field){
                    .name = "url", .label = W_ENROL_URL, .required = true, .value = x->url.n ? x->url : url});
    pg_button(p, W_ENROL_MAKE, "main", NULL);
    pg_close(p);
}

static enum err devices_draw(struct devices *x, struct diag *d)
{
    static const struct column columns[] = {{W_DEVICE_ID, NULL, false}, {W_PERSON, NULL, false},
                                            {W_AREA, NULL, false},      {W_LAST_CONTACT, NULL, false},
                                            {W_VERSION, NULL, false},   {W_QUEUE_REPORTED, NULL, true},
                                            {W_BATTERY, NULL, true},    {W_FREE_SPACE, NULL, true},
                                            {W_STATE, NULL, false},     {W_REVOKE, NULL, false}};
    struct page *p = &x->p;
    const struct table t = {.columns = columns,
                            .count = 8,
                            .caption = word_of(p, W_DEVICES),
                            .caption_hidden = true};
    enum err rc = cstore_devices(p->c->st, p->a, &x->list, &x->count, d);
    if (rc)
        return rc;
    pg_begin(p, NAV_DEVICES, word_of(p, W_DEVICES));
    pg_done(p);
    if (x->wrong.n)
        pg_note(p, "bad", x->wrong);
    if (x->ticket.token60)
        ticket_draw(x, d);
    if (x->count) {
        pg_table_begin(p, &t);
        for (uint32_t i = 0; i < x->count && i < DEVICES_SHOWN; i++)
            device_row_draw(x, &x->list[i]);
        pg_table_end(p);
    } else {
        pg_empty(p, W_DEVICES_NONE);
    }
    enrol_form(x);
    pg_end(p);
    return ERR_OK;
}

enum err screen_devices(struct call *c, struct diag *d)
{
    struct devices x = {0};
    page_init(&x.p, c);
    enum err rc = screen_may(c, ACT_SEE_DEVICES, STR_NONE, d);
    return rc ? rc : devices_draw(&x, d);
}

static enum err enrol(struct devices *x, struct diag *d)
{
    struct call *c = x->p.c;
    struct str area = str_trim(posted(c, "area")), person = str_trim(posted(c, "person"));
    x->url = str_trim(posted(c, "url"));
    enum err rc = screen_may(c, ACT_MANAGE_DEVICES, area.p ? area : STR(""), d);
    if (!rc && !str_starts(x->url, STR("http://")) && !str_starts(x->url, STR("https://")))
        rc = diag_set(d, ERR_USAGE, "The address must begin with http:// or https://.");
    if (rc)
        return rc;
    screen_lock(c);
    rc = people_ticket(c->st, srv_centre(c->server), c->server->seam, person, role_of(posted(c, "role")),
                       area, &x->ticket, d);
    screen_unlock(c);
    if (!rc)
        rc = screen_note(c, "enrol-token", STR(""), person, d);
    return rc;
}

static enum err revoke(struct devices *x, struct diag *d)
{
    struct call *c = x->p.c;
    struct person who;
    unsigned char bytes[8];
    uint64_t device = 0;
    struct str hex = posted(c, "device");
    bool found = false;
    if (!hex_read(hex, bytes, sizeof bytes))
        return diag_set(d, ERR_USAGE, "The form names no handheld.");
    for (int i = 0; i < 8; i++)
        device = device << 8 | bytes[i];
    enum err rc = cstore_devices(c->st, c->a, &x->list, &x->count, d);
    for (uint32_t i = 0; !rc && i < x->count && !found; i++) {
        if (x->list[i].device != device)
            continue;
        found = true;
        rc = cstore_person(c->st, c->a, x->list[i].person, &who, d);
        if (!rc)
            rc = screen_may(c, ACT_MANAGE_DEVICES, who.area.p ? who.area : STR(""), d);
    }
    if (!rc && !found)
        rc = diag_set(d, ERR_NOT_FOUND, "There is no such handheld.");
    if (rc)
        return rc;
    if (!str_eq_nocase(str_trim(posted(c, "typed")), str_sub(hex, 12, 4))) {
        x->wrong = word_of(&x->p, W_WIPE_WRONG);
        return ERR_OK;
    }
    screen_lock(c);
    bool lost = str_eq_z(posted(c, "act"), "lost");
    rc = lost ? people_lost(c->st, device, x->p.now_ms, d) : people_revoke(c->st, device, x->p.now_ms, d);
    screen_unlock(c);
    if (!rc)
        rc = screen_note(c, lost ? "device-lost" : "device-revoked", STR(""), hex, d);
    return rc;
}

enum err screen_devices_post(struct call *c, struct diag *d)
{
    struct devices x = {0};
    page_init(&x.p, c);
    bool enrols = str_eq_z(posted(c, "act"), "enrol");
    enum err rc = enrols ? enrol(&x, d) : revoke(&x, d);
    if (rc == ERR_USAGE || rc == ERR_STATE || rc == ERR_EXISTS) {
        x.wrong = arena_str(c->a, str_of(d->text));
        diag_clear(d);
        rc = ERR_OK;
    }
    if (rc)
        return rc;
    if (!enrols && !x.wrong.n)
        return page_go(c,
                       str_eq_z(posted(c, "act"), "lost") ? STR("/devices?done=wiped")
                                                          : STR("/devices?done=revoked"),
                       d);
    if (x.wrong.n)
        c->reply->status = 409;
    return devices_draw(&x, d);
}
