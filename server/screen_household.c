/* One household: who it is, what is known, what is due, what was decided; and the acts of a reviewer on its
 * visits. Identity and telephone numbers are hidden; showing them is an act that the audit keeps. */
#include "server/screen_household.h"

#include "platform/http_form.h"
#include "server/transport.h"

/* ---- reading ---- */

enum err house_read(struct house *x, struct str code, struct diag *d)
{
    struct page *p = &x->p;
    struct work_ask q = screen_ask(p);
    enum err rc = screen_may(p->c, ACT_SEE_HOUSEHOLDS, STR_NONE, d);
    if (!rc)
        rc = work_household_of(&q, code, &x->h, d);
    if (!rc)
        rc = cstore_record(p->c->st, p->a, x->h.row, &x->row, d);
    if (!rc)
        rc = record_unpack(p->a, x->h.row, x->row.packed, &x->record, d);
    if (!rc)
        rc = areas_read(p, &x->names, d);
    if (!rc)
        rc = rules_read(p, &x->rules, d);
    if (!rc)
        rc = work_visits(&q, x->h.row, &x->visits, &x->visit_count, d);
    return rc;
}

static enum word clock_state_word(enum clock_state s)
{
    static const enum word words[] = {
        [CLOCK_OFF] = W_CLOCK_WAITS, [CLOCK_RUNS] = W_CLOCK_LEFT, [CLOCK_OVERDUE] = W_CLOCK_OVER,
        [CLOCK_KEPT] = W_CLOCK_KEPT, [CLOCK_LATE] = W_CLOCK_LATE, [CLOCK_TOO_SHORT] = W_CLOCK_SHORT};
    return words[s];
}

static enum err strip_draw(void *self, const struct lead_record *l, struct diag *d)
{
    struct house *x = self;
    struct page *p = &x->p;
    (void)d;
    if (!lead_times_open(&l->times))
        return ERR_OK;
    pg_open(p, "h3", NO_CLASS);
    pg_word(p, W_LEAD);
    pg_text(p, STR(" "));
    pg_text(p, page_u64(p, l->number));
    pg_text(p, STR(" · "));
    pg_data(p, l->source.n && !str_eq_z(l->source, "self") ? l->source
                                                           : word_of(p, channel_word(l->times.channel)));
    pg_text(p, STR(" · "));
    pg_text(p, page_iso_words(p, str_sub(l->opened, 0, 10)));
    pg_close(p);
    pg_open(p, "ol", "strip");
    for (int i = 0; i < CLOCKS; i++) {
        const struct clock_about *about = clock_about((enum clock_name)i);
        const struct clock *c = &l->clocks[i];
        if (c->state == CLOCK_OFF && i == CLOCK_DEADLINE)
            continue;
        int64_t n = c->left < 0 ? -c->left : c->left;
        pg_open(p, "li", clock_state_name(c->state));
        pg_leaf(p, "b", NO_CLASS, str_of(p->language == LANGUAGE_EN ? about->en : about->zh));
        pg_say(p, clock_state_word(c->state), page_u64(p, (uint64_t)n), STR(""));
        if (c->due != LEAD_NEVER && c->state != CLOCK_OFF) {
            pg_text(p, STR(" · "));
            pg_say(p, W_CLOCK_DUE, page_day_words(p, c->due), STR(""));
        }
        pg_close(p);
    }
    pg_close(p);
    return ERR_OK;
}

/* ---- facts ---- */

static void fact(struct page *p, enum word name, struct str value)
{
    pg_leaf_word(p, "dt", NO_CLASS, name);
    pg_open(p, "dd", NO_CLASS);
    if (value.n)
        pg_data(p, value);
    else
        pg_text(p, STR("—"));
    pg_close(p);
}

static void facts(struct house *x)
{
    struct page *p = &x->p;
    const struct work_household *h = &x->h;
    pg_open(p, "dl", "facts");
    fact(p, W_CODE, h->code);
    fact(p, W_AREA, area_path(p, &x->names, h->area));
    fact(p, W_ADDRESS, record_value(&x->record, HOUSEHOLD_ADDRESS));
    fact(p, W_CATEGORY, rule_name(p, &x->rules, record_value(&x->record, HOUSEHOLD_CATEGORY)));
    fact(p, W_PHONE, page_private(p, record_value(&x->record, HOUSEHOLD_PHONE), x->shown));
    fact(p, W_ASSIGNED, h->person);
    fact(p, W_LAST_VISIT, work_day_words(p, h->visited));
    pg_leaf_word(p, "dt", NO_CLASS, W_LEVEL);
    pg_open(p, "dd", NO_CLASS);
    if (str_eq_z(h->level, "none"))
        pg_word(p, W_LEVEL_NONE_LONG);
    else
        pg_level(p, h->level, true);
    pg_close(p);
    pg_close(p);
}

