/* The first page: four totals that lead to their lists, areas in administrative order, what is due, who is
 * silent, and causes as bars with their table. No person is ranked. */
#include <stdlib.h>

#include "server/screens.h"

#define DUE_SHOWN 8
#define SILENT_SHOWN 8
#define CAUSES_SHOWN 12

struct overview {
    struct page p;
    struct work_overview n;
    struct work_area *areas;
    uint32_t area_count;
    struct area_names names;
    struct rule_names rules;
    struct work_cause *causes;
    uint32_t cause_count;
    struct work_item *due;
    uint32_t due_count;
    struct work_silent *silent;
    uint32_t silent_count;
};

/* One level below what the reader sees: townships of a county, villages of a township. */
static uint32_t digits_below(struct str area)
{
    return area.n < 6 ? 9 : area.n < 9 ? 9 : 12;
}

static enum err overview_read(struct overview *o, struct diag *d)
{
    struct page *p = &o->p;
    struct work_ask q = screen_ask(p);
    enum err rc = work_overview(&q, &o->n, d);
    if (!rc)
        rc = work_areas(&q, digits_below(q.area), &o->areas, &o->area_count, d);
    if (!rc)
        rc = areas_read(p, &o->names, d);
    if (!rc)
        rc = rules_read(p, &o->rules, d);
    if (!rc)
        rc = work_causes(&q, &o->causes, &o->cause_count, d);
    if (!rc)
        rc = work_queue_page(&q, QUEUE_DUE, STR(""), DUE_SHOWN, &o->due, &o->due_count, d);
    if (!rc)
        rc = work_silent(&q, WORK_SILENT_DAYS, &o->silent, &o->silent_count, d);
    return rc;
}

/* ---- totals ---- */

static void total_begin(struct page *p, const char *url, enum word name, uint64_t n)
{
    pg_open(p, "li", NO_CLASS);
    pg_open_with(p, "a", ATTRS({"href", str_of(url)}));
    pg_leaf_word(p, "span", "name", name);
    pg_leaf(p, "span", "big", page_count(p, n));
    pg_open(p, "span", "of");
}

static void total_end(struct page *p)
{
    pg_close(p);
    pg_close(p);
    pg_close(p);
}

static void totals(struct overview *o)
{
    struct page *p = &o->p;
    const struct work_overview *n = &o->n;
    pg_open(p, "ul", "totals");
    total_begin(p, "/households", W_VISITS_MONTH, n->due);
    pg_say(p, W_VISITS_DONE, page_count(p, n->done), STR(""));
    total_end(p);
    total_begin(p, "/leads", W_OPEN_LEADS, n->leads);
    pg_level_count(p, STR("red"), n->leads_red);
    pg_level_count(p, STR("yellow"), n->leads_yellow);
    pg_level_count(p, STR("blue"), n->leads_blue);
    pg_level_count(p, STR("unknown"), n->leads_unknown);
    total_end(p);
    total_begin(p, "/work?q=due", W_OVER_TIME, n->overdue);
    pg_say(p, W_OVER_TIME_OF, page_count(p, n->due_soon), STR(""));
    total_end(p);
    total_begin(p, "/households?level=unknown", W_CANNOT_JUDGE, n->unknown);
    if (n->missing.n)
        pg_say(p, W_CANNOT_JUDGE_OF, rule_name(p, &o->rules, n->missing), page_count(p, n->missing_count));
    else
        pg_word(p, W_CANNOT_JUDGE_NONE);
    total_end(p);
    pg_close(p);
}

/* ---- areas ---- */

struct area_sort {
    const char *name;
    size_t at; /* offset of the number, SIZE_MAX = the code */
};
static const struct area_sort sorts[] = {{"area", SIZE_MAX},
                                         {"households", offsetof(struct work_area, households)},
                                         {"done", offsetof(struct work_area, done)},
                                         {"red", offsetof(struct work_area, red)},
                                         {"yellow", offsetof(struct work_area, yellow)},
                                         {"blue", offsetof(struct work_area, blue)},
                                         {"unknown", offsetof(struct work_area, unknown)},
                                         {"leads", offsetof(struct work_area, leads)},
                                         {"overdue", offsetof(struct work_area, overdue)}};

