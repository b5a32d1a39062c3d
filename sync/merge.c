/* Merge: one cell at a time, by marks and maxima. The argument why this is enough stands in merge.h; the
 * shape here is: note the change in its author's mark, put it in the place of the author's earlier version,
 * drop what a mark has seen. */
#include "sync/merge_pack.h"

static int compare_u64(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_author(uint64_t device_a, uint32_t inc_a, uint64_t device_b, uint32_t inc_b)
{
    int by_device = compare_u64(device_a, device_b);
    return by_device ? by_device : compare_u64(inc_a, inc_b);
}

/* Who is shown. Positive: `a` ranks higher. */
static int compare_rank(const struct version *a, const struct version *b)
{
    if (a->hlc != b->hlc)
        return a->hlc < b->hlc ? -1 : 1;
    int by_author = compare_author(a->device, a->inc, b->device, b->inc);
    return by_author ? by_author : compare_u64(a->seq, b->seq);
}

/* --- places in sorted arrays
 * -------------------------------------------------------------------------------- */

static uint32_t cell_place(const struct record *r, uint32_t field, bool *found)
{
    uint32_t low = 0, high = r->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (r->cells[middle].field < field)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < r->count && r->cells[low].field == field;
    return low;
}

static int compare_mark(const struct version_mark *m, uint32_t field, uint64_t device, uint32_t inc)
{
    int by_field = compare_u64(m->field, field);
    return by_field ? by_field : compare_author(m->device, m->inc, device, inc);
}

static uint32_t mark_place(const struct record *r, uint32_t field, uint64_t device, uint32_t inc, bool *found)
{
    uint32_t low = 0, high = r->mark_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare_mark(&r->marks[middle], field, device, inc) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < r->mark_count && !compare_mark(&r->marks[low], field, device, inc);
    return low;
}

/* Room for one more in a sorted array in the arena: makes a gap at `place`. */
static void *open_gap(struct arena *a, void *items, uint32_t *count, uint32_t *room, size_t size,
                      uint32_t place)
{
    char *p = items;
    if (*count == *room) {
        uint32_t more = *room ? *room * 2 : 8;
        p = arena_array(a, more, size);
        if (!p)
            return NULL;
        if (*count)
            memcpy(p, items, *count * size);
        *room = more;
    }
    memmove(p + (place + 1) * size, p + place * size, (*count - place) * size);
    memset(p + place * size, 0, size);
    ++*count;
    return p;
}

struct version_mark *mark_of(struct arena *a, struct record *r, uint32_t field, uint64_t device, uint32_t inc)
{
    bool found;
    uint32_t place = mark_place(r, field, device, inc, &found);
    if (found)
        return &r->marks[place];
    void *p = open_gap(a, r->marks, &r->mark_count, &r->mark_room, sizeof(*r->marks), place);
    if (!p)
        return NULL;
    r->marks = p;
    r->marks[place] = (struct version_mark){.field = field, .device = device, .inc = inc};
    return &r->marks[place];
}

struct record_cell *cell_of(struct arena *a, struct record *r, uint32_t field)
{
    bool found;
    uint32_t place = cell_place(r, field, &found);
    if (found)
        return &r->cells[place];
    void *p = open_gap(a, r->cells, &r->count, &r->cell_room, sizeof(*r->cells), place);
    if (!p)
        return NULL;
    r->cells = p;
    r->cells[place].field = field;
    return &r->cells[place];
}

static int compare_heir(const struct heir *a, const struct heir *b)
{
    int by_author = compare_author(a->device, a->inc, b->device, b->inc);
    return by_author ? by_author : compare_u64(a->from, b->from);
}

enum err record_inherit(struct arena *a, struct record *r, const struct heir *h)
{
    uint32_t place = 0;
    while (place < r->heir_count && compare_heir(&r->heirs[place], h) < 0)
        place++;
    if (place == r->heir_count || compare_heir(&r->heirs[place], h)) {
        void *p = open_gap(a, r->heirs, &r->heir_count, &r->heir_room, sizeof(*r->heirs), place);
        if (!p)
            return ERR_NOMEM;
        r->heirs = p;
        r->heirs[place] = *h;
    }
    if (h->upto > r->heirs[place].upto)
        r->heirs[place].upto = h->upto;
    return ERR_OK;
}

/* --- one cell
 * ----------------------------------------------------------------------------------------------- */

static struct version *version_by(const struct record_cell *cell, uint64_t device, uint32_t inc)
{
    for (uint32_t i = 0; i < cell->count; i++)
        if (cell->versions[i].device == device && cell->versions[i].inc == inc)
            return &cell->versions[i];
    return NULL;
}

static enum err append_version(struct arena *a, struct record_cell *cell, const struct version *v)
{
    struct version *wider = ARENA_ARRAY(a, struct version, cell->count + 1);
    if (!wider)
        return ERR_NOMEM;
    if (cell->count)
        memcpy(wider, cell->versions, cell->count * sizeof(*wider));
    wider[cell->count++] = *v;
    cell->versions = wider;
    return ERR_OK;
}

/* In the place of the author's earlier version; a new one gets an array of its own. */
static enum err put_version(struct arena *a, struct record_cell *cell, const struct version *v)
{
    struct version *mine = version_by(cell, v->device, v->inc);
    if (mine) {
        *mine = *v;
        return ERR_OK;
    }
    return append_version(a, cell, v);
}

static void sort_versions(struct record_cell *cell)
{
    for (uint32_t i = 1; i < cell->count; i++) {
        struct version v = cell->versions[i];
        uint32_t k = i;
        for (; k > 0 && compare_rank(&v, &cell->versions[k - 1]) > 0; k--)
            cell->versions[k] = cell->versions[k - 1];
        cell->versions[k] = v;
    }
}

static bool inherits(const struct record *r, uint64_t device, uint32_t inc, const struct version *v)
{
    for (uint32_t i = 0; i < r->heir_count; i++) {
        const struct heir *h = &r->heirs[i];
        if (h->device == device && h->inc == inc && v->device == device && h->from == v->inc)
            return v->seq <= h->upto;
    }
    return false;
}

static bool seen_by_another(const struct record *r, uint32_t field, const struct version *v)
{
    bool found;
    uint32_t i = mark_place(r, field, 0, 0, &found);
    for (; i < r->mark_count && r->marks[i].field == field; i++) {
        const struct version_mark *m = &r->marks[i];
        if (m->device == v->device && m->inc == v->inc)
            continue;
        if ((v->server_seq && m->seen >= v->server_seq) || (m->seq && inherits(r, m->device, m->inc, v)))
            return true;
    }
    return false;
}

/* Sorted first, so that the one that stays in a circle of lies is the highest-ranked. */
static void drop_dominated(const struct record *r, struct record_cell *cell)
{
    sort_versions(cell);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < cell->count; i++)
        if (!seen_by_another(r, cell->field, &cell->versions[i]))
            cell->versions[kept++] = cell->versions[i];
    if (cell->count && !kept)
        kept = 1;
    cell->count = kept;
}

