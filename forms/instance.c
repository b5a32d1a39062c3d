/* Frames and cells: making, filling, removing and ordering repeat instances, changing texts and visibility.
 * Every change of something that others can see goes through here, so that none is forgotten: it is recorded
 * for the store, and its readers are marked. Nothing here evaluates anything. Recursion follows the nesting
 * of repeats (REF_DEPTH_MAX).
 */
#include "forms/instance.h"

/* --- order --- */

struct frame_list *frame_list(const struct session *s, const struct frame *parent, uint32_t class)
{
    return &parent->lists[s->form->classes.at[class].child_index];
}

const struct frame *frame_up(const struct session *s, const struct frame *f, uint32_t class)
{
    while (f->class != class)
        f = s->frames.at[f->parent];
    return f;
}

uint32_t frame_position(const struct session *s, const struct frame *f)
{
    return f->parent == NONE ? 0 : order_position(frame_list(s, s->frames.at[f->parent], f->class), f);
}

uint32_t entry_slot(const struct session *s, const struct frame *f)
{
    return f->surplus ? frame_list(s, s->frames.at[f->parent], f->class)->used : f->slot;
}

int frame_compare(struct session *s, const struct frame *a, const struct frame *b)
{
    const struct frame_class *classes = s->form->classes.at;
    uint32_t depth_a = classes[a->class].depth, depth_b = classes[b->class].depth, depth = depth_a;
    if (a == b)
        return 0;
    for (; depth > depth_b; depth--)
        a = s->frames.at[a->parent];
    for (depth = depth_b; depth > depth_a; depth--)
        b = s->frames.at[b->parent];
    if (a == b)
        return depth_a < depth_b ? -1 : 1; /* one is inside the other */
    while (a->parent != b->parent) {
        a = s->frames.at[a->parent];
        b = s->frames.at[b->parent];
    }
    if (a->class != b->class)
        return classes[a->class].node < classes[b->class].node ? -1 : 1;
    return frame_position(s, a) < frame_position(s, b) ? -1 : 1;
}

/* --- changes --- */

static struct change_entry *push_change(struct session *s)
{
    struct change_entry *e = vec_push(&s->arena, &s->changes);
    if (!e)
        s->broken = true;
    return e;
}

static void record_row(struct session *s, struct frame *f)
{
    struct change_entry *e = push_change(s);
    if (!e)
        return;
    *e = (struct change_entry){.op = SESSION_ROW_ADD,
                               .frame = f->number,
                               .node = NONE,
                               .key = f->key,
                               .parent_key = s->frames.at[f->parent]->key,
                               .repeat = f->class - 1,
                               .order = f->order};
    f->change = s->changes.count;
}

static void record_cell(struct session *s, struct frame *f, uint32_t node)
{
    const struct schema_node *n = node_at(s, node);
    struct cell *c = cell_at(s, f, node);
    if (n->field == NONE || n->fixed || c->change)
        return;
    struct change_entry *e = push_change(s);
    if (!e)
        return;
    *e = (struct change_entry){.op = SESSION_SET, .frame = f->number, .node = node, .key = f->key};
    c->change = s->changes.count;
}

static void forget_changes(struct session *s, struct frame *f)
{
    uint32_t slots = s->form->classes.at[f->class].slot_count;
    for (uint32_t i = 0; i < slots; i++)
        if (f->cells[i].change)
            s->changes.at[f->cells[i].change - 1].dead = true;
    if (f->change) {
        s->changes.at[f->change - 1].dead = true;
        return;
    }
    struct change_entry *e = push_change(s);
    if (e)
        *e = (struct change_entry){
            .op = SESSION_ROW_REMOVE, .frame = NONE, .node = NONE, .key = f->key, .repeat = f->class - 1};
}

/* --- frames --- */

static size_t frame_size(const struct frame_class *class)
{
    return sizeof(struct frame) + class->slot_count * sizeof(struct cell) +
           class->child_count * sizeof(struct frame_list) + class->tally_count * sizeof(struct tally) +
           class->share_count * sizeof(struct share) + (class->prop_count + 63) / 64 * sizeof(uint64_t) +
           class->pick_count * sizeof(bool);
}

