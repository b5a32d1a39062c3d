/* See courier.h. Two passes over the card: frames in, in their order; then for each handheld met what is for
 * it. Working memory is one piece's, and one line for each handheld. */
#include <unistd.h>

#include "platform/posix/posix_stream.h"
#include "server/courier.h"
#include "server/transport.h"
#include "sync/courier.h"
#include "sync/render.h"

#define DOWN_BYTES (256u << 10)
#define RECEIPT_PAGE 256 /* as srv_receipts lists at once */
#define PUBLISHED_MAX 4096
#define PARTS_NAMED_MAX 16384 /* of attachments, that statements name */

struct visitor {
    uint64_t device;
    uint32_t inc;
    bool wishes;
    uint64_t wish_number; /* of the newest */
    uint32_t epoch;
    uint64_t cursor, unsure_from;
    uint64_t first; /* lowest batch on the card; 0 = none */
};

struct part_taken {
    uint64_t device;
    uint32_t inc;
    struct done_item item;
};

struct answering {
    const struct courier_job *job;
    struct server *s;
    struct cstore *st;
    struct arena memory, work;
    struct courier_counts *n;
    VEC(struct visitor) visitors;
    VEC(struct part_taken) parts;
    struct published *published;
    bool *wanted; /* by at least one of them */
    uint32_t published_count;
    struct bundle_writer out;
    bool writing;
    uint64_t bytes_max; /* of the answer: downlink beyond waits; 0 = no limit */
    uint32_t lines_said;
};

#define LINES_MAX 200 /* a card may hold a million frames to complain about; all of them are counted */

