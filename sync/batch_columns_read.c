/* Columns, inward. The bytes come from outside: every count is held against what it may be before anything is
 * made of it, every place against its table. What a payload claims cannot cost more memory than
 * BATCH_CHANGES_MAX changes and a few times its own size. */
#include "platform/crypto.h"
#include "sync/batch_columns.h"
#include "sync/batch_value.h"

struct device {
    uint64_t device;
    uint32_t inc;
    uint32_t counter; /* named last */
};

struct scan {
    struct arena *arena;
    const struct batch_head *head;
    const struct batch_rows *rows;
    struct reader *r;
    struct diag *d;
    uint64_t flags;
    struct change *ch;
    struct down_author *au;
    uint32_t n;
    uint64_t *col;
    uint32_t *group; /* start of each group, and n behind the last */
    uint32_t group_count;
    bool *born;
    struct group_kinds kinds;

    VEC(struct row_id) named;
    VEC(struct device) devices;
    uint32_t own_counter, new_counter;
    uint64_t number;
    struct buf numbered;
    int64_t order;
    unsigned char object[8];
};

static enum err malformed(struct scan *s)
{
    s->r->failed = true;
    return ERR_CORRUPT;
}

static enum err reader_state(const struct scan *s)
{
    return s->r->failed ? ERR_CORRUPT : ERR_OK;
}

static void get_packed(struct reader *r, uint64_t *v, uint64_t n)
{
    unsigned head = read_u8(r), bits = 0;
    unsigned width = head & ((1u << COLUMN_SHIFT_AT) - 1), shift = head >> COLUMN_SHIFT_AT;
    uint64_t have = 0;
    if (!width || width > COLUMN_WIDTH_MAX)
        r->failed = true;
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        for (; bits < width; bits += 8)
            have |= (uint64_t)read_u8(r) << bits;
        v[i] = (have & ((UINT64_C(1) << width) - 1)) << shift;
        have >>= width;
        bits -= width;
    }
    if (have) /* what fills the last byte is zero */
        r->failed = true;
}

static void get_column(struct reader *r, uint64_t *v, uint32_t n)
{
    if (n == 1)
        v[0] = read_uv(r);
    for (uint32_t i = 0; n > 1 && i < n && !r->failed;) {
        uint64_t token = read_uv(r);
        unsigned kind = token & 3;
        uint64_t k = (token >> 2) + (kind == COLUMN_RUN ? 2 : 1);
        if (k > n - i || kind > COLUMN_PACKED) {
            r->failed = true;
            return;
        }
        if (kind == COLUMN_PACKED) {
            get_packed(r, v + i, k);
            i += (uint32_t)k;
            continue;
        }
        uint64_t value = kind == COLUMN_RUN ? read_uv(r) : 0;
        for (uint64_t end = i + k; i < end; i++)
            v[i] = kind == COLUMN_RUN ? value : read_uv(r);
    }
}

static void get_flagged(struct scan *s, uint64_t flag, uint32_t n)
{
    if (s->flags & flag)
        get_column(s->r, s->col, n);
    else
        memset(s->col, 0, (size_t)n * sizeof(*s->col));
}

static uint32_t get_u32(struct scan *s)
{
    uint64_t v = read_uv(s->r);
    if (v > UINT32_MAX)
        s->r->failed = true;
    return (uint32_t)v;
}

/* --- rows
 * --------------------------------------------------------------------------------------------------- */

static struct device *get_device(struct scan *s)
{
    struct device *device = vec_push(s->arena, &s->devices);
    if (!device)
        return NULL;
    uint64_t inc = read_uv(s->r);
    if (inc >> 33)
        s->r->failed = true;
    device->inc = (uint32_t)(inc >> 1);
    device->device = inc & 1 ? 0 : read_u64le(s->r);
    return device;
}

