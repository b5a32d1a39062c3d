/* A hash table from text to a 32-bit number, in an arena: for compile-time look-ups (names of
 * nodes, functions, columns). Keys are not copied. Not for run-time paths: those use numbers.
 */
#ifndef DOORSTEP_BASE_MAP_H
#define DOORSTEP_BASE_MAP_H

#include "platform/base/arena.h"

struct map_slot {
    struct str key; /* p is NULL when free */
    uint32_t value;
};

struct map {
    struct arena *arena;
    struct map_slot *slots;
    uint32_t count;
    uint32_t room; /* power of two, or 0 */
};

void map_init(struct map *m, struct arena *a);
bool map_get(const struct map *m, struct str key, uint32_t *value_out);
/* Adds or replaces. ERR_NOMEM only. */
enum err map_put(struct map *m, struct str key, uint32_t value) MUST_USE;

#endif
