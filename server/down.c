/* The downlink: what a device may see and has not seen, as one sealed frame of current versions in the
 * centre's order.
 *
 * Always true: a frame ends only where a transaction ended, and its cursor is one up to which everything the
 * device may see has been told; so `seen` in the device's later changes means what it says. A device's own
 * versions are left out: it holds them, and the receipt told their server sequences. Rows of its own it names
 * by its own counter, which is as short as the centre's number.
 */
#include <stdlib.h>

#include "server/parts.h"

#define TOUCH_PAGE 256
#define DOWN_FRAME_MAX                                                                               \
    (512u << 10)             /* raw bytes; a frame is larger only when one transaction's changes are \
                              */
#define LOOK_MAX 1024        /* rows that a receipt looks at to say "caught up" */
#define CHANGE_SIZE_GUESS 12 /* what a change costs beside its value */

struct told {
    struct change change;
    struct down_author by;
};

struct down {
    struct cstore *st;
    struct arena *a;
    const struct down_ask *ask;
    VEC(struct told) told;
    VEC(struct heir) heirs; /* of authors that are told of */
    size_t size;
    uint32_t look_max, looked_at; /* 0 = no limit */
};

static enum err version_tell(struct down *w, const struct record_row *row, uint32_t field,
                             const struct version *v)
{
    const struct device_row *device = w->ask->device;
    bool own = v->device == device->device && v->inc == device->inc;
    if (own && !w->ask->own_too)
        return ERR_OK;
    struct told *t = vec_push(w->a, &w->told);
    if (!t)
        return ERR_NOMEM;
    t->change = (struct change){.seq = v->seq,
                                .row = row->row,
                                .field = field,
                                .op = v->op,
                                .status = v->status,
                                .person = v->person,
                                .role = v->role,
                                .hlc = v->hlc,
                                .seen = v->seen,
                                .value = v->value};
    t->by = (struct down_author){.device = v->device,
                                 .inc = v->inc,
                                 .seq = v->seq,
                                 .hlc = v->hlc,
                                 .server_seq = v->server_seq,
                                 .row_number = row->number};
    w->size += v->value.n + CHANGE_SIZE_GUESS;
    return ERR_OK;
}

static enum err heirs_tell(struct down *w, const struct record *r)
{
    for (uint32_t i = 0; i < r->heir_count; i++) {
        const struct heir *h = &r->heirs[i];
        uint32_t at = 0;
        while (at < w->heirs.count && (w->heirs.at[at].device != h->device || w->heirs.at[at].inc != h->inc ||
                                       w->heirs.at[at].from != h->from))
            at++;
        bool known = at < w->heirs.count;
        struct heir *slot = known ? &w->heirs.at[at] : vec_push(w->a, &w->heirs);
        if (!slot)
            return ERR_NOMEM;
        if (!known || slot->upto < h->upto)
            *slot = *h;
    }
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
    struct arena_mark mark = arena_mark(w->a);
    uint32_t before = w->told.count;
    enum err rc = cstore_record(w->st, w->a, t->row, &row, d);
    if (rc == ERR_NOT_FOUND)
        return ERR_OK;
    if (!rc)
        rc = record_unpack(w->a, row.row, row.packed, &r, d);
    if (!rc && r.born && touched(t, &r.birth))
        rc = version_tell(w, &row, 0, &r.birth);
    for (uint32_t i = 0; !rc && i < r.count; i++) {
        for (uint32_t v = 0; !rc && v < r.cells[i].count; v++) {
            if (touched(t, &r.cells[i].versions[v]))
                rc = version_tell(w, &row, r.cells[i].field, &r.cells[i].versions[v]);
        }
    }
    if (!rc && w->told.count > before)
        rc = heirs_tell(w, &r);
    w->looked_at++;
    if (w->told.count == before) /* a handheld's own rows can be many, and are told of once */
        arena_release(w->a, mark);
    return rc;
}

/* Gathers whole transactions until the size is reached. `newest`: the county's sequence when this began;
 * later ones wait for the next time. *cursor_out: the last sequence told; *more_out: whether anything was
 * left. */
static enum err gather(struct down *w, uint64_t newest, uint64_t *cursor_out, bool *more_out, struct diag *d)
{
    struct touch *page = NULL;
    uint32_t count = 0, whole = 0;
    uint64_t at_seq = w->ask->cursor, whole_seq = w->ask->cursor;
    struct row_id at_row = {UINT64_MAX, UINT32_MAX, UINT32_MAX};
    bool more = false;
    enum err rc = ERR_OK;
    do {
        rc = cstore_touches(w->st, w->a, at_seq, at_row, w->ask->device->device, w->ask->area, TOUCH_PAGE,
                            &page, &count, d);
        for (uint32_t i = 0; !rc && !more && i < count && page[i].seq <= newest; i++) {
            if (page[i].seq != at_seq) {
                whole = w->told.count;
                whole_seq = at_seq;
            }
            at_seq = page[i].seq;
            at_row = page[i].row;
            rc = touch_tell(w, &page[i], d);
            bool full = w->size > w->ask->bytes_max || w->told.count > BATCH_CHANGES_MAX;
            more = (whole > 0 && full) || (w->look_max && w->looked_at > w->look_max);
        }
    } while (!rc && !more && count == TOUCH_PAGE && page[count - 1].seq <= newest);
    if (rc)
        return rc;
    if (more)
        w->told.count = whole;
    *cursor_out = more ? whole_seq : newest;
    *more_out = more;
    return ERR_OK;
}