static uint64_t number_at(const struct work_area *a, size_t at)
{
    uint64_t n;
    memcpy(&n, (const char *)a + at, sizeof n);
    return n;
}

/* By the number at `at`; equal ones keep their administrative order. */
static void areas_sort(struct work_area *list, uint32_t count, size_t at, bool falling)
{
    for (uint32_t i = 1; i < count; i++) {
        struct work_area x = list[i];
        uint32_t k = i;
        while (k > 0) {
            const struct work_area *y = &list[k - 1];
            bool before = at == SIZE_MAX ? str_cmp(x.area, y->area) < 0
                                         : number_at(&x, at) < number_at(y, at);
            bool after = at == SIZE_MAX ? str_cmp(x.area, y->area) > 0 : number_at(&x, at) > number_at(y, at);
            if (falling ? !after : !before)
                break;
            list[k] = list[k - 1];
            k--;
        }
        list[k] = x;
    }
}

static void areas(struct overview *o)
{
    static const struct column columns[] = {
        {W_AREA, "area", false},       {W_HOUSEHOLD_COUNT, "households", true},
        {W_VISITED, "done", true},     {W_RED, "red", true},
        {W_YELLOW, "yellow", true},    {W_BLUE, "blue", true},
        {W_UNKNOWN, "unknown", true},  {W_OPEN_LEADS, "leads", true},
        {W_OVER_TIME, "overdue", true}};
    struct page *p = &o->p;
    struct str order = page_query(p, "sort"), name = order;
    bool falling = order.n && order.p[0] == '-';
    if (falling)
        name = str_sub(name, 1, name.n);
    for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++)
        if (name.n && str_eq_z(name, sorts[i].name))
            areas_sort(o->areas, o->area_count, sorts[i].at, falling);
    const struct table t = {.columns = columns,
                            .count = sizeof columns / sizeof columns[0],
                            .caption = word_of(p, W_AREAS),
                            .sorted = order.n ? order : STR("area"),
                            .path = "/"};
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < o->area_count; i++) {
        const struct work_area *a = &o->areas[i];
        pg_row(p);
        pg_cell_link(p, page_url(p, "/households", STR(""), ATTRS({"area", a->area})),
                     area_name(p, &o->names, a->area));
        pg_cell_number(p, a->households);
        pg_open(p, "td", "number");
        pg_count(p, a->done);
        pg_text(p, STR("/"));
        pg_count(p, a->due);
        pg_close(p);
        const uint64_t levels[] = {a->red, a->yellow, a->blue, a->unknown, a->leads, a->overdue};
        for (size_t k = 0; k < sizeof levels / sizeof levels[0]; k++)
            pg_cell_number(p, levels[k]);
        pg_close(p);
    }
    pg_table_end(p);
}

/* ---- due, silent ---- */

static void due(struct overview *o)
{
    struct page *p = &o->p;
    static const struct column columns[] = {{W_NAME, NULL, false},
                                            {W_CLOCK, NULL, false},
                                            {W_DUE, NULL, false},
                                            {W_ASSIGNED, NULL, false}};
    const struct table t = {.columns = columns, .count = 4, .caption = word_of(p, W_DUE_SOON)};
    if (!o->due_count) {
        pg_leaf_word(p, "h2", NO_CLASS, W_DUE_SOON);
        pg_empty(p, W_DUE_NONE);
        return;
    }
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < o->due_count; i++) {
        const struct work_item *x = &o->due[i];
        bool over = false;
        struct str left = days_words(p, x->day, &over);
        pg_row(p);
        pg_cell_link(p, page_url(p, "/households/*", x->code, NULL), x->name);
        pg_cell(p, clock_name_words(p, x->what));
        pg_leaf(p, "td", over ? "over" : NO_CLASS, left);
        pg_cell(p, x->person);
        pg_close(p);
    }
    pg_table_end(p);
    pg_open(p, "p", NO_CLASS);
    pg_link_word(p, STR("/work?q=due"), "button", W_ALL_OF_THEM);
    pg_close(p);
}

