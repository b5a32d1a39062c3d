/* What the example pack says about households: each check at and beside its line, with an answer missing,
 * against the last visit and against department records (tests/data/judge_cases.tsv); then the sentences, the
 * JSON, and judging under strain. */
#include "tests/support/household.h"

#include "platform/base/civil.h"
#include "platform/base/json.h"

#define CASES DS_SOURCE_DIR "/tests/data/judge_cases.tsv"
#define ANSWERS DS_SOURCE_DIR "/examples/answers/"

static struct household h;
static const struct pack *pack;

static int load_all(void **state)
{
    (void)state;
    household_load(&h);
    pack = example_pack(&h);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    arena_free(&h.arena);
    return 0;
}

static int64_t day_of(const char *iso)
{
    struct civil c;
    assert_true(civil_read_date(str_of(iso), &c));
    return civil_days(c.year, c.month, c.day);
}

static struct judge_input input_for(struct session *now)
{
    return (struct judge_input){.now = now, .area = STR("990101001201"), .today = day_of("2026-11-23")};
}

static struct judgement judged(const struct judge_input *in)
{
    struct judgement j;
    struct diag d = {0};
    if (judge_household(&h.arena, pack, in, &j, &d))
        fail_msg("%s", d.text);
    return j;
}

/* -- the table of cases
 * ----------------------------------------------------------------------------------------- */

struct case_state {
    struct str title;
    struct session *now, *prev;
    struct judge_input in;
    struct judgement result;
    bool open, judged;
    uint32_t wrong, expectations;
};

static struct str calm_script;

static void case_begin(struct case_state *c, struct str title)
{
    struct arena *a = &h.arena;
    session_close(c->now);
    session_close(c->prev);
    h.host.now_ms = HOUSEHOLD_NOW_MS;
    uint32_t wrong = c->wrong, expectations = c->expectations;
    *c = (struct case_state){.title = arena_str(a, title),
                             .wrong = wrong,
                             .expectations = expectations,
                             .open = true};
    c->in = input_for(NULL);
}

static struct session *calm_session(void)
{
    struct session *s = new_session(&h);
    run_script(h.form, s, calm_script);
    return s;
}

static void case_ready(struct case_state *c)
{
    if (!c->now)
        c->now = calm_session();
}

static struct str full_ref(struct str ref)
{
    char *p = arena_alloc(&h.arena, ref.n + 13);
    assert_non_null(p);
    memcpy(p, "/monitoring/", 12);
    memcpy(p + 12, ref.p, ref.n);
    return (struct str){p, ref.n + 12};
}

static void case_line(struct case_state *c, struct str word, struct str rest)
{
    struct str first = STR(""), value = STR("");
    str_split(&rest, '\t', &first);
    str_split(&rest, '\t', &value);
    struct diag d = {0};
    if (str_eq_z(word, "set")) {
        case_ready(c);
        answer(c->now, full_ref(first), value);
    } else if (str_eq_z(word, "add")) {
        struct place added;
        case_ready(c);
        assert_int_equal(session_repeat_add(c->now, place_at(c->now, STR("/monitoring")), 0, &added, &d),
                         ERR_OK);
    } else if (str_eq_z(word, "before")) {
        if (!c->prev) {
            h.host.now_ms -= INT64_C(184) * 86400000; /* 2026-05-23 */
            c->prev = calm_session();
            h.host.now_ms = HOUSEHOLD_NOW_MS;
            c->in.prev = c->prev;
        }
        answer(c->prev, full_ref(first), value);
    } else if (str_eq_z(word, "beforeday")) {
        c->in.prev_date = first;
    } else if (str_eq_z(word, "dept")) {
        c->in.dept = first;
    } else if (str_eq_z(word, "area")) {
        c->in.area = first;
    } else if (str_eq_z(word, "day")) {
        char iso[16] = {0};
        memcpy(iso, first.p, first.n < 15 ? first.n : 15);
        c->in.today = day_of(iso);
    } else {
        fail_msg("no such line in the table: %.*s", STR_ARG(word));
    }
}

