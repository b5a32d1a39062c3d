/* The centre's database in PostgreSQL 15 or later, through libpq: the only place that includes it.
 *
 * Statements are prepared once per connection, values travel in binary form, and libpq's pipeline is always
 * on: inside a transaction a statement without rows is sent and not waited for, so that taking in a frame
 * costs a few round trips instead of one for each row. A failure of such a statement is told by the next one
 * that waits, at the latest by the commit.
 *
 * Always true: a connection that broke is found out by whoever uses it, is ERR_BUSY for a transaction that
 * had begun, and is opened anew for the next; a read outside of a transaction, and the first read inside one,
 * are asked again by themselves. With several hosts in the connection string the one that takes writes is
 * looked for each time. What is in the schema's text in SQLite's words is read in PostgreSQL's here.
 */
#include <libpq-fe.h>

#include "platform/base/arena.h"
#include "platform/base/num.h"
#include "server/sql_ops.h"

#define PREPARED_MAX 512
#define PARAMS_MAX 32
#define QUERIES_MAX 72
#define UNREAD_MAX 64 /* commands whose results wait; more could fill the sockets both ways */
#define UNREAD_BYTES (1u << 18)
#define SQL_TEXT_MAX (1u << 18)
#define MEMORY_MAX (8u << 20)
#define PARTITIONS_MAX 1024
#define MIGRATION_LOCK "4924271" /* any number: who brings the tables up to date holds it */

/* Types by their numbers in pg_type: fixed for ever. */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_FLOAT8 = 701,
    OID_VARCHAR = 1043,
    OID_NUMERIC = 1700
};

/* A text that was prepared on the connection. */
struct prepared {
    const char *sql; /* a literal of ours */
    uint64_t hash;
    const char *text; /* the same in PostgreSQL's words */
    uint64_t sent;    /* number of the command that prepared it; 0 = not on this connection */
    uint32_t number;  /* its name is sNUMBER */
    uint32_t params;  /* of which the type is stated */
    Oid types[PARAMS_MAX];
};

struct query {
    struct pg *pg;
    struct prepared *p;
    bool busy, sent;
    uint64_t asked; /* number of the command that was sent ahead; 0 = none */
    uint32_t params;
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX];
    Oid types[PARAMS_MAX];
    int64_t numbers[PARAMS_MAX]; /* in network order */
    PGresult *rows;
    int at; /* the row that is read; -1 before the first */
};

struct pg {
    struct arena memory;
    const char *url;
    PGconn *conn;
    bool in_pipeline, in_txn, fresh_txn; /* fresh: nothing but BEGIN was sent */
    bool failed;                         /* a command of this transaction failed */
    bool sync_owed;                      /* commands outside a transaction were sent ahead */
    bool gone;                           /* the server said that it ends, or that it only reads */
    uint64_t sent, read;                 /* commands; those between have results that were not read */
    size_t unread_bytes;
    uint32_t names;
    struct diag late; /* what failed among those */
    struct prepared prepared[PREPARED_MAX];
    uint32_t prepared_count;
    struct query queries[QUERIES_MAX];
    char line[64];
};

/* ---- errors ---- */

/* By SQLSTATE, its class or the whole; the first row that fits. */
static const struct {
    const char *state;
    enum err cause;
} causes[] = {
    {"23505", ERR_EXISTS}, {"23", ERR_CORRUPT},    {"22021", ERR_SYNTAX},  {"22P05", ERR_SYNTAX},
    {"40", ERR_BUSY},      {"55P03", ERR_BUSY},    {"57", ERR_BUSY},       {"08", ERR_BUSY},
    {"25006", ERR_BUSY},   {"25P03", ERR_BUSY},    {"53100", ERR_FULL},    {"53200", ERR_NOMEM},
    {"53", ERR_BUSY},      {"54", ERR_LIMIT},      {"28", ERR_DENIED},     {"42501", ERR_DENIED},
    {"42", ERR_USAGE},     {"XX001", ERR_CORRUPT}, {"XX002", ERR_CORRUPT},
};

static enum err cause_of(const char *state)
{
    for (size_t i = 0; state && i < sizeof causes / sizeof causes[0]; i++)
        if (str_starts(str_of(state), str_of(causes[i].state)))
            return causes[i].cause;
    return ERR_IO;
}

static bool is_dead(const struct pg *pg)
{
    return pg->gone || !pg->conn || PQstatus(pg->conn) != CONNECTION_OK;
}

static enum err dead(const struct pg *pg, struct diag *d)
{
    struct str said = str_trim(str_of(pg->conn ? PQerrorMessage(pg->conn) : ""));
    if (!said.n)
        said = STR("the connection was closed");
    return diag_set(d, ERR_BUSY, "The centre's database cannot be reached just now: %.*s", STR_ARG(said));
}

