/* Acts on households (household.h): each finds the household, looks whether it may be changed, changes it and
 * notes the event, in one transaction.
 */
#include "server/household.h"

#include "server/store_work.h"

#define PAGE 256
#define INTO_STEPS_MAX 32

struct acting {
    struct desk *k;
    const struct work_by *by;
    struct cases cases;
    int64_t now;
};

struct one {
    struct record_row row;
    struct record record;
};

static enum err find(struct acting *x, struct str code, struct one *out, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    enum err rc = cstore_records_coded(x->k->st, x->k->a, ROW_HOUSEHOLD, code, &rows, &count, d);
    if (!rc && count == 0)
        return diag_set(d, ERR_NOT_FOUND, "No household has the code %.*s.", STR_ARG(code));
    if (!rc) {
        out->row = rows[0];
        rc = record_unpack(x->k->a, rows[0].row, rows[0].packed, &out->record, d);
    }
    if (!rc && x->by->area.n && (!out->row.area.p || !str_starts(out->row.area, x->by->area)))
        rc = diag_set(d, ERR_DENIED, "Household %.*s is outside your area %.*s.", STR_ARG(code),
                      STR_ARG(x->by->area));
    return rc;
}

static enum err live(const struct one *h, struct str code, struct diag *d)
{
    struct str status = record_value(&h->record, HOUSEHOLD_STATUS);
    return status.n ? diag_set(d, ERR_STATE, "Household %.*s is %.*s; nothing more is changed about it.",
                               STR_ARG(code), STR_ARG(status))
                    : ERR_OK;
}

static bool role_may(uint8_t role)
{
    return role == ROLE_SUPERVISOR || role == ROLE_COUNTY || role == ROLE_ADMIN;
}

static enum err begin(struct acting *x, struct desk *k, const struct work_by *by, struct str reason,
                      struct diag *d)
{
    *x = (struct acting){.k = k, .by = by, .cases = {.st = k->st, .a = k->a}};
    x->now = k->seam->wall_ms(k->seam->self);
    if (!role_may(by->role))
        return diag_set(d, ERR_DENIED, "Supervisors and the county change the register; your role is %s.",
                        role_name(by->role));
    if (str_trim(reason).n == 0 || reason.n > CSTORE_TEXT_MAX)
        return diag_set(d, ERR_USAGE, "Say why, in at most %d bytes.", CSTORE_TEXT_MAX);
    return cstore_begin(k->st, d);
}

static enum err finish(struct acting *x, enum err rc, const char *what, struct str about, struct diag *d)
{
    if (!rc)
        rc = cstore_audit(x->k->st, x->now, x->by->name, str_of(what), about, d);
    if (!rc)
        rc = cstore_commit(x->k->st, d);
    cstore_rollback(x->k->st);
    return rc;
}

static enum err set(struct acting *x, struct row_id row, const struct case_field *fields, uint32_t count,
                    struct diag *d)
{
    struct case_edit edit = {
        .row = row, .fields = fields, .field_count = count, .person = x->by->person, .role = x->by->role};
    return cases_edit(&x->cases, x->k->epoch, x->now, &edit, d);
}

struct event_words {
    const char *code;
    struct row_id other;
    struct str remark, members, before;
};

static enum err event(struct acting *x, struct row_id household, const struct event_words *e, struct diag *d)
{
    unsigned char id[ROW_ID_SIZE];
    char hex[2 * ROW_ID_SIZE], at[40];
    struct buf person;
    struct civil when = civil_at(x->now, zone_utc());
    const struct row_birth birth = {.kind = ROW_EVENT, .parent = household};
    row_id_write(e->other, id);
    hex_write(id, sizeof id, hex);
    buf_init(&person, 24);
    buf_put_u64(&person, x->by->person);
    const struct case_field fields[] = {{EVENT_CODE, str_of(e->code)},
                                        {EVENT_AT, {at, civil_write(&when, at)}},
                                        {EVENT_PERSON, buf_str(&person)},
                                        {EVENT_OTHER,
                                         row_id_none(e->other) ? STR_NONE : (struct str){hex, sizeof hex}},
                                        {EVENT_REMARK, e->remark},
                                        {EVENT_MEMBERS, e->members.n ? e->members : STR_NONE},
                                        {EVENT_BEFORE, e->before.n ? e->before : STR_NONE}};
    struct case_edit edit = {
        .birth = &birth, .fields = fields, .field_count = 7, .person = x->by->person, .role = x->by->role};
    enum err rc = cases_edit(&x->cases, x->k->epoch, x->now, &edit, d);
    buf_free(&person);
    return rc;
}

