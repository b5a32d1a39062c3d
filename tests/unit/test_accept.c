/* Accepting frames: once, in any order, from whom it may be; what is kept apart; what a failing disk may
 * leave behind.
 */
#include "tests/support/interview.h"

/* ---- small frames: a household and its fields ---- */

static struct str household_frame(struct world *w, struct handheld *h, const char *code,
                                  struct row_id *row_out)
{
    struct interview v;
    v.count = 0;
    *row_out = household_new(w, &v, h, code, "990101001");
    return frame_of(w, h, v.changes, v.count);
}

static struct str edit_frame(struct world *w, struct handheld *h, struct row_id row, uint32_t field,
                             const char *value)
{
    struct change c = change_of(w, h, row, field, CHANGE_SET, str_of(value));
    return frame_of(w, h, &c, 1);
}

static struct str value_of(struct world *w, struct row_id row, uint32_t field)
{
    struct desk k = desk_begin(w, NULL);
    struct record_row kept;
    struct record r;
    OK(cstore_record(k.st, &w->a, row, &kept, &w->d));
    OK(record_unpack(&w->a, row, kept.packed, &r, &w->d));
    desk_end(&k);
    return record_value(&r, field);
}

static void test_frame_is_stored_and_receipted(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct row_id row;
    struct str frame = household_frame(w, &h, "H1", &row);
    struct receipt r = delivered(w, &h, frame);
    assert_int_equal(r.item_count, 1);
    assert_int_equal(r.items[0].status, RECEIPT_STORED);
    assert_int_equal(r.items[0].batch_seq, 1);
    assert_true(r.items[0].server_seq > 0 && r.items[0].server_seq <= r.cursor);
    assert_int_equal(r.contiguous, 1);
    assert_int_equal(r.refused, ERR_OK);
    assert_int_equal(r.token.n, 0); /* the one it has is fresh */
    assert_true(str_eq_z(value_of(w, row, HOUSEHOLD_CODE), "H1"));
    assert_int_equal(counts_of(w).households, 1);
}

static void test_the_same_frame_gets_the_same_receipt_and_changes_nothing(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct row_id row;
    struct str frame = household_frame(w, &h, "H1", &row);
    struct answer first = send_frame(w, &h, frame);
    struct centre_counts before = counts_of(w);
    sim_advance(w->sim, 86400000);
    for (int i = 0; i < 3; i++) {
        struct answer again = send_frame(w, &h, frame);
        assert_int_equal(again.status, 200);
        assert_true(str_eq(first.body, again.body));
    }
    struct centre_counts after = counts_of(w);
    assert_int_equal(after.duplicates, 3);
    after.duplicates = 0;
    assert_memory_equal(&before, &after, sizeof before);
}

static void test_frames_in_any_order(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct row_id row;
    struct str one = household_frame(w, &h, "H1", &row);
    struct str two = edit_frame(w, &h, row, HOUSEHOLD_NAME, "first");
    struct str three = edit_frame(w, &h, row, HOUSEHOLD_NAME, "second");
    assert_int_equal(delivered(w, &h, three).contiguous, 0);
    assert_true(str_eq_z(value_of(w, row, HOUSEHOLD_NAME), "second"));
    assert_int_equal(counts_of(w).households, 0); /* its birth is still on its way */
    assert_int_equal(delivered(w, &h, one).contiguous, 1);
    assert_int_equal(counts_of(w).households, 1);
    struct receipt last = delivered(w, &h, two);
    assert_int_equal(last.contiguous, 3);
    assert_int_equal(last.items[0].status, RECEIPT_STORED);
    assert_true(str_eq_z(value_of(w, row, HOUSEHOLD_NAME), "second"));
    struct answer all =
        ask(w, &(struct asking){.method = HTTP_GET, .url = "/v1/a?since=0", .authorization = h.token});
    struct receipt r = receipt_of(w, &h, all.body, NULL);
    assert_int_equal(r.item_count, 3);
    assert_int_equal(r.items[2].batch_seq, 3);
}

static void test_a_copy_of_the_handheld_is_noticed_and_nothing_is_lost(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct row_id row;
    struct str one = household_frame(w, &h, "H1", &row);
    struct handheld copy = h;
    struct str two = edit_frame(w, &h, row, HOUSEHOLD_NAME, "mine");
    struct str other = edit_frame(w, &copy, row, HOUSEHOLD_NAME, "the copy's");
    (void)delivered(w, &h, one);
    (void)delivered(w, &h, two);
    struct answer first = send_frame(w, &copy, other);
    struct receipt r = receipt_of(w, &copy, first.body, NULL);
    assert_int_equal(r.items[0].status, RECEIPT_QUARANTINED);
    assert_int_equal(r.items[0].cause, ERR_EXISTS);
    assert_true(str_eq(first.body, send_frame(w, &copy, other).body));
    assert_true(str_eq_z(value_of(w, row, HOUSEHOLD_NAME), "mine"));
    assert_int_equal(counts_of(w).clones, 1);
    assert_int_equal(counts_of(w).frames, 2);
    /* What the copy sends next does not follow what is stored. */
    r = delivered(w, &copy, edit_frame(w, &copy, row, HOUSEHOLD_NAME, "again the copy's"));
    assert_int_equal(r.items[0].status, RECEIPT_QUARANTINED);
    assert_true(str_eq_z(value_of(w, row, HOUSEHOLD_NAME), "mine"));
}

