/* Giving to a place: one bundle with this device's frames, what it asks for, and what it carries. */
#include <unistd.h>

#include "agent/attach.h"
#include "agent/courier_impl.h"

struct giving {
    struct store *store;
    const struct seam *seam;
    const struct courier_options *o;
    struct courier_result *result;
    struct arena arena;
    struct bundle_writer out;
    struct look look; /* of the place and of what is carried */
    struct met there; /* pieces in other bundles of the place */
};

static bool room_for(const struct giving *g, size_t n)
{
    return g->o->bytes_max == 0 || g->out.bytes + n <= g->o->bytes_max;
}

static enum err put_certificate(struct giving *g, struct diag *d)
{
    const struct identity *id = store_identity(g->store);
    const struct piece p = {.kind = PIECE_CERTIFICATE,
                            .device = id->by.device,
                            .inc = id->by.inc,
                            .bytes = id->by.certificate};
    if (p.bytes.n == 0 || p.bytes.n > 4096)
        return diag_set(d, ERR_STATE,
                        "this device has no certificate of the centre: sync it once, or enrol it again");
    return bundle_put(&g->out, &p, d);
}

static enum err put_frame(struct giving *g, struct str bytes, struct diag *d)
{
    const struct identity *id = store_identity(g->store);
    struct piece p = {.kind = PIECE_FRAME, .device = id->by.device, .inc = id->by.inc, .bytes = bytes};
    size_t size;
    enum err rc = frame_parse(bytes, &p.frame, &size, d);
    return rc ? rc : bundle_put(&g->out, &p, d);
}

/* ---- what this device asks for ---- */

static enum err held_objects(struct giving *g, struct manifest *m, struct diag *d)
{
    struct published *list = NULL;
    uint32_t count = 0;
    enum err rc = store_published(g->store, &g->arena, &list, &count, d);
    if (rc)
        return rc;
    if (count > MANIFEST_OBJECTS_MAX)
        count = MANIFEST_OBJECTS_MAX;
    unsigned char(*held)[SHA256_SIZE] = arena_array(&g->arena, count, SHA256_SIZE);
    if (!held)
        return diag_set(d, ERR_NOMEM, "no memory to say what this device holds");
    for (uint32_t i = 0; i < count; i++)
        if (list[i].held)
            memcpy(held[m->held_count++], list[i].hash, SHA256_SIZE);
    m->held = (const unsigned char(*)[SHA256_SIZE])held;
    return ERR_OK;
}

static enum err oldest_waiting(struct giving *g, uint64_t *out, struct diag *d)
{
    struct buf frame;
    bool any = false;
    buf_init(&frame, FRAME_SIZE_MAX);
    enum err rc = store_frame_next(g->store, 0, out, &frame, &any, d);
    buf_free(&frame);
    if (!rc && !any)
        *out = 0;
    return rc;
}

static enum err put_manifest(struct giving *g, struct diag *d)
{
    const struct identity *id = store_identity(g->store);
    struct manifest m = {.epoch = id->epoch, .cursor = id->cursor};
    struct frame_seal how = {.type = FRAME_MANIFEST,
                             .device = id->by.device,
                             .inc = id->by.inc,
                             /* which wish is newer; a wrong clock only makes the answer longer */
                             .batch_seq = (uint64_t)g->seam->wall_ms(g->seam->self),
                             .schema = BATCH_SCHEMA_MANIFEST,
                             .recipient = g->look.keys.seal_public,
                             .author = &id->sign};
    struct buf payload, frame;
    buf_init(&payload, FRAME_RAW_MAX);
    buf_init(&frame, FRAME_SIZE_MAX);
    enum err rc = held_objects(g, &m, d);
    if (!rc)
        rc = oldest_waiting(g, &m.unsure_from, d);
    if (!rc)
        rc = manifest_write(&m, &payload);
    if (!rc)
        rc = frame_make(&how, buf_str(&payload), &frame, d);
    if (!rc)
        rc = put_frame(g, buf_str(&frame), d);
    buf_free(&payload);
    buf_free(&frame);
    return rc;
}

/* ---- frames ---- */

typedef enum err (*frame_source)(struct store *s, uint64_t after, uint64_t *seq_out, struct buf *frame_out,
                                 bool *any_out, struct diag *d);

