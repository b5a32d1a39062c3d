/* HPKE base mode (RFC 9180) and the derivation of keys from a seed, out of the primitives of crypto.c.
 * Always true: one encapsulation seals one message, so that the nonce is the base nonce and no counter is
 * kept; a shared secret of small order is refused. Not here: PSK and Auth modes, the exporter, other KEMs and
 * KDFs.
 */
#include "platform/crypto_internal.h"

#define KEM_X25519 0x0020
#define KEM_P256 0x0010
#define KDF_SHA256 0x0001
#define SUITE_ID_MAX 10

/* "KEM" and one number, or "HPKE" and three: what ties every derived byte to its place in the protocol. */
struct suite {
    unsigned char id[SUITE_ID_MAX];
    size_t n;
};

static void suite_add(struct suite *s, uint16_t number)
{
    s->id[s->n++] = (unsigned char)(number >> 8);
    s->id[s->n++] = (unsigned char)(number & 0xff);
}

static struct suite suite_kem(uint16_t kem)
{
    struct suite s = {.id = "KEM", .n = 3};
    suite_add(&s, kem);
    return s;
}

static struct suite suite_hpke(enum hpke_aead aead)
{
    struct suite s = {.id = "HPKE", .n = 4};
    suite_add(&s, KEM_X25519);
    suite_add(&s, KDF_SHA256);
    suite_add(&s, (uint16_t)aead);
    return s;
}

static struct str str_bytes(const void *p, size_t n)
{
    return (struct str){p, n};
}

static enum err labeled_extract(const struct suite *s, struct str salt, const char *label, struct str ikm,
                                unsigned char out[static SHA256_SIZE])
{
    const struct str parts[] = {STR("HPKE-v1"), str_bytes(s->id, s->n), str_of(label), ikm};
    return hmac_sha256_parts(salt, parts, 4, out);
}

static enum err labeled_expand(const struct suite *s, const unsigned char prk[static SHA256_SIZE],
                               const char *label, struct str info, unsigned char *out, size_t n)
{
    const unsigned char length[2] = {(unsigned char)(n >> 8), (unsigned char)(n & 0xff)};
    const struct str parts[] = {str_bytes(length, 2), STR("HPKE-v1"), str_bytes(s->id, s->n), str_of(label),
                                info};
    return hkdf_expand(prk, parts, 5, out, n);
}

/* The first half of DeriveKeyPair; without a seed, one is drawn, and the key is made in the same way. */
static enum err seed_prk(const struct suite *s, const unsigned char *seed,
                         unsigned char prk[static SHA256_SIZE])
{
    unsigned char drawn[SHA256_SIZE];
    enum err rc = ERR_OK;
    if (seed)
        memcpy(drawn, seed, sizeof drawn);
    else
        rc = crypto_random(drawn, sizeof drawn);
    if (!rc)
        rc = labeled_extract(s, STR_NONE, "dkp_prk", str_bytes(drawn, sizeof drawn), prk);
    crypto_wipe(drawn, sizeof drawn);
    return rc;
}

enum err x25519_make(const unsigned char *seed, struct key_pair_x25519 *out)
{
    const struct suite s = suite_kem(KEM_X25519);
    unsigned char prk[SHA256_SIZE];
    struct key_pair_x25519 pair;

    enum err rc = seed_prk(&s, seed, prk);
    if (!rc)
        rc = labeled_expand(&s, prk, "sk", STR_NONE, pair.secret, sizeof pair.secret);
    if (!rc)
        rc = x25519_public(&pair);
    if (!rc)
        *out = pair;
    crypto_wipe(prk, sizeof prk);
    crypto_wipe(&pair, sizeof pair);
    return rc;
}

/* A candidate outside 1 .. n-1 comes up once in 2^32 seeds; the RFC gives 256 tries. */
enum err p256_make(const unsigned char *seed, struct key_pair_p256 *out)
{
    const struct suite s = suite_kem(KEM_P256);
    unsigned char prk[SHA256_SIZE];
    struct key_pair_p256 pair;

    enum err rc = seed_prk(&s, seed, prk);
    if (rc)
        goto done;
    for (int i = 0; i < 256; i++) {
        const unsigned char counter = (unsigned char)i;
        rc = labeled_expand(&s, prk, "candidate", str_bytes(&counter, 1), pair.secret, sizeof pair.secret);
        if (rc)
            goto done;
        rc = p256_public(&pair);
        if (rc != ERR_CORRUPT)
            break;
    }
    if (!rc)
        *out = pair;

done:
    crypto_wipe(prk, sizeof prk);
    crypto_wipe(&pair, sizeof pair);
    return rc;
}

