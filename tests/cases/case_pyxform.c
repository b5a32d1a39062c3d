/* XLSForm cases: a workbook in Markdown is converted, and what the case expects of the XForm, the mistakes
 * and the warnings is looked for. XPath expectations are evaluated by libxml2, which is in no program of
 * ours. How texts of mistakes are judged is written in docs/XLSFORM.md: a refusal passes when it names a
 * cell, name or value that the expected sentence names.
 */
#include "tests/cases/cases.h"

#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <stdio.h>
#include <string.h>

#include "forms/limits.h"
#include "forms/xlsform.h"

struct outcome_of {
    struct arena *a;
    struct report *report;
    bool refused, decided; /* decided: docs/forms-decisions.tsv says why it differs */
    struct str xml, squeezed, sorted;
    const struct form_findings *findings;
    xmlDocPtr doc;
    xmlXPathContextPtr xpath;
    char why[600];
};

static void register_namespaces(xmlXPathContextPtr x)
{
    static const char *const known[][2] = {{"x", "http://www.w3.org/2002/xforms"},
                                           {"h", "http://www.w3.org/1999/xhtml"},
                                           {"ev", "http://www.w3.org/2001/xml-events"},
                                           {"xsd", "http://www.w3.org/2001/XMLSchema"},
                                           {"jr", "http://openrosa.org/javarosa"},
                                           {"orx", "http://openrosa.org/xforms"},
                                           {"odk", "http://www.opendatakit.org/xforms"},
                                           {"entities", "http://www.opendatakit.org/xforms/entities"},
                                           {"ex", "http://example.com/xforms"}};
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        xmlXPathRegisterNs(x, (const xmlChar *)known[i][0], (const xmlChar *)known[i][1]);
}

/* Text without white space between and around, as the expectations are laid out for people. */
static struct str squeezed(struct arena *a, struct str s)
{
    char *out = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < s.n; i++)
        if (!memchr(" \t\r\n", s.p[i], 4))
            out[n++] = s.p[i];
    return (struct str){out, out ? n : 0};
}

/* Attributes in canonical order, in which many expectations were written down: plain ones by name, then those
 * with a namespace by its address and their name. */
static int attribute_order(const xmlAttr *a, const xmlAttr *b)
{
    int by_space = xmlStrcmp(a->ns ? a->ns->href : (const xmlChar *)"",
                             b->ns ? b->ns->href : (const xmlChar *)"");
    return by_space ? by_space : xmlStrcmp(a->name, b->name);
}

static void sort_attributes(xmlNodePtr n)
{
    bool swapped = n->type == XML_ELEMENT_NODE;
    while (swapped) {
        swapped = false;
        for (xmlAttrPtr a = n->properties; a && a->next; a = a->next) {
            xmlAttrPtr b = a->next;
            if (attribute_order(a, b) <= 0)
                continue;
            a->next = b->next;
            if (b->next)
                b->next->prev = a;
            b->prev = a->prev;
            *(a->prev ? &a->prev->next : &n->properties) = b;
            b->next = a;
            a->prev = b;
            swapped = true;
            a = b;
        }
    }
    for (xmlNodePtr c = n->children; c; c = c->next)
        sort_attributes(c);
}

static void sort_document(struct outcome_of *o)
{
    xmlChar *text = NULL;
    int size = 0;
    xmlDocPtr copy = xmlCopyDoc(o->doc, 1);
    sort_attributes(xmlDocGetRootElement(copy));
    xmlDocDumpMemoryEnc(copy, &text, &size, "UTF-8");
    o->sorted = squeezed(o->a, (struct str){(const char *)text, (size_t)size});
    o->squeezed = squeezed(o->a, o->xml);
    xmlFree(text);
    xmlFreeDoc(copy);
}

static bool contains(struct outcome_of *o, struct str text)
{
    struct str want = squeezed(o->a, text);
    return str_find(o->squeezed, want) >= 0 || str_find(o->sorted, want) >= 0;
}

static void blame(struct outcome_of *o, const char *what, struct str text)
{
    if (!o->why[0])
        snprintf(o->why, sizeof(o->why), "%s: %.*s", what, (int)(text.n < 500 ? text.n : 500), text.p);
}

