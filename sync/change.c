/* Row ids, births and the clock: the small facts that every change is made of.
 *
 * Always true: equal ids have equal bytes and sort by (device, incarnation, counter); a birth has exactly one
 * spelling, so that two stores which hold the same birth hold the same bytes. Nothing here knows where a
 * change comes from. */
#include "sync/change.h"

static void put_be(unsigned char *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)(v >> (8 * (n - 1 - i)));
}

static uint64_t get_be(const char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

void row_id_write(struct row_id id, unsigned char out[static ROW_ID_SIZE])
{
    put_be(out, id.device, 8);
    put_be(out + 8, id.inc, 4);
    put_be(out + 12, id.counter, 4);
}

bool row_id_read(struct str bytes, struct row_id *out)
{
    if (bytes.n != ROW_ID_SIZE)
        return false;
    *out = (struct row_id){get_be(bytes.p, 8), (uint32_t)get_be(bytes.p + 8, 4),
                           (uint32_t)get_be(bytes.p + 12, 4)};
    return true;
}

static const char *const policy_names[FIELD_POLICIES] = {
    [POLICY_KEEP] = "keep",           [POLICY_REVIEW] = "review", [POLICY_UNION] = "union",
    [POLICY_IMMUTABLE] = "immutable", [POLICY_VISIT] = "visit",
};

const char *field_policy_name(enum field_policy policy)
{
    CHECK((unsigned)policy < FIELD_POLICIES);
    return policy_names[policy];
}

bool field_policy_read(struct str name, enum field_policy *out)
{
    for (int i = 0; i < FIELD_POLICIES; i++) {
        if (!str_eq_z(name, policy_names[i]))
            continue;
        *out = (enum field_policy)i;
        return true;
    }
    return false;
}

/* kind u8, flags u8, then what the flags name, in this order. A part that is zero is absent. */
enum { BIRTH_PARENT = 1, BIRTH_NUMBER = 2, BIRTH_ORDER = 4, BIRTH_OBJECT = 8, BIRTH_FLAGS = 15 };

static uint8_t birth_flags(const struct row_birth *b)
{
    static const unsigned char none[sizeof(b->object)];
    uint8_t flags = 0;
    if (!row_id_same(b->parent, (struct row_id){0}))
        flags |= BIRTH_PARENT;
    if (b->number)
        flags |= BIRTH_NUMBER;
    if (b->order)
        flags |= BIRTH_ORDER;
    if (memcmp(b->object, none, sizeof(none)) != 0)
        flags |= BIRTH_OBJECT;
    return flags;
}

enum err row_birth_write(struct buf *b, const struct row_birth *birth)
{
    CHECK((unsigned)birth->kind > 0 && (unsigned)birth->kind < 256);
    uint8_t flags = birth_flags(birth);
    buf_put_char(b, (char)birth->kind);
    buf_put_char(b, (char)flags);
    if (flags & BIRTH_PARENT) {
        unsigned char id[ROW_ID_SIZE];
        row_id_write(birth->parent, id);
        buf_put(b, id, sizeof(id));
    }
    if (flags & BIRTH_NUMBER)
        buf_put_uv(b, birth->number);
    if (flags & BIRTH_ORDER)
        buf_put_sv(b, birth->order);
    if (flags & BIRTH_OBJECT)
        buf_put(b, birth->object, sizeof(birth->object));
    return b->failed;
}

bool row_birth_read(struct str bytes, struct row_birth *out)
{
    struct reader r = reader_of(bytes);
    struct row_birth birth = {.kind = (enum row_kind)read_u8(&r)};
    uint8_t flags = read_u8(&r);
    if (flags & BIRTH_PARENT && !row_id_read(read_bytes(&r, ROW_ID_SIZE), &birth.parent))
        return false;
    uint64_t number = flags & BIRTH_NUMBER ? read_uv(&r) : 0;
    birth.number = (uint32_t)number;
    if (flags & BIRTH_ORDER)
        birth.order = read_sv(&r);
    if (flags & BIRTH_OBJECT) {
        struct str object = read_bytes(&r, sizeof(birth.object));
        if (object.n == sizeof(birth.object))
            memcpy(birth.object, object.p, sizeof(birth.object));
    }
    if (r.failed || reader_left(&r) || !birth.kind || number > UINT32_MAX || flags != birth_flags(&birth))
        return false;
    *out = birth;
    return true;
}

void visit_check_write(const unsigned char sha256[static 32], char out[static VISIT_CHECK_SIZE])
{
    out[0] = 'h';
    hex_write(sha256, VISIT_CHECK_BYTES, out + 1);
}

/* 2^47 ms is the year 6429; beyond it, and before 1970, a wall clock is noise. */
#define WALL_MS_MAX ((INT64_C(1) << 47) - 1)

static int64_t wall_clamped(int64_t ms)
{
    return ms < 0 ? 0 : ms > WALL_MS_MAX ? WALL_MS_MAX : ms;
}

int64_t hlc_next(int64_t hlc_last, int64_t wall_ms, int64_t received_max)
{
    int64_t wall = (wall_clamped(wall_ms) & ~(int64_t)(HLC_TICK_MS - 1)) << 16;
    int64_t after = hlc_last > received_max ? hlc_last : received_max;
    if (after < 0)
        after = 0;
    if (after == INT64_MAX)
        return INT64_MAX;
    return wall > after ? wall : after + 1;
}

#define SKEW_MS_MAX (INT64_C(180) * 24 * 60 * 60 * 1000)

int64_t hlc_effective(int64_t hlc, int64_t anchor_ms, int64_t elapsed_ms)
{
    if (anchor_ms <= 0)
        return hlc;
    int64_t elapsed = wall_clamped(elapsed_ms);
    int64_t bound_ms = wall_clamped(wall_clamped(anchor_ms) + elapsed + SKEW_MS_MAX);
    int64_t bound = bound_ms << 16;
    return hlc < bound ? hlc : bound;
}

int64_t hlc_whole_tick(int64_t hlc)
{
    const int64_t tick = (int64_t)HLC_TICK_MS << 16;
    return hlc > INT64_MAX - tick ? hlc : (hlc + tick - 1) & ~(tick - 1);
}
