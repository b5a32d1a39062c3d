/* An answer that two people gave differently: both side by side, who said it, when and how, and one decision
 * with its reason. Keys choose; the next one comes by itself. */
#include "server/screen_household.h"

#define ROWS_PAGE 256
#define DISPUTES_MAX 200 /* of one household that are looked at */

struct dispute {
    struct record_row row;
    struct record record;
    uint32_t field;
};

struct conflict {
    struct house x;
    VEC(struct dispute) list;
    uint32_t at;
    struct form_cache forms;
    const struct cached_form *form;
    struct session *session;
    struct session_host host;
    struct rebuild rebuild;
};

/* ---- finding it ---- */

static enum err disputes_of(struct conflict *q, const struct record_row *row, struct diag *d)
{
    struct record r;
    enum err rc = record_unpack(q->x.p.a, row->row, row->packed, &r, d);
    for (uint32_t i = 0; !rc && i <= r.count; i++) {
        uint32_t field = i < r.count ? r.cells[i].field : 0;
        bool twice = i == r.count && r.count && r.cells[0].field == 0;
        if (twice || q->list.count >= DISPUTES_MAX || !record_conflict(&r, field))
            continue;
        struct dispute *one = vec_push(q->x.p.a, &q->list);
        if (!one)
            return diag_set(d, ERR_NOMEM, "Out of memory while reading what is in dispute.");
        *one = (struct dispute){*row, r, field};
    }
    return rc;
}

static enum err disputes_read(struct conflict *q, struct diag *d)
{
    struct page *p = &q->x.p;
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    enum err rc = ERR_OK;
    if (q->x.row.conflicts)
        rc = disputes_of(q, &q->x.row, d);
    do {
        if (!rc)
            rc = cstore_records(p->c->st, p->a, RECORDS_OF_HOUSEHOLD, q->x.h.row, 0, after, ROWS_PAGE, &rows,
                                &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            after = rows[i].number;
            if (rows[i].conflicts && !row_id_same(rows[i].row, q->x.h.row))
                rc = disputes_of(q, &rows[i], d);
        }
    } while (!rc && count == ROWS_PAGE);
    return rc;
}

/* The household of the address, else the first that has one. */
static enum err household_find(struct conflict *q, bool *none_out, struct diag *d)
{
    struct page *p = &q->x.p;
    struct work_ask ask = screen_ask(p);
    struct work_item *items = NULL;
    uint32_t count = 0;
    struct str code = page_query(p, "household");
    *none_out = false;
    if (!code.n) {
        enum err rc = work_queue_page(&ask, QUEUE_CONFLICTS, STR(""), 1, &items, &count, d);
        if (rc)
            return rc;
        *none_out = count == 0;
        code = count ? items[0].code : STR("");
    }
    return *none_out ? ERR_OK : house_read(&q->x, code, d);
}

/* ---- what it is about ---- */

/* The form behind a row of answers; without it paths and codes are shown. */
static void form_find(struct conflict *q, const struct dispute *one)
{
    struct page *p = &q->x.p;
    struct submission_row s;
    bool since = false;
    q->rebuild = (struct rebuild){.st = p->c->st, .a = p->a, .forms = &q->forms, .seam = p->c->server->seam};
    for (uint32_t i = 0; i < q->x.visit_count && !q->session; i++) {
        const struct work_visit *v = &q->x.visits[i];
        if (!row_id_same(v->interview, one->row.interview) && !row_id_same(v->interview, one->row.row))
            continue;
        if (cstore_submission(p->c->st, p->a, v->row, &s, NULL) ||
            form_cache_get(&q->forms, p->c->st, s.form, &q->form, NULL) ||
            interview_open_now(&q->rebuild, q->form, v->interview, &s, &since, &q->host, &q->session, NULL))
            q->session = NULL;
    }
    if (q->session)
        form_language_for(q->session, q->form->form, p->language == LANGUAGE_EN);
}

static const struct form_field *field_of(const struct conflict *q, uint32_t stable)
{
    uint32_t local = q->form ? fieldmap_local(&q->form->map, stable) : FIELDMAP_NONE;
    return local == FIELDMAP_NONE ? NULL : form_field(q->form->form, local);
}

