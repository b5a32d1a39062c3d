/* Answers of a household as its forms ask them: question by question in the form's words, in the reader's
 * language, with what the departments say beside. The interview is opened as it is now, frozen: nothing is
 * calculated, nothing is written. */
#include "server/screen_household.h"

#define ANSWERS_MAX 2000 /* questions of one form on a page */

enum word status_word(uint8_t status)
{
    switch (status) {
    case ANSWER_DONT_KNOW: return W_DONT_KNOW;
    case ANSWER_REFUSED: return W_REFUSED;
    case ANSWER_PARTIAL: return W_PARTIAL;
    default: return W_NONE;
    }
}

struct answers {
    struct house *x;
    struct session *s;
    bool people;
    struct str group; /* of the table that is open; p NULL = none */
    uint32_t written;
};

void form_language_for(struct session *s, const struct form *form, bool english)
{
    static const char *const zh[] = {"zh", "中文", "Chinese"}, *const en[] = {"(en)", "English", "en"};
    for (size_t k = 0; k < 3; k++)
        for (uint32_t i = 0; i < form_language_count(form); i++)
            if (str_find(form_language(form, i), str_of(english ? en[k] : zh[k])) >= 0 &&
                session_language(s, i, NULL) == ERR_OK)
                return;
}

static void table_for(struct answers *t, struct str group)
{
    static const struct column columns[] = {{W_FIELD, NULL, false}, {W_VALUE, NULL, false}};
    struct page *p = &t->x->p;
    if (t->group.p && str_eq(t->group, group))
        return;
    if (t->group.p)
        pg_table_end(p);
    const struct table head = {.columns = columns,
                               .count = 2,
                               .caption = group.n ? group : word_of(p, W_FORM)};
    pg_table_begin(p, &head);
    t->group = group.p ? group : STR("");
}

/* Labels of the choices that were made, else the value itself. */
static struct str answer_words(struct answers *t, struct place at, const struct question_view *v)
{
    struct page *p = &t->x->p;
    struct choice_view *choices = NULL;
    uint32_t count = 0, total = 0;
    struct str words = STR("");
    bool selects = v->control == CONTROL_SELECT_ONE || v->control == CONTROL_SELECT_MANY ||
                   v->control == CONTROL_RANK;
    if (!selects || session_choices(t->s, at, 0, 500, p->a, &choices, &count, &total, NULL))
        return page_private(p, v->value, t->x->shown);
    for (uint32_t i = 0; i < count; i++)
        if (choices[i].selected)
            words = words.n ? page_join(p, words, STR(" · "), choices[i].label) : choices[i].label;
    return words.n ? words : v->value;
}

static void answer_row(struct answers *t, struct place at)
{
    struct page *p = &t->x->p;
    struct question_view v;
    if (session_view(t->s, at, p->a, &v, NULL) || (t->people && at.key == 0) || t->written >= ANSWERS_MAX)
        return;
    if (v.control == CONTROL_NONE || v.control == CONTROL_TRIGGER || v.control == CONTROL_GROUP)
        return;
    enum word status = status_word((uint8_t)v.status);
    table_for(t, v.group);
    t->written++;
    pg_row(p);
    pg_open_with(p, "th", ATTRS({"scope", STR("row")}));
    pg_data(p, v.label.n ? v.label : v.ref);
    pg_close(p);
    pg_open(p, "td", "wide");
    if (v.value.n)
        pg_data(p, answer_words(t, at, &v));
    if (status != W_NONE) {
        pg_text(p, v.value.n ? STR(" · ") : STR(""));
        pg_word(p, status);
    } else if (!v.value.n) {
        pg_leaf_word(p, "span", "hint-line", W_NOT_ANSWERED);
    }
    pg_close(p);
    pg_close(p);
}

static void answers_walk(struct answers *t)
{
    struct page *p = &t->x->p;
    while (session_stop(t->s).kind != STOP_START && session_prev(t->s).kind != STOP_START) {
    }
    for (struct stop at = session_next(t->s); at.kind != STOP_END; at = session_next(t->s)) {
        struct place *places = NULL;
        uint32_t count = session_stop_questions(t->s, p->a, &places);
        for (uint32_t i = 0; i < count; i++)
            answer_row(t, places[i]);
    }
    if (t->group.p)
        pg_table_end(p);
}

