/* Migration in four steps: which field and repeat of the old form is which of the new one; rows and cells go
 * there or aside; what is new in the form and has a default gets it; and the outcome is opened once, beside
 * the old draft, to see which answers have become wrong that were not wrong before.
 */
#include "forms/migrate.h"

#include "forms/instance.h"

struct move {
    uint32_t field; /* in the new form, NONE */
    bool by_name;
};

struct row_key {
    uint64_t key;
};
struct cell_key {
    uint64_t key;
    uint64_t field;
};

struct migrating {
    struct arena *a, *scratch;
    const struct migration_draft *draft;
    const struct form *from, *to;
    struct move *fields; /* by old field */
    uint32_t *repeats;   /* by old repeat: new one, NONE */
    bool *field_taken;   /* by new field */
    bool *repeat_taken;  /* by new repeat */
    struct map rows;     /* key of a row that goes along: its new repeat */
    struct map cells;    /* cell_key of what has a value afterwards */
    struct map wrong;    /* cell_key (new field) of what was wrong before */
    VEC(struct migration_item) items;
    VEC(struct saved_row) rows_out;
    VEC(struct saved_cell) cells_out;
    VEC(struct set_aside) aside;
    uint64_t key_next;
    bool nomem;
};

static struct str row_name(struct migrating *m, uint64_t key)
{
    struct row_key *k = ARENA_NEW(m->scratch, struct row_key);
    m->nomem |= !k;
    if (k)
        k->key = key;
    return k ? (struct str){(const char *)k, sizeof(*k)} : STR("");
}

static struct str cell_name(struct migrating *m, uint64_t key, uint32_t field)
{
    struct cell_key *k = ARENA_NEW(m->scratch, struct cell_key);
    m->nomem |= !k;
    if (k)
        *k = (struct cell_key){key, field};
    return k ? (struct str){(const char *)k, sizeof(*k)} : STR("");
}

static void put(struct migrating *m, struct map *map, struct str name, uint32_t value)
{
    if (m->nomem || map_put(map, name, value) != ERR_OK)
        m->nomem = true;
}

static bool has(const struct map *map, struct str name)
{
    uint32_t ignored;
    return map_get(map, name, &ignored);
}

/* --- which is which --- */

/* The path below the root element, whose name does not matter. */
static struct str below_root(struct str path)
{
    ptrdiff_t slash = path.n ? str_find(str_sub(path, 1, path.n), STR("/")) : -1;
    return slash < 0 ? STR("") : str_sub(path, (size_t)slash + 1, path.n);
}

static struct str last_name(struct str path)
{
    struct str rest = path, step, name = STR("");
    while (str_split(&rest, '/', &step))
        name = step;
    return name;
}

static struct str in_new_form(struct migrating *m, struct str path)
{
    struct str root = m->to->names.at[m->to->nodes.at[0].name].local, below = below_root(path);
    char *p = arena_alloc(m->scratch, 1 + root.n + below.n);
    if (!p) {
        m->nomem = true;
        return STR("");
    }
    p[0] = '/';
    memcpy(p + 1, root.p, root.n);
    memcpy(p + 1 + root.n, below.p, below.n);
    return (struct str){p, 1 + root.n + below.n};
}

/* Same path; the k-th of several elements with one path goes to the k-th. */
static uint32_t field_at_path(struct migrating *m, uint32_t old)
{
    struct str path = in_new_form(m, m->from->fields.at[old].path);
    const struct form_field *f = form_field_by_path(m->to, path);
    uint32_t k = 0;
    for (uint32_t i = 0; f && i < old; i++)
        k += m->from->nodes.at[m->from->field_nodes.at[i]].twin != NONE &&
             str_eq(m->from->fields.at[i].path, m->from->fields.at[old].path);
    if (!f || (k == 0 && m->to->nodes.at[m->to->field_nodes.at[f->number]].twin == NONE &&
               !m->field_taken[f->number]))
        return f ? f->number : NONE;
    for (uint32_t i = 0; i < m->to->fields.count; i++)
        if (str_eq(m->to->fields.at[i].path, path) && k-- == 0)
            return i;
    return NONE;
}

