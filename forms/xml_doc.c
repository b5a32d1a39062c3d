/* Reads XML into a flat document with expat. Texts stay where they are in the input as long as they are what
 * is written there. What is refused: entity declarations (no form needs them, and expansion is how small
 * files become large), more depth or nodes than the caller allows.
 */
#include "forms/xml_doc.h"

#include <expat.h>

#define SEPARATOR '\x1f' /* "uri|local|prefix": no XML can hold it */
/* Expat keeps a copy of what it is given at once, and goes over all pieces but the last once more to count
 * their lines: the forms that there are are read in one. */
#define PIECE ((size_t)8 << 20)

struct reading {
    struct xml_doc *doc;
    const struct xml_caps *caps;
    XML_Parser parser;
    struct str xml;
    size_t at;     /* where the event in hand stands in `xml` */
    uint32_t open; /* innermost open element */
    uint32_t depth;
    uint32_t skipping; /* open element whose content is skipped, XML_NONE = none */
    uint32_t skip_depth;
    size_t skip_from;
    VEC(uint32_t) tails;       /* by depth: last child so far */
    struct buf text;           /* text that is not as it stands in the input (references, line ends) */
    size_t text_from, text_to; /* or else where it stands there */
    size_t place;              /* up to here lines are counted */
    uint32_t line, column;
    enum err rc; /* the first thing that went wrong: nothing more is taken */
    struct diag *d;
};

/* --- building --- */

static void fail(struct reading *r, enum err rc)
{
    if (!r->rc)
        r->rc = rc;
}

/* Counts on from where it last stood, which expat would do more thoroughly and slower. Lines end in \n. */
static void find_place(struct reading *r)
{
    size_t to = r->at > r->xml.n ? r->xml.n : r->at;
    const char *p = r->xml.p + r->place, *end = r->xml.p + to, *line_end;
    while (p < end && (line_end = memchr(p, '\n', (size_t)(end - p)))) {
        r->line++;
        r->column = 0;
        p = line_end + 1;
    }
    while (p < end) {
        uint64_t eight;
        if (end - p >= 8 && (memcpy(&eight, p, 8), (eight & UINT64_C(0x8080808080808080)) == 0)) {
            r->column += 8;
            p += 8;
            continue;
        }
        r->column += ((unsigned char)*p++ & 0xC0) != 0x80;
    }
    if (to > r->place)
        r->place = to;
}

static uint32_t line_of(struct reading *r)
{
    find_place(r);
    return r->line + 1;
}

static uint32_t column_of(struct reading *r)
{
    find_place(r);
    return r->column + 1;
}

static uint32_t name_id(struct reading *r, struct str spelled)
{
    struct xml_doc *doc = r->doc;
    uint32_t id;
    if (map_get(&doc->name_ids, spelled, &id))
        return id;
    struct str rest = arena_str(doc->arena, spelled), part[3] = {STR_NONE, STR_NONE, STR_NONE};
    struct node_name *n = vec_push(doc->arena, &doc->names);
    if (!rest.p || !n || map_put(&doc->name_ids, rest, doc->names.count - 1) != ERR_OK) {
        fail(r, ERR_NOMEM);
        return 0;
    }
    uint32_t parts = 0;
    while (parts < 3 && str_split(&rest, SEPARATOR, &part[parts]))
        parts++;
    n->uri = parts > 1 ? part[0] : STR("");
    n->local = parts > 1 ? part[1] : part[0];
    n->prefix = parts > 2 ? part[2] : STR("");
    return doc->names.count - 1;
}

static void add_namespace(struct reading *r, struct str prefix, struct str uri)
{
    struct xml_doc *doc = r->doc;
    struct str p = arena_str(doc->arena, prefix), u = arena_str(doc->arena, uri);
    struct str *slot = vec_push(doc->arena, &doc->uris);
    if (!p.p || !slot || !u.p || map_put(&doc->prefixes, p, doc->uris.count - 1) != ERR_OK) {
        fail(r, ERR_NOMEM);
        return;
    }
    *slot = u;
}

