/* Reads XML into a flat document. Texts stay where they are in the input as long as they are what is written
 * there. What is refused: entity declarations (no form needs them, and expansion is how small files become
 * large), more depth or nodes than the caller allows.
 *
 * Plain documents are read by xml_scan.c, everything else by expat, which also has the last word on what is
 * wrong.
 */
#include "forms/xml_build.h"

#include <expat.h>

#define CHUNK ((size_t)256 << 10) /* expat keeps a copy of it */
#define NAMES_RECENT 128u

struct reading {
    struct xml_build b; /* first */
    XML_Parser parser;
    struct {
        struct str name;
        uint32_t id;
    } recent[NAMES_RECENT];
};

/* --- building --- */

void build_begin(struct xml_build *b, struct arena *a, struct str xml, const struct xml_caps *caps,
                 struct xml_doc *doc, struct diag *d)
{
    *doc = (struct xml_doc){.arena = a, .encoding = STR("")};
    map_init(&doc->name_ids, a);
    map_init(&doc->prefixes, a);
    *b = (struct xml_build){
        .doc = doc, .caps = caps, .xml = xml, .open = XML_NONE, .skipping = XML_NONE, .d = d};
    buf_init(&b->text, xml.n + 1);
}

void build_end(struct xml_build *b)
{
    buf_free(&b->text);
}

void build_fail(struct xml_build *b, enum err rc)
{
    if (!b->rc)
        b->rc = rc;
}

/* Counts on from where it last stood, which expat would do more thoroughly and slower. Lines end in \n. */
static void find_place(struct xml_build *b)
{
    size_t to = b->at > b->xml.n ? b->xml.n : b->at;
    const char *p = b->xml.p + b->place, *end = b->xml.p + to, *line_end;
    while (p < end && (line_end = memchr(p, '\n', (size_t)(end - p)))) {
        b->line++;
        b->column = 0;
        p = line_end + 1;
    }
    for (; p < end; p++)
        b->column += ((unsigned char)*p & 0xC0) != 0x80;
    if (to > b->place)
        b->place = to;
}

uint32_t build_line(struct xml_build *b)
{
    find_place(b);
    return b->line + 1;
}

uint32_t build_column(struct xml_build *b)
{
    find_place(b);
    return b->column + 1;
}

uint32_t build_name(struct xml_build *b, struct str spelled)
{
    struct xml_doc *doc = b->doc;
    uint32_t id;
    if (map_get(&doc->name_ids, spelled, &id))
        return id;
    struct str rest = arena_str(doc->arena, spelled), part[3] = {STR_NONE, STR_NONE, STR_NONE};
    struct node_name *n = vec_push(doc->arena, &doc->names);
    struct str *slot = vec_push(doc->arena, &doc->spelled);
    if (!rest.p || !n || !slot || map_put(&doc->name_ids, rest, doc->names.count - 1) != ERR_OK) {
        build_fail(b, ERR_NOMEM);
        return 0;
    }
    *slot = rest;
    uint32_t parts = 0;
    while (parts < 3 && str_split(&rest, XML_SEPARATOR, &part[parts]))
        parts++;
    n->uri = parts > 1 ? part[0] : STR("");
    n->local = parts > 1 ? part[1] : part[0];
    n->prefix = parts > 2 ? part[2] : STR("");
    return doc->names.count - 1;
}

void build_namespace(struct xml_build *b, struct str prefix, struct str uri)
{
    struct xml_doc *doc = b->doc;
    struct str p = arena_str(doc->arena, prefix), u = arena_str(doc->arena, uri);
    struct str *slot = vec_push(doc->arena, &doc->uris);
    if (!p.p || !slot || !u.p || map_put(&doc->prefixes, p, doc->uris.count - 1) != ERR_OK) {
        build_fail(b, ERR_NOMEM);
        return;
    }
    *slot = u;
}

static struct xml_node *add_node(struct xml_build *b)
{
    struct xml_doc *doc = b->doc;
    if (doc->nodes.count >= b->caps->nodes_max) {
        diag_set_at(b->d, ERR_LIMIT, build_line(b), build_column(b),
                    "More than %u elements and texts. Long lists belong into a file beside the form.",
                    b->caps->nodes_max);
        build_fail(b, ERR_LIMIT);
        return NULL;
    }
    struct xml_node *n = vec_push(doc->arena, &doc->nodes);
    if (!n) {
        build_fail(b, ERR_NOMEM);
        return NULL;
    }
    uint32_t index = doc->nodes.count - 1;
    *n = (struct xml_node){.name = XML_NONE,
                           .parent = b->open,
                           .first_child = XML_NONE,
                           .next = XML_NONE,
                           .attr_first = doc->attrs.count};
    if (b->open != XML_NONE) {
        uint32_t *tail = &b->tails.at[b->depth - 1];
        if (*tail == XML_NONE)
            doc->nodes.at[b->open].first_child = index;
        else
            doc->nodes.at[*tail].next = index;
        *tail = index;
    }
    return n;
}

