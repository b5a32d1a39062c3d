/* What lists show: forms and packs, households, what departments know, counts. Reads only.
 */
#include "agent/store_impl.h"
#include "platform/base/civil.h"
#include "risk/dept.h"

enum err each_record(struct store *s, struct arena *a, const char *sql, int64_t argument,
                     record_visitor visit, void *self, struct diag *d)
{
    struct stmt *q = NULL;
    VEC(struct row) rows = {0};
    bool more = false;

    enum err rc = db_prepare(s->db, sql, &q, d);
    if (!rc)
        bind_i64(q, 1, argument);
    while (!rc && !(rc = stmt_step(q, &more, d)) && more) {
        struct row *slot = vec_push(a, &rows);
        if (slot)
            *slot = row_from(q);
        else
            rc = diag_set(d, ERR_NOMEM, "no memory for the list");
    }
    stmt_done(q);
    for (uint32_t i = 0; !rc && i < rows.count; i++) {
        struct record r;
        rc = record_load(s, a, &rows.at[i], &r, d);
        if (!rc && !record_deleted(&r))
            rc = visit(s, a, &rows.at[i], &r, self, d);
    }
    return rc;
}

#define ROWS_OF_KIND \
    "SELECT " ROW_COLUMNS " FROM row WHERE kind = ? AND visit = 0 AND deleted = 0 ORDER BY key"

/* ---- forms, lists, packs ---- */

struct published_list {
    VEC(struct published) list;
    const unsigned char *hash; /* NULL = all that are live */
};

/* Some areas have a version before the others do. */
static bool for_here(const struct store *s, struct str areas)
{
    struct str area = s->id.by.area, word;
    if (areas.n == 0)
        return true;
    while (str_word(&areas, &word))
        if (area.p && str_starts(area, word))
            return true;
    return false;
}

/* A row that cannot be read is passed over: it must not hide the others. */
static enum err take_published(struct store *s, struct arena *a, const struct row *row,
                               const struct record *r, void *self, struct diag *d)
{
    struct published_list *out = self;
    struct published p = {
        .kind = record_value(r, PUBLISHED_KIND),
        .id = record_value(r, PUBLISHED_ID),
        .version = record_value(r, PUBLISHED_VERSION),
        .title = record_value(r, PUBLISHED_TITLE),
        .fieldmap = record_value(r, PUBLISHED_FIELDS),
    };
    (void)row;
    if (!hex_read(record_value(r, PUBLISHED_HASH), p.hash, SHA256_SIZE) ||
        !str_to_u64(record_value(r, PUBLISHED_SIZE), &p.size))
        return ERR_OK;
    if (!out->hash && !for_here(s, record_value(r, PUBLISHED_AREAS)))
        return ERR_OK;
    if (out->hash ? memcmp(out->hash, p.hash, SHA256_SIZE) != 0
                  : !str_eq(record_value(r, PUBLISHED_STATE), STR("live")))
        return ERR_OK;
    enum err rc = object_held(s, p.hash, &p.held, d);
    if (rc)
        return rc;
    struct published *slot = vec_push(a, &out->list);
    if (!slot)
        return diag_set(d, ERR_NOMEM, "no memory for the catalogue");
    *slot = p;
    return ERR_OK;
}

/* Rows come oldest first. */
static void newest_first(struct published *list, uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++) {
        struct published p = list[i];
        list[i] = list[count - 1 - i];
        list[count - 1 - i] = p;
    }
}

enum err store_published(struct store *s, struct arena *a, struct published **list_out, uint32_t *count_out,
                         struct diag *d)
{
    struct published_list out = {0};
    enum err rc = each_record(s, a, ROWS_OF_KIND, ROW_PUBLISHED, take_published, &out, d);
    if (rc)
        return rc;
    newest_first(out.list.at, out.list.count);
    *list_out = out.list.at;
    *count_out = out.list.count;
    return ERR_OK;
}

enum err store_published_by_hash(struct store *s, struct arena *a,
                                 const unsigned char hash[static SHA256_SIZE], struct published *out,
                                 struct diag *d)
{
    struct published_list found = {.hash = hash};
    enum err rc = each_record(s, a, ROWS_OF_KIND, ROW_PUBLISHED, take_published, &found, d);
    if (!rc && found.list.count == 0)
        return ERR_NOT_FOUND;
    if (!rc)
        *out = found.list.at[found.list.count - 1];
    return rc;
}

