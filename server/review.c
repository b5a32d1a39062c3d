/* What a clerk looks at: answers in dispute, and frames that were set apart.
 *
 * Always true: a decision is a change like any other, made by a named person who has seen all there was; it
 * reaches every handheld that knows the household, and leaves an audit row with what it was decided over. A
 * released frame is applied as if it had been taken when it came; what came from a copy of a handheld becomes
 * the work of an incarnation of its own, so that nothing of the two mixes.
 */
#include "server/parts.h"

#define REVIEW_PAGE 100

/* ---- names of things ---- */

static const char *const household_fields[] = {
    [HOUSEHOLD_CODE] = "code",       [HOUSEHOLD_AREA] = "area",         [HOUSEHOLD_NAME] = "name",
    [HOUSEHOLD_ADDRESS] = "address", [HOUSEHOLD_CATEGORY] = "category", [HOUSEHOLD_POSITION] = "position",
    [HOUSEHOLD_PHONE] = "phone"};
static const char *const kinds[] = {[ROW_HOUSEHOLD] = "household",   [ROW_INTERVIEW] = "interview",
                                    [ROW_REPEAT] = "repeat",         [ROW_VISIT] = "visit",
                                    [ROW_FINDING] = "finding",       [ROW_ASSIGNMENT] = "assignment",
                                    [ROW_DEPARTMENT] = "department", [ROW_PUBLISHED] = "published",
                                    [ROW_COMMENT] = "comment",       [ROW_LEAD] = "lead"};

static const char *kind_name(int kind)
{
    return kind > 0 && (size_t)kind < sizeof kinds / sizeof kinds[0] && kinds[kind] ? kinds[kind] : "row";
}

struct review {
    struct desk *k;
    struct form_row *forms;
    uint32_t form_count;
};

static enum err review_begin(struct review *v, struct diag *d)
{
    return cstore_forms(v->k->st, v->k->a, STR(""), &v->forms, &v->form_count, d);
}

/* The form whose answers an interview's rows hold. */
static struct str form_of(const struct review *v, struct row_id interview)
{
    struct record_row row;
    struct record r;
    struct row_birth birth;
    unsigned char hash[SHA256_SIZE];
    if (row_id_none(interview) || cstore_record(v->k->st, v->k->a, interview, &row, NULL) ||
        record_unpack(v->k->a, row.row, row.packed, &r, NULL) || !record_birth(&r, &birth))
        return STR("");
    for (uint32_t i = 0; i < v->form_count; i++) {
        if (!sha256(v->forms[i].id, hash) && memcmp(hash, birth.object, sizeof birth.object) == 0)
            return v->forms[i].id;
    }
    return STR("");
}

static struct str field_name(const struct review *v, const struct record_row *row, struct str form,
                             uint32_t field)
{
    struct str path = STR("");
    struct buf number;
    if (field == 0)
        return STR("(removed or not)");
    if (row->kind == ROW_HOUSEHOLD && field < sizeof household_fields / sizeof household_fields[0])
        return str_of(household_fields[field]);
    if (form.n && cstore_field_path(v->k->st, v->k->a, form, field, &path, NULL) == ERR_OK)
        return path;
    buf_init(&number, 24);
    buf_put_u64(&number, field);
    path = arena_str(v->k->a, buf_str(&number));
    buf_free(&number);
    return path;
}

static struct str code_of_household(const struct review *v, const struct record_row *row)
{
    struct record_row household;
    if (row_id_none(row->household) || cstore_record(v->k->st, v->k->a, row->household, &household, NULL))
        return STR("");
    return household.code.p ? household.code : STR("");
}

static struct str person_name(const struct review *v, uint32_t number)
{
    struct person p;
    return number && cstore_person(v->k->st, v->k->a, number, &p, NULL) == ERR_OK ? p.name : STR("");
}

/* ---- the list ---- */

static const char *said(const struct version *v)
{
    return v->op == CHANGE_CLEAR ? "cleared" : v->op == CHANGE_ROW_DELETE ? "removed" : NULL;
}

