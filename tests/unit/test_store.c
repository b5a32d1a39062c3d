/* The handheld's store: its key, who it is, what it holds, and what the centre sends down in whatever order.
 */

#include "tests/support/device.h"

/* ---- opening ---- */

static void a_new_folder_opens_and_opens_again(void **state)
{
    struct device_test *t = *state;
    assert_false(store_identity(t->store)->enrolled);
    device_enrol(t);
    device_reopen(t);
    const struct identity *id = store_identity(t->store);
    assert_true(id->enrolled);
    assert_true(id->by.device == DEVICE_ID && id->by.inc == 1 && id->by.person == 3);
    assert_true(str_eq_z(id->by.person_name, "Cadre") && str_eq_z(id->by.token, "first"));
    OK(store_check(t->store, &t->d));
}

static void without_its_key_the_store_stays_shut(void **state)
{
    struct device_test *t = *state;
    struct buf key;
    struct store *s = NULL;

    device_enrol(t);
    store_close(t->store);
    t->store = NULL;
    buf_init(&key, 64);
    OK(t->seam->file_read(t->seam->self, DEVICE_DIR "/device.key", &key, &t->d));
    assert_int_equal(key.n, DB_KEY_SIZE);

    OK(t->seam->file_remove(t->seam->self, DEVICE_DIR "/device.key"));
    FAILS(store_open(DEVICE_DIR, t->seam, NULL, &s, &t->d), ERR_DENIED);
    struct buf again;
    buf_init(&again, 64);
    assert_int_equal(t->seam->file_read(t->seam->self, DEVICE_DIR "/device.key", &again, NULL),
                     ERR_NOT_FOUND);

    OK(t->seam->file_write(t->seam->self, DEVICE_DIR "/device.key", STR("short"), true, &t->d));
    FAILS(store_open(DEVICE_DIR, t->seam, NULL, &s, &t->d), ERR_CORRUPT);
    key.p[5] ^= 1;
    OK(t->seam->file_write(t->seam->self, DEVICE_DIR "/device.key", buf_str(&key), true, &t->d));
    FAILS(store_open(DEVICE_DIR, t->seam, NULL, &s, &t->d), ERR_DENIED);

    key.p[5] ^= 1;
    OK(t->seam->file_write(t->seam->self, DEVICE_DIR "/device.key", buf_str(&key), true, &t->d));
    device_open(t);
    assert_true(store_identity(t->store)->enrolled);
    buf_free(&key);
    buf_free(&again);
}

static void the_database_holds_nothing_readable(void **state)
{
    struct device_test *t = *state;
    struct work w;
    struct buf db;

    begin_work(t, &w, write_form(t, visit_form), NULL);
    say(t, &w, "/data/name", "an answer nobody else may read");
    work_close(&w);
    store_close(t->store);
    t->store = NULL;
    buf_init(&db, 64u << 20);
    OK(t->seam->file_read(t->seam->self, DEVICE_DIR "/device.db", &db, &t->d));
    assert_true(db.n > 0);
    assert_true(str_find(buf_str(&db), STR("nobody else")) < 0);
    assert_true(str_find(buf_str(&db), STR("CREATE TABLE")) < 0);
    buf_free(&db);
}

/* Closing copies the log into the database. Power that goes in the middle of it leaves half a page there, and
 * the whole one in the log: no damage, and none is reported. */
static void a_power_cut_while_the_log_is_copied_damages_nothing(void **state)
{
    struct device_test *t = *state;
    bool cut = true;
    device_enrol(t);
    for (uint64_t n = 1; cut; n++) {
        feed_household(t, (uint32_t)n, "H1");
        sim_cut_after(t->machine, n);
        store_close(t->store);
        t->store = NULL;
        cut = sim_is_off(t->machine);
        if (cut)
            sim_restart(t->machine);
        sim_cut_after(t->machine, 0);
        device_open(t);
        OK(store_check(t->store, &t->d));
        assert_int_equal(status_now(t).households, n);
    }
}

/* ---- enrolment ---- */

static void a_device_is_enrolled_once(void **state)
{
    struct device_test *t = *state;
    struct identity id = device_identity(t);
    OK(store_enrol(t->store, &id, &t->d));
    id.by.device++;
    FAILS(store_enrol(t->store, &id, &t->d), ERR_STATE);
    assert_true(store_identity(t->store)->by.device == DEVICE_ID);
}

static bool row_is_ours(struct row_id id)
{
    return id.device == DEVICE_ID && id.inc == 1 && id.counter != 0;
}

