/* The world and its machines: time, dice, and a seam for each machine that stands on its simulated disk. */
#include <stdlib.h>

#include "platform/sim/sim_internal.h"

#define DISK_MAX_DEFAULT ((uint64_t)256 << 20)
#define WALL_MS_DEFAULT 1794016800000 /* 2026-11-07T02:00Z */

/* ---- dice ---- */

uint64_t dice_roll(struct dice *d)
{
    uint64_t z = d->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* Not quite even for huge bounds, which nobody here asks for. */
uint64_t dice_below(struct dice *d, uint64_t bound)
{
    CHECK(bound > 0);
    return dice_roll(d) % bound;
}

bool dice_chance(struct dice *d, uint32_t per_mille)
{
    return dice_below(d, 1000) < per_mille;
}

struct dice dice_fork(const struct dice *d, uint64_t purpose)
{
    struct dice mixed = {d->state ^ purpose * 0xD6E8FEB86659FD93u};
    return (struct dice){dice_roll(&mixed)};
}

/* ---- world ---- */

enum err sim_open(uint64_t seed, struct sim **sim_out, struct diag *d)
{
    struct sim *s = calloc(1, sizeof *s);
    if (!s)
        return diag_set(d, ERR_NOMEM, "Not enough memory for a simulated world.");
    struct dice root = {seed};
    s->seed = dice_roll(&root);
    s->driver = dice_fork(&root, 1);
    s->net = dice_fork(&root, 2);
    sim_vfs_seed(s->seed);
    *sim_out = s;
    return ERR_OK;
}

void sim_close(struct sim *s)
{
    if (!s)
        return;
    net_free(s);
    while (s->machines) {
        struct sim_machine *m = s->machines;
        s->machines = m->next;
        sim_vfs_unregister(m);
        disk_free(&m->disk);
        free(m);
    }
    free(s);
}

int64_t sim_now_ms(const struct sim *s)
{
    return s->now_ms;
}

void sim_advance(struct sim *s, int64_t ms)
{
    CHECK(ms >= 0);
    s->now_ms += ms;
}

uint64_t sim_pick(struct sim *s, uint64_t bound)
{
    return dice_below(&s->driver, bound);
}

bool sim_chance(struct sim *s, uint32_t per_mille)
{
    return dice_chance(&s->driver, per_mille);
}

/* ---- the seam of a machine ---- */

static int64_t wall_ms(void *self)
{
    const struct sim_machine *m = self;
    return m->sim->now_ms + m->wall_offset_ms;
}

static int64_t mono_ms(void *self)
{
    const struct sim_machine *m = self;
    return m->sim->now_ms;
}

static void sleep_ms(void *self, int64_t ms)
{
    struct sim_machine *m = self;
    if (ms > 0)
        sim_advance(m->sim, ms);
}

static enum err random_bytes(void *self, void *out, size_t n)
{
    struct sim_machine *m = self;
    unsigned char *p = out;
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)dice_roll(&m->random);
    return ERR_OK;
}

static enum err tell(struct diag *d, enum err code, const char *what, const char *path)
{
    return code ? diag_set(d, code, "%s %s failed (%s). %s", what, path, err_action(code)->name,
                           err_action(code)->todo_en)
                : ERR_OK;
}

static enum err file_read(void *self, const char *path, struct buf *out, struct diag *d)
{
    struct sim_machine *m = self;
    struct sim_handle h = {0};
    char chunk[4096];
    size_t got = sizeof chunk;
    enum err rc = disk_open(m, path, 0, &h, NULL);
    for (uint64_t at = 0; !rc && got == sizeof chunk; at += got) {
        rc = disk_read(&h, at, chunk, sizeof chunk, &got);
        if (!rc) {
            buf_put(out, chunk, got);
            rc = out->failed;
        }
    }
    disk_close(&h);
    return tell(d, rc, "Reading", path);
}

