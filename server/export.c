/* Exports: a form's finalised visits as CSV in the column conventions of ODK Central, or as the exact XML
 * bytes of each.
 *
 * CSV: one file for the form and one for each repeat. Columns are the form's answers in document order, group
 * names joined by '-' ("visit-gps"), a position split into -Latitude -Longitude -Altitude -Accuracy;
 * SubmissionDate first; then KEY and what Central writes after it. Rows of a repeat end with PARENT_KEY, KEY.
 * Where any answer was "don't know", "refused" or "partial", a column NAME-status stands behind it. All
 * versions of a form go into one file: the newest version's columns, then those that only older ones have.
 *
 * Always true: visits are read a few at a time, newest first; nothing is held whole. What could not be
 * rebuilt has no XML and is told as a warning, never left out silently.
 */
#include "server/parts.h"
#include "server/transport.h"

#define SUBMISSIONS_PAGE 8
#define VERSIONS_MAX 64
#define ROW_TEXT_MAX (8u << 20)
#define NAME_TEXT_MAX 240
#define LEFT_OUT_TOLD_MAX 50

/* One column of one file: a field by path and type, so that it is the same in every version that has it. */
struct field_column {
    struct str path;
    enum field_type type;
    bool status; /* some answer of it has one */
};
struct file {
    struct str path; /* of the repeat; the form's root element for file 0 */
    struct str name;
    uint32_t parent;
    VEC(struct field_column) columns;
};
struct version_form {
    struct form_row about;
    const struct form *form;
    uint32_t *file_of_repeat; /* by repeat number */
    uint32_t *file_of_field;  /* by field number; UINT32_MAX = none */
    uint32_t *column_of_field;
};
struct exporting {
    struct desk *k;
    const struct export_sink *sink;
    struct str form_id;
    bool open;                      /* for the public */
    VEC(const struct pack *) packs; /* then: in force here */
    struct version_form versions[VERSIONS_MAX];
    uint32_t version_count;
    VEC(struct file) files;
    struct export_result result;
};

/* ---- the columns ---- */

static struct str last_step(struct str path)
{
    size_t from = path.n;
    while (from > 0 && path.p[from - 1] != '/')
        from--;
    return str_sub(path, from, path.n);
}

static struct str root_of(struct str path)
{
    ptrdiff_t slash = path.n > 1 ? str_find(str_sub(path, 1, path.n), STR("/")) : -1;
    return slash < 0 ? path : str_sub(path, 0, (size_t)slash + 1);
}

/* "/survey/visit/gps" in the file of "/survey" -> "visit-gps". */
static void column_name(struct buf *b, struct str file_path, struct str path)
{
    struct str rest = str_sub(path, file_path.n + 1, path.n);
    for (size_t i = 0; i < rest.n; i++)
        buf_put_char(b, rest.p[i] == '/' ? '-' : rest.p[i]);
}

static void name_clean(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n && b->n < NAME_TEXT_MAX; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                     c == '-' || (c == '.' && b->n > 0) || c >= 0x80;
        buf_put_char(b, plain ? s.p[i] : '_');
    }
}

/* FORM.csv, FORM-member.csv; a second repeat of the same name is FORM-member~2.csv. */
static enum err file_name(struct exporting *x, struct file *f)
{
    struct buf b;
    uint32_t same = 1;
    buf_init(&b, 2 * NAME_TEXT_MAX);
    name_clean(&b, x->form_id);
    if (x->files.count > 1) {
        struct str own = last_step(f->path);
        buf_put_char(&b, '-');
        name_clean(&b, own);
        for (uint32_t i = 1; i + 1 < x->files.count; i++)
            same += str_eq(last_step(x->files.at[i].path), own);
        if (same > 1)
            buf_printf(&b, "~%u", same);
    }
    buf_put_z(&b, ".csv");
    f->name = arena_str(x->k->a, buf_str(&b));
    buf_free(&b);
    return f->name.p ? ERR_OK : ERR_NOMEM;
}

