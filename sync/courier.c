/* Bundles, read and written. Always true: what bundle_read gives is what some bundle_put was given, byte for
 * byte, or else its check lies; no size is believed before it is held against the most a piece of its kind
 * may have; bytes that were made to look like pieces cost at most a few times as much as bytes that are. */
#include "sync/courier.h"

#define HEAD_SIZE (sizeof(BUNDLE_HEAD) - 1)
#define PIECE_HEAD 17 /* magic, kind, size, check */
#define ADDRESS_SIZE 12
#define OBJECT_HEAD (SHA256_SIZE + 16)
#define ENTRY_SIZE (1 + ADDRESS_SIZE + 8 + BUNDLE_CHECK_SIZE)
#define END_SIZE (8 + SHA256_SIZE)
#define PIECE_SIZE_MAX (PIECE_HEAD + ADDRESS_SIZE + FRAME_SIZE_MAX)
#define READ_SIZE 16384
#define WASTE_MAX (64u << 20) /* hashed beyond WASTE_TIMES what was read: more only an attacker needs */
#define WASTE_TIMES 4

static const char magic[4] = {'D', 'S', 'P', '1'};

static uint32_t body_max(unsigned kind)
{
    static const uint32_t table[] = {
        [PIECE_CERTIFICATE] = ADDRESS_SIZE + 4096, [PIECE_FRAME] = ADDRESS_SIZE + FRAME_SIZE_MAX,
        [PIECE_DONE] = ADDRESS_SIZE + (64u << 10), [PIECE_OBJECT] = OBJECT_HEAD + BUNDLE_OBJECT_PIECE,
        [PIECE_INDEX] = BUNDLE_PAGE * ENTRY_SIZE,  [PIECE_END] = END_SIZE,
    };
    /* Of kinds that a newer program writes only the size is known. */
    return kind < sizeof table / sizeof *table && table[kind] ? table[kind] : BUNDLE_OBJECT_PIECE;
}

/* Over head and body without the check itself. */
static enum err digest_of(struct str piece, unsigned char out[static SHA256_SIZE])
{
    const struct str parts[] = {{piece.p, PIECE_HEAD - BUNDLE_CHECK_SIZE},
                                {piece.p + PIECE_HEAD, piece.n - PIECE_HEAD}};
    return sha256_parts(parts, 2, out);
}

static enum err chain_begin(unsigned char chain[static SHA256_SIZE])
{
    return sha256(STR(BUNDLE_HEAD), chain);
}

static enum err chain_add(unsigned char chain[static SHA256_SIZE],
                          const unsigned char digest[static SHA256_SIZE])
{
    const struct str parts[] = {{(const char *)chain, SHA256_SIZE}, {(const char *)digest, SHA256_SIZE}};
    unsigned char next[SHA256_SIZE];
    enum err rc = sha256_parts(parts, 2, next);
    if (!rc)
        memcpy(chain, next, sizeof next);
    return rc;
}

/* ---- bodies ---- */

static bool read_address(struct reader *r, struct piece *p)
{
    p->device = read_u64le(r);
    p->inc = read_u32le(r);
    p->bytes = read_bytes(r, reader_left(r));
    return !r->failed;
}

static bool read_frame(struct reader *r, struct piece *p)
{
    size_t size = 0;
    if (!read_address(r, p) || frame_parse(p->bytes, &p->frame, &size, NULL) || size != p->bytes.n)
        return false;
    return p->device && (p->frame.device == 0 || (p->frame.device == p->device && p->frame.inc == p->inc));
}

static bool read_object(struct reader *r, struct piece *p)
{
    struct str hash = read_bytes(r, SHA256_SIZE);
    p->size = read_u64le(r);
    p->offset = read_u64le(r);
    p->bytes = read_bytes(r, reader_left(r));
    if (r->failed || p->offset > p->size || p->bytes.n > p->size - p->offset)
        return false;
    memcpy(p->hash, hash.p, SHA256_SIZE);
    return true;
}