static void flush_text(struct xml_build *b)
{
    bool as_written = b->text_to > b->text_from;
    struct str s = as_written ? str_sub(b->xml, b->text_from, b->text_to - b->text_from) : buf_str(&b->text);
    b->text_from = b->text_to = 0;
    if (b->text.failed) {
        build_fail(b, b->text.failed);
        return;
    }
    if (s.n == 0)
        return;
    size_t blank = 0; /* nothing below a space but white space can stand in XML */
    if (s.p[0] == '\n' || s.p[0] == '\r')
        while (blank < s.n && (unsigned char)s.p[blank] <= ' ')
            blank++;
    bool layout = blank == s.n;
    if (!layout && b->open != XML_NONE) {
        struct xml_node *n = add_node(b);
        struct str copy = as_written ? s : arena_str(b->doc->arena, s);
        if (n && copy.p)
            n->text = copy;
        else if (n)
            build_fail(b, ERR_NOMEM);
    }
    if (!as_written)
        buf_clear(&b->text);
}

static bool shallow_enough(struct xml_build *b, uint32_t depth)
{
    if (depth <= b->caps->depth_max)
        return true;
    diag_set_at(b->d, ERR_LIMIT, build_line(b), build_column(b), "Elements are nested deeper than %u.",
                b->caps->depth_max);
    build_fail(b, ERR_LIMIT);
    return false;
}

bool build_open(struct xml_build *b)
{
    if (b->skipping != XML_NONE) {
        if (b->skip_depth == 0 && b->skip_from == SIZE_MAX)
            b->skip_from = b->at;
        b->skip_depth++;
        (void)shallow_enough(b, b->skip_depth + b->depth);
        return false;
    }
    flush_text(b);
    if (b->rc || !shallow_enough(b, b->depth + 1))
        return false;
    struct xml_node *n = add_node(b);
    if (!n)
        return false;
    find_place(b);
    n->line = b->line + 1;
    n->column = b->column + 1;
    return true;
}

void build_attribute(struct xml_build *b, uint32_t name, struct str value)
{
    struct xml_attr *a = vec_push(b->doc->arena, &b->doc->attrs);
    struct str kept = arena_str(b->doc->arena, value);
    if (!a || !kept.p) {
        build_fail(b, ERR_NOMEM);
        return;
    }
    *a = (struct xml_attr){name, kept};
    b->doc->nodes.at[b->doc->nodes.count - 1].attr_count++;
}

void build_enter(struct xml_build *b)
{
    uint32_t index = b->doc->nodes.count - 1;
    b->open = index;
    b->depth++;
    if (b->depth > b->tails.count && !vec_push(b->doc->arena, &b->tails)) {
        build_fail(b, ERR_NOMEM);
        return;
    }
    b->tails.at[b->depth - 1] = XML_NONE;
    if (!b->rc && b->caps->skip && b->caps->skip(b->doc, index)) {
        b->skipping = index;
        b->skip_depth = 0;
        b->skip_from = SIZE_MAX;
    }
}

static void keep_skipped(struct xml_build *b)
{
    struct xml_node *n = &b->doc->nodes.at[b->skipping];
    if (b->skip_from != SIZE_MAX && b->at <= b->xml.n && b->skip_from < b->at) {
        n->text = arena_str(b->doc->arena, str_sub(b->xml, b->skip_from, b->at - b->skip_from));
        if (!n->text.p)
            build_fail(b, ERR_NOMEM);
    }
    b->skipping = XML_NONE;
}

void build_close(struct xml_build *b)
{
    if (b->skipping != XML_NONE) {
        if (b->skip_depth > 0) {
            b->skip_depth--;
            return;
        }
        keep_skipped(b);
    }
    flush_text(b);
    if (b->rc)
        return;
    b->open = b->doc->nodes.at[b->open].parent;
    b->depth--;
}

