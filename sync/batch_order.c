/* The order in which a payload's groups and values stand. Both ends work it out from what was told before, so
 * it costs nothing; what looks alike stands together, which is worth a third of a day's visits. */
#include "sync/batch_columns.h"

#define KIND_COUNT 256

enum err group_kinds_init(struct group_kinds *k, struct arena *a, uint32_t group_max)
{
    *k = (struct group_kinds){.arena = a};
    map_init(&k->kinds, a);
    k->kind = ARENA_ARRAY(a, uint8_t, group_max);
    k->order = ARENA_ARRAY(a, uint32_t, group_max);
    return k->kind && k->order ? ERR_OK : ERR_NOMEM;
}

enum err group_kinds_add(struct group_kinds *k, struct row_id row, struct str birth)
{
    unsigned char key[ROW_ID_SIZE];
    uint32_t kind = 0;
    struct row_birth b;
    row_id_write(row, key);
    struct str id = {(const char *)key, sizeof(key)};
    if (!birth.p) {
        (void)map_get(&k->kinds, id, &kind);
        k->kind[k->count++] = (uint8_t)kind;
        return ERR_OK;
    }
    kind = row_birth_read(birth, &b) ? (uint8_t)b.kind : 0;
    k->kind[k->count++] = (uint8_t)kind;
    id = arena_str(k->arena, id);
    return id.p ? map_put(&k->kinds, id, kind) : ERR_NOMEM;
}

/* Counting, so that groups of one kind keep their order. */
void group_kinds_sort(struct group_kinds *k)
{
    uint32_t start[KIND_COUNT + 1] = {0};
    for (uint32_t g = 0; g < k->count; g++)
        start[k->kind[g] + 1]++;
    for (unsigned i = 0; i < KIND_COUNT; i++)
        start[i + 1] += start[i];
    for (uint32_t g = 0; g < k->count; g++)
        k->order[start[k->kind[g]]++] = g;
}

enum err field_walk_init(struct field_walk *w, struct arena *a, const struct change *ch,
                         const uint32_t *group, const struct group_kinds *kinds)
{
    *w = (struct field_walk){.ch = ch, .group = group, .kinds = kinds};
    w->active = ARENA_ARRAY(a, uint32_t, kinds->count);
    w->at = ARENA_ARRAY(a, uint32_t, kinds->count);
    w->before_of = ARENA_ARRAY(a, uint32_t, kinds->count);
    return w->active && w->at && w->before_of ? ERR_OK : ERR_NOMEM;
}

static bool names_field(const struct field_walk *w, uint32_t g)
{
    uint32_t end = w->group[g + 1];
    while (w->at[g] < end && op_on_row(w->ch[w->at[g]].op))
        w->at[g]++;
    return w->at[g] < end;
}

/* The groups of the next kind, those without any field left out. */
static bool next_kind(struct field_walk *w)
{
    while (w->kind_end < w->kinds->count) {
        uint8_t kind = w->kinds->kind[w->kinds->order[w->kind_end]];
        w->active_count = 0;
        for (; w->kind_end < w->kinds->count; w->kind_end++) {
            uint32_t g = w->kinds->order[w->kind_end];
            if (w->kinds->kind[g] != kind)
                break;
            w->at[g] = w->group[g];
            w->before_of[g] = 0;
            if (names_field(w, g))
                w->active[w->active_count++] = g;
        }
        if (w->active_count)
            return true;
    }
    return false;
}

bool field_walk_next(struct field_walk *w, uint32_t *change_out)
{
    if (w->next == w->active_count) { /* this place is done; groups that are longer have a next one */
        w->active_count = w->kept;
        w->next = w->kept = 0;
        w->has_last = false;
        if (!w->active_count && !next_kind(w))
            return false;
    }
    uint32_t g = w->active[w->next];
    w->before = w->before_of[g];
    *change_out = w->at[g];
    return true;
}

void field_walk_said(struct field_walk *w, uint32_t field)
{
    uint32_t g = w->active[w->next++];
    w->before_of[g] = w->last = field;
    w->has_last = true;
    w->at[g]++;
    if (names_field(w, g))
        w->active[w->kept++] = g;
}

static bool before(const struct value_place *a, const struct value_place *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind;
    if (a->field != b->field)
        return a->field < b->field;
    return a->change < b->change;
}

static void sift_down(struct value_place *p, uint32_t at, uint32_t count)
{
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && before(&p[child], &p[child + 1]))
            child++;
        if (!before(&p[at], &p[child]))
            return;
        struct value_place t = p[at];
        p[at] = p[child];
        p[child] = t;
    }
}

/* No two places are equal, so a heap sorts as well as anything. */
void value_places_sort(struct value_place *places, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;)
        sift_down(places, i, count);
    for (uint32_t n = count; n > 1; n--) {
        struct value_place t = places[0];
        places[0] = places[n - 1];
        places[n - 1] = t;
        sift_down(places, 0, n - 1);
    }
}
