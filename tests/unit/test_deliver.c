/* Delivery: what marks a frame as delivered and what does not, against a pen; and whole syncs against a real
 * centre over a simulated network.
 */

#include "agent/deliver.h"
#include "tests/sim/centre.h"
#include "tests/support/device.h"

/* ---- receipts ---- */

static struct cut_frame one_visit(struct device_test *t)
{
    struct work w;
    device_enrol(t);
    begin_work(t, &w, write_form(t, visit_form), NULL);
    say(t, &w, "/data/name", "A");
    finish_work(t, &w);
    return cut_one_frame(t);
}

static void only_the_receipt_for_these_very_bytes_counts(void **state)
{
    struct device_test *t = *state;
    struct cut_frame f = one_visit(t);
    bool again;
    struct receipt_item item = item_for(&f, RECEIPT_STORED, 40);

    item.batch_id[3] ^= 1;
    OK(give_receipt(t, &f, item, (struct receipt){0}, &again));
    assert_int_equal(status_now(t).frames_waiting, 1);
    item.batch_id[3] ^= 1;
    item.batch_seq = f.batch_seq + 1;
    OK(give_receipt(t, &f, item, (struct receipt){0}, &again));
    assert_int_equal(status_now(t).frames_waiting, 1);
    item.batch_seq = f.batch_seq;
    OK(give_receipt(t, &f, item, (struct receipt){0}, &again));
    assert_int_equal(status_now(t).frames_waiting, 0);
    assert_int_equal(status_now(t).frames_receipted, 1);
}

static void another_devices_receipt_changes_nothing(void **state)
{
    struct device_test *t = *state;
    struct cut_frame f = one_visit(t);
    bool again;
    struct receipt r = {.device = DEVICE_ID + 1, .cursor = 90, .token = STR("theirs")};
    assert_int_equal(give_receipt(t, &f, item_for(&f, RECEIPT_STORED, 40), r, &again), ERR_CORRUPT);
    assert_int_equal(status_now(t).frames_waiting, 1);
    device_reopen(t);
    assert_int_equal(store_identity(t->store)->cursor, 0);
    assert_true(str_eq_z(store_identity(t->store)->by.token, "first"));
}

static void a_receipt_brings_cursor_token_and_time(void **state)
{
    struct device_test *t = *state;
    struct cut_frame f = one_visit(t);
    bool again;
    struct receipt r = {.cursor = 40, .token = STR("second"), .clock_off_ms = 90000000};
    OK(give_receipt(t, &f, item_for(&f, RECEIPT_STORED, 40), r, &again));
    device_reopen(t);
    assert_int_equal(store_identity(t->store)->cursor, 40);
    assert_true(str_eq_z(store_identity(t->store)->by.token, "second"));
    assert_true(status_now(t).clock_off_ms == 90000000);
    assert_true(status_now(t).last_contact.n > 0);

    /* It goes with the epoch of the cursor, which a receipt does not change. */
    r = (struct receipt){.cursor = 90, .epoch = 2};
    OK(give_receipt(t, &f, item_for(&f, RECEIPT_STORED, 40), r, &again));
    device_reopen(t);
    assert_int_equal(store_identity(t->store)->cursor, 40);
    assert_int_equal(store_identity(t->store)->epoch, 1);
}

/* A card may bring what the centre signed before a backup was put back there. */
static void a_receipt_from_before_the_centre_was_set_back_counts_no_more(void **state)
{
    struct device_test *t = *state;
    struct cut_frame f = one_visit(t);
    bool again;
    OK(give_receipt(t, &f, item_for(&f, RECEIPT_STORED, 40), (struct receipt){.epoch = 1, .cursor = 40},
                    &again));
    assert_int_equal(status_now(t).frames_receipted, 1);
    /* A start of the centre that lost nothing costs nothing. */
    t->epoch = 2;
    t->agreed = t->cursor = 40;
    feed_send(t);
    assert_int_equal(status_now(t).frames_waiting, 0);
    t->epoch = 3;
    t->agreed = t->cursor = 39;
    feed_send(t);
    assert_int_equal(status_now(t).frames_waiting, 1);
    OK(give_receipt(t, &f, item_for(&f, RECEIPT_STORED, 40), (struct receipt){.epoch = 1}, &again));
    assert_int_equal(status_now(t).frames_waiting, 1);
    OK(give_receipt(t, &f, item_for(&f, RECEIPT_STORED, 7), (struct receipt){.epoch = 3}, &again));
    assert_int_equal(status_now(t).frames_waiting, 0);
}

