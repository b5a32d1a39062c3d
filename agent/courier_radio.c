/* See courier_radio.h. What is carried goes in bundles of a size that a weak link can finish, each answered
 * by a bundle; the answers are put beside each other and taken like a card. */
#include "agent/courier_radio.h"

#include "agent/courier_impl.h"
#include "agent/store_travel.h"

#define SEND_BYTES (96u << 10)
#define REPLY_MAX (8u << 20)
#define ANSWERS_MAX 200

struct radio {
    struct store *store;
    const struct seam *seam;
    struct arena arena;
    struct str ca;
    const char *carried, *folder;
    struct buf sending;
    struct bundle_writer out;
    bool writing;
    uint32_t answers;
    uint64_t frames;
};

static enum err buf_write(void *self, struct str bytes, struct diag *d)
{
    struct buf *b = self;
    buf_put_str(b, bytes);
    return b->failed ? diag_set(d, b->failed, "no memory to send what is carried") : ERR_OK;
}

static enum err url_of(struct radio *r, struct str *out, struct diag *d)
{
    struct buf b;
    struct str base = store_identity(r->store)->url;
    while (base.n > 0 && base.p[base.n - 1] == '/')
        base.n--;
    buf_init(&b, 8192);
    buf_put_str(&b, base);
    buf_put_z(&b, "/v1/courier");
    *out = b.failed ? STR_NONE : arena_str(&r->arena, buf_str(&b));
    buf_free(&b);
    return out->p ? ERR_OK : diag_set(d, ERR_USAGE, "the centre's address is too long");
}

static enum err answer_keep(struct radio *r, struct str bundle, struct diag *d)
{
    struct buf path;
    buf_init(&path, 4096);
    buf_printf(&path, "%s/%03u" COURIER_SUFFIX, r->folder, r->answers);
    enum err rc = path.failed ? diag_set(d, ERR_LIMIT, "the data directory's path is too long")
                              : r->seam->file_write(r->seam->self, path.p, bundle, false, d);
    buf_free(&path);
    r->answers += !rc;
    return rc;
}

static enum err judge(const struct http_reply *reply, struct diag *d)
{
    if (reply->status == 401 || reply->status == 403)
        return diag_set(d, ERR_DENIED,
                        "the centre does not know this handheld's token: `doorstep sync` renews it");
    if (reply->status != 200 || !str_starts(buf_str(&reply->body), STR(BUNDLE_HEAD)))
        return diag_set(d, ERR_NET, "what answers is not the centre (HTTP %d)", reply->status);
    return ERR_OK;
}

static enum err send_bundle(struct radio *r, struct diag *d)
{
    struct arena a;
    struct buf bearer;
    struct http_request q = {.method = HTTP_POST, .body_max = REPLY_MAX, .ca = r->ca};
    struct http_reply reply = {0};
    enum err rc = bundle_end(&r->out, d);
    bundle_writer_free(&r->out);
    r->writing = false;
    arena_init(&a, 1u << 20);
    buf_init(&bearer, 4096);
    buf_put_z(&bearer, "Bearer ");
    buf_put_str(&bearer, store_identity(r->store)->by.token);
    q.body = buf_str(&r->sending);
    q.headers[q.header_count++] = (struct http_header){STR("Authorization"), buf_str(&bearer)};
    if (!rc)
        rc = url_of(r, &q.url, d);
    if (!rc)
        rc = r->seam->http(r->seam->self, &q, &a, &reply, d);
    if (!rc)
        rc = judge(&reply, d);
    if (!rc)
        rc = answer_keep(r, buf_str(&reply.body), d);
    if (bearer.p)
        crypto_wipe(bearer.p, bearer.n);
    buf_free(&bearer);
    buf_free(&reply.body);
    buf_clear(&r->sending);
    arena_free(&a);
    return rc;
}

/* Only what goes to the centre: frames of others, and what they ask for. */
static enum err send_piece(struct radio *r, const struct piece *p, struct diag *d)
{
    enum err rc = ERR_OK;
    if (p->kind != PIECE_FRAME || p->frame.device == 0 || r->answers == ANSWERS_MAX)
        return ERR_OK;
    if (r->writing && r->sending.n + p->bytes.n > SEND_BYTES)
        rc = send_bundle(r, d);
    if (!rc && !r->writing) {
        rc = bundle_begin(&r->out, (struct bundle_sink){&r->sending, buf_write}, d);
        r->writing = true;
    }
    r->frames += p->frame.type != FRAME_MANIFEST;
    return rc ? rc : bundle_put(&r->out, p, d);
}

static enum err send_all(struct radio *r, struct diag *d)
{
    struct open_bundle b;
    struct piece p;
    struct diag quiet = {0};
    bool any = true;
    enum err rc = bundle_open(&b, r->carried, &quiet);
    if (rc == ERR_NOT_FOUND)
        return ERR_OK;
    if (rc)
        return diag_set(d, rc, "%s", quiet.text);
    while (!rc && !(rc = bundle_read(&b.reader, &p, &any, d)) && any)
        rc = send_piece(r, &p, d);
    bundle_close(&b);
    if (!rc && r->writing)
        rc = send_bundle(r, d);
    if (r->writing)
        bundle_writer_free(&r->out);
    return rc;
}

/* Answers of an earlier run that was killed are answers too: they are taken with these. */
static void answers_remove(struct radio *r)
{
    struct str *paths = NULL;
    uint32_t count = 0;
    if (stream_list(&r->arena, r->folder, COURIER_SUFFIX, COURIER_FILES_MAX, &paths, &count, NULL))
        return;
    for (uint32_t i = 0; i < count; i++)
        (void)r->seam->file_remove(r->seam->self, paths[i].p);
}

enum err courier_radio(struct store *s, const struct seam *seam, const struct courier_options *o,
                       struct courier_result *result_out, struct diag *d)
{
    struct radio r = {.store = s, .seam = seam};
    struct diag broke = {0};
    memset(result_out, 0, sizeof *result_out);
    arena_init(&r.arena, 4u << 20);
    buf_init(&r.sending, SEND_BYTES + FRAME_SIZE_MAX + 4096);
    enum err rc = store_refresh(s, d);
    if (!rc && !store_identity(s)->enrolled)
        rc = diag_set(d, ERR_STATE,
                      "this device is not enrolled yet: `doorstep enrol` with the code from the county");
    if (!rc)
        rc = store_ca(s, &r.arena, &r.ca, d);
    if (!rc)
        rc = courier_path(&r.arena, seam, o->data, "carried" COURIER_SUFFIX, &r.carried, d);
    if (!rc)
        rc = courier_path(&r.arena, seam, o->data, "answers", &r.folder, d);
    if (!rc)
        rc = seam->dir_make(seam->self, r.folder, d);
    enum err sent = rc ? rc : send_all(&r, &broke);
    if (!rc && r.answers > 0)
        rc = courier_take(s, seam, r.folder, o, result_out, d);
    if (!rc)
        answers_remove(&r);
    result_out->frames_sent = r.frames;
    buf_free(&r.sending);
    arena_free(&r.arena);
    return !rc && sent ? diag_set(d, sent, "%s", broke.text) : rc;
}