/* --- an immutable cell: everything is kept
 * ----------------------------------------------------------------------------------------------- */

/* Had `c`'s author made or seen `v`? */
static bool covers(const struct record *r, const struct version *c, const struct version *v)
{
    if (c->device == v->device && c->inc == v->inc)
        return c->seq > v->seq;
    if (inherits(r, c->device, c->inc, v))
        return true;
    return v->server_seq && v->server_seq <= honest_seen(c->seen, c->server_seq);
}

/* A first answer: its author had seen none before it. */
static bool is_root(const struct record *r, const struct record_cell *cell, const struct version *v)
{
    if (v->op == CHANGE_RESOLVE)
        return false;
    for (uint32_t i = 0; i < cell->count; i++)
        if (cell->versions[i].op != CHANGE_RESOLVE && covers(r, v, &cell->versions[i]))
            return false;
    return true;
}

/* A decision that no other one has seen. */
static bool is_last_word(const struct record *r, const struct record_cell *cell, const struct version *v)
{
    if (v->op != CHANGE_RESOLVE)
        return false;
    for (uint32_t i = 0; i < cell->count; i++)
        if (cell->versions[i].op == CHANGE_RESOLVE && covers(r, &cell->versions[i], v))
            return false;
    return true;
}

/* Positive: `a` is to be shown rather than `b`. Decisions before answers, the last of them before others;
 * first answers before attempts, the earliest of them before others. */
