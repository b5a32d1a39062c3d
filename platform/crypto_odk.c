/* Three calls over PSA. The key is handed over as PKCS#1 because that is what PSA promises to read; that
 * mbedTLS 2.28 would also take the X.509 wrapping is not relied on. PSA uses the OAEP hash for the mask too,
 * which is what ODK means by "OAEPWithSHA256AndMGF1Padding".
 */
#include "platform/crypto_odk.h"

#include "platform/crypto_internal.h"

#include <psa/crypto.h>

#define AES256_KEY_BITS 256
#define CFB_IV_SIZE 16

static enum err cause(psa_status_t status)
{
    switch (status) {
    case PSA_SUCCESS: return ERR_OK;
    case PSA_ERROR_BUFFER_TOO_SMALL: return ERR_LIMIT;
    case PSA_ERROR_INSUFFICIENT_MEMORY: return ERR_NOMEM;
    case PSA_ERROR_BAD_STATE: return ERR_STATE;
    case PSA_ERROR_INVALID_ARGUMENT:
    case PSA_ERROR_NOT_SUPPORTED:
    case PSA_ERROR_DATA_INVALID: return ERR_CORRUPT;
    default: return ERR_IO;
    }
}

enum err odk_rsa_oaep_sha256(struct str key, struct str plain, unsigned char *out, size_t room, size_t *n_out)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_algorithm_t algorithm = PSA_ALG_RSA_OAEP(PSA_ALG_SHA_256);
    psa_key_id_t id = 0;
    size_t n = 0;
    psa_set_key_type(&attributes, PSA_KEY_TYPE_RSA_PUBLIC_KEY);
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_ENCRYPT);
    psa_set_key_algorithm(&attributes, algorithm);
    crypto_lock();
    psa_status_t status = psa_import_key(&attributes, (const uint8_t *)key.p, key.n, &id);
    if (status == PSA_SUCCESS)
        status = psa_asymmetric_encrypt(id, algorithm, (const uint8_t *)plain.p, plain.n, NULL, 0, out, room,
                                        &n);
    psa_destroy_key(id);
    crypto_unlock();
    if (status == PSA_SUCCESS)
        *n_out = n;
    return cause(status);
}

enum err odk_aes256_cfb(const unsigned char *key, const unsigned char *iv, struct str plain,
                        unsigned char *out)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_cipher_operation_t operation = PSA_CIPHER_OPERATION_INIT;
    psa_key_id_t id = 0;
    size_t n = 0, last = 0;
    psa_set_key_type(&attributes, PSA_KEY_TYPE_AES);
    psa_set_key_bits(&attributes, AES256_KEY_BITS);
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_ENCRYPT);
    psa_set_key_algorithm(&attributes, PSA_ALG_CFB);
    crypto_lock();
    psa_status_t status = psa_import_key(&attributes, key, AES256_KEY_BITS / 8, &id);
    if (status == PSA_SUCCESS)
        status = psa_cipher_encrypt_setup(&operation, id, PSA_ALG_CFB);
    if (status == PSA_SUCCESS)
        status = psa_cipher_set_iv(&operation, iv, CFB_IV_SIZE);
    if (status == PSA_SUCCESS)
        status = psa_cipher_update(&operation, (const uint8_t *)plain.p, plain.n, out, plain.n, &n);
    if (status == PSA_SUCCESS)
        status = psa_cipher_finish(&operation, out + n, plain.n - n, &last);
    psa_cipher_abort(&operation);
    psa_destroy_key(id);
    crypto_unlock();
    if (status == PSA_SUCCESS && n + last != plain.n)
        return ERR_IO;
    return cause(status);
}

enum err odk_md5(struct str data, unsigned char *out)
{
    unsigned char sum[DIGEST_SIZE_MAX];
    size_t n = 0;
    enum err rc = digest_named(STR("MD5"), data, sum, &n);
    if (!rc)
        memcpy(out, sum, n);
    return rc;
}
