/* Households as cases: split, merged, moved, closed, while handhelds go on writing about them; what came
 * first must not matter. */
#include "server/household.h"
#include "server/store_work.h"
#include "tests/support/centre.h"

#define HERE "990101001"
#define THERE "990102001"

#define county ((struct work_by){.person = 7, .role = ROLE_COUNTY, .name = STR("Wu"), .area = STR("")})

static void households(struct world *w, struct desk *k)
{
    struct import_result r;
    OK(import_households(k,
                         STR("code,area,name\nH1,990101001,Zhang\nH2,990101001,Zhang San\nH3,990102001,Li\n"),
                         false, &r, &w->d));
}

static struct work_household house(struct world *w, struct desk *k, const char *code)
{
    struct work_ask q = {.st = k->st, .a = &w->a, .area = STR("")};
    struct work_household h;
    OK(work_household_of(&q, str_of(code), &h, &w->d));
    return h;
}

static struct str visit_of(struct world *w, struct handheld *h, struct row_id household, const char *level)
{
    struct row_id interview = row_new(h), visit = row_new(h);
    const struct change c[] = {
        birth_of(w, h, interview, &(struct row_birth){.kind = ROW_INTERVIEW, .parent = household}),
        birth_of(w, h, visit, &(struct row_birth){.kind = ROW_VISIT, .parent = interview}),
        change_of(w, h, visit, VISIT_ENDED, CHANGE_SET, STR("2026-03-02T10:00:00.000+08:00")),
        change_of(w, h, visit, VISIT_LEVEL, CHANGE_SET, str_of(level)),
        change_of(w, h, visit, 0, CHANGE_FINALISE, STR("")),
    };
    return frame_of(w, h, c, 5);
}

static struct str state_of(struct world *w, struct desk *k)
{
    unsigned char now[SHA256_SIZE], again[SHA256_SIZE];
    uint64_t rows = 0, events = 0;
    OK(centre_state_hash(k->st, now, &rows, &w->d));
    for (uint64_t order = 0; order < 8; order++) {
        OK(centre_replay_hash(k->st, w->seam, order, again, &events, &w->d));
        assert_memory_equal(now, again, sizeof now);
    }
    return arena_str(&w->a, (struct str){(const char *)now, sizeof now});
}

static void test_a_visit_made_before_the_move_was_seen_is_taken_whichever_comes_first(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "Mai", HERE), other = enrolled(w, "Yu", HERE);
    struct desk k = desk_begin(w, NULL);
    households(w, &k);
    struct row_id one = house(w, &k, "H1").row;
    h.cursor = pulled(w, &h, 0, "").head.cursor;
    other.cursor = h.cursor;
    struct str before = visit_of(w, &h, one, "red");
    OK(household_move(&k, &county, STR("H1"), STR(THERE), STR("moved house"), &w->d));
    struct receipt r = delivered(w, &h, before);
    assert_int_equal(r.items[0].status, RECEIPT_STORED); /* it had not seen that it moved */
    assert_true(str_eq_z(house(w, &k, "H1").level, "red"));
    assert_true(str_eq_z(house(w, &k, "H1").area, THERE));
    /* Once it has seen that, the household is not its own any more. */
    OK(cstore_begin(k.st, &w->d));
    other.cursor = cstore_counters(k.st)->server_seq;
    cstore_rollback(k.st);
    r = delivered(w, &other, visit_of(w, &other, one, "blue"));
    assert_int_equal(r.items[0].status, RECEIPT_QUARANTINED);
    /* Nor does that help anybody who never had it. */
    struct handheld stranger = enrolled(w, "Hu", "990103");
    r = delivered(w, &stranger, visit_of(w, &stranger, one, "blue"));
    assert_int_equal(r.items[0].status, RECEIPT_QUARANTINED);
    (void)state_of(w, &k);
    desk_end(&k);
}

