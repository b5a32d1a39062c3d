/* Workbooks in Office Open XML (.xlsx): a zip of XML parts, read from memory. Only the parts that hold cells
 * are opened, each inflated to at most a cap whatever the archive claims; entities that a part declares are
 * refused. Shared and inline strings (rich text joined), numbers and dates as a spreadsheet shows them,
 * booleans, cached values of formulas. Styles are read only for whether a number is a date.
 */
#include "forms/xlsform_sheet.h"

#include <expat.h>
#include <zip.h>

#include "platform/base/buf.h"
#include "platform/base/civil.h"
#include "platform/base/map.h"
#include "platform/base/num.h"

/* So much of a part is unpacked and parsed at once: all of most. */
#define PIECE ((size_t)2 << 20)

struct part_sheet {
    struct str name, relation, path;
    bool hidden;
};
struct xlsx {
    struct arena *a;
    struct workbook *book;
    struct diag *d;
    enum err rc;
    zip_t *zip;
    VEC(struct str) strings; /* shared */
    VEC(struct part_sheet) sheets;
    VEC(bool) date_style;      /* by cell style */
    VEC(uint32_t) date_format; /* custom number formats that show dates */
    bool since_1904;
    /* state of the part being read */
    XML_Parser parser;
    struct sheet *sheet;
    struct buf text;
    bool in_text, in_phonetic, in_cell, in_styles;
    const char *part;
    uint32_t row, column, style;
    char kind; /* of the cell: s, i(nline), t(formula text), b, e(rror), n */
};

/* --- the archive --- */

static void XMLCALL no_entities(void *self, const XML_Char *name, int parameter, const XML_Char *value,
                                int length, const XML_Char *base, const XML_Char *system,
                                const XML_Char *public_id, const XML_Char *notation)
{
    struct xlsx *x = self;
    (void)name, (void)parameter, (void)value, (void)length, (void)base, (void)system, (void)public_id,
        (void)notation;
    if (!x->rc)
        x->rc = diag_set(x->d, ERR_SYNTAX,
                         "The workbook declares XML entities, which no spreadsheet program does.");
    XML_StopParser(x->parser, XML_FALSE);
}

static void stop(struct xlsx *x, enum err rc)
{
    if (!x->rc)
        x->rc = rc;
    XML_StopParser(x->parser, XML_FALSE);
}

static enum err parse(struct xlsx *x, size_t n, bool last)
{
    if (XML_ParseBuffer(x->parser, (int)n, last) != XML_STATUS_OK && !x->rc)
        x->rc = diag_set(x->d, ERR_CORRUPT, "The workbook is damaged: %s, line %lu: %s.", x->part,
                         XML_GetCurrentLineNumber(x->parser), XML_ErrorString(XML_GetErrorCode(x->parser)));
    return x->rc;
}

/* Unpacks into the parser's own buffer; memory grows with what is parsed, not with what an archive claims. */
static enum err feed(struct xlsx *x, zip_file_t *f, size_t claimed)
{
    size_t total = 0, room = claimed < PIECE ? claimed + 1 : PIECE;
    bool last = false;
    while (!last && !x->rc) {
        char *block = XML_GetBuffer(x->parser, (int)room);
        if (!block)
            return diag_set(x->d, ERR_NOMEM, "No memory to read the workbook.");
        zip_int64_t n = zip_fread(f, block, room);
        if (n < 0)
            return diag_set(
                x->d, ERR_CORRUPT,
                "The workbook is damaged: %s cannot be unpacked. Save it again, or send it again.", x->part);
        total += (size_t)n;
        if (total > SHEET_PART_BYTES_MAX)
            return diag_set(x->d, ERR_LIMIT, "%s in the workbook is larger than %u bytes unpacked.", x->part,
                            SHEET_PART_BYTES_MAX);
        last = (size_t)n < room;
        (void)parse(x, (size_t)n, last);
    }
    return x->rc;
}

