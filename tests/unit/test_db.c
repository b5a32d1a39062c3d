/* The database on a real file system: what opens and what does not, what a failure at any operation may leave
 * behind, and that a row which was reported as committed is there after the process was killed. Most cases
 * run twice, on a plain file and on a sealed one.
 */
#include "tests/support/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/buf.h"
#include "platform/db.h"

#define OUR_MARK 0x44535031

static const struct migration three_steps[] = {
    {1, "CREATE TABLE answer (id INTEGER PRIMARY KEY, visit INTEGER NOT NULL, value TEXT NOT NULL) STRICT"},
    {2, "CREATE TABLE visit (id INTEGER PRIMARY KEY, house TEXT UNIQUE) STRICT;"
        "CREATE INDEX answer_visit ON answer (visit)"},
    {3, "ALTER TABLE visit ADD COLUMN note TEXT; INSERT INTO visit (id, house) VALUES (1, 'first')"},
};

static const unsigned char our_key[DB_KEY_SIZE] = {1, 2, 3, 4, 5};
static const unsigned char other_key[DB_KEY_SIZE] = {1, 2, 3, 4, 6};

/* --- a folder for each test, gone afterwards --- */

struct place {
    char folder[256];
    char path[300];
    const unsigned char *key; /* the run on a sealed file has one */
};

static void folder_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char path[600];
        (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.')
            assert_int_equal(unlink(path), 0);
    }
    (void)closedir(dir);
}

/* In memory where there is such a folder: nothing here depends on a disk, and a sweep syncs very often. */
static int place_make(void **state, const unsigned char *key)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    (void)snprintf(p->folder, sizeof p->folder, "%s/doorstep-db-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(p->folder));
    (void)snprintf(p->path, sizeof p->path, "%s/agent.db", p->folder);
    p->key = key;
    *state = p;
    return 0;
}

static int plain_place(void **state)
{
    return place_make(state, NULL);
}

static int sealed_place(void **state)
{
    return place_make(state, our_key);
}

static int place_remove(void **state)
{
    struct place *p = *state;
    folder_empty(p->folder);
    assert_int_equal(rmdir(p->folder), 0);
    free(p);
    return db_vfs_register(NULL);
}

static struct db_options options(const struct place *p)
{
    return (struct db_options){.path = p->path,
                               .vfs = "doorstep",
                               .key = p->key,
                               .migrations = three_steps,
                               .migration_count = 3,
                               .application_id = OUR_MARK,
                               .busy_ms_max = 2000};
}

static struct db *must_open(const struct db_options *o)
{
    struct db *db = NULL;
    struct diag d = {0};
    if (db_open(o, &db, &d))
        fail_msg("%s", d.text);
    return db;
}

static enum err try_open(const struct db_options *o, struct diag *d)
{
    struct db *db = NULL;
    diag_clear(d);
    enum err rc = db_open(o, &db, d);
    assert_true((rc == ERR_OK) == (db != NULL));
    if (rc)
        assert_true(strlen(d->text) > 20);
    db_close(db);
    return rc;
}

static int64_t ask(struct db *db, const char *sql)
{
    struct stmt *s = NULL;
    struct diag d = {0};
    bool row = false;
    if (db_prepare(db, sql, &s, &d) || stmt_step(s, &row, &d))
        fail_msg("%s", d.text);
    assert_true(row);
    int64_t v = col_i64(s, 0);
    stmt_done(s);
    return v;
}

static void must_exec(struct db *db, const char *sql)
{
    struct diag d = {0};
    if (db_exec(db, sql, &d))
        fail_msg("%s", d.text);
}

static void must_check(struct db *db)
{
    struct diag d = {0};
    if (db_check(db, &d))
        fail_msg("%s", d.text);
}

static void file_read(const char *path, struct buf *out)
{
    char block[4096];
    size_t n;
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    buf_init(out, 64u << 20);
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        buf_put(out, block, n);
    (void)fclose(f);
    assert_int_equal(out->failed, ERR_OK);
}

static void file_write(const char *path, struct str bytes)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
    (void)fclose(f);
}

static enum err save_answer(struct db *db, int64_t visit, struct str value, struct diag *d)
{
    struct stmt *s = NULL;
    enum err rc = db_prepare(db, "INSERT INTO answer (visit, value) VALUES (?1, ?2)", &s, d);
    if (rc)
        return rc;
    bind_i64(s, 1, visit);
    bind_text(s, 2, value);
    return stmt_run(s, d);
}

/* One visit is one transaction of three answers: it is there whole or not at all. */
static enum err save_visit(struct db *db, int64_t visit, struct diag *d)
{
    struct txn t = {0};
    enum err rc = txn_begin(&t, db, d);
    if (rc)
        goto done;
    for (int i = 0; i < 3; i++) {
        rc = save_answer(db, visit, STR("the roof leaks since the storm"), d);
        if (rc)
            goto done;
    }
    rc = txn_commit(&t, d);

done:
    txn_rollback(&t);
    return rc;
}

