/* A handheld asks for another incarnation of itself: its data were put back from a backup, or the centre told
 * it that a copy of it is in use. The request is a frame of type 5, signed with the keys it had, sealed to
 * the county; the answer is that of an enrolment (wire.h). Grammar: docs/WIRE.md.
 *
 * What was finished before the copy was made, both copies hold: it goes under one name, which the answer
 * tells, and counts once, whoever delivers it.
 *
 * What it had frozen and the centre never took is named by batch id: it goes again, cut anew under the new
 * incarnation, so the frames themselves are not to be applied any more, should they still arrive.
 */
#ifndef DOORSTEP_SYNC_INCARNATION_H
#define DOORSTEP_SYNC_INCARNATION_H

#include "sync/envelope.h"

#define BATCH_SCHEMA_INCARNATION 6
#define INCARNATION_ITEMS_MAX 10000

struct incarnation_item {
    uint64_t batch_seq;
    unsigned char batch_id[BATCH_ID_SIZE];
};
/* A visit that is finished and was not delivered: who knows it by these three knows the very same one. */
struct incarnation_visit {
    uint32_t counter; /* of its row */
    uint64_t seq;     /* of its finish */
    uint64_t check;   /* see incarnation_visit_check */
};
/* Of its end, its instance and what it says of its submission: two visits that two copies of a device
 * numbered alike differ in it, whatever their clocks say. */
uint64_t incarnation_visit_check(struct str ended, struct str instance, struct str submission);
struct incarnation_request {
    unsigned char seal_public[X25519_SIZE];
    unsigned char sign_public[P256_PUBLIC_SIZE];
    const struct incarnation_item *items; /* ascending */
    uint32_t item_count;
    uint64_t upto; /* the last sequence that it delivered as the incarnation that is over */
    const struct incarnation_visit *visits; /* ascending by seq */
    uint32_t visit_count;
};
enum err incarnation_write(const struct incarnation_request *q, struct buf *payload_out) MUST_USE;
enum err incarnation_read(struct arena *a, struct str payload, struct incarnation_request *out,
                          struct diag *d) MUST_USE;

#endif
