/* ODK's encrypted submissions, opened again the way a centre opens them: with the private key and the openssl
 * program, which knows nothing of our code.
 */
#include "tests/support/forms.h"

#include <unistd.h>

#include "forms/encrypt.h"
#include "platform/crypto_odk.h"

static const struct encrypt_crypto crypto = {crypto_random, odk_rsa_oaep_sha256, odk_aes256_cfb, odk_md5};

/* A folder with an RSA key pair in it. */
struct desk {
    char folder[64];
    char public_key[1024]; /* base 64 of the SubjectPublicKeyInfo */
    struct arena a;
};

static void run(const struct desk *desk, const char *command)
{
    char line[2048];
    snprintf(line, sizeof(line), "cd %s && %s", desk->folder, command);
    if (system(line))
        fail_msg("this failed: %s", command);
}

static void put_file(const struct desk *desk, const char *name, struct str bytes)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", desk->folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
    fclose(f);
}

static struct str get_file(struct desk *desk, const char *name)
{
    char path[128], *p = arena_alloc(&desk->a, 1u << 20);
    snprintf(path, sizeof(path), "%s/%s", desk->folder, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(p, 1, 1u << 20, f);
    fclose(f);
    return (struct str){p, n};
}

static void desk_open(struct desk *desk, uint32_t key_bits)
{
    char command[256];
    if (system("openssl version >/dev/null 2>&1")) {
        print_message("skipped: no openssl program to open what was encrypted\n");
        skip();
    }
    *desk = (struct desk){.folder = "/tmp/doorstep-encrypt-XXXXXX"};
    arena_init(&desk->a, 1u << 28);
    assert_non_null(mkdtemp(desk->folder));
    snprintf(command, sizeof(command), "openssl genrsa -out key.pem %u 2>/dev/null", key_bits);
    run(desk, command);
    run(desk, "openssl rsa -in key.pem -pubout -outform DER -out key.der 2>/dev/null");
    run(desk, "openssl base64 -A -in key.der -out key.b64");
    struct str text = get_file(desk, "key.b64");
    assert_true(text.n < sizeof(desk->public_key));
    memcpy(desk->public_key, text.p, text.n);
    struct diag d = {0};
    assert_int_equal(crypto_init(&d), ERR_OK);
}

static void desk_close(struct desk *desk)
{
    char line[128];
    arena_free(&desk->a);
    snprintf(line, sizeof(line), "rm -r %s", desk->folder);
    assert_int_equal(system(line), 0);
}

/* What stands between two tags of the manifest. */
static struct str element(struct desk *desk, const char *manifest, const char *name)
{
    char open[64], end[64];
    snprintf(open, sizeof(open), "<%s>", name);
    snprintf(end, sizeof(end), "</%s>", name);
    const char *from = strstr(manifest, open);
    assert_non_null(from);
    from += strlen(open);
    const char *to = strstr(from, end);
    assert_non_null(to);
    return arena_str(&desk->a, (struct str){from, (size_t)(to - from)});
}

/* Opens base 64 with the private key. */
static struct str unseal(struct desk *desk, struct str base64)
{
    char *bytes = arena_alloc(&desk->a, base64.n);
    size_t n = 0;
    assert_true(base64_read(base64, bytes, &n));
    put_file(desk, "sealed", (struct str){bytes, n});
    run(desk, "openssl pkeyutl -decrypt -inkey key.pem -pkeyopt rsa_padding_mode:oaep "
              "-pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256 -in sealed -out open");
    return get_file(desk, "open");
}

static struct str md5(struct desk *desk, struct str bytes)
{
    put_file(desk, "summed", bytes);
    run(desk, "openssl dgst -md5 -binary -out sum summed");
    return get_file(desk, "sum");
}

static struct str two(struct desk *desk, struct str a, struct str b)
{
    char *p = arena_alloc(&desk->a, a.n + b.n + 1);
    memcpy(p, a.p, a.n);
    memcpy(p + a.n, b.p, b.n);
    return (struct str){p, a.n + b.n};
}

/* Opens one file and takes the padding off. */
static struct str decipher(struct desk *desk, struct str key, const unsigned char iv[16], const struct buf *b)
{
    char command[512], key_hex[65] = {0}, iv_hex[33] = {0};
    assert_int_equal(key.n, 32);
    hex_write(key.p, 32, key_hex);
    hex_write(iv, 16, iv_hex);
    put_file(desk, "cipher", buf_str(b));
    snprintf(command, sizeof(command),
             "openssl enc -d -aes-256-cfb -nopad -K %s -iv %s -in cipher -out plain", key_hex, iv_hex);
    run(desk, command);
    struct str plain = get_file(desk, "plain");
    assert_true(plain.n > 0 && plain.n % 16 == 0);
    unsigned char padding = (unsigned char)plain.p[plain.n - 1];
    assert_true(padding >= 1 && padding <= 16);
    for (size_t i = plain.n - padding; i < plain.n; i++)
        assert_int_equal((unsigned char)plain.p[i], padding);
    return str_sub(plain, 0, plain.n - padding);
}

static void a_record_with_media_is_opened_with_the_private_key(void **state)
{
    static const char *const names[] = {"photo 1.jpg", "empty.wav", "exact.bin"};
    struct desk desk;
    struct interview v;
    struct encrypt *e = NULL;
    struct buf files[3], xml_cipher, manifest, lines;
    char model[2048], photo[1000], hex[33] = {0};
    (void)state;
    desk_open(&desk, 2048);
    snprintf(model, sizeof(model),
             "<instance><d id=\"survey\" version=\"7\"><a/><meta><instanceID/></meta></d></instance>"
             "<submission base64RsaPublicKey=\"%s\" orx:auto-send=\"true\"/>"
             "<bind nodeset=\"/d/meta/instanceID\" jr:preload=\"uid\"/>",
             desk.public_key);
    interview_open(&v, model, "<input ref=\"/d/a\"/>");
    assert_int_equal(v.findings.list.count, 0);
    assert_string_equal(text(&v, form_submission(v.form)->auto_send), "true");
    answer(&v, "/d/a", "secret & plain");
    const char *submission = xml(&v, false);
    struct str id = str_of(value_of(&v, "/d/meta/instanceID"));
    struct encrypt_record record = {form_id(v.form), form_version(v.form), id,
                                    form_submission(v.form)->public_key};
    for (size_t i = 0; i < sizeof(photo); i++)
        photo[i] = (char)(i * 7);
    const struct str media[] = {{photo, sizeof(photo)}, STR(""), {photo, 64}};

    assert_int_equal(encrypt_begin(&v.a, &crypto, &record, &e, &v.d), ERR_OK);
    for (size_t i = 0; i < 3; i++) {
        buf_init(&files[i], 1u << 20);
        assert_int_equal(encrypt_file(e, str_of(names[i]), media[i], &files[i], &v.d), ERR_OK);
    }
    buf_init(&xml_cipher, 1u << 20);
    buf_init(&manifest, 1u << 20);
    assert_int_equal(encrypt_submission(e, str_of(submission), &xml_cipher, &manifest, &v.d), ERR_OK);
    encrypt_end(e);
    assert_null(strstr(manifest.p, "secret"));
    assert_null(memmem(xml_cipher.p, xml_cipher.n, "secret", 6));

    struct str sealed = element(&desk, manifest.p, "base64EncryptedKey"), key = unseal(&desk, sealed);
    struct str seed = md5(&desk, two(&desk, id, key));
    unsigned char iv[16];
    memcpy(iv, seed.p, 16);
    buf_init(&lines, 1u << 20);
    buf_printf(&lines, "survey\n7\n%.*s\n%.*s\n", STR_ARG(sealed), STR_ARG(id));
    for (size_t i = 0; i < 3; i++) {
        iv[i]++;
        assert_true(str_eq(decipher(&desk, key, iv, &files[i]), media[i]));
        hex_write(md5(&desk, media[i]).p, 16, hex);
        buf_printf(&lines, "%s::%s\n", names[i], hex);
    }
    iv[3]++;
    assert_true(str_eq(decipher(&desk, key, iv, &xml_cipher), str_of(submission)));
    hex_write(md5(&desk, str_of(submission)).p, 16, hex);
    buf_printf(&lines, "submission.xml::%s\n", hex);
    struct str signature = unseal(&desk, element(&desk, manifest.p, "base64EncryptedElementSignature"));
    assert_true(str_eq(signature, md5(&desk, buf_str(&lines))));
    assert_true(str_starts(buf_str(&manifest),
                           STR("<?xml version=\"1.0\"?><data xmlns=\"http://www.opendatakit.org/xforms/"
                               "encrypted\" xmlns:orx=\"http://openrosa.org/xforms\" id=\"survey\" "
                               "version=\"7\" encrypted=\"yes\"><base64EncryptedKey>")));
    assert_non_null(strstr(manifest.p, "<media><file>photo 1.jpg.enc</file></media><media><file>empty.wav.enc"
                                       "</file></media><media><file>exact.bin.enc</file></media>"
                                       "<encryptedXmlFile>submission.xml.enc</encryptedXmlFile>"));
    buf_free(&lines);
    buf_free(&manifest);
    buf_free(&xml_cipher);
    for (size_t i = 0; i < 3; i++)
        buf_free(&files[i]);
    interview_close(&v);
    desk_close(&desk);
}

static void a_form_without_a_version_leaves_its_line_out(void **state)
{
    struct desk desk;
    struct encrypt *e = NULL;
    struct buf cipher, manifest, lines;
    struct diag d = {0};
    char hex[33] = {0};
    (void)state;
    desk_open(&desk, 4096);
    struct encrypt_record record = {STR("f<1>"), STR(""), STR("uuid:1"), str_of(desk.public_key)};
    buf_init(&cipher, 1u << 16);
    buf_init(&manifest, 1u << 16);
    buf_init(&lines, 1u << 16);
    assert_int_equal(encrypt_begin(&desk.a, &crypto, &record, &e, &d), ERR_OK);
    assert_int_equal(encrypt_submission(e, STR("<d/>"), &cipher, &manifest, &d), ERR_OK);
    encrypt_end(e);
    assert_non_null(strstr(manifest.p, "id=\"f&lt;1&gt;\" encrypted"));
    struct str sealed = element(&desk, manifest.p, "base64EncryptedKey");
    hex_write(md5(&desk, STR("<d/>")).p, 16, hex);
    buf_printf(&lines, "f<1>\n%.*s\nuuid:1\nsubmission.xml::%s\n", STR_ARG(sealed), hex);
    assert_true(str_eq(unseal(&desk, element(&desk, manifest.p, "base64EncryptedElementSignature")),
                       md5(&desk, buf_str(&lines))));
    buf_free(&lines);
    buf_free(&manifest);
    buf_free(&cipher);
    desk_close(&desk);
}

static void a_key_that_is_none_is_told_when_the_form_is_loaded(void **state)
{
    static const char *const keys[] = {"not base 64!", "aGVsbG8=", "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE",
                                       "MIIBIjANBgkqhkiG9w0BAQEFAAOC"};
    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        struct interview v;
        struct encrypt *e = NULL;
        char model[512];
        snprintf(model, sizeof(model),
                 "<instance><d id=\"f\"><a/></d></instance><submission base64RsaPublicKey=\"%s\"/>", keys[i]);
        interview_open(&v, model, "<input ref=\"/d/a\"/>");
        assert_int_equal(v.findings.list.count, 1);
        assert_non_null(strstr(text(&v, v.findings.list.at[0].text), "cannot be encrypted"));
        struct encrypt_record record = {STR("f"), STR(""), STR("uuid:1"), str_of(keys[i])};
        diag_clear(&v.d);
        assert_int_equal(encrypt_begin(&v.a, &crypto, &record, &e, &v.d), ERR_SYNTAX);
        assert_null(e);
        interview_close(&v);
    }
}

