/* The store: accounts, sessions of browsers, and wrong tries to sign in. Always true: nothing here is in the
 * state hash, and nothing of it travels.
 */
#include "server/accounts.h"
#include "server/store_impl.h"

/* ---- accounts ---- */

enum err cstore_account_put(struct cstore *s, const struct account_row *row, struct diag *d)
{
    struct stmt *q = NULL;
    struct account_row other;
    struct arena a;
    enum err rc = ERR_NOT_FOUND;
    if (row->login.p) {
        arena_init(&a, 1u << 16);
        rc = cstore_account_login(s, &a, row->login, &other, NULL);
        arena_free(&a);
    }
    if (rc == ERR_OK && other.person != row->person)
        return diag_set(d, ERR_EXISTS, "Someone else signs in as %.*s.", STR_ARG(row->login));
    if (rc && rc != ERR_NOT_FOUND)
        return diag_set(d, rc, "The accounts cannot be read.");
    rc = statement(s,
                   "INSERT INTO account (county, person, login, salt, hash, rounds, totp, totp_step,"
                   " changed_ms, signed_in_ms, ended_ms)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
                   " ON CONFLICT (county, person) DO UPDATE SET login = excluded.login,"
                   " salt = excluded.salt, hash = excluded.hash, rounds = excluded.rounds,"
                   " totp = excluded.totp, totp_step = excluded.totp_step,"
                   " changed_ms = excluded.changed_ms, signed_in_ms = excluded.signed_in_ms,"
                   " ended_ms = excluded.ended_ms",
                   &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, row->person);
    if (row->login.p)
        bind_text(q, 3, row->login);
    else
        bind_null(q, 3);
    bind_blob(q, 4, row->salt, sizeof row->salt);
    bind_blob(q, 5, row->hash, sizeof row->hash);
    bind_i64(q, 6, row->rounds);
    if (row->has_totp)
        bind_blob(q, 7, row->totp, sizeof row->totp);
    else
        bind_null(q, 7);
    bind_u64(q, 8, row->totp_step);
    bind_i64(q, 9, row->changed_ms);
    bind_i64(q, 10, row->signed_in_ms);
    bind_i64(q, 11, row->ended_ms);
    return stmt_run(q, d);
}

#define ACCOUNT_COLUMNS                                                                                   \
    "SELECT person, login, salt, hash, rounds, totp, totp_step, changed_ms, signed_in_ms, ended_ms FROM " \
    "account"

static enum err account_read(struct stmt *q, struct arena *a, struct account_row *out, struct diag *d)
{
    bool row = false;
    struct account_row r = {0};
    enum err rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = diag_set(d, ERR_NOT_FOUND, "This person has no account.");
    if (!rc) {
        r.person = (uint32_t)col_i64(q, 0);
        rc = keep(a, col_text(q, 1), &r.login) ? no_memory(d) : ERR_OK;
    }
    if (!rc && (!col_bytes(q, 2, r.salt, sizeof r.salt) || !col_bytes(q, 3, r.hash, sizeof r.hash)))
        rc = damaged(d, "account");
    if (!rc) {
        r.rounds = (uint32_t)col_i64(q, 4);
        r.has_totp = col_bytes(q, 5, r.totp, sizeof r.totp);
        r.totp_step = col_u64(q, 6);
        r.changed_ms = col_i64(q, 7);
        r.signed_in_ms = col_i64(q, 8);
        r.ended_ms = col_i64(q, 9);
        *out = r;
    }
    stmt_done(q);
    return rc;
}

enum err cstore_account(struct cstore *s, struct arena *a, uint32_t person, struct account_row *out,
                        struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s, ACCOUNT_COLUMNS " WHERE county = ?1 AND person = ?2", &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, person);
    return account_read(q, a, out, d);
}

enum err cstore_account_login(struct cstore *s, struct arena *a, struct str login, struct account_row *out,
                              struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s, ACCOUNT_COLUMNS " WHERE county = ?1 AND login = ?2", &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, login);
    return account_read(q, a, out, d);
}