static enum err file_for(struct exporting *x, struct str path, uint32_t parent, uint32_t *at_out,
                         struct diag *d)
{
    for (uint32_t i = 0; i < x->files.count; i++) {
        if (str_eq(x->files.at[i].path, path)) {
            *at_out = i;
            return ERR_OK;
        }
    }
    if (x->files.count == EXPORT_FILES_MAX - 1) /* the last one is for attachments */
        return diag_set(d, ERR_LIMIT, "The form has more than %d repeats; it cannot be exported as CSV.",
                        EXPORT_FILES_MAX - 1);
    struct file *f = vec_push(x->k->a, &x->files);
    if (!f)
        return ERR_NOMEM;
    *f = (struct file){.path = path, .parent = parent};
    *at_out = x->files.count - 1;
    return file_name(x, f);
}

static enum err column_for(struct exporting *x, uint32_t file, const struct form_field *field,
                           uint32_t *at_out)
{
    struct file *f = &x->files.at[file];
    for (uint32_t i = 0; i < f->columns.count; i++) {
        if (f->columns.at[i].type == field->type && str_eq(f->columns.at[i].path, field->path)) {
            *at_out = i;
            return ERR_OK;
        }
    }
    struct field_column *c = vec_push(x->k->a, &f->columns);
    if (!c)
        return ERR_NOMEM;
    *c = (struct field_column){.path = field->path, .type = field->type};
    *at_out = f->columns.count - 1;
    return ERR_OK;
}

/* ---- for the public ---- */

/* Only what is one of few words, a number or a day: a text, a photo or a position may hold anything. */
static bool type_is_open(enum field_type t)
{
    static const enum field_type open[] = {FIELD_INT,        FIELD_DECIMAL,     FIELD_BOOLEAN, FIELD_DATE,
                                           FIELD_SELECT_ONE, FIELD_SELECT_MANY, FIELD_RANK};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        if (open[i] == t)
            return true;
    return false;
}

static bool marked(const struct form *f, uint32_t number)
{
    struct str v = form_field_extra(f, number, FORM_NS_DOORSTEP, "public");
    return str_eq_z(v, "true()") || str_eq_z(v, "true");
}

/* The rule packs in force for this form, whatever the form says of its questions. */
static enum err packs_load(struct exporting *x, struct diag *d)
{
    struct published *list = NULL;
    uint32_t count = 0;
    enum err rc = published_all(x->k->st, x->k->a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct str bytes;
        const struct pack *pack = NULL;
        struct form_findings none = {0};
        struct diag quiet = {0};
        if (!str_eq_z(list[i].kind, "pack") ||
            cstore_object(x->k->st, x->k->a, list[i].hash, NULL, &bytes, NULL) ||
            pack_load_alone(x->k->a, bytes, &pack, &none, &quiet))
            continue;
        const struct pack **slot = vec_push(x->k->a, &x->packs);
        rc = slot ? ERR_OK : ERR_NOMEM;
        if (slot)
            *slot = pack;
    }
    return rc;
}

static bool is_health(const struct exporting *x, const struct form_field *f)
{
    for (uint32_t i = 0; i < x->packs.count; i++)
        if (pack_tells_health(x->packs.at[i], f->path))
            return true;
    return false;
}

/* A number of nine digits is an account, a telephone or an identity, whatever the question asks for. */
#define OPEN_DIGITS_MAX 8

static bool digits_are_few(struct str v)
{
    size_t run = 0;
    for (size_t i = 0; i < v.n; i++) {
        bool digit = v.p[i] >= '0' && v.p[i] <= '9';
        run = digit ? run + 1 : v.p[i] == ' ' || v.p[i] == '-' ? run : 0;
        if (run > OPEN_DIGITS_MAX)
            return false;
    }
    return true;
}

static bool is_code(struct str v)
{
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                     c == '-' || c == '.' || c == ' ';
        if (!plain)
            return false;
    }
    return true;
}

/* What a handheld sends in the place of a number, a day or a choice need not be one. */
static bool value_is_open(enum field_type t, struct str v)
{
    struct civil day;
    struct dec n;
    switch (t) {
    case FIELD_INT:
    case FIELD_DECIMAL: return dec_read(v, &n) && digits_are_few(v);
    case FIELD_DATE: return v.n == 10 && civil_read_date(v, &day);
    case FIELD_BOOLEAN:
        return str_eq_z(v, "true") || str_eq_z(v, "false") || str_eq_z(v, "1") || str_eq_z(v, "0");
    default: return is_code(v) && digits_are_few(v);
    }
}

