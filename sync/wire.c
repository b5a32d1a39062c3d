/* Receipts and the county's keyset, and the signed JSON that keyset and enrolment share. */
#include "sync/wire_json.h"

/* --- signed JSON
 * -------------------------------------------------------------------------------------------- */

enum err signed_json_write(struct str body, const struct key_pair_p256 *key, struct buf *out, struct diag *d)
{
    unsigned char signature[SIGNATURE_SIZE];
    enum err rc = p256_sign(key, body, signature);
    if (rc)
        return diag_set(d, rc, "The message could not be signed.");
    buf_put_z(out, "{\"body\":");
    buf_put_json(out, body);
    buf_put_z(out, ",\"signature\":\"");
    buf_put_hex(out, signature, sizeof(signature));
    buf_put_z(out, "\"}");
    return out->failed;
}

enum err signed_json_read(struct arena *a, struct str text, struct signed_json *out, struct diag *d)
{
    const struct json *outer;
    enum err rc = json_read(a, text, &outer, d);
    if (rc)
        return rc;
    out->bytes = json_text(outer, "body");
    if (!out->bytes.n || !hex_read(json_text(outer, "signature"), out->signature, sizeof(out->signature)))
        return diag_set(d, ERR_CORRUPT, "The message is not signed: \"body\" and \"signature\" are missing.");
    return json_read(a, out->bytes, &out->body, d);
}

void json_member(struct buf *b, const char *name)
{
    buf_put_char(b, b->n ? ',' : '{');
    buf_put_json(b, str_of(name));
    buf_put_char(b, ':');
}

void json_member_text(struct buf *b, const char *name, struct str value)
{
    json_member(b, name);
    buf_put_json(b, value);
}

void json_member_i64(struct buf *b, const char *name, int64_t value)
{
    json_member(b, name);
    buf_put_i64(b, value);
}

void json_member_hex(struct buf *b, const char *name, const void *bytes, size_t n)
{
    json_member(b, name);
    buf_put_char(b, '"');
    buf_put_hex(b, bytes, n);
    buf_put_char(b, '"');
}

bool json_u32(const struct json *object, const char *name, uint32_t *out)
{
    int64_t v;
    if (!json_i64(object, name, &v) || v < 0 || v > UINT32_MAX)
        return false;
    *out = (uint32_t)v;
    return true;
}

/* --- keyset
 * ------------------------------------------------------------------------------------------------- */

enum err keyset_write(const struct keyset *k, const struct key_pair_p256 *root, struct buf *json_out,
                      struct diag *d)
{
    struct buf body;
    buf_init(&body, 4096);
    json_member_text(&body, "county", k->county);
    json_member_i64(&body, "epoch", k->epoch);
    json_member_i64(&body, "issued_ms", k->issued_ms);
    json_member_hex(&body, "root", k->root_public, sizeof(k->root_public));
    json_member_hex(&body, "sign", k->sign_public, sizeof(k->sign_public));
    json_member_hex(&body, "seal", k->seal_public, sizeof(k->seal_public));
    buf_put_char(&body, '}');
    enum err rc = body.failed;
    if (!rc)
        rc = signed_json_write(buf_str(&body), root, json_out, d);
    buf_free(&body);
    return rc;
}

enum err root_print_of(const unsigned char root_public[static P256_PUBLIC_SIZE], unsigned char out[static 16])
{
    unsigned char hash[SHA256_SIZE];
    enum err rc = sha256((struct str){(const char *)root_public, P256_PUBLIC_SIZE}, hash);
    if (!rc)
        memcpy(out, hash, 16);
    return rc;
}

static enum err check_root(const struct keyset *k, const unsigned char *root_print, struct diag *d)
{
    unsigned char print[16];
    if (!root_print)
        return ERR_OK;
    enum err rc = root_print_of(k->root_public, print);
    if (rc || crypto_equal(print, root_print, sizeof(print)))
        return rc;
    char theirs[40];
    root_print_text(print, theirs);
    return diag_set(
        d, ERR_DENIED,
        "The keys at this address belong to another root (%s) than the enrolment names. Check the "
        "address; if it is right, tell the county office.",
        theirs);
}

