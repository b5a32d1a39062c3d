/* Capture: a visit from its first answer to its finalising. While it is a draft its changes are rows of the
 * log that belong to the visit; the interview as it is now is the record plus those rows, and the record
 * itself stays what the earlier visit left. Finalising drops what the person overwrote within the visit,
 * gives the rest one clock, and merges it into the records: one transaction.
 */
#include "agent/store_impl.h"

/* ---- reading an interview ---- */

struct loaded_cell {
    int64_t row;
    struct saved_cell cell;
};

struct loader {
    struct store *s;
    struct arena *a;
    const struct fieldmap *map;
    int64_t interview;
    int64_t visit; /* whose draft counts; 0 = none */
    VEC(struct row) rows;
    VEC(struct loaded_cell) cells;
    struct map index; /* (row key, field) -> cell */
};

static uint64_t session_key(const struct loader *l, int64_t row)
{
    return row == l->interview ? 0 : (uint64_t)row;
}

static enum err put_cell(struct loader *l, int64_t row, uint32_t stable, uint8_t status, struct str value,
                         struct diag *d)
{
    char key[12];
    uint32_t at;

    if (stable == 0 || stable >= l->map->field_local_count || l->map->field_local[stable] == FIELDMAP_NONE)
        return ERR_OK; /* this version of the form has no such field; the record keeps it */
    memcpy(key, &row, 8);
    memcpy(key + 8, &stable, 4);
    struct str k = {key, sizeof key};
    if (!map_get(&l->index, k, &at)) {
        at = l->cells.count;
        struct loaded_cell *slot = vec_push(l->a, &l->cells);
        struct str kept = arena_str(l->a, k);
        if (!slot || !kept.p || map_put(&l->index, kept, at))
            return diag_set(d, ERR_NOMEM, "no memory to open the interview");
        slot->row = row;
    }
    l->cells.at[at].cell = (struct saved_cell){session_key(l, row), l->map->field_local[stable], value,
                                               (enum answer_status)status};
    return ERR_OK;
}

static enum err load_record(struct loader *l, const struct row *row, struct diag *d)
{
    struct record r;
    enum err rc = record_load(l->s, l->a, row, &r, d);
    for (uint32_t i = 0; !rc && i < r.count; i++) {
        if (r.cells[i].field == 0 || r.cells[i].count == 0)
            continue;
        const struct version *v = &r.cells[i].versions[0];
        rc = put_cell(l, row->key, r.cells[i].field, v->status, v->op == CHANGE_CLEAR ? STR_NONE : v->value,
                      d);
    }
    return rc;
}

static enum err load_rows(struct loader *l, struct diag *d)
{
    static const char sql[] =
        "SELECT key, device, inc, counter, number, kind, parent, interview, household, repeat, ord, visit, "
        "deleted"
        " FROM row WHERE interview = ? AND kind = 3 AND (visit = 0 OR visit = ?) AND deleted = 0"
        " ORDER BY ord, device, inc, counter";
    struct stmt *q = NULL;
    bool more = false;

    enum err rc = db_prepare(l->s->db, sql, &q, d);
    if (!rc) {
        bind_i64(q, 1, l->interview);
        bind_i64(q, 2, l->visit ? l->visit : -1);
        while (!(rc = stmt_step(q, &more, d)) && more) {
            struct row *slot = vec_push(l->a, &l->rows);
            if (!slot) {
                rc = diag_set(d, ERR_NOMEM, "no memory to open the interview");
                break;
            }
            *slot = (struct row){.key = col_i64(q, 0),
                                 .id = {(uint64_t)col_i64(q, 1), (uint32_t)col_i64(q, 2),
                                        (uint32_t)col_i64(q, 3)},
                                 .kind = ROW_REPEAT,
                                 .parent = col_i64(q, 6),
                                 .interview = l->interview,
                                 .repeat = (uint32_t)col_i64(q, 9),
                                 .order = col_i64(q, 10),
                                 .visit = col_i64(q, 11)};
        }
    }
    stmt_done(q);
    return rc;
}

static void forget_row(struct loader *l, int64_t key)
{
    for (uint32_t i = 0; i < l->rows.count; i++)
        if (l->rows.at[i].key == key)
            l->rows.at[i].deleted = true;
}

