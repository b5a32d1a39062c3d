/* A map without tiles: households by the cells of a grid, boundaries from a published GeoJSON list, severity
 * by shape; the table below is the same data, and the way for keyboards. */
#include "server/screens.h"
#include "server/store_pages.h"

#define CELLS_ACROSS 30
#define CELLS_MAX 400
#define ZOOM_MAX 8
#define WIDTH 1000
#define POINTS_MAX 40000 /* of boundaries */
#define SPAN_LEAST 2000  /* millionths of a degree: two hundred metres */

struct map {
    struct page p;
    struct map_box all, box;
    struct map_cell *cells;
    uint32_t count;
    int64_t cell, high;
    uint64_t zoom;
    uint32_t points;
    struct area_names names;
};

/* cos of a latitude in degrees, after Bhaskara: good to a thousandth. */
static double narrowing(double degrees)
{
    double square = degrees * degrees;
    return (32400.0 - 4.0 * square) / (32400.0 + square);
}

static bool number_asked(struct page *p, const char *name, int64_t *out)
{
    struct str s = page_query(p, name);
    return s.n && str_to_i64(s, out) && *out >= -180000000 && *out <= 180000000;
}

/* The box that is shown: all of it, or a power of two smaller around a place of the address. */
static void box_choose(struct map *m)
{
    struct page *p = &m->p;
    int64_t x = 0, y = 0;
    struct map_box *b = &m->all;
    int64_t margin_x = (b->east - b->west) / 20 + SPAN_LEAST / 2,
            margin_y = (b->north - b->south) / 20 + SPAN_LEAST / 2;
    *b = (struct map_box){b->west - margin_x, b->east + margin_x, b->south - margin_y, b->north + margin_y};
    m->box = *b;
    if (!str_to_u64(page_query(p, "z"), &m->zoom) || m->zoom > ZOOM_MAX)
        m->zoom = 0;
    if (m->zoom && number_asked(p, "x", &x) && number_asked(p, "y", &y)) {
        int64_t wide = (b->east - b->west) >> m->zoom, tall = (b->north - b->south) >> m->zoom;
        m->box = (struct map_box){x - wide / 2, x + wide / 2, y - tall / 2, y + tall / 2};
    } else {
        m->zoom = 0;
    }
    m->cell = (m->box.east - m->box.west) / CELLS_ACROSS;
    m->cell = m->cell > 0 ? m->cell : 1;
    double middle = (double)(m->box.north + m->box.south) / 2e6;
    m->high = (int64_t)((double)(m->box.north - m->box.south) * WIDTH /
                        ((double)(m->box.east - m->box.west) * narrowing(middle)));
    m->high = m->high < 200 ? 200 : m->high > 3000 ? 3000 : m->high;
}

static int64_t at_x(const struct map *m, int64_t longitude)
{
    return (longitude - m->box.west) * WIDTH / (m->box.east - m->box.west);
}

static int64_t at_y(const struct map *m, int64_t latitude)
{
    return m->high - (latitude - m->box.south) * m->high / (m->box.north - m->box.south);
}

static struct str text_i64(struct page *p, int64_t v)
{
    return v < 0 ? page_join(p, STR("-"), page_u64(p, (uint64_t)-v), STR("")) : page_u64(p, (uint64_t)v);
}

/* ---- boundaries ---- */

/* A ring of [longitude, latitude] pairs. */
static void ring_draw(struct map *m, const struct json *ring, struct buf *path)
{
    bool first = true;
    for (const struct json *at = ring->child; at && m->points < POINTS_MAX; at = at->next, m->points++) {
        const struct json *lon = json_at(at, 0), *lat = json_at(at, 1);
        if (!lon || !lat || lon->type != JSON_NUMBER || lat->type != JSON_NUMBER || lon->number < -180 ||
            lon->number > 180 || lat->number < -90 || lat->number > 90)
            continue;
        buf_printf(path, "%s%lld %lld", first ? "M" : "L", (long long)at_x(m, (int64_t)(lon->number * 1e6)),
                   (long long)at_y(m, (int64_t)(lat->number * 1e6)));
        first = false;
    }
    buf_put_z(path, first ? "" : "Z");
}

