/* Leads at the centre: departments' alerts become leads with evidence and a deadline, handhelds bring steps
 * and what was seen; lists of leads, of clocks, and of whom to visit first. Clocks are computed, never
 * stored.
 */
#include "server/leads.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/parts.h"

#define PAGE 256

struct reading {
    struct desk *k;
    struct clock_days days;
    struct str area; /* that the days are for */
    const struct pack *pack;
    bool pack_looked;
    int64_t today;
};

static int64_t day_of(struct str at)
{
    struct civil c;
    return civil_read_date(str_sub(at, 0, 10), &c) ? civil_days(c.year, c.month, c.day) : LEAD_NEVER;
}

/* The newest pack that is live sets the days. */
static enum err days_for(struct reading *r, struct str area, struct diag *d)
{
    struct published *list = NULL;
    uint32_t count = 0;
    struct form_findings none = {0};
    struct diag quiet = {0};
    enum err rc = r->pack_looked ? ERR_OK : published_all(r->k->st, r->k->a, &list, &count, d);
    for (uint32_t i = count; !rc && !r->pack && i-- > 0;) {
        struct str bytes;
        if (str_eq_z(list[i].kind, "pack") && str_eq_z(list[i].state, "live") &&
            cstore_object(r->k->st, r->k->a, list[i].hash, NULL, &bytes, NULL) == ERR_OK &&
            pack_load_alone(r->k->a, bytes, &r->pack, &none, &quiet))
            r->pack = NULL;
    }
    r->pack_looked = true;
    clock_days_for(r->pack, area, r->today, &r->days);
    return rc;
}

static enum err child_take(struct reading *r, const struct record_row *row, struct lead_record *out,
                           struct diag *d)
{
    struct record x;
    enum err rc = record_unpack(r->k->a, row->row, row->packed, &x, d);
    if (rc || record_deleted(&x))
        return rc;
    if (row->kind == ROW_STEP) {
        struct str result = record_value(&x, STEP_RESULT), next = record_value(&x, STEP_FOLLOW_UP);
        struct str category = record_value(&x, STEP_CATEGORY);
        lead_times_note(&out->times, record_value(&x, STEP_CODE), record_value(&x, STEP_AT));
        out->result = result.n ? result : out->result;
        out->category = category.n ? category : out->category;
        out->follow_up = next.n ? next : out->follow_up;
    } else if (row->kind == ROW_INDICATOR) {
        struct buf b;
        buf_init(&b, 1u << 20);
        buf_put_str(&b, out->seen);
        buf_put_z(&b, out->seen.n ? "; " : "");
        buf_put_str(&b, record_value(&x, INDICATOR_NAME));
        buf_put_char(&b, ' ');
        buf_put_str(&b, record_value(&x, INDICATOR_RESULT));
        struct str note = record_value(&x, INDICATOR_NOTE);
        if (note.n)
            buf_printf(&b, " (%.*s)", STR_ARG(note));
        out->seen = b.failed ? out->seen : arena_str(r->k->a, buf_str(&b));
        rc = out->seen.p ? ERR_OK : ERR_NOMEM;
        buf_free(&b);
    }
    return rc;
}

static enum err lead_read(struct reading *r, const struct record_row *row, struct lead_record *out,
                          struct diag *d)
{
    struct record x;
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    enum err rc = record_unpack(r->k->a, row->row, row->packed, &x, d);
    if (rc)
        return rc;
    *out = (struct lead_record){.row = row->row,
                                .number = row->number,
                                .household = row->household,
                                .deleted = record_deleted(&x),
                                .area = row->area.p ? row->area : STR(""),
                                .source = record_value(&x, LEAD_SOURCE),
                                .opened = record_value(&x, LEAD_OPENED),
                                .indicators = record_value(&x, LEAD_INDICATORS),
                                .seen = STR(""),
                                .result = STR(""),
                                .category = STR(""),
                                .follow_up = STR("")};
    lead_times_init(&out->times);
    (void)lead_channel_read(record_value(&x, LEAD_CHANNEL), &out->times.channel);
    lead_times_note(&out->times, STR("lead"), out->opened);
    lead_times_note(&out->times, STR("deadline"), record_value(&x, LEAD_DEADLINE));
    do {
        rc = cstore_records(r->k->st, r->k->a, RECORDS_OF_PARENT, row->row, 0, after, PAGE, &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            after = rows[i].number;
            rc = child_take(r, &rows[i], out, d);
        }
    } while (!rc && count == PAGE);
    if (!rc)
        rc = days_for(r, out->area, d);
    if (!rc)
        lead_clocks(&out->times, &r->days, r->today, out->clocks);
    return rc;
}

static int64_t today_of(struct desk *k)
{
    struct civil c = civil_at(k->seam->wall_ms(k->seam->self), county_zone(k));
    return civil_days(c.year, c.month, c.day);
}

