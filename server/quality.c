/* See quality.h. The pack runs over the export's own tables, held in memory while it does.
 */
#include "server/quality.h"

#include "risk/quality.h"

#define TABLES_MAX 16
#define TELL_PAGE 200
#define MAP_NAME "map"

static const char *const states[QUALITY_STATES] = {"open", "looked", "dismissed", "gone"};

const char *quality_state_name(enum quality_state s)
{
    return states[s];
}

bool quality_state_read(struct str name, enum quality_state *out)
{
    for (size_t i = 0; i < QUALITY_STATES; i++)
        if (str_eq_z(name, states[i])) {
            *out = (enum quality_state)i;
            return true;
        }
    return false;
}

/* ---- the export, kept ---- */

struct table {
    struct str name;
    struct buf csv;
};

struct tables {
    struct arena *a;
    struct table at[TABLES_MAX];
    uint32_t count;
    uint32_t of_file[EXPORT_FILES_MAX];
    struct str map;
};

static enum err table_begin(void *self, uint32_t file, struct str name, struct diag *d)
{
    struct tables *t = self;
    if (t->count == TABLES_MAX)
        return diag_set(d, ERR_LIMIT, "the form has more than %d tables", TABLES_MAX);
    struct table *x = &t->at[t->count];
    x->name = arena_str(t->a, name);
    buf_init(&x->csv, TABLE_BYTES_MAX);
    t->of_file[file] = t->count++;
    return x->name.p ? ERR_OK : ERR_NOMEM;
}

static enum err table_write(void *self, uint32_t file, struct str bytes, struct diag *d)
{
    struct tables *t = self;
    struct buf *csv = &t->at[t->of_file[file]].csv;
    buf_put_str(csv, bytes);
    return csv->failed ? diag_set(d, csv->failed, "the table is larger than %u MiB", TABLE_BYTES_MAX >> 20)
                       : ERR_OK;
}

static enum err table_end(void *self, uint32_t file, struct diag *d)
{
    (void)self, (void)file, (void)d;
    return ERR_OK;
}

static enum err table_give(void *self, const char *name, struct buf *out, struct diag *d)
{
    struct tables *t = self;
    if (str_eq_z(STR(MAP_NAME), name)) {
        buf_put_str(out, t->map);
        return out->failed;
    }
    for (uint32_t i = 0; i < t->count; i++)
        if (str_eq_z(t->at[i].name, name)) {
            buf_put_str(out, buf_str(&t->at[i].csv));
            return out->failed;
        }
    return diag_set(d, ERR_NOT_FOUND, "the export has no table %s", name);
}

/* ---- flags ---- */

struct finding_flags {
    struct desk *k;
    struct arena a; /* of the whole run */
    struct arena line;
    struct str form_id, pack;
    int64_t run_ms;
    VEC(struct quality_row) list; /* before they are stored: the export reads while it is made */
};

/* "uuid:..." as the export names a visit. Whose it is, is looked up only for what is flagged. */
static enum err flag_note(struct finding_flags *x, struct str check, enum severity severity, struct str key,
                          struct str subject, struct str value, struct str zh, struct str en, struct diag *d)
{
    struct quality_row *q = vec_push(&x->a, &x->list);
    unsigned char hash[SHA256_SIZE];
    const struct str parts[] = {x->form_id, STR("\n"), x->pack,   STR("\n"), check,
                                STR("\n"),  key,       STR("\n"), subject};
    if (!q)
        return diag_set(d, ERR_NOMEM, "there is no memory left for the flags");
    *q = (struct quality_row){.form_id = x->form_id,
                              .pack = x->pack,
                              .check = arena_str(&x->a, check),
                              .severity = severity,
                              .code = arena_str(&x->a, key), /* until it is looked up */
                              .area = STR(""),
                              .subject = arena_str(&x->a, subject),
                              .value = arena_str(&x->a, value),
                              .text_zh = arena_str(&x->a, zh),
                              .text_en = arena_str(&x->a, en),
                              .last_ms = x->run_ms};
    enum err rc = sha256_parts(parts, sizeof parts / sizeof *parts, hash);
    memcpy(q->flag, hash, sizeof q->flag);
    bool room = q->check.p && q->code.p && q->subject.p && q->value.p && q->text_zh.p && q->text_en.p;
    return rc || !room ? diag_set(d, rc ? rc : ERR_NOMEM, "the flag cannot be kept") : ERR_OK;
}

