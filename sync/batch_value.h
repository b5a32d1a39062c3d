/* Values on the wire: a tag and, where the tag does not say it all, a body. Whatever a value looks like,
 * whole number, date, hash or prose, it comes back byte for byte; the shape only decides how few bytes it
 * takes. Nothing here knows a form, so that a value which does not match its question travels as well as one
 * that does. Grammar: docs/WIRE.md.
 */
#ifndef DOORSTEP_SYNC_BATCH_VALUE_H
#define DOORSTEP_SYNC_BATCH_VALUE_H

#include "platform/base/map.h"
#include "sync/change.h"

/* What writer and reader must agree on while they walk through the values of one payload. */
struct value_coder {
    struct arena *arena;
    int64_t now_s;         /* of the change at hand: times near it are shorter */
    struct row_id author;  /* of the change at hand; counter: of the row named last by a UUID */
    uint64_t zone;         /* of the instant met last */
    VEC(struct str) texts; /* longer values met so far: a repetition is a reference */
    struct map index;      /* writer only: text -> place in texts */
};

void value_coder_init(struct value_coder *c, struct arena *a);
/* Appends one tag to `tags`, and the body. `row` is the row that the value belongs to. */
enum err value_put(struct value_coder *c, struct row_id row, struct str value, struct buf *tags,
                   struct buf *body) MUST_USE;
/* The value for a tag whose body comes next in `r`; on malformed bytes r->failed and "". ERR_NOMEM only. */
enum err value_get(struct value_coder *c, struct row_id row, uint8_t tag, struct reader *r,
                   struct str *value_out) MUST_USE;

#endif
