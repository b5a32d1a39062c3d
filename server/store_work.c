/* The store's part of work.h. Every list is a walk along one index: (place, number) behind the last line
 * seen, so that a page costs the same at the end of a county as at its beginning.
 */
#include "server/store_work.h"

#include "server/store_impl.h"

#define LAST_CHARACTER "\xF4\x8F\xBF\xBF"
#define PREFIX_MAX 400

/* What begins with a prefix: from it, below this. */
struct prefix_end {
    char at[PREFIX_MAX + 4];
};

static struct str prefix_end(struct str prefix, struct prefix_end *room)
{
    struct str p = str_sub(none_as_empty(prefix), 0, PREFIX_MAX);
    memcpy(room->at, p.p, p.n);
    memcpy(room->at + p.n, LAST_CHARACTER, 4);
    return (struct str){room->at, p.n + 4};
}

/* ---- what lines are made of ---- */

enum err cstore_line_records(struct cstore *s, struct arena *a, struct row_id root, struct record_row **out,
                             uint32_t *count_out, struct diag *d)
{
    static const char sql[] =
        "SELECT row, number, kind, parent, household, interview, area, code, conflicts, deleted_seq,"
        " CASE WHEN kind IN (1, 4, 5, 6, 10, 12, 14) THEN packed END FROM record WHERE county = ?1"
        " AND household = ?2 ORDER BY number";
    static const char of_interview[] =
        "SELECT row, number, kind, parent, household, interview, area, code, conflicts, deleted_seq,"
        " CASE WHEN kind IN (1, 4, 5, 6, 10, 12, 14) THEN packed END FROM record WHERE county = ?1"
        " AND interview = ?2 AND household IS NULL ORDER BY number";
    VEC(struct record_row) list = {0};
    enum err rc = ERR_OK;
    for (int i = 0; !rc && i < 2 && list.count == 0; i++) {
        struct stmt *q = NULL;
        struct row_bytes room;
        bool row = false;
        rc = statement(s, i ? of_interview : sql, &q, d);
        if (rc)
            break;
        bind_row(q, 2, root, &room);
        while (!(rc = stmt_step(q, &row, d)) && row) {
            struct record_row *r = vec_push(a, &list);
            if (!r) {
                rc = no_memory(d);
                break;
            }
            *r = (struct record_row){.row = col_row(q, 0),
                                     .number = col_u64(q, 1),
                                     .kind = (int)col_i64(q, 2),
                                     .parent = col_row(q, 3),
                                     .household = col_row(q, 4),
                                     .interview = col_row(q, 5),
                                     .conflicts = (uint32_t)col_i64(q, 8),
                                     .deleted_seq = col_u64(q, 9)};
            if (keep(a, col_text(q, 6), &r->area) || keep(a, col_text(q, 7), &r->code) ||
                keep(a, col_blob(q, 10), &r->packed)) {
                rc = no_memory(d);
                break;
            }
        }
        stmt_done(q);
    }
    if (!rc) {
        *out = list.at;
        *count_out = list.count;
    }
    return rc;
}

enum err cstore_visit_facts(struct cstore *s, struct arena *a, struct row_id visit, struct visit_facts *out,
                            struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    bool row = false;
    *out = (struct visit_facts){.form_id = STR("")};
    enum err rc =
        statement(s,
                  "SELECT s.xml_matches, s.form_id, s.device, s.person, coalesce(j.verdict, 0)"
                  " FROM submission s LEFT JOIN judged j ON j.county = s.county AND j.visit = s.visit"
                  " WHERE s.county = ?1 AND s.visit = ?2",
                  &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, visit, &room);
    rc = stmt_step(q, &row, d);
    if (!rc && row) {
        *out = (struct visit_facts){.submitted = true,
                                    .matches = col_i64(q, 0) != 0,
                                    .device = col_u64(q, 2),
                                    .person = (uint32_t)col_i64(q, 3),
                                    .verdict = (uint32_t)col_i64(q, 4)};
        if (keep(a, col_text(q, 1), &out->form_id))
            rc = no_memory(d);
    }
    stmt_done(q);
    return rc;
}

/* ---- lines ---- */

