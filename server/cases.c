/* Cases: what changes make of records. Merges each change into its row's packed record, keeps the columns
 * that are asked for (kind, parent, household, interview, area, code), and notes what the downlink has to
 * pass on.
 *
 * Always true: the result does not depend on the order in which frames arrive. A child that comes before its
 * parent waits with an unknown household and area, and is given both, with everything below it, when the
 * parent comes. Every conflict that begins or ends leaves an audit row with all values. Nothing here reads a
 * clock.
 */
#include "server/parts.h"
#include "server/store_work.h"

#define CHILDREN_PAGE 256
#define CODE_MAX 200
#define AREA_MAX 64

struct loaded {
    struct record_row row;
    struct record record;
    bool is_new;
};

static bool str_same(struct str a, struct str b)
{
    return (a.p == NULL) == (b.p == NULL) && str_eq(a, b);
}

static enum err load(struct cases *c, struct row_id id, struct loaded *out, struct diag *d)
{
    *out = (struct loaded){0};
    enum err rc = cstore_record(c->st, c->a, id, &out->row, d);
    if (rc == ERR_NOT_FOUND) {
        out->row = (struct record_row){.row = id, .area = STR_NONE, .code = STR_NONE};
        out->is_new = true;
        rc = ERR_OK;
    }
    if (!rc)
        rc = record_unpack(c->a, id, out->row.packed, &out->record, d);
    return rc;
}

/* ---- the columns that follow from a record and its parent ---- */

static struct str code_of(const struct record *r, int kind)
{
    uint32_t field = kind == ROW_HOUSEHOLD ? HOUSEHOLD_CODE
                     : kind == ROW_VISIT   ? VISIT_INSTANCE
                     : kind == ROW_FINDING ? FINDING_SEVERITY
                                           : 0;
    struct str v = field ? record_value(r, field) : STR_NONE;
    if (kind == ROW_FINDING && !str_eq_z(record_value(r, FINDING_STATE), "hit"))
        v = STR("unknown");
    return v.n > 0 && v.n <= CODE_MAX ? v : STR_NONE;
}

/* Only the county and the handheld that made a household say where it is: the area decides who is told of it,
 * and a handheld that could set it would read what it likes. */
static struct str area_of(const struct record *r)
{
    const struct record_cell *cell = record_cell(r, HOUSEHOLD_AREA);
    for (uint32_t i = 0; cell && i < cell->count; i++) {
        const struct version *v = &cell->versions[i];
        bool creator = v->device == r->row.device && v->inc == r->row.inc;
        if (v->device == 0 || creator)
            return v->op == CHANGE_SET && v->value.n > 0 && v->value.n <= AREA_MAX ? v->value : STR_NONE;
    }
    return STR_NONE;
}

/* Where a row stands, given its parent's row (NULL when it has none, or it has not arrived). */
static void stand(struct record_row *row, const struct record *r, const struct record_row *parent)
{
    if (row->kind == ROW_HOUSEHOLD) {
        row->household = row->row;
        row->interview = (struct row_id){0};
        row->area = area_of(r);
        return;
    }
    row->household = parent ? parent->household : (struct row_id){0};
    row->area = parent ? parent->area : STR_NONE;
    row->interview = row->kind == ROW_INTERVIEW ? row->row : parent ? parent->interview : (struct row_id){0};
}

static enum err stand_under_parent(struct cases *c, struct loaded *l, struct diag *d)
{
    struct row_birth birth;
    struct record_row parent;
    bool has_parent = false;
    if (record_birth(&l->record, &birth)) {
        l->row.kind = (int)birth.kind;
        l->row.parent = birth.parent;
    }
    if (!row_id_none(l->row.parent) && !row_id_same(l->row.parent, l->row.row)) {
        enum err rc = cstore_record(c->st, c->a, l->row.parent, &parent, d);
        if (rc && rc != ERR_NOT_FOUND)
            return rc;
        has_parent = !rc;
    }
    stand(&l->row, &l->record, has_parent ? &parent : NULL);
    l->row.code = code_of(&l->record, l->row.kind);
    return ERR_OK;
}

/* ---- touches ---- */

static bool version_between(const struct record *r, uint64_t from, uint64_t to)
{
    if (r->born && r->birth.server_seq >= from && r->birth.server_seq <= to)
        return true;
    for (uint32_t i = 0; i < r->count; i++) {
        for (uint32_t v = 0; v < r->cells[i].count; v++) {
            uint64_t seq = r->cells[i].versions[v].server_seq;
            if (seq >= from && seq <= to)
                return true;
        }
    }
    return false;
}