/* The draft's own changes, over the record. */
static enum err load_draft(struct loader *l, struct diag *d)
{
    struct stmt *q = NULL;
    bool more = false;

    enum err rc = db_prepare(
        l->s->db, "SELECT row, fld, op, status, val FROM chg WHERE visit = ? AND batch = 0 ORDER BY seq", &q,
        d);
    if (!rc) {
        bind_i64(q, 1, l->visit);
        while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
            int64_t row = col_i64(q, 0);
            enum change_op op = (enum change_op)col_i64(q, 2);
            if (row == l->visit)
                continue;
            if (op == CHANGE_ROW_DELETE) {
                forget_row(l, row);
            } else if (op == CHANGE_SET || op == CHANGE_CLEAR) {
                struct str value = arena_str(l->a, op == CHANGE_SET ? col_blob(q, 4) : STR(""));
                rc = value.p ? put_cell(l, row, (uint32_t)col_i64(q, 1), (uint8_t)col_i64(q, 3), value, d)
                             : diag_set(d, ERR_NOMEM, "no memory to open the interview");
            }
        }
    }
    stmt_done(q);
    return rc;
}

static bool listed(const struct saved_interview *out, uint64_t key)
{
    if (key == 0)
        return true;
    for (uint32_t i = 0; i < out->row_count; i++)
        if (out->rows[i].key == key)
            return true;
    return false;
}

/* Rows with parents before children, siblings in order; rows whose parent is gone are gone with it. Nesting
 * is shallow, so a pass per level. */
static enum err arrange(struct loader *l, struct saved_interview *out, struct diag *d)
{
    struct saved_interview done = {0};
    bool moved = true;

    done.rows = ARENA_ARRAY(l->a, struct saved_row, l->rows.count + 1u);
    done.cells = ARENA_ARRAY(l->a, struct saved_cell, l->cells.count + 1u);
    if (!done.rows || !done.cells)
        return diag_set(d, ERR_NOMEM, "no memory to open the interview");
    while (moved) {
        uint32_t before = done.row_count;
        struct saved_interview parents = done; /* only rows of earlier passes count as parents */
        for (uint32_t i = 0; i < l->rows.count; i++) {
            struct row *r = &l->rows.at[i];
            uint32_t local = r->repeat < l->map->repeat_local_count ? l->map->repeat_local[r->repeat]
                                                                    : FIELDMAP_NONE;
            if (r->deleted || local == FIELDMAP_NONE || !listed(&parents, session_key(l, r->parent)))
                continue;
            done.rows[done.row_count++] = (struct saved_row){(uint64_t)r->key, session_key(l, r->parent),
                                                             local, r->order};
            r->deleted = true;
        }
        moved = done.row_count > before;
    }
    for (uint32_t i = 0; i < l->cells.count; i++)
        if (listed(&done, l->cells.at[i].cell.key))
            done.cells[done.cell_count++] = l->cells.at[i].cell;
    *out = done;
    return ERR_OK;
}

static enum err load_interview(struct store *s, struct arena *a, const struct fieldmap *map,
                               int64_t interview, int64_t visit, struct saved_interview *out, struct diag *d)
{
    struct loader l = {.s = s, .a = a, .map = map, .interview = interview, .visit = visit};
    struct row top;

    map_init(&l.index, a);
    enum err rc = row_by_key(s, interview, &top, d);
    if (!rc)
        rc = load_record(&l, &top, d);
    if (!rc)
        rc = load_rows(&l, d);
    for (uint32_t i = 0; !rc && i < l.rows.count; i++)
        if (l.rows.at[i].visit == 0)
            rc = load_record(&l, &l.rows.at[i], d);
    if (!rc && visit)
        rc = load_draft(&l, d);
    return rc ? rc : arrange(&l, out, d);
}

/* ---- opening ---- */

struct found {
    int64_t interview, draft, last; /* 0 = none */
};

static enum err newest_visits(struct store *s, int64_t interview, struct found *f, struct diag *d)
{
    struct stmt *q = NULL;
    bool more = false;

