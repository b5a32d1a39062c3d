/* Cryptography: eight verbs over mbedTLS's PSA interface, nothing else in the program sees a cipher.
 *
 * HPKE base mode (RFC 9180: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305; AES-128-GCM as the
 * second suite), deterministic ECDSA P-256 with SHA-256 (RFC 6979) as raw r||s, SHA-256, HMAC-SHA256,
 * HKDF-SHA256. Works the same on mbedTLS 2.28 and 3.6 (uses nothing that either lacks). Secrets are wiped
 * before return. One lock inside: PSA of 2.28 is not thread-safe.
 */
#ifndef DOORSTEP_CRYPTO_H
#define DOORSTEP_CRYPTO_H

#include "platform/base/arena.h"
#include "platform/base/str.h"

#define SHA256_SIZE 32
#define X25519_SIZE 32
#define P256_SECRET_SIZE 32
#define P256_PUBLIC_SIZE 65 /* 04 || x || y */
#define SIGNATURE_SIZE 64   /* r || s */
#define AEAD_TAG_SIZE 16
#define AEAD_NONCE_SIZE 12

enum hpke_aead { HPKE_AES128_GCM = 1, HPKE_CHACHA20_POLY1305 = 3 };

struct key_pair_x25519 {
    unsigned char secret[X25519_SIZE];
    unsigned char public[X25519_SIZE];
};
struct key_pair_p256 {
    unsigned char secret[P256_SECRET_SIZE];
    unsigned char public[P256_PUBLIC_SIZE];
};

/* Call once before anything else; later calls do nothing. */
enum err crypto_init(struct diag *d) MUST_USE;
/* Overwrites memory in a way the compiler keeps. */
void crypto_wipe(void *p, size_t n);
bool crypto_equal(const void *a, const void *b, size_t n); /* constant time */
/* From the generator inside PSA (seeded by the system). For keys; everything else takes the seam's random. */
enum err crypto_random(void *out, size_t n) MUST_USE;

enum err sha256(struct str data, unsigned char out[static SHA256_SIZE]) MUST_USE;
/* The same over several pieces, for hashes with a prefix. */
enum err sha256_parts(const struct str *parts, uint32_t count,
                      unsigned char out[static SHA256_SIZE]) MUST_USE;
/* "MD5", "SHA-1", "SHA-256", "SHA-384", "SHA-512"; ERR_NOT_FOUND for any other name. crypto_init comes first.
 */
#define DIGEST_SIZE_MAX 64
enum err digest_named(struct str algorithm, struct str data, unsigned char out[static DIGEST_SIZE_MAX],
                      size_t *n_out) MUST_USE;
enum err hmac_sha256(struct str key, struct str data, unsigned char out[static SHA256_SIZE]) MUST_USE;
enum err hkdf_sha256(struct str salt, struct str secret, struct str info, unsigned char *out,
                     size_t n) MUST_USE;

/* Key pairs. `seed` makes the key a function of 32 given bytes (simulation, tests); NULL draws from PSA. */
enum err x25519_make(const unsigned char *seed, struct key_pair_x25519 *out) MUST_USE;
enum err p256_make(const unsigned char *seed, struct key_pair_p256 *out) MUST_USE;
/* Fill in `public` from `secret`; ERR_CORRUPT for an impossible secret. */
enum err x25519_public(struct key_pair_x25519 *pair) MUST_USE;
enum err p256_public(struct key_pair_p256 *pair) MUST_USE;

/* HPKE base mode, one message. Ciphertext is plaintext + AEAD_TAG_SIZE bytes. `ephemeral_seed` as above (the
 * RFC's ikmE, through DeriveKeyPair). Open: ERR_CORRUPT when anything does not match. */
enum err hpke_seal(enum hpke_aead aead, const unsigned char recipient[static X25519_SIZE], struct str info,
                   struct str aad, struct str plain, const unsigned char *ephemeral_seed,
                   unsigned char enc_out[static X25519_SIZE], unsigned char *cipher_out) MUST_USE;
enum err hpke_open(enum hpke_aead aead, const struct key_pair_x25519 *recipient,
                   const unsigned char enc[static X25519_SIZE], struct str info, struct str aad,
                   struct str cipher, unsigned char *plain_out) MUST_USE;

/* Deterministic ECDSA over SHA-256 of the message. Verify: ERR_CORRUPT when it does not match. */
enum err p256_sign(const struct key_pair_p256 *pair, struct str message,
                   unsigned char out[static SIGNATURE_SIZE]) MUST_USE;
enum err p256_verify(const unsigned char public[static P256_PUBLIC_SIZE], struct str message,
                     const unsigned char signature[static SIGNATURE_SIZE]) MUST_USE;

/* Passwords: PBKDF2-HMAC-SHA-512. The salt has at most PASSWORD_SALT_MAX bytes; rounds are stored beside the
 * result, so that they can grow. */
#define PASSWORD_HASH_SIZE 64
#define PASSWORD_SALT_MAX 64
enum err password_stretch(struct str password, struct str salt, uint32_t rounds,
                          unsigned char out[static PASSWORD_HASH_SIZE]) MUST_USE;
/* RFC 6238 over HMAC-SHA-1, the kind every authenticator knows: `step` is the time in units of 30 s. The key
 * has at most 64 bytes, the code 6 to 8 digits. */
enum err totp_code(struct str key, uint64_t step, uint32_t digits, uint32_t *code_out) MUST_USE;

#endif
