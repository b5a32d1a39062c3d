/* See http_curl.h. Bytes are counted in curl's debug callback, the one place that sees heads and bodies in
 * both directions as they travel. A stall is judged by our own clock in the progress callback, which curl
 * calls whenever something moves and at least once a second. */
#include "platform/posix/http_curl.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <time.h>

#define STALL_MS_DEFAULT 60000

struct http_curl {
    CURL *easy;
    char *ca_file;
};

/* One exchange on its way. */
struct exchange {
    struct http_reply reply;
    struct arena *arena;
    uint64_t moved; /* bytes_up + bytes_down when last looked at */
    int64_t moved_at_ms;
    int64_t stall_ms_max;
    bool (*stop)(void *self);
    void *stop_self;
    bool stalled, stopped;
    bool head_whole;  /* the empty line after the headers has come */
    bool length_told; /* by Content-Length or chunks, so that curl sees a cut body */
    enum err failed;  /* in a callback of ours */
};

static int64_t now_ms(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int count_bytes(CURL *easy, curl_infotype type, char *data, size_t size, void *self)
{
    (void)easy;
    (void)data;
    struct exchange *x = self;
    if (type == CURLINFO_HEADER_OUT || type == CURLINFO_DATA_OUT)
        x->reply.bytes_up += size;
    else if (type == CURLINFO_HEADER_IN || type == CURLINFO_DATA_IN)
        x->reply.bytes_down += size;
    return 0;
}

/* Upload progress is taken from curl, which counts what the socket took; the debug callback can be ahead. */
static int watch_stall(void *self, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    (void)down_total;
    (void)up_total;
    struct exchange *x = self;
    uint64_t moved = (uint64_t)down + (uint64_t)up + x->reply.bytes_down;
    if (moved != x->moved) {
        x->moved = moved;
        x->moved_at_ms = now_ms();
    }
    x->stalled = now_ms() - x->moved_at_ms > x->stall_ms_max;
    x->stopped = x->stop && x->stop(x->stop_self);
    return x->stalled || x->stopped;
}

static size_t take_body(char *bytes, size_t size, size_t n, void *self)
{
    struct exchange *x = self;
    buf_put(&x->reply.body, bytes, size * n);
    x->failed = x->reply.body.failed;
    return x->failed ? 0 : n;
}

static bool name_is(struct str line, ptrdiff_t colon, const char *name)
{
    return str_eq_nocase(str_sub(line, 0, (size_t)colon), str_of(name));
}

static size_t take_header(char *bytes, size_t size, size_t n, void *self)
{
    struct exchange *x = self;
    struct str line = str_trim((struct str){bytes, size * n});
    if (str_starts(line, STR("HTTP/"))) {
        x->reply.header_count = 0; /* what came before was an interim reply (100) */
        x->head_whole = x->length_told = false;
        return size * n;
    }
    x->head_whole |= line.n == 0;
    ptrdiff_t colon = str_find(line, STR(":"));
    if (colon <= 0)
        return size * n;
    x->length_told |= name_is(line, colon, "Content-Length") || name_is(line, colon, "Transfer-Encoding");
    if (x->reply.header_count == HTTP_HEADERS_MAX)
        return size * n;
    struct http_header *h = &x->reply.headers[x->reply.header_count];
    h->name = arena_str(x->arena, str_trim(str_sub(line, 0, (size_t)colon)));
    h->value = arena_str(x->arena, str_trim(str_sub(line, (size_t)colon + 1, line.n)));
    if (!h->name.p || !h->value.p) {
        x->failed = ERR_NOMEM;
        return 0;
    }
    x->reply.header_count++;
    return size * n;
}

static bool header_is_clean(const struct http_header *h)
{
    for (size_t i = 0; i < h->name.n; i++) {
        if ((unsigned char)h->name.p[i] <= ' ' || h->name.p[i] == ':')
            return false;
    }
    for (size_t i = 0; i < h->value.n; i++) {
        if ((unsigned char)h->value.p[i] < ' ')
            return false;
    }
    return h->name.n > 0;
}

/* Ours, then removals of what curl would add on its own: every byte counts on a 2G link. */
static enum err make_headers(const struct http_request *q, struct curl_slist **list_out, struct diag *d)
{
    static const char *const unwanted[] = {"Accept", "Content-Type", "Expect", "User-Agent"};
    struct curl_slist *list = NULL;
    struct buf line;
    enum err rc = ERR_OK;
    buf_init(&line, 16384);
    CHECK(q->header_count <= HTTP_HEADERS_MAX);
    for (uint32_t i = 0; i < q->header_count + 4 && !rc; i++) {
        buf_clear(&line);
        if (i < q->header_count) {
            const struct http_header *h = &q->headers[i];
            if (!header_is_clean(h)) {
                rc = diag_set(d, ERR_USAGE, "The HTTP header %.*s holds a control character.",
                              STR_ARG(h->name));
                break;
            }
            buf_put_str(&line, h->name);
            buf_put_z(&line, h->value.n ? ": " : ";");
            buf_put_str(&line, h->value);
        } else {
            const char *name = unwanted[i - q->header_count];
            if (http_header_find(q->headers, q->header_count, name).p)
                continue;
            buf_put_z(&line, name);
            buf_put_char(&line, ':');
        }
        struct curl_slist *longer = line.failed ? NULL : curl_slist_append(list, line.p);
        if (!longer)
            rc = diag_set(d, line.failed ? line.failed : ERR_NOMEM, "An HTTP header is too long.");
        else
            list = longer;
    }
    buf_free(&line);
    if (rc)
        curl_slist_free_all(list);
    else
        *list_out = list;
    return rc;
}

static void set_method(CURL *easy, const struct http_request *q)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};
    CHECK((size_t)q->method < sizeof names / sizeof names[0]);
    if (q->method == HTTP_HEAD) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (q->method == HTTP_POST || q->method == HTTP_PUT || q->body.n > 0) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, q->body.n ? q->body.p : "");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.n);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, names[q->method]);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, names[q->method]);
    }
}

