/* See table_read.h. Members are read once, sorted by household in memory of their own, and looked up by key.
 */
#include "risk/table_read.h"

#include "platform/base/civil.h"
#include "platform/base/json.h"
#include "platform/base/map.h"

#include <string.h>

/* Which column of a file one name is read from, and what its codes stand for. */
struct source {
    uint32_t column;           /* UINT32_MAX: not in the file */
    const struct json *values; /* of the map, or NULL */
};

/* All rows of one household stand in `first..first + count` of `order`. */
struct member_rows {
    struct str *values; /* row after row */
    uint32_t *order;    /* rows by household, each household's in the order of the file */
    uint32_t row_count;
    struct str *keys;
    struct map first; /* household to place in `order` */
};

struct table_file {
    const struct pack *pack;
    struct buf text;
    struct csv csv;
    struct str *header, *cells;
    uint32_t header_count;
    uint32_t key, area, date; /* columns, or UINT32_MAX */
    struct source *inputs;
    uint32_t *extras;
    uint32_t extra_count;
    struct member_rows *sets;
    int64_t today;
};

/* -- columns ---------------------------------------------------------------------------------------- */

static uint32_t column_named(const struct str *header, uint32_t count, struct str name)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_eq(str_trim(header[i]), name))
            return i;
    return UINT32_MAX;
}

struct naming {
    const struct json *columns, *values;
    const struct str *header;
    uint32_t header_count;
    const char *file;
};

static enum err find_source(const struct naming *n, struct str name, struct source *out, struct diag *d)
{
    const struct json *said = NULL, *codes = NULL;
    for (const struct json *c = n->columns ? n->columns->child : NULL; c && !said; c = c->next)
        if (str_eq(c->name, name))
            said = c;
    for (const struct json *c = n->values ? n->values->child : NULL; c && !codes; c = c->next)
        if (str_eq(c->name, name))
            codes = c;
    struct str column = said && said->type == JSON_STRING ? said->text : name;
    out->values = codes && codes->type == JSON_OBJECT ? codes : NULL;
    out->column = column_named(n->header, n->header_count, column);
    if (said && said->type == JSON_NULL) /* there is no such column, and that is known */
        return ERR_OK;
    if (out->column == UINT32_MAX)
        return diag_set(d, ERR_NOT_FOUND,
                        "%s has no column \"%.*s\"; name the right one in the map, under \"columns\": "
                        "{\"%.*s\": \"...\"}, or null when there is none",
                        n->file, STR_ARG(column), STR_ARG(name));
    return ERR_OK;
}

/* The map's codes first; "n/a" and the like are written there as "". */
static struct str cell(const struct str *cells, uint32_t count, const struct source *s)
{
    if (s->column >= count)
        return STR("");
    struct str text = str_trim(cells[s->column]);
    for (const struct json *c = s->values ? s->values->child : NULL; c; c = c->next)
        if (str_eq(c->name, text))
            return c->text.p ? c->text : STR("");
    return text;
}

/* -- members ---------------------------------------------------------------------------------------- */

static enum err beside(struct arena *a, const char *path, struct str name, const char **out)
{
    const char *slash = strrchr(path, '/');
    size_t folder = slash && name.n && name.p[0] != '/' ? (size_t)(slash - path) + 1 : 0;
    char *p = arena_alloc(a, folder + name.n + 1);
    if (!p)
        return ERR_NOMEM;
    memcpy(p, path, folder);
    memcpy(p + folder, name.p, name.n);
    p[folder + name.n] = 0;
    *out = p;
    return ERR_OK;
}

static uint32_t count_lines(struct str text)
{
    uint32_t n = 1;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    return n;
}