/* ERR_NOT_FOUND when there is no part of that name. */
static enum err parse_part(struct xlsx *x, const char *name, XML_StartElementHandler start,
                           XML_EndElementHandler end, XML_CharacterDataHandler data)
{
    zip_stat_t claimed = {0};
    if (zip_stat(x->zip, name, ZIP_FL_NOCASE, &claimed))
        return ERR_NOT_FOUND;
    zip_file_t *f = zip_fopen(x->zip, name, ZIP_FL_NOCASE);
    if (!f)
        return ERR_NOT_FOUND;
    x->parser = XML_ParserCreate(NULL);
    enum err rc = x->parser ? ERR_OK : diag_set(x->d, ERR_NOMEM, "No memory to read the workbook.");
    if (!rc) {
        XML_SetUserData(x->parser, x);
        XML_SetElementHandler(x->parser, start, end);
        XML_SetCharacterDataHandler(x->parser, data);
        XML_SetEntityDeclHandler(x->parser, no_entities);
        x->part = name;
        rc = feed(x, f, claimed.size < PIECE ? (size_t)claimed.size : PIECE);
        XML_ParserFree(x->parser);
        x->parser = NULL;
    }
    zip_fclose(f);
    if (rc && !x->rc)
        x->rc = rc;
    return rc;
}

/* Prefixes are left away unread: no part mixes vocabularies that share names. */
static const char *local(const XML_Char *name)
{
    const char *bar = name[1] ? strchr(name, ':') : NULL;
    return bar ? bar + 1 : name;
}

static const char *attribute(const XML_Char **attributes, const char *name)
{
    for (; attributes[0]; attributes += 2)
        if (strcmp(local(attributes[0]), name) == 0)
            return attributes[1];
    return NULL;
}

static uint32_t number_of(const char *z)
{
    int64_t v = 0;
    return z && str_to_i64(str_of(z), &v) && v >= 0 && v < UINT32_MAX ? (uint32_t)v : 0;
}

static void XMLCALL take_text(void *self, const XML_Char *s, int n)
{
    struct xlsx *x = self;
    if (x->in_text && !x->in_phonetic)
        buf_put(&x->text, s, (size_t)n);
}

/* --- workbook.xml, its relations, styles --- */

static void XMLCALL workbook_start(void *self, const XML_Char *name, const XML_Char **attributes)
{
    struct xlsx *x = self;
    const char *value;
    if (strcmp(local(name), "workbookPr") == 0 && (value = attribute(attributes, "date1904")) != NULL)
        x->since_1904 = strcmp(value, "1") == 0 || strcmp(value, "true") == 0;
    if (strcmp(local(name), "sheet") != 0)
        return;
    struct part_sheet *s = x->sheets.count < SHEET_COUNT_MAX ? vec_push(x->a, &x->sheets) : NULL;
    if (!s) {
        stop(x, diag_set(x->d, ERR_LIMIT, "The workbook has more than %u sheets.", SHEET_COUNT_MAX));
        return;
    }
    value = attribute(attributes, "state");
    s->hidden = value && strcmp(value, "visible") != 0;
    s->name = arena_str(x->a, str_of(attribute(attributes, "name") ? attribute(attributes, "name") : ""));
    for (const XML_Char **a = attributes; a[0]; a += 2)
        if (strchr(a[0], ':') && strcmp(local(a[0]), "id") == 0)
            s->relation = arena_str(x->a, str_of(a[1]));
}

static void XMLCALL relation_start(void *self, const XML_Char *name, const XML_Char **attributes)
{
    struct xlsx *x = self;
    const char *id = attribute(attributes, "Id"), *target = attribute(attributes, "Target");
    (void)name;
    for (uint32_t i = 0; id && target && i < x->sheets.count; i++)
        if (str_eq_z(x->sheets.at[i].relation, id)) {
            char path[512];
            struct buf b;
            buf_init(&b, sizeof(path) - 1);
            buf_put_z(&b, target[0] == '/' ? "" : "xl/");
            buf_put_z(&b, target[0] == '/' ? target + 1 : target);
            x->sheets.at[i].path = b.failed ? STR("") : arena_str(x->a, buf_str(&b));
            buf_free(&b);
        }
}