/* Everything captured before gets its author: rows, what they say about their parents, and who said it. */
static void assert_adopted(struct device_test *t)
{
    struct cut_frame f = cut_one_frame(t);
    struct row_id interview = {0}, visit = {0};
    uint32_t children = 0;
    for (uint32_t i = 0; i < f.count; i++) {
        struct row_birth birth;
        assert_true(row_is_ours(f.changes[i].row));
        assert_int_equal(f.changes[i].person, 3);
        assert_int_equal(f.changes[i].role, 1);
        if (f.changes[i].op != CHANGE_ROW_CREATE)
            continue;
        assert_true(row_birth_read(f.changes[i].value, &birth));
        if (birth.kind == ROW_INTERVIEW)
            interview = f.changes[i].row;
        else
            assert_true(row_id_same(birth.parent, interview));
        if (birth.kind == ROW_VISIT)
            visit = f.changes[i].row;
        children += birth.kind == ROW_REPEAT;
    }
    assert_true(interview.counter && visit.counter);
    assert_int_equal(children, 1);
}

static void what_was_finalised_before_enrolment_gets_its_author(void **state)
{
    struct device_test *t = *state;
    struct work w;
    begin_work(t, &w, write_form(t, visit_form), NULL);
    say(t, &w, "/data/name", "early");
    add_member(t, &w, "A");
    finish_work(t, &w);
    FAILS(store_cut(t->store, &(uint32_t){0}, &t->d), ERR_STATE);
    device_enrol(t);
    assert_adopted(t);

    /* The records name the author too: its receipt finds them. */
    struct cut_frame f;
    bool again;
    assert_true(next_frame(t, 0, &f));
    OK(give_receipt(t, &f, item_for(&f, RECEIPT_STORED, 40), (struct receipt){.cursor = 0}, &again));
    struct row row;
    struct record r;
    OK(row_by_id(t->store, f.changes[0].row, &row, &t->d));
    OK(record_load(t->store, &t->a, &row, &r, &t->d));
    assert_true(r.birth.device == DEVICE_ID && r.birth.server_seq == 40);
    for (uint32_t i = 0; i < r.count; i++) {
        assert_int_equal(r.cells[i].count, 1);
        assert_true(r.cells[i].versions[0].device == DEVICE_ID && r.cells[i].versions[0].server_seq == 40);
    }
}

static void a_draft_from_before_enrolment_goes_on_after_it(void **state)
{
    struct device_test *t = *state;
    struct work w;
    const char *form = write_form(t, visit_form);
    begin_work(t, &w, form, NULL);
    say(t, &w, "/data/name", "early");
    add_member(t, &w, "A");
    work_close(&w);
    device_enrol(t);
    begin_work(t, &w, form, NULL);
    assert_true(w.visit.resumed);
    assert_says(t, w.session, "/data/member[1]/who", "A");
    finish_work(t, &w);
    assert_adopted(t);
}

static void enrolment_in_another_window_is_noticed(void **state)
{
    struct device_test *t = *state;
    struct store *other = NULL;
    struct work w;
    OK(store_open(DEVICE_DIR, t->seam, NULL, &other, &t->d));
    begin_work(t, &w, write_form(t, visit_form), NULL);
    struct identity id = device_identity(t);
    OK(store_enrol(other, &id, &t->d));
    say(t, &w, "/data/name", "between");
    add_member(t, &w, "A");
    finish_work(t, &w);
    assert_adopted(t);
    store_close(other);
}

/* ---- objects ---- */

static void only_the_bytes_of_the_hash_are_kept(void **state)
{
    struct device_test *t = *state;
    unsigned char hash[SHA256_SIZE];
    struct buf b;
    OK(sha256(STR("list"), hash));
    FAILS(store_object_put(t->store, hash, STR("tsil"), &t->d), ERR_CORRUPT);
    buf_init(&b, 100);
    FAILS(store_object_get(t->store, hash, &b, &t->d), ERR_NOT_FOUND);
    OK(store_object_put(t->store, hash, STR("list"), &t->d));
    OK(store_object_put(t->store, hash, STR("list"), &t->d));
    device_reopen(t);
    OK(store_object_get(t->store, hash, &b, &t->d));
    assert_true(str_eq_z(buf_str(&b), "list"));
    buf_free(&b);
}

static void what_the_centre_does_not_have_is_not_asked_for_again(void **state)
{
    struct device_test *t = *state;
    unsigned char refused[1][SHA256_SIZE], hash[SHA256_SIZE];
    uint64_t size;
    bool any;
    device_enrol(t);
    feed_published(t, 1, "list", "a.csv", "1", STR("aaa"), "", false);
    feed_published(t, 2, "list", "b.csv", "1", STR("bbbb"), "", false);
    OK(store_object_wanted(t->store, NULL, 0, hash, &size, &any, &t->d));
    assert_true(any && size == 4);
    memcpy(refused[0], hash, SHA256_SIZE);
    OK(store_object_wanted(t->store, (const unsigned char(*)[SHA256_SIZE])refused, 1, hash, &size, &any,
                           &t->d));
    assert_true(any && size == 3);
    OK(store_object_put(t->store, hash, STR("aaa"), &t->d));
    OK(store_object_wanted(t->store, (const unsigned char(*)[SHA256_SIZE])refused, 1, hash, &size, &any,
                           &t->d));
    assert_false(any);
}

