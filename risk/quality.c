/* See quality.h. Reading the checks of a pack, then the checks themselves, one function each. Columns are
 * texts; a number is what reads as one, everything else is missing, as are the pack's missing codes (the
 * author maps them to "").
 */
#include "risk/quality.h"

#include "platform/base/civil.h"
#include "risk/pack_impl.h"
#include "risk/stats.h"

#include <math.h>

enum over_kind {
    OVER_DUPLICATE,
    OVER_MISSING,
    OVER_VERSION,
    OVER_OUTLIER,
    OVER_RANGE,
    OVER_HOUR,
    OVER_STRAIGHT,
    OVER_SIMILAR,
    OVER_POSITION,
    OVER_DIGITS,
    OVER_WHIPPLE,
    OVER_BENFORD,
    OVER_DEVIATION,
    OVER_BACK_CHECK,
    OVER_KINDS
};

#define OVER_NUMBERS 4

/* One row a kind: the numbers it takes, with what they are when the pack does not say. */
static const struct {
    const char *name;
    uint32_t columns_min;
    const char *numbers[OVER_NUMBERS];
    double otherwise[OVER_NUMBERS];
} kinds[OVER_KINDS] = {
    [OVER_DUPLICATE] = {"duplicate", 1, {"decimals"}, {-1}},
    [OVER_MISSING] = {"missing", 1, {"share"}, {0.5}},
    [OVER_VERSION] = {"version", 1, {NULL}, {0}},
    [OVER_OUTLIER] = {"outlier", 1, {"k", "sd"}, {1.5, 0}},
    [OVER_RANGE] = {"range", 1, {"min", "max"}, {-INFINITY, INFINITY}},
    [OVER_HOUR] = {"hour", 1, {"from", "to"}, {7, 19}},
    [OVER_STRAIGHT] = {"straight-line", 2, {NULL}, {0}},
    [OVER_SIMILAR] = {"similar", 5, {"share"}, {0.85}},
    [OVER_POSITION] = {"position", 2, {"metres", "accuracy"}, {300, 50}},
    [OVER_DIGITS] = {"digits", 1, {"share", "count"}, {0.4, 30}},
    [OVER_WHIPPLE] = {"whipple", 1, {"max", "count"}, {125, 30}},
    [OVER_BENFORD] = {"benford", 1, {"count"}, {100}},
    [OVER_DEVIATION] = {"deviation", 1, {"z", "count"}, {3, 10}},
    [OVER_BACK_CHECK] = {"back-check", 1, {"share", "within", "count"}, {0.3, 0, 1}},
};

/* -- reading ---------------------------------------------------------------------------------------- */

static uint32_t column_named(const struct pack *p, struct str name)
{
    for (uint32_t i = 0; i < p->inputs.count; i++)
        if (str_eq(p->inputs.at[i].name, name))
            return i;
    for (uint32_t i = 0; i < p->result_count; i++)
        if (str_eq(p->values.at[p->results[i]].name, name))
            return p->inputs.count + i;
    return UINT32_MAX;
}

static uint32_t find_column(struct pack_loader *l, struct str name, uint32_t line, struct str where)
{
    uint32_t i = column_named(l->pack, name);
    if (i == UINT32_MAX)
        PACK_ERROR(l, line, where, "There is no input or result \"%.*s\".", STR_ARG(name));
    else if (i < l->pack->inputs.count)
        l->pack->inputs.at[i].used = true;
    return i;
}

static void read_numbers(struct pack_loader *l, const struct json *o, struct pack_over *c, struct str where)
{
    for (int i = 0; i < OVER_NUMBERS; i++) {
        const char *name = kinds[c->kind].numbers[i];
        const struct json *j = name ? json_get(o, name) : NULL;
        c->numbers[i] = kinds[c->kind].otherwise[i];
        if (j && j->type == JSON_NUMBER && isfinite(j->number))
            c->numbers[i] = j->number;
        else if (j)
            PACK_ERROR(l, j->line, where, "\"%s\" must be a number.", name);
    }
}

static bool read_kind(struct pack_loader *l, const struct json *o, struct pack_over *c, struct str where)
{
    struct str kind = pack_text(l, o, "kind", true, where);
    struct buf known;
    for (uint32_t i = 0; i < OVER_KINDS; i++)
        if (str_eq_z(kind, kinds[i].name)) {
            c->kind = i;
            return true;
        }
    buf_init(&known, 512);
    for (uint32_t i = 0; i < OVER_KINDS; i++)
        buf_printf(&known, "%s%s", i ? ", " : "", kinds[i].name);
    if (kind.n)
        PACK_ERROR(l, o->line, where, "\"%.*s\" is no kind; known are: %.*s.", STR_ARG(kind), (int)known.n,
                   known.p);
    buf_free(&known);
    return false;
}

