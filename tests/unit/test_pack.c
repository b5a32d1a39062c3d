/* Rule packs with mistakes: each is found at load, all of them at once, with where it is and what would be
 * right. And what a pack may say: parameters by area and day, derived values, templates. */
#include "tests/support/household.h"

static struct household h;

static int load_form(void **state)
{
    (void)state;
    household_load(&h);
    return 0;
}

static int free_form(void **state)
{
    (void)state;
    arena_free(&h.arena);
    return 0;
}

/* A small sound pack whose parts a case can replace. */
struct parts {
    const char *head, *inputs, *sets, *dept, *params, *derived, *when, *values, *text, *more, *categories;
};

static const struct parts sound = {
    .head = "\"format\":1,\"id\":\"t\",\"version\":\"1\",\"title\":{\"zh\":\"试\",\"en\":\"trial\"},"
            "\"forms\":[\"household_monitoring\"],\"valid\":{\"from\":\"2026-01-01\",\"to\":\"2026-12-31\"},",
    .inputs =
        "\"care\":{\"path\":\"/monitoring/spend/care\",\"type\":\"money\",\"zh\":\"照护\",\"en\":\"care\"},"
        "\"edu\":{\"path\":\"/monitoring/spend/"
        "edu_self\",\"type\":\"money\",\"zh\":\"教育\",\"en\":\"school\"}",
    .sets = "\"people\":{\"path\":\"/monitoring/member\",\"where\":\"sharing = "
            "'yes'\",\"name\":\"name\",\"zh\":\"人\","
            "\"en\":\"people\",\"fields\":{\"name\":{\"type\":\"text\",\"zh\":\"名\",\"en\":\"name\"},"
            "\"sharing\":"
            "{\"type\":\"choice\",\"zh\":\"一起\",\"en\":\"sharing\"},\"age\":{\"type\":\"count\",\"zh\":"
            "\"年龄\",\"en\":"
            "\"age\"}}}",
    .dept = "\"reg_size\":{\"type\":\"count\",\"zh\":\"户籍\",\"en\":\"register\"}",
    .params = "\"line\":{\"value\":100,\"unit\":\"CNY\",\"zh\":\"线\",\"en\":\"line\",\"source\":\"S\"}",
    .derived = "\"both\":{\"value\":\"$care + $edu\",\"type\":\"money\",\"zh\":\"合计\",\"en\":\"both\"}",
    .when = "$both > param('line') and count($people[age > 60]) >= 0 and is-missing(dept('reg_size'))",
    .values = "\"n\":\"count($people)\"",
    .text = "{both|money}",
    .more = "",
    .categories = "{\"code\":\"a\",\"when\":\"hit('C1')\",\"zh\":\"甲\",\"en\":\"a\"}",
};

static struct str pack_text(const struct parts *p)
{
    struct buf b;
    buf_init(&b, 1u << 22);
    buf_printf(&b, "{%s\"inputs\":{%s},\"sets\":{%s},\"dept\":{%s},\"params\":{%s},\"derived\":{%s},",
               p->head, p->inputs, p->sets, p->dept, p->params, p->derived);
    buf_printf(
        &b,
        "\"checks\":[{\"id\":\"C1\",\"severity\":\"red\",\"name\":{\"zh\":\"检\",\"en\":\"check\"},\"when\":"
        "\"%s\","
        "\"values\":{%s},\"text\":{\"zh\":\"%s\",\"en\":\"%s\"},\"follow\":{\"zh\":\"看\",\"en\":\"look\"},"
        "\"source\":\"S\"}%s],\"categories\":[%s]}",
        p->when, p->values, p->text, p->text, p->more, p->categories);
    assert_int_equal(b.failed, ERR_OK);
    struct str s = arena_str(&h.arena, buf_str(&b));
    buf_free(&b);
    return s;
}

static enum err load(struct str json, struct form_findings *findings, struct diag *d)
{
    const struct pack *p = NULL;
    return pack_load(&h.arena, json, h.form, &p, findings, d);
}

static void the_sound_pack_loads_without_a_word(void **state)
{
    (void)state;
    struct form_findings findings = {0};
    struct diag d = {0};
    enum err rc = load(pack_text(&sound), &findings, &d);
    if (rc || findings.list.count)
        fail_msg("%s %.*s", d.text, findings.list.count ? (int)findings.list.at[0].text.n : 0,
                 findings.list.count ? findings.list.at[0].text.p : "");
    const struct pack *p = pack_of(&h, pack_text(&sound));
    assert_string_equal(pack_title(p, STR("zh")).p, "试");
    assert_string_equal(pack_title(p, STR("en")).p, "trial");
    assert_int_equal(pack_check_count(p), 1);
}

