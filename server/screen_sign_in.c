/* The page to sign in, and how a reader likes pages to be: language and display, a cookie each. */
#include "server/screens.h"

enum err screen_login(struct call *c, struct diag *d)
{
    struct page p;
    page_init(&p, c);
    if (c->person.person)
        return page_go(c, STR("/"), d);
    struct str why = page_query(&p, "why"), next = page_query(&p, "next");
    pg_begin_public(&p, word_of(&p, W_SIGN_IN));
    if (str_eq_z(why, "wrong"))
        pg_note(&p, "bad", word_of(&p, W_SIGN_IN_WRONG));
    else if (str_eq_z(why, "wait"))
        pg_note(&p, "bad", page_say(&p, W_SIGN_IN_SLOW, page_query(&p, "s"), STR("")));
    pg_post_begin(&p, STR("/login"), NULL);
    if (next.n)
        pg_hidden(&p, "next", next);
    pg_field(&p, &(struct field){
                     .name = "name", .label = W_SIGN_IN_NAME, .required = true, .autocomplete = "username"});
    pg_field(&p, &(struct field){.name = "password",
                                 .type = "password",
                                 .label = W_SIGN_IN_PASSWORD,
                                 .required = true,
                                 .autocomplete = "current-password"});
    pg_field(&p, &(struct field){.name = "code",
                                 .label = W_SIGN_IN_CODE,
                                 .hint = W_SIGN_IN_CODE_HINT,
                                 .autocomplete = "one-time-code",
                                 .inputmode = "numeric"});
    pg_button(&p, W_SIGN_IN, "main", NULL);
    pg_close(&p);
    pg_open(&p, "p", "more");
    pg_link_word(&p, STR("/report"), "button", W_SELF_REPORT_LINK);
    pg_close(&p);
    pg_end(&p);
    return ERR_OK;
}

static bool path_of_ours(struct str path)
{
    if (path.n == 0 || path.n > 1000 || path.p[0] != '/')
        return false;
    for (size_t i = 0; i < path.n; i++)
        if ((unsigned char)path.p[i] <= ' ' || path.p[i] == '\\' || path.p[i] == 127)
            return false;
    return path.n < 2 || path.p[1] != '/';
}

static enum err cookie(struct call *c, const char *name, const char *value, struct diag *d)
{
    struct buf b;
    buf_init(&b, 200);
    buf_printf(&b, "%s=%s; Path=/; SameSite=Lax; Max-Age=31536000%s", name, value,
               c->request->secure ? "; Secure" : "");
    struct str kept = arena_str(c->texts, buf_str(&b));
    buf_free(&b);
    if (!kept.p)
        return diag_set(d, ERR_NOMEM, "Out of memory while keeping a preference.");
    reply_header(c->reply, "Set-Cookie", kept);
    return ERR_OK;
}

enum err screen_preferences(struct call *c, struct diag *d)
{
    static const struct {
        const char *name, *value;
    } known[] = {{"lang", "zh"}, {"lang", "en"}, {"theme", "light"}, {"theme", "dark"}, {"theme", "sun"}};
    struct str back = posted(c, "back");
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < sizeof known / sizeof known[0]; i++)
        if (str_eq_z(posted(c, known[i].name), known[i].value))
            rc = cookie(c, known[i].name, known[i].value, d);
    return rc ? rc : page_go(c, path_of_ours(back) ? back : STR("/"), d);
}
