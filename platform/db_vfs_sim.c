/* SQLite on a simulated disk: a VFS of its own for each machine, with locks and shared memory on the heap.
 *
 * What unix does and power cuts make visible is done here too: a new journal or WAL has its folder synced at
 * its first sync, an empty file counts as absent, locks have SQLite's five levels. Of unix it lacks
 * memory-mapped files. The product never uses this file; it is here because only platform/db* includes
 * sqlite3.h. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/sim/sim_internal.h"

#define JULIAN_MS_OF_1970 210866760000000

struct vfs_file {
    sqlite3_file base;
    struct sim_handle h;
    char *path;
    int lock;          /* SQLITE_LOCK_* */
    bool names_unsafe; /* a new journal or WAL whose folder is not synced yet */
    bool remove_at_close;
    bool shm_mapped;
    unsigned shm_shared, shm_exclusive; /* locks this connection holds, one bit per slot */
};

static struct vfs_file *file_of(sqlite3_file *f)
{
    return (struct vfs_file *)f;
}

static struct sim_machine *machine_of(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

static int code_of(enum err rc, int io_error)
{
    switch (rc) {
    case ERR_OK: return SQLITE_OK;
    case ERR_FULL: return SQLITE_FULL;
    case ERR_NOMEM: return SQLITE_IOERR_NOMEM;
    default: return io_error;
    }
}

/* ---- database file locks ---- */

static int lock_shared(struct vfs_file *f)
{
    struct sim_shared *s = f->h.shared;
    if (s->pending || s->exclusive)
        return SQLITE_BUSY;
    s->shared_locks++;
    f->lock = SQLITE_LOCK_SHARED;
    return SQLITE_OK;
}

static int lock_reserved(struct vfs_file *f)
{
    struct sim_shared *s = f->h.shared;
    if (s->reserved && s->reserved != f)
        return SQLITE_BUSY;
    s->reserved = f;
    f->lock = SQLITE_LOCK_RESERVED;
    return SQLITE_OK;
}

/* Waits for readers to leave: PENDING keeps new ones out meanwhile. */
static int lock_exclusive(struct vfs_file *f)
{
    struct sim_shared *s = f->h.shared;
    if ((s->pending && s->pending != f) || (s->reserved && s->reserved != f))
        return SQLITE_BUSY;
    s->pending = f;
    f->lock = SQLITE_LOCK_PENDING;
    if (s->shared_locks > 1)
        return SQLITE_BUSY;
    s->exclusive = f;
    f->lock = SQLITE_LOCK_EXCLUSIVE;
    return SQLITE_OK;
}

static int x_lock(sqlite3_file *file, int level)
{
    struct vfs_file *f = file_of(file);
    if (!disk_handle_alive(&f->h))
        return SQLITE_IOERR_LOCK;
    int rc = SQLITE_OK;
    if (level > SQLITE_LOCK_NONE && f->lock == SQLITE_LOCK_NONE)
        rc = lock_shared(f);
    if (!rc && level == SQLITE_LOCK_RESERVED && f->lock < level)
        rc = lock_reserved(f);
    if (!rc && level == SQLITE_LOCK_EXCLUSIVE && f->lock < level)
        rc = lock_exclusive(f);
    return rc;
}

static int x_unlock(sqlite3_file *file, int level)
{
    struct vfs_file *f = file_of(file);
    struct sim_shared *s = f->h.shared;
    if (f->lock <= level)
        return SQLITE_OK;
    if (s->reserved == f)
        s->reserved = NULL;
    if (s->pending == f)
        s->pending = NULL;
    if (s->exclusive == f)
        s->exclusive = NULL;
    if (level == SQLITE_LOCK_NONE)
        s->shared_locks--;
    f->lock = level;
    return SQLITE_OK;
}

static int x_check_reserved_lock(sqlite3_file *file, int *out)
{
    const struct vfs_file *f = file_of(file);
    *out = f->h.shared->reserved != NULL;
    return SQLITE_OK;
}

/* ---- shared memory of the WAL ---- */

static int x_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out)
{
    struct vfs_file *f = file_of(file);
    struct sim_shared *s = f->h.shared;
    *out = NULL;
    if (!disk_handle_alive(&f->h))
        return SQLITE_IOERR_SHMMAP;
    if (!f->shm_mapped) {
        f->shm_mapped = true;
        s->shm_users++;
    }
    while ((uint32_t)region >= s->region_count) {
        if (!extend)
            return SQLITE_OK;
        unsigned char **grown = realloc(s->regions, (s->region_count + 1) * sizeof *grown);
        if (!grown)
            return SQLITE_IOERR_NOMEM;
        s->regions = grown;
        s->regions[s->region_count] = calloc(1, (size_t)size);
        if (!s->regions[s->region_count])
            return SQLITE_IOERR_NOMEM;
        s->region_count++;
    }
    *out = s->regions[region];
    return SQLITE_OK;
}