/* A counter told as the difference to the one before. */
static uint32_t get_counter(struct scan *s, uint32_t *before, uint64_t difference, uint32_t ahead)
{
    uint64_t counter = (uint64_t)*before + ahead + (uint64_t)unzigzag(difference);
    if (counter > UINT32_MAX)
        s->r->failed = true;
    *before = (uint32_t)counter;
    return *before;
}

static enum err get_full_id(struct scan *s, struct row_id *id)
{
    uint64_t place = read_uv(s->r);
    if (s->r->failed || place > s->devices.count)
        return malformed(s);
    if (place == s->devices.count && !get_device(s))
        return ERR_NOMEM;
    struct device *device = &s->devices.at[place];
    *id = (struct row_id){device->device, device->inc, 0};
    id->counter = get_counter(s, &device->counter, read_uv(s->r), 0);
    return reader_state(s);
}

static enum err get_numbered(struct scan *s, uint64_t difference, struct row_id *id)
{
    s->number += (uint64_t)unzigzag(difference);
    if (!s->rows || !s->rows->id_of || !s->rows->id_of(s->rows->self, s->number, id))
        return diag_set(
            s->d, ERR_STATE,
            "The batch names row %llu by its number, which is not known here; it must be sent with full "
            "row ids.",
            (unsigned long long)s->number);
    unsigned char bytes[ROW_ID_SIZE];
    row_id_write(*id, bytes);
    buf_put(&s->numbered, bytes, sizeof(bytes));
    return s->numbered.failed;
}

static enum err get_row(struct scan *s, struct row_id *id_out, bool *born_out)
{
    uint64_t v = read_uv(s->r);
    uint64_t rest = v >> 2;
    enum row_ref kind = (enum row_ref)(v & 3);
    struct row_id id = {s->head->device, s->head->inc, 0};
    *born_out = kind == REF_NEW || (kind == REF_OTHER && rest == OTHER_NEW);
    enum err rc = reader_state(s);
    if (rc)
        return rc;
    if (kind == REF_OTHER && rest >= OTHER_BACK) {
        if (rest - OTHER_BACK >= s->named.count)
            return malformed(s);
        *id_out = s->named.at[s->named.count - 1 - (rest - OTHER_BACK)];
        return ERR_OK;
    }
    if (kind == REF_NUMBER) {
        rc = get_numbered(s, rest, &id);
    } else if (kind == REF_OTHER) {
        rc = get_full_id(s, &id);
    } else {
        id.counter = get_counter(s, *born_out ? &s->new_counter : &s->own_counter, rest, *born_out);
        rc = reader_state(s);
    }
    struct row_id *slot = rc ? NULL : vec_push(s->arena, &s->named);
    if (!slot)
        return rc ? rc : ERR_NOMEM;
    *slot = id;
    *id_out = id;
    return ERR_OK;
}

static enum err get_birth_parts(struct scan *s, unsigned head, struct row_birth *b)
{
    unsigned kind = head & 15;
    b->kind = (enum row_kind)(kind == BIRTH_KIND_FOLLOWS ? read_u8(s->r) : kind);
    bool born = false;
    if (head & BIRTH_HAS_PARENT) {
        enum err rc = get_row(s, &b->parent, &born);
        if (rc)
            return rc;
    }
    if (head & BIRTH_HAS_PLACE) {
        b->number = get_u32(s);
        s->order = (int64_t)((uint64_t)s->order + (uint64_t)unzigzag(read_uv(s->r)));
        b->order = s->order;
    }
    if (head & BIRTH_HAS_OBJECT) {
        struct str object = read_bytes(s->r, sizeof(s->object));
        if (object.n == sizeof(s->object))
            memcpy(s->object, object.p, sizeof(s->object));
    }
    if (head & (BIRTH_HAS_OBJECT | BIRTH_SAME_OBJECT))
        memcpy(b->object, s->object, sizeof(b->object));
    return born || !b->kind ? malformed(s) : reader_state(s);
}