/* ---- downlink ---- */

static const struct row_id house = {0, 1, 1}, interview = {77, 1, 1}, visit = {77, 1, 2},
                           finding = {77, 1, 3}, member = {77, 1, 4};

static void feed_part(struct device_test *t, int part)
{
    switch (part) {
    case 0:
        feed_birth(t, house, ROW_HOUSEHOLD, (struct row_id){0}, STR(""));
        feed_set(t, house, HOUSEHOLD_CODE, "H1");
        break;
    case 1: feed_birth(t, interview, ROW_INTERVIEW, house, STR("visit")); break;
    case 2:
        feed_birth(t, visit, ROW_VISIT, interview, STR(""));
        feed_set(t, visit, VISIT_ENDED, "2026-03-01T10:00:00.000+08:00");
        feed_set(t, visit, VISIT_LEVEL, "red");
        break;
    case 3: feed_birth(t, finding, ROW_FINDING, visit, STR("")); break;
    case 4:
        feed_birth(t, member, ROW_REPEAT, interview, STR(""));
        feed_set(t, member, 4, "A");
        break;
    default: fail();
    }
    feed_send(t);
}

static void assert_placed(struct device_test *t)
{
    const struct row_id rows[] = {visit, finding, member};
    struct row top, inter, row;
    struct household h;
    OK(row_by_id(t->store, house, &top, &t->d));
    OK(row_by_id(t->store, interview, &inter, &t->d));
    assert_true(inter.household == top.key && inter.kind == ROW_INTERVIEW);
    for (size_t i = 0; i < 3; i++) {
        OK(row_by_id(t->store, rows[i], &row, &t->d));
        assert_true(row.interview == inter.key && row.household == top.key);
    }
    OK(store_household(t->store, &t->a, STR("H1"), &h, &t->d));
    assert_true(str_starts(h.last_visit, STR("2026-03-01")) && str_eq_z(h.last_level, "red"));
}

static void rows_find_their_place_in_every_order(void **state)
{
    int order[5] = {0, 1, 2, 3, 4};
    /* Heap's way through all 120 orders, a store for each. */
    int c[5] = {0}, i = 0;
    device_teardown(state);
    for (;;) {
        device_setup(state);
        struct device_test *t = *state;
        device_enrol(t);
        for (int k = 0; k < 5; k++)
            feed_part(t, order[k]);
        assert_placed(t);
        while (i < 5 && c[i] >= i)
            c[i++] = 0;
        if (i == 5)
            break;
        int other = i % 2 ? c[i] : 0, swap = order[i];
        order[i] = order[other];
        order[other] = swap;
        c[i]++;
        i = 0;
        device_teardown(state);
    }
}

static void a_row_of_a_kind_from_the_future_is_kept(void **state)
{
    struct device_test *t = *state;
    struct row row;
    struct record r;
    device_enrol(t);
    feed_household(t, 1, "H1");
    feed_birth(t, centre_row(9), 200, centre_row(1), STR(""));
    feed_set(t, centre_row(9), 4711, "what a later Doorstep knows");
    feed_send(t);
    feed_household(t, 2, "H2");
    assert_int_equal(status_now(t).households, 2);
    device_reopen(t);
    OK(row_by_id(t->store, centre_row(9), &row, &t->d));
    assert_int_equal(row.kind, 200);
    OK(record_load(t->store, &t->a, &row, &r, &t->d));
    assert_true(str_eq_z(record_value(&r, 4711), "what a later Doorstep knows"));
}

static void the_last_visit_is_the_one_that_ended_last(void **state)
{
    struct device_test *t = *state;
    static const char *const ended[] = {"2026-03-01T10:00:00.000+08:00", "2026-06-01T01:00:00.000+08:00",
                                        "2026-05-31T18:00:00.000+00:00", "2025-12-01T10:00:00.000+08:00"};
    struct household h;
    device_enrol(t);
    feed_part(t, 0);
    feed_part(t, 1);
    for (uint32_t i = 0; i < 4; i++) {
        struct row_id v = {77, 1, 10 + i};
        feed_birth(t, v, ROW_VISIT, interview, STR(""));
        feed_set(t, v, VISIT_ENDED, ended[i]);
        feed_set(t, v, VISIT_LEVEL, i == 2 ? "yellow" : "none");
        feed_send(t);
    }
    OK(store_household(t->store, &t->a, STR("H1"), &h, &t->d));
    assert_true(str_eq_z(h.last_visit, ended[2]) && str_eq_z(h.last_level, "yellow"));
}

