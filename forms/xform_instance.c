/* The instances of a form: the primary one becomes the schema, its frame classes and the blueprints of new
 * frames; the others become lists. Elements at the same path are one schema node when a <repeat> or a
 * template says so; other siblings that share a name are nodes of their own ("twins").
 */
#include "forms/model.h"
#include "forms/xml_doc.h"

/* --- the schema --- */

/* Elements of the primary instance that stand at the same path: instances of one repeat, or just one. */
struct same {
    uint32_t name;
    bool repeat;
    uint32_t twin; /* group of the next sibling with this name, NONE */
    VEC(uint32_t) elements;
};

struct schema_builder {
    struct loader *l;
    struct map repeats;    /* path of each repeat control */
    uint32_t *form_name;   /* by name of the document: in form->names, NONE = not yet */
    uint32_t *group;       /* by name: first group under the element at hand */
    uint32_t *group_stamp; /* by name: for which parent `group` was set */
    uint32_t *seen;        /* by name: occurrences in one element */
    uint32_t *seen_stamp;
    uint32_t stamp, seen_now;
};

static bool is_template(const struct xml_doc *doc, uint32_t element)
{
    return xml_attr(doc, element, NS_JAVAROSA, "template").p != NULL;
}

static struct str child_path(struct loader *l, struct str parent, struct str local)
{
    char *p = arena_alloc(l->scratch, parent.n + local.n + 2);
    if (!p) {
        load_nomem(l);
        return STR("");
    }
    memcpy(p, parent.p, parent.n);
    p[parent.n] = '/';
    memcpy(p + parent.n + 1, local.p, local.n);
    return (struct str){p, parent.n + local.n + 1};
}

/* Paths of <repeat nodeset>, so that the schema knows which siblings are instances. `context` is the path
 * around. */
static void collect_repeats(struct schema_builder *b, uint32_t element, struct str context)
{
    struct loader *l = b->l;
    const struct xml_doc *doc = l->doc;
    for (uint32_t c = xml_element(doc, xml_at(doc, element)->first_child); c != XML_NONE;
         c = xml_element(doc, xml_at(doc, c)->next)) {
        bool repeat = xml_is(doc, c, NULL, "repeat");
        struct str ref = str_trim(xml_attr(doc, c, "", repeat ? "nodeset" : "ref"));
        if (!ref.n)
            ref = str_trim(xml_attr(doc, c, "", repeat ? "ref" : "nodeset"));
        struct str path = context;
        struct path_step step;
        if (str_starts(ref, STR("/"))) {
            path = STR("");
            ref = str_sub(ref, 1, ref.n);
        }
        while (ref.n && load_step(&ref, &step))
            if (step.kind == STEP_CHILD)
                path = child_path(l, path, step.local);
        if (repeat && map_put(&b->repeats, path, 1) != ERR_OK)
            load_nomem(l);
        if (repeat || xml_is(doc, c, NULL, "group"))
            collect_repeats(b, c, path);
    }
}

static uint32_t intern_local(struct loader *l, struct str local)
{
    uint32_t number = form_local(l->form, local);
    if (number != NONE)
        return number;
    number = l->form->locals.count;
    if (map_put(&l->form->locals, local, number) != ERR_OK)
        load_nomem(l);
    return number;
}

static uint32_t form_name_of(struct schema_builder *b, uint32_t doc_name)
{
    struct loader *l = b->l;
    if (b->form_name[doc_name] != NONE)
        return b->form_name[doc_name];
    const struct node_name *from = &l->doc->names.at[doc_name];
    struct node_name *to = vec_push(l->a, &l->form->names);
    if (!to) {
        load_nomem(l);
        return 0;
    }
    to->local = arena_str(l->a, from->local);
    to->uri = arena_str(l->a, from->uri);
    to->prefix = arena_str(l->a, from->prefix);
    if (!to->local.p || !to->uri.p || !to->prefix.p)
        load_nomem(l);
    return b->form_name[doc_name] = l->form->names.count - 1;
}

