/* The store's verbs, whatever lies beneath them: with DOORSTEP_TEST_STORE the same cases run on a county in
 * PostgreSQL. Two connections, `a` and `b`, stand for two programs.
 */
#include "tests/support/centre.h"

#include <pthread.h>

#include "server/transport.h"

struct pair {
    struct world *w;
    struct cstore *a, *b;
};

static struct pair pair_open(struct world *w)
{
    struct pair p = {.w = w};
    OK(centre_store_open(w->seam, CENTRE_DIR, &p.a, &w->d));
    OK(centre_store_open(w->seam, CENTRE_DIR, &p.b, &w->d));
    return p;
}

static void pair_close(struct pair *p)
{
    cstore_close(p->a);
    cstore_close(p->b);
}

static struct row_id row_at(uint64_t device, uint32_t counter)
{
    return (struct row_id){device, 1, counter};
}

static struct counters counters_of(struct world *w, struct cstore *s)
{
    struct counters now;
    OK(cstore_county(s, NULL, NULL, NULL, &now, &w->d));
    return now;
}

#define BIG UINT64_C(0xfedcba9876543210) /* negative where 64-bit ids are signed */

/* ---- transactions ---- */

static void what_is_rolled_back_was_never_there(void **state)
{
    struct world *w = *state;
    struct pair p = pair_open(w);
    struct person who;
    uint64_t before = counters_of(w, p.a).server_seq;
    OK(cstore_begin(p.a, &w->d));
    cstore_counters(p.a)->server_seq += 5;
    OK(people_take(p.a, STR("Li"), ROLE_CADRE, STR("99"), 1, &who, &w->d));
    assert_int_equal(cstore_person_find(p.b, &w->a, STR("Li"), ROLE_CADRE, STR("99"), &who, NULL),
                     ERR_NOT_FOUND);
    cstore_rollback(p.a);
    assert_int_equal(cstore_person_find(p.a, &w->a, STR("Li"), ROLE_CADRE, STR("99"), &who, NULL),
                     ERR_NOT_FOUND);
    assert_true(counters_of(w, p.b).server_seq == before);
    OK(cstore_begin(p.a, &w->d));
    cstore_counters(p.a)->server_seq += 5;
    OK(cstore_commit(p.a, &w->d));
    cstore_rollback(p.a); /* does nothing any more */
    assert_true(counters_of(w, p.b).server_seq == before + 5);
    pair_close(&p);
}

struct turn {
    struct cstore *s;
    enum err rc;
    uint64_t first, last;
};

#define TURNS 20

static void *take_turns(void *self)
{
    struct turn *t = self;
    for (int i = 0; i < TURNS && !t->rc; i++) {
        t->rc = cstore_begin(t->s, NULL);
        if (!t->rc) {
            t->last = ++cstore_counters(t->s)->server_seq;
            t->first = t->first ? t->first : t->last;
            t->rc = cstore_commit(t->s, NULL);
        }
        cstore_rollback(t->s);
    }
    return NULL;
}

static void two_writers_take_turns_and_no_number_is_given_twice(void **state)
{
    struct world *w = *state;
    struct pair p = pair_open(w);
    struct turn one = {.s = p.a}, two = {.s = p.b};
    uint64_t before = counters_of(w, p.a).server_seq;
    pthread_t thread;
    if (!getenv("DOORSTEP_TEST_STORE")) { /* the simulated disk belongs to one thread */
        (void)take_turns(&one);
        (void)take_turns(&two);
    } else {
        assert_int_equal(pthread_create(&thread, NULL, take_turns, &one), 0);
        (void)take_turns(&two);
        pthread_join(thread, NULL);
    }
    assert_int_equal(one.rc, ERR_OK);
    assert_int_equal(two.rc, ERR_OK);
    assert_true(counters_of(w, p.a).server_seq == before + 2 * TURNS);
    pair_close(&p);
}

/* ---- the county ---- */

