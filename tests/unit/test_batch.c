/* Payloads of change frames: any value comes back byte for byte, a batch decodes alone, rows are named
 * safely, and the bytes are as few as the design promises. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "sync/batch.h"
#include "sync/envelope.h"

#define DEVICE UINT64_C(0x8877665544332211)
#define INC 3
#define NOW_MS INT64_C(1795442945000) /* 2026-11-23T14:09:05Z */

static struct arena arena;
static struct diag diag;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 256u << 20);
    diag_clear(&diag);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static uint64_t random_next(uint64_t *s)
{
    *s = *s * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint64_t x = *s;
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    return x ^ x >> 29;
}

static struct batch_head head_now(void)
{
    return (struct batch_head){.device = DEVICE,
                               .inc = INC,
                               .epoch = 2,
                               .now_ms = NOW_MS,
                               .anchor_ms = NOW_MS - 5 * 3600 * 1000,
                               .elapsed_ms = 5 * 3600 * 1000 + 2000};
}

static struct row_id own_row(uint32_t counter)
{
    return (struct row_id){DEVICE, INC, counter};
}

static struct str birth_of(struct row_birth birth)
{
    struct buf b;
    buf_init(&b, 100);
    assert_int_equal(row_birth_write(&b, &birth), ERR_OK);
    struct str s = arena_str(&arena, buf_str(&b));
    buf_free(&b);
    return s;
}

/* Numbers of rows as a device learnt them from the centre: row counter c of device 5 has number 1000 + c. */
static bool number_of(void *self, struct row_id id, uint64_t *out)
{
    uint32_t *limit = self;
    if (id.device != 5 || id.counter > *limit)
        return false;
    *out = 1000 + id.counter;
    return true;
}

static bool id_of(void *self, uint64_t number, struct row_id *out)
{
    uint32_t *limit = self;
    if (number <= 1000 || number > 1000 + *limit)
        return false;
    *out = (struct row_id){5, 1, (uint32_t)(number - 1000)};
    return true;
}

static uint32_t all_rows = 1u << 20;
static struct batch_rows numbers = {&all_rows, number_of, id_of, false};

static void same_change(const struct change *a, const struct change *b)
{
    assert_true(a->seq == b->seq);
    assert_true(row_id_same(a->row, b->row));
    assert_int_equal(a->field, b->field);
    assert_int_equal(a->op, b->op);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->person, b->person);
    assert_int_equal(a->role, b->role);
    assert_true(a->hlc == b->hlc);
    assert_true(a->seen == b->seen);
    assert_int_equal(a->value.n, b->value.n);
    if (a->value.n)
        assert_memory_equal(a->value.p, b->value.p, a->value.n);
}

/* Writes, reads back alone, compares; gives the size of the payload. */
static size_t round_trip(const struct batch_rows *rows, const struct change *changes, uint32_t n)
{
    struct batch_head head = head_now(), got = {.device = DEVICE, .inc = INC};
    struct buf payload;
    struct change *back;
    uint32_t count = 0;
    buf_init(&payload, FRAME_RAW_MAX);
    assert_int_equal(batch_write(&head, rows, changes, n, &payload, &diag), ERR_OK);
    enum err rc = batch_read(&arena, buf_str(&payload), rows, &got, &back, &count, &diag);
    if (rc)
        print_message("%s\n", diag.text);
    assert_int_equal(rc, ERR_OK);
    assert_int_equal(count, n);
    assert_int_equal(got.epoch, head.epoch);
    assert_true(got.now_ms == head.now_ms && got.anchor_ms == head.anchor_ms &&
                got.elapsed_ms == head.elapsed_ms);
    for (uint32_t i = 0; i < n; i++)
        same_change(&changes[i], &back[i]);
    size_t size = payload.n;
    buf_free(&payload);
    return size;
}

