/* Editing what was sent: the interview gets a new identity and points back at the old one, and what the form
 * does not know is kept as it was written. An unknown element is text from the moment it is read: with the
 * namespaces it needs, so that it can stand anywhere. It belongs to a row and to a node of the schema, and is
 * written at the end of that element; with the row it goes.
 */
#include "forms/instance.h"
#include "forms/xml_doc.h"

/* --- out of a submission --- */

static bool declares(const struct xml_doc *doc, const struct xml_node *e, uint32_t before, struct str prefix)
{
    if (e->name != XML_NONE && str_eq(doc->names.at[e->name].prefix, prefix))
        return true;
    for (uint32_t i = 0; i < before; i++)
        if (str_eq(doc->names.at[doc->attrs.at[e->attr_first + i].name].prefix, prefix))
            return true;
    return false;
}

static void put_name(struct buf *b, const struct node_name *n)
{
    if (n->prefix.n) {
        buf_put_str(b, n->prefix);
        buf_put_char(b, ':');
    }
    buf_put_str(b, n->local);
}

static void put_declaration(struct buf *b, struct str prefix, struct str uri)
{
    buf_put_z(b, prefix.n ? " xmlns:" : " xmlns");
    buf_put_str(b, prefix);
    buf_put_z(b, "=\"");
    buf_put_xml_attr(b, uri);
    buf_put_char(b, '"');
}

static void put_attribute(struct buf *b, const struct node_name *name, struct str value)
{
    buf_put_char(b, ' ');
    put_name(b, name);
    buf_put_z(b, "=\"");
    buf_put_xml_attr(b, value);
    buf_put_char(b, '"');
}

/* Depth is capped by the XML reader. `around`: the namespace of names without a prefix. */
static void put_element(struct buf *b, const struct xml_doc *doc, uint32_t element, struct str around)
{
    const struct xml_node *e = xml_at(doc, element);
    const struct node_name *name = &doc->names.at[e->name];
    struct str uri = str_eq_z(name->uri, NS_XFORMS) ? STR("") : name->uri;
    buf_put_char(b, '<');
    put_name(b, name);
    if (name->prefix.n) {
        put_declaration(b, name->prefix, name->uri);
    } else if (!str_eq(uri, around)) {
        put_declaration(b, STR(""), uri);
        around = uri;
    }
    for (uint32_t i = 0; i < e->attr_count; i++) {
        const struct xml_attr *a = &doc->attrs.at[e->attr_first + i];
        const struct node_name *n = &doc->names.at[a->name];
        if (n->prefix.n && !str_eq_z(n->prefix, "xml") && !declares(doc, e, i, n->prefix))
            put_declaration(b, n->prefix, n->uri);
        put_attribute(b, n, a->value);
    }
    if (e->first_child == XML_NONE) {
        buf_put_z(b, "/>");
        return;
    }
    buf_put_char(b, '>');
    for (uint32_t c = e->first_child; c != XML_NONE; c = xml_at(doc, c)->next) {
        if (xml_at(doc, c)->name == XML_NONE)
            buf_put_xml_text(b, xml_at(doc, c)->text);
        else
            put_element(b, doc, c, around);
    }
    buf_put_z(b, "</");
    put_name(b, name);
    buf_put_char(b, '>');
}

static enum err keep(struct arena *a, const struct form *f, struct unknown_list *list, uint64_t key,
                     uint32_t node, const struct buf *text)
{
    if (text->failed)
        return text->failed;
    if (list->count >= UNKNOWN_MAX)
        return ERR_LIMIT;
    struct saved_unknown *u = vec_push(a, list);
    if (!u)
        return ERR_NOMEM;
    *u = (struct saved_unknown){key, form_node_path(f, node, a), arena_str(a, buf_str(text))};
    return u->path.p && u->xml.p ? ERR_OK : ERR_NOMEM;
}

enum err unknown_element(struct arena *a, const struct form *f, const struct xml_doc *doc, uint32_t element,
                         uint64_t key, uint32_t node, struct unknown_list *list)
{
    struct buf b;
    buf_init(&b, FORM_BYTES_MAX);
    put_element(&b, doc, element, STR(""));
    enum err rc = keep(a, f, list, key, node, &b);
    buf_free(&b);
    return rc;
}

/* An attribute of a namespace that the submission would not declare is let go: it cannot stand alone. */
enum err unknown_attribute(struct arena *a, const struct form *f, const struct node_name *name,
                           struct str value, uint64_t key, uint32_t node, struct unknown_list *list)
{
    struct buf b;
    bool declared = !name->prefix.n;
    for (uint32_t i = 0; i < f->namespaces.count && !declared; i++)
        declared = str_eq(f->namespaces.at[i].prefix, name->prefix) &&
                   str_eq(f->namespaces.at[i].uri, name->uri);
    if (!declared)
        return ERR_OK;
    buf_init(&b, FORM_BYTES_MAX);
    put_attribute(&b, name, value);
    enum err rc = keep(a, f, list, key, node, &b);
    buf_free(&b);
    return rc;
}