static enum err put_frames(struct giving *g, frame_source next,
                           enum err (*sent)(struct store *, uint64_t, struct diag *), struct diag *d)
{
    uint64_t seq = 0;
    bool any = true;
    struct buf frame;
    buf_init(&frame, FRAME_SIZE_MAX);
    enum err rc = ERR_OK;
    while (!rc && any) {
        buf_clear(&frame);
        rc = next(g->store, seq, &seq, &frame, &any, d);
        if (rc || !any)
            break;
        if (!room_for(g, frame.n)) {
            g->result->frames_left++; /* and what stands behind it */
            break;
        }
        rc = sent ? sent(g->store, seq, d) : ERR_OK;
        if (!rc)
            rc = put_frame(g, buf_str(&frame), d);
        g->result->frames_own += !rc;
    }
    buf_free(&frame);
    return rc;
}

/* ---- what is carried ---- */

static enum err put_carried_piece(struct giving *g, const struct piece *p, struct diag *d)
{
    if (p->kind == PIECE_INDEX || p->kind == PIECE_END || look_is_us(&g->look, p))
        return ERR_OK;
    if (p->kind == PIECE_FRAME && p->frame.device != 0) {
        if (look_is_done(&g->look, &p->frame)) {
            g->result->frames_let_go++;
            return ERR_OK;
        }
        if (met_count(&g->there, p->check) >= COURIER_COPIES_MAX)
            return ERR_OK;
    } else if (p->kind == PIECE_OBJECT && met_count(&g->there, p->check) > 0) {
        return ERR_OK;
    }
    if (!room_for(g, p->bytes.n)) {
        g->result->pieces_left++;
        return ERR_OK;
    }
    g->result->frames_carried += p->kind == PIECE_FRAME && p->frame.device != 0 &&
                                 p->frame.type != FRAME_MANIFEST;
    return bundle_put(&g->out, p, d);
}

static enum err put_carried(struct giving *g, const char *path, struct diag *d)
{
    struct open_bundle b;
    struct piece p;
    struct diag quiet = {0};
    bool any = true;
    enum err rc = bundle_open(&b, path, &quiet);
    if (rc == ERR_NOT_FOUND)
        return ERR_OK;
    if (rc)
        return diag_set(d, rc, "%s", quiet.text);
    while (!rc && !(rc = bundle_read(&b.reader, &p, &any, d)) && any)
        rc = put_carried_piece(g, &p, d);
    bundle_close(&b);
    return rc;
}

/* ---- the place ---- */

/* What the other bundles hold, so that nothing stands there a third time. */
static enum err meet(struct giving *g, const char *path, struct diag *d)
{
    struct open_bundle b;
    struct piece p;
    bool any = true;
    enum err rc = bundle_open(&b, path, d);
    while (!rc && !(rc = bundle_read(&b.reader, &p, &any, d)) && any)
        if (p.kind == PIECE_FRAME || p.kind == PIECE_OBJECT)
            (void)met_add(&g->there, p.check);
    bundle_close(&b);
    return rc;
}

/* Nothing but frames that the centre has, and what belongs to them: it can go. */
static enum err is_spent(struct giving *g, const char *path, bool *spent_out, struct diag *d)
{
    struct open_bundle b;
    struct piece p;
    bool any = true, spent = true;
    uint64_t frames = 0;
    enum err rc = bundle_open(&b, path, d);
    while (!rc && spent && !(rc = bundle_read(&b.reader, &p, &any, d)) && any) {
        if (p.kind == PIECE_OBJECT || (p.kind == PIECE_FRAME && p.frame.device == 0))
            spent = false;
        if (p.kind != PIECE_FRAME || p.frame.type == FRAME_MANIFEST)
            continue;
        frames++;
        spent = spent && look_is_done(&g->look, &p.frame);
    }
    *spent_out = !rc && spent && frames > 0 && b.reader.damaged == 0;
    bundle_close(&b);
    return rc;
}

static enum err remove_spent(struct giving *g, const char *own, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 1; !rc && i < g->look.path_count; i++) {
        bool spent = false;
        const char *path = g->look.paths[i].p;
        if (strcmp(path, own) == 0)
            continue;
        rc = is_spent(g, path, &spent, d);
        if (!rc && spent && unlink(path) == 0)
            g->result->bundles_removed++;
    }
    return rc;
}

static bool is_part_of(struct str path, const char *own)
{
    return str_starts(path, str_of(own)); /* the bundle itself, or what is left of writing it */
}

