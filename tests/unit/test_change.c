/* Row ids sort as numbers, births have one spelling, the clock never goes back. */
#include "tests/support/unit.h"

#include "sync/change.h"

static void ids_sort_as_numbers(void **state)
{
    (void)state;
    static const struct row_id ids[] = {{0, 0, 1},
                                        {0, 1, 0},
                                        {1, 0, 0},
                                        {1, 0, 256},
                                        {1, 3, 1},
                                        {UINT64_MAX, 0, 0},
                                        {UINT64_MAX, UINT32_MAX, UINT32_MAX}};
    unsigned char before[ROW_ID_SIZE], bytes[ROW_ID_SIZE];
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct row_id back;
        row_id_write(ids[i], bytes);
        assert_true(row_id_read((struct str){(char *)bytes, sizeof(bytes)}, &back));
        assert_true(row_id_same(back, ids[i]));
        if (i)
            assert_true(memcmp(before, bytes, sizeof(bytes)) < 0);
        memcpy(before, bytes, sizeof(bytes));
    }
    assert_false(row_id_read((struct str){(char *)bytes, 15}, &(struct row_id){0}));
}

static void a_birth_has_one_spelling(void **state)
{
    (void)state;
    struct row_birth births[] = {{.kind = ROW_HOUSEHOLD},
                                 {.kind = ROW_INTERVIEW, .parent = {7, 1, 9}, .object = {0, 0, 1}},
                                 {.kind = ROW_REPEAT, .parent = {7, 1, 9}, .number = 3, .order = -65536},
                                 {.kind = (enum row_kind)255, .order = INT64_MIN, .number = UINT32_MAX}};
    for (size_t i = 0; i < sizeof(births) / sizeof(births[0]); i++) {
        struct buf b;
        struct row_birth back;
        buf_init(&b, 100);
        assert_int_equal(row_birth_write(&b, &births[i]), ERR_OK);
        assert_true(row_birth_read(buf_str(&b), &back));
        assert_true(back.kind == births[i].kind && back.number == births[i].number &&
                    back.order == births[i].order);
        assert_true(row_id_same(back.parent, births[i].parent));
        assert_memory_equal(back.object, births[i].object, sizeof(back.object));
        for (size_t cut = 0; cut < b.n; cut++)
            assert_false(row_birth_read((struct str){b.p, cut}, &back));
        buf_put_char(&b, 0);
        assert_false(row_birth_read(buf_str(&b), &back));
        buf_free(&b);
    }
    /* A part that is there and zero is a second spelling of its absence. */
    assert_false(row_birth_read((struct str){"\x03\x02\x00", 3}, &births[0]));
    assert_false(row_birth_read((struct str){"\x00\x00", 2}, &births[0]));
}

#define DAY_MS INT64_C(86400000)

static void the_clock_never_goes_back(void **state)
{
    (void)state;
    int64_t wall = INT64_C(1795442945000), last = 0;
    static const int64_t jumps[] = {0,  1, 127, 128, 5000, -3600000, -10 * 365 * DAY_MS, 10 * 365 * DAY_MS,
                                    -1, 0};
    for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        wall += jumps[i];
        int64_t next = hlc_next(last, wall, 0);
        assert_true(next > last);
        last = next;
    }
    assert_true(hlc_next(last, INT64_MIN, 0) == last + 1);
    assert_true(hlc_next(INT64_MAX, wall, 0) == INT64_MAX);
    assert_true(hlc_next(0, INT64_MAX, 0) > 0);
}

static void the_clock_follows_the_wall_and_what_was_received(void **state)
{
    (void)state;
    int64_t wall = INT64_C(1795442945000);
    assert_true(hlc_next(5, wall, 7) >> 16 == wall / HLC_TICK_MS * HLC_TICK_MS);
    assert_true(hlc_next(5, wall, (wall + DAY_MS) << 16) == ((wall + DAY_MS) << 16) + 1);
}

static void a_wild_clock_is_bounded_by_the_frame_itself(void **state)
{
    (void)state;
    int64_t anchor = INT64_C(1795442945000), elapsed = 3 * DAY_MS;
    int64_t honest = (anchor + elapsed) << 16, wild = (anchor + 3650 * DAY_MS) << 16;
    assert_true(hlc_effective(honest, anchor, elapsed) == honest);
    assert_true(hlc_effective(wild, anchor, elapsed) == (anchor + elapsed + 180 * DAY_MS) << 16);
    assert_true(hlc_effective(wild, anchor, -1) == (anchor + 180 * DAY_MS) << 16);
    assert_true(hlc_effective(wild, 0, 0) == wild);
    assert_true(hlc_effective(INT64_MAX, INT64_MAX, INT64_MAX) > 0);
    assert_true(hlc_effective(-5, anchor, elapsed) == -5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_sort_as_numbers),
        cmocka_unit_test(a_birth_has_one_spelling),
        cmocka_unit_test(the_clock_never_goes_back),
        cmocka_unit_test(the_clock_follows_the_wall_and_what_was_received),
        cmocka_unit_test(a_wild_clock_is_bounded_by_the_frame_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