/* A difference that is a decision. The subject says where it is: "same\nXPATH", or "unsaid\nSENTENCE" for
 * what the reference leaves unsaid. */
static bool decision(struct outcome_of *o, const char *what, struct str where, struct str got,
                     struct str expected)
{
    struct buf subject;
    buf_init(&subject, FORM_BYTES_MAX);
    buf_printf(&subject, "%s\n%.*s", what, STR_ARG(where));
    bool known = decided(o->report, o->a, "pyxform", buf_str(&subject), got, expected);
    buf_free(&subject);
    o->decided |= known;
    return known;
}

static int count_nodes(struct outcome_of *o, struct str expression)
{
    int count = -1;
    xmlXPathObjectPtr r = xmlXPathEvalExpression((const xmlChar *)arena_z(o->a, str_trim(expression)),
                                                 o->xpath);
    if (r && r->type == XPATH_NODESET)
        count = r->nodesetval ? r->nodesetval->nodeNr : 0;
    xmlXPathFreeObject(r);
    return count;
}

static bool same_element(struct arena *a, struct str have, struct str want)
{
    return str_eq(squeezed(a, have), squeezed(a, want));
}

/* Serialised elements, in any order, namespaces left out as the expectation leaves them out. */
static void check_exact(struct outcome_of *o, const struct json *pair)
{
    const struct json *wanted = json_at(pair, 1);
    struct str expression = json_at(pair, 0) ? json_at(pair, 0)->text : STR("");
    xmlXPathObjectPtr r = xmlXPathEvalExpression((const xmlChar *)arena_z(o->a, str_trim(expression)),
                                                 o->xpath);
    int have = r && r->type == XPATH_NODESET && r->nodesetval ? r->nodesetval->nodeNr : 0;
    if (!wanted || have != (int)wanted->count)
        blame(o, "number of nodes", expression);
    for (const struct json *w = wanted ? wanted->child : NULL; w; w = w->next) {
        bool found = false;
        struct str got = STR("");
        for (int i = 0; i < have && !found; i++) {
            xmlBufferPtr b = xmlBufferCreate();
            xmlNodePtr n = r->nodesetval->nodeTab[i];
            xmlChar *content = n->type == XML_ATTRIBUTE_NODE || n->type == XML_TEXT_NODE
                                   ? xmlNodeGetContent(n)
                                   : NULL;
            if (!content)
                xmlNodeDump(b, o->doc, n, 0, 0);
            const char *text = content ? (const char *)content : (const char *)xmlBufferContent(b);
            got = arena_str(o->a, str_of(text));
            found = same_element(o->a, got, w->text);
            xmlFree(content);
            xmlBufferFree(b);
        }
        if (!found && !decision(o, "same", expression, got, w->text))
            blame(o, "not the same as", w->text);
    }
    xmlXPathFreeObject(r);
}

static void check_xml(struct outcome_of *o, const struct json *e)
{
    static const char *const has[] = {"xml__contains", "model__contains", "instance__contains",
                                      "itext__contains"};
    static const char *const lacks[] = {"xml__excludes", "model__excludes", "itext__excludes"};
    const struct json *list, *i;
    for (size_t k = 0; k < sizeof(has) / sizeof(*has); k++)
        for (list = json_get(e, has[k]), i = list ? list->child : NULL; i; i = i->next)
            if (!contains(o, i->text))
                blame(o, "lacks", i->text);
    for (size_t k = 0; k < sizeof(lacks) / sizeof(*lacks); k++)
        for (list = json_get(e, lacks[k]), i = list ? list->child : NULL; i; i = i->next)
            if (contains(o, i->text))
                blame(o, "has", i->text);
    for (list = json_get(e, "xml__xpath_match"), i = list ? list->child : NULL; i; i = i->next)
        if (count_nodes(o, i->text) != 1)
            blame(o, "no single match", str_trim(i->text));
    for (list = json_get(e, "xml__xpath_count"), i = list ? list->child : NULL; i; i = i->next) {
        int64_t n = -1;
        const struct json *number = json_at(i, 1);
        if (!number || !str_to_i64(number->text, &n) || count_nodes(o, json_at(i, 0)->text) != n)
            blame(o, "other count", json_at(i, 0)->text);
    }
    for (list = json_get(e, "xml__xpath_exact"), i = list ? list->child : NULL; i; i = i->next)
        check_exact(o, i);
}

