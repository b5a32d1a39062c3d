/* The store, second part: records and what the downlink walks, objects and forms, submissions,
 * counts. See store_county.c for what holds in all parts.
 */
#include "server/store_impl.h"

/* ---- records ---- */

#define RECORD_COLUMNS                                                                       \
    "SELECT row, number, kind, parent, household, interview, area, code, last_seq, packed, " \
    "conflicts, deleted_seq FROM record"                                                     \
    " WHERE county = ?1"

static enum err record_read_row(struct stmt *q, struct arena *a, struct record_row *out, struct diag *d)
{
    struct record_row r = {.row = col_row(q, 0),
                           .number = col_u64(q, 1),
                           .kind = (int)col_i64(q, 2),
                           .parent = col_row(q, 3),
                           .household = col_row(q, 4),
                           .interview = col_row(q, 5),
                           .last_seq = col_u64(q, 8),
                           .conflicts = (uint32_t)col_i64(q, 10),
                           .deleted_seq = col_u64(q, 11)};
    if (row_none(r.row))
        return damaged(d, "record");
    if (keep(a, col_text(q, 6), &r.area) || keep(a, col_text(q, 7), &r.code) ||
        keep(a, col_blob(q, 9), &r.packed))
        return no_memory(d);
    *out = r;
    return ERR_OK;
}

static enum err record_begin(struct cstore *s, struct row_id row, struct row_bytes *room, struct stmt **q_out,
                             struct diag *d)
{
    enum err rc = statement(s, RECORD_COLUMNS " AND row = ?2", q_out, d);
    if (!rc)
        bind_row(*q_out, 2, row, room);
    return rc;
}

enum err row_ask(struct cstore *s, struct row_id row, struct row_bytes *room, struct stmt **q_out,
                 struct diag *d)
{
    enum err rc = record_begin(s, row, room, q_out, d);
    if (rc)
        return rc;
    rc = s->sql.ops->ask((*q_out)->at, d);
    if (rc)
        stmt_done(*q_out);
    return rc;
}

enum err row_answer(struct stmt *q, struct arena *a, bool *there_out, struct record_row *out, struct diag *d)
{
    enum err rc = stmt_step(q, there_out, d);
    return rc || !*there_out ? rc : record_read_row(q, a, out, d);
}

enum err cstore_record(struct cstore *s, struct arena *a, struct row_id row_id, struct record_row *out,
                       struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    struct record_row r = {.row = row_id};
    bool there = false, known = false;
    enum err rc = cache_get(s, a, row_id, &known, out, d);
    if (rc || known)
        return rc;
    rc = record_begin(s, row_id, &room, &q, d);
    if (!rc)
        rc = row_answer(q, a, &there, &r, d);
    stmt_done(q);
    if (rc)
        return rc;
    cache_put(s, &r, there, !there && s->txn.open);
    if (there)
        *out = r;
    return there ? ERR_OK : ERR_NOT_FOUND;
}

enum err cstore_record_put(struct cstore *s, const struct record_row *r, struct diag *d)
{
    CHECK(s->txn.open && r->number > 0 && !row_none(r->row));
    struct stmt *q = NULL;
    struct row_bytes room[4];
    enum err rc =
        statement(s,
                  "INSERT INTO record (county, row, number, kind, parent, household, interview, area, code,"
                  " last_seq, packed, conflicts, deleted_seq)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
                  " ON CONFLICT (county, row) DO UPDATE SET kind = excluded.kind, parent = excluded.parent,"
                  " household = excluded.household, interview = excluded.interview, area = excluded.area,"
                  " code = excluded.code, last_seq = excluded.last_seq, packed = excluded.packed,"
                  " conflicts = excluded.conflicts, deleted_seq = excluded.deleted_seq",
                  &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, r->row, &room[0]);
    bind_u64(q, 3, r->number);
    bind_i64(q, 4, r->kind);
    bind_row(q, 5, r->parent, &room[1]);
    bind_row(q, 6, r->household, &room[2]);
    bind_row(q, 7, r->interview, &room[3]);
    bind_text(q, 8, r->area);
    bind_text(q, 9, r->code);
    bind_u64(q, 10, r->last_seq);
    bind_blob(q, 11, r->packed.n ? r->packed.p : "", r->packed.n);
    bind_i64(q, 12, r->conflicts);
    bind_u64(q, 13, r->deleted_seq);
    rc = stmt_run(q, d);
    if (!rc)
        cache_put(s, r, true, false);
    const struct cached_record *at = cache_find(s, r->row);
    bool told = !at || !at->fresh || at->touched;
    return rc || !told ? rc : touches_scope(s, r, d);
}