static void epochs_know_how_far_they_agree(void **state)
{
    struct world *w = *state;
    struct pair p = pair_open(w);
    uint64_t base = 0;
    uint32_t first = counters_of(w, p.a).epoch;
    OK(cstore_epoch_base(p.a, first, EPOCH_TODAY, &base, &w->d));
    assert_true(base == UINT64_MAX);
    OK(cstore_begin(p.a, &w->d));
    cstore_counters(p.a)->server_seq = 40;
    OK(cstore_epoch_begin(p.a, first + 1, 30, 1, STR("why"), &w->d));
    OK(cstore_epoch_begin(p.a, first + 2, 20, 2, STR("why"), &w->d));
    OK(cstore_commit(p.a, &w->d));
    OK(cstore_epoch_base(p.b, first, EPOCH_TODAY, &base, &w->d));
    assert_true(base == 20);
    OK(cstore_epoch_base(p.b, first, first + 1, &base, &w->d));
    assert_true(base == 30);
    assert_int_equal(counters_of(w, p.b).epoch, first + 2);
    pair_close(&p);
}

static void device_put(struct world *w, struct cstore *s, uint64_t device, int64_t enrolled_ms)
{
    struct device_row v = {.device = device,
                           .inc = 1,
                           .person = 1,
                           .model = STR("手持机"),
                           .enrolled_ms = enrolled_ms,
                           .cursor = UINT64_C(1) << 63};
    memset(v.sign_public, 4, sizeof v.sign_public);
    OK(cstore_device_put(s, &v, &w->d));
}

static void handhelds_are_kept_and_changed(void **state)
{
    struct world *w = *state;
    struct pair p = pair_open(w);
    struct device_row *list = NULL, one;
    uint32_t count = 0;
    OK(cstore_begin(p.a, &w->d));
    device_put(w, p.a, BIG, 300);
    device_put(w, p.a, 7, 100);
    device_put(w, p.a, 8, 100);
    device_put(w, p.a, 7, 200);
    OK(cstore_commit(p.a, &w->d));
    OK(cstore_devices(p.b, &w->a, &list, &count, &w->d));
    assert_int_equal(count, 3);
    assert_true(list[0].device == 8 && list[1].device == 7 && list[2].device == BIG);
    OK(cstore_device(p.b, &w->a, BIG, 1, &one, &w->d));
    assert_true(one.cursor == UINT64_C(1) << 63 && str_eq_z(one.model, "手持机") && one.version.n == 0);
    assert_int_equal(cstore_device(p.b, &w->a, BIG, 2, &one, NULL), ERR_NOT_FOUND);
    pair_close(&p);
}

static void a_text_is_utf8_without_nul_or_nothing_is_kept(void **state)
{
    struct world *w = *state;
    struct pair p = pair_open(w);
    struct person who = {.person = 900, .role = ROLE_CADRE, .area = STR("99")};
    static const char bad[][4] = {"a\0b", "\xff\xfe", "\xe4\xb8"};
    static const size_t size[] = {3, 2, 2};
    for (int i = 0; i < 3; i++) {
        who.name = (struct str){bad[i], size[i]};
        OK(cstore_begin(p.a, &w->d));
        assert_int_equal(cstore_person_put(p.a, &who, 1, NULL), ERR_SYNTAX);
        cstore_rollback(p.a);
        assert_int_equal(cstore_person(p.a, &w->a, 900, &who, NULL), ERR_NOT_FOUND);
    }
    pair_close(&p);
}

/* ---- the ledger ---- */

static struct batch_row batch_of(uint64_t device, uint64_t number, uint32_t copy, const char *frame, size_t n)
{
    struct batch_row b = {.device = device,
                          .inc = 1,
                          .batch_seq = number,
                          .copy = copy,
                          .frame = {frame, n},
                          .payload = STR("opened"),
                          .status = RECEIPT_STORED,
                          .reason = STR(""),
                          .receipt = STR("signed"),
                          .epoch = 1,
                          .server_seq = number * 10,
                          .received_ms = 5};
    memset(b.batch_id, (int)(number * 16 + copy), sizeof b.batch_id);
    return b;
}

