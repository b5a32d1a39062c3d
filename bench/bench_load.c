/* doorstep-bench-load DIR ADDRESS:PORT[,ADDRESS:PORT ...] [--devices D] [--frames F] [--households H]
 *                     [--connections C] [--seconds S]
 *
 * The stopwatch over what arrives at a centre. DIR is its directory, ADDRESS:PORT where one or several
 * doorstepd answer for it. D handhelds are entered beside the server, F frames are sealed for each of them
 * with H new households of 200 answered questions in every one, and only then the clock starts: the frames go
 * over HTTP on C connections, each handheld's in its order, with a receipt awaited, verified and opened for
 * every one. What is refused for the moment or breaks off is sent again, to the next address, for at most S
 * seconds; a receipt of a new epoch makes a handheld begin again behind what that receipt says is here. In
 * the end every handheld asks once more what the centre has. One JSON line tells the rates and the times of
 * an answer.
 *
 * Exit 0 only when every frame has a receipt of the newest epoch and none was set apart.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "forms/session.h"
#include "platform/posix/posix_seam.h"
#include "server/parts.h"

#define QUESTIONS 200
#define ADDRESSES_MAX 8
#define CONNECTIONS_MAX 64
#define REPLY_MAX (1u << 20)
#define MEMORY_MAX (3072u << 20)
#define AREA "990101001201"
#define PAUSE_MS 50

#define RECEIPT_KEPT 1024

struct kept {
    size_t n;
    char bytes[RECEIPT_KEPT];
};

struct sender {
    struct key_pair_p256 sign;
    struct key_pair_x25519 seal;
    uint64_t device;
    uint32_t inc, person, counter, epoch;
    uint64_t seq, next; /* next: the frame that is sent next, from 1 */
    int64_t hlc;
    unsigned char prev[8];
    struct str *frames;
    struct kept *receipts; /* of each frame, the last */
    struct str token;
};

