/* Aggregates that are kept instead of computed: after any history of answers, added and removed entries the
 * interview must say what one says that is opened with the same answers and computes everything from nothing.
 */
#include "tests/support/forms.h"

/* With a condition: kept, and beside it (w) the same with a position, which is walked. */
#define CONDITIONAL "<p1/><p1w/><p2/><p2w/><p3/><p3w/><p4/><p4w/><p5/><p5w/><p6/><p6w/><p7/><p7w/>"
#define IN_ENTRY "<q1/><q1w/><q2/><q2w/>"

/* Sums, counts and extremes from outside, from beside and from two repeats below; some entries do not apply,
 * some amounts have digits that no double holds, and one constraint asks for the sum it takes part in. */
static const char *const model =
    "<instance><d id=\"d\"><on>1</on>"
    "<r jr:template=\"\"><x/><y/><z/><part/><all/><place/>" IN_ENTRY "<m jr:template=\"\"><v/><w/></m></r>"
    "<r><x>3</x><y>0.1</y><z/><part/><all/><place/>" IN_ENTRY "<m><v>2</v><w/></m></r>"
    "<g><k><a/></k></g>"
    "<n/><given/><sx/><sy/><sz/><sv/><parts/><low/><high/><deep/><ks/>" CONDITIONAL "</d></instance>"
    "<bind nodeset=\"/d/r\" relevant=\"/d/on != 3\"/>"
    "<bind nodeset=\"/d/r/x\" type=\"int\" constraint=\"sum(../../r/x) &lt; 300\"/>"
    "<bind nodeset=\"/d/r/y\" type=\"decimal\"/>"
    "<bind nodeset=\"/d/r/z\" type=\"int\" relevant=\"../x &gt; 10\"/>"
    "<bind nodeset=\"/d/r/part\" type=\"decimal\" calculate=\"sum(../m/v)\"/>"
    "<bind nodeset=\"/d/r/all\" type=\"decimal\" calculate=\"sum(../../r/y)\"/>"
    "<bind nodeset=\"/d/r/place\" type=\"int\" calculate=\"position(..)\"/>"
    "<bind nodeset=\"/d/r/m/v\" type=\"decimal\"/>"
    "<bind nodeset=\"/d/r/m/w\" calculate=\"concat(count(../../m), '/', max(../../m/v))\"/>"
    "<bind nodeset=\"/d/g\" relevant=\"/d/on = 1\"/>"
    "<bind nodeset=\"/d/g/k/a\" type=\"int\"/>"
    "<bind nodeset=\"/d/n\" calculate=\"count(/d/r)\"/>"
    "<bind nodeset=\"/d/given\" calculate=\"count-non-empty(/d/r/y)\"/>"
    "<bind nodeset=\"/d/sx\" calculate=\"sum(/d/r/x)\"/>"
    "<bind nodeset=\"/d/sy\" calculate=\"sum(/d/r/y)\"/>"
    "<bind nodeset=\"/d/sz\" calculate=\"sum(/d/r/z) + 100 * count(/d/r/z)\"/>"
    "<bind nodeset=\"/d/sv\" calculate=\"sum(/d/r/m/v)\"/>"
    "<bind nodeset=\"/d/parts\" calculate=\"sum(/d/r/part)\"/>"
    "<bind nodeset=\"/d/low\" calculate=\"min(/d/r/y)\"/>"
    "<bind nodeset=\"/d/high\" calculate=\"max(/d/r/x)\"/>"
    "<bind nodeset=\"/d/deep\" calculate=\"count(/d/r/m)\"/>"
    "<bind nodeset=\"/d/ks\" calculate=\"sum(/d/g/k/a)\"/>"
    "<bind nodeset=\"/d/p1\" calculate=\"count(/d/r[x &lt; 20])\"/>"
    "<bind nodeset=\"/d/p1w\" calculate=\"count(/d/r[x &lt; 20][position() &gt; 0])\"/>"
    "<bind nodeset=\"/d/p2\" calculate=\"sum(/d/r[x &gt; 2 and /d/on = 1]/y)\"/>"
    "<bind nodeset=\"/d/p2w\" calculate=\"sum(/d/r[x &gt; 2 and /d/on = 1][position() &gt; 0]/y)\"/>"
    "<bind nodeset=\"/d/p3\" calculate=\"concat(max(/d/r[y &gt; 5 or z != '']/x), '/', min(/d/r[not(x = "
    "3)]/y))\"/>"
    "<bind nodeset=\"/d/p3w\" calculate=\"concat(max(/d/r[y &gt; 5 or z != ''][position() &gt; 0]/x), '/', "
    "min(/d/r[not(x = 3)][position() &gt; 0]/y))\"/>"
    "<bind nodeset=\"/d/p4\" calculate=\"sum(/d/r[x &gt; 2][y != '']/m/v)\"/>"
    "<bind nodeset=\"/d/p4w\" calculate=\"sum(/d/r[x &gt; 2][y != ''][position() &gt; 0]/m/v)\"/>"
    "<bind nodeset=\"/d/p5\" calculate=\"sum(/d/r/m[v &gt; ../x]/v)\"/>"
    "<bind nodeset=\"/d/p5w\" calculate=\"sum(/d/r/m[v &gt; ../x][position() &gt; 0]/v)\"/>"
    "<bind nodeset=\"/d/p6\" calculate=\"count-non-empty(/d/r/y[. &gt; 5])\"/>"
    "<bind nodeset=\"/d/p6w\" calculate=\"count-non-empty(/d/r/y[. &gt; 5][position() &gt; 0])\"/>"
    "<bind nodeset=\"/d/p7\" calculate=\"count(/d/r[part &gt; 3])\"/>"
    "<bind nodeset=\"/d/p7w\" calculate=\"count(/d/r[part &gt; 3][position() &gt; 0])\"/>"
    "<bind nodeset=\"/d/r/q1\" calculate=\"sum(../m[v &gt; 1]/v)\"/>"
    "<bind nodeset=\"/d/r/q1w\" calculate=\"sum(../m[v &gt; 1][position() &gt; 0]/v)\"/>"
    "<bind nodeset=\"/d/r/q2\" calculate=\"count(../../r[x &gt; 10]) + count(../m)\"/>"
    "<bind nodeset=\"/d/r/q2w\" calculate=\"count(../../r[x &gt; 10][position() &gt; 0]) + "
    "count(../m[position() &gt; 0])\"/>";