enum err cstore_record_of_number(struct cstore *s, uint64_t number, struct row_id *row_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, "SELECT row FROM record WHERE county = ?1 AND number = ?2", &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, number);
    rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = ERR_NOT_FOUND;
    if (!rc)
        *row_out = col_row(q, 0);
    stmt_done(q);
    return rc;
}

/* clang-format off */
static const char *const records_sql[] = {
    [RECORDS_OF_KIND]      = RECORD_COLUMNS " AND kind = ?3 AND number > ?4 ORDER BY number LIMIT ?5",
    [RECORDS_OF_PARENT]    = RECORD_COLUMNS " AND parent = ?2 AND (?3 = 0 OR kind = ?3) AND number > ?4"
                             " ORDER BY number LIMIT ?5",
    [RECORDS_OF_HOUSEHOLD] = RECORD_COLUMNS " AND household = ?2 AND (?3 = 0 OR kind = ?3) AND number > ?4"
                             " ORDER BY number LIMIT ?5",
    [RECORDS_OF_INTERVIEW] = RECORD_COLUMNS " AND interview = ?2 AND (?3 = 0 OR kind = ?3) AND number > ?4"
                             " ORDER BY number LIMIT ?5",
    [RECORDS_IN_CONFLICT]  = RECORD_COLUMNS " AND conflicts > 0 AND ?3 = ?3 AND number > ?4 ORDER BY number"
                             " LIMIT ?5",
};
/* clang-format on */

static enum err records_gather(struct stmt *q, struct arena *a, struct record_row **out, uint32_t *count_out,
                               struct diag *d)
{
    bool row = false;
    enum err rc = ERR_OK;
    VEC(struct record_row) list = {0};
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct record_row *r = vec_push(a, &list);
        rc = r ? record_read_row(q, a, r, d) : no_memory(d);
        if (rc)
            break;
    }
    stmt_done(q);
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}

enum err cstore_records(struct cstore *s, struct arena *a, enum record_by by, struct row_id key, int kind,
                        uint64_t after, uint32_t limit, struct record_row **out, uint32_t *count_out,
                        struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc = statement(s, records_sql[by], &q, d);
    if (rc)
        return rc;
    if (by != RECORDS_OF_KIND && by != RECORDS_IN_CONFLICT)
        bind_row(q, 2, key, &room);
    bind_i64(q, 3, kind);
    bind_u64(q, 4, after);
    bind_i64(q, 5, limit);
    return records_gather(q, a, out, count_out, d);
}

enum err cstore_records_forget(struct cstore *s, struct diag *d)
{
    static const char *const tables[] = {"DELETE FROM touch WHERE county = ?1",
                                         "DELETE FROM submission WHERE county = ?1",
                                         "DELETE FROM judged WHERE county = ?1",
                                         "DELETE FROM record WHERE county = ?1"};
    CHECK(s->txn.open);
    cache_clear(s, true);
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < sizeof tables / sizeof tables[0]; i++) {
        struct stmt *q = NULL;
        rc = statement(s, tables[i], &q, d);
        if (!rc)
            rc = stmt_run(q, d);
    }
    return rc;
}

