/* doorstepd: the commands of the centre. Each row of the table below is one; `--help` behind any of them
 * shows its options and an example. Results go to standard output, remarks and mistakes to standard error;
 * the exit code is that of the error table.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/http_serve.h"
#include "platform/posix/posix_seam.h"
#include "platform/posix/posix_stream.h"
#include "server/courier.h"
#include "server/desk_work.h"
#include "server/erase.h"
#include "server/household.h"
#include "server/leads.h"
#include "server/reports.h"
#include "server/stage.h"
#include "server/table_in.h"
#include "server/quality.h"
#include "server/parts.h"
#include "server/desk_people.h"
#include "server/qr.h"

#define ARGUMENTS_MAX 8
#define MEMORY_MAX (1536u << 20)
#define OUT_MAX (256u << 20)
#define FILE_BYTES_MAX (64u << 20)
#define BODY_MAX FRAME_SIZE_MAX

enum option {
    OPTION_COUNTY,
    OPTION_LISTEN,
    OPTION_PRINT_PORT,
    OPTION_PERSON,
    OPTION_LOGIN,
    OPTION_QR,
    OPTION_SHARES,
    OPTION_PASSWORD_FILE,
    OPTION_VERIFY,
    OPTION_HEAD,
    OPTION_ACT,
    OPTION_PROXY,
    OPTION_ROLE,
    OPTION_AREA,
    OPTION_URL,
    OPTION_ID,
    OPTION_DRY_RUN,
    OPTION_HOUSEHOLD,
    OPTION_DUE,
    OPTION_JSON,
    OPTION_CSV,
    OPTION_XML,
    OPTION_FORM,
    OPTION_OUT,
    OPTION_LANGUAGE,
    OPTION_THREADS,
    OPTION_LOG,
    OPTION_CERTIFICATE,
    OPTION_KEY,
    OPTION_BUNDLE,
    OPTION_REMOVE,
    OPTION_KEEP,
    OPTION_VALUE,
    OPTION_BY,
    OPTION_FORCE,
    OPTION_REPLAY,
    OPTION_TRAIN,
    OPTION_PUBLIC,
    OPTION_LEADS,
    OPTION_COMMENT,
    OPTION_DRAFT,
    OPTION_DIFF,
    OPTION_STAGE,
    OPTION_LIVE,
    OPTION_WITHDRAW,
    OPTION_CLOSED_DAYS,
    OPTION_MAPPING,
    OPTION_MAPPING_FILE,
    OPTION_ONLY_GOOD,
    OPTION_ERRORS,
    OPTION_MEMBERS,
    OPTION_SOURCE,
    OPTION_PLACE,
    OPTION_STORE,
    OPTION_PARTITIONS,
    OPTION_CONNECTIONS,
    OPTION_COUNT
};

/* clang-format off */
static const struct option_row {
    const char *name, *value, *text;
} options[OPTION_COUNT] = {
    [OPTION_COUNTY] = {"--county",     "NAME",      "the county's name, as handhelds show it"},
    [OPTION_STORE] = {"--store", "URL", "postgresql://... that holds it (a file in DIR when left out)"},
    [OPTION_CONNECTIONS] = {"--connections", "N", "handhelds and browsers connected at once (1000)"},
    [OPTION_PARTITIONS] = {"--partitions", "N", "parts of each PostgreSQL table, by county (8); 0 for Citus"},
    [OPTION_LISTEN] = {"--listen",     "ADDR:PORT", "where to answer (127.0.0.1:8080); port 0 = any"},
    [OPTION_PRINT_PORT] = {"--print-port", NULL,        "print the port once requests are answered"},
    [OPTION_PERSON] = {"--person",     "NAME",      "the person's name; with assign, the person's number"},
    [OPTION_QR] = {"--qr",         "FILE",      "also as a QR code, an SVG picture to show or print"},
    [OPTION_SHARES] = {"--shares",     "NEED/ALL",  "such as 3/5: any three of five give the key back"},
    [OPTION_LOGIN] = {"--admin",      "LOGIN",     "make the first administrator, with this sign-in name"},
    [OPTION_PASSWORD_FILE] = {"--password-file", "FILE", "its first line is the password; - = stdin"},
    [OPTION_VERIFY] = {"--verify",     NULL,        "walk the chain of hashes and say whether it is whole"},
    [OPTION_HEAD] = {"--head",       "N:HASH",    "compare with what an earlier --verify printed"},
    [OPTION_ACT] = {"--act",        "WHAT",      "only this act, such as signed-in or exported"},
    [OPTION_PROXY] = {"--proxy",      "ADDR,ADDR", "proxies whose X-Forwarded-For is believed"},
    [OPTION_ROLE] = {"--role",       "ROLE",      "cadre, enumerator, supervisor, county ..."},
    [OPTION_AREA] = {"--area",       "CODE",      "area code; the person sees what begins with it"},
    [OPTION_URL] = {"--url",        "URL",       "the centre's address as the handheld reaches it"},
    [OPTION_ID] = {"--id",         "ID",        "name of a list (its file name when left out)"},
    [OPTION_DRY_RUN] = {"--dry-run",    NULL,        "check everything, import nothing"},
    [OPTION_HOUSEHOLD] = {"--household",  "CODE",      "the household's code"},
    [OPTION_DUE] = {"--due",        "DATE",      "by when, such as 2026-12-31"},
    [OPTION_JSON] = {"--json",       NULL,        "for programs"},
    [OPTION_CSV] = {"--csv",        NULL,        "one table per form and per repeat"},
    [OPTION_PUBLIC] = {"--public",     NULL,        "only what the form marks as public; rows are numbered"},
    [OPTION_LEADS] = {"--leads", NULL, "leads, their steps and indicators, with the photos of both"},
    [OPTION_XML] = {"--xml",        NULL,        "one document per visit, byte by byte as at the door"},
    [OPTION_FORM] = {"--form",       "ID",        "the form's id"},
    [OPTION_OUT] = {"-o",           "FOLDER",    "where the files go; made when it is not there"},
    [OPTION_LANGUAGE] = {"--language",   "zh|en",     "of findings (from LANG when left out)"},
    [OPTION_KEEP] = {"--keep",       "N",         "the n-th of the values as listed holds"},
    [OPTION_VALUE] = {"--value", "TEXT", "this value holds; of a lead the note, of a flag the reason"},
    [OPTION_SOURCE] = {"--source",     "TEXT",      "who said it"},
    [OPTION_MEMBERS] = {"--members",    "TEXT",      "who goes, in words"},
    [OPTION_MAPPING] = {"--mapping",    "NAME",      "columns as in the mapping kept under this name"},
    [OPTION_MAPPING_FILE] = {"--mapping-file", "FILE",  "lines: ours = theirs, or ours := words"},
    [OPTION_ONLY_GOOD] = {"--only-good",  NULL,        "leave out rows with mistakes, write the others"},
    [OPTION_ERRORS] = {"--errors",     "FILE",      "the mistakes as CSV: line, column, content, remedy"},
    [OPTION_CLOSED_DAYS] = {"--closed-days", "N",        "also erase households closed so many days ago"},
    [OPTION_DRAFT] = {"--draft",      NULL,        "check the file and keep it as a draft; nobody gets it"},
    [OPTION_DIFF] = {"--diff",       NULL,        "what the draft changes, tried on what is stored here"},
    [OPTION_STAGE] = {"--stage",      "AREAS",     "the draft to handhelds of these areas (prefixes) first"},
    [OPTION_LIVE] = {"--live",       NULL,        "the draft to all"},
    [OPTION_WITHDRAW] = {"--withdraw",   NULL,        "publish the version before it again"},
    [OPTION_COMMENT] = {"--comment",    "TEXT",      "what is to be corrected"},
    [OPTION_PLACE] = {"--place",      "PATH",      "the comment is about this question, such as /survey/age"},
    [OPTION_BY] = {"--by",         "NAME",      "who decides"},
    [OPTION_FORCE] = {"--force",      NULL,        "also what the handheld sends again by itself"},
    [OPTION_REPLAY] = {"--replay",     NULL,        "apply the whole log anew and compare"},
    [OPTION_TRAIN] = {"--train",      NULL,        "learn the dictionary from what has arrived here"},
    [OPTION_THREADS] = {"--threads",    "N",         "requests carried out at the same time (2)"},
    [OPTION_CERTIFICATE] = {"--certificate", "FILE",    "serve HTTPS: the certificate with its chain, PEM"},
    [OPTION_KEY] = {"--key",        "FILE",      "the certificate's key, PEM"},
    [OPTION_BUNDLE] = {"--out",        "FILE",      "the bundle for the way back; or a folder"},
    [OPTION_REMOVE] = {"--remove",     NULL,        "what was taken: bundles, a second factor, the root key"},
    [OPTION_LOG] = {"--log",        "FILE",      "append one JSON line per event; - is standard error"},
};
/* clang-format on */

struct run {
    const struct command *command;
    struct str arguments[ARGUMENTS_MAX];
    uint32_t argument_count;
    struct str option[OPTION_COUNT]; /* p NULL = not given */
    struct seam seam;
    struct arena memory;
    struct buf out, lines;
    struct cstore *store;
    struct desk desk;
    const char *dir;
    int64_t shown_ms; /* progress was last shown then */
    bool progress_shown;
};

struct command {
    const char *name, *arguments;
    uint32_t argument_min, argument_max;
    uint64_t options; /* bit per option */
    bool opens_store; /* the first argument is the centre's directory */
    enum err (*call)(struct run *r, struct diag *d);
    const char *text, *example;
};

static bool given(const struct run *r, enum option o)
{
    return r->option[o].p != NULL;
}

static enum err need(const struct run *r, enum option o, struct diag *d)
{
    return given(r, o) ? ERR_OK
                       : diag_set(d, ERR_USAGE, "%s %s is needed. Example: %s", options[o].name,
                                  options[o].value, r->command->example);
}

static struct str option_or_none(const struct run *r, enum option o)
{
    return given(r, o) ? r->option[o] : STR("");
}

/* ---- files ---- */

static enum err file_in(struct run *r, struct str path, struct str *bytes_out, struct diag *d)
{
    struct buf b;
    const char *z = arena_z(&r->memory, path);
    buf_init(&b, FILE_BYTES_MAX);
    enum err rc = z ? r->seam.file_read(r->seam.self, z, &b, d) : ERR_NOMEM;
    if (!rc) {
        *bytes_out = arena_str(&r->memory, buf_str(&b));
        rc = bytes_out->p ? ERR_OK : ERR_NOMEM;
    }
    buf_free(&b);
    return rc;
}

static struct str base_name(struct str path)
{
    size_t from = path.n;
    while (from > 0 && path.p[from - 1] != '/')
        from--;
    return str_sub(path, from, path.n);
}

/* ---- init, serve ---- */

#define PARTITIONS 8
#define PARTITIONS_MAX 256

static enum err store_options(struct run *r, struct centre_options *o, struct diag *d)
{
    struct str url = r->option[OPTION_STORE];
    uint64_t partitions = PARTITIONS;
    if (given(r, OPTION_PARTITIONS) &&
        (!str_to_u64(r->option[OPTION_PARTITIONS], &partitions) || partitions > PARTITIONS_MAX))
        return diag_set(d, ERR_USAGE, "--partitions must be 0 to %d.", PARTITIONS_MAX);
    if (given(r, OPTION_STORE) && !str_starts(url, STR("postgresql://")) &&
        !str_starts(url, STR("postgres://")))
        return diag_set(d, ERR_USAGE, "--store must begin with postgresql://.");
    *o = (struct centre_options){given(r, OPTION_STORE) ? url.p : NULL, (uint32_t)partitions};
    return ERR_OK;
}

static enum err password_given(struct run *r, struct buf *out, struct diag *d)
{
    buf_init(out, PASSWORD_BYTES_MAX + 2);
    return password_ask(given(r, OPTION_PASSWORD_FILE) ? r->option[OPTION_PASSWORD_FILE].p : NULL, out, d);
}

static enum err account_make(struct run *r, const struct person_new *q, struct diag *d)
{
    struct person p;
    enum err rc = account_add(r->store, &r->seam, STR("centre"), q, &p, d);
    if (!rc)
        buf_printf(&r->out, "%.*s is person %u and signs in as %.*s (%s).\n", STR_ARG(p.name), p.person,
                   STR_ARG(q->login), role_name(p.role));
    return rc;
}

