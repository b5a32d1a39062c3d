/* What becomes of values that meet, of copied and restored handhelds, and of a centre that was set back:
 * nothing is lost, everything is told, and people decide. */
#include "tests/support/centre.h"
#include "platform/base/json.h"
#include "sync/incarnation.h"

#define AREA "990101001001"

static struct str household_in(struct world *w, struct handheld *h, const char *code, const char *area,
                               struct row_id *row)
{
    const struct row_birth birth = {.kind = ROW_HOUSEHOLD};
    *row = row_new(h);
    const struct change changes[] = {
        birth_of(w, h, *row, &birth),
        change_of(w, h, *row, HOUSEHOLD_CODE, CHANGE_SET, str_of(code)),
        change_of(w, h, *row, HOUSEHOLD_AREA, CHANGE_SET, str_of(area)),
    };
    return frame_of(w, h, changes, 3);
}

static struct str edit(struct world *w, struct handheld *h, struct row_id row, uint32_t field,
                       const char *value)
{
    struct change c = change_of(w, h, row, field, CHANGE_SET, str_of(value));
    return frame_of(w, h, &c, 1);
}

static struct record_row row_of(struct world *w, struct row_id row)
{
    struct desk k = desk_begin(w, NULL);
    struct record_row kept;
    OK(cstore_record(k.st, &w->a, row, &kept, &w->d));
    desk_end(&k);
    return kept;
}

static struct record record_at(struct world *w, struct row_id row)
{
    struct record_row kept = row_of(w, row);
    struct record r;
    OK(record_unpack(&w->a, row, kept.packed, &r, &w->d));
    return r;
}

static struct str value_at(struct world *w, struct row_id row, uint32_t field)
{
    struct record r = record_at(w, row);
    return record_value(&r, field);
}

/* Two people of one area, one household that both know, and a name each. */
struct dispute {
    struct handheld a, b;
    struct row_id row;
};

static struct dispute disputed(struct world *w, uint32_t field)
{
    struct dispute x = {.a = enrolled(w, "王芳", "9901"), .b = enrolled(w, "李强", "9901")};
    (void)delivered(w, &x.a, household_in(w, &x.a, "H1", AREA, &x.row));
    x.a.cursor = x.b.cursor = pulled(w, &x.b, 0, "").head.cursor;
    (void)delivered(w, &x.a, edit(w, &x.a, x.row, field, "田"));
    struct receipt r = delivered(w, &x.b, edit(w, &x.b, x.row, field, "麦"));
    assert_int_equal(r.items[0].status,
                     field_policy(field) == POLICY_UNION ? RECEIPT_STORED : RECEIPT_CONFLICTS);
    return x;
}

static struct str conflicts(struct world *w, bool json)
{
    struct desk k = desk_begin(w, NULL);
    struct buf out;
    buf_init(&out, 1u << 20);
    OK(review_conflicts(&k, STR(""), json, &out, &w->d));
    struct str text = arena_str(&w->a, buf_str(&out));
    buf_free(&out);
    desk_end(&k);
    return text;
}

static uint32_t audits(struct world *w, const char *what)
{
    struct desk k = desk_begin(w, NULL);
    uint32_t count = 0;
    OK(cstore_audit_count(k.st, str_of(what), &count, &w->d));
    desk_end(&k);
    return count;
}

static enum err decide(struct world *w, struct row_id row, uint32_t field, uint32_t keep, const char *value)
{
    struct desk k = desk_begin(w, NULL);
    struct review_decision c = {.id = STR("x"),
                                .number = row_of(w, row).number,
                                .field = field,
                                .keep = keep,
                                .value = value ? str_of(value) : STR_NONE,
                                .by = STR("周主任")};
    diag_clear(&w->d);
    enum err rc = review_resolve(&k, &c, &w->d);
    desk_end(&k);
    return rc;
}

