/* Inside a form: the compiled arrays. Everything is an index into one of them; NONE stands for "there is
 * none".
 *
 * Schema nodes are the generic paths of the primary instance in document order (an element, then its
 * attributes, then its children), so a subtree is the range [n, end). Each repeat is a class of frames; nodes
 * outside repeats belong to class 0, the interview. A node has one cell in each frame of its class, at
 * `slot`. A reference is a node together with the depth of the frame it is anchored at (see ref_of): that is
 * all an expression knows about a path.
 */
#ifndef DOORSTEP_FORMS_MODEL_H
#define DOORSTEP_FORMS_MODEL_H

#include "forms/audit.h"
#include "forms/encrypt.h"
#include "forms/expr.h"
#include "forms/form.h"
#include "forms/limits.h"
#include "forms/session.h"
#include "platform/base/map.h"

#define NONE UINT32_MAX

/* Properties of a node that are kept up to date, in no particular order. COUNT is jr:count of a repeat; VALID
 * is everything that makes an answer wrong: required and empty, constraint, no longer among the choices. */
enum prop_kind {
    PROP_RELEVANT,
    PROP_CALCULATE,
    PROP_REQUIRED,
    PROP_READONLY,
    PROP_COUNT,
    PROP_VALID,
    PROP_KINDS,
    PROP_PICK /* the condition of an aggregate, of each node it may count; no node has it as its own */
};

/* How a node's text is read as a value; the bind's type. */
enum cast { CAST_STRING, CAST_BOOLEAN, CAST_INT, CAST_DECIMAL, CAST_DATE, CAST_DATETIME };

struct schema_node {
    uint32_t name;                      /* in names */
    uint32_t local;                     /* number of its local name: what paths are resolved by */
    uint32_t parent, first_child, next; /* attributes come first among the children */
    uint32_t end;
    uint32_t twin;  /* next sibling of the same name that is not an instance of a repeat */
    uint32_t class; /* frame class its cell lies in; for a repeat its own */
    uint32_t slot;
    uint32_t slot_end; /* after the last cell of its subtree in the same class */
    uint32_t field;    /* leaf: field number */
    uint32_t bind;
    uint32_t control; /* the first one bound to it */
    uint32_t prop[PROP_KINDS];
    uint32_t dependant_first, dependant_end; /* who reads it */
    uint32_t tallied;                        /* first of its places in form->tallied, NONE */
    uint32_t actions;                        /* first action of control-level xforms-value-changed, chained */
    uint32_t line, column;
    enum cast cast;
    enum field_type type;
    bool attribute, repeat, has_elements;
    bool fixed; /* attribute nobody can change: never saved, never reported */
};

struct frame_class {
    uint32_t node; /* repeat node, or the root element */
    uint32_t parent, depth;
    uint32_t child_index;              /* among the classes directly below its parent */
    uint32_t child_first, child_count; /* in class_children */
    uint32_t slot_count;
    uint32_t slots;                  /* first of its nodes in class_nodes, by slot */
    uint32_t prop_first, prop_count; /* in class_props: property numbers; position there = bit in a frame */
    uint32_t blueprint;
    uint32_t control;
    uint32_t tally_count;              /* tallies that a frame of it holds */
    uint32_t share_first, share_count; /* in form->shares: what of its nodes stands under a tally */
    uint32_t pick_count;               /* conditions that a frame of it holds the outcome of */
};

/* What aggregates are made of: all instances of a node, or those for which a condition holds. */
struct tallied {
    uint32_t node, pick; /* NONE = all */
    uint32_t share;      /* in a frame of the node's class */
    uint32_t place;      /* first in form->tallies */
    uint32_t next;       /* of the same node */
};

/* An aggregate that some expression asks for: of that, over all instances below a frame of `base`. */
struct tally_place {
    uint32_t tallied, base;
    uint32_t slot; /* in a frame of that class */
    uint32_t next; /* of the same tallied */
};

/* What a new frame contains: itself, nested instances, and default texts. */
struct blueprint_row {
    uint32_t class;
    uint32_t parent; /* row number in the same blueprint */
};
struct blueprint_cell {
    uint32_t row, node;
    struct str text;
};
struct blueprint {
    uint32_t row_first, row_count;
    uint32_t cell_first, cell_count;
};