static enum err look_around(struct giving *g, const char *place, const char *carried, const char *own,
                            struct diag *d)
{
    struct str *found = NULL;
    struct look *l = &g->look;
    uint32_t count = 0;
    struct diag quiet = {0};
    struct stream_in *in = NULL;
    enum err rc = place ? stream_list(&l->arena, place, COURIER_SUFFIX, COURIER_FILES_MAX, &found, &count, d)
                        : ERR_OK;
    if (rc)
        return rc;
    l->paths = ARENA_ARRAY(&l->arena, struct str, count + 1u);
    if (!l->paths)
        return diag_set(d, ERR_NOMEM, "no memory to look at %s", place);
    rc = stream_in_open(carried, &in, &quiet);
    stream_in_close(in);
    /* The first place is the carried bundle's, so that the others' numbers do not depend on it. */
    l->paths[0] = rc ? STR_NONE : str_of(carried);
    l->path_count = 1;
    for (uint32_t i = 0; i < count; i++)
        if (!is_part_of(found[i], own))
            l->paths[l->path_count++] = found[i];
    return ERR_OK;
}

static enum err look_and_meet(struct giving *g, struct diag *d)
{
    struct look *l = &g->look;
    struct str *all = l->paths;
    enum err rc = met_init(&g->there, &l->arena, d);
    if (!all[0].p) { /* nothing is carried */
        l->paths++;
        l->path_count--;
    }
    if (!rc)
        rc = look_through(l, d);
    if (!all[0].p)
        l->path_count++;
    l->paths = all;
    for (uint32_t i = 1; !rc && i < l->path_count; i++)
        rc = meet(g, l->paths[i].p, d);
    return rc;
}

static enum err write_bundle(struct giving *g, const char *path, const char *carried, struct diag *d)
{
    struct stream_out *file = NULL;
    enum err rc = stream_out_open(path, &file, d);
    if (!rc)
        rc = bundle_begin(&g->out, (struct bundle_sink){file, stream_out_write}, d);
    if (!rc)
        rc = put_certificate(g, d);
    if (!rc)
        rc = put_manifest(g, d);
    if (!rc)
        rc = put_frames(g, store_frame_next, store_frame_sent, d);
    if (!rc)
        rc = put_carried(g, carried, d);
    if (!rc) /* photos last: they are what may not fit */
        rc = put_frames(g, attach_part_next, NULL, d);
    if (!rc)
        rc = bundle_end(&g->out, d);
    g->result->bytes = g->out.bytes;
    bundle_writer_free(&g->out);
    if (!rc)
        return stream_out_commit(file, d);
    stream_out_drop(file);
    return rc;
}

/* `place` NULL: nothing lies beside the file. */
static enum err give(struct giving *g, const char *place, const char *path, struct diag *d)
{
    const char *carried = NULL;
    uint32_t frames = 0;
    enum err rc = store_cut(g->store, &frames, d);
    if (!rc && store_identity(g->store)->over.n > 0)
        rc = diag_set(d, ERR_STATE,
                      "this device has to be told its new number by the centre first, and that goes by radio "
                      "only: `doorstep sync` where there is a network");
    if (!rc)
        rc = look_open(&g->look, store_identity(g->store), g->result, d);
    if (!rc)
        rc = courier_path(&g->arena, g->seam, g->o->data, "carried" COURIER_SUFFIX, &carried, d);
    if (!rc)
        rc = look_around(g, place, carried, path, d);
    if (!rc)
        rc = look_and_meet(g, d);
    if (!rc)
        rc = write_bundle(g, path, carried, d);
    if (!rc && place)
        rc = remove_spent(g, path, d);
    look_free(&g->look);
    return rc;
}

enum err courier_pack(struct store *s, const struct seam *seam, const char *path,
                      const struct courier_options *o, struct courier_result *result_out, struct diag *d)
{
    struct giving g = {.store = s, .seam = seam, .o = o, .result = result_out};
    memset(result_out, 0, sizeof *result_out);
    arena_init(&g.arena, 16u << 20);
    enum err rc = give(&g, NULL, path, d);
    arena_free(&g.arena);
    return rc;
}

enum err courier_give(struct store *s, const struct seam *seam, const char *place,
                      const struct courier_options *o, struct courier_result *result_out, struct diag *d)
{
    struct giving g = {.store = s, .seam = seam, .o = o, .result = result_out};
    struct buf path;
    enum err rc = store_refresh(s, d);
    const struct identity *id = store_identity(s);
    memset(result_out, 0, sizeof *result_out);
    arena_init(&g.arena, 16u << 20);
    buf_init(&path, 4096);
    buf_printf(&path, "%s/doorstep-%016llx-%u" COURIER_SUFFIX, place, (unsigned long long)id->by.device,
               id->by.inc);
    if (!rc && path.failed)
        rc = diag_set(d, ERR_LIMIT, "The path of %s is too long.", place);
    if (!rc)
        rc = give(&g, place, path.p, d);
    buf_free(&path);
    arena_free(&g.arena);
    return rc;
}
