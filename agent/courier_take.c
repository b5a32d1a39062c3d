/* Taking from a place: first what is for this device, then what it is to carry. The first is a sync whose
 * other end is the bundles: deliver() asks, they answer as far as they can. */
#include "agent/courier_impl.h"
#include "platform/http_text.h"

#define TRIES_MAX 3
#define OBJECT_SIZE_MAX (64u << 20)

/* ---- what is for this device ---- */

struct bundle_centre {
    const struct seam *world;
    struct look *look;
    uint64_t objects_missing;
};

static int64_t centre_wall_ms(void *self)
{
    const struct bundle_centre *c = self;
    return c->world->wall_ms(c->world->self);
}

static int64_t centre_mono_ms(void *self)
{
    const struct bundle_centre *c = self;
    return c->world->mono_ms(c->world->self);
}

/* A card that is asked again later says the same: nothing to wait for. */
static void centre_sleep_ms(void *self, int64_t ms)
{
    (void)self;
    (void)ms;
}

static enum err centre_random(void *self, void *out, size_t n)
{
    const struct bundle_centre *c = self;
    return c->world->random(c->world->self, out, n);
}

static void centre_log(void *self, enum log_event event, int64_t a, int64_t b, enum err cause)
{
    const struct bundle_centre *c = self;
    c->world->log(c->world->self, event, a, b, cause);
}

static enum err reply_frame(struct look *l, struct for_us *f, struct http_reply *reply, struct diag *d)
{
    struct open_bundle b;
    struct piece p;
    const char *path = l->paths[f->source].p;
    enum err rc = bundle_piece_at(&b, path, f->at, &p, d);
    f->used = true;
    if (!rc && p.kind == PIECE_FRAME)
        buf_put_str(&reply->body, p.bytes);
    bundle_close(&b);
    return rc;
}

/* The next that was not given: older epochs and lower numbers first. NULL = none. */
static struct for_us *next_for_us(struct look *l, enum frame_type type, uint32_t epoch, uint64_t after)
{
    struct for_us *best = NULL;
    for (uint32_t i = 0; i < l->for_us.count; i++) {
        struct for_us *f = &l->for_us.at[i];
        if (f->used || f->type != type || f->epoch < epoch || (f->epoch == epoch && f->number <= after))
            continue;
        if (!best || f->epoch < best->epoch || (f->epoch == best->epoch && f->number < best->number))
            best = f;
    }
    return best;
}

static enum err reply_receipts(struct look *l, uint32_t room, struct http_reply *reply, struct diag *d)
{
    struct for_us *f;
    enum err rc = ERR_OK;
    while (!rc && reply->body.n < room / 2 && (f = next_for_us(l, FRAME_RECEIPT, l->us->epoch, 0)))
        rc = reply_frame(l, f, reply, d);
    reply->status = reply->body.n > 0 ? 200 : 404;
    return rc;
}

static enum err reply_down(struct look *l, struct arena *a, struct str url, struct http_reply *reply,
                           struct diag *d)
{
    uint64_t cursor = 0, epoch = 0;
    (void)str_to_u64(http_query(a, url, "c"), &cursor);
    (void)str_to_u64(http_query(a, url, "e"), &epoch);
    struct for_us *f = next_for_us(l, FRAME_DOWN, (uint32_t)epoch, cursor);
    reply->status = f ? 200 : 204;
    return f ? reply_frame(l, f, reply, d) : ERR_OK;
}

static const struct object_part *part_at(const struct look *l, const unsigned char *hash, uint64_t offset)
{
    for (uint32_t i = 0; i < l->parts.count; i++)
        if (l->parts.at[i].offset == offset && memcmp(l->parts.at[i].hash, hash, SHA256_SIZE) == 0)
            return &l->parts.at[i];
    return NULL;
}

static enum err put_part(const struct look *l, const struct object_part *part, struct buf *out,
                         struct diag *d)
{
    struct open_bundle b;
    struct piece p;
    enum err rc = bundle_piece_at(&b, l->paths[part->source].p, part->at, &p, d);
    if (!rc && p.kind == PIECE_OBJECT)
        buf_put_str(out, p.bytes);
    bundle_close(&b);
    return rc;
}

/* Parts may lie in several bundles, and each of them more than once. */
static enum err reply_object(struct bundle_centre *c, struct str path, struct http_reply *reply,
                             struct diag *d)
{
    unsigned char hash[SHA256_SIZE];
    const struct object_part *part;
    const struct look *l = c->look;
    uint64_t size = 0;
    enum err rc = ERR_OK;
    reply->status = 404;
    if (!hex_read(str_sub(path, path.n < 64 ? 0 : path.n - 64, 64), hash, sizeof hash))
        return ERR_OK;
    while (!rc && (part = part_at(l, hash, reply->body.n)) != NULL) {
        size_t before = reply->body.n;
        size = part->size;
        rc = size <= OBJECT_SIZE_MAX ? put_part(l, part, &reply->body, d) : ERR_OK;
        if (reply->body.n == before)
            break;
    }
    if (!rc && reply->body.n == size && size > 0) {
        reply->status = 200;
        return ERR_OK;
    }
    c->objects_missing++;
    buf_clear(&reply->body);
    return rc;
}

