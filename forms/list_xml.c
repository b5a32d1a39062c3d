/* A list from XML row by row, for the host that keeps it: a root element, rows of one name in it, and in each
 * row texts by name, the same names in the same order as far as they are there. Everything richer
 * (attributes, deeper elements, a name twice in a row) is no table and is read into memory instead. White
 * space between elements and comments are left out.
 *
 * The file is read twice through a small window: first for the columns, then for the rows.
 */
#include "forms/limits.h"
#include "forms/list_impl.h"
#include "platform/base/map.h"

#include <expat.h>

struct xml_rows {
    XML_Parser parser;
    struct arena a;
    const struct list_sink *sink; /* NULL: first reading */
    struct diag *d;
    enum err rc;
    uint32_t depth;
    struct str root, item;
    VEC(struct str) columns;
    struct map ids;
    uint32_t rows, column; /* in the open row: the column of the open cell, or the first that may follow */
    uint32_t there;        /* cells of the open row */
    bool sparse;
    struct buf text;
    uint32_t *from, *length; /* by column; `from` UINT32_MAX = not there */
    struct str *cells;
};

static void stop(struct xml_rows *r, enum err rc, const char *sentence)
{
    if (r->rc)
        return;
    r->rc = rc;
    diag_set_at(r->d, rc, (uint32_t)XML_GetCurrentLineNumber(r->parser),
                (uint32_t)XML_GetCurrentColumnNumber(r->parser) + 1, "%s", sentence);
    XML_StopParser(r->parser, XML_FALSE);
}

static void irregular(struct xml_rows *r)
{
    stop(r, ERR_STATE, "the list is no plain table");
}

static bool same_name(struct xml_rows *r, struct str *known, const char *name)
{
    if (!known->p)
        *known = arena_str(&r->a, str_of(name));
    return known->p && str_eq_z(*known, name);
}

static void open_cell(struct xml_rows *r, const char *name)
{
    uint32_t id;
    if (!map_get(&r->ids, str_of(name), &id)) {
        struct str own = arena_str(&r->a, str_of(name));
        struct str *slot = own.p && r->columns.count < LIST_COLUMNS_MAX ? vec_push(&r->a, &r->columns) : NULL;
        id = r->columns.count - 1;
        if (!slot || map_put(&r->ids, own, id)) {
            irregular(r);
            return;
        }
        *slot = own;
        r->sparse |= r->rows > 1;
    }
    if (id < r->column)
        irregular(r);
    r->column = id;
    if (r->sink)
        r->from[id] = (uint32_t)r->text.n;
}

static void open_row(struct xml_rows *r)
{
    r->rows++;
    r->column = r->there = 0;
    buf_clear(&r->text);
    for (uint32_t i = 0; r->sink && i < r->columns.count; i++)
        r->from[i] = UINT32_MAX;
}

static void XMLCALL on_start(void *user, const char *name, const char **attributes)
{
    struct xml_rows *r = user;
    if (r->rc)
        return;
    for (uint32_t i = 0; attributes[i]; i += 2)
        if (r->depth > 0 || !str_starts(str_of(attributes[i]), STR("xmlns")))
            irregular(r);
    r->depth++;
    if (str_find(str_of(name), STR(":")) >= 0 || r->depth > 3 ||
        (r->depth == 1 && !same_name(r, &r->root, name)) || (r->depth == 2 && !same_name(r, &r->item, name)))
        irregular(r);
    else if (r->depth == 2)
        open_row(r);
    else if (r->depth == 3)
        open_cell(r, name);
    if (r->rows > LIST_ROWS_MAX)
        stop(r, ERR_LIMIT, "the list has too many rows");
}

static void give_row(struct xml_rows *r)
{
    for (uint32_t i = 0; i < r->columns.count; i++)
        r->cells[i] = r->from[i] == UINT32_MAX
                          ? STR_NONE
                          : (struct str){r->text.n ? r->text.p + r->from[i] : "", r->length[i]};
    enum err rc = r->text.failed ? r->text.failed : r->sink->row(r->sink->self, r->cells, r->d);
    if (rc)
        stop(r, rc, "this row of the list cannot be kept");
}