/* --- sentences --- */

/* "[row : 7] On the 'survey' sheet" → 7 */
static int64_t row_named(struct str s)
{
    ptrdiff_t at = str_find(s, STR("[row : "));
    int64_t row = 0;
    if (at < 0)
        return 0;
    struct str rest = str_sub(s, (size_t)at + 7, s.n);
    size_t n = 0;
    while (n < rest.n && rest.p[n] >= '0' && rest.p[n] <= '9')
        n++;
    return str_to_i64(str_sub(rest, 0, n), &row) ? row : 0;
}

static bool finding_at_row(struct str text, int64_t row)
{
    ptrdiff_t bang = str_find(text, STR("!"));
    size_t i = bang < 0 ? text.n : (size_t)bang + 1;
    int64_t have = 0;
    while (i < text.n && text.p[i] >= 'A' && text.p[i] <= 'Z')
        i++;
    for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++)
        have = have * 10 + (text.p[i] - '0');
    return bang >= 0 && have == row;
}

/* Words that stand quoted in nearly every sentence and name nothing. */
static bool general(struct str word)
{
    static const char *const words[] = {"survey",  "choices", "settings",   "entities",
                                        "name",    "label",   "type",       "trigger",
                                        "default", "save_to", "parameters", "list_name"};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (str_eq_z(word, words[i]))
            return true;
    return false;
}

/* A name that is quoted in the expected sentence stands in ours. */
static bool shares_name(struct str want, struct str have)
{
    for (ptrdiff_t at; (at = str_find(want, STR("'"))) >= 0;) {
        struct str rest = str_sub(want, (size_t)at + 1, want.n);
        ptrdiff_t end = str_find(rest, STR("'"));
        if (end < 0)
            return false;
        struct str name = str_sub(rest, 0, (size_t)end);
        if (name.n > 0 && !general(name) && str_find(have, name) >= 0)
            return true;
        want = str_sub(rest, (size_t)end + 1, rest.n);
    }
    return false;
}

/* Most of the words of more than three letters are ours, too. */
static bool shares_words(struct str want, struct str have)
{
    struct str word;
    size_t all = 0, found = 0;
    while (str_word(&want, &word)) {
        while (word.n && memchr("'.,:;()[]\"", word.p[word.n - 1], 10))
            word.n--;
        while (word.n && memchr("'([\"", word.p[0], 4))
            word = str_sub(word, 1, word.n);
        if (word.n < 4)
            continue;
        all++;
        found += str_find(have, word) >= 0;
    }
    return all > 0 && found * 3 >= all * 2;
}

/* Without a row, naming the sheet is naming the place. */
static bool shares_sheet(struct str want, struct str have)
{
    for (size_t n = 0; n < have.n && have.p[n] != ' '; n++)
        if (have.p[n] == '!' || have.p[n] == ':') {
            ptrdiff_t at = str_find(want, str_sub(have, 0, n));
            return at > 0 && want.p[at - 1] == '\'' && str_find(want, STR("sheet")) >= 0;
        }
    return false;
}

static bool says(const struct outcome_of *o, struct str want, enum finding_severity severity, bool loose)
{
    int64_t row = row_named(want);
    for (uint32_t i = 0; i < o->findings->list.count; i++) {
        const struct form_finding *f = &o->findings->list.at[i];
        if (f->severity != severity)
            continue;
        if (str_find(f->text, want) >= 0)
            return true;
        if (loose && ((row && finding_at_row(f->text, row)) || shares_name(want, f->text) ||
                      shares_words(want, f->text) || (!row && shares_sheet(want, f->text))))
            return true;
    }
    return false;
}

/* The reference stops at the first mistake and so leaves others unsaid. */
static bool one_of_several(struct outcome_of *o, struct str sentence)
{
    char count[24];
    int n = snprintf(count, sizeof(count), "%u", o->findings->error_count);
    return decision(o, "unsaid", sentence, (struct str){count, (size_t)n}, sentence);
}