/* --- opening --- */

static void a_new_file_has_the_settings_that_saved_rests_on(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    struct db *db = must_open(&o);
    struct stmt *s = NULL;
    bool row = false;
    assert_int_equal(db_prepare(db, "PRAGMA journal_mode", &s, NULL), ERR_OK);
    assert_int_equal(stmt_step(s, &row, NULL), ERR_OK);
    assert_true(str_eq_z(col_text(s, 0), "wal"));
    stmt_done(s);
    assert_int_equal(ask(db, "PRAGMA synchronous"), 2);
    assert_int_equal(ask(db, "PRAGMA foreign_keys"), 1);
    assert_int_equal(ask(db, "PRAGMA trusted_schema"), 0);
    assert_int_equal(ask(db, "PRAGMA temp_store"), 2);
    assert_int_equal(ask(db, "PRAGMA secure_delete"), 1);
    assert_int_equal(ask(db, "PRAGMA cell_size_check"), 1);
    assert_int_equal(ask(db, "PRAGMA mmap_size"), 0);
    assert_int_equal(ask(db, "PRAGMA application_id"), OUR_MARK);
    assert_int_equal(ask(db, "SELECT max(version) FROM schema_migration"), 3);
    assert_string_equal(db_path(db), p->path);
    struct stat st;
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_mode & 077, 0); /* nobody else on the device reads it */
    must_check(db);
    db_close(db);
}

static void opening_again_runs_only_the_migrations_that_are_new(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    struct diag d = {0};
    o.migration_count = 1;
    struct db *db = must_open(&o);
    assert_int_equal(save_visit(db, 7, &d), ERR_OK);
    db_close(db);

    o.migration_count = 3;
    for (int i = 0; i < 3; i++) {
        db = must_open(&o);
        assert_int_equal(ask(db, "SELECT count(*) FROM answer"), 3);
        assert_int_equal(ask(db, "SELECT count(*) FROM visit"), 1);
        assert_int_equal(ask(db, "SELECT count(*) FROM schema_migration"), 3);
        db_close(db);
    }
}

