/* Bringing registers in: households, departments' records, assignments. Reads the whole file first and tells
 * every mistake by row and column; only a file without mistakes is imported, in one transaction. The same
 * file again changes nothing.
 *
 * A household is known by its code, a department's record by (household, source). An empty cell leaves what
 * is there: a register does not erase what a visit has found.
 */
#include "platform/base/json.h"
#include "platform/base/map.h"
#include "server/leads.h"
#include "server/parts.h"
#include "server/table_in.h"

#define CODE_BYTES_MAX 64
#define TEXT_BYTES_MAX 1000
#define ERRORS_TOLD_MAX 200
#define RECORDS_PAGE 256

struct importing {
    struct desk *k;
    bool leads; /* departments' alerts instead of their records */
    const struct import_ask *ask;
    const struct table_in *table; /* NULL = not from a table */
    struct lines_basis basis;
    bool header_wrong; /* no row was read */
    struct import_result result;
    uint32_t errors;
    int64_t now_ms;
};

static void row_error(struct importing *x, uint32_t line, uint32_t column, const char *what, struct str value)
{
    const struct table_in *t = x->table;
    const struct import_error e = {line, column,
                                   t && column && column <= t->count ? t->theirs[column - 1] : STR(""),
                                   value.p ? value : STR(""), str_of(what)};
    x->errors++;
    if (x->ask && x->ask->error)
        x->ask->error(x->ask->self, &e);
    if (x->errors <= ERRORS_TOLD_MAX)
        desk_line(x->k, "error", "line %u, column %u: %s%s%.*s", line, column, what, value.n ? ": " : "",
                  STR_ARG(str_sub(value, 0, 80)));
    else if (x->errors == ERRORS_TOLD_MAX + 1)
        desk_line(x->k, "error", "there are more; these are the first %d", ERRORS_TOLD_MAX);
}

static enum err finish(struct importing *x, enum err rc, bool dry_run, struct str what,
                       struct import_result *out, struct diag *d)
{
    bool only_good = x->ask && x->ask->only_good;
    if (!rc && x->errors && (!only_good || x->header_wrong))
        rc = diag_set(d, ERR_SYNTAX,
                      "%u mistake%s; nothing was imported. Correct the lines above and import again.",
                      x->errors, x->errors == 1 ? "" : "s");
    if (!rc && !dry_run && (x->result.added || x->result.changed)) {
        rc = cstore_audit(x->k->st, x->now_ms, STR("centre"), STR("import"), what, d);
        if (!rc)
            rc = cstore_commit(x->k->st, d);
    }
    cstore_rollback(x->k->st);
    lines_basis_free(&x->basis);
    if (!rc || x->errors)
        *out = x->result;
    return rc;
}

/* Whether a row that is without mistakes is written: an earlier row's mistakes keep it back unless they are
 * to be left out. In any case it is tried, so that a dry run tells what would be new. */
static bool goes_on(const struct importing *x, uint32_t errors_before)
{
    return x->errors == errors_before && (x->errors == 0 || (x->ask && x->ask->only_good));
}

static void count_bad(struct importing *x, uint32_t errors_before)
{
    x->result.bad += x->errors > errors_before;
    if (x->errors > errors_before)
        desk_progress(x->k, ++x->result.rows);
}

static void count_edit(struct importing *x, bool is_new, bool changed)
{
    desk_progress(x->k, ++x->result.rows);
    x->result.added += is_new;
    x->result.changed += !is_new && changed;
    x->result.same += !is_new && !changed;
}

/* ---- checks ---- */

static bool is_code(struct str s)
{
    if (s.n == 0 || s.n > CODE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] <= ' ')
            return false;
    }
    return true;
}

static bool is_area(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
              c == '.'))
            return false;
    }
    return s.n > 0 && s.n <= CODE_BYTES_MAX;
}

static bool is_date(struct str s)
{
    struct civil c;
    return civil_read_date(s, &c);
}

/* "latitude longitude [altitude [accuracy]]", as forms write it. */
static bool is_position(struct str s)
{
    struct str word;
    double v;
    int n = 0;
    while (str_word(&s, &word)) {
        if (!num_read(word, &v) || (n == 0 && (v < -90 || v > 90)) || (n == 1 && (v < -180 || v > 180)))
            return false;
        n++;
    }
    return n >= 2 && n <= 4;
}

