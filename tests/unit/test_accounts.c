/* Signing in at the centre: who gets in, who waits, whose form counts, and how sessions end.
 */
#include "tests/support/centre.h"

#include "server/accounts.h"
#include "server/routes.h"

#define ROUNDS 500 /* the real number would make every try here take a second under the sanitizers */
#define GOOD "three goats on a hill"

struct page {
    int status;
    struct str body, location, cookie, type;
};

struct browser {
    struct str cookie; /* "ds=..." */
    struct str csrf, address;
    bool secure;
    const char *origin, *site, *accept; /* NULL = not sent */
};

static void header(struct http_request *r, const char *name, struct str value)
{
    if (value.p)
        r->headers[r->header_count++] = (struct http_header){str_of(name), value};
}

static struct page browse(struct world *w, const struct browser *b, enum http_method method, const char *url,
                          struct str form)
{
    struct http_request r = {
        .method = method, .url = str_of(url), .body = form, .client = b->address, .secure = b->secure};
    struct http_reply reply = {0};
    struct arena texts;
    arena_init(&texts, 1u << 20);
    buf_init(&reply.body, 64u << 20);
    header(&r, "Host", STR("county.example:8443"));
    header(&r, "Accept", b->accept ? str_of(b->accept) : STR("text/html,application/xhtml+xml"));
    header(&r, "Cookie", b->cookie.n ? b->cookie : STR_NONE);
    header(&r, "Origin", str_of(b->origin));
    header(&r, "Sec-Fetch-Site", str_of(b->site));
    if (form.n)
        header(&r, "Content-Type", STR("application/x-www-form-urlencoded"));
    srv_handle(w->server, &r, &texts, &reply);
    struct page p = {.status = reply.status, .body = arena_str(&w->a, buf_str(&reply.body))};
    p.location = arena_str(&w->a, http_header_find(reply.headers, reply.header_count, "Location"));
    p.cookie = arena_str(&w->a, http_header_find(reply.headers, reply.header_count, "Set-Cookie"));
    p.type = arena_str(&w->a, http_header_find(reply.headers, reply.header_count, "Content-Type"));
    buf_free(&reply.body);
    arena_free(&texts);
    return p;
}

static struct str cookie_of(struct page p)
{
    struct str first, rest = p.cookie;
    return str_split(&rest, ';', &first) ? first : STR_NONE;
}

static struct person person_made(struct world *w, const char *name, const char *login, uint8_t role)
{
    struct desk k = desk_begin(w, NULL);
    struct person p;
    OK(account_add(k.st, w->seam, STR("test"),
                   &(struct person_new){.name = str_of(name),
                                        .login = str_of(login),
                                        .password = STR(GOOD),
                                        .area = STR("99"),
                                        .role = role,
                                        .rounds = ROUNDS},
                   &p, &w->d));
    desk_end(&k);
    return p;
}

static struct page sign_in(struct world *w, const struct browser *b, const char *name, const char *password)
{
    struct buf form;
    buf_init(&form, 4096);
    buf_put_z(&form, "name=");
    http_encode(&form, str_of(name));
    buf_put_z(&form, "&password=");
    http_encode(&form, str_of(password));
    buf_put_z(&form, "&next=/households%3Fred%3D1");
    struct page p = browse(w, b, HTTP_POST, "/login", arena_str(&w->a, buf_str(&form)));
    buf_free(&form);
    return p;
}

static struct str csrf_of(struct world *w, struct str cookie)
{
    unsigned char token[SESSION_TOKEN_SIZE], hash[SHA256_SIZE];
    struct session_row row;
    struct person p;
    int64_t ended = 0;
    char *text = arena_alloc(&w->a, CSRF_TEXT);
    struct desk k = desk_begin(w, NULL);
    struct str name;
    assert_true(str_split(&cookie, '=', &name) && hex_read(cookie, token, sizeof token));
    OK(sha256((struct str){(char *)token, sizeof token}, hash));
    OK(cstore_session(k.st, &w->a, hash, &row, &p, &ended, &w->d));
    desk_end(&k);
    hex_write(row.csrf, sizeof row.csrf, text);
    return (struct str){text, CSRF_TEXT - 1};
}

