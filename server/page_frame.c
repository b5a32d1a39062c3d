/* What surrounds every page of the centre: head, bar, navigation, footer; the headers that keep a browser
 * from running or showing anything else; errors as pages. */
#include "server/page_frame.h"

#include "platform/http_form.h"
#include "server/screens.h"
#include "server/web.h"

static struct str header_of(const struct call *c, const char *name)
{
    return http_header_find(c->request->headers, c->request->header_count, name);
}

static struct str cookie_of(const struct call *c, const char *name)
{
    struct str header = header_of(c, "Cookie");
    return header.p ? http_cookie(header, name) : STR_NONE;
}

/* The cookie decides, else what the browser says; Chinese when it says neither. */
static enum language language_of(const struct call *c)
{
    struct str chosen = cookie_of(c, "lang");
    if (chosen.p)
        return str_eq_z(chosen, "en") ? LANGUAGE_EN : LANGUAGE_ZH;
    struct str wanted = header_of(c, "Accept-Language");
    ptrdiff_t zh = wanted.p ? str_find(wanted, STR("zh")) : -1;
    ptrdiff_t en = wanted.p ? str_find(wanted, STR("en")) : -1;
    return en >= 0 && (zh < 0 || en < zh) ? LANGUAGE_EN : LANGUAGE_ZH;
}

void page_init(struct page *p, struct call *c)
{
    *p = (struct page){.c = c, .out = &c->reply->body, .a = c->a, .zone = srv_zone(c->server)};
    p->language = language_of(c);
    p->now_ms = srv_now_ms(c->server);
}

struct str page_csrf(struct page *p)
{
    return str_of(p->c->csrf);
}

/* What else a browser is told is the same for every page (handle.c). */
static void headers(struct page *p)
{
    p->c->reply->header_count = 0;
    reply_header(p->c->reply, "Content-Type", STR("text/html; charset=utf-8"));
    reply_header(p->c->reply, "Vary", STR("Cookie, Accept-Language"));
}

static const char *theme_of(const struct page *p)
{
    struct str t = cookie_of(p->c, "theme");
    return str_eq_z(t, "light") ? "light" : str_eq_z(t, "dark") ? "dark" : str_eq_z(t, "sun") ? "sun" : NULL;
}

static void head(struct page *p, struct str title, const char *sheet)
{
    headers(p);
    buf_put_z(p->out, "<!doctype html>");
    pg_open_with(p, "html",
                 ATTRS({"lang", p->language == LANGUAGE_EN ? STR("en") : STR("zh-CN")},
                       {"data-theme", str_of(theme_of(p))}));
    pg_open(p, "head", NO_CLASS);
    pg_void(p, "meta", ATTRS({"charset", STR("utf-8")}));
    pg_void(p, "meta",
            ATTRS({"name", STR("viewport")}, {"content", STR("width=device-width, initial-scale=1")}));
    pg_leaf(p, "title", NO_CLASS, page_join(p, title, STR(" · "), word_of(p, W_PRODUCT)));
    pg_void(p, "link",
            ATTRS({"rel", STR("icon")}, {"type", STR("image/svg+xml")}, {"href", web_url("icon.svg")}));
    pg_void(p, "link", ATTRS({"rel", STR("stylesheet")}, {"href", web_url("centre.css")}));
    pg_open_with(p, "script", ATTRS({"type", STR("module")}, {"src", web_url("centre.js")}));
    pg_close(p);
    pg_close(p);
    pg_open(p, "body", sheet);
}

/* ---- navigation ---- */

static const struct nav {
    enum place_in_nav at;
    const char *path, *go; /* go: the letter behind "g" */
    enum word word;
    enum act act, also; /* who may do one of them finds it in the menu; the pages ask for themselves */
} navigation[] = {
    {NAV_OVERVIEW, "/", "o", W_OVERVIEW, ACT_SEE_TOTALS, ACT_NONE},
    {NAV_QUEUES, "/work", "q", W_QUEUES, ACT_ASSIGN, ACT_NONE},
    {NAV_HOUSEHOLDS, "/households", "h", W_HOUSEHOLDS, ACT_SEE_HOUSEHOLDS, ACT_NONE},
    {NAV_CONFLICTS, "/conflicts", "c", W_CONFLICTS, ACT_RESOLVE, ACT_NONE},
    {NAV_LEADS, "/leads", "l", W_LEADS, ACT_REPORT_LEAD, ACT_NONE},
    {NAV_MAP, "/map", "m", W_MAP, ACT_SEE_HOUSEHOLDS, ACT_NONE},
    {NAV_PUBLISH, "/publish", "p", W_PUBLISH, ACT_PUBLISH, ACT_NONE},
    {NAV_DEVICES, "/devices", "d", W_DEVICES, ACT_SEE_DEVICES, ACT_NONE},
    {NAV_PEOPLE, "/people", "e", W_PEOPLE, ACT_SEE_PEOPLE, ACT_NONE},
    {NAV_IMPORT, "/import", "i", W_IMPORT, ACT_IMPORT_DEPARTMENTS, ACT_IMPORT_HOUSEHOLDS},
    {NAV_EXPORT, "/export", "x", W_EXPORT, ACT_EXPORT_PUBLIC, ACT_NONE},
    {NAV_AUDIT, "/audit", "a", W_AUDIT, ACT_SEE_AUDIT, ACT_NONE},
};

