/* A frame in pieces. The centre counts what it has of it by the frame's own name, so nothing is locked and
 * nothing is reserved: whatever breaks, one question (HEAD) tells where to go on. What it answers is not
 * signed; a lie costs bytes, and the receipt at the end is the only thing that is believed. */
#include "sync/client_impl.h"

#define SET_BACKS_MAX 3

void upload_begin(struct sync_client *c)
{
    c->phase = PHASE_OFFSET;
    c->offset = c->offset_best = 0;
    c->set_backs = 0;
}

void upload_again(struct sync_client *c)
{
    c->phase = PHASE_OFFSET;
}

static void put_path(struct sync_client *c)
{
    buf_clear(&c->path);
    buf_put_z(&c->path, "/v1/u/");
    buf_put_hex(&c->path, c->head.batch_id, BATCH_ID_SIZE);
}

static void request_offset(struct sync_client *c)
{
    put_path(c);
    if (client_afford(c, 0))
        client_request(c, "HEAD", FRAME_REPLY_MAX);
}

static void request_put(struct sync_client *c)
{
    uint64_t left = c->frame.n - c->offset;
    uint64_t piece = pace_piece(&c->pace);
    if (!client_afford(c, left < PACE_PIECE_MIN ? left : PACE_PIECE_MIN))
        return;
    uint64_t room = client_bytes_left(c) - PACE_PIECE_MIN / 4; /* heads */
    piece = piece < left ? piece : left;
    piece = piece < room ? piece : room;
    put_path(c);
    buf_put_z(&c->path, "?o=");
    buf_put_u64(&c->path, c->offset);
    buf_put_z(&c->path, "&t=");
    buf_put_u64(&c->path, c->frame.n);
    client_put_cursor(c, '&');
    client_request(c, "PUT", FRAME_REPLY_MAX);
    c->step.body = str_sub(c->frame, (size_t)c->offset, (size_t)piece);
    c->totals.frames_sent += c->offset == 0;
}

static void request_commit(struct sync_client *c)
{
    put_path(c);
    buf_put_z(&c->path, "/commit");
    client_put_cursor(c, '?');
    if (!client_afford(c, 0))
        return;
    client_request(c, "POST", FRAME_REPLY_MAX);
}

void upload_request(struct sync_client *c)
{
    switch (c->phase) {
    case PHASE_OFFSET: request_offset(c); break;
    case PHASE_PUT: request_put(c); break;
    default: request_commit(c);
    }
}

/* False when the centre keeps losing what it had: then it has no room for it, or something on the way lies.
 */
static bool move_to(struct sync_client *c, uint64_t offset)
{
    if (offset > c->frame.n)
        offset = 0;
    if (offset < c->offset_best && ++c->set_backs > SET_BACKS_MAX)
        return false;
    bool moved = offset > c->offset_best;
    c->offset = c->offset_best = offset;
    c->phase = offset == c->frame.n ? PHASE_COMMIT : PHASE_PUT;
    if (moved)
        client_progress(c);
    return true;
}

static void give_up(struct sync_client *c)
{
    diag_clear(&c->why);
    if (!client_refuse_frame(c, 422))
        client_fail(c, ERR_NET);
}

bool upload_reply(struct sync_client *c, const struct sync_reply *reply)
{
    uint64_t offset = 0;
    bool told = str_to_u64(reply->offset, &offset);
    if (c->phase == PHASE_OFFSET) {
        bool done = reply->status == 200 && str_eq_z(reply->done, "1");
        if (reply->status != 404 && !done && (reply->status != 200 || !told))
            return false;
        offset = done ? c->frame.n : reply->status == 404 ? 0 : offset;
    } else if (c->phase == PHASE_PUT) {
        if (!told || (reply->status != 200 && reply->status != 204 && reply->status != 409))
            return false;
        if (reply->status != 409 && offset <= c->offset)
            return false;
    } else if (c->phase == PHASE_COMMIT) {
        if (reply->status != 404 && !(reply->status == 409 && told))
            return false;
    } else {
        return false;
    }
    if (!move_to(c, offset))
        give_up(c);
    return true;
}