/* The part that differs, where the mistake is, and words of its sentence. */
struct mistake {
    size_t part;
    const char *text, *where, *says;
};
#define PART(p) offsetof(struct parts, p)

static const struct mistake mistakes[] = {
    /* expressions */
    {PART(when), "$boht > 1", "checks.C1.when",
     "There is no input, set or value \"boht\". Is \"both\" meant?"},
    {PART(when), "both > 1", "checks.C1.when", "\"both\" is read as $both"},
    {PART(when), "/monitoring/spend/care > 1", "checks.C1.when", "make this path an input"},
    {PART(when), "$both > param('lime')", "checks.C1.when",
     "There is no parameter \"lime\". Is \"line\" meant?"},
    {PART(when), "$both > param($care)", "checks.C1.when", "param() takes one name in quotes"},
    {PART(when), "dept('regsize') > 1", "checks.C1.when", "There is no department value \"regsize\""},
    {PART(when), "prev('bot') > 1", "checks.C1.when", "There is no input, value or field \"bot\""},
    {PART(when), "summe($people) > 1", "checks.C1.when", "there is no function summe()"},
    {PART(when), "hit('C1')", "checks.C1.when", "there is no function hit()"},
    {PART(when), "count($people) > ", "checks.C1.when", "column"},
    {PART(when), "count($people, 1) > 1", "checks.C1.when", "count()"},
    {PART(when), "count($people[agee > 3]) > 1", "checks.C1.when",
     "has no field \"agee\". Is \"age\" meant?"},
    {PART(when), "count($people[health = 'x']) > 1", "checks.C1.when", "name it under \\\"fields\\\""},
    {PART(when), "count($people[../spend/care > 3]) > 1", "checks.C1.when", "Only the fields of"},
    {PART(when), "total($care) > 1", "checks.C1.when", "nodes"},
    {PART(when), "$n > $later", "checks.C1.when", "\"later\""},
    {PART(values), "\"n\":\"$m\",\"m\":\"1 + 1\"", "checks.C1.values", "$m is defined further down"},
    {PART(values), "\"care\":\"1\"", "checks.C1.values", "already the name of an input"},
    {PART(values), "\"n\":7", "checks.C1.values", "must be an expression, as text"},
    /* derived values */
    {PART(derived),
     "\"both\":{\"value\":\"$a\",\"type\":\"money\",\"zh\":\"x\",\"en\":\"x\"},"
     "\"a\":{\"value\":\"$b\",\"type\":\"money\",\"zh\":\"x\",\"en\":\"x\"},"
     "\"b\":{\"value\":\"$both\",\"type\":\"money\",\"zh\":\"x\",\"en\":\"x\"}",
     "derived.both.value", "both -> a -> b -> both"},
    {PART(derived), "\"both\":{\"value\":\"$both + 1\",\"type\":\"money\",\"zh\":\"x\",\"en\":\"x\"}",
     "derived.both.value", "both -> both"},
    {PART(derived), "\"both\":{\"value\":\"1\",\"type\":\"monye\",\"zh\":\"x\",\"en\":\"x\"}", "derived.both",
     "is no type"},
    /* inputs and sets */
    {PART(inputs),
     "\"care\":{\"path\":\"/monitoring/spend/caer\",\"type\":\"money\",\"zh\":\"x\",\"en\":\"x\"}",
     "inputs.care.path", "has no \"caer\""},
    {PART(inputs), "\"care\":{\"path\":\"/monitoring/spend\",\"type\":\"money\",\"zh\":\"x\",\"en\":\"x\"}",
     "inputs.care.path", "is a group"},
    {PART(inputs),
     "\"care\":{\"path\":\"/monitoring/member/name\",\"type\":\"text\",\"zh\":\"x\",\"en\":\"x\"}",
     "inputs.care.path", "inside a repeat"},
    {PART(inputs), "\"care\":{\"path\":\"/monitoring/today\",\"type\":\"money\",\"zh\":\"x\",\"en\":\"x\"}",
     "inputs.care.path", "is a date; that does not fit"},
    {PART(inputs),
     "\"care\":{\"path\":\"/monitoring/income/sources\",\"type\":\"choice\",\"zh\":\"x\",\"en\":\"x\"}",
     "inputs.care.path", "several choices"},
    {PART(inputs), "\"care\":{\"path\":\"/monitoring/spend/care\",\"type\":\"money\",\"zh\":\"x\"}",
     "inputs.care", "\"en\" is missing"},
    {PART(inputs),
     "\"2care\":{\"path\":\"/monitoring/spend/care\",\"type\":\"money\",\"zh\":\"x\",\"en\":\"x\"}",
     "inputs.2care", "begins with a letter"},
    {PART(inputs),
     "\"care\":{\"path\":\"/monitoring/spend/care\",\"type\":\"money\",\"zh\":\"x\",\"en\":\"x\"},"
     "\"care\":{\"path\":\"/monitoring/spend/care\",\"type\":\"money\",\"zh\":\"x\",\"en\":\"x\"}",
     "inputs.care", "used twice"},
    {PART(inputs),
     "\"care\":{\"path\":\"/monitoring/household/ex_poor\",\"type\":\"yesno\",\"zh\":\"x\",\"en\":\"x\"}",
     "inputs.care", "An answer is no truth value"},
    {PART(sets), "\"people\":{\"path\":\"/monitoring/spend\",\"zh\":\"x\",\"en\":\"x\",\"fields\":{}}",
     "sets.people.path", "is no repeat"},
    {PART(sets),
     "\"people\":{\"path\":\"/monitoring/member\",\"where\":\"$care > "
     "1\",\"zh\":\"x\",\"en\":\"x\",\"fields\":{}}",
     "sets.people.where", "reads only the set's fields"},
    {PART(sets),
     "\"people\":{\"path\":\"/monitoring/member\",\"where\":\"sharing "
     "=\",\"zh\":\"x\",\"en\":\"x\",\"fields\":{\"sharing\":"
     "{\"type\":\"choice\",\"zh\":\"x\",\"en\":\"x\"}}}",
     "sets.people.where", "column"},
    {PART(sets),
     "\"people\":{\"path\":\"/monitoring/member\",\"name\":\"nom\",\"zh\":\"x\",\"en\":\"x\",\"fields\":{}}",
     "sets.people", "is not among the fields"},
    /* parameters */
    {PART(params), "\"line\":{\"value\":\"100\",\"unit\":\"CNY\",\"zh\":\"x\",\"en\":\"x\",\"source\":\"S\"}",
     "params.line", "must be a plain number"},
    {PART(params), "\"line\":{\"value\":1e3,\"unit\":\"CNY\",\"zh\":\"x\",\"en\":\"x\",\"source\":\"S\"}",
     "params.line", "must be a plain number"},
    {PART(params), "\"line\":{\"unit\":\"CNY\",\"zh\":\"x\",\"en\":\"x\",\"source\":\"S\"}", "params.line",
     "\"value\" is missing"},
    {PART(params), "\"line\":{\"value\":1,\"zh\":\"x\",\"en\":\"x\",\"source\":\"S\"}", "params.line",
     "\"unit\" is missing"},
    {PART(params),
     "\"line\":{\"value\":1,\"unit\":\"u\",\"zh\":\"x\",\"en\":\"x\",\"source\":\"S\",\"overrides\":["
     "{\"area\":\"53\",\"from\":\"2024-01-01\",\"value\":2,\"source\":\"S\"},"
     "{\"area\":\"53\",\"from\":\"2024-01-01\",\"value\":3,\"source\":\"S\"}]}",
     "params.line", "Two values hold for the same area"},
    {PART(params),
     "\"line\":{\"value\":1,\"unit\":\"u\",\"zh\":\"x\",\"en\":\"x\",\"source\":\"S\",\"overrides\":["
     "{\"area\":\"Yunnan\",\"value\":2,\"source\":\"S\"}]}",
     "params.line", "digits of an area code"},
    {PART(params),
     "\"line\":{\"value\":1,\"unit\":\"u\",\"zh\":\"x\",\"en\":\"x\",\"source\":\"S\",\"from\":\"2026-13-"
     "01\"}",
     "params.line", "must be a date"},
    {PART(params),
     "\"line\":{\"value\":1,\"unit\":\"u\",\"zh\":\"x\",\"en\":\"x\",\"source\":\"S\",\"from\":\"2026-02-"
     "01\",\"to\":"
     "\"2026-01-01\"}",
     "params.line", "\"from\" is after \"to\""},
    /* sentences */
    {PART(text), "{bothh|money}", "checks.C1.text", "There is no value \"bothh\""},
    {PART(text), "{both|euro}", "checks.C1.text", "is no way to show a value"},
    {PART(text), "{both", "checks.C1.text", "is not closed"},
    {PART(text), "{param:lin}", "checks.C1.text", "There is no parameter"},
    {PART(text), "{?n}", "checks.C1.text", "needs a name, a colon"},
    {PART(text), "{?care:x}", "checks.C1.text", "true or false"},
    /* the whole */
    {PART(head),
     "\"format\":2,\"id\":\"t\",\"version\":\"1\",\"title\":{\"zh\":\"x\",\"en\":\"x\"},"
     "\"forms\":[\"household_monitoring\"],\"valid\":{},",
     "pack", "\"format\" must be 1"},
    {PART(head),
     "\"format\":1,\"id\":\"t\",\"version\":\"1\",\"title\":{\"zh\":\"x\",\"en\":\"x\"},"
     "\"forms\":[\"other\"],\"valid\":{},",
     "forms", "not for the form \"household_monitoring\""},
    {PART(head),
     "\"format\":1,\"id\":\"t\",\"version\":\"1\",\"title\":{\"zh\":\"x\",\"en\":\"x\"},\"vaild\":{},"
     "\"forms\":[\"household_monitoring\"],\"valid\":{},",
     "pack", "There is no \"vaild\" here. Is \"valid\" meant?"},
    {PART(more),
     ",{\"id\":\"C1\",\"severity\":\"pink\",\"name\":{\"zh\":\"x\",\"en\":\"x\"},\"when\":\"$care > "
     "1\",\"text\":"
     "{\"zh\":\"x\",\"en\":\"x\"},\"follow\":{\"zh\":\"x\",\"en\":\"x\"},\"source\":\"S\"}",
     "checks.C1", "red, yellow or blue"},
    {PART(more),
     ",{\"id\":\"C1\",\"severity\":\"red\",\"name\":{\"zh\":\"x\",\"en\":\"x\"},\"when\":\"$care > "
     "1\",\"text\":"
     "{\"zh\":\"x\",\"en\":\"x\"},\"follow\":{\"zh\":\"x\",\"en\":\"x\"},\"source\":\"S\"}",
     "checks.C1", "used twice"},
    {PART(more),
     ",{\"id\":\"C2\",\"severity\":\"red\",\"name\":{\"zh\":\"x\",\"en\":\"x\"},\"text\":"
     "{\"zh\":\"x\",\"en\":\"x\"},\"follow\":{\"zh\":\"x\",\"en\":\"x\"},\"source\":\"S\"}",
     "checks.C2", "\"when\" is missing"},
    {PART(categories), "{\"code\":\"a\",\"when\":\"hit('C9')\",\"zh\":\"x\",\"en\":\"x\"}",
     "categories.a.when", "There is no check \"C9\". Is \"C1\" meant?"},
    {PART(more),
     ",{\"id\":\"C2\",\"severity\":\"red\",\"visit\":[\"poverty\"],\"name\":{\"zh\":\"x\",\"en\":\"x\"},"
     "\"when\":\"$care > 1\",\"text\":"
     "{\"zh\":\"x\",\"en\":\"x\"},\"follow\":{\"zh\":\"x\",\"en\":\"x\"},\"source\":\"S\"}",
     "checks.C2.visit", "\"poverty\" is none"},
    {PART(sets),
     "\"people\":{\"path\":\"/monitoring/"
     "member\",\"zh\":\"x\",\"en\":\"x\",\"fields\":{\"name\":{\"type\":\"text\","
     "\"zh\":\"x\",\"en\":\"x\"}},\"match\":[\"idno\"],\"dept\":{\"school\":{\"type\":\"choice\",\"zh\":"
     "\"x\","
     "\"en\":\"x\"}}}",
     "sets.people.dept", "\"idno\" is none"},
    {PART(sets),
     "\"people\":{\"path\":\"/monitoring/"
     "member\",\"zh\":\"x\",\"en\":\"x\",\"fields\":{\"name\":{\"type\":\"text\","
     "\"zh\":\"x\",\"en\":\"x\"}},\"dept\":{\"school\":{\"type\":\"choice\",\"zh\":\"x\",\"en\":\"x\"}}}",
     "sets.people", "\"match\" is missing"},
};

