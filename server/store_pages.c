/* See store_pages.h. */
#include "server/store_pages.h"

#include <stdlib.h>

#include "server/store_impl.h"

#define LAST_CHARACTER "\xf4\x8f\xbf\xbf"
#define PREFIX_MAX 400

struct prefix_room {
    char at[PREFIX_MAX + 4];
};

static struct str prefix_end(struct str prefix, struct prefix_room *room)
{
    struct str p = str_sub(none_as_empty(prefix), 0, PREFIX_MAX);
    memcpy(room->at, p.p, p.n);
    memcpy(room->at + p.n, LAST_CHARACTER, 4);
    return (struct str){room->at, p.n + 4};
}

/* ---- households by severity ---- */

/* "AREA:NUMBER" */
static bool key_read(struct str key, struct str *area, uint64_t *number)
{
    size_t colon = key.n;
    *area = STR("");
    *number = 0;
    if (!key.n)
        return true;
    while (colon > 0 && key.p[colon - 1] != ':')
        colon--;
    *area = str_sub(key, 0, colon ? colon - 1 : 0);
    return colon > 0 && str_to_u64(str_sub(key, colon, key.n), number);
}

static struct str key_of(struct arena *a, struct str area, uint64_t number)
{
    struct buf b;
    buf_init(&b, 512);
    buf_put_str(&b, area);
    buf_put_char(&b, ':');
    buf_put_u64(&b, number);
    struct str s = arena_str(a, buf_str(&b));
    buf_free(&b);
    return s;
}

static enum err household_read(struct stmt *q, struct arena *a, struct work_household *h, struct diag *d)
{
    struct str *const texts[] = {&h->area, &h->code,  &h->name,       &h->status,
                                 &h->into, &h->level, &h->clock_code, &h->person};
    h->row = col_row(q, 0);
    h->number = col_u64(q, 1);
    for (int i = 0; i < 8; i++)
        if (keep(a, none_as_empty(col_text(q, 2 + i)), texts[i]))
            return no_memory(d);
    h->visited = col_i64(q, 10);
    h->due = col_i64(q, 11);
    h->clock = col_i64(q, 12);
    h->leads = (uint32_t)col_i64(q, 13);
    h->conflicts = (uint32_t)col_i64(q, 14);
    h->key = key_of(a, h->area, h->number);
    return h->key.p ? ERR_OK : no_memory(d);
}

enum err pages_by_level(const struct work_ask *ask, struct str level, struct str after, uint32_t limit,
                        struct work_household **out, uint32_t *count_out, struct diag *d)
{
    static const char sql[] =
        "SELECT household, number, area, code, name, status, into_code, level, clock_code,"
        " coalesce((SELECT p.name FROM person p WHERE p.county = ?1 AND p.person = house_line.person), ''),"
        " visited, due, clock, leads, conflicts FROM house_line WHERE county = ?1 AND level = ?7"
        " AND area >= ?2 AND area < ?3 AND (area, number) > (?4, ?5) ORDER BY area, number LIMIT ?6";
    struct stmt *q = NULL;
    struct prefix_room room;
    struct str from;
    uint64_t number = 0;
    bool row = false;
    VEC(struct work_household) list = {0};
    if (!key_read(after.p ? after : STR(""), &from, &number))
        return diag_set(d, ERR_USAGE, "This is no place in a list of households.");
    enum err rc = statement(ask->st, sql, &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, ask->area);
    bind_text(q, 3, prefix_end(ask->area, &room));
    bind_text(q, 4, from);
    bind_u64(q, 5, number);
    bind_i64(q, 6, limit);
    bind_text(q, 7, level);
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct work_household *h = vec_push(ask->a, &list);
        rc = h ? household_read(q, ask->a, h, d) : no_memory(d);
        if (rc)
            break;
    }
    stmt_done(q);
    *out = list.at;
    *count_out = list.count;
    return rc;
}

/* ---- files between two steps ---- */

enum err parked_put(struct cstore *s, struct str id, uint32_t person, struct str name, struct str bytes,
                    int64_t now_ms, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s, "DELETE FROM parked WHERE county = ?1 AND at_ms < ?2", &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, now_ms - PARKED_LIFE_MS);
    rc = stmt_run(q, d);
    if (!rc)
        rc = statement(s, "INSERT INTO parked VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, id);
    bind_i64(q, 3, person);
    bind_i64(q, 4, now_ms);
    bind_text(q, 5, none_as_empty(name));
    bind_blob(q, 6, bytes.p ? bytes.p : "", bytes.n);
    return stmt_run(q, d);
}

enum err parked_get(struct cstore *s, struct arena *a, struct str id, uint32_t person, struct str *name_out,
                    struct str *bytes_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, "SELECT name, bytes FROM parked WHERE county = ?1 AND id = ?2 AND person = ?3",
                            &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, none_as_empty(id));
    bind_i64(q, 3, person);
    rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = diag_set(d, ERR_NOT_FOUND, "This upload is gone. Upload the file again.");
    if (!rc && (keep(a, none_as_empty(col_text(q, 0)), name_out) ||
                keep(a, none_as_empty(col_blob(q, 1)), bytes_out)))
        rc = no_memory(d);
    stmt_done(q);
    return rc;
}

