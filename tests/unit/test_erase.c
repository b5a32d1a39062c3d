/* A household is erased: nothing of it is left in the database, what others said stays, the log still makes
 * the same records, and what still comes about it is not kept. */
#include "server/erase.h"
#include "server/store_erase.h"
#include "tests/support/centre.h"

#define AREA "990101001"
#define county ((struct work_by){.person = 7, .role = ROLE_COUNTY, .name = STR("Wu"), .area = STR("")})

struct home {
    struct row_id household, interview, visit;
};

/* Two households in one frame, each with a visit. */
static struct str both(struct world *w, struct handheld *h, struct home *a, struct home *b)
{
    struct change c[20];
    uint32_t n = 0;
    struct home *homes[] = {a, b};
    const char *const codes[] = {"H1", "H2"}, *const names[] = {"Zhangguishan", "Lidaqiang"};
    for (int i = 0; i < 2; i++) {
        struct home *x = homes[i];
        *x = (struct home){row_new(h), row_new(h), row_new(h)};
        c[n++] = birth_of(w, h, x->household, &(struct row_birth){.kind = ROW_HOUSEHOLD});
        c[n++] = change_of(w, h, x->household, HOUSEHOLD_CODE, CHANGE_SET, str_of(codes[i]));
        c[n++] = change_of(w, h, x->household, HOUSEHOLD_AREA, CHANGE_SET, STR(AREA));
        c[n++] = change_of(w, h, x->household, HOUSEHOLD_NAME, CHANGE_SET, str_of(names[i]));
        c[n++] = birth_of(w, h, x->interview,
                          &(struct row_birth){.kind = ROW_INTERVIEW, .parent = x->household});
        c[n++] = change_of(w, h, x->interview, 3, CHANGE_SET, i ? STR("Lisecret") : STR("Zhangsecret"));
        c[n++] = birth_of(w, h, x->visit, &(struct row_birth){.kind = ROW_VISIT, .parent = x->interview});
        c[n++] = change_of(w, h, x->visit, VISIT_ENDED, CHANGE_SET, STR("2026-03-02T10:00:00.000+08:00"));
        c[n++] = change_of(w, h, x->visit, 0, CHANGE_FINALISE, STR(""));
    }
    return frame_of(w, h, c, n);
}

static void state_holds(struct world *w, struct desk *k)
{
    unsigned char now[SHA256_SIZE], again[SHA256_SIZE];
    uint64_t rows = 0, events = 0;
    OK(centre_state_hash(k->st, now, &rows, &w->d));
    for (uint64_t order = 0; order < 10; order++) {
        OK(centre_replay_hash(k->st, w->seam, order, again, &events, &w->d));
        assert_memory_equal(now, again, sizeof now);
    }
}

static bool database_has(struct world *w, const char *word)
{
    static const char *const files[] = {CENTRE_DIR "/centre.db", CENTRE_DIR "/centre.db-wal"};
    bool found = false;
    for (int i = 0; i < 2; i++) {
        struct buf b;
        buf_init(&b, 256u << 20);
        if (w->seam->file_read(w->seam->self, files[i], &b, NULL) == ERR_OK)
            found = found || str_find(buf_str(&b), str_of(word)) >= 0;
        buf_free(&b);
    }
    return found;
}

static struct erased_result erase(struct world *w, struct desk *k, const char *code)
{
    struct erased_result r = {0};
    OK(household_erase(k, srv_centre(w->server), &county, str_of(code), STR("asked for it"), &r, &w->d));
    return r;
}

static void test_nothing_is_left_and_the_others_stay(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "Mai", AREA), other = enrolled(w, "Yu", AREA);
    struct home one, two;
    struct work_household found;
    struct buf lines;
    buf_init(&lines, 1u << 20);
    struct str frame = both(w, &h, &one, &two);
    struct receipt before = delivered(w, &h, frame);
    struct desk k = desk_begin(w, &lines);
    struct import_result imported;
    OK(import_departments(&k, STR("household,source,as_of,med_self\nH1,Zhanginsurer,2026-11-05,6200\n"),
                          false, &imported, &w->d));
    const struct work_by cadre = {.person = 8, .role = ROLE_SUPERVISOR, .name = STR("Hu"), .area = STR("")};
    struct erased_result r = {0};
    assert_int_equal(household_erase(&k, srv_centre(w->server), &cadre, STR("H1"), STR("x"), &r, NULL),
                     ERR_DENIED);
    assert_int_equal(household_erase(&k, srv_centre(w->server), &county, STR("H1"), STR(""), &r, NULL),
                     ERR_USAGE);
    assert_int_equal(household_erase(&k, srv_centre(w->server), &county, STR("H9"), STR("x"), &r, NULL),
                     ERR_NOT_FOUND);
    r = erase(w, &k, "H1");
    assert_true(r.frames == 1 && r.edits >= 1 && r.rows == 4);
    struct work_ask q = {.st = k.st, .a = &w->a, .area = STR("")};
    assert_int_equal(work_household_of(&q, STR("H1"), &found, NULL), ERR_NOT_FOUND);
    OK(work_household_of(&q, STR("H2"), &found, &w->d));
    assert_true(str_eq_z(found.name, "Lidaqiang"));
    state_holds(w, &k);
    /* The frame is known by its id, and its receipt is given again. */
    struct receipt again = delivered(w, &h, frame);
    assert_memory_equal(again.items[0].batch_id, before.items[0].batch_id, BATCH_ID_SIZE);
    assert_int_equal(again.items[0].status, RECEIPT_STORED);
    state_holds(w, &k);
    /* Handhelds are told. */
    struct downlink down = pulled(w, &other, 0, "");
    bool told = false, leaked = false;
    for (uint32_t i = 0; i < down.count; i++) {
        told = told ||
               (row_id_same(down.changes[i].row, one.household) && str_eq_z(down.changes[i].value, "erased"));
        leaked = leaked || str_find(down.changes[i].value, STR("Zhang")) >= 0;
    }
    assert_true(told && !leaked);
    desk_end(&k);
    srv_close(w->server);
    w->server = NULL;
    assert_false(database_has(w, "Zhangguishan"));
    assert_false(database_has(w, "Zhangsecret"));
    assert_false(database_has(w, "Zhanginsurer"));
    assert_true(database_has(w, "Lisecret"));
    buf_free(&lines);
}

