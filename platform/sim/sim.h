/* A made-up world in one process: time, chance, disks that lose power, a network that loses, doubles and
 * delays.
 *
 * One seed decides everything; the same seed and the same calls give the same run on every machine and in
 * every build. A world (struct sim) holds time, the dice and the network; a machine (struct sim_machine: a
 * handheld, a centre) holds a disk, a wall clock and the seam through which the product sees them. Time moves
 * only when someone sleeps, a request travels, or the driver says so. Not thread-safe; worlds are independent
 * of each other.
 *
 * The disk keeps what programs see apart from what is safe. Bytes become safe by a sync of their file, names
 * (made, renamed, removed) by a sync of their folder. A power cut takes, for each unsynced sector of 512
 * bytes, the new content, the old one, or the new one up to some byte and the old one behind it; an unsynced
 * size is old, new or between; of the unsynced operations on names some first ones survive, as on a
 * journalling file system.
 */
#ifndef DOORSTEP_SIM_H
#define DOORSTEP_SIM_H

#include "platform/seam.h"

struct sim;
struct sim_machine;

/* ---- world ---- */

enum err sim_open(uint64_t seed, struct sim **sim_out, struct diag *d) MUST_USE;
void sim_close(struct sim *s); /* with its machines; their databases must be closed; accepts NULL */

int64_t sim_now_ms(const struct sim *s); /* since the world began */
void sim_advance(struct sim *s, int64_t ms);
/* The driver's own dice, 0 .. bound - 1 (bound > 0). They do not disturb those of disks and network. */
uint64_t sim_pick(struct sim *s, uint64_t bound);
bool sim_chance(struct sim *s, uint32_t per_mille);

/* ---- machines ---- */

struct sim_machine_options {
    uint64_t disk_max; /* bytes; 0 = 256 MiB */
    int64_t wall_ms;   /* what its clock says when the world begins; 0 = 2026-11-07T02:00Z */
};

/* `o` may be NULL. The machine is on, its disk is empty. */
enum err sim_machine_add(struct sim *s, const struct sim_machine_options *o, struct sim_machine **machine_out,
                         struct diag *d) MUST_USE;
/* Its seam; seam.vfs names the SQLite VFS whose files lie on its disk. Lives as long as the world. */
const struct seam *sim_seam(const struct sim_machine *m);
void sim_wall_set(struct sim_machine *m, int64_t wall_ms); /* the clock jumps; mono_ms does not notice */
uint64_t sim_log_count(const struct sim_machine *m, enum log_event event);

/* The power goes, now: unsynced bytes and names are lost as described above, every open file and database
 * fails from here on (close them all the same), and so does everything else on this machine until
 * sim_restart. */
void sim_power_cut(struct sim_machine *m);
/* The power goes in the n-th writing operation from now (1 = the next): write, truncate, sync, make, rename,
 * remove. 0 takes the order back. */
void sim_cut_after(struct sim_machine *m, uint64_t n);
/* The process dies but the machine stays: open files and databases fail, nothing on the disk is lost. */
void sim_kill(struct sim_machine *m);
void sim_restart(struct sim_machine *m); /* on again; takes back what sim_cut_after and sim_fail_at ordered */
bool sim_is_off(const struct sim_machine *m);

/* The n-th operation from now, reading ones included, fails with `cause` (ERR_IO, ERR_FULL or ERR_NOMEM);
 * when `for_good`, all after it too. A failed write may have written a part; a failed sync may have forgotten
 * what it should have written, as Linux does. n = 0 takes the order back. */
void sim_fail_at(struct sim_machine *m, uint64_t n, enum err cause, bool for_good);
uint64_t sim_operations(const struct sim_machine *m);          /* so far, reading ones included */
uint64_t sim_writing_operations(const struct sim_machine *m);  /* so far */
uint64_t sim_disk_used(const struct sim_machine *m);           /* bytes */
void sim_disk_limit(struct sim_machine *m, uint64_t disk_max); /* a card that fills up, or is tidied */
/* A backup, a backup put back, a cloned handheld: the disk of `to` becomes what programs see on the disk of
 * `from` at this moment, all of it safe. No file of `to` is open. */
void sim_disk_copy(struct sim_machine *to, const struct sim_machine *from);

/* ---- network ---- */

/* Chances in thousandths, per exchange. All zero: a perfect network without delay. */
struct sim_net_faults {
    uint16_t lose_request;   /* never arrives */
    uint16_t truncate;       /* cut while the request travels: never carried out, some bytes were sent */
    uint16_t lose_reply;     /* carried out, but the client cannot know */
    uint16_t duplicate;      /* arrives twice at once */
    uint16_t late_duplicate; /* arrives once more during some later exchange, of whomever */
    uint32_t delay_ms_min, delay_ms_max;
};

/* Requests to http://HOST/... or https://HOST/... (any port) are handed to `handle`, as http_serve does: url
 * is path and query, the arena is the request's, the reply's body buf is ready. While the machine is off
 * nobody answers, and what it answers after its power went during the call never arrives. */
enum err sim_net_listen(struct sim_machine *m, const char *host, void *self,
                        void (*handle)(void *self, const struct http_request *request, struct arena *a,
                                       struct http_reply *reply)) MUST_USE;
void sim_net_faults(struct sim *s, const struct sim_net_faults *faults); /* NULL = none */
void sim_net_partition(struct sim_machine *m, bool cut);                 /* its link; both directions */
/* Delivers every late duplicate that is still held back. */
void sim_net_flush(struct sim *s);

struct sim_net_counts {
    uint64_t exchanges, handled, lost_requests, truncated, lost_replies, duplicates, late_duplicates;
    uint64_t bytes_up, bytes_down;
};
struct sim_net_counts sim_net_counts(const struct sim *s);

#endif