static void version_json(const struct review *v, struct buf *out, const struct version *x, bool disputes)
{
    char at[40];
    struct civil when = civil_at(x->hlc >> 16, zone_utc());
    buf_put_z(out, "{\"value\":");
    if (said(x))
        buf_put_z(out, "null");
    else
        buf_put_json(out, x->value);
    if (said(x))
        buf_printf(out, ",\"said\":\"%s\"", said(x));
    buf_printf(out, ",\"status\":%u,\"disputes\":%s,\"person\":%u,\"name\":", x->status,
               disputes ? "true" : "false", x->person);
    buf_put_json(out, person_name(v, x->person));
    buf_put_z(out, ",\"role\":");
    buf_put_json(out, str_of(role_name(x->role)));
    buf_printf(out, ",\"device\":\"%016llx\",\"incarnation\":%u,\"at\":", (unsigned long long)x->device,
               x->inc);
    buf_put_json(out, (struct str){at, civil_write(&when, at)});
    buf_put_char(out, '}');
}

static void version_line(const struct review *v, struct buf *out, uint32_t n, const struct version *x)
{
    char at[40];
    struct civil when = civil_at(x->hlc >> 16, zone_utc());
    (void)civil_write(&when, at);
    buf_printf(out, "  %u  ", n);
    if (said(x))
        buf_put_z(out, said(x));
    else
        buf_put_json(out, x->value);
    if (x->status > 1)
        buf_printf(out, " (status %u)", x->status);
    buf_printf(out, "  %.16s  person %u ", at, x->person);
    buf_put_json(out, person_name(v, x->person));
    buf_printf(out, " %s%s\n", role_name(x->role), n == 1 ? "  <- shown" : "");
}

struct listed_cell {
    const struct record_row *row;
    const struct record *record;
    uint32_t field;
    struct str household, form, path;
};

static void cell_json(const struct review *v, struct buf *out, const struct listed_cell *x, bool first)
{
    const struct record_cell *cell = record_cell(x->record, x->field);
    buf_printf(out, "%s{\"id\":\"%llu.%u\",\"household\":", first ? "" : ",",
               (unsigned long long)x->row->number, x->field);
    buf_put_json(out, x->household);
    buf_printf(out, ",\"kind\":\"%s\",\"form\":", kind_name(x->row->kind));
    buf_put_json(out, x->form);
    buf_put_z(out, ",\"field\":");
    buf_put_json(out, x->path);
    buf_printf(out, ",\"policy\":\"%s\",\"versions\":[", field_policy_name(field_policy(x->field)));
    for (uint32_t i = 0; cell && i < cell->count; i++) {
        buf_put_z(out, i ? "," : "");
        version_json(v, out, &cell->versions[i], record_disputes(x->record, cell, i));
    }
    buf_put_z(out, "]}");
}

static void cell_lines(const struct review *v, struct buf *out, const struct listed_cell *x)
{
    const struct record_cell *cell = record_cell(x->record, x->field);
    buf_printf(out, "%llu.%u  %.*s  %s %.*s %.*s  (%s)\n", (unsigned long long)x->row->number, x->field,
               STR_ARG(x->household), kind_name(x->row->kind), STR_ARG(x->form), STR_ARG(x->path),
               field_policy_name(field_policy(x->field)));
    for (uint32_t i = 0; cell && i < cell->count; i++)
        version_line(v, out, i + 1, &cell->versions[i]);
}

static void record_tell(const struct review *v, const struct record_row *row, const struct record *r,
                        bool json, struct buf *out, bool *first)
{
    struct listed_cell x = {.row = row,
                            .record = r,
                            .household = code_of_household(v, row),
                            .form = form_of(v, row->interview)};
    bool row_told = false;
    for (uint32_t i = 0; i <= r->count; i++) {
        x.field = i < r->count ? r->cells[i].field : 0;
        if ((i == r->count && row_told) || !record_conflict(r, x.field))
            continue;
        row_told = row_told || x.field == 0;
        x.path = field_name(v, row, x.form, x.field);
        if (json)
            cell_json(v, out, &x, *first);
        else
            cell_lines(v, out, &x);
        *first = false;
    }
}

