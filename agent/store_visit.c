/* Capture: a visit from its first answer to its finalising. While it is a draft its changes are rows of the
 * log that belong to the visit; the interview as it is now is the record plus those rows, and the record
 * itself stays what the earlier visit left. Finalising drops what the person overwrote within the visit,
 * gives the rest one clock, and merges it into the records: one transaction.
 *
 * A draft is never touched by what the centre sends meanwhile: its values stand over the records, rows that
 * it answers in stay visible although somebody else removed them, and each of its changes says what its
 * author had seen, so that the merge keeps both.
 */
#include "agent/store_impl.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- reading an interview ---- */

struct loaded_cell {
    int64_t row;
    struct saved_cell cell;
};

struct loader {
    struct store *s;
    struct arena *a;
    const struct form *form;
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

    uint32_t local = stable ? fieldmap_local(l->map, stable) : FIELDMAP_NONE;

    if (local == FIELDMAP_NONE)
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
    l->cells.at[at].cell = (struct saved_cell){session_key(l, row), local, value, (enum answer_status)status};
    return ERR_OK;
}

static enum err load_record(struct loader *l, const struct row *row, struct diag *d)
{
    struct record r;
    enum err rc = record_load(l->s, l->a, row, &r, d);
    for (uint32_t i = 0; !rc && i < r.count; i++) {
        if (r.cells[i].field == 0 || r.cells[i].count == 0)
            continue;
        struct str value;
        rc = record_answer(l->a, &r.cells[i], &value)
                 ? diag_set(d, ERR_NOMEM, "no memory to open the interview")
                 : put_cell(l, row->key, r.cells[i].field, r.cells[i].versions[0].status, value, d);
    }
    return rc;
}

static enum err load_rows(struct loader *l, struct diag *d)
{
    static const char sql[] =
        "WITH RECURSIVE answered(key) AS (SELECT row FROM chg WHERE visit = ?2 AND batch = 0 AND op IN (0, 1)"
        "  UNION SELECT row.parent FROM row JOIN answered ON row.key = answered.key WHERE row.kind = 3)"
        " SELECT " ROW_COLUMNS " FROM row WHERE interview = ?1 AND kind = 3 AND (visit = 0 OR visit = ?2)"
        "  AND (deleted = 0 OR key IN answered) ORDER BY ord, device, inc, counter";
    struct stmt *q = NULL;
    bool more = false;

    enum err rc = db_prepare(l->s->db, sql, &q, d);
    if (!rc) {
        bind_i64(q, 1, l->interview);
        bind_i64(q, 2, l->visit ? l->visit : -1);
    }
    while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
        struct row *slot = vec_push(l->a, &l->rows);
        if (!slot) {
            rc = diag_set(d, ERR_NOMEM, "no memory to open the interview");
            break;
        }
        *slot = row_from(q);
        slot->deleted = false;
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

#define NOT_LISTED (UINT32_MAX - 1)

/* Of which repeat the row is, FORM_NO_REPEAT for the interview itself. */
static uint32_t repeat_of(const struct saved_interview *out, uint64_t key)
{
    if (key == 0)
        return FORM_NO_REPEAT;
    for (uint32_t i = 0; i < out->row_count; i++)
        if (out->rows[i].key == key)
            return out->rows[i].repeat;
    return NOT_LISTED;
}

/* Numbers of a form that no centre gave them to mean something else in another version of it: such rows and
 * values stay in the record, and are none of this version's. */
static bool row_fits(const struct loader *l, const struct saved_interview *parents, const struct row *r,
                     uint32_t local)
{
    uint32_t parent = repeat_of(parents, session_key(l, r->parent));
    return parent != NOT_LISTED && form_repeat(l->form, local)->parent == parent;
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
            if (r->deleted || local == FIELDMAP_NONE || !row_fits(l, &parents, r, local))
                continue;
            done.rows[done.row_count++] = (struct saved_row){(uint64_t)r->key, session_key(l, r->parent),
                                                             local, r->order};
            r->deleted = true;
        }
        moved = done.row_count > before;
    }
    for (uint32_t i = 0; i < l->cells.count; i++) {
        const struct saved_cell *c = &l->cells.at[i].cell;
        if (repeat_of(&done, c->key) == form_field(l->form, c->field)->repeat)
            done.cells[done.cell_count++] = *c;
    }
    *out = done;
    return ERR_OK;
}

static enum err load_interview(struct store *s, struct arena *a, const struct visit_start *start,
                               int64_t interview, int64_t visit, struct saved_interview *out, struct diag *d)
{
    struct loader l = {
        .s = s, .a = a, .form = start->form, .map = start->map, .interview = interview, .visit = visit};
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
    int64_t interview, draft; /* 0 = none */
};

/* The interview of this form with this household, the one with a draft first; without a household, the newest
 * draft of the form. */