static uint32_t repeat_mapped(const struct migrating *m, uint32_t old)
{
    return old == FORM_NO_REPEAT ? FORM_NO_REPEAT : m->repeats[old];
}

/* A repeat keeps its entries only inside the same parent. Parents have lower numbers. */
static void match_repeats(struct migrating *m)
{
    for (uint32_t i = 0; i < m->from->repeats.count; i++) {
        const struct form_repeat *old = &m->from->repeats.at[i];
        struct str path = in_new_form(m, old->path), name = last_name(old->path);
        uint32_t found = NONE, named = 0;
        m->repeats[i] = NONE;
        if (old->parent != FORM_NO_REPEAT && m->repeats[old->parent] == NONE)
            continue;
        for (uint32_t k = 0; k < m->to->repeats.count; k++) {
            const struct form_repeat *new = &m->to->repeats.at[k];
            if (new->parent != repeat_mapped(m, old->parent))
                continue;
            if (str_eq(new->path, path)) {
                found = k;
                named = 1;
                break;
            }
            if (str_eq(last_name(new->path), name)) {
                found = k;
                named++;
            }
        }
        if (named == 1 && !m->repeat_taken[found]) {
            m->repeats[i] = found;
            m->repeat_taken[found] = true;
        }
    }
}

static bool can_move(const struct migrating *m, uint32_t old, uint32_t new)
{
    const struct form_field *a = &m->from->fields.at[old], *b = &m->to->fields.at[new];
    return !m->field_taken[new] && !a->calculated && !b->calculated && a->attribute == b->attribute &&
           b->repeat == repeat_mapped(m, a->repeat) &&
           (a->repeat == FORM_NO_REPEAT) == (b->repeat == FORM_NO_REPEAT);
}

/* The only question of this name that lost its path, and the only new one that could take it. */
static void match_by_name(struct migrating *m)
{
    struct map lost, found;
    map_init(&lost, m->scratch);
    map_init(&found, m->scratch);
    for (uint32_t i = 0; i < m->from->fields.count; i++) {
        uint32_t before = 0;
        struct str name = last_name(m->from->fields.at[i].path);
        if (m->fields[i].field != NONE)
            continue;
        map_get(&lost, name, &before);
        put(m, &lost, name, before + 1);
    }
    for (uint32_t i = 0; i < m->to->fields.count; i++) {
        struct str name = last_name(m->to->fields.at[i].path);
        uint32_t before;
        if (!m->field_taken[i])
            put(m, &found, name, map_get(&found, name, &before) ? NONE : i);
    }
    for (uint32_t i = 0; i < m->from->fields.count; i++) {
        struct str name = last_name(m->from->fields.at[i].path);
        uint32_t count = 0, to = NONE;
        if (m->fields[i].field != NONE || !map_get(&lost, name, &count) || count != 1 ||
            !map_get(&found, name, &to) || to == NONE || !can_move(m, i, to))
            continue;
        m->fields[i] = (struct move){to, true};
        m->field_taken[to] = true;
    }
}

static void match_fields(struct migrating *m)
{
    for (uint32_t i = 0; i < m->from->fields.count; i++) {
        uint32_t to = field_at_path(m, i);
        if (to != NONE && m->field_taken[to])
            to = NONE;
        m->fields[i] = (struct move){to, false};
        if (to != NONE)
            m->field_taken[to] = true;
    }
    match_by_name(m);
}

/* --- what is said --- */

/* A copy that lives with the plan. */
static struct str keep(struct migrating *m, struct str text)
{
    struct str kept = arena_str(m->a, text);
    m->nomem |= !kept.p;
    return kept.p ? kept : STR("");
}

static struct migration_item *say(struct migrating *m, enum migration_kind kind, uint64_t key,
                                  struct str from, struct str to, struct str value, const char *text)
{
    struct migration_item *item = vec_push(m->a, &m->items);
    if (!item) {
        m->nomem = true;
        return NULL;
    }
    *item = (struct migration_item){kind, key, from, to, value, str_of(text)};
    return item;
}

