/* Tables that come in (table_in.h): the window over the file holds whole rows only, so that the reader of
 * rows need not know that there is more.
 */
#include "server/table_in.h"

#include "server/store_work.h"

#define PIECE (256u << 10)

/* ---- rows ---- */

static enum err more(struct table_in *t, struct diag *d)
{
    size_t got = 0;
    char piece[16384];
    if (t->at) { /* what is read goes */
        struct str rest = str_sub(buf_str(&t->window), t->at, t->window.n);
        memmove(t->window.p, rest.p, rest.n);
        t->window.n = rest.n;
        t->at = 0;
    }
    for (size_t n = 0; n < PIECE && !t->ended; n += got) {
        enum err rc = t->from.read(t->from.self, piece, sizeof piece, &got, d);
        if (rc)
            return rc;
        t->ended = got == 0;
        buf_put(&t->window, piece, got);
    }
    return t->window.failed
               ? diag_set(d, ERR_LIMIT, "Line %u is longer than %u MiB; is a quote never closed?",
                          t->next_line, TABLE_ROW_MAX >> 20)
               : ERR_OK;
}

/* A whole row in the window, its line end with it; p NULL at the end. */
static enum err row_ahead(struct table_in *t, struct str *out, struct diag *d)
{
    for (;;) {
        struct str rest = str_sub(buf_str(&t->window), t->at, t->window.n);
        bool quoted = false;
        for (size_t i = 0; i < rest.n; i++) {
            quoted = quoted != (rest.p[i] == '"');
            if (rest.p[i] != '\n' || quoted)
                continue;
            *out = str_sub(rest, 0, i + 1);
            return ERR_OK;
        }
        if (t->ended) {
            *out = rest.n ? rest : STR_NONE;
            return ERR_OK;
        }
        enum err rc = more(t, d);
        if (rc)
            return rc;
    }
}

static enum err cells_read(struct table_in *t, struct arena *a, struct str *cells, uint32_t *count_out,
                           struct diag *d)
{
    *count_out = 0;
    for (;;) {
        struct str row;
        struct csv csv;
        enum err rc = row_ahead(t, &row, d);
        if (rc || !row.p)
            return rc;
        csv_open(&csv, row);
        if (!t->first) /* a byte order mark stands only at the beginning */
            csv.rest = row;
        csv.next_line = t->next_line;
        rc = csv_row(&csv, a, cells, count_out, d);
        if (rc)
            return rc;
        t->first = false;
        t->line = csv.line;
        for (size_t i = 0; i < row.n; i++)
            t->next_line += row.p[i] == '\n';
        t->at += row.n;
        if (*count_out)
            return ERR_OK;
    }
}

/* ---- mappings ---- */

struct mapped {
    struct str ours, theirs;
    bool constant;
};

/* False: an empty line or a remark. */
static enum err mapping_line(struct str line, uint32_t number, struct mapped *out, bool *any_out,
                             struct diag *d)
{
    line = str_trim(line);
    *any_out = line.n && line.p[0] != '#';
    if (!*any_out)
        return ERR_OK;
    ptrdiff_t equals = str_find(line, STR("="));
    if (equals < 1)
        return diag_set(d, ERR_SYNTAX, "Line %u of the mapping must be: ours = theirs, or ours := words.",
                        number);
    struct str left = str_sub(line, 0, (size_t)equals);
    out->constant = str_ends(left, STR(":"));
    out->ours = str_trim(str_sub(left, 0, left.n - out->constant));
    out->theirs = str_trim(str_sub(line, (size_t)equals + 1, line.n));
    if (!out->ours.n || !out->theirs.n)
        return diag_set(d, ERR_SYNTAX, "Line %u of the mapping lacks a name on one side.", number);
    return ERR_OK;
}

static enum err apply(struct table_in *t, const struct mapped *m, uint32_t number, struct diag *d)
{
    if (m->constant) {
        if (t->count + t->constants == CSV_FIELDS_MAX)
            return diag_set(d, ERR_LIMIT, "The mapping has too many lines.");
        t->names[t->count + t->constants] = m->ours;
        t->theirs[t->count + t->constants] = STR("");
        t->constant[t->constants++] = m->theirs;
        return ERR_OK;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        if (!str_eq(t->theirs[i], m->theirs))
            continue;
        t->names[i] = m->ours;
        return ERR_OK;
    }
    return diag_set(
        d, ERR_SYNTAX,
        "Line %u of the mapping: the file has no column \"%.*s\". Look how its first line calls it.", number,
        STR_ARG(m->theirs));
}

