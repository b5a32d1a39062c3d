/* A visit from its first answer to its finalising: what is saved, what travels, what a further visit carries,
 * and what becomes of answers that meet newer ones.
 */

#include "tests/support/device.h"

static void saved_means_committed(void **state)
{
    struct device_test *t = *state;
    struct work w, seen;
    struct store *other = NULL;
    const char *form = write_form(t, visit_form);
    struct place p;

    begin_work(t, &w, form, NULL);
    say(t, &w, "/data/name", "first");
    /* Typed and taken by the session, but not yet said to be saved. */
    OK(session_place(w.session, STR("/data/wage"), &p, &t->d));
    OK(session_answer(w.session, p, STR("12"), &t->d));

    OK(store_open(DEVICE_DIR, t->seam, NULL, &other, &t->d));
    OK(open_work_in(t, other, &seen, form, NULL));
    assert_true(seen.visit.resumed);
    assert_says(t, seen.session, "/data/name", "first");
    assert_says(t, seen.session, "/data/wage", "");
    work_close(&seen);
    OK(work_save(&w, &t->d));
    OK(open_work_in(t, other, &seen, form, NULL));
    assert_says(t, seen.session, "/data/wage", "12");
    work_close(&seen);
    store_close(other);
    work_close(&w);
}

static void a_second_process_reads_while_a_visit_is_open(void **state)
{
    struct device_test *t = *state;
    struct work w;
    struct store *other = NULL;
    struct store_status st;
    struct household *list;
    uint32_t count;

    device_enrol(t);
    feed_household(t, 1, "H1");
    begin_work(t, &w, write_form(t, visit_form), "H1");
    OK(store_open(DEVICE_DIR, t->seam, NULL, &other, &t->d));
    for (int i = 0; i < 3; i++) {
        say(t, &w, "/data/name", i % 2 ? "odd" : "even");
        OK(store_status(other, &t->a, &st, &t->d));
        assert_int_equal(st.drafts, 1);
        OK(store_households(other, &t->a, &list, &count, &t->d));
        assert_true(count == 1 && list[0].draft);
    }
    store_close(other);
    finish_work(t, &w);
    assert_int_equal(status_now(t).drafts, 0);
}

static void opened_and_left_without_an_answer_it_never_was(void **state)
{
    struct device_test *t = *state;
    struct work w;
    const char *form = write_form(t, bare_form);
    begin_work(t, &w, form, NULL);
    work_close(&w);
    assert_int_equal(status_now(t).drafts, 0);
    begin_work(t, &w, form, NULL);
    assert_false(w.visit.resumed);
    say(t, &w, "/data/name", "A");
    work_close(&w);
    assert_int_equal(status_now(t).drafts, 1);
}

/* ---- what travels ---- */

static void overwritten_keystrokes_never_travel(void **state)
{
    struct device_test *t = *state;
    struct work w;
    device_enrol(t);
    begin_work(t, &w, write_form(t, visit_form), NULL);
    say(t, &w, "/data/name", "what was typed first");
    say(t, &w, "/data/name", "");
    say(t, &w, "/data/name", "what stays");
    say(t, &w, "/data/wage", "5");
    say(t, &w, "/data/wage", "");
    finish_work(t, &w);
    struct cut_frame f = cut_one_frame(t);
    assert_int_equal(count_value(&f, "what was typed first"), 0);
    assert_int_equal(count_value(&f, "what stays"), 1);
    assert_int_equal(count_value(&f, "5"), 0);
    assert_int_equal(count_op(&f, CHANGE_FINALISE), 1);
    for (uint32_t i = 1; i < f.count; i++) /* one statement, made at one moment */
        assert_true(f.changes[i].hlc == f.changes[0].hlc);
}

static void a_draft_does_not_travel(void **state)
{
    struct device_test *t = *state;
    struct work w;
    uint32_t frames;
    device_enrol(t);
    begin_work(t, &w, write_form(t, visit_form), NULL);
    say(t, &w, "/data/name", "A");
    OK(store_cut(t->store, &frames, &t->d));
    assert_int_equal(frames, 0);
    work_close(&w);
}

