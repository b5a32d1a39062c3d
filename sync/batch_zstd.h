/* zstd for payloads, the one place that calls it. The four magic bytes and the content size, which the
 * frame's head says already, do not travel. Memory is bounded by the sizes given: nothing in the compressed
 * bytes can ask for more.
 */
#ifndef DOORSTEP_SYNC_BATCH_ZSTD_H
#define DOORSTEP_SYNC_BATCH_ZSTD_H

#include "platform/base/buf.h"

/* Appends the compressed form only when it is shorter than `raw`; *shorter_out tells. */
enum err zstd_shorten(struct str raw, struct buf *out, bool *shorter_out, struct diag *d) MUST_USE;
/* Appends exactly raw_size bytes, or ERR_CORRUPT. */
enum err zstd_restore(struct str packed, size_t raw_size, struct buf *out, struct diag *d) MUST_USE;

#endif
