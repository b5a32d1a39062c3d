/* A disk that can lose power: bytes and names as programs see them, beside those that are safe.
 *
 * Every call passes the gate first, which counts it, fails it on order, and decides whether the power goes in
 * it. When the power goes in a writing operation, the operation has happened, unsynced, and then its luck is
 * rolled with all the rest; in a sync it may have happened or not. */
#include <stdlib.h>

#include "platform/sim/sim_internal.h"

#define PATH_LENGTH_MAX 1024
#define SECTORS(n) (((n) + SECTOR - 1) / SECTOR)

/* ---- the gate ---- */

static enum err gate(struct sim_machine *m, bool writing, bool *cut_out)
{
    *cut_out = false;
    if (m->off)
        return ERR_IO;
    m->operations++;
    if (writing) {
        m->writing++;
        *cut_out = m->cut_in > 0 && --m->cut_in == 0;
    }
    if (m->fail_in > 0 && --m->fail_in == 0) {
        m->fail_in = m->fail_for_good;
        return m->fail_cause;
    }
    return ERR_OK;
}

static enum err leave(struct sim_machine *m, bool cut, enum err rc)
{
    if (!cut)
        return rc;
    sim_power_cut(m);
    return ERR_IO;
}

/* ---- names ---- */

/* Without "./" in front, doubled slashes and a slash at the end. */
static enum err clean_path(const char *path, char out[static PATH_LENGTH_MAX])
{
    size_t n = 0;
    while (path[0] == '.' && path[1] == '/')
        path += 2;
    for (; *path; path++) {
        if (*path == '/' && n > 0 && out[n - 1] == '/')
            continue;
        if (n == PATH_LENGTH_MAX - 1)
            return ERR_LIMIT;
        out[n++] = *path;
    }
    while (n > 1 && out[n - 1] == '/')
        n--;
    out[n] = '\0';
    return n > 0 ? ERR_OK : ERR_USAGE;
}

static struct str parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return (struct str){path, slash ? (size_t)(slash - path) : 0};
}

static struct sim_name *names_find(const struct sim_names *names, struct str path)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (str_eq(str_of(names->at[i].path), path))
            return &names->at[i];
    }
    return NULL;
}

static char *copy_text(const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    CHECK(!text || copy); /* the simulation itself must not run out of memory */
    return copy;
}

static void names_set(struct sim_names *names, const char *path, struct sim_node *node)
{
    struct sim_name *there = names_find(names, str_of(path));
    if (there) {
        there->node = node;
        return;
    }
    if (names->count == names->room) {
        names->room = names->room ? names->room * 2 : 16;
        names->at = realloc(names->at, names->room * sizeof *names->at);
        CHECK(names->at);
    }
    names->at[names->count++] = (struct sim_name){copy_text(path), node};
}

static void names_remove(struct sim_names *names, const char *path)
{
    struct sim_name *there = names_find(names, str_of(path));
    if (!there)
        return;
    free(there->path);
    *there = names->at[--names->count];
}

static void names_free(struct sim_names *names)
{
    for (uint32_t i = 0; i < names->count; i++)
        free(names->at[i].path);
    free(names->at);
    *names = (struct sim_names){0};
}

static void pending_add(struct sim_disk *k, const char *from, const char *to, struct sim_node *node)
{
    if (k->pending_count == k->pending_room) {
        k->pending_room = k->pending_room ? k->pending_room * 2 : 16;
        k->pending = realloc(k->pending, k->pending_room * sizeof *k->pending);
        CHECK(k->pending);
    }
    k->pending[k->pending_count++] = (struct sim_pending){copy_text(from), copy_text(to), node};
}

static void pending_drop(struct sim_disk *k, uint32_t count)
{
    if (count == 0)
        return;
    for (uint32_t i = 0; i < count; i++) {
        free(k->pending[i].from);
        free(k->pending[i].to);
    }
    k->pending_count -= count;
    memmove(k->pending, k->pending + count, k->pending_count * sizeof *k->pending);
}

