/* See serve.h. What is to be done and what is not delivered: the first screen, the search, a household, the
 * sync screen.
 */
#include "agent/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "agent/attach.h"
#include "agent/leads.h"
#include "platform/base/civil.h"

#define ROWS_MAX 60
#define FOUND_MAX 20
#define DISK_LOW (100ull << 20)
#define CLOCK_OFF_TOLD_MS (24LL * 3600 * 1000)
#define BUILT_DAY 20700 /* civil day of a build; an earlier date is wrong */

/* ---- the state of the device ---- */

/* A whole number in a small file of the system; false when there is none. */
static bool system_number(const struct seam *seam, const char *path, int64_t *out)
{
    struct buf b;
    struct diag quiet = {0};
    buf_init(&b, 64);
    bool is = seam->file_read(seam->self, path, &b, &quiet) == ERR_OK &&
              str_to_i64(str_trim(buf_str(&b)), out);
    buf_free(&b);
    return is;
}

static void put_battery(struct serve_call *c)
{
    static const char *const names[] = {"BAT0", "BAT1", "battery"};
    char path[80];
    int64_t percent;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "/sys/class/power_supply/%s/capacity", names[i]);
        if (!system_number(c->g->seam, path, &percent))
            continue;
        js_i64(c->out, "battery", percent);
        return;
    }
}

static void put_disk(struct serve_call *c)
{
    struct statvfs v;
    if (statvfs(c->g->data, &v) != 0)
        return;
    uint64_t free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    js_i64(c->out, "disk_free", (int64_t)(free_bytes > INT64_MAX ? INT64_MAX : free_bytes));
    js_bool(c->out, "disk_low", free_bytes < DISK_LOW);
}

static void put_clock(struct serve_call *c, const struct store_status *st)
{
    char day[16];
    int64_t today = serve_today(c->g);
    size_t n = civil_write_date(today, day);
    js_str(c->out, "today", (struct str){day, n});
    js_i64(c->out, "now_ms", c->g->seam->wall_ms(c->g->seam->self));
    js_bool(c->out, "clock_wrong",
            today < BUILT_DAY || st->clock_off_ms > CLOCK_OFF_TOLD_MS ||
                st->clock_off_ms < -CLOCK_OFF_TOLD_MS);
}

static void put_sync(struct serve_call *c)
{
    struct serve_sync *s = &c->g->sync;
    js_open(c->out, "sync", '{');
    CHECK(pthread_mutex_lock(&s->lock) == 0);
    js_bool(c->out, "beside", s->child > 0);
    js_bool(c->out, "link", !s->link_known || s->link);
    js_bool(c->out, "running", s->running);
    js_z(c->out, "result", s->ran ? s->result : "");
    js_i64(c->out, "ran_ms", s->ran_ms);
    js_raw(c->out, "last", s->last);
    CHECK(pthread_mutex_unlock(&s->lock) == 0);
    buf_put_char(c->out, '}');
}

static void put_counts(struct serve_call *c, const struct store_status *st, const struct attach_status *files)
{
    js_i64(c->out, "households", st->households);
    js_i64(c->out, "drafts", st->drafts);
    js_i64(c->out, "unsent", st->finalised_unsent);
    js_i64(c->out, "waiting", st->frames_waiting);
    js_i64(c->out, "waiting_bytes", (int64_t)st->bytes_waiting);
    js_i64(c->out, "receipted", st->frames_receipted);
    js_i64(c->out, "quarantined", st->frames_quarantined);
    js_i64(c->out, "conflicts", st->conflicts);
    js_i64(c->out, "objects_missing", st->objects_missing);
    js_i64(c->out, "files", (int64_t)files->waiting);
    js_i64(c->out, "file_bytes", (int64_t)files->bytes_waiting);
    js_str(c->out, "last_contact", st->last_contact);
}

