/* Comma-separated values, RFC 4180: quoted fields may hold commas, quotes and line ends; CR LF or LF; a byte
 * order mark is skipped. Reads from text that is held whole; keeps nothing but its place.
 */
#ifndef DOORSTEP_BASE_CSV_H
#define DOORSTEP_BASE_CSV_H

#include "platform/base/arena.h"
#include "platform/base/err.h"

struct csv {
    struct str rest;
    uint32_t line; /* of the row last read */
    uint32_t next_line;
};
#define CSV_FIELDS_MAX 1024 /* more columns than a spreadsheet program shows by default */
void csv_open(struct csv *c, struct str text);
/* The next row that is not empty; texts live in `a`, `fields_out` has room for CSV_FIELDS_MAX. *count_out 0:
 * no more. ERR_SYNTAX with line and column. */
enum err csv_row(struct csv *c, struct arena *a, struct str *fields_out, uint32_t *count_out,
                 struct diag *d) MUST_USE;

#endif
