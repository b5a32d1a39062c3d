/* Merge: any order of the same changes gives the same bytes, and what is kept is what an independent reading
 * of the rule says: the changes that no other one dominates, directly or through a chain. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "sync/merge.h"

#define CHANGES_MAX 24

struct fact {
    struct change change;
    uint64_t device;
    uint64_t server_seq;
};

static const struct row_id household = {7, 1, 1};
static struct arena arena;
static struct diag diag;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 64u << 20);
    diag_clear(&diag);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static uint64_t random_next(uint64_t *s)
{
    *s = *s * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint64_t x = *s;
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    return x ^ x >> 29;
}

static enum merge_result apply_as(struct record *r, const struct fact *f, uint64_t server_seq)
{
    enum merge_result result = MERGE_SHOWN;
    assert_int_equal(record_apply(&arena, r, &f->change, f->device, 1, f->change.hlc, server_seq, &result),
                     ERR_OK);
    return result;
}

static enum merge_result apply(struct record *r, const struct fact *f)
{
    return apply_as(r, f, f->server_seq);
}

static struct record record_of(const struct fact *facts, const uint32_t *order, uint32_t n)
{
    struct record r = {.row = household};
    for (uint32_t i = 0; i < n; i++)
        apply(&r, &facts[order ? order[i] : i]);
    return r;
}

static void pack(const struct record *r, struct buf *out)
{
    buf_clear(out);
    assert_int_equal(record_pack(r, out), ERR_OK);
}

/* --- the rule, read independently: a matrix of who dominates whom, closed
 * ----------------------------------- */

static bool dominates_directly(const struct fact *a, const struct fact *b)
{
    if (a->device == b->device)
        return a->change.seq > b->change.seq;
    return b->server_seq <= a->change.seen;
}

static void check_against_the_rule(const struct fact *f, uint32_t n, const struct record *r)
{
    bool over[CHANGES_MAX][CHANGES_MAX] = {{false}};
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < n; k++)
            over[i][k] = i != k && f[i].change.field == f[k].change.field &&
                         f[i].change.op != CHANGE_ROW_CREATE && f[k].change.op != CHANGE_ROW_CREATE &&
                         dominates_directly(&f[i], &f[k]);
    for (uint32_t m = 0; m < n; m++)
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t k = 0; k < n; k++)
                over[i][k] = over[i][k] || (over[i][m] && over[m][k]);
    uint32_t kept = 0, held = 0;
    for (uint32_t k = 0; k < n; k++) {
        bool dominated = f[k].change.op == CHANGE_ROW_CREATE;
        for (uint32_t i = 0; i < n; i++)
            dominated = dominated || over[i][k];
        if (dominated)
            continue;
        kept++;
        const struct record_cell *cell = record_cell(r, f[k].change.field);
        assert_non_null(cell);
        bool found = false;
        for (uint32_t i = 0; i < cell->count; i++)
            found = found ||
                    (cell->versions[i].device == f[k].device && cell->versions[i].seq == f[k].change.seq);
        assert_true(found);
    }
    for (uint32_t i = 0; i < r->count; i++)
        held += r->cells[i].count;
    assert_int_equal(held, kept);
}

/* --- histories
 * ---------------------------------------------------------------------------------------------- */

/* Three devices edit, send their changes in any order (a stick may come before the radio), and pull now and
 * then. */