static void test_unknown_handheld_is_refused(void **state)
{
    struct world *w = *state;
    struct handheld h = {.device = 77, .inc = 1, .person = 1};
    struct row_id row;
    keys_make(w, &h);
    struct answer r = send_frame(w, &h, household_frame(w, &h, "H1", &row));
    assert_int_equal(r.status, 401);
    assert_true(str_find(r.body, STR("not enrolled")) >= 0);
    assert_int_equal(counts_of(w).frames, 0);
}

static void test_another_incarnation_is_unknown(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct row_id row;
    h.inc++;
    assert_int_equal(send_frame(w, &h, household_frame(w, &h, "H1", &row)).status, 401);
}

static void test_frames_of_a_revoked_handheld_are_kept_apart(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct row_id row;
    struct str frame = household_frame(w, &h, "H1", &row);
    struct desk k = desk_begin(w, NULL);
    OK(people_revoke(k.st, h.device, 1, &w->d));
    desk_end(&k);
    sim_advance(w->sim, SRV_TOKEN_LIFE_MS * 2);
    struct receipt r = delivered(w, &h, frame);
    assert_int_equal(r.items[0].status, RECEIPT_QUARANTINED);
    assert_int_equal(r.refused, ERR_DENIED);
    assert_true(r.items[0].reason.n > 0);
    assert_int_equal(r.token.n, 0);
    struct centre_counts n = counts_of(w);
    assert_true(n.frames_quarantined == 1 && n.households == 0);
    struct answer a =
        ask(w, &(struct asking){.method = HTTP_GET, .url = "/v1/a?since=0", .authorization = h.token});
    assert_int_equal(receipt_of(w, &h, a.body, NULL).refused, ERR_DENIED);
}

static void test_token_that_ran_out_does_not_stop_a_signed_frame(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct row_id row;
    sim_advance(w->sim, SRV_TOKEN_LIFE_MS + 1000);
    struct receipt r = delivered(w, &h, household_frame(w, &h, "H1", &row));
    assert_int_equal(r.items[0].status, RECEIPT_STORED);
    assert_true(r.token.n > 0 && r.token_until_ms > w->seam->wall_ms(w->seam->self));
    struct str fresh = bearer_header(w, r.token);
    assert_int_equal(
        ask(w, &(struct asking){.method = HTTP_GET, .url = "/v1/d?c=0", .authorization = fresh}).status, 200);
    /* And it is renewed in each third of its life, before it hurts; not with every frame. */
    h.token = fresh;
    assert_int_equal(delivered(w, &h, edit_frame(w, &h, row, HOUSEHOLD_NAME, "x")).token.n, 0);
    sim_advance(w->sim, SRV_TOKEN_LIFE_MS / 3);
    assert_true(delivered(w, &h, edit_frame(w, &h, row, HOUSEHOLD_NAME, "y")).token.n > 0);
}

static void test_a_flipped_bit_anywhere_is_refused_and_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct row_id row;
    struct str frame = household_frame(w, &h, "H1", &row);
    char *bent = arena_alloc(&w->a, frame.n);
    for (size_t i = 0; i < frame.n; i++) {
        memcpy(bent, frame.p, frame.n);
        bent[i] = (char)(bent[i] ^ (1 << (i % 8)));
        struct answer r = send_frame(w, &h, (struct str){bent, frame.n});
        assert_true(r.status >= 400 && r.status < 500);
    }
    for (size_t n = 0; n < frame.n; n += 13)
        assert_int_not_equal(send_frame(w, &h, str_sub(frame, 0, n)).status, 200);
    struct centre_counts n = counts_of(w);
    assert_true(n.frames == 0 && n.clones == 0 && n.households == 0);
    assert_int_equal(delivered(w, &h, frame).items[0].status, RECEIPT_STORED);
}

static void test_two_frames_in_one_request_are_refused(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct row_id row;
    struct buf both;
    buf_init(&both, 1u << 20);
    buf_put_str(&both, household_frame(w, &h, "H1", &row));
    buf_put_str(&both, edit_frame(w, &h, row, HOUSEHOLD_NAME, "x"));
    assert_int_equal(send_frame(w, &h, buf_str(&both)).status, 400);
    assert_int_equal(counts_of(w).frames, 0);
    buf_free(&both);
}

static void test_what_cannot_be_read_is_kept_apart_and_blocks_nothing(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct row_id row;
    struct receipt r = delivered(w, &h, payload_seal(w, &h, STR("not a payload"), ++h.batch_seq));
    assert_int_equal(r.items[0].status, RECEIPT_QUARANTINED);
    assert_true(r.items[0].reason.n > 0);
    r = delivered(w, &h, household_frame(w, &h, "H1", &row));
    assert_int_equal(r.items[0].status, RECEIPT_STORED);
    assert_int_equal(r.contiguous, 2);
    struct buf out;
    struct desk k = desk_begin(w, NULL);
    buf_init(&out, 1u << 20);
    OK(list_of(&k, STR("quarantine"), false, STR("en"), &out, &w->d));
    assert_true(str_find(buf_str(&out), STR("2026-")) > 0);
    buf_free(&out);
    desk_end(&k);
}

static struct receipt one_change(struct world *w, struct handheld *h, struct change c)
{
    struct str frame = frame_of(w, h, &c, 1);
    return delivered(w, h, frame);
}