static struct str csrf_form(struct world *w, struct str csrf)
{
    struct buf b;
    buf_init(&b, 100);
    buf_put_z(&b, "csrf=");
    buf_put_str(&b, csrf);
    struct str out = arena_str(&w->a, buf_str(&b));
    buf_free(&b);
    return out;
}

static int accounts_open(void **state)
{
    struct world *w = NULL;
    int rc = world_open((void **)&w);
    w->server->password_rounds = ROUNDS;
    *state = w;
    return rc;
}

static uint32_t audited(struct world *w, const char *what)
{
    uint32_t n = 0;
    struct desk k = desk_begin(w, NULL);
    OK(cstore_audit_count(k.st, str_of(what), &n, &w->d));
    desk_end(&k);
    return n;
}

/* ---- in and out ---- */

static void test_the_right_password_opens_a_session_until_sign_out(void **state)
{
    struct world *w = *state;
    struct browser b = {.address = STR("10.0.0.1")};
    (void)person_made(w, "周玲", "zhouling", ROLE_COUNTY);
    struct page in = sign_in(w, &b, " ZhouLing ", GOOD);
    assert_int_equal(in.status, 303);
    assert_true(str_eq_z(in.location, "/households?red=1"));
    assert_true(str_starts(in.cookie, STR("ds=")));
    assert_true(str_find(in.cookie, STR("HttpOnly; SameSite=Strict")) > 0);
    assert_true(str_find(in.cookie, STR("Secure")) < 0);
    b.cookie = cookie_of(in);
    struct str csrf = csrf_of(w, b.cookie);
    /* Without the token of the form nothing happens. */
    assert_int_equal(browse(w, &b, HTTP_POST, "/logout", STR("")).status, 403);
    struct page out = browse(w, &b, HTTP_POST, "/logout", csrf_form(w, csrf));
    assert_int_equal(out.status, 303);
    assert_true(str_find(out.cookie, STR("Max-Age=0")) > 0);
    struct page gone = browse(w, &b, HTTP_POST, "/logout", csrf_form(w, csrf));
    assert_true(str_eq_z(gone.location, "/login"));
    assert_int_equal(audited(w, "signed-in"), 1);
    assert_int_equal(audited(w, "signed-out"), 1);
}

static void test_over_tls_the_cookie_belongs_to_this_host_alone(void **state)
{
    struct world *w = *state;
    struct browser b = {.secure = true};
    (void)person_made(w, "周玲", "zhouling", ROLE_COUNTY);
    struct page in = sign_in(w, &b, "zhouling", GOOD);
    assert_true(str_starts(in.cookie, STR("__Host-ds=")));
    assert_true(str_find(in.cookie, STR("; Secure")) > 0 && str_find(in.cookie, STR("Path=/")) > 0);
    assert_true(str_find(in.cookie, STR("Domain")) < 0);
    /* The same token under the name that a neighbour could have planted is nobody's. */
    struct str token = str_sub(cookie_of(in), 7, 100);
    b.cookie = token;
    assert_true(str_starts(b.cookie, STR("ds=")));
    assert_true(str_eq_z(browse(w, &b, HTTP_POST, "/logout", STR("a=1")).location, "/login"));
}

static void test_a_wrong_name_and_a_wrong_password_look_alike(void **state)
{
    struct world *w = *state;
    struct browser b = {.address = STR("10.0.0.1")}, json = {.accept = "application/json"};
    (void)person_made(w, "周玲", "zhouling", ROLE_COUNTY);
    struct page one = sign_in(w, &b, "zhouling", "not this one"), two = sign_in(w, &b, "nobody", GOOD);
    assert_int_equal(one.status, 303);
    assert_true(str_eq(one.location, two.location) && str_eq(one.body, two.body));
    assert_true(str_starts(one.location, STR("/login?why=wrong&next=/households%3Fred")));
    one = sign_in(w, &json, "zhouling", "not this one");
    two = sign_in(w, &json, "nobody", GOOD);
    assert_int_equal(one.status, 403);
    assert_int_equal(two.status, 403);
    assert_true(str_eq(one.body, two.body));
    assert_int_equal(one.cookie.n, 0);
}