static enum err result_fail(const PGresult *r, struct diag *d)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *what = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    return diag_set(d, cause_of(state), "The centre's database did not do it: %s (PostgreSQL %s).",
                    what ? what : "no reason given", state ? state : "without a code");
}

/* ---- the pipeline ---- */

static bool sent_one(struct pg *pg, int ok, size_t bytes)
{
    if (!ok)
        return false;
    pg->sent++;
    pg->unread_bytes += bytes;
    return true;
}

static bool result_good(const PGresult *r)
{
    ExecStatusType status = PQresultStatus(r);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

/* What failed, and what was sent behind it, was not prepared. */
static void note_failure(struct pg *pg, const PGresult *r)
{
    struct str state = str_of(PQresultErrorField(r, PG_DIAG_SQLSTATE));
    pg->failed = true;
    pg->gone |= str_starts(state, STR("57P")) || str_eq_z(state, "25006");
    if (PQresultStatus(r) != PGRES_PIPELINE_ABORTED)
        (void)result_fail(r, &pg->late);
    for (uint32_t i = 0; i < pg->prepared_count; i++)
        if (pg->prepared[i].sent > pg->read)
            pg->prepared[i].sent = 0;
}

/* Reads results up to the command `upto`; the rows of that one, if it gives any. */
static enum err results_read(struct pg *pg, uint64_t upto, PGresult **last_out, struct diag *d)
{
    while (pg->read < upto) {
        PGresult *r = PQgetResult(pg->conn);
        if (!r && is_dead(pg))
            return dead(pg, d);
        if (!r) { /* the end of one command's results */
            pg->read++;
            continue;
        }
        if (!result_good(r))
            note_failure(pg, r);
        if (last_out && pg->read + 1 == upto && !*last_out)
            *last_out = r;
        else
            PQclear(r);
        if (is_dead(pg))
            return dead(pg, d);
    }
    pg->unread_bytes = 0;
    return ERR_OK;
}

static enum err sync_read(struct pg *pg, struct diag *d)
{
    PGresult *r = PQgetResult(pg->conn);
    bool good = r && PQresultStatus(r) == PGRES_PIPELINE_SYNC;
    PQclear(r);
    return good ? ERR_OK : dead(pg, d);
}

/* The end of a transaction, or of a command outside one: everything is answered. */
static enum err settle(struct pg *pg, PGresult **last_out, struct diag *d)
{
    if (!PQpipelineSync(pg->conn) || PQflush(pg->conn) < 0)
        return dead(pg, d);
    enum err rc = results_read(pg, pg->sent, last_out, d);
    return rc ? rc : sync_read(pg, d);
}

static enum err simple_send(struct pg *pg, const char *sql, struct diag *d)
{
    bool good = sent_one(pg, PQsendQueryParams(pg->conn, sql, 0, NULL, NULL, NULL, NULL, 1), 0);
    return good ? ERR_OK : dead(pg, d);
}

/* ---- opening ---- */

/* Outside of the pipeline. */
static enum err run_plain(struct pg *pg, const char *sql, struct diag *d)
{
    PGresult *r = PQexec(pg->conn, sql);
    enum err rc = result_good(r) ? ERR_OK : is_dead(pg) ? dead(pg, d) : result_fail(r, d);
    PQclear(r);
    return rc;
}

static enum err text_plain(struct pg *pg, const char *sql, char *out, size_t room, struct diag *d)
{
    PGresult *r = PQexec(pg->conn, sql);
    enum err rc = result_good(r) ? ERR_OK : is_dead(pg) ? dead(pg, d) : result_fail(r, d);
    if (!rc && (PQntuples(r) != 1 || (size_t)PQgetlength(r, 0, 0) >= room))
        rc = diag_set(d, ERR_CORRUPT, "The centre's database answers other than it should.");
    if (!rc)
        memcpy(out, PQgetvalue(r, 0, 0), (size_t)PQgetlength(r, 0, 0) + 1);
    PQclear(r);
    return rc;
}

/* A receipt leaves when the commit is on the disk, whatever the cluster's default says. Plans are made once:
 * every statement is a walk along one key. */
static const char *const settings =
    "SET search_path = doorstep; SET lock_timeout = '20s'; SET idle_in_transaction_session_timeout = '60s';"
    "SET jit = off; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;"
    "SET client_min_messages = warning;"
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off'";

static const char *const line_query =
    "SELECT system_identifier || '-' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
    " FROM pg_control_system()";

static void ignore_notice(void *self, const PGresult *r)
{
    (void)self;
    (void)r;
}

static void hang_up(struct pg *pg)
{
    for (int i = 0; i < QUERIES_MAX; i++) {
        PQclear(pg->queries[i].rows);
        pg->queries[i].rows = NULL;
    }
    PQfinish(pg->conn);
    pg->conn = NULL;
    pg->in_pipeline = pg->in_txn = pg->fresh_txn = pg->failed = pg->gone = false;
    pg->sync_owed = false;
    pg->sent = pg->read = 0;
    pg->unread_bytes = 0;
    for (uint32_t i = 0; i < pg->prepared_count; i++)
        pg->prepared[i].sent = 0;
}

/* What stands before the string is a default, what stands behind it holds. */
static enum err dial(struct pg *pg, struct diag *d)
{
    const char *const names[] = {"connect_timeout",           "target_session_attrs",
                                 "keepalives_idle",           "keepalives_interval",
                                 "keepalives_count",          "tcp_user_timeout",
                                 "fallback_application_name", "dbname",
                                 "client_encoding",           NULL};
    const char *const values[] = {"5",     "read-write", "10",    "3",    "3",
                                  "15000", "doorstepd",  pg->url, "UTF8", NULL};
    hang_up(pg);
    pg->conn = PQconnectdbParams(names, values, 1);
    if (is_dead(pg))
        return dead(pg, d);
    (void)PQsetNoticeReceiver(pg->conn, ignore_notice, NULL);
    enum err rc = run_plain(pg, settings, d);
    if (!rc)
        rc = text_plain(pg, line_query, pg->line, sizeof pg->line, d);
    return rc;
}

static enum err pipeline_on(struct pg *pg, struct diag *d)
{
    pg->in_pipeline = PQenterPipelineMode(pg->conn) == 1;
    return pg->in_pipeline ? ERR_OK : dead(pg, d);
}

static enum err connected(struct pg *pg, struct diag *d)
{
    if (!is_dead(pg) && pg->in_pipeline)
        return ERR_OK;
    enum err rc = dial(pg, d);
    if (!rc)
        rc = pipeline_on(pg, d);
    if (rc)
        hang_up(pg);
    return rc;
}

/* ---- SQLite's words in PostgreSQL's ---- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Where the word ends that begins at `i`. */
static size_t word_end(struct str sql, size_t i)
{
    while (i < sql.n && is_word(sql.p[i]))
        i++;
    return i;
}

/* INDEXED BY is for SQLite's planner. */
static size_t hint_end(struct str sql, size_t i)
{
    const struct str hint = STR("INDEXED BY ");
    return str_starts(str_sub(sql, i, sql.n), hint) ? word_end(sql, i + hint.n) : i;
}

static void statement_words(struct str sql, struct buf *b)
{
    bool quoted = false;
    for (size_t i = 0; i < sql.n; i++) {
        size_t hint = quoted ? i : hint_end(sql, i);
        if (hint > i) {
            i = hint - 1;
            continue;
        }
        quoted ^= sql.p[i] == '\'';
        buf_put_char(b, sql.p[i] == '?' && !quoted ? '$' : sql.p[i]);
    }
}

static const struct {
    const char *from, *to;
} schema_word[] = {{"INTEGER", "bigint"},
                   {"BLOB", "bytea"},
                   {"REAL", "double precision"},
                   {"TEXT", "text COLLATE \"C\""}};

/* One word of the schema, and what stands for it. */
static void schema_put(struct str word, struct buf *b)
{
    for (size_t i = 0; i < sizeof schema_word / sizeof schema_word[0]; i++) {
        if (str_eq_z(word, schema_word[i].from)) {
            buf_put_z(b, schema_word[i].to);
            return;
        }
    }
    buf_put_str(b, word);
}

/* ") STRICT;" and ") STRICT, WITHOUT ROWID;" end a table. */
static void schema_words(struct str sql, bool partitions, struct buf *b)
{
    const struct str strict = STR("STRICT"), rowless = STR(", WITHOUT ROWID");
    bool quoted = false;
    for (size_t i = 0; i < sql.n;) {
        size_t end = quoted ? i : word_end(sql, i);
        if (end == i) {
            quoted ^= sql.p[i] == '\'';
            buf_put_char(b, sql.p[i++]);
            continue;
        }
        if (str_eq(str_sub(sql, i, end - i), strict)) {
            buf_put_z(b, partitions ? "PARTITION BY HASH (county)" : "");
            if (str_starts(str_sub(sql, end, sql.n), rowless))
                end += rowless.n;
        } else {
            schema_put(str_sub(sql, i, end - i), b);
        }
        i = end;
    }
}

/* ---- bringing the tables up to date ---- */

static enum err number_plain(struct pg *pg, const char *sql, int64_t *out, struct diag *d)
{
    char text[32];
    enum err rc = text_plain(pg, sql, text, sizeof text, d);
    if (!rc && !str_to_i64(str_of(text), out))
        rc = diag_set(d, ERR_CORRUPT, "The centre's database answers other than it should.");
    return rc;
}

static enum err version_read(struct pg *pg, int64_t *version_out, struct diag *d)
{
    int64_t there = 0;
    *version_out = 0;
    enum err rc = number_plain(
        pg, "SELECT count(*) FROM pg_class WHERE oid = to_regclass('doorstep.schema_migration')", &there, d);
    if (!rc && there)
        rc = number_plain(pg, "SELECT coalesce(max(version), 0) FROM doorstep.schema_migration", version_out,
                          d);
    return rc;
}

#define FORMAT_PARTITIONS                                                                                \
    "DO $do$ DECLARE t record; BEGIN FOR t IN SELECT relname FROM pg_class c WHERE relkind = 'p' AND"    \
    " relnamespace = 'doorstep'::regnamespace AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent =" \
    " c.oid) LOOP FOR i IN 0..%u LOOP EXECUTE format('CREATE TABLE %%I PARTITION OF %%I FOR VALUES WITH" \
    " (MODULUS %u, REMAINDER %%s)', t.relname || '_p' || i, t.relname, i); END LOOP; END LOOP; END $do$"

static enum err migrate_one(struct pg *pg, const struct sql_migration *m, uint32_t partitions,
                            struct buf *sql, struct diag *d)
{
    buf_clear(sql);
    schema_words(str_of(m->sql), partitions > 0, sql);
    enum err rc = sql->failed ? diag_set(d, sql->failed, "The schema's text is too long.")
                              : run_plain(pg, sql->p, d);
    buf_clear(sql);
    if (!rc && partitions) {
        buf_printf(sql, FORMAT_PARTITIONS, partitions - 1, partitions);
        rc = run_plain(pg, sql->p, d);
    }
    buf_clear(sql);
    buf_printf(sql, "INSERT INTO schema_migration VALUES (%lld)", (long long)m->version);
    return rc ? rc : run_plain(pg, sql->p, d);
}

static enum err migrate_rest(struct pg *pg, uint32_t partitions, const struct sql_migration *migrations,
                             uint32_t count, struct diag *d)
{
    struct buf sql;
    int64_t version = 0, parts = 0;
    buf_init(&sql, SQL_TEXT_MAX);
    enum err rc =
        run_plain(pg,
                  "CREATE SCHEMA IF NOT EXISTS doorstep;"
                  "CREATE TABLE IF NOT EXISTS doorstep.schema_migration (version bigint PRIMARY KEY)",
                  d);
    if (!rc) /* somebody may have been faster */
        rc = version_read(pg, &version, d);
    if (!rc && version) /* as many as the tables have */
        rc = number_plain(pg,
                          "SELECT count(*) FROM pg_inherits WHERE inhparent = 'doorstep.county'::regclass",
                          &parts, d);
    if (!rc && version)
        partitions = (uint32_t)parts;
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (migrations[i].version > version)
            rc = migrate_one(pg, &migrations[i], partitions, &sql, d);
    }
    buf_free(&sql);
    return rc;
}

