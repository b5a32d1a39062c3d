/* The payload of change frames: columns of rows, fields, clocks and values. Lossless for any value; decodes alone, whatever
 * arrived before it. Grammar: docs/WIRE.md. The writer makes each value as short as it can without a form at hand.
 */
#ifndef DOORSTEP_SYNC_BATCH_H
#define DOORSTEP_SYNC_BATCH_H

#include "sync/change.h"

#define BATCH_SCHEMA_CHANGES 1
#define BATCH_CHANGES_MAX 20000
#define BATCH_RAW_AIM (64u << 10)
#define BATCH_VALUE_MAX (1u << 20)

struct batch_head {
    uint64_t device;      /* author, as in the frame */
    uint32_t inc;
    uint32_t epoch;       /* server epoch the author knows */
    int64_t now_ms;       /* author's wall clock when frozen */
    int64_t anchor_ms;    /* last signed server time the author verified */
    int64_t elapsed_ms;   /* monotonic time since then; -1 = rebooted since, unknown */
    uint64_t cursor;      /* DOWN: cursor after applying this frame */
};

/* A row the author has a server row number for is written by that number: shorter; the head then carries a checksum over the full
 * ids of all rows named so. The callbacks may be NULL: full ids only. */
struct batch_rows {
    void *self;
    bool (*number_of)(void *self, struct row_id id, uint64_t *number_out);
    bool (*id_of)(void *self, uint64_t number, struct row_id *id_out);
};

/* Changes of one author, ascending by seq (gaps allowed where changes were superseded before they were cut). */
enum err batch_write(const struct batch_head *head, const struct batch_rows *rows, const struct change *changes, uint32_t count,
                     struct buf *payload_out, struct diag *d) MUST_USE;
/* ERR_CORRUPT with the offset; ERR_STATE when a row number is unknown or the checksum differs (the author must send full ids). Texts point
 * into `payload` or `a`. */
enum err batch_read(struct arena *a, struct str payload, const struct batch_rows *rows, struct batch_head *head_out,
                    struct change **changes_out, uint32_t *count_out, struct diag *d) MUST_USE;

/* Drops changes that a later one of the same author in the list makes invisible (same row and field, nobody else could have seen them).
 * In place; keeps order; returns the new count. Keystrokes of a draft never travel. */
uint32_t batch_coalesce(struct arena *a, struct change *changes, uint32_t count);

#endif