static void set_options(struct http_curl *c, const struct http_request *q, struct exchange *x,
                        const char *url, char error_text[static CURL_ERROR_SIZE], struct curl_slist *headers)
{
    CURL *easy = c->easy;
    curl_easy_reset(easy); /* keeps the connection */
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)x->stall_ms_max);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    if (q->ca.n) {
        struct curl_blob pem = {.data = (void *)(uintptr_t)q->ca.p, .len = q->ca.n, .flags = CURL_BLOB_COPY};
        curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &pem);
        curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    } else if (c->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, c->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, watch_stall);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, x);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, count_bytes);
    curl_easy_setopt(easy, CURLOPT_DEBUGDATA, x);
    curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
    set_method(easy, q);
}

/* The host for a sentence, without user, path and query, which may hold a token. */
static struct str host_of(struct str url)
{
    ptrdiff_t scheme = str_find(url, STR("://"));
    struct str host = scheme < 0 ? url : str_sub(url, (size_t)scheme + 3, url.n);
    for (size_t i = 0; i < host.n; i++) {
        if (host.p[i] == '/' || host.p[i] == '?' || host.p[i] == '#')
            host.n = i;
    }
    ptrdiff_t at = str_find(host, STR("@"));
    return at < 0 ? host : str_sub(host, (size_t)at + 1, host.n);
}

