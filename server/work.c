/* What people work from, read (work.h). Lists come from lines (lines.c), a household's history from the log.
 */
#include "server/work.h"

#include <stdlib.h>

#include "platform/base/map.h"
#include "server/lines.h"

#define SOON_DAYS 7
#define DAY_MS 86400000LL
#define KEY_MAX 500
#define RECORDS_PAGE 256

static const char *const state_names[] = {"received", "has_issues", "rejected", "approved"};
static const char *const level_names[] = {"village", "township", "county"};
static const char *const queue_names[] = {"mine",       "due",           "conflicts", "rejected",
                                          "quarantine", "disagreements", "quality",   "leads"};

static bool name_read(const char *const *names, uint32_t count, struct str name, uint32_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!str_eq_z(name, names[i]))
            continue;
        *out = i;
        return true;
    }
    return false;
}

const char *review_state_name(enum review_state s)
{
    return (unsigned)s < REVIEW_STATES ? state_names[s] : "";
}

const char *review_level_name(enum review_level l)
{
    return (unsigned)l < REVIEW_LEVELS ? level_names[l] : "";
}

bool review_state_read(struct str name, enum review_state *out)
{
    uint32_t i = 0;
    bool known = name_read(state_names, REVIEW_STATES, name, &i);
    *out = known ? (enum review_state)i : *out;
    return known;
}

bool review_level_read(struct str name, enum review_level *out)
{
    uint32_t i = 0;
    bool known = name_read(level_names, REVIEW_LEVELS, name, &i);
    *out = known ? (enum review_level)i : *out;
    return known;
}

bool review_level_of(uint8_t role, enum review_level *out)
{
    bool any = role == ROLE_CADRE || role == ROLE_SUPERVISOR || role == ROLE_COUNTY || role == ROLE_ADMIN;
    if (any)
        *out = role == ROLE_CADRE        ? REVIEW_VILLAGE
               : role == ROLE_SUPERVISOR ? REVIEW_TOWNSHIP
                                         : REVIEW_COUNTY;
    return any;
}

const char *work_queue_name(enum work_queue q)
{
    return (unsigned)q < WORK_QUEUES ? queue_names[q] : "";
}

bool work_queue_read(struct str name, enum work_queue *out)
{
    uint32_t i = 0;
    bool known = name_read(queue_names, WORK_QUEUES, name, &i);
    *out = known ? (enum work_queue)i : *out;
    return known;
}

/* ---- keys: "NUMBER:PLACE" ---- */

static struct str key_text(struct arena *a, uint64_t number, struct str place)
{
    struct buf b;
    buf_init(&b, KEY_MAX);
    buf_put_u64(&b, number);
    buf_put_char(&b, ':');
    buf_put_str(&b, place);
    struct str s = b.failed ? STR_NONE : arena_str(a, buf_str(&b));
    buf_free(&b);
    return s;
}

static struct str key_day(struct arena *a, uint64_t number, int64_t day)
{
    struct buf b;
    buf_init(&b, 32);
    buf_put_i64(&b, day);
    struct str s = key_text(a, number, buf_str(&b));
    buf_free(&b);
    return s;
}

static enum err key_read(struct str key, uint64_t *number_out, struct str *place_out, struct diag *d)
{
    struct str number;
    *number_out = 0;
    *place_out = STR("");
    if (key.n == 0)
        return ERR_OK;
    if (key.n > KEY_MAX || !str_split(&key, ':', &number) || !key.p || !str_to_u64(number, number_out))
        return diag_set(d, ERR_USAGE, "This is no place in the list. Begin again from its first page.");
    *place_out = key;
    return ERR_OK;
}

static enum err key_read_day(struct str key, uint64_t *number_out, int64_t *day_out, struct diag *d)
{
    struct str place;
    enum err rc = key_read(key, number_out, &place, d);
    *day_out = INT64_MIN;
    if (!rc && place.n && !str_to_i64(place, day_out))
        rc = diag_set(d, ERR_USAGE, "This is no place in the list. Begin again from its first page.");
    return rc;
}

static struct str person_name(const struct work_ask *q, uint32_t number)
{
    struct person p;
    return number && cstore_person(q->st, q->a, number, &p, NULL) == ERR_OK ? p.name : STR("");
}

static struct str lease_name(struct arena *a, const char *kind, uint64_t number)
{
    struct buf b;
    buf_init(&b, 64);
    buf_put_z(&b, kind);
    buf_put_char(&b, ' ');
    buf_put_u64(&b, number);
    struct str s = b.failed ? STR_NONE : arena_str(a, buf_str(&b));
    buf_free(&b);
    return s;
}

