/* What a draft changes (stage.h): question by question or check by check, and tried out on what is stored
 * here.
 *
 * Always true: it only reads; a trial that cannot be made of one visit is left out of the counts. Drafts on
 * handhelds are not known here; visits that were made with the live version stand for them.
 */
#include "forms/migrate.h"
#include "forms/xlsform.h"
#include "forms/xml_doc.h"
#include "platform/base/json.h"
#include "risk/judge.h"
#include "server/lines.h"
#include "server/stage.h"
#include "server/store_stage.h"

#define PAGE 64
#define MEMORY_MAX (512u << 20)
#define TOLD_MAX 200

struct comparing {
    struct desk *k;
    struct stage_diff *out;
    VEC(struct stage_change) changes;
    VEC(struct stage_household) households;
};

static enum err tell(struct comparing *x, enum stage_sign sign, struct str place, struct str label,
                     const char *what, struct str before, struct str now)
{
    struct stage_change *c = vec_push(x->k->a, &x->changes);
    if (!c)
        return ERR_NOMEM;
    *c = (struct stage_change){.sign = sign,
                               .place = place,
                               .label = label.p ? label : STR(""),
                               .what = str_of(what),
                               .before = before.p ? before : STR(""),
                               .now = now.p ? now : STR("")};
    return ERR_OK;
}

/* ---- forms ---- */

static const char *const bind_parts[] = {"type",       "required",  "relevant",
                                         "constraint", "calculate", "readonly"};
#define BIND_PARTS (sizeof bind_parts / sizeof bind_parts[0])

struct form_side {
    const struct form *form;
    struct xml_doc doc;
};

static enum err side_read(struct comparing *x, struct str xml, struct form_side *out, struct diag *d)
{
    const struct xml_caps caps = {.depth_max = 200, .nodes_max = 2000000};
    struct form_findings findings = {0};
    enum err rc = form_load(x->k->a, xml, &out->form, &findings, d);
    return rc ? rc : xml_doc_read(x->k->a, xml, &caps, &out->doc, d);
}

static uint32_t bind_of(const struct xml_doc *doc, struct str path)
{
    for (uint32_t n = 0; n < doc->nodes.count; n++)
        if (xml_is(doc, n, NS_XFORMS, "bind") && str_eq(xml_attr(doc, n, "", "nodeset"), path))
            return n;
    return XML_NONE;
}

static struct str part_of(const struct xml_doc *doc, uint32_t bind, const char *part)
{
    struct str s = bind == XML_NONE ? STR_NONE : xml_attr(doc, bind, "", part);
    return s.p ? str_trim(s) : STR("");
}

static enum err question_compare(struct comparing *x, const struct form_side *a,
                                 const struct form_field *before, const struct form_side *b,
                                 const struct form_field *now)
{
    uint32_t old = bind_of(&a->doc, before->path), new = bind_of(&b->doc, now->path);
    enum err rc = ERR_OK;
    if (!str_eq(before->label, now->label))
        rc = tell(x, STAGE_CHANGED, now->path, now->label, "label", before->label, now->label);
    if (!rc && (before->repeat == FORM_NO_REPEAT) != (now->repeat == FORM_NO_REPEAT))
        rc = tell(x, STAGE_CHANGED, now->path, now->label, "repeat", STR(""), STR(""));
    for (size_t i = 0; !rc && i < BIND_PARTS; i++) {
        struct str was = part_of(&a->doc, old, bind_parts[i]), is = part_of(&b->doc, new, bind_parts[i]);
        if (!str_eq(was, is))
            rc = tell(x, STAGE_CHANGED, now->path, now->label, bind_parts[i], was, is);
    }
    return rc;
}

static enum err forms_compare(struct comparing *x, const struct form_side *a, const struct form_side *b)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < form_field_count(b->form); i++) {
        const struct form_field *now = form_field(b->form, i);
        const struct form_field *before = a ? form_field_by_path(a->form, now->path) : NULL;
        rc = before ? question_compare(x, a, before, b, now)
                    : tell(x, STAGE_ADDED, now->path, now->label, "", STR(""), STR(""));
    }
    for (uint32_t i = 0; !rc && a && i < form_field_count(a->form); i++) {
        const struct form_field *before = form_field(a->form, i);
        if (!form_field_by_path(b->form, before->path))
            rc = tell(x, STAGE_REMOVED, before->path, before->label, "", STR(""), STR(""));
    }
    return rc;
}

static int64_t now_of(void *self)
{
    const struct desk *k = self;
    return k->seam->wall_ms(k->seam->self);
}

