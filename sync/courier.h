/* Bundles: how sealed frames travel by memory card, and from handheld to handheld.
 *
 *   bundle = "DSBUNDLE1", n * piece            all integers little-endian; grammar: docs/WIRE.md
 *   piece  = "DSP1", u8 kind, u32 size, check[8], body[size]
 *
 * A piece stands for itself: its check is over its kind, size and body, so that a bundle that was cut off, or
 * damaged in its middle, gives every piece that is whole; the reader looks for the next "DSP1" and goes on.
 * After at most BUNDLE_PAGE pieces an index lists them, so that a reader knows what it did not get. Reading
 * and writing take memory for one piece, however long the bundle is.
 *
 * A check says only that bytes are as they were written. Who wrote them, the signatures say: of a frame
 * (sync/envelope.h), of a certificate and of a `done` statement. Whoever carries a bundle verifies, and reads
 * nothing: frames are sealed.
 */
#ifndef DOORSTEP_SYNC_COURIER_H
#define DOORSTEP_SYNC_COURIER_H

#include "sync/envelope.h"

#define BUNDLE_HEAD "DSBUNDLE1"
#define BUNDLE_PAGE 256
#define BUNDLE_OBJECT_PIECE (256u << 10) /* bytes of an object in one piece */
#define BUNDLE_CHECK_SIZE 8

/* Numbers are for ever: they travel. Kinds that are not here are passed over. */
enum piece_kind {
    PIECE_CERTIFICATE = 1, /* whose keys a device's are, signed by the centre */
    PIECE_FRAME = 2,
    PIECE_DONE = 3,   /* what the centre has of a device, signed by the centre, readable by all */
    PIECE_OBJECT = 4, /* a part of a public object; parts stand in order, one behind the other */
    PIECE_INDEX = 5,
    PIECE_END = 6
};

struct piece_entry {
    enum piece_kind kind;
    uint64_t device;
    uint32_t inc;
    uint64_t number; /* FRAME: batch sequence; OBJECT: offset; else 0 */
    unsigned char check[BUNDLE_CHECK_SIZE];
};

struct piece {
    enum piece_kind kind;
    unsigned char check[BUNDLE_CHECK_SIZE];
    /* CERTIFICATE, DONE: whom it is about. FRAME: its author, or, when the centre is that, whom it is for. */
    uint64_t device;
    uint32_t inc;
    struct str bytes;   /* frame, text, or the object's bytes */
    struct frame frame; /* FRAME: shape checked, nothing else */
    /* OBJECT */
    unsigned char hash[SHA256_SIZE];
    uint64_t size, offset;
    /* INDEX: what it lists and this reader did not meet */
    const struct piece_entry *missing;
    uint32_t missing_count;
};

/* ---- reading ---- */

struct bundle_source {
    void *self;
    /* At most n bytes from where the last call ended; *got_out 0 = no more. */
    enum err (*read)(void *self, char *out, size_t n, size_t *got_out, struct diag *d);
};

#define BUNDLE_SEEN (2 * BUNDLE_PAGE)

struct bundle_reader {
    uint64_t offset;   /* of the next byte */
    uint64_t piece_at; /* offset of the piece last given */
    uint64_t pieces;   /* whole ones, index and end counted */
    uint64_t damaged;  /* bytes that were passed over */
    bool whole;        /* the end was met, and everything before it is as it was written */
    /* private */
    struct bundle_source source;
    struct buf window;
    size_t at;
    bool ended;
    uint64_t hashed;
    unsigned char chain[SHA256_SIZE];
    unsigned char seen[BUNDLE_SEEN][BUNDLE_CHECK_SIZE];
    uint32_t seen_count;
    struct piece_entry missing[BUNDLE_PAGE];
};
void bundle_reader_init(struct bundle_reader *r, struct bundle_source source);
void bundle_reader_free(struct bundle_reader *r); /* accepts a zeroed reader */
/* The next whole piece; what it points to lives until the next call. *any_out false: no more. Damage is no
 * error: only the source's own errors, no memory, and ERR_LIMIT for bytes that are made to waste time. */
