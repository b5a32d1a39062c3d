/* The frame: parse, verify, open, make. Parsing trusts nothing and allocates nothing; the sizes that a head
 * claims are held against the caps before anything is made of them. What a flipped bit hits is always covered
 * twice: the signature is over every byte before it, and the head is also the associated data of the seal. */
#include "sync/envelope.h"

#include "sync/batch_zstd.h"

#define AAD_SIZE 52
#define VERSION 1

static const char magic[4] = {'D', 'S', 'B', '1'};
static const char sign_prefix[8] = {'d', 's', 'b', '1', '-', 's', 'i', 'g'};

void key_id_of(const unsigned char public[static X25519_SIZE], unsigned char out[static KEY_ID_SIZE])
{
    unsigned char hash[SHA256_SIZE];
    enum err rc = sha256((struct str){(const char *)public, X25519_SIZE}, hash);
    CHECK(rc == ERR_OK);
    memcpy(out, hash, KEY_ID_SIZE);
}

static uint32_t head_size_of(enum frame_suite suite)
{
    return suite == SUITE_OPEN ? FRAME_OPEN_HEAD_SIZE : FRAME_HEAD_SIZE;
}

static uint32_t tag_size_of(enum frame_suite suite)
{
    return suite == SUITE_OPEN ? 0 : AEAD_TAG_SIZE;
}

static enum err check_kind(const struct frame *f, struct diag *d)
{
    if (f->type < FRAME_UP || f->type > FRAME_MANIFEST)
        return diag_set(d, ERR_VERSION, "Frames of type %u are not known here; update this program.",
                        (unsigned)f->type);
    if (f->suite > SUITE_AES)
        return diag_set(d, ERR_VERSION, "The frame is sealed with suite %u, which is not known here.",
                        (unsigned)f->suite);
    if (f->suite == SUITE_OPEN && f->type != FRAME_RECEIPT)
        return diag_set(d, ERR_CORRUPT, "A frame of type %u must be sealed, and this one is not.",
                        (unsigned)f->type);
    if (f->flags & ~(FRAME_ZSTD | FRAME_DICT))
        return diag_set(d, ERR_VERSION, "The frame asks for what this program does not have (flags %u).",
                        (unsigned)f->flags);
    bool dict = f->flags & FRAME_DICT;
    if (dict != (f->dict != 0) || (dict && !(f->flags & FRAME_ZSTD)))
        return diag_set(d, ERR_CORRUPT, "The frame's flags (%u) and dictionary (%u) do not fit together.",
                        (unsigned)f->flags, (unsigned)f->dict);
    return ERR_OK;
}

static enum err check_sizes(const struct frame *f, uint32_t cipher_size, struct diag *d)
{
    if (f->raw_size > FRAME_RAW_MAX)
        return diag_set(d, ERR_LIMIT, "The frame claims a payload of %u bytes; %u are allowed.",
                        (unsigned)f->raw_size, (unsigned)FRAME_RAW_MAX);
    uint32_t plain_max = f->flags & FRAME_ZSTD ? f->raw_size - (f->raw_size > 0) : f->raw_size;
    uint32_t plain_min = f->flags & FRAME_ZSTD ? 1 : f->raw_size;
    uint32_t tag_size = tag_size_of(f->suite);
    if (cipher_size < tag_size + plain_min || cipher_size > tag_size + plain_max)
        return diag_set(d, ERR_CORRUPT, "The frame's two lengths, %u sealed and %u raw, do not fit together.",
                        (unsigned)cipher_size, (unsigned)f->raw_size);
    return ERR_OK;
}

static void batch_id_of(struct frame *f)
{
    unsigned char hash[SHA256_SIZE];
    enum err rc = sha256((struct str){f->bytes.p, f->bytes.n - SIGNATURE_SIZE}, hash);
    CHECK(rc == ERR_OK);
    memcpy(f->batch_id, hash, BATCH_ID_SIZE);
}