static enum err find_interview(struct store *s, struct str form_id, int64_t household, struct found *out,
                               struct diag *d)
{
    static const char sql[] =
        "SELECT i.key, v.key FROM row i LEFT JOIN row v ON v.parent = i.key AND v.kind = 4 AND v.state = 0"
        "  AND v.deleted = 0 AND v.device = ?3 AND v.inc = ?4"
        " WHERE i.kind = 2 AND i.household = ?1 AND i.form = ?2 AND i.deleted = 0 AND (?1 OR v.key)"
        " ORDER BY v.key IS NULL, CASE WHEN ?1 THEN i.key ELSE -i.key END LIMIT 1";
    unsigned char form[SHA256_SIZE];
    struct stmt *q = NULL;
    bool row = false;

    *out = (struct found){0};
    enum err rc = sha256(form_id, form);
    if (!rc)
        rc = db_prepare(s->db, sql, &q, d);
    if (!rc) {
        bind_i64(q, 1, household);
        bind_blob(q, 2, form, 8);
        bind_i64(q, 3, (int64_t)s->id.by.device);
        bind_i64(q, 4, s->id.by.inc);
        rc = stmt_step(q, &row, d);
    }
    if (!rc && row)
        *out = (struct found){col_i64(q, 0), col_i64(q, 1)};
    stmt_done(q);
    return rc;
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
                                    .seen = c->cursor,
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
    struct own_change change = {
        .visit = visit, .row = row, .field = field, .op = CHANGE_SET, .seen = c->cursor, .value = value};
    return change_append(s, c, &change, d);
}

static enum err set_fields(struct store *s, struct counters *c, int64_t visit, int64_t row,
                           const struct row_value *values, size_t count, struct diag *d)
{
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < count; i++)
        rc = set_field(s, c, visit, row, values[i].field, values[i].value, d);
    return rc;
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

static enum err make_visit(struct store *s, struct arena *a, struct counters *c, const struct visit *v,
                           const struct row *interview, struct row *visit, struct diag *d)
{
    const struct visit_start *start = v->start;
    const struct row_value fields[] = {
        {VISIT_FORM, hex_text(a, start->form_hash, SHA256_SIZE)},
        {VISIT_TYPE, start->edit ? STR(VISIT_CORRECTION) : start->type},
        {VISIT_STARTED, v->started},
        {VISIT_LANGUAGE, start->language},
        {VISIT_UNKNOWN, start->unknown},
    };
    *visit = (struct row){.kind = ROW_VISIT,
                          .parent = interview->key,
                          .interview = interview->key,
                          .household = start->household};
    if (v->reserved.device == s->id.by.device && v->reserved.inc == s->id.by.inc)
        visit->id = v->reserved;
    enum err rc = row_insert(s, c, visit, NULL, d);
    if (!rc)
        rc = birth_change(s, c, visit->key, visit, interview->id, NULL, d);
    return rc ? rc : set_fields(s, c, visit->key, visit->key, fields, COUNT(fields), d);
}

enum err visit_child(struct store *s, struct counters *c, const struct visit *v, enum row_kind kind,
                     const struct row_value *values, uint32_t count, struct diag *d)
{
    struct row visit;
    struct row row = {.kind = kind,
                      .parent = v->key,
                      .interview = v->interview,
                      .household = v->start->household,
                      .visit = v->key};
    enum err rc = row_by_key(s, v->key, &visit, d);
    if (!rc)
        rc = row_insert(s, c, &row, NULL, d);
    if (!rc)
        rc = birth_change(s, c, v->key, &row, visit.id, NULL, d);
    return rc ? rc : set_fields(s, c, v->key, row.key, values, count, d);
}

static enum err meanwhile(struct diag *d)
{
    return diag_set(d, ERR_STATE,
                    "this interview was begun or finished in another window meanwhile: leave this one and "
                    "open it again");
}

/* The visit's row comes with its first saved changes: before them there is nothing that a power cut could
 * leave half made. */
static enum err begin_visit(struct store *s, struct arena *a, struct counters *c, struct visit *v,
                            struct diag *d)
{
    unsigned char form[SHA256_SIZE];
    struct row interview, visit;
    struct found f;

    enum err rc = find_interview(s, form_id(v->start->form), v->start->household, &f, d);
    /* without a household every visit is an interview of its own */
    bool again = v->start->household == 0;
    if (!rc && !again && (f.draft || f.interview != v->interview))
        rc = meanwhile(d);
    if (!rc)
        rc = sha256(form_id(v->start->form), form);
    if (!rc)
        rc = v->interview ? row_by_key(s, v->interview, &interview, d)
                          : make_interview(s, c, v->start, form, &interview, d);
    if (!rc)
        rc = make_visit(s, a, c, v, &interview, &visit, d);
    if (!rc) {
        v->interview = interview.key;
        v->key = visit.key;
    }
    return rc;
}

