/* The centre's doors: enrolment, tokens, routes, published objects, registers that are imported, what a
 * handheld is told.
 */
#include "tests/support/centre.h"

#include "platform/base/json.h"

/* ---- making a county ---- */

static void test_init_makes_a_county_once(void **state)
{
    struct world *w = *state;
    char print[40];
    struct diag d = {0};
    assert_int_equal(centre_make(w->seam, CENTRE_DIR, STR("other"), print, &d), ERR_EXISTS);
    assert_int_equal(centre_make(w->seam, "/new", STR(""), print, NULL), ERR_USAGE);
    struct centre c;
    diag_clear(&d);
    assert_int_equal(centre_read(w->seam, "/nothing", &w->a, &c, &d), ERR_STATE);
    assert_true(str_find(str_of(d.text), STR("doorstepd init")) >= 0);
}

static void test_keys_that_do_not_match_the_keyset_are_refused(void **state)
{
    struct world *w = *state;
    unsigned char other[32];
    struct centre c;
    struct diag d = {0};
    memset(other, 7, sizeof other);
    OK(w->seam->file_write(w->seam->self, CENTRE_DIR "/keys/seal.key", (struct str){(char *)other, 32}, true,
                           &w->d));
    assert_int_equal(centre_read(w->seam, CENTRE_DIR, &w->a, &c, &d), ERR_CORRUPT);
    OK(w->seam->file_write(w->seam->self, CENTRE_DIR "/keys/sign.key", STR("short"), true, &w->d));
    diag_clear(&d);
    assert_int_equal(centre_read(w->seam, CENTRE_DIR, &w->a, &c, &d), ERR_CORRUPT);
    assert_true(str_find(str_of(d.text), STR("5 bytes instead of 32")) >= 0);
}

/* ---- enrolment ---- */

static void test_token_enrols_one_handheld_and_a_lost_reply_can_be_asked_again(void **state)
{
    struct world *w = *state;
    struct handheld first = {0}, second = {0};
    keys_make(w, &first);
    keys_make(w, &second);
    uint64_t token = ticket(w, "王芳", "990101");
    struct enrol_reply one = enrol_read(w, &first, enrol_ask(w, &first, token));
    assert_true(str_eq_z(one.person_name, "王芳"));
    assert_true(str_eq_z(one.county, "清河县"));
    assert_true(str_eq_z(one.area, "990101"));
    assert_int_equal(one.role, ROLE_CADRE);
    struct enrol_reply again = enrol_read(w, &first, enrol_ask(w, &first, token));
    assert_true(one.device == again.device && one.inc == again.inc);
    struct answer other = enrol_ask(w, &second, token);
    assert_int_equal(other.status, 403);
    assert_true(str_find(other.body, STR("used already")) >= 0);
    assert_int_equal(counts_of(w).devices, 1);
}

static void test_token_runs_out_after_48_hours(void **state)
{
    struct world *w = *state;
    struct handheld h = {0};
    keys_make(w, &h);
    uint64_t token = ticket(w, "王芳", "99");
    sim_advance(w->sim, 48LL * 3600 * 1000 - 1);
    uint64_t late = ticket(w, "李强", "99");
    sim_advance(w->sim, 1);
    struct answer r = enrol_ask(w, &h, token);
    assert_int_equal(r.status, 403);
    assert_true(str_find(r.body, STR("48 hours")) >= 0);
    assert_int_equal(enrol_ask(w, &h, late).status, 200);
}

static void test_wrong_token_and_broken_request(void **state)
{
    struct world *w = *state;
    struct handheld h = {0};
    keys_make(w, &h);
    assert_int_equal(enrol_ask(w, &h, 12345).status, 403);
    assert_int_equal(
        ask(w, &(struct asking){.method = HTTP_POST, .url = "/v1/enrol", .body = STR("hello")}).status, 400);
    assert_int_equal(ask(w, &(struct asking){.method = HTTP_POST, .url = "/v1/enrol"}).status, 400);
    assert_int_equal(counts_of(w).devices, 0);
}

static void test_same_person_keeps_the_number_on_a_second_handheld(void **state)
{
    struct world *w = *state;
    struct handheld a = enrolled(w, "王芳", "99"), b = enrolled(w, "王芳", "99"),
                    c = enrolled(w, "李强", "99");
    assert_int_equal(a.person, b.person);
    assert_int_not_equal(a.person, c.person);
    assert_true(a.device != b.device);
}

