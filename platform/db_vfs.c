/* The VFS "doorstep": SQLite's own "unix" with one question asked before every operation that can fail in the
 * field, so that a test can break a database at operation 1, 2, 3 ... Always true: locks and shared memory
 * are those of "unix", and so a second process may work beside us; nothing is memory-mapped except the shared
 * memory of the WAL, because a card that fails under a mapping stops the process instead of giving an error.
 *
 * A WAL grows by 128 KiB of zeros at a time: to sync a file that has become longer costs the file system a
 * second write, of its own books, and so every answer would wait for two writes instead of one. SQLite stops
 * reading a WAL at the first frame that is not of this round, and zeros never are.
 *
 * What SQLite appends to a WAL piece by piece, a head and a page in turn, is held and written at once: before
 * a sync, a read, another place or another size. What that write says, the operation says that asked for it.
 * Nobody else can miss what is held: a commit names its frames to others only after it has synced, and
 * db_open opens nothing that does not (synchronous = FULL).
 */
#include "platform/db.h"

#include <sqlite3.h>
#include <string.h>

struct vfs {
    sqlite3_vfs base; /* first: SQLite hands this one back */
    sqlite3_vfs *unix_vfs;
    struct db_fault fault;
};

struct file {
    sqlite3_file base;
    struct vfs *vfs;
    const char *path;
    bool wal, holds;
    sqlite3_int64 room; /* of a WAL: how long the file is at least */
    char *held;         /* of a WAL: WAL_HELD_MAX bytes, NULL before the first write */
    int held_bytes;
    sqlite3_int64 held_at;
};

#define WAL_STEP (128 << 10)
#define WAL_HELD_MAX (32 << 10)

static struct vfs *vfs_of(sqlite3_vfs *v)
{
    return (struct vfs *)(void *)v;
}

/* The file of "unix" lies right behind ours, in the room that SQLite gave for both. */
static sqlite3_file *inner(sqlite3_file *f)
{
    return (sqlite3_file *)(void *)((struct file *)(void *)f + 1);
}

static int ask(const struct vfs *v, const char *operation, const char *path, int io_error)
{
    if (!v->fault.before)
        return SQLITE_OK;
    switch (v->fault.before(v->fault.self, operation, path ? path : "")) {
    case ERR_OK: return SQLITE_OK;
    case ERR_FULL: return SQLITE_FULL;
    case ERR_NOMEM: return SQLITE_IOERR_NOMEM;
    default: return io_error;
    }
}

static int ask_file(sqlite3_file *f, const char *operation, int io_error)
{
    const struct file *own = (struct file *)(void *)f;
    return ask(own->vfs, operation, own->path, io_error);
}

/* --- a file --- */

static void wal_room(sqlite3_file *f, sqlite3_int64 end);

/* What is held goes to the file; once: of what failed nothing is kept, and whoever asked is told. */
static int wal_write_held(sqlite3_file *f)
{
    struct file *own = (struct file *)(void *)f;
    int n = own->held_bytes;
    if (n == 0)
        return SQLITE_OK;
    own->held_bytes = 0;
    wal_room(f, own->held_at + n);
    return inner(f)->pMethods->xWrite(inner(f), own->held, n, own->held_at);
}

/* True when it is held: it goes on where the last piece ended. */
static bool wal_hold(struct file *own, const void *p, int n, sqlite3_int64 at)
{
    bool goes_on = own->held_bytes == 0 || own->held_at + own->held_bytes == at;
    if (!own->holds || !goes_on || n > WAL_HELD_MAX - own->held_bytes)
        return false;
    if (!own->held)
        own->held = sqlite3_malloc(WAL_HELD_MAX);
    if (!own->held)
        return false;
    if (own->held_bytes == 0)
        own->held_at = at;
    memcpy(own->held + own->held_bytes, p, (size_t)n);
    own->held_bytes += n;
    return true;
}

