/* The statements beside the frames of a bundle: certificates, what the centre has, what a handheld asks for.
 * Lines of words between single spaces, signed over everything before the last word. */
#include "sync/courier.h"

#define CERTIFICATE_MARK STR("doorstep-cert/1")
#define DONE_MARK STR("doorstep-done/1")

struct words {
    struct str rest;
    bool failed;
};

static struct str next_word(struct words *w)
{
    struct str word = STR_NONE;
    if (!w->rest.p || !str_split(&w->rest, ' ', &word) || word.n == 0)
        w->failed = true;
    return word;
}

static uint64_t next_u64(struct words *w, uint64_t max)
{
    uint64_t v = 0;
    if (!str_to_u64(next_word(w), &v) || v > max)
        w->failed = true;
    return v;
}

static void next_hex(struct words *w, unsigned char *out, size_t n)
{
    if (!hex_read(next_word(w), out, n))
        w->failed = true;
}

/* Cuts the signature off, and verifies it. */
static enum err signed_words(struct str text, const unsigned char centre[static P256_PUBLIC_SIZE],
                             struct str mark, struct words *out, struct diag *d)
{
    unsigned char signature[SIGNATURE_SIZE];
    size_t word = 2 * SIGNATURE_SIZE;
    if (text.n < word + 1 || text.p[text.n - word - 1] != ' ' ||
        !hex_read(str_sub(text, text.n - word, word), signature, sizeof signature))
        return diag_set(d, ERR_CORRUPT, "This statement has no signature.");
    struct str body = str_sub(text, 0, text.n - word - 1);
    enum err rc = p256_verify(centre, body, signature);
    if (rc)
        return diag_set(d, rc, "This statement is not signed by the centre.");
    *out = (struct words){.rest = body};
    if (!str_eq(next_word(out), mark))
        return diag_set(d, ERR_CORRUPT, "This is another statement than was expected.");
    return ERR_OK;
}

enum err certificate_read(struct str text, const unsigned char centre[static P256_PUBLIC_SIZE],
                          struct certificate *out, struct diag *d)
{
    struct words w = {0};
    struct certificate c = {0};
    enum err rc = signed_words(text, centre, CERTIFICATE_MARK, &w, d);
    if (rc)
        return rc;
    c.device = next_u64(&w, UINT64_MAX);
    c.inc = (uint32_t)next_u64(&w, UINT32_MAX);
    next_hex(&w, c.sign_public, sizeof c.sign_public);
    next_hex(&w, c.seal_public, sizeof c.seal_public);
    (void)next_u64(&w, INT64_MAX); /* when it was issued */
    if (w.failed || w.rest.p)
        return diag_set(d, ERR_CORRUPT, "The certificate cannot be read.");
    *out = c;
    return ERR_OK;
}

enum err done_write(const struct done *s, const struct key_pair_p256 *centre, struct buf *out)
{
    unsigned char signature[SIGNATURE_SIZE];
    size_t from = out->n;
    const uint64_t numbers[] = {s->epoch, s->cursor, (uint64_t)s->ms, s->device, s->inc, s->contiguous};
    CHECK(s->item_count <= DONE_ITEMS_MAX && s->ms >= 0);
    buf_put_str(out, DONE_MARK);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        buf_put_char(out, ' ');
        buf_put_u64(out, numbers[i]);
    }
    for (uint32_t i = 0; i < s->item_count; i++) {
        buf_put_char(out, ' ');
        buf_put_u64(out, s->items[i].batch_seq);
        buf_put_char(out, ':');
        buf_put_hex(out, s->items[i].batch_id, BATCH_ID_SIZE);
    }
    if (out->failed)
        return out->failed;
    enum err rc = p256_sign(centre, str_sub(buf_str(out), from, out->n - from), signature);
    buf_put_char(out, ' ');
    buf_put_hex(out, signature, sizeof signature);
    return rc ? rc : out->failed;
}