/* ---- findings ---- */

static enum err findings_draw(struct house *x, struct diag *d)
{
    static const struct column columns[] = {{W_LEVEL, NULL, false},
                                            {W_FINDINGS, NULL, false},
                                            {W_WHY, NULL, false}};
    struct page *p = &x->p;
    const struct table t = {.columns = columns, .count = 3, .caption = word_of(p, W_FINDINGS)};
    struct record_row *rows = NULL;
    uint32_t count = 0;
    if (!x->visit_count)
        return ERR_OK;
    enum err rc = cstore_records(p->c->st, p->a, RECORDS_OF_PARENT, x->visits[0].row, ROW_FINDING, 0, 200,
                                 &rows, &count, d);
    if (rc || !count)
        return rc;
    pg_table_begin(p, &t);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct record r;
        rc = record_unpack(p->a, rows[i].row, rows[i].packed, &r, d);
        if (rc)
            break;
        bool unknown = str_eq_z(record_value(&r, FINDING_STATE), "unknown");
        pg_row(p);
        pg_cell_level(p, unknown ? STR("unknown") : record_value(&r, FINDING_SEVERITY));
        pg_cell(p, rule_name(p, &x->rules, record_value(&r, FINDING_RULE)));
        pg_open(p, "td", "wide");
        pg_data(p,
                page_private(p,
                             record_value(&r, p->language == LANGUAGE_EN ? FINDING_TEXT_EN : FINDING_TEXT_ZH),
                             x->shown));
        pg_close(p);
        pg_close(p);
    }
    pg_table_end(p);
    return rc;
}

/* ---- visits and their review ---- */

static struct str own_judgement(struct house *x, struct row_id visit)
{
    struct record_row row;
    struct record r;
    struct page *p = &x->p;
    if (cstore_record(p->c->st, p->a, visit, &row, NULL) || record_unpack(p->a, visit, row.packed, &r, NULL))
        return STR("");
    return page_private(p, record_value(&r, VISIT_JUDGEMENT), x->shown);
}

static void visit_row(struct house *x, const struct work_visit *v)
{
    struct page *p = &x->p;
    pg_row(p);
    pg_leaf(p, "td", "when", page_iso_words(p, v->ended));
    pg_cell(p, v->person);
    pg_cell(p, device_short(p, v->device));
    pg_open(p, "td", NO_CLASS);
    pg_data(p, form_name(p, v->form));
    pg_text(p, STR(" "));
    pg_data(p, v->form_version);
    pg_close(p);
    pg_cell(p, own_judgement(x, v->row));
    pg_cell_level(p, v->level);
    pg_open(p, "td", NO_CLASS);
    pg_word(p, waits_word(v->waits));
    if (v->flags & ~(uint32_t)VISIT_IS_RED) {
        pg_text(p, STR(" · "));
        pg_flags(p, v->flags);
    }
    pg_close(p);
    pg_close(p);
}

static void visits_draw(struct house *x)
{
    static const struct column columns[] = {{W_WHEN, NULL, false},          {W_WHO, NULL, false},
                                            {W_DEVICE, NULL, false},        {W_FORM, NULL, false},
                                            {W_OWN_JUDGEMENT, NULL, false}, {W_MACHINE, NULL, false},
                                            {W_STATE, NULL, false}};
    struct page *p = &x->p;
    const struct table t = {.columns = columns,
                            .count = 7,
                            .caption = word_of(p, W_VISITS),
                            .caption_hidden = true};
    if (!x->visit_count) {
        pg_empty(p, W_VISITS_NONE);
        return;
    }
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < x->visit_count; i++)
        visit_row(x, &x->visits[i]);
    pg_table_end(p);
}

static void rounds_draw(struct house *x, const struct work_visit *v)
{
    struct page *p = &x->p;
    pg_leaf_word(p, "h2", NO_CLASS, W_REVIEWS);
    if (!v->round_count) {
        pg_empty(p, W_REVIEW_NONE);
        return;
    }
    pg_open(p, "ol", NO_CLASS);
    for (uint32_t i = 0; i < v->round_count; i++) {
        const struct work_round *r = &v->rounds[i];
        pg_open(p, "li", NO_CLASS);
        pg_time(p, r->at_ms);
        pg_text(p, STR(" "));
        pg_data(p, r->name);
        pg_text(p, STR(" · "));
        pg_word(p, r->level == REVIEW_COUNTY     ? W_LEVEL_COUNTY
                   : r->level == REVIEW_TOWNSHIP ? W_LEVEL_TOWNSHIP
                                                 : W_LEVEL_VILLAGE);
        pg_text(p, STR(" · "));
        pg_word(p, review_word(r->state));
        if (r->comment.n) {
            pg_text(p, STR(" · "));
            pg_data(p, r->comment);
        }
        pg_close(p);
    }
    pg_close(p);
}