/* Size of the whole frame that carries these changes. */
static size_t frame_size(const struct batch_rows *rows, const struct change *changes, uint32_t n,
                         size_t *payload_out)
{
    struct batch_head head = head_now();
    struct key_pair_x25519 county;
    struct key_pair_p256 author;
    unsigned char seed[32] = {7};
    struct buf payload, frame;
    buf_init(&payload, FRAME_RAW_MAX);
    buf_init(&frame, FRAME_SIZE_MAX);
    assert_int_equal(crypto_init(&diag), ERR_OK);
    assert_int_equal(x25519_make(seed, &county), ERR_OK);
    assert_int_equal(p256_make(seed, &author), ERR_OK);
    assert_int_equal(batch_write(&head, rows, changes, n, &payload, &diag), ERR_OK);
    struct frame_seal how = {.type = FRAME_UP,
                             .device = DEVICE,
                             .inc = INC,
                             .batch_seq = 1,
                             .schema = BATCH_SCHEMA_CHANGES,
                             .recipient = county.public,
                             .author = &author};
    assert_int_equal(frame_make(&how, buf_str(&payload), &frame, &diag), ERR_OK);
    size_t size = frame.n;
    *payload_out = payload.n;
    buf_free(&payload);
    buf_free(&frame);
    return size;
}

static struct change set(uint64_t seq, struct row_id row, uint32_t field, const char *value)
{
    return (struct change){.seq = seq,
                           .row = row,
                           .field = field,
                           .op = CHANGE_SET,
                           .person = 41,
                           .role = 1,
                           .hlc = hlc_next(0, NOW_MS - 60000, 0),
                           .seen = 8123,
                           .value = str_of(value)};
}

static void any_value_comes_back(void **state)
{
    (void)state;
    static const char *const values[] = {
        "",
        "0",
        "1",
        "99",
        "100",
        "355",
        "356",
        "65891",
        "65892",
        "-1",
        "-0",
        "007",
        "00",
        "0x1",
        "+5",
        "1e5",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "1.5",
        "1.50",
        "0.05",
        "00.5",
        ".5",
        "5.",
        "-0.0",
        "-12.345",
        "1.2.3",
        "12345678.1234",
        "123456789012345678.9",
        "0.000000000000000001",
        "2026-11-23",
        "2026-02-30",
        "1950-01-01",
        "1899-12-31",
        "0001-01-01",
        "9999-12-31",
        "10000-01-01",
        "2026-1-1",
        "2026-11-23T14:49:05.123+08:00",
        "2026-11-23T14:49:05+08:00",
        "2026-11-23T14:49:05Z",
        "2026-11-23T14:49:05.123-05:45",
        "2026-11-23T24:00:00Z",
        "2026-11-23T14:49:05.12Z",
        "2026-11-23T14:49:05-00:00",
        "1601-01-01T00:00:00.000Z",
        "2026-11-23T14:49:60Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "12:30",
        "24:00",
        "12:30:00.000+08:00",
        "12:30:00.000Z",
        "09:05:01",
        "uuid:0f8fad5b-d9cb-469f-a165-70867728950e",
        "0f8fad5b-d9cb-469f-a165-70867728950e",
        "0F8FAD5B-D9CB-469F-A165-70867728950E",
        "uuid:88776655-4433-2211-0000-000300000001",
        "uuid:88776655-4433-2211-0000-000300000002",
        "deadbeef",
        "DEADBEEF",
        "deadbee",
        "deadbeeg",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "a b c",
        "1 3 7",
        "a  b",
        " a",
        "a ",
        " ",
        "31.2304 121.4737 12.5 4",
        "yes",
        "no",
        "option_a",
        "Yes",
        "王秀英",
        "住房漏雨，需要维修",
        "{\"a\":1}",
        "yes yes yes",
        "h12ab",
        "h12aB",
        "h12a",
        "uuid:88776655-4433-2211-0000-0003ffffffff",
        "uuid:0f8fad5b-d9cb-469f-a165-70867728950e x",
        "330127198001011234",
        "33012719800101123X",
        "13800138000",
        "\xff\xfe",
        "\x01",
        "tab\there",
        "line\nfeed",
    };
    enum { N = sizeof(values) / sizeof(values[0]) };
    struct change changes[2 * N];
    for (uint32_t i = 0; i < 2 * N; i++) /* the second time round all of them are repetitions */
        changes[i] = set(i + 1, own_row(1), i % N + 1, values[i % N]);
    round_trip(NULL, changes, 2 * N);
    for (uint32_t i = 0; i < N; i++)
        round_trip(NULL, &changes[i], 1);
}

