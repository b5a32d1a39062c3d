/* What the records are, as one hash; and whether the log still makes them: frames and the centre's own
 * changes, applied anew from nothing.
 *
 * The hash tells nothing that depends on the order of arrival (sync/merge, record_state): no server
 * sequences, no row numbers. Replaying happens in a transaction that is never committed.
 */
#include <stdlib.h>

#include "server/erase.h"
#include "server/parts.h"

#define HASH_PAGE 256
#define EVENT_PAGE 512

enum err centre_state_hash(struct cstore *st, unsigned char out[static SHA256_SIZE], uint64_t *rows_out,
                           struct diag *d)
{
    struct arena a;
    struct record_row *rows = NULL;
    struct row_id after = {0};
    uint32_t count = 0;
    uint64_t total = 0;
    unsigned char hash[SHA256_SIZE] = {0};
    enum err rc = ERR_OK;
    arena_init(&a, 256u << 20);
    do {
        struct arena_mark mark = arena_mark(&a);
        rc = cstore_records_all(st, &a, after, HASH_PAGE, &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct record r;
            struct buf state;
            buf_init(&state, 64u << 20);
            after = rows[i].row;
            rc = record_unpack(&a, rows[i].row, rows[i].packed, &r, d);
            if (!rc)
                rc = record_state(&r, &state);
            const struct str parts[] = {{(const char *)hash, sizeof hash}, buf_str(&state)};
            if (!rc)
                rc = sha256_parts(parts, 2, hash);
            buf_free(&state);
        }
        total += count;
        arena_release(&a, mark);
    } while (!rc && count == HASH_PAGE);
    arena_free(&a);
    if (!rc)
        memcpy(out, hash, sizeof hash);
    if (!rc && rows_out)
        *rows_out = total;
    return rc ? diag_set(d, rc, "The state of the records could not be read.") : ERR_OK;
}

/* ---- replaying ---- */

struct number_of {
    uint64_t number;
    struct row_id row;
};

struct event {
    uint64_t seq;
    bool own; /* of the centre */
};

struct replay {
    struct cstore *st;
    struct arena a;    /* lists */
    struct arena work; /* one event */
    struct form_cache forms;
    const struct seam *seam;
    VEC(struct event) events;
    VEC(struct number_of) numbers; /* ascending: what frames call rows by */
};