/* A frame that goes twice has the receipt that it had first, with what was counted then. */
static void an_old_receipt_is_no_sign_of_a_centre_set_back(void **state)
{
    struct device_test *t = *state;
    struct cut_frame one = one_visit(t), two;
    struct work w;
    uint32_t frames;
    bool again;
    int64_t now_ms = t->seam->wall_ms(t->seam->self);
    struct receipt full = {.contiguous = 2, .server_time_ms = now_ms};
    struct receipt same_second = {.contiguous = 1, .server_time_ms = now_ms};
    struct receipt oldest = {.contiguous = 1, .server_time_ms = now_ms - 5000};
    struct receipt older = {.contiguous = 0, .server_time_ms = now_ms - 3000};
    struct receipt later = {.contiguous = 0, .server_time_ms = now_ms + 1000};

    begin_work(t, &w, "/form0.xml", NULL);
    finish_work(t, &w);
    OK(store_cut(t->store, &frames, &t->d));
    assert_true(next_frame(t, one.batch_seq, &two));
    OK(give_receipt(t, &one, item_for(&one, RECEIPT_STORED, 4), full, &again));
    OK(give_receipt(t, &two, item_for(&two, RECEIPT_STORED, 9), same_second, &again));
    assert_int_equal(status_now(t).frames_waiting, 0);
    OK(give_receipt(t, &two, item_for(&two, RECEIPT_STORED, 9), oldest, &again));
    OK(give_receipt(t, &one, item_for(&one, RECEIPT_STORED, 4), older, &again));
    assert_int_equal(status_now(t).frames_waiting, 0);
    OK(give_receipt(t, &one, item_for(&one, RECEIPT_STORED, 4), later, &again));
    assert_int_equal(status_now(t).frames_waiting, 1);
}

static void what_the_centre_set_aside_is_told_and_held(void **state)
{
    struct device_test *t = *state;
    struct cut_frame f = one_visit(t);
    bool again;
    struct receipt_item item = item_for(&f, RECEIPT_QUARANTINED, 0);
    item.cause = ERR_NOT_FOUND;
    item.reason = STR("A visit was made with a form that was never published here.");
    OK(give_receipt(t, &f, item, (struct receipt){0}, &again));
    assert_false(again);
    assert_int_equal(status_now(t).frames_quarantined, 1);
    assert_int_equal(status_now(t).frames_waiting, 0);
}

/* Row numbers that the centre does not know: once more under full names, and then never again. */
static void a_frame_refused_for_its_numbers_goes_again_under_full_names(void **state)
{
    struct device_test *t = *state;
    struct work w;
    struct cut_frame f, second, none;
    uint32_t frames;
    bool again;
    device_enrol(t);
    feed_birth(t, centre_row(1), ROW_HOUSEHOLD, (struct row_id){0}, STR(""));
    feed_set(t, centre_row(1), HOUSEHOLD_CODE, "H1");
    t->authors[0].row_number = t->authors[1].row_number = 12;
    feed_send(t);
    begin_work(t, &w, write_form(t, visit_form), "H1");
    say(t, &w, "/data/name", "A");
    finish_work(t, &w);
    OK(store_cut(t->store, &frames, &t->d));
    assert_int_equal(frames, 1);
    struct buf b;
    bool any;
    struct frame parsed;
    size_t size;
    buf_init(&b, FRAME_SIZE_MAX);
    f = (struct cut_frame){0};
    OK(store_frame_next(t->store, 0, &f.batch_seq, &b, &any, &t->d));
    OK(frame_parse(buf_str(&b), &parsed, &size, &t->d));
    memcpy(f.batch_id, parsed.batch_id, BATCH_ID_SIZE);

    struct receipt_item item = item_for(&f, RECEIPT_QUARANTINED, 0);
    item.cause = ERR_STATE;
    item.reason = STR("unknown row number");
    OK(give_receipt(t, &f, item, (struct receipt){0}, &again));
    assert_true(again);
    OK(store_cut(t->store, &frames, &t->d));
    assert_int_equal(frames, 1);
    assert_true(next_frame(t, f.batch_seq, &second)); /* readable by who knows no numbers */
    assert_int_equal(count_op(&second, CHANGE_FINALISE), 1);
    assert_int_equal(count_value(&second, "A"), 1);

    item = item_for(&second, RECEIPT_QUARANTINED, 0);
    item.cause = ERR_STATE;
    OK(give_receipt(t, &second, item, (struct receipt){0}, &again));
    assert_false(again);
    OK(store_cut(t->store, &frames, &t->d));
    assert_int_equal(frames, 0);
    assert_false(next_frame(t, second.batch_seq, &none));
    buf_free(&b);
}