/* The form must say so, and so must every later version that still asks it. */
static bool is_open(const struct exporting *x, const struct version_form *v, const struct form_field *f)
{
    if (!marked(v->form, f->number))
        return false;
    if (!type_is_open(f->type)) {
        desk_line(x->k, "warning", "%.*s is marked public, but it is no number, day or choice: left out",
                  STR_ARG(f->path));
        return false;
    }
    if (is_health(x, f)) {
        desk_line(x->k, "warning", "%.*s is marked public, but it tells somebody's health: left out",
                  STR_ARG(f->path));
        return false;
    }
    for (const struct version_form *later = x->versions; later < v; later++) {
        const struct form_field *same = form_field_by_path(later->form, f->path);
        if (same && !marked(later->form, same->number))
            return false;
    }
    return true;
}

static enum err version_columns(struct exporting *x, struct version_form *v, struct diag *d)
{
    uint32_t fields = form_field_count(v->form), repeats = form_repeat_count(v->form), root = 0;
    v->file_of_repeat = ARENA_ARRAY(x->k->a, uint32_t, repeats);
    v->file_of_field = ARENA_ARRAY(x->k->a, uint32_t, fields);
    v->column_of_field = ARENA_ARRAY(x->k->a, uint32_t, fields);
    if (!v->file_of_repeat || !v->file_of_field || !v->column_of_field || fields == 0)
        return fields ? ERR_NOMEM : diag_set(d, ERR_SYNTAX, "The form has no questions.");
    enum err rc = file_for(x, root_of(form_field(v->form, 0)->path), 0, &root, d);
    for (uint32_t i = 0; !rc && i < repeats; i++) {
        const struct form_repeat *r = form_repeat(v->form, i);
        uint32_t parent = r->parent == FORM_NO_REPEAT ? root : v->file_of_repeat[r->parent];
        rc = file_for(x, r->path, parent, &v->file_of_repeat[i], d);
    }
    for (uint32_t i = 0; !rc && i < fields; i++) {
        const struct form_field *f = form_field(v->form, i);
        v->file_of_field[i] = UINT32_MAX;
        if (f->attribute || (x->open && !is_open(x, v, f)))
            continue;
        v->file_of_field[i] = f->repeat == FORM_NO_REPEAT ? root : v->file_of_repeat[f->repeat];
        rc = column_for(x, v->file_of_field[i], f, &v->column_of_field[i]);
    }
    return rc;
}

static enum err versions_load(struct exporting *x, struct diag *d)
{
    struct form_row *list = NULL;
    uint32_t count = 0;
    enum err rc = cstore_forms(x->k->st, x->k->a, x->form_id, &list, &count, d);
    if (!rc && count == 0)
        rc = diag_set(d, ERR_NOT_FOUND,
                      "No form \"%.*s\" was published here. See: doorstepd list DIR published",
                      STR_ARG(x->form_id));
    if (!rc && count > VERSIONS_MAX)
        rc = diag_set(d, ERR_LIMIT, "The form has more than %d versions.", VERSIONS_MAX);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct version_form *v = &x->versions[x->version_count++];
        struct form_findings findings = {0};
        struct str xml;
        v->about = list[i];
        rc = cstore_object(x->k->st, x->k->a, v->about.hash, NULL, &xml, d);
        if (!rc)
            rc = form_load(x->k->a, xml, &v->form, &findings, d);
        if (!rc)
            rc = version_columns(x, v, d);
    }
    return rc == ERR_NOMEM ? diag_set(d, rc, "Out of memory while preparing the export.") : rc;
}

static const struct version_form *version_of(const struct exporting *x, const struct submission_row *s)
{
    for (uint32_t i = 0; i < x->version_count; i++) {
        if (memcmp(x->versions[i].about.hash, s->form, SHA256_SIZE) == 0)
            return &x->versions[i];
    }
    return NULL;
}

/* ---- walking submissions ---- */

