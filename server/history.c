/* A household's history, read from the log: every frame and every edit of the centre that said something
 * about it, in the order in which they came, with what each value replaced.
 *
 * Always true: it tells what is in the log and nothing else; what was erased is in neither. Old values are
 * those that the log had said before, so that a value that lost against a later one is told as well.
 */
#include "server/parts.h"
#include "server/store_work.h"
#include "server/work.h"

#include <stdlib.h>

#include "platform/base/map.h"

#define TRACES_MAX 20000
#define TRACE_PAGE 500
#define KEY_MAX 60

struct told {
    struct work_change c;
    uint64_t seq;
    uint32_t place; /* within seq */
};

struct history {
    const struct work_ask *q;
    struct row_id root;
    struct form_row *forms;
    uint32_t form_count;
    struct row_names names;
    struct map values; /* row id and field -> place in `list` of the last change of it */
    VEC(struct told) list;
};

/* clang-format off */
static const char *const household_fields[] = {"", "code", "area", "name", "address", "category", "position",
                                               "phone", "status", "into"};
static const char *const visit_fields[] = {"", "form", "type", "started", "ended", "person", "instance",
                                           "submission", "own judgement", "pack", "level", "language",
                                           "position", "log", "unknown elements"};
static const char *const finding_fields[] = {"", "rule", "severity", "state", "text_zh", "text_en", "inputs",
                                             "pack", "pack_version", "params"};
static const char *const assignment_fields[] = {"", "device", "person", "due", "form", "type"};
static const char *const department_fields[] = {"", "source", "as_of", "values"};
static const char *const comment_fields[] = {"", "text", "place", "row", "field", "at"};
static const char *const lead_fields[] = {"", "channel", "opened", "deadline", "source", "indicators", "note",
                                          "person"};
static const char *const entity_fields[] = {"", "dataset", "id", "action", "label", "values", "base", "trunk",
                                            "branch"};
static const char *const step_fields[] = {"", "step", "at", "person", "remark", "result", "category",
                                          "follow_up", "visit"};
static const char *const indicator_fields[] = {"", "name", "result", "note", "photo", "position", "at",
                                               "person", "visit"};
static const char *const review_fields[] = {"", "state", "level", "at", "person", "name", "comment"};
static const char *const event_fields[] = {"",       "event",  "at",      "person",
                                           "other", "remark", "members", "before"};
#define NAMES(list) {(list), sizeof(list) / sizeof((list)[0])}
static const struct {
    const char *const *names;
    size_t count;
} fields_of[] = {
    [ROW_HOUSEHOLD] = NAMES(household_fields),   [ROW_VISIT] = NAMES(visit_fields),
    [ROW_FINDING] = NAMES(finding_fields),       [ROW_ASSIGNMENT] = NAMES(assignment_fields),
    [ROW_DEPARTMENT] = NAMES(department_fields), [ROW_COMMENT] = NAMES(comment_fields),
    [ROW_LEAD] = NAMES(lead_fields),             [ROW_ENTITY] = NAMES(entity_fields),
    [ROW_STEP] = NAMES(step_fields),             [ROW_INDICATOR] = NAMES(indicator_fields),
    [ROW_REVIEW] = NAMES(review_fields),         [ROW_EVENT] = NAMES(event_fields),
};
/* clang-format on */

static struct str form_of(const struct history *h, struct row_id interview)
{
    struct record_row row;
    struct record r;
    struct row_birth birth;
    unsigned char hash[SHA256_SIZE];
    if (row_id_none(interview) || cstore_record(h->q->st, h->q->a, interview, &row, NULL) ||
        record_unpack(h->q->a, row.row, row.packed, &r, NULL) || !record_birth(&r, &birth))
        return STR("");
    for (uint32_t i = 0; i < h->form_count; i++)
        if (!sha256(h->forms[i].id, hash) && memcmp(hash, birth.object, sizeof birth.object) == 0)
            return h->forms[i].id;
    return STR("");
}

static struct str label_of(const struct history *h, const struct record_row *row, uint32_t field)
{
    struct str path = STR("");
    struct buf b;
    if (field == 0)
        return STR("");
    if ((size_t)row->kind < sizeof fields_of / sizeof fields_of[0] && field < fields_of[row->kind].count)
        return str_of(fields_of[row->kind].names[field]);
    struct str form = form_of(h, row->interview);
    if (form.n && cstore_field_path(h->q->st, h->q->a, form, field, &path, NULL) == ERR_OK)
        return path;
    buf_init(&b, 24);
    buf_put_u64(&b, field);
    path = arena_str(h->q->a, buf_str(&b));
    buf_free(&b);
    return path;
}