enum err cstore_records_all(struct cstore *s, struct arena *a, struct row_id after, uint32_t limit,
                            struct record_row **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    unsigned char id[ROW_ID_SIZE];
    row_id_write(after, id);
    enum err rc = statement(s, RECORD_COLUMNS " AND row > ?2 ORDER BY row LIMIT ?3", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, id, sizeof id);
    bind_i64(q, 3, limit);
    return records_gather(q, a, out, count_out, d);
}

enum err cstore_tombstones(struct cstore *s, struct arena *a, uint64_t upto, uint32_t limit,
                           struct record_row **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            RECORD_COLUMNS
                            " AND deleted_seq > 0 AND deleted_seq <= ?2 ORDER BY deleted_seq LIMIT ?3",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, upto);
    bind_i64(q, 3, limit);
    return records_gather(q, a, out, count_out, d);
}

enum err cstore_records_coded(struct cstore *s, struct arena *a, int kind, struct str code,
                              struct record_row **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            RECORD_COLUMNS " AND kind = ?2 AND code = ?3 AND code IS NOT NULL"
                                           " ORDER BY number LIMIT 100",
                            &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, kind);
    bind_text(q, 3, none_as_empty(code));
    return records_gather(q, a, out, count_out, d);
}

/* ---- objects ---- */

enum err cstore_object_put(struct cstore *s, const unsigned char hash[static SHA256_SIZE], struct str kind,
                           struct str bytes, int64_t now_ms, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = statement(
        s, "INSERT INTO object VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (county, hash) DO NOTHING", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, hash, SHA256_SIZE);
    bind_text(q, 3, kind);
    bind_i64(q, 4, (int64_t)bytes.n);
    bind_i64(q, 5, now_ms);
    bind_blob(q, 6, bytes.n ? bytes.p : "", bytes.n);
    return stmt_run(q, d);
}

enum err cstore_object(struct cstore *s, struct arena *a, const unsigned char hash[static SHA256_SIZE],
                       struct str *kind_out, struct str *bytes_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, "SELECT kind, bytes FROM object WHERE county = ?1 AND hash = ?2", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, hash, SHA256_SIZE);
    rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = diag_set(d, ERR_NOT_FOUND, "The centre holds no object of this hash.");
    if (!rc && kind_out && keep(a, col_text(q, 0), kind_out))
        rc = no_memory(d);
    if (!rc && keep(a, col_blob(q, 1), bytes_out))
        rc = no_memory(d);
    if (!rc && !bytes_out->p)
        *bytes_out = STR("");
    stmt_done(q);
    return rc;
}

/* ---- forms ---- */

enum err cstore_form_put(struct cstore *s, const struct form_row *f, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            "INSERT INTO form SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7,"
                            " (SELECT coalesce(max(n), 0) + 1 FROM form WHERE county = ?1 AND id = ?3)",
                            &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, f->hash, SHA256_SIZE);
    bind_text(q, 3, f->id);
    bind_text(q, 4, none_as_empty(f->version));
    bind_text(q, 5, none_as_empty(f->title));
    bind_text(q, 6, none_as_empty(f->fieldmap));
    bind_i64(q, 7, f->published_ms);
    return stmt_run(q, d);
}

#define FORM_COLUMNS "SELECT hash, id, version, title, fieldmap, published_ms FROM form WHERE county = ?1"

static enum err form_read_row(struct stmt *q, struct arena *a, struct form_row *out, struct diag *d)
{
    struct form_row f = {.published_ms = col_i64(q, 5)};
    if (!col_bytes(q, 0, f.hash, SHA256_SIZE))
        return damaged(d, "form");
    if (keep(a, col_text(q, 1), &f.id) || keep(a, col_text(q, 2), &f.version) ||
        keep(a, col_text(q, 3), &f.title) || keep(a, col_text(q, 4), &f.fieldmap))
        return no_memory(d);
    *out = f;
    return ERR_OK;
}

