/* Messages beside change frames: enrolment, the county's keyset, receipts. Enrolment and keyset are JSON
 * (rare, readable) of the shape {"body": "...", "signature": "..."}, where the signature is over the exact
 * bytes of the text in body, which is JSON again; receipts are frames of type 4, signed by the centre and
 * sealed to the device, because they carry its next bearer token. Grammar and routes: docs/WIRE.md.
 */
#ifndef DOORSTEP_SYNC_WIRE_H
#define DOORSTEP_SYNC_WIRE_H

#include "platform/crypto.h"
#include "sync/batch.h"
#include "sync/envelope.h"

/* The typed token: 60 random bits as 12 Crockford digits and a check digit, shown as XXXX-XXXX-XXXX-C. The
 * check digit finds every single wrong digit and every two that changed places. */
#define ENROL_TOKEN_TEXT 17
void enrol_token_write(uint64_t token60, char out[static ENROL_TOKEN_TEXT]); /* with NUL */
/* Any case, hyphens and spaces ignored; false when the check digit differs. */
bool enrol_token_read(struct str text, uint64_t *token60_out);

/* "dse1:" QR code of an enrolment. */
struct enrol_code {
    struct str url;
    unsigned char seal_public[X25519_SIZE];
    unsigned char root_print[16]; /* SHA-256(root public)[0..16) */
    uint64_t token60;
};
enum err enrol_code_write(const struct enrol_code *c, struct buf *out) MUST_USE;
enum err enrol_code_read(struct arena *a, struct str text, struct enrol_code *out, struct diag *d) MUST_USE;

/* The county's keys, signed by its root. */
struct keyset {
    struct str county;
    uint32_t epoch;
    int64_t issued_ms;
    unsigned char root_public[P256_PUBLIC_SIZE];
    unsigned char sign_public[P256_PUBLIC_SIZE];
    unsigned char seal_public[X25519_SIZE];
};
enum err keyset_write(const struct keyset *k, const struct key_pair_p256 *root, struct buf *json_out,
                      struct diag *d) MUST_USE;
/* Verifies the root signature, and the root against the fingerprint (root_print NULL: any root, then the
 * caller must show it to a person). ERR_DENIED when it is another county's root. */
enum err keyset_read(struct arena *a, struct str json, const unsigned char *root_print, struct keyset *out,
                     struct diag *d) MUST_USE;
enum err root_print_of(const unsigned char root_public[static P256_PUBLIC_SIZE],
                       unsigned char out[static 16]) MUST_USE;
/* "7F3A 09C2 ..." : 8 groups of 4 hex digits of SHA-256(root public)[0..16), to compare by eye. */
void root_print_text(const unsigned char print[static 16], char out[static 40]);
bool root_print_read(struct str text, unsigned char out[static 16]); /* any case, spaces ignored */

/* Device -> centre, sealed to the keyset's seal key (info "doorstep-enrol/1"). The body on the wire is enc ||
 * ciphertext. */
struct enrol_request {
    uint64_t token60;
    unsigned char seal_public[X25519_SIZE];
    unsigned char sign_public[P256_PUBLIC_SIZE];
    struct str model, version; /* facts about the device */
    int64_t now_ms;
};
enum err enrol_request_write(const struct enrol_request *r, const unsigned char recipient[static X25519_SIZE],
                             const unsigned char *ephemeral_seed, struct buf *out, struct diag *d) MUST_USE;
enum err enrol_request_read(struct arena *a, struct str body, const struct key_pair_x25519 *recipient,
                            struct enrol_request *out, struct diag *d) MUST_USE;

/* Centre -> device, signed by the centre's sign key. Who the person is, their area and the bearer token are
 * sealed to the device inside (info "doorstep-reply/1"). */
struct enrol_reply {
    uint64_t device;
    uint32_t inc;
    uint32_t person;
    uint8_t role;
    struct str person_name, county, area;
    uint32_t epoch;
    int64_t server_time_ms;
    struct str token; /* bearer: visible ASCII without spaces */
    int64_t token_until_ms;
    struct str certificate; /* opaque to the device */
    struct str known;       /* of each visit that was asked about: the incarnation it goes under; "" = none */
};
enum err enrol_reply_write(const struct enrol_reply *r, const struct key_pair_p256 *centre,
                           const unsigned char device_seal[static X25519_SIZE],
                           const unsigned char *ephemeral_seed, struct buf *out, struct diag *d) MUST_USE;