struct before {
    const unsigned char *hash;
    struct published named, found;
    bool any;
};

static enum err take_before(struct store *s, struct arena *a, const struct row *row, const struct record *r,
                            void *self, struct diag *d)
{
    struct before *b = self;
    struct published_list one = {0};
    unsigned char hash[SHA256_SIZE];
    if (!str_eq(record_value(r, PUBLISHED_KIND), b->named.kind) ||
        !str_eq(record_value(r, PUBLISHED_ID), b->named.id) ||
        !hex_read(record_value(r, PUBLISHED_HASH), hash, SHA256_SIZE) ||
        memcmp(hash, b->hash, SHA256_SIZE) == 0)
        return ERR_OK;
    one.hash = hash;
    enum err rc = take_published(s, a, row, r, &one, d);
    if (!rc && one.list.count && one.list.at[0].held) {
        b->found = one.list.at[0];
        b->any = true;
    }
    return rc;
}

enum err store_published_before(struct store *s, struct arena *a,
                                const unsigned char hash[static SHA256_SIZE], struct published *out,
                                struct diag *d)
{
    struct before b = {.hash = hash};
    enum err rc = store_published_by_hash(s, a, hash, &b.named, d);
    if (!rc)
        rc = each_record(s, a, ROWS_OF_KIND, ROW_PUBLISHED, take_before, &b, d);
    if (!rc && !b.any)
        rc = ERR_NOT_FOUND;
    if (!rc)
        *out = b.found;
    return rc;
}

static bool is_among(const unsigned char (*hashes)[SHA256_SIZE], uint32_t count, const unsigned char *hash)
{
    for (uint32_t i = 0; i < count; i++)
        if (memcmp(hashes[i], hash, SHA256_SIZE) == 0)
            return true;
    return false;
}

enum err store_object_wanted(struct store *s, const unsigned char (*refused)[SHA256_SIZE],
                             uint32_t refused_count, unsigned char hash_out[static SHA256_SIZE],
                             uint64_t *size_out, bool *any_out, struct diag *d)
{
    struct arena a;
    struct published *list;
    uint32_t count;

    arena_init(&a, STORE_SCRATCH_MAX);
    enum err rc = store_published(s, &a, &list, &count, d);
    if (!rc) {
        *any_out = false;
        for (uint32_t i = 0; i < count && !*any_out; i++)
            if (!list[i].held && !is_among(refused, refused_count, list[i].hash)) {
                memcpy(hash_out, list[i].hash, SHA256_SIZE);
                *size_out = list[i].size;
                *any_out = true;
            }
    }
    arena_free(&a);
    return rc;
}

/* ---- visits ---- */

static int64_t instant_of(const struct store *s, struct str iso)
{
    struct civil c;
    return civil_read(iso, &c) && c.has_date ? civil_instant_ms(&c, s->zone) : INT64_MIN;
}

struct newest {
    struct newest_visit *out;
    int64_t at_ms;
};

static enum err take_visit(struct store *s, struct arena *a, const struct row *row, const struct record *r,
                           void *self, struct diag *d)
{
    struct newest *n = self;
    struct str ended = record_value(r, VISIT_ENDED);
    int64_t at_ms = instant_of(s, ended);
    (void)a, (void)d;
    if (n->out->key && at_ms < n->at_ms)
        return ERR_OK;
    n->at_ms = at_ms;
    *n->out = (struct newest_visit){row->key, ended, record_value(r, VISIT_LEVEL)};
    return ERR_OK;
}

/* By the time the visit ended, not by the order in which the centre told of them. */
static enum err newest_of(struct store *s, struct arena *a, const char *sql, int64_t key,
                          struct newest_visit *out, struct diag *d)
{
    struct newest_visit found = {0};
    struct newest n = {.out = &found};
    enum err rc = each_record(s, a, sql, key, take_visit, &n, d);
    if (!rc)
        *out = found;
    return rc;
}

enum err newest_visit_of_interview(struct store *s, struct arena *a, int64_t interview,
                                   struct newest_visit *out, struct diag *d)
{
    return newest_of(s, a,
                     "SELECT " ROW_COLUMNS
                     " FROM row WHERE parent = ? AND kind = 4 AND state = 1 AND deleted = 0"
                     " ORDER BY key",
                     interview, out, d);
}

/* ---- households ---- */

