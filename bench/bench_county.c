/* doorstep-bench-county DIR COUNT [SEED]: fills the database of a centre, on which the example form and pack
 * are published, with COUNT households that were visited and judged at the door, for `doorstepd replay`.
 *
 * The households are those of the invented village (risk/simulate.h), each with its own answers; one in
 * twenty was visited twice, the others once, and the insurer knows something about all of them. Records,
 * documents and findings are what handhelds would have brought, byte for byte; they are written straight into
 * the tables that judging reads, without frames, receipts and what lists are made of, because a million
 * frames would measure something else. The same seed gives the same county.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/civil.h"
#include "platform/posix/posix_seam.h"
#include "risk/dept.h"
#include "risk/simulate.h"
#include "server/parts.h"

#define MONTHS 24
#define FIRST_DAY 20454 /* 2026-01-01 */
#define DAYS 30
#define IN_ONE_TRANSACTION 500
#define DEVICE 77
#define REVISITED_IN 20

struct county {
    struct seam seam;
    struct cstore *st;
    struct arena a, one;
    struct form_cache forms;
    const struct cached_form *form;
    const struct pack *pack;
    char form_hex[2 * SHA256_SIZE], pack_hex[2 * SHA256_SIZE];
    struct chance chance;
    uint64_t counter, seq; /* of the one handheld */
    uint64_t revisits;
};

static enum err trouble(struct diag *d)
{
    return diag_set(d, ERR_NOMEM, "there is no memory left for the county");
}

/* ---- records ---- */

struct made {
    struct record_row row;
    struct record record;
};

static struct row_id id_next(struct county *c)
{
    return (struct row_id){.device = DEVICE, .inc = 1, .counter = ++c->counter};
}

/* What was said of a row: by the handheld, or by the centre, whose changes have the server's numbers. */
static enum err say(struct county *c, struct made *m, bool centre, uint32_t field, enum change_op op,
                    struct str value)
{
    enum merge_result result;
    uint64_t server_seq = ++cstore_counters(c->st)->server_seq;
    const struct change change = {.seq = centre ? server_seq : ++c->seq,
                                  .row = m->record.row,
                                  .field = field,
                                  .op = op,
                                  .status = 1,
                                  .person = 1,
                                  .role = ROLE_CADRE,
                                  .seen = server_seq - 1,
                                  .value = value};
    m->row.last_seq = server_seq;
    return record_apply(&c->one, &m->record, &change, centre ? 0 : DEVICE, 1, (int64_t)server_seq << 16,
                        server_seq, &result);
}

static enum err born(struct county *c, struct made *m, bool centre, const struct row_birth *birth,
                     const struct made *household, const struct made *interview)
{
    struct buf b;
    buf_init(&b, 4096);
    m->record.row = id_next(c);
    m->row = (struct record_row){.row = m->record.row,
                                 .number = ++cstore_counters(c->st)->row_number,
                                 .kind = (int)birth->kind,
                                 .parent = birth->parent,
                                 .household = household ? household->row.row : m->record.row,
                                 .area = STR("990101001201")};
    if (interview)
        m->row.interview = interview->row.row;
    enum err rc = row_birth_write(&b, birth);
    struct str value = rc ? STR_NONE : arena_str(&c->one, buf_str(&b));
    buf_free(&b);
    return rc ? rc : value.p ? say(c, m, centre, 0, CHANGE_ROW_CREATE, value) : ERR_NOMEM;
}

static enum err keep(struct county *c, struct made *m, struct diag *d)
{
    struct buf b;
    buf_init(&b, 1u << 20);
    enum err rc = record_pack(&m->record, &b);
    m->row.packed = buf_str(&b);
    if (!rc)
        rc = cstore_record_put(c->st, &m->row, d);
    buf_free(&b);
    return rc;
}

struct said {
    uint32_t field;
    struct str value;
};

