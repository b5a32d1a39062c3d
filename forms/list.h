/* Large lists stay with the host. A list there is a table of texts: rows count from 1 in the order of the
 * file, columns from 0. A form asks it questions instead of reading it: a query is a predicate in postfix
 * order whose values are bound, never written into text.
 *
 * Always true: a query finds exactly the rows that the predicate would keep when walked over the same list in
 * memory; what cannot be said as a query is asked wider and looked at row by row by the evaluator.
 */
#ifndef DOORSTEP_FORMS_LIST_H
#define DOORSTEP_FORMS_LIST_H

#include "forms/form.h"
#include "platform/base/buf.h"

#define LIST_MEMORY_ROWS 256u /* up to here a list is read into memory */
#define LIST_COLUMNS_MAX 1000u
#define LIST_WISH_MAX 4u /* columns of one index */

enum list_op {
    LIST_TRUE,
    LIST_FALSE,
    LIST_AND, /* of the `count` operands before it */
    LIST_OR,
    LIST_NOT,
    /* The cell, if there is one, against `text`, or as a number against `number`. */
    LIST_EQ,
    LIST_NE,
    LIST_LT,
    LIST_LE,
    LIST_GT,
    LIST_GE,
    /* The cell's text, "" where there is none. */
    LIST_CONTAINS,
    LIST_STARTS,
    LIST_ENDS,
    LIST_WORD, /* one of its words is `text` */
    LIST_AMONG /* trimmed, it is one of the words of `text`, or blank when that has none */
};

struct list_term {
    enum list_op op;
    uint32_t column;
    uint32_t count;
    bool numeric; /* compare with `number` */
    double number;
    struct str text;
};

struct list_query {
    const struct list_term *at; /* postfix; exactly one result */
    uint32_t count;
};

/* Columns that predicates of the form compare together, for an index; `numeric`: by order or by number. */
struct list_wish {
    struct str columns[LIST_WISH_MAX];
    uint32_t count;
    bool numeric; /* then one column */
};

/* What open() tells; texts live as long as the host. */
struct list_shape {
    uint32_t list; /* the host's number for it */
    struct str root, item;
    const struct str *columns;
    uint32_t column_count, row_count;
    bool sparse; /* from XML: rows may lack cells */
};

struct list_host {
    void *self;
    /* Imports when it must and makes the indexes wished for. ERR_NOT_FOUND: there is no such list;
     * ERR_STATE: the list is better read into memory (small, or no plain table). */
    enum err (*open)(void *self, struct str uri, const struct list_wish *wishes, uint32_t wish_count,
                     struct list_shape *shape_out, struct diag *d);
    /* Rows for which the query holds, ascending, at most `limit` after leaving out `skip`; `found` may ask
     * for cells, and ends it with an error, which comes back. */
    enum err (*rows)(void *self, uint32_t list, const struct list_query *q, uint32_t skip, uint32_t limit,
                     enum err (*found)(void *to, uint32_t row), void *to, struct diag *d);
    enum err (*count)(void *self, uint32_t list, const struct list_query *q, uint32_t *count_out,
                      struct diag *d);
    /* A cell's text, p NULL where there is none; valid until the next call. */
    enum err (*cell)(void *self, uint32_t list, uint32_t row, uint32_t column, struct str *text_out,
                     struct diag *d);
    /* Can the column be compared by number? ERR_STATE when some cell is a date or time, which only the
     * evaluator compares rightly. */
    enum err (*numeric)(void *self, uint32_t list, uint32_t column, struct diag *d);
};

/* Reading a list row by row, for the host that keeps it. The texts given to `row` live until it returns; a
 * cell that is not there has p NULL. */
struct list_sink {
    void *self;
    enum err (*shape)(void *self, const struct list_shape *shape, struct diag *d); /* once, first */
    enum err (*row)(void *self, const struct str *cells, struct diag *d);
};
/* The bytes of a list, piece by piece. */
struct list_bytes {
    void *self;
    /* Those from `at` on, at most `room`; *n_out 0 = there are no more. XML is read twice from the start. */
    enum err (*read)(void *self, size_t at, char *out, size_t room, size_t *n_out, struct diag *d);
};
/* Bytes that are all in memory: `bytes` must live as long as what is returned. */
struct list_bytes list_bytes_of(const struct str *bytes);
/* The format follows the uri: CSV, GeoJSON, else XML; "jr://itemsets/NAME" is those rows of a CSV whose
 * list_name is NAME. CSV and XML pass through a small window, however large they are; GeoJSON does not.
 * ERR_STATE: XML that is no table of rows, or text that is not UTF-8. */
enum err list_import(struct str uri, const struct list_bytes *bytes, const struct list_sink *sink,
                     struct diag *d) MUST_USE;
/* The same list in memory. */
enum err list_from_uri(struct arena *a, struct str uri, struct str bytes, uint32_t index,
                       const struct tree **tree_out, struct diag *d);

/* The number a cell stands for when it is compared by number. */
enum list_number { LIST_NUMBER, LIST_NO_NUMBER, LIST_MOMENT };
enum list_number list_number(struct str cell, double *number_out);

/* A list of the host as a tree. Lives in `a`. */
enum err list_on_host(struct arena *a, const struct list_host *host, const struct list_shape *shape,
                      uint32_t index, const struct tree **tree_out, struct diag *d);

/* What the expressions of the form ask of a list, composite where joined by `and`; wishes that begin another
 * are left out. */
enum err form_list_wishes(const struct form *f, uint32_t resource, struct arena *a,
                          struct list_wish **wishes_out, uint32_t *count_out);
/* Opens every list of a form at the host once, so that it is imported: at download. Lists that are not there
 * are passed over. */
enum err form_lists_prepare(const struct form *f, const struct list_host *host, struct diag *d) MUST_USE;

#endif
