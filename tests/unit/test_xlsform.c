/* Questionnaires as people write them: what becomes of the rows, and what is said of mistakes, each with its
 * cell. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

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
        cmocka_unit_test(the_old_binary_format_is_refused_with_advice),
        cmocka_unit_test(cells_of_xlsx_read_as_a_person_sees_them),
        cmocka_unit_test(a_cut_archive_is_refused_at_every_length),
        cmocka_unit_test(csv_holds_several_sheets_or_one),
        cmocka_unit_test(a_cell_beyond_the_cap_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
