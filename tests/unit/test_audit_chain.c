/* The audit log at the centre: what is written stays written, and whoever changes it is found out. */
#include "tests/support/centre.h"

#include "server/audit.h"
#include "server/store_impl.h"

#define ROWS 1203 /* more than two pages of the walk */

static struct desk filled(struct world *w)
{
    struct desk k = desk_begin(w, NULL);
    OK(cstore_begin(k.st, &w->d));
    for (int i = 0; i < ROWS; i++) {
        const struct audit_row r = {.at_ms = 1000 + i,
                                    .person = (uint32_t)(i % 7),
                                    .who = i % 7 ? STR("周玲") : STR("centre"),
                                    .what = i % 3 ? STR("read") : STR("changed"),
                                    .household = i % 5 ? STR("H-1") : STR("H-2"),
                                    .about = STR("答案")};
        OK(cstore_audit_add(k.st, &r, &w->d));
    }
    OK(cstore_commit(k.st, &w->d));
    return k;
}

static void tamper(struct world *w, struct cstore *st, const char *sql)
{
    struct stmt *q = NULL;
    OK(cstore_begin(st, &w->d));
    OK(statement(st, sql, &q, &w->d));
    OK(stmt_run(q, &w->d));
    OK(cstore_commit(st, &w->d));
}

static struct audit_state verified(struct world *w, struct cstore *st, const struct audit_row *head)
{
    struct audit_state x;
    OK(audit_verify(st, head, &x, &w->d));
    return x;
}

static void test_a_log_that_nobody_touched_is_whole(void **state)
{
    struct world *w = *state;
    struct desk k = filled(w);
    struct audit_state x = verified(w, k.st, NULL);
    assert_int_equal(x.broken, 0);
    assert_int_equal(x.rows, ROWS);
    assert_int_equal(x.newest, ROWS);
    assert_int_equal(x.newest_ms, 1000 + ROWS - 1);
    desk_end(&k);
}

static void test_each_kind_of_tampering_is_told_with_its_row(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *sql;
        uint64_t row;
        bool missing;
    } cases[] = {
        {"UPDATE audit SET what = 'x' WHERE county = ?1 AND n = 700", 700, false},
        {"UPDATE audit SET at_ms = at_ms + 1 WHERE county = ?1 AND n = 1", 1, false},
        {"UPDATE audit SET person = 3 WHERE county = ?1 AND n = 1203", 1203, false},
        {"UPDATE audit SET who = who || what, what = '' WHERE county = ?1 AND n = 12", 12, false},
        {"UPDATE audit SET hash = (SELECT hash FROM audit b WHERE b.county = audit.county AND b.n = 5)"
         " WHERE county = ?1 AND n = 6",
         6, false},
        {"DELETE FROM audit WHERE county = ?1 AND n = 501", 501, true},
        {"DELETE FROM audit WHERE county = ?1 AND n <= 2", 1, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct desk k = filled(w);
        struct audit_state x = verified(w, k.st, NULL);
        assert_int_equal(x.broken, 0);
        tamper(w, k.st, cases[i].sql);
        x = verified(w, k.st, NULL);
        assert_int_equal(x.broken, cases[i].row);
        assert_int_equal(x.missing, cases[i].missing);
        tamper(w, k.st, "DELETE FROM audit WHERE county = ?1");
        desk_end(&k);
    }
}

/* The end can be cut off without a trace in the chain; who wrote down the newest number and hash sees it. */
static void test_a_tail_that_was_cut_off_is_seen_by_who_noted_the_head(void **state)
{
    struct world *w = *state;
    struct desk k = filled(w);
    struct audit_state x = verified(w, k.st, NULL);
    struct audit_row head = {.n = x.newest};
    memcpy(head.hash, x.hash, sizeof head.hash);
    assert_true(verified(w, k.st, &head).head_found);
    OK(cstore_begin(k.st, &w->d));
    OK(cstore_audit(k.st, 9, STR("a"), STR("b"), STR("c"), &w->d));
    OK(cstore_commit(k.st, &w->d));
    assert_true(verified(w, k.st, &head).head_found);
    tamper(w, k.st, "DELETE FROM audit WHERE county = ?1 AND n >= 1200");
    x = verified(w, k.st, &head);
    assert_int_equal(x.broken, 0);
    assert_false(x.head_found);
    desk_end(&k);
}

static void test_rows_are_found_by_person_household_and_act(void **state)
{
    struct world *w = *state;
    struct desk k = filled(w);
    struct audit_row *rows = NULL;
    uint32_t count = 0;
    struct audit_filter f = {.who = STR("周玲"),
                             .what = STR("changed"),
                             .household = STR("H-2"),
                             .limit = 5000};
    OK(cstore_audit_rows(k.st, &w->a, &f, &rows, &count, &w->d));
    uint32_t want = 0;
    for (int i = 0; i < ROWS; i++)
        want += i % 7 != 0 && i % 3 == 0 && i % 5 == 0;
    assert_int_equal(count, want);
    assert_true(want > 0);
    f = (struct audit_filter){.newest_first = true, .limit = 2};
    OK(cstore_audit_rows(k.st, &w->a, &f, &rows, &count, &w->d));
    assert_int_equal(count, 2);
    assert_int_equal(rows[0].n, ROWS);
    f.after = rows[1].n;
    OK(cstore_audit_rows(k.st, &w->a, &f, &rows, &count, &w->d));
    assert_int_equal(rows[0].n, ROWS - 2);
    desk_end(&k);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_log_that_nobody_touched_is_whole),
        TEST(test_each_kind_of_tampering_is_told_with_its_row),
        TEST(test_a_tail_that_was_cut_off_is_seen_by_who_noted_the_head),
        TEST(test_rows_are_found_by_person_household_and_act),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