static void a_migration_that_fails_leaves_the_old_version_whole(void **state)
{
    struct place *p = *state;
    static const struct migration broken[] = {
        {1,
         "CREATE TABLE answer (id INTEGER PRIMARY KEY, visit INTEGER NOT NULL, value TEXT NOT NULL) STRICT"},
        {2, "DROP TABLE answer; CREATE TABLE other (id INTEGER) STRICT; INSERT INTO nowhere VALUES (1)"},
    };
    struct db_options o = options(p);
    struct diag d = {0};
    o.migrations = broken;
    o.migration_count = 1;
    struct db *db = must_open(&o);
    assert_int_equal(save_visit(db, 1, &d), ERR_OK);
    db_close(db);

    o.migration_count = 2;
    assert_int_equal(try_open(&o, &d), ERR_USAGE);
    assert_non_null(strstr(d.text, "data version 2"));
    assert_non_null(strstr(d.text, "nowhere"));

    o.migration_count = 1;
    db = must_open(&o);
    assert_int_equal(ask(db, "SELECT count(*) FROM answer"), 3);
    assert_int_equal(ask(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'other'"), 0);
    db_close(db);
}

static void assert_untouched(const struct place *p, const struct db_options *o, enum err expected)
{
    struct buf before;
    struct buf after;
    struct diag d = {0};
    file_read(p->path, &before);
    assert_int_equal(try_open(o, &d), expected);
    file_read(p->path, &after);
    assert_true(str_eq(buf_str(&before), buf_str(&after)));
    buf_free(&before);
    buf_free(&after);
}

static void a_file_of_a_newer_program_is_refused_and_not_touched(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    db_close(must_open(&o));
    o.migration_count = 2;
    assert_untouched(p, &o, ERR_VERSION);
    o.read_only = true;
    assert_untouched(p, &o, ERR_VERSION);
}

static void another_programs_file_is_refused_and_not_touched(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    o.application_id = 77;
    db_close(must_open(&o));
    o.application_id = OUR_MARK;
    assert_untouched(p, &o, ERR_EXISTS);

    /* Unmarked, but with tables in it. */
    folder_empty(p->folder);
    struct db_options theirs = {.path = p->path, .vfs = "doorstep", .key = p->key};
    struct db *db = must_open(&theirs);
    must_exec(db, "CREATE TABLE song (title TEXT)");
    db_close(db);
    assert_untouched(p, &o, ERR_EXISTS);
}

static void a_reader_does_not_write(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    struct diag d = {0};
    o.read_only = true;
    assert_int_equal(try_open(&o, &d), ERR_NOT_FOUND);

    o.read_only = false;
    o.migration_count = 1;
    db_close(must_open(&o));
    o.read_only = true;
    struct db *db = must_open(&o);
    assert_int_equal(db_exec(db, "INSERT INTO answer (visit, value) VALUES (1, 'x')", &d), ERR_DENIED);
    db_close(db);
    o.migration_count = 3;
    assert_untouched(p, &o, ERR_STATE);
}

static void a_path_that_cannot_be_says_so(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    struct diag d = {0};
    o.path = "/dev/null/agent.db";
    assert_int_not_equal(try_open(&o, &d), ERR_OK);
    assert_non_null(strstr(d.text, "/dev/null/agent.db"));
    char path[400];
    (void)snprintf(path, sizeof path, "%s/missing/agent.db", p->folder);
    o.path = path;
    assert_int_equal(try_open(&o, &d), ERR_NOT_FOUND);
    o.path = p->path;
    o.vfs = "no such vfs";
    assert_int_not_equal(try_open(&o, &d), ERR_OK);
}

static void a_file_full_of_something_else_is_refused(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    FILE *f = fopen(p->path, "wb");
    for (int i = 0; i < 9000; i++)
        (void)fputc("a letter to the county office "[i % 30], f);
    (void)fclose(f);
    assert_untouched(p, &o, p->key ? ERR_DENIED : ERR_CORRUPT);
}

struct race {
    struct db_options o;
    int ok;
};

static void two_processes_can_make_the_same_file_at_once(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    for (int round = 0; round < 10; round++) {
        pid_t child[3];
        folder_empty(p->folder);
        for (int i = 0; i < 3; i++) {
            child[i] = fork();
            assert_true(child[i] >= 0);
            if (child[i] == 0) {
                struct db *db = NULL;
                struct diag d = {0};
                enum err rc = db_open(&o, &db, &d);
                if (!rc)
                    rc = save_visit(db, i, &d);
                if (rc)
                    (void)fprintf(stderr, "%s\n", d.text);
                db_close(db);
                _exit(rc);
            }
        }
        for (int i = 0; i < 3; i++) {
            int status = 0;
            assert_int_equal(waitpid(child[i], &status, 0), child[i]);
            assert_int_equal(status, 0);
        }
        struct db *db = must_open(&o);
        assert_int_equal(ask(db, "SELECT count(*) FROM answer"), 9);
        assert_int_equal(ask(db, "SELECT count(*) FROM schema_migration"), 3);
        must_check(db);
        db_close(db);
    }
}

/* --- statements --- */

static void values_come_back_as_they_were_bound(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    struct db *db = must_open(&o);
    struct stmt *s = NULL;
    bool row = false;
    static const char with_nul[] = "a\0b";
    must_exec(db, "CREATE TABLE v (n INTEGER PRIMARY KEY, x ANY) STRICT");
    const char *insert = "INSERT INTO v (n, x) VALUES (?1, ?2)";
    for (int i = 1; i <= 9; i++) {
        assert_int_equal(db_prepare(db, insert, &s, NULL), ERR_OK);
        bind_i64(s, 1, i);
        switch (i) {
        case 1: bind_null(s, 2); break;
        case 2: bind_i64(s, 2, INT64_MIN); break;
        case 3: bind_i64(s, 2, INT64_MAX); break;
        case 4: bind_double(s, 2, 0.1); break;
        case 5: bind_text(s, 2, STR("\xe4\xb8\xad")); break;
        case 6: bind_text(s, 2, STR("")); break;
        case 7: bind_text(s, 2, STR_NONE); break;
        case 8: bind_blob(s, 2, with_nul, 3); break;
        default: bind_blob(s, 2, "", 0); break;
        }
        assert_int_equal(stmt_run(s, NULL), ERR_OK);
        assert_int_equal(db_changes(db), 1);
        assert_int_equal(db_last_rowid(db), i);
    }
    assert_int_equal(db_prepare(db, "SELECT x FROM v ORDER BY n", &s, NULL), ERR_OK);
    for (int i = 1; i <= 9; i++) {
        assert_int_equal(stmt_step(s, &row, NULL), ERR_OK);
        assert_true(row);
        assert_int_equal(col_null(s, 0), i == 1 || i == 7);
        if (i == 2)
            assert_true(col_i64(s, 0) == INT64_MIN);
        if (i == 3)
            assert_true(col_i64(s, 0) == INT64_MAX);
        if (i == 4)
            assert_true(col_double(s, 0) == 0.1);
        if (i == 5)
            assert_true(str_eq_z(col_text(s, 0), "\xe4\xb8\xad"));
        if (i == 6)
            assert_true(col_text(s, 0).p && col_text(s, 0).n == 0);
        if (i == 7)
            assert_true(!col_text(s, 0).p && !col_blob(s, 0).p);
        if (i == 8)
            assert_true(str_eq(col_blob(s, 0), (struct str){with_nul, 3}));
        if (i == 9)
            assert_true(col_blob(s, 0).p && col_blob(s, 0).n == 0);
    }
    assert_int_equal(stmt_step(s, &row, NULL), ERR_OK);
    assert_false(row);
    stmt_done(s);
    db_close(db);
}

static void a_blob_is_read_piece_by_piece(void **state)
{
    enum { SIZE = 300000, PIECE = 65536 };
    struct place *p = *state;
    struct db_options o = options(p);
    struct db *db = must_open(&o);
    struct stmt *s = NULL;
    struct db_blob *b = NULL;
    struct diag d = {0};
    size_t size = 0;
    char *whole = malloc(SIZE), *piece = malloc(PIECE);
    assert_true(whole && piece);
    for (size_t i = 0; i < SIZE; i++)
        whole[i] = (char)(i * 31 % 251);
    must_exec(db, "CREATE TABLE v (x BLOB) STRICT");
    assert_int_equal(db_prepare(db, "INSERT INTO v (x) VALUES (?1)", &s, NULL), ERR_OK);
    bind_blob(s, 1, whole, SIZE);
    assert_int_equal(stmt_run(s, NULL), ERR_OK);
    assert_int_equal(db_blob_open(db, "v", "x", 2, &b, &size, &d), ERR_NOT_FOUND);
    assert_int_equal(db_blob_open(db, "v", "x", 1, &b, &size, &d), ERR_OK);
    assert_int_equal(size, SIZE);
    for (size_t at = 0; at < size; at += PIECE) {
        size_t n = size - at < PIECE ? size - at : PIECE;
        assert_int_equal(db_blob_read(b, at, piece, n, &d), ERR_OK);
        assert_memory_equal(piece, whole + at, n);
    }
    db_blob_close(b);
    db_blob_close(NULL);
    db_close(db);
    free(whole);
    free(piece);
}

static void a_statement_is_prepared_once_and_used_again(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    struct db *db = must_open(&o);
    struct stmt *first = NULL;
    struct stmt *second = NULL;
    struct stmt *many[200] = {0};
    char sql[200][64];
    struct diag d = {0};
    bool row = false;
    const char *text = "SELECT ?1";
    assert_int_equal(db_prepare(db, text, &first, NULL), ERR_OK);
    bind_i64(first, 1, 41);
    assert_int_equal(stmt_step(first, &row, NULL), ERR_OK);
    stmt_done(first);
    assert_int_equal(db_prepare(db, text, &second, NULL), ERR_OK);
    assert_ptr_equal(first, second);
    assert_int_equal(stmt_step(second, &row, NULL), ERR_OK);
    assert_true(col_null(second, 0)); /* nothing is left from before */
    /* In use twice at once, it is two. */
    assert_int_equal(db_prepare(db, text, &first, NULL), ERR_OK);
    assert_ptr_not_equal(first, second);
    stmt_done(first);
    stmt_done(second);

    /* More texts than are kept: each still works, and too many at once is an error. */
    for (int i = 0; i < 200; i++) {
        (void)snprintf(sql[i], sizeof sql[i], "SELECT %d", i);
        assert_int_equal(ask(db, sql[i]), i);
    }
    assert_int_equal(ask(db, sql[0]), 0);
    int n = 0;
    while (n < 200 && db_prepare(db, sql[n], &many[n], &d) == ERR_OK)
        n++;
    assert_in_range(n, 100, 199);
    assert_int_equal(d.code, ERR_LIMIT);
    for (int i = 0; i < n; i++)
        stmt_done(many[i]);
    assert_int_equal(ask(db, sql[199]), 199);
    db_close(db);
}

static void a_failed_statement_says_why_and_can_be_used_again(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    struct db *db = must_open(&o);
    struct stmt *s = NULL;
    struct diag d = {0};
    assert_int_equal(db_prepare(db, "SELEKT 1", &s, &d), ERR_USAGE);
    assert_null(s);
    const char *insert = "INSERT INTO visit (id, house) VALUES (?1, ?2)";
    for (int i = 0; i < 2; i++) {
        diag_clear(&d);
        assert_int_equal(db_prepare(db, insert, &s, NULL), ERR_OK);
        bind_i64(s, 1, 1); /* the migration made visit 1 */
        bind_text(s, 2, STR("13800138000"));
        assert_int_equal(stmt_run(s, &d), ERR_EXISTS);
        assert_null(strstr(d.text, "13800138000")); /* what people say is never in a message */
    }
    assert_int_equal(db_prepare(db, insert, &s, NULL), ERR_OK);
    bind_i64(s, 1, 2);
    bind_text(s, 2, STR("second"));
    assert_int_equal(stmt_run(s, NULL), ERR_OK);
    assert_int_equal(db_exec(db, "INSERT INTO answer (visit, value) VALUES ('many', 'x')", NULL),
                     ERR_CORRUPT);
    db_close(db);
}

/* --- transactions --- */

static void what_is_not_committed_is_not_there(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    struct db *db = must_open(&o);
    struct txn t = {0};
    txn_rollback(&t); /* never begun */
    assert_int_equal(txn_begin(&t, db, NULL), ERR_OK);
    assert_int_equal(save_answer(db, 1, STR("no"), NULL), ERR_OK);
    txn_rollback(&t);
    txn_rollback(&t);
    assert_int_equal(ask(db, "SELECT count(*) FROM answer"), 0);

    assert_int_equal(txn_begin(&t, db, NULL), ERR_OK);
    assert_int_equal(save_answer(db, 1, STR("yes"), NULL), ERR_OK);
    assert_int_equal(txn_commit(&t, NULL), ERR_OK);
    txn_rollback(&t);
    assert_int_equal(ask(db, "SELECT count(*) FROM answer"), 1);
    db_close(db);
}

static void two_connections_see_each_others_commits_and_wait_for_each_other(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    struct diag d = {0};
    struct db *writer = must_open(&o);
    o.busy_ms_max = 50;
    struct db *reader = must_open(&o);
    struct txn t = {0};
    struct txn other = {0};

    assert_int_equal(txn_begin(&t, writer, NULL), ERR_OK);
    assert_int_equal(save_answer(writer, 1, STR("a"), NULL), ERR_OK);
    assert_int_equal(ask(reader, "SELECT count(*) FROM answer"), 0); /* reads go on */
    assert_int_equal(txn_begin(&other, reader, &d), ERR_BUSY);
    assert_false(other.open);
    assert_int_equal(txn_commit(&t, NULL), ERR_OK);
    assert_int_equal(ask(reader, "SELECT count(*) FROM answer"), 1);
    assert_int_equal(save_visit(reader, 2, NULL), ERR_OK);
    assert_int_equal(ask(writer, "SELECT count(*) FROM answer"), 4);
    db_close(writer);
    assert_int_equal(ask(reader, "SELECT count(*) FROM answer"), 4);
    must_check(reader);
    db_close(reader);
}

/* --- sealed --- */

static void a_sealed_file_opens_with_its_key_only(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    struct diag d = {0};
    struct db *db = must_open(&o);
    assert_int_equal(save_visit(db, 1, NULL), ERR_OK);

    /* While it is in use, with everything still in the WAL, and again when it is closed. */
    for (int i = 0; i < 2; i++) {
        o.key = other_key;
        assert_int_equal(try_open(&o, &d), ERR_DENIED);
        assert_non_null(strstr(d.text, "The key does not open"));
        o.key = NULL;
        assert_int_equal(try_open(&o, &d), ERR_CORRUPT);
        assert_non_null(strstr(d.text, "sealed"));
        o.key = our_key;
        o.read_only = true;
        assert_int_equal(try_open(&o, &d), ERR_OK);
        o.read_only = false;
        if (db)
            db_close(db);
        db = NULL;
    }
    db = must_open(&o);
    assert_int_equal(ask(db, "SELECT count(*) FROM answer"), 3);
    must_check(db);
    db_close(db);

    folder_empty(p->folder);
    o.key = NULL;
    db_close(must_open(&o));
    o.key = our_key;
    assert_untouched(p, &o, ERR_DENIED);
    assert_int_equal(try_open(&o, &d), ERR_DENIED);
    assert_non_null(strstr(d.text, "not sealed"));
}

/* A wrong key must do no harm to a WAL that nobody has taken over yet: a killed process leaves one. */
static void a_wrong_key_does_not_harm_what_a_killed_process_left(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    struct diag d = {0};
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct db *db = NULL;
        if (db_open(&o, &db, NULL) || save_visit(db, 1, NULL) || save_visit(db, 2, NULL))
            _exit(1);
        _exit(0); /* without closing */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    o.key = other_key;
    assert_int_equal(try_open(&o, &d), ERR_DENIED);
    o.key = NULL;
    assert_int_equal(try_open(&o, &d), ERR_CORRUPT);
    o.key = our_key;
    struct db *db = must_open(&o);
    assert_int_equal(ask(db, "SELECT count(*) FROM answer"), 6);
    must_check(db);
    db_close(db);
}

static void find_nowhere(const struct place *p, const char *text, int expected)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    int found = 0;
    for (int i = 0; i < 3; i++) {
        char path[400];
        struct buf bytes;
        (void)snprintf(path, sizeof path, "%s%s", p->path, ends[i]);
        if (access(path, F_OK) != 0)
            continue;
        file_read(path, &bytes);
        found += str_find(buf_str(&bytes), str_of(text)) >= 0;
        buf_free(&bytes);
    }
    assert_int_equal(found > 0, expected);
}

static void no_stored_text_can_be_read_in_a_sealed_file(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    const int plain = p->key == NULL; /* the same search must find it in a plain file */
    struct db *db = must_open(&o);
    for (int i = 0; i < 50; i++)
        assert_int_equal(save_visit(db, i, NULL), ERR_OK);
    find_nowhere(p, "the roof leaks", plain);
    find_nowhere(p, "CREATE TABLE answer", plain);
    must_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)");
    find_nowhere(p, "the roof leaks", plain);
    find_nowhere(p, "CREATE TABLE answer", plain);
    find_nowhere(p, "SQLite format 3", plain);
    must_check(db);
    db_close(db);
    find_nowhere(p, "the roof leaks", plain);
}

