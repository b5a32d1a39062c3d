/* Reads the XML that forms are made of, several times faster than a general parser: UTF-8, ASCII names, no
 * document type, no CDATA, no processing instructions, the five entities and character references. It takes
 * nothing that expat would refuse: wherever it is not sure it stops, and the document is read by expat from
 * the start. So it says nothing about errors, and every document ends as expat would have it; fuzz_xform
 * compares. No recursion: open elements are a list.
 */
#include "forms/xml_build.h"

#define ATTRIBUTES_MAX 64u
#define NAMES_RECENT 128u
#define SPELLED_MAX 1000u

enum {
    IS_START = 1, /* begins a name */
    IS_NAME = 2,
    IS_SPACE = 4,
    IS_TEXT = 8,  /* stands for itself between elements */
    IS_VALUE = 16 /* and in the value of an attribute */
};

struct binding {
    struct str prefix, uri;
};

struct open_tag {
    struct str name;
    uint32_t bindings, scope; /* to return to */
};

struct attribute {
    struct str name, prefix, local;
    struct str value;
    bool plain; /* the value is what is written */
};

struct scan {
    struct xml_build *b;
    const char *p, *end;
    unsigned char is[256];
    VEC(struct binding) bindings; /* in force, innermost last */
    VEC(struct open_tag) open;
    uint32_t scope, scopes; /* number of the bindings in force: names are remembered with it */
    struct attribute attributes[ATTRIBUTES_MAX];
    uint32_t attribute_count;
    struct buf value;
    struct {
        struct str name;
        uint32_t scope, id;
        bool attribute;
    } recent[NAMES_RECENT];
};

static void classify(struct scan *s)
{
    for (unsigned c = 0; c < 256; c++) {
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool digit = c >= '0' && c <= '9';
        bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        unsigned is = 0;
        if (letter)
            is |= IS_START;
        if (letter || digit || c == '-' || c == '.')
            is |= IS_NAME;
        if (space)
            is |= IS_SPACE;
        if ((c >= ' ' || c == '\t' || c == '\n') && c != '<' && c != '&' && c != ']')
            is |= IS_TEXT;
        if (c >= ' ' && c != '<' && c != '&' && c != '"' && c != '\'')
            is |= IS_VALUE;
        s->is[c] = (unsigned char)is;
    }
}

static bool is(const struct scan *s, const char *p, int what)
{
    return p < s->end && (s->is[(unsigned char)*p] & what);
}

static bool skip_spaces(struct scan *s)
{
    const char *from = s->p;
    while (is(s, s->p, IS_SPACE))
        s->p++;
    return s->p > from;
}

static bool take(struct scan *s, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, text, n) != 0)
        return false;
    s->p += n;
    return true;
}

/* UTF-8 without the two code points at its end that no XML may have. */
static bool is_clean(struct str xml)
{
    const char *p = xml.p, *end = xml.p + xml.n;
    while (p < end) {
        uint64_t eight;
        if (end - p >= 8 && (memcpy(&eight, p, 8), (eight & UINT64_C(0x8080808080808080)) == 0)) {
            p += 8;
            continue;
        }
        if (!(*p & 0x80)) {
            p++;
            continue;
        }
        const char *from = p;
        while (p < end && (*p & 0x80))
            p++;
        if (!utf8_valid((struct str){from, (size_t)(p - from)}))
            return false;
    }
    for (p = xml.p; (p = memchr(p, 0xEF, (size_t)(end - p))); p++)
        if (end - p >= 3 && (unsigned char)p[1] == 0xBF && (unsigned char)p[2] >= 0xBE)
            return false;
    return true;
}

/* --- references --- */

static bool char_allowed(uint32_t c)
{
    return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c < 0xD800) || (c >= 0xE000 && c < 0xFFFE) ||
           (c >= 0x10000 && c <= 0x10FFFF);
}

static bool number_reference(struct scan *s, uint32_t *code_out)
{
    bool hex = take(s, "x");
    uint32_t code = 0, digits = 0;
    for (; s->p < s->end && *s->p != ';'; s->p++, digits++) {
        char c = *s->p, low = (char)(c | 0x20);
        uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : UINT32_MAX;
        if (hex && low >= 'a' && low <= 'f')
            digit = (uint32_t)(low - 'a') + 10;
        if (digit == UINT32_MAX || digits > 8)
            return false;
        code = code * (hex ? 16 : 10) + digit;
    }
    *code_out = code;
    return digits > 0 && digits <= 8 && take(s, ";") && char_allowed(code);
}

