/* Copied, restored and shut-out handhelds, a centre that was set back, and answers in dispute: whole
 * handhelds and a whole centre. Nothing that was finalised is lost, and everybody ends up with the same.
 */
#include "agent/deliver.h"
#include "tests/sim/centre.h"
#include "tests/support/device.h"

/* As the visit form, with an answer that must be clear before anything is finished, words that join, and one
 * that stays. */
static const char policy_form[] = FORM_HEAD
    "<model><instance><data id='visit' version='1'><name/><wage/><crops/><born/>"
    "<member jr:template=''><who/></member><meta><instanceID/></meta></data></instance>"
    "<bind nodeset='/data/name' type='string'/><bind nodeset='/data/wage' type='int' ds:policy='review'/>"
    "<bind nodeset='/data/crops' type='string' ds:policy='union'/>"
    "<bind nodeset='/data/born' type='int' ds:policy='immutable'/>"
    "<bind nodeset='/data/member/who' type='string'/>"
    "<bind nodeset='/data/meta/instanceID' type='string' jr:preload='uid'/></model></h:head><h:body>"
    "<input ref='/data/name'><label>Name</label></input><input ref='/data/wage'><label>Wage</label></input>"
    "<input ref='/data/crops'><label>Crops</label></input><input ref='/data/born'><label>Born</label></input>"
    "<group ref='/data/member'><label>Member</label><repeat nodeset='/data/member'>"
    "<input ref='/data/member/who'><label>Who</label></input></repeat></group></h:body></h:html>";

struct county {
    struct device_test *t; /* the first handheld; it owns the world */
    struct device_test two;
    struct sim_machine *machine, *backup;
    struct sim_centre *centre;
};

static int county_setup(void **state)
{
    struct county *c = calloc(1, sizeof *c);
    struct device_test *t;
    device_setup((void **)&c->t);
    t = c->t;
    OK(sim_machine_add(t->sim, NULL, &c->machine, &t->d));
    OK(sim_machine_add(t->sim, NULL, &c->backup, &t->d));
    OK(sim_centre_make(c->machine, str_of(policy_form),
                       STR("code,area,name\nH1,990101001201,Invented\nH2,990101001202,Other\n"), &c->centre,
                       &t->d));
    c->two = (struct device_test){.sim = t->sim, .epoch = 1};
    arena_init(&c->two.a, 512u << 20);
    OK(sim_machine_add(t->sim, NULL, &c->two.machine, &t->d));
    c->two.seam = sim_seam(c->two.machine);
    *state = c;
    return 0;
}

static int county_teardown(void **state)
{
    struct county *c = *state;
    store_close(c->two.store);
    arena_free(&c->two.a);
    store_close(c->t->store);
    c->t->store = NULL;
    sim_centre_close(c->centre);
    device_teardown((void **)&c->t);
    free(c);
    return 0;
}

static void join(struct county *c, struct device_test *t)
{
    static char token[32], print[40];
    const struct enrol_options o = {.code = token, .url = "http://centre", .root_print = print};
    OK(sim_centre_token(c->centre, STR("Cadre"), STR("99"), token, print, &t->d));
    OK(enrol(t->store, t->seam, &o, &t->d));
}

static enum err sync_of(struct device_test *t, struct deliver_result *r)
{
    const struct deliver_options o = {.tries_max = 2};
    diag_clear(&t->d);
    return deliver(t->store, t->seam, &o, r, &t->d);
}

static void sync_now(struct device_test *t)
{
    struct deliver_result r;
    enum err rc = sync_of(t, &r);
    if (rc)
        fail_msg("sync: %s (%s)", err_action(rc)->name, t->d.text);
}

static void visit(struct device_test *t, const char *household, const char *name)
{
    struct work w;
    begin_work(t, &w, "visit", household);
    say(t, &w, "/data/name", name);
    finish_work(t, &w);
}

/* Finalised visits at the centre, every one of them the very document of the door. */
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

static struct sim_centre_counts counts(struct county *c)
{
    struct device_test *t = c->t;
    struct sim_centre_counts n;
    OK(sim_centre_counts(c->centre, &n, &t->d));
    return n;
}

/* The second handheld becomes what the first one is at this moment. */
static void copy_made(struct county *c)
{
    struct device_test *t = c->t;
    store_close(t->store);
    t->store = NULL;
    sim_disk_copy(c->two.machine, t->machine);
    device_open(t);
    t = &c->two;
    device_open(t);
}

