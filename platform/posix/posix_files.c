/* Whole files and folders, so that after ERR_OK the bytes survive a power cut: temporary name, write, fsync,
 * rename, fsync of the folder. The folder is opened once and everything happens relative to it, so that it
 * cannot be exchanged under a write. */
#include "platform/posix/posix_seam.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_LENGTH_MAX 4096 /* Linux's PATH_MAX */

static enum err cause_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR: return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP: return ERR_DENIED;
    case ENOSPC:
    case EDQUOT: return ERR_FULL;
    case EFBIG:
    case ENAMETOOLONG: return ERR_LIMIT;
    case ENOMEM: return ERR_NOMEM;
    case EISDIR:
    case EINVAL: return ERR_USAGE;
    default: return ERR_IO;
    }
}

static enum err fail(struct diag *d, int error, const char *what, const char *path)
{
    enum err code = cause_of(error);
    return diag_set(d, code, "%s %s failed: %s. %s", what, path, strerror(error), err_action(code)->todo_en);
}

/* "a/b/c" is folder "a/b" and name "c"; "c" is folder "." and name "c". */
static enum err split_path(const char *path, char folder[static PATH_LENGTH_MAX], const char **name_out)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (strlen(path) >= PATH_LENGTH_MAX)
        return ERR_LIMIT;
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return ERR_USAGE;
    if (!slash)
        memcpy(folder, ".", 2);
    else if (n == 0)
        memcpy(folder, "/", 2);
    else
        snprintf(folder, PATH_LENGTH_MAX, "%.*s", (int)n, path);
    *name_out = name;
    return ERR_OK;
}

static enum err open_folder(const char *path, int *fd_out, const char **name_out, struct diag *d)
{
    char folder[PATH_LENGTH_MAX];
    enum err rc = split_path(path, folder, name_out);
    if (rc)
        return diag_set(d, rc, "\"%.200s\" cannot be the name of a file.", path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(d, errno, "Opening the folder of", path);
    *fd_out = fd;
    return ERR_OK;
}

static int write_all(int fd, struct str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        bytes = str_sub(bytes, (size_t)n, bytes.n);
    }
    return 0;
}

/* Some file systems (FUSE over a FAT card) cannot sync a folder; they say so with EINVAL. */
static int sync_folder(int fd)
{
    return fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
}

static enum err temporary_name(char out[static 40])
{
    unsigned char random[8];
    enum err rc = posix_random(NULL, random, sizeof random);
    if (rc)
        return rc;
    size_t n = strlen(SEAM_TEMPORARY);
    memcpy(out, SEAM_TEMPORARY, n);
    hex_write(random, sizeof random, out + n);
    out[n + 2 * sizeof random] = '\0';
    return ERR_OK;
}

enum err posix_file_write(void *self, const char *path, struct str bytes, bool secret, struct diag *d)
{
    (void)self;
    int folder = -1, fd = -1, error = 0;
    const char *name = "";
    char temporary[40];
    bool temporary_there = false;

    enum err rc = open_folder(path, &folder, &name, d);
    if (rc)
        return rc;
    rc = temporary_name(temporary);
    if (rc) {
        diag_set(d, rc, "Writing %s failed: the system gives no random numbers.", path);
        goto done;
    }
    fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                secret ? 0600 : 0644);
    if (fd < 0) {
        rc = fail(d, errno, "Writing", path);
        goto done;
    }
    temporary_there = true;
    error = write_all(fd, bytes);
    if (!error && fsync(fd) != 0)
        error = errno;
    if (close(fd) != 0 && !error)
        error = errno;
    fd = -1;
    if (!error && renameat(folder, temporary, folder, name) != 0)
        error = errno;
    if (!error) {
        temporary_there = false;
        error = sync_folder(folder);
    }
    if (error)
        rc = fail(d, error, "Writing", path);

done:
    if (temporary_there)
        unlinkat(folder, temporary, 0);
    if (fd >= 0)
        close(fd);
    close(folder);
    return rc;
}

