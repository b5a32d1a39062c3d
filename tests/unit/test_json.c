/* JSON from rule packs, settings and servers: exact, strict, and with the place named when it is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "platform/base/json.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 24);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static const struct json *read_ok(const char *text)
{
    struct diag d = {0};
    const struct json *j = NULL;
    if (json_read(&arena, str_of(text), &j, &d))
        fail_msg("%s: %s", text, d.text);
    return j;
}

static void members_keep_order_text_and_place(void **state)
{
    (void)state;
    const struct json *j = read_ok(
        "\xEF\xBB\xBF{ \"name\": \"王家村\",\n \"n\": [1, 2.50, -3e2],\n\n \"on\": true, "
        "\"off\":false, \"none\": null, \"name\": \"second\", \"\": {} }\n");
    assert_int_equal(j->type, JSON_OBJECT);
    assert_int_equal(j->count, 7);
    assert_true(str_eq_z(json_text(j, "name"), "王家村"));
    const struct json *n = json_get(j, "n");
    assert_int_equal(n->line, 2);
    assert_int_equal(n->count, 3);
    assert_true(str_eq_z(json_at(n, 1)->text, "2.50"));
    assert_true(json_at(n, 1)->number == 2.5);
    assert_true(json_at(n, 2)->number == -300);
    assert_null(json_at(n, 3));
    assert_int_equal(json_get(j, "on")->line, 4);
    assert_true(json_bool(j, "on"));
    assert_false(json_bool(j, "off"));
    assert_false(json_bool(j, "name"));
    assert_int_equal(json_get(j, "none")->type, JSON_NULL);
    assert_int_equal(json_get(j, "")->type, JSON_OBJECT);
    assert_null(json_get(j, "absent"));
    assert_null(json_get(NULL, "name"));
    assert_null(json_get(n, "name"));
    assert_null(json_text(j, "n").p);
}

static void integers_stay_exact(void **state)
{
    (void)state;
    const struct json *j = read_ok(
        "{\"a\":9223372036854775807,\"b\":-9223372036854775808,\"c\":9007199254740993,"
        "\"d\":1e3,\"e\":2.0,\"f\":2.5,\"g\":9223372036854775808,\"h\":\"7\",\"i\":-0}");
    int64_t v = 1;
    assert_true(json_i64(j, "a", &v) && v == INT64_MAX);
    assert_true(json_i64(j, "b", &v) && v == INT64_MIN);
    assert_true(json_i64(j, "c", &v) && v == 9007199254740993);
    assert_true(json_i64(j, "d", &v) && v == 1000);
    assert_true(json_i64(j, "e", &v) && v == 2);
    assert_true(json_i64(j, "i", &v) && v == 0);
    assert_false(json_i64(j, "f", &v));
    assert_false(json_i64(j, "g", &v));
    assert_false(json_i64(j, "h", &v));
    assert_false(json_i64(j, "absent", &v));
    assert_int_equal(v, 0);
}

static void escapes_become_characters(void **state)
{
    (void)state;
    const struct json *j = read_ok("[\"\\u6751\\n\\\"\\\\\\/\\uD83C\\uDFE0\", \"\", \"\\\\\"]");
    assert_true(str_eq_z(json_at(j, 0)->text, "村\n\"\\/\xF0\x9F\x8F\xA0"));
    assert_true(json_at(j, 1)->text.p && json_at(j, 1)->text.n == 0);
    assert_true(str_eq_z(json_at(j, 2)->text, "\\"));
}

static void single_values_are_json_too(void **state)
{
    (void)state;
    assert_int_equal(read_ok(" null ")->type, JSON_NULL);
    assert_true(read_ok("-0.5")->number == -0.5);
    assert_int_equal(read_ok("\t[ ]\r\n")->count, 0);
    assert_true(str_eq_z(read_ok("\"x\"")->text, "x"));
}

static void what_is_not_json_is_refused_with_its_place(void **state)
{
    (void)state;
    const struct {
        struct str text;
        uint32_t line, column;
    } wrong[] = {
        {STR(""), 1, 1},
        {STR("  "), 1, 0},
        {STR("{\n\"a\": 1,\n\"b\" 2}"), 3, 5},
        {STR("[1,]"), 1, 0},
        {STR("[1 2]"), 1, 0},
        {STR("{\"a\":1,}"), 1, 0},
        {STR("{'a':1}"), 1, 0},
        {STR("{a:1}"), 1, 0},
        {STR("[01]"), 1, 2},
        {STR("[1.]"), 1, 0},
        {STR("[.5]"), 1, 0},
        {STR("[+1]"), 1, 0},
        {STR("[1e]"), 1, 0},
        {STR("[-]"), 1, 0},
        {STR("[NaN]"), 1, 0},
        {STR("[0x1]"), 1, 0},
        {STR("[tru]"), 1, 0},
        {STR("\"a\nb\""), 1, 3},
        {STR("\"a\tb\""), 1, 3},
        {STR("\"\\u0000\""), 1, 2},
        {STR("\"\\uD800\""), 1, 0},
        {STR("\"\\x\""), 1, 0},
        {STR("\"open"), 1, 0},
        {STR("[1] 2"), 1, 5},
        {STR("{} {}"), 1, 4},
        {STR("[1\v]"), 1, 3},
        {STR("[\v1]"), 1, 2},
        {STR("[true,\v null]"), 1, 7},
        {STR("[1\0]"), 1, 3},
        {STR("[\"\n\n\xFF\"]"), 3, 1},
        {STR("[\"\xED\xA0\x80\"]"), 1, 3},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct diag d = {0};
        const struct json *j = NULL;
        enum err rc = json_read(&arena, wrong[i].text, &j, &d);
        if (rc != ERR_SYNTAX || j || d.line != wrong[i].line ||
            (wrong[i].column && d.column != wrong[i].column))
            fail_msg("\"%.*s\": error %d at %u:%u \"%s\"", STR_ARG(wrong[i].text), rc, d.line, d.column,
                     d.text);
    }
}

static void every_cut_of_a_text_is_refused(void **state)
{
    (void)state;
    const char whole[] =
        "{\"rules\":[{\"id\":\"r1\",\"when\":\"income < 100\",\"n\":-1.5e3,\"on\":true,\"x\":null}]}";
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        char *exact = malloc(n ? n : 1);
        const struct json *j = NULL;
        assert_non_null(exact);
        memcpy(exact, whole, n);
        assert_int_equal(json_read(&arena, (struct str){exact, n}, &j, NULL), ERR_SYNTAX);
        free(exact);
    }
}

static void deep_nesting_is_refused_before_it_costs_stack(void **state)
{
    (void)state;
    static char text[200000];
    struct diag d = {0};
    const struct json *j = NULL;
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    assert_int_equal(json_read(&arena, (struct str){text, 128}, &j, &d), ERR_OK);
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    assert_int_equal(json_read(&arena, (struct str){text, 130}, &j, &d), ERR_LIMIT);
    assert_int_equal(d.column, 65);
    memset(text, '[', sizeof text);
    assert_int_equal(json_read(&arena, (struct str){text, sizeof text}, &j, NULL), ERR_LIMIT);
    /* Brackets inside a text do not count. */
    text[1] = text[398] = '"';
    text[399] = ']';
    assert_int_equal(json_read(&arena, (struct str){text, 400}, &j, NULL), ERR_OK);
}

static void a_small_arena_stops_a_large_text(void **state)
{
    (void)state;
    struct arena small;
    struct diag d = {0};
    const struct json *j = NULL;
    size_t cap = 0;
    enum err rc = ERR_NOMEM;
    for (; rc == ERR_NOMEM; cap += 16) {
        arena_init(&small, cap);
        diag_clear(&d);
        rc = json_read(&small, STR("{\"a\":[1,2,3,\"text\",{\"b\":null}]}"), &j, &d);
        assert_true(rc == ERR_OK || d.text[0] != '\0');
        arena_free(&small);
    }
    assert_int_equal(rc, ERR_OK);
    assert_in_range(cap, 300, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_keep_order_text_and_place),
        cmocka_unit_test(integers_stay_exact),
        cmocka_unit_test(escapes_become_characters),
        cmocka_unit_test(single_values_are_json_too),
        cmocka_unit_test(what_is_not_json_is_refused_with_its_place),
        cmocka_unit_test(every_cut_of_a_text_is_refused),
        cmocka_unit_test(deep_nesting_is_refused_before_it_costs_stack),
        cmocka_unit_test(a_small_arena_stops_a_large_text),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