static bool shm_free_for(const struct vfs_file *f, int slot, bool exclusive)
{
    const struct sim_shared *s = f->h.shared;
    if (s->shm_exclusive[slot] && s->shm_exclusive[slot] != f)
        return false;
    return !exclusive || s->shm_shared[slot] == ((f->shm_shared >> slot) & 1);
}

static void shm_unlock(struct vfs_file *f, int slot)
{
    struct sim_shared *s = f->h.shared;
    unsigned bit = 1u << slot;
    if (f->shm_shared & bit)
        s->shm_shared[slot]--;
    if (f->shm_exclusive & bit)
        s->shm_exclusive[slot] = NULL;
    f->shm_shared &= ~bit;
    f->shm_exclusive &= ~bit;
}

static int x_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    struct vfs_file *f = file_of(file);
    struct sim_shared *s = f->h.shared;
    bool exclusive = flags & SQLITE_SHM_EXCLUSIVE;
    CHECK(offset >= 0 && n >= 1 && offset + n <= SQLITE_SHM_NLOCK);
    if (flags & SQLITE_SHM_UNLOCK) {
        for (int slot = offset; slot < offset + n; slot++)
            shm_unlock(f, slot);
        return SQLITE_OK;
    }
    if (!disk_handle_alive(&f->h))
        return SQLITE_IOERR_SHMLOCK;
    for (int slot = offset; slot < offset + n; slot++) {
        if (!shm_free_for(f, slot, exclusive))
            return SQLITE_BUSY;
    }
    for (int slot = offset; slot < offset + n; slot++) {
        unsigned bit = 1u << slot;
        if (exclusive) {
            s->shm_exclusive[slot] = f;
            f->shm_exclusive |= bit;
        } else if (!(f->shm_shared & bit)) {
            s->shm_shared[slot]++;
            f->shm_shared |= bit;
        }
    }
    return SQLITE_OK;
}

static void x_shm_barrier(sqlite3_file *file)
{
    (void)file; /* one thread */
}

static int x_shm_unmap(sqlite3_file *file, int remove)
{
    struct vfs_file *f = file_of(file);
    struct sim_shared *s = f->h.shared;
    (void)remove;
    if (!f->shm_mapped)
        return SQLITE_OK;
    for (int slot = 0; slot < SQLITE_SHM_NLOCK; slot++)
        shm_unlock(f, slot);
    f->shm_mapped = false;
    if (--s->shm_users > 0)
        return SQLITE_OK;
    for (uint32_t i = 0; i < s->region_count; i++)
        free(s->regions[i]);
    free(s->regions);
    s->regions = NULL;
    s->region_count = 0;
    return SQLITE_OK;
}

/* ---- bytes ---- */

static int x_close(sqlite3_file *file)
{
    struct vfs_file *f = file_of(file);
    x_shm_unmap(file, 0);
    x_unlock(file, SQLITE_LOCK_NONE);
    if (f->remove_at_close && disk_handle_alive(&f->h))
        (void)disk_remove(f->h.machine, f->path);
    disk_close(&f->h);
    free(f->path);
    f->path = NULL;
    return SQLITE_OK;
}