/* Notes that versions from `from` on became visible at `seq`, and forgets earlier notes whose versions are
 * all superseded or told again by this one. */
static enum err touch(struct cases *c, const struct record *r, uint64_t from, uint64_t seq, struct diag *d)
{
    struct touch *old = NULL;
    uint32_t count = 0;
    enum err rc = cstore_touches_of(c->st, c->a, r->row, &old, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (old[i].seq != seq && (old[i].from >= from || !version_between(r, old[i].from, old[i].seq)))
            rc = cstore_touch_drop(c->st, &old[i], d);
    }
    if (!rc)
        rc = cstore_touch_put(c->st, &(struct touch){.seq = seq, .from = from, .row = r->row}, d);
    return rc;
}

static uint32_t conflicts_of(const struct record *r)
{
    uint32_t count = record_conflict(r, 0) && !record_cell(r, 0) ? 1 : 0;
    for (uint32_t i = 0; i < r->count; i++)
        count += record_conflict(r, r->cells[i].field);
    return count;
}

static enum err keep(struct cases *c, struct loaded *l, uint64_t from, uint64_t seq, struct diag *d)
{
    struct buf packed;
    buf_init(&packed, 64u << 20);
    enum err rc = record_pack(&l->record, &packed);
    if (rc)
        (void)diag_set(d, rc, "A record grew beyond what can be kept in one row.");
    l->row.packed = buf_str(&packed);
    l->row.last_seq = seq;
    l->row.conflicts = conflicts_of(&l->record);
    l->row.deleted_seq = !record_deleted(&l->record) ? 0 : l->row.deleted_seq ? l->row.deleted_seq : seq;
    if (!rc)
        rc = cstore_record_put(c->st, &l->row, d);
    if (!rc)
        rc = touch(c, &l->record, from, seq, d);
    l->row.packed = STR_NONE;
    buf_free(&packed);
    return rc;
}

/* ---- children that waited, or whose household moved ---- */

struct row_list {
    VEC(struct row_id) list;
};

static bool stands_same(const struct record_row *a, const struct record_row *b)
{
    return row_id_same(a->household, b->household) && row_id_same(a->interview, b->interview) &&
           str_same(a->area, b->area);
}

static enum err interview_touched(struct cases *c, struct row_id id)
{
    if (row_id_none(id))
        return ERR_OK;
    for (uint32_t i = c->interviews.count; i-- > 0;) {
        if (row_id_same(c->interviews.at[i], id))
            return ERR_OK;
    }
    struct row_id *slot = vec_push(c->a, &c->interviews);
    if (!slot)
        return ERR_NOMEM;
    *slot = id;
    return ERR_OK;
}

static struct row_id root_of(const struct record_row *row)
{
    return row_id_none(row->household) ? row->interview : row->household;
}

static enum err root_note(struct cases *c, struct row_id root)
{
    for (uint32_t i = c->roots.count; i-- > 0;) {
        if (row_id_same(c->roots.at[i], root))
            return ERR_OK;
    }
    struct row_id *slot = vec_push(c->a, &c->roots);
    if (!slot)
        return ERR_NOMEM;
    *slot = root;
    return ERR_OK;
}

static enum err root_touched(struct cases *c, const struct record_row *row, uint64_t seq, struct diag *d)
{
    struct row_id root = root_of(row);
    if (row_id_none(root))
        return ERR_OK;
    enum err rc = cstore_trace_put(c->st, root, seq, d);
    return rc ? rc : root_note(c, root);
}

/* Where a row was, it is not any more. */
static enum err root_left(struct cases *c, const struct record_row *was)
{
    return row_id_none(root_of(was)) ? ERR_OK : root_note(c, root_of(was));
}

/* What was said of a row before anybody knew where it belongs is part of its household's history too. */
static enum err traces_follow(struct cases *c, const struct record_row *row, const struct record *r,
                              struct diag *d)
{
    enum err rc = r->born ? root_touched(c, row, r->birth.server_seq, d) : ERR_OK;
    for (uint32_t i = 0; !rc && i < r->count; i++) {
        for (uint32_t v = 0; !rc && v < r->cells[i].count; v++)
            rc = root_touched(c, row, r->cells[i].versions[v].server_seq, d);
    }
    return rc;
}

