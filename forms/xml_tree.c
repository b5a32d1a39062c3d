/* A static XML document as a tree for expressions: external instances, last-saved, `doorstep expr --context`.
 * Nodes are one array in document order, each element followed by its attributes; a namespace node is its
 * element with y > 0. Read by expat, with entity declarations refused and depth, nodes and bytes capped.
 * CDATA sections are text nodes of their own.
 */
#include <expat.h>

#include "forms/limits.h"
#include "forms/tree_index.h"
#include "platform/base/map.h"

#define NONE UINT32_MAX
#define SEPARATOR '\x01' /* cannot stand in XML, so not in a name either */
#define XML_NODES_MAX (8u * LIST_ROWS_MAX)

struct xml_node {
    uint8_t kind;
    uint32_t name; /* in names */
    uint32_t parent, first_child, next, previous;
    uint32_t attributes; /* how many follow */
    uint32_t end;        /* one past the last node inside */
    struct str text;     /* TEXT, COMMENT, PI, ATTRIBUTE */
};

/* Declarations of one element, chained to those around it. */
struct xml_namespace {
    uint32_t element;
    struct str prefix, uri; /* uri "" takes a default away */
};

struct xml_tree {
    struct tree tree;
    VEC(struct xml_node) nodes;
    VEC(struct node_name) names;
    VEC(struct xml_namespace) namespaces;
    struct tree_indexes *indexes;
};

/* -- what a tree must answer
 * ------------------------------------------------------------------------------------ */

static const struct xml_tree *self_of(const struct tree *t)
{
    return (const struct xml_tree *)t;
}

static const struct xml_node *at(const struct tree *t, struct node n)
{
    return &self_of(t)->nodes.at[n.x];
}

static bool give(const struct tree *t, uint32_t x, struct node *out)
{
    if (x == NONE)
        return false;
    *out = (struct node){t->index, x, 0};
    return true;
}

static const struct xml_namespace xml_namespace = {0,
                                                   {"xml", 3},
                                                   {"http://www.w3.org/XML/1998/namespace", 36}};

/* The nearest declaration of a prefix, on the element or around it. */
static const struct xml_namespace *declaration(const struct xml_tree *x, uint32_t element, struct str prefix)
{
    for (uint32_t e = element; e != NONE; e = x->nodes.at[e].parent)
        for (uint32_t k = 0; k < x->namespaces.count; k++)
            if (x->namespaces.at[k].element == e && str_eq(x->namespaces.at[k].prefix, prefix))
                return &x->namespaces.at[k];
    return NULL;
}

/* The i-th namespace in force on an element, ordered by prefix; `xml` is always in force. */
static const struct xml_namespace *namespace_in_force(const struct xml_tree *x, uint32_t element, uint32_t i)
{
    const struct xml_namespace *last = NULL;
    for (uint32_t n = 0; n <= i; n++) {
        const struct xml_namespace *next = NULL;
        for (uint32_t k = 0; k <= x->namespaces.count; k++) {
            const struct xml_namespace *ns = k < x->namespaces.count ? &x->namespaces.at[k] : &xml_namespace;
            if ((last && str_cmp(ns->prefix, last->prefix) <= 0) ||
                (next && str_cmp(ns->prefix, next->prefix) >= 0))
                continue;
            const struct xml_namespace *force = ns == &xml_namespace ? ns
                                                                     : declaration(x, element, ns->prefix);
            if (force && force->uri.n)
                next = force;
        }
        if (!next)
            return NULL;
        last = next;
    }
    return last;
}

static enum node_kind tree_kind(const struct tree *t, struct node n)
{
    return n.y ? NODE_NAMESPACE : (enum node_kind)at(t, n)->kind;
}

static struct node_name tree_name(const struct tree *t, struct node n)
{
    struct node_name none = {STR(""), STR(""), STR("")};
    if (n.y) {
        const struct xml_namespace *ns = namespace_in_force(self_of(t), n.x, n.y - 1);
        none.local = ns ? ns->prefix : STR("");
        return none;
    }
    uint32_t name = at(t, n)->name;
    return name == NONE ? none : self_of(t)->names.at[name];
}

static bool tree_parent(const struct tree *t, struct node n, struct node *out)
{
    return give(t, n.y ? n.x : at(t, n)->parent, out);
}

static bool tree_first_child(const struct tree *t, struct node n, struct node *out)
{
    return !n.y && give(t, at(t, n)->first_child, out);
}