static enum err say_all(struct county *c, struct made *m, bool centre, const struct said *list,
                        uint32_t count)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < count; i++)
        if (list[i].value.n)
            rc = say(c, m, centre, list[i].field, CHANGE_SET, list[i].value);
    return rc;
}

/* ---- one visit ---- */

struct answers {
    struct saved_row rows[VILLAGE_SIZE_MAX];
    struct saved_cell cells[VILLAGE_ANSWERS_MAX];
    uint32_t row_count, cell_count;
};

static enum err answers_of(struct county *c, const struct villager_household *h, uint32_t month,
                           struct answers *out, struct diag *d)
{
    struct village_answer list[VILLAGE_ANSWERS_MAX];
    const struct form *form = c->form->form;
    const struct form_field *member = form_field_by_path(form, STR("/monitoring/member/age"));
    uint32_t count = village_answers(&c->chance, h, month, &c->one, list);
    *out = (struct answers){.row_count = h->size};
    if (!member)
        return diag_set(d, ERR_NOT_FOUND, "the form has no /monitoring/member/age");
    for (uint32_t i = 0; i < h->size; i++)
        out->rows[i] = (struct saved_row){i + 1, 0, member->repeat, i + 1};
    for (uint32_t i = 0; i < count; i++) {
        const struct form_field *f = form_field_by_path(form, str_of(list[i].path));
        if (!f)
            return diag_set(d, ERR_NOT_FOUND, "the form does not ask %s", list[i].path);
        if (list[i].text.n)
            out->cells[out->cell_count++] = (struct saved_cell){list[i].member, f->number, list[i].text,
                                                                ANSWER_GIVEN};
    }
    return ERR_OK;
}

static int64_t host_now(void *self)
{
    (void)self;
    return 0;
}

static enum err open_session(struct county *c, const struct answers *x, const struct session_host *host,
                             struct session **out, struct diag *d)
{
    const struct session_options o = {.form = c->form->form,
                                      .host = host,
                                      .frozen = true,
                                      .rows = x->rows,
                                      .row_count = x->row_count,
                                      .cells = x->cells,
                                      .cell_count = x->cell_count,
                                      .row_key_next = (uint64_t)x->row_count + 1};
    return session_open(&c->one, &o, out, d);
}

struct household {
    struct made row, interview, members[VILLAGE_SIZE_MAX], department;
    struct judge_input basis;
    struct str mark;
};

/* What this visit says anew, as changes of the interview's rows. */
static enum err tell_answers(struct county *c, struct household *h, const struct answers *now,
                             const struct answers *before)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < now->cell_count; i++) {
        const struct saved_cell *x = &now->cells[i];
        bool same = false;
        for (uint32_t k = 0; before && !same && k < before->cell_count; k++)
            same = before->cells[k].key == x->key && before->cells[k].field == x->field &&
                   str_eq(before->cells[k].value, x->value);
        struct made *m = x->key ? &h->members[x->key - 1] : &h->interview;
        if (!same)
            rc = say(c, m, false, c->form->map.field_stable[x->field], CHANGE_SET, x->value);
    }
    for (uint32_t k = 0; !rc && before && k < before->cell_count; k++) {
        const struct saved_cell *x = &before->cells[k];
        bool still = false;
        for (uint32_t i = 0; !still && i < now->cell_count; i++)
            still = now->cells[i].key == x->key && now->cells[i].field == x->field;
        struct made *m = x->key ? &h->members[x->key - 1] : &h->interview;
        if (!still)
            rc = say(c, m, false, c->form->map.field_stable[x->field], CHANGE_CLEAR, STR(""));
    }
    return rc;
}