static void set_aside(struct migrating *m, uint64_t key, struct str path, struct str value,
                      enum answer_status status)
{
    struct set_aside *s = vec_push(m->a, &m->aside);
    if (!s)
        m->nomem = true;
    else
        *s = (struct set_aside){key, path, value, status};
}

static void keep_cell(struct migrating *m, uint64_t key, uint32_t field, struct str value,
                      enum answer_status status)
{
    struct saved_cell *c = vec_push(m->a, &m->cells_out);
    if (!c) {
        m->nomem = true;
        return;
    }
    *c = (struct saved_cell){key, field, value, status};
    put(m, &m->cells, cell_name(m, key, field), 1);
}

/* --- rows and cells --- */

/* An entry that is set aside, as text: its parent's row and its place among its siblings. */
static struct str row_text(struct migrating *m, const struct saved_row *row)
{
    struct buf b;
    buf_init(&b, 64);
    buf_put_u64(&b, row->parent_key);
    buf_put_char(&b, ' ');
    buf_put_i64(&b, row->order);
    struct str text = keep(m, buf_str(&b));
    buf_free(&b);
    return text;
}

static bool row_of_text(struct str text, struct saved_row *out)
{
    struct str parent, order;
    return str_word(&text, &parent) && str_word(&text, &order) && text.n == 0 &&
           str_to_u64(parent, &out->parent_key) && str_to_i64(order, &out->order);
}

static uint32_t repeat_at_path(struct migrating *m, struct str path)
{
    struct str wanted = in_new_form(m, path);
    for (uint32_t i = 0; i < m->to->repeats.count; i++)
        if (str_eq(m->to->repeats.at[i].path, wanted))
            return i;
    return NONE;
}

/* An entry that an earlier version had to leave behind, if its repeat is there again and its parent, too. */
static bool row_back(struct migrating *m, const struct set_aside *s)
{
    struct saved_row row = {.key = s->key};
    uint32_t parent = FORM_NO_REPEAT;
    row.repeat = s->status == ANSWER_NONE ? repeat_at_path(m, s->path) : NONE;
    if (row.repeat == NONE || !row_of_text(s->value, &row) || has(&m->rows, row_name(m, s->key)) ||
        (row.parent_key && !map_get(&m->rows, row_name(m, row.parent_key), &parent)) ||
        m->to->repeats.at[row.repeat].parent != parent)
        return false;
    struct saved_row *out = vec_push(m->a, &m->rows_out);
    if (!out) {
        m->nomem = true;
        return false;
    }
    *out = row;
    put(m, &m->rows, row_name(m, row.key), row.repeat);
    if (row.key >= m->key_next)
        m->key_next = row.key + 1;
    return true;
}

static void move_rows(struct migrating *m)
{
    for (uint32_t i = 0; i < m->draft->saved.row_count; i++) {
        const struct saved_row *row = &m->draft->saved.rows[i];
        uint32_t to = row->repeat < m->from->repeats.count ? m->repeats[row->repeat] : NONE;
        bool parent_goes = row->parent_key == 0 || has(&m->rows, row_name(m, row->parent_key));
        if (to == NONE || !parent_goes) {
            struct str path = row->repeat < m->from->repeats.count ? m->from->repeats.at[row->repeat].path
                                                                   : STR("");
            say(m, MIGRATE_ENTRY_GONE, row->key, path, STR(""), STR(""),
                "The form no longer has these entries. Their answers are set aside.");
            set_aside(m, row->key, path, row_text(m, row), ANSWER_NONE);
            continue;
        }
        struct saved_row *out = vec_push(m->a, &m->rows_out);
        if (!out) {
            m->nomem = true;
            return;
        }
        *out = *row;
        out->repeat = to;
        put(m, &m->rows, row_name(m, row->key), to);
        if (row->key >= m->key_next)
            m->key_next = row->key + 1;
    }
}

