/* For paper: a household's card (A5, internal) and the public notice (A3). The notice is redacted by what it
 * is made of: struct notice_row has no room for anything that may not be on it. */
#include <stdlib.h>

#include "server/screen_household.h"

/* ---- the card ---- */

#define DATES_SHOWN 12

enum err screen_card(struct call *c, struct diag *d)
{
    struct house x = {0};
    struct page *p = &x.p;
    page_init(p, c);
    struct str code = http_decode(c->a, c->tail);
    enum err rc = house_read(&x, code.p ? code : STR(""), d);
    if (!rc)
        rc = screen_note(c, "card-printed", x.h.code, STR(""), d);
    if (rc)
        return rc;
    pg_begin_print(p, "card", word_of(p, W_CARD_TITLE));
    pg_open(p, "div", "sheet");
    pg_leaf_word(p, "p", "internal", W_INTERNAL);
    pg_open(p, "h2", NO_CLASS);
    pg_data(p, x.h.name);
    pg_close(p);
    pg_open(p, "p", NO_CLASS);
    pg_data(p, area_path(p, &x.names, x.h.area));
    pg_close(p);
    pg_qr(p, x.h.code, x.h.code);
    pg_open(p, "dl", "facts");
    pg_leaf_word(p, "dt", NO_CLASS, W_CODE);
    pg_leaf(p, "dd", "code", x.h.code);
    pg_leaf_word(p, "dt", NO_CLASS, W_CARD_VISITS);
    pg_open(p, "dd", NO_CLASS);
    struct str last = STR("");
    for (uint32_t i = 0, shown = 0; i < x.visit_count && shown < DATES_SHOWN; i++) {
        struct str day = page_iso_words(p, str_sub(x.visits[i].ended, 0, 10));
        if (str_eq(day, last))
            continue;
        pg_text(p, shown++ ? STR(" · ") : STR(""));
        pg_text(p, day);
        last = day;
    }
    pg_close(p);
    pg_leaf_word(p, "dt", NO_CLASS, W_CARD_PHONE);
    pg_leaf(p, "dd", NO_CLASS, STR("____________________"));
    pg_close(p);
    pg_leaf_word(p, "p", NO_CLASS, W_CARD_TOLD);
    pg_close(p);
    pg_end(p);
    return ERR_OK;
}

/* ---- the notice ---- */

#define NOTICE_ROWS_MAX 500
#define NOTICE_DAYS_LEAST 5

/* All that a notice can say about a household. */
struct notice_row {
    struct str head;
    uint32_t group, members;
    struct str category; /* a name of the live pack's, never free text */
};

struct notice {
    struct page p;
    struct area_names names;
    struct rule_names rules;
    struct str village, from, to, wrong;
    VEC(struct notice_row) rows;
    bool at_notice; /* the household under way is at that step */
    struct str category;
};

/* "…禾塘村 3 组 12 号" lives in group 3. */
static uint32_t group_of(struct str address)
{
    ptrdiff_t at = str_find(address, STR("组"));
    uint32_t n = 0, tens = 1;
    while (at > 0 && address.p[at - 1] == ' ')
        at--;
    for (; at > 0 && address.p[at - 1] >= '0' && address.p[at - 1] <= '9' && tens < 1000; at--, tens *= 10)
        n += (uint32_t)(address.p[at - 1] - '0') * tens;
    return n;
}

static enum err members_of(struct notice *x, struct row_id household, uint32_t *out, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0, lowest = UINT32_MAX;
    enum err rc = cstore_records(x->p.c->st, x->p.a, RECORDS_OF_HOUSEHOLD, household, ROW_REPEAT, 0, 200,
                                 &rows, &count, d);
    *out = 0;
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct record r;
        struct row_birth birth;
        rc = record_unpack(x->p.a, rows[i].row, rows[i].packed, &r, d);
        if (rc || record_deleted(&r) || !record_birth(&r, &birth))
            continue;
        if (birth.number < lowest) { /* a form's first roster is its people */
            lowest = birth.number;
            *out = 0;
        }
        *out += birth.number == lowest;
    }
    return rc;
}

static enum err lead_look(void *self, const struct lead_record *l, struct diag *d)
{
    struct notice *x = self;
    (void)d;
    if (lead_times_open(&l->times) && lead_times_state(&l->times) == STEP_NOTICE) {
        x->at_notice = true;
        x->category = rule_name(&x->p, &x->rules, l->category);
        if (str_eq(x->category, l->category))
            x->category = STR(""); /* no name of the pack's */
    }
    return ERR_OK;
}

static enum err row_add(struct notice *x, struct desk *k, const struct work_item *item, struct diag *d)
{
    struct page *p = &x->p;
    struct record_row row;
    struct record r;
    x->at_notice = false;
    enum err rc = leads_of(k, item->household, lead_look, x, d);
    if (rc || !x->at_notice)
        return rc;
    rc = cstore_record(p->c->st, p->a, item->household, &row, d);
    if (!rc)
        rc = record_unpack(p->a, row.row, row.packed, &r, d);
    struct notice_row *n = rc ? NULL : vec_push(p->a, &x->rows);
    if (!rc && !n)
        rc = diag_set(d, ERR_NOMEM, "Out of memory while making the notice.");
    if (rc)
        return rc;
    n->head = page_private(p, record_value(&r, HOUSEHOLD_NAME), false);
    n->group = group_of(record_value(&r, HOUSEHOLD_ADDRESS));
    n->category = x->category;
    return members_of(x, item->household, &n->members, d);
}

