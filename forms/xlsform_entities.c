/* The entities sheet: lists that a form adds to or changes. Each declaration gets a meta block in one
 * container (the survey, a group, a repeat): where its properties and references stand decides which.
 * Placement:
 *
 *   1. its scope is the innermost repeat that holds one of its properties or references; all properties must
 * be directly in that scope, references in it or around it;
 *   2. declarations with properties lie in the smallest container around all of them;
 *   3. the others lie in the container of their deepest reference, or the nearest free one above it in the
 * scope.
 */
#include "forms/xlsform_impl.h"

static struct xl_cell cell_in(const struct xl_row *row, const char *key)
{
    return xl_cell_of(XL_ENTITIES, row, xl_get(row, XL_PLAIN, key));
}

/* Names of lists and properties. False after a finding. */
static bool good_name(struct xl *x, struct xl_cell cell, const char *what, struct str name, bool property)
{
    const char *fault = NULL;
    if (str_starts(name, STR("__")))
        fault = "Names used here must not begin with two underscores";
    else if (!xl_is_name(name))
        fault = "Names must begin with a letter or underscore. After the first character, names may contain "
                "letters, "
                "digits, underscores, hyphens, or periods";
    else if (!property && memchr(name.p, '.', name.n))
        fault = "Names used here must not contain a period";
    else if (property && (str_eq_nocase(name, STR("name")) || str_eq_nocase(name, STR("label"))))
        fault = "Names used here must not be 'name' or 'label' (case-insensitive)";
    if (fault)
        xl_error(x, cell, "The '%s' value is invalid: \"%.*s\". %s.", what, STR_ARG(name), fault);
    return !fault;
}

static void check_modes(struct xl *x, const struct xl_entity *e)
{
    bool id = e->entity_id.n > 0, create = e->create_if.n > 0, update = e->update_if.n > 0;
    if (update && !id)
        xl_error(x, e->cell,
                 "The entity declaration is invalid. The entity list name '%.*s' does not have an "
                 "'entity_id' expression, "
                 "but an 'entity_id' is required when updating entities.",
                 STR_ARG(e->list));
    else if (id && create && !update)
        xl_error(x, e->cell,
                 "The entity declaration is invalid. The entity list name '%.*s' does not have an "
                 "'update_if' expression, but "
                 "an 'update_if' is required when upserting entities (with 'create_if' and 'entity_id').",
                 STR_ARG(e->list));
    else if (!id && !e->label.n)
        xl_error(x, e->cell,
                 "The entity declaration is invalid. The entity list name '%.*s' does not have a label, but "
                 "a 'label' is "
                 "required when creating entities.",
                 STR_ARG(e->list));
}

void xl_read_entities(struct xl *x)
{
    static const char *const known[] = {"dataset", "entity_id", "create_if", "update_if", "label", "repeat"};
    const struct xl_table *t = &x->tables[XL_ENTITIES];
    for (uint32_t i = 0; i < t->columns.count; i++) {
        bool good = false;
        for (size_t k = 0; k < sizeof(known) / sizeof(*known); k++)
            good |= str_eq_z(t->columns.at[i].key, known[k]);
        if (!good)
            xl_error(x, (struct xl_cell){XL_ENTITIES, 1, t->columns.at[i].column},
                     "One or more column names are invalid. The following column(s) are not supported: "
                     "'%.*s'. The columns "
                     "there are: list_name, entity_id, create_if, update_if, label.",
                     STR_ARG(t->columns.at[i].header));
    }
    for (uint32_t i = 0; i < t->rows.count && !x->rc; i++) {
        const struct xl_row *row = &t->rows.at[i];
        struct xl_entity *e = xl_push(x, &x->entities);
        if (!e)
            return;
        *e = (struct xl_entity){.list = xl_get_text(row, XL_PLAIN, "dataset"),
                                .entity_id = xl_get_text(row, XL_PLAIN, "entity_id"),
                                .create_if = xl_get_text(row, XL_PLAIN, "create_if"),
                                .update_if = xl_get_text(row, XL_PLAIN, "update_if"),
                                .label = xl_get_text(row, XL_PLAIN, "label"),
                                .id_cell = cell_in(row, "entity_id"),
                                .create_cell = cell_in(row, "create_if"),
                                .update_cell = cell_in(row, "update_if"),
                                .label_cell = cell_in(row, "label"),
                                .cell = {XL_ENTITIES, row->number, NOWHERE},
                                .container = NOWHERE,
                                .scope = NOWHERE};
        if (!e->list.n)
            xl_error(x, e->cell, "The 'list_name' value is invalid. Entity lists must have a name.");
        else if (good_name(x, cell_in(row, "dataset"), "list_name", e->list, false))
            for (uint32_t k = 0; k < i; k++)
                if (str_eq(x->entities.at[k].list, e->list))
                    xl_error(x, cell_in(row, "dataset"),
                             "The 'list_name' value is invalid. The 'list_name' column must not have any "
                             "duplicate names: "
                             "'%.*s'.",
                             STR_ARG(e->list));
        if (xl_get(row, XL_PLAIN, "repeat"))
            xl_error(x, cell_in(row, "repeat"),
                     "One or more column names are invalid. The following column(s) are not supported: "
                     "'repeat'. Where an "
                     "entity belongs follows from its save_to columns and references.");
        check_modes(x, e);
    }
}