/* The same steps in the same order as platform/posix, so that a cut can fall between any two of them. */
static enum err file_write(void *self, const char *path, struct str bytes, bool secret, struct diag *d)
{
    struct sim_machine *m = self;
    struct sim_handle h = {0};
    struct buf temporary;
    unsigned char random[8];
    const char *slash = strrchr(path, '/');
    (void)secret;
    buf_init(&temporary, 4096);
    (void)random_bytes(m, random, sizeof random);
    buf_put(&temporary, path, slash ? (size_t)(slash - path) + 1 : 0);
    buf_put_z(&temporary, SEAM_TEMPORARY);
    buf_put_hex(&temporary, random, sizeof random);
    enum err rc = temporary.failed;
    if (!rc)
        rc = disk_open(m, temporary.p, SIM_CREATE | SIM_EXCLUSIVE, &h, NULL);
    bool made = !rc;
    if (!rc)
        rc = disk_write(&h, 0, bytes.p, bytes.n);
    if (!rc)
        rc = disk_sync(&h);
    disk_close(&h);
    if (!rc)
        rc = disk_rename(m, temporary.p, path);
    if (made && rc)
        (void)disk_remove(m, temporary.p);
    if (!rc)
        rc = disk_sync_names(m, path);
    buf_free(&temporary);
    return tell(d, rc, "Writing", path);
}

static enum err file_remove(void *self, const char *path)
{
    struct sim_machine *m = self;
    enum err rc = disk_remove(m, path);
    return rc ? rc : disk_sync_names(m, path);
}

