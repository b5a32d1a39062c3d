/* Merge: what a record is, given a set of changes, in whatever order they came. The same C on device and
 * centre, over any store.
 *
 * c1 dominates c2 when the same author (device, incarnation) made it later, or when its author had seen c2
 * (c2.server_seq <= c1.seen), or through a chain of these. The versions nobody dominates are kept; the one
 * with the highest (effective clock, device, incarnation, seq) is shown; when the others differ in value they
 * are a conflict, kept until a resolving change has seen them. A delete wins only over what it dominates.
 * Property (tested): any order of the same changes gives the same bytes.
 */
#ifndef DOORSTEP_SYNC_MERGE_H
#define DOORSTEP_SYNC_MERGE_H

#include "sync/change.h"

struct version {
    uint64_t device;
    uint32_t inc;
    uint64_t seq;
    int64_t hlc; /* effective */
    uint64_t seen;
    uint64_t server_seq; /* 0 = not known to the centre yet */
    enum change_op op;
    uint8_t status;
    uint32_t person;
    uint8_t role;
    struct str value;
};

/* One row's state, unpacked: cells by ascending field, each with its maximal versions, the shown one first.
 * Lives in an arena. */
struct record_cell {
    uint32_t field;
    struct version *versions;
    uint32_t count;
};
struct record {
    struct row_id row;
    struct record_cell *cells;
    uint32_t count;
    /* private: what was dominated, per author, so that late arrivals are recognised */
    struct version_mark *marks;
    uint32_t mark_count;
};

enum merge_result { MERGE_SHOWN, MERGE_KEPT_BESIDE, MERGE_DOMINATED, MERGE_DUPLICATE };

/* `packed` "" = a new row. Texts point into `packed`. */
enum err record_unpack(struct arena *a, struct row_id row, struct str packed, struct record *out,
                       struct diag *d) MUST_USE;
enum err record_pack(const struct record *r,
                     struct buf *out) MUST_USE; /* canonical: equal states, equal bytes */
enum err record_apply(struct arena *a, struct record *r, const struct change *c, uint64_t device,
                      uint32_t inc, int64_t hlc_effective, uint64_t server_seq,
                      enum merge_result *result_out) MUST_USE;
const struct record_cell *record_cell(const struct record *r, uint32_t field); /* NULL when absent */
struct str record_value(const struct record *r, uint32_t field); /* shown; "" when absent or cleared */
bool record_deleted(const struct record *r);
bool record_conflict(const struct record *r, uint32_t field);
/* Birth from field 0; false when the ROW_CREATE has not arrived yet. */
bool record_birth(const struct record *r, struct row_birth *out);

#endif