static void bytes_with_zeros_and_long_texts_come_back(void **state)
{
    (void)state;
    struct change c = set(1, own_row(1), 1, "");
    c.value = (struct str){"a\0b\0", 4};
    round_trip(NULL, &c, 1);
    char *big = ARENA_ARRAY(&arena, char, BATCH_VALUE_MAX + 1);
    memset(big, 'x', BATCH_VALUE_MAX + 1);
    c.value = (struct str){big, BATCH_VALUE_MAX};
    round_trip(NULL, &c, 1);
    c.value.n++;
    struct batch_head head = head_now();
    struct buf payload;
    buf_init(&payload, FRAME_RAW_MAX);
    assert_int_equal(batch_write(&head, NULL, &c, 1, &payload, &diag), ERR_LIMIT);
    assert_int_equal(payload.n, 0);
    buf_free(&payload);
}

static const char *random_value(uint64_t *s)
{
    static const char alphabet[] = "0123456789-.: T+Zabcdefuid";
    char text[48];
    size_t n = random_next(s) % (sizeof(text) - 1);
    uint64_t shape = random_next(s) % 6;
    if (shape == 0)
        snprintf(text, sizeof(text), "%lld", (long long)(random_next(s) >> random_next(s) % 64));
    else if (shape == 1)
        snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03d+%02d:%02d",
                 (int)(random_next(s) % 3000), (int)(random_next(s) % 14), (int)(random_next(s) % 33),
                 (int)(random_next(s) % 25), (int)(random_next(s) % 61), (int)(random_next(s) % 61),
                 (int)(random_next(s) % 1000), (int)(random_next(s) % 15), (int)(random_next(s) % 4) * 15);
    else if (shape == 2)
        snprintf(text, sizeof(text), "%s%d.%0*d", random_next(s) % 4 ? "" : "-",
                 (int)(random_next(s) % 100000), (int)(random_next(s) % 7), (int)(random_next(s) % 1000));
    else {
        for (size_t i = 0; i < n; i++)
            text[i] = alphabet[random_next(s) % (sizeof(alphabet) - 1)];
        text[n] = '\0';
    }
    return arena_z(&arena, str_of(text));
}

static struct row_id random_row(uint64_t *s)
{
    switch (random_next(s) % 4) {
    case 0: return own_row((uint32_t)(random_next(s) % 30 + 1));
    case 1: return (struct row_id){5, 1, (uint32_t)(random_next(s) % 300 + 1)};
    case 2: return (struct row_id){0, 0, (uint32_t)(random_next(s) % 9 + 1)};
    default: return (struct row_id){random_next(s), (uint32_t)random_next(s), (uint32_t)random_next(s)};
    }
}