enum err down_nothing(struct cstore *st, struct arena *a, const struct down_ask *ask, uint64_t newest,
                      bool *nothing_out, struct diag *d)
{
    struct down_ask small = *ask;
    struct down w = {.st = st, .a = a, .ask = &small, .look_max = LOOK_MAX};
    struct arena_mark mark = arena_mark(a);
    uint64_t cursor = 0;
    bool more = false;
    *nothing_out = false;
    if (ask->cursor > newest)
        return ERR_OK;
    small.bytes_max = 0;
    enum err rc = gather(&w, newest, &cursor, &more, d);
    if (!rc)
        *nothing_out = !more && w.told.count == 0;
    arena_release(a, mark);
    return rc;
}

static int by_server_seq(const void *a, const void *b)
{
    const struct down_author *x = &((const struct told *)a)->by, *y = &((const struct told *)b)->by;
    if (x->server_seq != y->server_seq)
        return x->server_seq < y->server_seq ? -1 : 1;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static enum err seal(struct server *s, struct down *w, struct str payload, const struct batch_head *head,
                     struct buf *frame_out, struct diag *d)
{
    unsigned char seed[32];
    struct frame_dict dict = {.id = w->ask->dict};
    if (dict.id && dict_find(w->st, w->a, dict.id, &dict.bytes, NULL))
        dict.id = 0; /* it holds one that is not known here: plain, then */
    enum err rc = s->seam->random(s->seam->self, seed, sizeof seed);
    struct frame_seal how = {.type = FRAME_DOWN,
                             .inc = head->epoch,
                             .batch_seq = head->cursor ? head->cursor : 1,
                             .schema = BATCH_SCHEMA_DOWN,
                             .recipient = w->ask->device->seal_public,
                             .dict = &dict,
                             .author = &s->centre.sign,
                             .ephemeral_seed = seed};
    if (!rc)
        rc = frame_make(&how, payload, frame_out, d);
    crypto_wipe(seed, sizeof seed);
    return rc;
}

static enum err write_told(struct down *w, const struct batch_head *head, struct buf *payload, struct diag *d)
{
    uint32_t count = w->told.count;
    struct change *changes = ARENA_ARRAY(w->a, struct change, count);
    struct down_author *authors = ARENA_ARRAY(w->a, struct down_author, count);
    if (!changes || !authors)
        return ERR_NOMEM;
    if (count)
        qsort(w->told.at, count, sizeof(struct told), by_server_seq);
    for (uint32_t i = 0; i < count; i++) {
        changes[i] = w->told.at[i].change;
        authors[i] = w->told.at[i].by;
    }
    return down_write(head, changes, authors, count, payload, d);
}

enum err down_build(struct server *s, struct cstore *st, struct arena *a, const struct down_ask *ask,
                    struct buf *frame_out, bool *any_out, struct diag *d)
{
    struct down_ask mine = *ask;
    struct down w = {.st = st, .a = a, .ask = &mine};
    struct counters now;
    uint64_t cursor = 0;
    bool more = false;
    uint64_t base = UINT64_MAX;
    enum err rc = cstore_county(st, a, NULL, NULL, &now, d);
    if (!rc && ask->epoch)
        rc = cstore_epoch_base(st, ask->epoch, EPOCH_TODAY, &base, d);
    if (!rc)
        rc = srv_telling(s, st, now.server_seq, d);
    if (rc)
        return rc;
    /* Told in an epoch that was since set back: what both have in common is known already, and the device
     * learns from the cursor that this frame goes on from how far that is. */
    if (mine.cursor > base)
        mine.cursor = base;
    if (mine.cursor > now.server_seq)
        mine.cursor = 0;
    if (mine.bytes_max > DOWN_FRAME_MAX)
        mine.bytes_max = DOWN_FRAME_MAX;
    struct buf payload;
    buf_init(&payload, FRAME_RAW_MAX);
    rc = gather(&w, now.server_seq, &cursor, &more, d);
    const struct batch_head head = {.inc = now.epoch,
                                    .epoch = now.epoch,
                                    .now_ms = srv_now_ms(s),
                                    .cursor_from = mine.cursor,
                                    .cursor = cursor,
                                    .heirs = w.heirs.at,
                                    .heir_count = w.heirs.count,
                                    .agreed = base == UINT64_MAX ? 0 : base,
                                    .caught_up = !more};
    if (!rc)
        rc = write_told(&w, &head, &payload, d);
    if (!rc)
        rc = seal(s, &w, buf_str(&payload), &head, frame_out, d);
    buf_free(&payload);
    if (!rc)
        *any_out = w.told.count > 0;
    return rc ? diag_set(d, rc, "What device %016llx may see could not be gathered.",
                         (unsigned long long)ask->device->device)
              : ERR_OK;
}