/* --- placement --- */

/* The scope of a node: its innermost repeat, else the survey. */
static uint32_t scope_of(struct xl *x, uint32_t node)
{
    uint32_t r = xl_repeat_of(x, node);
    return r == NOWHERE ? 0 : r;
}

/* The property a save_to names and its declaration, NULL after a finding. */
static struct xl_entity *owner(struct xl *x, struct xl_attr *saveto)
{
    struct str list = STR(""), property = saveto->value;
    ptrdiff_t mark = str_find(property, STR("#"));
    struct xl_entity *e = NULL;
    if (!x->entities.count) {
        xl_error(x, saveto->cell,
                 "The 'save_to' value is invalid. To save entity properties using the save_to column, add an "
                 "entities sheet "
                 "and declare an entity.");
        return NULL;
    }
    if (mark >= 0) {
        list = str_sub(property, 0, (size_t)mark);
        property = str_sub(property, (size_t)mark + 1, property.n);
        if (str_find(property, STR("#")) >= 0 || !list.n || !property.n) {
            xl_error(x, saveto->cell,
                     "The 'save_to' value is invalid. A 'save_to' value must have at most one '#' delimiter "
                     "character: \"%.*s\".",
                     STR_ARG(saveto->value));
            return NULL;
        }
    } else if (x->entities.count > 1) {
        xl_error(x, saveto->cell,
                 "The 'save_to' value is invalid. When there is more than one entity declaration, 'save_to' "
                 "names must be "
                 "prefixed with the entity 'list_name' that the property belongs to: for example %.*s#%.*s.",
                 STR_ARG(x->entities.at[0].list), STR_ARG(property));
        return NULL;
    }
    for (uint32_t i = 0; i < x->entities.count; i++)
        if (!list.n || str_eq(x->entities.at[i].list, list))
            e = &x->entities.at[i];
    if (!e)
        xl_error(x, saveto->cell,
                 "The 'save_to' value is invalid. The entity list name '%.*s' was not found on the entities "
                 "sheet.",
                 STR_ARG(list));
    if (e && !good_name(x, saveto->cell, "save_to", property, true))
        return NULL;
    saveto->value = property;
    return e;
}

struct property {
    uint32_t entity, node;
    struct str name;
    struct xl_cell cell;
};
struct placing {
    struct xl *x;
    VEC(struct property) properties;
    uint32_t *taken; /* by node: entity + 1 that its subtree's properties belong to or that lies there */
};

static void collect(struct placing *p)
{
    struct xl *x = p->x;
    for (uint32_t i = 0; i < x->nodes.count && !x->rc; i++) {
        struct xl_attr *saveto = xl_attr_get(&xl_node(x, i)->bind, "entities:saveto");
        if (!saveto || !xl_inside(x, i, 0) || !xl_node(x, i)->path.n || xl_node(x, i)->kind == XL_GROUP ||
            xl_node(x, i)->kind == XL_REPEAT)
            continue;
        struct xl_entity *e = owner(x, saveto);
        if (!e)
            continue;
        uint32_t number = (uint32_t)(e - x->entities.at);
        for (uint32_t k = 0; k < p->properties.count; k++)
            if (p->properties.at[k].entity == number && str_eq(p->properties.at[k].name, saveto->value))
                xl_error(x, saveto->cell,
                         "The 'save_to' value is invalid. The save_to property '%.*s' is already assigned by "
                         "row '%u'. Either "
                         "remove or change one of these duplicate save_to property names.",
                         STR_ARG(saveto->value), p->properties.at[k].cell.row);
        struct property *one = xl_push(x, &p->properties);
        if (one)
            *one = (struct property){number, i, saveto->value, saveto->cell};
        e->has_property = true;
    }
}

