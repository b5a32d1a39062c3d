/* One interview: opening it in the order preload, first-load, load, computing; taking answers; adding and
 * removing repeats; telling the store what changed. An input is checked completely before anything is
 * written, so a refused one leaves no trace. When memory runs out in the middle the session says so and
 * refuses everything after.
 */
#include "forms/instance.h"

/* --- opening --- */

void session_warn(struct session *s, struct str text)
{
    struct str *slot = NULL;
    for (uint32_t i = 0; i < s->warnings.count; i++)
        if (str_eq(s->warnings.at[i], text))
            return;
    slot = vec_push(&s->arena, &s->warnings);
    if (slot)
        *slot = arena_str(&s->arena, text);
}

static void warn_resource(struct session *s, const struct resource *r, struct diag *d)
{
    struct diag text = {0};
    diag_set(&text, ERR_NOT_FOUND, "The list %.*s is not there; its choices are empty. %s", STR_ARG(r->uri),
             d->text);
    session_warn(s, str_of(text.text));
}

/* A host that keeps the list answers questions about it; else its bytes are read. */
static enum err read_list(struct session *s, uint32_t i, const struct tree **tree_out, struct diag *d)
{
    const struct list_host *lists = s->host->lists;
    struct str uri = s->form->resources.at[i].uri, bytes = STR_NONE;
    struct list_wish *wishes = NULL;
    struct list_shape shape;
    uint32_t count = 0;
    struct arena_mark mark = arena_mark(&s->scratch);
    if (str_eq_z(uri, "jr://instance/last-saved"))
        lists = NULL;
    enum err rc = lists ? form_list_wishes(s->form, i, &s->scratch, &wishes, &count) : ERR_STATE;
    if (!rc)
        rc = lists->open(lists->self, uri, wishes, count, &shape, d);
    arena_release(&s->scratch, mark);
    if (!rc)
        return list_on_host(&s->arena, lists, &shape, i + 1, tree_out, d);
    if (rc != ERR_STATE && rc != ERR_NOT_FOUND)
        return rc;
    diag_clear(d);
    rc = s->host->resource ? s->host->resource(s->host->self, uri, &bytes, d) : ERR_NOT_FOUND;
    return rc ? rc : list_from_uri(&s->arena, uri, bytes, i + 1, tree_out, d);
}

/* Lists that came with the form were read with it; external ones are asked of the host. One that fails is
 * empty. */
static enum err open_resource(struct session *s, uint32_t i)
{
    const struct resource *r = &s->form->resources.at[i];
    const struct tree *t = r->tree;
    struct diag d = {0};
    enum err rc = r->uri.n ? read_list(s, i, &t, &d) : ERR_OK;
    if (rc == ERR_NOMEM)
        return rc;
    if (rc && (rc != ERR_NOT_FOUND || !str_eq_z(r->uri, "jr://instance/last-saved")))
        warn_resource(s, r, &d); /* the first interview of all has none before it */
    if (rc || !t)
        return ERR_OK;
    s->trees[i + 1] = t;
    s->roots[i + 1] = t->ops->root(t);
    struct node wrapper;
    if (!r->uri.n && t->ops->first_child(t, s->roots[i + 1], &wrapper))
        s->roots[i + 1] = wrapper; /* the <instance> around the content */
    return ERR_OK;
}

static enum err open_tables(struct session *s)
{
    const struct form *f = s->form;
    s->trees = ARENA_ARRAY(&s->arena, const struct tree *, f->resources.count + 1);
    s->roots = ARENA_ARRAY(&s->arena, struct node, f->resources.count + 1);
    s->pending = ARENA_ARRAY(&s->arena, struct pending, f->props.count + 1);
    s->pending_bits = ARENA_ARRAY(&s->arena, uint64_t, f->props.count / 64 + 1);
    if (!s->trees || !s->roots || !s->pending || !s->pending_bits)
        return ERR_NOMEM;
    s->trees[0] = &s->primary.tree;
    primary_init(s);
    enum err rc = ERR_OK;
    for (uint32_t i = 0; i < f->resources.count && !rc; i++)
        rc = open_resource(s, i);
    return rc;
}

