/* Looking through the bundles of a place: who is certified, what the centre says that it has, what is for
 * this device, and where the parts of objects lie. Nothing is believed that is not signed; what is for us is
 * only located here, deliver() judges it. */
#include "agent/courier_impl.h"

#define LOOK_MEMORY_MAX (24u << 20)
#define MET_ROOM (2u * COURIER_PIECES_MAX)

/* ---- places and files ---- */

static const char *join(struct arena *a, const char *folder, struct str name)
{
    struct buf b;
    buf_init(&b, 4096);
    buf_put_z(&b, folder);
    buf_put_char(&b, '/');
    buf_put_str(&b, name);
    const char *path = b.failed ? NULL : arena_z(a, buf_str(&b));
    buf_free(&b);
    return path;
}

enum err courier_path(struct arena *a, const struct seam *seam, const char *data, const char *name,
                      const char **path_out, struct diag *d)
{
    const char *folder = join(a, data, STR("courier"));
    enum err rc = folder ? seam->dir_make(seam->self, folder, d) : ERR_LIMIT;
    if (!rc)
        *path_out = join(a, folder, str_of(name));
    return rc || !*path_out ? diag_set(d, rc ? rc : ERR_LIMIT, "the data directory's path is too long") : rc;
}

enum err bundle_open(struct open_bundle *b, const char *path, struct diag *d)
{
    *b = (struct open_bundle){0};
    enum err rc = stream_in_open(path, &b->in, d);
    if (!rc)
        bundle_reader_init(&b->reader, (struct bundle_source){b->in, stream_in_read});
    return rc;
}

void bundle_close(struct open_bundle *b)
{
    bundle_reader_free(&b->reader);
    stream_in_close(b->in);
    b->in = NULL;
}

enum err bundle_piece_at(struct open_bundle *b, const char *path, uint64_t at, struct piece *out,
                         struct diag *d)
{
    bool any = false;
    enum err rc = bundle_open(b, path, d);
    if (!rc)
        rc = stream_in_seek(b->in, at, d);
    if (!rc)
        rc = bundle_read(&b->reader, out, &any, d);
    if (!rc && (!any || b->reader.damaged > 0))
        rc = diag_set(d, ERR_CORRUPT, "%s has changed while it was read.", path);
    return rc;
}

/* ---- pieces met ---- */

enum err met_init(struct met *m, struct arena *a, struct diag *d)
{
    *m = (struct met){.room = MET_ROOM};
    m->slots = ARENA_ARRAY(a, struct met_slot, m->room);
    return m->slots ? ERR_OK : diag_set(d, ERR_NOMEM, "no memory to compare what is carried");
}

static struct met_slot *met_find(const struct met *m, const unsigned char check[static BUNDLE_CHECK_SIZE])
{
    uint32_t at;
    memcpy(&at, check, sizeof at); /* a piece of a SHA-256: spread evenly */
    for (at &= m->room - 1; m->slots[at].count > 0; at = (at + 1) & (m->room - 1))
        if (memcmp(m->slots[at].check, check, BUNDLE_CHECK_SIZE) == 0)
            break;
    return &m->slots[at];
}

uint32_t met_count(const struct met *m, const unsigned char check[static BUNDLE_CHECK_SIZE])
{
    return met_find(m, check)->count;
}

uint32_t met_add(struct met *m, const unsigned char check[static BUNDLE_CHECK_SIZE])
{
    struct met_slot *slot = met_find(m, check);
    if (slot->count == 0 && m->count == COURIER_PIECES_MAX)
        return UINT32_MAX;
    if (slot->count == 0) {
        memcpy(slot->check, check, BUNDLE_CHECK_SIZE);
        m->count++;
    }
    return slot->count++;
}

/* ---- looking ---- */

enum err look_open(struct look *l, const struct identity *us, struct courier_result *result, struct diag *d)
{
    arena_init(&l->arena, LOOK_MEMORY_MAX);
    l->us = us;
    l->result = result;
    if (!us->enrolled)
        return diag_set(d, ERR_STATE,
                        "this device is not enrolled yet: `doorstep enrol` with the code from the county");
    return keyset_read(&l->arena, us->keyset, NULL, &l->keys, d);
}

void look_free(struct look *l)
{
    arena_free(&l->arena);
}

struct known_device *look_device(struct look *l, uint64_t device, uint32_t inc)
{
    for (uint32_t i = l->devices.count; i-- > 0;)
        if (l->devices.at[i].name.device == device && l->devices.at[i].name.inc == inc)
            return &l->devices.at[i];
    return NULL;
}

bool look_is_us(const struct look *l, const struct piece *p)
{
    return p->device == l->us->by.device && p->inc == l->us->by.inc;
}

bool look_is_done(struct look *l, const struct frame *f)
{
    const struct known_device *k = look_device(l, f->device, f->inc);
    return k && k->has_done && f->type != FRAME_MANIFEST && done_covers(&k->done, f);
}

