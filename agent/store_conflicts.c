/* Answers in dispute on the handheld: which they are, what was decided over them, and deciding.
 *
 * Always true: a decision that comes down is noted with the values it was made over, before they are gone
 * from the record; a decision made here is a change of this device's person, who has seen every value it
 * settles.
 */
#include "agent/store_impl.h"

#define DECISIONS_SHOWN 200

static void over_json(struct buf *out, const struct record_cell *cell)
{
    buf_put_char(out, '[');
    for (uint32_t i = 0; i < cell->count; i++) {
        const struct version *v = &cell->versions[i];
        buf_put_z(out, i ? ",{\"value\":" : "{\"value\":");
        if (v->op == CHANGE_SET || v->op == CHANGE_RESOLVE)
            buf_put_json(out, v->value);
        else
            buf_put_z(out, "null");
        buf_printf(
            out,
            ",\"removed\":%s,\"status\":%u,\"person\":%u,\"role\":%u,\"device\":\"%016llx\",\"at\":%lld}",
            v->op == CHANGE_ROW_DELETE ? "true" : "false", v->status, v->person, v->role,
            (unsigned long long)v->device, (long long)(v->hlc >> 16));
    }
    buf_put_char(out, ']');
}

enum err decision_note(struct store *s, const struct row *row, const struct record *before,
                       const struct change *c, struct diag *d)
{
    static const char sql[] = "INSERT OR IGNORE INTO decision(row, fld, op, val, person, role, hlc, over) "
                              "VALUES(?, ?, ?, ?, ?, ?, ?, ?)";
    const struct record_cell *cell = record_cell(before, c->field);
    struct stmt *q = NULL;
    struct buf over;

    if (!cell)
        return ERR_OK;
    buf_init(&over, 4u << 20);
    over_json(&over, cell);
    enum err rc = over.failed ? diag_set(d, over.failed, "no memory to note a decision") : ERR_OK;
    if (!rc)
        rc = db_prepare(s->db, sql, &q, d);
    if (!rc) {
        bind_i64(q, 1, row->key);
        bind_i64(q, 2, c->field);
        bind_i64(q, 3, c->op);
        bind_blob(q, 4, c->value.n ? c->value.p : "", c->value.n);
        bind_i64(q, 5, c->person);
        bind_i64(q, 6, c->role);
        bind_i64(q, 7, c->hlc);
        bind_text(q, 8, buf_str(&over));
        rc = stmt_run(q, d);
    }
    buf_free(&over);
    return rc;
}

/* ---- listing ---- */

struct keys {
    VEC(int64_t) list;
};

static enum err keys_select(struct store *s, struct arena *a, const char *sql, int64_t bound,
                            struct keys *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool more = false;
    enum err rc = db_prepare(s->db, sql, &q, d);
    if (!rc)
        bind_i64(q, 1, bound);
    while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
        int64_t *slot = vec_push(a, &out->list);
        if (slot)
            *slot = col_i64(q, 0);
        else
            rc = diag_set(d, ERR_NOMEM, "no memory to list answers in dispute");
    }
    stmt_done(q);
    return rc;
}

static enum err about_row(struct store *s, struct arena *a, int64_t key, struct contested *out,
                          struct diag *d)
{
    struct stmt *q = NULL;
    bool found = false;
    struct row row, household = {0};
    struct record r;

    enum err rc = row_by_key(s, key, &row, d);
    if (rc)
        return rc;
    out->row = key;
    out->kind = row.kind;
    out->household = STR("");
    int64_t of = row.kind == ROW_HOUSEHOLD ? row.key : row.household;
    if (of && row_by_key(s, of, &household, NULL) == ERR_OK) {
        rc = record_load(s, a, &household, &r, d);
        if (!rc)
            out->household = record_value(&r, HOUSEHOLD_CODE);
    }
    if (!rc)
        rc = db_prepare(s->db, "SELECT form FROM row WHERE key = ?", &q, d);
    if (!rc) {
        bind_i64(q, 1, row.kind == ROW_INTERVIEW ? row.key : row.interview);
        rc = stmt_step(q, &found, d);
    }
    struct str form = !rc && found ? col_blob(q, 0) : STR_NONE;
    if (form.n == sizeof out->form)
        memcpy(out->form, form.p, sizeof out->form);
    stmt_done(q);
    return rc;
}