/* --- preloads --- */

static struct str now_text(struct session *s, struct arena *a, bool day_only)
{
    char text[40];
    struct civil c = civil_at(s->now_ms, s->host->zone ? s->host->zone : zone_utc());
    size_t n = day_only ? civil_write_date(civil_days(c.year, c.month, c.day), text) : civil_write(&c, text);
    return arena_str(a, (struct str){text, n});
}

enum err session_new_uuid(struct session *s, struct arena *a, struct str *out, struct diag *d)
{
    unsigned char b[16];
    char text[41] = "uuid:";
    size_t at = 5;
    if (s->instance_id.n) {
        *out = arena_str(a, s->instance_id);
        s->instance_id = STR("");
        return out->p ? ERR_OK : ERR_NOMEM;
    }
    if (!s->host->random || s->host->random(s->host->self, b, sizeof(b)) != ERR_OK)
        return diag_set(d, ERR_STATE,
                        "The interview needs a new identifier, and there is no source of random numbers.");
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    for (uint32_t i = 0; i < 16; i++) {
        hex_write(&b[i], 1, text + at);
        at += 2;
        if (i == 3 || i == 5 || i == 7 || i == 9)
            text[at++] = '-';
    }
    *out = arena_str(a, (struct str){text, at});
    return out->p ? ERR_OK : ERR_NOMEM;
}

static enum err preload_cell(struct session *s, struct frame *f, const struct bind *b, struct diag *d)
{
    struct str text = STR_NONE;
    struct arena_mark mark = arena_mark(&s->scratch);
    enum err rc = ERR_OK;
    switch (b->preload) {
    case PRELOAD_UID: rc = session_new_uuid(s, &s->scratch, &text, d); break;
    case PRELOAD_START: text = now_text(s, &s->scratch, false); break;
    case PRELOAD_TODAY: text = now_text(s, &s->scratch, true); break;
    case PRELOAD_PROPERTY:
        text = s->host->property ? s->host->property(s->host->self, b->preload_name) : STR("");
        break;
    case PRELOAD_NONE:
    case PRELOAD_END: break;
    }
    if (!rc && text.p)
        rc = cell_set(s, f, b->node, text, text.n ? ANSWER_GIVEN : ANSWER_NONE);
    arena_release(&s->scratch, mark);
    return rc;
}

enum err preload_frame(struct session *s, struct frame *f, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; i < s->form->preloads.count && !rc; i++) {
        const struct bind *b = &s->form->binds.at[s->form->preloads.at[i]];
        if (node_at(s, b->node)->class == f->class)
            rc = preload_cell(s, f, b, d);
    }
    return rc;
}

static enum err preload_all(struct session *s, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; i < s->frames.count && s->form->preloads.count && !rc; i++)
        if (s->frames.at[i])
            rc = preload_frame(s, s->frames.at[i], d);
    return rc;
}

/* --- a saved interview --- */

static enum err saved_by_other(struct diag *d, const char *what, uint64_t number)
{
    return diag_set(d, ERR_STATE,
                    "The saved interview has a %s (%llu) that this version of the form does not know.", what,
                    (unsigned long long)number);
}

static struct str key_text(const uint64_t *key)
{
    return (struct str){(const char *)key, sizeof(*key)};
}

static enum err fixed_attributes(struct session *s, struct frame *f)
{
    const struct blueprint *b = &s->form->blueprints.at[s->form->classes.at[f->class].blueprint];
    for (uint32_t i = 0; i < b->cell_count; i++) {
        const struct blueprint_cell *from = &s->form->blueprint_cells.at[b->cell_first + i];
        if (from->row == 0 && node_at(s, from->node)->fixed)
            cell_at(s, f, from->node)->text = from->text;
    }
    return ERR_OK;
}

