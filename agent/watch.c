/* See watch.h. What is waited for, in one poll: signals, a timer that counts while the device sleeps, changes
 * of the network, and writes to the store by others. loop.c decides what follows. */
#include "agent/watch.h"

#include "agent/attach.h"
#include "agent/loop.h"
#include "platform/posix/posix_netlink.h"
#include "platform/posix/posix_state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum source { SIGNALS, TIMER, NETWORK, STORE, SOURCES };

struct watching {
    struct store *store;
    const struct seam *seam;
    const struct watch_options *o;
    struct watch_stats *stats;
    struct pollfd fds[SOURCES];
    int lock;
    sigset_t before;
    bool masked, stop;
    bool loopback; /* the centre is on this machine: no link is needed */
    struct loop loop;
};

static enum err failed(struct diag *d, const char *what)
{
    return diag_set(d, errno == EMFILE || errno == ENOMEM ? ERR_NOMEM : ERR_IO, "%s: %s", what,
                    strerror(errno));
}

/* ---- opening ---- */

static enum err open_signals(struct watching *w, struct diag *d)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    if (sigprocmask(SIG_BLOCK, &set, &w->before) != 0)
        return failed(d, "signals cannot be held back");
    w->masked = true;
    w->fds[SIGNALS].fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return w->fds[SIGNALS].fd < 0 ? failed(d, "signals cannot be waited for") : ERR_OK;
}

/* CLOCK_BOOTTIME counts while the device sleeps, and does not wake it. */
static enum err open_timer(struct watching *w, struct diag *d)
{
    w->fds[TIMER].fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    return w->fds[TIMER].fd < 0 ? failed(d, "there is no timer") : ERR_OK;
}

static enum err open_store_watch(struct watching *w, struct diag *d)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    w->fds[STORE].fd = fd;
    if (fd < 0 || inotify_add_watch(fd, w->o->data, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
        return failed(d, "the data directory cannot be watched");
    return ERR_OK;
}

static enum err open_lock(struct watching *w, struct diag *d)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/watch.lock", w->o->data);
    w->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (w->lock < 0)
        return failed(d, "the lock file cannot be made");
    if (flock(w->lock, LOCK_EX | LOCK_NB) == 0)
        return ERR_OK;
    return diag_set(d, ERR_BUSY, "another process syncs this device in the background already");
}