static void a_frame_stays_the_same_bytes(void **state)
{
    struct device_test *t = *state;
    struct cut_frame f = one_visit(t), later;
    sim_advance(t->sim, 86400000);
    device_reopen(t);
    assert_true(next_frame(t, 0, &later));
    assert_true(str_eq(f.bytes, later.bytes));
}

static void a_large_frame_that_was_sent_is_asked_about_first(void **state)
{
    struct device_test *t = *state;
    struct work w;
    struct cut_frame f;
    uint64_t unsure;
    char *text = arena_alloc(&t->a, 6001);
    unsigned char noise[3000];
    device_enrol(t);
    OK(t->seam->random(t->seam->self, noise, sizeof noise));
    hex_write(noise, sizeof noise, text);
    text[0] = 'x'; /* no longer hexadecimal, so that it stays as long */
    begin_work(t, &w, write_form(t, visit_form), NULL);
    say(t, &w, "/data/name", text);
    finish_work(t, &w);
    f = cut_one_frame(t);
    assert_true(f.bytes.n > 2048);
    OK(store_frame_unsure(t->store, &unsure, &t->d));
    assert_int_equal(unsure, 0);
    OK(store_frame_sent(t->store, f.batch_seq, &t->d));
    device_reopen(t);
    OK(store_frame_unsure(t->store, &unsure, &t->d));
    assert_int_equal(unsure, f.batch_seq);
}

static void elapsed_time_is_unknown_only_after_a_reboot(void **state)
{
    struct device_test *t = *state;
    struct work w;
    struct cut_frame f;
    uint32_t frames;
    const char *form = write_form(t, visit_form);
    int64_t enrolled_at = t->seam->wall_ms(t->seam->self) / 1000;

    device_enrol(t);
    sim_advance(t->sim, 3600 * 1000);
    sim_wall_set(t->machine, 0); /* its clock falls back to 1970: nobody is fooled */
    begin_work(t, &w, form, NULL);
    finish_work(t, &w);
    OK(store_cut(t->store, &frames, &t->d));
    assert_true(next_frame(t, 0, &f));
    assert_true(f.head.anchor_ms / 1000 == enrolled_at);
    assert_true(f.head.elapsed_ms >= 3600 * 1000 && f.head.elapsed_ms < 3700 * 1000);

    OK(meta_put_i64(t->store, "anchor_mono", t->seam->mono_ms(t->seam->self) + 1, &t->d));
    begin_work(t, &w, form, NULL);
    finish_work(t, &w);
    OK(store_cut(t->store, &frames, &t->d));
    assert_true(next_frame(t, f.batch_seq, &f));
    assert_true(f.head.anchor_ms / 1000 == enrolled_at);
    assert_true(f.head.elapsed_ms == -1);
}

/* ---- with a real centre ---- */

struct county {
    struct device_test *t;
    struct sim_machine *machine;
    struct sim_centre *centre;
};

static int county_setup(void **state)
{
    struct county *c = calloc(1, sizeof *c);
    struct device_test *t;
    device_setup((void **)&c->t);
    t = c->t;
    OK(sim_machine_add(t->sim, NULL, &c->machine, &t->d));
    OK(sim_centre_make(c->machine, str_of(visit_form),
                       STR("code,area,name\nH1,990101001201,Invented\nH2,990101001202,Other\n"), &c->centre,
                       &t->d));
    *state = c;
    return 0;
}