#define HOUSE_COLUMNS                                                                                    \
    "SELECT household, number, area, code, name, status, into_code, level, person, visited, due, clock," \
    " clock_code, next, leads, conflicts, tallies FROM house_line WHERE county = ?1"

static enum err house_read(struct stmt *q, struct arena *a, struct house_line *l, struct diag *d)
{
    *l = (struct house_line){.row = col_row(q, 0),
                             .number = col_u64(q, 1),
                             .person = (uint32_t)col_i64(q, 8),
                             .visited = col_i64(q, 9),
                             .due = col_i64(q, 10),
                             .clock = col_i64(q, 11),
                             .next = col_i64(q, 13),
                             .leads = (uint32_t)col_i64(q, 14),
                             .conflicts = (uint32_t)col_i64(q, 15)};
    struct str *const texts[] = {&l->area, &l->code, &l->name, &l->status, &l->into_code, &l->level};
    for (int i = 0; i < 6; i++) {
        if (keep(a, col_text(q, 2 + i), texts[i]))
            return no_memory(d);
    }
    return keep(a, col_text(q, 12), &l->clock_code) || keep(a, col_text(q, 16), &l->tallies) ? no_memory(d)
                                                                                             : ERR_OK;
}

enum err cstore_house_line(struct cstore *s, struct arena *a, struct row_id id, struct house_line *out,
                           struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    bool row = false;
    enum err rc = statement(s, HOUSE_COLUMNS " AND household = ?2", &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, id, &room);
    rc = stmt_step(q, &row, d);
    if (!rc)
        rc = row ? house_read(q, a, out, d) : ERR_NOT_FOUND;
    stmt_done(q);
    return rc;
}

enum err cstore_house_line_put(struct cstore *s, const struct house_line *l, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc = statement(
        s,
        "INSERT INTO house_line (county, household, number, area, code, name, status, into_code, level,"
        " person, visited, due, clock, clock_code, next, leads, conflicts, tallies)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)"
        " ON CONFLICT (county, household) DO UPDATE SET area = excluded.area, code = excluded.code,"
        " name = excluded.name, status = excluded.status, into_code = excluded.into_code,"
        " level = excluded.level, person = excluded.person, visited = excluded.visited, due = excluded.due,"
        " clock = excluded.clock, clock_code = excluded.clock_code, next = excluded.next,"
        " leads = excluded.leads, conflicts = excluded.conflicts, tallies = excluded.tallies",
        &q, d);
    if (rc)
        return rc;
    const struct str texts[] = {l->area, l->code, l->name, l->status, l->into_code, l->level};
    bind_row(q, 2, l->row, &room);
    bind_u64(q, 3, l->number);
    for (int i = 0; i < 6; i++)
        bind_text(q, 4 + i, none_as_empty(texts[i]));
    bind_i64(q, 10, l->person);
    bind_i64(q, 11, l->visited);
    bind_i64(q, 12, l->due);
    bind_i64(q, 13, l->clock);
    bind_text(q, 14, none_as_empty(l->clock_code));
    bind_i64(q, 15, l->next);
    bind_i64(q, 16, l->leads);
    bind_i64(q, 17, l->conflicts);
    bind_text(q, 18, none_as_empty(l->tallies));
    return stmt_run(q, d);
}

static enum err run_row(struct cstore *s, const char *sql, struct row_id id, struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc = statement(s, sql, &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, id, &room);
    return stmt_run(q, d);
}

enum err cstore_house_line_drop(struct cstore *s, struct row_id row, struct diag *d)
{
    CHECK(s->txn.open);
    return run_row(s, "DELETE FROM house_line WHERE county = ?1 AND household = ?2", row, d);
}

#define VISIT_COLUMNS                                                                                  \
    "SELECT visit, number, root, household, interview, area, code, name, form_id, level, why, person," \
    " device, day, round, waits, state, flags, verdict FROM visit_line WHERE county = ?1"

