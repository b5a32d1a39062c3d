/* See reports.h. */
#include "server/reports.h"

#include "platform/base/json.h"
#include "server/leads.h"
#include "server/store_reports.h"

#define HOUR_MS 3600000LL
#define NAME_MAX_BYTES 200

static struct str date_of(int64_t ms, char room[static 16])
{
    return (struct str){room, civil_write_date(ms / 86400000, room)};
}

static enum err household_of(struct desk *k, struct str code, struct row_id *row_out, struct str *area_out,
                             struct str *name_out, struct diag *d)
{
    struct record_row *rows = NULL;
    struct record r;
    uint32_t count = 0;
    enum err rc = cstore_records_coded(k->st, k->a, ROW_HOUSEHOLD, code, &rows, &count, d);
    if (!rc && count == 0)
        return ERR_NOT_FOUND;
    if (!rc)
        rc = record_unpack(k->a, rows[0].row, rows[0].packed, &r, d);
    if (!rc && (record_deleted(&r) || record_value(&r, HOUSEHOLD_STATUS).n))
        return ERR_NOT_FOUND;
    if (!rc) {
        *row_out = rows[0].row;
        *area_out = rows[0].area.p ? rows[0].area : STR("");
        *name_out = record_value(&r, HOUSEHOLD_NAME);
    }
    return rc;
}

struct lead_words {
    enum lead_channel channel;
    struct str source, note, indicators, opened, deadline;
};

static enum err lead_write(struct desk *k, struct row_id household, const struct lead_words *l,
                           uint32_t person, uint8_t role, int64_t now, struct row_id *row_out, struct diag *d)
{
    struct cases c = {.st = k->st, .a = k->a};
    struct buf number;
    const struct row_birth birth = {.kind = ROW_LEAD, .parent = household};
    buf_init(&number, 24);
    buf_put_u64(&number, person);
    const struct case_field fields[] = {{LEAD_CHANNEL, str_of(lead_channel_name(l->channel))},
                                        {LEAD_OPENED, l->opened},
                                        {LEAD_DEADLINE, l->deadline.n ? l->deadline : STR_NONE},
                                        {LEAD_SOURCE, l->source.n ? l->source : STR_NONE},
                                        {LEAD_INDICATORS, l->indicators.n ? l->indicators : STR_NONE},
                                        {LEAD_NOTE, l->note.n ? l->note : STR_NONE},
                                        {LEAD_PERSON, person ? buf_str(&number) : STR_NONE}};
    struct case_edit edit = {
        .birth = &birth, .fields = fields, .field_count = 7, .person = person, .role = role};
    enum err rc = cases_edit(&c, k->epoch, now, &edit, d);
    buf_free(&number);
    if (!rc)
        *row_out = edit.row;
    return rc;
}

/* ---- the public page ---- */

static enum err report_check(const struct self_report *r, struct diag *d)
{
    const struct {
        struct str value;
        size_t max;
    } parts[] = {{r->code, 64},
                 {r->name, NAME_MAX_BYTES},
                 {r->place, NAME_MAX_BYTES},
                 {r->phone, 40},
                 {r->text, REPORT_TEXT_MAX}};
    if (str_trim(r->name).n == 0 || str_trim(r->text).n == 0)
        return diag_set(d, ERR_USAGE, "A name, and what has happened, are needed.");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].value.n > parts[i].max || (parts[i].value.n && !utf8_valid(parts[i].value)))
            return diag_set(d, ERR_USAGE, "This is too long, or no text; at most %d bytes of words.",
                            REPORT_TEXT_MAX);
    }
    return ERR_OK;
}

static enum err not_too_many(struct desk *k, const struct self_report *r, int64_t now, struct diag *d)
{
    uint32_t from = 0, waiting = 0;
    enum err rc = cstore_report_counts(k->st, r->from, now - HOUR_MS, &from, &waiting, d);
    if (!rc && (from >= REPORTS_AN_HOUR || waiting >= REPORTS_WAITING_MAX))
        rc = diag_set(d, ERR_BUSY,
                      "Too many reports come in just now. Please call the office, or try again in an hour.");
    return rc;
}