static enum err each_submission(struct exporting *x,
                                enum err (*take)(struct exporting *x, const struct submission_row *s,
                                                 struct diag *d),
                                struct diag *d)
{
    struct submission_row last = {0};
    bool begun = false;
    uint32_t count = 0;
    do {
        struct arena_mark mark = arena_mark(x->k->a);
        struct submission_row *list = NULL;
        enum err rc = cstore_submissions(x->k->st, x->k->a, x->form_id, begun ? &last : NULL,
                                         SUBMISSIONS_PAGE, &list, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            rc = take(x, &list[i], d);
            desk_progress(x->k, x->result.submissions);
        }
        if (!rc && count) {
            last = (struct submission_row){.visit = list[count - 1].visit,
                                           .received_ms = list[count - 1].received_ms};
            begun = true;
        }
        arena_release(x->k->a, mark);
        if (rc)
            return rc;
    } while (count == SUBMISSIONS_PAGE);
    return ERR_OK;
}

/* ---- answers that are not answers ---- */

/* "/survey/member[2]/age" -> "/survey/member/age" */
static struct str without_positions(struct arena *a, struct str ref)
{
    char *out = arena_alloc(a, ref.n + 1);
    size_t n = 0;
    bool inside = false;
    for (size_t i = 0; out && i < ref.n; i++) {
        inside = ref.p[i] == '[' || (inside && ref.p[i] != ']');
        if (!inside && ref.p[i] != ']')
            out[n++] = ref.p[i];
    }
    return out ? (struct str){out, n} : STR_NONE;
}

static enum err status_columns(struct exporting *x, const struct submission_row *s, struct diag *d)
{
    const struct version_form *v = version_of(x, s);
    struct str rest = s->statuses, line, ref;
    (void)d;
    while (v && rest.n && str_split(&rest, '\n', &line)) {
        if (!str_split(&line, '\t', &ref))
            continue;
        const struct form_field *f = form_field_by_path(v->form, without_positions(x->k->a, ref));
        if (f && v->file_of_field[f->number] != UINT32_MAX)
            x->files.at[v->file_of_field[f->number]].columns.at[v->column_of_field[f->number]].status = true;
    }
    return ERR_OK;
}

static struct str status_of(const struct submission_row *s, struct str ref)
{
    struct str rest = s->statuses, line, name;
    while (rest.n && str_split(&rest, '\n', &line)) {
        if (str_split(&line, '\t', &name) && str_eq(name, ref))
            return line;
    }
    return STR("");
}

/* ---- CSV ---- */

static const char *const position_parts[] = {"-Latitude", "-Longitude", "-Altitude", "-Accuracy"};

static enum err header_write(struct exporting *x, uint32_t at, struct diag *d)
{
    const struct file *f = &x->files.at[at];
    struct buf b, name;
    buf_init(&b, ROW_TEXT_MAX);
    buf_init(&name, 64u << 10);
    buf_put_z(&b, at == 0 && !x->open ? "SubmissionDate," : "");
    for (uint32_t i = 0; i < f->columns.count; i++) {
        const struct field_column *c = &f->columns.at[i];
        for (int part = 0; part < (c->type == FIELD_GEOPOINT ? 4 : 1); part++) {
            buf_clear(&name);
            column_name(&name, f->path, c->path);
            buf_put_z(&name, c->type == FIELD_GEOPOINT ? position_parts[part] : "");
            buf_put_csv(&b, buf_str(&name));
            buf_put_char(&b, ',');
        }
        if (c->status) {
            buf_clear(&name);
            column_name(&name, f->path, c->path);
            buf_put_z(&name, "-status");
            buf_put_csv(&b, buf_str(&name));
            buf_put_char(&b, ',');
        }
    }
    buf_put_z(&b, at == 0 && x->open ? "KEY\n"
                  : at == 0 ? "KEY,SubmitterID,SubmitterName,AttachmentsPresent,AttachmentsExpected,Status,"
                              "ReviewState,DeviceID,Edits,FormVersion\n"
                            : "PARENT_KEY,KEY\n");
    enum err rc = b.failed ? diag_set(d, b.failed, "The header of %.*s is too long.", STR_ARG(f->name))
                           : x->sink->write(x->sink->self, at, buf_str(&b), d);
    x->result.bytes += b.n;
    buf_free(&name);
    buf_free(&b);
    return rc;
}

/* One row of one file being put together: cell texts by column. */
struct csv_line {
    uint64_t row_key;
    uint64_t parent_row_key;
    uint32_t file;
    uint32_t position; /* among its siblings, from 1 */
    struct str ref;    /* "/survey/member[2]" */
    struct str key, parent_key;
    struct str *cells;
};

