/* When to sync, with made-up time: what an hour in a village without a network costs, what a bar of signal
 * starts, and what a sleeping device does when it wakes. */
#include "tests/support/unit.h"

#include "agent/loop.h"

static struct loop l;

static int begin(void **state)
{
    (void)state;
    loop_init(&l, 1000, true, true, 7);
    return 0;
}

/* The first run, and nothing was there. */
static void settle(void)
{
    assert_int_equal(loop_next(&l).what, LOOP_LOOK);
    loop_looked(&l, false);
    assert_int_equal(loop_next(&l).what, LOOP_RUN);
    loop_ran(&l, ERR_OK, false);
}

static int64_t wait_of(void)
{
    struct loop_step s = loop_next(&l);
    assert_int_equal(s.what, LOOP_WAIT);
    return s.until_ms;
}

static void with_nothing_to_do_it_sleeps_for_hours(void **state)
{
    (void)state;
    settle();
    assert_int_equal(wait_of(), 1000 + LOOP_REFRESH_MS);
    loop_time(&l, 1000 + LOOP_REFRESH_MS);
    assert_int_equal(loop_next(&l).what, LOOP_RUN);
}

static void without_a_link_it_waits_without_a_clock(void **state)
{
    (void)state;
    settle();
    loop_link(&l, false);
    assert_true(wait_of() == LOOP_FOREVER);
    loop_changed(&l);
    assert_int_equal(wait_of(), 1000 + LOOP_SETTLE_MS);
    loop_time(&l, 1000 + LOOP_SETTLE_MS);
    assert_int_equal(loop_next(&l).what, LOOP_LOOK);
    loop_looked(&l, true);
    assert_true(wait_of() == LOOP_FOREVER); /* something waits, and still no clock */
    loop_time(&l, 5000000);
    loop_link(&l, true);
    assert_int_equal(loop_next(&l).what, LOOP_RUN);
}

static void what_is_finished_goes_at_once(void **state)
{
    (void)state;
    settle();
    loop_time(&l, 60000);
    loop_changed(&l);
    loop_time(&l, 60000 + LOOP_SETTLE_MS);
    assert_int_equal(loop_next(&l).what, LOOP_LOOK);
    loop_looked(&l, true);
    assert_int_equal(loop_next(&l).what, LOOP_RUN);
    loop_ran(&l, ERR_OK, false);
    assert_int_equal(wait_of(), 60000 + LOOP_SETTLE_MS + LOOP_REFRESH_MS);
}

static void answers_of_a_draft_cost_one_look_each_at_most(void **state)
{
    (void)state;
    settle();
    loop_time(&l, 50000);
    for (int i = 0; i < 100; i++)
        loop_changed(&l); /* a hundred writes within one moment */
    loop_time(&l, 50000 + LOOP_SETTLE_MS);
    assert_int_equal(loop_next(&l).what, LOOP_LOOK);
    loop_looked(&l, false);
    assert_true(wait_of() >= LOOP_REFRESH_MS);
}

static void failures_wait_longer_and_longer(void **state)
{
    (void)state;
    int64_t longest = 0;
    assert_int_equal(loop_next(&l).what, LOOP_LOOK);
    loop_looked(&l, true);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(loop_next(&l).what, LOOP_RUN);
        loop_ran(&l, ERR_NET, true);
        int64_t until = wait_of(), wait = until - l.now_ms;
        assert_true(wait >= 5000 && wait <= 15 * 60 * 1000);
        longest = wait > longest ? wait : longest;
        loop_time(&l, until);
    }
    assert_true(longest > 60000);
}

static void another_network_ends_the_waiting(void **state)
{
    (void)state;
    loop_looked(&l, true);
    for (int i = 0; i < 10; i++) {
        loop_ran(&l, ERR_NET, true);
        loop_time(&l, wait_of());
    }
    loop_ran(&l, ERR_NET, true);
    loop_time(&l, l.now_ms + LOOP_CALM_MS);
    loop_link(&l, true); /* another address on a link that was up */
    assert_int_equal(loop_next(&l).what, LOOP_RUN);
}

static void a_flapping_link_does_not_run_hot(void **state)
{
    (void)state;
    int runs = 0;
    loop_looked(&l, true);
    for (int64_t ms = 2000; ms < 62000; ms += 100) {
        loop_time(&l, ms);
        loop_link(&l, ms / 100 % 2 == 0);
        if (loop_next(&l).what == LOOP_RUN) {
            runs++;
            loop_ran(&l, ERR_NET, true);
        }
    }
    assert_true(runs >= 2 && runs <= 60000 / LOOP_CALM_MS + 1);
}

static void a_device_that_slept_tries_again(void **state)
{
    (void)state;
    loop_looked(&l, true);
    for (int i = 0; i < 10; i++) {
        loop_ran(&l, ERR_NET, true);
        loop_time(&l, wait_of());
    }
    loop_ran(&l, ERR_NET, true);
    int64_t until = wait_of();
    loop_time(&l, until + 3 * 3600 * 1000);
    assert_int_equal(l.failures, 0);
    assert_int_equal(loop_next(&l).what, LOOP_RUN);
}

static void a_person_who_asks_is_heard_always(void **state)
{
    (void)state;
    settle();
    loop_link(&l, false);
    loop_asked(&l);
    assert_int_equal(loop_next(&l).what, LOOP_RUN);
    loop_ran(&l, ERR_NET, false);
    assert_true(wait_of() == LOOP_FOREVER);
    loop_link(&l, true);
    loop_ran(&l, ERR_DENIED, true);
    assert_int_equal(wait_of(), l.now_ms + LOOP_REFUSED_MS);
    loop_asked(&l);
    assert_int_equal(loop_next(&l).what, LOOP_RUN);
}

static void where_nobody_tells_about_links_it_tries_now_and_then(void **state)
{
    (void)state;
    loop_init(&l, 0, false, false, 3);
    assert_true(l.link);
    loop_looked(&l, true);
    assert_int_equal(loop_next(&l).what, LOOP_RUN);
    loop_ran(&l, ERR_NET, true);
    assert_true(wait_of() != LOOP_FOREVER);
}

static void a_clock_that_goes_back_changes_nothing(void **state)
{
    (void)state;
    settle();
    int64_t until = wait_of();
    loop_time(&l, 5);
    assert_int_equal(wait_of(), until);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(with_nothing_to_do_it_sleeps_for_hours, begin),
        cmocka_unit_test_setup(without_a_link_it_waits_without_a_clock, begin),
        cmocka_unit_test_setup(what_is_finished_goes_at_once, begin),
        cmocka_unit_test_setup(answers_of_a_draft_cost_one_look_each_at_most, begin),
        cmocka_unit_test_setup(failures_wait_longer_and_longer, begin),
        cmocka_unit_test_setup(another_network_ends_the_waiting, begin),
        cmocka_unit_test_setup(a_flapping_link_does_not_run_hot, begin),
        cmocka_unit_test_setup(a_device_that_slept_tries_again, begin),
        cmocka_unit_test_setup(a_person_who_asks_is_heard_always, begin),
        cmocka_unit_test_setup(where_nobody_tells_about_links_it_tries_now_and_then, begin),
        cmocka_unit_test_setup(a_clock_that_goes_back_changes_nothing, begin),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