static struct change random_change(uint64_t *s, uint64_t seq, const struct change *before)
{
    struct change c = {.seq = seq, .row = random_row(s), .value = STR("")};
    if (before && random_next(s) % 3)
        c = *before;
    c.seq = seq;
    uint64_t kind = random_next(s) % 12;
    c.op = kind < 8 ? CHANGE_SET : (enum change_op)(kind - 7);
    c.field = (uint32_t)(random_next(s) >> random_next(s) % 64);
    c.value = STR("");
    bool on_row = c.op == CHANGE_ROW_DELETE || c.op == CHANGE_ROW_CREATE || c.op == CHANGE_FINALISE;
    if (on_row)
        c.field = 0;
    if (c.op == CHANGE_ROW_CREATE && random_next(s) % 4)
        c.value = birth_of(
            (struct row_birth){.kind = (enum row_kind)(random_next(s) % 255 + 1),
                               .parent = random_next(s) % 2 ? random_row(s) : (struct row_id){0},
                               .number = (uint32_t)(random_next(s) % 3),
                               .order = (int64_t)random_next(s) >> random_next(s) % 64,
                               .object = {(unsigned char)(random_next(s) % 2)}});
    else if (random_next(s) % 8)
        c.value = str_of(random_value(s));
    if (random_next(s) % 6 == 0) {
        c.status = (uint8_t)random_next(s);
        c.person = (uint32_t)random_next(s);
        c.role = (uint8_t)random_next(s);
        c.hlc = (int64_t)random_next(s);
        c.seen = random_next(s) >> random_next(s) % 64;
    } else if (random_next(s) % 2) {
        c.hlc = hlc_next(c.hlc, NOW_MS + (int64_t)(random_next(s) % 100000), 0);
    }
    return c;
}

static void any_batch_comes_back(void **state)
{
    (void)state;
    uint64_t s = 11;
    for (int round = 0; round < 3000; round++) {
        struct arena_mark mark = arena_mark(&arena);
        uint32_t n = (uint32_t)(random_next(&s) % 40);
        struct change changes[40];
        uint64_t seq = random_next(&s) >> (random_next(&s) % 40 + 20);
        for (uint32_t i = 0; i < n; i++) {
            seq += 1 + (random_next(&s) % 5 == 0 ? random_next(&s) % 9 : 0);
            changes[i] = random_change(&s, seq, i ? &changes[i - 1] : NULL);
        }
        round_trip(round % 2 ? &numbers : NULL, changes, n);
        arena_release(&arena, mark);
    }
}

static void rows_named_by_number_need_the_same_table(void **state)
{
    (void)state;
    struct change c = set(900, (struct row_id){5, 1, 77}, 3, "4");
    struct batch_head head = head_now(), got = {.device = DEVICE, .inc = INC};
    struct change *back;
    uint32_t count, few = 5;
    struct buf payload;
    buf_init(&payload, 1000);
    assert_int_equal(batch_write(&head, &numbers, &c, 1, &payload, &diag), ERR_OK);
    struct batch_rows unknown = {&few, number_of, id_of, false};
    assert_int_equal(batch_read(&arena, buf_str(&payload), &unknown, &got, &back, &count, &diag), ERR_STATE);
    assert_non_null(strstr(diag.text, "full row ids"));
    diag_clear(&diag);
    assert_int_equal(batch_read(&arena, buf_str(&payload), NULL, &got, &back, &count, &diag), ERR_STATE);
    buf_free(&payload);
}

static bool other_id_of(void *self, uint64_t number, struct row_id *out)
{
    bool known = id_of(self, number, out);
    out->counter++;
    return known;
}

static void numbers_that_mean_other_rows_are_noticed(void **state)
{
    (void)state;
    struct change c = set(900, (struct row_id){5, 1, 77}, 3, "4");
    struct batch_head head = head_now(), got = {.device = DEVICE, .inc = INC};
    struct batch_rows restored = {&all_rows, number_of, other_id_of, false};
    struct change *back;
    uint32_t count;
    struct buf payload;
    buf_init(&payload, 1000);
    assert_int_equal(batch_write(&head, &numbers, &c, 1, &payload, &diag), ERR_OK);
    assert_int_equal(batch_read(&arena, buf_str(&payload), &restored, &got, &back, &count, &diag), ERR_STATE);
    assert_non_null(strstr(diag.text, "numbers"));
    buf_free(&payload);
}

