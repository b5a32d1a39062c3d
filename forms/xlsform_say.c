/* What the converter says, each time with the cell it speaks of.
 */
#include "forms/xlsform_impl.h"

#include "forms/limits.h"

static const char *const sheet_names[XL_SHEETS] = {"survey",           "choices",  "settings",
                                                   "external_choices", "entities", "osm"};

void *xl_check(struct xl *x, void *p)
{
    if (!p && !x->rc)
        x->rc = diag_set(x->d, ERR_NOMEM, "The questionnaire does not fit into memory.");
    return p;
}

static void put_place(struct xl *x, struct buf *b, struct xl_cell cell)
{
    const struct xl_table *t = &x->tables[cell.sheet];
    char name[CELL_NAME_MAX];
    buf_put_str(b, t->present ? t->name : str_of(sheet_names[cell.sheet]));
    if (cell.row > 0 && cell.column == NOWHERE)
        buf_printf(b, "!%u", cell.row);
    else if (cell.row > 0 && cell_name(cell.row, cell.column, name))
        buf_printf(b, "!%s", name);
    buf_put_z(b, ": ");
}

void xl_say(struct xl *x, enum finding_severity severity, struct xl_cell cell, const char *format,
            va_list args)
{
    struct form_findings *f = x->findings;
    struct buf text;
    buf_init(&text, 1u << 20);
    put_place(x, &text, cell);
    buf_vprintf(&text, format, args);
    if (severity == FINDING_ERROR) {
        struct xl_cell *wrong = f->error_count < FORM_FINDINGS_MAX ? xl_push(x, &x->wrong) : NULL;
        if (wrong)
            *wrong = cell;
        f->error_count++;
        diag_set(x->d, ERR_SYNTAX, "%.*s", STR_ARG(buf_str(&text)));
    }
    if (f->list.count < FORM_FINDINGS_MAX) {
        struct form_finding *one = xl_push(x, &f->list);
        if (one)
            *one = (struct form_finding){severity, 0, 0, STR(""), arena_str(x->a, buf_str(&text))};
    } else if (f->list.count == FORM_FINDINGS_MAX) {
        struct form_finding *one = xl_push(x, &f->list);
        if (one)
            *one = (struct form_finding){severity, 0, 0, STR(""),
                                         STR("There are more findings; these are the first ones.")};
    }
    buf_free(&text);
}

void xl_error(struct xl *x, struct xl_cell cell, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    xl_say(x, FINDING_ERROR, cell, format, args);
    va_end(args);
}

void xl_warning(struct xl *x, struct xl_cell cell, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    xl_say(x, FINDING_WARNING, cell, format, args);
    va_end(args);
}

struct str xl_text_of(struct xl *x, const char *format, ...)
{
    struct buf text;
    va_list args;
    buf_init(&text, FORM_BYTES_MAX);
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    struct str s = arena_str(x->a, buf_str(&text));
    buf_free(&text);
    return xl_check(x, s.n ? (void *)(uintptr_t)s.p : x) && s.p ? s : STR("");
}

struct str xl_concat(struct xl *x, struct str a, struct str b, struct str c)
{
    char *p = xl_check(x, arena_alloc(x->a, a.n + b.n + c.n + 1));
    if (!p)
        return STR("");
    memcpy(p, a.n ? a.p : "", a.n);
    memcpy(p + a.n, b.n ? b.p : "", b.n);
    memcpy(p + a.n + b.n, c.n ? c.p : "", c.n);
    return (struct str){p, a.n + b.n + c.n};
}

struct xl_cell xl_cell_of(enum xl_sheet sheet, const struct xl_row *row, const struct xl_prop *p)
{
    return (struct xl_cell){sheet, row->number, p ? p->column->column : NOWHERE};
}

struct str xl_lower(struct xl *x, struct str s)
{
    struct str low = arena_str(x->a, s);
    if (!xl_check(x, s.n ? (void *)(uintptr_t)low.p : x))
        return STR("");
    char *p = s.n ? arena_alloc(x->a, s.n + 1) : NULL;
    for (size_t i = 0; p && i < s.n; i++)
        p[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i];
    return p ? (struct str){p, s.n} : s;
}

/* Levenshtein's, for names of ordinary length; longer ones are simply far away. */
uint32_t xl_distance(struct str a, struct str b)
{
    uint32_t before[65], now[65];
    if (a.n > 64 || b.n > 64)
        return 64;
    for (uint32_t j = 0; j <= b.n; j++)
        before[j] = j;
    for (uint32_t i = 0; i < a.n; i++) {
        now[0] = i + 1;
        for (uint32_t j = 0; j < b.n; j++) {
            uint32_t change = before[j] + (a.p[i] != b.p[j]), drop = before[j + 1] + 1, add = now[j] + 1;
            now[j + 1] = change < drop ? change : drop;
            now[j + 1] = now[j + 1] < add ? now[j + 1] : add;
        }
        memcpy(before, now, sizeof(now));
    }
    return before[b.n];
}