static const char *outcome(const struct finding *f)
{
    return !f ? "no" : f->state == FINDING_HIT ? "hit" : "unknown";
}

static bool lists(struct str names, struct str name)
{
    struct str word;
    while (str_word(&names, &word))
        if (str_eq(word, name))
            return true;
    return false;
}

static void case_judge(struct case_state *c)
{
    if (c->judged)
        return;
    case_ready(c);
    c->in.now = c->now;
    c->result = judged(&c->in);
    c->judged = true;
}

static void case_expect(struct case_state *c, struct str rest)
{
    struct str rule, want, missing = STR("");
    str_split(&rest, '\t', &rule);
    assert_true(str_split(&rest, '\t', &want));
    str_split(&rest, '\t', &missing);
    case_judge(c);
    c->expectations++;
    if (str_eq_z(rule, "*")) {
        if (c->result.count) {
            c->wrong++;
            print_error("%.*s: %u findings, first %.*s\n", STR_ARG(c->title), c->result.count,
                        STR_ARG(c->result.findings[0].rule));
        }
        return;
    }
    char id[32] = {0};
    memcpy(id, rule.p, rule.n < 31 ? rule.n : 31);
    const struct finding *f = finding_of(&c->result, id);
    bool right = str_eq_z(want, outcome(f)) && (!missing.n || (f && lists(f->missing, missing)));
    if (right)
        return;
    c->wrong++;
    print_error("%.*s: %s is %s, not %.*s; missing: %.*s\n", STR_ARG(c->title), id, outcome(f), STR_ARG(want),
                f ? (int)f->missing.n : 0, f ? f->missing.p : "");
}

static void case_category(struct case_state *c, struct str want)
{
    case_judge(c);
    c->expectations++;
    if (str_eq(c->result.category, str_eq_z(want, "-") ? STR("") : want))
        return;
    c->wrong++;
    print_error("%.*s: category %.*s\n", STR_ARG(c->title), STR_ARG(c->result.category));
}

static void table_of_cases(void **state)
{
    (void)state;
    struct case_state c = {0};
    struct str text = read_whole(&h.arena, CASES), line, word;
    calm_script = read_whole(&h.arena, ANSWERS "calm.tsv");
    uint32_t cases = 0;
    while (str_split(&text, '\n', &line)) {
        if (line.n == 0 || line.p[0] == '#')
            continue;
        str_split(&line, '\t', &word);
        if (str_eq_z(word, "case")) {
            case_begin(&c, line);
            cases++;
        } else if (str_eq_z(word, "expect")) {
            case_expect(&c, line);
        } else if (str_eq_z(word, "category")) {
            case_category(&c, line);
        } else {
            assert_true(c.open && !c.judged);
            case_line(&c, word, line);
        }
    }
    session_close(c.now);
    session_close(c.prev);
    assert_true(cases > 150);
    assert_true(c.expectations > 170);
    if (c.wrong)
        fail_msg("%u of %u expectations do not hold", c.wrong, c.expectations);
}

/* Every check of the pack has been seen as a hit, as no, and as unknown. */
static void every_check_has_three_cases(void **state)
{
    (void)state;
    static const char *const rules[] = {"INC01", "INC02", "INC03", "INC04", "INC05", "MED01",
                                        "MED02", "MED03", "MED04", "MED05", "INS01", "DIS01",
                                        "DIS02", "EDU01", "EDU02", "HOU01", "HOU02", "WAT01",
                                        "EMP01", "EMP02", "PER01", "PER02", "PER03", "SHK01",
                                        "SHK02", "IND01", "DEB01", "FOD01", "VER01", "VER02",
                                        "VER03", "VER04", "VER05", "VER06", "PRC01", "PRC02"};
    static const char *const outcomes[] = {"hit", "no", "unknown"};
    struct str text = read_whole(&h.arena, CASES);
    assert_int_equal(pack_check_count(pack), sizeof(rules) / sizeof(*rules));
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
        for (size_t k = 0; k < 3; k++) {
            char needle[64];
            snprintf(needle, sizeof(needle), "expect\t%s\t%s", rules[i], outcomes[k]);
            if (str_find(text, str_of(needle)) < 0)
                fail_msg("the table has no case of %s that is %s", rules[i], outcomes[k]);
        }
}

