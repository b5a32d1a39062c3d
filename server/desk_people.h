/* What `doorstepd person`, `audit` and `device` do, on an open store: results as text for people or JSON for
 * programs.
 */
#ifndef DOORSTEP_SERVER_DESK_PEOPLE_H
#define DOORSTEP_SERVER_DESK_PEOPLE_H

#include "server/accounts.h"
#include "server/parts.h"

/* Someone by sign-in name or number. ERR_NOT_FOUND. */
enum err person_named(struct desk *k, struct str text, uint32_t *person_out, struct diag *d) MUST_USE;

struct audit_question {
    struct str person, household, act; /* p NULL = any; person by name or sign-in name */
    struct str head;                   /* "N:HASH" noted earlier; p NULL = none */
    bool verify, json;
};
/* Rows, newest last; or with `verify` the state of the chain: ERR_CORRUPT when it is broken or the noted head
 * is not there. */
enum err audit_answer(struct desk *k, const struct audit_question *q, struct buf *out,
                      struct diag *d) MUST_USE;

/* A new second factor for this person: its address for authenticators into `out`, and its QR code as an SVG
 * file when `qr_file` is given. */
enum err totp_give(struct desk *k, struct str county, uint32_t person, const char *qr_file, struct buf *out,
                   struct diag *d) MUST_USE;

/* The root key (DIR/keys/root.key) as `count` shares of which `need` give it back: share-1.txt ... in
 * `folder`, one line each. They are read back and joined before this returns; with `remove` the key is then
 * taken out of DIR. */
enum err root_give_out(struct desk *k, const char *dir, const char *folder, uint8_t need, uint8_t count,
                       bool remove, struct buf *out, struct diag *d) MUST_USE;
/* The other way round, from files that each hold one share. */
enum err root_put_back(struct desk *k, const char *dir, const struct str *files, uint32_t file_count,
                       struct buf *out, struct diag *d) MUST_USE;

/* A password from a file (its first line; "-" is standard input), or asked twice at the terminal without
 * showing it. The caller wipes it. ERR_USAGE when there is neither. */
enum err password_ask(const char *file, struct buf *out, struct diag *d) MUST_USE;

#endif