static int compare_immutable(const struct record *r, const struct record_cell *cell, const struct version *a,
                             const struct version *b)
{
    int class_a = is_last_word(r, cell, a) ? 2 : is_root(r, cell, a) ? 1 : 0;
    int class_b = is_last_word(r, cell, b) ? 2 : is_root(r, cell, b) ? 1 : 0;
    if (class_a != class_b)
        return class_a - class_b;
    return class_a == 2 ? compare_rank(a, b) : -compare_rank(a, b);
}

static void show_first(const struct record *r, struct record_cell *cell)
{
    uint32_t best = 0;
    sort_versions(cell);
    for (uint32_t i = 1; i < cell->count; i++)
        if (compare_immutable(r, cell, &cell->versions[i], &cell->versions[best]) > 0)
            best = i;
    struct version shown = cell->versions[best];
    memmove(cell->versions + 1, cell->versions, best * sizeof(*cell->versions));
    cell->versions[0] = shown;
}

static struct version *version_exact(const struct record_cell *cell, uint64_t device, uint32_t inc,
                                     uint64_t seq)
{
    for (uint32_t i = 0; i < cell->count; i++) {
        struct version *v = &cell->versions[i];
        if (v->device == device && v->inc == inc && v->seq == seq)
            return v;
    }
    return NULL;
}

static enum merge_result place_of(const struct record_cell *cell, const struct version *v)
{
    for (uint32_t i = 0; i < cell->count; i++) {
        const struct version *w = &cell->versions[i];
        if (w->device == v->device && w->inc == v->inc && w->seq == v->seq)
            return i ? MERGE_KEPT_BESIDE : MERGE_SHOWN;
    }
    return MERGE_DOMINATED;
}

static bool is_immutable(uint32_t field)
{
    return field_policy(field) == POLICY_IMMUTABLE;
}

/* The first place of those that it came in: by two ways, or from two copies of one handheld. */
static void take_place(struct version *v, uint64_t server_seq)
{
    if (server_seq && (!v->server_seq || server_seq < v->server_seq))
        v->server_seq = server_seq;
}

static enum err apply_to_immutable(struct arena *a, const struct record *r, struct record_cell *cell,
                                   struct version_mark *mark, const struct version *v,
                                   enum merge_result *result)
{
    struct version *same = version_exact(cell, v->device, v->inc, v->seq);
    if (same)
        take_place(same, v->server_seq);
    enum err rc = same                                   ? ERR_OK
                  : cell->count < IMMUTABLE_ATTEMPTS_MAX ? append_version(a, cell, v)
                                                         : ERR_LIMIT;
    if (rc)
        return rc;
    uint64_t seen = honest_seen(v->seen, v->server_seq);
    mark->seq = v->seq > mark->seq ? v->seq : mark->seq;
    mark->seen = seen > mark->seen ? seen : mark->seen;
    show_first(r, cell);
    *result = same ? MERGE_DUPLICATE : place_of(cell, v);
    return ERR_OK;
}

static enum err apply_to_cell(struct arena *a, struct record *r, uint32_t field, const struct version *v,
                              enum merge_result *result)
{
    bool found;
    uint64_t seen = honest_seen(v->seen, v->server_seq);
    mark_place(r, field, v->device, v->inc, &found);
    struct version_mark *mark = mark_of(a, r, field, v->device, v->inc);
    struct record_cell *cell = cell_of(a, r, field);
    if (!mark || !cell)
        return ERR_NOMEM;
    if (is_immutable(field))
        return apply_to_immutable(a, r, cell, mark, v, result);
    bool duplicate = found && mark->seq == v->seq;
    bool newest = !found || v->seq > mark->seq;
    if (duplicate) {
        struct version *mine = version_by(cell, v->device, v->inc);
        if (mine)
            take_place(mine, v->server_seq);
    } else if (newest) {
        enum err rc = put_version(a, cell, v);
        if (rc)
            return rc;
        mark->seq = v->seq;
    }
    if (seen > mark->seen)
        mark->seen = seen;
    drop_dominated(r, cell);
    *result = duplicate ? MERGE_DUPLICATE : place_of(cell, v);
    return ERR_OK;
}

/* --- births
 * ------------------------------------------------------------------------------------------------- */

/* Negative: `a` is the better birth. The row's own creator first, then whoever sorts first. */
static int compare_birth(struct row_id row, const struct version *a, const struct version *b)
{
    bool creator_a = a->device == row.device && a->inc == row.inc;
    bool creator_b = b->device == row.device && b->inc == row.inc;
    if (creator_a != creator_b)
        return creator_a ? -1 : 1;
    int by_author = compare_author(a->device, a->inc, b->device, b->inc);
    return by_author ? by_author : compare_u64(a->seq, b->seq);
}

