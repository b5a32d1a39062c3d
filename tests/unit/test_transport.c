/* What arrives in pieces: large frames by offset, attachments part by part, patches between versions; and
 * that nobody can fill the centre, or spoil what another one sends.
 */
#include "tests/support/centre.h"

#include "server/store_impl.h"
#include "server/transport.h"
#include "sync/batch_zstd.h"

/* ---- uploads ---- */

static struct str random_text(struct world *w, size_t n)
{
    char *p = arena_alloc(&w->a, n + 1);
    assert_non_null(p);
    OK(w->seam->random(w->seam->self, p, n));
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(' ' + (unsigned char)p[i] % 90);
    return (struct str){p, n};
}

static struct str large_frame(struct world *w, struct handheld *h, size_t size)
{
    struct row_id row = row_new(h);
    const struct row_birth birth = {.kind = ROW_HOUSEHOLD};
    const struct change changes[] = {
        birth_of(w, h, row, &birth),
        change_of(w, h, row, HOUSEHOLD_ADDRESS, CHANGE_SET, random_text(w, size)),
    };
    return frame_of(w, h, changes, 2);
}

static const char *name_of(struct str frame)
{
    static char text[2 * BATCH_ID_SIZE + 1];
    struct frame f;
    size_t size;
    assert_int_equal(frame_parse(frame, &f, &size, NULL), ERR_OK);
    hex_write(f.batch_id, BATCH_ID_SIZE, text);
    return text;
}

static struct answer ask_upload(struct world *w, const struct handheld *h, enum http_method method,
                                const char *name, const char *rest, struct str body)
{
    char url[200];
    (void)snprintf(url, sizeof url, "/v1/u/%s%s", name, rest);
    return ask(w, &(struct asking){.method = method, .url = url, .body = body, .authorization = h->token});
}

static struct answer put(struct world *w, const struct handheld *h, struct str frame, uint64_t at,
                         uint64_t to)
{
    char rest[100];
    (void)snprintf(rest, sizeof rest, "?o=%llu&t=%zu", (unsigned long long)at, frame.n);
    return ask_upload(w, h, HTTP_PUT, name_of(frame), rest, str_sub(frame, (size_t)at, (size_t)(to - at)));
}

static struct answer look(struct world *w, const struct handheld *h, struct str frame)
{
    return ask_upload(w, h, HTTP_HEAD, name_of(frame), "", STR(""));
}

static void is_offset(struct answer a, int status, const char *offset)
{
    assert_int_equal(a.status, status);
    assert_true(str_eq_z(a.offset, offset));
}

static void a_frame_arrives_by_offset(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", "");
    struct str frame = large_frame(w, &h, 60000);
    assert_int_equal(look(w, &h, frame).status, 404);
    is_offset(put(w, &h, frame, 1000, 2000), 409, "0"); /* a gap */
    is_offset(put(w, &h, frame, 0, 20000), 204, "20000");
    is_offset(look(w, &h, frame), 200, "20000");
    is_offset(put(w, &h, frame, 30000, 40000), 409, "20000");
    is_offset(put(w, &h, frame, 10000, 30000), 204, "30000"); /* what was sent twice is passed over */
    is_offset(put(w, &h, frame, 0, 500), 204, "30000"); /* and so is what a late connection still brings */
    is_offset(ask_upload(w, &h, HTTP_POST, name_of(frame), "/commit", STR("")), 409, "30000");
    struct answer last = put(w, &h, frame, 30000, frame.n);
    assert_int_equal(last.status, 200);
    struct receipt r = receipt_of(w, &h, last.body, NULL);
    assert_int_equal(r.item_count, 1);
    assert_int_equal(r.items[0].status, RECEIPT_STORED);
    assert_int_equal(counts_of(w).frames, 1);

    /* The reply got lost. */
    assert_true(look(w, &h, frame).done);
    last = ask_upload(w, &h, HTTP_POST, name_of(frame), "/commit", STR(""));
    assert_int_equal(last.status, 200);
    assert_int_equal(receipt_of(w, &h, last.body, NULL).items[0].batch_seq, 1);
    last = put(w, &h, frame, 30000, frame.n); /* libcurl repeats what got no answer, by itself */
    assert_int_equal(last.status, 200);
    assert_int_equal(receipt_of(w, &h, last.body, NULL).items[0].batch_seq, 1);
    assert_int_equal(counts_of(w).frames, 1);
}