static bool is_text(struct str s)
{
    return s.n <= TEXT_BYTES_MAX;
}

/* ---- households ---- */

/* clang-format off */
static const struct column {
    const char *name;
    uint32_t field;
    bool required;
    bool (*valid)(struct str s);
    const char *wanted;
} columns[] = {
    {"code",     HOUSEHOLD_CODE,     true,  is_code,     "a code of 1 to 64 bytes without spaces is needed"},
    {"area",     HOUSEHOLD_AREA,     true,  is_area,     "an area code of digits and letters is needed"},
    {"name",     HOUSEHOLD_NAME,     true,  is_text,     "the text is too long"},
    {"address",  HOUSEHOLD_ADDRESS,  false, is_text,     "the text is too long"},
    {"category", HOUSEHOLD_CATEGORY, false, is_text,     "the text is too long"},
    {"position", HOUSEHOLD_POSITION, false, is_position, "\"latitude longitude\" in degrees is needed"},
    {"phone",    HOUSEHOLD_PHONE,    false, is_text,     "the text is too long"},
};
/* clang-format on */
#define COLUMN_COUNT (sizeof columns / sizeof columns[0])

struct header {
    const struct column *of[CSV_FIELDS_MAX]; /* NULL = not ours */
    uint32_t count;
};

static void header_read(struct importing *x, const struct str *names, uint32_t count, struct header *h)
{
    bool seen[COLUMN_COUNT] = {false};
    struct buf others;
    buf_init(&others, 1u << 16);
    *h = (struct header){.count = count};
    for (uint32_t i = 0; i < count; i++) {
        struct str name = str_trim(names[i]);
        for (size_t c = 0; c < COLUMN_COUNT; c++) {
            if (!str_eq_nocase(name, str_of(columns[c].name)))
                continue;
            if (seen[c])
                row_error(x, 1, i + 1, "this column stands twice", name);
            seen[c] = true;
            h->of[i] = &columns[c];
        }
        if (!h->of[i] && name.n) { /* "": the mapping leaves it out */
            buf_put_z(&others, others.n ? ", " : "");
            buf_put_str(&others, str_sub(name, 0, 80));
        }
    }
    if (others.n)
        desk_line(x->k, "warning", "left out, because a household has no such column: %.*s",
                  STR_ARG(buf_str(&others)));
    buf_free(&others);
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        if (columns[c].required && !seen[c])
            row_error(x, 1, 1, "the header lacks the column", str_of(columns[c].name));
    }
}

static void household_check(struct importing *x, const struct header *h, const struct str *cells,
                            uint32_t count, uint32_t line, struct case_field *fields, struct str *code_out)
{
    for (uint32_t i = 0; i < h->count; i++) {
        const struct column *c = h->of[i];
        if (!c)
            continue;
        struct str v = i < count ? str_trim(cells[i]) : STR_NONE;
        if (v.n == 0 && c->required)
            row_error(x, line, i + 1, "this column must not be empty", str_of(c->name));
        else if (v.n > 0 && !c->valid(v))
            row_error(x, line, i + 1, c->wanted, v);
        fields[c - columns] = (struct case_field){c->field, v.n ? v : STR_NONE};
        if (c->field == HOUSEHOLD_CODE)
            *code_out = v;
    }
}

static enum err household_find(struct importing *x, struct str code, struct row_id *out, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    enum err rc = cstore_records_coded(x->k->st, x->k->a, ROW_HOUSEHOLD, code, &rows, &count, d);
    if (!rc && count == 0)
        return ERR_NOT_FOUND;
    if (!rc)
        *out = rows[0].row;
    return rc;
}

static enum err household_keep(struct importing *x, const struct case_field *fields, struct str code,
                               struct diag *d)
{
    struct cases c = {.st = x->k->st, .a = x->k->a, .basis = &x->basis};
    const struct row_birth birth = {.kind = ROW_HOUSEHOLD};
    struct case_edit edit = {.fields = fields, .field_count = COLUMN_COUNT};
    enum err rc = household_find(x, code, &edit.row, d);
    bool is_new = rc == ERR_NOT_FOUND;
    if (is_new)
        edit.birth = &birth;
    if (!rc || is_new)
        rc = cases_edit(&c, x->k->epoch, x->now_ms, &edit, d);
    if (!rc)
        count_edit(x, is_new, edit.changed);
    return rc;
}