static enum err get_birth(struct scan *s, struct str *value_out)
{
    unsigned head = read_u8(s->r);
    if (head == BIRTH_RAW) {
        uint64_t n = read_uv(s->r);
        if (n > BATCH_VALUE_MAX)
            s->r->failed = true;
        *value_out = s->r->failed ? STR("") : read_bytes(s->r, (size_t)n);
        return reader_state(s);
    }
    struct row_birth b = {0};
    enum err rc = (head & 15) == BIRTH_RAW ? malformed(s) : get_birth_parts(s, head, &b);
    if (rc)
        return rc;
    struct buf bytes;
    buf_init(&bytes, 64);
    rc = row_birth_write(&bytes, &b);
    if (!rc)
        *value_out = arena_str(s->arena, buf_str(&bytes));
    buf_free(&bytes);
    return rc ? rc : value_out->p ? ERR_OK : ERR_NOMEM;
}

static enum err get_group_sizes(struct scan *s)
{
    uint64_t count = read_uv(s->r);
    if (s->r->failed || !count || count > s->n)
        return malformed(s);
    s->group_count = (uint32_t)count;
    memset(s->col, 0, count * sizeof(*s->col));
    if (count == 1)
        s->col[0] = s->n - 1;
    else if (count < s->n)
        get_column(s->r, s->col, s->group_count);
    uint64_t at = 0;
    for (uint32_t g = 0; g < s->group_count && !s->r->failed; g++) {
        s->group[g] = (uint32_t)at;
        if (s->col[g] >= s->n - at)
            return malformed(s);
        at += s->col[g] + 1;
        if (g + 1 < s->group_count && at >= s->n)
            return malformed(s);
    }
    s->group[s->group_count] = s->n;
    return at == s->n ? reader_state(s) : malformed(s);
}

static enum err check_numbered(struct scan *s)
{
    if (!(s->flags & COLUMNS_NUMBERED) || s->au)
        return s->numbered.n && !s->au ? malformed(s) : ERR_OK;
    unsigned char hash[SHA256_SIZE];
    struct str claimed = read_bytes(s->r, 4);
    enum err rc = sha256(buf_str(&s->numbered), hash);
    if (rc || claimed.n != 4)
        return rc ? rc : malformed(s);
    if (memcmp(hash, claimed.p, 4) != 0 && !s->rows->unchecked)
        return diag_set(
            s->d, ERR_STATE,
            "The batch names rows by numbers that mean other rows here (the centre's table of numbers was "
            "restored or changed); it must be sent with full row ids.");
    return ERR_OK;
}

static enum err get_rows(struct scan *s)
{
    enum err rc = get_group_sizes(s);
    for (uint32_t g = 0; g < s->group_count && !rc; g++) {
        struct change *first = &s->ch[s->group[g]];
        rc = get_row(s, &first->row, &s->born[g]);
        if (!rc && s->born[g]) {
            first->op = CHANGE_ROW_CREATE;
            rc = get_birth(s, &first->value);
        }
        for (uint32_t i = s->group[g] + 1; i < s->group[g + 1] && !rc; i++)
            s->ch[i].row = first->row;
    }
    return rc ? rc : check_numbered(s);
}

static void get_row_numbers(struct scan *s)
{
    get_flagged(s, COLUMNS_ROW_NUMBERS, s->group_count);
    uint64_t number = 0;
    for (uint32_t g = 0; g < s->group_count; g++) {
        number += (uint64_t)unzigzag(s->col[g]);
        for (uint32_t i = s->group[g]; i < s->group[g + 1]; i++)
            s->au[i].row_number = number;
    }
}

/* --- the other facts
 * ---------------------------------------------------------------------------------------- */

