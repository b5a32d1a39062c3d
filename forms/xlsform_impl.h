/* Between the files of the XLSForm converter: rows with named columns, the survey as a tree of nodes, and
 * what is known while it is built. Everything lives in the arena of one conversion and knows the cell it came
 * from. Mistakes are said once, where they are found, and do not stop the search for others; only memory and
 * caps do.
 */
#ifndef DOORSTEP_FORMS_XLSFORM_IMPL_H
#define DOORSTEP_FORMS_XLSFORM_IMPL_H

#include "forms/xlsform.h"
#include "forms/xlsform_sheet.h"
#include "platform/base/map.h"

#define NOWHERE UINT32_MAX

enum xl_sheet { XL_SURVEY, XL_CHOICES, XL_SETTINGS, XL_EXTERNAL, XL_ENTITIES, XL_OSM, XL_SHEETS };

/* Where something stands: column NOWHERE = the whole row, row 0 = the whole sheet. */
struct xl_cell {
    enum xl_sheet sheet;
    uint32_t row, column;
};

/* A column header after its aliases: "bind::jr:constraintMsg::fr" is {XL_BIND, "jr:constraintMsg", "fr"}. */
enum xl_group { XL_PLAIN, XL_BIND, XL_CONTROL, XL_INSTANCE, XL_MEDIA, XL_ATTRIBUTE };
struct xl_column {
    struct str header; /* as written */
    enum xl_group group;
    struct str key;
    struct str language; /* "" = not translated */
    uint32_t column;
};
struct xl_prop {
    const struct xl_column *column;
    struct str value;
};
struct xl_row {
    uint32_t number;
    uint32_t count;
    struct xl_prop *props; /* in column order, empty cells left out */
};
struct xl_table {
    bool present;
    struct str name; /* as the workbook spells it */
    VEC(struct xl_column) columns;
    VEC(struct xl_row) rows;
};

/* A text in one or more languages, in the order it was written. `translated` when a column named a language.
 */
struct xl_value {
    struct str language, text;
    struct xl_cell cell;
};
struct xl_text {
    VEC(struct xl_value) at;
    bool translated;
};
struct xl_attr {
    struct str name, value;
    struct xl_text *text; /* a translated message, else NULL */
    struct xl_cell cell;
};
struct xl_attrs {
    VEC(struct xl_attr) at;
};

/* What a question type means; the table is in xlsform_types.c. */
struct xl_type {
    const char *name, *control, *bind; /* element and data type; NULL = none */
    const char *mediatype;
    const char *bind_more[2][2]; /* further bind attributes; they stand before the type when `before` */
    bool before;
    const char *hint;
};

/* XL_ENTITY_FIELD stands where an entity's own expressions are seen from. */
enum xl_kind {
    XL_QUESTION,
    XL_GROUP,
    XL_REPEAT,
    XL_LOOP,
    XL_META,
    XL_ENTITY,
    XL_ENTITY_FIELD,
    XL_EXTERNAL_INSTANCE
};

struct xl_choice {
    struct str name;
    struct xl_text label;
    struct xl_attrs extra; /* columns of the author, by name */
    struct {
        struct str kind;
        struct xl_text text;
    } media[4];
    uint32_t media_count, row;
};
struct xl_list {
    struct str name;
    VEC(struct xl_choice) choices;
    bool itext;  /* labels need translations */
    bool used;   /* by a question */
    bool search; /* only through search(): its choices are written into the question */
};

struct xl_param {
    struct str key, value;
};

struct xl_action {
    const char *element, *event;
    struct str value; /* XLSForm expression */
    struct str quality;
    bool in_repeat; /* written into the body, for new instances */
};

struct xl_entity;
struct xl_node {
    enum xl_kind kind;
    struct str name, type_name;
    const struct xl_type *type;
    uint32_t parent, first_child, last_child, next; /* NOWHERE = none */
    struct xl_cell cell;                            /* of its type, in its row */
    struct str path;                                /* known after xl_paths */
    struct xl_text label, hint, guidance;
    struct {
        struct str kind;
        struct xl_text text;
    } media[4];
    uint32_t media_count;
    struct xl_attrs bind, control, instance;
    struct str fallback; /* the default column */
    struct xl_cell fallback_cell;
    bool dynamic, image_default;
    struct str itemset, choice_filter;
    struct xl_cell filter_cell;
    bool query;       /* select_one_external */
    bool own_choices; /* search(): the list's choices are written into the question */
    bool from_file;
    struct str value_ref, label_ref;
    struct xl_param *params;
    uint32_t param_count;
    VEC(struct str) triggers;
    struct xl_cell trigger_cell;
    VEC(struct xl_action) actions;
    VEC(uint32_t) triggered; /* nodes whose calculation this one sets off */
    struct str osm_list;
    const struct xl_entity *entity; /* XL_ENTITY */
};

