/* Judging again: what a handheld found at the door must follow from what is kept here. When a visit's
 * document has been proven, its interview is judged once more with the same pack, the same day, the visit
 * before and the departments' values as its author had seen them, and the findings are compared byte by byte.
 *
 * Always true: findings are never touched. Where the two differ, both are kept beside each other and an alarm
 * is written down; what cannot be compared (the pack is not known here, a department has sent newer values
 * since) says so and counts as neither. Nothing here ever keeps a frame from being accepted.
 */
#include <stdlib.h>

#include "risk/dept.h"
#include "risk/judge.h"
#include "server/parts.h"
#include "server/store_work.h"
#include "sync/batch.h"

#define FINDINGS_PAGE 256
#define PACK_MEMORY_MAX (256u << 20)
#define FINDINGS_BYTES_MAX (4u << 20)
#define LOG_LOOK_MAX 10000 /* entries of one household's log: some years of monthly data */

/* ---- the pack ---- */

static enum err pack_of(struct rebuild *r, const unsigned char *form, const unsigned char *hash,
                        const struct pack **out)
{
    struct str bytes;
    struct form_findings findings = {0};
    struct diag quiet = {0};
    struct cached_form *f = NULL;
    for (uint32_t i = 0; i < r->forms->count; i++)
        if (r->forms->at[i].form && memcmp(r->forms->at[i].hash, form, SHA256_SIZE) == 0)
            f = &r->forms->at[i];
    if (!f)
        return ERR_NOT_FOUND;
    if (!f->pack || memcmp(f->pack_hash, hash, SHA256_SIZE) != 0) {
        arena_free(&f->pack_memory);
        f->pack = NULL;
        arena_init(&f->pack_memory, PACK_MEMORY_MAX);
        memcpy(f->pack_hash, hash, SHA256_SIZE);
        enum err rc = cstore_object(r->st, &f->pack_memory, hash, NULL, &bytes, NULL);
        if (!rc)
            rc = pack_load(&f->pack_memory, bytes, f->form, &f->pack, &findings, &quiet);
        if (rc) {
            f->pack = NULL;
            return rc;
        }
    }
    *out = f->pack;
    return ERR_OK;
}

/* ---- findings as text ---- */

struct row_of_finding {
    struct str rule, text;
};

static int by_rule(const void *a, const void *b)
{
    const struct row_of_finding *x = a, *y = b;
    int order = str_cmp(x->rule, y->rule);
    return order ? order : str_cmp(x->text, y->text);
}

static enum err finding_text(struct arena *a, const struct str *values, uint32_t count,
                             struct row_of_finding *out)
{
    static const char *const names[] = {"rule",   "severity", "state",        "text_zh", "text_en",
                                        "inputs", "pack",     "pack_version", "params"};
    struct buf b;
    buf_init(&b, FINDINGS_BYTES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        buf_printf(&b, "%c\"%s\":", i ? ',' : '{', names[i]);
        buf_put_json(&b, values[i].p ? values[i] : STR(""));
    }
    buf_put_char(&b, '}');
    *out = (struct row_of_finding){values[0], b.failed ? STR_NONE : arena_str(a, buf_str(&b))};
    enum err rc = b.failed ? b.failed : out->text.p ? ERR_OK : ERR_NOMEM;
    buf_free(&b);
    return rc;
}

static enum err lines_of(struct row_of_finding *list, uint32_t count, struct str level, struct buf *out)
{
    if (count)
        qsort(list, count, sizeof *list, by_rule);
    buf_put_z(out, "{\"level\":");
    buf_put_json(out, level);
    buf_put_z(out, ",\"findings\":[");
    for (uint32_t i = 0; i < count; i++) {
        buf_put_z(out, i ? ",\n" : "\n");
        buf_put_str(out, list[i].text);
    }
    buf_put_z(out, "]}");
    return out->failed;
}

