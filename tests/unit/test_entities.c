/* Entities: what a finished interview creates and changes in the lists of people and places.
 */
#include "tests/support/forms.h"

#include "forms/entities.h"

/* A form with a declared version of entities. */
static enum err load(struct interview *v, const char *version, const char *model, const char *body)
{
    struct buf b;
    buf_init(&b, 1u << 20);
    buf_put_z(&b, "<h:html xmlns=\"http://www.w3.org/2002/xforms\" xmlns:h=\"http://www.w3.org/1999/xhtml\" "
                  "xmlns:jr=\"http://openrosa.org/javarosa\" "
                  "xmlns:entities=\"http://www.opendatakit.org/xforms/entities\"><h:head><h:title/><model");
    if (version) {
        buf_put_z(&b, " entities:entities-version=\"");
        buf_put_z(&b, version);
        buf_put_z(&b, "\"");
    }
    buf_put_z(&b, ">");
    buf_put_z(&b, model);
    buf_put_z(&b, "</model></h:head><h:body>");
    buf_put_z(&b, body);
    buf_put_z(&b, "</h:body></h:html>");
    interview_init(v);
    enum err rc = interview_form(v, arena_str(&v->a, buf_str(&b)));
    buf_free(&b);
    return rc;
}

static void begin(struct interview *v, const char *version, const char *model, const char *body)
{
    if (load(v, version, model, body))
        fail_msg("%s", v->d.text);
    interview_begin(v);
}

static struct entity_delta *finish(struct interview *v, uint32_t *count)
{
    struct entity_delta *list = NULL;
    diag_clear(&v->d);
    if (session_finalise(v->s, &v->d) || session_entities(v->s, &v->a, &list, count, &v->d))
        fail_msg("%s", v->d.text);
    return list;
}

#define PERSON                                                                                  \
    "<instance><d id=\"f\"><who/><name/><phone/><meta><instanceID/><entity dataset=\"people\" " \
    "create=\"\" update=\"\" id=\"\" baseVersion=\"\" trunkVersion=\"\" branchId=\"\"><label/>" \
    "</entity></meta></d></instance>"                                                           \
    "<bind nodeset=\"/d/name\" entities:saveto=\"full_name\"/>"                                 \
    "<bind nodeset=\"/d/phone\" entities:saveto=\"phone\" relevant=\"/d/name != 'Kofi'\"/>"     \
    "<bind nodeset=\"/d/meta/entity/@create\" calculate=\"/d/who = '' or /d/who = 'both'\"/>"   \
    "<bind nodeset=\"/d/meta/entity/@update\" calculate=\"/d/who != ''\"/>"                     \
    "<bind nodeset=\"/d/meta/entity/@id\" calculate=\"if(/d/who = 'bad', 'person-7', "          \
    "'0ED0b751-0d7d-4342-a818-67910a01df9a')\"/>"                                               \
    "<bind nodeset=\"/d/meta/entity/@baseVersion\" calculate=\"if(/d/who = '', '', '4')\"/>"    \
    "<bind nodeset=\"/d/meta/entity/@trunkVersion\" calculate=\"if(/d/who = '', '', '3')\"/>"   \
    "<bind nodeset=\"/d/meta/entity/@branchId\" calculate=\"if(/d/who = '', '', 'b1')\"/>"      \
    "<bind nodeset=\"/d/meta/entity/label\" calculate=\"/d/name\"/>"
#define PERSON_BODY "<input ref=\"/d/who\"/><input ref=\"/d/name\"/><input ref=\"/d/phone\"/>"

static void a_new_person_comes_with_label_and_properties(void **state)
{
    struct interview v;
    uint32_t count = 0;
    (void)state;
    begin(&v, "2024.1.0", PERSON, PERSON_BODY);
    answer(&v, "/d/name", "Ama");
    struct entity_delta *e = finish(&v, &count);
    assert_int_equal(count, 1);
    assert_int_equal(e->op, ENTITY_CREATE);
    assert_int_equal(e->fault, ENTITY_FINE);
    assert_string_equal(text(&v, e->dataset), "people");
    assert_string_equal(text(&v, e->id), "0ED0b751-0d7d-4342-a818-67910a01df9a");
    assert_string_equal(text(&v, e->label), "Ama");
    assert_int_equal(e->property_count, 2);
    assert_string_equal(text(&v, e->properties[0].name), "full_name");
    assert_string_equal(text(&v, e->properties[0].value), "Ama");
    assert_string_equal(text(&v, e->properties[1].value), ""); /* not answered: cleared */
    interview_close(&v);
}

static void an_update_carries_its_versions_and_leaves_out_what_does_not_apply(void **state)
{
    struct interview v;
    uint32_t count = 0;
    (void)state;
    begin(&v, "2024.1.0", PERSON, PERSON_BODY);
    answer(&v, "/d/who", "her");
    answer(&v, "/d/name", "Kofi");
    struct entity_delta *e = finish(&v, &count);
    assert_int_equal(count, 1);
    assert_int_equal(e->op, ENTITY_UPDATE);
    assert_string_equal(text(&v, e->base_version), "4");
    assert_string_equal(text(&v, e->trunk_version), "3");
    assert_string_equal(text(&v, e->branch_id), "b1");
    assert_int_equal(e->property_count, 1);
    interview_close(&v);
}

