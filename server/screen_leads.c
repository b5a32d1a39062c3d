/* Leads: all three channels in one list by their clocks, one lead with its evidence and its steps, the
 * telephone form, reports of the public page that wait for a clerk, and that public page itself. */
#include "server/leads.h"
#include "server/reports.h"
#include "server/screens.h"

struct leads {
    struct page p;
    struct area_names names;
    struct rule_names rules;
    struct work_item *items;
    uint32_t count;
    struct report_row *reports;
    uint32_t report_count;
    uint64_t number;              /* of the lead that is shown; 0 = the list */
    const struct lead_record *at; /* the same */
    struct lead_record found;
    struct work_household h;
    struct str wrong, said;
};

/* ---- one lead ---- */

static enum err take_wanted(void *self, const struct lead_record *l, struct diag *d)
{
    struct leads *x = self;
    (void)d;
    if (l->number == x->number) {
        x->found = *l;
        x->at = &x->found;
    }
    return ERR_OK;
}

static enum err lead_load(struct leads *x, struct diag *d)
{
    struct page *p = &x->p;
    struct row_id row;
    struct record_row lead, house;
    struct work_ask q = screen_ask(p);
    struct desk k;
    enum err rc = cstore_record_of_number(p->c->st, x->number, &row, d);
    if (!rc)
        rc = cstore_record(p->c->st, p->a, row, &lead, d);
    if (!rc)
        rc = cstore_record(p->c->st, p->a, lead.household, &house, d);
    if (!rc)
        rc = work_household_of(&q, house.code.p ? house.code : STR(""), &x->h, d);
    if (!rc)
        rc = screen_desk(p, NULL, &k, d);
    if (!rc)
        rc = leads_of(&k, x->h.row, take_wanted, x, d);
    if (!rc && !x->at)
        rc = diag_set(d, ERR_NOT_FOUND, "There is no lead %llu.", (unsigned long long)x->number);
    return rc;
}

static void evidence(struct leads *x)
{
    struct page *p = &x->p;
    const struct json *values = NULL;
    pg_leaf_word(p, "h2", NO_CLASS, W_LEAD_EVIDENCE);
    if (!x->at->indicators.n || json_read(p->a, x->at->indicators, &values, NULL) || !values->count) {
        pg_text(p, STR("—"));
        return;
    }
    pg_open(p, "dl", "facts");
    for (const struct json *v = values->child; v; v = v->next) {
        pg_open(p, "dt", NO_CLASS);
        pg_data(p, rule_name(p, &x->rules, v->name));
        pg_close(p);
        pg_open(p, "dd", NO_CLASS);
        pg_data(p, v->type == JSON_BOOL ? word_of(p, v->boolean ? W_YES : W_NO)
                                        : page_private(p, v->text, false));
        pg_close(p);
    }
    pg_close(p);
}

static void times(struct leads *x)
{
    struct page *p = &x->p;
    bool english = p->language == LANGUAGE_EN;
    pg_leaf_word(p, "h2", NO_CLASS, W_CLOCK_STRIP);
    pg_open(p, "ol", "strip");
    for (int i = 0; i < LEAD_STEPS; i++) {
        const struct lead_step_about *about = lead_step_about((enum lead_step)i);
        bool done = x->at->times.at[i] != LEAD_NEVER;
        if (!done && (i == STEP_CLOSE || i == STEP_NOTICE_END))
            continue;
        pg_open(p, "li", done ? "kept" : "off");
        pg_leaf(p, "b", NO_CLASS, str_of(english ? about->en : about->zh));
        if (done)
            pg_text(p, page_day_words(p, x->at->times.at[i]));
        else
            pg_word(p, W_CLOCK_WAITS);
        pg_close(p);
    }
    pg_close(p);
}

