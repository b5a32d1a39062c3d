/* See store_pages.h. */
#include "server/store_pages.h"

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

enum err place_put(struct cstore *s, struct row_id household, int64_t latitude, int64_t longitude,
                   struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc = statement(s,
                            "INSERT INTO house_place (county, household, latitude, longitude)"
                            " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (county, household)"
                            " DO UPDATE SET latitude = excluded.latitude, longitude = excluded.longitude",
                            &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, household, &room);
    bind_i64(q, 3, latitude);
    bind_i64(q, 4, longitude);
    return stmt_run(q, d);
}

#define PLACES_OF_AREA                                                                           \
    " FROM house_place x JOIN house_line l ON l.county = x.county AND l.household = x.household" \
    " WHERE x.county = ?1 AND l.area >= ?2 AND l.area < ?3"

enum err places_box(const struct work_ask *ask, struct map_box *out, bool *any_out, struct diag *d)
{
    struct stmt *q = NULL;
    struct prefix_room room;
    bool row = false;
    enum err rc = statement(ask->st,
                            "SELECT count(*), min(x.longitude), max(x.longitude), min(x.latitude),"
                            " max(x.latitude)" PLACES_OF_AREA,
                            &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, ask->area);
    bind_text(q, 3, prefix_end(ask->area, &room));
    rc = stmt_step(q, &row, d);
    *any_out = !rc && row && col_i64(q, 0) > 0;
    if (*any_out)
        *out = (struct map_box){col_i64(q, 1), col_i64(q, 2), col_i64(q, 3), col_i64(q, 4)};
    stmt_done(q);
    return rc;
}

enum err places_cells(const struct work_ask *ask, const struct map_box *box, int64_t cell, uint32_t limit,
                      struct map_cell **out, uint32_t *count_out, struct diag *d)
{
    static const char sql[] =
        "SELECT (x.longitude - ?4) / ?8 AS gx, (x.latitude - ?6) / ?8 AS gy, count(*) AS n,"
        " sum(CASE WHEN l.level = 'red' THEN 1 ELSE 0 END),"
        " sum(CASE WHEN l.level = 'yellow' THEN 1 ELSE 0 END),"
        " sum(CASE WHEN l.level = 'blue' THEN 1 ELSE 0 END),"
        " sum(CASE WHEN l.level = 'unknown' THEN 1 ELSE 0 END), min(l.code), min(l.name)" PLACES_OF_AREA
        " AND x.longitude >= ?4 AND x.longitude <= ?5 AND x.latitude >= ?6 AND x.latitude <= ?7"
        " GROUP BY gx, gy ORDER BY n DESC, gx, gy LIMIT ?9";
    struct stmt *q = NULL;
    struct prefix_room room;
    bool row = false;
    VEC(struct map_cell) list = {0};
    enum err rc = statement(ask->st, sql, &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, ask->area);
    bind_text(q, 3, prefix_end(ask->area, &room));
    bind_i64(q, 4, box->west);
    bind_i64(q, 5, box->east);
    bind_i64(q, 6, box->south);
    bind_i64(q, 7, box->north);
    bind_i64(q, 8, cell);
    bind_i64(q, 9, limit);
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct map_cell *c = vec_push(ask->a, &list);
        if (!c || keep(ask->a, none_as_empty(col_text(q, 7)), &c->code) ||
            keep(ask->a, none_as_empty(col_text(q, 8)), &c->name)) {
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