static enum err migrate(struct pg *pg, uint32_t partitions, const struct sql_migration *migrations,
                        uint32_t count, struct diag *d)
{
    int64_t version = 0, known = count ? migrations[count - 1].version : 0;
    CHECK(partitions <= PARTITIONS_MAX);
    enum err rc = version_read(pg, &version, d);
    if (rc || version == known)
        return rc;
    if (version > known)
        return diag_set(
            d, ERR_VERSION,
            "The database is of data version %lld; this program knows %lld. Use the newer program.",
            (long long)version, (long long)known);
    rc = run_plain(pg, "BEGIN; SELECT pg_advisory_xact_lock(" MIGRATION_LOCK ")", d);
    if (!rc)
        rc = migrate_rest(pg, partitions, migrations, count, d);
    if (!rc)
        rc = run_plain(pg, "COMMIT", d);
    if (rc && !is_dead(pg))
        (void)run_plain(pg, "ROLLBACK", NULL);
    return rc;
}

/* ---- statements ---- */

static struct prepared *prepared_find(struct pg *pg, const char *sql, uint64_t hash)
{
    for (uint32_t i = 0; i < pg->prepared_count; i++)
        if (pg->prepared[i].hash == hash && strcmp(pg->prepared[i].sql, sql) == 0)
            return &pg->prepared[i];
    return NULL;
}