static const char *const body =
    "<input ref=\"/d/on\"/>"
    "<group ref=\"/d/r\"><repeat nodeset=\"/d/r\"><input ref=\"/d/r/x\"/><input ref=\"/d/r/y\"/>"
    "<input ref=\"/d/r/z\"/><group ref=\"/d/r/m\"><repeat nodeset=\"/d/r/m\"><input ref=\"/d/r/m/v\"/>"
    "</repeat></group></repeat></group>"
    "<group ref=\"/d/g\"><group ref=\"/d/g/k\"><repeat nodeset=\"/d/g/k\"><input ref=\"/d/g/k/a\"/>"
    "</repeat></group></group>";

static uint32_t chance(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % below;
}

static uint32_t entries(struct interview *v, const char *parent, const char *repeat)
{
    struct place *list;
    uint32_t r = 0;
    while (!str_eq_z(form_repeat(v->form, r)->path, repeat))
        r++;
    return session_instances(v->s, at(v, parent), r, &v->a, &list);
}

static const char *amount(uint64_t *state)
{
    static const char *const amounts[] = {"",     "0",  "0.1",  "0.2",        "-7.3",
                                          "12.5", "40", "1000", "1234567890", "0.30000000000000004"};
    return amounts[chance(state, sizeof(amounts) / sizeof(*amounts))];
}