static void test_what_still_comes_is_not_kept(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "Mai", AREA);
    struct home one, two;
    (void)delivered(w, &h, both(w, &h, &one, &two));
    struct desk k = desk_begin(w, NULL);
    (void)erase(w, &k, "H1");
    struct row_id visit = row_new(&h), finding = row_new(&h);
    const struct change late[] = {
        change_of(w, &h, one.household, HOUSEHOLD_NAME, CHANGE_SET, STR("Zhangagain")),
        birth_of(w, &h, visit, &(struct row_birth){.kind = ROW_VISIT, .parent = one.interview}),
        change_of(w, &h, visit, VISIT_JUDGEMENT, CHANGE_SET, STR("Zhangjudged")),
        birth_of(w, &h, finding, &(struct row_birth){.kind = ROW_FINDING, .parent = visit}),
        change_of(w, &h, finding, FINDING_TEXT_EN, CHANGE_SET, STR("Zhangfound")),
        change_of(w, &h, two.household, HOUSEHOLD_PHONE, CHANGE_SET, STR("Liphone")),
    };
    assert_int_equal(delivered(w, &h, frame_of(w, &h, late, 6)).items[0].status, RECEIPT_STORED);
    /* And what is below that, later. */
    struct change more = change_of(w, &h, finding, FINDING_RULE, CHANGE_SET, STR("Zhangrule"));
    assert_int_equal(delivered(w, &h, frame_of(w, &h, &more, 1)).items[0].status, RECEIPT_STORED);
    state_holds(w, &k);
    struct record_row row;
    assert_int_equal(cstore_record(k.st, &w->a, finding, &row, NULL), ERR_NOT_FOUND);
    desk_end(&k);
    srv_close(w->server);
    w->server = NULL;
    static const char *const words[] = {"Zhangagain", "Zhangjudged", "Zhangfound", "Zhangrule"};
    for (int i = 0; i < 4; i++)
        assert_false(database_has(w, words[i]));
    assert_true(database_has(w, "Liphone"));
}

static void test_a_tombstone_is_the_countys_word(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "Mai", AREA);
    struct home one, two;
    struct batch_row b;
    struct ingest in;
    struct row_names names = {0};
    (void)delivered(w, &h, both(w, &h, &one, &two));
    struct desk k = desk_begin(w, NULL);
    (void)erase(w, &k, "H1");
    names.st = k.st;
    const struct batch_rows rows = row_names_of(&names);
    const unsigned char *public = srv_centre(w->server)->keys.sign_public;
    OK(cstore_batch_whole(k.st, &w->a, h.device, h.inc, 1, 0, &b, &w->d));
    assert_true(tombstone_is(b.frame));
    OK(tombstone_read(&w->a, &b, public, &rows, &in, &w->d));
    assert_int_equal(in.change_count, 11); /* nine of the other, birth and area of this one */
    for (size_t i = 0; i < b.frame.n; i += 7) {
        char *bytes = arena_alloc(&w->a, b.frame.n);
        struct batch_row forged = b;
        memcpy(bytes, b.frame.p, b.frame.n);
        bytes[i] ^= 1;
        forged.frame = (struct str){bytes, b.frame.n};
        assert_true(i < 4 || tombstone_read(&w->a, &forged, public, &rows, &in, NULL) == ERR_CORRUPT);
    }
    desk_end(&k);
}

static void test_closed_households_go_after_their_time(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "Mai", AREA);
    struct home one, two;
    uint64_t count = 9;
    (void)delivered(w, &h, both(w, &h, &one, &two));
    struct desk k = desk_begin(w, NULL);
    struct cases c = {.st = k.st, .a = &w->a};
    const struct case_field closed = {HOUSEHOLD_STATUS, STR("closed")};
    struct case_edit edit = {.row = one.household, .fields = &closed, .field_count = 1};
    OK(cstore_begin(k.st, &w->d));
    OK(cases_edit(&c, k.epoch, w->seam->wall_ms(w->seam->self), &edit, &w->d));
    OK(cstore_commit(k.st, &w->d));
    OK(erase_closed(&k, srv_centre(w->server), &county, 30, &count, &w->d));
    assert_int_equal(count, 0);
    sim_advance(w->sim, 31LL * 86400 * 1000);
    OK(erase_closed(&k, srv_centre(w->server), &county, 30, &count, &w->d));
    assert_int_equal(count, 1);
    OK(erase_closed(&k, srv_centre(w->server), &county, 30, &count, &w->d));
    assert_int_equal(count, 0);
    state_holds(w, &k);
    desk_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, world_open, world_close)
        TEST(test_nothing_is_left_and_the_others_stay),
        TEST(test_what_still_comes_is_not_kept),
        TEST(test_a_tombstone_is_the_countys_word),
        TEST(test_closed_households_go_after_their_time),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
