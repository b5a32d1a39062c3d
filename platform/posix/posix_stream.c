/* See posix_stream.h. */
#include "platform/posix/posix_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/posix/posix_seam.h"

#define PATH_LENGTH_MAX 4096

struct stream_in {
    int fd;
    uint64_t size;
    char path[PATH_LENGTH_MAX];
};

struct stream_out {
    int fd;
    char path[PATH_LENGTH_MAX], part[PATH_LENGTH_MAX];
};

static enum err fail(struct diag *d, int error, const char *what, const char *path)
{
    enum err code = error == ENOENT || error == ENOTDIR                                     ? ERR_NOT_FOUND
                    : error == ENOSPC || error == EDQUOT || error == EFBIG                  ? ERR_FULL
                    : error == EACCES || error == EPERM || error == EROFS || error == ELOOP ? ERR_DENIED
                    : error == ENOMEM                                                       ? ERR_NOMEM
                                                                                            : ERR_IO;
    return diag_set(d, code, "%s %s failed: %s.", what, path, strerror(error));
}

enum err stream_in_open(const char *path, struct stream_in **in_out, struct diag *d)
{
    struct stat st;
    if (strlen(path) >= PATH_LENGTH_MAX)
        return diag_set(d, ERR_LIMIT, "\"%.200s...\" is too long for the name of a file.", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fail(d, errno, "Reading", path);
    struct stream_in *in = NULL;
    enum err rc = ERR_OK;
    if (fstat(fd, &st) != 0)
        rc = fail(d, errno, "Reading", path);
    else if (!S_ISREG(st.st_mode))
        rc = diag_set(d, ERR_USAGE, "%s is not an ordinary file. Name a file.", path);
    else if (!(in = calloc(1, sizeof *in)))
        rc = diag_set(d, ERR_NOMEM, "Not enough memory to read %s.", path);
    if (rc) {
        close(fd);
        return rc;
    }
    in->fd = fd;
    in->size = (uint64_t)st.st_size;
    memcpy(in->path, path, strlen(path) + 1);
    *in_out = in;
    return ERR_OK;
}

enum err stream_in_read(void *self, char *out, size_t n, size_t *got_out, struct diag *d)
{
    const struct stream_in *in = self;
    ssize_t got;
    do {
        got = read(in->fd, out, n);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return fail(d, errno, "Reading", in->path);
    *got_out = (size_t)got;
    return ERR_OK;
}

enum err stream_in_seek(struct stream_in *in, uint64_t offset, struct diag *d)
{
    return lseek(in->fd, (off_t)offset, SEEK_SET) < 0 ? fail(d, errno, "Reading", in->path) : ERR_OK;
}

uint64_t stream_in_size(const struct stream_in *in)
{
    return in->size;
}

void stream_in_close(struct stream_in *in)
{
    if (!in)
        return;
    close(in->fd);
    free(in);
}

enum err stream_out_open(const char *path, struct stream_out **out_out, struct diag *d)
{
    if (strlen(path) + sizeof STREAM_PART >= PATH_LENGTH_MAX)
        return diag_set(d, ERR_LIMIT, "\"%.200s...\" is too long for the name of a file.", path);
    struct stream_out *out = calloc(1, sizeof *out);
    if (!out)
        return diag_set(d, ERR_NOMEM, "Not enough memory to write %s.", path);
    snprintf(out->path, sizeof out->path, "%s", path);
    snprintf(out->part, sizeof out->part, "%s%s", path, STREAM_PART);
    out->fd = open(out->part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    if (out->fd < 0) {
        enum err rc = fail(d, errno, "Writing", out->part);
        free(out);
        return rc;
    }
    *out_out = out;
    return ERR_OK;
}

enum err stream_out_write(void *self, struct str bytes, struct diag *d)
{
    const struct stream_out *out = self;
    while (bytes.n > 0) {
        ssize_t n = write(out->fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(d, errno, "Writing", out->path);
        bytes = str_sub(bytes, (size_t)n, bytes.n);
    }
    return ERR_OK;
}

/* Some file systems (FUSE over a FAT card) cannot sync a folder; they say so with EINVAL. */
static int sync_folder_of(const char *path)
{
    char folder[PATH_LENGTH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
    close(fd);
    return error;
}

enum err stream_out_commit(struct stream_out *out, struct diag *d)
{
    int error = fsync(out->fd) == 0 ? 0 : errno;
    if (close(out->fd) != 0 && !error)
        error = errno;
    if (!error && rename(out->part, out->path) != 0)
        error = errno;
    if (!error)
        error = sync_folder_of(out->path);
    enum err rc = error ? fail(d, error, "Writing", out->path) : ERR_OK;
    if (error)
        (void)unlink(out->part);
    free(out);
    return rc;
}

void stream_out_drop(struct stream_out *out)
{
    if (!out)
        return;
    close(out->fd);
    (void)unlink(out->part);
    free(out);
}

static bool has_suffix(struct str name, struct str suffix)
{
    if (str_ends(name, STR(STREAM_PART)))
        name.n -= sizeof STREAM_PART - 1;
    return str_ends(name, suffix);
}

static const char *path_in(struct arena *a, const char *folder, struct str name)
{
    size_t n = strlen(folder);
    char *path = n + 1 + name.n < PATH_LENGTH_MAX ? arena_alloc(a, n + name.n + 2) : NULL;
    if (!path)
        return NULL;
    memcpy(path, folder, n);
    path[n] = '/';
    memcpy(path + n + 1, name.p, name.n);
    return path;
}

enum err stream_list(struct arena *a, const char *place, const char *suffix, uint32_t max,
                     struct str **paths_out, uint32_t *count_out, struct diag *d)
{
    struct str *names = NULL;
    uint32_t count = 0, kept = 0;
    enum err rc = posix_dir_list(NULL, place, a, &names, &count);
    if (rc == ERR_NOT_FOUND) { /* no folder: perhaps a file */
        struct stream_in *in = NULL;
        rc = stream_in_open(place, &in, d);
        stream_in_close(in);
        if (rc)
            return rc;
        names = ARENA_NEW(a, struct str);
        if (!names || !(names[0] = arena_str(a, str_of(place))).p)
            return diag_set(d, ERR_NOMEM, "Not enough memory to look at %s.", place);
        *paths_out = names;
        *count_out = 1;
        return ERR_OK;
    }
    if (rc)
        return diag_set(d, rc, "The folder %s cannot be read.", place);
    for (uint32_t i = 0; i < count && kept < max; i++) {
        if (!has_suffix(names[i], str_of(suffix)))
            continue;
        const char *path = path_in(a, place, names[i]);
        if (!path)
            return diag_set(d, ERR_LIMIT, "The path of %s is too long.", place);
        names[kept++] = str_of(path);
    }
    *paths_out = names;
    *count_out = kept;
    return ERR_OK;
}