static enum err random_of(void *self, void *out, size_t n)
{
    const struct desk *k = self;
    return k->seam->random(k->seam->self, out, n);
}

static void migration_count(struct stage_diff *o, const struct migration_plan *plan)
{
    uint64_t *const counts[] = {[MIGRATE_GONE] = &o->gone,
                                [MIGRATE_MISFIT] = &o->misfit,
                                [MIGRATE_ENTRY_GONE] = &o->gone,
                                [MIGRATE_CHOICE] = &o->choice,
                                [MIGRATE_CONSTRAINT] = &o->constraint,
                                [MIGRATE_REQUIRED] = &o->required};
    for (uint32_t i = 0; i < plan->item_count; i++)
        if (plan->items[i].kind >= MIGRATE_GONE)
            ++*counts[plan->items[i].kind];
    o->tried++;
    o->attention += plan->attention > 0;
}

static void visit_try(struct comparing *x, const struct form_side *a, const struct form_side *b,
                      struct str xml)
{
    struct arena work;
    struct migration_plan plan;
    const struct session_host host = {.self = x->k,
                                      .now_ms = now_of,
                                      .zone = zone_utc(),
                                      .random = random_of};
    struct migration_draft draft = {.from = a->form, .to = b->form, .host = &host, .row_key_next = 1u << 20};
    arena_init(&work, MEMORY_MAX);
    if (!submission_read(&work, a->form, xml, 1, &draft.saved, NULL) &&
        !migration_plan(&work, &draft, &plan, NULL))
        migration_count(x->out, &plan);
    arena_free(&work);
}

static enum err visits_try(struct comparing *x, const struct form_side *a, const struct form_side *b,
                           uint32_t max, struct diag *d)
{
    struct submission_row *list = NULL, last;
    uint32_t count = 0, looked = 0;
    struct arena page;
    enum err rc = ERR_OK;
    arena_init(&page, MEMORY_MAX);
    do {
        struct arena_mark mark = arena_mark(&page);
        rc = cstore_submissions(x->k->st, &page, form_id(a->form), looked ? &last : NULL, PAGE, &list, &count,
                                d);
        for (uint32_t i = 0; !rc && i < count && x->out->tried < max; i++) {
            if (list[i].xml.n && memcmp(list[i].form, x->out->live.hash, SHA256_SIZE) == 0)
                visit_try(x, a, b, list[i].xml);
            desk_progress(x->k, ++looked);
        }
        if (!rc && count)
            last = list[count - 1];
        arena_release(&page, mark);
    } while (!rc && count == PAGE && x->out->tried < max && looked < 20 * max);
    arena_free(&page);
    return rc;
}

/* ---- packs ---- */

static void json_text_of(const struct json *j, struct buf *out, int depth)
{
    if (!j || depth > 32)
        return;
    if (j->name.p) {
        buf_put_json(out, j->name);
        buf_put_char(out, ':');
    }
    switch (j->type) {
    case JSON_ARRAY:
    case JSON_OBJECT:
        buf_put_char(out, j->type == JSON_ARRAY ? '[' : '{');
        for (const struct json *c = j->child; c; c = c->next) {
            json_text_of(c, out, depth + 1);
            buf_put_z(out, c->next ? "," : "");
        }
        buf_put_char(out, j->type == JSON_ARRAY ? ']' : '}');
        break;
    case JSON_STRING: buf_put_json(out, j->text); break;
    case JSON_NUMBER: buf_put_str(out, j->text); break;
    default: buf_put_z(out, j->type == JSON_NULL ? "null" : j->boolean ? "true" : "false");
    }
}

static struct str text_of(struct arena *a, const struct json *j)
{
    struct buf b;
    struct json bare = *j;
    bare.name = STR_NONE;
    buf_init(&b, 1u << 20);
    json_text_of(&bare, &b, 0);
    struct str s = b.failed ? STR("") : arena_str(a, buf_str(&b));
    buf_free(&b);
    return s;
}

/* Members of an object by name, or of a list of objects by id. */
static struct str member_name(const struct json *j)
{
    struct str id = j->name.p ? j->name : json_text(j, "id");
    return id.p ? id : json_text(j, "code").p ? json_text(j, "code") : STR("");
}

static const struct json *member_of(const struct json *section, struct str name)
{
    for (const struct json *c = section ? section->child : NULL; c; c = c->next)
        if (str_eq(member_name(c), name))
            return c;
    return NULL;
}

