/* Tables for scores and studies: a CSV file read household by household by a pack's own names. A map says
 * which column is which input, how codes are written, and which other file holds the members:
 *
 *   {"key": "hhid", "area": "village", "date": "visit_date",
 *    "columns": {"staples": "FCSStap"}, "values": {"electric": {"Yes": "1", "No": "0"}},
 *    "sets": {"members": {"file": "roster.csv", "key": "hhid", "columns": {}, "values": {}}}}
 *
 * What it does not name is looked for under the input's own name. Files are held whole, rows are made one at
 * a time. Where a file comes from is the caller's: a disk, or an export that was just made.
 */
#ifndef DOORSTEP_RISK_TABLE_READ_H
#define DOORSTEP_RISK_TABLE_READ_H

#include "platform/base/csv.h"
#include "risk/table.h"

#define TABLE_BYTES_MAX (1u << 30)

struct table_file;
struct table_files {
    void *self;
    /* As the seam's file_read. */
    enum err (*read)(void *self, const char *path, struct buf *out, struct diag *d);
};

/* Extra columns that are read beside the inputs, by name: labels, groups, baselines. */
enum err table_open(struct arena *a, const struct table_files *from, const struct pack *p, const char *data,
                    const char *map, const char *const *extras, uint32_t extra_count, int64_t today,
                    struct table_file **file_out, struct diag *d) MUST_USE;
void table_close(struct table_file *t); /* accepts NULL */
struct table_line {
    struct str key; /* the line's number where the map names no key */
    uint32_t line;
    struct table_household household;
    const struct str *extras;
};
/* The next household, in `a`; *more_out false behind the last. */
enum err table_next(struct table_file *t, struct arena *a, struct table_line *out, bool *more_out,
                    struct diag *d) MUST_USE;
/* Where reading is, for a progress line: bytes read of all. */
void table_progress(const struct table_file *t, uint64_t *done_out, uint64_t *all_out);

#endif
