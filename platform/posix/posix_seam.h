/* The real world behind the seam: clocks, randomness, files, libcurl, a log of integers.
 *
 * Always true: file_write leaves either the old bytes or the new ones, whatever happens in between; a path
 * that is a symbolic link is replaced, never written through; a special file (device, pipe) is never read. */
#ifndef DOORSTEP_POSIX_SEAM_H
#define DOORSTEP_POSIX_SEAM_H

#include "platform/seam.h"

struct zone;

struct posix_options {
    const char *ca_file;  /* the only authorities trusted for https; NULL = the system's */
    const char *log_file; /* one JSON line per event is appended; "-" = standard error; NULL = no log */
};

/* `o` may be NULL; its texts are not kept. */
enum err posix_seam_open(const struct posix_options *o, struct seam *out, struct diag *d) MUST_USE;
/* The log file anew, under the name it was opened with: whoever rotates logs has moved the old one away. Safe
 * beside other threads. When it cannot be opened the old one goes on. */
enum err posix_log_reopen(struct seam *seam, struct diag *d) MUST_USE;
void posix_seam_close(struct seam *seam); /* accepts a zeroed seam */

/* A time zone by name ("Asia/Shanghai"), or the machine's for NULL: $TZ, else /etc/localtime, else UTC. */
enum err posix_zone_load(struct arena *a, const char *name, const struct zone **zone_out,
                         struct diag *d) MUST_USE;

/* For the calls of the seam that concern files; see seam.h. */
enum err posix_file_read(void *self, const char *path, struct buf *out, struct diag *d);
enum err posix_file_write(void *self, const char *path, struct str bytes, bool secret, struct diag *d);
enum err posix_file_remove(void *self, const char *path);
enum err posix_dir_make(void *self, const char *path, struct diag *d);
enum err posix_dir_list(void *self, const char *path, struct arena *a, struct str **names_out,
                        uint32_t *count_out);
/* getrandom(2), on kernels before 3.17 /dev/urandom. */
enum err posix_random(void *self, void *out, size_t n);

#endif