static bool tree_next_sibling(const struct tree *t, struct node n, struct node *out)
{
    return !n.y && at(t, n)->kind != NODE_ATTRIBUTE && give(t, at(t, n)->next, out);
}

static bool tree_prev_sibling(const struct tree *t, struct node n, struct node *out)
{
    return !n.y && at(t, n)->kind != NODE_ATTRIBUTE && give(t, at(t, n)->previous, out);
}

static bool tree_first_attribute(const struct tree *t, struct node n, struct node *out)
{
    return !n.y && at(t, n)->attributes && give(t, n.x + 1, out);
}

static bool tree_next_attribute(const struct tree *t, struct node n, struct node *out)
{
    return at(t, n)->kind == NODE_ATTRIBUTE && give(t, at(t, n)->next, out);
}

static int tree_compare(const struct tree *t, struct node a, struct node b)
{
    (void)t;
    if (a.x != b.x)
        return a.x < b.x ? -1 : 1;
    return a.y < b.y ? -1 : a.y > b.y;
}

static struct str tree_text(const struct tree *t, struct node n, struct arena *scratch)
{
    if (n.y) {
        const struct xml_namespace *ns = namespace_in_force(self_of(t), n.x, n.y - 1);
        return ns ? ns->uri : STR("");
    }
    const struct xml_tree *x = self_of(t);
    const struct xml_node *node = at(t, n);
    if (node->kind != NODE_ELEMENT && node->kind != NODE_DOCUMENT)
        return node->text;
    size_t length = 0;
    uint32_t texts = 0, last = 0;
    for (uint32_t i = n.x + 1; i < node->end; i++)
        if (x->nodes.at[i].kind == NODE_TEXT) {
            length += x->nodes.at[i].text.n;
            texts++;
            last = i;
        }
    if (texts <= 1)
        return texts ? x->nodes.at[last].text : STR("");
    char *p = arena_alloc(scratch, length), *to = p;
    if (!p)
        return STR("");
    for (uint32_t i = n.x + 1; i <= last; i++) {
        struct str s = x->nodes.at[i].text;
        if (x->nodes.at[i].kind != NODE_TEXT || s.n == 0)
            continue;
        memcpy(to, s.p, s.n);
        to += s.n;
    }
    return (struct str){p, length};
}

static struct node tree_root(const struct tree *t)
{
    return (struct node){t->index, 0, 0};
}

static enum err tree_find(const struct tree *t, struct node parent, struct str item, struct str column,
                          struct str text, struct arena *scratch, struct nodes *out)
{
    return tree_index_find(t, self_of(t)->indexes, parent, item, column, text, scratch, out);
}

static bool tree_namespace_at(const struct tree *t, struct node n, uint32_t i, struct node *out)
{
    if (!namespace_in_force(self_of(t), n.x, i))
        return false;
    *out = (struct node){t->index, n.x, i + 1};
    return true;
}

static const struct tree_ops xml_ops = {
    .kind = tree_kind,
    .name = tree_name,
    .parent = tree_parent,
    .first_child = tree_first_child,
    .next_sibling = tree_next_sibling,
    .prev_sibling = tree_prev_sibling,
    .first_attribute = tree_first_attribute,
    .next_attribute = tree_next_attribute,
    .compare = tree_compare,
    .text = tree_text,
    .root = tree_root,
    .find = tree_find,
    .namespace_at = tree_namespace_at,
};

/* -- reading
 * ---------------------------------------------------------------------------------------------------- */

struct xml_reader {
    XML_Parser parser;
    struct arena *a;
    struct xml_tree *x;
    struct map names;
    struct diag *d;
    enum err rc;
    uint32_t open[FORM_DEPTH_MAX]; /* the document and the elements not closed yet */
    uint32_t last[FORM_DEPTH_MAX]; /* last child of each */
    uint32_t depth;
    bool text_open; /* the last child is text that the next bytes continue */
    struct buf text;
    uint32_t declared; /* namespaces of the element that comes next start here */
};

static void stop(struct xml_reader *r, enum err rc, const char *sentence)
{
    if (r->rc)
        return;
    r->rc = rc;
    diag_set_at(r->d, rc, (uint32_t)XML_GetCurrentLineNumber(r->parser),
                (uint32_t)XML_GetCurrentColumnNumber(r->parser) + 1, "%s", sentence);
    XML_StopParser(r->parser, XML_FALSE);
}