static enum err visit_read(struct stmt *q, struct arena *a, struct visit_line *l, struct diag *d)
{
    *l = (struct visit_line){.row = col_row(q, 0),
                             .number = col_u64(q, 1),
                             .root = col_row(q, 2),
                             .household = col_row(q, 3),
                             .interview = col_row(q, 4),
                             .person = (uint32_t)col_i64(q, 11),
                             .device = col_u64(q, 12),
                             .day = col_i64(q, 13),
                             .round = (uint32_t)col_i64(q, 14),
                             .waits = (uint32_t)col_i64(q, 15),
                             .state = (uint32_t)col_i64(q, 16),
                             .flags = (uint32_t)col_i64(q, 17),
                             .verdict = (uint32_t)col_i64(q, 18)};
    struct str *const texts[] = {&l->area, &l->code, &l->name, &l->form_id, &l->level, &l->why};
    for (int i = 0; i < 6; i++) {
        if (keep(a, col_text(q, 5 + i), texts[i]))
            return no_memory(d);
    }
    return ERR_OK;
}

enum err cstore_visit_line_put(struct cstore *s, const struct visit_line *l, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    struct row_bytes room[4];
    enum err rc = statement(
        s,
        "INSERT INTO visit_line (county, visit, number, root, household, interview, area, code, name, "
        "form_id,"
        " level, why, person, device, day, round, waits, state, flags, verdict)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)"
        " ON CONFLICT (county, visit) DO UPDATE SET root = excluded.root, household = excluded.household,"
        " interview = excluded.interview, area = excluded.area, code = excluded.code, name = excluded.name,"
        " form_id = excluded.form_id, level = excluded.level, why = excluded.why, person = excluded.person,"
        " day = excluded.day, round = excluded.round, waits = excluded.waits, state = excluded.state,"
        " flags = excluded.flags, verdict = excluded.verdict",
        &q, d);
    if (rc)
        return rc;
    const struct str texts[] = {l->area, l->code, l->name, l->form_id, l->level, l->why};
    bind_row(q, 2, l->row, &room[0]);
    bind_u64(q, 3, l->number);
    bind_row(q, 4, l->root, &room[1]);
    bind_row(q, 5, l->household, &room[2]);
    bind_row(q, 6, l->interview, &room[3]);
    for (int i = 0; i < 6; i++)
        bind_text(q, 7 + i, none_as_empty(texts[i]));
    bind_i64(q, 13, l->person);
    bind_u64(q, 14, l->device);
    bind_i64(q, 15, l->day);
    bind_i64(q, 16, l->round);
    bind_i64(q, 17, l->waits);
    bind_i64(q, 18, l->state);
    bind_i64(q, 19, l->flags);
    bind_i64(q, 20, l->verdict);
    return stmt_run(q, d);
}

#define LEAD_COLUMNS                                                                                     \
    "SELECT lead, number, household, area, code, name, channel, source, state, clock_code, opened, next" \
    " FROM lead_line WHERE county = ?1"

static enum err lead_read(struct stmt *q, struct arena *a, struct lead_line *l, struct diag *d)
{
    *l = (struct lead_line){.row = col_row(q, 0),
                            .number = col_u64(q, 1),
                            .household = col_row(q, 2),
                            .opened = col_i64(q, 10),
                            .next = col_i64(q, 11)};
    struct str *const texts[] = {&l->area,   &l->code,  &l->name,      &l->channel,
                                 &l->source, &l->state, &l->clock_code};
    for (int i = 0; i < 7; i++) {
        if (keep(a, col_text(q, 3 + i), texts[i]))
            return no_memory(d);
    }
    return ERR_OK;
}

