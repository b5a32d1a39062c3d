/* Aggregates over repeats, kept instead of computed: how many nodes there are, how many are answered, their
 * sum, the smallest and the largest.
 *
 * A tally belongs to a frame and a node below it: what sum(/data/member/age) or sum(../asset/value) runs over
 * from there. Each node under a tally has a share, which is what it last brought in; a change takes the old
 * share out and puts the new one in, whoever changed and why. Always true once the first tally was asked for:
 * every share says what its cell says now. count(/data/member[age < 16]) has shares of its own, empty where
 * the condition does not hold: the condition is a property of the member (PROP_PICK), computed anew when
 * something it reads changes and before whoever reads the count. Where it cannot be computed, the members are
 * walked.
 *
 * The sum is the one that adding up in document order would give, to the last bit: while all shares are
 * multiples of 2^-16 and small, no order can make a difference, and the sum moves by the difference. When one
 * is not (0.1), the sum is added up anew, once, when it is next asked for. So are the smallest and the
 * largest, when the one that held the record changes. Recursion follows the nesting of repeats.
 */
#include <math.h>

#include "forms/expr_impl.h"
#include "forms/instance.h"

#define UNIT 65536.0                  /* shares are exact in units of 1 / UNIT */
#define SHARE_MAX 1073741824.0        /* so that a hundred thousand of them fit */
#define EXACT_MAX ((uint64_t)1 << 53) /* units: below it every partial sum is a double */

enum share_flags { SHARE_PRESENT = 1, SHARE_GIVEN = 2, SHARE_NUMBER = 4, SHARE_EXACT = 8 };
enum tally_flags { TALLY_SUM_KNOWN = 1, TALLY_LOW_KNOWN = 2, TALLY_HIGH_KNOWN = 4 };

static struct share share_now(struct session *s, const struct frame *f, const struct tallied *t)
{
    struct share now = {0};
    uint32_t node = t->node;
    const struct cell *c = cell_at(s, f, node);
    const struct pick *pick = t->pick == NONE ? NULL : &s->form->picks.at[t->pick];
    if (c->hidden || (pick && !frame_up(s, f, pick->class)->picked[pick->slot]))
        return now;
    now.flags = SHARE_PRESENT;
    if (c->text.n == 0 || node_at(s, node)->has_elements)
        return now;
    struct value v = cell_value(s, f, node, false);
    struct eval e;
    if (v.type == VALUE_NUMBER) {
        now.number = v.number;
    } else {
        struct arena_mark mark = arena_mark(&s->scratch);
        eval_init(s, &e, &s->scratch);
        if (!value_blank(&e, &v))
            now.flags |= SHARE_GIVEN;
        now.number = value_quantity(&e, &v).number;
        arena_release(&s->scratch, mark);
    }
    if (isnan(now.number))
        return now;
    now.flags |= SHARE_GIVEN | SHARE_NUMBER;
    if (fabs(now.number) < SHARE_MAX && trunc(now.number * UNIT) == now.number * UNIT)
        now.flags |= SHARE_EXACT;
    return now;
}

static void take_out(struct tally *t, const struct share *old)
{
    t->present -= (old->flags & SHARE_PRESENT) != 0;
    t->given -= (old->flags & SHARE_GIVEN) != 0;
    if (!(old->flags & SHARE_NUMBER))
        return;
    t->numbers--;
    if (old->flags & SHARE_EXACT) {
        t->units -= (int64_t)(old->number * UNIT);
        t->magnitude -= (uint64_t)(fabs(old->number) * UNIT);
    } else {
        t->inexact--;
    }
    t->known &= (uint8_t)~TALLY_SUM_KNOWN;
    if (old->number <= t->low)
        t->known &= (uint8_t)~TALLY_LOW_KNOWN;
    if (old->number >= t->high)
        t->known &= (uint8_t)~TALLY_HIGH_KNOWN;
}

static void put_in(struct tally *t, const struct share *now)
{
    t->present += (now->flags & SHARE_PRESENT) != 0;
    t->given += (now->flags & SHARE_GIVEN) != 0;
    if (!(now->flags & SHARE_NUMBER))
        return;
    t->numbers++;
    if (now->flags & SHARE_EXACT) {
        t->units += (int64_t)(now->number * UNIT);
        t->magnitude += (uint64_t)(fabs(now->number) * UNIT);
    } else {
        t->inexact++;
    }
    t->known &= (uint8_t)~TALLY_SUM_KNOWN;
    if (t->known & TALLY_LOW_KNOWN && now->number < t->low)
        t->low = now->number;
    if (t->known & TALLY_HIGH_KNOWN && now->number > t->high)
        t->high = now->number;
}

static void set_share(struct session *s, struct frame *f, const struct tallied *of, struct share now)
{
    struct share *old = &f->shares[of->share];
    if (old->flags == now.flags && (old->number == now.number || !(now.flags & SHARE_NUMBER)))
        return;
    for (uint32_t i = of->place; i != NONE; i = s->form->tallies.at[i].next) {
        const struct tally_place *p = &s->form->tallies.at[i];
        struct tally *t = &s->frames.at[frame_up(s, f, p->base)->number]->tallies[p->slot];
        take_out(t, old);
        put_in(t, &now);
    }
    *old = now;
}

void tally_update(struct session *s, struct frame *f, uint32_t node)
{
    for (uint32_t t = node_at(s, node)->tallied; s->tallying && t != NONE; t = s->form->tallied.at[t].next)
        set_share(s, f, &s->form->tallied.at[t], share_now(s, f, &s->form->tallied.at[t]));
}