static void frames_are_kept_by_number_and_beside_each_other(void **state)
{
    struct world *w = *state;
    struct pair p = pair_open(w);
    static char frame[1u << 20];
    struct batch_row b, got, *list = NULL;
    uint32_t count = 0;
    uint64_t bytes = 0;
    unsigned char prev[8];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (char)(i * 7);
    OK(cstore_begin(p.a, &w->d));
    for (uint64_t n = 3; n >= 1; n--) {
        b = batch_of(BIG, n, 0, frame, sizeof frame);
        OK(cstore_batch_put(p.a, &b, &w->d));
    }
    for (uint32_t i = 0; i < 2; i++) {
        b = batch_of(BIG, 2, 1, frame, 100 + i);
        b.batch_id[0] = (unsigned char)i;
        b.status = RECEIPT_QUARANTINED;
        b.server_seq = 0;
        b.payload = STR("");
        OK(cstore_batch_put(p.a, &b, &w->d));
    }
    OK(cstore_batch_again(p.a, BIG, 1, 3, &w->d));
    OK(cstore_commit(p.a, &w->d));

    OK(cstore_batch_whole(p.b, &w->a, BIG, 1, 2, 0, &got, &w->d));
    assert_int_equal(got.frame.n, sizeof frame);
    assert_memory_equal(got.frame.p, frame, sizeof frame);
    assert_true(str_eq_z(got.payload, "opened") && str_eq_z(got.receipt, "signed"));
    OK(cstore_batch_whole(p.b, &w->a, BIG, 1, 2, 2, &got, &w->d)); /* the second copy got the next number */
    assert_int_equal(got.frame.n, 101);
    OK(cstore_batches(p.b, &w->a, BIG, 1, 1, 10, &list, &count, &w->d));
    assert_int_equal(count, 2);
    assert_true(list[0].batch_seq == 2 && list[1].batch_seq == 3 && list[0].copy == 0);
    OK(cstore_applied(p.b, &w->a, 10, 1, &list, &count, &w->d));
    assert_true(count == 1 && list[0].server_seq == 20);
    OK(cstore_apart_bytes(p.b, BIG, &bytes, &w->d));
    assert_int_equal(bytes, 201);
    OK(cstore_batch_prev(p.b, BIG, 1, 3, prev, &w->d));
    assert_memory_equal(prev, frame + 44, 8);
    assert_int_equal(cstore_batch(p.b, &w->a, BIG, 1, 4, &got, NULL), ERR_NOT_FOUND);
    memset(b.batch_id, 2 * 16 + 1, sizeof b.batch_id);
    b.batch_id[0] = 1;
    OK(cstore_batch_beside(p.b, &w->a, BIG, 1, 2, b.batch_id, &got, &w->d));
    assert_int_equal(got.copy, 2);
    pair_close(&p);
}

/* A number that is taken is noticed at the latest by the commit, and nothing of the transaction stays. */
static void a_second_frame_of_one_number_undoes_everything(void **state)
{
    struct world *w = *state;
    struct pair p = pair_open(w);
    struct batch_row b = batch_of(5, 1, 0, "frame", 5), got;
    OK(cstore_begin(p.a, &w->d));
    OK(cstore_batch_put(p.a, &b, &w->d));
    OK(cstore_commit(p.a, &w->d));
    OK(cstore_begin(p.a, &w->d));
    device_put(w, p.a, 77, 1);
    enum err rc = cstore_batch_put(p.a, &b, NULL);
    if (!rc)
        rc = cstore_commit(p.a, NULL);
    assert_int_equal(rc, ERR_EXISTS);
    cstore_rollback(p.a);
    struct device_row v;
    assert_int_equal(cstore_device(p.b, &w->a, 77, 1, &v, NULL), ERR_NOT_FOUND);
    OK(cstore_batch(p.a, &w->a, 5, 1, 1, &got, &w->d)); /* the connection goes on */
    pair_close(&p);
}

/* ---- records and touches ---- */