static enum err put_state(struct serve_call *c)
{
    struct store_status st;
    struct attach_status files;
    enum err rc = store_refresh(c->g->store, c->d);
    if (!rc)
        rc = store_status(c->g->store, c->a, &st, c->d);
    if (!rc)
        rc = attach_status(c->g->store, &files, c->d);
    if (rc)
        return rc;
    const struct identity *id = store_identity(c->g->store);
    js_open(c->out, "state", '{');
    js_bool(c->out, "enrolled", id->enrolled);
    js_str(c->out, "county", id->by.county);
    js_str(c->out, "person", id->by.person_name);
    js_str(c->out, "area", id->by.area);
    js_str(c->out, "over", id->over);
    put_counts(c, &st, &files);
    put_clock(c, &st);
    put_disk(c);
    put_battery(c);
    put_sync(c);
    if (c->g->visit.open)
        js_str(c->out, "open_visit", buf_str(&c->g->visit.household));
    buf_put_char(c->out, '}');
    return ERR_OK;
}

static enum err state(struct serve_call *c)
{
    js_open(c->out, NULL, '{');
    enum err rc = put_state(c);
    buf_put_char(c->out, '}');
    return rc;
}

/* ---- households ---- */

struct caseload {
    struct household *list;
    struct lead *leads;
    uint32_t count, lead_count;
    const struct pack *pack; /* sets the days of clocks */
    int64_t today;
};

static enum err read_caseload(struct serve_call *c, int64_t household, struct caseload *x)
{
    *x = (struct caseload){.today = serve_today(c->g)};
    enum err rc = store_leads(c->g->store, c->a, household, &x->leads, &x->lead_count, c->d);
    return rc ? rc : store_clock_pack(c->g->store, c->a, &x->pack, c->d);
}

struct due {
    bool any;
    int64_t left;
    enum clock_name clock;
};

/* The clock of a lead that runs out first. */
static struct due due_of(const struct caseload *x, const struct lead *l)
{
    struct clock_days days;
    struct clock clocks[CLOCKS];
    struct due out = {0};
    clock_days_for(x->pack, l->area, x->today, &days);
    lead_clocks(&l->times, &days, x->today, clocks);
    for (int i = 0; i < CLOCKS; i++) {
        bool runs = clocks[i].state == CLOCK_RUNS || clocks[i].state == CLOCK_OVERDUE;
        if (runs && !clock_about((enum clock_name)i)->least && (!out.any || clocks[i].left < out.left))
            out = (struct due){true, clocks[i].left, (enum clock_name)i};
    }
    return out;
}

static void put_due(struct serve_call *c, struct due due)
{
    if (!due.any)
        return;
    js_i64(c->out, "left", due.left);
    js_z(c->out, "clock_zh", clock_about(due.clock)->zh);
    js_z(c->out, "clock_en", clock_about(due.clock)->en);
}

static void put_household(struct serve_call *c, const struct household *h)
{
    js_str(c->out, "code", h->code);
    js_str(c->out, "name", h->name);
    js_str(c->out, "area", h->area);
    js_str(c->out, "address", h->address);
    js_str(c->out, "category", h->category);
    js_str(c->out, "last_visit", str_sub(h->last_visit, 0, 10));
    js_str(c->out, "level", h->last_level);
    js_bool(c->out, "draft", h->draft);
}

static void put_row(struct serve_call *c, const struct caseload *x, const struct household *h)
{
    struct due due = {0};
    uint32_t open = 0;
    struct str source = STR("");
    for (uint32_t i = 0; i < x->lead_count; i++) {
        const struct lead *l = &x->leads[i];
        if (l->household != h->key || !lead_times_open(&l->times))
            continue;
        struct due one = due_of(x, l);
        if (one.any && (!due.any || one.left < due.left))
            due = one;
        source = open++ ? source : l->source;
    }
    js_open(c->out, NULL, '{');
    put_household(c, h);
    js_i64(c->out, "leads", open);
    js_str(c->out, "source", source);
    put_due(c, due);
    buf_put_char(c->out, '}');
}

