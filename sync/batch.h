/* The payload of change frames: columns of rows, fields, clocks and values. Lossless for any value; decodes
 * alone, whatever arrived before it. Grammar: docs/WIRE.md. The writer makes each value as short as it can
 * without a form at hand.
 */
#ifndef DOORSTEP_SYNC_BATCH_H
#define DOORSTEP_SYNC_BATCH_H

#include "sync/change.h"

#define BATCH_SCHEMA_CHANGES 1
#define WIRE_EPOCH_S                                                                      \
    INT64_C(1704067200) /* 2024-01-01T00:00Z: times count from here, four bytes for years \
                         */
#define BATCH_CHANGES_MAX 20000
#define BATCH_RAW_AIM (64u << 10)
#define BATCH_VALUE_MAX (1u << 20)

/* The times travel in whole seconds, cut downwards; everything else is exact. */
struct batch_head {
    uint64_t device;          /* author: not in the payload; a reader is given both, from the frame's head */
    uint32_t inc;             /* whose own rows are named shortest; on reading as_inc, when that is told */
    uint32_t as_inc;          /* UP: 0, or the incarnation whose changes these are: the author is its heir */
    uint32_t epoch;           /* server epoch the author knows */
    int64_t now_ms;           /* author's wall clock when frozen */
    int64_t anchor_ms;        /* UP: last signed server time the author verified; 0 = none */
    int64_t elapsed_ms;       /* UP: monotonic time since then; -1 = rebooted since, unknown */
    uint64_t cursor_from;     /* DOWN: the cursor that this frame goes on from */
    uint64_t cursor;          /* DOWN: cursor after applying this frame */
    uint64_t agreed;          /* DOWN: as far as the reader's epoch and this one are the same history */
    const struct heir *heirs; /* DOWN: of authors of these changes */
    uint32_t heir_count;
    bool caught_up; /* DOWN: nothing was left behind this frame when it was made */
};

/* A row the author has a server row number for is written by that number: shorter; the payload then carries a
 * checksum over the full ids of all rows named so. The callbacks may be NULL: full ids only. */
struct batch_rows {
    void *self;
    bool (*number_of)(void *self, struct row_id id, uint64_t *number_out);
    bool (*id_of)(void *self, uint64_t number, struct row_id *id_out);
    bool unchecked; /* only for showing: what id_of gives is a stand-in, and the checksum is passed over */
};

/* Changes of one author, ascending by seq (gaps allowed where changes were superseded before they were cut).
 * ERR_USAGE for changes that cannot be: not ascending, an operation on the row itself that names a field, a
 * value that is too long; ERR_LIMIT for more than BATCH_CHANGES_MAX. `payload_out` is appended to. */
enum err batch_write(const struct batch_head *head, const struct batch_rows *rows,
                     const struct change *changes, uint32_t count, struct buf *payload_out,
                     struct diag *d) MUST_USE;
/* head->device and head->inc are read, the rest is filled in. ERR_CORRUPT with the offset; ERR_STATE when a
 * row number is unknown or the checksum differs (the author must send full ids). Texts point into `payload`
 * or `a`. */
enum err batch_read(struct arena *a, struct str payload, const struct batch_rows *rows,
                    struct batch_head *head, struct change **changes_out, uint32_t *count_out,
                    struct diag *d) MUST_USE;

/* Downlink payloads (schema 3) as the centre writes them: changes of many authors, in any order. */
#define BATCH_SCHEMA_DOWN 3

/* Who made a passed-on change, and its place in the centre's order. */
struct down_author {
    uint64_t device;
    uint32_t inc;
    uint64_t seq;
    int64_t hlc; /* effective */
    uint64_t server_seq;
    uint64_t row_number; /* server row number of the change's row, 0 = none */
};

/* head: device and inc as in the frame (the centre's), epoch, now, both cursors, caught_up. count 0 is a
 * signed "nothing new". A change's own seq and hlc are not looked at; on reading they are those of its author
 * entry. */
enum err down_write(const struct batch_head *head, const struct change *changes,
                    const struct down_author *authors, uint32_t count, struct buf *payload_out,
                    struct diag *d) MUST_USE;
enum err down_read(struct arena *a, struct str payload, struct batch_head *head, struct change **changes_out,
                   struct down_author **authors_out, uint32_t *count_out, struct diag *d) MUST_USE;

#endif