static bool is_loopback(struct str url)
{
    static const char *const hosts[] = {"http://127.",  "http://localhost",  "http://[::1]",
                                        "https://127.", "https://localhost", "https://[::1]"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (str_starts(url, str_of(hosts[i])))
            return true;
    return false;
}

static enum err open_all(struct watching *w, struct diag *d)
{
    uint64_t seed = 0;
    struct diag quiet = {0};
    enum err rc = open_lock(w, d);
    if (!rc)
        rc = open_signals(w, d);
    if (!rc)
        rc = open_timer(w, d);
    if (!rc)
        rc = open_store_watch(w, d);
    if (!rc)
        rc = w->seam->random(w->seam->self, &seed, sizeof seed);
    bool known = net_watch_open(&w->fds[NETWORK].fd, &quiet) == ERR_OK;
    w->loopback = is_loopback(store_identity(w->store)->url);
    loop_init(&w->loop, w->seam->mono_ms(w->seam->self), known && !w->loopback, net_is_up(), seed);
    return rc;
}

static void close_all(struct watching *w)
{
    for (int i = 0; i < SOURCES; i++)
        if (w->fds[i].fd >= 0)
            close(w->fds[i].fd);
    if (w->lock >= 0)
        close(w->lock);
    if (w->masked)
        (void)sigprocmask(SIG_SETMASK, &w->before, NULL);
}

/* ---- what was noticed ---- */

static void take_signals(struct watching *w)
{
    struct signalfd_siginfo one;
    while (read(w->fds[SIGNALS].fd, &one, sizeof one) == (ssize_t)sizeof one) {
        if (one.ssi_signo == SIGUSR1) {
            w->stats->asked++;
            loop_asked(&w->loop);
        } else {
            w->stop = true;
        }
    }
}

static void tell(struct watching *w, const struct deliver_result *result, enum err rc, const char *why)
{
    if (w->o->told)
        w->o->told(w->o->self, w->loop.link, result, rc, why);
}

static void take_network(struct watching *w)
{
    bool before = w->loop.link;
    if (!net_watch_drain(w->fds[NETWORK].fd))
        return;
    w->stats->link_changes++;
    loop_link(&w->loop, w->loopback || net_is_up());
    if (w->loop.link != before)
        tell(w, NULL, ERR_OK, "");
}

/* True when the log of the database was written to. */
static bool drain_store(const struct watching *w)
{
    _Alignas(struct inotify_event) char bytes[4096];
    bool written = false;
    ssize_t n;
    while ((n = read(w->fds[STORE].fd, bytes, sizeof bytes)) > 0) {
        for (ssize_t at = 0; at < n;) {
            struct inotify_event e;
            memcpy(&e, bytes + at, sizeof e);
            const char *name = bytes + at + sizeof e;
            written = written || (e.mask & IN_Q_OVERFLOW) ||
                      (e.len > 0 && strcmp(name, "device.db-wal") == 0);
            at += (ssize_t)(sizeof e + e.len);
        }
    }
    return written;
}

static void wait_for(struct watching *w, int64_t until_ms)
{
    struct itimerspec timer = {0};
    uint64_t expired;
    if (until_ms != LOOP_FOREVER) {
        int64_t ms = until_ms > 0 ? until_ms : 1;
        timer.it_value = (struct timespec){.tv_sec = (time_t)(ms / 1000),
                                           .tv_nsec = (long)(ms % 1000) * 1000000};
    }
    (void)timerfd_settime(w->fds[TIMER].fd, TFD_TIMER_ABSTIME, &timer, NULL);
    (void)poll(w->fds, SOURCES, -1);
    w->stats->wakeups++;
    loop_time(&w->loop, w->seam->mono_ms(w->seam->self));
    if (w->fds[TIMER].revents)
        (void)!read(w->fds[TIMER].fd, &expired, sizeof expired);
    take_signals(w);
    if (w->fds[NETWORK].fd >= 0)
        take_network(w);
    if (drain_store(w))
        loop_changed(&w->loop);
}

/* ---- what follows ---- */

static bool is_waiting(struct watching *w)
{
    struct store_status st = {0};
    struct attach_status files = {0};
    struct diag quiet = {0};
    struct arena a;
    arena_init(&a, 1u << 20);
    enum err rc = store_status(w->store, &a, &st, &quiet);
    if (!rc && !w->o->metered)
        rc = attach_status(w->store, &files, &quiet);
    arena_free(&a);
    return rc || st.finalised_unsent + st.frames_waiting + files.waiting > 0; /* a run tells what is wrong */
}

static bool stop_asked(void *self)
{
    sigset_t pending;
    (void)self;
    return sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT));
}

static void run_progress(void *self, const struct deliver_progress *p)
{
    const struct watching *w = self;
    if (w->o->progress)
        w->o->progress(w->o->self, p);
}

struct device_report device_state(const char *folder)
{
    return (struct device_report){.battery = device_battery_level(posix_battery_percent()),
                                  .free_mb = posix_free_mb(folder)};
}

static void run(struct watching *w)
{
    const struct device_report state = device_state(w->o->data);
    struct deliver_result result = {0};
    struct diag said = {0};
    const struct deliver_options o = {.bytes_max = w->o->bytes_max,
                                      .tries_max = 1,
                                      .state = &state,
                                      .self = w,
                                      .stop = stop_asked,
                                      .progress = run_progress};
    enum err rc = store_refresh(w->store, &said);
    if (!rc)
        rc = deliver(w->store, w->seam, &o, &result, &said);
    w->stats->runs++;
    w->stats->runs_failed += rc != ERR_OK;
    loop_time(&w->loop, w->seam->mono_ms(w->seam->self));
    /* Our own writes are no news; what others wrote meanwhile is. */
    (void)drain_store(w);
    loop_ran(&w->loop, rc, is_waiting(w));
    tell(w, &result, rc, said.text);
}

enum err watch(struct store *s, const struct seam *seam, const struct watch_options *o,
               struct watch_stats *stats_out, struct diag *d)
{
    struct watching w = {.store = s, .seam = seam, .o = o, .stats = stats_out, .lock = -1};
    *stats_out = (struct watch_stats){0};
    for (int i = 0; i < SOURCES; i++)
        w.fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    enum err rc = open_all(&w, d);
    while (!rc && !w.stop) {
        struct loop_step step = loop_next(&w.loop);
        switch (step.what) {
        case LOOP_RUN: run(&w); break;
        case LOOP_LOOK:
            w.stats->looks++;
            loop_looked(&w.loop, is_waiting(&w));
            break;
        case LOOP_WAIT: wait_for(&w, step.until_ms); break;
        }
        take_signals(&w);
    }
    close_all(&w);
    return rc;
}
