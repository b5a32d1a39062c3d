/* A county from one store to another: for backups of a PostgreSQL county into a file, for putting backups
 * back, and so for moving between the two.
 *
 * Which tables and columns there are is read from the SQLite side, so that no table can be forgotten; names
 * in the SQL come from the schema, values are bound. Rows are read in pages along their key, inside one
 * transaction that sees one moment, and written in one transaction.
 *
 * Always true: the copy has every row of the county or nothing of it. It does not copy other counties.
 */
#include "server/store_impl.h"

#define COLUMNS_MAX 32
#define TABLES_MAX 128
#define PAGE_ROWS 32 /* of frames, of which each may have some MB */
#define SQL_MAX 8192

struct column {
    struct str name;
    char type;   /* 'I', 'T', 'B', 'R', as its declaration begins */
    int64_t key; /* its place in the primary key, from 1; 0 = none */
};

struct table {
    struct str name;
    struct column columns[COLUMNS_MAX];
    uint32_t count, county;    /* county: the column of that name */
    uint32_t key[COLUMNS_MAX]; /* columns of the key, without the county */
    uint32_t key_count;
};

struct copying {
    struct cstore *from, *to, *plan; /* plan: the one that is a SQLite file */
    struct arena *a;
    struct diag *d;
};

static enum err tables_list(struct copying *c, struct str *names, uint32_t *count_out)
{
    struct stmt *q = NULL;
    bool row = false;
    uint32_t n = 0;
    enum err rc =
        sql_prepare(&c->plan->sql,
                    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
                    " AND name <> 'schema_migration' ORDER BY name",
                    &q, c->d);
    if (rc)
        return rc;
    while (!(rc = stmt_step(q, &row, c->d)) && row) {
        CHECK(n < TABLES_MAX);
        if (keep(c->a, col_text(q, 0), &names[n++])) {
            rc = no_memory(c->d);
            break;
        }
    }
    stmt_done(q);
    *count_out = n;
    return rc;
}

static enum err columns_list(struct copying *c, struct table *t)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = sql_prepare(&c->plan->sql, "SELECT name, type, pk FROM pragma_table_info(?1) ORDER BY cid",
                              &q, c->d);
    if (rc)
        return rc;
    bind_text(q, 1, t->name);
    while (!(rc = stmt_step(q, &row, c->d)) && row) {
        CHECK(t->count < COLUMNS_MAX);
        struct column *at = &t->columns[t->count];
        struct str type = col_text(q, 1);
        at->type = type.n ? type.p[0] : 'B';
        at->key = col_i64(q, 2);
        if (keep(c->a, col_text(q, 0), &at->name)) {
            rc = no_memory(c->d);
            break;
        }
        if (str_eq_z(at->name, "county"))
            t->county = t->count;
        t->count++;
    }
    stmt_done(q);
    CHECK(rc || str_eq_z(t->columns[t->county].name, "county"));
    for (int64_t place = 1; place <= (int64_t)t->count; place++)
        for (uint32_t i = 0; i < t->count; i++)
            if (t->columns[i].key == place && i != t->county)
                t->key[t->key_count++] = i;
    return rc;
}

static void names_put(struct buf *b, const struct table *t, bool key)
{
    uint32_t n = key ? t->key_count : t->count;
    for (uint32_t i = 0; i < n; i++)
        buf_printf(b, "%s\"%.*s\"", i ? ", " : "", STR_ARG(t->columns[key ? t->key[i] : i].name));
}

static void numbers_put(struct buf *b, uint32_t from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        buf_printf(b, "%s?%u", i ? ", " : "", from + i);
}

/* The first page, or one behind the key that is bound from ?2 on. */
static enum err select_text(struct copying *c, const struct table *t, bool first, const char **out)
{
    struct buf b;
    buf_init(&b, SQL_MAX);
    buf_put_z(&b, "SELECT ");
    names_put(&b, t, false);
    buf_printf(&b, " FROM \"%.*s\" WHERE county = ?1", STR_ARG(t->name));
    if (t->key_count && !first) {
        buf_put_z(&b, " AND (");
        names_put(&b, t, true);
        buf_put_z(&b, ") > (");
        numbers_put(&b, 2, t->key_count);
        buf_put_z(&b, ")");
    }
    if (t->key_count) {
        buf_put_z(&b, " ORDER BY ");
        names_put(&b, t, true);
    }
    buf_printf(&b, " LIMIT %d", PAGE_ROWS);
    *out = b.failed ? NULL : arena_z(c->a, buf_str(&b));
    buf_free(&b);
    return *out ? ERR_OK : no_memory(c->d);
}

