/* From a file to an XForm: which kind it is, its sheets, the survey, the XML, and the compiler's opinion of
 * it.
 */
#include "forms/xlsform_impl.h"

#include "forms/limits.h"

enum form_source form_source_kind(struct str file_name, struct str bytes)
{
    struct str head = str_trim(str_starts(bytes, STR("\xef\xbb\xbf")) ? str_sub(bytes, 3, 64)
                                                                      : str_sub(bytes, 0, 64));
    size_t dot = file_name.n;
    while (dot > 0 && file_name.p[dot - 1] != '.')
        dot--;
    struct str end = dot ? str_sub(file_name, dot, file_name.n) : STR("");
    if (str_starts(bytes, STR("PK\x03\x04")))
        return SOURCE_XLSX;
    if (str_starts(bytes, STR("\xd0\xcf\x11\xe0")))
        return SOURCE_XLS;
    if (head.n && head.p[0] == '<')
        return SOURCE_XFORM;
    if (str_eq_nocase(end, STR("xlsx")) || str_eq_nocase(end, STR("xlsm")))
        return SOURCE_XLSX;
    if (str_eq_nocase(end, STR("xls")))
        return SOURCE_XLS;
    if (str_eq_nocase(end, STR("csv")))
        return SOURCE_CSV;
    if (str_eq_nocase(end, STR("md")))
        return SOURCE_MD;
    return SOURCE_XFORM;
}

/* The file's name without folders and end. */
static struct str stem(struct str file_name)
{
    size_t slash = file_name.n, dot = file_name.n;
    while (slash > 0 && file_name.p[slash - 1] != '/')
        slash--;
    while (dot > slash && file_name.p[dot - 1] != '.')
        dot--;
    return str_sub(file_name, slash, dot > slash ? dot - 1 - slash : file_name.n);
}

static enum err read_book(struct xl *x, struct str file_name, struct str bytes)
{
    switch (form_source_kind(file_name, bytes)) {
    case SOURCE_XLSX: return sheet_read_xlsx(x->a, bytes, &x->book, x->d);
    case SOURCE_CSV: return sheet_read_csv(x->a, bytes, &x->book, x->d);
    case SOURCE_MD: return sheet_read_md(x->a, bytes, &x->book, x->d);
    case SOURCE_XLS:
        return diag_set(
            x->d, ERR_SYNTAX,
            "This is a workbook in the old binary format (.xls). Open it in your spreadsheet program, choose "
            "\"Save as\", and take \"Excel Workbook (.xlsx)\".");
    case SOURCE_XFORM:
    default: return diag_set(x->d, ERR_SYNTAX, "This is no XLSForm: .xlsx, .csv and .md are read.");
    }
}

/* The cell that a line of the XML came from: the attribute that the finding names, else the row. */
static const struct xl_line *line_of(const struct xl *x, const struct form_finding *f, bool *named_out)
{
    const struct xl_line *best = NULL;
    *named_out = false;
    for (uint32_t i = 0; i < x->lines.count; i++) {
        const struct xl_line *l = &x->lines.at[i];
        if (l->line != f->line)
            continue;
        bool named = str_find(f->text, l->what) >= 0;
        if (!best || named)
            best = l;
        *named_out |= named;
        if (named && l->cell.column != NOWHERE && !str_eq_z(l->what, "bind"))
            break;
    }
    return best;
}

/* Where the sheets themselves have mistakes, the compiler is asked only for what it says of an expression in
 * a cell that nothing was said of yet: the rest may be no more than a consequence. */
static bool consequence(const struct xl *x, const struct form_finding *f, uint32_t told)
{
    bool named;
    const struct xl_line *l = f->line ? line_of(x, f, &named) : NULL;
    if (told == 0)
        return false;
    if (!l || !named || l->cell.column == NOWHERE || f->severity != FINDING_ERROR)
        return true;
    for (uint32_t i = 0; i < told; i++) {
        const struct xl_cell *c = &x->wrong.at[i];
        if (c->sheet == l->cell.sheet && c->row == l->cell.row &&
            (c->column == NOWHERE || c->column == l->cell.column))
            return true;
    }
    return false;
}

