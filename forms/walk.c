/* Walking an interview screen by screen: questions, field lists, and the question whether to add another
 * entry of a repeat. A cursor is a control in a frame; the next one is found by going through the controls in
 * their order, descending into instances, and skipping what does not apply. Nothing is remembered between two
 * steps but the cursor.
 */
#include "forms/instance.h"

enum at_kind { AT_CONTROL, AT_INSTANCE, AT_PROMPT, AT_END };
struct at {
    enum at_kind kind;
    uint32_t control;
    uint32_t
        frame; /* CONTROL: the frame the control is shown in; INSTANCE: the instance; PROMPT: the parent's */
};

static const struct control *control_at(const struct session *s, uint32_t c)
{
    return &s->form->controls.at[c];
}

/* Usually the frame itself; a question about another part of the form is shown with the entry nearest to it.
 */
static const struct frame *shown_frame(const struct session *s, uint32_t control, uint32_t frame)
{
    return frame_seen(s, s->frames.at[frame], control_at(s, control)->class);
}

static bool applies(const struct session *s, uint32_t control, uint32_t frame)
{
    const struct control *c = control_at(s, control);
    const struct frame *f = shown_frame(s, control, frame);
    uint32_t node = c->node;
    if (node == NONE)
        return true;
    if (c->kind == CONTROL_REPEAT)
        node = node_at(s, node)->parent;
    return f && cell_at(s, f, node)->hidden == 0;
}

static struct at after(struct session *s, uint32_t control, uint32_t frame);

/* A repeat whose entries are all hidden is hidden itself: nobody is asked for another. */
static bool none_applies(const struct session *s, const struct frame_list *list)
{
    for (uint32_t i = entry_from(list, 0); i < list->used; i = entry_from(list, i + 1))
        if (s->frames.at[list->at[i]]->cells[0].hidden == 0)
            return false;
    return list->active > 0;
}

/* The next instance of a repeat at or after a slot of its list, or its prompt. */
static struct at instance_from(struct session *s, uint32_t control, uint32_t parent, uint32_t slot)
{
    const struct frame_list *list = frame_list(s, s->frames.at[parent],
                                               node_at(s, control_at(s, control)->node)->class);
    for (uint32_t i = entry_from(list, slot); i < list->used; i = entry_from(list, i + 1))
        if (s->frames.at[list->at[i]]->cells[0].hidden == 0)
            return (struct at){AT_INSTANCE, control, list->at[i]};
    if (none_applies(s, list))
        return after(s, control, parent);
    return (struct at){AT_PROMPT, control, parent};
}

static struct at next_instance(struct session *s, uint32_t control, uint32_t frame)
{
    const struct frame *f = s->frames.at[frame];
    return instance_from(s, control, f->parent, entry_slot(s, f) + 1);
}

/* What comes when a control and everything in it is done. */
static struct at after(struct session *s, uint32_t control, uint32_t frame)
{
    uint32_t next = control_at(s, control)->end;
    for (uint32_t p = control_at(s, control)->parent; p != NONE && next == control_at(s, p)->end;
         p = control_at(s, p)->parent)
        if (control_at(s, p)->kind == CONTROL_REPEAT)
            return next_instance(s, p, frame);
    if (next >= s->form->controls.count)
        return (struct at){AT_END, 0, 0};
    return (struct at){AT_CONTROL, next, frame};
}

struct collected {
    struct arena *a;
    VEC(struct place) list;
    bool any_is_enough;
};

/* Questions that apply among the controls [from, end) in a frame. Depth as of the controls. */
static void collect(struct session *s, uint32_t from, uint32_t end, uint32_t frame, struct collected *out)
{
    for (uint32_t c = from; c < end; c = control_at(s, c)->end) {
        const struct control *control = control_at(s, c);
        if (out->any_is_enough && out->list.count)
            return;
        if (!applies(s, c, frame))
            continue;
        if (control->kind == CONTROL_REPEAT) {
            const struct frame_list *list = frame_list(s, s->frames.at[frame],
                                                       node_at(s, control->node)->class);
            for (uint32_t i = entry_from(list, 0); i < list->used; i = entry_from(list, i + 1))
                if (s->frames.at[list->at[i]]->cells[0].hidden == 0)
                    collect(s, c + 1, control->end, list->at[i], out);
            continue;
        }
        if (control->kind == CONTROL_GROUP) {
            collect(s, c + 1, control->end, frame, out);
            continue;
        }
        struct place *p = vec_push(out->a, &out->list);
        if (!p)
            return;
        *p = place_of(s, shown_frame(s, c, frame), control->node);
    }
}