/* An unknown name waits like a known one, so that waiting tells nothing either. */
static void test_wrong_tries_wait_longer_and_longer(void **state)
{
    struct world *w = *state;
    static const char *const names[] = {"nobody", "zhouling"};
    (void)person_made(w, "周玲", "zhouling", ROLE_COUNTY);
    for (size_t n = 0; n < 2; n++) {
        struct browser b = {.address = n ? STR("10.0.0.1") : STR("10.0.0.2"), .accept = "*/*"};
        for (int i = 0; i < 5; i++)
            assert_int_equal(sign_in(w, &b, names[n], "wrong wrong").status, 403);
        int64_t waited_s = 0, last_s = 0;
        for (int i = 0; i < 12; i++) {
            int64_t wait_s = 0;
            while (sign_in(w, &b, names[n], "wrong wrong").status == 429) {
                sim_advance(w->sim, 1000);
                wait_s++;
            }
            assert_true(wait_s >= last_s);
            last_s = wait_s;
            waited_s += wait_s;
        }
        assert_int_equal(last_s, 900);
        assert_true(waited_s > 3000);
    }
    /* The right one waits, too; then it is in, and the count begins anew. */
    struct browser b = {.address = STR("10.0.0.3"), .accept = "*/*"};
    assert_int_equal(sign_in(w, &b, "zhouling", GOOD).status, 429);
    sim_advance(w->sim, 900 * 1000);
    assert_int_equal(sign_in(w, &b, "zhouling", GOOD).status, 303);
    for (int i = 0; i < 5; i++)
        assert_int_equal(sign_in(w, &b, "zhouling", "wrong wrong").status, 403);
}

static void test_one_address_that_tries_many_names_waits(void **state)
{
    struct world *w = *state;
    struct browser b = {.address = STR("2001:db8:1:2::7"), .accept = "*/*"},
                   other = {.address = STR("2001:db8:1:3::7"), .accept = "*/*"};
    char name[20];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "name%d", i);
        assert_int_equal(sign_in(w, &b, name, "wrong wrong").status, 403);
    }
    b.address = STR("2001:db8:1:2:99::1"); /* the next address of the same network */
    assert_int_equal(sign_in(w, &b, "fresh", "wrong wrong").status, 429);
    assert_int_equal(sign_in(w, &other, "fresh", "wrong wrong").status, 403);
}

/* ---- how sessions end ---- */

static bool is_in(struct world *w, const struct browser *b)
{
    /* Somebody who is in hears that the form is another session's; somebody who is not is sent to sign in. */
    return browse(w, b, HTTP_POST, "/logout", STR("csrf=0")).status == 403;
}

static void test_a_session_ends_when_idle_and_at_the_end_of_the_day(void **state)
{
    struct world *w = *state;
    struct browser b = {0};
    (void)person_made(w, "周玲", "zhouling", ROLE_COUNTY);
    b.cookie = cookie_of(sign_in(w, &b, "zhouling", GOOD));
    assert_true(is_in(w, &b));
    sim_advance(w->sim, SESSION_IDLE_MS - 1000);
    assert_true(is_in(w, &b));
    sim_advance(w->sim, SESSION_IDLE_MS);
    assert_false(is_in(w, &b));
    b.cookie = cookie_of(sign_in(w, &b, "zhouling", GOOD));
    for (int64_t t = 0; t < SESSION_LIFE_MS; t += SESSION_IDLE_MS / 2) {
        assert_true(is_in(w, &b));
        sim_advance(w->sim, SESSION_IDLE_MS / 2);
    }
    assert_false(is_in(w, &b));
}

static void test_signing_in_again_ends_the_old_session(void **state)
{
    struct world *w = *state;
    struct browser b = {0};
    (void)person_made(w, "周玲", "zhouling", ROLE_COUNTY);
    b.cookie = cookie_of(sign_in(w, &b, "zhouling", GOOD));
    struct browser old = b;
    b.cookie = cookie_of(sign_in(w, &b, "zhouling", GOOD));
    assert_false(str_eq(old.cookie, b.cookie));
    assert_false(is_in(w, &old));
    assert_true(is_in(w, &b));
}

