/* The base: text, memory, bytes, look-up tables, the error table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "platform/base/arena.h"
#include "platform/base/buf.h"
#include "platform/base/log.h"
#include "platform/base/map.h"
#include "platform/http_serve.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#endif

#define assert_str(s, expected)                                                 \
    do {                                                                        \
        struct str s_ = (s);                                                    \
        if (!str_eq_z(s_, (expected)))                                          \
            fail_msg("got \"%.*s\", expected \"%s\"", STR_ARG(s_), (expected)); \
    } while (0)

/* ---- errors ---- */

static void every_error_says_what_to_do(void **state)
{
    (void)state;
    for (int code = 0; code < ERR_COUNT; code++) {
        const struct err_action *row = err_action((enum err)code);
        assert_non_null(row->name);
        assert_non_null(row->todo_en);
        assert_non_null(row->todo_zh);
        assert_true(utf8_valid(str_of(row->todo_zh)));
        assert_in_range(row->http_status, 200, 599);
        for (int other = 0; other < code; other++) {
            assert_int_not_equal(row->exit_code, err_action((enum err)other)->exit_code);
            assert_string_not_equal(row->name, err_action((enum err)other)->name);
        }
    }
    assert_int_equal(err_action(ERR_OK)->exit_code, 0);
    assert_ptr_equal(err_action(ERR_COUNT), err_action(ERR_IO));
    assert_true(err_action(ERR_NET)->retry);
    assert_false(err_action(ERR_DENIED)->retry);
}

static void the_first_sentence_about_an_error_stays(void **state)
{
    (void)state;
    struct diag d = {0};
    assert_int_equal(diag_set_at(&d, ERR_SYNTAX, 3, 9, "No such question: %s.", "age"), ERR_SYNTAX);
    assert_int_equal(diag_set(&d, ERR_IO, "Something failed."), ERR_IO);
    assert_string_equal(d.text, "No such question: age.");
    assert_int_equal(d.code, ERR_SYNTAX);
    assert_int_equal(d.line, 3);
    assert_int_equal(d.column, 9);
    diag_clear(&d);
    diag_set(&d, ERR_FULL, "The card is full.");
    assert_string_equal(d.text, "The card is full.");
    assert_int_equal(d.line, 0);
    assert_int_equal(diag_set(NULL, ERR_IO, "nobody listens"), ERR_IO);
}

static void a_long_sentence_is_cut_between_characters(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 3; shift++) {
        char name[3 * DIAG_TEXT_MAX + 4];
        memset(name, 'x', shift);
        for (size_t i = 0; i < DIAG_TEXT_MAX; i++)
            memcpy(name + shift + 3 * i, "村", 3);
        name[shift + 3 * DIAG_TEXT_MAX] = '\0';
        struct diag d = {0};
        diag_set(&d, ERR_LIMIT, "%s", name);
        assert_true(utf8_valid(str_of(d.text)));
        assert_in_range(strlen(d.text), DIAG_TEXT_MAX - 5, DIAG_TEXT_MAX - 1);
    }
}

static void log_events_have_names(void **state)
{
    (void)state;
    for (int e = 0; e < LOG_EVENT_COUNT; e++)
        assert_string_not_equal(log_event_name((enum log_event)e), "unknown");
    assert_string_equal(log_event_name(LOG_FRAME_STORED), "frame-stored");
}

/* ---- text ---- */