/* --- damage --- */

static void byte_flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    int c = fgetc(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    (void)fputc(c ^ 0x10, f);
    (void)fclose(f);
}

/* Reads every answer; the cause of the first failure. */
static enum err read_all(struct db *db, int *wrong_out)
{
    struct stmt *s = NULL;
    struct diag d = {0};
    bool row = true;
    enum err rc = db_prepare(db, "SELECT value FROM answer ORDER BY id", &s, &d);
    while (!rc && row) {
        rc = stmt_step(s, &row, &d);
        if (!rc && row) {
            struct str v = col_text(s, 0);
            for (size_t i = 0; i < v.n; i++)
                *wrong_out += v.p[i] != 'x';
        }
    }
    stmt_done(s);
    return rc;
}

static void a_damaged_page_is_found_and_never_read_as_an_answer(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    static char large[9000];
    memset(large, 'x', sizeof large); /* spills over to pages of its own */
    struct db *db = must_open(&o);
    for (int i = 0; i < 20; i++)
        assert_int_equal(save_answer(db, i, (struct str){large, sizeof large}, NULL), ERR_OK);
    db_close(db);
    struct buf whole;
    char copy[400];
    (void)snprintf(copy, sizeof copy, "%s/copy.db", p->folder);
    file_read(p->path, &whole);
    const long pages = (long)whole.n / 4096;
    assert_true(pages > 40);
    for (long page = 0; page < pages; page++) {
        struct diag d = {0};
        int wrong = 0;
        byte_flip(p->path, page * 4096 + 20 + page * 37 % 4000);
        db = NULL;
        enum err rc = db_open(&o, &db, &d);
        enum err check = ERR_OK;
        if (!rc) {
            rc = read_all(db, &wrong);
            check = db_check(db, &d);
            /* What touches the damage fails, and what fails writes nothing. */
            struct diag why = {0};
            const enum err copied = db_backup(db, copy, &why);
            const enum err changed = db_exec(db, "UPDATE answer SET visit = visit + 1, value = value || ''",
                                             NULL);
            assert_true(copied == ERR_OK || copied == ERR_CORRUPT);
            assert_true(changed == ERR_OK || changed == ERR_CORRUPT);
            if (p->key && check)
                assert_int_equal(copied, ERR_CORRUPT);
            if (p->key && rc)
                assert_int_equal(changed, ERR_CORRUPT);
        }
        if (p->key) { /* every bit is vouched for */
            assert_int_equal(wrong, 0);
            assert_true(rc == ERR_CORRUPT || check == ERR_CORRUPT || rc == ERR_DENIED);
        }
        assert_true(rc == ERR_OK || rc == ERR_CORRUPT || (p->key && page == 0 && rc == ERR_DENIED));
        db_close(db);
        folder_empty(p->folder);
        file_write(p->path, buf_str(&whole));
    }
    db = must_open(&o);
    must_check(db);
    db_close(db);
    buf_free(&whole);
}

