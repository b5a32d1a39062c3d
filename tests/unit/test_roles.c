/* Who may do what: every act by every role, and where. */
#include "tests/support/unit.h"

#include <string.h>

#include "server/parts.h"
#include "server/roles.h"

/* In the order of enum role: household, enumerator, cadre, supervisor, county, department, analyst, admin.
 * '-' never, 'a' in the own area, 'y' everywhere. Written down here a second time, so that nobody changes it
 * unawares. */
static const struct {
    enum act act;
    const char *name, *roles;
} wanted[] = {
    {ACT_SEE_TOTALS, "see-totals", "--aaaaaa"},
    {ACT_SEE_HOUSEHOLDS, "see-households", "-aaaa--a"},
    {ACT_SEE_ID_NUMBERS, "see-id-numbers", "---aa---"},
    {ACT_REPORT_LEAD, "report-lead", "a-aaaa--"},
    {ACT_STEP_LEAD, "step-lead", "--aaa---"},
    {ACT_ASSIGN, "assign", "---aa---"},
    {ACT_RESOLVE, "resolve", "---aa---"},
    {ACT_REVIEW_VILLAGE, "review-village", "--aaa---"},
    {ACT_REVIEW_TOWNSHIP, "review-township", "---aa---"},
    {ACT_REVIEW_COUNTY, "review-county", "----a---"},
    {ACT_REMOVE_RISK, "remove-risk", "----a---"},
    {ACT_CHANGE_HOUSEHOLDS, "change-households", "---aa---"},
    {ACT_IMPORT_HOUSEHOLDS, "import-households", "----a--a"},
    {ACT_IMPORT_DEPARTMENTS, "import-departments", "----aa--"},
    {ACT_EXPORT, "export", "---aa---"},
    {ACT_EXPORT_PUBLIC, "export-public", "---aaaaa"},
    {ACT_ERASE, "erase", "----a---"},
    {ACT_RELEASE, "release", "----y--y"},
    {ACT_PUBLISH, "publish", "----y--y"},
    {ACT_SEE_DEVICES, "see-devices", "---aa--a"},
    {ACT_MANAGE_DEVICES, "manage-devices", "---aa--a"},
    {ACT_SEE_PEOPLE, "see-people", "---aa--a"},
    {ACT_MANAGE_PEOPLE, "manage-people", "-------a"},
    {ACT_SEE_AUDIT, "see-audit", "----y--y"},
};
#define WANTED (sizeof wanted / sizeof wanted[0])

static void test_every_act_by_every_role_in_every_place(void **state)
{
    static const struct {
        const char *own, *asked;
        bool inside;
    } places[] = {
        {"", "", true},
        {"", "990101001", true},
        {"9901", "9901", true},
        {"9901", "990101", true},
        {"9901", "", false},
        {"9901", "9902", false},
        {"9901", "99", false},
        {"990101001", "990101002", false},
        {"9901", "1990101", false},
    };
    uint32_t looked = 0;
    (void)state;
    for (size_t i = 0; i < WANTED; i++) {
        assert_string_equal(act_name(wanted[i].act), wanted[i].name);
        for (uint8_t role = 1; role <= ROLE_ADMIN; role++) {
            char cell = wanted[i].roles[role - 1];
            assert_int_equal(may_anywhere(role, wanted[i].act), cell != '-');
            for (size_t k = 0; k < sizeof places / sizeof places[0]; k++, looked++) {
                struct person p = {.person = 1, .role = role, .area = str_of(places[k].own)};
                bool want = cell == 'y' || (cell == 'a' && places[k].inside);
                if (may(&p, wanted[i].act, str_of(places[k].asked)) != want)
                    print_message("%s %s: own \"%s\", asked \"%s\"\n", role_name(role), wanted[i].name,
                                  places[k].own, places[k].asked);
                assert_int_equal(may(&p, wanted[i].act, str_of(places[k].asked)), want);
            }
        }
    }
    assert_int_equal(WANTED, ACT_COUNT - 1);
    print_message("%u combinations\n", looked);
}

static void test_nobody_and_nothing_may_nothing(void **state)
{
    (void)state;
    for (int act = 0; act <= ACT_COUNT; act++) {
        struct person nobody = {.role = 0}, unknown = {.role = ROLE_ADMIN + 1};
        assert_false(may(&nobody, (enum act)act, STR("")));
        assert_false(may(&unknown, (enum act)act, STR("")));
    }
    struct person admin = {.role = ROLE_ADMIN};
    assert_false(may(&admin, ACT_NONE, STR("")));
}

/* Who makes accounts decides on nobody, and does not look up identity numbers; who counts and who delivers
 * lists sees no household. */
static void test_no_role_has_all(void **state)
{
    (void)state;
    for (uint8_t role = 1; role <= ROLE_ADMIN; role++)
        assert_false(may_anywhere(role, ACT_MANAGE_PEOPLE) && may_anywhere(role, ACT_REVIEW_COUNTY));
    assert_false(may_anywhere(ROLE_ADMIN, ACT_SEE_ID_NUMBERS));
    assert_false(may_anywhere(ROLE_ANALYST, ACT_SEE_HOUSEHOLDS));
    assert_false(may_anywhere(ROLE_DEPARTMENT, ACT_SEE_HOUSEHOLDS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_act_by_every_role_in_every_place),
        cmocka_unit_test(test_nobody_and_nothing_may_nothing),
        cmocka_unit_test(test_no_role_has_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