static void record_put(struct world *w, struct cstore *s, struct row_id row, uint64_t number, int kind,
                       struct row_id household, const char *area, const char *code)
{
    struct record_row r = {.row = row,
                           .number = number,
                           .kind = kind,
                           .household = household,
                           .parent = household,
                           .last_seq = number,
                           .conflicts = number % 2 ? 0 : 1,
                           .deleted_seq = number > 6 ? number : 0,
                           .packed = STR("p")};
    r.area = area ? str_of(area) : STR_NONE;
    r.code = code ? str_of(code) : STR_NONE;
    OK(cstore_record_put(s, &r, &w->d));
}

static void records_are_found_by_what_they_are(void **state)
{
    struct world *w = *state;
    struct pair p = pair_open(w);
    struct record_row one, *list = NULL;
    struct row_id none = {0}, home = row_at(BIG, 1), found;
    uint32_t count = 0;
    OK(cstore_begin(p.a, &w->d));
    record_put(w, p.a, home, 1, ROW_HOUSEHOLD, none, "99", "H1");
    for (uint32_t i = 2; i <= 8; i++)
        record_put(w, p.a, row_at(i % 3 ? 5 : BIG, i), i, i % 2 ? ROW_VISIT : ROW_FINDING, home,
                   i == 2 ? NULL : "", i == 3 ? "red" : NULL);
    record_put(w, p.a, row_at(5, 2), 2, ROW_FINDING, home, "99", "blue"); /* another time: the same number */
    OK(cstore_commit(p.a, &w->d));

    OK(cstore_record(p.b, &w->a, row_at(5, 4), &one, &w->d));
    assert_true(one.number == 4 && one.area.p && one.area.n == 0 && !one.code.p);
    OK(cstore_record(p.b, &w->a, row_at(5, 2), &one, &w->d));
    assert_true(str_eq_z(one.code, "blue") && row_id_same(one.parent, home));
    OK(cstore_record_of_number(p.b, 6, &found, &w->d));
    assert_true(row_id_same(found, row_at(BIG, 6)));
    assert_int_equal(cstore_record_of_number(p.b, 99, &found, NULL), ERR_NOT_FOUND);
    OK(cstore_records(p.b, &w->a, RECORDS_OF_HOUSEHOLD, home, 0, 2, 3, &list, &count, &w->d));
    assert_true(count == 3 && list[0].number == 3 && list[2].number == 5);
    OK(cstore_records(p.b, &w->a, RECORDS_OF_PARENT, home, ROW_VISIT, 3, 9, &list, &count, &w->d));
    assert_true(count == 2 && list[0].number == 5 && list[1].number == 7);
    OK(cstore_records(p.b, &w->a, RECORDS_OF_KIND, none, ROW_FINDING, 0, 9, &list, &count, &w->d));
    assert_int_equal(count, 4);
    OK(cstore_records(p.b, &w->a, RECORDS_IN_CONFLICT, none, 0, 0, 9, &list, &count, &w->d));
    assert_true(count == 4 && list[0].number == 2);
    OK(cstore_tombstones(p.b, &w->a, 7, 9, &list, &count, &w->d));
    assert_true(count == 1 && list[0].number == 7);
    OK(cstore_records_coded(p.b, &w->a, ROW_HOUSEHOLD, STR("H1"), &list, &count, &w->d));
    assert_int_equal(count, 1);
    /* by row id, byte by byte: a device of the highest numbers comes last */
    OK(cstore_records_all(p.b, &w->a, none, 100, &list, &count, &w->d));
    assert_int_equal(count, 8);
    assert_true(row_id_same(list[0].row, row_at(5, 2)) && row_id_same(list[7].row, row_at(BIG, 6)));
    OK(cstore_records_all(p.b, &w->a, list[4].row, 2, &list, &count, &w->d));
    assert_true(count == 2 && list[0].row.device == BIG);
    pair_close(&p);
}

static void touch_of(struct world *w, struct cstore *s, uint64_t seq, uint64_t from, struct row_id row)
{
    OK(cstore_touch_put(s, &(struct touch){.seq = seq, .from = from, .row = row}, &w->d));
}