enum err keyset_read(struct arena *a, struct str json, const unsigned char *root_print, struct keyset *out,
                     struct diag *d)
{
    struct signed_json s;
    struct keyset k = {.epoch = 0};
    enum err rc = signed_json_read(a, json, &s, d);
    if (rc)
        return rc;
    k.county = json_text(s.body, "county");
    if (!k.county.n || !json_u32(s.body, "epoch", &k.epoch) || !json_i64(s.body, "issued_ms", &k.issued_ms) ||
        !hex_read(json_text(s.body, "root"), k.root_public, sizeof(k.root_public)) ||
        !hex_read(json_text(s.body, "sign"), k.sign_public, sizeof(k.sign_public)) ||
        !hex_read(json_text(s.body, "seal"), k.seal_public, sizeof(k.seal_public)))
        return diag_set(d, ERR_CORRUPT, "The county's keyset lacks a key or a date.");
    rc = check_root(&k, root_print, d);
    if (!rc && p256_verify(k.root_public, s.bytes, s.signature))
        rc = diag_set(d, ERR_CORRUPT, "The county's keyset is not signed by its root key.");
    if (!rc)
        *out = k;
    return rc;
}

void root_print_text(const unsigned char print[static 16], char out[static 40])
{
    static const char hex[] = "0123456789ABCDEF";
    char *p = out;
    for (unsigned i = 0; i < 16; i++) {
        if (i && i % 2 == 0)
            *p++ = ' ';
        *p++ = hex[print[i] >> 4];
        *p++ = hex[print[i] & 15];
    }
    *p = '\0';
}

bool root_print_read(struct str text, unsigned char out[static 16])
{
    char digits[32];
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == ' ')
            continue;
        if (n == sizeof(digits))
            return false;
        digits[n++] = text.p[i];
    }
    return hex_read((struct str){digits, n}, out, 16);
}

/* --- receipts
 * ----------------------------------------------------------------------------------------------- */

enum {
    RECEIPT_TOKEN = 1,
    RECEIPT_CLOCK = 2,
    RECEIPT_CAUGHT_UP = 4,
    RECEIPT_REFUSED = 8,
    RECEIPT_PARTS = 16,
    RECEIPT_ERASE = 32,
    RECEIPT_FLAGS = 63
};
#define BATCHES_MAX 10000
#define TOKEN_MAX 1024
#define REASON_MAX 2048
#define TIME_S_MAX INT64_C(300000000000)

static int64_t floor_seconds(int64_t ms)
{
    return ms / 1000 - (ms % 1000 < 0);
}

static void put_text(struct buf *b, struct str s)
{
    buf_put_uv(b, s.n);
    buf_put_str(b, s);
}

static struct str get_text(struct reader *r, size_t max)
{
    uint64_t n = read_uv(r);
    if (n > max)
        r->failed = true;
    return r->failed || !n ? STR("") : read_bytes(r, (size_t)n);
}

static void put_item(struct buf *b, const struct receipt *r, const struct receipt_item *item)
{
    buf_put_sv(b, (int64_t)(item->batch_seq - r->contiguous));
    buf_put(b, item->batch_id, sizeof(item->batch_id));
    buf_put_char(b, (char)item->status);
    if (item->status == RECEIPT_QUARANTINED) {
        buf_put_char(b, (char)item->cause);
        put_text(b, item->reason);
        return;
    }
    buf_put_char(b, item->server_seq != 0);
    if (item->server_seq)
        buf_put_sv(b, (int64_t)(r->cursor - item->server_seq));
}

