/* Columns, outward. Always true: what is written depends only on the changes, the head and the row numbers
 * given, so that the same batch has the same bytes on every machine. */
#include "platform/base/map.h"
#include "platform/crypto.h"
#include "sync/batch_columns.h"
#include "sync/batch_value.h"

struct writer {
    struct arena arena;
    const struct batch_head *head;
    const struct batch_rows *rows;
    const struct change *ch;
    const struct down_author *au;
    uint32_t n;
    struct buf *out;
    struct diag *d;
    uint64_t flags;
    uint64_t *col;   /* one column at a time */
    uint32_t *group; /* where each group starts; one more entry, n, behind the last */
    uint32_t group_count;
    bool *born; /* by group */
    struct group_kinds kinds;

    struct map row_place; /* id bytes -> place among the rows named */
    uint32_t row_count;   /* every naming in full is a place of its own */
    struct map device_place;
    VEC(uint32_t) device_counter;      /* by device place: counter named last */
    uint32_t own_counter, new_counter; /* named last, of rows that were there and of rows born here */
    uint64_t number;
    struct buf named; /* ids of the rows named by number */
    int64_t order;
    unsigned char object[8];
};

/* Runs and single values, as tokens. */
static void put_tokens(struct buf *b, const uint64_t *v, uint32_t n)
{
    for (uint32_t i = 0; i < n;) {
        uint32_t same = 1;
        while (i + same < n && v[i + same] == v[i])
            same++;
        if (same >= 2) {
            buf_put_uv(b, (uint64_t)(same - 2) << 2 | COLUMN_RUN);
            buf_put_uv(b, v[i]);
            i += same;
            continue;
        }
        uint32_t end = i + 1; /* up to where three equal values make a run worth its token */
        while (end < n && !(end + 2 < n && v[end] == v[end + 1] && v[end] == v[end + 2]))
            end++;
        buf_put_uv(b, (uint64_t)(end - i - 1) << 2 | COLUMN_PLAIN);
        for (; i < end; i++)
            buf_put_uv(b, v[i]);
    }
}

static unsigned bits_of(uint64_t v)
{
    unsigned bits = 0;
    for (; v; v >>= 1)
        bits++;
    return bits;
}

/* All values in as many bits as the largest needs, the first value in the lowest bits. */
static void put_packed(struct buf *b, const uint64_t *v, uint32_t n, unsigned width, unsigned shift)
{
    uint64_t waiting = 0;
    unsigned bits = 0;
    buf_put_uv(b, (uint64_t)(n - 1) << 2 | COLUMN_PACKED);
    buf_put_char(b, (char)(width | shift << COLUMN_SHIFT_AT));
    for (uint32_t i = 0; i < n; i++) {
        waiting |= v[i] >> shift << bits;
        for (bits += width; bits >= 8; bits -= 8, waiting >>= 8)
            buf_put_char(b, (char)waiting);
    }
    if (bits)
        buf_put_char(b, (char)waiting);
}

/* Packing pays where values are many and differ; it must be clearly shorter, because what compresses the
 * whole payload sees repetitions in bytes better than in bits. One value alone stands for itself. */
static void put_column(struct buf *b, const uint64_t *v, uint32_t n)
{
    uint64_t largest = 0;
    if (n == 1)
        buf_put_uv(b, v[0]);
    if (n <= 1)
        return;
    size_t at = b->n;
    put_tokens(b, v, n);
    for (uint32_t i = 0; i < n; i++)
        largest |= v[i];
    unsigned shift = 0;
    while (largest && shift < 3 && !(largest >> shift & 1)) /* a bit that none has */
        shift++;
    unsigned width = bits_of(largest >> shift);
    size_t packed = ((size_t)n * width + 7) / 8 + 4;
    if (b->failed || !width || width > COLUMN_WIDTH_MAX || packed >= (b->n - at) * 7 / 8)
        return;
    b->n = at;
    put_packed(b, v, n, width, shift);
}