static void removal_form(struct leads *x)
{
    static const struct {
        const char *name;
        enum word word;
    } conditions[] = {{"spending", W_REMOVAL_SPENDING},
                      {"guarantees", W_REMOVAL_GUARANTEES},
                      {"original", W_REMOVAL_ORIGINAL},
                      {"new-risk", W_REMOVAL_NEW},
                      {"labour", W_REMOVAL_LABOUR}};
    struct page *p = &x->p;
    if (!screen_can(p->c, ACT_REMOVE_RISK, x->h.area))
        return;
    pg_open(p, "details", NO_CLASS);
    pg_leaf_word(p, "summary", NO_CLASS, W_REMOVAL_TITLE);
    pg_leaf_word(p, "p", "hint-line", W_REMOVAL_HINT);
    pg_post_begin(p, STR("/leads"), NULL);
    pg_hidden(p, "act", STR("remove"));
    pg_hidden(p, "lead", page_u64(p, x->number));
    pg_field(p, &(struct field){.name = "above", .type = "date", .label = W_REMOVAL_ABOVE});
    pg_open(p, "fieldset", NO_CLASS);
    pg_leaf_word(p, "legend", NO_CLASS, W_REMOVAL_TITLE);
    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
        pg_open(p, "label", "tickline");
        pg_void(p, "input",
                ATTRS({"type", STR("checkbox")}, {"name", str_of(conditions[i].name)}, {"value", STR("1")}));
        pg_word(p, conditions[i].word);
        pg_close(p);
    }
    pg_close(p);
    pg_button(p, W_REMOVAL_TITLE, NULL, NULL);
    pg_close(p);
    pg_close(p);
}

static void step_form(struct leads *x)
{
    struct page *p = &x->p;
    struct option steps[LEAD_STEPS];
    uint32_t n = 0;
    if (!screen_can(p->c, ACT_STEP_LEAD, x->h.area))
        return;
    for (int i = STEP_FORWARD; i < LEAD_STEPS; i++) {
        const struct lead_step_about *about = lead_step_about((enum lead_step)i);
        if (i != STEP_REMOVE && !lead_step_by((enum lead_step)i, p->c->person.role, NULL))
            steps[n++] = (struct option){str_of(about->code),
                                         str_of(p->language == LANGUAGE_EN ? about->en : about->zh)};
    }
    pg_leaf_word(p, "h2", NO_CLASS, W_LEAD_NEXT_STEP);
    pg_post_begin(p, STR("/leads"), NULL);
    pg_hidden(p, "act", STR("step"));
    pg_hidden(p, "lead", page_u64(p, x->number));
    pg_select(p, &(struct field){.name = "step", .label = W_LEAD_NEXT_STEP}, steps, n);
    pg_field(p, &(struct field){.name = "note", .label = W_COMMENT});
    pg_button(p, W_LEAD_NOTE_STEP, "main", NULL);
    pg_close(p);
    removal_form(x);
}

static void lead_draw(struct leads *x)
{
    struct page *p = &x->p;
    pg_open(p, "p", NO_CLASS);
    pg_link(p, page_url(p, "/households/*", x->h.code, NULL), "button", x->h.name);
    pg_text(p, STR(" "));
    pg_data(p, area_path(p, &x->names, x->h.area));
    pg_text(p, STR(" · "));
    pg_word(p, channel_word(x->at->times.channel));
    if (x->at->source.n) {
        pg_text(p, STR(" · "));
        pg_data(p, x->at->source);
    }
    pg_close(p);
    evidence(x);
    if (x->at->seen.n) {
        pg_leaf_word(p, "h2", NO_CLASS, W_LEAD_SEEN);
        pg_open(p, "p", NO_CLASS);
        pg_data(p, page_private(p, x->at->seen, false));
        pg_close(p);
    }
    times(x);
    step_form(x);
}

/* ---- the list ---- */

static void list_draw(struct leads *x)
{
    static const struct column columns[] = {{W_LEAD, NULL, false},   {W_NAME, NULL, false},
                                            {W_AREA, NULL, false},   {W_CHANNEL, NULL, false},
                                            {W_SOURCE, NULL, false}, {W_WHEN, NULL, false},
                                            {W_DUE, NULL, false}};
    struct page *p = &x->p;
    const struct table t = {.columns = columns,
                            .count = 7,
                            .caption = word_of(p, W_OPEN_LEADS),
                            .caption_hidden = true};
    uint32_t shown = x->count < PAGE_ROWS ? x->count : PAGE_ROWS;
    if (!shown) {
        pg_empty(p, W_LEADS_NONE);
        return;
    }
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < shown; i++) {
        const struct work_item *l = &x->items[i];
        bool over = false;
        struct str left = l->day == WORK_NEVER ? STR("—") : days_words(p, l->day, &over);
        pg_row(p);
        pg_cell_link(p, page_url(p, "/leads", STR(""), ATTRS({"lead", page_u64(p, l->number)})),
                     page_u64(p, l->number));
        pg_cell(p, l->name.n ? l->name : l->code);
        pg_cell(p, area_path(p, &x->names, l->area));
        pg_cell(p, lead_channel_words(p, l->what));
        pg_cell(p, l->why);
        pg_leaf(p, "td", "when", work_day_words(p, l->day));
        pg_leaf(p, "td", over ? "over" : NO_CLASS, left);
        pg_close(p);
    }
    pg_table_end(p);
    if (x->count > shown)
        pg_next(p, page_url(p, "/leads", STR(""), ATTRS({"after", x->items[shown - 1].key})));
}