static void test_a_dispute_is_listed_decided_and_told_to_both(void **state)
{
    struct world *w = *state;
    struct dispute x = disputed(w, HOUSEHOLD_NAME);
    const struct json *list = NULL;
    OK(json_read(&w->a, conflicts(w, true), &list, &w->d));
    assert_int_equal(list->count, 1);
    assert_true(str_eq_z(json_text(json_at(list, 0), "household"), "H1"));
    assert_true(str_eq_z(json_text(json_at(list, 0), "field"), "name"));
    assert_int_equal(json_get(json_at(list, 0), "versions")->count, 2);
    assert_int_equal(counts_of(w).conflicts, 1);
    assert_int_equal(audits(w, "conflict"), 1);
    OK(decide(w, x.row, HOUSEHOLD_NAME, 2, NULL));
    assert_int_equal(counts_of(w).conflicts, 0);
    assert_int_equal(audits(w, "conflict-closed"), 1);
    assert_int_equal(audits(w, "resolved"), 1);
    /* Both hear of it. */
    struct handheld *both[] = {&x.a, &x.b};
    for (int i = 0; i < 2; i++) {
        struct downlink down = pulled(w, both[i], both[i]->cursor, "");
        bool told = false;
        for (uint32_t k = 0; k < down.count; k++)
            told = told || (down.changes[k].op == CHANGE_RESOLVE && down.changes[k].role == ROLE_SUPERVISOR &&
                            str_eq(down.changes[k].value, value_at(w, x.row, HOUSEHOLD_NAME)));
        assert_true(told);
    }
    assert_int_equal(decide(w, x.row, HOUSEHOLD_NAME, 9, NULL), ERR_USAGE);
    assert_int_equal(decide(w, x.row, 77, 0, "v"), ERR_NOT_FOUND);
}

static void test_a_handheld_decides_by_having_seen_both(void **state)
{
    struct world *w = *state;
    struct dispute x = disputed(w, HOUSEHOLD_NAME);
    x.a.cursor = pulled(w, &x.a, x.a.cursor, "").head.cursor;
    struct change c = change_of(w, &x.a, x.row, HOUSEHOLD_NAME, CHANGE_RESOLVE, STR("both of them"));
    struct receipt r = delivered(w, &x.a, frame_of(w, &x.a, &c, 1));
    assert_int_equal(r.items[0].status, RECEIPT_STORED);
    assert_int_equal(counts_of(w).conflicts, 0);
    assert_true(str_eq_z(value_at(w, x.row, HOUSEHOLD_NAME), "both of them"));
}

static void test_union_joins_and_immutable_keeps_the_first(void **state)
{
    struct world *w = *state;
    uint32_t joined = 2 * FIELD_POLICY_NUMBERS + 1, first = 3 * FIELD_POLICY_NUMBERS + 1;
    struct dispute x = disputed(w, joined);
    struct record r = record_at(w, x.row);
    struct str words;
    OK(record_answer(&w->a, record_cell(&r, joined), &words));
    assert_true(str_eq_z(words, "麦 田") || str_eq_z(words, "田 麦"));
    assert_int_equal(counts_of(w).conflicts, 0);
    /* The first answer stays although its own author tries again; the attempt is on record. */
    (void)delivered(w, &x.a, edit(w, &x.a, x.row, first, "1958"));
    struct receipt s = delivered(w, &x.a, edit(w, &x.a, x.row, first, "1985"));
    assert_int_equal(s.items[0].status, RECEIPT_STORED);
    assert_true(str_eq_z(value_at(w, x.row, first), "1958"));
    assert_int_equal(audits(w, "immutable-attempt"), 1);
    /* A cadre does not replace it, a supervisor does. */
    struct change c = change_of(w, &x.a, x.row, first, CHANGE_RESOLVE, STR("1985"));
    s = delivered(w, &x.a, frame_of(w, &x.a, &c, 1));
    assert_int_equal(s.items[0].status, RECEIPT_QUARANTINED);
    OK(decide(w, x.row, first, 0, "1985"));
    assert_true(str_eq_z(value_at(w, x.row, first), "1985"));
}