static enum err tell_finding(void *self, struct str key, const struct finding *f, struct diag *d)
{
    return flag_note(self, f->rule, f->severity, key, STR(""), STR(""), f->text_zh, f->text_en, d);
}

static enum err flags_of(struct finding_flags *x, const struct quality_report *r,
                         const struct quality_data *data, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < r->flags.count; i++) {
        const struct quality_flag *f = &r->flags.at[i];
        rc = flag_note(x, f->check, f->severity, f->row == UINT32_MAX ? STR("") : data->keys[f->row],
                       f->subject, f->value, f->text_zh, f->text_en, d);
    }
    return rc;
}

static enum err flag_place(struct finding_flags *x, struct quality_row *q, struct diag *d)
{
    struct record_row *rows = NULL, household;
    uint32_t count = 0;
    struct str key = q->code;
    q->code = STR("");
    if (!key.n)
        return ERR_OK;
    enum err rc = cstore_records_coded(x->k->st, &x->line, ROW_VISIT, key, &rows, &count, d);
    if (rc || count == 0)
        return rc;
    q->visit = rows[0].row;
    q->area = rows[0].area.p ? rows[0].area : STR("");
    if (!row_id_none(rows[0].household) &&
        cstore_record(x->k->st, &x->line, rows[0].household, &household, NULL) == ERR_OK && household.code.p)
        q->code = household.code;
    return ERR_OK;
}

static enum err flags_store(struct finding_flags *x, struct quality_run_result *out, struct diag *d)
{
    enum err rc = cstore_begin(x->k->st, d);
    for (uint32_t i = 0; !rc && i < x->list.count; i++) {
        struct arena_mark mark = arena_mark(&x->line);
        rc = flag_place(x, &x->list.at[i], d);
        if (!rc)
            rc = cstore_quality_put(x->k->st, &x->list.at[i], d);
        arena_release(&x->line, mark);
    }
    if (!rc)
        rc = cstore_quality_over(x->k->st, x->form_id, x->pack, x->run_ms, d);
    if (!rc)
        rc = cstore_quality_counts(x->k->st, out->counts, d);
    if (!rc)
        rc = cstore_audit(x->k->st, x->run_ms, STR("centre"), STR("quality"), x->form_id, d);
    if (!rc)
        rc = cstore_commit(x->k->st, d);
    cstore_rollback(x->k->st);
    return rc;
}

static enum err table_name(struct arena *a, const struct tables *t, const char **out, struct diag *d)
{
    if (t->count == 0)
        return diag_set(d, ERR_NOT_FOUND, "nothing of this form has arrived");
    *out = arena_z(a, t->at[0].name);
    return *out ? ERR_OK : ERR_NOMEM;
}

enum err quality_find(struct desk *k, struct str form_id, struct str pack, struct str map,
                      struct quality_run_result *out, struct diag *d)
{
    struct tables *t = ARENA_NEW(k->a, struct tables);
    struct finding_flags x = {.k = k, .form_id = form_id, .run_ms = k->seam->wall_ms(k->seam->self)};
    struct export_result n;
    struct form_findings mistakes = {0};
    struct quality_data data = {0};
    struct quality_report report = {0};
    struct civil day = civil_at(x.run_ms, county_zone(k));
    int64_t today = civil_days(day.year, day.month, day.day);
    const struct pack *p = NULL;
    const char *name = NULL;
    if (!t)
        return diag_set(d, ERR_NOMEM, "there is no memory left for the table");
    *out = (struct quality_run_result){0};
    *t = (struct tables){.a = k->a, .map = map};
    arena_init(&x.a, ARENA_GIB(2));
    arena_init(&x.line, 64u << 20);
    const struct export_sink sink = {t, table_begin, table_write, table_end, true};
    enum err rc = pack_load_table(&x.a, pack, NULL, 0, &p, &mistakes, d);
    for (uint32_t i = 0; i < mistakes.list.count; i++)
        desk_line(k, mistakes.list.at[i].severity == FINDING_ERROR ? "error" : "warning", "%u: %.*s: %.*s",
                  mistakes.list.at[i].line, STR_ARG(mistakes.list.at[i].node),
                  STR_ARG(mistakes.list.at[i].text));
    if (!rc)
        x.pack = pack_id(p);
    if (!rc)
        rc = export_csv(k, form_id, &sink, &n, d);
    if (!rc)
        rc = table_name(&x.a, t, &name, d);
    const struct quality_reading reading = {.a = &x.a,
                                            .line = &x.line,
                                            .pack = p,
                                            .from = {t, table_give},
                                            .data = name,
                                            .map = map.n ? MAP_NAME : NULL,
                                            .today = today,
                                            .self = &x,
                                            .tell = tell_finding};
    if (!rc)
        rc = quality_read(&reading, &data, d);
    if (!rc)
        rc = quality_run(&x.a, p, &data, NULL, &report, d);
    if (!rc)
        rc = flags_of(&x, &report, &data, d);
    if (!rc)
        rc = flags_store(&x, out, d);
    out->rows = data.row_count;
    out->flags = x.list.count;
    for (uint32_t i = 0; i < t->count; i++)
        buf_free(&t->at[i].csv);
    arena_free(&x.line);
    arena_free(&x.a);
    return rc;
}

