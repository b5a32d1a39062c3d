/* The request for another incarnation as bytes: u8 2 | seal key 32 | sign key 65 | uv n | n * (uv batch
 * sequence - before, 16 bytes batch id) | uv upto | uv m | m * (uv counter, uv seq - before, u64 check). */
#include "platform/base/arena.h"

#include "sync/incarnation.h"

#define REQUEST_FORM 2
#define VISIT_SIZE_MIN 10

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
    buf_put_uv(out, q->upto);
    buf_put_uv(out, q->visit_count);
    before = 0;
    for (uint32_t i = 0; i < q->visit_count; i++) {
        CHECK(q->visits[i].seq > before);
        buf_put_uv(out, q->visits[i].counter);
        buf_put_uv(out, q->visits[i].seq - before);
        buf_put_u64le(out, q->visits[i].check);
        before = q->visits[i].seq;
    }
    return out->failed;
}

uint64_t incarnation_visit_check(struct str ended, struct str instance, struct str submission)
{
    const struct str parts[] = {ended, instance, submission};
    unsigned char hash[SHA256_SIZE];
    uint64_t check = 0;
    struct buf text;
    buf_init(&text, 1u << 16);
    for (size_t i = 0; i < 3; i++) {
        buf_put_str(&text, parts[i]);
        buf_put_char(&text, '\n');
    }
    bool good = !text.failed && !sha256(buf_str(&text), hash);
    for (size_t i = 0; good && i < sizeof(check); i++)
        check = check << 8 | hash[i];
    buf_free(&text);
    return check;
}

static bool read_into(struct reader *r, unsigned char *out, size_t n)
{
    struct str bytes = read_bytes(r, n);
    if (bytes.n != n)
        return false;
    memcpy(out, bytes.p, n);
    return true;
}

static enum err read_visits(struct arena *a, struct reader *r, struct incarnation_request *q)
{
    uint64_t before = 0;
    q->upto = read_uv(r);
    uint64_t count = read_uv(r);
    if (r->failed || count > INCARNATION_ITEMS_MAX || count > reader_left(r) / VISIT_SIZE_MIN) {
        r->failed = true;
        return ERR_OK;
    }
    struct incarnation_visit *visits = ARENA_ARRAY(a, struct incarnation_visit, count + 1);
    if (!visits)
        return ERR_NOMEM;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t counter = read_uv(r), step = read_uv(r);
        visits[i] = (struct incarnation_visit){(uint32_t)counter, before + step, read_u64le(r)};
        if (!step || visits[i].seq < before || counter > UINT32_MAX)
            r->failed = true;
        before = visits[i].seq;
    }
    q->visits = visits;
    q->visit_count = (uint32_t)count;
    return ERR_OK;
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
    enum err rc = read_visits(a, &r, &q);
    if (rc)
        return diag_set(d, rc, "Not enough memory to read a request.");
    if (r.failed || reader_left(&r))
        return diag_set(d, ERR_CORRUPT, "The request for another incarnation is damaged.");
    q.items = items;
    q.item_count = (uint32_t)count;
    *out = q;
    return ERR_OK;
}