/* Why it cannot be decided on here and now, W_NONE when it can. */
static enum word not_mine(const struct house *x, const struct work_visit *v)
{
    enum review_level mine;
    if (!review_level_of(x->p.c->person.role, &mine))
        return W_NOT_YOURS;
    return (int)v->waits == (int)mine ? W_NONE
           : v->waits <= WAITS_COUNTY ? W_NOT_YOURS
                                      : waits_word(v->waits);
}

static enum err acts_draw(struct house *x, const struct work_visit *v, struct diag *d)
{
    struct page *p = &x->p;
    struct str here = page_url(p, "/households/*", x->h.code, NULL);
    struct str number = page_u64(p, v->number);
    enum word why = not_mine(x, v);
    pg_leaf_word(p, "h2", NO_CLASS, W_DECIDE_VISIT);
    if (why != W_NONE) {
        pg_leaf_word(p, "p", "hint-line", why);
        return ERR_OK;
    }
    pg_post_begin(p, here, NULL);
    pg_hidden(p, "visit", number);
    const struct field comment = {.name = "comment",
                                  .label = W_COMMENT,
                                  .hint = W_RETURN_COMMENT,
                                  .value = posted(p->c, "comment"),
                                  .error = x->wrong};
    pg_area(p, &comment, 2);
    pg_open(p, "div", "actions");
    pg_button_key(p, W_APPROVE, "main", "act", "approve", "a");
    pg_button_key(p, W_RETURN, NULL, "act", "return", "r");
    pg_button_key(p, W_ISSUES, NULL, "act", "issues", NULL);
    pg_close(p);
    pg_close(p);
    (void)d;
    return ERR_OK;
}

static enum err assign_draw(struct house *x, struct diag *d)
{
    struct page *p = &x->p;
    struct option *people = NULL;
    uint32_t count = 0;
    enum err rc = people_options(p, &people, &count, d);
    if (rc)
        return rc;
    pg_post_begin(p, page_url(p, "/households/*", x->h.code, NULL), "row-of");
    pg_hidden(p, "act", STR("assign"));
    pg_select(p, &(struct field){.name = "person", .label = W_TO_WHOM}, people, count);
    pg_field(p, &(struct field){.name = "due", .type = "date", .label = W_DUE_DATE});
    pg_button(p, W_REASSIGN, NULL, "d");
    pg_close(p);
    return ERR_OK;
}

static enum err summary(struct house *x, struct diag *d)
{
    struct page *p = &x->p;
    struct desk k;
    enum err rc = screen_desk(p, NULL, &k, d);
    facts(x);
    pg_leaf_word(p, "h2", NO_CLASS, W_CLOCK_STRIP);
    if (!x->h.leads)
        pg_empty(p, W_CLOCK_NONE);
    if (!rc)
        rc = leads_of(&k, x->h.row, strip_draw, x, d);
    if (!rc)
        rc = findings_draw(x, d);
    pg_leaf_word(p, "h2", NO_CLASS, W_VISITS);
    visits_draw(x);
    if (!rc && x->visit_count) {
        rounds_draw(x, &x->visits[0]);
        rc = acts_draw(x, &x->visits[0], d);
    }
    if (!rc && screen_can(p->c, ACT_ASSIGN, x->h.area))
        rc = assign_draw(x, d);
    return rc;
}

/* ---- history ---- */

struct telling {
    struct house *x;
    struct form_cache forms; /* for the questions' words */
    const struct form *form;
    struct str frame; /* that the rows above are of */
    int64_t at_ms;
};

/* The newest form of the household's visits: its questions have the words for paths. */
static void form_for(struct telling *t)
{
    struct submission_row s;
    const struct cached_form *f = NULL;
    struct page *p = &t->x->p;
    struct diag quiet = {0};
    if (t->x->visit_count && !cstore_submission(p->c->st, p->a, t->x->visits[0].row, &s, &quiet) &&
        !form_cache_get(&t->forms, p->c->st, s.form, &f, &quiet))
        t->form = f->form;
}