    enum err rc = db_prepare(
        s->db,
        "SELECT key, state, device, inc FROM row WHERE parent = ? AND kind = 4 AND deleted = 0 ORDER BY key",
        &q, d);
    if (!rc) {
        bind_i64(q, 1, interview);
        while (!(rc = stmt_step(q, &more, d)) && more) {
            bool ours = (uint64_t)col_i64(q, 2) == s->id.by.device && (uint32_t)col_i64(q, 3) == s->id.by.inc;
            if (col_i64(q, 1) != 0)
                f->last = col_i64(q, 0);
            else if (ours)
                f->draft = col_i64(q, 0);
        }
    }
    stmt_done(q);
    return rc;
}

/* The interview of this form with this household; without a household, the newest draft of the form. */
static enum err find_interview(struct store *s, const struct visit_start *start, const unsigned char *form,
                               struct found *f, struct diag *d)
{
    static const char of_household[] = "SELECT key FROM row WHERE kind = 2 AND household = ? AND form = ? "
                                       "AND deleted = 0 ORDER BY key LIMIT 1";
    static const char of_draft[] =
        "SELECT i.key FROM row i JOIN row v ON v.parent = i.key AND v.kind = 4 AND v.state = 0 AND v.deleted "
        "= 0"
        " WHERE i.kind = 2 AND i.household = ? AND i.form = ? AND i.deleted = 0 ORDER BY i.key DESC LIMIT 1";
    struct stmt *q = NULL;
    bool row = false;

    *f = (struct found){0};
    if (!start->household && start->fresh)
        return ERR_OK;
    enum err rc = db_prepare(s->db, start->household ? of_household : of_draft, &q, d);
    if (!rc) {
        bind_i64(q, 1, start->household);
        bind_blob(q, 2, form, 8);
        rc = stmt_step(q, &row, d);
    }
    if (!rc && row)
        f->interview = col_i64(q, 0);
    stmt_done(q);
    return !rc && f->interview ? newest_visits(s, f->interview, f, d) : rc;
}

static enum err birth_change(struct store *s, struct counters *c, int64_t visit, const struct row *row,
                             struct row_id parent, const unsigned char *form, struct diag *d)
{
    struct row_birth birth = {.kind = row->kind,
                              .parent = parent,
                              .number = row->repeat,
                              .order = row->order};
    struct buf b;

    if (form)
        memcpy(birth.object, form, sizeof birth.object);
    buf_init(&b, 256);
    enum err rc = row_birth_write(&b, &birth);
    if (rc)
        rc = diag_set(d, rc, "no memory to note a new row");
    if (!rc) {
        struct own_change change = {.visit = visit,
                                    .row = row->key,
                                    .op = CHANGE_ROW_CREATE,
                                    .value = buf_str(&b)};
        rc = change_append(s, c, &change, d);
    }
    buf_free(&b);
    return rc;
}

static enum err set_field(struct store *s, struct counters *c, int64_t visit, int64_t row, uint32_t field,
                          struct str value, struct diag *d)
{
    if (value.n == 0)
        return ERR_OK;
    struct own_change change = {.visit = visit, .row = row, .field = field, .op = CHANGE_SET, .value = value};
    return change_append(s, c, &change, d);
}

static enum err make_interview(struct store *s, struct counters *c, const struct visit_start *start,
                               const unsigned char *form, struct row *interview, struct diag *d)
{
    *interview = (struct row){.kind = ROW_INTERVIEW,
                              .parent = start->household,
                              .household = start->household};
    struct row household = {0};
    enum err rc = start->household ? row_by_key(s, start->household, &household, d) : ERR_OK;
    if (!rc)
        rc = row_insert(s, c, interview, form, d);
    return rc ? rc : birth_change(s, c, 0, interview, household.id, form, d);
}

