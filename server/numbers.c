/* See numbers.h. */
#include "server/numbers.h"

static const uint32_t bucket_ms[NUMBERS_BUCKETS] = {5, 25, 100, 500, 2500, 10000};

void numbers_request(struct numbers *n, int status, int64_t took_ms, uint64_t bytes_in, uint64_t bytes_out)
{
    atomic_fetch_add(&n->by_class[status >= 100 && status < 600 ? status / 100 : 5], 1);
    for (int i = 0; i < NUMBERS_BUCKETS; i++) {
        if (took_ms <= bucket_ms[i])
            atomic_fetch_add(&n->within[i], 1);
    }
    atomic_fetch_add(&n->took_ms, (unsigned long long)(took_ms > 0 ? took_ms : 0));
    atomic_fetch_add(&n->bytes_in, bytes_in);
    atomic_fetch_add(&n->bytes_out, bytes_out);
}

void numbers_line(struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name,
               (unsigned long long)value);
}

/* 2500 as "2.5": seconds, as Prometheus wants times. */
static void put_seconds(struct buf *out, uint64_t ms)
{
    buf_printf(out, "%llu.%03llu", (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000));
}

void numbers_write(struct numbers *n, struct buf *out)
{
    unsigned long long all = 0;
    buf_put_z(out, "# HELP doorstep_requests_total Requests answered, by class of status.\n"
                   "# TYPE doorstep_requests_total counter\n");
    for (int i = 1; i < 6; i++) {
        unsigned long long count = atomic_load(&n->by_class[i]);
        buf_printf(out, "doorstep_requests_total{class=\"%dxx\"} %llu\n", i, count);
        all += count;
    }
    buf_put_z(out, "# HELP doorstep_request_seconds How long answers took to make.\n"
                   "# TYPE doorstep_request_seconds histogram\n");
    for (int i = 0; i < NUMBERS_BUCKETS; i++) {
        buf_put_z(out, "doorstep_request_seconds_bucket{le=\"");
        put_seconds(out, bucket_ms[i]);
        buf_printf(out, "\"} %llu\n", atomic_load(&n->within[i]));
    }
    buf_printf(out, "doorstep_request_seconds_bucket{le=\"+Inf\"} %llu\ndoorstep_request_seconds_sum ", all);
    put_seconds(out, atomic_load(&n->took_ms));
    buf_printf(out, "\ndoorstep_request_seconds_count %llu\n", all);
    numbers_line(out, "doorstep_request_bytes_total", "counter", "Bytes of bodies received.",
                 atomic_load(&n->bytes_in));
    numbers_line(out, "doorstep_reply_bytes_total", "counter", "Bytes of bodies sent.",
                 atomic_load(&n->bytes_out));
    numbers_line(out, "doorstep_turned_away_total", "counter",
                 "Requests not looked at, because their address had sent too much that was refused.",
                 atomic_load(&n->turned_away));
}

uint32_t refusals_of(struct refusals *r, struct str address, int64_t mono_ms, uint32_t more)
{
    if (!address.n)
        return 0;
    size_t slot = str_hash(address) % REFUSALS_SLOTS;
    int64_t forgiven = (mono_ms - r->at[slot].at_ms) / REFUSALS_FORGIVE_MS;
    if (forgiven > 0) {
        r->at[slot].count = forgiven < r->at[slot].count ? r->at[slot].count - (uint32_t)forgiven : 0;
        r->at[slot].at_ms = mono_ms;
    }
    r->at[slot].count += more;
    return r->at[slot].count;
}