static struct str dispute_label(struct conflict *q, const struct dispute *one)
{
    struct page *p = &q->x.p;
    static const enum word household[] = {W_NONE,    W_CODE,     W_AREA,     W_NAME,
                                          W_ADDRESS, W_CATEGORY, W_POSITION, W_PHONE};
    if (one->field == 0)
        return word_of(p, W_CONFLICT_ROW);
    if (one->row.kind == ROW_HOUSEHOLD && one->field < sizeof household / sizeof household[0])
        return word_of(p, household[one->field]);
    const struct form_field *f = field_of(q, one->field);
    struct place at;
    struct question_view v;
    if (f && q->session && !session_place(q->session, f->path, &at, NULL) &&
        !session_view(q->session, at, p->a, &v, NULL) && v.label.n)
        return v.label;
    return f ? f->label.n ? f->label : f->path : page_u64(p, one->field);
}

static struct str value_words(struct conflict *q, const struct dispute *one, struct str value)
{
    struct page *p = &q->x.p;
    const struct form_field *f = field_of(q, one->field);
    struct place at;
    struct choice_view *choices = NULL;
    uint32_t count = 0, total = 0;
    if (f && q->session && !session_place(q->session, f->path, &at, NULL) &&
        !session_choices(q->session, at, 0, 500, p->a, &choices, &count, &total, NULL))
        for (uint32_t i = 0; i < count; i++)
            if (str_eq(choices[i].value, value))
                return choices[i].label;
    return page_private(p, value, false);
}

/* ---- drawing ---- */

static void choice_draw(struct conflict *q, const struct dispute *one, const struct version *v, uint32_t n)
{
    struct page *p = &q->x.p;
    struct person who = {0};
    pg_open(p, "label", "choice");
    pg_void(p, "input", ATTRS({"type", STR("radio")}, {"name", STR("keep")}, {"value", page_u64(p, n)}));
    pg_text(p, STR(" "));
    pg_leaf(p, "kbd", NO_CLASS, page_u64(p, n));
    if (n == 1) {
        pg_text(p, STR(" "));
        pg_leaf_word(p, "span", "hint-line", W_CONFLICT_SHOWN);
    }
    pg_open(p, "span", "value");
    if (v->op == CHANGE_CLEAR)
        pg_word(p, W_CLEARED);
    else if (v->op == CHANGE_ROW_DELETE)
        pg_word(p, W_REMOVED);
    else
        pg_data(p, value_words(q, one, v->value));
    if (status_word(v->status) != W_NONE) {
        pg_text(p, STR(" · "));
        pg_word(p, status_word(v->status));
    }
    pg_close(p);
    pg_open(p, "span", "by");
    if (v->person && !cstore_person(p->c->st, p->a, v->person, &who, NULL))
        pg_data(p, who.name);
    pg_text(p, STR(" · "));
    pg_data(p, device_short(p, v->device));
    pg_close(p);
    pg_open(p, "span", "by");
    pg_time(p, v->hlc >> 16);
    pg_close(p);
    pg_close(p);
}

static void choices_draw(struct conflict *q, const struct dispute *one)
{
    struct page *p = &q->x.p;
    const struct record_cell *cell = record_cell(&one->record, one->field);
    pg_open(p, "fieldset", "choices");
    pg_open(p, "legend", NO_CLASS);
    pg_word(p, W_CONFLICT_CHOICES);
    pg_close(p);
    for (uint32_t i = 0; cell && i < cell->count; i++)
        if (i == 0 || record_disputes(&one->record, cell, i))
            choice_draw(q, one, &cell->versions[i], i + 1);
    if (one->field) {
        pg_open(p, "div", "choice");
        pg_open(p, "label", NO_CLASS);
        pg_void(p, "input", ATTRS({"type", STR("radio")}, {"name", STR("keep")}, {"value", STR("0")}));
        pg_text(p, STR(" "));
        pg_leaf(p, "kbd", NO_CLASS, page_u64(p, (cell ? cell->count : 0) + 1));
        pg_text(p, STR(" "));
        pg_word(p, W_CONFLICT_OTHER);
        pg_close(p);
        pg_void(p, "input",
                ATTRS({"type", STR("text")}, {"name", STR("value")}, {"autocomplete", STR("off")},
                      {"aria-label", word_of(p, W_CONFLICT_OTHER)}));
        pg_close(p);
    }
    pg_close(p);
}