static enum err said_at_the_door(struct rebuild *r, const struct record *visit, struct buf *out)
{
    VEC(struct row_of_finding) list = {0};
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    enum err rc = ERR_OK;
    do {
        rc = cstore_records(r->st, r->a, RECORDS_OF_PARENT, visit->row, ROW_FINDING, after, FINDINGS_PAGE,
                            &rows, &count, NULL);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct record f;
            after = rows[i].number;
            rc = record_unpack(r->a, rows[i].row, rows[i].packed, &f, NULL);
            const struct str values[] = {
                record_value(&f, FINDING_RULE),    record_value(&f, FINDING_SEVERITY),
                record_value(&f, FINDING_STATE),   record_value(&f, FINDING_TEXT_ZH),
                record_value(&f, FINDING_TEXT_EN), record_value(&f, FINDING_INPUTS),
                record_value(&f, FINDING_PACK),    record_value(&f, FINDING_PACK_VERSION),
                record_value(&f, FINDING_PARAMS)};
            struct row_of_finding *slot = rc || record_deleted(&f) ? NULL : vec_push(r->a, &list);
            if (slot)
                rc = finding_text(r->a, values, sizeof values / sizeof *values, slot);
        }
    } while (!rc && count == FINDINGS_PAGE);
    return rc ? rc : lines_of(list.at, list.count, record_value(visit, VISIT_LEVEL), out);
}

static enum err found_here(struct rebuild *r, const struct judgement *j, struct buf *out)
{
    struct row_of_finding *list = ARENA_ARRAY(r->a, struct row_of_finding, j->count + 1);
    enum err rc = list ? ERR_OK : ERR_NOMEM;
    for (uint32_t i = 0; !rc && i < j->count; i++) {
        const struct finding *f = &j->findings[i];
        const struct str values[] = {f->rule,
                                     str_of(severity_name(f->severity)),
                                     f->state == FINDING_HIT ? STR("hit") : STR("unknown"),
                                     f->text_zh,
                                     f->text_en,
                                     f->inputs,
                                     j->pack_id,
                                     j->pack_version,
                                     f->params};
        rc = finding_text(r->a, values, sizeof values / sizeof *values, &list[i]);
    }
    return rc ? rc : lines_of(list, j->count, str_of(judgement_level(j)), out);
}

/* ---- what its author had seen ---- */

static bool newer_than(const struct version *v, const struct submission_row *s)
{
    bool own = v->device == s->device && v->inc == s->inc;
    return own ? v->seq > s->final_seq : v->server_seq > s->seen;
}

/* What the centre said of one field of a department's row by a server sequence: it is in the log of the
 * household. */
struct log_search {
    struct row_id row;
    uint64_t upto;
    struct str value[DEPARTMENT_VALUES + 1];
};

static enum err own_search(struct rebuild *r, uint64_t seq, struct log_search *x)
{
    struct own_row own;
    struct batch_head head = {0};
    struct change *changes = NULL;
    uint32_t count = 0;
    enum err rc = cstore_own_at(r->st, r->a, seq, &own, NULL);
    if (!rc)
        rc = batch_read(r->a, own.payload, NULL, &head, &changes, &count, NULL);
    if (!rc) { /* its rows are of the epoch that is its incarnation */
        head.inc = head.epoch;
        rc = batch_read(r->a, own.payload, NULL, &head, &changes, &count, NULL);
    }
    for (uint32_t i = count; !rc && i-- > 0;) {
        const struct change *c = &changes[i];
        if (row_id_same(c->row, x->row) && c->seq <= x->upto && c->op == CHANGE_SET &&
            c->field <= DEPARTMENT_VALUES && !x->value[c->field].p)
            x->value[c->field] = c->value;
    }
    return rc == ERR_NOMEM ? rc : ERR_OK;
}

