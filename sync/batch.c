/* The heads of up and down payloads around the columns they share. */
#include "sync/batch.h"

#include "sync/batch_columns.h"

/* Beyond the years 1..9999 a time is noise; inside, milliseconds do not overflow. */
#define TIME_S_MAX INT64_C(300000000000)

static int64_t seconds_of(int64_t ms)
{
    int64_t s = floor_s(ms);
    return s > TIME_S_MAX ? TIME_S_MAX : s < -TIME_S_MAX ? -TIME_S_MAX : s;
}

static int64_t read_seconds(struct reader *r, int64_t base)
{
    int64_t v = read_sv(r);
    if (v > 4 * TIME_S_MAX || v < -4 * TIME_S_MAX)
        r->failed = true;
    int64_t s = r->failed ? 0 : base + v;
    if (s > 2 * TIME_S_MAX || s < -2 * TIME_S_MAX)
        r->failed = true;
    return s;
}

/* Head and body are written apart, because the head says which columns the body turned out to need. */
static enum err join(struct buf *head, struct buf *body, struct buf *out)
{
    size_t at = out->n;
    buf_put_str(out, buf_str(head));
    buf_put_str(out, buf_str(body));
    enum err rc = head->failed ? head->failed : out->failed;
    if (rc)
        out->n = at;
    return rc;
}

static void put_up_head(struct buf *b, const struct batch_head *h, uint64_t flags)
{
    int64_t now = seconds_of(h->now_ms), anchor = seconds_of(h->anchor_ms);
    bool rebooted = h->elapsed_ms < 0;
    buf_put_uv(b, flags | (rebooted ? COLUMNS_REBOOTED : 0) | (h->as_inc ? COLUMNS_AS : 0));
    if (h->as_inc)
        buf_put_uv(b, h->as_inc);
    buf_put_uv(b, h->epoch);
    buf_put_sv(b, now - WIRE_EPOCH_S);
    buf_put_sv(b, now - anchor);
    if (!rebooted)
        buf_put_sv(b, seconds_of(h->elapsed_ms) - (now - anchor));
}

static uint32_t read_u32v(struct reader *r)
{
    uint64_t v = read_uv(r);
    if (v > UINT32_MAX)
        r->failed = true;
    return (uint32_t)v;
}

static void read_up_head(struct reader *r, struct batch_head *h, uint64_t *flags)
{
    *flags = read_uv(r);
    h->as_inc = *flags & COLUMNS_AS ? read_u32v(r) : 0;
    if (*flags & COLUMNS_AS && (!h->as_inc || h->as_inc == h->inc))
        r->failed = true;
    h->inc = h->as_inc ? h->as_inc : h->inc;
    h->epoch = read_u32v(r);
    int64_t now = read_seconds(r, WIRE_EPOCH_S);
    int64_t since_anchor = read_seconds(r, 0);
    bool rebooted = *flags & COLUMNS_REBOOTED;
    int64_t elapsed = rebooted || r->failed ? 0 : read_seconds(r, since_anchor);
    h->now_ms = now * 1000;
    h->anchor_ms = (now - since_anchor) * 1000;
    h->elapsed_ms = rebooted ? -1 : elapsed * 1000;
    h->cursor = h->cursor_from = h->agreed = 0;
    h->caught_up = false;
}

static void put_down_head(struct buf *b, const struct batch_head *h, uint64_t flags)
{
    bool agreed = h->agreed > h->cursor_from;
    buf_put_uv(b, flags | (h->caught_up ? COLUMNS_CAUGHT_UP : 0) | (agreed ? COLUMNS_AGREED : 0) |
                      (h->heir_count ? COLUMNS_HEIRS : 0));
    buf_put_uv(b, h->epoch);
    buf_put_sv(b, seconds_of(h->now_ms) - WIRE_EPOCH_S);
    buf_put_uv(b, h->cursor_from);
    buf_put_uv(b, h->cursor - h->cursor_from);
    if (agreed)
        buf_put_uv(b, h->agreed - h->cursor_from);
    if (h->heir_count)
        buf_put_uv(b, h->heir_count);
    for (uint32_t i = 0; i < h->heir_count; i++) {
        buf_put_u64le(b, h->heirs[i].device);
        buf_put_uv(b, h->heirs[i].inc);
        buf_put_uv(b, h->heirs[i].from);
        buf_put_uv(b, h->heirs[i].upto);
    }
}

static void read_down_head(struct reader *r, struct batch_head *h, uint64_t *flags)
{
    *flags = read_uv(r);
    h->epoch = read_u32v(r);
    h->now_ms = read_seconds(r, WIRE_EPOCH_S) * 1000;
    h->cursor_from = read_uv(r);
    h->cursor = h->cursor_from + read_uv(r);
    bool agreed = *flags & COLUMNS_AGREED;
    h->agreed = h->cursor_from + (agreed ? read_uv(r) : 0);
    if (h->cursor < h->cursor_from || h->agreed < h->cursor_from || (agreed && h->agreed == h->cursor_from))
        r->failed = true;
    h->anchor_ms = 0;
    h->elapsed_ms = -1;
    h->caught_up = *flags & COLUMNS_CAUGHT_UP;
}

