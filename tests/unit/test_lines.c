/* What the centre's people work from: lines follow from the records in every order, tallies are their sums,
 * decisions stay and travel, and a piece of work has one holder. */
#include "server/store_work.h"
#include "server/work.h"
#include "tests/support/centre.h"

#define AREA "990101001001"

struct told { /* a household with one visit */
    struct row_id household, interview, visit;
};

/* The visit's frame; the household's own frame goes before it. */
static struct str visit_frame(struct world *w, struct handheld *h, struct told *t, const char *type,
                              const char *ended, const char *level)
{
    struct change c[12];
    uint32_t n = 0;
    if (row_id_none(t->interview)) {
        t->interview = row_new(h);
        c[n++] = birth_of(w, h, t->interview,
                          &(struct row_birth){.kind = ROW_INTERVIEW, .parent = t->household});
    }
    t->visit = row_new(h);
    c[n++] = birth_of(w, h, t->visit, &(struct row_birth){.kind = ROW_VISIT, .parent = t->interview});
    c[n++] = change_of(w, h, t->visit, VISIT_TYPE, CHANGE_SET, str_of(type));
    c[n++] = change_of(w, h, t->visit, VISIT_ENDED, CHANGE_SET, str_of(ended));
    c[n++] = change_of(w, h, t->visit, VISIT_LEVEL, CHANGE_SET, str_of(level));
    if (strcmp(level, "none") != 0) {
        struct row_id finding = row_new(h);
        c[n++] = birth_of(w, h, finding, &(struct row_birth){.kind = ROW_FINDING, .parent = t->visit});
        c[n++] = change_of(w, h, finding, FINDING_RULE, CHANGE_SET, STR("MED01"));
        c[n++] = change_of(w, h, finding, FINDING_SEVERITY, CHANGE_SET, str_of(level));
        c[n++] = change_of(w, h, finding, FINDING_STATE, CHANGE_SET, STR("hit"));
    }
    c[n++] = change_of(w, h, t->visit, 0, CHANGE_FINALISE, STR(""));
    return frame_of(w, h, c, n);
}

static struct str house_frame(struct world *w, struct handheld *h, struct told *t, const char *code,
                              const char *name)
{
    *t = (struct told){.household = row_new(h)};
    const struct change c[] = {
        birth_of(w, h, t->household, &(struct row_birth){.kind = ROW_HOUSEHOLD}),
        change_of(w, h, t->household, HOUSEHOLD_CODE, CHANGE_SET, str_of(code)),
        change_of(w, h, t->household, HOUSEHOLD_AREA, CHANGE_SET, STR(AREA)),
        change_of(w, h, t->household, HOUSEHOLD_NAME, CHANGE_SET, str_of(name)),
    };
    return frame_of(w, h, c, 4);
}

static struct told visited(struct world *w, struct handheld *h, const char *code, const char *level)
{
    struct told t;
    (void)delivered(w, h, house_frame(w, h, &t, code, code));
    (void)delivered(w, h, visit_frame(w, h, &t, "monitoring", "2026-03-02T10:00:00.000+08:00", level));
    return t;
}

static struct work_ask asking(struct world *w, struct desk *k, uint8_t role, const char *area)
{
    int64_t now = w->seam->wall_ms(w->seam->self);
    return (struct work_ask){.st = k->st,
                             .a = &w->a,
                             .area = str_of(area),
                             .person = 50,
                             .role = role,
                             .today = civil_days(2026, 3, 5),
                             .now_ms = now};
}

static struct work_by by_of(uint32_t person, uint8_t role, const char *area)
{
    return (struct work_by){.person = person, .role = role, .name = STR("李主任"), .area = str_of(area)};
}

static uint32_t waiting(struct world *w, struct desk *k, uint8_t role, const char *area,
                        struct work_item **out)
{
    struct work_ask q = asking(w, k, role, area);
    uint32_t count = 0;
    OK(work_queue_page(&q, QUEUE_MINE, STR(""), 0, out, &count, &w->d));
    return count;
}

static struct str all_tallies(struct world *w, struct desk *k)
{
    struct tally_sum *s = NULL;
    uint32_t count = 0;
    struct buf b;
    buf_init(&b, 1u << 20);
    OK(cstore_tallies(k->st, &w->a, STR(""), STR(""), INT64_MIN, INT64_MAX, true, &s, &count, &w->d));
    for (uint32_t i = 0; i < count; i++)
        if (s[i].n)
            buf_printf(&b, "%.*s %.*s %lld\n", STR_ARG(s[i].area), STR_ARG(s[i].what), (long long)s[i].n);
    struct str text = arena_str(&w->a, buf_str(&b));
    buf_free(&b);
    return text;
}