static struct parts with(const struct mistake *m)
{
    struct parts p = sound;
    memcpy((char *)&p + m->part, &m->text, sizeof(m->text));
    return p;
}

static struct str unescaped(const char *s)
{
    char *p = arena_alloc(&h.arena, strlen(s) + 1);
    size_t n = 0;
    for (; *s; s++)
        if (*s != '\\')
            p[n++] = *s;
    return (struct str){p, n};
}

static void each_mistake_is_named_where_it_is(void **state)
{
    (void)state;
    uint32_t wrong = 0;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
        const struct mistake *m = &mistakes[i];
        struct parts p = with(m);
        struct form_findings findings = {0};
        struct diag d = {0};
        bool found = false;
        enum err rc = load(pack_text(&p), &findings, &d);
        for (uint32_t k = 0; k < findings.list.count; k++) {
            const struct form_finding *f = &findings.list.at[k];
            found = found || (f->severity == FINDING_ERROR && str_eq_z(f->node, m->where) && f->line == 1 &&
                              str_find(f->text, unescaped(m->says)) >= 0);
        }
        if (rc == ERR_SYNTAX && d.text[0] && found)
            continue;
        wrong++;
        print_error("%s\n  should say at %s: %s\n", m->text, m->where, m->says);
        for (uint32_t k = 0; k < findings.list.count; k++)
            print_error("  says at %.*s: %.*s\n", STR_ARG(findings.list.at[k].node),
                        STR_ARG(findings.list.at[k].text));
    }
    assert_int_equal(wrong, 0);
}