static enum err load_row(struct session *s, const struct saved_row *row, struct map *keys, struct diag *d)
{
    uint32_t parent = 0;
    struct frame *f = NULL;
    if (row->repeat >= s->form->repeats.count)
        return saved_by_other(d, "repeat", row->repeat);
    uint32_t class = row->repeat + 1;
    if (row->parent_key != 0 && !map_get(keys, key_text(&row->parent_key), &parent))
        return saved_by_other(d, "row without a parent", row->key);
    if (s->frames.at[parent]->class != s->form->classes.at[class].parent)
        return saved_by_other(d, "row in the wrong place", row->key);
    enum err rc = frame_add(s, class, parent, row->key, row->order, &f, d);
    if (rc)
        return rc;
    if (row->key >= s->row_key_next)
        s->row_key_next = row->key + 1;
    rc = map_put(keys, key_text(&row->key), f->number);
    return rc ? rc : fixed_attributes(s, f);
}

static enum err load_cell(struct session *s, const struct saved_cell *cell, const struct map *keys,
                          struct diag *d)
{
    uint32_t number = 0;
    if (cell->field >= s->form->fields.count)
        return saved_by_other(d, "field", cell->field);
    if (cell->key != 0 && !map_get(keys, key_text(&cell->key), &number))
        return saved_by_other(d, "value in a row", cell->key);
    uint32_t node = s->form->field_nodes.at[cell->field];
    struct frame *f = s->frames.at[number];
    if (node_at(s, node)->class != f->class)
        return saved_by_other(d, "value in the wrong row", cell->key);
    struct cell *c = cell_at(s, f, node);
    enum err rc = cell_put(s, c, cell->value);
    c->status = (uint8_t)(cell->status == ANSWER_NONE && cell->value.n ? ANSWER_GIVEN : cell->status);
    return rc;
}

static enum err load_saved(struct session *s, const struct session_options *o, struct diag *d)
{
    struct map keys;
    enum err rc = fixed_attributes(s, s->frames.at[0]);
    map_init(&keys, &s->arena);
    for (uint32_t i = 0; i < o->row_count && !rc; i++)
        rc = load_row(s, &o->rows[i], &keys, d);
    for (uint32_t i = 0; i < s->frames.count && !rc; i++)
        for (uint32_t k = 0; k < s->form->classes.at[s->frames.at[i]->class].child_count; k++)
            order_sort(s, &s->frames.at[i]->lists[k]);
    for (uint32_t i = 0; i < o->cell_count && !rc; i++)
        rc = load_cell(s, &o->cells[i], &keys, d);
    return rc;
}

static uint32_t find_by_name(const struct form *f, uint32_t parent, const char *local)
{
    return form_child(f, parent, form_local(f, str_of(local)), false);
}

/* A further visit: what is asked anew is cleared, and the record points back at its predecessor. */
static enum err begin_revisit(struct session *s, struct diag *d)
{
    const struct form *f = s->form;
    uint32_t meta = find_by_name(f, 0, "meta");
    uint32_t id = meta == NONE ? NONE : find_by_name(f, meta, "instanceID");
    uint32_t deprecated = meta == NONE ? NONE : find_by_name(f, meta, "deprecatedID");
    struct frame *root = s->frames.at[0];
    enum err rc = ERR_OK;
    if (id != NONE && deprecated != NONE) {
        struct str old = cell_at(s, root, id)->text;
        rc = cell_set(s, root, deprecated, old, old.n ? ANSWER_GIVEN : ANSWER_NONE);
    }
    for (uint32_t i = 0; i < s->frames.count && !rc; i++) {
        struct frame *frame = s->frames.at[i];
        const struct frame_class *class = &f->classes.at[frame->class];
        for (uint32_t k = 0; k < class->slot_count && !rc; k++) {
            uint32_t node = f->class_nodes.at[class->slots + k];
            if (f->nodes.at[node].field != NONE && f->fields.at[f->nodes.at[node].field].fresh)
                rc = cell_set(s, frame, node, STR(""), ANSWER_NONE);
        }
    }
    return rc ? rc : preload_all(s, d);
}

