/* Open addressing with linear probing over a power of two, at most three quarters full. Nothing is ever
 * removed, so there are no graves. */
#include "platform/base/map.h"

void map_init(struct map *m, struct arena *a)
{
    *m = (struct map){.arena = a};
}

/* The slot of the key, or the free one where it belongs. The table is never full. */
static struct map_slot *map_slot(const struct map *m, struct str key)
{
    uint32_t mask = m->room - 1;
    uint64_t hash = str_hash(key);
    uint32_t at = (uint32_t)(hash ^ hash >> 32) & mask;
    while (m->slots[at].key.p && !str_eq(m->slots[at].key, key))
        at = (at + 1) & mask;
    return &m->slots[at];
}

bool map_get(const struct map *m, struct str key, uint32_t *value_out)
{
    if (m->room == 0)
        return false;
    const struct map_slot *slot = map_slot(m, key);
    if (!slot->key.p)
        return false;
    *value_out = slot->value;
    return true;
}

static enum err map_grow(struct map *m)
{
    uint32_t room = m->room ? m->room * 2 : 16;
    if (room < m->room)
        return ERR_NOMEM;
    struct map grown = {.arena = m->arena, .count = m->count, .room = room};
    grown.slots = ARENA_ARRAY(m->arena, struct map_slot, room);
    if (!grown.slots)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < m->room; i++) {
        if (m->slots[i].key.p)
            *map_slot(&grown, m->slots[i].key) = m->slots[i];
    }
    *m = grown;
    return ERR_OK;
}

enum err map_put(struct map *m, struct str key, uint32_t value)
{
    if (!key.p)
        key = STR("");
    if (m->count + 1 > m->room / 4 * 3) {
        enum err rc = map_grow(m);
        if (rc)
            return rc;
    }
    struct map_slot *slot = map_slot(m, key);
    if (!slot->key.p)
        m->count++;
    *slot = (struct map_slot){key, value};
    return ERR_OK;
}