static void test_what_lies_outside_the_area_is_set_apart_and_may_be_released(void **state)
{
    struct world *w = *state;
    struct handheld a = enrolled(w, "王芳", "9901"), b = enrolled(w, "李强", "9902");
    struct row_id row;
    (void)delivered(w, &a, household_in(w, &a, "H1", AREA, &row));
    struct str guessed = edit(w, &b, row, HOUSEHOLD_NAME, "guessed");
    struct receipt r = delivered(w, &b, guessed);
    assert_int_equal(r.items[0].status, RECEIPT_QUARANTINED);
    assert_int_equal(r.items[0].cause, ERR_DENIED);
    assert_true(str_find(r.items[0].reason, STR("9902")) >= 0);
    struct change under = birth_of(w, &b, row_new(&b),
                                   &(struct row_birth){.kind = ROW_COMMENT, .parent = row});
    r = delivered(w, &b, frame_of(w, &b, &under, 1));
    assert_int_equal(r.items[0].status, RECEIPT_QUARANTINED);
    struct desk k = desk_begin(w, NULL);
    const struct apart_name name = {b.device, b.inc, 1, 0};
    OK(review_release(w->server, k.st, &w->a, &name, STR("周"), false, &w->d));
    assert_int_equal(review_release(w->server, k.st, &w->a, &name, STR("周"), false, &w->d), ERR_STATE);
    desk_end(&k);
    assert_true(str_eq_z(value_at(w, row, HOUSEHOLD_NAME), "guessed"));
    /* Sent again, it is answered as stored. */
    r = delivered(w, &b, guessed);
    assert_int_equal(r.items[0].status, RECEIPT_STORED);
    assert_int_equal(audits(w, "released"), 1);
}

static struct str incarnation_frame(struct world *w, const struct handheld *h, const struct handheld *next,
                                    const struct incarnation_item *items, uint32_t count)
{
    struct incarnation_request q = {.items = items, .item_count = count};
    struct buf payload, frame;
    memcpy(q.seal_public, next->seal.public, sizeof q.seal_public);
    memcpy(q.sign_public, next->sign.public, sizeof q.sign_public);
    struct frame_seal how = {.type = FRAME_MANIFEST,
                             .device = h->device,
                             .inc = h->inc,
                             .batch_seq = 1,
                             .schema = BATCH_SCHEMA_INCARNATION,
                             .recipient = srv_centre(w->server)->keys.seal_public,
                             .author = &h->sign};
    buf_init(&payload, 1u << 20);
    buf_init(&frame, FRAME_SIZE_MAX);
    OK(incarnation_write(&q, &payload));
    OK(frame_make(&how, buf_str(&payload), &frame, &w->d));
    struct str bytes = arena_str(&w->a, buf_str(&frame));
    buf_free(&frame);
    buf_free(&payload);
    return bytes;
}

static struct answer reborn(struct world *w, const struct handheld *h, struct handheld *next,
                            const struct incarnation_item *items, uint32_t count)
{
    *next = (struct handheld){0};
    keys_make(w, next);
    return ask(w, &(struct asking){.method = HTTP_POST,
                                   .url = "/v1/i",
                                   .body = incarnation_frame(w, h, next, items, count)});
}

static struct incarnation_item item_of(struct world *w, struct str frame)
{
    struct frame f;
    size_t size;
    struct incarnation_item item;
    OK(frame_parse(frame, &f, &size, &w->d));
    item.batch_seq = f.batch_seq;
    memcpy(item.batch_id, f.batch_id, BATCH_ID_SIZE);
    return item;
}