/* --- backup --- */

static void a_backup_is_whole_and_sealed_with_the_same_key(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    struct diag d = {0};
    char copy[400];
    (void)snprintf(copy, sizeof copy, "%s/copy.db", p->folder);
    struct db *db = must_open(&o);
    for (int i = 0; i < 200; i++)
        assert_int_equal(save_visit(db, i, NULL), ERR_OK);
    if (db_backup(db, copy, &d))
        fail_msg("%s", d.text);
    assert_int_equal(db_backup(db, copy, &d), ERR_EXISTS);
    assert_int_equal(save_visit(db, 200, NULL), ERR_OK); /* the original goes on */

    o.path = copy;
    struct db *second = must_open(&o);
    assert_int_equal(ask(second, "SELECT count(*) FROM answer"), 600);
    assert_int_equal(ask(second, "PRAGMA application_id"), OUR_MARK);
    must_check(second);
    assert_int_equal(save_visit(second, 1000, NULL), ERR_OK);
    db_close(second);
    if (p->key) {
        o.key = other_key;
        assert_int_equal(try_open(&o, &d), ERR_DENIED);
        struct place at = *p;
        (void)snprintf(at.path, sizeof at.path, "%s/copy.db", p->folder);
        find_nowhere(&at, "the roof leaks", 0);
    }
    assert_int_equal(ask(db, "SELECT count(*) FROM answer"), 603);
    db_close(db);
}