static void a_village_walks_its_own_changes_in_order(void **state)
{
    struct world *w = *state;
    struct pair p = pair_open(w);
    struct row_id none = {0};
    struct touch *list = NULL;
    uint32_t count = 0;
    OK(cstore_begin(p.a, &w->d));
    record_put(w, p.a, row_at(BIG, 1), 1, ROW_HOUSEHOLD, none, "9901", NULL);
    record_put(w, p.a, row_at(5, 2), 2, ROW_HOUSEHOLD, none, "9902", NULL);
    record_put(w, p.a, row_at(6, 3), 3, ROW_HOUSEHOLD, none, "99011", NULL);
    record_put(w, p.a, row_at(6, 4), 4, ROW_PUBLISHED, none, NULL, NULL);
    record_put(w, p.a, row_at(5, 5), 5, ROW_HOUSEHOLD, none, NULL, NULL);
    touch_of(w, p.a, 10, 10, row_at(BIG, 1));
    touch_of(w, p.a, 10, 9, row_at(6, 3));
    touch_of(w, p.a, 10, 3, row_at(6, 3)); /* the earlier beginning holds */
    touch_of(w, p.a, 10, 7, row_at(6, 3));
    touch_of(w, p.a, 11, 11, row_at(5, 2));
    touch_of(w, p.a, 12, 12, row_at(6, 4));
    touch_of(w, p.a, 13, 13, row_at(5, 5));
    OK(cstore_commit(p.a, &w->d));
    OK(cstore_touches(p.b, &w->a, 0, none, 1, STR("9901"), 9, &list, &count, &w->d));
    assert_int_equal(count, 3);
    assert_true(list[0].row.device == 6 && list[0].from == 3 && list[1].row.device == BIG &&
                list[2].seq == 12);
    OK(cstore_touches(p.b, &w->a, 10, row_at(6, 3), 1, STR("9901"), 1, &list, &count, &w->d));
    assert_true(count == 1 && list[0].row.device == BIG);
    OK(cstore_touches(p.b, &w->a, 10, row_at(BIG, 9), 5, STR("98"), 9, &list, &count, &w->d));
    assert_true(count == 3 && list[0].seq == 11 && list[1].seq == 12 && list[2].seq == 13); /* its own too */

    /* it moves to another village: its touches go with it */
    OK(cstore_begin(p.a, &w->d));
    record_put(w, p.a, row_at(BIG, 1), 1, ROW_HOUSEHOLD, none, "9902", NULL);
    OK(cstore_touch_drop(p.a, &(struct touch){.seq = 10, .row = row_at(6, 3)}, &w->d));
    OK(cstore_commit(p.a, &w->d));
    OK(cstore_touches(p.b, &w->a, 0, none, 1, STR("9901"), 9, &list, &count, &w->d));
    assert_true(count == 1 && list[0].seq == 12);
    OK(cstore_touches_of(p.b, &w->a, row_at(BIG, 1), &list, &count, &w->d));
    assert_true(count == 1 && list[0].from == 10);
    pair_close(&p);
}

static void whoever_sees_very_many_villages_walks_them_all_once(void **state)
{
    struct world *w = *state;
    struct pair p = pair_open(w);
    struct touch *list = NULL;
    uint32_t count = 0, seen = 0;
    uint64_t seq = 0;
    struct row_id at = {0};
    OK(cstore_begin(p.a, &w->d));
    for (uint32_t i = 1; i <= 90; i++) {
        char area[16];
        (void)snprintf(area, sizeof area, "99%03u", i);
        record_put(w, p.a, row_at(i, i), i, ROW_HOUSEHOLD, (struct row_id){0}, area, NULL);
        touch_of(w, p.a, 100 + i / 2, 1, row_at(i, i));
    }
    OK(cstore_commit(p.a, &w->d));
    do {
        OK(cstore_touches(p.b, &w->a, seq, at, 1, STR("99"), 7, &list, &count, &w->d));
        for (uint32_t i = 0; i < count; i++, seen++)
            assert_true(list[i].row.counter == seen + 1);
        if (count) {
            seq = list[count - 1].seq;
            at = list[count - 1].row;
        }
    } while (count);
    assert_int_equal(seen, 90);
    pair_close(&p);
}

/* ---- what is published, and what arrives ---- */