static enum merge_result apply_birth(struct record *r, const struct version *v)
{
    int order = r->born ? compare_birth(r->row, v, &r->birth) : -1;
    if (order > 0)
        return MERGE_DOMINATED;
    if (order == 0) {
        if (!r->birth.server_seq)
            r->birth.server_seq = v->server_seq;
        return MERGE_DUPLICATE;
    }
    r->born = true;
    r->birth = *v;
    return MERGE_SHOWN;
}

enum err record_apply(struct arena *a, struct record *r, const struct change *c, uint64_t device,
                      uint32_t inc, int64_t hlc_effective, uint64_t server_seq, enum merge_result *result_out)
{
    CHECK(row_id_same(r->row, c->row));
    struct version v = {.device = device,
                        .inc = inc,
                        .seq = c->seq,
                        .hlc = hlc_effective,
                        .seen = c->seen,
                        .server_seq = server_seq,
                        .op = c->op,
                        .status = c->status,
                        .person = c->person,
                        .role = c->role,
                        .value = c->value.n ? c->value : STR("")};
    if (c->op == CHANGE_ROW_CREATE) {
        *result_out = apply_birth(r, &v);
        return ERR_OK;
    }
    enum merge_result result = MERGE_SHOWN;
    enum err rc = apply_to_cell(a, r, c->field, &v, &result);
    if (!rc)
        *result_out = result;
    return rc;
}

/* --- asking
 * ------------------------------------------------------------------------------------------------- */

const struct record_cell *record_cell(const struct record *r, uint32_t field)
{
    bool found;
    uint32_t place = cell_place(r, field, &found);
    return found ? &r->cells[place] : NULL;
}

struct str record_value(const struct record *r, uint32_t field)
{
    const struct record_cell *cell = record_cell(r, field);
    if (!cell || cell->versions[0].op == CHANGE_CLEAR || cell->versions[0].op == CHANGE_ROW_DELETE)
        return STR("");
    return cell->versions[0].value;
}

static bool covered(const struct record *r, const struct record_cell *rows, const struct version *v)
{
    for (uint32_t i = 0; i < rows->count; i++)
        if (rows->versions[i].op == CHANGE_ROW_DELETE && covers(r, &rows->versions[i], v))
            return true;
    return false;
}

/* Is there a delete, and is there something that no delete has seen? */
static void look_for_delete(const struct record *r, bool *deleted, bool *survivor)
{
    const struct record_cell *rows = record_cell(r, 0);
    *deleted = *survivor = false;
    for (uint32_t i = 0; rows && i < rows->count; i++)
        *deleted = *deleted || rows->versions[i].op == CHANGE_ROW_DELETE;
    for (uint32_t k = 0; *deleted && k < r->count; k++)
        for (uint32_t i = 0; i < r->cells[k].count; i++) {
            const struct version *v = &r->cells[k].versions[i];
            *survivor = *survivor || (v->op != CHANGE_ROW_DELETE && !covered(r, rows, v));
        }
}

bool record_deleted(const struct record *r)
{
    bool deleted, survivor;
    look_for_delete(r, &deleted, &survivor);
    return deleted && !survivor;
}

static bool same_answer(const struct version *a, const struct version *b)
{
    enum change_op op_a = a->op == CHANGE_RESOLVE ? CHANGE_SET : a->op;
    enum change_op op_b = b->op == CHANGE_RESOLVE ? CHANGE_SET : b->op;
    return op_a == op_b && a->status == b->status && str_eq(a->value, b->value);
}

#define STATUS_ANSWERED_MAX 1 /* 0 nothing said about it, 1 answered: above, an answer that is none */

/* Words of a union, or their absence. */
static bool has_words(const struct version *v)
{
    return v->status <= STATUS_ANSWERED_MAX &&
           (v->op == CHANGE_SET || v->op == CHANGE_RESOLVE || v->op == CHANGE_CLEAR);
}

static bool disputes_immutable(const struct record *r, const struct record_cell *cell,
                               const struct version *v)
{
    const struct version *shown = &cell->versions[0];
    return !covers(r, shown, v) && (is_last_word(r, cell, v) || is_root(r, cell, v));
}