static enum err log_search(struct rebuild *r, struct row_id household, struct log_search *x)
{
    uint64_t *list = NULL, before = x->upto + 1;
    uint32_t count = 0, looked = 0;
    enum err rc = ERR_OK;
    do {
        rc = cstore_traces(r->st, r->a, household, before, FINDINGS_PAGE, &list, &count, NULL);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct batch_row frame;
            before = list[i];
            if (x->value[DEPARTMENT_AS_OF].p && x->value[DEPARTMENT_VALUES].p)
                return ERR_OK;
            if (cstore_batch_at(r->st, r->a, list[i], &frame, NULL) == ERR_NOT_FOUND)
                rc = own_search(r, list[i], x);
        }
        looked += count;
    } while (!rc && count == FINDINGS_PAGE && looked < LOG_LOOK_MAX);
    return rc;
}

/* One department's row as it stood at server sequence `seen`. Only the centre writes them. */
static enum err department_then(struct rebuild *r, struct row_id household, const struct record *x,
                                uint64_t seen, struct dept_record *out)
{
    struct log_search search = {.row = x->row, .upto = seen};
    struct str *const parts[] = {NULL, &out->source, &out->as_of, &out->values};
    bool searched = false;
    enum err rc = ERR_OK;
    *out = (struct dept_record){STR(""), STR(""), STR("")};
    for (uint32_t field = DEPARTMENT_SOURCE; !rc && field <= DEPARTMENT_VALUES; field++) {
        const struct record_cell *cell = record_cell(x, field);
        if (cell && cell->count && cell->versions[0].server_seq <= seen) {
            *parts[field] = cell->versions[0].value.p ? cell->versions[0].value : STR("");
            continue;
        }
        if (cell && !searched)
            rc = log_search(r, household, &search);
        searched = searched || cell;
        if (search.value[field].p)
            *parts[field] = search.value[field];
    }
    return rc;
}

static enum err departments_then(struct rebuild *r, struct row_id household, uint64_t seen,
                                 struct judge_input *in, struct str *mark_out)
{
    VEC(struct dept_record) list = {0};
    struct record_row *rows = NULL;
    unsigned char hash[SHA256_SIZE];
    uint32_t count = 0;
    uint64_t after = 0;
    enum err rc = ERR_OK;
    do {
        rc = cstore_records(r->st, r->a, RECORDS_OF_PARENT, household, ROW_DEPARTMENT, after, FINDINGS_PAGE,
                            &rows, &count, NULL);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct record x;
            after = rows[i].number;
            rc = record_unpack(r->a, rows[i].row, rows[i].packed, &x, NULL);
            if (rc || record_deleted(&x) || (x.born && x.birth.server_seq > seen))
                continue;
            struct dept_record *slot = vec_push(r->a, &list);
            rc = slot ? department_then(r, household, &x, seen, slot) : ERR_NOMEM;
        }
    } while (!rc && count == FINDINGS_PAGE);
    if (!rc)
        rc = dept_join(r->a, list.at, list.count, &in->dept, &in->dept_as_of, NULL);
    *mark_out = STR("");
    if (!rc && in->dept.n) {
        rc = sha256(in->dept, hash);
        *mark_out = rc ? STR("") : dept_mark(r->a, in->dept_as_of, hash);
    }
    return rc ? rc : mark_out->p ? ERR_OK : ERR_NOMEM;
}

/* Those that the handheld judged by: it says which. They are what it had when the interview was opened, so
 * what it had seen at the finish or at the beginning. */
static enum err departments_seen(struct rebuild *r, struct row_id household, const struct record *visit,
                                 const struct submission_row *s, struct judge_input *in, struct str *why)
{
    const struct str stated = record_value(visit, VISIT_DEPT);
    const uint64_t moments[] = {s->seen, visit->birth.seen};
    struct str mark = STR("");
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < sizeof moments / sizeof *moments; i++) {
        rc = departments_then(r, household, moments[i], in, &mark);
        if (rc || str_eq(mark, stated))
            return rc;
    }
    if (!rc)
        *why = STR("the departments' values that it was judged by are not kept here");
    return rc;
}