enum err cstore_form(struct cstore *s, struct arena *a, const unsigned char hash[static SHA256_SIZE],
                     struct form_row *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, FORM_COLUMNS " AND hash = ?2", &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, hash, SHA256_SIZE);
    rc = stmt_step(q, &row, d);
    if (!rc)
        rc = row ? form_read_row(q, a, out, d) : ERR_NOT_FOUND;
    stmt_done(q);
    return rc;
}

enum err cstore_forms(struct cstore *s, struct arena *a, struct str id, struct form_row **out,
                      uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    VEC(struct form_row) list = {0};
    enum err rc = statement(s, FORM_COLUMNS " AND (?2 = '' OR id = ?2) ORDER BY id, n DESC", &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, none_as_empty(id));
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct form_row *f = vec_push(a, &list);
        rc = f ? form_read_row(q, a, f, d) : no_memory(d);
        if (rc)
            break;
    }
    stmt_done(q);
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}

/* Path and type make the field, and so does its policy: another one is another field. */
enum err cstore_field_number(struct cstore *s, struct str form_id, bool repeat, struct str path, int type,
                             enum field_policy policy, uint32_t *number_out, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    bool row = false;
    uint32_t base = (uint32_t)policy * FIELD_POLICY_NUMBERS;
    enum err rc =
        statement(s,
                  "INSERT INTO field SELECT ?1, ?2, ?3, ?4, ?5,"
                  " (SELECT coalesce(max(number), ?6) + 1 FROM field WHERE county = ?1 AND form_id = ?2"
                  "  AND is_repeat = ?3 AND number > ?6 AND number < ?7)"
                  " WHERE true ON CONFLICT (county, form_id, is_repeat, path, type) DO UPDATE SET type = ?5"
                  " RETURNING number",
                  &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, form_id);
    bind_i64(q, 3, repeat);
    bind_text(q, 4, path);
    bind_i64(q, 5, type | (int64_t)policy << 16);
    bind_i64(q, 6, base);
    bind_i64(q, 7, base + FIELD_POLICY_NUMBERS);
    rc = stmt_step(q, &row, d);
    if (!rc) {
        CHECK(row);
        *number_out = (uint32_t)col_i64(q, 0);
        rc = stmt_step(q, &row, d);
    }
    stmt_done(q);
    if (!rc && *number_out >= base + FIELD_POLICY_NUMBERS)
        rc = diag_set(d, ERR_LIMIT,
                      "All versions of this form together have more than %u fields of one policy.",
                      FIELD_POLICY_NUMBERS - 1);
    return rc;
}

enum err cstore_field_path(struct cstore *s, struct arena *a, struct str form_id, uint32_t number,
                           struct str *path_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s,
                            "SELECT path FROM field WHERE county = ?1 AND form_id = ?2 AND is_repeat = 0"
                            " AND number = ?3",
                            &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, form_id);
    bind_i64(q, 3, number);
    rc = stmt_step(q, &row, d);
    if (!rc && !row)
        rc = ERR_NOT_FOUND;
    if (!rc && keep(a, col_text(q, 0), path_out))
        rc = no_memory(d);
    stmt_done(q);
    return rc;
}

/* ---- submissions ---- */

enum err cstore_submission_put(struct cstore *s, const struct submission_row *r, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc =
        statement(s,
                  "INSERT INTO submission (county, visit, form, form_id, instance_id, xml_matches, statuses, "
                  "device, inc,"
                  " person, final_seq, seen, received_ms, xml, capped)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
                  " ON CONFLICT (county, visit) DO UPDATE SET xml_matches = excluded.xml_matches,"
                  " statuses = excluded.statuses, xml = excluded.xml, final_seq = excluded.final_seq,"
                  " seen = excluded.seen, instance_id = excluded.instance_id, form = excluded.form,"
                  " form_id = excluded.form_id",
                  &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, r->visit, &room);
    bind_blob(q, 3, r->form, SHA256_SIZE);
    bind_text(q, 4, none_as_empty(r->form_id));
    bind_text(q, 5, none_as_empty(r->instance_id));
    bind_i64(q, 6, r->xml_matches);
    bind_text(q, 7, none_as_empty(r->statuses));
    bind_u64(q, 8, r->device);
    bind_i64(q, 9, r->inc);
    bind_i64(q, 10, r->person);
    bind_u64(q, 11, r->final_seq);
    bind_u64(q, 12, r->seen);
    bind_i64(q, 13, r->received_ms);
    bind_blob(q, 14, r->xml.n ? r->xml.p : "", r->xml.n);
    bind_i64(q, 15, r->capped);
    return stmt_run(q, d);
}

