/* Queues: what waits for the reader, what is due, what stands apart. Visits can be approved in bulk; those
 * with a red finding, a mismatch or a dispute are left out and listed. */
#include "server/screens.h"

struct queue {
    struct page p;
    enum work_queue which;
    struct area_names names;
    struct rule_names rules;
    struct work_item *items;
    uint32_t count, approved;
    struct review_exception *left;
    uint32_t left_count;
    bool acted;
    struct str wrong;
};

static const enum word queue_words[WORK_QUEUES] = {[QUEUE_MINE] = W_Q_MINE,
                                                   [QUEUE_DUE] = W_Q_DUE,
                                                   [QUEUE_CONFLICTS] = W_Q_CONFLICTS,
                                                   [QUEUE_REJECTED] = W_Q_REJECTED,
                                                   [QUEUE_QUARANTINE] = W_Q_QUARANTINE,
                                                   [QUEUE_DISAGREEMENTS] = W_Q_DISAGREEMENTS,
                                                   [QUEUE_QUALITY] = W_Q_QUALITY,
                                                   [QUEUE_LEADS] = W_Q_LEADS};

static enum err queue_load(struct queue *x, struct diag *d)
{
    struct page *p = &x->p;
    struct work_ask q = screen_ask(p);
    struct str after = page_query(p, "after"), which = page_query(p, "q");
    x->which = QUEUE_MINE;
    if (which.n && !work_queue_read(which, &x->which))
        return diag_set(d, ERR_NOT_FOUND, "There is no such queue.");
    enum err rc = work_queue_page(&q, x->which, after.p ? after : STR(""), PAGE_ROWS + 1, &x->items,
                                  &x->count, d);
    if (!rc)
        rc = areas_read(p, &x->names, d);
    return rc;
}

static void tabs_draw(struct queue *x)
{
    struct page *p = &x->p;
    struct work_ask q = screen_ask(p);
    pg_open_with(p, "ul", ATTRS({"class", STR("tabs")}, {"aria-label", word_of(p, W_Q_LABEL)}));
    for (int i = 0; i < WORK_QUEUES; i++) {
        uint32_t n = 0;
        bool more = false;
        if (work_queue_count(&q, (enum work_queue)i, &n, &more, NULL))
            n = 0;
        struct str url = page_url(p, "/work", STR(""),
                                  ATTRS({"q", str_of(work_queue_name((enum work_queue)i))}));
        pg_open(p, "li", NO_CLASS);
        pg_open_with(p, "a",
                     ATTRS({"href", url}, {"aria-current", i == (int)x->which ? STR("page") : STR_NONE}));
        pg_word(p, queue_words[i]);
        pg_text(p, STR(" "));
        if (more)
            pg_word(p, W_MANY);
        else
            pg_count(p, n);
        pg_close(p);
        pg_close(p);
    }
    pg_close(p);
}

/* ---- rows ---- */

static bool is_visits(enum work_queue q)
{
    return q == QUEUE_MINE || q == QUEUE_REJECTED || q == QUEUE_DISAGREEMENTS || q == QUEUE_QUALITY;
}

static void where_cells(struct queue *x, const struct work_item *i)
{
    struct page *p = &x->p;
    pg_cell_link(p, page_url(p, "/households/*", i->code, NULL), i->name.n ? i->name : i->code);
    pg_cell(p, area_path(p, &x->names, i->area));
}

static void visit_row(struct queue *x, const struct work_item *i)
{
    struct page *p = &x->p;
    pg_row(p);
    if (x->which == QUEUE_MINE) {
        pg_open(p, "td", "tick");
        pg_open(p, "label", NO_CLASS);
        pg_leaf(p, "span", "unseen", page_join(p, word_of(p, W_CHOOSE), STR(" "), i->name));
        pg_void(p, "input",
                ATTRS({"type", STR("checkbox")}, {"name", STR("visit")}, {"value", page_u64(p, i->number)}));
        pg_close(p);
        pg_close(p);
    }
    where_cells(x, i);
    pg_cell_level(p, i->level);
    pg_leaf(p, "td", "when", work_day_words(p, i->day));
    pg_cell(p, i->person);
    pg_open(p, "td", NO_CLASS);
    pg_word(p, waits_word(i->waits));
    if (i->flags & ~(uint32_t)VISIT_IS_RED) {
        pg_text(p, STR(" · "));
        pg_flags(p, i->flags);
    }
    if (i->held_by) {
        pg_text(p, STR(" · "));
        pg_say(p, W_HELD_BY, i->held_name, STR(""));
    }
    pg_close(p);
    pg_open(p, "td", "wide");
    pg_data(p, page_private(p, i->why, false));
    pg_close(p);
    pg_close(p);
}