static void test_a_handheld_changes_only_what_is_its_to_change(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct desk k = desk_begin(w, NULL);
    struct publish_result p;
    struct published *list = NULL;
    uint32_t count = 0;
    OK(publish(&k, STR("list"), STR(""), STR("v.csv"), STR("name,label\na,A\n"), &p, &w->d));
    OK(published_all(k.st, &w->a, &list, &count, &w->d));
    desk_end(&k);
    struct change c = change_of(w, &h, list[0].row, PUBLISHED_STATE, CHANGE_SET, STR("retired"));
    assert_int_equal(one_change(w, &h, c).items[0].cause, ERR_DENIED);
    c = birth_of(w, &h, row_new(&h), &(struct row_birth){.kind = ROW_PUBLISHED});
    assert_int_equal(one_change(w, &h, c).items[0].cause, ERR_DENIED);
    c = birth_of(w, &h, (struct row_id){h.device + 1, 1, 1}, &(struct row_birth){.kind = ROW_HOUSEHOLD});
    assert_int_equal(one_change(w, &h, c).items[0].cause, ERR_DENIED);
    c = birth_of(w, &h, row_new(&h), &(struct row_birth){.kind = ROW_HOUSEHOLD});
    c.person = h.person + 1;
    assert_int_equal(one_change(w, &h, c).items[0].cause, ERR_DENIED);
    c = birth_of(w, &h, row_new(&h), &(struct row_birth){.kind = ROW_HOUSEHOLD});
    c.role = ROLE_SUPERVISOR;
    assert_int_equal(one_change(w, &h, c).items[0].cause, ERR_DENIED);
    assert_int_equal(counts_of(w).frames_quarantined, 5);
    assert_true(str_eq_z(value_of(w, list[0].row, PUBLISHED_STATE), "live"));
}

/* A handheld of ours does not send such a step; one that was tampered with does. */
static void test_a_cadre_takes_no_step_of_the_townships(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    static const struct {
        const char *step;
        bool taken;
    } steps[] = {{"visit", true}, {"notice", true}, {"township", false}, {"remove", false}, {"close", false}};
    struct row_id household = row_new(&h), lead = row_new(&h);
    struct change first[] = {birth_of(w, &h, household, &(struct row_birth){.kind = ROW_HOUSEHOLD}),
                             change_of(w, &h, household, HOUSEHOLD_CODE, CHANGE_SET, STR("H1")),
                             birth_of(w, &h, lead,
                                      &(struct row_birth){.kind = ROW_LEAD, .parent = household}),
                             change_of(w, &h, lead, LEAD_CHANNEL, CHANGE_SET, STR("patrol"))};
    assert_int_equal(delivered(w, &h, frame_of(w, &h, first, 4)).items[0].status, RECEIPT_STORED);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct row_id row = row_new(&h);
        struct change c[] = {birth_of(w, &h, row, &(struct row_birth){.kind = ROW_STEP, .parent = lead}),
                             change_of(w, &h, row, STEP_CODE, CHANGE_SET, str_of(steps[i].step)),
                             change_of(w, &h, row, STEP_AT, CHANGE_SET, STR("2026-11-07"))};
        struct receipt r = delivered(w, &h, frame_of(w, &h, c, 3));
        if (steps[i].taken != (r.items[0].status == RECEIPT_STORED))
            fail_msg("the step %s", steps[i].step);
        if (!steps[i].taken) {
            assert_int_equal(r.items[0].cause, ERR_DENIED);
            assert_true(str_find(r.items[0].reason, STR("is noted by the")) > 0);
        }
    }
}

/* Area decides what a handheld is told: whoever could set it would read the whole county. */
static void test_no_handheld_moves_another_household_into_its_area(void **state)
{
    struct world *w = *state;
    struct handheld east = enrolled(w, "王芳", "990101"), north = enrolled(w, "李强", "990103");
    struct desk k = desk_begin(w, NULL);
    struct import_result n = {0};
    struct record_row *rows = NULL;
    uint32_t count = 0;
    OK(import_households(&k, STR("code,area,name\nA,990102001,a\n"), false, &n, &w->d));
    OK(cstore_records_coded(k.st, &w->a, ROW_HOUSEHOLD, STR("A"), &rows, &count, &w->d));
    desk_end(&k);
    struct change c = change_of(w, &east, rows[0].row, HOUSEHOLD_AREA, CHANGE_SET, STR("990101001"));
    c.seen = UINT32_MAX;
    assert_int_equal(one_change(w, &east, c).items[0].cause, ERR_DENIED);
    c = change_of(w, &east, rows[0].row, HOUSEHOLD_AREA, CHANGE_CLEAR, STR_NONE);
    assert_int_equal(one_change(w, &east, c).items[0].cause, ERR_DENIED);
    assert_int_equal(pulled(w, &east, 0, "").count, 0);

    /* Nor one whose birth is still on its way. */
    struct row_id row;
    struct str birth = household_frame(w, &east, "B", &row);
    c = change_of(w, &north, row, HOUSEHOLD_AREA, CHANGE_SET, STR("990103001"));
    c.hlc += INT64_C(1) << 40;
    (void)one_change(w, &north, c);
    assert_int_equal(delivered(w, &east, birth).items[0].status, RECEIPT_CONFLICTS);
    assert_int_equal(pulled(w, &north, 0, "").count, 0);
}