static void test_ticket_needs_a_sensible_person(void **state)
{
    struct world *w = *state;
    struct desk k = desk_begin(w, NULL);
    struct enrol_ticket t;
    const struct centre *c = srv_centre(w->server);
    assert_int_equal(people_ticket(k.st, c, w->seam, STR(""), ROLE_CADRE, STR("99"), &t, NULL), ERR_USAGE);
    assert_int_equal(people_ticket(k.st, c, w->seam, STR("x"), ROLE_ADMIN, STR("99"), &t, NULL), ERR_USAGE);
    assert_int_equal(people_ticket(k.st, c, w->seam, STR("x"), ROLE_CADRE, STR("99%"), &t, NULL), ERR_USAGE);
    desk_end(&k);
}

/* 60 bits cannot be guessed through a door that opens a hundred times a minute; and guessing must not keep
 * the one writer busy. */
static void test_guessing_tokens_closes_the_door_for_a_minute(void **state)
{
    struct world *w = *state;
    struct handheld h = {0}, owner = {0};
    keys_make(w, &h);
    keys_make(w, &owner);
    uint64_t token = ticket(w, "王芳", "99");
    int status = 403;
    uint32_t tries = 0;
    for (; status == 403 && tries < 1000; tries++)
        status = enrol_ask(w, &h, tries).status;
    assert_int_equal(status, 503);
    assert_int_equal(tries, SRV_ENROL_WRONG_MAX + 1);
    assert_int_equal(enrol_ask(w, &owner, token).status, 503);
    sim_advance(w->sim, 60000);
    assert_int_equal(enrol_ask(w, &owner, token).status, 200);
    /* Right ones are not counted. */
    for (uint32_t i = 0; i < SRV_ENROL_WRONG_MAX + 1; i++)
        assert_int_equal(enrol_ask(w, &owner, token).status, 200);
}

/* ---- bearer tokens ---- */

static int status_of_get(struct world *w, const char *url, struct str authorization)
{
    return ask(w, &(struct asking){.method = HTTP_GET, .url = url, .authorization = authorization}).status;
}

static void test_token_opens_the_doors_until_it_runs_out(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "99");
    assert_int_equal(status_of_get(w, "/v1/d?c=0", h.token), 200);
    assert_int_equal(status_of_get(w, "/v1/d?c=0", STR_NONE), 401);
    assert_int_equal(status_of_get(w, "/v1/d", h.token), 400);
    sim_advance(w->sim, SRV_TOKEN_LIFE_MS + 1000);
    assert_int_equal(status_of_get(w, "/v1/d?c=0", h.token), 401);
    /* The way to a new one stays open: the reply is sealed to the handheld. */
    struct answer r =
        ask(w, &(struct asking){.method = HTTP_GET, .url = "/v1/a?since=0", .authorization = h.token});
    assert_int_equal(r.status, 200);
    struct receipt receipt = receipt_of(w, &h, r.body, NULL);
    assert_true(receipt.token.n > 0);
    assert_int_equal(status_of_get(w, "/v1/d?c=0", bearer_header(w, receipt.token)), 200);
}

static void test_no_changed_token_is_taken(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "99");
    for (size_t i = 7; i < h.token.n; i++) {
        char text[100];
        memcpy(text, h.token.p, h.token.n);
        text[i] = text[i] == 'A' ? 'B' : 'A';
        assert_int_equal(status_of_get(w, "/v1/d?c=0", (struct str){text, h.token.n}), 401);
    }
    assert_int_equal(status_of_get(w, "/v1/d?c=0", str_sub(h.token, 0, h.token.n - 1)), 401);
    assert_int_equal(status_of_get(w, "/v1/d?c=0", str_sub(h.token, 7, h.token.n)), 401);
}