static enum err dir_make(void *self, const char *path, struct diag *d)
{
    struct sim_machine *m = self;
    struct buf level;
    enum err rc = ERR_OK;
    buf_init(&level, 4096);
    size_t n = strlen(path);
    for (size_t i = 0; i <= n && !rc; i++) {
        if (i > 0 && (i == n || path[i] == '/') && path[i - 1] != '/' && !str_eq_z(buf_str(&level), ".")) {
            const struct sim_node *there = disk_find(m, buf_str(&level).p);
            if (there && !there->is_folder)
                rc = ERR_EXISTS;
            if (!there)
                rc = disk_make_folder(m, buf_str(&level).p);
            if (!there && !rc)
                rc = disk_sync_names(m, buf_str(&level).p);
        }
        if (i < n && !rc) {
            buf_put_char(&level, path[i]);
            rc = level.failed;
        }
    }
    buf_free(&level);
    return tell(d, rc, "Making the folder", path);
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* The name of `path` inside `folder`, or p NULL when it lies elsewhere. */
static struct str name_inside(struct str path, struct str folder)
{
    if (folder.n > 0) {
        if (!str_starts(path, folder) || path.n <= folder.n + 1 || path.p[folder.n] != '/')
            return STR_NONE;
        path = str_sub(path, folder.n + 1, path.n);
    }
    return str_find(path, STR("/")) < 0 ? path : STR_NONE;
}

static enum err dir_list(void *self, const char *path, struct arena *a, struct str **names_out,
                         uint32_t *count_out)
{
    struct sim_machine *m = self;
    struct str folder = str_of(path);
    VEC(struct str) names = {0};
    if (m->off)
        return ERR_IO;
    while (str_starts(folder, STR("./")))
        folder = str_sub(folder, 2, folder.n);
    while (str_ends(folder, STR("/")))
        folder.n--;
    if (str_eq_z(folder, "."))
        folder.n = 0;
    const struct sim_node *node = folder.n ? disk_find(m, path) : NULL;
    if (folder.n && (!node || !node->is_folder))
        return ERR_NOT_FOUND;
    for (uint32_t i = 0; i < m->disk.names.count; i++) {
        struct str name = name_inside(str_of(m->disk.names.at[i].path), folder);
        if (!name.p || str_starts(name, STR(SEAM_TEMPORARY)))
            continue;
        struct str copy = arena_str(a, name);
        struct str *slot = copy.p ? vec_push(a, &names) : NULL;
        if (!slot)
            return ERR_NOMEM;
        *slot = copy;
    }
    if (names.count > 1)
        qsort(names.at, names.count, sizeof *names.at, by_bytes);
    *names_out = names.at;
    *count_out = names.count;
    return ERR_OK;
}

static enum err http(void *self, const struct http_request *request, struct arena *a,
                     struct http_reply *reply_out, struct diag *d)
{
    return net_exchange(self, request, a, reply_out, d);
}

static void log_event(void *self, enum log_event event, int64_t a, int64_t b, enum err cause)
{
    struct sim_machine *m = self;
    (void)a;
    (void)b;
    (void)cause;
    if ((unsigned)event < LOG_EVENT_COUNT)
        m->log_counts[event]++;
}

/* ---- machines ---- */

enum err sim_machine_add(struct sim *s, const struct sim_machine_options *o, struct sim_machine **machine_out,
                         struct diag *d)
{
    struct sim_machine *m = calloc(1, sizeof *m);
    if (!m)
        return diag_set(d, ERR_NOMEM, "Not enough memory for a simulated machine.");
    struct dice own = {s->seed + s->machine_count};
    m->sim = s;
    m->random = dice_fork(&own, 3);
    m->misfortune = dice_fork(&own, 4);
    m->disk.size_max = o && o->disk_max ? o->disk_max : DISK_MAX_DEFAULT;
    m->wall_offset_ms = (o && o->wall_ms ? o->wall_ms : WALL_MS_DEFAULT) - s->now_ms;
    enum err rc = sim_vfs_register(m);
    if (rc) {
        free(m);
        return diag_set(d, rc, "The simulated disk could not be given to SQLite.");
    }
    m->seam = (struct seam){
        .self = m,
        .vfs = m->vfs_name,
        .wall_ms = wall_ms,
        .mono_ms = mono_ms,
        .sleep_ms = sleep_ms,
        .random = random_bytes,
        .file_read = file_read,
        .file_write = file_write,
        .file_remove = file_remove,
        .dir_make = dir_make,
        .dir_list = dir_list,
        .http = http,
        .log = log_event,
    };
    m->next = s->machines;
    s->machines = m;
    s->machine_count++;
    *machine_out = m;
    return ERR_OK;
}

const struct seam *sim_seam(const struct sim_machine *m)
{
    return &m->seam;
}

void sim_wall_set(struct sim_machine *m, int64_t wall)
{
    m->wall_offset_ms = wall - m->sim->now_ms;
}

uint64_t sim_log_count(const struct sim_machine *m, enum log_event event)
{
    return (unsigned)event < LOG_EVENT_COUNT ? m->log_counts[event] : 0;
}

void sim_power_cut(struct sim_machine *m)
{
    m->cut_in = 0;
    if (m->off)
        return;
    m->off = true;
    m->life++;
    disk_lose_power(m);
    disk_forget_process(m);
}

void sim_cut_after(struct sim_machine *m, uint64_t n)
{
    m->cut_in = n;
}

void sim_kill(struct sim_machine *m)
{
    m->life++;
    disk_forget_process(m);
}

void sim_restart(struct sim_machine *m)
{
    m->off = false;
    m->cut_in = m->fail_in = 0;
    m->fail_for_good = false;
}

bool sim_is_off(const struct sim_machine *m)
{
    return m->off;
}

void sim_fail_at(struct sim_machine *m, uint64_t n, enum err cause, bool for_good)
{
    m->fail_in = n;
    m->fail_cause = cause;
    m->fail_for_good = for_good;
}

void sim_disk_copy(struct sim_machine *to, const struct sim_machine *from)
{
    disk_copy(&to->disk, &from->disk);
}

uint64_t sim_operations(const struct sim_machine *m)
{
    return m->operations;
}

uint64_t sim_writing_operations(const struct sim_machine *m)
{
    return m->writing;
}

uint64_t sim_disk_used(const struct sim_machine *m)
{
    return disk_used(&m->disk);
}

void sim_disk_limit(struct sim_machine *m, uint64_t disk_max)
{
    m->disk.size_max = disk_max;
}
