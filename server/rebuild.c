/* Submissions: when a visit is finalised, its interview is rebuilt from the records as its author saw them,
 * written as XML, and compared with the SHA-256 that the handheld stated. What matches is the very document
 * of the door, kept byte by byte.
 *
 * Always true: a visit that cannot be rebuilt (its form is unknown, answers are still on their way) is kept
 * and counted as differing, and tried again when more of its interview arrives; nothing here ever keeps a
 * frame from being accepted.
 */
#include <stdlib.h>

#include "forms/limits.h"
#include "platform/base/json.h"
#include "server/parts.h"

#define ROWS_PAGE 512
#define SUBMISSION_XML_MAX (16u << 20)
#define REPEAT_DEPTH_MAX 16
#define HISTORY_PAGE 16
#define KEY_READ (UINT64_C(1) << 32)  /* keys of rows as a document is read: none of the records' */
#define KEY_GIVEN (UINT64_C(1) << 62) /* already one of the records' */
#define HISTORY_BATCHES_MAX 5000      /* some years of a handheld */

/* ---- compiled forms ---- */

static struct cached_form *cache_slot(struct form_cache *c)
{
    if (c->count < FORM_CACHE_MAX)
        return &c->at[c->count++];
    struct cached_form *oldest = &c->at[0];
    for (uint32_t i = 1; i < c->count; i++) {
        if (c->at[i].used < oldest->used)
            oldest = &c->at[i];
    }
    arena_free(&oldest->memory);
    arena_free(&oldest->pack_memory);
    return oldest;
}

static enum err cached_form_load(struct cached_form *f, struct cstore *st, const unsigned char *hash,
                                 struct diag *d)
{
    struct str xml;
    struct form_findings findings = {0};
    arena_init(&f->memory, FORM_MEMORY_MAX);
    memcpy(f->hash, hash, SHA256_SIZE);
    enum err rc = cstore_form(st, &f->memory, hash, &f->about, d);
    if (!rc)
        rc = cstore_object(st, &f->memory, hash, NULL, &xml, d);
    if (!rc)
        rc = form_load(&f->memory, xml, &f->form, &findings, d);
    if (!rc)
        rc = fieldmap_read(&f->memory, f->about.fieldmap, form_policies(&f->memory, f->form),
                           form_field_count(f->form), form_repeat_count(f->form), &f->map, d);
    return rc;
}

enum err form_cache_get(struct form_cache *c, struct cstore *st, const unsigned char hash[static SHA256_SIZE],
                        const struct cached_form **out, struct diag *d)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->at[i].form && memcmp(c->at[i].hash, hash, SHA256_SIZE) == 0) {
            c->at[i].used = ++c->clock;
            *out = &c->at[i];
            return ERR_OK;
        }
    }
    /* Loaded in its place: lists keep a pointer to the arena they grow in. */
    struct cached_form *slot = cache_slot(c);
    *slot = (struct cached_form){.used = ++c->clock};
    enum err rc = cached_form_load(slot, st, hash, d);
    if (rc) {
        arena_free(&slot->memory);
        *slot = (struct cached_form){0};
        return rc;
    }
    *out = slot;
    return ERR_OK;
}

void form_cache_free(struct form_cache *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        arena_free(&c->at[i].memory);
        arena_free(&c->at[i].pack_memory);
    }
    lines_basis_free(&c->lines);
    *c = (struct form_cache){0};
}

/* ---- the interview as its author saw it ---- */

struct view {
    uint64_t device;
    uint32_t inc;
    uint64_t first_seq, final_seq, seen;
    bool by_clock; /* what it had seen is told by its clock: the centre's order was set back */
    int64_t hlc;   /* of the finish */
};

static bool is_own(const struct view *v, uint64_t device, uint32_t inc)
{
    return device == v->device && inc == v->inc;
}

struct piece {
    struct record_row row;
    struct record record; /* as kept; once seen: as the author saw it */
    struct row_birth birth;
    uint64_t key; /* 0 = not placed yet */
    uint32_t parent;
    uint32_t repeat;   /* in this form version */
    uint32_t position; /* among its siblings, from 1 */
    bool gone;
};
#define NO_PART UINT32_MAX

struct parts {
    VEC(struct piece) list; /* 0 = the interview */
    VEC(struct saved_row) rows;
    VEC(struct saved_cell) cells;
    VEC(struct saved_unknown) unknown; /* of the visit: VISIT_UNKNOWN */
    struct buf statuses;
    bool later; /* something in the records came after the visit */
};

static enum err part_add(struct rebuild *r, struct parts *p, const struct record_row *row, struct diag *d)
{
    struct piece *part = vec_push(r->a, &p->list);
    if (!part)
        return ERR_NOMEM;
    *part = (struct piece){.row = *row, .parent = NO_PART};
    return record_unpack(r->a, row->row, row->packed, &part->record, d);
}