static void password_forget(struct buf *password)
{
    if (password->p)
        crypto_wipe(password->p, password->room);
    buf_free(password);
}

/* A password that will not do must not leave a county without its administrator. */
static enum err first_admin_check(struct run *r, struct buf *password, struct diag *d)
{
    struct account_row row = {0};
    enum err rc = crypto_init(d);
    if (!rc)
        rc = login_read(&r->memory, r->option[OPTION_LOGIN], &row.login, d);
    if (!rc)
        rc = password_given(r, password, d);
    if (!rc)
        rc = account_password(&r->seam, &row, buf_str(password), 1, d);
    crypto_wipe(&row, sizeof row);
    return rc;
}

static enum err first_admin(struct run *r, struct str password, struct diag *d)
{
    const struct person_new q = {.login = r->option[OPTION_LOGIN],
                                 .password = password,
                                 .name = given(r, OPTION_PERSON) ? r->option[OPTION_PERSON]
                                                                 : r->option[OPTION_LOGIN],
                                 .area = STR(""),
                                 .role = ROLE_ADMIN};
    enum err rc = centre_store_open(&r->seam, r->dir, &r->store, d);
    return rc ? rc : account_make(r, &q, d);
}

static enum err call_init(struct run *r, struct diag *d)
{
    char print[40];
    struct centre_options o = {0};
    struct buf password = {0};
    enum err rc = need(r, OPTION_COUNTY, d);
    if (!rc && given(r, OPTION_LOGIN))
        rc = first_admin_check(r, &password, d);
    if (!rc)
        rc = store_options(r, &o, d);
    if (!rc)
        rc = centre_make_with(&r->seam, r->dir, r->option[OPTION_COUNTY], &o, print, d);
    if (!rc && given(r, OPTION_LOGIN))
        rc = first_admin(r, buf_str(&password), d);
    password_forget(&password);
    if (!rc)
        buf_printf(&r->out,
                   "county      %.*s\n"
                   "fingerprint %s\n"
                   "People compare this fingerprint by eye when they enrol a handheld by typing.\n"
                   "Copy %s/keys to a safe place; keys/root.key is not needed here until keys are changed.\n",
                   STR_ARG(r->option[OPTION_COUNTY]), print, r->dir);
    return rc;
}

static volatile sig_atomic_t stop_asked, reopen_asked;

static void on_stop(int number)
{
    (void)number;
    stop_asked = 1;
}

static void on_reopen(int number)
{
    (void)number;
    reopen_asked = 1;
}

struct serving {
    struct server *server;
    struct http_serve *_Atomic http; /* set once it has begun */
};

/* Behind the centre's own numbers stand those of its connections. */
static void handle(void *self, const struct http_request *request, struct arena *a, struct http_reply *reply)
{
    struct serving *x = self;
    srv_handle(x->server, request, a, reply);
    struct http_serve *http = x->http;
    if (reply->status != 200 || !http || !str_eq_z(http_path(request->url), "/metrics"))
        return;
    struct http_numbers n = http_serve_numbers(http);
    numbers_line(&reply->body, "doorstep_connections_total", "counter", "Connections accepted.",
                 n.connections);
    numbers_line(&reply->body, "doorstep_connections_open", "gauge", "Open at this moment.", n.open);
    numbers_line(&reply->body, "doorstep_connections_cut_off_total", "counter", "Too slow.", n.cut_off);
    numbers_line(&reply->body, "doorstep_requests_refused_total", "counter",
                 "Too large, too many headers, or no memory for them.", n.refused);
    numbers_line(&reply->body, "doorstep_bodies_held_bytes", "gauge", "Of requests on their way.", n.held);
}

/* "127.0.0.1:8080", "[::1]:8080". */
static enum err listen_read(struct run *r, struct http_serve_options *o, struct diag *d)
{
    struct str text = given(r, OPTION_LISTEN) ? r->option[OPTION_LISTEN] : STR("127.0.0.1:8080");
    size_t colon = text.n;
    uint64_t port = 0;
    while (colon > 0 && text.p[colon - 1] != ':')
        colon--;
    if (colon < 2 || !str_to_u64(str_sub(text, colon, text.n), &port) || port > 65535)
        return diag_set(d, ERR_USAGE, "--listen must be ADDRESS:PORT, such as 127.0.0.1:8080.");
    struct str address = str_sub(text, 0, colon - 1);
    if (str_starts(address, STR("[")) && str_ends(address, STR("]")))
        address = str_sub(address, 1, address.n - 2);
    o->address = arena_z(&r->memory, address);
    o->port = (uint16_t)port;
    return o->address ? ERR_OK : ERR_NOMEM;
}

/* Before threads begin: they inherit the mask, so that the signals come to the main thread, and only while it
 * waits. */
static void stop_prepare(sigset_t *while_waiting)
{
    struct sigaction action = {0};
    sigset_t blocked;
    action.sa_handler = on_stop;
    sigemptyset(&action.sa_mask);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &blocked, while_waiting);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    action.sa_handler = on_reopen;
    (void)sigaction(SIGHUP, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

static enum err tls_read(struct run *r, struct http_serve_options *o, struct diag *d)
{
    struct str certificate = STR_NONE, key = STR_NONE;
    if (given(r, OPTION_CERTIFICATE) != given(r, OPTION_KEY))
        return diag_set(d, ERR_USAGE, "--certificate and --key go together.");
    if (!given(r, OPTION_KEY))
        return ERR_OK;
    enum err rc = file_in(r, r->option[OPTION_CERTIFICATE], &certificate, d);
    if (!rc)
        rc = file_in(r, r->option[OPTION_KEY], &key, d);
    o->certificate = certificate.p;
    o->key = key.p;
    return rc;
}

/* The server opens the database for itself. */
static enum err zone_read_here(struct run *r, const struct zone **out, struct diag *d)
{
    struct desk k = {.seam = &r->seam, .a = &r->memory};
    enum err rc = centre_store_open(&r->seam, r->dir, &k.st, d);
    if (!rc)
        *out = county_zone(&k);
    cstore_close(k.st);
    return rc;
}

static enum err call_zone(struct run *r, struct diag *d)
{
    struct published now;
    struct publish_result done;
    struct str name;
    if (r->argument_count == 2)
        return publish(&r->desk, STR("zone"), STR(""), STR(""), r->arguments[1], &done, d);
    enum err rc = published_live(r->store, &r->memory, "zone", STR("county"), &now, NULL);
    name = rc ? STR("not set: the machine's") : now.version;
    buf_printf(&r->out, "%.*s\n", STR_ARG(name));
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

/* SIGHUP: the log was moved away, a new one begins. */
static void wait_for_stop(struct run *r, const sigset_t *while_waiting)
{
    while (!stop_asked) {
        struct diag d = {0};
        (void)sigsuspend(while_waiting);
        if (!reopen_asked)
            continue;
        reopen_asked = 0;
        if (posix_log_reopen(&r->seam, &d))
            fprintf(stderr, "doorstepd: %s\n", d.text);
    }
}

#define CONNECTIONS_MAX 100000
#define OTHER_FILES 256 /* databases, logs, sockets to the database */

/* Every connection is an open file; the system lets a program have as many as its hard limit says. */
static enum err connections_read(struct run *r, struct http_serve_options *o, struct diag *d)
{
    uint64_t wanted = 0;
    struct rlimit files = {0};
    if (!given(r, OPTION_CONNECTIONS))
        return ERR_OK;
    if (!str_to_u64(r->option[OPTION_CONNECTIONS], &wanted) || wanted < 1 || wanted > CONNECTIONS_MAX)
        return diag_set(d, ERR_USAGE, "--connections must be 1 to %d.", CONNECTIONS_MAX);
    o->connections_max = (uint32_t)wanted;
    (void)getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur >= wanted + OTHER_FILES)
        return ERR_OK;
    files.rlim_cur = wanted + OTHER_FILES;
    if (files.rlim_cur > files.rlim_max || setrlimit(RLIMIT_NOFILE, &files) != 0)
        return diag_set(
            d, ERR_LIMIT,
            "%llu connections need %llu open files, and this program may have %llu (LimitNOFILE).",
            (unsigned long long)wanted, (unsigned long long)wanted + OTHER_FILES,
            (unsigned long long)files.rlim_max);
    return ERR_OK;
}

static enum err call_serve(struct run *r, struct diag *d)
{
    struct server *server = NULL;
    struct http_serve *http = NULL;
    struct serving serving = {0};
    uint64_t threads = 2;
    sigset_t while_waiting;
    struct http_serve_options o = {.body_max = BODY_MAX, .handle = handle, .in_pieces = srv_in_pieces};
    if (given(r, OPTION_THREADS) &&
        (!str_to_u64(r->option[OPTION_THREADS], &threads) || threads < 1 || threads > SRV_CONNECTIONS_MAX))
        return diag_set(d, ERR_USAGE, "--threads must be 1 to %d.", SRV_CONNECTIONS_MAX);
    struct server_options so = {.seam = &r->seam, .dir = r->dir, .connections = (uint32_t)threads};
    enum err rc = listen_read(r, &o, d);
    if (!rc)
        rc = connections_read(r, &o, d);
    if (!rc)
        rc = zone_read_here(r, &so.zone, d);
    if (!rc)
        rc = tls_read(r, &o, d);
    if (!rc)
        rc = srv_open(&so, &server, d);
    serving.server = server;
    o.self = &serving;
    o.threads = (uint32_t)threads;
    o.proxies = given(r, OPTION_PROXY) ? r->option[OPTION_PROXY].p : NULL;
    stop_prepare(&while_waiting);
    if (!rc)
        rc = http_serve_start(&o, &http, d);
    if (!rc) {
        serving.http = http;
        r->seam.log(r->seam.self, LOG_START, http_serve_port(http), 0, ERR_OK);
        if (given(r, OPTION_PRINT_PORT))
            printf("%u\n", http_serve_port(http));
        fprintf(stderr, "The centre of %.*s answers at %s, port %u. Stop it with Ctrl-C.\n",
                STR_ARG(srv_centre(server)->county), o.address, http_serve_port(http));
        (void)fflush(stdout);
        wait_for_stop(r, &while_waiting);
        r->seam.log(r->seam.self, LOG_STOP, 0, 0, ERR_OK);
    }
    http_serve_stop(http);
    srv_close(server);
    return rc;
}

/* ---- people and devices ---- */

static enum err qr_file_write(struct run *r, struct str text, struct diag *d)
{
    struct buf svg;
    buf_init(&svg, 1u << 20);
    enum err rc = qr_svg(text, r->option[OPTION_PERSON], &svg, d);
    if (!rc)
        rc = r->seam.file_write(r->seam.self, r->option[OPTION_QR].p, buf_str(&svg), true, d);
    buf_free(&svg);
    return rc;
}

static enum err ticket_print(struct run *r, const struct centre *c, const struct enrol_ticket *t,
                             struct diag *d)
{
    char token[ENROL_TOKEN_TEXT], print[40];
    unsigned char hash[SHA256_SIZE];
    struct enrol_code code = {.url = r->option[OPTION_URL], .token60 = t->token60};
    struct buf qr;
    buf_init(&qr, 4096);
    enum err rc = sha256((struct str){(const char *)c->keys.root_public, P256_PUBLIC_SIZE}, hash);
    memcpy(code.seal_public, c->keys.seal_public, sizeof code.seal_public);
    memcpy(code.root_print, hash, sizeof code.root_print);
    if (!rc)
        rc = enrol_code_write(&code, &qr);
    if (rc)
        return diag_set(d, rc, "The enrolment code cannot be written; is the address too long?");
    if (given(r, OPTION_QR))
        rc = qr_file_write(r, buf_str(&qr), d);
    if (rc) {
        buf_free(&qr);
        return rc;
    }
    enrol_token_write(t->token60, token);
    root_print_text(hash, print);
    if (given(r, OPTION_JSON)) {
        buf_put_z(&r->out, "{\"token\":");
        buf_put_json(&r->out, str_of(token));
        buf_put_z(&r->out, ",\"code\":");
        buf_put_json(&r->out, buf_str(&qr));
        buf_put_z(&r->out, ",\"url\":");
        buf_put_json(&r->out, code.url);
        buf_put_z(&r->out, ",\"fingerprint\":");
        buf_put_json(&r->out, str_of(print));
        buf_printf(&r->out, ",\"person\":%u,\"until_ms\":%lld}\n", t->person.person, (long long)t->until_ms);
    } else {
        char until[40];
        struct civil when = civil_at(t->until_ms, zone_utc());
        (void)civil_write(&when, until);
        buf_printf(&r->out,
                   "person      %u %.*s\naddress     %.*s\ntoken       %s\nfingerprint %s\ncode        %.*s\n"
                   "The token works once, until %.16s UTC.\n",
                   t->person.person, STR_ARG(t->person.name), STR_ARG(code.url), token, print,
                   STR_ARG(buf_str(&qr)), until);
    }
    buf_free(&qr);
    return ERR_OK;
}

static enum err call_enrol_token(struct run *r, struct diag *d)
{
    static const enum option wanted[] = {OPTION_PERSON, OPTION_ROLE, OPTION_AREA, OPTION_URL};
    struct centre c;
    struct enrol_ticket t;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        enum err missing = need(r, wanted[i], d);
        if (missing)
            return missing;
    }
    if (!str_starts(r->option[OPTION_URL], STR("http://")) &&
        !str_starts(r->option[OPTION_URL], STR("https://")))
        return diag_set(d, ERR_USAGE, "--url must begin with http:// or https://.");
    enum err rc = centre_read(&r->seam, r->dir, &r->memory, &c, d);
    if (!rc)
        rc = people_ticket(r->store, &c, &r->seam, r->option[OPTION_PERSON], role_of(r->option[OPTION_ROLE]),
                           r->option[OPTION_AREA], &t, d);
    if (!rc)
        rc = ticket_print(r, &c, &t, d);
    crypto_wipe(&c, sizeof c);
    return rc;
}