static enum err no_random(void *out, size_t n)
{
    (void)out;
    (void)n;
    return ERR_IO;
}

static void without_chance_or_identity_nothing_is_encrypted(void **state)
{
    struct desk desk;
    struct encrypt *e = NULL;
    struct diag d = {0};
    struct encrypt_crypto broken = crypto;
    (void)state;
    desk_open(&desk, 2048);
    struct encrypt_record record = {STR("f"), STR(""), STR("uuid:1"), str_of(desk.public_key)};
    broken.random = no_random;
    assert_int_equal(encrypt_begin(&desk.a, &broken, &record, &e, &d), ERR_IO);
    diag_clear(&d);
    record.instance_id = STR("");
    assert_int_equal(encrypt_begin(&desk.a, &crypto, &record, &e, &d), ERR_STATE);
    assert_null(e);
    desk_close(&desk);
}

static void a_file_name_cannot_lead_out_of_the_submission(void **state)
{
    struct desk desk;
    struct encrypt *e = NULL;
    struct buf out;
    struct diag d = {0};
    (void)state;
    desk_open(&desk, 2048);
    struct encrypt_record record = {STR("f"), STR(""), STR("uuid:1"), str_of(desk.public_key)};
    buf_init(&out, 1u << 10);
    assert_int_equal(encrypt_begin(&desk.a, &crypto, &record, &e, &d), ERR_OK);
    assert_int_equal(encrypt_file(e, STR("../x"), STR("1"), &out, &d), ERR_USAGE);
    diag_clear(&d);
    assert_int_equal(encrypt_file(e, STR(""), STR("1"), &out, &d), ERR_USAGE);
    assert_int_equal(out.n, 0);
    encrypt_end(e);
    buf_free(&out);
    desk_close(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_with_media_is_opened_with_the_private_key),
        cmocka_unit_test(a_form_without_a_version_leaves_its_line_out),
        cmocka_unit_test(a_key_that_is_none_is_told_when_the_form_is_loaded),
        cmocka_unit_test(without_chance_or_identity_nothing_is_encrypted),
        cmocka_unit_test(a_file_name_cannot_lead_out_of_the_submission),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