static void position_put(struct buf *b, struct str v)
{
    struct str word;
    for (int i = 0; i < 4; i++) {
        if (str_word(&v, &word))
            buf_put_csv(b, word);
        buf_put_char(b, ',');
    }
}

static void cells_put(const struct exporting *x, const struct csv_line *l, const struct submission_row *s,
                      struct buf *ref, struct buf *b)
{
    const struct file *f = &x->files.at[l->file];
    for (uint32_t i = 0; i < f->columns.count; i++) {
        const struct field_column *c = &f->columns.at[i];
        if (x->open && l->cells[i].n && !value_is_open(c->type, l->cells[i])) {
            buf_put_char(b, ','); /* not what the question asks for */
        } else if (c->type == FIELD_GEOPOINT) {
            position_put(b, l->cells[i]);
        } else {
            buf_put_csv(b, l->cells[i]);
            buf_put_char(b, ',');
        }
        if (c->status) {
            buf_clear(ref);
            buf_put_str(ref, l->ref);
            buf_put_str(ref, str_sub(c->path, f->path.n, c->path.n));
            buf_put_csv(b, status_of(s, buf_str(ref)));
            buf_put_char(b, ',');
        }
    }
}

static void instant_put(struct buf *b, int64_t ms)
{
    char text[40];
    struct civil c = civil_at(ms, zone_utc());
    struct str s = {text, civil_write(&c, text)};
    /* Central writes UTC as Z. */
    if (str_ends(s, STR("+00:00"))) {
        buf_put(b, s.p, s.n - 6);
        buf_put_char(b, 'Z');
    } else {
        buf_put_str(b, s);
    }
}

static enum err line_write(struct exporting *x, const struct csv_line *l, const struct submission_row *s,
                           const struct version_form *v, const struct person *who, struct diag *d)
{
    struct buf b, ref;
    buf_init(&b, ROW_TEXT_MAX);
    buf_init(&ref, 64u << 10);
    if (l->file == 0 && !x->open) {
        instant_put(&b, s->received_ms);
        buf_put_char(&b, ',');
    }
    cells_put(x, l, s, &ref, &b);
    if (l->file == 0 && x->open) {
        buf_put_csv(&b, l->key);
    } else if (l->file == 0) {
        buf_put_csv(&b, l->key);
        buf_printf(&b, ",%u,", who->person);
        buf_put_csv(&b, who->name);
        buf_printf(&b, ",0,0,%s,,%016llx,0,", s->xml_matches ? "" : "xmlDiffers",
                   (unsigned long long)s->device);
        buf_put_csv(&b, v->about.version);
    } else {
        buf_put_csv(&b, l->parent_key);
        buf_put_char(&b, ',');
        buf_put_csv(&b, l->key);
    }
    buf_put_char(&b, '\n');
    enum err rc = b.failed ? diag_set(d, b.failed, "A row of %.*s is too long.",
                                      STR_ARG(x->files.at[l->file].name))
                           : x->sink->write(x->sink->self, l->file, buf_str(&b), d);
    x->result.bytes += b.n;
    x->result.rows++;
    buf_free(&ref);
    buf_free(&b);
    return rc;
}

/* "…/member[2]" under the parent's own: what stands between is kept (groups). */
static enum err line_names(struct exporting *x, struct csv_line *l, const struct csv_line *parent)
{
    const struct file *f = &x->files.at[l->file];
    struct str tail = str_sub(f->path, x->files.at[parent->file].path.n, f->path.n);
    struct buf b;
    buf_init(&b, 64u << 10);
    buf_put_str(&b, parent->ref);
    buf_put_str(&b, tail);
    buf_printf(&b, "[%u]", l->position);
    l->ref = arena_str(x->k->a, buf_str(&b));
    buf_clear(&b);
    buf_put_str(&b, parent->key);
    buf_put_str(&b, tail);
    buf_printf(&b, "[%u]", l->position);
    l->key = arena_str(x->k->a, buf_str(&b));
    l->parent_key = parent->key;
    buf_free(&b);
    return l->ref.p && l->key.p ? ERR_OK : ERR_NOMEM;
}

