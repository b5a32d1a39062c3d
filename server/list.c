/* Overviews of the centre for people (tables, aligned also where Chinese and Latin letters mix) and for
 * programs (JSON). Read only.
 */
#include "server/leads.h"
#include "server/accounts.h"
#include "server/device_report.h"
#include "server/parts.h"
#include "server/transport.h"

#define PAGE 256
#define CELL_WIDTH_MAX 64
#define COLUMNS_MAX 13
#define ROWS_MAX 20000 /* of one list; whoever needs more takes the export */

/* ---- status ---- */

enum err list_status(struct desk *k, bool json, struct buf *out, struct diag *d)
{
    struct centre_counts n;
    struct attachment_counts files = {0};
    struct upload_usage uploads = {0};
    struct counters now;
    struct str county = STR_NONE;
    enum err rc = cstore_county(k->st, k->a, &county, NULL, &now, d);
    if (!rc)
        rc = cstore_counts(k->st, &n, d);
    if (!rc)
        rc = cstore_attachment_counts(k->st, &files, d);
    if (!rc)
        rc = cstore_upload_usage(k->st, 0, 0, &uploads, d);
    if (rc)
        return rc;
    /* clang-format off */
    const struct { const char *name; const char *label; uint64_t value; } rows[] = {
        {"devices",               "handhelds",                        n.devices},
        {"devices_revoked",       "  of these revoked",               n.devices_revoked},
        {"households",            "households",                       n.households},
        {"interviews",            "interviews",                       n.interviews},
        {"visits",                "visits",                           n.visits},
        {"submissions",           "finalised visits",                 n.submissions},
        {"submissions_differing", "  XML not (yet) as at the door",   n.submissions_differing},
        {"judged_same",           "visits judged again: the same",    n.judged_same},
        {"judged_differing",      "  findings differ: ALARM",         n.judged_differing},
        {"judged_not",            "  cannot be compared",             n.judged_not},
        {"findings",              "findings",                         n.findings},
        {"findings_red",          "  red",                            n.findings_red},
        {"findings_yellow",       "  yellow",                         n.findings_yellow},
        {"findings_blue",         "  blue",                           n.findings_blue},
        {"findings_unknown",      "  cannot judge",                   n.findings_unknown},
        {"frames",                "frames received",                  n.frames},
        {"frames_stored",         "  stored",                         n.frames - n.frames_quarantined},
        {"frames_conflicts",      "  of these with conflicts",        n.frames_conflicts},
        {"frames_quarantined",    "  quarantined",                    n.frames_quarantined},
        {"frames_duplicate",      "  came again",                     n.duplicates},
        {"clones",                "  from clones, kept apart",        n.clones},
        {"frame_bytes",           "bytes of frames",                  n.frame_bytes},
        {"changes",               "changes",                          n.changes},
        {"conflicts",             "answers in dispute",               n.conflicts},
        {"attachments",           "attachments",                      files.whole},
        {"attachment_bytes",      "  bytes",                          files.bytes},
        {"attachments_coming",    "  not whole yet",                  files.on_their_way},
        {"uploads",               "large frames on their way",        uploads.count_all},
        {"objects",               "published objects",                n.objects},
        {"object_bytes",          "  bytes",                          n.object_bytes},
        {"server_seq",            "server sequence",                  now.server_seq},
    };
    /* clang-format on */
    buf_put_z(out, json ? "{\"county\":" : "county ");
    if (json)
        buf_put_json(out, county);
    else
        buf_put_str(out, county);
    buf_put_z(out, json ? "" : "\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (json)
            buf_printf(out, ",\"%s\":%llu", rows[i].name, (unsigned long long)rows[i].value);
        else
            buf_printf(out, "%-32s %12llu\n", rows[i].label, (unsigned long long)rows[i].value);
    }
    buf_put_z(out, json ? "}\n" : "");
    return out->failed;
}

/* ---- tables ---- */