static enum err make_visit(struct store *s, struct arena *a, struct counters *c,
                           const struct visit_start *start, const struct row *interview, struct row *visit,
                           struct str started, struct diag *d)
{
    *visit = (struct row){.kind = ROW_VISIT,
                          .parent = interview->key,
                          .interview = interview->key,
                          .household = start->household};
    struct buf person;
    enum err rc = row_insert(s, c, visit, NULL, d);
    if (!rc)
        rc = birth_change(s, c, visit->key, visit, interview->id, NULL, d);
    if (!rc)
        rc = set_field(s, c, visit->key, visit->key, VISIT_FORM, hex_text(a, start->form_hash, SHA256_SIZE),
                       d);
    if (!rc)
        rc = set_field(s, c, visit->key, visit->key, VISIT_TYPE, start->type, d);
    if (!rc)
        rc = set_field(s, c, visit->key, visit->key, VISIT_STARTED, started, d);
    if (!rc)
        rc = set_field(s, c, visit->key, visit->key, VISIT_LANGUAGE, start->language, d);
    buf_init(&person, 32);
    buf_put_u64(&person, s->id.by.person);
    if (!rc && s->id.by.person)
        rc = set_field(s, c, visit->key, visit->key, VISIT_PERSON, buf_str(&person), d);
    buf_free(&person);
    return rc;
}