static void read_columns(struct pack_loader *l, const struct json *o, struct pack_over *c, struct str where)
{
    const struct json *list = pack_array(l, o, "columns", true, where);
    if (!pack_list_fits(l, list, "columns", PACK_ITEMS_MAX))
        return;
    c->columns = ARENA_ARRAY(l->a, uint32_t, list->count + 1);
    if (!c->columns) {
        l->rc = ERR_NOMEM;
        return;
    }
    for (const struct json *j = list->child; j; j = j->next) {
        if (j->type == JSON_STRING)
            c->columns[c->column_count++] = find_column(l, j->text, j->line, where);
        else
            PACK_ERROR(l, j->line, where, "A column is named by an input or result, as text.");
    }
    if (list->count < kinds[c->kind].columns_min)
        PACK_ERROR(l, list->line, where, "\"%s\" needs at least %u columns.", kinds[c->kind].name,
                   kinds[c->kind].columns_min);
}

static void read_over(struct pack_loader *l, const struct json *o)
{
    struct pack_over *c = vec_push(l->a, &l->pack->over);
    struct buf keys;
    if (!c) {
        l->rc = ERR_NOMEM;
        return;
    }
    struct str where = pack_where(l, "over", json_text(o, "id"), "");
    c->by = UINT32_MAX;
    c->id = pack_text(l, o, "id", true, where);
    c->severity = pack_severity(l, o, where);
    const struct json *name = pack_object(l, o, "name", true, where);
    if (name)
        c->name = pack_words(l, name, where);
    if (!read_kind(l, o, c, where))
        return;
    buf_init(&keys, 256);
    buf_put_z(&keys, "id kind severity name columns by source");
    for (int i = 0; i < OVER_NUMBERS && kinds[c->kind].numbers[i]; i++)
        buf_printf(&keys, " %s", kinds[c->kind].numbers[i]);
    buf_put_char(&keys, 0);
    pack_keys(l, o, where, keys.failed ? "" : keys.p);
    buf_free(&keys);
    read_numbers(l, o, c, where);
    read_columns(l, o, c, where);
    struct str by = pack_text(l, o, "by", false, where);
    if (by.n)
        c->by = find_column(l, by, o->line, where);
}

void pack_read_over(struct pack_loader *l, const struct json *root)
{
    const struct json *list = pack_array(l, root, "over", false, STR("pack"));
    if (!pack_list_fits(l, list, "over", PACK_FIELDS_MAX))
        return;
    for (const struct json *o = list->child; o && !l->rc; o = o->next) {
        if (o->type == JSON_OBJECT)
            read_over(l, o);
        else
            PACK_ERROR(l, o->line, STR("over"), "A check is an object, in braces.");
    }
}

uint32_t quality_width(const struct pack *p)
{
    return p->inputs.count + p->result_count;
}

/* -- tools ------------------------------------------------------------------------------------------ */

struct run {
    struct arena *a;
    const struct pack *p;
    const struct quality_data *data, *again;
    const struct pack_over *c;
    struct quality_report *out;
    struct arena scratch;
};

static struct str at(const struct run *r, const struct quality_data *data, uint32_t row, uint32_t column)
{
    return data->values[(size_t)row * quality_width(r->p) + column];
}

static struct str column_name(const struct run *r, uint32_t column)
{
    return column < r->p->inputs.count ? r->p->inputs.at[column].name
                                       : r->p->values.at[r->p->results[column - r->p->inputs.count]].name;
}

static struct str group_of(const struct run *r, uint32_t row)
{
    return r->c->by == UINT32_MAX ? STR("") : at(r, r->data, row, r->c->by);
}

static bool number_at(const struct run *r, const struct quality_data *data, uint32_t row, uint32_t column,
                      double *out)
{
    return num_read_exp(at(r, data, row, column), out) && isfinite(*out);
}

static enum err add_number(struct run *r, struct str subject, const char *name, double value)
{
    struct quality_number *n = vec_push(r->a, &r->out->numbers);
    if (!n)
        return ERR_NOMEM;
    *n = (struct quality_number){r->c->id, subject, name, value};
    return ERR_OK;
}

static struct str number_text(struct arena *a, double v)
{
    char text[NUM_TEXT_MAX];
    double rounded = fabs(v) < 1e9 ? floor(v * 10000 + 0.5) / 10000 : v;
    return arena_str(a, (struct str){text, num_write(rounded, text)});
}