/* The first `count` operations on names become safe. */
static void pending_keep(struct sim_disk *k, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct sim_pending *p = &k->pending[i];
        if (p->from)
            names_remove(&k->kept, p->from);
        if (p->to)
            names_set(&k->kept, p->to, p->node);
    }
    pending_drop(k, count);
}

/* ---- nodes ---- */

static struct sim_node *node_new(struct sim_disk *k, bool is_folder)
{
    struct sim_node *node = calloc(1, sizeof *node);
    CHECK(node);
    node->is_folder = is_folder;
    node->next = k->nodes;
    k->nodes = node;
    return node;
}

static void node_free(struct sim_node *node)
{
    free(node->bytes);
    free(node->kept);
    free(node->dirty);
    free(node);
}

/* Frees what nothing names or holds open any more. */
static void tidy(struct sim_disk *k)
{
    for (struct sim_node *node = k->nodes; node; node = node->next)
        node->reachable = node->handles > 0;
    for (uint32_t i = 0; i < k->names.count; i++)
        k->names.at[i].node->reachable = true;
    for (uint32_t i = 0; i < k->kept.count; i++)
        k->kept.at[i].node->reachable = true;
    for (uint32_t i = 0; i < k->pending_count; i++)
        k->pending[i].node->reachable = true;
    for (struct sim_node **link = &k->nodes; *link;) {
        struct sim_node *node = *link;
        if (node->reachable) {
            link = &node->next;
            continue;
        }
        *link = node->next;
        node_free(node);
    }
}

static void *grow_zeroed(void *p, size_t old, size_t size)
{
    unsigned char *grown = realloc(p, size);
    CHECK(grown);
    memset(grown + old, 0, size - old);
    return grown;
}

static void node_room(struct sim_node *node, size_t size)
{
    if (size <= node->room)
        return;
    size_t room = node->room ? node->room : 8 * SECTOR;
    while (room < size)
        room *= 2;
    node->bytes = grow_zeroed(node->bytes, node->room, room);
    node->kept = grow_zeroed(node->kept, node->room, room);
    node->dirty = grow_zeroed(node->dirty, node->room / SECTOR, room / SECTOR);
    node->room = room;
}

static void mark_dirty(struct sim_node *node, size_t from, size_t to)
{
    if (from < to)
        memset(node->dirty + from / SECTOR, 1, SECTORS(to) - from / SECTOR);
}

/* Bytes behind the size stay zero, so that a file which grows again shows zeros. */
static void node_resize(struct sim_node *node, size_t size)
{
    node_room(node, size);
    if (size < node->size)
        memset(node->bytes + size, 0, node->size - size);
    else
        mark_dirty(node, node->size, size);
    node->size = size;
}

static void node_sync(struct sim_node *node)
{
    for (size_t i = 0; i < SECTORS(node->size); i++) {
        if (node->dirty[i])
            memcpy(node->kept + i * SECTOR, node->bytes + i * SECTOR, SECTOR);
    }
    node->kept_size = node->size;
}

static void node_clean(struct sim_node *node)
{
    if (node->room)
        memset(node->dirty, 0, node->room / SECTOR);
}

/* Sectors that were never written before may show anything, or zeros. */
static void fill_unwritten(struct sim_node *node, struct dice *dice)
{
    bool garbage = dice_chance(dice, 250);
    if (node->room > node->kept_size)
        memset(node->kept + node->kept_size, 0, node->room - node->kept_size);
    for (size_t i = SECTORS(node->kept_size); garbage && i < SECTORS(node->size); i++) {
        for (size_t k = 0; k < SECTOR; k++)
            node->kept[i * SECTOR + k] = (unsigned char)dice_roll(dice);
    }
}

/* The power is gone: rolls what is left of one file. */
static void node_settle(struct sim_node *node, struct dice *dice)
{
    size_t small = node->size < node->kept_size ? node->size : node->kept_size;
    size_t large = node->size < node->kept_size ? node->kept_size : node->size;
    size_t sizes[] = {node->size, node->kept_size, small + (size_t)dice_below(dice, large - small + 1)};
    size_t size = sizes[dice_below(dice, 3)];
    fill_unwritten(node, dice);
    for (size_t i = 0; i < SECTORS(node->size); i++) {
        if (!node->dirty[i])
            continue;
        size_t n = (size_t[]){0, SECTOR, (size_t)dice_below(dice, SECTOR)}[dice_below(dice, 3)];
        memcpy(node->kept + i * SECTOR, node->bytes + i * SECTOR, n);
    }
    if (node->room > size)
        memset(node->kept + size, 0, node->room - size);
    node->kept_size = node->size = size;
    if (node->room)
        memcpy(node->bytes, node->kept, node->room);
    node_clean(node);
}

