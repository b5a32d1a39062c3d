/* Values and nodes: what an expression works on.
 *
 * A value is one of nine kinds. Text belongs to whatever it points into (the form, an instance cell, or the
 * scratch arena of the evaluation) and lives as long as that. UNKNOWN exists only in rule mode: it is the
 * third truth value of Kleene's logic and the result of everything that lacks an input; it never counts as
 * false.
 */
#ifndef DOORSTEP_FORMS_VALUE_H
#define DOORSTEP_FORMS_VALUE_H

#include "platform/base/arena.h"
#include "platform/base/civil.h"
#include "platform/base/num.h"

/* A node of some tree: tree 0 is the primary instance, the others are secondary instances and
 * documents, numbered by the evaluation. What x and y mean is the tree's own business
 * (primary: frame and schema node; list: row and column; document: node). */
struct node {
    uint32_t tree;
    uint32_t x;
    uint32_t y;
};

static inline bool node_same(struct node a, struct node b)
{
    return a.tree == b.tree && a.x == b.x && a.y == b.y;
}

struct nodes {
    struct node *at; /* in document order, no doubles, unless `unordered` */
    uint32_t count;
    uint32_t maybe; /* rule mode: further nodes whose predicate was unknown */
    bool unordered; /* order is meant (randomize) */
};

enum value_type {
    VALUE_UNKNOWN,
    VALUE_BOOL,
    VALUE_NUMBER, /* double, XPath 1.0 */
    VALUE_DEC,    /* exact decimal: all of money and counting in rule mode */
    VALUE_RANGE,  /* rule mode: a count that is at least lo and at most hi */
    VALUE_STRING,
    VALUE_DATE,    /* civil day, days since 1970-01-01 */
    VALUE_INSTANT, /* dateTime: instant with the offset it was written with */
    VALUE_NODES
};

struct value {
    enum value_type type;
    union {
        bool boolean;
        double number;
        struct dec dec;
        struct {
            int64_t lo, hi;
        } range;
        struct str text;
        int64_t day;
        struct {
            int64_t ms;
            int16_t offset_min;
        } instant;
        struct nodes *nodes;
    };
};

enum node_kind {
    NODE_DOCUMENT,
    NODE_ELEMENT,
    NODE_ATTRIBUTE,
    NODE_TEXT,
    NODE_COMMENT,
    NODE_PI,
    NODE_NAMESPACE
};

struct node_name {
    struct str local;
    struct str uri; /* "" = no namespace */
    struct str prefix;
};

struct tree;
struct list_query;

/* What a tree answers that is asked instead of walked (forms/list.h). */
struct tree_query_ops {
    bool (*answers)(const struct tree *t, struct node parent, struct str item);
    bool (*column)(const struct tree *t, struct str name, uint32_t *column_out);
    bool (*numeric)(const struct tree *t, uint32_t column);
    /* Rows in order, at most `limit` after leaving out `skip`. */
    enum err (*rows)(const struct tree *t, const struct list_query *q, uint32_t skip, uint32_t limit,
                     enum err (*found)(void *to, struct node n), void *to);
    enum err (*count)(const struct tree *t, const struct list_query *q, uint32_t *count_out);
};

/* What a tree must answer. Each returns false when there is no such node. Non-relevant nodes of the primary
 * instance are left out by the tree itself: expressions never see them. */
struct tree_ops {
    enum node_kind (*kind)(const struct tree *t, struct node n);
    struct node_name (*name)(const struct tree *t, struct node n);
    bool (*parent)(const struct tree *t, struct node n, struct node *out);
    bool (*first_child)(const struct tree *t, struct node n, struct node *out);
    bool (*next_sibling)(const struct tree *t, struct node n, struct node *out);
    bool (*prev_sibling)(const struct tree *t, struct node n, struct node *out);
    bool (*first_attribute)(const struct tree *t, struct node n, struct node *out);
    bool (*next_attribute)(const struct tree *t, struct node n, struct node *out);
    int (*compare)(const struct tree *t, struct node a, struct node b); /* document order: <0, 0, >0 */
    struct str (*text)(const struct tree *t, struct node n, struct arena *scratch); /* string-value */
    struct node (*root)(const struct tree *t);
    /* Optional (may be NULL): children of `parent` called `item` whose child `column` has exactly this text,
     * in document order, through an index. */
    enum err (*find)(const struct tree *t, struct node parent, struct str item, struct str column,
                     struct str text, struct arena *scratch, struct nodes *out);
    /* Optional: its place, from 1, among the siblings of the same name, where the tree knows it without
     * walking. 0 = it does not: they are counted. */
    uint32_t (*ordinal)(const struct tree *t, struct node n);
    /* Optional: the i-th namespace node of an element, from 0, nearest declarations first. */
    bool (*namespace_at)(const struct tree *t, struct node n, uint32_t i, struct node *out);
    /* Optional, for lists of the host: the children of `parent` called `item` for which a query holds. NULL =
     * walk. */
    const struct tree_query_ops *query;
};

struct tree {
    const struct tree_ops *ops;
    uint32_t index; /* its number as `node.tree` */
};

/* A static tree read from XML: `doorstep expr --context`, external XML instances, last-saved. Entities are
 * never expanded, depth and size are capped (limits.h). Lives in `a`. */
enum err xml_tree_read(struct arena *a, struct str xml, uint32_t index, const struct tree **tree_out,
                       struct diag *d);

#endif