/* Widens the scope to that of `node` when it lies deeper. */
static void widen(struct xl *x, struct xl_entity *e, uint32_t node)
{
    uint32_t scope = scope_of(x, node);
    if (e->scope == NOWHERE || (scope != e->scope && xl_inside(x, scope, e->scope)))
        e->scope = scope;
}

static uint32_t common(struct xl *x, uint32_t a, uint32_t b)
{
    while (!xl_inside(x, b, a))
        a = xl_node(x, a)->parent;
    return a;
}

static uint32_t depth_of(struct xl *x, uint32_t i)
{
    uint32_t d = 0;
    for (; i != NOWHERE; i = xl_node(x, i)->parent)
        d++;
    return d;
}

/* References in one of its columns; with `place` NULL only the scope is looked for. */
static void references(struct xl *x, struct xl_entity *e, struct str text, struct xl_cell cell, bool check)
{
    size_t start, end;
    struct str name;
    bool last_saved;
    for (size_t from = 0; xl_find_reference(text, from, &start, &end, &name, &last_saved); from = end) {
        uint32_t k, node;
        if (!name.n || last_saved || !map_get(&x->name_index, name, &k) || x->names.at[k].count > 1)
            continue; /* said when the expression is written */
        node = x->names.at[k].node;
        uint32_t scope = scope_of(x, node);
        if (!check) {
            widen(x, e, node);
        } else if (!xl_inside(x, e->scope, scope)) {
            xl_error(x, cell,
                     "The entity declaration is invalid. The entity list name '%.*s' has a reference in "
                     "container scope "
                     "'%.*s' which is not compatible with the variable reference to '%.*s' in scope '%.*s'. "
                     "Copy the value "
                     "into the desired container scope with a 'calculate' question.",
                     STR_ARG(e->list), STR_ARG(xl_node(x, e->scope)->path), STR_ARG(name),
                     STR_ARG(xl_node(x, scope)->path));
        } else if (!e->has_property && scope == e->scope) {
            uint32_t container = xl_node(x, node)->parent;
            if (container == NOWHERE)
                container = 0;
            if (e->container == NOWHERE || depth_of(x, container) > depth_of(x, e->container))
                e->container = container;
        }
    }
}

static void all_references(struct xl *x, struct xl_entity *e, bool check)
{
    references(x, e, e->label, e->label_cell, check);
    references(x, e, e->entity_id, e->id_cell, check);
    references(x, e, e->create_if, e->create_cell, check);
    references(x, e, e->update_if, e->update_cell, check);
}

static void ask_place(struct placing *p, uint32_t number)
{
    struct xl *x = p->x;
    struct xl_entity *e = &x->entities.at[number];
    for (uint32_t k = 0; k < p->properties.count; k++)
        if (p->properties.at[k].entity == number)
            widen(x, e, p->properties.at[k].node);
    all_references(x, e, false);
    if (e->scope == NOWHERE)
        e->scope = 0;
    for (uint32_t k = 0; k < p->properties.count; k++) {
        const struct property *one = &p->properties.at[k];
        if (one->entity != number)
            continue;
        uint32_t container = xl_node(x, one->node)->parent;
        if (scope_of(x, one->node) != e->scope)
            xl_error(x, one->cell,
                     "The 'save_to' value is invalid. The entity list name '%.*s' has a reference in "
                     "container scope '%.*s' "
                     "which is not compatible with this 'save_to' reference in scope '%.*s'. Copy either "
                     "value into the "
                     "desired container scope with a 'calculate' question then use that for the 'save_to'.",
                     STR_ARG(e->list), STR_ARG(xl_node(x, e->scope)->path),
                     STR_ARG(xl_node(x, scope_of(x, one->node))->path));
        else
            e->container = e->container == NOWHERE ? container : common(x, e->container, container);
    }
    all_references(x, e, true);
    if (e->container == NOWHERE || (x->entities.count == 1 && e->scope == 0))
        e->container = e->scope;
}

