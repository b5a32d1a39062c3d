/* Publishing: what is live, drafts, how a draft differs from what is live (in words, by question, tried on
 * stored visits and judged households), for which areas it goes out first, and the way back. */
#include "server/screens.h"
#include "server/stage.h"

#define SOON_DAYS_OF_PACK 60
#define DIFF_MAX 300
#define TRIAL_VISITS 500
#define CHANGED_SHOWN 50

struct publishing {
    struct page p;
    struct published *list;
    uint32_t count;
    struct draft_row *drafts;
    uint32_t draft_count;
    struct stage_diff diff;
    const struct draft_row *draft; /* that is compared; NULL = none */
    struct str kind, id, wrong;
};

/* ---- drawing ---- */

/* A pack that runs out: yellow for its last days, red after. */
static void expiry_draw(struct publishing *x)
{
    struct page *p = &x->p;
    for (uint32_t i = 0; i < x->count; i++) {
        const struct json *pack = NULL;
        struct str bytes;
        int64_t until = 0;
        const struct published *o = &x->list[i];
        if (!str_eq_z(o->kind, "pack") || !str_eq_z(o->state, "live") ||
            cstore_object(p->c->st, p->a, o->hash, NULL, &bytes, NULL) ||
            json_read(p->a, bytes, &pack, NULL) ||
            !page_day_read(json_text(json_get(pack, "valid"), "to"), &until))
            continue;
        int64_t left = until - page_today(p);
        struct str name = page_join(p, o->id, STR(" "), o->version);
        if (left < 0)
            pg_note(p, "bad", page_say(p, W_PUB_EXPIRED, name, page_u64(p, (uint64_t)-left)));
        else if (left <= SOON_DAYS_OF_PACK)
            pg_note(p, "warn", page_say(p, W_PUB_EXPIRES, name, page_u64(p, (uint64_t)left)));
    }
}

static enum word kind_word(struct str kind)
{
    return str_eq_z(kind, "form")   ? W_PUB_KIND_FORM
           : str_eq_z(kind, "list") ? W_PUB_KIND_LIST
           : str_eq_z(kind, "pack") ? W_PUB_KIND_PACK
                                    : W_PUB_KIND_DICTIONARY;
}

/* Another version of the same was live before this one. */
static bool had_before(const struct publishing *x, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++)
        if (str_eq(x->list[i].kind, x->list[at].kind) && str_eq(x->list[i].id, x->list[at].id))
            return true;
    return false;
}

static void list_draw(struct publishing *x)
{
    static const struct column columns[] = {{W_PUB_KIND, NULL, false}, {W_PUB_ID, NULL, false},
                                            {W_VERSION, NULL, false},  {W_PUB_TITLE, NULL, false},
                                            {W_STATE, NULL, false},    {W_CHANGE, NULL, false}};
    struct page *p = &x->p;
    const struct table t = {.columns = columns,
                            .count = 6,
                            .caption = word_of(p, W_PUBLISH),
                            .caption_hidden = true};
    if (!x->count) {
        pg_empty(p, W_PUB_NONE);
        return;
    }
    pg_table_begin(p, &t);
    for (uint32_t i = x->count; i-- > 0;) {
        const struct published *o = &x->list[i];
        pg_row(p);
        pg_cell_word(p, kind_word(o->kind));
        pg_cell(p, o->id);
        pg_cell(p, o->version);
        pg_cell(p, o->title);
        pg_cell_word(p, str_eq_z(o->state, "live") ? W_PUB_LIVE : W_PUB_RETIRED);
        pg_open(p, "td", NO_CLASS);
        if (str_eq_z(o->state, "live") && had_before(x, i)) {
            pg_post_begin(p, STR("/publish"), NULL);
            pg_hidden(p, "kind", o->kind);
            pg_hidden(p, "id", o->id);
            pg_button_key(p, W_PUB_WITHDRAW, NULL, "act", "withdraw", NULL);
            pg_close(p);
        }
        pg_close(p);
        pg_close(p);
    }
    pg_table_end(p);
}

static void changes_draw(struct publishing *x)
{
    struct page *p = &x->p;
    if (!x->diff.count)
        pg_leaf_word(p, "p", NO_CLASS, x->diff.live.id.n ? W_PUB_SAME : W_PUB_ALL_NEW);
    pg_open(p, "ul", "diff");
    for (uint32_t i = 0; i < x->diff.count && i < DIFF_MAX; i++) {
        const struct stage_change *c = &x->diff.changes[i];
        pg_open(p, "li",
                c->sign == STAGE_ADDED     ? "added"
                : c->sign == STAGE_REMOVED ? "removed"
                : c->sign == STAGE_CHANGED ? "changed"
                                           : "warn");
        pg_data(p, c->label.n ? c->label : c->place);
        if (c->what.n) {
            pg_text(p, STR(" · "));
            pg_data(p, c->what);
        }
        if (c->before.n || c->now.n) {
            pg_text(p, STR(" · "));
            pg_data(p, c->before.n ? c->before : STR("—"));
            pg_text(p, STR(" → "));
            pg_data(p, c->now.n ? c->now : STR("—"));
        }
        pg_close(p);
    }
    pg_close(p);
}