/* -- scripts of the examples
 * ------------------------------------------------------------------------------------ */

static void assert_rules(const struct judgement *j, const char *const *rules)
{
    uint32_t i = 0;
    for (; rules[i]; i++) {
        if (i >= j->count)
            fail_msg("%s is missing", rules[i]);
        if (!str_eq_z(j->findings[i].rule, rules[i]))
            fail_msg("finding %u is %.*s, not %s", i, STR_ARG(j->findings[i].rule), rules[i]);
    }
    assert_int_equal(j->count, i);
}

static void trouble_finds_what_it_is_meant_to(void **state)
{
    (void)state;
    struct session *s = session_of_script(&h, ANSWERS "trouble.tsv");
    struct judge_input in = input_for(s);
    in.dept = STR("{\"med_self\": 25600, \"reg_size\": 6, \"house_grade\": \"B\", \"water_ok\": \"yes\"}");
    struct judgement j = judged(&in);
    static const char *const rules[] = {"INC01", "MED01", "INS01", "EDU01", "WAT01", "VER04",
                                        "MED03", "MED04", "MED05", "HOU02", "EMP01", "DEB01",
                                        "VER01", "VER02", "PER02", NULL};
    assert_rules(&j, rules);
    assert_int_equal(j.level, SEVERITY_RED);
    assert_string_equal(j.category.p, "unstable");
    assert_int_equal(j.unknown, 0);
    assert_string_equal(judgement_level(&j), "red");
    assert_int_equal(j.checked, 36);
    session_close(s);
}

static void fallen_compares_with_the_earlier_visit(void **state)
{
    (void)state;
    h.host.now_ms = HOUSEHOLD_NOW_MS - INT64_C(158) * 86400000;
    struct session *prev = session_of_script(&h, DS_SOURCE_DIR "/examples/previous_visit/H0003.tsv");
    h.host.now_ms = HOUSEHOLD_NOW_MS;
    struct session *now = session_after(&h, prev);
    run_script(h.form, now, read_whole(&h.arena, ANSWERS "fallen.tsv"));
    struct judge_input in = input_for(now);
    in.prev = prev;
    struct judgement j = judged(&in);
    static const char *const rules[] = {"INC01", "INC04", "DIS01", "EMP01", "IND01", "DEB01", "PRC01", NULL};
    assert_rules(&j, rules);
    const struct finding *f = finding_of(&j, "INC04");
    assert_string_equal(f->text_zh.p, "人均纯收入由16,400元降到6,600元，降幅59.8%。");
    assert_string_equal(f->text_en.p, "Net income per head fell from 16,400 to 6,600 yuan, by 59.8%.");
    assert_string_equal(finding_of(&j, "PRC01")->text_en.p, "The last visit was 158 days ago, more than 95.");
    session_close(now);
    session_close(prev);
}

/* -- what a finding says
 * ---------------------------------------------------------------------------------------- */