static void both_copies_go_on_and_nothing_is_lost(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t, *two = &c->two;
    struct work w;
    join(c, t);
    sync_now(t);
    visit(t, "H1", "before");
    sync_now(t);
    copy_made(c);
    /* Both go on, and make rows under the same ids. */
    begin_work(t, &w, "visit", "H2");
    say(t, &w, "/data/name", "one");
    add_member(t, &w, "one's child");
    finish_work(t, &w);
    begin_work(two, &w, "visit", "H2");
    say(two, &w, "/data/name", "two");
    add_member(two, &w, "two's child");
    add_member(two, &w, "two's second");
    finish_work(two, &w);
    sync_now(t);
    assert_int_equal(arrived(c), 2);
    sync_now(two); /* finds out, takes another incarnation, delivers */
    assert_int_equal(store_identity(two->store)->by.inc, 2);
    assert_int_equal(arrived(c), 3);
    /* The first one hears of it when it sends again, and goes on as well. */
    visit(t, "H1", "after");
    sync_now(t);
    assert_int_equal(store_identity(t->store)->by.inc, 3);
    assert_int_equal(arrived(c), 4);
    assert_int_equal(status_now(t).frames_waiting, 0);
    assert_int_equal(status_now(two).frames_waiting, 0);
    visit(two, "H1", "later");
    sync_now(two);
    assert_int_equal(arrived(c), 5);
    sync_now(t);
    device_reopen(t);
    OK(store_check(t->store, &t->d));
}

/* Finished before the copy was made and delivered by neither: both hold it, both deliver it, it counts once,
 * and what either says later stands over it. */
static void what_both_copies_hold_counts_once(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t, *two = &c->two;
    struct work w;
    join(c, t);
    sync_now(t);
    visit(t, "H1", "first");
    sync_now(t);
    begin_work(t, &w, "visit", "H2");
    say(t, &w, "/data/name", "held by both");
    add_member(t, &w, "child");
    finish_work(t, &w);
    copy_made(c);
    visit(two, "H1", "two's own");
    visit(t, "H1", "one's own");
    sync_now(t);
    assert_int_equal(arrived(c), 3);
    sync_now(two);
    assert_int_equal(store_identity(two->store)->by.inc, 2);
    assert_int_equal(arrived(c), 4);
    visit(two, "H2", "over what both held");
    sync_now(two);
    assert_int_equal(arrived(c), 5);
    sync_now(t);
    begin_work(t, &w, "visit", "H2");
    assert_says(t, w.session, "/data/name", "over what both held");
    work_close(&w);
}

static void a_draft_survives_the_change_of_incarnation(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t, *two = &c->two;
    struct work w;
    join(c, t);
    sync_now(t);
    copy_made(c);
    visit(t, "H1", "one");
    sync_now(t);
    begin_work(two, &w, "visit", "H2");
    say(two, &w, "/data/name", "half");
    add_member(two, &w, "child");
    work_close(&w);
    visit(two, "H1", "two");
    sync_now(two);
    assert_int_equal(store_identity(two->store)->by.inc, 2);
    begin_work(two, &w, "visit", "H2");
    assert_says(two, w.session, "/data/name", "half");
    assert_says(two, w.session, "/data/member[1]/who", "child");
    finish_work(two, &w);
    sync_now(two);
    assert_int_equal(arrived(c), 3);
}

/* The card is put back to what it was: the file beside the database was not, and says so before anything is
 * sent. */
static void a_backup_of_the_handheld_is_noticed_before_it_sends(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    struct buf db, file;
    join(c, t);
    sync_now(t);
    store_close(t->store);
    buf_init(&db, 64u << 20);
    OK(t->seam->file_read(t->seam->self, DEVICE_DIR "/device.db", &db, &t->d));
    device_open(t);
    visit(t, "H1", "1");
    sync_now(t);
    visit(t, "H2", "2");
    sync_now(t);
    store_close(t->store);
    OK(t->seam->file_write(t->seam->self, DEVICE_DIR "/device.db", buf_str(&db), true, &t->d));
    buf_free(&db);
    device_open(t);
    assert_true(str_eq_z(store_identity(t->store)->over, "restored"));
    visit(t, "H1", "3"); /* people go on */
    uint32_t frames = 1;
    OK(store_cut(t->store, &frames, &t->d));
    assert_int_equal(frames, 0);
    sync_now(t);
    assert_int_equal(store_identity(t->store)->by.inc, 2);
    assert_int_equal(counts(c).clones, 0);
    assert_int_equal(counts(c).quarantined, 0);
    assert_int_equal(arrived(c), 3);
    /* What the lost days brought is here again. */
    struct work w;
    begin_work(t, &w, "visit", "H2");
    assert_says(t, w.session, "/data/name", "2");
    work_close(&w);
    buf_init(&file, 100);
    OK(t->seam->file_read(t->seam->self, DEVICE_DIR "/device.count", &file, &t->d));
    buf_free(&file);
}