static bool read_item(struct str word, struct done_item *out)
{
    struct str seq;
    return str_split(&word, ':', &seq) && word.p && str_to_u64(seq, &out->batch_seq) &&
           hex_read(word, out->batch_id, BATCH_ID_SIZE);
}

enum err done_read(struct arena *a, struct str text, const unsigned char centre[static P256_PUBLIC_SIZE],
                   struct done *out, struct diag *d)
{
    struct words w = {0};
    struct done s = {0};
    VEC(struct done_item) items = {0};
    enum err rc = signed_words(text, centre, DONE_MARK, &w, d);
    if (rc)
        return rc;
    s.epoch = (uint32_t)next_u64(&w, UINT32_MAX);
    s.cursor = next_u64(&w, UINT64_MAX);
    s.ms = (int64_t)next_u64(&w, INT64_MAX);
    s.device = next_u64(&w, UINT64_MAX);
    s.inc = (uint32_t)next_u64(&w, UINT32_MAX);
    s.contiguous = next_u64(&w, UINT64_MAX);
    while (!w.failed && w.rest.p) {
        struct done_item item = {0};
        if (items.count == DONE_ITEMS_MAX || !read_item(next_word(&w), &item)) {
            w.failed = true;
            break;
        }
        struct done_item *slot = vec_push(a, &items);
        if (!slot)
            return diag_set(d, ERR_NOMEM, "Not enough memory to read what the centre has.");
        *slot = item;
    }
    if (w.failed)
        return diag_set(d, ERR_CORRUPT, "What the centre says that it has cannot be read.");
    s.items = items.at;
    s.item_count = items.count;
    *out = s;
    return ERR_OK;
}

bool done_covers(const struct done *s, const struct frame *f)
{
    if (f->device != s->device || f->inc != s->inc)
        return false;
    if (f->type == FRAME_UP && f->batch_seq <= s->contiguous)
        return true;
    for (uint32_t i = 0; i < s->item_count; i++)
        if (s->items[i].batch_seq == f->batch_seq &&
            memcmp(s->items[i].batch_id, f->batch_id, BATCH_ID_SIZE) == 0)
            return true;
    return false;
}

enum err manifest_write(const struct manifest *m, struct buf *out)
{
    CHECK(m->held_count <= MANIFEST_OBJECTS_MAX);
    buf_put_char(out, 0);
    buf_put_uv(out, m->epoch);
    buf_put_uv(out, m->cursor);
    buf_put_uv(out, m->unsure_from);
    buf_put_uv(out, m->bytes_max);
    buf_put_uv(out, m->held_count);
    for (uint32_t i = 0; i < m->held_count; i++)
        buf_put(out, m->held[i], SHA256_SIZE);
    return out->failed;
}

enum err manifest_read(struct arena *a, struct str payload, struct manifest *out, struct diag *d)
{
    struct reader r = reader_of(payload);
    uint8_t flags = read_u8(&r);
    uint64_t epoch = read_uv(&r);
    struct manifest m = {.epoch = (uint32_t)epoch};
    m.cursor = read_uv(&r);
    m.unsure_from = read_uv(&r);
    m.bytes_max = read_uv(&r);
    uint64_t count = read_uv(&r);
    if (r.failed || flags || epoch > UINT32_MAX || count > MANIFEST_OBJECTS_MAX ||
        count * SHA256_SIZE != reader_left(&r))
        return diag_set(d, ERR_CORRUPT, "What the handheld asks for cannot be read.");
    unsigned char(*held)[SHA256_SIZE] = arena_array(a, (size_t)count, SHA256_SIZE);
    if (!held)
        return diag_set(d, ERR_NOMEM, "Not enough memory to read what a handheld asks for.");
    if (count > 0)
        memcpy(held, read_bytes(&r, (size_t)count * SHA256_SIZE).p, (size_t)count * SHA256_SIZE);
    m.held = (const unsigned char(*)[SHA256_SIZE])held;
    m.held_count = (uint32_t)count;
    *out = m;
    return ERR_OK;
}