static void test_a_merged_household_keeps_what_still_comes(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "Mai", HERE);
    struct work_household *list;
    struct household_event *events;
    struct work_overview o;
    uint32_t count = 0;
    struct desk k = desk_begin(w, NULL);
    households(w, &k);
    struct row_id two = house(w, &k, "H2").row;
    h.cursor = pulled(w, &h, 0, "").head.cursor;
    struct str late = visit_of(w, &h, two, "red");
    assert_int_equal(household_merge(&k, &county, STR("H2"), STR("H2"), STR("the same"), &w->d), ERR_STATE);
    assert_int_equal(household_merge(&k, &county, STR("H2"), STR("H1"), STR(""), &w->d), ERR_USAGE);
    OK(household_merge(&k, &county, STR("H2"), STR("H1"), STR("the same people"), &w->d));
    assert_int_equal(household_merge(&k, &county, STR("H1"), STR("H2"), STR("no"), &w->d), ERR_STATE);
    assert_int_equal(delivered(w, &h, late).items[0].status, RECEIPT_STORED);
    assert_true(str_eq_z(house(w, &k, "H2").status, "merged"));
    assert_true(str_eq_z(house(w, &k, "H2").into, "H1"));
    assert_true(str_eq_z(house(w, &k, "H2").level, "red")); /* nothing of it is lost */
    struct work_ask q = {.st = k.st, .a = &w->a, .area = STR("")};
    OK(work_overview(&q, &o, &w->d));
    assert_int_equal(o.households, 2); /* and it is not counted twice */
    OK(household_events(&q, house(w, &k, "H1").row, &events, &count, &w->d));
    assert_int_equal(count, 1);
    assert_true(str_eq_z(events[0].code, "merged") && str_eq_z(events[0].other, "H2"));
    OK(household_reopen(&k, &county, STR("H2"), STR("they are two after all"), &w->d));
    assert_true(str_eq_z(house(w, &k, "H2").status, ""));
    OK(work_search(&q, STR("H"), STR(""), 0, &list, &count, &w->d));
    assert_int_equal(count, 3);
    (void)state_of(w, &k);
    desk_end(&k);
}

static void test_a_split_makes_a_household_that_handhelds_get(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "Mai", HERE);
    struct household_event *events;
    uint32_t count = 0;
    struct desk k = desk_begin(w, NULL);
    households(w, &k);
    uint64_t cursor = pulled(w, &h, 0, "").head.cursor;
    const struct household_split s = {.code = STR("H1"),
                                      .new_code = STR("H1-2"),
                                      .new_name = STR("Zhang Er"),
                                      .members = STR("the younger son and his wife"),
                                      .reason = STR("own kitchen")};
    struct household_split taken = s;
    taken.new_code = STR("H2");
    assert_int_equal(household_split(&k, &county, &taken, &w->d), ERR_EXISTS);
    OK(household_split(&k, &county, &s, &w->d));
    assert_true(str_eq_z(house(w, &k, "H1-2").area, HERE));
    struct work_ask q = {.st = k.st, .a = &w->a, .area = STR("")};
    OK(household_events(&q, house(w, &k, "H1").row, &events, &count, &w->d));
    assert_true(count == 1 && str_eq_z(events[0].other, "H1-2"));
    struct downlink down = pulled(w, &h, cursor, "");
    bool name = false, split = false;
    for (uint32_t i = 0; i < down.count; i++) {
        name = name || str_eq_z(down.changes[i].value, "Zhang Er");
        split = split || str_eq_z(down.changes[i].value, "split");
    }
    assert_true(name && split);
    (void)state_of(w, &k);
    desk_end(&k);
}

static void test_a_correction_and_a_name_from_the_door_are_both_kept(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "Mai", HERE);
    struct desk k = desk_begin(w, NULL);
    households(w, &k);
    struct row_id one = house(w, &k, "H1").row;
    h.cursor = pulled(w, &h, 0, "").head.cursor;
    struct change c = change_of(w, &h, one, HOUSEHOLD_NAME, CHANGE_SET, STR("Zhang Da"));
    struct str late = frame_of(w, &h, &c, 1);
    OK(household_correct(&k, &county, STR("H1"), STR("name"), STR("Zhang Yi"), STR("as on the card"), &w->d));
    assert_int_equal(delivered(w, &h, late).items[0].status, RECEIPT_CONFLICTS);
    assert_int_equal(house(w, &k, "H1").conflicts, 1);
    struct change wrong = change_of(w, &h, one, HOUSEHOLD_STATUS, CHANGE_SET, STR("closed"));
    assert_int_equal(delivered(w, &h, frame_of(w, &h, &wrong, 1)).items[0].status, RECEIPT_QUARANTINED);
    const struct work_by cadre = {.person = 8, .role = ROLE_CADRE, .name = STR("Mai"), .area = STR(HERE)};
    assert_int_equal(household_close(&k, &cadre, STR("H2"), STR("gone"), &w->d), ERR_DENIED);
    OK(household_close(&k, &county, STR("H2"), STR("nobody lives there"), &w->d));
    assert_int_equal(household_close(&k, &county, STR("H2"), STR("again"), &w->d), ERR_STATE);
    desk_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, world_open, world_close)
        TEST(test_a_visit_made_before_the_move_was_seen_is_taken_whichever_comes_first),
        TEST(test_a_merged_household_keeps_what_still_comes),
        TEST(test_a_split_makes_a_household_that_handhelds_get),
        TEST(test_a_correction_and_a_name_from_the_door_are_both_kept),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