/* clang-format off */
static const struct {
    const char *name;
    enum word word;
} record_words[] = {
    {"name", W_FIELD_NAME},
    {"form", W_FIELD_FORM},
    {"type", W_FIELD_TYPE},
    {"started", W_FIELD_STARTED},
    {"ended", W_FIELD_ENDED},
    {"person", W_FIELD_PERSON},
    {"instance", W_FIELD_INSTANCE},
    {"submission", W_FIELD_SUBMISSION},
    {"own judgement", W_FIELD_OWN_JUDGEMENT},
    {"pack", W_FIELD_PACK},
    {"level", W_FIELD_LEVEL},
    {"language", W_FIELD_LANGUAGE},
    {"position", W_FIELD_POSITION},
    {"log", W_FIELD_LOG},
    {"unknown elements", W_FIELD_UNKNOWN_ELEMENTS},
    {"rule", W_FIELD_RULE},
    {"severity", W_FIELD_SEVERITY},
    {"state", W_FIELD_STATE},
    {"text_zh", W_FIELD_TEXT_ZH},
    {"text_en", W_FIELD_TEXT_EN},
    {"inputs", W_FIELD_INPUTS},
    {"pack_version", W_FIELD_PACK_VERSION},
    {"params", W_FIELD_PARAMS},
    {"device", W_FIELD_DEVICE},
    {"due", W_FIELD_DUE},
    {"source", W_FIELD_SOURCE},
    {"as_of", W_FIELD_AS_OF},
    {"values", W_FIELD_VALUES},
    {"text", W_FIELD_TEXT},
    {"place", W_FIELD_PLACE},
    {"at", W_FIELD_AT},
    {"channel", W_FIELD_CHANNEL},
    {"opened", W_FIELD_OPENED},
    {"deadline", W_FIELD_DEADLINE},
    {"indicators", W_FIELD_INDICATORS},
    {"note", W_FIELD_NOTE},
    {"step", W_FIELD_STEP},
    {"remark", W_FIELD_REMARK},
    {"result", W_FIELD_RESULT},
    {"category", W_FIELD_CATEGORY},
    {"follow_up", W_FIELD_FOLLOW_UP},
    {"visit", W_FIELD_VISIT},
    {"comment", W_FIELD_COMMENT},
    {"event", W_FIELD_EVENT},
    {"other", W_FIELD_OTHER},
    {"members", W_FIELD_MEMBERS},
    {"before", W_FIELD_BEFORE},
    {"code", W_FIELD_CODE},
    {"area", W_FIELD_AREA},
    {"address", W_FIELD_ADDRESS},
    {"phone", W_FIELD_PHONE},
    {"status", W_FIELD_STATUS},
    {"into", W_FIELD_INTO},
    {"photo", W_FIELD_PHOTO},
    {"row", W_FIELD_ROW},
    {"field", W_FIELD_FIELD},
    {"dataset", W_FIELD_DATASET},
    {"id", W_FIELD_ID},
    {"action", W_FIELD_ACTION},
    {"label", W_FIELD_LABEL},
};
static const enum word kind_words[] = {
    [ROW_HOUSEHOLD] = W_ROW_HOUSEHOLD, [ROW_INTERVIEW] = W_ROW_INTERVIEW, [ROW_REPEAT] = W_ROW_REPEAT,
    [ROW_VISIT] = W_ROW_VISIT, [ROW_FINDING] = W_ROW_FINDING, [ROW_ASSIGNMENT] = W_ROW_ASSIGNMENT,
    [ROW_DEPARTMENT] = W_ROW_DEPARTMENT, [ROW_COMMENT] = W_ROW_COMMENT, [ROW_LEAD] = W_ROW_LEAD,
    [ROW_ENTITY] = W_ROW_ENTITY, [ROW_STEP] = W_ROW_STEP, [ROW_INDICATOR] = W_ROW_INDICATOR,
    [ROW_REVIEW] = W_ROW_REVIEW, [ROW_EVENT] = W_ROW_EVENT,
};
/* clang-format on */

static struct str label_for(struct telling *t, const struct work_change *w)
{
    struct page *p = &t->x->p;
    struct str label = w->label;
    const struct form_field *f = t->form && str_starts(label, STR("/")) ? form_field_by_path(t->form, label)
                                                                        : NULL;
    if (f && f->label.n)
        return f->label;
    if (!label.n && w->kind > 0 && (size_t)w->kind < sizeof kind_words / sizeof kind_words[0])
        return word_of(p, kind_words[w->kind]);
    for (size_t i = 0; i < sizeof record_words / sizeof record_words[0]; i++)
        if (str_eq_z(label, record_words[i].name))
            return word_of(p, record_words[i].word);
    return label;
}