static void geometry_draw(struct map *m, const struct json *geometry)
{
    struct page *p = &m->p;
    const struct json *shape = json_get(geometry, "coordinates");
    struct str type = json_text(geometry, "type");
    bool many = str_eq_z(type, "MultiPolygon");
    struct buf path;
    if (!shape || (!many && !str_eq_z(type, "Polygon")))
        return;
    buf_init(&path, 4u << 20);
    for (const struct json *a = shape->child; a; a = a->next) {
        if (!many)
            ring_draw(m, a, &path);
        for (const struct json *b = many ? a->child : NULL; b; b = b->next)
            ring_draw(m, b, &path);
    }
    if (path.n && !path.failed) {
        pg_open_with(p, "path", ATTRS({"class", STR("edge")}, {"d", arena_str(p->a, buf_str(&path))}));
        pg_close(p);
    }
    buf_free(&path);
}

static enum err boundaries_draw(struct map *m, struct diag *d)
{
    struct page *p = &m->p;
    struct published *list = NULL;
    uint32_t count = 0;
    enum err rc = published_all(p->c->st, p->a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        const struct json *root = NULL;
        struct str bytes;
        if (!str_eq_z(list[i].kind, "list") || !str_eq_z(list[i].state, "live") ||
            !str_ends(list[i].id, STR(".geojson")) ||
            cstore_object(p->c->st, p->a, list[i].hash, NULL, &bytes, NULL) ||
            json_read(p->a, bytes, &root, NULL))
            continue;
        const struct json *features = json_get(root, "features");
        for (const struct json *f = features ? features->child : NULL; f; f = f->next)
            geometry_draw(m, json_get(f, "geometry"));
    }
    return rc;
}

/* ---- points ---- */

static const char *worst(const struct map_cell *c)
{
    return c->red ? "red" : c->yellow ? "yellow" : c->unknown ? "unknown" : c->blue ? "blue" : "none";
}

static void cell_draw(struct map *m, const struct map_cell *c)
{
    struct page *p = &m->p;
    int64_t x = at_x(m, m->box.west + c->x * m->cell + m->cell / 2);
    int64_t y = at_y(m, m->box.south + c->y * m->cell + m->cell / 2);
    const char *level = worst(c);
    struct str class_name = page_join(p, STR("dot "), str_of(level), STR(""));
    struct buf d;
    int64_t r = c->count == 1 ? 8 : c->count < 10 ? 11 : c->count < 100 ? 14 : 17;
    buf_init(&d, 200);
    if (strcmp(level, "red") == 0)
        buf_printf(&d, "M%lld %lldl%lld %lldl-%lld %lldl-%lld -%lldZ", (long long)x, (long long)(y - r),
                   (long long)r, (long long)r, (long long)r, (long long)r, (long long)r, (long long)r);
    else if (strcmp(level, "yellow") == 0)
        buf_printf(&d, "M%lld %lldl%lld %lldh-%lldZ", (long long)x, (long long)(y - r), (long long)r,
                   (long long)(2 * r - 2), (long long)(2 * r));
    else
        buf_printf(&d, "M%lld %llda%lld %lld 0 1 0 .01 0Z", (long long)x, (long long)(y - r), (long long)r,
                   (long long)r);
    pg_open_with(p, "path", ATTRS({"class", class_name}, {"d", arena_str(p->a, buf_str(&d))}));
    pg_close(p);
    buf_free(&d);
    if (c->count > 1) {
        pg_open_with(p, "text", ATTRS({"x", text_i64(p, x + r + 2)}, {"y", text_i64(p, y + 5)}));
        pg_count(p, c->count);
        pg_close(p);
    }
}

static struct str map_url(struct map *m, uint64_t zoom, int64_t x, int64_t y)
{
    struct page *p = &m->p;
    return page_url(p, "/map", STR(""),
                    ATTRS({"z", zoom ? page_u64(p, zoom) : STR("")}, {"x", text_i64(p, x)},
                          {"y", text_i64(p, y)}));
}

