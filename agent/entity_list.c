/* See entity_list.h. The list is held whole while it is written: entity lists are as long as a caseload. */
#include "agent/entity_list.h"

#include "forms/list.h"
#include "platform/base/json.h"
#include "platform/base/map.h"
#include "platform/crypto.h"

#include <stdio.h>

#define COLUMNS_MAX LIST_COLUMNS_MAX

enum { COLUMN_NAME, COLUMN_LABEL, COLUMN_VERSION, COLUMN_TRUNK, COLUMN_BRANCH, COLUMN_FIXED };
static const char *const fixed[COLUMN_FIXED] = {"name", "label", "__version", "__trunkVersion", "__branchId"};

struct entity_row {
    struct str *cells; /* `room` of them; p NULL = empty */
    uint32_t room;
    bool published; /* as the centre's list has it: nothing was said since */
};

struct entities {
    struct arena *a;
    uint64_t device;
    VEC(struct str) columns;
    uint32_t base_columns;
    uint32_t base_at[COLUMNS_MAX]; /* column here, by column of the published list */
    VEC(struct entity_row) rows;
    struct map by_id, by_column;
};

static enum err no_memory(struct diag *d)
{
    return diag_set(d, ERR_NOMEM, "no memory for an entity list");
}

static enum err column_for(struct entities *e, struct str name, uint32_t *at_out, struct diag *d)
{
    if (map_get(&e->by_column, name, at_out))
        return ERR_OK;
    if (e->columns.count == COLUMNS_MAX)
        return diag_set(d, ERR_LIMIT, "an entity list has more than %u columns", COLUMNS_MAX);
    struct str *slot = vec_push(e->a, &e->columns);
    struct str kept = arena_str(e->a, name);
    *at_out = e->columns.count - 1;
    if (!slot || !kept.p || map_put(&e->by_column, kept, *at_out))
        return no_memory(d);
    *slot = kept;
    return ERR_OK;
}

static struct str cell(const struct entity_row *row, uint32_t column)
{
    return column < row->room && row->cells[column].p ? row->cells[column] : STR("");
}

static enum err cell_put(struct entities *e, struct entity_row *row, uint32_t column, struct str value,
                         struct diag *d)
{
    if (column >= row->room) {
        uint32_t room = e->columns.count > column ? e->columns.count + 4 : column + 4;
        struct str *cells = ARENA_ARRAY(e->a, struct str, room);
        if (!cells)
            return no_memory(d);
        if (row->room)
            memcpy(cells, row->cells, row->room * sizeof *cells);
        row->cells = cells;
        row->room = room;
    }
    row->cells[column] = arena_str(e->a, value);
    return row->cells[column].p ? ERR_OK : no_memory(d);
}

static enum err add_row(struct entities *e, struct str id, struct entity_row **row_out, struct diag *d)
{
    struct entity_row *row = vec_push(e->a, &e->rows);
    struct str kept = arena_str(e->a, id);
    uint32_t ignored;
    if (!row || !kept.p)
        return no_memory(d);
    *row = (struct entity_row){0};
    if (!map_get(&e->by_id, kept, &ignored) && map_put(&e->by_id, kept, e->rows.count - 1))
        return no_memory(d);
    *row_out = row;
    return cell_put(e, row, COLUMN_NAME, id, d);
}

/* A UUID of version 4 by its form that stays the same: nothing needs to be remembered. */
static enum err branch_of(const struct entities *e, struct str id, struct str version, char out[static 40])
{
    unsigned char h[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1] = {0};
    struct buf b;
    buf_init(&b, 4096);
    buf_printf(&b, "branch %016llx ", (unsigned long long)e->device);
    buf_put_str(&b, version);
    buf_put_char(&b, ' ');
    buf_put_str(&b, id);
    enum err rc = b.failed ? b.failed : sha256(buf_str(&b), h);
    buf_free(&b);
    if (rc)
        return rc;
    h[6] = (unsigned char)((h[6] & 0x0f) | 0x40);
    h[8] = (unsigned char)((h[8] & 0x3f) | 0x80);
    hex_write(h, 16, hex);
    static const uint8_t groups[] = {8, 4, 4, 4, 12};
    size_t from = 0, n = 0;
    for (size_t i = 0; i < sizeof groups; i++) {
        if (i)
            out[n++] = '-';
        memcpy(out + n, hex + from, groups[i]);
        n += groups[i];
        from += groups[i];
    }
    out[n] = '\0';
    return ERR_OK;
}

/* ---- what the centre published ---- */

static enum err base_shape(void *self, const struct list_shape *shape, struct diag *d)
{
    struct entities *e = self;
    enum err rc = ERR_OK;
    e->base_columns = shape->column_count;
    for (uint32_t i = 0; !rc && i < shape->column_count; i++)
        rc = column_for(e, shape->columns[i], &e->base_at[i], d);
    return rc;
}