/* Columns that a terminal gives to a code point: two for East Asian wide ones. */
static size_t width_of(uint32_t c)
{
    if (c >= 0x300 && c <= 0x36F)
        return 0;
    bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) ||
                (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xF900 && c <= 0xFAFF) ||
                (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
                (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x1F300 && c <= 0x1FAFF) ||
                (c >= 0x20000 && c <= 0x3FFFD);
    return wide ? 2 : 1;
}

static size_t text_width(struct str s)
{
    size_t n = 0;
    while (s.n)
        n += width_of(utf8_next(&s));
    return n < CELL_WIDTH_MAX ? n : CELL_WIDTH_MAX;
}

/* The cell cut to `width` columns and filled up with spaces; control characters become spaces. */
static void cell_put(struct buf *out, struct str s, size_t width, bool last)
{
    size_t used = 0;
    char bytes[4];
    while (s.n) {
        uint32_t c = utf8_next(&s);
        size_t w = width_of(c);
        if (used + w > width)
            break;
        buf_put(out, bytes, utf8_put(c < ' ' || c == 0x7F ? ' ' : c, bytes));
        used += w;
    }
    for (; !last && used < width + 2; used++)
        buf_put_char(out, ' ');
}

struct table {
    const char *const *names;
    uint32_t columns;
    VEC(struct str) cells;
    uint32_t rows;
};

static enum err table_row(struct desk *k, struct table *t, const struct str *cells)
{
    for (uint32_t i = 0; i < t->columns; i++) {
        struct str *slot = vec_push(k->a, &t->cells);
        if (!slot)
            return ERR_NOMEM;
        *slot = cells[i].p ? cells[i] : STR("");
    }
    t->rows++;
    return ERR_OK;
}

static void table_text(const struct table *t, struct buf *out)
{
    size_t width[COLUMNS_MAX];
    for (uint32_t c = 0; c < t->columns; c++) {
        width[c] = text_width(str_of(t->names[c]));
        for (uint32_t r = 0; r < t->rows; r++) {
            size_t w = text_width(t->cells.at[r * t->columns + c]);
            width[c] = w > width[c] ? w : width[c];
        }
    }
    for (uint32_t c = 0; c < t->columns; c++)
        cell_put(out, str_of(t->names[c]), width[c], c + 1 == t->columns);
    buf_put_char(out, '\n');
    for (uint32_t r = 0; r < t->rows; r++) {
        for (uint32_t c = 0; c < t->columns; c++)
            cell_put(out, t->cells.at[r * t->columns + c],
                     c + 1 == t->columns ? 4 * CELL_WIDTH_MAX : width[c], c + 1 == t->columns);
        buf_put_char(out, '\n');
    }
}

static void table_json(const struct table *t, struct buf *out)
{
    buf_put_char(out, '[');
    for (uint32_t r = 0; r < t->rows; r++) {
        buf_put_z(out, r ? ",\n{" : "\n{");
        for (uint32_t c = 0; c < t->columns; c++) {
            buf_put_z(out, c ? "," : "");
            buf_put_json(out, str_of(t->names[c]));
            buf_put_char(out, ':');
            buf_put_json(out, t->cells.at[r * t->columns + c]);
        }
        buf_put_char(out, '}');
    }
    buf_put_z(out, "\n]\n");
}

/* ---- the lists ---- */

struct listing {
    struct desk *k;
    struct table table;
    bool chinese;
};

static struct str text_u64(struct arena *a, uint64_t v)
{
    struct buf b;
    buf_init(&b, 24);
    buf_put_u64(&b, v);
    struct str s = arena_str(a, buf_str(&b));
    buf_free(&b);
    return s;
}

static struct str text_hex(struct arena *a, uint64_t v)
{
    struct buf b;
    buf_init(&b, 24);
    buf_printf(&b, "%016llx", (unsigned long long)v);
    struct str s = arena_str(a, buf_str(&b));
    buf_free(&b);
    return s;
}

static struct str text_instant(struct arena *a, int64_t ms)
{
    char text[40];
    struct civil c = civil_at(ms, zone_utc());
    return ms ? arena_str(a, (struct str){text, civil_write(&c, text)}) : STR("");
}

