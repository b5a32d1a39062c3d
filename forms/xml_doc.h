/* The XML of a form or submission while it is being read: one flat array of elements and texts in document
 * order, with interned names and the line and column of each element. It lives in a scratch arena and is gone
 * when the model stands; nothing at run time sees it. Entity declarations are refused, depth and node count
 * are capped.
 */
#ifndef DOORSTEP_FORMS_XML_DOC_H
#define DOORSTEP_FORMS_XML_DOC_H

#include "forms/value.h"
#include "platform/base/map.h"

#define XML_NONE UINT32_MAX

#define NS_XFORMS "http://www.w3.org/2002/xforms"
#define NS_XHTML "http://www.w3.org/1999/xhtml"
#define NS_JAVAROSA "http://openrosa.org/javarosa"
#define NS_OPENROSA "http://openrosa.org/xforms"
#define NS_ODK "http://www.opendatakit.org/xforms"
#define NS_ENTITIES "http://www.opendatakit.org/xforms/entities"

struct xml_attr {
    uint32_t name; /* in names */
    struct str value;
};

/* An element, or a text (name is XML_NONE). White space between elements is left out when it begins with a
 * line end. */
struct xml_node {
    uint32_t name;
    uint32_t parent, first_child, next;
    uint32_t attr_first, attr_count;
    uint32_t line, column; /* of an element */
    uint32_t mark;         /* the reader's own note, 0 at first */
    struct str text;       /* TEXT; for an element left unread (see skip): its content as written */
};

struct xml_doc {
    struct arena *arena;
    VEC(struct xml_node) nodes; /* nodes.at[0] is the root element */
    VEC(struct xml_attr) attrs;
    VEC(struct node_name) names;
    struct map name_ids; /* uri, local and prefix in one to the index in names */
    struct map prefixes; /* declared prefix to index in uris; the last declaration counts */
    VEC(struct str) uris;
    struct str encoding; /* as declared, "" = none */
};

struct xml_caps {
    uint32_t depth_max;
    uint32_t nodes_max;
    /* Elements whose content is kept as written in `text` instead of being read: NULL = none. */
    bool (*skip)(const struct xml_doc *doc, uint32_t element);
};

/* Texts live in `xml` or in the arena of `doc`, which xml_doc_read sets up. ERR_SYNTAX with line and column.
 */
enum err xml_doc_read(struct arena *a, struct str xml, const struct xml_caps *caps, struct xml_doc *doc,
                      struct diag *d);

static inline const struct xml_node *xml_at(const struct xml_doc *doc, uint32_t n)
{
    return &doc->nodes.at[n];
}
static inline struct node_name xml_name(const struct xml_doc *doc, uint32_t n)
{
    uint32_t name = doc->nodes.at[n].name;
    return name == XML_NONE ? (struct node_name){STR_NONE, STR_NONE, STR_NONE} : doc->names.at[name];
}
/* Is it an element of this namespace and local name? NULL = any. */
bool xml_is(const struct xml_doc *doc, uint32_t n, const char *uri, const char *local);
/* Next element at or after `n` among its siblings, XML_NONE at the end. */
uint32_t xml_element(const struct xml_doc *doc, uint32_t n);
uint32_t xml_find_child(const struct xml_doc *doc, uint32_t parent, const char *uri, const char *local);
/* Value of an attribute; uri "" = no namespace. p is NULL when absent. */
struct str xml_attr(const struct xml_doc *doc, uint32_t n, const char *uri, const char *local);
/* All text directly inside, joined in `a`. */
struct str xml_text(const struct xml_doc *doc, uint32_t n, struct arena *a);
bool xml_has_elements(const struct xml_doc *doc, uint32_t n);

#endif