/* What the draft would do to visits and households that are there. */
static void trial_draw(struct publishing *x)
{
    static const struct column columns[] = {{W_CODE, NULL, false},
                                            {W_OLD_VALUE, NULL, false},
                                            {W_NEW_VALUE, NULL, false}};
    struct page *p = &x->p;
    const struct stage_diff *f = &x->diff;
    const struct table t = {.columns = columns, .count = 3, .caption = word_of(p, W_PUB_CHANGE_LEVEL)};
    if (f->tried)
        pg_note(p, f->attention ? "warn" : "good",
                page_say(p, W_PUB_TRIED, page_count(p, f->tried), page_count(p, f->attention)));
    if (f->judged)
        pg_note(p, f->other_level ? "warn" : "good",
                page_say(p, W_PUB_JUDGED, page_count(p, f->judged), page_count(p, f->other_level)));
    if (!f->household_count)
        return;
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < f->household_count && i < CHANGED_SHOWN; i++) {
        const struct stage_household *h = &f->households[i];
        pg_row(p);
        pg_cell_link(p, page_url(p, "/households/*", h->code, NULL), h->code);
        pg_cell_level(p, h->before);
        pg_cell_level(p, h->now);
        pg_close(p);
    }
    pg_table_end(p);
}

static void compare_draw(struct publishing *x)
{
    struct page *p = &x->p;
    const struct draft_row *o = x->draft;
    struct str name = page_join(p, page_join(p, o->id, STR(" "), x->diff.live.version), STR(" → "),
                                o->version);
    pg_leaf(p, "h2", NO_CLASS, page_join(p, word_of(p, W_PUB_DIFF), STR(" · "), name));
    changes_draw(x);
    trial_draw(x);
    pg_post_begin(p, STR("/publish"), "row-of");
    pg_hidden(p, "kind", o->kind);
    pg_hidden(p, "id", o->id);
    pg_field(p, &(struct field){.name = "areas", .label = W_PUB_AREA});
    pg_button_key(p, W_PUB_DO, "main", "act", "publish", NULL);
    pg_link_word(p, STR("/publish"), "button", W_BACK);
    pg_close(p);
}

static void drafts_draw(struct publishing *x)
{
    static const struct column columns[] = {{W_PUB_DRAFT, NULL, false},
                                            {W_PUB_KIND, NULL, false},
                                            {W_VERSION, NULL, false},
                                            {W_WHO, NULL, false},
                                            {W_WHEN, NULL, false}};
    struct page *p = &x->p;
    const struct table t = {.columns = columns, .count = 5, .caption = word_of(p, W_PUB_DRAFT)};
    if (!x->draft_count)
        return;
    pg_table_begin(p, &t);
    for (uint32_t i = 0; i < x->draft_count; i++) {
        const struct draft_row *o = &x->drafts[i];
        pg_row(p);
        pg_cell_link(p, page_url(p, "/publish", STR(""), ATTRS({"kind", o->kind}, {"id", o->id})), o->id);
        pg_cell_word(p, kind_word(o->kind));
        pg_cell(p, o->version);
        pg_cell(p, o->by);
        pg_cell_time(p, o->at_ms);
        pg_close(p);
    }
    pg_table_end(p);
}

static void upload_draw(struct publishing *x)
{
    struct page *p = &x->p;
    const struct option choices[] = {{STR("form"), word_of(p, W_PUB_KIND_FORM)},
                                     {STR("list"), word_of(p, W_PUB_KIND_LIST)},
                                     {STR("pack"), word_of(p, W_PUB_KIND_PACK)}};
    pg_leaf_word(p, "h2", NO_CLASS, W_PUB_UPLOAD);
    pg_post_file_begin(p, STR("/publish"));
    pg_hidden(p, "act", STR("draft"));
    pg_select(p, &(struct field){.name = "kind", .label = W_PUB_KIND}, choices, 3);
    pg_field(p, &(struct field){.name = "file", .type = "file", .label = W_PUB_FILE, .required = true});
    pg_button(p, W_PUB_COMPARE, "main", NULL);
    pg_close(p);
}

static void wrong_draw(struct publishing *x)
{
    struct page *p = &x->p;
    struct str rest = x->wrong, line;
    if (!x->wrong.n)
        return;
    pg_open_with(p, "div", ATTRS({"class", STR("note bad")}, {"role", STR("alert")}));
    while (str_split(&rest, '\n', &line)) {
        pg_open(p, "p", NO_CLASS);
        pg_data(p, line);
        pg_close(p);
    }
    pg_close(p);
}