static enum err code_once(struct importing *x, struct map *codes, struct arena *names, struct str code,
                          uint32_t line, struct diag *d)
{
    uint32_t before = 0;
    if (code.n == 0)
        return ERR_OK;
    if (map_get(codes, code, &before)) {
        row_error(x, line, 1, "this household stands twice in the file", code);
        return ERR_OK;
    }
    struct str kept = arena_str(names, code);
    enum err rc = kept.p ? map_put(codes, kept, line) : ERR_NOMEM;
    return rc ? diag_set(d, rc, "Out of memory at line %u.", line) : ERR_OK;
}

static enum err households_read(struct importing *x, struct table_in *t, struct diag *d)
{
    struct str cells[CSV_FIELDS_MAX];
    struct header header = {0};
    struct arena names;
    struct map codes;
    bool any = true, extra = false;
    enum err rc = ERR_OK;
    arena_init(&names, 256u << 20);
    map_init(&codes, &names);
    header_read(x, t->names, t->count + t->constants, &header);
    if (x->errors) /* without its columns no row can be read */
        x->header_wrong = true;
    while (!rc && !x->header_wrong) {
        struct arena_mark mark = arena_mark(x->k->a);
        struct case_field fields[COLUMN_COUNT] = {{0}};
        struct str code = STR_NONE;
        uint32_t errors = x->errors;
        rc = table_in_row(t, x->k->a, cells, &any, &extra, d);
        if (rc || !any)
            break;
        if (extra)
            row_error(x, t->line, t->count + 1, "the row has more columns than the header", STR_NONE);
        household_check(x, &header, cells, header.count, t->line, fields, &code);
        rc = code_once(x, &codes, &names, code, t->line, d);
        count_bad(x, errors);
        if (!rc && goes_on(x, errors))
            rc = household_keep(x, fields, code, d);
        arena_release(x->k->a, mark);
    }
    arena_free(&names);
    return rc;
}

/* ---- departments ---- */

struct department {
    struct str household, source, as_of, values;
    struct str deadline; /* of an alert */
    uint32_t line;
    uint32_t column[4]; /* of household, source, as_of (opened), deadline; 0 in JSON */
};

static enum err department_find(struct importing *x, struct row_id household, struct str source,
                                struct row_id *out, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    do {
        enum err rc = cstore_records(x->k->st, x->k->a, RECORDS_OF_PARENT, household, ROW_DEPARTMENT, after,
                                     RECORDS_PAGE, &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct record r;
            after = rows[i].number;
            rc = record_unpack(x->k->a, rows[i].row, rows[i].packed, &r, d);
            if (!rc && str_eq(record_value(&r, DEPARTMENT_SOURCE), source)) {
                *out = rows[i].row;
                return ERR_OK;
            }
        }
        if (rc)
            return rc;
    } while (count == RECORDS_PAGE);
    return ERR_NOT_FOUND;
}

/* The same alert again changes nothing; one of another day is another lead. */
static enum err alert_keep(struct importing *x, const struct department *p, struct row_id household,
                           struct diag *d)
{
    struct cases c = {.st = x->k->st, .a = x->k->a, .basis = &x->basis};
    const struct row_birth birth = {.kind = ROW_LEAD, .parent = household};
    const struct case_field fields[] = {{LEAD_CHANNEL, STR("department")},
                                        {LEAD_SOURCE, p->source},
                                        {LEAD_OPENED, p->as_of},
                                        {LEAD_DEADLINE, p->deadline.n ? p->deadline : STR_NONE},
                                        {LEAD_INDICATORS, p->values}};
    struct case_edit edit = {.fields = fields, .field_count = 5};
    enum err rc = lead_find(x->k, household, p->source, p->as_of, &edit.row, d);
    bool is_new = rc == ERR_NOT_FOUND;
    if (is_new)
        edit.birth = &birth;
    if (!rc || is_new)
        rc = cases_edit(&c, x->k->epoch, x->now_ms, &edit, d);
    if (!rc)
        count_edit(x, is_new, edit.changed);
    return rc;
}

