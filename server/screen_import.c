/* Importing a register in three steps: the file is parked, its columns are called, a dry run tells every
 * mistake by row and column; only the last press writes. The mapping is kept for the next file of its kind.
 */
#include "server/screens.h"
#include "server/store_pages.h"
#include "server/table_in.h"

#define ERRORS_SHOWN 300
#define SAMPLE_ROWS 3
#define COLUMNS_SHOWN 60

static const struct kind {
    const char *name;
    enum import_what what;
    enum word word;
    enum act act;
    const char *ours[8]; /* what we call its columns */
    uint32_t needed;     /* how many of the first of them it must have */
    bool open;           /* other columns are values by their own names */
} kinds[] = {
    {"households",
     IMPORT_HOUSEHOLDS,
     W_IMPORT_HOUSEHOLDS,
     ACT_IMPORT_HOUSEHOLDS,
     {"code", "area", "name", "address", "category", "position", "phone", NULL},
     3,
     false},
    {"departments",
     IMPORT_DEPARTMENTS,
     W_IMPORT_DEPARTMENTS,
     ACT_IMPORT_DEPARTMENTS,
     {"household", "source", "as_of", NULL},
     3,
     true},
    {"leads",
     IMPORT_LEADS,
     W_IMPORT_LEADS,
     ACT_IMPORT_DEPARTMENTS,
     {"household", "source", "opened", "deadline", NULL},
     3,
     true},
};

struct import {
    struct page p;
    const struct kind *kind;
    struct str id, file_name, bytes, mapping, wrong;
    struct str *names; /* columns of the file */
    uint32_t name_count;
    struct str *samples; /* SAMPLE_ROWS per column */
    VEC(struct import_error) errors;
    struct import_result result;
};

static const struct kind *kind_of(struct str name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (str_eq_z(name, kinds[i].name))
            return &kinds[i];
    return NULL;
}

/* ---- what the file holds ---- */

static enum err head_read(struct import *x, struct diag *d)
{
    struct csv in;
    struct arena *a = x->p.a;
    struct str *cells = ARENA_ARRAY(a, struct str, CSV_FIELDS_MAX);
    uint32_t count = 0;
    if (!cells)
        return diag_set(d, ERR_NOMEM, "Out of memory while reading the file.");
    csv_open(&in, x->bytes);
    enum err rc = csv_row(&in, a, cells, &count, d);
    if (!rc && !count)
        rc = diag_set(d, ERR_SYNTAX, "The file is empty.");
    x->name_count = count < COLUMNS_SHOWN ? count : COLUMNS_SHOWN;
    x->names = rc ? NULL : ARENA_ARRAY(a, struct str, count);
    x->samples = rc ? NULL : ARENA_ARRAY(a, struct str, (size_t)SAMPLE_ROWS * count);
    if (!rc && (!x->names || !x->samples))
        rc = diag_set(d, ERR_NOMEM, "Out of memory while reading the file.");
    for (uint32_t i = 0; !rc && i < x->name_count; i++)
        x->names[i] = cells[i];
    for (uint32_t r = 0; !rc && r < SAMPLE_ROWS; r++) {
        rc = csv_row(&in, a, cells, &count, d);
        if (!count)
            break;
        for (uint32_t i = 0; !rc && i < x->name_count && i < count; i++)
            x->samples[r * x->name_count + i] = cells[i];
    }
    return rc;
}

/* "ours = theirs" lines from the posted choices: field col0, col1 ... holds what column i is called here. */
static struct str mapping_of_form(struct import *x)
{
    struct buf b;
    buf_init(&b, MAPPING_BYTES_MAX);
    for (uint32_t i = 0; i < x->name_count; i++) {
        struct str field = page_join(&x->p, STR("col"), page_u64(&x->p, i), STR(""));
        const char *name = arena_z(x->p.a, field);
        struct str ours = name ? posted(x->p.c, name) : STR("");
        if (!ours.n || str_find(x->names[i], STR("\n")) >= 0 || str_find(ours, STR("\n")) >= 0)
            continue;
        buf_put_str(&b, ours);
        buf_put_z(&b, " = ");
        buf_put_str(&b, x->names[i]);
        buf_put_char(&b, '\n');
    }
    struct str s = arena_str(x->p.a, buf_str(&b));
    buf_free(&b);
    return s.p ? s : STR("");
}