static void text_is_cut_and_compared(void **state)
{
    (void)state;
    assert_true(str_eq(STR_NONE, STR("")));
    assert_true(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
    assert_false(str_eq_nocase(STR("É"), STR("é")));
    assert_int_equal(str_cmp(STR("ab"), STR("abc")), -1);
    assert_int_equal(str_cmp(STR("\xff"), STR("a")), 1);
    assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
    assert_true(str_starts(STR("/hh/member"), STR("/hh")));
    assert_false(str_starts(STR("/h"), STR("/hh")));
    assert_true(str_ends(STR("list.csv"), STR(".csv")));
    assert_false(str_ends(STR("csv"), STR(".csv")));
    assert_int_equal(str_find(STR("aaab"), STR("aab")), 1);
    assert_int_equal(str_find(STR("aaa"), STR("aaaa")), -1);
    assert_int_equal(str_find(STR("abc"), STR("")), 0);
    assert_int_equal(str_find(STR("abcabd"), STR("abd")), 3);
    assert_int_equal(str_find(STR_NONE, STR("a")), -1);
    assert_str(str_sub(STR("household"), 5, 100), "hold");
    assert_str(str_sub(STR("household"), 50, 1), "");
    assert_null(str_sub(STR_NONE, 1, 1).p);
    assert_str(str_trim(STR(" \t\r\n a b \n")), "a b");
    assert_str(str_trim(STR("  ")), "");
}

static void lists_are_split(void **state)
{
    (void)state;
    struct str rest = STR("a,,b,"), token;
    const char *expected[] = {"a", "", "b", ""};
    for (size_t i = 0; i < 4; i++) {
        assert_true(str_split(&rest, ',', &token));
        assert_str(token, expected[i]);
    }
    assert_false(str_split(&rest, ',', &token));
    rest = STR("");
    assert_true(str_split(&rest, ',', &token));
    assert_str(token, "");
    assert_false(str_split(&rest, ',', &token));
    rest = STR_NONE;
    assert_false(str_split(&rest, ',', &token));

    rest = STR("  rice \n maize\t");
    assert_true(str_word(&rest, &token));
    assert_str(token, "rice");
    assert_true(str_word(&rest, &token));
    assert_str(token, "maize");
    assert_false(str_word(&rest, &token));
}

static void whole_numbers_fit_or_are_refused(void **state)
{
    (void)state;
    int64_t i = 1;
    uint64_t u = 1;
    assert_true(str_to_i64(STR("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(str_to_i64(STR("9223372036854775807"), &i) && i == INT64_MAX);
    assert_true(str_to_i64(STR("-0"), &i) && i == 0);
    assert_true(str_to_u64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
    const char *wrong[] = {
        "", "-", "+1", " 1", "1 ", "1.0", "--1", "9223372036854775808", "-9223372036854775809"};
    for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++)
        assert_false(str_to_i64(str_of(wrong[k]), &i));
    assert_false(str_to_u64(STR("18446744073709551616"), &u));
    assert_false(str_to_u64(STR("-1"), &u));
    assert_true(i == 0 && u == UINT64_MAX);
}

static void characters_are_counted_not_bytes(void **state)
{
    (void)state;
    assert_int_equal(utf8_length(STR("户主 Li")), 5);
    assert_int_equal(utf8_length(STR("a\x80\xE4\xBD")), 4);
    assert_int_equal(utf8_offset(STR("户主 Li"), 2), 6);
    assert_int_equal(utf8_offset(STR("户"), 9), 3);
    struct str rest = STR("\xF0\x9F\x8F\xA0!");
    assert_int_equal(utf8_next(&rest), 0x1F3E0);
    assert_int_equal(utf8_next(&rest), '!');
    assert_int_equal(rest.n, 0);
}

static void bad_utf8_is_seen(void **state)
{
    (void)state;
    assert_true(utf8_valid(STR("ok 村 \xF4\x8F\xBF\xBF")));
    assert_true(utf8_valid(STR("")));
    struct str wrong[] = {STR("\x80"),
                          STR("\xC0\xAF"),
                          STR("\xE0\x80\x80"),
                          STR("\xED\xA0\x80"),
                          STR("\xF4\x90\x80\x80"),
                          STR("\xF8\x88\x80\x80\x80"),
                          STR("a\0b"),
                          STR("\xE6\x9D"),
                          STR("\xE6\x9Dx"),
                          STR("\xF0\x8F\xBF\xBF")};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(utf8_valid(wrong[i]));
}

static void every_character_survives_a_round_trip(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= 0x10FFFF; c++) {
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        char bytes[4];
        struct str s = {bytes, utf8_put(c, bytes)};
        assert_true(utf8_valid(s));
        assert_true(utf8_next(&s) == c && s.n == 0);
    }
    char bytes[4];
    assert_int_equal(utf8_put(0xD800, bytes), 3);
    assert_memory_equal(bytes, "\xEF\xBF\xBD", 3);
}

static void hex_and_base32_come_back(void **state)
{
    (void)state;
    unsigned char bytes[4] = {0};
    char text[8];
    assert_true(hex_read(STR("00fFA5c3"), bytes, 4));
    hex_write(bytes, 4, text);
    assert_memory_equal(text, "00ffa5c3", 8);
    assert_false(hex_read(STR("00ffa5c"), bytes, 4));
    assert_false(hex_read(STR("00ffa5cg"), bytes, 4));
    assert_int_equal(bytes[3], 0xc3);

    char code[13];
    uint64_t v = 0;
    base32_write(0x123456789ABCDEFu, 12, code);
    assert_true(base32_read((struct str){code, 12}, &v) && v == 0x123456789ABCDEFu);
    assert_true(base32_read(STR("1o-iL 0"), &v) && v == 0x100420);
    assert_true(base32_read(STR("FZZZZZZZZZZZZ"), &v) && v == UINT64_MAX);
    assert_false(base32_read(STR("G0000000000000"), &v));
    assert_false(base32_read(STR("ABU"), &v));
    assert_false(base32_read(STR("-"), &v));
}

/* ---- memory ---- */

static void arena_memory_is_zeroed_and_aligned(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    struct arena_mark mark = arena_mark(&a);
    for (int round = 0; round < 2; round++) {
        for (size_t n = 0; n < 300; n++) {
            unsigned char *p = arena_alloc(&a, n);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 16, 0);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xAA, n);
        }
        arena_release(&a, mark);
        assert_int_equal(a.used, 0);
    }
    arena_free(&a);
    arena_free(&a);
    struct arena never = {0};
    arena_free(&never);
}

static void an_arena_ends_at_its_cap(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 10000);
    size_t got = 0;
    while (arena_alloc(&a, 100))
        got += 112;
    assert_int_equal(a.used, got);
    assert_in_range(got, 10000 - 112, 10000);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 20));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_null(arena_z(&a, (struct str){"", SIZE_MAX}));
    arena_free(&a);
}