static void no_place(struct xl *x, const struct xl_entity *e, uint32_t other)
{
    xl_error(x, e->cell,
             "The entity declaration is invalid. Each container (survey, group, repeat) may have only one "
             "entity declaration, "
             "but there are no valid containers available in the scope: '%.*s', which has been allocated to "
             "the entity on row "
             "'%u' ('%.*s' and '%.*s').",
             STR_ARG(xl_node(x, e->scope)->path), x->entities.at[other].cell.row, STR_ARG(e->list),
             STR_ARG(x->entities.at[other].list));
}

/* Everything between the container and its properties belongs to this declaration. */
static void take(struct placing *p, uint32_t number)
{
    struct xl *x = p->x;
    struct xl_entity *e = &x->entities.at[number];
    for (uint32_t k = 0; k < p->properties.count; k++) {
        if (p->properties.at[k].entity != number)
            continue;
        for (uint32_t i = xl_node(x, p->properties.at[k].node)->parent; i != NOWHERE;
             i = xl_node(x, i)->parent) {
            if (p->taken[i] && p->taken[i] != number + 1) {
                no_place(x, e, p->taken[i] - 1);
                return;
            }
            p->taken[i] = number + 1;
            if (i == e->container)
                break;
        }
    }
}

static void find_free(struct placing *p, uint32_t number)
{
    struct xl *x = p->x;
    struct xl_entity *e = &x->entities.at[number];
    for (uint32_t i = e->container; i != NOWHERE; i = i == e->scope ? NOWHERE : xl_node(x, i)->parent)
        if (!p->taken[i]) {
            p->taken[i] = number + 1;
            e->container = i;
            return;
        }
    no_place(x, e, p->taken[e->scope] - 1);
}

static void put_node(struct xl *x, struct xl_entity *e)
{
    uint32_t meta = NOWHERE;
    if (e->container == 0) {
        for (uint32_t i = xl_node(x, 0)->first_child; i != NOWHERE; i = xl_node(x, i)->next)
            if (xl_node(x, i)->kind == XL_META)
                meta = i;
    } else {
        meta = xl_node_add(x, e->container, XL_META, STR("meta"));
    }
    CHECK(meta != NOWHERE);
    uint32_t first = xl_node(x, meta)->first_child;
    uint32_t i = xl_node_add(x, meta, XL_ENTITY, STR("entity"));
    xl_node(x, i)->entity = e;
    xl_node(x, i)->cell = e->cell;
    xl_node_add(x, i, XL_ENTITY_FIELD, STR("label"));
    if (e->container == 0 && first != NOWHERE) { /* before instanceID, after an audit */
        uint32_t before = NOWHERE, k = first;
        while (k != i && str_eq_z(xl_node(x, k)->name, "audit")) {
            before = k;
            k = xl_node(x, k)->next;
        }
        if (k == i)
            return;
        uint32_t last = first;
        while (xl_node(x, last)->next != i)
            last = xl_node(x, last)->next;
        xl_node(x, last)->next = NOWHERE;
        xl_node(x, meta)->last_child = last;
        xl_node(x, i)->next = k;
        if (before == NOWHERE)
            xl_node(x, meta)->first_child = i;
        else
            xl_node(x, before)->next = i;
    }
}

void xl_place_entities(struct xl *x)
{
    struct placing p = {.x = x};
    uint32_t errors = x->findings->error_count;
    p.taken = xl_check(x, arena_array(x->a, x->nodes.count, sizeof(*p.taken)));
    if (!p.taken)
        return;
    collect(&p);
    for (uint32_t i = 0; i < x->entities.count; i++)
        ask_place(&p, i);
    if (x->findings->error_count > errors)
        return;
    for (uint32_t i = 0; i < x->entities.count; i++)
        if (x->entities.at[i].has_property)
            take(&p, i);
    for (uint32_t i = 0; i < x->entities.count; i++)
        if (!x->entities.at[i].has_property)
            find_free(&p, i);
    for (uint32_t i = 0; i < x->entities.count && !x->rc; i++)
        put_node(x, &x->entities.at[i]);
    if (x->entities.count)
        x->entity_version = x->entities.count == 1 && x->entities.at[0].container == 0 ? "2024.1.0"
                                                                                       : "2025.1.0";
}