static void all_mistakes_are_found_at_once(void **state)
{
    (void)state;
    struct parts p = sound;
    struct form_findings findings = {0};
    struct diag d = {0};
    p.when = "$nobody > param('nothing')";
    p.derived = "\"both\":{\"value\":\"$both\",\"type\":\"money\",\"zh\":\"x\",\"en\":\"x\"}";
    p.text = "{nowhere}";
    p.params = "\"line\":{\"value\":true,\"unit\":\"u\",\"zh\":\"x\",\"en\":\"x\",\"source\":\"S\"}";
    assert_int_equal(load(pack_text(&p), &findings, &d), ERR_SYNTAX);
    assert_true(findings.error_count >=
                6); /* two names in the condition, the cycle, both sentences, the value */
}

static bool warned(const struct form_findings *f, const char *says)
{
    for (uint32_t i = 0; i < f->list.count; i++)
        if (f->list.at[i].severity == FINDING_WARNING && str_find(f->list.at[i].text, str_of(says)) >= 0)
            return true;
    return false;
}

static void what_can_never_be_judged_or_added_is_a_warning(void **state)
{
    (void)state;
    struct parts p = sound;
    struct form_findings findings = {0};
    struct diag d = {0};
    p.when = "$care div 0.0 > param('line')";
    assert_int_equal(load(pack_text(&p), &findings, &d), ERR_OK);
    assert_true(warned(&findings, "divided by 0"));
    p = sound;
    p.inputs =
        "\"care\":{\"path\":\"/monitoring/spend/care\",\"type\":\"money\",\"unit\":\"CNY/year\",\"zh\":\"x\","
        "\"en\":\"x\"},\"far\":{\"path\":\"/monitoring/water/"
        "minutes\",\"type\":\"count\",\"unit\":\"minutes\","
        "\"zh\":\"x\",\"en\":\"x\"},\"clinic\":{\"path\":\"/monitoring/spend/med_outp_month\",\"type\":"
        "\"money\",\"unit\":\"CNY/month\",\"zh\":\"x\",\"en\":\"x\"},\"edu\":{\"path\":"
        "\"/monitoring/spend/edu_self\",\"type\":\"money\",\"zh\":\"x\",\"en\":\"x\"}";
    p.when = "$care + $far > param('line')";
    findings = (struct form_findings){0};
    assert_int_equal(load(pack_text(&p), &findings, &d), ERR_OK);
    assert_true(warned(&findings, "far is told in minutes"));
    p.when = "$care + 12 * $clinic > param('line') and $far * $care > 1";
    findings = (struct form_findings){0};
    assert_int_equal(load(pack_text(&p), &findings, &d), ERR_OK);
    assert_false(warned(&findings, "added to"));
}