static void put_part_item(struct buf *b, const struct receipt_part *part)
{
    buf_put(b, part->batch_id, sizeof(part->batch_id));
    buf_put_char(b, (char)part->status);
    if (part->status == RECEIPT_QUARANTINED) {
        buf_put_char(b, (char)part->cause);
        put_text(b, part->reason);
    }
}

enum err receipt_write(const struct receipt *r, struct buf *payload_out)
{
    int64_t time_s = floor_seconds(r->server_time_ms), until_s = floor_seconds(r->token_until_ms);
    CHECK(r->item_count <= BATCHES_MAX && r->token.n <= TOKEN_MAX);
    CHECK(!r->caught_up || r->cursor_from <= r->cursor);
    CHECK(!r->erase || r->refused == ERR_DENIED);
    buf_put_char(payload_out,
                 (char)((r->token.n ? RECEIPT_TOKEN : 0) | (r->clock_off_ms ? RECEIPT_CLOCK : 0) |
                        (r->caught_up ? RECEIPT_CAUGHT_UP : 0) | (r->refused ? RECEIPT_REFUSED : 0) |
                        (r->part_count ? RECEIPT_PARTS : 0) | (r->erase ? RECEIPT_ERASE : 0)));
    buf_put_uv(payload_out, r->epoch);
    buf_put_u64le(payload_out, r->device);
    buf_put_uv(payload_out, r->inc);
    buf_put_uv(payload_out, r->contiguous);
    buf_put_uv(payload_out, r->cursor);
    buf_put_sv(payload_out, time_s - WIRE_EPOCH_S);
    if (r->clock_off_ms)
        buf_put_sv(payload_out, floor_seconds(r->clock_off_ms));
    if (r->token.n) {
        put_text(payload_out, r->token);
        buf_put_sv(payload_out, until_s - time_s);
    }
    if (r->refused)
        buf_put_char(payload_out, (char)r->refused);
    if (r->caught_up)
        buf_put_uv(payload_out, r->cursor - r->cursor_from);
    buf_put_uv(payload_out, r->item_count);
    for (uint32_t i = 0; i < r->item_count; i++)
        put_item(payload_out, r, &r->items[i]);
    if (r->part_count)
        buf_put_uv(payload_out, r->part_count);
    for (uint32_t i = 0; i < r->part_count; i++)
        put_part_item(payload_out, &r->parts[i]);
    return payload_out->failed;
}

static void get_item(struct reader *r, const struct receipt *receipt, struct receipt_item *item)
{
    item->batch_seq = receipt->contiguous + (uint64_t)read_sv(r);
    struct str id = read_bytes(r, BATCH_ID_SIZE);
    if (id.n == BATCH_ID_SIZE)
        memcpy(item->batch_id, id.p, BATCH_ID_SIZE);
    uint8_t status = read_u8(r);
    uint8_t second = read_u8(r);
    bool quarantined = status == RECEIPT_QUARANTINED;
    if (status < RECEIPT_STORED || status > RECEIPT_QUARANTINED || second >= (quarantined ? ERR_COUNT : 2))
        r->failed = true;
    item->status = (enum receipt_status)status;
    item->reason = STR("");
    if (quarantined) {
        item->cause = (enum err)second;
        item->reason = get_text(r, REASON_MAX);
    } else if (second) {
        item->server_seq = receipt->cursor - (uint64_t)read_sv(r);
    }
}

static void get_part_item(struct reader *r, struct receipt_part *part)
{
    struct str id = read_bytes(r, BATCH_ID_SIZE);
    if (id.n == BATCH_ID_SIZE)
        memcpy(part->batch_id, id.p, BATCH_ID_SIZE);
    uint8_t status = read_u8(r);
    if (status != RECEIPT_STORED && status != RECEIPT_QUARANTINED)
        r->failed = true;
    part->status = (enum receipt_status)status;
    part->reason = STR("");
    if (status != RECEIPT_QUARANTINED)
        return;
    uint8_t cause = read_u8(r);
    r->failed = r->failed || cause >= ERR_COUNT;
    part->cause = (enum err)cause;
    part->reason = get_text(r, REASON_MAX);
}