static bool has_question(struct session *s, uint32_t control, uint32_t frame)
{
    struct arena_mark mark = arena_mark(&s->scratch);
    struct collected found = {.a = &s->scratch, .any_is_enough = true};
    collect(s, control + 1, control_at(s, control)->end, frame, &found);
    arena_release(&s->scratch, mark);
    return found.list.count > 0;
}

/* The first stop at or behind a position. */
static struct cursor seek(struct session *s, struct at at)
{
    for (;;) {
        const struct control *c = control_at(s, at.control);
        switch (at.kind) {
        case AT_END: return (struct cursor){STOP_END, 0, 0};
        case AT_PROMPT:
            if (!c->fixed_count)
                return (struct cursor){STOP_REPEAT, at.control, at.frame};
            at = after(s, at.control, at.frame);
            break;
        case AT_INSTANCE:
            if (c->field_list && has_question(s, at.control, at.frame))
                return (struct cursor){STOP_FIELD_LIST, at.control, at.frame};
            at = c->field_list || c->end == at.control + 1
                     ? next_instance(s, at.control, at.frame)
                     : (struct at){AT_CONTROL, at.control + 1, at.frame};
            break;
        case AT_CONTROL:
            if (!applies(s, at.control, at.frame)) {
                at = after(s, at.control, at.frame);
            } else if (c->kind == CONTROL_REPEAT) {
                at = instance_from(s, at.control, at.frame, 0);
            } else if (c->kind != CONTROL_GROUP) {
                return (struct cursor){STOP_QUESTION, at.control, at.frame};
            } else if (c->field_list) {
                if (has_question(s, at.control, at.frame))
                    return (struct cursor){STOP_FIELD_LIST, at.control, at.frame};
                at = after(s, at.control, at.frame);
            } else {
                at = c->end == at.control + 1 ? after(s, at.control, at.frame)
                                              : (struct at){AT_CONTROL, at.control + 1, at.frame};
            }
            break;
        }
    }
}

static struct cursor first_stop(struct session *s)
{
    if (s->form->controls.count <= 1)
        return (struct cursor){STOP_END, 0, 0};
    return seek(s, (struct at){AT_CONTROL, 1, 0});
}

static struct cursor stop_after(struct session *s, struct cursor c)
{
    switch (c.kind) {
    case STOP_START: return first_stop(s);
    case STOP_END: return c;
    case STOP_QUESTION:
    case STOP_REPEAT: break;
    case STOP_FIELD_LIST:
        if (control_at(s, c.control)->kind == CONTROL_REPEAT)
            return seek(s, next_instance(s, c.control, c.frame));
        break;
    }
    return seek(s, after(s, c.control, c.frame));
}

static struct place control_place(const struct session *s, uint32_t control, uint32_t frame)
{
    const struct control *c = control_at(s, control);
    const struct frame *f = s->frames.at[frame];
    if (c->kind == CONTROL_REPEAT)
        return place_of(s, f, c->node); /* one instance as a screen */
    if (c->node != NONE)
        return place_of(s, shown_frame(s, control, frame), c->node);
    return (struct place){.key = f->key, .field = NONE, .node = control | PLACE_CONTROL, .frame = frame};
}

static struct stop stop_of(struct session *s, struct cursor c)
{
    struct stop out = {.kind = c.kind, .repeat = FORM_NO_REPEAT};
    if (c.kind == STOP_START || c.kind == STOP_END) {
        out.place = place_of(s, s->frames.at[0], 0);
        return out;
    }
    if (c.kind != STOP_REPEAT) {
        out.place = control_place(s, c.control, c.frame);
        return out;
    }
    const struct schema_node *n = node_at(s, control_at(s, c.control)->node);
    out.place = place_of(s, s->frames.at[c.frame], n->parent);
    out.repeat = n->class - 1;
    out.count = frame_list(s, s->frames.at[c.frame], n->class)->active;
    out.can_add = !control_at(s, c.control)->fixed_count;
    return out;
}

struct stop session_stop(struct session *s)
{
    return stop_of(s, s->at);
}

struct stop session_next(struct session *s)
{
    s->at = stop_after(s, s->at);
    return stop_of(s, s->at);
}

/* Where a cursor stands among the controls of its frame; the prompt of a repeat comes after everything in it.
 */
