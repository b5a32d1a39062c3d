/* Brings everything up to date after a change: marks what reads the changed node, then evaluates marked
 * properties in their order, each at most once as long as no repeat grows, and stops where a value comes out
 * as before. A frame's dirty bit and the pending list of a property say the same; the bit decides. Runs in
 * one loop without recursion.
 */
#include "forms/instance.h"

/* A count that depends on its own instances ("another one?") may grow a few times; one that never settles is
 * cut off. */
#define RECOUNTS_MAX 1000u
#define ROUNDS_SPARE 1000u /* of the whole queue, beyond one for each entry */
/* Nodes of containers' texts that one change may put together. What every entry reads of all others
 * grows with their square, and no single evaluation shows it. */
#define TEXT_WALK_MAX 250000u
/* Fuel of an evaluation that costs much: it is left out once a change has spent what it may, so that the rest
 * of the form goes on. At twice as much nothing is computed any more. */
#define WORK_MUCH 1000u

/* --- marking --- */

void mark_prop(struct session *s, uint32_t prop, struct frame *f)
{
    const struct prop *p = &s->form->props.at[prop];
    uint64_t bit = (uint64_t)1 << (p->bit % 64);
    if (f->dirty[p->bit / 64] & bit)
        return;
    struct pending *list = &s->pending[prop];
    if (list->count == list->room) {
        uint32_t room = list->room ? list->room * 2 : 2;
        uint32_t *at = pool_grow(&s->pool, list->at, list->room * sizeof(*at), room * sizeof(*at));
        if (!at) {
            s->broken = true;
            return;
        }
        list->at = at;
        list->room = room;
    }
    list->at[list->count++] = f->number;
    f->dirty[p->bit / 64] |= bit;
    s->pending_bits[prop / 64] |= (uint64_t)1 << (prop % 64);
    if (prop / 64 < s->pending_low)
        s->pending_low = prop / 64;
}

void mark_frame(struct session *s, struct frame *f)
{
    const struct frame_class *class = &s->form->classes.at[f->class];
    for (uint32_t i = 0; i < class->prop_count; i++)
        mark_prop(s, s->form->class_props.at[class->prop_first + i], f);
}

/* All frames in use of the property's class below `from`. Recursion follows the nesting of repeats. */
static void mark_below(struct session *s, const struct frame *from, const struct dependant *d,
                       const uint32_t *chain, uint32_t depth, const struct frame *changed)
{
    if (depth == 0) {
        if (!d->later || frame_compare(s, changed, from) < 0)
            mark_prop(s, d->prop, s->frames.at[from->number]);
        return;
    }
    const struct frame_list *list = frame_list(s, from, chain[depth - 1]);
    for (uint32_t i = entry_from(list, 0); i < list->used; i = entry_from(list, i + 1))
        mark_below(s, s->frames.at[list->at[i]], d, chain, depth - 1, changed);
}

/* A property of which all frames wait already needs no second walk: a thousand entries that feed one sum, or
 * sums that stand in each of them, would otherwise cost a million steps. */
static void mark_dependant(struct session *s, const struct frame *f, const struct dependant *d)
{
    uint32_t class = s->form->props.at[d->prop].class, chain[REF_DEPTH_MAX + 1], depth = 0;
    for (uint32_t c = class; c != d->base; c = s->form->classes.at[c].parent)
        chain[depth++] = c;
    const struct frame *base = frame_up(s, f, d->base);
    struct pending *pending = &s->pending[d->prop];
    if (depth > 0 && pending->whole == base->number + 1)
        return;
    mark_below(s, base, d, chain, depth, f);
    if (depth > 0 && !d->later)
        pending->whole = base->number + 1;
}

static void mark_all_readers(struct session *s)
{
    for (uint32_t i = 0; i < s->form->all_readers.count; i++) {
        uint32_t prop = s->form->all_readers.at[i];
        if (prop <= s->running && s->running != NONE)
            continue; /* it would chase its own tail */
        struct dependant d = {.prop = prop, .base = 0};
        mark_dependant(s, s->frames.at[0], &d);
    }
}

