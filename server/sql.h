/* Statements for the store's verbs, the same over SQLite and PostgreSQL: literal SQL with ?N parameters in
 * the words that both understand (docs/decisions/postgresql.md lists them), values bound by number, rows read
 * by column.
 *
 * Always true: SQL is never built from input; a text that is bound is UTF-8 without NUL, else the statement
 * fails with ERR_SYNTAX on both; 64-bit ids are stored bit by bit as signed integers. A statement is taken by
 * sql_prepare and given back by stmt_done or stmt_run; taking one more than STMT_MAX at once is a mistake of
 * ours.
 */
#ifndef DOORSTEP_SERVER_SQL_H
#define DOORSTEP_SERVER_SQL_H

#include "server/sql_ops.h"

#define STMT_MAX 72

struct stmt {
    const struct sql_ops *ops;
    void *at; /* NULL = free */
    bool bad_text;
};

struct sql {
    const struct sql_ops *ops;
    void *db;
    struct stmt in_use[STMT_MAX];
};

void sql_close(struct sql *s); /* accepts a zeroed one */

static inline enum err sql_prepare(struct sql *s, const char *sql, struct stmt **q_out, struct diag *d)
{
    struct stmt *q = s->in_use;
    while (q->at) {
        q++;
        CHECK(q < s->in_use + STMT_MAX);
    }
    q->ops = s->ops;
    q->bad_text = false;
    enum err rc = s->ops->prepare(s->db, sql, &q->at, d);
    if (rc)
        q->at = NULL;
    else
        *q_out = q;
    return rc;
}

static inline void stmt_done(struct stmt *q) /* accepts NULL, and one that is done */
{
    if (q && q->at) {
        q->ops->done(q->at);
        q->at = NULL;
    }
}

static inline void bind_null(struct stmt *q, int index)
{
    q->ops->bind_null(q->at, index);
}

static inline void bind_i64(struct stmt *q, int index, int64_t v)
{
    q->ops->bind_i64(q->at, index, v);
}

static inline void bind_double(struct stmt *q, int index, double v)
{
    q->ops->bind_double(q->at, index, v);
}

/* Text and blob: p NULL binds NULL; the bytes must live until the statement is done. */
static inline void bind_text(struct stmt *q, int index, struct str v)
{
    q->bad_text |= v.p && !utf8_valid(v);
    q->ops->bind_text(q->at, index, v);
}

static inline void bind_blob(struct stmt *q, int index, const void *p, size_t n)
{
    q->ops->bind_blob(q->at, index, p, n);
}

static inline enum err stmt_text_bad(struct diag *d)
{
    return diag_set(d, ERR_SYNTAX, "A text that was to be stored is not UTF-8, or holds a NUL.");
}

/* One step. *row_out tells whether a row is there. */
static inline enum err stmt_step(struct stmt *q, bool *row_out, struct diag *d)
{
    return q->bad_text ? stmt_text_bad(d) : q->ops->step(q->at, row_out, d);
}

/* Without rows, to the end; then done, whether it failed or not. Inside a transaction a failure may be told
 * by a later call, at the latest by the commit. */
static inline enum err stmt_run(struct stmt *q, struct diag *d)
{
    enum err rc = q->bad_text ? stmt_text_bad(d) : q->ops->run(q->at, d);
    stmt_done(q);
    return rc;
}

static inline int64_t col_i64(struct stmt *q, int column)
{
    return q->ops->col_i64(q->at, column);
}

static inline double col_double(struct stmt *q, int column)
{
    return q->ops->col_double(q->at, column);
}

static inline bool col_null(struct stmt *q, int column)
{
    return q->ops->col_null(q->at, column);
}

/* Valid until the next step; p NULL for NULL. */
static inline struct str col_text(struct stmt *q, int column)
{
    return q->ops->col_text(q->at, column);
}

static inline struct str col_blob(struct stmt *q, int column)
{
    return q->ops->col_blob(q->at, column);
}

#endif