static enum err prepared_make(struct pg *pg, const char *sql, uint64_t hash, struct prepared **out,
                              struct diag *d)
{
    struct buf b;
    if (pg->prepared_count == PREPARED_MAX)
        return diag_set(d, ERR_LIMIT, "More than %d kinds of statements are in use.", PREPARED_MAX);
    buf_init(&b, SQL_TEXT_MAX);
    statement_words(str_of(sql), &b);
    const char *text = b.failed ? NULL : arena_z(&pg->memory, buf_str(&b));
    buf_free(&b);
    const char *copy = arena_z(&pg->memory, str_of(sql));
    if (!text || !copy)
        return diag_set(d, ERR_NOMEM, "Out of memory while preparing a statement.");
    struct prepared *p = &pg->prepared[pg->prepared_count++];
    *p = (struct prepared){.sql = copy, .hash = hash, .text = text};
    *out = p;
    return ERR_OK;
}

static enum err pg_prepare(void *self, const char *sql, void **q_out, struct diag *d)
{
    struct pg *pg = self;
    uint64_t hash = str_hash(str_of(sql));
    struct prepared *p = prepared_find(pg, sql, hash);
    enum err rc = p ? ERR_OK : prepared_make(pg, sql, hash, &p, d);
    if (rc)
        return rc;
    struct query *q = pg->queries;
    while (q->busy) {
        q++;
        CHECK(q < pg->queries + QUERIES_MAX);
    }
    q->pg = pg;
    q->p = p;
    q->busy = true;
    q->sent = false;
    q->asked = 0;
    q->params = 0;
    q->at = -1;
    *q_out = q;
    return ERR_OK;
}