/* Days, people and severities are stored as numbers and codes. */
static struct str value_for(struct telling *t, const struct work_change *w, struct str value)
{
    struct page *p = &t->x->p;
    struct person who;
    uint64_t number = 0;
    bool ours = !str_starts(w->label, STR("/"));
    if (ours && (str_eq_z(w->label, "at") || str_eq_z(w->label, "started") || str_eq_z(w->label, "ended") ||
                 str_eq_z(w->label, "opened")))
        return page_iso_words(p, value);
    if (ours && str_eq_z(w->label, "person") && str_to_u64(value, &number) && number <= UINT32_MAX &&
        !cstore_person(p->c->st, p->a, (uint32_t)number, &who, NULL))
        return who.name;
    if (ours && (str_eq_z(w->label, "rule") || str_eq_z(w->label, "category")))
        return rule_name(p, &t->x->rules, value);
    return page_private(p, value, t->x->shown);
}

/* Who said the rows below, when, on what, in which frame. */
static void frame_row(struct telling *t, const struct work_change *w)
{
    struct page *p = &t->x->p;
    bool far = w->received_ms && (w->received_ms - w->at_ms > 300000 || w->at_ms - w->received_ms > 300000);
    pg_open(p, "tr", "group");
    pg_open_with(p, "th", ATTRS({"colspan", STR("3")}, {"scope", STR("rowgroup")}));
    pg_time(p, w->received_ms ? w->received_ms : w->at_ms);
    pg_text(p, STR(" · "));
    pg_data(p, w->name.n ? w->name : word_of(p, W_CENTRE_ITSELF));
    pg_text(p, STR(" · "));
    pg_data(p, device_short(p, w->device));
    if (w->version.n) {
        pg_text(p, STR(" · "));
        pg_word(p, W_VERSION);
        pg_text(p, STR(" "));
        pg_data(p, w->version);
    }
    if (w->frame.n) {
        pg_text(p, STR(" · "));
        pg_word(p, W_FRAME);
        pg_text(p, STR(" "));
        pg_text(p, str_sub(w->frame, 0, 8));
    }
    if (far) {
        pg_text(p, STR(" · "));
        pg_word(p, W_DEVICE_CLOCK);
        pg_text(p, STR(" "));
        pg_time(p, w->at_ms);
    }
    pg_close(p);
    pg_close(p);
}

static void change_row(struct telling *t, const struct work_change *w)
{
    static const enum word ops[] = {
        [CHANGE_SET] = W_NONE,           [CHANGE_CLEAR] = W_CLEARED,   [CHANGE_ROW_DELETE] = W_REMOVED,
        [CHANGE_ROW_CREATE] = W_CREATED, [CHANGE_RESOLVE] = W_DECIDED, [CHANGE_FINALISE] = W_FINALISED};
    struct page *p = &t->x->p;
    bool same = w->old.p && w->value.p && str_eq(w->old, w->value);
    if (!str_eq(t->frame, w->frame) || (!w->frame.n && t->at_ms != w->at_ms)) {
        frame_row(t, w);
        t->frame = w->frame;
        t->at_ms = w->at_ms;
    }
    pg_row(p);
    pg_cell(p, label_for(t, w));
    pg_open(p, "td", "same");
    pg_data(p, w->old.p ? value_for(t, w, w->old) : STR("—"));
    pg_close(p);
    pg_open(p, "td", same ? "wide same" : "wide");
    if (w->op != CHANGE_SET && (size_t)w->op < sizeof ops / sizeof ops[0]) {
        pg_word(p, ops[w->op]);
        pg_text(p, STR(" "));
    }
    if (same)
        pg_word(p, W_UNCHANGED);
    else if (w->value.p)
        pg_data(p, value_for(t, w, w->value));
    if (status_word(w->status) != W_NONE) {
        pg_text(p, STR(" · "));
        pg_word(p, status_word(w->status));
    }
    pg_close(p);
    pg_close(p);
}