/* "<name of the check>: <value>", and what it is about. */
static enum err add_flag(struct run *r, uint32_t row, struct str subject, struct str value)
{
    struct quality_flag *f = vec_push(r->a, &r->out->flags);
    struct buf zh, en;
    if (!f || !value.p)
        return ERR_NOMEM;
    *f = (struct quality_flag){
        .check = r->c->id, .severity = r->c->severity, .row = row, .subject = subject, .value = value};
    buf_init(&zh, 4096);
    buf_init(&en, 4096);
    buf_put_str(&zh, r->c->name.zh);
    buf_put_str(&en, r->c->name.en);
    if (subject.n) {
        buf_printf(&zh, "（%.*s）", STR_ARG(subject));
        buf_printf(&en, " (%.*s)", STR_ARG(subject));
    }
    if (value.n) {
        buf_printf(&zh, "：%.*s", STR_ARG(value));
        buf_printf(&en, ": %.*s", STR_ARG(value));
    }
    f->text_zh = arena_str(r->a, buf_str(&zh));
    f->text_en = arena_str(r->a, buf_str(&en));
    buf_free(&zh);
    buf_free(&en);
    return f->text_zh.p && f->text_en.p ? ERR_OK : ERR_NOMEM;
}

struct moments {
    double mean, variance; /* of a sample: n - 1 */
    uint32_t count;
};

static struct moments moments_of(const double *v, uint32_t count)
{
    struct moments m = {.count = count};
    for (uint32_t i = 0; i < count; i++)
        m.mean += v[i] / count;
    for (uint32_t i = 0; count > 1 && i < count; i++)
        m.variance += (v[i] - m.mean) * (v[i] - m.mean) / (count - 1);
    return m;
}

/* The rows of each group, in the order groups are first met; one group "" without `by`. */
struct groups {
    struct str *names;
    uint32_t *rows, *first; /* rows of group g: rows[first[g]..first[g + 1]) */
    uint32_t count;
};

static enum err group_rows(struct run *r, struct groups *g)
{
    uint32_t rows = r->data->row_count;
    uint32_t *of = ARENA_ARRAY(&r->scratch, uint32_t, (size_t)rows + 1);
    uint32_t *next = NULL;
    struct map map;
    g->names = ARENA_ARRAY(&r->scratch, struct str, (size_t)rows + 2);
    g->rows = ARENA_ARRAY(&r->scratch, uint32_t, (size_t)rows + 1);
    g->first = ARENA_ARRAY(&r->scratch, uint32_t, (size_t)rows + 3);
    g->count = 0;
    map_init(&map, &r->scratch);
    if (!of || !g->names || !g->rows || !g->first)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < rows; i++) {
        struct str name = group_of(r, i);
        if (!name.p)
            name = STR("");
        if (!map_get(&map, name, &of[i])) {
            of[i] = g->count;
            if (map_put(&map, name, g->count))
                return ERR_NOMEM;
            g->names[g->count++] = name;
        }
        g->first[of[i] + 1]++;
    }
    next = ARENA_ARRAY(&r->scratch, uint32_t, (size_t)g->count + 1);
    if (!next)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < g->count; i++) {
        g->first[i + 1] += g->first[i];
        next[i] = g->first[i];
    }
    for (uint32_t i = 0; i < rows; i++)
        g->rows[next[of[i]]++] = i;
    return ERR_OK;
}

/* Numbers of one column in one group; `rows_out` says whose they are. */
static uint32_t numbers_of(const struct run *r, const struct groups *g, uint32_t group, uint32_t column,
                           double *out, uint32_t *rows_out)
{
    uint32_t n = 0;
    for (uint32_t i = g->first[group]; i < g->first[group + 1]; i++)
        if (number_at(r, r->data, g->rows[i], column, &out[n]))
            rows_out[n++] = g->rows[i];
    return n;
}

/* "column" or "column, group" */
static struct str subject_of(struct run *r, uint32_t column, struct str group)
{
    struct str name = column_name(r, column);
    if (group.n == 0)
        return name;
    char *p = arena_alloc(r->a, name.n + group.n + 3);
    if (!p)
        return name;
    memcpy(p, name.p, name.n);
    memcpy(p + name.n, ", ", 2);
    memcpy(p + name.n + 2, group.p, group.n);
    return (struct str){p, name.n + group.n + 2};
}

/* -- checks of rows --------------------------------------------------------------------------------- */

static void put_part(struct buf *out, struct str text, double decimals)
{
    double v;
    char number[NUM_TEXT_MAX];
    if (decimals >= 0 && num_read_exp(text, &v) && isfinite(v)) {
        double scale = 1;
        for (int i = 0; i < (int)decimals && i < 9; i++)
            scale *= 10;
        buf_put(out, number, num_write(floor(v * scale + 0.5) / scale, number));
    } else {
        buf_put_str(out, text);
    }
    buf_put_char(out, 0x1F);
}