static void a_row_made_and_removed_within_a_visit_never_was(void **state)
{
    struct device_test *t = *state;
    struct work w;
    const char *form = write_form(t, visit_form);
    device_enrol(t);
    feed_household(t, 1, "H1");
    begin_work(t, &w, form, "H1");
    add_member(t, &w, "stays");
    add_member(t, &w, "goes");
    remove_member(t, &w, "/data/member[2]");
    finish_work(t, &w);
    struct cut_frame f = cut_one_frame(t);
    assert_int_equal(count_value(&f, "goes"), 0);
    assert_int_equal(count_value(&f, "stays"), 1);
    assert_int_equal(count_op(&f, CHANGE_ROW_DELETE), 0);
    assert_int_equal(count_op(&f, CHANGE_ROW_CREATE), 3);
}

static void removing_an_older_row_travels_but_not_what_was_typed_into_it(void **state)
{
    struct device_test *t = *state;
    struct work w;
    struct cut_frame first, second;
    uint32_t frames;
    const char *form = write_form(t, visit_form);
    device_enrol(t);
    feed_household(t, 1, "H1");
    begin_work(t, &w, form, "H1");
    add_member(t, &w, "A");
    add_member(t, &w, "B");
    finish_work(t, &w);
    first = cut_one_frame(t);
    begin_work(t, &w, form, "H1");
    say(t, &w, "/data/member[1]/who", "typed into it");
    remove_member(t, &w, "/data/member[1]");
    assert_says(t, w.session, "/data/member[1]/who", "B");
    finish_work(t, &w);
    OK(store_cut(t->store, &frames, &t->d));
    assert_true(next_frame(t, first.batch_seq, &second));
    assert_int_equal(count_op(&second, CHANGE_ROW_DELETE), 1);
    assert_int_equal(count_value(&second, "typed into it"), 0);
    begin_work(t, &w, form, "H1");
    assert_says(t, w.session, "/data/member[1]/who", "B");
    assert_false(has_place(w.session, "/data/member[2]/who"));
    work_close(&w);
}

/* ---- further visits ---- */

static void a_further_visit_carries_answers_and_asks_fresh_ones_anew(void **state)
{
    struct device_test *t = *state;
    struct work w;
    struct place p;
    bool relevant;
    const char *form = write_form(t, visit_form);
    device_enrol(t);
    feed_household(t, 1, "H1");
    begin_work(t, &w, form, "H1");
    assert_false(w.visit.revisit);
    say(t, &w, "/data/name", "Li");
    say(t, &w, "/data/wage", "100");
    say(t, &w, "/data/mood", "good");
    add_member(t, &w, "A");
    OK(session_place(w.session, STR("/data/meta/instanceID"), &p, &t->d));
    struct str instance = arena_str(&t->a, session_value(w.session, p, &relevant));
    assert_true(str_starts(instance, STR("uuid:")));
    finish_work(t, &w);

    begin_work(t, &w, form, "H1");
    assert_true(w.visit.revisit && !w.visit.resumed && w.visit.prev_ended.n > 0);
    assert_says(t, w.session, "/data/wage", "100");
    assert_says(t, w.session, "/data/mood", "");
    assert_says(t, w.session, "/data/member[1]/who", "A");
    OK(session_place(w.session, STR("/data/meta/instanceID"), &p, &t->d));
    assert_false(str_eq(session_value(w.session, p, &relevant), instance));
    work_close(&w);

    /* A pause does not make it a third visit, nor ask again, nor change its record's name. */
    begin_work(t, &w, form, "H1");
    assert_true(w.visit.resumed && w.visit.revisit);
    say(t, &w, "/data/mood", "tired");
    say(t, &w, "/data/wage", "200");
    work_close(&w);
    begin_work(t, &w, form, "H1");
    assert_says(t, w.session, "/data/mood", "tired");

    /* The visit before is what it was. */
    for (uint32_t i = 0; i < w.visit.prev.cell_count; i++)
        assert_false(str_eq_z(w.visit.prev.cells[i].value, "200"));
    struct session *prev = NULL;
    const struct session_options o = {.form = w.form,
                                      .host = &w.host,
                                      .frozen = true,
                                      .resume = true,
                                      .rows = w.visit.prev.rows,
                                      .row_count = w.visit.prev.row_count,
                                      .cells = w.visit.prev.cells,
                                      .cell_count = w.visit.prev.cell_count,
                                      .row_key_next = w.visit.row_key_next};
    OK(session_open(&t->a, &o, &prev, &t->d));
    assert_says(t, prev, "/data/wage", "100");
    assert_says(t, prev, "/data/mood", "good");
    session_close(prev);
    finish_work(t, &w);
}