static void a_finding_says_why(void **state)
{
    (void)state;
    struct session *s = session_of_script(&h, ANSWERS "trouble.tsv");
    struct judge_input in = input_for(s);
    in.dept = STR("{\"med_self\": {\"value\": 25600, \"as_of\": \"2026-11-05\", \"source\": \"医保\"}}");
    struct judgement j = judged(&in);
    const struct finding *f = finding_of(&j, "MED01");
    assert_non_null(f);
    assert_string_equal(f->name_zh.p, "自付医疗费用过高（脱贫户、监测户）");
    assert_string_equal(f->text_zh.p, "近12个月自付医疗18,400元，达到5,000元预警标准。");
    assert_string_equal(
        f->text_en.p, "Self-paid medical cost over 12 months is 18,400 yuan; the alert level is 5,000 yuan.");
    assert_string_equal(f->inputs.p, "{\"ex_poor\":\"yes\",\"med_total\":42000,\"med_reimbursed\":23600,"
                                     "\"med_self\":18400,\"covered\":true}");
    assert_string_equal(f->params.p,
                        "{\"med_self_poor\":{\"value\":5000,\"unit\":\"CNY/year\",\"area\":\"*\","
                        "\"from\":null,\"source\":\"S-XXB\",\"example\":true}}");
    assert_string_equal(f->values_en.p,
                        "self-paid medical cost 18,400 yuan; registered before or monitored yes; alert "
                        "level of self-paid medical cost, registered before 5,000 yuan (threshold, example)");
    assert_string_equal(f->missing.p, "");
    f = finding_of(&j, "INC01");
    assert_true(str_find(f->params, STR("\"value\":8800,\"unit\":\"CNY/head/year\",\"area\":\"990101\","
                                        "\"from\":\"2026-01-01\"")) > 0);
    assert_true(str_find(f->inputs, STR("\"members[3].wage_year\":16800")) > 0);
    f = finding_of(&j, "VER01");
    assert_string_equal(f->text_zh.p, "自报自付医疗18,400元，医保记录25,600元。");
    assert_true(str_find(f->values_zh, STR("医保自付医疗 25,600元（医保 2026-11-05）")) >= 0);
    assert_int_equal(f->kind, KIND_VERIFY);
    f = finding_of(&j, "EDU01");
    assert_string_equal(f->text_zh.p, "1名6至15岁孩子没去上学：麦小穗。");
    session_close(s);
}

static void what_is_missing_is_named_to_a_person(void **state)
{
    (void)state;
    struct session *s = session_of_script(&h, ANSWERS "calm.tsv");
    struct diag d = {0};
    answer_z(s, "/monitoring/member[2]/health", "");
    struct place p = place_at(s, STR("/monitoring/spend/care"));
    assert_int_equal(session_answer_status(s, p, ANSWER_REFUSED, &d), ERR_OK);
    struct judge_input in = input_for(s);
    struct judgement j = judged(&in);
    const struct finding *f = finding_of(&j, "MED05");
    assert_int_equal(f->state, FINDING_CANNOT_JUDGE);
    assert_string_equal(f->text_zh.p, "无法判断：缺谷雨晴：健康状况。没填不等于没有风险。");
    assert_string_equal(f->text_en.p, "Cannot judge, missing: 谷雨晴: health. Blank does not mean safe.");
    assert_string_equal(f->missing.p, "members[2].health");
    f = finding_of(&j, "INC02");
    assert_string_equal(f->text_zh.p, "无法判断：缺照护支出。没填不等于没有风险。");
    assert_int_equal(j.level, SEVERITY_NONE);
    assert_int_equal(j.unknown, 2);
    assert_string_equal(judgement_level(&j), "unknown"); /* what lists show must not read as "none" */
    session_close(s);
}

/* An empty household is never safe: whatever can be missing is said to be missing, and nothing is found. */
static void nothing_answered_is_nothing_judged(void **state)
{
    (void)state;
    struct session *s = new_session(&h);
    struct place added;
    struct diag d = {0};
    for (int i = 0; i < 2; i++)
        assert_int_equal(session_repeat_add(s, place_at(s, STR("/monitoring")), 0, &added, &d), ERR_OK);
    struct judge_input in = input_for(s);
    struct judgement j = judged(&in);
    assert_int_equal(j.count, j.unknown);
    assert_true(j.unknown >= 27); /* every risk but those that look back */
    assert_int_equal(j.level, SEVERITY_NONE);
    assert_int_equal(j.category.n, 0);
    for (uint32_t i = 0; i < j.count; i++)
        assert_true(j.findings[i].missing.n > 0);
    struct buf page;
    buf_init(&page, 1u << 20);
    judgement_text(&j, STR("zh"), &page);
    assert_true(str_find(buf_str(&page), STR("不等于没有风险")) >= 0);
    assert_true(str_find(buf_str(&page), STR("立即")) < 0);
    buf_free(&page);
    session_close(s);
}