static enum err department_keep(struct importing *x, const struct department *p, struct diag *d)
{
    struct row_id household = {0};
    uint32_t errors = x->errors;
    if (p->household.n == 0)
        row_error(x, p->line, p->column[0], "the household's code is missing", STR_NONE);
    if (p->source.n == 0 || !is_text(p->source))
        row_error(x, p->line, p->column[1], "the source (which department) is missing or too long", STR_NONE);
    if (!is_date(p->as_of))
        row_error(x, p->line, p->column[2],
                  x->leads ? "opened must be a date such as 2026-11-05"
                           : "as_of must be a date such as 2026-11-05",
                  p->as_of);
    if (p->deadline.n && !is_date(p->deadline))
        row_error(x, p->line, p->column[3], "deadline must be a date such as 2026-11-05", p->deadline);
    enum err rc = p->household.n ? household_find(x, p->household, &household, d) : ERR_OK;
    if (rc == ERR_NOT_FOUND) {
        row_error(x, p->line, p->column[0], "no household has this code; import the households first",
                  p->household);
        rc = ERR_OK;
    }
    count_bad(x, errors);
    if (rc || !goes_on(x, errors))
        return x->errors > errors ? ERR_OK : rc;
    if (x->leads)
        return alert_keep(x, p, household, d);
    struct cases c = {.st = x->k->st, .a = x->k->a, .basis = &x->basis};
    const struct row_birth birth = {.kind = ROW_DEPARTMENT, .parent = household};
    const struct case_field fields[] = {{DEPARTMENT_SOURCE, p->source},
                                        {DEPARTMENT_AS_OF, p->as_of},
                                        {DEPARTMENT_VALUES, p->values}};
    struct case_edit edit = {.fields = fields, .field_count = 3};
    rc = department_find(x, household, p->source, &edit.row, d);
    bool is_new = rc == ERR_NOT_FOUND;
    if (is_new)
        edit.birth = &birth;
    if (!rc || is_new)
        rc = cases_edit(&c, x->k->epoch, x->now_ms, &edit, d);
    if (!rc)
        count_edit(x, is_new, edit.changed);
    return rc;
}

/* A number as it is written, when that is how we would write it; everything else is a text ("0123" is a
 * code). */
static void json_cell(struct buf *b, struct str v)
{
    struct dec n;
    char text[24];
    if (dec_read(v, &n) && str_eq((struct str){text, dec_write(n, text)}, v))
        buf_put_str(b, v);
    else
        buf_put_json(b, v);
}

static enum err department_row(struct importing *x, const struct table_in *t, const struct str *cells,
                               const uint32_t *at, struct diag *d)
{
    struct buf values;
    uint32_t count = t->count + t->constants;
    buf_init(&values, 1u << 20);
    for (uint32_t i = 0; i < count; i++) {
        bool ours = i == at[0] || i == at[1] || i == at[2] || i == at[3];
        if (ours || !t->names[i].n || str_trim(cells[i]).n == 0)
            continue;
        buf_put_z(&values, values.n ? "," : "{");
        buf_put_json(&values, t->names[i]);
        buf_put_char(&values, ':');
        json_cell(&values, str_trim(cells[i]));
    }
    buf_put_z(&values, values.n ? "}" : "{}");
    struct department p = {.line = t->line, .values = buf_str(&values)};
    struct str *parts[] = {&p.household, &p.source, &p.as_of, &p.deadline};
    for (int w = 0; w < 4; w++) {
        *parts[w] = at[w] < count ? str_trim(cells[at[w]]) : STR_NONE;
        p.column[w] = at[w] + 1;
    }
    enum err rc = values.failed ? diag_set(d, values.failed, "Line %u is too long.", t->line)
                                : department_keep(x, &p, d);
    buf_free(&values);
    return rc;
}