static void take_finding(struct xl *x, const struct form_finding *f)
{
    bool named;
    const struct xl_line *l = f->line ? line_of(x, f, &named) : NULL;
    struct xl_cell cell = l ? l->cell : (struct xl_cell){XL_SURVEY, 0, NOWHERE};
    if (cell.row == 0 && f->node.n)
        for (uint32_t i = 0; i < x->nodes.count; i++)
            if (str_eq(xl_node(x, i)->path, f->node))
                cell = xl_node(x, i)->cell;
    if (f->severity == FINDING_ERROR)
        xl_error(x, cell, "%.*s", STR_ARG(f->text));
    else
        xl_warning(x, cell, "%.*s", STR_ARG(f->text));
}

/* The compiler sees what the sheets do not show: syntax of expressions, unknown functions, cycles. */
static void check_result(struct xl *x, struct str xml)
{
    struct form_findings found = {0};
    struct diag d = {0};
    const struct form *form = NULL;
    struct arena scratch;
    uint32_t told = x->wrong.count;
    arena_init(&scratch, FORM_MEMORY_MAX);
    enum err rc = form_load(&scratch, xml, &form, &found, &d);
    for (uint32_t i = 0; i < found.list.count; i++)
        if ((found.list.at[i].severity == FINDING_ERROR || found.list.at[i].line) &&
            !consequence(x, &found.list.at[i], told))
            take_finding(x, &found.list.at[i]);
    if (rc && rc != ERR_SYNTAX && !x->rc && told == 0)
        x->rc = diag_set(x->d, rc, "%s", d.text);
    arena_free(&scratch);
}

enum err xlsform_convert(struct arena *a, struct str file_name, struct str bytes,
                         const struct xlsform_options *options, struct buf *xml_out,
                         struct xlsform_media *media, struct xlsform_summary *summary,
                         struct form_findings *findings, struct diag *d)
{
    struct diag own = {0};
    struct xlsform_options named = options ? *options : (struct xlsform_options){.unchecked = false};
    struct xl *x = arena_alloc(a, sizeof(*x));
    *findings = (struct form_findings){0};
    if (media)
        *media = (struct xlsform_media){STR(""), STR("")};
    if (!x)
        return diag_set(d, ERR_NOMEM, "The questionnaire does not fit into memory.");
    x->a = a;
    x->findings = findings;
    x->d = d ? d : &own;
    x->rc = read_book(x, file_name, bytes);
    if (!x->rc)
        xl_read_tables(x);
    if (x->rc || !x->tables[XL_SURVEY].present)
        goto done;
    if (!named.form_id.n)
        named.form_id = stem(file_name);
    xl_read_settings(x, &named);
    xl_read_choices(x);
    xl_read_entities(x);
    if (!x->rc)
        xl_read_survey(x);
    if (x->rc)
        goto done;
    xl_check_translations(x);
    xl_paths(x);
    xl_place_entities(x);
    xl_paths(x);
    if (!x->rc)
        xl_write(x, xml_out);
    if (!x->rc)
        xl_check_languages(x);
    bool half = findings->error_count > 0;
    if (!x->rc && !named.unchecked)
        check_result(x, buf_str(xml_out));
    if (half)
        buf_clear(xml_out); /* half of a form is none */
    if (!x->rc && media)
        xl_write_itemsets(x, media);
    if (!x->rc && summary)
        xl_summarise(x, summary);
done:
    return x->rc ? x->rc : findings->error_count ? ERR_SYNTAX : ERR_OK;
}

enum err form_source_to_xform(struct arena *a, struct str file_name, struct str bytes, struct str *xml_out,
                              struct xlsform_summary *summary, struct xlsform_media *media,
                              struct form_findings *findings, struct diag *d)
{
    struct buf xml;
    *findings = (struct form_findings){0};
    if (form_source_kind(file_name, bytes) == SOURCE_XFORM) {
        *xml_out = bytes;
        return ERR_OK;
    }
    buf_init(&xml, FORM_BYTES_MAX);
    enum err rc = xlsform_convert(a, file_name, bytes, NULL, &xml, media, summary, findings, d);
    if (!rc || (rc == ERR_SYNTAX && xml.n)) {
        struct str s = arena_str(a, buf_str(&xml));
        if (s.p)
            *xml_out = s;
        else
            rc = diag_set(d, ERR_NOMEM, "The form does not fit into memory.");
    }
    buf_free(&xml);
    return rc;
}
