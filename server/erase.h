/* Erasure: everything that was captured about a household goes, at the centre and on handhelds, on the
 * request of its people; that it was there, who erased it and when stays.
 *
 * Always true: a frame that held something of it is replaced by a tombstone that bears the frame's id, so
 * that the frame may come again and is known; what the frame said of others stays in the log. From the log
 * the records can be made again, without what was erased. What still comes about an erased household is
 * dropped before it is kept.
 *
 * tombstone = "DST1", 16 bytes batch id, u64 device, u32 incarnation, u64 batch sequence, u64 erased at (ms),
 *             32 bytes SHA-256 of what is left of the payload, 64 bytes signature of the county over
 * "dst1-sig" and everything before it. Little-endian.
 */
#ifndef DOORSTEP_SERVER_ERASE_H
#define DOORSTEP_SERVER_ERASE_H

#include "server/work.h"

struct erased_result {
    uint64_t rows, frames, edits, files; /* edits: of the centre itself */
};
/* ERR_NOT_FOUND, ERR_DENIED (only the county erases), ERR_USAGE (a reason is needed). */
enum err household_erase(struct desk *k, const struct centre *c, const struct work_by *by, struct str code,
                         struct str reason, struct erased_result *out, struct diag *d) MUST_USE;

/* Changes about what was erased are taken out of `changes`; rows that are born below it are erased as they
 * come. Inside a transaction. */
enum err erase_filter(struct cstore *st, struct arena *a, struct change *changes, int64_t *hlc,
                      uint32_t *count, bool *dropped_out, struct diag *d) MUST_USE;
/* The frame is kept as a tombstone with these changes. */
enum err erase_keep(struct cstore *st, struct arena *a, const struct key_pair_p256 *sign,
                    const struct batch_row *b, const struct batch_head *head, const struct change *changes,
                    uint32_t count, int64_t now_ms, struct diag *d) MUST_USE;

bool tombstone_is(struct str frame);
/* The changes that are left. `public` NULL: the signature is not looked at. ERR_CORRUPT. */
enum err tombstone_read(struct arena *a, const struct batch_row *b, const unsigned char *public,
                        const struct batch_rows *rows, struct ingest *in, struct diag *d) MUST_USE;

/* Households that are closed, and were not touched for so many days, are erased (doorstepd tidy). */
enum err erase_closed(struct desk *k, const struct centre *c, const struct work_by *by, uint32_t days,
                      uint64_t *count_out, struct diag *d) MUST_USE;

#endif