enum err frame_parse(struct str bytes, struct frame *frame_out, size_t *size_out, struct diag *d)
{
    if (bytes.n < FRAME_OPEN_HEAD_SIZE)
        return diag_set(d, ERR_CORRUPT, "The frame breaks off after %zu bytes, in its head.", bytes.n);
    struct reader r = reader_of(bytes);
    if (memcmp(read_bytes(&r, sizeof(magic)).p, magic, sizeof(magic)) != 0)
        return diag_set(d, ERR_CORRUPT, "These bytes do not begin with DSB1: they are no frame.");
    uint8_t version = read_u8(&r);
    if (version != VERSION)
        return diag_set(d, ERR_VERSION, "The frame has version %u; this program knows %u.", (unsigned)version,
                        (unsigned)VERSION);

    struct frame f = {.type = (enum frame_type)read_u8(&r), .suite = (enum frame_suite)read_u8(&r)};
    f.flags = read_u8(&r);
    f.device = read_u64le(&r);
    f.inc = read_u32le(&r);
    f.batch_seq = read_u64le(&r);
    memcpy(f.key_id, read_bytes(&r, KEY_ID_SIZE).p, KEY_ID_SIZE);
    f.dict = read_u16le(&r);
    f.schema = read_u16le(&r);
    f.raw_size = read_u32le(&r);
    uint32_t cipher_size = read_u32le(&r);
    memcpy(f.prev, read_bytes(&r, sizeof(f.prev)).p, sizeof(f.prev));

    enum err rc = check_kind(&f, d);
    if (!rc)
        rc = check_sizes(&f, cipher_size, d);
    if (rc)
        return rc;
    size_t head_size = head_size_of(f.suite);
    size_t size = head_size + cipher_size + SIGNATURE_SIZE;
    if (bytes.n < size)
        return diag_set(d, ERR_CORRUPT, "The frame breaks off after %zu of %zu bytes.", bytes.n, size);
    f.bytes = (struct str){bytes.p, size};
    f.cipher = (struct str){bytes.p + head_size, cipher_size};
    batch_id_of(&f);
    *frame_out = f;
    *size_out = size;
    return ERR_OK;
}

/* Prefix and bytes in one piece, as the signature wants them. The caller frees. */
static enum err signed_bytes(struct str bytes, struct buf *out, struct diag *d)
{
    buf_init(out, sizeof(sign_prefix) + bytes.n);
    buf_put(out, sign_prefix, sizeof(sign_prefix));
    buf_put_str(out, bytes);
    return out->failed ? diag_set(d, out->failed, "Not enough memory for a frame of %zu bytes.", bytes.n)
                       : ERR_OK;
}

enum err frame_verify(const struct frame *f, const unsigned char author[static P256_PUBLIC_SIZE],
                      struct diag *d)
{
    struct str covered = {f->bytes.p, f->bytes.n - SIGNATURE_SIZE};
    struct buf message;
    enum err rc = signed_bytes(covered, &message, d);
    if (!rc)
        rc = p256_verify(author, buf_str(&message), (const unsigned char *)covered.p + covered.n);
    buf_free(&message);
    if (rc)
        diag_set(d, rc, "The frame's signature is not by the one it names as its author.");
    return rc;
}

#define INFO_SIZE 27

static struct str seal_info(enum frame_type type, uint64_t device, uint32_t inc,
                            const unsigned char key_id[static KEY_ID_SIZE], char out[static INFO_SIZE])
{
    static const char label[10] = {'d', 'o', 'o', 'r', 's', 't', 'e', 'p', '/', '1'};
    char *p = out;
    memcpy(p, label, sizeof(label));
    p += sizeof(label);
    *p++ = (char)type;
    for (unsigned i = 0; i < 8; i++)
        *p++ = (char)(device >> (8 * i));
    for (unsigned i = 0; i < 4; i++)
        *p++ = (char)(inc >> (8 * i));
    memcpy(p, key_id, KEY_ID_SIZE);
    return (struct str){out, INFO_SIZE};
}

