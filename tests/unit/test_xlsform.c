/* Questionnaires as people write them: what becomes of the rows, and what is said of mistakes, each with its
 * cell. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "forms/limits.h"
#include "forms/xlsform.h"
#include "forms/xlsform_sheet.h"

struct made {
    struct arena a;
    struct buf xml;
    struct xlsform_media media;
    struct xlsform_summary summary;
    struct form_findings findings;
    struct diag d;
    enum err rc;
};

static struct made convert(const char *md)
{
    struct made m = {0};
    arena_init(&m.a, 64u << 20);
    buf_init(&m.xml, FORM_BYTES_MAX);
    m.rc = xlsform_convert(&m.a, STR("form.md"), str_of(md), NULL, &m.xml, &m.media, &m.summary, &m.findings,
                           &m.d);
    return m;
}

static void done(struct made *m)
{
    buf_free(&m->xml);
    arena_free(&m->a);
}

static void has(const struct made *m, const char *text)
{
    if (str_find(buf_str(&m->xml), str_of(text)) < 0)
        fail_msg("no %s in:\n%.*s", text, STR_ARG(buf_str(&m->xml)));
}

static void says(const struct made *m, enum finding_severity severity, const char *start, const char *part)
{
    for (uint32_t i = 0; i < m->findings.list.count; i++) {
        const struct form_finding *f = &m->findings.list.at[i];
        if (f->severity == severity && str_starts(f->text, str_of(start)) &&
            str_find(f->text, str_of(part)) >= 0)
            return;
    }
    for (uint32_t i = 0; i < m->findings.list.count; i++)
        print_message("said: %.*s\n", STR_ARG(m->findings.list.at[i].text));
    fail_msg("nobody says \"%s...%s\"", start, part);
}

static void a_question_becomes_node_bind_and_control(void **state)
{
    (void)state;
    struct made m = convert("| survey |\n"
                            "| | type | name | label | required | constraint |\n"
                            "| | integer | age | How old? | yes | . < 120 |\n");
    assert_int_equal(m.rc, ERR_OK);
    has(&m, "<age/>");
    has(&m, "<bind nodeset=\"/data/age\" type=\"int\" required=\"true()\" constraint=\". &lt; 120\"/>");
    has(&m, "<label>How old?</label>");
    done(&m);
}

static void references_in_one_repeat_are_relative(void **state)
{
    (void)state;
    struct made m = convert("| survey |\n"
                            "| | type | name | label | relevant |\n"
                            "| | text | head | Head | |\n"
                            "| | begin_repeat | member | Member | |\n"
                            "| | integer | age | Age of ${head} | |\n"
                            "| | text | school | School | ${age} < 18 and ${head} != '' |\n"
                            "| | end_repeat | | | |\n");
    assert_int_equal(m.rc, ERR_OK);
    has(&m, "relevant=\" ../age  &lt; 18 and  /data/head  != &#39;&#39;\"");
    has(&m, "<output value=\" /data/head \"/>");
    has(&m, "<member jr:template=\"\">");
    done(&m);
}

static void every_mistake_is_told_with_its_cell(void **state)
{
    (void)state;
    struct made m = convert("| survey |\n"
                            "| | type | name | label | relevant | calculation |\n"
                            "| | txet | a | A | | |\n"
                            "| | text | a b | A | slected(., 'x') | |\n"
                            "| | select_one colour | c | C | | |\n"
                            "| | text | d | D | ${ageee} > 1 | |\n"
                            "| | text | agee | ${bro ken} | | |\n"
                            "| | calculate | e | | | |\n"
                            "| | calculate | f | | | (${agee} + 1 |\n"
                            "| choices |\n"
                            "| | list_name | name | label |\n"
                            "| | colours | r | Red |\n"
                            "| | colours | r | Rot |\n");
    assert_int_equal(m.rc, ERR_SYNTAX);
    assert_int_equal(m.findings.error_count, 9);
    says(&m, FINDING_ERROR, "survey!C6: ", "${bro ken}");
    says(&m, FINDING_ERROR, "survey!A2: ", "Did you mean 'text'");
    says(&m, FINDING_ERROR, "survey!B3: ", "'a b'");
    says(&m, FINDING_ERROR, "survey!D3: ", "slected");
    says(&m, FINDING_ERROR, "survey!E8: ", "calculate");
    says(&m, FINDING_ERROR, "survey!A4: ", "Did you mean 'colours'");
    says(&m, FINDING_ERROR, "survey!D5: ", "Did you mean ${agee}");
    says(&m, FINDING_ERROR, "survey!A7: ", "Missing calculation");
    says(&m, FINDING_ERROR, "choices!3: ", "must be unique");
    assert_int_equal(m.xml.n, 0);
    done(&m);
}

static void a_wrong_expression_names_its_cell(void **state)
{
    (void)state;
    struct made m = convert("| survey |\n"
                            "| | type | name | label | relevant | constraint |\n"
                            "| | text | a | A | | |\n"
                            "| | text | b | B | ${a} = 'x' | slected(., 'y') |\n"
                            "| | text | c | C | (${a} = 'x' | |\n");
    assert_int_equal(m.rc, ERR_SYNTAX);
    says(&m, FINDING_ERROR, "survey!E3: ", "slected");
    says(&m, FINDING_ERROR, "survey!D4: ", "");
    done(&m);
}

static void cycles_name_a_cell(void **state)
{
    (void)state;
    struct made m = convert("| survey |\n"
                            "| | type | name | label | calculation |\n"
                            "| | calculate | a | | ${b} + 1 |\n"
                            "| | calculate | b | | ${a} + 1 |\n"
                            "| | text | c | C | |\n");
    assert_int_equal(m.rc, ERR_SYNTAX);
    says(&m, FINDING_ERROR, "survey!D", "ycle");
    done(&m);
}

static void misspelt_sheets_are_suggested(void **state)
{
    (void)state;
    struct made m = convert("| survay |\n| | type | name | label |\n| | text | a | A |\n");
    assert_int_equal(m.rc, ERR_SYNTAX);
    says(&m, FINDING_ERROR, "survey: ", "'survay'");
    done(&m);
}

static void types_of_another_product_say_what_to_use(void **state)
{
    (void)state;
    struct made m = convert(
        "| survey |\n| | type | name | label |\n| | text audit | t | |\n| | text | a | A |\n");
    assert_int_equal(m.rc, ERR_SYNTAX);
    assert_int_equal(m.findings.error_count, 1);
    says(&m, FINDING_ERROR, "survey!A2: ", "type audit");
    done(&m);
    m = convert("| survey |\n"
                "| | type | name | label | calculation |\n"
                "| | begin_repeat | r | R | |\n"
                "| | text | a | A | |\n"
                "| | calculate | n | | index() |\n"
                "| | end_repeat | | | |\n");
    assert_int_equal(m.rc, ERR_SYNTAX);
    assert_int_equal(m.findings.error_count, 1);
    says(&m, FINDING_ERROR, "survey!D4: ", "index() belongs to another product: use position(..)");
    done(&m);
}

static void a_managers_summary_counts(void **state)
{
    (void)state;
    struct made m = convert("| survey |\n"
                            "| | type | name | label::English (en) | label::French (fr) |\n"
                            "| | text | a | A | Un |\n"
                            "| | select_one yn | b | B | |\n"
                            "| choices |\n"
                            "| | list_name | name | label::English (en) | label::French (fr) |\n"
                            "| | yn | y | Yes | Oui |\n"
                            "| | old | x | X | X |\n");
    assert_int_equal(m.rc, ERR_OK);
    assert_int_equal(m.summary.questions, 2);
    assert_int_equal(m.summary.unused_choices, 1);
    assert_int_equal(m.summary.languages, 2);
    assert_int_equal(m.summary.language[0].texts, 3);
    assert_int_equal(m.summary.language[1].texts, 2);
    assert_int_equal(m.summary.language[1].texts_all, 3);
    const struct form *form = NULL;
    struct form_findings again;
    assert_int_equal(form_load(&m.a, buf_str(&m.xml), &form, &again, &m.d), ERR_OK);
    assert_int_equal(form_summary(form).lists, 2);
    assert_int_equal(form_summary(form).choices, 2);
    done(&m);
}

static void questions_that_exclude_each_other_are_not_one_path(void **state)
{
    (void)state;
    struct made m = convert("| survey |\n"
                            "| | type | name | label | relevant |\n"
                            "| | select_one yn | farm | F | |\n"
                            "| | text | crop | C | ${farm} = 'y' |\n"
                            "| | begin_group | g | G | selected(${farm}, 'n') and ${crop} = '' |\n"
                            "| | text | trade | T | |\n"
                            "| | text | wage | W | |\n"
                            "| | end_group | | | |\n"
                            "| | text | other | O | ${farm} != 'y' |\n"
                            "| | text | more | M | ${farm} = 'y' or ${crop} = 'x' |\n"
                            "| choices |\n"
                            "| | list_name | name | label |\n"
                            "| | yn | y | Yes |\n"
                            "| | yn | n | No |\n");
    assert_int_equal(m.rc, ERR_OK);
    assert_int_equal(m.summary.questions, 6);
    assert_int_equal(m.summary.path_longest, 5); /* all but the crop */
    done(&m);
}