static enum err put_findings(struct county *c, const struct household *h, const struct made *visit,
                             const struct judgement *j, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < j->count; i++) {
        const struct finding *f = &j->findings[i];
        struct made m = {0};
        const struct row_birth birth = {.kind = ROW_FINDING, .parent = visit->row.row};
        const struct said fields[] = {{FINDING_RULE, f->rule},
                                      {FINDING_SEVERITY, str_of(severity_name(f->severity))},
                                      {FINDING_STATE, f->state == FINDING_HIT ? STR("hit") : STR("unknown")},
                                      {FINDING_TEXT_ZH, f->text_zh},
                                      {FINDING_TEXT_EN, f->text_en},
                                      {FINDING_INPUTS, f->inputs},
                                      {FINDING_PACK, j->pack_id},
                                      {FINDING_PACK_VERSION, j->pack_version},
                                      {FINDING_PARAMS, f->params}};
        rc = born(c, &m, false, &birth, &h->row, &h->interview);
        if (!rc)
            rc = say_all(c, &m, false, fields, sizeof fields / sizeof *fields);
        m.row.code = f->state == FINDING_HIT ? str_of(severity_name(f->severity)) : STR("unknown");
        if (!rc)
            rc = keep(c, &m, d);
    }
    return rc;
}

static struct str day_text(struct arena *a, int64_t day)
{
    char text[40];
    struct civil at = civil_at(day * INT64_C(86400000) + INT64_C(36000000), zone_utc());
    return arena_str(a, (struct str){text, civil_write(&at, text)});
}

static enum err put_visit(struct county *c, struct household *h, uint32_t month, const struct answers *now,
                          const struct answers *before, struct str before_ended, struct str *ended_out,
                          struct diag *d)
{
    const struct session_host host = {.now_ms = host_now};
    struct session *session = NULL, *prev = NULL;
    struct made visit = {0};
    struct judgement j;
    struct buf xml;
    unsigned char hash[SHA256_SIZE];
    char check[VISIT_CHECK_SIZE], instance[64];
    const struct row_birth birth = {.kind = ROW_VISIT, .parent = h->interview.row.row};
    struct judge_input in = h->basis;
    buf_init(&xml, 1u << 20);
    enum err rc = born(c, &visit, false, &birth, &h->row, &h->interview);
    if (!rc)
        rc = tell_answers(c, h, now, before);
    if (!rc)
        rc = open_session(c, now, &host, &session, d);
    if (!rc && before)
        rc = open_session(c, before, &host, &prev, d);
    in.now = session;
    in.prev = prev;
    in.prev_date = str_sub(before_ended, 0, 10);
    in.today = FIRST_DAY + (int64_t)(month + 1) * DAYS;
    if (!rc)
        rc = judge_household(&c->one, c->pack, &in, &j, d);
    if (!rc)
        rc = session_xml(session, false, &xml, d);
    if (!rc)
        rc = sha256(buf_str(&xml), hash);
    session_close(prev);
    session_close(session);
    if (rc)
        goto done;
    visit_check_write(hash, check);
    *ended_out = day_text(&c->one, in.today);
    snprintf(instance, sizeof instance, "uuid:%016llx", (unsigned long long)visit.row.row.counter);
    const struct said fields[] = {{VISIT_FORM, {c->form_hex, sizeof c->form_hex}},
                                  {VISIT_TYPE, STR("monitoring")},
                                  {VISIT_STARTED, *ended_out},
                                  {VISIT_ENDED, *ended_out},
                                  {VISIT_PERSON, STR("1")},
                                  {VISIT_INSTANCE, str_of(instance)},
                                  {VISIT_XML_HASH, {check, sizeof check}},
                                  {VISIT_JUDGEMENT, STR("暂时没有。")},
                                  {VISIT_PACK, {c->pack_hex, sizeof c->pack_hex}},
                                  {VISIT_DEPT, h->mark},
                                  {VISIT_LEVEL, str_of(judgement_level(&j))}};
    rc = say_all(c, &visit, false, fields, sizeof fields / sizeof *fields);
    visit.row.code = str_of(instance);
    if (!rc)
        rc = say(c, &visit, false, 0, CHANGE_FINALISE, STR(""));
    if (!rc)
        rc = put_findings(c, h, &visit, &j, d);
    if (!rc)
        rc = keep(c, &visit, d);
    struct submission_row s = {.visit = visit.row.row,
                               .form_id = c->form->about.id,
                               .instance_id = str_of(instance),
                               .xml = buf_str(&xml),
                               .xml_matches = true,
                               .statuses = STR(""),
                               .device = DEVICE,
                               .inc = 1,
                               .person = 1,
                               .final_seq = c->seq,
                               .seen = cstore_counters(c->st)->server_seq,
                               .received_ms = in.today * INT64_C(86400000)};
    memcpy(s.form, c->form->hash, SHA256_SIZE);
    if (!rc)
        rc = cstore_submission_put(c->st, &s, d);
done:
    buf_free(&xml);
    return rc;
}