static enum err departments_read(struct importing *x, struct table_in *t, struct diag *d)
{
    struct str cells[CSV_FIELDS_MAX];
    uint32_t at[4] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    bool any = true, extra = false;
    const char *const wanted[] = {"household", "source", x->leads ? "opened" : "as_of",
                                  x->leads ? "deadline" : NULL};
    for (uint32_t i = 0; i < t->count + t->constants; i++) {
        for (int w = 0; w < 4; w++) {
            if (wanted[w] && str_eq_z(t->names[i], wanted[w]))
                at[w] = i;
        }
    }
    for (int w = 0; w < 3; w++) {
        if (at[w] != UINT32_MAX)
            continue;
        row_error(x, 1, 1, "the header lacks the column", str_of(wanted[w]));
        x->header_wrong = true;
    }
    enum err rc = ERR_OK;
    while (!rc && !x->header_wrong) {
        struct arena_mark mark = arena_mark(x->k->a);
        rc = table_in_row(t, x->k->a, cells, &any, &extra, d);
        if (rc || !any)
            break;
        if (extra)
            row_error(x, t->line, t->count + 1, "the row has more columns than the header", STR_NONE);
        rc = department_row(x, t, cells, at, d);
        arena_release(x->k->a, mark);
    }
    return rc;
}

enum err import_table(struct desk *k, enum import_what what, const struct import_ask *ask,
                      struct import_result *out, struct diag *d)
{
    static const char *const names[] = {"households", "departments", "leads"};
    struct importing x = {.k = k,
                          .leads = what == IMPORT_LEADS,
                          .ask = ask,
                          .now_ms = k->seam->wall_ms(k->seam->self)};
    struct arena a;
    arena_init(&a, 64u << 20);
    struct table_in *t = ARENA_NEW(&a, struct table_in);
    enum err rc = t ? table_in_open(t, &ask->from, ask->mapping, &a, d) : ERR_NOMEM;
    x.table = t;
    if (!rc)
        rc = cstore_begin(k->st, d);
    if (!rc)
        rc = what == IMPORT_HOUSEHOLDS ? households_read(&x, t, d) : departments_read(&x, t, d);
    rc = finish(&x, rc, ask->dry_run, str_of(names[what]), out, d);
    if (t)
        table_in_close(t);
    arena_free(&a);
    return rc;
}

enum err import_households(struct desk *k, struct str text, bool dry_run, struct import_result *out,
                           struct diag *d)
{
    const struct import_ask ask = {.from = {.text = text}, .mapping = STR(""), .dry_run = dry_run};
    return import_table(k, IMPORT_HOUSEHOLDS, &ask, out, d);
}

static bool values_write(const struct json *values, bool people, struct buf *out);

/* One object for each person that a department knows of. */
static bool people_write(const struct json *list, struct buf *out)
{
    buf_put_char(out, '[');
    for (const struct json *o = list->child; o; o = o->next) {
        if (o != list->child)
            buf_put_char(out, ',');
        if (!values_write(o, false, out))
            return false;
    }
    buf_put_char(out, ']');
    return true;
}

/* Scalars, names in the order of the file; of `people` also lists of such objects. */
static bool values_write(const struct json *values, bool people, struct buf *out)
{
    if (!values || values->type != JSON_OBJECT)
        return false;
    buf_put_char(out, '{');
    for (const struct json *v = values->child; v; v = v->next) {
        if (v->type == JSON_OBJECT || (v->type == JSON_ARRAY && !people))
            return false;
        if (v != values->child)
            buf_put_char(out, ',');
        buf_put_json(out, v->name);
        buf_put_char(out, ':');
        if (v->type == JSON_ARRAY) {
            if (!people_write(v, out))
                return false;
        } else if (v->type == JSON_STRING)
            buf_put_json(out, v->text);
        else if (v->type == JSON_NUMBER)
            buf_put_str(out, v->text);
        else
            buf_put_z(out, v->type == JSON_NULL ? "null" : v->boolean ? "true" : "false");
    }
    buf_put_char(out, '}');
    return !out->failed;
}

static enum err departments_json(struct importing *x, struct str text, struct diag *d)
{
    const struct json *root = NULL;
    enum err rc = json_read(x->k->a, text, &root, d);
    if (rc)
        return rc;
    const struct json *records = root->type == JSON_ARRAY ? root : json_get(root, "records");
    if (!records || records->type != JSON_ARRAY)
        return diag_set(d, ERR_SYNTAX,
                        "The file must be {\"records\": [ {household, source, as_of, values}, ... ]}.");
    for (const struct json *r = records->child; !rc && r; r = r->next) {
        struct arena_mark mark = arena_mark(x->k->a);
        struct buf values;
        buf_init(&values, 1u << 20);
        struct department p = {.line = r->line,
                               .household = json_text(r, "household"),
                               .source = json_text(r, "source"),
                               .as_of = json_text(r, x->leads ? "opened" : "as_of"),
                               .deadline = x->leads ? json_text(r, "deadline") : STR("")};
        if (!values_write(json_get(r, x->leads ? "indicators" : "values"), !x->leads, &values))
            row_error(x, r->line, 0,
                      "values must be an object of texts, numbers and yes/no values, or of lists of people",
                      STR_NONE);
        p.values = buf_str(&values);
        rc = department_keep(x, &p, d);
        buf_free(&values);
        arena_release(x->k->a, mark);
    }
    return rc;
}

