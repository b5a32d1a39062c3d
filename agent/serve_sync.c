/* See serve.h. `doorstep sync --watch` as a process beside this one: it has the store open for itself and
 * holds its write lock for one commit at a time, so the network, however slow, is in nobody's way. It says
 * what it does in lines of JSON; one that dies is started again.
 *
 * Always true: it ends when this process does, however that ends.
 */
#include "agent/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define AGAIN_MS 5000
#define LINE_MAX_BYTES 8192

struct beside {
    struct serving *g;
    int signals, events; /* -1 = none */
    struct buf line;
    bool stop;
};

static enum err failed(struct diag *d, const char *what)
{
    return diag_set(d, ERR_IO, "%s: %s", what, strerror(errno));
}

/* ---- starting and ending it ---- */

/* Between fork and exec: nothing but system calls. SIGUSR1 stays held back until the watch waits for it. */
static void become_watch(const char *data, const int ends[2])
{
    sigset_t none, held;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    sigemptyset(&held);
    sigaddset(&held, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &held, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)dup2(ends[1], STDOUT_FILENO);
    (void)dup2(ends[1], STDERR_FILENO);
    (void)execl("/proc/self/exe", "doorstep", "sync", "--watch", "--json", "--data", data, (char *)NULL);
    _exit(127);
}

static enum err start(struct beside *b, struct diag *d)
{
    char data[sizeof b->g->data];
    int ends[2];
    CHECK(pthread_mutex_lock(&b->g->sync.lock) == 0);
    memcpy(data, b->g->data, sizeof data);
    CHECK(pthread_mutex_unlock(&b->g->sync.lock) == 0);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return failed(d, "no pipe for the sync beside");
    pid_t child = fork();
    if (child == 0)
        become_watch(data, ends);
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return failed(d, "no process for the sync beside");
    }
    b->events = ends[0];
    CHECK(pthread_mutex_lock(&b->g->sync.lock) == 0);
    b->g->sync.child = child;
    CHECK(pthread_mutex_unlock(&b->g->sync.lock) == 0);
    return ERR_OK;
}

static pid_t forget(struct serve_sync *s)
{
    CHECK(pthread_mutex_lock(&s->lock) == 0);
    pid_t child = s->child;
    s->child = 0;
    s->running = false;
    s->again = false;
    CHECK(pthread_mutex_unlock(&s->lock) == 0);
    return child;
}

static void end(struct beside *b, bool kill_it)
{
    pid_t child = forget(&b->g->sync);
    if (b->events >= 0)
        close(b->events);
    b->events = -1;
    if (child > 0 && kill_it)
        (void)kill(child, SIGTERM);
    if (child > 0)
        (void)waitpid(child, NULL, 0);
    buf_clear(&b->line);
}

static void to_child(struct serving *g, int signal_number, bool again)
{
    CHECK(pthread_mutex_lock(&g->sync.lock) == 0);
    g->sync.again = g->sync.again || again;
    if (g->sync.child > 0)
        (void)kill(g->sync.child, signal_number);
    CHECK(pthread_mutex_unlock(&g->sync.lock) == 0);
}

void serve_sync_ask(struct serving *g)
{
    to_child(g, SIGUSR1, false);
}

void serve_sync_anew(struct serving *g)
{
    to_child(g, SIGTERM, true);
}

void serve_sync_folder(struct serving *g, const char *dir)
{
    CHECK(pthread_mutex_lock(&g->sync.lock) == 0);
    snprintf(g->data, sizeof g->data, "%s", dir);
    g->sync.ran = false;
    g->sync.last = STR("");
    CHECK(pthread_mutex_unlock(&g->sync.lock) == 0);
    serve_sync_anew(g);
}

/* ---- what it says ---- */

static void note_line(struct serving *g, struct str line)
{
    struct serve_sync *s = &g->sync;
    struct arena a;
    const struct json *x = NULL;
    struct diag quiet = {0};
    arena_init(&a, 1u << 20);
    if (json_read(&a, line, &x, &quiet) == ERR_OK && x->type == JSON_OBJECT) {
        CHECK(pthread_mutex_lock(&s->lock) == 0);
        if (json_get(x, "link")) {
            s->link_known = true;
            s->link = json_bool(x, "link");
        } else {
            struct str result = json_text(x, "result");
            s->running = result.n == 0;
            if (result.n) {
                s->ran = true;
                s->ran_ms = g->seam->wall_ms(g->seam->self);
                snprintf(s->result, sizeof s->result, "%.*s", STR_ARG(result));
            }
            buf_clear(&s->texts);
            buf_put_str(&s->texts, line);
            s->last = buf_str(&s->texts);
        }
        CHECK(pthread_mutex_unlock(&s->lock) == 0);
    }
    arena_free(&a);
}

/* False: the process beside has ended. */
static bool take_events(struct beside *b)
{
    char bytes[4096];
    ssize_t n = read(b->events, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR)
        return true;
    for (ssize_t i = 0; i < n; i++) {
        if (bytes[i] != '\n') {
            buf_put_char(&b->line, bytes[i]);
            continue;
        }
        if (!b->line.failed)
            note_line(b->g, buf_str(&b->line));
        buf_free(&b->line);
        buf_init(&b->line, LINE_MAX_BYTES);
    }
    return n > 0;
}

/* ---- the main thread ---- */

static enum err open_signals(struct beside *b, struct diag *d)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    b->signals = signalfd(-1, &set, SFD_CLOEXEC);
    return b->signals < 0 ? failed(d, "signals cannot be waited for") : ERR_OK;
}

static bool wanted_anew(struct serve_sync *s)
{
    CHECK(pthread_mutex_lock(&s->lock) == 0);
    bool again = s->again;
    CHECK(pthread_mutex_unlock(&s->lock) == 0);
    return again;
}

static void wait_once(struct beside *b, int timeout_ms)
{
    struct pollfd fds[2] = {{.fd = b->signals, .events = POLLIN}, {.fd = b->events, .events = POLLIN}};
    if (poll(fds, 2, timeout_ms) < 0)
        return;
    b->stop = fds[0].revents != 0;
    if (!b->stop && fds[1].revents && !take_events(b)) {
        bool again = wanted_anew(&b->g->sync);
        end(b, false);
        if (!again)
            wait_once(b, AGAIN_MS); /* with nothing but signals to wait for */
    }
}

enum err serve_sync_run(struct serving *g, struct diag *d)
{
    struct beside b = {.g = g, .signals = -1, .events = -1};
    struct diag quiet = {0};
    buf_init(&b.line, LINE_MAX_BYTES);
    enum err rc = open_signals(&b, d);
    while (!rc && !b.stop) {
        if (b.events < 0 && !g->no_sync && start(&b, &quiet))
            wait_once(&b, AGAIN_MS);
        else
            wait_once(&b, -1);
    }
    end(&b, true);
    if (b.signals >= 0)
        close(b.signals);
    buf_free(&b.line);
    return rc;
}