static void nav(struct page *p, enum place_in_nav at)
{
    pg_open_with(p, "nav", ATTRS({"id", STR("nav")}, {"aria-label", word_of(p, W_NAV_LABEL)}));
    pg_open(p, "ul", NO_CLASS);
    for (size_t i = 0; i < sizeof navigation / sizeof navigation[0]; i++) {
        const struct nav *n = &navigation[i];
        if (!may_anywhere(p->c->person.role, n->act) && !may_anywhere(p->c->person.role, n->also))
            continue;
        pg_open(p, "li", NO_CLASS);
        pg_open_with(p, "a",
                     ATTRS({"href", str_of(n->path)}, {"data-go", str_of(n->go)},
                           {"aria-current", n->at == at ? STR("page") : STR_NONE}));
        pg_word(p, n->word);
        pg_close(p);
        pg_close(p);
    }
    pg_close(p);
    pg_link_word(p, STR("#main"), "menu-link", W_MENU_CLOSE);
    pg_close(p);
}

static void choice(struct page *p, const char *name, const char *value, struct str text, bool here)
{
    pg_open_with(p, "button",
                 ATTRS({"type", STR("submit")}, {"class", STR("quiet")}, {"name", str_of(name)},
                       {"value", str_of(value)}, {"aria-pressed", here ? STR("true") : STR_NONE}));
    pg_text(p, text);
    pg_close(p);
}

/* Language and display: a cookie each, no script. */
static void preferences(struct page *p)
{
    const char *theme = theme_of(p);
    pg_post_begin(p, STR("/preferences"), "preferences");
    pg_hidden(p, "back", http_path(p->c->request->url));
    choice(p, "lang", p->language == LANGUAGE_EN ? "zh" : "en", word_of(p, W_LANGUAGE_OTHER), false);
    choice(p, "theme", "light", word_of(p, W_THEME_LIGHT), theme && strcmp(theme, "light") == 0);
    choice(p, "theme", "dark", word_of(p, W_THEME_DARK), theme && strcmp(theme, "dark") == 0);
    choice(p, "theme", "sun", word_of(p, W_THEME_SUN), theme && strcmp(theme, "sun") == 0);
    pg_close(p);
}

enum word role_word(uint8_t role)
{
    return role >= ROLE_HOUSEHOLD && role <= ROLE_ADMIN ? (enum word)(W_ROLE_1 + role - 1) : W_NONE;
}

static void who(struct page *p)
{
    pg_open(p, "div", "who");
    pg_open(p, "span", NO_CLASS);
    pg_data(p, p->c->person.name);
    pg_text(p, STR(" · "));
    pg_word(p, role_word(p->c->person.role));
    pg_close(p);
    pg_post_begin(p, STR("/logout"), NO_CLASS);
    pg_button(p, W_SIGN_OUT, "quiet", NULL);
    pg_close(p);
    pg_close(p);
}

static void find(struct page *p)
{
    pg_open_with(p, "form",
                 ATTRS({"method", STR("get")}, {"action", STR("/households")}, {"role", STR("search")},
                       {"class", STR("find")}));
    pg_open_with(p, "label", ATTRS({"for", STR("find")}));
    pg_word(p, W_FIND_HOUSEHOLD);
    pg_text(p, STR(" "));
    pg_open_with(p, "kbd", ATTRS({"aria-hidden", STR("true")}));
    pg_text(p, STR("/"));
    pg_close(p);
    pg_close(p);
    pg_void(p, "input",
            ATTRS({"type", STR("search")}, {"id", STR("find")}, {"name", STR("q")},
                  {"autocomplete", STR("off")}, {"value", page_query(p, "q")}, {"data-find", STR("")},
                  {"maxlength", STR("100")}));
    pg_button(p, W_FIND, "quiet", NULL);
    pg_close(p);
}

static void bar(struct page *p, bool signed_in)
{
    pg_link_word(p, STR("#main"), "skip", W_SKIP);
    pg_open(p, "header", "bar");
    pg_open_with(p, "a", ATTRS({"class", STR("brand")}, {"href", signed_in ? STR("/") : STR("/login")}));
    pg_word(p, W_PRODUCT);
    pg_close(p);
    pg_open(p, "span", "county");
    pg_data(p, srv_centre(p->c->server)->county);
    pg_close(p);
    if (signed_in) {
        pg_link_word(p, STR("#nav"), "menu-link", W_MENU);
        if (may_anywhere(p->c->person.role, ACT_SEE_HOUSEHOLDS))
            find(p);
    }
    preferences(p);
    if (signed_in)
        who(p);
    pg_close(p);
}