/* Counting, then placing: each household's rows come to stand together and keep their order. */
static enum err group_rows(struct arena *a, struct member_rows *m)
{
    uint32_t *group = ARENA_ARRAY(a, uint32_t, m->row_count + 1);
    uint32_t *at = ARENA_ARRAY(a, uint32_t, m->row_count + 2), groups = 0;
    m->order = ARENA_ARRAY(a, uint32_t, m->row_count + 1);
    map_init(&m->first, a);
    if (!group || !at || !m->order)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < m->row_count; i++) {
        if (!map_get(&m->first, m->keys[i], &group[i])) {
            group[i] = groups++;
            if (map_put(&m->first, m->keys[i], group[i]))
                return ERR_NOMEM;
        }
        at[group[i] + 1]++;
    }
    for (uint32_t g = 1; g <= groups; g++)
        at[g] += at[g - 1];
    for (uint32_t i = 0; i < m->row_count; i++)
        m->order[at[group[i]]++] = i;
    for (uint32_t i = m->row_count; i-- > 0;) /* the first place of each */
        if (map_put(&m->first, m->keys[m->order[i]], i))
            return ERR_NOMEM;
    return ERR_OK;
}

static enum err read_members(struct arena *a, const struct table_files *from, const struct pack *p,
                             uint32_t set, const struct json *about, const char *data, struct member_rows *m,
                             struct diag *d)
{
    struct str file = json_text(about, "file"), key_name = json_text(about, "key");
    uint32_t fields = table_field_count(p, set), count = 0, header_count = 0;
    struct str name = table_set(p, set);
    const char *path = NULL;
    if (!file.n || !key_name.n)
        return diag_set(d, ERR_USAGE,
                        "the pack reads \"%.*s\": the map must say where they are: \"sets\": {\"%.*s\": "
                        "{\"file\": \"...\", \"key\": \"...\"}}",
                        STR_ARG(name), STR_ARG(name));
    struct buf text;
    buf_init(&text, TABLE_BYTES_MAX);
    enum err rc = beside(a, data, file, &path);
    if (!rc)
        rc = from->read(from->self, path, &text, d);
    if (rc)
        goto done;
    struct str kept = arena_str(a, buf_str(&text)), *header = ARENA_ARRAY(a, struct str, CSV_FIELDS_MAX);
    struct str *cells = ARENA_ARRAY(a, struct str, CSV_FIELDS_MAX);
    struct source *sources = ARENA_ARRAY(a, struct source, fields + 1);
    uint32_t lines = count_lines(kept);
    m->values = ARENA_ARRAY(a, struct str, (size_t)lines * fields + 1);
    m->keys = ARENA_ARRAY(a, struct str, lines + 1);
    if (!kept.p || !header || !cells || !sources || !m->values || !m->keys) {
        rc = diag_set(d, ERR_NOMEM, "there is no memory left for %s", path);
        goto done;
    }
    struct csv csv;
    csv_open(&csv, kept);
    rc = csv_row(&csv, a, header, &header_count, d);
    struct naming n = {json_get(about, "columns"), json_get(about, "values"), header, header_count, path};
    for (uint32_t i = 0; !rc && i < fields; i++)
        rc = find_source(&n, table_field(p, set, i), &sources[i], d);
    uint32_t key = rc ? 0 : column_named(header, header_count, key_name);
    if (!rc && key == UINT32_MAX)
        rc = diag_set(d, ERR_NOT_FOUND, "%s has no column \"%.*s\"", path, STR_ARG(key_name));
    while (!rc) {
        rc = csv_row(&csv, a, cells, &count, d);
        if (rc || count == 0)
            break;
        for (uint32_t i = 0; i < fields; i++)
            m->values[(size_t)m->row_count * fields + i] = cell(cells, count, &sources[i]);
        m->keys[m->row_count++] = key < count ? str_trim(cells[key]) : STR("");
    }
    if (!rc)
        rc = group_rows(a, m);
done:
    buf_free(&text);
    return rc;
}

/* -- opening ---------------------------------------------------------------------------------------- */

static enum err named_column(const struct table_file *t, const char *data, struct str name, uint32_t *out,
                             struct diag *d)
{
    *out = UINT32_MAX;
    if (!name.n)
        return ERR_OK;
    *out = column_named(t->header, t->header_count, name);
    if (*out == UINT32_MAX)
        return diag_set(d, ERR_NOT_FOUND, "%s has no column \"%.*s\"", data, STR_ARG(name));
    return ERR_OK;
}