static enum err parts_load(struct rebuild *r, struct row_id interview, struct parts *p, struct diag *d)
{
    struct record_row root, *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    enum err rc = cstore_record(r->st, r->a, interview, &root, d);
    if (!rc)
        rc = part_add(r, p, &root, d);
    do {
        if (!rc)
            rc = cstore_records(r->st, r->a, RECORDS_OF_INTERVIEW, interview, ROW_REPEAT, after, ROWS_PAGE,
                                &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            after = rows[i].number;
            rc = part_add(r, p, &rows[i], d);
        }
    } while (!rc && count == ROWS_PAGE);
    return rc;
}

static int row_order(struct row_id a, struct row_id b)
{
    if (a.device != b.device)
        return a.device < b.device ? -1 : 1;
    if (a.inc != b.inc)
        return a.inc < b.inc ? -1 : 1;
    return a.counter < b.counter ? -1 : a.counter > b.counter;
}

static int by_row(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    return row_order(x->row.row, y->row.row);
}

/* Siblings lie together, in the order of the interview; rows without a place come last. */
static int by_place(const void *a, const void *b)
{
    const struct piece *x = *(const struct piece *const *)a, *y = *(const struct piece *const *)b;
    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    if (x->repeat != y->repeat)
        return x->repeat < y->repeat ? -1 : 1;
    if (x->birth.order != y->birth.order)
        return x->birth.order < y->birth.order ? -1 : 1;
    return row_order(x->row.row, y->row.row);
}

/* The list is sorted by row from 1 on; 0 is the interview itself. */
static uint32_t part_find(const struct parts *p, struct row_id id)
{
    if (row_id_same(p->list.at[0].row.row, id))
        return 0;
    struct piece key = {.row.row = id};
    const struct piece *found = p->list.count < 2 ? NULL
                                                  : bsearch(&key, p->list.at + 1, p->list.count - 1,
                                                            sizeof(struct piece), by_row);
    return found ? (uint32_t)(found - p->list.at) : NO_PART;
}

/* ---- what the author had seen ---- */

/* What the visit itself said stood over whatever had come in by its finish, also over what came in after it
 * was said. */
static bool of_visit(const struct view *v, uint64_t device, uint32_t inc, uint64_t seq)
{
    return is_own(v, device, inc) && seq >= v->first_seq;
}

/* By the clock, everything that counts as seen comes before the visit. */
#define AFTER_ALL (UINT64_MAX >> 1)

static uint64_t told_at(const struct view *v, uint64_t device, uint32_t inc, uint64_t seq,
                        uint64_t server_seq)
{
    return v->by_clock && of_visit(v, device, inc, seq) ? AFTER_ALL : server_seq;
}

static uint64_t seen_by(const struct view *v, uint64_t device, uint32_t inc, uint64_t seq, uint64_t seen)
{
    if (v->by_clock && of_visit(v, device, inc, seq))
        return AFTER_ALL - 1;
    return is_own(v, device, inc) && seq >= v->first_seq && v->seen > seen ? v->seen : seen;
}

static enum err version_apply(struct rebuild *r, struct record *to, const struct view *view,
                              const struct version *v, uint32_t field)
{
    enum merge_result result;
    const struct change c = {.seq = v->seq,
                             .row = to->row,
                             .field = field,
                             .op = v->op,
                             .status = v->status,
                             .person = v->person,
                             .role = v->role,
                             .hlc = v->hlc,
                             .seen = seen_by(view, v->device, v->inc, v->seq, v->seen),
                             .value = v->value};
    return record_apply(r->a, to, &c, v->device, v->inc, v->hlc,
                        told_at(view, v->device, v->inc, v->seq, v->server_seq), &result);
}

static bool was_seen(const struct view *v, const struct version *x, bool own_too)
{
    if (is_own(v, x->device, x->inc))
        return own_too && x->seq <= v->final_seq;
    return x->server_seq > 0 && (x->server_seq <= v->seen || (v->by_clock && x->hlc <= v->hlc));
}

/* Ways to read what is kept, tried one after the other until the XML is that of the door. */
enum reading {
    FROM_LEDGER = 1, /* the author's own changes as they came; else those that are still kept */
    BY_CLOCK = 2     /* what came before the finish had been seen; else what the author says */
};
/* The records alone are read first. Where something in them came after the visit, it may have taken the place
 * of what stood at the door; then the ledger is asked before they are believed, because one wrong document in
 * 65,536 has the right check. */
static const unsigned readings[] = {0, FROM_LEDGER, 0, BY_CLOCK, FROM_LEDGER | BY_CLOCK};

