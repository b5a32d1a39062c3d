/* Enrolment, keyset, receipts: what people type and cameras read, and what only the right key may have
 * written. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "sync/wire.h"

static struct arena arena;
static struct diag diag;
static struct key_pair_x25519 county, handheld, other;
static struct key_pair_p256 root, centre, stranger;

static int setup(void **state)
{
    (void)state;
    unsigned char seed[32] = {1};
    diag_clear(&diag);
    arena_init(&arena, 8u << 20);
    assert_int_equal(crypto_init(&diag), ERR_OK);
    assert_int_equal(x25519_make(seed, &county), ERR_OK);
    assert_int_equal(p256_make(seed, &root), ERR_OK);
    seed[0] = 2;
    assert_int_equal(x25519_make(seed, &handheld), ERR_OK);
    assert_int_equal(p256_make(seed, &centre), ERR_OK);
    seed[0] = 3;
    assert_int_equal(x25519_make(seed, &other), ERR_OK);
    assert_int_equal(p256_make(seed, &stranger), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

/* --- tokens
 * ------------------------------------------------------------------------------------------------- */

#define TOKEN UINT64_C(0x0abcdef012345678)

static void a_token_is_read_as_people_type_it(void **state)
{
    (void)state;
    char text[ENROL_TOKEN_TEXT], typed[64];
    uint64_t got;
    enrol_token_write(TOKEN, text);
    assert_int_equal(strlen(text), 16);
    assert_true(text[4] == '-' && text[9] == '-' && text[14] == '-');
    assert_true(enrol_token_read(str_of(text), &got));
    assert_true(got == TOKEN);
    size_t n = 0;
    for (const char *p = text; *p; p++) { /* lower case, spaces for hyphens, o for 0 and l for 1 */
        char c = *p;
        typed[n++] = c == '-'   ? ' '
                     : c == '0' ? 'o'
                     : c == '1' ? 'l'
                                : (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    got = 0;
    assert_true(enrol_token_read((struct str){typed, n}, &got));
    assert_true(got == TOKEN);
    enrol_token_write(0, text);
    assert_string_equal(text, "0000-0000-0000-0");
}

static void every_slip_of_one_digit_or_two_swapped_is_noticed(void **state)
{
    (void)state;
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    char text[ENROL_TOKEN_TEXT];
    uint64_t got;
    enrol_token_write(TOKEN, text);
    for (size_t i = 0; i < 16; i++) {
        char right = text[i];
        for (const char *d = digits; *d && right != '-'; d++) {
            text[i] = *d;
            assert_true(enrol_token_read(str_of(text), &got) == (*d == right));
        }
        text[i] = right;
        for (size_t k = 0; k < i && right != '-'; k++) {
            char a = text[k];
            if (a == '-' || a == right)
                continue;
            text[k] = right;
            text[i] = a;
            assert_false(enrol_token_read(str_of(text), &got));
            text[k] = a;
            text[i] = right;
        }
    }
    assert_false(enrol_token_read(STR(""), &got));
    assert_false(enrol_token_read(STR("0000-0000-0000"), &got));
    assert_false(enrol_token_read(STR("0000-0000-0000-00"), &got));
    assert_false(enrol_token_read(STR("0000-0000-000!-0"), &got));
}

/* --- QR code
 * ------------------------------------------------------------------------------------------------ */

static void an_enrolment_code_comes_back(void **state)
{
    (void)state;
    struct enrol_code c = {.url = STR("https://county.example:8443/ds"), .token60 = TOKEN}, got;
    memcpy(c.seal_public, county.public, sizeof(c.seal_public));
    assert_int_equal(root_print_of(root.public, c.root_print), ERR_OK);
    struct buf text;
    buf_init(&text, 1000);
    assert_int_equal(enrol_code_write(&c, &text), ERR_OK);
    assert_true(text.n <= 150);
    assert_int_equal(enrol_code_read(&arena, buf_str(&text), &got, &diag), ERR_OK);
    assert_true(str_eq(got.url, c.url) && got.token60 == TOKEN);
    assert_memory_equal(got.seal_public, c.seal_public, sizeof(c.seal_public));
    assert_memory_equal(got.root_print, c.root_print, sizeof(c.root_print));
    for (size_t cut = 0; cut + 31 < text.n;
         cut++) { /* a cut address is still an address; all else is noticed */
        diag_clear(&diag);
        assert_int_equal(enrol_code_read(&arena, (struct str){text.p, cut}, &got, &diag), ERR_SYNTAX);
    }
    buf_clear(&text);
    c.url = STR("ftp://county.example");
    assert_int_equal(enrol_code_write(&c, &text), ERR_USAGE);
    buf_free(&text);
}

/* --- keyset
 * ------------------------------------------------------------------------------------------------- */

static struct keyset keyset_usual(void)
{
    struct keyset k = {.county = STR("云山县"), .epoch = 7, .issued_ms = 1795442945123};
    memcpy(k.root_public, root.public, sizeof(k.root_public));
    memcpy(k.sign_public, centre.public, sizeof(k.sign_public));
    memcpy(k.seal_public, county.public, sizeof(k.seal_public));
    return k;
}

static void a_keyset_is_believed_only_by_its_root(void **state)
{
    (void)state;
    struct keyset k = keyset_usual(), got;
    unsigned char print[16], wrong[16] = {0};
    struct buf json;
    buf_init(&json, 10000);
    assert_int_equal(root_print_of(root.public, print), ERR_OK);
    assert_int_equal(keyset_write(&k, &root, &json, &diag), ERR_OK);
    assert_int_equal(keyset_read(&arena, buf_str(&json), print, &got, &diag), ERR_OK);
    assert_true(str_eq(got.county, k.county) && got.epoch == 7 && got.issued_ms == k.issued_ms);
    assert_memory_equal(got.sign_public, k.sign_public, sizeof(k.sign_public));
    assert_memory_equal(got.seal_public, k.seal_public, sizeof(k.seal_public));
    assert_int_equal(keyset_read(&arena, buf_str(&json), NULL, &got, &diag), ERR_OK);
    assert_int_equal(keyset_read(&arena, buf_str(&json), wrong, &got, &diag), ERR_DENIED);
    assert_non_null(strstr(diag.text, "another root"));

    diag_clear(&diag);
    buf_clear(&json);
    assert_int_equal(keyset_write(&k, &stranger, &json, &diag), ERR_OK);
    assert_int_equal(keyset_read(&arena, buf_str(&json), print, &got, &diag), ERR_CORRUPT);
    diag_clear(&diag);
    assert_int_equal(keyset_read(&arena, STR("<html>log in</html>"), print, &got, &diag), ERR_SYNTAX);
    diag_clear(&diag);
    assert_int_equal(keyset_read(&arena, STR("{}"), print, &got, &diag), ERR_CORRUPT);
    buf_free(&json);
}

static void a_fingerprint_is_compared_by_eye(void **state)
{
    (void)state;
    unsigned char print[16] = {0x7f, 0x3a, 0x09, 0xc2}, got[16];
    char text[40];
    root_print_text(print, text);
    assert_string_equal(text, "7F3A 09C2 0000 0000 0000 0000 0000 0000");
    assert_true(root_print_read(str_of(text), got));
    assert_memory_equal(got, print, 16);
    assert_true(root_print_read(STR("7f3a09c2000000000000000000000000"), got));
    assert_false(root_print_read(STR("7F3A 09C2"), got));
    assert_false(root_print_read(STR("7F3A 09C2 0000 0000 0000 0000 0000 00000"), got));
}

/* --- enrolment
 * ---------------------------------------------------------------------------------------------- */

static void an_enrolment_is_for_the_county_only(void **state)
{
    (void)state;
    struct enrol_request r = {.token60 = TOKEN, .model = STR("Xin A5"), .version = STR("0.1"), .now_ms = -5},
                         got;
    memcpy(r.seal_public, handheld.public, sizeof(r.seal_public));
    memcpy(r.sign_public, stranger.public, sizeof(r.sign_public));
    struct buf body;
    buf_init(&body, 10000);
    assert_int_equal(enrol_request_write(&r, county.public, NULL, &body, &diag), ERR_OK);
    assert_int_equal(enrol_request_read(&arena, buf_str(&body), &county, &got, &diag), ERR_OK);
    assert_true(got.token60 == TOKEN && got.now_ms == -5 && str_eq(got.model, r.model) &&
                str_eq(got.version, r.version));
    assert_memory_equal(got.seal_public, r.seal_public, sizeof(r.seal_public));
    assert_memory_equal(got.sign_public, r.sign_public, sizeof(r.sign_public));
    assert_int_not_equal(enrol_request_read(&arena, buf_str(&body), &other, &got, &diag), ERR_OK);
    for (size_t i = 0; i < body.n; i++) {
        body.p[i] ^= 4;
        assert_int_not_equal(enrol_request_read(&arena, buf_str(&body), &county, &got, NULL), ERR_OK);
        assert_int_not_equal(enrol_request_read(&arena, (struct str){body.p, i}, &county, &got, NULL),
                             ERR_OK);
        body.p[i] ^= 4;
    }
    buf_free(&body);
}

static void a_reply_is_for_one_handheld_only(void **state)
{
    (void)state;
    struct keyset keys = keyset_usual();
    struct enrol_reply r = {.device = UINT64_C(0xfedcba9876543210),
                            .inc = 2,
                            .person = 41,
                            .role = 3,
                            .person_name = STR("李 \"小\" 明"),
                            .county = STR("云山县"),
                            .area = STR("3301"),
                            .epoch = 7,
                            .server_time_ms = 1795442945123,
                            .token = STR("v1.abcDEF-_"),
                            .token_until_ms = 1795442999999,
                            .certificate = {"\x00\xff"
                                            "cert",
                                            6}},
                       got;
    struct buf body;
    buf_init(&body, 10000);
    assert_int_equal(enrol_reply_write(&r, &centre, handheld.public, NULL, &body, &diag), ERR_OK);
    assert_int_equal(enrol_reply_read(&arena, buf_str(&body), &keys, &handheld, &got, &diag), ERR_OK);
    assert_true(got.device == r.device && got.inc == 2 && got.person == 41 && got.role == 3 &&
                got.epoch == 7);
    assert_true(str_eq(got.person_name, r.person_name) && str_eq(got.token, r.token));
    assert_true(str_eq(got.certificate, r.certificate) && got.token_until_ms == r.token_until_ms);
    assert_true(str_eq(got.area, r.area) && str_eq(got.county, r.county) &&
                got.server_time_ms == r.server_time_ms);
    assert_int_equal(str_find(buf_str(&body), r.token), -1); /* the token does not travel in the clear */
    assert_int_equal(enrol_reply_read(&arena, buf_str(&body), &keys, &other, &got, &diag), ERR_CORRUPT);
    diag_clear(&diag);
    buf_clear(&body);
    assert_int_equal(enrol_reply_write(&r, &stranger, handheld.public, NULL, &body, &diag), ERR_OK);
    assert_int_equal(enrol_reply_read(&arena, buf_str(&body), &keys, &handheld, &got, &diag), ERR_CORRUPT);
    assert_non_null(strstr(diag.text, "not signed by the centre"));
    buf_free(&body);
}

/* --- receipts
 * ----------------------------------------------------------------------------------------------- */

static void a_receipt_comes_back(void **state)
{
    (void)state;
    struct receipt_item items[3] = {
        {.batch_seq = 41,
         .batch_id = {1, 2, 3},
         .status = RECEIPT_STORED,
         .server_seq = 8130,
         .reason = STR("")},
        {.batch_seq = 45,
         .batch_id = {4},
         .status = RECEIPT_QUARANTINED,
         .cause = ERR_STATE,
         .reason = STR("numbers")},
        {.batch_seq = 3, .batch_id = {5}, .status = RECEIPT_CONFLICTS, .reason = STR("")}};
    struct receipt r = {.epoch = 7,
                        .device = UINT64_C(0xfedcba9876543210),
                        .inc = 2,
                        .contiguous = 41,
                        .cursor = 8131,
                        .caught_up = true,
                        .cursor_from = 8000,
                        .refused = ERR_DENIED,
                        .server_time_ms = 1795442945000,
                        .clock_off_ms = -86400000,
                        .token = STR("v1.next"),
                        .token_until_ms = 1796442945000,
                        .items = items,
                        .item_count = 3},
                   got;
    struct buf payload;
    buf_init(&payload, 1000);
    assert_int_equal(receipt_write(&r, &payload), ERR_OK);
    assert_int_equal(receipt_read(&arena, buf_str(&payload), &got, &diag), ERR_OK);
    assert_true(got.epoch == 7 && got.device == r.device && got.inc == 2 && got.contiguous == 41 &&
                got.cursor == 8131);
    assert_true(got.caught_up && got.cursor_from == 8000 && got.refused == ERR_DENIED);
    assert_true(got.server_time_ms == r.server_time_ms && got.clock_off_ms == r.clock_off_ms);
    assert_true(str_eq(got.token, r.token) && got.token_until_ms == r.token_until_ms);
    assert_int_equal(got.item_count, 3);
    for (int i = 0; i < 3; i++) {
        assert_true(got.items[i].batch_seq == items[i].batch_seq && got.items[i].status == items[i].status);
        assert_memory_equal(got.items[i].batch_id, items[i].batch_id, BATCH_ID_SIZE);
        assert_true(got.items[i].server_seq == items[i].server_seq && got.items[i].cause == items[i].cause);
        assert_true(str_eq(got.items[i].reason, items[i].reason));
    }
    for (size_t cut = 0; cut < payload.n; cut++)
        assert_int_equal(receipt_read(&arena, (struct str){payload.p, cut}, &got, NULL), ERR_CORRUPT);
    buf_put_char(&payload, 0);
    assert_int_equal(receipt_read(&arena, buf_str(&payload), &got, NULL), ERR_CORRUPT);
    buf_free(&payload);
}

static void the_usual_receipt_is_short(void **state)
{
    (void)state;
    struct receipt_item item = {.batch_seq = 41,
                                .status = RECEIPT_STORED,
                                .server_seq = 8130,
                                .reason = STR("")};
    struct receipt r = {.epoch = 7,
                        .device = 1,
                        .inc = 2,
                        .contiguous = 41,
                        .cursor = 8130,
                        .caught_up = true,
                        .cursor_from = 8123,
                        .server_time_ms = 1795442945999,
                        .token = STR(""),
                        .items = &item,
                        .item_count = 1},
                   got;
    struct buf payload;
    buf_init(&payload, 1000);
    assert_int_equal(receipt_write(&r, &payload), ERR_OK);
    print_message("a receipt of one batch: %zu bytes\n", payload.n);
    assert_true(payload.n <= 46);
    assert_int_equal(receipt_read(&arena, buf_str(&payload), &got, &diag), ERR_OK);
    assert_true(got.server_time_ms == 1795442945000); /* whole seconds */
    assert_true(got.token.n == 0 && got.clock_off_ms == 0 && !got.refused);
    buf_free(&payload);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_token_is_read_as_people_type_it), CASE(every_slip_of_one_digit_or_two_swapped_is_noticed),
        CASE(an_enrolment_code_comes_back),      CASE(a_keyset_is_believed_only_by_its_root),
        CASE(a_fingerprint_is_compared_by_eye),  CASE(an_enrolment_is_for_the_county_only),
        CASE(a_reply_is_for_one_handheld_only),  CASE(a_receipt_comes_back),
        CASE(the_usual_receipt_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