void tally_frame(struct session *s, struct frame *f, bool there)
{
    const struct frame_class *class = &s->form->classes.at[f->class];
    for (uint32_t i = 0; s->tallying && i < class->share_count; i++) {
        const struct tallied *t = &s->form->tallied.at[s->form->shares.at[class->share_first + i]];
        set_share(s, f, t, there ? share_now(s, f, t) : (struct share){0});
    }
}

static void update_below(struct session *s, struct frame *f, const struct tallied *t, const uint32_t *chain,
                         uint32_t depth)
{
    if (depth == 0) {
        set_share(s, f, t, share_now(s, f, t));
        return;
    }
    const struct frame_list *list = frame_list(s, f, chain[depth - 1]);
    for (uint32_t i = entry_from(list, 0); i < list->used; i = entry_from(list, i + 1))
        update_below(s, s->frames.at[list->at[i]], t, chain, depth - 1);
}

void tally_pick(struct session *s, struct frame *f, const struct pick *pick)
{
    const struct tallied *t = &s->form->tallied.at[pick->tallied];
    uint32_t chain[REF_DEPTH_MAX + 1], depth = 0;
    for (uint32_t c = node_at(s, t->node)->class; c != pick->class; c = s->form->classes.at[c].parent)
        chain[depth++] = c;
    if (s->tallying)
        update_below(s, f, t, chain, depth);
}

static void begin(struct session *s)
{
    s->tallying = true;
    for (uint32_t i = 0; i < s->frames.count; i++)
        if (s->frames.at[i])
            tally_frame(s, s->frames.at[i], true);
}

/* --- adding up --- */

struct totals {
    double sum, low, high;
    bool any;
};

static void add_up(const struct session *s, const struct frame *from, const uint32_t *chain, uint32_t depth,
                   uint32_t share, struct totals *out)
{
    const struct frame_list *list = frame_list(s, from, chain[depth - 1]);
    for (uint32_t i = entry_from(list, 0); i < list->used; i = entry_from(list, i + 1)) {
        const struct frame *f = s->frames.at[list->at[i]];
        if (depth > 1) {
            add_up(s, f, chain, depth - 1, share, out);
            continue;
        }
        const struct share *one = &f->shares[share];
        if (!(one->flags & SHARE_NUMBER))
            continue;
        out->sum += one->number;
        if (!out->any || one->number < out->low)
            out->low = one->number;
        if (!out->any || one->number > out->high)
            out->high = one->number;
        out->any = true;
    }
}

static void bring_up_to_date(const struct session *s, const struct frame *base, const struct tally_place *p,
                             struct tally *t)
{
    const struct tallied *of = &s->form->tallied.at[p->tallied];
    uint32_t chain[REF_DEPTH_MAX + 1], depth = 0;
    struct totals totals = {0};
    for (uint32_t c = node_at(s, of->node)->class; c != p->base; c = s->form->classes.at[c].parent)
        chain[depth++] = c;
    CHECK(depth > 0); /* a tally stands above its node */
    add_up(s, base, chain, depth, of->share, &totals);
    t->sum = totals.sum;
    t->low = totals.low;
    t->high = totals.high;
    t->known = TALLY_SUM_KNOWN | TALLY_LOW_KNOWN | TALLY_HIGH_KNOWN;
}

static double total(const struct session *s, const struct frame *base, const struct tally_place *p,
                    struct tally *t)
{
    if (t->inexact == 0 && t->magnitude < EXACT_MAX)
        return (double)t->units / UNIT;
    if (!(t->known & TALLY_SUM_KNOWN))
        bring_up_to_date(s, base, p, t);
    return t->sum;
}

static double record(const struct session *s, const struct frame *base, const struct tally_place *p,
                     struct tally *t, bool low)
{
    if (t->numbers == 0)
        return NOT_A_NUMBER;
    if (!(t->known & (low ? TALLY_LOW_KNOWN : TALLY_HIGH_KNOWN)))
        bring_up_to_date(s, base, p, t);
    return low ? t->low : t->high;
}

/* An expression that no property has, such as a label's, asks without a number: the same may be kept for
 * another. */
static uint32_t place_of_kept(const struct session *s, const struct frame *from, const struct expr_kept *kept)
{
    const struct schema_node *n = node_at(s, ref_node(kept->ref));
    if (kept->number != EXPR_REF_NONE || kept->condition ||
        (n->has_elements && kept->what != AGGREGATE_COUNT))
        return kept->number;
    uint32_t base = form_base_class(s->form, from->class, kept->ref, false);
    for (uint32_t t = n->tallied; t != NONE; t = s->form->tallied.at[t].next)
        for (uint32_t i = s->form->tallied.at[t].place; i != NONE; i = s->form->tallies.at[i].next)
            if (s->form->tallied.at[t].pick == NONE && s->form->tallies.at[i].base == base)
                return i;
    return NONE;
}

bool tally_read(struct session *s, const struct frame *from, const struct expr_kept *kept, struct value *out)
{
    uint32_t place = s->supposing ? NONE : place_of_kept(s, from, kept);
    if (place == NONE)
        return false;
    const struct tally_place *p = &s->form->tallies.at[place];
    uint32_t pick = s->form->tallied.at[p->tallied].pick;
    if (pick != NONE && s->unpicked && s->unpicked[pick])
        return false;
    if (!s->tallying)
        begin(s);
    const struct frame *base = frame_up(s, from, p->base);
    struct tally *t = &base->tallies[p->slot];
    *out = (struct value){.type = VALUE_NUMBER};
    switch (kept->what) {
    case AGGREGATE_COUNT: out->number = t->present; break;
    case AGGREGATE_GIVEN: out->number = t->given; break;
    case AGGREGATE_SUM: out->number = total(s, base, p, t); break;
    case AGGREGATE_MIN: out->number = record(s, base, p, t, true); break;
    case AGGREGATE_MAX: out->number = record(s, base, p, t, false); break;
    }
    return true;
}
