/* Photos on the handheld: kept sealed, linked when a visit is finalised, cut into parts one by one, gone only
 * after receipts and time.
 */
#include "agent/attach.h"
#include "tests/support/device.h"

static struct str photo(struct device_test *t, size_t n)
{
    char *p = arena_alloc(&t->a, n + 1);
    assert_non_null(p);
    OK(t->seam->random(t->seam->self, p, n));
    return (struct str){p, n};
}

static struct str attached(struct device_test *t, struct str bytes, const char *file)
{
    char name[ATTACH_NAME_MAX];
    OK(attach_put(t->store, str_of(file), bytes, name, &t->d));
    return arena_str(&t->a, str_of(name));
}

/* A finished visit whose answer to `name` is the file's name. */
static void visit_with(struct device_test *t, struct str name)
{
    struct work w;
    begin_work(t, &w, write_form(t, visit_form), NULL);
    say(t, &w, "/data/name", arena_z(&t->a, name));
    finish_work(t, &w);
}

struct cut_part {
    uint64_t number;
    unsigned char id[BATCH_ID_SIZE];
    struct str frame;
    struct part part;
};

static bool next_part(struct device_test *t, uint64_t after, struct cut_part *out)
{
    struct buf b, plain;
    struct frame f;
    size_t size;
    bool any = false;
    buf_init(&b, FRAME_SIZE_MAX);
    OK(attach_part_next(t->store, after, &out->number, &b, &any, &t->d));
    out->frame = arena_str(&t->a, buf_str(&b));
    buf_free(&b);
    if (!any)
        return false;
    OK(frame_parse(out->frame, &f, &size, &t->d));
    OK(frame_verify(&f, store_identity(t->store)->sign.public, &t->d));
    assert_int_equal(f.type, FRAME_OBJECT);
    memcpy(out->id, f.batch_id, BATCH_ID_SIZE);
    buf_init(&plain, f.raw_size);
    OK(frame_open(&f, &t->centre_seal, &plain, &t->d));
    OK(part_read(&t->a, arena_str(&t->a, buf_str(&plain)), &out->part, &t->d));
    buf_free(&plain);
    return true;
}

static void receipted(struct device_test *t, const struct cut_part *p, enum receipt_status status)
{
    struct receipt_part item = {.status = status, .reason = STR("set aside")};
    const struct receipt r = {.parts = &item,
                              .part_count = 1,
                              .epoch = t->epoch,
                              .server_time_ms = t->seam->wall_ms(t->seam->self)};
    memcpy(item.batch_id, p->id, BATCH_ID_SIZE);
    OK(attach_receipt(t->store, &r, &t->d));
    OK(anchor_put(t->store, r.server_time_ms, &t->d));
}

static struct attach_status files(struct device_test *t)
{
    struct attach_status s;
    OK(attach_status(t->store, &s, &t->d));
    return s;
}

static void a_photo_lies_sealed_under_a_name_of_its_own(void **state)
{
    struct device_test *t = *state;
    struct str bytes = photo(t, 400000);
    struct buf back;
    struct str name = attached(t, bytes, "/sdcard/IMG 1.JPG");
    assert_true(str_ends(name, STR(".jpg")) && attachment_name_ok(name));
    assert_true(str_eq(attached(t, bytes, "other.jpg"), name)); /* the same photo is one file */
    assert_true(str_ends(attached(t, photo(t, 10), "no extension"), STR(".bin")));
    assert_true(str_ends(attached(t, photo(t, 10), "a.tar/../x"), STR(".bin")));
    device_reopen(t);
    buf_init(&back, ATTACHMENT_SIZE_MAX);
    OK(attach_get(t->store, name, &back, &t->d));
    assert_true(str_eq(buf_str(&back), bytes));
    buf_free(&back);
    assert_int_equal(attach_get(t->store, STR("0.jpg"), &back, &t->d), ERR_NOT_FOUND);
}

static void what_is_too_large_is_refused_with_the_limit(void **state)
{
    struct device_test *t = *state;
    char name[ATTACH_NAME_MAX];
    struct str bytes = photo(t, ATTACHMENT_SIZE_MAX + 1);
    assert_int_equal(attach_put(t->store, STR("a.jpg"), bytes, name, &t->d), ERR_LIMIT);
    assert_non_null(strstr(t->d.text, "16 MiB"));
}