/* Text on a screen: literal pieces and outputs; or a translated text. */
struct segment {
    struct str literal;
    const struct expr *output; /* NULL = literal */
};
struct segments {
    uint32_t first, count; /* in form->segments */
};
enum text_form {
    TEXT_LONG,
    TEXT_SHORT,
    TEXT_GUIDANCE,
    TEXT_IMAGE,
    TEXT_BIG_IMAGE,
    TEXT_AUDIO,
    TEXT_VIDEO,
    TEXT_FORMS
};
struct label {
    bool there;
    uint32_t text;              /* translated text, NONE = `own` */
    const struct expr *text_id; /* jr:itext(expression), or NULL */
    struct segments own;
};
struct text_value {
    uint32_t text, language;
    enum text_form form;
    struct segments segments;
};

enum preload { PRELOAD_NONE, PRELOAD_UID, PRELOAD_START, PRELOAD_END, PRELOAD_TODAY, PRELOAD_PROPERTY };

struct bind {
    uint32_t node;
    uint32_t line, column;
    const struct expr *expr[PROP_KINDS]; /* VALID: the constraint */
    bool always[PROP_KINDS];             /* the expression is the constant true() */
    struct label constraint_message, required_message;
    enum preload preload;
    struct str preload_name;
    bool fresh;
    struct str type;
};

struct choice {
    struct str value;
    struct label label;
};

struct control {
    enum control_kind kind;
    uint32_t parent, end; /* in document order; the subtree is [this, end) */
    uint32_t node, line, column;
    uint32_t class; /* frame class of its node; for a repeat that of its parent */
    uint32_t
        walk; /* frame class of the repeat control around it: the same, unless the form asks from elsewhere */
    bool field_list;
    bool fixed_count; /* REPEAT: jr:count, or jr:noAddRemove */
    struct label label, hint;
    struct str appearance, mediatype, range_start, range_end, range_step;
    uint32_t choice_first, choice_count;
    const struct expr *count; /* REPEAT */
    const struct expr *itemset, *item_value, *item_label;
    bool item_label_is_text;   /* item_label gives the id of a translated text */
    const struct expr *search; /* rows of search(), or NULL */
    uint32_t search_columns; /* the choice behind the others: names of the value's and the label's columns */
};

enum event {
    EVENT_FIRST_LOAD = 1,
    EVENT_LOAD = 2,
    EVENT_NEW_REPEAT = 4,
    EVENT_VALUE_CHANGED = 8,
    EVENT_REVALIDATE = 16
};
enum action_kind { ACTION_SETVALUE, ACTION_SETGEOPOINT, ACTION_RECORDAUDIO };
struct action {
    enum action_kind kind;
    uint32_t events;
    uint32_t target;                 /* node; its expression is bound to it as well */
    uint32_t trigger;                /* node of the control it stands in, NONE = model, body or repeat */
    uint32_t repeat;                 /* class of the innermost repeat it stands in, NONE */
    const struct expr *target_nodes; /* a target with predicates: the first node it leads to */
    uint32_t next;                   /* of the same trigger */
    uint32_t line;
    const struct expr *value; /* NULL: `text` */
    struct str text;
    struct str quality; /* RECORDAUDIO: odk:quality */
};

/* A property, numbered in the order of evaluation: what it reads has lower numbers. Behind the calculations
 * come the counts of repeats, which may add frames, and then the validities, which nothing reads. */
struct prop {
    enum prop_kind kind;
    uint32_t node, class;    /* class it is evaluated in: for COUNT that of the repeat's parent */
    uint32_t bit;            /* in the dirty set of a frame of that class */
    const struct expr *expr; /* NULL: only VALID without a constraint */
    uint32_t uses;           /* EXPR_USES_* of all its expressions */
    uint32_t pick;           /* PICK: its number */
    bool ordered;            /* reads its own kind in earlier instances: frames are taken in document order */
    uint32_t group;          /* properties that feed each other through earlier instances share a number */
};

/* A property reads a node. When the node changes in frame F, go up from F to the class `base`, and from there
 * down to all frames of the property's class. */