static int county_teardown(void **state)
{
    struct county *c = *state;
    store_close(c->t->store);
    c->t->store = NULL;
    sim_centre_close(c->centre);
    device_teardown((void **)&c->t);
    free(c);
    return 0;
}

static enum err join(struct county *c, bool use)
{
    struct device_test *t = c->t;
    static char token[32], print[40];
    struct enrol_options o = {.code = token, .url = "http://centre", .root_print = print};
    if (!use)
        OK(sim_centre_token(c->centre, STR("Cadre"), STR("99"), token, print, &t->d));
    diag_clear(&t->d);
    return enrol(t->store, t->seam, &o, &t->d);
}

static enum err sync_now(struct county *c, struct deliver_result *r)
{
    const struct deliver_options o = {.tries_max = 2};
    diag_clear(&c->t->d);
    return deliver(c->t->store, c->t->seam, &o, r, &c->t->d);
}

static void visit_once(struct county *c, const char *household, const char *name)
{
    struct device_test *t = c->t;
    struct work w;
    begin_work(t, &w, "visit", household);
    say(t, &w, "/data/name", name);
    finish_work(t, &w);
}

static uint32_t arrived(struct county *c)
{
    struct device_test *t = c->t;
    struct sim_submission *list;
    uint32_t count = 0;
    OK(sim_centre_submissions(c->centre, &t->a, STR("visit"), &list, &count, &t->d));
    for (uint32_t i = 0; i < count; i++)
        assert_true(list[i].matches);
    return count;
}

static void a_visit_reaches_the_centre_once(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    struct deliver_result r;
    OK(join(c, false));
    FAILS(join(c, true), ERR_STATE); /* enrolled already; the code is not even tried */
    OK(sync_now(c, &r));
    assert_int_equal(status_now(t).households, 2);
    visit_once(c, "H1", "A");
    OK(sync_now(c, &r));
    assert_int_equal(r.totals.frames_receipted, 1);
    assert_int_equal(r.frames_waiting, 0);
    OK(sync_now(c, &r));
    assert_int_equal(r.totals.frames_sent, 0);
    assert_int_equal(arrived(c), 1);

    /* A second visit names its rows by the numbers that the centre has told, and the centre understands. */
    visit_once(c, "H1", "B");
    OK(sync_now(c, &r));
    assert_int_equal(r.totals.frames_quarantined, 0);
    assert_int_equal(arrived(c), 2);
}

static void a_used_code_is_refused_and_says_so(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    OK(join(c, false));
    store_close(t->store);
    OK(store_open("/second", t->seam, NULL, &t->store, &t->d));
    assert_int_equal(join(c, true), ERR_DENIED);
    assert_non_null(strstr(t->d.text, "48 hours"));
}

static void a_full_card_does_not_cost_the_code(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    static char token[32], print[40];
    OK(sim_centre_token(c->centre, STR("Cadre"), STR("99"), token, print, &t->d));
    const struct enrol_options o = {.code = token, .url = "http://centre", .root_print = print};
    sim_disk_limit(t->machine, sim_disk_used(t->machine));
    FAILS(enrol(t->store, t->seam, &o, &t->d), ERR_FULL);
    sim_disk_limit(t->machine, 64u << 20);
    OK(enrol(t->store, t->seam, &o, &t->d));
}

static void captured_before_enrolment_it_is_delivered_after(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    struct deliver_result r;
    struct work w;
    begin_work(t, &w, write_form(t, visit_form), NULL);
    say(t, &w, "/data/name", "early");
    add_member(t, &w, "A");
    finish_work(t, &w);
    OK(join(c, false));
    OK(sync_now(c, &r));
    assert_int_equal(r.totals.frames_quarantined, 0);
    assert_int_equal(arrived(c), 1);
}