/* Each record becomes what follows from the versions that its author had seen. */
static enum err parts_see(struct rebuild *r, struct parts *p, const struct view *v, unsigned reading)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < p->list.count; i++) {
        struct piece *x = &p->list.at[i];
        struct record seen = {.row = x->row.row};
        bool own_too = !(reading & FROM_LEDGER), unseen = false;
        if (x->record.born && was_seen(v, &x->record.birth, own_too))
            rc = version_apply(r, &seen, v, &x->record.birth, 0);
        for (uint32_t c = 0; !rc && c < x->record.count; c++) {
            const struct record_cell *cell = &x->record.cells[c];
            for (uint32_t n = 0; !rc && n < cell->count; n++) {
                if (was_seen(v, &cell->versions[n], own_too))
                    rc = version_apply(r, &seen, v, &cell->versions[n], cell->field);
                else
                    unseen = true;
            }
        }
        p->later = p->later || unseen;
        x->record = seen;
    }
    return rc;
}

static enum err changes_see(struct rebuild *r, struct parts *p, const struct view *v,
                            const struct change *changes, uint32_t count, const struct batch_head *head,
                            uint64_t server_seq, bool *any)
{
    bool own = is_own(v, head->device, head->inc);
    if (!own && server_seq > v->seen && !v->by_clock)
        return ERR_OK;
    for (uint32_t i = 0; i < count && (!own || changes[i].seq <= v->final_seq); i++) {
        enum merge_result result;
        uint32_t at = part_find(p, changes[i].row);
        if (at == NO_PART)
            continue;
        int64_t hlc = hlc_effective(changes[i].hlc, head->anchor_ms, head->elapsed_ms);
        if (!own && server_seq > v->seen && hlc > v->hlc)
            continue;
        struct change c = changes[i];
        c.seen = seen_by(v, head->device, head->inc, c.seq, c.seen);
        enum err rc = record_apply(r->a, &p->list.at[at].record, &c, head->device, head->inc, hlc,
                                   told_at(v, head->device, head->inc, c.seq, server_seq), &result);
        if (rc)
            return rc;
        *any = true;
    }
    return ERR_OK;
}

/* What one author's ledger holds of it. */
static enum err ledger_see(struct rebuild *r, struct parts *p, const struct view *v, uint64_t device,
                           uint32_t inc, struct diag *d)
{
    struct batch_row *list = NULL;
    uint32_t count = 0, looked_at = 0;
    uint64_t after = 0;
    enum err rc = ERR_OK;
    do {
        rc = cstore_payloads(r->st, r->a, device, inc, after, HISTORY_PAGE, &list, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct batch_head head = {.device = device, .inc = inc};
            struct change *changes = NULL;
            uint32_t change_count = 0;
            struct arena_mark mark = arena_mark(r->a);
            bool any = false;
            after = list[i].batch_seq;
            bool read = batch_read(r->a, list[i].payload, r->rows, &head, &changes, &change_count, NULL) ==
                        ERR_OK;
            if (read)
                rc = seen_cap(r->st, head.epoch, EPOCH_TODAY, changes, change_count, d);
            if (read && !rc)
                rc = changes_see(r, p, v, changes, change_count, &head, list[i].server_seq, &any);
            if (!any)
                arena_release(r->a, mark);
        }
        looked_at += count;
    } while (!rc && count == HISTORY_PAGE && looked_at < HISTORY_BATCHES_MAX);
    return rc;
}

struct writer {
    uint64_t device;
    uint32_t inc;
};
struct writers {
    VEC(struct writer) list;
};

static enum err writer_note(struct rebuild *r, struct writers *w, uint64_t device, uint32_t inc)
{
    for (uint32_t i = 0; i < w->list.count; i++) {
        if (w->list.at[i].device == device && w->list.at[i].inc == inc)
            return ERR_OK;
    }
    struct writer *slot = device ? vec_push(r->a, &w->list) : NULL;
    if (slot)
        *slot = (struct writer){device, inc};
    return slot || !device ? ERR_OK : ERR_NOMEM;
}

/* Everybody who ever wrote into this interview: the marks of a record forget nobody. */
static enum err writers_of(struct rebuild *r, const struct parts *p, const struct view *v,
                           struct writers *out)
{
    enum err rc = writer_note(r, out, v->device, v->inc);
    for (uint32_t i = 0; !rc && i < p->list.count; i++) {
        const struct record *x = &p->list.at[i].record;
        if (x->born)
            rc = writer_note(r, out, x->birth.device, x->birth.inc);
        for (uint32_t k = 0; !rc && k < x->mark_count; k++)
            rc = writer_note(r, out, x->marks[k].device, x->marks[k].inc);
    }
    return rc;
}

