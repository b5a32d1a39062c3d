/* A choice list from GeoJSON: each feature of the collection is an item with its geometry, its id and its
 * properties. It is brought into the shape of a CSV list and is one from then on, so a property that only
 * some features have is blank in the others. A position becomes "latitude longitude 0 0", as forms write it;
 * of a polygon the outer ring counts. Not streamed: the document is held whole.
 */
#include "forms/form.h"
#include "forms/list_impl.h"
#include "platform/base/buf.h"
#include "platform/base/json.h"
#include "platform/base/map.h"

#define COLUMNS_MAX 1000

struct columns {
    const char *names[COLUMNS_MAX];
    uint32_t count;
    struct map ids;
};

static enum err add_column(struct columns *c, struct str name, struct diag *d)
{
    uint32_t id;
    if (map_get(&c->ids, name, &id))
        return ERR_OK;
    if (c->count == COLUMNS_MAX)
        return diag_set(d, ERR_LIMIT, "the features have more than %d different properties", COLUMNS_MAX);
    c->names[c->count] = arena_z(c->ids.arena, name);
    if (!c->names[c->count])
        return ERR_NOMEM;
    return map_put(&c->ids, name, c->count++);
}

static void put_number(struct buf *b, double n)
{
    char text[NUM_TEXT_MAX];
    buf_put(b, text, num_write(n, text));
}

/* GeoJSON says longitude first. */
static bool put_position(struct buf *b, const struct json *at)
{
    const struct json *lon = json_at(at, 0), *lat = json_at(at, 1);
    if (!lon || !lat || lon->type != JSON_NUMBER || lat->type != JSON_NUMBER)
        return false;
    put_number(b, lat->number);
    buf_put_char(b, ' ');
    put_number(b, lon->number);
    buf_put_z(b, " 0 0");
    return true;
}

static bool put_positions(struct buf *b, const struct json *list)
{
    bool good = list && list->type == JSON_ARRAY && list->count > 0;
    for (const struct json *p = good ? list->child : NULL; p && good; p = p->next) {
        if (p != list->child)
            buf_put_z(b, "; ");
        good = put_position(b, p);
    }
    return good;
}

static bool put_geometry(struct buf *b, const struct json *geometry)
{
    struct str type = json_text(geometry, "type");
    const struct json *at = json_get(geometry, "coordinates");
    if (!geometry || geometry->type != JSON_OBJECT)
        return true; /* a feature may have none */
    if (str_eq_z(type, "Point"))
        return put_position(b, at);
    if (str_eq_z(type, "LineString"))
        return put_positions(b, at);
    return str_eq_z(type, "Polygon") && put_positions(b, json_at(at, 0));
}

static void put_cell(struct buf *csv, const struct json *v)
{
    if (!v || v->type == JSON_NULL || v->type == JSON_ARRAY || v->type == JSON_OBJECT)
        return;
    if (v->type == JSON_BOOL)
        buf_put_z(csv, v->boolean ? "true" : "false");
    else if (v->type == JSON_NUMBER &&
             (memchr(v->text.p, 'e', v->text.n) || memchr(v->text.p, 'E', v->text.n)))
        put_number(csv, v->number);
    else
        buf_put_csv(csv, v->text);
}

/* Features in a column order of: geometry, id, then properties as they first appear. */
static enum err collect_columns(const struct json *features, struct columns *c, struct diag *d)
{
    enum err rc = add_column(c, STR("geometry"), d);
    for (const struct json *f = features->child; f && !rc; f = f->next) {
        const struct json *properties = json_get(f, "properties");
        if (!str_eq_z(json_text(f, "type"), "Feature"))
            return diag_set(d, ERR_SYNTAX, "line %u: a feature collection can only hold features", f->line);
        if (json_get(f, "id"))
            rc = add_column(c, STR("id"), d);
        bool has_any = properties && properties->type == JSON_OBJECT;
        for (const struct json *p = has_any ? properties->child : NULL; p && !rc; p = p->next)
            rc = add_column(c, p->name, d);
    }
    return rc;
}

static enum err put_feature(struct buf *csv, const struct json *f, const struct columns *c, struct diag *d)
{
    const struct json *properties = json_get(f, "properties"), *id = json_get(f, "id");
    if (!put_geometry(csv, json_get(f, "geometry")))
        return diag_set(
            d, ERR_SYNTAX,
            "line %u: only Point, LineString and Polygon with at least one position are understood", f->line);
    for (uint32_t i = 1; i < c->count; i++) {
        buf_put_char(csv, ',');
        put_cell(csv, id && strcmp(c->names[i], "id") == 0 ? id : json_get(properties, c->names[i]));
    }
    buf_put_char(csv, '\n');
    return csv->failed;
}

static enum err write_csv(struct buf *csv, const struct json *features, const struct columns *c,
                          struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; i < c->count; i++) {
        if (i)
            buf_put_char(csv, ',');
        buf_put_csv(csv, str_of(c->names[i]));
    }
    buf_put_char(csv, '\n');
    for (const struct json *f = features->child; f && !rc; f = f->next)
        rc = put_feature(csv, f, c, d);
    return rc;
}

enum err geojson_csv(struct str text, struct buf *csv, struct diag *d)
{
    struct arena work;
    const struct json *root = NULL;
    arena_init(&work, (size_t)1 << 30);
    struct columns *c = ARENA_NEW(&work, struct columns);
    enum err rc = c ? json_read(&work, text, &root, d) : ERR_NOMEM;
    const struct json *features = json_get(root, "features");
    if (!rc && (!str_eq_z(json_text(root, "type"), "FeatureCollection") || !features ||
                features->type != JSON_ARRAY))
        rc = diag_set(d, ERR_SYNTAX, "this GeoJSON is no FeatureCollection with a list of features");
    if (!rc) {
        map_init(&c->ids, &work);
        rc = collect_columns(features, c, d);
    }
    if (!rc)
        rc = write_csv(csv, features, c, d);
    arena_free(&work);
    return rc ? diag_set(d, rc, "no memory left to read this list") : ERR_OK;
}

enum err list_from_geojson(struct arena *a, struct str text, uint32_t index, const struct tree **tree_out,
                           struct diag *d)
{
    struct buf csv;
    buf_init(&csv, LIST_BYTES_MAX);
    enum err rc = geojson_csv(text, &csv, d);
    if (!rc)
        rc = list_read(a, buf_str(&csv), ',', STR_NONE, index, tree_out, d);
    buf_free(&csv);
    return rc;
}