static void bind_value(struct query *q, int index, Oid type, const void *p, size_t n)
{
    CHECK(q->busy && index >= 1 && index <= PARAMS_MAX && n <= INT32_MAX);
    while (q->params < (uint32_t)index) {
        q->values[q->params] = NULL;
        q->types[q->params++] = 0;
    }
    q->values[index - 1] = p;
    q->lengths[index - 1] = (int)n;
    q->types[index - 1] = p ? type : 0;
}

static void pg_bind_null(void *self, int index)
{
    bind_value(self, index, 0, NULL, 0);
}

static int64_t network_order(int64_t v)
{
    uint64_t bits = (uint64_t)v, out = 0;
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(bits >> (56 - 8 * i));
    memcpy(&out, bytes, sizeof out);
    return (int64_t)out;
}

static void pg_bind_i64(void *self, int index, int64_t v)
{
    struct query *q = self;
    CHECK(index >= 1 && index <= PARAMS_MAX);
    q->numbers[index - 1] = network_order(v);
    bind_value(q, index, OID_INT8, &q->numbers[index - 1], sizeof v);
}

static void pg_bind_double(void *self, int index, double v)
{
    struct query *q = self;
    int64_t bits = 0;
    CHECK(index >= 1 && index <= PARAMS_MAX);
    memcpy(&bits, &v, sizeof bits);
    q->numbers[index - 1] = network_order(bits);
    bind_value(q, index, OID_FLOAT8, &q->numbers[index - 1], sizeof v);
}

static void pg_bind_text(void *self, int index, struct str v)
{
    bind_value(self, index, OID_TEXT, v.p, v.n);
}

static void pg_bind_blob(void *self, int index, const void *p, size_t n)
{
    bind_value(self, index, OID_BYTEA, p, n);
}

/* A number that the text leaves out has no type that could be found. */
static bool mentions(const char *text, uint32_t number)
{
    for (const char *at = strchr(text, '$'); at; at = strchr(at + 1, '$')) {
        uint32_t n = 0;
        for (const char *c = at + 1; *c >= '0' && *c <= '9'; c++)
            n = n * 10 + (uint32_t)(*c - '0');
        if (n == number)
            return true;
    }
    return false;
}

/* Whether it was prepared with types that fit; a type that was not known yet is added. */
static bool types_fit(struct prepared *p, const struct query *q)
{
    bool fit = p->params >= q->params;
    for (uint32_t i = 0; i < q->params; i++) {
        Oid had = i < p->params ? p->types[i] : 0;
        if (q->types[i] && q->types[i] != had) {
            p->types[i] = q->types[i];
            fit = false;
        } else if (i >= p->params) {
            p->types[i] = mentions(p->text, i + 1) ? 0 : OID_INT8;
        }
    }
    if (q->params > p->params)
        p->params = q->params;
    return fit;
}