/* What a kept mapping calls this column; else the column's own name where that is one of ours, or a value. */
static struct str guess(struct import *x, struct str theirs)
{
    struct str rest = x->mapping, line;
    while (rest.p && str_split(&rest, '\n', &line)) {
        struct str ours;
        if (str_split(&line, '=', &ours) && str_eq(str_trim(line), theirs))
            return str_trim(ours);
    }
    for (uint32_t i = 0; x->kind->ours[i]; i++)
        if (str_eq_nocase(theirs, str_of(x->kind->ours[i])))
            return str_of(x->kind->ours[i]);
    return x->kind->open && !x->mapping.n ? theirs : STR("");
}

/* ---- drawing ---- */

static void upload_draw(struct import *x)
{
    struct page *p = &x->p;
    struct option choices[3];
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (screen_can(p->c, kinds[i].act, STR_NONE))
            choices[n++] = (struct option){str_of(kinds[i].name), word_of(p, kinds[i].word)};
    pg_leaf_word(p, "h2", NO_CLASS, W_IMPORT_STEP_1);
    pg_leaf_word(p, "p", "hint-line", W_IMPORT_INTRO);
    pg_post_file_begin(p, STR("/import"));
    pg_hidden(p, "act", STR("park"));
    pg_select(p, &(struct field){.name = "kind", .label = W_IMPORT_WHAT}, choices, n);
    pg_field(p, &(struct field){.name = "file", .type = "file", .label = W_PUB_FILE, .required = true});
    pg_button(p, W_IMPORT_NEXT, "main", NULL);
    pg_close(p);
}

static void hidden_file(struct import *x, const char *act)
{
    pg_hidden(&x->p, "act", str_of(act));
    pg_hidden(&x->p, "kind", str_of(x->kind->name));
    pg_hidden(&x->p, "id", x->id);
}

static void columns_draw(struct import *x)
{
    static const struct column columns[] = {{W_IMPORT_THEIRS, NULL, false},
                                            {W_IMPORT_CONTENT, NULL, false},
                                            {W_IMPORT_OURS, NULL, false}};
    struct page *p = &x->p;
    const struct table t = {.columns = columns, .count = 3, .caption = x->file_name};
    pg_leaf_word(p, "h2", NO_CLASS, W_IMPORT_STEP_2);
    pg_post_begin(p, STR("/import"), NULL);
    hidden_file(x, "try");
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < x->name_count; i++) {
        struct str chosen = guess(x, x->names[i]), sample = STR("");
        for (uint32_t r = 0; r < SAMPLE_ROWS; r++) {
            struct str s = x->samples[r * x->name_count + i];
            if (s.n)
                sample = sample.n ? page_join(p, sample, STR(" · "), s) : s;
        }
        pg_row(p);
        pg_open_with(p, "th", ATTRS({"scope", STR("row")}));
        pg_data(p, x->names[i]);
        pg_close(p);
        pg_cell(p, page_private(p, str_sub(sample, 0, utf8_offset(sample, 60)), false));
        pg_open(p, "td", NO_CLASS);
        pg_open_with(p, "select",
                     ATTRS({"name", page_join(p, STR("col"), page_u64(p, i), STR(""))},
                           {"aria-label", x->names[i]}));
        pg_option(p, STR(""), word_of(p, W_IMPORT_UNUSED), !chosen.n);
        for (uint32_t k = 0; x->kind->ours[k]; k++)
            pg_option(p, str_of(x->kind->ours[k]),
                      k < x->kind->needed
                          ? page_join(p, str_of(x->kind->ours[k]), STR(" · "), word_of(p, W_IMPORT_NEEDED))
                          : str_of(x->kind->ours[k]),
                      str_eq_z(chosen, x->kind->ours[k]));
        if (x->kind->open)
            pg_option(p, x->names[i], page_join(p, word_of(p, W_VALUE), STR(" · "), x->names[i]),
                      str_eq(chosen, x->names[i]));
        pg_close(p);
        pg_close(p);
        pg_close(p);
    }
    pg_table_end(p);
    pg_button(p, W_IMPORT_TRY, "main", NULL);
    pg_close(p);
}

