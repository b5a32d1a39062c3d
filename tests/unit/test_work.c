/* Work: which form, which version of it, which lists and which rules an interview is held with.
 */

#include "tests/support/device.h"

/* The same questions, and one more before them. */
static const char second_version[] = FORM_HEAD
    "<model><instance><data id='visit' version='2'><consent/><name/><wage/><mood/>"
    "<member jr:template=''><who/><age/></member><meta><instanceID/></meta></data></instance>"
    "<bind nodeset='/data/name' type='string'/><bind nodeset='/data/wage' type='int'/>"
    "<bind nodeset='/data/mood' type='string' ds:fresh='true()'/>"
    "<bind nodeset='/data/member/who' type='string'/><bind nodeset='/data/member/age' type='int'/>"
    "<bind nodeset='/data/meta/instanceID' type='string' jr:preload='uid'/></model></h:head><h:body>"
    "<input ref='/data/consent'><label>Consent</label></input>"
    "<input ref='/data/name'><label>Name</label></input><input ref='/data/wage'><label>Wage</label></input>"
    "<input ref='/data/mood'><label>Mood</label></input>"
    "<group ref='/data/member'><label>Member</label><repeat nodeset='/data/member'>"
    "<input ref='/data/member/who'><label>Who</label></input>"
    "<input ref='/data/member/age'><label>Age</label></input></repeat></group></h:body></h:html>";

static const char list_form[] = FORM_HEAD
    "<model><instance><data id='listed' version='1'><place/></data></instance>"
    "<instance id='places' src='jr://file-csv/places.csv'/>"
    "<bind nodeset='/data/place' type='string'/></model></h:head><h:body>"
    "<select1 ref='/data/place'><label>Place</label><itemset nodeset=\"instance('places')/root/item\">"
    "<value ref='name'/><label ref='label'/></itemset></select1></h:body></h:html>";

/* Numbers as the centre gives them out: what is new in the second version comes behind what is known. */
static const char *numbers_of_second(struct device_test *t)
{
    const struct form *one, *two;
    struct form_findings none = {0};
    uint32_t fields[40], repeats[4] = {1}, next = 1;
    struct fieldmap first;
    struct buf b;
    OK(form_load(&t->a, str_of(visit_form), &one, &none, &t->d));
    OK(fieldmap_read(&t->a, STR(""), form_policies(&t->a, one), form_field_count(one), form_repeat_count(one),
                     &first, &t->d));
    OK(form_load(&t->a, str_of(second_version), &two, &none, &t->d));
    for (uint32_t i = 0; i < form_field_count(one); i++)
        next += first.field_stable[i] < FIELD_POLICY_NUMBERS;
    for (uint32_t i = 0; i < form_field_count(two); i++) {
        const struct form_field *known = form_field_by_path(one, form_field(two, i)->path);
        fields[i] = known ? first.field_stable[known->number] : next++;
    }
    buf_init(&b, 4096);
    fieldmap_write(fields, form_field_count(two), repeats, form_repeat_count(two), &b);
    assert_true(b.n > 0);
    const char *text = arena_z(&t->a, buf_str(&b));
    buf_free(&b);
    return text;
}

static bool notes_say(const struct work *w, const char *text)
{
    for (uint32_t i = 0; i < w->notes.count; i++)
        if (str_find(w->notes.at[i], str_of(text)) >= 0)
            return true;
    return false;
}

/* ---- forms ---- */

static void a_draft_goes_on_with_the_version_it_was_begun_with(void **state)
{
    struct device_test *t = *state;
    struct work w;
    unsigned char first[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1] = {0};

    device_enrol(t);
    feed_household(t, 1, "H1");
    feed_published(t, 2, "form", "visit", "1", str_of(visit_form), "", true);
    begin_work(t, &w, "visit", "H1");
    say(t, &w, "/data/name", "A");
    work_close(&w);
    feed_published(t, 3, "form", "visit", "2", str_of(second_version), numbers_of_second(t), true);
    feed_set(t, centre_row(2), PUBLISHED_STATE, "retired");
    feed_send(t);

    begin_work(t, &w, "visit", "H1");
    assert_true(w.visit.resumed);
    assert_true(str_eq_z(form_version(w.form), "1"));
    assert_true(notes_say(&w, "version 2"));
    assert_says(t, w.session, "/data/name", "A");
    assert_false(has_place(w.session, "/data/consent"));
    say(t, &w, "/data/wage", "7");
    finish_work(t, &w);
    struct cut_frame f = cut_one_frame(t);
    OK(sha256(str_of(visit_form), first));
    hex_write(first, sizeof first, hex);
    assert_int_equal(count_value(&f, hex), 1);

    /* The next visit is held with the newer one, and finds each answer in its place. */
    begin_work(t, &w, "visit", "H1");
    assert_true(str_eq_z(form_version(w.form), "2") && w.notes.count == 0);
    assert_says(t, w.session, "/data/name", "A");
    assert_says(t, w.session, "/data/wage", "7");
    assert_says(t, w.session, "/data/consent", "");
    work_close(&w);
}

