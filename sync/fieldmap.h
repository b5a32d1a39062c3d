/* Stable numbers for a form's fields and repeats.
 *
 * A form version numbers its fields in document order, and every version may insert some. What travels and
 * what is stored uses stable numbers instead, which the centre gives out per form id and path and never uses
 * twice. A map is text, short because most versions keep their order: runs "1-40,45,41-44", a semicolon, and
 * the same for repeats. "" means 1, 2, 3 ... for both.
 */
#ifndef DOORSTEP_SYNC_FIELDMAP_H
#define DOORSTEP_SYNC_FIELDMAP_H

#include "platform/base/arena.h"
#include "platform/base/buf.h"

struct fieldmap {
    uint32_t field_count, repeat_count;
    uint32_t *field_stable; /* by number in this version; stable numbers start at 1 */
    uint32_t *repeat_stable;
    uint32_t *field_local; /* by stable number; FIELDMAP_NONE where this version has none */
    uint32_t field_local_count;
    uint32_t *repeat_local;
    uint32_t repeat_local_count;
};
#define FIELDMAP_NONE UINT32_MAX
#define FIELDMAP_STABLE_MAX 1000000u

/* `fields`, `repeats`: how many this version has. ERR_CORRUPT when the text does not give exactly so many
 * different numbers. */
enum err fieldmap_read(struct arena *a, struct str text, uint32_t fields, uint32_t repeats,
                       struct fieldmap *out, struct diag *d) MUST_USE;
/* Text for these stable numbers; writes nothing ("") when both are 1, 2, 3 ... */
void fieldmap_write(const uint32_t *fields, uint32_t field_count, const uint32_t *repeats,
                    uint32_t repeat_count, struct buf *out);

#endif