/* Does this row belong to the household, or to the interview that the history is about? */
static enum err belongs(struct history *h, struct row_id id, struct record_row *row, bool *out,
                        struct diag *d)
{
    enum err rc = cstore_record(h->q->st, h->q->a, id, row, d);
    *out = !rc && (row_id_same(row->household, h->root) ||
                   (row_id_none(row->household) && row_id_same(row->interview, h->root)));
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

static struct str value_key(struct arena *a, struct row_id id, uint32_t field)
{
    unsigned char bytes[ROW_ID_SIZE + 4];
    row_id_write(id, bytes);
    for (int i = 0; i < 4; i++)
        bytes[ROW_ID_SIZE + i] = (unsigned char)(field >> (8 * i));
    return arena_str(a, (struct str){(const char *)bytes, sizeof bytes});
}

struct source { /* of the changes at hand */
    uint64_t seq, device;
    uint32_t inc;
    int64_t received_ms;
    struct str frame, version;
};

static enum err change_tell(struct history *h, const struct source *s, const struct change *c, int64_t hlc,
                            const struct record_row *row, uint32_t place)
{
    uint32_t before = 0;
    struct person p;
    struct str key = value_key(h->q->a, c->row, c->field);
    struct told *t = key.p ? vec_push(h->q->a, &h->list) : NULL;
    if (!t)
        return ERR_NOMEM;
    *t = (struct told){.seq = s->seq, .place = place};
    t->c = (struct work_change){.at_ms = hlc >> 16,
                                .received_ms = s->received_ms,
                                .person = c->person,
                                .role = c->role,
                                .name = STR(""),
                                .device = s->device,
                                .inc = s->inc,
                                .frame = s->frame,
                                .version = s->version,
                                .row = c->row,
                                .kind = row->kind,
                                .field = c->field,
                                .label = label_of(h, row, c->field),
                                .op = c->op,
                                .status = c->status,
                                .old = STR_NONE,
                                .value = STR_NONE};
    if (c->op == CHANGE_SET || c->op == CHANGE_RESOLVE)
        t->c.value = c->value;
    if (c->person && cstore_person(h->q->st, h->q->a, c->person, &p, NULL) == ERR_OK)
        t->c.name = p.name;
    if (c->field && map_get(&h->values, key, &before))
        t->c.old = h->list.at[before].c.value;
    return map_put(&h->values, key, h->list.count - 1);
}

static struct str version_of(const struct history *h, const struct change *changes, uint32_t count)
{
    unsigned char hash[SHA256_SIZE];
    struct form_row form;
    for (uint32_t i = 0; i < count; i++) {
        if (changes[i].field == VISIT_FORM && changes[i].op == CHANGE_SET &&
            hex_read(changes[i].value, hash, sizeof hash) &&
            cstore_form(h->q->st, h->q->a, hash, &form, NULL) == ERR_OK)
            return form.version;
    }
    return STR("");
}

static enum err changes_tell(struct history *h, struct source *s, const struct change *changes,
                             uint32_t count, const struct batch_head *head, struct diag *d)
{
    enum err rc = ERR_OK;
    struct record_row row = {0};
    bool ours = false;
    s->version = version_of(h, changes, count);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (i == 0 || !row_id_same(changes[i].row, changes[i - 1].row))
            rc = belongs(h, changes[i].row, &row, &ours, d);
        if (rc || !ours || changes[i].op == CHANGE_FINALISE)
            continue;
        if (s->device == 0)
            s->seq = changes[i].seq;
        int64_t hlc = hlc_effective(changes[i].hlc, head->anchor_ms, head->elapsed_ms);
        rc = change_tell(h, s, &changes[i], hlc, &row, i);
    }
    return rc;
}

static enum err frame_tell(struct history *h, const struct batch_row *b, struct diag *d)
{
    struct change *changes = NULL;
    uint32_t count = 0;
    struct batch_head head = {.device = b->device, .inc = b->inc};
    const struct batch_rows rows = row_names_of(&h->names);
    struct source s = {.seq = b->server_seq,
                       .device = b->device,
                       .inc = b->as_inc ? b->as_inc : b->inc,
                       .received_ms = b->received_ms};
    struct device_row device;
    char hex[2 * BATCH_ID_SIZE];
    hex_write(b->batch_id, BATCH_ID_SIZE, hex);
    s.frame = arena_str(h->q->a, (struct str){hex, sizeof hex});
    enum err rc = b->payload.n ? batch_read(h->q->a, b->payload, &rows, &head, &changes, &count, d) : ERR_OK;
    if (!rc && b->as_inc) {
        struct ingest in = {.changes = changes, .change_count = count};
        rc = cstore_device(h->q->st, h->q->a, b->device, b->inc, &device, d);
        if (!rc)
            rc = changes_rename(h->q->st, h->q->a, &device, b->as_inc, &in, d);
    }
    return rc || !count ? rc : changes_tell(h, &s, changes, count, &head, d);
}