static enum err leads_walk(struct desk *k, enum record_by by, struct row_id key,
                           enum err (*take)(void *self, const struct lead_record *l, struct diag *d),
                           void *self, struct diag *d)
{
    struct reading r = {.k = k, .today = today_of(k)};
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    enum err rc = ERR_OK;
    do {
        rc = cstore_records(k->st, k->a, by, key, ROW_LEAD, after, PAGE, &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct lead_record l;
            after = rows[i].number;
            rc = lead_read(&r, &rows[i], &l, d);
            if (!rc && !l.deleted)
                rc = take(self, &l, d);
        }
    } while (!rc && count == PAGE);
    return rc;
}

enum err leads_each(struct desk *k, enum err (*take)(void *self, const struct lead_record *l, struct diag *d),
                    void *self, struct diag *d)
{
    return leads_walk(k, RECORDS_OF_KIND, (struct row_id){0}, take, self, d);
}

enum err leads_of(struct desk *k, struct row_id household,
                  enum err (*take)(void *self, const struct lead_record *l, struct diag *d), void *self,
                  struct diag *d)
{
    return leads_walk(k, RECORDS_OF_HOUSEHOLD, household, take, self, d);
}

/* ---- whom to visit first ---- */

static enum err newest_visit(struct desk *k, struct row_id household, struct queue_entry *q,
                             struct row_id *visit_out, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    enum err rc = ERR_OK;
    do {
        rc = cstore_records(k->st, k->a, RECORDS_OF_HOUSEHOLD, household, ROW_VISIT, after, PAGE, &rows,
                            &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct record r;
            after = rows[i].number;
            rc = record_unpack(k->a, rows[i].row, rows[i].packed, &r, d);
            int64_t day = rc ? LEAD_NEVER : day_of(record_value(&r, VISIT_ENDED));
            if (day != LEAD_NEVER && day >= q->place.last_visit) {
                q->place.last_visit = day;
                q->place.level = record_value(&r, VISIT_LEVEL);
                *visit_out = rows[i].row;
            }
        }
    } while (!rc && count == PAGE);
    return rc;
}

static enum err groups_of(struct reading *r, struct row_id visit, uint32_t *out, struct diag *d)
{
    struct desk *k = r->k;
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    enum err rc = ERR_OK;
    do {
        rc = cstore_records(k->st, k->a, RECORDS_OF_PARENT, visit, ROW_FINDING, after, PAGE, &rows, &count,
                            d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct record x;
            after = rows[i].number;
            rc = record_unpack(k->a, rows[i].row, rows[i].packed, &x, d);
            if (!rc && str_eq_z(record_value(&x, FINDING_STATE), "hit"))
                *out |= pack_must_visit(r->pack, record_value(&x, FINDING_RULE));
        }
    } while (!rc && count == PAGE);
    return rc;
}

static enum err place_of_leads(struct reading *r, struct row_id household, struct queue_place *q,
                               struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    enum err rc = ERR_OK;
    do {
        rc = cstore_records(r->k->st, r->k->a, RECORDS_OF_PARENT, household, ROW_LEAD, after, PAGE, &rows,
                            &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct lead_record l;
            after = rows[i].number;
            rc = lead_read(r, &rows[i], &l, d);
            if (rc || l.deleted || !lead_times_open(&l.times))
                continue;
            q->lead_open = true;
            for (int c = 0; c < CLOCKS; c++)
                q->lead_overdue = q->lead_overdue || l.clocks[c].state == CLOCK_OVERDUE;
        }
    } while (!rc && count == PAGE);
    return rc;
}

static enum err assigned(struct desk *k, struct row_id household, int64_t *due_out, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    struct record r;
    enum err rc = cstore_records(k->st, k->a, RECORDS_OF_PARENT, household, ROW_ASSIGNMENT, 0, 1, &rows,
                                 &count, d);
    if (!rc && count)
        rc = record_unpack(k->a, rows[0].row, rows[0].packed, &r, d);
    if (!rc && count)
        *due_out = day_of(record_value(&r, ASSIGNMENT_DUE));
    return rc;
}

static enum err entry_read(struct reading *r, const struct record_row *row, struct queue_entry *q,
                           struct diag *d)
{
    struct record x;
    struct row_id visit = {0};
    *q = (struct queue_entry){
        .place = {.level = STR(""), .last_visit = LEAD_NEVER, .assigned_due = LEAD_NEVER}};
    enum err rc = record_unpack(r->k->a, row->row, row->packed, &x, d);
    if (rc)
        return rc;
    q->deleted = record_deleted(&x);
    q->code = record_value(&x, HOUSEHOLD_CODE);
    q->name = record_value(&x, HOUSEHOLD_NAME);
    q->area = record_value(&x, HOUSEHOLD_AREA);
    rc = newest_visit(r->k, row->row, q, &visit, d);
    if (!rc && !row_id_none(visit))
        rc = days_for(r, q->area, d);
    if (!rc && !row_id_none(visit))
        rc = groups_of(r, visit, &q->place.groups, d);
    if (!rc)
        rc = place_of_leads(r, row->row, &q->place, d);
    if (!rc)
        rc = assigned(r->k, row->row, &q->place.assigned_due, d);
    q->priority = queue_priority(&q->place, r->today);
    return rc;
}

