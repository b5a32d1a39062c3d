/* Workbooks from text: Markdown tables and comma-separated values. Row numbers are those of the sheet, its
 * header being row 1, as they would be if the same table were in a spreadsheet.
 */
#include "forms/xlsform_sheet.h"

#include "platform/base/buf.h"

struct sheet *workbook_add(struct arena *a, struct workbook *w, struct str name)
{
    struct sheet *s = w->sheets.count < SHEET_COUNT_MAX ? vec_push(a, &w->sheets) : NULL;
    if (s)
        s->name = arena_str(a, name);
    return s;
}

size_t cell_name(uint32_t row, uint32_t column, char out[static CELL_NAME_MAX])
{
    char letters[8], digits[12];
    size_t n = 0, k = 0, m = 0;
    for (uint32_t c = column + 1; c > 0; c = (c - 1) / 26)
        letters[n++] = (char)('A' + (c - 1) % 26);
    while (n > 0)
        out[k++] = letters[--n];
    for (uint32_t r = row; r > 0; r /= 10)
        digits[m++] = (char)('0' + r % 10);
    while (m > 0)
        out[k++] = digits[--m];
    out[k] = '\0';
    return k;
}

enum err sheet_put(struct arena *a, struct workbook *w, struct sheet *s, uint32_t row, uint32_t column,
                   enum cell_type type, struct str text, bool kept, struct diag *d)
{
    size_t total = 0;
    char at[CELL_NAME_MAX];
    if (str_trim(text).n == 0)
        return ERR_OK;
    if (row > SHEET_ROWS_MAX || column >= SHEET_COLUMNS_MAX)
        return diag_set(d, ERR_LIMIT,
                        "The sheet %.*s has more than %u rows or %u columns; move long lists into a "
                        "file of their own and use select_one_from_file.",
                        STR_ARG(s->name), SHEET_ROWS_MAX, SHEET_COLUMNS_MAX);
    if (text.n > SHEET_CELL_BYTES_MAX) {
        cell_name(row, column, at);
        return diag_set(d, ERR_LIMIT, "%.*s!%s holds %zu bytes of text; at most %u are read.",
                        STR_ARG(s->name), at, text.n, SHEET_CELL_BYTES_MAX);
    }
    for (uint32_t i = 0; i < w->sheets.count; i++)
        total += w->sheets.at[i].cells.count;
    if (total >= SHEET_CELLS_MAX)
        return diag_set(d, ERR_LIMIT, "The workbook has more than %u cells.", SHEET_CELLS_MAX);
    if (s->rows.count == 0 || s->rows.at[s->rows.count - 1].number != row) {
        struct sheet_row *r = vec_push(a, &s->rows);
        if (!r)
            return diag_set(d, ERR_NOMEM, "The workbook does not fit into memory.");
        *r = (struct sheet_row){row, s->cells.count, 0};
    }
    struct sheet_cell *c = vec_push(a, &s->cells);
    if (!kept)
        text = arena_str(a, text);
    if (!c || !text.p)
        return diag_set(d, ERR_NOMEM, "The workbook does not fit into memory.");
    *c = (struct sheet_cell){text, column, type};
    s->rows.at[s->rows.count - 1].count++;
    return ERR_OK;
}

/* Cells of a table line end at "|"; "\|" is a stroke of the text. Inside back ticks nothing is special to us.
 */
static bool next_cell(struct str *rest, struct buf *cell)
{
    buf_clear(cell);
    if (!rest->p)
        return false;
    size_t i = 0;
    for (; i < rest->n && rest->p[i] != '|'; i++) {
        if (rest->p[i] == '\\' && i + 1 < rest->n && rest->p[i + 1] == '|')
            i++;
        buf_put_char(cell, rest->p[i]);
    }
    *rest = i < rest->n ? (struct str){rest->p + i + 1, rest->n - i - 1} : STR_NONE;
    return rest->p != NULL; /* what stands after the last stroke is no cell */
}

/* "| --- | :-: |" below a heading. */
static bool rule_line(struct str line)
{
    bool dash = false;
    for (size_t i = 0; i < line.n; i++) {
        if (!memchr("|-: \t\r", line.p[i], 6))
            return false;
        dash |= line.p[i] == '-';
    }
    return dash;
}