static enum err listed(struct run *r, struct str what, struct diag *d);

/* "person add DIR LOGIN": the directory stands second. */
static enum err person_add(struct run *r, struct diag *d)
{
    struct buf password = {0};
    struct person_new q = {.name = r->option[OPTION_PERSON],
                           .login = r->arguments[2],
                           .area = given(r, OPTION_AREA) ? r->option[OPTION_AREA] : STR(""),
                           .role = role_of(r->option[OPTION_ROLE])};
    enum err rc = need(r, OPTION_PERSON, d);
    if (!rc)
        rc = need(r, OPTION_ROLE, d);
    if (!rc)
        rc = password_given(r, &password, d);
    q.password = buf_str(&password);
    if (!rc)
        rc = account_make(r, &q, d);
    password_forget(&password);
    return rc;
}

static enum err person_password(struct run *r, uint32_t person, struct diag *d)
{
    struct buf password;
    enum err rc = password_given(r, &password, d);
    if (!rc)
        rc = account_set_password(r->store, &r->seam, STR("centre"), person, buf_str(&password), NULL, d);
    if (!rc)
        buf_put_z(&r->out, "The password is changed; whoever was signed in under this name is signed out.\n");
    password_forget(&password);
    return rc;
}

static enum err person_role(struct run *r, uint32_t person, struct diag *d)
{
    struct person p;
    enum err rc = cstore_person(r->store, &r->memory, person, &p, d);
    uint8_t role = given(r, OPTION_ROLE) ? role_of(r->option[OPTION_ROLE]) : p.role;
    struct str area = given(r, OPTION_AREA) ? r->option[OPTION_AREA] : p.area;
    if (!rc)
        rc = account_set_role(r->store, &r->seam, STR("centre"), person, role, area, d);
    if (!rc)
        buf_printf(&r->out, "%.*s is %s now, in area %.*s.\n", STR_ARG(p.name), role_name(role),
                   area.n ? (int)area.n : 14, area.n ? area.p : "(whole county)");
    return rc;
}

static enum err person_end(struct run *r, uint32_t person, struct diag *d)
{
    enum err rc = account_end(r->store, &r->seam, STR("centre"), person, d);
    if (!rc)
        buf_put_z(&r->out, "This person signs in no more, and their handhelds are revoked. Open work stays "
                           "assigned until somebody assigns it anew.\n");
    return rc;
}

static enum err person_code(struct run *r, uint32_t person, struct diag *d)
{
    struct str county;
    enum err rc = ERR_OK;
    if (given(r, OPTION_REMOVE)) {
        rc = account_set_totp(r->store, &r->seam, STR("centre"), person, NULL, d);
        if (!rc)
            buf_put_z(&r->out, "Signing in needs no code any more.\n");
        return rc;
    }
    rc = cstore_county(r->store, &r->memory, &county, NULL, &(struct counters){0}, d);
    return rc ? rc
              : totp_give(&r->desk, county, person, given(r, OPTION_QR) ? r->option[OPTION_QR].p : NULL,
                          &r->out, d);
}

static enum err call_person(struct run *r, struct diag *d)
{
    static const struct {
        const char *name;
        enum err (*call)(struct run *r, uint32_t person, struct diag *d);
    } acts[] = {{"password", person_password},
                {"role", person_role},
                {"end", person_end},
                {"code", person_code}};
    struct str what = r->arguments[0];
    uint32_t person = 0;
    if (str_eq_z(what, "list") && r->argument_count == 2)
        return listed(r, STR("people"), d);
    if (str_eq_z(what, "add") && r->argument_count == 3)
        return person_add(r, d);
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        if (!str_eq_z(what, acts[i].name) || r->argument_count != 3)
            continue;
        enum err rc = person_named(&r->desk, r->arguments[2], &person, d);
        return rc ? rc : acts[i].call(r, person, d);
    }
    return diag_set(d, ERR_USAGE, "Say: %s", r->command->example);
}

static enum err call_root(struct run *r, struct diag *d)
{
    struct str what = r->arguments[0], need_text, rest = r->option[OPTION_SHARES];
    uint64_t needed = 0, count = 0;
    if (str_eq_z(what, "join") && r->argument_count >= 3)
        return root_put_back(&r->desk, r->dir, r->arguments + 2, r->argument_count - 2, &r->out, d);
    if (!str_eq_z(what, "split") || r->argument_count != 3)
        return diag_set(d, ERR_USAGE, "Say: %s", r->command->example);
    enum err rc = need(r, OPTION_SHARES, d);
    if (!rc && (!str_split(&rest, '/', &need_text) || !str_to_u64(need_text, &needed) ||
                !str_to_u64(rest, &count) || count > 255 || needed > 255))
        rc = diag_set(d, ERR_USAGE, "--shares must be NEEDED/ALL, such as 3/5.");
    return rc ? rc
              : root_give_out(&r->desk, r->dir, r->arguments[2].p, (uint8_t)needed, (uint8_t)count,
                              given(r, OPTION_REMOVE), &r->out, d);
}

static enum err call_audit(struct run *r, struct diag *d)
{
    const struct audit_question q = {.person = r->option[OPTION_PERSON],
                                     .household = r->option[OPTION_HOUSEHOLD],
                                     .act = r->option[OPTION_ACT],
                                     .head = r->option[OPTION_HEAD],
                                     .verify = given(r, OPTION_VERIFY),
                                     .json = given(r, OPTION_JSON)};
    return audit_answer(&r->desk, &q, &r->out, d);
}

static enum err listed(struct run *r, struct str what, struct diag *d)
{
    const char *lang = getenv("LC_ALL");
    lang = lang && *lang ? lang : getenv("LANG");
    struct str language = given(r, OPTION_LANGUAGE) ? r->option[OPTION_LANGUAGE] : str_of(lang ? lang : "en");
    return list_of(&r->desk, what, given(r, OPTION_JSON), language, &r->out, d);
}

static enum err call_device(struct run *r, struct diag *d)
{
    struct str what = r->arguments[0];
    uint64_t device = 0;
    unsigned char bytes[8];
    if (str_eq_z(what, "list") && r->argument_count == 2)
        return listed(r, STR("devices"), d);
    bool lost = str_eq_z(what, "erase");
    if ((!lost && !str_eq_z(what, "revoke")) || r->argument_count != 3)
        return diag_set(d, ERR_USAGE, "Say: %s", r->command->example);
    if (!hex_read(r->arguments[2], bytes, sizeof bytes))
        return diag_set(d, ERR_USAGE,
                        "A handheld is named by 16 hexadecimal digits; see: doorstepd device list DIR");
    for (int i = 0; i < 8; i++)
        device = device << 8 | bytes[i];
    enum err rc = (lost ? people_lost : people_revoke)(r->store, device, r->seam.wall_ms(r->seam.self), d);
    if (!rc && lost)
        buf_put_z(&r->out,
                  "When it is heard of next, it gives what it still holds, which is set apart here, and "
                  "erases all that has receipts.\n");
    if (!rc) {
        r->seam.log(r->seam.self, LOG_DEVICE_REVOKED, (int64_t)device, 0, ERR_OK);
        buf_printf(&r->out,
                   "Handheld %016llx is revoked. What it still sends is kept apart and not applied.\n",
                   (unsigned long long)device);
    }
    return rc;
}

/* ---- publish, import, assign ---- */

static struct str shortened(struct str s)
{
    s = str_sub(s, 0, 200);
    while (s.n && !utf8_valid(s))
        s.n--;
    return s;
}

static void stage_change_tell(struct buf *out, const struct stage_change *c)
{
    buf_printf(out, "%c %.*s", (char)c->sign, STR_ARG(c->place));
    if (c->label.n)
        buf_printf(out, "  %.*s", STR_ARG(c->label));
    if (c->what.n)
        buf_printf(out, "  %.*s", STR_ARG(c->what));
    if (c->before.n || c->now.n)
        buf_printf(out, "  %.*s -> %.*s", STR_ARG(shortened(c->before)), STR_ARG(shortened(c->now)));
    buf_put_char(out, '\n');
}

static enum err stage_compared(struct run *r, struct str kind, struct str id, struct diag *d)
{
    struct stage_diff x;
    enum err rc = stage_compare(&r->desk, kind, id, STAGE_TRIALS_MAX, &x, d);
    if (rc)
        return rc;
    buf_printf(&r->out, "%.*s %.*s: %.*s -> %.*s\n", STR_ARG(kind), STR_ARG(id),
               STR_ARG(x.live.id.n ? x.live.version : STR("(nothing)")), STR_ARG(x.version));
    for (uint32_t i = 0; i < x.count; i++)
        stage_change_tell(&r->out, &x.changes[i]);
    if (str_eq_z(kind, "form"))
        buf_printf(
            &r->out,
            "tried on %llu visits: %llu would need a look (no place %llu, does not fit %llu, no such choice "
            "%llu, not allowed %llu, must be answered %llu)\n",
            (unsigned long long)x.tried, (unsigned long long)x.attention, (unsigned long long)x.gone,
            (unsigned long long)x.misfit, (unsigned long long)x.choice, (unsigned long long)x.constraint,
            (unsigned long long)x.required);
    if (str_eq_z(kind, "pack"))
        buf_printf(&r->out,
                   "%llu households judged with both: red %llu -> %llu, yellow %llu -> %llu; %llu change\n",
                   (unsigned long long)x.judged, (unsigned long long)x.from[0], (unsigned long long)x.to[0],
                   (unsigned long long)x.from[1], (unsigned long long)x.to[1],
                   (unsigned long long)x.other_level);
    for (uint32_t i = 0; i < x.household_count; i++)
        buf_printf(&r->out, "  %.*s  %.*s -> %.*s\n", STR_ARG(x.households[i].code),
                   STR_ARG(x.households[i].before), STR_ARG(x.households[i].now));
    return ERR_OK;
}