static void name_of(const struct prepared *p, char out[static 16])
{
    char digits[16];
    size_t n = 0;
    for (uint32_t v = p->number; v || !n; v /= 10)
        digits[n++] = (char)('0' + v % 10);
    *out++ = 's';
    while (n)
        *out++ = digits[--n];
    *out = 0;
}

static enum err query_send(struct query *q, struct diag *d)
{
    struct pg *pg = q->pg;
    struct prepared *p = q->p;
    char name[16];
    int formats[PARAMS_MAX];
    size_t bytes = 0;
    bool fit = types_fit(p, q);
    for (uint32_t i = 0; i < q->params; i++) {
        formats[i] = 1;
        bytes += q->values[i] ? (size_t)q->lengths[i] : 0;
    }
    if (!p->sent || !fit) {
        p->number = ++pg->names;
        name_of(p, name);
        if (!sent_one(pg, PQsendPrepare(pg->conn, name, p->text, (int)p->params, p->types), 0))
            return dead(pg, d);
        p->sent = pg->sent;
    }
    name_of(p, name);
    bool good = sent_one(
        pg, PQsendQueryPrepared(pg->conn, name, (int)q->params, q->values, q->lengths, formats, 1), bytes);
    return good ? ERR_OK : dead(pg, d);
}

/* A failure that was not told yet. */
static enum err late_failure(struct pg *pg, struct diag *d)
{
    struct diag why = pg->late;
    diag_clear(&pg->late);
    if (!pg->in_txn)
        pg->failed = false;
    if (!why.text[0])
        return diag_set(d, ERR_IO, "An earlier failure undid this transaction on the centre's database.");
    return diag_set(d, why.code, "%s", why.text);
}

static enum err query_once(struct query *q, struct diag *d)
{
    struct pg *pg = q->pg;
    PQclear(q->rows);
    q->rows = NULL;
    enum err rc = query_send(q, d);
    if (!rc && !pg->in_txn)
        rc = settle(pg, &q->rows, d);
    else if (!rc && (!PQsendFlushRequest(pg->conn) || PQflush(pg->conn) < 0))
        rc = dead(pg, d);
    else if (!rc)
        rc = results_read(pg, pg->sent, &q->rows, d);
    return !rc && pg->failed ? late_failure(pg, d) : rc;
}

/* Where nothing can have been lost, a connection that broke is one that is opened again. */
static enum err query_ask(struct query *q, struct diag *d)
{
    struct pg *pg = q->pg;
    bool again = !pg->in_txn || pg->fresh_txn, begun = pg->in_txn;
    struct diag quiet = {0};
    if (pg->in_txn && pg->failed)
        return late_failure(pg, d);
    enum err rc = pg->in_txn ? ERR_OK : connected(pg, d);
    if (!rc)
        rc = query_once(q, again ? &quiet : d);
    if (again && rc && is_dead(pg)) {
        diag_clear(&pg->late);
        rc = connected(pg, d);
        if (!rc && begun)
            rc = simple_send(pg, "BEGIN", d);
        pg->in_txn = begun;
        if (!rc)
            rc = query_once(q, d);
    } else if (again && rc) {
        (void)diag_set(d, rc, "%s", quiet.text);
    }
    pg->fresh_txn = false;
    q->sent = !rc;
    return rc;
}

static enum err pg_ask(void *self, struct diag *d)
{
    struct query *q = self;
    struct pg *pg = q->pg;
    CHECK(q->busy && !q->sent && !q->asked);
    if (pg->in_txn && pg->failed)
        return late_failure(pg, d);
    enum err rc = pg->in_txn ? ERR_OK : connected(pg, d);
    if (!rc)
        rc = query_send(q, d);
    pg->sync_owed = !pg->in_txn;
    pg->fresh_txn = false;
    q->asked = rc ? 0 : pg->sent;
    return rc;
}

/* The answer to what was sent ahead; the first of several sends them all off. */
static enum err asked_read(struct query *q, struct diag *d)
{
    struct pg *pg = q->pg;
    bool outside = !pg->in_txn;
    if (outside && pg->sync_owed && !PQpipelineSync(pg->conn))
        return dead(pg, d);
    if ((!outside && !PQsendFlushRequest(pg->conn)) || PQflush(pg->conn) < 0)
        return dead(pg, d);
    pg->sync_owed = false;
    enum err rc = results_read(pg, q->asked, &q->rows, d);
    if (!rc && outside && pg->read == pg->sent)
        rc = sync_read(pg, d);
    q->sent = !rc && !pg->failed;
    return !rc && pg->failed ? late_failure(pg, d) : rc;
}