static bool code_holds(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ')
            return false;
    return s.n > 0 && s.n <= 64 && utf8_valid(s);
}

static enum err code_free(struct acting *x, struct str code, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    if (!code_holds(code))
        return diag_set(d, ERR_USAGE, "A household's code has 1 to 64 bytes and no spaces.");
    enum err rc = cstore_records_coded(x->k->st, x->k->a, ROW_HOUSEHOLD, code, &rows, &count, d);
    return rc      ? rc
           : count ? diag_set(d, ERR_EXISTS, "There is a household %.*s already.", STR_ARG(code))
                   : ERR_OK;
}

/* ---- corrections and moves ---- */

enum err household_correct(struct desk *k, const struct work_by *by, struct str code, struct str field,
                           struct str value, struct str reason, struct diag *d)
{
    static const struct {
        const char *name;
        uint32_t field;
    } fields[] = {{"code", HOUSEHOLD_CODE},         {"name", HOUSEHOLD_NAME},
                  {"address", HOUSEHOLD_ADDRESS},   {"category", HOUSEHOLD_CATEGORY},
                  {"position", HOUSEHOLD_POSITION}, {"phone", HOUSEHOLD_PHONE}};
    struct acting x;
    struct one h = {0};
    uint32_t number = 0;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        number = str_eq_z(field, fields[i].name) ? fields[i].field : number;
    if (!number)
        return diag_set(d, ERR_USAGE,
                        "What is corrected is code, name, address, category, position or phone.");
    if (value.n > 1000)
        return diag_set(d, ERR_USAGE, "The text is too long.");
    enum err rc = begin(&x, k, by, reason, d);
    if (!rc)
        rc = find(&x, code, &h, d);
    if (!rc)
        rc = live(&h, code, d);
    if (!rc && number == HOUSEHOLD_CODE && !str_eq(value, code))
        rc = code_free(&x, value, d);
    const struct event_words words = {.code = "correct",
                                      .remark = reason,
                                      .before = rc ? STR("") : record_value(&h.record, number)};
    if (!rc)
        rc = set(&x, h.row.row, &(struct case_field){number, value.n ? value : STR("")}, 1, d);
    if (!rc)
        rc = event(&x, h.row.row, &words, d);
    return finish(&x, rc, "household corrected", code, d);
}

static enum err area_holds(struct str area, struct diag *d)
{
    for (size_t i = 0; i < area.n; i++) {
        char c = area.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
              c == '.'))
            return diag_set(d, ERR_USAGE, "An area code has digits and letters.");
    }
    return area.n && area.n <= 64 ? ERR_OK : diag_set(d, ERR_USAGE, "An area code has 1 to 64 characters.");
}

static enum err move_to(struct acting *x, const struct one *h, struct str area, struct str reason,
                        struct diag *d)
{
    const struct event_words words = {.code = "move",
                                      .remark = reason,
                                      .before = h->row.area.p ? h->row.area : STR("")};
    enum err rc = event(x, h->row.row, &words, d);
    return rc ? rc : set(x, h->row.row, &(struct case_field){HOUSEHOLD_AREA, area}, 1, d);
}

enum err household_move(struct desk *k, const struct work_by *by, struct str code, struct str area,
                        struct str reason, struct diag *d)
{
    struct acting x;
    struct one h = {0};
    enum err rc = area_holds(area, d);
    if (rc)
        return rc;
    rc = begin(&x, k, by, reason, d);
    if (!rc)
        rc = find(&x, code, &h, d);
    if (!rc)
        rc = live(&h, code, d);
    if (!rc)
        rc = move_to(&x, &h, area, reason, d);
    return finish(&x, rc, "household moved", code, d);
}