static enum err lease_look(const struct work_ask *q, struct work_item *item, struct diag *d)
{
    struct lease_row l;
    enum err rc = cstore_lease(q->st, q->a, item->lease, q->now_ms, &l, d);
    if (!rc) {
        item->held_by = l.person;
        item->held_name = l.name;
    }
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

static struct work_item item_new(void)
{
    return (struct work_item){.lease = STR(""),
                              .code = STR(""),
                              .name = STR(""),
                              .area = STR(""),
                              .form = STR(""),
                              .level = STR(""),
                              .person = STR(""),
                              .what = STR(""),
                              .why = STR(""),
                              .held_name = STR("")};
}

/* ---- queues ---- */

struct items {
    VEC(struct work_item) list;
};

static enum err visit_item(const struct work_ask *q, const struct visit_line *l, struct items *out,
                           struct diag *d)
{
    struct work_item item = item_new();
    item.key = key_text(q->a, l->number, l->area);
    item.lease = lease_name(q->a, "visit", l->number);
    item.number = l->number;
    item.row = l->row;
    item.household = l->household;
    item.code = l->code;
    item.name = l->name;
    item.area = l->area;
    item.form = l->form_id;
    item.level = l->level;
    item.person = person_name(q, l->person);
    item.why = l->why;
    item.day = l->day;
    item.round = l->round;
    item.flags = l->flags;
    item.waits = (enum visit_waits)l->waits;
    item.state = (enum review_state)l->state;
    enum err rc = lease_look(q, &item, d);
    struct work_item *slot = rc ? NULL : vec_push(q->a, &out->list);
    if (slot)
        *slot = item;
    return rc ? rc : slot ? ERR_OK : ERR_NOMEM;
}

/* Pages are read until enough is there that nobody else holds. */
static enum err visits_page(const struct work_ask *q, enum visit_list which, int64_t waits, bool free_only,
                            struct str after, uint32_t limit, struct items *out, struct diag *d)
{
    struct line_page p = {.area = q->area, .upto = waits, .limit = limit};
    struct visit_line *lines = NULL;
    uint32_t count = 0;
    enum err rc = key_read(after, &p.after, &p.after_text, d);
    do {
        if (!rc)
            rc = cstore_visit_lines(q->st, q->a, which, &p, &lines, &count, d);
        for (uint32_t i = 0; !rc && i < count && out->list.count < limit; i++) {
            p.after = lines[i].number;
            p.after_text = lines[i].area;
            rc = visit_item(q, &lines[i], out, d);
            uint32_t held = rc ? 0 : out->list.at[out->list.count - 1].held_by;
            if (free_only && held && held != q->person)
                out->list.count--;
        }
    } while (!rc && count == limit && out->list.count < limit);
    return rc;
}

static enum err mine_page(const struct work_ask *q, struct str after, uint32_t limit, struct items *out,
                          struct diag *d)
{
    enum review_level level;
    return review_level_of(q->role, &level)
               ? visits_page(q, VISITS_WAITING, (int64_t)level, true, after, limit, out, d)
               : ERR_OK;
}

static struct work_item house_item(const struct work_ask *q, const struct house_line *l)
{
    struct work_item item = item_new();
    item.number = l->number;
    item.row = l->row;
    item.household = l->row;
    item.lease = lease_name(q->a, "household", l->number);
    item.code = l->code;
    item.name = l->name;
    item.area = l->area;
    item.level = l->level;
    item.person = person_name(q, l->person);
    item.count = l->conflicts;
    return item;
}

static enum err houses_page(const struct work_ask *q, enum house_list which, struct str after, uint32_t limit,
                            struct items *out, struct diag *d)
{
    struct line_page p = {.area = q->area, .upto = q->today + SOON_DAYS, .limit = limit};
    struct house_line *lines = NULL;
    uint32_t count = 0;
    enum err rc = which == HOUSES_NEXT ? key_read_day(after, &p.after, &p.after_day, d)
                                       : key_read(after, &p.after, &p.after_text, d);
    if (!rc)
        rc = cstore_house_lines(q->st, q->a, which, &p, &lines, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct work_item *slot = vec_push(q->a, &out->list);
        if (!slot)
            return ERR_NOMEM;
        *slot = house_item(q, &lines[i]);
        bool clock = lines[i].clock && lines[i].clock == lines[i].next;
        slot->day = which == HOUSES_NEXT ? lines[i].next : WORK_NEVER;
        slot->what = which != HOUSES_NEXT ? STR("") : clock ? lines[i].clock_code : STR("visit");
        slot->key = which == HOUSES_NEXT ? key_day(q->a, lines[i].number, lines[i].next)
                                         : key_text(q->a, lines[i].number, lines[i].area);
        rc = lease_look(q, slot, d);
    }
    return rc;
}

static enum err leads_page(const struct work_ask *q, struct str after, uint32_t limit, struct items *out,
                           struct diag *d)
{
    struct line_page p = {.area = q->area, .limit = limit};
    struct lead_line *lines = NULL;
    uint32_t count = 0;
    enum err rc = key_read_day(after, &p.after, &p.after_day, d);
    if (!rc)
        rc = cstore_lead_lines(q->st, q->a, &p, &lines, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct house_line house;
        struct work_item *slot = vec_push(q->a, &out->list);
        if (!slot)
            return ERR_NOMEM;
        *slot = item_new();
        slot->key = key_day(q->a, lines[i].number, lines[i].next);
        slot->lease = lease_name(q->a, "lead", lines[i].number);
        slot->number = lines[i].number;
        slot->row = lines[i].row;
        slot->household = lines[i].household;
        slot->code = lines[i].code;
        slot->name = lines[i].name;
        slot->area = lines[i].area;
        slot->what = lines[i].channel;
        slot->why = lines[i].source;
        slot->form = lines[i].clock_code;
        slot->day = lines[i].next;
        rc = cstore_house_line(q->st, q->a, lines[i].household, &house, d);
        if (!rc) {
            slot->level = house.level;
            slot->person = person_name(q, house.person);
        }
        rc = rc == ERR_NOT_FOUND || !rc ? lease_look(q, slot, d) : rc;
    }
    return rc;
}

static enum err frames_page(const struct work_ask *q, struct str after, uint32_t limit, struct items *out,
                            struct diag *d)
{
    struct quarantined *list = NULL;
    uint32_t count = 0;
    bool behind = after.n == 0;
    enum err rc = q->area.n ? ERR_OK : cstore_quarantine(q->st, q->a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count && out->list.count < limit; i++) {
        const struct batch_row *b = &list[i].batch;
        struct buf name;
        buf_init(&name, 80);
        buf_printf(&name, "%016llx.%u.%llu.%u", (unsigned long long)b->device, b->inc,
                   (unsigned long long)b->batch_seq, b->copy);
        struct str text = arena_str(q->a, buf_str(&name));
        buf_free(&name);
        if (!behind) {
            behind = str_eq(text, after);
            continue;
        }
        struct work_item *slot = text.p ? vec_push(q->a, &out->list) : NULL;
        if (!slot)
            return ERR_NOMEM;
        *slot = item_new();
        slot->key = text;
        slot->what = text;
        slot->why = b->reason;
        slot->level = str_of(err_action(b->cause)->name);
        slot->day = b->received_ms / DAY_MS;
    }
    return rc;
}

enum err work_queue_page(const struct work_ask *q, enum work_queue which, struct str after, uint32_t limit,
                         struct work_item **out, uint32_t *count_out, struct diag *d)
{
    struct items items = {0};
    enum err rc = ERR_OK;
    limit = limit == 0 || limit > WORK_PAGE_MAX ? WORK_PAGE_MAX : limit;
    switch (which) {
    case QUEUE_MINE: rc = mine_page(q, after, limit, &items, d); break;
    case QUEUE_DUE: rc = houses_page(q, HOUSES_NEXT, after, limit, &items, d); break;
    case QUEUE_CONFLICTS: rc = houses_page(q, HOUSES_IN_CONFLICT, after, limit, &items, d); break;
    case QUEUE_REJECTED:
        rc = visits_page(q, VISITS_WAITING, WAITS_DEVICE, false, after, limit, &items, d);
        break;
    case QUEUE_QUARANTINE: rc = frames_page(q, after, limit, &items, d); break;
    case QUEUE_DISAGREEMENTS: rc = visits_page(q, VISITS_DIFFERING, 0, false, after, limit, &items, d); break;
    case QUEUE_QUALITY: rc = visits_page(q, VISITS_DOUBTFUL, 0, false, after, limit, &items, d); break;
    default: rc = leads_page(q, after, limit, &items, d);
    }
    if (rc)
        return rc == ERR_NOMEM ? diag_set(d, rc, "Out of memory while reading a queue.") : rc;
    *out = items.list.at;
    *count_out = items.list.count;
    return ERR_OK;
}

static enum err tally_of(const struct work_ask *q, const char *what, int64_t from, int64_t upto,
                         uint64_t *out, struct diag *d)
{
    struct tally_sum *sums = NULL;
    uint32_t count = 0;
    int64_t n = 0;
    enum err rc = cstore_tallies(q->st, q->a, q->area, str_of(what), from, upto, false, &sums, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++)
        n += sums[i].n;
    *out = n > 0 ? (uint64_t)n : 0;
    return rc;
}

enum err work_queue_count(const struct work_ask *q, enum work_queue which, uint32_t *count_out,
                          bool *more_out, struct diag *d)
{
    static const char *const waits[] = {"waits:0", "waits:1", "waits:2"};
    static const char *const tallies[] = {[QUEUE_DUE] = "next",          [QUEUE_CONFLICTS] = "conflict",
                                          [QUEUE_REJECTED] = "rejected", [QUEUE_DISAGREEMENTS] = "differs",
                                          [QUEUE_QUALITY] = "doubtful",  [QUEUE_LEADS] = "lead:"};
    uint64_t n = 0;
    enum review_level level;
    enum err rc = ERR_OK;
    if (which == QUEUE_QUARANTINE) {
        struct quarantined *list = NULL;
        uint32_t count = 0;
        rc = q->area.n ? ERR_OK : cstore_quarantine(q->st, q->a, &list, &count, d);
        n = count;
    } else if (which == QUEUE_MINE) {
        rc = review_level_of(q->role, &level) ? tally_of(q, waits[level], INT64_MIN, INT64_MAX, &n, d)
                                              : ERR_OK;
    } else {
        rc = tally_of(q, tallies[which], INT64_MIN, which == QUEUE_DUE ? q->today + SOON_DAYS : INT64_MAX, &n,
                      d);
    }
    *more_out = n > WORK_COUNT_MAX;
    *count_out = *more_out ? WORK_COUNT_MAX : (uint32_t)n;
    return rc;
}

/* ---- households ---- */

static struct work_household household_of(const struct work_ask *q, const struct house_line *l)
{
    return (struct work_household){.key = STR(""),
                                   .row = l->row,
                                   .number = l->number,
                                   .code = l->code,
                                   .name = l->name,
                                   .area = l->area,
                                   .level = l->level,
                                   .status = l->status,
                                   .into = l->into_code,
                                   .person = person_name(q, l->person),
                                   .visited = l->visited,
                                   .due = l->due,
                                   .clock = l->clock,
                                   .clock_code = l->clock_code,
                                   .leads = l->leads,
                                   .conflicts = l->conflicts};
}

/* Codes first, then names; a key says which of the two walks it is in: "c" or "n" before it. */
static enum err search_walk(const struct work_ask *q, enum house_list which, const char *mark,
                            struct str text, struct str after, uint32_t limit, struct work_household *list,
                            uint32_t *count, struct diag *d)
{
    struct line_page p = {.area = q->area, .text = text, .limit = limit - *count};
    struct house_line *lines = NULL;
    uint32_t n = 0;
    enum err rc = key_read(after, &p.after, &p.after_text, d);
    if (!rc)
        rc = cstore_house_lines(q->st, q->a, which, &p, &lines, &n, d);
    for (uint32_t i = 0; !rc && i < n; i++) {
        struct buf key;
        struct str place = which == HOUSES_BY_AREA   ? lines[i].area
                           : which == HOUSES_BY_CODE ? lines[i].code
                                                     : lines[i].name;
        list[*count] = household_of(q, &lines[i]);
        buf_init(&key, KEY_MAX + 8);
        buf_put_z(&key, mark);
        buf_put_str(&key, key_text(q->a, lines[i].number, place));
        list[(*count)++].key = arena_str(q->a, buf_str(&key));
        buf_free(&key);
    }
    return rc;
}

enum err work_search(const struct work_ask *q, struct str text, struct str after, uint32_t limit,
                     struct work_household **out, uint32_t *count_out, struct diag *d)
{
    struct str rest = after.n ? str_sub(after, 1, after.n) : STR("");
    bool names = after.n && after.p[0] == 'n';
    uint32_t count = 0;
    enum err rc = ERR_OK;
    limit = limit == 0 || limit > WORK_PAGE_MAX ? WORK_PAGE_MAX : limit;
    struct work_household *list = ARENA_ARRAY(q->a, struct work_household, limit);
    if (!list)
        return diag_set(d, ERR_NOMEM, "Out of memory while searching.");
    text = str_trim(text);
    if (text.n == 0) {
        rc = search_walk(q, HOUSES_BY_AREA, "a", text, rest, limit, list, &count, d);
    } else {
        if (!names)
            rc = search_walk(q, HOUSES_BY_CODE, "c", text, rest, limit, list, &count, d);
        if (!rc && count < limit)
            rc = search_walk(q, HOUSES_BY_NAME, "n", text, names ? rest : STR(""), limit, list, &count, d);
    }
    *out = list;
    *count_out = count;
    return rc;
}

enum err work_household_of(const struct work_ask *q, struct str code, struct work_household *out,
                           struct diag *d)
{
    struct record_row *rows = NULL;
    struct house_line line;
    uint32_t count = 0;
    enum err rc = cstore_records_coded(q->st, q->a, ROW_HOUSEHOLD, code, &rows, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        rc = cstore_house_line(q->st, q->a, rows[i].row, &line, d);
        if (!rc && str_eq(line.code, code) && str_starts(line.area, q->area)) {
            *out = household_of(q, &line);
            return ERR_OK;
        }
        rc = rc == ERR_NOT_FOUND ? ERR_OK : rc;
    }
    return rc ? rc
              : diag_set(d, ERR_NOT_FOUND, "No household of your area has the code %.*s.", STR_ARG(code));
}

/* ---- visits ---- */

static int64_t instant_of(struct str at)
{
    struct civil c;
    return civil_read(at, &c) ? civil_instant_ms(&c, zone_utc()) : 0;
}

struct rounds {
    VEC(struct work_round) list;
};

static enum err rounds_of(const struct work_ask *q, struct row_id visit, struct rounds *out, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    enum err rc = cstore_records(q->st, q->a, RECORDS_OF_PARENT, visit, ROW_REVIEW, 0, RECORDS_PAGE, &rows,
                                 &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct record x;
        uint64_t person = 0;
        rc = record_unpack(q->a, rows[i].row, rows[i].packed, &x, d);
        if (rc || record_deleted(&x))
            continue;
        struct work_round *r = vec_push(q->a, &out->list);
        if (!r)
            return ERR_NOMEM;
        *r = (struct work_round){.row = rows[i].row,
                                 .at_ms = instant_of(record_value(&x, REVIEW_AT)),
                                 .name = record_value(&x, REVIEW_NAME),
                                 .comment = record_value(&x, REVIEW_COMMENT)};
        (void)review_state_read(record_value(&x, REVIEW_STATE), &r->state);
        (void)review_level_read(record_value(&x, REVIEW_BY_LEVEL), &r->level);
        r->person = str_to_u64(record_value(&x, REVIEW_PERSON), &person) ? (uint32_t)person : 0;
    }
    return rc;
}

struct remarks {
    VEC(struct work_remark) list;
};

static enum err remarks_of(const struct work_ask *q, struct row_id parent, struct remarks *out,
                           struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    enum err rc = cstore_records(q->st, q->a, RECORDS_OF_PARENT, parent, ROW_COMMENT, 0, RECORDS_PAGE, &rows,
                                 &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct record x;
        unsigned char id[ROW_ID_SIZE];
        uint64_t field = 0;
        rc = record_unpack(q->a, rows[i].row, rows[i].packed, &x, d);
        if (rc || record_deleted(&x))
            continue;
        struct work_remark *r = vec_push(q->a, &out->list);
        if (!r)
            return ERR_NOMEM;
        *r = (struct work_remark){.place = record_value(&x, COMMENT_PLACE),
                                  .text = record_value(&x, COMMENT_TEXT),
                                  .name = person_name(q, x.birth.person),
                                  .at_ms = instant_of(record_value(&x, COMMENT_AT))};
        if (hex_read(record_value(&x, COMMENT_ROW), id, sizeof id))
            (void)row_id_read((struct str){(const char *)id, sizeof id}, &r->row);
        r->field = str_to_u64(record_value(&x, COMMENT_FIELD), &field) ? (uint32_t)field : 0;
    }
    return rc;
}

static enum err visit_read(const struct work_ask *q, const struct visit_line *l, struct work_visit *v,
                           struct diag *d)
{
    struct record_row row;
    struct record x;
    struct form_row form;
    unsigned char hash[SHA256_SIZE];
    enum err rc = cstore_record(q->st, q->a, l->row, &row, d);
    if (!rc)
        rc = record_unpack(q->a, row.row, row.packed, &x, d);
    if (rc)
        return rc;
    *v = (struct work_visit){.row = l->row,
                             .interview = l->interview,
                             .household = l->household,
                             .number = l->number,
                             .form = l->form_id,
                             .form_version = STR(""),
                             .type = record_value(&x, VISIT_TYPE),
                             .instance = record_value(&x, VISIT_INSTANCE),
                             .person = person_name(q, l->person),
                             .level = l->level,
                             .ended = record_value(&x, VISIT_ENDED),
                             .device = l->device,
                             .inc = l->row.inc,
                             .round = l->round,
                             .flags = l->flags,
                             .waits = (enum visit_waits)l->waits,
                             .state = (enum review_state)l->state};
    if (hex_read(record_value(&x, VISIT_FORM), hash, sizeof hash) &&
        cstore_form(q->st, q->a, hash, &form, NULL) == ERR_OK)
        v->form_version = form.version;
    return ERR_OK;
}

/* Rounds of the visit, and before them those of the visits that it corrects. `lines` by arrival; a correction
 * of round n follows the one of round n - 1 of its interview. */
static enum err visit_words(const struct work_ask *q, const struct visit_line *lines, uint32_t count,
                            uint32_t at, struct work_visit *v, struct diag *d)
{
    struct rounds rounds = {0};
    struct remarks remarks = {0};
    uint32_t chain[RECORDS_PAGE], n = 0;
    uint32_t wanted = lines[at].round;
    chain[n++] = at;
    for (uint32_t i = at; i-- > 0 && wanted > 1 && n < RECORDS_PAGE;) {
        if (!row_id_same(lines[i].interview, lines[at].interview) || lines[i].round != wanted - 1)
            continue;
        chain[n++] = i;
        wanted--;
    }
    enum err rc = ERR_OK;
    for (uint32_t i = n; !rc && i-- > 0;)
        rc = rounds_of(q, lines[chain[i]].row, &rounds, d);
    if (!rc)
        rc = remarks_of(q, v->row, &remarks, d);
    if (!rc && rounds.list.count)
        rc = remarks_of(q, rounds.list.at[rounds.list.count - 1].row, &remarks, d);
    v->rounds = rounds.list.at;
    v->round_count = rounds.list.count;
    v->remarks = remarks.list.at;
    v->remark_count = remarks.list.count;
    (void)count;
    return rc;
}

enum err work_visits(const struct work_ask *q, struct row_id household, struct work_visit **out,
                     uint32_t *count_out, struct diag *d)
{
    struct visit_line *lines = NULL;
    uint32_t count = 0;
    enum err rc = cstore_visit_lines_of(q->st, q->a, household, &lines, &count, d);
    struct work_visit *list = rc ? NULL : ARENA_ARRAY(q->a, struct work_visit, count + 1);
    if (!rc && !list)
        rc = diag_set(d, ERR_NOMEM, "Out of memory while reading a household's visits.");
    for (uint32_t i = 0; !rc && i < count; i++) {
        rc = visit_read(q, &lines[i], &list[count - 1 - i], d);
        if (!rc)
            rc = visit_words(q, lines, count, i, &list[count - 1 - i], d);
    }
    *out = list;
    *count_out = rc ? 0 : count;
    return rc;
}

enum err work_visit_of(const struct work_ask *q, uint64_t number, struct work_visit *out, struct diag *d)
{
    struct row_id row;
    struct visit_line line, *lines = NULL;
    uint32_t count = 0;
    enum err rc = cstore_record_of_number(q->st, number, &row, d);
    if (!rc)
        rc = cstore_visit_line(q->st, q->a, row, &line, d);
    if (rc == ERR_NOT_FOUND || (!rc && !str_starts(line.area, q->area)))
        return diag_set(d, ERR_NOT_FOUND, "There is no visit %llu in your area.", (unsigned long long)number);
    if (!rc)
        rc = cstore_visit_lines_of(q->st, q->a, line.root, &lines, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (!row_id_same(lines[i].row, row))
            continue;
        rc = visit_read(q, &lines[i], out, d);
        return rc ? rc : visit_words(q, lines, count, i, out, d);
    }
    return rc ? rc : diag_set(d, ERR_NOT_FOUND, "There is no visit %llu.", (unsigned long long)number);
}

/* ---- overview ---- */

static void month_of(int64_t today, int64_t *from, int64_t *upto)
{
    int32_t y;
    uint8_t m, day;
    civil_from_days(today, &y, &m, &day);
    *from = today - (day - 1);
    *upto = civil_days(m == 12 ? y + 1 : y, m == 12 ? 1 : (uint8_t)(m + 1), 1) - 1;
}

static void level_add(struct str level, int64_t n, uint64_t *red, uint64_t *yellow, uint64_t *blue,
                      uint64_t *unknown, uint64_t *none)
{
    uint64_t *to = str_eq_z(level, "red")       ? red
                   : str_eq_z(level, "yellow")  ? yellow
                   : str_eq_z(level, "blue")    ? blue
                   : str_eq_z(level, "unknown") ? unknown
                                                : none;
    if (n > 0)
        *to += (uint64_t)n;
}

static enum err levels_read(const struct work_ask *q, struct work_overview *o, struct diag *d)
{
    struct tally_sum *s = NULL;
    uint32_t count = 0;
    uint64_t other = 0;
    enum err rc = cstore_tallies(q->st, q->a, q->area, STR("level:"), 0, 0, false, &s, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++)
        level_add(str_sub(s[i].what, 6, s[i].what.n), s[i].n, &o->red, &o->yellow, &o->blue, &o->unknown,
                  &o->none);
    if (!rc)
        rc = cstore_tallies(q->st, q->a, q->area, STR("lead:"), 0, 0, false, &s, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        level_add(str_sub(s[i].what, 5, s[i].what.n), s[i].n, &o->leads_red, &o->leads_yellow, &o->leads_blue,
                  &o->leads_unknown, &other);
        o->leads += s[i].n > 0 ? (uint64_t)s[i].n : 0;
    }
    return rc;
}

static enum err missing_read(const struct work_ask *q, struct work_overview *o, struct diag *d)
{
    struct tally_sum *s = NULL;
    uint32_t count = 0;
    enum err rc = cstore_tallies(q->st, q->a, q->area, STR("cause:unknown:"), 0, 0, false, &s, &count, d);
    o->missing = STR("");
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (s[i].n <= 0 || (uint64_t)s[i].n <= o->missing_count)
            continue;
        o->missing_count = (uint64_t)s[i].n;
        o->missing = str_sub(s[i].what, sizeof "cause:unknown:" - 1, s[i].what.n);
    }
    return rc;
}