static void test_a_new_password_or_the_end_of_work_ends_sessions(void **state)
{
    struct world *w = *state;
    struct browser b = {0}, c = {0};
    struct person p = person_made(w, "周玲", "zhouling", ROLE_COUNTY);
    (void)person_made(w, "李文", "liwen", ROLE_SUPERVISOR);
    b.cookie = cookie_of(sign_in(w, &b, "zhouling", GOOD));
    c.cookie = cookie_of(sign_in(w, &c, "liwen", GOOD));
    struct desk k = desk_begin(w, NULL);
    OK(account_set_password(k.st, w->seam, STR("test"), p.person, STR("four hens in the yard"), NULL, &w->d));
    assert_false(is_in(w, &b));
    assert_true(is_in(w, &c));
    assert_int_equal(sign_in(w, &b, "zhouling", GOOD).cookie.n, 0);
    b.cookie = cookie_of(sign_in(w, &b, "zhouling", "four hens in the yard"));
    assert_true(is_in(w, &b));
    OK(account_end(k.st, w->seam, STR("test"), p.person, &w->d));
    assert_false(is_in(w, &b));
    assert_int_equal(sign_in(w, &b, "zhouling", "four hens in the yard").cookie.n, 0);
    desk_end(&k);
}

static void test_ending_work_revokes_the_handhelds_of_that_person(void **state)
{
    struct world *w = *state;
    struct handheld h = enrolled(w, "王芳", "99"), other = enrolled(w, "李强", "99");
    struct desk k = desk_begin(w, NULL);
    OK(account_end(k.st, w->seam, STR("test"), h.person, &w->d));
    desk_end(&k);
    struct asking q = {.method = HTTP_GET, .url = "/v1/d?c=0", .authorization = h.token};
    assert_int_equal(ask(w, &q).status, 403);
    q.authorization = other.token;
    assert_int_equal(ask(w, &q).status, 200);
}

/* ---- forms of others ---- */

static void test_a_form_that_another_site_sent_does_nothing(void **state)
{
    struct world *w = *state;
    struct browser b = {0};
    (void)person_made(w, "周玲", "zhouling", ROLE_COUNTY);
    b.cookie = cookie_of(sign_in(w, &b, "zhouling", GOOD));
    struct str form = csrf_form(w, csrf_of(w, b.cookie));
    struct browser evil = b;
    evil.origin = "https://evil.example";
    assert_int_equal(browse(w, &evil, HTTP_POST, "/logout", form).status, 403);
    evil.origin = "null";
    assert_int_equal(browse(w, &evil, HTTP_POST, "/logout", form).status, 403);
    evil.origin = "https://county.example:8443.evil.example";
    assert_int_equal(browse(w, &evil, HTTP_POST, "/logout", form).status, 403);
    evil.origin = NULL;
    evil.site = "cross-site";
    assert_int_equal(browse(w, &evil, HTTP_POST, "/logout", form).status, 403);
    assert_int_equal(sign_in(w, &evil, "zhouling", GOOD).status, 403);
    b.origin = "https://county.example:8443";
    b.site = "same-origin";
    assert_int_equal(browse(w, &b, HTTP_POST, "/logout", form).status, 303);
}

static void test_after_signing_in_nobody_is_led_to_another_site(void **state)
{
    struct world *w = *state;
    struct browser b = {0};
    (void)person_made(w, "周玲", "zhouling", ROLE_COUNTY);
    static const char *const away[] = {"https://evil.example/", "//evil.example", "/\\evil.example", "x",
                                       "/a%0d%0aSet-Cookie:x"};
    for (size_t i = 0; i < sizeof away / sizeof away[0]; i++) {
        struct buf form;
        buf_init(&form, 1000);
        buf_printf(&form, "name=zhouling&password=three+goats+on+a+hill&next=%s", away[i]);
        struct page p = browse(w, &b, HTTP_POST, "/login", buf_str(&form));
        assert_int_equal(p.status, 303);
        assert_true(str_eq_z(p.location, "/"));
        buf_free(&form);
    }
}

