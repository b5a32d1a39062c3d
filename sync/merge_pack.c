/* A record as bytes, for the store: canonical, so that equal states are equal bytes on device and centre.
 *
 *   u8 1 | uv authors, each: u64 device, u32 incarnation (ascending) | u8 born | [version] |
 *   uv cells, each: uv field - field before | uv versions * 2 + has marks | versions, the shown one first |
 *                   [uv marks, each: uv author, uv seq, uv seen]
 *   version: u8 flags | [uv author] | sv seq - before | [u8 op, u8 status] | [uv person, u8 role] |
 *            [sv clock - before] | [sv seen - before] | sv server_seq - before | uv size, value
 *
 * "Before" is the version written before, at first all zero; a flag says that a part is as before and left
 * out. A mark that is just what the author's versions say is not written. */
#include "sync/merge_pack.h"

enum {
    SAME_AUTHOR = 1,
    PLAIN = 2, /* a SET with status 0 */
    SAME_WHO = 4,
    SAME_CLOCK = 8,
    SAME_SEEN = 16,
    FLAGS = 31
};
#define FORMAT 1

struct author {
    uint64_t device;
    uint32_t inc;
};

static bool same_author(const struct version *a, const struct version *b)
{
    return a->device == b->device && a->inc == b->inc;
}

/* --- outward
 * ------------------------------------------------------------------------------------------------ */

struct packer {
    struct arena arena;
    struct author *authors; /* ascending */
    uint32_t author_count;
    struct version before;
    struct buf *out;
};

static uint32_t author_place(const struct packer *p, uint64_t device, uint32_t inc, bool *found)
{
    uint32_t low = 0, high = p->author_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct author *a = &p->authors[middle];
        if (a->device < device || (a->device == device && a->inc < inc))
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < p->author_count && p->authors[low].device == device && p->authors[low].inc == inc;
    return low;
}

static uint32_t author_known(const struct packer *p, uint64_t device, uint32_t inc)
{
    bool found;
    uint32_t place = author_place(p, device, inc, &found);
    CHECK(found);
    return place;
}

static void add_author(struct packer *p, uint64_t device, uint32_t inc)
{
    bool found;
    uint32_t place = author_place(p, device, inc, &found);
    if (found)
        return;
    memmove(p->authors + place + 1, p->authors + place, (p->author_count - place) * sizeof(*p->authors));
    p->authors[place] = (struct author){device, inc};
    p->author_count++;
}

/* Every version has a mark, and so the marks and the birth name all authors. */
static enum err collect_authors(struct packer *p, const struct record *r)
{
    p->authors = ARENA_ARRAY(&p->arena, struct author, (size_t)r->mark_count + 1);
    if (!p->authors)
        return ERR_NOMEM;
    if (r->born)
        add_author(p, r->birth.device, r->birth.inc);
    for (uint32_t i = 0; i < r->mark_count; i++)
        add_author(p, r->marks[i].device, r->marks[i].inc);
    return ERR_OK;
}

static void put_difference(struct buf *b, uint64_t v, uint64_t before)
{
    buf_put_sv(b, (int64_t)(v - before));
}

static void put_version(struct packer *p, const struct version *v)
{
    const struct version *w = &p->before;
    bool plain = v->op == CHANGE_SET && !v->status;
    bool who = v->person == w->person && v->role == w->role;
    bool author = same_author(v, w);
    buf_put_char(p->out, (char)((author ? SAME_AUTHOR : 0) | (plain ? PLAIN : 0) | (who ? SAME_WHO : 0) |
                                (v->hlc == w->hlc ? SAME_CLOCK : 0) | (v->seen == w->seen ? SAME_SEEN : 0)));
    if (!author)
        buf_put_uv(p->out, author_known(p, v->device, v->inc));
    put_difference(p->out, v->seq, w->seq);
    if (!plain) {
        buf_put_char(p->out, (char)v->op);
        buf_put_char(p->out, (char)v->status);
    }
    if (!who) {
        buf_put_uv(p->out, v->person);
        buf_put_char(p->out, (char)v->role);
    }
    if (v->hlc != w->hlc)
        put_difference(p->out, (uint64_t)v->hlc, (uint64_t)w->hlc);
    if (v->seen != w->seen)
        put_difference(p->out, v->seen, w->seen);
    put_difference(p->out, v->server_seq, w->server_seq);
    buf_put_uv(p->out, v->value.n);
    buf_put_str(p->out, v->value);
    p->before = *v;
}

/* Do the author's versions in the cell say all that the mark says? */
static bool implied(const struct record_cell *cell, const struct version_mark *m)
{
    uint64_t seq = 0, seen = 0;
    for (uint32_t i = 0; i < cell->count; i++) {
        const struct version *v = &cell->versions[i];
        if (v->device != m->device || v->inc != m->inc)
            continue;
        uint64_t honest = honest_seen(v->seen, v->server_seq);
        seq = v->seq > seq ? v->seq : seq;
        seen = honest > seen ? honest : seen;
    }
    return seq == m->seq && seen == m->seen;
}