static enum err begin_visit(struct store *s, struct arena *a, const struct visit_start *start,
                            const unsigned char *form, struct found *f, struct str started, struct diag *d)
{
    struct txn t = {0};
    struct counters c;
    struct row interview, visit;

    enum err rc = txn_begin(&t, s->db, d);
    if (!rc)
        rc = counters_load(s, &c, d);
    if (!rc)
        rc = f->interview ? row_by_key(s, f->interview, &interview, d)
                          : make_interview(s, &c, start, form, &interview, d);
    if (!rc)
        rc = make_visit(s, a, &c, start, &interview, &visit, started, d);
    if (!rc)
        rc = counters_save(s, &c, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    if (!rc) {
        f->interview = interview.key;
        f->draft = visit.key;
    }
    return rc;
}

/* VISIT_STARTED of a draft stands in the log only. */
static enum err draft_started(struct store *s, struct arena *a, int64_t visit, struct str *out,
                              struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = db_prepare(s->db,
                             "SELECT val FROM chg WHERE visit = ?1 AND row = ?1 AND fld = ?2 AND batch = 0 "
                             "ORDER BY seq DESC LIMIT 1",
                             &q, d);
    if (!rc) {
        bind_i64(q, 1, visit);
        bind_i64(q, 2, VISIT_STARTED);
        rc = stmt_step(q, &row, d);
    }
    if (!rc)
        *out = row ? arena_str(a, col_blob(q, 0)) : STR_NONE;
    stmt_done(q);
    return rc;
}

enum err store_visit_open(struct store *s, struct arena *a, const struct visit_start *start,
                          struct visit *visit_out, struct diag *d)
{
    unsigned char form[SHA256_SIZE];
    struct found f;
    struct visit v = {.start = start, .arena = a, .row_key_next = SESSION_KEY_BASE};

    enum err rc = sha256(form_id(start->form), form);
    if (!rc)
        rc = find_interview(s, start, form, &f, d);
    if (rc)
        return rc;
    v.resumed = f.draft != 0;
    v.revisit = f.last != 0;
    v.started = iso_now(s, a);
    rc = v.resumed ? draft_started(s, a, f.draft, &v.started, d)
                   : begin_visit(s, a, start, form, &f, v.started, d);
    if (rc)
        return rc;
    v.key = f.draft;
    v.interview = f.interview;
    v.rows = ARENA_NEW(a, struct visit_rows);
    if (!v.rows)
        return diag_set(d, ERR_NOMEM, "no memory to open the interview");
    rc = load_interview(s, a, start->map, v.interview, v.key, &v.now, d);
    if (!rc && v.revisit)
        rc = load_interview(s, a, start->map, v.interview, 0, &v.prev, d);
    if (!rc && v.revisit)
        rc = shown_value(s, a, f.last, VISIT_ENDED, &v.prev_ended, d);
    if (!rc)
        *visit_out = v;
    return rc;
}

/* ---- saving ---- */

static int64_t row_of(const struct visit *v, uint64_t key)
{
    if (key == 0)
        return v->interview;
    if (key < SESSION_KEY_BASE)
        return (int64_t)key;
    CHECK(key - SESSION_KEY_BASE < v->rows->keys.count && v->rows->keys.at[key - SESSION_KEY_BASE] != 0);
    return v->rows->keys.at[key - SESSION_KEY_BASE];
}

static enum err remember_row(struct visit *v, uint64_t key, int64_t row, struct diag *d)
{
    while (v->rows->keys.count <= key - SESSION_KEY_BASE)
        if (!vec_push(v->arena, &v->rows->keys))
            return diag_set(d, ERR_NOMEM, "no memory for a further row");
    v->rows->keys.at[key - SESSION_KEY_BASE] = row;
    return ERR_OK;
}

static enum err save_row_add(struct store *s, struct counters *c, struct visit *v,
                             const struct session_change *change, struct diag *d)
{
    struct row parent;
    struct row row = {.kind = ROW_REPEAT,
                      .parent = row_of(v, change->parent_key),
                      .interview = v->interview,
                      .household = v->start->household,
                      .repeat = v->start->map->repeat_stable[change->repeat],
                      .order = change->order,
                      .visit = v->key};

    CHECK(change->key >= SESSION_KEY_BASE);
    enum err rc = row_by_key(s, row.parent, &parent, d);
    if (!rc)
        rc = row_insert(s, c, &row, NULL, d);
    if (!rc)
        rc = remember_row(v, change->key, row.key, d);
    return rc ? rc : birth_change(s, c, v->key, &row, parent.id, NULL, d);
}

static enum err save_one(struct store *s, struct counters *c, struct visit *v,
                         const struct session_change *change, struct diag *d)
{
    struct own_change own = {.visit = v->key, .status = (uint8_t)change->status};

    switch (change->op) {
    case SESSION_ROW_ADD: return save_row_add(s, c, v, change, d);
    case SESSION_ROW_REMOVE:
        own.row = row_of(v, change->key);
        own.op = CHANGE_ROW_DELETE;
        own.status = 0;
        break;
    case SESSION_SET:
    case SESSION_CLEAR:
        own.row = row_of(v, change->key);
        own.field = v->start->map->field_stable[change->field];
        own.op = change->op == SESSION_SET ? CHANGE_SET : CHANGE_CLEAR;
        own.value = change->op == SESSION_SET ? change->value : STR_NONE;
        break;
    }
    return change_append(s, c, &own, d);
}

/* The answer and the change that reports it are one row of the log, so there is nothing that could disagree
 * after a power cut. */
enum err store_visit_save(struct store *s, struct visit *v, const struct session_change *changes,
                          uint32_t count, struct diag *d)
{
    struct txn t = {0};
    struct counters c;

    if (count == 0)
        return ERR_OK;
    uint32_t rows_before = v->rows->keys.count;
    enum err rc = txn_begin(&t, s->db, d);
    if (!rc)
        rc = counters_load(s, &c, d);
    for (uint32_t i = 0; !rc && i < count; i++)
        rc = save_one(s, &c, v, &changes[i], d);
    if (!rc)
        rc = counters_save(s, &c, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    if (rc)
        v->rows->keys.count = rows_before;
    return rc;
}

/* ---- finalising ---- */

static enum err run_for_visit(struct store *s, const char *sql, int64_t visit, int64_t second, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db, sql, &q, d);
    if (!rc) {
        bind_i64(q, 1, visit);
        if (second)
            bind_i64(q, 2, second);
        rc = stmt_run(q, d);
    }
    stmt_done(q);
    return rc;
}

/* Rows made and removed within the visit never were; of several values the last one counts. */
static enum err drop_overwritten(struct store *s, int64_t visit, struct diag *d)
{
    static const char *const steps[] = {
        "UPDATE row SET deleted = 1 WHERE visit = ?1 AND key IN (SELECT row FROM chg WHERE visit = ?1 AND "
        "batch = 0 AND op = 2)",
        "WITH RECURSIVE gone(key) AS (SELECT key FROM row WHERE visit = ?1 AND deleted = 1"
        "  UNION SELECT row.key FROM row JOIN gone ON row.parent = gone.key WHERE row.kind = 3 AND row.visit "
        "= ?1)"
        " DELETE FROM chg WHERE visit = ?1 AND batch = 0 AND row IN gone",
        "DELETE FROM chg AS older WHERE visit = ?1 AND batch = 0 AND op IN (0, 1) AND EXISTS (SELECT 1 FROM "
        "chg newer WHERE newer.visit = ?1"
        "  AND newer.batch = 0 AND newer.op IN (0, 1) AND newer.row = older.row AND newer.fld = older.fld "
        "AND newer.seq > older.seq)",
        "WITH RECURSIVE gone(key) AS (SELECT key FROM row WHERE visit = ?1 AND deleted = 1"
        "  UNION SELECT row.key FROM row JOIN gone ON row.parent = gone.key WHERE row.kind = 3 AND row.visit "
        "= ?1)"
        " DELETE FROM row WHERE key IN gone",
    };
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < sizeof steps / sizeof *steps; i++)
        rc = run_for_visit(s, steps[i], visit, 0, d);
    return rc;
}