static void wake(struct session *s, struct frame *f, uint32_t node, bool value_only)
{
    const struct schema_node *n = node_at(s, node);
    tally_update(s, f, node);
    for (uint32_t i = n->dependant_first; i < n->dependant_end; i++)
        if (!value_only || s->form->dependants.at[i].kind != READ_COUNT)
            mark_dependant(s, f, &s->form->dependants.at[i]);
    if (s->form->all_readers.count)
        mark_all_readers(s);
}

void touch(struct session *s, struct frame *f, uint32_t node)
{
    wake(s, f, node, false);
}

/* Another value is not another number of nodes. */
void touch_value(struct session *s, struct frame *f, uint32_t node)
{
    wake(s, f, node, true);
}

/* What asks an entry for its place from inside it; who asks from outside, such as count(), is told once. */
static bool asks_position(const struct dependant *d, uint32_t class)
{
    return d->kind == READ_COUNT && d->base == class;
}

bool position_is_read(const struct form *f, uint32_t class)
{
    const struct schema_node *n = &f->nodes.at[f->classes.at[class].node];
    bool read = false;
    for (uint32_t i = n->dependant_first; i < n->dependant_end && !read; i++)
        read = asks_position(&f->dependants.at[i], class);
    return read;
}

void touch_position(struct session *s, const struct frame *f)
{
    const struct schema_node *n = node_at(s, s->form->classes.at[f->class].node);
    for (uint32_t i = n->dependant_first; i < n->dependant_end; i++)
        if (asks_position(&s->form->dependants.at[i], f->class))
            mark_dependant(s, f, &s->form->dependants.at[i]);
}

void touch_frame(struct session *s, struct frame *f)
{
    const struct frame_class *class = &s->form->classes.at[f->class];
    for (uint32_t i = 0; i < class->slot_count; i++)
        touch(s, f, s->form->class_nodes.at[class->slots + i]);
    for (uint32_t k = 0; k < class->child_count; k++)
        for (uint32_t i = entry_from(&f->lists[k], 0); i < f->lists[k].used;
             i = entry_from(&f->lists[k], i + 1))
            touch_frame(s, s->frames.at[f->lists[k].at[i]]);
}

/* --- evaluating one property --- */

static enum err eval_truth(struct session *s, const struct expr *x, struct node context, bool *out)
{
    struct value v;
    enum err rc = evaluate_in(&s->work, x, context, &v);
    if (!rc)
        *out = value_truth(&s->work, &v) == TRUTH_TRUE;
    return rc;
}

static enum err do_relevant(struct session *s, const struct prop *p, struct frame *f)
{
    bool relevant = false;
    enum err rc = eval_truth(s, p->expr, (struct node){0, f->number, p->node}, &relevant);
    if (!rc)
        cell_set_relevant(s, f, p->node, relevant);
    return rc;
}

static enum err do_calculate(struct session *s, const struct prop *p, struct frame *f)
{
    struct value v;
    struct cell *c = cell_at(s, f, p->node);
    bool moves = (p->uses & (EXPR_USES_CLOCK | EXPR_USES_RANDOM)) != 0 ||
                 node_at(s, p->node)->control != NONE;
    if (s->frozen || (s->resumed && s->loading && moves && c->text.n))
        return ERR_OK; /* what was recorded, or corrected by hand, stands */
    enum err rc = evaluate_in(&s->work, p->expr, (struct node){0, f->number, p->node}, &v);
    if (rc)
        return rc;
    struct str text = value_for_node(s, &s->work, p->node, &v);
    return cell_set(s, f, p->node, text, text.n ? ANSWER_GIVEN : ANSWER_NONE);
}

static enum err do_flag(struct session *s, const struct prop *p, struct frame *f, enum cell_flags flag)
{
    struct cell *c = cell_at(s, f, p->node);
    bool on = false;
    enum err rc = eval_truth(s, p->expr, (struct node){0, f->number, p->node}, &on);
    if (rc || on == ((c->flags & flag) != 0))
        return rc;
    c->flags ^= (uint8_t)flag;
    uint32_t valid = node_at(s, p->node)->prop[PROP_VALID];
    if (flag == CELL_REQUIRED && valid != NONE)
        mark_prop(s, valid, f);
    return ERR_OK;
}