static enum err record_get(struct listing *l, struct row_id id, struct record *out, struct diag *d)
{
    struct record_row row;
    enum err rc = cstore_record(l->k->st, l->k->a, id, &row, d);
    if (rc == ERR_NOT_FOUND) {
        *out = (struct record){.row = id};
        return ERR_OK;
    }
    return rc ? rc : record_unpack(l->k->a, row.row, row.packed, out, d);
}

/* The newest finalised or begun visit of a household. */
static enum err last_visit(struct listing *l, struct row_id household, struct str *date_out,
                           struct str *level_out, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    do {
        enum err rc = cstore_records(l->k->st, l->k->a, RECORDS_OF_HOUSEHOLD, household, ROW_VISIT, after,
                                     PAGE, &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct record r;
            after = rows[i].number;
            rc = record_unpack(l->k->a, rows[i].row, rows[i].packed, &r, d);
            if (!rc && str_cmp(record_value(&r, VISIT_STARTED), *date_out) > 0) {
                *date_out = record_value(&r, VISIT_STARTED);
                *level_out = record_value(&r, VISIT_LEVEL);
            }
        }
        if (rc)
            return rc;
    } while (count == PAGE);
    return ERR_OK;
}

static enum err household_line(struct listing *l, const struct record_row *row, struct diag *d)
{
    struct record r;
    struct str date = STR(""), level = STR("");
    enum err rc = record_unpack(l->k->a, row->row, row->packed, &r, d);
    if (!rc)
        rc = last_visit(l, row->row, &date, &level, d);
    const struct str cells[] = {record_value(&r, HOUSEHOLD_CODE),
                                record_value(&r, HOUSEHOLD_AREA),
                                record_value(&r, HOUSEHOLD_NAME),
                                record_value(&r, HOUSEHOLD_CATEGORY),
                                date,
                                level,
                                record_value(&r, HOUSEHOLD_ADDRESS)};
    return rc ? rc : table_row(l->k, &l->table, cells);
}

static enum err visit_line(struct listing *l, const struct record_row *row, struct diag *d)
{
    struct record r, household;
    struct submission_row s = {0};
    struct form_row form = {0};
    struct person person = {0};
    uint64_t number = 0;
    unsigned char hash[SHA256_SIZE];
    enum err rc = record_unpack(l->k->a, row->row, row->packed, &r, d);
    if (!rc)
        rc = record_get(l, row->household, &household, d);
    if (rc)
        return rc;
    if (hex_read(record_value(&r, VISIT_FORM), hash, sizeof hash))
        (void)!cstore_form(l->k->st, l->k->a, hash, &form, NULL);
    if (str_to_u64(record_value(&r, VISIT_PERSON), &number))
        (void)!cstore_person(l->k->st, l->k->a, (uint32_t)number, &person, NULL);
    bool final = cstore_submission(l->k->st, l->k->a, row->row, &s, NULL) == ERR_OK;
    const struct str cells[] = {record_value(&household, HOUSEHOLD_CODE),
                                record_value(&r, VISIT_STARTED),
                                form.id,
                                record_value(&r, VISIT_TYPE),
                                person.name,
                                record_value(&r, VISIT_JUDGEMENT),
                                record_value(&r, VISIT_LEVEL),
                                !final          ? STR("open")
                                : s.xml_matches ? STR("as at the door")
                                                : STR("differs"),
                                record_value(&r, VISIT_INSTANCE)};
    return table_row(l->k, &l->table, cells);
}

static enum err finding_line(struct listing *l, const struct record_row *row, struct diag *d)
{
    struct record r, household, visit;
    enum err rc = record_unpack(l->k->a, row->row, row->packed, &r, d);
    if (!rc)
        rc = record_get(l, row->household, &household, d);
    if (!rc)
        rc = record_get(l, row->parent, &visit, d);
    const struct str cells[] = {record_value(&household, HOUSEHOLD_CODE),
                                record_value(&visit, VISIT_STARTED),
                                record_value(&r, FINDING_SEVERITY),
                                record_value(&r, FINDING_STATE),
                                record_value(&r, FINDING_RULE),
                                record_value(&r, l->chinese ? FINDING_TEXT_ZH : FINDING_TEXT_EN)};
    return rc ? rc : table_row(l->k, &l->table, cells);
}

