/* tiny_requests: very many very small requests against the centre's server, most of them nonsense, from
 * several connections at once, beside clients that begin a request and never go on. Memory stays where it
 * was, and a good request is answered to the end.
 *
 *   tiny_requests [--requests N]
 */
#include <arpa/inet.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "platform/http_serve.h"
#include "platform/posix/posix_seam.h"
#include "server/parts.h"

#define CLIENTS 4
#define STALLED 50
#define BATCH 50                  /* requests sent before their answers are read */
#define GROWTH_KB_MAX (96 * 1024) /* sanitizers keep what was freed for a while */

static const char *const requests[] = {
    "GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
    "HEAD /v1/u/00112233445566778899aabbccddeeff HTTP/1.1\r\nHost: x\r\n\r\n",
    "PUT /v1/u/00112233445566778899aabbccddeeff?o=0&t=500 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
    "POST /v1/b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nDSB1",
    "GET /v1/d?c=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n",
    "GET /v1/o/zz HTTP/1.1\r\nHost: x\r\nRange: bytes=5-1\r\n\r\n",
    "POST /v1/enrol HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
    "DELETE /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
};

struct client {
    uint16_t port;
    uint64_t count, answered;
};

static int dial(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 30};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    return fd;
}

/* Answers are told apart by their first line; no body of ours holds one. */
static uint64_t answers_in(const char *p, size_t n)
{
    uint64_t count = 0;
    for (const char *end = p + n; (p = memmem(p, (size_t)(end - p), "HTTP/1.1 ", 9)) != NULL; p += 9)
        count++;
    return count;
}

static void *client_run(void *self)
{
    struct client *c = self;
    char bytes[65536 + 16];
    while (c->answered < c->count) {
        int fd = dial(c->port);
        uint64_t got = 0, left = c->count - c->answered;
        uint64_t wanted = left < BATCH ? left : BATCH;
        size_t kept = 0;
        for (uint64_t i = 0; i < wanted; i++) {
            const char *q = requests[(c->answered + i) % (sizeof requests / sizeof *requests)];
            CHECK(send(fd, q, strlen(q), MSG_NOSIGNAL) == (ssize_t)strlen(q));
        }
        while (got < wanted) {
            ssize_t n = recv(fd, bytes + kept, sizeof bytes - 16, 0);
            if (n <= 0)
                break; /* the server may end a connection after a refusal */
            got += answers_in(bytes, kept + (size_t)n);
            kept = (size_t)n + kept < 8 ? (size_t)n + kept : 8; /* a first line may come in two */
            memmove(bytes, bytes + n, kept);
        }
        close(fd);
        CHECK(got > 0);
        c->answered += got < wanted ? got : wanted;
    }
    return NULL;
}

static void handle(void *self, const struct http_request *request, struct arena *a, struct http_reply *reply)
{
    srv_handle(self, request, a, reply);
}

static long memory_kb(void)
{
    struct rusage u;
    CHECK(getrusage(RUSAGE_SELF, &u) == 0);
    return u.ru_maxrss;
}

static void run(struct client *clients, uint64_t count)
{
    pthread_t threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].count = count / CLIENTS;
        clients[i].answered = 0;
        CHECK(pthread_create(&threads[i], NULL, client_run, &clients[i]) == 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
}

static int drop(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

int main(int argc, char **argv)
{
    static const char half[] =
        "PUT /v1/u/00112233445566778899aabbccddeeff?o=0&t=4000000 HTTP/1.1\r\nHost: x\r\n"
        "Content-Length: 4000000\r\n\r\nsome";
    uint64_t count = 100000;
    char dir[] = "/tmp/tiny_requests.XXXXXX", print[40];
    struct seam seam;
    struct server *server = NULL;
    struct http_serve *http = NULL;
    struct client clients[CLIENTS];
    int stalled[STALLED];
    if (argc == 3 && (!str_to_u64(str_of(argv[2]), &count) || count < CLIENTS)) {
        fprintf(stderr, "tiny_requests [--requests N]\n");
        return 2;
    }
    CHECK(mkdtemp(dir) && chdir(dir) == 0 && !posix_seam_open(NULL, &seam, NULL));
    CHECK(!centre_make(&seam, "centre", STR("Tiny county"), print, NULL));
    const struct server_options so = {.seam = &seam, .dir = "centre"};
    CHECK(!srv_open(&so, &server, NULL));
    const struct http_serve_options ho = {.address = "127.0.0.1",
                                          .threads = 2,
                                          .body_max = FRAME_SIZE_MAX,
                                          .self = server,
                                          .handle = handle,
                                          .in_pieces = srv_in_pieces};
    CHECK(!http_serve_start(&ho, &http, NULL));
    for (int i = 0; i < CLIENTS; i++)
        clients[i].port = http_serve_port(http);
    for (int i = 0; i < STALLED; i++) {
        stalled[i] = dial(http_serve_port(http));
        CHECK(send(stalled[i], half, sizeof half - 1, 0) == sizeof half - 1);
    }
    run(clients, count / 10 < 4000 ? 4000 : count / 10); /* what everything needs once */
    long before = memory_kb();
    run(clients, count);
    long grown = memory_kb() - before;
    printf("%llu requests beside %d that never end; memory grew by %ld KiB\n", (unsigned long long)count,
           STALLED, grown);
    for (int i = 0; i < STALLED; i++)
        close(stalled[i]);
    http_serve_stop(http);
    srv_close(server);
    posix_seam_close(&seam);
    CHECK(chdir("/") == 0 && nftw(dir, drop, 16, FTW_DEPTH | FTW_PHYS) == 0);
    return grown <= GROWTH_KB_MAX ? 0 : 1;
}