static uint32_t random_history(uint64_t *s, struct fact *f)
{
    static const char *const values[] = {"a", "b", "c"};
    uint32_t n = 0, waiting[3][CHANGES_MAX], waiting_count[3] = {0};
    uint64_t cursor[3] = {0}, seq[3] = {0}, server_seq = 0;
    uint32_t length = (uint32_t)(random_next(s) % (CHANGES_MAX - 1)) + 1;
    uint32_t fields = (uint32_t)(random_next(s) % 3) + 1;
    while (n < length) {
        uint32_t d = (uint32_t)(random_next(s) % 3);
        switch (random_next(s) % 4) {
        case 0:
        case 1: {
            uint64_t kind = random_next(s) % 16;
            struct change *c = &f[n].change;
            *c = (struct change){.seq = ++seq[d],
                                 .row = household,
                                 .field = (uint32_t)(random_next(s) % fields) + 1};
            c->op = kind < 11    ? CHANGE_SET
                    : kind < 13  ? CHANGE_CLEAR
                    : kind == 13 ? CHANGE_RESOLVE
                    : kind == 14 ? CHANGE_ROW_DELETE
                                 : CHANGE_ROW_CREATE;
            if (kind >= 14)
                c->field = 0;
            c->person = d;
            c->hlc = (int64_t)(random_next(s) % 8);
            c->seen = cursor[d];
            c->value = kind < 11 || kind == 13 ? str_of(values[random_next(s) % 3]) : STR("");
            f[n].device = d + 7;
            waiting[d][waiting_count[d]++] = n++;
            break;
        }
        case 2:
            if (waiting_count[d]) {
                uint32_t k = (uint32_t)(random_next(s) % waiting_count[d]);
                f[waiting[d][k]].server_seq = ++server_seq;
                waiting[d][k] = waiting[d][--waiting_count[d]];
            }
            break;
        default: cursor[d] += random_next(s) % (server_seq - cursor[d] + 1);
        }
    }
    for (uint32_t d = 0; d < 3; d++)
        for (uint32_t k = 0; k < waiting_count[d]; k++)
            f[waiting[d][k]].server_seq = ++server_seq;
    return n;
}

static void shuffle(uint64_t *s, uint32_t *order, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t k = (uint32_t)(random_next(s) % i);
        uint32_t t = order[i - 1];
        order[i - 1] = order[k];
        order[k] = t;
    }
}

static void any_order_gives_the_same_bytes(void **state)
{
    (void)state;
    uint64_t s = 2026;
    struct buf expected, got;
    buf_init(&expected, 1u << 20);
    buf_init(&got, 1u << 20);
    for (int round = 0; round < 100000 / THINNED(5); round++) {
        struct arena_mark mark = arena_mark(&arena);
        struct fact f[CHANGES_MAX] = {{.device = 0}};
        uint32_t order[CHANGES_MAX];
        uint32_t n = random_history(&s, f);
        for (uint32_t i = 0; i < n; i++)
            order[i] = i;
        struct record r = record_of(f, NULL, n);
        check_against_the_rule(f, n, &r);
        pack(&r, &expected);
        for (int k = 0; k < 3; k++) {
            shuffle(&s, order, n);
            struct record other = record_of(f, order, n);
            pack(&other, &got);
            assert_int_equal(got.n, expected.n);
            assert_memory_equal(got.p, expected.p, got.n);
        }
        arena_release(&arena, mark);
    }
    buf_free(&expected);
    buf_free(&got);
}

/* As a store does it: unpack, apply one, pack; with everything delivered twice. */
/* The same with answers of every policy, packed in between, some delivered twice. */
static void policies_know_no_order_either(void **state)
{
    (void)state;
    uint64_t s = 11;
    struct buf expected, got;
    buf_init(&expected, 1u << 20);
    buf_init(&got, 1u << 20);
    for (int round = 0; round < 20000; round++) {
        struct arena_mark mark = arena_mark(&arena);
        struct fact f[CHANGES_MAX] = {{.device = 0}};
        uint32_t order[2 * CHANGES_MAX];
        uint32_t n = random_history(&s, f);
        for (uint32_t i = 0; i < n; i++)
            if (f[i].change.field)
                f[i].change.field += FIELD_POLICY_NUMBERS * (f[i].change.field % FIELD_POLICIES);
        for (uint32_t i = 0; i < 2 * n; i++)
            order[i] = i % n;
        struct record r = record_of(f, NULL, n);
        pack(&r, &expected);
        shuffle(&s, order, 2 * n);
        struct record other = record_of(f, order, 2 * n), again;
        pack(&other, &got);
        assert_int_equal(got.n, expected.n);
        assert_memory_equal(got.p, expected.p, got.n);
        struct str packed = arena_str(&arena, buf_str(&got));
        assert_int_equal(record_unpack(&arena, household, packed, &again, &diag), ERR_OK);
        pack(&again, &got);
        assert_memory_equal(got.p, expected.p, expected.n);
        arena_release(&arena, mark);
    }
    buf_free(&expected);
    buf_free(&got);
}