static void a_login_page_is_named_and_costs_nothing(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    struct deliver_result r;
    sim_centre_portal(c->centre, true);
    static char token[32] = "", print[40];
    OK(sim_centre_token(c->centre, STR("Cadre"), STR("99"), token, print, &t->d));
    const struct enrol_options o = {.code = token, .url = "http://centre", .root_print = print};
    diag_clear(&t->d);
    assert_int_equal(enrol(t->store, t->seam, &o, &t->d), ERR_NET);
    assert_non_null(strstr(t->d.text, "login page"));
    sim_centre_portal(c->centre, false);
    diag_clear(&t->d);
    OK(enrol(t->store, t->seam, &o, &t->d));
    OK(sync_now(c, &r));
    visit_once(c, "H1", "A");

    sim_centre_portal(c->centre, true);
    assert_int_equal(sync_now(c, &r), ERR_NET);
    assert_true(r.portal);
    assert_int_equal(r.frames_waiting, 1);
    assert_non_null(strstr(t->d.text, "login page"));
    assert_null(strstr(t->d.text, "Nothing is lost")); /* that is said once, by the table */
    sim_centre_portal(c->centre, false);
    OK(sync_now(c, &r));
    assert_false(r.portal);
    assert_int_equal(arrived(c), 1);
}

static void without_a_network_it_says_what_happened(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    struct deliver_result r;
    OK(join(c, false));
    OK(sync_now(c, &r));
    visit_once(c, "H1", "A");
    sim_net_partition(t->machine, true);
    assert_int_equal(sync_now(c, &r), ERR_NET);
    assert_string_not_equal(t->d.text, err_action(ERR_NET)->todo_en);
    assert_true(t->d.text[0] != '\0');
    assert_int_equal(r.frames_waiting, 1);
    sim_net_partition(t->machine, false);
    OK(sync_now(c, &r));
    assert_int_equal(arrived(c), 1);
}

static void a_limit_of_bytes_is_no_failure(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    struct deliver_result r;
    OK(join(c, false));
    OK(sync_now(c, &r));
    visit_once(c, "H1", "A");
    const struct deliver_options o = {.bytes_max = 700};
    OK(deliver(t->store, t->seam, &o, &r, &t->d));
    assert_true(r.budget_used);
    assert_int_equal(r.frames_waiting, 1);
    assert_int_equal(arrived(c), 0);
    OK(sync_now(c, &r));
    assert_false(r.budget_used);
    assert_int_equal(arrived(c), 1);
}

static void a_clock_that_is_off_is_told(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    struct deliver_result r;
    OK(join(c, false));
    OK(sync_now(c, &r));
    visit_once(c, "H1", "A");
    OK(sync_now(c, &r));
    assert_int_equal(r.clock_off_ms, 0);
    sim_wall_set(t->machine, t->seam->wall_ms(t->seam->self) + 3 * 86400000LL);
    visit_once(c, "H2", "B");
    OK(sync_now(c, &r));
    assert_true(r.clock_off_ms > 2 * 86400000LL && r.clock_off_ms < 4 * 86400000LL);
    assert_true(status_now(t).clock_off_ms == r.clock_off_ms);
}

static void a_token_that_ran_out_is_renewed_on_the_way(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    struct deliver_result r;
    OK(join(c, false));
    OK(sync_now(c, &r));
    struct str first = arena_str(&t->a, store_identity(t->store)->by.token);
    sim_advance(t->sim, 400LL * 86400000);
    visit_once(c, "H1", "A");
    OK(sync_now(c, &r));
    assert_int_equal(arrived(c), 1);
    assert_false(str_eq(store_identity(t->store)->by.token, first));
    device_reopen(t);
    assert_false(str_eq(store_identity(t->store)->by.token, first));
    OK(sync_now(c, &r));
}

static uint64_t next_after(struct device_test *t, uint64_t after)
{
    struct buf frame;
    uint64_t batch = 0;
    bool any = false;
    buf_init(&frame, FRAME_SIZE_MAX);
    OK(store_frame_next(t->store, after, &batch, &frame, &any, &t->d));
    buf_free(&frame);
    return any ? batch : 0;
}

/* A verification somebody is waiting for leaves before the day's other visits, and before what an earlier
 * attempt left behind; nothing is left out for that, and nothing goes twice. */