static void a_whole_card_put_back_is_noticed_by_the_centre(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    struct sim_machine *card;
    join(c, t);
    sync_now(t);
    OK(sim_machine_add(t->sim, NULL, &card, &t->d));
    store_close(t->store);
    sim_disk_copy(card, t->machine);
    device_open(t);
    visit(t, "H1", "1");
    sync_now(t);
    store_close(t->store);
    sim_disk_copy(t->machine, card);
    device_open(t);
    assert_int_equal(store_identity(t->store)->over.n, 0);
    visit(t, "H2", "2");
    sync_now(t);
    assert_int_equal(store_identity(t->store)->by.inc, 2);
    assert_int_equal(arrived(c), 2);
}

static void whoever_was_shut_out_enrols_again_and_brings_all_along(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    struct deliver_result r;
    join(c, t);
    sync_now(t);
    visit(t, "H1", "before");
    sync_now(t);
    OK(sim_centre_revoke(c->centre, store_identity(t->store)->by.device, &t->d));
    visit(t, "H2", "shut out");
    assert_int_equal(sync_of(t, &r), ERR_DENIED);
    assert_true(str_eq_z(store_identity(t->store)->over, "revoked"));
    assert_int_equal(sync_of(t, &r), ERR_DENIED);
    assert_int_equal(arrived(c), 1);
    uint64_t device = store_identity(t->store)->by.device;
    join(c, t);
    assert_true(store_identity(t->store)->by.device != device);
    assert_int_equal(store_identity(t->store)->over.n, 0);
    sync_now(t);
    assert_int_equal(arrived(c), 2);
    visit(t, "H1", "again");
    sync_now(t);
    assert_int_equal(arrived(c), 3);
}

static void a_centre_set_back_gets_everything_again(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t, *two = &c->two;
    OK(store_open(DEVICE_DIR, two->seam, NULL, &two->store, &two->d));
    join(c, t);
    join(c, two);
    sync_now(t);
    sync_now(two);
    visit(t, "H1", "in the backup");
    sync_now(t);
    sim_centre_stop(c->centre);
    sim_disk_copy(c->backup, c->machine);
    OK(sim_centre_start(c->centre, &t->d));
    visit(t, "H1", "after the backup");
    sync_now(t);
    sync_now(two);
    visit(two, "H2", "by another");
    sync_now(two);
    assert_int_equal(arrived(c), 3);
    sim_centre_stop(c->centre);
    sim_disk_copy(c->machine, c->backup);
    OK(sim_centre_set_back(c->centre, &t->d));
    OK(sim_centre_start(c->centre, &t->d));
    assert_int_equal(arrived(c), 1);
    for (int i = 0; i < 3; i++) {
        sync_now(t);
        sync_now(two);
    }
    assert_int_equal(arrived(c), 3);
    assert_int_equal(status_now(t).frames_waiting + status_now(two).frames_waiting, 0);
    assert_int_equal(counts(c).quarantined, 0);
    visit(two, "H1", "and on");
    sync_now(two);
    assert_int_equal(arrived(c), 4);
    /* Both still show the same. */
    sync_now(t);
    struct work w;
    begin_work(t, &w, "visit", "H1");
    assert_says(t, w.session, "/data/name", "and on");
    work_close(&w);
}

static void frames_are_forgotten_after_the_retention_time(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t;
    join(c, t);
    sync_now(t);
    visit(t, "H1", "1");
    sync_now(t);
    visit(t, "H1", "2");
    sync_now(t);
    sim_wall_set(t->machine,
                 t->seam->wall_ms(t->seam->self) + 400LL * 86400000); /* a wild clock forgets nothing */
    sync_now(t);
    assert_int_equal(status_now(t).frames_receipted, 2);
    sim_advance(t->sim, 31LL * 86400000);
    visit(t, "H2", "3");
    sync_now(t); /* the centre's own time has passed */
    sync_now(t);
    assert_int_equal(status_now(t).frames_receipted, 1);
    visit(t, "H2", "4");
    sync_now(t);
    assert_int_equal(arrived(c), 4);
}

/* ---- answers in dispute ---- */

static void set(struct device_test *t, const char *ref, const char *value)
{
    struct work w;
    begin_work(t, &w, "visit", "H1");
    say(t, &w, ref, value);
    finish_work(t, &w);
}

static struct contested *contested(struct device_test *t, uint32_t *count)
{
    struct contested *list = NULL;
    OK(store_contested(t->store, &t->a, &list, count, &t->d));
    return list;
}

/* Both know H1 and its first visit. */
static void two_cadres(struct county *c)
{
    struct device_test *t = c->t, *two = &c->two;
    OK(store_open(DEVICE_DIR, two->seam, NULL, &two->store, &two->d));
    join(c, t);
    join(c, two);
    sync_now(t);
    set(t, "/data/name", "Wang");
    sync_now(t);
    sync_now(two);
}