static enum err household_seen(struct rebuild *r, struct row_id household, const struct record *visit,
                               const struct submission_row *s, struct judge_input *in, struct str *why)
{
    struct record_row row;
    struct record x;
    if (row_id_none(household))
        return ERR_OK;
    enum err rc = cstore_record(r->st, r->a, household, &row, NULL);
    if (!rc)
        rc = record_unpack(r->a, household, row.packed, &x, NULL);
    if (rc)
        return rc;
    const struct record_cell *area = record_cell(&x, HOUSEHOLD_AREA);
    if (area && newer_than(&area->versions[0], s))
        *why = STR("the household went to another area since");
    in->area = record_value(&x, HOUSEHOLD_AREA);
    return departments_seen(r, household, visit, s, in, why);
}

/* The day of the visit before, by the time it ended, of those that its author knew. */
static enum err visit_before(struct rebuild *r, struct row_id interview, const struct submission_row *s,
                             uint64_t first_seq, struct str *ended_out, struct row_id *visit_out)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    struct str ended = STR("");
    enum err rc = ERR_OK;
    do {
        rc = cstore_records(r->st, r->a, RECORDS_OF_PARENT, interview, ROW_VISIT, after, FINDINGS_PAGE, &rows,
                            &count, NULL);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct record v;
            after = rows[i].number;
            rc = record_unpack(r->a, rows[i].row, rows[i].packed, &v, NULL);
            if (rc || row_id_same(rows[i].row, s->visit) || record_deleted(&v) || !v.born)
                continue;
            bool own = v.birth.device == s->device && v.birth.inc == s->inc;
            if (own ? v.birth.seq >= first_seq : v.birth.server_seq > s->seen)
                continue;
            struct str at = record_value(&v, VISIT_ENDED);
            struct civil x, y;
            bool later = civil_read(at, &x) &&
                         (!civil_read(ended, &y) ||
                          civil_instant_ms(&x, zone_utc()) >= civil_instant_ms(&y, zone_utc()));
            ended = later ? at : ended;
            *visit_out = later ? rows[i].row : *visit_out;
        }
    } while (!rc && count == FINDINGS_PAGE);
    *ended_out = ended;
    return rc;
}

/* ---- one visit ---- */

static bool day_of(struct str instant, int64_t *out)
{
    struct civil c;
    if (!civil_read_date(str_sub(instant, 0, 10), &c))
        return false;
    *out = civil_days(c.year, c.month, c.day);
    return true;
}

/* A frame that came before the findings it belongs to: they are still on their way. */
static bool may_be_on_its_way(struct rebuild *r, const struct submission_row *s)
{
    struct device_row device;
    return cstore_device(r->st, r->a, s->device, s->inc, &device, NULL) == ERR_OK &&
           device.contiguous + 1 < r->frame->frame.batch_seq;
}

static enum err alarm(struct rebuild *r, const struct judged_row *j, const struct submission_row *s,
                      struct diag *d)
{
    struct buf about, who;
    buf_init(&about, CSTORE_TEXT_MAX);
    buf_init(&who, 64);
    buf_printf(&about,
               "visit %.*s: what the handheld found does not follow from its answers; both are kept "
               "(doorstepd list judgements)",
               STR_ARG(s->instance_id));
    buf_printf(&who, "person %u", s->person);
    enum err rc = cstore_audit(r->st, j->at_ms, buf_str(&who), STR("findings-differ"), buf_str(&about), d);
    buf_free(&about);
    buf_free(&who);
    return rc;
}

static enum err keep(struct rebuild *r, const struct submission_row *s, struct judged_row *j, struct diag *d)
{
    j->visit = s->visit;
    j->at_ms = s->received_ms;
    enum err rc = cstore_judged_put(r->st, j, d);
    return !rc && j->verdict == JUDGED_DIFFERS ? alarm(r, j, s, d) : rc;
}