static int by_seq(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int by_number(const void *a, const void *b)
{
    const struct number_of *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static bool number_known(void *self, uint64_t number, struct row_id *id_out)
{
    struct replay *p = self;
    const struct number_of key = {.number = number};
    const struct number_of *found = p->numbers.count ? bsearch(&key, p->numbers.at, p->numbers.count,
                                                               sizeof key, by_number)
                                                     : NULL;
    if (found)
        *id_out = found->row;
    return found != NULL;
}

static enum err numbers_read(struct replay *p, struct diag *d)
{
    struct record_row *rows = NULL;
    struct row_id after = {0};
    uint32_t count = 0;
    enum err rc = ERR_OK;
    do {
        struct arena_mark mark = arena_mark(&p->work);
        rc = cstore_records_all(p->st, &p->work, after, HASH_PAGE, &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct number_of *slot = vec_push(&p->a, &p->numbers);
            after = rows[i].row;
            if (slot)
                *slot = (struct number_of){rows[i].number, rows[i].row};
            else
                rc = ERR_NOMEM;
        }
        arena_release(&p->work, mark);
    } while (!rc && count == HASH_PAGE);
    if (!rc && p->numbers.count)
        qsort(p->numbers.at, p->numbers.count, sizeof p->numbers.at[0], by_number);
    return rc;
}

static enum err event_note(struct replay *p, uint64_t seq, bool own)
{
    struct event *slot = vec_push(&p->a, &p->events);
    if (slot)
        *slot = (struct event){seq, own};
    return slot ? ERR_OK : ERR_NOMEM;
}

static enum err events_read(struct replay *p, bool own, struct diag *d)
{
    uint64_t after = 0;
    uint32_t count = 0;
    enum err rc = ERR_OK;
    do {
        struct arena_mark mark = arena_mark(&p->work);
        struct batch_row *batches = NULL;
        struct own_row *owns = NULL;
        rc = own ? cstore_own(p->st, &p->work, after, EVENT_PAGE, &owns, &count, d)
                 : cstore_applied(p->st, &p->work, after, EVENT_PAGE, &batches, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            after = own ? owns[i].seq : batches[i].server_seq;
            rc = event_note(p, after, own);
        }
        arena_release(&p->work, mark);
    } while (!rc && count == EVENT_PAGE);
    return rc;
}

static enum err own_replay(struct replay *p, uint64_t seq, struct diag *d)
{
    struct own_row *own = NULL;
    struct change *changes = NULL;
    uint32_t count = 0;
    struct batch_head head = {0};
    struct cases cases = {.st = p->st, .a = &p->work};
    enum err rc = cstore_own(p->st, &p->work, seq - 1, 1, &own, &count, d);
    if (!rc)
        rc = batch_read(&p->work, own[0].payload, NULL, &head, &changes, &count, d);
    /* Its rows are of the epoch that is its incarnation: the payload names them in full or as its own. */
    if (!rc) {
        head.inc = head.epoch;
        rc = batch_read(&p->work, own[0].payload, NULL, &head, &changes, &count, d);
    }
    int64_t *hlc = rc ? NULL : ARENA_ARRAY(&p->work, int64_t, count);
    if (!rc && !hlc)
        rc = ERR_NOMEM;
    bool dropped = false;
    for (uint32_t i = 0; !rc && i < count; i++)
        hlc[i] = changes[i].hlc;
    if (!rc)
        rc = erase_filter(p->st, &p->work, changes, hlc, &count, &dropped, d);
    return rc || !count ? rc
                        : cases_apply(&cases, (struct case_author){.inc = head.epoch}, changes, hlc, count,
                                      changes[count - 1].seq, d);
}

static enum err frame_replay(struct replay *p, uint64_t seq, struct diag *d)
{
    struct batch_row *b = NULL;
    uint32_t count = 0;
    struct device_row device;
    struct ingest in;
    struct ingest_author author = {.known = true};
    const struct batch_rows rows = {.self = p, .id_of = number_known};
    bool conflict = false;
    enum err rc = cstore_applied(p->st, &p->work, seq - 1, 1, &b, &count, d);
    if (!rc)
        rc = cstore_device(p->st, &p->work, b->device, b->inc, &device, d);
    if (rc)
        return rc;
    memcpy(author.sign_public, device.sign_public, sizeof author.sign_public);
    if (!tombstone_is(b->frame))
        ingest_again(&p->work, b->frame, b->payload, &author, &rows, &in, d);
    else
        rc = tombstone_read(&p->work, b, NULL, &rows, &in, d);
    if (rc)
        return rc;
    if (in.verdict != INGEST_ACCEPT)
        return diag_set(d, in.cause ? in.cause : ERR_CORRUPT, "A stored frame cannot be read any more.");
    if (b->as_inc && !in.head.as_inc)
        rc = changes_rename(p->st, &p->work, &device, b->as_inc, &in, d);
    if (!rc)
        rc = seen_cap(p->st, in.head.epoch, b->came_epoch, in.changes, in.change_count, d);
    const struct frame_apply w = {.st = p->st,
                                  .a = &p->work,
                                  .forms = &p->forms,
                                  .seam = p->seam,
                                  .in = &in,
                                  .author = {b->device, b->as_inc ? b->as_inc : b->inc},
                                  .seq = seq,
                                  .rows = &rows,
                                  .now_ms = b->received_ms};
    return rc ? rc : frame_apply(&w, &conflict, d);
}

static uint64_t draw(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void mix(struct replay *p, uint64_t seed)
{
    for (uint32_t i = p->events.count; seed && i > 1; i--) {
        uint32_t k = (uint32_t)(draw(&seed) % i);
        struct event e = p->events.at[i - 1];
        p->events.at[i - 1] = p->events.at[k];
        p->events.at[k] = e;
    }
}

static enum err replay_all(struct replay *p, uint64_t order, struct diag *d)
{
    enum err rc = numbers_read(p, d);
    if (!rc)
        rc = events_read(p, false, d);
    if (!rc)
        rc = events_read(p, true, d);
    if (!rc)
        rc = cstore_records_forget(p->st, d);
    if (!rc && p->events.count)
        qsort(p->events.at, p->events.count, sizeof p->events.at[0], by_seq);
    mix(p, order);
    for (uint32_t i = 0; !rc && i < p->events.count; i++) {
        struct arena_mark mark = arena_mark(&p->work);
        rc = p->events.at[i].own ? own_replay(p, p->events.at[i].seq, d)
                                 : frame_replay(p, p->events.at[i].seq, d);
        arena_release(&p->work, mark);
    }
    return rc;
}

enum err centre_replay_hash(struct cstore *st, const struct seam *seam, uint64_t order,
                            unsigned char out[static SHA256_SIZE], uint64_t *events_out, struct diag *d)
{
    struct replay p = {.st = st, .seam = seam};
    arena_init(&p.a, 512u << 20);
    arena_init(&p.work, 512u << 20);
    enum err rc = cstore_begin(st, d);
    if (!rc)
        rc = replay_all(&p, order, d);
    if (!rc)
        rc = centre_state_hash(st, out, NULL, d);
    if (!rc && events_out)
        *events_out = p.events.count;
    cstore_rollback(st);
    form_cache_free(&p.forms);
    arena_free(&p.work);
    arena_free(&p.a);
    return rc == ERR_NOMEM ? diag_set(d, rc, "Out of memory while replaying the log.") : rc;
}

/* ---- letting go of deleted answers ---- */

#define LAPSED_MS (90LL * 86400 * 1000)

/* Every handheld in use that was heard of in the last 90 days has seen the deletes up to here. */
static enum err seen_by_all(struct cstore *st, struct arena *a, int64_t now_ms, uint64_t *upto_out,
                            struct diag *d)
{
    struct device_row *list = NULL;
    uint32_t count = 0;
    uint64_t upto = cstore_counters(st)->server_seq;
    enum err rc = cstore_devices(st, a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        bool live = !list[i].revoked_ms && now_ms - list[i].contact_ms < LAPSED_MS;
        if (live && list[i].cursor < upto)
            upto = list[i].cursor;
    }
    *upto_out = upto;
    return rc;
}

static enum err bury_one(struct cstore *st, struct arena *a, struct record_row *row, struct diag *d)
{
    struct record r;
    struct buf packed;
    enum err rc = record_unpack(a, row->row, row->packed, &r, d);
    if (rc)
        return rc;
    buf_init(&packed, 64u << 20);
    (void)record_bury(&r);
    rc = record_pack(&r, &packed);
    row->packed = buf_str(&packed);
    row->deleted_seq = 0;
    if (!rc)
        rc = cstore_record_put(st, row, d);
    buf_free(&packed);
    return rc;
}

enum err centre_bury(struct cstore *st, int64_t now_ms, uint64_t *buried_out, struct diag *d)
{
    struct arena a;
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t upto = 0, buried = 0;
    arena_init(&a, 256u << 20);
    enum err rc = cstore_begin(st, d);
    if (!rc)
        rc = seen_by_all(st, &a, now_ms, &upto, d);
    do {
        struct arena_mark mark = arena_mark(&a);
        if (!rc)
            rc = cstore_tombstones(st, &a, upto, HASH_PAGE, &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++)
            rc = bury_one(st, &a, &rows[i], d);
        buried += rc ? 0 : count;
        arena_release(&a, mark);
    } while (!rc && count == HASH_PAGE);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    arena_free(&a);
    if (!rc)
        *buried_out = buried;
    return rc;
}
