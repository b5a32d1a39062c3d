/* See courier_local.h. The bundle lies in a file at both ends and travels by ranges, so that neither holds it
 * in memory. */
#include "agent/courier_local.h"

#include <signal.h>

#include "platform/http_serve.h"
#include "platform/posix/posix_stream.h"

#define PIECE (512u << 10)
#define FETCH_MAX (2 * (uint64_t)COURIER_CARRY_MAX)
#define BUNDLE_URL "/v1/courier"

/* ---- serving ---- */

struct serving {
    const char *path;
};

static bool range_of(struct str header, uint64_t size, uint64_t *from, uint64_t *n)
{
    struct str first;
    if (!str_starts(header, STR("bytes=")))
        return false;
    struct str rest = str_sub(header, 6, header.n);
    if (!str_split(&rest, '-', &first) || !str_to_u64(first, from) || *from >= size)
        return false;
    *n = size - *from < PIECE ? size - *from : PIECE;
    return true;
}

static enum err read_range(const struct serving *s, struct str range, struct http_reply *reply,
                           uint64_t *size_out, uint64_t *from_out, struct diag *d)
{
    struct stream_in *in = NULL;
    char chunk[16384];
    uint64_t left = 0;
    enum err rc = stream_in_open(s->path, &in, d);
    if (rc)
        return rc;
    *size_out = stream_in_size(in);
    if (range_of(range, *size_out, from_out, &left))
        rc = stream_in_seek(in, *from_out, d);
    while (!rc && left > 0) {
        size_t got = 0;
        rc = stream_in_read(in, chunk, left < sizeof chunk ? (size_t)left : sizeof chunk, &got, d);
        if (!rc && got == 0)
            break;
        buf_put(&reply->body, chunk, got);
        left -= got;
    }
    stream_in_close(in);
    return rc;
}

/* Only ranges: whoever asks for all of it at once does not know what this is. */
static void handle(void *self, const struct http_request *request, struct arena *a, struct http_reply *reply)
{
    const struct serving *s = self;
    struct diag d = {0};
    uint64_t size = 0, from = 0;
    struct buf text;

    reply->status = 404;
    if (request->method != HTTP_GET || !str_eq_z(http_path(request->url), BUNDLE_URL))
        return;
    struct str range = http_header_find(request->headers, request->header_count, "Range");
    if (read_range(s, range, reply, &size, &from, &d)) {
        reply->status = 500;
        return;
    }
    reply->status = reply->body.n > 0 ? 206 : 416;
    buf_init(&text, 100);
    if (reply->body.n > 0)
        buf_printf(&text, "bytes %llu-%llu/%llu", (unsigned long long)from,
                   (unsigned long long)(from + reply->body.n - 1), (unsigned long long)size);
    else
        buf_printf(&text, "bytes */%llu", (unsigned long long)size);
    reply->headers[reply->header_count++] = (struct http_header){STR("Content-Range"),
                                                                 arena_str(a, buf_str(&text))};
    reply->headers[reply->header_count++] = (struct http_header){STR("Content-Type"),
                                                                 STR("application/octet-stream")};
    buf_free(&text);
}

static enum err serve_until_told(const char *path, const struct courier_serve *how,
                                 const struct courier_result *packed, struct diag *d)
{
    struct serving serving = {.path = path};
    struct http_serve *http = NULL;
    sigset_t stop, before;
    int which = 0;
    const struct http_serve_options o = {.address = how->address,
                                         .port = how->port,
                                         .threads = 1,
                                         .body_max = 1024,
                                         .connections_max = 16,
                                         .self = &serving,
                                         .handle = handle};
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    /* Before threads begin: they inherit the mask, so that the signals come here. */
    (void)sigprocmask(SIG_BLOCK, &stop, &before);
    enum err rc = http_serve_start(&o, &http, d);
    if (!rc) {
        how->ready(how->self, http_serve_port(http), packed);
        (void)sigwait(&stop, &which);
    }
    http_serve_stop(http);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return rc;
}

enum err courier_serve(struct store *s, const struct seam *seam, const struct courier_options *o,
                       const struct courier_serve *how, struct diag *d)
{
    struct arena a;
    struct courier_result packed = {0};
    const char *path = NULL;
    arena_init(&a, 64u << 10);
    enum err rc = courier_path(&a, seam, o->data, "serving" COURIER_SUFFIX, &path, d);
    if (!rc)
        rc = courier_pack(s, seam, path, o, &packed, d);
    if (!rc)
        rc = serve_until_told(path, how, &packed, d);
    if (path)
        (void)seam->file_remove(seam->self, path);
    arena_free(&a);
    return rc;
}

