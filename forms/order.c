/* The entries of one repeat in their order: where is an entry, which one stands at a place, one more at the
 * end, one less anywhere; each in O(log n), removals amortised.
 *
 * An entry keeps its slot as long as it lives, and one that is taken out leaves a hole. sums[i] counts the
 * entries among the slots that end at i as a binary indexed tree has them, so a place is a sum of at most
 * log n counts. Entries put aside by jr:count wait at the far end of the same array: the one that comes back
 * first stands first there, so reading slots from the front and then those gives the document's order. Always
 * true: the last used slot is no hole, and holes are at most a few more than entries; beyond that the entries
 * move together, which removals have paid for by then. Entries never move past each other.
 */
#include "forms/instance.h"

#define HOLES_FREE 16 /* not worth moving entries for */

static uint32_t *sums_of(const struct frame_list *l)
{
    return l->at + l->room - 1; /* numbered from 1 */
}

static uint32_t low_bit(uint32_t i)
{
    return i & (0u - i);
}

static void append(struct session *s, struct frame_list *l, uint32_t number)
{
    uint32_t *sums = sums_of(l), i = l->used + 1;
    l->at[l->used] = number;
    sums[i] = 1;
    for (uint32_t k = i - 1; k > i - low_bit(i); k -= low_bit(k))
        sums[i] += sums[k];
    s->frames.at[number]->slot = l->used++;
    l->active++;
}

static enum err make_room(struct session *s, struct frame_list *l)
{
    uint32_t room = l->room ? l->room * 2 : 2, *at;
    if (l->used + l->aside < l->room)
        return ERR_OK;
    at = pool_alloc(&s->pool, room * 2 * sizeof(*at));
    if (!at)
        return ERR_NOMEM;
    if (l->room) {
        memcpy(at, l->at, l->used * sizeof(*at));
        memcpy(at + room, l->at + l->room, l->used * sizeof(*at));
        memcpy(at + room - l->aside, l->at + l->room - l->aside, l->aside * sizeof(*at));
    }
    order_free(s, l);
    l->at = at;
    l->room = room;
    return ERR_OK;
}

void order_free(struct session *s, struct frame_list *l)
{
    pool_free(&s->pool, l->at, l->room * 2 * sizeof(*l->at));
}

enum err order_add(struct session *s, struct frame_list *l, uint32_t number)
{
    enum err rc = make_room(s, l);
    if (!rc)
        append(s, l, number);
    return rc;
}

static void close_holes(struct session *s, struct frame_list *l)
{
    uint32_t used = l->used;
    l->used = l->active = 0;
    for (uint32_t i = 0; i < used; i++)
        if (l->at[i] != NONE)
            append(s, l, l->at[i]);
}

void order_take_out(struct session *s, struct frame_list *l, const struct frame *f)
{
    CHECK(!f->surplus && l->at[f->slot] == f->number);
    uint32_t *sums = sums_of(l);
    for (uint32_t i = f->slot + 1; i <= l->used; i += low_bit(i))
        sums[i]--;
    l->at[f->slot] = NONE;
    l->active--;
    while (l->used && l->at[l->used - 1] == NONE)
        l->used--;
    if (l->used - l->active > l->active + HOLES_FREE)
        close_holes(s, l);
}

struct frame *order_put_aside(struct session *s, struct frame_list *l)
{
    struct frame *f = s->frames.at[l->at[l->used - 1]];
    order_take_out(s, l, f);
    f->slot = l->aside++;
    l->at[l->room - l->aside] = f->number;
    return f;
}

struct frame *order_take_back(struct session *s, struct frame_list *l)
{
    uint32_t number = l->at[l->room - l->aside--];
    append(s, l, number);
    return s->frames.at[number];
}

uint32_t order_position(const struct frame_list *l, const struct frame *f)
{
    if (f->surplus)
        return l->active + l->aside - 1 - f->slot;
    if (l->used == l->active)
        return f->slot;
    const uint32_t *sums = sums_of(l);
    uint32_t before = 0;
    for (uint32_t i = f->slot; i > 0; i -= low_bit(i))
        before += sums[i];
    return before;
}

uint32_t order_slot(const struct frame_list *l, uint32_t position)
{
    if (l->used == l->active || position >= l->active)
        return position < l->active ? position : l->used;
    const uint32_t *sums = sums_of(l);
    uint32_t slot = 0, step = 1;
    while (step <= l->used / 2)
        step *= 2;
    for (; step > 0; step /= 2)
        if (slot + step <= l->used && sums[slot + step] <= position) {
            slot += step;
            position -= sums[slot];
        }
    return slot;
}

/* Saved rows come in their order nearly always. */
void order_sort(struct session *s, struct frame_list *l)
{
    for (uint32_t i = 1; i < l->used; i++) {
        uint32_t number = l->at[i], k = i;
        for (; k > 0 && s->frames.at[l->at[k - 1]]->order > s->frames.at[number]->order; k--)
            l->at[k] = l->at[k - 1];
        l->at[k] = number;
    }
    for (uint32_t i = 0; i < l->used; i++)
        s->frames.at[l->at[i]]->slot = i;
}