static void page_in_both_languages(void **state)
{
    (void)state;
    struct session *s = session_of_script(&h, ANSWERS "trouble.tsv");
    struct judge_input in = input_for(s);
    struct judgement j = judged(&in);
    struct buf page;
    buf_init(&page, 1u << 20);
    judgement_text(&j, STR("zh"), &page);
    assert_true(str_starts(buf_str(&page),
                           STR("规则包 cn-monitoring 2026.1\n12 条线索。这是线索，不是结论。\n\n[立即] ")));
    assert_true(str_find(buf_str(&page), STR("建议类别（要经评议）：脱贫不稳定户")) > 0);
    buf_clear(&page);
    judgement_text(&j, STR("en"), &page);
    assert_true(
        str_starts(buf_str(&page),
                   STR("Rule pack cn-monitoring 2026.1\n12 leads. A lead, not a verdict.\n\n[Now] ")));
    assert_true(str_find(buf_str(&page), STR("Check next: ")) > 0);
    buf_free(&page);
    session_close(s);
}

/* -- the same everywhere
 * ---------------------------------------------------------------------------------------- */

static struct str json_of(const struct judgement *j)
{
    struct buf b;
    buf_init(&b, 1u << 20);
    judgement_json(j, &b);
    assert_int_equal(b.failed, ERR_OK);
    struct str s = arena_str(&h.arena, buf_str(&b));
    buf_free(&b);
    return s;
}

/* The centre judges what it reads back from the submission; the handheld judged the live interview. */
static void the_same_answers_give_the_same_bytes(void **state)
{
    (void)state;
    struct session *s = session_of_script(&h, ANSWERS "trouble.tsv");
    struct judge_input in = input_for(s);
    struct judgement first = judged(&in), second = judged(&in);
    struct str bytes = json_of(&first);
    assert_true(str_eq(bytes, json_of(&second)));
    struct session *copy = session_after(&h, s);
    in.now = copy;
    struct judgement third = judged(&in);
    assert_true(str_eq(bytes, json_of(&third)));
    const struct json *json = NULL;
    struct diag d = {0};
    assert_int_equal(json_read(&h.arena, bytes, &json, &d), ERR_OK);
    assert_int_equal(json_get(json, "findings")->count, first.count);
    session_close(copy);
    session_close(s);
}

/* -- after every answer
 * ----------------------------------------------------------------------------------------- */

static uint32_t draw(uint64_t *state, uint32_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33) % below;
}

/* Any answer to any question of the form, right or wrong; now and then a person more or less. */
static void any_change(struct session *s, uint64_t *state)
{
    static const char *const values[] = {"",
                                         "yes",
                                         "no",
                                         "none",
                                         "0",
                                         "1",
                                         "7",
                                         "30",
                                         "2400",
                                         "61000",
                                         "serious",
                                         "healthy",
                                         "lost",
                                         "employed",
                                         "farming",
                                         "normal",
                                         "C",
                                         "A",
                                         "tap",
                                         "well",
                                         "crop",
                                         "crop livestock trade",
                                         "disaster accident death_main",
                                         "dropout",
                                         "in_noncompulsory",
                                         "1950-01-01",
                                         "2015-06-01"};
    const uint32_t count = sizeof(values) / sizeof(*values);
    struct place place, *people = NULL;
    struct diag quiet = {0};
    char ref[200];
    assert_int_equal(session_place(s, STR("/monitoring"), &place, &quiet), ERR_OK);
    uint32_t n = session_instances(s, place, 0, &h.arena, &people);
    if (draw(state, 12) == 0) {
        struct place added;
        enum err rc = n > 4 || (n && draw(state, 2))
                          ? session_repeat_remove(s, people[draw(state, n)], &quiet)
                          : session_repeat_add(s, place, 0, &added, &quiet);
        assert_int_equal(rc, ERR_OK);
        return;
    }
    const struct form_field *f = form_field(h.form, draw(state, form_field_count(h.form)));
    bool member = f->repeat != FORM_NO_REPEAT;
    if (member && n == 0)
        return;
    if (member)
        snprintf(ref, sizeof(ref), "/monitoring/member[%u]%.*s", draw(state, n) + 1,
                 (int)(f->path.n - strlen("/monitoring/member")), f->path.p + strlen("/monitoring/member"));
    else
        snprintf(ref, sizeof(ref), "%.*s", STR_ARG(f->path));
    if (session_place(s, str_of(ref), &place, &quiet) == ERR_OK &&
        session_answer_forced(s, place, str_of(values[draw(state, count)]), &quiet))
        return; /* it cannot be answered so: nothing, or an empty answer */
}