static void the_old_binary_format_is_refused_with_advice(void **state)
{
    (void)state;
    struct made m = {0};
    arena_init(&m.a, 1u << 20);
    buf_init(&m.xml, 1u << 20);
    m.rc = xlsform_convert(&m.a, STR("f.xls"), STR("\xd0\xcf\x11\xe0"), NULL, &m.xml, NULL, NULL, &m.findings,
                           &m.d);
    assert_int_equal(m.rc, ERR_SYNTAX);
    assert_non_null(strstr(m.d.text, ".xlsx"));
    done(&m);
}

static struct str seed(struct arena *a, const char *name)
{
    char path[512];
    struct buf b;
    snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/sheet/%s", DS_SOURCE_DIR, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    buf_init(&b, 1u << 20);
    for (int c; (c = getc(f)) != EOF;)
        buf_put_char(&b, (char)c);
    fclose(f);
    struct str s = arena_str(a, buf_str(&b));
    buf_free(&b);
    return s;
}

static void cells_of_xlsx_read_as_a_person_sees_them(void **state)
{
    (void)state;
    struct arena a;
    struct workbook w = {0};
    struct diag d = {0};
    arena_init(&a, 16u << 20);
    struct str bytes = seed(&a, "small.xlsx");
    assert_int_equal(sheet_read_xlsx(&a, bytes, &w, &d), ERR_OK);
    const struct sheet *s = &w.sheets.at[0];
    assert_int_equal(w.sheets.count, 2);
    assert_true(w.sheets.at[1].hidden);
    assert_true(str_eq_z(s->cells.at[s->rows.at[1].first + 3].text, "3"));
    assert_true(str_eq_z(s->cells.at[s->rows.at[1].first + 4].text, "TRUE"));
    assert_true(str_eq_z(s->cells.at[s->rows.at[2].first + 3].text, "2024-05-01"));
    assert_int_equal(s->cells.at[s->rows.at[2].first + 3].type, CELL_DATE);
    assert_true(str_eq_z(w.sheets.at[1].cells.at[3].text, "2.5"));
    arena_free(&a);
}

