/* An entity list as a handheld knows it: what the centre published, and over it what visits said since. Pure:
 * bytes and changes in, CSV out.
 *
 * Columns are ODK's: name (the entity's id), label, __version, __trunkVersion, __branchId, then properties.
 * An entity that is new here has version 1 and no trunk; each change adds one. One of the centre's list has
 * its version for a trunk and, from here on, a branch of this device. When the list that the centre published
 * counts further than the change would, the centre has it already.
 */
#ifndef DOORSTEP_AGENT_ENTITY_LIST_H
#define DOORSTEP_AGENT_ENTITY_LIST_H

#include "agent/store.h"

/* `base`: the published CSV, p NULL = none. `device` makes the branches this device's own. `changes` are in
 * order. */
enum err entity_list_write(struct arena *a, struct str base, const struct entity_change *changes,
                           uint32_t count, uint64_t device, struct buf *out, struct diag *d) MUST_USE;

#endif