enum err review_conflicts(struct desk *k, struct str household, bool json, struct buf *out, struct diag *d)
{
    struct review v = {.k = k};
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    bool first = true;
    enum err rc = review_begin(&v, d);
    buf_put_z(out, json ? "[" : "");
    do {
        struct arena_mark mark = arena_mark(k->a);
        if (!rc)
            rc = cstore_records(k->st, k->a, RECORDS_IN_CONFLICT, (struct row_id){0}, 0, after, REVIEW_PAGE,
                                &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct record r;
            after = rows[i].number;
            rc = record_unpack(k->a, rows[i].row, rows[i].packed, &r, d);
            if (!rc && (!household.n || str_eq(household, code_of_household(&v, &rows[i]))))
                record_tell(&v, &rows[i], &r, json, out, &first);
        }
        arena_release(k->a, mark);
    } while (!rc && count == REVIEW_PAGE);
    buf_put_z(out, json ? "]\n" : first ? "No answer is in dispute.\n" : "");
    return rc ? rc : out->failed;
}

/* ---- deciding ---- */

static enum err conflict_find(struct desk *k, uint64_t number, uint32_t field, struct row_id *row_out,
                              struct record *r, struct diag *d)
{
    struct record_row row;
    enum err rc = cstore_record_of_number(k->st, number, row_out, d);
    if (!rc)
        rc = cstore_record(k->st, k->a, *row_out, &row, d);
    if (rc == ERR_NOT_FOUND)
        return diag_set(d, rc,
                        "There is no row %llu. List what is in dispute: doorstepd review conflicts DIR",
                        (unsigned long long)number);
    if (!rc)
        rc = record_unpack(k->a, row.row, row.packed, r, d);
    const struct record_cell *cell = rc ? NULL : record_cell(r, field);
    if (!rc && !cell && !record_conflict(r, field))
        rc = diag_set(d, ERR_NOT_FOUND, "Row %llu has no field %u.", (unsigned long long)number, field);
    return rc;
}

static enum err decide(struct desk *k, const struct review_decision *c, struct case_edit *edit,
                       struct diag *d)
{
    struct record r;
    struct case_field field = {.field = c->field, .value = c->value};
    struct cases cases = {.st = k->st, .a = k->a};
    enum err rc = conflict_find(k, c->number, c->field, &edit->row, &r, d);
    if (rc)
        return rc;
    const struct record_cell *cell = record_cell(&r, c->field);
    if (c->keep && (!cell || c->keep > cell->count))
        return diag_set(d, ERR_USAGE, "There is no value %u for this answer.", c->keep);
    if (c->keep) {
        const struct version *v = &cell->versions[c->keep - 1];
        edit->status = v->status;
        edit->remove = v->op == CHANGE_ROW_DELETE;
        field.value = v->op == CHANGE_SET || v->op == CHANGE_RESOLVE ? v->value : STR("");
        edit->clear = v->op == CHANGE_CLEAR;
    }
    if (!field.value.p)
        field.value = STR("");
    edit->fields = &field;
    edit->field_count = 1;
    edit->resolve = true;
    rc = cases_edit(&cases, cstore_counters(k->st)->epoch, k->seam->wall_ms(k->seam->self), edit, d);
    edit->fields = NULL;
    return rc;
}