/* ExtractAndExpand over the agreement and both public keys. */
static enum err kem_shared(const unsigned char dh[static X25519_SIZE],
                           const unsigned char enc[static X25519_SIZE],
                           const unsigned char recipient[static X25519_SIZE],
                           unsigned char out[static SHA256_SIZE])
{
    const struct suite s = suite_kem(KEM_X25519);
    unsigned char context[2 * X25519_SIZE];
    unsigned char prk[SHA256_SIZE];
    memcpy(context, enc, X25519_SIZE);
    memcpy(context + X25519_SIZE, recipient, X25519_SIZE);

    enum err rc = labeled_extract(&s, STR_NONE, "eae_prk", str_bytes(dh, X25519_SIZE), prk);
    if (!rc)
        rc = labeled_expand(&s, prk, "shared_secret", str_bytes(context, sizeof context), out, SHA256_SIZE);
    crypto_wipe(prk, sizeof prk);
    return rc;
}

enum err hpke_encap(const unsigned char recipient[static X25519_SIZE], const unsigned char *ephemeral_seed,
                    unsigned char enc_out[static X25519_SIZE], unsigned char shared_out[static SHA256_SIZE])
{
    struct key_pair_x25519 pair;
    unsigned char dh[X25519_SIZE];

    enum err rc = x25519_make(ephemeral_seed, &pair);
    if (rc)
        goto done;
    rc = x25519_agree(pair.secret, recipient, dh);
    if (!rc)
        rc = kem_shared(dh, pair.public, recipient, shared_out);
    if (!rc)
        memcpy(enc_out, pair.public, X25519_SIZE);

done:
    crypto_wipe(&pair, sizeof pair);
    crypto_wipe(dh, sizeof dh);
    return rc;
}

enum err hpke_decap(const struct key_pair_x25519 *recipient, const unsigned char enc[static X25519_SIZE],
                    unsigned char shared_out[static SHA256_SIZE])
{
    unsigned char dh[X25519_SIZE];
    enum err rc = x25519_agree(recipient->secret, enc, dh);
    if (!rc)
        rc = kem_shared(dh, enc, recipient->public, shared_out);
    crypto_wipe(dh, sizeof dh);
    return rc;
}

enum err hpke_key_schedule(enum hpke_aead aead, const unsigned char shared[static SHA256_SIZE],
                           struct str info, struct hpke_keys *keys_out)
{
    const struct suite s = suite_hpke(aead);
    unsigned char context[1 + 2 * SHA256_SIZE] = {0}; /* mode base is 0 */
    unsigned char secret[SHA256_SIZE];
    const struct str context_str = str_bytes(context, sizeof context);

    enum err rc = labeled_extract(&s, STR_NONE, "psk_id_hash", STR_NONE, context + 1);
    if (!rc)
        rc = labeled_extract(&s, STR_NONE, "info_hash", info, context + 1 + SHA256_SIZE);
    if (!rc)
        rc = labeled_extract(&s, str_bytes(shared, SHA256_SIZE), "secret", STR_NONE, secret);
    if (!rc)
        rc = labeled_expand(&s, secret, "key", context_str, keys_out->key, aead_key_size(aead));
    if (!rc)
        rc = labeled_expand(&s, secret, "base_nonce", context_str, keys_out->base_nonce, AEAD_NONCE_SIZE);
    crypto_wipe(secret, sizeof secret);
    return rc;
}

enum err hpke_seal(enum hpke_aead aead, const unsigned char recipient[static X25519_SIZE], struct str info,
                   struct str aad, struct str plain, const unsigned char *ephemeral_seed,
                   unsigned char enc_out[static X25519_SIZE], unsigned char *cipher_out)
{
    unsigned char shared[SHA256_SIZE];
    unsigned char enc[X25519_SIZE];
    struct hpke_keys keys;
    CHECK(aead_key_size(aead));

    enum err rc = hpke_encap(recipient, ephemeral_seed, enc, shared);
    if (!rc)
        rc = hpke_key_schedule(aead, shared, info, &keys);
    if (!rc)
        rc = aead_seal(aead, keys.key, keys.base_nonce, aad, plain, cipher_out);
    if (!rc)
        memcpy(enc_out, enc, X25519_SIZE);
    crypto_wipe(shared, sizeof shared);
    crypto_wipe(&keys, sizeof keys);
    return rc;
}

enum err hpke_open(enum hpke_aead aead, const struct key_pair_x25519 *recipient,
                   const unsigned char enc[static X25519_SIZE], struct str info, struct str aad,
                   struct str cipher, unsigned char *plain_out)
{
    unsigned char shared[SHA256_SIZE];
    struct hpke_keys keys;
    if (!aead_key_size(aead)) /* the number stood in a message */
        return ERR_CORRUPT;

    enum err rc = hpke_decap(recipient, enc, shared);
    if (!rc)
        rc = hpke_key_schedule(aead, shared, info, &keys);
    if (!rc)
        rc = aead_open(aead, keys.key, keys.base_nonce, aad, cipher, plain_out);
    crypto_wipe(shared, sizeof shared);
    crypto_wipe(&keys, sizeof keys);
    return rc;
}