static void phone_form(struct leads *x)
{
    struct page *p = &x->p;
    if (!screen_can(p->c, ACT_REPORT_LEAD, STR_NONE))
        return;
    const struct option channels[] = {{STR("self_report"), word_of(p, W_CHANNEL_SELF)},
                                      {STR("patrol"), word_of(p, W_CHANNEL_PATROL)},
                                      {STR("department"), word_of(p, W_CHANNEL_DEPARTMENT)}};
    pg_leaf_word(p, "h2", NO_CLASS, W_LEAD_PHONE_IN);
    pg_leaf_word(p, "p", "hint-line", W_PHONE_IN_INTRO);
    pg_post_begin(p, STR("/leads"), NULL);
    pg_hidden(p, "act", STR("open"));
    pg_field(p, &(struct field){
                    .name = "code", .label = W_PHONE_CODE, .required = true, .value = posted(p->c, "code")});
    pg_select(p, &(struct field){.name = "channel", .label = W_CHANNEL, .value = STR("self_report")},
              channels, 3);
    pg_area(p,
            &(struct field){
                .name = "words", .label = W_PHONE_WHAT, .required = true, .value = posted(p->c, "words")},
            3);
    pg_button(p, W_PHONE_SAVE, "main", NULL);
    pg_close(p);
}

static void reports_draw(struct leads *x)
{
    struct page *p = &x->p;
    if (!screen_can(p->c, ACT_REPORT_LEAD, STR_NONE) || p->c->person.area.n)
        return; /* a report without a household is of no area yet */
    pg_leaf_word(p, "h2", NO_CLASS, W_SELF_UNMATCHED);
    if (!x->report_count)
        pg_empty(p, W_SELF_MATCH_NONE);
    for (uint32_t i = 0; i < x->report_count; i++) {
        const struct report_row *r = &x->reports[i];
        pg_open(p, "fieldset", NO_CLASS);
        pg_open(p, "legend", NO_CLASS);
        pg_time(p, r->at_ms);
        pg_text(p, STR(" · "));
        pg_data(p, r->name);
        pg_close(p);
        pg_open(p, "p", NO_CLASS);
        pg_data(p, page_private(p, r->text, false));
        pg_close(p);
        pg_open(p, "p", "hint-line");
        pg_data(p, page_join(p, r->place, STR(" · "), page_private(p, r->phone, false)));
        pg_close(p);
        pg_post_begin(p, STR("/leads"), "row-of");
        pg_hidden(p, "report", page_u64(p, r->n));
        pg_field(p, &(struct field){.name = "code", .label = W_CODE, .value = r->code});
        pg_button_key(p, W_SELF_MATCH, "main", "act", "attach", NULL);
        pg_button_key(p, W_REPORT_DROP, NULL, "act", "drop", NULL);
        pg_close(p);
        pg_close(p);
    }
}

static enum err leads_draw(struct leads *x, struct diag *d)
{
    struct page *p = &x->p;
    struct work_ask q = screen_ask(p);
    struct desk k;
    struct str after = page_query(p, "after");
    enum err rc = areas_read(p, &x->names, d);
    if (!rc)
        rc = rules_read(p, &x->rules, d);
    if (!rc && !x->number && str_to_u64(page_query(p, "lead"), &x->number) && !x->number)
        rc = diag_set(d, ERR_NOT_FOUND, "There is no lead 0.");
    if (!rc && x->number)
        rc = lead_load(x, d);
    if (!rc && !x->number)
        rc = work_queue_page(&q, QUEUE_LEADS, after.p ? after : STR(""), PAGE_ROWS + 1, &x->items, &x->count,
                             d);
    if (!rc && !x->number)
        rc = screen_desk(p, NULL, &k, d);
    if (!rc && !x->number)
        rc = reports_waiting(&k, 0, PAGE_ROWS, &x->reports, &x->report_count, d);
    if (rc)
        return rc;
    struct str title = word_of(p, W_LEADS);
    if (x->number)
        title = page_join(p, page_join(p, word_of(p, W_LEAD), STR(" "), page_u64(p, x->number)), STR(" · "),
                          x->h.name);
    pg_begin(p, NAV_LEADS, title);
    pg_done(p);
    if (x->said.n)
        pg_note(p, "good", x->said);
    if (x->wrong.n)
        pg_note(p, "bad", x->wrong);
    if (x->number) {
        lead_draw(x);
    } else {
        list_draw(x);
        pg_open(p, "div", "two");
        pg_open(p, "div", NO_CLASS);
        phone_form(x);
        pg_close(p);
        pg_open(p, "div", NO_CLASS);
        reports_draw(x);
        pg_close(p);
        pg_close(p);
    }
    pg_end(p);
    return ERR_OK;
}