/* ---- split and merge ---- */

enum err household_split(struct desk *k, const struct work_by *by, const struct household_split *s,
                         struct diag *d)
{
    struct acting x;
    struct one h = {0};
    const struct row_birth birth = {.kind = ROW_HOUSEHOLD};
    enum err rc = s->area.n ? area_holds(s->area, d) : ERR_OK;
    if (rc)
        return rc;
    if (str_trim(s->new_name).n == 0 || s->new_name.n > 1000)
        return diag_set(d, ERR_USAGE, "The new household needs a name.");
    rc = begin(&x, k, by, s->reason, d);
    if (!rc)
        rc = find(&x, s->code, &h, d);
    if (!rc)
        rc = live(&h, s->code, d);
    if (!rc)
        rc = code_free(&x, s->new_code, d);
    const struct case_field fields[] = {{HOUSEHOLD_CODE, s->new_code},
                                        {HOUSEHOLD_AREA, s->area.n             ? s->area
                                                         : rc || !h.row.area.p ? STR("")
                                                                               : h.row.area},
                                        {HOUSEHOLD_NAME, s->new_name}};
    struct case_edit edit = {
        .birth = &birth, .fields = fields, .field_count = 3, .person = by->person, .role = by->role};
    if (!rc)
        rc = cases_edit(&x.cases, k->epoch, x.now, &edit, d);
    const struct event_words went = {.code = "split",
                                     .other = edit.row,
                                     .remark = s->reason,
                                     .members = s->members};
    const struct event_words came = {.code = "split-off",
                                     .other = rc ? (struct row_id){0} : h.row.row,
                                     .remark = s->reason,
                                     .members = s->members};
    if (!rc)
        rc = event(&x, h.row.row, &went, d);
    if (!rc)
        rc = event(&x, edit.row, &came, d);
    return finish(&x, rc, "household split", s->code, d);
}

/* What the one is merged into must not, over however many steps, be the one itself. */
static enum err no_circle(struct acting *x, const struct one *from, struct row_id into, struct diag *d)
{
    for (int i = 0; i < INTO_STEPS_MAX && !row_id_none(into); i++) {
        struct record_row row;
        struct record r;
        unsigned char bytes[ROW_ID_SIZE];
        if (row_id_same(into, from->row.row))
            return diag_set(d, ERR_STATE, "The two households would stand for each other.");
        enum err rc = cstore_record(x->k->st, x->k->a, into, &row, d);
        if (!rc)
            rc = record_unpack(x->k->a, into, row.packed, &r, d);
        if (rc)
            return rc;
        into = (struct row_id){0};
        if (hex_read(record_value(&r, HOUSEHOLD_INTO), bytes, sizeof bytes))
            (void)row_id_read((struct str){(const char *)bytes, sizeof bytes}, &into);
    }
    return ERR_OK;
}

enum err household_merge(struct desk *k, const struct work_by *by, struct str code, struct str into,
                         struct str reason, struct diag *d)
{
    struct acting x;
    struct one h = {0}, to = {0};
    unsigned char id[ROW_ID_SIZE];
    char hex[2 * ROW_ID_SIZE];
    enum err rc = begin(&x, k, by, reason, d);
    if (!rc)
        rc = find(&x, code, &h, d);
    if (!rc)
        rc = find(&x, into, &to, d);
    if (!rc)
        rc = live(&h, code, d);
    if (!rc)
        rc = live(&to, into, d);
    if (!rc)
        rc = no_circle(&x, &h, to.row.row, d);
    bool elsewhere = !rc && h.row.area.p && to.row.area.p && !str_eq(h.row.area, to.row.area);
    if (!rc && elsewhere) /* whoever works for the one that stays sees what was known of the other */
        rc = move_to(&x, &h, to.row.area, reason, d);
    row_id_write(to.row.row, id);
    hex_write(id, sizeof id, hex);
    const struct case_field fields[] = {{HOUSEHOLD_STATUS, STR("merged")},
                                        {HOUSEHOLD_INTO, {hex, sizeof hex}}};
    const struct event_words gone = {.code = "merge", .other = to.row.row, .remark = reason};
    const struct event_words came = {.code = "merged", .other = h.row.row, .remark = reason};
    if (!rc)
        rc = set(&x, h.row.row, fields, 2, d);
    if (!rc)
        rc = event(&x, h.row.row, &gone, d);
    if (!rc)
        rc = event(&x, to.row.row, &came, d);
    return finish(&x, rc, "household merged", code, d);
}