/* ---- open files ---- */

static struct sim_shared *shared_take(struct sim_node *node)
{
    if (!node->shared) {
        node->shared = calloc(1, sizeof *node->shared);
        CHECK(node->shared);
    }
    node->shared->holders++;
    return node->shared;
}

static void shared_drop(struct sim_node *node, struct sim_shared *shared)
{
    if (--shared->holders > 0)
        return;
    if (node->shared == shared)
        node->shared = NULL;
    for (uint32_t i = 0; i < shared->region_count; i++)
        free(shared->regions[i]);
    free(shared->regions);
    free(shared);
}

static bool folder_exists(const struct sim_disk *k, struct str path)
{
    const struct sim_name *name = path.n ? names_find(&k->names, path) : NULL;
    return path.n == 0 || (name && name->node->is_folder);
}

enum err disk_open(struct sim_machine *m, const char *path, unsigned flags, struct sim_handle *out,
                   bool *created_out)
{
    char clean[PATH_LENGTH_MAX];
    bool cut;
    enum err rc = clean_path(path, clean);
    if (rc)
        return rc;
    struct sim_name *name = names_find(&m->disk.names, str_of(clean));
    bool create = !name && (flags & SIM_CREATE) && folder_exists(&m->disk, parent_of(clean));
    rc = gate(m, create, &cut);
    if (rc)
        return leave(m, cut, rc);
    if (name && (flags & SIM_EXCLUSIVE))
        return ERR_EXISTS;
    if (name && name->node->is_folder)
        return ERR_USAGE;
    if (!name && !create)
        return ERR_NOT_FOUND;
    struct sim_node *node = name ? name->node : node_new(&m->disk, false);
    if (create) {
        names_set(&m->disk.names, clean, node);
        pending_add(&m->disk, NULL, clean, node);
    }
    if (cut)
        return leave(m, cut, ERR_IO);
    node->handles++;
    *out = (struct sim_handle){m, node, shared_take(node), m->life};
    if (created_out)
        *created_out = create;
    return ERR_OK;
}

void disk_close(struct sim_handle *h)
{
    if (!h->node)
        return;
    shared_drop(h->node, h->shared);
    h->node->handles--;
    tidy(&h->machine->disk);
    *h = (struct sim_handle){0};
}

bool disk_handle_alive(const struct sim_handle *h)
{
    return !h->machine->off && h->life == h->machine->life;
}

enum err disk_read(struct sim_handle *h, uint64_t at, void *out, size_t n, size_t *got_out)
{
    bool cut;
    if (!disk_handle_alive(h))
        return ERR_IO;
    enum err rc = gate(h->machine, false, &cut);
    if (rc)
        return rc;
    size_t left = at < h->node->size ? h->node->size - (size_t)at : 0;
    if (n > left)
        n = left;
    if (n)
        memcpy(out, h->node->bytes + at, n);
    *got_out = n;
    return ERR_OK;
}

static bool has_name(const struct sim_disk *k, const struct sim_node *node)
{
    uint32_t i = 0;
    while (i < k->names.count && k->names.at[i].node != node)
        i++;
    return i < k->names.count;
}

/* What has a name or is held open. */
uint64_t disk_used(const struct sim_disk *k)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < k->names.count; i++)
        used += (uint64_t)SECTORS(k->names.at[i].node->size) * SECTOR;
    for (const struct sim_node *node = k->nodes; node; node = node->next)
        used += node->handles > 0 && !has_name(k, node) ? (uint64_t)SECTORS(node->size) * SECTOR : 0;
    return used;
}

