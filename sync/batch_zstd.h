/* zstd for payloads, the one place that calls it. The four magic bytes, the content size, which the frame's
 * head says already, and the dictionary's id do not travel. Memory is bounded by the sizes given: nothing in
 * the compressed bytes can ask for more.
 */
#ifndef DOORSTEP_SYNC_BATCH_ZSTD_H
#define DOORSTEP_SYNC_BATCH_ZSTD_H

#include "platform/base/buf.h"

/* Appends the compressed form only when it is shorter than `raw`; *shorter_out tells. `dict` "" = none. */
enum err zstd_shorten(struct str raw, struct str dict, struct buf *out, bool *shorter_out,
                      struct diag *d) MUST_USE;
/* Appends exactly raw_size bytes, or ERR_CORRUPT; the same dictionary as above. */
enum err zstd_restore(struct str packed, struct str dict, size_t raw_size, struct buf *out,
                      struct diag *d) MUST_USE;

/* A dictionary of at most `size_max` bytes from samples that lie one after the other in `all`. ERR_LIMIT when
 * there is too little, or too little that comes again, to learn from. The same samples give the same bytes
 * with the same version of zstd. */
enum err zstd_train(struct str all, const size_t *sizes, uint32_t count, size_t size_max,
                    struct buf *dict_out, struct diag *d) MUST_USE;
/* An object told as what differs from another one: `whole` against `base`, and back. `patch_out` and
 * `whole_out` are appended to; ERR_CORRUPT when the patch does not give exactly `size` bytes. */
enum err zstd_patch(struct str base, struct str whole, struct buf *patch_out, struct diag *d) MUST_USE;
enum err zstd_unpatch(struct str base, struct str patch, uint64_t size, struct buf *whole_out,
                      struct diag *d) MUST_USE;

/* Whether zstd takes these bytes for a dictionary of its own making. */
bool zstd_is_dict(struct str bytes);

#endif