/* A column that is all zero is left out, and the flag stays away. */
static void put_flagged(struct writer *w, uint64_t flag, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (w->col[i]) {
            w->flags |= flag;
            put_column(w->out, w->col, n);
            return;
        }
}

static int64_t hlc_at(const struct writer *w, uint32_t i)
{
    return w->au ? w->au[i].hlc : w->ch[i].hlc;
}

static uint64_t seq_at(const struct writer *w, uint32_t i)
{
    return w->au ? w->au[i].seq : w->ch[i].seq;
}

static uint64_t row_number_at(const struct writer *w, uint32_t i)
{
    return w->au ? w->au[i].row_number : 0;
}

/* --- what can be written at all
 * ----------------------------------------------------------------------------- */

static enum err check_change(const struct writer *w, uint32_t i)
{
    const struct change *c = &w->ch[i];
    if (c->value.n > BATCH_VALUE_MAX)
        return diag_set(w->d, ERR_LIMIT, "A value of %zu bytes (field %u) cannot travel; %u are allowed.",
                        c->value.n, (unsigned)c->field, (unsigned)BATCH_VALUE_MAX);
    if ((unsigned)c->op > CHANGE_FINALISE || (op_on_row(c->op) && c->field))
        return diag_set(w->d, ERR_USAGE, "Change %u of the batch: operation %u does not go with field %u.",
                        (unsigned)i, (unsigned)c->op, (unsigned)c->field);
    if (i && !w->au && c->seq <= c[-1].seq)
        return diag_set(w->d, ERR_USAGE, "The batch is not in the order of its sequence at change %u.",
                        (unsigned)i);
    return ERR_OK;
}

