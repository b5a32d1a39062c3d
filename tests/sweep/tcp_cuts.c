/* tcp_cuts: a large frame over real TCP, cut at every byte.
 *
 *   tcp_cuts [--step N] [--bytes N] [--from K] [--to K]
 *
 * The centre's own HTTP server and store, libcurl and the sync machine in one process, with a relay between
 * them that resets the connection once, after k bytes upward, for every k, and then after k bytes downward.
 * Each time the frame must arrive, once, with a receipt, in one run; and what travelled twice is at most a
 * piece and what was on its way. --step takes every N-th k only, --from and --to a part of them. Before that
 * some frames are sent by three connections at once, in pieces of different sizes: each is stored once.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/http_serve.h"
#include "platform/posix/http_curl.h"
#include "platform/posix/posix_seam.h"
#include "server/parts.h"
#include "sync/client.h"
#include "sync/pace.h"

#define NEVER UINT64_MAX
#define LINKS_MAX 16
#define OK(call)                                                                                \
    do {                                                                                        \
        enum err rc_ = (call);                                                                  \
        if (rc_) {                                                                              \
            fprintf(stderr, "tcp_cuts: %s: %s (%s)\n", #call, w.d.text, err_action(rc_)->name); \
            exit(1);                                                                            \
        }                                                                                       \
    } while (0)
#define WANT(what)                                                                                         \
    do {                                                                                                   \
        if (!(what)) {                                                                                     \
            fprintf(stderr, "tcp_cuts: cut after %llu bytes %s: not so: %s\n%s", (unsigned long long)w.at, \
                    w.downward ? "down" : "up", #what, w.requests);                                        \
            exit(1);                                                                                       \
        }                                                                                                  \
    } while (0)

static struct {
    struct diag d;
    struct seam seam;
    struct arena a;
    struct server *server;
    struct http_serve *http;
    struct http_curl *curl;
    /* the handheld */
    struct key_pair_p256 sign;
    struct key_pair_x25519 seal;
    uint64_t device;
    uint32_t inc, person;
    struct str token;
    uint64_t batch_seq, seq, cursor;
    unsigned char prev[8];
    struct str frame;
    bool receipted;
    char requests[4096];
    /* the relay */
    int listening;
    uint16_t port;
    atomic_ullong up, down, cut_up, cut_down; /* counts from the start of a round */
    atomic_uint cuts;
    atomic_bool stop;
    /* the round */
    uint64_t at;
    bool downward;
} w;

/* ---- relay ---- */

struct link {
    int device, centre;
};