bool record_disputes(const struct record *r, const struct record_cell *cell, uint32_t i)
{
    const struct version *shown = &cell->versions[0], *v = &cell->versions[i];
    if (i == 0 || same_answer(shown, v))
        return false;
    switch (field_policy(cell->field)) {
    case POLICY_UNION: return !has_words(shown) || !has_words(v);
    case POLICY_IMMUTABLE: return disputes_immutable(r, cell, v);
    case POLICY_VISIT: return false;
    default: return true;
    }
}

bool record_conflict(const struct record *r, uint32_t field)
{
    bool deleted = false, survivor = false;
    if (field == 0)
        look_for_delete(r, &deleted, &survivor);
    if (deleted && survivor)
        return true;
    const struct record_cell *cell = record_cell(r, field);
    for (uint32_t i = 1; cell && i < cell->count; i++)
        if (record_disputes(r, cell, i))
            return true;
    return false;
}

bool record_disputed(const struct record *r, enum field_policy policy)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (field_policy(r->cells[i].field) == policy && record_conflict(r, r->cells[i].field))
            return true;
    return false;
}

static bool holds_word(struct str list, struct str word)
{
    struct str item;
    while (str_split(&list, ' ', &item))
        if (str_eq(item, word))
            return true;
    return false;
}

/* Words in the order in which the versions rank; each once. */
static enum err join_words(struct arena *a, const struct record_cell *cell, struct str *value_out)
{
    size_t room = 0, n = 0;
    for (uint32_t i = 0; i < cell->count; i++)
        room += cell->versions[i].value.n + 1;
    char *text = arena_alloc(a, room);
    if (!text)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < cell->count; i++) {
        struct str rest = cell->versions[i].value, word;
        while (has_words(&cell->versions[i]) && str_split(&rest, ' ', &word)) {
            if (!word.n || holds_word((struct str){text, n}, word))
                continue;
            if (n)
                text[n++] = ' ';
            memcpy(text + n, word.p, word.n);
            n += word.n;
        }
    }
    *value_out = n ? (struct str){text, n} : STR_NONE;
    return ERR_OK;
}

enum err record_answer(struct arena *a, const struct record_cell *cell, struct str *value_out)
{
    const struct version *shown = &cell->versions[0];
    if (field_policy(cell->field) == POLICY_UNION && cell->count > 1 && has_words(shown))
        return join_words(a, cell, value_out);
    *value_out = shown->op == CHANGE_CLEAR || shown->op == CHANGE_ROW_DELETE ? STR_NONE : shown->value;
    return ERR_OK;
}

bool record_birth(const struct record *r, struct row_birth *out)
{
    return r->born && row_birth_read(r->birth.value, out);
}

/* --- changing what is known about versions
 * ------------------------------------------------------------------------------------------------- */

static void set_back(struct version *v, uint64_t last)
{
    if (v->server_seq > last)
        v->server_seq = 0;
    if (v->seen > last)
        v->seen = last;
}

/* A mark says no more than the versions that are left, of others than ourselves only those that have a place:
 * what is told again must not pass for known. */
static void remark(struct record *r, struct version_mark *m, uint64_t last, bool own)
{
    const struct record_cell *cell = record_cell(r, m->field);
    m->seq = 0;
    m->seen = m->seen > last ? last : m->seen;
    for (uint32_t i = 0; cell && i < cell->count; i++) {
        const struct version *v = &cell->versions[i];
        if (v->device == m->device && v->inc == m->inc && v->seq > m->seq && (own || v->server_seq))
            m->seq = v->seq;
    }
}

void record_set_back(struct record *r, uint64_t last, uint64_t device, uint32_t inc)
{
    if (r->born)
        set_back(&r->birth, last);
    for (uint32_t i = 0; i < r->count; i++)
        for (uint32_t k = 0; k < r->cells[i].count; k++)
            set_back(&r->cells[i].versions[k], last);
    for (uint32_t i = 0; i < r->mark_count; i++)
        remark(r, &r->marks[i], last, r->marks[i].device == device && r->marks[i].inc == inc);
}

static bool has_place(const struct version *v, uint64_t device)
{
    return v->server_seq || v->device == device;
}