static void test_revoked_handheld_is_shut_out_at_the_next_request(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "99");
    struct desk k = desk_begin(w, NULL);
    struct publish_result p;
    OK(publish(&k, STR("list"), STR(""), STR("v.csv"), STR("name,label\na,A\n"), &p, &w->d));
    OK(people_revoke(k.st, h.device, 1, &w->d));
    assert_int_equal(people_revoke(k.st, h.device + 1, 1, NULL), ERR_NOT_FOUND);
    desk_end(&k);
    assert_int_equal(status_of_get(w, "/v1/d?c=0", h.token), 403);
    char url[100] = "/v1/o/";
    hex_write(p.hash, SHA256_SIZE, url + 6);
    assert_int_equal(status_of_get(w, url, h.token), 403);
    /* That it is revoked it is told signed, and gets no new token by it. */
    struct answer r =
        ask(w, &(struct asking){.method = HTTP_GET, .url = "/v1/a?since=0", .authorization = h.token});
    struct receipt receipt = receipt_of(w, &h, r.body, NULL);
    assert_true(receipt.refused == ERR_DENIED && receipt.token.n == 0);
    assert_int_equal(counts_of(w).devices_revoked, 1);
}

/* ---- routes ---- */

static void test_public_pages(void **state)
{
    struct world *w = *state;
    assert_int_equal(status_of_get(w, "/v1/health", STR_NONE), 200);
    struct answer keys = ask(w, &(struct asking){.method = HTTP_GET, .url = "/v1/keys"});
    struct keyset set;
    unsigned char print[16];
    OK(root_print_of(srv_centre(w->server)->keys.root_public, print));
    OK(keyset_read(&w->a, keys.body, print, &set, &w->d));
    assert_true(str_eq_z(set.county, "清河县"));
    print[0] ^= 1;
    assert_int_not_equal(keyset_read(&w->a, keys.body, print, &set, NULL), ERR_OK);
}

static void test_unknown_addresses_say_so(void **state)
{
    struct world *w = *state;
    struct answer r = ask(w, &(struct asking){.method = HTTP_GET, .url = "/v1/nothing"});
    assert_int_equal(r.status, 404);
    const struct json *j = NULL;
    OK(json_read(&w->a, r.body, &j, &w->d));
    assert_true(str_eq_z(json_text(j, "error"), "not-found"));
    assert_int_equal(ask(w, &(struct asking){.method = HTTP_POST, .url = "/v1/health"}).status, 405);
    assert_int_equal(ask(w, &(struct asking){.method = HTTP_GET, .url = ""}).status, 404);
    assert_int_equal(ask(w, &(struct asking){.method = HTTP_GET, .url = "/v1/o/"}).status, 401);
}

/* ---- publishing and objects ---- */

static const char villages[] = "code,label\n990101001201,禾塘村\n990101001202,青石坝村\n";

static void test_object_is_fetched_whole_or_from_where_it_broke_off(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "99");
    struct desk k = desk_begin(w, NULL);
    struct publish_result p;
    char url[100] = "/v1/o/";
    OK(publish(&k, STR("list"), STR(""), STR("villages.csv"), str_of(villages), &p, &w->d));
    assert_true(p.changed && str_eq_z(p.id, "villages.csv"));
    OK(publish(&k, STR("list"), STR(""), STR("villages.csv"), str_of(villages), &p, &w->d));
    assert_false(p.changed);
    desk_end(&k);
    hex_write(p.hash, SHA256_SIZE, url + 6);
    struct asking q = {.method = HTTP_GET, .url = url, .authorization = h.token};
    struct answer r = ask(w, &q);
    assert_int_equal(r.status, 200);
    assert_true(str_eq_z(r.body, villages));
    q.range = STR("bytes=10-");
    r = ask(w, &q);
    assert_int_equal(r.status, 206);
    assert_true(str_eq_z(r.body, villages + 10));
    q.range = STR("bytes=0-3");
    assert_true(str_eq_z(ask(w, &q).body, "code"));
    q.range = STR("bytes=100000-");
    assert_int_equal(ask(w, &q).status, 416);
    q.range = STR("lines=1-2");
    assert_int_equal(ask(w, &q).status, 200);
    q.authorization = STR_NONE;
    assert_int_equal(ask(w, &q).status, 401);
    url[10] = url[10] == '0' ? '1' : '0';
    assert_int_equal(status_of_get(w, url, h.token), 404);
}

static struct str told(const struct downlink *down, struct row_id row, uint32_t field)
{
    for (uint32_t i = 0; i < down->count; i++) {
        if (row_id_same(down->changes[i].row, row) && down->changes[i].field == field &&
            down->changes[i].op == CHANGE_SET)
            return down->changes[i].value;
    }
    return STR("");
}