static void form_draw(struct conflict *q, const struct dispute *one)
{
    struct page *p = &q->x.p;
    struct str id = page_join(p, page_u64(p, one->row.number), STR("."), page_u64(p, one->field));
    pg_post_begin(p, page_url(p, "/conflicts", STR(""), ATTRS({"household", q->x.h.code})), NULL);
    pg_hidden(p, "id", id);
    choices_draw(q, one);
    pg_open(p, "p", "field");
    pg_open_with(p, "label", ATTRS({"for", STR("reason")}));
    pg_word(p, W_CONFLICT_REASON);
    pg_close(p);
    pg_open_with(p, "span", ATTRS({"class", STR("hint")}, {"id", STR("reason-hint")}));
    pg_word(p, W_CONFLICT_REASON_HINT);
    pg_close(p);
    pg_void(p, "input",
            ATTRS({"type", STR("text")}, {"id", STR("reason")}, {"name", STR("reason")},
                  {"data-reason", STR("")}, {"aria-describedby", STR("reason-hint")},
                  {"autocomplete", STR("off")}, {"maxlength", STR("500")}));
    pg_close(p);
    pg_open(p, "div", "actions");
    pg_button_key(p, W_CONFLICT_TAKE, "main", "act", "take", NULL);
    pg_button_key(p, W_CONFLICT_ASK, NULL, "act", "ask", "r");
    if (q->list.count > 1)
        pg_link_word(p,
                     page_url(p, "/conflicts", STR(""),
                              ATTRS({"household", q->x.h.code}, {"at", page_u64(p, q->at + 2)})),
                     "button", W_CONFLICT_LATER);
    pg_close(p);
    pg_close(p);
}

static void one_draw(struct conflict *q)
{
    struct page *p = &q->x.p;
    const struct dispute *one = &q->list.at[q->at];
    form_find(q, one);
    struct str label = dispute_label(q, one);
    pg_open(p, "p", NO_CLASS);
    pg_say(p, W_CONFLICT_N, page_u64(p, q->at + 1), page_u64(p, q->list.count));
    pg_text(p, STR(" · "));
    pg_link(p, page_url(p, "/households/*", q->x.h.code, NULL), "button", q->x.h.name);
    pg_close(p);
    pg_open(p, "h2", NO_CLASS);
    pg_data(p, label);
    pg_close(p);
    form_draw(q, one);
}

static enum err conflict_draw(struct conflict *q, struct diag *d)
{
    struct page *p = &q->x.p;
    bool none = false;
    uint64_t at = 0;
    enum err rc = household_find(q, &none, d);
    if (!rc && !none)
        rc = disputes_read(q, d);
    if (rc)
        return rc;
    if (str_to_u64(page_query(p, "at"), &at) && at >= 1 && q->list.count)
        q->at = (uint32_t)((at - 1) % q->list.count);
    pg_begin(p, NAV_CONFLICTS, word_of(p, W_CONFLICTS));
    pg_done(p);
    if (q->x.wrong.n)
        pg_note(p, "bad", q->x.wrong);
    if (none || !q->list.count) {
        pg_empty(p, W_CONFLICT_NONE);
        if (!none)
            pg_link_word(p, STR("/conflicts"), "button", W_ALL_OF_THEM);
    } else {
        one_draw(q);
    }
    pg_open(p, "p", "more");
    pg_link_word(p, STR("/work?q=conflicts"), "button", W_CONFLICT_ALL);
    pg_close(p);
    pg_end(p);
    session_close(q->session);
    form_cache_free(&q->forms);
    return ERR_OK;
}

enum err screen_conflicts(struct call *c, struct diag *d)
{
    struct conflict q = {0};
    page_init(&q.x.p, c);
    enum err rc = screen_may(c, ACT_RESOLVE, STR_NONE, d);
    return rc ? rc : conflict_draw(&q, d);
}

/* ---- deciding ---- */

static bool id_read(struct str id, uint64_t *number, uint64_t *field)
{
    struct str part;
    return str_split(&id, '.', &part) && str_to_u64(part, number) && str_to_u64(id, field) &&
           *field <= UINT32_MAX;
}

/* The dispute must be one of this household, which the reader may see. */
static enum err dispute_find(struct conflict *q, uint64_t number, uint64_t field, const struct dispute **out,
                             struct diag *d)
{
    for (uint32_t i = 0; i < q->list.count; i++) {
        if (q->list.at[i].row.number == number && q->list.at[i].field == field) {
            *out = &q->list.at[i];
            return ERR_OK;
        }
    }
    return diag_set(d, ERR_STATE, "This was decided already.");
}

