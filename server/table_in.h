/* A table that comes in: CSV read piece by piece, its columns called as a mapping says. Flat in memory
 * however long the file is; a row is at most TABLE_ROW_MAX bytes.
 *
 * A mapping is text, a line each:  ours = theirs   (a column)   or   ours := words   (the same in every row);
 * # begins a remark. A mapping that is kept under a name serves the next file of the same office.
 */
#ifndef DOORSTEP_SERVER_TABLE_IN_H
#define DOORSTEP_SERVER_TABLE_IN_H

#include "server/parts.h"

#define TABLE_ROW_MAX (4u << 20)
#define MAPPING_BYTES_MAX (64u << 10)

struct table_in {
    struct import_source from;
    struct arena *a; /* of names; rows go to the arena that table_in_row is given */
    struct buf window;
    size_t at; /* of what is not read yet */
    uint32_t line, next_line;
    bool ended, first;
    struct str *names;  /* as the mapping calls them; "" = left out */
    struct str *theirs; /* as the file calls them */
    uint32_t count, constants;
    struct str constant[CSV_FIELDS_MAX];
};
/* Reads the header. `mapping` "" = columns are called as we call them. ERR_SYNTAX: no header, or the mapping
 * names a column that is not there. */
enum err table_in_open(struct table_in *t, const struct import_source *from, struct str mapping,
                       struct arena *a, struct diag *d) MUST_USE;
/* count + constants cells, missing ones ""; *any_out false: no more. *extra_out: cells beyond the header. */
enum err table_in_row(struct table_in *t, struct arena *a, struct str *cells, bool *any_out, bool *extra_out,
                      struct diag *d) MUST_USE;
void table_in_close(struct table_in *t); /* accepts a zeroed one */

/* Mappings by name. ERR_SYNTAX tells the line. */
enum err mapping_put(struct desk *k, struct str name, struct str text, struct diag *d) MUST_USE;
/* ERR_NOT_FOUND. */
enum err mapping_get(struct desk *k, struct str name, struct str *text_out, struct diag *d) MUST_USE;

#endif