static struct frame *frame_alloc(struct session *s, const struct frame_class *class)
{
    size_t n = frame_size(class);
    char *p = pool_alloc(&s->pool, n);
    if (!p)
        return NULL;
    memset(p, 0, n);
    struct frame *f = (struct frame *)(void *)p;
    p += sizeof(*f);
    f->cells = (struct cell *)(void *)p;
    p += class->slot_count * sizeof(struct cell);
    f->lists = (struct frame_list *)(void *)p;
    p += class->child_count * sizeof(struct frame_list);
    f->tallies = (struct tally *)(void *)p;
    p += class->tally_count * sizeof(struct tally);
    f->shares = (struct share *)(void *)p;
    p += class->share_count * sizeof(struct share);
    f->dirty = (uint64_t *)(void *)p;
    p += (class->prop_count + 63) / 64 * sizeof(uint64_t);
    f->picked = (bool *)p;
    return f;
}

static void frame_free(struct session *s, struct frame *f)
{
    const struct frame_class *class = &s->form->classes.at[f->class];
    for (uint32_t i = 0; i < class->slot_count; i++)
        if (f->cells[i].room)
            pool_free(&s->pool, (void *)(uintptr_t)f->cells[i].text.p, f->cells[i].room);
    for (uint32_t i = 0; i < class->child_count; i++)
        order_free(s, &f->lists[i]);
    pool_free(&s->pool, f, frame_size(class));
}

static void init_cells(struct session *s, struct frame *f)
{
    const struct frame_class *class = &s->form->classes.at[f->class];
    uint16_t hidden = 0;
    if (f->parent != NONE)
        hidden = cell_at(s, s->frames.at[f->parent], node_at(s, class->node)->parent)->hidden;
    for (uint32_t i = 0; i < class->slot_count; i++) {
        const struct schema_node *n = node_at(s, s->form->class_nodes.at[class->slots + i]);
        const struct bind *b = n->bind == NONE ? NULL : &s->form->binds.at[n->bind];
        struct cell *c = &f->cells[i];
        c->text = STR("");
        c->hidden = hidden;
        if (b && b->always[PROP_REQUIRED])
            c->flags |= CELL_REQUIRED;
        if (b && b->always[PROP_READONLY])
            c->flags |= CELL_READONLY;
    }
}

enum err frame_add(struct session *s, uint32_t class, uint32_t parent, uint64_t key, int64_t order,
                   struct frame **frame_out, struct diag *d)
{
    if (s->frames_alive >= SESSION_ROWS_MAX)
        return diag_set(d, ERR_LIMIT, "An interview holds at most %d repeated entries.", SESSION_ROWS_MAX);
    struct frame *f = frame_alloc(s, &s->form->classes.at[class]);
    if (!f)
        return ERR_NOMEM;
    if (s->frames_free.count) {
        f->number = s->frames_free.at[--s->frames_free.count];
        s->frames.at[f->number] = f;
    } else {
        struct frame **slot = vec_push(&s->arena, &s->frames);
        if (!slot)
            return ERR_NOMEM;
        *slot = f;
        f->number = s->frames.count - 1;
    }
    f->class = class;
    f->parent = parent;
    f->key = key;
    f->order = order;
    s->frames_alive++;
    init_cells(s, f);
    if (parent != NONE) {
        enum err rc = order_add(s, frame_list(s, s->frames.at[parent], class), f->number);
        if (rc)
            return rc;
    }
    tally_frame(s, f, true);
    mark_frame(s, f);
    *frame_out = f;
    return ERR_OK;
}

static enum err fill_cells(struct session *s, const struct blueprint *b, struct frame *const *made)
{
    for (uint32_t i = 0; i < b->cell_count; i++) {
        const struct blueprint_cell *from = &s->form->blueprint_cells.at[b->cell_first + i];
        struct frame *f = made[from->row];
        struct cell *c = cell_at(s, f, from->node);
        c->text = from->text;
        c->room = 0;
        c->flags &= (uint8_t)~CELL_TYPED;
        tally_update(s, f, from->node);
        record_cell(s, f, from->node);
    }
    return s->broken ? ERR_NOMEM : ERR_OK;
}

static int64_t order_after_last(const struct session *s, const struct frame_list *list)
{
    return list->used ? s->frames.at[list->at[list->used - 1]]->order + 1 : 1;
}

/* A repeat that nobody may add to and that the form leaves empty has one entry: there is no other way to it.
 */
static enum err fill_closed(struct session *s, struct frame *f, struct diag *d)
{
    const struct frame_class *class = &s->form->classes.at[f->class];
    enum err rc = ERR_OK;
    for (uint32_t k = 0; k < class->child_count && !rc; k++) {
        uint32_t inner = s->form->class_children.at[class->child_first + k];
        uint32_t control = s->form->classes.at[inner].control;
        struct frame *made = NULL;
        if (control != NONE && s->form->controls.at[control].fixed_count &&
            !s->form->controls.at[control].count && f->lists[k].active + f->lists[k].aside == 0)
            rc = frame_create(s, inner, f->number, &made, d);
    }
    return rc;
}

