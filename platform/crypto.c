/* The primitives: each is a few PSA calls over keys that live in PSA's table only for the length of the call.
 * Always true: no key stays behind, whatever failed; secrets on the stack are wiped. What is not here:
 * multipart AEAD (mbedTLS 2.28 declares but does not have it) and PSA's own HKDF, which cannot extract and
 * expand apart in 2.28; HKDF is HMAC here.
 */
#include "platform/crypto_internal.h"

#include <pthread.h>
#include <psa/crypto.h>

/* PSA's key table belongs to the whole process, and so must what guards it. */
static pthread_mutex_t psa_lock = PTHREAD_MUTEX_INITIALIZER;

void crypto_lock(void)
{
    CHECK(pthread_mutex_lock(&psa_lock) == 0);
}

void crypto_unlock(void)
{
    CHECK(pthread_mutex_unlock(&psa_lock) == 0);
}

/* What a status of PSA means when the bytes that were handed over came from outside. */
static enum err cause(psa_status_t status)
{
    switch (status) {
    case PSA_SUCCESS: return ERR_OK;
    case PSA_ERROR_INVALID_SIGNATURE:
    case PSA_ERROR_INVALID_ARGUMENT:
    case PSA_ERROR_INVALID_PADDING: return ERR_CORRUPT;
    case PSA_ERROR_INSUFFICIENT_MEMORY: return ERR_NOMEM;
    case PSA_ERROR_BAD_STATE: return ERR_STATE;
    default: return ERR_IO;
    }
}

enum err crypto_init(struct diag *d)
{
    crypto_lock();
    psa_status_t status = psa_crypto_init();
    crypto_unlock();
    if (status != PSA_SUCCESS)
        return diag_set(d, ERR_IO,
                        "The cryptography library does not start (status %d); without a source of random "
                        "numbers nothing can be sealed. Check that /dev/urandom can be read.",
                        (int)status);
    return ERR_OK;
}

void crypto_wipe(void *p, size_t n)
{
    if (!n)
        return;
    memset(p, 0, n);
    __asm__ __volatile__("" : : "r"(p) : "memory"); /* the compiler may not see that nobody reads it again */
}

bool crypto_equal(const void *a, const void *b, size_t n)
{
    const volatile unsigned char *x = a;
    const volatile unsigned char *y = b;
    unsigned char different = 0;
    for (size_t i = 0; i < n; i++)
        different = (unsigned char)(different | (x[i] ^ y[i]));
    return different == 0;
}

enum err crypto_random(void *out, size_t n)
{
    crypto_lock();
    psa_status_t status = psa_generate_random(out, n);
    crypto_unlock();
    return cause(status);
}

/* Bytes for PSA, which dislikes NULL even where there are none. */
static const uint8_t *bytes_of(struct str s)
{
    return s.p ? (const uint8_t *)s.p : (const uint8_t *)"";
}

/* --- hashes. They use no key, and so no table and no lock. --- */

enum err sha256_parts(const struct str *parts, uint32_t count, unsigned char out[static SHA256_SIZE])
{
    psa_hash_operation_t op = PSA_HASH_OPERATION_INIT;
    unsigned char digest[SHA256_SIZE];
    size_t n = 0;

    psa_status_t status = psa_hash_setup(&op, PSA_ALG_SHA_256);
    for (uint32_t i = 0; i < count && status == PSA_SUCCESS; i++)
        if (parts[i].n)
            status = psa_hash_update(&op, bytes_of(parts[i]), parts[i].n);
    if (status == PSA_SUCCESS)
        status = psa_hash_finish(&op, digest, sizeof digest, &n);
    (void)psa_hash_abort(&op);
    if (status != PSA_SUCCESS)
        return cause(status);
    memcpy(out, digest, SHA256_SIZE);
    return ERR_OK;
}

enum err sha256(struct str data, unsigned char out[static SHA256_SIZE])
{
    return sha256_parts(&data, 1, out);
}