static enum err read_all(struct serve_call *c, struct caseload *x)
{
    enum err rc = read_caseload(c, 0, x);
    if (!rc)
        rc = store_households(c->g->store, c->a, &x->list, &x->count, c->d);
    if (!rc)
        rc = store_queue(c->g->store, c->a, x->today, x->list, x->count, c->d);
    return rc;
}

static enum err today(struct serve_call *c)
{
    struct caseload x;
    enum err rc = read_all(c, &x);
    if (rc)
        return rc;
    js_open(c->out, NULL, '{');
    rc = put_state(c);
    js_i64(c->out, "count", x.count);
    js_open(c->out, "rows", '[');
    for (uint32_t i = 0; i < x.count && i < ROWS_MAX; i++)
        put_row(c, &x, &x.list[i]);
    buf_put_z(c->out, "]}");
    return rc;
}

static bool matches(const struct household *h, struct str q)
{
    return str_find(h->name, q) >= 0 || str_starts(h->code, q) || str_find(h->address, q) >= 0;
}

static enum err find(struct serve_call *c)
{
    struct caseload x;
    uint32_t met = 0;
    struct str q = str_trim(serve_query(c, "q"));
    char upper[64];
    enum err rc = read_all(c, &x);
    if (rc)
        return rc;
    if (q.n > 0 && q.n < sizeof upper) { /* codes are written with capitals */
        for (size_t i = 0; i < q.n; i++)
            upper[i] = (char)(q.p[i] >= 'a' && q.p[i] <= 'z' ? q.p[i] - 32 : q.p[i]);
    }
    struct str code = q.n < sizeof upper ? (struct str){upper, q.n} : q;
    js_open(c->out, NULL, '{');
    js_i64(c->out, "all", x.count);
    js_open(c->out, "rows", '[');
    for (uint32_t i = 0; i < x.count; i++)
        if (q.n == 0 || matches(&x.list[i], q) || str_starts(x.list[i].code, code))
            if (met++ < FOUND_MAX)
                put_row(c, &x, &x.list[i]);
    buf_put_char(c->out, ']');
    js_i64(c->out, "count", met);
    buf_put_char(c->out, '}');
    return ERR_OK;
}

/* ---- one household ---- */

/* What departments' values are called, so that nobody has to read variable names. */
static void put_names(struct serve_call *c, const struct pack *p, struct str json)
{
    const struct json *o = NULL;
    struct diag quiet = {0};
    if (!json.n || json_read(c->a, json, &o, &quiet) || o->type != JSON_OBJECT)
        return;
    for (const struct json *x = o->child; x; x = x->next) {
        struct str zh = pack_dept_name(p, x->name, true), en = pack_dept_name(p, x->name, false);
        if (!zh.n && !en.n)
            continue;
        js_open(c->out, arena_z(c->a, x->name), '[');
        js_str(c->out, NULL, zh.n ? zh : en);
        js_str(c->out, NULL, en.n ? en : zh);
        buf_put_char(c->out, ']');
    }
}

static void put_lead(struct serve_call *c, const struct caseload *x, const struct lead *l)
{
    js_open(c->out, NULL, '{');
    js_i64(c->out, "lead", l->key);
    js_z(c->out, "channel", lead_channel_name(l->times.channel));
    js_str(c->out, "source", l->source);
    js_str(c->out, "opened", str_sub(l->opened, 0, 10));
    js_str(c->out, "note", l->note);
    js_bool(c->out, "open", lead_times_open(&l->times));
    js_z(c->out, "step_zh", lead_step_about(lead_times_state(&l->times))->zh);
    js_z(c->out, "step_en", lead_step_about(lead_times_state(&l->times))->en);
    js_raw(c->out, "indicators", l->indicators);
    js_open(c->out, "seen", '[');
    for (uint32_t i = 0; i < l->seen.count; i++) {
        js_open(c->out, NULL, '{');
        js_str(c->out, "name", l->seen.at[i].name);
        js_str(c->out, "result", l->seen.at[i].result);
        js_str(c->out, "note", l->seen.at[i].note);
        buf_put_char(c->out, '}');
    }
    buf_put_char(c->out, ']');
    put_due(c, due_of(x, l));
    buf_put_char(c->out, '}');
}