static bool was_seen(const struct bundle_reader *b, const unsigned char check[static BUNDLE_CHECK_SIZE])
{
    uint32_t n = b->seen_count < BUNDLE_SEEN ? b->seen_count : BUNDLE_SEEN;
    for (uint32_t i = 0; i < n; i++)
        if (memcmp(b->seen[i], check, BUNDLE_CHECK_SIZE) == 0)
            return true;
    return false;
}

static bool read_index(struct bundle_reader *b, struct reader *r, struct piece *p)
{
    p->missing = b->missing;
    while (reader_left(r) > 0) {
        struct piece_entry e = {.kind = (enum piece_kind)read_u8(r)};
        e.device = read_u64le(r);
        e.inc = read_u32le(r);
        e.number = read_u64le(r);
        struct str check = read_bytes(r, BUNDLE_CHECK_SIZE);
        if (r->failed)
            return false;
        memcpy(e.check, check.p, sizeof e.check);
        if (!was_seen(b, e.check))
            b->missing[p->missing_count++] = e;
    }
    return true;
}

static bool read_end(struct bundle_reader *b, struct reader *r)
{
    uint64_t pieces = read_u64le(r);
    struct str chain = read_bytes(r, SHA256_SIZE);
    if (r->failed || reader_left(r) > 0)
        return false;
    b->whole = b->damaged == 0 && pieces == b->pieces && memcmp(chain.p, b->chain, SHA256_SIZE) == 0;
    return true;
}

/* False: its check is right and it makes no sense; or it is of a kind that is not known here. */
static bool read_body(struct bundle_reader *b, struct str body, struct piece *p)
{
    struct reader r = reader_of(body);
    switch (p->kind) {
    case PIECE_CERTIFICATE:
    case PIECE_DONE: return read_address(&r, p);
    case PIECE_FRAME: return read_frame(&r, p);
    case PIECE_OBJECT: return read_object(&r, p);
    case PIECE_INDEX: return read_index(b, &r, p);
    case PIECE_END: return read_end(b, &r);
    }
    return false;
}

/* ---- reading ---- */

void bundle_reader_init(struct bundle_reader *r, struct bundle_source source)
{
    memset(r, 0, sizeof *r);
    r->source = source;
    buf_init(&r->window, PIECE_SIZE_MAX + READ_SIZE);
}

void bundle_reader_free(struct bundle_reader *r)
{
    buf_free(&r->window);
}

static size_t in_window(const struct bundle_reader *r)
{
    return r->window.n - r->at;
}

/* At least `n` bytes in the window, unless the source ends before. */
static enum err fill(struct bundle_reader *r, size_t n, struct diag *d)
{
    char chunk[READ_SIZE];
    if (in_window(r) >= n || r->ended)
        return ERR_OK;
    if (r->at > 0) {
        memmove(r->window.p, r->window.p + r->at, in_window(r));
        r->window.n -= r->at;
        r->at = 0;
    }
    while (r->window.n < n && !r->ended) {
        size_t got = 0;
        enum err rc = r->source.read(r->source.self, chunk, sizeof chunk, &got, d);
        if (rc)
            return rc;
        r->ended = got == 0;
        buf_put(&r->window, chunk, got);
        if (r->window.failed)
            return diag_set(d, r->window.failed, "Not enough memory to read a bundle.");
    }
    return ERR_OK;
}

static void take(struct bundle_reader *r, size_t n)
{
    r->at += n;
    r->offset += n;
}

static void pass_over(struct bundle_reader *r, size_t n)
{
    take(r, n);
    r->damaged += n;
}

/* To the next place where a piece may begin, at least one byte on. */
static void resync(struct bundle_reader *r)
{
    struct str rest = {r->window.p + r->at + 1, in_window(r) - 1};
    ptrdiff_t next = str_find(rest, (struct str){magic, sizeof magic});
    if (next >= 0)
        pass_over(r, (size_t)next + 1);
    else if (r->ended || in_window(r) < sizeof magic)
        pass_over(r, in_window(r));
    else /* the first bytes of a magic may stand at the end */
        pass_over(r, in_window(r) - (sizeof magic - 1));
}