static enum err status_set(struct desk *k, const struct work_by *by, struct str code, struct str status,
                           const char *what, struct str reason, struct diag *d)
{
    struct acting x;
    struct one h = {0};
    const struct case_field fields[] = {{HOUSEHOLD_STATUS, status}, {HOUSEHOLD_INTO, STR("")}};
    const struct event_words words = {.code = what, .remark = reason};
    enum err rc = begin(&x, k, by, reason, d);
    if (!rc)
        rc = find(&x, code, &h, d);
    struct str now = rc ? STR("") : record_value(&h.record, HOUSEHOLD_STATUS);
    if (!rc && status.n && now.n)
        rc = live(&h, code, d);
    if (!rc && !status.n && (!now.n || str_eq_z(now, "erased")))
        rc = diag_set(d, ERR_STATE, "Household %.*s is %s.", STR_ARG(code), now.n ? "erased" : "not closed");
    if (!rc)
        rc = set(&x, h.row.row, fields, 2, d);
    if (!rc)
        rc = event(&x, h.row.row, &words, d);
    return finish(&x, rc, status.n ? "household closed" : "household reopened", code, d);
}

enum err household_close(struct desk *k, const struct work_by *by, struct str code, struct str reason,
                         struct diag *d)
{
    return status_set(k, by, code, STR("closed"), "close", reason, d);
}

enum err household_reopen(struct desk *k, const struct work_by *by, struct str code, struct str reason,
                          struct diag *d)
{
    return status_set(k, by, code, STR(""), "reopen", reason, d);
}

/* ---- what was done ---- */

static enum err event_read(const struct work_ask *q, const struct record_row *row, struct household_event *e,
                           struct diag *d)
{
    struct record r;
    struct record_row other;
    struct person p;
    struct civil c;
    struct row_id id;
    unsigned char bytes[ROW_ID_SIZE];
    uint64_t person = 0;
    enum err rc = record_unpack(q->a, row->row, row->packed, &r, d);
    if (rc)
        return rc;
    *e = (struct household_event){.code = record_value(&r, EVENT_CODE),
                                  .other = STR(""),
                                  .remark = record_value(&r, EVENT_REMARK),
                                  .members = record_value(&r, EVENT_MEMBERS),
                                  .before = record_value(&r, EVENT_BEFORE),
                                  .name = STR("")};
    if (str_to_u64(record_value(&r, EVENT_PERSON), &person))
        e->person = (uint32_t)person;
    if (e->person && cstore_person(q->st, q->a, e->person, &p, NULL) == ERR_OK)
        e->name = p.name;
    if (civil_read(record_value(&r, EVENT_AT), &c))
        e->at_ms = civil_instant_ms(&c, zone_utc());
    if (hex_read(record_value(&r, EVENT_OTHER), bytes, sizeof bytes) &&
        row_id_read((struct str){(const char *)bytes, sizeof bytes}, &id) &&
        cstore_record(q->st, q->a, id, &other, NULL) == ERR_OK && other.code.p)
        e->other = other.code;
    return ERR_OK;
}

enum err household_events(const struct work_ask *q, struct row_id household, struct household_event **out,
                          uint32_t *count_out, struct diag *d)
{
    VEC(struct household_event) list = {0};
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    enum err rc = ERR_OK;
    do {
        rc = cstore_records(q->st, q->a, RECORDS_OF_PARENT, household, ROW_EVENT, after, PAGE, &rows, &count,
                            d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct household_event *e = vec_push(q->a, &list);
            after = rows[i].number;
            rc = e ? event_read(q, &rows[i], e, d)
                   : diag_set(d, ERR_NOMEM, "Out of memory while reading what was done.");
        }
    } while (!rc && count == PAGE);
    *out = list.at;
    *count_out = list.count;
    return rc;
}