static enum err get_authors(struct scan *s)
{
    uint64_t count = read_uv(s->r);
    if (s->r->failed || !count || count > s->n)
        return malformed(s);
    for (uint64_t i = 0; i < count && !s->r->failed; i++)
        if (!get_device(s))
            return ERR_NOMEM;
    get_flagged(s, COLUMNS_AUTHORS, s->n);
    for (uint32_t i = 0; i < s->n && !s->r->failed; i++) {
        if (s->col[i] >= s->devices.count)
            return malformed(s);
        s->au[i].device = s->devices.at[s->col[i]].device;
        s->au[i].inc = s->devices.at[s->col[i]].inc;
    }
    return reader_state(s);
}

/* After get_authors(): s->col still holds each change's author. */
static enum err get_seqs(struct scan *s)
{
    uint32_t authors = s->au ? s->devices.count : 1;
    uint64_t *last = ARENA_ARRAY(s->arena, uint64_t, authors);
    uint32_t *place = ARENA_ARRAY(s->arena, uint32_t, s->n);
    if (!last || !place)
        return ERR_NOMEM;
    for (uint32_t i = 0; s->au && i < s->n; i++)
        place[i] = (uint32_t)s->col[i];
    if (!s->au)
        last[0] = read_uv(s->r) - 1;
    get_flagged(s, COLUMNS_SEQ, s->n);
    for (uint32_t i = 0; i < s->n; i++) {
        uint64_t step = s->au ? (uint64_t)unzigzag(s->col[i]) : s->col[i];
        uint64_t seq = last[place[i]] + 1 + step;
        if (!s->au && (seq <= last[0] || !seq) && !(i == 0 && last[0] == UINT64_MAX))
            s->r->failed = true;
        last[place[i]] = seq;
        s->ch[i].seq = seq;
        if (s->au)
            s->au[i].seq = seq;
    }
    return reader_state(s);
}

static bool birth_at(const struct scan *s, uint32_t i, uint32_t *g)
{
    while (s->group[*g + 1] <= i)
        ++*g;
    return s->group[*g] == i && s->born[*g];
}

static uint32_t birth_count(const struct scan *s)
{
    uint32_t count = 0;
    for (uint32_t g = 0; g < s->group_count; g++)
        count += s->born[g];
    return count;
}

/* `valued` by change: a value follows in the column of values. */
static void get_ops(struct scan *s, bool *valued)
{
    get_flagged(s, COLUMNS_OP, s->n - birth_count(s));
    uint32_t k = 0;
    for (uint32_t i = 0, g = 0; i < s->n && !s->r->failed; i++) {
        if (birth_at(s, i, &g))
            continue;
        uint64_t told = s->col[k++] ^
                        (finalise_expected(&s->kinds, s->born, s->group, g, i) ? CHANGE_FINALISE : 0);
        uint64_t op = told & ~(uint64_t)OP_OTHERWISE;
        bool otherwise = told & OP_OTHERWISE;
        if (op > CHANGE_FINALISE || (otherwise && op_has_value((unsigned)op)))
            s->r->failed = true;
        s->ch[i].op = (enum change_op)op;
        valued[i] = op_has_value((unsigned)op) || otherwise;
    }
}

static void get_statuses(struct scan *s)
{
    get_flagged(s, COLUMNS_STATUS, s->n);
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->col[i] > UINT8_MAX)
            s->r->failed = true;
        s->ch[i].status = (uint8_t)s->col[i];
    }
}

static void get_whos(struct scan *s)
{
    uint64_t who = (uint64_t)get_u32(s) << 8;
    who |= read_u8(s->r);
    get_flagged(s, COLUMNS_WHO, s->n - 1);
    for (uint32_t i = 0; i < s->n; i++) {
        who += i ? (uint64_t)unzigzag(s->col[i - 1]) : 0;
        if (who >> 40)
            s->r->failed = true;
        s->ch[i].person = (uint32_t)(who >> 8);
        s->ch[i].role = (uint8_t)who;
    }
}