/* ---- fetching ---- */

static enum err url_of(struct arena *a, const char *address, struct str *out, struct diag *d)
{
    struct buf b;
    struct str base = str_of(address);
    while (base.n > 0 && base.p[base.n - 1] == '/')
        base.n--;
    buf_init(&b, 4096);
    if (!str_starts(base, STR("http://")) && !str_starts(base, STR("https://")))
        buf_put_z(&b, "http://");
    buf_put_str(&b, base);
    buf_put_z(&b, BUNDLE_URL);
    *out = b.failed ? STR_NONE : arena_str(a, buf_str(&b));
    buf_free(&b);
    return out->p ? ERR_OK : diag_set(d, ERR_USAGE, "the other handheld's address is too long");
}

/* The number behind the slash of "bytes 0-9/100". */
static bool size_of(struct str content_range, uint64_t *size_out)
{
    struct str before;
    return str_split(&content_range, '/', &before) && str_to_u64(content_range, size_out);
}

static enum err fetch_piece(const struct seam *seam, struct str url, uint64_t at, struct stream_out *out,
                            uint64_t *got_out, uint64_t *size_out, struct diag *d)
{
    struct arena a;
    struct buf range;
    struct http_request q = {.method = HTTP_GET, .url = url, .body_max = PIECE, .stall_ms_max = 20000};
    struct http_reply reply = {0};
    arena_init(&a, 1u << 20);
    buf_init(&range, 100);
    buf_printf(&range, "bytes=%llu-%llu", (unsigned long long)at, (unsigned long long)(at + PIECE - 1));
    q.headers[q.header_count++] = (struct http_header){STR("Range"), buf_str(&range)};
    enum err rc = seam->http(seam->self, &q, &a, &reply, d);
    if (!rc && (reply.status != 206 ||
                !size_of(http_header_find(reply.headers, reply.header_count, "Content-Range"), size_out)))
        rc = diag_set(d, ERR_NET,
                      "what answers at %.*s is no handheld that serves its bundle (HTTP %d): run `doorstep "
                      "courier serve` there",
                      STR_ARG(url), reply.status);
    if (!rc && *size_out > FETCH_MAX)
        rc = diag_set(d, ERR_LIMIT, "the other handheld has more than this one takes at once");
    if (!rc)
        rc = stream_out_write(out, buf_str(&reply.body), d);
    if (!rc)
        *got_out = reply.body.n;
    buf_free(&reply.body);
    buf_free(&range);
    arena_free(&a);
    return rc;
}

/* *why: what broke it off after something had come, "" = nothing did. */
static enum err fetch(const struct seam *seam, struct str url, const char *path, struct diag *why,
                      struct diag *d)
{
    struct stream_out *out = NULL;
    uint64_t at = 0, size = 1, got = 1;
    struct diag said = {0};
    enum err rc = stream_out_open(path, &out, d);
    if (rc)
        return rc;
    while (!rc && at < size && got > 0) {
        rc = fetch_piece(seam, url, at, out, &got, &size, &said);
        at += rc ? 0 : got;
    }
    if (rc && at > 0 && err_action(rc)->retry && rc != ERR_FULL) {
        *why = said;
        rc = ERR_OK;
    }
    if (!rc)
        return stream_out_commit(out, d);
    stream_out_drop(out);
    return diag_set(d, rc, "%s", said.text);
}

enum err courier_take_from(struct store *s, const struct seam *seam, const char *address,
                           const struct courier_options *o, struct courier_result *result_out, struct diag *d)
{
    struct arena a;
    struct str url;
    struct diag broke = {0};
    const char *path = NULL;
    memset(result_out, 0, sizeof *result_out);
    arena_init(&a, 64u << 10);
    enum err rc = courier_path(&a, seam, o->data, "fetched" COURIER_SUFFIX, &path, d);
    if (!rc)
        rc = url_of(&a, address, &url, d);
    if (!rc)
        rc = fetch(seam, url, path, &broke, d);
    if (!rc)
        rc = courier_take(s, seam, path, o, result_out, d);
    if (broke.text[0] && !result_out->trouble[0])
        memcpy(result_out->trouble, broke.text, sizeof broke.text);
    if (path)
        (void)seam->file_remove(seam->self, path);
    arena_free(&a);
    return rc;
}