static void a_cut_archive_is_refused_at_every_length(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 16u << 20);
    struct str bytes = seed(&a, "small.xlsx");
    for (size_t n = 0; n < bytes.n; n += 7) {
        struct arena one;
        struct workbook w = {0};
        struct diag d = {0};
        arena_init(&one, 16u << 20);
        assert_int_not_equal(sheet_read_xlsx(&one, str_sub(bytes, 0, n), &w, &d), ERR_OK);
        assert_true(d.text[0] != '\0');
        arena_free(&one);
    }
    arena_free(&a);
}

static void csv_holds_several_sheets_or_one(void **state)
{
    (void)state;
    struct arena a;
    struct workbook many = {0}, one = {0};
    struct diag d = {0};
    arena_init(&a, 1u << 20);
    assert_int_equal(
        sheet_read_csv(&a, STR("survey,,\n,type,name\n,text,\"a \"\"b\"\"\"\nsettings,,\n,form_id\n,x\n"),
                       &many, &d),
        ERR_OK);
    assert_int_equal(many.sheets.count, 2);
    assert_true(str_eq_z(many.sheets.at[0].cells.at[3].text, "a \"b\""));
    assert_int_equal(sheet_read_csv(&a, STR("type,name,label\ntext,a,A\n"), &one, &d), ERR_OK);
    assert_int_equal(one.sheets.count, 1);
    assert_int_equal(one.sheets.at[0].rows.at[1].number, 2);
    arena_free(&a);
}