/* What a visit said beside the answers: where it was said, and when. */
static enum err below_visit(struct listing *l, const struct record_row *row, struct record *r,
                            struct record *household, struct record *visit, struct diag *d)
{
    enum err rc = record_unpack(l->k->a, row->row, row->packed, r, d);
    if (!rc)
        rc = record_get(l, row->household, household, d);
    return rc ? rc : record_get(l, row->parent, visit, d);
}

static enum err entity_line(struct listing *l, const struct record_row *row, struct diag *d)
{
    struct record r, household, visit;
    enum err rc = below_visit(l, row, &r, &household, &visit, d);
    const struct str cells[] = {record_value(&r, ENTITY_DATASET),    record_value(&r, ENTITY_ID),
                                record_value(&r, ENTITY_ACTION),     record_value(&r, ENTITY_LABEL),
                                record_value(&r, ENTITY_VALUES),     record_value(&r, ENTITY_BASE),
                                record_value(&r, ENTITY_BRANCH),     record_value(&visit, VISIT_ENDED),
                                record_value(&visit, VISIT_INSTANCE)};
    return rc ? rc : table_row(l->k, &l->table, cells);
}

static enum err comment_line(struct listing *l, const struct record_row *row, struct diag *d)
{
    struct record r, household, visit;
    enum err rc = below_visit(l, row, &r, &household, &visit, d);
    const struct str cells[] = {record_value(&household, HOUSEHOLD_CODE), record_value(&r, COMMENT_AT),
                                record_value(&r, COMMENT_PLACE), record_value(&r, COMMENT_TEXT),
                                record_value(&visit, VISIT_INSTANCE)};
    return rc ? rc : table_row(l->k, &l->table, cells);
}

static enum err records_listed(struct listing *l, int kind,
                               enum err (*line)(struct listing *l, const struct record_row *row,
                                                struct diag *d),
                               struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    do {
        enum err rc = cstore_records(l->k->st, l->k->a, RECORDS_OF_KIND, (struct row_id){0}, kind, after,
                                     PAGE, &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            after = rows[i].number;
            rc = line(l, &rows[i], d);
        }
        if (rc)
            return rc;
        if (l->table.rows >= ROWS_MAX) {
            desk_line(l->k, "warning", "only the first %u rows are shown; take an export for all",
                      l->table.rows);
            break;
        }
    } while (count == PAGE);
    return ERR_OK;
}

static enum err households(struct listing *l, struct diag *d)
{
    return records_listed(l, ROW_HOUSEHOLD, household_line, d);
}

static enum err visits(struct listing *l, struct diag *d)
{
    return records_listed(l, ROW_VISIT, visit_line, d);
}

static enum err findings(struct listing *l, struct diag *d)
{
    return records_listed(l, ROW_FINDING, finding_line, d);
}

static enum err entities(struct listing *l, struct diag *d)
{
    return records_listed(l, ROW_ENTITY, entity_line, d);
}

static enum err comments(struct listing *l, struct diag *d)
{
    return records_listed(l, ROW_COMMENT, comment_line, d);
}

static enum err judgement_line(struct listing *l, const struct judged_row *j, struct diag *d)
{
    static const char *const verdicts[] = {"", "the same", "DIFFER", "not compared", "on their way"};
    struct record_row row;
    struct record visit, household = {0};
    enum err rc = cstore_record(l->k->st, l->k->a, j->visit, &row, d);
    if (!rc)
        rc = record_unpack(l->k->a, j->visit, row.packed, &visit, d);
    if (!rc && !row_id_none(row.household))
        rc = record_get(l, row.household, &household, d);
    if (rc)
        return rc;
    const struct str cells[] = {record_value(&household, HOUSEHOLD_CODE),
                                record_value(&visit, VISIT_ENDED),
                                str_of(j->verdict <= JUDGED_WAITS ? verdicts[j->verdict] : ""),
                                j->why,
                                record_value(&visit, VISIT_INSTANCE),
                                j->said,
                                j->found};
    return table_row(l->k, &l->table, cells);
}