/* O_NONBLOCK: opening a pipe that nobody writes to would wait for ever. */
enum err posix_file_read(void *self, const char *path, struct buf *out, struct diag *d)
{
    (void)self;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fail(d, errno, "Reading", path);
    enum err rc = ERR_OK;
    if (fstat(fd, &st) != 0)
        rc = fail(d, errno, "Reading", path);
    else if (!S_ISREG(st.st_mode))
        rc = diag_set(d, ERR_USAGE, "%s is not an ordinary file. Name a file.", path);
    else if ((uint64_t)st.st_size > out->n_max - out->n)
        rc = ERR_LIMIT;
    while (!rc) {
        char chunk[16384];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = fail(d, errno, "Reading", path);
        if (n <= 0)
            break;
        buf_put(out, chunk, (size_t)n);
        rc = out->failed;
    }
    close(fd);
    if (rc == ERR_LIMIT)
        return diag_set(d, rc, "%s is larger than %zu bytes, the most that is read.", path, out->n_max);
    if (rc == ERR_NOMEM)
        return diag_set(d, rc, "Not enough memory to read %s.", path);
    return rc;
}

enum err posix_file_remove(void *self, const char *path)
{
    (void)self;
    int folder = -1;
    const char *name = "";
    enum err rc = open_folder(path, &folder, &name, NULL);
    if (rc)
        return rc;
    int error = unlinkat(folder, name, 0) == 0 ? sync_folder(folder) : errno;
    close(folder);
    return error ? cause_of(error) : ERR_OK;
}

/* One level; its parent exists. */
static enum err make_level(const char *path, struct diag *d)
{
    struct stat st;
    int folder = -1;
    const char *name = "";
    if (stat(path, &st) == 0)
        return S_ISDIR(st.st_mode)
                   ? ERR_OK
                   : diag_set(d, ERR_EXISTS, "%s is there already and is not a folder.", path);
    enum err rc = open_folder(path, &folder, &name, d);
    if (rc)
        return rc;
    int error = mkdirat(folder, name, 0700) == 0 ? sync_folder(folder) : errno;
    close(folder);
    return error && error != EEXIST ? fail(d, error, "Making the folder", path) : ERR_OK;
}

enum err posix_dir_make(void *self, const char *path, struct diag *d)
{
    (void)self;
    char level[PATH_LENGTH_MAX];
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    if (n == 0 || n >= sizeof level)
        return diag_set(d, n ? ERR_LIMIT : ERR_USAGE, "\"%.200s\" cannot be the name of a folder.", path);
    for (size_t end = 1; end <= n; end++) {
        if (end < n && (path[end] != '/' || path[end - 1] == '/'))
            continue;
        memcpy(level, path, end);
        level[end] = '\0';
        enum err rc = make_level(level, d);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

enum err posix_dir_list(void *self, const char *path, struct arena *a, struct str **names_out,
                        uint32_t *count_out)
{
    (void)self;
    VEC(struct str) names = {0};
    enum err rc = ERR_OK;
    DIR *dir = opendir(path);
    if (!dir)
        return cause_of(errno);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            rc = errno ? cause_of(errno) : ERR_OK;
            break;
        }
        struct str name = str_of(entry->d_name);
        if (str_eq_z(name, ".") || str_eq_z(name, "..") || str_starts(name, STR(SEAM_TEMPORARY)))
            continue;
        struct str copy = arena_str(a, name);
        struct str *slot = copy.p ? vec_push(a, &names) : NULL;
        if (!slot) {
            rc = ERR_NOMEM;
            break;
        }
        *slot = copy;
    }
    closedir(dir);
    if (rc)
        return rc;
    if (names.count > 1)
        qsort(names.at, names.count, sizeof *names.at, by_bytes);
    *names_out = names.at;
    *count_out = names.count;
    return ERR_OK;
}