static void line(struct answering *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(struct answering *x, const char *format, ...)
{
    va_list args;
    if (!x->job || !x->job->lines || x->lines_said > LINES_MAX)
        return;
    if (x->lines_said++ == LINES_MAX) {
        buf_put_z(x->job->lines, "There is more of this kind; it is counted, and not listed.\n");
        return;
    }
    va_start(args, format);
    buf_vprintf(x->job->lines, format, args);
    va_end(args);
    buf_put_char(x->job->lines, '\n');
}

/* ---- frames in ---- */

static struct visitor *visitor_of(struct answering *x, const struct frame *f)
{
    for (uint32_t i = x->visitors.count; i-- > 0;)
        if (x->visitors.at[i].device == f->device && x->visitors.at[i].inc == f->inc)
            return &x->visitors.at[i];
    struct visitor *v = x->visitors.count < COURIER_DEVICES_MAX ? vec_push(&x->memory, &x->visitors) : NULL;
    if (v) {
        v->device = f->device;
        v->inc = f->inc;
    }
    return v;
}

/* Trouble of the store or the machine ends the work; trouble of a frame does not. */
static bool is_ours(enum err rc)
{
    return rc == ERR_FULL || rc == ERR_IO || rc == ERR_BUSY || rc == ERR_NOMEM;
}

static enum err refuse(struct answering *x, const struct frame *f, const struct diag *why, struct diag *d)
{
    if (is_ours(why->code))
        return diag_set(d, why->code, "%s", why->text);
    x->n->refused++;
    line(x, "warning: frame %llu of handheld %016llx-%u: %s", (unsigned long long)f->batch_seq,
         (unsigned long long)f->device, f->inc, why->text[0] ? why->text : err_action(why->code)->todo_en);
    return ERR_OK;
}

static enum err take_changes(struct answering *x, const struct frame *f, struct diag *d)
{
    struct accepted accepted = {0};
    struct diag why = {0};
    enum err rc = srv_accept(x->s, x->st, &x->work, f->bytes, UINT64_MAX, &accepted, &why);
    if (rc) {
        why.code = rc;
        return refuse(x, f, &why, d);
    }
    struct visitor *v = visitor_of(x, f);
    if (v && (v->first == 0 || f->batch_seq < v->first))
        v->first = f->batch_seq;
    x->n->again += accepted.duplicate;
    x->n->apart += !accepted.duplicate && accepted.batch.status == RECEIPT_QUARANTINED;
    x->n->stored += !accepted.duplicate && accepted.batch.status != RECEIPT_QUARANTINED;
    return ERR_OK;
}

static enum err put_for(struct answering *x, const struct visitor *v, enum piece_kind kind, struct str bytes,
                        struct diag *d)
{
    struct piece p = {.kind = kind, .device = v->device, .inc = v->inc, .bytes = bytes};
    size_t size = 0;
    enum err rc = kind == PIECE_FRAME ? frame_parse(bytes, &p.frame, &size, d) : ERR_OK;
    return rc || !x->writing ? rc : bundle_put(&x->out, &p, d);
}

/* It may also be authentic and of no use, and then its author has to hear of it. */
static bool has_part(struct answering *x, const struct frame *f)
{
    struct buf receipt;
    buf_init(&receipt, FRAME_SIZE_MAX);
    bool has = srv_part_receipt(x->s, x->st, &x->work, f->batch_id, &receipt, NULL) == ERR_OK;
    buf_free(&receipt);
    return has;
}

/* A part of an attachment; its receipt is not in the ledger, so it is written down at once. */
static enum err take_part(struct answering *x, const struct frame *f, struct diag *d)
{
    struct buf receipt;
    struct diag why = {0};
    buf_init(&receipt, FRAME_SIZE_MAX);
    enum err rc = srv_part(x->s, x->st, &x->work, f->bytes, &receipt, &why);
    const struct visitor *v = rc ? NULL : visitor_of(x, f);
    if (rc) {
        why.code = rc;
        rc = refuse(x, f, &why, d);
    } else {
        x->n->stored++;
        struct part_taken *part = has_part(x, f) && x->parts.count < PARTS_NAMED_MAX
                                      ? vec_push(&x->memory, &x->parts)
                                      : NULL;
        if (part) {
            *part = (struct part_taken){.device = f->device, .inc = f->inc, .item.batch_seq = f->batch_seq};
            memcpy(part->item.batch_id, f->batch_id, BATCH_ID_SIZE);
        }
        rc = v ? put_for(x, v, PIECE_FRAME, buf_str(&receipt), d) : ERR_OK;
    }
    buf_free(&receipt);
    return rc;
}

static bool holds(const struct manifest *m, const unsigned char *hash)
{
    for (uint32_t i = 0; i < m->held_count; i++)
        if (memcmp(m->held[i], hash, SHA256_SIZE) == 0)
            return true;
    return false;
}

static void note_wish(struct answering *x, const struct frame *f, const struct manifest *m)
{
    struct visitor *v = visitor_of(x, f);
    if (!v)
        return;
    for (uint32_t i = 0; i < x->published_count; i++)
        x->wanted[i] = x->wanted[i] || !holds(m, x->published[i].hash);
    x->n->wishes++;
    if (v->wishes && f->batch_seq < v->wish_number)
        return;
    v->wishes = true;
    v->wish_number = f->batch_seq;
    v->epoch = m->epoch;
    v->cursor = m->cursor;
    v->unsure_from = m->unsure_from;
}

static enum err take_wish(struct answering *x, const struct frame *f, struct diag *d)
{
    struct device_row device;
    struct manifest m;
    struct buf payload;
    struct diag why = {0};
    buf_init(&payload, f->raw_size);
    enum err rc = cstore_device(x->st, &x->work, f->device, f->inc, &device, NULL);
    if (rc == ERR_NOT_FOUND)
        rc = diag_set(&why, ERR_DENIED, "This handheld is not enrolled here.");
    else if (rc)
        (void)diag_set(&why, rc, "The device could not be looked up.");
    if (!rc)
        rc = frame_verify(f, device.sign_public, &why);
    if (!rc && f->schema != BATCH_SCHEMA_MANIFEST)
        rc = diag_set(&why, ERR_VERSION, "What it asks for has a form that is not known here.");
    if (!rc)
        rc = frame_open(f, &x->s->centre.seal, &payload, &why);
    if (!rc)
        rc = manifest_read(&x->work, buf_str(&payload), &m, &why);
    if (!rc)
        note_wish(x, f, &m);
    buf_free(&payload);
    why.code = rc;
    return rc ? refuse(x, f, &why, d) : ERR_OK;
}

static enum err take_piece(struct answering *x, const struct piece *p, struct diag *d)
{
    if (p->kind == PIECE_INDEX)
        for (uint32_t i = 0; i < p->missing_count; i++)
            x->n->frames_missing += p->missing[i].kind == PIECE_FRAME;
    if (p->kind != PIECE_FRAME || p->frame.device == 0)
        return ERR_OK;
    switch (p->frame.type) {
    case FRAME_UP: return take_changes(x, &p->frame, d);
    case FRAME_OBJECT: return take_part(x, &p->frame, d);
    case FRAME_MANIFEST: return take_wish(x, &p->frame, d);
    default: return ERR_OK;
    }
}

static enum err take_pieces(struct answering *x, struct bundle_source source, const char *name,
                            struct diag *d)
{
    struct bundle_reader r;
    struct piece p;
    bool any = true;
    enum err rc = ERR_OK;
    bundle_reader_init(&r, source);
    while (!rc && !(rc = bundle_read(&r, &p, &any, d)) && any) {
        struct arena_mark mark = arena_mark(&x->work);
        rc = take_piece(x, &p, d);
        arena_release(&x->work, mark);
    }
    x->n->bundles++;
    x->n->bundles_damaged += !rc && !r.whole;
    x->n->bytes_damaged += r.damaged;
    if (!rc && !r.whole)
        line(x, "warning: %s is not whole: %llu bytes are damaged or it breaks off; the rest was taken", name,
             (unsigned long long)r.damaged);
    bundle_reader_free(&r);
    return rc;
}

static enum err take_bundle(struct answering *x, const char *path, struct diag *d)
{
    struct stream_in *in = NULL;
    enum err rc = stream_in_open(path, &in, d);
    if (!rc)
        rc = take_pieces(x, (struct bundle_source){in, stream_in_read}, path, d);
    stream_in_close(in);
    return rc;
}

/* ---- what goes back ---- */

static enum err put_done(struct answering *x, const struct visitor *v, const struct device_row *device,
                         const struct counters *now, struct diag *d)
{
    struct batch_row *rows = NULL;
    uint32_t count = 0;
    struct buf text;
    enum err rc = cstore_batches(x->st, &x->work, device->device, device->inc, device->contiguous,
                                 DONE_ITEMS_MAX, &rows, &count, d);
    if (rc)
        return rc;
    struct done_item *items = ARENA_ARRAY(&x->work, struct done_item, DONE_ITEMS_MAX);
    if (!items)
        return diag_set(d, ERR_NOMEM, "Out of memory while answering a card.");
    for (uint32_t i = 0; i < count; i++) {
        items[i].batch_seq = rows[i].batch_seq;
        memcpy(items[i].batch_id, rows[i].batch_id, BATCH_ID_SIZE);
    }
    for (uint32_t i = 0; i < x->parts.count && count < DONE_ITEMS_MAX; i++)
        if (x->parts.at[i].device == v->device && x->parts.at[i].inc == v->inc)
            items[count++] = x->parts.at[i].item;
    const struct done done = {.epoch = now->epoch,
                              .cursor = now->server_seq,
                              .ms = srv_now_ms(x->s),
                              .device = device->device,
                              .inc = device->inc,
                              .contiguous = device->contiguous,
                              .items = items,
                              .item_count = count};
    buf_init(&text, 64u << 10);
    rc = done_write(&done, &x->s->centre.sign, &text);
    rc = rc ? diag_set(d, rc, "A statement could not be signed.")
            : put_for(x, v, PIECE_DONE, buf_str(&text), d);
    buf_free(&text);
    return rc;
}

/* From the oldest frame that the handheld is unsure of: as many receipts as it takes. */
static enum err put_receipts(struct answering *x, const struct visitor *v, const struct device_row *device,
                             struct diag *d)
{
    uint64_t since = device->contiguous;
    uint32_t count = 0;
    struct buf frame;
    enum err rc = ERR_OK;
    if (v->first > 0 && v->first - 1 < since)
        since = v->first - 1;
    if (v->unsure_from > 0 && v->unsure_from - 1 < since)
        since = v->unsure_from - 1;
    buf_init(&frame, FRAME_SIZE_MAX);
    do {
        struct batch_row *rows = NULL;
        buf_clear(&frame);
        rc = srv_receipts(x->s, x->st, &x->work, device, since, true, &frame, d);
        if (!rc)
            rc = put_for(x, v, PIECE_FRAME, buf_str(&frame), d);
        if (!rc)
            rc = cstore_batches(x->st, &x->work, device->device, device->inc, since, RECEIPT_PAGE, &rows,
                                &count, d);
        if (!rc && count > 0)
            since = rows[count - 1].batch_seq;
        x->n->receipts++;
    } while (!rc && count == RECEIPT_PAGE);
    buf_free(&frame);
    return rc;
}

static enum err put_downs(struct answering *x, const struct visitor *v, const struct device_row *device,
                          const struct counters *now, struct diag *d)
{
    struct person person;
    struct buf frame;
    bool more = v->epoch != now->epoch || v->cursor < now->server_seq;
    struct down_ask ask = {.device = device, .bytes_max = DOWN_BYTES, .cursor = v->cursor, .epoch = v->epoch};
    enum err rc = cstore_person(x->st, &x->work, device->person, &person, d);
    ask.area = person.area;
    buf_init(&frame, FRAME_SIZE_MAX);
    while (!rc && more && (x->bytes_max == 0 || x->out.bytes < x->bytes_max)) {
        struct frame f;
        size_t size = 0;
        bool any = false;
        struct arena_mark mark = arena_mark(&x->work);
        buf_clear(&frame);
        rc = down_build(x->s, x->st, &x->work, &ask, &frame, &any, d);
        arena_release(&x->work, mark);
        if (!rc)
            rc = frame_parse(buf_str(&frame), &f, &size, d);
        if (!rc)
            rc = put_for(x, v, PIECE_FRAME, buf_str(&frame), d);
        if (rc)
            break;
        /* The head tells up to where it leads, and that is in today's epoch. */
        more = any && f.batch_seq < now->server_seq && (ask.epoch != now->epoch || f.batch_seq > ask.cursor);
        ask.cursor = f.batch_seq;
        ask.epoch = now->epoch;
        x->n->downs++;
    }
    buf_free(&frame);
    return rc;
}

static enum err answer_one(struct answering *x, const struct visitor *v, struct diag *d)
{
    struct device_row device;
    struct counters now;
    enum err rc = cstore_device(x->st, &x->work, v->device, v->inc, &device, d);
    if (!rc)
        rc = cstore_county(x->st, &x->work, NULL, NULL, &now, d);
    if (!rc)
        rc = put_done(x, v, &device, &now, d);
    if (!rc)
        rc = put_receipts(x, v, &device, d);
    if (!rc && v->wishes && !device.revoked_ms)
        rc = put_downs(x, v, &device, &now, d);
    x->n->devices += !rc;
    return rc;
}

static enum err put_objects(struct answering *x, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < x->published_count; i++) {
        struct str bytes;
        if (!x->wanted[i])
            continue;
        struct arena_mark mark = arena_mark(&x->work);
        rc = cstore_object(x->st, &x->work, x->published[i].hash, NULL, &bytes, d);
        if (!rc)
            rc = bundle_put_object(&x->out, x->published[i].hash, bytes, d);
        x->n->objects += !rc;
        arena_release(&x->work, mark);
    }
    return rc;
}