/* Drafts and stages: --draft takes a file, the others the draft of that id. */
static enum err call_stage(struct run *r, struct diag *d)
{
    struct str kind = r->arguments[1], id = option_or_none(r, OPTION_ID), bytes;
    struct publish_result n = {0};
    struct published now;
    enum err rc = ERR_OK;
    bool draft = given(r, OPTION_DRAFT);
    if (draft != (r->argument_count == 3) || (!draft && !id.n))
        return diag_set(d, ERR_USAGE,
                        "--draft takes a FILE; --diff, --stage, --live and --withdraw take --id ID.");
    if (draft) {
        rc = file_in(r, r->arguments[2], &bytes, d);
        if (!rc)
            rc = stage_draft(&r->desk, option_or_none(r, OPTION_BY), kind, id, base_name(r->arguments[2]),
                             bytes, &n, d);
        if (!rc)
            buf_printf(&r->out, "draft: %.*s %.*s %.*s; nobody gets it yet\n", STR_ARG(kind), STR_ARG(n.id),
                       STR_ARG(n.version));
        return rc;
    }
    if (given(r, OPTION_DIFF))
        return stage_compared(r, kind, id, d);
    if (given(r, OPTION_WITHDRAW)) {
        rc = stage_withdraw(&r->desk, kind, id, &now, d);
        if (!rc)
            buf_printf(&r->out, "version %.*s is live again\n", STR_ARG(now.version));
        return rc;
    }
    rc = stage_publish(&r->desk, kind, id, given(r, OPTION_LIVE) ? STR("") : r->option[OPTION_STAGE], &n, d);
    if (!rc)
        buf_printf(&r->out, "version %.*s goes to %s%.*s\n", STR_ARG(n.version),
                   given(r, OPTION_LIVE) ? "all" : "handhelds of ",
                   STR_ARG(given(r, OPTION_LIVE) ? STR("") : r->option[OPTION_STAGE]));
    return rc;
}

static enum err call_publish(struct run *r, struct diag *d)
{
    struct str bytes, id = given(r, OPTION_ID) ? r->option[OPTION_ID] : STR("");
    struct publish_result result;
    char hash[2 * SHA256_SIZE + 1] = {0};
    bool train = given(r, OPTION_TRAIN);
    if (given(r, OPTION_DRAFT) || given(r, OPTION_DIFF) || given(r, OPTION_STAGE) || given(r, OPTION_LIVE) ||
        given(r, OPTION_WITHDRAW))
        return call_stage(r, d);
    if (train != (r->argument_count == 2) || (train && !str_eq_z(r->arguments[1], "dictionary")))
        return diag_set(d, ERR_USAGE, "A FILE is published; --train makes a dictionary, without one.");
    struct str name = train ? STR("") : base_name(r->arguments[2]);
    enum err rc = train ? dict_train(&r->desk, &bytes, d) : file_in(r, r->arguments[2], &bytes, d);
    if (!rc)
        rc = publish(&r->desk, r->arguments[1], id, name, bytes, &result, d);
    if (rc)
        return rc;
    hex_write(result.hash, SHA256_SIZE, hash);
    r->seam.log(r->seam.self, LOG_PUBLISHED, (int64_t)bytes.n, result.changed, ERR_OK);
    if (given(r, OPTION_JSON)) {
        buf_put_z(&r->out, "{\"kind\":");
        buf_put_json(&r->out, result.kind);
        buf_put_z(&r->out, ",\"id\":");
        buf_put_json(&r->out, result.id);
        buf_put_z(&r->out, ",\"version\":");
        buf_put_json(&r->out, result.version);
        buf_printf(&r->out, ",\"hash\":\"%s\",\"fields\":%u,\"repeats\":%u,\"bytes\":%zu,\"changed\":%s}\n",
                   hash, result.fields, result.repeats, bytes.n, result.changed ? "true" : "false");
    } else {
        buf_printf(&r->out, "%s: %.*s %.*s %.*s (%zu bytes, %.16s)\n",
                   result.changed ? "published" : "is live already", STR_ARG(result.kind), STR_ARG(result.id),
                   STR_ARG(result.version), bytes.n, hash);
    }
    return ERR_OK;
}

/* --mapping NAME is kept; --mapping-file FILE keeps another one under that name, or serves this once. */
static enum err mapping_in(struct run *r, struct str *out, struct diag *d)
{
    enum err rc = ERR_OK;
    *out = STR("");
    if (given(r, OPTION_MAPPING_FILE))
        rc = file_in(r, r->option[OPTION_MAPPING_FILE], out, d);
    if (!rc && given(r, OPTION_MAPPING_FILE) && given(r, OPTION_MAPPING))
        rc = mapping_put(&r->desk, r->option[OPTION_MAPPING], *out, d);
    else if (!rc && given(r, OPTION_MAPPING))
        rc = mapping_get(&r->desk, r->option[OPTION_MAPPING], out, d);
    return rc;
}

static void error_row(void *self, const struct import_error *e)
{
    struct buf *b = self;
    if (b->n == 0)
        buf_put_z(b, "line,column,name,content,remedy\n");
    buf_printf(b, "%u,%u,", e->line, e->column);
    buf_put_csv(b, e->name);
    buf_put_char(b, ',');
    buf_put_csv(b, e->content);
    buf_put_char(b, ',');
    buf_put_csv(b, e->remedy);
    buf_put_char(b, '\n');
}

static enum err import_file(struct run *r, enum import_what what, struct import_result *n, struct diag *d)
{
    struct stream_in *in = NULL;
    struct buf errors;
    struct import_ask ask = {.dry_run = given(r, OPTION_DRY_RUN),
                             .only_good = given(r, OPTION_ONLY_GOOD),
                             .self = &errors,
                             .error = given(r, OPTION_ERRORS) ? error_row : NULL};
    buf_init(&errors, OUT_MAX);
    enum err rc = mapping_in(r, &ask.mapping, d);
    if (!rc)
        rc = stream_in_open(r->arguments[2].p, &in, d);
    ask.from = (struct import_source){.self = in, .read = stream_in_read};
    if (!rc)
        rc = import_table(&r->desk, what, &ask, n, d);
    if (given(r, OPTION_ERRORS) && errors.n) {
        enum err kept = r->seam.file_write(r->seam.self, r->option[OPTION_ERRORS].p, buf_str(&errors), true,
                                           NULL);
        if (kept && !rc)
            rc = diag_set(d, kept, "The list of mistakes could not be written.");
    }
    stream_in_close(in);
    buf_free(&errors);
    return rc;
}

static enum err call_import(struct run *r, struct diag *d)
{
    struct str text, what = r->arguments[1];
    struct import_result n = {0};
    bool dry = given(r, OPTION_DRY_RUN);
    bool households = str_eq_z(what, "households"), leads = str_eq_z(what, "leads");
    if (!households && !leads && !str_eq_z(what, "departments"))
        return diag_set(d, ERR_USAGE, "What is imported is households, departments or leads.");
    bool json = str_ends(r->arguments[2], STR(".json"));
    enum err rc = json ? file_in(r, r->arguments[2], &text, d) : ERR_OK;
    if (!rc && json && households)
        rc = diag_set(d, ERR_USAGE, "Households come as CSV.");
    else if (!rc && json)
        rc = leads ? import_leads(&r->desk, text, dry, &n, d)
                   : import_departments(&r->desk, text, dry, &n, d);
    else if (!rc)
        rc = import_file(r,
                         households ? IMPORT_HOUSEHOLDS
                         : leads    ? IMPORT_LEADS
                                    : IMPORT_DEPARTMENTS,
                         &n, d);
    if (rc)
        return rc;
    if (n.bad && !given(r, OPTION_JSON))
        buf_printf(&r->out, "%llu rows have mistakes and were left out\n", (unsigned long long)n.bad);
    if (given(r, OPTION_JSON))
        buf_printf(&r->out, "{\"rows\":%llu,\"added\":%llu,\"changed\":%llu,\"same\":%llu,\"dry_run\":%s}\n",
                   (unsigned long long)n.rows, (unsigned long long)n.added, (unsigned long long)n.changed,
                   (unsigned long long)n.same, dry ? "true" : "false");
    else
        buf_printf(&r->out, "%s: %llu rows, %llu new, %llu changed, %llu as they were\n",
                   dry ? "would be imported" : "imported", (unsigned long long)n.rows,
                   (unsigned long long)n.added, (unsigned long long)n.changed, (unsigned long long)n.same);
    return ERR_OK;
}

static enum err call_lead(struct run *r, struct diag *d)
{
    uint64_t number = 0;
    if (!str_to_u64(r->arguments[1], &number))
        return diag_set(d, ERR_USAGE, "A lead is named by its number; see: doorstepd list DIR leads");
    struct work_by by;
    enum err rc = need(r, OPTION_BY, d);
    if (!rc)
        rc = work_by_named(&r->desk, r->option[OPTION_BY], option_or_none(r, OPTION_ROLE),
                           option_or_none(r, OPTION_AREA), &by, d);
    return rc ? rc
              : lead_step_note(&r->desk, number, r->arguments[2], option_or_none(r, OPTION_VALUE), &by, d);
}

static enum err call_assign(struct run *r, struct diag *d)
{
    uint64_t person = 0;
    bool changed = false;
    enum err rc = need(r, OPTION_HOUSEHOLD, d);
    if (!rc)
        rc = need(r, OPTION_PERSON, d);
    if (!rc && (!str_to_u64(r->option[OPTION_PERSON], &person) || person == 0 || person > UINT32_MAX))
        rc = diag_set(d, ERR_USAGE, "--person is the number that enrol-token printed.");
    if (!rc)
        rc = assign_household(&r->desk, r->option[OPTION_HOUSEHOLD], (uint32_t)person,
                              given(r, OPTION_DUE) ? r->option[OPTION_DUE] : STR(""), &changed, d);
    if (!rc)
        buf_printf(&r->out, "%s: household %.*s, person %llu\n",
                   changed ? "assigned" : "was assigned so already", STR_ARG(r->option[OPTION_HOUSEHOLD]),
                   (unsigned long long)person);
    return rc;
}

/* ---- status, list, export ---- */

static enum err call_status(struct run *r, struct diag *d)
{
    return list_status(&r->desk, given(r, OPTION_JSON), &r->out, d);
}

static enum err call_list(struct run *r, struct diag *d)
{
    return listed(r, r->arguments[1], d);
}

/* Files appear under their names only when they are whole. */
struct folder {
    const char *dir;
    struct arena *memory;
    struct {
        FILE *f;
        const char *path, *part;
    } at[EXPORT_FILES_MAX];
};

static enum err folder_failed(struct diag *d, const char *path)
{
    enum err rc = errno == ENOSPC || errno == EDQUOT ? ERR_FULL : errno == EACCES ? ERR_DENIED : ERR_IO;
    return diag_set(d, rc, "%s cannot be written: %s.", path, strerror(errno));
}

static enum err folder_begin(void *self, uint32_t file, struct str name, struct diag *d)
{
    struct folder *o = self;
    struct buf path;
    ptrdiff_t slash = str_find(name, STR("/"));
    buf_init(&path, 8192);
    if (slash > 0) {
        buf_printf(&path, "%s/%.*s", o->dir, (int)slash, name.p);
        if (!path.failed && mkdir(path.p, 0777) != 0 && errno != EEXIST) {
            enum err failed = folder_failed(d, path.p);
            buf_free(&path);
            return failed;
        }
        buf_clear(&path);
    }
    buf_printf(&path, "%s/%.*s", o->dir, STR_ARG(name));
    o->at[file].path = arena_z(o->memory, buf_str(&path));
    buf_put_z(&path, ".part");
    o->at[file].part = arena_z(o->memory, buf_str(&path));
    enum err rc = path.failed ? diag_set(d, path.failed, "The path of the export is too long.") : ERR_OK;
    buf_free(&path);
    if (rc || !o->at[file].path || !o->at[file].part)
        return rc ? rc : ERR_NOMEM;
    o->at[file].f = fopen(o->at[file].part, "wb");
    return o->at[file].f ? ERR_OK : folder_failed(d, o->at[file].part);
}

static enum err folder_write(void *self, uint32_t file, struct str bytes, struct diag *d)
{
    struct folder *o = self;
    return fwrite(bytes.p, 1, bytes.n, o->at[file].f) == bytes.n ? ERR_OK
                                                                 : folder_failed(d, o->at[file].part);
}

static enum err folder_end(void *self, uint32_t file, struct diag *d)
{
    struct folder *o = self;
    FILE *f = o->at[file].f;
    bool whole = fflush(f) == 0 && fsync(fileno(f)) == 0;
    enum err rc = whole ? ERR_OK : folder_failed(d, o->at[file].part);
    o->at[file].f = NULL;
    if (fclose(f) != 0 && !rc)
        rc = folder_failed(d, o->at[file].part);
    if (!rc && rename(o->at[file].part, o->at[file].path) != 0)
        rc = folder_failed(d, o->at[file].path);
    return rc;
}

