/* Publishing: what is live, how a new version differs from it in words and by question, and the press that
 * makes it live. The file lies parked between the two; withdrawing is publishing the earlier one again. */
#include "server/screens.h"
#include "server/store_pages.h"

#define SOON_DAYS_OF_PACK 60
#define DIFF_MAX 300

struct publishing {
    struct page p;
    struct published *list;
    uint32_t count;
    struct str kind, id, file_name, bytes, name, wrong;
    bool shown; /* a file is parked and compared */
    VEC(struct change_told {
        const char *class_name;
        struct str text;
    }) diff;
};

static void told(struct publishing *x, const char *class_name, struct str what, struct str more)
{
    struct change_told *t = x->diff.count < DIFF_MAX ? vec_push(x->p.a, &x->diff) : NULL;
    if (t)
        *t = (struct change_told){class_name, more.n ? page_join(&x->p, what, STR(" · "), more) : what};
}

/* ---- differences ---- */

static void forms_compare(struct publishing *x, const struct form *old, const struct form *new)
{
    static const char *const types[] = {"text", "integer", "decimal",  "yes/no",  "date",
                                        "time", "instant", "position", "line",    "area",
                                        "file", "barcode", "one of",   "several", "in order"};
    for (uint32_t i = 0; i < form_field_count(new); i++) {
        const struct form_field *f = form_field(new, i), *was = form_field_by_path(old, f->path);
        struct str name = f->label.n ? f->label : f->path;
        if (!was)
            told(x, "added", name, f->path);
        else if (was->type != f->type)
            told(x, "warn", name,
                 page_join(&x->p, str_of(types[was->type]), STR(" → "), str_of(types[f->type])));
        else if (!str_eq(was->label, f->label))
            told(x, "changed", page_join(&x->p, was->label, STR(" → "), f->label), STR(""));
    }
    for (uint32_t i = 0; i < form_field_count(old); i++) {
        const struct form_field *f = form_field(old, i);
        if (!form_field_by_path(new, f->path))
            told(x, "removed", f->label.n ? f->label : f->path, f->path);
    }
}

static const struct json *item_of(const struct json *list, struct str id)
{
    for (const struct json *c = list ? list->child : NULL; c; c = c->next)
        if (str_eq(c->name.n ? c->name : json_text(c, "id"), id))
            return c;
    return NULL;
}

static struct str item_value(const struct json *item)
{
    const struct json *value = json_get(item, "value");
    return value ? value->text : json_text(item, "when");
}

static void packs_compare(struct publishing *x, const struct json *old, const struct json *new)
{
    static const char *const parts[] = {"params", "checks"};
    for (int k = 0; k < 2; k++) {
        const struct json *was = json_get(old, parts[k]), *now = json_get(new, parts[k]);
        for (const struct json *c = now ? now->child : NULL; c; c = c->next) {
            struct str id = c->name.n ? c->name : json_text(c, "id");
            const struct json *before = item_of(was, id);
            if (!before)
                told(x, "added", id, item_value(c));
            else if (!str_eq(item_value(before), item_value(c)))
                told(x, "changed", id, page_join(&x->p, item_value(before), STR(" → "), item_value(c)));
        }
        for (const struct json *c = was ? was->child : NULL; c; c = c->next) {
            struct str id = c->name.n ? c->name : json_text(c, "id");
            if (!item_of(now, id))
                told(x, "removed", id, STR(""));
        }
    }
}

static uint64_t lines_in(struct str text)
{
    uint64_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    return n;
}

/* With the live object of the same kind and id; what cannot be read is told by publishing itself. */
static enum err compare(struct publishing *x, struct diag *d)
{
    struct page *p = &x->p;
    struct published live;
    struct str before = STR("");
    struct form_findings found = {0};
    struct diag quiet = {0};
    const struct form *form = NULL, *old_form = NULL;
    const struct json *pack = NULL, *old_pack = NULL;
    x->name = str_eq_z(x->kind, "list") ? x->file_name : STR("");
    if (str_eq_z(x->kind, "form") && !form_load(p->a, x->bytes, &form, &found, &quiet))
        x->name = form_id(form);
    if (str_eq_z(x->kind, "pack") && !json_read(p->a, x->bytes, &pack, &quiet))
        x->name = json_text(pack, "id");
    for (uint32_t i = 0; i < found.list.count; i++)
        told(x, "warn", found.list.at[i].text, found.list.at[i].node);
    enum err rc = published_live(p->c->st, p->a, arena_z(p->a, x->kind), x->name, &live, &quiet);
    if (rc == ERR_NOT_FOUND)
        return ERR_OK;
    if (!rc)
        rc = cstore_object(p->c->st, p->a, live.hash, NULL, &before, d);
    if (rc)
        return rc;
    found = (struct form_findings){0};
    if (form && !form_load(p->a, before, &old_form, &found, &quiet))
        forms_compare(x, old_form, form);
    if (pack && !json_read(p->a, before, &old_pack, &quiet))
        packs_compare(x, old_pack, pack);
    if (str_eq_z(x->kind, "list"))
        told(x, "changed",
             page_join(p, page_count(p, lines_in(before)), STR(" → "), page_count(p, lines_in(x->bytes))),
             STR(""));
    return ERR_OK;
}

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