static enum err mapping_apply(struct table_in *t, struct str text, struct diag *d)
{
    struct str line;
    uint32_t number = 0;
    enum err rc = ERR_OK;
    for (uint32_t i = 0; i < t->count; i++)
        t->names[i] = STR("");
    while (!rc && str_split(&text, '\n', &line)) {
        struct mapped m = {0};
        bool any = false;
        rc = mapping_line(line, ++number, &m, &any, d);
        if (!rc && any)
            rc = apply(t, &m, number, d);
    }
    return rc;
}

static enum err text_read(void *self, char *out, size_t n, size_t *got_out, struct diag *d)
{
    struct str *rest = self;
    (void)d;
    *got_out = n < rest->n ? n : rest->n;
    if (*got_out)
        memcpy(out, rest->p, *got_out);
    *rest = str_sub(*rest, *got_out, rest->n);
    return ERR_OK;
}

enum err table_in_open(struct table_in *t, const struct import_source *from, struct str mapping,
                       struct arena *a, struct diag *d)
{
    memset(t, 0, sizeof *t);
    t->from = *from;
    t->a = a;
    t->first = true;
    t->next_line = 1;
    buf_init(&t->window, TABLE_ROW_MAX);
    if (!t->from.read) {
        struct str *rest = ARENA_NEW(a, struct str);
        if (!rest)
            return diag_set(d, ERR_NOMEM, "Out of memory while opening a table.");
        *rest = from->text;
        t->from.self = rest;
        t->from.read = text_read;
    }
    t->names = ARENA_ARRAY(a, struct str, CSV_FIELDS_MAX);
    t->theirs = ARENA_ARRAY(a, struct str, CSV_FIELDS_MAX);
    if (!t->names || !t->theirs)
        return diag_set(d, ERR_NOMEM, "Out of memory while opening a table.");
    enum err rc = cells_read(t, a, t->theirs, &t->count, d);
    if (!rc && t->count == 0)
        rc = diag_set(d, ERR_SYNTAX, "The file is empty; its first line names the columns.");
    for (uint32_t i = 0; !rc && i < t->count; i++)
        t->names[i] = t->theirs[i] = str_trim(t->theirs[i]);
    return rc || mapping.n == 0 ? rc : mapping_apply(t, mapping, d);
}

enum err table_in_row(struct table_in *t, struct arena *a, struct str *cells, bool *any_out, bool *extra_out,
                      struct diag *d)
{
    uint32_t count = 0;
    enum err rc = cells_read(t, a, cells, &count, d);
    *any_out = count > 0;
    *extra_out = count > t->count;
    for (uint32_t i = count; i < t->count; i++)
        cells[i] = STR("");
    for (uint32_t i = 0; i < t->constants; i++)
        cells[t->count + i] = t->constant[i];
    return rc;
}

void table_in_close(struct table_in *t)
{
    buf_free(&t->window);
}

enum err mapping_put(struct desk *k, struct str name, struct str text, struct diag *d)
{
    struct str rest = text, line;
    uint32_t number = 0;
    enum err rc = ERR_OK;
    if (!name.n || name.n > 100 || text.n > MAPPING_BYTES_MAX)
        return diag_set(d, ERR_USAGE, "A mapping has a name of 1 to 100 bytes and at most 64 KiB of text.");
    while (!rc && str_split(&rest, '\n', &line)) {
        struct mapped m = {0};
        bool any = false;
        rc = mapping_line(line, ++number, &m, &any, d);
    }
    if (!rc)
        rc = cstore_begin(k->st, d);
    if (!rc)
        rc = cstore_mapping_put(k->st, name, text, k->seam->wall_ms(k->seam->self), d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    return rc;
}

enum err mapping_get(struct desk *k, struct str name, struct str *text_out, struct diag *d)
{
    enum err rc = cstore_mapping(k->st, k->a, name, text_out, d);
    return rc == ERR_NOT_FOUND
               ? diag_set(d, rc, "No mapping is kept as \"%.*s\". Give its file once: --mapping-file FILE",
                          STR_ARG(name))
               : rc;
}
