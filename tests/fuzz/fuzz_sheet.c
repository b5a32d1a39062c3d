/* Fuzz target: workbooks, the first bytes telling whether they are .xlsx, else read both as CSV and as
 * Markdown. What is read keeps the promises of the sheet model: cells in order, inside the caps, none of them
 * empty.
 */
#include "forms/xlsform.h"
#include "forms/xlsform_sheet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(enum err rc, const struct workbook *w, const struct diag *d)
{
    CHECK((rc == ERR_OK) == (d->text[0] == '\0'));
    for (uint32_t i = 0; i < w->sheets.count; i++) {
        const struct sheet *s = &w->sheets.at[i];
        for (uint32_t r = 0; r < s->rows.count; r++) {
            CHECK(s->rows.at[r].number <= SHEET_ROWS_MAX);
            for (uint32_t c = 0; c < s->rows.at[r].count; c++) {
                const struct sheet_cell *cell = &s->cells.at[s->rows.at[r].first + c];
                CHECK(cell->column < SHEET_COLUMNS_MAX && str_trim(cell->text).n > 0);
                CHECK(cell->text.n <= SHEET_CELL_BYTES_MAX);
            }
        }
    }
}

static void run(struct str bytes,
                enum err (*read)(struct arena *, struct str, struct workbook *, struct diag *))
{
    struct arena a;
    struct diag d = {0};
    struct workbook w = {0};
    arena_init(&a, 64u << 20);
    check(read(&a, bytes, &w, &d), &w, &d);
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    if (form_source_kind(STR(""), bytes) == SOURCE_XLSX) {
        run(bytes, sheet_read_xlsx);
    } else {
        run(bytes, sheet_read_csv);
        run(bytes, sheet_read_md);
    }
    return 0;
}