/* Behind the "&". */
static bool reference(struct scan *s, struct buf *out)
{
    static const struct {
        const char *name;
        char c;
    } named[] = {{"amp;", '&'}, {"lt;", '<'}, {"gt;", '>'}, {"quot;", '"'}, {"apos;", '\''}};
    char bytes[4];
    uint32_t code;
    for (size_t i = 0; i < sizeof(named) / sizeof(*named); i++)
        if (take(s, named[i].name)) {
            buf_put_char(out, named[i].c);
            return true;
        }
    if (!take(s, "#") || !number_reference(s, &code))
        return false;
    buf_put(out, bytes, utf8_put(code, bytes));
    return true;
}

/* --- names --- */

static bool name_part(struct scan *s, struct str *out)
{
    const char *from = s->p;
    if (!is(s, from, IS_START))
        return false;
    while (is(s, s->p, IS_NAME))
        s->p++;
    *out = (struct str){from, (size_t)(s->p - from)};
    return true;
}

/* name, or prefix:name */
static bool qualified_name(struct scan *s, struct str *whole, struct str *prefix, struct str *local)
{
    const char *from = s->p;
    *prefix = STR("");
    if (!name_part(s, local))
        return false;
    if (s->p < s->end && *s->p == ':') {
        *prefix = *local;
        s->p++;
        if (!name_part(s, local))
            return false;
    }
    *whole = (struct str){from, (size_t)(s->p - from)};
    return s->p < s->end && *s->p != ':' && !(*s->p & 0x80);
}

static bool uri_of(const struct scan *s, struct str prefix, struct str *uri_out)
{
    for (uint32_t i = s->bindings.count; i-- > 0;)
        if (str_eq(s->bindings.at[i].prefix, prefix)) {
            *uri_out = s->bindings.at[i].uri;
            return true;
        }
    *uri_out = STR("");
    return prefix.n == 0;
}

static bool resolve(struct scan *s, struct str prefix, struct str local, bool attribute, uint32_t *id_out)
{
    char spelled[SPELLED_MAX];
    struct str uri = STR("");
    size_t n = 0;
    if ((prefix.n || !attribute) && !uri_of(s, prefix, &uri))
        return false;
    if (uri.n + local.n + prefix.n + 2 > sizeof(spelled))
        return false;
    if (uri.n) {
        memcpy(spelled, uri.p, uri.n);
        spelled[uri.n] = XML_SEPARATOR;
        n = uri.n + 1;
    }
    memcpy(spelled + n, local.p, local.n);
    n += local.n;
    if (prefix.n) {
        spelled[n] = XML_SEPARATOR;
        memcpy(spelled + n + 1, prefix.p, prefix.n);
        n += prefix.n + 1;
    }
    *id_out = build_name(s->b, (struct str){spelled, n});
    return s->b->rc == ERR_OK;
}

/* A form says the same few names over and over. */
static bool intern(struct scan *s, struct str whole, struct str prefix, struct str local, bool attribute,
                   uint32_t *id_out)
{
    uint32_t slot = (uint32_t)whole.n * 2 + attribute;
    for (size_t i = whole.n > 12 ? whole.n - 12 : 0; i < whole.n; i++)
        slot = slot * 31 + (unsigned char)whole.p[i];
    slot %= NAMES_RECENT;
    if (s->recent[slot].scope == s->scope && s->recent[slot].attribute == attribute &&
        str_eq(s->recent[slot].name, whole)) {
        *id_out = s->recent[slot].id;
        return true;
    }
    if (!resolve(s, prefix, local, attribute, id_out))
        return false;
    s->recent[slot].name = whole;
    s->recent[slot].scope = s->scope;
    s->recent[slot].attribute = attribute;
    s->recent[slot].id = *id_out;
    return true;
}

/* --- tags --- */

/* White space in a value becomes a space, unless it is written as a reference. */
static bool decode(struct scan *s, struct str written)
{
    const char *end = s->end, *p = s->p;
    bool good = true;
    buf_clear(&s->value);
    s->p = written.p;
    s->end = written.p + written.n;
    while (good && s->p < s->end) {
        char c = *s->p++;
        if (c == '&') {
            good = reference(s, &s->value);
        } else if (c == '\r') {
            s->p += s->p < s->end && *s->p == '\n';
            buf_put_char(&s->value, ' ');
        } else {
            buf_put_char(&s->value, c == '\n' || c == '\t' ? ' ' : c);
        }
    }
    s->p = p;
    s->end = end;
    return good && !s->value.failed;
}