/* The changes that the author had made or seen by the finish, from the ledger and from the frame at hand:
 * also those that something later, which came first, has superseded in the records. */
static enum err history_see(struct rebuild *r, struct parts *p, const struct view *v,
                            const struct writers *writers, struct diag *d)
{
    bool any = false;
    struct batch_head head = r->frame ? r->frame->head : (struct batch_head){0};
    head.device = r->author.device;
    head.inc = r->author.inc;
    enum err rc = !r->frame ? ERR_OK
                            : changes_see(r, p, v, r->frame->changes, r->frame->change_count, &head,
                                          r->server_seq, &any);
    for (uint32_t i = 0; !rc && i < writers->list.count; i++)
        rc = ledger_see(r, p, v, writers->list.at[i].device, writers->list.at[i].inc, d);
    return rc;
}

/* Which rows stood in the interview, and which repeat of this form version they are. */
static void parts_name(const struct cached_form *f, struct parts *p)
{
    for (uint32_t i = 1; i < p->list.count; i++) {
        struct piece *x = &p->list.at[i];
        bool born = record_birth(&x->record, &x->birth);
        x->gone = !born || x->birth.number >= f->map.repeat_local_count ||
                  f->map.repeat_local[x->birth.number] == FIELDMAP_NONE || record_deleted(&x->record);
        x->repeat = x->gone ? 0 : f->map.repeat_local[x->birth.number];
    }
}