static void a_cut_or_changed_payload_never_crashes(void **state)
{
    (void)state;
    uint64_t s = 5;
    struct change changes[30];
    for (uint32_t i = 0; i < 30; i++)
        changes[i] = random_change(&s, i + 1, i ? &changes[i - 1] : NULL);
    struct batch_head head = head_now(), got = {.device = DEVICE, .inc = INC};
    struct change *back;
    uint32_t count;
    struct buf payload;
    buf_init(&payload, 100000);
    assert_int_equal(batch_write(&head, &numbers, changes, 30, &payload, &diag), ERR_OK);
    for (size_t cut = 0; cut < payload.n; cut++) {
        diag_clear(&diag);
        struct arena_mark mark = arena_mark(&arena);
        assert_int_not_equal(batch_read(&arena, (struct str){payload.p, cut}, &numbers, &got, &back, &count,
                                        &diag),
                             ERR_OK);
        assert_true(diag.text[0] != 0);
        arena_release(&arena, mark);
    }
    for (int round = 0; round < 20000; round++) {
        struct arena_mark mark = arena_mark(&arena);
        char *p = ARENA_ARRAY(&arena, char, payload.n);
        memcpy(p, payload.p, payload.n);
        for (uint64_t k = random_next(&s) % 3 + 1; k; k--)
            p[random_next(&s) % payload.n] = (char)random_next(&s);
        diag_clear(&diag);
        enum err rc = batch_read(&arena, (struct str){p, payload.n}, &numbers, &got, &back, &count, &diag);
        assert_true(rc == ERR_OK || diag.text[0] != 0);
        arena_release(&arena, mark);
    }
    buf_free(&payload);
}

static void changes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct batch_head head = head_now();
    struct buf payload;
    buf_init(&payload, 1000);
    struct change unordered[2] = {set(5, own_row(1), 1, "a"), set(5, own_row(1), 2, "b")};
    assert_int_equal(batch_write(&head, NULL, unordered, 2, &payload, &diag), ERR_USAGE);
    diag_clear(&diag);
    struct change deleted = set(1, own_row(1), 4, "");
    deleted.op = CHANGE_ROW_DELETE;
    assert_int_equal(batch_write(&head, NULL, &deleted, 1, &payload, &diag), ERR_USAGE);
    assert_non_null(strstr(diag.text, "field 4"));
    buf_free(&payload);
}

static void times_of_the_head_are_whole_seconds(void **state)
{
    (void)state;
    struct batch_head head = head_now(), got = {.device = DEVICE, .inc = INC};
    head.now_ms += 999;
    head.elapsed_ms = -1;
    struct change *back;
    uint32_t count;
    struct buf payload;
    buf_init(&payload, 1000);
    assert_int_equal(batch_write(&head, NULL, NULL, 0, &payload, &diag), ERR_OK);
    assert_int_equal(batch_read(&arena, buf_str(&payload), NULL, &got, &back, &count, &diag), ERR_OK);
    assert_int_equal(count, 0);
    assert_true(got.now_ms == NOW_MS && got.elapsed_ms == -1 && got.anchor_ms == head.anchor_ms);
    static const int64_t odd[] = {0, -1, -1500, INT64_MIN, INT64_MAX, 1};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        buf_clear(&payload);
        head.now_ms = odd[i];
        head.anchor_ms = odd[5 - i];
        head.elapsed_ms = odd[i];
        assert_int_equal(batch_write(&head, NULL, NULL, 0, &payload, &diag), ERR_OK);
        assert_int_equal(batch_read(&arena, buf_str(&payload), NULL, &got, &back, &count, &diag), ERR_OK);
    }
    buf_free(&payload);
}

