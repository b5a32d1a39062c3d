/* The store's part of erase.h. Verbs that write are called inside a transaction. */
#ifndef DOORSTEP_SERVER_STORE_ERASE_H
#define DOORSTEP_SERVER_STORE_ERASE_H

#include "server/store.h"

enum err cstore_gone_any(struct cstore *s, bool *any_out, struct diag *d) MUST_USE;
/* ERR_NOT_FOUND: the row was not erased. A household's root is itself. */
enum err cstore_gone(struct cstore *s, struct row_id row, struct row_id *root_out, struct diag *d) MUST_USE;
enum err cstore_gone_put(struct cstore *s, struct row_id row, struct row_id root, struct diag *d) MUST_USE;
enum err cstore_erased_put(struct cstore *s, struct row_id root, int64_t at_ms, struct str by, struct str why,
                           struct diag *d) MUST_USE;
/* Other bytes for a frame of the ledger; id, receipt and chain stay. */
enum err cstore_batch_erase(struct cstore *s, const struct batch_row *b, struct str frame, struct str payload,
                            uint32_t change_count, struct diag *d) MUST_USE;
enum err cstore_own_replace(struct cstore *s, uint64_t seq, struct str payload, struct diag *d) MUST_USE;
/* The record, and what hangs on it when it is a visit. */
enum err cstore_row_erase(struct cstore *s, struct row_id row, struct diag *d) MUST_USE;
enum err cstore_traces_drop(struct cstore *s, struct row_id root, struct diag *d) MUST_USE;
/* Files that belong to no visit any more. */
enum err cstore_attachments_unlinked(struct cstore *s, uint64_t *count_out, struct diag *d) MUST_USE;

#endif