static uint32_t add_node(struct schema_builder *b, uint32_t doc_name, uint32_t element, uint32_t parent,
                         uint32_t class)
{
    struct loader *l = b->l;
    struct form *f = l->form;
    const struct xml_node *e = xml_at(l->doc, element);
    uint32_t name = form_name_of(b, doc_name);
    if (l->rc)
        return NONE;
    if (f->nodes.count >= FORM_NODES_MAX) {
        l->rc = diag_set_at(l->first, ERR_LIMIT, e->line, e->column,
                            "The primary instance has more than %u nodes.", (unsigned)FORM_NODES_MAX);
        return NONE;
    }
    struct schema_node *n = vec_push(l->a, &f->nodes);
    if (!n) {
        load_nomem(l);
        return NONE;
    }
    uint32_t index = f->nodes.count - 1;
    *n = (struct schema_node){.name = name,
                              .local = intern_local(l, f->names.at[name].local),
                              .parent = parent,
                              .first_child = NONE,
                              .next = NONE,
                              .end = index + 1,
                              .twin = NONE,
                              .class = class,
                              .field = NONE,
                              .bind = NONE,
                              .control = NONE,
                              .actions = NONE,
                              .tallied = NONE,
                              .line = e->line,
                              .column = e->column};
    for (uint32_t k = 0; k < PROP_KINDS; k++)
        n->prop[k] = NONE;
    return index;
}

static void link_child(struct form *f, uint32_t parent, uint32_t *tail, uint32_t child)
{
    if (*tail == NONE)
        f->nodes.at[parent].first_child = child;
    else
        f->nodes.at[*tail].next = child;
    *tail = child;
}

static void add_attributes(struct schema_builder *b, const struct same *same, uint32_t node, uint32_t *tail)
{
    struct loader *l = b->l;
    struct form *f = l->form;
    for (uint32_t i = 0; i < same->elements.count && !l->rc; i++) {
        const struct xml_node *e = xml_at(l->doc, same->elements.at[i]);
        for (uint32_t k = 0; k < e->attr_count && !l->rc; k++) {
            uint32_t name = l->doc->attrs.at[e->attr_first + k].name;
            const struct node_name *n = &l->doc->names.at[name];
            if (str_eq_z(n->uri, NS_JAVAROSA) && str_eq_z(n->local, "template"))
                continue;
            uint32_t c = f->nodes.at[node].first_child;
            while (c != NONE && !(f->nodes.at[c].attribute && b->form_name[name] == f->nodes.at[c].name))
                c = f->nodes.at[c].next;
            if (c != NONE)
                continue;
            c = add_node(b, name, same->elements.at[i], node, f->nodes.at[node].class);
            if (c == NONE)
                return;
            f->nodes.at[c].attribute = true;
            link_child(f, node, tail, c);
        }
    }
}

struct groups {
    VEC(struct same) list;
};

/* The group of the k-th sibling of this name, made on demand. */
static struct same *group_for(struct schema_builder *b, struct groups *g, uint32_t name, uint32_t k,
                              bool repeat)
{
    uint32_t at = b->group_stamp[name] == b->stamp ? b->group[name] : NONE;
    for (; at != NONE && k > 0 && g->list.at[at].twin != NONE; k--)
        at = g->list.at[at].twin;
    if (at != NONE && k == 0)
        return &g->list.at[at];
    struct same *s = vec_push(b->l->scratch, &g->list);
    if (!s) {
        load_nomem(b->l);
        return NULL;
    }
    *s = (struct same){.name = name, .repeat = repeat, .twin = NONE};
    if (at == NONE) {
        b->group_stamp[name] = b->stamp;
        b->group[name] = g->list.count - 1;
    } else {
        g->list.at[at].twin = g->list.count - 1;
    }
    return s;
}

