/* The downlink: what a device may see and has not seen, as one sealed frame of current versions in the centre's order.
 *
 * Always true: a frame ends only between server sequences, and its cursor is one up to which everything the device may see
 * has been told; so `seen` in the device's later changes means what it says. A device's own versions are left out, it holds them; but the birth
 * of a row it made comes back once, with the row's server number.
 */
#include "server/parts.h"

#define TOUCH_PAGE 256
#define DOWN_FRAME_MAX (512u << 10) /* raw bytes; one frame of a device may be larger when a single sequence is */
#define OWN_TOUCHES_MAX 1024
#define CHANGE_SIZE_GUESS 12        /* what a change costs beside its value */

struct down {
    struct cstore *st;
    struct arena *a;
    const struct device_row *device;
    VEC(struct change) changes;
    VEC(struct down_author) authors;
    size_t size;
    uint32_t looked_at;
};

static enum err version_tell(struct down *w, const struct record_row *row, uint32_t field, const struct version *v)
{
    bool own = v->device == w->device->device && v->inc == w->device->inc;
    if (own && v->op != CHANGE_ROW_CREATE)
        return ERR_OK;
    struct change *c = vec_push(w->a, &w->changes);
    struct down_author *by = vec_push(w->a, &w->authors);
    if (!c || !by)
        return ERR_NOMEM;
    *c = (struct change){.seq = v->seq,
                         .row = row->row,
                         .field = field,
                         .op = v->op,
                         .status = v->status,
                         .person = v->person,
                         .role = v->role,
                         .hlc = v->hlc,
                         .seen = v->seen,
                         .value = v->value};
    *by = (struct down_author){.device = v->device,
                               .inc = v->inc,
                               .seq = v->seq,
                               .hlc = v->hlc,
                               .server_seq = v->server_seq,
                               .row_number = row->number};
    w->size += v->value.n + CHANGE_SIZE_GUESS;
    return ERR_OK;
}

static bool touched(const struct touch *t, const struct version *v)
{
    return v->server_seq >= t->from && v->server_seq <= t->seq;
}

static enum err touch_tell(struct down *w, const struct touch *t, struct diag *d)
{
    struct record_row row;
    struct record r;
    enum err rc = cstore_record(w->st, w->a, t->row, &row, d);
    if (rc == ERR_NOT_FOUND)
        return ERR_OK;
    if (!rc)
        rc = record_unpack(w->a, row.row, row.packed, &r, d);
    if (!rc && r.born && touched(t, &r.birth))
        rc = version_tell(w, &row, 0, &r.birth);
    for (uint32_t i = 0; !rc && i < r.count; i++) {
        for (uint32_t v = 0; !rc && v < r.cells[i].count; v++) {
            const struct version *version = &r.cells[i].versions[v];
            if (touched(t, version))
                rc = version_tell(w, &row, r.cells[i].field, version);
        }
    }
    w->looked_at++;
    return rc;
}

/* Gathers whole sequences until the size is reached. *cursor: in the last one known, out the last one told; *more_out: whether
 * anything was left. `newest`: the county's sequence when this began; later ones wait for the next time. */
static enum err gather(struct down *w, struct str area, uint64_t newest, size_t bytes_max, uint64_t *cursor,
                       bool *more_out, struct diag *d)
{
    struct touch *page = NULL;
    uint32_t count = 0, whole = 0;
    uint64_t at_seq = *cursor, whole_seq = *cursor;
    struct row_id at_row = {UINT64_MAX, UINT32_MAX, UINT32_MAX};
    bool more = false;
    enum err rc = ERR_OK;
    do {
        rc = cstore_touches(w->st, w->a, at_seq, at_row, w->device->device, area, TOUCH_PAGE, &page, &count, d);
        for (uint32_t i = 0; !rc && !more && i < count; i++) {
            if (page[i].seq != at_seq) {
                whole = w->changes.count;
                whole_seq = at_seq;
            }
            if (page[i].seq > newest)
                break;
            at_seq = page[i].seq;
            at_row = page[i].row;
            rc = touch_tell(w, &page[i], d);
            more = whole > 0 && w->size > bytes_max;
        }
    } while (!rc && !more && count == TOUCH_PAGE && page[count - 1].seq <= newest);
    if (rc)
        return rc;
    if (more) {
        w->changes.count = whole;
        w->authors.count = whole;
        *cursor = whole_seq;
    } else {
        *cursor = newest;
    }
    *more_out = more;
    return ERR_OK;
}

static enum err seal(struct server *s, const struct device_row *device, struct str payload, uint64_t cursor,
                     struct buf *frame_out, struct diag *d)
{
    unsigned char seed[32];
    enum err rc = s->seam->random(s->seam->self, seed, sizeof seed);
    struct frame_seal how = {.type = FRAME_DOWN,
                             .inc = s->centre.epoch,
                             .batch_seq = cursor,
                             .schema = BATCH_SCHEMA_DOWN,
                             .recipient = device->seal_public,
                             .author = &s->centre.sign,
                             .ephemeral_seed = seed};
    if (!rc)
        rc = frame_make(&how, payload, frame_out, d);
    crypto_wipe(seed, sizeof seed);
    return rc;
}

enum err down_build(struct server *s, struct cstore *st, struct arena *a, const struct device_row *device,
                    struct str area, uint64_t cursor, size_t bytes_max, struct buf *frame_out, bool *any_out,
                    bool *more_out, struct diag *d)
{
    struct down w = {.st = st, .a = a, .device = device};
    struct counters now;
    bool more = false;
    *any_out = *more_out = false;
    enum err rc = cstore_county(st, a, NULL, NULL, &now, d);
    if (rc)
        return rc;
    if (cursor > now.server_seq) /* told by a centre that was since restored from a backup */
        cursor = 0;
    rc = gather(&w, area, now.server_seq, bytes_max < DOWN_FRAME_MAX ? bytes_max : DOWN_FRAME_MAX, &cursor, &more, d);
    if (rc == ERR_NOMEM)
        return diag_set(d, rc, "Out of memory while gathering what device %016llx may see.",
                        (unsigned long long)device->device);
    /* A frame without changes moves the cursor past what was only this device's own, before looking costs too much. */
    if (rc || (w.changes.count == 0 && w.looked_at < OWN_TOUCHES_MAX))
        return rc;
    struct batch_head head = {.epoch = s->centre.epoch,
                              .inc = s->centre.epoch,
                              .now_ms = srv_now_ms(s),
                              .anchor_ms = srv_now_ms(s),
                              .cursor = cursor};
    struct buf payload;
    buf_init(&payload, FRAME_RAW_MAX);
    rc = down_write(&head, w.changes.at, w.authors.at, w.changes.count, &payload, d);
    if (!rc)
        rc = seal(s, device, buf_str(&payload), cursor, frame_out, d);
    buf_free(&payload);
    if (!rc) {
        *any_out = true;
        *more_out = more;
    }
    return rc;
}