/* Does the new field lie in this row? */
static bool row_holds(struct migrating *m, uint64_t key, uint32_t field)
{
    uint32_t repeat = FORM_NO_REPEAT;
    if (key != 0 && !map_get(&m->rows, row_name(m, key), &repeat))
        return false;
    return m->to->fields.at[field].repeat == repeat;
}

static bool fits(struct migrating *m, enum field_type type, struct str value)
{
    return value.n == 0 || answer_fits(m->scratch, type, value);
}

static void move_cell(struct migrating *m, const struct saved_cell *c)
{
    bool known = c->field < m->from->fields.count;
    struct str from = known ? m->from->fields.at[c->field].path : STR("");
    bool silent = known && m->from->fields.at[c->field].calculated; /* nobody answered it */
    struct move move = known ? m->fields[c->field] : (struct move){NONE, false};
    if (move.field == NONE || !row_holds(m, c->key, move.field) ||
        m->to->nodes.at[m->to->field_nodes.at[move.field]].fixed) {
        set_aside(m, c->key, from, c->value, c->status);
        if (!silent)
            say(m, MIGRATE_GONE, c->key, from, STR(""), c->value,
                "The form no longer asks this here. The answer is set aside.");
        return;
    }
    const struct form_field *old = &m->from->fields.at[c->field], *new = &m->to->fields.at[move.field];
    bool retyped = old->type != new->type;
    if (retyped && !fits(m, new->type, c->value)) {
        set_aside(m, c->key, from, c->value, c->status);
        if (!silent)
            say(m, MIGRATE_MISFIT, c->key, from, new->path, c->value,
                "The question's type has changed, and the answer is not of the new one. It is set aside.");
        return;
    }
    keep_cell(m, c->key, move.field, c->value, c->status);
    if (move.by_name)
        say(m, MIGRATE_MOVED, c->key, from, new->path, c->value,
            "The question stands elsewhere now. The answer went along.");
    if (retyped && !silent)
        say(m, MIGRATE_RETYPED, c->key, from, new->path, c->value,
            "The question's type has changed. The answer is of the new one as well.");
}

/* What an earlier version had to leave behind comes back where its place is there again. */
static void bring_back(struct migrating *m)
{
    for (uint32_t i = 0; i < m->draft->aside_count; i++) {
        const struct set_aside *s = &m->draft->aside[i];
        if (row_back(m, s))
            continue;
        const struct form_field *f = form_field_by_path(m->to, in_new_form(m, s->path));
        if (!f || f->calculated || !row_holds(m, s->key, f->number) ||
            m->to->nodes.at[m->to->field_nodes.at[f->number]].fixed || !fits(m, f->type, s->value) ||
            has(&m->cells, cell_name(m, s->key, f->number))) {
            set_aside(m, s->key, s->path, s->value, s->status);
            continue;
        }
        keep_cell(m, s->key, f->number, s->value, s->status);
        say(m, MIGRATE_RETURNED, s->key, s->path, f->path, s->value,
            "The form asks this again. The answer that was set aside is back.");
    }
}

/* --- what the new form brings with it --- */

static uint64_t new_row(struct migrating *m, uint64_t parent_key, uint32_t repeat, int64_t order)
{
    struct saved_row *row = vec_push(m->a, &m->rows_out);
    if (!row) {
        m->nomem = true;
        return 0;
    }
    *row = (struct saved_row){m->key_next++, parent_key, repeat, order};
    return row->key;
}