static int by_priority(const void *a, const void *b)
{
    const struct queue_entry *x = a, *y = b;
    if (x->priority != y->priority)
        return x->priority > y->priority ? -1 : 1;
    return str_cmp(x->code, y->code);
}

enum err queue_read(struct desk *k, struct queue_entry **out, uint32_t *count_out, struct diag *d)
{
    struct reading r = {.k = k, .today = today_of(k)};
    VEC(struct queue_entry) list = {0};
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    enum err rc = ERR_OK;
    do {
        rc = cstore_records(k->st, k->a, RECORDS_OF_KIND, (struct row_id){0}, ROW_HOUSEHOLD, after, PAGE,
                            &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct queue_entry *q = vec_push(k->a, &list);
            after = rows[i].number;
            rc = q ? entry_read(&r, &rows[i], q, d) : ERR_NOMEM;
            list.count -= !rc && q->deleted;
        }
    } while (!rc && count == PAGE);
    if (!rc && list.count)
        qsort(list.at, list.count, sizeof *list.at, by_priority);
    *out = list.at;
    *count_out = list.count;
    return rc;
}

/* ---- departments' alerts and what the centre itself does ---- */

enum err lead_find(struct desk *k, struct row_id household, struct str source, struct str opened,
                   struct row_id *out, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    do {
        enum err rc = cstore_records(k->st, k->a, RECORDS_OF_PARENT, household, ROW_LEAD, after, PAGE, &rows,
                                     &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct record r;
            after = rows[i].number;
            rc = record_unpack(k->a, rows[i].row, rows[i].packed, &r, d);
            if (!rc && str_eq(record_value(&r, LEAD_SOURCE), source) &&
                str_eq(record_value(&r, LEAD_OPENED), opened)) {
                *out = rows[i].row;
                return ERR_OK;
            }
        }
        if (rc)
            return rc;
    } while (count == PAGE);
    return ERR_NOT_FOUND;
}

enum err lead_step_note(struct desk *k, uint64_t number, struct str code, struct str note,
                        const struct work_by *by, struct diag *d)
{
    struct row_id lead = {0};
    struct record_row row;
    enum lead_step step;
    char at[40], person[24];
    int64_t now = k->seam->wall_ms(k->seam->self);
    struct civil c = civil_at(now, county_zone(k));
    struct cases cases = {.st = k->st, .a = k->a};
    if (!lead_step_read(code, &step) || step == STEP_LEAD)
        return diag_set(d, ERR_USAGE,
                        "A step is one of forward, visit, compare, notice, notice_end, township, county, "
                        "announce, record, help, remove, close.");
    enum err rc = lead_step_by(step, by->role, d);
    if (!rc && step == STEP_REMOVE)
        rc = removal_check(note, civil_days(c.year, c.month, c.day), d);
    if (rc)
        return rc;
    rc = cstore_begin(k->st, d);
    if (!rc)
        rc = cstore_record_of_number(k->st, number, &lead, d);
    if (!rc)
        rc = cstore_record(k->st, k->a, lead, &row, d);
    bool theirs = rc || (row.area.p ? str_starts(row.area, by->area) : by->area.n == 0);
    if (rc == ERR_NOT_FOUND || (!rc && (row.kind != ROW_LEAD || !theirs)))
        rc = diag_set(d, ERR_NOT_FOUND, "There is no lead %llu here; see: doorstepd list DIR leads",
                      (unsigned long long)number);
    snprintf(person, sizeof person, "%u", by->person);
    const struct row_birth birth = {.kind = ROW_STEP, .parent = lead};
    const struct case_field fields[] = {{STEP_CODE, code},
                                        {STEP_AT, {at, civil_write(&c, at)}},
                                        {STEP_PERSON, str_of(person)},
                                        {STEP_REMARK, note.n ? note : STR_NONE}};
    struct case_edit edit = {.fields = fields,
                             .field_count = sizeof fields / sizeof *fields,
                             .birth = &birth,
                             .person = by->person,
                             .role = by->role};
    if (!rc)
        rc = cases_edit(&cases, k->epoch, now, &edit, d);
    if (!rc)
        rc = cstore_audit(k->st, now, by->name, STR("lead-step"), code, d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    return rc;
}