static void check_sentences(struct outcome_of *o, const struct json *e)
{
    const struct json *list, *i;
    for (list = json_get(e, "error__contains"), i = list ? list->child : NULL; i; i = i->next)
        if (!says(o, str_trim(i->text), FINDING_ERROR, true))
            blame(o, "does not say", i->text);
    for (list = json_get(e, "error__not_contains"), i = list ? list->child : NULL; i; i = i->next)
        if (says(o, str_trim(i->text), FINDING_ERROR, false) && !one_of_several(o, i->text))
            blame(o, "says", i->text);
    for (list = json_get(e, "warnings__contains"), i = list ? list->child : NULL; i; i = i->next)
        if (!says(o, str_trim(i->text), FINDING_WARNING, true))
            blame(o, "does not warn", i->text);
    for (list = json_get(e, "warnings__not_contains"), i = list ? list->child : NULL; i; i = i->next)
        if (says(o, str_trim(i->text), FINDING_WARNING, false) && !one_of_several(o, i->text))
            blame(o, "warns", i->text);
}

static uint32_t warnings(const struct form_findings *f)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->list.count; i++)
        n += f->list.at[i].severity == FINDING_WARNING;
    return n;
}

static bool nothing_asserted(const struct json *e)
{
    uint32_t n = 0;
    for (const struct json *i = e ? e->child : NULL; i; i = i->next)
        n += !str_eq_z(i->name, "odk_validate_error__contains") &&
             !(str_eq_z(i->name, "errored") && json_get(e, "odk_validate_error__contains")) &&
             !(i->type == JSON_ARRAY && i->count == 0);
    return n == 0;
}

static void check(struct outcome_of *o, const struct json *e)
{
    bool refusal = json_bool(e, "errored");
    const struct json *count = json_get(e, "warnings_count");
    int64_t n;
    if (refusal != o->refused) {
        blame(o, o->refused ? "refused" : "accepted",
              o->findings->list.count ? o->findings->list.at[0].text : STR(""));
        for (uint32_t i = 0; i < o->findings->list.count && o->refused; i++)
            if (o->findings->list.at[i].severity == FINDING_ERROR) {
                o->why[0] = '\0';
                blame(o, "refused", o->findings->list.at[i].text);
                break;
            }
        return;
    }
    check_sentences(o, e);
    if (count && str_to_i64(count->text, &n) && n != warnings(o->findings))
        blame(o, "number of warnings", count->text);
    if (o->refused)
        return;
    o->doc = xmlReadMemory(o->xml.p, (int)o->xml.n, "form.xml", NULL, XML_PARSE_NONET | XML_PARSE_NOERROR);
    o->xpath = o->doc ? xmlXPathNewContext(o->doc) : NULL;
    if (!o->xpath) {
        blame(o, "no XML", STR(""));
        return;
    }
    register_namespaces(o->xpath);
    sort_document(o);
    check_xml(o, e);
}

void case_pyxform(struct report *r, struct arena *a, const struct json *c)
{
    struct str id = json_text(c, "id"), md = json_text(c, "md");
    const struct json *e = json_get(c, "expect");
    struct form_findings findings = {0};
    struct diag d = {0};
    struct buf xml;
    if (!str_eq_z(json_text(c, "input_kind"), "md")) {
        report_skip(r, "no spreadsheet input");
        return;
    }
    if (nothing_asserted(e)) {
        report_skip(r, "nothing asserted");
        return;
    }
    struct xlsform_options options = {.form_name = json_text(c, "form_name"),
                                      .form_id = STR("data"),
                                      .unchecked = true};
    buf_init(&xml, FORM_BYTES_MAX);
    enum err rc = xlsform_convert(a, STR("case.md"), md, &options, &xml, NULL, NULL, &findings, &d);
    struct outcome_of o = {
        .a = a, .report = r, .refused = rc != ERR_OK, .xml = buf_str(&xml), .findings = &findings};
    check(&o, e);
    if (o.refused && o.why[0] && !findings.error_count)
        snprintf(o.why, sizeof(o.why), "%s", d.text);
    report_case(r, o.why[0] ? CASE_FAILED : o.decided ? CASE_DECIDED : CASE_PASSED, id, o.why);
    xmlXPathFreeContext(o.xpath);
    xmlFreeDoc(o.doc);
    buf_free(&xml);
}