static void what_nobody_uses_is_a_warning(void **state)
{
    (void)state;
    struct parts p = sound;
    struct form_findings findings = {0};
    struct diag d = {0};
    p.when = "1 < 2";
    p.derived = "\"both\":{\"value\":\"$care\",\"type\":\"money\",\"zh\":\"x\",\"en\":\"x\"}";
    assert_int_equal(load(pack_text(&p), &findings, &d), ERR_OK);
    assert_int_equal(findings.error_count, 0);
    assert_int_equal(findings.list.count,
                     4); /* the condition, the parameter, an input, the department's value */
    for (uint32_t i = 0; i < findings.list.count; i++)
        assert_int_equal(findings.list.at[i].severity, FINDING_WARNING);
}

/* What compiles and is still no good. */
static void what_can_never_fire_or_be_compared_is_a_warning(void **state)
{
    static const struct {
        const char *when, *says;
    } cases[] = {
        {"1 > 2", "can never fire"},
        {"$both > param('line') and count($people[sharing = 'yess']) > 0", "sharing never is 'yess'"},
        {"$both > param('line') and count($people['yess' = sharing]) > 0", "sharing never is 'yess'"},
        {"$both > param('line') and count($people[sharing = 'yes']) > 0", NULL},
        {"$edu > param('line')", "edu is told in CNY/year, and compared with line, which is in CNY"},
        {"param('line') < prev('edu')", "compared with edu, which is in CNY/year"},
        {"$both - $edu > param('line')", NULL}, /* part of a sum: nothing is said */
        {"$edu > 12 * param('line')", NULL},
        {"$both * 2 > param('line') + $edu", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parts p = sound;
        struct form_findings findings = {0};
        struct diag d = {0};
        bool said = false;
        p.when = cases[i].when;
        p.inputs = "\"care\":{\"path\":\"/monitoring/spend/care\",\"type\":\"money\",\"zh\":\"照护\","
                   "\"en\":\"care\"},\"edu\":{\"path\":\"/monitoring/spend/edu_self\",\"type\":\"money\","
                   "\"unit\":\"CNY/year\",\"zh\":\"教育\",\"en\":\"school\"}";
        assert_int_equal(load(pack_text(&p), &findings, &d), ERR_OK);
        for (uint32_t k = 0; k < findings.list.count; k++) {
            struct str text = findings.list.at[k].text;
            bool lint = str_find(text, STR("never")) >= 0 || str_find(text, STR("compared")) >= 0;
            said = said || (cases[i].says && str_find(text, str_of(cases[i].says)) >= 0);
            if (!cases[i].says && lint)
                fail_msg("%s: %.*s", cases[i].when, STR_ARG(text));
        }
        if (cases[i].says && !said)
            fail_msg("%s: \"%s\" is not said", cases[i].when, cases[i].says);
    }
}

/* Without its form a pack is held against a form made of itself. */
static void a_pack_is_checked_without_its_form(void **state)
{
    static const char *const files[] = {"/examples/pack.cn.json", "/examples/scores/fcs.json",
                                        "/examples/scores/mpi-global.json", "/examples/quality.json"};
    struct parts p = sound;
    struct form_findings findings = {0};
    struct diag d = {0};
    const struct pack *pack = NULL;
    char path[200];
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s%s", DS_SOURCE_DIR, files[i]);
        enum err rc = pack_load_alone(&h.arena, read_whole(&h.arena, path), &pack, &findings, &d);
        if (rc || findings.list.count)
            fail_msg("%s: %s", files[i], rc ? d.text : arena_z(&h.arena, findings.list.at[0].text));
    }
    p.when = "$bath > param('lime')";
    p.derived = "\"both\":{\"value\":\"$care + $edus\",\"type\":\"money\",\"zh\":\"x\",\"en\":\"x\"}";
    assert_int_equal(pack_load_alone(&h.arena, pack_text(&p), &pack, &findings, &d), ERR_SYNTAX);
    assert_true(findings.error_count >= 3);
    p = sound;
    p.inputs = "\"care\":{\"path\":\"/a/b\",\"type\":\"money\",\"zh\":\"x\",\"en\":\"x\"},"
               "\"edu\":{\"path\":\"/a/b/c\",\"type\":\"money\",\"zh\":\"x\",\"en\":\"x\"}";
    findings = (struct form_findings){0};
    assert_int_equal(pack_load_alone(&h.arena, pack_text(&p), &pack, &findings, &d), ERR_SYNTAX);
}