/* --- failures, one after the other --- */

struct fault {
    int at;      /* the operation that fails, counted from 1; 0 = none */
    bool sticky; /* and all after it */
    enum err cause;
    int count;
    long write_room; /* writes that still fit, when the card is filling up; -1 = no end */
    bool filling;
};

static enum err fault_before(void *self, const char *operation, const char *path)
{
    struct fault *f = self;
    (void)path;
    f->count++;
    if (f->filling && (strcmp(operation, "write") == 0 || strcmp(operation, "shm") == 0)) {
        if (f->write_room == 0)
            return ERR_FULL;
        f->write_room--;
    }
    return f->at && (f->count == f->at || (f->sticky && f->count > f->at)) ? f->cause : ERR_OK;
}

/* Opens, migrates, saves two visits, backs up. Gives how many visits were reported as saved. */
static enum err day_at_work(const struct place *p, const struct db_options *o, int *saved_out)
{
    struct db *db = NULL;
    struct diag d = {0};
    char copy[400];
    (void)snprintf(copy, sizeof copy, "%s/copy.db", p->folder);
    *saved_out = 0;
    enum err rc = db_open(o, &db, &d);
    for (int visit = 0; visit < 2 && !rc; visit++) {
        rc = save_visit(db, visit, &d);
        *saved_out += rc == ERR_OK;
    }
    if (!rc)
        rc = db_backup(db, copy, &d);
    if (rc)
        assert_true(d.code == rc && strlen(d.text) > 20);
    db_close(db);
    return rc;
}