static enum err cannot(struct rebuild *r, const struct submission_row *s, const char *why, struct diag *d)
{
    struct judged_row j = {.verdict = JUDGED_NOT, .why = str_of(why)};
    return keep(r, s, &j, d);
}

enum err judging_begin(struct rebuild *r, const struct record *visit, struct row_id interview,
                       const struct submission_row *s, struct judging_basis *b, struct diag *d)
{
    unsigned char hash[SHA256_SIZE];
    struct record_row row;
    struct str why = STR_NONE;
    *b = (struct judging_basis){0};
    if (!hex_read(record_value(visit, VISIT_PACK), hash, sizeof hash))
        return ERR_OK; /* nobody judged */
    if (s->capped)
        return cannot(r, s, "the centre was set back to a backup", d);
    if (pack_of(r, s->form, hash, &b->pack))
        return cannot(r, s, "the rule pack was never published here", d);
    if (!day_of(record_value(visit, VISIT_ENDED), &b->in.today))
        return cannot(r, s, "the visit does not say when it ended", d);
    enum err rc = cstore_record(r->st, r->a, s->visit, &row, d);
    if (!rc)
        rc = household_seen(r, row.household, visit, s, &b->in, &why);
    if (!rc && !str_eq_z(record_value(visit, VISIT_TYPE), "correction"))
        rc = visit_before(r, interview, s, visit->birth.seq, &b->before, &b->visit_before);
    if (rc)
        return rc;
    if (why.p)
        return cannot(r, s, arena_z(r->a, why), d);
    b->in.prev_date = str_sub(b->before, 0, 10);
    b->wanted = true;
    return ERR_OK;
}

enum err judging_end(struct rebuild *r, const struct record *visit, const struct submission_row *s,
                     struct judging_basis *b, struct diag *d)
{
    struct judgement result;
    struct buf said, found;
    struct judged_row j = {.verdict = JUDGED_DIFFERS};
    struct diag why = {0};
    if (judge_household(r->a, b->pack, &b->in, &result, &why))
        return cannot(r, s, why.text, d);
    buf_init(&said, FINDINGS_BYTES_MAX);
    buf_init(&found, FINDINGS_BYTES_MAX);
    enum err rc = said_at_the_door(r, visit, &said);
    if (!rc)
        rc = found_here(r, &result, &found);
    if (!rc && str_eq(buf_str(&said), buf_str(&found)))
        j.verdict = JUDGED_SAME;
    else if (!rc && may_be_on_its_way(r, s))
        j.verdict = JUDGED_WAITS;
    if (j.verdict == JUDGED_DIFFERS) {
        j.said = buf_str(&said);
        j.found = buf_str(&found);
    }
    rc = rc ? cannot(r, s, "there is too much to compare", d) : keep(r, s, &j, d);
    buf_free(&said);
    buf_free(&found);
    return rc;
}

/* ---- the whole county ---- */

#define REPLAY_PAGE 64

struct replaying {
    struct rebuild r;
    struct arena work; /* of one interview */
    struct form_cache forms;
    struct resource_cache resources;
    struct replay_result n;
};

struct newest {
    struct record visit;
    struct submission_row s;
    uint32_t visits;
};

static enum err newest_of(struct replaying *x, struct row_id interview, struct newest *out, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    struct str ended = STR("");
    enum err rc = cstore_records(x->r.st, &x->work, RECORDS_OF_PARENT, interview, ROW_VISIT, 0, FINDINGS_PAGE,
                                 &rows, &count, d);
    out->visits = 0;
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct record v;
        rc = record_unpack(&x->work, rows[i].row, rows[i].packed, &v, d);
        if (rc || record_deleted(&v) || !record_value(&v, VISIT_ENDED).n)
            continue;
        out->visits++;
        if (str_cmp(record_value(&v, VISIT_ENDED), ended) >= 0) {
            ended = record_value(&v, VISIT_ENDED);
            out->visit = v;
        }
    }
    return rc;
}

