/* A draft and a newer version of its form. The engine makes the plan (forms/migrate.h); here both versions
 * and the draft are brought to it, and what it says becomes changes of the draft's log, in one transaction. A
 * question that has kept its number keeps its row of the log; everything else is said anew.
 */
#include "agent/work_impl.h"

#include "platform/base/map.h"

struct version {
    const struct form *form;
    struct fieldmap map;
    unsigned char hash[SHA256_SIZE];
};

static enum err take_version(struct work *w, struct version *out, bool *published_out, struct diag *d)
{
    struct str fieldmap;
    enum err rc = work_fieldmap(w, published_out, &fieldmap, d);
    if (!rc)
        rc = work_map_read(w, fieldmap, &out->map, d);
    out->form = w->form;
    memcpy(out->hash, w->start.form_hash, SHA256_SIZE);
    return rc;
}

static enum err open_newest(struct work *w, struct version *out, struct diag *d)
{
    bool published = false;
    enum err rc = work_form_source(w, d);
    if (!rc)
        rc = work_form_load(w, d);
    if (!rc)
        rc = take_version(w, out, &published, d);
    if (!rc && w->from_file && !published)
        rc = work_form_keep(w, d);
    return rc;
}

static enum err open_draft(struct work *w, const struct version *newest, struct version *out, struct diag *d)
{
    bool published = false;
    enum err rc = store_draft_form(w->o.store, form_id(newest->form), w->start.household, w->start.form_hash,
                                   &w->draft, d);
    if (!rc && !w->draft)
        return diag_set(d, ERR_NOT_FOUND, "there is no draft of form %.*s here",
                        STR_ARG(form_id(newest->form)));
    if (!rc && memcmp(w->start.form_hash, newest->hash, SHA256_SIZE) == 0)
        return diag_set(d, ERR_STATE, "the draft has version %.*s already, the newest that is here",
                        STR_ARG(form_version(newest->form)));
    buf_clear(&w->form_bytes);
    if (!rc)
        rc = store_object_get(w->o.store, w->start.form_hash, &w->form_bytes, d);
    if (!rc)
        rc = work_form_load(w, d);
    return rc ? rc : take_version(w, out, &published, d);
}

static enum err open_visit(struct work *w, const struct version *v, struct visit *out, struct diag *d)
{
    w->start.form = v->form;
    w->start.map = &v->map;
    enum err rc = store_visit_open(w->o.store, &w->arena, &w->start, out, d);
    if (!rc && !out->resumed)
        rc = diag_set(d, ERR_STATE, "the draft was finished in another window meanwhile");
    return rc;
}

/* ---- from what the draft shows to what the plan wants ---- */

struct turning {
    struct arena *a;
    const struct saved_interview *now, *after;
    struct map new_keys, now_rows, now_cells; /* by key; by key; by (key, field) */
    uint64_t next_key;
    VEC(struct session_change) changes;
    bool nomem;
};

struct cell_name {
    uint64_t key;
    uint64_t field;
};

static struct str key_name(struct turning *t, uint64_t key)
{
    uint64_t *kept = ARENA_NEW(t->a, uint64_t);
    if (!kept) {
        t->nomem = true;
        return STR("");
    }
    *kept = key;
    return (struct str){(const char *)kept, sizeof *kept};
}

static struct str cell_key(struct turning *t, uint64_t key, uint32_t field)
{
    struct cell_name *kept = ARENA_NEW(t->a, struct cell_name);
    if (!kept) {
        t->nomem = true;
        return STR("");
    }
    *kept = (struct cell_name){key, field};
    return (struct str){(const char *)kept, sizeof *kept};
}

static void say(struct turning *t, struct session_change c)
{
    struct session_change *slot = vec_push(t->a, &t->changes);
    if (slot)
        *slot = c;
    t->nomem = t->nomem || !slot;
}

/* The key a row has after the change: its own, or a new one when it becomes a row of another repeat. */
static uint64_t key_after(struct turning *t, uint64_t key)
{
    uint32_t at;
    return map_get(&t->new_keys, key_name(t, key), &at) ? t->next_key + at : key;
}

static bool stays(struct turning *t, const struct saved_row *row)
{
    uint32_t at;
    return map_get(&t->now_rows, key_name(t, row->key), &at) && t->now->rows[at].repeat == row->repeat &&
           key_after(t, row->parent_key) == t->now->rows[at].parent_key;
}

/* Parents come before children. */
static void turn_rows(struct turning *t)
{
    uint32_t added = 0, ignored;
    struct map kept;
    map_init(&kept, t->a);
    for (uint32_t i = 0; i < t->after->row_count; i++) {
        const struct saved_row *row = &t->after->rows[i];
        if (stays(t, row)) {
            t->nomem = t->nomem || map_put(&kept, key_name(t, row->key), 1);
            continue;
        }
        t->nomem = t->nomem || map_put(&t->new_keys, key_name(t, row->key), added);
        say(t, (struct session_change){.op = SESSION_ROW_ADD,
                                       .key = t->next_key + added,
                                       .parent_key = key_after(t, row->parent_key),
                                       .repeat = row->repeat,
                                       .order = row->order});
        added++;
    }
    for (uint32_t i = 0; i < t->now->row_count; i++)
        if (!map_get(&kept, key_name(t, t->now->rows[i].key), &ignored))
            say(t, (struct session_change){.op = SESSION_ROW_REMOVE, .key = t->now->rows[i].key});
}