static enum err do_valid(struct session *s, const struct prop *p, struct frame *f)
{
    const struct schema_node *n = node_at(s, p->node);
    struct cell *c = cell_at(s, f, p->node);
    const struct control *control = &s->form->controls.at[n->control];
    bool given = c->text.n > 0, holds = true;
    enum err rc = ERR_OK;
    c->flags &= (uint8_t)~CELL_BROKEN;
    if (c->hidden) {
        cell_set_violated(s, f, p->node, false);
        return ERR_OK;
    }
    if (given && p->expr && c->status != ANSWER_PARTIAL)
        rc = eval_truth(s, p->expr, (struct node){0, f->number, p->node}, &holds);
    if (!rc && given && holds && control->itemset)
        rc = choices_have(s, f, p->node, c->text, &holds);
    if (!holds)
        c->flags |= CELL_BROKEN;
    bool excused = c->status == ANSWER_DONT_KNOW || c->status == ANSWER_REFUSED;
    bool missing = !given && !excused && (c->flags & CELL_REQUIRED);
    cell_set_violated(s, f, p->node, !rc && (!holds || missing));
    return rc;
}

enum err add_row(struct session *s, uint32_t class, struct frame *parent, struct frame **frame_out,
                 struct diag *d)
{
    struct frame *f = NULL;
    enum err rc = frame_create(s, class, parent->number, &f, d);
    if (rc)
        return rc;
    rc = preload_frame(s, f, d);
    if (!rc)
        rc = run_insert_actions(s, f);
    if (rc)
        return rc;
    touch_frame(s, f);
    *frame_out = f;
    return ERR_OK;
}

/* Adds what is missing, puts aside what is too many; nothing is ever deleted. */
static enum err set_count(struct session *s, struct frame *f, uint32_t class, uint32_t wanted, struct diag *d)
{
    struct frame_list *list = frame_list(s, f, class);
    enum err rc = ERR_OK;
    while (list->active > wanted) {
        touch_frame(s, s->frames.at[list->at[list->used - 1]]);
        frame_set_surplus(s, order_put_aside(s, list), true);
    }
    while (list->active < wanted && !rc) {
        struct frame *next = NULL;
        if (list->aside) {
            next = order_take_back(s, list);
            frame_set_surplus(s, next, false);
            touch_frame(s, next);
            continue;
        }
        rc = add_row(s, class, f, &next, d);
        list = frame_list(s, f, class);
    }
    return rc;
}

static enum err do_count(struct session *s, const struct prop *p, struct frame *f, struct diag *d)
{
    struct value v;
    uint32_t class = node_at(s, p->node)->class;
    struct frame_list *list = frame_list(s, f, class);
    if (list->counted_in != s->transaction) {
        list->counted_in = s->transaction;
        list->recounts = 0;
    }
    if (list->recounts++ >= RECOUNTS_MAX)
        return ERR_OK;
    /* Bound to the repeat as seen from its parent: `..` is the parent, and no entry need exist. */
    enum err rc = evaluate_in(&s->work, p->expr, (struct node){0, f->number, p->node}, &v);
    if (rc)
        return rc;
    double number = value_number(&s->work, &v);
    uint32_t wanted = number >= COUNT_ROWS_MAX ? COUNT_ROWS_MAX : number >= 1 ? (uint32_t)number : 0;
    if (number > COUNT_ROWS_MAX)
        session_warn(s, STR("A repeat was asked to have more entries than an interview can hold; it has the "
                            "first 5000."));
    if (s->frozen && wanted > list->active)
        return ERR_OK; /* a record grows no rows */
    return wanted == list->active ? ERR_OK : set_count(s, f, class, wanted, d);
}

