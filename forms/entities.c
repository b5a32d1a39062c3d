/* Entities: found once when the form is loaded (which element, which nodes feed it), read when the interview
 * is done. A property belongs to the nearest entity around it; `list#property` names the nearest of that
 * list. An entity inside a repeat is one entity per entry. Nothing here knows the lists themselves.
 */
#include "forms/entities.h"

#include "forms/instance.h"
#include "forms/xml_doc.h"

#define ENTITIES_VERSION_MAX 202501u /* 2025.1 */
#define ENTITIES_VERSION_MIN 202201u
#define ENTITIES_UPDATE_SINCE 202301u
#define ENTITIES_NESTED_SINCE 202501u

/* --- what other tools write into binds --- */

static bool read_by_the_engine(const struct node_name *n)
{
    static const char *const plain[] = {"nodeset",  "ref",        "id",        "type",    "relevant",
                                        "required", "constraint", "calculate", "readonly"};
    if (str_eq_z(n->uri, NS_JAVAROSA))
        return str_eq_z(n->local, "preload") || str_eq_z(n->local, "preloadParams") ||
               str_eq_z(n->local, "constraintMsg") || str_eq_z(n->local, "requiredMsg");
    for (size_t i = 0; !n->uri.n && i < sizeof(plain) / sizeof(*plain); i++)
        if (str_eq_z(n->local, plain[i]))
            return true;
    return false;
}

void load_extras(struct loader *l, uint32_t element, uint32_t node)
{
    const struct xml_node *e = xml_at(l->doc, element);
    for (uint32_t i = 0; i < e->attr_count && !l->rc; i++) {
        const struct xml_attr *a = &l->doc->attrs.at[e->attr_first + i];
        const struct node_name *n = &l->doc->names.at[a->name];
        if (read_by_the_engine(n))
            continue;
        struct bind_extra *x = vec_push(l->a, &l->form->extras);
        if (!x) {
            load_nomem(l);
            return;
        }
        *x = (struct bind_extra){.node = node, .value = load_str(l, a->value)};
        x->name = (struct node_name){.uri = load_str(l, n->uri),
                                     .local = load_str(l, n->local),
                                     .prefix = load_str(l, n->prefix)};
    }
}

struct str form_extra(const struct form *f, uint32_t node, const char *uri, const char *local)
{
    for (uint32_t i = 0; i < f->extras.count; i++) {
        const struct bind_extra *x = &f->extras.at[i];
        if (x->node == node && str_eq_z(x->name.local, local) && str_eq_z(x->name.uri, uri))
            return x->value;
    }
    return STR_NONE;
}

struct str form_field_extra(const struct form *f, uint32_t number, const char *uri, const char *local)
{
    return number < f->fields.count ? form_extra(f, f->field_nodes.at[number], uri, local) : STR_NONE;
}

uint32_t form_child_z(const struct form *f, uint32_t parent, const char *local, bool attribute)
{
    return parent == NONE ? NONE : form_child(f, parent, form_local(f, str_of(local)), attribute);
}

/* --- reading the form --- */

/* "2024.1.0" as 202401; the last number is for corrections and does not count. */
static bool read_version(struct str text, uint32_t *out)
{
    struct str year, minor;
    uint64_t y, m = 0;
    if (!str_split(&text, '.', &year) || !str_to_u64(year, &y) || y < 2000 || y > 9999)
        return false;
    if (str_split(&text, '.', &minor) && (!str_to_u64(minor, &m) || m > 99))
        return false;
    *out = (uint32_t)(y * 100 + m);
    return true;
}