static void due_row(struct queue *x, const struct work_item *i)
{
    struct page *p = &x->p;
    bool over = false;
    struct str left = i->day == WORK_NEVER ? STR("—") : days_words(p, i->day, &over);
    pg_row(p);
    where_cells(x, i);
    pg_cell(p, x->which == QUEUE_LEADS ? lead_channel_words(p, i->what) : clock_name_words(p, i->what));
    pg_leaf(p, "td", "when", work_day_words(p, i->day));
    pg_leaf(p, "td", over ? "over" : NO_CLASS, left);
    pg_cell(p, x->which == QUEUE_LEADS ? i->why : i->person);
    pg_close(p);
}

static void conflict_row(struct queue *x, const struct work_item *i)
{
    struct page *p = &x->p;
    pg_row(p);
    pg_cell_link(p, page_url(p, "/conflicts", STR(""), ATTRS({"household", i->code})),
                 i->name.n ? i->name : i->code);
    pg_cell(p, area_path(p, &x->names, i->area));
    pg_cell_number(p, i->count);
    pg_close(p);
}

static void apart_row(struct queue *x, const struct work_item *i)
{
    struct page *p = &x->p;
    pg_row(p);
    pg_leaf(p, "td", "code", i->what);
    pg_leaf(p, "td", "when", work_day_words(p, i->day));
    pg_open(p, "td", "wide");
    pg_data(p, page_private(p, i->why, false));
    pg_close(p);
    pg_open(p, "td", NO_CLASS);
    if (screen_can(p->c, ACT_RELEASE, STR_NONE)) {
        pg_post_begin(p, STR("/work?q=quarantine"), NULL);
        pg_hidden(p, "act", STR("release"));
        pg_hidden(p, "frame", i->what);
        pg_button(p, W_RELEASE, NULL, NULL);
        pg_close(p);
    }
    pg_close(p);
    pg_close(p);
}

static void table_draw(struct queue *x, uint32_t shown)
{
    static const struct column visits[] = {{W_NAME, NULL, false},    {W_AREA, NULL, false},
                                           {W_MACHINE, NULL, false}, {W_WHEN, NULL, false},
                                           {W_WHO, NULL, false},     {W_STATE, NULL, false},
                                           {W_WHY, NULL, false}};
    static const struct column due[] = {{W_NAME, NULL, false},  {W_AREA, NULL, false},
                                        {W_CLOCK, NULL, false}, {W_WHEN, NULL, false},
                                        {W_DUE, NULL, false},   {W_ASSIGNED, NULL, false}};
    static const struct column leads[] = {{W_NAME, NULL, false},    {W_AREA, NULL, false},
                                          {W_CHANNEL, NULL, false}, {W_WHEN, NULL, false},
                                          {W_DUE, NULL, false},     {W_SOURCE, NULL, false}};
    static const struct column conflicts[] = {{W_NAME, NULL, false},
                                              {W_AREA, NULL, false},
                                              {W_IN_DISPUTE, NULL, true}};
    static const struct column apart[] = {{W_FRAME, NULL, false},
                                          {W_RECEIVED, NULL, false},
                                          {W_WHY, NULL, false},
                                          {W_RELEASE, NULL, false}};
    struct page *p = &x->p;
    struct table t = {.caption = word_of(p, queue_words[x->which]), .caption_hidden = true};
    t.columns = is_visits(x->which)           ? visits
                : x->which == QUEUE_DUE       ? due
                : x->which == QUEUE_LEADS     ? leads
                : x->which == QUEUE_CONFLICTS ? conflicts
                                              : apart;
    t.count = is_visits(x->which)            ? 7
              : x->which == QUEUE_CONFLICTS  ? 3
              : x->which == QUEUE_QUARANTINE ? 4
                                             : 6;
    t.ticks = x->which == QUEUE_MINE;
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < shown; i++) {
        if (is_visits(x->which))
            visit_row(x, &x->items[i]);
        else if (x->which == QUEUE_CONFLICTS)
            conflict_row(x, &x->items[i]);
        else if (x->which == QUEUE_QUARANTINE)
            apart_row(x, &x->items[i]);
        else
            due_row(x, &x->items[i]);
    }
    pg_table_end(p);
}

static void left_out(struct queue *x)
{
    static const struct column columns[] = {{W_CODE, NULL, false}, {W_WHY, NULL, false}};
    struct page *p = &x->p;
    const struct table t = {.columns = columns, .count = 2, .caption = word_of(p, W_BULK_LEFT)};
    pg_note(p, x->left_count ? "warn" : "good",
            page_say(p, W_BULK_DONE, page_count(p, x->approved), page_count(p, x->left_count)));
    if (!x->left_count)
        return;
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < x->left_count; i++) {
        pg_row(p);
        pg_cell_link(p, page_url(p, "/households/*", x->left[i].code, NULL), x->left[i].code);
        pg_cell(p, x->left[i].why);
        pg_close(p);
    }
    pg_table_end(p);
}