static enum err insert_text(struct copying *c, const struct table *t, const char **out)
{
    struct buf b;
    buf_init(&b, SQL_MAX);
    buf_printf(&b, "INSERT INTO \"%.*s\" (", STR_ARG(t->name));
    names_put(&b, t, false);
    buf_put_z(&b, ") VALUES (");
    numbers_put(&b, 1, t->count);
    buf_put_z(&b, ")");
    *out = b.failed ? NULL : arena_z(c->a, buf_str(&b));
    buf_free(&b);
    return *out ? ERR_OK : no_memory(c->d);
}

/* A value of a row that was read, as the n-th of another statement. */
static void value_bind(struct stmt *to, int index, struct stmt *from, uint32_t column, char type)
{
    if (col_null(from, (int)column))
        bind_null(to, index);
    else if (type == 'I')
        bind_i64(to, index, col_i64(from, (int)column));
    else if (type == 'R')
        bind_double(to, index, col_double(from, (int)column));
    else if (type == 'T')
        bind_text(to, index, col_text(from, (int)column));
    else
        bind_blob(to, index, col_blob(from, (int)column).p, col_blob(from, (int)column).n);
}

static enum err row_copy(struct copying *c, const struct table *t, const char *insert, struct stmt *row)
{
    struct stmt *q = NULL;
    enum err rc = sql_prepare(&c->to->sql, insert, &q, c->d);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < t->count; i++)
        value_bind(q, (int)i + 1, row, i, t->columns[i].type);
    bind_i64(q, (int)t->county + 1, c->to->county);
    return stmt_run(q, c->d);
}

/* The key of the last row of a page. */
struct place {
    bool any;
    int64_t numbers[COLUMNS_MAX];
    struct str bytes[COLUMNS_MAX];
};

static enum err place_keep(struct arena *a, const struct table *t, struct stmt *row, struct place *out,
                           struct diag *d)
{
    out->any = true;
    for (uint32_t i = 0; i < t->key_count; i++) {
        const struct column *column = &t->columns[t->key[i]];
        out->numbers[i] = column->type == 'I' ? col_i64(row, (int)t->key[i]) : 0;
        if (column->type != 'I' && keep(a, col_blob(row, (int)t->key[i]), &out->bytes[i]))
            return no_memory(d);
    }
    return ERR_OK;
}

static void place_bind(struct stmt *q, const struct table *t, const struct place *p)
{
    for (uint32_t i = 0; i < t->key_count; i++) {
        char type = t->columns[t->key[i]].type;
        if (type == 'I')
            bind_i64(q, (int)i + 2, p->numbers[i]);
        else if (type == 'T')
            bind_text(q, (int)i + 2, p->bytes[i]);
        else
            bind_blob(q, (int)i + 2, p->bytes[i].p, p->bytes[i].n);
    }
}

static enum err page_copy(struct copying *c, const struct table *t, const char *select, const char *insert,
                          struct arena *keys, struct place *p, uint32_t *rows_out)
{
    struct stmt *q = NULL;
    bool row = false;
    struct place next = {0};
    enum err rc = sql_prepare(&c->from->sql, select, &q, c->d);
    *rows_out = 0;
    if (rc)
        return rc;
    bind_i64(q, 1, c->from->county);
    if (p->any)
        place_bind(q, t, p);
    while (!(rc = stmt_step(q, &row, c->d)) && row) {
        rc = row_copy(c, t, insert, q);
        if (!rc)
            rc = place_keep(keys, t, q, &next, c->d);
        if (rc)
            break;
        ++*rows_out;
    }
    stmt_done(q);
    *p = next;
    return rc;
}