static void count_level(struct replay_result *n, const struct judgement *j)
{
    struct str level = str_of(judgement_level(j));
    n->judged++;
    n->red += str_eq_z(level, "red");
    n->yellow += str_eq_z(level, "yellow");
    n->blue += str_eq_z(level, "blue");
    n->unknown += str_eq_z(level, "unknown");
    n->none += str_eq_z(level, "none");
}

static enum err replay_same(struct replaying *x, const struct newest *v, const struct judgement *j,
                            bool *same_out)
{
    struct buf said, found;
    buf_init(&said, FINDINGS_BYTES_MAX);
    buf_init(&found, FINDINGS_BYTES_MAX);
    enum err rc = said_at_the_door(&x->r, &v->visit, &said);
    if (!rc)
        rc = found_here(&x->r, j, &found);
    *same_out = !rc && str_eq(buf_str(&said), buf_str(&found));
    buf_free(&said);
    buf_free(&found);
    return rc == ERR_NOMEM ? rc : ERR_OK;
}

/* What one interview is judged by, with what is open for it. */
struct replayed {
    const struct cached_form *form;
    const struct pack *pack;
    struct judge_input in;
    struct str ended_before;    /* "" = no visit before */
    struct row_id visit_before; /* of that */
    struct session *now, *prev;
    struct session_host host, host_before;
    bool since; /* somebody said more after the visit */
    struct str why;
};

/* The visit before from its document; false when that does not tell it. */
static bool before_from_document(struct replaying *x, struct row_id interview, struct replayed *p)
{
    struct submission_row s;
    struct diag quiet = {0};
    return cstore_submission(x->r.st, &x->work, p->visit_before, &s, NULL) == ERR_OK && s.xml_matches &&
           interview_open_visit(&x->r, p->form, interview, &s, &p->host_before, &p->prev, &quiet) == ERR_OK;
}

/* As it was at the door: the document of the visit, and the visit before as the ledger has it. */
static enum err judge_as_then(struct replaying *x, struct row_id interview, const struct newest *v,
                              struct replayed *p, struct judgement *j)
{
    struct diag quiet = {0};
    struct session_host host;
    session_close(p->now);
    session_close(p->prev);
    p->now = p->prev = NULL;
    if (!v->s.xml_matches)
        return ERR_STATE;
    enum err rc = interview_open_visit(&x->r, p->form, interview, &v->s, &host, &p->now, &quiet);
    if (!rc && p->ended_before.n)
        rc = interview_open_before(&x->r, p->form, interview, &v->s, v->visit.birth.seq, &p->host_before,
                                   &p->prev, &quiet);
    p->in.now = p->now;
    p->in.prev = p->prev;
    return rc ? rc : judge_household(&x->work, p->pack, &p->in, j, &quiet);
}

/* The quick way first; what differs, or was added to since, is looked at as it was at the door. */
static enum err replay_compare(struct replaying *x, struct row_id interview, const struct newest *v,
                               struct replayed *p, const struct judgement *j)
{
    struct judgement then;
    bool same = false;
    enum err rc = ERR_OK;
    if (p->why.p) {
        x->n.not_compared++;
        return ERR_OK;
    }
    if (!p->since)
        rc = replay_same(x, v, j, &same);
    if (!rc && !same) {
        rc = judge_as_then(x, interview, v, p, &then);
        if (rc && rc != ERR_NOMEM) {
            x->n.not_compared++;
            return ERR_OK;
        }
        if (!rc)
            rc = replay_same(x, v, &then, &same);
    }
    x->n.same += !rc && same;
    x->n.differing += !rc && !same;
    return rc;
}