static void lines_hold(struct world *w, struct desk *k)
{
    struct str before = all_tallies(w, k);
    uint64_t n = 0;
    OK(lines_rebuild(k, &n, &w->d));
    struct str after = all_tallies(w, k);
    if (!str_eq(before, after))
        print_message("before:\n%.*safter:\n%.*s", STR_ARG(before), STR_ARG(after));
    assert_true(str_eq(before, after));
}

static void test_a_visit_that_came_before_its_household_is_counted_once(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901"), other = enrolled(w, "李强", "9901");
    struct told t;
    struct work_overview o;
    struct work_item *items;
    struct str house = house_frame(w, &h, &t, "H1", "张桂山");
    /* The second handheld knows the household from elsewhere, and is faster. */
    struct told there = {.household = t.household};
    (void)delivered(w, &other,
                    visit_frame(w, &other, &there, "monitoring", "2026-03-02T10:00:00.000+08:00", "red"));
    (void)delivered(w, &h, house);
    struct desk k = desk_begin(w, NULL);
    struct work_ask q = asking(w, &k, ROLE_COUNTY, "");
    OK(work_overview(&q, &o, &w->d));
    assert_int_equal(o.households, 1);
    assert_int_equal(o.red, 1);
    assert_int_equal(o.waits[REVIEW_VILLAGE], 1);
    assert_int_equal(waiting(w, &k, ROLE_CADRE, "9901", &items), 1);
    assert_true(str_eq_z(items[0].code, "H1") && str_eq_z(items[0].name, "张桂山"));
    assert_true(items[0].flags & VISIT_IS_RED);
    assert_int_equal(waiting(w, &k, ROLE_CADRE, "9902", &items), 0);
    lines_hold(w, &k);
    desk_end(&k);
}

static void test_a_visit_climbs_from_village_to_county(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct told t = visited(w, &h, "H1", "yellow");
    struct work_item *items;
    struct work_visit *visits;
    uint32_t count = 0;
    const struct review_act approve = {.state = REVIEW_APPROVED};
    struct desk k = desk_begin(w, NULL);
    const struct work_by village = by_of(11, ROLE_CADRE, "9901"), town = by_of(12, ROLE_SUPERVISOR, "99"),
                         county = by_of(13, ROLE_COUNTY, "");
    assert_int_equal(waiting(w, &k, ROLE_CADRE, "9901", &items), 1);
    uint64_t number = items[0].number;
    assert_int_equal(waiting(w, &k, ROLE_SUPERVISOR, "9901", &items), 0);
    OK(review_act(&k, &village, number, &approve, &w->d));
    assert_int_equal(waiting(w, &k, ROLE_CADRE, "9901", &items), 0);
    assert_int_equal(waiting(w, &k, ROLE_SUPERVISOR, "9901", &items), 1);
    assert_int_equal(review_act(&k, &village, number, &approve, &w->d),
                     ERR_DENIED); /* not its turn any more */
    OK(review_act(&k, &town, number, &approve, &w->d));
    OK(review_act(&k, &county, number, &approve, &w->d));
    assert_int_equal(review_act(&k, &county, number, &approve, &w->d), ERR_STATE);
    struct work_ask q = asking(w, &k, ROLE_COUNTY, "");
    OK(work_visits(&q, t.household, &visits, &count, &w->d));
    assert_int_equal(count, 1);
    assert_int_equal(visits[0].waits, WAITS_NOBODY);
    assert_int_equal(visits[0].round_count, 3);
    assert_int_equal(visits[0].rounds[0].level, REVIEW_VILLAGE);
    assert_int_equal(visits[0].rounds[2].person, 13);
    lines_hold(w, &k);
    desk_end(&k);
}