enum err bundle_read(struct bundle_reader *r, struct piece *out, bool *any_out, struct diag *d) MUST_USE;

/* ---- writing ---- */

struct bundle_sink {
    void *self;
    enum err (*write)(void *self, struct str bytes, struct diag *d);
};
struct bundle_writer {
    uint64_t bytes, pieces;
    /* private */
    struct bundle_sink sink;
    struct buf piece, page;
    uint32_t page_count;
    unsigned char chain[SHA256_SIZE];
};
/* Free it on every path once begun, failed or not. */
enum err bundle_begin(struct bundle_writer *w, struct bundle_sink sink, struct diag *d) MUST_USE;
/* Kinds 1 to 4; index and end are written by themselves. A piece that was read is written as it was. */
enum err bundle_put(struct bundle_writer *w, const struct piece *p, struct diag *d) MUST_USE;
enum err bundle_end(struct bundle_writer *w, struct diag *d) MUST_USE;
void bundle_writer_free(struct bundle_writer *w); /* accepts a zeroed writer */
/* A whole object, in as many pieces as it takes. */
enum err bundle_put_object(struct bundle_writer *w, const unsigned char hash[static SHA256_SIZE],
                           struct str bytes, struct diag *d) MUST_USE;

/* ---- statements ---- */

/* "doorstep-cert/1 DEVICE INC SIGN SEAL MS SIGNATURE", as the centre gives it at enrolment. */
struct certificate {
    uint64_t device;
    uint32_t inc;
    unsigned char sign_public[P256_PUBLIC_SIZE];
    unsigned char seal_public[X25519_SIZE];
};
enum err certificate_read(struct str text, const unsigned char centre[static P256_PUBLIC_SIZE],
                          struct certificate *out, struct diag *d) MUST_USE;

/* "doorstep-done/1 EPOCH CURSOR MS DEVICE INC CONTIGUOUS [SEQ:BATCH-ID ...] SIGNATURE": these frames lie at
 * the centre, whatever became of them there. Who carries them may let go of them; their author may not, it
 * needs its receipts. Frames of changes count up to CONTIGUOUS; parts of attachments, which are numbered
 * apart, are all named. */
#define DONE_ITEMS_MAX 1024
struct done_item {
    uint64_t batch_seq;
    unsigned char batch_id[BATCH_ID_SIZE];
};
struct done {
    uint32_t epoch;
    uint64_t cursor; /* of the centre when it said so: of two statements the one with the higher is newer */
    int64_t ms;      /* when that was, by the centre's clock */
    uint64_t device;
    uint32_t inc;
    uint64_t contiguous; /* all changes up to here */
    const struct done_item *items;
    uint32_t item_count;
};
enum err done_write(const struct done *s, const struct key_pair_p256 *centre, struct buf *out) MUST_USE;
enum err done_read(struct arena *a, struct str text, const unsigned char centre[static P256_PUBLIC_SIZE],
                   struct done *out, struct diag *d) MUST_USE;
bool done_covers(const struct done *s, const struct frame *f);

/* What a handheld asks the centre for: the payload of a frame of type 5. */
#define BATCH_SCHEMA_MANIFEST 5
#define MANIFEST_OBJECTS_MAX 4096
struct manifest {
    uint32_t epoch;
    uint64_t cursor;
    uint64_t unsure_from;                     /* oldest batch without a receipt; 0 = none */
    uint64_t bytes_max;                       /* of objects to send along; 0 = all */
    const unsigned char (*held)[SHA256_SIZE]; /* public objects that are here already */
    uint32_t held_count;
};
enum err manifest_write(const struct manifest *m, struct buf *payload_out) MUST_USE;
enum err manifest_read(struct arena *a, struct str payload, struct manifest *out, struct diag *d) MUST_USE;

#endif