static void both_create_and_update_is_an_upsert(void **state)
{
    struct interview v;
    uint32_t count = 0;
    (void)state;
    begin(&v, "2024.1.0", PERSON, PERSON_BODY);
    answer(&v, "/d/who", "both");
    assert_int_equal(finish(&v, &count)->op, ENTITY_UPSERT);
    interview_close(&v);
}

static void the_first_version_of_entities_knew_no_updates(void **state)
{
    struct interview v;
    uint32_t count = 9;
    (void)state;
    begin(&v, "2022.1.0", PERSON, PERSON_BODY);
    answer(&v, "/d/who", "her");
    finish(&v, &count);
    assert_int_equal(count, 0);
    interview_close(&v);
}

static void an_entity_without_uuid_or_label_is_told_with_its_fault(void **state)
{
    struct interview v;
    uint32_t count = 0;
    (void)state;
    begin(&v, "2024.1.0", PERSON, PERSON_BODY);
    answer(&v, "/d/who", "bad");
    assert_int_equal(finish(&v, &count)->fault, ENTITY_BAD_ID);
    interview_close(&v);
    begin(&v, "2024.1.0", PERSON, PERSON_BODY);
    assert_int_equal(finish(&v, &count)->fault, ENTITY_NO_LABEL);
    assert_true(entity_fault_text(ENTITY_NO_LABEL)[0] != 0);
    interview_close(&v);
}

static void nothing_is_told_before_the_interview_is_finalised(void **state)
{
    struct interview v;
    struct entity_delta *list = NULL;
    uint32_t count = 7;
    (void)state;
    begin(&v, "2024.1.0", PERSON, PERSON_BODY);
    assert_int_equal(session_entities(v.s, &v.a, &list, &count, &v.d), ERR_STATE);
    assert_int_equal(count, 7);
    interview_close(&v);
}

static void a_newer_year_or_minor_is_refused_a_newer_correction_is_not(void **state)
{
    static const struct {
        const char *version;
        enum err rc;
    } cases[] = {{"2022.1.0", ERR_OK},     {"2023.1.0", ERR_OK},   {"2024.1.0", ERR_OK},
                 {"2025.1.0", ERR_OK},     {"2025.1.9", ERR_OK},   {"2025.2.0", ERR_SYNTAX},
                 {"2026.1.0", ERR_SYNTAX}, {"newest", ERR_SYNTAX}, {"2020.1.0", ERR_OK}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct interview v;
        assert_int_equal(load(&v, cases[i].version, PERSON, PERSON_BODY), cases[i].rc);
        arena_free(&v.a);
    }
}

/* Each member of a household is a person; the household itself is an entity too. */
static const char *const household =
    "<instance><hh id=\"f\"><village/><member jr:template=\"\"><name/><age/><head/>"
    "<meta><entity dataset=\"people\" create=\"1\" id=\"\"><label/></entity></meta></member>"
    "<meta><instanceID/><entity dataset=\"households\" create=\"1\" id=\"\"><label/></entity></meta></hh>"
    "</instance>"
    "<bind nodeset=\"/hh/village\" entities:saveto=\"village\"/>"
    "<bind nodeset=\"/hh/member/name\" entities:saveto=\"full_name\"/>"
    "<bind nodeset=\"/hh/member/age\" type=\"int\" entities:saveto=\"people#age\"/>"
    "<bind nodeset=\"/hh/member/head\" entities:saveto=\"households#head\"/>"
    "<bind nodeset=\"/hh/member/meta/entity\" relevant=\"../../age &gt; 17\"/>"
    "<bind nodeset=\"/hh/member/meta/entity/@id\"/>"
    "<bind nodeset=\"/hh/member/meta/entity/label\" calculate=\"../../../name\"/>"
    "<bind nodeset=\"/hh/meta/entity/@id\"/>"
    "<bind nodeset=\"/hh/meta/entity/label\" calculate=\"/hh/village\"/>"
    "<setvalue event=\"odk-instance-first-load\" ref=\"/hh/meta/entity/@id\" value=\"uuid()\"/>";
static const char *const household_body =
    "<input ref=\"/hh/village\"/><group ref=\"/hh/member\"><label/><repeat nodeset=\"/hh/member\">"
    "<setvalue event=\"odk-new-repeat\" ref=\"/hh/member/meta/entity/@id\" value=\"uuid()\"/>"
    "<input ref=\"/hh/member/name\"/><input ref=\"/hh/member/age\"/></repeat></group>";