/* ---- the map ---- */

/* Millionths; what stands behind the sixth digit is left out. */
static bool degrees_read(struct str text, int64_t most, int64_t *out)
{
    bool minus = text.n && text.p[0] == '-';
    int64_t whole = 0, part = 0, unit = 100000;
    size_t i = minus ? 1 : 0, from = i;
    for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9' && whole < 1000; i++)
        whole = whole * 10 + (text.p[i] - '0');
    if (i == from || whole > most)
        return false;
    if (i < text.n && text.p[i] == '.')
        for (i++; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++, unit /= 10)
            part += (text.p[i] - '0') * unit;
    *out = (whole * 1000000 + part) * (minus ? -1 : 1);
    return i == text.n;
}

bool place_read(struct str text, int64_t *latitude_out, int64_t *longitude_out)
{
    struct str first, second;
    int64_t latitude = 0, longitude = 0;
    if (!str_word(&text, &first) || !str_word(&text, &second) || !degrees_read(first, 90, &latitude) ||
        !degrees_read(second, 180, &longitude))
        return false;
    *latitude_out = latitude;
    *longitude_out = longitude;
    return true;
}

/* A county at once is read by the cells of a fixed grid, which an index holds in order: grouping a hundred
 * thousand places by a grid of the moment takes a tenth of a second. */
#define GRID 5000 /* millionths of a degree: half a kilometre */
#define GRID_ROWS 100000
#define GRID_SHIFT 180000000

static int64_t grid_of(int64_t latitude, int64_t longitude)
{
    return (longitude + GRID_SHIFT) / GRID * GRID_ROWS + (latitude + GRID_SHIFT) / GRID;
}

enum err place_put(struct cstore *s, struct row_id household, struct str area, struct str level,
                   int64_t latitude, int64_t longitude, struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc =
        statement(s,
                  "INSERT INTO house_place (county, household, area, latitude, longitude, level, grid)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (county, household)"
                  " DO UPDATE SET area = excluded.area, latitude = excluded.latitude,"
                  " longitude = excluded.longitude, level = excluded.level, grid = excluded.grid",
                  &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, household, &room);
    bind_text(q, 3, none_as_empty(area));
    bind_i64(q, 4, latitude);
    bind_i64(q, 5, longitude);
    bind_text(q, 6, none_as_empty(level));
    bind_i64(q, 7, grid_of(latitude, longitude));
    return stmt_run(q, d);
}

/* Whoever sees the whole county asks without an area, so that the index by longitude serves. */
#define OF_COUNTY " FROM house_place WHERE county = ?1"
#define OF_AREA OF_COUNTY " AND area >= ?2 AND area < ?3"
#define IN_BOX " AND longitude >= ?4 AND longitude <= ?5 AND latitude >= ?6 AND latitude <= ?7"
#define CELLS                                                                                             \
    "SELECT (longitude - ?4) / ?8 AS gx, (latitude - ?6) / ?8 AS gy, count(*) AS n,"                      \
    " sum(CASE WHEN level = 'red' THEN 1 ELSE 0 END), sum(CASE WHEN level = 'yellow' THEN 1 ELSE 0 END)," \
    " sum(CASE WHEN level = 'blue' THEN 1 ELSE 0 END), sum(CASE WHEN level = 'unknown' THEN 1 ELSE 0 END)"
#define BY_CELL " GROUP BY gx, gy ORDER BY n DESC, gx, gy LIMIT ?9"

static void bind_box(struct stmt *q, const struct work_ask *ask, const struct map_box *box,
                     struct prefix_room *room)
{
    if (ask->area.n) {
        bind_text(q, 2, ask->area);
        bind_text(q, 3, prefix_end(ask->area, room));
    }
    if (box) {
        bind_i64(q, 4, box->west);
        bind_i64(q, 5, box->east);
        bind_i64(q, 6, box->south);
        bind_i64(q, 7, box->north);
    }
}

enum err places_box(const struct work_ask *ask, struct map_box *out, bool *any_out, struct diag *d)
{
    static const char of_area[] =
        "SELECT min(longitude), max(longitude), min(latitude), max(latitude)" OF_AREA;
    static const char of_county[] = "SELECT (SELECT min(longitude)" OF_COUNTY
                                    "), (SELECT max(longitude)" OF_COUNTY "),"
                                    " (SELECT min(latitude)" OF_COUNTY "), (SELECT max(latitude)" OF_COUNTY
                                    ")";
    struct stmt *q = NULL;
    struct prefix_room room;
    bool row = false;
    enum err rc = statement(ask->st, ask->area.n ? of_area : of_county, &q, d);
    if (rc)
        return rc;
    bind_box(q, ask, NULL, &room);
    rc = stmt_step(q, &row, d);
    *any_out = !rc && row && !col_null(q, 0);
    if (*any_out)
        *out = (struct map_box){col_i64(q, 0), col_i64(q, 1), col_i64(q, 2), col_i64(q, 3)};
    stmt_done(q);
    return rc;
}

