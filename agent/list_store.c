/* See list_store.h. A list is one table, `l<number>`: the row number, a text column `c<n>` per column, and
 * where a form compares a column by number a second column `n<n>` beside it. Queries become SQL by the shape
 * of their terms; every value is bound.
 */
#include "agent/list_store.h"

#include "platform/crypto.h"
#include "platform/db.h"

#include <math.h>
#include <string.h>

#define LISTS_MAX 256u
#define BOUND_MAX 2048u
#define NEAR 1e-12 /* equal numbers, as the engine has it */

struct kept_list {
    uint32_t number; /* of its table */
    struct list_shape shape;
    bool trimmed;  /* no cell begins or ends with white space */
    char *numeric; /* by column: '?' not known, 'y' there is n<n>, 'm' dates or times among the cells */
    const char *select;
};

struct list_store {
    struct arena arena;
    struct db *db;
    struct list_source source;
    struct list_host host;
    struct kept_list *lists[LISTS_MAX];
    uint32_t count;
    struct arena work;      /* of one query */
    uint32_t row_list, row; /* the row in hand; 0 = none */
    struct buf row_text;
    struct str *row_cells;
    uint32_t row_room;
};

static const struct migration migrations[] = {
    {1, "CREATE TABLE list(number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, uri TEXT NOT NULL,"
        " root TEXT, item TEXT, rows INTEGER, sparse INTEGER, trimmed INTEGER);"
        "CREATE TABLE list_column(list INTEGER, number INTEGER, name TEXT NOT NULL, numeric TEXT NOT NULL,"
        " PRIMARY KEY(list, number)) WITHOUT ROWID"},
};

/* --- names in SQL --- */

static const char *sql_text(struct arena *a, struct buf *b)
{
    const char *z = b->failed ? NULL : arena_z(a, buf_str(b));
    buf_free(b);
    return z;
}

static void put_name(struct buf *b, char kind, uint32_t number)
{
    buf_put_char(b, kind);
    buf_put_u64(b, number);
}

static enum err no_memory(struct diag *d)
{
    return diag_set(d, ERR_NOMEM, "no memory left for the lists");
}

/* --- queries --- */

struct bound {
    bool numeric;
    double number;
    struct str text;
};

struct asked {
    const struct kept_list *list;
    const struct list_term *terms;
    uint32_t *start; /* by term: the first one of its operands */
    struct buf sql;
    struct arena *a;
    struct bound *bound;
    uint32_t bound_count;
    bool failed;
};

static void put_bound(struct asked *q, struct bound b)
{
    buf_put_char(&q->sql, '?');
    if (q->bound_count == BOUND_MAX) {
        q->failed = true;
        return;
    }
    q->bound[q->bound_count++] = b;
}

static void put_text(struct asked *q, struct str text)
{
    put_bound(q, (struct bound){.text = text.p ? text : STR("")});
}

static void put_number(struct asked *q, double n)
{
    put_bound(q, (struct bound){.numeric = true, .number = n});
}

static void put_column(struct asked *q, char kind, uint32_t column)
{
    put_name(&q->sql, kind, column);
}

/* The text of a cell that may not be there. */
static void put_cell(struct asked *q, uint32_t column)
{
    if (q->list->shape.sparse)
        buf_put_z(&q->sql, "ifnull(");
    put_column(q, 'c', column);
    if (q->list->shape.sparse)
        buf_put_z(&q->sql, ",'')");
}

static void put_near(struct asked *q, const struct list_term *t)
{
    buf_put_z(&q->sql, "abs(");
    put_column(q, 'n', t->column);
    buf_put_char(&q->sql, '-');
    put_number(q, t->number);
    buf_put_z(&q->sql, ")<");
    put_number(q, NEAR);
}

static void put_number_comparison(struct asked *q, const struct list_term *t)
{
    static const char *const signs[] = {"<", "<=", ">", ">="};
    if (t->op == LIST_EQ) {
        put_column(q, 'n', t->column);
        buf_put_z(&q->sql, " BETWEEN ");
        put_number(q, t->number - 2 * NEAR);
        buf_put_z(&q->sql, " AND ");
        put_number(q, t->number + 2 * NEAR);
        buf_put_z(&q->sql, " AND ");
        put_near(q, t);
    } else if (t->op == LIST_NE) {
        put_column(q, 'c', t->column);
        buf_put_z(&q->sql, " IS NOT NULL AND NOT ifnull(");
        put_near(q, t);
        buf_put_z(&q->sql, ",0)");
    } else {
        put_column(q, 'n', t->column);
        buf_put_z(&q->sql, signs[t->op - LIST_LT]);
        put_number(q, t->number);
    }
}