static void a_mistake_has_the_line_of_the_file(void **state)
{
    (void)state;
    struct form_findings findings = {0};
    struct diag d = {0};
    struct str text = read_whole(&h.arena, DS_SOURCE_DIR "/examples/pack.cn.json");
    ptrdiff_t at = str_find(text, STR("$food_ok = 'no'\""));
    assert_true(at > 0);
    char *p = arena_alloc(&h.arena, text.n + 1);
    memcpy(p, text.p, text.n);
    memcpy(p + at, "$fool_ok", 8);
    uint32_t line = 1;
    for (ptrdiff_t i = 0; i < at; i++)
        line += p[i] == '\n';
    assert_int_equal(load((struct str){p, text.n}, &findings, &d), ERR_SYNTAX);
    assert_true(findings.error_count >= 1);
    assert_true(findings.list.at[0].line <= line && findings.list.at[0].line + 8 > line);
    assert_true(str_find(str_of(d.text), STR("checks.FOD01.values")) >= 0);
    assert_true(str_find(str_of(d.text), STR("Is \"food_ok\" meant?")) >= 0);
}

static void the_example_pack_has_no_warning(void **state)
{
    (void)state;
    struct form_findings findings = {0};
    struct diag d = {0};
    assert_int_equal(load(read_whole(&h.arena, DS_SOURCE_DIR "/examples/pack.cn.json"), &findings, &d),
                     ERR_OK);
    for (uint32_t i = 0; i < findings.list.count; i++)
        print_error("%.*s: %.*s\n", STR_ARG(findings.list.at[i].node), STR_ARG(findings.list.at[i].text));
    assert_int_equal(findings.list.count, 0);
}

