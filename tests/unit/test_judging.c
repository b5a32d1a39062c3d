/* Judging again at the centre: findings that follow from the answers pass in silence, one altered letter is
 * an alarm that keeps both sides, and what cannot be compared is neither.
 */
#include "tests/support/interview.h"

static const char pack_text[] =
    "{\"format\":1,\"id\":\"p\",\"version\":\"1\",\"title\":{\"zh\":\"试\",\"en\":\"Test\"},"
    "\"forms\":[\"survey\"],\"valid\":{\"from\":\"2026-01-01\",\"to\":\"2027-12-31\"},"
    "\"inputs\":{\"wage\":{\"path\":\"/survey/money/wage\",\"type\":\"money\",\"unit\":\"CNY/year\","
    "\"zh\":\"工资\",\"en\":\"wage\"},\"gift\":{\"path\":\"/survey/money/gift\",\"type\":\"money\","
    "\"unit\":\"CNY/year\",\"zh\":\"礼金\",\"en\":\"gift\"}},"
    "\"params\":{\"line\":{\"value\":2000,\"from\":\"2020-01-01\",\"unit\":\"CNY/year\",\"zh\":\"线\","
    "\"en\":\"line\",\"source\":\"x\"}},"
    "\"checks\":[{\"id\":\"LOW\",\"severity\":\"red\",\"name\":{\"zh\":\"低\",\"en\":\"Low\"},"
    "\"when\":\"$wage < param('line')\",\"text\":{\"zh\":\"工资{wage|money}\",\"en\":\"Wage {wage|money}\"},"
    "\"follow\":{\"zh\":\"看\",\"en\":\"Look.\"},\"source\":\"design\"},"
    "{\"id\":\"GIFT\",\"severity\":\"blue\",\"name\":{\"zh\":\"礼\",\"en\":\"Gift\"},"
    "\"when\":\"$gift > 10\",\"text\":{\"zh\":\"礼金{gift|money}\",\"en\":\"Gift {gift|money}\"},"
    "\"follow\":{\"zh\":\"看\",\"en\":\"Look.\"},\"source\":\"design\"}]}";

static void pack_publish_text(struct world *w)
{
    struct publish_result p;
    struct desk k = desk_begin(w, NULL);
    OK(publish(&k, STR("pack"), STR(""), STR("p.json"), str_of(pack_text), &p, &w->d));
    desk_end(&k);
}

/* What a handheld would store of its judgement; `alter` may change it before it does. */
static void findings_put(struct world *w, struct interview *v, struct handheld *h,
                         void (*alter)(struct judgement *j))
{
    const struct pack *pack;
    struct form_findings none = {0};
    struct judgement j;
    unsigned char hash[SHA256_SIZE];
    struct judge_input in = {.now = v->session, .today = civil_days(2026, 11, 7)};
    OK(pack_load(&w->a, str_of(pack_text), v->form, &pack, &none, &w->d));
    OK(judge_household(&w->a, pack, &in, &j, &w->d));
    assert_int_equal(j.count, 2);
    OK(sha256(str_of(pack_text), hash));
    put(v, change_of(w, h, v->visit, VISIT_ENDED, CHANGE_SET, STR("2026-11-07T11:00:00+08:00")));
    put(v, change_of(w, h, v->visit, VISIT_PACK, CHANGE_SET, hex_text(w, hash)));
    put(v, change_of(w, h, v->visit, VISIT_LEVEL, CHANGE_SET, str_of(judgement_level(&j))));
    if (alter)
        alter(&j);
    for (uint32_t i = 0; i < j.count; i++) {
        const struct finding *f = &j.findings[i];
        struct row_id row = row_new(h);
        const struct str values[] = {f->rule,
                                     str_of(severity_name(f->severity)),
                                     f->state == FINDING_HIT ? STR("hit") : STR("unknown"),
                                     f->text_zh,
                                     f->text_en,
                                     f->inputs,
                                     j.pack_id,
                                     j.pack_version,
                                     f->params};
        put(v, birth_of(w, h, row, &(struct row_birth){.kind = ROW_FINDING, .parent = v->visit}));
        for (uint32_t k = 0; k < sizeof values / sizeof *values; k++)
            if (values[k].n)
                put(v, change_of(w, h, row, k + 1, CHANGE_SET, values[k]));
    }
}

static struct judged_row judged_of(struct world *w)
{
    struct judged_row *list = NULL;
    uint32_t count = 0;
    struct desk k = desk_begin(w, NULL);
    OK(cstore_judged(k.st, &w->a, (struct row_id){0}, 0, 10, &list, &count, &w->d));
    desk_end(&k);
    assert_int_equal(count, 1);
    return list[0];
}

