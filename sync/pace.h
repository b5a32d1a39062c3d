/* How much to send at once over this link. A piece that is lost costs its bytes again, a piece that arrives
 * costs a head and a round trip: Young's formula for the best distance between checkpoints, the square root
 * of twice (cost of a piece) * (bytes between two failures), weighs one against the other. What the formula
 * knows too late, failures tell at once: each halves the largest piece, each success adds a little to it
 * again.
 *
 * Pure: told how long things took, says how large the next piece is. Always PACE_PIECE_MIN..PACE_PIECE_MAX.
 */
#ifndef DOORSTEP_SYNC_PACE_H
#define DOORSTEP_SYNC_PACE_H

#include <stdint.h>

#define PACE_PIECE_MIN (2u << 10)
#define PACE_PIECE_MAX (64u << 10)
#define PACE_STEP (4u << 10) /* what a success adds to the largest piece */

struct pace {
    uint32_t piece_max;    /* as failures have it */
    uint32_t bytes_per_s;  /* as measured, smoothed */
    int64_t round_trip_ms; /* the shortest that was seen */
    int64_t calm_ms;       /* of transfer, since the last failure */
    int64_t between_ms;    /* between two failures, smoothed */
};
struct pace pace_begin(
    void); /* a 2G link on a bad day: 2,000 bytes/s, one second, a failure every half minute */
/* An exchange of `bytes` in both directions that was answered after took_ms. */
void pace_arrived(struct pace *p, uint64_t bytes, int64_t took_ms);
/* One that broke off. */
void pace_broke(struct pace *p, int64_t took_ms);
uint32_t pace_piece(const struct pace *p);

/* sqrt(2 * cost * bytes_between_failures), both in bytes. */
uint64_t pace_young(uint64_t cost, uint64_t between);

#endif