static void the_start_of_the_server_loses_nothing_that_was_told(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", "");
    struct str frame = large_frame(w, &h, 60000);
    is_offset(put(w, &h, frame, 0, 16384), 204, "16384");
    sim_power_cut(w->machine);
    srv_close(w->server);
    sim_restart(w->machine);
    world_start(w);
    is_offset(look(w, &h, frame), 200, "16384");
}

static void bytes_that_are_not_what_their_name_says_are_thrown_away(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", "");
    struct str frame = large_frame(w, &h, 60000);
    char *wrong = (char *)(uintptr_t)random_text(w, frame.n).p;
    char rest[60];
    struct str name = arena_str(&w->a, str_of(name_of(frame)));
    (void)snprintf(rest, sizeof rest, "?o=0&t=%zu", frame.n);
    assert_int_equal(ask_upload(w, &h, HTTP_PUT, name.p, rest, (struct str){wrong, frame.n}).status, 400);
    assert_int_equal(look(w, &h, frame).status, 404);
    assert_int_equal(put(w, &h, frame, 0, frame.n).status, 200);
    assert_int_equal(counts_of(w).frames, 1);
}

static void sizes_are_checked_before_anything_is_kept(void **state)
{
    static const char *const wrong[] = {"?o=0&t=99999999999",
                                        "?o=0&t=4",
                                        "?o=0",
                                        "?t=500",
                                        "?o=-1&t=500",
                                        "?o=18446744073709551615&t=18446744073709551615",
                                        "?o=499&t=500"};
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", "");
    const char *name = "00112233445566778899aabbccddeeff";
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int status = ask_upload(w, &h, HTTP_PUT, name, wrong[i], STR("some bytes")).status;
        assert_true(status == 400 || status == 413 || status == 409);
    }
    is_offset(ask_upload(w, &h, HTTP_PUT, name, "?o=0&t=500", STR("some bytes")), 204, "10");
    assert_int_equal(ask_upload(w, &h, HTTP_PUT, name, "?o=10&t=501", STR("more")).status, 400);
    assert_int_equal(ask_upload(w, &h, HTTP_PUT, "0011", "?o=0&t=500", STR("x")).status, 400);
    h.token = STR("Bearer nobody");
    assert_int_equal(ask_upload(w, &h, HTTP_PUT, name, "?o=0&t=500", STR("x")).status, 401);
}

static void begin(struct world *w, const struct handheld *h, unsigned i, uint64_t total)
{
    char name[33], rest[60];
    (void)snprintf(name, sizeof name, "%032x", i);
    (void)snprintf(rest, sizeof rest, "?o=0&t=%llu", (unsigned long long)total);
    assert_int_equal(ask_upload(w, h, HTTP_PUT, name, rest, STR("x")).status, 204);
}

/* Tiny requests without end: a device takes its own share and never another's. */
static void a_device_can_fill_its_own_share_only(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", ""), other = enrolled(w, "B", "");
    struct str frame = large_frame(w, &other, 60000);
    struct upload_usage use;
    is_offset(put(w, &other, frame, 0, 20000), 204, "20000");
    for (unsigned i = 0; i < 1500; i++)
        begin(w, &h, i, i % 2 ? 100 : FRAME_SIZE_MAX);
    struct desk k = desk_begin(w, NULL);
    OK(cstore_upload_usage(k.st, h.device, h.inc, &use, &w->d));
    desk_end(&k);
    assert_true(use.count <= UPLOADS_OF_DEVICE_MAX);
    assert_true(use.bytes <= UPLOAD_BYTES_OF_DEVICE_MAX); /* as large as they will be */
    assert_int_equal(use.count_all, use.count + 1);
    is_offset(look(w, &other, frame), 200, "20000");
    assert_int_equal(put(w, &other, frame, 20000, frame.n).status, 200);
}

/* Many handhelds begin with one byte each and go on together: every piece asks for room, not the first only.
 */