static enum err history(struct house *x, struct diag *d)
{
    static const struct column columns[] = {{W_FIELD, NULL, false},
                                            {W_OLD_VALUE, NULL, false},
                                            {W_NEW_VALUE, NULL, false}};
    struct page *p = &x->p;
    const struct table t = {.columns = columns,
                            .count = 3,
                            .caption = word_of(p, W_TAB_HISTORY),
                            .caption_hidden = true};
    struct telling telling = {.x = x, .at_ms = INT64_MIN};
    struct work_ask q = screen_ask(p);
    struct work_change *list = NULL;
    uint32_t count = 0;
    struct str after = page_query(p, "after");
    enum err rc = work_history(&q, x->h.row, after.p ? after : STR(""), PAGE_ROWS + 1, &list, &count, d);
    if (rc)
        return rc;
    if (!count) {
        pg_empty(p, W_HISTORY_NONE);
        return ERR_OK;
    }
    uint32_t shown = count < PAGE_ROWS ? count : PAGE_ROWS;
    form_for(&telling);
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < shown; i++)
        change_row(&telling, &list[i]);
    pg_table_end(p);
    form_cache_free(&telling.forms);
    if (count > shown)
        pg_next(p, page_url(p, "/households/*", x->h.code,
                            ATTRS({"tab", STR("history")}, {"after", list[shown - 1].key})));
    return ERR_OK;
}

/* ---- leads of this household, files, audit ---- */

static enum err lead_line_draw(void *self, const struct lead_record *l, struct diag *d)
{
    struct house *x = self;
    struct page *p = &x->p;
    const struct lead_step_about *at = lead_step_about(lead_times_state(&l->times));
    (void)d;
    pg_row(p);
    pg_cell_link(p, page_url(p, "/leads", STR(""), ATTRS({"lead", page_u64(p, l->number)})),
                 page_u64(p, l->number));
    pg_cell_word(p, channel_word(l->times.channel));
    pg_cell(p, l->source);
    pg_leaf(p, "td", "when", page_iso_words(p, str_sub(l->opened, 0, 10)));
    pg_cell(p, str_of(p->language == LANGUAGE_EN ? at->en : at->zh));
    pg_open(p, "td", "wide");
    pg_data(p, page_private(p, l->seen, x->shown));
    pg_close(p);
    pg_close(p);
    return ERR_OK;
}

static enum err house_leads(struct house *x, struct diag *d)
{
    static const struct column columns[] = {{W_LEAD, NULL, false},      {W_CHANNEL, NULL, false},
                                            {W_SOURCE, NULL, false},    {W_OPENED, NULL, false},
                                            {W_LEAD_STEP, NULL, false}, {W_LEAD_SEEN, NULL, false}};
    struct page *p = &x->p;
    struct desk k;
    const struct table t = {.columns = columns,
                            .count = 6,
                            .caption = word_of(p, W_LEADS),
                            .caption_hidden = true};
    enum err rc = screen_desk(p, NULL, &k, d);
    pg_table_begin(p, &t);
    if (!rc)
        rc = leads_of(&k, x->h.row, lead_line_draw, x, d);
    pg_table_end(p);
    return rc;
}

static enum err files(struct house *x, struct diag *d)
{
    static const struct column columns[] = {{W_FILE_NAME, NULL, false},
                                            {W_VISIT, NULL, false},
                                            {W_FILE_SIZE, NULL, true},
                                            {W_STATE, NULL, false}};
    struct page *p = &x->p;
    const struct table t = {.columns = columns,
                            .count = 4,
                            .caption = word_of(p, W_TAB_FILES),
                            .caption_hidden = true};
    uint32_t drawn = 0;
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < x->visit_count; i++) {
        struct attachment_row *list = NULL;
        uint32_t count = 0;
        rc = cstore_attachments(p->c->st, p->a, x->visits[i].row, &list, &count, d);
        for (uint32_t k = 0; !rc && k < count; k++) {
            char hash[2 * SHA256_SIZE];
            hex_write(list[k].hash, SHA256_SIZE, hash);
            if (!drawn++)
                pg_table_begin(p, &t);
            pg_row(p);
            if (list[k].whole)
                pg_cell_link(p,
                             page_url(p, "/files/*", (struct str){hash, sizeof hash},
                                      ATTRS({"household", x->h.code}, {"name", list[k].name})),
                             list[k].name);
            else
                pg_cell(p, list[k].name);
            pg_leaf(p, "td", "when", page_iso_words(p, x->visits[i].ended));
            pg_cell_number(p, list[k].size);
            pg_cell_word(p, list[k].whole ? W_FILE_WHOLE : W_FILE_COMING);
            pg_close(p);
        }
    }
    if (drawn)
        pg_table_end(p);
    else if (!rc)
        pg_empty(p, W_FILES_NONE);
    return rc;
}

