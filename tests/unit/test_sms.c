/* The interview as one short message: what the form marks, in the order of the form, escaped.
 */
#include "tests/support/forms.h"

#include "forms/sms.h"

static const char *message(struct interview *v)
{
    struct buf b;
    buf_init(&b, 1u << 12);
    diag_clear(&v->d);
    if (session_sms(v->s, &b, &v->d))
        fail_msg("%s", v->d.text);
    const char *out = arena_z(&v->a, buf_str(&b));
    buf_free(&b);
    return out;
}

#define MODEL(root)                                                                                    \
    "<instance><d id=\"f\"" root "><first odk:tag=\"FN\"/><last odk:tag=\"LN\"/><note/>"               \
    "<g><age odk:tag=\"A\"/></g><child jr:template=\"\"><name odk:tag=\"CN\"/></child></d></instance>" \
    "<bind nodeset=\"/d/g\" relevant=\"/d/note != 'no'\"/>"
#define BODY                                                                                             \
    "<input ref=\"/d/first\"/><input ref=\"/d/last\"/><input ref=\"/d/note\"/><input ref=\"/d/g/age\"/>" \
    "<repeat nodeset=\"/d/child\"><input ref=\"/d/child/name\"/></repeat>"

static void tags_and_values_stand_behind_the_prefix(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, MODEL(" odk:prefix=\"HH1\""), BODY);
    answer(&v, "/d/first", "Ama");
    answer(&v, "/d/note", "not sent");
    answer(&v, "/d/g/age", "41");
    add(&v, "/d", "/d/child");
    add(&v, "/d", "/d/child");
    answer(&v, "/d/child[1]/name", "Esi");
    answer(&v, "/d/child[2]/name", "阿明");
    assert_string_equal(message(&v), "HH1 FN Ama A 41 CN Esi CN 阿明");
    interview_close(&v);
}

static void what_does_not_apply_is_not_sent(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, MODEL(" odk:prefix=\"HH1\""), BODY);
    answer(&v, "/d/g/age", "41");
    answer(&v, "/d/last", "M");
    answer(&v, "/d/note", "no");
    assert_string_equal(message(&v), "HH1 LN M");
    interview_close(&v);
}

static void a_delimiter_or_backslash_inside_a_value_is_escaped(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, MODEL(" odk:prefix=\"P\" odk:delimiter=\";\""), BODY);
    answer(&v, "/d/first", "a;b\\c d");
    assert_string_equal(message(&v), "P;FN;a\\;b\\\\c d;");
    interview_close(&v);
    interview_open(&v, MODEL(""), BODY);
    answer(&v, "/d/first", "two words");
    assert_string_equal(message(&v), "FN two\\ words");
    interview_close(&v);
}

static void a_form_without_tags_has_no_message(void **state)
{
    struct interview v;
    struct buf b;
    (void)state;
    interview_open(&v, "<instance><d id=\"f\"><a tag=\"x\"/></d></instance>", "<input ref=\"/d/a\"/>");
    answer(&v, "/d/a", "1");
    buf_init(&b, 100);
    assert_int_equal(session_sms(v.s, &b, &v.d), ERR_NOT_FOUND);
    buf_free(&b);
    interview_close(&v);
}

static void a_message_that_is_too_long_is_refused(void **state)
{
    struct interview v;
    struct buf b;
    (void)state;
    interview_open(&v, MODEL(""), BODY);
    answer(&v, "/d/first", "more than ten bytes");
    buf_init(&b, 10);
    assert_int_equal(session_sms(v.s, &b, &v.d), ERR_LIMIT);
    buf_free(&b);
    interview_close(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_and_values_stand_behind_the_prefix),
        cmocka_unit_test(what_does_not_apply_is_not_sent),
        cmocka_unit_test(a_delimiter_or_backslash_inside_a_value_is_escaped),
        cmocka_unit_test(a_form_without_tags_has_no_message),
        cmocka_unit_test(a_message_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
