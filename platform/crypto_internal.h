/* The parts that crypto.c and crypto_hpke.c share, and that the RFC's vectors look at one by one. Nobody else
 * includes this, except the SQLCipher provider for the lock. Every function here takes the lock itself, and
 * only around PSA calls, so that they can be composed freely.
 */
#ifndef DOORSTEP_CRYPTO_INTERNAL_H
#define DOORSTEP_CRYPTO_INTERNAL_H

#include "platform/crypto.h"

#define AEAD_KEY_SIZE_MAX 32
#define HMAC_PARTS_MAX 8

/* PSA keeps its keys in one table for the process; mbedTLS 2.28 does not guard it. */
void crypto_lock(void);
void crypto_unlock(void);

enum err hmac_sha256_parts(struct str key, const struct str *parts, uint32_t count,
                           unsigned char out[static SHA256_SIZE]) MUST_USE;
/* RFC 5869. n is at most 255 * 32 bytes: more is ERR_LIMIT. Info may come in pieces. */
enum err hkdf_expand(const unsigned char prk[static SHA256_SIZE], const struct str *info, uint32_t info_count,
                     unsigned char *out, size_t n) MUST_USE;

size_t aead_key_size(enum hpke_aead aead);
/* cipher_out: plain.n + AEAD_TAG_SIZE bytes. plain_out: cipher.n - AEAD_TAG_SIZE bytes. */
enum err aead_seal(enum hpke_aead aead, const unsigned char *key,
                   const unsigned char nonce[static AEAD_NONCE_SIZE], struct str aad, struct str plain,
                   unsigned char *cipher_out) MUST_USE;
enum err aead_open(enum hpke_aead aead, const unsigned char *key,
                   const unsigned char nonce[static AEAD_NONCE_SIZE], struct str aad, struct str cipher,
                   unsigned char *plain_out) MUST_USE;

/* ERR_CORRUPT when the result is all zero: the other side sent a point of small order. */
enum err x25519_agree(const unsigned char secret[static X25519_SIZE],
                      const unsigned char public[static X25519_SIZE],
                      unsigned char out[static X25519_SIZE]) MUST_USE;

/* HPKE's own steps, as RFC 9180 sections 4 and 5 name them. */
struct hpke_keys {
    unsigned char key[AEAD_KEY_SIZE_MAX]; /* the first aead_key_size() bytes count */
    unsigned char base_nonce[AEAD_NONCE_SIZE];
};

enum err hpke_encap(const unsigned char recipient[static X25519_SIZE], const unsigned char *ephemeral_seed,
                    unsigned char enc_out[static X25519_SIZE],
                    unsigned char shared_out[static SHA256_SIZE]) MUST_USE;
enum err hpke_decap(const struct key_pair_x25519 *recipient, const unsigned char enc[static X25519_SIZE],
                    unsigned char shared_out[static SHA256_SIZE]) MUST_USE;
enum err hpke_key_schedule(enum hpke_aead aead, const unsigned char shared[static SHA256_SIZE],
                           struct str info, struct hpke_keys *keys_out) MUST_USE;

#endif