static void test_new_list_retires_the_old_one_and_handhelds_are_told(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "99");
    struct desk k = desk_begin(w, NULL);
    struct publish_result p;
    struct published *list = NULL;
    uint32_t count = 0;
    OK(publish(&k, STR("list"), STR("v.csv"), STR("x.csv"), STR("name,label\na,A\n"), &p, &w->d));
    struct downlink first = pulled(w, &h, 0, "");
    assert_true(first.count > 0 && first.head.caught_up);
    OK(publish(&k, STR("list"), STR("v.csv"), STR("y.csv"), STR("name,label\nb,B\n"), &p, &w->d));
    OK(published_all(k.st, &w->a, &list, &count, &w->d));
    assert_int_equal(count, 2);
    assert_true(str_eq_z(list[0].state, "retired") && str_eq_z(list[1].state, "live"));
    struct downlink next = pulled(w, &h, first.head.cursor, "");
    assert_true(str_eq_z(told(&next, list[0].row, PUBLISHED_STATE), "retired"));
    assert_true(str_eq_z(told(&next, list[1].row, PUBLISHED_STATE), "live"));
    assert_int_equal(pulled(w, &h, next.head.cursor, "").count, 0);
    desk_end(&k);
}

static void test_what_does_not_compile_is_not_published(void **state)
{
    struct world *w = *state;
    struct buf lines;
    struct publish_result p;
    struct diag d = {0};
    buf_init(&lines, 1u << 20);
    struct desk k = desk_begin(w, &lines);
    assert_int_not_equal(publish(&k, STR("form"), STR(""), STR("f.xml"), STR("<h:html"), &p, &d), ERR_OK);
    assert_int_not_equal(publish(&k, STR("pack"), STR(""), STR("p.json"), STR("{"), &p, NULL), ERR_OK);
    assert_int_equal(publish(&k, STR("song"), STR(""), STR("p"), STR("x"), &p, NULL), ERR_USAGE);
    assert_int_equal(counts_of(w).objects, 0);
    desk_end(&k);
    buf_free(&lines);
}

/* ---- registers ---- */

static void test_households_come_in_and_come_in_again(void **state)
{
    struct world *w = *state;
    struct buf lines;
    struct import_result n = {0};
    buf_init(&lines, 1u << 20);
    struct desk k = desk_begin(w, &lines);
    struct str csv = STR("\xEF\xBB\xBF"
                         "code,area,name,address,colour\r\n"
                         "H1,990101,\"田, 大米\",\"青禾镇\n3 组 \"\"老屋\"\"\",red\r\n"
                         "\r\n"
                         "H2,990102,麦远山,,blue");
    OK(import_households(&k, csv, true, &n, &w->d));
    assert_int_equal(n.added, 2);
    assert_int_equal(counts_of(w).households, 0);
    OK(import_households(&k, csv, false, &n, &w->d));
    assert_int_equal(n.added, 2);
    assert_true(str_find(buf_str(&lines), STR("no such column: colour")) >= 0);
    OK(import_households(&k, csv, false, &n, &w->d));
    assert_true(n.added == 0 && n.changed == 0 && n.same == 2);
    OK(import_households(&k, STR("code,area,name\nH2,990102,麦远川\nH3,99,x\n"), false, &n, &w->d));
    assert_true(n.added == 1 && n.changed == 1 && n.same == 0);
    struct record_row *rows = NULL;
    struct record r;
    uint32_t count = 0;
    OK(cstore_records_coded(k.st, &w->a, ROW_HOUSEHOLD, STR("H1"), &rows, &count, &w->d));
    assert_int_equal(count, 1);
    OK(record_unpack(&w->a, rows[0].row, rows[0].packed, &r, &w->d));
    assert_true(str_eq_z(record_value(&r, HOUSEHOLD_NAME), "田, 大米"));
    assert_true(str_eq_z(record_value(&r, HOUSEHOLD_ADDRESS), "青禾镇\n3 组 \"老屋\""));
    assert_true(str_eq_z(rows[0].area, "990101"));
    desk_end(&k);
    buf_free(&lines);
}