/* How large the file may become, when it wants to be `size`. */
static size_t allowed_size(const struct sim_disk *k, const struct sim_node *node, uint64_t size)
{
    if (SECTORS(size) <= SECTORS(node->size))
        return (size_t)size;
    uint64_t others = disk_used(k) - (uint64_t)SECTORS(node->size) * SECTOR;
    uint64_t left = k->size_max > others ? (k->size_max - others) / SECTOR * SECTOR : 0;
    if (left < node->size)
        left = node->size;
    return (size_t)(size < left ? size : left);
}

enum err disk_write(struct sim_handle *h, uint64_t at, const void *p, size_t n)
{
    bool cut;
    if (!disk_handle_alive(h))
        return ERR_IO;
    struct sim_machine *m = h->machine;
    enum err rc = gate(m, true, &cut);
    if (rc)
        n = (size_t)dice_below(&m->misfortune, n + 1);
    size_t end = allowed_size(&m->disk, h->node, at + n);
    if (!rc && end < at + n)
        rc = ERR_FULL;
    n = end > at ? (end - (size_t)at < n ? end - (size_t)at : n) : 0;
    if (n) {
        if (at + n > h->node->size)
            node_resize(h->node, (size_t)at + n);
        memcpy(h->node->bytes + at, p, n);
        mark_dirty(h->node, (size_t)at, (size_t)at + n);
    }
    return leave(m, cut, rc);
}

enum err disk_truncate(struct sim_handle *h, uint64_t size)
{
    bool cut;
    if (!disk_handle_alive(h))
        return ERR_IO;
    enum err rc = gate(h->machine, true, &cut);
    if (!rc && allowed_size(&h->machine->disk, h->node, size) < size)
        rc = ERR_FULL;
    if (!rc)
        node_resize(h->node, (size_t)size);
    return leave(h->machine, cut, rc);
}

enum err disk_sync(struct sim_handle *h)
{
    bool cut;
    if (!disk_handle_alive(h))
        return ERR_IO;
    struct sim_machine *m = h->machine;
    enum err rc = gate(m, true, &cut);
    bool happens = (!cut || dice_chance(&m->misfortune, 500)) && !rc;
    bool forgets = rc && dice_chance(&m->misfortune, 500);
    if (happens)
        node_sync(h->node);
    if (happens || forgets)
        node_clean(h->node);
    return leave(m, cut, rc);
}

enum err disk_size(struct sim_handle *h, uint64_t *out)
{
    bool cut;
    if (!disk_handle_alive(h))
        return ERR_IO;
    enum err rc = gate(h->machine, false, &cut);
    if (!rc)
        *out = h->node->size;
    return rc;
}

/* ---- operations on names ---- */

const struct sim_node *disk_find(const struct sim_machine *m, const char *path)
{
    char clean[PATH_LENGTH_MAX];
    if (clean_path(path, clean))
        return NULL;
    const struct sim_name *name = names_find(&m->disk.names, str_of(clean));
    return name ? name->node : NULL;
}

enum err disk_remove(struct sim_machine *m, const char *path)
{
    char clean[PATH_LENGTH_MAX];
    bool cut;
    enum err rc = clean_path(path, clean);
    const struct sim_name *name = rc ? NULL : names_find(&m->disk.names, str_of(clean));
    if (m->off)
        return ERR_IO;
    if (!name)
        return ERR_NOT_FOUND;
    if (name->node->is_folder)
        return ERR_USAGE;
    rc = gate(m, true, &cut);
    if (!rc) {
        pending_add(&m->disk, clean, NULL, name->node);
        names_remove(&m->disk.names, clean);
    }
    return leave(m, cut, rc);
}