/* Does this entry count? Where that cannot be said, the aggregate is computed as it is written. */
static enum err do_pick(struct session *s, const struct prop *p, struct frame *f)
{
    const struct pick *pick = &s->form->picks.at[p->pick];
    struct value v;
    bool held = f->picked[pick->slot], holds = false;
    if (pick->tallied == NONE)
        return ERR_OK;
    s->work.context = (struct node){0, f->number, p->node};
    s->work.fuel = EXPR_FUEL_DEFAULT;
    enum err rc = expr_eval(p->expr, &s->work, &v);
    s->worked += EXPR_FUEL_DEFAULT - s->work.fuel;
    if (rc == ERR_NOMEM)
        return rc;
    if (rc && !s->unpicked) {
        s->unpicked = ARENA_ARRAY(&s->arena, bool, s->form->picks.count);
        if (!s->unpicked)
            return ERR_NOMEM;
    }
    if (rc)
        s->unpicked[p->pick] = true;
    else
        holds = value_truth(&s->work, &v) == TRUTH_TRUE;
    if (!rc && holds == held)
        return ERR_OK;
    f->picked[pick->slot] = holds;
    tally_pick(s, f, pick);
    mark_dependant(s, f, &pick->reader);
    return ERR_OK;
}

static enum err do_prop(struct session *s, uint32_t prop, struct frame *f, struct diag *d)
{
    const struct prop *p = &s->form->props.at[prop];
    struct arena_mark mark = arena_mark(&s->scratch);
    enum err rc = ERR_OK;
    switch (p->kind) {
    case PROP_RELEVANT: rc = do_relevant(s, p, f); break;
    case PROP_CALCULATE: rc = do_calculate(s, p, f); break;
    case PROP_REQUIRED: rc = do_flag(s, p, f, CELL_REQUIRED); break;
    case PROP_READONLY: rc = do_flag(s, p, f, CELL_READONLY); break;
    case PROP_COUNT: rc = do_count(s, p, f, d); break;
    case PROP_VALID: rc = do_valid(s, p, f); break;
    case PROP_PICK: rc = do_pick(s, p, f); break;
    case PROP_KINDS: break;
    }
    arena_release(&s->scratch, mark);
    return rc;
}

/* --- the queue --- */

static uint32_t next_pending(struct session *s)
{
    uint32_t words = (s->form->props.count + 63) / 64;
    for (; s->pending_low < words; s->pending_low++) {
        uint64_t word = s->pending_bits[s->pending_low];
        if (word)
            return s->pending_low * 64 + (uint32_t)__builtin_ctzll(word);
    }
    return NONE;
}

/* Instances that read earlier ones are taken in document order. Nearly always they come in order already. */
static void sort_frames(struct session *s, struct pending *batch)
{
    for (uint32_t i = 1; i < batch->count; i++) {
        uint32_t number = batch->at[i], k = i;
        const struct frame *f = frame_at(s, number);
        for (; f && k > 0; k--) {
            const struct frame *before = frame_at(s, batch->at[k - 1]);
            if (!before || frame_compare(s, before, f) < 0)
                break;
            batch->at[k] = batch->at[k - 1];
        }
        batch->at[k] = number;
    }
}

/* Once a change has cost too much, what costs much keeps the value it has. */
static bool worked_enough(struct session *s, const struct cost *c)
{
    if (c->walks && s->walked > TEXT_WALK_MAX) {
        session_warn(
            s, STR("Calculations of this form read the text of whole groups or of the whole interview too "
                   "often. Some of them were left as they were; let them read single answers."));
        return true;
    }
    if (s->worked <= s->work_max || (!c->much && s->worked <= 2 * s->work_max))
        return false;
    session_warn(s,
                 STR("Calculations of this form look through all entries too often. Some of them were left "
                     "as they were; let them read single answers, or ask for fewer entries."));
    return true;
}

static enum err run_batch(struct session *s, uint32_t prop, struct diag *d)
{
    const struct prop *p = &s->form->props.at[prop];
    struct pending batch = s->pending[prop];
    uint64_t bit = (uint64_t)1 << (p->bit % 64);
    enum err rc = ERR_OK;
    s->pending[prop] = (struct pending){.at = s->spare.at, .room = s->spare.room, .cost = batch.cost};
    s->spare = (struct pending){0};
    s->pending_bits[prop / 64] &= ~((uint64_t)1 << (prop % 64));
    if (p->ordered)
        sort_frames(s, &batch);
    s->running = prop;
    for (uint32_t i = 0; i < batch.count && !rc; i++) {
        struct frame *f = frame_at(s, batch.at[i]);
        if (!f || f->class != p->class || !(f->dirty[p->bit / 64] & bit))
            continue; /* removed meanwhile */
        f->dirty[p->bit / 64] &= ~bit;
        struct cost *cost = &s->pending[prop].cost;
        if (worked_enough(s, cost))
            continue;
        uint64_t walked = s->walked, worked = s->worked;
        rc = do_prop(s, prop, f, d);
        cost->walks |= s->walked != walked;
        cost->much |= s->worked - worked > WORK_MUCH;
    }
    s->running = NONE;
    batch.count = batch.whole = 0;
    if (s->spare.at)
        pool_free(&s->pool, batch.at, batch.room * sizeof(*batch.at));
    else
        s->spare = batch;
    return rc ? rc : s->broken ? ERR_NOMEM : ERR_OK;
}