/* --- keys that live for one call --- */

static psa_status_t key_import(psa_key_type_t type, psa_key_usage_t usage, psa_algorithm_t alg,
                               const uint8_t *p, size_t n, psa_key_id_t *key_out)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_type(&attributes, type);
    psa_set_key_usage_flags(&attributes, usage);
    psa_set_key_algorithm(&attributes, alg);
    psa_status_t status = psa_import_key(&attributes, p, n, key_out);
    psa_reset_key_attributes(&attributes);
    return status;
}

/* mbedTLS 2.28 guards its random numbers (where it was built with threads, as Debian's is) but not the table
 * of keys. A volatile key's place in it is looked at by nobody else while it is used, so that only taking and
 * leaving the place go one after another; where the random numbers are not guarded, everything does. */
static psa_status_t key_take(psa_key_type_t type, psa_key_usage_t usage, psa_algorithm_t alg,
                             const uint8_t *p, size_t n, psa_key_id_t *key_out)
{
    crypto_lock();
    psa_status_t status = key_import(type, usage, alg, p, n, key_out);
#ifdef MBEDTLS_THREADING_C
    crypto_unlock();
#endif
    return status;
}

/* In any case, also when nothing was taken. */
static void key_drop(psa_key_id_t key)
{
#ifdef MBEDTLS_THREADING_C
    crypto_lock();
#endif
    (void)psa_destroy_key(key);
    crypto_unlock();
}

static psa_status_t mac_run(psa_key_id_t key, const struct str *parts, uint32_t count,
                            unsigned char out[static SHA256_SIZE])
{
    psa_mac_operation_t op = PSA_MAC_OPERATION_INIT;
    size_t n = 0;
    psa_status_t status = psa_mac_sign_setup(&op, key, PSA_ALG_HMAC(PSA_ALG_SHA_256));
    for (uint32_t i = 0; i < count && status == PSA_SUCCESS; i++)
        if (parts[i].n)
            status = psa_mac_update(&op, bytes_of(parts[i]), parts[i].n);
    if (status == PSA_SUCCESS)
        status = psa_mac_sign_finish(&op, out, SHA256_SIZE, &n);
    (void)psa_mac_abort(&op);
    return status;
}

#define SHA256_BLOCK_SIZE 64

enum err hmac_sha256_parts(struct str key, const struct str *parts, uint32_t count,
                           unsigned char out[static SHA256_SIZE])
{
    /* HMAC pads a short key with zeros and hashes a long one. Doing both here keeps every key, the empty one
     * included, inside what PSA imports. */
    unsigned char block[SHA256_BLOCK_SIZE] = {0};
    unsigned char mac[SHA256_SIZE];
    psa_key_id_t id = 0;
    enum err rc = ERR_OK;
    if (key.n > sizeof block)
        rc = sha256(key, block);
    else
        memcpy(block, bytes_of(key), key.n);
    if (rc)
        goto done;

    psa_status_t status = key_take(PSA_KEY_TYPE_HMAC, PSA_KEY_USAGE_SIGN_MESSAGE,
                                   PSA_ALG_HMAC(PSA_ALG_SHA_256), block, sizeof block, &id);
    if (status == PSA_SUCCESS)
        status = mac_run(id, parts, count, mac);
    key_drop(id);
    rc = cause(status);
    if (!rc)
        memcpy(out, mac, SHA256_SIZE);

done:
    crypto_wipe(block, sizeof block);
    crypto_wipe(mac, sizeof mac);
    return rc;
}

enum err hmac_sha256(struct str key, struct str data, unsigned char out[static SHA256_SIZE])
{
    return hmac_sha256_parts(key, &data, 1, out);
}