/* A refusal changes nothing, so it is as good as no edit. */
static void may_fail(struct interview *v, enum err rc)
{
    if (rc)
        diag_clear(&v->d);
}

/* One edit. */
static void edit(struct interview *v, uint64_t *state)
{
    static const char *const places[] = {"0", "1", "2", "3", "17", "50", ""};
    static const char *const leaves[] = {"x", "x", "y", "y", "z"};
    char entry[64], ref[96];
    uint32_t rows = entries(v, "/d", "/d/r");
    uint32_t row = rows ? 1 + chance(state, rows) : 0, kind = chance(state, 16);
    snprintf(entry, sizeof(entry), "/d/r[%u]", row);
    uint32_t inner = row ? entries(v, entry, "/d/r/m") : 0;
    if (kind == 0) {
        may_fail(v, try_answer(v, "/d/on", places[chance(state, 4)]));
    } else if (kind <= 2 && rows < 12 && applies(v, "/d/on")) {
        struct place p;
        may_fail(v, session_repeat_add(v->s, at(v, "/d"), 0, &p, &v->d));
    } else if (kind == 3 && rows) {
        drop(v, entry);
    } else if (kind <= 5 && rows && inner < 5) {
        struct place p;
        may_fail(v, session_repeat_add(v->s, at(v, entry), 1, &p, &v->d));
    } else if (kind == 6 && inner) {
        snprintf(ref, sizeof(ref), "%s/m[%u]", entry, 1 + chance(state, inner));
        drop(v, ref);
    } else if (kind <= 9 && inner) {
        snprintf(ref, sizeof(ref), "%s/m[%u]/v", entry, 1 + chance(state, inner));
        may_fail(v, try_answer(v, ref, amount(state)));
    } else if (kind == 10 && rows) {
        snprintf(ref, sizeof(ref), "%s/y", entry);
        struct place p = at(v, ref);
        may_fail(v,
                 session_answer_status(v->s, p, chance(state, 2) ? ANSWER_DONT_KNOW : ANSWER_REFUSED, &v->d));
    } else if (rows) {
        const char *leaf = leaves[chance(state, 5)];
        snprintf(ref, sizeof(ref), "%s/%s", entry, leaf);
        may_fail(v, try_answer(v, ref, leaf[0] == 'y' ? amount(state) : places[chance(state, 7)]));
    }
}

static void same_as_walked(struct interview *v, const char *kept)
{
    char walked[40];
    snprintf(walked, sizeof(walked), "%sw", kept);
    if (strcmp(value_of(v, kept), value_of(v, walked)) != 0)
        fail_msg("%s is %s kept and %s walked", kept, value_of(v, kept), value_of(v, walked));
}

static void conditions_hold_where_they_hold(struct interview *v)
{
    char ref[40];
    for (uint32_t i = 1; i <= 7; i++) {
        snprintf(ref, sizeof(ref), "/d/p%u", i);
        same_as_walked(v, ref);
    }
    for (uint32_t i = entries(v, "/d", "/d/r"); i > 0 && applies(v, "/d/on"); i--) {
        snprintf(ref, sizeof(ref), "/d/r[%u]/q1", i);
        same_as_walked(v, ref);
        snprintf(ref, sizeof(ref), "/d/r[%u]/q2", i);
        same_as_walked(v, ref);
    }
}

static void same_as_opened_anew(struct interview *v, uint64_t seed, uint32_t step)
{
    struct interview fresh;
    struct saved_interview saved;
    struct place *list;
    const char *text = xml(v, true);
    interview_init(&fresh);
    fresh.form = v->form;
    if (submission_read(&fresh.a, v->form, str_of(text), 1, &saved, &fresh.d))
        fail_msg("%s", fresh.d.text);
    interview_resume(&fresh, saved.rows, saved.row_count, saved.cells, saved.cell_count);
    const char *again = xml(&fresh, true);
    if (strcmp(text, again) != 0)
        fail_msg("seed %llu, edit %u:\n%s\nopened anew:\n%s", (unsigned long long)seed, step, text, again);
    assert_int_equal(session_violations(v->s, &v->a, &list), session_violations(fresh.s, &fresh.a, &list));
    interview_close(&fresh);
}