/* All the ways in which one operation fails, at every operation. */
static void whatever_operation_fails_what_was_saved_is_there(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    struct fault fault = {0};
    const struct db_fault hook = {&fault, fault_before};
    const enum err causes[] = {ERR_IO, ERR_FULL, ERR_NOMEM};
    int saved = 0;
    o.busy_ms_max = 1;
    assert_int_equal(db_vfs_register(&hook), ERR_OK);
    assert_int_equal(day_at_work(p, &o, &saved), ERR_OK);
    const int operations = fault.count;
    int runs = 0, failed = 0, kept_unreported = 0;
    assert_true(operations > 50);

    for (int at = 1; at <= operations; at++) {
        for (int way = 0; way < 6; way++, runs++) {
            folder_empty(p->folder);
            fault = (struct fault){.at = at, .sticky = way >= 3, .cause = causes[way % 3]};
            const enum err rc = day_at_work(p, &o, &saved);
            failed += rc != ERR_OK;
            /* An error is the injected one, or what SQLite makes of it; never "not ours" or "newer". */
            assert_true(rc != ERR_VERSION && rc != ERR_EXISTS && rc != ERR_USAGE);

            fault = (struct fault){0};
            struct db *db = must_open(&o);
            const int64_t rows = ask(db, "SELECT count(*) FROM answer");
            if (rows % 3 || rows < 3 * saved || rows > 3 * (saved + 1))
                fail_msg("operation %d, way %d: %d visits saved, %d answers there", at, way, saved,
                         (int)rows);
            kept_unreported += rows > 3 * saved;
            must_check(db);
            db_close(db);
        }
    }
    print_message(
        "%d operations, %d runs, %d ended in an error, in %d of them a visit was kept whose commit was not "
        "confirmed; none lost\n",
        operations, runs, failed, kept_unreported);
    assert_true(failed > runs / 2);
}

static void a_full_card_stops_saving_and_loses_nothing(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    struct fault fault = {.write_room = -1};
    const struct db_fault hook = {&fault, fault_before};
    struct diag d = {0};
    assert_int_equal(db_vfs_register(&hook), ERR_OK);
    struct db *db = must_open(&o);
    fault.filling = true;
    fault.write_room = 100;
    int saved = 0;
    while (save_visit(db, saved, &d) == ERR_OK)
        saved++;
    assert_int_equal(d.code, ERR_FULL);
    assert_non_null(strstr(d.text, p->path));
    assert_true(saved > 5);
    for (int i = 0; i < 3; i++) /* it stays full, and says so each time */
        assert_int_equal(save_visit(db, saved, NULL), ERR_FULL);
    assert_int_equal(ask(db, "SELECT count(*) FROM answer"), 3 * saved); /* reading goes on */

    fault.filling = false; /* somebody deleted photos: the same connection goes on */
    assert_int_equal(save_visit(db, saved, NULL), ERR_OK);
    assert_int_equal(ask(db, "SELECT count(*) FROM answer"), 3 * (saved + 1));
    must_check(db);
    db_close(db);
    db = must_open(&o);
    assert_int_equal(ask(db, "SELECT count(*) FROM answer"), 3 * (saved + 1));
    must_check(db);
    db_close(db);
}

/* --- killed --- */

static void saver(const struct db_options *o, int64_t first, int pipe_fd)
{
    struct db *db = NULL;
    if (db_open(o, &db, NULL))
        _exit(1);
    for (int64_t visit = first;; visit++) {
        if (save_visit(db, visit, NULL))
            _exit(2);
        if (write(pipe_fd, &visit, sizeof visit) != sizeof visit)
            _exit(3);
    }
}

