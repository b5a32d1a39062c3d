/* Choices from files that a form names in other ways than an instance: search(), fast external itemsets,
 * pulldata(), the interview before this one, and places on a map.
 */
#include "tests/support/forms.h"

static void open_with(struct interview *v, const char *uri, const char *list, const char *model,
                      const char *body)
{
    interview_init(v);
    v->list_uri = uri;
    v->list = list;
    if (interview_form(v, form_text(&v->a, model, body)))
        fail_msg("the form does not load: %s", v->d.text);
    interview_begin(v);
}

/* All choices of a question as "value=label value=label". */
static const char *choices(struct interview *v, const char *ref)
{
    struct choice_view *list;
    uint32_t count, total;
    struct buf b;
    if (session_choices(v->s, at(v, ref), 0, 100, &v->a, &list, &count, &total, &v->d))
        fail_msg("%s", v->d.text);
    assert_int_equal(count, total);
    buf_init(&b, 1u << 16);
    for (uint32_t i = 0; i < count; i++)
        buf_printf(&b, "%s%.*s=%.*s", i ? " " : "", STR_ARG(list[i].value), STR_ARG(list[i].label));
    const char *out = arena_z(&v->a, buf_str(&b));
    buf_free(&b);
    return out;
}

#define FRUITS "jr://file-csv/fruits.csv"
#define SEARCHED(call, items)                                                                   \
    "<input ref=\"/d/t\"/><select1 ref=\"/d/f\" appearance=\"minimal search(" call ")\">" items \
    "<item><label>label,place</label><value>key</value></item></select1>"
static const char fruit_model[] = "<instance><d id=\"t\"><t/><f/></d></instance>";
static const char fruits[] = "key,label,place,kind,sortby\n"
                             "m,Mango,South,stone,30\nc,Cherry,North,stone,4\na,Apple,North,pome,10\n"
                             "c,Cherry again,North,stone,5\n";