struct lines {
    struct csv_line *at; /* 0 = the submission; then its rows, parents before children */
    uint32_t count;
};

static const struct csv_line *line_of(const struct lines *ls, uint64_t key)
{
    /* Keys were given out in this very order. */
    return key < ls->count && ls->at[key].row_key == key ? &ls->at[key] : NULL;
}

/* Nothing that leads back to the visit. */
static struct str number_text(const struct exporting *x)
{
    struct buf b;
    buf_init(&b, 32);
    buf_put_u64(&b, x->result.submissions + 1);
    struct str s = arena_str(x->k->a, buf_str(&b));
    buf_free(&b);
    return s;
}

/* A table of which nothing is public is not begun: even how many rows it has is not told. */
static bool is_written(const struct exporting *x, uint32_t file)
{
    return !x->open || x->files.at[file].columns.count > 0;
}

static enum err lines_make(struct exporting *x, const struct submission_row *s, const struct version_form *v,
                           const struct saved_interview *in, struct lines *out)
{
    struct lines ls = {.at = ARENA_ARRAY(x->k->a, struct csv_line, (size_t)in->row_count + 1)};
    if (!ls.at)
        return ERR_NOMEM;
    for (uint32_t i = 0; i <= in->row_count; i++) {
        const struct saved_row *row = i ? &in->rows[i - 1] : NULL;
        struct csv_line *l = &ls.at[i];
        *l = (struct csv_line){.row_key = row ? row->key : 0,
                               .file = row ? v->file_of_repeat[row->repeat] : 0};
        l->cells = ARENA_ARRAY(x->k->a, struct str, x->files.at[l->file].columns.count);
        if (!l->cells)
            return ERR_NOMEM;
        if (!row) {
            l->key = x->open ? number_text(x) : s->instance_id;
            l->ref = x->files.at[0].path;
        } else {
            const struct csv_line *parent = line_of(&ls, row->parent_key);
            uint32_t before = i - 1;
            l->parent_row_key = row->parent_key;
            while (before > 0 &&
                   (ls.at[before].file != l->file || ls.at[before].parent_row_key != row->parent_key))
                before--;
            l->position = before ? ls.at[before].position + 1 : 1;
            enum err rc = parent ? line_names(x, l, parent) : ERR_CORRUPT;
            if (rc)
                return rc;
        }
        ls.count++;
    }
    for (uint32_t i = 0; i < in->cell_count; i++) {
        const struct saved_cell *c = &in->cells[i];
        const struct csv_line *l = line_of(&ls, c->key);
        if (l && c->field < form_field_count(v->form) && v->file_of_field[c->field] == l->file)
            l->cells[v->column_of_field[c->field]] = c->value;
    }
    *out = ls;
    return ERR_OK;
}

static void left_out(struct exporting *x, const struct submission_row *s, const char *why)
{
    x->result.left_out++;
    if (x->result.left_out <= LEFT_OUT_TOLD_MAX)
        desk_line(x->k, "warning", "visit %.*s is not in the export: %s", STR_ARG(s->instance_id), why);
}

static enum err submission_csv(struct exporting *x, const struct submission_row *s, struct diag *d)
{
    const struct version_form *v = version_of(x, s);
    struct saved_interview in;
    struct lines lines = {0};
    struct person who = {.person = s->person, .name = STR("")};
    if (!v || s->xml.n == 0) {
        left_out(x, s, "its document could not be rebuilt from what has arrived");
        return ERR_OK;
    }
    enum err rc = submission_read(x->k->a, v->form, s->xml, 1, &in, d);
    if (!rc) {
        rc = cstore_person(x->k->st, x->k->a, s->person, &who, NULL);
        rc = rc == ERR_NOT_FOUND ? ERR_OK : rc;
    }
    if (!rc)
        rc = lines_make(x, s, v, &in, &lines);
    for (uint32_t i = 0; !rc && i < lines.count; i++)
        if (is_written(x, lines.at[i].file))
            rc = line_write(x, &lines.at[i], s, v, &who, d);
    x->result.submissions += !rc;
    return rc ? diag_set(d, rc, "Visit %.*s could not be exported.", STR_ARG(s->instance_id)) : ERR_OK;
}

/* ---- attachments ---- */