enum err screen_leads(struct call *c, struct diag *d)
{
    struct leads x = {0};
    page_init(&x.p, c);
    enum err rc = screen_may(c, ACT_SEE_HOUSEHOLDS, STR_NONE, d);
    return rc ? rc : leads_draw(&x, d);
}

/* ---- acts ---- */

/* What a person affirmed, as removal_read wants it; a box that is not ticked is not known. */
static struct str removal_note(struct call *c)
{
    struct buf b;
    struct str above = posted(c, "above");
    struct civil day;
    buf_init(&b, 400);
    if (civil_read_date(above, &day))
        buf_printf(&b, "above=%.*s ", STR_ARG(above));
    static const char *const names[] = {"spending", "guarantees", "original", "labour"};
    for (size_t i = 0; i < 4; i++)
        if (posted(c, names[i]).n)
            buf_printf(&b, "%s=yes ", names[i]);
    buf_put_z(&b, posted(c, "new-risk").n ? "new-risk=no" : "");
    struct str s = arena_str(c->a, str_trim(buf_str(&b)));
    buf_free(&b);
    return s.p ? s : STR("");
}

static enum err act(struct leads *x, struct desk *k, const struct work_by *by, struct diag *d)
{
    struct call *c = x->p.c;
    struct str what = posted(c, "act");
    uint64_t n = 0;
    if (str_eq_z(what, "open")) {
        struct lead_opening l = {.code = str_trim(posted(c, "code")),
                                 .note = posted(c, "words"),
                                 .source = c->person.name,
                                 .indicators = STR(""),
                                 .opened = STR(""),
                                 .deadline = STR("")};
        if (!lead_channel_read(posted(c, "channel"), &l.channel))
            return diag_set(d, ERR_USAGE, "The form names no channel.");
        enum err rc = lead_open(k, by, &l, &n, d);
        if (!rc)
            x->said = page_say(&x->p, W_PHONE_SAVED, page_u64(&x->p, n), STR(""));
        return rc;
    }
    if (str_eq_z(what, "attach") || str_eq_z(what, "drop")) {
        if (!str_to_u64(posted(c, "report"), &n))
            return diag_set(d, ERR_USAGE, "The form names no report.");
        x->said = word_of(&x->p, W_DONE);
        return str_eq_z(what, "attach") ? report_attach(k, by, n, str_trim(posted(c, "code")), d)
                                        : report_drop(k, by, n, STR("clerk"), d);
    }
    bool removes = str_eq_z(what, "remove");
    x->said = word_of(&x->p, W_STEP_NOTED);
    return lead_step_note(k, x->number, removes ? STR("remove") : posted(c, "step"),
                          removes ? removal_note(c) : posted(c, "note"), by, d);
}

enum err screen_leads_post(struct call *c, struct diag *d)
{
    struct leads x = {0};
    struct desk k;
    struct work_by by = screen_by(c);
    page_init(&x.p, c);
    bool opens = str_eq_z(posted(c, "act"), "open") || posted(c, "report").n > 0;
    enum err rc = screen_may(c,
                             opens                                  ? ACT_REPORT_LEAD
                             : str_eq_z(posted(c, "act"), "remove") ? ACT_REMOVE_RISK
                                                                    : ACT_STEP_LEAD,
                             STR_NONE, d);
    if (!rc && !opens && (!str_to_u64(posted(c, "lead"), &x.number) || !x.number))
        rc = diag_set(d, ERR_USAGE, "The form names no lead.");
    if (!rc && x.number)
        rc = lead_load(&x, d); /* in the reader's area */
    if (!rc)
        rc = screen_desk(&x.p, NULL, &k, d);
    if (rc)
        return rc;
    screen_lock(c);
    rc = act(&x, &k, &by, d);
    screen_unlock(c);
    if (rc == ERR_NOMEM || rc == ERR_IO || rc == ERR_FULL || rc == ERR_CORRUPT)
        return rc;
    if (rc) {
        x.wrong = arena_str(c->a, str_of(d->text));
        x.said = STR("");
        diag_clear(d);
        c->reply->status = 409;
    }
    x.at = NULL;
    return leads_draw(&x, d);
}