/* The first text behind all that begin with this one; p NULL when there is none. */
static struct str behind(struct arena *a, struct str text)
{
    size_t n = text.n;
    while (n && (unsigned char)text.p[n - 1] == 0xff)
        n--;
    char *p = n ? arena_alloc(a, n) : NULL;
    if (!p)
        return STR_NONE;
    memcpy(p, text.p, n);
    p[n - 1]++;
    return (struct str){p, n};
}

static void put_starts(struct asked *q, const struct list_term *t)
{
    struct str end = behind(q->a, t->text);
    if (t->text.n == 0) {
        buf_put_char(&q->sql, '1');
        return;
    }
    put_cell(q, t->column);
    buf_put_z(&q->sql, ">=");
    put_text(q, t->text);
    if (!end.p)
        return;
    buf_put_z(&q->sql, " AND ");
    put_cell(q, t->column);
    buf_put_char(&q->sql, '<');
    put_text(q, end);
}

#define WHITE "char(32,9,10,13)"

static void put_among(struct asked *q, const struct list_term *t)
{
    struct str rest = t->text, word;
    bool any = false;
    if (!q->list->trimmed)
        buf_put_z(&q->sql, "trim(");
    put_cell(q, t->column);
    if (!q->list->trimmed)
        buf_put_z(&q->sql, "," WHITE ")");
    buf_put_z(&q->sql, " IN (");
    while (str_word(&rest, &word)) {
        if (any)
            buf_put_char(&q->sql, ',');
        put_text(q, word);
        any = true;
    }
    if (!any)
        buf_put_z(&q->sql, "''");
    buf_put_char(&q->sql, ')');
}

static void put_word(struct asked *q, const struct list_term *t)
{
    buf_put_z(&q->sql, "instr(' '||replace(replace(replace(");
    put_cell(q, t->column);
    buf_put_z(&q->sql, ",char(9),' '),char(10),' '),char(13),' ')||' ',' '||");
    put_text(q, t->text);
    buf_put_z(&q->sql, "||' ')>0");
}

static void put_ends(struct asked *q, const struct list_term *t)
{
    if (t->text.n == 0) {
        buf_put_char(&q->sql, '1');
        return;
    }
    buf_put_z(&q->sql, "substr(");
    put_cell(q, t->column);
    buf_put_z(&q->sql, ",-");
    buf_put_u64(&q->sql, utf8_length(t->text));
    buf_put_z(&q->sql, ")=");
    put_text(q, t->text);
}

static void put_leaf(struct asked *q, const struct list_term *t)
{
    switch (t->op) {
    case LIST_TRUE: buf_put_char(&q->sql, '1'); return;
    case LIST_FALSE: buf_put_char(&q->sql, '0'); return;
    case LIST_CONTAINS:
        buf_put_z(&q->sql, "instr(");
        put_cell(q, t->column);
        buf_put_char(&q->sql, ',');
        put_text(q, t->text);
        buf_put_z(&q->sql, ")>0");
        return;
    case LIST_STARTS: put_starts(q, t); return;
    case LIST_ENDS: put_ends(q, t); return;
    case LIST_WORD: put_word(q, t); return;
    case LIST_AMONG: put_among(q, t); return;
    default: break;
    }
    if (t->numeric) {
        put_number_comparison(q, t);
        return;
    }
    CHECK(t->op == LIST_EQ || t->op == LIST_NE);
    put_column(q, 'c', t->column);
    buf_put_z(&q->sql, t->op == LIST_EQ ? "=" : "<>");
    put_text(q, t->text);
}

/* Recursion as deep as the expression, which is capped. */
static void put_part(struct asked *q, uint32_t i)
{
    const struct list_term *t = &q->terms[i];
    buf_put_char(&q->sql, '(');
    if (t->op == LIST_NOT) {
        buf_put_z(&q->sql, "NOT ifnull(");
        put_part(q, i - 1);
        buf_put_z(&q->sql, ",0)");
    } else if (t->op == LIST_AND || t->op == LIST_OR) {
        uint32_t child = i - 1;
        for (uint32_t k = 0; k < t->count; k++) {
            if (k)
                buf_put_z(&q->sql, t->op == LIST_AND ? " AND " : " OR ");
            put_part(q, child);
            child = q->start[child] - 1;
        }
    } else {
        put_leaf(q, t);
    }
    buf_put_char(&q->sql, ')');
}

