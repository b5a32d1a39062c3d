/* The primary instance as XML and back. A submission holds what is relevant; a draft holds everything. The
 * same state gives the same bytes: schema order, attributes as in the form, one fixed spelling of namespaces
 * (declared once at the root, the XForms namespace left out, as ODK Collect writes it). Recursion follows the
 * schema, whose depth is capped.
 */
#include "forms/instance.h"
#include "forms/xml_doc.h"

/* --- writing --- */

struct writer {
    struct session *s;
    struct buf *out;
    bool draft;
};

static struct str plain_uri(struct str uri)
{
    return str_eq_z(uri, NS_XFORMS) ? STR("") : uri;
}

static void put_name(struct writer *w, const struct node_name *name)
{
    if (name->prefix.n) {
        buf_put_str(w->out, name->prefix);
        buf_put_char(w->out, ':');
    }
    buf_put_str(w->out, name->local);
}

static void put_attribute(struct writer *w, struct str prefix, struct str local, struct str value)
{
    buf_put_char(w->out, ' ');
    put_name(w, &(struct node_name){.prefix = prefix, .local = local});
    buf_put_z(w->out, "=\"");
    buf_put_xml_attr(w->out, value);
    buf_put_char(w->out, '"');
}

static void put_namespaces(struct writer *w)
{
    for (uint32_t i = 0; i < w->s->form->namespaces.count; i++) {
        const struct node_name *n = &w->s->form->namespaces.at[i];
        put_attribute(w, STR("xmlns"), n->prefix, n->uri);
    }
}

static bool written(const struct writer *w, const struct frame *f, uint32_t node)
{
    return w->draft || cell_at(w->s, f, node)->hidden == 0;
}

/* An entry of a repeat need not have all the attributes that other entries have. */
static bool has_attribute(const struct writer *w, const struct frame *f, uint32_t node)
{
    return f->class == 0 || node_at(w->s, node)->bind != NONE || cell_at(w->s, f, node)->text.n;
}

static void put_element(struct writer *w, const struct frame *f, uint32_t node, struct str default_uri);

static void put_child(struct writer *w, const struct frame *f, uint32_t child, struct str default_uri)
{
    const struct schema_node *n = node_at(w->s, child);
    if (!n->repeat) {
        put_element(w, f, child, default_uri);
        return;
    }
    const struct frame_list *list = frame_list(w->s, f, n->class);
    uint32_t end = w->draft ? list->room : list->used;
    for (uint32_t i = any_entry_from(list, 0); i < end; i = any_entry_from(list, i + 1))
        put_element(w, w->s->frames.at[list->at[i]], child, default_uri);
}

static void put_element(struct writer *w, const struct frame *f, uint32_t node, struct str default_uri)
{
    const struct form *form = w->s->form;
    const struct schema_node *n = &form->nodes.at[node];
    const struct node_name *name = &form->names.at[n->name];
    if (!written(w, f, node))
        return;
    buf_put_char(w->out, '<');
    put_name(w, name);
    if (!name->prefix.n && !str_eq(plain_uri(name->uri), default_uri)) {
        default_uri = plain_uri(name->uri);
        put_attribute(w, STR(""), STR("xmlns"), default_uri);
    }
    if (node == 0)
        put_namespaces(w);
    uint32_t child = n->first_child;
    for (; child != NONE && form->nodes.at[child].attribute; child = form->nodes.at[child].next)
        if (written(w, f, child) && has_attribute(w, f, child))
            put_attribute(w, form->names.at[form->nodes.at[child].name].prefix,
                          form->names.at[form->nodes.at[child].name].local, cell_at(w->s, f, child)->text);
    unknown_put(w->s, f, node, false, w->out);
    struct str text = n->has_elements ? STR("") : cell_at(w->s, f, node)->text;
    if (child == NONE && text.n == 0 && !unknown_inside(w->s, f, node)) {
        buf_put_z(w->out, "/>");
        return;
    }
    buf_put_char(w->out, '>');
    buf_put_xml_text(w->out, text);
    for (; child != NONE; child = form->nodes.at[child].next)
        put_child(w, f, child, default_uri);
    unknown_put(w->s, f, node, true, w->out);
    buf_put_z(w->out, "</");
    put_name(w, name);
    buf_put_char(w->out, '>');
}