static void check_version(struct loader *l)
{
    struct form *f = l->form;
    const struct xml_node *model = xml_at(l->doc, l->model);
    struct str text = str_trim(xml_attr(l->doc, l->model, NS_ENTITIES, "entities-version"));
    if (!text.n) {
        if (f->entities.count)
            load_finding(l, FINDING_WARNING, model->line, model->column, f->entities.at[0].node,
                         "The form has entities but no entities:entities-version on its <model>; it is read "
                         "as 2025.1.0.");
        return;
    }
    if (!read_version(text, &f->entities_version)) {
        load_finding(l, FINDING_ERROR, model->line, model->column, NONE,
                     "entities:entities-version is \"%.*s\". It should be a version such as 2024.1.0.",
                     STR_ARG(text));
    } else if (f->entities_version > ENTITIES_VERSION_MAX) {
        load_finding(
            l, FINDING_ERROR, model->line, model->column, NONE,
            "The form uses entities of version %.*s; this program knows them up to 2025.1. Install a "
            "newer Doorstep, or convert the form for an older version.",
            STR_ARG(text));
    }
}

static struct str default_text(const struct form *f, uint32_t node)
{
    if (node == NONE)
        return STR("");
    const struct blueprint *b = &f->blueprints.at[f->classes.at[f->nodes.at[node].class].blueprint];
    for (uint32_t i = 0; i < b->cell_count; i++) {
        const struct blueprint_cell *c = &f->blueprint_cells.at[b->cell_first + i];
        if (c->row == 0 && c->node == node)
            return c->text;
    }
    return STR("");
}

static void add_entity(struct loader *l, uint32_t node)
{
    struct form *f = l->form;
    const struct schema_node *n = &f->nodes.at[node];
    struct entity_def *e = vec_push(l->a, &f->entities);
    if (!e) {
        load_nomem(l);
        return;
    }
    *e = (struct entity_def){
        .node = node,
        .container = f->nodes.at[n->parent].parent,
        .dataset = form_child_z(f, node, "dataset", true),
        .id = form_child_z(f, node, "id", true),
        .create = form_child_z(f, node, "create", true),
        .update = form_child_z(f, node, "update", true),
        .base_version = form_child_z(f, node, "baseVersion", true),
        .trunk_version = form_child_z(f, node, "trunkVersion", true),
        .branch_id = form_child_z(f, node, "branchId", true),
        .label = form_child_z(f, node, "label", false),
    };
    e->list = default_text(f, e->dataset);
    if (!e->list.n)
        load_finding(l, FINDING_WARNING, n->line, n->column, node,
                     "An <entity> names no list. Give it a dataset attribute.");
    if (e->create == NONE && e->update == NONE)
        load_finding(l, FINDING_WARNING, n->line, n->column, node,
                     "An <entity> has neither create nor update, so nothing will come of it.");
}

/* <entity> directly in a <meta>, the meta directly in the root, a group or a repeat. */
static void find_entities(struct loader *l)
{
    const struct form *f = l->form;
    uint32_t entity = form_local(f, STR("entity")), meta = form_local(f, STR("meta"));
    if (entity == NONE || meta == NONE)
        return;
    for (uint32_t i = 0; i < f->nodes.count && !l->rc; i++) {
        const struct schema_node *n = &f->nodes.at[i];
        uint32_t parent = n->parent;
        if (n->attribute || n->local != entity || parent == NONE || f->nodes.at[parent].local != meta ||
            f->nodes.at[parent].parent == NONE)
            continue;
        if (f->nodes.at[parent].parent != 0 && f->entities_version &&
            f->entities_version < ENTITIES_NESTED_SINCE)
            load_finding(l, FINDING_WARNING, n->line, n->column, i,
                         "An <entity> inside a group or repeat needs entities-version 2025.1.0.");
        add_entity(l, i);
    }
}

/* The nearest container around the node that has an entity (of that list, when one is named). */
static uint32_t entity_around(const struct form *f, uint32_t node, struct str list)
{
    for (uint32_t at = f->nodes.at[node].parent; at != NONE; at = f->nodes.at[at].parent)
        for (uint32_t i = 0; i < f->entities.count; i++)
            if (f->entities.at[i].container == at && (!list.n || str_eq(f->entities.at[i].list, list)))
                return i;
    return NONE;
}