/* ---- the public page ---- */

static void report_form(struct page *p, struct str error)
{
    pg_leaf_word(p, "p", NO_CLASS, W_SELF_INTRO);
    if (error.n)
        pg_note(p, "bad", error);
    pg_post_begin(p, STR("/report"), NULL);
    static const struct {
        const char *name;
        enum word word;
        bool needed;
    } fields[] = {{"name", W_SELF_NAME, true},
                  {"code", W_SELF_CODE, false},
                  {"place", W_SELF_VILLAGE, false},
                  {"phone", W_SELF_PHONE, false}};
    for (size_t i = 0; i < 4; i++)
        pg_field(p, &(struct field){.name = fields[i].name,
                                    .label = fields[i].word,
                                    .required = fields[i].needed,
                                    .value = posted(p->c, fields[i].name),
                                    .type = i == 3 ? "tel" : "text"});
    static const enum word kinds[] = {W_SELF_ILLNESS, W_SELF_WORK, W_SELF_DISASTER,
                                      W_SELF_SCHOOL,  W_SELF_FOOD, W_SELF_OTHER};
    pg_open(p, "fieldset", NO_CLASS);
    pg_leaf_word(p, "legend", NO_CLASS, W_SELF_KINDS);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        pg_open(p, "label", "tickline");
        pg_void(p, "input",
                ATTRS({"type", STR("checkbox")}, {"name", STR("kind")}, {"value", page_u64(p, i)}));
        pg_word(p, kinds[i]);
        pg_close(p);
    }
    pg_close(p);
    pg_area(p, &(struct field){.name = "words", .label = W_SELF_WORDS, .value = posted(p->c, "words")}, 4);
    pg_button(p, W_SELF_SEND, "main", NULL);
    pg_close(p);
}

enum err screen_report(struct call *c, struct diag *d)
{
    struct page p;
    (void)d;
    page_init(&p, c);
    c->person.person = 0; /* the same page for everybody */
    pg_begin_public(&p, word_of(&p, W_SELF_TITLE));
    report_form(&p, STR(""));
    pg_end(&p);
    return ERR_OK;
}

static struct str report_text(struct page *p)
{
    static const enum word kinds[] = {W_SELF_ILLNESS, W_SELF_WORK, W_SELF_DISASTER,
                                      W_SELF_SCHOOL,  W_SELF_FOOD, W_SELF_OTHER};
    struct str text = STR("");
    uint64_t n = 0;
    for (uint32_t i = 0; i < p->c->form.count; i++)
        if (str_eq_z(p->c->form.at[i].name, "kind") && str_to_u64(p->c->form.at[i].value, &n) && n < 6)
            text = page_join(p, text, text.n ? STR("、") : STR(""), str_of(word_text(kinds[n], false)));
    struct str words = str_trim(posted(p->c, "words"));
    return words.n ? page_join(p, text, text.n ? STR("：") : STR(""), words) : text;
}

enum err screen_report_post(struct call *c, struct diag *d)
{
    struct page p;
    struct desk k;
    struct str error = STR("");
    page_init(&p, c);
    c->person.person = 0;
    const struct self_report r = {.code = str_trim(posted(c, "code")),
                                  .name = str_trim(posted(c, "name")),
                                  .place = str_trim(posted(c, "place")),
                                  .phone = str_trim(posted(c, "phone")),
                                  .text = report_text(&p),
                                  .from = c->request->client};
    enum err rc = screen_desk(&p, NULL, &k, d);
    if (!rc) {
        screen_lock(c);
        rc = report_take(&k, &r, d);
        screen_unlock(c);
    }
    if (rc == ERR_USAGE || rc == ERR_BUSY || rc == ERR_LIMIT) {
        error = word_of(&p, rc == ERR_BUSY ? W_SELF_LATER : W_SELF_NEEDS);
        c->reply->status = rc == ERR_BUSY ? 429 : 400;
        diag_clear(d);
        rc = ERR_OK;
    }
    if (rc)
        return rc;
    pg_begin_public(&p, word_of(&p, W_SELF_TITLE));
    if (error.n)
        report_form(&p, error);
    else
        pg_note(&p, "good", word_of(&p, W_SELF_THANKS));
    pg_end(&p);
    return ERR_OK;
}