static enum err fill(struct session *s, const struct session_options *o, struct diag *d)
{
    struct frame *root = NULL;
    bool saved = o->resume || o->revisit || o->edit || o->frozen;
    enum err rc = frame_add(s, 0, NONE, 0, 0, &root, d);
    if (!rc)
        rc = saved ? load_saved(s, o, d) : frame_fill(s, root, d);
    if (!rc && !saved)
        rc = preload_all(s, d);
    if (!rc)
        rc = unknown_load(s, o);
    if (!rc && o->revisit)
        rc = begin_revisit(s, d);
    if (!rc && o->edit)
        rc = edit_begin(s, d);
    if (!rc && !saved)
        rc = run_event(s, EVENT_FIRST_LOAD);
    if (!rc && !o->frozen)
        rc = run_event(s, EVENT_LOAD);
    return rc ? rc : recompute(s, d);
}

enum err session_open(struct arena *a, const struct session_options *o, struct session **session_out,
                      struct diag *d)
{
    struct session *s = ARENA_NEW(a, struct session);
    if (!s)
        return diag_set(d, ERR_NOMEM, "There is no memory for an interview.");
    size_t max = o->memory_max ? o->memory_max : SESSION_MEMORY_MAX;
    arena_init(&s->arena, max);
    arena_init(&s->scratch, max);
    arena_init(&s->told, max);
    pool_init(&s->pool, &s->arena);
    s->form = o->form;
    s->host = o->host;
    s->instance_id = o->instance_id.p ? o->instance_id : STR("");
    s->now_ms = o->host->now_ms(o->host->self);
    s->row_key_next = o->row_key_next ? o->row_key_next : 1;
    s->language = o->language < o->form->languages.count ? o->language : o->form->language_default;
    s->running = NONE;
    s->work_max = o->work_max ? o->work_max : SESSION_WORK_MAX;
    s->frozen = o->frozen;
    s->resumed = o->resume || o->revisit || o->edit || o->frozen;
    s->loading = true;
    s->at.kind = STOP_START;
    enum err rc = open_tables(s);
    if (!rc)
        rc = fill(s, o, d);
    s->loading = false;
    if (rc) {
        diag_set(d, rc, "The interview could not be opened.");
        session_close(s);
        return rc;
    }
    *session_out = s;
    return ERR_OK;
}

void session_close(struct session *s)
{
    if (!s)
        return;
    regex_cache_free(&s->regexes);
    arena_free(&s->told);
    arena_free(&s->scratch);
    arena_free(&s->arena);
}

uint32_t session_warnings(struct session *s, const struct str **warnings_out)
{
    *warnings_out = s->warnings.at;
    return s->warnings.count;
}

uint32_t session_requests(struct session *s, struct arena *a, struct place **places_out)
{
    uint32_t count = 0;
    struct place *list = ARENA_ARRAY(a, struct place, s->located.count + 1);
    for (uint32_t i = 0; list && i < s->located.count; i++)
        if (place_frame(s, s->located.at[i]))
            list[count++] = s->located.at[i];
    s->located.count = 0;
    *places_out = list;
    return count;
}

struct session_request session_request(const struct session *s, struct place p)
{
    for (uint32_t i = 0; i < s->form->actions.count; i++) {
        const struct action *a = &s->form->actions.at[i];
        if (a->target == p.node && a->kind == ACTION_RECORDAUDIO)
            return (struct session_request){REQUEST_RECORDING, a->quality};
    }
    return (struct session_request){REQUEST_POSITION, STR("")};
}

/* --- changes --- */

