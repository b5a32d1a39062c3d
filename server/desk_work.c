/* What `doorstepd review` and `doorstepd overview` show of work.h: tables for people, a line of JSON each for
 * programs. */
#include "server/desk_work.h"

#define PAGE 100

void work_ask_now(struct desk *k, struct str area, const struct work_by *by, struct work_ask *out)
{
    int64_t now = k->seam->wall_ms(k->seam->self);
    struct civil c = civil_at(now, county_zone(k));
    *out = (struct work_ask){.st = k->st,
                             .a = k->a,
                             .area = area,
                             .person = by ? by->person : 0,
                             .role = by ? by->role : ROLE_COUNTY,
                             .today = civil_days(c.year, c.month, c.day),
                             .now_ms = now};
}

enum err work_by_named(struct desk *k, struct str name, struct str role, struct str area, struct work_by *out,
                       struct diag *d)
{
    struct person p;
    uint8_t number = role.n ? role_of(role) : ROLE_COUNTY;
    if (!number)
        return diag_set(d, ERR_USAGE, "There is no role %.*s. Who decides is a cadre, supervisor or county.",
                        STR_ARG(role));
    enum err rc = cstore_begin(k->st, d);
    if (!rc)
        rc = people_take(k->st, name, number, area, k->seam->wall_ms(k->seam->self), &p, d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    if (!rc)
        *out = (struct work_by){p.person, p.role, p.name, p.area};
    return rc;
}

static struct str day_text(int64_t day, char room[static 16])
{
    return day == WORK_NEVER ? STR("") : (struct str){room, civil_write_date(day, room)};
}

static struct str time_text(int64_t ms, char room[static 40])
{
    struct civil c = civil_at(ms, zone_utc());
    return ms ? (struct str){room, civil_write(&c, room)} : STR("");
}

static void member(struct buf *out, const char *before, struct str value)
{
    buf_put_z(out, before);
    buf_put_json(out, value.p ? value : STR(""));
}

static const char *const waits_names[] = {"village", "township", "county", "device", "nobody", "replaced"};

static void item_json(struct buf *out, const struct work_item *x)
{
    char day[16];
    buf_printf(out, "{\"number\":%llu", (unsigned long long)x->number);
    member(out, ",\"household\":", x->code);
    member(out, ",\"name\":", x->name);
    member(out, ",\"area\":", x->area);
    member(out, ",\"form\":", x->form);
    member(out, ",\"level\":", x->level);
    member(out, ",\"person\":", x->person);
    member(out, ",\"what\":", x->what);
    member(out, ",\"why\":", x->why);
    member(out, ",\"day\":", day_text(x->day, day));
    buf_printf(out, ",\"round\":%u,\"count\":%u,\"red\":%s,\"mismatch\":%s,\"conflict\":%s", x->round,
               x->count, x->flags & VISIT_IS_RED ? "true" : "false",
               x->flags & VISIT_MISMATCH ? "true" : "false", x->flags & VISIT_CONFLICT ? "true" : "false");
    member(out, ",\"waits\":", x->round ? str_of(waits_names[x->waits]) : STR(""));
    member(out, ",\"held_by\":", x->held_name);
    member(out, ",\"lease\":", x->lease);
    buf_put_z(out, "}\n");
}

static void item_text(struct buf *out, const struct work_item *x)
{
    char day[16];
    buf_printf(out, "%8llu  %-10.*s  %.*s  %.*s", (unsigned long long)x->number,
               STR_ARG(day_text(x->day, day)), STR_ARG(x->code), STR_ARG(x->name));
    const struct str rest[] = {x->form, x->level, x->person, x->what, x->why};
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++)
        if (rest[i].n)
            buf_printf(out, "  %.*s", STR_ARG(rest[i]));
    if (x->round > 1)
        buf_printf(out, "  round %u", x->round);
    if (x->flags & (VISIT_MISMATCH | VISIT_CONFLICT))
        buf_printf(out, "  (%s)", x->flags & VISIT_MISMATCH ? "mismatch" : "conflict");
    if (x->held_by)
        buf_printf(out, "  taken by %.*s", STR_ARG(x->held_name));
    buf_put_char(out, '\n');
}

enum err work_queue_tell(const struct work_ask *q, struct str name, bool json, struct buf *out,
                         struct diag *d)
{
    enum work_queue which = QUEUE_MINE;
    struct work_item *items = NULL;
    uint32_t count = 0;
    bool any = false;
    char room[512];
    struct str after = STR("");
    if (name.n && !work_queue_read(name, &which))
        return diag_set(d, ERR_USAGE,
                        "A queue is mine, due, conflicts, rejected, quarantine, disagreements, "
                        "quality or leads.");
    do {
        struct arena_mark mark = arena_mark(q->a);
        enum err rc = work_queue_page(q, which, after, PAGE, &items, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            if (json)
                item_json(out, &items[i]);
            else
                item_text(out, &items[i]);
        }
        any = any || count > 0;
        if (!rc && count) {
            struct str key = str_sub(items[count - 1].key, 0, sizeof room);
            memcpy(room, key.p, key.n);
            after = (struct str){room, key.n};
        }
        arena_release(q->a, mark);
        if (rc)
            return rc;
    } while (count == PAGE && !out->failed);
    if (!any && !json)
        buf_put_z(out, "Nothing is waiting.\n");
    return out->failed;
}

