/* Signs of risk from people: what becomes a lead by itself, what waits for a clerk, and that the sender
 * learns nothing from the answer. */
#include "server/reports.h"
#include "tests/support/centre.h"

static struct answer post(struct world *w, const char *body, const char *from)
{
    struct http_request r = {.method = HTTP_POST, .url = STR("/v1/report"), .body = str_of(body)};
    struct http_reply reply = {0};
    struct arena texts;
    arena_init(&texts, 1u << 20);
    buf_init(&reply.body, 1u << 20);
    r.client = str_of(from);
    r.headers[r.header_count++] = (struct http_header){STR("Content-Type"),
                                                       STR("application/x-www-form-urlencoded")};
    srv_handle(w->server, &r, &texts, &reply);
    struct answer out = {.status = reply.status, .body = arena_str(&w->a, buf_str(&reply.body))};
    buf_free(&reply.body);
    arena_free(&texts);
    return out;
}

static uint32_t leads_open(struct world *w, struct desk *k, struct work_item **out)
{
    struct work_ask q = {.st = k->st, .a = &w->a, .area = STR(""), .role = ROLE_COUNTY};
    uint32_t count = 0;
    OK(work_queue_page(&q, QUEUE_LEADS, STR(""), 0, out, &count, &w->d));
    return count;
}

static void households(struct world *w, struct desk *k)
{
    struct import_result r;
    OK(import_households(k, STR("code,area,name\nH1,990101,Zhang\nH2,990102,Li\n"), false, &r, &w->d));
}

static void test_code_and_name_make_a_lead_and_the_rest_waits(void **state)
{
    struct world *w = *state;
    struct work_item *items;
    struct report_row *reports;
    uint32_t count = 0;
    struct buf lines;
    buf_init(&lines, 1u << 16);
    struct desk k = desk_begin(w, &lines);
    const struct work_by
        clerk = {.person = 9, .role = ROLE_COUNTY, .name = STR("clerk"), .area = STR("9901")},
        far = {.person = 8, .role = ROLE_SUPERVISOR, .name = STR("far"), .area = STR("9902")};
    households(w, &k);
    struct answer good = post(w, "code=H1&name=Zhang&text=lost+work", "10.0.0.1");
    struct answer wrong = post(w, "code=H1&name=Wang&text=lost+work&phone=1", "10.0.0.2");
    assert_int_equal(good.status, 200);
    assert_int_equal(wrong.status, 200);
    assert_true(str_eq(good.body, wrong.body)); /* who is in the register stays unknown */
    assert_int_equal(leads_open(w, &k, &items), 1);
    assert_true(str_eq_z(items[0].code, "H1") && str_eq_z(items[0].what, "self_report"));
    assert_int_equal(post(w, "code=H1&name=Zhang&text=again", "10.0.0.1").status, 200);
    assert_int_equal(leads_open(w, &k, &items), 1); /* one a day */
    OK(reports_waiting(&k, 0, 10, &reports, &count, &w->d));
    assert_int_equal(count, 2);
    assert_int_equal(report_attach(&k, &far, reports[0].n, STR("H1"), &w->d), ERR_DENIED);
    assert_int_equal(report_attach(&k, &clerk, reports[0].n, STR("H9"), &w->d), ERR_NOT_FOUND);
    OK(report_attach(&k, &clerk, reports[0].n, STR("H2"), &w->d));
    assert_int_equal(report_attach(&k, &clerk, reports[0].n, STR("H2"), &w->d), ERR_NOT_FOUND);
    OK(report_drop(&k, &clerk, reports[1].n, STR("a joke"), &w->d));
    assert_int_equal(leads_open(w, &k, &items), 2);
    OK(reports_waiting(&k, 0, 10, &reports, &count, &w->d));
    assert_int_equal(count, 0);
    desk_end(&k);
    buf_free(&lines);
}

static void test_one_address_cannot_flood_the_clerks(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < REPORTS_AN_HOUR; i++)
        assert_int_equal(post(w, "name=Zhang&text=x", "10.0.0.1").status, 200);
    assert_int_equal(post(w, "name=Zhang&text=x", "10.0.0.1").status, 429);
    assert_int_equal(post(w, "name=Zhang&text=x", "10.0.0.2").status, 200);
    sim_advance(w->sim, 3600001);
    assert_int_equal(post(w, "name=Zhang&text=x", "10.0.0.1").status, 200);
    assert_int_equal(post(w, "name=&text=x", "10.0.0.3").status, 400);
    assert_int_equal(post(w, "name=%FF%FE&text=x", "10.0.0.3").status, 400);
}

static void test_a_clerk_opens_leads_of_all_three_channels(void **state)
{
    struct world *w = *state;
    struct work_item *items;
    uint64_t number = 0;
    struct buf lines;
    buf_init(&lines, 1u << 16);
    struct desk k = desk_begin(w, &lines);
    const struct work_by clerk = {.person = 9, .role = ROLE_COUNTY, .name = STR("clerk"), .area = STR("")};
    households(w, &k);
    for (int c = 0; c < LEAD_CHANNELS; c++) {
        const struct lead_opening l = {.code = STR("H1"),
                                       .channel = (enum lead_channel)c,
                                       .source = STR("telephone"),
                                       .note = STR("ill"),
                                       .indicators = STR("{\"med_self\":23000}"),
                                       .opened = STR("2026-03-01")};
        OK(lead_open(&k, &clerk, &l, &number, &w->d));
    }
    assert_int_equal(leads_open(w, &k, &items), 3);
    const struct lead_opening bad = {.code = STR("H1"), .indicators = STR("[1]")};
    assert_int_equal(lead_open(&k, &clerk, &bad, &number, &w->d), ERR_USAGE);
    desk_end(&k);
    buf_free(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, world_open, world_close)
        TEST(test_code_and_name_make_a_lead_and_the_rest_waits),
        TEST(test_one_address_cannot_flood_the_clerks),
        TEST(test_a_clerk_opens_leads_of_all_three_channels),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
