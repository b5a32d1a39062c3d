/* Attachments: parts of files that handhelds send behind their data, and patches between published objects.
 * Always true: a receipt for a part leaves after its commit; a file counts only when its hash is proven. */
#include "server/transport.h"

#include "sync/batch_zstd.h"

static enum err receipt_seal(struct server *s, const struct device_row *device, const struct receipt *r,
                             struct buf *frame_out, struct diag *d)
{
    unsigned char seed[32];
    struct buf payload;
    struct frame_seal how = {.type = FRAME_RECEIPT,
                             .inc = r->epoch,
                             .batch_seq = r->cursor ? r->cursor : 1,
                             .schema = BATCH_SCHEMA_RECEIPT,
                             .recipient = device->seal_public,
                             .author = &s->centre.sign,
                             .ephemeral_seed = seed};
    buf_init(&payload, 1u << 16);
    enum err rc = s->seam->random(s->seam->self, seed, sizeof seed);
    if (!rc)
        rc = receipt_write(r, &payload);
    if (!rc)
        rc = frame_make(&how, buf_str(&payload), frame_out, d);
    buf_free(&payload);
    crypto_wipe(seed, sizeof seed);
    return rc ? diag_set(d, rc, "The receipt for a part of an attachment could not be made.") : ERR_OK;
}

static void set_aside(struct receipt_part *item, enum err cause, struct str reason)
{
    item->status = RECEIPT_QUARANTINED;
    item->cause = cause;
    item->reason = reason;
}

/* What is authentic and cannot be used is told so; the handheld goes on holding it. */
static enum err open_part(struct server *s, struct arena *a, const struct frame *f, struct part *p,
                          struct diag *why)
{
    struct buf plain;
    buf_init(&plain, f->raw_size);
    enum err rc = f->schema == BATCH_SCHEMA_PART
                      ? frame_open(f, &s->centre.seal, &plain, why)
                      : diag_set(why, ERR_VERSION, "This kind of object frame is not known here.");
    struct str payload = rc ? STR_NONE : arena_str(a, buf_str(&plain));
    if (!rc && !payload.p)
        rc = ERR_NOMEM;
    if (!rc)
        rc = part_read(a, payload, p, why);
    buf_free(&plain);
    return rc;
}

/* Names are first come, first served: nobody takes those of another person's visit. A handheld that was
 * enrolled anew sends what is left of its earlier name. */
static enum err links_are_own(struct cstore *st, struct arena *a, const struct device_row *author,
                              const struct part *p, struct diag *why)
{
    for (uint32_t i = 0; i < p->link_count; i++) {
        struct row_id visit;
        struct device_row other;
        bool read = row_id_read((struct str){(const char *)p->links[i].visit, ROW_ID_SIZE}, &visit);
        if (read && visit.device == author->device)
            continue;
        enum err rc = read ? cstore_device(st, a, visit.device, visit.inc, &other, why) : ERR_NOT_FOUND;
        if (rc && rc != ERR_NOT_FOUND)
            return rc;
        if (rc || other.person != author->person)
            return diag_set(why, ERR_DENIED, "A file is named for a visit that another person made.");
    }
    return ERR_OK;
}

static enum err keep_part(struct server *s, struct cstore *st, struct arena *a, const struct frame *f,
                          const struct part *p, struct receipt_part *item, struct diag *d)
{
    bool bad = false;
    pthread_mutex_lock(&s->write_turn);
    enum err rc = cstore_begin(st, d);
    if (!rc)
        rc = cstore_part_put(st, a, f, p, srv_now_ms(s), &bad, d);
    if (!rc) /* a place in the order of its own: a backup from before this is behind it */
        rc = cstore_told_put(st, ++cstore_counters(st)->server_seq, d);
    if (!rc && bad)
        rc = cstore_audit(st, srv_now_ms(s), STR("device"), STR("attachment-damaged"), STR(""), d);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    pthread_mutex_unlock(&s->write_turn);
    if (!rc && bad)
        set_aside(item, ERR_CORRUPT, STR("The parts of this file do not give the file they were cut from."));
    return rc;
}

static enum err author_of_part(struct cstore *st, struct arena *a, const struct frame *f,
                               struct device_row *device, struct diag *d)
{
    enum err rc = cstore_device(st, a, f->device, f->inc, device, NULL);
    if (rc == ERR_NOT_FOUND)
        return diag_set(d, ERR_DENIED, "This handheld is not known here. Enrol it.");
    return rc ? rc : frame_verify(f, device->sign_public, d);
}

