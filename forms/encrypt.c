/* ODK's encrypted submission, step by step as the specification has it. The initialisation vector begins as
 * MD5(instanceID, key) and one of its bytes grows by one before each file: byte 0 before the first, byte 1
 * before the second, and so on. Key bytes are wiped when the record is done, whatever happened.
 */
#include "forms/encrypt.h"

#include "forms/model.h"
#include "forms/xml_doc.h"

#define KEY_SIZE 32
#define BLOCK_SIZE 16
#define RSA_BYTES_MAX 1024 /* a key of 8192 bits */
#define KEY_TEXT_MAX 16384 /* base 64 of such a key is 1.4 kB */
#define NAMESPACE "http://www.opendatakit.org/xforms/encrypted"

struct encrypt {
    struct arena *a;
    const struct encrypt_crypto *crypto;
    struct encrypt_record record;
    struct str rsa_key;
    struct str sealed_key; /* base 64 */
    unsigned char key[KEY_SIZE], iv[BLOCK_SIZE];
    uint32_t files;
    VEC(struct str) names;   /* of the media, without .enc */
    VEC(unsigned char) sums; /* MD5 of each, 16 bytes */
    bool done;
};

static void wipe(void *p, size_t n)
{
    volatile unsigned char *at = p;
    while (n--)
        *at++ = 0;
}

/* --- the form's key --- */

void load_submission(struct loader *l)
{
    const struct xml_doc *doc = l->doc;
    struct form_submission *out = &l->form->submission;
    *out = (struct form_submission){STR(""), STR(""), STR(""), STR(""), STR("")};
    uint32_t e = xml_find_child(doc, l->model, NULL, "submission");
    if (e == XML_NONE)
        return;
    struct str key = STR_NONE;
    struct diag d = {0};
    out->action = load_str(l, str_trim(xml_attr(doc, e, "", "action")));
    out->method = load_str(l, str_trim(xml_attr(doc, e, "", "method")));
    out->public_key = load_str(l, str_trim(xml_attr(doc, e, "", "base64RsaPublicKey")));
    out->auto_send = load_str(l, str_trim(xml_attr(doc, e, NS_OPENROSA, "auto-send")));
    out->auto_delete = load_str(l, str_trim(xml_attr(doc, e, NS_OPENROSA, "auto-delete")));
    if (out->public_key.n && encrypt_key_read(l->scratch, out->public_key, &key, &d))
        load_finding(l, FINDING_WARNING, xml_at(doc, e)->line, xml_at(doc, e)->column, NONE,
                     "Submissions cannot be encrypted: %s", d.text);
}

const struct form_submission *form_submission(const struct form *f)
{
    return &f->submission;
}

/* The content of the next DER element with this tag, taken off the front of *rest. */
static bool der_take(struct str *rest, unsigned char tag, struct str *content_out)
{
    const unsigned char *p = (const unsigned char *)rest->p;
    size_t at = 2, n;
    if (rest->n < 2 || p[0] != tag)
        return false;
    n = p[1];
    if (n >= 0x80) {
        size_t bytes = n & 0x7f;
        if (bytes == 0 || bytes > 3 || rest->n < 2 + bytes)
            return false;
        for (n = 0; bytes > 0; bytes--)
            n = n << 8 | p[at++];
    }
    if (n > rest->n - at)
        return false;
    *content_out = str_sub(*rest, at, n);
    *rest = str_sub(*rest, at + n, rest->n);
    return true;
}