static void all_together_fill_no_more_than_there_is(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", ""), other = enrolled(w, "B", "");
    struct str frame = large_frame(w, &h, 60000);
    struct stmt *q = NULL;
    is_offset(put(w, &h, frame, 0, 20000), 204, "20000");
    begin(w, &other, 1, FRAME_SIZE_MAX);
    struct desk k = desk_begin(w, NULL); /* as if the other's were what all handhelds together have here */
    OK(cstore_begin(k.st, &w->d));
    OK(statement(k.st, "UPDATE upload SET have = ?2 WHERE county = ?1 AND device = ?3", &q, &w->d));
    bind_u64(q, 2, UPLOAD_BYTES_MAX - 30000);
    bind_u64(q, 3, other.device);
    OK(stmt_run(q, &w->d));
    OK(cstore_commit(k.st, &w->d));
    desk_end(&k);

    is_offset(put(w, &h, frame, 20000, 30000), 204, "30000");
    assert_int_equal(put(w, &h, frame, 30000, 40001).status, 503); /* the other is being worked on */
    is_offset(look(w, &h, frame), 200, "30000");
    sim_advance(w->sim, UPLOAD_IDLE_MS + 1000);
    is_offset(put(w, &h, frame, 30000, 40001), 204, "40001");
    assert_int_equal(put(w, &h, frame, 40001, frame.n).status, 200);
}

static void what_was_begun_and_left_is_gone_after_a_week(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", ""), other = enrolled(w, "B", "");
    struct str frame = large_frame(w, &h, 60000);
    is_offset(put(w, &h, frame, 0, 20000), 204, "20000");
    sim_advance(w->sim, UPLOAD_LIFE_MS + 1000);
    begin(w, &other, 1, 100);
    assert_int_equal(look(w, &h, frame).status, 404);
}

static void a_token_that_ran_out_does_not_block_an_upload(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", "");
    struct str frame = large_frame(w, &h, 60000);
    sim_advance(w->sim, SRV_TOKEN_LIFE_MS * 2);
    is_offset(put(w, &h, frame, 0, 20000), 204, "20000");
    struct answer last = put(w, &h, frame, 20000, frame.n);
    assert_int_equal(last.status, 200);
    assert_true(receipt_of(w, &h, last.body, NULL).token.n > 0);
}

/* ---- attachments ---- */

static struct str part_frame(struct world *w, struct handheld *h, struct str file, size_t at, size_t n,
                             struct row_id visit, const char *name, bool lie)
{
    struct part_link link = {.name = str_of(name)};
    struct part p = {
        .size = file.n, .at = at, .links = &link, .link_count = name[0] != 0, .bytes = str_sub(file, at, n)};
    struct buf payload, frame;
    row_id_write(visit, link.visit);
    OK(sha256(file, p.hash));
    p.hash[0] ^= lie;
    buf_init(&payload, FRAME_RAW_MAX);
    buf_init(&frame, FRAME_SIZE_MAX);
    OK(part_write(&p, &payload));
    struct frame_seal how = {.type = FRAME_OBJECT,
                             .device = h->device,
                             .inc = h->inc,
                             .batch_seq = at / 1000 + 1,
                             .schema = BATCH_SCHEMA_PART,
                             .recipient = srv_centre(w->server)->keys.seal_public,
                             .author = &h->sign};
    OK(frame_make(&how, buf_str(&payload), &frame, &w->d));
    struct str bytes = arena_str(&w->a, buf_str(&frame));
    buf_free(&payload);
    buf_free(&frame);
    return bytes;
}

static enum receipt_status part_sent(struct world *w, const struct handheld *h, struct str frame)
{
    struct answer a = send_frame(w, h, frame);
    struct frame f;
    size_t size;
    assert_int_equal(a.status, 200);
    struct receipt r = receipt_of(w, h, a.body, NULL);
    OK(frame_parse(frame, &f, &size, &w->d));
    assert_int_equal(r.item_count, 0);
    assert_int_equal(r.part_count, 1);
    assert_memory_equal(r.parts[0].batch_id, f.batch_id, BATCH_ID_SIZE);
    return r.parts[0].status;
}