static void a_scratch_arena_rolls_back(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 24);
    struct str kept = arena_str(&a, STR("kept"));
    struct arena_mark mark = arena_mark(&a);
    size_t used = a.used;
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(&a, 50000));
    arena_release(&a, mark);
    assert_int_equal(a.used, used);
    assert_str(kept, "kept");
    assert_int_equal(kept.p[4], '\0');
    assert_non_null(arena_alloc(&a, 10));
    arena_free(&a);
}

static void bytes_not_handed_out_are_poisoned(void **state)
{
    (void)state;
#ifndef HAVE_ASAN
    skip();
#else
    struct arena a;
    arena_init(&a, 1 << 20);
    char *p = arena_alloc(&a, 20);
    assert_false(__asan_address_is_poisoned(p + 19));
    assert_true(__asan_address_is_poisoned(p + 20));
    struct arena_mark mark = arena_mark(&a);
    char *q = arena_alloc(&a, 64);
    assert_false(__asan_address_is_poisoned(q));
    arena_release(&a, mark);
    assert_true(__asan_address_is_poisoned(q));
    struct pool pool;
    pool_init(&pool, &a);
    char *block = pool_alloc(&pool, 40);
    assert_true(__asan_address_is_poisoned(block + 40));
    pool_free(&pool, block, 40);
    assert_true(__asan_address_is_poisoned(block + 39));
    arena_free(&a);
#endif
}

static void a_pool_gives_freed_blocks_again(void **state)
{
    (void)state;
    struct arena a;
    struct pool p;
    arena_init(&a, 1 << 20);
    pool_init(&p, &a);
    char *text = pool_alloc(&p, 10);
    memcpy(text, "answer one", 10);
    size_t used = a.used;
    /* An enumerator changes the same answer back and forth for hours. */
    for (int i = 0; i < 100000; i++) {
        text = pool_grow(&p, text, 10, 200);
        assert_non_null(text);
        assert_memory_equal(text, "answer one", 10);
        text = pool_grow(&p, text, 200, 10);
        assert_non_null(text);
    }
    assert_in_range(a.used, used, used + 256);
    assert_memory_equal(text, "answer one", 10);
    pool_free(&p, NULL, 10);
    assert_null(pool_alloc(&p, SIZE_MAX / 2));
    assert_null(pool_grow(&p, text, 10, 2 << 20));
    assert_memory_equal(text, "answer one", 10);
    arena_free(&a);
}

struct point {
    int32_t x, y, z;
};

static void a_vec_keeps_what_was_pushed(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    VEC(struct point) points = {0};
    for (int32_t i = 0; i < 1000; i++) {
        struct point *p = vec_push(&a, &points);
        assert_non_null(p);
        assert_int_equal(p->y, 0);
        *p = (struct point){i, 1, 2};
    }
    assert_int_equal(points.count, 1000);
    for (int32_t i = 0; i < 1000; i++)
        assert_int_equal(points.at[i].x, i);
    while (vec_push(&a, &points)) {
    }
    assert_in_range(points.count, 1000, 65536);
    arena_free(&a);
}