/* What was judged bit by bit is what would be judged afresh. */
static void after_every_answer_the_page_is_as_if_judged_afresh(void **state)
{
    uint64_t seed = 20261123;
    uint32_t all = 0, few = 0;
    (void)state;
    for (int round = 0; round < 6; round++) {
        struct session *s = session_of_script(&h, round % 2 ? ANSWERS "trouble.tsv" : ANSWERS "calm.tsv");
        struct judge_input in = input_for(s);
        struct diag d = {0};
        struct judge *g = NULL;
        in.dept = STR("{\"med_self\":9000,\"reg_size\":4,\"members\":[{\"name\":\"田小米\",\"school\":"
                      "\"dropout\"},{\"name\":\"麦立夏\",\"birth\":\"1994-05-06\",\"insured\":\"yes\","
                      "\"disability\":2}]}");
        assert_int_equal(judge_open(&h.arena, pack, &in, &g, &d), ERR_OK);
        for (int step = 0; step < 120; step++) {
            struct judgement bit, fresh;
            uint32_t judged_again = 0;
            any_change(s, &seed);
            if (judge_touch(g, &judged_again, &d))
                fail_msg("%s", d.text);
            if (judge_findings(g, &h.arena, false, &bit, &d))
                fail_msg("%s", d.text);
            if (judge_household(&h.arena, pack, &in, &fresh, &d))
                fail_msg("%s", d.text);
            struct str a = json_of(&bit), b = json_of(&fresh);
            if (!str_eq(a, b))
                fail_msg("round %d, step %d:\n%.*s\n%.*s", round, step, STR_ARG(a), STR_ARG(b));
            all += fresh.checked;
            few += judged_again;
        }
        judge_close(g);
        session_close(s);
    }
    assert_true(few * 4 < all); /* that is the point of it */
}

static void an_urgent_lead_shows_at_once_and_alone(void **state)
{
    struct session *s = session_of_script(&h, ANSWERS "trouble.tsv");
    struct judge_input in = input_for(s);
    struct judgement now, whole;
    struct diag d = {0};
    struct judge *g = NULL;
    (void)state;
    assert_int_equal(judge_open(&h.arena, pack, &in, &g, &d), ERR_OK);
    assert_int_equal(judge_findings(g, &h.arena, true, &now, &d), ERR_OK);
    assert_int_equal(judge_findings(g, &h.arena, false, &whole, &d), ERR_OK);
    assert_true(now.count < whole.count);
    for (uint32_t i = 0; i < now.count; i++)
        assert_true(now.findings[i].urgent && now.findings[i].state == FINDING_HIT);
    judge_close(g);
    session_close(s);
}

static void an_expired_pack_says_so_and_judges_all_the_same(void **state)
{
    (void)state;
    struct session *s = session_of_script(&h, ANSWERS "trouble.tsv");
    struct judge_input in = input_for(s);
    in.today = day_of("2027-12-31");
    struct judgement j = judged(&in);
    assert_false(j.expired);
    in.today++;
    j = judged(&in);
    assert_true(j.expired);
    assert_true(j.count > 0);
    struct buf page;
    buf_init(&page, 1u << 20);
    judgement_text(&j, STR("zh"), &page);
    assert_true(str_find(buf_str(&page), STR("按旧标准")) > 0);
    buf_free(&page);
    session_close(s);
}