static bool arrived_whole(struct world *w, struct row_id visit, const char *name, struct str file)
{
    struct attachment_row *list = NULL;
    uint32_t count = 0;
    struct str bytes = STR("");
    bool good = false;
    struct desk k = desk_begin(w, NULL);
    OK(cstore_attachments(k.st, &w->a, visit, &list, &count, &w->d));
    for (uint32_t i = 0; i < count; i++)
        if (str_eq_z(list[i].name, name) && list[i].whole) {
            OK(cstore_attachment_bytes(k.st, &w->a, list[i].hash, &bytes, &w->d));
            good = str_eq(bytes, file);
        }
    desk_end(&k);
    return good;
}

static void parts_come_in_any_order_and_twice(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", "");
    struct str file = random_text(w, 2500);
    struct row_id visit = {h.device, h.inc, 5};
    struct str parts[] = {part_frame(w, &h, file, 0, 1000, visit, "a.jpg", false),
                          part_frame(w, &h, file, 1000, 1000, visit, "", false),
                          part_frame(w, &h, file, 2000, 500, visit, "", false)};
    static const int order[] = {2, 0, 2, 0, 1, 1, 0};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        assert_int_equal(part_sent(w, &h, parts[order[i]]), RECEIPT_STORED);
        assert_int_equal(arrived_whole(w, visit, "a.jpg", file), i >= 4);
    }
    assert_true(look(w, &h, parts[1]).done);
    struct answer again = ask_upload(w, &h, HTTP_POST, name_of(parts[1]), "/commit", STR(""));
    assert_int_equal(again.status, 200);
    assert_int_equal(receipt_of(w, &h, again.body, NULL).part_count, 1);
}

static void the_same_photo_of_two_visits_is_kept_once(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", ""), other = enrolled(w, "B", "");
    struct str file = random_text(w, 900);
    struct row_id one = {h.device, h.inc, 5}, two = {other.device, other.inc, 6},
                  three = {h.device, h.inc, 7};
    struct attachment_counts n;
    assert_int_equal(part_sent(w, &h, part_frame(w, &h, file, 0, 900, one, "a.jpg", false)), RECEIPT_STORED);
    assert_int_equal(part_sent(w, &other, part_frame(w, &other, file, 0, 900, two, "b.jpg", false)),
                     RECEIPT_STORED);
    /* a visit that names a file that is here already sends the name alone */
    assert_int_equal(part_sent(w, &h, part_frame(w, &h, file, 900, 0, three, "c.jpg", false)),
                     RECEIPT_STORED);
    assert_true(arrived_whole(w, one, "a.jpg", file) && arrived_whole(w, two, "b.jpg", file) &&
                arrived_whole(w, three, "c.jpg", file));
    struct desk k = desk_begin(w, NULL);
    OK(cstore_attachment_counts(k.st, &n, &w->d));
    desk_end(&k);
    assert_int_equal(n.whole, 1);
    assert_int_equal(n.bytes, 900);
}

static void nobody_spoils_what_another_sends(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", ""), liar = enrolled(w, "B", "");
    struct str file = random_text(w, 2000), garbage = random_text(w, 2000);
    struct row_id visit = {h.device, h.inc, 5};
    assert_int_equal(part_sent(w, &h, part_frame(w, &h, file, 0, 1000, visit, "a.jpg", false)),
                     RECEIPT_STORED);
    /* other bytes under the same hash */
    struct part p = {.size = file.n, .at = 0, .bytes = garbage};
    struct buf payload, frame;
    OK(sha256(file, p.hash));
    buf_init(&payload, FRAME_RAW_MAX);
    buf_init(&frame, FRAME_SIZE_MAX);
    OK(part_write(&p, &payload));
    struct frame_seal how = {.type = FRAME_OBJECT,
                             .device = liar.device,
                             .inc = liar.inc,
                             .batch_seq = 1,
                             .schema = BATCH_SCHEMA_PART,
                             .recipient = srv_centre(w->server)->keys.seal_public,
                             .author = &liar.sign};
    OK(frame_make(&how, buf_str(&payload), &frame, &w->d));
    assert_int_equal(part_sent(w, &liar, buf_str(&frame)), RECEIPT_QUARANTINED);
    buf_free(&payload);
    buf_free(&frame);
    assert_int_equal(part_sent(w, &h, part_frame(w, &h, file, 1000, 1000, visit, "", false)), RECEIPT_STORED);
    assert_true(arrived_whole(w, visit, "a.jpg", file));
}