static void test_both_copies_of_a_handheld_go_on_as_themselves(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901"), copy, mine, theirs;
    struct row_id row;
    (void)delivered(w, &h, household_in(w, &h, "H1", AREA, &row));
    copy = h;
    (void)delivered(w, &h, edit(w, &h, row, HOUSEHOLD_NAME, "mine"));
    struct str clash = edit(w, &copy, row, HOUSEHOLD_NAME, "the copy's");
    struct receipt r = delivered(w, &copy, clash);
    assert_int_equal(r.items[0].status, RECEIPT_QUARANTINED);
    assert_int_equal(r.refused, ERR_EXISTS);
    assert_int_equal(audits(w, "clone-alarm"), 1);
    /* The first one hears of it, too. */
    struct str late = edit(w, &h, row, HOUSEHOLD_PHONE, "555");
    r = delivered(w, &h, late);
    assert_int_equal(r.items[0].status, RECEIPT_QUARANTINED);
    assert_int_equal(r.refused, ERR_EXISTS);
    /* Each takes an incarnation of its own and sends again what was set apart. */
    struct incarnation_item lost = item_of(w, clash), held = item_of(w, late);
    struct answer a = reborn(w, &copy, &theirs, &lost, 1);
    (void)enrol_read(w, &theirs, a);
    assert_true(theirs.device == h.device && theirs.inc == 2);
    (void)enrol_read(w, &mine, reborn(w, &h, &mine, &held, 1));
    assert_int_equal(mine.inc, 3);
    theirs.cursor = mine.cursor = 0;
    r = delivered(w, &theirs, edit(w, &theirs, row, HOUSEHOLD_NAME, "the copy's"));
    assert_int_equal(r.items[0].status, RECEIPT_CONFLICTS);
    r = delivered(w, &mine, edit(w, &mine, row, HOUSEHOLD_PHONE, "555"));
    assert_int_equal(r.items[0].status, RECEIPT_STORED);
    /* Releasing what was sent again would count it twice. */
    struct desk k = desk_begin(w, NULL);
    const struct apart_name name = {h.device, 1, lost.batch_seq, 1};
    assert_int_equal(review_release(w->server, k.st, &w->a, &name, STR("周"), false, &w->d), ERR_STATE);
    desk_end(&k);
}

static void test_a_request_for_an_incarnation_is_answered_once(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901"), next = {0};
    struct row_id row;
    struct str stored = household_in(w, &h, "H1", AREA, &row);
    (void)delivered(w, &h, stored);
    /* What it counts as lost is stored: it must look at its receipts first. */
    struct incarnation_item item = item_of(w, stored);
    assert_int_equal(reborn(w, &h, &next, &item, 1).status, 409);
    keys_make(w, &next);
    struct str q = incarnation_frame(w, &h, &next, NULL, 0);
    struct asking asking = {.method = HTTP_POST, .url = "/v1/i", .body = q};
    struct enrol_reply one = enrol_read(w, &next, ask(w, &asking));
    struct enrol_reply two = enrol_read(w, &next, ask(w, &asking));
    assert_int_equal(one.inc, 2);
    assert_int_equal(two.inc, 2);
    /* Somebody else's signature, a flipped bit, a revoked handheld. */
    struct handheld thief = h;
    keys_make(w, &thief);
    assert_int_not_equal(reborn(w, &thief, &next, NULL, 0).status, 200);
    char *bytes = arena_alloc(&w->a, q.n);
    memcpy(bytes, q.p, q.n);
    bytes[q.n / 2] ^= 1;
    asking.body = (struct str){bytes, q.n};
    assert_int_not_equal(ask(w, &asking).status, 200);
    struct desk k = desk_begin(w, NULL);
    OK(people_revoke(k.st, h.device, 1, &w->d));
    desk_end(&k);
    assert_int_equal(reborn(w, &h, &next, NULL, 0).status, 403);
}