static uint32_t first_child(struct piece *const *order, uint32_t count, uint32_t parent)
{
    uint32_t lo = 0, hi = count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (order[mid]->parent < parent)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Level by level from the interview down: a row whose parent is gone, or that is its own ancestor, is never
 * reached. */
static enum err parts_place(struct rebuild *r, struct parts *p)
{
    uint32_t count = p->list.count - 1;
    struct piece **order = ARENA_ARRAY(r->a, struct piece *, count);
    uint32_t *queue = ARENA_ARRAY(r->a, uint32_t, count + 1);
    if (!order || !queue)
        return ERR_NOMEM;
    for (uint32_t i = 1; i <= count; i++) {
        struct piece *x = &p->list.at[i];
        x->parent = x->gone ? NO_PART : part_find(p, x->birth.parent);
        order[i - 1] = x;
    }
    if (count)
        qsort(order, count, sizeof order[0], by_place);
    uint32_t placed = 1;
    for (uint32_t next = 0; next < placed; next++) {
        uint32_t position = 0;
        for (uint32_t i = first_child(order, count, queue[next]);
             i < count && order[i]->parent == queue[next]; i++) {
            struct piece *x = order[i];
            position = i > 0 && order[i - 1]->parent == x->parent && order[i - 1]->repeat == x->repeat
                           ? position + 1
                           : 1;
            struct saved_row *row = vec_push(r->a, &p->rows);
            if (!row)
                return ERR_NOMEM;
            x->key = (uint64_t)(x - p->list.at); /* the same in every view of this interview */
            x->position = position;
            *row = (struct saved_row){.key = x->key,
                                      .parent_key = p->list.at[queue[next]].key,
                                      .repeat = x->repeat,
                                      .order = position};
            queue[placed++] = (uint32_t)x->key;
        }
    }
    return ERR_OK;
}

/* "/survey/member[2]/age": the field's path with the positions of the instances around it. */
static void ref_write(const struct parts *p, const struct form *form, uint32_t at, struct str path,
                      struct buf *out)
{
    uint32_t chain[REPEAT_DEPTH_MAX], depth = 0;
    for (uint32_t i = at; i != NO_PART && i != 0 && depth < REPEAT_DEPTH_MAX; i = p->list.at[i].parent)
        chain[depth++] = i;
    size_t from = 0;
    while (depth-- > 0) {
        const struct piece *x = &p->list.at[chain[depth]];
        size_t to = form_repeat(form, x->repeat)->path.n;
        if (to < from || to > path.n)
            break;
        buf_put(out, path.p + from, to - from);
        buf_put_char(out, '[');
        buf_put_u64(out, x->position);
        buf_put_char(out, ']');
        from = to;
    }
    buf_put(out, path.p + from, path.n - from);
}

static const char *status_text(uint8_t status)
{
    static const char *const names[] = {"", "", "dont_know", "refused", "partial"};
    return status < sizeof names / sizeof names[0] ? names[status] : "";
}

/* What the author said in this very visit stood over everything, whatever the field's policy makes of it
 * since. */
static const struct version *said_at_the_door(const struct view *v, const struct record_cell *cell)
{
    const struct version *last = NULL;
    for (uint32_t i = 0; i < cell->count; i++) {
        const struct version *x = &cell->versions[i];
        if (of_visit(v, x->device, x->inc, x->seq) && x->seq <= v->final_seq && (!last || x->seq > last->seq))
            last = x;
    }
    return last;
}

static enum err cells_add(struct rebuild *r, const struct cached_form *f, const struct view *view,
                          struct parts *p, uint32_t at)
{
    const struct piece *x = &p->list.at[at];
    for (uint32_t i = 0; i < x->record.count; i++) {
        const struct record_cell *cell = &x->record.cells[i];
        uint32_t local = cell->field ? fieldmap_local(&f->map, cell->field) : FIELDMAP_NONE;
        if (local == FIELDMAP_NONE)
            continue;
        const struct version *v = said_at_the_door(view, cell);
        struct str value = v && v->op != CHANGE_CLEAR ? v->value : STR_NONE;
        enum err rc = v ? ERR_OK : record_answer(r->a, cell, &value);
        if (rc)
            return rc;
        v = v ? v : &cell->versions[0];
        if (!value.p && v->status <= ANSWER_GIVEN)
            continue;
        struct saved_cell *c = vec_push(r->a, &p->cells);
        if (!c)
            return ERR_NOMEM;
        *c = (struct saved_cell){.key = x->key,
                                 .field = local,
                                 .value = value.p ? value : STR(""),
                                 .status = (enum answer_status)v->status};
        if (*status_text(v->status)) {
            ref_write(p, f->form, at, form_field(f->form, local)->path, &p->statuses);
            buf_put_char(&p->statuses, '\t');
            buf_put_z(&p->statuses, status_text(v->status));
            buf_put_char(&p->statuses, '\n');
        }
    }
    return ERR_OK;
}

/* ---- the session's host ---- */

static int64_t host_now(void *self)
{
    struct rebuild *r = self;
    return r->seam->wall_ms(r->seam->self);
}

static struct str file_name(struct str uri)
{
    size_t from = uri.n;
    while (from > 0 && uri.p[from - 1] != '/')
        from--;
    return str_sub(uri, from, uri.n);
}

static enum err host_resource(void *self, struct str uri, struct str *bytes_out, struct diag *d)
{
    struct rebuild *r = self;
    struct published p;
    struct resource_cache *kept = r->resources;
    for (uint32_t i = 0; kept && i < kept->list.count; i++)
        if (str_eq(kept->list.at[i].uri, uri)) {
            *bytes_out = kept->list.at[i].bytes;
            return ERR_OK;
        }
    enum err rc = published_live(r->st, r->a, "list", file_name(uri), &p, NULL);
    if (!rc)
        rc = cstore_object(r->st, kept ? &kept->memory : r->a, p.hash, NULL, bytes_out, d);
    struct resource *slot = rc || !kept ? NULL : vec_push(&kept->memory, &kept->list);
    if (slot)
        *slot = (struct resource){arena_str(&kept->memory, uri), *bytes_out};
    return rc || !kept ? rc : slot && slot->uri.p ? ERR_OK : ERR_NOMEM;
}

/* What the host is asked with lives as long as the session: in the caller's. */
static enum err parts_open(struct rebuild *r, const struct cached_form *f, struct parts *p,
                           struct session_host *host, struct session **out, struct diag *d)
{
    *host = (struct session_host){.self = r, .now_ms = host_now, .resource = host_resource};
    const struct session_options o = {.form = f->form,
                                      .host = host,
                                      .frozen = true,
                                      .rows = p->rows.at,
                                      .row_count = p->rows.count,
                                      .cells = p->cells.at,
                                      .cell_count = p->cells.count,
                                      .unknown = p->unknown.at,
                                      .unknown_count = p->unknown.count,
                                      .row_key_next = (uint64_t)p->list.count + 1};
    return session_open(r->a, &o, out, d);
}

static enum err xml_write(struct rebuild *r, const struct cached_form *f, struct parts *p, struct buf *xml,
                          struct diag *d)
{
    struct session *session = NULL;
    struct session_host host;
    enum err rc = parts_open(r, f, p, &host, &session, d);
    if (!rc)
        rc = session_xml(session, false, xml, d);
    session_close(session);
    return rc;
}

/* ---- one visit ---- */

static enum err parts_read(struct rebuild *r, const struct cached_form *f, struct row_id interview,
                           const struct view *view, unsigned reading, struct parts *p, struct diag *d)
{
    struct writers writers = {0};
    buf_clear(&p->statuses);
    p->list.count = p->rows.count = p->cells.count = 0;
    enum err rc = parts_load(r, interview, p, d);
    r->rows_left -= p->list.count < r->rows_left ? p->list.count : r->rows_left;
    if (!rc && p->list.count > 1)
        qsort(p->list.at + 1, p->list.count - 1, sizeof(struct piece), by_row);
    if (!rc)
        rc = writers_of(r, p, view, &writers);
    if (!rc)
        rc = parts_see(r, p, view, reading);
    if (!rc && reading & FROM_LEDGER)
        rc = history_see(r, p, view, &writers, d);
    if (rc)
        return rc;
    parts_name(f, p);
    rc = parts_place(r, p);
    for (uint32_t i = 0; !rc && i < p->list.count; i++) {
        if (i == 0 || p->list.at[i].key)
            rc = cells_add(r, f, view, p, i);
    }
    return rc;
}

static enum err interview_write(struct rebuild *r, const struct cached_form *f, struct row_id interview,
                                const struct view *view, unsigned reading, struct parts *p, struct buf *xml,
                                struct diag *d)
{
    buf_clear(xml);
    enum err rc = parts_read(r, f, interview, view, reading, p, d);
    return rc ? rc : xml_write(r, f, p, xml, d);
}

/* What cannot be read is left out: the document then differs, which is told. */
static enum err unknown_read(struct rebuild *r, struct parts *p, struct str text)
{
    const struct json *list = NULL;
    struct diag quiet = {0};
    if (text.n == 0 || json_read(r->a, text, &list, &quiet) != ERR_OK)
        return ERR_OK;
    for (const struct json *x = list->child; x; x = x->next) {
        if (x->count != 2)
            continue;
        struct saved_unknown *slot = vec_push(r->a, &p->unknown);
        if (!slot)
            return ERR_NOMEM;
        *slot = (struct saved_unknown){.path = json_at(x, 0)->text, .xml = json_at(x, 1)->text};
    }
    return ERR_OK;
}

/* Whether anything was said of it that this visit's author had not seen at the finish. */
static bool said_since(const struct parts *p, const struct submission_row *s)
{
    const struct view v = {.device = s->device, .inc = s->inc, .final_seq = s->final_seq, .seen = s->seen};
    for (uint32_t i = 0; i < p->list.count; i++) {
        const struct record *x = &p->list.at[i].record;
        if (x->born && !was_seen(&v, &x->birth, true))
            return true;
        for (uint32_t c = 0; c < x->count; c++)
            for (uint32_t n = 0; n < x->cells[c].count; n++)
                if (!was_seen(&v, &x->cells[c].versions[n], true))
                    return true;
    }
    return false;
}

static enum err parts_now(struct rebuild *r, struct row_id interview, struct parts *p, struct diag *d)
{
    enum err rc = parts_load(r, interview, p, d);
    if (!rc && p->list.count > 1)
        qsort(p->list.at + 1, p->list.count - 1, sizeof(struct piece), by_row);
    return rc;
}

enum err interview_open_now(struct rebuild *r, const struct cached_form *f, struct row_id interview,
                            const struct submission_row *since, bool *since_out, struct session_host *host,
                            struct session **out, struct diag *d)
{
    struct parts p = {0};
    const struct view nobody = {.device = UINT64_MAX};
    buf_init(&p.statuses, 1u << 20);
    enum err rc = parts_now(r, interview, &p, d);
    if (!rc) {
        *since_out = said_since(&p, since);
        parts_name(f, &p);
        rc = parts_place(r, &p);
    }
    for (uint32_t i = 0; !rc && i < p.list.count; i++)
        if (i == 0 || p.list.at[i].key)
            rc = cells_add(r, f, &nobody, &p, i);
    if (!rc)
        rc = parts_open(r, f, &p, host, out, d);
    buf_free(&p.statuses);
    return rc;
}

/* A document's rows are known by their places among their siblings; in the records each has a key. */
static bool keys_give(const struct parts *p, struct saved_interview *x)
{
    struct saved_row *done = x->rows; /* those before it have the records' keys */
    if (x->row_count != p->rows.count)
        return false;
    for (uint32_t i = 0; i < x->row_count; i++, done++) {
        const struct saved_row *same = NULL;
        uint64_t was = done->key;
        int64_t place = 1;
        for (uint32_t k = 0; k < i; k++)
            place += x->rows[k].parent_key == done->parent_key && x->rows[k].repeat == done->repeat;
        for (uint32_t k = 0; k < p->rows.count && !same; k++) {
            const struct saved_row *y = &p->rows.at[k];
            if (y->parent_key == done->parent_key && y->repeat == done->repeat && y->order == place)
                same = y;
        }
        if (!same)
            return false;
        done->key = same->key | KEY_GIVEN;
        for (uint32_t k = i + 1; k < x->row_count; k++)
            if (x->rows[k].parent_key == was)
                x->rows[k].parent_key = same->key;
        for (uint32_t k = 0; k < x->cell_count; k++)
            if (x->cells[k].key == was)
                x->cells[k].key = same->key | KEY_GIVEN;
    }
    for (uint32_t i = 0; i < x->row_count; i++)
        x->rows[i].key &= ~KEY_GIVEN;
    for (uint32_t k = 0; k < x->cell_count; k++)
        x->cells[k].key &= ~KEY_GIVEN;
    return true;
}

enum err interview_open_visit(struct rebuild *r, const struct cached_form *f, struct row_id interview,
                              const struct submission_row *s, struct session_host *host, struct session **out,
                              struct diag *d)
{
    struct parts p = {0};
    struct saved_interview saved = {0};
    const struct view view = {.device = s->device,
                              .inc = s->inc,
                              .first_seq = UINT64_MAX,
                              .final_seq = s->final_seq,
                              .seen = s->seen};
    enum err rc = parts_now(r, interview, &p, d);
    if (!rc)
        rc = parts_see(r, &p, &view, 0);
    if (!rc) {
        parts_name(f, &p);
        rc = parts_place(r, &p);
    }
    if (!rc)
        rc = submission_read(r->a, f->form, s->xml, KEY_READ, &saved, d);
    if (!rc && !keys_give(&p, &saved))
        rc = diag_set(d, ERR_STATE, "the visit's document has other rows than its records");
    if (rc)
        return rc;
    *host = (struct session_host){.self = r, .now_ms = host_now, .resource = host_resource};
    const struct session_options o = {.form = f->form,
                                      .host = host,
                                      .frozen = true,
                                      .rows = saved.rows,
                                      .row_count = saved.row_count,
                                      .cells = saved.cells,
                                      .cell_count = saved.cell_count,
                                      .row_key_next = (uint64_t)p.list.count + 1};
    return session_open(r->a, &o, out, d);
}

enum err interview_open_before(struct rebuild *r, const struct cached_form *f, struct row_id interview,
                               const struct submission_row *s, uint64_t first_seq, struct session_host *host,
                               struct session **out, struct diag *d)
{
    struct parts p = {0};
    const struct view view = {.device = s->device,
                              .inc = s->inc,
                              .first_seq = first_seq,
                              .final_seq = first_seq - 1,
                              .seen = s->seen};
    buf_init(&p.statuses, 1u << 20);
    enum err rc = parts_read(r, f, interview, &view, FROM_LEDGER, &p, d);
    if (!rc)
        rc = parts_open(r, f, &p, host, out, d);
    buf_free(&p.statuses);
    return rc;
}

static bool check_is(struct str bytes, struct str stated)
{
    unsigned char hash[SHA256_SIZE];
    char ours[VISIT_CHECK_SIZE];
    if (sha256(bytes, hash))
        return false;
    visit_check_write(hash, ours);
    return str_eq(stated, (struct str){ours, sizeof ours});
}

/* Once the document is proven, `p` is what its author judged; the visit before is the same interview without
 * what this visit said, which only the ledger still knows. */
static enum err visit_judge(struct rebuild *r, const struct cached_form *f, struct row_id interview,
                            const struct view *view, unsigned reading, struct parts *p,
                            const struct record *visit, const struct submission_row *s, struct diag *d)
{
    struct judging_basis basis;
    struct parts before = {0};
    struct view earlier = *view;
    struct session_host host, host_before;
    struct session *now = NULL, *prev = NULL;
    struct diag quiet = {0};
    enum err rc = judging_begin(r, visit, interview, s, &basis, d);
    if (rc || !basis.wanted)
        return rc;
    buf_init(&before.statuses, 1u << 20);
    earlier.final_seq = view->first_seq - 1;
    enum err open = parts_open(r, f, p, &host, &now, &quiet);
    if (!open && basis.before.n)
        open = parts_read(r, f, interview, &earlier, reading | FROM_LEDGER, &before, &quiet);
    if (!open && basis.before.n)
        open = parts_open(r, f, &before, &host_before, &prev, &quiet);
    basis.in.now = now;
    basis.in.prev = prev;
    if (!open)
        rc = judging_end(r, visit, s, &basis, d);
    session_close(prev);
    session_close(now);
    buf_free(&before.statuses);
    return rc;
}

/* The store's own failures: the frame is not taken now and comes again, or its visit would stay unproven. */
static bool is_passing(enum err rc)
{
    return rc == ERR_IO || rc == ERR_FULL || rc == ERR_BUSY;
}

static enum err visit_rebuild(struct rebuild *r, struct row_id interview, struct submission_row *s,
                              struct diag *d)
{
    struct record_row row;
    struct record visit;
    const struct cached_form *form = NULL;
    struct buf xml;
    struct parts parts = {0};
    struct view view = {.device = s->device, .inc = s->inc, .final_seq = s->final_seq, .seen = s->seen};
    bool proven = s->xml_matches; /* then only its findings were on their way */
    buf_init(&xml, SUBMISSION_XML_MAX);
    buf_init(&parts.statuses, 1u << 20);
    enum err rc = cstore_record(r->st, r->a, s->visit, &row, d);
    if (!rc)
        rc = record_unpack(r->a, row.row, row.packed, &visit, d);
    if (!rc)
        rc = unknown_read(r, &parts, record_value(&visit, VISIT_UNKNOWN));
    if (rc)
        goto done;
    view.first_seq = visit.born ? visit.birth.seq : s->final_seq;
    view.hlc = record_cell(&visit, 0) ? record_cell(&visit, 0)->versions[0].hlc : 0;
    s->instance_id = str_sub(record_value(&visit, VISIT_INSTANCE), 0, CSTORE_TEXT_MAX);
    if (hex_read(record_value(&visit, VISIT_FORM), s->form, SHA256_SIZE))
        rc = form_cache_get(r->forms, r->st, s->form, &form, d);
    if (is_passing(rc) || rc == ERR_NOMEM)
        goto done;
    if (rc)
        diag_clear(d);
    rc = ERR_OK;
    if (form) {
        s->form_id = form->about.id;
        struct str stated = record_value(&visit, VISIT_XML_HASH);
        bool written = false;
        unsigned right = 0;
        s->xml_matches = false;
        bool declined = false;
        for (size_t turn = 0; turn < sizeof readings / sizeof *readings && !s->xml_matches && r->rows_left;
             turn++) {
            unsigned reading = readings[turn];
            if (turn == 2 && !declined)
                continue;
            if (reading & BY_CLOCK && !s->capped)
                continue;
            right = reading;
            view.by_clock = (reading & BY_CLOCK) != 0;
            rc = interview_write(r, form, interview, &view, reading, &parts, &xml, d);
            if (is_passing(rc))
                goto done;
            if (rc)
                diag_clear(d);
            written = rc == ERR_OK;
            rc = ERR_OK;
            bool right_check = written && check_is(buf_str(&xml), stated);
            bool doubtful = turn == 0 && right_check && parts.later;
            declined = declined || doubtful;
            s->xml_matches = right_check && !doubtful;
        }
        if (written) {
            s->xml = buf_str(&xml);
            s->statuses = buf_str(&parts.statuses);
        }
        if (s->xml_matches)
            rc = visit_judge(r, form, interview, &view, right, &parts, &visit, s, d);
    }
    if (!rc && (s->xml_matches || !proven))
        rc = cstore_submission_put(r->st, s, d);
done:
    buf_free(&parts.statuses);
    buf_free(&xml);
    return rc;
}

enum err rebuild_note(struct rebuild *r, const struct change *finalise, int64_t now_ms, struct diag *d)
{
    struct submission_row s = {0};
    enum err rc = cstore_submission(r->st, r->a, finalise->row, &s, d);
    if (rc != ERR_NOT_FOUND)
        return rc; /* finalised before: what was at the door stays */
    s = (struct submission_row){.visit = finalise->row,
                                .device = r->author.device,
                                .inc = r->author.inc,
                                .person = finalise->person,
                                .final_seq = finalise->seq,
                                .seen = finalise->seen,
                                .received_ms = now_ms};
    /* A handheld keeps what the centre lost, whatever epoch it is in. A start of the centre loses nothing. */
    rc = cstore_was_set_back(r->st, &s.capped, d);
    s.capped = s.capped || r->cut;
    return rc ? rc : cstore_submission_put(r->st, &s, d);
}

/* Only its author's changes up to the finish can add to what a visit was: what others did, the author had
 * seen through the centre; unless the centre was set back and hears of it again. */
static bool may_complete(const struct rebuild *r, const struct submission_row *s)
{
    return s->capped || (r->author.device == s->device && r->author.inc == s->inc &&
                         r->frame->change_count > 0 && r->frame->changes[0].seq <= s->final_seq);
}

enum err rebuild_interview(struct rebuild *r, struct row_id interview, struct diag *d)
{
    struct submission_row *open = NULL;
    uint32_t count = 0;
    struct arena_mark mark = arena_mark(r->a);
    enum err rc = cstore_submissions_open(r->st, r->a, interview, &open, &count, d);
    for (uint32_t i = 0; !rc && i < count && r->rows_left; i++) {
        if (may_complete(r, &open[i]))
            rc = visit_rebuild(r, interview, &open[i], d);
    }
    arena_release(r->a, mark);
    return rc;
}