static void every_grown_member_of_a_household_is_an_entity(void **state)
{
    static const char *const members[][2] = {{"Ama", "41"}, {"Esi", "9"}, {"Kofi", "18"}};
    struct interview v;
    uint32_t count = 0;
    char ref[64];
    (void)state;
    begin(&v, "2025.1.0", household, household_body);
    assert_int_equal(v.findings.error_count, 0);
    assert_int_equal(v.findings.list.count, 1); /* the head of the household stands in a repeat */
    assert_non_null(strstr(text(&v, v.findings.list.at[0].text), "one value per property"));
    answer(&v, "/hh/village", "Zorzor");
    for (size_t i = 0; i < 3; i++) {
        add(&v, "/hh", "/hh/member");
        snprintf(ref, sizeof(ref), "/hh/member[%zu]/name", i + 1);
        answer(&v, ref, members[i][0]);
        snprintf(ref, sizeof(ref), "/hh/member[%zu]/age", i + 1);
        answer(&v, ref, members[i][1]);
    }
    struct entity_delta *e = finish(&v, &count);
    assert_int_equal(count, 3);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(e[i].fault, ENTITY_FINE);
    assert_string_equal(text(&v, e[0].label), "Ama");
    assert_string_equal(text(&v, e[1].label), "Kofi");
    assert_string_equal(text(&v, e[1].properties[1].name), "age");
    assert_string_equal(text(&v, e[1].properties[1].value), "18");
    assert_string_equal(text(&v, session_ref(v.s, e[1].place, &v.a)), "/hh/member[3]/meta/entity");
    assert_string_equal(text(&v, e[2].dataset), "households");
    assert_string_equal(text(&v, e[2].properties[0].value), "Zorzor");
    assert_int_equal(e[2].property_count, 1);
    interview_close(&v);
}

static void the_same_person_twice_is_a_fault(void **state)
{
    struct interview v;
    uint32_t count = 0;
    (void)state;
    begin(&v, "2025.1.0",
          "<instance><d id=\"f\"><r jr:template=\"\"><meta><entity dataset=\"p\" update=\"1\" "
          "id=\"0ed0b751-0d7d-4342-a818-67910a01df9a\"/></meta></r></d></instance>",
          "<repeat nodeset=\"/d/r\"/>");
    add(&v, "/d", "/d/r");
    add(&v, "/d", "/d/r");
    struct entity_delta *e = finish(&v, &count);
    assert_int_equal(count, 2);
    assert_int_equal(e[0].fault, ENTITY_FINE);
    assert_int_equal(e[1].fault, ENTITY_TWICE);
    interview_close(&v);
}

static void a_property_without_an_entity_is_told_to_the_author(void **state)
{
    struct interview v;
    (void)state;
    assert_int_equal(load(&v, "2024.1.0",
                          "<instance><d id=\"f\"><a/></d></instance>"
                          "<bind nodeset=\"/d/a\" entities:saveto=\"people#age\"/>",
                          "<input ref=\"/d/a\"/>"),
                     ERR_OK);
    assert_int_equal(v.findings.list.count, 1);
    assert_non_null(strstr(text(&v, v.findings.list.at[0].text), "of the list people"));
    arena_free(&v.a);
}

static void attributes_of_other_tools_are_kept_with_their_question(void **state)
{
    struct interview v;
    (void)state;
    interview_open(
        &v,
        "<instance><d id=\"f\"><photo/><b/></d></instance><bind nodeset=\"/d/photo\" type=\"binary\" "
        "orx:max-pixels=\"1024\" weather=\"dry\" required=\"true()\"/>",
        "<upload ref=\"/d/photo\" mediatype=\"image/*\"/><input ref=\"/d/b\"/>");
    uint32_t photo = form_field_by_path(v.form, STR("/d/photo"))->number;
    assert_string_equal(text(&v, form_field_extra(v.form, photo, "http://openrosa.org/xforms", "max-pixels")),
                        "1024");
    assert_string_equal(text(&v, form_field_extra(v.form, photo, "", "weather")), "dry");
    assert_null(form_field_extra(v.form, photo, "", "required").p); /* the engine's own */
    assert_null(form_field_extra(v.form, photo + 1, "", "weather").p);
    assert_null(form_field_extra(v.form, 99, "", "weather").p);
    interview_close(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_person_comes_with_label_and_properties),
        cmocka_unit_test(an_update_carries_its_versions_and_leaves_out_what_does_not_apply),
        cmocka_unit_test(both_create_and_update_is_an_upsert),
        cmocka_unit_test(the_first_version_of_entities_knew_no_updates),
        cmocka_unit_test(an_entity_without_uuid_or_label_is_told_with_its_fault),
        cmocka_unit_test(nothing_is_told_before_the_interview_is_finalised),
        cmocka_unit_test(a_newer_year_or_minor_is_refused_a_newer_correction_is_not),
        cmocka_unit_test(every_grown_member_of_a_household_is_an_entity),
        cmocka_unit_test(the_same_person_twice_is_a_fault),
        cmocka_unit_test(a_property_without_an_entity_is_told_to_the_author),
        cmocka_unit_test(attributes_of_other_tools_are_kept_with_their_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