enum err enrol_reply_read(struct arena *a, struct str body, const struct keyset *keys,
                          const struct key_pair_x25519 *device, struct enrol_reply *out,
                          struct diag *d) MUST_USE;

/* Receipts. */
enum receipt_status { RECEIPT_STORED = 1, RECEIPT_CONFLICTS = 2, RECEIPT_QUARANTINED = 3 };
struct receipt_item {
    uint64_t batch_seq;
    unsigned char batch_id[BATCH_ID_SIZE];
    enum receipt_status status;
    /* STORED, CONFLICTS: the server sequence that all changes of this batch have; 0 = not told, the downlink
     * will. A device that knows it marks its own versions with it. */
    uint64_t server_seq;
    enum err cause; /* QUARANTINED: ERR_STATE asks for the same changes in a new batch, with full row ids */
    struct str reason; /* QUARANTINED: a sentence */
};
/* One object frame: a part of an attachment. */
struct receipt_part {
    unsigned char batch_id[BATCH_ID_SIZE];
    enum receipt_status status; /* STORED or QUARANTINED */
    enum err cause;             /* QUARANTINED */
    struct str reason;          /* QUARANTINED: a sentence */
};
/* Times travel in whole seconds, cut downwards. */
struct receipt {
    uint32_t epoch;
    uint64_t device;
    uint32_t inc;
    uint64_t contiguous; /* all batches up to here are stored */
    uint64_t cursor;     /* newest server sequence */
    /* True: between cursor_from, which the device told (Prefer), and `cursor` there is nothing for it but its
     * own batches. It may take `cursor` as its own and need not ask for a downlink. */
    bool caught_up;
    uint64_t cursor_from;
    enum err refused; /* not ERR_OK: this device will not be served any more (revoked: ERR_DENIED) */
    bool erase;       /* revoked, and lost: it shall erase what has receipts, and nothing else */
    int64_t server_time_ms;
    int64_t clock_off_ms; /* author's clock minus ours when the frame said `now`; 0 = near enough */
    struct str token;     /* next bearer token, "" = keep the one you have */
    int64_t token_until_ms;
    const struct receipt_item *items;
    uint32_t item_count;
    const struct receipt_part *parts;
    uint32_t part_count;
};
#define BATCH_SCHEMA_RECEIPT 2
enum err receipt_write(const struct receipt *r, struct buf *payload_out) MUST_USE;
enum err receipt_read(struct arena *a, struct str payload, struct receipt *out, struct diag *d) MUST_USE;

/* Attachments (photos, sound, audit.csv) travel behind the data, in object frames: each carries one part of a
 * file that is named by its SHA-256, and which visits hold it under which name. Parts are independent of each
 * other, may come twice and in any order, by radio or courier. Their batch_seq counts apart from the
 * changes'.
 */
#define BATCH_SCHEMA_PART 4
#define PART_SIZE_MAX (192u << 10)      /* bytes of a file in one frame */
#define ATTACHMENT_SIZE_MAX (16u << 20) /* a few minutes of sound, a photo of any handheld */
#define PART_LINKS_MAX 64
#define ATTACHMENT_NAME_MAX 255
struct part_link {
    unsigned char visit[16]; /* ROW_ID_SIZE bytes of the visit's row */
    struct str name;         /* as the answer says */
};
struct part {
    unsigned char hash[SHA256_SIZE]; /* of the whole file */
    uint64_t size, at;               /* of the whole file; where `bytes` lie in it */
    const struct part_link *links;
    uint32_t link_count;
    struct str bytes;
};
enum err part_write(const struct part *p, struct buf *payload_out) MUST_USE;
/* ERR_CORRUPT for what does not lie within the file, names that are no file names, and sizes above the caps.
 * Texts point into `payload`. */
enum err part_read(struct arena *a, struct str payload, struct part *out, struct diag *d) MUST_USE;
/* A name that is safe in every file system: no slash, no control character, not "." or "..", UTF-8. */
bool attachment_name_ok(struct str name);

#endif