static void nobody_takes_a_name_in_anothers_visit(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", ""), liar = enrolled(w, "B", "");
    struct str file = random_text(w, 500), other = random_text(w, 600);
    struct row_id visit = {h.device, h.inc, 5};
    assert_int_equal(part_sent(w, &liar, part_frame(w, &liar, other, 0, 600, visit, "a.jpg", false)),
                     RECEIPT_QUARANTINED);
    assert_int_equal(part_sent(w, &h, part_frame(w, &h, file, 0, 500, visit, "a.jpg", false)),
                     RECEIPT_STORED);
    assert_true(arrived_whole(w, visit, "a.jpg", file));
}

static void a_file_has_no_more_bytes_than_it_has(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", "");
    struct str file = random_text(w, 3000);
    struct row_id visit = {h.device, h.inc, 5};
    enum receipt_status status = RECEIPT_STORED;
    for (size_t at = 1; status == RECEIPT_STORED; at++) {
        assert_in_range(at, 1, 4);
        status = part_sent(w, &h, part_frame(w, &h, file, at, 1000, visit, "", false));
    }
    assert_int_equal(status, RECEIPT_QUARANTINED);
    for (size_t at = 0; at < 3000; at += 1000) /* and as it should be */
        assert_int_equal(part_sent(w, &h, part_frame(w, &h, file, at, 1000, visit, "a.jpg", false)),
                         RECEIPT_STORED);
    assert_true(arrived_whole(w, visit, "a.jpg", file));
}

static void a_device_begins_so_many_files_and_ends_them(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", ""), other = enrolled(w, "B", "");
    struct str files[FILES_BEGUN_MAX + 1];
    struct row_id visit = {h.device, h.inc, 5};
    for (int i = 0; i < FILES_BEGUN_MAX; i++) {
        files[i] = random_text(w, 2000);
        assert_int_equal(part_sent(w, &h, part_frame(w, &h, files[i], 0, 1000, visit, "", false)),
                         RECEIPT_STORED);
    }
    files[FILES_BEGUN_MAX] = random_text(w, 2000);
    struct str one_more = part_frame(w, &h, files[FILES_BEGUN_MAX], 0, 1000, visit, "", false);
    assert_int_equal(send_frame(w, &h, one_more).status, 413);
    assert_int_equal(part_sent(w, &other, part_frame(w, &other, files[0], 0, 1000, visit, "", false)),
                     RECEIPT_STORED);
    assert_int_equal(part_sent(w, &h, part_frame(w, &h, files[3], 1000, 1000, visit, "a.jpg", false)),
                     RECEIPT_STORED);
    assert_true(arrived_whole(w, visit, "a.jpg", files[3]));
    assert_int_equal(part_sent(w, &h, one_more), RECEIPT_STORED);
}

static void a_part_that_nobody_signed_is_refused(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", ""), stranger = h;
    struct str file = random_text(w, 500);
    keys_make(w, &stranger);
    struct answer a = send_frame(w, &h,
                                 part_frame(w, &stranger, file, 0, 500, (struct row_id){h.device, h.inc, 5},
                                            "a.jpg", false));
    assert_true(a.status >= 400 && a.status < 500);
}

/* ---- patches ---- */

