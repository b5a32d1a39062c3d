/* Who signs in at the centre: accounts of people, their passwords and second factors, and the sessions of
 * their browsers.
 *
 * Always true: a password is kept only stretched (PBKDF2-HMAC-SHA-512 with a salt and rounds of its own), a
 * session only as the hash of its token; a wrong name and a wrong password are told, slowed down and timed
 * alike; a session ends by itself (SESSION_IDLE_MS, SESSION_LIFE_MS), and at once when the person's work
 * ends, the password changes or the person signs out. A person without a sign-in name may have an account
 * all the same: it says when the work ended.
 */
#ifndef DOORSTEP_SERVER_ACCOUNTS_H
#define DOORSTEP_SERVER_ACCOUNTS_H

#include "server/store.h"

#define LOGIN_BYTES_MAX 64
#define PASSWORD_BYTES_MIN 10
#define PASSWORD_BYTES_MAX 256
#define PASSWORD_ROUNDS 210000 /* about a third of a second where this was measured */
#define TOTP_KEY_SIZE 20
#define TOTP_STEP_S 30
#define SESSION_TOKEN_SIZE 16
#define SESSION_IDLE_MS (60LL * 60 * 1000)
#define SESSION_LIFE_MS (12LL * 3600 * 1000)
#define SESSION_TOUCH_MS (60LL * 1000) /* how often "last used" is written */
#define CSRF_TEXT (2 * SESSION_TOKEN_SIZE + 1)

/* ---- the store's verbs (store_accounts.c) ---- */
struct account_row {
    uint32_t person;
    struct str login; /* p NULL = does not sign in */
    unsigned char salt[16];
    unsigned char hash[PASSWORD_HASH_SIZE];
    uint32_t rounds; /* 0 = no password yet */
    bool has_totp;
    unsigned char totp[TOTP_KEY_SIZE];
    uint64_t totp_step; /* the last one that was used: none works twice */
    int64_t changed_ms; /* the password */
    int64_t signed_in_ms;
    int64_t ended_ms; /* 0 = works here */
};
/* By person; another account of the same login is ERR_EXISTS. */
enum err cstore_account_put(struct cstore *s, const struct account_row *row, struct diag *d) MUST_USE;
enum err cstore_account(struct cstore *s, struct arena *a, uint32_t person, struct account_row *out,
                        struct diag *d) MUST_USE; /* ERR_NOT_FOUND */
enum err cstore_account_login(struct cstore *s, struct arena *a, struct str login, struct account_row *out,
                              struct diag *d) MUST_USE; /* ERR_NOT_FOUND */

/* Everyone, with or without an account, by number, those after `after`; `devices` counts unrevoked ones. */
struct person_line {
    struct person person;
    struct account_row account; /* person 0 = none; salt, hash and totp are left out */
    uint32_t devices;
};
enum err cstore_people(struct cstore *s, struct arena *a, uint32_t after, uint32_t limit,
                       struct person_line **out, uint32_t *count_out, struct diag *d) MUST_USE;
/* Another role, name or area for someone who is there. */
enum err cstore_person_set(struct cstore *s, const struct person *p, struct diag *d) MUST_USE;

struct session_row {
    unsigned char hash[SHA256_SIZE]; /* of the token */
    uint32_t person;
    int64_t made_ms, used_ms, until_ms;
    unsigned char csrf[SESSION_TOKEN_SIZE];
};
enum err cstore_session_put(struct cstore *s, const struct session_row *row, struct diag *d) MUST_USE;
/* With its person and when that one's work ended. ERR_NOT_FOUND. */
enum err cstore_session(struct cstore *s, struct arena *a, const unsigned char hash[static SHA256_SIZE],
                        struct session_row *out, struct person *person_out, int64_t *ended_ms_out,
                        struct diag *d) MUST_USE;
enum err cstore_session_used(struct cstore *s, const unsigned char hash[static SHA256_SIZE], int64_t now_ms,
                             struct diag *d) MUST_USE;
enum err cstore_session_drop(struct cstore *s, const unsigned char hash[static SHA256_SIZE],
                             struct diag *d) MUST_USE;