static void names_are_found_again(void **state)
{
    (void)state;
    struct arena a;
    struct map m;
    char names[3000][8];
    uint32_t v = 77;
    arena_init(&a, 1 << 22);
    map_init(&m, &a);
    assert_false(map_get(&m, STR("x"), &v));
    for (uint32_t i = 0; i < 3000; i++) {
        snprintf(names[i], sizeof names[i], "q%u", i);
        assert_int_equal(map_put(&m, str_of(names[i]), i), ERR_OK);
    }
    assert_int_equal(map_put(&m, STR("q5"), 500), ERR_OK);
    assert_int_equal(map_put(&m, STR_NONE, 9), ERR_OK);
    assert_int_equal(m.count, 3001);
    for (uint32_t i = 0; i < 3000; i++) {
        assert_true(map_get(&m, str_of(names[i]), &v));
        assert_int_equal(v, i == 5 ? 500 : i);
    }
    assert_true(map_get(&m, STR(""), &v) && v == 9);
    assert_false(map_get(&m, STR("q3000"), &v));
    arena_free(&a);
    arena_init(&a, 100);
    map_init(&m, &a);
    assert_int_equal(map_put(&m, STR("a"), 1), ERR_NOMEM);
    arena_free(&a);
}

/* ---- bytes ---- */

static void a_buf_refuses_everything_after_its_maximum(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10);
    buf_put_z(&b, "0123456789");
    assert_int_equal(b.failed, ERR_OK);
    buf_put_char(&b, 'x');
    assert_int_equal(b.failed, ERR_LIMIT);
    buf_put(&b, "", 0);
    assert_str(buf_str(&b), "0123456789");
    assert_int_equal(b.p[10], '\0');
    buf_clear(&b);
    assert_int_equal(b.failed, ERR_OK);
    buf_printf(&b, "%s-%d", "case", 12345);
    assert_str(buf_str(&b), "case-12345");
    buf_printf(&b, "%d", 1);
    assert_int_equal(b.failed, ERR_LIMIT);
    buf_free(&b);
    struct buf none = {0};
    assert_str(buf_str(&none), "");
    buf_put_char(&none, 'a');
    assert_int_equal(none.failed, ERR_LIMIT);
    buf_free(&none);
    buf_init(&b, SIZE_MAX);
    buf_put_z(&b, "a");
    buf_put(&b, "", SIZE_MAX - 1);
    assert_int_equal(b.failed, ERR_LIMIT);
    buf_free(&b);
}

#define assert_put(call, expected)         \
    do {                                   \
        buf_clear(&b);                     \
        call;                              \
        assert_str(buf_str(&b), expected); \
    } while (0)

static void text_is_escaped_for_where_it_goes(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    assert_put(buf_put_xml_text(&b, STR("<a> & \"b\"\r\n\x01\t村\xFF]]>")),
               "&lt;a&gt; &amp; \"b\"&#13;\n\t村\xEF\xBF\xBD]]&gt;");
    assert_put(buf_put_xml_text(&b, STR("x\xEF\xBF\xBEy\xEF\xBF\xBD")), "xy\xEF\xBF\xBD");
    assert_put(buf_put_xml_attr(&b, STR("\"'\t\n&")), "&quot;&#39;&#9;&#10;&amp;");
    assert_put(buf_put_json(&b, STR("\"\\\n\x01\x7F村\xC3")), "\"\\\"\\\\\\n\\u0001\\u007f村\xEF\xBF\xBD\"");
    assert_put(buf_put_json(&b, STR_NONE), "\"\"");
    assert_put(buf_put_csv(&b, STR("plain text")), "plain text");
    assert_put(buf_put_csv(&b, STR("a,\"b\"\n")), "\"a,\"\"b\"\"\n\"");
    assert_put(buf_put_i64(&b, INT64_MIN), "-9223372036854775808");
    assert_put(buf_put_u64(&b, UINT64_MAX), "18446744073709551615");
    assert_put(buf_put_u64(&b, 0), "0");
    assert_put(buf_put_hex(&b, "\x00\xAB", 2), "00ab");
    buf_free(&b);
}