uint32_t session_changes(struct session *s, const struct session_change **changes_out)
{
    s->changes_told.count = 0;
    for (uint32_t i = 0; i < s->changes.count; i++) {
        const struct change_entry *e = &s->changes.at[i];
        if (e->dead)
            continue;
        struct session_change *c = vec_push(&s->told, &s->changes_told);
        if (!c) {
            s->broken = true;
            break;
        }
        *c = (struct session_change){.op = e->op,
                                     .key = e->key,
                                     .parent_key = e->parent_key,
                                     .repeat = e->repeat,
                                     .order = e->order,
                                     .value = STR("")};
        if (e->op != SESSION_SET)
            continue;
        const struct cell *cell = cell_at(s, s->frames.at[e->frame], e->node);
        c->field = node_at(s, e->node)->field;
        c->status = (enum answer_status)cell->status;
        c->calculated = s->form->fields.at[c->field].calculated;
        c->value = arena_str(&s->told, cell->text);
        if (cell->text.n == 0 && cell->status <= ANSWER_GIVEN) {
            c->op = SESSION_CLEAR;
            c->status = ANSWER_NONE;
        } else if (c->status == ANSWER_NONE) {
            c->status = ANSWER_GIVEN; /* a default of the form */
        }
        if (!c->value.p)
            s->broken = true;
    }
    *changes_out = s->changes_told.at;
    return s->changes_told.count;
}

void session_changes_clear(struct session *s)
{
    for (uint32_t i = 0; i < s->changes.count; i++) {
        const struct change_entry *e = &s->changes.at[i];
        struct frame *f = e->dead || e->op == SESSION_ROW_REMOVE ? NULL : s->frames.at[e->frame];
        if (f && e->op == SESSION_ROW_ADD)
            f->change = 0;
        else if (f)
            cell_at(s, f, e->node)->change = 0;
    }
    s->changes.count = 0;
    s->changes_told.at = NULL;
    s->changes_told.count = s->changes_told.room = 0;
    arena_free(&s->told);
    arena_init(&s->told, s->arena.used_max);
}

/* --- places --- */

struct frame *place_frame(const struct session *s, struct place p)
{
    struct frame *f = frame_at(s, p.frame);
    return f && f->key == p.key ? f : NULL;
}

struct place place_of(const struct session *s, const struct frame *f, uint32_t node)
{
    return (struct place){.key = f->key, .field = node_at(s, node)->field, .node = node, .frame = f->number};
}

/* One step: "member[2]", "orx:meta", "@id". */
static bool parse_step(struct str token, struct str *local, bool *attribute, uint64_t *position)
{
    ptrdiff_t open = str_find(token, STR("["));
    *position = 1;
    if (open >= 0) {
        struct str inside = str_sub(token, (size_t)open + 1, token.n);
        if (inside.n < 2 || inside.p[inside.n - 1] != ']' ||
            !str_to_u64(str_trim(str_sub(inside, 0, inside.n - 1)), position))
            return false;
        token = str_sub(token, 0, (size_t)open);
    }
    *attribute = str_starts(token, STR("@"));
    ptrdiff_t colon = str_find(token, STR(":"));
    *local = str_sub(token, colon >= 0 ? (size_t)colon + 1 : *attribute, token.n);
    return true;
}

static enum err no_such_place(struct session *s, struct str ref, struct str local, uint32_t parent,
                              struct diag *d)
{
    struct str near = parent == NONE ? s->form->names.at[s->form->nodes.at[0].name].local
                                     : form_nearest_child(s->form, parent, local);
    return diag_set(d, ERR_NOT_FOUND, "The form has no %.*s: there is no \"%.*s\".%s%.*s", STR_ARG(ref),
                    STR_ARG(local), near.n ? " Near it: " : "", STR_ARG(near));
}