static enum err judgements(struct listing *l, struct diag *d)
{
    struct judged_row *rows = NULL;
    struct row_id after = {0};
    uint32_t count = 0;
    enum err rc = ERR_OK;
    do {
        rc = cstore_judged(l->k->st, l->k->a, after, 0, PAGE, &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            after = rows[i].visit;
            rc = judgement_line(l, &rows[i], d);
        }
    } while (!rc && count == PAGE && l->table.rows < ROWS_MAX);
    return rc;
}

/* ---- leads ---- */

static enum err code_of(struct listing *l, struct row_id household, struct str *out, struct diag *d)
{
    struct record r;
    enum err rc = record_get(l, household, &r, d);
    *out = rc ? STR("") : record_value(&r, HOUSEHOLD_CODE);
    return rc;
}

static enum err lead_line(void *self, const struct lead_record *x, struct diag *d)
{
    struct listing *l = self;
    struct str code;
    const struct lead_step_about *state = lead_step_about(lead_times_state(&x->times));
    enum err rc = code_of(l, x->household, &code, d);
    const struct str cells[] = {text_u64(l->k->a, x->number),
                                code,
                                str_of(lead_channel_name(x->times.channel)),
                                x->source,
                                str_sub(x->opened, 0, 10),
                                str_of(l->chinese ? state->zh : state->en),
                                x->result,
                                x->category,
                                x->seen,
                                x->follow_up,
                                x->indicators};
    return rc ? rc : table_row(l->k, &l->table, cells);
}

static enum err leads(struct listing *l, struct diag *d)
{
    return leads_each(l->k, lead_line, l, d);
}

static struct str text_day(struct arena *a, int64_t day)
{
    char text[16];
    return day == LEAD_NEVER ? STR("") : arena_str(a, (struct str){text, civil_write_date(day, text)});
}

static struct str text_i64(struct arena *a, int64_t v)
{
    struct buf b;
    buf_init(&b, 24);
    buf_printf(&b, "%lld", (long long)v);
    struct str s = arena_str(a, buf_str(&b));
    buf_free(&b);
    return s;
}

static enum err clock_lines(void *self, const struct lead_record *x, struct diag *d)
{
    struct listing *l = self;
    struct str code;
    enum err rc = code_of(l, x->household, &code, d);
    for (int i = 0; !rc && i < CLOCKS; i++) {
        const struct clock_about *about = clock_about((enum clock_name)i);
        const struct clock *c = &x->clocks[i];
        const struct str cells[] = {text_u64(l->k->a, x->number), code,
                                    str_of(about->code),          str_of(l->chinese ? about->zh : about->en),
                                    text_day(l->k->a, c->due),    str_of(clock_state_name(c->state)),
                                    text_i64(l->k->a, c->left)};
        if (c->state != CLOCK_OFF)
            rc = table_row(l->k, &l->table, cells);
    }
    return rc;
}

static enum err clocks(struct listing *l, struct diag *d)
{
    return leads_each(l->k, clock_lines, l, d);
}

static struct str group_words(struct listing *l, uint32_t groups)
{
    struct buf b;
    buf_init(&b, 4096);
    for (int g = 0; g < MUST_GROUPS; g++)
        if (groups >> g & 1)
            buf_printf(&b, "%s%s", b.n ? "; " : "", must_visit_text((enum must_visit)g, l->chinese));
    struct str s = arena_str(l->k->a, buf_str(&b));
    buf_free(&b);
    return s;
}

