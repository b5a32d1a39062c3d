/* Enrolment: the token that people type, the code that cameras read, the request and its reply. */
#include "sync/wire_json.h"

/* --- token
 * -------------------------------------------------------------------------------------------------- */

#define TOKEN_DIGITS 12
#define TOKEN_BITS 60

/* Multiplication in the field of 32 elements (x^5 + x^2 + 1). */
static unsigned times(unsigned a, unsigned b)
{
    unsigned product = 0;
    for (; b; b >>= 1) {
        if (b & 1)
            product ^= a;
        a <<= 1;
        if (a & 32)
            a ^= 37;
    }
    return product;
}

/* A different weight for each place: no two digits can change places unnoticed, none can change alone. */
static unsigned check_digit(uint64_t token60)
{
    unsigned weight = 1, sum = 0;
    for (unsigned i = 0; i < TOKEN_DIGITS; i++) {
        weight = times(weight, 2);
        sum ^= times(weight, (unsigned)(token60 >> (5 * i)) & 31);
    }
    return sum;
}

void enrol_token_write(uint64_t token60, char out[static ENROL_TOKEN_TEXT])
{
    char digits[TOKEN_DIGITS + 1];
    token60 &= (UINT64_C(1) << TOKEN_BITS) - 1;
    base32_write(token60, TOKEN_DIGITS, digits);
    base32_write(check_digit(token60), 1, digits + TOKEN_DIGITS);
    char *p = out;
    for (unsigned i = 0; i <= TOKEN_DIGITS; i++) {
        if (i && i % 4 == 0)
            *p++ = '-';
        *p++ = digits[i];
    }
    *p = '\0';
}

bool enrol_token_read(struct str text, uint64_t *token60_out)
{
    char digits[TOKEN_DIGITS + 1];
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '-' || text.p[i] == ' ')
            continue;
        if (n == sizeof(digits))
            return false;
        digits[n++] = text.p[i];
    }
    uint64_t token60, check;
    if (n != sizeof(digits) || !base32_read((struct str){digits, TOKEN_DIGITS}, &token60) ||
        !base32_read((struct str){digits + TOKEN_DIGITS, 1}, &check) || check != check_digit(token60))
        return false;
    *token60_out = token60;
    return true;
}

/* --- QR code
 * ------------------------------------------------------------------------------------------------ */

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Without padding; n must make no odd bits when it is read back, which the fixed size below sees to. */
static void put_base64(struct buf *b, const unsigned char *p, size_t n)
{
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < n; i++) {
        bits = bits << 8 | p[i];
        for (held += 8; held >= 6; held -= 6)
            buf_put_char(b, base64_digits[bits >> (held - 6) & 63]);
    }
    if (held)
        buf_put_char(b, base64_digits[bits << (6 - held) & 63]);
}

static bool read_base64(struct str s, unsigned char *out, size_t n)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t made = 0;
    for (size_t i = 0; i < s.n; i++) {
        const char *place = memchr(base64_digits, s.p[i], 64);
        if (!place)
            return false;
        bits = bits << 6 | (uint32_t)(place - base64_digits);
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        if (made == n)
            return false;
        out[made++] = (unsigned char)(bits >> held);
    }
    return made == n && !(bits & ((1u << held) - 1));
}

#define CODE_PREFIX "dse1:"
#define CODE_BYTES (X25519_SIZE + 16 + 8)
#define CODE_TEXT 75 /* CODE_BYTES in base 64 */
#define URL_MAX 512

static bool url_ok(struct str url)
{
    if (url.n > URL_MAX || (!str_starts(url, STR("http://")) && !str_starts(url, STR("https://"))))
        return false;
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= ' ' || url.p[i] > '~')
            return false;
    return true;
}

enum err enrol_code_write(const struct enrol_code *c, struct buf *out)
{
    unsigned char bytes[CODE_BYTES];
    if (!url_ok(c->url))
        return ERR_USAGE;
    memcpy(bytes, c->seal_public, X25519_SIZE);
    memcpy(bytes + X25519_SIZE, c->root_print, 16);
    for (unsigned i = 0; i < 8; i++)
        bytes[X25519_SIZE + 16 + i] = (unsigned char)(c->token60 >> (8 * i));
    buf_put_z(out, CODE_PREFIX);
    put_base64(out, bytes, sizeof(bytes));
    buf_put_char(out, ':');
    buf_put_str(out, c->url);
    return out->failed;
}