/* Nothing waits any more; what waited keeps the value it has. */
static void forget_pending(struct session *s)
{
    for (uint32_t prop = next_pending(s); prop != NONE; prop = next_pending(s)) {
        struct pending *list = &s->pending[prop];
        const struct prop *p = &s->form->props.at[prop];
        for (uint32_t i = 0; i < list->count; i++) {
            struct frame *f = frame_at(s, list->at[i]);
            if (f && f->class == p->class)
                f->dirty[p->bit / 64] &= ~((uint64_t)1 << (p->bit % 64));
        }
        list->count = list->whole = 0;
        s->pending_bits[prop / 64] &= ~((uint64_t)1 << (prop % 64));
    }
}

/* Properties that feed each other from entry to entry are done after as many rounds as there are entries.
 * What goes on beyond that would go on for ever: a form can hide a cycle behind a predicate. */
static enum err run_queue(struct session *s, struct diag *d)
{
    enum err rc = s->broken ? ERR_NOMEM : ERR_OK;
    uint64_t rounds = 0;
    eval_init(s, &s->work, &s->scratch);
    for (uint32_t prop = next_pending(s); prop != NONE && !rc; prop = next_pending(s)) {
        if (++rounds > ((uint64_t)s->form->props.count + 1) * (s->frames_alive + ROUNDS_SPARE)) {
            session_warn(s, STR("Calculations of this form feed each other without end; they were stopped."));
            forget_pending(s);
            break;
        }
        rc = run_batch(s, prop, d);
    }
    return rc;
}

/* --- actions --- */

/* Where an action writes: the node around the trigger, else the first entry there is; with predicates, what
 * they say. */
static enum err action_frame(struct session *s, const struct action *a, const struct frame *from,
                             struct frame **out)
{
    const struct frame *f = frame_seen(s, from, node_at(s, a->target)->class);
    *out = f ? s->frames.at[f->number] : NULL;
    if (!a->target_nodes)
        return ERR_OK;
    struct value v;
    struct arena_mark mark = arena_mark(&s->scratch);
    struct node context = {0, from->number, a->trigger == NONE ? 0 : a->trigger};
    enum err rc = evaluate(s, &s->scratch, a->target_nodes, context, &v);
    *out = NULL;
    if (!rc && v.type == VALUE_NODES && v.nodes->count && v.nodes->at[0].tree == 0 &&
        v.nodes->at[0].y == a->target)
        *out = s->frames.at[v.nodes->at[0].x];
    arena_release(&s->scratch, mark);
    return rc;
}

static enum err run_action(struct session *s, const struct action *a, const struct frame *from)
{
    struct frame *f = NULL;
    enum err rc = action_frame(s, a, from, &f);
    if (rc || !f)
        return rc;
    if (a->kind != ACTION_SETVALUE) {
        struct place *p = vec_push(&s->arena, &s->located);
        if (!p)
            return ERR_NOMEM;
        *p = (struct place){.key = f->key,
                            .field = node_at(s, a->target)->field,
                            .node = a->target,
                            .frame = f->number};
        return ERR_OK;
    }
    const struct cost may_be = {.walks = a->value != NULL, .much = a->value != NULL};
    if (worked_enough(s, &may_be))
        return ERR_OK;
    struct arena_mark mark = arena_mark(&s->scratch);
    struct str text = a->text;
    if (a->value) {
        struct value v;
        rc = evaluate(s, &s->scratch, a->value, (struct node){0, f->number, a->target}, &v);
        struct eval e = eval_for(s, &s->scratch);
        if (!rc)
            text = value_for_node(s, &e, a->target, &v);
    }
    if (!rc)
        rc = cell_set(s, f, a->target, text, text.n ? ANSWER_GIVEN : ANSWER_NONE);
    arena_release(&s->scratch, mark);
    return rc;
}

