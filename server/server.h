/* The centre as a function: srv_handle takes a request and gives a reply, over a store in the centre's
 * directory. HTTP is a skin around it (platform/http_serve), and a simulation calls it as it is.
 *
 * Always true: a receipt is signed inside the transaction that stores the frame and leaves only after its
 * commit; a second process (publish, import, revoke, export, status) may work on the same directory at any
 * time, because every request reads what it needs from the database. Safe to call from several threads: each
 * call leases a connection of its own, writes take turns.
 */
#ifndef DOORSTEP_SERVER_SERVER_H
#define DOORSTEP_SERVER_SERVER_H

#include "platform/base/civil.h"
#include "platform/seam.h"
#include "server/store.h"

struct server;

/* What the county is: read once, never changed while a program runs. */
struct centre {
    struct str county;
    uint32_t epoch; /* at the county's founding; the database knows today's */
    struct keyset keys;
    struct str keyset_json; /* as devices get it, signed by the root */
    struct key_pair_p256 sign;
    struct key_pair_x25519 seal;
    unsigned char secret[32]; /* for bearer tokens and enrolment tokens */
};

/* Makes keys (root, sign, seal, secret; mode 0600), the signed keyset and the database. ERR_EXISTS when the
 * directory holds a county. `print_out`: fingerprint of the root, for people. */
enum err centre_make(const struct seam *seam, const char *dir, struct str county, char print_out[static 40],
                     struct diag *d) MUST_USE;
struct centre_options {
    const char *store_url; /* postgresql://...; NULL = a SQLite file in the directory */
    uint32_t partitions;   /* of each table there, when this is its first county; 0 = none */
};
enum err centre_make_with(const struct seam *seam, const char *dir, struct str county,
                          const struct centre_options *o, char print_out[static 40], struct diag *d) MUST_USE;
/* The whole county as a directory of its own that any command can open: keys and a SQLite file, also where
 * PostgreSQL holds the original. ERR_EXISTS. */
enum err centre_backup(const struct seam *seam, const char *dir, struct cstore *st, const char *to,
                       struct diag *d) MUST_USE;
/* Makes a directory, and a store in the place that the options name, from a backup; a new epoch begins. */
enum err centre_restore(const struct seam *seam, const char *dir, const char *from,
                        const struct centre_options *o, struct diag *d) MUST_USE;

/* The root's secret key is not read: it may be kept elsewhere. */
enum err centre_read(const struct seam *seam, const char *dir, struct arena *a, struct centre *out,
                     struct diag *d) MUST_USE;
enum err centre_store_open(const struct seam *seam, const char *dir, struct cstore **store_out,
                           struct diag *d) MUST_USE;

/* A backup was put back: a new epoch begins, and handhelds send again what was lost. Not while a program
 * serves.
 */
enum err centre_set_back(const struct seam *seam, const char *dir, struct cstore *st,
                         struct diag *d) MUST_USE;

/* One hash over what the records are; equal for equal sets of changes, whatever the order in which they came.
 */
enum err centre_state_hash(struct cstore *st, unsigned char out[static SHA256_SIZE], uint64_t *rows_out,
                           struct diag *d) MUST_USE;
/* The same for what follows from the log alone: the kept frames and the centre's own changes, applied anew in
 * their order (`order` 0) or in one drawn from it. Nothing is changed. */
enum err centre_replay_hash(struct cstore *st, const struct seam *seam, uint64_t order,
                            unsigned char out[static SHA256_SIZE], uint64_t *events_out,
                            struct diag *d) MUST_USE;
/* Answers of deleted rows are let go once every handheld in use has seen the delete (one that was silent for
 * 90 days does not count). */
enum err centre_bury(struct cstore *st, int64_t now_ms, uint64_t *buried_out, struct diag *d) MUST_USE;

#define SRV_TOKEN_LIFE_MS \
    (30LL * 86400 * 1000) /* bearer tokens; renewed in receipts from a third before the end */
#define SRV_ENROL_LIFE_MS (48LL * 3600 * 1000)
#define SRV_ENROL_WRONG_MAX                                                        \
    100 /* wrong enrolment tokens in a minute; then nobody enrols until it is over \
         */
#define SRV_APART_BYTES_MAX (64ull << 20) /* frames and payloads of one handheld that are set apart */
#define SRV_REQUEST_MEMORY_MAX \
    (256u << 20)                /* working memory of one request: a 4 MiB frame unpacks to far less */
#define SRV_REPLY_DOWN_MAX 8192 /* bytes of downlink that ride along with a receipt */

struct server_options {
    const struct seam *seam;
    const char *dir;
    uint32_t connections;     /* 0 = 2: requests carried out at the same time */
    int64_t token_life_ms;    /* 0 = SRV_TOKEN_LIFE_MS */
    const struct zone *zone;  /* where the county is, for the screens; NULL = UTC */
    uint32_t password_rounds; /* of people's passwords; 0 = PASSWORD_ROUNDS (accounts.h) */
};
enum err srv_open(const struct server_options *o, struct server **server_out, struct diag *d) MUST_USE;
void srv_close(struct server *s); /* accepts NULL */
const struct centre *srv_centre(const struct server *s);
const struct zone *srv_zone(const struct server *s);

/* Never fails: whatever the request is, there is a reply. Its body buf must be initialised; its maximum caps
 * the reply. Header texts live in `a` or are literals. */
void srv_handle(struct server *s, const struct http_request *request, struct arena *a,
                struct http_reply *reply);
/* For http_serve: whether this request's body is kept as it arrives. `self` is not looked at. */
bool srv_in_pieces(void *self, const struct http_request *head);
/* What GET /metrics says, for programs that serve other things beside. */
void srv_numbers(struct server *s, struct buf *out);

#endif