static void errors_draw(struct import *x)
{
    static const struct column columns[] = {{W_IMPORT_ROW, NULL, true},
                                            {W_IMPORT_COLUMN, NULL, false},
                                            {W_IMPORT_CONTENT, NULL, false},
                                            {W_IMPORT_REMEDY, NULL, false}};
    struct page *p = &x->p;
    const struct table t = {.columns = columns, .count = 4, .caption = word_of(p, W_IMPORT_ERRORS)};
    if (!x->errors.count) {
        pg_note(p, "good", word_of(p, W_IMPORT_CLEAN));
        return;
    }
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < x->errors.count; i++) {
        const struct import_error *e = &x->errors.at[i];
        pg_row(p);
        pg_cell_number(p, e->line);
        pg_cell(p, e->name);
        pg_cell(p, page_private(p, e->content, false));
        pg_open(p, "td", "wide");
        pg_data(p, e->remedy);
        pg_close(p);
        pg_close(p);
    }
    pg_table_end(p);
}

static void tried_draw(struct import *x)
{
    struct page *p = &x->p;
    const struct import_result *r = &x->result;
    pg_leaf_word(p, "h2", NO_CLASS, W_IMPORT_STEP_3);
    pg_open(p, "p", NO_CLASS);
    pg_data(p, x->file_name);
    pg_text(p, STR(" · "));
    pg_say(p, W_IMPORT_SUMMARY, page_count(p, r->rows), page_count(p, r->added));
    pg_text(p, STR(" · "));
    pg_say(p, W_IMPORT_CHANGED, page_count(p, r->changed), page_count(p, r->same));
    pg_text(p, STR(" · "));
    pg_say(p, W_IMPORT_ERROR_COUNT, page_count(p, r->bad), STR(""));
    pg_close(p);
    errors_draw(x);
    pg_note(p, NULL, word_of(p, W_IMPORT_NOTHING_YET));
    pg_open(p, "div", "actions");
    pg_post_begin(p, STR("/import"), NULL);
    hidden_file(x, "do");
    pg_hidden(p, "mapping", x->mapping);
    if (!x->errors.count)
        pg_button(p, W_IMPORT_DO, "main", NULL);
    else
        pg_button_key(p, W_IMPORT_GOOD_ONLY, NULL, "only", "good", NULL);
    pg_close(p);
    pg_post_begin(p, STR("/import"), NULL);
    hidden_file(x, "columns");
    pg_button(p, W_IMPORT_COLUMNS_AGAIN, NULL, NULL);
    pg_close(p);
    pg_close(p);
}

static void begin(struct import *x)
{
    pg_begin(&x->p, NAV_IMPORT, word_of(&x->p, W_IMPORT));
    if (x->wrong.n)
        pg_note(&x->p, "bad", x->wrong);
}

static enum err may_import(struct call *c, struct diag *d)
{
    return screen_can(c, ACT_IMPORT_HOUSEHOLDS, STR_NONE)
               ? ERR_OK
               : screen_may(c, ACT_IMPORT_DEPARTMENTS, STR_NONE, d);
}

enum err screen_import(struct call *c, struct diag *d)
{
    struct import x = {0};
    page_init(&x.p, c);
    enum err rc = may_import(c, d);
    if (rc)
        return rc;
    begin(&x);
    upload_draw(&x);
    pg_end(&x.p);
    return ERR_OK;
}

/* ---- steps ---- */

static enum err park(struct import *x, struct diag *d)
{
    const struct http_field *f = http_form_file(&x->p.c->form, "file");
    if (!f || !f->value.n)
        return diag_set(d, ERR_USAGE, "The form holds no file.");
    x->file_name = f->file_name;
    x->bytes = f->value;
    return park_file(x->p.c, x->file_name, x->bytes, &x->id, d);
}

static void take_error(void *self, const struct import_error *e)
{
    struct import *x = self;
    struct arena *a =
        x->p.c->texts; /* the importer lets go of what it takes from the other one, row by row */
    struct import_error *kept = x->errors.count < ERRORS_SHOWN ? vec_push(a, &x->errors) : NULL;
    if (!kept)
        return;
    *kept = *e;
    kept->name = arena_str(a, e->name.p ? e->name : STR(""));
    kept->content = arena_str(a, e->content.p ? e->content : STR(""));
    kept->remedy = arena_str(a, e->remedy.p ? e->remedy : STR(""));
}