static void field_numbers_are_given_once(void **state)
{
    struct world *w = *state;
    struct pair p = pair_open(w);
    uint32_t name = 0, wage = 0, again = 0, kept = 0, repeat = 0;
    struct str path;
    const struct str id = STR("f");
    OK(cstore_begin(p.a, &w->d));
    OK(cstore_field_number(p.a, id, false, STR("/f/name"), 1, POLICY_KEEP, &name, &w->d));
    OK(cstore_field_number(p.a, id, false, STR("/f/wage"), 2, POLICY_KEEP, &wage, &w->d));
    OK(cstore_field_number(p.a, id, false, STR("/f/name"), 1, POLICY_KEEP, &again, &w->d));
    OK(cstore_field_number(p.a, id, false, STR("/f/name"), 1, POLICY_IMMUTABLE, &kept, &w->d));
    OK(cstore_field_number(p.a, id, true, STR("/f/m"), 0, POLICY_KEEP, &repeat, &w->d));
    OK(cstore_commit(p.a, &w->d));
    assert_true(name == again && wage == name + 1 && kept != name && repeat == 1);
    OK(cstore_field_path(p.b, &w->a, id, wage, &path, &w->d));
    assert_true(str_eq_z(path, "/f/wage"));
    assert_int_equal(cstore_field_path(p.b, &w->a, id, 999, &path, NULL), ERR_NOT_FOUND);
    pair_close(&p);
}

static void submission_put(struct world *w, struct cstore *s, struct row_id visit, int64_t at_ms,
                           bool matches)
{
    struct submission_row r = {.visit = visit,
                               .form_id = STR("f"),
                               .instance_id = STR("uuid:1"),
                               .xml = STR("<f/>"),
                               .xml_matches = matches,
                               .device = BIG,
                               .inc = 1,
                               .person = 1,
                               .final_seq = 3,
                               .received_ms = at_ms};
    OK(cstore_submission_put(s, &r, &w->d));
}

static void submissions_are_walked_newest_first(void **state)
{
    struct world *w = *state;
    struct pair p = pair_open(w);
    struct submission_row *list = NULL, last;
    uint32_t count = 0, seen = 0;
    struct centre_counts counts;
    OK(cstore_begin(p.a, &w->d));
    for (uint32_t i = 1; i <= 5; i++) /* three of them in one millisecond */
        submission_put(w, p.a, row_at(i == 3 ? BIG : 5, i), i < 4 ? 100 : 200, i != 4);
    OK(cstore_judged_put(p.a, &(struct judged_row){.visit = row_at(5, 1), .verdict = JUDGED_SAME, .at_ms = 1},
                         &w->d));
    OK(cstore_commit(p.a, &w->d));
    OK(cstore_submissions(p.b, &w->a, STR("f"), NULL, 2, &list, &count, &w->d));
    assert_true(count == 2 && list[0].visit.counter == 5 && list[1].visit.counter == 4);
    for (;;) {
        last = list[count - 1];
        seen += count;
        OK(cstore_submissions(p.b, &w->a, STR("f"), &last, 2, &list, &count, &w->d));
        if (!count)
            break;
        if (seen == 2)
            assert_true(list[0].visit.device == BIG);
    }
    assert_int_equal(seen, 5);
    assert_true(last.visit.counter == 1 && str_eq_z(last.xml, "<f/>") && last.device == BIG);
    OK(cstore_counts(p.b, &counts, &w->d));
    assert_true(counts.submissions == 5 && counts.submissions_differing == 1 && counts.judged_same == 1 &&
                counts.judged_not == 0);
    pair_close(&p);
}