static enum err find_starts(struct asked *q, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct list_term *t = &q->terms[i];
        uint32_t operands = t->op == LIST_NOT ? 1 : t->op == LIST_AND || t->op == LIST_OR ? t->count : 0;
        uint32_t start = i;
        for (uint32_t k = 0; k < operands; k++)
            start = q->start[start - 1];
        q->start[i] = start;
    }
    return count ? ERR_OK : ERR_USAGE;
}

static enum err ask(struct list_store *s, const struct kept_list *l, const struct list_query *query,
                    const char *what, const char *end, struct stmt **stmt_out, int *bound_out, struct diag *d)
{
    struct asked q = {.list = l, .terms = query->at, .a = &s->work};
    q.start = ARENA_ARRAY(&s->work, uint32_t, query->count + 1);
    q.bound = ARENA_ARRAY(&s->work, struct bound, BOUND_MAX);
    if (!q.start || !q.bound)
        return no_memory(d);
    enum err rc = find_starts(&q, query->count);
    buf_init(&q.sql, 1u << 20);
    buf_put_z(&q.sql, what);
    put_name(&q.sql, 'l', l->number);
    buf_put_z(&q.sql, " WHERE ");
    if (!rc)
        put_part(&q, query->count - 1);
    buf_put_z(&q.sql, end);
    const char *sql = sql_text(&s->work, &q.sql);
    if (q.failed)
        return diag_set(d, ERR_LIMIT, "a question to a list has too many values");
    if (!rc)
        rc = sql ? db_prepare(s->db, sql, stmt_out, d) : no_memory(d);
    for (uint32_t i = 0; !rc && i < q.bound_count; i++) {
        if (q.bound[i].numeric)
            bind_double(*stmt_out, (int)i + 1, q.bound[i].number);
        else
            bind_text(*stmt_out, (int)i + 1, q.bound[i].text);
    }
    *bound_out = (int)q.bound_count;
    return rc;
}

/* A window that begins at once leaves the planner free to take an index and sort. */
static enum err host_rows(void *self, uint32_t list, const struct list_query *query, uint32_t skip,
                          uint32_t limit, enum err (*found)(void *to, uint32_t row), void *to, struct diag *d)
{
    struct list_store *s = self;
    struct stmt *stmt = NULL;
    int bound = 0;
    bool row = true;
    struct arena_mark mark = arena_mark(&s->work);
    enum err rc = ask(s, s->lists[list], query, "SELECT r FROM ", " ORDER BY r LIMIT ? OFFSET ?", &stmt,
                      &bound, d);
    if (!rc) {
        bind_i64(stmt, bound + 1, limit == UINT32_MAX ? -1 : (int64_t)limit);
        bind_i64(stmt, bound + 2, skip);
    }
    while (!rc && !(rc = stmt_step(stmt, &row, d)) && row)
        rc = found(to, (uint32_t)col_i64(stmt, 0));
    stmt_done(stmt);
    arena_release(&s->work, mark);
    return rc;
}

static enum err host_count(void *self, uint32_t list, const struct list_query *query, uint32_t *count_out,
                           struct diag *d)
{
    struct list_store *s = self;
    struct stmt *stmt = NULL;
    int bound = 0;
    bool row = false;
    struct arena_mark mark = arena_mark(&s->work);
    enum err rc = ask(s, s->lists[list], query, "SELECT count(*) FROM ", "", &stmt, &bound, d);
    if (!rc)
        rc = stmt_step(stmt, &row, d);
    if (!rc)
        *count_out = row ? (uint32_t)col_i64(stmt, 0) : 0;
    stmt_done(stmt);
    arena_release(&s->work, mark);
    return rc;
}

/* --- cells --- */