static void any_history_of_edits_ends_where_a_fresh_interview_begins(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct interview v;
        uint64_t random = seed * 7919;
        interview_open(&v, model, body);
        for (uint32_t i = 0; i < 240; i++) {
            edit(&v, &random);
            conditions_hold_where_they_hold(&v);
            if (i % 8 == 0)
                same_as_opened_anew(&v, seed, i);
        }
        interview_close(&v);
    }
}

static void a_sum_has_the_digits_of_adding_up_in_order(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, model, body);
    add(&v, "/d", "/d/r");
    add(&v, "/d", "/d/r");
    answer(&v, "/d/r[2]/y", "0.2");
    answer(&v, "/d/r[3]/y", "0.3");
    assert_string_equal(value_of(&v, "/d/sy"), "0.6000000000000001");
    answer(&v, "/d/r[1]/y", "");
    assert_string_equal(value_of(&v, "/d/sy"), "0.5");
    drop(&v, "/d/r[2]");
    assert_string_equal(value_of(&v, "/d/sy"), "0.3");
    assert_string_equal(value_of(&v, "/d/r[1]/all"), "0.3");
    interview_close(&v);
}

static void a_constraint_counts_the_answer_it_is_asked_about(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, model, body);
    assert_int_equal(try_answer(&v, "/d/r[1]/x", "300"), ERR_SYNTAX);
    assert_string_equal(value_of(&v, "/d/sx"), "3");
    answer(&v, "/d/r[1]/x", "299");
    assert_string_equal(value_of(&v, "/d/sx"), "299");
    interview_close(&v);
}

/* What cannot be asked of each entry by itself is computed as it is written. */
static void conditions_that_look_elsewhere_are_walked(void **state)
{
    struct interview v;
    (void)state;
    interview_open(
        &v,
        "<instance><d id=\"d\"><limit>5</limit><r><x>4</x><above/></r><r><x>7</x><above/></r>"
        "<r><x>9</x><above/></r><beyond/><most/><first/></d></instance>"
        "<bind nodeset=\"/d/limit\" type=\"int\"/><bind nodeset=\"/d/r/x\" type=\"int\"/>"
        "<bind nodeset=\"/d/r/above\" calculate=\"count(../../r[x &gt; current()/../x])\"/>"
        "<bind nodeset=\"/d/beyond\" calculate=\"count(/d/r[x &gt; /d/limit])\"/>"
        "<bind nodeset=\"/d/most\" calculate=\"count(/d/r[x = max(/d/r/x)])\"/>"
        "<bind nodeset=\"/d/first\" calculate=\"sum(/d/r[2]/x)\"/>",
        "<input ref=\"/d/limit\"/><group ref=\"/d/r\"><repeat nodeset=\"/d/r\"><input ref=\"/d/r/x\"/>"
        "</repeat></group>");
    assert_string_equal(value_of(&v, "/d/r[1]/above"), "2");
    assert_string_equal(value_of(&v, "/d/beyond"), "2");
    answer(&v, "/d/limit", "8");
    answer(&v, "/d/r[1]/x", "9");
    assert_string_equal(value_of(&v, "/d/r[1]/above"), "0");
    assert_string_equal(value_of(&v, "/d/r[2]/above"), "2");
    assert_string_equal(value_of(&v, "/d/beyond"), "2");
    assert_string_equal(value_of(&v, "/d/most"), "2");
    assert_string_equal(value_of(&v, "/d/first"), "7");
    interview_close(&v);
}