static enum err finding_row(struct store *s, struct counters *c, const struct visit *v,
                            const struct row *visit, const struct judgement *j, const struct finding *f,
                            struct diag *d)
{
    struct row row = {.kind = ROW_FINDING,
                      .parent = v->key,
                      .interview = v->interview,
                      .household = v->start->household,
                      .visit = v->key};
    const struct {
        uint32_t field;
        struct str value;
    } fields[] = {
        {FINDING_RULE, f->rule},
        {FINDING_SEVERITY, str_of(severity_name(f->severity))},
        {FINDING_STATE, f->state == FINDING_HIT ? STR("hit") : STR("unknown")},
        {FINDING_TEXT_ZH, f->text_zh},
        {FINDING_TEXT_EN, f->text_en},
        {FINDING_INPUTS, f->inputs},
        {FINDING_PACK, j->pack_id},
        {FINDING_PACK_VERSION, j->pack_version},
        {FINDING_PARAMS, f->params},
    };

    enum err rc = row_insert(s, c, &row, NULL, d);
    if (!rc)
        rc = birth_change(s, c, v->key, &row, visit->id, NULL, d);
    for (size_t i = 0; !rc && i < sizeof fields / sizeof *fields; i++)
        rc = set_field(s, c, v->key, row.key, fields[i].field, fields[i].value, d);
    return rc;
}

static enum err finish_fields(struct store *s, struct arena *a, struct counters *c, const struct visit *v,
                              const struct visit_finish *f, struct diag *d)
{
    struct str level = f->findings ? str_of(severity_name(f->findings->level)) : STR_NONE;
    const struct {
        uint32_t field;
        struct str value;
    } fields[] = {
        {VISIT_ENDED, iso_now(s, a)},
        {VISIT_INSTANCE, f->instance_id},
        {VISIT_XML_HASH, hex_text(a, f->xml_hash, SHA256_SIZE)},
        {VISIT_JUDGEMENT, f->judgement},
        {VISIT_PACK, f->judged ? hex_text(a, f->pack_hash, SHA256_SIZE) : STR_NONE},
        {VISIT_LEVEL, level},
    };
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < sizeof fields / sizeof *fields; i++)
        rc = set_field(s, c, v->key, v->key, fields[i].field, fields[i].value, d);
    return rc;
}

static enum err finish_findings(struct store *s, struct counters *c, const struct visit *v,
                                const struct visit_finish *f, struct diag *d)
{
    struct row visit;
    enum err rc = row_by_key(s, v->key, &visit, d);
    for (uint32_t i = 0; !rc && f->findings && i < f->findings->count; i++)
        rc = finding_row(s, c, v, &visit, f->findings, &f->findings->findings[i], d);
    return rc;
}

/* The visit's changes, and the interview's birth where this visit made it, in order of sequence. */
static enum err visit_changes(struct store *s, struct arena *a, const struct visit *v,
                              struct change **changes_out, int64_t **rows_out, uint32_t *count_out,
                              struct diag *d)
{
    static const char sql[] =
        "SELECT seq, row, fld, op, status, person, role, hlc, seen, val FROM chg"
        " WHERE batch = 0 AND (visit = ?1 OR (visit = 0 AND row = ?2)) ORDER BY row, seq";
    struct stmt *q = NULL;
    VEC(struct change) changes = {0};
    VEC(int64_t) rows = {0};
    bool more = false;