enum err work_overview(const struct work_ask *q, struct work_overview *out, struct diag *d)
{
    struct work_overview o = {0};
    int64_t from = 0, upto = 0;
    uint32_t n = 0;
    bool more = false;
    struct work_silent *silent = NULL;
    month_of(q->today, &from, &upto);
    const struct {
        const char *what;
        int64_t from, upto;
        uint64_t *to;
    } sums[] = {
        {"household", 0, 0, &o.households},
        {"due", from, upto, &o.due},
        {"done", from, upto, &o.done},
        {"clock", 1, q->today - 1, &o.overdue},
        {"next", 1, q->today + SOON_DAYS, &o.due_soon},
        {"conflict", 0, 0, &o.conflicts},
        {"differs", 0, 0, &o.disagreements},
        {"rejected", 0, 0, &o.rejected},
        {"waits:0", 0, 0, &o.waits[0]},
        {"waits:1", 0, 0, &o.waits[1]},
        {"waits:2", 0, 0, &o.waits[2]},
    };
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < sizeof sums / sizeof sums[0]; i++)
        rc = tally_of(q, sums[i].what, sums[i].from, sums[i].upto, sums[i].to, d);
    if (!rc)
        rc = levels_read(q, &o, d);
    if (!rc)
        rc = missing_read(q, &o, d);
    if (!rc)
        rc = work_queue_count(q, QUEUE_QUARANTINE, &n, &more, d);
    o.quarantined = n;
    if (!rc)
        rc = work_silent(q, WORK_SILENT_DAYS, &silent, &n, d);
    o.silent = n;
    if (!rc)
        *out = o;
    return rc;
}