static void silent(struct overview *o)
{
    struct page *p = &o->p;
    struct str days = page_u64(p, WORK_SILENT_DAYS);
    static const struct column columns[] = {{W_DEVICE, NULL, false},
                                            {W_PERSON, NULL, false},
                                            {W_LAST_CONTACT, NULL, false}};
    const struct table t = {.columns = columns, .count = 3, .caption = page_say(p, W_SILENT, days, STR(""))};
    if (!o->silent_count) {
        pg_leaf(p, "h2", NO_CLASS, page_say(p, W_SILENT, days, STR("")));
        pg_empty(p, W_SILENT_NONE);
        return;
    }
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < o->silent_count && i < SILENT_SHOWN; i++) {
        const struct work_silent *x = &o->silent[i];
        pg_row(p);
        pg_cell_link(p, page_url(p, "/devices", STR(""), ATTRS({"device", page_hex(p, x->device)})),
                     device_short(p, x->device));
        pg_cell(p, x->name);
        pg_cell_time(p, x->contact_ms);
        pg_close(p);
    }
    pg_table_end(p);
    if (o->silent_count > SILENT_SHOWN)
        pg_link_word(p, STR("/devices"), "button", W_ALL_OF_THEM);
}

/* ---- causes ---- */

static void causes(struct overview *o)
{
    struct page *p = &o->p;
    static const struct column columns[] = {{W_CAUSE, NULL, false},
                                            {W_LEVEL, NULL, false},
                                            {W_HOUSEHOLD_COUNT, NULL, true}};
    const struct table t = {.columns = columns,
                            .count = 3,
                            .caption = word_of(p, W_CAUSES),
                            .caption_hidden = true};
    struct bar bars[CAUSES_SHOWN];
    uint32_t count = o->cause_count < CAUSES_SHOWN ? o->cause_count : CAUSES_SHOWN;
    pg_leaf_word(p, "h2", NO_CLASS, W_CAUSES);
    if (!count) {
        pg_empty(p, W_CAUSES_NONE);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        bars[i] = (struct bar){rule_name(p, &o->rules, o->causes[i].rule), o->causes[i].households,
                               arena_z(p->a, o->causes[i].severity)};
    pg_bars(p, word_of(p, W_CAUSES), bars, count);
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < count; i++) {
        pg_row(p);
        pg_cell(p, bars[i].label);
        pg_cell_level(p, o->causes[i].severity);
        pg_cell_number(p, bars[i].value);
        pg_close(p);
    }
    pg_table_end(p);
}

enum err screen_overview(struct call *c, struct diag *d)
{
    struct overview o = {0};
    struct page *p = &o.p;
    page_init(p, c);
    enum err rc = screen_may(c, ACT_SEE_TOTALS, STR_NONE, d);
    if (!rc)
        rc = overview_read(&o, d);
    if (rc)
        return rc;
    pg_begin(p, NAV_OVERVIEW, word_of(p, W_OVERVIEW));
    pg_done(p);
    if (!o.n.households)
        pg_note(p, NULL, word_of(p, W_NOTHING_YET));
    totals(&o);
    areas(&o);
    pg_open(p, "div", "two");
    pg_open(p, "div", NO_CLASS);
    due(&o);
    pg_close(p);
    pg_open(p, "div", NO_CLASS);
    silent(&o);
    pg_close(p);
    pg_close(p);
    causes(&o);
    pg_end(p);
    return ERR_OK;
}