/* Does a number format show a date? Letters in quotes, brackets and after backslashes do not count. */
static bool shows_date(struct str f)
{
    bool quoted = false, bracket = false;
    for (size_t i = 0; i < f.n; i++) {
        char c = f.p[i];
        if (c == '"')
            quoted = !quoted;
        else if (c == '[' || c == ']')
            bracket = c == '[';
        else if (c == '\\' || c == '_' || c == '*')
            i++;
        else if (!quoted && !bracket && memchr("dmyhsDMYHS", c, 10))
            return true;
    }
    return false;
}

static bool date_format(const struct xlsx *x, uint32_t id)
{
    if ((id >= 14 && id <= 22) || (id >= 45 && id <= 47))
        return true;
    for (uint32_t i = 0; i < x->date_format.count; i++)
        if (x->date_format.at[i] == id)
            return true;
    return false;
}

static void XMLCALL style_start(void *self, const XML_Char *name, const XML_Char **attributes)
{
    struct xlsx *x = self;
    const char *n = local(name), *code = attribute(attributes, "formatCode");
    if (strcmp(n, "cellXfs") == 0)
        x->in_styles = true;
    if (strcmp(n, "numFmt") == 0 && code && shows_date(str_of(code))) {
        uint32_t *id = vec_push(x->a, &x->date_format);
        if (id)
            *id = number_of(attribute(attributes, "numFmtId"));
    }
    if (strcmp(n, "xf") == 0 && x->in_styles) {
        bool *date = vec_push(x->a, &x->date_style);
        if (date)
            *date = date_format(x, number_of(attribute(attributes, "numFmtId")));
    }
}

static void XMLCALL style_end(void *self, const XML_Char *name)
{
    struct xlsx *x = self;
    if (strcmp(local(name), "cellXfs") == 0)
        x->in_styles = false;
}

/* --- shared strings --- */

static void XMLCALL string_start(void *self, const XML_Char *name, const XML_Char **attributes)
{
    struct xlsx *x = self;
    const char *n = local(name);
    (void)attributes;
    if (strcmp(n, "si") == 0)
        buf_clear(&x->text);
    x->in_text = strcmp(n, "t") == 0;
    if (strcmp(n, "rPh") == 0)
        x->in_phonetic = true;
}

static void XMLCALL string_end(void *self, const XML_Char *name)
{
    struct xlsx *x = self;
    const char *n = local(name);
    x->in_text = false;
    if (strcmp(n, "rPh") == 0)
        x->in_phonetic = false;
    if (strcmp(n, "si") != 0)
        return;
    struct str *s = x->strings.count < SHEET_CELLS_MAX ? vec_push(x->a, &x->strings) : NULL;
    if (!s || x->text.failed)
        stop(x, diag_set(x->d, ERR_LIMIT, "The workbook has more or longer texts than are read."));
    else if (!(*s = arena_str(x->a, buf_str(&x->text))).p)
        stop(x, diag_set(x->d, ERR_NOMEM, "The workbook does not fit into memory."));
}

/* --- cells --- */

/* "B12" → column 1; what is no cell name gives `otherwise`. */
static uint32_t column_of(const char *name, uint32_t otherwise)
{
    uint32_t c = 0;
    for (; name && *name >= 'A' && *name <= 'Z' && c < SHEET_COLUMNS_MAX; name++)
        c = c * 26 + (uint32_t)(*name - 'A' + 1);
    return c ? c - 1 : otherwise;
}

static size_t number_text(double v, char out[static NUM_TEXT_MAX])
{
    return num_write(v, out);
}

static void two_digits(struct buf *b, int64_t v)
{
    buf_put_char(b, (char)('0' + v / 10 % 10));
    buf_put_char(b, (char)('0' + v % 10));
}

/* Days since the end of 1899 (there was a 29 February 1900, spreadsheets believe) with a fraction, to the
 * millisecond, which is what a spreadsheet stores. */