struct household_list {
    VEC(struct household) list;
    struct str status, into; /* of one that is not in the register any more, where it is asked for by code */
    struct str code;         /* p NULL = all */
};

static enum err has_draft(struct store *s, int64_t household, bool *out, struct diag *d)
{
    struct stmt *q = NULL;
    enum err rc = db_prepare(
        s->db, "SELECT 1 FROM row WHERE household = ? AND kind = 4 AND state = 0 AND deleted = 0 LIMIT 1", &q,
        d);
    if (!rc) {
        bind_i64(q, 1, household);
        rc = stmt_step(q, out, d);
    }
    stmt_done(q);
    return rc;
}

static enum err take_household(struct store *s, struct arena *a, const struct row *row,
                               const struct record *r, void *self, struct diag *d)
{
    static const char visits[] = "SELECT " ROW_COLUMNS " FROM row WHERE household = ? AND kind = 4 AND state "
                                 "= 1 AND deleted = 0 ORDER BY key";
    struct household_list *out = self;
    struct newest_visit newest;
    struct household h = {
        .key = row->key,
        .code = record_value(r, HOUSEHOLD_CODE),
        .area = record_value(r, HOUSEHOLD_AREA),
        .name = record_value(r, HOUSEHOLD_NAME),
        .address = record_value(r, HOUSEHOLD_ADDRESS),
        .category = record_value(r, HOUSEHOLD_CATEGORY),
    };
    if (out->code.p && !str_eq(out->code, h.code))
        return ERR_OK;
    enum err rc = has_draft(s, h.key, &h.draft, d);
    if (!rc)
        rc = newest_of(s, a, visits, h.key, &newest, d);
    if (rc)
        return rc;
    if (record_value(r, HOUSEHOLD_STATUS).n && !h.draft) { /* a draft is finished, whatever became of it */
        out->status = record_value(r, HOUSEHOLD_STATUS);
        out->into = record_value(r, HOUSEHOLD_INTO);
        return ERR_OK;
    }
    h.last_visit = newest.ended;
    h.last_level = newest.level;
    struct household *slot = vec_push(a, &out->list);
    if (!slot)
        return diag_set(d, ERR_NOMEM, "no memory for the list of households");
    *slot = h;
    return ERR_OK;
}

enum err store_households(struct store *s, struct arena *a, struct household **list_out, uint32_t *count_out,
                          struct diag *d)
{
    struct household_list out = {0};
    enum err rc = each_record(s, a, ROWS_OF_KIND, ROW_HOUSEHOLD, take_household, &out, d);
    if (rc)
        return rc;
    *list_out = out.list.at;
    *count_out = out.list.count;
    return ERR_OK;
}

/* Merged with another one, closed or erased at the centre. */
static enum err gone(struct store *s, struct arena *a, const struct household_list *h, struct diag *d)
{
    unsigned char bytes[ROW_ID_SIZE];
    struct row_id id;
    struct row row;
    struct record r;
    if (str_eq_z(h->status, "merged") && hex_read(h->into, bytes, sizeof bytes) &&
        row_id_read((struct str){(const char *)bytes, sizeof bytes}, &id) &&
        row_by_id(s, id, &row, NULL) == ERR_OK && record_load(s, a, &row, &r, NULL) == ERR_OK)
        return diag_set(d, ERR_STATE, "household %.*s was merged into %.*s: visit that one", STR_ARG(h->code),
                        STR_ARG(record_value(&r, HOUSEHOLD_CODE)));
    return diag_set(d, ERR_STATE, "household %.*s is %.*s at the centre and is not visited any more",
                    STR_ARG(h->code), STR_ARG(h->status));
}

enum err store_household(struct store *s, struct arena *a, struct str code, struct household *out,
                         struct diag *d)
{
    struct household_list found = {.code = code};
    enum err rc = each_record(s, a, ROWS_OF_KIND, ROW_HOUSEHOLD, take_household, &found, d);
    if (rc)
        return rc;
    if (found.list.count == 0 && found.status.n)
        return gone(s, a, &found, d);
    if (found.list.count == 0)
        return diag_set(d, ERR_NOT_FOUND,
                        "no household %.*s on this device: `doorstep status` lists them, `doorstep sync` "
                        "fetches new ones",
                        STR_ARG(code));
    *out = found.list.at[0];
    return ERR_OK;
}

/* ---- departments ---- */

struct departments {
    VEC(struct dept_record) list;
};