static enum err replay_open(struct replaying *x, const struct record_row *interview, const struct newest *v,
                            struct replayed *p)
{
    struct diag quiet = {0};
    enum err rc = household_seen(&x->r, interview->household, &v->visit, &v->s, &p->in, &p->why);
    if (!rc && v->visits > 1 && !str_eq_z(record_value(&v->visit, VISIT_TYPE), "correction"))
        rc = visit_before(&x->r, interview->row, &v->s, v->visit.birth.seq, &p->ended_before,
                          &p->visit_before);
    if (!rc)
        rc = interview_open_now(&x->r, p->form, interview->row, &v->s, &p->since, &p->host, &p->now, &quiet);
    if (!rc && p->ended_before.n && !before_from_document(x, interview->row, p))
        rc = interview_open_before(&x->r, p->form, interview->row, &v->s, v->visit.birth.seq, &p->host_before,
                                   &p->prev, &quiet);
    p->in.prev_date = str_sub(p->ended_before, 0, 10);
    p->in.now = p->now;
    p->in.prev = p->prev;
    return rc;
}

static enum err replay_one(struct replaying *x, const struct record_row *interview, struct diag *d)
{
    struct newest v = {0};
    struct replayed p = {.why = STR_NONE, .ended_before = STR("")};
    struct judgement j;
    unsigned char pack_hash[SHA256_SIZE], form_hash[SHA256_SIZE];
    struct diag quiet = {0};
    enum err rc = newest_of(x, interview->row, &v, d);
    if (rc || !v.visits || !hex_read(record_value(&v.visit, VISIT_PACK), pack_hash, sizeof pack_hash))
        return rc;
    if (!hex_read(record_value(&v.visit, VISIT_FORM), form_hash, sizeof form_hash) ||
        form_cache_get(&x->forms, x->r.st, form_hash, &p.form, NULL) ||
        pack_of(&x->r, form_hash, pack_hash, &p.pack) ||
        !day_of(record_value(&v.visit, VISIT_ENDED), &p.in.today)) {
        x->n.left_out++;
        return ERR_OK;
    }
    rc = cstore_submission(x->r.st, &x->work, v.visit.row, &v.s, d);
    if (!rc)
        rc = replay_open(x, interview, &v, &p);
    if (!rc)
        rc = judge_household(&x->work, p.pack, &p.in, &j, &quiet);
    if (!rc) {
        count_level(&x->n, &j);
        x->n.revisits += p.ended_before.n > 0;
        rc = replay_compare(x, interview->row, &v, &p, &j);
    }
    session_close(p.prev);
    session_close(p.now);
    if (rc && rc != ERR_NOMEM) {
        x->n.left_out++;
        rc = ERR_OK;
    }
    return rc ? diag_set(d, rc, "Out of memory while judging again.") : ERR_OK;
}

enum err judging_replay(struct desk *k, struct replay_result *out, struct diag *d)
{
    struct replaying x = {.r = {.st = k->st, .seam = k->seam}};
    struct arena page;
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0, done = 0;
    enum err rc = ERR_OK;
    x.r.a = &x.work;
    x.r.forms = &x.forms;
    x.r.resources = &x.resources;
    arena_init(&x.resources.memory, 64u << 20);
    arena_init(&x.work, 256u << 20);
    arena_init(&page, 256u << 20);
    do {
        struct arena_mark mark = arena_mark(&page);
        rc = cstore_records(k->st, &page, RECORDS_OF_KIND, (struct row_id){0}, ROW_INTERVIEW, after,
                            REPLAY_PAGE, &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            struct arena_mark one = arena_mark(&x.work);
            after = rows[i].number;
            rc = replay_one(&x, &rows[i], d);
            arena_release(&x.work, one);
            desk_progress(k, ++done);
        }
        arena_release(&page, mark);
    } while (!rc && count == REPLAY_PAGE);
    form_cache_free(&x.forms);
    arena_free(&x.resources.memory);
    arena_free(&page);
    arena_free(&x.work);
    if (!rc)
        *out = x.n;
    return rc;
}
