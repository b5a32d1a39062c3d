/* Puts the real world's calls into a struct seam, and holds what they share: one curl handle, one log file.
 */
#include "platform/posix/posix_seam.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "platform/posix/http_curl.h"

struct posix {
    struct http_curl *curl;
    int log_fd; /* -1 = no log */
    bool log_fd_own;
    char log_file[4096]; /* "" = none that could be opened anew */
};

static int64_t clock_ms(clockid_t clock)
{
    struct timespec t;
    CHECK(clock_gettime(clock, &t) == 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t wall_ms(void *self)
{
    (void)self;
    return clock_ms(CLOCK_REALTIME);
}

static int64_t mono_ms(void *self)
{
    (void)self;
    return clock_ms(CLOCK_BOOTTIME);
}

static void sleep_ms(void *self, int64_t ms)
{
    (void)self;
    if (ms <= 0)
        return;
    struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL);
}

/* Old Android kernels have no getrandom. */
static enum err random_from_device(char *p, size_t n)
{
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    while (n > 0) {
        ssize_t got = read(fd, p, n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        p += got;
        n -= (size_t)got;
    }
    close(fd);
    return n == 0 ? ERR_OK : ERR_IO;
}

enum err posix_random(void *self, void *out, size_t n)
{
    (void)self;
    char *p = out;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno == ENOSYS ? random_from_device(p, n) : ERR_IO;
        p += got;
        n -= (size_t)got;
    }
    return ERR_OK;
}

/* One write per line, so that lines of several processes do not mix. A log that cannot be written must not
 * stop the work it tells about. */
static void log_line(void *self, enum log_event event, int64_t a, int64_t b, enum err cause)
{
    const struct posix *px = self;
    if (px->log_fd < 0)
        return;
    struct buf line;
    buf_init(&line, 300);
    buf_printf(&line, "{\"t\":%lld,\"event\":\"%s\",\"a\":%lld,\"b\":%lld,\"cause\":\"%s\"}\n",
               (long long)wall_ms(NULL), log_event_name(event), (long long)a, (long long)b,
               err_action(cause)->name);
    ssize_t written = write(px->log_fd, line.p, line.n);
    (void)written;
    buf_free(&line);
}

static enum err http(void *self, const struct http_request *request, struct arena *a,
                     struct http_reply *reply_out, struct diag *d)
{
    const struct posix *px = self;
    return http_curl_exchange(px->curl, request, a, reply_out, d);
}

static enum err open_log(struct posix *px, const char *path, struct diag *d)
{
    if (!path)
        return ERR_OK;
    if (strcmp(path, "-") == 0) {
        px->log_fd = STDERR_FILENO;
        return ERR_OK;
    }
    px->log_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (px->log_fd < 0)
        return diag_set(d, ERR_IO, "The log file %s cannot be opened: %s. Choose another place for it.", path,
                        strerror(errno));
    px->log_fd_own = true;
    if (strlen(path) < sizeof px->log_file)
        memcpy(px->log_file, path, strlen(path) + 1);
    return ERR_OK;
}

enum err posix_log_reopen(struct seam *seam, struct diag *d)
{
    struct posix *px = seam->self;
    if (!px->log_file[0])
        return ERR_OK;
    int fd = open(px->log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || dup3(fd, px->log_fd, O_CLOEXEC) < 0) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return diag_set(d, ERR_IO, "The log file %s cannot be opened anew: %s. The old one goes on.",
                        px->log_file, strerror(error));
    }
    close(fd);
    return ERR_OK;
}

enum err posix_seam_open(const struct posix_options *o, struct seam *out, struct diag *d)
{
    struct posix *px = calloc(1, sizeof *px);
    if (!px)
        return diag_set(d, ERR_NOMEM, "Not enough memory to start.");
    px->log_fd = -1;
    struct seam seam = {
        .self = px,
        .wall_ms = wall_ms,
        .mono_ms = mono_ms,
        .sleep_ms = sleep_ms,
        .random = posix_random,
        .file_read = posix_file_read,
        .file_write = posix_file_write,
        .file_remove = posix_file_remove,
        .dir_make = posix_dir_make,
        .dir_list = posix_dir_list,
        .http = http,
        .log = log_line,
    };
    enum err rc = open_log(px, o ? o->log_file : NULL, d);
    if (!rc)
        rc = http_curl_open(o ? o->ca_file : NULL, &px->curl, d);
    if (rc)
        posix_seam_close(&seam);
    else
        *out = seam;
    return rc;
}

void posix_seam_close(struct seam *seam)
{
    struct posix *px = seam->self;
    if (px) {
        http_curl_close(px->curl);
        if (px->log_fd_own)
            close(px->log_fd);
        free(px);
    }
    *seam = (struct seam){0};
}