static void group_children(struct schema_builder *b, const struct same *same, struct str path,
                           struct groups *g)
{
    struct loader *l = b->l;
    b->stamp++;
    for (uint32_t i = 0; i < same->elements.count && !l->rc; i++) {
        b->seen_now++;
        for (uint32_t c = xml_element(l->doc, xml_at(l->doc, same->elements.at[i])->first_child);
             c != XML_NONE && !l->rc; c = xml_element(l->doc, xml_at(l->doc, c)->next)) {
            uint32_t name = xml_at(l->doc, c)->name, ignored;
            bool known = b->group_stamp[name] == b->stamp;
            bool repeat = known && g->list.at[b->group[name]].repeat;
            if (!known)
                repeat = is_template(l->doc, c) ||
                         map_get(&b->repeats, child_path(l, path, l->doc->names.at[name].local), &ignored);
            if (b->seen_stamp[name] != b->seen_now) {
                b->seen_stamp[name] = b->seen_now;
                b->seen[name] = 0;
            }
            struct same *s = group_for(b, g, name, repeat ? 0 : b->seen[name]++, repeat);
            uint32_t *slot = s ? vec_push(l->scratch, &s->elements) : NULL;
            if (!slot)
                load_nomem(l);
            else
                *slot = c;
        }
    }
}

static uint32_t add_class(struct loader *l, uint32_t node, uint32_t parent)
{
    struct form *f = l->form;
    uint32_t depth = parent == NONE ? 0 : f->classes.at[parent].depth + 1;
    if (depth > REF_DEPTH_MAX) {
        l->rc = diag_set_at(l->first, ERR_LIMIT, f->nodes.at[node].line, f->nodes.at[node].column,
                            "Repeats are nested deeper than %u.", REF_DEPTH_MAX);
        return 0;
    }
    struct frame_class *c = vec_push(l->a, &f->classes);
    if (!c) {
        load_nomem(l);
        return 0;
    }
    *c = (struct frame_class){.node = node, .parent = parent, .depth = depth, .control = NONE};
    return f->classes.count - 1;
}

/* Depth is bounded by FORM_DEPTH_MAX, which the XML reader enforces. */
static uint32_t build_schema(struct schema_builder *b, const struct same *same, uint32_t parent,
                             uint32_t class, struct str parent_path)
{
    struct loader *l = b->l;
    struct form *f = l->form;
    uint32_t node = add_node(b, same->name, same->elements.at[0], parent, class), tail = NONE;
    if (node == NONE)
        return NONE;
    if (same->repeat || parent == NONE) {
        class = add_class(l, node, parent == NONE ? NONE : class);
        f->nodes.at[node].class = class;
        f->nodes.at[node].repeat = same->repeat;
    }
    for (uint32_t i = 0; i < same->elements.count; i++)
        l->doc->nodes.at[same->elements.at[i]].mark = node + 1;
    add_attributes(b, same, node, &tail);
    struct str path = child_path(l, parent_path, l->doc->names.at[same->name].local);
    struct groups groups = {0};
    group_children(b, same, path, &groups);
    uint32_t *made = ARENA_ARRAY(l->scratch, uint32_t, groups.list.count + 1);
    if (!made)
        load_nomem(l);
    for (uint32_t i = 0; i < groups.list.count && !l->rc; i++) {
        made[i] = build_schema(b, &groups.list.at[i], node, class, path);
        if (made[i] == NONE)
            return NONE;
        link_child(f, node, &tail, made[i]);
        f->nodes.at[node].has_elements = true;
    }
    for (uint32_t i = 0; i < groups.list.count && !l->rc; i++)
        if (groups.list.at[i].twin != NONE)
            f->nodes.at[made[i]].twin = made[groups.list.at[i].twin];
    f->nodes.at[node].end = f->nodes.count;
    return node;
}