static void turn_cells(struct turning *t)
{
    struct map wanted;
    uint32_t at;
    map_init(&wanted, t->a);
    for (uint32_t i = 0; i < t->after->cell_count; i++) {
        const struct saved_cell *c = &t->after->cells[i];
        uint64_t key = key_after(t, c->key);
        bool known = key == c->key && map_get(&t->now_cells, cell_key(t, key, c->field), &at);
        bool same = known && t->now->cells[at].status == c->status &&
                    str_eq(t->now->cells[at].value, c->value);
        t->nomem = t->nomem || map_put(&wanted, cell_key(t, key, c->field), i);
        if (!same && (known || c->value.n || c->status != ANSWER_NONE))
            say(t, (struct session_change){.op = c->value.n ? SESSION_SET : SESSION_CLEAR,
                                           .key = key,
                                           .field = c->field,
                                           .value = c->value,
                                           .status = c->status});
    }
    for (uint32_t i = 0; i < t->now->cell_count; i++) {
        const struct saved_cell *c = &t->now->cells[i];
        bool row_stays = c->key == 0 || (map_get(&t->now_rows, key_name(t, c->key), &at) &&
                                         !map_get(&t->new_keys, key_name(t, c->key), &at));
        if (row_stays && !map_get(&wanted, cell_key(t, c->key, c->field), &at))
            say(t, (struct session_change){.op = SESSION_CLEAR, .key = c->key, .field = c->field});
    }
}

/* Rows that go, go last: what stands in them was said before. */
static enum err turn(struct turning *t, struct diag *d)
{
    map_init(&t->new_keys, t->a);
    map_init(&t->now_rows, t->a);
    map_init(&t->now_cells, t->a);
    for (uint32_t i = 0; i < t->now->row_count; i++)
        t->nomem = t->nomem || map_put(&t->now_rows, key_name(t, t->now->rows[i].key), i);
    for (uint32_t i = 0; i < t->now->cell_count; i++)
        t->nomem = t->nomem ||
                   map_put(&t->now_cells, cell_key(t, t->now->cells[i].key, t->now->cells[i].field), i);
    turn_rows(t);
    turn_cells(t);
    return t->nomem ? diag_set(d, ERR_NOMEM, "no memory to take the draft over") : ERR_OK;
}

static enum err write_plan(struct work *w, const struct version *newest, const struct migration_plan *plan,
                           struct diag *d)
{
    struct visit visit;
    enum err rc = open_visit(w, newest, &visit, d);
    struct turning t = {.a = &w->arena,
                        .now = &visit.now,
                        .after = &plan->after,
                        .next_key = visit.row_key_next};
    if (!rc)
        rc = turn(&t, d);
    struct visit_migration m = {.changes = t.changes.at,
                                .count = t.changes.count,
                                .aside = plan->aside,
                                .aside_count = plan->aside_count};
    memcpy(m.form_hash, newest->hash, SHA256_SIZE);
    return rc ? rc : store_visit_migrate(w->o.store, &visit, &m, d);
}

/* A question whose earlier answer was set aside stands empty in the log; that is no answer which could be in
 * the way when the earlier one comes back. */
static void make_room(struct migration_draft *draft)
{
    struct saved_interview *saved = &draft->saved;
    for (uint32_t i = 0; i < draft->aside_count; i++) {
        const struct form_field *f = form_field_by_path(draft->from, draft->aside[i].path);
        uint32_t kept = 0;
        for (uint32_t k = 0; f && k < saved->cell_count; k++) {
            const struct saved_cell *c = &saved->cells[k];
            bool empty = c->value.n == 0 && c->status <= ANSWER_GIVEN;
            if (!empty || c->field != f->number || c->key != draft->aside[i].key)
                saved->cells[kept++] = *c;
        }
        saved->cell_count = f ? kept : saved->cell_count;
    }
}

enum err work_migrate(struct work *w, const struct work_options *o, bool dry, struct work_migration *out,
                      struct diag *d)
{
    struct version newest = {0}, old = {0};
    struct set_aside *aside = NULL;
    struct migration_draft draft = {0};

    w->o = *o;
    w->start.type = w->start.language = STR("");
    arena_init(&w->arena, WORK_MEMORY_MAX);
    w->draft = true; /* a form from a file may be newer than what the centre has */
    enum err rc = work_household(w, d);
    if (!rc)
        rc = open_newest(w, &newest, d);
    if (!rc)
        rc = open_draft(w, &newest, &old, d);
    if (!rc)
        rc = open_visit(w, &old, &w->visit, d);
    if (!rc)
        rc = store_visit_aside(o->store, &w->arena, &w->visit, &aside, &draft.aside_count, d);
    w->form = newest.form;
    if (!rc)
        rc = work_lists(w, d);
    if (rc)
        return rc;
    draft.from = out->from = old.form;
    draft.to = out->to = newest.form;
    draft.host = &w->host;
    draft.saved = w->visit.now;
    draft.aside = aside;
    draft.row_key_next = w->visit.row_key_next;
    make_room(&draft);
    rc = migration_plan(&w->arena, &draft, &out->plan, d);
    return rc || dry ? rc : write_plan(w, &newest, &out->plan, d);
}
