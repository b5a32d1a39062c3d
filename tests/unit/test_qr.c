/* The QR picture: the marks that readers look for are where they belong, and nothing of the text leaks into
 * the markup. What it says is read back by an independent reader in tests/e2e/people where there is one. */
#include "tests/support/unit.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "server/qr.h"

#define SIDE_MAX 200

struct picture {
    int side;
    unsigned char at[SIDE_MAX][SIDE_MAX];
};

/* Reads the runs "Mx yhNv1h-Nz" of the second path back. */
static void picture_read(struct str svg, struct picture *p)
{
    memset(p, 0, sizeof *p);
    assert_int_equal(sscanf(strstr(svg.p, "viewBox"), "viewBox=\"0 0 %d", &p->side), 1);
    assert_true(p->side <= SIDE_MAX);
    const char *q = strstr(svg.p, "#000");
    assert_non_null(q);
    while ((q = strchr(q, 'M')) != NULL) {
        int x = 0, y = 0, n = 0;
        assert_int_equal(sscanf(q, "M%d %dh%dv1", &x, &y, &n), 3);
        assert_true(x >= 4 && y >= 4 && n > 0 && x + n <= p->side - 4 && y < p->side - 4);
        memset(&p->at[y][x], 1, (size_t)n);
        q++;
    }
}

static void assert_finder(const struct picture *p, int x0, int y0)
{
    static const char *const rows[] = {"1111111", "1000001", "1011101", "1011101",
                                       "1011101", "1000001", "1111111"};
    for (int y = 0; y < 7; y++)
        for (int x = 0; x < 7; x++)
            assert_int_equal(p->at[y0 + y][x0 + x], rows[y][x] - '0');
}

static void test_the_marks_of_a_code_are_in_three_corners(void **state)
{
    struct buf b;
    struct picture p;
    (void)state;
    buf_init(&b, 1u << 20);
    assert_int_equal(qr_svg(STR("dse1:AAAA:https://county.example"), STR("登记码 <1>"), &b, NULL), ERR_OK);
    picture_read(buf_str(&b), &p);
    assert_int_equal((p.side - 8 - 17) % 4, 0);
    assert_finder(&p, 4, 4);
    assert_finder(&p, p.side - 11, 4);
    assert_finder(&p, 4, p.side - 11);
    assert_true(str_find(buf_str(&b), STR("<title>登记码 &lt;1&gt;</title>")) > 0);
    assert_true(str_find(buf_str(&b), STR("county")) < 0);
    buf_free(&b);
}

static void test_a_text_that_no_code_should_hold_is_refused(void **state)
{
    char text[QR_TEXT_MAX + 1];
    struct buf b;
    (void)state;
    memset(text, 'x', sizeof text);
    buf_init(&b, 1u << 20);
    assert_int_equal(qr_svg((struct str){text, sizeof text}, STR("t"), &b, NULL), ERR_LIMIT);
    assert_int_equal(qr_svg(STR(""), STR("t"), &b, NULL), ERR_LIMIT);
    assert_int_equal(qr_svg((struct str){text, QR_TEXT_MAX}, STR("t"), &b, NULL), ERR_OK);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_marks_of_a_code_are_in_three_corners),
        cmocka_unit_test(test_a_text_that_no_code_should_hold_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
