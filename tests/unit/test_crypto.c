/* Cryptography against published answers. A handful of them stand here, one per verb, so that a clone alone
 * proves its core; the full sets (RFC 9180, Wycheproof) are read from ${DOORSTEP_SHARED}/vectors, and each
 * test says how many it ran and what it left out, and why.
 */
#include "tests/support/unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/base/json.h"
#include "platform/crypto_internal.h"

/* --- bytes and vectors --- */

#define BYTES_MAX 70000

struct bytes {
    unsigned char at[BYTES_MAX];
    size_t n;
};

static struct str bytes_str(const struct bytes *b)
{
    return (struct str){(const char *)b->at, b->n};
}

static void bytes_set(struct bytes *b, struct str hex)
{
    assert_true(hex.n / 2 <= BYTES_MAX);
    b->n = hex.n / 2;
    assert_true(hex_read(hex, b->at, b->n));
}

static void bytes_z(struct bytes *b, const char *hex)
{
    bytes_set(b, str_of(hex));
}

/* Several texts are in hand at once; they are large, and so not on the stack. */
static struct bytes a_bytes, b_bytes, c_bytes, d_bytes, e_bytes, f_bytes;

static unsigned char work[BYTES_MAX + AEAD_TAG_SIZE];

static void assert_hex(const void *got, const char *hex)
{
    unsigned char want[512];
    size_t n = strlen(hex) / 2;
    assert_true(n <= sizeof want && hex_read(str_of(hex), want, n));
    assert_memory_equal(got, want, n);
}

struct vectors {
    struct arena arena;
    struct buf text;
    const struct json *root;
};

/* False, with a message, when the published vectors are not here. */
static bool vectors_open(struct vectors *v, const char *name)
{
    char path[4096];
    const char *shared = getenv("DOORSTEP_SHARED");
    if (shared)
        (void)snprintf(path, sizeof path, "%s/vectors/%s", shared, name);
    else
        (void)snprintf(path, sizeof path, "%s/../shared/vectors/%s", DS_SOURCE_DIR, name);
    FILE *f = fopen(path, "rb");
    if (!f) {
        print_message("left out: %s is not there; set DOORSTEP_SHARED to the folder of published vectors\n",
                      name);
        return false;
    }
    char block[4096];
    size_t n;
    buf_init(&v->text, 8u << 20);
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        buf_put(&v->text, block, n);
    (void)fclose(f);
    arena_init(&v->arena, 64u << 20);
    struct diag d = {0};
    if (json_read(&v->arena, buf_str(&v->text), &v->root, &d))
        fail_msg("%s: %s", name, d.text);
    return true;
}

static void vectors_close(struct vectors *v)
{
    arena_free(&v->arena);
    buf_free(&v->text);
}

static void field(const struct json *object, const char *name, struct bytes *out)
{
    bytes_set(out, json_text(object, name));
}

static int64_t number(const struct json *object, const char *name)
{
    int64_t v = -1;
    assert_true(json_i64(object, name, &v));
    return v;
}

static bool result_is(const struct json *test, const char *result)
{
    return str_eq_z(json_text(test, "result"), result);
}

/* --- one published answer per verb --- */