static enum err take_department(struct store *s, struct arena *a, const struct row *row,
                                const struct record *r, void *self, struct diag *d)
{
    struct departments *out = self;
    struct dept_record *slot = vec_push(a, &out->list);
    (void)s, (void)row;
    if (!slot)
        return diag_set(d, ERR_NOMEM, "no memory for department records");
    *slot = (struct dept_record){record_value(r, DEPARTMENT_SOURCE), record_value(r, DEPARTMENT_AS_OF),
                                 record_value(r, DEPARTMENT_VALUES)};
    return ERR_OK;
}

enum err store_department(struct store *s, struct arena *a, int64_t household, struct str *json_out,
                          struct str *as_of_out, struct diag *d)
{
    struct departments out = {0};
    enum err rc = each_record(s, a,
                              "SELECT " ROW_COLUMNS
                              " FROM row WHERE household = ? AND kind = 7 AND visit = 0 AND deleted = 0"
                              " ORDER BY key",
                              household, take_department, &out, d);
    return rc ? rc : dept_join(a, out.list.at, out.list.count, json_out, as_of_out, d);
}

/* ---- counts ---- */

static enum err count_of(struct store *s, const char *sql, uint64_t *out, struct diag *d)
{
    struct stmt *q = NULL;
    bool row = false;
    enum err rc = db_prepare(s->db, sql, &q, d);
    if (!rc)
        rc = stmt_step(q, &row, d);
    if (!rc)
        *out = row ? (uint64_t)col_i64(q, 0) : 0;
    stmt_done(q);
    return rc;
}

enum err store_waiting(struct store *s, uint64_t *frames_out, uint64_t *bytes_out, struct diag *d)
{
    uint64_t frames = 0, bytes = 0;
    enum err rc = count_of(s, "SELECT count(*) FROM outbox WHERE status = 0", &frames, d);
    if (!rc)
        rc = count_of(s, "SELECT coalesce(sum(length(frame)), 0) FROM outbox WHERE status = 0", &bytes, d);
    if (!rc) {
        *frames_out = frames;
        *bytes_out = bytes;
    }
    return rc;
}

enum err store_status(struct store *s, struct arena *a, struct store_status *out, struct diag *d)
{
    static const char *const counts[] = {
        "SELECT count(*) FROM row WHERE kind = 1 AND deleted = 0",
        "SELECT count(*) FROM row WHERE kind = 4 AND state = 0 AND deleted = 0",
        ("SELECT count(DISTINCT chg.visit) FROM chg JOIN row ON row.key = chg.visit"
         " WHERE chg.batch = 0 AND row.state = 1"),
        "SELECT count(*) FROM outbox WHERE status IN (1, 2)",
        "SELECT count(*) FROM outbox WHERE status = 3",
        "SELECT count(*) FROM chg",
        "SELECT coalesce(sum(conflicts), 0) FROM record WHERE conflicts > 0",
        "SELECT count(*) FROM decision",
    };
    struct store_status st = {0};
    struct published *list = NULL;
    struct str clock = STR_NONE;
    uint64_t n[8] = {0}, waiting = 0;
    uint32_t published = 0;

    enum err rc = store_waiting(s, &waiting, &st.bytes_waiting, d);
    for (size_t i = 0; !rc && i < sizeof counts / sizeof *counts; i++)
        rc = count_of(s, counts[i], &n[i], d);
    if (!rc)
        rc = meta_get(s, "last_contact", a, &st.last_contact, d);
    if (!rc)
        rc = meta_get(s, "clock_off_ms", a, &clock, d);
    if (!rc)
        rc = store_published(s, a, &list, &published, d);
    if (rc)
        return rc;
    st.households = (uint32_t)n[0];
    st.drafts = (uint32_t)n[1];
    st.finalised_unsent = (uint32_t)n[2];
    st.frames_waiting = (uint32_t)waiting;
    st.frames_receipted = (uint32_t)n[3];
    st.frames_quarantined = (uint32_t)n[4];
    st.changes = n[5];
    st.conflicts = (uint32_t)n[6];
    st.decisions = (uint32_t)n[7];
    if (!clock.n || !str_to_i64(clock, &st.clock_off_ms))
        st.clock_off_ms = 0;
    for (uint32_t i = 0; i < published; i++)
        st.objects_missing += !list[i].held;
    *out = st;
    return ERR_OK;
}