/* SubjectPublicKeyInfo: SEQUENCE { SEQUENCE { OID rsaEncryption, ... }, BIT STRING { 0, RSAPublicKey } } */
static bool der_rsa_key(struct str der, struct str *key_out)
{
    static const unsigned char rsa_encryption[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
    struct str outer, algorithm, oid, bits, whole, number, inner;
    if (!der_take(&der, 0x30, &outer) || !der_take(&outer, 0x30, &algorithm) ||
        !der_take(&algorithm, 0x06, &oid) || !der_take(&outer, 0x03, &bits))
        return false;
    if (!str_eq(oid, (struct str){(const char *)rsa_encryption, sizeof(rsa_encryption)}) || bits.n < 1 ||
        bits.p[0] != 0)
        return false;
    whole = inner = str_sub(bits, 1, bits.n);
    if (!der_take(&inner, 0x30, &number) || !der_take(&number, 0x02, &oid) || oid.n > RSA_BYTES_MAX + 1 ||
        !der_take(&number, 0x02, &oid))
        return false;
    *key_out = whole;
    return true;
}

enum err encrypt_key_read(struct arena *a, struct str base64, struct str *key_out, struct diag *d)
{
    struct str der = {NULL, 0}, key;
    if (base64.n > KEY_TEXT_MAX)
        return diag_set(d, ERR_SYNTAX, "The form's public key is longer than any RSA key.");
    char *p = arena_alloc(a, base64.n + 1);
    if (!p)
        return diag_set(d, ERR_NOMEM, "There is no memory for the form's public key.");
    der.p = p;
    if (!base64_read(base64, p, &der.n) || !der_rsa_key(der, &key))
        return diag_set(d, ERR_SYNTAX,
                        "The form's public key is not an RSA key in base 64 (X.509 SubjectPublicKeyInfo).");
    *key_out = key;
    return ERR_OK;
}

/* --- one record --- */

static enum err crypto_failed(struct diag *d, enum err rc)
{
    return diag_set(d, rc, "The record could not be encrypted with the form's public key.");
}

/* RSA of a few bytes, as base 64 that lives with the record. */
static enum err seal(struct encrypt *e, struct str plain, struct str *text_out, struct diag *d)
{
    unsigned char cipher[RSA_BYTES_MAX];
    size_t n = 0;
    enum err rc = e->crypto->rsa_oaep_sha256(e->rsa_key, plain, cipher, sizeof(cipher), &n);
    if (rc)
        return crypto_failed(d, rc);
    char *text = arena_alloc(e->a, BASE64_SIZE(n));
    if (!text)
        return diag_set(d, ERR_NOMEM, "There is no memory to encrypt the record.");
    *text_out = (struct str){text, base64_write(cipher, n, text)};
    return ERR_OK;
}

static enum err make_key(struct encrypt *e, struct diag *d)
{
    struct str id = e->record.instance_id;
    char *both = arena_alloc(e->a, id.n + KEY_SIZE);
    enum err rc = both ? e->crypto->random(e->key, KEY_SIZE) : ERR_NOMEM;
    if (rc)
        return diag_set(d, rc, "There is no source of random numbers to encrypt the record with.");
    memcpy(both, id.p, id.n);
    memcpy(both + id.n, e->key, KEY_SIZE);
    rc = e->crypto->md5((struct str){both, id.n + KEY_SIZE}, e->iv);
    wipe(both + id.n, KEY_SIZE);
    return rc ? crypto_failed(d, rc)
              : seal(e, (struct str){(const char *)e->key, KEY_SIZE}, &e->sealed_key, d);
}

enum err encrypt_begin(struct arena *a, const struct encrypt_crypto *crypto,
                       const struct encrypt_record *record, struct encrypt **encrypt_out, struct diag *d)
{
    if (!record->instance_id.n || !record->form_id.n)
        return diag_set(d, ERR_STATE, "A record needs an instanceID and a form id before it is encrypted.");
    struct encrypt *e = ARENA_NEW(a, struct encrypt);
    if (!e)
        return diag_set(d, ERR_NOMEM, "There is no memory to encrypt the record.");
    e->a = a;
    e->crypto = crypto;
    e->record = (struct encrypt_record){arena_str(a, record->form_id), arena_str(a, record->form_version),
                                        arena_str(a, record->instance_id), STR("")};
    enum err rc = e->record.form_id.p && e->record.form_version.p && e->record.instance_id.p
                      ? encrypt_key_read(a, record->public_key, &e->rsa_key, d)
                      : ERR_NOMEM;
    if (!rc)
        rc = make_key(e, d);
    if (rc) {
        encrypt_end(e);
        return rc;
    }
    *encrypt_out = e;
    return ERR_OK;
}

static enum err cipher(struct encrypt *e, struct str plain, struct buf *out, struct diag *d)
{
    size_t padding = BLOCK_SIZE - plain.n % BLOCK_SIZE;
    size_t whole = plain.n + padding;
    char tail[BLOCK_SIZE];
    struct buf padded;
    buf_init(&padded, whole);
    buf_put_str(&padded, plain);
    memset(tail, (int)padding, padding);
    buf_put(&padded, tail, padding);
    size_t from = out->n;
    buf_put_str(out, buf_str(&padded)); /* room; replaced below */
    enum err rc = padded.failed ? padded.failed : out->failed;
    e->iv[e->files % BLOCK_SIZE]++;
    e->files++;
    if (rc)
        diag_set(d, rc, "The encrypted file is larger than fits.");
    else if ((rc = e->crypto->aes256_cfb(e->key, e->iv, buf_str(&padded), (unsigned char *)out->p + from)))
        crypto_failed(d, rc);
    if (padded.p)
        wipe(padded.p, padded.n);
    if (rc && !out->failed && out->p)
        wipe(out->p + from, out->n - from);
    buf_free(&padded);
    return rc;
}

static enum err add_sum(struct encrypt *e, struct str name, struct str plain, struct diag *d)
{
    unsigned char sum[BLOCK_SIZE];
    struct str *slot = vec_push(e->a, &e->names), kept = arena_str(e->a, name);
    enum err rc = e->crypto->md5(plain, sum);
    if (rc)
        return crypto_failed(d, rc);
    bool room = slot && kept.p;
    for (uint32_t i = 0; i < sizeof(sum) && room; i++) {
        unsigned char *byte = vec_push(e->a, &e->sums);
        room = byte != NULL;
        if (byte)
            *byte = sum[i];
    }
    if (!room)
        return diag_set(d, ERR_NOMEM, "There is no memory to encrypt the record.");
    *slot = kept;
    return ERR_OK;
}

enum err encrypt_file(struct encrypt *e, struct str name, struct str plain, struct buf *cipher_out,
                      struct diag *d)
{
    CHECK(!e->done);
    if (!name.n || memchr(name.p, '/', name.n) || memchr(name.p, '\n', name.n))
        return diag_set(d, ERR_USAGE, "\"%.*s\" is not a file name.", STR_ARG(name));
    enum err rc = add_sum(e, name, plain, d);
    return rc ? rc : cipher(e, plain, cipher_out, d);
}

/* The text whose MD5 is sealed: its lines are the specification's, each with a line end. */
static enum err element_signature(struct encrypt *e, struct str *text_out, struct diag *d)
{
    unsigned char sum[BLOCK_SIZE];
    struct buf b;
    buf_init(&b, 1u << 24);
    const struct str lines[] = {e->record.form_id, e->record.form_version, e->sealed_key,
                                e->record.instance_id};
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        if (i == 1 && !lines[i].n)
            continue;
        buf_put_str(&b, lines[i]);
        buf_put_char(&b, '\n');
    }
    for (uint32_t i = 0; i < e->names.count; i++) {
        buf_put_str(&b, e->names.at[i]);
        buf_put_z(&b, "::");
        buf_put_hex(&b, e->sums.at + (size_t)i * BLOCK_SIZE, BLOCK_SIZE);
        buf_put_char(&b, '\n');
    }
    enum err rc = b.failed ? b.failed : e->crypto->md5(buf_str(&b), sum);
    buf_free(&b);
    if (rc)
        return crypto_failed(d, rc);
    return seal(e, (struct str){(const char *)sum, sizeof(sum)}, text_out, d);
}