/* ---- one household ---- */

static enum err put_department(struct county *c, struct household *h, double self, struct diag *d)
{
    struct buf b;
    unsigned char hash[SHA256_SIZE];
    const struct row_birth birth = {.kind = ROW_DEPARTMENT, .parent = h->row.row.row};
    buf_init(&b, 4096);
    buf_printf(&b, "{\"med_self\":%u}", (unsigned)self);
    struct dept_record r = {STR("医保"), STR("2026-11-05"), arena_str(&c->one, buf_str(&b))};
    buf_free(&b);
    const struct said fields[] = {{DEPARTMENT_SOURCE, r.source},
                                  {DEPARTMENT_AS_OF, r.as_of},
                                  {DEPARTMENT_VALUES, r.values}};
    enum err rc = r.values.p ? born(c, &h->department, true, &birth, &h->row, NULL) : trouble(d);
    if (!rc)
        rc = say_all(c, &h->department, true, fields, 3);
    if (!rc)
        rc = keep(c, &h->department, d);
    if (!rc)
        rc = dept_join(&c->one, &r, 1, &h->basis.dept, &h->basis.dept_as_of, d);
    if (!rc)
        rc = sha256(h->basis.dept, hash);
    if (!rc)
        h->mark = dept_mark(&c->one, h->basis.dept_as_of, hash);
    return rc;
}

static enum err put_rows(struct county *c, struct household *h, uint64_t number, uint32_t size,
                         struct diag *d)
{
    char code[32];
    unsigned char form[SHA256_SIZE];
    struct row_birth birth = {.kind = ROW_HOUSEHOLD};
    snprintf(code, sizeof code, "B%07llu", (unsigned long long)number);
    h->row.row.code = arena_str(&c->one, str_of(code));
    enum err rc = sha256(c->form->about.id, form);
    if (!rc)
        rc = born(c, &h->row, true, &birth, NULL, NULL);
    h->row.row.code = arena_str(&c->one, str_of(code));
    const struct said fields[] = {{HOUSEHOLD_CODE, h->row.row.code},
                                  {HOUSEHOLD_AREA, STR("990101001201")},
                                  {HOUSEHOLD_NAME, STR("田大米")}};
    if (!rc)
        rc = say_all(c, &h->row, true, fields, 3);
    if (!rc)
        rc = keep(c, &h->row, d);
    birth = (struct row_birth){.kind = ROW_INTERVIEW, .parent = h->row.row.row};
    memcpy(birth.object, form, sizeof birth.object);
    if (!rc)
        rc = born(c, &h->interview, false, &birth, &h->row, NULL);
    h->interview.row.interview = h->interview.row.row;
    for (uint32_t i = 0; !rc && i < size; i++) {
        birth = (struct row_birth){.kind = ROW_REPEAT,
                                   .parent = h->interview.row.row,
                                   .number = 1,
                                   .order = (int64_t)i + 1};
        rc = born(c, &h->members[i], false, &birth, &h->row, &h->interview);
    }
    return rc;
}

