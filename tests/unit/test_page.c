/* The writer of the centre's pages: whatever people, files and handhelds wrote is shown as text; what is
 * hidden is hidden wherever it stands; both languages say the same. */
#include "server/screens.h"
#include "server/store_pages.h"
#include "tests/support/unit.h"

struct fixture {
    struct page p;
    struct arena a;
    struct buf out;
};

static int fixture_open(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    arena_init(&f.a, 16u << 20);
    buf_init(&f.out, 1u << 20);
    f.p = (struct page){.out = &f.out, .a = &f.a, .zone = zone_utc(), .now_ms = 1772443200000};
    *state = &f;
    return 0;
}

static int fixture_close(void **state)
{
    struct fixture *f = *state;
    buf_free(&f->out);
    arena_free(&f->a);
    return 0;
}

static void wrote(struct fixture *f, const char *wanted)
{
    assert_string_equal(f->out.p ? f->out.p : "", wanted);
    buf_clear(&f->out);
}

static void same(struct str got, const char *wanted)
{
    if (!str_eq_z(got, wanted))
        print_message("got \"%.*s\"\n", STR_ARG(got));
    assert_true(str_eq_z(got, wanted));
}

static void test_markup_in_a_name_is_text(void **state)
{
    struct fixture *f = *state;
    pg_data(&f->p, STR("<script>alert(1)</script> & \"x\""));
    wrote(f, "<bdi>&lt;script&gt;alert(1)&lt;/script&gt; &amp; \"x\"</bdi>");
    pg_text(&f->p, STR("a\x01\x02"
                       "b\xff"));
    assert_null(strchr(f->out.p, 1));
}

static void test_a_quote_does_not_leave_an_attribute(void **state)
{
    struct fixture *f = *state;
    pg_open_with(&f->p, "a", ATTRS({"href", STR("/x")}, {"title", STR("\" onclick=\"alert(1)")}));
    pg_close(&f->p);
    wrote(f, "<a href=\"/x\" title=\"&quot; onclick=&quot;alert(1)\"></a>");
    pg_void(&f->p, "input", ATTRS({"checked", ATTR_IF(false)}, {"required", ATTR_IF(true)}));
    wrote(f, "<input required=\"\">");
}

static void test_tags_close_in_the_order_in_which_they_opened(void **state)
{
    struct fixture *f = *state;
    pg_open(&f->p, "div", NO_CLASS);
    pg_open(&f->p, "ul", "list");
    pg_leaf(&f->p, "li", NO_CLASS, STR("<"));
    pg_close_to(&f->p, 0);
    wrote(f, "<div><ul class=\"list\"><li>&lt;</li></ul></div>");
}

static void test_an_address_is_made_of_encoded_parts(void **state)
{
    struct fixture *f = *state;
    same(page_url(&f->p, "/households/*", STR("../x?a=b&c#d 石"),
                  ATTRS({"tab", STR("a&b")}, {"after", STR("")})),
         "/households/..%2Fx%3Fa%3Db%26c%23d%20%E7%9F%B3?tab=a%26b");
    same(page_url(&f->p, "/work?q=mine", STR(""), ATTRS({"after", STR("1:2")})), "/work?q=mine&after=1%3A2");
}

static void test_identity_and_telephone_numbers_are_hidden_wherever_they_stand(void **state)
{
    struct fixture *f = *state;
    same(page_private(&f->p, STR("110101199003070117"), false), "••• 0117");
    same(page_private(&f->p, STR("证件 11010119900307011X，电话13812345678。"), false),
         "证件 ••• 011X，电话138****5678。");
    same(page_private(&f->p, STR("卡 6222020200112233445"), false), "卡 ••• 3445");
    same(page_private(&f->p, STR("18400 元，2026-03-02，H000123，990101001201"), false),
         "18400 元，2026-03-02，H000123，990101001201");
    same(page_private(&f->p, STR("13812345678"), true), "13812345678");
}

static void test_every_word_is_there_in_both_languages_with_the_same_places(void **state)
{
    (void)state;
    for (int w = W_NONE + 1; w < WORDS; w++) {
        const char *zh = word_text((enum word)w, false), *en = word_text((enum word)w, true);
        assert_true(zh && zh[0] && en && en[0]);
        assert_int_equal(strstr(zh, "{1}") != NULL, strstr(en, "{1}") != NULL);
        assert_int_equal(strstr(zh, "{2}") != NULL, strstr(en, "{2}") != NULL);
        assert_true(utf8_valid(str_of(zh)) && utf8_valid(str_of(en)));
    }
}

static void test_no_word_promises_that_a_household_is_safe(void **state)
{
    static const char *const never[] = {"绿", "安全", "非法", "抱歉", "safe", "green", "illegal", "sorry"};
    (void)state;
    for (int w = W_NONE + 1; w < WORDS; w++)
        for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
            assert_null(strstr(word_text((enum word)w, false), never[i]));
            assert_null(strstr(word_text((enum word)w, true), never[i]));
        }
}

static void test_numbers_days_and_sentences(void **state)
{
    struct fixture *f = *state;
    same(page_count(&f->p, 0), "0");
    same(page_count(&f->p, 1234567), "1,234,567");
    same(page_time(&f->p, 1772443200000), "3月2日 09:20");
    same(page_iso_words(&f->p, STR("2025-12-31")), "2025年12月31日");
    same(page_iso_words(&f->p, STR("soon <b>")), "soon <b>");
    same(page_say(&f->p, W_IMPORT_SUMMARY, STR("{2}"), STR("x")), "{2} 行：新 x");
    f->p.language = LANGUAGE_EN;
    same(page_time(&f->p, 1772443200000), "2 Mar 09:20");
}

static void test_a_position_is_read_to_millionths_or_not_at_all(void **state)
{
    int64_t latitude = 0, longitude = 0;
    (void)state;
    assert_true(place_read(STR("30.5 -104.1234567 410 8"), &latitude, &longitude));
    assert_int_equal(latitude, 30500000);
    assert_int_equal(longitude, -104123456);
    assert_false(place_read(STR("91 0"), &latitude, &longitude));
    assert_false(place_read(STR("30.5"), &latitude, &longitude));
    assert_false(place_read(STR("30.5 1x"), &latitude, &longitude));
    assert_false(place_read(STR(""), &latitude, &longitude));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_markup_in_a_name_is_text),
        TEST(test_a_quote_does_not_leave_an_attribute),
        TEST(test_tags_close_in_the_order_in_which_they_opened),
        TEST(test_an_address_is_made_of_encoded_parts),
        TEST(test_identity_and_telephone_numbers_are_hidden_wherever_they_stand),
        TEST(test_every_word_is_there_in_both_languages_with_the_same_places),
        TEST(test_no_word_promises_that_a_household_is_safe),
        TEST(test_numbers_days_and_sentences),
        TEST(test_a_position_is_read_to_millionths_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
