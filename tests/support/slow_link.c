/* slow_link: joins two network namespaces by a link that is far away and loses packets. It makes a TUN device
 * "far" in each of them and carries IP packets from one to the other, each after the same time, some never.
 * How fast the link is, a token bucket on the devices says (tc tbf): the test machines' kernels have no
 * netem.
 *
 *   slow_link NAMESPACE NAMESPACE [--delay MS] [--loss PER_MILLE] [--seed N] [--stats FILE]
 *
 * Prints "ready" once the devices are there. On SIGUSR1 it begins to delay and to lose (until then it does
 * neither); on SIGTERM it ends. FILE then holds "packets N bytes N lost N".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 2048
#define WAITING_MAX 1024 /* per direction; a full queue drops, as routers do */

struct packet {
    int64_t due_ms;
    size_t size;
    unsigned char bytes[PACKET_MAX];
};
struct direction {
    int from, to;
    struct packet *waiting; /* a ring */
    unsigned first, count;
};
static volatile sig_atomic_t stopping, bad;
static volatile unsigned long long packets, bytes, lost; /* since the link is bad */

static void on_signal(int number)
{
    if (number == SIGUSR1) {
        bad = 1;
        packets = bytes = lost = 0;
    } else
        stopping = 1;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint64_t roll(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* A device in that namespace; the process stays there. */
static int device_in(const char *namespace)
{
    char path[256];
    struct ifreq wanted = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(path, sizeof path, "/var/run/netns/%s", namespace);
    int there = open(path, O_RDONLY | O_CLOEXEC);
    if (there < 0 || setns(there, CLONE_NEWNET))
        return -1;
    close(there);
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    snprintf(wanted.ifr_name, sizeof wanted.ifr_name, "far");
    if (device < 0 || ioctl(device, TUNSETIFF, &wanted))
        return -1;
    return device;
}

static void take_in(struct direction *d, int64_t delay_ms, uint64_t loss, uint64_t *dice)
{
    for (;;) {
        struct packet *p = &d->waiting[(d->first + d->count) % WAITING_MAX];
        struct packet spare;
        if (d->count == WAITING_MAX)
            p = &spare;
        ssize_t n = read(d->from, p->bytes, sizeof p->bytes);
        if (n <= 0)
            return;
        packets++;
        bytes += (unsigned long long)n;
        if (p == &spare || (bad && roll(dice) % 1000 < loss)) {
            lost++;
            continue;
        }
        p->size = (size_t)n;
        p->due_ms = now_ms() + (bad ? delay_ms : 0);
        d->count++;
    }
}

static int64_t send_due(struct direction *d, int64_t now)
{
    while (d->count > 0 && d->waiting[d->first].due_ms <= now) {
        const struct packet *p = &d->waiting[d->first];
        if (write(d->to, p->bytes, p->size) < 0 && errno == EAGAIN)
            return now + 1;
        d->first = (d->first + 1) % WAITING_MAX;
        d->count--;
    }
    return d->count > 0 ? d->waiting[d->first].due_ms : INT64_MAX;
}

static void carry(struct direction ways[2], int64_t delay_ms, uint64_t loss, uint64_t dice)
{
    while (!stopping) {
        int64_t now = now_ms(), next = INT64_MAX;
        for (int i = 0; i < 2; i++) {
            int64_t due = send_due(&ways[i], now);
            next = due < next ? due : next;
        }
        struct pollfd fds[2] = {{ways[0].from, POLLIN, 0}, {ways[1].from, POLLIN, 0}};
        if (poll(fds, 2, next == INT64_MAX ? 500 : (int)(next - now)) <= 0)
            continue;
        for (int i = 0; i < 2; i++)
            if (fds[i].revents)
                take_in(&ways[i], delay_ms, loss, &dice);
    }
}

int main(int argc, char **argv)
{
    uint64_t delay = 600, loss = 200, seed = 1;
    const char *stats = NULL;
    struct direction ways[2] = {{0}};
    for (int i = 3; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--delay") == 0)
            delay = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--loss") == 0)
            loss = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--stats") == 0)
            stats = argv[i + 1];
    }
    if (argc < 3) {
        fprintf(stderr, "slow_link NAMESPACE NAMESPACE [--delay MS] [--loss PER_MILLE] [--seed N] [--stats "
                        "FILE]\n");
        return 2;
    }
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGUSR1, &act, NULL);
    int one = device_in(argv[1]), other = device_in(argv[2]);
    for (int i = 0; i < 2; i++) {
        ways[i].from = i ? other : one;
        ways[i].to = i ? one : other;
        ways[i].waiting = calloc(WAITING_MAX, sizeof *ways[i].waiting);
    }
    if (one < 0 || other < 0 || !ways[0].waiting || !ways[1].waiting) {
        perror("slow_link");
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    carry(ways, (int64_t)delay, loss, seed);
    FILE *f = stats ? fopen(stats, "w") : NULL;
    if (f) {
        fprintf(f, "packets %llu bytes %llu lost %llu\n", packets, bytes, lost);
        fclose(f);
    }
    free(ways[0].waiting);
    free(ways[1].waiting);
    return 0;
}