static void number_slots(struct loader *l)
{
    struct form *f = l->form;
    uint32_t total = 0;
    for (uint32_t i = 0; i < f->nodes.count; i++)
        f->nodes.at[i].slot = f->classes.at[f->nodes.at[i].class].slot_count++;
    for (uint32_t c = 0; c < f->classes.count; c++) {
        f->classes.at[c].slots = total;
        total += f->classes.at[c].slot_count;
    }
    f->class_nodes.at = ARENA_ARRAY(l->a, uint32_t, total);
    f->class_nodes.count = f->class_nodes.room = total;
    if (!f->class_nodes.at) {
        load_nomem(l);
        return;
    }
    for (uint32_t i = f->nodes.count; i-- > 0;) {
        struct schema_node *n = &f->nodes.at[i];
        f->class_nodes.at[f->classes.at[n->class].slots + n->slot] = i;
        if (n->slot_end <= n->slot)
            n->slot_end = n->slot + 1;
        if (n->parent != NONE && f->nodes.at[n->parent].class == n->class &&
            f->nodes.at[n->parent].slot_end < n->slot_end)
            f->nodes.at[n->parent].slot_end = n->slot_end;
    }
}

static void link_classes(struct loader *l)
{
    struct form *f = l->form;
    for (uint32_t c = 0; c < f->classes.count; c++) {
        f->classes.at[c].child_first = f->class_children.count;
        for (uint32_t k = c + 1; k < f->classes.count; k++) {
            if (f->classes.at[k].parent != c)
                continue;
            uint32_t *slot = vec_push(l->a, &f->class_children);
            if (!slot) {
                load_nomem(l);
                return;
            }
            *slot = k;
            f->classes.at[k].child_index = f->classes.at[c].child_count++;
        }
    }
}

static void hash_children(struct loader *l)
{
    struct form *f = l->form;
    uint32_t room = 16;
    while (room < 2 * f->nodes.count)
        room *= 2;
    f->children = ARENA_ARRAY(l->a, struct child_slot, room);
    if (!f->children) {
        load_nomem(l);
        return;
    }
    f->children_room = room;
    for (uint32_t i = 0; i < room; i++)
        f->children[i].child = NONE;
    for (uint32_t i = 1; i < f->nodes.count; i++)
        form_child_put(f, i);
}

/* --- blueprints --- */

static void add_cell(struct loader *l, uint32_t row, uint32_t node, struct str text)
{
    struct blueprint_cell *c = vec_push(l->a, &l->form->blueprint_cells);
    struct str kept = arena_str(l->a, text);
    if (!c || !kept.p) {
        load_nomem(l);
        return;
    }
    *c = (struct blueprint_cell){row, node, kept};
}

static uint32_t add_row(struct loader *l, struct blueprint *b, uint32_t class, uint32_t parent)
{
    struct blueprint_row *r = vec_push(l->a, &l->form->blueprint_rows);
    if (!r) {
        load_nomem(l);
        return 0;
    }
    *r = (struct blueprint_row){class, parent};
    return b->row_count++;
}

static void fill_attributes(struct loader *l, uint32_t element, uint32_t node, uint32_t row)
{
    const struct xml_node *e = xml_at(l->doc, element);
    for (uint32_t i = 0; i < e->attr_count; i++) {
        const struct xml_attr *a = &l->doc->attrs.at[e->attr_first + i];
        uint32_t c = form_child(l->form, node, form_local(l->form, l->doc->names.at[a->name].local), true);
        if (c != NONE)
            add_cell(l, row, c, a->value);
    }
}

/* Depth as in build_schema. `clear`: the element is an instance that stands in for a missing template. */
static void fill_blueprint(struct loader *l, struct blueprint *b, uint32_t element, uint32_t row, bool clear)
{
    const struct form *f = l->form;
    uint32_t node = xml_at(l->doc, element)->mark - 1;
    fill_attributes(l, element, node, row);
    if (!xml_has_elements(l->doc, element)) {
        struct str text = str_trim(xml_text(l->doc, element, l->scratch));
        if (text.n && !clear)
            add_cell(l, row, node, text);
        return;
    }
    for (uint32_t c = xml_element(l->doc, xml_at(l->doc, element)->first_child); c != XML_NONE && !l->rc;
         c = xml_element(l->doc, xml_at(l->doc, c)->next)) {
        uint32_t child = xml_at(l->doc, c)->mark - 1;
        if (!f->nodes.at[child].repeat)
            fill_blueprint(l, b, c, row, clear);
        else if (!is_template(l->doc, c))
            fill_blueprint(l, b, c, add_row(l, b, f->nodes.at[child].class, row), clear);
    }
}