static void a_downlink_comes_back(void **state)
{
    (void)state;
    uint64_t s = 99;
    for (int round = 0; round < 1000; round++) {
        struct arena_mark mark = arena_mark(&arena);
        uint32_t n = (uint32_t)(random_next(&s) % 30);
        struct change changes[30], *back;
        struct down_author authors[30], *who;
        struct batch_head head = {.epoch = 9, .now_ms = NOW_MS, .cursor_from = 1000, .caught_up = round % 2};
        head.cursor = head.cursor_from;
        for (uint32_t i = 0; i < n; i++) {
            changes[i] = random_change(&s, i + 1, i ? &changes[i - 1] : NULL);
            struct row_id author = random_row(&s);
            head.cursor += 1 + random_next(&s) % 3;
            authors[i] = (struct down_author){author.device,
                                              author.inc,
                                              random_next(&s),
                                              changes[i].hlc,
                                              random_next(&s) % head.cursor,
                                              random_next(&s) % 9};
            changes[i].seq = authors[i].seq;
        }
        struct buf payload;
        uint32_t count;
        struct batch_head got = {0};
        buf_init(&payload, FRAME_RAW_MAX);
        assert_int_equal(down_write(&head, changes, authors, n, &payload, &diag), ERR_OK);
        assert_int_equal(down_read(&arena, buf_str(&payload), &got, &back, &who, &count, &diag), ERR_OK);
        assert_int_equal(count, n);
        assert_true(got.cursor == head.cursor && got.cursor_from == 1000 && got.caught_up == (round % 2));
        for (uint32_t i = 0; i < n; i++) {
            same_change(&changes[i], &back[i]);
            assert_true(who[i].device == authors[i].device && who[i].inc == authors[i].inc);
            assert_true(who[i].seq == authors[i].seq && who[i].hlc == authors[i].hlc);
            assert_true(who[i].server_seq == authors[i].server_seq &&
                        who[i].row_number == authors[i].row_number);
        }
        buf_free(&payload);
        arena_release(&arena, mark);
    }
}

/* The second visit to a known household: three answers, the visit's own row, the end. */
static uint32_t second_visit(struct change *c)
{
    static const char *const hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    static const char *const xml = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    static const char *const pack = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    struct row_id interview = {5, 1, 77}, visit = own_row(31);
    const char *facts[] = {hash,
                           "monitoring",
                           "2026-11-23T14:02:11.000+08:00",
                           "2026-11-23T14:08:40.000+08:00",
                           "41",
                           "uuid:88776655-4433-2211-0000-00030000001f",
                           xml,
                           "no",
                           pack,
                           "none",
                           "zh"};
    uint32_t n = 0;
    c[n] = set(n + 4321, visit, 0, "");
    c[n].op = CHANGE_ROW_CREATE;
    c[n++].value = birth_of((struct row_birth){.kind = ROW_VISIT, .parent = interview});
    static const uint32_t fields[] = {12, 17, 44};
    static const char *const values[] = {"3", "12600", "yes"};
    for (int i = 0; i < 3; i++, n++)
        c[n] = set(n + 4321, interview, fields[i], values[i]);
    for (uint32_t i = 0; i < 11; i++, n++)
        c[n] = set(n + 4321, visit, i + 1, facts[i]);
    c[n] = set(n + 4321, visit, 0, "");
    c[n++].op = CHANGE_FINALISE;
    return n;
}

