/* Errors: a small set of causes, each with one row that says what anybody can do about it.
 *
 * A function that can fail returns `enum err`; the sentence for a person is written once, where the
 * cause is known, into a `struct diag` that the caller owns. Nobody on the way up overwrites it.
 * The table behind err_action() gives the exit code, the HTTP status, whether sync retries, and the
 * advice shown on a screen: there is no second table anywhere.
 */
#ifndef DOORSTEP_BASE_ERR_H
#define DOORSTEP_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum err {
    ERR_OK = 0,
    ERR_USAGE,     /* the command or request itself is wrong */
    ERR_SYNTAX,    /* a form, pack, list or message someone wrote is wrong */
    ERR_LIMIT,     /* larger than a stated cap */
    ERR_NOT_FOUND, /* the named thing is not here */
    ERR_EXISTS,    /* the named thing is here already, and differs */
    ERR_DENIED,    /* not signed in, revoked, or not allowed */
    ERR_CORRUPT,   /* bytes are not what they claim: checksum, signature, key */
    ERR_STATE,     /* right request, wrong moment: enrol first, already finalised */
    ERR_BUSY,      /* someone else holds it for a moment */
    ERR_NET,       /* no connection, or it broke */
    ERR_FULL,      /* no space left */
    ERR_IO,        /* the card, disk or system failed */
    ERR_NOMEM,     /* out of memory, or an arena's cap */
    ERR_VERSION,   /* made by a newer Doorstep */
    ERR_COUNT
};

#define DIAG_TEXT_MAX 480

/* One sentence or two: what is wrong, where, and what to do. Empty until something fails.
 * `line` and `column` count from 1; 0 means they do not apply. */
struct diag {
    enum err code;
    uint32_t line;
    uint32_t column;
    char text[DIAG_TEXT_MAX];
};

struct err_action {
    const char *name;    /* "full": stable, for programs */
    int exit_code;       /* of every command */
    int http_status;     /* of every route */
    bool retry;          /* sync may try the same again later */
    const char *todo_en; /* what to do next, a whole sentence */
    const char *todo_zh;
};

/* The row for a code. Never NULL. */
const struct err_action *err_action(enum err code);

/* Writes the sentence into `d` (when it is not NULL and still empty) and returns `code`. */
enum err diag_set(struct diag *d, enum err code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum err diag_set_at(struct diag *d, enum err code, uint32_t line, uint32_t column, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Forgets the sentence, so that `d` can serve again. */
void diag_clear(struct diag *d);

/* Our own invariant, checked in release too: stops the process with file and line. Never for input. */
#define CHECK(condition) ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))
void check_failed(const char *condition, const char *file, int line) __attribute__((noreturn));

#define MUST_USE __attribute__((warn_unused_result))

#endif
