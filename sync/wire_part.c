/* Parts of attachments: the payload of object frames (type 3). Always true: what is read lies within a file
 * of at most ATTACHMENT_SIZE_MAX bytes, and every name in it can be a file's name anywhere. */
#include "sync/wire.h"

#define PART_VERSION 1

bool attachment_name_ok(struct str name)
{
    if (name.n == 0 || name.n > ATTACHMENT_NAME_MAX || name.p[0] == '.' || !utf8_valid(name))
        return false;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c < ' ' || c == 0x7f || strchr("/\\:*?\"<>|", c))
            return false;
    }
    return true;
}

enum err part_write(const struct part *p, struct buf *payload_out)
{
    CHECK(p->size <= ATTACHMENT_SIZE_MAX && p->at + p->bytes.n <= p->size && p->bytes.n <= PART_SIZE_MAX);
    CHECK(p->link_count <= PART_LINKS_MAX);
    buf_put_char(payload_out, PART_VERSION);
    buf_put(payload_out, p->hash, sizeof(p->hash));
    buf_put_uv(payload_out, p->size);
    buf_put_uv(payload_out, p->at);
    buf_put_uv(payload_out, p->link_count);
    for (uint32_t i = 0; i < p->link_count; i++) {
        buf_put(payload_out, p->links[i].visit, sizeof(p->links[i].visit));
        buf_put_uv(payload_out, p->links[i].name.n);
        buf_put_str(payload_out, p->links[i].name);
    }
    buf_put_str(payload_out, p->bytes);
    return payload_out->failed;
}

static void get_link(struct reader *r, struct part_link *link)
{
    struct str visit = read_bytes(r, sizeof(link->visit));
    if (visit.n == sizeof(link->visit))
        memcpy(link->visit, visit.p, sizeof(link->visit));
    uint64_t n = read_uv(r);
    link->name = n <= ATTACHMENT_NAME_MAX ? read_bytes(r, (size_t)n) : STR("");
    if (r->failed || !attachment_name_ok(link->name))
        r->failed = true;
}

static bool get_head(struct reader *r, struct part *p)
{
    uint8_t version = read_u8(r);
    struct str hash = read_bytes(r, SHA256_SIZE);
    p->size = read_uv(r);
    p->at = read_uv(r);
    uint64_t links = read_uv(r);
    if (r->failed || version != PART_VERSION || p->size > ATTACHMENT_SIZE_MAX || p->at > p->size ||
        links > PART_LINKS_MAX)
        return false;
    memcpy(p->hash, hash.p, SHA256_SIZE);
    p->link_count = (uint32_t)links;
    return true;
}

enum err part_read(struct arena *a, struct str payload, struct part *out, struct diag *d)
{
    struct reader r = reader_of(payload);
    struct part p = {.size = 0};
    bool good = get_head(&r, &p);
    struct part_link *links = good ? ARENA_ARRAY(a, struct part_link, p.link_count) : NULL;
    if (good && !links)
        return diag_set(d, ERR_NOMEM, "Not enough memory for a part of an attachment.");
    for (uint32_t i = 0; good && i < p.link_count; i++)
        get_link(&r, &links[i]);
    p.links = links;
    p.bytes = r.failed ? STR("") : read_bytes(&r, reader_left(&r));
    if (!good || r.failed || p.bytes.n > PART_SIZE_MAX || p.bytes.n > p.size - p.at ||
        (!p.bytes.n && !p.link_count && p.size))
        return diag_set(d, ERR_CORRUPT, "The part of an attachment is malformed.");
    *out = p;
    return ERR_OK;
}