static uint32_t new_household(struct change *c, uint32_t questions, uint64_t *s)
{
    static const char *const names[] = {"Amina", "Jean-Paul", "Kofi", "none", "Maize", "Cassava", "river"};
    struct row_id household = own_row(10), interview = own_row(11), visit = own_row(12);
    uint32_t n = 0;
    c[n] = set(n + 1, household, 0, "");
    c[n].op = CHANGE_ROW_CREATE;
    c[n++].value = birth_of((struct row_birth){.kind = ROW_HOUSEHOLD});
    c[n++] = set(2, household, HOUSEHOLD_CODE, "330127104203");
    c[n++] = set(3, household, HOUSEHOLD_NAME, "王秀英");
    c[n] = set(n + 1, interview, 0, "");
    c[n].op = CHANGE_ROW_CREATE;
    c[n++].value = birth_of(
        (struct row_birth){.kind = ROW_INTERVIEW, .parent = household, .object = {1, 2, 3, 4, 5, 6, 7, 8}});
    for (uint32_t q = 0; q < questions; q++, n++) {
        char text[32];
        if (q % 5 == 0)
            snprintf(text, sizeof(text), "%s", names[random_next(s) % 7]);
        else if (q % 5 == 1)
            snprintf(text, sizeof(text), "%d", (int)(random_next(s) % 99));
        else if (q % 5 == 2)
            snprintf(text, sizeof(text), "%.2f", (double)(random_next(s) % 50000) / 100);
        else if (q % 5 == 3)
            snprintf(text, sizeof(text), "option_%c", random_next(s) % 2 ? 'a' : 'b');
        else
            snprintf(text, sizeof(text), "2026-%02d-%02d", (int)(random_next(s) % 12 + 1),
                     (int)(random_next(s) % 27 + 1));
        c[n] = set(n + 1, interview, q + 1, arena_z(&arena, str_of(text)));
    }
    struct change visit_changes[20];
    uint32_t m = second_visit(visit_changes);
    for (uint32_t i = 0; i < m; i++) {
        if (visit_changes[i].row.counter == 77)
            continue;
        c[n] = visit_changes[i];
        c[n].row = visit;
        if (c[n].field == VISIT_INSTANCE)
            c[n].value = STR("uuid:88776655-4433-2211-0000-00030000000c");
        if (c[n].op == CHANGE_ROW_CREATE)
            c[n].value = birth_of((struct row_birth){.kind = ROW_VISIT, .parent = interview});
        c[n].seq = n + 1;
        n++;
    }
    return n;
}

static void bytes_are_few(void **state)
{
    (void)state;
    struct change c[300];
    uint64_t s = 1;
    size_t payload, size;

    c[0] = set(4321, (struct row_id){5, 1, 77}, 12, "3");
    round_trip(&numbers, c, 1);
    size = frame_size(&numbers, c, 1, &payload);
    print_message("one field: payload %zu, frame %zu\n", payload, size);
    assert_true(size <= 164 + 32);

    uint32_t n = second_visit(c);
    round_trip(&numbers, c, n);
    size = frame_size(&numbers, c, n, &payload);
    print_message("three fields and the visit: payload %zu, frame %zu\n", payload, size);
    assert_true(size <= 164 + 180);

    n = new_household(c, 40, &s);
    round_trip(&numbers, c, n);
    size = frame_size(&numbers, c, n, &payload);
    print_message("new household, 40 questions: payload %zu, frame %zu\n", payload, size);
    assert_true(size <= 164 + 300);

    n = new_household(c, 200, &s);
    round_trip(&numbers, c, n);
    size = frame_size(&numbers, c, n, &payload);
    print_message("new household, 200 questions: payload %zu, frame %zu\n", payload, size);
    assert_true(size <= 164 + 570);

    int64_t wall = NOW_MS - 6 * 3600 * 1000, hlc = 0;
    for (uint32_t i = 0; i < 100; i++) {
        char text[16];
        wall += 120000 + (int64_t)(random_next(&s) % 120000);
        hlc = hlc_next(hlc, wall, 0);
        snprintf(text, sizeof(text), "%d", (int)(random_next(&s) % (i % 3 ? 8 : 30000)));
        c[i] = set(4321 + i, (struct row_id){5, 1, (uint32_t)(random_next(&s) % 400 + 1)},
                   (uint32_t)(random_next(&s) % 40 + 1), arena_z(&arena, str_of(text)));
        c[i].hlc = hlc;
    }
    round_trip(&numbers, c, 100);
    size = frame_size(&numbers, c, 100, &payload);
    print_message("100 households, one field each: payload %zu, frame %zu\n", payload, size);
    assert_true(size <= 164 + 720);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_value_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_with_zeros_and_long_texts_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(any_batch_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(rows_named_by_number_need_the_same_table, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_that_mean_other_rows_are_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cut_or_changed_payload_never_crashes, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_that_cannot_be_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(times_of_the_head_are_whole_seconds, setup, teardown),
        cmocka_unit_test_setup_teardown(a_downlink_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_are_few, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