static void visit_json(struct buf *out, const struct work_visit *v)
{
    char at[40];
    buf_printf(out, "{\"visit\":%llu", (unsigned long long)v->number);
    member(out, ",\"form\":", v->form);
    member(out, ",\"version\":", v->form_version);
    member(out, ",\"type\":", v->type);
    member(out, ",\"instance_id\":", v->instance);
    member(out, ",\"person\":", v->person);
    member(out, ",\"ended\":", v->ended);
    member(out, ",\"level\":", v->level);
    buf_printf(out, ",\"device\":\"%016llx\",\"round\":%u,\"waits\":\"%s\",\"state\":\"%s\",\"rounds\":[",
               (unsigned long long)v->device, v->round, waits_names[v->waits], review_state_name(v->state));
    for (uint32_t i = 0; i < v->round_count; i++) {
        const struct work_round *r = &v->rounds[i];
        buf_printf(out, "%s{\"state\":\"%s\",\"level\":\"%s\",\"person\":%u", i ? "," : "",
                   review_state_name(r->state), review_level_name(r->level), r->person);
        member(out, ",\"name\":", r->name);
        member(out, ",\"at\":", time_text(r->at_ms, at));
        member(out, ",\"comment\":", r->comment);
        buf_put_char(out, '}');
    }
    buf_put_z(out, "],\"remarks\":[");
    for (uint32_t i = 0; i < v->remark_count; i++) {
        member(out, i ? ",{\"place\":" : "{\"place\":", v->remarks[i].place);
        member(out, ",\"text\":", v->remarks[i].text);
        member(out, ",\"name\":", v->remarks[i].name);
        buf_put_char(out, '}');
    }
    buf_put_z(out, "]}\n");
}

static void visit_text(struct buf *out, const struct work_visit *v)
{
    char at[40];
    buf_printf(out, "%8llu  %.10s  %.*s %.*s  %.*s  round %u  waits for %s\n", (unsigned long long)v->number,
               v->ended.n >= 10 ? v->ended.p : "          ", STR_ARG(v->form), STR_ARG(v->form_version),
               STR_ARG(v->person), v->round, waits_names[v->waits]);
    for (uint32_t i = 0; i < v->round_count; i++)
        buf_printf(out, "          %.16s  %s at %s by %.*s  %.*s\n", time_text(v->rounds[i].at_ms, at).p,
                   review_state_name(v->rounds[i].state), review_level_name(v->rounds[i].level),
                   STR_ARG(v->rounds[i].name), STR_ARG(v->rounds[i].comment));
    for (uint32_t i = 0; i < v->remark_count; i++)
        buf_printf(out, "          %.*s: %.*s (%.*s)\n", STR_ARG(v->remarks[i].place),
                   STR_ARG(v->remarks[i].text), STR_ARG(v->remarks[i].name));
}

enum err work_visits_tell(const struct work_ask *q, struct str code, bool json, struct buf *out,
                          struct diag *d)
{
    struct work_household h;
    struct work_visit *list = NULL;
    uint32_t count = 0;
    enum err rc = work_household_of(q, code, &h, d);
    if (!rc)
        rc = work_visits(q, h.row, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (json)
            visit_json(out, &list[i]);
        else
            visit_text(out, &list[i]);
    }
    if (!rc && count == 0 && !json)
        buf_put_z(out, "This household was not visited yet.\n");
    return rc ? rc : out->failed;
}

static void change_tell(struct buf *out, const struct work_change *c, bool json)
{
    char at[40];
    struct str when = time_text(c->at_ms, at);
    if (json) {
        member(out, "{\"at\":", when);
        buf_printf(out, ",\"person\":%u", c->person);
        member(out, ",\"name\":", c->name);
        buf_printf(out, ",\"role\":\"%s\",\"device\":\"%016llx\",\"incarnation\":%u", role_name(c->role),
                   (unsigned long long)c->device, c->inc);
        member(out, ",\"frame\":", c->frame);
        member(out, ",\"version\":", c->version);
        buf_printf(out, ",\"kind\":%d", c->kind);
        member(out, ",\"field\":", c->label);
        member(out, ",\"old\":", c->old);
        member(out, ",\"new\":", c->value);
        buf_put_z(out, "}\n");
        return;
    }
    if (c->field == 0)
        return;
    buf_printf(out, "%.16s  %.*s  ", when.n ? when.p : "                ", STR_ARG(c->name));
    if (c->device)
        buf_printf(out, "%016llx", (unsigned long long)c->device);
    else
        buf_put_z(out, "centre          ");
    buf_printf(out, "  %.*s: ", STR_ARG(c->label));
    if (c->old.p)
        buf_printf(out, "%.*s > ", STR_ARG(str_sub(c->old, 0, 200)));
    buf_printf(out, "%.*s\n", STR_ARG(c->value.p ? str_sub(c->value, 0, 200) : STR("(nothing)")));
}