static enum err take(struct conflict *q, const struct dispute *one, struct diag *d)
{
    struct call *c = q->x.p.c;
    struct desk k;
    uint64_t keep_n = 0;
    struct str keep_text = posted(c, "keep");
    if (!keep_text.n || !str_to_u64(keep_text, &keep_n) || keep_n > UINT32_MAX ||
        (keep_n == 0 && !posted(c, "value").n)) {
        q->x.wrong = word_of(&q->x.p, W_CONFLICT_NEEDS);
        return ERR_OK;
    }
    const struct review_decision decision = {.id = posted(c, "id"),
                                             .number = one->row.number,
                                             .field = one->field,
                                             .keep = (uint32_t)keep_n,
                                             .value = posted(c, "value"),
                                             .by = c->person.name,
                                             .person = c->person.person,
                                             .role = c->person.role};
    enum err rc = screen_desk(&q->x.p, NULL, &k, d);
    if (rc)
        return rc;
    screen_lock(c);
    rc = review_resolve(&k, &decision, d);
    screen_unlock(c);
    if (!rc)
        rc = screen_note(c, "resolved-why", q->x.h.code, posted(c, "reason"), d);
    return rc;
}

/* The visit goes back with the question, so that whoever made it asks once more. */
static enum err ask(struct conflict *q, const struct dispute *one, struct diag *d)
{
    struct call *c = q->x.p.c;
    struct work_by by = screen_by(c);
    struct desk k;
    struct str reason = posted(c, "reason");
    form_find(q, one);
    const struct review_remark remark = {.row = one->row.row,
                                         .field = one->field,
                                         .place = dispute_label(q, one),
                                         .text = reason.n ? reason : word_of(&q->x.p, W_CONFLICT_CHOICES)};
    const struct review_act act = {.state = REVIEW_REJECTED,
                                   .comment = reason,
                                   .remarks = &remark,
                                   .remark_count = 1};
    const struct work_visit *v = NULL;
    for (uint32_t i = 0; i < q->x.visit_count && !v; i++)
        if (q->x.visits[i].waits <= WAITS_COUNTY &&
            (row_id_same(q->x.visits[i].interview, one->row.interview) ||
             row_id_same(q->x.visits[i].interview, one->row.row)))
            v = &q->x.visits[i];
    session_close(q->session);
    q->session = NULL;
    if (!v)
        return diag_set(d, ERR_STATE,
                        "No visit of this household waits for a decision: none can be sent back.");
    enum err rc = screen_desk(&q->x.p, NULL, &k, d);
    if (rc)
        return rc;
    screen_lock(c);
    rc = review_act(&k, &by, v->number, &act, d);
    screen_unlock(c);
    return rc;
}

enum err screen_conflicts_post(struct call *c, struct diag *d)
{
    struct conflict q = {0};
    const struct dispute *one = NULL;
    uint64_t number = 0, field = 0;
    bool none = false;
    page_init(&q.x.p, c);
    bool asks = str_eq_z(posted(c, "act"), "ask");
    enum err rc = screen_may(c, ACT_RESOLVE, STR_NONE, d);
    if (!rc && !id_read(posted(c, "id"), &number, &field))
        rc = diag_set(d, ERR_USAGE, "The form names no answer.");
    if (!rc)
        rc = household_find(&q, &none, d);
    if (!rc && none)
        rc = diag_set(d, ERR_STATE, "This was decided already.");
    if (!rc)
        rc = screen_may(c, ACT_RESOLVE, q.x.h.area, d);
    if (!rc)
        rc = disputes_read(&q, d);
    if (!rc)
        rc = dispute_find(&q, number, field, &one, d);
    if (!rc)
        rc = asks ? ask(&q, one, d) : take(&q, one, d);
    bool more = q.list.count > 1 && !asks;
    form_cache_free(&q.forms);
    if (rc == ERR_STATE || rc == ERR_USAGE || rc == ERR_DENIED || rc == ERR_EXISTS) {
        q.x.wrong = arena_str(c->a, str_of(d->text));
        diag_clear(d);
        rc = ERR_OK;
    }
    if (rc)
        return rc;
    if (!q.x.wrong.n) {
        struct str next = page_url(&q.x.p, "/conflicts", STR(""),
                                   ATTRS({"household", more ? q.x.h.code : STR("")}));
        return page_go(c, url_done(&q.x.p, next, asks ? "returned" : "decided"), d);
    }
    struct conflict again = {0};
    page_init(&again.x.p, c);
    again.x.wrong = q.x.wrong;
    c->reply->status = 409;
    return conflict_draw(&again, d);
}