static int64_t hlc_after(struct scan *s, int64_t before, uint64_t step)
{
    int64_t ticks = unzigzag(step >> 1);
    uint64_t fine = ticks ? 0 : hlc_fine(before);
    if (step & 1)
        fine += (uint64_t)unzigzag(read_uv(s->r));
    if (fine >> HLC_FINE_BITS)
        s->r->failed = true;
    return (int64_t)((((uint64_t)hlc_coarse(before) + (uint64_t)ticks) << HLC_FINE_BITS) | fine);
}

static void put_hlc(struct scan *s, uint32_t from, uint32_t to, int64_t hlc)
{
    for (uint32_t i = from; i < to; i++) {
        s->ch[i].hlc = hlc;
        if (s->au)
            s->au[i].hlc = hlc;
    }
}

static enum err get_hlcs(struct scan *s)
{
    int64_t hlc = hlc_after(s, hlc_base(floor_s(s->head->now_ms)), read_uv(s->r));
    if (!(s->flags & COLUMNS_HLC)) {
        put_hlc(s, 0, s->n, hlc);
        return reader_state(s);
    }
    uint64_t moves = read_uv(s->r);
    if (s->r->failed || moves >= s->n - 1)
        return malformed(s);
    moves++;
    uint64_t *stood = ARENA_ARRAY(s->arena, uint64_t, moves);
    if (!stood)
        return ERR_NOMEM;
    get_column(s->r, stood, (uint32_t)moves);
    get_column(s->r, s->col, (uint32_t)moves);
    uint32_t at = 0, mark = 0;
    for (uint64_t m = 0; m < moves && !s->r->failed; m++) {
        uint64_t more = (uint64_t)unzigzag(stood[m]) + clock_stands(s->ch, s->n, at, &mark);
        if (more >= s->n - 1 - at)
            return malformed(s);
        uint32_t next = at + (uint32_t)more + 1;
        put_hlc(s, at, next, hlc);
        at = next;
        int64_t after = hlc_after(s, hlc, s->col[m]);
        if (after == hlc)
            return malformed(s);
        hlc = after;
    }
    put_hlc(s, at, s->n, hlc);
    return reader_state(s);
}

static void get_seens(struct scan *s)
{
    uint64_t seen = read_uv(s->r);
    get_flagged(s, COLUMNS_SEEN, s->n - 1);
    for (uint32_t i = 0; i < s->n; i++) {
        seen += i ? (uint64_t)unzigzag(s->col[i - 1]) : 0;
        s->ch[i].seen = seen;
    }
}

static void get_server_seqs(struct scan *s)
{
    get_flagged(s, COLUMNS_SERVER_SEQ, s->n);
    uint64_t seq = s->head->cursor;
    for (uint32_t i = 0; i < s->n; i++) {
        seq += (uint64_t)unzigzag(s->col[i]);
        s->au[i].server_seq = seq;
    }
}

static enum err get_fields(struct scan *s)
{
    struct field_walk walk;
    uint32_t k = 0, i;
    for (i = 0; i < s->n; i++)
        k += !op_on_row(s->ch[i].op);
    get_column(s->r, s->col, k);
    enum err rc = field_walk_init(&walk, s->arena, s->ch, s->group, &s->kinds);
    k = 0;
    while (!rc && !s->r->failed && field_walk_next(&walk, &i)) {
        uint64_t code = s->col[k++];
        if (!code && !walk.has_last)
            return malformed(s);
        uint64_t field = !code           ? walk.last
                         : walk.has_last ? code - 1
                                         : (uint64_t)walk.before + (uint64_t)unzigzag(code - 1);
        if (field > UINT32_MAX)
            return malformed(s);
        s->ch[i].field = (uint32_t)field;
        field_walk_said(&walk, (uint32_t)field);
    }
    return rc ? rc : reader_state(s);
}