/* ---- what comes between reading and writing: other threads, other processes ---- */

struct meanwhile {
    struct world *w;
    const struct handheld *h;
    struct str frame; /* p NULL = the handheld is revoked instead */
};

static struct meanwhile *meanwhile_now;
static int64_t (*wall_before)(void *self);

/* The clock is asked when everything was read and before anything is written. */
static int64_t wall_and_meanwhile(void *self)
{
    struct meanwhile *m = meanwhile_now;
    meanwhile_now = NULL;
    if (m && m->frame.p) {
        (void)delivered(m->w, m->h, m->frame);
    } else if (m) {
        struct world *w = m->w;
        struct desk k = desk_begin(w, NULL);
        OK(people_revoke(k.st, m->h->device, 1, &w->d));
        desk_end(&k);
    }
    return wall_before(self);
}

static struct receipt delivered_meanwhile(struct world *w, const struct handheld *h, struct str frame,
                                          struct meanwhile *m)
{
    struct seam seam = *w->seam;
    const struct server_options o = {.seam = &seam, .dir = CENTRE_DIR};
    wall_before = seam.wall_ms;
    seam.wall_ms = wall_and_meanwhile;
    struct server *slow = NULL;
    OK(srv_open(&o, &slow, &w->d));
    struct http_request q = {.method = HTTP_POST, .url = STR("/v1/b"), .body = frame};
    struct http_reply reply = {0};
    struct arena texts;
    arena_init(&texts, 1u << 20);
    buf_init(&reply.body, 1u << 20);
    m->w = w;
    m->h = h;
    meanwhile_now = m;
    srv_handle(slow, &q, &texts, &reply);
    assert_int_equal(reply.status, 200);
    struct receipt r = receipt_of(w, h, arena_str(&w->a, buf_str(&reply.body)), NULL);
    buf_free(&reply.body);
    arena_free(&texts);
    srv_close(slow);
    return r;
}

static void test_a_frame_that_meets_its_revocation_does_not_undo_it(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct row_id row;
    struct meanwhile m = {0};
    struct receipt r = delivered_meanwhile(w, &h, household_frame(w, &h, "H1", &row), &m);
    assert_int_equal(r.items[0].status, RECEIPT_QUARANTINED);
    assert_int_equal(r.refused, ERR_DENIED);
    struct centre_counts n = counts_of(w);
    assert_true(n.devices_revoked == 1 && n.households == 0);
}

static void test_two_frames_at_once_are_both_counted(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct row_id row;
    struct str one = household_frame(w, &h, "H1", &row);
    struct meanwhile m = {.frame = one};
    struct receipt r = delivered_meanwhile(w, &h, edit_frame(w, &h, row, HOUSEHOLD_NAME, "x"), &m);
    assert_int_equal(r.items[0].status, RECEIPT_STORED);
    assert_int_equal(r.contiguous, 2);
    assert_int_equal(delivered(w, &h, edit_frame(w, &h, row, HOUSEHOLD_NAME, "y")).contiguous, 3);
}

static void test_two_people_one_household_both_values_are_kept(void **state)
{
    struct world *w = *state;
    struct handheld a = enrolled(w, "王芳", "9901"), b = enrolled(w, "李强", "9901");
    struct row_id row;
    (void)delivered(w, &a, household_frame(w, &a, "H1", &row));
    struct downlink down = pulled(w, &b, 0, "");
    assert_true(down.count >= 3);
    a.cursor = b.cursor = down.head.cursor;
    (void)delivered(w, &a, edit_frame(w, &a, row, HOUSEHOLD_NAME, "田"));
    struct receipt r = delivered(w, &b, edit_frame(w, &b, row, HOUSEHOLD_NAME, "麦"));
    assert_int_equal(r.items[0].status, RECEIPT_CONFLICTS);
    /* Each is told the other's, not its own. */
    down = pulled(w, &a, a.cursor, "");
    assert_int_equal(down.count, 1);
    assert_true(down.authors[0].device == b.device && str_eq_z(down.changes[0].value, "麦"));
    down = pulled(w, &b, b.cursor, "");
    assert_true(down.count == 1 && down.authors[0].device == a.device);
    /* Who has seen both may settle it. */
    b.cursor = down.head.cursor;
    r = delivered(w, &b, edit_frame(w, &b, row, HOUSEHOLD_NAME, "田"));
    assert_int_equal(r.items[0].status, RECEIPT_STORED);
}