/* ---- working through them ---- */

enum err quality_decide(struct desk *k, uint64_t n, enum quality_state state, struct str reason,
                        struct str by, struct str area, struct diag *d)
{
    struct quality_row q = {0};
    int64_t now = k->seam->wall_ms(k->seam->self);
    if (state != QUALITY_LOOKED && state != QUALITY_DISMISSED)
        return diag_set(d, ERR_USAGE, "A flag is looked at or dismissed; it opens and goes by itself.");
    if (state == QUALITY_DISMISSED && !str_trim(reason).n)
        return diag_set(d, ERR_USAGE, "Say why it is dismissed: whoever looks later wants to know.");
    enum err rc = cstore_begin(k->st, d);
    if (!rc)
        rc = cstore_quality(k->st, k->a, n, &q, d);
    if (rc == ERR_NOT_FOUND || (!rc && !str_starts(q.area, area)))
        rc = diag_set(d, ERR_NOT_FOUND, "There is no flag %llu; see: doorstepd quality list DIR",
                      (unsigned long long)n);
    if (!rc)
        rc = cstore_quality_decide(k->st, n, state, str_sub(reason, 0, CSTORE_TEXT_MAX), by, now, d);
    if (!rc)
        rc = cstore_audit(k->st, now, by, STR("quality-decided"), q.check, d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    return rc;
}

static void put_json(struct buf *out, const struct quality_row *q)
{
    const struct {
        const char *name;
        struct str value;
    } texts[] = {{"form", q->form_id},
                 {"pack", q->pack},
                 {"check", q->check},
                 {"severity", str_of(severity_name(q->severity))},
                 {"household", q->code},
                 {"area", q->area},
                 {"subject", q->subject},
                 {"value", q->value},
                 {"zh", q->text_zh},
                 {"en", q->text_en},
                 {"state", str_of(states[q->state])},
                 {"reason", q->reason},
                 {"by", q->by}};
    buf_printf(out, "{\"flag\":%llu", (unsigned long long)q->n);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        buf_printf(out, ",\"%s\":", texts[i].name);
        buf_put_json(out, texts[i].value);
    }
    buf_printf(out, ",\"first_ms\":%lld,\"last_ms\":%lld,\"decided_ms\":%lld}\n", (long long)q->first_ms,
               (long long)q->last_ms, (long long)q->decided_ms);
}

static void put_line(struct buf *out, const struct quality_row *q, bool zh)
{
    buf_printf(out, "%6llu  %-6s  %-6.*s  %-10.*s  ", (unsigned long long)q->n, severity_name(q->severity),
               STR_ARG(q->check), STR_ARG(q->code));
    buf_put_str(out, zh ? q->text_zh : q->text_en);
    if (q->reason.n)
        buf_printf(out, " (%.*s: %.*s)", STR_ARG(q->by), STR_ARG(q->reason));
    buf_put_char(out, '\n');
}

enum err quality_tell(struct desk *k, enum quality_state state, struct str area, bool json, bool zh,
                      struct buf *out, struct diag *d)
{
    struct quality_row *list = NULL, last;
    uint32_t count = 0;
    bool any = false;
    enum err rc = ERR_OK;
    do {
        struct arena_mark mark = arena_mark(k->a);
        rc = cstore_quality_list(k->st, k->a, state, area, any ? &last : NULL, TELL_PAGE, &list, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            if (json)
                put_json(out, &list[i]);
            else
                put_line(out, &list[i], zh);
            last = list[i];
            any = true;
        }
        arena_release(k->a, mark);
    } while (!rc && count == TELL_PAGE);
    return rc ? rc : out->failed;
}