static void hashes_give_the_published_digest(void **state)
{
    (void)state;
    unsigned char digest[SHA256_SIZE];
    assert_int_equal(sha256(STR("abc"), digest), ERR_OK);
    assert_hex(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const struct str parts[] = {STR("a"), STR_NONE, STR("bc")};
    assert_int_equal(sha256_parts(parts, 3, digest), ERR_OK);
    assert_hex(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(sha256(STR_NONE, digest), ERR_OK);
    assert_hex(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void hmac_and_hkdf_give_the_published_bytes(void **state)
{
    (void)state;
    unsigned char mac[SHA256_SIZE];
    unsigned char okm[42];
    assert_int_equal(hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), mac), ERR_OK);
    assert_hex(mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");

    bytes_z(&a_bytes, "000102030405060708090a0b0c");
    bytes_z(&b_bytes, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    bytes_z(&c_bytes, "f0f1f2f3f4f5f6f7f8f9");
    assert_int_equal(hkdf_sha256(bytes_str(&a_bytes), bytes_str(&b_bytes), bytes_str(&c_bytes), okm,
                                 sizeof okm),
                     ERR_OK);
    assert_hex(okm, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
}

static void a_signature_is_the_one_of_rfc_6979(void **state)
{
    (void)state;
    struct key_pair_p256 pair;
    unsigned char signature[SIGNATURE_SIZE];
    bytes_z(&a_bytes, "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    memcpy(pair.secret, a_bytes.at, sizeof pair.secret);
    assert_int_equal(p256_public(&pair), ERR_OK);
    assert_hex(pair.public, "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
                            "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
    assert_int_equal(p256_sign(&pair, STR("sample"), signature), ERR_OK);
    assert_hex(signature, "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
                          "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
    assert_int_equal(p256_verify(pair.public, STR("sample"), signature), ERR_OK);
    assert_int_equal(p256_verify(pair.public, STR("Sample"), signature), ERR_CORRUPT);
    for (size_t bit = 0; bit < SIGNATURE_SIZE * 8; bit += 7) {
        signature[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        assert_int_equal(p256_verify(pair.public, STR("sample"), signature), ERR_CORRUPT);
        signature[bit / 8] ^= (unsigned char)(1u << (bit % 8));
    }
}

static void hpke_gives_the_bytes_of_rfc_9180_a_2_1(void **state)
{
    (void)state;
    struct key_pair_x25519 recipient;
    unsigned char enc[X25519_SIZE];
    unsigned char cipher[64];
    unsigned char plain[64];
    bytes_z(&a_bytes, "1ac01f181fdf9f352797655161c58b75c656a6cc2716dcb66372da835542e1df");
    bytes_z(&b_bytes, "909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b");
    assert_int_equal(x25519_make(a_bytes.at, &recipient), ERR_OK);
    assert_hex(recipient.secret, "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
    assert_hex(recipient.public, "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a");

    const struct str info = STR("Ode on a Grecian Urn");
    const struct str text = STR("Beauty is truth, truth beauty");
    assert_int_equal(hpke_seal(HPKE_CHACHA20_POLY1305, recipient.public, info, STR("Count-0"), text,
                               b_bytes.at, enc, cipher),
                     ERR_OK);
    assert_hex(enc, "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
    assert_hex(cipher,
               "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28");
    const struct str sealed = {(const char *)cipher, text.n + AEAD_TAG_SIZE};
    assert_int_equal(hpke_open(HPKE_CHACHA20_POLY1305, &recipient, enc, info, STR("Count-0"), sealed, plain),
                     ERR_OK);
    assert_memory_equal(plain, text.p, text.n);
}

/* --- what our own callers rely on --- */

static const enum hpke_aead aeads[] = {HPKE_AES128_GCM, HPKE_CHACHA20_POLY1305};

static void whatever_bit_of_a_sealed_message_is_flipped_it_does_not_open(void **state)
{
    (void)state;
    const struct str info = STR("frame");
    const struct str aad = STR("device 7");
    const struct str text = STR("income of the household: 12400");
    unsigned char cipher[64];
    unsigned char plain[64];
    for (size_t i = 0; i < 2; i++) {
        struct key_pair_x25519 county;
        struct key_pair_x25519 other;
        unsigned char enc[X25519_SIZE];
        const struct str sealed = {(const char *)cipher, text.n + AEAD_TAG_SIZE};
        assert_int_equal(x25519_make(NULL, &county), ERR_OK);
        assert_int_equal(x25519_make(NULL, &other), ERR_OK);
        assert_int_equal(hpke_seal(aeads[i], county.public, info, aad, text, NULL, enc, cipher), ERR_OK);

        for (size_t bit = 0; bit < sealed.n * 8; bit++) {
            cipher[bit / 8] ^= (unsigned char)(1u << (bit % 8));
            assert_int_equal(hpke_open(aeads[i], &county, enc, info, aad, sealed, plain), ERR_CORRUPT);
            cipher[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        }
        /* The top bit of an X25519 point is ignored by the agreement; it still goes into the shared secret.
         */
        for (size_t bit = 0; bit < X25519_SIZE * 8; bit++) {
            enc[bit / 8] ^= (unsigned char)(1u << (bit % 8));
            assert_int_equal(hpke_open(aeads[i], &county, enc, info, aad, sealed, plain), ERR_CORRUPT);
            enc[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        }
        assert_int_equal(hpke_open(aeads[i], &other, enc, info, aad, sealed, plain), ERR_CORRUPT);
        assert_int_equal(hpke_open(aeads[i], &county, enc, STR("frama"), aad, sealed, plain), ERR_CORRUPT);
        assert_int_equal(hpke_open(aeads[i], &county, enc, info, STR("device 8"), sealed, plain),
                         ERR_CORRUPT);
        assert_int_equal(hpke_open(aeads[1 - i], &county, enc, info, aad, sealed, plain), ERR_CORRUPT);
        assert_int_equal(hpke_open((enum hpke_aead)2, &county, enc, info, aad, sealed, plain), ERR_CORRUPT);
        for (size_t n = 0; n < sealed.n; n++)
            assert_int_equal(hpke_open(aeads[i], &county, enc, info, aad, str_sub(sealed, 0, n), plain),
                             ERR_CORRUPT);
        assert_int_equal(hpke_open(aeads[i], &county, enc, info, aad, sealed, plain), ERR_OK);
        assert_memory_equal(plain, text.p, text.n);
    }
}

static void an_empty_message_can_be_sealed(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct key_pair_x25519 county;
        unsigned char enc[X25519_SIZE];
        unsigned char cipher[AEAD_TAG_SIZE];
        assert_int_equal(x25519_make(NULL, &county), ERR_OK);
        assert_int_equal(hpke_seal(aeads[i], county.public, STR_NONE, STR_NONE, STR_NONE, NULL, enc, cipher),
                         ERR_OK);
        const struct str sealed = {(const char *)cipher, sizeof cipher};
        assert_int_equal(hpke_open(aeads[i], &county, enc, STR_NONE, STR_NONE, sealed, NULL), ERR_OK);
    }
}

static void sealing_twice_gives_different_bytes_and_a_seed_gives_the_same(void **state)
{
    (void)state;
    const unsigned char seed[SHA256_SIZE] = {7};
    struct key_pair_x25519 county;
    unsigned char enc[3][X25519_SIZE];
    unsigned char cipher[3][20];
    assert_int_equal(x25519_make(seed, &county), ERR_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(hpke_seal(HPKE_CHACHA20_POLY1305, county.public, STR_NONE, STR_NONE, STR("1234"),
                                   i ? seed : NULL, enc[i], cipher[i]),
                         ERR_OK);
    assert_memory_not_equal(enc[0], enc[1], X25519_SIZE);
    assert_memory_not_equal(cipher[0], cipher[1], sizeof cipher[0]);
    assert_memory_equal(enc[1], enc[2], X25519_SIZE);
    assert_memory_equal(cipher[1], cipher[2], sizeof cipher[1]);
}

static void keys_are_a_function_of_their_seed_and_otherwise_fresh(void **state)
{
    (void)state;
    const unsigned char seed[SHA256_SIZE] = {1, 2, 3};
    struct key_pair_p256 p[4];
    struct key_pair_x25519 x[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(p256_make(i < 2 ? seed : NULL, &p[i]), ERR_OK);
        assert_int_equal(x25519_make(i < 2 ? seed : NULL, &x[i]), ERR_OK);
    }
    assert_memory_equal(&p[0], &p[1], sizeof p[0]);
    assert_memory_equal(&x[0], &x[1], sizeof x[0]);
    assert_memory_not_equal(&p[2], &p[3], sizeof p[0]);
    assert_memory_not_equal(&x[2], &x[3], sizeof x[0]);
}

static void an_impossible_key_is_refused(void **state)
{
    (void)state;
    struct key_pair_p256 pair = {0};
    unsigned char signature[SIGNATURE_SIZE] = {0};
    assert_int_equal(p256_public(&pair), ERR_CORRUPT); /* zero */
    bytes_z(&a_bytes, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    memcpy(pair.secret, a_bytes.at, sizeof pair.secret);
    assert_int_equal(p256_public(&pair), ERR_CORRUPT); /* the order itself */
    assert_int_equal(p256_sign(&pair, STR("x"), signature), ERR_CORRUPT);
    pair.secret[31]--;
    assert_int_equal(p256_public(&pair), ERR_OK);
    assert_int_equal(p256_sign(&pair, STR("x"), signature), ERR_OK);
    pair.public[64] ^= 1; /* not on the curve */
    assert_int_equal(p256_verify(pair.public, STR("x"), signature), ERR_CORRUPT);

    /* A recipient of small order would make the key known to everybody. */
    static const unsigned char zero[X25519_SIZE];
    unsigned char enc[X25519_SIZE];
    unsigned char cipher[AEAD_TAG_SIZE];
    struct key_pair_x25519 county;
    assert_int_equal(hpke_seal(HPKE_CHACHA20_POLY1305, zero, STR_NONE, STR_NONE, STR_NONE, NULL, enc, cipher),
                     ERR_CORRUPT);
    assert_int_equal(x25519_make(NULL, &county), ERR_OK);
    const struct str sealed = {(const char *)cipher, sizeof cipher};
    memset(cipher, 0, sizeof cipher);
    assert_int_equal(hpke_open(HPKE_CHACHA20_POLY1305, &county, zero, STR_NONE, STR_NONE, sealed, NULL),
                     ERR_CORRUPT);
}

/* The centre opens frames on several threads. cmocka's assertions belong to the main one; a count comes back.
 */
static void *seal_and_open(void *arg)
{
    const unsigned char *seed = arg;
    unsigned char enc[X25519_SIZE];
    unsigned char cipher[64];
    unsigned char plain[64];
    unsigned char signature[SIGNATURE_SIZE];
    struct key_pair_x25519 county;
    struct key_pair_p256 device;
    const struct str text = STR("members of the household: 5");
    const struct str sealed = {(const char *)cipher, text.n + AEAD_TAG_SIZE};
    uintptr_t failed = 0;
    for (int i = 0; i < 25; i++) {
        if (x25519_make(seed, &county) || p256_make(seed, &device) ||
            hpke_seal(aeads[i % 2], county.public, STR_NONE, STR_NONE, text, NULL, enc, cipher) ||
            hpke_open(aeads[i % 2], &county, enc, STR_NONE, STR_NONE, sealed, plain) ||
            memcmp(plain, text.p, text.n) != 0 || p256_sign(&device, sealed, signature) ||
            p256_verify(device.public, sealed, signature))
            failed++;
    }
    return (void *)failed;
}

static void several_threads_can_seal_and_open_at_once(void **state)
{
    (void)state;
    unsigned char seeds[6][SHA256_SIZE] = {{1}, {2}, {3}, {4}, {5}, {6}};
    pthread_t threads[6];
    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, seal_and_open, seeds[i]), 0);
    for (int i = 0; i < 6; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

static void small_helpers_do_what_they_say(void **state)
{
    (void)state;
    unsigned char x[40];
    unsigned char y[40] = {0};
    assert_int_equal(crypto_random(x, sizeof x), ERR_OK);
    assert_memory_not_equal(x, y, sizeof x);
    memcpy(y, x, sizeof x);
    assert_true(crypto_equal(x, y, sizeof x));
    y[39] ^= 0x80;
    assert_false(crypto_equal(x, y, sizeof x));
    assert_true(crypto_equal(x, y, 39));
    crypto_wipe(x, sizeof x);
    memset(y, 0, sizeof y);
    assert_memory_equal(x, y, sizeof x);
    assert_int_equal(crypto_init(NULL), ERR_OK);
    assert_int_equal(hkdf_sha256(STR_NONE, STR("s"), STR_NONE, work, 255 * 32), ERR_OK);
    assert_int_equal(hkdf_sha256(STR_NONE, STR("s"), STR_NONE, work, 255 * 32 + 1), ERR_LIMIT);
}

/* --- RFC 9180 --- */

enum { MODE_BASE = 0, MODE_PSK = 1, AEAD_EXPORT_ONLY = 0xffff, KEM_X25519 = 0x20 };

static void hpke_derived_keys(const struct json *v)
{
    struct key_pair_x25519 x;
    struct key_pair_p256 p;
    static const char *const sides[2][3] = {{"ikmE", "skEm", "pkEm"}, {"ikmR", "skRm", "pkRm"}};
    for (int i = 0; i < 2; i++) {
        field(v, sides[i][0], &a_bytes);
        field(v, sides[i][1], &b_bytes);
        field(v, sides[i][2], &c_bytes);
        assert_int_equal(a_bytes.n, SHA256_SIZE);
        if (number(v, "kem_id") == KEM_X25519) {
            assert_int_equal(x25519_make(a_bytes.at, &x), ERR_OK);
            assert_memory_equal(x.secret, b_bytes.at, X25519_SIZE);
            assert_memory_equal(x.public, c_bytes.at, X25519_SIZE);
        } else {
            assert_int_equal(p256_make(a_bytes.at, &p), ERR_OK);
            assert_memory_equal(p.secret, b_bytes.at, P256_SECRET_SIZE);
            assert_memory_equal(p.public, c_bytes.at, P256_PUBLIC_SIZE);
        }
    }
}

static void hpke_shared_secret(const struct json *v, struct key_pair_x25519 *recipient)
{
    unsigned char enc[X25519_SIZE];
    unsigned char shared[2][SHA256_SIZE];
    field(v, "ikmR", &a_bytes);
    field(v, "ikmE", &b_bytes);
    field(v, "enc", &c_bytes);
    field(v, "shared_secret", &d_bytes);
    assert_int_equal(x25519_make(a_bytes.at, recipient), ERR_OK);
    assert_int_equal(hpke_encap(recipient->public, b_bytes.at, enc, shared[0]), ERR_OK);
    assert_int_equal(hpke_decap(recipient, enc, shared[1]), ERR_OK);
    assert_memory_equal(enc, c_bytes.at, X25519_SIZE);
    assert_memory_equal(shared[0], d_bytes.at, SHA256_SIZE);
    assert_memory_equal(shared[1], d_bytes.at, SHA256_SIZE);
}

/* All encryptions of one vector. Our verbs send one message per encapsulation, the first; the later ones use
 * the same key with the nonces given. */
static unsigned hpke_messages(const struct json *v, const struct key_pair_x25519 *recipient)
{
    const enum hpke_aead aead = (enum hpke_aead)number(v, "aead_id");
    struct hpke_keys keys;
    unsigned char enc[X25519_SIZE];
    unsigned ran = 0;
    field(v, "shared_secret", &a_bytes);
    field(v, "info", &b_bytes);
    assert_int_equal(hpke_key_schedule(aead, a_bytes.at, bytes_str(&b_bytes), &keys), ERR_OK);
    field(v, "key", &c_bytes);
    assert_int_equal(c_bytes.n, aead_key_size(aead));
    assert_memory_equal(keys.key, c_bytes.at, c_bytes.n);
    field(v, "base_nonce", &c_bytes);
    assert_memory_equal(keys.base_nonce, c_bytes.at, AEAD_NONCE_SIZE);

    for (const struct json *e = json_get(v, "encryptions")->child; e; e = e->next, ran++) {
        field(e, "pt", &c_bytes);
        field(e, "aad", &d_bytes);
        field(e, "ct", &e_bytes);
        field(e, "nonce", &f_bytes);
        assert_int_equal(aead_seal(aead, keys.key, f_bytes.at, bytes_str(&d_bytes), bytes_str(&c_bytes),
                                   work),
                         ERR_OK);
        assert_memory_equal(work, e_bytes.at, e_bytes.n);
        assert_int_equal(aead_open(aead, keys.key, f_bytes.at, bytes_str(&d_bytes), bytes_str(&e_bytes),
                                   work),
                         ERR_OK);
        assert_memory_equal(work, c_bytes.at, c_bytes.n);
        if (memcmp(f_bytes.at, keys.base_nonce, AEAD_NONCE_SIZE) != 0)
            continue;
        field(v, "ikmE", &a_bytes);
        assert_int_equal(hpke_seal(aead, recipient->public, bytes_str(&b_bytes), bytes_str(&d_bytes),
                                   bytes_str(&c_bytes), a_bytes.at, enc, work),
                         ERR_OK);
        assert_memory_equal(work, e_bytes.at, e_bytes.n);
        assert_int_equal(hpke_open(aead, recipient, enc, bytes_str(&b_bytes), bytes_str(&d_bytes),
                                   bytes_str(&e_bytes), work),
                         ERR_OK);
        assert_memory_equal(work, c_bytes.at, c_bytes.n);
    }
    return ran;
}

static void hpke_agrees_with_rfc_9180(void **state)
{
    (void)state;
    struct vectors v;
    unsigned total = 0, derived = 0, shared = 0, sealed = 0, messages = 0;
    if (!vectors_open(&v, "hpke-rfc9180-p256-x25519-sha256.json"))
        skip();
    for (const struct json *one = v.root->child; one; one = one->next) {
        struct key_pair_x25519 recipient;
        const int64_t mode = number(one, "mode");
        const int64_t aead = number(one, "aead_id");
        total++;
        hpke_derived_keys(one);
        derived += 2;
        if (number(one, "kem_id") != KEM_X25519 || (mode != MODE_BASE && mode != MODE_PSK))
            continue;
        hpke_shared_secret(one, &recipient);
        shared++;
        if (mode != MODE_BASE || !aead_key_size((enum hpke_aead)aead))
            continue;
        messages += hpke_messages(one, &recipient);
        sealed++;
    }
    vectors_close(&v);
    print_message(
        "RFC 9180: %u vectors: %u key pairs from their seed (X25519 and P-256); %u shared secrets (DHKEM "
        "X25519 without a sender's key); %u sealed and opened (base mode, X25519, both our AEADs), %u "
        "messages.\n"
        "Not applicable to sealing: %u (KEM P-256, modes PSK, Auth and AuthPSK, AES-256-GCM, export only: "
        "suites we do not offer); exported secrets: no verb gives any.\n",
        total, derived, shared, sealed, messages, total - sealed);
    assert_int_equal(total, 32);
    assert_int_equal(derived, 64);
    assert_int_equal(shared, 8);
    assert_int_equal(sealed, 2);
    assert_int_equal(messages, 14);
}

/* --- Wycheproof --- */

static bool aead_case(enum hpke_aead aead, const struct json *t)
{
    const int id = (int)number(t, "tcId");
    field(t, "key", &a_bytes);
    field(t, "iv", &b_bytes);
    field(t, "aad", &c_bytes);
    field(t, "msg", &d_bytes);
    field(t, "ct", &e_bytes);
    field(t, "tag", &f_bytes);
    if (a_bytes.n != aead_key_size(aead) || b_bytes.n != AEAD_NONCE_SIZE || f_bytes.n != AEAD_TAG_SIZE)
        return false;
    memcpy(e_bytes.at + e_bytes.n, f_bytes.at, AEAD_TAG_SIZE);
    e_bytes.n += AEAD_TAG_SIZE;

    enum err rc = aead_open(aead, a_bytes.at, b_bytes.at, bytes_str(&c_bytes), bytes_str(&e_bytes), work);
    if (!result_is(t, "valid")) {
        if (rc != ERR_CORRUPT)
            fail_msg("case %d opens and should not", id);
        return true;
    }
    if (rc || memcmp(work, d_bytes.at, d_bytes.n) != 0)
        fail_msg("case %d does not open", id);
    rc = aead_seal(aead, a_bytes.at, b_bytes.at, bytes_str(&c_bytes), bytes_str(&d_bytes), work);
    if (rc || memcmp(work, e_bytes.at, e_bytes.n) != 0)
        fail_msg("case %d seals differently", id);
    return true;
}

static void aead_agrees(enum hpke_aead aead, const char *file, const char *name, const char *why,
                        unsigned expected)
{
    struct vectors v;
    unsigned ran = 0, other = 0;
    if (!vectors_open(&v, file))
        skip();
    for (const struct json *g = json_get(v.root, "testGroups")->child; g; g = g->next)
        for (const struct json *t = json_get(g, "tests")->child; t; t = t->next)
            *(aead_case(aead, t) ? &ran : &other) += 1;
    vectors_close(&v);
    print_message("Wycheproof %s: %u ran; not applicable: %u (%s)\n", name, ran, other, why);
    assert_int_equal(ran, expected);
}

static void chacha20_poly1305_agrees_with_wycheproof(void **state)
{
    (void)state;
    aead_agrees(HPKE_CHACHA20_POLY1305, "wycheproof_chacha20_poly1305_test.json", "ChaCha20-Poly1305",
                "nonces that are not of 96 bits cannot be passed to us", 316);
}

static void aes_128_gcm_agrees_with_wycheproof(void **state)
{
    (void)state;
    aead_agrees(HPKE_AES128_GCM, "wycheproof_aes_gcm_test.json", "AES-128-GCM",
                "keys of 192 and 256 bits and nonces that are not of 96 bits cannot be passed to us", 67);
}

static void x25519_agrees_with_wycheproof(void **state)
{
    (void)state;
    static const unsigned char zero[X25519_SIZE];
    struct vectors v;
    unsigned ran = 0, refused = 0;
    if (!vectors_open(&v, "wycheproof_x25519_test.json"))
        skip();
    for (const struct json *t = json_get(json_get(v.root, "testGroups")->child, "tests")->child; t;
         t = t->next) {
        unsigned char shared[X25519_SIZE];
        field(t, "public", &a_bytes);
        field(t, "private", &b_bytes);
        field(t, "shared", &c_bytes);
        const bool small = memcmp(c_bytes.at, zero, X25519_SIZE) == 0;
        const enum err rc = x25519_agree(b_bytes.at, a_bytes.at, shared);
        if (rc != (small ? ERR_CORRUPT : ERR_OK))
            fail_msg("case %d: error %d", (int)number(t, "tcId"), rc);
        if (!small && memcmp(shared, c_bytes.at, X25519_SIZE) != 0)
            fail_msg("case %d: another secret", (int)number(t, "tcId"));
        refused += small;
        ran++;
    }
    vectors_close(&v);
    print_message("Wycheproof X25519: %u ran, of which %u have an all-zero secret and are refused\n", ran,
                  refused);
    assert_int_equal(ran, 518);
    assert_int_equal(refused, 31);
}

static void hkdf_agrees_with_wycheproof(void **state)
{
    (void)state;
    struct vectors v;
    unsigned ran = 0;
    if (!vectors_open(&v, "wycheproof_hkdf_sha256_test.json"))
        skip();
    for (const struct json *g = json_get(v.root, "testGroups")->child; g; g = g->next) {
        for (const struct json *t = json_get(g, "tests")->child; t; t = t->next, ran++) {
            field(t, "ikm", &a_bytes);
            field(t, "salt", &b_bytes);
            field(t, "info", &c_bytes);
            field(t, "okm", &d_bytes);
            const size_t n = (size_t)number(t, "size");
            const enum err rc = hkdf_sha256(bytes_str(&b_bytes), bytes_str(&a_bytes), bytes_str(&c_bytes),
                                            work, n);
            if (rc != (result_is(t, "valid") ? ERR_OK : ERR_LIMIT))
                fail_msg("case %d: error %d", (int)number(t, "tcId"), rc);
            if (!rc && memcmp(work, d_bytes.at, n) != 0)
                fail_msg("case %d: other bytes", (int)number(t, "tcId"));
        }
    }
    vectors_close(&v);
    print_message("Wycheproof HKDF-SHA256: %u ran\n", ran);
    assert_int_equal(ran, 86);
}

static void hmac_agrees_with_wycheproof(void **state)
{
    (void)state;
    struct vectors v;
    unsigned ran = 0;
    if (!vectors_open(&v, "wycheproof_hmac_sha256_test.json"))
        skip();
    for (const struct json *g = json_get(v.root, "testGroups")->child; g; g = g->next) {
        for (const struct json *t = json_get(g, "tests")->child; t; t = t->next, ran++) {
            unsigned char mac[SHA256_SIZE];
            field(t, "key", &a_bytes);
            field(t, "msg", &b_bytes);
            field(t, "tag", &c_bytes);
            assert_true(c_bytes.n <= SHA256_SIZE);
            assert_int_equal(hmac_sha256(bytes_str(&a_bytes), bytes_str(&b_bytes), mac), ERR_OK);
            if (crypto_equal(mac, c_bytes.at, c_bytes.n) != result_is(t, "valid"))
                fail_msg("case %d", (int)number(t, "tcId"));
        }
    }
    vectors_close(&v);
    print_message("Wycheproof HMAC-SHA256: %u ran (tags cut to 128 bits compared over those)\n", ran);
    assert_int_equal(ran, 174);
}

static void ecdsa_agrees_with_wycheproof(void **state)
{
    (void)state;
    struct vectors v;
    unsigned ran = 0, other = 0;
    if (!vectors_open(&v, "wycheproof_ecdsa_secp256r1_sha256_p1363_test.json"))
        skip();
    for (const struct json *g = json_get(v.root, "testGroups")->child; g; g = g->next) {
        field(json_get(g, "publicKey"), "uncompressed", &a_bytes);
        assert_int_equal(a_bytes.n, P256_PUBLIC_SIZE);
        for (const struct json *t = json_get(g, "tests")->child; t; t = t->next) {
            field(t, "msg", &b_bytes);
            field(t, "sig", &c_bytes);
            if (c_bytes.n != SIGNATURE_SIZE) {
                other++;
                assert_false(result_is(t, "valid"));
                continue;
            }
            const enum err rc = p256_verify(a_bytes.at, bytes_str(&b_bytes), c_bytes.at);
            if (rc != (result_is(t, "valid") ? ERR_OK : ERR_CORRUPT))
                fail_msg("case %d: error %d", (int)number(t, "tcId"), rc);
            ran++;
        }
    }
    vectors_close(&v);
    print_message(
        "Wycheproof ECDSA P-256: %u ran; not applicable: %u (signatures that are not of 64 bytes cannot be "
        "passed to us; all are invalid)\n",
        ran, other);
    assert_int_equal(ran + other, 262);
}

/* The last one differs from what is printed everywhere: a password longer than a block, and computed with
 * another library. */
static void passwords_are_stretched_as_rfc_8018_says(void **state)
{
    char long_password[150];
    unsigned char salt[16], out[PASSWORD_HASH_SIZE];
    static const struct {
        const char *password, *salt, *hex;
        uint32_t rounds;
    } cases[] = {
        {"password", "salt",
         "867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5d513554e1c8cf252"
         "c02d470a285a0501bad999bfe943c08f050235d7d68b1da55e63f73b60a57fce",
         1},
        {"password", "salt",
         "d197b1b33db0143e018b12f3d1d1479e6cdebdcc97c5c0f87f6902e072f457b5"
         "143f30602641b3d55cd335988cb36b84376060ecd532e039b742a239434af2d5",
         4096},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char want[PASSWORD_HASH_SIZE];
        assert_true(hex_read(str_of(cases[i].hex), want, sizeof want));
        assert_int_equal(password_stretch(str_of(cases[i].password), str_of(cases[i].salt), cases[i].rounds,
                                          out),
                         ERR_OK);
        assert_memory_equal(out, want, sizeof want);
    }
    unsigned char want[PASSWORD_HASH_SIZE];
    memset(long_password, 'p', sizeof long_password);
    memset(salt, 1, sizeof salt);
    assert_true(hex_read(STR("22cd7031f0ed0d38efb9431a64b88adcf9c5670e38a923d094634b2f348c64e2"
                             "0e3b36f19bd3a20b2ac8c9903700aafdaa579b3fb776d1b2479f0081441f0d25"),
                         want, sizeof want));
    assert_int_equal(password_stretch((struct str){long_password, sizeof long_password},
                                      (struct str){(const char *)salt, sizeof salt}, 777, out),
                     ERR_OK);
    assert_memory_equal(out, want, sizeof want);
}

static void codes_are_those_of_rfc_6238(void **state)
{
    static const struct {
        uint64_t time_s;
        uint32_t code;
    } cases[] = {{59, 94287082},         {1111111109, 7081804},  {1111111111, 14050471},
                 {1234567890, 89005924}, {2000000000, 69279037}, {20000000000, 65353130}};
    uint32_t code = 0;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(totp_code(STR("12345678901234567890"), cases[i].time_s / 30, 8, &code), ERR_OK);
        assert_int_equal(code, cases[i].code);
        assert_int_equal(totp_code(STR("12345678901234567890"), cases[i].time_s / 30, 6, &code), ERR_OK);
        assert_int_equal(code, cases[i].code % 1000000);
    }
}

static int start(void **state)
{
    (void)state;
    return crypto_init(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_give_the_published_digest),
        cmocka_unit_test(hmac_and_hkdf_give_the_published_bytes),
        cmocka_unit_test(a_signature_is_the_one_of_rfc_6979),
        cmocka_unit_test(hpke_gives_the_bytes_of_rfc_9180_a_2_1),
        cmocka_unit_test(whatever_bit_of_a_sealed_message_is_flipped_it_does_not_open),
        cmocka_unit_test(an_empty_message_can_be_sealed),
        cmocka_unit_test(sealing_twice_gives_different_bytes_and_a_seed_gives_the_same),
        cmocka_unit_test(keys_are_a_function_of_their_seed_and_otherwise_fresh),
        cmocka_unit_test(an_impossible_key_is_refused),
        cmocka_unit_test(several_threads_can_seal_and_open_at_once),
        cmocka_unit_test(small_helpers_do_what_they_say),
        cmocka_unit_test(passwords_are_stretched_as_rfc_8018_says),
        cmocka_unit_test(codes_are_those_of_rfc_6238),
        cmocka_unit_test(hpke_agrees_with_rfc_9180),
        cmocka_unit_test(chacha20_poly1305_agrees_with_wycheproof),
        cmocka_unit_test(aes_128_gcm_agrees_with_wycheproof),
        cmocka_unit_test(x25519_agrees_with_wycheproof),
        cmocka_unit_test(hkdf_agrees_with_wycheproof),
        cmocka_unit_test(hmac_agrees_with_wycheproof),
        cmocka_unit_test(ecdsa_agrees_with_wycheproof),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