enum err review_resolve(struct desk *k, const struct review_decision *c, struct diag *d)
{
    struct person by = {.person = c->person};
    struct case_edit edit = {.role = c->person ? c->role : ROLE_SUPERVISOR};
    int64_t now = k->seam->wall_ms(k->seam->self);
    enum err rc = cstore_begin(k->st, d);
    if (!rc && !c->person)
        rc = people_take(k->st, c->by, ROLE_SUPERVISOR, STR(""), now, &by, d);
    if (!rc) {
        edit.person = by.person;
        rc = decide(k, c, &edit, d);
    }
    if (!rc)
        rc = cstore_audit(k->st, now, c->by, STR("resolved"), c->id, d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    return rc;
}

/* ---- frames that were set apart ---- */

enum err review_apart(struct desk *k, bool json, struct buf *out, struct diag *d)
{
    struct quarantined *list = NULL;
    uint32_t count = 0;
    enum err rc = cstore_quarantine(k->st, k->a, &list, &count, d);
    buf_put_z(out, json ? "[" : "");
    for (uint32_t i = 0; !rc && i < count; i++) {
        const struct batch_row *b = &list[i].batch;
        char at[40];
        struct civil when = civil_at(b->received_ms, zone_utc());
        (void)civil_write(&when, at);
        buf_printf(
            out,
            json
                ? "%s{\"id\":\"%016llx.%u.%llu.%u\",\"bytes\":%llu,\"at\":\"%s\",\"cause\":\"%s\",\"reason\":"
                : "%s%016llx.%u.%llu.%u  %llu bytes  %.16s  %s  ",
            json && i ? "," : "", (unsigned long long)b->device, b->inc, (unsigned long long)b->batch_seq,
            b->copy, (unsigned long long)list[i].bytes, at, err_action(b->cause)->name);
        buf_put_json(out, b->reason);
        buf_put_z(out, json ? "}" : "\n");
    }
    buf_put_z(out, json ? "]\n" : count ? "" : "Nothing is set apart.\n");
    return rc ? rc : out->failed;
}

struct releasing {
    struct server *s;
    struct cstore *st;
    struct arena *a;
    struct batch_row batch;
    struct device_row device;
    struct person person;
    struct ingest in;
    struct row_names names;
    struct batch_rows rows;
};

static enum err release_read(struct releasing *x, struct diag *d)
{
    struct dicts shelf = {x->st, x->a};
    const struct frame_dicts dicts = dicts_of(&shelf);
    struct ingest_author author = {.known = true, .dicts = &dicts};
    memcpy(author.sign_public, x->device.sign_public, sizeof author.sign_public);
    if (x->batch.payload.n)
        ingest_again(x->a, x->batch.frame, x->batch.payload, &author, &x->rows, &x->in, d);
    else
        ingest_frame(x->a, x->batch.frame, &author, &x->s->centre.seal, &x->rows, &x->in, d);
    if (x->in.verdict != INGEST_ACCEPT)
        return diag_set(d, x->in.cause, "The frame cannot be read yet.");
    struct device_row by;
    enum err rc = inherited_check(x->st, x->a, &x->device, &x->in, &by, d);
    return rc ? rc : changes_allowed(x->st, x->a, &by, &x->person, true, &x->in, d);
}

/* Frames of a copy have numbers and row ids that the other copy has used too. Its work becomes that of an
 * incarnation of its own: one for all frames of the incarnation that was copied. */
static enum err author_apart(struct releasing *x, uint32_t *inc_out, struct diag *d)
{
    struct device_row *list = NULL, made = x->device;
    uint32_t count = 0, newest = 0;
    enum err rc = cstore_devices(x->st, x->a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (list[i].device != x->device.device)
            continue;
        newest = list[i].inc > newest ? list[i].inc : newest;
        if (list[i].revoked_why == REVOKED_RELEASE && list[i].contiguous == x->device.inc) {
            *inc_out = list[i].inc;
            return ERR_OK;
        }
    }
    made.inc = newest + 1;
    made.revoked_ms = srv_now_ms(x->s);
    made.revoked_why = REVOKED_RELEASE;
    made.contiguous = x->device.inc; /* whose copy it is: it has no frames of its own */
    *inc_out = made.inc;
    return rc ? rc : cstore_device_put(x->st, &made, d);
}

struct renaming {
    struct releasing *x;
    uint32_t inc;
    VEC(struct row_id) born;
};

static enum err row_rename(struct renaming *n, struct row_id *row, struct diag *d)
{
    struct record_row known;
    struct row_id new = {row->device, n->inc, row->counter};
    if (row->device != n->x->device.device || row->inc != n->x->device.inc)
        return ERR_OK;
    bool born = false;
    for (uint32_t i = 0; i < n->born.count && !born; i++)
        born = row_id_same(n->born.at[i], *row);
    enum err rc = born ? ERR_OK : cstore_record(n->x->st, n->x->a, new, &known, d);
    if (rc == ERR_NOT_FOUND)
        return ERR_OK; /* it was there before the two went apart */
    if (!rc)
        *row = new;
    return rc;
}

static enum err birth_rename(struct renaming *n, struct change *c, struct diag *d)
{
    struct row_birth birth;
    struct buf b;
    if (!row_birth_read(c->value, &birth))
        return ERR_OK;
    enum err rc = row_rename(n, &birth.parent, d);
    buf_init(&b, 256);
    if (!rc)
        rc = row_birth_write(&b, &birth);
    if (!rc) {
        c->value = arena_str(n->x->a, buf_str(&b));
        rc = c->value.p ? ERR_OK : ERR_NOMEM;
    }
    buf_free(&b);
    return rc;
}

enum err changes_rename(struct cstore *st, struct arena *a, const struct device_row *device, uint32_t as_inc,
                        struct ingest *in, struct diag *d)
{
    struct releasing x = {.st = st, .a = a, .device = *device};
    struct renaming n = {.x = &x, .inc = as_inc};
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < in->change_count; i++) {
        struct row_id *slot = in->changes[i].op == CHANGE_ROW_CREATE ? vec_push(a, &n.born) : NULL;
        if (slot)
            *slot = in->changes[i].row;
        else if (in->changes[i].op == CHANGE_ROW_CREATE)
            rc = ERR_NOMEM;
    }
    for (uint32_t i = 0; !rc && i < in->change_count; i++) {
        if (in->changes[i].op == CHANGE_ROW_CREATE)
            rc = birth_rename(&n, &in->changes[i], d);
        if (!rc)
            rc = row_rename(&n, &in->changes[i].row, d);
    }
    return rc;
}