static void put_marks(struct packer *p, const struct record_cell *cell, const struct version_mark *marks,
                      uint32_t count, uint32_t explicit_count)
{
    buf_put_uv(p->out, explicit_count);
    for (uint32_t i = 0; i < count; i++) {
        if (implied(cell, &marks[i]))
            continue;
        buf_put_uv(p->out, author_known(p, marks[i].device, marks[i].inc));
        buf_put_uv(p->out, marks[i].seq);
        buf_put_uv(p->out, marks[i].seen);
    }
}

static void put_cells(struct packer *p, const struct record *r)
{
    uint32_t m = 0, before = 0;
    buf_put_uv(p->out, r->count);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct record_cell *cell = &r->cells[i];
        uint32_t first = m, explicit_count = 0;
        for (; m < r->mark_count && r->marks[m].field == cell->field; m++)
            explicit_count += !implied(cell, &r->marks[m]);
        buf_put_uv(p->out, cell->field - before);
        buf_put_uv(p->out, (uint64_t)cell->count << 1 | (explicit_count > 0));
        before = cell->field;
        for (uint32_t k = 0; k < cell->count; k++)
            put_version(p, &cell->versions[k]);
        if (explicit_count)
            put_marks(p, cell, r->marks + first, m - first, explicit_count);
    }
    CHECK(m == r->mark_count);
}

static void put_heirs(struct buf *out, const struct record *r)
{
    buf_put_uv(out, r->heir_count);
    for (uint32_t i = 0; i < r->heir_count; i++) {
        const struct heir *h = &r->heirs[i];
        buf_put_u64le(out, h->device);
        buf_put_u32le(out, h->inc);
        buf_put_u32le(out, h->from);
        buf_put_uv(out, h->upto);
    }
}

#define PACK_MEMORY_MAX (16u << 20)

enum err record_pack(const struct record *r, struct buf *out)
{
    struct packer p = {.out = out};
    arena_init(&p.arena, PACK_MEMORY_MAX);
    enum err rc = collect_authors(&p, r);
    if (rc)
        goto done;
    buf_put_char(out, FORMAT);
    buf_put_uv(out, p.author_count);
    for (uint32_t i = 0; i < p.author_count; i++) {
        buf_put_u64le(out, p.authors[i].device);
        buf_put_u32le(out, p.authors[i].inc);
    }
    buf_put_char(out, (char)r->born);
    if (r->born)
        put_version(&p, &r->birth);
    put_cells(&p, r);
    if (r->heir_count)
        put_heirs(out, r);
    rc = out->failed;
done:
    arena_free(&p.arena);
    return rc;
}

/* --- inward
 * ------------------------------------------------------------------------------------------------- */

struct unpacker {
    struct arena *arena;
    struct reader r;
    struct author *authors;
    uint32_t author_count;
    struct version before;
};

static const struct author *get_author(struct unpacker *u)
{
    static const struct author none;
    uint64_t place = read_uv(&u->r);
    if (place < u->author_count)
        return &u->authors[place];
    u->r.failed = true;
    return &none;
}

static uint64_t get_difference(struct unpacker *u, uint64_t before)
{
    return before + (uint64_t)read_sv(&u->r);
}

static void get_version(struct unpacker *u, struct version *v)
{
    *v = u->before;
    uint8_t flags = read_u8(&u->r);
    if (flags & ~FLAGS)
        u->r.failed = true;
    if (!(flags & SAME_AUTHOR)) {
        const struct author *author = get_author(u);
        v->device = author->device;
        v->inc = author->inc;
    }
    v->seq = get_difference(u, v->seq);
    unsigned op = flags & PLAIN ? CHANGE_SET : read_u8(&u->r);
    v->status = flags & PLAIN ? 0 : read_u8(&u->r);
    if (op > CHANGE_FINALISE)
        u->r.failed = true;
    v->op = (enum change_op)op;
    if (!(flags & SAME_WHO)) {
        v->person = (uint32_t)read_uv(&u->r);
        v->role = read_u8(&u->r);
    }
    if (!(flags & SAME_CLOCK))
        v->hlc = (int64_t)get_difference(u, (uint64_t)v->hlc);
    if (!(flags & SAME_SEEN))
        v->seen = get_difference(u, v->seen);
    v->server_seq = get_difference(u, v->server_seq);
    uint64_t n = read_uv(&u->r);
    if (n > reader_left(&u->r))
        u->r.failed = true;
    v->value = u->r.failed || !n ? STR("") : read_bytes(&u->r, (size_t)n);
    u->before = *v;
}