enum err session_place(struct session *s, struct str ref, struct place *place_out, struct diag *d)
{
    struct str rest = str_trim(ref), token, local;
    const struct frame *f = s->frames.at[0];
    uint32_t node = NONE;
    if (!str_starts(rest, STR("/")))
        return diag_set(d, ERR_NOT_FOUND, "\"%.*s\" is not a path. A path begins with a slash.",
                        STR_ARG(ref));
    rest = str_sub(rest, 1, rest.n);
    while (str_split(&rest, '/', &token)) {
        bool attribute;
        uint64_t position;
        if (!parse_step(str_trim(token), &local, &attribute, &position))
            return diag_set(d, ERR_NOT_FOUND, "\"%.*s\" is not a path: the number in [ ] cannot be read.",
                            STR_ARG(ref));
        uint32_t number = form_local(s->form, local), child = NONE;
        if (node == NONE)
            child = node_at(s, 0)->local == number ? 0 : NONE;
        else
            child = form_child(s->form, node, number, attribute);
        if (child == NONE)
            return no_such_place(s, ref, local, node, d);
        node = child;
        if (!node_at(s, node)->repeat) {
            for (; position > 1 && node != NONE; position--)
                node = node_at(s, node)->twin;
            if (node == NONE)
                return no_such_place(s, ref, local, node_at(s, child)->parent, d);
            continue;
        }
        const struct frame_list *list = frame_list(s, f, node_at(s, node)->class);
        if (position < 1 || position > list->active)
            return diag_set(d, ERR_NOT_FOUND, "There is no %.*s: %.*s has %u entries.", STR_ARG(ref),
                            STR_ARG(local), list->active);
        f = s->frames.at[list->at[order_slot(list, (uint32_t)position - 1)]];
    }
    if (node == NONE)
        return diag_set(d, ERR_NOT_FOUND, "The path is empty.");
    *place_out = place_of(s, f, node);
    return ERR_OK;
}

/* Elements of the same name without a repeat are told apart by a number, too. 0 = it is alone. */
static uint32_t twin_number(const struct session *s, uint32_t node)
{
    const struct schema_node *n = node_at(s, node);
    uint32_t first = n->parent == NONE ? node : form_child(s->form, n->parent, n->local, n->attribute);
    uint32_t number = 1;
    if (first == node && n->twin == NONE)
        return 0;
    while (first != node && first != NONE) {
        first = node_at(s, first)->twin;
        number++;
    }
    return number;
}

struct str session_ref(struct session *s, struct place p, struct arena *a)
{
    const struct frame *f = place_frame(s, p);
    uint32_t chain[FORM_DEPTH_MAX + 1], depth = 0;
    struct buf b;
    if (!f || p.node >= s->form->nodes.count)
        return STR("");
    for (uint32_t n = p.node; n != NONE && depth <= FORM_DEPTH_MAX; n = node_at(s, n)->parent)
        chain[depth++] = n;
    buf_init(&b, 1u << 16);
    while (depth > 0) {
        const struct schema_node *n = node_at(s, chain[--depth]);
        uint32_t number = n->repeat ? frame_position(s, frame_up(s, f, n->class)) + 1u
                                    : twin_number(s, chain[depth]);
        buf_put_z(&b, n->attribute ? "/@" : "/");
        buf_put_str(&b, s->form->names.at[n->name].local);
        if (number) {
            buf_put_char(&b, '[');
            buf_put_u64(&b, number);
            buf_put_char(&b, ']');
        }
    }
    struct str out = arena_str(a, buf_str(&b));
    buf_free(&b);
    return out.p ? out : STR("");
}

struct str session_value(struct session *s, struct place p, bool *relevant_out)
{
    const struct frame *f = place_frame(s, p);
    if (!f || p.node >= s->form->nodes.count) {
        if (relevant_out)
            *relevant_out = false;
        return STR("");
    }
    const struct cell *c = cell_at(s, f, p.node);
    if (relevant_out)
        *relevant_out = c->hidden == 0;
    return c->text;
}

bool session_counts(struct session *s, struct place p, bool *answered_out)
{
    const struct frame *f = place_frame(s, p);
    if (!f || p.node >= s->form->nodes.count || cell_readonly(s, f, p.node))
        return false;
    const struct cell *c = cell_at(s, f, p.node);
    *answered_out = c->status != ANSWER_NONE || c->text.n > 0;
    return true;
}