static void list_draw(struct publishing *x)
{
    static const struct column columns[] = {{W_PUB_KIND, NULL, false},
                                            {W_PUB_ID, NULL, false},
                                            {W_VERSION, NULL, false},
                                            {W_PUB_TITLE, NULL, false},
                                            {W_STATE, NULL, false}};
    struct page *p = &x->p;
    const struct table t = {.columns = columns,
                            .count = 5,
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
        pg_close(p);
    }
    pg_table_end(p);
}

static void compare_draw(struct publishing *x)
{
    struct page *p = &x->p;
    pg_leaf(p, "h2", NO_CLASS, page_join(p, word_of(p, W_PUB_DIFF), STR(" · "), x->file_name));
    if (!x->diff.count)
        pg_leaf_word(p, "p", NO_CLASS, W_PUB_SAME);
    pg_open(p, "ul", "diff");
    for (uint32_t i = 0; i < x->diff.count; i++) {
        pg_open(p, "li", x->diff.at[i].class_name);
        pg_data(p, x->diff.at[i].text);
        pg_close(p);
    }
    pg_close(p);
    pg_post_begin(p, STR("/publish"), "actions");
    pg_hidden(p, "act", STR("publish"));
    pg_hidden(p, "kind", x->kind);
    pg_hidden(p, "id", x->id);
    pg_button(p, W_PUB_DO, "main", NULL);
    pg_link_word(p, STR("/publish"), "button", W_PUB_DISCARD);
    pg_close(p);
}

static void upload_draw(struct publishing *x)
{
    struct page *p = &x->p;
    const struct option choices[] = {{STR("form"), word_of(p, W_PUB_KIND_FORM)},
                                     {STR("list"), word_of(p, W_PUB_KIND_LIST)},
                                     {STR("pack"), word_of(p, W_PUB_KIND_PACK)}};
    pg_leaf_word(p, "h2", NO_CLASS, W_PUB_UPLOAD);
    pg_post_file_begin(p, STR("/publish"));
    pg_hidden(p, "act", STR("compare"));
    pg_select(p, &(struct field){.name = "kind", .label = W_PUB_KIND}, choices, 3);
    pg_field(p, &(struct field){.name = "file", .type = "file", .label = W_PUB_FILE, .required = true});
    pg_button(p, W_PUB_COMPARE, "main", NULL);
    pg_close(p);
}

static enum err publish_draw(struct publishing *x, struct diag *d)
{
    struct page *p = &x->p;
    enum err rc = published_all(p->c->st, p->a, &x->list, &x->count, d);
    if (rc)
        return rc;
    pg_begin(p, NAV_PUBLISH, word_of(p, W_PUBLISH));
    pg_done(p);
    if (x->wrong.n) {
        pg_open_with(p, "div", ATTRS({"class", STR("note bad")}, {"role", STR("alert")}));
        struct str rest = x->wrong, line;
        while (str_split(&rest, '\n', &line)) {
            pg_open(p, "p", NO_CLASS);
            pg_data(p, line);
            pg_close(p);
        }
        pg_close(p);
    }
    expiry_draw(x);
    if (x->shown)
        compare_draw(x);
    list_draw(x);
    if (!x->shown)
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

static enum err park(struct publishing *x, struct diag *d)
{
    struct call *c = x->p.c;
    const struct http_field *f = http_form_file(&c->form, "file");
    if (!f || !f->value.n)
        return diag_set(d, ERR_USAGE, "The form holds no file.");
    x->file_name = f->file_name;
    x->bytes = f->value;
    return park_file(c, x->file_name, x->bytes, &x->id, d);
}

static enum err release(struct publishing *x, struct diag *d)
{
    struct call *c = x->p.c;
    struct desk k;
    struct buf lines;
    struct publish_result result;
    buf_init(&lines, 1u << 20);
    enum err rc = screen_desk(&x->p, &lines, &k, d);
    if (!rc) {
        screen_lock(c);
        rc = publish(&k, x->kind, STR(""), x->file_name, x->bytes, &result, d);
        screen_unlock(c);
    }
    if (rc && lines.n)
        x->wrong = arena_str(c->a, buf_str(&lines));
    buf_free(&lines);
    if (!rc)
        rc = screen_note(c, "published", STR(""), page_join(&x->p, result.id, STR(" "), result.version), d);
    return rc;
}

enum err screen_publish_post(struct call *c, struct diag *d)
{
    struct publishing x = {0};
    page_init(&x.p, c);
    bool compares = str_eq_z(posted(c, "act"), "compare");
    x.kind = posted(c, "kind");
    x.id = posted(c, "id");
    enum err rc = screen_may(c, ACT_PUBLISH, STR_NONE, d);
    if (!rc && !str_eq_z(x.kind, "form") && !str_eq_z(x.kind, "list") && !str_eq_z(x.kind, "pack"))
        rc = diag_set(d, ERR_USAGE, "The form does not say what is published.");
    if (!rc)
        rc = compares ? park(&x, d)
                      : parked_get(c->st, c->a, x.id, c->person.person, &x.file_name, &x.bytes, d);
    if (!rc)
        rc = compares ? compare(&x, d) : release(&x, d);
    if (!rc && !compares)
        return page_go(c, STR("/publish?done=published"), d);
    x.shown = !rc;
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