static int64_t get_seconds(struct reader *r, int64_t base)
{
    int64_t v = read_sv(r);
    if (v > TIME_S_MAX || v < -TIME_S_MAX || v + base > TIME_S_MAX || v + base < -TIME_S_MAX)
        r->failed = true;
    return r->failed ? 0 : (base + v) * 1000;
}

static void get_head(struct reader *r, struct receipt *out, bool *parts_out)
{
    uint8_t flags = read_u8(r);
    uint64_t epoch = read_uv(r);
    out->device = read_u64le(r);
    uint64_t inc = read_uv(r);
    out->contiguous = read_uv(r);
    out->cursor = read_uv(r);
    out->server_time_ms = get_seconds(r, WIRE_EPOCH_S);
    out->clock_off_ms = flags & RECEIPT_CLOCK ? get_seconds(r, 0) : 0;
    out->token = STR("");
    if (flags & RECEIPT_TOKEN) {
        out->token = get_text(r, TOKEN_MAX);
        out->token_until_ms = get_seconds(r, out->server_time_ms / 1000);
    }
    uint8_t refused = flags & RECEIPT_REFUSED ? read_u8(r) : 0;
    out->caught_up = flags & RECEIPT_CAUGHT_UP;
    out->cursor_from = out->caught_up ? out->cursor - read_uv(r) : 0;
    out->refused = (enum err)refused;
    out->erase = flags & RECEIPT_ERASE;
    out->epoch = (uint32_t)epoch;
    out->inc = (uint32_t)inc;
    if (epoch > UINT32_MAX || inc > UINT32_MAX || flags & ~RECEIPT_FLAGS || refused >= ERR_COUNT ||
        out->cursor_from > out->cursor || (out->erase && refused != ERR_DENIED))
        r->failed = true;
    *parts_out = flags & RECEIPT_PARTS;
}

static enum err malformed(struct str payload, const struct reader *r, struct diag *d)
{
    return diag_set(d, ERR_CORRUPT, "The receipt is malformed near byte %zu.", payload.n - reader_left(r));
}

static enum err get_parts(struct arena *a, struct reader *r, struct receipt *out)
{
    uint64_t count = read_uv(r);
    if (r->failed || count == 0 || count > BATCHES_MAX) {
        r->failed = true;
        return ERR_OK;
    }
    struct receipt_part *parts = ARENA_ARRAY(a, struct receipt_part, count);
    if (!parts)
        return ERR_NOMEM;
    for (uint64_t i = 0; i < count && !r->failed; i++)
        get_part_item(r, &parts[i]);
    out->parts = parts;
    out->part_count = (uint32_t)count;
    return ERR_OK;
}

enum err receipt_read(struct arena *a, struct str payload, struct receipt *out, struct diag *d)
{
    struct reader r = reader_of(payload);
    struct receipt receipt = {.epoch = 0};
    bool parts = false;
    get_head(&r, &receipt, &parts);
    uint64_t count = read_uv(&r);
    if (r.failed || count > BATCHES_MAX)
        return malformed(payload, &r, d);
    struct receipt_item *items = ARENA_ARRAY(a, struct receipt_item, count);
    if (!items)
        return diag_set(d, ERR_NOMEM, "Not enough memory for a receipt of %llu batches.",
                        (unsigned long long)count);
    for (uint64_t i = 0; i < count && !r.failed; i++)
        get_item(&r, &receipt, &items[i]);
    receipt.items = items;
    receipt.item_count = (uint32_t)count;
    if (parts && !r.failed && get_parts(a, &r, &receipt))
        return diag_set(d, ERR_NOMEM, "Not enough memory for a receipt.");
    if (r.failed || reader_left(&r))
        return malformed(payload, &r, d);
    *out = receipt;
    return ERR_OK;
}
