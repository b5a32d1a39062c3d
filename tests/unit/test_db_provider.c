/* The cipher provider that SQLCipher is given, against published answers (RFC 4231, RFC 6070, NIST SP
 * 800-38A; the other key derivations were computed with OpenSSL). A file that two wrong halves agree upon
 * would pass every other test.
 */
#include "tests/support/unit.h"

#include <string.h>

#include "platform/base/str.h"

typedef struct Parse Parse;
#include <sqlcipher.h>

int sqlcipher_mbedtls_setup(sqlcipher_provider *p);

static sqlcipher_provider provider;

static size_t bytes(const char *hex, unsigned char *out)
{
    const size_t n = strlen(hex) / 2;
    assert_true(hex_read(str_of(hex), out, n));
    return n;
}

static void hmac_gives_the_published_bytes(void **state)
{
    (void)state;
    static const struct {
        int algorithm;
        const char *mac;
    } rows[] = {
        {SQLCIPHER_HMAC_SHA1, "b617318655057264e28bc0b6fb378c8ef146be00"},
        {SQLCIPHER_HMAC_SHA256, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {SQLCIPHER_HMAC_SHA512, "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
                                "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned char key[20];
        unsigned char text[] = "Hi There";
        unsigned char want[64];
        unsigned char got[64];
        const size_t n = bytes(rows[i].mac, want);
        memset(key, 0x0b, sizeof key);
        assert_int_equal(provider.get_hmac_sz(NULL, rows[i].algorithm), n);
        assert_int_equal(provider.hmac(NULL, rows[i].algorithm, key, sizeof key, text, 8, NULL, 0, got),
                         SQLITE_OK);
        assert_memory_equal(got, want, n);
        assert_int_equal(provider.hmac(NULL, rows[i].algorithm, key, sizeof key, text, 2, text + 2, 6, got),
                         SQLITE_OK);
        assert_memory_equal(got, want, n);
    }
    assert_int_equal(provider.get_hmac_sz(NULL, 9), 0);
}

static void a_passphrase_becomes_the_published_key(void **state)
{
    (void)state;
    static const unsigned char long_pass[200] = {0};
    const struct {
        int algorithm;
        const char *pass;
        int pass_n;
        const char *salt;
        int rounds;
        const char *key;
    } rows[] = {
        {SQLCIPHER_PBKDF2_HMAC_SHA1, "password", 8, "salt", 2, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"},
        {SQLCIPHER_PBKDF2_HMAC_SHA256, "passwordPASSWORDpassword", 24, "saltSALTsaltSALTsaltSALTsaltSALTsalt",
         4096, "348c89dbcbd32b2f32d814b8116e84cf2b17347ebc1800181c4e2a1fb8dd53e1c635518c7dac47e9"},
        {SQLCIPHER_PBKDF2_HMAC_SHA512, "", 0, "salt", 1, "00ef42cdbfc98d29db20976608e45556"},
        {SQLCIPHER_PBKDF2_HMAC_SHA512, (const char *)long_pass, sizeof long_pass, "salt", 2,
         "1df875987184284734bea414646674b5e3eafa8265c791e7fa5744c3c3251750"
         "c49feb7b1efefc867883d13e72cd2ded9fb5b81e65d9d6127349454ae62bf4f4"
         "7ef5b410b8ac1cdc2b880f829382a2e938869f181a3f37be3d43d78e3840eda5"
         "59e17560"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned char want[128];
        unsigned char got[128];
        unsigned char salt[64];
        const int salt_n = (int)strlen(rows[i].salt);
        const int n = (int)bytes(rows[i].key, want);
        memcpy(salt, rows[i].salt, (size_t)salt_n);
        assert_int_equal(provider.kdf(NULL, rows[i].algorithm, (const unsigned char *)rows[i].pass,
                                      rows[i].pass_n, salt, salt_n, rows[i].rounds, n, got),
                         SQLITE_OK);
        assert_memory_equal(got, want, (size_t)n);
    }
}

static void a_page_is_encrypted_as_published_and_back(void **state)
{
    (void)state;
    unsigned char key[32];
    unsigned char iv[16];
    unsigned char plain[32];
    unsigned char cipher[32];
    unsigned char got[4096];
    (void)bytes("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", key);
    (void)bytes("000102030405060708090a0b0c0d0e0f", iv);
    (void)bytes("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51", plain);
    (void)bytes("f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d", cipher);
    assert_int_equal(provider.get_key_sz(NULL), 32);
    assert_int_equal(provider.get_iv_sz(NULL), 16);
    assert_int_equal(provider.get_block_sz(NULL), 16);
    assert_int_equal(provider.cipher(NULL, 1, key, 32, iv, plain, 32, got), SQLITE_OK);
    assert_memory_equal(got, cipher, 32);
    assert_int_equal(provider.cipher(NULL, 0, key, 32, iv, cipher, 32, got), SQLITE_OK);
    assert_memory_equal(got, plain, 32);
    /* In its own place, and a whole page. */
    for (int i = 0; i < 4096; i++)
        got[i] = (unsigned char)i;
    assert_int_equal(provider.cipher(NULL, 1, key, 32, iv, got, 4016, got), SQLITE_OK);
    assert_int_not_equal(got[0], 0);
    assert_int_equal(provider.cipher(NULL, 0, key, 32, iv, got, 4016, got), SQLITE_OK);
    for (int i = 0; i < 4096; i++)
        assert_int_equal(got[i], (unsigned char)i);
    assert_int_equal(provider.cipher(NULL, 1, key, 32, iv, plain, 31, got),
                     SQLITE_ERROR); /* not whole blocks */
}

static void what_cannot_be_done_is_an_error(void **state)
{
    (void)state;
    unsigned char x[64] = {0};
    assert_int_equal(provider.hmac(NULL, 9, x, 32, x, 1, NULL, 0, x), SQLITE_ERROR);
    assert_int_equal(provider.hmac(NULL, SQLCIPHER_HMAC_SHA512, x, 32, NULL, 0, NULL, 0, x), SQLITE_ERROR);
    assert_int_equal(provider.kdf(NULL, 9, x, 1, x, 16, 1, 32, x), SQLITE_ERROR);
    assert_int_equal(provider.kdf(NULL, SQLCIPHER_PBKDF2_HMAC_SHA512, x, 1, x, 16, 0, 32, x), SQLITE_ERROR);
    assert_int_equal(provider.cipher(NULL, 1, x, 7, x, x, 16, x), SQLITE_ERROR);
}

static void random_bytes_differ(void **state)
{
    (void)state;
    unsigned char a[80] = {0};
    unsigned char b[80] = {0};
    assert_int_equal(provider.random(NULL, a, sizeof a), SQLITE_OK);
    assert_int_equal(provider.random(NULL, b, sizeof b), SQLITE_OK);
    assert_memory_not_equal(a, b, sizeof a);
}

static int start(void **state)
{
    void *context = NULL;
    (void)state;
    return sqlcipher_mbedtls_setup(&provider) || provider.ctx_init(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hmac_gives_the_published_bytes),
        cmocka_unit_test(a_passphrase_becomes_the_published_key),
        cmocka_unit_test(a_page_is_encrypted_as_published_and_back),
        cmocka_unit_test(what_cannot_be_done_is_an_error),
        cmocka_unit_test(random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