static enum err queue(struct listing *l, struct diag *d)
{
    struct queue_entry *list = NULL;
    uint32_t count = 0;
    enum err rc = queue_read(l->k, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count && i < ROWS_MAX; i++) {
        const struct queue_entry *q = &list[i];
        const struct str cells[] = {text_u64(l->k->a, i + 1u),
                                    q->code,
                                    q->area,
                                    q->name,
                                    q->place.lead_overdue ? STR("overdue")
                                    : q->place.lead_open  ? STR("open")
                                                          : STR(""),
                                    q->place.level,
                                    group_words(l, q->place.groups),
                                    text_day(l->k->a, q->place.last_visit),
                                    text_day(l->k->a, q->place.assigned_due)};
        rc = table_row(l->k, &l->table, cells);
    }
    return rc;
}

static enum err quarantine(struct listing *l, struct diag *d)
{
    struct quarantined *list = NULL;
    uint32_t count = 0;
    enum err rc = cstore_quarantine(l->k->st, l->k->a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        const struct batch_row *b = &list[i].batch;
        const struct str cells[] = {text_hex(l->k->a, b->device),          text_u64(l->k->a, b->batch_seq),
                                    text_instant(l->k->a, b->received_ms), text_u64(l->k->a, list[i].bytes),
                                    b->copy ? STR("copy") : STR(""),       b->reason};
        rc = table_row(l->k, &l->table, cells);
    }
    return rc;
}

static struct str battery_words(int level)
{
    static const char *const words[] = {"under 10 %", "under 30 %", "under 60 %", "60 % or more"};
    return level >= 0 && level < 4 ? str_of(words[level]) : STR("");
}

static enum err devices(struct listing *l, struct diag *d)
{
    struct device_row *list = NULL;
    uint32_t count = 0;
    enum err rc = cstore_devices(l->k->st, l->k->a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct person p = {0};
        struct device_report_row r = {.report = {.battery = -1, .free_mb = -1, .version = STR("")}};
        rc = cstore_person(l->k->st, l->k->a, list[i].person, &p, d);
        if (!rc && (rc = cstore_device_report(l->k->st, l->k->a, list[i].device, &r, NULL)) == ERR_NOT_FOUND)
            rc = ERR_OK;
        const struct str cells[] = {text_hex(l->k->a, list[i].device),
                                    p.name,
                                    str_of(role_name(p.role)),
                                    p.area,
                                    text_instant(l->k->a, list[i].enrolled_ms),
                                    text_instant(l->k->a, list[i].contact_ms),
                                    text_u64(l->k->a, list[i].contiguous),
                                    !list[i].revoked_ms                   ? STR("in use")
                                    : list[i].revoked_why == REVOKED_LOST ? STR("erase ordered")
                                                                          : STR("revoked"),
                                    battery_words(r.report.battery),
                                    r.report.free_mb < 0 ? STR("")
                                                         : text_u64(l->k->a, (uint64_t)r.report.free_mb),
                                    r.at_ms ? text_u64(l->k->a, r.report.waiting) : STR(""),
                                    list[i].model,
                                    r.report.version.n ? r.report.version : list[i].version};
        if (!rc)
            rc = table_row(l->k, &l->table, cells);
    }
    return rc;
}

static enum err people(struct listing *l, struct diag *d)
{
    struct person_line *list = NULL;
    uint32_t count = 0;
    enum err rc = cstore_people(l->k->st, l->k->a, 0, INT32_MAX, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        const struct person_line *p = &list[i];
        const struct str cells[] = {text_u64(l->k->a, p->person.person),
                                    p->person.name,
                                    str_of(role_name(p->person.role)),
                                    p->person.area,
                                    p->account.login.p ? p->account.login : STR(""),
                                    p->account.has_totp ? STR("code") : STR(""),
                                    p->account.signed_in_ms ? text_instant(l->k->a, p->account.signed_in_ms)
                                                            : STR(""),
                                    text_u64(l->k->a, p->devices),
                                    p->account.ended_ms ? STR("ended") : STR("works here")};
        rc = table_row(l->k, &l->table, cells);
    }
    return rc;
}

