/* The request for another incarnation as bytes: u8 1 | seal key 32 | sign key 65 | uv n | n * (uv batch
 * sequence - before, 16 bytes batch id). */
#include "platform/base/arena.h"

#include "sync/incarnation.h"

#define REQUEST_FORM 1

enum err incarnation_write(const struct incarnation_request *q, struct buf *out)
{
    uint64_t before = 0;
    CHECK(q->item_count <= INCARNATION_ITEMS_MAX);
    buf_put_char(out, REQUEST_FORM);
    buf_put(out, q->seal_public, sizeof(q->seal_public));
    buf_put(out, q->sign_public, sizeof(q->sign_public));
    buf_put_uv(out, q->item_count);
    for (uint32_t i = 0; i < q->item_count; i++) {
        CHECK(q->items[i].batch_seq > before);
        buf_put_uv(out, q->items[i].batch_seq - before);
        buf_put(out, q->items[i].batch_id, BATCH_ID_SIZE);
        before = q->items[i].batch_seq;
    }
    return out->failed;
}

static bool read_into(struct reader *r, unsigned char *out, size_t n)
{
    struct str bytes = read_bytes(r, n);
    if (bytes.n != n)
        return false;
    memcpy(out, bytes.p, n);
    return true;
}

enum err incarnation_read(struct arena *a, struct str payload, struct incarnation_request *out,
                          struct diag *d)
{
    struct reader r = reader_of(payload);
    struct incarnation_request q = {.items = NULL};
    uint64_t before = 0;
    if (read_u8(&r) != REQUEST_FORM)
        return diag_set(
            d, ERR_VERSION,
            "The request for another incarnation has a form that is not known here; update the centre.");
    bool keys = read_into(&r, q.seal_public, sizeof(q.seal_public)) &&
                read_into(&r, q.sign_public, sizeof(q.sign_public));
    uint64_t count = read_uv(&r);
    if (!keys || r.failed || count > INCARNATION_ITEMS_MAX || count > reader_left(&r) / (BATCH_ID_SIZE + 1))
        return diag_set(d, ERR_CORRUPT, "The request for another incarnation is damaged.");
    struct incarnation_item *items = ARENA_ARRAY(a, struct incarnation_item, count + 1);
    if (!items)
        return diag_set(d, ERR_NOMEM, "Not enough memory to read a request.");
    for (uint64_t i = 0; i < count; i++) {
        uint64_t step = read_uv(&r);
        items[i].batch_seq = before + step;
        if (!read_into(&r, items[i].batch_id, BATCH_ID_SIZE) || !step || items[i].batch_seq < before)
            r.failed = true;
        before = items[i].batch_seq;
    }
    if (r.failed || reader_left(&r))
        return diag_set(d, ERR_CORRUPT, "The request for another incarnation is damaged.");
    q.items = items;
    q.item_count = (uint32_t)count;
    *out = q;
    return ERR_OK;
}