struct load {
    struct seam seam;
    struct arena a;
    struct diag d;
    struct centre centre;
    struct cstore *st;
    struct str form_xml;
    const struct form *form;
    struct fieldmap map;
    char form_hash[2 * SHA256_SIZE];
    struct session_host host;
    struct sender *senders;
    struct addrinfo *at[ADDRESSES_MAX];
    uint32_t address_count;
    uint64_t devices, frames, households, connections, seconds;
    uint64_t coined; /* of what looks random */
    int64_t until_ms;
    /* of the run, under lock */
    pthread_mutex_t lock;
    uint64_t sent, again, broken, apart, epochs;
    float *times; /* ms of each answer */
    uint64_t times_count;
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int give_up(const struct load *l, enum err rc, const char *what)
{
    fprintf(stderr, "doorstep-bench-load: %s: %s\n", what, l->d.text[0] ? l->d.text : err_action(rc)->name);
    return 1;
}

/* ---- the questionnaire: strings, whole numbers, decimals, choices and dates in turn ---- */

static const char *const types[] = {"string", "int", "decimal", "string", "date"};

static enum err form_write(struct buf *b)
{
    buf_put_z(b, "<h:html xmlns=\"http://www.w3.org/2002/xforms\" xmlns:h=\"http://www.w3.org/1999/xhtml\""
                 " xmlns:jr=\"http://openrosa.org/javarosa\" xmlns:orx=\"http://openrosa.org/xforms\">"
                 "<h:head><h:title>200 questions</h:title><model><instance><data id=\"load200\""
                 " version=\"1\">");
    for (int i = 0; i < QUESTIONS; i++)
        buf_printf(b, "<q%03d/>", i);
    buf_put_z(b, "<orx:meta><orx:instanceID/></orx:meta></data></instance>");
    for (int i = 0; i < QUESTIONS; i++)
        buf_printf(b, "<bind nodeset=\"/data/q%03d\" type=\"%s\"/>", i, types[i % 5]);
    buf_put_z(b, "<bind nodeset=\"/data/orx:meta/orx:instanceID\" type=\"string\" readonly=\"true()\""
                 " jr:preload=\"uid\"/></model></h:head><h:body>");
    for (int i = 0; i < QUESTIONS; i++) {
        if (i % 5 == 3)
            buf_printf(b,
                       "<select1 ref=\"/data/q%03d\"><label>Question %d</label><item><label>A</label>"
                       "<value>option_a</value></item><item><label>B</label><value>option_b</value></item>"
                       "</select1>",
                       i, i);
        else
            buf_printf(b, "<input ref=\"/data/q%03d\"><label>Question %d</label></input>", i, i);
    }
    buf_put_z(b, "</h:body></h:html>");
    return b->failed;
}

static uint64_t coin(struct load *l)
{
    l->coined = l->coined * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return l->coined >> 33;
}

static void value_of(struct load *l, int question, char out[static 32])
{
    static const char *const words[] = {"Amina", "Jean-Paul", "Kofi", "none", "Maize", "Cassava", "river"};
    switch (question % 5) {
    case 0: (void)snprintf(out, 32, "%s", words[coin(l) % 7]); break;
    case 1: (void)snprintf(out, 32, "%u", (unsigned)(coin(l) % 99)); break;
    case 2: (void)snprintf(out, 32, "%u.%02u", (unsigned)(coin(l) % 500), (unsigned)(coin(l) % 100)); break;
    case 3: (void)snprintf(out, 32, "%s", coin(l) % 2 ? "option_a" : "option_b"); break;
    default:
        (void)snprintf(out, 32, "20%02u-%02u-%02u", (unsigned)(coin(l) % 26), (unsigned)(1 + coin(l) % 12),
                       (unsigned)(1 + coin(l) % 28));
    }
}

static int64_t host_now(void *self)
{
    const struct load *l = self;
    return l->seam.wall_ms(l->seam.self);
}

static enum err host_random(void *self, void *out, size_t n)
{
    const struct load *l = self;
    return l->seam.random(l->seam.self, out, n);
}

static enum err form_publish(struct load *l)
{
    struct buf xml, lines;
    struct counters now;
    struct publish_result p;
    struct form_findings findings = {0};
    unsigned char hash[SHA256_SIZE];
    buf_init(&xml, 1u << 20);
    buf_init(&lines, 1u << 20);
    struct desk k = {.seam = &l->seam, .st = l->st, .a = &l->a, .lines = &lines};
    enum err rc = form_write(&xml);
    l->form_xml = arena_str(&l->a, buf_str(&xml));
    if (!rc)
        rc = cstore_county(l->st, &l->a, NULL, &k.epoch, &now, &l->d);
    if (!rc)
        rc = publish(&k, STR("form"), STR(""), STR("load200.xml"), l->form_xml, &p, &l->d);
    if (!rc)
        rc = form_load(&l->a, l->form_xml, &l->form, &findings, &l->d);
    if (!rc)
        rc = sha256(l->form_xml, hash);
    struct form_row row;
    if (!rc)
        rc = cstore_form(l->st, &l->a, hash, &row, &l->d);
    if (!rc)
        rc = fieldmap_read(&l->a, row.fieldmap, form_policies(&l->a, l->form), form_field_count(l->form),
                           form_repeat_count(l->form), &l->map, &l->d);
    if (!rc)
        hex_write(hash, SHA256_SIZE, l->form_hash);
    buf_free(&lines);
    buf_free(&xml);
    return rc;
}

/* ---- handhelds, entered as the centre's own desk would ---- */

static enum err sender_enter(struct load *l, struct sender *s, uint32_t number, int64_t at_ms)
{
    unsigned char seed[2][32];
    char name[40], token[BEARER_TEXT_MAX];
    enum err rc = l->seam.random(l->seam.self, seed, sizeof seed);
    if (!rc)
        rc = l->seam.random(l->seam.self, &s->device, sizeof s->device);
    s->device |= 1;
    s->inc = 1;
    s->next = 1;
    if (!rc)
        rc = p256_make(seed[0], &s->sign);
    if (!rc)
        rc = x25519_make(seed[1], &s->seal);
    struct person person;
    (void)snprintf(name, sizeof name, "Load %u", number);
    if (!rc)
        rc = people_take(l->st, str_of(name), ROLE_CADRE, STR("99"), at_ms, &person, &l->d);
    struct device_row row = {.device = s->device,
                             .inc = s->inc,
                             .model = STR("stopwatch"),
                             .version = STR("1"),
                             .enrolled_ms = at_ms};
    if (!rc) {
        row.person = s->person = person.person;
        memcpy(row.sign_public, s->sign.public, sizeof row.sign_public);
        memcpy(row.seal_public, s->seal.public, sizeof row.seal_public);
        rc = cstore_device_put(l->st, &row, &l->d);
    }
    if (!rc)
        rc = bearer_write(l->centre.secret, s->device, s->inc, at_ms + SRV_TOKEN_LIFE_MS, token);
    if (!rc) {
        s->token = arena_str(&l->a, str_of(token));
        rc = s->token.p ? ERR_OK : ERR_NOMEM;
    }
    return rc;
}

static enum err senders_enter(struct load *l)
{
    int64_t at_ms = l->seam.wall_ms(l->seam.self);
    l->senders = ARENA_ARRAY(&l->a, struct sender, l->devices);
    if (!l->senders)
        return ERR_NOMEM;
    enum err rc = cstore_begin(l->st, &l->d);
    for (uint64_t i = 0; !rc && i < l->devices; i++)
        rc = sender_enter(l, &l->senders[i], (uint32_t)i, at_ms);
    if (!rc)
        rc = cstore_commit(l->st, &l->d);
    cstore_rollback(l->st);
    return rc;
}

/* ---- frames ---- */

struct making {
    struct load *l;
    struct sender *s;
    struct arena *a; /* of this frame */
    VEC(struct change) changes;
    enum err rc;
};

static void put(struct making *m, struct row_id row, uint32_t field, enum change_op op, struct str value)
{
    struct sender *s = m->s;
    struct change *c = vec_push(m->a, &m->changes);
    struct str kept = value.n ? arena_str(m->a, value) : STR("");
    if (!c || !kept.p) {
        m->rc = ERR_NOMEM;
        return;
    }
    s->hlc = hlc_next(s->hlc, m->l->seam.wall_ms(m->l->seam.self), 0);
    *c = (struct change){.seq = ++s->seq,
                         .row = row,
                         .field = field,
                         .op = op,
                         .person = s->person,
                         .role = ROLE_CADRE,
                         .hlc = s->hlc,
                         .value = kept};
}

static struct row_id birth(struct making *m, const struct row_birth *as)
{
    struct row_id row = {m->s->device, m->s->inc, ++m->s->counter};
    struct buf b;
    buf_init(&b, 256);
    m->rc = m->rc ? m->rc : row_birth_write(&b, as);
    put(m, row, 0, CHANGE_ROW_CREATE, buf_str(&b));
    buf_free(&b);
    return row;
}

static void answers_put(struct making *m, struct session *session, struct row_id interview)
{
    const struct session_change *list = NULL;
    uint32_t n = session_changes(session, &list);
    for (uint32_t i = 0; i < n; i++)
        put(m, interview, m->l->map.field_stable[list[i].field],
            list[i].op == SESSION_SET ? CHANGE_SET : CHANGE_CLEAR, list[i].value);
    session_changes_clear(session);
}

static enum err answers_give(struct load *l, struct session *session)
{
    enum err rc = ERR_OK;
    for (int i = 0; !rc && i < QUESTIONS; i++) {
        char ref[32], value[32];
        struct place p;
        (void)snprintf(ref, sizeof ref, "/data/q%03d", i);
        value_of(l, i, value);
        rc = session_place(session, str_of(ref), &p, &l->d);
        if (!rc)
            rc = session_answer(session, p, str_of(value), &l->d);
    }
    return rc;
}

static enum err visit_end(struct making *m, struct session *session, struct row_id visit)
{
    struct load *l = m->l;
    struct buf xml;
    struct place id;
    bool relevant = false;
    char check[VISIT_CHECK_SIZE];
    unsigned char hash[SHA256_SIZE];
    buf_init(&xml, 1u << 20);
    enum err rc = session_xml(session, false, &xml, &l->d);
    if (!rc)
        rc = sha256(buf_str(&xml), hash);
    if (!rc)
        rc = session_place(session, STR("/data/meta/instanceID"), &id, &l->d);
    if (!rc) {
        visit_check_write(hash, check);
        put(m, visit, VISIT_FORM, CHANGE_SET, (struct str){l->form_hash, sizeof l->form_hash});
        put(m, visit, VISIT_STARTED, CHANGE_SET, STR("2026-11-07T10:00:00.000+08:00"));
        put(m, visit, VISIT_INSTANCE, CHANGE_SET, session_value(session, id, &relevant));
        put(m, visit, VISIT_XML_HASH, CHANGE_SET, (struct str){check, sizeof check});
        put(m, visit, 0, CHANGE_FINALISE, STR(""));
    }
    buf_free(&xml);
    return rc;
}

static enum err household_make(struct making *m)
{
    struct load *l = m->l;
    struct arena scratch;
    struct session *session = NULL;
    const struct session_options o = {.form = l->form, .host = &l->host, .row_key_next = 1};
    char code[40];
    arena_init(&scratch, 64u << 20);
    (void)snprintf(code, sizeof code, "L%016llx-%u", (unsigned long long)m->s->device, m->s->counter);
    struct row_id household = birth(m, &(struct row_birth){.kind = ROW_HOUSEHOLD});
    put(m, household, HOUSEHOLD_CODE, CHANGE_SET, str_of(code));
    put(m, household, HOUSEHOLD_AREA, CHANGE_SET, STR(AREA));
    struct row_id interview = birth(m, &(struct row_birth){.kind = ROW_INTERVIEW, .parent = household});
    struct row_id visit = birth(m, &(struct row_birth){.kind = ROW_VISIT, .parent = interview});
    enum err rc = session_open(&scratch, &o, &session, &l->d);
    if (!rc)
        rc = answers_give(l, session);
    if (!rc)
        rc = session_finalise(session, &l->d);
    if (!rc) {
        answers_put(m, session, interview);
        rc = visit_end(m, session, visit);
    }
    if (session)
        session_close(session);
    arena_free(&scratch);
    return rc ? rc : m->rc;
}

static enum err frame_seal_one(struct load *l, struct sender *s, uint64_t number)
{
    struct arena scratch;
    struct buf payload, frame;
    unsigned char hash[SHA256_SIZE];
    arena_init(&scratch, 512u << 20);
    buf_init(&payload, FRAME_RAW_MAX);
    buf_init(&frame, FRAME_SIZE_MAX);
    struct making m = {.l = l, .s = s, .a = &scratch};
    enum err rc = ERR_OK;
    for (uint64_t i = 0; !rc && i < l->households; i++)
        rc = household_make(&m);
    const struct batch_head head = {.device = s->device,
                                    .inc = s->inc,
                                    .epoch = l->centre.epoch,
                                    .now_ms = l->seam.wall_ms(l->seam.self),
                                    .anchor_ms = l->seam.wall_ms(l->seam.self)};
    struct frame_seal how = {.type = FRAME_UP,
                             .device = s->device,
                             .inc = s->inc,
                             .batch_seq = number,
                             .schema = BATCH_SCHEMA_CHANGES,
                             .recipient = l->centre.keys.seal_public,
                             .author = &s->sign};
    memcpy(how.prev, s->prev, sizeof how.prev);
    if (!rc)
        rc = batch_write(&head, NULL, m.changes.at, m.changes.count, &payload, &l->d);
    if (!rc)
        rc = frame_make(&how, buf_str(&payload), &frame, &l->d);
    if (!rc)
        rc = sha256(buf_str(&frame), hash);
    if (!rc) {
        memcpy(s->prev, hash, sizeof s->prev);
        s->frames[number - 1] = arena_str(&l->a, buf_str(&frame));
        rc = s->frames[number - 1].p ? ERR_OK : ERR_NOMEM;
    }
    buf_free(&frame);
    buf_free(&payload);
    arena_free(&scratch);
    return rc;
}

static enum err frames_seal(struct load *l)
{
    enum err rc = ERR_OK;
    for (uint64_t i = 0; !rc && i < l->devices; i++) {
        struct sender *s = &l->senders[i];
        s->frames = ARENA_ARRAY(&l->a, struct str, l->frames);
        s->receipts = ARENA_ARRAY(&l->a, struct kept, l->frames);
        rc = s->frames && s->receipts ? ERR_OK : ERR_NOMEM;
        for (uint64_t f = 1; !rc && f <= l->frames; f++)
            rc = frame_seal_one(l, s, f);
    }
    return rc;
}

/* ---- the wire ---- */

struct line {
    struct load *l;
    uint32_t number; /* 0 .. connections - 1 */
    uint32_t address;
    int fd; /* -1 = closed */
    char *reply;
    size_t size, body; /* of the reply; where its body begins */
    struct arena a;
    struct receipt receipt;
};

static void hang_up(struct line *c)
{
    if (c->fd >= 0)
        (void)close(c->fd);
    c->fd = -1;
}

static bool dial(struct line *c)
{
    const struct addrinfo *at = c->l->at[c->address % c->l->address_count];
    struct timeval patience = {.tv_sec = 30};
    int one = 1;
    if (c->fd >= 0)
        return true;
    c->fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return false;
    (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, at->ai_addr, at->ai_addrlen) == 0)
        return true;
    hang_up(c);
    return false;
}