static enum err answer_all(struct answering *x, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < x->visitors.count; i++) {
        struct arena_mark mark = arena_mark(&x->work);
        rc = answer_one(x, &x->visitors.at[i], d);
        arena_release(&x->work, mark);
    }
    return rc || x->bytes_max ? rc : put_objects(x, d);
}

/* ---- the whole ---- */

static enum err list_published(struct answering *x, struct diag *d)
{
    uint32_t all = 0;
    enum err rc = published_all(x->st, &x->memory, &x->published, &all, d);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < all && x->published_count < PUBLISHED_MAX; i++)
        if (str_eq_z(x->published[i].state, "live"))
            x->published[x->published_count++] = x->published[i];
    x->wanted = ARENA_ARRAY(&x->memory, bool, x->published_count);
    return x->wanted ? ERR_OK : diag_set(d, ERR_NOMEM, "Out of memory while listing what is published.");
}

static bool is_out(const struct courier_job *job, const char *path)
{
    size_t n = job->out ? strlen(job->out) : 0;
    return n > 0 && strncmp(path, job->out, n) == 0 && (path[n] == 0 || strcmp(path + n, STREAM_PART) == 0);
}

static bool was_answered(const struct answering *x, const struct piece *p)
{
    for (uint32_t i = 0; i < x->visitors.count; i++)
        if (x->visitors.at[i].device == p->device && x->visitors.at[i].inc == p->inc)
            return x->writing;
    return false;
}