static void XMLCALL on_end(void *user, const char *name)
{
    struct xml_rows *r = user;
    (void)name;
    if (r->rc)
        return;
    if (r->depth == 3) {
        if (r->sink)
            r->length[r->column] = (uint32_t)r->text.n - r->from[r->column];
        r->column++;
        r->there++;
    } else if (r->depth == 2) {
        r->sparse |= r->there != r->columns.count;
        if (r->sink)
            give_row(r);
    }
    r->depth--;
}

static void XMLCALL on_text(void *user, const char *p, int n)
{
    struct xml_rows *r = user;
    struct str text = {p, (size_t)n};
    if (r->rc)
        return;
    if (r->depth == 3 && r->sink)
        buf_put_str(&r->text, text);
    else if (r->depth < 3 && str_trim(text).n)
        irregular(r);
}

static void XMLCALL on_entity(void *user, const char *name, int is_parameter, const char *value, int length,
                              const char *base, const char *system, const char *public, const char *notation)
{
    (void)name, (void)is_parameter, (void)value, (void)length, (void)base, (void)system, (void)public,
        (void)notation;
    stop(user, ERR_SYNTAX,
         "the document declares an XML entity, which is not allowed; write the text itself");
}

static enum err read_once(struct xml_rows *r, const struct list_bytes *xml)
{
    r->parser = XML_ParserCreate(NULL);
    if (!r->parser)
        return diag_set(r->d, ERR_NOMEM, "no memory left to read this list");
    r->depth = r->rows = 0;
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_start, on_end);
    XML_SetCharacterDataHandler(r->parser, on_text);
    XML_SetEntityDeclHandler(r->parser, on_entity);
    size_t n = 1;
    for (size_t at = 0; n > 0 && !r->rc; at += n) {
        void *window = XML_GetBuffer(r->parser, (int)LIST_WINDOW);
        n = 0;
        enum err rc = window ? xml->read(xml->self, at, window, LIST_WINDOW, &n, r->d) : ERR_NOMEM;
        if (rc || at + n > LIST_BYTES_MAX)
            r->rc = rc ? rc : list_too_large(at + n, r->d);
        else if (XML_ParseBuffer(r->parser, (int)n, n == 0) != XML_STATUS_OK && !r->rc)
            stop(r, ERR_SYNTAX, XML_ErrorString(XML_GetErrorCode(r->parser)));
    }
    XML_ParserFree(r->parser);
    return r->rc;
}

static enum err give_all(struct xml_rows *r, const struct list_bytes *xml, const struct list_sink *sink)
{
    struct list_shape shape = {.root = r->root,
                               .item = r->item,
                               .columns = r->columns.at,
                               .column_count = r->columns.count,
                               .sparse = r->sparse};
    if (!r->rows || !r->columns.count)
        return list_irregular(r->d);
    r->sink = sink;
    r->from = ARENA_ARRAY(&r->a, uint32_t, r->columns.count);
    r->length = ARENA_ARRAY(&r->a, uint32_t, r->columns.count);
    r->cells = ARENA_ARRAY(&r->a, struct str, r->columns.count);
    if (!r->from || !r->length || !r->cells)
        return diag_set(r->d, ERR_NOMEM, "no memory left to read this list");
    enum err rc = sink->shape(sink->self, &shape, r->d);
    return rc ? rc : read_once(r, xml);
}

enum err list_import_xml(const struct list_bytes *xml, const struct list_sink *sink, struct diag *d)
{
    struct xml_rows r = {.d = d};
    arena_init(&r.a, (size_t)16 << 20);
    buf_init(&r.text, LIST_ROW_BYTES_MAX);
    map_init(&r.ids, &r.a);
    enum err rc = read_once(&r, xml);
    if (!rc)
        rc = give_all(&r, xml, sink);
    buf_free(&r.text);
    arena_free(&r.a);
    return rc;
}