/* What stands at the window's begin, when it is a whole piece: its size, else 0. */
static enum err piece_here(struct bundle_reader *r, struct piece *p, unsigned char digest[SHA256_SIZE],
                           size_t *size_out, struct diag *d)
{
    *size_out = 0;
    enum err rc = fill(r, PIECE_HEAD, d);
    if (rc || in_window(r) < PIECE_HEAD || memcmp(r->window.p + r->at, magic, sizeof magic) != 0)
        return rc;
    struct reader head = reader_of((struct str){r->window.p + r->at + sizeof magic, PIECE_HEAD});
    unsigned kind = read_u8(&head);
    size_t size = PIECE_HEAD + (size_t)read_u32le(&head);
    if (size > PIECE_HEAD + (size_t)body_max(kind))
        return ERR_OK;
    rc = fill(r, size, d);
    if (rc || in_window(r) < size)
        return rc;
    if (r->hashed > WASTE_MAX && (r->hashed - WASTE_MAX) / WASTE_TIMES > r->offset)
        return diag_set(d, ERR_LIMIT,
                        "These bytes only look like a bundle; reading on from byte %llu would waste time.",
                        (unsigned long long)r->offset);
    r->hashed += size;
    struct str all = {r->window.p + r->at, size};
    rc = digest_of(all, digest);
    if (rc || memcmp(digest, all.p + PIECE_HEAD - BUNDLE_CHECK_SIZE, BUNDLE_CHECK_SIZE) != 0)
        return rc;
    *p = (struct piece){.kind = (enum piece_kind)kind};
    memcpy(p->check, digest, sizeof p->check);
    *size_out = size;
    return ERR_OK;
}

static enum err head_here(struct bundle_reader *r, struct diag *d)
{
    enum err rc = fill(r, HEAD_SIZE, d);
    if (!rc)
        rc = chain_begin(r->chain);
    if (!rc && in_window(r) >= HEAD_SIZE && memcmp(r->window.p + r->at, BUNDLE_HEAD, HEAD_SIZE) == 0)
        take(r, HEAD_SIZE);
    return rc;
}

enum err bundle_read(struct bundle_reader *r, struct piece *out, bool *any_out, struct diag *d)
{
    unsigned char digest[SHA256_SIZE];
    size_t size = 0;
    enum err rc = r->offset == 0 ? head_here(r, d) : ERR_OK;

    *any_out = false;
    while (!rc) {
        rc = piece_here(r, out, digest, &size, d);
        if (rc || in_window(r) == 0)
            break;
        if (size == 0) {
            resync(r);
            continue;
        }
        struct str body = {r->window.p + r->at + PIECE_HEAD, size - PIECE_HEAD};
        bool sense = read_body(r, body, out);
        r->piece_at = r->offset;
        take(r, size);
        rc = chain_add(r->chain, digest);
        r->pieces++;
        memcpy(r->seen[r->seen_count++ % BUNDLE_SEEN], out->check, BUNDLE_CHECK_SIZE);
        if (sense && !rc) {
            *any_out = true;
            break;
        }
    }
    return rc;
}

/* ---- writing ---- */

static enum err put_out(struct bundle_writer *w, struct str bytes, struct diag *d)
{
    enum err rc = w->sink.write(w->sink.self, bytes, d);
    if (!rc)
        w->bytes += bytes.n;
    return rc;
}

enum err bundle_begin(struct bundle_writer *w, struct bundle_sink sink, struct diag *d)
{
    memset(w, 0, sizeof *w);
    w->sink = sink;
    buf_init(&w->piece, PIECE_SIZE_MAX);
    buf_init(&w->page, BUNDLE_PAGE * ENTRY_SIZE);
    enum err rc = chain_begin(w->chain);
    return rc ? rc : put_out(w, STR(BUNDLE_HEAD), d);
}

void bundle_writer_free(struct bundle_writer *w)
{
    buf_free(&w->piece);
    buf_free(&w->page);
}

static void body_write(const struct piece *p, struct buf *b)
{
    if (p->kind == PIECE_OBJECT) {
        buf_put(b, p->hash, SHA256_SIZE);
        buf_put_u64le(b, p->size);
        buf_put_u64le(b, p->offset);
    } else if (p->kind == PIECE_CERTIFICATE || p->kind == PIECE_FRAME || p->kind == PIECE_DONE) {
        buf_put_u64le(b, p->device);
        buf_put_u32le(b, p->inc);
    }
    buf_put_str(b, p->bytes);
}