static bool attribute_value(struct scan *s, struct attribute *a)
{
    if (s->p >= s->end || (*s->p != '"' && *s->p != '\''))
        return false;
    char quote = *s->p++;
    const char *from = s->p;
    a->plain = true;
    for (;;) {
        while (is(s, s->p, IS_VALUE))
            s->p++;
        if (s->p >= s->end || *s->p == '<')
            return false;
        if (*s->p == quote)
            break;
        if (*s->p != '"' && *s->p != '\'') {
            if (*s->p != '&' && !is(s, s->p, IS_SPACE))
                return false;
            a->plain = false;
        }
        s->p++;
    }
    a->value = (struct str){from, (size_t)(s->p - from)};
    s->p++;
    return true;
}

/* Two of one name, or such that they might be. */
static bool doubles(const struct scan *s, const struct attribute *a)
{
    for (uint32_t i = 0; i < s->attribute_count; i++) {
        const struct attribute *other = &s->attributes[i];
        if (str_eq(other->local, a->local) &&
            (str_eq(other->prefix, a->prefix) || (other->prefix.n && a->prefix.n)))
            return true;
    }
    return false;
}

/* Up to the end of the tag; *empty_out: "/>". */
static bool attributes(struct scan *s, bool *empty_out)
{
    s->attribute_count = 0;
    for (;;) {
        bool apart = skip_spaces(s);
        *empty_out = take(s, "/>");
        if (*empty_out || take(s, ">"))
            return true;
        struct attribute a;
        if (!apart || s->attribute_count == ATTRIBUTES_MAX ||
            !qualified_name(s, &a.name, &a.prefix, &a.local) || doubles(s, &a))
            return false;
        skip_spaces(s);
        if (!take(s, "="))
            return false;
        skip_spaces(s);
        if (!attribute_value(s, &a))
            return false;
        s->attributes[s->attribute_count++] = a;
    }
}

static bool declares(const struct attribute *a)
{
    return str_eq_z(a->prefix, "xmlns") || str_eq_z(a->name, "xmlns");
}

static bool reserved(struct str prefix)
{
    return str_starts(prefix, STR("xml"));
}

static bool bind(struct scan *s, const struct attribute *a)
{
    struct str prefix = a->prefix.n ? a->local : STR("");
    if (!a->plain || reserved(prefix) || (prefix.n && a->value.n == 0) ||
        str_starts(a->value, STR("http://www.w3.org/XML/1998/")) ||
        str_starts(a->value, STR("http://www.w3.org/2000/xmlns")))
        return false;
    struct binding *slot = vec_push(s->b->doc->arena, &s->bindings);
    if (!slot)
        return false;
    *slot = (struct binding){prefix, a->value};
    build_namespace(s->b, prefix, a->value);
    return s->b->rc == ERR_OK;
}

static bool bind_all(struct scan *s)
{
    bool any = false;
    for (uint32_t i = 0; i < s->attribute_count; i++) {
        const struct attribute *a = &s->attributes[i];
        if (declares(a)) {
            any = true;
            if (!bind(s, a))
                return false;
        } else if (reserved(a->prefix)) {
            return false;
        }
    }
    if (any)
        s->scope = ++s->scopes;
    return true;
}

static bool put_attributes(struct scan *s, bool kept)
{
    for (uint32_t i = 0; i < s->attribute_count; i++) {
        const struct attribute *a = &s->attributes[i];
        uint32_t id;
        if (declares(a))
            continue;
        if (!intern(s, a->name, a->prefix, a->local, true, &id) || (!a->plain && !decode(s, a->value)))
            return false;
        if (kept)
            build_attribute(s->b, id, a->plain ? a->value : buf_str(&s->value));
    }
    return s->b->rc == ERR_OK;
}

static bool close_tag(struct scan *s, size_t at)
{
    struct open_tag top = s->open.at[--s->open.count];
    s->b->at = at;
    build_close(s->b);
    s->bindings.count = top.bindings;
    s->scope = top.scope;
    return s->b->rc == ERR_OK;
}

/* Behind the "<". */
static bool start_tag(struct scan *s)
{
    struct str name, prefix, local;
    size_t at = (size_t)(s->p - 1 - s->b->xml.p);
    struct open_tag outside = {.bindings = s->bindings.count, .scope = s->scope};
    uint32_t id;
    bool empty;
    if (!qualified_name(s, &name, &prefix, &local) || reserved(prefix) || !attributes(s, &empty) ||
        !bind_all(s) || !intern(s, name, prefix, local, false, &id))
        return false;
    struct open_tag *slot = vec_push(s->b->doc->arena, &s->open);
    if (!slot)
        return false;
    *slot = outside;
    slot->name = name;
    s->b->at = at;
    bool kept = build_open(s->b);
    if (s->b->rc)
        return false;
    if (kept)
        s->b->doc->nodes.at[s->b->doc->nodes.count - 1].name = id;
    if (!put_attributes(s, kept))
        return false;
    if (kept)
        build_enter(s->b);
    return s->b->rc == ERR_OK && (!empty || close_tag(s, at));
}