static int file_close(sqlite3_file *f)
{
    struct file *own = (struct file *)(void *)f;
    int rc = wal_write_held(f), closed = inner(f)->pMethods->xClose(inner(f));
    sqlite3_free(own->held);
    own->held = NULL;
    return rc ? rc : closed;
}

static int file_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    int rc = ask_file(f, "read", SQLITE_IOERR_READ);
    if (!rc)
        rc = wal_write_held(f);
    return rc ? rc : inner(f)->pMethods->xRead(inner(f), p, n, at);
}

/* Where a disk has no room for zeros there may be room for what is to be written: that write decides. */
static void wal_room(sqlite3_file *f, sqlite3_int64 end)
{
    static const char zeros[8192];
    struct file *own = (struct file *)(void *)f;
    const sqlite3_io_methods *m = inner(f)->pMethods;
    sqlite3_int64 size = 0;
    if (!own->wal || end <= own->room || m->xFileSize(inner(f), &size) != SQLITE_OK)
        return;
    sqlite3_int64 wanted = size;
    if (end > size)
        wanted = (end + WAL_STEP - 1) / WAL_STEP * WAL_STEP;
    while (size < wanted) {
        int step = wanted - size < (int)sizeof zeros ? (int)(wanted - size) : (int)sizeof zeros;
        if (m->xWrite(inner(f), zeros, step, size) != SQLITE_OK)
            return;
        size += step;
    }
    own->room = wanted;
}

static int file_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    struct file *own = (struct file *)(void *)f;
    int rc = ask_file(f, "write", SQLITE_IOERR_WRITE);
    if (rc || wal_hold(own, p, n, at))
        return rc;
    rc = wal_write_held(f);
    if (rc || wal_hold(own, p, n, at))
        return rc;
    wal_room(f, at + n);
    return inner(f)->pMethods->xWrite(inner(f), p, n, at);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    int rc = ask_file(f, "truncate", SQLITE_IOERR_TRUNCATE);
    if (!rc)
        rc = wal_write_held(f);
    ((struct file *)(void *)f)->room = 0;
    return rc ? rc : inner(f)->pMethods->xTruncate(inner(f), n);
}

static int file_sync(sqlite3_file *f, int flags)
{
    int rc = ask_file(f, "sync", SQLITE_IOERR_FSYNC);
    if (!rc)
        rc = wal_write_held(f);
    return rc ? rc : inner(f)->pMethods->xSync(inner(f), flags);
}

static int file_size(sqlite3_file *f, sqlite3_int64 *n_out)
{
    int rc = wal_write_held(f);
    return rc ? rc : inner(f)->pMethods->xFileSize(inner(f), n_out);
}

static int file_lock(sqlite3_file *f, int level)
{
    return inner(f)->pMethods->xLock(inner(f), level);
}

static int file_unlock(sqlite3_file *f, int level)
{
    return inner(f)->pMethods->xUnlock(inner(f), level);
}

static int file_reserved(sqlite3_file *f, int *out)
{
    return inner(f)->pMethods->xCheckReservedLock(inner(f), out);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
    return inner(f)->pMethods->xFileControl(inner(f), op, arg);
}

static int file_sector_size(sqlite3_file *f)
{
    return inner(f)->pMethods->xSectorSize(inner(f));
}

static int file_characteristics(sqlite3_file *f)
{
    return inner(f)->pMethods->xDeviceCharacteristics(inner(f));
}

static int file_shm_map(sqlite3_file *f, int region, int n, int extend, void volatile **pp)
{
    int rc = ask_file(f, "shm", SQLITE_IOERR_SHMMAP);
    return rc ? rc : inner(f)->pMethods->xShmMap(inner(f), region, n, extend, pp);
}

static int file_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return inner(f)->pMethods->xShmLock(inner(f), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *f)
{
    inner(f)->pMethods->xShmBarrier(inner(f));
}