static int dial(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void hang_up(struct link *l, bool reset)
{
    struct linger now = {1, 0};
    if (reset) {
        setsockopt(l->device, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        usleep(200); /* what was handed on is read before the reset throws it away */
    }
    close(l->device);
    close(l->centre);
}

/* 0 goes on, 1 ended, 2 cut. */
static int pass(int from, int to, atomic_ullong *count, atomic_ullong *cut)
{
    char bytes[8192];
    uint64_t done = atomic_load(count), limit = atomic_load(cut);
    size_t room = sizeof bytes;
    if (limit != NEVER && limit - done < room)
        room = (size_t)(limit - done);
    if (limit != NEVER && limit <= done)
        return 2;
    ssize_t n = recv(from, bytes, room, 0);
    if (n <= 0)
        return 1;
    for (ssize_t sent = 0; sent < n;) {
        ssize_t k = send(to, bytes + sent, (size_t)(n - sent), MSG_NOSIGNAL);
        if (k <= 0)
            return 1;
        sent += k;
    }
    atomic_fetch_add(count, (unsigned long long)n);
    return limit != NEVER && done + (uint64_t)n >= limit ? 2 : 0;
}

static int both_ways(struct link *l, const struct pollfd *fds)
{
    int ended = 0;
    if (fds[0].revents)
        ended = pass(l->device, l->centre, &w.up, &w.cut_up);
    if (!ended && fds[1].revents)
        ended = pass(l->centre, l->device, &w.down, &w.cut_down);
    if (ended == 2) {
        atomic_store(&w.cut_up, NEVER);
        atomic_store(&w.cut_down, NEVER);
        atomic_fetch_add(&w.cuts, 1);
    }
    return ended;
}

static void *relay(void *unused)
{
    struct link links[LINKS_MAX];
    int count = 0;
    (void)unused;
    while (!atomic_load(&w.stop)) {
        struct pollfd fds[1 + 2 * LINKS_MAX];
        fds[0] = (struct pollfd){w.listening, POLLIN, 0};
        for (int i = 0; i < count; i++) {
            fds[1 + 2 * i] = (struct pollfd){links[i].device, POLLIN, 0};
            fds[2 + 2 * i] = (struct pollfd){links[i].centre, POLLIN, 0};
        }
        if (poll(fds, (nfds_t)(1 + 2 * count), 50) <= 0)
            continue;
        for (int i = count - 1; i >= 0; i--) {
            int ended = both_ways(&links[i], fds + 1 + 2 * i);
            if (!ended)
                continue;
            hang_up(&links[i], ended == 2);
            links[i] = links[--count];
        }
        if (fds[0].revents && count < LINKS_MAX) {
            struct link l = {accept4(w.listening, NULL, NULL, SOCK_CLOEXEC), -1};
            int one = 1;
            if (l.device >= 0 && (l.centre = dial(http_serve_port(w.http))) >= 0) {
                setsockopt(l.device, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                setsockopt(l.centre, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                links[count++] = l;
            } else if (l.device >= 0)
                close(l.device);
        }
    }
    while (count > 0)
        hang_up(&links[--count], false);
    return NULL;
}

static void relay_open(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    w.listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(w.listening >= 0 && bind(w.listening, (struct sockaddr *)&here, size) == 0 &&
          listen(w.listening, 16) == 0 && getsockname(w.listening, (struct sockaddr *)&here, &size) == 0);
    w.port = ntohs(here.sin_port);
}

/* ---- the centre ---- */

static void handle(void *self, const struct http_request *request, struct arena *a, struct http_reply *reply)
{
    srv_handle(self, request, a, reply);
}

static void centre_open(const char *dir)
{
    char print[40];
    struct server_options so = {.seam = &w.seam, .dir = dir};
    OK(centre_make(&w.seam, dir, STR("Cut county"), print, &w.d));
    OK(srv_open(&so, &w.server, &w.d));
    const struct http_serve_options ho = {.address = "127.0.0.1",
                                          .threads = 2,
                                          .body_max = FRAME_SIZE_MAX,
                                          .self = w.server,
                                          .handle = handle,
                                          .in_pieces = srv_in_pieces};
    OK(http_serve_start(&ho, &w.http, &w.d));
}

static void enrol(const char *dir)
{
    struct cstore *st = NULL;
    struct enrol_ticket ticket;
    struct enrol_request q = {.model = STR("m"), .version = STR("1"), .now_ms = 1};
    struct enrol_reply r;
    struct buf body, reply;
    OK(centre_store_open(&w.seam, dir, &st, &w.d));
    OK(people_ticket(st, srv_centre(w.server), &w.seam, STR("A"), ROLE_CADRE, STR(""), &ticket, &w.d));
    OK(p256_make(NULL, &w.sign));
    OK(x25519_make(NULL, &w.seal));
    q.token60 = ticket.token60;
    memcpy(q.seal_public, w.seal.public, sizeof q.seal_public);
    memcpy(q.sign_public, w.sign.public, sizeof q.sign_public);
    buf_init(&body, 1u << 16);
    buf_init(&reply, 1u << 16);
    OK(enrol_request_write(&q, srv_centre(w.server)->keys.seal_public, NULL, &body, &w.d));
    OK(people_enrol(w.server, st, &w.a, buf_str(&body), &reply, &w.d));
    OK(enrol_reply_read(&w.a, buf_str(&reply), &srv_centre(w.server)->keys, &w.seal, &r, &w.d));
    w.device = r.device;
    w.inc = r.inc;
    w.person = r.person;
    w.token = r.token;
    buf_free(&body);
    buf_free(&reply);
    cstore_close(st);
}

/* ---- the handheld ---- */

/* A comment with a text that does not shrink: the next frame of the ledger. */
static void frame_next(struct arena *a, size_t size)
{
    struct batch_head head = {.device = w.device, .inc = w.inc, .epoch = 1, .now_ms = 1795442945000};
    struct row_birth birth = {.kind = ROW_HOUSEHOLD};
    struct row_id row = {w.device, w.inc, (uint32_t)++w.batch_seq};
    struct buf birth_bytes, payload, frame;
    unsigned char hash[SHA256_SIZE];
    char *text = arena_alloc(a, size);
    CHECK(text);
    OK(w.seam.random(w.seam.self, text, size));
    for (size_t i = 0; i < size; i++)
        text[i] = (char)(' ' + (unsigned char)text[i] % 90);
    buf_init(&birth_bytes, 256);
    buf_init(&payload, FRAME_RAW_MAX);
    buf_init(&frame, FRAME_SIZE_MAX);
    OK(row_birth_write(&birth_bytes, &birth));
    const struct change changes[] = {{.seq = w.seq + 1,
                                      .row = row,
                                      .op = CHANGE_ROW_CREATE,
                                      .person = w.person,
                                      .role = ROLE_CADRE,
                                      .hlc = 1795442945000 << 16,
                                      .value = buf_str(&birth_bytes)},
                                     {.seq = w.seq + 2,
                                      .row = row,
                                      .field = HOUSEHOLD_ADDRESS,
                                      .person = w.person,
                                      .role = ROLE_CADRE,
                                      .hlc = 1795442945000 << 16,
                                      .value = {text, size}}};
    w.seq += 2;
    OK(batch_write(&head, NULL, changes, 2, &payload, &w.d));
    struct frame_seal how = {.type = FRAME_UP,
                             .device = w.device,
                             .inc = w.inc,
                             .batch_seq = w.batch_seq,
                             .schema = BATCH_SCHEMA_CHANGES,
                             .recipient = srv_centre(w.server)->keys.seal_public,
                             .author = &w.sign};
    memcpy(how.prev, w.prev, sizeof how.prev);
    OK(frame_make(&how, buf_str(&payload), &frame, &w.d));
    w.frame = arena_str(a, buf_str(&frame));
    OK(sha256(w.frame, hash));
    memcpy(w.prev, hash, sizeof w.prev);
    buf_free(&birth_bytes);
    buf_free(&payload);
    buf_free(&frame);
}

static struct str header(const struct http_reply *r, const char *name)
{
    return http_header_find(r->headers, r->header_count, name);
}

static void exchange(struct sync_client *c, const struct step *s, struct arena *a)
{
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = {{"GET", HTTP_GET}, {"HEAD", HTTP_HEAD}, {"POST", HTTP_POST}, {"PUT", HTTP_PUT}};
    struct http_request q = {.body = s->body, .body_max = s->reply_max, .stall_ms_max = 20000};
    struct http_reply r = {0};
    struct buf url;
    struct diag quiet = {0};
    size_t n = strlen(w.requests);
    (void)snprintf(w.requests + n, sizeof w.requests - n, "%s %.*s\n", s->method, STR_ARG(s->path));
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(s->method, methods[i].name) == 0)
            q.method = methods[i].method;
    buf_init(&url, 1024);
    buf_printf(&url, "http://127.0.0.1:%u%.*s", w.port, STR_ARG(s->path));
    q.url = buf_str(&url);
    if (s->authorization.n)
        q.headers[q.header_count++] = (struct http_header){STR("Authorization"), s->authorization};
    if (http_curl_exchange(w.curl, &q, a, &r, &quiet)) {
        sync_feed_failure(c, ERR_NET, r.bytes_up, r.bytes_down, 20);
    } else {
        sync_feed_reply(c, &(struct sync_reply){.status = r.status,
                                                .body = buf_str(&r.body),
                                                .content_type = header(&r, "Content-Type"),
                                                .offset = header(&r, "Ds-Offset"),
                                                .done = header(&r, "Ds-Done"),
                                                .bytes_up = r.bytes_up,
                                                .bytes_down = r.bytes_down,
                                                .took_ms = 20});
    }
    buf_free(&r.body);
    buf_free(&url);
}

static void take_receipt(const struct step *s)
{
    w.cursor = s->receipt.cursor; /* there is nothing but what this handheld made */
    for (uint32_t i = 0; i < s->receipt.item_count; i++) {
        if (s->receipt.items[i].status == RECEIPT_QUARANTINED)
            fprintf(stderr, "%.*s\n", STR_ARG(s->receipt.items[i].reason));
        WANT(s->receipt.items[i].status == RECEIPT_STORED);
        w.receipted = w.receipted || s->receipt.items[i].batch_seq == w.batch_seq;
    }
}

static void run(struct arena *a)
{
    struct sync_config config = {.device = w.device,
                                 .inc = w.inc,
                                 .keys = srv_centre(w.server)->keys,
                                 .seal = w.seal,
                                 .token = w.token,
                                 .cursor = w.cursor,
                                 .epoch = 1,
                                 .metered = true};
    struct sync_client *c = NULL;
    struct step s = {.kind = STEP_FRAME};
    bool done = false;
    OK(sync_client_open(a, &config, &c, &w.d));
    while (!done) {
        diag_clear(&w.d);
        sync_next(c, &s, &w.d);
        switch (s.kind) {
        case STEP_FRAME:
            done = w.receipted; /* the rest of a run is not this program's business */
            if (!done)
                sync_feed_frame(c, w.frame);
            break;
        case STEP_HTTP: exchange(c, &s, a); break;
        case STEP_RECEIPT:
            take_receipt(&s);
            sync_feed_done(c, ERR_OK);
            break;
        case STEP_DOWN:
        case STEP_WAIT: sync_feed_done(c, ERR_OK); break;
        default: done = true;
        }
    }
    sync_client_close(c);
}

static uint64_t frames_stored(void)
{
    struct cstore *st = NULL;
    struct centre_counts n;
    OK(centre_store_open(&w.seam, w.token.p ? "centre" : "", &st, &w.d));
    OK(cstore_counts(st, &n, &w.d));
    cstore_close(st);
    return n.frames;
}

/* One frame with one cut; the bytes that travelled. */
static void round_run(size_t size, uint64_t cut_up, uint64_t cut_down)
{
    struct arena a;
    arena_init(&a, 256u << 20);
    w.receipted = false;
    w.requests[0] = 0;
    atomic_store(&w.up, 0);
    atomic_store(&w.down, 0);
    frame_next(&a, size);
    atomic_store(&w.cut_up, cut_up);
    atomic_store(&w.cut_down, cut_down);
    run(&a);
    WANT(w.receipted);
    arena_free(&a);
}

/* ---- one frame by several connections at once, as when a link hangs and the next one is tried ---- */

#define RACERS 3
#define RACES 20

struct racer {
    pthread_t thread;
    char name[2 * BATCH_ID_SIZE + 1];
    size_t piece;
    uint32_t stored, wrong;
    int last_wrong; /* status */
};

static void put_piece(struct racer *x, size_t at)
{
    char url[200];
    struct arena a;
    struct http_reply reply = {0};
    struct str bytes = str_sub(w.frame, at, x->piece);
    (void)snprintf(url, sizeof url, "/v1/u/%s?o=%zu&t=%zu", x->name, at, w.frame.n);
    struct http_request q = {.method = HTTP_PUT, .url = str_of(url), .body = bytes, .header_count = 1};
    arena_init(&a, 1u << 20);
    buf_init(&reply.body, 1u << 20);
    struct buf bearer;
    buf_init(&bearer, 4096);
    buf_put_z(&bearer, "Bearer ");
    buf_put_str(&bearer, w.token);
    q.headers[0] = (struct http_header){STR("Authorization"), buf_str(&bearer)};
    srv_handle(w.server, &q, &a, &reply);
    x->stored += reply.status == 200;
    if (reply.status != 200 && reply.status != 204) {
        x->wrong++;
        x->last_wrong = reply.status;
    }
    buf_free(&bearer);
    buf_free(&reply.body);
    arena_free(&a);
}

static void *race(void *self)
{
    struct racer *x = self;
    for (size_t at = 0; at < w.frame.n; at += x->piece)
        put_piece(x, at);
    return NULL;
}

static void races_run(size_t size)
{
    for (int round = 0; round < RACES; round++) {
        struct racer x[RACERS] = {0};
        struct frame f;
        struct arena a;
        size_t n;
        arena_init(&a, 256u << 20);
        frame_next(&a, size);
        OK(frame_parse(w.frame, &f, &n, &w.d));
        for (int i = 0; i < RACERS; i++) {
            hex_write(f.batch_id, BATCH_ID_SIZE, x[i].name);
            x[i].piece = 5000 + 1700 * (size_t)i;
            CHECK(pthread_create(&x[i].thread, NULL, race, &x[i]) == 0);
        }
        for (int i = 0; i < RACERS; i++) {
            CHECK(pthread_join(x[i].thread, NULL) == 0);
            if (x[i].wrong)
                fprintf(stderr, "tcp_cuts: a piece was answered with status %d\n", x[i].last_wrong);
            WANT(x[i].wrong == 0 && x[i].stored > 0);
        }
        arena_free(&a);
    }
    WANT(frames_stored() == RACES);
}

static int drop(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

int main(int argc, char **argv)
{
    uint64_t step = 1, size = 42000, from = 1, to = UINT64_MAX, rounds = 0, most = 0;
    char dir[] = "/tmp/tcp_cuts.XXXXXX";
    pthread_t thread;
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t *number = strcmp(argv[i], "--step") == 0   ? &step
                           : strcmp(argv[i], "--from") == 0 ? &from
                           : strcmp(argv[i], "--to") == 0   ? &to
                                                            : &size;
        if (!str_to_u64(str_of(argv[i + 1]), number) || *number == 0) {
            fprintf(stderr, "tcp_cuts [--step N] [--bytes N] [--from K] [--to K]\n");
            return 2;
        }
    }
    CHECK(mkdtemp(dir) && chdir(dir) == 0);
    arena_init(&w.a, 16u << 20);
    atomic_store(&w.cut_up, NEVER);
    atomic_store(&w.cut_down, NEVER);
    OK(posix_seam_open(NULL, &w.seam, &w.d));
    centre_open("centre");
    enrol("centre");
    relay_open();
    CHECK(pthread_create(&thread, NULL, relay, NULL) == 0);
    OK(http_curl_open(NULL, &w.curl, &w.d));

    races_run(size);
    round_run(size, NEVER, NEVER);
    uint64_t up = atomic_load(&w.up), down = atomic_load(&w.down);
    rounds++;
    printf("undisturbed: frame of %zu bytes, %llu bytes up, %llu down\n", w.frame.n, (unsigned long long)up,
           (unsigned long long)down);
    for (w.at = from; w.at < up + down && w.at <= to; w.at += step) {
        w.downward = w.at >= up;
        round_run(size, w.downward ? NEVER : w.at, w.downward ? w.at - up + 1 : NEVER);
        uint64_t again = atomic_load(&w.up) > up ? atomic_load(&w.up) - up : 0;
        WANT(again <= PACE_PIECE_MAX + 4096);
        most = again > most ? again : most;
        rounds++;
    }
    WANT(frames_stored() == RACES + rounds);
    printf("%llu rounds, %u cuts, every frame once; at most %llu bytes went twice\n",
           (unsigned long long)rounds, atomic_load(&w.cuts), (unsigned long long)most);

    http_curl_close(w.curl);
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    close(w.listening);
    http_serve_stop(w.http);
    srv_close(w.server);
    posix_seam_close(&w.seam);
    arena_free(&w.a);
    CHECK(chdir("/") == 0);
    return nftw(dir, drop, 16, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : 1;
}