/* Marks stand with their cell. */
static void drop_marks(struct record *r, uint32_t field)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->mark_count; i++)
        if (r->marks[i].field != field)
            r->marks[kept++] = r->marks[i];
    r->mark_count = kept;
}

bool record_settle(struct record *r, uint64_t device)
{
    uint32_t cells = 0;
    bool any = r->born && !has_place(&r->birth, device);
    if (any)
        r->born = false;
    for (uint32_t i = 0; i < r->count; i++) {
        struct record_cell *cell = &r->cells[i];
        uint32_t left = 0;
        for (uint32_t k = 0; k < cell->count; k++)
            if (has_place(&cell->versions[k], device))
                cell->versions[left++] = cell->versions[k];
        any = any || left < cell->count;
        cell->count = left;
        if (left && is_immutable(cell->field))
            show_first(r, cell);
        if (left)
            r->cells[cells++] = *cell;
        else
            drop_marks(r, cell->field);
    }
    r->count = cells;
    return any;
}

static bool handed_over(const struct record_handover *w, const struct version *v)
{
    uint32_t low = 0, high = w->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (w->seqs[middle] < v->seq)
            low = middle + 1;
        else
            high = middle;
    }
    return v->device == w->device && v->inc == w->inc && low < w->count && w->seqs[low] == v->seq;
}

static enum err hand_over_cell(struct arena *a, struct record *r, uint32_t place,
                               const struct record_handover *w)
{
    struct record_cell *cell = &r->cells[place];
    uint64_t left = 0, seq = 0, seen = 0;
    bool any = false;
    for (uint32_t i = 0; i < cell->count; i++) {
        struct version *v = &cell->versions[i];
        if (handed_over(w, v)) {
            any = true;
            seq = v->seq > seq ? v->seq : seq;
            seen = v->seen > seen ? v->seen : seen;
            v->device = w->to_device;
            v->inc = w->to_inc;
        } else if (v->device == w->device && v->inc == w->inc && v->seq > left) {
            left = v->seq;
        }
    }
    if (!any)
        return ERR_OK;
    struct version_mark *to = mark_of(a, r, cell->field, w->to_device, w->to_inc);
    if (!to)
        return ERR_NOMEM;
    to->seq = seq > to->seq ? seq : to->seq;
    to->seen = seen > to->seen ? seen : to->seen;
    struct version_mark *from = mark_of(a, r, cell->field, w->device, w->inc);
    if (!from)
        return ERR_NOMEM;
    from->seq = left;
    if (is_immutable(cell->field))
        show_first(r, cell);
    else
        sort_versions(cell);
    return ERR_OK;
}

enum err record_hand_over(struct arena *a, struct record *r, const struct record_handover *w)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < r->count; i++)
        rc = hand_over_cell(a, r, i, w);
    return rc;
}

bool record_bury(struct record *r)
{
    if (!record_deleted(r))
        return false;
    for (uint32_t i = 0; i < r->count; i++)
        for (uint32_t k = 0; r->cells[i].field && k < r->cells[i].count; k++) {
            struct version *v = &r->cells[i].versions[k];
            v->op = CHANGE_CLEAR;
            v->status = 0;
            v->value = STR("");
        }
    return true;
}

/* --- the state
 * ------------------------------------------------------------------------------------------------- */

static void put_told(struct buf *out, const struct version *v)
{
    buf_put_u64le(out, v->device);
    buf_put_u32le(out, v->inc);
    buf_put_uv(out, v->seq);
    buf_put_char(out, (char)v->op);
    buf_put_char(out, (char)v->status);
    buf_put_uv(out, v->person);
    buf_put_char(out, (char)v->role);
    buf_put_sv(out, v->hlc);
    buf_put_uv(out, v->value.n);
    buf_put_str(out, v->value);
}

enum err record_state(const struct record *r, struct buf *out)
{
    unsigned char id[ROW_ID_SIZE];
    bool deleted = record_deleted(r);
    row_id_write(r->row, id);
    buf_put(out, id, sizeof(id));
    buf_put_char(out, (char)(r->born + 2 * deleted));
    if (r->born)
        put_told(out, &r->birth);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct record_cell *cell = &r->cells[i];
        if (deleted && cell->field)
            continue;
        buf_put_uv(out, cell->field);
        buf_put_uv(out, cell->count);
        for (uint32_t k = 0; k < cell->count; k++)
            put_told(out, &cell->versions[k]);
    }
    return out->failed;
}