static uint32_t add_node(struct xml_reader *r, enum node_kind kind)
{
    if (r->x->nodes.count >= XML_NODES_MAX) {
        stop(r, ERR_LIMIT, "the document has too many nodes; import it as a list instead");
        return NONE;
    }
    struct xml_node *n = vec_push(r->a, &r->x->nodes);
    if (!n) {
        stop(r, ERR_NOMEM, "no memory left to read this document");
        return NONE;
    }
    *n = (struct xml_node){.kind = (uint8_t)kind,
                           .name = NONE,
                           .parent = NONE,
                           .first_child = NONE,
                           .next = NONE,
                           .previous = NONE,
                           .end = r->x->nodes.count};
    return r->x->nodes.count - 1;
}

static uint32_t add_child(struct xml_reader *r, enum node_kind kind)
{
    uint32_t n = add_node(r, kind);
    if (n == NONE)
        return NONE;
    uint32_t parent = r->open[r->depth], before = r->last[r->depth];
    struct xml_node *nodes = r->x->nodes.at;
    nodes[n].parent = parent;
    nodes[n].previous = before;
    if (before == NONE)
        nodes[parent].first_child = n;
    else
        nodes[before].next = n;
    r->last[r->depth] = n;
    return n;
}

/* Text is gathered until something else begins. */
static void end_text(struct xml_reader *r)
{
    if (!r->text_open)
        return;
    r->text_open = false;
    uint32_t n = r->depth ? add_child(r, NODE_TEXT) : NONE; /* no text nodes beside the root element */
    if (n == NONE)
        return;
    r->x->nodes.at[n].text = arena_str(r->a, buf_str(&r->text));
    if (r->text.failed || !r->x->nodes.at[n].text.p)
        stop(r, ERR_NOMEM, "no memory left to read this document");
}

static void begin_text(struct xml_reader *r)
{
    if (r->text_open)
        return;
    buf_clear(&r->text);
    r->text_open = true;
}

static struct str part(struct str *rest)
{
    struct str s = {0};
    if (!str_split(rest, SEPARATOR, &s))
        return STR("");
    return s;
}

/* expat gives "local", "uri|local" or "uri|local|prefix". */
static uint32_t intern(struct xml_reader *r, const char *name)
{
    uint32_t id;
    if (map_get(&r->names, str_of(name), &id))
        return id;
    struct str own = arena_str(r->a, str_of(name)), rest = own;
    struct node_name *n = own.p ? vec_push(r->a, &r->x->names) : NULL;
    if (!n || map_put(&r->names, own, r->x->names.count - 1)) {
        stop(r, ERR_NOMEM, "no memory left to read this document");
        return NONE;
    }
    struct str first = part(&rest), second = part(&rest), third = part(&rest);
    bool qualified = second.n > 0;
    *n = (struct node_name){.local = qualified ? second : first,
                            .uri = qualified ? first : STR(""),
                            .prefix = third};
    return r->x->names.count - 1;
}

static void XMLCALL on_start(void *user, const char *name, const char **attributes)
{
    struct xml_reader *r = user;
    if (r->rc)
        return;
    end_text(r);
    if (r->depth + 1 >= FORM_DEPTH_MAX) {
        stop(r, ERR_LIMIT, "elements are nested too deeply here");
        return;
    }
    uint32_t n = add_child(r, NODE_ELEMENT);
    if (n == NONE)
        return;
    uint32_t id = intern(r, name);
    r->x->nodes.at[n].name = id;
    for (; r->declared < r->x->namespaces.count; r->declared++)
        r->x->namespaces.at[r->declared].element = n;
    uint32_t before = NONE;
    for (; !r->rc && attributes[0]; attributes += 2) {
        uint32_t a = add_node(r, NODE_ATTRIBUTE);
        if (a == NONE)
            return;
        uint32_t attribute_name = intern(r, attributes[0]);
        struct xml_node *node = &r->x->nodes.at[a];
        node->name = attribute_name;
        node->parent = n;
        node->text = arena_str(r->a, str_of(attributes[1]));
        if (before != NONE)
            r->x->nodes.at[before].next = a;
        before = a;
        r->x->nodes.at[n].attributes++;
    }
    r->depth++;
    r->open[r->depth] = n;
    r->last[r->depth] = NONE;
}