enum err screen_file(struct call *c, struct diag *d)
{
    struct house x = {0};
    unsigned char hash[SHA256_SIZE];
    struct str bytes, name = STR_NONE;
    page_init(&x.p, c);
    struct str code = page_query(&x.p, "household");
    enum err rc = ERR_OK;
    if (!code.n || !hex_read(c->tail, hash, sizeof hash))
        rc = diag_set(d, ERR_NOT_FOUND, "There is no such attachment.");
    if (!rc)
        rc = house_read(&x, code, d);
    for (uint32_t i = 0; !rc && !name.p && i < x.visit_count; i++) {
        struct attachment_row *list = NULL;
        uint32_t count = 0;
        rc = cstore_attachments(c->st, c->a, x.visits[i].row, &list, &count, d);
        for (uint32_t k = 0; !rc && k < count; k++)
            if (memcmp(list[k].hash, hash, sizeof hash) == 0)
                name = list[k].name;
    }
    if (!rc && !name.p)
        rc = diag_set(d, ERR_NOT_FOUND, "This attachment is not of this household.");
    if (!rc)
        rc = cstore_attachment_bytes(c->st, c->a, hash, &bytes, d);
    if (!rc)
        rc = screen_note(c, "attachment-shown", code, name, d);
    if (rc)
        return rc;
    /* Whatever a handheld sent is a file to be kept, never a page to be shown. */
    reply_header(c->reply, "Content-Type", STR("application/octet-stream"));
    reply_header(c->reply, "X-Content-Type-Options", STR("nosniff"));
    reply_header(c->reply, "Content-Disposition", disposition(&x.p, name));
    reply_header(c->reply, "Cache-Control", STR("no-store"));
    buf_put_str(&c->reply->body, bytes);
    return ERR_OK;
}

/* ---- the page ---- */

static const struct tab {
    const char *name;
    enum word word;
} tabs[] = {{"", W_TAB_SUMMARY},    {"people", W_TAB_PEOPLE},   {"answers", W_TAB_ANSWERS},
            {"leads", W_TAB_LEADS}, {"history", W_TAB_HISTORY}, {"files", W_TAB_FILES},
            {"audit", W_TAB_AUDIT}};

static void head_draw(struct house *x, struct str tab)
{
    struct page *p = &x->p;
    struct str here = page_url(p, "/households/*", x->h.code, NULL);
    pg_open(p, "div", "actions");
    if (x->shown) {
        pg_leaf_word(p, "span", "hint-line", W_SHOWN_NOTED);
    } else if (screen_can(p->c, ACT_SEE_ID_NUMBERS, x->h.area)) {
        pg_post_begin(p, here, NULL);
        pg_hidden(p, "act", STR("show"));
        pg_hidden(p, "tab", tab);
        pg_button(p, W_SHOW_NUMBERS, NULL, NULL);
        pg_close(p);
        pg_leaf_word(p, "span", "hint-line", W_SHOW_HINT);
    }
    pg_link_word(p, page_url(p, "/print/card/*", x->h.code, NULL), "button", W_PRINT_CARD);
    if (x->h.conflicts)
        pg_link(p, page_url(p, "/conflicts", STR(""), ATTRS({"household", x->h.code})), "button",
                page_join(p, word_of(p, W_CONFLICTS), STR(" "), page_u64(p, x->h.conflicts)));
    pg_close(p);
    if (x->h.status.n)
        pg_note(p, "warn",
                page_say(p,
                         str_eq_z(x->h.status, "merged")   ? W_STATUS_MERGED
                         : str_eq_z(x->h.status, "erased") ? W_STATUS_ERASED
                                                           : W_STATUS_CLOSED,
                         x->h.into, STR("")));
    pg_open_with(p, "ul", ATTRS({"class", STR("tabs")}, {"aria-label", word_of(p, W_TABS)}));
    for (size_t i = 0; i < sizeof tabs / sizeof tabs[0]; i++) {
        pg_open(p, "li", NO_CLASS);
        pg_open_with(p, "a",
                     ATTRS({"href",
                            page_url(p, "/households/*", x->h.code, ATTRS({"tab", str_of(tabs[i].name)}))},
                           {"aria-current", str_eq_z(tab, tabs[i].name) ? STR("page") : STR_NONE}));
        pg_word(p, tabs[i].word);
        pg_close(p);
        pg_close(p);
    }
    pg_close(p);
}

static enum err house_draw(struct house *x, struct str tab, struct diag *d)
{
    struct page *p = &x->p;
    enum err rc = ERR_OK;
    struct str title = page_join(p, x->h.name, STR(" · "), area_path(p, &x->names, x->h.area));
    pg_begin(p, NAV_HOUSEHOLDS, title);
    pg_done(p);
    if (x->wrong.n)
        pg_note(p, "bad", x->wrong);
    head_draw(x, tab);
    if (x->shown)
        pg_open_with(p, "div", ATTRS({"data-shown", STR("")}));
    if (str_eq_z(tab, "people"))
        rc = house_answers(x, true, d);
    else if (str_eq_z(tab, "answers"))
        rc = house_answers(x, false, d);
    else if (str_eq_z(tab, "leads"))
        rc = house_leads(x, d);
    else if (str_eq_z(tab, "history"))
        rc = history(x, d);
    else if (str_eq_z(tab, "files"))
        rc = files(x, d);
    else if (str_eq_z(tab, "audit"))
        rc = audit_of_household(p, x->h.code, d);
    else
        rc = summary(x, d);
    if (!rc)
        pg_end(p);
    return rc;
}