/* A look-up that walks the whole table would need many minutes here, not a second. */
static void test_a_large_register_is_imported_in_one_go(void **state)
{
    struct world *w = *state;
    struct desk k = desk_begin(w, NULL);
    struct import_result n = {0};
    struct buf csv;
    buf_init(&csv, 16u << 20);
    buf_put_z(&csv, "code,area,name\n");
    for (int i = 0; i < 20000; i++)
        buf_printf(&csv, "H%d,9901%05d,household %d\n", i, i % 500, i);
    OK(import_households(&k, buf_str(&csv), false, &n, &w->d));
    assert_int_equal(n.added, 20000);
    OK(import_households(&k, buf_str(&csv), false, &n, &w->d));
    assert_int_equal(n.same, 20000);
    buf_free(&csv);
    desk_end(&k);
}

static void test_import_names_every_mistake_and_imports_nothing(void **state)
{
    struct world *w = *state;
    struct buf lines;
    struct import_result n = {0};
    struct diag d = {0};
    buf_init(&lines, 1u << 20);
    struct desk k = desk_begin(w, &lines);
    struct str csv = STR("code,area,name,position\n"
                         "H1,990101,good,30.5 104.1\n"
                         "H 2,990101,space in code,\n"
                         "H3,\"99,01\",comma in area,\n"
                         "H4,99,,\n"
                         "H5,99,far away,95 10\n"
                         "H1,99,again,\n"
                         "H6,99,too many,,cells\n");
    assert_int_equal(import_households(&k, csv, false, &n, &d), ERR_SYNTAX);
    struct str text = buf_str(&lines);
    assert_true(str_find(text, STR("line 3, column 1:")) >= 0);
    assert_true(str_find(text, STR("line 4, column 2:")) >= 0);
    assert_true(str_find(text, STR("line 5, column 3:")) >= 0);
    assert_true(str_find(text, STR("line 6, column 4:")) >= 0);
    assert_true(str_find(text, STR("line 7, column 1: this household stands twice")) >= 0);
    assert_true(str_find(text, STR("line 8, column 5:")) >= 0);
    assert_true(str_find(str_of(d.text), STR("6 mistakes")) >= 0);
    assert_int_equal(counts_of(w).households, 0);
    buf_clear(&lines);
    assert_int_equal(import_households(&k, STR("code,name\nH1,x\n"), false, &n, NULL), ERR_SYNTAX);
    assert_true(str_find(buf_str(&lines), STR("lacks the column: area")) >= 0);
    assert_int_equal(import_households(&k, STR(""), false, &n, NULL), ERR_SYNTAX);
    assert_int_equal(import_households(&k, STR("code,area,name\n\"H1,99,x\n"), false, &n, NULL), ERR_SYNTAX);
    assert_int_equal(import_households(&k, STR("code,area,name\nH1,99,\xff\n"), false, &n, NULL), ERR_SYNTAX);
    assert_int_equal(counts_of(w).households, 0);
    desk_end(&k);
    buf_free(&lines);
}

static void test_departments_come_as_json_or_table(void **state)
{
    struct world *w = *state;
    struct buf lines;
    struct import_result n = {0};
    buf_init(&lines, 1u << 20);
    struct desk k = desk_begin(w, &lines);
    OK(import_households(&k, STR("code,area,name\nH1,990101,a\n"), false, &n, &w->d));
    OK(import_departments(
        &k,
        STR("{\"records\":[{\"household\":\"H1\",\"source\":\"医保\",\"as_of\":\"2026-11-05\","
            "\"values\":{\"med_self\": 25600, \"ok\":true}}]}"),
        false, &n, &w->d));
    assert_int_equal(n.added, 1);
    OK(import_departments(&k, STR("household,source,as_of,med_self,code\nH1,医保,2026-11-06,300,007\n"),
                          false, &n, &w->d));
    assert_true(n.added == 0 && n.changed == 1);
    struct record_row *rows = NULL;
    struct record r;
    uint32_t count = 0;
    OK(cstore_records(k.st, &w->a, RECORDS_OF_KIND, (struct row_id){0}, ROW_DEPARTMENT, 0, 9, &rows, &count,
                      &w->d));
    assert_int_equal(count, 1);
    OK(record_unpack(&w->a, rows[0].row, rows[0].packed, &r, &w->d));
    assert_true(str_eq_z(record_value(&r, DEPARTMENT_VALUES), "{\"med_self\":300,\"code\":\"007\"}"));
    assert_true(str_eq_z(rows[0].area, "990101")); /* its household's */
    assert_int_equal(import_departments(&k,
                                        STR("[{\"household\":\"H9\",\"source\":\"x\",\"as_of\":\"2026-1-5\","
                                            "\"values\":{}},\n{\"household\":\"H1\",\"source\":\"x\","
                                            "\"as_of\":\"5.1.2026\",\"values\":[1]}]"),
                                        false, &n, NULL),
                     ERR_SYNTAX);
    assert_true(str_find(buf_str(&lines), STR("no household has this code")) >= 0);
    assert_true(str_find(buf_str(&lines), STR("line 2, column 0: as_of must be a date")) >= 0);
    desk_end(&k);
    buf_free(&lines);
}