static enum err queue_draw(struct queue *x, struct diag *d)
{
    struct page *p = &x->p;
    uint32_t shown = x->count < PAGE_ROWS ? x->count : PAGE_ROWS;
    (void)d;
    pg_begin(p, NAV_QUEUES, word_of(p, queue_words[x->which]));
    pg_done(p);
    if (x->wrong.n)
        pg_note(p, "bad", x->wrong);
    tabs_draw(x);
    if (x->acted && !x->wrong.n)
        left_out(x);
    if (!shown) {
        pg_empty(p, W_Q_NONE);
        pg_end(p);
        return ERR_OK;
    }
    bool bulk = x->which == QUEUE_MINE;
    if (bulk) {
        pg_post_begin(p, STR("/work?q=mine"), NULL);
        pg_hidden(p, "act", STR("approve"));
    }
    table_draw(x, shown);
    if (bulk) {
        pg_open(p, "div", "actions");
        pg_button(p, W_APPROVE_TICKED, "main", "a");
        pg_leaf_word(p, "span", "hint-line", W_BULK_HINT);
        pg_close(p);
        pg_close(p);
    }
    if (x->count > shown)
        pg_next(p, page_url(p, "/work", STR(""),
                            ATTRS({"q", str_of(work_queue_name(x->which))},
                                  {"after", x->items[shown - 1].key})));
    pg_end(p);
    return ERR_OK;
}

enum err screen_work(struct call *c, struct diag *d)
{
    struct queue x = {0};
    page_init(&x.p, c);
    enum err rc = screen_may(c, ACT_SEE_HOUSEHOLDS, STR_NONE, d);
    if (!rc)
        rc = queue_load(&x, d);
    return rc ? rc : queue_draw(&x, d);
}

/* ---- acts ---- */

static enum err approve_ticked(struct queue *x, struct diag *d)
{
    struct call *c = x->p.c;
    uint64_t visits[PAGE_ROWS];
    uint32_t n = 0;
    struct desk k;
    struct work_by by = screen_by(c);
    for (uint32_t i = 0; i < c->form.count && n < PAGE_ROWS; i++)
        if (str_eq_z(c->form.at[i].name, "visit") && str_to_u64(c->form.at[i].value, &visits[n]))
            n++;
    enum err rc = screen_desk(&x->p, NULL, &k, d);
    if (rc)
        return rc;
    screen_lock(c);
    rc = review_bulk(&k, &by, visits, n, &x->approved, &x->left, &x->left_count, d);
    screen_unlock(c);
    x->acted = true;
    return rc;
}

/* "DEVICE.INC.SEQ.COPY", as the queue names a frame. */
static bool frame_read(struct str text, struct apart_name *out)
{
    struct str part;
    uint64_t n[3];
    unsigned char device[8];
    if (!str_split(&text, '.', &part) || !hex_read(part, device, sizeof device))
        return false;
    out->device = 0;
    for (int i = 0; i < 8; i++)
        out->device = out->device << 8 | device[i];
    for (int i = 0; i < 3; i++)
        if (!str_split(&text, '.', &part) || !str_to_u64(part, &n[i]) || (i != 1 && n[i] > UINT32_MAX))
            return false;
    out->inc = (uint32_t)n[0];
    out->batch_seq = n[1];
    out->copy = (uint32_t)n[2];
    return true;
}

static enum err release(struct queue *x, struct diag *d)
{
    struct call *c = x->p.c;
    struct apart_name name;
    enum err rc = screen_may(c, ACT_RELEASE, STR_NONE, d);
    if (!rc && !frame_read(posted(c, "frame"), &name))
        rc = diag_set(d, ERR_USAGE, "The form names no frame.");
    return rc ? rc : review_release(c->server, c->st, c->a, &name, c->person.name, false, d);
}

enum err screen_work_post(struct call *c, struct diag *d)
{
    struct queue x = {0};
    page_init(&x.p, c);
    bool releases = str_eq_z(posted(c, "act"), "release");
    enum err rc = screen_may(c, ACT_SEE_HOUSEHOLDS, STR_NONE, d);
    if (!rc)
        rc = releases ? release(&x, d) : approve_ticked(&x, d);
    if (rc == ERR_STATE || rc == ERR_EXISTS || rc == ERR_NOT_FOUND) {
        x.wrong = arena_str(c->a, str_of(d->text));
        diag_clear(d);
        c->reply->status = 409;
        rc = ERR_OK;
    }
    if (!rc && releases && !x.wrong.n)
        return page_go(c, STR("/work?q=quarantine&done=done"), d);
    if (!rc)
        rc = queue_load(&x, d);
    return rc ? rc : queue_draw(&x, d);
}
