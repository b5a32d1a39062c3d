/* The ciphers of ODK's encrypted submissions, which our own formats do not use: RSA-OAEP and AES-256 in CFB.
 * They fit struct encrypt_crypto of the form engine, beside crypto_random. crypto_init comes first.
 */
#ifndef DOORSTEP_CRYPTO_ODK_H
#define DOORSTEP_CRYPTO_ODK_H

#include "platform/crypto.h"

/* RSAES-OAEP with SHA-256 for label and mask. `key` is an RSAPublicKey (PKCS#1, DER). ERR_CORRUPT when it is
 * none, or the text is too long for it; ERR_LIMIT when `room` is smaller than the modulus. */
enum err odk_rsa_oaep_sha256(struct str key, struct str plain, unsigned char *out, size_t room,
                             size_t *n_out) MUST_USE;
/* CFB128 over the whole text; `out` has plain.n bytes and may not overlap it. */
enum err odk_aes256_cfb(const unsigned char *key /* 32 */, const unsigned char *iv /* 16 */, struct str plain,
                        unsigned char *out) MUST_USE;
enum err odk_md5(struct str data, unsigned char *out /* 16 */) MUST_USE;

#endif