/* Behind the "</". */
static bool end_tag(struct scan *s)
{
    size_t at = (size_t)(s->p - 2 - s->b->xml.p);
    const struct open_tag *top = &s->open.at[s->open.count - 1];
    if ((size_t)(s->end - s->p) < top->name.n || memcmp(s->p, top->name.p, top->name.n) != 0)
        return false;
    s->p += top->name.n;
    skip_spaces(s);
    return take(s, ">") && close_tag(s, at);
}

/* --- what stands between tags --- */

/* Behind the "<!--". */
static bool comment(struct scan *s)
{
    for (; s->p < s->end; s->p++) {
        if (*s->p == '-' && s->end - s->p > 1 && s->p[1] == '-') {
            s->p += 2;
            return take(s, ">");
        }
        if ((unsigned char)*s->p < ' ' && !is(s, s->p, IS_SPACE))
            return false;
    }
    return false;
}

static bool text(struct scan *s)
{
    struct xml_build *b = s->b;
    const char *from = s->p;
    while (is(s, s->p, IS_TEXT) || (s->p < s->end && *s->p == ']')) {
        if (*s->p == ']' && s->end - s->p > 2 && s->p[1] == ']' && s->p[2] == '>')
            return false;
        s->p++;
    }
    if (s->p > from) {
        b->at = (size_t)(from - b->xml.p);
        build_text(b, (struct str){from, (size_t)(s->p - from)}, true);
    }
    if (s->p >= s->end || *s->p == '<')
        return true;
    char c = *s->p++;
    buf_clear(&s->value);
    if (c == '\r') {
        if (s->p < s->end && *s->p == '\n')
            return true;
        buf_put_char(&s->value, '\n');
    } else if (c != '&' || !reference(s, &s->value)) {
        return false;
    }
    build_text(b, buf_str(&s->value), false);
    return !s->value.failed;
}

static bool outside_root(struct scan *s)
{
    for (;;) {
        skip_spaces(s);
        if (!take(s, "<!--"))
            return true;
        if (!comment(s))
            return false;
    }
}

static bool quoted(struct scan *s, struct str *out)
{
    if (s->p >= s->end || (*s->p != '"' && *s->p != '\''))
        return false;
    char quote = *s->p++;
    const char *from = s->p;
    while (is(s, s->p, IS_NAME))
        s->p++;
    *out = (struct str){from, (size_t)(s->p - from)};
    return s->p < s->end && *s->p++ == quote;
}

static bool declaration(struct scan *s)
{
    struct str version, encoding = STR("");
    if (!take(s, "<?xml "))
        return s->p >= s->end || *s->p == '<' || is(s, s->p, IS_SPACE);
    if (!take(s, "version=") || !quoted(s, &version) || !str_eq_z(version, "1.0"))
        return false;
    if (take(s, " encoding=") &&
        (!quoted(s, &encoding) || !(str_eq_z(encoding, "UTF-8") || str_eq_z(encoding, "utf-8"))))
        return false;
    skip_spaces(s);
    s->b->doc->encoding = arena_str(s->b->doc->arena, encoding);
    return take(s, "?>") && s->b->doc->encoding.p;
}

static bool content(struct scan *s)
{
    do {
        if (s->p >= s->end)
            return false;
        if (*s->p != '<') {
            if (!text(s))
                return false;
            continue;
        }
        s->p++;
        bool good = s->p < s->end && (*s->p == '/'   ? (s->p++, end_tag(s))
                                      : *s->p == '!' ? take(s, "!--") && comment(s)
                                                     : start_tag(s));
        if (!good)
            return false;
    } while (s->open.count > 0);
    return true;
}

bool xml_scan(struct xml_build *b)
{
    struct scan s = {.b = b, .p = b->xml.p, .end = b->xml.p + b->xml.n, .scope = 1, .scopes = 1};
    classify(&s);
    buf_init(&s.value, b->xml.n + 4);
    bool good = is_clean(b->xml) && declaration(&s) && outside_root(&s) && take(&s, "<") && start_tag(&s) &&
                (s.open.count == 0 || content(&s)) && outside_root(&s) && s.p == s.end && b->rc == ERR_OK;
    buf_free(&s.value);
    return good;
}