static int x_read(sqlite3_file *file, void *out, int n, sqlite3_int64 at)
{
    struct vfs_file *f = file_of(file);
    size_t got = 0;
    enum err rc = disk_read(&f->h, (uint64_t)at, out, (size_t)n, &got);
    if (rc)
        return code_of(rc, SQLITE_IOERR_READ);
    if (got == (size_t)n)
        return SQLITE_OK;
    memset((char *)out + got, 0, (size_t)n - got);
    return SQLITE_IOERR_SHORT_READ;
}

static int x_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 at)
{
    return code_of(disk_write(&file_of(file)->h, (uint64_t)at, p, (size_t)n), SQLITE_IOERR_WRITE);
}

static int x_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return code_of(disk_truncate(&file_of(file)->h, (uint64_t)size), SQLITE_IOERR_TRUNCATE);
}

static int x_sync(sqlite3_file *file, int flags)
{
    struct vfs_file *f = file_of(file);
    (void)flags;
    enum err rc = disk_sync(&f->h);
    if (!rc && f->names_unsafe) {
        rc = disk_sync_names(f->h.machine, f->path);
        f->names_unsafe = rc != ERR_OK;
    }
    return code_of(rc, SQLITE_IOERR_FSYNC);
}

static int x_file_size(sqlite3_file *file, sqlite3_int64 *out)
{
    uint64_t size = 0;
    enum err rc = disk_size(&file_of(file)->h, &size);
    *out = (sqlite3_int64)size;
    return code_of(rc, SQLITE_IOERR_FSTAT);
}

static int x_file_control(sqlite3_file *file, int operation, void *argument)
{
    (void)file;
    if (operation != SQLITE_FCNTL_MMAP_SIZE)
        return SQLITE_NOTFOUND;
    *(sqlite3_int64 *)argument = 0; /* nothing is ever mapped */
    return SQLITE_OK;
}

static int x_sector_size(sqlite3_file *file)
{
    (void)file;
    return SECTOR;
}

static int x_device_characteristics(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = x_close,
    .xRead = x_read,
    .xWrite = x_write,
    .xTruncate = x_truncate,
    .xSync = x_sync,
    .xFileSize = x_file_size,
    .xLock = x_lock,
    .xUnlock = x_unlock,
    .xCheckReservedLock = x_check_reserved_lock,
    .xFileControl = x_file_control,
    .xSectorSize = x_sector_size,
    .xDeviceCharacteristics = x_device_characteristics,
    .xShmMap = x_shm_map,
    .xShmLock = x_shm_lock,
    .xShmBarrier = x_shm_barrier,
    .xShmUnmap = x_shm_unmap,
};

/* ---- the VFS ---- */

static int x_random(sqlite3_vfs *vfs, int n, char *out)
{
    struct sim_machine *m = machine_of(vfs);
    for (int i = 0; i < n; i++)
        out[i] = (char)dice_roll(&m->random);
    return n;
}

static int x_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *flags_out)
{
    struct vfs_file *f = file_of(file);
    struct sim_machine *m = machine_of(vfs);
    char temporary[40];
    bool created = false;
    *f = (struct vfs_file){0};
    if (!path) {
        snprintf(temporary, sizeof temporary, "sqlite-temporary-%016llx",
                 (unsigned long long)dice_roll(&m->random));
        path = temporary;
    }
    f->path = strdup(path);
    if (!f->path)
        return SQLITE_NOMEM;
    unsigned how = (flags & SQLITE_OPEN_CREATE ? SIM_CREATE : 0) |
                   (flags & SQLITE_OPEN_EXCLUSIVE ? SIM_EXCLUSIVE : 0);
    enum err rc = disk_open(m, path, how, &f->h, &created);
    if (rc) {
        free(f->path);
        f->path = NULL;
        return code_of(rc, SQLITE_CANTOPEN);
    }
    f->names_unsafe = created &&
                      (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL));
    f->remove_at_close = flags & SQLITE_OPEN_DELETEONCLOSE;
    f->base.pMethods = &methods;
    if (flags_out)
        *flags_out = flags;
    return SQLITE_OK;
}