static void test_downlink_rides_with_the_receipt(void **state)
{
    struct world *w = *state;
    struct handheld a = enrolled(w, "王芳", "9901"), b = enrolled(w, "李强", "9901");
    struct row_id row, other;
    (void)delivered(w, &a, household_frame(w, &a, "H1", &row));
    struct str frame = household_frame(w, &b, "H2", &other);
    struct answer reply = ask(w, &(struct asking){.method = HTTP_POST, .url = "/v1/b?d=0", .body = frame});
    size_t size = 0;
    struct receipt r = receipt_of(w, &b, reply.body, &size);
    assert_false(r.caught_up);
    /* Whoever overheard the frame may send it again, but it is not worth the work of a downlink. */
    struct answer overheard = ask(w,
                                  &(struct asking){.method = HTTP_POST, .url = "/v1/b?d=0", .body = frame});
    size_t receipt_size = 0;
    (void)receipt_of(w, &b, overheard.body, &receipt_size);
    assert_int_equal(receipt_size, overheard.body.n);
    struct downlink down = down_of(w, &b, str_sub(reply.body, size, reply.body.n));
    /* The other's household whole, and nothing of its own. */
    assert_int_equal(down.count, 3);
    for (uint32_t i = 0; i < down.count; i++)
        assert_false(row_id_same(down.changes[i].row, other));
    assert_true(down.head.caught_up && down.head.cursor == r.cursor);
    /* Afterwards an edit of its own needs no downlink at all. */
    char url[40];
    (void)snprintf(url, sizeof url, "/v1/b?d=%llu", (unsigned long long)down.head.cursor);
    frame = edit_frame(w, &b, other, HOUSEHOLD_NAME, "x");
    reply = ask(w, &(struct asking){.method = HTTP_POST, .url = url, .body = frame});
    r = receipt_of(w, &b, reply.body, &size);
    assert_int_equal(size, reply.body.n);
    assert_true(r.caught_up && r.cursor_from == down.head.cursor);
}

/* Whether a receipt may say "caught up" is found out while nobody else can write: that must not take longer
 * the more the rest of the county did. */
static void test_who_comes_from_far_behind_does_not_hold_up_the_others(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "990101");
    struct row_id row;
    struct buf csv;
    struct import_result n = {0};
    char url[40];
    (void)delivered(w, &h, household_frame(w, &h, "A", &row));
    uint64_t cursor = pulled(w, &h, 0, "").head.cursor;
    struct desk k = desk_begin(w, NULL);
    buf_init(&csv, 1u << 20);
    buf_put_z(&csv, "code,area,name\n");
    for (int i = 0; i < 2000; i++)
        buf_printf(&csv, "H%d,990102,household %d\n", i, i);
    OK(import_households(&k, buf_str(&csv), false, &n, &w->d));
    buf_free(&csv);
    desk_end(&k);
    for (int round = 0; round < 2; round++) {
        (void)snprintf(url, sizeof url, "/v1/b?d=%llu", (unsigned long long)cursor);
        struct asking q = {.method = HTTP_POST,
                           .url = url,
                           .body = edit_frame(w, &h, row, HOUSEHOLD_NAME, "x")};
        struct receipt r = receipt_of(w, &h, ask(w, &q).body, NULL);
        /* What lies in other areas is not even looked at. */
        assert_true(r.caught_up);
        cursor = pulled(w, &h, cursor, "").head.cursor;
    }
}

/* A row named by the number the centre gave it; a wrong number is noticed by the checksum over full ids. */
struct numbered {
    struct row_id row;
    uint64_t number;
};

static bool number_of(void *self, struct row_id id, uint64_t *number_out)
{
    struct numbered *n = self;
    *number_out = n->number;
    return row_id_same(n->row, id);
}

static struct receipt send_numbered(struct world *w, struct handheld *h, struct numbered n)
{
    struct batch_rows rows = {.self = &n, .number_of = number_of};
    struct batch_head head = {.device = h->device,
                              .inc = h->inc,
                              .epoch = srv_centre(w->server)->epoch,
                              .now_ms = w->seam->wall_ms(w->seam->self)};
    struct change c = change_of(w, h, n.row, HOUSEHOLD_NAME, CHANGE_SET, STR("by number"));
    struct buf payload;
    buf_init(&payload, 1u << 16);
    OK(batch_write(&head, &rows, &c, 1, &payload, &w->d));
    struct receipt r = delivered(w, h, payload_seal(w, h, buf_str(&payload), ++h->batch_seq));
    buf_free(&payload);
    return r;
}

static void test_rows_by_number(void **state)
{
    struct world *w = *state;
    struct handheld a = enrolled(w, "王芳", "9901"), b = enrolled(w, "李强", "9901");
    struct row_id row, other;
    (void)delivered(w, &a, household_frame(w, &a, "H1", &row));
    (void)delivered(w, &a, household_frame(w, &a, "H2", &other));
    struct downlink down = pulled(w, &b, 0, "");
    struct numbered n = {.row = row};
    for (uint32_t i = 0; i < down.count; i++) {
        if (row_id_same(down.changes[i].row, row))
            n.number = down.authors[i].row_number;
    }
    assert_int_equal(send_numbered(w, &b, n).items[0].status, RECEIPT_STORED);
    assert_true(str_eq_z(value_of(w, row, HOUSEHOLD_NAME), "by number"));
    n.number++;
    struct receipt r = send_numbered(w, &b, n);
    assert_int_equal(r.items[0].status, RECEIPT_QUARANTINED);
    assert_int_equal(r.items[0].cause, ERR_STATE); /* asks for full ids */
    assert_true(value_of(w, other, HOUSEHOLD_NAME).n == 0);
}

/* ---- visits ---- */

static struct submission_row submission_of(struct world *w, struct row_id visit)
{
    struct desk k = desk_begin(w, NULL);
    struct submission_row s;
    OK(cstore_submission(k.st, &w->a, visit, &s, &w->d));
    desk_end(&k);
    return s;
}

