/* A document in the making, fed by whoever reads the XML: expat (xml_doc.c), or the quick reader of plain
 * documents (xml_scan.c). Both give the same events in the same order, each with its place in the input.
 */
#ifndef DOORSTEP_FORMS_XML_BUILD_H
#define DOORSTEP_FORMS_XML_BUILD_H

#include "forms/xml_doc.h"

#define XML_SEPARATOR '\x1f' /* "uri|local|prefix": no XML can hold it */

struct xml_build {
    struct xml_doc *doc;
    const struct xml_caps *caps;
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

void build_begin(struct xml_build *b, struct arena *a, struct str xml, const struct xml_caps *caps,
                 struct xml_doc *doc, struct diag *d);
void build_end(struct xml_build *b);

void build_fail(struct xml_build *b, enum err rc);
uint32_t build_line(struct xml_build *b);
uint32_t build_column(struct xml_build *b);

/* The number of a name, "uri|local|prefix", "uri|local" or "local". */
uint32_t build_name(struct xml_build *b, struct str spelled);
void build_namespace(struct xml_build *b, struct str prefix, struct str uri);

/* An element begins: false inside one that is skipped. Then its name, its attributes, and build_enter. */
bool build_open(struct xml_build *b);
void build_attribute(struct xml_build *b, uint32_t name, struct str value);
void build_enter(struct xml_build *b);
void build_close(struct xml_build *b);
/* A piece of text; `as_written`: it is what stands at `at`. */
void build_text(struct xml_build *b, struct str piece, bool as_written);

/* Reads a document of the plain kind that forms are. False: it is of another kind, or wrong; expat will say,
 * and the document is to be begun anew. */
bool xml_scan(struct xml_build *b);

#endif