#define SUBMISSION_COLUMNS                                                                           \
    "SELECT s.visit, s.form, s.form_id, s.instance_id, s.xml_matches, s.statuses, s.device, s.inc, " \
    "s.person,"                                                                                      \
    " s.final_seq, s.seen, s.received_ms, s.xml, s.capped FROM submission s "

static enum err submissions_gather(struct stmt *q, struct arena *a, struct submission_row **out,
                                   uint32_t *count_out, struct diag *d)
{
    bool row = false;
    enum err rc = ERR_OK;
    VEC(struct submission_row) list = {0};
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct submission_row *r = vec_push(a, &list);
        if (!r) {
            rc = no_memory(d);
            break;
        }
        *r = (struct submission_row){.visit = col_row(q, 0),
                                     .xml_matches = col_i64(q, 4) != 0,
                                     .device = col_u64(q, 6),
                                     .inc = (uint32_t)col_i64(q, 7),
                                     .person = (uint32_t)col_i64(q, 8),
                                     .final_seq = col_u64(q, 9),
                                     .seen = col_u64(q, 10),
                                     .received_ms = col_i64(q, 11),
                                     .capped = col_i64(q, 13) != 0};
        if (!col_bytes(q, 1, r->form, SHA256_SIZE))
            rc = damaged(d, "submission");
        else if (keep(a, col_text(q, 2), &r->form_id) || keep(a, col_text(q, 3), &r->instance_id) ||
                 keep(a, col_text(q, 5), &r->statuses) || keep(a, col_blob(q, 12), &r->xml))
            rc = no_memory(d);
        if (rc)
            break;
    }
    stmt_done(q);
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}

enum err cstore_submission(struct cstore *s, struct arena *a, struct row_id visit, struct submission_row *out,
                           struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    struct submission_row *list = NULL;
    uint32_t count = 0;
    enum err rc = statement(s, SUBMISSION_COLUMNS "WHERE s.county = ?1 AND s.visit = ?2", &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, visit, &room);
    rc = submissions_gather(q, a, &list, &count, d);
    if (!rc && count == 0)
        rc = ERR_NOT_FOUND;
    if (!rc)
        *out = list[0];
    return rc;
}

enum err cstore_submissions_open(struct cstore *s, struct arena *a, struct row_id interview,
                                 struct submission_row **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc =
        statement(s,
                  SUBMISSION_COLUMNS
                  "JOIN record r ON r.county = s.county AND r.row = s.visit"
                  " WHERE s.county = ?1 AND r.interview = ?2 AND (s.xml_matches = 0 OR EXISTS ("
                  "  SELECT 1 FROM judged j WHERE j.county = ?1 AND j.visit = s.visit AND j.verdict = 4))"
                  " ORDER BY s.final_seq LIMIT 50",
                  &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, interview, &room);
    return submissions_gather(q, a, out, count_out, d);
}

enum err cstore_submissions_all(struct cstore *s, struct arena *a, struct row_id after, uint32_t limit,
                                struct submission_row **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    unsigned char id[ROW_ID_SIZE];
    row_id_write(after, id);
    enum err rc = statement(s,
                            SUBMISSION_COLUMNS
                            "WHERE s.county = ?1 AND s.visit > ?2 ORDER BY s.visit LIMIT ?3",
                            &q, d);
    if (rc)
        return rc;
    bind_blob(q, 2, id, sizeof id);
    bind_i64(q, 3, limit);
    return submissions_gather(q, a, out, count_out, d);
}