enum err cstore_lead_line_put(struct cstore *s, const struct lead_line *l, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    struct row_bytes room[2];
    enum err rc =
        statement(s,
                  "INSERT INTO lead_line (county, lead, number, household, area, code, name, channel, source,"
                  " state, clock_code, opened, next)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                  &q, d);
    if (rc)
        return rc;
    const struct str texts[] = {l->area, l->code, l->name, l->channel, l->source, l->state, l->clock_code};
    bind_row(q, 2, l->row, &room[0]);
    bind_u64(q, 3, l->number);
    bind_row(q, 4, l->household, &room[1]);
    for (int i = 0; i < 7; i++)
        bind_text(q, 5 + i, none_as_empty(texts[i]));
    bind_i64(q, 12, l->opened);
    bind_i64(q, 13, l->next);
    return stmt_run(q, d);
}

enum err cstore_lines_drop(struct cstore *s, struct row_id root, struct diag *d)
{
    CHECK(s->txn.open);
    enum err rc = run_row(s, "DELETE FROM visit_line WHERE county = ?1 AND root = ?2", root, d);
    return rc ? rc : run_row(s, "DELETE FROM lead_line WHERE county = ?1 AND household = ?2", root, d);
}

enum err cstore_lines_forget(struct cstore *s, struct diag *d)
{
    static const char *const tables[] = {"DELETE FROM house_line WHERE county = ?1",
                                         "DELETE FROM visit_line WHERE county = ?1",
                                         "DELETE FROM lead_line WHERE county = ?1",
                                         "DELETE FROM tally WHERE county = ?1"};
    CHECK(s->txn.open);
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < sizeof tables / sizeof tables[0]; i++) {
        struct stmt *q = NULL;
        rc = statement(s, tables[i], &q, d);
        if (!rc)
            rc = stmt_run(q, d);
    }
    return rc;
}

enum err cstore_tally_add(struct cstore *s, struct str area, struct str what, int64_t day, int64_t n,
                          struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            "INSERT INTO tally (county, area, what, day, n) VALUES (?1, ?2, ?3, ?4, ?5)"
                            " ON CONFLICT (county, area, what, day) DO UPDATE SET n = tally.n + excluded.n",
                            &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, none_as_empty(area));
    bind_text(q, 3, what);
    bind_i64(q, 4, day);
    bind_i64(q, 5, n);
    return stmt_run(q, d);
}

/* ---- lists ---- */

#define IN_AREA " AND area >= ?2 AND area < ?3"

/* clang-format off */
static const char *const house_sql[] = {
    [HOUSES_BY_AREA]     = HOUSE_COLUMNS IN_AREA " AND code <> '' AND (area, number) > (?4, ?5)"
                           " ORDER BY area, number LIMIT ?6",
    [HOUSES_IN_CONFLICT] = HOUSE_COLUMNS IN_AREA " AND conflicts > 0 AND (area, number) > (?4, ?5)"
                           " ORDER BY area, number LIMIT ?6",
    [HOUSES_BY_CODE]     = HOUSE_COLUMNS IN_AREA " AND code >= ?7 AND code < ?8"
                           " AND (code, number) > (?4, ?5)"
                           " ORDER BY code, number LIMIT ?6",
    [HOUSES_BY_NAME]     = HOUSE_COLUMNS IN_AREA " AND name >= ?7 AND name < ?8 AND (name, number) > (?4, ?5)"
                           " ORDER BY name, number LIMIT ?6",
    [HOUSES_NEXT]        = HOUSE_COLUMNS IN_AREA " AND next > 0 AND next <= ?7 AND (next, number) > (?4, ?5)"
                           " ORDER BY next, number LIMIT ?6",
};
/* clang-format on */

static void bind_area(struct stmt *q, const struct line_page *p, struct prefix_end *room)
{
    bind_text(q, 2, none_as_empty(p->area));
    bind_text(q, 3, prefix_end(p->area, room));
    bind_text(q, 4, none_as_empty(p->after_text));
    bind_u64(q, 5, p->after);
    bind_i64(q, 6, p->limit);
}

enum err cstore_house_lines(struct cstore *s, struct arena *a, enum house_list which,
                            const struct line_page *p, struct house_line **out, uint32_t *count_out,
                            struct diag *d)
{
    struct stmt *q = NULL;
    struct prefix_end area, text;
    bool row = false;
    VEC(struct house_line) list = {0};
    enum err rc = statement(s, house_sql[which], &q, d);
    if (rc)
        return rc;
    bind_area(q, p, &area);
    if (which == HOUSES_NEXT) {
        bind_i64(q, 4, p->after_day);
        bind_i64(q, 7, p->upto);
    } else if (which == HOUSES_BY_CODE || which == HOUSES_BY_NAME) {
        bind_text(q, 7, none_as_empty(p->text));
        bind_text(q, 8, prefix_end(p->text, &text));
    }
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct house_line *l = vec_push(a, &list);
        rc = l ? house_read(q, a, l, d) : no_memory(d);
        if (rc)
            break;
    }
    stmt_done(q);
    *out = list.at;
    *count_out = list.count;
    return rc;
}