static enum err open_plain(const struct frame *f, const struct key_pair_x25519 *recipient, struct buf *plain,
                           struct diag *d)
{
    char info_bytes[INFO_SIZE];
    struct str info = seal_info(f->type, f->device, f->inc, f->key_id, info_bytes);
    const unsigned char *enc = (const unsigned char *)f->bytes.p + AAD_SIZE;
    size_t at = plain->n;
    buf_put(plain, f->cipher.p, f->cipher.n - AEAD_TAG_SIZE);
    if (plain->failed)
        return diag_set(d, plain->failed, "Not enough room to open a frame of %zu bytes.", f->bytes.n);
    unsigned char *out = plain->p ? (unsigned char *)plain->p + at : NULL;
    unsigned char empty;
    enum err rc = hpke_open(f->suite == SUITE_AES ? HPKE_AES128_GCM : HPKE_CHACHA20_POLY1305, recipient, enc,
                            info, (struct str){f->bytes.p, AAD_SIZE}, f->cipher, out ? out : &empty);
    if (rc) {
        plain->n = at;
        return diag_set(d, rc,
                        "The frame does not open with this key: it was changed, or sealed for another.");
    }
    return ERR_OK;
}

/* What was sealed; for suite 0 what was signed, which the caller has verified. */
static enum err unseal(const struct frame *f, const struct key_pair_x25519 *recipient, struct buf *plain,
                       struct diag *d)
{
    unsigned char key_id[KEY_ID_SIZE];
    if (f->suite == SUITE_OPEN) {
        buf_put_str(plain, f->cipher);
        return plain->failed
                   ? diag_set(d, plain->failed, "Not enough room to open a frame of %zu bytes.", f->bytes.n)
                   : ERR_OK;
    }
    key_id_of(recipient->public, key_id);
    if (memcmp(key_id, f->key_id, KEY_ID_SIZE) != 0)
        return diag_set(d, ERR_DENIED, "The frame is sealed for another key (%02x%02x%02x%02x).",
                        f->key_id[0], f->key_id[1], f->key_id[2], f->key_id[3]);
    return open_plain(f, recipient, plain, d);
}

static enum err find_dict(const struct frame *f, const struct frame_dicts *dicts, struct str *bytes_out,
                          struct diag *d)
{
    *bytes_out = STR("");
    if (!f->dict)
        return ERR_OK;
    enum err rc = dicts ? dicts->find(dicts->self, f->dict, bytes_out, d) : ERR_NOT_FOUND;
    return rc == ERR_NOT_FOUND ? diag_set(d, ERR_STATE,
                                          "The frame was compressed with dictionary %u, which is not here; "
                                          "the same must be sent without it.",
                                          (unsigned)f->dict)
                               : rc;
}

enum err frame_open_with(const struct frame *f, const struct key_pair_x25519 *recipient,
                         const struct frame_dicts *dicts, struct buf *payload, struct diag *d)
{
    if (!(f->flags & FRAME_ZSTD))
        return unseal(f, recipient, payload, d);

    struct buf plain;
    struct str dict;
    buf_init(&plain, f->raw_size);
    enum err rc = unseal(f, recipient, &plain, d);
    if (!rc)
        rc = find_dict(f, dicts, &dict, d);
    if (!rc)
        rc = zstd_restore(buf_str(&plain), dict, f->raw_size, payload, d);
    if (plain.p)
        crypto_wipe(plain.p, plain.room);
    buf_free(&plain);
    return rc;
}

enum err frame_open(const struct frame *f, const struct key_pair_x25519 *recipient, struct buf *payload,
                    struct diag *d)
{
    return frame_open_with(f, recipient, NULL, payload, d);
}

/* How the plain bytes were made short. */
struct packing {
    uint8_t flags;
    uint16_t dict;
};

static void put_head(struct buf *b, const struct frame_seal *how, struct packing packing,
                     const unsigned char *key_id, size_t raw_size, size_t plain_size)
{
    enum frame_suite suite = how->recipient ? SUITE_CHACHA : SUITE_OPEN;
    buf_put(b, magic, sizeof(magic));
    buf_put_char(b, VERSION);
    buf_put_char(b, (char)how->type);
    buf_put_char(b, (char)suite);
    buf_put_char(b, (char)packing.flags);
    buf_put_u64le(b, how->device);
    buf_put_u32le(b, how->inc);
    buf_put_u64le(b, how->batch_seq);
    buf_put(b, key_id, KEY_ID_SIZE);
    buf_put_u16le(b, packing.dict);
    buf_put_u16le(b, how->schema);
    buf_put_u32le(b, (uint32_t)raw_size);
    buf_put_u32le(b, (uint32_t)plain_size + tag_size_of(suite));
    buf_put(b, how->prev, sizeof(how->prev));
}