static enum err duplicates(struct run *r)
{
    uint32_t rows = r->data->row_count, repeated = 0, first;
    bool *told = ARENA_ARRAY(&r->scratch, bool, (size_t)rows + 1);
    struct map seen;
    struct buf key;
    enum err rc = told ? ERR_OK : ERR_NOMEM;
    map_init(&seen, &r->scratch);
    buf_init(&key, 1u << 20);
    for (uint32_t i = 0; !rc && i < rows; i++) {
        bool whole = true;
        key.n = 0;
        for (uint32_t k = 0; k < r->c->column_count; k++) {
            struct str text = at(r, r->data, i, r->c->columns[k]);
            whole = whole && text.n;
            put_part(&key, text, r->c->numbers[0]);
        }
        struct str kept = arena_str(&r->scratch, buf_str(&key));
        if (key.failed || !kept.p) {
            rc = ERR_NOMEM;
        } else if (whole && map_get(&seen, kept, &first)) {
            repeated += !told[first];
            if (!told[first])
                rc = add_flag(r, first, STR(""), at(r, r->data, first, r->c->columns[0]));
            told[first] = true;
            if (!rc)
                rc = add_flag(r, i, STR(""), at(r, r->data, i, r->c->columns[0]));
        } else if (whole) {
            rc = map_put(&seen, kept, i);
        }
    }
    buf_free(&key);
    return rc ? rc : add_number(r, column_name(r, r->c->columns[0]), "repeated", repeated);
}

static enum err missing(struct run *r)
{
    enum err rc = ERR_OK;
    for (uint32_t k = 0; !rc && k < r->c->column_count; k++) {
        uint32_t column = r->c->columns[k], empty = 0;
        for (uint32_t i = 0; i < r->data->row_count; i++)
            empty += at(r, r->data, i, column).n == 0;
        double share = r->data->row_count ? (double)empty / r->data->row_count : 0;
        rc = add_number(r, column_name(r, column), "missing", share);
        if (!rc && share >= r->c->numbers[0])
            rc = add_flag(r, UINT32_MAX, column_name(r, column), number_text(r->a, share));
    }
    return rc;
}

/* Longer numbers are newer, then the text decides: "1709" before "1710051010". */
static bool older(struct str a, struct str b)
{
    double x, y;
    if (num_read(a, &x) && num_read(b, &y))
        return x < y;
    return str_cmp(a, b) < 0;
}

static enum err versions(struct run *r)
{
    struct str newest = STR("");
    enum err rc = ERR_OK;
    uint32_t old = 0;
    for (uint32_t i = 0; i < r->data->row_count; i++) {
        struct str v = at(r, r->data, i, r->c->columns[0]);
        if (v.n && (newest.n == 0 || older(newest, v)))
            newest = v;
    }
    for (uint32_t i = 0; !rc && i < r->data->row_count; i++) {
        struct str v = at(r, r->data, i, r->c->columns[0]);
        if (!v.n || !older(v, newest))
            continue;
        old++;
        rc = add_flag(r, i, STR(""), v);
    }
    return rc ? rc : add_number(r, column_name(r, r->c->columns[0]), "old", old);
}

static enum err outliers_of(struct run *r, const struct groups *g, uint32_t group, uint32_t column)
{
    uint32_t room = g->first[group + 1] - g->first[group];
    double *v = ARENA_ARRAY(&r->scratch, double, (size_t)room + 1);
    double *sorted = ARENA_ARRAY(&r->scratch, double, (size_t)room + 1);
    uint32_t *rows = ARENA_ARRAY(&r->scratch, uint32_t, (size_t)room + 1), found = 0;
    if (!v || !sorted || !rows)
        return ERR_NOMEM;
    uint32_t n = numbers_of(r, g, group, column, v, rows);
    memcpy(sorted, v, n * sizeof(*v));
    stats_sort(sorted, n);
    double p25 = stats_percentile(sorted, n, 25), p50 = stats_percentile(sorted, n, 50),
           p75 = stats_percentile(sorted, n, 75);
    double low = p25 - r->c->numbers[0] * (p75 - p25), high = p75 + r->c->numbers[0] * (p75 - p25);
    if (r->c->numbers[1] > 0) {
        struct moments m = moments_of(v, n);
        low = m.mean - r->c->numbers[1] * sqrt(m.variance);
        high = m.mean + r->c->numbers[1] * sqrt(m.variance);
    }
    struct str subject = subject_of(r, column, g->names[group]);
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < n; i++)
        if (v[i] < low || v[i] > high) {
            found++;
            rc = add_flag(r, rows[i], subject, at(r, r->data, rows[i], column));
        }
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"count", n}, {"p25", p25}, {"p50", p50}, {"p75", p75}, {"outliers", found}};
    for (size_t i = 0; !rc && i < sizeof(numbers) / sizeof(*numbers); i++)
        rc = add_number(r, subject, numbers[i].name, numbers[i].value);
    return rc;
}