static void date_text(struct xlsx *x, double v, struct buf *out)
{
    int64_t ms = (int64_t)(v * 86400000.0 + 0.5), days = ms / 86400000;
    char day[16];
    ms %= 86400000;
    if (v >= 1 || ms == 0) {
        int64_t epoch = x->since_1904 ? civil_days(1904, 1, 1) : civil_days(1899, 12, days < 60 ? 31 : 30);
        buf_put(out, day, civil_write_date(epoch + days, day));
        if (!ms)
            return;
        buf_put_char(out, ' ');
    }
    two_digits(out, ms / 3600000);
    buf_put_char(out, ':');
    two_digits(out, ms / 60000 % 60);
    buf_put_char(out, ':');
    two_digits(out, ms / 1000 % 60);
    if (ms % 1000) {
        buf_put_char(out, '.');
        buf_put_char(out, (char)('0' + ms / 100 % 10));
        two_digits(out, ms % 100);
        buf_put_z(out, "000");
    }
}

static void put_cell(struct xlsx *x, enum cell_type type, struct str s)
{
    /* No-break spaces come from copying out of web pages; nobody means them. */
    struct buf clean;
    buf_init(&clean, SHEET_PART_BYTES_MAX);
    if (str_find(s, STR("\u00a0")) >= 0) {
        for (size_t i = 0; i < s.n; i++)
            if (str_starts(str_sub(s, i, 2), STR("\u00a0"))) {
                buf_put_char(&clean, ' ');
                i++;
            } else {
                buf_put_char(&clean, s.p[i]);
            }
        s = buf_str(&clean);
    }
    bool kept = x->kind == 's' && !clean.n; /* shared strings live in the arena already */
    enum err rc = sheet_put(x->a, x->book, x->sheet, x->row, x->column, type, s, kept, x->d);
    buf_free(&clean);
    if (rc)
        stop(x, rc);
}

static void end_cell(struct xlsx *x)
{
    struct str s = buf_str(&x->text);
    double v;
    char digits[NUM_TEXT_MAX];
    int64_t index;
    if (x->text.failed) {
        stop(x, diag_set(x->d, ERR_LIMIT,
                         "A cell in row %u of sheet %.*s holds more text than is read (%u bytes).", x->row,
                         STR_ARG(x->sheet->name), SHEET_CELL_BYTES_MAX));
        return;
    }
    if (s.n == 0)
        return; /* no value, whatever type it says it has */
    if (x->kind == 's') {
        if (!str_to_i64(str_trim(s), &index) || index < 0 || index >= x->strings.count)
            stop(x, diag_set(x->d, ERR_CORRUPT,
                             "The workbook is damaged: a cell in row %u of sheet %.*s names a text "
                             "that is not there.",
                             x->row, STR_ARG(x->sheet->name)));
        else
            put_cell(x, CELL_TEXT, x->strings.at[index]);
    } else if (x->kind == 'b') {
        put_cell(x, CELL_BOOL, str_eq_z(str_trim(s), "1") ? STR("TRUE") : STR("FALSE"));
    } else if (x->kind == 'n' && num_read_exp(str_trim(s), &v)) {
        bool date = x->style < x->date_style.count && x->date_style.at[x->style] && v >= 0 && v < 2958466;
        if (date) {
            struct buf b;
            buf_init(&b, 64);
            date_text(x, v, &b);
            put_cell(x, CELL_DATE, buf_str(&b));
            buf_free(&b);
        } else {
            put_cell(x, CELL_NUMBER, (struct str){digits, number_text(v, digits)});
        }
    } else {
        put_cell(x, CELL_TEXT, s);
    }
}

static void begin_row(struct xlsx *x, const XML_Char **attributes)
{
    const char *number = attribute(attributes, "r");
    x->row = number ? number_of(number) : x->row + 1;
    x->column = UINT32_MAX;
}

static char kind_of(const char *type)
{
    return type[0] && !type[1] && strchr("sbn", type[0]) ? type[0] : 't';
}

static void begin_cell(struct xlsx *x, const XML_Char **attributes)
{
    uint32_t after = x->column + 1;
    x->column = after;
    x->style = 0;
    x->kind = 'n';
    for (; attributes[0]; attributes += 2) {
        const char *n = attributes[0], *value = attributes[1]; /* its own attributes have no prefix */
        if (strcmp(n, "r") == 0)
            x->column = column_of(value, after);
        else if (strcmp(n, "s") == 0)
            x->style = number_of(value);
        else if (strcmp(n, "t") == 0)
            x->kind = kind_of(value);
    }
    x->in_cell = true;
    buf_clear(&x->text);
}

