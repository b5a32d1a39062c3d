/* What SQLCipher asks of a cipher library, answered by mbedTLS through PSA: AES-256-CBC, HMAC and PBKDF2 over
 * SHA-1, SHA-256 and SHA-512, random bytes. Always true: a file written here is an ordinary SQLCipher 4 file,
 * which a build on another library opens. Keys are in PSA's table only for the length of one call, under the
 * lock of platform/crypto. Doorstep gives raw keys, so that PBKDF2 runs for two rounds per open and not for
 * 256,000.
 */
#include "platform/crypto_internal.h"

#include <psa/crypto.h>

typedef struct Parse Parse; /* that header expects to stand inside SQLite itself */
#include <sqlcipher.h>

#define AES_KEY_SIZE 32
#define AES_BLOCK_SIZE 16
#define DIGEST_SIZE_MAX 64
#define DIGEST_BLOCK_MAX 128

/* The name by which the SQLCipher build calls this file; its header has no prototype for a provider of ours.
 */
int sqlcipher_mbedtls_setup(sqlcipher_provider *p);

static const struct digest {
    int algorithm; /* the same numbers for HMAC and PBKDF2 */
    psa_algorithm_t hash;
    int size;
    size_t block;
} digests[] = {
    {SQLCIPHER_HMAC_SHA1, PSA_ALG_SHA_1, 20, 64},
    {SQLCIPHER_HMAC_SHA256, PSA_ALG_SHA_256, 32, 64},
    {SQLCIPHER_HMAC_SHA512, PSA_ALG_SHA_512, 64, 128},
};

static const struct digest *digest_of(int algorithm)
{
    for (size_t i = 0; i < sizeof digests / sizeof *digests; i++)
        if (digests[i].algorithm == algorithm)
            return &digests[i];
    return NULL;
}

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

/* An HMAC key as HMAC itself prepares it, so that an empty or long one is as good as any. Lock held. */
static psa_status_t mac_key(const struct digest *g, const uint8_t *key, size_t n, psa_key_id_t *key_out)
{
    uint8_t block[DIGEST_BLOCK_MAX] = {0};
    size_t hashed = 0;
    psa_status_t status = PSA_SUCCESS;
    if (n > g->block)
        /* Told of more room than the digest needs, 2.28 fills the rest with marks. */
        status = psa_hash_compute(g->hash, key, n, block, (size_t)g->size, &hashed);
    else if (n)
        memcpy(block, key, n);
    if (status == PSA_SUCCESS)
        status = key_import(PSA_KEY_TYPE_HMAC, PSA_KEY_USAGE_SIGN_MESSAGE, PSA_ALG_HMAC(g->hash), block,
                            g->block, key_out);
    crypto_wipe(block, sizeof block);
    return status;
}

/* Two pieces, of which the second may be absent. Lock held. `out` may be one of the inputs. */
static psa_status_t mac_run(const struct digest *g, psa_key_id_t key, const uint8_t *p, size_t n,
                            const uint8_t *p2, size_t n2, uint8_t *out)
{
    psa_mac_operation_t op = PSA_MAC_OPERATION_INIT;
    size_t got = 0;
    psa_status_t status = psa_mac_sign_setup(&op, key, PSA_ALG_HMAC(g->hash));
    if (status == PSA_SUCCESS && n)
        status = psa_mac_update(&op, p, n);
    if (status == PSA_SUCCESS && n2)
        status = psa_mac_update(&op, p2, n2);
    if (status == PSA_SUCCESS)
        status = psa_mac_sign_finish(&op, out, (size_t)g->size, &got);
    (void)psa_mac_abort(&op);
    return status;
}

/* One block of PBKDF2 (RFC 8018): the exclusive or of all rounds. Lock held. */
static psa_status_t pbkdf2_block(const struct digest *g, psa_key_id_t key, const uint8_t *salt, size_t salt_n,
                                 uint32_t index, int rounds, uint8_t out[static DIGEST_SIZE_MAX])
{
    const uint8_t number[4] = {(uint8_t)(index >> 24), (uint8_t)(index >> 16), (uint8_t)(index >> 8),
                               (uint8_t)index};
    const size_t size = (size_t)g->size;
    uint8_t u[DIGEST_SIZE_MAX];
    psa_status_t status = mac_run(g, key, salt, salt_n, number, sizeof number, u);
    if (status == PSA_SUCCESS)
        memcpy(out, u, size);
    for (int i = 1; i < rounds && status == PSA_SUCCESS; i++) {
        status = mac_run(g, key, u, size, NULL, 0, u);
        for (size_t k = 0; k < size; k++)
            out[k] ^= u[k];
    }
    crypto_wipe(u, sizeof u);
    return status;
}

static int provider_hmac(void *ctx, int algorithm, unsigned char *key, int key_n, unsigned char *in, int in_n,
                         unsigned char *in2, int in2_n, unsigned char *out)
{
    (void)ctx;
    const struct digest *g = digest_of(algorithm);
    psa_key_id_t id = 0;
    if (!g || !in)
        return SQLITE_ERROR;

    crypto_lock();
    psa_status_t status = mac_key(g, key, (size_t)key_n, &id);
    if (status == PSA_SUCCESS)
        status = mac_run(g, id, in, (size_t)in_n, in2, in2 ? (size_t)in2_n : 0, out);
    (void)psa_destroy_key(id);
    crypto_unlock();
    return status == PSA_SUCCESS ? SQLITE_OK : SQLITE_ERROR;
}

