/* What the parts of the simulation know of each other: the structs of world and machine, and the disk's own
 * calls, which the seam's file calls (sim.c) and the SQLite VFS (db_vfs_sim.c) stand on. */
#ifndef DOORSTEP_SIM_INTERNAL_H
#define DOORSTEP_SIM_INTERNAL_H

#include "platform/sim/sim.h"

/* ---- dice: splitmix64, one stream per purpose, so that one more file write does not change the weather ----
 */

struct dice {
    uint64_t state;
};

uint64_t dice_roll(struct dice *d);
uint64_t dice_below(struct dice *d, uint64_t bound); /* bound > 0 */
bool dice_chance(struct dice *d, uint32_t per_mille);
struct dice dice_fork(const struct dice *d, uint64_t purpose);

/* ---- disk ---- */

#define SECTOR 512

/* What the programs of one life of the process share about a file; gone with the last of them. */
struct sim_shared {
    uint32_t holders;
    uint32_t shared_locks; /* database file locks, as SQLite names them */
    const void *reserved, *pending, *exclusive;
    unsigned char **regions; /* shared memory */
    uint32_t region_count;
    uint32_t shm_users;
    uint32_t shm_shared[8];
    const void *shm_exclusive[8];
};

/* A file or folder without its name. Invariant: outside dirty sectors, and below both sizes, bytes equals
 * kept, unless a failed sync forgot them. */
struct sim_node {
    struct sim_node *next; /* all nodes of a disk */
    bool is_folder;
    bool reachable; /* scratch for tidying */
    uint32_t handles;
    struct sim_shared *shared;
    unsigned char *bytes; /* what programs see */
    size_t size;
    unsigned char *kept; /* what a power cut leaves at least */
    size_t kept_size;
    unsigned char *dirty; /* one per sector */
    size_t room;          /* of bytes and kept; a multiple of SECTOR */
};

struct sim_name {
    char *path;
    struct sim_node *node;
};

struct sim_names {
    struct sim_name *at;
    uint32_t count, room;
};

/* An operation on names that no folder sync has made safe yet. */
struct sim_pending {
    char *from; /* NULL when made */
    char *to;   /* NULL when removed */
    struct sim_node *node;
};

struct sim_disk {
    struct sim_node *nodes;
    struct sim_names names; /* as programs see them */
    struct sim_names kept;  /* as a power cut leaves them at least */
    struct sim_pending *pending;
    uint32_t pending_count, pending_room;
    uint64_t size_max;
};

/* ---- world and machine ---- */

struct sim_listener {
    struct sim_machine *machine;
    char *host;
    void *self;
    void (*handle)(void *self, const struct http_request *request, struct arena *a, struct http_reply *reply);
};

#define SIM_LATE_MAX 64 /* duplicates held back at once; the oldest is delivered when another one comes */

struct sim_late {
    struct http_request request; /* texts live in the arena */
    struct arena arena;
    uint32_t listener;
};

struct sim {
    int64_t now_ms;
    uint64_t seed;
    struct dice driver;
    struct dice net;
    struct sim_machine *machines; /* newest first */
    uint32_t machine_count;
    struct sim_listener *listeners;
    uint32_t listener_count;
    struct sim_net_faults faults;
    struct sim_late late[SIM_LATE_MAX];
    uint32_t late_count;
    struct sim_net_counts counts;
};

struct sim_machine {
    struct sim *sim;
    struct sim_machine *next;
    struct seam seam;
    char vfs_name[32];
    void *vfs;              /* sqlite3_vfs */
    struct dice random;     /* what the machine's programs draw from */
    struct dice misfortune; /* what happens to its disk */
    int64_t wall_offset_ms;
    bool off;
    bool cut_off;  /* from the network */
    uint32_t life; /* handles of earlier lives are dead */
    struct sim_disk disk;
    uint64_t operations, writing;
    uint64_t cut_in; /* writing operations until the power goes; 0 = never */
    uint64_t fail_in;
    enum err fail_cause;
    bool fail_for_good;
    uint64_t log_counts[LOG_EVENT_COUNT];
};

/* An open file. */
struct sim_handle {
    struct sim_machine *machine;
    struct sim_node *node;
    struct sim_shared *shared;
    uint32_t life;
};

enum sim_open_flags { SIM_CREATE = 1, SIM_EXCLUSIVE = 2 };

enum err disk_open(struct sim_machine *m, const char *path, unsigned flags, struct sim_handle *out,
                   bool *created_out);
void disk_close(struct sim_handle *h); /* accepts a zeroed handle */
bool disk_handle_alive(const struct sim_handle *h);
enum err disk_read(struct sim_handle *h, uint64_t at, void *out, size_t n, size_t *got_out);
enum err disk_write(struct sim_handle *h, uint64_t at, const void *p, size_t n);
enum err disk_truncate(struct sim_handle *h, uint64_t size);
enum err disk_sync(struct sim_handle *h);
enum err disk_size(struct sim_handle *h, uint64_t *out);
enum err disk_remove(struct sim_machine *m, const char *path);
enum err disk_rename(struct sim_machine *m, const char *from, const char *to);
enum err disk_make_folder(struct sim_machine *m, const char *path);
/* Makes the names in the folder that holds `path` safe. */
enum err disk_sync_names(struct sim_machine *m, const char *path);
const struct sim_node *disk_find(const struct sim_machine *m,
                                 const char *path); /* no operation; NULL = absent */
void disk_lose_power(struct sim_machine *m);
void disk_forget_process(struct sim_machine *m);
/* `to` becomes what programs see in `from`, all of it safe; its own files are gone, none of them is open. */
void disk_copy(struct sim_disk *to, const struct sim_disk *from);
void disk_free(struct sim_disk *k);
uint64_t disk_used(const struct sim_disk *k);

enum err net_exchange(struct sim_machine *m, const struct http_request *request, struct arena *a,
                      struct http_reply *reply_out, struct diag *d);
void net_free(struct sim *s);

/* db_vfs_sim.c */
enum err sim_vfs_register(struct sim_machine *m) MUST_USE; /* sets vfs and vfs_name */
void sim_vfs_unregister(struct sim_machine *m);
void sim_vfs_seed(uint64_t seed); /* SQLite's own generator, for reproducible files */

#endif