static void a_faster_sync_in_another_window_is_not_set_back(void **state)
{
    struct device_test *t = *state;
    struct store *other = NULL;
    device_enrol(t);
    OK(store_open(DEVICE_DIR, t->seam, NULL, &other, &t->d));
    for (uint32_t i = 1; i <= 3; i++)
        feed_household(t, i, "H");
    const struct step late = {.kind = STEP_DOWN, .cursor = 1, .epoch = 1};
    OK(store_down(other, &late, &t->d));
    OK(store_refresh(t->store, &t->d));
    assert_int_equal(store_identity(t->store)->cursor, 3);
    store_close(other);
}

static void a_new_epoch_begins_the_order_and_the_numbers_anew(void **state)
{
    struct device_test *t = *state;
    struct row row;
    device_enrol(t);
    feed_birth(t, centre_row(1), ROW_HOUSEHOLD, (struct row_id){0}, STR(""));
    t->authors[0].row_number = 12;
    feed_send(t);
    feed_household(t, 2, "H2");
    OK(row_by_id(t->store, centre_row(1), &row, &t->d));
    assert_int_equal(row.number, 12);
    t->epoch = 2;
    t->cursor = 0;
    feed_household(t, 3, "H3");
    assert_int_equal(store_identity(t->store)->cursor, 1);
    assert_int_equal(store_identity(t->store)->epoch, 2);
    OK(row_by_id(t->store, centre_row(1), &row, &t->d));
    assert_int_equal(row.number, 0);
    const struct step old = {.kind = STEP_DOWN, .cursor = 9, .epoch = 1};
    FAILS(store_down(t->store, &old, &t->d), ERR_STATE);
    device_reopen(t);
    assert_int_equal(store_identity(t->store)->epoch, 2);
}

static void departments_are_joined_the_newest_first(void **state)
{
    struct device_test *t = *state;
    static const struct {
        const char *as_of, *values;
    } records[] = {
        {"2026-05-01", "{\"income\":\"old\",\"insured\":\"yes\"}"},
        {"2026-09-01", "{\"income\":\"new\"}"},
        {"2026-12-01", "{\"income\":"}, /* a department's mistake hides nobody else's record */
        {"2026-01-01", "{}"},
    };
    struct household h;
    struct str json, as_of;
    const struct json *j;
    device_enrol(t);
    feed_household(t, 1, "H1");
    for (uint32_t i = 0; i < 4; i++) {
        feed_birth(t, centre_row(10 + i), ROW_DEPARTMENT, centre_row(1), STR(""));
        feed_set(t, centre_row(10 + i), DEPARTMENT_AS_OF, records[i].as_of);
        feed_set(t, centre_row(10 + i), DEPARTMENT_VALUES, records[i].values);
    }
    feed_send(t);
    OK(store_household(t->store, &t->a, STR("H1"), &h, &t->d));
    OK(store_department(t->store, &t->a, h.key, &json, &as_of, &t->d));
    OK(json_read(&t->a, json, &j, &t->d));
    assert_true(str_eq_z(json_text(json_get(j, "income"), "value"), "new"));
    assert_true(str_eq_z(json_text(json_get(j, "insured"), "value"), "yes"));
    assert_true(str_eq_z(json_text(json_get(j, "insured"), "as_of"), "2026-05-01")); /* each keeps its day */
    assert_true(str_eq_z(as_of, "2026-09-01"));
    FAILS(store_household(t->store, &t->a, STR("H9"), &h, &t->d), ERR_NOT_FOUND);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_new_folder_opens_and_opens_again),
        CASE(without_its_key_the_store_stays_shut),
        CASE(the_database_holds_nothing_readable),
        CASE(a_power_cut_while_the_log_is_copied_damages_nothing),
        CASE(a_device_is_enrolled_once),
        CASE(what_was_finalised_before_enrolment_gets_its_author),
        CASE(a_draft_from_before_enrolment_goes_on_after_it),
        CASE(enrolment_in_another_window_is_noticed),
        CASE(only_the_bytes_of_the_hash_are_kept),
        CASE(what_the_centre_does_not_have_is_not_asked_for_again),
        CASE(rows_find_their_place_in_every_order),
        CASE(a_row_of_a_kind_from_the_future_is_kept),
        CASE(the_last_visit_is_the_one_that_ended_last),
        CASE(a_faster_sync_in_another_window_is_not_set_back),
        CASE(a_new_epoch_begins_the_order_and_the_numbers_anew),
        CASE(departments_are_joined_the_newest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