static int x_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    struct sim_machine *m = machine_of(vfs);
    enum err rc = disk_remove(m, path);
    if (rc == ERR_NOT_FOUND)
        return SQLITE_IOERR_DELETE_NOENT;
    if (!rc && sync_folder)
        rc = disk_sync_names(m, path);
    return code_of(rc, SQLITE_IOERR_DELETE);
}

static int x_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    const struct sim_machine *m = machine_of(vfs);
    if (m->off)
        return SQLITE_IOERR_ACCESS;
    const struct sim_node *node = disk_find(m, path);
    *out = node && (flags != SQLITE_ACCESS_EXISTS || node->is_folder || node->size > 0);
    return SQLITE_OK;
}

static int x_full_pathname(sqlite3_vfs *vfs, const char *path, int size, char *out)
{
    (void)vfs;
    int n = snprintf(out, (size_t)size, "%s", path);
    return n < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int x_sleep(sqlite3_vfs *vfs, int microseconds)
{
    sim_advance(machine_of(vfs)->sim, (microseconds + 999) / 1000);
    return microseconds;
}

static int x_time_int64(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
    const struct sim_machine *m = machine_of(vfs);
    *out = JULIAN_MS_OF_1970 + m->sim->now_ms + m->wall_offset_ms;
    return SQLITE_OK;
}

static int x_time(sqlite3_vfs *vfs, double *out)
{
    sqlite3_int64 ms;
    x_time_int64(vfs, &ms);
    *out = (double)ms / 86400000.0;
    return SQLITE_OK;
}

static int x_last_error(sqlite3_vfs *vfs, int size, char *out)
{
    (void)vfs;
    (void)size;
    (void)out;
    return 0;
}

/* The first name that no living machine of this process has. */
static enum err choose_name(struct sim_machine *m)
{
    for (unsigned i = 1; i < 1000000; i++) {
        snprintf(m->vfs_name, sizeof m->vfs_name, "sim-%u", i);
        if (!sqlite3_vfs_find(m->vfs_name))
            return ERR_OK;
    }
    return ERR_LIMIT;
}

enum err sim_vfs_register(struct sim_machine *m)
{
    sqlite3_vfs *vfs = calloc(1, sizeof *vfs);
    if (!vfs)
        return ERR_NOMEM;
    if (sqlite3_initialize() != SQLITE_OK) {
        free(vfs);
        return ERR_NOMEM;
    }
    /* Worlds may live in several threads. */
    sqlite3_mutex *mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_VFS1);
    sqlite3_mutex_enter(mutex);
    enum err rc = choose_name(m);
    *vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = sizeof(struct vfs_file),
        .mxPathname = 1000,
        .zName = m->vfs_name,
        .pAppData = m,
        .xOpen = x_open,
        .xDelete = x_delete,
        .xAccess = x_access,
        .xFullPathname = x_full_pathname,
        .xRandomness = x_random,
        .xSleep = x_sleep,
        .xCurrentTime = x_time,
        .xGetLastError = x_last_error,
        .xCurrentTimeInt64 = x_time_int64,
    };
    if (!rc && sqlite3_vfs_register(vfs, 0) != SQLITE_OK)
        rc = ERR_NOMEM;
    sqlite3_mutex_leave(mutex);
    if (rc) {
        free(vfs);
        return rc;
    }
    m->vfs = vfs;
    return ERR_OK;
}

void sim_vfs_unregister(struct sim_machine *m)
{
    if (m->vfs)
        sqlite3_vfs_unregister(m->vfs);
    free(m->vfs);
    m->vfs = NULL;
}

/* SQLite draws WAL salts from a generator of the whole process, seeded by the system; with a seed of ours the
 * same run writes the same bytes. */
void sim_vfs_seed(uint64_t seed)
{
    int short_seed = (int)(seed % 2147483646u) + 1; /* 0 would mean: from the system */
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, short_seed, (sqlite3 *)NULL);
}