static enum err tail_code(struct call *c, struct str *out, struct diag *d)
{
    *out = http_decode(c->a, c->tail);
    return out->n ? ERR_OK : diag_set(d, ERR_NOT_FOUND, "There is no such household.");
}

enum err screen_household(struct call *c, struct diag *d)
{
    struct house x = {0};
    struct str code;
    page_init(&x.p, c);
    enum err rc = tail_code(c, &code, d);
    if (!rc)
        rc = house_read(&x, code, d);
    if (!rc)
        rc = screen_note(c, "read", x.h.code, page_query(&x.p, "tab"), d);
    struct str tab = page_query(&x.p, "tab");
    return rc ? rc : house_draw(&x, tab.p ? tab : STR(""), d);
}

/* ---- acts ---- */

static enum err act_review(struct house *x, struct str act, struct diag *d)
{
    struct call *c = x->p.c;
    struct desk k;
    struct work_by by = screen_by(c);
    uint64_t visit = 0;
    const struct review_act what = {.state = str_eq_z(act, "approve")  ? REVIEW_APPROVED
                                             : str_eq_z(act, "return") ? REVIEW_REJECTED
                                                                       : REVIEW_HAS_ISSUES,
                                    .comment = str_trim(posted(c, "comment"))};
    if (!str_to_u64(posted(c, "visit"), &visit))
        return diag_set(d, ERR_USAGE, "The form names no visit.");
    if (what.state != REVIEW_APPROVED && !what.comment.n) {
        x->wrong = word_of(&x->p, W_RETURN_NEEDS);
        return ERR_OK;
    }
    enum err rc = screen_desk(&x->p, NULL, &k, d);
    if (rc)
        return rc;
    screen_lock(c);
    rc = review_act(&k, &by, visit, &what, d);
    screen_unlock(c);
    return rc;
}

static enum err act_assign(struct house *x, struct diag *d)
{
    struct call *c = x->p.c;
    struct desk k;
    uint64_t person = 0;
    bool changed = false;
    if (!str_to_u64(posted(c, "person"), &person) || person > UINT32_MAX)
        return diag_set(d, ERR_USAGE, "The form names no person.");
    enum err rc = screen_desk(&x->p, NULL, &k, d);
    if (rc)
        return rc;
    screen_lock(c);
    rc = assign_household(&k, x->h.code, (uint32_t)person, posted(c, "due"), &changed, d);
    screen_unlock(c);
    return rc;
}

enum err screen_household_post(struct call *c, struct diag *d)
{
    struct house x = {0};
    struct str code, act = posted(c, "act");
    const char *done = NULL;
    page_init(&x.p, c);
    bool show = str_eq_z(act, "show");
    enum err rc = tail_code(c, &code, d);
    if (!rc)
        rc = house_read(&x, code, d);
    if (!rc)
        rc = screen_may(c,
                        show                      ? ACT_SEE_ID_NUMBERS
                        : str_eq_z(act, "assign") ? ACT_ASSIGN
                                                  : ACT_SEE_HOUSEHOLDS,
                        x.h.area, d);
    if (rc)
        return rc;
    if (show) {
        rc = screen_note(c, "numbers-shown", x.h.code, STR(""), d);
        x.shown = true;
    } else if (str_eq_z(act, "assign")) {
        rc = act_assign(&x, d);
        done = "assigned";
    } else {
        rc = act_review(&x, act, d);
        done = str_eq_z(act, "approve") ? "approved" : str_eq_z(act, "return") ? "returned" : "noted";
    }
    if (rc == ERR_STATE || rc == ERR_EXISTS || rc == ERR_USAGE) {
        x.wrong = arena_str(c->a, str_of(d->text));
        diag_clear(d);
        c->reply->status = 409;
        rc = ERR_OK;
    }
    if (rc)
        return rc;
    if (show || x.wrong.n)
        return house_draw(&x, posted(c, "tab"), d);
    return page_go(c, url_done(&x.p, page_url(&x.p, "/households/*", x.h.code, NULL), done), d);
}