static void XMLCALL cell_start(void *self, const XML_Char *name, const XML_Char **attributes)
{
    struct xlsx *x = self;
    const char *n = local(name);
    if (strcmp(n, "c") == 0) {
        begin_cell(x, attributes);
    } else if (strcmp(n, "row") == 0) {
        begin_row(x, attributes);
    } else if (x->in_cell) {
        x->in_text = strcmp(n, "v") == 0 || strcmp(n, "t") == 0;
        if (strcmp(n, "rPh") == 0)
            x->in_phonetic = true;
    }
}

static void XMLCALL cell_end(void *self, const XML_Char *name)
{
    struct xlsx *x = self;
    const char *n = local(name);
    x->in_text = false;
    if (strcmp(n, "rPh") == 0)
        x->in_phonetic = false;
    if (strcmp(n, "c") == 0 && x->in_cell) {
        x->in_cell = false;
        end_cell(x);
    }
}

static bool wanted(struct str name)
{
    static const char *const names[] = {"survey",           "choices",  "settings",
                                        "external_choices", "entities", "osm"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (str_eq_nocase(str_trim(name), str_of(names[i])))
            return true;
    return false;
}

static enum err read_sheets(struct xlsx *x)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; i < x->sheets.count && !rc; i++) {
        struct part_sheet *s = &x->sheets.at[i];
        x->sheet = workbook_add(x->a, x->book, s->name);
        if (!x->sheet)
            return diag_set(x->d, ERR_LIMIT, "The workbook has more than %u sheets.", SHEET_COUNT_MAX);
        x->sheet->hidden = s->hidden;
        if (!wanted(s->name) || !s->path.n)
            continue;
        x->row = 0;
        rc = parse_part(x, s->path.p, cell_start, cell_end, take_text);
        if (rc == ERR_NOT_FOUND)
            rc = diag_set(x->d, ERR_CORRUPT, "The workbook is damaged: the sheet %.*s is missing.",
                          STR_ARG(s->name));
    }
    return rc;
}

static enum err read_archive(struct xlsx *x)
{
    enum err rc = parse_part(x, "xl/workbook.xml", workbook_start, NULL, NULL);
    if (rc == ERR_NOT_FOUND)
        return diag_set(x->d, ERR_SYNTAX,
                        "This zip archive is no Excel workbook (it has no xl/workbook.xml).");
    if (!rc)
        rc = parse_part(x, "xl/_rels/workbook.xml.rels", relation_start, NULL, NULL);
    if (!rc)
        rc = parse_part(x, "xl/sharedStrings.xml", string_start, string_end, take_text);
    if (!rc || rc == ERR_NOT_FOUND)
        rc = parse_part(x, "xl/styles.xml", style_start, style_end, NULL);
    if (!rc || rc == ERR_NOT_FOUND)
        rc = read_sheets(x);
    return rc;
}

enum err sheet_read_xlsx(struct arena *a, struct str bytes, struct workbook *out, struct diag *d)
{
    struct xlsx *x = arena_alloc(a, sizeof *x);
    zip_error_t error;
    if (!x)
        return diag_set(d, ERR_NOMEM, "No memory to read the workbook.");
    x->a = a;
    x->book = out;
    x->d = d;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(bytes.p, bytes.n, 0, &error);
    x->zip = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    if (!x->zip) {
        enum err rc = diag_set(d, ERR_CORRUPT,
                               "The workbook cannot be opened (%s). Save it again, or send it again.",
                               zip_error_strerror(&error));
        if (source)
            zip_source_free(source);
        zip_error_fini(&error);
        return rc;
    }
    zip_error_fini(&error);
    buf_init(&x->text, SHEET_CELL_BYTES_MAX);
    enum err rc = read_archive(x);
    buf_free(&x->text);
    zip_discard(x->zip);
    return rc;
}
