/* A form: compiled once, then immutable. The XForm XML (and from issue C on the XLSForm) becomes arrays with
 * 32-bit indices: schema nodes, binds, controls, compiled expressions, dependency edges in topological order,
 * translations, choice lists. Everything wrong with it is found here, in one pass, with line, column and a
 * suggestion.
 *
 * Source: ODK XForms specification 1.0 and the inventory in docs/FORMS.md.
 */
#ifndef DOORSTEP_FORMS_FORM_H
#define DOORSTEP_FORMS_FORM_H

#include "forms/value.h"

struct form;

/* Our own bind attributes live in this namespace; other engines ignore them. */
#define FORM_NS_DOORSTEP "urn:doorstep:xforms:1"

enum finding_severity { FINDING_ERROR, FINDING_WARNING };
/* One thing an author should know; `text` says what is wrong and what would be right. */
struct form_finding {
    enum finding_severity severity;
    uint32_t line, column; /* in the XML; 0 = unknown */
    struct str node;       /* path of the node or control, "" = the whole form */
    struct str text;
};
struct form_findings {
    VEC(struct form_finding) list; /* at most 200, then one more that says so */
    uint32_t error_count;
};

/* Reads an XForm. The form lives in `a` and keeps no pointer into `xml`. Returns ERR_SYNTAX when there is at
 * least one error (all of them are in `findings`, the first in `d`), ERR_LIMIT beyond limits.h (bytes, nodes,
 * depth, languages). XML entities that the document declares are never expanded: refused. */
enum err form_load(struct arena *a, struct str xml, const struct form **form_out,
                   struct form_findings *findings, struct diag *d) MUST_USE;

struct str form_id(const struct form *f);
struct str form_version(const struct form *f); /* "" when it has none */
struct str form_title(const struct form *f);
uint32_t form_language_count(const struct form *f);
struct str form_language(const struct form *f, uint32_t i);
uint32_t form_language_default(const struct form *f);

enum field_type {
    FIELD_STRING,
    FIELD_INT,
    FIELD_DECIMAL,
    FIELD_BOOLEAN,
    FIELD_DATE,
    FIELD_TIME,
    FIELD_DATETIME,
    FIELD_GEOPOINT,
    FIELD_GEOTRACE,
    FIELD_GEOSHAPE,
    FIELD_BINARY,
    FIELD_BARCODE,
    FIELD_SELECT_ONE,
    FIELD_SELECT_MANY,
    FIELD_RANK
};

/* A field is a leaf of the primary instance (element or attribute), a container is a group or repeat.
 * Numbered in document order; the number is stable for one form version and names the field everywhere
 * outside this folder. */
struct form_field {
    uint32_t number;
    struct str path; /* "/monitor/member/age", no positions */
    enum field_type type;
    uint32_t repeat; /* number of the innermost repeat around it, FORM_NO_REPEAT = none */
    bool attribute;
    bool fresh;       /* bind ds:fresh="true()" (FORM_NS_DOORSTEP), or a preload: asked anew at every visit */
    bool calculated;  /* has calculate or preload and no control */
    struct str label; /* in the default language, outputs left out; "" when it has none */
};
struct form_repeat {
    uint32_t number;
    struct str path;
    uint32_t parent; /* repeat around it, or FORM_NO_REPEAT */
};
#define FORM_NO_REPEAT UINT32_MAX
uint32_t form_field_count(const struct form *f);
const struct form_field *form_field(const struct form *f, uint32_t number);
const struct form_field *form_field_by_path(const struct form *f, struct str path); /* NULL when absent */
/* A bind's attribute that the engine itself has no use for, such as orx:max-pixels; p NULL when absent. `uri`
 * is its namespace, "" = none. */
struct str form_field_extra(const struct form *f, uint32_t number, const char *uri, const char *local);
/* What happens when values of a field meet whose authors had not seen each other's: bind ds:policy. What is
 * asked anew at every visit, and what only follows from other answers, belongs to the visit unless the form
 * says otherwise. Numbers as in sync/change.h. False: the form names a policy that there is not. */
enum form_policy { FORM_KEEP, FORM_REVIEW, FORM_UNION, FORM_IMMUTABLE, FORM_VISIT };
#define FORM_POLICIES 5
bool form_field_policy(const struct form *f, uint32_t number, enum form_policy *out);
/* One per field; NULL without memory. */
unsigned char *form_policies(struct arena *a, const struct form *f);
uint32_t form_repeat_count(const struct form *f);
const struct form_repeat *form_repeat(const struct form *f, uint32_t number);

/* What an author or manager wants to know. */
struct form_summary {
    uint32_t questions, groups, repeats, calculations, constraints, languages, lists, choices;
};
struct form_summary form_summary(const struct form *f);

/* External lists the form wants, as written ("jr://file-csv/villages.csv"). */
uint32_t form_resource_count(const struct form *f);
struct str form_resource(const struct form *f, uint32_t i);

/* A list as a tree of root/item rows: from CSV bytes (comma, or semicolon when the header has one; BOM
 * skipped; short rows are padded) or from external XML. The list lives in `a`. Equality look-ups build an
 * index on first use. */
enum err list_from_csv(struct arena *a, struct str csv, uint32_t index, const struct tree **tree_out,
                       struct diag *d);
/* The same from a GeoJSON FeatureCollection: items with geometry ("lat lon 0 0; ..."), id and properties. */
enum err list_from_geojson(struct arena *a, struct str text, uint32_t index, const struct tree **tree_out,
                           struct diag *d);

#endif
