/* Leads on the handheld: rows below a household, steps and indicators below a lead. They belong to no visit,
 * so they leave with the next sync whatever becomes of the interview.
 */
#include "agent/attach.h"
#include "agent/leads.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/store_impl.h"
#include "platform/base/civil.h"

struct lead_list {
    VEC(struct lead) list;
    struct lead *lead; /* whose children are being read */
};

static enum err take_child(struct store *s, struct arena *a, const struct row *row, const struct record *r,
                           void *self, struct diag *d)
{
    struct lead *l = ((struct lead_list *)self)->lead;
    (void)s;
    if (row->kind == ROW_STEP) {
        lead_times_note(&l->times, record_value(r, STEP_CODE), record_value(r, STEP_AT));
        struct str result = record_value(r, STEP_RESULT), category = record_value(r, STEP_CATEGORY);
        l->result = result.n ? result : l->result;
        l->category = category.n ? category : l->category;
        return ERR_OK;
    }
    struct lead_seen *slot = vec_push(a, &l->seen);
    if (!slot)
        return diag_set(d, ERR_NOMEM, "no memory for the lead");
    *slot = (struct lead_seen){.name = record_value(r, INDICATOR_NAME),
                               .result = record_value(r, INDICATOR_RESULT),
                               .note = record_value(r, INDICATOR_NOTE)};
    return ERR_OK;
}

static enum err take_lead(struct store *s, struct arena *a, const struct row *row, const struct record *r,
                          void *self, struct diag *d)
{
    struct lead_list *out = self;
    struct row household;
    struct record h;
    struct lead *l = vec_push(a, &out->list);
    if (!l)
        return diag_set(d, ERR_NOMEM, "no memory for the leads");
    *l = (struct lead){.key = row->key,
                       .source = record_value(r, LEAD_SOURCE),
                       .opened = record_value(r, LEAD_OPENED),
                       .deadline = record_value(r, LEAD_DEADLINE),
                       .indicators = record_value(r, LEAD_INDICATORS),
                       .note = record_value(r, LEAD_NOTE),
                       .household = row->household};
    lead_times_init(&l->times);
    (void)lead_channel_read(record_value(r, LEAD_CHANNEL), &l->times.channel);
    lead_times_note(&l->times, STR("lead"), l->opened);
    lead_times_note(&l->times, STR("deadline"), l->deadline);
    enum err rc = row_by_key(s, row->household, &household, d);
    if (!rc)
        rc = record_load(s, a, &household, &h, d);
    if (!rc) {
        l->code = record_value(&h, HOUSEHOLD_CODE);
        l->area = record_value(&h, HOUSEHOLD_AREA);
    }
    return rc;
}

enum err store_leads(struct store *s, struct arena *a, int64_t household, struct lead **list_out,
                     uint32_t *count_out, struct diag *d)
{
    struct lead_list out = {0};
    enum err rc =
        each_record(s, a,
                    household ? "SELECT " ROW_COLUMNS
                                " FROM row WHERE household = ? AND kind = 10 AND deleted = 0 ORDER BY key"
                              : "SELECT " ROW_COLUMNS
                                " FROM row WHERE kind = 10 AND deleted = 0 AND household > ? ORDER BY key",
                    household, take_lead, &out, d);
    for (uint32_t i = 0; !rc && i < out.list.count; i++) {
        out.lead = &out.list.at[i];
        rc = each_record(s, a,
                         "SELECT " ROW_COLUMNS
                         " FROM row WHERE parent = ? AND kind IN (12, 13) AND deleted = 0 ORDER BY key",
                         out.lead->key, take_child, &out, d);
    }
    if (!rc) {
        *list_out = out.list.at;
        *count_out = out.list.count;
    }
    return rc;
}

static enum err make(struct store *s, struct counters *c, struct arena *a, const struct row *parent,
                     enum row_kind kind, const struct row_value *values, uint32_t count, int64_t *key_out,
                     struct diag *d)
{
    struct row row = {.kind = kind,
                      .parent = parent->key,
                      .household = parent->kind == ROW_HOUSEHOLD ? parent->key : parent->household};
    enum err rc = row_insert(s, c, &row, NULL, d);
    if (!rc)
        rc = row_born(s, c, &row, parent->id, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct own_change x = {.row = row.key,
                               .field = values[i].field,
                               .seen = c->cursor,
                               .value = values[i].value};
        if (values[i].value.n)
            rc = change_append(s, c, &x, d);
    }
    if (!rc)
        rc = row_merged(s, a, row.key, d);
    *key_out = row.key;
    return rc;
}