static enum err outliers(struct run *r)
{
    struct groups g;
    enum err rc = group_rows(r, &g);
    for (uint32_t k = 0; !rc && k < r->c->column_count; k++)
        for (uint32_t i = 0; !rc && i < g.count; i++)
            rc = outliers_of(r, &g, i, r->c->columns[k]);
    return rc;
}

static enum err ranges(struct run *r)
{
    enum err rc = ERR_OK;
    uint32_t found = 0;
    double v;
    for (uint32_t k = 0; k < r->c->column_count; k++)
        for (uint32_t i = 0; !rc && i < r->data->row_count; i++) {
            uint32_t column = r->c->columns[k];
            if (!number_at(r, r->data, i, column, &v) || (v >= r->c->numbers[0] && v <= r->c->numbers[1]))
                continue;
            found++;
            rc = add_flag(r, i, column_name(r, column), at(r, r->data, i, column));
        }
    return rc ? rc : add_number(r, STR(""), "found", found);
}

/* The start as written at the place: "2026-11-23T21:40:00+08:00". */
static enum err hours(struct run *r)
{
    enum err rc = ERR_OK;
    uint32_t found = 0;
    for (uint32_t i = 0; !rc && i < r->data->row_count; i++) {
        struct civil c = {0};
        struct str text = at(r, r->data, i, r->c->columns[0]);
        if (!civil_read(text, &c) || !c.has_time || (c.hour >= r->c->numbers[0] && c.hour < r->c->numbers[1]))
            continue;
        found++;
        rc = add_flag(r, i, STR(""), text);
    }
    return rc ? rc : add_number(r, STR(""), "found", found);
}

static bool straight(const struct run *r, uint32_t row)
{
    struct str first = at(r, r->data, row, r->c->columns[0]);
    double v;
    if (first.n == 0 || (num_read(first, &v) && v == 0))
        return false;
    for (uint32_t k = 1; k < r->c->column_count; k++)
        if (!str_eq(at(r, r->data, row, r->c->columns[k]), first))
            return false;
    return true;
}

static enum err straight_lines(struct run *r)
{
    struct groups g;
    enum err rc = group_rows(r, &g);
    for (uint32_t i = 0; !rc && i < g.count; i++) {
        uint32_t found = 0;
        for (uint32_t k = g.first[i]; !rc && k < g.first[i + 1]; k++)
            if (straight(r, g.rows[k])) {
                found++;
                rc = add_flag(r, g.rows[k], g.names[i], at(r, r->data, g.rows[k], r->c->columns[0]));
            }
        if (!rc)
            rc = add_number(r, g.names[i], "share", (double)found / (g.first[i + 1] - g.first[i]));
    }
    return rc;
}

/* Pairs of one enumerator only, each with those that came shortly before: a copy is made from what is near,
 * and all pairs of a large survey would be too many. */
#define SIMILAR_BACK 200

static double equal_share(const struct run *r, uint32_t a, uint32_t b)
{
    uint32_t compared = 0, equal = 0;
    for (uint32_t k = 0; k < r->c->column_count; k++) {
        struct str x = at(r, r->data, a, r->c->columns[k]), y = at(r, r->data, b, r->c->columns[k]);
        if (!x.n && !y.n)
            continue;
        compared++;
        equal += str_eq(x, y);
    }
    return compared >= kinds[OVER_SIMILAR].columns_min ? (double)equal / compared : 0;
}

static enum err similar(struct run *r)
{
    struct groups g;
    uint32_t found = 0;
    enum err rc = group_rows(r, &g);
    for (uint32_t i = 0; !rc && i < g.count; i++)
        for (uint32_t k = g.first[i]; !rc && k < g.first[i + 1]; k++) {
            double most = 0;
            uint32_t from = k - g.first[i] > SIMILAR_BACK ? k - SIMILAR_BACK : g.first[i], like = 0;
            for (uint32_t b = from; b < k; b++) {
                double share = equal_share(r, g.rows[k], g.rows[b]);
                if (share > most) {
                    most = share;
                    like = g.rows[b];
                }
            }
            if (most < r->c->numbers[0])
                continue;
            found++;
            rc = add_flag(r, g.rows[k], r->data->keys[like], number_text(r->a, most));
        }
    return rc ? rc : add_number(r, STR(""), "found", found);
}