static void folder_drop(struct folder *o)
{
    for (uint32_t i = 0; i < EXPORT_FILES_MAX; i++) {
        if (!o->at[i].f)
            continue;
        (void)fclose(o->at[i].f);
        (void)unlink(o->at[i].part);
    }
}

static enum err call_export(struct run *r, struct diag *d)
{
    struct export_result n;
    struct folder folder = {.memory = &r->memory};
    const struct export_sink sink = {.self = &folder,
                                     .begin = folder_begin,
                                     .write = folder_write,
                                     .end = folder_end};
    bool csv = given(r, OPTION_CSV), open = given(r, OPTION_PUBLIC), leads = given(r, OPTION_LEADS);
    if (csv + given(r, OPTION_XML) + open + leads != 1)
        return diag_set(d, ERR_USAGE, "Say one of --csv, --xml, --public and --leads. Example: %s",
                        r->command->example);
    enum err rc = leads ? ERR_OK : need(r, OPTION_FORM, d);
    if (!rc)
        rc = need(r, OPTION_OUT, d);
    if (rc)
        return rc;
    folder.dir = arena_z(&r->memory, r->option[OPTION_OUT]);
    rc = folder.dir ? r->seam.dir_make(r->seam.self, folder.dir, d) : ERR_NOMEM;
    if (!rc)
        rc = csv     ? export_csv(&r->desk, r->option[OPTION_FORM], &sink, &n, d)
             : leads ? export_leads(&r->desk, &sink, &n, d)
             : open  ? export_public(&r->desk, r->option[OPTION_FORM], &sink, &n, d)
                     : export_xml(&r->desk, r->option[OPTION_FORM], &sink, &n, d);
    folder_drop(&folder);
    if (rc)
        return rc;
    if (given(r, OPTION_JSON))
        buf_printf(&r->out,
                   "{\"visits\":%llu,\"rows\":%llu,\"files\":%llu,\"bytes\":%llu,\"left_out\":%llu,"
                   "\"attachments\":%llu,\"attachments_missing\":%llu}\n",
                   (unsigned long long)n.submissions, (unsigned long long)n.rows, (unsigned long long)n.files,
                   (unsigned long long)n.bytes, (unsigned long long)n.left_out,
                   (unsigned long long)n.attachments, (unsigned long long)n.attachments_missing);
    else
        buf_printf(&r->out, "%llu visits in %llu files, %llu bytes, in %s\n",
                   (unsigned long long)n.submissions, (unsigned long long)n.files,
                   (unsigned long long)n.bytes, folder.dir);
    return ERR_OK;
}

/* ---- memory cards ---- */

#define CARD_FILES_MAX 1024
#define CARD_SUFFIX ".dsb"

/* A folder gets the bundle under a name of its own, the same every time: one bundle from the centre at most.
 */
static enum err bundle_out(struct run *r, const char **out, struct diag *d)
{
    struct stat st;
    struct buf path;
    if (!given(r, OPTION_BUNDLE))
        return ERR_OK;
    buf_init(&path, 8192);
    buf_put_str(&path, r->option[OPTION_BUNDLE]);
    if (!path.failed && stat(path.p, &st) == 0 && S_ISDIR(st.st_mode))
        buf_put_z(&path, "/doorstep-centre" CARD_SUFFIX);
    *out = path.failed ? NULL : arena_z(&r->memory, buf_str(&path));
    buf_free(&path);
    return *out ? ERR_OK : diag_set(d, ERR_USAGE, "The path behind --out is too long.");
}

static enum err bundles_in(struct run *r, const char ***paths_out, uint32_t *count_out, struct diag *d)
{
    const char **paths = ARENA_ARRAY(&r->memory, const char *, CARD_FILES_MAX);
    uint32_t kept = 0;
    enum err rc = paths ? ERR_OK : ERR_NOMEM;
    for (uint32_t i = 2; !rc && i < r->argument_count; i++) {
        struct str *found = NULL;
        uint32_t count = 0;
        rc = stream_list(&r->memory, r->arguments[i].p, CARD_SUFFIX, CARD_FILES_MAX - kept, &found, &count,
                         d);
        for (uint32_t k = 0; !rc && k < count; k++)
            paths[kept++] = found[k].p;
    }
    if (!rc && kept == 0)
        rc = diag_set(d, ERR_NOT_FOUND, "There is no bundle (*%s) at %s.", CARD_SUFFIX, r->arguments[2].p);
    *paths_out = paths;
    *count_out = kept;
    return rc;
}

static void courier_print(struct run *r, const struct courier_counts *n)
{
    if (given(r, OPTION_JSON))
        buf_printf(&r->out,
                   "{\"bundles\":%llu,\"bundles_damaged\":%llu,\"bytes_damaged\":%llu,"
                   "\"frames_missing\":%llu,\"stored\":%llu,\"again\":%llu,\"apart\":%llu,"
                   "\"refused\":%llu,\"devices\":%llu,\"receipts\":%llu,\"downs\":%llu,\"objects\":%llu,"
                   "\"bytes\":%llu,\"removed\":%llu}\n",
                   (unsigned long long)n->bundles, (unsigned long long)n->bundles_damaged,
                   (unsigned long long)n->bytes_damaged, (unsigned long long)n->frames_missing,
                   (unsigned long long)n->stored, (unsigned long long)n->again, (unsigned long long)n->apart,
                   (unsigned long long)n->refused, (unsigned long long)n->devices,
                   (unsigned long long)n->receipts, (unsigned long long)n->downs,
                   (unsigned long long)n->objects, (unsigned long long)n->bytes,
                   (unsigned long long)n->removed);
    else
        buf_printf(&r->out,
                   "%llu bundles: %llu frames stored, %llu known already, %llu kept apart, %llu refused\n"
                   "for the way back: %llu handhelds, %llu receipts, %llu downlinks, %llu objects, %llu "
                   "bytes; %llu bundles removed\n",
                   (unsigned long long)n->bundles, (unsigned long long)n->stored,
                   (unsigned long long)n->again, (unsigned long long)n->apart, (unsigned long long)n->refused,
                   (unsigned long long)n->devices, (unsigned long long)n->receipts,
                   (unsigned long long)n->downs, (unsigned long long)n->objects, (unsigned long long)n->bytes,
                   (unsigned long long)n->removed);
}

static enum err call_courier(struct run *r, struct diag *d)
{
    const struct server_options so = {.seam = &r->seam, .dir = r->dir, .connections = 1};
    struct courier_counts n;
    struct courier_job job = {.remove = given(r, OPTION_REMOVE), .lines = &r->lines};
    const char **paths = NULL;
    bool show = str_eq_z(r->arguments[0], "show");
    if (!show && !str_eq_z(r->arguments[0], "take"))
        return diag_set(d, ERR_USAGE, "Say: %s", r->command->example);
    enum err rc = bundle_out(r, &job.out, d);
    if (!rc)
        rc = bundles_in(r, &paths, &job.path_count, d);
    job.paths = paths;
    if (!rc)
        rc = crypto_init(d);
    if (!rc)
        rc = srv_open(&so, &job.server, d);
    if (!rc && show)
        rc = courier_show(&job, given(r, OPTION_JSON), &r->out, d);
    else if (!rc)
        rc = courier_answer(&job, &n, d);
    if (!rc && !show)
        courier_print(r, &n);
    srv_close(job.server);
    return rc;
}

/* ---- review, check, restore ---- */

static enum err review_resolved(struct run *r, struct diag *d)
{
    uint64_t keep = 0, field = 0;
    struct str number, rest = r->argument_count == 3 ? r->arguments[2] : STR("");
    struct review_decision c = {.id = rest, .by = r->option[OPTION_BY], .value = r->option[OPTION_VALUE]};
    if (!str_split(&rest, '.', &number) || !str_to_u64(number, &c.number) || !str_to_u64(rest, &field) ||
        field > UINT32_MAX)
        return diag_set(d, ERR_USAGE,
                        "An answer is named as listed, such as 12.3: doorstepd review conflicts DIR");
    if (given(r, OPTION_KEEP) == given(r, OPTION_VALUE))
        return diag_set(d, ERR_USAGE, "Say one of --keep N and --value TEXT.");
    if (given(r, OPTION_KEEP) &&
        (!str_to_u64(r->option[OPTION_KEEP], &keep) || keep < 1 || keep > UINT32_MAX))
        return diag_set(d, ERR_USAGE, "--keep is the number that stands before the value in the list.");
    enum err rc = need(r, OPTION_BY, d);
    c.field = (uint32_t)field;
    c.keep = (uint32_t)keep;
    if (!rc)
        rc = review_resolve(&r->desk, &c, d);
    if (!rc)
        buf_printf(&r->out, "%.*s is decided; the handhelds hear of it with their next sync\n",
                   STR_ARG(c.id));
    return rc;
}

/* DEVICE.INCARNATION.NUMBER.COPY */
static bool apart_read(struct str text, struct apart_name *out)
{
    struct str part[4] = {STR_NONE, STR_NONE, STR_NONE, STR_NONE};
    unsigned char bytes[8];
    uint64_t n[3] = {0};
    for (int i = 0; i < 4; i++)
        if (!str_split(&text, '.', &part[i]) || (i > 0 && !str_to_u64(part[i], &n[i - 1])))
            return false;
    if (!hex_read(part[0], bytes, sizeof bytes) || n[0] > UINT32_MAX || n[2] > UINT32_MAX)
        return false;
    *out = (struct apart_name){.inc = (uint32_t)n[0], .batch_seq = n[1], .copy = (uint32_t)n[2]};
    for (int i = 0; i < 8; i++)
        out->device = out->device << 8 | bytes[i];
    return true;
}

static enum err review_released(struct run *r, struct diag *d)
{
    struct apart_name name;
    struct server *server = NULL;
    const struct server_options so = {.seam = &r->seam, .dir = r->dir, .connections = 1};
    if (r->argument_count != 3 || !apart_read(r->arguments[2], &name))
        return diag_set(d, ERR_USAGE, "A frame is named as listed: doorstepd review list DIR");
    enum err rc = need(r, OPTION_BY, d);
    if (!rc)
        rc = srv_open(&so, &server, d);
    if (!rc)
        rc = review_release(server, r->store, &r->memory, &name, r->option[OPTION_BY], given(r, OPTION_FORCE),
                            d);
    srv_close(server);
    if (!rc)
        buf_printf(&r->out, "%.*s is released and applied\n", STR_ARG(r->arguments[2]));
    return rc;
}

static enum err review_decided(struct run *r, enum review_state state, struct diag *d)
{
    struct work_by by;
    uint64_t visit = 0;
    struct str comment = option_or_none(r, OPTION_COMMENT);
    const struct review_remark remark = {.place = option_or_none(r, OPTION_PLACE), .text = comment};
    const struct review_act act = {.state = state,
                                   .comment = given(r, OPTION_PLACE) ? STR("") : comment,
                                   .remarks = &remark,
                                   .remark_count = given(r, OPTION_PLACE)};
    enum err rc = need(r, OPTION_BY, d);
    if (!rc && (r->argument_count != 3 || !str_to_u64(r->arguments[2], &visit)))
        rc = diag_set(d, ERR_USAGE, "Say which visit, by its number in: doorstepd review queue DIR");
    if (!rc)
        rc = work_by_named(&r->desk, r->option[OPTION_BY], option_or_none(r, OPTION_ROLE),
                           option_or_none(r, OPTION_AREA), &by, d);
    if (!rc)
        rc = review_act(&r->desk, &by, visit, &act, d);
    if (!rc)
        buf_printf(&r->out, "visit %llu: %s\n", (unsigned long long)visit, review_state_name(state));
    return rc;
}

