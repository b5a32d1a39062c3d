/* Memory with an owner and an end.
 *
 * arena: bump allocation for one lifetime (a form, a request, a scratch calculation), freed at once,
 * with a cap that makes hostile input fail instead of the machine.
 * pool: blocks of changing size inside an arena with free lists by size class, for a session that
 * lives for hours while answers change.
 * vec macros: growing arrays inside an arena.
 *
 * Exhaustion is reported by NULL (callers return ERR_NOMEM); nothing here stops the process.
 * Built with DOORSTEP_ARENA_EACH, every allocation is a malloc of its own, so that sanitizers see it.
 */
#ifndef DOORSTEP_BASE_ARENA_H
#define DOORSTEP_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "platform/base/str.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    struct arena_block *spare;  /* rolled back, and kept for the next time */
    char *next;                 /* free room in the newest block */
    char *end;
    size_t used;     /* bytes handed out, padding included */
    size_t used_max; /* cap on `used` */
};

/* A cap of so many GiB, or of half the addresses there are. */
#define ARENA_GIB(n) ((uint64_t)(n) << 30 < SIZE_MAX / 2 ? (size_t)((uint64_t)(n) << 30) : SIZE_MAX / 2)

void arena_init(struct arena *a, size_t used_max);
void arena_free(struct arena *a); /* accepts a zeroed arena */

/* Zeroed, aligned to 16. NULL when the cap or the machine is exhausted. n may be 0. */
void *arena_alloc(struct arena *a, size_t n);
void *arena_array(struct arena *a, size_t count, size_t size); /* overflow-checked */
/* A copy that ends in NUL (not counted). p is NULL on exhaustion. */
struct str arena_str(struct arena *a, struct str s);
const char *arena_z(struct arena *a, struct str s);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, count) ((type *)arena_array((a), (count), sizeof(type)))

/* A mark to which a scratch arena can be rolled back; everything allocated since is gone. */
struct arena_mark {
    struct arena_block *block;
    char *next;
    size_t used;
};
struct arena_mark arena_mark(const struct arena *a);
void arena_release(struct arena *a, struct arena_mark mark);

#define POOL_CLASSES 24

struct pool {
    struct arena *arena;
    void *free_list[POOL_CLASSES];
};

void pool_init(struct pool *p, struct arena *a);
void *pool_alloc(struct pool *p, size_t n);            /* not zeroed; NULL on exhaustion */
void pool_free(struct pool *p, void *block, size_t n); /* n as allocated; block may be NULL */
void *pool_grow(struct pool *p, void *block, size_t n_old, size_t n_new); /* keeps min(n) bytes */

/* A growing array in an arena: struct { T *at; uint32_t count, room; }. vec_push gives a zeroed slot
 * or NULL. Outgrown copies stay in the arena until it ends, at most as many bytes again. */
#define VEC(type)       \
    struct {            \
        type *at;       \
        uint32_t count; \
        uint32_t room;  \
    }
void *vec_push_raw(struct arena *a, void **at, uint32_t *count, uint32_t *room, size_t size);
/* Room for at least so many items at once; false on exhaustion. Never needed, saves the outgrown copies. */
bool vec_reserve_raw(struct arena *a, void **at, uint32_t count, uint32_t *room, uint32_t wanted,
                     size_t size);
#define vec_reserve(a, v, wanted) \
    vec_reserve_raw((a), (void **)&(v)->at, (v)->count, &(v)->room, (wanted), sizeof(*(v)->at))
#define vec_push(a, v) vec_push_raw((a), (void **)&(v)->at, &(v)->count, &(v)->room, sizeof(*(v)->at))

#endif