static enum err centre_http(void *self, const struct http_request *request, struct arena *a,
                            struct http_reply *reply, struct diag *d)
{
    struct bundle_centre *c = self;
    struct str path = http_path(request->url);
    ptrdiff_t at = str_find(path, STR("/v1/"));
    struct str tail = at < 0 ? STR("") : str_sub(path, (size_t)at + 4, path.n);
    enum err rc = ERR_OK;

    *reply = (struct http_reply){.status = 404};
    buf_init(&reply->body, request->body_max);
    reply->headers[reply->header_count++] = (struct http_header){STR("Content-Type"),
                                                                 STR("application/octet-stream")};
    if (request->method == HTTP_GET && str_eq(tail, STR("a")))
        rc = reply_receipts(c->look, request->body_max, reply, d);
    else if (request->method == HTTP_GET && str_eq(tail, STR("d")))
        rc = reply_down(c->look, a, request->url, reply, d);
    else if (request->method == HTTP_GET && str_starts(tail, STR("o/")))
        rc = reply_object(c, tail, reply, d);
    if (!rc && reply->body.failed)
        rc = diag_set(d, reply->body.failed, "A reply from the card is too long.");
    return rc;
}

/* The store's own trouble ends the command; what is wrong with the card is told beside what went well. */
static bool is_ours(enum err rc)
{
    return rc == ERR_FULL || rc == ERR_IO || rc == ERR_BUSY || rc == ERR_NOMEM || rc == ERR_STATE;
}

static enum err receive(struct store *s, const struct seam *seam, struct look *l, struct diag *d)
{
    struct bundle_centre centre = {.world = seam, .look = l};
    const struct seam card = {.self = &centre,
                              .wall_ms = centre_wall_ms,
                              .mono_ms = centre_mono_ms,
                              .sleep_ms = centre_sleep_ms,
                              .random = centre_random,
                              .http = centre_http,
                              .log = centre_log};
    const struct deliver_options o = {.tries_max = TRIES_MAX, .receive_only = true};
    struct diag said = {0};
    if (l->for_us.count == 0)
        return ERR_OK;
    enum err rc = deliver(s, &card, &o, &l->result->received, &said);
    l->result->objects_missing = centre.objects_missing;
    if (rc && is_ours(rc))
        return diag_set(d, rc, "%s", said.text);
    if (rc && rc != ERR_NOT_FOUND)
        memcpy(l->result->trouble, said.text, sizeof said.text);
    return ERR_OK;
}

/* ---- what is carried ---- */

struct carrying {
    struct look *look;
    struct met met;
    struct bundle_writer out;
    uint64_t bytes_max;
    VEC(struct device_name) told; /* devices that frames are carried of or for */
};

/* What the centre told a device so long ago that others have told it since, or that nobody will meet it. */
static bool is_stale(const struct look *l, const struct known_device *k)
{
    return k && k->has_done && l->newest.ms - k->done.ms > COURIER_LIFE_MS;
}

/* Source 0 is what is carried already: it was verified when it came. */
static bool worth_carrying(struct carrying *c, uint32_t source, const struct piece *p)
{
    struct look *l = c->look;
    const struct known_device *k = look_device(l, p->device, p->inc);
    switch (p->kind) {
    case PIECE_OBJECT: return l->for_others[source];
    case PIECE_CERTIFICATE: return !look_is_us(l, p) && k && k->certified;
    case PIECE_DONE:
        return !look_is_us(l, p) && k && k->has_done && k->done_source == source && !is_stale(l, k);
    case PIECE_FRAME: break;
    default: return false;
    }
    if (look_is_us(l, p))
        return false;
    if (p->frame.device == 0 && ((k && k->has_done && k->done_source != source) || is_stale(l, k)))
        return false; /* a newer set is there */
    if (p->frame.type == FRAME_MANIFEST && k && p->frame.batch_seq < k->manifest_number)
        return false;
    if (look_is_done(l, &p->frame)) {
        l->result->frames_let_go++;
        return false;
    }
    if (source > 0 && met_count(&c->met, p->check) == 0 && !look_is_signed(l, p)) {
        l->result->pieces_false++;
        return false;
    }
    return true;
}

static void count_device(struct carrying *c, const struct piece *p)
{
    for (uint32_t i = c->told.count; i-- > 0;)
        if (c->told.at[i].device == p->device && c->told.at[i].inc == p->inc)
            return;
    struct device_name *slot = vec_push(&c->look->arena, &c->told);
    if (slot) {
        *slot = (struct device_name){p->device, p->inc};
        c->look->result->devices_carried++;
    }
}