static void XMLCALL on_end(void *user, const char *name)
{
    struct xml_reader *r = user;
    (void)name;
    if (r->rc)
        return;
    end_text(r);
    r->x->nodes.at[r->open[r->depth]].end = r->x->nodes.count;
    r->depth--;
}

static void XMLCALL on_text(void *user, const char *p, int n)
{
    struct xml_reader *r = user;
    if (r->rc)
        return;
    begin_text(r);
    buf_put(&r->text, p, (size_t)n);
}

static void XMLCALL on_cdata(void *user)
{
    struct xml_reader *r = user;
    if (!r->rc)
        end_text(r);
}

static void XMLCALL on_cdata_start(void *user)
{
    struct xml_reader *r = user;
    if (r->rc)
        return;
    end_text(r);
    begin_text(r);
}

static void XMLCALL on_comment(void *user, const char *text)
{
    struct xml_reader *r = user;
    if (r->rc)
        return;
    end_text(r);
    uint32_t n = add_child(r, NODE_COMMENT);
    if (n != NONE)
        r->x->nodes.at[n].text = arena_str(r->a, str_of(text));
}

static void XMLCALL on_pi(void *user, const char *target, const char *text)
{
    struct xml_reader *r = user;
    if (r->rc)
        return;
    end_text(r);
    uint32_t n = add_child(r, NODE_PI);
    if (n == NONE)
        return;
    uint32_t name = intern(r, target);
    r->x->nodes.at[n].name = name;
    r->x->nodes.at[n].text = arena_str(r->a, str_of(text));
}

static void XMLCALL on_namespace(void *user, const char *prefix, const char *uri)
{
    struct xml_reader *r = user;
    if (r->rc)
        return;
    struct xml_namespace *ns = vec_push(r->a, &r->x->namespaces);
    if (!ns) {
        stop(r, ERR_NOMEM, "no memory left to read this document");
        return;
    }
    *ns = (struct xml_namespace){NONE, arena_str(r->a, prefix ? str_of(prefix) : STR("")),
                                 arena_str(r->a, uri ? str_of(uri) : STR(""))};
}

static void XMLCALL on_entity(void *user, const char *name, int is_parameter, const char *value, int length,
                              const char *base, const char *system, const char *public, const char *notation)
{
    (void)name, (void)is_parameter, (void)value, (void)length, (void)base, (void)system, (void)public,
        (void)notation;
    stop(user, ERR_SYNTAX,
         "the document declares an XML entity, which is not allowed; write the text itself");
}

enum err xml_tree_read(struct arena *a, struct str xml, uint32_t index, const struct tree **tree_out,
                       struct diag *d)
{
    if (xml.n > FORM_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, "a document of %zu bytes is larger than the %u that are allowed", xml.n,
                        FORM_BYTES_MAX);
    struct xml_tree *x = ARENA_NEW(a, struct xml_tree);
    if (x)
        x->indexes = ARENA_NEW(a, struct tree_indexes);
    if (!x || !x->indexes)
        return diag_set(d, ERR_NOMEM, "no memory left to read this document");
    x->tree = (struct tree){&xml_ops, index};
    x->indexes->arena = a;
    struct xml_reader r = {.a = a, .x = x, .d = d};
    map_init(&r.names, a);
    buf_init(&r.text, FORM_BYTES_MAX);
    r.parser = XML_ParserCreateNS(NULL, SEPARATOR);
    if (!r.parser)
        return diag_set(d, ERR_NOMEM, "no memory left to read this document");
    XML_SetReturnNSTriplet(r.parser, 1);
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetCdataSectionHandler(r.parser, on_cdata_start, on_cdata);
    XML_SetCommentHandler(r.parser, on_comment);
    XML_SetProcessingInstructionHandler(r.parser, on_pi);
    XML_SetStartNamespaceDeclHandler(r.parser, on_namespace);
    XML_SetEntityDeclHandler(r.parser, on_entity);
    r.open[0] = add_node(&r, NODE_DOCUMENT);
    r.last[0] = NONE;
    if (!r.rc && XML_Parse(r.parser, xml.p ? xml.p : "", (int)xml.n, 1) != XML_STATUS_OK && !r.rc)
        stop(&r, ERR_SYNTAX, XML_ErrorString(XML_GetErrorCode(r.parser)));
    XML_ParserFree(r.parser);
    buf_free(&r.text);
    if (r.rc)
        return r.rc;
    x->nodes.at[0].end = x->nodes.count;
    *tree_out = &x->tree;
    return ERR_OK;
}
