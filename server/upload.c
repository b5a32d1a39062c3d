/* Frames that come in pieces. Always true: what upload_put said is kept is on the disk; nobody waits for a
 * lock that another's broken connection holds; a device can fill its own share and nothing else; what was
 * begun and left is gone after a week. */
#include "server/transport.h"

/* What was left for a week goes. */
static enum err drop_left(struct cstore *st, int64_t now_ms, struct diag *d)
{
    struct upload_row old;
    enum err rc = ERR_OK;
    while (!(rc = cstore_upload_oldest(st, 0, 0, &old, d)) && now_ms - old.touched_ms > UPLOAD_LIFE_MS)
        if ((rc = cstore_upload_drop(st, &old, d)))
            return rc;
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

/* Of a device's own uploads, each counted as large as it will be, the oldest make room for a new one. */
static enum err room_of_device(struct cstore *st, const struct upload_row *u, struct diag *d)
{
    struct upload_usage use = {0};
    struct upload_row old;
    enum err rc;
    while (!(rc = cstore_upload_usage(st, u->device, u->inc, &use, d)) &&
           (use.count >= UPLOADS_OF_DEVICE_MAX ||
            (use.count && use.bytes + u->total > UPLOAD_BYTES_OF_DEVICE_MAX))) {
        rc = cstore_upload_oldest(st, u->device, u->inc, &old, d);
        if (!rc)
            rc = cstore_upload_drop(st, &old, d);
        if (rc)
            return rc;
    }
    return rc;
}

/* All devices together: every piece asks for its own bytes. Only what nobody works on makes room. */
static enum err room_of_all(struct cstore *st, const struct upload_row *u, uint64_t bytes, struct diag *d)
{
    struct upload_usage use = {0};
    struct upload_row old;
    enum err rc;
    while (!(rc = cstore_upload_usage(st, u->device, u->inc, &use, d)) &&
           use.bytes_all + bytes > UPLOAD_BYTES_MAX) {
        rc = cstore_upload_oldest(st, 0, 0, &old, d);
        if (rc && rc != ERR_NOT_FOUND)
            return rc;
        if (rc || u->touched_ms - old.touched_ms < UPLOAD_IDLE_MS ||
            memcmp(old.id, u->id, BATCH_ID_SIZE) == 0)
            return diag_set(d, ERR_BUSY,
                            "Many handhelds are sending large frames just now; try again later.");
        rc = cstore_upload_drop(st, &old, d);
        if (rc)
            return rc;
    }
    return rc;
}

static struct upload_row named(const struct server *s, const struct device_row *carrier,
                               const unsigned char *id, uint64_t total)
{
    struct upload_row u = {.device = carrier->device,
                           .inc = carrier->inc,
                           .total = total,
                           .touched_ms = srv_now_ms(s)};
    memcpy(u.id, id, BATCH_ID_SIZE);
    return u;
}

static enum err write_begin(struct server *s, struct cstore *st, struct diag *d)
{
    pthread_mutex_lock(&s->write_turn);
    return cstore_begin(st, d);
}

static enum err write_end(struct server *s, struct cstore *st, enum err rc, struct diag *d)
{
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    pthread_mutex_unlock(&s->write_turn);
    return rc;
}

enum err upload_look(struct cstore *st, const struct device_row *carrier,
                     const unsigned char id[static BATCH_ID_SIZE], struct upload_state *out, struct diag *d)
{
    struct upload_row u;
    struct arena a;
    struct str frame;
    uint64_t device;
    uint32_t inc;
    *out = (struct upload_state){0};
    enum err rc = cstore_upload(st, carrier->device, carrier->inc, id, &u, d);
    if (!rc) {
        out->known = true;
        out->have = u.have;
        out->whole = u.have == u.total;
        return ERR_OK;
    }
    if (rc != ERR_NOT_FOUND)
        return rc;
    arena_init(&a, 2 * FRAME_SIZE_MAX);
    rc = cstore_batch_by_id(st, &a, id, &frame, d);
    if (rc == ERR_NOT_FOUND)
        rc = cstore_part_author(st, id, &device, &inc, d);
    arena_free(&a);
    out->done = !rc;
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

static enum err append(struct cstore *st, struct upload_row *u, uint64_t at, struct str bytes,
                       struct upload_state *out, struct diag *d)
{
    if (bytes.n > u->total - at)
        return diag_set(d, ERR_CORRUPT, "More bytes came than the frame was said to have.");
    if (at + bytes.n <= u->have)
        return ERR_OK;
    out->gap = at > u->have;
    return out->gap ? ERR_OK
                    : cstore_upload_append(st, u, str_sub(bytes, (size_t)(u->have - at), bytes.n), d);
}

enum err upload_put(struct server *s, struct cstore *st, const struct device_row *carrier,
                    const unsigned char id[static BATCH_ID_SIZE], uint64_t at, uint64_t total,
                    struct str bytes, struct upload_state *out, struct diag *d)
{
    struct upload_row u = named(s, carrier, id, total);
    *out = (struct upload_state){0};
    if (total > FRAME_SIZE_MAX || total < FRAME_HEAD_SIZE || at > total)
        return diag_set(d, total > FRAME_SIZE_MAX ? ERR_LIMIT : ERR_USAGE, "No frame has %llu bytes.",
                        (unsigned long long)total);
    enum err rc = upload_look(st, carrier, id, out, d);
    if (rc || out->done)
        return rc;
    *out = (struct upload_state){0};
    rc = write_begin(s, st, d);
    if (!rc)
        rc = cstore_upload(st, carrier->device, carrier->inc, id, &u, d);
    bool fresh = rc == ERR_NOT_FOUND;
    if (fresh) /* or another connection of the same handheld brought the end of it meanwhile */
        rc = upload_look(st, carrier, id, out, d);
    if (!rc && out->done)
        return write_end(s, st, rc, d);
    if (!rc && fresh) {
        u = named(s, carrier, id, total);
        out->gap = at > 0;
        rc = drop_left(st, u.touched_ms, d);
        if (!rc && !out->gap)
            rc = room_of_device(st, &u, d);
    } else if (!rc && u.total != total) {
        rc = diag_set(d, ERR_USAGE, "This frame was said to have %llu bytes before.",
                      (unsigned long long)u.total);
    }
    u.touched_ms = srv_now_ms(s);
    if (!rc && !out->gap)
        rc = room_of_all(st, &u, bytes.n, d);
    if (!rc && !out->gap)
        rc = append(st, &u, at, bytes, out, d);
    rc = write_end(s, st, rc, d);
    out->known = true;
    out->have = u.have;
    out->whole = u.have == u.total;
    return rc;
}

enum err upload_drop(struct server *s, struct cstore *st, const struct device_row *carrier,
                     const unsigned char id[static BATCH_ID_SIZE], struct diag *d)
{
    struct upload_row u = named(s, carrier, id, 0);
    enum err rc = write_begin(s, st, d);
    if (!rc)
        rc = cstore_upload_drop(st, &u, d);
    return write_end(s, st, rc, d);
}

enum err upload_frame(struct server *s, struct cstore *st, struct arena *a, const struct device_row *carrier,
                      const unsigned char id[static BATCH_ID_SIZE], struct str *frame_out, struct diag *d)
{
    struct upload_row u;
    struct frame f;
    size_t size = 0;
    struct diag why = {0};
    enum err rc = cstore_upload(st, carrier->device, carrier->inc, id, &u, d);
    if (!rc && u.have != u.total)
        rc = diag_set(d, ERR_STATE, "Of this frame only %llu of %llu bytes are here.",
                      (unsigned long long)u.have, (unsigned long long)u.total);
    if (!rc)
        rc = cstore_upload_bytes(st, a, &u, frame_out, d);
    if (rc)
        return rc;
    rc = frame_parse(*frame_out, &f, &size, &why);
    if (!rc && size == frame_out->n && memcmp(f.batch_id, id, BATCH_ID_SIZE) == 0)
        return ERR_OK;
    rc = upload_drop(s, st, carrier, id, d);
    return rc ? rc
              : diag_set(d, ERR_CORRUPT,
                         "The bytes that came are not the frame they were sent as; send it anew.");
}
