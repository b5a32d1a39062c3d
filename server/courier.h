/* The centre's end of a memory card: takes in the frames of the bundles on it, and writes one bundle with
 * receipts, downlink and published objects for every handheld that has something on them.
 *
 * Always true: a frame goes the way it goes by radio (srv_accept), so that the same one by both ways counts
 * once; what cannot be taken is told and does not hold up what stands behind it; the bundle for the way back
 * is written last and appears whole, so that doing all of it again is always safe.
 */
#ifndef DOORSTEP_SERVER_COURIER_H
#define DOORSTEP_SERVER_COURIER_H

#include "server/parts.h"

#define COURIER_DEVICES_MAX 16384 /* handhelds answered in one go */

struct courier_counts {
    uint64_t bundles, bundles_damaged, bytes_damaged, frames_missing;
    uint64_t stored, again, apart, refused; /* frames */
    uint64_t wishes, devices, receipts, downs, objects, bytes;
    uint64_t removed;
};
struct courier_job {
    struct server *server;
    const char *const *paths; /* bundles; the one written may be among them, and is passed over */
    uint32_t path_count;
    const char *out; /* NULL = take in only */
    bool remove;     /* bundles whose frames are all here, once the answer is on the card */
    struct buf *lines;
};
enum err courier_answer(const struct courier_job *job, struct courier_counts *out, struct diag *d) MUST_USE;

/* Each frame on the cards as people read it, with its contents when the centre's key opens it; nothing is
 * taken in. `json`: one object a line. */
enum err courier_show(const struct courier_job *job, bool json, struct buf *out, struct diag *d) MUST_USE;

/* As courier_answer for one bundle in memory, of a carrier that has radio: POST /v1/courier. The answer is
 * about `bytes_max` long: receipts and statements always, downlink as far as it fits, objects not at all. */
enum err courier_answer_bytes(struct server *s, struct cstore *st, struct str bundle, size_t bytes_max,
                              struct buf *answer_out, struct diag *d) MUST_USE;

#endif