enum err session_xml(struct session *s, bool draft, struct buf *out, struct diag *d)
{
    struct writer w = {s, out, draft};
    buf_put_z(out, "<?xml version=\"1.0\"?>");
    put_element(&w, s->frames.at[0], 0, STR(""));
    if (out->failed)
        return diag_set(d, out->failed, "The interview's XML is larger than %llu bytes.",
                        (unsigned long long)out->n_max);
    return ERR_OK;
}

/* --- reading --- */

struct reading {
    struct arena *a;
    const struct form *form;
    struct xml_doc *doc;
    uint64_t key_next;
    VEC(struct saved_row) rows;
    VEC(struct saved_cell) cells;
    struct unknown_list unknown;
    uint64_t *seen; /* by node: 1 + key of the last row that had it */
    enum err rc;
};

static void read_value(struct reading *r, uint64_t key, uint32_t node, struct str text)
{
    const struct schema_node *n = &r->form->nodes.at[node];
    if (text.n == 0 || n->field == NONE || n->fixed)
        return;
    struct saved_cell *c = vec_push(r->a, &r->cells);
    struct str kept = arena_str(r->a, text);
    if (!c || !kept.p) {
        r->rc = ERR_NOMEM;
        return;
    }
    *c = (struct saved_cell){.key = key, .field = n->field, .value = kept, .status = ANSWER_GIVEN};
}

static uint64_t read_row(struct reading *r, uint32_t node, uint64_t parent_key)
{
    struct saved_row *row = r->rows.count < SESSION_ROWS_MAX ? vec_push(r->a, &r->rows) : NULL;
    if (!row) {
        r->rc = r->rows.count < SESSION_ROWS_MAX ? ERR_NOMEM : ERR_LIMIT;
        return 0;
    }
    *row = (struct saved_row){.key = r->key_next++,
                              .parent_key = parent_key,
                              .repeat = r->form->nodes.at[node].class - 1,
                              .order = r->rows.count};
    return row->key;
}

static uint32_t child_named(const struct reading *r, uint32_t parent, bool attribute, struct str local)
{
    return form_child(r->form, parent, form_local(r->form, local), attribute);
}

/* The k-th element of a name goes to the k-th node of that name; surplus ones overwrite the last. */
static uint32_t twin_for(const struct reading *r, uint32_t parent, uint32_t element, uint32_t child)
{
    if (r->form->nodes.at[child].twin == NONE)
        return child;
    for (uint32_t c = xml_at(r->doc, parent)->first_child; c != element; c = xml_at(r->doc, c)->next)
        if (xml_at(r->doc, c)->name == xml_at(r->doc, element)->name && r->form->nodes.at[child].twin != NONE)
            child = r->form->nodes.at[child].twin;
    return child;
}

/* What a submission leaves out did not apply when it was sent: should it apply again, it begins with the
 * form's own text. Only an attribute that an entry need not have is just not there. */
static void read_defaults(struct reading *r, uint32_t node, uint64_t key)
{
    const struct form *f = r->form;
    const struct blueprint *b = &f->blueprints.at[f->classes.at[f->nodes.at[node].class].blueprint];
    for (uint32_t i = 0; i < b->cell_count && !r->rc; i++) {
        const struct blueprint_cell *cell = &f->blueprint_cells.at[b->cell_first + i];
        const struct schema_node *n = &f->nodes.at[cell->node];
        bool absent = n->attribute && n->class != 0 && n->bind == NONE && r->seen[n->parent] == key + 1;
        if (cell->row == 0 && r->seen[cell->node] != key + 1 && !absent)
            read_value(r, key, cell->node, cell->text);
    }
}

/* Elements inside one that is a question to the form. */
static void read_unknown(struct reading *r, uint32_t element, uint32_t node, uint64_t key)
{
    for (uint32_t c = xml_element(r->doc, xml_at(r->doc, element)->first_child); c != XML_NONE && !r->rc;
         c = xml_element(r->doc, xml_at(r->doc, c)->next))
        r->rc = unknown_element(r->a, r->form, r->doc, c, key, node, &r->unknown);
}