enum err sheet_read_md(struct arena *a, struct str text, struct workbook *out, struct diag *d)
{
    struct str line, rest = text;
    struct buf cell;
    struct sheet *s = NULL;
    uint32_t row = 0;
    enum err rc = ERR_OK;
    buf_init(&cell, SHEET_CELL_BYTES_MAX + 1);
    while (!rc && str_split(&rest, '\n', &line)) {
        line = str_trim(line);
        if (line.n < 2 || line.p[0] != '|' || rule_line(line))
            continue;
        struct str cells = str_sub(line, 1, line.n);
        bool any = false;
        next_cell(&cells, &cell);
        struct str name = str_trim(buf_str(&cell));
        if (name.n) {
            s = workbook_add(a, out, name);
            row = 0;
            if (!s)
                rc = diag_set(d, ERR_LIMIT, "The text has more than %u sheets.", SHEET_COUNT_MAX);
        }
        for (uint32_t column = 0; !rc && s && next_cell(&cells, &cell); column++) {
            struct str t = str_trim(buf_str(&cell));
            if (cell.failed)
                rc = diag_set(d, ERR_LIMIT, "A cell of sheet %.*s is longer than %u bytes.", STR_ARG(s->name),
                              SHEET_CELL_BYTES_MAX);
            else if (t.n)
                rc = sheet_put(a, out, s, row + 1, column, CELL_TEXT, t, false, d);
            any |= t.n > 0;
        }
        if (s && (any || !name.n))
            row++;
    }
    buf_free(&cell);
    if (!rc && out->sheets.count == 0)
        rc = diag_set(d, ERR_SYNTAX,
                      "No table was found: a sheet begins with a line such as \"| survey |\".");
    return rc;
}

/* RFC 4180. False at the end; `last` says that the record ends with this field. */
static bool csv_field(struct str *rest, struct buf *field, bool *last)
{
    buf_clear(field);
    size_t i = 0, n = rest->n;
    const char *p = rest->p;
    if (n == 0)
        return false;
    bool quoted = p[0] == '"';
    if (quoted)
        i++;
    for (; i < n; i++) {
        if (quoted && p[i] == '"') {
            if (i + 1 < n && p[i + 1] == '"')
                i++;
            else {
                quoted = false;
                continue;
            }
        } else if (!quoted && (p[i] == ',' || p[i] == '\n')) {
            break;
        } else if (!quoted && p[i] == '\r') {
            continue;
        }
        buf_put_char(field, p[i]);
    }
    *last = i >= n || p[i] == '\n';
    *rest = i < n ? (struct str){p + i + 1, n - i - 1} : (struct str){p + n, 0};
    return true;
}

/* One sheet when the first record already names a column of the survey sheet. */
static bool csv_is_one_sheet(struct str text)
{
    struct str line;
    str_split(&text, '\n', &line);
    struct str first;
    str_split(&line, ',', &first);
    first = str_trim(first);
    if (first.n >= 2 && first.p[0] == '"' && first.p[first.n - 1] == '"')
        first = str_trim(str_sub(first, 1, first.n - 2));
    return str_eq_nocase(first, STR("type")) || str_eq_nocase(first, STR("name")) ||
           str_eq_nocase(first, STR("command"));
}

enum err sheet_read_csv(struct arena *a, struct str text, struct workbook *out, struct diag *d)
{
    struct buf field;
    struct sheet *s = NULL;
    uint32_t row = 0, column = 0;
    enum err rc = ERR_OK;
    bool last = true;
    if (str_starts(text, STR("\xef\xbb\xbf")))
        text = str_sub(text, 3, text.n);
    bool one = csv_is_one_sheet(text), named = one;
    if (one && !(s = workbook_add(a, out, STR("survey"))))
        return diag_set(d, ERR_NOMEM, "The workbook does not fit into memory.");
    buf_init(&field, SHEET_CELL_BYTES_MAX + 1);
    for (bool start = true; !rc && csv_field(&text, &field, &last); start = last) {
        struct str t = str_trim(buf_str(&field));
        if (start) {
            column = 0;
            named = one;
            row += s != NULL;
        }
        if (field.failed) {
            rc = diag_set(d, ERR_LIMIT, "A cell is longer than %u bytes.", SHEET_CELL_BYTES_MAX);
        } else if (one) {
            rc = sheet_put(a, out, s, row, column, CELL_TEXT, t, false, d);
        } else if (column == 0 && t.n) {
            s = workbook_add(a, out, t);
            named = true;
            row = 0;
            if (!s)
                rc = diag_set(d, ERR_LIMIT, "The text has more than %u sheets.", SHEET_COUNT_MAX);
        } else if (column > 0 && s) {
            if (named && row == 0 && t.n)
                row = 1; /* the header stands on the line of the name */
            rc = sheet_put(a, out, s, row, column - 1, CELL_TEXT, t, false, d);
        }
        column++;
    }
    buf_free(&field);
    if (!rc && out->sheets.count == 0)
        rc = diag_set(d, ERR_SYNTAX,
                      "No sheet was found: its name stands in the first column, its cells in the "
                      "columns after it.");
    return rc;
}