static void main_begin(struct page *p, struct str title)
{
    pg_open_with(p, "main", ATTRS({"id", STR("main")}, {"tabindex", STR("-1")}));
    pg_open(p, "h1", NO_CLASS);
    pg_data(p, title);
    pg_close(p);
}

void pg_begin(struct page *p, enum place_in_nav at, struct str title)
{
    head(p, title, NULL);
    bar(p, true);
    pg_open(p, "div", "frame");
    nav(p, at);
    main_begin(p, title);
}

void pg_begin_public(struct page *p, struct str title)
{
    head(p, title, "public");
    bar(p, false);
    pg_open(p, "div", "frame");
    main_begin(p, title);
}

void pg_begin_print(struct page *p, const char *sheet, struct str title)
{
    head(p, title, sheet);
    pg_open_with(p, "main", ATTRS({"id", STR("main")}));
    pg_leaf(p, "h1", NO_CLASS, title);
}

/* What the keys do, opened by "?"; without script it is not offered. */
static void keys(struct page *p)
{
    static const struct {
        const char *keys;
        enum word word;
    } rows[] = {{"/", W_KEYS_SEARCH}, {"j k", W_KEYS_ROWS},        {"Enter", W_KEYS_OPEN},
                {"x", W_KEYS_TICK},   {"a r d", W_KEYS_ACTS},      {"1–9", W_KEYS_CHOOSE},
                {"?", W_KEYS_HELP},   {"g + o q h c p", W_KEYS_GO}};
    pg_open_with(p, "dialog", ATTRS({"id", STR("keys")}, {"aria-labelledby", STR("keys-title")}));
    pg_open_with(p, "h2", ATTRS({"id", STR("keys-title")}));
    pg_word(p, W_KEYS_TITLE);
    pg_close(p);
    pg_open(p, "dl", "keys");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pg_open(p, "dt", NO_CLASS);
        pg_leaf(p, "kbd", NO_CLASS, str_of(rows[i].keys));
        pg_close(p);
        pg_leaf_word(p, "dd", NO_CLASS, rows[i].word);
    }
    pg_close(p);
    pg_open_with(p, "form", ATTRS({"method", STR("dialog")}));
    pg_button(p, W_KEYS_CLOSE, NULL, NULL);
    pg_close(p);
    pg_close(p);
}

void pg_end(struct page *p)
{
    pg_close_to(p, 2); /* html, body */
    if (p->c->person.person)
        keys(p);
    pg_close_to(p, 0);
    buf_put_z(p->out, "\n");
}

enum err page_go(struct call *c, struct str url, struct diag *d)
{
    CHECK(str_starts(url, STR("/")) && !str_starts(url, STR("//")));
    return reply_see_other(c, url, d);
}

/* ---- errors ---- */

static const struct {
    enum err code;
    enum word what, todo;
} sentences[] = {{ERR_DENIED, W_ERR_DENIED, W_ERR_DENIED_TODO},
                 {ERR_NOT_FOUND, W_ERR_NOT_FOUND, W_ERR_NOT_FOUND_TODO},
                 {ERR_BUSY, W_ERR_BUSY, W_ERR_BUSY_TODO},
                 {ERR_USAGE, W_ERR_USAGE, W_ERR_USAGE_TODO},
                 {ERR_SYNTAX, W_ERR_USAGE, W_ERR_USAGE_TODO},
                 {ERR_STATE, W_ERR_STATE, W_ERR_STATE_TODO},
                 {ERR_EXISTS, W_ERR_STATE, W_ERR_STATE_TODO}};

void page_error(struct call *c, enum err rc, const struct diag *d)
{
    struct page p;
    enum word what = W_ERR_OTHER, todo = W_ERR_OTHER_TODO;
    for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
        if (sentences[i].code == rc) {
            what = sentences[i].what;
            todo = sentences[i].todo;
        }
    }
    buf_clear(&c->reply->body);
    page_init(&p, c);
    if (c->person.person)
        pg_begin(&p, NAV_NONE, word_of(&p, what));
    else
        pg_begin_public(&p, word_of(&p, what));
    pg_leaf_word(&p, "p", NO_CLASS, todo);
    pg_open(&p, "details", NO_CLASS);
    pg_leaf_word(&p, "summary", NO_CLASS, W_ERR_TECHNICAL);
    pg_open(&p, "p", "code");
    pg_text(&p, str_of(err_action(rc)->name));
    pg_text(&p, STR(": "));
    pg_data(&p, str_of(d->text[0] ? d->text : err_action(rc)->todo_en));
    pg_close(&p);
    pg_close(&p);
    pg_end(&p);
}
