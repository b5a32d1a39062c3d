/* What the store keeps for the way: the beginning of objects that are being fetched, the versions that a
 * patch may start from, the authority that the centre's TLS certificate must come from.
 */
#ifndef DOORSTEP_AGENT_STORE_TRAVEL_H
#define DOORSTEP_AGENT_STORE_TRAVEL_H

#include "agent/store.h"

/* Of a STEP_PIECE. What is kept always begins at 0 and has no gap; bytes that do not join on are passed over.
 */
enum err store_object_piece(struct store *s, const unsigned char hash[static SHA256_SIZE], uint64_t at,
                            struct str bytes, struct diag *d) MUST_USE;
enum err store_object_begun(struct store *s, const unsigned char hash[static SHA256_SIZE], struct buf *out,
                            struct diag *d) MUST_USE;
/* Pieces of objects that are whole, or that nobody wants any more. */
enum err store_object_pieces_drop(struct store *s, const unsigned char hash[static SHA256_SIZE],
                                  struct diag *d) MUST_USE;
/* The newest other version of this published object that is here whole. ERR_NOT_FOUND without a sentence. */
enum err store_object_base(struct store *s, const unsigned char hash[static SHA256_SIZE],
                           unsigned char base_out[static SHA256_SIZE], struct buf *bytes_out,
                           struct diag *d) MUST_USE;
#define STORE_BASE_MAX (16u << 20)

/* PEM of the only authorities trusted for the centre's address; "" = the system's. */
enum err store_ca(struct store *s, struct arena *a, struct str *pem_out, struct diag *d) MUST_USE;
enum err store_ca_put(struct store *s, struct str pem, struct diag *d) MUST_USE;

#endif