static enum err pg_step(void *self, bool *row_out, struct diag *d)
{
    struct query *q = self;
    CHECK(q->busy);
    enum err rc = q->sent ? ERR_OK : q->asked ? asked_read(q, d) : query_ask(q, d);
    if (rc)
        return rc;
    int rows = PQntuples(q->rows);
    q->at += q->at < rows;
    *row_out = q->at < rows;
    return ERR_OK;
}

static enum err pg_run(void *self, struct diag *d)
{
    struct query *q = self;
    struct pg *pg = q->pg;
    bool row = false;
    if (!pg->in_txn)
        return pg_step(q, &row, d);
    if (pg->failed)
        return late_failure(pg, d);
    pg->fresh_txn = false;
    enum err rc = query_send(q, d);
    if (rc || (pg->sent - pg->read < UNREAD_MAX && pg->unread_bytes < UNREAD_BYTES))
        return rc;
    if (!PQsendFlushRequest(pg->conn) || PQflush(pg->conn) < 0)
        return dead(pg, d);
    rc = results_read(pg, pg->sent, NULL, d);
    return !rc && pg->failed ? late_failure(pg, d) : rc;
}

static void pg_done(void *self)
{
    struct query *q = self;
    PQclear(q->rows);
    q->rows = NULL;
    q->busy = false;
}

/* ---- reading ---- */

static bool pg_col_null(void *self, int column)
{
    const struct query *q = self;
    return PQgetisnull(q->rows, q->at, column) != 0;
}

static struct str pg_col_blob(void *self, int column)
{
    const struct query *q = self;
    if (pg_col_null(self, column))
        return STR_NONE;
    return (struct str){PQgetvalue(q->rows, q->at, column), (size_t)PQgetlength(q->rows, q->at, column)};
}