/* The draft of the address is compared, tried and shown. */
static enum err draft_read(struct publishing *x, struct desk *k, struct diag *d)
{
    struct str kind = x->kind.n ? x->kind : page_query(&x->p, "kind");
    struct str id = x->id.n ? x->id : page_query(&x->p, "id");
    enum err rc = stage_drafts(k, &x->drafts, &x->draft_count, d);
    for (uint32_t i = 0; !rc && i < x->draft_count && !x->draft; i++)
        if (kind.n && str_eq(x->drafts[i].kind, kind) && str_eq(x->drafts[i].id, id))
            x->draft = &x->drafts[i];
    if (!rc && x->draft)
        rc = stage_compare(k, kind, id, TRIAL_VISITS, &x->diff, d);
    return rc;
}

static enum err publish_draw(struct publishing *x, struct diag *d)
{
    struct page *p = &x->p;
    struct desk k;
    enum err rc = published_all(p->c->st, p->a, &x->list, &x->count, d);
    if (!rc)
        rc = screen_desk(p, NULL, &k, d);
    if (!rc)
        rc = draft_read(x, &k, d);
    if (rc)
        return rc;
    pg_begin(p, NAV_PUBLISH, word_of(p, W_PUBLISH));
    pg_done(p);
    wrong_draw(x);
    expiry_draw(x);
    if (x->draft)
        compare_draw(x);
    drafts_draw(x);
    list_draw(x);
    if (!x->draft)
        upload_draw(x);
    pg_end(p);
    return ERR_OK;
}

enum err screen_publish(struct call *c, struct diag *d)
{
    struct publishing x = {0};
    page_init(&x.p, c);
    enum err rc = screen_may(c, ACT_PUBLISH, STR_NONE, d);
    return rc ? rc : publish_draw(&x, d);
}

/* ---- acts ---- */

static enum err act(struct publishing *x, struct desk *k, struct str what, struct diag *d)
{
    struct call *c = x->p.c;
    struct publish_result result = {0};
    struct published now;
    const struct http_field *f = http_form_file(&c->form, "file");
    enum err rc = ERR_OK;
    if (str_eq_z(what, "draft")) {
        if (!f || !f->value.n)
            return diag_set(d, ERR_USAGE, "The form holds no file.");
        rc = stage_draft(k, c->person.name, x->kind, STR(""), f->file_name, f->value, &result, d);
        if (!rc)
            x->id = result.id;
    } else if (str_eq_z(what, "publish")) {
        rc = stage_publish(k, x->kind, x->id, str_trim(posted(c, "areas")), &result, d);
    } else if (str_eq_z(what, "withdraw")) {
        rc = stage_withdraw(k, x->kind, x->id, &now, d);
    } else {
        rc = diag_set(d, ERR_USAGE, "The form names no act.");
    }
    return rc;
}

enum err screen_publish_post(struct call *c, struct diag *d)
{
    struct publishing x = {0};
    struct desk k;
    struct buf lines;
    struct str what = posted(c, "act");
    page_init(&x.p, c);
    x.kind = posted(c, "kind");
    x.id = posted(c, "id");
    enum err rc = screen_may(c, ACT_PUBLISH, STR_NONE, d);
    if (!rc && !str_eq_z(x.kind, "form") && !str_eq_z(x.kind, "list") && !str_eq_z(x.kind, "pack"))
        rc = diag_set(d, ERR_USAGE, "The form does not say what is published.");
    buf_init(&lines, 1u << 20);
    if (!rc)
        rc = screen_desk(&x.p, &lines, &k, d);
    if (!rc) {
        screen_lock(c);
        rc = act(&x, &k, what, d);
        screen_unlock(c);
    }
    if (rc && lines.n)
        x.wrong = arena_str(c->a, buf_str(&lines));
    buf_free(&lines);
    if (!rc)
        rc = screen_note(c,
                         str_eq_z(what, "draft")     ? "draft-kept"
                         : str_eq_z(what, "publish") ? "published"
                                                     : "withdrawn",
                         STR(""), page_join(&x.p, x.kind, STR(" "), x.id), d);
    if (!rc && str_eq_z(what, "draft"))
        return page_go(c, page_url(&x.p, "/publish", STR(""), ATTRS({"kind", x.kind}, {"id", x.id})), d);
    if (!rc)
        return page_go(c, STR("/publish?done=published"), d);
    if (rc == ERR_USAGE || rc == ERR_SYNTAX || rc == ERR_EXISTS || rc == ERR_NOT_FOUND || rc == ERR_STATE ||
        rc == ERR_LIMIT) {
        if (!x.wrong.n)
            x.wrong = arena_str(c->a, str_of(d->text));
        diag_clear(d);
        c->reply->status = 409;
        rc = ERR_OK;
    }
    return rc ? rc : publish_draw(&x, d);
}