static void zoom_draw(struct map *m)
{
    struct page *p = &m->p;
    int64_t x = (m->box.west + m->box.east) / 2, y = (m->box.south + m->box.north) / 2;
    pg_open(p, "div", "actions");
    if (m->zoom < ZOOM_MAX)
        pg_link_word(p, map_url(m, m->zoom + 1, x, y), "button", W_MAP_ZOOM_IN);
    if (m->zoom)
        pg_link_word(p, map_url(m, m->zoom - 1, x, y), "button", W_MAP_ZOOM_OUT);
    if (m->zoom)
        pg_link_word(p, STR("/map"), "button", W_MAP_ALL);
    pg_close(p);
}

static struct str code_at(struct map *m, const struct map_cell *c)
{
    struct page *p = &m->p;
    struct work_ask q = screen_ask(p);
    int64_t west = m->box.west + c->x * m->cell, south = m->box.south + c->y * m->cell;
    const struct map_box box = {west, west + m->cell - 1, south, south + m->cell - 1};
    struct row_id row;
    struct record_row one;
    if (place_one(&q, &box, &row, NULL) || cstore_record(p->c->st, p->a, row, &one, NULL) || !one.code.p)
        return STR("");
    return one.code;
}

static void table_draw(struct map *m)
{
    static const struct column columns[] = {{W_MAP_CELL, NULL, false}, {W_HOUSEHOLD_COUNT, NULL, true},
                                            {W_RED, NULL, true},       {W_YELLOW, NULL, true},
                                            {W_BLUE, NULL, true},      {W_UNKNOWN, NULL, true}};
    struct page *p = &m->p;
    const struct table t = {.columns = columns, .count = 6, .caption = word_of(p, W_MAP_CELLS)};
    uint32_t shown = m->count < PAGE_ROWS ? m->count : PAGE_ROWS;
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < shown; i++) {
        const struct map_cell *c = &m->cells[i];
        int64_t x = m->box.west + c->x * m->cell + m->cell / 2,
                y = m->box.south + c->y * m->cell + m->cell / 2;
        pg_row(p);
        struct str code = c->count == 1 ? code_at(m, c) : STR("");
        if (code.n)
            pg_cell_link(p, page_url(p, "/households/*", code, NULL), code);
        else
            pg_cell_link(p, map_url(m, m->zoom < ZOOM_MAX ? m->zoom + 1 : m->zoom, x, y),
                         page_join(p, page_join(p, text_i64(p, c->x + 1), STR("-"), text_i64(p, c->y + 1)),
                                   STR(" "), word_of(p, W_MAP_ZOOM_IN)));
        const uint64_t numbers[] = {c->count, c->red, c->yellow, c->blue, c->unknown};
        for (int k = 0; k < 5; k++)
            pg_cell_number(p, numbers[k]);
        pg_close(p);
    }
    pg_table_end(p);
}

enum err screen_map(struct call *c, struct diag *d)
{
    struct map m = {0};
    struct page *p = &m.p;
    bool any = false;
    page_init(p, c);
    struct work_ask q = screen_ask(p);
    enum err rc = screen_may(c, ACT_SEE_HOUSEHOLDS, STR_NONE, d);
    if (!rc)
        rc = places_box(&q, &m.all, &any, d);
    if (!rc && any) {
        box_choose(&m);
        rc = places_cells(&q, &m.box, m.cell, CELLS_MAX, &m.cells, &m.count, d);
    }
    if (rc)
        return rc;
    pg_begin(p, NAV_MAP, word_of(p, W_MAP));
    pg_leaf_word(p, "p", "hint-line", W_MAP_INTRO);
    if (any) {
        zoom_draw(&m);
        struct str view = page_join(p, STR("0 0 1000 "), text_i64(p, m.high), STR(""));
        pg_open_with(p, "svg",
                     ATTRS({"class", STR("map")}, {"role", STR("img")}, {"viewBox", view},
                           {"aria-label", word_of(p, W_MAP_NAME)}));
        rc = boundaries_draw(&m, d);
        for (uint32_t i = m.count; i-- > 0;)
            cell_draw(&m, &m.cells[i]);
        pg_close(p);
        table_draw(&m);
    } else {
        pg_empty(p, W_MAP_NONE);
    }
    pg_end(p);
    return rc;
}
