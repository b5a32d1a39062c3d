/* Functions on positions. A point is "latitude longitude [altitude [accuracy]]" in degrees; a trace or shape
 * is points with semicolons between, or a node-set of points. Distances follow the great circle on a sphere
 * of 6,378,100 m, areas the sphere's surface, as the reference engines do; text that is no position gives NaN
 * and a note.
 */
#include "forms/expr_impl.h"

#define COUNT_OF(rows) ((uint32_t)(sizeof(rows) / sizeof(*(rows))))
#define PI 3.14159265358979323846
#define EARTH_M 6378100.0

struct point {
    double lat, lon;
};
typedef VEC(struct point) point_list;

static bool read_point(const struct eval *e, struct str s, struct point *out)
{
    double n[4] = {0};
    uint32_t count = 0;
    struct str word;
    while (str_word(&s, &word)) {
        if (count == 4)
            return false;
        n[count] = text_number(e, word);
        if (isnan(n[count++]))
            return false;
    }
    *out = (struct point){n[0], n[1]};
    return count >= 2 && fabs(n[0]) <= 90 && fabs(n[1]) <= 180;
}

/* Appends the points of one text; false when a part is no point. */
static enum err read_points(struct eval *e, struct str s, point_list *l, bool *good)
{
    struct str part;
    while (str_split(&s, ';', &part)) {
        part = str_trim(part);
        if (part.n == 0)
            continue;
        struct point *slot = vec_push(e->scratch, l);
        if (!slot)
            return ERR_NOMEM;
        if (!spend(e, 1))
            return ERR_LIMIT;
        *good = read_point(e, part, slot) && *good;
    }
    return ERR_OK;
}

static enum err collect_points(struct eval *e, const char *function, const struct value *args, uint32_t count,
                               point_list *l, bool *good)
{
    struct each each = {.args = args, .count = count};
    struct value v;
    enum err rc;
    *good = true;
    while (each_value(e, &each, &v, &rc)) {
        rc = read_points(e, value_text(e, &v), l, good);
        if (rc)
            return rc;
    }
    if (!rc && !*good)
        expr_trouble(e, "%s() was given something that is no position; one is written \"latitude longitude\"",
                     function);
    return rc;
}

static double radians(double degrees)
{
    return degrees * PI / 180;
}

static double great_circle_m(struct point a, struct point b)
{
    double cosine = sin(radians(a.lat)) * sin(radians(b.lat)) +
                    cos(radians(a.lat)) * cos(radians(b.lat)) * cos(radians(b.lon) - radians(a.lon));
    if (a.lat == b.lat && a.lon == b.lon)
        return 0;
    return acos(cosine > 1 ? 1 : cosine < -1 ? -1 : cosine) * EARTH_M;
}

static double rounded_cm(double v)
{
    return floor(v * 100 + 0.5) / 100;
}

static enum err fn_distance(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    point_list l = {0};
    bool good;
    enum err rc = collect_points(e, "distance", args, count, &l, &good);
    double total = 0;
    for (uint32_t i = 1; i < l.count; i++)
        total += great_circle_m(l.at[i - 1], l.at[i]);
    *out = quantity_value(e, quantity_of(good ? rounded_cm(total) : NOT_A_NUMBER));
    return rc;
}

static enum err fn_area(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    point_list l = {0};
    bool good;
    enum err rc = collect_points(e, "area", args, count, &l, &good);
    double total = 0;
    for (uint32_t i = 0; i < l.count && l.count > 2; i++) {
        struct point a = l.at[i], b = l.at[(i + 1) % l.count];
        total += radians(b.lon - a.lon) * (2 + sin(radians(a.lat)) + sin(radians(b.lat)));
    }
    *out = quantity_value(e,
                          quantity_of(good ? rounded_cm(fabs(total * EARTH_M * EARTH_M / 2)) : NOT_A_NUMBER));
    return rc;
}