static enum err own_tell(struct history *h, const struct own_row *o, uint64_t *last_own, struct diag *d)
{
    struct change *changes = NULL;
    uint32_t count = 0;
    struct batch_head head = {0};
    struct source s = {.seq = o->seq, .frame = STR("")};
    if (o->seq == *last_own) /* several traces lead into one payload */
        return ERR_OK;
    *last_own = o->seq;
    enum err rc = batch_read(h->q->a, o->payload, NULL, &head, &changes, &count, d);
    if (!rc) {
        head.inc = head.epoch;
        rc = batch_read(h->q->a, o->payload, NULL, &head, &changes, &count, d);
    }
    s.inc = head.inc;
    head.anchor_ms = 0;
    return rc || !count ? rc : changes_tell(h, &s, changes, count, &head, d);
}

static enum err log_walk(struct history *h, struct diag *d)
{
    VEC(uint64_t) traces = {0};
    uint64_t *page = NULL, before = INT64_MAX, last_own = 0;
    uint32_t count = 0;
    enum err rc = ERR_OK;
    do {
        rc = cstore_traces(h->q->st, h->q->a, h->root, before, TRACE_PAGE, &page, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            uint64_t *slot = vec_push(h->q->a, &traces);
            if (!slot)
                return ERR_NOMEM;
            *slot = before = page[i];
        }
    } while (!rc && count == TRACE_PAGE && traces.count < TRACES_MAX);
    for (uint32_t i = traces.count; !rc && i-- > 0;) {
        struct batch_row b;
        struct own_row o;
        rc = cstore_batch_at(h->q->st, h->q->a, traces.at[i], &b, d);
        if (!rc) {
            rc = frame_tell(h, &b, d);
        } else if (rc == ERR_NOT_FOUND) {
            rc = cstore_own_at(h->q->st, h->q->a, traces.at[i], &o, d);
            rc = rc == ERR_NOT_FOUND ? ERR_OK : rc ? rc : own_tell(h, &o, &last_own, d);
        }
    }
    return rc;
}

static int newest_first(const void *a, const void *b)
{
    const struct told *x = a, *y = b;
    if (x->seq != y->seq)
        return x->seq > y->seq ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static enum err place_read(struct str key, uint64_t *seq, uint64_t *place, struct diag *d)
{
    struct str first;
    *seq = UINT64_MAX;
    *place = 0;
    if (key.n == 0)
        return ERR_OK;
    if (key.n > KEY_MAX || !str_split(&key, ':', &first) || !key.p || !str_to_u64(first, seq) ||
        !str_to_u64(key, place))
        return diag_set(d, ERR_USAGE, "This is no place in the history. Begin again from its first page.");
    return ERR_OK;
}

static enum err page_cut(struct history *h, uint64_t seq, uint64_t place, uint32_t limit,
                         struct work_change **out, uint32_t *count_out)
{
    struct work_change *list = ARENA_ARRAY(h->q->a, struct work_change, limit);
    uint32_t n = 0;
    for (uint32_t i = 0; list && i < h->list.count && n < limit; i++) {
        const struct told *t = &h->list.at[i];
        struct buf key;
        if (t->seq > seq || (t->seq == seq && t->place <= place))
            continue;
        buf_init(&key, KEY_MAX);
        buf_put_u64(&key, t->seq);
        buf_put_char(&key, ':');
        buf_put_u64(&key, t->place);
        list[n] = t->c;
        list[n].key = arena_str(h->q->a, buf_str(&key));
        buf_free(&key);
        if (!list[n++].key.p)
            return ERR_NOMEM;
    }
    *out = list;
    *count_out = n;
    return list ? ERR_OK : ERR_NOMEM;
}

enum err work_history(const struct work_ask *q, struct row_id household, struct str after, uint32_t limit,
                      struct work_change **out, uint32_t *count_out, struct diag *d)
{
    struct history h = {.q = q, .root = household, .names = {.st = q->st}};
    struct record_row row;
    uint64_t seq = 0, place = 0;
    limit = limit == 0 || limit > WORK_PAGE_MAX ? WORK_PAGE_MAX : limit;
    map_init(&h.values, q->a);
    enum err rc = place_read(after, &seq, &place, d);
    if (!rc)
        rc = cstore_record(q->st, q->a, household, &row, d);
    if (!rc && q->area.n && (!row.area.p || !str_starts(row.area, q->area)))
        rc = ERR_NOT_FOUND;
    if (rc == ERR_NOT_FOUND)
        return diag_set(d, rc, "There is no such household in your area.");
    if (!rc)
        rc = cstore_forms(q->st, q->a, STR(""), &h.forms, &h.form_count, d);
    if (!rc)
        rc = log_walk(&h, d);
    if (!rc && h.list.count)
        qsort(h.list.at, h.list.count, sizeof *h.list.at, newest_first);
    if (!rc)
        rc = page_cut(&h, seq, place, limit, out, count_out);
    return rc == ERR_NOMEM ? diag_set(d, rc, "Out of memory while reading a household's history.") : rc;
}
