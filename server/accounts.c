/* Accounts: passwords, wrong tries, signing in. What is always true is in accounts.h.
 *
 * Signing in takes a turn of its own: one password is stretched at a time, so that a crowd of sign-ins holds
 * up nothing but itself, and the wrong tries of one name are counted one after the other.
 */
#include "server/accounts.h"

#include "platform/http_form.h"
#include "server/parts.h"

#define TRIES_FREE_NAME 5 /* wrong passwords of one name before it has to wait */
#define TRIES_FREE_ADDRESS 20
#define WAIT_FIRST_MS 2000
#define WAIT_MAX_MS (15LL * 60 * 1000)
#define TRIES_KEPT_MS (24LL * 3600 * 1000)
#define NAME_BYTES_MAX 120
#define AREA_BYTES_MAX 64

/* ---- names and passwords ---- */

enum err login_read(struct arena *a, struct str text, struct str *out, struct diag *d)
{
    struct str s = str_trim(text);
    char *p = s.n >= 2 && s.n <= LOGIN_BYTES_MAX && utf8_valid(s) ? arena_alloc(a, s.n) : NULL;
    for (size_t i = 0; p && i < s.n; i++) {
        char c = s.p[i];
        p[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        if ((unsigned char)c <= ' ' || c == 127 || c == ':')
            p = NULL;
    }
    if (!p)
        return diag_set(d, ERR_USAGE, "A sign-in name has 2 to %d bytes, without spaces or colons.",
                        LOGIN_BYTES_MAX);
    *out = (struct str){p, s.n};
    return ERR_OK;
}

/* Ten times the same letter, or 1234567890, is what a list of guesses begins with. */
static bool too_plain(struct str password)
{
    uint32_t steps = 0;
    for (size_t i = 1; i < password.n; i++) {
        int step = password.p[i] - password.p[i - 1];
        steps += step >= -1 && step <= 1;
    }
    return steps * 4 >= (password.n - 1) * 3;
}

enum err account_password(const struct seam *seam, struct account_row *row, struct str password,
                          uint32_t rounds, struct diag *d)
{
    if (password.n < PASSWORD_BYTES_MIN || password.n > PASSWORD_BYTES_MAX || !utf8_valid(password))
        return diag_set(d, ERR_USAGE, "A password has %d to %d bytes; a sentence is a good one.",
                        PASSWORD_BYTES_MIN, PASSWORD_BYTES_MAX);
    if (too_plain(password) || (row->login.n && str_find(password, row->login) >= 0))
        return diag_set(d, ERR_USAGE,
                        "This password is guessed quickly: choose one without the sign-in name and without "
                        "rows of the same or neighbouring characters.");
    enum err rc = seam->random(seam->self, row->salt, sizeof row->salt);
    if (!rc)
        rc = password_stretch(password, (struct str){(const char *)row->salt, sizeof row->salt}, rounds,
                              row->hash);
    if (rc)
        return diag_set(d, rc, "The password could not be stretched.");
    row->rounds = rounds;
    row->changed_ms = seam->wall_ms(seam->self);
    return ERR_OK;
}

/* ---- what an administrator does ---- */

static enum err person_check(const struct person_new *p, struct diag *d)
{
    if (p->name.n == 0 || p->name.n > NAME_BYTES_MAX || !utf8_valid(p->name))
        return diag_set(d, ERR_USAGE, "The person's name must have 1 to %d bytes of UTF-8.", NAME_BYTES_MAX);
    if (p->role == 0 || p->role > ROLE_ADMIN)
        return diag_set(d, ERR_USAGE,
                        "The role must be household, enumerator, cadre, supervisor, county, department, "
                        "analyst or admin.");
    return area_code_check(p->area, d);
}

enum err account_add(struct cstore *st, const struct seam *seam, struct str by, const struct person_new *p,
                     struct person *out, struct diag *d)
{
    struct arena a;
    struct person person;
    struct account_row row = {0}, before;
    int64_t now_ms = seam->wall_ms(seam->self);
    enum err rc = person_check(p, d);
    arena_init(&a, 1u << 20);
    if (!rc)
        rc = login_read(&a, p->login, &row.login, d);
    if (!rc)
        rc = account_password(seam, &row, p->password, p->rounds ? p->rounds : PASSWORD_ROUNDS, d);
    if (!rc)
        rc = cstore_begin(st, d);
    if (!rc && cstore_account_login(st, &a, row.login, &before, NULL) == ERR_OK)
        rc = diag_set(d, ERR_EXISTS, "Someone signs in as %.*s already; choose another sign-in name.",
                      STR_ARG(row.login));
    if (!rc)
        rc = people_take(st, p->name, p->role, p->area, now_ms, &person, d);
    if (!rc && cstore_account(st, &a, person.person, &before, NULL) == ERR_OK && before.login.p)
        rc = diag_set(d, ERR_EXISTS, "%.*s has the sign-in name %.*s already.", STR_ARG(p->name),
                      STR_ARG(before.login));
    if (!rc) {
        row.person = person.person;
        rc = cstore_account_put(st, &row, d);
    }
    if (!rc)
        rc = cstore_audit(st, now_ms, by, STR("account-made"), row.login, d);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    if (!rc) {
        *out = person;
        out->name = p->name;
        out->area = p->area;
    }
    arena_free(&a);
    return rc;
}

enum err account_set_password(struct cstore *st, const struct seam *seam, struct str by, uint32_t person,
                              struct str password, const unsigned char *keep, struct diag *d)
{
    struct arena a;
    struct account_row row;
    arena_init(&a, 1u << 20);
    enum err rc = cstore_account(st, &a, person, &row, d);
    if (!rc)
        rc = account_password(seam, &row, password, PASSWORD_ROUNDS, d);
    if (!rc)
        rc = cstore_begin(st, d);
    if (!rc)
        rc = cstore_account_put(st, &row, d);
    if (!rc)
        rc = cstore_sessions_drop(st, person, keep, d);
    if (!rc)
        rc = cstore_audit(st, row.changed_ms, by, STR("password-changed"), row.login, d);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    arena_free(&a);
    return rc;
}

enum err account_set_role(struct cstore *st, const struct seam *seam, struct str by, uint32_t person,
                          uint8_t role, struct str area, struct diag *d)
{
    struct arena a;
    struct person p;
    struct buf text;
    arena_init(&a, 1u << 20);
    buf_init(&text, CSTORE_TEXT_MAX);
    enum err rc = cstore_person(st, &a, person, &p, d);
    if (!rc)
        rc = person_check(&(struct person_new){.name = p.name, .role = role, .area = area}, d);
    if (!rc)
        rc = cstore_begin(st, d);
    if (!rc) {
        buf_printf(&text, "%.*s: %s %.*s -> %s %.*s", STR_ARG(p.name), role_name(p.role), STR_ARG(p.area),
                   role_name(role), STR_ARG(area));
        p.role = role;
        p.area = area;
        rc = cstore_person_set(st, &p, d);
    }
    if (!rc)
        rc = cstore_audit(st, seam->wall_ms(seam->self), by, STR("role-changed"), buf_str(&text), d);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    buf_free(&text);
    arena_free(&a);
    return rc;
}

static enum err devices_revoke(struct cstore *st, struct arena *a, uint32_t person, int64_t now_ms,
                               struct diag *d)
{
    struct device_row *list = NULL;
    uint32_t count = 0;
    enum err rc = cstore_devices(st, a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (list[i].person != person || list[i].revoked_ms)
            continue;
        list[i].revoked_ms = now_ms;
        list[i].revoked_why = REVOKED_BY_PERSON;
        rc = cstore_device_put(st, &list[i], d);
    }
    return rc;
}

enum err account_end(struct cstore *st, const struct seam *seam, struct str by, uint32_t person,
                     struct diag *d)
{
    struct arena a;
    struct person p;
    struct account_row row = {.person = person};
    int64_t now_ms = seam->wall_ms(seam->self);
    arena_init(&a, 64u << 20);
    enum err rc = cstore_begin(st, d);
    if (!rc)
        rc = cstore_person(st, &a, person, &p, d);
    if (!rc && (rc = cstore_account(st, &a, person, &row, NULL)) == ERR_NOT_FOUND)
        rc = ERR_OK;
    if (!rc) {
        row.person = person;
        row.ended_ms = row.ended_ms ? row.ended_ms : now_ms;
        rc = cstore_account_put(st, &row, d);
    }
    if (!rc)
        rc = cstore_sessions_drop(st, person, NULL, d);
    if (!rc)
        rc = devices_revoke(st, &a, person, now_ms, d);
    if (!rc)
        rc = cstore_audit(st, now_ms, by, STR("work-ended"), p.name, d);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    arena_free(&a);
    return rc;
}

/* ---- the second factor ---- */

/* RFC 4648 section 6, without padding: what authenticators read. */
static void put_base32(struct buf *b, const unsigned char *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint32_t bits = 0, have = 0;
    for (size_t i = 0; i < n; i++) {
        bits = (bits << 8 | p[i]) & 0xffff;
        for (have += 8; have >= 5; have -= 5)
            buf_put_char(b, digits[bits >> (have - 5) & 31]);
    }
    if (have)
        buf_put_char(b, digits[bits << (5 - have) & 31]);
}

void totp_uri(const unsigned char key[static TOTP_KEY_SIZE], struct str county, struct str login,
              struct buf *out)
{
    buf_put_z(out, "otpauth://totp/Doorstep%20");
    http_encode(out, county);
    buf_put_char(out, ':');
    http_encode(out, login);
    buf_put_z(out, "?secret=");
    put_base32(out, key, TOTP_KEY_SIZE);
    buf_put_z(out, "&issuer=Doorstep%20");
    http_encode(out, county);
}

bool totp_right(const unsigned char key[static TOTP_KEY_SIZE], int64_t now_ms, struct str code,
                uint64_t after, uint64_t *step_out)
{
    uint64_t given = 0, now = (uint64_t)(now_ms / 1000 / TOTP_STEP_S);
    bool right = false;
    code = str_trim(code);
    if (code.n != 6 || !str_to_u64(code, &given))
        return false;
    for (uint64_t step = now - 1; step <= now + 1; step++) {
        uint32_t want = 0;
        if (totp_code((struct str){(const char *)key, TOTP_KEY_SIZE}, step, 6, &want) == ERR_OK &&
            want == given && step > after) {
            right = true;
            *step_out = step;
        }
    }
    return right;
}

enum err account_set_totp(struct cstore *st, const struct seam *seam, struct str by, uint32_t person,
                          const unsigned char *key, struct diag *d)
{
    struct arena a;
    struct account_row row;
    arena_init(&a, 1u << 20);
    enum err rc = cstore_begin(st, d);
    if (!rc)
        rc = cstore_account(st, &a, person, &row, d);
    if (!rc) {
        row.has_totp = key != NULL;
        row.totp_step = 0;
        memset(row.totp, 0, sizeof row.totp);
        if (key)
            memcpy(row.totp, key, sizeof row.totp);
        rc = cstore_account_put(st, &row, d);
    }
    if (!rc)
        rc = cstore_audit(st, seam->wall_ms(seam->self), by,
                          key ? STR("second-factor-set") : STR("second-factor-removed"),
                          row.login.p ? row.login : STR(""), d);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    crypto_wipe(&row, sizeof row);
    arena_free(&a);
    return rc;
}

/* ---- wrong tries ---- */

/* An IPv6 address counts by the network that one household or office gets, its first 64 bits. */
static struct str address_part(struct str address)
{
    uint32_t colons = 0;
    for (size_t i = 0; i < address.n; i++) {
        colons += address.p[i] == ':';
        if (colons == 4)
            return str_sub(address, 0, i);
    }
    return address;
}

static enum err try_key(const struct server *s, const char *kind, struct str what,
                        unsigned char out[static SHA256_SIZE])
{
    struct buf text;
    buf_init(&text, 1024);
    buf_put_z(&text, kind);
    buf_put_str(&text, what);
    enum err rc = text.failed
                      ? text.failed
                      : hmac_sha256((struct str){(const char *)s->centre.secret, sizeof s->centre.secret},
                                    buf_str(&text), out);
    buf_free(&text);
    return rc;
}

static void try_failed(struct try_row *t, uint32_t free_tries, int64_t now_ms)
{
    if (now_ms - t->at_ms > TRIES_KEPT_MS)
        t->failed = 0;
    t->failed++;
    t->at_ms = now_ms;
    if (t->failed < free_tries)
        return;
    uint32_t doublings = t->failed - free_tries;
    t->until_ms = now_ms + (doublings < 9 ? (int64_t)WAIT_FIRST_MS << doublings : WAIT_MAX_MS);
}

/* ---- signing in ---- */

struct door {
    struct server *s;
    struct cstore *st;
    struct arena *a;
    const struct sign_in *q;
    struct str login;
    struct try_row name, address;
    struct account_row account; /* person 0 = none, or one that ended */
    uint64_t totp_step;
    int64_t now_ms;
};

static enum err door_look(struct door *x, int64_t *wait_s, struct diag *d)
{
    unsigned char key[SHA256_SIZE];
    enum err rc = try_key(x->s, "try-name:", x->login, key);
    if (!rc)
        rc = cstore_try(x->st, key, &x->name, d);
    if (!rc)
        rc = try_key(x->s, "try-address:", address_part(x->q->address), key);
    if (!rc)
        rc = cstore_try(x->st, key, &x->address, d);
    if (rc)
        return rc;
    int64_t until = x->name.until_ms > x->address.until_ms ? x->name.until_ms : x->address.until_ms;
    if (until > x->now_ms && until - x->now_ms <= WAIT_MAX_MS) {
        *wait_s = (until - x->now_ms + 999) / 1000;
        return diag_set(d, ERR_BUSY, "Too many wrong tries. Wait %lld seconds, then try again.",
                        (long long)*wait_s);
    }
    rc = cstore_account_login(x->st, x->a, x->login, &x->account, NULL);
    if (rc == ERR_NOT_FOUND || (!rc && (x->account.ended_ms || !x->account.rounds))) {
        x->account = (struct account_row){0};
        return ERR_OK;
    }
    return rc ? diag_set(d, rc, "The account cannot be read.") : ERR_OK;
}

/* Rounds grow over the years; the next sign-in is when the password is here to follow. */
static void stretch_more(struct door *x)
{
    struct account_row better = x->account;
    if (x->account.rounds >= x->s->password_rounds ||
        account_password(x->s->seam, &better, x->q->password, x->s->password_rounds, NULL))
        return;
    better.changed_ms = x->account.changed_ms;
    x->account = better;
}

/* As long for a name that nobody has. */
static enum err password_right(struct door *x, bool *right_out)
{
    unsigned char hash[PASSWORD_HASH_SIZE];
    bool there = x->account.person != 0;
    enum err rc = password_stretch(x->q->password,
                                   (struct str){(const char *)x->account.salt, sizeof x->account.salt},
                                   there ? x->account.rounds : x->s->password_rounds, hash);
    if (!rc)
        *right_out = crypto_equal(hash, x->account.hash, sizeof hash) && there &&
                     (!x->account.has_totp || totp_right(x->account.totp, x->now_ms, x->q->code,
                                                         x->account.totp_step, &x->totp_step));
    crypto_wipe(hash, sizeof hash);
    return rc;
}

static enum err session_make(struct door *x, struct signed_in *out, struct diag *d)
{
    unsigned char token[SESSION_TOKEN_SIZE];
    struct session_row row = {.person = x->account.person,
                              .made_ms = x->now_ms,
                              .used_ms = x->now_ms,
                              .until_ms = x->now_ms + SESSION_LIFE_MS};
    const struct seam *seam = x->s->seam;
    enum err rc = seam->random(seam->self, token, sizeof token);
    if (!rc)
        rc = seam->random(seam->self, row.csrf, sizeof row.csrf);
    if (!rc)
        rc = sha256((struct str){(const char *)token, sizeof token}, row.hash);
    if (!rc)
        rc = cstore_session_put(x->st, &row, d);
    if (!rc) {
        hex_write(token, sizeof token, out->token);
        out->token[2 * sizeof token] = 0;
        out->session = row;
    }
    crypto_wipe(token, sizeof token);
    return rc;
}

static enum err let_in(struct door *x, struct signed_in *out, struct diag *d)
{
    x->account.signed_in_ms = x->now_ms;
    if (x->account.has_totp)
        x->account.totp_step = x->totp_step;
    enum err rc = cstore_account_put(x->st, &x->account, d);
    if (!rc && x->q->old)
        rc = cstore_session_drop(x->st, x->q->old, d);
    if (!rc)
        rc = cstore_sessions_tidy(x->st, x->now_ms, d);
    if (!rc)
        rc = cstore_try_drop(x->st, x->name.key, d);
    if (!rc)
        rc = session_make(x, out, d);
    if (!rc)
        rc = cstore_person(x->st, x->a, x->account.person, &out->person, d);
    return rc ? rc : cstore_audit(x->st, x->now_ms, out->person.name, STR("signed-in"), x->login, d);
}

static enum err keep_out(struct door *x, struct diag *d)
{
    try_failed(&x->name, TRIES_FREE_NAME, x->now_ms);
    try_failed(&x->address, TRIES_FREE_ADDRESS, x->now_ms);
    enum err rc = cstore_tries_tidy(x->st, x->now_ms - TRIES_KEPT_MS, d);
    if (!rc)
        rc = cstore_try_put(x->st, &x->name, d);
    if (!rc)
        rc = cstore_try_put(x->st, &x->address, d);
    /* The name only when it is someone's: people type passwords there. */
    return rc ? rc
              : cstore_audit(x->st, x->now_ms, STR("?"), STR("sign-in-refused"),
                             x->account.person ? x->login : STR(""), d);
}

static enum err door_settle(struct door *x, bool right, struct signed_in *out, struct diag *d)
{
    pthread_mutex_lock(&x->s->write_turn);
    enum err rc = cstore_begin(x->st, d);
    if (!rc)
        rc = right ? let_in(x, out, d) : keep_out(x, d);
    if (!rc)
        rc = cstore_commit(x->st, d);
    cstore_rollback(x->st);
    pthread_mutex_unlock(&x->s->write_turn);
    return rc;
}

enum err account_sign_in(struct server *s, struct cstore *st, struct arena *a, const struct sign_in *q,
                         struct signed_in *out, int64_t *wait_s_out, struct diag *d)
{
    struct door x = {.s = s, .st = st, .a = a, .q = q, .now_ms = srv_now_ms(s)};
    bool right = false;
    if (login_read(a, q->login, &x.login, NULL))
        x.login = STR("-"); /* nobody's, but slowed down like one */
    if (q->password.n > PASSWORD_BYTES_MAX)
        return diag_set(d, ERR_DENIED, "The sign-in name, the password or the code is not right.");
    pthread_mutex_lock(&s->sign_in_turn);
    enum err rc = door_look(&x, wait_s_out, d);
    if (!rc)
        rc = password_right(&x, &right);
    if (!rc && right)
        stretch_more(&x);
    if (!rc)
        rc = door_settle(&x, right, out, d);
    pthread_mutex_unlock(&s->sign_in_turn);
    if (!rc && !right)
        rc = diag_set(d, ERR_DENIED, "The sign-in name, the password or the code is not right.");
    return rc;
}