static struct xml_node *add_node(struct reading *r)
{
    struct xml_doc *doc = r->doc;
    if (doc->nodes.count >= r->caps->nodes_max) {
        diag_set_at(r->d, ERR_LIMIT, line_of(r), column_of(r),
                    "More than %u elements and texts. Long lists belong into a file beside the form.",
                    r->caps->nodes_max);
        fail(r, ERR_LIMIT);
        return NULL;
    }
    struct xml_node *n = vec_push(doc->arena, &doc->nodes);
    if (!n) {
        fail(r, ERR_NOMEM);
        return NULL;
    }
    uint32_t index = doc->nodes.count - 1;
    *n = (struct xml_node){.name = XML_NONE,
                           .parent = r->open,
                           .first_child = XML_NONE,
                           .next = XML_NONE,
                           .attr_first = doc->attrs.count};
    if (r->open != XML_NONE) {
        uint32_t *tail = &r->tails.at[r->depth - 1];
        if (*tail == XML_NONE)
            doc->nodes.at[r->open].first_child = index;
        else
            doc->nodes.at[*tail].next = index;
        *tail = index;
    }
    return n;
}

/* Nothing below a space but white space can stand in XML. */
static bool is_layout(struct str s)
{
    static const char spaces[] = "        ";
    if (s.p[0] != '\n' && s.p[0] != '\r')
        return false;
    while (s.n >= 8 && memcmp(s.p + s.n - 8, spaces, 8) == 0)
        s.n -= 8;
    while (s.n > 0 && (unsigned char)s.p[s.n - 1] <= ' ')
        s.n--;
    return s.n == 0;
}

static void flush_text(struct reading *r)
{
    bool as_written = r->text_to > r->text_from;
    struct str s = as_written ? str_sub(r->xml, r->text_from, r->text_to - r->text_from) : buf_str(&r->text);
    r->text_from = r->text_to = 0;
    if (r->text.failed) {
        fail(r, r->text.failed);
        return;
    }
    if (s.n == 0)
        return;
    if (!is_layout(s) && r->open != XML_NONE) {
        struct xml_node *n = add_node(r);
        struct str copy = as_written ? s : arena_str(r->doc->arena, s);
        if (n && copy.p)
            n->text = copy;
        else if (n)
            fail(r, ERR_NOMEM);
    }
    if (!as_written)
        buf_clear(&r->text);
}

static bool shallow_enough(struct reading *r, uint32_t depth)
{
    if (depth <= r->caps->depth_max)
        return true;
    diag_set_at(r->d, ERR_LIMIT, line_of(r), column_of(r), "Elements are nested deeper than %u.",
                r->caps->depth_max);
    fail(r, ERR_LIMIT);
    return false;
}

static bool open_element(struct reading *r)
{
    if (r->skipping != XML_NONE) {
        if (r->skip_depth == 0 && r->skip_from == SIZE_MAX)
            r->skip_from = r->at;
        r->skip_depth++;
        (void)shallow_enough(r, r->skip_depth + r->depth);
        return false;
    }
    flush_text(r);
    if (r->rc || !shallow_enough(r, r->depth + 1))
        return false;
    struct xml_node *n = add_node(r);
    if (!n)
        return false;
    find_place(r);
    n->line = r->line + 1;
    n->column = r->column + 1;
    return true;
}

static void add_attribute(struct reading *r, uint32_t name, struct str value)
{
    struct xml_attr *a = vec_push(r->doc->arena, &r->doc->attrs);
    struct str kept = arena_str(r->doc->arena, value);
    if (!a || !kept.p) {
        fail(r, ERR_NOMEM);
        return;
    }
    *a = (struct xml_attr){name, kept};
    r->doc->nodes.at[r->doc->nodes.count - 1].attr_count++;
}

static void enter(struct reading *r)
{
    uint32_t index = r->doc->nodes.count - 1;
    r->open = index;
    r->depth++;
    if (r->depth > r->tails.count && !vec_push(r->doc->arena, &r->tails)) {
        fail(r, ERR_NOMEM);
        return;
    }
    r->tails.at[r->depth - 1] = XML_NONE;
    if (!r->rc && r->caps->skip && r->caps->skip(r->doc, index)) {
        r->skipping = index;
        r->skip_depth = 0;
        r->skip_from = SIZE_MAX;
    }
}

static void keep_skipped(struct reading *r)
{
    struct xml_node *n = &r->doc->nodes.at[r->skipping];
    if (r->skip_from != SIZE_MAX && r->at <= r->xml.n && r->skip_from < r->at) {
        n->text = arena_str(r->doc->arena, str_sub(r->xml, r->skip_from, r->at - r->skip_from));
        if (!n->text.p)
            fail(r, ERR_NOMEM);
    }
    r->skipping = XML_NONE;
}

static void close_element(struct reading *r)
{
    if (r->skipping != XML_NONE) {
        if (r->skip_depth > 0) {
            r->skip_depth--;
            return;
        }
        keep_skipped(r);
    }
    flush_text(r);
    if (r->rc)
        return;
    r->open = r->doc->nodes.at[r->open].parent;
    r->depth--;
}

