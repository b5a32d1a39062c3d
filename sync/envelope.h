/* The frame DSB1: one sealed, signed unit of travel. The same bytes go by radio, courier and USB stick.
 *
 *   0  "DSB1"                       36  raw length u32 (of the payload before sealing, after decompression)
 *   4  version u8 = 1               40  ciphertext length u32 (tag included)
 *   5  type u8                      44  SHA-256(previous frame of this device, incarnation)[0..8)
 *   6  suite u8                     52  HPKE enc [32] (suite 0: absent, and n = plain bytes)
 *   7  flags u8 (1 zstd, 2 dict)    84  ciphertext
 *                                   84+n  ECDSA P-256 r||s over "dsb1-sig" || bytes 0..84+n
 *   8  device_id u64 (author; centre = 0)
 *  16  incarnation u32              all integers little-endian
 *  20  batch_seq u64 (from 1, +1)   AAD = bytes 0..52
 *  28  recipient key id [4]         info = "doorstep/1" || type || device_id || incarnation || key id
 *  32  dict id u16                  batch_id = SHA-256(bytes 0..84+n)[0..16): the idempotency key
 *  34  payload schema u16
 *
 * A frame is sealed once, before its first byte is sent, and never again. Anyone can verify it, only the
 * recipient can open it. The one exception is a receipt that holds nothing but numbers, times and hashes: it
 * is signed and not sealed (suite 0), which saves 48 bytes of every sync.
 */
#ifndef DOORSTEP_SYNC_ENVELOPE_H
#define DOORSTEP_SYNC_ENVELOPE_H

#include "platform/base/buf.h"
#include "platform/crypto.h"

#define FRAME_HEAD_SIZE 84      /* with the encapsulated key */
#define FRAME_OPEN_HEAD_SIZE 52 /* of suite 0 */
#define FRAME_RAW_MAX (4u << 20)
#define FRAME_SIZE_MAX (FRAME_HEAD_SIZE + FRAME_RAW_MAX + AEAD_TAG_SIZE + SIGNATURE_SIZE)
#define BATCH_ID_SIZE 16
#define KEY_ID_SIZE 4

enum frame_type { FRAME_UP = 1, FRAME_DOWN = 2, FRAME_OBJECT = 3, FRAME_RECEIPT = 4, FRAME_MANIFEST = 5 };
enum frame_suite { SUITE_OPEN = 0, SUITE_CHACHA = 1, SUITE_AES = 2 };
enum frame_flag { FRAME_ZSTD = 1, FRAME_DICT = 2 };

/* A compression dictionary: an object of the county's catalogue, named by its version there. */
struct frame_dict {
    uint16_t id; /* from 1; 0 = none */
    struct str bytes;
};
#define FRAME_DICT_MAX (64u << 10)
/* Dictionaries at hand, by id. ERR_NOT_FOUND: not this one. The bytes live until the frame is open. */
struct frame_dicts {
    void *self;
    enum err (*find)(void *self, uint16_t id, struct str *bytes_out, struct diag *d);
};

struct frame {
    enum frame_type type;
    enum frame_suite suite;
    uint8_t flags;
    uint64_t device;
    uint32_t inc;
    uint64_t batch_seq;
    unsigned char key_id[KEY_ID_SIZE];
    uint16_t dict;
    uint16_t schema;
    uint32_t raw_size;
    unsigned char prev[8];
    struct str bytes; /* the whole frame, signature included */
    struct str cipher;
    unsigned char batch_id[BATCH_ID_SIZE];
};

void key_id_of(const unsigned char public[static X25519_SIZE], unsigned char out[static KEY_ID_SIZE]);

/* Parses and checks shape, caps and lengths; computes batch_id; no cryptography else. ERR_CORRUPT,
 * ERR_VERSION, ERR_LIMIT. `bytes` may hold more than one frame: *size_out tells how much was this one. */
enum err frame_parse(struct str bytes, struct frame *frame_out, size_t *size_out, struct diag *d) MUST_USE;
enum err frame_verify(const struct frame *f, const unsigned char author[static P256_PUBLIC_SIZE],
                      struct diag *d) MUST_USE;
/* Opens and decompresses into `payload`. ERR_DENIED when the key is another one, ERR_CORRUPT when it does not
 * open. */
enum err frame_open(const struct frame *f, const struct key_pair_x25519 *recipient, struct buf *payload,
                    struct diag *d) MUST_USE;
/* The same for a frame that may have been compressed with a dictionary. ERR_STATE: with one that is not here;
 * its author must send the same without it. `dicts` NULL: none. */
enum err frame_open_with(const struct frame *f, const struct key_pair_x25519 *recipient,
                         const struct frame_dicts *dicts, struct buf *payload, struct diag *d) MUST_USE;

struct frame_seal {
    enum frame_type type;
    uint64_t device;
    uint32_t inc;
    uint64_t batch_seq;
    unsigned char prev[8];
    uint16_t schema;
    const unsigned char *recipient; /* X25519_SIZE; NULL = a receipt that is signed and not sealed */
    const struct frame_dict *dict;  /* one that the recipient is known to hold; NULL = none */
    const struct key_pair_p256 *author;
    const unsigned char
        *ephemeral_seed; /* 32 bytes, or NULL: drawn inside crypto (simulations give a seed) */
};
/* Compresses when that is shorter, seals, signs. */
enum err frame_make(const struct frame_seal *how, struct str payload, struct buf *frame_out,
                    struct diag *d) MUST_USE;

#endif