static void test_a_finalised_visit_is_the_very_document_of_the_door(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct interview v;
    form_publish_text(w, survey_form);
    survey_visit(w, &v, &h, (struct row_id){0}, "田大米");
    refuse(w, &v, "/survey/money/gift", ANSWER_REFUSED);
    refuse(w, &v, "/survey/member[2]/who", ANSWER_DONT_KNOW);
    interview_finish(w, &v, &h);
    struct receipt r = delivered(w, &h, frame_of(w, &h, v.changes, v.count));
    assert_int_equal(r.items[0].status, RECEIPT_STORED);
    struct submission_row s = submission_of(w, v.visit);
    assert_true(str_eq(s.xml, v.xml_out));
    assert_true(s.xml_matches);
    assert_true(str_eq_z(s.form_id, "survey"));
    assert_true(str_eq_z(s.statuses, "/survey/money/gift\trefused\n/survey/member[2]/who\tdont_know\n"));
    assert_true(str_starts(s.instance_id, STR("uuid:")));
}

/* Who finishes another's visit first would decide what its document is held against. */
static void test_only_who_made_a_visit_finishes_it(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901"), other = enrolled(w, "李强", "9901");
    struct interview v;
    struct row_id household;
    form_publish_text(w, survey_form);
    survey_visit(w, &v, &h, (struct row_id){0}, "x");
    (void)delivered(w, &h, frame_of(w, &h, v.changes, v.count));
    uint32_t draft = v.count;
    interview_finish(w, &v, &h);
    struct change c = change_of(w, &other, v.visit, 0, CHANGE_FINALISE, STR_NONE);
    assert_int_equal(one_change(w, &other, c).items[0].cause, ERR_DENIED);
    struct receipt r = delivered(w, &h, frame_of(w, &h, v.changes + draft, v.count - draft));
    assert_int_equal(r.items[0].status, RECEIPT_STORED);
    assert_true(submission_of(w, v.visit).xml_matches);
    /* Nor is anything else than a visit finished. */
    (void)delivered(w, &h, household_frame(w, &h, "H1", &household));
    c = change_of(w, &h, household, 0, CHANGE_FINALISE, STR_NONE);
    assert_int_equal(one_change(w, &h, c).items[0].cause, ERR_SYNTAX);
    assert_int_equal(counts_of(w).submissions, 1);
}

static void test_answers_that_come_later_complete_the_document(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct interview v;
    form_publish_text(w, survey_form);
    survey_visit(w, &v, &h, (struct row_id){0}, "田大米");
    uint32_t half = v.count / 2;
    interview_finish(w, &v, &h);
    struct str first = frame_of(w, &h, v.changes, half);
    struct str second = frame_of(w, &h, v.changes + half, v.count - half);
    (void)delivered(w, &h, second);
    assert_false(submission_of(w, v.visit).xml_matches);
    assert_int_equal(counts_of(w).submissions_differing, 1);
    (void)delivered(w, &h, first);
    assert_true(submission_of(w, v.visit).xml_matches);
    assert_true(str_eq(submission_of(w, v.visit).xml, v.xml_out));
}

/* Two visits to one interview: in the second the name changes and the first member goes. `second` has the
 * changes of both. */
static void two_visits(struct world *w, struct handheld *h, struct interview *first, struct interview *second)
{
    survey_visit(w, first, h, (struct row_id){0}, "before");
    interview_finish(w, first, h);
    struct saved_interview saved;
    OK(submission_read(&w->a, first->form, first->xml_out, 1, &saved, &w->d));
    *second = *first;
    second->host = (struct session_host){.self = w, .now_ms = interview_now, .random = interview_random};
    const struct session_options o = {.form = first->form,
                                      .host = &second->host,
                                      .resume = true,
                                      .revisit = true,
                                      .rows = saved.rows,
                                      .row_count = saved.row_count,
                                      .cells = saved.cells,
                                      .cell_count = saved.cell_count,
                                      .row_key_next = saved.row_count + 1};
    OK(session_open(&w->a, &o, &second->session, &w->d));
    second->visit = row_new(h);
    put(second,
        birth_of(w, h, second->visit, &(struct row_birth){.kind = ROW_VISIT, .parent = first->interview}));
    answer(w, second, "/survey/name", "after");
    struct place gone;
    OK(session_place(second->session, STR("/survey/member[1]"), &gone, &w->d));
    OK(session_repeat_remove(second->session, gone, &w->d));
    interview_collect(w, second, h);
    interview_finish(w, second, h);
}

static void two_documents(struct world *w, const struct interview *first, const struct interview *second)
{
    struct submission_row s = submission_of(w, first->visit);
    assert_true(s.xml_matches && str_eq(s.xml, first->xml_out));
    assert_true(str_find(s.xml, STR("before")) > 0 && str_find(s.xml, STR("Li,")) > 0);
    s = submission_of(w, second->visit);
    assert_true(s.xml_matches && str_eq(s.xml, second->xml_out));
    assert_true(str_find(s.xml, STR("after")) > 0 && str_find(s.xml, STR("Li,")) < 0);
    assert_int_equal(counts_of(w).interviews, 1);
}

static void test_two_visits_in_one_frame_keep_a_document_each(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct interview v, second;
    form_publish_text(w, survey_form);
    two_visits(w, &h, &v, &second);
    (void)delivered(w, &h, frame_of(w, &h, second.changes, second.count));
    two_documents(w, &v, &second);
}

/* Three frames: the first visit in two, the second visit in one. Whatever order they come in, by radio or on
 * a card, both documents come out as they were. */
