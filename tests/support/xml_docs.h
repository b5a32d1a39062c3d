/* Two readings of one document: by expat, and by the quick reader where it can. They must be the same down to
 * the column of an element and the sentence of a refusal. */
#ifndef TESTS_SUPPORT_XML_DOCS_H
#define TESTS_SUPPORT_XML_DOCS_H

#include <string.h>

#include "forms/xml_doc.h"

static inline bool names_agree(struct node_name a, struct node_name b)
{
    bool text = !a.local.p && !b.local.p;
    return text || (a.local.p && b.local.p && str_eq(a.uri, b.uri) && str_eq(a.local, b.local) &&
                    str_eq(a.prefix, b.prefix));
}

static inline bool nodes_agree(const struct xml_doc *a, const struct xml_doc *b, uint32_t n)
{
    const struct xml_node *x = &a->nodes.at[n], *y = &b->nodes.at[n];
    return names_agree(xml_name(a, n), xml_name(b, n)) && x->parent == y->parent &&
           x->first_child == y->first_child && x->next == y->next && x->attr_first == y->attr_first &&
           x->attr_count == y->attr_count && x->line == y->line && x->column == y->column &&
           str_eq(x->text, y->text);
}

static inline bool documents_agree(const struct xml_doc *a, const struct xml_doc *b)
{
    bool same = a->nodes.count == b->nodes.count && a->attrs.count == b->attrs.count &&
                a->uris.count == b->uris.count && str_eq(a->encoding, b->encoding);
    for (uint32_t i = 0; same && i < a->nodes.count; i++)
        same = nodes_agree(a, b, i);
    for (uint32_t i = 0; same && i < a->attrs.count; i++)
        same = str_eq(a->attrs.at[i].value, b->attrs.at[i].value) &&
               names_agree(a->names.at[a->attrs.at[i].name], b->names.at[b->attrs.at[i].name]);
    for (uint32_t i = 0; same && i < a->uris.count; i++)
        same = str_eq(a->uris.at[i], b->uris.at[i]);
    return same;
}

/* Instances besides the first are kept as they are written. */
static inline bool skips_items(const struct xml_doc *doc, uint32_t element)
{
    return xml_is(doc, element, NULL, "list");
}

static inline bool readings_agree(struct str xml)
{
    struct arena a, b;
    struct xml_doc quick, plain;
    struct diag d = {0}, e = {0};
    struct xml_caps caps = {.depth_max = 20, .nodes_max = 20000, .skip = skips_items};
    arena_init(&a, 64u << 20);
    arena_init(&b, 64u << 20);
    enum err rc = xml_doc_read(&a, xml, &caps, &quick, &d);
    caps.expat = true;
    bool same = xml_doc_read(&b, xml, &caps, &plain, &e) == rc && d.line == e.line && d.column == e.column &&
                strcmp(d.text, e.text) == 0 && (rc || documents_agree(&quick, &plain));
    arena_free(&a);
    arena_free(&b);
    return same;
}

#endif
