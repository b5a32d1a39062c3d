/* Fuzz target: workbooks. Input that begins like an archive is read as .xlsx; one that begins with "<" is the
 * first sheet of a sound .xlsx, so that cells are reached without having to guess checksums; the rest is read
 * as CSV and as Markdown. What is read keeps the promises of the sheet model: cells in order, inside the
 * caps, none of them empty.
 */
#include "forms/xlsform.h"
#include "forms/xlsform_sheet.h"
#include "platform/base/buf.h"

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

static uint32_t crc(struct str s)
{
    uint32_t c = UINT32_MAX;
    for (size_t i = 0; i < s.n; i++) {
        c ^= (unsigned char)s.p[i];
        for (int k = 0; k < 8; k++)
            c = c >> 1 ^ (c & 1 ? 0xEDB88320u : 0);
    }
    return ~c;
}

struct archive {
    struct buf bytes, directory;
    uint16_t parts;
};

static void sizes(struct buf *b, struct str content)
{
    buf_put_u16le(b, 0); /* stored */
    buf_put_u32le(b, 0); /* no time */
    buf_put_u32le(b, crc(content));
    buf_put_u32le(b, (uint32_t)content.n);
    buf_put_u32le(b, (uint32_t)content.n);
}

static void add(struct archive *z, const char *name, struct str content)
{
    struct str n = str_of(name);
    uint32_t at = (uint32_t)z->bytes.n;
    buf_put(&z->bytes, "PK\3\4\24\0\0\0", 8);
    sizes(&z->bytes, content);
    buf_put_u16le(&z->bytes, (uint16_t)n.n);
    buf_put_u16le(&z->bytes, 0);
    buf_put_str(&z->bytes, n);
    buf_put_str(&z->bytes, content);
    buf_put(&z->directory, "PK\1\2\24\0\24\0\0\0", 10);
    sizes(&z->directory, content);
    buf_put_u16le(&z->directory, (uint16_t)n.n);
    buf_put(&z->directory, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    buf_put_u32le(&z->directory, at);
    buf_put_str(&z->directory, n);
    z->parts++;
}

static void close_archive(struct archive *z)
{
    uint32_t at = (uint32_t)z->bytes.n;
    buf_put_str(&z->bytes, buf_str(&z->directory));
    buf_put(&z->bytes, "PK\5\6\0\0\0\0", 8);
    buf_put_u16le(&z->bytes, z->parts);
    buf_put_u16le(&z->bytes, z->parts);
    buf_put_u32le(&z->bytes, (uint32_t)z->directory.n);
    buf_put_u32le(&z->bytes, at);
    buf_put_u16le(&z->bytes, 0);
}

static void run_sheet(struct str sheet)
{
    struct archive z = {.parts = 0};
    buf_init(&z.bytes, 1u << 20);
    buf_init(&z.directory, 1u << 20);
    add(&z, "xl/workbook.xml",
        STR("<workbook><sheets><sheet name=\"survey\" r:id=\"a\"/></sheets></workbook>"));
    add(&z, "xl/_rels/workbook.xml.rels",
        STR("<Relationships><Relationship Id=\"a\" Target=\"s.xml\"/></Relationships>"));
    add(&z, "xl/sharedStrings.xml",
        STR("<sst><si><t>type</t></si><si><t>name</t></si><si><t xml:space=\"preserve\"> \u00e9 "
            "</t></si></sst>"));
    add(&z, "xl/styles.xml",
        STR("<styleSheet><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"));
    add(&z, "xl/s.xml", sheet);
    close_archive(&z);
    run(buf_str(&z.bytes), sheet_read_xlsx);
    buf_free(&z.bytes);
    buf_free(&z.directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    if (form_source_kind(STR(""), bytes) == SOURCE_XLSX) {
        run(bytes, sheet_read_xlsx);
    } else if (size > 0 && data[0] == '<') {
        run_sheet(bytes);
    } else {
        run(bytes, sheet_read_csv);
        run(bytes, sheet_read_md);
    }
    return 0;
}