static uint64_t big_endian(const unsigned char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* A whole number as PostgreSQL's sums of 64-bit integers come: digits to the base of 10,000. */
static int64_t numeric_read(struct str bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    if (bytes.n < 8)
        return 0;
    int digits = (int)big_endian(p, 2), weight = (int16_t)big_endian(p + 2, 2);
    int64_t v = 0;
    for (int i = 0; i <= weight; i++) {
        int64_t digit = i < digits && 8 + 2 * (size_t)i + 2 <= bytes.n ? (int64_t)big_endian(p + 8 + 2 * i, 2)
                                                                       : 0;
        if (__builtin_mul_overflow(v, 10000, &v) || __builtin_add_overflow(v, digit, &v))
            return INT64_MAX;
    }
    return big_endian(p + 4, 2) == 0x4000 ? -v : v;
}

static int64_t pg_col_i64(void *self, int column)
{
    const struct query *q = self;
    struct str bytes = pg_col_blob(self, column);
    if (!bytes.p)
        return 0;
    uint64_t bits = bytes.n <= 8 ? big_endian((const unsigned char *)bytes.p, bytes.n) : 0;
    switch (PQftype(q->rows, column)) {
    case OID_BOOL: return bits != 0;
    case OID_INT2: return (int16_t)bits;
    case OID_INT4: return (int32_t)bits;
    case OID_INT8: return (int64_t)bits;
    case OID_NUMERIC: return numeric_read(bytes);
    default: CHECK(!"a column of whole numbers"); return 0;
    }
}

static double pg_col_double(void *self, int column)
{
    const struct query *q = self;
    struct str bytes = pg_col_blob(self, column);
    double v = 0;
    if (bytes.p && PQftype(q->rows, column) == OID_FLOAT8 && bytes.n == sizeof v) {
        uint64_t bits = big_endian((const unsigned char *)bytes.p, bytes.n);
        memcpy(&v, &bits, sizeof v);
    } else if (bytes.p) {
        v = (double)pg_col_i64(self, column);
    }
    return v;
}

/* ---- transactions ---- */

static enum err pg_begin(void *self, struct diag *d)
{
    struct pg *pg = self;
    CHECK(!pg->in_txn);
    enum err rc = connected(pg, d);
    if (!rc)
        rc = simple_send(pg, "BEGIN", d);
    diag_clear(&pg->late);
    pg->failed = false;
    pg->in_txn = pg->fresh_txn = !rc;
    return rc;
}

/* Whether it is committed is not known when the connection breaks just then; whoever sent the frame asks
 * again and hears what became of it. */
static enum err pg_commit(void *self, struct diag *d)
{
    struct pg *pg = self;
    PGresult *last = NULL;
    CHECK(pg->in_txn);
    if (is_dead(pg))
        return dead(pg, d);
    if (pg->failed)
        return late_failure(pg, d);
    enum err rc = simple_send(pg, "COMMIT", d);
    if (!rc)
        rc = settle(pg, &last, d);
    if (!rc && pg->failed)
        rc = late_failure(pg, d);
    if (!rc && strcmp(PQcmdStatus(last), "COMMIT") != 0)
        rc = diag_set(d, ERR_IO, "The centre's database undid the transaction; nothing was saved.");
    PQclear(last);
    pg->in_txn = rc != ERR_OK;
    return rc;
}

static void pg_rollback(void *self)
{
    struct pg *pg = self;
    struct diag quiet = {0};
    if (!pg->in_txn)
        return;
    bool clean = !is_dead(pg) && !settle(pg, NULL, &quiet) && !simple_send(pg, "ROLLBACK", &quiet) &&
                 !settle(pg, NULL, &quiet);
    if (!clean)
        hang_up(pg);
    diag_clear(&pg->late);
    pg->in_txn = pg->fresh_txn = pg->failed = false;
}

/* ---- the whole ---- */

/* Every byte of every table is read once: pages with checksums tell when they are damaged. */
static enum err table_read(struct pg *pg, const char *name, struct diag *d)
{
    struct buf sql;
    char *line = NULL;
    buf_init(&sql, 4096);
    char *quoted = PQescapeIdentifier(pg->conn, name, strlen(name));
    buf_printf(&sql, "COPY (SELECT * FROM %s) TO STDOUT (FORMAT binary)", quoted ? quoted : "");
    PQfreemem(quoted);
    PGresult *r = PQexec(pg->conn, sql.failed ? "" : sql.p);
    enum err rc = PQresultStatus(r) == PGRES_COPY_OUT ? ERR_OK : result_fail(r, d);
    PQclear(r);
    while (!rc && PQgetCopyData(pg->conn, &line, 0) > 0)
        PQfreemem(line);
    while ((r = PQgetResult(pg->conn))) {
        if (!rc && !result_good(r))
            rc = result_fail(r, d);
        PQclear(r);
    }
    buf_free(&sql);
    return rc;
}

static enum err pg_check(void *self, struct diag *d)
{
    struct pg *pg = self;
    CHECK(!pg->in_txn);
    enum err rc = dial(pg, d); /* a connection that is not in the pipeline */
    if (rc)
        return rc;
    PGresult *r = PQexec(pg->conn, "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT"
                                   " relispartition AND relnamespace = 'doorstep'::regnamespace ORDER BY 1");
    rc = result_good(r) ? ERR_OK : result_fail(r, d);
    for (int i = 0; !rc && i < PQntuples(r); i++)
        rc = table_read(pg, PQgetvalue(r, i, 0), d);
    PQclear(r);
    hang_up(pg);
    return rc;
}

static struct str pg_line(void *self)
{
    const struct pg *pg = self;
    return str_of(pg->line);
}

static void pg_close(void *self)
{
    struct pg *pg = self;
    hang_up(pg);
    struct arena memory = pg->memory;
    arena_free(&memory);
}

static const struct sql_ops pg_ops = {
    .shared = true,
    .close = pg_close,
    .begin = pg_begin,
    .commit = pg_commit,
    .rollback = pg_rollback,
    .prepare = pg_prepare,
    .bind_null = pg_bind_null,
    .bind_i64 = pg_bind_i64,
    .bind_double = pg_bind_double,
    .bind_text = pg_bind_text,
    .bind_blob = pg_bind_blob,
    .step = pg_step,
    .run = pg_run,
    .ask = pg_ask,
    .done = pg_done,
    .col_i64 = pg_col_i64,
    .col_double = pg_col_double,
    .col_null = pg_col_null,
    .col_text = pg_col_blob,
    .col_blob = pg_col_blob,
    .check = pg_check,
    .line = pg_line,
};

enum err sql_postgres_open(const char *url, uint32_t partitions, const struct sql_migration *migrations,
                           uint32_t migration_count, struct sql_opened *out, struct diag *d)
{
    struct arena memory;
    arena_init(&memory, MEMORY_MAX);
    struct pg *pg = ARENA_NEW(&memory, struct pg);
    if (!pg)
        return diag_set(d, ERR_NOMEM, "Out of memory while opening the centre's database.");
    pg->memory = memory;
    pg->url = arena_z(&pg->memory, str_of(url));
    enum err rc = pg->url ? dial(pg, d) : ERR_NOMEM;
    if (!rc)
        rc = migrate(pg, partitions, migrations, migration_count, d);
    if (!rc)
        rc = pipeline_on(pg, d);
    if (rc)
        pg_close(pg);
    else
        *out = (struct sql_opened){&pg_ops, pg};
    return rc;
}
