/* Entities and finalised visits in the store. What a visit says about an entity of a list is a row below that
 * visit, never changed afterwards: two handhelds that say different things about the same entity both stand
 * there, with what each had seen, and how an entity is now follows from all of them (entity_list.h).
 */
#include "agent/store_impl.h"

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof *(array))

/* ---- writing ---- */

static const char *action_of(enum entity_op op)
{
    return op == ENTITY_CREATE ? "create" : op == ENTITY_UPDATE ? "update" : "upsert";
}

static enum err values_json(struct arena *a, const struct entity_delta *e, struct str *out, struct diag *d)
{
    struct buf b;
    buf_init(&b, 1u << 20);
    for (uint32_t i = 0; i < e->property_count; i++) {
        buf_put_char(&b, i ? ',' : '{');
        buf_put_json(&b, e->properties[i].name);
        buf_put_char(&b, ':');
        buf_put_json(&b, e->properties[i].value);
    }
    if (e->property_count)
        buf_put_char(&b, '}');
    struct str text = b.failed ? STR_NONE : arena_str(a, buf_str(&b));
    enum err rc = b.failed ? b.failed : text.p ? ERR_OK : ERR_NOMEM;
    buf_free(&b);
    if (rc)
        return diag_set(d, rc, "what the interview says about an entity of %.*s is too large",
                        STR_ARG(e->dataset));
    *out = text;
    return ERR_OK;
}

enum err entity_rows(struct store *s, struct arena *a, struct counters *c, const struct visit *v,
                     const struct entity_delta *deltas, uint32_t count, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < count; i++) {
        const struct entity_delta *e = &deltas[i];
        struct str values = STR("");
        if (e->fault != ENTITY_FINE)
            continue;
        rc = values_json(a, e, &values, d);
        const struct row_value fields[] = {
            {ENTITY_DATASET, e->dataset},
            {ENTITY_ID, e->id},
            {ENTITY_ACTION, str_of(action_of(e->op))},
            {ENTITY_LABEL, e->label},
            {ENTITY_VALUES, values},
            {ENTITY_BASE, e->base_version},
            {ENTITY_TRUNK, e->trunk_version},
            {ENTITY_BRANCH, e->branch_id},
        };
        if (!rc)
            rc = visit_child(s, c, v, ROW_ENTITY, fields, COUNT(fields), d);
    }
    return rc;
}

/* ---- reading ---- */

struct entity_changes {
    struct str dataset;
    VEC(struct entity_change) list;
};

static bool is_before(const struct entity_change *a, const struct entity_change *b)
{
    if (a->hlc != b->hlc)
        return a->hlc < b->hlc;
    if (a->row.device != b->row.device)
        return a->row.device < b->row.device;
    return a->row.inc != b->row.inc ? a->row.inc < b->row.inc : a->row.counter < b->row.counter;
}

/* Rows come nearly in order: those of others are few. */
static enum err take_entity(struct store *s, struct arena *a, const struct row *row, const struct record *r,
                            void *self, struct diag *d)
{
    struct entity_changes *out = self;
    (void)s;
    if (!str_eq(record_value(r, ENTITY_DATASET), out->dataset))
        return ERR_OK;
    const struct entity_change x = {.id = record_value(r, ENTITY_ID),
                                    .action = record_value(r, ENTITY_ACTION),
                                    .label = record_value(r, ENTITY_LABEL),
                                    .values = record_value(r, ENTITY_VALUES),
                                    .base_version = record_value(r, ENTITY_BASE),
                                    .branch_id = record_value(r, ENTITY_BRANCH),
                                    .hlc = r->birth.hlc,
                                    .row = row->id};
    if (!vec_push(a, &out->list))
        return diag_set(d, ERR_NOMEM, "no memory for the entities of %.*s", STR_ARG(out->dataset));
    uint32_t at = out->list.count - 1;
    for (; at > 0 && is_before(&x, &out->list.at[at - 1]); at--)
        out->list.at[at] = out->list.at[at - 1];
    out->list.at[at] = x;
    return ERR_OK;
}

enum err store_entities(struct store *s, struct arena *a, struct str dataset, struct entity_change **list_out,
                        uint32_t *count_out, struct diag *d)
{
    struct entity_changes found = {.dataset = dataset};
    enum err rc = each_record(s, a,
                              "SELECT " ROW_COLUMNS
                              " FROM row WHERE kind = ? AND visit = 0 AND deleted = 0 ORDER BY key",
                              ROW_ENTITY, take_entity, &found, d);
    if (rc)
        return rc;
    *list_out = found.list.at;
    *count_out = found.list.count;
    return ERR_OK;
}