/* Even-odd rule. */
static bool encloses(const point_list *shape, struct point p)
{
    bool in = false;
    for (uint32_t i = 0, j = shape->count - 1; i < shape->count; j = i++) {
        struct point a = shape->at[i], b = shape->at[j];
        if ((a.lon > p.lon) != (b.lon > p.lon) &&
            p.lat < (b.lat - a.lat) * (p.lon - a.lon) / (b.lon - a.lon) + a.lat)
            in = !in;
    }
    return in;
}

static enum err fn_geofence(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    point_list at = {0}, shape = {0};
    bool point_good, shape_good;
    enum err rc = collect_points(e, "geofence", args, 1, &at, &point_good);
    if (!rc)
        rc = collect_points(e, "geofence", args + 1, 1, &shape, &shape_good);
    *out = value_bool(false);
    if (rc || !point_good || !shape_good)
        return rc;
    if (at.count == 0 || shape.count < 3) {
        expr_trouble(e, "geofence() needs a position and a shape of at least three");
        return ERR_OK;
    }
    struct point first = shape.at[0], last = shape.at[shape.count - 1];
    if (first.lat != last.lat || first.lon != last.lon)
        expr_trouble(e, "geofence() needs a shape whose last point is its first");
    else
        *out = value_bool(encloses(&shape, at.at[0]));
    return rc;
}

/* Does any side cross or touch another that is not its neighbour? */
static double turn(struct point a, struct point b, struct point c)
{
    return (b.lon - a.lon) * (c.lat - a.lat) - (b.lat - a.lat) * (c.lon - a.lon);
}

static bool within(struct point a, struct point b, struct point p)
{
    return fmin(a.lat, b.lat) <= p.lat && p.lat <= fmax(a.lat, b.lat) && fmin(a.lon, b.lon) <= p.lon &&
           p.lon <= fmax(a.lon, b.lon);
}

static int sign(double v)
{
    return v > 0 ? 1 : v < 0 ? -1 : 0;
}

static bool crosses(struct point a, struct point b, struct point c, struct point d)
{
    int abc = sign(turn(a, b, c)), abd = sign(turn(a, b, d)), cda = sign(turn(c, d, a)),
        cdb = sign(turn(c, d, b));
    if (abc != abd && cda != cdb)
        return true;
    return (abc == 0 && within(a, b, c)) || (abd == 0 && within(a, b, d)) || (cda == 0 && within(c, d, a)) ||
           (cdb == 0 && within(c, d, b));
}

static bool same_point(struct point a, struct point b)
{
    return a.lat == b.lat && a.lon == b.lon;
}

static enum err fn_intersects(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    point_list l = {0};
    bool good;
    enum err rc = collect_points(e, "intersects", args, count, &l, &good);
    *out = value_bool(false);
    if (rc || !good || l.count < 4)
        return rc;
    bool closed = same_point(l.at[0], l.at[l.count - 1]);
    uint32_t sides = l.count - 1;
    for (uint32_t i = 0; i < sides; i++)
        for (uint32_t j = i + 2; j < sides; j++) {
            if (!spend(e, 1))
                return ERR_LIMIT;
            if (closed && i == 0 && j == sides - 1)
                continue; /* they meet where the shape closes */
            if (crosses(l.at[i], l.at[i + 1], l.at[j], l.at[j + 1])) {
                *out = value_bool(true);
                return ERR_OK;
            }
        }
    return ERR_OK;
}

#define B ARG_BOOL
#define N ARG_NUMBER
#define MANY ARG_MANY

/* clang-format off */
static const struct expr_function rows[] = {
    /*name             min  max             arguments                 returns  marks  call */
    {"distance",      1,   EXPR_ARGS_MANY, {MANY, MANY, MANY, MANY}, N,       0,     fn_distance},
    {"area",          1,   EXPR_ARGS_MANY, {MANY, MANY, MANY, MANY}, N,       0,     fn_area},
    {"enclosed-area", 1,   1,              {MANY},                   N,       0,     fn_area},
    {"geofence",      2,   2,              {MANY, MANY},             B,       0,     fn_geofence},
    {"intersects",    1,   1,              {MANY},                   B,       0,     fn_intersects},
};
/* clang-format on */

struct expr_function_table expr_functions_geo(void)
{
    return (struct expr_function_table){rows, COUNT_OF(rows)};
}