static enum err import_records(struct desk *k, struct str text, bool leads, bool dry_run,
                               struct import_result *out, struct diag *d)
{
    struct importing x = {.k = k, .leads = leads, .now_ms = k->seam->wall_ms(k->seam->self)};
    struct str start = str_trim(text);
    if (str_starts(start, STR("\xEF\xBB\xBF")))
        start = str_trim(str_sub(start, 3, start.n));
    bool is_json = start.n > 0 && (start.p[0] == '{' || start.p[0] == '[');
    const struct import_ask ask = {.from = {.text = text}, .mapping = STR(""), .dry_run = dry_run};
    if (!is_json)
        return import_table(k, leads ? IMPORT_LEADS : IMPORT_DEPARTMENTS, &ask, out, d);
    enum err rc = cstore_begin(k->st, d);
    if (!rc)
        rc = departments_json(&x, text, d);
    return finish(&x, rc, dry_run, leads ? STR("leads") : STR("departments"), out, d);
}

enum err import_departments(struct desk *k, struct str text, bool dry_run, struct import_result *out,
                            struct diag *d)
{
    return import_records(k, text, false, dry_run, out, d);
}

enum err import_leads(struct desk *k, struct str text, bool dry_run, struct import_result *out,
                      struct diag *d)
{
    return import_records(k, text, true, dry_run, out, d);
}

/* ---- assignments ---- */

enum err assign_row(struct desk *k, struct row_id household, uint32_t person, struct str due, int64_t now,
                    struct lines_basis *basis, bool *changed_out, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    struct buf number;
    if (due.n && !is_date(due))
        return diag_set(d, ERR_USAGE, "--due must be a date such as 2026-12-31.");
    buf_init(&number, 24);
    buf_put_u64(&number, person);
    enum err rc = cstore_records(k->st, k->a, RECORDS_OF_PARENT, household, ROW_ASSIGNMENT, 0, 1, &rows,
                                 &count, d);
    struct cases c = {.st = k->st, .a = k->a, .basis = basis};
    const struct row_birth birth = {.kind = ROW_ASSIGNMENT, .parent = household};
    const struct case_field fields[] = {{ASSIGNMENT_PERSON, buf_str(&number)},
                                        {ASSIGNMENT_DUE, due.n ? due : STR_NONE}};
    struct case_edit edit = {.fields = fields, .field_count = 2, .birth = &birth};
    if (!rc && count) {
        edit.birth = NULL;
        edit.row = rows[0].row;
    }
    if (!rc)
        rc = cases_edit(&c, k->epoch, now, &edit, d);
    if (!rc)
        *changed_out = edit.changed;
    buf_free(&number);
    return rc;
}

enum err assign_household(struct desk *k, struct str code, uint32_t person, struct str due, bool *changed_out,
                          struct diag *d)
{
    struct importing x = {.k = k, .now_ms = k->seam->wall_ms(k->seam->self)};
    struct row_id household = {0};
    struct person who;
    bool changed = false;
    enum err rc = cstore_begin(k->st, d);
    if (!rc)
        rc = household_find(&x, code, &household, d);
    if (rc == ERR_NOT_FOUND)
        (void)diag_set(d, rc, "No household has the code %.*s.", STR_ARG(code));
    if (!rc)
        rc = cstore_person(k->st, k->a, person, &who, d);
    if (!rc)
        rc = assign_row(k, household, person, due, x.now_ms, NULL, &changed, d);
    if (!rc)
        rc = cstore_audit(k->st, x.now_ms, STR("centre"), STR("assigned"), code, d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    if (!rc)
        *changed_out = changed;
    return rc;
}