static enum err person_line_read(struct stmt *q, struct arena *a, struct person_line *p, struct diag *d)
{
    p->person.person = (uint32_t)col_i64(q, 0);
    p->person.role = (uint8_t)col_i64(q, 1);
    p->account.person = (uint32_t)col_i64(q, 4);
    p->account.rounds = (uint32_t)col_i64(q, 6);
    p->account.has_totp = col_i64(q, 7) != 0;
    p->account.changed_ms = col_i64(q, 8);
    p->account.signed_in_ms = col_i64(q, 9);
    p->account.ended_ms = col_i64(q, 10);
    p->devices = (uint32_t)col_i64(q, 11);
    return keep(a, col_text(q, 2), &p->person.name) || keep(a, col_text(q, 3), &p->person.area) ||
                   keep(a, col_text(q, 5), &p->account.login)
               ? no_memory(d)
               : ERR_OK;
}

enum err cstore_people(struct cstore *s, struct arena *a, uint32_t after, uint32_t limit,
                       struct person_line **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    VEC(struct person_line) list = {0};
    bool row = true;
    enum err rc = statement(
        s,
        "SELECT p.person, p.role, p.name, p.area, coalesce(c.person, 0), c.login, coalesce(c.rounds, 0),"
        " CASE WHEN c.totp IS NULL THEN 0 ELSE 1 END, coalesce(c.changed_ms, 0),"
        " coalesce(c.signed_in_ms, 0), coalesce(c.ended_ms, 0),"
        " (SELECT count(*) FROM device v WHERE v.county = p.county AND v.person = p.person"
        "   AND v.revoked_ms = 0)"
        " FROM person p LEFT JOIN account c ON c.county = p.county AND c.person = p.person"
        " WHERE p.county = ?1 AND p.person > ?2 ORDER BY p.person LIMIT ?3",
        &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, after);
    bind_i64(q, 3, limit);
    while (!rc && !(rc = stmt_step(q, &row, d)) && row) {
        struct person_line *p = vec_push(a, &list);
        rc = p ? person_line_read(q, a, p, d) : no_memory(d);
    }
    stmt_done(q);
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}

enum err cstore_person_set(struct cstore *s, const struct person *p, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            "UPDATE person SET role = ?3, name = ?4, area = ?5"
                            " WHERE county = ?1 AND person = ?2",
                            &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, p->person);
    bind_i64(q, 3, p->role);
    bind_text(q, 4, none_as_empty(p->name));
    bind_text(q, 5, none_as_empty(p->area));
    return stmt_run(q, d);
}

/* ---- sessions ---- */

enum err cstore_session_put(struct cstore *s, const struct session_row *row, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            "INSERT INTO session (county, hash, person, made_ms, used_ms, until_ms, csrf)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                            &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, row->hash, sizeof row->hash);
    bind_i64(q, 3, row->person);
    bind_i64(q, 4, row->made_ms);
    bind_i64(q, 5, row->used_ms);
    bind_i64(q, 6, row->until_ms);
    bind_blob(q, 7, row->csrf, sizeof row->csrf);
    return stmt_run(q, d);
}

static enum err session_read(struct stmt *q, struct arena *a, struct session_row *out, struct person *person,
                             int64_t *ended_ms, struct diag *d)
{
    struct person p = {.person = (uint32_t)col_i64(q, 0), .role = (uint8_t)col_i64(q, 5)};
    if (keep(a, col_text(q, 6), &p.name) || keep(a, col_text(q, 7), &p.area))
        return no_memory(d);
    if (!col_bytes(q, 4, out->csrf, sizeof out->csrf))
        return damaged(d, "session");
    out->person = p.person;
    out->made_ms = col_i64(q, 1);
    out->used_ms = col_i64(q, 2);
    out->until_ms = col_i64(q, 3);
    *person = p;
    *ended_ms = col_i64(q, 8);
    return ERR_OK;
}

