/* A workbook as rows of typed cells, whatever file it came from: .xlsx, .csv or Markdown tables. Only cells
 * that hold something are kept, in row order; every cell knows its row and column, because every message
 * names one. Formulas are their cached values; what a spreadsheet shows as a date is a date here. Nothing is
 * interpreted beyond that.
 */
#ifndef DOORSTEP_FORMS_XLSFORM_SHEET_H
#define DOORSTEP_FORMS_XLSFORM_SHEET_H

#include "platform/base/arena.h"

enum cell_type { CELL_TEXT, CELL_NUMBER, CELL_BOOL, CELL_DATE };

struct sheet_cell {
    struct str text; /* as a person reads it: 3, not 3.0; 2024-05-01; TRUE */
    uint32_t column; /* from 0 */
    enum cell_type type;
};
struct sheet_row {
    uint32_t number; /* from 1, as the spreadsheet shows it */
    uint32_t first, count;
};
struct sheet {
    struct str name;
    bool hidden;
    VEC(struct sheet_cell) cells;
    VEC(struct sheet_row) rows; /* without empty ones */
};
struct workbook {
    VEC(struct sheet) sheets;
};

/* Caps: what is beyond them is refused, whatever the file claims. */
#define SHEET_COUNT_MAX 64
#define SHEET_ROWS_MAX 200000u /* of one sheet; the longest public choices sheet has 27,000 */
#define SHEET_COLUMNS_MAX 2000u
#define SHEET_CELLS_MAX 4000000u          /* of a workbook */
#define SHEET_CELL_BYTES_MAX 65536u       /* spreadsheets allow 32,767 characters */
#define SHEET_PART_BYTES_MAX (128u << 20) /* one part of an .xlsx, unpacked */

/* Adds a cell; empty text adds nothing, `kept` text lies in `a` already. Rows and columns come in order.
 * ERR_LIMIT, ERR_NOMEM. */
enum err sheet_put(struct arena *a, struct workbook *w, struct sheet *s, uint32_t row, uint32_t column,
                   enum cell_type type, struct str text, bool kept, struct diag *d) MUST_USE;
/* A new sheet at the end, NULL when there are too many. */
struct sheet *workbook_add(struct arena *a, struct workbook *w, struct str name);

enum err sheet_read_md(struct arena *a, struct str text, struct workbook *out, struct diag *d) MUST_USE;
/* Either sheets one below the other, their names in the first column, or one sheet: the survey. */
enum err sheet_read_csv(struct arena *a, struct str text, struct workbook *out, struct diag *d) MUST_USE;
enum err sheet_read_xlsx(struct arena *a, struct str bytes, struct workbook *out, struct diag *d) MUST_USE;

/* "B12"; 0-based column, row from 1. */
#define CELL_NAME_MAX 24
size_t cell_name(uint32_t row, uint32_t column, char out[static CELL_NAME_MAX]);

#endif