static enum err published_list(struct listing *l, struct diag *d)
{
    struct published *list = NULL;
    uint32_t count = 0;
    enum err rc = published_all(l->k->st, l->k->a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        char hash[2 * SHA256_SIZE];
        hex_write(list[i].hash, SHA256_SIZE, hash);
        const struct str cells[] = {list[i].kind,
                                    list[i].id,
                                    list[i].version,
                                    list[i].state,
                                    arena_str(l->k->a, (struct str){hash, sizeof hash}),
                                    list[i].title};
        rc = table_row(l->k, &l->table, cells);
    }
    return rc;
}

/* clang-format off */
static const char *const household_names[] = {"code", "area", "name", "category", "last_visit", "level",
                                              "address"};
static const char *const visit_names[] = {"household", "started", "form", "type", "person", "judgement",
                                          "level", "document", "instance"};
static const char *const finding_names[] = {"household", "visit", "severity", "state", "rule", "text"};
static const char *const entity_names[] = {"list", "id", "action", "label", "values", "base_version",
                                           "branch", "visit", "instance"};
static const char *const comment_names[] = {"household", "at", "place", "text", "instance"};
static const char *const lead_names[] = {"lead",     "household", "channel", "source",    "opened", "state",
                                         "result",   "category",  "seen",    "follow_up", "indicators"};
static const char *const clock_names[] = {"lead", "household", "clock", "name", "due", "state", "left"};
static const char *const queue_names[] = {"place", "household", "area", "name", "lead", "level", "groups",
                                          "last_visit", "due"};
static const char *const judgement_names[] = {"household", "visit", "findings", "why", "instance", "said",
                                              "found"};
static const char *const quarantine_names[] = {"device", "batch", "received", "bytes", "kind", "reason"};
static const char *const device_names[] = {"device", "person", "role", "area", "enrolled", "last_contact",
                                           "batches", "state", "battery", "free_mb", "waiting", "model",
                                           "version"};
static const char *const people_names[] = {"person", "name", "role", "area", "signs_in_as", "second_factor",
                                           "last_sign_in", "handhelds", "state"};
static const char *const published_names[] = {"kind", "id", "version", "state", "hash", "title"};

#define NAMES(n) (n), sizeof(n) / sizeof((n)[0])
static const struct {
    const char *name;
    const char *const *columns;
    uint32_t column_count;
    enum err (*fill)(struct listing *l, struct diag *d);
} lists[] = {
    {"households", NAMES(household_names),  households},
    {"visits",     NAMES(visit_names),      visits},
    {"findings",   NAMES(finding_names),    findings},
    {"judgements", NAMES(judgement_names),  judgements},
    {"leads",      NAMES(lead_names),       leads},
    {"clocks",     NAMES(clock_names),      clocks},
    {"queue",      NAMES(queue_names),      queue},
    {"entities",   NAMES(entity_names),     entities},
    {"comments",   NAMES(comment_names),    comments},
    {"quarantine", NAMES(quarantine_names), quarantine},
    {"devices",    NAMES(device_names),     devices},
    {"people",     NAMES(people_names),     people},
    {"published",  NAMES(published_names),  published_list},
};
/* clang-format on */

enum err list_of(struct desk *k, struct str what, bool json, struct str language, struct buf *out,
                 struct diag *d)
{
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (!str_eq_z(what, lists[i].name))
            continue;
        CHECK(lists[i].column_count <= COLUMNS_MAX);
        struct listing l = {.k = k, .chinese = str_starts(language, STR("zh"))};
        l.table.names = lists[i].columns;
        l.table.columns = lists[i].column_count;
        enum err rc = lists[i].fill(&l, d);
        if (rc)
            return rc == ERR_NOMEM ? diag_set(d, rc, "Out of memory while listing.") : rc;
        if (json)
            table_json(&l.table, out);
        else
            table_text(&l.table, out);
        return out->failed ? diag_set(d, out->failed, "The list is too long to show.") : ERR_OK;
    }
    return diag_set(
        d, ERR_USAGE,
        "There is no list \"%.*s\"; there are households, visits, findings, judgements, leads, clocks, "
        "queue, entities, "
        "comments, quarantine, devices and published.",
        STR_ARG(what));
}