enum err cstore_submissions(struct cstore *s, struct arena *a, struct str form_id,
                            const struct submission_row *before, uint32_t limit, struct submission_row **out,
                            uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    unsigned char visit[ROW_ID_SIZE];
    memset(visit, 0xff, sizeof visit);
    if (before)
        row_id_write(before->visit, visit);
    enum err rc = statement(s,
                            SUBMISSION_COLUMNS "WHERE s.county = ?1 AND s.form_id = ?2"
                                               " AND (s.received_ms, s.visit) < (?3, ?4)"
                                               " ORDER BY s.received_ms DESC, s.visit DESC LIMIT ?5",
                            &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, none_as_empty(form_id));
    bind_i64(q, 3, before ? before->received_ms : INT64_MAX);
    bind_blob(q, 4, visit, sizeof visit);
    bind_i64(q, 5, limit);
    return submissions_gather(q, a, out, count_out, d);
}

/* ---- findings judged again ---- */

enum err cstore_judged_put(struct cstore *s, const struct judged_row *j, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc = statement(s,
                            "INSERT INTO judged (county, visit, verdict, at_ms, why, said, found)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (county, visit) DO UPDATE SET"
                            " verdict = excluded.verdict, at_ms = excluded.at_ms, why = excluded.why,"
                            " said = excluded.said, found = excluded.found",
                            &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, j->visit, &room);
    bind_i64(q, 3, j->verdict);
    bind_i64(q, 4, j->at_ms);
    bind_text(q, 5, none_as_empty(j->why));
    bind_text(q, 6, none_as_empty(j->said));
    bind_text(q, 7, none_as_empty(j->found));
    return stmt_run(q, d);
}

enum err cstore_judged(struct cstore *s, struct arena *a, struct row_id after, enum judged verdict,
                       uint32_t limit, struct judged_row **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    unsigned char id[ROW_ID_SIZE];
    VEC(struct judged_row) list = {0};
    enum err rc = statement(s,
                            "SELECT visit, verdict, at_ms, why, said, found FROM judged WHERE county = ?1"
                            " AND visit > ?2 AND ?3 IN (0, verdict) ORDER BY visit LIMIT ?4",
                            &q, d);
    if (rc)
        return rc;
    row_id_write(after, id);
    bind_blob(q, 2, id, sizeof id);
    bind_i64(q, 3, verdict);
    bind_i64(q, 4, limit);
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct judged_row *j = vec_push(a, &list);
        if (!j) {
            rc = no_memory(d);
            break;
        }
        *j = (struct judged_row){.visit = col_row(q, 0),
                                 .verdict = (enum judged)col_i64(q, 1),
                                 .at_ms = col_i64(q, 2)};
        if (keep(a, col_text(q, 3), &j->why) || keep(a, col_text(q, 4), &j->said) ||
            keep(a, col_text(q, 5), &j->found)) {
            rc = no_memory(d);
            break;
        }
    }
    stmt_done(q);
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}

/* ---- counts ---- */