static enum err still_draft(struct store *s, int64_t visit, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = db_prepare(s->db, "SELECT 1 FROM row WHERE key = ? AND state = 0 AND deleted = 0", &q, d);
    if (!rc) {
        bind_i64(q, 1, visit);
        rc = stmt_step(q, &row, d);
    }
    stmt_done(q);
    return rc || row ? rc : meanwhile(d);
}

/* What a draft says about its visit stands in the log only. */
static enum err draft_field(struct store *s, struct arena *a, int64_t visit, uint32_t field, struct str *out,
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
        bind_i64(q, 2, field);
        rc = stmt_step(q, &row, d);
    }
    struct str value = !rc && row ? arena_str(a, col_blob(q, 0)) : STR("");
    stmt_done(q);
    if (!rc && !value.p)
        rc = diag_set(d, ERR_NOMEM, "no memory to open the interview");
    if (!rc)
        *out = value;
    return rc;
}

enum err store_draft_form(struct store *s, struct str form_id, int64_t household,
                          unsigned char hash_out[static SHA256_SIZE], bool *any_out, struct diag *d)
{
    struct arena a;
    struct found f;
    struct str hash = STR("");

    arena_init(&a, 1u << 20);
    enum err rc = find_interview(s, form_id, household, &f, d);
    if (!rc && f.draft)
        rc = draft_field(s, &a, f.draft, VISIT_FORM, &hash, d);
    if (!rc)
        *any_out = hex_read(hash, hash_out, SHA256_SIZE);
    arena_free(&a);
    return rc;
}

static enum err read_bookmark(struct store *s, struct arena *a, int64_t visit, struct str *out,
                              struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = db_prepare(s->db, "SELECT place FROM bookmark WHERE visit = ?", &q, d);
    if (!rc) {
        bind_i64(q, 1, visit);
        rc = stmt_step(q, &row, d);
    }
    struct str place = !rc && row ? arena_str(a, col_text(q, 0)) : STR("");
    stmt_done(q);
    if (!rc && !place.p)
        rc = diag_set(d, ERR_NOMEM, "no memory to open the interview");
    if (!rc)
        *out = place;
    return rc;
}

static enum err load_prev(struct store *s, struct arena *a, struct visit *v, struct diag *d)
{
    struct newest_visit last;
    enum err rc = newest_visit_of_interview(s, a, v->interview, &last, d);
    v->revisit = !rc && last.key != 0 && !v->edit;
    if (!v->revisit)
        return rc;
    v->prev_ended = last.ended;
    return load_interview(s, a, v->start, v->interview, 0, &v->prev, d);
}

/* An interview without a household that is being corrected, and its draft where there is one. */
static enum err draft_of(struct store *s, int64_t interview, struct found *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc =
        db_prepare(s->db,
                   "SELECT key FROM row WHERE parent = ?1 AND kind = 4 AND state = 0 AND deleted = 0"
                   " AND device = ?2 AND inc = ?3",
                   &q, d);
    if (!rc) {
        bind_i64(q, 1, interview);
        bind_i64(q, 2, (int64_t)s->id.by.device);
        bind_i64(q, 3, s->id.by.inc);
        rc = stmt_step(q, &row, d);
    }
    if (!rc)
        *out = (struct found){interview, row ? col_i64(q, 0) : 0};
    stmt_done(q);
    return rc;
}

static enum err log_size(struct store *s, struct visit *v, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = db_prepare(s->db, "SELECT coalesce(sum(length(csv)), 0) FROM paradata WHERE visit = ?", &q,
                             d);
    if (!rc) {
        bind_i64(q, 1, v->key);
        rc = stmt_step(q, &row, d);
    }
    if (!rc && row)
        v->log_bytes = (uint64_t)col_i64(q, 0);
    stmt_done(q);
    return rc;
}

static enum err read_draft(struct store *s, struct arena *a, struct visit *v, struct diag *d)
{
    struct str type = STR("");
    enum err rc = draft_field(s, a, v->key, VISIT_STARTED, &v->started, d);
    if (!rc)
        rc = draft_field(s, a, v->key, VISIT_TYPE, &type, d);
    if (!rc)
        rc = draft_field(s, a, v->key, VISIT_UNKNOWN, &v->unknown, d);
    if (!rc)
        rc = draft_field(s, a, v->key, VISIT_JUDGEMENT, &v->judgement, d);
    if (!rc)
        rc = read_bookmark(s, a, v->key, &v->place, d);
    v->edit = str_eq_z(type, VISIT_CORRECTION);
    return rc ? rc : log_size(s, v, d);
}