/* ---- the second factor ---- */

static struct page sign_in_with_code(struct world *w, const char *code)
{
    struct browser b = {.accept = "*/*"};
    struct buf form;
    buf_init(&form, 1000);
    buf_printf(&form, "name=zhouling&password=three+goats+on+a+hill&code=%s", code);
    struct page p = browse(w, &b, HTTP_POST, "/login", buf_str(&form));
    buf_free(&form);
    return p;
}

static void code_at(struct world *w, const unsigned char *key, int64_t shift_ms, char out[static 8])
{
    uint32_t code = 0;
    uint64_t step = (uint64_t)((w->seam->wall_ms(w->seam->self) + shift_ms) / 1000 / TOTP_STEP_S);
    OK(totp_code((struct str){(const char *)key, TOTP_KEY_SIZE}, step, 6, &code));
    snprintf(out, 8, "%06u", code % 1000000u);
}

static void test_with_a_second_factor_the_password_alone_is_not_enough(void **state)
{
    struct world *w = *state;
    struct person p = person_made(w, "周玲", "zhouling", ROLE_COUNTY);
    unsigned char key[TOTP_KEY_SIZE];
    char code[8];
    struct desk k = desk_begin(w, NULL);
    memcpy(key, "12345678901234567890", sizeof key);
    OK(account_set_totp(k.st, w->seam, STR("test"), p.person, key, &w->d));
    assert_int_equal(sign_in_with_code(w, "").status, 403);
    assert_int_equal(sign_in_with_code(w, "000000").status, 403);
    code_at(w, key, 0, code);
    assert_int_equal(sign_in_with_code(w, code).status, 303);
    assert_int_equal(sign_in_with_code(w, code).status, 403); /* somebody looked over the shoulder */
    code_at(w, key, TOTP_STEP_S * 1000, code);                /* a telephone whose clock is ahead */
    assert_int_equal(sign_in_with_code(w, code).status, 303);
    code_at(w, key, 3 * TOTP_STEP_S * 1000, code);
    assert_int_equal(sign_in_with_code(w, code).status, 403);
    OK(account_set_totp(k.st, w->seam, STR("test"), p.person, NULL, &w->d));
    assert_int_equal(sign_in_with_code(w, "").status, 303);
    desk_end(&k);
}

static void test_the_address_for_authenticators(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 1000);
    totp_uri((const unsigned char *)"12345678901234567890", STR("A县"), STR("周"), &b);
    assert_true(str_eq_z(buf_str(&b), "otpauth://totp/Doorstep%20A%E5%8E%BF:%E5%91%A8?secret="
                                      "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Doorstep%20A%E5%8E%BF"));
    buf_free(&b);
}

/* ---- addresses that only make trouble ---- */

static void test_an_address_whose_requests_are_refused_is_turned_away_for_a_while(void **state)
{
    struct world *w = *state;
    struct browser evil = {.address = STR("203.0.113.9"), .accept = "*/*"},
                   good = {.address = STR("203.0.113.10"), .accept = "*/*"};
    uint32_t tries = 0;
    while (browse(w, &evil, HTTP_GET, "/v1/d?c=0", STR("")).status == 401)
        tries++;
    assert_int_equal(tries, REFUSALS_MAX);
    assert_int_equal(browse(w, &evil, HTTP_GET, "/v1/keys", STR("")).status, 429);
    assert_int_equal(browse(w, &good, HTTP_GET, "/v1/keys", STR("")).status, 200);
    sim_advance(w->sim, 10 * REFUSALS_FORGIVE_MS);
    for (int i = 0; i < 10; i++)
        assert_int_equal(browse(w, &evil, HTTP_GET, "/v1/d?c=0", STR("")).status, 401);
    assert_int_equal(browse(w, &evil, HTTP_GET, "/v1/keys", STR("")).status, 429);
    sim_advance(w->sim, (int64_t)REFUSALS_MAX * REFUSALS_FORGIVE_MS);
    for (int i = 0; i < 2000; i++) /* what succeeds costs nothing, however many handhelds stand behind it */
        assert_int_equal(browse(w, &evil, HTTP_GET, "/v1/keys", STR("")).status, 200);
}