static enum err get_values(struct scan *s, const bool *valued)
{
    struct value_coder coder;
    uint32_t k = 0;
    value_coder_init(&coder, s->arena);
    struct value_place *places = ARENA_ARRAY(s->arena, struct value_place, s->n);
    if (!places)
        return ERR_NOMEM;
    for (uint32_t i = 0, g = 0; i < s->n; i++) {
        birth_at(s, i, &g);
        if (valued[i])
            places[k++] = (struct value_place){s->kinds.kind[g], s->ch[i].field, i};
    }
    value_places_sort(places, k);
    struct str tags = read_bytes(s->r, k);
    enum err rc = reader_state(s);
    for (uint32_t at = 0; at < k && !rc; at++) {
        struct change *c = &s->ch[places[at].change];
        coder.now_s = hlc_seconds(c->hlc);
        const struct down_author *by = s->au ? &s->au[places[at].change] : NULL;
        coder.author.device = by ? by->device : s->head->device;
        coder.author.inc = by ? by->inc : s->head->inc;
        rc = value_get(&coder, c->row, (uint8_t)tags.p[at], s->r, &c->value);
        rc = rc ? rc : reader_state(s);
    }
    return rc;
}

static enum err find_kinds(struct scan *s)
{
    enum err rc = group_kinds_init(&s->kinds, s->arena, s->group_count);
    for (uint32_t g = 0; g < s->group_count && !rc; g++) {
        const struct change *first = &s->ch[s->group[g]];
        rc = group_kinds_add(&s->kinds, first->row, s->born[g] ? first->value : STR_NONE);
    }
    if (!rc)
        group_kinds_sort(&s->kinds);
    return rc;
}

static enum err get_all(struct scan *s)
{
    bool *valued = ARENA_ARRAY(s->arena, bool, s->n);
    s->col = ARENA_ARRAY(s->arena, uint64_t, s->n);
    s->group = ARENA_ARRAY(s->arena, uint32_t, s->n + 1);
    s->born = ARENA_ARRAY(s->arena, bool, s->n);
    if (!valued || !s->col || !s->group || !s->born)
        return ERR_NOMEM;
    enum err rc = s->au ? get_authors(s) : ERR_OK;
    if (!rc)
        rc = get_seqs(s);
    if (!rc)
        rc = get_rows(s);
    if (rc)
        return rc;
    if (s->au)
        get_row_numbers(s);
    rc = find_kinds(s);
    if (rc)
        return rc;
    get_ops(s, valued);
    get_statuses(s);
    get_whos(s);
    rc = get_hlcs(s);
    if (rc)
        return rc;
    get_seens(s);
    if (s->au)
        get_server_seqs(s);
    rc = reader_state(s);
    if (rc)
        return rc;
    rc = get_fields(s);
    return rc ? rc : get_values(s, valued);
}

enum err columns_read(struct arena *a, const struct batch_head *head, const struct batch_rows *rows,
                      bool down, uint64_t flags, struct reader *r, struct columns *out, struct diag *d)
{
    uint64_t count = read_uv(r);
    if (r->failed || count > BATCH_CHANGES_MAX) {
        r->failed = true;
        return ERR_CORRUPT;
    }
    struct scan s = {
        .arena = a, .head = head, .rows = rows, .r = r, .d = d, .flags = flags, .n = (uint32_t)count};
    s.ch = ARENA_ARRAY(a, struct change, s.n);
    s.au = down ? ARENA_ARRAY(a, struct down_author, s.n) : NULL;
    if (!s.ch || (down && !s.au))
        return ERR_NOMEM;
    for (uint32_t i = 0; i < s.n; i++)
        s.ch[i].value = STR("");
    buf_init(&s.numbered, (size_t)BATCH_CHANGES_MAX * 2 * ROW_ID_SIZE);
    enum err rc = s.n ? get_all(&s) : ERR_OK;
    buf_free(&s.numbered);
    if (!rc && (r->failed || reader_left(r)))
        rc = ERR_CORRUPT;
    if (!rc)
        *out = (struct columns){s.ch, s.au, s.n};
    return rc;
}