static enum err visits_gather(struct stmt *q, struct arena *a, struct visit_line **out, uint32_t *count_out,
                              struct diag *d)
{
    bool row = false;
    enum err rc = ERR_OK;
    VEC(struct visit_line) list = {0};
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct visit_line *l = vec_push(a, &list);
        rc = l ? visit_read(q, a, l, d) : no_memory(d);
        if (rc)
            break;
    }
    stmt_done(q);
    *out = list.at;
    *count_out = list.count;
    return rc;
}

/* clang-format off */
static const char *const visit_sql[] = {
    [VISITS_WAITING]   = VISIT_COLUMNS IN_AREA " AND waits = ?7 AND (area, number) > (?4, ?5)"
                         " ORDER BY area, number LIMIT ?6",
    [VISITS_DIFFERING] = VISIT_COLUMNS IN_AREA " AND verdict = 2 AND (area, number) > (?4, ?5)"
                         " ORDER BY area, number LIMIT ?6",
    [VISITS_DOUBTFUL]  = VISIT_COLUMNS IN_AREA " AND (flags >= 8 OR verdict = 3)"
                         " AND (area, number) > (?4, ?5)"
                         " ORDER BY area, number LIMIT ?6",
};
/* clang-format on */

enum err cstore_visit_lines(struct cstore *s, struct arena *a, enum visit_list which,
                            const struct line_page *p, struct visit_line **out, uint32_t *count_out,
                            struct diag *d)
{
    struct stmt *q = NULL;
    struct prefix_end area;
    enum err rc = statement(s, visit_sql[which], &q, d);
    if (rc)
        return rc;
    bind_area(q, p, &area);
    if (which == VISITS_WAITING)
        bind_i64(q, 7, p->upto);
    return visits_gather(q, a, out, count_out, d);
}

enum err cstore_visit_lines_of(struct cstore *s, struct arena *a, struct row_id root, struct visit_line **out,
                               uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc = statement(s, VISIT_COLUMNS " AND root = ?2 ORDER BY number", &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, root, &room);
    return visits_gather(q, a, out, count_out, d);
}

enum err cstore_visit_line(struct cstore *s, struct arena *a, struct row_id visit, struct visit_line *out,
                           struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    struct visit_line *list = NULL;
    uint32_t count = 0;
    enum err rc = statement(s, VISIT_COLUMNS " AND visit = ?2", &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, visit, &room);
    rc = visits_gather(q, a, &list, &count, d);
    if (!rc && count)
        *out = list[0];
    return rc ? rc : count ? ERR_OK : ERR_NOT_FOUND;
}

enum err cstore_lead_lines(struct cstore *s, struct arena *a, const struct line_page *p,
                           struct lead_line **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    struct prefix_end area;
    bool row = false;
    VEC(struct lead_line) list = {0};
    enum err rc = statement(s,
                            LEAD_COLUMNS IN_AREA
                            " AND (next, number) > (?4, ?5) ORDER BY next, number LIMIT ?6",
                            &q, d);
    if (rc)
        return rc;
    bind_area(q, p, &area);
    bind_i64(q, 4, p->after_day);
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct lead_line *l = vec_push(a, &list);
        rc = l ? lead_read(q, a, l, d) : no_memory(d);
        if (rc)
            break;
    }
    stmt_done(q);
    *out = list.at;
    *count_out = list.count;
    return rc;
}

