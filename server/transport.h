/* What travels beside change frames: uploads in pieces, attachments, patches between published versions.
 * First the store's verbs (store_transport.c), then what routes call (upload.c, attach.c).
 */
#ifndef DOORSTEP_SERVER_TRANSPORT_H
#define DOORSTEP_SERVER_TRANSPORT_H

#include "server/parts.h"

/* ---- frames on their way ----
 * By who carries them (the device behind the token) and by the frame's own name. Nothing is locked: bytes are
 * what their name says, or the whole is thrown away at the end. */
struct upload_row {
    uint64_t device;
    uint32_t inc;
    unsigned char id[BATCH_ID_SIZE];
    uint64_t total, have;
    int64_t touched_ms;
};
/* ERR_NOT_FOUND. */
enum err cstore_upload(struct cstore *s, uint64_t device, uint32_t inc,
                       const unsigned char id[static BATCH_ID_SIZE], struct upload_row *out,
                       struct diag *d) MUST_USE;
/* `bytes` go behind what is there; `u->have` grows. A new upload has have = 0 and may have no bytes yet. */
enum err cstore_upload_append(struct cstore *s, struct upload_row *u, struct str bytes,
                              struct diag *d) MUST_USE;
enum err cstore_upload_bytes(struct cstore *s, struct arena *a, const struct upload_row *u,
                             struct str *bytes_out, struct diag *d) MUST_USE;
enum err cstore_upload_drop(struct cstore *s, const struct upload_row *u, struct diag *d) MUST_USE;
struct upload_usage {
    uint64_t count, bytes;         /* of one device, as large as they will be */
    uint64_t count_all, bytes_all; /* as large as they are */
};
enum err cstore_upload_usage(struct cstore *s, uint64_t device, uint32_t inc, struct upload_usage *out,
                             struct diag *d) MUST_USE;
/* The one that was touched longest ago; of one device, or of all when device is 0. ERR_NOT_FOUND. */
enum err cstore_upload_oldest(struct cstore *s, uint64_t device, uint32_t inc, struct upload_row *out,
                              struct diag *d) MUST_USE;
/* A frame that was kept, by its id. ERR_NOT_FOUND. */
enum err cstore_batch_by_id(struct cstore *s, struct arena *a, const unsigned char id[static BATCH_ID_SIZE],
                            struct str *frame_out, struct diag *d) MUST_USE;

#define UPLOADS_OF_DEVICE_MAX 8
#define UPLOAD_BYTES_OF_DEVICE_MAX (4u * FRAME_SIZE_MAX)
#define UPLOAD_BYTES_MAX (UINT64_C(2) << 30)
#define UPLOAD_LIFE_MS (7LL * 86400 * 1000)
#define UPLOAD_IDLE_MS (600LL * 1000) /* untouched for so long it may make room for others */

struct upload_state {
    uint64_t have;
    bool known; /* something of it is here */
    bool whole; /* all of it is */
    bool done;  /* it was taken long ago: the ledger has it */
    bool gap;   /* these bytes do not join on to what is here */
};
enum err upload_look(struct cstore *st, const struct device_row *carrier,
                     const unsigned char id[static BATCH_ID_SIZE], struct upload_state *out,
                     struct diag *d) MUST_USE;
/* Keeps `bytes`, which lie at `at` of a frame of `total` bytes; what is here already is passed over. ERR_OK
 * says that they are on the disk (or, with `gap` or `done`, that nothing was kept). */
enum err upload_put(struct server *s, struct cstore *st, const struct device_row *carrier,
                    const unsigned char id[static BATCH_ID_SIZE], uint64_t at, uint64_t total,
                    struct str bytes, struct upload_state *out, struct diag *d) MUST_USE;
/* The frame when all of it is here. ERR_CORRUPT when the bytes are not what their name says: they are gone
 * then, the upload begins anew. */
enum err upload_frame(struct server *s, struct cstore *st, struct arena *a, const struct device_row *carrier,
                      const unsigned char id[static BATCH_ID_SIZE], struct str *frame_out,
                      struct diag *d) MUST_USE;
enum err upload_drop(struct server *s, struct cstore *st, const struct device_row *carrier,
                     const unsigned char id[static BATCH_ID_SIZE], struct diag *d) MUST_USE;

/* ---- attachments ---- */
struct attachment_row {
    struct row_id visit;
    struct str name;
    unsigned char hash[SHA256_SIZE];
    uint64_t size;
    bool whole;
};
#define FILES_BEGUN_MAX 32 /* of one device, whose parts are not all here */
#define FILE_PARTS_MAX 1024
/* A part as a device sent it. ERR_LIMIT: it has begun too many files. *bad_out: it completes the file, and
 * the file has another hash, or there is more of it than it has bytes; its parts of this device are gone
 * then. */
enum err cstore_part_put(struct cstore *s, struct arena *a, const struct frame *f, const struct part *p,
                         int64_t now_ms, bool *bad_out, struct diag *d) MUST_USE;
/* Who sent the object frame of this id. ERR_NOT_FOUND: it was not taken here. */
enum err cstore_part_author(struct cstore *s, const unsigned char id[static BATCH_ID_SIZE],
                            uint64_t *device_out, uint32_t *inc_out, struct diag *d) MUST_USE;
/* Of one visit, by name. */
enum err cstore_attachments(struct cstore *s, struct arena *a, struct row_id visit,
                            struct attachment_row **out, uint32_t *count_out, struct diag *d) MUST_USE;
/* ERR_NOT_FOUND while it is not whole. */
enum err cstore_attachment_bytes(struct cstore *s, struct arena *a,
                                 const unsigned char hash[static SHA256_SIZE], struct str *bytes_out,
                                 struct diag *d) MUST_USE;
struct attachment_counts {
    uint64_t whole, bytes, on_their_way;
};
enum err cstore_attachment_counts(struct cstore *s, struct attachment_counts *out, struct diag *d) MUST_USE;
/* Takes an object frame (type 3); gives a signed receipt for it. Takes the write turn. ERR_DENIED: nobody
 * knows its author. */
enum err srv_part(struct server *s, struct cstore *st, struct arena *a, struct str frame,
                  struct buf *receipt_out, struct diag *d) MUST_USE;

/* The receipt once more for one that was taken. ERR_NOT_FOUND. */
enum err srv_part_receipt(struct server *s, struct cstore *st, struct arena *a,
                          const unsigned char id[static BATCH_ID_SIZE], struct buf *receipt_out,
                          struct diag *d) MUST_USE;

/* ---- patches between published objects ---- */
#define SRV_PATCH_OBJECT_MAX (16u << 20) /* patches of larger ones would hold up a request for seconds */
/* p NULL in *patch_out: there is none worth sending. Made on first use, then kept. Takes the write turn. */
enum err srv_patch(struct server *s, struct cstore *st, struct arena *a,
                   const unsigned char from[static SHA256_SIZE], const unsigned char to[static SHA256_SIZE],
                   struct str target, struct str *patch_out, struct diag *d) MUST_USE;
enum err cstore_patch(struct cstore *s, struct arena *a, const unsigned char from[static SHA256_SIZE],
                      const unsigned char to[static SHA256_SIZE], struct str *patch_out,
                      struct diag *d) MUST_USE; /* ERR_NOT_FOUND: never made */
enum err cstore_patch_put(struct cstore *s, const unsigned char from[static SHA256_SIZE],
                          const unsigned char to[static SHA256_SIZE], struct str patch,
                          struct diag *d) MUST_USE;

#endif