static enum err notice_read(struct notice *x, struct diag *d)
{
    struct page *p = &x->p;
    struct work_ask q = screen_ask(p);
    struct work_item *items = NULL;
    struct desk k;
    uint32_t count = 0;
    struct str after = STR(""), last = STR("");
    if (!x->village.n || !str_starts(x->village, q.area))
        return ERR_OK;
    q.area = x->village;
    enum err rc = screen_desk(p, NULL, &k, d);
    do {
        if (!rc)
            rc = work_queue_page(&q, QUEUE_LEADS, after, WORK_PAGE_MAX, &items, &count, d);
        for (uint32_t i = 0; !rc && i < count && x->rows.count < NOTICE_ROWS_MAX; i++) {
            after = items[i].key;
            if (!str_eq(items[i].code, last))
                rc = row_add(x, &k, &items[i], d);
            last = items[i].code;
        }
    } while (!rc && count == WORK_PAGE_MAX);
    return rc;
}

static void notice_table(struct notice *x)
{
    static const struct column columns[] = {{W_NOTICE_HEAD, NULL, false},
                                            {W_NOTICE_GROUP, NULL, true},
                                            {W_NOTICE_SIZE, NULL, true},
                                            {W_NOTICE_CATEGORY, NULL, false}};
    struct page *p = &x->p;
    const struct table t = {.columns = columns, .count = 4, .caption = area_path(p, &x->names, x->village)};
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < x->rows.count; i++) {
        const struct notice_row *r = &x->rows.at[i];
        pg_row(p);
        pg_cell(p, r->head);
        pg_leaf(p, "td", "number", r->group ? page_u64(p, r->group) : STR("—"));
        pg_leaf(p, "td", "number", r->members ? page_u64(p, r->members) : STR("—"));
        pg_cell(p, r->category.n ? r->category : STR("—"));
        pg_close(p);
    }
    pg_table_end(p);
}

static void notice_form(struct notice *x)
{
    struct page *p = &x->p;
    pg_open_with(p, "form",
                 ATTRS({"method", STR("get")}, {"action", STR("/print/notice")},
                       {"class", STR("row-of no-print")}));
    pg_field(p, &(struct field){.name = "village",
                                .label = W_NOTICE_VILLAGE_CODE,
                                .required = true,
                                .value = x->village});
    pg_field(p,
             &(struct field){
                 .name = "from", .type = "date", .label = W_NOTICE_FROM, .required = true, .value = x->from});
    pg_field(p, &(struct field){.name = "to",
                                .type = "date",
                                .label = W_NOTICE_TO,
                                .required = true,
                                .value = x->to,
                                .error = x->wrong});
    pg_button(p, W_NOTICE_MAKE, "main", NULL);
    pg_link_word(p, STR("/leads"), "button", W_BACK);
    pg_close(p);
}

enum err screen_notice(struct call *c, struct diag *d)
{
    struct notice x = {0};
    struct page *p = &x.p;
    int64_t from = 0, to = 0;
    page_init(p, c);
    x.village = str_trim(page_query(p, "village"));
    x.from = page_query(p, "from");
    x.to = page_query(p, "to");
    bool asked = x.village.n && page_day_read(x.from, &from) && page_day_read(x.to, &to);
    if (asked && to - from < NOTICE_DAYS_LEAST)
        x.wrong = word_of(p, W_NOTICE_SHORT);
    enum err rc = screen_may(c, ACT_SEE_HOUSEHOLDS, STR_NONE, d);
    if (!rc)
        rc = areas_read(p, &x.names, d);
    if (!rc)
        rc = rules_read(p, &x.rules, d);
    if (!rc && asked && !x.wrong.n)
        rc = notice_read(&x, d);
    if (!rc && x.rows.count)
        rc = screen_note(c, "notice-printed", STR(""), x.village, d);
    if (rc)
        return rc;
    pg_begin_print(p, "notice", word_of(p, W_NOTICE_TITLE));
    notice_form(&x);
    if (asked && !x.wrong.n && !x.rows.count) {
        pg_empty(p, W_NOTICE_NONE);
    } else if (x.rows.count) {
        notice_table(&x);
        pg_open(p, "p", NO_CLASS);
        pg_say(p, W_NOTICE_DAYS, page_day_words(p, from), page_day_words(p, to));
        pg_close(p);
        pg_leaf_word(p, "p", NO_CLASS, W_NOTICE_OBJECTIONS);
        pg_leaf_word(p, "p", "hint-line no-print", W_NOTICE_WITHOUT);
    }
    pg_end(p);
    return ERR_OK;
}