static void a_kill_between_opening_and_the_first_answer_costs_nothing(void **state)
{
    struct device_test *t = *state;
    struct work w;
    struct place p;
    bool relevant;
    const char *form = write_form(t, visit_form);
    device_enrol(t);
    feed_household(t, 1, "H1");
    begin_work(t, &w, form, "H1");
    say(t, &w, "/data/mood", "good");
    OK(session_place(w.session, STR("/data/meta/instanceID"), &p, &t->d));
    struct str first = arena_str(&t->a, session_value(w.session, p, &relevant));
    finish_work(t, &w);

    /* Power goes at every writing operation of opening the second visit: whatever is there afterwards is a
     * visit of its own, with its own name, and its fresh questions are open. */
    for (uint64_t n = 1; n < 40; n++) {
        sim_cut_after(t->machine, n);
        enum err rc = open_work_in(t, t->store, &w, form, "H1");
        if (!rc)
            work_close(&w);
        bool cut = sim_is_off(t->machine);
        sim_cut_after(t->machine, 0);
        if (cut) {
            store_close(t->store);
            t->store = NULL;
            sim_restart(t->machine);
            device_open(t);
        }
        begin_work(t, &w, form, "H1");
        assert_true(w.visit.revisit);
        assert_says(t, w.session, "/data/mood", "");
        OK(session_place(w.session, STR("/data/meta/instanceID"), &p, &t->d));
        assert_true(session_value(w.session, p, &relevant).n > 0);
        assert_false(str_eq(session_value(w.session, p, &relevant), first));
        first = arena_str(&t->a, session_value(w.session, p, &relevant));
        finish_work(t, &w);
        if (!cut)
            return;
    }
    fail_msg("opening a visit takes more writes than expected");
}

static void a_visit_opens_where_the_person_stopped(void **state)
{
    struct device_test *t = *state;
    struct work w;
    const char *form = write_form(t, visit_form);
    begin_work(t, &w, form, NULL);
    say(t, &w, "/data/name", "A");
    OK(store_visit_place(t->store, &w.visit, STR("/data/mood"), &t->d));
    OK(store_visit_place(t->store, &w.visit, STR("/data/wage"), &t->d));
    work_close(&w);
    begin_work(t, &w, form, NULL);
    assert_true(str_eq_z(w.visit.place, "/data/wage"));
    finish_work(t, &w);
    begin_work(t, &w, form, NULL);
    assert_int_equal(w.visit.place.n, 0);
    work_close(&w);
}

/* ---- two at once ---- */

static void what_another_window_finished_is_not_written_into(void **state)
{
    struct device_test *t = *state;
    struct work here, there;
    struct store *other = NULL;
    struct place p;
    struct work_result r;
    const char *form = write_form(t, visit_form);
    device_enrol(t);
    feed_household(t, 1, "H1");
    OK(store_open(DEVICE_DIR, t->seam, NULL, &other, &t->d));
    begin_work(t, &here, form, "H1");
    say(t, &here, "/data/name", "A");
    OK(open_work_in(t, other, &there, form, "H1"));
    finish_work(t, &there);
    OK(session_place(here.session, STR("/data/name"), &p, &t->d));
    OK(session_answer(here.session, p, STR("too late"), &t->d));
    FAILS(work_save(&here, &t->d), ERR_STATE);
    FAILS(work_finish(&here, &t->a, STR(""), &r, &t->d), ERR_STATE);
    work_close(&here);
    store_close(other);
    struct cut_frame f = cut_one_frame(t);
    assert_int_equal(count_value(&f, "too late"), 0);
    assert_int_equal(count_op(&f, CHANGE_FINALISE), 1);
}

static void a_visit_is_not_begun_twice(void **state)
{
    struct device_test *t = *state;
    struct work here, there;
    struct store *other = NULL;
    struct place p;
    const char *form = write_form(t, bare_form);
    device_enrol(t);
    feed_household(t, 1, "H1");
    OK(store_open(DEVICE_DIR, t->seam, NULL, &other, &t->d));
    begin_work(t, &here, form, "H1");
    OK(open_work_in(t, other, &there, form, "H1"));
    say(t, &there, "/data/name", "there");
    OK(session_place(here.session, STR("/data/name"), &p, &t->d));
    OK(session_answer(here.session, p, STR("here"), &t->d));
    FAILS(work_save(&here, &t->d), ERR_STATE);
    work_close(&here);
    work_close(&there);
    store_close(other);
    assert_int_equal(status_now(t).drafts, 1);
}

/* ---- newer values from the centre ---- */