static void text_that_is_no_pack(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",         "{",
        "[]",       "null",
        "{}",       "{\"format\":1}",
        "\"pack\"", "{\"checks\":[1,2],\"inputs\":[],\"sets\":3,\"params\":[],\"derived\":\"x\"}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct form_findings findings = {0};
        struct diag d = {0};
        assert_int_equal(load(str_of(texts[i]), &findings, &d), ERR_SYNTAX);
        assert_true(d.text[0] != 0);
    }
}

static void an_expression_too_long_or_too_deep(void **state)
{
    (void)state;
    struct parts p = sound;
    struct form_findings findings = {0};
    struct diag d = {0};
    char *when = arena_alloc(&h.arena, 300000);
    memset(when, '(', 5000);
    memcpy(when + 5000, "1", 1);
    memset(when + 5001, ')', 5000);
    p.when = when;
    assert_int_equal(load(pack_text(&p), &findings, &d), ERR_SYNTAX);
    memset(when, ' ', 250000);
    memcpy(when, "1 < ", 4);
    memcpy(when + 250000, "2", 2);
    memset(&d, 0, sizeof(d));
    assert_int_equal(load(pack_text(&p), &findings, &d), ERR_SYNTAX);
    assert_true(d.text[0] != 0);
}

static void a_pack_tells_what_it_is_for(void **state)
{
    (void)state;
    struct pack_about about;
    struct diag d = {0};
    struct str text = read_whole(&h.arena, DS_SOURCE_DIR "/examples/pack.cn.json");
    assert_int_equal(pack_about_read(&h.arena, text, &about, &d), ERR_OK);
    assert_string_equal(about.id.p, "cn-monitoring");
    assert_string_equal(about.version.p, "2026.1");
    assert_string_equal(about.title_zh.p, "防止返贫监测示例规则包");
    assert_int_equal(about.form_id_count, 1);
    assert_string_equal(about.form_ids[0].p, "household_monitoring");
    static const char *const bad[] = {"", "[]", "{\"id\":\"x\"}",
                                      "{\"id\":1,\"version\":\"1\",\"forms\":[]}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        memset(&d, 0, sizeof(d));
        assert_int_equal(pack_about_read(&h.arena, str_of(bad[i]), &about, &d), ERR_SYNTAX);
    }
}

/* -- small packs at work
 * ---------------------------------------------------------------------------------------- */

static const char *sentence(struct session *s, const struct parts *p, struct str area)
{
    struct judge_input in = {.now = s, .area = area, .today = 20780};
    struct judgement j;
    struct diag d = {0};
    if (judge_household(&h.arena, pack_of(&h, pack_text(p)), &in, &j, &d))
        fail_msg("%s", d.text);
    const struct finding *f = finding_of(&j, "C1");
    return f ? f->text_en.p : "-";
}

/* A count of which one person is not known is known all the same when the limit lies outside. */
static void not_known_is_only_as_wide_as_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *when, *says;
    } cases[] = {
        {"count($people) >= 3", "hit"},
        {"count($people) >= 4", "Cannot judge, missing: 田小米: sharing. Blank does not mean safe."},
        {"count($people) > 4", "-"},
        {"count($people-all) = 4", "hit"},
        {"count($people) = 3", "Cannot judge, missing: 田小米: sharing. Blank does not mean safe."},
        {"not(count($people) < 3)", "hit"},
    };
    struct session *s = session_of_script(&h, DS_SOURCE_DIR "/examples/answers/calm.tsv");
    answer_z(s, "/monitoring/member[4]/sharing", "");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct parts p = sound;
        p.when = cases[i].when;
        p.text = "hit";
        assert_string_equal(sentence(s, &p, STR("")), cases[i].says);
    }
    session_close(s);
}