/* `frame` holds the head; the seal is added to it. */
static enum err put_sealed(struct buf *frame, const struct frame_seal *how, const unsigned char *key_id,
                           struct str plain)
{
    if (!how->recipient) {
        buf_put_str(frame, plain);
        return frame->failed;
    }
    char info_bytes[INFO_SIZE];
    struct str info = seal_info(how->type, how->device, how->inc, key_id, info_bytes);
    unsigned char enc[X25519_SIZE];
    struct buf cipher;
    buf_init(&cipher, plain.n + AEAD_TAG_SIZE);
    buf_put_str(&cipher, plain);
    buf_put(&cipher, "0123456789abcdef", AEAD_TAG_SIZE); /* room for the tag */
    enum err rc = cipher.failed;
    if (!rc)
        rc = hpke_seal(HPKE_CHACHA20_POLY1305, how->recipient, info, (struct str){frame->p, AAD_SIZE}, plain,
                       how->ephemeral_seed, enc, (unsigned char *)cipher.p);
    if (!rc) {
        buf_put(frame, enc, sizeof(enc));
        buf_put_str(frame, buf_str(&cipher));
        rc = frame->failed;
    }
    buf_free(&cipher);
    return rc;
}

static enum err put_signature(struct buf *frame, const struct key_pair_p256 *author, struct diag *d)
{
    unsigned char signature[SIGNATURE_SIZE];
    struct buf message;
    enum err rc = signed_bytes(buf_str(frame), &message, d);
    if (!rc)
        rc = p256_sign(author, buf_str(&message), signature);
    buf_free(&message);
    if (rc)
        return rc;
    buf_put(frame, signature, sizeof(signature));
    return frame->failed;
}

/* With the dictionary and without, whichever is shorter: what a dictionary was trained on is not what every
 * frame is like. */
static enum err shorten(const struct frame_seal *how, struct str payload, struct buf *out,
                        struct packing *packing, struct diag *d)
{
    bool packed = false;
    struct buf other;
    buf_init(&other, payload.n);
    enum err rc = zstd_shorten(payload, STR(""), out, &packed, d);
    packing->flags = packed ? FRAME_ZSTD : 0;
    packing->dict = 0;
    bool with_dict = how->dict && how->dict->id;
    if (!rc && with_dict)
        rc = zstd_shorten(payload, how->dict->bytes, &other, &packed, d);
    if (!rc && with_dict && packed && (!packing->flags || other.n < out->n)) {
        buf_clear(out);
        buf_put_str(out, buf_str(&other));
        rc = out->failed;
        *packing = (struct packing){FRAME_ZSTD | FRAME_DICT, how->dict->id};
    }
    if (other.p)
        crypto_wipe(other.p, other.room);
    buf_free(&other);
    return rc;
}

enum err frame_make(const struct frame_seal *how, struct str payload, struct buf *frame_out, struct diag *d)
{
    CHECK(how->recipient || how->type == FRAME_RECEIPT);
    if (payload.n > FRAME_RAW_MAX)
        return diag_set(d, ERR_LIMIT, "A payload of %zu bytes does not fit into a frame; %u are allowed.",
                        payload.n, (unsigned)FRAME_RAW_MAX);
    unsigned char key_id[KEY_ID_SIZE] = {0};
    if (how->recipient)
        key_id_of(how->recipient, key_id);
    struct buf shorter = {0}, frame = {0};
    buf_init(&shorter, payload.n);
    buf_init(&frame, FRAME_SIZE_MAX);
    struct packing packing;

    enum err rc = shorten(how, payload, &shorter, &packing, d);
    if (rc)
        goto done;
    struct str plain = packing.flags ? buf_str(&shorter) : payload;
    put_head(&frame, how, packing, key_id, payload.n, plain.n);
    rc = frame.failed;
    if (!rc)
        rc = put_sealed(&frame, how, key_id, plain);
    if (!rc)
        rc = put_signature(&frame, how->author, d);
    if (!rc) {
        buf_put_str(frame_out, buf_str(&frame));
        rc = frame_out->failed;
    }
    if (rc)
        diag_set(d, rc, "The frame could not be sealed.");
done:
    if (shorter.p)
        crypto_wipe(shorter.p, shorter.room);
    buf_free(&shorter);
    buf_free(&frame);
    return rc;
}