static enum err interview_draw(struct house *x, const struct work_visit *v, struct form_cache *forms,
                               bool people, uint32_t *written, struct diag *d)
{
    struct page *p = &x->p;
    struct rebuild r = {.st = p->c->st, .a = p->a, .forms = forms, .seam = p->c->server->seam};
    const struct cached_form *f = NULL;
    struct submission_row s = {0};
    struct session_host host;
    struct answers t = {.x = x, .people = people};
    struct diag quiet = {0};
    bool since = false;
    enum err rc = cstore_submission(p->c->st, p->a, v->row, &s, &quiet);
    if (!rc)
        rc = form_cache_get(forms, p->c->st, s.form, &f, &quiet);
    if (!rc)
        rc = interview_open_now(&r, f, v->interview, &s, &since, &host, &t.s, &quiet);
    if (rc) {
        pg_note(p, "bad", str_of(quiet.text));
        return rc == ERR_NOMEM ? diag_set(d, rc, "Out of memory while reading answers.") : ERR_OK;
    }
    form_language_for(t.s, f->form, p->language == LANGUAGE_EN);
    pg_leaf(p, "h2", NO_CLASS, page_say(p, W_ANSWERS_OF, form_title(f->form), STR("")));
    answers_walk(&t);
    *written += t.written;
    session_close(t.s);
    return ERR_OK;
}

/* ---- what the departments say ---- */

static void values_draw(struct house *x, struct str json)
{
    struct page *p = &x->p;
    const struct json *values = NULL;
    if (json_read(p->a, json, &values, NULL) || values->type != JSON_OBJECT) {
        pg_data(p, json);
        return;
    }
    pg_open(p, "dl", "facts");
    for (const struct json *v = values->child; v; v = v->next) {
        pg_open(p, "dt", NO_CLASS);
        pg_data(p, rule_name(p, &x->rules, v->name));
        pg_close(p);
        pg_open(p, "dd", NO_CLASS);
        struct str text = v->type == JSON_BOOL ? word_of(p, v->boolean ? W_YES : W_NO) : v->text;
        if (v->type == JSON_ARRAY || v->type == JSON_OBJECT)
            text = page_say(p, W_PERSON_N, page_u64(p, v->count), STR(""));
        pg_data(p, page_private(p, text, x->shown));
        pg_close(p);
    }
    pg_close(p);
}

static enum err departments_draw(struct house *x, struct diag *d)
{
    struct page *p = &x->p;
    struct record_row *rows = NULL;
    uint32_t count = 0, drawn = 0;
    enum err rc = cstore_records(p->c->st, p->a, RECORDS_OF_HOUSEHOLD, x->h.row, ROW_DEPARTMENT, 0, 100,
                                 &rows, &count, d);
    pg_leaf_word(p, "h2", NO_CLASS, W_DEPARTMENTS);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct record r;
        rc = record_unpack(p->a, rows[i].row, rows[i].packed, &r, d);
        if (rc || record_deleted(&r))
            continue;
        pg_open(p, "h3", NO_CLASS);
        pg_data(p, record_value(&r, DEPARTMENT_SOURCE));
        pg_text(p, STR(" · "));
        pg_word(p, W_AS_OF);
        pg_text(p, STR(" "));
        pg_text(p, page_iso_words(p, record_value(&r, DEPARTMENT_AS_OF)));
        pg_close(p);
        values_draw(x, record_value(&r, DEPARTMENT_VALUES));
        drawn++;
    }
    if (!rc && !drawn)
        pg_empty(p, W_DEPARTMENTS_NONE);
    return rc;
}

enum err house_answers(struct house *x, bool people, struct diag *d)
{
    struct page *p = &x->p;
    struct form_cache forms = {0};
    uint32_t written = 0;
    enum err rc = ERR_OK;
    pg_open(p, "div", people ? NO_CLASS : "two");
    pg_open(p, "div", NO_CLASS);
    for (uint32_t i = 0; !rc && i < x->visit_count; i++) {
        bool drawn = false; /* a newer visit of the same interview */
        for (uint32_t k = 0; k < i; k++)
            drawn = drawn || row_id_same(x->visits[k].interview, x->visits[i].interview);
        if (!drawn)
            rc = interview_draw(x, &x->visits[i], &forms, people, &written, d);
    }
    if (!rc && !written)
        pg_empty(p, people ? W_PEOPLE_NONE : W_ANSWERS_NONE);
    pg_close(p);
    if (!people && !rc) {
        pg_open(p, "div", NO_CLASS);
        rc = departments_draw(x, d);
        pg_close(p);
    }
    pg_close(p);
    form_cache_free(&forms);
    return rc;
}
