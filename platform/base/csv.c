/* Reading CSV as people's spreadsheets write it: RFC 4180, and kind to what is common besides (LF ends, a
 * byte order mark, empty lines, a last line without end). A quote inside a plain field is refused with its
 * place: it is the sign of a broken file. */
#include "platform/base/csv.h"

void csv_open(struct csv *c, struct str text)
{
    *c = (struct csv){.rest = text, .next_line = 1};
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        c->rest = str_sub(text, 3, text.n);
}

static bool at_end(const struct csv *c)
{
    return c->rest.n == 0;
}

static char take(struct csv *c)
{
    char x = c->rest.p[0];
    c->rest = str_sub(c->rest, 1, c->rest.n);
    c->next_line += x == '\n';
    return x;
}

/* After the opening quote. Doubled quotes stand for one. */
static enum err quoted(struct csv *c, char *out, size_t *n, uint32_t column, struct diag *d)
{
    uint32_t line = c->next_line;
    while (!at_end(c)) {
        char x = take(c);
        if (x != '"') {
            out[(*n)++] = x;
        } else if (!at_end(c) && c->rest.p[0] == '"') {
            out[(*n)++] = take(c);
        } else {
            if (at_end(c) || c->rest.p[0] == ',' || c->rest.p[0] == '\n' || c->rest.p[0] == '\r')
                return ERR_OK;
            return diag_set_at(d, ERR_SYNTAX, c->next_line, column,
                               "Row at line %u, column %u: text follows a closing quote.", line, column);
        }
    }
    return diag_set_at(d, ERR_SYNTAX, line, column, "Row at line %u, column %u: the quote is never closed.",
                       line, column);
}

static enum err plain(struct csv *c, char *out, size_t *n, uint32_t column, struct diag *d)
{
    while (!at_end(c) && c->rest.p[0] != ',' && c->rest.p[0] != '\n' && c->rest.p[0] != '\r') {
        char x = take(c);
        if (x == '"')
            return diag_set_at(d, ERR_SYNTAX, c->next_line, column,
                               "Row at line %u, column %u: a quote stands inside a field that is not quoted.",
                               c->next_line, column);
        out[(*n)++] = x;
    }
    return ERR_OK;
}

static size_t row_bound(const struct csv *c)
{
    bool in_quotes = false;
    size_t i = 0;
    for (; i < c->rest.n && (in_quotes || c->rest.p[i] != '\n'); i++) {
        if (c->rest.p[i] == '"')
            in_quotes = !in_quotes;
    }
    return i;
}

enum err csv_row(struct csv *c, struct arena *a, struct str *fields_out, uint32_t *count_out, struct diag *d)
{
    uint32_t count = 0;
    while (!at_end(c) && (c->rest.p[0] == '\n' || c->rest.p[0] == '\r'))
        (void)take(c);
    c->line = c->next_line;
    *count_out = 0;
    if (at_end(c))
        return ERR_OK;
    char *text = arena_alloc(a, row_bound(c) + 1);
    size_t n = 0;
    if (!text)
        return diag_set(d, ERR_NOMEM, "Out of memory while reading line %u.", c->line);
    for (;;) {
        if (count == CSV_FIELDS_MAX)
            return diag_set_at(d, ERR_LIMIT, c->line, count, "Line %u has more than %d columns.", c->line,
                               CSV_FIELDS_MAX);
        size_t from = n;
        bool is_quoted = !at_end(c) && c->rest.p[0] == '"';
        if (is_quoted)
            (void)take(c);
        enum err rc = is_quoted ? quoted(c, text, &n, count + 1, d) : plain(c, text, &n, count + 1, d);
        if (rc)
            return rc;
        fields_out[count] = (struct str){text + from, n - from};
        if (!utf8_valid(fields_out[count]))
            return diag_set_at(d, ERR_SYNTAX, c->line, count + 1,
                               "Line %u, column %u is not UTF-8: save the file as \"CSV UTF-8\".", c->line,
                               count + 1);
        count++;
        if (at_end(c) || c->rest.p[0] != ',')
            break;
        (void)take(c);
    }
    *count_out = count;
    return ERR_OK;
}