static enum err section_compare(struct comparing *x, const char *name, const struct json *was,
                                const struct json *is)
{
    enum err rc = ERR_OK;
    for (const struct json *c = is ? is->child : NULL; !rc && c; c = c->next) {
        const struct json *before = member_of(was, member_name(c));
        const struct json *title = json_get(c, "name");
        struct str label = title && title->type == JSON_OBJECT ? json_text(title, "zh") : STR("");
        struct str now = text_of(x->k->a, c), old = before ? text_of(x->k->a, before) : STR("");
        if (!before)
            rc = tell(x, STAGE_ADDED, member_name(c), label, name, STR(""), now);
        else if (!str_eq(old, now))
            rc = tell(x, STAGE_CHANGED, member_name(c), label, name, old, now);
    }
    for (const struct json *c = was ? was->child : NULL; !rc && c; c = c->next)
        if (!member_of(is, member_name(c)))
            rc = tell(x, STAGE_REMOVED, member_name(c), STR(""), name, text_of(x->k->a, c), STR(""));
    return rc;
}

static enum err packs_compare(struct comparing *x, struct str was, struct str is, struct diag *d)
{
    static const char *const sections[] = {"checks", "params", "derived", "inputs", "dept", "categories"};
    const struct json *a = NULL, *b = NULL;
    enum err rc = was.n ? json_read(x->k->a, was, &a, d) : ERR_OK;
    if (!rc)
        rc = json_read(x->k->a, is, &b, d);
    for (size_t i = 0; !rc && i < sizeof sections / sizeof sections[0]; i++)
        rc = section_compare(x, sections[i], a ? json_get(a, sections[i]) : NULL, json_get(b, sections[i]));
    return rc;
}

static int level_place(const char *level)
{
    static const char *const levels[] = {"red", "yellow", "blue", "unknown", "none"};
    for (int i = 0; i < 5; i++)
        if (strcmp(level, levels[i]) == 0)
            return i;
    return 4;
}

struct trying {
    struct comparing *x;
    struct rebuild r;
    struct arena work;
    struct form_cache forms;
    struct str bytes; /* of the draft */
    struct arena pack_memory;
    const struct form *pack_form; /* that `pack` was compiled for */
    const struct pack *pack;
};

static enum err pack_for(struct trying *t, const struct form *form, const struct pack **out)
{
    struct form_findings findings = {0};
    if (t->pack_form != form) {
        arena_free(&t->pack_memory);
        arena_init(&t->pack_memory, MEMORY_MAX);
        t->pack_form = form;
        if (pack_load(&t->pack_memory, t->bytes, form, &t->pack, &findings, NULL))
            t->pack = NULL;
    }
    *out = t->pack;
    return t->pack ? ERR_OK : ERR_NOT_FOUND;
}

static enum err levels_note(struct trying *t, const struct visit_line *line, const char *before,
                            const char *now)
{
    struct stage_diff *o = t->x->out;
    o->judged++;
    o->from[level_place(before)]++;
    o->to[level_place(now)]++;
    if (strcmp(before, now) == 0)
        return ERR_OK;
    o->other_level++;
    struct stage_household *h = t->x->households.count < TOLD_MAX ? vec_push(t->x->k->a, &t->x->households)
                                                                  : NULL;
    if (h)
        *h = (struct stage_household){arena_str(t->x->k->a, line->code), str_of(before), str_of(now)};
    return ERR_OK;
}

/* With the same answers, day and departments' values by both packs: what differs, differs by the pack. */
static enum err visit_judge(struct trying *t, const struct visit_line *line, struct diag *d)
{
    struct record_row row;
    struct record visit;
    struct submission_row s;
    struct judging_basis basis;
    struct judgement was, is;
    struct session_host host;
    struct session *now = NULL;
    const struct cached_form *form = NULL;
    const struct pack *pack = NULL;
    bool since = false;
    unsigned char hash[SHA256_SIZE];
    enum err rc = cstore_record(t->r.st, &t->work, line->row, &row, d);
    if (!rc)
        rc = record_unpack(&t->work, row.row, row.packed, &visit, d);
    if (rc || !hex_read(record_value(&visit, VISIT_FORM), hash, sizeof hash))
        return rc;
    if (form_cache_get(&t->forms, t->r.st, hash, &form, NULL) ||
        cstore_submission(t->r.st, &t->work, line->row, &s, NULL))
        return ERR_OK;
    s.capped = false; /* what its author had seen is the same for both */
    if (judging_begin(&t->r, &visit, line->interview, &s, &basis, NULL) || !basis.wanted ||
        pack_for(t, form->form, &pack) ||
        interview_open_now(&t->r, form, line->interview, &s, &since, &host, &now, NULL))
        return ERR_OK;
    basis.in.now = now;
    if (!judge_household(&t->work, basis.pack, &basis.in, &was, NULL) &&
        !judge_household(&t->work, pack, &basis.in, &is, NULL))
        rc = levels_note(t, line, judgement_level(&was), judgement_level(&is));
    session_close(now);
    return rc;
}