static int file_shm_unmap(sqlite3_file *f, int remove)
{
    return inner(f)->pMethods->xShmUnmap(inner(f), remove);
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 2, /* without the memory mapping of version 3 */
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* --- the file system --- */

static int vfs_open(sqlite3_vfs *v, sqlite3_filename path, sqlite3_file *f, int flags, int *flags_out)
{
    struct vfs *own = vfs_of(v);
    struct file *file = (struct file *)(void *)f;
    f->pMethods = NULL; /* until it is open, there is nothing to close */
    int rc = ask(own, "open", path, SQLITE_CANTOPEN);
    if (rc)
        return rc;
    rc = own->unix_vfs->xOpen(own->unix_vfs, path, inner(f), flags, flags_out);
    if (rc)
        return rc;
    CHECK(inner(f)->pMethods->iVersion >= 2);
    file->vfs = own;
    file->path = path;
    file->wal = (flags & SQLITE_OPEN_WAL) != 0;
    file->holds = file->wal && (inner(f)->pMethods->xDeviceCharacteristics(inner(f)) &
                                SQLITE_IOCAP_POWERSAFE_OVERWRITE) != 0; /* else frames follow the sync */
    file->room = 0;
    file->held = NULL;
    file->held_bytes = 0;
    f->pMethods = &file_methods;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *v, const char *path, int sync_folder)
{
    int rc = ask(vfs_of(v), "delete", path, SQLITE_IOERR_DELETE);
    return rc ? rc : vfs_of(v)->unix_vfs->xDelete(vfs_of(v)->unix_vfs, path, sync_folder);
}

static int vfs_access(sqlite3_vfs *v, const char *path, int flags, int *out)
{
    return vfs_of(v)->unix_vfs->xAccess(vfs_of(v)->unix_vfs, path, flags, out);
}

static int vfs_full_path(sqlite3_vfs *v, const char *path, int n, char *out)
{
    return vfs_of(v)->unix_vfs->xFullPathname(vfs_of(v)->unix_vfs, path, n, out);
}

static int vfs_random(sqlite3_vfs *v, int n, char *out)
{
    return vfs_of(v)->unix_vfs->xRandomness(vfs_of(v)->unix_vfs, n, out);
}

static int vfs_sleep(sqlite3_vfs *v, int us)
{
    return vfs_of(v)->unix_vfs->xSleep(vfs_of(v)->unix_vfs, us);
}

static int vfs_time(sqlite3_vfs *v, double *out)
{
    return vfs_of(v)->unix_vfs->xCurrentTime(vfs_of(v)->unix_vfs, out);
}

static int vfs_last_error(sqlite3_vfs *v, int n, char *out)
{
    return vfs_of(v)->unix_vfs->xGetLastError(vfs_of(v)->unix_vfs, n, out);
}

static int vfs_time_ms(sqlite3_vfs *v, sqlite3_int64 *out)
{
    return vfs_of(v)->unix_vfs->xCurrentTimeInt64(vfs_of(v)->unix_vfs, out);
}

enum err db_vfs_register(const struct db_fault *fault)
{
    const struct db_fault none = {0};
    sqlite3_vfs *known = sqlite3_vfs_find("doorstep");
    if (known) {
        vfs_of(known)->fault = fault ? *fault : none;
        return ERR_OK;
    }
    sqlite3_vfs *unix_vfs = sqlite3_vfs_find("unix");
    CHECK(unix_vfs);
    struct vfs *v = sqlite3_malloc64(sizeof *v); /* its list keeps it until the process ends */
    if (!v)
        return ERR_NOMEM;
    *v = (struct vfs){0};
    v->unix_vfs = unix_vfs;
    v->fault = fault ? *fault : none;
    v->base = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)sizeof(struct file) + unix_vfs->szOsFile,
        .mxPathname = unix_vfs->mxPathname,
        .zName = "doorstep",
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_random,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_time_ms,
    };
    if (sqlite3_vfs_register(&v->base, 0) != SQLITE_OK) {
        sqlite3_free(v);
        return ERR_NOMEM;
    }
    return ERR_OK;
}