/* Mistakes are no error of the page: they are what it shows. */
static enum err run(struct import *x, bool dry_run, bool only_good, struct diag *d)
{
    struct call *c = x->p.c;
    struct desk k;
    struct buf lines;
    const struct import_ask ask = {.from = {.text = x->bytes},
                                   .mapping = x->mapping,
                                   .dry_run = dry_run,
                                   .only_good = only_good,
                                   .self = x,
                                   .error = take_error};
    buf_init(&lines, 1u << 20);
    enum err rc = screen_desk(&x->p, &lines, &k, d);
    if (!rc) {
        screen_lock(c);
        rc = import_table(&k, x->kind->what, &ask, &x->result, d);
        screen_unlock(c);
    }
    buf_free(&lines);
    if (rc == ERR_SYNTAX) {
        if (!x->errors.count)
            x->wrong = arena_str(c->a, str_of(d->text));
        diag_clear(d);
        rc = ERR_OK;
    }
    return rc;
}

static enum err mapping_keep(struct import *x, struct diag *d)
{
    struct desk k;
    enum err rc = screen_desk(&x->p, NULL, &k, d);
    if (rc || !x->mapping.n)
        return rc;
    screen_lock(x->p.c);
    rc = mapping_put(&k, str_of(x->kind->name), x->mapping, d);
    screen_unlock(x->p.c);
    return rc;
}

static enum err step(struct import *x, struct str act, struct diag *d)
{
    struct call *c = x->p.c;
    struct desk k;
    struct diag quiet = {0};
    bool parks = str_eq_z(act, "park");
    enum err rc = ERR_OK;
    x->id = posted(c, "id");
    rc = parks ? park(x, d) : parked_get(c->st, c->a, x->id, c->person.person, &x->file_name, &x->bytes, d);
    if (!rc)
        rc = head_read(x, d);
    if (!rc && (parks || str_eq_z(act, "columns"))) {
        rc = screen_desk(&x->p, NULL, &k, d);
        if (!rc && mapping_get(&k, str_of(x->kind->name), &x->mapping, &quiet))
            x->mapping = STR("");
        return rc;
    }
    if (!rc && str_eq_z(act, "try")) {
        x->mapping = mapping_of_form(x);
        return run(x, true, false, d);
    }
    x->mapping = posted(c, "mapping");
    if (!rc)
        rc = run(x, false, str_eq_z(posted(c, "only"), "good"), d);
    if (!rc && !x->wrong.n)
        rc = mapping_keep(x, d);
    if (!rc && !x->wrong.n)
        rc = screen_note(c, "imported", STR(""),
                         page_join(&x->p, str_of(x->kind->name), STR(" "), x->file_name), d);
    return rc;
}

enum err screen_import_post(struct call *c, struct diag *d)
{
    struct import x = {0};
    struct str act = posted(c, "act");
    page_init(&x.p, c);
    x.kind = kind_of(posted(c, "kind"));
    enum err rc = x.kind ? screen_may(c, x.kind->act, STR_NONE, d)
                         : diag_set(d, ERR_USAGE, "The form does not say what is imported.");
    if (!rc)
        rc = step(&x, act, d);
    if (rc == ERR_USAGE || rc == ERR_SYNTAX || rc == ERR_NOT_FOUND || rc == ERR_LIMIT || rc == ERR_STATE) {
        x.wrong = arena_str(c->a, str_of(d->text));
        diag_clear(d);
        c->reply->status = 400;
    } else if (rc) {
        return rc;
    }
    begin(&x);
    bool shown = x.names && x.id.n;
    if (x.wrong.n || !shown) {
        if (shown)
            columns_draw(&x);
        else
            upload_draw(&x);
    } else if (str_eq_z(act, "park") || str_eq_z(act, "columns")) {
        columns_draw(&x);
    } else if (str_eq_z(act, "try")) {
        tried_draw(&x);
    } else {
        pg_note(&x.p, "good",
                page_say(&x.p, W_IMPORT_DONE, page_count(&x.p, x.result.added),
                         page_count(&x.p, x.result.changed)));
        pg_link_word(&x.p, STR("/households"), "button", W_HOUSEHOLDS);
    }
    pg_end(&x.p);
    return ERR_OK;
}