static enum err base_row(void *self, const struct str *cells, struct diag *d)
{
    struct entities *e = self;
    struct entity_row *row = NULL;
    struct str id = STR("");
    char branch[40];
    for (uint32_t i = 0; i < e->base_columns; i++)
        if (e->base_at[i] == COLUMN_NAME && cells[i].p)
            id = cells[i];
    enum err rc = add_row(e, id, &row, d);
    for (uint32_t i = 0; !rc && i < e->base_columns; i++)
        if (cells[i].p)
            rc = cell_put(e, row, e->base_at[i], cells[i], d);
    if (rc)
        return rc;
    row->published = true;
    struct str version = cell(row, COLUMN_VERSION);
    if (version.n && !cell(row, COLUMN_TRUNK).n)
        rc = cell_put(e, row, COLUMN_TRUNK, version, d);
    if (!rc && version.n && !cell(row, COLUMN_BRANCH).n) {
        rc = branch_of(e, id, version, branch);
        if (!rc)
            rc = cell_put(e, row, COLUMN_BRANCH, str_of(branch), d);
    }
    return rc;
}

/* ---- what visits said since ---- */

static enum err put_values(struct entities *e, struct entity_row *row, const struct entity_change *x,
                           struct diag *d)
{
    const struct json *values = NULL;
    struct diag quiet = {0};
    enum err rc = x->label.n ? cell_put(e, row, COLUMN_LABEL, x->label, d) : ERR_OK;
    if (rc || x->values.n == 0 || json_read(e->a, x->values, &values, &quiet) || values->type != JSON_OBJECT)
        return rc; /* what another program wrote wrongly must not hide the rest of the list */
    for (const struct json *v = values->child; !rc && v; v = v->next) {
        uint32_t column = 0;
        if (v->type != JSON_STRING)
            continue;
        rc = column_for(e, v->name, &column, d);
        if (!rc && column >= COLUMN_FIXED)
            rc = cell_put(e, row, column, v->text, d);
    }
    return rc;
}

static enum err put_version(struct entities *e, struct entity_row *row, uint64_t version, struct diag *d)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)version);
    return cell_put(e, row, COLUMN_VERSION, str_of(text), d);
}

static enum err new_entity(struct entities *e, const struct entity_change *x, struct diag *d)
{
    struct entity_row *row = NULL;
    char branch[40];
    enum err rc = add_row(e, x->id, &row, d);
    if (!rc)
        rc = put_version(e, row, 1, d);
    if (!rc && x->branch_id.n)
        rc = cell_put(e, row, COLUMN_BRANCH, x->branch_id, d);
    else if (!rc && !(rc = branch_of(e, x->id, STR(""), branch)))
        rc = cell_put(e, row, COLUMN_BRANCH, str_of(branch), d);
    return rc ? rc : put_values(e, row, x, d);
}

static enum err changed_entity(struct entities *e, struct entity_row *row, const struct entity_change *x,
                               struct diag *d)
{
    uint64_t now = 1, base = 0;
    bool counted = str_to_u64(cell(row, COLUMN_VERSION), &now);
    bool said = str_to_u64(x->base_version, &base);
    if (row->published && counted && said && now > base)
        return ERR_OK;
    enum err rc = put_version(e, row, (counted ? now : 1) + 1, d);
    if (!rc && x->branch_id.n)
        rc = cell_put(e, row, COLUMN_BRANCH, x->branch_id, d);
    row->published = false;
    return rc ? rc : put_values(e, row, x, d);
}

static enum err apply(struct entities *e, const struct entity_change *x, struct diag *d)
{
    uint32_t at;
    bool known = map_get(&e->by_id, x->id, &at);
    if (str_eq_z(x->action, "create"))
        return known ? ERR_OK : new_entity(e, x, d); /* the centre's list has it by now */
    if (known)
        return changed_entity(e, &e->rows.at[at], x, d);
    return str_eq_z(x->action, "upsert") ? new_entity(e, x, d) : ERR_OK;
}

static enum err write_list(const struct entities *e, struct buf *out, struct diag *d)
{
    for (uint32_t c = 0; c < e->columns.count; c++) {
        if (c)
            buf_put_char(out, ',');
        buf_put_csv(out, e->columns.at[c]);
    }
    buf_put_char(out, '\n');
    for (uint32_t i = 0; i < e->rows.count; i++) {
        for (uint32_t c = 0; c < e->columns.count; c++) {
            if (c)
                buf_put_char(out, ',');
            buf_put_csv(out, cell(&e->rows.at[i], c));
        }
        buf_put_char(out, '\n');
    }
    return out->failed ? diag_set(d, out->failed, "an entity list is too large") : ERR_OK;
}

enum err entity_list_write(struct arena *a, struct str base, const struct entity_change *changes,
                           uint32_t count, uint64_t device, struct buf *out, struct diag *d)
{
    struct entities *e = ARENA_NEW(a, struct entities);
    uint32_t ignored;
    if (!e)
        return no_memory(d);
    *e = (struct entities){.a = a, .device = device};
    map_init(&e->by_id, a);
    map_init(&e->by_column, a);
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < COLUMN_FIXED; i++)
        rc = column_for(e, str_of(fixed[i]), &ignored, d);
    const struct list_sink sink = {.self = e, .shape = base_shape, .row = base_row};
    const struct list_bytes bytes = list_bytes_of(&base);
    if (!rc && base.p)
        rc = list_import(STR("jr://file-csv/entities.csv"), &bytes, &sink, d);
    for (uint32_t i = 0; !rc && i < count; i++)
        rc = apply(e, &changes[i], d);
    return rc ? rc : write_list(e, out, d);
}