static enum err get_authors(struct unpacker *u)
{
    uint64_t count = read_uv(&u->r);
    if (u->r.failed || count > reader_left(&u->r) / 12)
        return ERR_CORRUPT;
    u->author_count = (uint32_t)count;
    u->authors = ARENA_ARRAY(u->arena, struct author, count);
    if (!u->authors)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        u->authors[i].device = read_u64le(&u->r);
        u->authors[i].inc = read_u32le(&u->r);
    }
    return u->r.failed ? ERR_CORRUPT : ERR_OK;
}

static enum err get_marks(struct unpacker *u, struct record *out, const struct record_cell *cell, bool more)
{
    for (uint32_t i = 0; i < cell->count; i++) {
        const struct version *v = &cell->versions[i];
        struct version_mark *mark = mark_of(u->arena, out, cell->field, v->device, v->inc);
        if (!mark)
            return ERR_NOMEM;
        uint64_t seen = honest_seen(v->seen, v->server_seq);
        mark->seq = v->seq > mark->seq ? v->seq : mark->seq;
        mark->seen = seen > mark->seen ? seen : mark->seen;
    }
    uint64_t count = more ? read_uv(&u->r) : 0;
    for (uint64_t i = 0; i < count && !u->r.failed; i++) {
        const struct author *author = get_author(u);
        uint64_t seq = read_uv(&u->r), seen = read_uv(&u->r);
        if (u->r.failed)
            break;
        struct version_mark *mark = mark_of(u->arena, out, cell->field, author->device, author->inc);
        if (!mark)
            return ERR_NOMEM;
        mark->seq = seq;
        mark->seen = seen;
    }
    return u->r.failed ? ERR_CORRUPT : ERR_OK;
}

static enum err get_cell(struct unpacker *u, struct record *out, uint32_t before)
{
    uint64_t field = before + read_uv(&u->r);
    uint64_t head = read_uv(&u->r);
    uint64_t versions = head >> 1;
    bool first = !out->count;
    if (u->r.failed || field > UINT32_MAX || (!first && field <= before) || !versions ||
        versions > reader_left(&u->r) / 4)
        return ERR_CORRUPT;
    struct record_cell *cell = cell_of(u->arena, out, (uint32_t)field);
    if (!cell)
        return ERR_NOMEM;
    cell->versions = ARENA_ARRAY(u->arena, struct version, versions);
    if (!cell->versions)
        return ERR_NOMEM;
    cell->count = (uint32_t)versions;
    for (uint64_t i = 0; i < versions && !u->r.failed; i++)
        get_version(u, &cell->versions[i]);
    return u->r.failed ? ERR_CORRUPT : get_marks(u, out, cell, head & 1);
}

static enum err get_heirs(struct unpacker *u, struct record *out)
{
    uint64_t count = read_uv(&u->r);
    if (u->r.failed || !count || count > reader_left(&u->r) / 17)
        return ERR_CORRUPT;
    out->heirs = ARENA_ARRAY(u->arena, struct heir, count);
    if (!out->heirs)
        return ERR_NOMEM;
    for (uint64_t i = 0; i < count; i++) {
        struct heir *h = &out->heirs[out->heir_count++];
        h->device = read_u64le(&u->r);
        h->inc = read_u32le(&u->r);
        h->from = read_u32le(&u->r);
        h->upto = read_uv(&u->r);
    }
    out->heir_room = out->heir_count;
    return ERR_OK;
}

static enum err unpack(struct unpacker *u, struct record *out)
{
    if (read_u8(&u->r) != FORMAT)
        return ERR_VERSION;
    enum err rc = get_authors(u);
    if (rc)
        return rc;
    uint8_t born = read_u8(&u->r);
    out->born = born;
    if (born)
        get_version(u, &out->birth);
    uint64_t cells = read_uv(&u->r);
    if (u->r.failed || born > 1)
        return ERR_CORRUPT;
    uint32_t before = 0;
    for (uint64_t i = 0; i < cells && !rc; i++) {
        rc = get_cell(u, out, before);
        before = rc ? 0 : out->cells[out->count - 1].field;
    }
    if (!rc && reader_left(&u->r))
        rc = get_heirs(u, out);
    return rc ? rc : reader_left(&u->r) || u->r.failed ? ERR_CORRUPT : ERR_OK;
}

enum err record_unpack(struct arena *a, struct row_id row, struct str packed, struct record *out,
                       struct diag *d)
{
    struct record r = {.row = row};
    struct unpacker u = {.arena = a, .r = reader_of(packed)};
    enum err rc = packed.n ? unpack(&u, &r) : ERR_OK;
    if (rc == ERR_VERSION)
        return diag_set(d, rc,
                        "The state of row %llx.%u.%u was written by a newer Doorstep; update this program.",
                        (unsigned long long)row.device, (unsigned)row.inc, (unsigned)row.counter);
    if (rc)
        return diag_set(d, rc, "The stored state of row %llx.%u.%u is damaged near byte %zu of %zu.",
                        (unsigned long long)row.device, (unsigned)row.inc, (unsigned)row.counter,
                        packed.n - reader_left(&u.r), packed.n);
    *out = r;
    return ERR_OK;
}
