/* What merging and packing share: the sorted arrays of a record. Private to sync/merge*.
 */
#ifndef DOORSTEP_SYNC_MERGE_PACK_H
#define DOORSTEP_SYNC_MERGE_PACK_H

#include "sync/merge.h"

/* Nobody has seen what came after the own change. */
static inline uint64_t honest_seen(uint64_t seen, uint64_t server_seq)
{
    return server_seq && seen >= server_seq ? server_seq - 1 : seen;
}

/* The author's mark, or cell, made when absent; NULL without memory. */
struct version_mark *mark_of(struct arena *a, struct record *r, uint32_t field, uint64_t device,
                             uint32_t inc);
struct record_cell *cell_of(struct arena *a, struct record *r, uint32_t field);

#endif