static void build_blueprint(struct loader *l, uint32_t class, uint32_t element, bool clear)
{
    struct form *f = l->form;
    struct blueprint b = {.row_first = f->blueprint_rows.count, .cell_first = f->blueprint_cells.count};
    add_row(l, &b, class, 0);
    fill_blueprint(l, &b, element, 0, clear);
    b.cell_count = f->blueprint_cells.count - b.cell_first;
    struct blueprint *slot = vec_push(l->a, &f->blueprints);
    if (!slot) {
        load_nomem(l);
        return;
    }
    *slot = b;
    f->classes.at[class].blueprint = f->blueprints.count - 1;
}

/* The first template of each repeat in document order, else its first instance with the values cleared. */
static void build_blueprints(struct loader *l, uint32_t root)
{
    const struct form *f = l->form;
    uint32_t *source = ARENA_ARRAY(l->scratch, uint32_t, f->classes.count);
    if (!source) {
        load_nomem(l);
        return;
    }
    for (uint32_t c = 0; c < f->classes.count; c++)
        source[c] = XML_NONE;
    source[0] = root;
    for (uint32_t e = root; e < l->doc->nodes.count; e++) {
        const struct xml_node *x = xml_at(l->doc, e);
        if (x->mark == 0 || !f->nodes.at[x->mark - 1].repeat)
            continue;
        uint32_t *s = &source[f->nodes.at[x->mark - 1].class];
        if (*s == XML_NONE || (is_template(l->doc, e) && !is_template(l->doc, *s)))
            *s = e;
    }
    for (uint32_t c = 0; c < f->classes.count && !l->rc; c++)
        build_blueprint(l, c, source[c], c > 0 && !is_template(l->doc, source[c]));
}

/* --- instances --- */

static void primary_instance(struct loader *l, uint32_t root)
{
    struct schema_builder b = {.l = l};
    uint32_t names = l->doc->names.count;
    struct same same = {.name = xml_at(l->doc, root)->name};
    uint32_t *slot = vec_push(l->scratch, &same.elements);
    map_init(&b.repeats, l->scratch);
    b.form_name = ARENA_ARRAY(l->scratch, uint32_t, names);
    b.group = ARENA_ARRAY(l->scratch, uint32_t, names);
    b.group_stamp = ARENA_ARRAY(l->scratch, uint32_t, names);
    b.seen = ARENA_ARRAY(l->scratch, uint32_t, names);
    b.seen_stamp = ARENA_ARRAY(l->scratch, uint32_t, names);
    if (!slot || !b.form_name || !b.group || !b.group_stamp || !b.seen || !b.seen_stamp) {
        load_nomem(l);
        return;
    }
    *slot = root;
    for (uint32_t i = 0; i < names; i++)
        b.form_name[i] = NONE;
    if (l->body != XML_NONE)
        collect_repeats(&b, l->body, child_path(l, STR(""), xml_name(l->doc, root).local));
    build_schema(&b, &same, NONE, 0, STR(""));
    if (l->rc)
        return;
    link_classes(l);
    number_slots(l);
    hash_children(l);
    if (!l->rc)
        build_blueprints(l, root);
    l->form->id = load_str(l, xml_attr(l->doc, root, "", "id").p ? xml_attr(l->doc, root, "", "id")
                                                                 : xml_name(l->doc, root).uri);
    struct str version = xml_attr(l->doc, root, "", "version");
    if (!version.p)
        version = xml_attr(l->doc, root, NS_OPENROSA, "version");
    l->form->version = load_str(l, version.p ? version : STR(""));
}

/* What an inline secondary instance contains, as a document of its own with the prefixes of the form around
 * it. */