static void test_a_rejected_visit_comes_back_as_the_next_round(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct told t = visited(w, &h, "H1", "none");
    struct work_item *items;
    struct work_visit *visits;
    uint32_t count = 0;
    struct desk k = desk_begin(w, NULL);
    const struct work_by village = by_of(11, ROLE_CADRE, "9901"), far = by_of(12, ROLE_CADRE, "9902"),
                         analyst = by_of(13, ROLE_ANALYST, "");
    const struct review_remark remark = {.row = t.interview,
                                         .field = 7,
                                         .place = STR("/household/income"),
                                         .text = STR("a year, not a month")};
    const struct review_act reject = {.state = REVIEW_REJECTED,
                                      .comment = STR("please look again"),
                                      .remarks = &remark,
                                      .remark_count = 1};
    const struct review_act bare = {.state = REVIEW_REJECTED};
    (void)waiting(w, &k, ROLE_CADRE, "9901", &items);
    uint64_t number = items[0].number;
    assert_int_equal(review_act(&k, &village, number, &bare, &w->d), ERR_USAGE);
    assert_int_equal(review_act(&k, &far, number, &reject, &w->d), ERR_DENIED);
    assert_int_equal(review_act(&k, &analyst, number, &reject, &w->d), ERR_DENIED);
    OK(review_act(&k, &village, number, &reject, &w->d));
    struct work_ask q = asking(w, &k, ROLE_COUNTY, "");
    OK(work_queue_page(&q, QUEUE_REJECTED, STR(""), 0, &items, &count, &w->d));
    assert_int_equal(count, 1);
    assert_true(str_eq_z(items[0].why, "please look again"));
    /* The handheld is told of the decision and of the words beside the question. */
    struct downlink down = pulled(w, &h, 0, "");
    bool state_told = false, remark_told = false;
    for (uint32_t i = 0; i < down.count; i++) {
        state_told = state_told ||
                     (down.changes[i].field == REVIEW_STATE && str_eq_z(down.changes[i].value, "rejected"));
        remark_told = remark_told || str_eq_z(down.changes[i].value, "a year, not a month");
    }
    assert_true(state_told && remark_told);
    (void)delivered(w, &h, visit_frame(w, &h, &t, "correction", "2026-03-03T10:00:00.000+08:00", "none"));
    OK(work_queue_page(&q, QUEUE_REJECTED, STR(""), 0, &items, &count, &w->d));
    assert_int_equal(count, 0);
    assert_int_equal(waiting(w, &k, ROLE_CADRE, "9901", &items), 1);
    assert_int_equal(items[0].round, 2);
    assert_int_equal(review_act(&k, &village, number, &reject, &w->d),
                     ERR_STATE); /* the former round is over */
    OK(work_visits(&q, t.household, &visits, &count, &w->d));
    assert_int_equal(count, 2);
    assert_int_equal(visits[0].round_count, 1); /* the former round, with its words */
    assert_true(str_eq_z(visits[0].rounds[0].comment, "please look again"));
    assert_int_equal(visits[1].waits, WAITS_REPLACED);
    assert_int_equal(visits[1].remark_count, 1);
    assert_true(str_eq_z(visits[1].remarks[0].place, "/household/income"));
    lines_hold(w, &k);
    desk_end(&k);
}

/* As if its document had been rebuilt and its findings found again. */
static void prove(struct world *w, struct desk *k, const struct told *t)
{
    struct submission_row s;
    OK(cstore_begin(k->st, &w->d));
    OK(cstore_submission(k->st, &w->a, t->visit, &s, &w->d));
    s.xml_matches = true;
    OK(cstore_submission_put(k->st, &s, &w->d));
    OK(lines_refresh(k->st, t->household, NULL, &w->d));
    OK(cstore_commit(k->st, &w->d));
}

static void test_many_are_approved_at_once_but_for_those_that_need_eyes(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct told plain = visited(w, &h, "H1", "yellow"), red = visited(w, &h, "H2", "red"),
                unproven = visited(w, &h, "H3", "none");
    struct work_item *items;
    struct review_exception *left;
    uint64_t numbers[3];
    uint32_t approved = 0, count = 0;
    struct desk k = desk_begin(w, NULL);
    const struct work_by village = by_of(11, ROLE_CADRE, "9901");
    prove(w, &k, &plain);
    prove(w, &k, &red);
    (void)unproven;
    assert_int_equal(waiting(w, &k, ROLE_CADRE, "9901", &items), 3);
    for (int i = 0; i < 3; i++)
        numbers[i] = items[i].number;
    OK(review_bulk(&k, &village, numbers, 3, &approved, &left, &count, &w->d));
    assert_int_equal(approved, 1);
    assert_int_equal(count, 2);
    assert_true(str_eq_z(left[0].code, "H2") && str_eq_z(left[0].why, "red"));
    assert_true(str_eq_z(left[1].code, "H3") && str_eq_z(left[1].why, "mismatch"));
    assert_int_equal(waiting(w, &k, ROLE_CADRE, "9901", &items), 2);
    lines_hold(w, &k);
    desk_end(&k);
}