/* Nothing in it is needed any more: what goes to the centre is here, what came from it was answered anew. */
static bool is_needless(struct answering *x, const struct piece *p)
{
    struct batch_row row;
    if (p->kind != PIECE_FRAME || p->frame.type == FRAME_MANIFEST)
        return true;
    if (p->frame.device == 0)
        return was_answered(x, p);
    if (p->frame.type == FRAME_OBJECT)
        return has_part(x, &p->frame);
    return p->frame.type == FRAME_UP &&
           cstore_batch(x->st, &x->work, p->frame.device, p->frame.inc, p->frame.batch_seq, &row, NULL) ==
               ERR_OK &&
           memcmp(row.batch_id, p->frame.batch_id, BATCH_ID_SIZE) == 0;
}

static enum err is_spent(struct answering *x, const char *path, bool *spent_out, struct diag *d)
{
    struct stream_in *in = NULL;
    struct bundle_reader r;
    struct piece p;
    bool any = true, spent = true;
    enum err rc = stream_in_open(path, &in, d);
    if (rc)
        return rc;
    bundle_reader_init(&r, (struct bundle_source){in, stream_in_read});
    while (!rc && spent && !(rc = bundle_read(&r, &p, &any, d)) && any) {
        struct arena_mark mark = arena_mark(&x->work);
        spent = is_needless(x, &p);
        arena_release(&x->work, mark);
    }
    *spent_out = !rc && spent && r.whole;
    bundle_reader_free(&r);
    stream_in_close(in);
    return rc;
}