/* --- in the session --- */

static struct str place_key(const struct unknown_node *u)
{
    return (struct str){(const char *)u, offsetof(struct unknown_node, next)};
}

static enum err add_unknown(struct session *s, uint64_t key, uint32_t node, struct str xml)
{
    struct unknown_node *u = vec_push(&s->arena, &s->unknown);
    uint32_t number = s->unknown.count, last;
    if (!u)
        return ERR_NOMEM;
    *u = (struct unknown_node){.key = key, .node = node, .xml = arena_str(&s->arena, xml)};
    struct unknown_node *name = ARENA_NEW(&s->arena, struct unknown_node); /* the vector moves */
    if (!u->xml.p || !name)
        return ERR_NOMEM;
    *name = *u;
    if (!map_get(&s->unknown_at, place_key(name), &last))
        return map_put(&s->unknown_at, place_key(name), number);
    while (s->unknown.at[last - 1].next)
        last = s->unknown.at[last - 1].next;
    s->unknown.at[last - 1].next = number;
    return ERR_OK;
}

static uint32_t node_of_path(const struct form *f, struct str path)
{
    struct str rest = path, step;
    uint32_t node = NONE;
    if (!str_starts(rest, STR("/")))
        return NONE;
    rest = str_sub(rest, 1, rest.n);
    while (str_split(&rest, '/', &step)) {
        if (node != NONE)
            node = form_child(f, node, form_local(f, step), false);
        else if (f->nodes.at[0].local == form_local(f, step))
            node = 0;
        if (node == NONE)
            return NONE;
    }
    return node;
}

/* The name that an unknown element or attribute begins with, without its prefix. */
static struct str name_inside(struct str xml)
{
    size_t n = 1;
    while (n < xml.n && !strchr(" =>/", xml.p[n]))
        n++;
    struct str name = str_sub(xml, 1, n - 1);
    ptrdiff_t colon = str_find(name, STR(":"));
    return colon < 0 ? name : str_sub(name, (size_t)colon + 1, name.n);
}

static struct frame *frame_of_key(const struct session *s, uint64_t key)
{
    for (uint32_t i = 0; i < s->frames.count; i++)
        if (s->frames.at[i] && s->frames.at[i]->key == key)
            return s->frames.at[i];
    return NULL;
}

/* The form has come to know it, a newer version perhaps: its text is the answer, unless there is one. */
static enum err come_to_know(struct session *s, const struct saved_unknown *u, uint32_t child, bool *done_out)
{
    struct xml_caps caps = {.depth_max = FORM_DEPTH_MAX, .nodes_max = 1000};
    struct xml_doc doc;
    struct diag ignored = {0};
    const struct schema_node *n = node_at(s, child);
    struct frame *f = frame_of_key(s, u->key);
    struct arena_mark mark = arena_mark(&s->scratch);
    *done_out = false;
    if (!f || f->class != n->class || n->field == NONE || cell_at(s, f, child)->text.n)
        return ERR_OK;
    enum err rc = xml_doc_read(&s->scratch, u->xml, &caps, &doc, &ignored);
    if (!rc && !xml_has_elements(&doc, 0)) {
        struct str text = xml_text(&doc, 0, &s->scratch);
        rc = cell_set(s, f, child, text, text.n ? ANSWER_GIVEN : ANSWER_NONE); /* a change: to be stored */
        *done_out = !rc;
    }
    arena_release(&s->scratch, mark);
    return rc == ERR_NOMEM ? rc : ERR_OK;
}

/* It is written as it stands, so what is not one element or one attribute would spoil the document around it.
 */
static enum err stands_alone(struct session *s, struct str xml, bool element, bool *out)
{
    struct xml_caps caps = {.depth_max = FORM_DEPTH_MAX + 1, .nodes_max = FORM_NODES_MAX};
    struct xml_doc doc;
    struct diag ignored = {0};
    struct buf b;
    struct arena_mark mark = arena_mark(&s->scratch);
    buf_init(&b, FORM_BYTES_MAX);
    buf_put_z(&b, "<x");
    for (uint32_t i = 0; i < s->form->namespaces.count; i++)
        put_declaration(&b, s->form->namespaces.at[i].prefix, s->form->namespaces.at[i].uri);
    buf_put_z(&b, element ? ">" : " ");
    buf_put_str(&b, xml);
    buf_put_z(&b, element ? "</x>" : "/>");
    enum err rc = b.failed ? b.failed : xml_doc_read(&s->scratch, buf_str(&b), &caps, &doc, &ignored);
    uint32_t child = rc ? XML_NONE : xml_at(&doc, 0)->first_child;
    *out = !rc && (element ? child != XML_NONE && xml_at(&doc, child)->name != XML_NONE &&
                                 xml_at(&doc, child)->next == XML_NONE
                           : child == XML_NONE);
    buf_free(&b);
    arena_release(&s->scratch, mark);
    return rc == ERR_NOMEM ? rc : ERR_OK;
}