static void nothing_leaves_before_a_visit_is_finalised(void **state)
{
    struct device_test *t = *state;
    struct work w;
    struct cut_part p;
    device_enrol(t);
    struct str name = attached(t, photo(t, 1000), "a.jpg");
    assert_false(next_part(t, 0, &p));
    begin_work(t, &w, write_form(t, visit_form), NULL);
    say(t, &w, "/data/name", arena_z(&t->a, name));
    assert_false(next_part(t, 0, &p));
    assert_int_equal(files(t).waiting, 0);
    finish_work(t, &w);
    assert_int_equal(files(t).waiting, 1);
    assert_true(next_part(t, 0, &p));
}

static void parts_are_cut_one_by_one_and_give_the_file(void **state)
{
    struct device_test *t = *state;
    struct str bytes = photo(t, 2 * PART_SIZE_MAX + 5);
    struct cut_part p[3], none;
    char *whole = arena_alloc(&t->a, bytes.n);
    device_enrol(t);
    visit_with(t, attached(t, bytes, "a.jpg"));
    for (uint64_t i = 0, after = 0; i < 3; after = p[i++].number) {
        assert_true(next_part(t, after, &p[i]));
        assert_int_equal(p[i].part.size, bytes.n);
        assert_int_equal(p[i].part.link_count, i == 0);
        memcpy(whole + p[i].part.at, p[i].part.bytes.p, p[i].part.bytes.n);
    }
    assert_false(next_part(t, p[2].number, &none));
    assert_true(str_eq((struct str){whole, bytes.n}, bytes));
    device_reopen(t); /* the same bytes again, until there is a receipt */
    assert_true(next_part(t, 0, &none));
    assert_true(str_eq(none.frame, p[0].frame));
    receipted(t, &p[0], RECEIPT_STORED);
    receipted(t, &p[2], RECEIPT_STORED);
    assert_int_equal(files(t).waiting, 1);
    assert_true(next_part(t, 0, &none));
    assert_int_equal(none.number, p[1].number);
    receipted(t, &p[1], RECEIPT_STORED);
    assert_int_equal(files(t).waiting, 0);
    assert_int_equal(files(t).delivered, 1);
    assert_false(next_part(t, 0, &none));
}

static void a_file_goes_only_after_receipts_and_time(void **state)
{
    struct device_test *t = *state;
    struct cut_part p;
    struct buf back;
    struct str bytes = photo(t, 1000), loose = photo(t, 900);
    device_enrol(t);
    struct str name = attached(t, bytes, "a.jpg"), unused = attached(t, loose, "b.jpg");
    visit_with(t, name);
    assert_true(next_part(t, 0, &p));
    sim_advance(t->sim, ATTACH_KEEP_MS * 2);
    OK(attach_forget(t->store, &t->d));
    buf_init(&back, ATTACHMENT_SIZE_MAX);
    OK(attach_get(t->store, name, &back, &t->d)); /* no receipt: kept for ever */
    assert_int_equal(attach_get(t->store, unused, &back, &t->d), ERR_NOT_FOUND);
    receipted(t, &p, RECEIPT_STORED);
    OK(attach_forget(t->store, &t->d));
    OK(attach_get(t->store, name, &back, &t->d));
    sim_advance(t->sim, ATTACH_KEEP_MS + 1000);
    OK(attach_forget(t->store, &t->d)); /* a clock of ours that jumps says nothing */
    OK(attach_get(t->store, name, &back, &t->d));
    OK(anchor_put(t->store, t->seam->wall_ms(t->seam->self), &t->d));
    OK(attach_forget(t->store, &t->d));
    assert_int_equal(attach_get(t->store, name, &back, &t->d), ERR_NOT_FOUND);
    buf_free(&back);
}

static void hear_receipt(struct device_test *t)
{
    bool again = false;
    struct step step = {.kind = STEP_RECEIPT};
    step.receipt = (struct receipt){.epoch = t->epoch,
                                    .device = store_identity(t->store)->by.device,
                                    .inc = store_identity(t->store)->by.inc,
                                    .server_time_ms = t->seam->wall_ms(t->seam->self)};
    OK(store_receipt(t->store, &step, &again, &t->d));
}