static void a_cell_beyond_the_cap_is_named(void **state)
{
    (void)state;
    struct arena a;
    struct buf b;
    struct workbook w = {0};
    struct diag d = {0};
    arena_init(&a, 64u << 20);
    buf_init(&b, 32u << 20);
    buf_put_z(&b, "type,name,label\ntext,a,");
    for (int i = 0; i < 10 << 20; i++)
        buf_put_char(&b, 'x');
    assert_int_equal(sheet_read_csv(&a, buf_str(&b), &w, &d), ERR_LIMIT);
    buf_free(&b);
    arena_free(&a);
}

/* --- bad workbooks: each is refused with a sentence, in memory that does not depend on what it claims --- */

struct bad {
    struct arena a;
    struct diag d;
    struct workbook w;
    enum err rc;
};

/* A workbook whose first sheet is this XML, deflated; read with 48 MB at most. */
static struct bad read_sheet(struct str sheet, void (*spoil)(char *archive, size_t n))
{
    static const char *const parts[][2] = {
        {"xl/workbook.xml", "<workbook><sheets><sheet name=\"survey\" r:id=\"a\"/></sheets></workbook>"},
        {"xl/_rels/workbook.xml.rels",
         "<Relationships><Relationship Id=\"a\" Target=\"s.xml\"/></Relationships>"}};
    struct bad b = {.rc = ERR_OK};
    zip_error_t e;
    zip_stat_t st;
    zip_source_t *to = zip_source_buffer_create(NULL, 0, 0, &e);
    zip_t *z = zip_open_from_source(to, ZIP_TRUNCATE, &e);
    assert_non_null(z);
    zip_source_keep(to);
    for (size_t i = 0; i < 2; i++)
        assert_true(
            zip_file_add(z, parts[i][0], zip_source_buffer(z, parts[i][1], strlen(parts[i][1]), 0), 0) >= 0);
    assert_true(zip_file_add(z, "xl/s.xml", zip_source_buffer(z, sheet.p, sheet.n, 0), 0) >= 0);
    assert_int_equal(zip_close(z), 0);
    zip_stat_init(&st);
    assert_int_equal(zip_source_stat(to, &st), 0);
    char *archive = malloc(st.size);
    assert_int_equal(zip_source_open(to), 0);
    assert_int_equal(zip_source_read(to, archive, st.size), st.size);
    zip_source_close(to);
    zip_source_free(to);
    if (spoil)
        spoil(archive, st.size);
    arena_init(&b.a, 48u << 20);
    b.rc = sheet_read_xlsx(&b.a, (struct str){archive, st.size}, &b.w, &b.d);
    free(archive);
    return b;
}

static void refused(struct bad b, enum err rc, const char *part)
{
    assert_int_equal(b.rc, rc);
    if (!strstr(b.d.text, part))
        fail_msg("\"%s\" does not say \"%s\"", b.d.text, part);
    arena_free(&b.a);
}

static void a_zip_bomb_is_refused(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 512u << 20);
    buf_put_z(&b, "<worksheet><sheetData>");
    while (b.n < SHEET_PART_BYTES_MAX + (8u << 20))
        buf_put_z(&b, "                                                                              \n");
    buf_put_z(&b, "</sheetData></worksheet>");
    refused(read_sheet(buf_str(&b), NULL), ERR_LIMIT, "xl/s.xml");
    buf_free(&b);
}