/* An event of the whole form reaches a target inside a repeat in every instance. */
static enum err run_everywhere(struct session *s, const struct action *a)
{
    uint32_t class = node_at(s, a->target)->class;
    enum err rc = ERR_OK;
    if (class == 0 || a->target_nodes)
        return run_action(s, a, s->frames.at[0]);
    for (uint32_t i = 0; i < s->frames.count && !rc; i++)
        if (s->frames.at[i] && s->frames.at[i]->class == class)
            rc = run_action(s, a, s->frames.at[i]);
    return rc;
}

enum err run_event(struct session *s, uint32_t event)
{
    enum err rc = ERR_OK;
    s->walked = s->worked = 0;
    for (uint32_t i = 0; i < s->form->actions.count && !rc; i++)
        if (s->form->actions.at[i].events & event)
            rc = run_everywhere(s, &s->form->actions.at[i]);
    return rc;
}

enum err run_insert_actions(struct session *s, struct frame *f)
{
    const struct frame_class *class = &s->form->classes.at[f->class];
    enum err rc = ERR_OK;
    for (uint32_t i = 0; i < s->form->actions.count && !rc; i++) {
        const struct action *a = &s->form->actions.at[i];
        if ((a->events & EVENT_NEW_REPEAT) && a->repeat == f->class)
            rc = run_action(s, a, f);
    }
    for (uint32_t k = 0; k < class->child_count && !rc; k++)
        for (uint32_t i = entry_from(&f->lists[k], 0); i < f->lists[k].used && !rc;
             i = entry_from(&f->lists[k], i + 1))
            rc = run_insert_actions(s, s->frames.at[f->lists[k].at[i]]);
    return rc;
}

static enum err run_triggered(struct session *s)
{
    uint32_t count = s->triggered.count;
    enum err rc = ERR_OK;
    for (uint32_t i = 0; i < count && !rc; i++) {
        struct cell_id id = s->triggered.at[i];
        const struct frame *f = frame_at(s, id.frame);
        if (!f || f->class != node_at(s, id.node)->class)
            continue;
        for (uint32_t a = node_at(s, id.node)->actions; a != NONE && !rc; a = s->form->actions.at[a].next)
            rc = run_action(s, &s->form->actions.at[a], f);
    }
    memmove(s->triggered.at, s->triggered.at + count,
            (s->triggered.count - count) * sizeof(*s->triggered.at));
    s->triggered.count -= count;
    return rc;
}

enum err recompute(struct session *s, struct diag *d)
{
    s->walked = s->worked = 0;
    enum err rc = run_queue(s, d);
    for (uint32_t depth = 0; s->triggered.count && !rc; depth++) {
        if (depth == ACTION_DEPTH_MAX) {
            s->triggered.count = 0; /* actions that trigger each other for ever */
            break;
        }
        rc = run_triggered(s);
        if (!rc)
            rc = run_queue(s, d);
    }
    s->transaction++;
    if (rc) {
        s->broken = true;
        diag_set(d, rc, "The interview needs more memory than there is. What was saved before is safe.");
    }
    return rc;
}

/* --- asking first --- */

enum err constraint_holds(struct session *s, struct frame *f, uint32_t node, struct str text, bool *holds_out)
{
    const struct schema_node *n = node_at(s, node);
    const struct expr *x = n->bind == NONE ? NULL : s->form->binds.at[n->bind].expr[PROP_VALID];
    *holds_out = true;
    if (!x || text.n == 0)
        return ERR_OK;
    struct cell *c = cell_at(s, f, node), kept = *c;
    struct arena_mark mark = arena_mark(&s->scratch);
    c->text = text;
    c->room = 0;
    c->flags &= (uint8_t)~CELL_TYPED;
    c->status = ANSWER_GIVEN;
    s->supposing = true;
    eval_init(s, &s->work, &s->scratch);
    enum err rc = eval_truth(s, x, (struct node){0, f->number, node}, holds_out);
    s->supposing = false;
    *c = kept;
    arena_release(&s->scratch, mark);
    return rc;
}