static uint32_t rank_of(const struct session *s, struct cursor c)
{
    return c.kind == STOP_REPEAT ? 2 * control_at(s, c.control)->end - 1 : 2 * c.control;
}

/* One frame up: the instance stands where its repeat does. */
static void lift(const struct session *s, const struct frame **f, uint32_t *rank)
{
    *rank = 2 * s->form->classes.at[(*f)->class].control;
    *f = s->frames.at[(*f)->parent];
}

static bool comes_before(struct session *s, struct cursor a, struct cursor b)
{
    const struct frame *fa = s->frames.at[a.frame], *fb = s->frames.at[b.frame], *last_a = NULL,
                       *last_b = NULL;
    uint32_t ra = rank_of(s, a), rb = rank_of(s, b);
    while (fa != fb) {
        uint32_t da = s->form->classes.at[fa->class].depth, db = s->form->classes.at[fb->class].depth;
        last_a = da >= db ? fa : last_a;
        last_b = db >= da ? fb : last_b;
        if (da >= db)
            lift(s, &fa, &ra);
        if (db >= da)
            lift(s, &fb, &rb);
    }
    if (ra != rb)
        return ra < rb;
    return last_a && last_b && frame_position(s, last_a) < frame_position(s, last_b);
}

/* From the start up to the stop at hand: what lies before it depends on the answers, so it is not kept. */
struct stop session_prev(struct session *s)
{
    struct cursor before = {STOP_START, 0, 0};
    for (struct cursor c = first_stop(s); c.kind != STOP_END && s->at.kind != STOP_START;
         c = stop_after(s, c)) {
        if (s->at.kind != STOP_END && !comes_before(s, c, s->at))
            break;
        before = c;
    }
    s->at = before;
    return stop_of(s, s->at);
}

uint32_t place_control(const struct session *s, struct place p)
{
    if (p.node & PLACE_CONTROL) {
        uint32_t c = p.node & ~PLACE_CONTROL;
        return c < s->form->controls.count ? c : NONE;
    }
    if (p.node >= s->form->nodes.count)
        return NONE;
    const struct schema_node *n = node_at(s, p.node);
    if (n->repeat && s->form->classes.at[n->class].control != NONE)
        return s->form->classes.at[n->class].control;
    return n->control;
}

/* The outermost field list around a control is the stop. */
static uint32_t stop_control(const struct session *s, uint32_t control)
{
    uint32_t stop = control;
    for (uint32_t c = control; c != NONE; c = control_at(s, c)->parent)
        if (control_at(s, c)->field_list)
            stop = c;
    return stop;
}

enum err session_jump(struct session *s, struct place p, struct diag *d)
{
    const struct frame *f = place_frame(s, p);
    uint32_t control = f ? place_control(s, p) : NONE;
    if (control == NONE)
        return diag_set(d, ERR_NOT_FOUND, "There is no question at this place.");
    bool instance = control_at(s, control)->kind == CONTROL_REPEAT;
    f = instance ? f : frame_seen(s, f, control_at(s, control)->walk);
    if (!f || (instance ? f->cells[0].hidden != 0 : !applies(s, control, f->number)))
        return diag_set(d, ERR_STATE, "This part of the form does not apply now.");
    uint32_t stop = stop_control(s, control);
    const struct control *c = control_at(s, stop);
    if (stop != control) {
        instance = c->kind == CONTROL_REPEAT;
        f = frame_up(s, f, instance ? node_at(s, c->node)->class : c->walk);
    }
    s->at = seek(s, (struct at){instance ? AT_INSTANCE : AT_CONTROL, stop, f->number});
    return ERR_OK;
}

uint32_t session_stop_questions(struct session *s, struct arena *a, struct place **places_out)
{
    struct collected out = {.a = a};
    uint32_t c = s->at.control;
    if (s->at.kind == STOP_QUESTION)
        collect(s, c, control_at(s, c)->end, s->at.frame, &out);
    else if (s->at.kind == STOP_FIELD_LIST)
        collect(s, c + 1, control_at(s, c)->end, s->at.frame, &out);
    *places_out = out.list.at;
    return out.list.count;
}

void cursor_leave(struct session *s, const struct frame *f)
{
    if (s->at.kind == STOP_START || s->at.kind == STOP_END)
        return;
    const struct frame *at = s->frames.at[s->at.frame];
    while (at && at != f)
        at = frame_at(s, at->parent);
    if (at)
        s->at = (struct cursor){STOP_REPEAT, s->form->classes.at[f->class].control, f->parent};
}