static void packing_between_changes_makes_no_difference(void **state)
{
    (void)state;
    uint64_t s = 7;
    struct buf expected, got;
    buf_init(&expected, 1u << 20);
    buf_init(&got, 1u << 20);
    for (int round = 0; round < 5000; round++) {
        struct arena_mark mark = arena_mark(&arena);
        struct fact f[CHANGES_MAX] = {{.device = 0}};
        uint32_t order[2 * CHANGES_MAX];
        uint32_t n = random_history(&s, f);
        for (uint32_t i = 0; i < 2 * n; i++)
            order[i] = i % n;
        struct record r = record_of(f, NULL, n);
        pack(&r, &expected);
        shuffle(&s, order, 2 * n);
        buf_clear(&got);
        for (uint32_t i = 0; i < 2 * n; i++) {
            struct record step;
            struct str packed = arena_str(&arena, buf_str(&got));
            assert_int_equal(record_unpack(&arena, household, packed, &step, &diag), ERR_OK);
            apply(&step, &f[order[i]]);
            pack(&step, &got);
        }
        assert_int_equal(got.n, expected.n);
        assert_memory_equal(got.p, expected.p, got.n);
        arena_release(&arena, mark);
    }
    buf_free(&expected);
    buf_free(&got);
}

/* A device holds its own changes before the centre has numbered them, and pulls the rest in the centre's
 * order. */
static void a_device_ends_with_the_bytes_of_the_centre(void **state)
{
    (void)state;
    uint64_t s = 31;
    struct buf expected, got;
    buf_init(&expected, 1u << 20);
    buf_init(&got, 1u << 20);
    for (int round = 0; round < 20000; round++) {
        struct arena_mark mark = arena_mark(&arena);
        struct fact f[CHANGES_MAX] = {{.device = 0}};
        uint32_t n = random_history(&s, f);
        struct record centre = record_of(f, NULL, n), device = {.row = household};
        pack(&centre, &expected);
        for (uint32_t i = 0; i < n; i++)
            if (f[i].device == 8)
                apply_as(&device, &f[i], 0);
        for (uint64_t at = 1; at <= n; at++)
            for (uint32_t i = 0; i < n; i++)
                if (f[i].server_seq == at)
                    apply(&device, &f[i]);
        pack(&device, &got);
        assert_int_equal(got.n, expected.n);
        assert_memory_equal(got.p, expected.p, got.n);
        arena_release(&arena, mark);
    }
    buf_free(&expected);
    buf_free(&got);
}

/* --- every small history
 * ------------------------------------------------------------------------------------ */

#define SMALL 4

static uint32_t permutations(uint32_t out[24][SMALL])
{
    uint32_t n = 0;
    for (uint32_t v = 0; v < 256; v++) {
        uint32_t p[SMALL] = {v & 3, v >> 2 & 3, v >> 4 & 3, v >> 6};
        bool all = true;
        for (uint32_t i = 0; i < SMALL; i++)
            for (uint32_t k = 0; k < i; k++)
                all = all && p[i] != p[k];
        if (all)
            memcpy(out[n++], p, sizeof(p));
    }
    return n;
}

/* What cannot happen: seeing one's own arrival, or having seen more before than after. */
static bool possible(const struct fact *f)
{
    for (uint32_t i = 0; i < SMALL; i++) {
        if (f[i].change.seen >= f[i].server_seq)
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (f[k].device == f[i].device && f[k].change.seen > f[i].change.seen)
                return false;
    }
    return true;
}

/* Who is shown knows no order either when one of the four is a decision over an answer that stays. */
static void every_small_history(uint32_t field, enum change_op last)
{
    uint32_t orders[24][SMALL], histories = 0;
    assert_int_equal(permutations(orders), 24);
    struct buf expected, got;
    buf_init(&expected, 1u << 20);
    buf_init(&got, 1u << 20);
    for (uint32_t v = 0; v < 81 * 24 * 256; v += THINNED(11)) {
        struct fact f[SMALL] = {{.device = 0}};
        uint32_t authors = v % 81, arrival = v / 81 % 24, seen = v / 81 / 24;
        for (uint32_t i = 0; i < SMALL; i++, authors /= 3, seen /= 4)
            f[i] = (struct fact){{.seq = i + 1,
                                  .row = household,
                                  .field = field,
                                  .op = i == SMALL - 1 ? last : CHANGE_SET,
                                  .hlc = (int64_t)(i * 7 % 3),
                                  .seen = seen % 4,
                                  .value = STR("v")},
                                 authors % 3 + 7,
                                 orders[arrival][i] + 1};
        if (!possible(f))
            continue;
        histories++;
        struct arena_mark mark = arena_mark(&arena);
        for (uint32_t k = 0; k < 24; k++) {
            struct record r = record_of(f, orders[k], SMALL);
            if (!k && field == 1)
                check_against_the_rule(f, SMALL, &r);
            pack(&r, k ? &got : &expected);
            if (k) {
                assert_int_equal(got.n, expected.n);
                assert_memory_equal(got.p, expected.p, got.n);
            }
        }
        arena_release(&arena, mark);
    }
    print_message("%u histories, 24 orders each\n", histories);
    assert_true(histories > 10000 / THINNED(11));
    buf_free(&expected);
    buf_free(&got);
}