struct xl_entity {
    struct str list, entity_id, create_if, update_if, label;
    struct xl_cell id_cell, create_cell, update_cell, label_cell, cell;
    uint32_t container; /* node it belongs to */
    uint32_t scope;
    bool has_property;
};

struct xl_name {
    uint32_t node;  /* of the first with this name */
    uint32_t count; /* how many have it */
};

/* One line of the XML and where its expressions came from. */
struct xl_line {
    uint32_t line;
    uint32_t column; /* of the attribute's first character */
    struct str what; /* attribute or element */
    struct xl_cell cell;
    uint32_t node;
};

struct xl {
    struct arena *a;
    struct form_findings *findings;
    struct diag *d;
    enum err rc;               /* memory or caps: everything stops */
    VEC(struct xl_cell) wrong; /* where errors were found */
    struct workbook book;
    struct xl_table tables[XL_SHEETS];
    struct xl_options_used {
        struct str form_name;
    } used;
    /* settings */
    struct str form_id, title, version, default_language, style, instance_name, submission_url, public_key;
    struct str auto_send, auto_delete, namespaces, instance_xmlns, prefix, delimiter, instance_id,
        client_editable;
    struct xl_cell instance_name_cell;
    struct xl_attrs attributes;
    bool clean_text, allow_duplicates, omit_instance_id;
    VEC(struct xl_list) lists;
    struct map list_by_name;
    VEC(struct xl_list) osm;
    struct map external_lists;
    VEC(struct xl_entity) entities;
    const char *entity_version;
    VEC(struct xl_node) nodes; /* 0 is the survey itself */
    VEC(struct xl_name) names;
    struct map name_index;
    VEC(struct xl_line) lines;
    VEC(struct str) languages; /* in order of appearance; "default" for texts without one */
    bool or_other;
};

/* --- xlsform_say.c: findings --- */
void xl_say(struct xl *x, enum finding_severity severity, struct xl_cell cell, const char *format,
            va_list args) __attribute__((format(printf, 4, 0)));