/* Default texts of new questions, and entries that a new repeat begins with, in a row that came along. */
static void bring_defaults(struct migrating *m, uint64_t key, uint32_t class)
{
    const struct form *f = m->to;
    const struct blueprint *b = &f->blueprints.at[f->classes.at[class].blueprint];
    uint64_t *keys = ARENA_ARRAY(m->scratch, uint64_t, b->row_count + 1);
    bool *fresh = ARENA_ARRAY(m->scratch, bool, b->row_count + 1);
    if (!keys || !fresh) {
        m->nomem = true;
        return;
    }
    keys[0] = key;
    for (uint32_t i = 1; i < b->row_count && !m->nomem; i++) {
        const struct blueprint_row *row = &f->blueprint_rows.at[b->row_first + i];
        fresh[i] = fresh[row->parent] || (row->parent == 0 && !m->repeat_taken[row->class - 1]);
        if (fresh[i])
            keys[i] = new_row(m, keys[row->parent], row->class - 1, i);
    }
    for (uint32_t i = 0; i < b->cell_count && !m->nomem; i++) {
        const struct blueprint_cell *c = &f->blueprint_cells.at[b->cell_first + i];
        const struct schema_node *n = &f->nodes.at[c->node];
        if (n->field == NONE || n->fixed || (c->row != 0 && !fresh[c->row]) ||
            (c->row == 0 && m->field_taken[n->field]) || has(&m->cells, cell_name(m, keys[c->row], n->field)))
            continue;
        keep_cell(m, keys[c->row], n->field, c->text, ANSWER_GIVEN);
    }
}

static void bring_all_defaults(struct migrating *m)
{
    uint32_t moved = m->rows_out.count;
    bring_defaults(m, 0, 0);
    for (uint32_t i = 0; i < moved && !m->nomem; i++)
        bring_defaults(m, m->rows_out.at[i].key, m->rows_out.at[i].repeat + 1);
}

/* --- what has become wrong --- */

static enum err open_as(struct migrating *m, const struct form *form, const struct saved_interview *saved,
                        struct session **s_out, struct diag *d)
{
    struct session_options o = {.form = form,
                                .host = m->draft->host,
                                .resume = true,
                                .rows = saved->rows,
                                .row_count = saved->row_count,
                                .cells = saved->cells,
                                .cell_count = saved->cell_count,
                                .row_key_next = m->key_next,
                                .language = form->language_default};
    return session_open(m->scratch, &o, s_out, d);
}

static enum err note_what_was_wrong(struct migrating *m, struct diag *d)
{
    struct session *s = NULL;
    struct place *places = NULL;
    enum err rc = open_as(m, m->from, &m->draft->saved, &s, d);
    uint32_t count = rc ? 0 : session_violations(s, m->scratch, &places);
    for (uint32_t i = 0; i < count; i++)
        if (places[i].field != NONE && m->fields[places[i].field].field != NONE)
            put(m, &m->wrong, cell_name(m, places[i].key, m->fields[places[i].field].field), 1);
    session_close(s);
    return rc;
}

static bool has_choices(const struct session *s, uint32_t node)
{
    uint32_t control = node_at(s, node)->control;
    enum control_kind kind = control == NONE ? CONTROL_NONE : s->form->controls.at[control].kind;
    return kind == CONTROL_SELECT_ONE || kind == CONTROL_SELECT_MANY || kind == CONTROL_RANK;
}

static void say_wrong(struct migrating *m, struct session *s, struct place p)
{
    struct frame *f = place_frame(s, p);
    const struct cell *c = cell_at(s, f, p.node);
    bool broken = c->flags & CELL_BROKEN, have = true;
    enum migration_kind kind = broken ? MIGRATE_CONSTRAINT : MIGRATE_REQUIRED;
    if (has(&m->wrong, cell_name(m, p.key, p.field)))
        return;
    if (broken && has_choices(s, p.node) && choices_have(s, f, p.node, c->text, &have) == ERR_OK && !have)
        kind = MIGRATE_CHOICE;
    struct migration_item *item = say(m, kind, p.key, STR(""), session_ref(s, p, m->a), keep(m, c->text), "");
    if (item)
        item->text = keep(m, violation_message(s, f, p.node, broken, m->scratch));
}

/* Choices written in the form itself are looked at when an answer is given and never again: until now. */
static enum err list_lost_choices(struct migrating *m, struct session *s, struct frame *f)
{
    const struct frame_class *class = &s->form->classes.at[f->class];
    enum err rc = ERR_OK;
    for (uint32_t i = 0; i < class->slot_count && !rc && !m->nomem; i++) {
        uint32_t node = s->form->class_nodes.at[class->slots + i];
        const struct cell *c = &f->cells[i];
        bool have = true;
        if (!has_choices(s, node) || c->hidden || c->violation || !c->text.n)
            continue;
        rc = choices_have(s, f, node, c->text, &have);
        if (!rc && !have)
            say(m, MIGRATE_CHOICE, f->key, STR(""), session_ref(s, place_of(s, f, node), m->a),
                keep(m, c->text), "This answer is no longer among the choices.");
    }
    return rc;
}