struct dependant {
    uint32_t prop;
    uint32_t base;
    enum read_kind kind;
    bool later; /* only frames behind F: the property reads earlier instances of what it feeds */
};

/* The condition of one aggregate. */
struct pick {
    uint32_t class, slot; /* where its outcome is kept */
    uint32_t tallied;     /* what is counted where it holds; NONE = nothing is kept, the aggregate walks */
    struct dependant reader;
};

/* A bind's attributes that say nothing to the engine itself: entities, audit and what others may read. */
struct bind_extra {
    uint32_t node;
    struct node_name name;
    struct str value;
};

/* An <entity> of a meta block: its container is the element around the meta. Nodes are NONE when absent. */
struct entity_def {
    uint32_t node, container;
    uint32_t dataset, id, create, update, base_version, trunk_version, branch_id, label;
    struct str list; /* dataset as written in the form */
};
/* bind/@entities:saveto: the value of `node` is a property of the entity. */
struct entity_save {
    uint32_t node, entity;
    struct str property;
};

struct resource {
    struct str id, uri;      /* uri "" = internal */
    const struct tree *tree; /* internal: read with the form; its <instance> element is around the content */
};

struct form {
    struct str id, version, title;
    VEC(struct node_name) names;
    VEC(struct schema_node) nodes;
    struct map locals; /* local name to its number */
    struct child_slot {
        uint32_t parent, local, child; /* child NONE = free */
    } * children;                      /* hash of (parent, local, attribute) */
    uint32_t children_room;
    VEC(struct frame_class) classes;
    VEC(uint32_t) class_children, class_nodes, class_props;
    VEC(struct blueprint) blueprints;
    VEC(struct blueprint_row) blueprint_rows;
    VEC(struct blueprint_cell) blueprint_cells;
    VEC(struct bind) binds;
    VEC(uint32_t) preloads;       /* binds with one */
    VEC(struct control) controls; /* controls.at[0] is the body */
    VEC(struct choice) choices;
    VEC(struct action) actions;
    VEC(struct segment) segments;
    VEC(struct str) languages;
    uint32_t language_default;
    struct map text_ids;
    VEC(struct str) text_names;
    VEC(struct text_value) text_values; /* sorted by text, language, form */
    VEC(uint32_t) text_first;           /* by text: first value; one more at the end */
    VEC(struct resource) resources;     /* secondary instances; tree number = index + 1 */
    struct map resource_ids;
    VEC(uint32_t) external; /* indices of those with a uri */
    VEC(struct form_field) fields;
    VEC(uint32_t) field_nodes;
    VEC(struct form_repeat) repeats;
    struct map field_paths;
    VEC(struct prop) props;
    VEC(struct dependant) dependants;
    VEC(struct tally_place) tallies;
    VEC(struct tallied) tallied;
    VEC(uint32_t) shares; /* of tallied, by class */
    VEC(struct pick) picks;
    VEC(uint32_t) all_readers;        /* properties with reads_all */
    VEC(struct node_name) namespaces; /* prefix and uri to declare in a submission; local unused */
    struct map prefixes;
    VEC(struct str) uris;
    VEC(struct bind_extra) extras;
    VEC(struct entity_def) entities;
    VEC(struct entity_save) saves;
    uint32_t entities_version; /* year * 100 + minor, 0 = none declared */
    struct audit_settings audit;
    struct form_submission submission;
    struct form_summary summary;
};

/* References. */
#define REF_DEPTH_BITS 5u
#define REF_DEPTH_MAX 31u
static inline uint32_t ref_of(uint32_t node, uint32_t depth)
{
    return node << REF_DEPTH_BITS | depth;
}
static inline uint32_t ref_node(uint32_t ref)
{
    return ref >> REF_DEPTH_BITS;
}
static inline uint32_t ref_depth(uint32_t ref)
{
    return ref & REF_DEPTH_MAX;
}
/* The reference by which a node names itself: its own frame. */
uint32_t form_self_ref(const struct form *f, uint32_t node);