/* The copy made an interview under ids that the other one had used for something else. */
static void test_a_released_frame_of_a_copy_mixes_with_nothing(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901"), copy;
    struct row_id row, own, theirs;
    (void)delivered(w, &h, household_in(w, &h, "H1", AREA, &row));
    copy = h;
    (void)delivered(w, &h, household_in(w, &h, "H2", AREA, &own));
    struct receipt r = delivered(w, &copy, household_in(w, &copy, "H3", AREA, &theirs));
    assert_true(row_id_same(own, theirs));
    assert_int_equal(r.items[0].status, RECEIPT_QUARANTINED);
    /* A further frame of the copy goes on about that row. */
    (void)delivered(w, &copy, edit(w, &copy, theirs, HOUSEHOLD_NAME, "third"));
    struct desk k = desk_begin(w, NULL);
    const struct apart_name first = {h.device, 1, 2, 1}, second = {h.device, 1, 3, 0};
    OK(review_release(w->server, k.st, &w->a, &first, STR("周"), false, &w->d));
    OK(review_release(w->server, k.st, &w->a, &second, STR("周"), false, &w->d));
    desk_end(&k);
    assert_int_equal(counts_of(w).households, 3);
    assert_true(str_eq_z(value_at(w, own, HOUSEHOLD_CODE), "H2"));
    struct row_id moved = {h.device, 2, theirs.counter};
    assert_true(str_eq_z(value_at(w, moved, HOUSEHOLD_CODE), "H3"));
    assert_true(str_eq_z(value_at(w, moved, HOUSEHOLD_NAME), "third"));
    assert_true(str_eq_z(value_at(w, own, HOUSEHOLD_NAME), ""));
}

static void test_a_frame_that_came_before_its_broken_predecessor(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901"), copy;
    struct row_id row;
    (void)delivered(w, &h, household_in(w, &h, "H1", AREA, &row));
    copy = h;
    (void)edit(w, &h, row, HOUSEHOLD_NAME, "lost on the way");
    (void)delivered(w, &h, edit(w, &h, row, HOUSEHOLD_PHONE, "1"));
    struct receipt r = delivered(w, &copy, edit(w, &copy, row, HOUSEHOLD_NAME, "the copy's"));
    assert_int_equal(r.items[0].status, RECEIPT_QUARANTINED);
    assert_int_equal(r.refused, ERR_EXISTS);
}

static void test_one_handheld_cannot_fill_the_disk_with_what_is_set_apart(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct row_id row;
    char *noise = arena_alloc(&w->a, 1u << 20);
    uint32_t taken = 0;
    (void)delivered(w, &h, household_in(w, &h, "H1", AREA, &row));
    struct desk k = desk_begin(w, NULL);
    OK(people_revoke(k.st, h.device, 1, &w->d));
    desk_end(&k);
    OK(w->seam->random(w->seam->self, noise, 1u << 20));
    for (uint32_t i = 0; i < (1u << 20); i++)
        noise[i] = (char)('a' + (noise[i] & 15));
    for (; taken < 100; taken++) {
        struct change c[3];
        for (int i = 0; i < 3; i++)
            c[i] = change_of(w, &h, row, HOUSEHOLD_NAME, CHANGE_SET, (struct str){noise, 1000000});
        struct answer a = send_frame(w, &h, frame_of(w, &h, c, 3));
        if (a.status != 200) {
            assert_true(str_find(a.body, STR("review")) >= 0);
            break;
        }
    }
    assert_true(taken > 5 && taken < 100);
}

static struct str bytes_of_store(struct world *w)
{
    struct buf b;
    buf_init(&b, 256u << 20);
    OK(w->seam->file_read(w->seam->self, CENTRE_DIR "/centre.db", &b, &w->d));
    struct str bytes = arena_str(&w->a, buf_str(&b));
    buf_free(&b);
    return bytes;
}

static void stop(struct world *w)
{
    srv_close(w->server);
    w->server = NULL;
}