/* Columns: latitude, longitude, [accuracy], [latitude and longitude it should be near]. On the scale of a
 * village the earth is flat; a degree of longitude shrinks with the cosine of the latitude. */
static double cosine_of_degrees(double degrees)
{
    double x = degrees * 3.14159265358979324 / 180, square = x * x, sum = 1;
    for (int i = 18; i > 0; i -= 2)
        sum = 1 - sum * square / ((double)i * (i - 1));
    return sum;
}

static double metres(double lat, double lon, double lat0, double lon0)
{
    double north = (lat - lat0) * 111195, east = (lon - lon0) * 111195 * cosine_of_degrees((lat + lat0) / 2);
    return sqrt(north * north + east * east);
}

static enum err positions(struct run *r)
{
    enum err rc = ERR_OK;
    uint32_t found = 0, n = r->c->column_count;
    for (uint32_t i = 0; !rc && i < r->data->row_count; i++) {
        double v[5];
        bool has[5] = {false};
        for (uint32_t k = 0; k < 5 && k < n; k++)
            has[k] = number_at(r, r->data, i, r->c->columns[k], &v[k]);
        bool far = n >= 5 && has[0] && has[1] && has[3] && has[4] &&
                   metres(v[0], v[1], v[3], v[4]) > r->c->numbers[0];
        bool coarse = n >= 3 && has[2] && v[2] > r->c->numbers[1];
        if (!far && !coarse)
            continue;
        found++;
        rc = add_flag(r, i, STR(""), number_text(r->a, far ? metres(v[0], v[1], v[3], v[4]) : v[2]));
    }
    return rc ? rc : add_number(r, STR(""), "found", found);
}

/* -- checks of groups ------------------------------------------------------------------------------- */

static enum err digits_of(struct run *r, const struct groups *g, uint32_t group, bool ages)
{
    uint32_t n = 0, round = 0;
    double v;
    for (uint32_t i = g->first[group]; i < g->first[group + 1]; i++)
        for (uint32_t k = 0; k < r->c->column_count; k++) {
            if (!number_at(r, r->data, g->rows[i], r->c->columns[k], &v) || v != floor(v) || v < 1 ||
                v > 1e15 || (ages && (v < 23 || v > 62)))
                continue;
            n++;
            round += (uint64_t)v % 5 == 0;
        }
    if (n == 0)
        return ERR_OK;
    double share = (double)round / n, value = ages ? share * 500 : share;
    enum err rc = add_number(r, g->names[group], ages ? "whipple" : "share", value);
    if (!rc)
        rc = add_number(r, g->names[group], "count", n);
    if (!rc && n >= r->c->numbers[1] && value > r->c->numbers[0])
        rc = add_flag(r, UINT32_MAX, g->names[group], number_text(r->a, value));
    return rc;
}

static enum err digits(struct run *r, bool ages)
{
    struct groups g;
    enum err rc = group_rows(r, &g);
    for (uint32_t i = 0; !rc && i < g.count; i++)
        rc = digits_of(r, &g, i, ages);
    return rc;
}

static uint32_t first_digit(double v)
{
    v = fabs(v);
    if (v == 0 || !isfinite(v))
        return 0;
    while (v >= 10)
        v /= 10;
    while (v < 1)
        v *= 10;
    return (uint32_t)v;
}

/* log10(1 + 1/d) */
static const double benford[10] = {
    0,
    0.301029995663981195,
    0.176091259055681242,
    0.124938736608299952,
    0.0969100130080564142,
    0.0791812460476248277,
    0.0669467896306131981,
    0.0579919469776867492,
    0.0511525224473812889,
    0.0457574905606751254,
};
#define BENFORD_5_PERCENT 15.507 /* chi-square, 8 degrees of freedom */