static void test_visits_in_any_order_keep_a_document_each(void **state)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct world *w = *state;
    form_publish_text(w, survey_form);
    for (int i = 0; i < 6; i++) {
        struct handheld h = enrolled(w, "王芳", "9901");
        struct interview v, second;
        struct str frames[3];
        two_visits(w, &h, &v, &second);
        uint32_t half = v.count / 2;
        frames[0] = frame_of(w, &h, second.changes, half);
        frames[1] = frame_of(w, &h, second.changes + half, v.count - half);
        frames[2] = frame_of(w, &h, second.changes + v.count, second.count - v.count);
        for (int k = 0; k < 3; k++)
            assert_int_equal(delivered(w, &h, frames[orders[i][k]]).items[0].status, RECEIPT_STORED);
        struct submission_row s = submission_of(w, v.visit);
        assert_true(s.xml_matches && str_eq(s.xml, v.xml_out));
        s = submission_of(w, second.visit);
        assert_true(s.xml_matches && str_eq(s.xml, second.xml_out));
    }
    assert_int_equal(counts_of(w).submissions, 12);
    assert_int_equal(counts_of(w).submissions_differing, 0);
}

static void test_a_form_that_was_never_published_is_kept_apart(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct interview v;
    struct row_id row;
    survey_visit(w, &v, &h, (struct row_id){0}, "x");
    interview_finish(w, &v, &h);
    struct receipt r = delivered(w, &h, frame_of(w, &h, v.changes, v.count));
    assert_int_equal(r.items[0].status, RECEIPT_QUARANTINED);
    assert_int_equal(r.items[0].cause, ERR_NOT_FOUND);
    assert_int_equal(delivered(w, &h, household_frame(w, &h, "H1", &row)).items[0].status, RECEIPT_STORED);
}

static void test_children_that_come_first_get_their_household_and_area(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "990101"), other = enrolled(w, "李强", "990101");
    struct interview v = {.count = 0}, house = {.count = 0};
    struct row_id household = household_new(w, &house, &h, "H1", "990101001");
    struct str first = frame_of(w, &h, house.changes, house.count);
    form_publish_text(w, survey_form);
    survey_visit(w, &v, &h, household, "x");
    interview_finish(w, &v, &h);
    struct str second = frame_of(w, &h, v.changes, v.count);
    uint64_t cursor = pulled(w, &other, 0, "").head.cursor;
    (void)delivered(w, &h, second);
    struct downlink down = pulled(w, &other, cursor, "");
    assert_int_equal(down.count, 0); /* nobody knows yet whose it is */
    (void)delivered(w, &h, first);
    down = pulled(w, &other, down.head.cursor, "");
    assert_true(down.count > 20); /* household, interview, members, visit: all of it */
    struct desk k = desk_begin(w, NULL);
    struct record_row row;
    OK(cstore_record(k.st, &w->a, v.visit, &row, &w->d));
    assert_true(row_id_same(row.household, household) && row_id_same(row.interview, v.interview));
    assert_true(str_eq_z(row.area, "990101001"));
    desk_end(&k);
    assert_true(submission_of(w, v.visit).xml_matches);
}

/* One handheld's frames, each as large as may be, must not come together into a transaction that is too large
 * to be told to the others: they would never hear of anything again. */
static void test_no_frames_can_stop_the_downlink_of_others(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901"), other = enrolled(w, "李强", "9901");
    static struct change c[BATCH_CHANGES_MAX];
    /* as many as a frame may have; PostgreSQL takes minutes for those */
    uint32_t many = getenv("DOORSTEP_TEST_STORE") ? 600 : BATCH_CHANGES_MAX;
    struct row_id household = row_new(&h), interview = row_new(&h), after;
    for (int frame = 0; frame < 2; frame++) {
        for (uint32_t i = 0; i < many; i++)
            c[i] = i % 2 ? change_of(w, &h, c[i - 1].row, 1, CHANGE_SET, STR("x"))
                         : birth_of(w, &h, row_new(&h),
                                    &(struct row_birth){.kind = ROW_REPEAT, .parent = interview});
        assert_int_equal(delivered(w, &h, frame_of(w, &h, c, many)).items[0].status, RECEIPT_STORED);
    }
    c[0] = birth_of(w, &h, interview, &(struct row_birth){.kind = ROW_INTERVIEW, .parent = household});
    (void)one_change(w, &h, c[0]);
    c[0] = birth_of(w, &h, household, &(struct row_birth){.kind = ROW_HOUSEHOLD});
    c[1] = change_of(w, &h, household, HOUSEHOLD_AREA, CHANGE_SET, STR("990101001"));
    (void)delivered(w, &h, frame_of(w, &h, c, 2));
    (void)delivered(w, &h, household_frame(w, &h, "H2", &after));
    uint32_t told = 0;
    bool heard = false;
    for (int i = 0; i < 100 && !heard; i++) {
        struct downlink down = pulled(w, &other, other.cursor, "&m=200000");
        other.cursor = down.head.cursor;
        told += down.count;
        heard = down.head.caught_up;
    }
    assert_true(heard);
    assert_int_equal(told, 2 * many + 1 + 2 + 3);
}

/* ---- failing disks ---- */