/* All of a person but `except` (NULL = all). */
enum err cstore_sessions_drop(struct cstore *s, uint32_t person, const unsigned char *except,
                              struct diag *d) MUST_USE;
/* Those that are over. */
enum err cstore_sessions_tidy(struct cstore *s, int64_t now_ms, struct diag *d) MUST_USE;

/* Wrong tries under one key: a name or an address, hashed. */
struct try_row {
    unsigned char key[SHA256_SIZE];
    uint32_t failed;
    int64_t at_ms, until_ms; /* no further try before then */
};
enum err cstore_try(struct cstore *s, const unsigned char key[static SHA256_SIZE], struct try_row *out,
                    struct diag *d) MUST_USE; /* all zero when there is none */
enum err cstore_try_put(struct cstore *s, const struct try_row *row, struct diag *d) MUST_USE;
enum err cstore_try_drop(struct cstore *s, const unsigned char key[static SHA256_SIZE],
                         struct diag *d) MUST_USE;
enum err cstore_tries_tidy(struct cstore *s, int64_t before_ms, struct diag *d) MUST_USE;

/* ---- accounts (accounts.c) ---- */
struct server;

/* Spaces around it cut, ASCII capitals small. ERR_USAGE: 2 to LOGIN_BYTES_MAX bytes, no spaces. */
enum err login_read(struct arena *a, struct str text, struct str *out, struct diag *d) MUST_USE;
/* Sets salt, hash, rounds and changed_ms. ERR_USAGE with what is wrong with the password. */
enum err account_password(const struct seam *seam, struct account_row *row, struct str password,
                          uint32_t rounds, struct diag *d) MUST_USE;

/* What `doorstepd person` does; each is one transaction with its row in the audit log. */
struct person_new {
    struct str name, login, password, area;
    uint8_t role;
    uint32_t rounds; /* 0 = PASSWORD_ROUNDS */
};
enum err account_add(struct cstore *st, const struct seam *seam, struct str by, const struct person_new *p,
                     struct person *out, struct diag *d) MUST_USE;
/* Ends the sessions of that person, too (but `keep`, NULL = none). */
enum err account_set_password(struct cstore *st, const struct seam *seam, struct str by, uint32_t person,
                              struct str password, const unsigned char *keep, struct diag *d) MUST_USE;
enum err account_set_role(struct cstore *st, const struct seam *seam, struct str by, uint32_t person,
                          uint8_t role, struct str area, struct diag *d) MUST_USE;
/* No more sessions, no more signing in, every handheld of this person revoked. Work stays where it is. */
enum err account_end(struct cstore *st, const struct seam *seam, struct str by, uint32_t person,
                     struct diag *d) MUST_USE;

/* ---- the second factor: RFC 6238, six digits every 30 seconds ---- */
/* "otpauth://totp/..." as authenticators read it from a QR code. */
void totp_uri(const unsigned char key[static TOTP_KEY_SIZE], struct str county, struct str login,
              struct buf *out);
/* The steps before and after count as well: clocks differ. `after`: the last step that was used. */
bool totp_right(const unsigned char key[static TOTP_KEY_SIZE], int64_t now_ms, struct str code,
                uint64_t after, uint64_t *step_out);
/* From now on signing in needs a code of this key; NULL: no more. Make a key with the seam's random, show it
 * (totp_uri), and have one code read back (totp_right) before it counts. */
enum err account_set_totp(struct cstore *st, const struct seam *seam, struct str by, uint32_t person,
                          const unsigned char *key, struct diag *d) MUST_USE;

struct sign_in {
    struct str login, password, code; /* code: of the second factor, "" = not given */
    struct str address;               /* whence */
    const unsigned char *old;         /* hash of the session that this browser had; NULL = none */
};
struct signed_in {
    char token[CSRF_TEXT]; /* for the cookie */
    struct session_row session;
    struct person person;
};
/* ERR_DENIED: the same words whatever was wrong. ERR_BUSY: too many tries; *wait_s_out says how long. */
enum err account_sign_in(struct server *s, struct cstore *st, struct arena *a, const struct sign_in *q,
                         struct signed_in *out, int64_t *wait_s_out, struct diag *d) MUST_USE;

#endif