static enum err benford_of(struct run *r, const struct groups *g, uint32_t group)
{
    static const char *const names[] = {"", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    uint32_t seen[10] = {0}, n = 0;
    double v, sum = 0;
    for (uint32_t i = g->first[group]; i < g->first[group + 1]; i++)
        for (uint32_t k = 0; k < r->c->column_count; k++)
            if (number_at(r, r->data, g->rows[i], r->c->columns[k], &v) && v > 0) {
                seen[first_digit(v)]++;
                n++;
            }
    if (n < r->c->numbers[0])
        return ERR_OK;
    enum err rc = add_number(r, g->names[group], "count", n);
    for (uint32_t d = 1; !rc && d < 10; d++) {
        double expected = n * benford[d];
        sum += (seen[d] - expected) * (seen[d] - expected) / expected;
        rc = add_number(r, g->names[group], names[d], seen[d]);
    }
    if (!rc)
        rc = add_number(r, g->names[group], "chi2", sum);
    if (!rc && sum > BENFORD_5_PERCENT)
        rc = add_flag(r, UINT32_MAX, g->names[group], number_text(r->a, sum));
    return rc;
}

static enum err benfords(struct run *r)
{
    struct groups g;
    enum err rc = group_rows(r, &g);
    for (uint32_t i = 0; !rc && i < g.count; i++)
        rc = benford_of(r, &g, i);
    return rc;
}

/* How far the mean of a group lies from that of all the others, in standard errors. Shares are means of 0
 * and 1. */
static enum err deviation_of(struct run *r, const struct groups *g, uint32_t column)
{
    uint32_t rows = r->data->row_count, n = 0;
    double *v = ARENA_ARRAY(&r->scratch, double, (size_t)rows + 1), all = 0, squares = 0;
    uint32_t *whose = ARENA_ARRAY(&r->scratch, uint32_t, (size_t)rows + 1);
    enum err rc = v && whose ? ERR_OK : ERR_NOMEM;
    for (uint32_t i = 0; !rc && i < g->count; i++) {
        uint32_t in = numbers_of(r, g, i, column, v, whose);
        for (uint32_t k = 0; k < in; k++) {
            all += v[k];
            squares += v[k] * v[k];
        }
        n += in;
    }
    for (uint32_t i = 0; !rc && i < g->count; i++) {
        uint32_t in = numbers_of(r, g, i, column, v, whose), rest = n - in;
        double sum = 0, square = 0;
        for (uint32_t k = 0; k < in; k++) {
            sum += v[k];
            square += v[k] * v[k];
        }
        if (in < r->c->numbers[1] || rest < 2)
            continue;
        double others = (all - sum) / rest;
        double variance = ((squares - square) - rest * others * others) / (rest - 1);
        double z = variance > 0 ? (sum / in - others) / sqrt(variance / in) : 0;
        struct str subject = subject_of(r, column, g->names[i]);
        rc = add_number(r, subject, "mean", sum / in);
        if (!rc)
            rc = add_number(r, subject, "z", z);
        if (!rc && fabs(z) >= r->c->numbers[0])
            rc = add_flag(r, UINT32_MAX, subject, number_text(r->a, z));
    }
    return rc;
}

static enum err deviations(struct run *r)
{
    struct groups g;
    enum err rc = group_rows(r, &g);
    for (uint32_t k = 0; !rc && k < r->c->column_count; k++)
        rc = deviation_of(r, &g, r->c->columns[k]);
    return rc;
}

/* -- the second visit ------------------------------------------------------------------------------- */

/* Two answers agree when they are the same text, or numbers at most `within` apart. */
static bool agree(struct str a, struct str b, double within)
{
    double x, y;
    if (num_read_exp(a, &x) && num_read_exp(b, &y))
        return fabs(x - y) <= within;
    return str_eq(a, b);
}

struct tally {
    uint32_t compared, differing;
};

static enum err put_tally(struct run *r, struct str subject, struct tally t)
{
    if (t.compared == 0)
        return ERR_OK;
    double rate = (double)t.differing / t.compared;
    enum err rc = add_number(r, subject, "compared", t.compared);
    if (!rc)
        rc = add_number(r, subject, "differing", t.differing);
    return rc ? rc : add_number(r, subject, "error", rate);
}

/* Simple response variance: half the variance of the differences; reliability: 1 - it / variance. */
static enum err put_stability(struct run *r, uint32_t column, const double *first, const double *difference,
                              uint32_t n)
{
    struct moments d = moments_of(difference, n), all = moments_of(first, n);
    if (n < 3 || all.variance <= 0)
        return ERR_OK;
    enum err rc = add_number(r, column_name(r, column), "srv", d.variance / 2);
    return rc ? rc : add_number(r, column_name(r, column), "reliability", 1 - d.variance / 2 / all.variance);
}

static enum err back_check_column(struct run *r, const struct groups *g, const uint32_t *partner,
                                  uint32_t column, struct tally *by_group, struct tally *all)
{
    uint32_t rows = r->data->row_count, n = 0;
    double *first = ARENA_ARRAY(&r->scratch, double, (size_t)rows + 1);
    double *difference = ARENA_ARRAY(&r->scratch, double, (size_t)rows + 1), second;
    struct tally own = {0};
    if (!first || !difference)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < g->count; i++)
        for (uint32_t k = g->first[i]; k < g->first[i + 1]; k++) {
            uint32_t row = g->rows[k];
            if (partner[row] == UINT32_MAX)
                continue;
            struct str a = at(r, r->data, row, column), b = at(r, r->again, partner[row], column);
            if (!a.n || !b.n)
                continue;
            bool differs = !agree(a, b, r->c->numbers[1]);
            own.compared++;
            own.differing += differs;
            by_group[i].compared++;
            by_group[i].differing += differs;
            if (number_at(r, r->data, row, column, &first[n]) &&
                number_at(r, r->again, partner[row], column, &second)) {
                difference[n] = first[n] - second;
                n++;
            }
        }
    all->compared += own.compared;
    all->differing += own.differing;
    enum err rc = put_tally(r, column_name(r, column), own);
    return rc ? rc : put_stability(r, column, first, difference, n);
}