uint32_t session_instances(struct session *s, struct place parent, uint32_t repeat, struct arena *a,
                           struct place **places_out)
{
    const struct frame *f = place_frame(s, parent);
    uint32_t class = repeat + 1;
    if (!f || repeat >= s->form->repeats.count ||
        form_common_class(s->form, f->class, class) != s->form->classes.at[class].parent)
        return 0;
    const struct frame_list *list = frame_list(s, frame_up(s, f, s->form->classes.at[class].parent), class);
    struct place *out = ARENA_ARRAY(a, struct place, list->active + 1);
    uint32_t count = 0;
    for (uint32_t i = entry_from(list, 0); out && i < list->used; i = entry_from(list, i + 1))
        out[count++] = place_of(s, s->frames.at[list->at[i]], s->form->classes.at[class].node);
    *places_out = out;
    return count;
}

/* --- repeats and language --- */

enum err session_ready(struct session *s, struct diag *d)
{
    if (s->broken)
        return diag_set(
            d, ERR_NOMEM,
            "Memory ran out before. Close the interview and open it again: what was saved is safe.");
    if (s->finalised || s->frozen)
        return diag_set(d, ERR_STATE,
                        s->frozen ? "This is a record of an earlier interview; it cannot be changed."
                                  : "The interview is finalised; it cannot be changed.");
    s->now_ms = s->host->now_ms(s->host->self);
    return ERR_OK;
}

static bool may_change_rows(const struct session *s, uint32_t class)
{
    uint32_t control = s->form->classes.at[class].control;
    return control != NONE && !s->form->controls.at[control].fixed_count;
}

enum err session_repeat_add(struct session *s, struct place at, uint32_t repeat, struct place *added_out,
                            struct diag *d)
{
    const struct frame *f = place_frame(s, at);
    struct frame *added = NULL;
    enum err rc = session_ready(s, d);
    if (rc)
        return rc;
    if (!f || repeat >= s->form->repeats.count)
        return diag_set(d, ERR_NOT_FOUND, "There is no such repeat here.");
    uint32_t class = repeat + 1, parent_class = s->form->classes.at[class].parent;
    if (form_common_class(s->form, f->class, parent_class) != parent_class)
        return diag_set(d, ERR_USAGE, "The place lies outside the repeat's parent.");
    if (!may_change_rows(s, class))
        return diag_set(d, ERR_STATE, "The form itself decides how many of these there are.");
    struct frame *parent = s->frames.at[frame_up(s, f, parent_class)->number];
    if (cell_at(s, parent, node_at(s, s->form->classes.at[class].node)->parent)->hidden)
        return diag_set(d, ERR_STATE, "This part of the form does not apply now.");
    rc = add_row(s, class, parent, &added, d);
    if (!rc)
        rc = recompute(s, d);
    if (rc) {
        s->broken |= rc == ERR_NOMEM;
        return rc;
    }
    *added_out = place_of(s, added, s->form->classes.at[class].node);
    return ERR_OK;
}

enum err session_repeat_remove(struct session *s, struct place p, struct diag *d)
{
    struct frame *f = place_frame(s, p);
    enum err rc = session_ready(s, d);
    if (rc)
        return rc;
    if (!f || f->class == 0)
        return diag_set(d, ERR_NOT_FOUND, "There is no such repeated entry.");
    if (!may_change_rows(s, f->class))
        return diag_set(d, ERR_STATE, "The form itself decides how many of these there are.");
    cursor_leave(s, f);
    frame_remove(s, f);
    return recompute(s, d);
}

enum err session_language(struct session *s, uint32_t language, struct diag *d)
{
    if (language >= s->form->languages.count)
        return diag_set(d, ERR_NOT_FOUND, "The form has no such language.");
    s->language = language;
    s->now_ms = s->host->now_ms(s->host->self);
    for (uint32_t i = 0; i < s->form->props.count; i++) {
        if (!(s->form->props.at[i].uses & EXPR_USES_LANGUAGE))
            continue;
        for (uint32_t k = 0; k < s->frames.count; k++)
            if (s->frames.at[k] && s->frames.at[k]->class == s->form->props.at[i].class)
                mark_prop(s, i, s->frames.at[k]);
    }
    return recompute(s, d);
}
