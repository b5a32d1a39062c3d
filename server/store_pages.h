/* The store's verbs that only screens use. Those that write are called inside a transaction.
 */
#ifndef DOORSTEP_SERVER_STORE_PAGES_H
#define DOORSTEP_SERVER_STORE_PAGES_H

#include "server/work.h"

/* Households of one severity, in the order of areas; paged like work_search. ERR_USAGE: `after` is no key. */
enum err pages_by_level(const struct work_ask *q, struct str level, struct str after, uint32_t limit,
                        struct work_household **out, uint32_t *count_out, struct diag *d) MUST_USE;

/* ---- files between two steps ---- */
#define PARKED_LIFE_MS (2LL * 3600 * 1000)
#define PARKED_BYTES_MAX (16u << 20)
/* Older ones go at the same time. `id`: 32 hex digits, not to be guessed. */
enum err parked_put(struct cstore *s, struct str id, uint32_t person, struct str name, struct str bytes,
                    int64_t now_ms, struct diag *d) MUST_USE;
enum err parked_get(struct cstore *s, struct arena *a, struct str id, uint32_t person, struct str *name_out,
                    struct str *bytes_out, struct diag *d) MUST_USE; /* ERR_NOT_FOUND */

/* ---- the map ---- */
/* Millionths of a degree. */
struct map_box {
    int64_t west, east, south, north;
};
/* "latitude longitude ..." as positions are written; false when it is none. */
bool place_read(struct str text, int64_t *latitude_out, int64_t *longitude_out);
enum err place_put(struct cstore *s, struct row_id household, struct str area, struct str level,
                   int64_t latitude, int64_t longitude, struct diag *d) MUST_USE;
/* The smallest box around all of an area; *any_out false when there is no place. */
enum err places_box(const struct work_ask *q, struct map_box *out, bool *any_out, struct diag *d) MUST_USE;
struct map_cell {
    int64_t x, y; /* of the grid, from the west and the south */
    uint64_t count, red, yellow, blue, unknown;
};
/* Households inside the box by cells of this size; the fullest first, at most `limit`. */
enum err places_cells(const struct work_ask *q, const struct map_box *box, int64_t cell, uint32_t limit,
                      struct map_cell **out, uint32_t *count_out, struct diag *d) MUST_USE;
/* One household inside the box. ERR_NOT_FOUND. */
enum err place_one(const struct work_ask *q, const struct map_box *box, struct row_id *out,
                   struct diag *d) MUST_USE;

#endif