static void department_text_that_is_no_object_is_refused(void **state)
{
    (void)state;
    struct session *s = session_of_script(&h, ANSWERS "calm.tsv");
    static const char *const bad[] = {"[1]", "{\"med_self\": ", "7"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct judge_input in = input_for(s);
        struct judgement j;
        struct diag d = {0};
        in.dept = str_of(bad[i]);
        assert_int_equal(judge_household(&h.arena, pack, &in, &j, &d), ERR_SYNTAX);
        assert_true(d.text[0] != 0);
    }
    session_close(s);
}

static void values_that_are_no_amounts_are_missing(void **state)
{
    (void)state;
    struct session *s = session_of_script(&h, ANSWERS "calm.tsv");
    struct judge_input in = input_for(s);
    in.dept = STR("{\"med_self\": -5, \"reg_size\": null, \"vehicle_value\": \"1e9\", \"house_grade\": "
                  "{\"value\": null}}");
    struct judgement j = judged(&in);
    assert_int_equal(j.count, 0);
    struct diag d = {0};
    struct place p = place_at(s, STR("/monitoring/income/subsidy"));
    assert_int_equal(session_answer_forced(s, p, STR("-50000"), &d), ERR_OK);
    j = judged(&in);
    const struct finding *f = finding_of(&j, "INC01");
    assert_non_null(f);
    assert_int_equal(f->state, FINDING_CANNOT_JUDGE);
    assert_string_equal(f->missing.p, "subsidy");
    session_close(s);
}

static void two_hundred_people(void **state)
{
    (void)state;
    struct session *s = session_of_script(&h, ANSWERS "calm.tsv");
    struct diag d = {0};
    for (int i = 5; i <= 200; i++) {
        struct place added;
        char ref[64];
        assert_int_equal(session_repeat_add(s, place_at(s, STR("/monitoring")), 0, &added, &d), ERR_OK);
        snprintf(ref, sizeof(ref), "/monitoring/member[%d]/sharing", i);
        answer_z(s, ref, "yes");
        snprintf(ref, sizeof(ref), "/monitoring/member[%d]/health", i);
        answer_z(s, ref, i == 200 ? "serious" : "healthy");
    }
    struct judge_input in = input_for(s);
    struct judgement j = judged(&in);
    assert_int_equal(finding_of(&j, "MED05")->state, FINDING_HIT);
    const struct finding *f = finding_of(&j, "INC01");
    assert_int_equal(f->state, FINDING_CANNOT_JUDGE);
    assert_true(str_find(f->text_zh, STR("等")) > 0);
    session_close(s);
}