/* Child of a node by the number of its local name; `local` NONE finds nothing. */
uint32_t form_child(const struct form *f, uint32_t parent, uint32_t local, bool attribute);
void form_child_put(struct form *f, uint32_t child);
uint32_t form_local(const struct form *f, struct str local);
struct str form_node_path(const struct form *f, uint32_t node, struct arena *a);
bool form_is_ancestor(const struct form *f, uint32_t ancestor, uint32_t node); /* or itself */
/* Deepest class that is an ancestor-or-self of both. */
uint32_t form_common_class(const struct form *f, uint32_t a, uint32_t b);
uint32_t form_class_at_depth(const struct form *f, uint32_t class, uint32_t depth);

/* THE context rule (FORMS.md 4): from a context in frame class `from`, in which class does the search for a
 * reference begin? A single value comes from the deepest repeat instance that the context and the node share;
 * a node-set from where the path itself begins: the top for an absolute one, the node it climbed to for a
 * relative one. */
uint32_t form_base_class(const struct form *f, uint32_t from, uint32_t ref, bool single);

/* Expressions of a form: a scope whose paths are resolved against it. `context` is a node or NONE. */
struct expr_scope form_scope(const struct form *f, uint32_t context);
extern const struct expr_function form_functions[];
extern const uint32_t form_function_count;

/* Building, in the order of the calls below. */
struct xml_doc;
struct loader {
    struct form *form;
    struct arena *a; /* the form's */
    struct arena *scratch;
    struct xml_doc *doc;
    struct form_findings *findings;
    struct diag *first;                 /* the caller's */
    uint32_t model, body;               /* elements */
    struct map bind_ids;                /* bind/@id to its node */
    enum err rc;                        /* ERR_NOMEM or ERR_LIMIT: give up */
    VEC(struct text_value) text_values; /* in the order of the document */
    VEC(uint32_t) text_elements;        /* of each: <value> element */
    VEC(uint32_t) text_owner;           /* by text: node that uses it first */
};
/* Records a finding; the first error also goes to the caller's diag. */
void load_finding(struct loader *l, enum finding_severity severity, uint32_t line, uint32_t column,
                  uint32_t node, const char *format, ...) __attribute__((format(printf, 6, 7)));
void load_nomem(struct loader *l);
struct str load_str(struct loader *l, struct str s); /* a copy that lives with the form */
/* The next step of a plain path; false at its end. */
bool load_step(struct str *rest, struct path_step *step);
/* Compiles an attribute's text; NULL after a finding. `what` is "relevant", "calculate" ... */
const struct expr *load_expr(struct loader *l, uint32_t element, uint32_t context, struct str text,
                             const char *what, bool nodes);
/* The node a path leads to from a context node (NONE = root only), NONE when there is no such path. */
uint32_t load_path(struct loader *l, uint32_t context, struct str path);
struct label load_label(struct loader *l, uint32_t element, uint32_t context);
struct label load_message(struct loader *l, uint32_t element, uint32_t context, struct str text);

bool resource_is_file(const struct resource *r, struct str name);
void load_named_files(struct loader *l, const struct expr *x);
void load_query(struct loader *l, uint32_t element, uint32_t control, uint32_t context);
void load_search(struct loader *l, uint32_t element, uint32_t control, uint32_t context);
void load_instances(struct loader *l); /* primary: schema, blueprints; secondary: resources */
void load_texts(struct loader *l);     /* itext: ids and languages */
void load_binds(struct loader *l);
void load_body(struct loader *l);
void load_actions(struct loader *l, uint32_t parent, uint32_t trigger, uint32_t repeat_class);
void load_text_values(struct loader *l); /* itext: texts, when it is known who uses them */
void load_graph(struct loader *l);
void load_fields(struct loader *l);
void load_extras(struct loader *l, uint32_t element, uint32_t node); /* of one bind */
void load_entities(struct loader *l);
void load_audit(struct loader *l);
void load_submission(struct loader *l);
/* An attribute of a node's binds, p NULL when absent. */
struct str form_extra(const struct form *f, uint32_t node, const char *uri, const char *local);
/* Child of a node by name, NONE when absent. */
uint32_t form_child_z(const struct form *f, uint32_t parent, const char *local, bool attribute);

/* Nearest name among a node's children, "" when none is near. */
struct str form_nearest_child(const struct form *f, uint32_t parent, struct str local);
uint32_t text_distance(struct str a, struct str b, uint32_t max);

#endif