enum err disk_rename(struct sim_machine *m, const char *from, const char *to)
{
    char clean_from[PATH_LENGTH_MAX], clean_to[PATH_LENGTH_MAX];
    bool cut;
    enum err rc = clean_path(from, clean_from);
    if (!rc)
        rc = clean_path(to, clean_to);
    if (rc)
        return rc;
    rc = gate(m, true, &cut);
    if (!rc) {
        const struct sim_name *name = names_find(&m->disk.names, str_of(clean_from));
        const struct sim_name *target = names_find(&m->disk.names, str_of(clean_to));
        if (!name || !folder_exists(&m->disk, parent_of(clean_to)))
            rc = ERR_NOT_FOUND;
        else if (target && target->node->is_folder)
            rc = ERR_USAGE;
    }
    if (!rc) {
        struct sim_node *node = names_find(&m->disk.names, str_of(clean_from))->node;
        pending_add(&m->disk, clean_from, clean_to, node);
        names_remove(&m->disk.names, clean_from);
        names_set(&m->disk.names, clean_to, node);
    }
    return leave(m, cut, rc);
}

enum err disk_make_folder(struct sim_machine *m, const char *path)
{
    char clean[PATH_LENGTH_MAX];
    bool cut;
    enum err rc = clean_path(path, clean);
    if (rc)
        return rc;
    rc = gate(m, true, &cut);
    if (!rc && names_find(&m->disk.names, str_of(clean)))
        rc = ERR_EXISTS;
    if (!rc && !folder_exists(&m->disk, parent_of(clean)))
        rc = ERR_NOT_FOUND;
    if (!rc) {
        struct sim_node *node = node_new(&m->disk, true);
        names_set(&m->disk.names, clean, node);
        pending_add(&m->disk, NULL, clean, node);
    }
    return leave(m, cut, rc);
}

static bool pending_in(const struct sim_pending *p, struct str folder)
{
    return (p->from && str_eq(parent_of(p->from), folder)) || (p->to && str_eq(parent_of(p->to), folder));
}

enum err disk_sync_names(struct sim_machine *m, const char *path)
{
    char clean[PATH_LENGTH_MAX];
    bool cut;
    enum err rc = clean_path(path, clean);
    if (rc)
        return rc;
    rc = gate(m, true, &cut);
    if (!rc && (!cut || dice_chance(&m->misfortune, 500))) {
        uint32_t count = m->disk.pending_count;
        while (count > 0 && !pending_in(&m->disk.pending[count - 1], parent_of(clean)))
            count--;
        pending_keep(&m->disk, count);
        tidy(&m->disk);
    }
    return leave(m, cut, rc);
}

/* ---- the end of a life ---- */

void disk_lose_power(struct sim_machine *m)
{
    struct sim_disk *k = &m->disk;
    pending_keep(k, (uint32_t)dice_below(&m->misfortune, (uint64_t)k->pending_count + 1));
    pending_drop(k, k->pending_count);
    names_free(&k->names);
    for (uint32_t i = 0; i < k->kept.count; i++)
        names_set(&k->names, k->kept.at[i].path, k->kept.at[i].node);
    tidy(k);
    for (struct sim_node *node = k->nodes; node; node = node->next) {
        if (!node->is_folder)
            node_settle(node, &m->misfortune);
    }
}

void disk_copy(struct sim_disk *to, const struct sim_disk *from)
{
    struct sim_disk copy = {.size_max = to->size_max};
    for (uint32_t i = 0; i < from->names.count; i++) {
        const struct sim_node *there = from->names.at[i].node;
        struct sim_node *node = node_new(&copy, there->is_folder);
        if (there->size) {
            node_resize(node, there->size);
            memcpy(node->bytes, there->bytes, there->size);
            node_sync(node);
            node_clean(node);
        }
        names_set(&copy.names, from->names.at[i].path, node);
        names_set(&copy.kept, from->names.at[i].path, node);
    }
    disk_free(to);
    *to = copy;
}

/* Dead handles keep what they share among themselves; the living begin anew. */
void disk_forget_process(struct sim_machine *m)
{
    for (struct sim_node *node = m->disk.nodes; node; node = node->next)
        node->shared = NULL;
}

void disk_free(struct sim_disk *k)
{
    names_free(&k->names);
    names_free(&k->kept);
    pending_drop(k, k->pending_count);
    free(k->pending);
    while (k->nodes) {
        struct sim_node *node = k->nodes;
        k->nodes = node->next;
        CHECK(node->handles == 0); /* databases and files are closed before their world ends */
        node_free(node);
    }
    *k = (struct sim_disk){0};
}
