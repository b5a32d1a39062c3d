/* See pace.h. */
#include "sync/pace.h"

#define HEADS 400  /* bytes of heads around a piece */
#define SMALL 1500 /* below it an exchange measures the round trip, above it the rate too */
#define TOOK_MS_MAX 3600000
#define RATE_MIN 50
#define RATE_MAX (16u << 20)
#define BETWEEN_MS_MIN 2000

struct pace pace_begin(void)
{
    return (struct pace){.piece_max = PACE_PIECE_MAX,
                         .bytes_per_s = 2000,
                         .round_trip_ms = 1000,
                         .between_ms = 30000};
}

static int64_t within(int64_t v, int64_t min, int64_t max)
{
    return v < min ? min : v > max ? max : v;
}

uint64_t pace_young(uint64_t cost, uint64_t between)
{
    uint64_t square = cost > (UINT64_MAX >> 1) / (between ? between : 1) ? UINT64_MAX : 2 * cost * between;
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit; bit >>= 1)
        if ((root | bit) * (root | bit) <= square)
            root |= bit;
    return root;
}

void pace_arrived(struct pace *p, uint64_t bytes, int64_t took_ms)
{
    took_ms = within(took_ms, 1, TOOK_MS_MAX);
    if (bytes <= SMALL) {
        if (took_ms < p->round_trip_ms)
            p->round_trip_ms = took_ms;
    } else {
        int64_t moving_ms = took_ms > p->round_trip_ms ? took_ms - p->round_trip_ms : 1;
        if (bytes > UINT32_MAX)
            bytes = UINT32_MAX;
        int64_t rate = within((int64_t)(bytes * 1000) / moving_ms, RATE_MIN, RATE_MAX);
        p->bytes_per_s = (uint32_t)((p->bytes_per_s + rate) / 2);
        p->piece_max = p->piece_max + PACE_STEP < PACE_PIECE_MAX ? p->piece_max + PACE_STEP : PACE_PIECE_MAX;
    }
    p->calm_ms = within(p->calm_ms + took_ms, 0, TOOK_MS_MAX);
    if (p->calm_ms > p->between_ms)
        p->between_ms = p->calm_ms;
}

void pace_broke(struct pace *p, int64_t took_ms)
{
    int64_t calm_ms = within(p->calm_ms + within(took_ms, 0, TOOK_MS_MAX), BETWEEN_MS_MIN, TOOK_MS_MAX);
    uint32_t half = pace_piece(p) / 2;
    p->between_ms = (p->between_ms + calm_ms) / 2;
    p->calm_ms = 0;
    p->piece_max = half < PACE_PIECE_MIN ? PACE_PIECE_MIN : half;
}

uint32_t pace_piece(const struct pace *p)
{
    uint64_t cost = HEADS + (uint64_t)p->bytes_per_s * (uint64_t)p->round_trip_ms / 1000;
    uint64_t best = pace_young(cost, (uint64_t)p->bytes_per_s * (uint64_t)p->between_ms / 1000);
    if (best > p->piece_max)
        best = p->piece_max;
    return best < PACE_PIECE_MIN ? PACE_PIECE_MIN : (uint32_t)best;
}