enum err cstore_tallies(struct cstore *s, struct arena *a, struct str area, struct str what, int64_t from,
                        int64_t upto, bool by_area, struct tally_sum **out, uint32_t *count_out,
                        struct diag *d)
{
    static const char summed[] =
        "SELECT '', what, sum(n) FROM tally WHERE county = ?1 AND area >= ?2 AND area < ?3"
        " AND what >= ?4 AND what < ?5 AND day >= ?6 AND day <= ?7 GROUP BY what ORDER BY what";
    static const char apart[] =
        "SELECT area, what, sum(n) FROM tally WHERE county = ?1 AND area >= ?2 AND area < ?3"
        " AND what >= ?4 AND what < ?5 AND day >= ?6 AND day <= ?7 GROUP BY area, what ORDER BY area, what";
    struct stmt *q = NULL;
    struct prefix_end area_end, what_end;
    bool row = false;
    VEC(struct tally_sum) list = {0};
    enum err rc = statement(s, by_area ? apart : summed, &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, none_as_empty(area));
    bind_text(q, 3, prefix_end(area, &area_end));
    bind_text(q, 4, none_as_empty(what));
    bind_text(q, 5, prefix_end(what, &what_end));
    bind_i64(q, 6, from);
    bind_i64(q, 7, upto);
    while (!(rc = stmt_step(q, &row, d)) && row) {
        struct tally_sum *t = vec_push(a, &list);
        if (!t || keep(a, col_text(q, 0), &t->area) || keep(a, col_text(q, 1), &t->what)) {
            rc = no_memory(d);
            break;
        }
        t->n = col_i64(q, 2);
    }
    stmt_done(q);
    *out = list.at;
    *count_out = list.count;
    return rc;
}

/* ---- the log by household ---- */

enum err cstore_trace_put(struct cstore *s, struct row_id root, uint64_t seq, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    struct row_bytes room;
    enum err rc = statement(s,
                            "INSERT INTO trace (county, root, seq) VALUES (?1, ?2, ?3)"
                            " ON CONFLICT (county, root, seq) DO NOTHING",
                            &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, root, &room);
    bind_u64(q, 3, seq);
    return stmt_run(q, d);
}

enum err cstore_traces(struct cstore *s, struct arena *a, struct row_id root, uint64_t before, uint32_t limit,
                       uint64_t **out, uint32_t *count_out, struct diag *d)
{
    struct stmt *q = NULL;
    struct row_bytes room;
    bool row = false;
    VEC(uint64_t) list = {0};
    enum err rc = statement(s,
                            "SELECT seq FROM trace WHERE county = ?1 AND root = ?2 AND seq < ?3"
                            " ORDER BY seq DESC LIMIT ?4",
                            &q, d);
    if (rc)
        return rc;
    bind_row(q, 2, root, &room);
    bind_u64(q, 3, before);
    bind_i64(q, 4, limit);
    while (!(rc = stmt_step(q, &row, d)) && row) {
        uint64_t *slot = vec_push(a, &list);
        if (!slot) {
            rc = no_memory(d);
            break;
        }
        *slot = col_u64(q, 0);
    }
    stmt_done(q);
    *out = list.at;
    *count_out = list.count;
    return rc;
}

enum err cstore_batch_at(struct cstore *s, struct arena *a, uint64_t seq, struct batch_row *out,
                         struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s,
                            "SELECT device, inc, bseq, copy, batch_id, status, server_seq, change_count,"
                            " received_ms, came_epoch, as_inc, payload FROM batch"
                            " WHERE county = ?1 AND server_seq = ?2 AND server_seq > 0",
                            &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, seq);
    rc = stmt_step(q, &row, d);
    if (!rc && row) {
        *out = (struct batch_row){.device = col_u64(q, 0),
                                  .inc = (uint32_t)col_i64(q, 1),
                                  .batch_seq = col_u64(q, 2),
                                  .copy = (uint32_t)col_i64(q, 3),
                                  .status = (enum receipt_status)col_i64(q, 5),
                                  .server_seq = col_u64(q, 6),
                                  .change_count = (uint32_t)col_i64(q, 7),
                                  .received_ms = col_i64(q, 8),
                                  .came_epoch = (uint32_t)col_i64(q, 9),
                                  .as_inc = (uint32_t)col_i64(q, 10)};
        if (!col_bytes(q, 4, out->batch_id, BATCH_ID_SIZE))
            rc = damaged(d, "batch");
        else if (keep(a, col_blob(q, 11), &out->payload))
            rc = no_memory(d);
    }
    stmt_done(q);
    return rc ? rc : row ? ERR_OK : ERR_NOT_FOUND;
}