#define HEIR_SIZE_MIN 11

static enum err read_heirs(struct arena *a, struct reader *r, uint64_t flags, struct batch_head *h)
{
    uint64_t count = flags & COLUMNS_HEIRS ? read_uv(r) : 0;
    if (r->failed || !(flags & COLUMNS_HEIRS))
        return ERR_OK;
    if (!count || count > reader_left(r) / HEIR_SIZE_MIN)
        r->failed = true;
    struct heir *list = r->failed ? NULL : ARENA_ARRAY(a, struct heir, count);
    if (!r->failed && !list)
        return ERR_NOMEM;
    for (uint64_t i = 0; i < count && !r->failed; i++) {
        list[i].device = read_u64le(r);
        list[i].inc = read_u32v(r);
        list[i].from = read_u32v(r);
        list[i].upto = read_uv(r);
    }
    h->heirs = list;
    h->heir_count = r->failed ? 0 : (uint32_t)count;
    return ERR_OK;
}

static enum err write_payload(const struct batch_head *head, const struct batch_rows *rows,
                              const struct change *changes, const struct down_author *authors, bool down,
                              uint32_t count, struct buf *out, struct diag *d)
{
    struct buf body, top;
    uint64_t flags = 0;
    buf_init(&body, out->n_max);
    buf_init(&top, out->n_max);
    enum err rc = columns_write(head, rows, changes, authors, count, &body, &flags, d);
    if (!rc) {
        if (down)
            put_down_head(&top, head, flags);
        else
            put_up_head(&top, head, flags);
        rc = join(&top, &body, out);
    }
    if (rc)
        diag_set(d, rc, "The batch of %u changes does not fit.", (unsigned)count);
    buf_free(&top);
    buf_free(&body);
    return rc;
}

enum err batch_write(const struct batch_head *head, const struct batch_rows *rows,
                     const struct change *changes, uint32_t count, struct buf *payload_out, struct diag *d)
{
    return write_payload(head, rows, changes, NULL, false, count, payload_out, d);
}

enum err down_write(const struct batch_head *head, const struct change *changes,
                    const struct down_author *authors, uint32_t count, struct buf *payload_out,
                    struct diag *d)
{
    if (head->cursor < head->cursor_from)
        return diag_set(d, ERR_USAGE, "A downlink cannot lead from cursor %llu back to %llu.",
                        (unsigned long long)head->cursor_from, (unsigned long long)head->cursor);
    static const struct down_author none;
    return write_payload(head, NULL, changes, count ? authors : &none, true, count, payload_out, d);
}

static enum err corrupt(struct str payload, const struct reader *r, enum err rc, struct diag *d)
{
    if (rc == ERR_CORRUPT)
        diag_set(d, rc, "The payload is malformed near byte %zu of %zu.", payload.n - reader_left(r),
                 payload.n);
    else if (rc)
        diag_set(d, rc, "Not enough memory to read a payload of %zu bytes.", payload.n);
    return rc;
}

enum err batch_read(struct arena *a, struct str payload, const struct batch_rows *rows,
                    struct batch_head *head, struct change **changes_out, uint32_t *count_out, struct diag *d)
{
    struct reader r = reader_of(payload);
    struct batch_head h = {.device = head->device, .inc = head->inc};
    uint64_t flags;
    struct columns columns;
    read_up_head(&r, &h, &flags);
    enum err rc = r.failed || flags >> 9 ? ERR_CORRUPT
                                         : columns_read(a, &h, rows, false, flags, &r, &columns, d);
    if (rc)
        return corrupt(payload, &r, rc, d);
    *head = h;
    *changes_out = columns.changes;
    *count_out = columns.count;
    return ERR_OK;
}

enum err down_read(struct arena *a, struct str payload, struct batch_head *head, struct change **changes_out,
                   struct down_author **authors_out, uint32_t *count_out, struct diag *d)
{
    struct reader r = reader_of(payload);
    struct batch_head h = {.device = head->device, .inc = head->inc};
    uint64_t flags;
    struct columns columns;
    read_down_head(&r, &h, &flags);
    enum err rc = read_heirs(a, &r, flags, &h);
    if (!rc)
        rc = r.failed || flags >> 12 ? ERR_CORRUPT : columns_read(a, &h, NULL, true, flags, &r, &columns, d);
    if (rc)
        return corrupt(payload, &r, rc, d);
    *head = h;
    *changes_out = columns.changes;
    *authors_out = columns.authors;
    *count_out = columns.count;
    return ERR_OK;
}