static void put_element(struct buf *b, const char *name, struct str text, const char *more)
{
    buf_put_char(b, '<');
    buf_put_z(b, name);
    buf_put_char(b, '>');
    buf_put_xml_text(b, text);
    buf_put_z(b, more);
    buf_put_z(b, "</");
    buf_put_z(b, name);
    buf_put_char(b, '>');
}

static void put_manifest(const struct encrypt *e, struct str signature, struct buf *b)
{
    buf_put_z(b, "<?xml version=\"1.0\"?><data xmlns=\"" NAMESPACE "\" xmlns:orx=\"" NS_OPENROSA "\" id=\"");
    buf_put_xml_attr(b, e->record.form_id);
    if (e->record.form_version.n) {
        buf_put_z(b, "\" version=\"");
        buf_put_xml_attr(b, e->record.form_version);
    }
    buf_put_z(b, "\" encrypted=\"yes\">");
    put_element(b, "base64EncryptedKey", e->sealed_key, "");
    buf_put_z(b, "<orx:meta>");
    put_element(b, "orx:instanceID", e->record.instance_id, "");
    buf_put_z(b, "</orx:meta>");
    for (uint32_t i = 0; i + 1 < e->names.count; i++) { /* the last one is the XML itself */
        buf_put_z(b, "<media>");
        put_element(b, "file", e->names.at[i], ".enc");
        buf_put_z(b, "</media>");
    }
    put_element(b, "encryptedXmlFile", STR("submission.xml.enc"), "");
    put_element(b, "base64EncryptedElementSignature", signature, "");
    buf_put_z(b, "</data>");
}

enum err encrypt_submission(struct encrypt *e, struct str xml, struct buf *cipher_out,
                            struct buf *manifest_out, struct diag *d)
{
    struct str signature = STR("");
    CHECK(!e->done);
    enum err rc = add_sum(e, STR("submission.xml"), xml, d);
    if (!rc)
        rc = cipher(e, xml, cipher_out, d);
    if (!rc)
        rc = element_signature(e, &signature, d);
    if (rc)
        return rc;
    e->done = true;
    put_manifest(e, signature, manifest_out);
    return manifest_out->failed ? diag_set(d, manifest_out->failed, "The manifest is larger than fits.")
                                : ERR_OK;
}

void encrypt_end(struct encrypt *e)
{
    if (!e)
        return;
    wipe(e->key, sizeof(e->key));
    wipe(e->iv, sizeof(e->iv));
}