/* Rows below the first of a blueprint, then all texts. */
enum err frame_fill(struct session *s, struct frame *f, struct diag *d)
{
    const struct blueprint *b = &s->form->blueprints.at[s->form->classes.at[f->class].blueprint];
    struct arena_mark mark = arena_mark(&s->scratch);
    struct frame **made = ARENA_ARRAY(&s->scratch, struct frame *, b->row_count);
    enum err rc = made ? ERR_OK : ERR_NOMEM;
    if (made)
        made[0] = f;
    for (uint32_t i = 1; i < b->row_count && !rc; i++) {
        const struct blueprint_row *row = &s->form->blueprint_rows.at[b->row_first + i];
        struct frame *parent = made[row->parent];
        rc = frame_add(s, row->class, parent->number, s->row_key_next++,
                       order_after_last(s, frame_list(s, parent, row->class)), &made[i], d);
        if (!rc)
            record_row(s, made[i]);
    }
    if (!rc)
        rc = fill_cells(s, b, made);
    arena_release(&s->scratch, mark);
    return rc ? rc : fill_closed(s, f, d);
}

enum err frame_create(struct session *s, uint32_t class, uint32_t parent, struct frame **frame_out,
                      struct diag *d)
{
    struct frame *f = NULL;
    int64_t order = order_after_last(s, frame_list(s, s->frames.at[parent], class));
    enum err rc = frame_add(s, class, parent, s->row_key_next++, order, &f, d);
    if (rc)
        return rc;
    record_row(s, f);
    rc = frame_fill(s, f, d);
    if (!rc)
        *frame_out = f;
    return rc;
}

static void remove_inside(struct session *s, struct frame *f)
{
    const struct frame_class *class = &s->form->classes.at[f->class];
    for (uint32_t i = 0; i < class->child_count; i++)
        for (uint32_t k = any_entry_from(&f->lists[i], 0); k < f->lists[i].room;
             k = any_entry_from(&f->lists[i], k + 1))
            remove_inside(s, s->frames.at[f->lists[i].at[k]]);
    for (uint32_t i = 0; i < class->slot_count; i++)
        if (f->cells[i].violation)
            cell_set_violated(s, f, s->form->class_nodes.at[class->slots + i], false);
    tally_frame(s, f, false);
    forget_changes(s, f);
    uint32_t *slot = vec_push(&s->arena, &s->frames_free);
    if (slot)
        *slot = f->number;
    s->frames.at[f->number] = NULL;
    s->frames_alive--;
    frame_free(s, f);
}

void frame_remove(struct session *s, struct frame *f)
{
    struct frame_list *list = frame_list(s, s->frames.at[f->parent], f->class);
    uint32_t class = f->class, behind = frame_position(s, f);
    touch_frame(s, f);
    order_take_out(s, list, f);
    remove_inside(s, f);
    if (!position_is_read(s->form, class))
        return;
    for (uint32_t i = order_slot(list, behind); i < list->used; i = entry_from(list, i + 1))
        touch_position(s, s->frames.at[list->at[i]]);
}

/* --- visibility --- */

static void visibility_changed(struct session *s, struct frame *f, uint32_t node)
{
    const struct schema_node *n = node_at(s, node);
    touch(s, f, node);
    if (n->prop[PROP_VALID] != NONE)
        mark_prop(s, n->prop[PROP_VALID], f);
}

static void shift_hidden(struct session *s, struct frame *f, uint32_t node, int by)
{
    const struct frame_class *class = &s->form->classes.at[f->class];
    const struct schema_node *n = node_at(s, node);
    for (uint32_t i = n->slot; i < n->slot_end; i++) {
        struct cell *c = &f->cells[i];
        bool before = c->hidden == 0;
        c->hidden = (uint16_t)(c->hidden + by);
        if (before != (c->hidden == 0))
            visibility_changed(s, f, s->form->class_nodes.at[class->slots + i]);
    }
    for (uint32_t k = 0; k < class->child_count; k++) {
        uint32_t inner = s->form->classes.at[s->form->class_children.at[class->child_first + k]].node;
        if (inner <= node || inner >= n->end)
            continue;
        const struct frame_list *l = &f->lists[k];
        for (uint32_t i = any_entry_from(l, 0); i < l->room; i = any_entry_from(l, i + 1))
            shift_hidden(s, s->frames.at[l->at[i]], inner, by);
    }
}