/* "uuid:" and the row's id in the shape of a UUID. */
static struct str instance_of(struct arena *a, struct row_id id)
{
    unsigned char bytes[ROW_ID_SIZE];
    char text[41] = "uuid:";
    size_t at = 5;
    row_id_write(id, bytes);
    for (uint32_t i = 0; i < sizeof bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text[at++] = '-';
        hex_write(&bytes[i], 1, text + at);
        at += 2;
    }
    return arena_str(a, (struct str){text, at});
}

void store_visit_reserve(struct store *s, struct visit *v)
{
    struct txn t = {0};
    struct counters c;
    struct row_id id = {0};

    if (v->resumed || !s->id.enrolled)
        return;
    enum err rc = work_begin(s, &t, &c, NULL);
    if (!rc) {
        id = (struct row_id){s->id.by.device, s->id.by.inc, c.next_counter++};
        rc = counters_save(s, &c, NULL);
    }
    if (!rc)
        rc = txn_commit(&t, NULL);
    txn_rollback(&t);
    struct str name = rc ? STR_NONE : instance_of(v->arena, id);
    if (!name.p)
        return;
    v->reserved = id;
    v->instance_id = name;
}

enum err store_visit_open(struct store *s, struct arena *a, const struct visit_start *start,
                          struct visit *visit_out, struct diag *d)
{
    struct found f = {0};
    struct counters c;
    struct visit v = {.start = start,
                      .arena = a,
                      .row_key_next = SESSION_KEY_BASE,
                      .place = STR(""),
                      .unknown = STR(""),
                      .judgement = STR(""),
                      .instance_id = STR("")};

    v.rows = ARENA_NEW(a, struct visit_rows);
    v.started = iso_now(s, a);
    if (!v.rows || !v.started.p)
        return diag_set(d, ERR_NOMEM, "no memory to open the interview");
    /* The cursor before the records: of what arrives in between it claims nothing. */
    enum err rc = counters_load(s, &c, d);
    v.rows->cursor = rc ? 0 : c.cursor;
    v.rows->set_backs = rc ? 0 : c.set_backs;
    if (!rc && (start->household || !start->fresh))
        rc = find_interview(s, form_id(start->form), start->household, &f, d);
    if (!rc && start->interview && f.interview != start->interview)
        rc = draft_of(s, start->interview, &f, d);
    v.interview = f.interview;
    v.key = f.draft;
    v.resumed = f.draft != 0;
    v.edit = start->edit;
    if (!rc && v.resumed)
        rc = read_draft(s, a, &v, d);
    if (!rc && v.interview)
        rc = load_interview(s, a, start, v.interview, v.key, &v.now, d);
    if (!rc && v.interview)
        rc = load_prev(s, a, &v, d);
    if (!rc)
        *visit_out = v;
    return rc;
}

enum err store_finished_newest(struct store *s, struct arena *a, struct str form_id, int64_t household,
                               int64_t interview, struct finished_visit *out, struct diag *d)
{
    struct found f = {.interview = interview};
    struct newest_visit newest = {0};
    enum err rc = interview ? ERR_OK : find_interview(s, form_id, household, &f, d);
    if (!rc && f.interview)
        rc = newest_visit_of_interview(s, a, f.interview, &newest, d);
    if (rc || newest.key == 0)
        return rc ? rc : ERR_NOT_FOUND;
    return store_finished_visit(s, a, STR_NONE, newest.key, out, d);
}

/* ---- saving ---- */

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
    struct own_change own = {.visit = v->key,
                             .status = (uint8_t)change->status,
                             .seen = seen_in_visit(c, v->rows)};

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

static enum err save_comment(struct store *s, struct arena *a, struct counters *c, const struct visit *v,
                             const struct visit_comment *comment, struct diag *d)
{
    struct row about;
    unsigned char id[ROW_ID_SIZE];
    char field[16];
    enum err rc = row_by_key(s, row_of(v, comment->key), &about, d);
    if (rc)
        return rc;
    row_id_write(about.id, id);
    snprintf(field, sizeof field, "%u", v->start->map->field_stable[comment->field]);
    const struct row_value values[] = {
        {COMMENT_TEXT, comment->text},
        {COMMENT_PLACE, comment->place},
        {COMMENT_ROW, hex_text(a, id, sizeof id)},
        {COMMENT_FIELD, str_of(field)},
        {COMMENT_AT, iso_now(s, a)},
    };
    return visit_child(s, c, v, ROW_COMMENT, values, COUNT(values), d);
}