/* clang-format off */
static const struct {
    const char *sql;
    size_t offset[5];
    int count;
} count_queries[] = {
#define AT(field) offsetof(struct centre_counts, field)
    {"SELECT count(*), count(*) FILTER (WHERE revoked_ms > 0) FROM device WHERE county = ?1",
     {AT(devices), AT(devices_revoked)}, 2},
    {"SELECT count(*) FROM record WHERE county = ?1 AND kind = 1", {AT(households)}, 1},
    {"SELECT count(*) FROM record WHERE county = ?1 AND kind = 2", {AT(interviews)}, 1},
    {"SELECT count(*) FROM record WHERE county = ?1 AND kind = 4", {AT(visits)}, 1},
    {"SELECT count(*), count(*) FILTER (WHERE code = 'red'), count(*) FILTER (WHERE code = 'yellow'),"
     " count(*) FILTER (WHERE code = 'blue'), count(*) FILTER (WHERE code = 'unknown')"
     " FROM record WHERE county = ?1 AND kind = 5",
     {AT(findings), AT(findings_red), AT(findings_yellow), AT(findings_blue), AT(findings_unknown)}, 5},
    {"SELECT count(*), count(*) FILTER (WHERE xml_matches = 0) FROM submission WHERE county = ?1",
     {AT(submissions), AT(submissions_differing)}, 2},
    {"SELECT count(*) FILTER (WHERE verdict = 1), count(*) FILTER (WHERE verdict = 2),"
     " count(*) FILTER (WHERE verdict IN (3, 4))"
     " FROM judged WHERE county = ?1",
     {AT(judged_same), AT(judged_differing), AT(judged_not)}, 3},
    {"SELECT count(*), coalesce(sum(change_count), 0), coalesce(sum(length(frame)), 0),"
     " coalesce(sum(again), 0) FROM batch WHERE county = ?1 AND copy = 0",
     {AT(frames), AT(changes), AT(frame_bytes), AT(duplicates)}, 4},
    {"SELECT count(*) FILTER (WHERE status = 2), count(*) FILTER (WHERE status = 3) FROM batch"
     " WHERE county = ?1 AND copy = 0",
     {AT(frames_conflicts), AT(frames_quarantined)}, 2},
    {"SELECT count(*) FROM batch WHERE county = ?1 AND copy > 0", {AT(clones)}, 1},
    {"SELECT coalesce(sum(conflicts), 0) FROM record WHERE county = ?1 AND conflicts > 0",
     {AT(conflicts)},
     1},
    {"SELECT count(*), coalesce(sum(size), 0) FROM object WHERE county = ?1",
     {AT(objects), AT(object_bytes)}, 2},
#undef AT
};
/* clang-format on */

enum err cstore_counts(struct cstore *s, struct centre_counts *out, struct diag *d)
{
    struct centre_counts counts = {0};
    for (size_t i = 0; i < sizeof count_queries / sizeof count_queries[0]; i++) {
        struct stmt *q = NULL;
        bool row = false;
        enum err rc = statement(s, count_queries[i].sql, &q, d);
        if (!rc)
            rc = stmt_step(q, &row, d);
        if (rc) {
            stmt_done(q);
            return rc;
        }
        for (int c = 0; c < count_queries[i].count; c++) {
            uint64_t v = col_u64(q, c);
            memcpy((char *)&counts + count_queries[i].offset[c], &v, sizeof v);
        }
        stmt_done(q);
    }
    *out = counts;
    return ERR_OK;
}

enum err cstore_quarantine(struct cstore *s, struct arena *a, struct quarantined **out, uint32_t *count_out,
                           struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    VEC(struct quarantined) list = {0};
    enum err rc = statement(
        s,
        "SELECT device, inc, bseq, batch_id, reason, received_ms, length(frame), copy, cause FROM batch"
        " WHERE county = ?1 AND status = 3 ORDER BY received_ms, bseq LIMIT 10000",
        &q, d);
    if (rc)
        return rc;
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct quarantined *z = vec_push(a, &list);
        if (!z) {
            rc = no_memory(d);
            break;
        }
        z->batch = (struct batch_row){.device = col_u64(q, 0),
                                      .inc = (uint32_t)col_i64(q, 1),
                                      .batch_seq = col_u64(q, 2),
                                      .status = RECEIPT_QUARANTINED,
                                      .received_ms = col_i64(q, 5),
                                      .copy = (uint32_t)col_i64(q, 7),
                                      .cause = (enum err)col_i64(q, 8)};
        z->bytes = col_u64(q, 6);
        if (!col_bytes(q, 3, z->batch.batch_id, BATCH_ID_SIZE))
            rc = damaged(d, "batch");
        else if (keep(a, col_text(q, 4), &z->batch.reason))
            rc = no_memory(d);
        if (rc)
            break;
    }
    stmt_done(q);
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}

enum err cstore_check(struct cstore *s, struct diag *d)
{
    return s->sql.ops->check(s->sql.db, d);
}