void cell_set_relevant(struct session *s, struct frame *f, uint32_t node, bool relevant)
{
    struct cell *c = cell_at(s, f, node);
    if (relevant == !(c->flags & CELL_IRRELEVANT))
        return;
    c->flags ^= CELL_IRRELEVANT;
    shift_hidden(s, f, node, relevant ? -1 : 1);
}

/* Entries put aside were not marked while things around them changed. */
static void mark_inside(struct session *s, struct frame *f)
{
    const struct frame_class *class = &s->form->classes.at[f->class];
    mark_frame(s, f);
    for (uint32_t k = 0; k < class->child_count; k++)
        for (uint32_t i = entry_from(&f->lists[k], 0); i < f->lists[k].used;
             i = entry_from(&f->lists[k], i + 1))
            mark_inside(s, s->frames.at[f->lists[k].at[i]]);
}

void frame_set_surplus(struct session *s, struct frame *f, bool surplus)
{
    if (f->surplus == surplus)
        return;
    f->surplus = surplus;
    shift_hidden(s, f, s->form->classes.at[f->class].node, surplus ? 1 : -1);
    if (!surplus)
        mark_inside(s, f);
}

bool cell_readonly(const struct session *s, const struct frame *f, uint32_t node)
{
    while (f) {
        if (cell_at(s, f, node)->flags & CELL_READONLY)
            return true;
        uint32_t parent = node_at(s, node)->parent;
        if (parent == NONE)
            return false;
        if (node_at(s, parent)->class != f->class)
            f = s->frames.at[f->parent];
        node = parent;
    }
    return false;
}

/* --- cells --- */

enum err cell_put(struct session *s, struct cell *c, struct str text)
{
    uint32_t room = c->room;
    char *p = room ? (char *)(uintptr_t)c->text.p : NULL;
    if (text.n > room) {
        uint32_t wanted = (uint32_t)((text.n + 15) & ~(size_t)15);
        char *larger = pool_alloc(&s->pool, wanted);
        if (!larger)
            return ERR_NOMEM;
        memcpy(larger, text.p, text.n);
        if (room)
            pool_free(&s->pool, p, room);
        p = larger;
        room = wanted;
    } else if (room && text.n) {
        memmove(p, text.p, text.n);
    }
    c->room = room;
    c->text = room ? (struct str){p, text.n} : STR("");
    c->flags &= (uint8_t)~CELL_TYPED;
    return ERR_OK;
}

enum err cell_set(struct session *s, struct frame *f, uint32_t node, struct str text,
                  enum answer_status status)
{
    struct cell *c = cell_at(s, f, node);
    const struct schema_node *n = node_at(s, node);
    bool same = str_eq(c->text, text);
    bool seen = !same || (c->status == ANSWER_PARTIAL) != (status == ANSWER_PARTIAL);
    if (same && c->status == status)
        return ERR_OK;
    enum err rc = same ? ERR_OK : cell_put(s, c, text);
    if (rc) {
        s->broken = true;
        return rc;
    }
    c->status = (uint8_t)status;
    record_cell(s, f, node);
    if (n->prop[PROP_VALID] != NONE)
        mark_prop(s, n->prop[PROP_VALID], f);
    if (seen && c->hidden == 0)
        touch_value(s, f, node);
    if (!same && n->actions != NONE && !s->loading) {
        struct cell_id *id = vec_push(&s->arena, &s->triggered);
        if (!id)
            s->broken = true;
        else
            *id = (struct cell_id){f->number, node};
    }
    return s->broken ? ERR_NOMEM : ERR_OK;
}

void cell_set_violated(struct session *s, struct frame *f, uint32_t node, bool violated)
{
    struct cell *c = cell_at(s, f, node);
    if (violated == (c->violation != 0))
        return;
    if (violated) {
        struct cell_id *id = vec_push(&s->arena, &s->violations);
        if (!id) {
            s->broken = true;
            return;
        }
        *id = (struct cell_id){f->number, node};
        c->violation = s->violations.count;
        return;
    }
    struct cell_id last = s->violations.at[--s->violations.count];
    uint32_t hole = c->violation - 1;
    c->violation = 0;
    if (hole == s->violations.count)
        return;
    s->violations.at[hole] = last;
    cell_at(s, s->frames.at[last.frame], last.node)->violation = hole + 1;
}