static enum err check_changes(const struct writer *w)
{
    if (w->n > BATCH_CHANGES_MAX)
        return diag_set(w->d, ERR_LIMIT, "A batch of %u changes is too large; %u are allowed.",
                        (unsigned)w->n, (unsigned)BATCH_CHANGES_MAX);
    for (uint32_t i = 0; i < w->n; i++) {
        enum err rc = check_change(w, i);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

/* --- rows
 * --------------------------------------------------------------------------------------------------- */

static void find_groups(struct writer *w)
{
    for (uint32_t i = 0; i < w->n; i++) {
        bool same = i && row_id_same(w->ch[i].row, w->ch[i - 1].row) &&
                    row_number_at(w, i) == row_number_at(w, i - 1);
        if (same)
            continue;
        w->born[w->group_count] = w->ch[i].op == CHANGE_ROW_CREATE;
        w->group[w->group_count++] = i;
    }
    w->group[w->group_count] = w->n;
}

static bool own(const struct writer *w, struct row_id id)
{
    return id.device == w->head->device && id.inc == w->head->inc;
}

static void put_ref(struct writer *w, enum row_ref kind, uint64_t rest)
{
    buf_put_uv(w->out, rest << 2 | kind);
}

/* The place of a device in the payload's table; *new_out when it has just been added. */
static enum err device_place(struct writer *w, uint64_t device, uint32_t inc, uint32_t *place_out,
                             bool *new_out)
{
    unsigned char key[ROW_ID_SIZE];
    row_id_write((struct row_id){device, inc, 0}, key);
    struct str s = {(const char *)key, 12};
    *new_out = !map_get(&w->device_place, s, place_out);
    if (!*new_out)
        return ERR_OK;
    s = arena_str(&w->arena, s);
    *place_out = w->device_counter.count;
    if (!s.p || !vec_push(&w->arena, &w->device_counter))
        return ERR_NOMEM;
    return map_put(&w->device_place, s, *place_out);
}

static void put_device(struct writer *w, uint64_t device, uint32_t inc)
{
    buf_put_uv(w->out, (uint64_t)inc << 1 | (device == 0));
    if (device)
        buf_put_u64le(w->out, device);
}

static enum err put_full_id(struct writer *w, struct row_id id, bool born)
{
    uint32_t place;
    bool is_new;
    enum err rc = device_place(w, id.device, id.inc, &place, &is_new);
    if (rc)
        return rc;
    put_ref(w, REF_OTHER, born ? OTHER_NEW : OTHER_FULL);
    buf_put_uv(w->out, place);
    if (is_new)
        put_device(w, id.device, id.inc);
    buf_put_uv(w->out, zigzag((int64_t)id.counter - w->device_counter.at[place]));
    w->device_counter.at[place] = id.counter;
    return ERR_OK;
}

static enum err put_row(struct writer *w, struct row_id id, bool born)
{
    unsigned char key[ROW_ID_SIZE];
    row_id_write(id, key);
    struct str bytes = {(const char *)key, sizeof(key)};
    uint32_t place;
    uint64_t number;
    bool known = map_get(&w->row_place, bytes, &place);
    enum err rc = ERR_OK;
    if (known && !born) {
        put_ref(w, REF_OTHER, OTHER_BACK + (w->row_count - 1 - place));
        return ERR_OK;
    }
    if (!born && w->rows && w->rows->number_of && w->rows->number_of(w->rows->self, id, &number)) {
        CHECK(number < UINT64_C(1) << 60);
        put_ref(w, REF_NUMBER, zigzag(minus(number, w->number)));
        w->number = number;
        buf_put_str(&w->named, bytes);
    } else if (own(w, id)) {
        uint32_t *before = born ? &w->new_counter : &w->own_counter;
        put_ref(w, born ? REF_NEW : REF_OWN, zigzag((int64_t)id.counter - *before - born));
        *before = id.counter;
    } else {
        rc = put_full_id(w, id, born);
    }
    if (rc)
        return rc;
    bytes = arena_str(&w->arena, bytes);
    return bytes.p ? map_put(&w->row_place, bytes, w->row_count++) : ERR_NOMEM;
}

static enum err put_birth(struct writer *w, struct str value)
{
    struct row_birth b;
    if (!row_birth_read(value, &b)) {
        buf_put_char(w->out, BIRTH_RAW);
        buf_put_uv(w->out, value.n);
        buf_put_str(w->out, value);
        return ERR_OK;
    }
    static const unsigned char no_object[sizeof(b.object)];
    bool parent = !row_id_same(b.parent, (struct row_id){0});
    bool place = b.number || b.order;
    bool object = memcmp(b.object, no_object, sizeof(no_object)) != 0;
    bool same_object = object && memcmp(b.object, w->object, sizeof(b.object)) == 0;
    unsigned kind = (unsigned)b.kind < BIRTH_KIND_FOLLOWS ? (unsigned)b.kind : BIRTH_KIND_FOLLOWS;
    buf_put_char(w->out, (char)(kind | (parent ? BIRTH_HAS_PARENT : 0) | (place ? BIRTH_HAS_PLACE : 0) |
                                (same_object ? BIRTH_SAME_OBJECT
                                 : object    ? BIRTH_HAS_OBJECT
                                             : 0)));
    if (kind == BIRTH_KIND_FOLLOWS)
        buf_put_char(w->out, (char)b.kind);
    enum err rc = parent ? put_row(w, b.parent, false) : ERR_OK;
    if (place) {
        buf_put_uv(w->out, b.number);
        buf_put_uv(w->out, zigzag(minus((uint64_t)b.order, (uint64_t)w->order)));
        w->order = b.order;
    }
    if (object && !same_object) {
        buf_put(w->out, b.object, sizeof(b.object));
        memcpy(w->object, b.object, sizeof(b.object));
    }
    return rc;
}

static enum err put_rows(struct writer *w)
{
    buf_put_uv(w->out, w->group_count);
    if (w->group_count > 1 && w->group_count < w->n) {
        for (uint32_t g = 0; g < w->group_count; g++)
            w->col[g] = w->group[g + 1] - w->group[g] - 1;
        put_column(w->out, w->col, w->group_count);
    }
    for (uint32_t g = 0; g < w->group_count; g++) {
        const struct change *c = &w->ch[w->group[g]];
        enum err rc = put_row(w, c->row, w->born[g]);
        if (!rc && w->born[g])
            rc = put_birth(w, c->value);
        if (rc)
            return rc;
    }
    if (!w->named.n)
        return w->named.failed;
    unsigned char hash[SHA256_SIZE];
    enum err rc = sha256(buf_str(&w->named), hash);
    if (rc)
        return rc;
    w->flags |= COLUMNS_NUMBERED;
    buf_put(w->out, hash, 4);
    return ERR_OK;
}

static void put_row_numbers(struct writer *w)
{
    uint64_t before = 0;
    for (uint32_t g = 0; g < w->group_count; g++) {
        uint64_t number = row_number_at(w, w->group[g]);
        w->col[g] = zigzag(minus(number, before));
        before = number;
    }
    put_flagged(w, COLUMNS_ROW_NUMBERS, w->group_count);
}

/* --- the other facts
 * ---------------------------------------------------------------------------------------- */

static enum err put_authors(struct writer *w)
{
    struct buf *out = w->out, table;
    buf_init(&table, w->n * 16u);
    enum err rc = ERR_OK;
    bool is_new;
    uint32_t place;
    w->out = &table;
    for (uint32_t i = 0; i < w->n && !rc; i++) {
        rc = device_place(w, w->au[i].device, w->au[i].inc, &place, &is_new);
        if (!rc && is_new)
            put_device(w, w->au[i].device, w->au[i].inc);
        w->col[i] = place;
    }
    w->out = out;
    buf_put_uv(w->out, w->device_counter.count);
    buf_put_str(w->out, buf_str(&table));
    put_flagged(w, COLUMNS_AUTHORS, w->n);
    rc = rc ? rc : table.failed;
    buf_free(&table);
    return rc;
}

/* Each author's sequence goes on from its last one. */
static enum err put_seqs(struct writer *w)
{
    uint32_t authors = w->au ? w->device_counter.count : 1;
    uint64_t *last = ARENA_ARRAY(&w->arena, uint64_t, authors);
    if (!last)
        return ERR_NOMEM;
    if (!w->au) {
        buf_put_uv(w->out, w->ch[0].seq);
        last[0] = w->ch[0].seq - 1;
    }
    for (uint32_t i = 0; i < w->n; i++) {
        uint32_t place = 0;
        bool is_new;
        if (w->au) {
            enum err rc = device_place(w, w->au[i].device, w->au[i].inc, &place, &is_new);
            if (rc)
                return rc;
        }
        w->col[i] = w->au ? zigzag(minus(seq_at(w, i), last[place] + 1)) : seq_at(w, i) - last[place] - 1;
        last[place] = seq_at(w, i);
    }
    put_flagged(w, COLUMNS_SEQ, w->n);
    return ERR_OK;
}

static bool birth_at(const struct writer *w, uint32_t i, uint32_t *g)
{
    while (w->group[*g + 1] <= i)
        ++*g;
    return w->group[*g] == i && w->born[*g];
}

static bool otherwise(const struct change *c)
{
    return op_has_value(c->op) ? false : c->value.n > 0;
}

static void put_ops(struct writer *w)
{
    uint32_t k = 0;
    for (uint32_t i = 0, g = 0; i < w->n; i++)
        if (!birth_at(w, i, &g))
            w->col[k++] = ((uint64_t)w->ch[i].op | (otherwise(&w->ch[i]) ? OP_OTHERWISE : 0)) ^
                          (finalise_expected(&w->kinds, w->born, w->group, g, i) ? CHANGE_FINALISE : 0);
    put_flagged(w, COLUMNS_OP, k);
}

static void put_statuses(struct writer *w)
{
    for (uint32_t i = 0; i < w->n; i++)
        w->col[i] = w->ch[i].status;
    put_flagged(w, COLUMNS_STATUS, w->n);
}

static uint64_t who_at(const struct writer *w, uint32_t i)
{
    return (uint64_t)w->ch[i].person << 8 | w->ch[i].role;
}

/* First value, then differences. */
static void put_whos(struct writer *w)
{
    buf_put_uv(w->out, w->ch[0].person);
    buf_put_char(w->out, (char)w->ch[0].role);
    for (uint32_t i = 1; i < w->n; i++)
        w->col[i - 1] = zigzag(minus(who_at(w, i), who_at(w, i - 1)));
    put_flagged(w, COLUMNS_WHO, w->n - 1);
}

static void put_seens(struct writer *w)
{
    buf_put_uv(w->out, w->ch[0].seen);
    for (uint32_t i = 1; i < w->n; i++)
        w->col[i - 1] = zigzag(minus(w->ch[i].seen, w->ch[i - 1].seen));
    put_flagged(w, COLUMNS_SEEN, w->n - 1);
}

/* The clock as ticks since the one before; the fine part is expected to be the same within a tick and 0 in a
 * new one, and follows where it is not. */
static uint64_t hlc_step(int64_t hlc, int64_t before, uint64_t *fine)
{
    int64_t ticks = hlc_coarse(hlc) - hlc_coarse(before);
    uint64_t expected = ticks ? 0 : hlc_fine(before);
    *fine = zigzag(minus(hlc_fine(hlc), expected));
    return zigzag(ticks) << 1 | (*fine != 0);
}

/* Where the clock moves; in between it stands. A finalised visit has one clock throughout. */
static void put_hlcs(struct writer *w)
{
    uint64_t fine;
    uint64_t step = hlc_step(hlc_at(w, 0), hlc_base(floor_s(w->head->now_ms)), &fine);
    buf_put_uv(w->out, step);
    if (step & 1)
        buf_put_uv(w->out, fine);
    uint32_t moves = 0, from = 0, mark = 0;
    for (uint32_t i = 1; i < w->n; i++) {
        if (hlc_at(w, i) == hlc_at(w, i - 1))
            continue;
        w->col[moves++] = zigzag((int64_t)(i - from - 1) - clock_stands(w->ch, w->n, from, &mark));
        from = i;
    }
    if (!moves)
        return;
    w->flags |= COLUMNS_HLC;
    buf_put_uv(w->out, moves - 1);
    put_column(w->out, w->col, moves);
    moves = 0;
    for (uint32_t i = 1; i < w->n; i++)
        if (hlc_at(w, i) != hlc_at(w, i - 1))
            w->col[moves++] = hlc_step(hlc_at(w, i), hlc_at(w, i - 1), &fine);
    put_column(w->out, w->col, moves);
    for (uint32_t i = 1; i < w->n; i++)
        if (hlc_at(w, i) != hlc_at(w, i - 1) && hlc_step(hlc_at(w, i), hlc_at(w, i - 1), &fine) & 1)
            buf_put_uv(w->out, fine);
}

static void put_server_seqs(struct writer *w)
{
    uint64_t before = w->head->cursor;
    for (uint32_t i = 0; i < w->n; i++) {
        w->col[i] = zigzag(minus(w->au[i].server_seq, before));
        before = w->au[i].server_seq;
    }
    put_flagged(w, COLUMNS_SERVER_SEQ, w->n);
}

/* 0: as the group before has in this place; else 1 + the field, or, in a place that none before has, 1 + the
 * zig-zag difference to the field before in this group. */
static enum err put_fields(struct writer *w)
{
    struct field_walk walk;
    uint32_t k = 0, i;
    enum err rc = field_walk_init(&walk, &w->arena, w->ch, w->group, &w->kinds);
    while (!rc && field_walk_next(&walk, &i)) {
        uint32_t field = w->ch[i].field;
        uint64_t fresh = walk.has_last ? field : zigzag((int64_t)field - walk.before);
        w->col[k++] = walk.has_last && walk.last == field ? 0 : fresh + 1;
        field_walk_said(&walk, field);
    }
    if (!rc)
        put_column(w->out, w->col, k);
    return rc;
}

static enum err put_values(struct writer *w)
{
    struct value_coder coder;
    uint32_t k = 0;
    struct buf body;
    value_coder_init(&coder, &w->arena);
    buf_init(&body, w->out->n_max);
    struct value_place *places = ARENA_ARRAY(&w->arena, struct value_place, w->n);
    enum err rc = places ? ERR_OK : ERR_NOMEM;
    for (uint32_t i = 0, g = 0; i < w->n && !rc; i++) {
        const struct change *c = &w->ch[i];
        if (!birth_at(w, i, &g) && (op_has_value(c->op) || c->value.n))
            places[k++] = (struct value_place){w->kinds.kind[g], c->field, i};
    }
    if (!rc)
        value_places_sort(places, k);
    for (uint32_t at = 0; at < k && !rc; at++) {
        uint32_t i = places[at].change;
        coder.now_s = hlc_seconds(hlc_at(w, i));
        coder.author.device = w->au ? w->au[i].device : w->head->device;
        coder.author.inc = w->au ? w->au[i].inc : w->head->inc;
        rc = value_put(&coder, w->ch[i].row, w->ch[i].value, w->out, &body);
    }
    buf_put_str(w->out, buf_str(&body));
    rc = rc ? rc : body.failed;
    buf_free(&body);
    return rc;
}

/* The kind of each group's row, if it was born here, and the order of groups by it. */
static enum err find_kinds(struct writer *w)
{
    enum err rc = group_kinds_init(&w->kinds, &w->arena, w->group_count);
    for (uint32_t g = 0; g < w->group_count && !rc; g++) {
        const struct change *first = &w->ch[w->group[g]];
        rc = group_kinds_add(&w->kinds, first->row, w->born[g] ? first->value : STR_NONE);
    }
    if (!rc)
        group_kinds_sort(&w->kinds);
    return rc;
}

static enum err put_all(struct writer *w)
{
    enum err rc = check_changes(w);
    buf_put_uv(w->out, w->n);
    if (rc || !w->n)
        return rc;
    w->col = ARENA_ARRAY(&w->arena, uint64_t, w->n);
    w->group = ARENA_ARRAY(&w->arena, uint32_t, w->n + 1);
    w->born = ARENA_ARRAY(&w->arena, bool, w->n);
    if (!w->col || !w->group || !w->born)
        return ERR_NOMEM;
    find_groups(w);
    if (w->au)
        rc = put_authors(w);
    if (!rc)
        rc = put_seqs(w);
    if (!rc)
        rc = put_rows(w);
    if (rc)
        return rc;
    if (w->au)
        put_row_numbers(w);
    rc = find_kinds(w);
    if (rc)
        return rc;
    put_ops(w);
    put_statuses(w);
    put_whos(w);
    put_hlcs(w);
    put_seens(w);
    if (w->au)
        put_server_seqs(w);
    rc = put_fields(w);
    if (!rc)
        rc = put_values(w);
    return rc ? rc : w->out->failed;
}

#define WRITE_MEMORY_MAX (64u << 20)

enum err columns_write(const struct batch_head *head, const struct batch_rows *rows,
                       const struct change *changes, const struct down_author *authors, uint32_t count,
                       struct buf *body, uint64_t *flags_out, struct diag *d)
{
    struct writer w = {
        .head = head, .rows = rows, .ch = changes, .au = authors, .n = count, .out = body, .d = d};
    arena_init(&w.arena, WRITE_MEMORY_MAX);
    map_init(&w.row_place, &w.arena);
    map_init(&w.device_place, &w.arena);
    buf_init(&w.named, (size_t)BATCH_CHANGES_MAX * 2 * ROW_ID_SIZE);
    enum err rc = put_all(&w);
    if (rc)
        diag_set(d, rc, "The batch of %u changes could not be written.", (unsigned)count);
    else
        *flags_out = w.flags;
    buf_free(&w.named);
    arena_free(&w.arena);
    return rc;
}
