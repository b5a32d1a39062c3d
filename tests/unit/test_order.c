/* The order of repeat entries: whatever was added, taken out, put aside and brought back, an entry stands
 * where it stands in a plain list that had the same done to it.
 */
#include "tests/support/forms.h"

#define MANY 400u

struct line {
    uint32_t names[MANY];
    uint32_t count;
};

static uint32_t chance(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % below;
}

static void answer_number(struct interview *v, const char *ref, uint32_t number)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", number);
    answer(v, ref, text);
}

static void add_named(struct interview *v, struct line *line, uint32_t name)
{
    char ref[40];
    add(v, "/d", "/d/r");
    line->names[line->count++] = name;
    snprintf(ref, sizeof(ref), "/d/r[%u]/name", line->count);
    answer_number(v, ref, name);
}

static void drop_nth(struct interview *v, struct line *line, uint32_t i)
{
    char ref[40];
    snprintf(ref, sizeof(ref), "/d/r[%u]", i + 1);
    drop(v, ref);
    memmove(&line->names[i], &line->names[i + 1], (line->count - i - 1) * sizeof(line->names[0]));
    line->count--;
}

static void stands_as(struct interview *v, const struct line *line)
{
    struct buf expected;
    char ref[40];
    buf_init(&expected, 1u << 16);
    for (uint32_t i = 0; i < line->count; i++) {
        char name[24];
        snprintf(name, sizeof(name), "%s%u", i ? " " : "", line->names[i]);
        buf_put_z(&expected, name);
        snprintf(ref, sizeof(ref), "/d/r[%u]/name", i + 1);
        assert_string_equal(value_of(v, ref), name + (i > 0));
        snprintf(ref, sizeof(ref), "/d/r[%u]/place", i + 1);
        assert_int_equal(atoi(value_of(v, ref)), i + 1);
    }
    snprintf(ref, sizeof(ref), "/d/r[%u]", line->count + 1);
    assert_false(is_there(v, ref));
    assert_string_equal(value_of(v, "/d/names"), arena_z(&v->a, buf_str(&expected)));
    buf_free(&expected);
}

static const char *const model =
    "<instance><d id=\"d\"><names/><r jr:template=\"\"><name/><place/></r></d></instance>"
    "<bind nodeset=\"/d/r/place\" calculate=\"position(..)\"/>"
    "<bind nodeset=\"/d/names\" calculate=\"join(' ', /d/r/name)\"/>";
static const char *const body =
    "<group ref=\"/d/r\"><repeat nodeset=\"/d/r\"><input ref=\"/d/r/name\"/></repeat></group>";

static void entries_are_taken_out_anywhere(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct interview v;
        struct line line = {0};
        uint64_t random = seed * 104729;
        uint32_t next = 1;
        interview_open(&v, model, body);
        for (uint32_t i = 0; i < 700; i++) {
            bool grows = chance(&random, 8) < (i < 350 ? 6 : 2);
            if (line.count < MANY && (grows || line.count == 0))
                add_named(&v, &line, next++);
            else
                drop_nth(&v, &line, chance(&random, line.count));
            if (i % 50 == 0)
                stands_as(&v, &line);
        }
        while (line.count > 0)
            drop_nth(&v, &line, chance(&random, line.count));
        stands_as(&v, &line);
        add_named(&v, &line, next);
        stands_as(&v, &line);
        interview_close(&v);
    }
}

static void a_half_that_goes_from_the_middle_leaves_the_others_in_order(void **state)
{
    struct interview v;
    struct line line = {0};
    (void)state;
    interview_open(&v, model, body);
    for (uint32_t i = 0; i < 200; i++)
        add_named(&v, &line, i);
    for (uint32_t i = 0; i < 150; i++) {
        drop_nth(&v, &line, 25);
        if (i % 30 == 0)
            stands_as(&v, &line);
    }
    stands_as(&v, &line);
    interview_close(&v);
}

static void entries_put_aside_come_back_in_their_order(void **state)
{
    static const char *const wanted[] = {"5", "2", "7", "0", "6", "1", "40", "3", "40"};
    struct interview v;
    uint32_t most = 0;
    char ref[40];
    (void)state;
    interview_open(&v,
                   "<instance><d id=\"d\"><n/><names/><r><name/></r></d></instance>"
                   "<bind nodeset=\"/d/n\" type=\"int\"/>"
                   "<bind nodeset=\"/d/names\" calculate=\"join(' ', /d/r/name)\"/>",
                   "<input ref=\"/d/n\"/><group ref=\"/d/r\"><repeat nodeset=\"/d/r\" jr:count=\"/d/n\">"
                   "<input ref=\"/d/r/name\"/></repeat></group>");
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        uint32_t count = (uint32_t)atoi(wanted[i]);
        answer(&v, "/d/n", wanted[i]);
        for (; most < count; most++) {
            snprintf(ref, sizeof(ref), "/d/r[%u]/name", most + 1);
            answer_number(&v, ref, most + 1);
        }
        for (uint32_t k = 1; k <= count; k++) {
            snprintf(ref, sizeof(ref), "/d/r[%u]/name", k);
            assert_int_equal(atoi(value_of(&v, ref)), k);
        }
        const char *kept = xml(&v, true), *after = kept;
        for (uint32_t k = 1; k <= most; k++) { /* those put aside stand behind the others, in their order */
            snprintf(ref, sizeof(ref), "<name>%u</name>", k);
            after = strstr(after, ref);
            assert_non_null(after);
        }
    }
    interview_close(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_taken_out_anywhere),
        cmocka_unit_test(a_half_that_goes_from_the_middle_leaves_the_others_in_order),
        cmocka_unit_test(entries_put_aside_come_back_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