static struct work_area *area_slot(struct work_area *list, uint32_t *count, struct str area, uint32_t digits)
{
    if (digits) {
        size_t cut = utf8_offset(area, digits);
        area = str_sub(area, 0, cut);
    }
    for (uint32_t i = *count; i-- > 0;)
        if (str_eq(list[i].area, area))
            return &list[i];
    list[*count] = (struct work_area){.area = area};
    return &list[(*count)++];
}

static int by_area(const void *a, const void *b)
{
    return str_cmp(((const struct work_area *)a)->area, ((const struct work_area *)b)->area);
}

static void area_add(struct work_area *x, const struct tally_sum *t)
{
    uint64_t none = 0, n = t->n > 0 ? (uint64_t)t->n : 0;
    if (str_starts(t->what, STR("level:")))
        level_add(str_sub(t->what, 6, t->what.n), t->n, &x->red, &x->yellow, &x->blue, &x->unknown, &none);
    else if (str_starts(t->what, STR("lead:")))
        x->leads += n;
    else if (str_eq_z(t->what, "household"))
        x->households += n;
    else if (str_eq_z(t->what, "conflict"))
        x->conflicts += n;
    else if (str_eq_z(t->what, "due"))
        x->due += n;
    else if (str_eq_z(t->what, "done"))
        x->done += n;
    else if (str_eq_z(t->what, "clock"))
        x->overdue += n;
}

