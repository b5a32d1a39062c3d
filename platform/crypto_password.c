/* What people sign in with: PBKDF2-HMAC-SHA-512 (RFC 8018) for passwords, and the six digits of RFC 6238.
 *
 * Always true: the two hash states that every round of HMAC begins with are made once and copied, so that a
 * round costs two blocks of SHA-512 and no key in PSA's table; the lock is given back every LOCK_ROUNDS, so
 * that one person who signs in does not hold up frames.
 */
#include "platform/crypto_internal.h"

#include <psa/crypto.h>

#define BLOCK 128
#define DIGEST 64
#define LOCK_ROUNDS 256

struct hmac_states {
    psa_hash_operation_t inner, outer;
};

static psa_status_t state_make(psa_hash_operation_t *h, const unsigned char key[static BLOCK],
                               unsigned char mask)
{
    unsigned char pad[BLOCK];
    for (size_t i = 0; i < BLOCK; i++)
        pad[i] = key[i] ^ mask;
    psa_status_t status = psa_hash_setup(h, PSA_ALG_SHA_512);
    if (status == PSA_SUCCESS)
        status = psa_hash_update(h, pad, sizeof pad);
    crypto_wipe(pad, sizeof pad);
    return status;
}

/* One SHA-512 that goes on from `from`. */
static psa_status_t hash_on(const psa_hash_operation_t *from, struct str text,
                            unsigned char out[static DIGEST])
{
    psa_hash_operation_t h = PSA_HASH_OPERATION_INIT;
    size_t n = 0;
    psa_status_t status = psa_hash_clone(from, &h);
    if (status == PSA_SUCCESS)
        status = psa_hash_update(&h, (const uint8_t *)text.p, text.n);
    if (status == PSA_SUCCESS)
        status = psa_hash_finish(&h, out, DIGEST, &n);
    if (status != PSA_SUCCESS)
        (void)psa_hash_abort(&h);
    return status;
}

static psa_status_t hmac_on(const struct hmac_states *s, struct str text, unsigned char out[static DIGEST])
{
    unsigned char inner[DIGEST];
    psa_status_t status = hash_on(&s->inner, text, inner);
    if (status == PSA_SUCCESS)
        status = hash_on(&s->outer, (struct str){(const char *)inner, DIGEST}, out);
    return status;
}

static psa_status_t states_begin(struct hmac_states *s, struct str password)
{
    unsigned char key[BLOCK] = {0};
    size_t n = 0;
    psa_status_t status = PSA_SUCCESS;
    if (password.n > BLOCK)
        status = psa_hash_compute(PSA_ALG_SHA_512, (const uint8_t *)password.p, password.n, key, DIGEST, &n);
    else if (password.n)
        memcpy(key, password.p, password.n);
    if (status == PSA_SUCCESS)
        status = state_make(&s->inner, key, 0x36);
    if (status == PSA_SUCCESS)
        status = state_make(&s->outer, key, 0x5c);
    crypto_wipe(key, sizeof key);
    return status;
}

static psa_status_t rounds_run(const struct hmac_states *s, struct str salt, uint32_t rounds,
                               unsigned char out[static DIGEST])
{
    unsigned char first[PASSWORD_SALT_MAX + 4] = {0}, u[DIGEST];
    memcpy(first, salt.p, salt.n);
    first[salt.n + 3] = 1;
    psa_status_t status = hmac_on(s, (struct str){(const char *)first, salt.n + 4}, u);
    memcpy(out, u, DIGEST);
    for (uint32_t i = 1; i < rounds && status == PSA_SUCCESS; i++) {
        if (i % LOCK_ROUNDS == 0) {
            crypto_unlock();
            crypto_lock();
        }
        status = hmac_on(s, (struct str){(const char *)u, DIGEST}, u);
        for (size_t k = 0; k < DIGEST; k++)
            out[k] ^= u[k];
    }
    crypto_wipe(u, sizeof u);
    return status;
}

enum err password_stretch(struct str password, struct str salt, uint32_t rounds,
                          unsigned char out[static PASSWORD_HASH_SIZE])
{
    CHECK(rounds > 0 && salt.n <= PASSWORD_SALT_MAX && PASSWORD_HASH_SIZE == DIGEST);
    struct hmac_states s = {PSA_HASH_OPERATION_INIT, PSA_HASH_OPERATION_INIT};
    crypto_lock();
    psa_status_t status = states_begin(&s, password);
    if (status == PSA_SUCCESS)
        status = rounds_run(&s, salt, rounds, out);
    (void)psa_hash_abort(&s.inner);
    (void)psa_hash_abort(&s.outer);
    crypto_unlock();
    return status == PSA_SUCCESS ? ERR_OK : ERR_IO;
}

static enum err hmac_sha1(struct str key, const unsigned char *text, size_t n, unsigned char out[static 20])
{
    unsigned char block[64] = {0};
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id = 0;
    size_t got = 0;
    if (key.n > sizeof block)
        return ERR_LIMIT;
    memcpy(block, key.p, key.n);
    psa_set_key_type(&attributes, PSA_KEY_TYPE_HMAC);
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_MESSAGE);
    psa_set_key_algorithm(&attributes, PSA_ALG_HMAC(PSA_ALG_SHA_1));
    crypto_lock();
    psa_status_t status = psa_import_key(&attributes, block, sizeof block, &id);
    if (status == PSA_SUCCESS)
        status = psa_mac_compute(id, PSA_ALG_HMAC(PSA_ALG_SHA_1), text, n, out, 20, &got);
    (void)psa_destroy_key(id);
    crypto_unlock();
    crypto_wipe(block, sizeof block);
    return status == PSA_SUCCESS && got == 20 ? ERR_OK : ERR_IO;
}

enum err totp_code(struct str key, uint64_t step, uint32_t digits, uint32_t *code_out)
{
    static const uint32_t power[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    unsigned char text[8], mac[20];
    CHECK(digits >= 6 && digits <= 8);
    for (int i = 0; i < 8; i++)
        text[i] = (unsigned char)(step >> (56 - 8 * i));
    enum err rc = hmac_sha1(key, text, sizeof text, mac);
    if (rc)
        return rc;
    const unsigned char *at = mac + (mac[19] & 15);
    uint32_t v = (uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    *code_out = v % power[digits];
    return ERR_OK;
}