static int provider_kdf(void *ctx, int algorithm, const unsigned char *pass, int pass_n, unsigned char *salt,
                        int salt_n, int rounds, int key_n, unsigned char *key)
{
    (void)ctx;
    const struct digest *g = digest_of(algorithm);
    uint8_t block[DIGEST_SIZE_MAX];
    psa_key_id_t id = 0;
    if (!g || rounds < 1 || key_n < 0)
        return SQLITE_ERROR;

    crypto_lock();
    psa_status_t status = mac_key(g, pass, (size_t)pass_n, &id);
    uint32_t index = 1;
    for (int at = 0; at < key_n && status == PSA_SUCCESS; at += g->size, index++) {
        status = pbkdf2_block(g, id, salt, (size_t)salt_n, index, rounds, block);
        if (status == PSA_SUCCESS)
            memcpy(key + at, block, (size_t)(key_n - at < g->size ? key_n - at : g->size));
    }
    (void)psa_destroy_key(id);
    crypto_unlock();
    crypto_wipe(block, sizeof block);
    return status == PSA_SUCCESS ? SQLITE_OK : SQLITE_ERROR;
}

static int provider_cipher(void *ctx, int encrypt, unsigned char *key, int key_n, unsigned char *iv,
                           unsigned char *in, int in_n, unsigned char *out)
{
    (void)ctx;
    psa_cipher_operation_t op = PSA_CIPHER_OPERATION_INIT;
    psa_key_id_t id = 0;
    const size_t size = (size_t)in_n;
    size_t n = 0;
    size_t tail = 0;

    crypto_lock();
    psa_status_t status = key_import(PSA_KEY_TYPE_AES,
                                     encrypt ? PSA_KEY_USAGE_ENCRYPT : PSA_KEY_USAGE_DECRYPT,
                                     PSA_ALG_CBC_NO_PADDING, key, (size_t)key_n, &id);
    if (status == PSA_SUCCESS)
        status = encrypt ? psa_cipher_encrypt_setup(&op, id, PSA_ALG_CBC_NO_PADDING)
                         : psa_cipher_decrypt_setup(&op, id, PSA_ALG_CBC_NO_PADDING);
    if (status == PSA_SUCCESS)
        status = psa_cipher_set_iv(&op, iv, AES_BLOCK_SIZE);
    if (status == PSA_SUCCESS)
        status = psa_cipher_update(&op, in, size, out, size, &n);
    if (status == PSA_SUCCESS)
        status = psa_cipher_finish(&op, out + n, size - n, &tail);
    (void)psa_cipher_abort(&op);
    (void)psa_destroy_key(id);
    crypto_unlock();
    return status == PSA_SUCCESS && n + tail == size ? SQLITE_OK : SQLITE_ERROR;
}

static int provider_random(void *ctx, void *out, int n)
{
    (void)ctx;
    return crypto_random(out, (size_t)n) ? SQLITE_ERROR : SQLITE_OK;
}

/* The generator seeds itself from the system; what a caller would add is not needed. */
static int provider_add_random(void *ctx, void *p, int n)
{
    (void)ctx, (void)p, (void)n;
    return SQLITE_OK;
}

static int provider_activate(void *ctx)
{
    (void)ctx;
    return crypto_init(NULL) ? SQLITE_ERROR : SQLITE_OK;
}

static int provider_deactivate(void *ctx)
{
    (void)ctx;
    return SQLITE_OK;
}

static int provider_ctx_init(void **ctx)
{
    return provider_activate(*ctx);
}

static int provider_ctx_free(void **ctx)
{
    (void)ctx;
    return SQLITE_OK;
}

static const char *provider_name(void *ctx)
{
    (void)ctx;
    return "mbedtls";
}

static const char *provider_version(void *ctx)
{
    (void)ctx;
    return "PSA 1.0";
}

static const char *provider_cipher_name(void *ctx)
{
    (void)ctx;
    return "AES-256-CBC";
}

static int provider_key_size(void *ctx)
{
    (void)ctx;
    return AES_KEY_SIZE;
}

static int provider_block_size(void *ctx)
{
    (void)ctx;
    return AES_BLOCK_SIZE;
}

static int provider_hmac_size(void *ctx, int algorithm)
{
    (void)ctx;
    const struct digest *g = digest_of(algorithm);
    return g ? g->size : 0;
}

static int provider_fips(void *ctx)
{
    (void)ctx;
    return 0;
}

int sqlcipher_mbedtls_setup(sqlcipher_provider *p)
{
    *p = (sqlcipher_provider){
        .activate = provider_activate,
        .deactivate = provider_deactivate,
        .get_provider_name = provider_name,
        .add_random = provider_add_random,
        .random = provider_random,
        .hmac = provider_hmac,
        .kdf = provider_kdf,
        .cipher = provider_cipher,
        .get_cipher = provider_cipher_name,
        .get_key_sz = provider_key_size,
        .get_iv_sz = provider_block_size,
        .get_block_sz = provider_block_size,
        .get_hmac_sz = provider_hmac_size,
        .ctx_init = provider_ctx_init,
        .ctx_free = provider_ctx_free,
        .fips_status = provider_fips,
        .get_provider_version = provider_version,
    };
    return SQLITE_OK;
}