static enum err child_follow(struct cases *c, const struct record_row *child, const struct record_row *parent,
                             struct row_list *todo, struct diag *d)
{
    struct loaded l = {.row = *child};
    struct record_row was = *child;
    enum err rc = record_unpack(c->a, child->row, child->packed, &l.record, d);
    if (rc)
        return rc;
    stand(&l.row, &l.record, parent);
    if (stands_same(&was, &l.row))
        return ERR_OK;
    /* A device that may see it only from now on gets all of it; under a sequence of its own, because a
     * downlink frame is cut between sequences and many frames' worth may have waited for one parent. */
    rc = keep(c, &l, 0, ++cstore_counters(c->st)->server_seq, d);
    if (!rc)
        rc = interview_touched(c, l.row.interview);
    if (!rc && !row_id_same(was.household, l.row.household))
        rc = root_left(c, &was);
    if (!rc)
        rc = traces_follow(c, &l.row, &l.record, d);
    struct row_id *slot = rc ? NULL : vec_push(c->a, &todo->list);
    if (slot)
        *slot = child->row;
    return rc ? rc : slot ? ERR_OK : ERR_NOMEM;
}

static enum err children_follow(struct cases *c, struct row_id root, struct diag *d)
{
    struct row_list todo = {0};
    struct row_id *first = vec_push(c->a, &todo.list);
    if (!first)
        return ERR_NOMEM;
    *first = root;
    for (uint32_t next = 0; next < todo.list.count; next++) {
        struct record_row parent, *children = NULL;
        uint32_t count = 0;
        uint64_t after = 0;
        enum err rc = cstore_record(c->st, c->a, todo.list.at[next], &parent, d);
        do {
            if (!rc)
                rc = cstore_records(c->st, c->a, RECORDS_OF_PARENT, parent.row, 0, after, CHILDREN_PAGE,
                                    &children, &count, d);
            for (uint32_t i = 0; !rc && i < count; i++) {
                after = children[i].number;
                if (!row_id_same(children[i].row, parent.row))
                    rc = child_follow(c, &children[i], &parent, &todo, d);
            }
        } while (!rc && count == CHILDREN_PAGE);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

/* ---- applying ---- */

struct by_row {
    const struct change *change;
    int64_t hlc;
};

/* ---- conflicts, told for good ---- */

#define AUDIT_VALUE_MAX 200

static void version_text(struct buf *out, const struct version *v)
{
    struct str value = str_sub(v->value, 0, AUDIT_VALUE_MAX);
    while (value.n && !utf8_valid(value))
        value.n--;
    buf_put_z(out, out->n ? " | " : "");
    if (v->op == CHANGE_CLEAR || v->op == CHANGE_ROW_DELETE)
        buf_put_z(out, v->op == CHANGE_CLEAR ? "nothing" : "removed");
    else
        buf_put_json(out, value);
    if (v->status > 1)
        buf_printf(out, " status %u", v->status);
    buf_printf(out, " by person %u, handheld %llx.%u", v->person, (unsigned long long)v->device, v->inc);
}

static void cell_text(struct buf *out, const struct record *r, uint32_t field)
{
    const struct record_cell *cell = record_cell(r, field);
    buf_clear(out);
    for (uint32_t i = 0; cell && i < cell->count && out->n < CSTORE_TEXT_MAX / 2; i++)
        version_text(out, &cell->versions[i]);
}

static enum err conflict_audit(struct cases *c, const struct record *r, const struct change *change,
                               const char *what, struct str values, struct diag *d)
{
    struct buf about, who;
    buf_init(&about, 2 * CSTORE_TEXT_MAX);
    buf_init(&who, 64);
    buf_printf(&about, "row %llx.%u.%u field %u: ", (unsigned long long)r->row.device, r->row.inc,
               r->row.counter, change->field);
    buf_put_str(&about, values);
    buf_printf(&who, "person %u", change->person);
    enum err rc = about.failed ? about.failed
                               : cstore_audit(c->st, c->now_ms, buf_str(&who), str_of(what),
                                              str_sub(buf_str(&about), 0, CSTORE_TEXT_MAX), d);
    buf_free(&who);
    buf_free(&about);
    return rc;
}

struct dispute {
    bool before;
    struct buf values; /* of the cell, before the change */
};

static void dispute_begin(struct dispute *x, const struct record *r, const struct change *change)
{
    buf_init(&x->values, 2 * CSTORE_TEXT_MAX);
    x->before = record_conflict(r, change->field);
    if (x->before)
        cell_text(&x->values, r, change->field);
}

/* A value that is not shown any more, or not yet, is told of once: no value goes without a word. */
static enum err dispute_end(struct cases *c, struct dispute *x, const struct record *r,
                            const struct change *change, enum merge_result result, struct diag *d)
{
    bool after = record_conflict(r, change->field);
    bool attempt = field_policy(change->field) == POLICY_IMMUTABLE && result == MERGE_KEPT_BESIDE && !after;
    const char *what = after && !x->before   ? "conflict"
                       : x->before && !after ? "conflict-closed"
                       : attempt             ? "immutable-attempt"
                                             : NULL;
    c->conflict = c->conflict || after;
    if (what && !x->before)
        cell_text(&x->values, r, change->field);
    enum err rc = what ? conflict_audit(c, r, change, what, buf_str(&x->values), d) : ERR_OK;
    buf_free(&x->values);
    return rc;
}

static enum err apply_row(struct cases *c, struct case_author author, const struct by_row *items,
                          uint32_t count, uint64_t server_seq, struct diag *d)
{
    struct loaded l;
    bool centre = author.device == 0;
    enum err rc = load(c, items[0].change->row, &l, d);
    if (rc)
        return rc;
    struct record_row was = l.row;
    for (uint32_t i = 0; !rc && i < c->heir_count; i++)
        rc = record_inherit(c->a, &l.record, &c->heirs[i]);
    if (rc)
        return diag_set(d, rc, "Out of memory while merging a row.");
    for (uint32_t i = 0; i < count; i++) {
        enum merge_result result;
        const struct change *change = items[i].change;
        struct dispute dispute;
        dispute_begin(&dispute, &l.record, change);
        rc = record_apply(c->a, &l.record, change, author.device, author.inc, items[i].hlc,
                          centre ? change->seq : server_seq, &result);
        if (rc)
            (void)diag_set(d, rc, "A change of field %u cannot be merged.", change->field);
        else
            rc = dispute_end(c, &dispute, &l.record, change, result, d);
        if (rc)
            return rc;
    }
    if (l.is_new)
        l.row.number = ++cstore_counters(c->st)->row_number;
    rc = stand_under_parent(c, &l, d);
    if (rc)
        return rc;
    bool moved = l.is_new || !stands_same(&was, &l.row);
    uint64_t from = moved && !l.is_new ? 0 : centre ? items[0].change->seq : server_seq;
    rc = keep(c, &l, from, server_seq, d);
    if (!rc && moved)
        rc = children_follow(c, l.row.row, d);
    if (!rc)
        rc = interview_touched(c, l.row.interview);
    if (!rc && !row_id_same(was.household, l.row.household))
        rc = root_left(c, &was);
    return rc ? rc : root_touched(c, &l.row, centre ? items[0].change->seq : server_seq, d);
}

static int row_cmp(struct row_id a, struct row_id b)
{
    if (a.device != b.device)
        return a.device < b.device ? -1 : 1;
    if (a.inc != b.inc)
        return a.inc < b.inc ? -1 : 1;
    return a.counter < b.counter ? -1 : a.counter > b.counter;
}

static bool by_row_before(const struct by_row *a, const struct by_row *b)
{
    int order = row_cmp(a->change->row, b->change->row);
    return order ? order < 0 : a->change->seq < b->change->seq;
}

/* Bottom-up merge sort: as stable as the input, no recursion. */
static struct by_row *sort_by_row(struct by_row *items, struct by_row *room, uint32_t count)
{
    for (uint32_t width = 1; width < count; width *= 2) {
        for (uint32_t lo = 0; lo < count; lo += 2 * width) {
            uint32_t mid = lo + width < count ? lo + width : count;
            uint32_t hi = mid + width < count ? mid + width : count;
            uint32_t left = lo, right = mid;
            for (uint32_t i = lo; i < hi; i++) {
                bool take_right = left == mid || (right < hi && by_row_before(&items[right], &items[left]));
                room[i] = take_right ? items[right++] : items[left++];
            }
        }
        struct by_row *swap = items;
        items = room;
        room = swap;
    }
    return items;
}

enum err cases_apply(struct cases *c, struct case_author author, const struct change *changes,
                     const int64_t *hlc_effective, uint32_t count, uint64_t server_seq, struct diag *d)
{
    if (count == 0)
        return ERR_OK;
    struct by_row *items = ARENA_ARRAY(c->a, struct by_row, count);
    struct by_row *room = ARENA_ARRAY(c->a, struct by_row, count);
    if (!items || !room)
        return diag_set(d, ERR_NOMEM, "Out of memory while merging %u changes.", count);
    for (uint32_t i = 0; i < count; i++)
        items[i] = (struct by_row){&changes[i], hlc_effective[i]};
    items = sort_by_row(items, room, count);
    c->heir_count = 0;
    enum err known = author.device
                         ? cstore_heirs(c->st, c->a, author.device, author.inc, &c->heirs, &c->heir_count, d)
                         : ERR_OK;
    if (known)
        return known;
    for (uint32_t i = 0, n; i < count; i += n) {
        for (n = 1; i + n < count && row_id_same(items[i + n].change->row, items[i].change->row); n++) {
        }
        enum err rc = apply_row(c, author, items + i, n, server_seq, d);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

enum err cases_lines(struct cases *c, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < c->roots.count; i++)
        rc = lines_refresh(c->st, c->roots.at[i], c->basis, d);
    c->roots.count = 0;
    return rc;
}

/* ---- the centre's own edits ---- */

/* The centre's part of the log: with the frames it tells everything that ever happened to the records. */
static enum err own_keep(struct cases *c, const struct change *changes, uint32_t count, struct diag *d)
{
    struct buf payload;
    uint32_t epoch = cstore_counters(c->st)->epoch;
    const struct batch_head head = {.inc = epoch, .epoch = epoch, .now_ms = c->now_ms, .elapsed_ms = -1};
    buf_init(&payload, FRAME_RAW_MAX);
    enum err rc = batch_write(&head, NULL, changes, count, &payload, d);
    if (!rc)
        rc = cstore_own_put(c->st, &(struct own_row){changes[0].seq, buf_str(&payload)}, d);
    buf_free(&payload);
    return rc;
}

static bool left_alone(const struct case_edit *edit, const struct case_field *f, const struct record *r)
{
    if (edit->resolve || !f->value.p)
        return !f->value.p;
    return edit->birth ? f->value.n == 0 : str_eq(record_value(r, f->field), f->value);
}

static struct change change_of(const struct case_edit *edit, const struct case_field *f)
{
    struct change c = {.op = f->value.n ? CHANGE_SET : CHANGE_CLEAR, .field = f->field, .value = f->value};
    if (edit->resolve) {
        c.op = edit->remove ? CHANGE_ROW_DELETE : edit->clear ? CHANGE_CLEAR : CHANGE_RESOLVE;
        c.status = edit->status;
        c.value = c.op == CHANGE_RESOLVE ? f->value : STR("");
    }
    return c;
}

enum err cases_edit(struct cases *c, uint32_t epoch, int64_t now_ms, struct case_edit *edit, struct diag *d)
{
    struct counters *n = cstore_counters(c->st);
    struct loaded l = {0};
    struct buf birth;
    buf_init(&birth, 256);
    enum err rc = ERR_OK;
    uint32_t count = 0;
    uint64_t seen = n->server_seq;
    struct change *changes = ARENA_ARRAY(c->a, struct change, edit->field_count + 1);
    int64_t *hlc = ARENA_ARRAY(c->a, int64_t, edit->field_count + 1);
    if (!changes || !hlc)
        rc = ERR_NOMEM;
    c->now_ms = now_ms;
    epoch = n->epoch; /* what is written now is of today's, whenever the caller asked for it */
    if (!rc && edit->birth) {
        edit->row = (struct row_id){.device = 0, .inc = epoch, .counter = ++n->own_row};
        rc = row_birth_write(&birth, edit->birth);
        if (!rc)
            changes[count++] = (struct change){.op = CHANGE_ROW_CREATE, .value = buf_str(&birth)};
    } else if (!rc) {
        rc = load(c, edit->row, &l, d);
    }
    for (uint32_t i = 0; !rc && i < edit->field_count; i++) {
        if (!left_alone(edit, &edit->fields[i], &l.record))
            changes[count++] = change_of(edit, &edit->fields[i]);
    }
    for (uint32_t i = 0; !rc && i < count; i++) {
        n->hlc = hlc_next(n->hlc, now_ms, 0);
        hlc[i] = n->hlc;
        changes[i].row = edit->row;
        changes[i].seq = ++n->server_seq;
        changes[i].hlc = n->hlc;
        changes[i].seen = seen;
        changes[i].person = edit->person;
        changes[i].role = edit->role;
    }
    edit->changed = count > 0;
    if (!rc && count)
        rc = own_keep(c, changes, count, d);
    if (!rc && count)
        rc = cases_apply(c, (struct case_author){.device = 0, .inc = epoch}, changes, hlc, count,
                         n->server_seq, d);
    buf_free(&birth);
    if (!rc && count)
        rc = cases_lines(c, d);
    return rc == ERR_NOMEM ? diag_set(d, rc, "Out of memory while changing a record.") : rc;
}