static void add_save(struct loader *l, const struct bind_extra *x)
{
    struct form *f = l->form;
    const struct schema_node *n = &f->nodes.at[x->node];
    struct str property = str_trim(x->value), list = STR("");
    ptrdiff_t hash = str_find(property, STR("#"));
    if (hash >= 0) {
        list = str_trim(str_sub(property, 0, (size_t)hash));
        property = str_trim(str_sub(property, (size_t)hash + 1, property.n));
    }
    uint32_t entity = entity_around(f, x->node, list);
    if (!property.n || entity == NONE) {
        load_finding(l, FINDING_WARNING, n->line, n->column, x->node,
                     "saveto=\"%.*s\" finds no entity%s%.*s around this question; its answer is not saved.",
                     STR_ARG(x->value), list.n ? " of the list " : "", STR_ARG(list));
        return;
    }
    if (f->nodes.at[f->entities.at[entity].node].class != n->class) {
        load_finding(l, FINDING_WARNING, n->line, n->column, x->node,
                     "saveto=\"%.*s\" stands in a repeat inside the entity's own part of the form: an entity "
                     "has one value per property. The answer is not saved.",
                     STR_ARG(x->value));
        return;
    }
    struct entity_save *s = vec_push(l->a, &f->saves);
    if (!s)
        load_nomem(l);
    else
        *s = (struct entity_save){x->node, entity, load_str(l, property)};
}

void load_entities(struct loader *l)
{
    const struct form *f = l->form;
    struct str text = str_trim(xml_attr(l->doc, l->model, NS_ENTITIES, "entities-version"));
    if (text.n)
        (void)read_version(text, &l->form->entities_version);
    find_entities(l);
    check_version(l);
    for (uint32_t i = 0; i < f->extras.count && !l->rc; i++)
        if (str_eq_z(f->extras.at[i].name.uri, NS_ENTITIES) && str_eq_z(f->extras.at[i].name.local, "saveto"))
            add_save(l, &f->extras.at[i]);
}

/* --- reading the interview --- */

struct gathering {
    struct session *s;
    struct arena *a;
    VEC(struct entity_delta) deltas;
    bool nomem;
};

/* "" when the node is absent or does not apply. */
static struct str applying(const struct gathering *g, const struct frame *f, uint32_t node)
{
    if (node == NONE || cell_at(g->s, f, node)->hidden)
        return STR("");
    return cell_at(g->s, f, node)->text;
}

static bool is_true(struct str text)
{
    text = str_trim(text);
    return str_eq_z(text, "1") || str_eq_nocase(text, STR("true"));
}

static bool is_uuid_v4(struct str s)
{
    if (s.n != 36 || s.p[14] != '4' || !s.p[19] || !strchr("89abAB", s.p[19]))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char byte;
        char pair[2] = {s.p[i], '0'};
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.p[i] != '-' : !hex_read((struct str){pair, 2}, &byte, 1))
            return false;
    }
    return true;
}

static void add_properties(struct gathering *g, const struct frame *f, uint32_t entity,
                           struct entity_delta *delta)
{
    const struct form *form = g->s->form;
    VEC(struct entity_property) list = {0};
    for (uint32_t i = 0; i < form->saves.count; i++) {
        const struct entity_save *save = &form->saves.at[i];
        if (save->entity != entity || cell_at(g->s, f, save->node)->hidden)
            continue;
        struct entity_property *p = vec_push(g->a, &list);
        if (!p) {
            g->nomem = true;
            return;
        }
        *p = (struct entity_property){save->property, cell_at(g->s, f, save->node)->text};
    }
    delta->properties = list.at;
    delta->property_count = list.count;
}