static enum err map_keys(const struct json *map, const char *path, struct diag *d)
{
    static const char *const known[] = {"key", "area", "date", "columns", "values", "sets", "note"};
    if (map && map->type != JSON_OBJECT)
        return diag_set(d, ERR_SYNTAX, "%s: a map is a JSON object, in braces", path);
    for (const struct json *c = map ? map->child : NULL; c; c = c->next) {
        bool found = false;
        for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
            found = found || str_eq_z(c->name, known[i]);
        if (!found)
            return diag_set(d, ERR_SYNTAX,
                            "%s:%u: a map has no \"%.*s\"; it has key, area, date, columns, values, sets",
                            path, c->line, STR_ARG(c->name));
    }
    return ERR_OK;
}

static enum err open_columns(struct table_file *t, struct arena *a, const char *data, const struct json *map,
                             const char *const *extras, struct diag *d)
{
    uint32_t inputs = table_input_count(t->pack);
    struct naming n = {json_get(map, "columns"), json_get(map, "values"), t->header, t->header_count, data};
    t->inputs = ARENA_ARRAY(a, struct source, inputs + 1);
    t->extras = ARENA_ARRAY(a, uint32_t, t->extra_count + 1);
    if (!t->inputs || !t->extras)
        return ERR_NOMEM;
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < inputs; i++)
        rc = find_source(&n, table_input(t->pack, i), &t->inputs[i], d);
    if (!rc)
        rc = named_column(t, data, json_text(map, "key"), &t->key, d);
    if (!rc)
        rc = named_column(t, data, json_text(map, "area"), &t->area, d);
    if (!rc)
        rc = named_column(t, data, json_text(map, "date"), &t->date, d);
    for (uint32_t i = 0; !rc && i < t->extra_count; i++)
        rc = named_column(t, data, str_of(extras[i]), &t->extras[i], d);
    return rc;
}

enum err table_open(struct arena *a, const struct table_files *from, const struct pack *p, const char *data,
                    const char *map, const char *const *extras, uint32_t extra_count, int64_t today,
                    struct table_file **file_out, struct diag *d)
{
    struct table_file *t = ARENA_NEW(a, struct table_file);
    const struct json *root = NULL;
    struct buf map_text;
    if (!t)
        return diag_set(d, ERR_NOMEM, "there is no memory left for the table");
    *t = (struct table_file){.pack = p, .extra_count = extra_count, .today = today};
    buf_init(&t->text, TABLE_BYTES_MAX);
    buf_init(&map_text, 16u << 20);
    t->header = ARENA_ARRAY(a, struct str, CSV_FIELDS_MAX);
    t->cells = ARENA_ARRAY(a, struct str, CSV_FIELDS_MAX);
    t->sets = ARENA_ARRAY(a, struct member_rows, table_set_count(p) + 1);
    enum err rc = t->header && t->cells && t->sets ? ERR_OK : ERR_NOMEM;
    if (!rc && map)
        rc = from->read(from->self, map, &map_text, d);
    if (!rc && map)
        rc = json_read(a, buf_str(&map_text), &root, d);
    if (!rc)
        rc = map_keys(root, map, d);
    if (!rc)
        rc = from->read(from->self, data, &t->text, d);
    csv_open(&t->csv, buf_str(&t->text));
    if (!rc)
        rc = csv_row(&t->csv, a, t->header, &t->header_count, d);
    if (!rc && t->header_count == 0)
        rc = diag_set(d, ERR_SYNTAX, "%s is empty; its first line must name the columns", data);
    if (!rc)
        rc = open_columns(t, a, data, root, extras, d);
    const struct json *sets = json_get(root, "sets");
    for (uint32_t i = 0; !rc && i < table_set_count(p); i++) {
        const struct json *about = NULL;
        for (const struct json *c = sets ? sets->child : NULL; c && !about; c = c->next)
            if (str_eq(c->name, table_set(p, i)))
                about = c;
        rc = read_members(a, from, p, i, about, data, &t->sets[i], d);
    }
    if (!rc && table_set_count(p) && t->key == UINT32_MAX)
        rc = diag_set(d, ERR_USAGE, "the pack reads members: the map must name the \"key\" of a household");
    buf_free(&map_text);
    if (rc == ERR_NOMEM)
        diag_set(d, rc, "there is no memory left for the table");
    if (rc)
        table_close(t);
    else
        *file_out = t;
    return rc;
}