static enum err put_household(struct county *c, uint64_t number, struct diag *d)
{
    struct household *h = ARENA_NEW(&c->one, struct household);
    struct answers *x = ARENA_ARRAY(&c->one, struct answers, 2);
    struct villager_household life;
    struct str ended = STR(""), again = STR("");
    if (!h || !x)
        return trouble(d);
    bool twice = chance_of(&c->chance, 1.0 / REVISITED_IN);
    village_household(&c->chance, MONTHS, &life);
    h->basis.area = STR("990101001201");
    enum err rc = put_rows(c, h, number, life.size, d);
    if (!rc)
        rc = put_department(c, h, village_insurer(&life, 11), d);
    if (!rc)
        rc = answers_of(c, &life, twice ? 5 : 10, &x[0], d);
    if (!rc)
        rc = put_visit(c, h, twice ? 5 : 10, &x[0], NULL, STR(""), &ended, d);
    if (!rc && twice)
        rc = answers_of(c, &life, 10, &x[1], d);
    if (!rc && twice)
        rc = put_visit(c, h, 10, &x[1], &x[0], ended, &again, d);
    c->revisits += twice;
    if (!rc)
        rc = keep(c, &h->interview, d);
    for (uint32_t i = 0; !rc && i < life.size; i++)
        rc = keep(c, &h->members[i], d);
    return rc;
}

/* ---- the county ---- */

static enum err open_county(struct county *c, const char *dir, struct diag *d)
{
    struct published form, pack;
    struct str bytes;
    struct form_findings none = {0};
    struct counters now;
    enum err rc = posix_seam_open(NULL, &c->seam, d);
    if (!rc)
        rc = centre_store_open(&c->seam, dir, &c->st, d);
    if (!rc)
        rc = cstore_county(c->st, NULL, NULL, NULL, &now, d);
    if (!rc && (published_live(c->st, &c->a, "form", STR("household_monitoring"), &form, NULL) ||
                published_live(c->st, &c->a, "pack", STR("cn-monitoring"), &pack, NULL)))
        rc = diag_set(d, ERR_NOT_FOUND,
                      "publish examples/monitoring.xform.xml and examples/pack.cn.json first");
    if (!rc)
        rc = form_cache_get(&c->forms, c->st, form.hash, &c->form, d);
    if (!rc)
        rc = cstore_object(c->st, &c->a, pack.hash, NULL, &bytes, d);
    if (!rc)
        rc = pack_load(&c->a, bytes, c->form->form, &c->pack, &none, d);
    if (!rc) {
        hex_write(form.hash, SHA256_SIZE, c->form_hex);
        hex_write(pack.hash, SHA256_SIZE, c->pack_hex);
    }
    return rc;
}

static enum err fill(struct county *c, uint64_t count, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint64_t done = 0; !rc && done < count;) {
        rc = cstore_begin(c->st, d);
        for (int i = 0; !rc && i < IN_ONE_TRANSACTION && done < count; i++) {
            struct arena_mark mark = arena_mark(&c->one);
            rc = put_household(c, ++done, d);
            arena_release(&c->one, mark);
        }
        if (!rc)
            rc = cstore_commit(c->st, d);
        cstore_rollback(c->st);
        fprintf(stderr, "\r%llu", (unsigned long long)done);
    }
    fputc('\n', stderr);
    return rc;
}

int main(int argc, char **argv)
{
    struct county c = {.chance = {argc > 3 ? strtoull(argv[3], NULL, 10) : 1}};
    struct diag d = {0};
    if (argc < 3) {
        fprintf(stderr, "doorstep-bench-county DIR COUNT [SEED]\n");
        return 2;
    }
    arena_init(&c.a, 512u << 20);
    arena_init(&c.one, 512u << 20);
    enum err rc = open_county(&c, argv[1], &d);
    if (!rc)
        rc = fill(&c, strtoull(argv[2], NULL, 10), &d);
    if (rc)
        fprintf(stderr, "doorstep-bench-county: %s\n", d.text);
    else
        printf("{\"households\":%s,\"revisited\":%llu}\n", argv[2], (unsigned long long)c.revisits);
    form_cache_free(&c.forms);
    cstore_close(c.st);
    posix_seam_close(&c.seam);
    arena_free(&c.one);
    arena_free(&c.a);
    return rc ? 1 : 0;
}