/* ---- finalised visits ---- */

struct finished {
    struct str instance_id; /* p NULL = all */
    int64_t key;            /* 0 = all */
    VEC(struct finished_visit) list;
};

static enum err household_code(struct store *s, struct arena *a, int64_t household, struct str *out,
                               struct diag *d)
{
    struct row row;
    struct record r;
    *out = STR("");
    if (household == 0)
        return ERR_OK;
    enum err rc = row_by_key(s, household, &row, d);
    if (!rc)
        rc = record_load(s, a, &row, &r, d);
    if (!rc)
        *out = record_value(&r, HOUSEHOLD_CODE);
    return rc;
}

static enum err has_files(struct store *s, int64_t visit, bool *out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db, "SELECT 1 FROM file WHERE visit = ? LIMIT 1", &q, d);
    if (!rc) {
        bind_i64(q, 1, visit);
        rc = stmt_step(q, out, d);
    }
    stmt_done(q);
    return rc;
}

static enum err take_finished(struct store *s, struct arena *a, const struct row *row, const struct record *r,
                              void *self, struct diag *d)
{
    struct finished *out = self;
    struct finished_visit v = {.key = row->key,
                               .interview = row->interview ? row->interview : row->parent,
                               .household = row->household,
                               .instance_id = record_value(r, VISIT_INSTANCE),
                               .ended = record_value(r, VISIT_ENDED),
                               .type = record_value(r, VISIT_TYPE),
                               .log = record_value(r, VISIT_AUDIT),
                               .unknown = record_value(r, VISIT_UNKNOWN)};
    if ((out->instance_id.p && !str_eq(out->instance_id, v.instance_id)) || (out->key && out->key != v.key))
        return ERR_OK;
    if (!hex_read(record_value(r, VISIT_FORM), v.form_hash, SHA256_SIZE))
        return ERR_OK;
    enum err rc = household_code(s, a, v.household, &v.household_code, d);
    if (!rc)
        rc = has_files(s, v.key, &v.files, d);
    if (rc)
        return rc;
    struct finished_visit *slot = vec_push(a, &out->list);
    if (!slot)
        return diag_set(d, ERR_NOMEM, "no memory for the list of visits");
    *slot = v;
    return ERR_OK;
}

static enum err each_finished(struct store *s, struct arena *a, struct finished *out, struct diag *d)
{
    return each_record(s, a,
                       "SELECT " ROW_COLUMNS
                       " FROM row WHERE kind = ? AND state = 1 AND deleted = 0 ORDER BY key",
                       ROW_VISIT, take_finished, out, d);
}

enum err store_finished(struct store *s, struct arena *a, struct finished_visit **list_out,
                        uint32_t *count_out, struct diag *d)
{
    struct finished all = {.instance_id = STR_NONE};
    enum err rc = each_finished(s, a, &all, d);
    if (rc)
        return rc;
    *list_out = all.list.at;
    *count_out = all.list.count;
    return ERR_OK;
}

enum err store_finished_visit(struct store *s, struct arena *a, struct str instance_id, int64_t key,
                              struct finished_visit *out, struct diag *d)
{
    struct finished found = {.instance_id = instance_id, .key = key};
    enum err rc = each_finished(s, a, &found, d);
    if (!rc && found.list.count == 0)
        return ERR_NOT_FOUND;
    if (!rc)
        *out = found.list.at[0];
    return rc;
}

enum err store_visit_files(struct store *s, struct arena *a, int64_t visit, struct visit_file **files_out,
                           uint32_t *count_out, struct diag *d)
{
    VEC(struct visit_file) list = {0};
    struct stmt *q = NULL;
    bool more = false;
    enum err rc = db_prepare(s->db, "SELECT name, bytes FROM file WHERE visit = ? ORDER BY name", &q, d);
    if (!rc)
        bind_i64(q, 1, visit);
    while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
        struct visit_file *slot = vec_push(a, &list);
        struct str name = arena_str(a, col_text(q, 0)), bytes = arena_str(a, col_blob(q, 1));
        if (slot && name.p && bytes.p)
            *slot = (struct visit_file){name, bytes};
        else
            rc = diag_set(d, ERR_NOMEM, "no memory for the files of a visit");
    }
    stmt_done(q);
    if (!rc) {
        *files_out = list.at;
        *count_out = list.count;
    }
    return rc;
}