void table_close(struct table_file *t)
{
    if (t)
        buf_free(&t->text);
}

/* -- households ------------------------------------------------------------------------------------- */

static enum err members_of(struct table_file *t, struct arena *a, struct str key, uint32_t set,
                           struct table_rows *out)
{
    const struct member_rows *m = &t->sets[set];
    uint32_t fields = table_field_count(t->pack, set), first, count = 0;
    *out = (struct table_rows){0};
    if (!map_get(&m->first, key, &first))
        return ERR_OK;
    while (first + count < m->row_count && str_eq(m->keys[m->order[first + count]], key))
        count++;
    struct str *values = ARENA_ARRAY(a, struct str, (size_t)count * fields + 1);
    if (!values)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        memcpy(values + (size_t)i * fields, m->values + (size_t)m->order[first + i] * fields,
               fields * sizeof(*values));
    *out = (struct table_rows){values, count};
    return ERR_OK;
}

static struct str plain_cell(const struct table_file *t, uint32_t count, uint32_t column)
{
    return column < count ? str_trim(t->cells[column]) : STR("");
}

static enum err key_of(const struct table_file *t, struct arena *a, uint32_t count, struct str *out)
{
    if (t->key != UINT32_MAX) {
        *out = plain_cell(t, count, t->key);
        return ERR_OK;
    }
    struct buf number;
    buf_init(&number, 16);
    buf_put_u64(&number, t->csv.line);
    *out = arena_str(a, buf_str(&number));
    buf_free(&number);
    return out->p ? ERR_OK : ERR_NOMEM;
}

enum err table_next(struct table_file *t, struct arena *a, struct table_line *out, bool *more_out,
                    struct diag *d)
{
    uint32_t inputs = table_input_count(t->pack), sets = table_set_count(t->pack), count = 0;
    struct table_line line = {.household.today = t->today};
    struct civil day = {0};
    *more_out = false;
    enum err rc = csv_row(&t->csv, a, t->cells, &count, d);
    if (rc || count == 0)
        return rc;
    struct str *values = ARENA_ARRAY(a, struct str, inputs + 1);
    struct str *extras = ARENA_ARRAY(a, struct str, t->extra_count + 1);
    struct table_rows *rows = ARENA_ARRAY(a, struct table_rows, sets + 1);
    if (!values || !extras || !rows)
        return diag_set(d, ERR_NOMEM, "there is no memory left for line %u", t->csv.line);
    for (uint32_t i = 0; i < inputs; i++)
        values[i] = cell(t->cells, count, &t->inputs[i]);
    for (uint32_t i = 0; i < t->extra_count; i++)
        extras[i] = plain_cell(t, count, t->extras[i]);
    line.line = t->csv.line;
    line.extras = extras;
    rc = key_of(t, a, count, &line.key);
    for (uint32_t i = 0; !rc && i < sets; i++)
        rc = members_of(t, a, line.key, i, &rows[i]);
    if (rc)
        return diag_set(d, rc, "there is no memory left for line %u", t->csv.line);
    if (t->date != UINT32_MAX && civil_read_date(plain_cell(t, count, t->date), &day))
        line.household.today = civil_days(day.year, day.month, day.day);
    line.household.values = values;
    line.household.sets = rows;
    line.household.area = plain_cell(t, count, t->area);
    *out = line;
    *more_out = true;
    return ERR_OK;
}

void table_progress(const struct table_file *t, uint64_t *done_out, uint64_t *all_out)
{
    *all_out = t->text.n;
    *done_out = t->text.n - t->csv.rest.n;
}