static void a_draft_outlives_the_file_of_its_form(void **state)
{
    struct device_test *t = *state;
    struct work w;
    const char *form = write_form(t, visit_form);
    begin_work(t, &w, form, NULL);
    say(t, &w, "/data/name", "A");
    work_close(&w);
    OK(t->seam->file_write(t->seam->self, form, str_of(second_version), false, &t->d));
    begin_work(t, &w, form, NULL);
    assert_true(str_eq_z(form_version(w.form), "1") && notes_say(&w, "version 2"));
    assert_says(t, w.session, "/data/name", "A");
    finish_work(t, &w);
    begin_work(t, &w, form, NULL);
    assert_true(str_eq_z(form_version(w.form), "2"));
    work_close(&w);
}

static void a_form_is_a_file_or_an_id(void **state)
{
    struct device_test *t = *state;
    struct work w;
    device_enrol(t);
    FAILS(open_work_in(t, t->store, &w, "visit", NULL), ERR_NOT_FOUND);
    feed_published(t, 2, "form", "visit", "1", str_of(visit_form), "", false);
    FAILS(open_work_in(t, t->store, &w, "visit", NULL), ERR_NOT_FOUND); /* named, not fetched yet */
    unsigned char hash[SHA256_SIZE];
    OK(sha256(str_of(visit_form), hash));
    OK(store_object_put(t->store, hash, str_of(visit_form), &t->d));
    begin_work(t, &w, "visit", NULL);
    assert_false(w.from_file);
    work_close(&w);
    FAILS(open_work_in(t, t->store, &w, "/nowhere.xml", NULL), ERR_NOT_FOUND);
    begin_work(t, &w, write_form(t, visit_form), NULL); /* the published one, from a file */
    assert_true(w.from_file && w.notes.count == 0);
    work_close(&w);
}

static void a_version_that_the_centre_does_not_know_is_not_begun_with(void **state)
{
    struct device_test *t = *state;
    struct work w;
    device_enrol(t);
    feed_published(t, 2, "form", "visit", "1", str_of(visit_form), "", true);
    FAILS(open_work_in(t, t->store, &w, write_form(t, second_version), NULL), ERR_STATE);
    begin_work(t, &w, write_form(t, bare_form), NULL); /* known in no version: it waits there */
    assert_true(notes_say(&w, "does not know this form"));
    work_close(&w);
}

/* ---- lists ---- */

static uint32_t places_offered(struct device_test *t, struct work *w)
{
    struct place p;
    struct choice_view *choices;
    uint32_t count = 0, total = 0;
    OK(session_place(w->session, STR("/data/place"), &p, &t->d));
    OK(session_choices(w->session, p, 0, 100, &t->a, &choices, &count, &total, &t->d));
    return total;
}

static void lists_come_from_where_the_form_comes_from(void **state)
{
    struct device_test *t = *state;
    struct work w;
    device_enrol(t);
    OK(t->seam->file_write(t->seam->self, "places.csv", STR("name,label\na,A\n"), false, &t->d));
    feed_published(t, 2, "form", "listed", "1", str_of(list_form), "", true);
    begin_work(t, &w, "listed", NULL);
    assert_int_equal(places_offered(t, &w),
                     0); /* a file that happens to lie about is not the centre's list */
    work_close(&w);
    feed_published(t, 3, "list", "places.csv", "1", STR("name,label\na,A\nb,B\n"), "", true);
    begin_work(t, &w, "listed", NULL);
    assert_int_equal(places_offered(t, &w), 2);
    work_close(&w);
    feed_published(t, 4, "list", "places.csv", "2", STR("name,label\na,A\nb,B\nc,C\n"), "", false);
    begin_work(t, &w, "listed", NULL);
    assert_int_equal(places_offered(t, &w), 2);
    assert_true(notes_say(&w, "newer list places.csv"));
    work_close(&w);
    OK(t->seam->file_write(t->seam->self, "listed.xml", str_of(list_form), false, &t->d));
    begin_work(t, &w, "listed.xml", NULL);
    assert_int_equal(places_offered(t, &w), 1); /* beside the file */
    work_close(&w);
}

/* ---- rules ---- */