/* Of the last entry of the directory, the size unpacked: 4 GB, the most that fits there. */
static void claim_much(char *archive, size_t n)
{
    for (size_t i = n - 4; i > 0; i--)
        if (memcmp(archive + i, "PK\1\2", 4) == 0) {
            memset(archive + i + 24, 0xfe, 4);
            return;
        }
}

static void a_size_that_is_only_claimed_costs_nothing(void **state)
{
    (void)state;
    struct bad b = read_sheet(STR("<worksheet><sheetData><row r=\"1\"><c r=\"A1\"><v>1</v></c></row>"
                                  "</sheetData></worksheet>"),
                              claim_much);
    assert_true(b.a.used < 1u << 20);
    if (b.rc) /* as the library for archives decides */
        assert_int_equal(b.rc, ERR_CORRUPT);
    else
        assert_int_equal(b.w.sheets.at[0].cells.count, 1);
    arena_free(&b.a);
}

static void a_million_rows_are_refused(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 512u << 20);
    buf_put_z(&b, "<worksheet><sheetData>");
    for (uint32_t i = 1; i <= 1048576; i++)
        buf_printf(&b, "<row r=\"%u\"><c r=\"A%u\"><v>%u</v></c></row>", i, i, i);
    buf_put_z(&b, "</sheetData></worksheet>");
    refused(read_sheet(buf_str(&b), NULL), ERR_LIMIT, "select_one_from_file");
    buf_free(&b);
}

static void a_cell_of_ten_megabytes_is_refused(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 64u << 20);
    buf_put_z(&b, "<worksheet><sheetData><row r=\"7\"><c r=\"C7\" t=\"inlineStr\"><is><t>");
    while (b.n < 10u << 20)
        buf_put_z(&b, "words and words and words ");
    buf_put_z(&b, "</t></is></c></row></sheetData></worksheet>");
    refused(read_sheet(buf_str(&b), NULL), ERR_LIMIT, "row 7");
    buf_free(&b);
}

static void entities_are_refused(void **state)
{
    (void)state;
    refused(read_sheet(STR("<!DOCTYPE w [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">"
                           "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">]><worksheet>&c;</worksheet>"),
                       NULL),
            ERR_SYNTAX, "entities");
}

static void names_that_occur_twice_are_told(void **state)
{
    (void)state;
    struct made m = convert("| survey |\n"
                            "| | type | name | label |\n"
                            "| | text | a | A |\n"
                            "| | text | a | B |\n");
    assert_int_equal(m.rc, ERR_SYNTAX);
    says(&m, FINDING_ERROR, "survey!B3: ", "row 2 has this name already");
    done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_becomes_node_bind_and_control),
        cmocka_unit_test(references_in_one_repeat_are_relative),
        cmocka_unit_test(every_mistake_is_told_with_its_cell),
        cmocka_unit_test(a_wrong_expression_names_its_cell),
        cmocka_unit_test(cycles_name_a_cell),
        cmocka_unit_test(misspelt_sheets_are_suggested),
        cmocka_unit_test(types_of_another_product_say_what_to_use),
        cmocka_unit_test(a_managers_summary_counts),
        cmocka_unit_test(questions_that_exclude_each_other_are_not_one_path),
        cmocka_unit_test(the_old_binary_format_is_refused_with_advice),
        cmocka_unit_test(cells_of_xlsx_read_as_a_person_sees_them),
        cmocka_unit_test(a_cut_archive_is_refused_at_every_length),
        cmocka_unit_test(csv_holds_several_sheets_or_one),
        cmocka_unit_test(a_cell_beyond_the_cap_is_named),
        cmocka_unit_test(a_zip_bomb_is_refused),
        cmocka_unit_test(a_size_that_is_only_claimed_costs_nothing),
        cmocka_unit_test(a_million_rows_are_refused),
        cmocka_unit_test(a_cell_of_ten_megabytes_is_refused),
        cmocka_unit_test(entities_are_refused),
        cmocka_unit_test(names_that_occur_twice_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