static uint32_t alarms(struct world *w)
{
    uint32_t count = 0;
    struct desk k = desk_begin(w, NULL);
    OK(cstore_audit_count(k.st, STR("findings-differ"), &count, &w->d));
    desk_end(&k);
    return count;
}

static void visit_deliver(struct world *w, void (*alter)(struct judgement *j), bool pack_known)
{
    struct handheld h = enrolled(w, "王芳", "9901");
    struct interview v;
    form_publish_text(w, survey_form);
    if (pack_known)
        pack_publish_text(w);
    survey_visit(w, &v, &h, (struct row_id){0}, "田大米");
    findings_put(w, &v, &h, alter);
    interview_finish(w, &v, &h);
    struct receipt r = delivered(w, &h, frame_of(w, &h, v.changes, v.count));
    assert_int_equal(r.items[0].status, RECEIPT_STORED);
    assert_int_equal(counts_of(w).submissions_differing, 0);
}

static void findings_that_follow_pass_in_silence(void **state)
{
    struct world *w = *state;
    visit_deliver(w, NULL, true);
    assert_int_equal(judged_of(w).verdict, JUDGED_SAME);
    assert_int_equal(alarms(w), 0);
    assert_int_equal(counts_of(w).judged_same, 1);
}

static void one_letter(struct judgement *j)
{
    j->findings[0].text_en = STR("Wage 1,300");
}

static void hide_the_red_one(struct judgement *j)
{
    j->findings++;
    j->count--;
}

static void an_altered_finding_is_an_alarm_and_both_are_kept(void **state)
{
    struct world *w = *state;
    visit_deliver(w, one_letter, true);
    struct judged_row j = judged_of(w);
    assert_int_equal(j.verdict, JUDGED_DIFFERS);
    assert_true(str_find(j.said, STR("Wage 1,300")) > 0 && str_find(j.said, STR("Wage 1,200")) < 0);
    assert_true(str_find(j.found, STR("Wage 1,200")) > 0 && str_find(j.found, STR("Wage 1,300")) < 0);
    assert_int_equal(alarms(w), 1);
    /* What the handheld said stands as it said it. */
    struct buf out;
    buf_init(&out, 1u << 20);
    struct desk k = desk_begin(w, NULL);
    OK(list_of(&k, STR("findings"), true, STR("en"), &out, &w->d));
    assert_true(str_find(buf_str(&out), STR("Wage 1,300")) > 0);
    assert_true(str_find(buf_str(&out), STR("Wage 1,200")) < 0);
    desk_end(&k);
    buf_free(&out);
}

static void a_finding_that_is_left_out_is_an_alarm(void **state)
{
    struct world *w = *state;
    visit_deliver(w, hide_the_red_one, true);
    assert_int_equal(judged_of(w).verdict, JUDGED_DIFFERS);
    assert_int_equal(alarms(w), 1);
}

static void what_was_judged_by_an_unknown_pack_is_not_compared(void **state)
{
    struct world *w = *state;
    visit_deliver(w, NULL, false);
    struct judged_row j = judged_of(w);
    assert_int_equal(j.verdict, JUDGED_NOT);
    assert_true(str_find(j.why, STR("never published")) > 0);
    assert_int_equal(alarms(w), 0);
}

static void findings_on_their_way_are_waited_for(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "9901");
    struct interview v;
    form_publish_text(w, survey_form);
    pack_publish_text(w);
    survey_visit(w, &v, &h, (struct row_id){0}, "田大米");
    uint32_t answers = v.count;
    findings_put(w, &v, &h, NULL);
    uint32_t before_finish = v.count;
    interview_finish(w, &v, &h);
    struct str first = frame_of(w, &h, v.changes, answers + 3); /* and the visit's own fields */
    struct str second = frame_of(w, &h, v.changes + answers + 3, before_finish - answers - 3);
    struct str third = frame_of(w, &h, v.changes + before_finish, v.count - before_finish);
    (void)delivered(w, &h, first);
    (void)delivered(w, &h, third);
    assert_int_equal(counts_of(w).submissions_differing, 0);
    assert_int_equal(judged_of(w).verdict, JUDGED_WAITS);
    (void)delivered(w, &h, second);
    assert_int_equal(judged_of(w).verdict, JUDGED_SAME);
    assert_int_equal(alarms(w), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, world_open, world_close)
        TEST(findings_that_follow_pass_in_silence),
        TEST(an_altered_finding_is_an_alarm_and_both_are_kept),
        TEST(a_finding_that_is_left_out_is_an_alarm),
        TEST(what_was_judged_by_an_unknown_pack_is_not_compared),
        TEST(findings_on_their_way_are_waited_for),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