static void every_history_of_four_changes(void **state)
{
    (void)state;
    every_small_history(1, CHANGE_SET);
    every_small_history(3 * FIELD_POLICY_NUMBERS + 1, CHANGE_SET);
    every_small_history(3 * FIELD_POLICY_NUMBERS + 1, CHANGE_RESOLVE);
}

/* --- in words
 * ----------------------------------------------------------------------------------------------- */

static struct fact fact(uint64_t device, uint64_t seq, uint32_t field, const char *value, int64_t hlc,
                        uint64_t seen, uint64_t server_seq)
{
    return (struct fact){
        {.seq = seq, .row = household, .field = field, .hlc = hlc, .seen = seen, .value = str_of(value)},
        device,
        server_seq};
}

static void what_a_policy_makes_of_two_answers(void **state)
{
    (void)state;
    uint32_t review = FIELD_POLICY_NUMBERS + 1, both = 2 * review - 1, first = both + FIELD_POLICY_NUMBERS;
    struct record r = {.row = household};
    struct fact a = fact(7, 1, review, "3", 100, 0, 1), b = fact(8, 1, review, "4", 90, 0, 1);
    struct fact c = fact(7, 2, both, "rice maize", 100, 0, 1), e = fact(8, 2, both, "maize pig", 90, 0, 2);
    struct fact g = fact(7, 3, first, "1958", 100, 0, 1), k = fact(8, 3, first, "1985", 200, 1, 2);
    struct str words;
    const struct fact *const all[] = {&a, &b, &c, &e, &g, &k};
    for (int i = 0; i < 6; i++)
        apply(&r, all[i]);
    assert_true(record_conflict(&r, review) && record_disputed(&r, POLICY_REVIEW));
    assert_false(record_conflict(&r, both));
    assert_int_equal(record_answer(&arena, record_cell(&r, both), &words), ERR_OK);
    assert_true(str_eq_z(words, "rice maize pig"));
    /* Whoever had seen the first answer only tried. */
    assert_false(record_conflict(&r, first));
    assert_true(str_eq_z(record_value(&r, first), "1958"));
    assert_int_equal(record_cell(&r, first)->count, 2);
    /* Two that began without each other are a dispute, and the earlier one is shown. */
    struct fact m = fact(9, 1, first, "1901", 50, 0, 3);
    apply(&r, &m);
    assert_true(record_conflict(&r, first));
    assert_true(str_eq_z(record_value(&r, first), "1901"));
    struct fact said = fact(0, 4, first, "1958", 60, 3, 4);
    said.change.op = CHANGE_RESOLVE;
    apply(&r, &said);
    assert_false(record_conflict(&r, first));
    assert_true(str_eq_z(record_value(&r, first), "1958"));
}

/* What a device never delivered goes over to its next incarnation; what it had delivered stays the old one's.
 */
static void undelivered_work_is_handed_over(void **state)
{
    (void)state;
    struct record r = {.row = household};
    struct fact sent = fact(7, 1, 5, "sent", 10, 0, 1), unsent = fact(7, 2, 5, "unsent", 20, 0, 0),
                kept = fact(7, 3, 6, "kept", 20, 0, 2);
    const uint64_t seqs[] = {2};
    apply(&r, &sent);
    apply(&r, &unsent);
    apply(&r, &kept);
    assert_int_equal(record_hand_over(&arena, &r, &(struct record_handover){7, 1, 7, 2, seqs, 1}), ERR_OK);
    assert_int_equal(record_cell(&r, 5)->versions[0].inc, 2);
    assert_int_equal(record_cell(&r, 6)->versions[0].inc, 1);
    /* The centre tells what the old one had sent: both are there, as they are at the centre. */
    apply(&r, &sent);
    assert_int_equal(record_cell(&r, 5)->count, 2);
    assert_true(record_conflict(&r, 5));
}