static struct str inline_document(struct loader *l, uint32_t element)
{
    struct buf b;
    struct str content = xml_at(l->doc, element)->text;
    buf_init(&b, content.n + (1u << 20));
    if (l->doc->encoding.n) {
        buf_put_z(&b, "<?xml version=\"1.0\" encoding=\"");
        buf_put_str(&b, l->doc->encoding);
        buf_put_z(&b, "\"?>");
    }
    buf_put_z(&b, "<instance");
    for (uint32_t i = 0; i < l->form->prefixes.room; i++) {
        const struct map_slot *s = &l->form->prefixes.slots[i];
        if (!s->key.p || str_eq_z(s->key, "xml"))
            continue;
        buf_put_z(&b, s->key.n ? " xmlns:" : " xmlns");
        buf_put_str(&b, s->key);
        buf_put_z(&b, "=\"");
        buf_put_xml_attr(&b, l->form->uris.at[s->value]);
        buf_put_z(&b, "\"");
    }
    buf_put_z(&b, ">");
    buf_put_str(&b, content);
    buf_put_z(&b, "</instance>");
    struct str out = arena_str(l->scratch, buf_str(&b));
    if (b.failed || !out.p)
        load_nomem(l);
    buf_free(&b);
    return out;
}

static void read_inline(struct loader *l, uint32_t element, uint32_t tree, const struct tree **tree_out)
{
    struct diag d = {0};
    struct str xml = inline_document(l, element);
    enum err rc = l->rc ? ERR_NOMEM : xml_tree_read(l->a, xml, tree, tree_out, &d);
    if (rc == ERR_NOMEM)
        load_nomem(l);
    else if (rc)
        load_finding(l, FINDING_ERROR, xml_at(l->doc, element)->line, xml_at(l->doc, element)->column, NONE,
                     "A secondary instance cannot be read: %s", d.text);
}

static void secondary_instance(struct loader *l, uint32_t element)
{
    struct form *f = l->form;
    const struct xml_node *e = xml_at(l->doc, element);
    struct str id = xml_attr(l->doc, element, "", "id"), src = xml_attr(l->doc, element, "", "src");
    uint32_t before;
    if (!id.n) {
        load_finding(l, FINDING_WARNING, e->line, e->column, NONE,
                     "A secondary instance has no id, so no expression can reach it.");
        return;
    }
    if (map_get(&f->resource_ids, id, &before)) {
        load_finding(l, FINDING_ERROR, e->line, e->column, NONE,
                     "Two secondary instances have the id \"%.*s\". Give one of them another id.",
                     STR_ARG(id));
        return;
    }
    struct resource *r = vec_push(l->a, &f->resources);
    if (!r) {
        load_nomem(l);
        return;
    }
    *r = (struct resource){.id = load_str(l, id), .uri = load_str(l, src.p ? src : STR(""))};
    if (!src.n)
        read_inline(l, element, f->resources.count, &r->tree);
    uint32_t *external = src.n ? vec_push(l->a, &f->external) : NULL;
    if (external)
        *external = f->resources.count - 1;
    if (map_put(&f->resource_ids, r->id, f->resources.count - 1) != ERR_OK || (src.n && !external))
        load_nomem(l);
}

void load_instances(struct loader *l)
{
    const struct xml_doc *doc = l->doc;
    bool first = true;
    for (uint32_t c = xml_element(doc, xml_at(doc, l->model)->first_child); c != XML_NONE && !l->rc;
         c = xml_element(doc, xml_at(doc, c)->next)) {
        if (!xml_is(doc, c, NULL, "instance"))
            continue;
        if (!first) {
            secondary_instance(l, c);
            continue;
        }
        first = false;
        uint32_t root = xml_element(doc, xml_at(doc, c)->first_child);
        if (root == XML_NONE) {
            load_finding(l, FINDING_ERROR, xml_at(doc, c)->line, xml_at(doc, c)->column, NONE,
                         "The primary instance is empty. It must hold one element with the questions.");
            return;
        }
        primary_instance(l, root);
    }
    if (first)
        load_finding(l, FINDING_ERROR, xml_at(doc, l->model)->line, xml_at(doc, l->model)->column, NONE,
                     "The model has no <instance>.");
}