/* The stable number of a field of the visit form. */
static uint32_t number_of(struct device_test *t, const char *path)
{
    const struct form *form;
    struct form_findings findings = {0};
    OK(form_load(&t->a, str_of(visit_form), &form, &findings, &t->d));
    return form_field_by_path(form, str_of(path))->number + 1;
}

/* What the merge holds of a field of the household's interview. */
static const struct record_cell *cell_of(struct device_test *t, const char *path, struct record *r)
{
    struct work w;
    struct row row;
    begin_work(t, &w, "/form0.xml", "H1");
    OK(row_by_key(t->store, w.visit.interview, &row, &t->d));
    OK(record_load(t->store, &t->a, &row, r, &t->d));
    work_close(&w);
    const struct record_cell *cell = record_cell(r, number_of(t, path));
    assert_non_null(cell);
    return cell;
}

static bool holds(const struct record_cell *cell, const char *value)
{
    for (uint32_t i = 0; i < cell->count; i++)
        if (str_eq_z(cell->versions[i].value, value))
            return true;
    return false;
}

/* A first visit that the centre has: name and one member; server sequence 50. */
static struct row_id first_visit(struct device_test *t, struct row_id *member_out)
{
    struct work w;
    struct row row;
    bool again;
    device_enrol(t);
    feed_household(t, 1, "H1");
    begin_work(t, &w, write_form(t, visit_form), "H1");
    say(t, &w, "/data/name", "at first");
    say(t, &w, "/data/wage", "1");
    add_member(t, &w, "A");
    int64_t interview = w.visit.interview;
    finish_work(t, &w);
    struct cut_frame f = cut_one_frame(t);
    OK(give_receipt(t, &f, item_for(&f, RECEIPT_STORED, 50), (struct receipt){.cursor = 50}, &again));
    assert_false(again);
    t->cursor = 50;
    for (uint32_t i = 0; i < f.count; i++) {
        struct row_birth birth;
        if (f.changes[i].op == CHANGE_ROW_CREATE && row_birth_read(f.changes[i].value, &birth) &&
            birth.kind == ROW_REPEAT)
            *member_out = f.changes[i].row;
    }
    OK(row_by_key(t->store, interview, &row, &t->d));
    return row.id;
}

/* Another handheld's edit, made in knowledge of everything up to `seen`. */
static void feed_other(struct device_test *t, struct row_id row, uint32_t field, enum change_op op,
                       const char *value, uint64_t seen)
{
    feed_from(t, 99,
              (struct change){.row = row, .field = field, .op = op, .seen = seen, .value = str_of(value)});
}

static void an_edit_that_had_seen_ours_replaces_it(void **state)
{
    struct device_test *t = *state;
    struct row_id member;
    struct record r;
    struct row_id interview = first_visit(t, &member);
    feed_other(t, interview, number_of(t, "/data/name"), CHANGE_SET, "theirs", 50);
    feed_send(t);
    const struct record_cell *cell = cell_of(t, "/data/name", &r);
    assert_int_equal(cell->count, 1);
    assert_true(holds(cell, "theirs"));
}

static void finalising_over_a_newer_value_keeps_both(void **state)
{
    struct device_test *t = *state;
    struct row_id member;
    struct record r;
    struct work w;
    struct row_id interview = first_visit(t, &member);

    begin_work(t, &w, "/form0.xml", "H1");
    say(t, &w, "/data/name", "ours");
    work_close(&w);
    feed_other(t, interview, number_of(t, "/data/name"), CHANGE_SET, "theirs", 50);
    feed_other(t, interview, number_of(t, "/data/wage"), CHANGE_SET, "77", 50);
    feed_send(t);

    /* The draft is what it was; where it says nothing, the newer value shows. */
    begin_work(t, &w, "/form0.xml", "H1");
    assert_true(w.visit.resumed);
    assert_says(t, w.session, "/data/name", "ours");
    assert_says(t, w.session, "/data/wage", "77");
    say(t, &w, "/data/name", "ours again"); /* the person still did not see theirs */
    say(t, &w, "/data/wage", "78");         /* but saw this one */
    finish_work(t, &w);

    const struct record_cell *cell = cell_of(t, "/data/name", &r);
    assert_true(record_conflict(&r, number_of(t, "/data/name")));
    assert_true(holds(cell, "ours again") && holds(cell, "theirs") && !holds(cell, "at first"));
    cell = cell_of(t, "/data/wage", &r);
    assert_int_equal(cell->count, 1);
    assert_true(holds(cell, "78"));
}