/* As long as pieces stand one behind the other in the input just so, nothing is copied. */
static void add_text(struct reading *r, struct str piece, bool as_written)
{
    if (r->skipping != XML_NONE)
        return;
    if (as_written && r->text.n == 0 && (r->text_to == r->text_from || r->text_to == r->at)) {
        if (r->text_to == r->text_from)
            r->text_from = r->at;
        r->text_to = r->at + piece.n;
        return;
    }
    if (r->text_to > r->text_from)
        buf_put_str(&r->text, str_sub(r->xml, r->text_from, r->text_to - r->text_from));
    r->text_from = r->text_to = 0;
    buf_put_str(&r->text, piece);
}

/* Elements, and texts that do not look like layout, and somewhat more: growing means to copy them all. */
static uint32_t expected_nodes(struct str xml, uint32_t max)
{
    const char *p = xml.p, *end = xml.p + xml.n, *tag;
    uint32_t count = 0;
    while (p < end && count < max && (tag = memchr(p, '<', (size_t)(end - p)))) {
        char before = tag > xml.p ? tag[-1] : '>', after = tag + 1 < end ? tag[1] : '/';
        count += after != '/' && after != '!' && after != '?';
        count += before != '>' && before != ' ' && before != '\n' && before != '\t';
        p = tag + 1;
    }
    count += count / 8 + 8;
    return count < max ? count : max;
}

static bool reserve(struct reading *r, uint32_t expected)
{
    return vec_reserve(r->doc->arena, &r->doc->nodes, expected) &&
           vec_reserve(r->doc->arena, &r->doc->attrs, expected / 2);
}

/* --- expat --- */

/* Where the parser stands; false when nothing more is taken. */
static bool take(struct reading *r)
{
    XML_Index index = XML_GetCurrentByteIndex(r->parser);
    r->at = index < 0 ? r->xml.n : (size_t)index;
    return r->rc == ERR_OK;
}

static void stop_if_failed(struct reading *r)
{
    if (r->rc)
        XML_StopParser(r->parser, XML_FALSE);
}

static void XMLCALL on_start(void *self, const char *name, const char **attrs)
{
    struct reading *r = self;
    if (take(r) && open_element(r)) {
        r->doc->nodes.at[r->doc->nodes.count - 1].name = name_id(r, str_of(name));
        for (uint32_t i = 0; attrs[i] && !r->rc; i += 2) {
            uint32_t id = name_id(r, str_of(attrs[i]));
            add_attribute(r, id, str_of(attrs[i + 1]));
        }
        if (!r->rc)
            enter(r);
    }
    stop_if_failed(r);
}

static void XMLCALL on_end(void *self, const char *name)
{
    struct reading *r = self;
    (void)name;
    if (take(r))
        close_element(r);
    stop_if_failed(r);
}

static void XMLCALL on_text(void *self, const char *p, int n)
{
    struct reading *r = self;
    struct str piece = {p, (size_t)n}, xml = r->xml;
    if (!take(r))
        return;
    bool as_written = r->at <= xml.n && piece.n <= xml.n - r->at && memcmp(xml.p + r->at, p, piece.n) == 0;
    add_text(r, piece, as_written);
}

static void XMLCALL on_entity(void *self, const char *name, int parameter, const char *value, int n,
                              const char *base, const char *system, const char *public, const char *notation)
{
    struct reading *r = self;
    (void)parameter;
    (void)value;
    (void)n;
    (void)base;
    (void)system;
    (void)public;
    (void)notation;
    (void)take(r);
    diag_set_at(
        r->d, ERR_SYNTAX, line_of(r), column_of(r),
        "The document declares the entity \"%.60s\". Entities are not expanded here: write the text itself.",
        name);
    fail(r, ERR_SYNTAX);
    stop_if_failed(r);
}

static void XMLCALL on_namespace(void *self, const char *prefix, const char *uri)
{
    struct reading *r = self;
    add_namespace(r, prefix ? str_of(prefix) : STR(""), uri ? str_of(uri) : STR(""));
    stop_if_failed(r);
}

static void XMLCALL on_declaration(void *self, const char *version, const char *encoding, int standalone)
{
    struct reading *r = self;
    (void)version;
    (void)standalone;
    if (encoding)
        r->doc->encoding = arena_str(r->doc->arena, str_of(encoding));
    if (!r->doc->encoding.p)
        fail(r, ERR_NOMEM);
    stop_if_failed(r);
}