enum err cstore_own_at(struct cstore *s, struct arena *a, uint64_t seq, struct own_row *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(
        s, "SELECT seq, payload FROM own WHERE county = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1", &q, d);
    if (rc)
        return rc;
    bind_u64(q, 2, seq);
    rc = stmt_step(q, &row, d);
    if (!rc && row) {
        out->seq = col_u64(q, 0);
        if (keep(a, col_blob(q, 1), &out->payload))
            rc = no_memory(d);
    }
    stmt_done(q);
    return rc ? rc : row ? ERR_OK : ERR_NOT_FOUND;
}

/* ---- leases ---- */

enum err cstore_lease(struct cstore *s, struct arena *a, struct str what, int64_t now_ms,
                      struct lease_row *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(
        s, "SELECT person, name, until_ms FROM lease WHERE county = ?1 AND what = ?2 AND until_ms > ?3", &q,
        d);
    if (rc)
        return rc;
    bind_text(q, 2, what);
    bind_i64(q, 3, now_ms);
    rc = stmt_step(q, &row, d);
    if (!rc && row) {
        *out = (struct lease_row){.what = what, .person = (uint32_t)col_i64(q, 0), .until_ms = col_i64(q, 2)};
        if (keep(a, col_text(q, 1), &out->name))
            rc = no_memory(d);
    }
    stmt_done(q);
    return rc ? rc : row ? ERR_OK : ERR_NOT_FOUND;
}

enum err cstore_lease_take(struct cstore *s, struct arena *a, const struct lease_row *l, int64_t now_ms,
                           struct lease_row *held_out, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc =
        statement(s,
                  "INSERT INTO lease (county, what, person, name, until_ms) VALUES (?1, ?2, ?3, ?4, ?5)"
                  " ON CONFLICT (county, what) DO UPDATE SET person = excluded.person, name = excluded.name,"
                  " until_ms = excluded.until_ms"
                  " WHERE lease.until_ms <= ?6 OR lease.person = excluded.person",
                  &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, l->what);
    bind_i64(q, 3, l->person);
    bind_text(q, 4, none_as_empty(l->name));
    bind_i64(q, 5, l->until_ms);
    bind_i64(q, 6, now_ms);
    rc = stmt_run(q, d);
    return rc ? rc : cstore_lease(s, a, l->what, now_ms, held_out, d);
}

enum err cstore_lease_end(struct cstore *s, struct str what, uint32_t person, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            "DELETE FROM lease WHERE county = ?1 AND what = ?2 AND (person = ?3 OR ?3 = 0)",
                            &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, what);
    bind_i64(q, 3, person);
    return stmt_run(q, d);
}

enum err cstore_leases_tidy(struct cstore *s, int64_t now_ms, struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = statement(s, "DELETE FROM lease WHERE county = ?1 AND until_ms <= ?2", &q, d);
    if (rc)
        return rc;
    bind_i64(q, 2, now_ms);
    return stmt_run(q, d);
}

/* ---- mappings ---- */

enum err cstore_mapping_put(struct cstore *s, struct str name, struct str text, int64_t now_ms,
                            struct diag *d)
{
    CHECK(s->txn.open);
    struct stmt *q = NULL;
    enum err rc = statement(s,
                            "INSERT INTO mapping (county, name, body, at_ms) VALUES (?1, ?2, ?3, ?4)"
                            " ON CONFLICT (county, name) DO UPDATE SET body = excluded.body,"
                            " at_ms = excluded.at_ms",
                            &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, name);
    bind_text(q, 3, none_as_empty(text));
    bind_i64(q, 4, now_ms);
    return stmt_run(q, d);
}

enum err cstore_mapping(struct cstore *s, struct arena *a, struct str name, struct str *text_out,
                        struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = statement(s, "SELECT body FROM mapping WHERE county = ?1 AND name = ?2", &q, d);
    if (rc)
        return rc;
    bind_text(q, 2, name);
    rc = stmt_step(q, &row, d);
    if (!rc && row && keep(a, col_text(q, 0), text_out))
        rc = no_memory(d);
    stmt_done(q);
    return rc ? rc : row ? ERR_OK : ERR_NOT_FOUND;
}