static enum err part_receipt(struct server *s, struct cstore *st, struct arena *a,
                             const struct device_row *device, const struct receipt_part *item,
                             struct buf *receipt_out, struct diag *d)
{
    struct counters now;
    enum err rc = cstore_county(st, a, NULL, NULL, &now, d);
    if (rc)
        return rc;
    const struct receipt r = {.epoch = now.epoch,
                              .device = device->device,
                              .inc = device->inc,
                              .contiguous = device->contiguous,
                              .cursor = now.server_seq,
                              .refused = device->revoked_ms ? ERR_DENIED : ERR_OK,
                              .server_time_ms = srv_now_ms(s),
                              .token = STR(""),
                              .parts = item,
                              .part_count = 1};
    return receipt_seal(s, device, &r, receipt_out, d);
}

enum err srv_part_receipt(struct server *s, struct cstore *st, struct arena *a,
                          const unsigned char id[static BATCH_ID_SIZE], struct buf *receipt_out,
                          struct diag *d)
{
    struct receipt_part item = {.status = RECEIPT_STORED, .reason = STR("")};
    struct device_row device;
    uint64_t author = 0;
    uint32_t inc = 0;
    memcpy(item.batch_id, id, BATCH_ID_SIZE);
    enum err rc = cstore_part_author(st, id, &author, &inc, d);
    if (!rc)
        rc = cstore_device(st, a, author, inc, &device, d);
    return rc ? rc : part_receipt(s, st, a, &device, &item, receipt_out, d);
}

enum err srv_part(struct server *s, struct cstore *st, struct arena *a, struct str bytes,
                  struct buf *receipt_out, struct diag *d)
{
    struct frame f;
    struct device_row device;
    struct part p = {.size = 0};
    struct diag why = {0};
    size_t size = 0;

    enum err rc = frame_parse(bytes, &f, &size, d);
    if (!rc && (size != bytes.n || f.type != FRAME_OBJECT))
        rc = diag_set(d, ERR_CORRUPT, "One object frame is expected here.");
    if (!rc)
        rc = author_of_part(st, a, &f, &device, d);
    if (rc)
        return rc;
    struct receipt_part item = {.status = RECEIPT_STORED, .reason = STR("")};
    memcpy(item.batch_id, f.batch_id, BATCH_ID_SIZE);
    rc = device.revoked_ms ? diag_set(&why, ERR_DENIED, "This handheld was revoked.")
                           : open_part(s, a, &f, &p, &why);
    if (!rc)
        rc = links_are_own(st, a, &device, &p, &why);
    if (rc == ERR_NOMEM || rc == ERR_IO || rc == ERR_BUSY)
        return diag_set(d, rc, "A part of an attachment could not be read or looked at just now.");
    if (rc)
        set_aside(&item, rc, str_of(why.text));
    else
        rc = keep_part(s, st, a, &f, &p, &item, d);
    if (rc && item.status == RECEIPT_STORED)
        return rc;
    return part_receipt(s, st, a, &device, &item, receipt_out, d);
}

/* ---- patches ---- */

enum err srv_patch(struct server *s, struct cstore *st, struct arena *a,
                   const unsigned char from[static SHA256_SIZE], const unsigned char to[static SHA256_SIZE],
                   struct str target, struct str *patch_out, struct diag *d)
{
    struct str base;
    struct buf patch;
    *patch_out = STR_NONE;
    enum err rc = cstore_patch(st, a, from, to, patch_out, d);
    if (rc != ERR_NOT_FOUND)
        return rc;
    rc = cstore_object(st, a, from, NULL, &base, NULL);
    if (rc == ERR_NOT_FOUND || (!rc && (base.n > SRV_PATCH_OBJECT_MAX || target.n > SRV_PATCH_OBJECT_MAX)))
        return ERR_OK;
    if (rc)
        return diag_set(d, rc, "The earlier version of an object could not be read.");
    buf_init(&patch, 2 * (size_t)SRV_PATCH_OBJECT_MAX);
    rc = zstd_patch(base, target, &patch, d);
    if (!rc && patch.n < target.n / 4 * 3) {
        *patch_out = arena_str(a, buf_str(&patch));
        rc = patch_out->p ? ERR_OK : ERR_NOMEM;
    }
    buf_free(&patch);
    if (rc)
        return rc;
    pthread_mutex_lock(&s->write_turn);
    rc = cstore_begin(st, d);
    if (!rc)
        rc = cstore_patch_put(st, from, to, *patch_out, d);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    pthread_mutex_unlock(&s->write_turn);
    return rc;
}