static enum err review_approved(struct run *r, struct diag *d)
{
    struct work_by by;
    uint64_t visits[ARGUMENTS_MAX];
    uint32_t approved = 0, left = 0;
    struct review_exception *list = NULL;
    if (r->argument_count == 3)
        return review_decided(r, REVIEW_APPROVED, d);
    enum err rc = need(r, OPTION_BY, d);
    for (uint32_t i = 2; !rc && i < r->argument_count; i++)
        if (!str_to_u64(r->arguments[i], &visits[i - 2]))
            rc = diag_set(d, ERR_USAGE, "%.*s is no number of a visit.", STR_ARG(r->arguments[i]));
    if (!rc)
        rc = work_by_named(&r->desk, r->option[OPTION_BY], option_or_none(r, OPTION_ROLE),
                           option_or_none(r, OPTION_AREA), &by, d);
    if (!rc)
        rc = review_bulk(&r->desk, &by, visits, r->argument_count - 2, &approved, &list, &left, d);
    if (!rc)
        buf_printf(&r->out, "%u approved\n", approved);
    for (uint32_t i = 0; !rc && i < left; i++)
        buf_printf(&r->out, "not %llu  %.*s: %.*s\n", (unsigned long long)list[i].visit,
                   STR_ARG(list[i].code), STR_ARG(list[i].why));
    return rc;
}

/* Who looks: with --by their own queue, else the county's. */
static enum err review_looked(struct run *r, struct diag *d)
{
    struct work_by by = {.role = ROLE_COUNTY};
    struct work_ask q;
    bool json = given(r, OPTION_JSON);
    struct str what = r->arguments[0], which = r->argument_count > 2 ? r->arguments[2] : STR("");
    uint8_t role = role_of(option_or_none(r, OPTION_ROLE));
    enum err rc = given(r, OPTION_BY)
                      ? work_by_named(&r->desk, r->option[OPTION_BY], option_or_none(r, OPTION_ROLE),
                                      option_or_none(r, OPTION_AREA), &by, d)
                      : ERR_OK;
    if (rc)
        return rc;
    by.role = role ? role : by.role;
    work_ask_now(&r->desk, option_or_none(r, OPTION_AREA), &by, &q);
    if (str_eq_z(what, "queue"))
        return work_queue_tell(&q, which, json, &r->out, d);
    if (!which.n)
        return diag_set(d, ERR_USAGE, "Say which household, by its code.");
    return str_eq_z(what, "visits") ? work_visits_tell(&q, which, json, &r->out, d)
                                    : work_history_tell(&q, which, json, &r->out, d);
}

/* ---- signs of risk that people bring ---- */

static enum err by_option(struct run *r, struct work_by *out, struct diag *d)
{
    enum err rc = need(r, OPTION_BY, d);
    return rc ? rc
              : work_by_named(&r->desk, r->option[OPTION_BY], option_or_none(r, OPTION_ROLE),
                              option_or_none(r, OPTION_AREA), out, d);
}

static enum err report_opened(struct run *r, struct diag *d)
{
    struct work_by by;
    uint64_t number = 0;
    struct lead_opening l = {.code = option_or_none(r, OPTION_HOUSEHOLD),
                             .source = option_or_none(r, OPTION_SOURCE),
                             .note = option_or_none(r, OPTION_VALUE),
                             .deadline = option_or_none(r, OPTION_DUE)};
    struct str channel = r->argument_count > 2 ? r->arguments[2] : STR("self_report");
    enum err rc = need(r, OPTION_HOUSEHOLD, d);
    if (!rc && !lead_channel_read(channel, &l.channel))
        rc = diag_set(d, ERR_USAGE, "A lead comes by self_report, patrol or department.");
    if (!rc)
        rc = by_option(r, &by, d);
    if (!rc)
        rc = lead_open(&r->desk, &by, &l, &number, d);
    if (!rc)
        buf_printf(&r->out, "lead %llu is open\n", (unsigned long long)number);
    return rc;
}

static enum err reports_listed(struct run *r, struct diag *d)
{
    struct report_row *list = NULL;
    uint32_t count = 0;
    enum err rc = reports_waiting(&r->desk, 0, WORK_PAGE_MAX, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        char day[16];
        (void)civil_write_date(list[i].at_ms / 86400000, day);
        buf_printf(&r->out, "%6llu  %s  %.*s  %.*s  %.*s  %.*s  ", (unsigned long long)list[i].n, day,
                   STR_ARG(list[i].code), STR_ARG(list[i].name), STR_ARG(list[i].place),
                   STR_ARG(list[i].phone));
        buf_put_json(&r->out, list[i].text);
        buf_put_char(&r->out, '\n');
    }
    if (!rc && count == 0)
        buf_put_z(&r->out, "No report waits.\n");
    return rc;
}

static enum err call_report(struct run *r, struct diag *d)
{
    struct work_by by;
    uint64_t n = 0;
    struct str what = r->arguments[0];
    if (str_eq_z(what, "list"))
        return reports_listed(r, d);
    if (str_eq_z(what, "open"))
        return report_opened(r, d);
    if (r->argument_count < 3 || !str_to_u64(r->arguments[2], &n))
        return diag_set(d, ERR_USAGE, "Say which report, by its number in: doorstepd report list DIR");
    enum err rc = by_option(r, &by, d);
    if (!rc && str_eq_z(what, "attach"))
        rc = report_attach(&r->desk, &by, n, option_or_none(r, OPTION_HOUSEHOLD), d);
    else if (!rc && str_eq_z(what, "drop"))
        rc = report_drop(&r->desk, &by, n, option_or_none(r, OPTION_VALUE), d);
    else if (!rc)
        rc = diag_set(d, ERR_USAGE, "Say list, open, attach or drop.");
    if (!rc)
        buf_printf(&r->out, "report %llu is settled\n", (unsigned long long)n);
    return rc;
}

static enum err events_listed(struct run *r, struct diag *d)
{
    struct work_ask q;
    struct work_household h;
    struct household_event *list = NULL;
    uint32_t count = 0;
    work_ask_now(&r->desk, option_or_none(r, OPTION_AREA), NULL, &q);
    enum err rc = work_household_of(&q, r->arguments[2], &h, d);
    if (!rc)
        rc = household_events(&q, h.row, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        char day[16];
        (void)civil_write_date(list[i].at_ms / 86400000, day);
        buf_printf(&r->out, "%s  %.*s  %.*s  %.*s  %.*s  %.*s  %.*s\n", day, STR_ARG(list[i].code),
                   STR_ARG(list[i].other), STR_ARG(list[i].before), STR_ARG(list[i].members),
                   STR_ARG(list[i].remark), STR_ARG(list[i].name));
    }
    if (!rc && count == 0)
        buf_put_z(&r->out, "Nothing was done with this household.\n");
    return rc;
}

static enum err call_household(struct run *r, struct diag *d)
{
    struct work_by by;
    struct desk *k = &r->desk;
    struct str what = r->arguments[0], code = r->arguments[2];
    struct str other = r->argument_count > 3 ? r->arguments[3] : STR("");
    struct str reason = option_or_none(r, OPTION_COMMENT);
    const struct household_split split = {.code = code,
                                          .new_code = other,
                                          .new_name = option_or_none(r, OPTION_VALUE),
                                          .area = option_or_none(r, OPTION_AREA),
                                          .members = option_or_none(r, OPTION_MEMBERS),
                                          .reason = reason};
    if (str_eq_z(what, "events"))
        return events_listed(r, d);
    enum err rc = need(r, OPTION_BY, d);
    if (!rc)
        rc = work_by_named(k, r->option[OPTION_BY], option_or_none(r, OPTION_ROLE), STR(""), &by, d);
    if (!rc && str_eq_z(what, "correct"))
        rc = household_correct(k, &by, code, other, option_or_none(r, OPTION_VALUE), reason, d);
    else if (!rc && str_eq_z(what, "move"))
        rc = household_move(k, &by, code, other, reason, d);
    else if (!rc && str_eq_z(what, "split"))
        rc = household_split(k, &by, &split, d);
    else if (!rc && str_eq_z(what, "merge"))
        rc = household_merge(k, &by, code, other, reason, d);
    else if (!rc && str_eq_z(what, "close"))
        rc = household_close(k, &by, code, reason, d);
    else if (!rc && str_eq_z(what, "reopen"))
        rc = household_reopen(k, &by, code, reason, d);
    else if (!rc)
        rc = diag_set(d, ERR_USAGE, "Say correct, move, split, merge, close, reopen or events.");
    if (!rc)
        buf_printf(&r->out, "household %.*s: %.*s\n", STR_ARG(code), STR_ARG(what));
    return rc;
}

/* ---- forgetting ---- */

static enum err call_erase(struct run *r, struct diag *d)
{
    struct work_by by;
    struct centre c;
    struct erased_result n;
    enum err rc = by_option(r, &by, d);
    if (!rc)
        rc = centre_read(&r->seam, r->dir, &r->memory, &c, d);
    if (!rc)
        rc = household_erase(&r->desk, &c, &by, r->arguments[1], option_or_none(r, OPTION_COMMENT), &n, d);
    if (!rc)
        buf_printf(&r->out,
                   "erased: %llu rows, parts of %llu frames and of %llu edits of the centre, %llu files.\n"
                   "Handhelds forget it with their next sync. Backups made before still hold it.\n",
                   (unsigned long long)n.rows, (unsigned long long)n.frames, (unsigned long long)n.edits,
                   (unsigned long long)n.files);
    return rc;
}

static enum err call_overview(struct run *r, struct diag *d)
{
    struct work_ask q;
    work_ask_now(&r->desk, option_or_none(r, OPTION_AREA), NULL, &q);
    return work_overview_tell(&q, given(r, OPTION_JSON), &r->out, d);
}

static enum err call_review(struct run *r, struct diag *d)
{
    struct str what = r->arguments[0];
    bool json = given(r, OPTION_JSON);
    if (str_eq_z(what, "queue") || str_eq_z(what, "visits") || str_eq_z(what, "history"))
        return review_looked(r, d);
    if (str_eq_z(what, "approve"))
        return review_approved(r, d);
    if (str_eq_z(what, "reject"))
        return review_decided(r, REVIEW_REJECTED, d);
    if (str_eq_z(what, "issues"))
        return review_decided(r, REVIEW_HAS_ISSUES, d);
    if (str_eq_z(what, "conflicts"))
        return review_conflicts(&r->desk, given(r, OPTION_HOUSEHOLD) ? r->option[OPTION_HOUSEHOLD] : STR(""),
                                json, &r->out, d);
    if (str_eq_z(what, "resolve"))
        return review_resolved(r, d);
    if (str_eq_z(what, "list"))
        return review_apart(&r->desk, json, &r->out, d);
    if (str_eq_z(what, "release"))
        return review_released(r, d);
    return diag_set(d, ERR_USAGE, "Say: %s", r->command->example);
}

static enum err quality_ran(struct run *r, struct diag *d)
{
    struct quality_run_result n;
    struct str pack, map;
    enum err rc = need(r, OPTION_FORM, d);
    if (!rc && r->argument_count != 4)
        rc = diag_set(d, ERR_USAGE,
                      "Say which pack and which map: doorstepd quality run DIR PACK.json MAP.json --form ID");
    if (!rc)
        rc = file_in(r, r->arguments[2], &pack, d);
    if (!rc)
        rc = file_in(r, r->arguments[3], &map, d);
    if (!rc)
        rc = quality_find(&r->desk, r->option[OPTION_FORM], pack, map, &n, d);
    if (rc)
        return rc;
    buf_printf(&r->out,
               given(r, OPTION_JSON) ? "{\"rows\":%llu,\"flags\":%llu,\"open\":%llu,\"looked\":%llu,"
                                       "\"dismissed\":%llu,\"gone\":%llu}\n"
                                     : "%llu visits, %llu flags: reasons to look again, not proof of "
                                       "anything\n%llu open, %llu looked at, %llu dismissed, %llu gone\n",
               (unsigned long long)n.rows, (unsigned long long)n.flags,
               (unsigned long long)n.counts[QUALITY_OPEN], (unsigned long long)n.counts[QUALITY_LOOKED],
               (unsigned long long)n.counts[QUALITY_DISMISSED], (unsigned long long)n.counts[QUALITY_GONE]);
    return ERR_OK;
}

static enum err quality_decided(struct run *r, enum quality_state state, struct diag *d)
{
    uint64_t n = 0;
    enum err rc = need(r, OPTION_BY, d);
    if (!rc && (r->argument_count != 3 || !str_to_u64(r->arguments[2], &n)))
        rc = diag_set(d, ERR_USAGE, "Say which flag, by its number in: doorstepd quality list DIR");
    return rc ? rc
              : quality_decide(&r->desk, n, state, option_or_none(r, OPTION_VALUE), r->option[OPTION_BY],
                               option_or_none(r, OPTION_AREA), d);
}