static enum err parse_all(struct reading *r)
{
    size_t at = 0;
    while (at < r->xml.n && !r->rc) {
        size_t n = r->xml.n - at < PIECE ? r->xml.n - at : PIECE;
        bool final = at + n == r->xml.n;
        if (XML_Parse(r->parser, r->xml.p + at, (int)n, final) == XML_STATUS_ERROR)
            break;
        at += n;
    }
    if (r->rc)
        return r->rc;
    enum XML_Error e = XML_GetErrorCode(r->parser);
    if (e == XML_ERROR_NO_MEMORY)
        return ERR_NOMEM;
    (void)take(r);
    if (e != XML_ERROR_NONE)
        return diag_set_at(r->d, ERR_SYNTAX, line_of(r), column_of(r), "This is not well-formed XML: %s.",
                           XML_ErrorString(e));
    if (r->doc->nodes.count == 0)
        return diag_set(r->d, ERR_SYNTAX, "The document is empty.");
    return ERR_OK;
}

static enum err parse(struct reading *r)
{
    r->parser = XML_ParserCreateNS(NULL, SEPARATOR);
    if (!r->parser)
        return ERR_NOMEM;
    XML_SetReturnNSTriplet(r->parser, 1);
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_start, on_end);
    XML_SetCharacterDataHandler(r->parser, on_text);
    XML_SetEntityDeclHandler(r->parser, on_entity);
    XML_SetStartNamespaceDeclHandler(r->parser, on_namespace);
    XML_SetXmlDeclHandler(r->parser, on_declaration);
    enum err rc = parse_all(r);
    XML_ParserFree(r->parser);
    return rc;
}

enum err xml_doc_read(struct arena *a, struct str xml, const struct xml_caps *caps, struct xml_doc *doc,
                      struct diag *d)
{
    struct reading r = {.doc = doc, .caps = caps, .xml = xml, .open = XML_NONE, .skipping = XML_NONE, .d = d};
    *doc = (struct xml_doc){.arena = a, .encoding = STR("")};
    if (xml.n == 0)
        return diag_set(d, ERR_SYNTAX, "The document is empty.");
    map_init(&doc->name_ids, a);
    map_init(&doc->prefixes, a);
    buf_init(&r.text, xml.n + 1);
    enum err rc = reserve(&r, expected_nodes(xml, caps->nodes_max)) ? parse(&r) : ERR_NOMEM;
    buf_free(&r.text);
    return rc;
}

bool xml_is(const struct xml_doc *doc, uint32_t n, const char *uri, const char *local)
{
    struct node_name name = xml_name(doc, n);
    return name.local.p && (!local || str_eq_z(name.local, local)) && (!uri || str_eq_z(name.uri, uri));
}

uint32_t xml_element(const struct xml_doc *doc, uint32_t n)
{
    while (n != XML_NONE && doc->nodes.at[n].name == XML_NONE)
        n = doc->nodes.at[n].next;
    return n;
}

uint32_t xml_find_child(const struct xml_doc *doc, uint32_t parent, const char *uri, const char *local)
{
    uint32_t n = xml_element(doc, doc->nodes.at[parent].first_child);
    while (n != XML_NONE && !xml_is(doc, n, uri, local))
        n = xml_element(doc, doc->nodes.at[n].next);
    return n;
}

struct str xml_attr(const struct xml_doc *doc, uint32_t n, const char *uri, const char *local)
{
    const struct xml_node *e = &doc->nodes.at[n];
    for (uint32_t i = 0; i < e->attr_count; i++) {
        const struct xml_attr *a = &doc->attrs.at[e->attr_first + i];
        const struct node_name *name = &doc->names.at[a->name];
        if (str_eq_z(name->local, local) && str_eq_z(name->uri, uri))
            return a->value;
    }
    return STR_NONE;
}

struct str xml_text(const struct xml_doc *doc, uint32_t n, struct arena *a)
{
    struct str all = STR("");
    for (uint32_t c = doc->nodes.at[n].first_child; c != XML_NONE; c = doc->nodes.at[c].next) {
        const struct xml_node *t = &doc->nodes.at[c];
        if (t->name != XML_NONE)
            continue;
        if (all.n == 0) {
            all = t->text;
            continue;
        }
        char *joined = arena_alloc(a, all.n + t->text.n + 1);
        if (!joined)
            return STR_NONE;
        memcpy(joined, all.p, all.n);
        memcpy(joined + all.n, t->text.p, t->text.n);
        all = (struct str){joined, all.n + t->text.n};
    }
    return all;
}

bool xml_has_elements(const struct xml_doc *doc, uint32_t n)
{
    return xml_element(doc, doc->nodes.at[n].first_child) != XML_NONE;
}
