/* The invented village: the same seed is the same village, and its figures are those it claims. */
#include "tests/support/unit.h"

#include <math.h>
#include <string.h>

#include "platform/base/num.h"
#include "risk/simulate.h"

#define HOUSEHOLDS 20000
#define MONTHS 24

static void the_same_seed_is_the_same_village(void **state)
{
    struct chance a = {7}, b = {7}, other = {8};
    struct villager_household x, y, z;
    (void)state;
    for (int i = 0; i < 50; i++) {
        memset(&x, 0, sizeof(x));
        memset(&y, 0, sizeof(y));
        village_household(&a, MONTHS, &x);
        village_household(&b, MONTHS, &y);
        assert_true(x.income == y.income && x.size == y.size && x.need_month == y.need_month);
        assert_memory_equal(x.events, y.events, sizeof(x.events));
    }
    village_household(&other, MONTHS, &z);
    assert_true(z.income != x.income);
}

/* Median and spread of income per head, mean size, share in need. */
static void the_village_is_as_described(void **state)
{
    struct chance c = {1};
    double below = 0, logs = 0, squares = 0, size = 0, need = 0;
    (void)state;
    for (int i = 0; i < HOUSEHOLDS; i++) {
        struct villager_household h;
        village_household(&c, MONTHS, &h);
        double head = num_log(h.income / h.size / (h.remote ? 0.85 : 1));
        below += head < num_log(17734);
        logs += head / HOUSEHOLDS;
        squares += head * head / HOUSEHOLDS;
        size += (double)h.size / HOUSEHOLDS;
        need += h.need_month >= 0;
        assert_true(h.size >= 1 && h.size <= VILLAGE_SIZE_MAX && h.workers <= h.size);
        assert_true(h.need_month < MONTHS && h.wage_share >= 0 && h.wage_share + h.transfer_share <= 1.0001);
    }
    assert_true(fabs(below / HOUSEHOLDS - 0.5) < 0.015);
    assert_true(fabs(sqrt(squares - logs * logs) - 0.504) < 0.015);
    assert_true(fabs(size - 3.4) < 0.15);
    assert_true(need / HOUSEHOLDS > 0.02 && need / HOUSEHOLDS < 0.12);
}

/* The rules' line plays no part: some above it come to be in need, and most below it do not at once. */
static void need_is_not_the_line(void **state)
{
    struct chance c = {3};
    uint32_t above = 0, below_and_fine = 0;
    (void)state;
    for (int i = 0; i < 5000; i++) {
        struct villager_household h;
        village_household(&c, MONTHS, &h);
        above += h.need_month >= 0 && village_left(&h, (uint32_t)h.need_month) > 7500;
        below_and_fine += h.need_month < 0 && village_left(&h, MONTHS - 1) < 7500;
    }
    assert_true(above > 20 && below_and_fine > 20);
}

static void answers_hold_errors_and_blanks(void **state)
{
    struct chance c = {5};
    struct arena a;
    uint32_t asked = 0, blank = 0;
    (void)state;
    arena_init(&a, 64u << 20);
    for (int i = 0; i < 2000; i++) {
        struct villager_household h;
        struct village_answer answers[VILLAGE_ANSWERS_MAX];
        bool said = false;
        village_household(&c, MONTHS, &h);
        uint32_t n = village_answers(&c, &h, MONTHS - 1, &a, answers);
        for (uint32_t k = 0; k < n; k++)
            said = said || strcmp(answers[k].path, "/monitoring/spend/med_total") == 0;
        assert_true(n > 30 && n < VILLAGE_ANSWERS_MAX);
        asked++;
        blank += !said;
    }
    assert_true(blank > asked / 100 && blank < asked / 25);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_is_the_same_village),
        cmocka_unit_test(the_village_is_as_described),
        cmocka_unit_test(need_is_not_the_line),
        cmocka_unit_test(answers_hold_errors_and_blanks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