enum err enrol_code_read(struct arena *a, struct str text, struct enrol_code *out, struct diag *d)
{
    struct enrol_code c = {.token60 = 0};
    unsigned char bytes[CODE_BYTES];
    size_t head = sizeof(CODE_PREFIX) - 1 + CODE_TEXT;
    text = str_trim(text);
    if (!str_starts(text, STR(CODE_PREFIX)))
        return diag_set(d, ERR_SYNTAX, "This is no enrolment code: it does not begin with " CODE_PREFIX);
    if (text.n <= head || text.p[head] != ':' ||
        !read_base64(str_sub(text, sizeof(CODE_PREFIX) - 1, CODE_TEXT), bytes, sizeof(bytes)))
        return diag_set(d, ERR_SYNTAX,
                        "The enrolment code is cut off or was changed. Scan or copy it again.");
    memcpy(c.seal_public, bytes, X25519_SIZE);
    memcpy(c.root_print, bytes + X25519_SIZE, 16);
    for (unsigned i = 0; i < 8; i++)
        c.token60 |= (uint64_t)bytes[X25519_SIZE + 16 + i] << (8 * i);
    c.url = arena_str(a, str_sub(text, head + 1, text.n - head - 1));
    if (!c.url.p)
        return diag_set(d, ERR_NOMEM, "Not enough memory for an enrolment code.");
    if (c.token60 >> TOKEN_BITS || !url_ok(c.url))
        return diag_set(d, ERR_SYNTAX,
                        "The enrolment code names no usable address or token. Ask for a new one.");
    *out = c;
    return ERR_OK;
}

/* --- request
 * ------------------------------------------------------------------------------------------------ */

#define ENROL_INFO STR("doorstep-enrol/1")
#define REPLY_INFO STR("doorstep-reply/1")
#define REQUEST_MAX 4096
#define FACT_MAX 256

/* Appends enc || ciphertext. */
static enum err seal_to(const unsigned char *recipient, struct str info, struct str aad, struct str plain,
                        const unsigned char *seed, struct buf *out)
{
    unsigned char enc[X25519_SIZE];
    unsigned char cipher[REQUEST_MAX + AEAD_TAG_SIZE];
    CHECK(plain.n <= REQUEST_MAX);
    enum err rc = hpke_seal(HPKE_CHACHA20_POLY1305, recipient, info, aad, plain, seed, enc, cipher);
    if (rc)
        return rc;
    buf_put(out, enc, sizeof(enc));
    buf_put(out, cipher, plain.n + AEAD_TAG_SIZE);
    return out->failed;
}

static enum err open_from(struct arena *a, const struct key_pair_x25519 *key, struct str info, struct str aad,
                          struct str sealed, struct str *plain_out)
{
    if (sealed.n < X25519_SIZE + AEAD_TAG_SIZE || sealed.n > X25519_SIZE + REQUEST_MAX + AEAD_TAG_SIZE)
        return ERR_CORRUPT;
    struct str cipher = str_sub(sealed, X25519_SIZE, sealed.n - X25519_SIZE);
    char *plain = ARENA_ARRAY(a, char, cipher.n);
    if (!plain)
        return ERR_NOMEM;
    enum err rc = hpke_open(HPKE_CHACHA20_POLY1305, key, (const unsigned char *)sealed.p, info, aad, cipher,
                            (unsigned char *)plain);
    if (!rc)
        *plain_out = (struct str){plain, cipher.n - AEAD_TAG_SIZE};
    return rc;
}

static void put_fact(struct buf *b, struct str s)
{
    s = str_sub(s, 0, FACT_MAX);
    buf_put_uv(b, s.n);
    buf_put_str(b, s);
}

static struct str get_fact(struct reader *r)
{
    uint64_t n = read_uv(r);
    if (n > FACT_MAX)
        r->failed = true;
    return r->failed || !n ? STR("") : read_bytes(r, (size_t)n);
}