static enum err remove_spent(struct answering *x, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < x->job->path_count; i++) {
        bool spent = false;
        if (is_out(x->job, x->job->paths[i]))
            continue;
        rc = is_spent(x, x->job->paths[i], &spent, d);
        if (!rc && spent && unlink(x->job->paths[i]) == 0)
            x->n->removed++;
    }
    return rc;
}

static enum err work(struct answering *x, struct diag *d)
{
    enum err rc = list_published(x, d);
    for (uint32_t i = 0; !rc && i < x->job->path_count; i++)
        if (!is_out(x->job, x->job->paths[i]))
            rc = take_bundle(x, x->job->paths[i], d);
    if (!rc && x->writing)
        rc = answer_all(x, d);
    return rc;
}

enum err courier_answer(const struct courier_job *job, struct courier_counts *out, struct diag *d)
{
    struct answering x = {.job = job, .s = job->server, .st = job->server->stores[0], .n = out};
    struct stream_out *file = NULL;
    enum err rc = ERR_OK;
    memset(out, 0, sizeof *out);
    arena_init(&x.memory, 64u << 20);
    arena_init(&x.work, SRV_REQUEST_MEMORY_MAX);
    if (job->out) {
        rc = stream_out_open(job->out, &file, d);
        if (!rc)
            rc = bundle_begin(&x.out, (struct bundle_sink){file, stream_out_write}, d);
        x.writing = true;
    }
    if (!rc)
        rc = work(&x, d);
    if (!rc && file)
        rc = bundle_end(&x.out, d);
    out->bytes = x.out.bytes;
    bundle_writer_free(&x.out);
    if (!rc && file)
        rc = stream_out_commit(file, d);
    else
        stream_out_drop(file);
    if (!rc && job->remove)
        rc = remove_spent(&x, d);
    arena_free(&x.work);
    arena_free(&x.memory);
    return rc;
}