static void level_count(struct map_cell *c, struct str level, uint64_t n)
{
    c->count += n;
    c->red += str_eq_z(level, "red") ? n : 0;
    c->yellow += str_eq_z(level, "yellow") ? n : 0;
    c->blue += str_eq_z(level, "blue") ? n : 0;
    c->unknown += str_eq_z(level, "unknown") ? n : 0;
}

static int fullest_first(const void *a, const void *b)
{
    const struct map_cell *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return x->x != y->x ? (x->x < y->x ? -1 : 1) : (x->y > y->y) - (x->y < y->y);
}

#define CELLS_AT_ONCE 20000

/* The whole county from the fixed grid: each of its cells goes where its middle lies. */
static enum err county_cells(const struct work_ask *ask, const struct map_box *box, int64_t cell,
                             uint32_t limit, struct map_cell **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    int64_t across = (box->east - box->west) / cell + 1, up = (box->north - box->south) / cell + 1;
    uint32_t filled = 0;
    struct map_cell *at = ARENA_ARRAY(ask->a, struct map_cell, (size_t)(across * up));
    if (!at)
        return no_memory(d);
    enum err rc = statement(ask->st,
                            "SELECT grid, level, count(*) FROM house_place WHERE county = ?1"
                            " GROUP BY grid, level",
                            &q, d);
    if (rc)
        return rc;
    while (!(rc = stmt_step(q, &row, d)) && row) {
        int64_t grid = col_i64(q, 0);
        int64_t east = grid / GRID_ROWS * GRID - GRID_SHIFT + GRID / 2 - box->west;
        int64_t north = grid % GRID_ROWS * GRID - GRID_SHIFT + GRID / 2 - box->south;
        if (east < -GRID || east > box->east - box->west + GRID || north < -GRID ||
            north > box->north - box->south + GRID)
            continue;
        int64_t x = east / cell, y = north / cell;
        x = x < 0 ? 0 : x < across ? x : across - 1;
        y = y < 0 ? 0 : y < up ? y : up - 1;
        struct map_cell *c = &at[y * across + x];
        c->x = x;
        c->y = y;
        level_count(c, col_text(q, 1), col_u64(q, 2));
    }
    stmt_done(q);
    for (int64_t i = 0; i < across * up; i++)
        if (at[i].count)
            at[filled++] = at[i];
    qsort(at, filled, sizeof *at, fullest_first);
    *out = at;
    *count_out = filled < limit ? filled : limit;
    return rc;
}

enum err places_cells(const struct work_ask *ask, const struct map_box *box, int64_t cell, uint32_t limit,
                      struct map_cell **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    struct prefix_room room;
    bool row = false;
    VEC(struct map_cell) list = {0};
    /* How many cells the box has: the product cannot overflow, both are below a million. */
    int64_t cells = ((box->east - box->west) / cell + 1) * ((box->north - box->south) / cell + 1);
    if (!ask->area.n && cell >= 2 * GRID && cells <= CELLS_AT_ONCE)
        return county_cells(ask, box, cell, limit, out, count_out, d);
    enum err rc = statement(ask->st,
                            ask->area.n ? CELLS OF_AREA IN_BOX BY_CELL : CELLS OF_COUNTY IN_BOX BY_CELL, &q,
                            d);
    if (rc)
        return rc;
    bind_box(q, ask, box, &room);
    bind_i64(q, 8, cell);
    bind_i64(q, 9, limit);
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct map_cell *c = vec_push(ask->a, &list);
        if (!c) {
            rc = no_memory(d);
            break;
        }
        c->x = col_i64(q, 0);
        c->y = col_i64(q, 1);
        c->count = col_u64(q, 2);
        c->red = col_u64(q, 3);
        c->yellow = col_u64(q, 4);
        c->blue = col_u64(q, 5);
        c->unknown = col_u64(q, 6);
    }
    stmt_done(q);
    *out = list.at;
    *count_out = list.count;
    return rc;
}

enum err place_one(const struct work_ask *ask, const struct map_box *box, struct row_id *out, struct diag *d)
{
    struct stmt *q = NULL;
    struct prefix_room room;
    bool row = false;
    enum err rc = statement(ask->st,
                            ask->area.n ? "SELECT household" OF_AREA IN_BOX " LIMIT 1"
                                        : "SELECT household" OF_COUNTY IN_BOX " LIMIT 1",
                            &q, d);
    if (rc)
        return rc;
    bind_box(q, ask, box, &room);
    rc = stmt_step(q, &row, d);
    if (!rc && row)
        *out = col_row(q, 0);
    else if (!rc)
        rc = diag_set(d, ERR_NOT_FOUND, "No household is here.");
    stmt_done(q);
    return rc;
}