static void test_the_numbers_are_for_this_machine_only(void **state)
{
    struct world *w = *state;
    struct browser far = {.address = STR("203.0.113.9"), .accept = "*/*"},
                   near = {.address = STR("127.0.0.1"), .accept = "*/*"};
    assert_int_equal(browse(w, &far, HTTP_GET, "/metrics", STR("")).status, 403);
    struct page p = browse(w, &near, HTTP_GET, "/metrics", STR(""));
    assert_int_equal(p.status, 200);
    assert_true(str_find(p.body, STR("doorstep_requests_total{class=\"4xx\"} 1\n")) > 0);
    assert_true(str_find(p.body, STR("\ndoorstep_devices 0\n")) > 0);
    assert_int_equal(browse(w, &far, HTTP_GET, "/health", STR("")).status, 200);
}

/* ---- passwords and names ---- */

static void test_passwords_that_are_guessed_at_once_are_refused(void **state)
{
    struct world *w = *state;
    static const char *const bad[] = {"short",        "aaaaaaaaaaaa",  "1234567890",
                                      "abcdefghijkl", "zhouling12345", "\xff\xfe not text at all"};
    struct account_row row = {.login = STR("zhouling")};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(account_password(w->seam, &row, str_of(bad[i]), ROUNDS, NULL), ERR_USAGE);
    OK(account_password(w->seam, &row, STR("石门村口第三棵树"), ROUNDS, &w->d));
}

static void test_two_people_cannot_have_one_sign_in_name(void **state)
{
    struct world *w = *state;
    struct desk k = desk_begin(w, NULL);
    struct person p;
    struct person_new q = {.name = STR("李文"),
                           .login = STR("ZHOULING"),
                           .password = STR(GOOD),
                           .area = STR(""),
                           .role = ROLE_ADMIN,
                           .rounds = ROUNDS};
    (void)person_made(w, "周玲", "zhouling", ROLE_COUNTY);
    assert_int_equal(account_add(k.st, w->seam, STR("test"), &q, &p, NULL), ERR_EXISTS);
    q.login = STR("with space");
    assert_int_equal(account_add(k.st, w->seam, STR("test"), &q, &p, NULL), ERR_USAGE);
    q.login = STR("liwen");
    q.role = 0;
    assert_int_equal(account_add(k.st, w->seam, STR("test"), &q, &p, NULL), ERR_USAGE);
    q.role = ROLE_ADMIN;
    OK(account_add(k.st, w->seam, STR("test"), &q, &p, &w->d));
    struct person_line *list = NULL;
    uint32_t count = 0;
    OK(cstore_people(k.st, &w->a, 0, 100, &list, &count, &w->d));
    assert_int_equal(count, 2);
    assert_true(str_eq_z(list[1].account.login, "liwen") && list[1].person.role == ROLE_ADMIN);
    desk_end(&k);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, accounts_open, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_right_password_opens_a_session_until_sign_out),
        TEST(test_over_tls_the_cookie_belongs_to_this_host_alone),
        TEST(test_a_wrong_name_and_a_wrong_password_look_alike),
        TEST(test_wrong_tries_wait_longer_and_longer),
        TEST(test_one_address_that_tries_many_names_waits),
        TEST(test_a_session_ends_when_idle_and_at_the_end_of_the_day),
        TEST(test_signing_in_again_ends_the_old_session),
        TEST(test_a_new_password_or_the_end_of_work_ends_sessions),
        TEST(test_ending_work_revokes_the_handhelds_of_that_person),
        TEST(test_a_form_that_another_site_sent_does_nothing),
        TEST(test_after_signing_in_nobody_is_led_to_another_site),
        TEST(test_with_a_second_factor_the_password_alone_is_not_enough),
        TEST(test_the_address_for_authenticators),
        TEST(test_an_address_whose_requests_are_refused_is_turned_away_for_a_while),
        TEST(test_the_numbers_are_for_this_machine_only),
        TEST(test_passwords_that_are_guessed_at_once_are_refused),
        TEST(test_two_people_cannot_have_one_sign_in_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