static enum err take_row(struct list_store *s, const struct kept_list *l, uint32_t row, struct diag *d)
{
    struct stmt *stmt = NULL;
    bool there = false;
    s->row = 0;
    buf_clear(&s->row_text);
    enum err rc = db_prepare(s->db, l->select, &stmt, d);
    if (rc)
        return rc;
    bind_i64(stmt, 1, row);
    rc = stmt_step(stmt, &there, d);
    for (uint32_t c = 0; !rc && there && c < l->shape.column_count; c++) {
        struct str text = col_text(stmt, (int)c);
        s->row_cells[c] = (struct str){text.p, text.n};
        buf_put_str(&s->row_text, text);
    }
    size_t at = 0;
    for (uint32_t c = 0; !rc && there && c < l->shape.column_count; c++) {
        struct str *cell = &s->row_cells[c];
        cell->p = cell->p ? s->row_text.n ? s->row_text.p + at : "" : NULL;
        at += cell->n;
    }
    stmt_done(stmt);
    if (!rc && s->row_text.failed)
        rc = no_memory(d);
    if (!rc && !there)
        rc = diag_set(d, ERR_NOT_FOUND, "the list has no row %u", row);
    s->row = rc ? 0 : row;
    return rc;
}

static enum err host_cell(void *self, uint32_t list, uint32_t row, uint32_t column, struct str *text_out,
                          struct diag *d)
{
    struct list_store *s = self;
    enum err rc = s->row == row && s->row_list == list ? ERR_OK : take_row(s, s->lists[list], row, d);
    s->row_list = list;
    if (!rc)
        *text_out = s->row_cells[column];
    return rc;
}

/* --- numbers and indexes --- */

static enum err exec(struct list_store *s, struct buf *sql, struct diag *d)
{
    const char *z = sql_text(&s->work, sql);
    return z ? db_exec(s->db, z, d) : no_memory(d);
}

static enum err prepare(struct list_store *s, struct buf *sql, struct stmt **stmt_out, struct diag *d)
{
    const char *z = sql_text(&s->work, sql);
    return z ? db_prepare(s->db, z, stmt_out, d) : no_memory(d);
}

static enum err note_numeric(struct list_store *s, struct kept_list *l, uint32_t column, char what,
                             struct diag *d)
{
    struct stmt *stmt = NULL;
    enum err rc = db_prepare(s->db, "UPDATE list_column SET numeric=? WHERE list=? AND number=?", &stmt, d);
    if (rc)
        return rc;
    bind_text(stmt, 1, (struct str){&what, 1});
    bind_i64(stmt, 2, l->number);
    bind_i64(stmt, 3, column);
    rc = stmt_run(stmt, d);
    if (!rc)
        l->numeric[column] = what;
    return rc;
}

/* Writes the number of every cell beside it; a date or time stops it. Reading and writing go through the
 * table together, by row number, which does not change. */
static enum err write_numbers(struct list_store *s, const struct kept_list *l, uint32_t column,
                              bool *moment_out, struct diag *d)
{
    struct stmt *from = NULL, *to = NULL;
    struct buf sql;
    bool row = true;
    buf_init(&sql, 256);
    buf_put_z(&sql, "SELECT r,c");
    buf_put_u64(&sql, column);
    buf_put_z(&sql, " FROM ");
    put_name(&sql, 'l', l->number);
    buf_put_z(&sql, " ORDER BY r");
    enum err rc = prepare(s, &sql, &from, d);
    buf_init(&sql, 256);
    buf_put_z(&sql, "UPDATE ");
    put_name(&sql, 'l', l->number);
    buf_put_z(&sql, " SET n");
    buf_put_u64(&sql, column);
    buf_put_z(&sql, "=? WHERE r=?");
    const char *update = sql_text(&s->work, &sql);
    if (!rc && !update)
        rc = no_memory(d);
    while (!rc && !(rc = stmt_step(from, &row, d)) && row && !*moment_out) {
        double n;
        enum list_number what = list_number(col_text(from, 1), &n);
        *moment_out = what == LIST_MOMENT;
        if (what != LIST_NUMBER)
            continue;
        rc = db_prepare(s->db, update, &to, d);
        if (rc)
            break;
        bind_double(to, 1, n);
        bind_i64(to, 2, col_i64(from, 0));
        rc = stmt_run(to, d);
    }
    stmt_done(from);
    return rc;
}