static void what_arrives_while_the_screen_is_open_was_not_seen(void **state)
{
    struct device_test *t = *state;
    struct row_id member;
    struct record r;
    struct work w;
    struct row_id interview = first_visit(t, &member);
    begin_work(t, &w, "/form0.xml", "H1");
    feed_other(t, interview, number_of(t, "/data/name"), CHANGE_SET, "theirs", 50);
    feed_send(t);
    say(t, &w, "/data/name", "ours");
    finish_work(t, &w);
    const struct record_cell *cell = cell_of(t, "/data/name", &r);
    assert_true(record_conflict(&r, number_of(t, "/data/name")));
    assert_true(holds(cell, "ours") && holds(cell, "theirs"));
}

static void a_row_removed_elsewhere_stays_for_who_is_answering_in_it(void **state)
{
    struct device_test *t = *state;
    struct row_id member = {0};
    struct work w;
    struct row row;
    (void)first_visit(t, &member);

    begin_work(t, &w, "/form0.xml", "H1");
    say(t, &w, "/data/member[1]/age", "41");
    work_close(&w);
    feed_other(t, member, 0, CHANGE_ROW_DELETE, "", 50);
    feed_send(t);
    begin_work(t, &w, "/form0.xml", "H1");
    assert_says(t, w.session, "/data/member[1]/who", "A");
    assert_says(t, w.session, "/data/member[1]/age", "41");
    finish_work(t, &w);
    OK(row_by_id(t->store, member, &row, &t->d));
    assert_false(row.deleted);
    begin_work(t, &w, "/form0.xml", "H1");
    assert_says(t, w.session, "/data/member[1]/age", "41");
    work_close(&w);
}

static void a_row_removed_elsewhere_goes_where_nobody_answers_in_it(void **state)
{
    struct device_test *t = *state;
    struct row_id member = {0};
    struct work w;
    (void)first_visit(t, &member);
    feed_other(t, member, 0, CHANGE_ROW_DELETE, "", 50);
    feed_send(t);
    begin_work(t, &w, "/form0.xml", "H1");
    assert_false(has_place(w.session, "/data/member[1]/who"));
    assert_says(t, w.session, "/data/name", "at first");
    work_close(&w);
}

/* ---- times ---- */

static void times_are_written_as_the_clock_on_the_wall_shows_them(void **state)
{
    struct device_test *t = *state;
    const struct zone *zone;
    struct work w;
    device_enrol(t);
    OK(zone_fixed(&t->a, 8 * 60, &zone));
    store_close(t->store);
    OK(store_open(DEVICE_DIR, t->seam, zone, &t->store, &t->d));
    begin_work(t, &w, write_form(t, visit_form), NULL);
    assert_true(str_ends(w.visit.started, STR("+08:00")));
    assert_true(str_starts(w.visit.started, STR("2026-11-07T10:"))); /* the simulation begins at 02:00Z */
    finish_work(t, &w);
    struct cut_frame f = cut_one_frame(t);
    uint32_t told = 0;
    for (uint32_t i = 0; i < f.count; i++)
        told += str_ends(f.changes[i].value, STR("+08:00"));
    assert_int_equal(told, 2);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(saved_means_committed),
        CASE(a_second_process_reads_while_a_visit_is_open),
        CASE(opened_and_left_without_an_answer_it_never_was),
        CASE(overwritten_keystrokes_never_travel),
        CASE(a_draft_does_not_travel),
        CASE(a_row_made_and_removed_within_a_visit_never_was),
        CASE(removing_an_older_row_travels_but_not_what_was_typed_into_it),
        CASE(a_further_visit_carries_answers_and_asks_fresh_ones_anew),
        CASE(a_kill_between_opening_and_the_first_answer_costs_nothing),
        CASE(a_visit_opens_where_the_person_stopped),
        CASE(what_another_window_finished_is_not_written_into),
        CASE(a_visit_is_not_begun_twice),
        CASE(an_edit_that_had_seen_ours_replaces_it),
        CASE(finalising_over_a_newer_value_keeps_both),
        CASE(what_arrives_while_the_screen_is_open_was_not_seen),
        CASE(a_row_removed_elsewhere_stays_for_who_is_answering_in_it),
        CASE(a_row_removed_elsewhere_goes_where_nobody_answers_in_it),
        CASE(times_are_written_as_the_clock_on_the_wall_shows_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