static bool bytes_send(struct line *c, const char *p, size_t n)
{
    while (n) {
        ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

static size_t content_length(const char *head)
{
    const char *at = strcasestr(head, "\r\ncontent-length:");
    return at ? (size_t)strtoul(at + 17, NULL, 10) : 0;
}

/* The status of a whole reply; 0 when it broke off. */
static int reply_read(struct line *c)
{
    c->size = c->body = 0;
    size_t wanted = SIZE_MAX;
    while (c->size < wanted && c->size + 1 < REPLY_MAX) {
        ssize_t got = recv(c->fd, c->reply + c->size, REPLY_MAX - 1 - c->size, 0);
        if (got <= 0)
            return 0;
        c->size += (size_t)got;
        c->reply[c->size] = 0;
        char *end = c->body ? NULL : strstr(c->reply, "\r\n\r\n");
        if (end) {
            c->body = (size_t)(end + 4 - c->reply);
            wanted = c->body + content_length(c->reply);
        }
    }
    return c->size < 12 ? 0 : (int)strtol(c->reply + 9, NULL, 10);
}

static int request(struct line *c, const char *what, const struct sender *s, struct str body)
{
    char head[512];
    int n =
        snprintf(head, sizeof head,
                 "%s HTTP/1.1\r\nHost: centre\r\nAuthorization: Bearer %.*s\r\nContent-Length: %zu\r\n\r\n",
                 what, STR_ARG(s->token), body.n);
    int status = 0;
    if (dial(c) && bytes_send(c, head, (size_t)n) && bytes_send(c, body.p, body.n))
        status = reply_read(c);
    if (!status)
        hang_up(c);
    return status;
}

/* The receipt at the front of the reply, verified and opened as a handheld does. */
static bool receipt_open(struct line *c, const struct sender *s, struct str body)
{
    struct frame f;
    struct buf payload;
    size_t size = 0;
    const struct centre *centre = &c->l->centre;
    arena_free(&c->a);
    arena_init(&c->a, 16u << 20);
    buf_init(&payload, FRAME_RAW_MAX);
    bool good = !frame_parse(body, &f, &size, NULL) && f.type == FRAME_RECEIPT &&
                !frame_verify(&f, centre->keys.sign_public, NULL) &&
                !frame_open(&f, &s->seal, &payload, NULL) &&
                !receipt_read(&c->a, arena_str(&c->a, buf_str(&payload)), &c->receipt, NULL) &&
                c->receipt.device == s->device && c->receipt.inc == s->inc;
    buf_free(&payload);
    return good;
}

static bool receipt_take(struct line *c, const struct sender *s)
{
    return receipt_open(c, s, (struct str){c->reply + c->body, c->size - c->body});
}

/* Kept for later; *epoch_out stands on its outside. */
static bool receipt_keep(struct line *c, struct sender *s, uint32_t *epoch_out)
{
    struct frame f;
    size_t size = 0;
    struct str body = {c->reply + c->body, c->size - c->body};
    struct kept *k = &s->receipts[s->next - 1];
    if (frame_parse(body, &f, &size, NULL) || f.type != FRAME_RECEIPT || size > RECEIPT_KEPT)
        return false;
    memcpy(k->bytes, body.p, size);
    k->n = size;
    *epoch_out = f.inc;
    return true;
}

static void noted(struct load *l, double ms, bool again)
{
    pthread_mutex_lock(&l->lock);
    l->sent++;
    l->again += again;
    if (l->times_count < l->devices * l->frames)
        l->times[l->times_count++] = (float)ms;
    pthread_mutex_unlock(&l->lock);
}

static void trouble(struct line *c)
{
    struct timespec pause = {0, PAUSE_MS * 1000000L};
    hang_up(c);
    c->address++;
    pthread_mutex_lock(&c->l->lock);
    c->l->broken++;
    pthread_mutex_unlock(&c->l->lock);
    (void)nanosleep(&pause, NULL);
}

/* What a handheld learns: a new epoch makes it begin again behind what is here. */
static bool epoch_take(struct line *c, struct sender *s)
{
    bool moved = s->epoch && c->receipt.epoch != s->epoch;
    if (moved) {
        s->next = c->receipt.contiguous + 1;
        pthread_mutex_lock(&c->l->lock);
        c->l->epochs++;
        pthread_mutex_unlock(&c->l->lock);
    }
    s->epoch = c->receipt.epoch;
    return moved;
}

/* Nothing that a repetition mends. */
static void refused(struct line *c, int status)
{
    fprintf(stderr, "doorstep-bench-load: %d %.*s\n", status, (int)(c->size - c->body), c->reply + c->body);
    exit(1);
}

static bool frame_send(struct line *c, struct sender *s, bool *again)
{
    double begun = now_ms();
    int status = request(c, "POST /v1/b", s, s->frames[s->next - 1]);
    uint32_t epoch = 0;
    if (status != 200 || !receipt_keep(c, s, &epoch)) {
        if (status >= 400 && status < 500)
            refused(c, status);
        trouble(c);
        *again = true;
        return false;
    }
    noted(c->l, now_ms() - begun, *again);
    *again = false;
    bool moved = epoch != s->epoch && s->epoch && receipt_take(c, s) && epoch_take(c, s);
    s->epoch = epoch;
    if (!moved)
        s->next++;
    return true;
}

static bool late(const struct load *l)
{
    return l->seam.mono_ms(l->seam.self) > l->until_ms;
}

/* All frames of this line's handhelds, one of each in turn. */
static void *line_run(void *self)
{
    struct line *c = self;
    struct load *l = c->l;
    bool more = true, again = false;
    while (more && !late(l)) {
        more = false;
        for (uint64_t i = c->number; i < l->devices; i += l->connections) {
            struct sender *s = &l->senders[i];
            if (s->next > l->frames)
                continue;
            more = true;
            while (!frame_send(c, s, &again) && !late(l)) {
            }
        }
    }
    return NULL;
}

/* Asks what is here; true when it is everything, in today's epoch. */
static bool all_here(struct line *c, struct sender *s)
{
    while (!late(c->l)) {
        int status = request(c, "GET /v1/a?since=0", s, STR(""));
        if (status == 200 && receipt_take(c, s)) {
            (void)epoch_take(c, s);
            s->next = c->receipt.contiguous + 1;
            return c->receipt.contiguous >= c->l->frames;
        }
        trouble(c);
    }
    return false;
}

/* The clock has stopped: what every receipt says. */
static bool receipts_look(struct load *l, struct line *c)
{
    bool good = true;
    for (uint64_t i = 0; i < l->devices; i++) {
        struct sender *s = &l->senders[i];
        for (uint64_t f = 0; f < l->frames; f++) {
            if (!receipt_open(c, s, (struct str){s->receipts[f].bytes, s->receipts[f].n}) ||
                c->receipt.item_count != 1 || c->receipt.items[0].batch_seq != f + 1) {
                good = false;
                continue;
            }
            const struct receipt_item *item = c->receipt.items;
            if (item->status == RECEIPT_QUARANTINED) {
                fprintf(stderr, "set apart: %.*s\n", STR_ARG(item->reason));
                l->apart++;
            }
        }
    }
    if (!good)
        fprintf(stderr, "doorstep-bench-load: a receipt is missing or not the centre's\n");
    return good;
}

static bool lines_open(struct load *l, struct line *lines)
{
    bool good = true;
    for (uint64_t i = 0; i < l->connections; i++) {
        lines[i] = (struct line){.l = l, .number = (uint32_t)i, .address = (uint32_t)i, .fd = -1};
        lines[i].reply = arena_alloc(&l->a, REPLY_MAX);
        good = good && lines[i].reply;
    }
    return good;
}

static bool lines_run(struct load *l, struct line *lines)
{
    pthread_t threads[CONNECTIONS_MAX];
    uint64_t n = 0;
    while (n < l->connections && pthread_create(&threads[n], NULL, line_run, &lines[n]) == 0)
        n++;
    for (uint64_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    return n == l->connections;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void report(struct load *l, double ms, bool whole)
{
    double frames = (double)(l->devices * l->frames), s = ms / 1000;
    uint64_t n = l->times_count;
    qsort(l->times, n, sizeof *l->times, by_size);
    printf("{\"frames\":%.0f,\"households\":%.0f,\"seconds\":%.2f,\"frames_per_s\":%.1f,"
           "\"households_per_s\":%.1f,\"p50_ms\":%.1f,\"p99_ms\":%.1f,\"sent\":%llu,\"sent_again\":%llu,"
           "\"broken\":%llu,\"apart\":%llu,\"new_epochs\":%llu,\"all_here\":%s}\n",
           frames, frames * (double)l->households, s, frames / s, frames * (double)l->households / s,
           n ? (double)l->times[n / 2] : 0.0, n ? (double)l->times[n * 99 / 100] : 0.0,
           (unsigned long long)l->sent, (unsigned long long)l->again, (unsigned long long)l->broken,
           (unsigned long long)l->apart, (unsigned long long)l->epochs, whole ? "true" : "false");
}

/* Rounds until everything is here: after a set-back handhelds send again. */
static bool deliver(struct load *l)
{
    static struct line lines[CONNECTIONS_MAX];
    bool whole = false;
    if (!lines_open(l, lines))
        return false;
    l->until_ms = l->seam.mono_ms(l->seam.self) + (int64_t)l->seconds * 1000;
    double begun = now_ms(), first = 0;
    while (!whole && !late(l)) {
        if (!lines_run(l, lines))
            break;
        first = first > 0 ? first : now_ms() - begun;
        whole = true;
        for (uint64_t i = 0; i < l->devices; i++)
            whole = all_here(&lines[i % l->connections], &l->senders[i]) && whole;
    }
    whole = receipts_look(l, &lines[0]) && whole;
    report(l, first, whole);
    for (uint64_t i = 0; i < l->connections; i++) {
        hang_up(&lines[i]);
        arena_free(&lines[i].a);
    }
    return whole && !l->apart;
}

/* ---- the command line ---- */

static bool addresses_read(struct load *l, struct str text)
{
    struct str one;
    while (l->address_count < ADDRESSES_MAX && str_split(&text, ',', &one)) {
        struct addrinfo want = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
        size_t colon = one.n;
        while (colon > 0 && one.p[colon - 1] != ':')
            colon--;
        const char *host = colon ? arena_z(&l->a, str_sub(one, 0, colon - 1)) : NULL;
        const char *port = arena_z(&l->a, str_sub(one, colon, one.n));
        if (!host || !port || getaddrinfo(host, port, &want, &l->at[l->address_count]) != 0)
            return false;
        l->address_count++;
    }
    return l->address_count > 0;
}

static bool options_read(struct load *l, int argc, char **argv)
{
    const struct {
        const char *name;
        uint64_t *to, max;
    } rows[] = {{"--devices", &l->devices, 10000},
                {"--frames", &l->frames, 10000},
                {"--households", &l->households, 100},
                {"--connections", &l->connections, CONNECTIONS_MAX},
                {"--seconds", &l->seconds, 36000}};
    for (int i = 3; i + 1 < argc; i += 2) {
        bool known = false;
        for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
            if (strcmp(argv[i], rows[r].name) == 0)
                known = str_to_u64(str_of(argv[i + 1]), rows[r].to) && *rows[r].to >= 1 &&
                        *rows[r].to <= rows[r].max;
        if (!known)
            return false;
    }
    return argc >= 3 && argc % 2 == 1;
}

int main(int argc, char **argv)
{
    static struct load l = {.devices = 20, .frames = 50, .households = 1, .connections = 4, .seconds = 600};
    const struct posix_options po = {0};
    arena_init(&l.a, MEMORY_MAX);
    pthread_mutex_init(&l.lock, NULL);
    if (!options_read(&l, argc, argv) || !addresses_read(&l, str_of(argv[2]))) {
        fprintf(stderr, "usage: doorstep-bench-load DIR ADDRESS:PORT[,...] [--devices D] [--frames F]"
                        " [--households H] [--connections C] [--seconds S]\n");
        return 2;
    }
    if (l.connections > l.devices)
        l.connections = l.devices;
    l.coined = 20261123;
    l.host = (struct session_host){.self = &l, .now_ms = host_now, .random = host_random};
    l.times = ARENA_ARRAY(&l.a, float, l.devices *l.frames);
    enum err rc = l.times ? posix_seam_open(&po, &l.seam, &l.d) : ERR_NOMEM;
    if (!rc)
        rc = centre_read(&l.seam, argv[1], &l.a, &l.centre, &l.d);
    if (!rc)
        rc = centre_store_open(&l.seam, argv[1], &l.st, &l.d);
    if (!rc)
        rc = form_publish(&l);
    if (!rc)
        rc = senders_enter(&l);
    if (rc)
        return give_up(&l, rc, "the handhelds cannot be entered");
    cstore_close(l.st);
    double begun = now_ms();
    rc = frames_seal(&l);
    if (rc)
        return give_up(&l, rc, "the frames cannot be sealed");
    fprintf(stderr, "%llu frames sealed in %.1f s; sending\n", (unsigned long long)l.devices * l.frames,
            (now_ms() - begun) / 1000);
    bool whole = deliver(&l);
    for (uint32_t i = 0; i < l.address_count; i++)
        freeaddrinfo(l.at[i]);
    posix_seam_close(&l.seam);
    arena_free(&l.a);
    return whole ? 0 : 1;
}