void xl_error(struct xl *x, struct xl_cell cell, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void xl_warning(struct xl *x, struct xl_cell cell, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Text from a printf format, in the arena. */
struct str xl_text_of(struct xl *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct str xl_concat(struct xl *x, struct str a, struct str b, struct str c);
void *xl_check(struct xl *x, void *p); /* remembers when memory ended */
#define xl_push(x, v) xl_check((x), vec_push((x)->a, (v)))
struct xl_cell xl_cell_of(enum xl_sheet sheet, const struct xl_row *row, const struct xl_prop *p);
/* The candidate nearest to `wrong`, at most `distance` edits away; "" when none is. */
uint32_t xl_distance(struct str a, struct str b);
struct str xl_lower(struct xl *x, struct str s);

/* --- xlsform_lex.c: the small language inside cells --- */
enum xl_token {
    TK_END,
    TK_DATETIME,
    TK_NUMBER,
    TK_MATH,
    TK_COMPARE,
    TK_BOOL,
    TK_UNION,
    TK_OPEN,
    TK_CLOSE,
    TK_PARENT,
    TK_SELF,
    TK_SLASH,
    TK_LITERAL,
    TK_COMMA,
    TK_SPACE,
    TK_REFERENCE, /* ${name} or ${last-saved#name} */
    TK_CALL,      /* name( */
    TK_PREDICATE, /* name[ */
    TK_PREDICATE_END,
    TK_SCHEME,
    TK_NAME,
    TK_OTHER
};
/* Takes the next token off *rest. */
enum xl_token xl_next_token(struct str *rest, struct str *token_out);
bool xl_is_name(struct str s);      /* an XML name, one prefix allowed */
bool xl_is_reference(struct str s); /* exactly one ${name} */
bool xl_has_reference(struct str s);
/* Finds the next ${...} at or after `from`. `name_out` without last-saved#; false when there is no more. A
 * malformed one has an empty name. */
bool xl_find_reference(struct str s, size_t from, size_t *start_out, size_t *end_out, struct str *name_out,
                       bool *last_saved_out);
bool xl_is_dynamic(struct str fallback, struct str type);
/* yes, true() ... → 1, no, false() ... → 0, anything else → -1. */
int xl_yes_no(struct str s);
/* The next instance() expression in a label; what ${} in its predicates refers to is current(). */
bool xl_find_instance(struct str s, size_t from, size_t *start_out, size_t *end_out);
/* Is position `at` inside a predicate of an instance() path? */
bool xl_in_instance_predicate(struct str s, size_t at);

/* --- xlsform_columns.c --- */
void xl_read_tables(struct xl *x);
const struct xl_prop *xl_get(const struct xl_row *row, enum xl_group group,
                             const char *key); /* NULL when empty */
struct str xl_get_text(const struct xl_row *row, enum xl_group group, const char *key);
bool xl_has_column(const struct xl_table *t, enum xl_group group, const char *key);
/* All languages of a column. */
struct xl_text xl_get_translated(struct xl *x, enum xl_sheet sheet, const struct xl_row *row,
                                 enum xl_group group, const char *key);
void xl_attr_put(struct xl *x, struct xl_attrs *attrs, struct str name, struct str value,
                 struct xl_cell cell);
struct xl_attr *xl_attr_get(struct xl_attrs *attrs, const char *name);
void xl_check_translations(struct xl *x);
void xl_check_languages(struct xl *x); /* once they are known */

/* --- xlsform_settings.c, xlsform_choices.c --- */
void xl_read_settings(struct xl *x, const struct xlsform_options *options);
void xl_read_choices(struct xl *x);
struct xl_list *xl_list_named(struct xl *x, struct str name); /* NULL when absent */
void xl_write_itemsets(struct xl *x, struct xlsform_media *media);

/* --- xlsform_types.c --- */
const struct xl_type *xl_type_named(struct str name);
struct str xl_type_alias(struct str name);
struct str xl_type_nearest(struct str name);
/* Types of other products and what to use instead; NULL when it is not one. */
const char *xl_type_foreign(struct str name);
const char *xl_foreign_call(struct str expression, struct str *call_out); /* the same for functions */

/* --- xlsform_params.c --- */
struct str xl_param(const struct xl_node *n, const char *key); /* p NULL when absent */
void xl_read_params(struct xl *x, struct xl_node *n, const struct xl_row *row);
/* Checks the parameters of its type and turns them into attributes. */
void xl_apply_params(struct xl *x, struct xl_node *n, const struct xl_row *row);

/* --- xlsform_survey.c --- */
void xl_read_survey(struct xl *x);
uint32_t xl_node_add(struct xl *x, uint32_t parent, enum xl_kind kind, struct str name);
struct xl_node *xl_node(struct xl *x, uint32_t i);
uint32_t xl_repeat_of(struct xl *x, uint32_t node); /* innermost repeat around it, NOWHERE = none */
bool xl_inside(struct xl *x, uint32_t node, uint32_t container);

/* --- xlsform_entities.c --- */
void xl_read_entities(struct xl *x);
void xl_place_entities(struct xl *x);

/* --- xlsform_refs.c --- */
uint32_t xl_after(struct xl *x, uint32_t i); /* the next node in document order, NOWHERE at the end */
void xl_paths(struct xl *x);                 /* paths and names, once the tree is complete */
/* An expression with its references as paths, seen from `node`. `current` puts current()/ before relative
 * ones. */
struct str xl_resolve(struct xl *x, struct str text, uint32_t node, struct xl_cell cell, bool current);
/* The filter of choices that come from the instances of a repeat: what lies in that repeat is the
 * candidate's. */
struct str xl_resolve_filter(struct xl *x, struct str text, uint32_t node, struct xl_cell cell,
                             uint32_t candidate);
/* The path to one node. `from_parent`: a repeat as a list of choices is never its own instance. */
struct str xl_path_to(struct xl *x, uint32_t target, uint32_t from, bool from_parent);
uint32_t xl_lookup(struct xl *x, struct str name, struct xl_cell cell); /* NOWHERE after a finding */

/* --- xlsform_write.c --- */
void xl_write(struct xl *x, struct buf *out);

/* --- xlsform_summary.c --- */
void xl_summarise(struct xl *x, struct xlsform_summary *out);

#endif