static enum err contested_of(struct store *s, struct arena *a, const struct record *r,
                             const struct record_cell *cell, struct contested *out)
{
    out->field = cell->field;
    out->count = cell->count;
    out->values = ARENA_ARRAY(a, struct contested_value, cell->count);
    if (!out->values)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < cell->count; i++) {
        const struct version *v = &cell->versions[i];
        bool said = v->op == CHANGE_SET || v->op == CHANGE_RESOLVE;
        out->values[i] = (struct contested_value){.value = said ? v->value : STR_NONE,
                                                  .removed = v->op == CHANGE_ROW_DELETE,
                                                  .own = v->device == s->id.by.device,
                                                  .disputes = record_disputes(r, cell, i),
                                                  .status = v->status,
                                                  .person = v->person,
                                                  .role = v->role,
                                                  .at_ms = v->hlc >> 16};
    }
    return ERR_OK;
}

struct contests {
    VEC(struct contested) list;
};

static enum err open_ones(struct store *s, struct arena *a, int64_t key, struct contests *out, struct diag *d)
{
    struct row row;
    struct record r;
    struct contested about = {0};

    enum err rc = row_by_key(s, key, &row, d);
    if (!rc)
        rc = record_load(s, a, &row, &r, d);
    if (!rc)
        rc = about_row(s, a, key, &about, d);
    for (uint32_t i = 0; !rc && i < r.count; i++) {
        if (!record_conflict(&r, r.cells[i].field))
            continue;
        struct contested *c = vec_push(a, &out->list);
        if (c)
            *c = about;
        if (!c || contested_of(s, a, &r, &r.cells[i], c))
            rc = diag_set(d, ERR_NOMEM, "no memory to list answers in dispute");
    }
    return rc;
}

static enum err over_read(struct arena *a, struct str text, struct contested *c, struct diag *d)
{
    const struct json *list;
    enum err rc = json_read(a, text, &list, d);
    if (rc)
        return rc;
    struct contested_value first = c->values[0];
    c->values = ARENA_ARRAY(a, struct contested_value, (size_t)list->count + 1);
    if (!c->values)
        return diag_set(d, ERR_NOMEM, "no memory to list decisions");
    c->values[0] = first;
    c->count = 1;
    for (const struct json *x = list->child; x; x = x->next) {
        int64_t status = 0, person = 0, role = 0, at = 0;
        const struct json *value = json_get(x, "value");
        (void)json_i64(x, "status", &status);
        (void)json_i64(x, "person", &person);
        (void)json_i64(x, "role", &role);
        (void)json_i64(x, "at", &at);
        bool said = value && value->type == JSON_STRING;
        c->values[c->count++] = (struct contested_value){.value = said ? value->text : STR_NONE,
                                                         .status = (uint8_t)status,
                                                         .person = (uint32_t)person,
                                                         .role = (uint8_t)role,
                                                         .at_ms = at};
    }
    return ERR_OK;
}

static enum err decided_one(struct store *s, struct arena *a, int64_t n, struct contested *out,
                            struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = db_prepare(s->db, "SELECT row, fld, val, person, role, hlc, over FROM decision WHERE n = ?",
                             &q, d);
    if (!rc) {
        bind_i64(q, 1, n);
        rc = stmt_step(q, &row, d);
    }
    int64_t key = !rc && row ? col_i64(q, 0) : 0;
    struct str over = !rc && row ? arena_str(a, col_text(q, 6)) : STR_NONE;
    out->decided = true;
    out->values = ARENA_NEW(a, struct contested_value);
    if (!rc && row && over.p && out->values) {
        out->field = (uint32_t)col_i64(q, 1);
        out->values[0] = (struct contested_value){.value = arena_str(a, col_blob(q, 2)),
                                                  .person = (uint32_t)col_i64(q, 3),
                                                  .role = (uint8_t)col_i64(q, 4),
                                                  .at_ms = col_i64(q, 5) >> 16};
    } else if (!rc) {
        rc = diag_set(d, ERR_NOMEM, "no memory to list decisions");
    }
    stmt_done(q);
    if (!rc)
        rc = about_row(s, a, key, out, d);
    return rc ? rc : over_read(a, over, out, d);
}

enum err store_contested(struct store *s, struct arena *a, struct contested **list_out, uint32_t *count_out,
                         struct diag *d)
{
    struct contests out = {0};
    struct keys open = {0}, decided = {0};