static void what_comes_in_pieces_is_put_together(void **state)
{
    struct world *w = *state;
    struct pair p = pair_open(w);
    struct upload_row u = {.device = BIG, .inc = 1, .total = 6, .touched_ms = 9}, got;
    struct upload_usage use;
    struct str bytes;
    memset(u.id, 3, sizeof u.id);
    OK(cstore_begin(p.a, &w->d));
    OK(cstore_upload_append(p.a, &u, STR("abc"), &w->d));
    OK(cstore_upload_append(p.a, &u, STR("def"), &w->d));
    OK(cstore_commit(p.a, &w->d));
    OK(cstore_upload_bytes(p.b, &w->a, &u, &bytes, &w->d));
    assert_true(str_eq_z(bytes, "abcdef"));
    OK(cstore_upload_usage(p.b, BIG, 1, &use, &w->d));
    assert_true(use.count == 1 && use.bytes == 6 && use.count_all == 1 && use.bytes_all == 6);
    OK(cstore_upload_usage(p.b, 1, 1, &use, &w->d));
    assert_true(use.count == 0 && use.bytes == 0 && use.count_all == 1);
    OK(cstore_upload_oldest(p.b, 0, 0, &got, &w->d));
    assert_true(got.have == 6 && got.device == BIG);
    OK(cstore_begin(p.b, &w->d));
    OK(cstore_upload_drop(p.b, &u, &w->d));
    OK(cstore_commit(p.b, &w->d));
    assert_int_equal(cstore_upload(p.a, BIG, 1, u.id, &got, NULL), ERR_NOT_FOUND);
    pair_close(&p);
}

/* ---- the whole ---- */

#define HOUSEHOLDS 100 /* several pages of every table */

static void households_deliver(struct world *w, struct handheld *h)
{
    struct change changes[3 * HOUSEHOLDS];
    uint32_t n = 0;
    for (int i = 0; i < HOUSEHOLDS; i++) {
        struct row_id row = row_new(h);
        changes[n++] = birth_of(w, h, row, &(struct row_birth){.kind = ROW_HOUSEHOLD});
        changes[n++] = change_of(w, h, row, HOUSEHOLD_NAME, CHANGE_SET, STR("李"));
        changes[n++] = change_of(w, h, row, HOUSEHOLD_AREA, CHANGE_SET, STR("9901"));
    }
    (void)delivered(w, h, frame_of(w, h, changes, n));
}

static void a_backup_is_the_same_county(void **state)
{
    struct world *w = *state;
    struct pair p = pair_open(w);
    struct cstore *copy = NULL;
    struct batch_row got;
    unsigned char here[SHA256_SIZE], there[SHA256_SIZE];
    uint64_t rows = 0;
    struct handheld h = enrolled(w, "王芳", "9901");
    for (int i = 0; i < 40; i++)
        households_deliver(w, &h);
    OK(cstore_check(p.a, &w->d));
    OK(centre_backup(w->seam, CENTRE_DIR, p.a, "/backup", &w->d));
    assert_int_equal(centre_backup(w->seam, CENTRE_DIR, p.a, "/backup", NULL), ERR_EXISTS);
    OK(centre_store_open(w->seam, "/backup", &copy, &w->d));
    OK(centre_state_hash(p.a, here, &rows, &w->d));
    assert_int_equal(rows, 40 * HOUSEHOLDS);
    OK(centre_state_hash(copy, there, &rows, &w->d));
    assert_memory_equal(here, there, sizeof here);
    OK(cstore_batch_whole(copy, &w->a, h.device, h.inc, 33, 0, &got, &w->d));
    assert_true(got.frame.n > 0 && got.server_seq > 0);
    assert_true(counters_of(w, copy).row_number == counters_of(w, p.a).row_number);
    cstore_close(copy);
    pair_close(&p);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_rolled_back_was_never_there),
        CASE(two_writers_take_turns_and_no_number_is_given_twice),
        CASE(epochs_know_how_far_they_agree),
        CASE(handhelds_are_kept_and_changed),
        CASE(a_text_is_utf8_without_nul_or_nothing_is_kept),
        CASE(frames_are_kept_by_number_and_beside_each_other),
        CASE(a_second_frame_of_one_number_undoes_everything),
        CASE(records_are_found_by_what_they_are),
        CASE(a_village_walks_its_own_changes_in_order),
        CASE(whoever_sees_very_many_villages_walks_them_all_once),
        CASE(field_numbers_are_given_once),
        CASE(submissions_are_walked_newest_first),
        CASE(what_comes_in_pieces_is_put_together),
        CASE(a_backup_is_the_same_county),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