static void a_dispute_is_seen_and_decided_on_a_handheld_and_told_to_the_other(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t, *two = &c->two;
    uint32_t count = 0;
    two_cadres(c);
    set(t, "/data/name", "one");
    set(two, "/data/name", "two");
    sync_now(t);
    sync_now(two);
    sync_now(t);
    struct contested *list = contested(t, &count);
    assert_int_equal(count, 1);
    assert_true(str_eq_z(list[0].household, "H1"));
    assert_int_equal(list[0].count, 2);
    assert_false(list[0].decided);
    assert_int_equal(status_now(t).conflicts, 1);
    OK(store_resolve(t->store, list[0].row, list[0].field, list[0].values[1].value, &t->d));
    assert_int_equal(status_now(t).conflicts, 0);
    sync_now(t);
    sync_now(two);
    list = contested(two, &count);
    assert_int_equal(count, 1);
    assert_true(list[0].decided);
    assert_int_equal(list[0].count, 3); /* the decision, and both that it was made over */
    assert_int_equal(status_now(two).decisions, 1);
    struct work a, b;
    begin_work(t, &a, "visit", "H1");
    begin_work(two, &b, "visit", "H1");
    assert_says(two, b.session, "/data/name", arena_z(&t->a, list[0].values[0].value));
    assert_says(t, a.session, "/data/name", arena_z(&t->a, list[0].values[0].value));
    work_close(&a);
    work_close(&b);
}

static void a_dispute_under_review_bars_finishing_until_it_is_answered(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t, *two = &c->two;
    struct work w;
    struct work_result r;
    two_cadres(c);
    set(t, "/data/wage", "100");
    set(two, "/data/wage", "200");
    sync_now(t);
    sync_now(two);
    sync_now(t);
    begin_work(t, &w, "visit", "H1");
    say(t, &w, "/data/name", "other");
    FAILS(work_finish(&w, &t->a, STR("fine"), &r, &t->d), ERR_STATE);
    work_close(&w);
    begin_work(t, &w, "visit", "H1"); /* the draft is as it was */
    assert_says(t, w.session, "/data/name", "other");
    say(t, &w, "/data/wage", "150"); /* who has seen both and answers again decides */
    finish_work(t, &w);
    sync_now(t);
    sync_now(two);
    assert_int_equal(status_now(t).conflicts + status_now(two).conflicts, 0);
    begin_work(two, &w, "visit", "H1");
    assert_says(two, w.session, "/data/wage", "150");
    work_close(&w);
    assert_int_equal(arrived(c), 4);
}

static void words_join_and_what_stays_stays(void **state)
{
    struct county *c = *state;
    struct device_test *t = c->t, *two = &c->two;
    struct work w;
    uint32_t count = 0;
    two_cadres(c);
    set(t, "/data/crops", "rice maize");
    set(two, "/data/crops", "maize pig");
    set(t, "/data/born", "1958");
    sync_now(t);
    sync_now(two);
    set(two, "/data/born", "1985"); /* it has seen the first one */
    sync_now(two);
    sync_now(t);
    struct device_test *both[] = {t, two};
    for (int i = 0; i < 2; i++) {
        struct place p;
        bool relevant;
        begin_work(both[i], &w, "visit", "H1");
        assert_says(both[i], w.session, "/data/born", "1958");
        OK(session_place(w.session, STR("/data/crops"), &p, &t->d));
        struct str crops = session_value(w.session, p, &relevant);
        assert_true(str_find(crops, STR("rice")) >= 0 && str_find(crops, STR("pig")) >= 0 && crops.n == 14);
        work_close(&w);
    }
    (void)contested(t, &count);
    assert_int_equal(count, 0);
    assert_int_equal(arrived(c), 5); /* each as it was at the door */
    struct contested stays = {.row = 1, .field = 3 * FIELD_POLICY_NUMBERS + 1};
    FAILS(store_resolve(t->store, stays.row, stays.field, STR("1"), &t->d), ERR_DENIED);
}

#define COUNTY(f) cmocka_unit_test_setup_teardown(f, county_setup, county_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COUNTY(both_copies_go_on_and_nothing_is_lost),
        COUNTY(what_both_copies_hold_counts_once),
        COUNTY(a_draft_survives_the_change_of_incarnation),
        COUNTY(a_backup_of_the_handheld_is_noticed_before_it_sends),
        COUNTY(a_whole_card_put_back_is_noticed_by_the_centre),
        COUNTY(whoever_was_shut_out_enrols_again_and_brings_all_along),
        COUNTY(a_centre_set_back_gets_everything_again),
        COUNTY(frames_are_forgotten_after_the_retention_time),
        COUNTY(a_dispute_is_seen_and_decided_on_a_handheld_and_told_to_the_other),
        COUNTY(a_dispute_under_review_bars_finishing_until_it_is_answered),
        COUNTY(words_join_and_what_stays_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