static void integers_come_back_from_the_wire(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    buf_put_u16le(&b, 0xBEEF);
    buf_put_u32le(&b, 0xDEADBEEF);
    buf_put_u64le(&b, 0x0123456789ABCDEF);
    buf_put_uv(&b, 300);
    assert_memory_equal(b.p, "\xEF\xBE\xEF\xBE\xAD\xDE\xEF\xCD\xAB\x89\x67\x45\x23\x01\xAC\x02", 16);
    const int64_t values[] = {0, -1, 1, 63, 64, -64, -65, INT32_MAX, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < 10; i++)
        buf_put_sv(&b, values[i]);
    buf_put_uv(&b, UINT64_MAX);
    struct reader r = reader_of(buf_str(&b));
    assert_int_equal(read_u16le(&r), 0xBEEF);
    assert_int_equal(read_u32le(&r), 0xDEADBEEF);
    assert_true(read_u64le(&r) == 0x0123456789ABCDEF);
    assert_int_equal(read_uv(&r), 300);
    for (size_t i = 0; i < 10; i++)
        assert_true(read_sv(&r) == values[i]);
    assert_true(read_uv(&r) == UINT64_MAX);
    assert_false(r.failed);
    assert_int_equal(reader_left(&r), 0);
    assert_int_equal(read_u8(&r), 0);
    assert_true(r.failed);
    buf_free(&b);
}

static void an_integer_has_one_spelling_only(void **state)
{
    (void)state;
    struct str wrong[] = {STR("\x80\x00"),
                          STR("\xFF\x80\x00"),
                          STR("\x80"),
                          STR(""),
                          STR("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"),
                          STR("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x81\x00"),
                          STR("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct reader r = reader_of(wrong[i]);
        assert_true(read_uv(&r) == 0 && r.failed);
        assert_int_equal(read_u8(&r), 0);
        assert_true(r.failed);
        assert_int_equal(reader_left(&r), 0);
    }
}

static void a_reader_fails_for_good(void **state)
{
    (void)state;
    struct reader r = reader_of(STR("abc"));
    assert_str(read_bytes(&r, 2), "ab");
    assert_null(read_bytes(&r, 2).p);
    assert_true(r.failed);
    assert_int_equal(read_u8(&r), 0);
    r = reader_of(STR_NONE);
    assert_int_equal(reader_left(&r), 0);
    assert_int_equal(read_u8(&r), 0);
    assert_true(r.failed);
    r = reader_of(STR("abc"));
    assert_null(read_bytes(&r, SIZE_MAX).p);
}

/* ---- the text side of HTTP ---- */

static void addresses_are_taken_apart(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 10000);
    struct str url = STR("/v1/frames?device=ab%20c&name=%E6%9D%91+1&empty=&flag&bad=%zz%4");
    assert_str(http_path(url), "/v1/frames");
    assert_str(http_path(STR("/v1")), "/v1");
    assert_str(http_query(&a, url, "device"), "ab c");
    assert_str(http_query(&a, url, "name"), "村 1");
    assert_str(http_query(&a, url, "empty"), "");
    assert_non_null(http_query(&a, url, "flag").p);
    assert_str(http_query(&a, url, "bad"), "%zz%4");
    assert_null(http_query(&a, url, "nam").p);
    assert_null(http_query(&a, STR("/v1"), "name").p);
    struct http_header headers[] = {{STR("Content-Type"), STR("text/plain")}, {STR("ETag"), STR("x")}};
    assert_str(http_header_find(headers, 2, "etag"), "x");
    assert_null(http_header_find(headers, 2, "host").p);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_says_what_to_do),
        cmocka_unit_test(the_first_sentence_about_an_error_stays),
        cmocka_unit_test(a_long_sentence_is_cut_between_characters),
        cmocka_unit_test(log_events_have_names),
        cmocka_unit_test(text_is_cut_and_compared),
        cmocka_unit_test(lists_are_split),
        cmocka_unit_test(whole_numbers_fit_or_are_refused),
        cmocka_unit_test(characters_are_counted_not_bytes),
        cmocka_unit_test(bad_utf8_is_seen),
        cmocka_unit_test(every_character_survives_a_round_trip),
        cmocka_unit_test(hex_and_base32_come_back),
        cmocka_unit_test(arena_memory_is_zeroed_and_aligned),
        cmocka_unit_test(an_arena_ends_at_its_cap),
        cmocka_unit_test(a_scratch_arena_rolls_back),
        cmocka_unit_test(bytes_not_handed_out_are_poisoned),
        cmocka_unit_test(a_pool_gives_freed_blocks_again),
        cmocka_unit_test(a_vec_keeps_what_was_pushed),
        cmocka_unit_test(names_are_found_again),
        cmocka_unit_test(a_buf_refuses_everything_after_its_maximum),
        cmocka_unit_test(text_is_escaped_for_where_it_goes),
        cmocka_unit_test(integers_come_back_from_the_wire),
        cmocka_unit_test(an_integer_has_one_spelling_only),
        cmocka_unit_test(a_reader_fails_for_good),
        cmocka_unit_test(addresses_are_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