#define MEDIA_FILE (EXPORT_FILES_MAX - 1) /* tables take the numbers before it */
#define HASH_IN_NAME 24                   /* digits; a handheld names its files by their hash */

/* "media/NAME", as the answers say. A name that does not come from the hash could be another file's too. */
static void media_name(const struct attachment_row *row, struct buf *name)
{
    char digits[HASH_IN_NAME];
    hex_write(row->hash, sizeof digits / 2, digits);
    buf_put_z(name, "media/");
    if (!str_starts(row->name, (struct str){digits, sizeof digits})) {
        buf_put(name, digits, sizeof digits);
        buf_put_char(name, '-');
    }
    buf_put_str(name, row->name);
}

static enum err media_write(struct exporting *x, const struct attachment_row *row, struct diag *d)
{
    struct str bytes;
    struct buf name;
    struct arena_mark mark = arena_mark(x->k->a);
    buf_init(&name, 512);
    media_name(row, &name);
    enum err rc = cstore_attachment_bytes(x->k->st, x->k->a, row->hash, &bytes, d);
    if (!rc)
        rc = x->sink->begin(x->sink->self, MEDIA_FILE, buf_str(&name), d);
    if (!rc)
        rc = x->sink->write(x->sink->self, MEDIA_FILE, bytes, d);
    if (!rc)
        rc = x->sink->end(x->sink->self, MEDIA_FILE, d);
    if (!rc) {
        x->result.attachments++;
        x->result.bytes += bytes.n;
    }
    buf_free(&name);
    arena_release(x->k->a, mark);
    return rc;
}

/* The log of the visit where its form asks for one: "media/uuid_...-audit.csv", as the visit is called. */
static enum err log_write(struct exporting *x, const struct submission_row *s, struct diag *d)
{
    struct record_row row;
    struct record visit;
    struct buf name;
    struct arena_mark mark = arena_mark(x->k->a);
    enum err rc = cstore_record(x->k->st, x->k->a, s->visit, &row, d);
    if (!rc)
        rc = record_unpack(x->k->a, row.row, row.packed, &visit, d);
    struct str log = rc ? STR("") : record_value(&visit, VISIT_AUDIT);
    buf_init(&name, 2 * NAME_TEXT_MAX);
    buf_put_z(&name, "media/");
    name_clean(&name, s->instance_id);
    buf_put_z(&name, "-audit.csv");
    if (!rc && log.n)
        rc = x->sink->begin(x->sink->self, MEDIA_FILE, buf_str(&name), d);
    if (!rc && log.n)
        rc = x->sink->write(x->sink->self, MEDIA_FILE, log, d);
    if (!rc && log.n)
        rc = x->sink->end(x->sink->self, MEDIA_FILE, d);
    if (!rc && log.n) {
        x->result.attachments++;
        x->result.bytes += log.n;
    }
    buf_free(&name);
    arena_release(x->k->a, mark);
    return rc;
}

static enum err attachments_write(struct exporting *x, const struct submission_row *s, struct diag *d)
{
    struct attachment_row *list = NULL;
    uint32_t count = 0;
    enum err rc = cstore_attachments(x->k->st, x->k->a, s->visit, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (list[i].whole) {
            rc = media_write(x, &list[i], d);
            continue;
        }
        x->result.attachments_missing++;
        desk_line(x->k, "warning", "%.*s of %.*s has not arrived whole yet", STR_ARG(list[i].name),
                  STR_ARG(s->instance_id));
    }
    return rc ? rc : log_write(x, s, d);
}

static enum err tables(struct desk *k, struct str form_id, bool open, const struct export_sink *sink,
                       struct export_result *out, struct diag *d)
{
    struct exporting *x = ARENA_NEW(k->a, struct exporting);
    if (!x)
        return diag_set(d, ERR_NOMEM, "Out of memory while preparing the export.");
    *x = (struct exporting){.k = k, .sink = sink, .form_id = form_id, .open = open};
    enum err rc = open ? packs_load(x, d) : ERR_OK;
    uint32_t written = 0;
    if (!rc)
        rc = versions_load(x, d);
    if (!rc)
        rc = each_submission(x, status_columns, d);
    for (uint32_t i = 0; i < x->files.count; i++)
        written += is_written(x, i);
    if (!rc && !written)
        rc = diag_set(
            d, ERR_STATE,
            "No question of form %.*s is for the public: its binds say so with ds:public=\"true()\".",
            STR_ARG(form_id));
    for (uint32_t i = 0; !rc && i < x->files.count; i++) {
        if (!is_written(x, i))
            continue;
        rc = sink->begin(sink->self, i, x->files.at[i].name, d);
        if (!rc)
            rc = header_write(x, i, d);
    }
    if (!rc)
        rc = each_submission(x, submission_csv, d);
    if (!rc && !open && !sink->tables_only)
        rc = each_submission(x, attachments_write, d);
    for (uint32_t i = 0; !rc && i < x->files.count; i++)
        if (is_written(x, i))
            rc = sink->end(sink->self, i, d);
    x->result.files = written;
    if (!rc)
        *out = x->result;
    return rc;
}

