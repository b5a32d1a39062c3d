/* ODK's own encryption of a submission, for centres that run ODK Central with a form that carries a public
 * key (ODK XForms specification, "Encryption"). One AES-256 key per record, sealed to the form's RSA key;
 * each file in CFB with PKCS#7 padding, first the media in order, then the submission XML; and a manifest
 * that takes the XML's place. Bytes in, bytes out: the ciphers are the caller's.
 *
 * What it is worth: it keeps content from whoever lacks the private key. Its "signature" is made with the
 * public key, so it shows damage and not forgery; Doorstep's own frames do better. Encrypting the same record
 * again gives other bytes, which Central refuses as a conflict: keep what was made until it is acknowledged.
 */
#ifndef DOORSTEP_FORMS_ENCRYPT_H
#define DOORSTEP_FORMS_ENCRYPT_H

#include "forms/form.h"
#include "platform/base/arena.h"
#include "platform/base/buf.h"

/* What the form's <submission> says. */
struct form_submission {
    struct str action, method;
    struct str public_key; /* base 64 of a SubjectPublicKeyInfo; "" = not encrypted */
    struct str auto_send, auto_delete;
};
const struct form_submission *form_submission(const struct form *f);

/* The ciphers; platform/crypto_odk.h has them. Keys and initialisation vectors are 32 and 16 bytes. */
struct encrypt_crypto {
    enum err (*random)(void *out, size_t n);
    /* RSAES-OAEP with SHA-256, also for its mask (MGF1). `key` is an RSAPublicKey (PKCS#1, DER). Writes as
     * many bytes as the modulus has; ERR_CORRUPT when it is no such key, ERR_LIMIT when they do not fit. */
    enum err (*rsa_oaep_sha256)(struct str key, struct str plain, unsigned char *out, size_t room,
                                size_t *n_out);
    /* CFB with 128-bit feedback over the whole text; `out` has as many bytes. */
    enum err (*aes256_cfb)(const unsigned char *key, const unsigned char *iv, struct str plain,
                           unsigned char *out);
    enum err (*md5)(struct str data, unsigned char *out /* 16 */);
};

struct encrypt_record {
    struct str form_id, form_version; /* "" = the form has none */
    struct str instance_id;
    struct str public_key; /* as in the form */
};

/* One record on its way. Lives in the arena; encrypt_end wipes the key. */
struct encrypt;
enum err encrypt_begin(struct arena *a, const struct encrypt_crypto *crypto,
                       const struct encrypt_record *record, struct encrypt **encrypt_out,
                       struct diag *d) MUST_USE;
/* A media file: `name` is its file name in the submission; the cipher goes out as NAME.enc. */
enum err encrypt_file(struct encrypt *e, struct str name, struct str plain, struct buf *cipher_out,
                      struct diag *d) MUST_USE;
/* Last: the submission XML (goes out as submission.xml.enc) and the manifest that is posted in its place. */
enum err encrypt_submission(struct encrypt *e, struct str xml, struct buf *cipher_out,
                            struct buf *manifest_out, struct diag *d) MUST_USE;
void encrypt_end(struct encrypt *e); /* accepts NULL */

/* The RSAPublicKey inside a form's base64RsaPublicKey. ERR_SYNTAX when it is none. */
enum err encrypt_key_read(struct arena *a, struct str base64, struct str *key_out, struct diag *d) MUST_USE;

#endif