/* Code and name of one household: nobody else knows both. Once a day for each. */
static enum err lead_at_once(struct desk *k, const struct self_report *r, int64_t now, bool *done_out,
                             struct diag *d)
{
    struct row_id household = {0}, lead;
    struct str area, name;
    char day[16];
    struct lead_words words = {.channel = CHANNEL_SELF,
                               .source = STR("self"),
                               .note = r->text,
                               .opened = date_of(now, day)};
    *done_out = false;
    enum err rc = r->code.n ? household_of(k, str_trim(r->code), &household, &area, &name, d) : ERR_NOT_FOUND;
    if (rc)
        return rc == ERR_NOT_FOUND ? ERR_OK : rc;
    if (!str_eq(str_trim(name), str_trim(r->name)))
        return ERR_OK;
    rc = lead_find(k, household, words.source, words.opened, &lead, d);
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    *done_out = rc == ERR_NOT_FOUND; /* a second one of the day waits for a clerk */
    return *done_out ? lead_write(k, household, &words, 0, ROLE_HOUSEHOLD, now, &lead, d) : ERR_OK;
}

enum err report_take(struct desk *k, const struct self_report *r, struct diag *d)
{
    int64_t now = k->seam->wall_ms(k->seam->self);
    bool done = false;
    struct report_row row = {.at_ms = now,
                             .code = str_trim(r->code),
                             .name = str_trim(r->name),
                             .place = str_trim(r->place),
                             .phone = str_trim(r->phone),
                             .text = r->text,
                             .from = r->from};
    enum err rc = report_check(r, d);
    if (!rc)
        rc = cstore_begin(k->st, d);
    if (!rc)
        rc = not_too_many(k, r, now, d);
    if (!rc)
        rc = lead_at_once(k, r, now, &done, d);
    if (!rc && done) /* only counted: the lead has the words */
        row = (struct report_row){.at_ms = now, .from = r->from};
    if (!rc)
        rc = cstore_report_put(k->st, &row, done, d);
    if (!rc)
        rc = cstore_audit(k->st, now, STR("public"), STR("reported"), done ? row.code : STR("waits"), d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    return rc;
}

/* ---- clerks ---- */

enum err reports_waiting(struct desk *k, uint64_t after, uint32_t limit, struct report_row **out,
                         uint32_t *count_out, struct diag *d)
{
    return cstore_reports(k->st, k->a, after, limit ? limit : WORK_PAGE_MAX, out, count_out, d);
}

static enum err report_find(struct desk *k, uint64_t n, struct report_row *out, struct diag *d)
{
    struct report_row *list = NULL;
    uint32_t count = 0;
    enum err rc = n ? cstore_reports(k->st, k->a, n - 1, 1, &list, &count, d) : ERR_OK;
    if (!rc && (count == 0 || list[0].n != n))
        rc = diag_set(d, ERR_NOT_FOUND, "There is no report %llu that waits.", (unsigned long long)n);
    if (!rc)
        *out = list[0];
    return rc;
}

static enum err household_for(struct desk *k, const struct work_by *by, struct str code, struct row_id *out,
                              struct diag *d)
{
    struct str area, name;
    enum err rc = household_of(k, code, out, &area, &name, d);
    if (rc == ERR_NOT_FOUND)
        return diag_set(d, rc, "No household of the register has the code %.*s.", STR_ARG(code));
    if (!rc && !str_starts(area, by->area))
        rc = diag_set(d, ERR_DENIED, "Household %.*s is outside your area %.*s.", STR_ARG(code),
                      STR_ARG(by->area));
    return rc;
}

enum err report_attach(struct desk *k, const struct work_by *by, uint64_t n, struct str code, struct diag *d)
{
    struct report_row r;
    struct row_id household = {0}, lead;
    char day[16];
    int64_t now = k->seam->wall_ms(k->seam->self);
    enum err rc = cstore_begin(k->st, d);
    if (!rc)
        rc = report_find(k, n, &r, d);
    if (!rc)
        rc = household_for(k, by, code, &household, d);
    const struct lead_words words = {.channel = CHANNEL_SELF,
                                     .source = STR("self"),
                                     .note = rc ? STR("") : r.text,
                                     .opened = rc ? STR("") : date_of(r.at_ms, day)};
    if (!rc)
        rc = lead_write(k, household, &words, by->person, by->role, now, &lead, d);
    if (!rc)
        rc = cstore_report_settle(k->st, n, d);
    if (!rc)
        rc = cstore_audit(k->st, now, by->name, STR("report attached"), code, d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    return rc;
}

enum err report_drop(struct desk *k, const struct work_by *by, uint64_t n, struct str why, struct diag *d)
{
    struct report_row r;
    int64_t now = k->seam->wall_ms(k->seam->self);
    if (str_trim(why).n == 0)
        return diag_set(d, ERR_USAGE, "Say why the report is put aside.");
    enum err rc = cstore_begin(k->st, d);
    if (!rc)
        rc = report_find(k, n, &r, d);
    if (!rc)
        rc = cstore_report_settle(k->st, n, d);
    if (!rc)
        rc = cstore_audit(k->st, now, by->name, STR("report dropped"), str_sub(why, 0, CSTORE_TEXT_MAX), d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    return rc;
}

enum err lead_open(struct desk *k, const struct work_by *by, const struct lead_opening *l,
                   uint64_t *number_out, struct diag *d)
{
    struct row_id household = {0}, lead = {0};
    struct record_row row;
    struct civil c;
    const struct json *indicators = NULL;
    char day[16];
    int64_t now = k->seam->wall_ms(k->seam->self);
    struct lead_words words = {.channel = l->channel,
                               .source = l->source,
                               .note = l->note,
                               .indicators = l->indicators,
                               .opened = l->opened.n ? l->opened : date_of(now, day),
                               .deadline = l->deadline};
    if ((l->opened.n && !civil_read_date(l->opened, &c)) ||
        (l->deadline.n && !civil_read_date(l->deadline, &c)))
        return diag_set(d, ERR_USAGE, "A day is written as 2026-11-05.");
    if (l->note.n > REPORT_TEXT_MAX || l->source.n > NAME_MAX_BYTES)
        return diag_set(d, ERR_USAGE, "At most %d bytes of words and %d of source.", REPORT_TEXT_MAX,
                        NAME_MAX_BYTES);
    enum err rc = l->indicators.n ? json_read(k->a, l->indicators, &indicators, d) : ERR_OK;
    if (!rc && indicators && indicators->type != JSON_OBJECT)
        rc = diag_set(d, ERR_USAGE, "Evidence is a JSON object, such as {\"med_self\": 23000}.");
    if (!rc)
        rc = cstore_begin(k->st, d);
    if (!rc)
        rc = household_for(k, by, l->code, &household, d);
    if (!rc)
        rc = lead_write(k, household, &words, by->person, by->role, now, &lead, d);
    if (!rc)
        rc = cstore_record(k->st, k->a, lead, &row, d);
    if (!rc)
        rc = cstore_audit(k->st, now, by->name, STR("lead opened"), l->code, d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    if (!rc)
        *number_out = row.number;
    return rc;
}

/* ---- the route ---- */

static enum err post_report(struct call *c, struct diag *d)
{
    struct http_form form = {0};
    struct desk k = {.seam = c->server->seam, .st = c->st, .a = c->a};
    struct counters now;
    struct str type = http_header_find(c->request->headers, c->request->header_count, "Content-Type");
    enum err rc = http_form_read(c->a, type, c->request->body, &form, d);
    const struct self_report r = {.code = http_form_get(&form, "code"),
                                  .name = http_form_get(&form, "name"),
                                  .place = http_form_get(&form, "place"),
                                  .phone = http_form_get(&form, "phone"),
                                  .text = http_form_get(&form, "text"),
                                  .from = c->request->client};
    if (!rc)
        rc = cstore_county(c->st, c->a, NULL, &k.epoch, &now, d);
    if (rc)
        return rc;
    pthread_mutex_lock(&c->server->write_turn);
    rc = report_take(&k, &r, d);
    pthread_mutex_unlock(&c->server->write_turn);
    if (rc == ERR_BUSY)
        c->refused_status = 429;
    if (rc)
        return rc;
    reply_header(c->reply, "Content-Type", STR("application/json"));
    buf_put_z(&c->reply->body, "{\"taken\":true}\n");
    return ERR_OK;
}

static const struct route report_route[] = {{HTTP_POST, "/v1/report", AUTH_NONE, post_report, 0}};
const struct route_table report_routes = {report_route, 1};