enum err work_areas(const struct work_ask *q, uint32_t digits, struct work_area **out, uint32_t *count_out,
                    struct diag *d)
{
    int64_t from = 0, upto = 0;
    month_of(q->today, &from, &upto);
    const struct {
        const char *what;
        int64_t from, upto;
    } wanted[] = {{"household", 0, 0}, {"level:", 0, 0},     {"lead:", 0, 0},           {"conflict", 0, 0},
                  {"due", from, upto}, {"done", from, upto}, {"clock", 1, q->today - 1}};
    struct tally_sum *sums[7] = {NULL};
    uint32_t counts[7] = {0}, total = 0, count = 0;
    enum err rc = ERR_OK;
    for (int i = 0; !rc && i < 7; i++) {
        rc = cstore_tallies(q->st, q->a, q->area, str_of(wanted[i].what), wanted[i].from, wanted[i].upto,
                            true, &sums[i], &counts[i], d);
        total += counts[i];
    }
    struct work_area *list = rc ? NULL : ARENA_ARRAY(q->a, struct work_area, total + 1);
    if (!rc && !list)
        rc = diag_set(d, ERR_NOMEM, "Out of memory while adding up areas.");
    for (int i = 0; !rc && i < 7; i++) {
        for (uint32_t k = 0; k < counts[i]; k++)
            area_add(area_slot(list, &count, sums[i][k].area, digits), &sums[i][k]);
    }
    if (!rc && count)
        qsort(list, count, sizeof *list, by_area);
    *out = list;
    *count_out = count;
    return rc;
}

