/* Arena, pool and vec: see arena.h for what they promise.
 *
 * Always true: `used` never passes `used_max`; memory handed out is zeroed and aligned to 16; under
 * AddressSanitizer every byte that is not handed out is poisoned, so that an overrun inside a block is seen
 * too. */
#include "platform/base/arena.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define ALIGN 16
#define BLOCK_FIRST ((size_t)4 << 10)
#define BLOCK_MAX ((size_t)1 << 20) /* beyond this, doubling wastes more memory than calls cost */

struct arena_block {
    struct arena_block *older;
    size_t size; /* of the data that follows */
};

#define HEADER ((sizeof(struct arena_block) + ALIGN - 1) / ALIGN * ALIGN)

static char *block_data(struct arena_block *b)
{
    return (char *)b + HEADER;
}

void arena_init(struct arena *a, size_t used_max)
{
    *a = (struct arena){.used_max = used_max};
}

static void block_free(struct arena_block *b)
{
    UNPOISON(block_data(b), b->size);
    free(b);
}

/* Of the blocks that a roll-back leaves over the largest is kept: an evaluation that needs one will be
 * followed by another. */
static void block_keep(struct arena *a, struct arena_block *b)
{
#ifndef DOORSTEP_ARENA_EACH
    if (b->size <= BLOCK_MAX && (!a->spare || a->spare->size < b->size)) {
        struct arena_block *smaller = a->spare;
        a->spare = b;
        POISON(block_data(b), b->size);
        b = smaller;
    }
#else
    (void)a;
#endif
    if (b)
        block_free(b);
}

void arena_free(struct arena *a)
{
    if (a->spare)
        block_free(a->spare);
    a->spare = NULL;
    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->older;
        block_free(b);
    }
    a->next = a->end = NULL;
    a->used = 0;
}

static bool block_add(struct arena *a, size_t need)
{
    size_t size = need;
#ifndef DOORSTEP_ARENA_EACH
    size_t grow = a->blocks ? a->blocks->size * 2 : BLOCK_FIRST;
    if (grow > BLOCK_MAX)
        grow = BLOCK_MAX;
    if (grow > a->used_max - a->used)
        grow = a->used_max - a->used;
    if (size < grow)
        size = grow;
#endif
    if (size > SIZE_MAX - HEADER)
        return false;
    struct arena_block *b = a->spare;
    if (b && b->size >= need) {
        a->spare = NULL;
        size = b->size;
    } else {
        b = malloc(HEADER + size);
        if (!b)
            return false;
        b->size = size;
    }
    b->older = a->blocks;
    a->blocks = b;
    a->next = block_data(b);
    a->end = a->next + size;
    POISON(a->next, size);
    return true;
}

/* Not zeroed. */
static void *alloc_raw(struct arena *a, size_t n)
{
    if (n > SIZE_MAX - ALIGN)
        return NULL;
    size_t size = n == 0 ? ALIGN : (n + ALIGN - 1) / ALIGN * ALIGN;
    if (size > a->used_max - a->used)
        return NULL;
    if ((size_t)(a->end - a->next) < size && !block_add(a, size))
        return NULL;
    char *p = a->next;
    a->next += size;
    a->used += size;
    UNPOISON(p, n);
    return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
    void *p = alloc_raw(a, n);
    if (p)
        memset(p, 0, n);
    return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    return arena_alloc(a, count * size);
}

struct str arena_str(struct arena *a, struct str s)
{
    if (s.n == SIZE_MAX)
        return STR_NONE;
    char *p = alloc_raw(a, s.n + 1);
    if (!p)
        return STR_NONE;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return (struct str){p, s.n};
}

const char *arena_z(struct arena *a, struct str s)
{
    return arena_str(a, s).p;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){a->blocks, a->next, a->used};
}

void arena_release(struct arena *a, struct arena_mark mark)
{
    while (a->blocks != mark.block) {
        struct arena_block *b = a->blocks;
        CHECK(b != NULL); /* the mark is of this arena, and not from inside a mark already released */
        a->blocks = b->older;
        block_keep(a, b);
    }
    a->next = mark.next;
    a->end = a->blocks ? block_data(a->blocks) + a->blocks->size : NULL;
    a->used = mark.used;
    if (a->next)
        POISON(a->next, (size_t)(a->end - a->next));
}

/* A free block carries the link to the next one in its first bytes. */
static unsigned pool_class(size_t n)
{
    unsigned c = 0;
    while (c < POOL_CLASSES && ((size_t)ALIGN << c) < n)
        c++;
    return c;
}

void pool_init(struct pool *p, struct arena *a)
{
    *p = (struct pool){.arena = a};
}

void *pool_alloc(struct pool *p, size_t n)
{
    unsigned c = pool_class(n);
    if (c == POOL_CLASSES)
        return NULL;
    size_t size = (size_t)ALIGN << c;
    char *block = p->free_list[c];
    if (block)
        memcpy(&p->free_list[c], block, sizeof(void *));
    else
        block = alloc_raw(p->arena, size);
    if (!block)
        return NULL;
    POISON(block, size);
    UNPOISON(block, n);
    return block;
}

void pool_free(struct pool *p, void *block, size_t n)
{
    if (!block)
        return;
    unsigned c = pool_class(n);
    CHECK(c < POOL_CLASSES);
    size_t size = (size_t)ALIGN << c;
    UNPOISON(block, sizeof(void *));
    memcpy(block, &p->free_list[c], sizeof(void *));
    p->free_list[c] = block;
    POISON((char *)block + ALIGN / 2, size - ALIGN / 2);
}

void *pool_grow(struct pool *p, void *block, size_t n_old, size_t n_new)
{
    if (block && pool_class(n_old) == pool_class(n_new)) {
        POISON(block, (size_t)ALIGN << pool_class(n_new));
        UNPOISON(block, n_new);
        return block;
    }
    void *grown = pool_alloc(p, n_new);
    if (!grown)
        return NULL;
    if (block)
        memcpy(grown, block, n_old < n_new ? n_old : n_new);
    pool_free(p, block, n_old);
    return grown;
}

/* The caller's array is a T *, not a void *: it is read and written as bytes. */
bool vec_reserve_raw(struct arena *a, void **at, uint32_t count, uint32_t *room, uint32_t wanted, size_t size)
{
    char *items;
    if (wanted <= *room)
        return true;
    char *grown = wanted <= SIZE_MAX / size ? alloc_raw(a, wanted * size) : NULL;
    if (!grown)
        return false;
    memcpy(&items, (const void *)at, sizeof items);
    if (count)
        memcpy(grown, items, count * size);
    memcpy((void *)at, &grown, sizeof grown);
    *room = wanted;
    return true;
}

void *vec_push_raw(struct arena *a, void **at, uint32_t *count, uint32_t *room, size_t size)
{
    char *items;
    if (*count == *room) {
        uint32_t wanted = *room ? *room * 2 : 8;
        if (wanted < *room || !vec_reserve_raw(a, at, *count, room, wanted, size))
            return NULL;
    }
    memcpy(&items, (const void *)at, sizeof items);
    char *item = items + (size_t)(*count)++ * size;
    memset(item, 0, size);
    return item;
}
