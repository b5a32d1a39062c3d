/* Forms and cookies as browsers send them, and as nobody should. */
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

#include "platform/base/buf.h"
#include "platform/http_form.h"

static enum err read_form(struct arena *a, const char *type, struct str body, struct http_form *f)
{
    *f = (struct http_form){0};
    return http_form_read(a, str_of(type), body, f, NULL);
}

#define URLENCODED "application/x-www-form-urlencoded"
#define MULTIPART "multipart/form-data; boundary=XyZ"

static void assert_field(const struct http_form *f, const char *name, const char *value)
{
    struct str got = http_form_get(f, name);
    assert_non_null(got.p);
    if (!str_eq_z(got, value))
        print_message("%s is \"%.*s\"\n", name, STR_ARG(got));
    assert_true(str_eq_z(got, value));
}

static void test_fields_of_an_ordinary_form(void **state)
{
    struct arena a;
    struct http_form f;
    (void)state;
    arena_init(&a, 1u << 20);
    assert_int_equal(
        read_form(&a, URLENCODED "; charset=UTF-8",
                  STR("name=%E5%91%A8%E7%8E%B2&pass+word=a%26b%3Dc+d&empty=&bare&&x=1&x=2&pct=100%"), &f),
        ERR_OK);
    assert_field(&f, "name", "周玲");
    assert_field(&f, "pass word", "a&b=c d");
    assert_field(&f, "empty", "");
    assert_field(&f, "bare", "");
    assert_field(&f, "x", "1");
    assert_field(&f, "pct", "100%");
    assert_null(http_form_get(&f, "none").p);
    assert_int_equal(f.count, 7);
    arena_free(&a);
}

static void test_another_kind_of_body_has_no_fields(void **state)
{
    struct arena a;
    struct http_form f;
    (void)state;
    arena_init(&a, 1u << 20);
    assert_int_equal(read_form(&a, "application/json", STR("{\"a\":1}"), &f), ERR_OK);
    assert_int_equal(f.count, 0);
    assert_int_equal(read_form(&a, "", STR("a=1"), &f), ERR_OK);
    assert_int_equal(f.count, 0);
    arena_free(&a);
}

static void test_a_form_with_a_file(void **state)
{
    struct arena a;
    struct http_form f;
    (void)state;
    arena_init(&a, 1u << 20);
    struct str body = STR(
        "a preamble\r\n--XyZ\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\nabc\r\n"
        "--XyZ\r\nContent-Disposition: form-data; name=\"file\"; "
        "filename=\"C:\\fakepath\\a %22b%22;.csv\"\r\nContent-Type: text/csv\r\n\r\n"
        "x,y\r\n--Xy\r\n\r\n--XyZ\r\nContent-Disposition: form-data; name=none; "
        "filename=\"\"\r\n\r\n\r\n--XyZ--\r\nan epilogue");
    assert_int_equal(read_form(&a, MULTIPART, body, &f), ERR_OK);
    assert_int_equal(f.count, 3);
    assert_field(&f, "csrf", "abc");
    const struct http_field *file = http_form_file(&f, "file");
    assert_non_null(file);
    assert_true(str_eq_z(file->file_name, "a \"b\";.csv"));
    assert_true(str_eq_z(file->type, "text/csv"));
    assert_true(str_eq_z(file->value, "x,y\r\n--Xy\r\n"));
    assert_null(http_form_file(&f, "csrf"));
    assert_non_null(http_form_file(&f, "none"));
    assert_int_equal(http_form_file(&f, "none")->value.n, 0);
    arena_free(&a);
}

static void test_broken_forms_are_refused(void **state)
{
    static const char *const broken[] = {
        "",
        "--XyZ",
        "--XyZ\r\n",
        "--XyZ\r\n\r\n",
        "--XyZ\r\n\r\nvalue\r\n--XyZ--",
        "--XyZ\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue",
        "--XyZ\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue\r\n--XyZ",
        "--XyZ\r\nContent-Disposition: form-data; name=\"a\"\r\nvalue\r\n--XyZ--",
        "--XyZ\r\nContent-Disposition: form-data; filename=\"a\"\r\n\r\nvalue\r\n--XyZ--",
        "--XyZtail\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue\r\n--XyZ--",
    };
    struct arena a;
    struct http_form f;
    (void)state;
    arena_init(&a, 1u << 20);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_int_equal(read_form(&a, MULTIPART, str_of(broken[i]), &f), ERR_SYNTAX);
    assert_int_equal(read_form(&a, "multipart/form-data", STR("--XyZ--"), &f), ERR_SYNTAX);
    assert_int_equal(read_form(&a, MULTIPART, STR("--XyZ--"), &f), ERR_OK);
    assert_int_equal(f.count, 0);
    arena_free(&a);
}

static void test_too_many_fields_and_too_long_names(void **state)
{
    struct arena a;
    struct http_form f;
    struct buf b;
    (void)state;
    arena_init(&a, 8u << 20);
    buf_init(&b, 1u << 20);
    for (int i = 0; i < HTTP_FIELDS_MAX; i++)
        buf_put_z(&b, "a=1&");
    assert_int_equal(read_form(&a, URLENCODED, buf_str(&b), &f), ERR_OK);
    buf_put_z(&b, "a=1");
    assert_int_equal(read_form(&a, URLENCODED, buf_str(&b), &f), ERR_LIMIT);
    buf_clear(&b);
    for (int i = 0; i <= HTTP_FIELD_NAME_MAX; i++)
        buf_put_char(&b, 'n');
    assert_int_equal(read_form(&a, URLENCODED, buf_str(&b), &f), ERR_LIMIT);
    buf_free(&b);
    arena_free(&a);
}

static void test_cookies(void **state)
{
    (void)state;
    struct str header = STR("a=1; __Host-ds=0123; b; ds=x=y");
    assert_true(str_eq_z(http_cookie(header, "__Host-ds"), "0123"));
    assert_true(str_eq_z(http_cookie(header, "ds"), "x=y"));
    assert_true(str_eq_z(http_cookie(header, "a"), "1"));
    assert_null(http_cookie(header, "host-ds").p);
    assert_null(http_cookie(STR_NONE, "ds").p);
}

static void test_addresses_are_escaped(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 1000);
    http_encode(&b, STR("/house/户 1?a=\"<&>\r\n%"));
    assert_true(str_eq_z(buf_str(&b), "/house/%E6%88%B7%201%3Fa%3D%22%3C%26%3E%0D%0A%25"));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_of_an_ordinary_form),
        cmocka_unit_test(test_another_kind_of_body_has_no_fields),
        cmocka_unit_test(test_a_form_with_a_file),
        cmocka_unit_test(test_broken_forms_are_refused),
        cmocka_unit_test(test_too_many_fields_and_too_long_names),
        cmocka_unit_test(test_cookies),
        cmocka_unit_test(test_addresses_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