static enum err call_quality(struct run *r, struct diag *d)
{
    struct str what = r->arguments[0];
    const char *lang = getenv("LANG");
    struct str language = given(r, OPTION_LANGUAGE) ? r->option[OPTION_LANGUAGE] : str_of(lang ? lang : "en");
    enum quality_state state = QUALITY_OPEN;
    if (str_eq_z(what, "run"))
        return quality_ran(r, d);
    if (str_eq_z(what, "looked"))
        return quality_decided(r, QUALITY_LOOKED, d);
    if (str_eq_z(what, "dismiss"))
        return quality_decided(r, QUALITY_DISMISSED, d);
    if (!str_eq_z(what, "list") || (r->argument_count == 3 && !quality_state_read(r->arguments[2], &state)) ||
        r->argument_count > 3)
        return diag_set(d, ERR_USAGE,
                        "Say: doorstepd quality run DIR PACK MAP --form ID, quality list DIR "
                        "[open|looked|dismissed|gone], quality looked DIR N --by NAME, quality dismiss DIR N "
                        "--by NAME --value WHY");
    return quality_tell(&r->desk, state, option_or_none(r, OPTION_AREA), given(r, OPTION_JSON),
                        str_starts(language, STR("zh")), &r->out, d);
}

/* Peak memory is told by the machine, so that flat can be seen to be flat. */
static enum err call_replay(struct run *r, struct diag *d)
{
    struct replay_result n;
    struct rusage use = {0};
    int64_t begun = r->seam.mono_ms(r->seam.self);
    enum err rc = judging_replay(&r->desk, &n, d);
    if (rc)
        return rc;
    int64_t ms = r->seam.mono_ms(r->seam.self) - begun;
    (void)getrusage(RUSAGE_SELF, &use);
    unsigned long long judged = n.judged, rate = judged * 60000 / (unsigned long long)(ms > 0 ? ms : 1);
    if (given(r, OPTION_JSON))
        buf_printf(&r->out,
                   "{\"judged\":%llu,\"same\":%llu,\"differing\":%llu,\"not_compared\":%llu,"
                   "\"left_out\":%llu,\"revisits\":%llu,\"ms\":%lld,\"a_minute\":%llu,\"peak_kib\":%ld}\n",
                   judged, (unsigned long long)n.same, (unsigned long long)n.differing,
                   (unsigned long long)n.not_compared, (unsigned long long)n.left_out,
                   (unsigned long long)n.revisits, (long long)ms, rate, use.ru_maxrss);
    else
        buf_printf(&r->out,
                   "%llu judged again: %llu the same, %llu DIFFER, %llu not compared, %llu left out\n"
                   "red %llu, yellow %llu, blue %llu, cannot judge %llu, none %llu\n"
                   "%lld ms, %llu a minute, at most %ld KiB of memory\n",
                   judged, (unsigned long long)n.same, (unsigned long long)n.differing,
                   (unsigned long long)n.not_compared, (unsigned long long)n.left_out,
                   (unsigned long long)n.red, (unsigned long long)n.yellow, (unsigned long long)n.blue,
                   (unsigned long long)n.unknown, (unsigned long long)n.none, (long long)ms, rate,
                   use.ru_maxrss);
    return ERR_OK;
}

static enum err call_check(struct run *r, struct diag *d)
{
    unsigned char now[SHA256_SIZE], again[SHA256_SIZE];
    char text[2 * SHA256_SIZE + 1] = {0};
    uint64_t rows = 0, events = 0;
    bool replay = given(r, OPTION_REPLAY);
    enum err rc = cstore_check(r->store, d);
    if (!rc)
        rc = centre_state_hash(r->store, now, &rows, d);
    if (!rc && replay)
        rc = centre_replay_hash(r->store, &r->seam, 0, again, &events, d);
    if (rc)
        return rc;
    bool same = !replay || memcmp(now, again, sizeof now) == 0;
    hex_write(now, SHA256_SIZE, text);
    if (given(r, OPTION_JSON))
        buf_printf(&r->out, "{\"rows\":%llu,\"state_hash\":\"%s\",\"replayed\":%llu,\"same\":%s}\n",
                   (unsigned long long)rows, text, (unsigned long long)events, same ? "true" : "false");
    else
        buf_printf(&r->out, "database sound\nrows       %llu\nstate hash %s\n", (unsigned long long)rows,
                   text);
    if (replay && !given(r, OPTION_JSON))
        buf_printf(&r->out, "replayed   %llu frames and edits: %s\n", (unsigned long long)events,
                   same ? "the same state" : "ANOTHER STATE");
    return same ? ERR_OK
                : diag_set(
                      d, ERR_CORRUPT,
                      "The records are not what the log makes of them: put a backup back, and report this.");
}

static enum err call_backup(struct run *r, struct diag *d)
{
    enum err rc = centre_backup(&r->seam, r->dir, r->store, r->arguments[1].p, d);
    if (!rc)
        buf_printf(&r->out,
                   "%s holds the whole county as it was just now, keys included.\n"
                   "Keep it where only the county may read.\n",
                   r->arguments[1].p);
    return rc;
}

static enum err desk_open(struct run *r, struct diag *d);

static enum err call_restore(struct run *r, struct diag *d)
{
    struct centre_options o = {0};
    bool from = r->argument_count == 2;
    enum err rc = store_options(r, &o, d);
    if (!rc && !from && given(r, OPTION_STORE))
        rc = diag_set(d, ERR_USAGE, "--store goes with a backup to restore from. Example: %s",
                      r->command->example);
    if (!rc && from)
        rc = crypto_init(d);
    if (!rc && from)
        rc = centre_restore(&r->seam, r->dir, r->arguments[1].p, &o, d);
    if (!rc && !from)
        rc = desk_open(r, d);
    if (!rc && !from)
        rc = centre_set_back(&r->seam, r->dir, r->store, d);
    if (!rc)
        buf_put_z(&r->out, "A new epoch has begun. Handhelds send again what this backup does not have.\n");
    return rc;
}

/* Closed households whose time is over go for good. */
static enum err closed_tidy(struct run *r, struct diag *d)
{
    struct work_by by;
    struct centre c;
    uint64_t days = 0, erased = 0;
    if (!given(r, OPTION_CLOSED_DAYS))
        return ERR_OK;
    if (!str_to_u64(r->option[OPTION_CLOSED_DAYS], &days) || days < 1 || days > 36500)
        return diag_set(d, ERR_USAGE, "--closed-days must be 1 to 36500.");
    enum err rc = by_option(r, &by, d);
    if (!rc)
        rc = centre_read(&r->seam, r->dir, &r->memory, &c, d);
    if (!rc)
        rc = erase_closed(&r->desk, &c, &by, (uint32_t)days, &erased, d);
    if (!rc)
        buf_printf(&r->out, "%llu closed households erased\n", (unsigned long long)erased);
    return rc;
}

static enum err call_tidy(struct run *r, struct diag *d)
{
    uint64_t buried = 0;
    enum err rc = centre_bury(r->store, r->seam.wall_ms(r->seam.self), &buried, d);
    if (!rc)
        buf_printf(&r->out, "answers of %llu removed rows let go\n", (unsigned long long)buried);
    return rc ? rc : closed_tidy(r, d);
}

/* ---- the table ---- */