/* Depth is capped by the XML reader. Elements the form does not know are kept as they are. */
static void read_element(struct reading *r, uint32_t element, uint32_t node, uint64_t key)
{
    const struct xml_node *e = xml_at(r->doc, element);
    r->seen[node] = key + 1;
    for (uint32_t i = 0; i < e->attr_count && !r->rc; i++) {
        const struct xml_attr *a = &r->doc->attrs.at[e->attr_first + i];
        uint32_t child = child_named(r, node, true, r->doc->names.at[a->name].local);
        if (child == NONE) {
            r->rc = unknown_attribute(r->a, r->form, &r->doc->names.at[a->name], a->value, key, node,
                                      &r->unknown);
            continue;
        }
        r->seen[child] = key + 1;
        read_value(r, key, child, a->value);
    }
    if (!r->form->nodes.at[node].has_elements) {
        read_value(r, key, node, xml_text(r->doc, element, r->doc->arena));
        read_unknown(r, element, node, key);
        return;
    }
    for (uint32_t c = xml_element(r->doc, e->first_child); c != XML_NONE && !r->rc;
         c = xml_element(r->doc, xml_at(r->doc, c)->next)) {
        uint32_t child = child_named(r, node, false, xml_name(r->doc, c).local);
        if (xml_attr(r->doc, c, NS_JAVAROSA, "template").p)
            continue;
        if (child == NONE) {
            r->rc = unknown_element(r->a, r->form, r->doc, c, key, node, &r->unknown);
            continue;
        }
        child = twin_for(r, element, c, child);
        if (!r->form->nodes.at[child].repeat) {
            read_element(r, c, child, key);
            continue;
        }
        uint64_t row = read_row(r, child, key);
        read_element(r, c, child, row);
        read_defaults(r, child, row);
    }
}

static enum err check_root(const struct reading *r, struct diag *d)
{
    struct str local = xml_name(r->doc, 0).local, id = xml_attr(r->doc, 0, "", "id");
    struct str own = r->form->names.at[r->form->nodes.at[0].name].local;
    if (!str_eq(local, own))
        return diag_set(d, ERR_SYNTAX, "The submission begins with <%.*s>, the form's with <%.*s>.",
                        STR_ARG(local), STR_ARG(own));
    if (id.n && !str_eq(id, r->form->id))
        return diag_set(d, ERR_SYNTAX, "The submission belongs to the form \"%.*s\", not to \"%.*s\".",
                        STR_ARG(id), STR_ARG(r->form->id));
    return ERR_OK;
}

enum err submission_read(struct arena *a, const struct form *form, struct str xml, uint64_t row_key_next,
                         struct saved_interview *out, struct diag *d)
{
    struct arena scratch;
    struct xml_doc doc;
    struct xml_caps caps = {.depth_max = FORM_DEPTH_MAX, .nodes_max = 100u * SESSION_ROWS_MAX};
    if (xml.n > FORM_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, "The submission is larger than %u MB.", FORM_BYTES_MAX >> 20);
    arena_init(&scratch, FORM_MEMORY_MAX);
    struct reading r = {.a = a, .form = form, .doc = &doc, .key_next = row_key_next};
    enum err rc = xml_doc_read(&scratch, xml, &caps, &doc, d);
    if (!rc)
        rc = check_root(&r, d);
    if (!rc) {
        r.seen = ARENA_ARRAY(&scratch, uint64_t, form->nodes.count);
        rc = r.seen ? ERR_OK : ERR_NOMEM;
    }
    if (!rc) {
        read_element(&r, 0, 0, 0);
        read_defaults(&r, 0, 0);
        rc = r.rc;
        if (rc)
            diag_set(d, rc, "The submission has more repeated entries or text than fit.");
    }
    if (!rc)
        *out = (struct saved_interview){r.rows.at,     r.rows.count, r.cells.at,
                                        r.cells.count, r.unknown.at, r.unknown.count};
    arena_free(&scratch);
    return rc;
}