    enum err rc = keys_select(s, a, "SELECT key FROM record WHERE conflicts > ? ORDER BY key", 0, &open, d);
    if (!rc)
        rc = keys_select(s, a, "SELECT n FROM decision ORDER BY n DESC LIMIT ?", DECISIONS_SHOWN, &decided,
                         d);
    for (uint32_t i = 0; !rc && i < open.list.count; i++)
        rc = open_ones(s, a, open.list.at[i], &out, d);
    for (uint32_t i = 0; !rc && i < decided.list.count; i++) {
        struct contested *c = vec_push(a, &out.list);
        if (!c)
            return diag_set(d, ERR_NOMEM, "no memory to list decisions");
        *c = (struct contested){0};
        rc = decided_one(s, a, decided.list.at[i], c, d);
    }
    if (!rc) {
        *list_out = out.list.at;
        *count_out = out.list.count;
    }
    return rc;
}

/* ---- deciding ---- */

#define ROLE_SUPERVISES_MIN 4 /* supervisor; the numbers of server/parts.h, which changes carry */

static enum err decide(struct store *s, struct counters *c, struct arena *a, const struct row *row,
                       uint32_t field, struct str value, struct diag *d)
{
    struct record r;
    enum merge_result result;
    struct logged log = {0};
    struct own_change own = {.row = row->key,
                             .field = field,
                             .op = value.p ? CHANGE_RESOLVE : CHANGE_CLEAR,
                             .seen = c->cursor,
                             .value = value};

    enum err rc = record_load(s, a, row, &r, d);
    if (!rc && !record_cell(&r, field))
        rc = diag_set(d, ERR_NOT_FOUND, "there is no such answer: list them with `doorstep conflicts`");
    if (!rc)
        rc = change_append(s, c, &own, d);
    if (!rc)
        rc = changes_select(s, a, "SELECT " CHANGE_COLUMNS " FROM chg WHERE seq = ?",
                            (int64_t)c->next_seq - 1, 0, &log, d);
    if (rc)
        return rc;
    log.changes.at[0].row = row->id;
    rc = decision_note(s, row, &r, &log.changes.at[0], d);
    if (!rc)
        rc = record_inherit_own(s, a, &r, d);
    if (!rc && record_apply(a, &r, &log.changes.at[0], s->id.by.device, s->id.by.inc, log.changes.at[0].hlc,
                            0, &result))
        rc = diag_set(d, ERR_NOMEM, "no memory to decide");
    return rc ? rc : record_save(s, row->key, &r, d);
}

enum err store_resolve(struct store *s, int64_t key, uint32_t field, struct str value, struct diag *d)
{
    struct txn t = {0};
    struct counters c;
    struct arena a;
    struct row row = {0};

    if (field_policy(field) == POLICY_IMMUTABLE && s->id.by.role < ROLE_SUPERVISES_MIN)
        return diag_set(d, ERR_DENIED,
                        "this answer stays as it was given first; only the county replaces it");
    arena_init(&a, STORE_SCRATCH_MAX);
    enum err rc = work_begin(s, &t, &c, d);
    if (!rc)
        rc = row_by_key(s, key, &row, d);
    if (rc == ERR_NOT_FOUND)
        rc = diag_set(d, rc, "there is no such answer: list them with `doorstep conflicts`");
    if (!rc)
        rc = decide(s, &c, &a, &row, field, value, d);
    if (!rc)
        rc = counters_save(s, &c, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    arena_free(&a);
    return rc;
}

enum err dispute_check(struct store *s, int64_t interview, struct diag *d)
{
    struct arena a;
    struct keys rows = {0};

    arena_init(&a, STORE_SCRATCH_MAX);
    enum err rc = keys_select(s, &a,
                              "SELECT record.key FROM record JOIN row ON row.key = record.key WHERE "
                              "record.conflicts > 0 AND (row.interview = ?1 OR row.key = ?1)",
                              interview, &rows, d);
    for (uint32_t i = 0; !rc && i < rows.list.count; i++) {
        struct row row;
        struct record r;
        rc = row_by_key(s, rows.list.at[i], &row, d);
        if (!rc)
            rc = record_load(s, &a, &row, &r, d);
        if (!rc && record_disputed(&r, POLICY_REVIEW))
            rc = diag_set(
                d, ERR_STATE,
                "two people gave different answers to a question that must be clear before the visit is "
                "finished: look at them with `doorstep conflicts`, then answer it again or `doorstep "
                "resolve`; the draft is safe");
    }
    arena_free(&a);
    return rc;
}