static void values_in_sentences(void **state)
{
    (void)state;
    static const struct {
        const char *value, *text, *says;
    } cases[] = {
        {"1234567.5", "{n|money}", "1,234,567.50"},
        {"22499.99 div 3", "{n|money}", "7,499.99"},
        {"-1234.567", "{n|money}", "-1,234.56"},
        {"0.005 - 0.01", "{n|money}", "0"},
        {"100", "{n|money}", "100"},
        {"1 div 3", "{n|percent}", "33.3%"},
        {"0.30549", "{n|percent}", "30.5%"},
        {"0.3055", "{n|percent}", "30.6%"},
        {"0.9996", "{n|percent}", "100%"},
        {"2 div 3", "{n|number}", "0.7"},
        {"12", "{n|number}", "12"},
        {"count($people)", "{n|count}", "4"},
        {"$people/name", "{n|names}", "田大米, 谷雨晴, 田豆豆, 田小米"},
        {"1 = 1", "{n} {?n:so}{{}", "yes so{}"},
        {"1 = 2", "a{?n:so}b", "ab"},
        {"unknown()", "{n|money}", "unknown"},
        {"dept('reg_size')", "{dept:reg_size|count}", "unknown"},
        {"0", "{param:line|money} {care} {both|money}", "100 0 3,600"},
        {"1 div 0", "{n}", "unknown"},
    };
    struct session *s = session_of_script(&h, DS_SOURCE_DIR "/examples/answers/calm.tsv");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char value[200];
        struct parts p = sound;
        snprintf(value, sizeof(value), "\"n\":\"%s\"", cases[i].value);
        p.values = value;
        p.when = "$care >= 0 and is-missing(dept('reg_size')) and param('line') > 0";
        p.text = cases[i].text;
        assert_string_equal(sentence(s, &p, STR("")), cases[i].says);
    }
    session_close(s);
}

static void money_is_exact(void **state)
{
    (void)state;
    static const struct {
        const char *when, *says;
    } cases[] = {
        {"0.1 + 0.2 = 0.3", "hit"},
        {"1.1 * 3 = 3.3", "hit"},
        {"10 div 4 = 2.5", "hit"},
        {"total($people/age) = total($people-all/age)", "hit"},
        {"days('2026-03-01', '2026-02-28') = 1", "hit"},
        {"days('2024-03-01', '2024-02-28') = 2", "hit"},
    };
    struct session *s = session_of_script(&h, DS_SOURCE_DIR "/examples/answers/calm.tsv");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct parts p = sound;
        p.when = cases[i].when;
        p.text = "hit";
        assert_string_equal(sentence(s, &p, STR("")), cases[i].says);
    }
    session_close(s);
}

static void a_value_for_an_area_ends_when_it_says_so(void **state)
{
    (void)state;
    struct session *s = session_of_script(&h, DS_SOURCE_DIR "/examples/answers/calm.tsv");
    struct parts p = sound;
    p.when = "$care < param('line')";
    p.text = "{param:line}";
    p.params =
        "\"line\":{\"value\":1,\"unit\":\"u\",\"zh\":\"x\",\"en\":\"x\",\"source\":\"S\",\"overrides\":["
        "{\"area\":\"99\",\"value\":2,\"source\":\"S\"},"
        "{\"area\":\"9901\",\"to\":\"2026-11-22\",\"value\":3,\"source\":\"S\"},"
        "{\"area\":\"990101\",\"from\":\"2026-11-24\",\"value\":4,\"source\":\"S\"},"
        "{\"area\":\"990102\",\"from\":\"2026-11-23\",\"value\":5,\"source\":\"S\"},"
        "{\"area\":\"990102\",\"from\":\"2020-01-01\",\"value\":6,\"source\":\"S\"}]}";
    assert_string_equal(sentence(s, &p, STR("990101001201")), "2");
    assert_string_equal(sentence(s, &p, STR("990102001201")), "5");
    assert_string_equal(sentence(s, &p, STR("880101001201")), "1");
    assert_string_equal(sentence(s, &p, STR("")), "1");
    session_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sound_pack_loads_without_a_word),
        cmocka_unit_test(each_mistake_is_named_where_it_is),
        cmocka_unit_test(all_mistakes_are_found_at_once),
        cmocka_unit_test(what_nobody_uses_is_a_warning),
        cmocka_unit_test(what_can_never_be_judged_or_added_is_a_warning),
        cmocka_unit_test(what_can_never_fire_or_be_compared_is_a_warning),
        cmocka_unit_test(a_pack_is_checked_without_its_form),
        cmocka_unit_test(a_mistake_has_the_line_of_the_file),
        cmocka_unit_test(the_example_pack_has_no_warning),
        cmocka_unit_test(text_that_is_no_pack),
        cmocka_unit_test(an_expression_too_long_or_too_deep),
        cmocka_unit_test(a_pack_tells_what_it_is_for),
        cmocka_unit_test(not_known_is_only_as_wide_as_it_is),
        cmocka_unit_test(values_in_sentences),
        cmocka_unit_test(money_is_exact),
        cmocka_unit_test(a_value_for_an_area_ends_when_it_says_so),
    };
    return cmocka_run_group_tests(tests, load_form, free_form);
}