/* Fails operation n of accepting, for n = 1, 2, 3 ... until it goes through: in every case the frame is
 * either stored whole with its receipt, or not at all, and sending it again always succeeds. */
static void sweep(struct world *w, enum err cause)
{
    ONLY_IN_A_FILE();
    struct handheld h = enrolled(w, "王芳", "9901");
    struct interview v;
    form_publish_text(w, survey_form);
    uint32_t failed = 0;
    for (uint64_t n = 1;; n++) {
        struct row_id household = {0};
        survey_visit(w, &v, &h, household, "x");
        interview_finish(w, &v, &h);
        struct str frame = frame_of(w, &h, v.changes, v.count);
        struct centre_counts before = counts_of(w);
        sim_fail_at(w->machine, n, cause, false);
        struct answer r = send_frame(w, &h, frame);
        sim_fail_at(w->machine, 0, ERR_OK, false);
        struct centre_counts after = counts_of(w);
        bool stored = after.frames == before.frames + 1;
        assert_int_equal(after.frames - before.frames, stored);
        assert_int_equal(after.visits - before.visits, stored);
        assert_int_equal(after.submissions - before.submissions, stored);
        assert_int_equal(after.changes - before.changes, stored ? v.count : 0);
        if (r.status == 200) {
            assert_true(stored);
            assert_int_equal(receipt_of(w, &h, r.body, NULL).items[0].status, RECEIPT_STORED);
        } else {
            failed++;
            assert_true(r.status >= 500);
        }
        struct receipt again = delivered(w, &h, frame);
        assert_int_equal(again.items[0].status, RECEIPT_STORED);
        assert_true(submission_of(w, v.visit).xml_matches);
        assert_int_equal(counts_of(w).frames, before.frames + 1);
        if (r.status == 200 && n > 5)
            break;
        assert_true(n < 2000);
    }
    assert_true(failed > 3);
    struct desk k = desk_begin(w, NULL);
    OK(cstore_check(k.st, &w->d));
    desk_end(&k);
}

static void test_disk_that_fails_once_anywhere(void **state)
{
    sweep(*state, ERR_IO);
}

static void test_disk_that_is_full_anywhere(void **state)
{
    sweep(*state, ERR_FULL);
}

static void test_power_cut_anywhere_keeps_what_was_receipted(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct interview v;
    form_publish_text(w, survey_form);
    uint64_t frames = 0;
    for (uint64_t n = 1; n < 60; n++) {
        survey_visit(w, &v, &h, (struct row_id){0}, "x");
        interview_finish(w, &v, &h);
        struct str frame = frame_of(w, &h, v.changes, v.count);
        sim_cut_after(w->machine, n % 20 + 1);
        struct answer r = send_frame(w, &h, frame);
        bool receipted = r.status == 200;
        sim_power_cut(w->machine);
        srv_close(w->server);
        w->server = NULL;
        sim_restart(w->machine);
        diag_clear(&w->d);
        world_start(w);
        struct centre_counts now = counts_of(w);
        assert_true(now.frames == frames || now.frames == frames + 1);
        assert_true(!receipted || now.frames == frames + 1);
        struct receipt again = delivered(w, &h, frame);
        assert_int_equal(again.items[0].status, RECEIPT_STORED);
        assert_int_equal(again.contiguous, n);
        frames = n;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)
        TEST(test_frame_is_stored_and_receipted),
        TEST(test_the_same_frame_gets_the_same_receipt_and_changes_nothing),
        TEST(test_frames_in_any_order),
        TEST(test_a_copy_of_the_handheld_is_noticed_and_nothing_is_lost),
        TEST(test_unknown_handheld_is_refused),
        TEST(test_another_incarnation_is_unknown),
        TEST(test_frames_of_a_revoked_handheld_are_kept_apart),
        TEST(test_token_that_ran_out_does_not_stop_a_signed_frame),
        TEST(test_a_flipped_bit_anywhere_is_refused_and_leaves_nothing),
        TEST(test_two_frames_in_one_request_are_refused),
        TEST(test_what_cannot_be_read_is_kept_apart_and_blocks_nothing),
        TEST(test_a_handheld_changes_only_what_is_its_to_change),
        TEST(test_a_cadre_takes_no_step_of_the_townships),
        TEST(test_no_handheld_moves_another_household_into_its_area),
        TEST(test_a_frame_that_meets_its_revocation_does_not_undo_it),
        TEST(test_two_frames_at_once_are_both_counted),
        TEST(test_two_people_one_household_both_values_are_kept),
        TEST(test_downlink_rides_with_the_receipt),
        TEST(test_who_comes_from_far_behind_does_not_hold_up_the_others),
        TEST(test_rows_by_number),
        TEST(test_a_finalised_visit_is_the_very_document_of_the_door),
        TEST(test_only_who_made_a_visit_finishes_it),
        TEST(test_answers_that_come_later_complete_the_document),
        TEST(test_two_visits_in_one_frame_keep_a_document_each),
        TEST(test_visits_in_any_order_keep_a_document_each),
        TEST(test_a_form_that_was_never_published_is_kept_apart),
        TEST(test_children_that_come_first_get_their_household_and_area),
        TEST(test_no_frames_can_stop_the_downlink_of_others),
        TEST(test_disk_that_fails_once_anywhere),
        TEST(test_disk_that_is_full_anywhere),
        TEST(test_power_cut_anywhere_keeps_what_was_receipted),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