static enum err list_what_is_wrong(struct migrating *m, const struct saved_interview *after, struct diag *d)
{
    struct session *s = NULL;
    struct place *places = NULL;
    enum err rc = open_as(m, m->to, after, &s, d);
    uint32_t count = rc ? 0 : session_violations(s, m->scratch, &places);
    for (uint32_t i = 0; i < count && !m->nomem; i++)
        say_wrong(m, s, places[i]);
    for (uint32_t i = 0; !rc && i < s->frames.count; i++)
        if (s->frames.at[i])
            rc = list_lost_choices(m, s, s->frames.at[i]);
    session_close(s);
    return rc;
}

/* --- the plan --- */

static enum err prepare(struct migrating *m)
{
    m->fields = ARENA_ARRAY(m->scratch, struct move, m->from->fields.count + 1);
    m->repeats = ARENA_ARRAY(m->scratch, uint32_t, m->from->repeats.count + 1);
    m->field_taken = ARENA_ARRAY(m->scratch, bool, m->to->fields.count + 1);
    m->repeat_taken = ARENA_ARRAY(m->scratch, bool, m->to->repeats.count + 1);
    map_init(&m->rows, m->scratch);
    map_init(&m->cells, m->scratch);
    map_init(&m->wrong, m->scratch);
    m->key_next = m->draft->row_key_next ? m->draft->row_key_next : 1;
    return m->fields && m->repeats && m->field_taken && m->repeat_taken ? ERR_OK : ERR_NOMEM;
}

static enum err make(struct migrating *m, struct migration_plan *plan, struct diag *d)
{
    const struct saved_interview *saved = &m->draft->saved;
    enum err rc = prepare(m);
    if (rc)
        return rc;
    match_repeats(m);
    match_fields(m);
    move_rows(m);
    for (uint32_t i = 0; i < saved->cell_count && !m->nomem; i++)
        move_cell(m, &saved->cells[i]);
    bring_back(m);
    bring_all_defaults(m);
    plan->after = (struct saved_interview){m->rows_out.at,     m->rows_out.count, m->cells_out.at,
                                           m->cells_out.count, saved->unknown,    saved->unknown_count};
    if (!m->nomem)
        rc = note_what_was_wrong(m, d);
    if (!rc && !m->nomem)
        rc = list_what_is_wrong(m, &plan->after, d);
    return rc ? rc : m->nomem ? ERR_NOMEM : ERR_OK;
}

enum err migration_plan(struct arena *a, const struct migration_draft *draft, struct migration_plan *plan_out,
                        struct diag *d)
{
    struct arena scratch;
    struct migration_plan plan = {0};
    if (!str_eq(form_id(draft->from), form_id(draft->to)))
        return diag_set(d, ERR_USAGE, "\"%.*s\" is not another version of \"%.*s\".",
                        STR_ARG(form_id(draft->to)), STR_ARG(form_id(draft->from)));
    arena_init(&scratch, FORM_MEMORY_MAX);
    struct migrating m = {.a = a, .scratch = &scratch, .draft = draft, .from = draft->from, .to = draft->to};
    enum err rc = make(&m, &plan, d);
    arena_free(&scratch);
    if (rc == ERR_NOMEM)
        return diag_set(d, rc, "There is no memory to bring the draft to the newer form.");
    if (rc)
        return rc;
    plan.items = m.items.at;
    plan.item_count = m.items.count;
    for (uint32_t i = 0; i < m.items.count; i++)
        plan.attention += m.items.at[i].kind >= MIGRATE_GONE;
    plan.aside = m.aside.at;
    plan.aside_count = m.aside.count;
    plan.row_key_next = m.key_next;
    *plan_out = plan;
    return ERR_OK;
}