/* The backup may be older than the photo: its receipt counts no more. */
static void a_centre_that_was_set_back_gets_photos_again(void **state)
{
    struct device_test *t = *state;
    struct cut_part p[3], again[3], none;
    struct str bytes = photo(t, 2 * PART_SIZE_MAX + 5);
    device_enrol(t);
    visit_with(t, attached(t, bytes, "a.jpg"));
    for (uint64_t i = 0, after = 0; i < 3; after = p[i++].number) {
        assert_true(next_part(t, after, &p[i]));
        receipted(t, &p[i], RECEIPT_STORED);
    }
    assert_int_equal(files(t).delivered, 1);
    hear_receipt(t);
    assert_int_equal(files(t).delivered, 1);
    feed_send(t);
    t->epoch = 2;
    feed_send(t);
    assert_int_equal(files(t).waiting, 1);
    for (uint64_t i = 0, after = 0; i < 3; after = again[i++].number) {
        assert_true(next_part(t, after, &again[i]));
        assert_int_equal(again[i].part.at, p[i].part.at);
        assert_int_equal(again[i].part.link_count, p[i].part.link_count);
        t->epoch = 1;
        receipted(t, &p[i], RECEIPT_STORED); /* what an old card still brings */
        t->epoch = 2;
        assert_int_equal(files(t).waiting, 1);
        receipted(t, &again[i], RECEIPT_STORED);
    }
    assert_false(next_part(t, 0, &none));
    assert_int_equal(files(t).delivered, 1);
    hear_receipt(t);
    assert_int_equal(files(t).delivered, 1);
}

static void what_the_centre_set_aside_is_held_and_told(void **state)
{
    struct device_test *t = *state;
    struct cut_part p;
    struct buf back;
    device_enrol(t);
    struct str name = attached(t, photo(t, 1000), "a.jpg");
    visit_with(t, name);
    assert_true(next_part(t, 0, &p));
    receipted(t, &p, RECEIPT_QUARANTINED);
    assert_int_equal(files(t).quarantined, 1);
    assert_int_equal(files(t).delivered, 0);
    sim_advance(t->sim, ATTACH_KEEP_MS * 2);
    OK(attach_forget(t->store, &t->d));
    buf_init(&back, ATTACHMENT_SIZE_MAX);
    OK(attach_get(t->store, name, &back, &t->d));
    buf_free(&back);
}

/* The photo of the last visit, shown and finalised again: its bytes do not travel twice, its new name does.
 */
static void a_later_visit_sends_the_name_alone(void **state)
{
    struct device_test *t = *state;
    struct cut_part p, again;
    device_enrol(t);
    struct str name = attached(t, photo(t, 1000), "a.jpg");
    visit_with(t, name);
    assert_true(next_part(t, 0, &p));
    receipted(t, &p, RECEIPT_STORED);
    sim_advance(t->sim, ATTACH_KEEP_MS + 1000);
    OK(attach_forget(t->store, &t->d));
    visit_with(t, name);
    assert_true(next_part(t, 0, &again));
    assert_int_equal(again.part.bytes.n, 0);
    assert_int_equal(again.part.link_count, 1);
    assert_memory_not_equal(again.part.links[0].visit, p.part.links[0].visit, ROW_ID_SIZE);
    assert_memory_equal(again.part.hash, p.part.hash, SHA256_SIZE);
    receipted(t, &again, RECEIPT_STORED);
    assert_int_equal(files(t).waiting, 0);
}

static void a_photo_taken_before_enrolment_goes_under_the_new_identity(void **state)
{
    struct device_test *t = *state;
    struct cut_part p;
    struct row_id visit;
    visit_with(t, attached(t, photo(t, 1000), "a.jpg"));
    assert_false(next_part(t, 0, &p));
    device_enrol(t);
    assert_true(next_part(t, 0, &p));
    assert_true(row_id_read((struct str){(const char *)p.part.links[0].visit, ROW_ID_SIZE}, &visit));
    assert_true(visit.device == DEVICE_ID && visit.inc == 1);
}

static void an_empty_file_travels_too(void **state)
{
    struct device_test *t = *state;
    struct cut_part p;
    device_enrol(t);
    visit_with(t, attached(t, STR(""), "a.csv"));
    assert_true(next_part(t, 0, &p));
    assert_int_equal(p.part.size, 0);
    receipted(t, &p, RECEIPT_STORED);
    assert_int_equal(files(t).waiting, 0);
    assert_false(next_part(t, 0, &p));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_photo_lies_sealed_under_a_name_of_its_own),
        TEST(what_is_too_large_is_refused_with_the_limit),
        TEST(nothing_leaves_before_a_visit_is_finalised),
        TEST(parts_are_cut_one_by_one_and_give_the_file),
        TEST(a_centre_that_was_set_back_gets_photos_again),
        TEST(a_file_goes_only_after_receipts_and_time),
        TEST(what_the_centre_set_aside_is_held_and_told),
        TEST(a_later_visit_sends_the_name_alone),
        TEST(a_photo_taken_before_enrolment_goes_under_the_new_identity),
        TEST(an_empty_file_travels_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