/* The condition reads what the count feeds: no count can be right, and the form loads as it always did. */
static void a_condition_that_hangs_on_its_own_count_does_no_harm(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v,
                   "<instance><d id=\"d\"><r jr:template=\"\"><x/><n/></r><r><x>1</x><n/></r></d></instance>"
                   "<bind nodeset=\"/d/r/x\" type=\"int\"/>"
                   "<bind nodeset=\"/d/r/n\" calculate=\"count(../../r[n &lt; 1])\"/>",
                   "<group ref=\"/d/r\"><repeat nodeset=\"/d/r\"><input ref=\"/d/r/x\"/></repeat></group>");
    add(&v, "/d", "/d/r");
    answer(&v, "/d/r[2]/x", "5");
    drop(&v, "/d/r[1]");
    assert_string_equal(value_of(&v, "/d/r[1]/x"), "5");
    interview_close(&v);
}

static void the_largest_goes_and_the_next_takes_its_place(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v, model, body);
    add(&v, "/d", "/d/r");
    answer(&v, "/d/r[2]/x", "40");
    assert_string_equal(value_of(&v, "/d/high"), "40");
    answer(&v, "/d/r[2]/x", "1");
    assert_string_equal(value_of(&v, "/d/high"), "3");
    drop(&v, "/d/r[1]");
    assert_string_equal(value_of(&v, "/d/high"), "1");
    assert_string_equal(value_of(&v, "/d/r[1]/place"), "1");
    drop(&v, "/d/r[1]");
    assert_string_equal(value_of(&v, "/d/high"), "");
    assert_string_equal(value_of(&v, "/d/n"), "0");
    interview_close(&v);
}

static void entries_put_aside_come_back_up_to_date(void **state)
{
    struct interview v;
    (void)state;
    interview_open(&v,
                   "<instance><d id=\"d\"><n>2</n><rate>2</rate>"
                   "<r><m jr:template=\"\"><v/><cost/></m><m><v>5</v><cost/></m></r><all/></d></instance>"
                   "<bind nodeset=\"/d/n\" type=\"int\"/><bind nodeset=\"/d/rate\" type=\"int\"/>"
                   "<bind nodeset=\"/d/r/m/v\" type=\"int\"/>"
                   "<bind nodeset=\"/d/r/m/cost\" calculate=\"../v * /d/rate\"/>"
                   "<bind nodeset=\"/d/all\" calculate=\"sum(/d/r/m/cost)\"/>",
                   "<input ref=\"/d/n\"/><input ref=\"/d/rate\"/>"
                   "<group ref=\"/d/r\"><repeat nodeset=\"/d/r\" jr:count=\"/d/n\"><group ref=\"/d/r/m\">"
                   "<repeat nodeset=\"/d/r/m\"><input ref=\"/d/r/m/v\"/></repeat></group></repeat></group>");
    assert_string_equal(value_of(&v, "/d/r[1]/m[1]/cost"), "10");
    answer(&v, "/d/n", "0");
    assert_string_equal(value_of(&v, "/d/all"), "0");
    answer(&v, "/d/rate", "3");
    answer(&v, "/d/n", "1");
    assert_string_equal(value_of(&v, "/d/r[1]/m[1]/cost"), "15");
    assert_string_equal(value_of(&v, "/d/all"), "15");
    interview_close(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_history_of_edits_ends_where_a_fresh_interview_begins),
        cmocka_unit_test(a_sum_has_the_digits_of_adding_up_in_order),
        cmocka_unit_test(a_constraint_counts_the_answer_it_is_asked_about),
        cmocka_unit_test(conditions_that_look_elsewhere_are_walked),
        cmocka_unit_test(a_condition_that_hangs_on_its_own_count_does_no_harm),
        cmocka_unit_test(the_largest_goes_and_the_next_takes_its_place),
        cmocka_unit_test(entries_put_aside_come_back_up_to_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