static void a_centre_set_back_forgets_what_was_seen(void **state)
{
    (void)state;
    struct record r = {.row = household};
    struct fact a = fact(7, 1, 5, "a", 10, 0, 90), b = fact(8, 1, 5, "b", 20, 95, 96);
    apply(&r, &a);
    apply(&r, &b);
    assert_int_equal(record_cell(&r, 5)->count, 1);
    record_set_back(&r, 50, 8, 1);
    assert_int_equal(record_cell(&r, 5)->versions[0].server_seq, 0);
    assert_int_equal(record_cell(&r, 5)->versions[0].seen, 50);
    /* The other one sends again: nobody is known to have seen it under its new place. */
    struct fact again = fact(7, 1, 5, "a", 10, 0, 60);
    assert_int_equal(apply(&r, &again), MERGE_KEPT_BESIDE);
    assert_true(record_conflict(&r, 5));
}

/* What is shown stays until all was told again; then only what the centre has, and what is ours. */
static void what_only_a_lost_history_knew_goes_until_it_is_sent_again(void **state)
{
    (void)state;
    struct record r = {.row = household};
    struct fact old = fact(7, 1, 5, "old", 10, 0, 40), lost = fact(7, 2, 5, "lost", 20, 0, 90);
    struct fact other = fact(9, 1, 6, "of another", 20, 0, 91), ours = fact(8, 1, 7, "ours", 20, 0, 92);
    apply(&r, &old);
    apply(&r, &lost);
    apply(&r, &other);
    apply(&r, &ours);
    record_set_back(&r, 50, 8, 1);
    assert_true(str_eq_z(record_value(&r, 5), "lost"));
    struct fact told = fact(7, 1, 5, "old", 10, 0, 40);
    apply(&r, &told);
    assert_true(str_eq_z(record_value(&r, 5), "old"));
    assert_true(record_settle(&r, 8));
    assert_null(record_cell(&r, 6));
    assert_true(str_eq_z(record_value(&r, 7), "ours"));
    assert_false(record_settle(&r, 8));
    struct fact again = fact(7, 2, 5, "lost", 20, 0, 60),
                other_again = fact(9, 1, 6, "of another", 20, 0, 61);
    assert_int_equal(apply(&r, &again), MERGE_SHOWN);
    assert_int_equal(apply(&r, &other_again), MERGE_SHOWN);
}

/* Whoever goes on as another incarnation is the same author to what it inherited, and to nothing else. */
static void an_heir_overwrites_what_it_inherited(void **state)
{
    (void)state;
    const struct heir h = {.device = 7, .inc = 2, .from = 1, .upto = 4};
    struct fact mine = fact(7, 4, 5, "mine", 10, 0, 40), later = fact(7, 6, 5, "not mine", 30, 0, 41);
    struct fact over = fact(7, 9, 5, "over it", 20, 0, 42);
    for (int order = 0; order < 2; order++) {
        struct record r = {.row = household}, again;
        enum merge_result result;
        struct buf packed;
        if (!order)
            apply(&r, &mine);
        assert_int_equal(record_inherit(&arena, &r, &h), ERR_OK);
        assert_int_equal(record_apply(&arena, &r, &over.change, 7, 2, over.change.hlc, over.server_seq,
                                      &result),
                         ERR_OK);
        if (order)
            apply(&r, &mine);
        assert_int_equal(record_cell(&r, 5)->count, 1);
        buf_init(&packed, 1u << 16);
        assert_int_equal(record_pack(&r, &packed), ERR_OK);
        assert_int_equal(record_unpack(&arena, household, buf_str(&packed), &again, NULL), ERR_OK);
        apply(&again, &later);
        assert_int_equal(record_cell(&again, 5)->count, 2);
        assert_true(record_conflict(&again, 5));
        buf_free(&packed);
    }
}