/* In one transaction: the row below `parent`, which is of the kind given. */
static enum err make_below(struct store *s, int64_t parent_key, enum row_kind parent_kind, enum row_kind kind,
                           const struct row_value *values, uint32_t count, int64_t *key_out, struct diag *d)
{
    struct txn t = {0};
    struct counters c;
    struct arena a;
    struct row parent = {0};
    int64_t key = 0;
    arena_init(&a, STORE_SCRATCH_MAX);
    enum err rc = work_begin(s, &t, &c, d);
    if (!rc)
        rc = row_by_key(s, parent_key, &parent, d);
    if (rc == ERR_NOT_FOUND || (!rc && parent.kind != parent_kind))
        rc = diag_set(d, ERR_NOT_FOUND, "there is no such lead: list them with `doorstep lead list`");
    if (!rc)
        rc = make(s, &c, &a, &parent, kind, values, count, &key, d);
    if (!rc)
        rc = counters_save(s, &c, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    arena_free(&a);
    if (!rc)
        *key_out = key;
    return rc;
}

static struct str person_text(const struct store *s, char room[static 24])
{
    snprintf(room, 24, "%u", s->id.by.person);
    return s->id.by.person ? str_of(room) : STR("");
}

/* "" for 0: in no visit. */
static enum err visit_text(struct store *s, struct arena *a, int64_t visit, struct str *out, struct diag *d)
{
    struct row row;
    unsigned char id[ROW_ID_SIZE];
    *out = STR("");
    if (!visit)
        return ERR_OK;
    enum err rc = row_by_key(s, visit, &row, d);
    if (rc)
        return rc;
    row_id_write(row.id, id);
    *out = hex_text(a, id, sizeof id);
    return out->p ? ERR_OK : diag_set(d, ERR_NOMEM, "no memory for the lead");
}

static enum err now_text(struct store *s, struct arena *a, struct str given, struct str *out, struct diag *d)
{
    *out = given.n ? given : iso_now(s, a);
    return out->p ? ERR_OK : diag_set(d, ERR_NOMEM, "no memory for the lead");
}

enum err store_lead_open(struct store *s, int64_t household, const struct lead *l, int64_t *key_out,
                         struct diag *d)
{
    struct arena a;
    struct str opened;
    char person[24];
    arena_init(&a, 1u << 20);
    enum err rc = now_text(s, &a, l->opened, &opened, d);
    const struct row_value values[] = {{LEAD_CHANNEL, str_of(lead_channel_name(l->times.channel))},
                                       {LEAD_OPENED, opened},
                                       {LEAD_DEADLINE, l->deadline},
                                       {LEAD_SOURCE, l->source},
                                       {LEAD_INDICATORS, l->indicators},
                                       {LEAD_NOTE, l->note},
                                       {LEAD_PERSON, person_text(s, person)}};
    if (!rc)
        rc = make_below(s, household, ROW_HOUSEHOLD, ROW_LEAD, values, sizeof values / sizeof *values,
                        key_out, d);
    arena_free(&a);
    return rc;
}

enum err store_lead_step(struct store *s, int64_t lead, const struct lead_step_taken *t, struct diag *d)
{
    struct arena a;
    struct str at, visit = STR("");
    char person[24];
    int64_t key;
    enum err rc = lead_step_by(t->step, s->id.by.role, d);
    if (rc)
        return rc;
    arena_init(&a, 1u << 20);
    rc = now_text(s, &a, t->at, &at, d);
    if (!rc)
        rc = visit_text(s, &a, t->visit, &visit, d);
    const struct row_value values[] = {{STEP_CODE, str_of(lead_step_about(t->step)->code)},
                                       {STEP_AT, at},
                                       {STEP_PERSON, person_text(s, person)},
                                       {STEP_REMARK, t->note},
                                       {STEP_RESULT, t->result},
                                       {STEP_CATEGORY, t->category},
                                       {STEP_FOLLOW_UP, t->follow_up},
                                       {STEP_OF_VISIT, visit},
                                       {STEP_PHOTO, t->photo}};
    if (!rc)
        rc = make_below(s, lead, ROW_LEAD, ROW_STEP, values, sizeof values / sizeof *values, &key, d);
    if (!rc && t->photo.n)
        rc = attach_link_one(s, key, t->photo, d);
    arena_free(&a);
    return rc;
}

enum err store_lead_indicator(struct store *s, int64_t lead, const struct lead_seen *i, struct diag *d)
{
    struct arena a;
    struct str at, visit = STR("");
    char person[24];
    int64_t key;
    arena_init(&a, 1u << 20);
    enum err rc = now_text(s, &a, STR(""), &at, d);
    if (!rc)
        rc = visit_text(s, &a, i->visit, &visit, d);
    const struct row_value values[] = {{INDICATOR_NAME, i->name},
                                       {INDICATOR_RESULT, i->result},
                                       {INDICATOR_NOTE, i->note},
                                       {INDICATOR_PHOTO, i->photo},
                                       {INDICATOR_POSITION, i->position},
                                       {INDICATOR_AT, at},
                                       {INDICATOR_PERSON, person_text(s, person)},
                                       {INDICATOR_OF_VISIT, visit}};
    if (!rc)
        rc = make_below(s, lead, ROW_LEAD, ROW_INDICATOR, values, sizeof values / sizeof *values, &key, d);
    if (!rc && i->photo.n)
        rc = attach_link_one(s, key, i->photo, d);
    arena_free(&a);
    return rc;
}

/* ---- days, and whom to visit first ---- */

enum err store_county_zone(struct store *s, struct arena *a, struct str *name_out, struct diag *d)
{
    struct published *list;
    uint32_t count = 0;
    enum err rc = store_published(s, a, &list, &count, d);
    *name_out = STR("");
    for (uint32_t i = 0; !rc && !name_out->n && i < count; i++)
        if (str_eq_z(list[i].kind, "zone"))
            *name_out = list[i].version;
    return rc;
}

void store_zone(struct store *s, const struct zone *zone)
{
    s->zone = zone;
}

enum err store_clock_pack(struct store *s, struct arena *a, const struct pack **out, struct diag *d)
{
    struct published *list;
    uint32_t count = 0;
    struct form_findings none = {0};
    enum err rc = store_published(s, a, &list, &count, d);
    *out = NULL;
    for (uint32_t i = 0; !rc && !*out && i < count; i++) {
        struct buf bytes;
        struct diag quiet = {0};
        if (!str_eq_z(list[i].kind, "pack") || !list[i].held)
            continue;
        buf_init(&bytes, WORK_FILE_MAX);
        if (store_object_get(s, list[i].hash, &bytes, &quiet) ||
            pack_load_alone(a, buf_str(&bytes), out, &none, &quiet))
            *out = NULL;
        buf_free(&bytes);
    }
    return rc;
}

struct groups {
    const struct pack *pack;
    uint32_t bits;
};

static enum err take_group(struct store *s, struct arena *a, const struct row *row, const struct record *r,
                           void *self, struct diag *d)
{
    struct groups *g = self;
    (void)s, (void)a, (void)row, (void)d;
    if (str_eq_z(record_value(r, FINDING_STATE), "hit"))
        g->bits |= pack_must_visit(g->pack, record_value(r, FINDING_RULE));
    return ERR_OK;
}

struct queued {
    struct household h;
    uint32_t priority;
};

static enum err priority_of(struct store *s, struct arena *a, const struct household *h, int64_t today,
                            const struct pack *pack, uint32_t *out, struct diag *d)
{
    static const char findings[] =
        "SELECT " ROW_COLUMNS " FROM row WHERE kind = 5 AND deleted = 0 AND parent ="
        " (SELECT key FROM row WHERE household = ? AND kind = 4 AND state = 1 AND deleted = 0"
        " ORDER BY key DESC LIMIT 1)";
    struct queue_place q = {.level = h->last_level, .last_visit = LEAD_NEVER, .assigned_due = LEAD_NEVER};
    struct civil c;
    struct lead *leads;
    struct clock_days days;
    struct clock clocks[CLOCKS];
    uint32_t count = 0;
    if (civil_read_date(str_sub(h->last_visit, 0, 10), &c))
        q.last_visit = civil_days(c.year, c.month, c.day);
    struct groups groups = {.pack = pack};
    enum err rc = each_record(s, a, findings, h->key, take_group, &groups, d);
    q.groups = groups.bits;
    if (!rc)
        rc = store_leads(s, a, h->key, &leads, &count, d);
    clock_days_for(pack, h->area, today, &days);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (!lead_times_open(&leads[i].times))
            continue;
        q.lead_open = true;
        lead_clocks(&leads[i].times, &days, today, clocks);
        for (int k = 0; k < CLOCKS; k++)
            q.lead_overdue = q.lead_overdue || clocks[k].state == CLOCK_OVERDUE;
    }
    *out = queue_priority(&q, today);
    return rc;
}

static int by_priority(const void *a, const void *b)
{
    const struct queued *x = a, *y = b;
    if (x->priority != y->priority)
        return x->priority > y->priority ? -1 : 1;
    return str_cmp(x->h.code, y->h.code);
}

enum err store_queue(struct store *s, struct arena *a, int64_t today, struct household *list, uint32_t count,
                     struct diag *d)
{
    const struct pack *pack = NULL;
    struct queued *all = ARENA_ARRAY(a, struct queued, count + 1u);
    enum err rc = all ? store_clock_pack(s, a, &pack, d) : diag_set(d, ERR_NOMEM, "no memory for the queue");
    for (uint32_t i = 0; !rc && i < count; i++) {
        all[i].h = list[i];
        rc = priority_of(s, a, &list[i], today, pack, &all[i].priority, d);
    }
    if (rc)
        return rc;
    qsort(all, count, sizeof *all, by_priority);
    for (uint32_t i = 0; i < count; i++)
        list[i] = all[i].h;
    return ERR_OK;
}