static enum err release_apply(struct releasing *x, struct diag *d)
{
    bool conflict = false;
    uint32_t as_inc = 0;
    enum err rc = x->batch.cause == ERR_EXISTS && !x->in.head.as_inc ? author_apart(x, &as_inc, d) : ERR_OK;
    if (!rc && as_inc)
        rc = changes_rename(x->st, x->a, &x->device, as_inc, &x->in, d);
    if (!rc)
        rc = seen_cap(x->st, x->in.head.epoch, EPOCH_TODAY, x->in.changes, x->in.change_count, d);
    as_inc = as_inc ? as_inc : x->in.head.as_inc;
    const struct frame_apply w = {.st = x->st,
                                  .a = x->a,
                                  .forms = &x->s->forms,
                                  .seam = x->s->seam,
                                  .in = &x->in,
                                  .author = {x->device.device, as_inc ? as_inc : x->device.inc},
                                  .seq = ++cstore_counters(x->st)->server_seq,
                                  .rows = &x->rows,
                                  .now_ms = srv_now_ms(x->s)};
    if (!rc)
        rc = frame_apply(&w, &conflict, d);
    x->batch.as_inc = as_inc;
    x->batch.server_seq = w.seq;
    x->batch.came_epoch = cstore_counters(x->st)->epoch;
    x->batch.change_count = x->in.change_count;
    x->batch.status = conflict ? RECEIPT_CONFLICTS : RECEIPT_STORED;
    x->batch.cause = ERR_OK;
    x->batch.reason = STR("");
    if (!rc)
        rc = srv_receipt_again(x->s, x->st, x->a, &x->device, &x->batch, d);
    return rc ? rc : cstore_batch_settle(x->st, &x->batch, d);
}

static enum err release_begin(struct releasing *x, const struct apart_name *name, bool force, struct diag *d)
{
    enum err rc = cstore_batch_whole(x->st, x->a, name->device, name->inc, name->batch_seq, name->copy,
                                     &x->batch, d);
    if (rc == ERR_NOT_FOUND)
        return diag_set(d, rc, "There is no such frame. List them: doorstepd review list DIR");
    if (!rc && x->batch.status != RECEIPT_QUARANTINED)
        return diag_set(d, ERR_STATE, "This frame is not set apart: it is stored.");
    if (!rc && x->batch.cause == ERR_STATE && !force)
        return diag_set(d, ERR_STATE, "This frame need not be released: %.*s", STR_ARG(x->batch.reason));
    if (!rc)
        rc = cstore_device(x->st, x->a, name->device, name->inc, &x->device, d);
    return rc ? rc : cstore_person(x->st, x->a, x->device.person, &x->person, d);
}

enum err review_release(struct server *s, struct cstore *st, struct arena *a, const struct apart_name *name,
                        struct str by, bool force, struct diag *d)
{
    struct releasing x = {.s = s, .st = st, .a = a, .names = {.st = st}};
    x.rows = row_names_of(&x.names);
    pthread_mutex_lock(&s->write_turn);
    enum err rc = cstore_begin(st, d);
    if (!rc)
        rc = release_begin(&x, name, force, d);
    struct str reason = x.batch.reason;
    if (!rc)
        rc = release_read(&x, d);
    if (!rc)
        rc = release_apply(&x, d);
    if (!rc)
        rc = cstore_audit(st, srv_now_ms(s), by, STR("released"), reason, d);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    pthread_mutex_unlock(&s->write_turn);
    return rc;
}