static void test_assignment_is_one_per_household(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "99");
    struct desk k = desk_begin(w, NULL);
    struct import_result n = {0};
    bool changed = false;
    OK(import_households(&k, STR("code,area,name\nH1,990101,a\n"), false, &n, &w->d));
    OK(assign_household(&k, STR("H1"), h.person, STR("2026-12-31"), &changed, &w->d));
    assert_true(changed);
    OK(assign_household(&k, STR("H1"), h.person, STR("2026-12-31"), &changed, &w->d));
    assert_false(changed);
    assert_int_equal(assign_household(&k, STR("H2"), h.person, STR(""), &changed, NULL), ERR_NOT_FOUND);
    assert_int_equal(assign_household(&k, STR("H1"), 77, STR(""), &changed, NULL), ERR_NOT_FOUND);
    assert_int_equal(assign_household(&k, STR("H1"), h.person, STR("soon"), &changed, NULL), ERR_USAGE);
    desk_end(&k);
}

/* ---- who is told what ---- */

static uint32_t households_in(const struct downlink *down)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < down->count; i++)
        n += down->changes[i].field == HOUSEHOLD_CODE && down->changes[i].op == CHANGE_SET;
    return n;
}

static void test_handheld_is_told_its_area_and_no_more(void **state)
{
    struct world *w = *state;
    struct handheld east = enrolled(w, "王芳", "990101"), all = enrolled(w, "李强", "99");
    struct desk k = desk_begin(w, NULL);
    struct import_result n = {0};
    OK(import_households(&k, STR("code,area,name\nA,990101001,a\nB,990102001,b\nC,990101,c\nD,9901,d\n"),
                         false, &n, &w->d));
    struct downlink one = pulled(w, &east, 0, "");
    assert_int_equal(households_in(&one), 2);
    assert_int_equal(one.authors[0].device, 0);
    assert_true(one.authors[0].row_number > 0);
    struct downlink both = pulled(w, &all, 0, "");
    assert_int_equal(households_in(&both), 4);
    /* B moves into the east: the eastern handheld gets all of it now. */
    OK(import_households(&k, STR("code,area,name\nB,990101009,b\n"), false, &n, &w->d));
    struct downlink moved = pulled(w, &east, one.head.cursor, "");
    assert_int_equal(households_in(&moved), 1);
    desk_end(&k);
}

static void test_downlink_comes_in_pieces_that_leave_nothing_out(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "99");
    struct desk k = desk_begin(w, NULL);
    struct import_result n = {0};
    struct buf csv;
    buf_init(&csv, 1u << 20);
    buf_put_z(&csv, "code,area,name,address\n");
    for (int i = 0; i < 300; i++)
        buf_printf(&csv, "H%d,99,household %d,a rather long address so that it takes room %d\n", i, i, i);
    OK(import_households(&k, buf_str(&csv), false, &n, &w->d));
    uint64_t cursor = 0;
    uint32_t households = 0, frames = 0;
    for (bool more = true; more && frames < 1000; frames++) {
        struct downlink down = pulled(w, &h, cursor, "&m=2000");
        households += households_in(&down);
        assert_true(down.head.cursor_from == cursor);
        assert_true(down.head.cursor > cursor || down.count == 0);
        more = !down.head.caught_up;
        cursor = down.head.cursor;
    }
    assert_int_equal(households, 300);
    assert_true(frames > 5);
    desk_end(&k);
    buf_free(&csv);
}