static void search_brings_choices_from_a_file(void **state)
{
    (void)state;
    static const struct {
        const char *call, *typed, *want;
    } rows[] = {
        {"'fruits'", "", "c=Cherry, North a=Apple, North m=Mango, South"}, /* by sortby, each value once */
        {"'fruits', 'contains', 'label,place', /d/t", "AN", "m=Mango, South"},
        {"'fruits', 'startswith', 'label', /d/t", "a", "a=Apple, North"},
        {"'fruits', 'endswith', 'label', /d/t", "go", "m=Mango, South"},
        {"'fruits', 'matches', 'place', /d/t", "north", "c=Cherry, North a=Apple, North"},
        {"'fruits', 'contains', 'label', /d/t, 'kind', 'stone'", "", "c=Cherry, North m=Mango, South"},
        {"'fruits', 'contains', 'label', /d/t, 'nowhere', 'x'", "", ""},
        {"'fruits.csv', 'contains', 'nowhere', /d/t", "", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct interview v;
        char body[1024];
        snprintf(body, sizeof(body), SEARCHED("%s", ""), rows[i].call);
        open_with(&v, FRUITS, fruits, fruit_model, body);
        if (rows[i].typed[0])
            answer(&v, "/d/t", rows[i].typed);
        assert_string_equal(choices(&v, "/d/f"), rows[i].want);
        interview_close(&v);
    }
}

static void whole_numbers_beside_a_search_are_choices_of_their_own(void **state)
{
    (void)state;
    struct interview v;
    open_with(&v, FRUITS, "key,label,place\nm,Mango,South\n", fruit_model,
              SEARCHED("'fruits'", "<item><label>None</label><value>0</value></item>"));
    assert_string_equal(choices(&v, "/d/f"), "0=None m=Mango, South");
    answer(&v, "/d/f", "m");
    answer(&v, "/d/f", "0");
    interview_close(&v);
}

static void search_takes_one_four_or_six_arguments(void **state)
{
    (void)state;
    struct interview v;
    interview_init(&v);
    assert_int_equal(interview_form(&v, form_text(&v.a, fruit_model, SEARCHED("'fruits', 'contains'", ""))),
                     ERR_SYNTAX);
    assert_non_null(strstr(v.d.text, "1, 4 or 6"));
    arena_free(&v.a);
}

static void a_fast_external_itemset_takes_its_part_of_the_file(void **state)
{
    (void)state;
    static const char itemsets[] = "list_name,name,label,state\n"
                                   "state,tx,Texas,\nstate,wa,Washington,\n"
                                   "county,king,King,wa\ncounty,bexar,Bexar,tx\ncounty,pierce,Pierce,wa\n";
    struct interview v;
    open_with(&v, "jr://itemsets/county", itemsets, "<instance><d id=\"t\"><state/><county/></d></instance>",
              "<input ref=\"/d/state\"/>"
              "<input ref=\"/d/county\" query=\"instance('county')/root/item[state= /d/state ]\"/>");
    assert_string_equal(choices(&v, "/d/county"), "");
    answer(&v, "/d/state", "wa");
    assert_string_equal(choices(&v, "/d/county"), "king=King pierce=Pierce");
    assert_int_equal(view(&v, "/d/county").control, CONTROL_SELECT_ONE);
    assert_int_equal(try_answer(&v, "/d/county", "bexar"), ERR_USAGE);
    answer(&v, "/d/county", "king");
    assert_string_equal(text(&v, form_resource(v.form, 0)), "jr://itemsets/county");
    interview_close(&v);
}

static void pulldata_needs_no_instance(void **state)
{
    (void)state;
    struct interview v;
    open_with(&v, FRUITS, fruits,
              "<instance><d id=\"t\"><k/><l/></d></instance>"
              "<bind nodeset=\"/d/l\" calculate=\"pulldata('fruits', 'label', 'key', /d/k)\"/>",
              "<input ref=\"/d/k\"/>");
    answer(&v, "/d/k", "c");
    assert_string_equal(value_of(&v, "/d/l"), "Cherry");
    answer(&v, "/d/k", "none");
    assert_string_equal(value_of(&v, "/d/l"), "");
    interview_close(&v);
}

static const char last_model[] = "<instance><d id=\"t\"><street/></d></instance><instance "
                                 "id=\"__last-saved\" src=\"jr://instance/last-saved\"/>"
                                 "<setvalue event=\"odk-instance-first-load\" ref=\"/d/street\""
                                 " value=\"instance('__last-saved')/d/street\"/>";

static void the_interview_before_gives_its_answers(void **state)
{
    (void)state;
    struct interview v;
    const struct str *warnings;
    open_with(&v, "jr://instance/last-saved", "<d id=\"t\"><street>Lime</street></d>", last_model,
              "<input ref=\"/d/street\"/>");
    assert_string_equal(value_of(&v, "/d/street"), "Lime");
    interview_close(&v);
    open_with(&v, NULL, NULL, last_model, "<input ref=\"/d/street\"/>");
    assert_string_equal(value_of(&v, "/d/street"), "");
    assert_int_equal(session_warnings(v.s, &warnings), 0); /* there is always a first one */
    interview_close(&v);
}

static void places_on_a_map_are_choices(void **state)
{
    (void)state;
    struct interview v;
    open_with(
        &v, "jr://file/wells.geojson",
        "{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"id\":\"w1\",\"geometry\":"
        "{\"type\":\"Point\",\"coordinates\":[104.5,30.25]},\"properties\":{\"title\":\"Old well\"}}]}",
        "<instance><d id=\"t\"><w/><g/></d></instance>"
        "<instance id=\"wells\" src=\"jr://file/wells.geojson\"/>"
        "<bind nodeset=\"/d/g\" calculate=\"instance('wells')/root/item[id = /d/w]/geometry\"/>",
        "<select1 ref=\"/d/w\"><itemset nodeset=\"instance('wells')/root/item\"><value ref=\"id\"/>"
        "<label ref=\"title\"/></itemset></select1>");
    assert_string_equal(choices(&v, "/d/w"), "w1=Old well");
    answer(&v, "/d/w", "w1");
    assert_string_equal(value_of(&v, "/d/g"), "30.25 104.5 0 0");
    interview_close(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(search_brings_choices_from_a_file),
        cmocka_unit_test(whole_numbers_beside_a_search_are_choices_of_their_own),
        cmocka_unit_test(search_takes_one_four_or_six_arguments),
        cmocka_unit_test(a_fast_external_itemset_takes_its_part_of_the_file),
        cmocka_unit_test(pulldata_needs_no_instance),
        cmocka_unit_test(the_interview_before_gives_its_answers),
        cmocka_unit_test(places_on_a_map_are_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