static void test_a_centre_set_back_learns_again_what_it_lost(void **state)
{
    ONLY_IN_A_FILE();
    struct world *w = *state;
    struct handheld a = enrolled(w, "王芳", "9901"), b = enrolled(w, "李强", "9901");
    struct row_id row;
    struct str one = household_in(w, &a, "H1", AREA, &row);
    (void)delivered(w, &a, one);
    stop(w);
    struct str backup = bytes_of_store(w);
    world_start(w);
    struct str lost = edit(w, &a, row, HOUSEHOLD_NAME, "after the backup");
    struct receipt before = delivered(w, &a, lost);
    b.cursor = pulled(w, &b, 0, "").head.cursor;
    stop(w);
    OK(w->seam->file_write(w->seam->self, CENTRE_DIR "/centre.db", backup, true, &w->d));
    world_start(w); /* the marker says that the database was further */
    assert_true(epoch_now(w) > before.epoch);
    /* What was stored before is answered with a receipt of today. */
    struct receipt r = delivered(w, &a, one);
    assert_int_equal(r.items[0].status, RECEIPT_STORED);
    assert_int_equal(r.epoch, epoch_now(w));
    assert_int_equal(r.contiguous, 1);
    /* Somebody who had seen the lost edit writes over it: that it was seen means nothing any more. */
    r = delivered(w, &b, edit(w, &b, row, HOUSEHOLD_NAME, "of b"));
    assert_int_equal(r.items[0].status, RECEIPT_STORED);
    r = delivered(w, &a, lost);
    assert_int_equal(r.items[0].status, RECEIPT_CONFLICTS);
    assert_int_equal(counts_of(w).conflicts, 1);
    /* The downlink goes on from where both histories agree. */
    char limit[40];
    (void)snprintf(limit, sizeof limit, "&e=%u", before.epoch);
    struct downlink down = pulled(w, &a, before.cursor, limit);
    assert_int_equal(down.head.epoch, epoch_now(w));
    assert_true(down.head.cursor_from < before.cursor);
    assert_int_equal(down.count, 1);
    assert_true(str_eq_z(down.changes[0].value, "of b"));
}

static void test_no_handheld_begins_an_epoch_by_what_it_says(void **state)
{
    struct world *w = *state;
    struct handheld a = enrolled(w, "王芳", "9901");
    struct row_id row;
    (void)delivered(w, &a, household_in(w, &a, "H1", AREA, &row));
    uint32_t epoch = epoch_now(w);
    a.cursor = 1000;
    struct receipt r = delivered(w, &a, edit(w, &a, row, HOUSEHOLD_NAME, "seen too much"));
    assert_int_equal(r.items[0].status, RECEIPT_STORED);
    a.epoch = epoch + 1000;
    (void)delivered(w, &a, edit(w, &a, row, HOUSEHOLD_NAME, "of an epoch that never was"));
    (void)pulled(w, &a, 1000, "&e=4000000000");
    assert_int_equal(epoch_now(w), epoch);
}

/* Nothing is lost, and so handhelds notice nothing. */
static void test_a_start_of_the_centre_goes_on_from_all_that_was_told(void **state)
{
    struct world *w = *state;
    struct handheld a = enrolled(w, "王芳", "9901");
    struct row_id row;
    char limit[40];
    (void)delivered(w, &a, household_in(w, &a, "H1", AREA, &row));
    uint32_t epoch = epoch_now(w);
    uint64_t cursor = pulled(w, &a, 0, "").head.cursor;
    stop(w);
    sim_advance(w->sim, 1000);
    world_start(w);
    assert_true(epoch_now(w) > epoch);
    (void)snprintf(limit, sizeof limit, "&e=%u", epoch);
    struct downlink down = pulled(w, &a, cursor, limit);
    assert_true(down.head.cursor_from == cursor && down.head.agreed >= cursor);
    assert_int_equal(audits(w, "set-back"), 0);
}

