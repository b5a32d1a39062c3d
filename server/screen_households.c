/* Households: search by the beginning of code or name, lists by area or severity, and the same as JSON for
 * search while typing. */
#include "server/screens.h"
#include "server/store_pages.h"

struct listing {
    struct page p;
    struct area_names names;
    struct str text, area, level, after;
    struct work_household *rows;
    uint32_t count;
};

/* An area of the address counts only below the reader's own. */
static struct str area_asked(struct page *p)
{
    struct str area = page_query(p, "area"), own = p->c->person.area;
    return area.n && str_starts(area, own) ? area : own.p ? own : STR("");
}

static enum err list_read(struct listing *l, uint32_t limit, struct diag *d)
{
    struct page *p = &l->p;
    struct work_ask q = screen_ask(p);
    l->text = str_trim(page_query(p, "q"));
    l->level = page_query(p, "level");
    l->after = page_query(p, "after");
    l->area = q.area = area_asked(p);
    if (l->level.n)
        return pages_by_level(&q, l->level, l->after, limit, &l->rows, &l->count, d);
    return work_search(&q, l->text.p ? l->text : STR(""), l->after.p ? l->after : STR(""), limit, &l->rows,
                       &l->count, d);
}

static void household_row(struct listing *l, const struct work_household *h)
{
    struct page *p = &l->p;
    bool over = false;
    int64_t due = h->clock != WORK_NEVER && (h->due == WORK_NEVER || h->clock < h->due) ? h->clock : h->due;
    struct str left = due == WORK_NEVER ? STR("—") : days_words(p, due, &over);
    pg_row(p);
    pg_cell_link(p, page_url(p, "/households/*", h->code, NULL), h->code);
    pg_open(p, "td", NO_CLASS);
    pg_data(p, h->name);
    if (h->status.n) {
        pg_text(p, STR(" · "));
        pg_say(p,
               str_eq_z(h->status, "merged")   ? W_STATUS_MERGED
               : str_eq_z(h->status, "erased") ? W_STATUS_ERASED
                                               : W_STATUS_CLOSED,
               h->into, STR(""));
    }
    pg_close(p);
    pg_cell(p, area_path(p, &l->names, h->area));
    pg_cell_level(p, h->level);
    pg_leaf(p, "td", "when", work_day_words(p, h->visited));
    pg_cell(p, h->person);
    pg_leaf(p, "td", over ? "over" : NO_CLASS, left);
    pg_cell_number(p, h->leads);
    pg_cell_number(p, h->conflicts);
    pg_close(p);
}

static void levels_chosen(struct listing *l)
{
    struct page *p = &l->p;
    static const struct {
        const char *name;
        enum word word;
    } all[] = {{"", W_ALL_OF_THEM},    {"red", W_LEVEL_RED},         {"yellow", W_LEVEL_YELLOW},
               {"blue", W_LEVEL_BLUE}, {"unknown", W_LEVEL_UNKNOWN}, {"none", W_LEVEL_NONE}};
    pg_open(p, "ul", "tabs");
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        bool here = all[i].name[0] ? str_eq_z(l->level, all[i].name) : !l->level.n;
        struct str url = page_url(p, "/households", STR(""),
                                  ATTRS({"level", str_of(all[i].name)}, {"area", page_query(p, "area")}));
        pg_open(p, "li", NO_CLASS);
        pg_open_with(p, "a", ATTRS({"href", url}, {"aria-current", here ? STR("true") : STR_NONE}));
        pg_word(p, all[i].word);
        pg_close(p);
        pg_close(p);
    }
    pg_close(p);
}

static void list_draw(struct listing *l)
{
    static const struct column columns[] = {{W_CODE, NULL, false},       {W_NAME, NULL, false},
                                            {W_AREA, NULL, false},       {W_LEVEL, NULL, false},
                                            {W_LAST_VISIT, NULL, false}, {W_ASSIGNED, NULL, false},
                                            {W_DUE, NULL, false},        {W_OPEN_LEADS, NULL, true},
                                            {W_IN_DISPUTE, NULL, true}};
    struct page *p = &l->p;
    const struct table t = {.columns = columns,
                            .count = sizeof columns / sizeof columns[0],
                            .caption = word_of(p, W_HOUSEHOLDS),
                            .caption_hidden = true};
    uint32_t shown = l->count < PAGE_ROWS ? l->count : PAGE_ROWS;
    if (!shown) {
        pg_empty(p, W_FOUND_NONE);
        return;
    }
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < shown; i++)
        household_row(l, &l->rows[i]);
    pg_table_end(p);
    if (l->count > shown)
        pg_next(p, page_url(p, "/households", STR(""),
                            ATTRS({"q", l->text}, {"area", page_query(p, "area")}, {"level", l->level},
                                  {"after", l->rows[shown - 1].key})));
}

enum err screen_households(struct call *c, struct diag *d)
{
    struct listing l = {0};
    struct page *p = &l.p;
    page_init(p, c);
    enum err rc = screen_may(c, ACT_SEE_HOUSEHOLDS, STR_NONE, d);
    if (!rc)
        rc = list_read(&l, PAGE_ROWS + 1, d);
    if (!rc)
        rc = areas_read(p, &l.names, d);
    if (rc)
        return rc;
    struct str title = word_of(p, W_HOUSEHOLDS);
    if (page_query(p, "area").n)
        title = page_join(p, title, STR(" · "), area_path(p, &l.names, l.area));
    pg_begin(p, NAV_HOUSEHOLDS, title);
    levels_chosen(&l);
    if (l.text.n) {
        pg_open(p, "p", NO_CLASS);
        pg_say(p, W_FOUND_FOR, l.text, STR(""));
        pg_text(p, STR(" "));
        pg_link_word(p, STR("/households"), "button", W_ALL_OF_THEM);
        pg_close(p);
    }
    list_draw(&l);
    pg_end(p);
    return ERR_OK;
}

#define FOUND_WHILE_TYPING 8

enum err screen_households_json(struct call *c, struct diag *d)
{
    struct listing l = {0};
    page_init(&l.p, c);
    enum err rc = screen_may(c, ACT_SEE_HOUSEHOLDS, STR_NONE, d);
    if (!rc)
        rc = list_read(&l, FOUND_WHILE_TYPING, d);
    if (rc)
        return rc;
    struct buf *out = &c->reply->body;
    reply_header(c->reply, "Content-Type", STR("application/json"));
    reply_header(c->reply, "Cache-Control", STR("no-store"));
    buf_put_z(out, "{\"households\":[");
    for (uint32_t i = 0; i < l.count; i++) {
        buf_put_z(out, i ? ",{\"code\":" : "{\"code\":");
        buf_put_json(out, l.rows[i].code);
        buf_put_z(out, ",\"name\":");
        buf_put_json(out, l.rows[i].name);
        buf_put_char(out, '}');
    }
    buf_put_z(out, "]}\n");
    return ERR_OK;
}
