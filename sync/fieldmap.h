/* Stable numbers for a form's fields and repeats.
 *
 * A form version numbers its fields in document order, and every version may insert some. What travels and
 * what is stored uses stable numbers instead, which the centre gives out per form id and path and never uses
 * twice. A map is text, short because most versions keep their order: runs "1-40,45,41-44", a semicolon, and
 * the same for repeats. The number of a field says its policy too (change.h). "" is what a first version
 * gets: 1, 2, 3 ... among the fields of each policy, and among the repeats.
 */
#ifndef DOORSTEP_SYNC_FIELDMAP_H
#define DOORSTEP_SYNC_FIELDMAP_H

#include "sync/change.h"

struct fieldmap {
    uint32_t field_count, repeat_count;
    uint32_t *field_stable; /* by number in this version; stable numbers start at 1 */
    uint32_t *repeat_stable;
    /* By policy, then by what the stable number has beyond the policy's first one. */
    uint32_t *field_local[FIELD_POLICIES];
    uint32_t field_local_count[FIELD_POLICIES];
    uint32_t *repeat_local;
    uint32_t repeat_local_count;
};
#define FIELDMAP_NONE UINT32_MAX
#define FIELDMAP_STABLE_MAX (FIELD_POLICIES * FIELD_POLICY_NUMBERS - 1)

/* The field's number in this version; FIELDMAP_NONE where it has none. */
static inline uint32_t fieldmap_local(const struct fieldmap *m, uint32_t stable)
{
    uint32_t policy = stable / FIELD_POLICY_NUMBERS, at = stable % FIELD_POLICY_NUMBERS;
    return policy < FIELD_POLICIES && at < m->field_local_count[policy] ? m->field_local[policy][at]
                                                                        : FIELDMAP_NONE;
}

/* `fields`, `repeats`: how many this version has; `policies`: one enum field_policy per field (NULL: whoever
 * made the list had no memory). ERR_CORRUPT when the text does not give exactly so many different numbers. */
enum err fieldmap_read(struct arena *a, struct str text, const unsigned char *policies, uint32_t fields,
                       uint32_t repeats, struct fieldmap *out, struct diag *d) MUST_USE;
/* Text for these stable numbers; writes nothing ("") when they are those of a first version. */
void fieldmap_write(const uint32_t *fields, uint32_t field_count, const uint32_t *repeats,
                    uint32_t repeat_count, struct buf *out);

#endif