static enum err put_history(struct serve_call *c, const struct household *h)
{
    struct finished_visit *list;
    uint32_t count;
    enum err rc = store_finished(c->g->store, c->a, &list, &count, c->d);
    js_open(c->out, "history", '[');
    for (uint32_t i = count; !rc && i > 0; i--) {
        if (list[i - 1].household != h->key)
            continue;
        js_open(c->out, NULL, '{');
        js_str(c->out, "ended", list[i - 1].ended);
        js_str(c->out, "type", list[i - 1].type);
        js_bool(c->out, "here", list[i - 1].files);
        js_str(c->out, "instance", list[i - 1].instance_id);
        buf_put_char(c->out, '}');
    }
    buf_put_char(c->out, ']');
    return rc;
}

/* Forms that can be held here and now. */
static enum err put_forms(struct serve_call *c)
{
    struct published *list;
    uint32_t count;
    enum err rc = store_published(c->g->store, c->a, &list, &count, c->d);
    js_open(c->out, "forms", '[');
    for (uint32_t i = 0; !rc && i < count; i++) {
        bool newest = i == 0 || !str_eq(list[i].id, list[i - 1].id) ||
                      !str_eq(list[i].kind, list[i - 1].kind);
        if (!str_eq_z(list[i].kind, "form") || !list[i].held || !newest)
            continue;
        js_open(c->out, NULL, '{');
        js_str(c->out, "id", list[i].id);
        js_str(c->out, "title", list[i].title.n ? list[i].title : list[i].id);
        js_str(c->out, "version", list[i].version);
        buf_put_char(c->out, '}');
    }
    buf_put_char(c->out, ']');
    return rc;
}

static enum err household(struct serve_call *c)
{
    struct household h;
    struct caseload x;
    struct str department, as_of;
    enum err rc = store_household(c->g->store, c->a, serve_query(c, "code"), &h, c->d);
    if (!rc)
        rc = read_caseload(c, h.key, &x);
    if (!rc)
        rc = store_department(c->g->store, c->a, h.key, &department, &as_of, c->d);
    if (rc)
        return rc;
    js_open(c->out, NULL, '{');
    put_household(c, &h);
    js_raw(c->out, "department", department);
    js_str(c->out, "department_as_of", as_of);
    js_open(c->out, "names", '{');
    put_names(c, x.pack, department);
    for (uint32_t i = 0; i < x.lead_count; i++)
        put_names(c, x.pack, x.leads[i].indicators);
    buf_put_char(c->out, '}');
    js_open(c->out, "leads", '[');
    for (uint32_t i = 0; i < x.lead_count; i++)
        put_lead(c, &x, &x.leads[i]);
    buf_put_char(c->out, ']');
    rc = put_history(c, &h);
    if (!rc)
        rc = put_forms(c);
    buf_put_char(c->out, '}');
    return rc;
}

static enum err forms(struct serve_call *c)
{
    js_open(c->out, NULL, '{');
    enum err rc = put_forms(c);
    buf_put_char(c->out, '}');
    return rc;
}

static enum err sync_now(struct serve_call *c)
{
    serve_sync_ask(c->g);
    return state(c);
}

const struct serve_route serve_today_routes[] = {
    {HTTP_GET, "/api/state", state}, {HTTP_GET, "/api/today", today},
    {HTTP_GET, "/api/find", find},   {HTTP_GET, "/api/household", household},
    {HTTP_GET, "/api/forms", forms}, {HTTP_POST, "/api/sync", sync_now},
    {HTTP_GET, NULL, NULL},
};