static void test_two_clerks_cannot_take_one_piece_of_work(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct work_item *items;
    (void)visited(w, &h, "H1", "none");
    struct desk k = desk_begin(w, NULL);
    const struct work_by one = by_of(50, ROLE_CADRE, "9901"), two = by_of(51, ROLE_CADRE, "9901");
    const struct review_act approve = {.state = REVIEW_APPROVED};
    assert_int_equal(waiting(w, &k, ROLE_CADRE, "9901", &items), 1);
    struct str what = items[0].lease;
    uint64_t number = items[0].number;
    OK(work_lease(&k, &two, what, 60000, &w->d));
    assert_int_equal(work_lease(&k, &one, what, 60000, &w->d), ERR_EXISTS);
    assert_int_equal(waiting(w, &k, ROLE_CADRE, "9901", &items), 0); /* 50 asks; 51 has it */
    assert_int_equal(review_act(&k, &one, number, &approve, &w->d), ERR_EXISTS);
    sim_advance(w->sim, 61000);
    assert_int_equal(waiting(w, &k, ROLE_CADRE, "9901", &items), 1); /* back in the queue by itself */
    OK(work_lease(&k, &one, what, 60000, &w->d));
    OK(work_lease_end(&k, &one, what, &w->d));
    OK(work_lease(&k, &two, what, 60000, &w->d));
    desk_end(&k);
}

static void test_pages_go_on_where_they_ended(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct work_household *list;
    uint32_t count = 0, seen = 0;
    struct str after = STR("");
    char code[8];
    for (int i = 0; i < 7; i++) {
        (void)snprintf(code, sizeof code, "H%d", i);
        struct told t;
        (void)delivered(w, &h, house_frame(w, &h, &t, code, i % 2 ? "张三" : "H李四"));
    }
    struct desk k = desk_begin(w, NULL);
    struct work_ask q = asking(w, &k, ROLE_COUNTY, "9901");
    do {
        OK(work_search(&q, STR(""), after, 3, &list, &count, &w->d));
        seen += count;
        after = count ? list[count - 1].key : after;
    } while (count == 3);
    assert_int_equal(seen, 7);
    OK(work_search(&q, STR("张"), STR(""), 10, &list, &count, &w->d));
    assert_int_equal(count, 3);
    OK(work_search(&q, STR("H3"), STR(""), 10, &list, &count, &w->d));
    assert_int_equal(count, 1);
    seen = 0;
    after = STR("");
    do { /* codes, then names: seven and four */
        OK(work_search(&q, STR("H"), after, 4, &list, &count, &w->d));
        seen += count;
        after = count ? list[count - 1].key : after;
    } while (count == 4);
    assert_int_equal(seen, 11);
    assert_int_equal(work_search(&q, STR("H"), STR("cnonsense"), 4, &list, &count, &w->d), ERR_USAGE);
    q.area = STR("9902");
    OK(work_search(&q, STR("H"), STR(""), 4, &list, &count, &w->d));
    assert_int_equal(count, 0);
    desk_end(&k);
}

static void test_the_history_tells_who_replaced_what(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901"), b = enrolled(w, "李强", "9901");
    struct told t;
    struct work_change *list, *next;
    uint32_t count = 0, more = 0;
    (void)delivered(w, &h, house_frame(w, &h, &t, "H1", "张桂山"));
    b.cursor = pulled(w, &b, 0, "").head.cursor;
    struct change c = change_of(w, &b, t.household, HOUSEHOLD_NAME, CHANGE_SET, STR("张贵山"));
    (void)delivered(w, &b, frame_of(w, &b, &c, 1));
    struct desk k = desk_begin(w, NULL);
    struct work_ask q = asking(w, &k, ROLE_COUNTY, "");
    OK(work_history(&q, t.household, STR(""), 0, &list, &count, &w->d));
    assert_int_equal(count, 5);
    assert_true(str_eq_z(list[0].label, "name"));
    assert_true(str_eq_z(list[0].old, "张桂山") && str_eq_z(list[0].value, "张贵山"));
    assert_true(str_eq_z(list[0].name, "李强"));
    assert_int_equal(list[0].device, b.device);
    assert_int_equal(list[0].frame.n, 32);
    OK(work_history(&q, t.household, list[0].key, 2, &next, &more, &w->d));
    assert_int_equal(more, 2);
    assert_int_equal(next[0].kind, ROW_HOUSEHOLD);
    assert_int_equal(next[0].op, CHANGE_ROW_CREATE);
    desk_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, world_open, world_close)
        TEST(test_a_visit_that_came_before_its_household_is_counted_once),
        TEST(test_a_visit_climbs_from_village_to_county),
        TEST(test_a_rejected_visit_comes_back_as_the_next_round),
        TEST(test_many_are_approved_at_once_but_for_those_that_need_eyes),
        TEST(test_two_clerks_cannot_take_one_piece_of_work),
        TEST(test_pages_go_on_where_they_ended),
        TEST(test_the_history_tells_who_replaced_what),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