/* As long as pieces stand one behind the other in the input just so, nothing is copied. */
void build_text(struct xml_build *b, struct str piece, bool as_written)
{
    if (b->skipping != XML_NONE)
        return;
    if (as_written && b->text.n == 0 && (b->text_to == b->text_from || b->text_to == b->at)) {
        if (b->text_to == b->text_from)
            b->text_from = b->at;
        b->text_to = b->at + piece.n;
        return;
    }
    if (b->text_to > b->text_from)
        buf_put_str(&b->text, str_sub(b->xml, b->text_from, b->text_to - b->text_from));
    b->text_from = b->text_to = 0;
    buf_put_str(&b->text, piece);
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

static bool reserve(struct xml_build *b, uint32_t expected)
{
    return vec_reserve(b->doc->arena, &b->doc->nodes, expected) &&
           vec_reserve(b->doc->arena, &b->doc->attrs, expected / 2);
}

/* --- expat --- */

/* Where the parser stands; false when nothing more is taken. */
static bool take(struct reading *r)
{
    XML_Index index = XML_GetCurrentByteIndex(r->parser);
    r->b.at = index < 0 ? r->b.xml.n : (size_t)index;
    return r->b.rc == ERR_OK;
}

static void stop_if_failed(struct reading *r)
{
    if (r->b.rc)
        XML_StopParser(r->parser, XML_FALSE);
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
    uint32_t id = build_name(&r->b, s);
    if (r->b.rc)
        return 0;
    r->recent[slot].name = r->b.doc->spelled.at[id];
    r->recent[slot].id = id;
    return id;
}

static void XMLCALL on_start(void *self, const char *name, const char **attrs)
{
    struct reading *r = self;
    struct xml_build *b = &r->b;
    if (take(r) && build_open(b)) {
        b->doc->nodes.at[b->doc->nodes.count - 1].name = intern(r, name);
        for (uint32_t i = 0; attrs[i] && !b->rc; i += 2) {
            uint32_t id = intern(r, attrs[i]);
            build_attribute(b, id, str_of(attrs[i + 1]));
        }
        if (!b->rc)
            build_enter(b);
    }
    stop_if_failed(r);
}

static void XMLCALL on_end(void *self, const char *name)
{
    struct reading *r = self;
    (void)name;
    if (take(r))
        build_close(&r->b);
    stop_if_failed(r);
}

static void XMLCALL on_text(void *self, const char *p, int n)
{
    struct reading *r = self;
    struct str piece = {p, (size_t)n}, xml = r->b.xml;
    if (!take(r))
        return;
    bool as_written = r->b.at <= xml.n && piece.n <= xml.n - r->b.at &&
                      memcmp(xml.p + r->b.at, p, piece.n) == 0;
    build_text(&r->b, piece, as_written);
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
        r->b.d, ERR_SYNTAX, build_line(&r->b), build_column(&r->b),
        "The document declares the entity \"%.60s\". Entities are not expanded here: write the text itself.",
        name);
    build_fail(&r->b, ERR_SYNTAX);
    stop_if_failed(r);
}

static void XMLCALL on_namespace(void *self, const char *prefix, const char *uri)
{
    struct reading *r = self;
    build_namespace(&r->b, prefix ? str_of(prefix) : STR(""), uri ? str_of(uri) : STR(""));
    stop_if_failed(r);
}

static void XMLCALL on_declaration(void *self, const char *version, const char *encoding, int standalone)
{
    struct reading *r = self;
    (void)version;
    (void)standalone;
    if (encoding)
        r->b.doc->encoding = arena_str(r->b.doc->arena, str_of(encoding));
}

static enum err parse_all(struct reading *r)
{
    struct xml_build *b = &r->b;
    size_t at = 0;
    while (at < b->xml.n && !b->rc) {
        size_t n = b->xml.n - at < CHUNK ? b->xml.n - at : CHUNK;
        bool final = at + n == b->xml.n;
        if (XML_Parse(r->parser, b->xml.p + at, (int)n, final) == XML_STATUS_ERROR)
            break;
        at += n;
    }
    if (b->rc)
        return b->rc;
    enum XML_Error e = XML_GetErrorCode(r->parser);
    if (e == XML_ERROR_NO_MEMORY)
        return ERR_NOMEM;
    (void)take(r);
    if (e != XML_ERROR_NONE)
        return diag_set_at(b->d, ERR_SYNTAX, build_line(b), build_column(b),
                           "This is not well-formed XML: %s.", XML_ErrorString(e));
    if (b->doc->nodes.count == 0)
        return diag_set(b->d, ERR_SYNTAX, "The document is empty.");
    return ERR_OK;
}

static enum err read_by_expat(struct reading *r)
{
    r->parser = XML_ParserCreateNS(NULL, XML_SEPARATOR);
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
    struct reading r = {0};
    struct diag unused = {0};
    struct arena_mark mark = arena_mark(a);
    if (xml.n == 0) {
        *doc = (struct xml_doc){.arena = a, .encoding = STR("")};
        return diag_set(d, ERR_SYNTAX, "The document is empty.");
    }
    uint32_t expected = expected_nodes(xml, caps->nodes_max);
    build_begin(&r.b, a, xml, caps, doc, &unused);
    bool plain = !caps->expat && reserve(&r.b, expected) && xml_scan(&r.b);
    build_end(&r.b);
    if (plain)
        return ERR_OK;
    arena_release(a, mark);
    build_begin(&r.b, a, xml, caps, doc, d);
    enum err rc = reserve(&r.b, expected) ? read_by_expat(&r) : ERR_NOMEM;
    build_end(&r.b);
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