enum err enrol_request_write(const struct enrol_request *r, const unsigned char recipient[static X25519_SIZE],
                             const unsigned char *ephemeral_seed, struct buf *out, struct diag *d)
{
    struct buf plain;
    buf_init(&plain, REQUEST_MAX);
    buf_put_char(&plain, 1);
    buf_put_u64le(&plain, r->token60);
    buf_put(&plain, r->seal_public, sizeof(r->seal_public));
    buf_put(&plain, r->sign_public, sizeof(r->sign_public));
    buf_put_sv(&plain, r->now_ms);
    put_fact(&plain, r->model);
    put_fact(&plain, r->version);
    enum err rc = plain.failed;
    if (!rc)
        rc = seal_to(recipient, ENROL_INFO, STR(""), buf_str(&plain), ephemeral_seed, out);
    if (plain.p)
        crypto_wipe(plain.p, plain.room);
    buf_free(&plain);
    return rc ? diag_set(d, rc, "The enrolment request could not be sealed.") : ERR_OK;
}

enum err enrol_request_read(struct arena *a, struct str body, const struct key_pair_x25519 *recipient,
                            struct enrol_request *out, struct diag *d)
{
    struct str plain;
    enum err rc = open_from(a, recipient, ENROL_INFO, STR(""), body, &plain);
    if (rc)
        return diag_set(d, rc, "The enrolment request does not open with the county's key.");
    struct reader r = reader_of(plain);
    struct enrol_request q = {.token60 = 0};
    uint8_t version = read_u8(&r);
    q.token60 = read_u64le(&r);
    struct str seal = read_bytes(&r, sizeof(q.seal_public));
    struct str sign = read_bytes(&r, sizeof(q.sign_public));
    q.now_ms = read_sv(&r);
    q.model = get_fact(&r);
    q.version = get_fact(&r);
    if (version != 1 || r.failed || reader_left(&r) || sign.p[0] != 4 || q.token60 >> TOKEN_BITS)
        return diag_set(d, version > 1 ? ERR_VERSION : ERR_CORRUPT, "The enrolment request is malformed.");
    memcpy(q.seal_public, seal.p, sizeof(q.seal_public));
    memcpy(q.sign_public, sign.p, sizeof(q.sign_public));
    *out = q;
    return ERR_OK;
}

/* --- reply
 * -------------------------------------------------------------------------------------------------- */

static struct str device_aad(uint64_t device, unsigned char out[static 8])
{
    for (unsigned i = 0; i < 8; i++)
        out[i] = (unsigned char)(device >> (8 * (7 - i)));
    return (struct str){(const char *)out, 8};
}

#define TOKEN_MAX 1024
#define REPLY_MAX (64u << 10)

/* Who the person is and where they work is nobody's business on the way. */
static enum err seal_private(const struct enrol_reply *r, const unsigned char device_seal[static X25519_SIZE],
                             struct str aad, const unsigned char *ephemeral_seed, struct buf *sealed)
{
    struct buf plain;
    buf_init(&plain, REPLY_MAX);
    json_member_i64(&plain, "person", r->person);
    json_member_i64(&plain, "role", r->role);
    json_member_text(&plain, "person_name", r->person_name);
    json_member_text(&plain, "area", r->area);
    json_member_text(&plain, "token", r->token);
    buf_put_char(&plain, '}');
    enum err rc = plain.failed;
    if (!rc)
        rc = seal_to(device_seal, REPLY_INFO, aad, buf_str(&plain), ephemeral_seed, sealed);
    if (plain.p)
        crypto_wipe(plain.p, plain.room);
    buf_free(&plain);
    return rc;
}