static void a_patch_goes_to_who_holds_the_earlier_version(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", "");
    unsigned char one[SHA256_SIZE], two[SHA256_SIZE];
    char url[200], hex[2][2 * SHA256_SIZE + 1] = {{0}};
    struct str base = random_text(w, 80000), target = arena_str(&w->a, base);
    struct buf back;
    memcpy((char *)(uintptr_t)target.p + 40000, "corrected", 9);
    OK(sha256(base, one));
    OK(sha256(target, two));
    hex_write(one, SHA256_SIZE, hex[0]);
    hex_write(two, SHA256_SIZE, hex[1]);
    struct desk k = desk_begin(w, NULL);
    OK(cstore_begin(k.st, &w->d));
    OK(cstore_object_put(k.st, one, STR("form"), base, 1, &w->d));
    OK(cstore_object_put(k.st, two, STR("form"), target, 2, &w->d));
    OK(cstore_commit(k.st, &w->d));
    desk_end(&k);
    (void)snprintf(url, sizeof url, "/v1/o/%s?from=%s", hex[1], hex[0]);
    for (int i = 0; i < 2; i++) { /* made, then kept */
        struct answer a = ask(w, &(struct asking){.url = url, .authorization = h.token});
        assert_int_equal(a.status, 200);
        assert_true(str_eq_z(a.patch, "1"));
        assert_true(a.body.n < 300);
        buf_init(&back, target.n);
        OK(zstd_unpatch(base, a.body, target.n, &back, &w->d));
        assert_true(str_eq(buf_str(&back), target));
        buf_free(&back);
    }
    (void)snprintf(url, sizeof url, "/v1/o/%s?from=%064d", hex[1], 7); /* a version that is not here */
    struct answer a = ask(w, &(struct asking){.url = url, .authorization = h.token});
    assert_int_equal(a.status, 200);
    assert_int_equal(a.patch.n, 0);
    assert_true(str_eq(a.body, target));
}

static void an_object_is_given_by_range(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "A", "");
    unsigned char hash[SHA256_SIZE];
    char url[200], hex[2 * SHA256_SIZE + 1] = {0};
    struct str whole = random_text(w, 300001);
    OK(sha256(whole, hash));
    hex_write(hash, SHA256_SIZE, hex);
    struct desk k = desk_begin(w, NULL);
    OK(cstore_begin(k.st, &w->d));
    OK(cstore_object_put(k.st, hash, STR("form"), whole, 1, &w->d));
    OK(cstore_commit(k.st, &w->d));
    desk_end(&k);
    (void)snprintf(url, sizeof url, "/v1/o/%s", hex);
    static const struct {
        const char *range;
        int status;
        size_t from, to;
        const char *says;
    } cases[] = {
        {"bytes=0-0", 206, 0, 1, "bytes 0-0/300001"},
        {"bytes=100-65635", 206, 100, 65636, "bytes 100-65635/300001"},
        {"bytes=300000-", 206, 300000, 300001, "bytes 300000-300000/300001"},
        {"bytes=262144-999999999999", 206, 262144, 300001, "bytes 262144-300000/300001"},
        {"bytes=0-18446744073709551615", 206, 0, 300001, "bytes 0-300000/300001"},
        {"bytes=300001-", 416, 0, 0, "bytes */300001"},
        {"bytes=18446744073709551615-", 416, 0, 0, "bytes */300001"},
        {"bytes=9-3", 416, 0, 0, "bytes */300001"},
        {"bytes=-5", 200, 0, 300001, NULL},
        {"lines=1-2", 200, 0, 300001, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a =
            ask(w, &(struct asking){.url = url, .authorization = h.token, .range = str_of(cases[i].range)});
        assert_int_equal(a.status, cases[i].status);
        assert_true(str_eq(a.body, str_sub(whole, cases[i].from, cases[i].to - cases[i].from)));
        assert_true(!cases[i].says || str_eq_z(a.content_range, cases[i].says));
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_frame_arrives_by_offset),
        TEST(the_start_of_the_server_loses_nothing_that_was_told),
        TEST(bytes_that_are_not_what_their_name_says_are_thrown_away),
        TEST(sizes_are_checked_before_anything_is_kept),
        TEST(a_device_can_fill_its_own_share_only),
        TEST(all_together_fill_no_more_than_there_is),
        TEST(what_was_begun_and_left_is_gone_after_a_week),
        TEST(a_token_that_ran_out_does_not_block_an_upload),
        TEST(parts_come_in_any_order_and_twice),
        TEST(the_same_photo_of_two_visits_is_kept_once),
        TEST(nobody_spoils_what_another_sends),
        TEST(nobody_takes_a_name_in_anothers_visit),
        TEST(a_file_has_no_more_bytes_than_it_has),
        TEST(a_device_begins_so_many_files_and_ends_them),
        TEST(a_part_that_nobody_signed_is_refused),
        TEST(a_patch_goes_to_who_holds_the_earlier_version),
        TEST(an_object_is_given_by_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