static enum err carry_piece(struct carrying *c, uint32_t source, const struct piece *p, struct diag *d)
{
    struct courier_result *result = c->look->result;
    if (!worth_carrying(c, source, p))
        return ERR_OK;
    uint32_t before = met_add(&c->met, p->check);
    if (before == UINT32_MAX || c->out.bytes + p->bytes.n > c->bytes_max) {
        result->pieces_left++;
        return ERR_OK;
    }
    if (before > 0)
        return ERR_OK;
    if (p->kind == PIECE_FRAME) {
        result->frames_carried += p->frame.type == FRAME_UP || p->frame.type == FRAME_OBJECT;
        count_device(c, p);
    }
    return bundle_put(&c->out, p, d);
}

static enum err carry_all(struct carrying *c, struct diag *d)
{
    const struct look *l = c->look;
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < l->path_count; i++) {
        struct open_bundle b;
        struct piece p;
        bool any = true;
        rc = bundle_open(&b, l->paths[i].p, d);
        while (!rc && !(rc = bundle_read(&b.reader, &p, &any, d)) && any)
            rc = carry_piece(c, i, &p, d);
        bundle_close(&b);
    }
    return rc;
}

static enum err carry(struct look *l, const char *path, uint64_t bytes_max, struct diag *d)
{
    struct carrying c = {.look = l, .bytes_max = bytes_max ? bytes_max : COURIER_CARRY_MAX};
    struct stream_out *file = NULL;
    enum err rc = met_init(&c.met, &l->arena, d);
    if (!rc)
        rc = stream_out_open(path, &file, d);
    if (!rc)
        rc = bundle_begin(&c.out, (struct bundle_sink){file, stream_out_write}, d);
    if (!rc)
        rc = carry_all(&c, d);
    if (!rc)
        rc = bundle_end(&c.out, d);
    bundle_writer_free(&c.out);
    if (!rc)
        return stream_out_commit(file, d);
    stream_out_drop(file);
    return rc;
}

/* ---- taking ---- */

/* The carried bundle first, then the place's. It is made when it is not there. */
static enum err sources(struct look *l, const char *place, const char *carried, struct diag *d)
{
    struct str *found = NULL;
    uint32_t count = 0;
    enum err rc = stream_list(&l->arena, place, COURIER_SUFFIX, COURIER_FILES_MAX, &found, &count, d);
    if (!rc && count == 0)
        rc = diag_set(d, ERR_NOT_FOUND, "There is no bundle (*%s) in %s.", COURIER_SUFFIX, place);
    if (rc)
        return rc;
    l->paths = ARENA_ARRAY(&l->arena, struct str, count + 1u);
    if (!l->paths)
        return diag_set(d, ERR_NOMEM, "no memory to look at %s", place);
    l->paths[0] = str_of(carried);
    memcpy(l->paths + 1, found, count * sizeof *found);
    l->path_count = count + 1;
    return ERR_OK;
}

static enum err carried_exists(const char *path, struct diag *d)
{
    struct stream_in *in = NULL;
    struct stream_out *out = NULL;
    struct diag quiet = {0};
    enum err rc = stream_in_open(path, &in, &quiet);
    stream_in_close(in);
    if (rc != ERR_NOT_FOUND)
        return rc ? diag_set(d, rc, "%s", quiet.text) : ERR_OK;
    struct bundle_writer w = {0};
    rc = stream_out_open(path, &out, d);
    if (!rc)
        rc = bundle_begin(&w, (struct bundle_sink){out, stream_out_write}, d);
    if (!rc)
        rc = bundle_end(&w, d);
    bundle_writer_free(&w);
    if (!rc)
        return stream_out_commit(out, d);
    stream_out_drop(out);
    return rc;
}

enum err courier_take(struct store *s, const struct seam *seam, const char *place,
                      const struct courier_options *o, struct courier_result *result_out, struct diag *d)
{
    struct look l = {0};
    struct arena paths;
    const char *carried = NULL;

    memset(result_out, 0, sizeof *result_out);
    arena_init(&paths, 64u << 10);
    enum err rc = look_open(&l, store_identity(s), result_out, d);
    if (!rc)
        rc = courier_path(&paths, seam, o->data, "carried" COURIER_SUFFIX, &carried, d);
    if (!rc)
        rc = carried_exists(carried, d);
    if (!rc)
        rc = sources(&l, place, carried, d);
    if (!rc)
        rc = look_through(&l, d);
    if (!rc) {
        result_out->bundles--; /* not the one that was here */
        rc = receive(s, seam, &l, d);
    }
    if (!rc)
        rc = carry(&l, carried, o->bytes_max, d);
    look_free(&l);
    arena_free(&paths);
    return rc;
}