static enum err back_checks(struct run *r)
{
    struct groups g;
    struct map rows;
    struct tally all = {0};
    uint32_t pairs = 0;
    if (!r->again)
        return ERR_OK;
    enum err rc = group_rows(r, &g);
    uint32_t *partner = ARENA_ARRAY(&r->scratch, uint32_t, (size_t)r->data->row_count + 1);
    struct tally *by_group = ARENA_ARRAY(&r->scratch, struct tally, (size_t)g.count + 1);
    map_init(&rows, &r->scratch);
    if (!rc && (!partner || !by_group))
        rc = ERR_NOMEM;
    for (uint32_t i = 0; !rc && i < r->again->row_count; i++)
        rc = map_put(&rows, r->again->keys[i], i);
    for (uint32_t i = 0; !rc && i < r->data->row_count; i++) {
        if (!map_get(&rows, r->data->keys[i], &partner[i]))
            partner[i] = UINT32_MAX;
        else
            pairs++;
    }
    for (uint32_t k = 0; !rc && k < r->c->column_count; k++)
        rc = back_check_column(r, &g, partner, r->c->columns[k], by_group, &all);
    for (uint32_t i = 0; !rc && i < g.count; i++) {
        double rate = by_group[i].compared ? (double)by_group[i].differing / by_group[i].compared : 0;
        if (g.names[i].n)
            rc = put_tally(r, g.names[i], by_group[i]);
        if (!rc && by_group[i].compared >= r->c->numbers[2] && rate >= r->c->numbers[0])
            rc = add_flag(r, UINT32_MAX, g.names[i], number_text(r->a, rate));
    }
    if (!rc)
        rc = add_number(r, STR(""), "pairs", pairs);
    return rc ? rc : put_tally(r, STR(""), all);
}

/* -- all of them ------------------------------------------------------------------------------------ */

static enum err run_one(struct run *r)
{
    switch ((enum over_kind)r->c->kind) {
    case OVER_DUPLICATE: return duplicates(r);
    case OVER_MISSING: return missing(r);
    case OVER_VERSION: return versions(r);
    case OVER_OUTLIER: return outliers(r);
    case OVER_RANGE: return ranges(r);
    case OVER_HOUR: return hours(r);
    case OVER_STRAIGHT: return straight_lines(r);
    case OVER_SIMILAR: return similar(r);
    case OVER_POSITION: return positions(r);
    case OVER_DIGITS: return digits(r, false);
    case OVER_WHIPPLE: return digits(r, true);
    case OVER_BENFORD: return benfords(r);
    case OVER_DEVIATION: return deviations(r);
    case OVER_BACK_CHECK: return back_checks(r);
    case OVER_KINDS: break;
    }
    return ERR_OK;
}

enum err quality_run(struct arena *a, const struct pack *p, const struct quality_data *data,
                     const struct quality_data *again, struct quality_report *out, struct diag *d)
{
    struct run r = {.a = a, .p = p, .data = data, .again = again, .out = out};
    enum err rc = ERR_OK;
    if (data->row_count > QUALITY_ROWS_MAX || (again && again->row_count > QUALITY_ROWS_MAX))
        return diag_set(d, ERR_LIMIT, "The table has more than %d rows.", QUALITY_ROWS_MAX);
    *out = (struct quality_report){0};
    arena_init(&r.scratch, ARENA_GIB(4));
    for (uint32_t i = 0; !rc && i < p->over.count; i++) {
        struct arena_mark mark = arena_mark(&r.scratch);
        r.c = &p->over.at[i];
        rc = run_one(&r);
        arena_release(&r.scratch, mark);
    }
    arena_free(&r.scratch);
    return rc ? diag_set(d, rc, "There is no memory left for the checks over the table.") : ERR_OK;
}
