/* The seam: everything the product asks of the world, handed in as one struct.
 *
 * Two implementations exist: platform/posix (the real world) and platform/sim (a seeded, virtual one).
 * Nothing above this line calls the operating system. Pure folders (forms, risk, sync) do not even see
 * this struct; they are given times and bytes.
 *
 * Databases are files too, but SQLite reaches them through a VFS of its own; the seam names that VFS,
 * so that a database opened in the simulation lives on the simulated disk.
 */
#ifndef DOORSTEP_SEAM_H
#define DOORSTEP_SEAM_H

#include "platform/base/arena.h"
#include "platform/base/buf.h"
#include "platform/base/log.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE };

#define HTTP_HEADERS_MAX 24

struct http_header {
    struct str name; /* compared without case */
    struct str value;
};

struct http_request {
    enum http_method method;
    struct str url; /* client: absolute; server: path and query, percent-encoded as received */
    struct str body;
    struct http_header headers[HTTP_HEADERS_MAX];
    uint32_t header_count;
    uint32_t body_max;        /* client: cap on the reply body; longer is ERR_LIMIT */
    uint32_t stall_ms_max;    /* client: give up when nothing moved for so long; 0 = 60 s */
    bool (*stop)(void *self); /* client: asked now and then; true breaks the request off. NULL = never */
    void *stop_self;
    struct str ca; /* client: PEM text of the only authorities trusted for https; "" = as opened */
    /* Server: a body that is handed on while it arrives (http_serve.h) comes as several requests: this one's
     * bytes lie at `body_at`, and more may follow. */
    uint64_t body_at;
    bool body_more;
    struct str client; /* server: whence, a numeric address; "" = not known */
    bool secure;       /* server: it came over TLS */
};

struct http_reply {
    int status;
    struct http_header headers[HTTP_HEADERS_MAX]; /* texts live in the arena given to the call */
    uint32_t header_count;
    struct buf body;               /* the caller frees it */
    uint64_t bytes_up, bytes_down; /* on the wire, heads included */
};

struct str http_header_find(const struct http_header *headers, uint32_t count, const char *name);

/* How the temporary names of file_write begin. */
#define SEAM_TEMPORARY ".doorstep-tmp-"

struct seam {
    void *self;
    const char *vfs; /* SQLite VFS for every database; NULL = the process default */

    int64_t (*wall_ms)(void *self); /* since 1970 UTC; may jump, may be wrong */
    int64_t (*mono_ms)(void *self); /* never goes back while the process lives; counts while suspended */
    void (*sleep_ms)(void *self, int64_t ms); /* a signal ends it early, so that a wish to stop is seen */
    enum err (*random)(void *self, void *out, size_t n);

    /* Whole files. Paths are relative to the process or absolute. A write goes to a temporary name, is
     * synced, renamed, and its folder synced: after ERR_OK the bytes survive a power cut. `secret` gives
     * mode 0600. Read: the caller frees `out`, whose maximum caps the file. */
    enum err (*file_read)(void *self, const char *path, struct buf *out, struct diag *d);
    enum err (*file_write)(void *self, const char *path, struct str bytes, bool secret, struct diag *d);
    enum err (*file_remove)(void *self, const char *path); /* ERR_NOT_FOUND when absent */
    /* Mode 0700, parents too; fine when there. */
    enum err (*dir_make)(void *self, const char *path, struct diag *d);
    /* Names in a folder, sorted bytewise, without "." and ".." and the leftovers of writes that a power cut
     * ended (SEAM_TEMPORARY...); texts live in `a` and end in NUL. */
    enum err (*dir_list)(void *self, const char *path, struct arena *a, struct str **names_out,
                         uint32_t *count_out);

    /* One request, one reply; blocks. Redirects are not followed: they are replies. ERR_NET when no complete
     * reply arrived (the request may or may not have been carried out: callers send only what can be
     * repeated). Any status is ERR_OK. On failure only bytes_up and bytes_down are set. Headers beyond
     * HTTP_HEADERS_MAX are left out of the reply. */
    enum err (*http)(void *self, const struct http_request *request, struct arena *a,
                     struct http_reply *reply_out, struct diag *d);

    /* Fields are (name id, integer) by event; see log.h for why there is no text. */
    void (*log)(void *self, enum log_event event, int64_t a, int64_t b, enum err cause);
};

#endif