    enum err rc = db_prepare(s->db, sql, &q, d);
    if (!rc) {
        bind_i64(q, 1, v->key);
        bind_i64(q, 2, v->interview);
        while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
            struct change *c = vec_push(a, &changes);
            int64_t *row = vec_push(a, &rows);
            struct str value = arena_str(a, col_blob(q, 9));
            if (!c || !row || !value.p) {
                rc = diag_set(d, ERR_NOMEM, "no memory to finalise the interview; the draft is safe");
                break;
            }
            *row = col_i64(q, 1);
            *c = (struct change){.seq = (uint64_t)col_i64(q, 0),
                                 .field = (uint32_t)col_i64(q, 2),
                                 .op = (enum change_op)col_i64(q, 3),
                                 .status = (uint8_t)col_i64(q, 4),
                                 .person = (uint32_t)col_i64(q, 5),
                                 .role = (uint8_t)col_i64(q, 6),
                                 .hlc = col_i64(q, 7),
                                 .seen = (uint64_t)col_i64(q, 8),
                                 .value = value};
        }
    }
    stmt_done(q);
    if (!rc) {
        *changes_out = changes.at;
        *rows_out = rows.at;
        *count_out = changes.count;
    }
    return rc;
}

static enum err merge_row(struct store *s, struct arena *a, int64_t key, const struct change *changes,
                          uint32_t count, struct diag *d)
{
    struct row row;
    struct record r;
    enum merge_result result;

    enum err rc = row_by_key(s, key, &row, d);
    if (!rc)
        rc = record_load(s, a, &row, &r, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct change own = changes[i];
        own.row = row.id;
        rc = record_apply(a, &r, &own, s->id.by.device, s->id.by.inc, own.hlc, 0, &result);
        if (rc)
            rc = diag_set(d, rc, "the interview could not be finalised (no memory); the draft is safe");
    }
    if (!rc)
        rc = record_save(s, key, &r, d);
    if (!rc && record_deleted(&r))
        rc = run_for_visit(s, "UPDATE row SET deleted = 1 WHERE key = ?1", key, 0, d);
    return rc;
}

static enum err merge_visit(struct store *s, struct arena *a, const struct visit *v, struct diag *d)
{
    struct change *changes;
    int64_t *rows;
    uint32_t count;

    enum err rc = visit_changes(s, a, v, &changes, &rows, &count, d);
    for (uint32_t i = 0, n; !rc && i < count; i += n) {
        n = 1;
        while (i + n < count && rows[i + n] == rows[i])
            n++;
        struct arena_mark mark = arena_mark(a);
        rc = merge_row(s, a, rows[i], changes + i, n, d);
        arena_release(a, mark);
    }
    return rc;
}

static enum err close_visit(struct store *s, struct arena *a, struct counters *c, const struct visit *v,
                            struct diag *d)
{
    struct own_change finalise = {.visit = v->key, .row = v->key, .op = CHANGE_FINALISE};

    enum err rc = drop_overwritten(s, v->key, d);
    if (!rc)
        rc = change_append(s, c, &finalise, d);
    if (!rc) /* one clock per record: what was typed over an hour is one statement made now */
        rc = run_for_visit(s, "UPDATE chg SET hlc = ?2 WHERE visit = ?1 AND batch = 0", v->key, c->hlc_last,
                           d);
    if (!rc)
        rc = merge_visit(s, a, v, d);
    if (!rc)
        rc = run_for_visit(s, "UPDATE row SET visit = 0 WHERE visit = ?1", v->key, 0, d);
    if (!rc)
        rc = run_for_visit(s, "UPDATE row SET state = 1 WHERE key = ?1", v->key, 0, d);
    return rc;
}

enum err store_visit_finalise(struct store *s, struct visit *v, const struct visit_finish *finish,
                              struct diag *d)
{
    struct txn t = {0};
    struct counters c;
    struct arena a;

    arena_init(&a, STORE_SCRATCH_MAX);
    enum err rc = txn_begin(&t, s->db, d);
    if (!rc)
        rc = counters_load(s, &c, d);
    if (!rc)
        rc = finish_fields(s, &a, &c, v, finish, d);
    if (!rc)
        rc = finish_findings(s, &c, v, finish, d);
    if (!rc)
        rc = close_visit(s, &a, &c, v, d);
    if (!rc)
        rc = counters_save(s, &c, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    arena_free(&a);
    return rc;
}