static void buried_answers_leave_the_state_as_it_was(void **state)
{
    (void)state;
    struct record r = {.row = household};
    struct fact name = fact(7, 1, 3, "Wang", 10, 0, 1), gone = fact(8, 1, 0, "", 20, 1, 2);
    struct buf before, after;
    buf_init(&before, 1u << 16);
    buf_init(&after, 1u << 16);
    gone.change.op = CHANGE_ROW_DELETE;
    apply(&r, &name);
    assert_false(record_bury(&r));
    apply(&r, &gone);
    assert_int_equal(record_state(&r, &before), ERR_OK);
    assert_true(record_bury(&r));
    assert_int_equal(record_state(&r, &after), ERR_OK);
    assert_true(str_eq(buf_str(&before), buf_str(&after)));
    assert_true(str_eq_z(record_value(&r, 3), ""));
    /* What comes late is still recognised as told. */
    assert_int_equal(apply(&r, &name), MERGE_DUPLICATE);
    buf_free(&before);
    buf_free(&after);
}

static void two_people_one_household(void **state)
{
    (void)state;
    struct record r = {.row = household};
    struct fact li = fact(7, 1, 5, "3", 100, 0, 1), wang = fact(8, 1, 5, "4", 90, 0, 2);
    assert_int_equal(apply(&r, &li), MERGE_SHOWN);
    assert_false(record_conflict(&r, 5));
    assert_int_equal(apply(&r, &wang), MERGE_KEPT_BESIDE);
    assert_true(record_conflict(&r, 5));
    assert_true(str_eq_z(record_value(&r, 5), "3"));
    assert_int_equal(apply(&r, &wang), MERGE_DUPLICATE);

    struct fact supervisor = fact(0, 3, 5, "4", 50, 2, 3); /* a slow clock, but it has seen both */
    supervisor.change.op = CHANGE_RESOLVE;
    assert_int_equal(apply(&r, &supervisor), MERGE_SHOWN);
    assert_false(record_conflict(&r, 5));
    assert_true(str_eq_z(record_value(&r, 5), "4"));
    assert_int_equal(record_cell(&r, 5)->count, 1);
}

static void the_same_answer_twice_is_no_conflict(void **state)
{
    (void)state;
    struct record r = {.row = household};
    struct fact a = fact(7, 1, 5, "3", 100, 0, 1), b = fact(8, 1, 5, "3", 90, 0, 2);
    apply(&r, &a);
    assert_int_equal(apply(&r, &b), MERGE_KEPT_BESIDE);
    assert_false(record_conflict(&r, 5));
    struct fact c = fact(9, 1, 5, "3", 80, 0, 3);
    c.change.status = 1; /* "3" as a partial answer is another answer */
    apply(&r, &c);
    assert_true(record_conflict(&r, 5));
}

/* The stick brings Li's first answer after his second one was already seen and replaced by Wang. */
static void a_late_arrival_of_a_seen_author_is_recognised(void **state)
{
    (void)state;
    struct record r = {.row = household};
    struct fact second = fact(7, 2, 5, "second", 20, 0, 1), wang = fact(8, 1, 5, "wang", 30, 1, 2),
                first = fact(7, 1, 5, "first", 99, 0, 3);
    apply(&r, &second);
    apply(&r, &wang);
    assert_int_equal(apply(&r, &first), MERGE_DOMINATED);
    assert_true(str_eq_z(record_value(&r, 5), "wang"));
    assert_false(record_conflict(&r, 5));
}

static void a_delete_wins_only_over_what_it_has_seen(void **state)
{
    (void)state;
    struct record r = {.row = household};
    struct fact name = fact(7, 1, 3, "Wang", 10, 0, 1), gone = fact(8, 1, 0, "", 20, 1, 2),
                edit = fact(7, 2, 4, "road 5", 15, 0, 3);
    gone.change.op = CHANGE_ROW_DELETE;
    apply(&r, &name);
    apply(&r, &gone);
    assert_true(record_deleted(&r));
    apply(&r, &edit);
    assert_false(record_deleted(&r));
    assert_true(record_conflict(&r, 0));
    struct fact again = fact(8, 2, 0, "", 30, 3, 4);
    again.change.op = CHANGE_ROW_DELETE;
    apply(&r, &again);
    assert_true(record_deleted(&r));
    assert_false(record_conflict(&r, 0));
}