static int by_households(const void *a, const void *b)
{
    const struct work_cause *x = a, *y = b;
    if (x->households != y->households)
        return x->households > y->households ? -1 : 1;
    return str_cmp(x->rule, y->rule);
}

enum err work_causes(const struct work_ask *q, struct work_cause **out, uint32_t *count_out, struct diag *d)
{
    struct tally_sum *s = NULL;
    uint32_t n = 0, count = 0;
    enum err rc = cstore_tallies(q->st, q->a, q->area, STR("cause:"), 0, 0, false, &s, &n, d);
    struct work_cause *list = rc ? NULL : ARENA_ARRAY(q->a, struct work_cause, n + 1);
    if (!rc && !list)
        rc = diag_set(d, ERR_NOMEM, "Out of memory while counting causes.");
    for (uint32_t i = 0; !rc && i < n; i++) {
        struct str rest = s[i].what, cause, severity;
        if (s[i].n <= 0 || !str_split(&rest, ':', &cause) || !str_split(&rest, ':', &severity) || !rest.n)
            continue;
        list[count++] = (struct work_cause){rest, severity, (uint64_t)s[i].n};
    }
    if (!rc && count)
        qsort(list, count, sizeof *list, by_households);
    *out = list;
    *count_out = count;
    return rc;
}