/* What lies on the disk at this moment, opened elsewhere: as after a power cut. */
static int64_t answers_after_a_cut(const struct place *p, const struct db_options *o)
{
    char from[320], to[320];
    struct db_options copy = *o;
    static const char *const parts[] = {"", "-wal"};
    for (size_t i = 0; i < 2; i++) {
        struct buf bytes;
        (void)snprintf(from, sizeof from, "%s%s", p->path, parts[i]);
        (void)snprintf(to, sizeof to, "%s/cut.db%s", p->folder, parts[i]);
        file_read(from, &bytes);
        file_write(to, buf_str(&bytes));
        buf_free(&bytes);
    }
    (void)snprintf(to, sizeof to, "%s/cut.db", p->folder);
    copy.path = to;
    struct db *db = must_open(&copy);
    const int64_t rows = ask(db, "SELECT count(*) FROM answer");
    must_check(db);
    db_close(db);
    return rows;
}

/* A sync is quick when the file does not become longer by it. */
static void a_wal_grows_by_steps_and_is_read_to_the_last_commit(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    char path[320];
    struct stat st;
    off_t before = -1;
    int longer = 0;
    struct db *db = must_open(&o);
    (void)snprintf(path, sizeof path, "%s-wal", p->path);
    for (int visit = 0; visit < 600; visit++) { /* more than one round of the WAL */
        assert_int_equal(save_visit(db, visit, NULL), ERR_OK);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size % (128 << 10), 0);
        longer += st.st_size != before;
        before = st.st_size;
        if (visit % 60 == 7)
            assert_int_equal(answers_after_a_cut(p, &o), 3 * (visit + 1));
    }
    assert_in_range(longer, 2, 33);
    assert_in_range(st.st_size, 1, 4 << 20);
    db_close(db);
}

static void a_killed_process_loses_no_visit_that_it_reported(void **state)
{
    struct place *p = *state;
    struct db_options o = options(p);
    int64_t reported = -1;
    for (int round = 0; round < 20; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(ends[0]);
            saver(&o, reported + 1, ends[1]);
        }
        (void)close(ends[1]);
        /* Killed after so many reports and a moment more, so that it strikes at different places. */
        int64_t visit = -1;
        for (int i = 0; i < 5 + round * 3; i++)
            assert_int_equal(read(ends[0], &visit, sizeof visit), sizeof visit);
        (void)usleep((useconds_t)(round * 131 % 900));
        assert_int_equal(kill(child, SIGKILL), 0);
        while (read(ends[0], &visit, sizeof visit) == sizeof visit)
            ;
        (void)close(ends[0]);
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));

        struct db *db = must_open(&o);
        const int64_t rows = ask(db, "SELECT count(*) FROM answer");
        const int64_t last = ask(db, "SELECT max(visit) FROM answer");
        assert_int_equal(rows % 3, 0);
        assert_int_equal(rows / 3, last + 1);
        assert_in_range(last, visit, visit + 1);
        must_check(db);
        db_close(db);
        reported = last;
    }
    print_message("20 kills, %d visits, none lost\n", (int)reported + 1);
}

#define BOTH(test)                                                \
    {#test " (plain)", test, plain_place, place_remove, NULL},    \
    {                                                             \
#test " (sealed)", test, sealed_place, place_remove, NULL \
    }

static int start(void **state)
{
    (void)state;
    return db_vfs_register(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_new_file_has_the_settings_that_saved_rests_on),
        BOTH(opening_again_runs_only_the_migrations_that_are_new),
        BOTH(a_migration_that_fails_leaves_the_old_version_whole),
        BOTH(a_file_of_a_newer_program_is_refused_and_not_touched),
        BOTH(another_programs_file_is_refused_and_not_touched),
        BOTH(a_reader_does_not_write),
        BOTH(a_path_that_cannot_be_says_so),
        BOTH(a_file_full_of_something_else_is_refused),
        BOTH(two_processes_can_make_the_same_file_at_once),
        BOTH(values_come_back_as_they_were_bound),
        BOTH(a_blob_is_read_piece_by_piece),
        BOTH(a_statement_is_prepared_once_and_used_again),
        BOTH(a_failed_statement_says_why_and_can_be_used_again),
        BOTH(what_is_not_committed_is_not_there),
        BOTH(two_connections_see_each_others_commits_and_wait_for_each_other),
        cmocka_unit_test_setup_teardown(a_sealed_file_opens_with_its_key_only, sealed_place, place_remove),
        cmocka_unit_test_setup_teardown(a_wrong_key_does_not_harm_what_a_killed_process_left, sealed_place,
                                        place_remove),
        BOTH(no_stored_text_can_be_read_in_a_sealed_file),
        BOTH(a_damaged_page_is_found_and_never_read_as_an_answer),
        BOTH(a_backup_is_whole_and_sealed_with_the_same_key),
        BOTH(whatever_operation_fails_what_was_saved_is_there),
        BOTH(a_full_card_stops_saving_and_loses_nothing),
        BOTH(a_wal_grows_by_steps_and_is_read_to_the_last_commit),
        BOTH(a_killed_process_loses_no_visit_that_it_reported),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