enum err hkdf_expand(const unsigned char prk[static SHA256_SIZE], const struct str *info, uint32_t info_count,
                     unsigned char *out, size_t n)
{
    CHECK(info_count + 2 <= HMAC_PARTS_MAX);
    if (n > (size_t)255 * SHA256_SIZE)
        return ERR_LIMIT;
    struct str parts[HMAC_PARTS_MAX];
    unsigned char block[SHA256_SIZE];
    unsigned char counter = 0;
    enum err rc = ERR_OK;

    for (uint32_t i = 0; i < info_count; i++)
        parts[1 + i] = info[i];
    parts[1 + info_count] = (struct str){(const char *)&counter, 1};
    for (size_t at = 0; at < n && !rc; at += SHA256_SIZE) {
        parts[0] = counter ? (struct str){(const char *)block, sizeof block} : STR_NONE;
        counter++;
        rc = hmac_sha256_parts((struct str){(const char *)prk, SHA256_SIZE}, parts, info_count + 2, block);
        if (!rc)
            memcpy(out + at, block, n - at < SHA256_SIZE ? n - at : SHA256_SIZE);
    }
    crypto_wipe(block, sizeof block);
    return rc;
}

enum err hkdf_sha256(struct str salt, struct str secret, struct str info, unsigned char *out, size_t n)
{
    unsigned char prk[SHA256_SIZE];
    enum err rc = hmac_sha256(salt, secret, prk);
    if (!rc)
        rc = hkdf_expand(prk, &info, 1, out, n);
    crypto_wipe(prk, sizeof prk);
    return rc;
}

/* --- sealing with a key --- */

static const struct aead_row {
    enum hpke_aead aead;
    psa_key_type_t type;
    psa_algorithm_t alg;
    size_t key_size;
} aead_rows[] = {
    {HPKE_AES128_GCM, PSA_KEY_TYPE_AES, PSA_ALG_GCM, 16},
    {HPKE_CHACHA20_POLY1305, PSA_KEY_TYPE_CHACHA20, PSA_ALG_CHACHA20_POLY1305, 32},
};

static const struct aead_row *aead_row(enum hpke_aead aead)
{
    for (size_t i = 0; i < sizeof aead_rows / sizeof *aead_rows; i++)
        if (aead_rows[i].aead == aead)
            return &aead_rows[i];
    return NULL;
}

size_t aead_key_size(enum hpke_aead aead)
{
    const struct aead_row *row = aead_row(aead);
    return row ? row->key_size : 0;
}

enum err aead_seal(enum hpke_aead aead, const unsigned char *key,
                   const unsigned char nonce[static AEAD_NONCE_SIZE], struct str aad, struct str plain,
                   unsigned char *cipher_out)
{
    const struct aead_row *row = aead_row(aead);
    psa_key_id_t id = 0;
    size_t n = 0;
    CHECK(row);

    psa_status_t status = key_take(row->type, PSA_KEY_USAGE_ENCRYPT, row->alg, key, row->key_size, &id);
    if (status == PSA_SUCCESS)
        status = psa_aead_encrypt(id, row->alg, nonce, AEAD_NONCE_SIZE, bytes_of(aad), aad.n, bytes_of(plain),
                                  plain.n, cipher_out, plain.n + AEAD_TAG_SIZE, &n);
    key_drop(id);
    return cause(status);
}

enum err aead_open(enum hpke_aead aead, const unsigned char *key,
                   const unsigned char nonce[static AEAD_NONCE_SIZE], struct str aad, struct str cipher,
                   unsigned char *plain_out)
{
    const struct aead_row *row = aead_row(aead);
    psa_key_id_t id = 0;
    unsigned char nothing;
    size_t n = 0;
    if (!row || cipher.n < AEAD_TAG_SIZE)
        return ERR_CORRUPT;

    psa_status_t status = key_take(row->type, PSA_KEY_USAGE_DECRYPT, row->alg, key, row->key_size, &id);
    if (status == PSA_SUCCESS)
        status = psa_aead_decrypt(id, row->alg, nonce, AEAD_NONCE_SIZE, bytes_of(aad), aad.n,
                                  bytes_of(cipher), cipher.n, plain_out ? plain_out : &nothing,
                                  cipher.n - AEAD_TAG_SIZE, &n);
    key_drop(id);
    return cause(status);
}