static uint32_t households_pulled(struct world *w, struct handheld *h)
{
    uint64_t cursor = 0;
    uint32_t households = 0, frames = 0;
    for (bool more = true; more && frames < 1000; frames++) {
        struct downlink down = pulled(w, h, cursor, "&m=3000");
        households += households_in(&down);
        more = !down.head.caught_up;
        cursor = down.head.cursor;
    }
    return households;
}

/* One area, a few, all of very many: however they are walked, each sees its own, once, in one order. */
static void test_downlink_of_one_area_of_some_and_of_all(void **state)
{
    struct world *w = *state;
    struct handheld village = enrolled(w, "a", "9901042"), town = enrolled(w, "b", "990104"),
                    county = enrolled(w, "c", ""), elsewhere = enrolled(w, "d", "98");
    struct desk k = desk_begin(w, NULL);
    struct import_result n = {0};
    struct buf csv;
    buf_init(&csv, 1u << 20);
    buf_put_z(&csv, "code,area,name\n");
    for (int i = 0; i < 400; i++) /* a hundred villages, mixed */
        buf_printf(&csv, "H%d,99%05d,x\n", i, 1000 + i * 37 % 100);
    OK(import_households(&k, buf_str(&csv), false, &n, &w->d));
    assert_int_equal(households_pulled(w, &village), 4);
    assert_int_equal(households_pulled(w, &town), 40);
    assert_int_equal(households_pulled(w, &county), 400);
    assert_int_equal(households_pulled(w, &elsewhere), 0);

    /* One moves: its new village is told of all of it. */
    OK(import_households(&k, STR("code,area,name\nH0,9901042,x\n"), false, &n, &w->d));
    assert_int_equal(households_pulled(w, &village), 5);
    assert_int_equal(households_pulled(w, &county), 400);
    buf_free(&csv);
    desk_end(&k);
}

/* Many small changes reach the count that one frame may hold long before they reach its size. */
static void test_downlink_of_a_large_register_is_cut_by_count_too(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "99");
    struct desk k = desk_begin(w, NULL);
    struct import_result n = {0};
    struct buf csv;
    buf_init(&csv, 1u << 20);
    buf_put_z(&csv, "code,area,name\n");
    for (int i = 0; i < 6000; i++)
        buf_printf(&csv, "%d,99,x\n", i);
    OK(import_households(&k, buf_str(&csv), false, &n, &w->d));
    buf_free(&csv);
    desk_end(&k);
    struct downlink first = pulled(w, &h, 0, "&m=100000000");
    struct downlink second = pulled(w, &h, first.head.cursor, "&m=100000000");
    assert_true(!first.head.caught_up && second.head.caught_up);
    assert_int_equal(households_in(&first) + households_in(&second), 6000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)
        TEST(test_init_makes_a_county_once),
        TEST(test_keys_that_do_not_match_the_keyset_are_refused),
        TEST(test_token_enrols_one_handheld_and_a_lost_reply_can_be_asked_again),
        TEST(test_token_runs_out_after_48_hours),
        TEST(test_wrong_token_and_broken_request),
        TEST(test_same_person_keeps_the_number_on_a_second_handheld),
        TEST(test_ticket_needs_a_sensible_person),
        TEST(test_guessing_tokens_closes_the_door_for_a_minute),
        TEST(test_token_opens_the_doors_until_it_runs_out),
        TEST(test_no_changed_token_is_taken),
        TEST(test_revoked_handheld_is_shut_out_at_the_next_request),
        TEST(test_public_pages),
        TEST(test_unknown_addresses_say_so),
        TEST(test_object_is_fetched_whole_or_from_where_it_broke_off),
        TEST(test_new_list_retires_the_old_one_and_handhelds_are_told),
        TEST(test_what_does_not_compile_is_not_published),
        TEST(test_households_come_in_and_come_in_again),
        TEST(test_a_large_register_is_imported_in_one_go),
        TEST(test_import_names_every_mistake_and_imports_nothing),
        TEST(test_departments_come_as_json_or_table),
        TEST(test_assignment_is_one_per_household),
        TEST(test_handheld_is_told_its_area_and_no_more),
        TEST(test_downlink_of_a_large_register_is_cut_by_count_too),
        TEST(test_downlink_comes_in_pieces_that_leave_nothing_out),
        TEST(test_downlink_of_one_area_of_some_and_of_all),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