static enum err tell(CURLcode code, const char *detail, const struct http_request *q,
                     const struct exchange *x, struct diag *d)
{
    struct str host = str_sub(host_of(q->url), 0, 120);
    if (x->failed == ERR_LIMIT)
        return diag_set(d, ERR_LIMIT, "%.*s sent more than %u bytes, the most that is taken here.",
                        STR_ARG(host), (unsigned)q->body_max);
    if (x->failed)
        return diag_set(d, x->failed, "Not enough memory for the reply of %.*s.", STR_ARG(host));
    if (x->stopped)
        return diag_set(d, ERR_NET, "The request to %.*s was broken off, as was asked.", STR_ARG(host));
    if (x->stalled)
        return diag_set(
            d, ERR_NET,
            "Nothing moved between here and %.*s for %lld seconds. Try again where the signal is better.",
            STR_ARG(host), (long long)(x->stall_ms_max + 999) / 1000);
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return diag_set(d, ERR_USAGE,
                        "\"%.*s\" is no address to send to. It begins with https:// or http://.",
                        STR_ARG(host));
    case CURLE_OUT_OF_MEMORY:
        return diag_set(d, ERR_NOMEM, "Not enough memory to talk to %.*s.", STR_ARG(host));
    case CURLE_COULDNT_RESOLVE_HOST:
        return diag_set(d, ERR_NET,
                        "The name %.*s was not found. Check the signal, then the address of the centre.",
                        STR_ARG(host));
    case CURLE_COULDNT_CONNECT:
        return diag_set(
            d, ERR_NET,
            "%.*s does not answer. Check the signal; if others get through, ask whether the centre is "
            "running.",
            STR_ARG(host));
    case CURLE_OPERATION_TIMEDOUT:
        return diag_set(d, ERR_NET,
                        "%.*s did not answer within %lld seconds. Try again where the signal is better.",
                        STR_ARG(host), (long long)(x->stall_ms_max + 999) / 1000);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_ISSUER_ERROR:
        return diag_set(
            d, ERR_NET,
            "%.*s could not prove who it is (%.120s), so nothing was sent. Check the date of this device; a "
            "public Wi-Fi that wants a sign-in does this too.",
            STR_ARG(host), detail);
    case CURLE_SSL_CACERT_BADFILE:
        return diag_set(d, ERR_IO, "The file of trusted authorities cannot be used: %.200s.", detail);
    default:
        return diag_set(d, ERR_NET, "The connection to %.*s broke (%.160s). It is tried again later.",
                        STR_ARG(host), detail[0] ? detail : curl_easy_strerror(code));
    }
}

enum err http_curl_exchange(struct http_curl *c, const struct http_request *q, struct arena *a,
                            struct http_reply *reply_out, struct diag *d)
{
    struct exchange x = {.arena = a, .moved_at_ms = now_ms(), .stop = q->stop, .stop_self = q->stop_self};
    struct curl_slist *headers = NULL;
    char error_text[CURL_ERROR_SIZE] = "";
    long status = 0;

    x.stall_ms_max = q->stall_ms_max ? q->stall_ms_max : STALL_MS_DEFAULT;
    buf_init(&x.reply.body, q->body_max);
    reply_out->bytes_up = reply_out->bytes_down = 0;
    const char *url = arena_z(a, q->url);
    if (!url)
        return diag_set(d, ERR_NOMEM, "Not enough memory to send a request.");
    enum err rc = make_headers(q, &headers, d);
    if (rc)
        return rc;
    set_options(c, q, &x, url, error_text, headers);
    CURLcode code = curl_easy_perform(c->easy);
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_reset(c->easy); /* the options point into this frame */
    curl_slist_free_all(headers);
    bool bodiless = q->method == HTTP_HEAD || status == 204 || status == 304;
    if (!code && (!x.head_whole || (!x.length_told && !bodiless)))
        code = CURLE_PARTIAL_FILE; /* curl takes a head that was cut, or a body without a length, for whole */
    if (code) {
        rc = tell(code, error_text, q, &x, d);
        reply_out->bytes_up = x.reply.bytes_up;
        reply_out->bytes_down = x.reply.bytes_down;
        buf_free(&x.reply.body);
        return rc;
    }
    x.reply.status = (int)status;
    *reply_out = x.reply;
    return ERR_OK;
}

enum err http_curl_open(const char *ca_file, struct http_curl **curl_out, struct diag *d)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return diag_set(d, ERR_NOMEM, "The network library does not start.");
    struct http_curl *c = calloc(1, sizeof *c);
    if (c) {
        c->easy = curl_easy_init();
        c->ca_file = ca_file ? strdup(ca_file) : NULL;
    }
    if (!c || !c->easy || (ca_file && !c->ca_file)) {
        if (c)
            http_curl_close(c);
        else
            curl_global_cleanup();
        return diag_set(d, ERR_NOMEM, "Not enough memory for the network.");
    }
    *curl_out = c;
    return ERR_OK;
}

void http_curl_close(struct http_curl *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->easy);
    free(c->ca_file);
    free(c);
    curl_global_cleanup();
}