static void a_birth_outlives_everything(void **state)
{
    (void)state;
    struct record r = {.row = household};
    struct row_birth birth = {.kind = ROW_HOUSEHOLD}, got;
    struct buf bytes;
    buf_init(&bytes, 100);
    assert_int_equal(row_birth_write(&bytes, &birth), ERR_OK);
    struct fact born = fact(7, 1, 0, "", 10, 0, 1), gone = fact(8, 1, 0, "", 20, 1, 2);
    born.change.op = CHANGE_ROW_CREATE;
    born.change.value = buf_str(&bytes);
    gone.change.op = CHANGE_ROW_DELETE;
    assert_false(record_birth(&r, &got));
    apply(&r, &gone);
    assert_int_equal(apply(&r, &born), MERGE_SHOWN);
    assert_true(record_birth(&r, &got));
    assert_int_equal(got.kind, ROW_HOUSEHOLD);
    assert_true(record_deleted(&r));
    struct fact forged = fact(3, 1, 0, "x", 10, 0, 3);
    forged.change.op = CHANGE_ROW_CREATE;
    assert_int_equal(apply(&r, &forged), MERGE_DOMINATED);
    buf_free(&bytes);
}

static void a_liar_cannot_empty_a_cell(void **state)
{
    (void)state;
    uint64_t s = 4;
    for (int round = 0; round < 20000; round++) {
        struct arena_mark mark = arena_mark(&arena);
        struct record r = {.row = household};
        for (uint32_t i = 0; i < 8; i++) {
            struct fact f = fact(random_next(&s) % 3 + 7, random_next(&s) % 5 + 1, 1, "x",
                                 (int64_t)(random_next(&s) % 4),
                                 random_next(&s) % 4 ? random_next(&s) % 12 : UINT64_MAX,
                                 random_next(&s) % 12);
            apply(&r, &f);
            assert_true(record_cell(&r, 1)->count >= 1);
        }
        arena_release(&arena, mark);
    }
}

static void damaged_state_is_refused(void **state)
{
    (void)state;
    uint64_t s = 3;
    struct fact f[CHANGES_MAX] = {{.device = 0}};
    uint32_t n = random_history(&s, f);
    struct record r = record_of(f, NULL, n), out;
    struct buf packed;
    buf_init(&packed, 1u << 20);
    pack(&r, &packed);
    for (size_t cut = 1; cut < packed.n; cut++) {
        diag_clear(&diag);
        assert_int_not_equal(record_unpack(&arena, household, (struct str){packed.p, cut}, &out, &diag),
                             ERR_OK);
        assert_non_null(strstr(diag.text, "row 7.1.1"));
    }
    for (int round = 0; round < 20000; round++) {
        struct arena_mark mark = arena_mark(&arena);
        char *p = ARENA_ARRAY(&arena, char, packed.n);
        memcpy(p, packed.p, packed.n);
        p[random_next(&s) % packed.n] = (char)random_next(&s);
        if (record_unpack(&arena, household, (struct str){p, packed.n}, &out, NULL) == ERR_OK) {
            record_deleted(&out);
            record_conflict(&out, 1);
        }
        arena_release(&arena, mark);
    }
    buf_free(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_people_one_household, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_answer_twice_is_no_conflict, setup, teardown),
        cmocka_unit_test_setup_teardown(a_late_arrival_of_a_seen_author_is_recognised, setup, teardown),
        cmocka_unit_test_setup_teardown(a_delete_wins_only_over_what_it_has_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_birth_outlives_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(a_liar_cannot_empty_a_cell, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_state_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_policy_makes_of_two_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(undelivered_work_is_handed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_centre_set_back_forgets_what_was_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(an_heir_overwrites_what_it_inherited, setup, teardown),
        cmocka_unit_test_setup_teardown(what_only_a_lost_history_knew_goes_until_it_is_sent_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(buried_answers_leave_the_state_as_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(every_history_of_four_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(any_order_gives_the_same_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(policies_know_no_order_either, setup, teardown),
        cmocka_unit_test_setup_teardown(packing_between_changes_makes_no_difference, setup, teardown),
        cmocka_unit_test_setup_teardown(a_device_ends_with_the_bytes_of_the_centre, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