/* Once per column; the change of the table and the note go together. */
static enum err make_numbers(struct list_store *s, struct kept_list *l, uint32_t column, struct diag *d)
{
    struct txn t = {0};
    struct buf sql;
    bool moment = false;
    enum err rc = txn_begin(&t, s->db, d);
    buf_init(&sql, 256);
    buf_put_z(&sql, "ALTER TABLE ");
    put_name(&sql, 'l', l->number);
    buf_put_z(&sql, " ADD COLUMN n");
    buf_put_u64(&sql, column);
    buf_put_z(&sql, " REAL");
    if (!rc)
        rc = exec(s, &sql, d);
    else
        buf_free(&sql);
    if (!rc)
        rc = write_numbers(s, l, column, &moment, d);
    if (!rc)
        rc = note_numeric(s, l, column, moment ? 'm' : 'y', d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    if (rc)
        l->numeric[column] = '?';
    return rc;
}

static enum err host_numeric(void *self, uint32_t list, uint32_t column, struct diag *d)
{
    struct list_store *s = self;
    struct kept_list *l = s->lists[list];
    enum err rc = ERR_OK;
    struct arena_mark mark = arena_mark(&s->work);
    if (l->numeric[column] == '?')
        rc = make_numbers(s, l, column, d);
    arena_release(&s->work, mark);
    if (!rc && l->numeric[column] != 'y')
        return diag_set(d, ERR_STATE, "the column holds dates or times");
    return rc;
}

static uint32_t column_of(const struct kept_list *l, struct str name)
{
    uint32_t c = 0;
    while (c < l->shape.column_count && !str_eq(l->shape.columns[c], name))
        c++;
    return c;
}

/* Named after its columns, so that a form that wishes the same finds it. */
static enum err make_index(struct list_store *s, struct kept_list *l, uint32_t list,
                           const struct list_wish *w, struct diag *d)
{
    struct buf sql, columns;
    char kind = w->numeric ? 'n' : 'c';
    enum err rc = ERR_OK;
    for (uint32_t i = 0; i < w->count; i++)
        if (column_of(l, w->columns[i]) == l->shape.column_count)
            return ERR_OK;
    if (w->numeric && host_numeric(s, list, column_of(l, w->columns[0]), d))
        return l->numeric[column_of(l, w->columns[0])] == '?' ? ERR_IO : ERR_OK;
    buf_init(&sql, 1024);
    buf_init(&columns, 1024);
    buf_put_z(&sql, "CREATE INDEX IF NOT EXISTS ");
    put_name(&sql, 'l', l->number);
    for (uint32_t i = 0; i < w->count; i++) {
        buf_put_char(&sql, '_');
        put_name(&sql, kind, column_of(l, w->columns[i]));
        if (i)
            buf_put_char(&columns, ',');
        put_name(&columns, kind, column_of(l, w->columns[i]));
    }
    buf_put_z(&sql, " ON ");
    put_name(&sql, 'l', l->number);
    buf_put_char(&sql, '(');
    buf_put_str(&sql, buf_str(&columns));
    buf_put_char(&sql, ')');
    rc = exec(s, &sql, d);
    buf_free(&columns);
    return rc;
}

/* --- import --- */

struct import {
    struct list_store *s;
    struct str uri;
    const unsigned char *key;
    uint32_t number, columns, rows;
    bool sparse, trimmed;
    struct str root, item;
    const char *insert;
};

static enum err create_table(struct import *im, const struct list_shape *shape, struct diag *d)
{
    struct buf sql;
    buf_init(&sql, 1u << 16);
    buf_put_z(&sql, "CREATE TABLE ");
    put_name(&sql, 'l', im->number);
    buf_put_z(&sql, "(r INTEGER PRIMARY KEY");
    for (uint32_t c = 0; c < shape->column_count; c++) {
        buf_put_z(&sql, ",c");
        buf_put_u64(&sql, c);
        buf_put_z(&sql, " TEXT");
    }
    buf_put_char(&sql, ')');
    enum err rc = exec(im->s, &sql, d);
    buf_init(&sql, 1u << 16);
    buf_put_z(&sql, "INSERT INTO ");
    put_name(&sql, 'l', im->number);
    buf_put_z(&sql, " VALUES(?");
    for (uint32_t c = 0; c < shape->column_count; c++)
        buf_put_z(&sql, ",?");
    buf_put_char(&sql, ')');
    im->insert = sql_text(&im->s->work, &sql);
    return rc ? rc : im->insert ? ERR_OK : no_memory(d);
}

static enum err import_shape(void *self, const struct list_shape *shape, struct diag *d)
{
    struct import *im = self;
    struct stmt *stmt = NULL;
    enum err rc = ERR_OK;
    im->columns = shape->column_count;
    im->sparse = shape->sparse;
    im->root = arena_str(&im->s->work, shape->root);
    im->item = arena_str(&im->s->work, shape->item);
    if (!im->root.p || !im->item.p)
        return no_memory(d);
    for (uint32_t c = 0; !rc && c < shape->column_count; c++) {
        rc = db_prepare(im->s->db, "INSERT INTO list_column VALUES(?,?,?,'?')", &stmt, d);
        if (rc)
            return rc;
        bind_i64(stmt, 1, im->number);
        bind_i64(stmt, 2, c);
        bind_text(stmt, 3, shape->columns[c]);
        rc = stmt_run(stmt, d);
    }
    return rc ? rc : create_table(im, shape, d);
}

static enum err import_row(void *self, const struct str *cells, struct diag *d)
{
    struct import *im = self;
    struct stmt *stmt = NULL;
    enum err rc = db_prepare(im->s->db, im->insert, &stmt, d);
    if (rc)
        return rc;
    bind_i64(stmt, 1, ++im->rows);
    for (uint32_t c = 0; c < im->columns; c++) {
        bind_text(stmt, (int)c + 2, cells[c]);
        im->trimmed = im->trimmed && str_trim(cells[c]).n == cells[c].n;
    }
    return stmt_run(stmt, d);
}

/* Lists of the same name that another hash has replaced go with it. */
static enum err drop_older(struct list_store *s, struct str uri, struct diag *d)
{
    struct stmt *stmt = NULL;
    bool row = true;
    VEC(uint32_t) numbers = {0};
    enum err rc = db_prepare(s->db, "SELECT number, rows FROM list WHERE uri=?", &stmt, d);
    if (rc)
        return rc;
    bind_text(stmt, 1, uri);
    while (!rc && !(rc = stmt_step(stmt, &row, d)) && row) {
        uint32_t *slot = vec_push(&s->work, &numbers);
        if (slot)
            *slot = (uint32_t)col_i64(stmt, 0);
        else
            rc = no_memory(d);
    }
    stmt_done(stmt);
    for (uint32_t i = 0; !rc && i < numbers.count; i++) {
        static const char *const deletes[] = {"DELETE FROM list WHERE number=?",
                                              "DELETE FROM list_column WHERE list=?"};
        struct buf sql;
        buf_init(&sql, 256);
        buf_put_z(&sql, "DROP TABLE IF EXISTS ");
        put_name(&sql, 'l', numbers.at[i]);
        rc = exec(s, &sql, d);
        for (uint32_t k = 0; !rc && k < 2; k++) {
            rc = db_prepare(s->db, deletes[k], &stmt, d);
            if (rc)
                break;
            bind_i64(stmt, 1, numbers.at[i]);
            rc = stmt_run(stmt, d);
        }
    }
    return rc;
}

static enum err next_number(struct list_store *s, uint32_t *out, struct diag *d)
{
    struct stmt *stmt = NULL;
    bool row = false;
    enum err rc = db_prepare(s->db, "SELECT ifnull(max(number),0)+1 FROM list", &stmt, d);
    if (!rc)
        rc = stmt_step(stmt, &row, d);
    if (!rc)
        *out = (uint32_t)col_i64(stmt, 0);
    stmt_done(stmt);
    return rc;
}

/* A list that is better in memory is noted with rows NULL, so that it is not tried again. */
static enum err note_list(struct import *im, bool kept, struct diag *d)
{
    struct stmt *stmt = NULL;
    enum err rc = db_prepare(im->s->db, "INSERT INTO list VALUES(?,?,?,?,?,?,?,?)", &stmt, d);
    if (rc)
        return rc;
    bind_i64(stmt, 1, im->number);
    bind_blob(stmt, 2, im->key, LIST_HASH_SIZE);
    bind_text(stmt, 3, im->uri);
    bind_text(stmt, 4, im->root);
    bind_text(stmt, 5, im->item);
    if (kept)
        bind_i64(stmt, 6, im->rows);
    else
        bind_null(stmt, 6);
    bind_i64(stmt, 7, im->sparse);
    bind_i64(stmt, 8, im->trimmed);
    return stmt_run(stmt, d);
}

static enum err read_source(void *self, size_t at, char *out, size_t room, size_t *n_out, struct diag *d)
{
    struct import *im = self;
    return im->s->source.read(im->s->source.self, im->uri, at, out, room, n_out, d);
}

static enum err import_within(struct import *im, struct diag *d)
{
    struct diag why = {0};
    struct list_bytes bytes = {im, read_source};
    struct list_sink sink = {im, import_shape, import_row};
    enum err rc = list_import(im->uri, &bytes, &sink, &why);
    bool kept = !rc && im->rows > LIST_MEMORY_ROWS;
    if (rc && rc != ERR_STATE)
        return diag_set(d, rc, "%s", why.text);
    if (!kept && im->insert) {
        struct buf sql;
        buf_init(&sql, 256);
        buf_put_z(&sql, "DROP TABLE ");
        put_name(&sql, 'l', im->number);
        rc = exec(im->s, &sql, d);
    } else {
        rc = ERR_OK;
    }
    return rc ? rc : note_list(im, kept, d);
}

static enum err import_list(struct list_store *s, struct str uri, const unsigned char *key, struct diag *d)
{
    struct import im = {.s = s, .uri = uri, .key = key, .trimmed = true, .root = STR(""), .item = STR("")};
    struct txn t = {0};
    enum err rc = txn_begin(&t, s->db, d);
    if (!rc)
        rc = drop_older(s, uri, d);
    if (!rc)
        rc = next_number(s, &im.number, d);
    if (!rc)
        rc = import_within(&im, d);
    if (!rc)
        rc = txn_commit(&t, d);
    txn_rollback(&t);
    return rc;
}

/* --- opening a list --- */

static const char *row_select(struct list_store *s, const struct kept_list *l)
{
    struct buf sql;
    buf_init(&sql, 1u << 16);
    buf_put_z(&sql, "SELECT ");
    for (uint32_t c = 0; c < l->shape.column_count; c++) {
        if (c)
            buf_put_char(&sql, ',');
        put_name(&sql, 'c', c);
    }
    buf_put_z(&sql, " FROM ");
    put_name(&sql, 'l', l->number);
    buf_put_z(&sql, " WHERE r=?");
    return sql_text(&s->arena, &sql);
}

static enum err read_columns(struct list_store *s, struct kept_list *l, struct diag *d)
{
    struct stmt *stmt = NULL;
    bool row = true;
    VEC(struct str) names = {0};
    l->numeric = arena_alloc(&s->arena, LIST_COLUMNS_MAX);
    enum err rc = l->numeric
                      ? db_prepare(s->db,
                                   "SELECT name, numeric FROM list_column WHERE list=? ORDER BY number",
                                   &stmt, d)
                      : no_memory(d);
    if (rc)
        return rc;
    bind_i64(stmt, 1, l->number);
    while (!rc && !(rc = stmt_step(stmt, &row, d)) && row && names.count < LIST_COLUMNS_MAX) {
        struct str *name = vec_push(&s->arena, &names);
        struct str numeric = col_text(stmt, 1);
        if (name)
            *name = arena_str(&s->arena, col_text(stmt, 0));
        if (!name || !name->p)
            rc = no_memory(d);
        else
            l->numeric[names.count - 1] = numeric.n ? numeric.p[0] : '?';
    }
    stmt_done(stmt);
    l->shape.columns = names.at;
    l->shape.column_count = names.count;
    l->select = row_select(s, l);
    return rc || l->select ? rc : no_memory(d);
}

/* ERR_NOT_FOUND: not imported yet; ERR_STATE: better in memory. */
static enum err read_list(struct list_store *s, const unsigned char *key, struct kept_list *l, struct diag *d)
{
    struct stmt *stmt = NULL;
    bool row = false;
    enum err rc = db_prepare(s->db, "SELECT number, root, item, rows, sparse, trimmed FROM list WHERE key=?",
                             &stmt, d);
    if (rc)
        return rc;
    bind_blob(stmt, 1, key, LIST_HASH_SIZE);
    rc = stmt_step(stmt, &row, d);
    if (!rc && !row)
        rc = ERR_NOT_FOUND;
    else if (!rc && col_null(stmt, 3))
        rc = ERR_STATE;
    if (!rc) {
        l->number = (uint32_t)col_i64(stmt, 0);
        l->shape.root = arena_str(&s->arena, col_text(stmt, 1));
        l->shape.item = arena_str(&s->arena, col_text(stmt, 2));
        l->shape.row_count = (uint32_t)col_i64(stmt, 3);
        l->shape.sparse = col_i64(stmt, 4) != 0;
        l->trimmed = col_i64(stmt, 5) != 0;
    }
    stmt_done(stmt);
    return rc ? rc : read_columns(s, l, d);
}

/* The list already open under this number, so that sessions share it. */
static uint32_t open_already(const struct list_store *s, uint32_t number)
{
    uint32_t i = 0;
    while (i < s->count && s->lists[i]->number != number)
        i++;
    return i;
}

static enum err open_kept(struct list_store *s, struct str uri, const unsigned char *key, uint32_t *list_out,
                          struct diag *d)
{
    struct kept_list *l = ARENA_NEW(&s->arena, struct kept_list);
    enum err rc = l ? read_list(s, key, l, d) : no_memory(d);
    if (rc == ERR_NOT_FOUND) {
        rc = import_list(s, uri, key, d);
        if (!rc)
            rc = read_list(s, key, l, d);
    }
    if (rc)
        return rc;
    uint32_t at = open_already(s, l->number);
    if (at == LISTS_MAX)
        return diag_set(d, ERR_LIMIT, "more than %u lists are in use", LISTS_MAX);
    if (at == s->count) {
        s->lists[s->count++] = l;
        l->shape.list = at;
    }
    *list_out = at;
    return ERR_OK;
}

static enum err room_for_row(struct list_store *s, uint32_t columns, struct diag *d)
{
    if (columns <= s->row_room)
        return ERR_OK;
    struct str *cells = ARENA_ARRAY(&s->arena, struct str, columns);
    if (!cells)
        return no_memory(d);
    s->row_cells = cells;
    s->row_room = columns;
    s->row = 0;
    return ERR_OK;
}

static enum err list_key(struct list_store *s, struct str uri, unsigned char key[LIST_HASH_SIZE],
                         struct diag *d)
{
    struct buf named;
    unsigned char hash[LIST_HASH_SIZE];
    enum err rc = s->source.hash(s->source.self, uri, hash, d);
    buf_init(&named, 1u << 16);
    buf_put(&named, hash, sizeof(hash));
    buf_put_str(&named, uri);
    if (!rc)
        rc = named.failed ? no_memory(d) : sha256(buf_str(&named), key);
    buf_free(&named);
    return rc;
}

static enum err host_open(void *self, struct str uri, const struct list_wish *wishes, uint32_t wish_count,
                          struct list_shape *shape_out, struct diag *d)
{
    struct list_store *s = self;
    unsigned char key[LIST_HASH_SIZE];
    uint32_t list = 0;
    struct arena_mark mark = arena_mark(&s->work);
    enum err rc = list_key(s, uri, key, d);
    if (!rc)
        rc = open_kept(s, uri, key, &list, d);
    struct kept_list *l = rc ? NULL : s->lists[list];
    if (l)
        rc = room_for_row(s, l->shape.column_count, d);
    for (uint32_t i = 0; !rc && i < wish_count; i++)
        rc = make_index(s, l, list, &wishes[i], d);
    if (!rc)
        *shape_out = l->shape;
    arena_release(&s->work, mark);
    return rc;
}

/* --- the store --- */

enum err list_store_open(const char *path, const char *vfs, const struct list_source *source,
                         struct list_store **store_out, struct diag *d)
{
    struct arena arena;
    arena_init(&arena, (size_t)16 << 20);
    struct list_store *s = ARENA_NEW(&arena, struct list_store);
    if (!s) {
        arena_free(&arena);
        return no_memory(d);
    }
    s->arena = arena;
    s->source = *source;
    arena_init(&s->work, (size_t)16 << 20);
    buf_init(&s->row_text, (size_t)16 << 20);
    s->host = (struct list_host){.self = s,
                                 .open = host_open,
                                 .rows = host_rows,
                                 .count = host_count,
                                 .cell = host_cell,
                                 .numeric = host_numeric};
    const struct db_options o = {.path = path,
                                 .vfs = vfs,
                                 .migrations = migrations,
                                 .migration_count = sizeof(migrations) / sizeof(*migrations),
                                 .application_id = 0x64736c73};
    enum err rc = db_open(&o, &s->db, d);
    /* An index over a million rows is sorted in files, not in memory: lists are public, handhelds are small.
     */
    if (!rc)
        rc = db_exec(s->db, "PRAGMA temp_store = FILE", d);
    if (rc) {
        list_store_close(s);
        return rc;
    }
    *store_out = s;
    return ERR_OK;
}

void list_store_close(struct list_store *s)
{
    if (!s)
        return;
    db_close(s->db);
    buf_free(&s->row_text);
    arena_free(&s->work);
    struct arena arena = s->arena; /* the store lies in it */
    arena_free(&arena);
}

const struct list_host *list_store_host(struct list_store *s)
{
    return &s->host;
}
