/* Equality look-ups in a static tree: for one (parent, item, column) a hash table from the text of the column
 * to the items that have it, in document order. Built on first use in the tree's own arena; at most
 * TREE_INDEXES_MAX of them, after which look-ups simply scan.
 */
#ifndef DOORSTEP_FORMS_TREE_INDEX_H
#define DOORSTEP_FORMS_TREE_INDEX_H

#include "forms/value.h"

#define TREE_INDEXES_MAX 32

struct tree_index_slot {
    struct str text; /* p NULL = free */
    uint32_t first;  /* entry, 1-based */
};
struct tree_index_entry {
    struct node item;
    uint32_t next; /* 1-based, 0 = end */
};
struct tree_index {
    struct node parent;
    struct str item, column;
    struct tree_index_slot *slots;
    uint32_t mask;
    VEC(struct tree_index_entry) entries;
};
struct tree_indexes {
    struct arena *arena;
    uint32_t count;
    struct tree_index at[TREE_INDEXES_MAX];
};

/* As tree_ops.find, for any tree. */
enum err tree_index_find(const struct tree *t, struct tree_indexes *cache, struct node parent,
                         struct str item, struct str column, struct str text, struct arena *scratch,
                         struct nodes *out);

#endif