static enum entity_fault fault_of(const struct gathering *g, const struct entity_delta *e)
{
    if (!e->dataset.n)
        return ENTITY_NO_DATASET;
    if (!is_uuid_v4(e->id))
        return ENTITY_BAD_ID;
    if (e->op == ENTITY_CREATE && !e->label.n)
        return ENTITY_NO_LABEL;
    for (uint32_t i = 0; i < g->deltas.count; i++)
        if (str_eq_nocase(g->deltas.at[i].id, e->id) && str_eq(g->deltas.at[i].dataset, e->dataset))
            return ENTITY_TWICE;
    return ENTITY_FINE;
}

static void gather_one(struct gathering *g, const struct frame *f, uint32_t entity)
{
    const struct form *form = g->s->form;
    const struct entity_def *def = &form->entities.at[entity];
    if (cell_at(g->s, f, def->node)->hidden)
        return;
    bool update_known = !form->entities_version || form->entities_version >= ENTITIES_UPDATE_SINCE;
    bool create = is_true(applying(g, f, def->create));
    bool update = update_known && is_true(applying(g, f, def->update));
    if (!create && !update)
        return;
    struct entity_delta e = {
        .place = place_of(g->s, f, def->node),
        .op = create && update ? ENTITY_UPSERT
              : create         ? ENTITY_CREATE
                               : ENTITY_UPDATE,
        .dataset = str_trim(applying(g, f, def->dataset)),
        .id = str_trim(applying(g, f, def->id)),
        .label = str_trim(applying(g, f, def->label)),
        .base_version = applying(g, f, def->base_version),
        .trunk_version = applying(g, f, def->trunk_version),
        .branch_id = applying(g, f, def->branch_id),
    };
    e.fault = fault_of(g, &e);
    add_properties(g, f, entity, &e);
    struct entity_delta *slot = vec_push(g->a, &g->deltas);
    if (slot)
        *slot = e;
    else
        g->nomem = true;
}

/* All frames of a class below a frame, in document order. Depth is that of nested repeats. */
static void gather(struct gathering *g, const struct frame *f, uint32_t entity)
{
    const struct form *form = g->s->form;
    uint32_t class = form->nodes.at[form->entities.at[entity].node].class;
    if (f->class == class) {
        gather_one(g, f, entity);
        return;
    }
    uint32_t depth = form->classes.at[f->class].depth + 1;
    const struct frame_list *list = frame_list(g->s, f, form_class_at_depth(form, class, depth));
    for (uint32_t i = entry_from(list, 0); i < list->used && !g->nomem; i = entry_from(list, i + 1))
        gather(g, g->s->frames.at[list->at[i]], entity);
}

enum err session_entities(struct session *s, struct arena *a, struct entity_delta **deltas_out,
                          uint32_t *count_out, struct diag *d)
{
    struct gathering g = {.s = s, .a = a};
    if (!s->finalised && !s->frozen)
        return diag_set(d, ERR_STATE, "Entities are settled when the interview is finalised, not before.");
    for (uint32_t i = 0; i < s->form->entities.count && !g.nomem; i++)
        gather(&g, s->frames.at[0], i);
    if (g.nomem)
        return diag_set(d, ERR_NOMEM, "There is no memory for the interview's entities.");
    *deltas_out = g.deltas.at;
    *count_out = g.deltas.count;
    return ERR_OK;
}

const char *entity_fault_text(enum entity_fault fault)
{
    switch (fault) {
    case ENTITY_FINE: break;
    case ENTITY_BAD_ID: return "The entity's id is not a UUID of version 4.";
    case ENTITY_NO_LABEL: return "A new entity needs a label.";
    case ENTITY_NO_DATASET: return "The form does not say to which list the entity belongs.";
    case ENTITY_TWICE: return "The same entity stands twice in this interview.";
    }
    return "";
}

uint32_t form_entity_count(const struct form *f)
{
    return f->entities.count;
}

struct str form_entity_dataset(const struct form *f, uint32_t i)
{
    CHECK(i < f->entities.count);
    return f->entities.at[i].list;
}
