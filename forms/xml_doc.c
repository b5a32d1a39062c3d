/* Reads XML into a flat document through expat. Texts stay where they are in the input as long as they are
 * what is written there. What is refused: entity declarations (no form needs them, and expansion is how small
 * files become large), more depth or nodes than the caller allows.
 */
#include "forms/xml_doc.h"

#include <expat.h>

#define SEPARATOR '\x1f'
#define CHUNK ((size_t)256 << 10) /* expat keeps a copy of it */
#define NAMES_RECENT 128u

struct reading {
    XML_Parser parser;
    struct xml_doc *doc;
    const struct xml_caps *caps;
    struct str xml;
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
    struct {
        struct str name;
        uint32_t id;
    } recent[NAMES_RECENT];
    enum err rc;
    struct diag *d;
};

static void stop(struct reading *r, enum err rc)
{
    if (!r->rc)
        r->rc = rc;
    XML_StopParser(r->parser, XML_FALSE);
}

/* Counts on from where it last stood, which expat would do more thoroughly and slower. Lines end in \n. */
static void find_place(struct reading *r)
{
    XML_Index index = XML_GetCurrentByteIndex(r->parser);
    size_t to = index < 0 ? 0 : (size_t)index;
    if (to > r->xml.n)
        to = r->xml.n;
    const char *p = r->xml.p + r->place, *end = r->xml.p + to, *line_end;
    while (p < end && (line_end = memchr(p, '\n', (size_t)(end - p)))) {
        r->line++;
        r->column = 0;
        p = line_end + 1;
    }
    for (; p < end; p++)
        r->column += ((unsigned char)*p & 0xC0) != 0x80;
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

/* "uri|local|prefix", "uri|local" or "local", separated by a byte that XML cannot hold. */
static uint32_t intern_new(struct reading *r, struct str name)
{
    struct xml_doc *doc = r->doc;
    uint32_t id;
    if (map_get(&doc->name_ids, name, &id))
        return id;
    struct str whole = arena_str(doc->arena, name);
    struct node_name *n = vec_push(doc->arena, &doc->names);
    struct str *spelled = vec_push(doc->arena, &doc->spelled);
    if (!whole.p || !n || !spelled || map_put(&doc->name_ids, whole, doc->names.count - 1) != ERR_OK) {
        stop(r, ERR_NOMEM);
        return 0;
    }
    *spelled = whole;
    struct str rest = whole, part[3] = {STR_NONE, STR_NONE, STR_NONE};
    uint32_t parts = 0;
    while (parts < 3 && str_split(&rest, SEPARATOR, &part[parts]))
        parts++;
    n->uri = parts > 1 ? part[0] : STR("");
    n->local = parts > 1 ? part[1] : part[0];
    n->prefix = parts > 2 ? part[2] : STR("");
    return doc->names.count - 1;
}

/* A form says the same few names over and over. */
static uint32_t intern(struct reading *r, const char *name)
{
    struct str s = str_of(name);
    uint32_t slot = (uint32_t)s.n;
    for (size_t i = s.n > 12 ? s.n - 12 : 0; i < s.n; i++)
        slot = slot * 31 + (unsigned char)name[i];
    slot %= NAMES_RECENT;
    if (r->recent[slot].name.p && str_eq(r->recent[slot].name, s))
        return r->recent[slot].id;
    uint32_t id = intern_new(r, s);
    if (r->rc)
        return 0;
    r->recent[slot].name = r->doc->spelled.at[id];
    r->recent[slot].id = id;
    return id;
}

static struct xml_node *add_node(struct reading *r)
{
    struct xml_doc *doc = r->doc;
    if (doc->nodes.count >= r->caps->nodes_max) {
        diag_set_at(r->d, ERR_LIMIT, line_of(r), column_of(r),
                    "More than %u elements and texts. Long lists belong into a file beside the form.",
                    r->caps->nodes_max);
        stop(r, ERR_LIMIT);
        return NULL;
    }
    struct xml_node *n = vec_push(doc->arena, &doc->nodes);
    if (!n) {
        stop(r, ERR_NOMEM);
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

static void flush_text(struct reading *r)
{
    bool as_written = r->text_to > r->text_from;
    struct str s = as_written ? str_sub(r->xml, r->text_from, r->text_to - r->text_from) : buf_str(&r->text);
    r->text_from = r->text_to = 0;
    if (r->text.failed) {
        stop(r, r->text.failed);
        return;
    }
    if (s.n == 0)
        return;
    size_t blank = 0; /* nothing below a space but white space can stand in XML */
    if (s.p[0] == '\n' || s.p[0] == '\r')
        while (blank < s.n && (unsigned char)s.p[blank] <= ' ')
            blank++;
    bool layout = blank == s.n;
    if (!layout && r->open != XML_NONE) {
        struct xml_node *n = add_node(r);
        struct str copy = as_written ? s : arena_str(r->doc->arena, s);
        if (n && copy.p)
            n->text = copy;
        else if (n)
            stop(r, ERR_NOMEM);
    }
    buf_clear(&r->text);
}

static void XMLCALL on_start(void *self, const char *name, const char **attrs)
{
    struct reading *r = self;
    if (r->rc)
        return;
    if (r->skipping != XML_NONE) {
        if (r->skip_depth == 0 && r->skip_from == SIZE_MAX)
            r->skip_from = (size_t)XML_GetCurrentByteIndex(r->parser);
        r->skip_depth++;
        if (r->skip_depth + r->depth > r->caps->depth_max) {
            diag_set_at(r->d, ERR_LIMIT, line_of(r), column_of(r), "Elements are nested deeper than %u.",
                        r->caps->depth_max);
            stop(r, ERR_LIMIT);
        }
        return;
    }
    flush_text(r);
    if (r->rc)
        return;
    if (r->depth >= r->caps->depth_max) {
        diag_set_at(r->d, ERR_LIMIT, line_of(r), column_of(r), "Elements are nested deeper than %u.",
                    r->caps->depth_max);
        stop(r, ERR_LIMIT);
        return;
    }
    struct xml_node *n = add_node(r);
    if (!n)
        return;
    uint32_t index = r->doc->nodes.count - 1;
    find_place(r);
    n->line = r->line + 1;
    n->column = r->column + 1;
    n->name = intern(r, name);
    for (uint32_t i = 0; attrs[i] && !r->rc; i += 2) {
        struct xml_attr *a = vec_push(r->doc->arena, &r->doc->attrs);
        if (!a) {
            stop(r, ERR_NOMEM);
            return;
        }
        a->name = intern(r, attrs[i]);
        a->value = arena_str(r->doc->arena, str_of(attrs[i + 1]));
        if (!a->value.p)
            stop(r, ERR_NOMEM);
        r->doc->nodes.at[index].attr_count++;
    }
    r->open = index;
    r->depth++;
    if (r->depth > r->tails.count && !vec_push(r->doc->arena, &r->tails)) {
        stop(r, ERR_NOMEM);
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
    size_t to = (size_t)XML_GetCurrentByteIndex(r->parser);
    if (r->skip_from != SIZE_MAX && to <= r->xml.n && r->skip_from < to) {
        n->text = arena_str(r->doc->arena, str_sub(r->xml, r->skip_from, to - r->skip_from));
        if (!n->text.p)
            stop(r, ERR_NOMEM);
    }
    r->skipping = XML_NONE;
}

static void XMLCALL on_end(void *self, const char *name)
{
    struct reading *r = self;
    (void)name;
    if (r->rc)
        return;
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

/* Text comes in pieces. As long as they stand one behind the other in the input just so, nothing is copied.
 */
static void XMLCALL on_text(void *self, const char *p, int n)
{
    struct reading *r = self;
    size_t size = (size_t)n;
    if (r->rc || r->skipping != XML_NONE)
        return;
    XML_Index index = XML_GetCurrentByteIndex(r->parser);
    size_t at = index < 0 ? r->xml.n : (size_t)index;
    bool as_written = r->text.n == 0 && at <= r->xml.n && size <= r->xml.n - at &&
                      (r->text_to == r->text_from || r->text_to == at) && memcmp(r->xml.p + at, p, size) == 0;
    if (as_written) {
        if (r->text_to == r->text_from)
            r->text_from = at;
        r->text_to = at + size;
        return;
    }
    if (r->text_to > r->text_from)
        buf_put_str(&r->text, str_sub(r->xml, r->text_from, r->text_to - r->text_from));
    r->text_from = r->text_to = 0;
    buf_put(&r->text, p, size);
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
    diag_set_at(
        r->d, ERR_SYNTAX, line_of(r), column_of(r),
        "The document declares the entity \"%.60s\". Entities are not expanded here: write the text itself.",
        name);
    stop(r, ERR_SYNTAX);
}

static void XMLCALL on_namespace(void *self, const char *prefix, const char *uri)
{
    struct reading *r = self;
    struct xml_doc *doc = r->doc;
    struct str p = arena_str(doc->arena, prefix ? str_of(prefix) : STR(""));
    struct str *slot = vec_push(doc->arena, &doc->uris);
    struct str u = arena_str(doc->arena, uri ? str_of(uri) : STR(""));
    if (!p.p || !slot || !u.p || map_put(&doc->prefixes, p, doc->uris.count - 1) != ERR_OK) {
        stop(r, ERR_NOMEM);
        return;
    }
    *slot = u;
}

static void XMLCALL on_declaration(void *self, const char *version, const char *encoding, int standalone)
{
    struct reading *r = self;
    (void)version;
    (void)standalone;
    if (encoding)
        r->doc->encoding = arena_str(r->doc->arena, str_of(encoding));
}

/* Elements, and texts that do not look like layout. */
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
    return count < max ? count : max;
}

static enum err parse_all(struct reading *r)
{
    uint32_t expected = expected_nodes(r->xml, r->caps->nodes_max);
    if (!vec_reserve(r->doc->arena, &r->doc->nodes, expected) ||
        !vec_reserve(r->doc->arena, &r->doc->attrs, expected / 2))
        return ERR_NOMEM;
    size_t at = 0;
    while (at < r->xml.n && !r->rc) {
        size_t n = r->xml.n - at < CHUNK ? r->xml.n - at : CHUNK;
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
    if (e != XML_ERROR_NONE)
        return diag_set_at(r->d, ERR_SYNTAX, line_of(r), column_of(r), "This is not well-formed XML: %s.",
                           XML_ErrorString(e));
    if (r->doc->nodes.count == 0)
        return diag_set(r->d, ERR_SYNTAX, "The document is empty.");
    return ERR_OK;
}

enum err xml_doc_read(struct arena *a, struct str xml, const struct xml_caps *caps, struct xml_doc *doc,
                      struct diag *d)
{
    *doc = (struct xml_doc){.arena = a, .encoding = STR("")};
    map_init(&doc->name_ids, a);
    map_init(&doc->prefixes, a);
    struct reading r = {.doc = doc, .caps = caps, .xml = xml, .open = XML_NONE, .skipping = XML_NONE, .d = d};
    buf_init(&r.text, xml.n + 1);
    enum err rc = ERR_NOMEM;
    if (xml.n == 0)
        return diag_set(d, ERR_SYNTAX, "The document is empty.");
    r.parser = XML_ParserCreateNS(NULL, SEPARATOR);
    if (!r.parser)
        goto done;
    XML_SetReturnNSTriplet(r.parser, 1);
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetEntityDeclHandler(r.parser, on_entity);
    XML_SetStartNamespaceDeclHandler(r.parser, on_namespace);
    XML_SetXmlDeclHandler(r.parser, on_declaration);
    rc = parse_all(&r);
done:
    if (r.parser)
        XML_ParserFree(r.parser);
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