bool look_is_signed(struct look *l, const struct piece *p)
{
    if (p->frame.device == 0)
        return frame_verify(&p->frame, l->keys.sign_public, NULL) == ERR_OK;
    const struct known_device *k = look_device(l, p->device, p->inc);
    return k && k->certified && frame_verify(&p->frame, k->sign_public, NULL) == ERR_OK;
}

static struct known_device *device_note(struct look *l, uint64_t device, uint32_t inc)
{
    struct known_device *k = look_device(l, device, inc);
    if (k || l->devices.count == COURIER_PIECES_MAX / 16)
        return k;
    k = vec_push(&l->arena, &l->devices);
    if (k)
        k->name = (struct device_name){device, inc};
    return k;
}

static void note_certificate(struct look *l, const struct piece *p)
{
    struct certificate c;
    struct known_device *k = look_device(l, p->device, p->inc);
    if ((k && k->certified) || certificate_read(p->bytes, l->keys.sign_public, &c, NULL) ||
        c.device != p->device || c.inc != p->inc || !(k = device_note(l, c.device, c.inc)))
        return;
    k->certified = true;
    memcpy(k->sign_public, c.sign_public, sizeof k->sign_public);
}

/* By epoch and cursor, which clocks have no part in: a centre whose clock once stood at 2099 must not make
 * all that it says later stale. */
static int in_order(const struct done *a, const struct done *b)
{
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    return a->cursor < b->cursor ? -1 : a->cursor > b->cursor;
}

static void note_done(struct look *l, uint32_t source, const struct piece *p)
{
    struct done s;
    if (done_read(&l->arena, p->bytes, l->keys.sign_public, &s, NULL) || s.device != p->device ||
        s.inc != p->inc)
        return;
    struct known_device *k = device_note(l, s.device, s.inc);
    if (!k || (k->has_done && in_order(&s, &k->done) < 0))
        return;
    int order = in_order(&s, &l->newest);
    if (order > 0 || (order == 0 && s.ms < l->newest.ms))
        l->newest = s;
    k->has_done = true;
    k->done = s;
    k->done_source = source;
}

static void note_frame(struct look *l, uint32_t source, uint64_t at, const struct piece *p)
{
    const struct frame *f = &p->frame;
    if (f->device != 0 && f->type == FRAME_MANIFEST) {
        struct known_device *k = device_note(l, p->device, p->inc);
        if (k && f->batch_seq > k->manifest_number)
            k->manifest_number = f->batch_seq;
    }
    l->for_others[source] = l->for_others[source] ||
                            (f->device == 0 && f->type == FRAME_DOWN && !look_is_us(l, p));
    if (f->device != 0 || !look_is_us(l, p) || f->inc < l->us->epoch ||
        l->for_us.count == COURIER_PIECES_MAX || frame_verify(f, l->keys.sign_public, NULL))
        return;
    struct for_us *slot = vec_push(&l->arena, &l->for_us);
    if (slot)
        *slot = (struct for_us){source, at, f->type, f->inc, f->batch_seq, false};
}

static void note_object(struct look *l, uint32_t source, uint64_t at, const struct piece *p)
{
    struct object_part *part = l->parts.count < COURIER_PIECES_MAX ? vec_push(&l->arena, &l->parts) : NULL;
    if (!part)
        return;
    *part = (struct object_part){.size = p->size, .offset = p->offset, .at = at, .source = source};
    memcpy(part->hash, p->hash, SHA256_SIZE);
}

static void note(struct look *l, uint32_t source, uint64_t at, const struct piece *p)
{
    switch (p->kind) {
    case PIECE_CERTIFICATE: note_certificate(l, p); break;
    case PIECE_DONE: note_done(l, source, p); break;
    case PIECE_FRAME: note_frame(l, source, at, p); break;
    case PIECE_OBJECT: note_object(l, source, at, p); break;
    case PIECE_INDEX:
        for (uint32_t i = 0; i < p->missing_count; i++)
            l->result->frames_missing += p->missing[i].kind == PIECE_FRAME;
        break;
    case PIECE_END: break;
    }
}

enum err look_through(struct look *l, struct diag *d)
{
    l->for_others = ARENA_ARRAY(&l->arena, bool, l->path_count);
    enum err rc = l->for_others ? ERR_OK : diag_set(d, ERR_NOMEM, "no memory to look at bundles");
    for (uint32_t i = 0; !rc && i < l->path_count; i++) {
        struct open_bundle b;
        struct piece p;
        bool any = true;
        rc = bundle_open(&b, l->paths[i].p, d);
        while (!rc && !(rc = bundle_read(&b.reader, &p, &any, d)) && any)
            note(l, i, b.reader.piece_at, &p);
        l->result->bundles++;
        l->result->bundles_damaged += !rc && !b.reader.whole;
        l->result->bytes_damaged += b.reader.damaged;
        bundle_close(&b);
    }
    return rc;
}