static enum err piece_write(struct bundle_writer *w, const struct piece *p,
                            unsigned char digest[static SHA256_SIZE], struct diag *d)
{
    struct buf *b = &w->piece;
    static const char no_check[BUNDLE_CHECK_SIZE];
    buf_clear(b);
    buf_put(b, magic, sizeof magic);
    buf_put_char(b, (char)p->kind);
    buf_put_u32le(b, 0);
    buf_put(b, no_check, sizeof no_check);
    body_write(p, b);
    if (b->failed)
        return diag_set(d, b->failed, "A piece of %zu bytes does not go into a bundle.", p->bytes.n);
    uint32_t size = (uint32_t)(b->n - PIECE_HEAD);
    CHECK(size <= body_max((unsigned)p->kind));
    for (unsigned i = 0; i < 4; i++)
        b->p[5 + i] = (char)(size >> (8 * i));
    enum err rc = digest_of(buf_str(b), digest);
    if (rc)
        return rc;
    memcpy(b->p + PIECE_HEAD - BUNDLE_CHECK_SIZE, digest, BUNDLE_CHECK_SIZE);
    rc = chain_add(w->chain, digest);
    w->pieces++;
    return rc ? rc : put_out(w, buf_str(b), d);
}

static enum err page_write(struct bundle_writer *w, struct diag *d)
{
    unsigned char digest[SHA256_SIZE];
    const struct piece index = {.kind = PIECE_INDEX, .bytes = buf_str(&w->page)};
    if (w->page_count == 0)
        return ERR_OK;
    enum err rc = piece_write(w, &index, digest, d);
    buf_clear(&w->page);
    w->page_count = 0;
    return rc;
}

enum err bundle_put(struct bundle_writer *w, const struct piece *p, struct diag *d)
{
    unsigned char digest[SHA256_SIZE];
    CHECK(p->kind >= PIECE_CERTIFICATE && p->kind <= PIECE_OBJECT);
    enum err rc = piece_write(w, p, digest, d);
    if (rc)
        return rc;
    buf_put_char(&w->page, (char)p->kind);
    buf_put_u64le(&w->page, p->device);
    buf_put_u32le(&w->page, p->inc);
    buf_put_u64le(&w->page, p->kind == PIECE_FRAME    ? p->frame.batch_seq
                            : p->kind == PIECE_OBJECT ? p->offset
                                                      : 0);
    buf_put(&w->page, digest, BUNDLE_CHECK_SIZE);
    if (w->page.failed)
        return diag_set(d, w->page.failed, "Not enough memory to write a bundle.");
    return ++w->page_count == BUNDLE_PAGE ? page_write(w, d) : ERR_OK;
}

enum err bundle_put_object(struct bundle_writer *w, const unsigned char hash[static SHA256_SIZE],
                           struct str bytes, struct diag *d)
{
    struct piece p = {.kind = PIECE_OBJECT, .size = bytes.n};
    enum err rc = ERR_OK;
    memcpy(p.hash, hash, SHA256_SIZE);
    do {
        p.bytes = str_sub(bytes, (size_t)p.offset, BUNDLE_OBJECT_PIECE);
        rc = bundle_put(w, &p, d);
        p.offset += p.bytes.n;
    } while (!rc && p.offset < bytes.n);
    return rc;
}

enum err bundle_end(struct bundle_writer *w, struct diag *d)
{
    unsigned char digest[SHA256_SIZE];
    struct buf b;
    enum err rc = page_write(w, d);
    buf_init(&b, END_SIZE);
    buf_put_u64le(&b, w->pieces);
    buf_put(&b, w->chain, SHA256_SIZE);
    if (!rc && b.failed)
        rc = diag_set(d, b.failed, "Not enough memory to write a bundle.");
    const struct piece end = {.kind = PIECE_END, .bytes = buf_str(&b)};
    if (!rc)
        rc = piece_write(w, &end, digest, d);
    buf_free(&b);
    return rc;
}