static struct str example(struct device_test *t, const char *name)
{
    char path[600];
    struct buf b;
    snprintf(path, sizeof path, "%s/examples/%s", DS_SOURCE_DIR, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    buf_init(&b, 8u << 20);
    for (int c = getc(f); c != EOF; c = getc(f))
        buf_put_char(&b, (char)c);
    fclose(f);
    struct str text = arena_str(&t->a, buf_str(&b));
    buf_free(&b);
    return text;
}

static void a_pack_that_cannot_be_used_keeps_nobody_from_interviewing(void **state)
{
    struct device_test *t = *state;
    struct work w;
    device_enrol(t);
    feed_published(t, 2, "form", "household_monitoring", "2026.1", example(t, "monitoring.xform.xml"), "",
                   true);
    begin_work(t, &w, "household_monitoring", NULL);
    assert_null(w.pack);
    work_close(&w);
    feed_published(t, 3, "pack", "cn", "1", example(t, "pack.cn.json"), "", true);
    feed_published(t, 4, "pack", "cn", "2", STR("{\"pack\": what}"), "", true);
    begin_work(t, &w, "household_monitoring", NULL);
    assert_non_null(w.pack);
    assert_true(notes_say(&w, "cn 2 cannot be used"));
    work_close(&w);
    begin_work(t, &w, write_form(t, bare_form), NULL); /* the pack is for another form */
    assert_null(w.pack);
    work_close(&w);
}

/* ---- judging at the door ---- */

static const char alert_pack[] =
    "{\"format\":1,\"id\":\"p\",\"version\":\"1\",\"title\":{\"zh\":\"试\",\"en\":\"Test\"},"
    "\"forms\":[\"visit\"],\"valid\":{\"from\":\"2000-01-01\",\"to\":\"2099-12-31\"},"
    "\"inputs\":{\"wage\":{\"path\":\"/data/wage\",\"type\":\"money\",\"zh\":\"工资\",\"en\":\"wage\"}},"
    "\"params\":{},\"checks\":[{\"id\":\"URG\",\"severity\":\"red\",\"urgent\":true,"
    "\"name\":{\"zh\":\"急\",\"en\":\"Urgent\"},"
    "\"when\":\"$wage < 10\",\"text\":{\"zh\":\"工资{wage}\",\"en\":\"Wage {wage}\"},"
    "\"follow\":{\"zh\":\"看\",\"en\":\"Look.\"},\"source\":\"design\"},"
    "{\"id\":\"LOW\",\"severity\":\"red\",\"name\":{\"zh\":\"低\",\"en\":\"Low\"},"
    "\"when\":\"$wage < 100\",\"text\":{\"zh\":\"低\",\"en\":\"Low\"},"
    "\"follow\":{\"zh\":\"看\",\"en\":\"Look.\"},\"source\":\"design\"}]}";

static void only_what_is_urgent_is_told_before_the_finish(void **state)
{
    struct device_test *t = *state;
    struct work w;
    struct work_result r;
    OK(t->seam->file_write(t->seam->self, "/pack.json", str_of(alert_pack), false, &t->d));
    const struct work_options o = {.store = t->store,
                                   .seam = t->seam,
                                   .form = write_form(t, visit_form),
                                   .pack = "/pack.json"};
    OK(work_open(&w, &o, &t->d));
    say(t, &w, "/data/name", "A");
    assert_int_equal(w.alerts.count, 0); /* nothing is known yet */
    say(t, &w, "/data/wage", "50");
    assert_int_equal(w.alerts.count, 0); /* LOW holds, and waits */
    say(t, &w, "/data/wage", "5");
    assert_int_equal(w.alerts.count, 1);
    assert_true(str_eq_z(w.alerts.at[0].rule, "URG") && str_starts(w.alerts.at[0].en, STR("Wage 5")));
    say(t, &w, "/data/wage", "500");
    say(t, &w, "/data/wage", "4");
    assert_int_equal(w.alerts.count, 1); /* told once */
    OK(work_finish(&w, &t->a, STR("fine"), &r, &t->d));
    assert_true(r.judged && r.judgement.count == 2);
    work_close(&w);
}

/* ---- finishing ---- */

static void a_finish_that_met_a_full_card_is_tried_again(void **state)
{
    struct device_test *t = *state;
    struct work w;
    struct work_result r;
    device_enrol(t);
    begin_work(t, &w, write_form(t, visit_form), NULL);
    say(t, &w, "/data/name", "A");
    sim_disk_limit(t->machine, sim_disk_used(t->machine));
    FAILS(work_finish(&w, &t->a, STR(""), &r, &t->d), ERR_FULL);
    FAILS(work_finish(&w, &t->a, STR(""), &r, &t->d), ERR_FULL);
    assert_int_equal(status_now(t).drafts, 1);
    sim_disk_limit(t->machine, 64u << 20);
    finish_work(t, &w);
    assert_int_equal(status_now(t).drafts, 0);
    struct cut_frame f = cut_one_frame(t);
    assert_int_equal(count_op(&f, CHANGE_FINALISE), 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_draft_goes_on_with_the_version_it_was_begun_with),
        CASE(a_draft_outlives_the_file_of_its_form),
        CASE(a_form_is_a_file_or_an_id),
        CASE(a_version_that_the_centre_does_not_know_is_not_begun_with),
        CASE(lists_come_from_where_the_form_comes_from),
        CASE(a_pack_that_cannot_be_used_keeps_nobody_from_interviewing),
        CASE(only_what_is_urgent_is_told_before_the_finish),
        CASE(a_finish_that_met_a_full_card_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