static enum err table_copy(struct copying *c, struct str name)
{
    struct table t = {.name = name};
    struct place place = {0};
    struct arena keys[2];
    const char *first = NULL, *rest = NULL, *insert = NULL;
    uint32_t rows = 0, page = 0;
    enum err rc = columns_list(c, &t);
    if (!rc)
        rc = select_text(c, &t, true, &first);
    if (!rc)
        rc = select_text(c, &t, false, &rest);
    if (!rc)
        rc = insert_text(c, &t, &insert);
    arena_init(&keys[0], 1u << 22);
    arena_init(&keys[1], 1u << 22);
    do {
        struct arena *into = &keys[page++ % 2]; /* the last place lies in the other one */
        arena_free(into);
        arena_init(into, 1u << 22);
        if (!rc)
            rc = page_copy(c, &t, place.any ? rest : first, insert, into, &place, &rows);
    } while (!rc && t.key_count && rows == PAGE_ROWS);
    arena_free(&keys[0]);
    arena_free(&keys[1]);
    return rc;
}

/* Where several counties share a database, the next free number. */
static enum err number_take(struct copying *c)
{
    struct stmt *q = NULL;
    bool row = false;
    if (c->to->county)
        return ERR_OK;
    enum err rc = sql_prepare(&c->to->sql, "SELECT coalesce(max(county), 0) + 1 FROM county", &q, c->d);
    if (!rc)
        rc = stmt_step(q, &row, c->d);
    if (!rc)
        c->to->county = col_i64(q, 0);
    stmt_done(q);
    return rc;
}

/* The copy stands in the line of history of where it is. */
static enum err line_write(struct copying *c)
{
    struct stmt *q = NULL;
    enum err rc = statement(c->to, "UPDATE county SET line = ?2 WHERE county = ?1", &q, c->d);
    if (rc)
        return rc;
    bind_text(q, 2, c->to->sql.ops->line(c->to->sql.db));
    return stmt_run(q, c->d);
}

static enum err tables_copy(struct copying *c)
{
    static const char one_moment[] = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";
    struct str names[TABLES_MAX];
    struct stmt *q = NULL;
    uint32_t count = 0;
    enum err rc = ERR_OK;
    if (c->from->sql.ops->shared) {
        rc = sql_prepare(&c->from->sql, one_moment, &q, c->d);
        if (!rc)
            rc = stmt_run(q, c->d);
    }
    if (!rc)
        rc = tables_list(c, names, &count);
    if (!rc)
        rc = number_take(c);
    for (uint32_t i = 0; !rc && i < count; i++)
        rc = table_copy(c, names[i]);
    return rc ? rc : line_write(c);
}

enum err cstore_copy(struct cstore *from, struct cstore *to, int64_t *county_out, struct diag *d)
{
    struct arena memory;
    CHECK(!from->txn.open && !to->txn.open && (!from->sql.ops->shared || !to->sql.ops->shared));
    arena_init(&memory, 1u << 22);
    struct copying c = {from, to, from->sql.ops->shared ? to : from, &memory, d};
    enum err rc = from->sql.ops->begin(from->sql.db, d);
    from->txn.open = !rc;
    if (!rc)
        rc = to->sql.ops->begin(to->sql.db, d);
    to->txn.open = !rc;
    if (!rc)
        rc = tables_copy(&c);
    if (!rc)
        rc = to->sql.ops->commit(to->sql.db, d);
    if (!rc) {
        to->txn.open = false;
        *county_out = to->county;
    }
    cstore_rollback(to);
    cstore_rollback(from);
    arena_free(&memory);
    return rc;
}

enum err cstore_backup(struct cstore *s, const char *path, const char *vfs, struct diag *d)
{
    struct cstore *to = NULL;
    int64_t county = 0;
    if (s->sql.ops->backup)
        return s->sql.ops->backup(s->sql.db, path, d);
    const struct cstore_place place = {.seam = s->seam, .path = path, .vfs = vfs, .county = 1};
    enum err rc = cstore_open(&place, &to, d);
    if (!rc)
        rc = cstore_copy(s, to, &county, d);
    cstore_close(to);
    return rc;
}