/* One whose place the form no longer has moves to the root: kept, if not understood. */
enum err unknown_load(struct session *s, const struct session_options *o)
{
    enum err rc = ERR_OK;
    map_init(&s->unknown_at, &s->arena);
    for (uint32_t i = 0; i < o->unknown_count && !rc; i++) {
        const struct saved_unknown *u = &o->unknown[i];
        bool element = str_starts(u->xml, STR("<")), done = false, alone = false;
        uint32_t node = node_of_path(s->form, u->path);
        uint32_t child = node == NONE
                             ? NONE
                             : form_child(s->form, node, form_local(s->form, name_inside(u->xml)), !element);
        rc = stands_alone(s, u->xml, element, &alone);
        if (rc || !alone)
            continue;
        if (child != NONE && element)
            rc = come_to_know(s, u, child, &done);
        if (rc || done || (!element && (node == NONE || child != NONE)))
            continue;
        rc = add_unknown(s, node == NONE ? 0 : u->key, node == NONE ? 0 : node, u->xml);
    }
    return rc;
}

void unknown_put(const struct session *s, const struct frame *f, uint32_t node, bool elements,
                 struct buf *out)
{
    struct unknown_node wanted = {.key = f->key, .node = node};
    uint32_t number = 0;
    if (!s->unknown.count || !map_get(&s->unknown_at, place_key(&wanted), &number))
        return;
    for (; number; number = s->unknown.at[number - 1].next) {
        struct str xml = s->unknown.at[number - 1].xml;
        if (str_starts(xml, STR("<")) == elements)
            buf_put_str(out, xml);
    }
}

bool unknown_inside(const struct session *s, const struct frame *f, uint32_t node)
{
    struct unknown_node wanted = {.key = f->key, .node = node};
    uint32_t number = 0;
    if (!s->unknown.count || !map_get(&s->unknown_at, place_key(&wanted), &number))
        return false;
    while (number && !str_starts(s->unknown.at[number - 1].xml, STR("<")))
        number = s->unknown.at[number - 1].next;
    return number != 0;
}

uint32_t session_unknown(struct session *s, struct arena *a, struct saved_unknown **unknown_out)
{
    struct saved_unknown *list = ARENA_ARRAY(a, struct saved_unknown, s->unknown.count + 1);
    uint32_t count = 0;
    for (uint32_t i = 0; list && i < s->unknown.count; i++) {
        const struct unknown_node *u = &s->unknown.at[i];
        if (u->xml.n)
            list[count++] = (struct saved_unknown){u->key, form_node_path(s->form, u->node, a), u->xml};
    }
    *unknown_out = list;
    return count;
}

/* --- a new identity --- */

/* Forms made by today's tools have no deprecatedID: it is the client who adds it. */
static enum err add_deprecated(struct session *s, uint32_t meta, uint32_t id, struct str old)
{
    const struct form *f = s->form;
    const struct node_name name = {.prefix = f->names.at[f->nodes.at[id].name].prefix,
                                   .local = STR("deprecatedID")};
    struct buf b;
    for (uint32_t i = 0; i < s->unknown.count; i++)
        if (s->unknown.at[i].node == meta && str_find(s->unknown.at[i].xml, STR("deprecatedID")) >= 0)
            s->unknown.at[i].xml = STR(""); /* of an edit before this one */
    buf_init(&b, 1u << 16);
    buf_put_char(&b, '<');
    put_name(&b, &name);
    buf_put_char(&b, '>');
    buf_put_xml_text(&b, old);
    buf_put_z(&b, "</");
    put_name(&b, &name);
    buf_put_char(&b, '>');
    enum err rc = b.failed ? b.failed : add_unknown(s, 0, meta, buf_str(&b));
    buf_free(&b);
    return rc;
}

enum err edit_begin(struct session *s, struct diag *d)
{
    const struct form *f = s->form;
    struct frame *root = s->frames.at[0];
    uint32_t meta = form_child_z(f, 0, "meta", false), id = form_child_z(f, meta, "instanceID", false);
    uint32_t deprecated = form_child_z(f, meta, "deprecatedID", false);
    struct str old = id == NONE ? STR("") : arena_str(&s->arena, cell_at(s, root, id)->text), fresh = STR("");
    if (!old.n)
        return diag_set(d, ERR_STATE,
                        "What was sent has no instanceID, so an edited copy could not say what it replaces.");
    enum err rc = session_new_uuid(s, &s->arena, &fresh, d);
    if (!rc)
        rc = cell_set(s, root, id, fresh, ANSWER_GIVEN);
    if (!rc && deprecated != NONE)
        rc = cell_set(s, root, deprecated, old, ANSWER_GIVEN);
    else if (!rc)
        rc = add_deprecated(s, meta, id, old);
    return rc;
}
