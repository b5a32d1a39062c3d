/* Exports: what there is, who may, what is left out of the public tables. A download is one table; each is
 * noted in the audit. */
#include "server/screens.h"

struct gather {
    struct buf *out;
    struct str wanted; /* the one table that is wanted */
    uint32_t at;       /* its number, UINT32_MAX = not begun */
};

static enum err file_begin(void *self, uint32_t file, struct str name, struct diag *d)
{
    struct gather *g = self;
    (void)d;
    if (str_eq(name, g->wanted))
        g->at = file;
    return ERR_OK;
}

static enum err file_write(void *self, uint32_t file, struct str bytes, struct diag *d)
{
    struct gather *g = self;
    if (file != g->at)
        return ERR_OK;
    buf_put_str(g->out, bytes);
    return g->out->failed
               ? diag_set(d, ERR_LIMIT,
                          "The table is larger than a download from here. Use: doorstepd export DIR")
               : ERR_OK;
}

static enum err file_end(void *self, uint32_t file, struct diag *d)
{
    struct gather *g = self;
    (void)d;
    if (file == g->at)
        g->at = UINT32_MAX;
    return ERR_OK;
}

static const struct sort {
    const char *name;
    enum word word;
    enum act act;
} sorts[] = {{"csv", W_EXPORT_CSV, ACT_EXPORT}, {"public", W_EXPORT_PUBLIC, ACT_EXPORT_PUBLIC}};

static void form_draw(struct page *p, const struct form_row *f)
{
    pg_leaf(p, "h2", NO_CLASS, f->title.n ? f->title : f->id);
    for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++) {
        if (!screen_can(p->c, sorts[i].act, STR_NONE) || (p->c->person.area.n && i == 0))
            continue;
        pg_post_begin(p, STR("/export"), "row-of");
        pg_hidden(p, "form", f->id);
        pg_hidden(p, "sort", str_of(sorts[i].name));
        pg_field(p, &(struct field){.name = "table",
                                    .label = sorts[i].word,
                                    .value = page_join(p, f->id, STR(".csv"), STR(""))});
        pg_button(p, W_EXPORT_DO, i == 0 ? "main" : NULL, NULL);
        pg_close(p);
    }
}

static enum err export_draw(struct page *p, struct str wrong, struct diag *d)
{
    struct form_row *forms = NULL;
    uint32_t count = 0;
    enum err rc = cstore_forms(p->c->st, p->a, STR(""), &forms, &count, d);
    if (rc)
        return rc;
    pg_begin(p, NAV_EXPORT, word_of(p, W_EXPORT));
    if (wrong.n)
        pg_note(p, "bad", wrong);
    pg_leaf_word(p, "p", "hint-line", W_EXPORT_INTRO);
    if (!count)
        pg_empty(p, W_EXPORT_NONE);
    for (uint32_t i = 0; i < count; i++) {
        bool newer = false;
        for (uint32_t k = 0; k < i; k++)
            newer = newer || str_eq(forms[k].id, forms[i].id);
        if (!newer)
            form_draw(p, &forms[i]);
    }
    pg_leaf_word(p, "h2", NO_CLASS, W_EXPORT_COLUMNS);
    pg_leaf_word(p, "p", "struck", W_EXPORT_LEFT_OUT);
    pg_end(p);
    return ERR_OK;
}

enum err screen_export(struct call *c, struct diag *d)
{
    struct page p;
    page_init(&p, c);
    enum err rc = screen_may(c, ACT_EXPORT_PUBLIC, STR_NONE, d);
    return rc ? rc : export_draw(&p, STR(""), d);
}

enum err screen_export_post(struct call *c, struct diag *d)
{
    struct page p;
    struct desk k;
    struct export_result result = {0};
    page_init(&p, c);
    bool all = !str_eq_z(posted(c, "sort"), "public");
    struct str form = posted(c, "form"), table = str_trim(posted(c, "table"));
    struct gather g = {.out = &c->reply->body, .wanted = table, .at = UINT32_MAX};
    const struct export_sink sink = {&g, file_begin, file_write, file_end, true};
    /* Tables hold the whole county: they are not for somebody of one township. */
    enum err rc = screen_may(c, all ? ACT_EXPORT : ACT_EXPORT_PUBLIC, all ? STR("") : STR_NONE, d);
    if (!rc)
        rc = screen_desk(&p, NULL, &k, d);
    if (!rc)
        rc = all ? export_csv(&k, form, &sink, &result, d) : export_public(&k, form, &sink, &result, d);
    if (!rc && !c->reply->body.n)
        rc = diag_set(d, ERR_NOT_FOUND, "There is no table %.*s, or nothing in it yet.", STR_ARG(table));
    if (!rc)
        rc = screen_note(c, "exported", STR(""),
                         page_join(&p, all ? STR("csv ") : STR("public "), table, STR("")), d);
    if (rc == ERR_STATE || rc == ERR_NOT_FOUND || rc == ERR_LIMIT || rc == ERR_USAGE) {
        struct str wrong = arena_str(c->a, str_of(d->text));
        diag_clear(d);
        buf_clear(&c->reply->body);
        c->reply->status = 409;
        return export_draw(&p, wrong, d);
    }
    if (rc)
        return rc;
    reply_header(c->reply, "Content-Type", STR("text/csv; charset=utf-8"));
    reply_header(c->reply, "Content-Disposition", disposition(&p, table));
    return ERR_OK;
}