static void what_cannot_wait_leaves_first(void **state)
{
    static const char turn[] = "UPDATE chg SET fld = 2, val = CAST('verification' AS BLOB) WHERE fld = 3 AND "
                               "row = visit AND visit = "
                               "(SELECT max(visit) FROM chg WHERE batch = 0)";
    struct county *c = *state;
    struct device_test *t = c->t;
    struct deliver_result r;
    uint32_t frames = 0;
    OK(join(c, false));
    OK(sync_now(c, &r));
    visit_once(c, "H1", "left behind");
    OK(store_cut(t->store, &frames, &t->d));
    assert_int_equal(frames, 1);
    visit_once(c, "H1", "calm");
    visit_once(c, NULL, "urgent");
    OK(db_exec(t->store->db, turn, &t->d));
    OK(store_cut(t->store, &frames, &t->d));
    assert_int_equal(frames, 2);
    assert_int_equal(next_after(t, 0), 2); /* the verification */
    assert_int_equal(next_after(t, 2), 1); /* then what is oldest */
    assert_int_equal(next_after(t, 1), 3);
    assert_int_equal(next_after(t, 3), 0);
    OK(sync_now(c, &r));
    assert_int_equal(r.totals.frames_receipted, 3);
    assert_int_equal(r.totals.frames_quarantined, 0);
    assert_int_equal(arrived(c), 3);
}

/* A centre that was set back knows other numbers: the visit arrives all the same, in the same run. */
static void wrong_row_numbers_heal_themselves(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    struct deliver_result r;
    OK(join(c, false));
    OK(sync_now(c, &r));
    visit_once(c, "H1", "A");
    OK(sync_now(c, &r));
    OK(sync_now(c, &r));
    OK(db_exec(t->store->db, "UPDATE row SET number = key + 5000 WHERE kind IN (1, 2)", &t->d));
    visit_once(c, "H1", "B");
    OK(sync_now(c, &r));
    assert_int_equal(r.totals.frames_quarantined, 1);
    assert_int_equal(r.frames_waiting, 0);
    assert_int_equal(arrived(c), 2);
    assert_int_equal(status_now(t).frames_quarantined, 0); /* nothing is set aside any more */
}

static void how_the_device_is_rides_along_when_it_changed(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    struct device_report now = {.battery = 2, .free_mb = 5000};
    const struct deliver_options o = {.tries_max = 2, .state = &now};
    struct deliver_result r;
    struct str version;
    int battery = 0;
    OK(join(c, false));
    OK(sync_now(c, &r));
    OK(sim_centre_report(c->centre, store_identity(t->store)->by.device, &t->a, &battery, &version, &t->d));
    assert_int_equal(battery, -1);
    OK(deliver(t->store, t->seam, &o, &r, &t->d));
    assert_true(r.totals.report_told);
    uint64_t with = r.totals.bytes_up;
    OK(sim_centre_report(c->centre, store_identity(t->store)->by.device, &t->a, &battery, &version, &t->d));
    assert_int_equal(battery, 2);
    assert_true(version.n > 0);
    /* Nothing changed: not a byte. */
    now.free_mb = 4100;
    OK(deliver(t->store, t->seam, &o, &r, &t->d));
    assert_false(r.totals.report_told);
    assert_true(r.totals.bytes_up < with);
    uint64_t without = r.totals.bytes_up;
    now.battery = 0;
    OK(deliver(t->store, t->seam, &o, &r, &t->d));
    assert_true(r.totals.report_told);
    print_message("a word about the device: %d bytes, the first time %d\n",
                  (int)(r.totals.bytes_up - without), (int)(with - without));
    OK(sim_centre_report(c->centre, store_identity(t->store)->by.device, &t->a, &battery, &version, &t->d));
    assert_int_equal(battery, 0);
    assert_true(version.n > 0); /* said once, kept */
}

static int64_t counted(struct county *c, const char *sql)
{
    struct stmt *q = NULL;
    bool row = false;
    assert_int_equal(db_prepare(c->t->store->db, sql, &q, &c->t->d), ERR_OK);
    assert_int_equal(stmt_step(q, &row, &c->t->d), ERR_OK);
    int64_t n = col_i64(q, 0);
    stmt_done(q);
    return n;
}

/* Lost with a finished visit that had not been sent, and with one that somebody had begun: the first is given
 * to the centre, where it stands apart; the second exists nowhere else, and stays. */