#define BIT(o) (UINT64_C(1) << (o))
/* clang-format off */
static const struct command commands[] = {
    {"init", "DIR", 1, 1,
     BIT(OPTION_COUNTY) | BIT(OPTION_LOGIN) | BIT(OPTION_PERSON) | BIT(OPTION_PASSWORD_FILE) |
         BIT(OPTION_STORE) | BIT(OPTION_PARTITIONS), false, call_init,
     "make a county's keys and database in a directory",
     "doorstepd init /srv/doorstep --county 清河县"},
    {"serve", "DIR", 1, 1,
     BIT(OPTION_LISTEN) | BIT(OPTION_PROXY) | BIT(OPTION_PRINT_PORT) | BIT(OPTION_THREADS) | BIT(OPTION_LOG) |
         BIT(OPTION_CONNECTIONS) | BIT(OPTION_CERTIFICATE) | BIT(OPTION_KEY), false, call_serve,
     "answer handhelds until SIGTERM or Ctrl-C",
     "doorstepd serve /srv/doorstep --listen 0.0.0.0:8080"},
    {"enrol-token", "DIR", 1, 1,
     BIT(OPTION_PERSON) | BIT(OPTION_ROLE) | BIT(OPTION_AREA) | BIT(OPTION_URL) | BIT(OPTION_QR) |
         BIT(OPTION_JSON), true,
     call_enrol_token,
     "a token that enrols one handheld, valid for 48 hours",
     "doorstepd enrol-token /srv/doorstep --person 王芳 --role cadre --area 990101001 "
     "--url http://10.0.0.2:8080"},
    {"device", "list|revoke|erase DIR [ID]", 2, 3, BIT(OPTION_JSON), true, call_device,
     "show the handhelds, shut one out, or have a lost one erased",
     "doorstepd device revoke /srv/doorstep 1f00c0ffee001234"},
    {"person", "add|list|password|role|code|end DIR [LOGIN]", 2, 3,
     BIT(OPTION_PERSON) | BIT(OPTION_ROLE) | BIT(OPTION_AREA) | BIT(OPTION_PASSWORD_FILE) |
         BIT(OPTION_QR) | BIT(OPTION_REMOVE) | BIT(OPTION_JSON),
     true, call_person,
     "who works with the centre, and how they sign in",
     "doorstepd person add /srv/doorstep zhouling --person 周玲 --role county"},
    {"root", "split|join DIR FOLDER|SHARE...", 3, 8, BIT(OPTION_SHARES) | BIT(OPTION_REMOVE), true, call_root,
     "the county's root key as shares on paper, and back",
     "doorstepd root split /srv/doorstep /media/usb/shares --shares 3/5 --remove"},
    {"audit", "DIR", 1, 1,
     BIT(OPTION_VERIFY) | BIT(OPTION_HEAD) | BIT(OPTION_PERSON) | BIT(OPTION_HOUSEHOLD) | BIT(OPTION_ACT) |
         BIT(OPTION_JSON),
     true, call_audit,
     "who read or changed what, and whether that log is whole",
     "doorstepd audit /srv/doorstep --verify"},
    {"publish", "DIR form|list|pack|dictionary [FILE]", 2, 3,
     BIT(OPTION_ID) | BIT(OPTION_TRAIN) | BIT(OPTION_DRAFT) | BIT(OPTION_DIFF) | BIT(OPTION_STAGE) |
         BIT(OPTION_LIVE) | BIT(OPTION_WITHDRAW) | BIT(OPTION_BY) | BIT(OPTION_JSON), true, call_publish,
     "check a form, a list or a rule pack and hand it to every handheld",
     "doorstepd publish /srv/doorstep form monitoring.xform.xml"},
    {"import", "DIR households|departments|leads FILE", 3, 3, BIT(OPTION_DRY_RUN) | BIT(OPTION_JSON) |
         BIT(OPTION_MAPPING) | BIT(OPTION_MAPPING_FILE) | BIT(OPTION_ONLY_GOOD) | BIT(OPTION_ERRORS), true,
     call_import,
     "read a register; mistakes are told by row and column, and then nothing is imported",
     "doorstepd import /srv/doorstep households households.csv --dry-run"},
    {"assign", "DIR", 1, 1, BIT(OPTION_HOUSEHOLD) | BIT(OPTION_PERSON) | BIT(OPTION_DUE), true, call_assign,
     "hand a household to a person",
     "doorstepd assign /srv/doorstep --household H0001 --person 1 --due 2026-12-31"},
    {"lead", "DIR NUMBER STEP", 3, 3,
     BIT(OPTION_BY) | BIT(OPTION_VALUE) | BIT(OPTION_ROLE) | BIT(OPTION_AREA), true, call_lead,
     "note a step that was taken here about a lead, such as township, county or record",
     "doorstepd lead /srv/doorstep 17 township --by 李主任 --role supervisor --value 材料齐全"},
    {"courier", "take|show DIR CARD...", 3, 8,
     BIT(OPTION_BUNDLE) | BIT(OPTION_REMOVE) | BIT(OPTION_JSON), false, call_courier,
     "take in what memory cards bring, and write receipts and downlink for the way back; or show it",
     "doorstepd courier take /srv/doorstep /media/card --out /media/card"},
    {"status", "DIR", 1, 1, BIT(OPTION_JSON), true, call_status,
     "counts of what the centre holds",
     "doorstepd status /srv/doorstep --json"},
    {"list",
     "DIR households|visits|findings|judgements|leads|clocks|queue|entities|comments|quarantine|devices|"
     "published",
     2, 2,
     BIT(OPTION_JSON) | BIT(OPTION_LANGUAGE), true, call_list,
     "what the centre holds, as a table",
     "doorstepd list /srv/doorstep findings --language zh"},
    {"report", "list|open|attach|drop DIR [NUMBER|CHANNEL]", 2, 3,
     BIT(OPTION_HOUSEHOLD) | BIT(OPTION_SOURCE) | BIT(OPTION_VALUE) | BIT(OPTION_DUE) | BIT(OPTION_BY) |
         BIT(OPTION_ROLE) | BIT(OPTION_AREA),
     true, call_report,
     "signs of risk that people bring: by telephone, from a patrol, from the public page",
     "doorstepd report open /srv/doorstep self_report --household H0001 --value 失业 --by 王文书"},
    {"household", "correct|move|split|merge|close|reopen|events DIR CODE [FIELD|AREA|CODE]", 3, 4,
     BIT(OPTION_BY) | BIT(OPTION_ROLE) | BIT(OPTION_COMMENT) | BIT(OPTION_VALUE) | BIT(OPTION_AREA) |
         BIT(OPTION_MEMBERS),
     true, call_household,
     "what becomes of a household as a case; each act stays in its history and reaches the handhelds",
     "doorstepd household merge /srv/doorstep H0012 H0007 --by 周玲 --comment 同一户"},
    {"erase", "DIR CODE", 2, 2, BIT(OPTION_BY) | BIT(OPTION_COMMENT), true, call_erase,
     "forget everything about a household, here and on handhelds, on the request of its people",
     "doorstepd erase /srv/doorstep H0012 --by 周玲 --comment 本人申请"},
    {"overview", "DIR", 1, 1, BIT(OPTION_JSON) | BIT(OPTION_AREA), true, call_overview,
     "visits due and done, findings, leads, clocks and queues, by area",
     "doorstepd overview /srv/doorstep --area 990101"},
    {"review",
     "queue|visits|history|approve|reject|issues|conflicts|resolve|list|release DIR [ID...]", 2, 8,
     BIT(OPTION_ROLE) | BIT(OPTION_AREA) | BIT(OPTION_COMMENT) | BIT(OPTION_PLACE) | BIT(OPTION_JSON) |
         BIT(OPTION_HOUSEHOLD) | BIT(OPTION_KEEP) | BIT(OPTION_VALUE) | BIT(OPTION_BY) | BIT(OPTION_FORCE),
     true, call_review,
     "visits that wait, answers in dispute, frames that were set apart: look, decide, release",
     "doorstepd review reject /srv/doorstep 41 --by 李主任 --role supervisor --comment 请核对"},
    {"quality", "run|list|looked|dismiss DIR [PACK MAP | STATE | FLAG]", 2, 4,
     BIT(OPTION_FORM) | BIT(OPTION_JSON) | BIT(OPTION_LANGUAGE) | BIT(OPTION_BY) | BIT(OPTION_VALUE) |
         BIT(OPTION_AREA),
     true, call_quality,
     "look for signs of poor data over all visits of a form, and work through what is flagged",
     "doorstepd quality run /srv/doorstep quality.json quality.map.json --form household_monitoring"},
    {"zone", "DIR [ZONE]", 1, 2, 0, true, call_zone,
     "where the county is: days and clocks follow its time zone, here and on every handheld",
     "doorstepd zone /srv/doorstep Asia/Shanghai"},
    {"check", "DIR", 1, 1, BIT(OPTION_JSON) | BIT(OPTION_REPLAY), true, call_check,
     "check the database, and tell its state as one hash",
     "doorstepd check /srv/doorstep --replay"},
    {"replay", "DIR", 1, 1, BIT(OPTION_JSON), true, call_replay,
     "judge every interview again and compare with what its handheld found",
     "doorstepd replay /srv/doorstep"},
    {"backup", "DIR TO", 2, 2, 0, true, call_backup,
     "the whole county, keys included, as a directory of its own; while it serves",
     "doorstepd backup /srv/doorstep /mnt/backup/2026-11-23"},
    {"restore", "DIR [BACKUP]", 1, 2, BIT(OPTION_STORE) | BIT(OPTION_PARTITIONS), false, call_restore,
     "make DIR from a backup, in a file or in PostgreSQL; or say that one was put back there by hand",
     "doorstepd restore /srv/doorstep /mnt/backup/2026-11-23"},
    {"tidy", "DIR", 1, 1, BIT(OPTION_CLOSED_DAYS) | BIT(OPTION_BY), true, call_tidy,
     "let go of answers in removed rows, once every handheld knows of the removal; of closed households",
     "doorstepd tidy /srv/doorstep --closed-days 1825 --by 周玲"},
    {"export", "DIR", 1, 1,
     BIT(OPTION_CSV) | BIT(OPTION_XML) | BIT(OPTION_PUBLIC) | BIT(OPTION_LEADS) | BIT(OPTION_FORM) |
         BIT(OPTION_OUT) | BIT(OPTION_JSON), true,
     call_export,
     "finalised visits as tables or documents, or leads with their steps",
     "doorstepd export /srv/doorstep --csv --form monitoring -o exported"},
};
/* clang-format on */
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void help_all(FILE *to)
{
    fputs("doorstepd: the centre of a county. Usage: doorstepd COMMAND DIR ...\n\n", to);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(to, "  %-12s %s\n", commands[i].name, commands[i].text);
    fputs("\ndoorstepd COMMAND --help tells more, with an example.\n", to);
}

static void help_one(FILE *to, const struct command *c)
{
    fprintf(to, "doorstepd %s %s\n  %s\n\n", c->name, c->arguments, c->text);
    for (int o = 0; o < OPTION_COUNT; o++) {
        if (c->options & BIT(o))
            fprintf(to, "  %-12s %-10s %s\n", options[o].name, options[o].value ? options[o].value : "",
                    options[o].text);
    }
    fprintf(to, "\nExample:\n  %s\n", c->example);
}

static enum err option_take(struct run *r, int argc, char **argv, int *at, struct diag *d)
{
    for (int o = 0; o < OPTION_COUNT; o++) {
        if (strcmp(argv[*at], options[o].name) != 0 || !(r->command->options & BIT(o)))
            continue;
        if (!options[o].value) {
            r->option[o] = STR("");
            return ERR_OK;
        }
        if (*at + 1 >= argc)
            return diag_set(d, ERR_USAGE, "%s needs %s behind it.", options[o].name, options[o].value);
        r->option[o] = str_of(argv[++*at]);
        return ERR_OK;
    }
    return diag_set(d, ERR_USAGE, "%s is no option of %s. See: doorstepd %s --help", argv[*at],
                    r->command->name, r->command->name);
}

static enum err arguments_read(struct run *r, int argc, char **argv, struct diag *d)
{
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1] != 0) {
            enum err rc = option_take(r, argc, argv, &i, d);
            if (rc)
                return rc;
        } else if (r->argument_count < ARGUMENTS_MAX) {
            r->arguments[r->argument_count++] = str_of(argv[i]);
        }
    }
    if (r->argument_count < r->command->argument_min || r->argument_count > r->command->argument_max)
        return diag_set(d, ERR_USAGE, "Usage: doorstepd %s %s. Example: %s", r->command->name,
                        r->command->arguments, r->command->example);
    return ERR_OK;
}

/* On a terminal, four times a second: long work shows that it goes on. */
static void show_progress(void *self, uint64_t done)
{
    struct run *r = self;
    int64_t now = r->seam.mono_ms(r->seam.self);
    if (now - r->shown_ms < 250)
        return;
    r->shown_ms = now;
    r->progress_shown = true;
    fprintf(stderr, "\r%llu ...", (unsigned long long)done);
}

static enum err desk_open(struct run *r, struct diag *d)
{
    struct counters now;
    enum err rc = crypto_init(d);
    if (!rc)
        rc = centre_store_open(&r->seam, r->dir, &r->store, d);
    r->desk = (struct desk){.seam = &r->seam, .st = r->store, .a = &r->memory, .lines = &r->lines, .self = r};
    if (isatty(STDERR_FILENO)) {
        r->desk.progress = show_progress;
        r->shown_ms = r->seam.mono_ms(r->seam.self);
    }
    if (!rc)
        rc = cstore_county(r->store, &r->memory, NULL, &r->desk.epoch, &now, d);
    return rc;
}

/* A mistyped directory must not become an empty centre. */
static enum err dir_check(const struct run *r, struct diag *d)
{
    static const char *const names[] = {"centre.db", "store"};
    bool there = false;
    for (int i = 0; i < 2 && !there; i++) {
        struct buf path;
        buf_init(&path, 8192);
        buf_printf(&path, "%s/%s", r->dir, names[i]);
        there = !path.failed && access(path.p, F_OK) == 0;
        buf_free(&path);
    }
    return there
               ? ERR_OK
               : diag_set(d, ERR_STATE, "%s holds no county. Make one with: doorstepd init %s --county NAME",
                          r->dir, r->dir);
}

static enum err carry_out(struct run *r, int argc, char **argv, struct diag *d)
{
    struct posix_options po = {0};
    enum err rc = arguments_read(r, argc, argv, d);
    if (rc)
        return rc;
    /* "device list DIR": the directory stands second. */
    bool second = strncmp(r->command->arguments, "DIR", 3) != 0;
    r->dir = r->arguments[second].p;
    if (given(r, OPTION_LOG))
        po.log_file = r->option[OPTION_LOG].p;
    rc = posix_seam_open(&po, &r->seam, d);
    bool makes_it = r->command->call == call_init ||
                    (r->command->call == call_restore && r->argument_count == 2);
    if (!rc && !makes_it)
        rc = dir_check(r, d);
    if (!rc && r->command->opens_store)
        rc = desk_open(r, d);
    if (!rc)
        rc = r->command->call(r, d);
    if (!rc && r->out.failed)
        rc = diag_set(d, r->out.failed, "The result is too long to show.");
    return rc;
}

int main(int argc, char **argv)
{
    struct run r = {0};
    struct diag d = {0};
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        help_all(argc < 2 ? stderr : stdout);
        return argc < 2 ? err_action(ERR_USAGE)->exit_code : 0;
    }
    for (size_t i = 0; i < COMMAND_COUNT && !r.command; i++)
        r.command = strcmp(argv[1], commands[i].name) == 0 ? &commands[i] : NULL;
    if (!r.command) {
        fprintf(stderr, "doorstepd: there is no command %s.\n\n", argv[1]);
        help_all(stderr);
        return err_action(ERR_USAGE)->exit_code;
    }
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            help_one(stdout, r.command);
            return 0;
        }
    }
    (void)umask(077); /* whatever is written here holds what people said at their doors */
    arena_init(&r.memory, MEMORY_MAX);
    buf_init(&r.out, OUT_MAX);
    buf_init(&r.lines, OUT_MAX);
    enum err rc = carry_out(&r, argc, argv, &d);
    if (r.progress_shown)
        fputs("\r\033[K", stderr);
    if (r.lines.n)
        (void)fwrite(r.lines.p, 1, r.lines.n, stderr);
    if (!rc && r.out.n && (fwrite(r.out.p, 1, r.out.n, stdout) != r.out.n || fflush(stdout) != 0))
        rc = diag_set(&d, ERR_IO, "The result could not be written to standard output.");
    if (rc)
        fprintf(stderr, "doorstepd %s: %s\n%s\n", r.command->name, d.text[0] ? d.text : err_action(rc)->name,
                err_action(rc)->todo_en);
    cstore_close(r.store);
    posix_seam_close(&r.seam);
    buf_free(&r.lines);
    buf_free(&r.out);
    arena_free(&r.memory);
    return err_action(rc)->exit_code;
}