/* A rule that never comes to an end costs itself, not the others. */
static void a_check_that_takes_too_long_is_stopped(void **state)
{
    (void)state;
    struct session *s = session_of_script(&h, ANSWERS "calm.tsv");
    struct diag d = {0};
    for (int i = 5; i <= 60; i++) {
        struct place added;
        char ref[64];
        assert_int_equal(session_repeat_add(s, place_at(s, STR("/monitoring")), 0, &added, &d), ERR_OK);
        snprintf(ref, sizeof(ref), "/monitoring/member[%d]/sharing", i);
        answer_z(s, ref, "yes");
    }
    const char *json =
        "{\"format\":1,\"id\":\"slow\",\"version\":\"1\",\"title\":{\"zh\":\"慢\",\"en\":\"slow\"},"
        "\"forms\":[\"household_monitoring\"],\"valid\":{},"
        "\"inputs\":{\"food\":{\"path\":\"/monitoring/living/"
        "food_ok\",\"type\":\"choice\",\"zh\":\"吃\",\"en\":\"food\"}},"
        "\"sets\":{\"m\":{\"path\":\"/monitoring/"
        "member\",\"zh\":\"人\",\"en\":\"people\",\"fields\":{\"sharing\":"
        "{\"type\":\"choice\",\"zh\":\"一起\",\"en\":\"sharing\"}}}},"
        "\"checks\":["
        "{\"id\":\"SLOW\",\"severity\":\"red\",\"name\":{\"zh\":\"慢\",\"en\":\"slow\"},\"when\":"
        "\"count($m[count($m[count($m[count($m[sharing = 'yes']) > 1]) > 1]) > 1]) > 1\","
        "\"text\":{\"zh\":\"慢\",\"en\":\"slow\"},\"follow\":{\"zh\":\"看\",\"en\":\"look\"},\"source\":"
        "\"test\"},"
        "{\"id\":\"FOOD\",\"severity\":\"blue\",\"name\":{\"zh\":\"吃\",\"en\":\"food\"},\"when\":\"$food = "
        "'yes'\","
        "\"text\":{\"zh\":\"吃\",\"en\":\"food\"},\"follow\":{\"zh\":\"看\",\"en\":\"look\"},\"source\":"
        "\"test\"}]}";
    const struct pack *slow = pack_of(&h, str_of(json));
    struct judge_input in = input_for(s);
    struct judgement j;
    if (judge_household(&h.arena, slow, &in, &j, &d))
        fail_msg("%s", d.text);
    assert_int_equal(j.count, 2);
    assert_string_equal(j.findings[0].rule.p, "SLOW");
    assert_int_equal(j.findings[0].state, FINDING_CANNOT_JUDGE);
    assert_true(str_find(j.findings[0].text_en, STR("too many steps")) > 0);
    assert_int_equal(j.findings[1].state, FINDING_HIT);
    session_close(s);
}

static void urgent_checks_are_the_three_of_the_green_way(void **state)
{
    (void)state;
    struct session *s = session_of_script(&h, ANSWERS "calm.tsv");
    answer_z(s, "/monitoring/shock/events", "disaster accident death_main");
    answer_z(s, "/monitoring/shock/disaster_loss", "9000");
    answer_z(s, "/monitoring/shock/disaster_type", "landslide");
    answer_z(s, "/monitoring/shock/accident_injury", "yes");
    answer_z(s, "/monitoring/shock/accident_cost", "0");
    struct judge_input in = input_for(s);
    struct judgement j = judged(&in);
    for (uint32_t i = 0; i < j.count; i++) {
        struct str id = j.findings[i].rule;
        bool green = str_eq_z(id, "PER03") || str_eq_z(id, "SHK01") || str_eq_z(id, "SHK02");
        assert_int_equal(j.findings[i].urgent, green);
    }
    assert_string_equal(finding_of(&j, "SHK01")->text_zh.p, "因滑坡、泥石流损失9,000元，达到5,000元。");
    session_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_of_cases),
        cmocka_unit_test(every_check_has_three_cases),
        cmocka_unit_test(trouble_finds_what_it_is_meant_to),
        cmocka_unit_test(fallen_compares_with_the_earlier_visit),
        cmocka_unit_test(a_finding_says_why),
        cmocka_unit_test(what_is_missing_is_named_to_a_person),
        cmocka_unit_test(nothing_answered_is_nothing_judged),
        cmocka_unit_test(page_in_both_languages),
        cmocka_unit_test(the_same_answers_give_the_same_bytes),
        cmocka_unit_test(after_every_answer_the_page_is_as_if_judged_afresh),
        cmocka_unit_test(an_urgent_lead_shows_at_once_and_alone),
        cmocka_unit_test(an_expired_pack_says_so_and_judges_all_the_same),
        cmocka_unit_test(department_text_that_is_no_object_is_refused),
        cmocka_unit_test(values_that_are_no_amounts_are_missing),
        cmocka_unit_test(two_hundred_people),
        cmocka_unit_test(a_check_that_takes_too_long_is_stopped),
        cmocka_unit_test(urgent_checks_are_the_three_of_the_green_way),
    };
    return cmocka_run_group_tests(tests, load_all, free_all);
}