static void test_the_log_makes_the_records_again_in_any_order(void **state)
{
    struct world *w = *state;
    struct dispute x = disputed(w, HOUSEHOLD_NAME);
    struct handheld copy = x.a;
    struct row_id second, third;
    (void)delivered(w, &x.a, household_in(w, &x.a, "H2", AREA, &second));
    (void)delivered(w, &copy, household_in(w, &copy, "H3", AREA, &third));
    struct desk k = desk_begin(w, NULL);
    const struct apart_name name = {copy.device, 1, copy.batch_seq, 1};
    OK(review_release(w->server, k.st, &w->a, &name, STR("周"), false, &w->d));
    OK(decide(w, x.row, HOUSEHOLD_NAME, 1, NULL));
    x.b.cursor = pulled(w, &x.b, x.b.cursor, "").head.cursor;
    struct change gone = change_of(w, &x.b, second, 0, CHANGE_ROW_DELETE, STR(""));
    (void)delivered(w, &x.b, frame_of(w, &x.b, &gone, 1));
    unsigned char now[SHA256_SIZE], again[SHA256_SIZE];
    uint64_t rows = 0, events = 0;
    OK(centre_state_hash(k.st, now, &rows, &w->d));
    assert_int_equal(rows, 3);
    for (uint64_t order = 0; order < 20; order++) {
        OK(centre_replay_hash(k.st, w->seam, order, again, &events, &w->d));
        assert_int_equal(events, 7);
        assert_memory_equal(now, again, sizeof now);
    }
    /* Nothing was changed by that, and letting go of a deleted row's answers changes no state. */
    OK(centre_state_hash(k.st, again, &rows, &w->d));
    assert_memory_equal(now, again, sizeof now);
    uint64_t buried = 0;
    OK(centre_bury(k.st, srv_now_ms(w->server), &buried, &w->d));
    assert_int_equal(buried, 0); /* handhelds have not seen the delete yet */
    OK(centre_bury(k.st, srv_now_ms(w->server) + 91LL * 86400 * 1000, &buried, &w->d));
    assert_int_equal(buried, 1);
    OK(centre_state_hash(k.st, again, &rows, &w->d));
    assert_memory_equal(now, again, sizeof now);
    desk_end(&k);
    assert_true(str_eq_z(value_at(w, second, HOUSEHOLD_CODE), ""));
}

static void test_many_finishes_in_one_frame_cost_little(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct row_id row, interview = {0};
    (void)delivered(w, &h, household_in(w, &h, "H1", AREA, &row));
    uint32_t count = 0;
    struct change *c = ARENA_ARRAY(&w->a, struct change, 4000);
    interview = row_new(&h);
    c[count++] = birth_of(w, &h, interview, &(struct row_birth){.kind = ROW_INTERVIEW, .parent = row});
    for (int i = 0; i < 500; i++) {
        struct row_id visit = row_new(&h);
        c[count++] = birth_of(w, &h, visit, &(struct row_birth){.kind = ROW_VISIT, .parent = interview});
        c[count++] = change_of(w, &h, interview, 1, CHANGE_SET, STR("v"));
        c[count++] = change_of(w, &h, visit, 0, CHANGE_FINALISE, STR(""));
    }
    struct receipt r = delivered(w, &h, frame_of(w, &h, c, count));
    assert_int_equal(r.items[0].status, RECEIPT_STORED);
    assert_int_equal(counts_of(w).submissions, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, world_open, world_close)
        TEST(test_a_dispute_is_listed_decided_and_told_to_both),
        TEST(test_a_handheld_decides_by_having_seen_both),
        TEST(test_union_joins_and_immutable_keeps_the_first),
        TEST(test_what_lies_outside_the_area_is_set_apart_and_may_be_released),
        TEST(test_both_copies_of_a_handheld_go_on_as_themselves),
        TEST(test_a_request_for_an_incarnation_is_answered_once),
        TEST(test_a_released_frame_of_a_copy_mixes_with_nothing),
        TEST(test_a_frame_that_came_before_its_broken_predecessor),
        TEST(test_one_handheld_cannot_fill_the_disk_with_what_is_set_apart),
        TEST(test_a_centre_set_back_learns_again_what_it_lost),
        TEST(test_no_handheld_begins_an_epoch_by_what_it_says),
        TEST(test_a_start_of_the_centre_goes_on_from_all_that_was_told),
        TEST(test_the_log_makes_the_records_again_in_any_order),
        TEST(test_many_finishes_in_one_frame_cost_little),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