enum err work_history_tell(const struct work_ask *q, struct str code, bool json, struct buf *out,
                           struct diag *d)
{
    struct work_household h;
    struct work_change *list = NULL;
    uint32_t count = 0;
    char room[64];
    struct str after = STR("");
    enum err rc = work_household_of(q, code, &h, d);
    do {
        struct arena_mark mark = arena_mark(q->a);
        if (!rc)
            rc = work_history(q, h.row, after, PAGE, &list, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++)
            change_tell(out, &list[i], json);
        if (!rc && count) {
            struct str key = str_sub(list[count - 1].key, 0, sizeof room);
            memcpy(room, key.p, key.n);
            after = (struct str){room, key.n};
        }
        arena_release(q->a, mark);
    } while (!rc && count == PAGE && !out->failed);
    return rc ? rc : out->failed;
}

static void overview_json(struct buf *out, const struct work_overview *o)
{
    const struct {
        const char *name;
        uint64_t n;
    } counts[] = {{"households", o->households},
                  {"due", o->due},
                  {"done", o->done},
                  {"red", o->red},
                  {"yellow", o->yellow},
                  {"blue", o->blue},
                  {"unknown", o->unknown},
                  {"none", o->none},
                  {"leads", o->leads},
                  {"leads_red", o->leads_red},
                  {"overdue", o->overdue},
                  {"due_soon", o->due_soon},
                  {"conflicts", o->conflicts},
                  {"disagreements", o->disagreements},
                  {"rejected", o->rejected},
                  {"village", o->waits[0]},
                  {"township", o->waits[1]},
                  {"county", o->waits[2]},
                  {"quarantined", o->quarantined},
                  {"silent", o->silent}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        buf_printf(out, "%s\"%s\":%llu", i ? "," : "{", counts[i].name, (unsigned long long)counts[i].n);
    member(out, ",\"missing\":", o->missing);
    buf_put_z(out, "}\n");
}

enum err work_overview_tell(const struct work_ask *q, bool json, struct buf *out, struct diag *d)
{
    struct work_overview o;
    struct work_area *areas = NULL;
    struct work_cause *causes = NULL;
    uint32_t area_count = 0, cause_count = 0;
    enum err rc = work_overview(q, &o, d);
    if (rc)
        return rc;
    if (json) {
        overview_json(out, &o);
        return out->failed;
    }
    rc = work_areas(q, 0, &areas, &area_count, d);
    if (!rc)
        rc = work_causes(q, &causes, &cause_count, d);
    if (rc)
        return rc;
    buf_printf(out,
               "households %llu   this month due %llu, visited %llu\n"
               "newest visits: red %llu, yellow %llu, blue %llu, cannot judge %llu\n"
               "open leads %llu   overdue %llu   due within 7 days %llu\n"
               "waiting for village %llu, township %llu, county %llu   sent back %llu\n"
               "in dispute %llu   findings that differ %llu   set apart %llu   silent handhelds %llu\n",
               (unsigned long long)o.households, (unsigned long long)o.due, (unsigned long long)o.done,
               (unsigned long long)o.red, (unsigned long long)o.yellow, (unsigned long long)o.blue,
               (unsigned long long)o.unknown, (unsigned long long)o.leads, (unsigned long long)o.overdue,
               (unsigned long long)o.due_soon, (unsigned long long)o.waits[0], (unsigned long long)o.waits[1],
               (unsigned long long)o.waits[2], (unsigned long long)o.rejected,
               (unsigned long long)o.conflicts, (unsigned long long)o.disagreements,
               (unsigned long long)o.quarantined, (unsigned long long)o.silent);
    for (uint32_t i = 0; i < area_count; i++)
        buf_printf(out, "%-14.*s  %llu households  %llu/%llu visited  red %llu yellow %llu  overdue %llu\n",
                   STR_ARG(areas[i].area), (unsigned long long)areas[i].households,
                   (unsigned long long)areas[i].done, (unsigned long long)areas[i].due,
                   (unsigned long long)areas[i].red, (unsigned long long)areas[i].yellow,
                   (unsigned long long)areas[i].overdue);
    for (uint32_t i = 0; i < cause_count; i++)
        buf_printf(out, "%-10.*s  %-8.*s  %llu households\n", STR_ARG(causes[i].rule),
                   STR_ARG(causes[i].severity), (unsigned long long)causes[i].households);
    return out->failed;
}