static void a_lost_device_gives_what_it_has_and_erases_only_that(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    struct deliver_result r;
    struct sim_centre_counts n;
    struct work w;
    uint64_t device;
    OK(join(c, false));
    OK(sync_now(c, &r));
    visit_once(c, "H1", "A");
    OK(sync_now(c, &r));
    visit_once(c, "H1", "B");
    begin_work(t, &w, "visit", "H2");
    say(t, &w, "/data/name", "begun");
    work_close(&w);
    device = store_identity(t->store)->by.device;
    assert_int_equal(counted(c, "SELECT count(*) FROM row WHERE kind = 1"), 2);
    OK(sim_centre_lost(c->centre, device, &t->d));
    FAILS(sync_now(c, &r), ERR_DENIED);
    OK(sim_centre_counts(c->centre, &n, &t->d));
    assert_int_equal(n.quarantined, 1); /* "B" lies at the centre */
    assert_int_equal(counted(c, "SELECT count(*) FROM outbox WHERE status = 0"), 0);
    assert_int_equal(counted(c, "SELECT count(*) FROM row WHERE kind = 1"), 1);
    assert_int_equal(counted(c, "SELECT count(*) FROM row WHERE kind = 4 AND state = 1"), 0);
    assert_true(counted(c, "SELECT count(*) FROM chg WHERE batch = 0") > 0);
    assert_int_equal(
        counted(c, "SELECT count(*) FROM record r LEFT JOIN row k ON k.key = r.key WHERE k.key IS NULL"), 0);
    assert_int_equal(counted(c, "SELECT count(*) FROM file"), 0);
    /* Asked again, it stays as it is. */
    FAILS(sync_now(c, &r), ERR_DENIED);
    assert_true(counted(c, "SELECT count(*) FROM chg WHERE batch = 0") > 0);
    device_reopen(t);
    assert_int_equal(status_now(t).drafts, 1);
}

/* Only shut out: nothing is erased. */
static void a_revoked_device_keeps_what_it_has(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    struct deliver_result r;
    OK(join(c, false));
    OK(sync_now(c, &r));
    visit_once(c, "H1", "A");
    OK(sync_now(c, &r));
    OK(sim_centre_revoke(c->centre, store_identity(t->store)->by.device, &t->d));
    FAILS(sync_now(c, &r), ERR_DENIED);
    assert_int_equal(counted(c, "SELECT count(*) FROM row WHERE kind = 1"), 2);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, device_setup, device_teardown)
#define COUNTY(f) cmocka_unit_test_setup_teardown(f, county_setup, county_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(only_the_receipt_for_these_very_bytes_counts),
        CASE(another_devices_receipt_changes_nothing),
        CASE(a_receipt_brings_cursor_token_and_time),
        CASE(a_receipt_from_before_the_centre_was_set_back_counts_no_more),
        CASE(an_old_receipt_is_no_sign_of_a_centre_set_back),
        CASE(what_the_centre_set_aside_is_told_and_held),
        CASE(a_frame_refused_for_its_numbers_goes_again_under_full_names),
        CASE(a_frame_stays_the_same_bytes),
        CASE(a_large_frame_that_was_sent_is_asked_about_first),
        CASE(elapsed_time_is_unknown_only_after_a_reboot),
        COUNTY(a_visit_reaches_the_centre_once),
        COUNTY(a_used_code_is_refused_and_says_so),
        COUNTY(a_full_card_does_not_cost_the_code),
        COUNTY(captured_before_enrolment_it_is_delivered_after),
        COUNTY(a_login_page_is_named_and_costs_nothing),
        COUNTY(without_a_network_it_says_what_happened),
        COUNTY(a_limit_of_bytes_is_no_failure),
        COUNTY(a_clock_that_is_off_is_told),
        COUNTY(a_token_that_ran_out_is_renewed_on_the_way),
        COUNTY(what_cannot_wait_leaves_first),
        COUNTY(wrong_row_numbers_heal_themselves),
        COUNTY(how_the_device_is_rides_along_when_it_changed),
        COUNTY(a_lost_device_gives_what_it_has_and_erases_only_that),
        COUNTY(a_revoked_device_keeps_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