static int by_contact(const void *a, const void *b)
{
    const struct work_silent *x = a, *y = b;
    return x->contact_ms < y->contact_ms ? -1 : x->contact_ms > y->contact_ms;
}

enum err work_silent(const struct work_ask *q, uint32_t days, struct work_silent **out, uint32_t *count_out,
                     struct diag *d)
{
    struct device_row *list = NULL;
    uint32_t n = 0;
    VEC(struct work_silent) silent = {0};
    enum err rc = cstore_devices(q->st, q->a, &list, &n, d);
    for (uint32_t i = 0; !rc && i < n; i++) {
        struct person p;
        if (list[i].revoked_ms || q->now_ms - list[i].contact_ms < (int64_t)days * DAY_MS)
            continue;
        rc = cstore_person(q->st, q->a, list[i].person, &p, d);
        if (rc || !str_starts(p.area, q->area))
            continue;
        struct work_silent *slot = vec_push(q->a, &silent);
        if (!slot)
            return diag_set(d, ERR_NOMEM, "Out of memory while listing handhelds.");
        *slot = (struct work_silent){list[i].device, list[i].inc,     list[i].person,    p.name,
                                     p.area,         list[i].version, list[i].contact_ms};
    }
    if (!rc && silent.count)
        qsort(silent.at, silent.count, sizeof *silent.at, by_contact);
    *out = silent.at;
    *count_out = silent.count;
    return rc;
}