static enum err show_frame(const struct courier_job *job, const struct frame *f, bool json, struct buf *out,
                           struct diag *d)
{
    struct buf plain;
    buf_init(&plain, f->raw_size);
    bool opens = frame_open(f, &job->server->centre.seal, &plain, NULL) == ERR_OK;
    const struct str opened = buf_str(&plain);
    enum err rc = frame_render(f, opens ? &opened : NULL, NULL, json ? RENDER_JSON : RENDER_TEXT, out);
    if (plain.p)
        crypto_wipe(plain.p, plain.room);
    buf_free(&plain);
    return rc ? diag_set(d, rc, "There are too many frames to show each of them.") : ERR_OK;
}

enum err courier_show(const struct courier_job *job, bool json, struct buf *out, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < job->path_count; i++) {
        struct stream_in *in = NULL;
        struct bundle_reader r;
        struct piece p;
        bool any = true;
        rc = stream_in_open(job->paths[i], &in, d);
        if (rc)
            break;
        bundle_reader_init(&r, (struct bundle_source){in, stream_in_read});
        while (!rc && !(rc = bundle_read(&r, &p, &any, d)) && any)
            if (p.kind == PIECE_FRAME)
                rc = show_frame(job, &p.frame, json, out, d);
        bundle_reader_free(&r);
        stream_in_close(in);
    }
    return rc;
}

struct in_memory {
    struct str rest;
};

static enum err memory_read(void *self, char *out, size_t n, size_t *got_out, struct diag *d)
{
    struct in_memory *m = self;
    (void)d;
    struct str part = str_sub(m->rest, 0, n);
    if (part.n)
        memcpy(out, part.p, part.n);
    m->rest = str_sub(m->rest, part.n, m->rest.n);
    *got_out = part.n;
    return ERR_OK;
}

static enum err memory_write(void *self, struct str bytes, struct diag *d)
{
    struct buf *b = self;
    buf_put_str(b, bytes);
    return b->failed ? diag_set(d, b->failed, "The answer to a courier is too long.") : ERR_OK;
}

enum err courier_answer_bytes(struct server *s, struct cstore *st, struct str bundle, size_t bytes_max,
                              struct buf *answer_out, struct diag *d)
{
    struct courier_counts counts = {0};
    struct in_memory source = {bundle};
    struct answering x = {.s = s, .st = st, .n = &counts, .writing = true, .bytes_max = bytes_max};
    arena_init(&x.memory, 16u << 20);
    arena_init(&x.work, SRV_REQUEST_MEMORY_MAX);
    enum err rc = bundle_begin(&x.out, (struct bundle_sink){answer_out, memory_write}, d);
    if (!rc)
        rc = list_published(&x, d);
    if (!rc)
        rc = take_pieces(&x, (struct bundle_source){&source, memory_read}, "", d);
    if (!rc)
        rc = answer_all(&x, d);
    if (!rc)
        rc = bundle_end(&x.out, d);
    bundle_writer_free(&x.out);
    arena_free(&x.work);
    arena_free(&x.memory);
    return rc;
}