static enum err households_judge(struct comparing *x, struct str bytes, uint32_t max, struct diag *d)
{
    struct trying t = {.x = x, .bytes = bytes, .r = {.st = x->k->st, .seam = x->k->seam}};
    struct line_page p = {.area = STR(""), .limit = PAGE};
    struct house_line *houses = NULL;
    uint32_t count = 0;
    struct arena page;
    char last[CSTORE_TEXT_MAX];
    arena_init(&t.work, MEMORY_MAX);
    arena_init(&page, MEMORY_MAX);
    t.r.a = &t.work;
    t.r.forms = &t.forms;
    enum err rc = cstore_begin(x->k->st, d); /* what a judgement would note is rolled back */
    do {
        struct arena_mark mark = arena_mark(&page);
        if (!rc)
            rc = cstore_house_lines(x->k->st, &page, HOUSES_BY_AREA, &p, &houses, &count, d);
        for (uint32_t i = 0; !rc && i < count && x->out->judged < max; i++) {
            struct visit_line *lines = NULL;
            uint32_t n = 0;
            struct arena_mark one = arena_mark(&t.work);
            rc = cstore_visit_lines_of(x->k->st, &t.work, houses[i].row, &lines, &n, d);
            while (n && !lines[n - 1].level.n) /* nobody judged it */
                n--;
            if (!rc && n)
                rc = visit_judge(&t, &lines[n - 1], d);
            arena_release(&t.work, one);
            desk_progress(x->k, x->out->judged);
        }
        if (!rc && count) {
            struct str at = str_sub(houses[count - 1].area, 0, sizeof last);
            memcpy(last, at.p, at.n);
            p.after_text = (struct str){last, at.n};
            p.after = houses[count - 1].number;
        }
        arena_release(&page, mark);
    } while (!rc && count == PAGE && x->out->judged < max);
    cstore_rollback(x->k->st);
    form_cache_free(&t.forms);
    arena_free(&t.pack_memory);
    arena_free(&page);
    arena_free(&t.work);
    return rc;
}

/* ---- both ---- */

static enum err form_stage(struct comparing *x, const struct draft_row *draft, struct str bytes,
                           struct str live, uint32_t max, struct diag *d)
{
    struct form_side a = {0}, b = {0};
    struct form_findings findings;
    struct xlsform_media media = {STR(""), STR("")};
    enum err rc = form_source_to_xform(x->k->a, draft->file_name, bytes, &bytes, NULL, &media, &findings, d);
    if (!rc)
        rc = side_read(x, bytes, &b, d);
    if (!rc && live.n)
        rc = side_read(x, live, &a, d);
    if (!rc)
        rc = forms_compare(x, live.n ? &a : NULL, &b);
    return rc || !live.n || !max ? rc : visits_try(x, &a, &b, max, d);
}

enum err stage_compare(struct desk *k, struct str kind, struct str id, uint32_t trial_max,
                       struct stage_diff *out, struct diag *d)
{
    struct comparing x = {.k = k, .out = out};
    struct draft_row draft;
    struct str bytes, live = STR("");
    *out = (struct stage_diff){0};
    out->live.id = STR("");
    trial_max = trial_max > STAGE_TRIALS_MAX ? STAGE_TRIALS_MAX : trial_max;
    enum err rc = stage_find(k, kind, id, &draft, &bytes, d);
    if (rc)
        return rc;
    out->version = draft.version;
    if (published_live(k->st, k->a, arena_z(k->a, kind), id, &out->live, NULL) == ERR_OK)
        rc = cstore_object(k->st, k->a, out->live.hash, NULL, &live, d);
    if (!rc && str_eq_z(kind, "form"))
        rc = form_stage(&x, &draft, bytes, live, trial_max, d);
    else if (!rc && str_eq_z(kind, "pack")) {
        rc = packs_compare(&x, live, bytes, d);
        if (!rc && live.n && trial_max)
            rc = households_judge(&x, bytes, trial_max, d);
    } else if (!rc && !str_eq(live, bytes)) {
        rc = tell(&x, live.n ? STAGE_CHANGED : STAGE_ADDED, id, STR(""), "", STR(""), STR(""));
    }
    out->changes = x.changes.at;
    out->count = x.changes.count;
    out->households = x.households.at;
    out->household_count = x.households.count;
    return rc == ERR_NOMEM ? diag_set(d, rc, "Out of memory while comparing.") : rc;
}