enum err cstore_session(struct cstore *s, struct arena *a, const unsigned char hash[static SHA256_SIZE],
                        struct session_row *out, struct person *person_out, int64_t *ended_ms_out,
                        struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    struct session_row r = {0};
    struct person p;
    int64_t ended_ms = 0;
    enum err rc = statement(s,
                            "SELECT e.person, e.made_ms, e.used_ms, e.until_ms, e.csrf, p.role, p.name,"
                            " p.area, coalesce(c.ended_ms, 0) FROM session e"
                            " JOIN person p ON p.county = e.county AND p.person = e.person"
                            " LEFT JOIN account c ON c.county = e.county AND c.person = e.person"
                            " WHERE e.county = ?1 AND e.hash = ?2",
                            &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, hash, SHA256_SIZE);
    rc = stmt_step(q, &row, d);
    if (!rc)
        rc = row ? session_read(q, a, &r, &p, &ended_ms, d)
                 : diag_set(d, ERR_NOT_FOUND, "There is no such session.");
    stmt_done(q);
    if (!rc) {
        memcpy(r.hash, hash, SHA256_SIZE);
        *out = r;
        *person_out = p;
        *ended_ms_out = ended_ms;
    }
    return rc;
}

enum err cstore_session_used(struct cstore *s, const unsigned char hash[static SHA256_SIZE], int64_t now_ms,
                             struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s, "UPDATE session SET used_ms = ?3 WHERE county = ?1 AND hash = ?2", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, hash, SHA256_SIZE);
    bind_i64(q, 3, now_ms);
    return stmt_run(q, d);
}

enum err cstore_session_drop(struct cstore *s, const unsigned char hash[static SHA256_SIZE], struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s, "DELETE FROM session WHERE county = ?1 AND hash = ?2", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, hash, SHA256_SIZE);
    return stmt_run(q, d);
}

enum err cstore_sessions_drop(struct cstore *s, uint32_t person, const unsigned char *except, struct diag *d)
{
    static const unsigned char none[SHA256_SIZE];
    struct stmt *q = NULL;
    enum err rc = statement(s, "DELETE FROM session WHERE county = ?1 AND person = ?2 AND hash <> ?3", &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, person);
    bind_blob(q, 3, except ? except : none, SHA256_SIZE);
    return stmt_run(q, d);
}

enum err cstore_sessions_tidy(struct cstore *s, int64_t now_ms, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s, "DELETE FROM session WHERE county = ?1 AND (until_ms <= ?2 OR used_ms <= ?3)",
                            &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, now_ms);
    bind_i64(q, 3, now_ms - SESSION_IDLE_MS);
    return stmt_run(q, d);
}

/* ---- wrong tries ---- */

enum err cstore_try(struct cstore *s, const unsigned char key[static SHA256_SIZE], struct try_row *out,
                    struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    struct try_row t = {0};
    enum err rc = statement(
        s, "SELECT failed, at_ms, until_ms FROM login_try WHERE county = ?1 AND name_hash = ?2", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, key, SHA256_SIZE);
    rc = stmt_step(q, &row, d);
    if (!rc && row) {
        t.failed = (uint32_t)col_i64(q, 0);
        t.at_ms = col_i64(q, 1);
        t.until_ms = col_i64(q, 2);
    }
    stmt_done(q);
    memcpy(t.key, key, SHA256_SIZE);
    if (!rc)
        *out = t;
    return rc;
}

enum err cstore_try_put(struct cstore *s, const struct try_row *row, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            "INSERT INTO login_try (county, name_hash, failed, at_ms, until_ms)"
                            " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (county, name_hash) DO UPDATE"
                            " SET failed = excluded.failed, at_ms = excluded.at_ms,"
                            " until_ms = excluded.until_ms",
                            &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, row->key, SHA256_SIZE);
    bind_i64(q, 3, row->failed);
    bind_i64(q, 4, row->at_ms);
    bind_i64(q, 5, row->until_ms);
    return stmt_run(q, d);
}

enum err cstore_try_drop(struct cstore *s, const unsigned char key[static SHA256_SIZE], struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s, "DELETE FROM login_try WHERE county = ?1 AND name_hash = ?2", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, key, SHA256_SIZE);
    return stmt_run(q, d);
}

enum err cstore_tries_tidy(struct cstore *s, int64_t before_ms, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s, "DELETE FROM login_try WHERE county = ?1 AND at_ms < ?2", &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, before_ms);
    return stmt_run(q, d);
}
