/* relay: a TCP relay on loopback that counts what crosses the wire and can cut the link in mid-upload.
 *
 *   relay TARGET_PORT [--listen PORT] [--cut FILE] [--stats FILE]
 *
 * Prints the port it listens on (any free one by default). When a file appears under the name given with
 * --cut, the number N in it is taken (and the file removed): after N further bytes upward the connection that
 * carries them is cut, and both ends see a reset, as when the signal is lost. The other file always holds
 * "connections N up N down N cut N". Ends on SIGTERM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINKS_MAX 64

struct link {
    int device, centre;
};

static struct {
    struct link links[LINKS_MAX];
    int count;
    unsigned long long cut_left; /* bytes until the ordered cut; 0 = none ordered */
    unsigned long long connections, up, down, cuts;
    const char *stats, *cut;
    unsigned short target;
} relay;
static volatile sig_atomic_t stopping;

static void on_stop(int signal_number)
{
    (void)signal_number;
    stopping = 1;
}

static void write_stats(void)
{
    char temporary[4096];
    if (!relay.stats)
        return;
    snprintf(temporary, sizeof temporary, "%s.new", relay.stats);
    FILE *f = fopen(temporary, "w");
    if (!f)
        return;
    fprintf(f, "connections %llu up %llu down %llu cut %llu\n", relay.connections, relay.up, relay.down,
            relay.cuts);
    fclose(f);
    rename(temporary, relay.stats);
}

static int loopback(unsigned short port, struct sockaddr_in *address)
{
    *address = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_port = htons(port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void end_link(int i, int reset)
{
    struct linger abort_now = {1, 0};
    if (reset) {
        setsockopt(relay.links[i].device, SOL_SOCKET, SO_LINGER, &abort_now, sizeof abort_now);
        setsockopt(relay.links[i].centre, SOL_SOCKET, SO_LINGER, &abort_now, sizeof abort_now);
    }
    close(relay.links[i].device);
    close(relay.links[i].centre);
    relay.links[i] = relay.links[--relay.count];
    write_stats();
}

static int send_all(int to, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(to, p, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        p += sent;
        n -= (size_t)sent;
    }
    return 0;
}

static void take_order(void)
{
    unsigned long long n = 0;
    FILE *f = relay.cut ? fopen(relay.cut, "r") : NULL;
    if (!f)
        return;
    if (fscanf(f, "%llu", &n) == 1 && n > 0) {
        relay.cut_left = n;
        remove(relay.cut);
    }
    fclose(f);
}

/* Passes on what came from one side. Nonzero when the link has ended. */
static int pass(struct link *l, int upward)
{
    char bytes[16384];
    size_t room = sizeof bytes;

    if (upward)
        take_order();
    int cutting = upward && relay.cut_left > 0;
    if (cutting && relay.cut_left < room)
        room = (size_t)relay.cut_left;
    ssize_t n = recv(upward ? l->device : l->centre, bytes, room, 0);
    if (n <= 0)
        return 1;
    if (send_all(upward ? l->centre : l->device, bytes, (size_t)n))
        return 1;
    *(upward ? &relay.up : &relay.down) += (unsigned long long)n;
    if (!cutting)
        return 0;
    relay.cut_left -= (unsigned long long)n;
    relay.cuts += relay.cut_left == 0;
    return relay.cut_left == 0 ? 2 : 0;
}

static void accept_link(int listening)
{
    struct sockaddr_in address;
    int device = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    int centre = loopback(relay.target, &address);

    if (device < 0 || centre < 0 || relay.count == LINKS_MAX ||
        connect(centre, (struct sockaddr *)&address, sizeof address)) {
        if (device >= 0)
            close(device);
        if (centre >= 0)
            close(centre);
        return;
    }
    relay.links[relay.count++] = (struct link){device, centre};
    relay.connections++;
}

static void serve(int listening)
{
    while (!stopping) {
        struct pollfd fds[1 + 2 * LINKS_MAX];
        fds[0] = (struct pollfd){listening, POLLIN, 0};
        for (int i = 0; i < relay.count; i++) {
            fds[1 + 2 * i] = (struct pollfd){relay.links[i].device, POLLIN, 0};
            fds[2 + 2 * i] = (struct pollfd){relay.links[i].centre, POLLIN, 0};
        }
        int open = relay.count;
        if (poll(fds, (nfds_t)(1 + 2 * open), 200) <= 0)
            continue;
        for (int i = open - 1; i >= 0; i--) {
            int ended = 0;
            if (fds[1 + 2 * i].revents)
                ended = pass(&relay.links[i], 1);
            if (!ended && fds[2 + 2 * i].revents)
                ended = pass(&relay.links[i], 0);
            if (ended)
                end_link(i, ended == 2);
        }
        if (fds[0].revents)
            accept_link(listening);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    unsigned short port = 0;
    int again = 1;

    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--listen") == 0)
            port = (unsigned short)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--cut") == 0)
            relay.cut = argv[i + 1];
        else if (strcmp(argv[i], "--stats") == 0)
            relay.stats = argv[i + 1];
    }
    relay.target = argc > 1 ? (unsigned short)strtoul(argv[1], NULL, 10) : 0;
    if (relay.target == 0) {
        fprintf(stderr, "relay TARGET_PORT [--listen PORT] [--cut FILE] [--stats FILE]\n");
        return 2;
    }
    struct sigaction stop = {.sa_handler = on_stop};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    int listening = loopback(port, &address);
    if (listening < 0 || setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &again, sizeof again) ||
        bind(listening, (struct sockaddr *)&address, size) || listen(listening, 16) ||
        getsockname(listening, (struct sockaddr *)&address, &size)) {
        perror("relay");
        return 1;
    }
    write_stats();
    printf("%u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
    serve(listening);
    while (relay.count > 0)
        end_link(0, 0);
    write_stats();
    return 0;
}