enum err enrol_reply_write(const struct enrol_reply *r, const struct key_pair_p256 *centre,
                           const unsigned char device_seal[static X25519_SIZE],
                           const unsigned char *ephemeral_seed, struct buf *out, struct diag *d)
{
    unsigned char id[8];
    struct str aad = device_aad(r->device, id);
    struct buf body, sealed;
    buf_init(&body, 3 * REPLY_MAX + r->known.n + 64);
    buf_init(&sealed, REPLY_MAX + 64);
    CHECK(r->token.n && r->token.n <= TOKEN_MAX);
    enum err rc = seal_private(r, device_seal, aad, ephemeral_seed, &sealed);
    if (rc)
        goto done;
    json_member_hex(&body, "device", id, sizeof(id));
    json_member_i64(&body, "inc", r->inc);
    json_member_text(&body, "county", r->county);
    json_member_i64(&body, "epoch", r->epoch);
    json_member_i64(&body, "server_time_ms", r->server_time_ms);
    json_member_i64(&body, "token_until_ms", r->token_until_ms);
    json_member_hex(&body, "certificate", r->certificate.p, r->certificate.n);
    json_member_hex(&body, "sealed", sealed.p, sealed.n);
    if (r->known.n)
        json_member_text(&body, "known", r->known);
    buf_put_char(&body, '}');
    rc = body.failed ? body.failed : signed_json_write(buf_str(&body), centre, out, d);
done:
    buf_free(&sealed);
    buf_free(&body);
    return rc ? diag_set(d, rc, "The reply to an enrolment could not be written.") : ERR_OK;
}

static enum err get_hex(struct arena *a, const struct json *body, const char *name, struct str *out)
{
    struct str hex = json_text(body, name);
    char *bytes = ARENA_ARRAY(a, char, hex.n / 2 + 1);
    if (!bytes)
        return ERR_NOMEM;
    if (!hex_read(hex, bytes, hex.n / 2))
        return ERR_CORRUPT;
    *out = (struct str){bytes, hex.n / 2};
    return ERR_OK;
}

static bool token_ok(struct str token)
{
    bool ok = token.n && token.n <= TOKEN_MAX;
    for (size_t i = 0; ok && i < token.n; i++)
        ok = token.p[i] > ' ' && token.p[i] <= '~';
    return ok;
}

static enum err read_private(struct arena *a, struct str plain, struct enrol_reply *r)
{
    const struct json *body;
    uint32_t role;
    enum err rc = json_read(a, plain, &body, NULL);
    if (rc)
        return rc;
    if (!json_u32(body, "person", &r->person) || !json_u32(body, "role", &role) || role > UINT8_MAX)
        return ERR_CORRUPT;
    r->role = (uint8_t)role;
    r->person_name = json_text(body, "person_name");
    r->area = json_text(body, "area");
    r->token = json_text(body, "token");
    return token_ok(r->token) ? ERR_OK : ERR_CORRUPT;
}

static enum err read_reply(struct arena *a, const struct json *body, const struct key_pair_x25519 *device,
                           struct enrol_reply *r)
{
    unsigned char id[8];
    if (!hex_read(json_text(body, "device"), id, sizeof(id)) || !json_u32(body, "inc", &r->inc) ||
        !json_u32(body, "epoch", &r->epoch) || !json_i64(body, "server_time_ms", &r->server_time_ms) ||
        !json_i64(body, "token_until_ms", &r->token_until_ms))
        return ERR_CORRUPT;
    for (unsigned i = 0; i < 8; i++)
        r->device = r->device << 8 | id[i];
    r->county = json_text(body, "county");
    r->known = json_text(body, "known");
    struct str sealed, plain;
    enum err rc = get_hex(a, body, "certificate", &r->certificate);
    if (!rc)
        rc = get_hex(a, body, "sealed", &sealed);
    if (!rc)
        rc = open_from(a, device, REPLY_INFO, device_aad(r->device, id), sealed, &plain);
    if (!rc)
        rc = read_private(a, plain, r);
    return rc ? rc : !r->device ? ERR_CORRUPT : ERR_OK;
}

enum err enrol_reply_read(struct arena *a, struct str body, const struct keyset *keys,
                          const struct key_pair_x25519 *device, struct enrol_reply *out, struct diag *d)
{
    struct signed_json s;
    struct enrol_reply r = {.device = 0};
    enum err rc = signed_json_read(a, body, &s, d);
    if (rc)
        return rc;
    if (p256_verify(keys->sign_public, s.bytes, s.signature))
        return diag_set(
            d, ERR_CORRUPT,
            "The reply to the enrolment is not signed by the centre: this network answers instead of it "
            "(login page?), or the address is wrong.");
    rc = read_reply(a, s.body, device, &r);
    if (rc)
        return diag_set(d, rc, "The reply to the enrolment lacks something, or is meant for another device.");
    *out = r;
    return ERR_OK;
}