static enum err save_beside(struct store *s, struct arena *a, struct counters *c, struct visit *v,
                            const struct visit_beside *beside, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = ERR_OK;
    if (!beside)
        return ERR_OK;
    for (uint32_t i = 0; !rc && i < beside->comment_count; i++)
        rc = save_comment(s, a, c, v, &beside->comments[i], d);
    if (rc || beside->log.n == 0)
        return rc;
    rc = db_prepare(s->db, "INSERT INTO paradata(visit, csv) VALUES(?, ?)", &q, d);
    if (!rc) {
        bind_i64(q, 1, v->key);
        bind_blob(q, 2, beside->log.p, beside->log.n);
        rc = stmt_run(q, d);
    }
    if (!rc)
        v->log_bytes += beside->log.n;
    return rc;
}

/* The answer and the change that reports it are one row of the log, so there is nothing that could disagree
 * after a power cut. */
enum err store_visit_save(struct store *s, struct visit *v, const struct session_change *changes,
                          uint32_t count, const struct visit_beside *beside, struct diag *d)
{
    struct txn t = {0};
    struct counters c;
    struct arena a;
    const struct visit before = *v;
    uint32_t rows_before = v->rows->keys.count, counter_before = 0;

    if (count == 0 && (!beside || (beside->log.n == 0 && beside->comment_count == 0)))
        return ERR_OK;
    arena_init(&a, 1u << 20);
    enum err rc = work_begin(s, &t, &c, d);
    if (!rc)
        counter_before = c.next_counter;
    if (!rc)
        rc = v->key ? still_draft(s, v->key, d) : begin_visit(s, &a, &c, v, d);
    for (uint32_t i = 0; !rc && i < count; i++)
        rc = save_one(s, &c, v, &changes[i], d);
    if (!rc)
        rc = save_beside(s, &a, &c, v, beside, d);
    /* Number and clock of a change are read from the newest one: an answer writes no page for them. */
    if (!rc && c.next_counter != counter_before)
        rc = counters_save(s, &c, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    arena_free(&a);
    if (rc) {
        *v = before;
        v->rows->keys.count = rows_before;
    }
    return rc;
}

enum err store_visit_log(struct store *s, const struct visit *v, struct buf *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool more = false;
    enum err rc = db_prepare(s->db, "SELECT csv FROM paradata WHERE visit = ? ORDER BY n", &q, d);
    if (rc)
        return rc;
    bind_i64(q, 1, v->key ? v->key : -1);
    while (!(rc = stmt_step(q, &more, d)) && more)
        buf_put_str(out, col_blob(q, 0));
    stmt_done(q);
    return !rc && out->failed ? diag_set(d, out->failed, "no memory for the log of the interview") : rc;
}

enum err store_visit_judged(struct store *s, struct visit *v, struct str judgement, struct diag *d)
{
    struct txn t = {0};
    struct counters c;
    struct arena a;
    const struct row_value field = {VISIT_JUDGEMENT, arena_str(v->arena, judgement)};

    if (v->key == 0)
        return diag_set(d, ERR_STATE, "nothing is answered yet: there is nothing to judge");
    if (!field.value.p)
        return diag_set(d, ERR_NOMEM, "no memory for the judgement");
    arena_init(&a, 1u << 20);
    enum err rc = work_begin(s, &t, &c, d);
    if (!rc)
        rc = still_draft(s, v->key, d);
    if (!rc)
        rc = set_fields(s, &c, v->key, v->key, &field, 1, d);
    if (!rc)
        rc = counters_save(s, &c, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    arena_free(&a);
    if (!rc)
        v->judgement = field.value;
    return rc;
}

/* ---- a newer version of the form ---- */

static enum err put_aside(struct store *s, const struct visit *v, const struct set_aside *x, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(s->db, "INSERT INTO aside(visit, row, path, val, status) VALUES(?, ?, ?, ?, ?)",
                             &q, d);
    if (!rc) {
        bind_i64(q, 1, v->key);
        bind_i64(q, 2, (int64_t)x->key);
        bind_text(q, 3, x->path);
        bind_blob(q, 4, x->value.p ? x->value.p : "", x->value.n);
        bind_i64(q, 5, x->status);
        rc = stmt_run(q, d);
    }
    return rc;
}

enum err store_visit_migrate(struct store *s, struct visit *v, const struct visit_migration *m,
                             struct diag *d)
{
    struct txn t = {0};
    struct counters c;
    struct arena a;
    uint32_t rows_before = v->rows->keys.count;

    CHECK(v->key != 0);
    arena_init(&a, 1u << 20);
    enum err rc = work_begin(s, &t, &c, d);
    if (!rc)
        rc = still_draft(s, v->key, d);
    if (!rc)
        rc = set_field(s, &c, v->key, v->key, VISIT_FORM, hex_text(&a, m->form_hash, SHA256_SIZE), d);
    for (uint32_t i = 0; !rc && i < m->count; i++)
        rc = save_one(s, &c, v, &m->changes[i], d);
    if (!rc)
        rc = run_for_visit(s, "DELETE FROM aside WHERE visit = ?1", v->key, 0, d);
    for (uint32_t i = 0; !rc && i < m->aside_count; i++)
        rc = put_aside(s, v, &m->aside[i], d);
    if (!rc)
        rc = counters_save(s, &c, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    arena_free(&a);
    if (rc)
        v->rows->keys.count = rows_before;
    return rc;
}

enum err store_visit_aside(struct store *s, struct arena *a, const struct visit *v,
                           struct set_aside **list_out, uint32_t *count_out, struct diag *d)
{
    VEC(struct set_aside) list = {0};
    struct stmt *q = NULL;
    bool more = false;
    enum err rc = db_prepare(s->db, "SELECT row, path, val, status FROM aside WHERE visit = ? ORDER BY n", &q,
                             d);
    if (!rc)
        bind_i64(q, 1, v->key ? v->key : -1);
    while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
        struct set_aside *slot = vec_push(a, &list);
        struct str path = arena_str(a, col_text(q, 1)), value = arena_str(a, col_blob(q, 2));
        if (slot && path.p && value.p)
            *slot = (struct set_aside){(uint64_t)col_i64(q, 0), path, value,
                                       (enum answer_status)col_i64(q, 3)};
        else
            rc = diag_set(d, ERR_NOMEM, "no memory for what an earlier migration set aside");
    }
    stmt_done(q);
    if (!rc) {
        *list_out = list.at;
        *count_out = list.count;
    }
    return rc;
}

enum err store_visit_place(struct store *s, struct visit *v, struct str place, struct diag *d)
{
    struct stmt *q = NULL;

    if (v->key == 0)
        return ERR_OK;
    enum err rc = db_prepare(s->db,
                             "INSERT INTO bookmark(visit, place) SELECT key, ?2 FROM row WHERE key = ?1 AND "
                             "state = 0 ON CONFLICT(visit) DO UPDATE SET place = excluded.place",
                             &q, d);
    if (!rc) {
        bind_i64(q, 1, v->key);
        bind_text(q, 2, place);
        rc = stmt_run(q, d);
    }
    return rc;
}

/* ---- finalising ---- */

#define ROWS_GONE                                                                                \
    "WITH RECURSIVE gone(key) AS (SELECT row FROM chg WHERE visit = ?1 AND batch = 0 AND op = 2" \
    "  UNION SELECT row.key FROM row JOIN gone ON row.parent = gone.key WHERE row.kind = 3) "

/* Rows made and removed within the visit never were, nor was what was typed into rows that it removed; of
 * several values the last one counts. */
static enum err drop_overwritten(struct store *s, int64_t visit, struct diag *d)
{
    static const char dropped[] = ROWS_GONE
        "DELETE FROM chg WHERE visit = ?1 AND batch = 0 AND row IN gone"
        " AND (op IN (0, 1) OR row IN (SELECT key FROM row WHERE visit = ?1 AND visit > 0))";
    static const char overwritten[] =
        "DELETE FROM chg AS older WHERE visit = ?1 AND batch = 0 AND op IN (0, 1) AND EXISTS ("
        " SELECT 1 FROM chg newer WHERE newer.visit = ?1 AND newer.batch = 0 AND newer.op IN (0, 1)"
        "  AND newer.row = older.row AND newer.fld = older.fld AND newer.seq > older.seq)";
    /* Of the rows of this visit only those that were dropped have no birth in the log any more. */
    static const char unborn[] =
        "DELETE FROM row WHERE visit = ?1 AND visit > 0"
        " AND NOT EXISTS (SELECT 1 FROM chg WHERE chg.visit = ?1 AND chg.row = row.key "
        "AND chg.batch = 0)";
    static const char *const steps[] = {dropped, overwritten, unborn};
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < sizeof steps / sizeof *steps; i++)
        rc = run_for_visit(s, steps[i], visit, 0, d);
    return rc;
}

static enum err finding_row(struct store *s, struct counters *c, const struct visit *v,
                            const struct judgement *j, const struct finding *f, struct diag *d)
{
    const struct row_value fields[] = {
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
    return visit_child(s, c, v, ROW_FINDING, fields, COUNT(fields), d);
}

static enum err finish_fields(struct store *s, struct arena *a, struct counters *c, const struct visit *v,
                              const struct visit_finish *f, struct diag *d)
{
    struct str level = f->findings ? str_of(judgement_level(f->findings)) : STR_NONE;
    char person[24], check[VISIT_CHECK_SIZE];
    snprintf(person, sizeof person, "%u", s->id.by.person);
    visit_check_write(f->xml_hash, check);
    const struct row_value fields[] = {
        {VISIT_ENDED, f->ended_ms ? iso_at(s, a, f->ended_ms) : iso_now(s, a)},
        {VISIT_PERSON, str_of(s->id.by.person ? person : "")}, /* a draft may be older than the enrolment */
        {VISIT_INSTANCE, f->instance_id},
        {VISIT_XML_HASH, {check, sizeof check}},
        {VISIT_JUDGEMENT, f->judgement},
        {VISIT_PACK, f->judged ? hex_text(a, f->pack_hash, SHA256_SIZE) : STR_NONE},
        {VISIT_DEPT, f->judged && f->dept_mark.n ? f->dept_mark : STR_NONE},
        {VISIT_LEVEL, level},
        {VISIT_AUDIT, f->log},
    };
    return set_fields(s, c, v->key, v->key, fields, COUNT(fields), d);
}

static enum err finish_findings(struct store *s, struct counters *c, const struct visit *v,
                                const struct visit_finish *f, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && f->findings && i < f->findings->count; i++)
        rc = finding_row(s, c, v, f->findings, &f->findings->findings[i], d);
    return rc;
}

static enum err finish_files(struct store *s, const struct visit *v, const struct visit_finish *f,
                             struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < f->file_count; i++) {
        rc = db_prepare(s->db, "INSERT INTO file(visit, name, bytes) VALUES(?, ?, ?)", &q, d);
        if (rc)
            break;
        bind_i64(q, 1, v->key);
        bind_text(q, 2, f->files[i].name);
        bind_blob(q, 3, f->files[i].bytes.p ? f->files[i].bytes.p : "", f->files[i].bytes.n);
        rc = stmt_run(q, d);
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
    if (!rc)
        rc = record_inherit_own(s, a, &r, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct change own = changes[i];
        own.row = row.id;
        rc = record_apply(a, &r, &own, s->id.by.device, s->id.by.inc, own.hlc, 0, &result);
        if (rc)
            rc = diag_set(d, rc, "the interview could not be finalised (no memory); the draft is safe");
    }
    if (!rc)
        rc = record_save(s, key, &r, d);
    /* An answer that a removal elsewhere had not seen brings the row back. */
    if (!rc && record_deleted(&r) != row.deleted)
        rc = run_for_visit(s,
                           record_deleted(&r) ? "UPDATE row SET deleted = 1 WHERE key = ?1"
                                              : "UPDATE row SET deleted = 0 WHERE key = ?1",
                           key, 0, d);
    return rc;
}

enum err row_born(struct store *s, struct counters *c, const struct row *row, struct row_id parent,
                  struct diag *d)
{
    return birth_change(s, c, 0, row, parent, NULL, d);
}

enum err row_merged(struct store *s, struct arena *a, int64_t key, struct diag *d)
{
    struct logged log = {0};
    enum err rc = changes_select(s, a,
                                 "SELECT " CHANGE_COLUMNS
                                 " FROM chg WHERE batch = 0 AND visit = 0 AND row = ?1 ORDER BY seq",
                                 key, 0, &log, d);
    return rc ? rc : merge_row(s, a, key, log.changes.at, log.changes.count, d);
}

/* The visit's changes, and the interview's birth where this visit is its first. */
static enum err merge_visit(struct store *s, struct arena *a, const struct visit *v, struct diag *d)
{
    struct logged log = {0};

    enum err rc = changes_select(s, a,
                                 "SELECT " CHANGE_COLUMNS
                                 " FROM chg WHERE batch = 0 AND (visit = ?1 OR (visit "
                                 "= 0 AND row = ?2)) ORDER BY row, seq",
                                 v->key, v->interview, &log, d);
    for (uint32_t i = 0, n; !rc && i < log.changes.count; i += n) {
        n = 1;
        while (i + n < log.changes.count && log.rows.at[i + n] == log.rows.at[i])
            n++;
        struct arena_mark mark = arena_mark(a);
        rc = merge_row(s, a, log.rows.at[i], log.changes.at + i, n, d);
        arena_release(a, mark);
    }
    return rc;
}

/* The clock as the centre will rank it, whenever this travels: a wild clock must not show here what nobody
 * else is shown. What passed since the centre's time is left out, because a reboot forgets it. */
static enum err bounded_clock(struct store *s, struct arena *a, int64_t hlc, int64_t *out, struct diag *d)
{
    struct str anchor;
    int64_t anchor_ms = 0;
    enum err rc = meta_get(s, "anchor_ms", a, &anchor, d);
    if (!rc)
        *out = str_to_i64(anchor, &anchor_ms) ? hlc_effective(hlc, anchor_ms, 0) : hlc;
    return rc;
}

/* Changes count in the order in which visits are finished, whatever was begun first: two copies of this
 * device then agree about all numbers up to where they went apart. */
struct numbered {
    int64_t seq;
};

static enum err number_at_the_end(struct store *s, struct arena *a, struct counters *c, const struct visit *v,
                                  struct diag *d)
{
#define OF_VISIT "batch = 0 AND (visit = ?1 OR (visit = 0 AND row = ?2))"
    static const char waiting[] =
        "SELECT seq, EXISTS(SELECT 1 FROM chg WHERE seq > (SELECT min(seq) FROM chg WHERE " OF_VISIT
        ") AND NOT "
        "(" OF_VISIT ")) FROM chg WHERE " OF_VISIT " ORDER BY seq";
#undef OF_VISIT
    struct stmt *q = NULL;
    bool more = false, between = false;
    VEC(struct numbered) list = {0};
    enum err rc = db_prepare(s->db, waiting, &q, d);
    if (!rc) {
        bind_i64(q, 1, v->key);
        bind_i64(q, 2, v->interview);
    }
    while (!rc && !(rc = stmt_step(q, &more, d)) && more && (between || col_i64(q, 1))) {
        struct numbered *slot = vec_push(a, &list);
        between = true;
        if (slot)
            slot->seq = col_i64(q, 0);
        else
            rc = diag_set(d, ERR_NOMEM, "no memory to finish the interview; the draft is safe");
    }
    stmt_done(q);
    for (uint32_t i = 0; !rc && i < list.count; i++)
        rc = run_for_visit(s, "UPDATE chg SET seq = ?2 WHERE seq = ?1", list.at[i].seq,
                           (int64_t)c->next_seq++, d);
    return rc;
}

static enum err close_visit(struct store *s, struct arena *a, struct counters *c, const struct visit *v,
                            struct diag *d)
{
    int64_t clock = 0;
    struct own_change finalise = {.visit = v->key,
                                  .row = v->key,
                                  .op = CHANGE_FINALISE,
                                  .seen = seen_in_visit(c, v->rows)};

    enum err rc = drop_overwritten(s, v->key, d);
    if (!rc)
        rc = change_append(s, c, &finalise, d);
    if (!rc)
        rc = number_at_the_end(s, a, c, v, d);
    c->hlc_last = hlc_whole_tick(c->hlc_last);
    if (!rc)
        rc = bounded_clock(s, a, c->hlc_last, &clock, d);
    if (!rc) /* one clock per record: what was typed over an hour is one statement made now */
        rc = run_for_visit(s, "UPDATE chg SET hlc = ?2 WHERE visit = ?1 AND batch = 0", v->key, clock, d);
    if (!rc) /* and the interview's birth, which waited for its first visit */
        rc = run_for_visit(s, "UPDATE chg SET hlc = ?2 WHERE visit = 0 AND row = ?1 AND batch = 0",
                           v->interview, clock, d);
    if (!rc)
        rc = merge_visit(s, a, v, d);
    if (!rc)
        rc = dispute_check(s, v->interview, d);
    if (!rc)
        rc = run_for_visit(s, "UPDATE row SET visit = 0 WHERE visit = ?1 AND visit > 0", v->key, 0, d);
    if (!rc)
        rc = run_for_visit(s, "UPDATE row SET state = 1 WHERE key = ?1", v->key, 0, d);
    if (!rc)
        rc = run_for_visit(s, "DELETE FROM bookmark WHERE visit = ?1", v->key, 0, d);
    if (!rc) /* the visit has it whole now */
        rc = run_for_visit(s, "DELETE FROM paradata WHERE visit = ?1", v->key, 0, d);
    return rc;
}

enum err store_visit_finalise(struct store *s, struct visit *v, const struct visit_finish *finish,
                              struct diag *d)
{
    struct txn t = {0};
    struct counters c;
    struct arena a;
    const struct visit before = *v;
    const struct visit_beside beside = {.comments = finish->comments, .comment_count = finish->comment_count};
    uint32_t rows_before = v->rows->keys.count;

    arena_init(&a, STORE_SCRATCH_MAX);
    enum err rc = work_begin(s, &t, &c, d);
    if (!rc)
        rc = v->key ? still_draft(s, v->key, d) : begin_visit(s, &a, &c, v, d);
    for (uint32_t i = 0; !rc && i < finish->change_count; i++)
        rc = save_one(s, &c, v, &finish->changes[i], d);
    if (!rc)
        rc = save_beside(s, &a, &c, v, &beside, d);
    if (!rc)
        rc = finish_fields(s, &a, &c, v, finish, d);
    if (!rc)
        rc = finish_findings(s, &c, v, finish, d);
    if (!rc)
        rc = entity_rows(s, &a, &c, v, finish->entities, finish->entity_count, d);
    if (!rc)
        rc = finish_files(s, v, finish, d);
    if (!rc)
        rc = close_visit(s, &a, &c, v, d);
    if (!rc)
        rc = counters_save(s, &c, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    arena_free(&a);
    if (rc) {
        *v = before;
        v->rows->keys.count = rows_before;
    }
    return rc;
}