/* --- X25519 --- */

#define X25519_PAIR PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_MONTGOMERY)
#define P256_PAIR PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1)
#define P256_POINT PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1)

static enum err public_of(psa_key_type_t type, const unsigned char *secret, size_t secret_size,
                          unsigned char *out, size_t public_size)
{
    unsigned char point[P256_PUBLIC_SIZE];
    psa_key_id_t id = 0;
    size_t n = 0;

    psa_status_t status = key_take(type, 0, 0, secret, secret_size, &id);
    if (status == PSA_SUCCESS)
        status = psa_export_public_key(id, point, sizeof point, &n);
    key_drop(id);
    if (status != PSA_SUCCESS)
        return cause(status);
    CHECK(n == public_size);
    memcpy(out, point, n);
    return ERR_OK;
}

enum err x25519_public(struct key_pair_x25519 *pair)
{
    return public_of(X25519_PAIR, pair->secret, sizeof pair->secret, pair->public, sizeof pair->public);
}

enum err x25519_agree(const unsigned char secret[static X25519_SIZE],
                      const unsigned char public[static X25519_SIZE], unsigned char out[static X25519_SIZE])
{
    static const unsigned char zero[X25519_SIZE];
    unsigned char shared[X25519_SIZE];
    psa_key_id_t id = 0;
    size_t n = 0;

    psa_status_t status = key_take(X25519_PAIR, PSA_KEY_USAGE_DERIVE, PSA_ALG_ECDH, secret, X25519_SIZE, &id);
    if (status == PSA_SUCCESS)
        status = psa_raw_key_agreement(PSA_ALG_ECDH, id, public, X25519_SIZE, shared, sizeof shared, &n);
    key_drop(id);

    enum err rc = cause(status);
    if (!rc && crypto_equal(shared, zero, sizeof zero))
        rc = ERR_CORRUPT;
    if (!rc)
        memcpy(out, shared, X25519_SIZE);
    crypto_wipe(shared, sizeof shared);
    return rc;
}

/* --- signatures --- */

enum err p256_public(struct key_pair_p256 *pair)
{
    return public_of(P256_PAIR, pair->secret, sizeof pair->secret, pair->public, sizeof pair->public);
}

enum err p256_sign(const struct key_pair_p256 *pair, struct str message,
                   unsigned char out[static SIGNATURE_SIZE])
{
    const psa_algorithm_t alg = PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256);
    unsigned char signature[SIGNATURE_SIZE];
    psa_key_id_t id = 0;
    size_t n = 0;

    psa_status_t status = key_take(P256_PAIR, PSA_KEY_USAGE_SIGN_MESSAGE, alg, pair->secret,
                                   sizeof pair->secret, &id);
    if (status == PSA_SUCCESS)
        status = psa_sign_message(id, alg, bytes_of(message), message.n, signature, sizeof signature, &n);
    key_drop(id);
    if (status != PSA_SUCCESS)
        return cause(status);
    memcpy(out, signature, SIGNATURE_SIZE);
    return ERR_OK;
}

enum err p256_verify(const unsigned char public[static P256_PUBLIC_SIZE], struct str message,
                     const unsigned char signature[static SIGNATURE_SIZE])
{
    const psa_algorithm_t alg = PSA_ALG_ECDSA(PSA_ALG_SHA_256);
    psa_key_id_t id = 0;

    psa_status_t status = key_take(P256_POINT, PSA_KEY_USAGE_VERIFY_MESSAGE, alg, public, P256_PUBLIC_SIZE,
                                   &id);
    if (status == PSA_SUCCESS)
        status = psa_verify_message(id, alg, bytes_of(message), message.n, signature, SIGNATURE_SIZE);
    key_drop(id);
    return cause(status);
}