enum err export_csv(struct desk *k, struct str form_id, const struct export_sink *sink,
                    struct export_result *out, struct diag *d)
{
    return tables(k, form_id, false, sink, out, d);
}

enum err export_public(struct desk *k, struct str form_id, const struct export_sink *sink,
                       struct export_result *out, struct diag *d)
{
    return tables(k, form_id, true, sink, out, d);
}

/* ---- XML ---- */

/* "uuid_....xml" when the visit is called so and no other is; else its row's id stands behind, so that no
 * document overwrites another. */
static enum err document_name(struct exporting *x, const struct submission_row *s, struct buf *name,
                              struct diag *d)
{
    struct record_row *same = NULL;
    uint32_t count = 0;
    char row[2 * ROW_ID_SIZE];
    unsigned char id[ROW_ID_SIZE];
    name_clean(name, s->instance_id);
    bool plain = str_starts(s->instance_id, STR("uuid:")) &&
                 str_eq(str_sub(s->instance_id, 5, s->instance_id.n), str_sub(buf_str(name), 5, name->n));
    enum err rc = ERR_OK;
    if (plain)
        rc = cstore_records_coded(x->k->st, x->k->a, ROW_VISIT, s->instance_id, &same, &count, d);
    if (count != 1) {
        row_id_write(s->visit, id);
        hex_write(id, sizeof id, row);
        if (name->n)
            buf_put_char(name, '~');
        buf_put(name, row, sizeof row);
    }
    buf_put_z(name, ".xml");
    return rc;
}

static enum err submission_xml(struct exporting *x, const struct submission_row *s, struct diag *d)
{
    struct buf name;
    if (s->xml.n == 0) {
        left_out(x, s, "its document could not be rebuilt from what has arrived");
        return ERR_OK;
    }
    buf_init(&name, 2 * NAME_TEXT_MAX);
    enum err rc = document_name(x, s, &name, d);
    if (!rc)
        rc = x->sink->begin(x->sink->self, 0, buf_str(&name), d);
    if (!rc)
        rc = x->sink->write(x->sink->self, 0, s->xml, d);
    if (!rc)
        rc = x->sink->end(x->sink->self, 0, d);
    if (!s->xml_matches)
        desk_line(
            x->k, "warning",
            "%.*s is not byte by byte what the handheld wrote: answers are missing or were changed since",
            STR_ARG(buf_str(&name)));
    x->result.submissions++;
    x->result.files++;
    x->result.bytes += s->xml.n;
    buf_free(&name);
    return rc;
}

enum err export_xml(struct desk *k, struct str form_id, const struct export_sink *sink,
                    struct export_result *out, struct diag *d)
{
    struct exporting *x = ARENA_NEW(k->a, struct exporting);
    struct form_row *list = NULL;
    uint32_t count = 0;
    if (!x)
        return diag_set(d, ERR_NOMEM, "Out of memory while preparing the export.");
    *x = (struct exporting){.k = k, .sink = sink, .form_id = form_id};
    enum err rc = cstore_forms(k->st, k->a, form_id, &list, &count, d);
    if (!rc && count == 0)
        rc = diag_set(d, ERR_NOT_FOUND,
                      "No form \"%.*s\" was published here. See: doorstepd list DIR published",
                      STR_ARG(form_id));
    if (!rc)
        rc = each_submission(x, submission_xml, d);
    if (!rc)
        rc = each_submission(x, attachments_write, d);
    if (!rc)
        *out = x->result;
    return rc;
}
