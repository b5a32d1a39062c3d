/* A form made of what a pack says about its questions: to check a pack for a form that is not at hand. Every
 * path that the pack names is there, of a type that fits; nothing is known of choices.
 */
#include "risk/pack_impl.h"

#define OWN_FORM_BYTES_MAX (8u << 20)
#define OWN_FORM_DEPTH_MAX 32

struct leaf {
    struct str path, set; /* set: path of the repeat it lies in, "" = none */
    bool date;
};

struct leaves {
    struct leaf *at;
    uint32_t count;
};

/* Shell's sort: no more memory, and a pack has some hundreds of questions. */
static void sort_by_path(struct leaf *list, uint32_t count)
{
    for (uint32_t gap = count / 2; gap; gap /= 2)
        for (uint32_t i = gap; i < count; i++) {
            struct leaf x = list[i];
            uint32_t k = i;
            for (; k >= gap && str_cmp(list[k - gap].path, x.path) > 0; k -= gap)
                list[k] = list[k - gap];
            list[k] = x;
        }
}

static bool path_usable(struct str path)
{
    struct str rest = str_sub(path, 1, path.n), name;
    uint32_t depth = 0;
    if (path.n < 2 || path.p[0] != '/')
        return false;
    while (str_split(&rest, '/', &name))
        if (!pack_name_valid(name) || ++depth > OWN_FORM_DEPTH_MAX)
            return false;
    return true;
}

static struct str joined(struct arena *a, struct str set, struct str name)
{
    char *p = arena_alloc(a, set.n + name.n + 1);
    if (!p)
        return STR_NONE;
    memcpy(p, set.p, set.n);
    p[set.n] = '/';
    memcpy(p + set.n + 1, name.p, name.n);
    return (struct str){p, set.n + name.n + 1};
}

static void add(struct leaves *l, struct str path, struct str set, const struct json *o)
{
    if (path_usable(path) && (!set.n || path_usable(set)))
        l->at[l->count++] = (struct leaf){path, set, str_eq_z(json_text(o, "type"), "date")};
}

static enum err gather(struct arena *a, const struct json *root, struct leaves *l)
{
    const struct json *inputs = json_get(root, "inputs"), *sets = json_get(root, "sets");
    uint32_t room = inputs ? inputs->count : 0;
    for (const struct json *s = sets ? sets->child : NULL; s; s = s->next)
        room += json_get(s, "fields") ? json_get(s, "fields")->count : 0;
    l->at = ARENA_ARRAY(a, struct leaf, room + 1);
    if (!l->at)
        return ERR_NOMEM;
    for (const struct json *o = inputs ? inputs->child : NULL; o; o = o->next)
        add(l, json_text(o, "path"), STR(""), o);
    for (const struct json *s = sets ? sets->child : NULL; s; s = s->next) {
        const struct json *fields = json_get(s, "fields");
        struct str set = json_text(s, "path");
        for (const struct json *o = fields ? fields->child : NULL; o; o = o->next) {
            struct str path = joined(a, set, o->name);
            if (!path.p)
                return ERR_NOMEM;
            add(l, path, set, o);
        }
    }
    sort_by_path(l->at, l->count);
    return ERR_OK;
}

/* Elements that stand open, from the root down; `n` of the path are shared with what comes next. */
static void close_to(struct buf *out, struct str *open, size_t n)
{
    while (open->n > n) {
        size_t at = open->n;
        while (open->p[at - 1] != '/')
            at--;
        buf_printf(out, "</%.*s>", STR_ARG(str_sub(*open, at, open->n - at)));
        open->n = at - 1;
    }
}

/* Of `open`, what `path` lies below: whole names only. */
static size_t shared(struct str open, struct str path)
{
    size_t n = open.n;
    while (n > 0 && !(path.n > n && memcmp(open.p, path.p, n) == 0 && path.p[n] == '/'))
        do
            n--;
        while (n > 0 && open.p[n] != '/');
    return n;
}

static void put_elements(struct buf *out, const struct leaves *l)
{
    struct str open = STR("");
    for (uint32_t i = 0; i < l->count; i++) {
        struct str path = l->at[i].path;
        if (i && str_eq(path, l->at[i - 1].path))
            continue;
        close_to(out, &open, shared(open, path));
        for (size_t from = open.n + 1, to; from < path.n; from = to + 1) {
            for (to = from; to < path.n && path.p[to] != '/'; to++)
                ;
            struct str name = str_sub(path, from, to - from), here = str_sub(path, 0, to);
            bool root = from == 1, leaf = to == path.n;
            bool set = l->at[i].set.n && str_eq(here, l->at[i].set);
            buf_printf(out, "<%.*s%s%s%s", STR_ARG(name), root ? " id='own'" : "",
                       set ? " jr:template=''" : "", leaf ? "/>" : ">");
            if (!leaf)
                open = here;
        }
    }
    close_to(out, &open, 0);
}

static void put_body(struct buf *out, const struct leaves *l)
{
    struct str set = STR("");
    for (uint32_t i = 0; i < l->count; i++) {
        const struct leaf *x = &l->at[i];
        if (i && str_eq(x->path, l->at[i - 1].path))
            continue;
        if (!str_eq(set, x->set)) {
            buf_put_z(out, set.n ? "</repeat></group>" : "");
            if (x->set.n)
                buf_printf(out, "<group><repeat nodeset='%.*s'>", STR_ARG(x->set));
            set = x->set;
        }
        buf_printf(out, "<input ref='%.*s'/>", STR_ARG(x->path));
    }
    buf_put_z(out, set.n ? "</repeat></group>" : "");
}

enum err pack_own_form(struct arena *a, const struct json *root, const struct form **form_out, struct diag *d)
{
    struct buf xml;
    struct leaves l = {0};
    struct form_findings findings = {0};
    enum err rc = gather(a, root, &l);
    if (rc)
        return diag_set(d, rc, "There is no memory left for the rule pack.");
    buf_init(&xml, OWN_FORM_BYTES_MAX);
    buf_put_z(&xml,
              "<h:html xmlns='http://www.w3.org/2002/xforms' xmlns:h='http://www.w3.org/1999/xhtml' "
              "xmlns:jr='http://openrosa.org/javarosa'><h:head><h:title>own</h:title><model><instance>");
    put_elements(&xml, &l);
    buf_put_z(&xml, "</instance>");
    for (uint32_t i = 0; i < l.count; i++)
        if (!i || !str_eq(l.at[i].path, l.at[i - 1].path))
            buf_printf(&xml, "<bind nodeset='%.*s' type='%s'/>", STR_ARG(l.at[i].path),
                       l.at[i].date ? "date" : "string");
    buf_put_z(&xml, "</model></h:head><h:body>");
    put_body(&xml, &l);
    buf_put_z(&xml, "</h:body></h:html>");
    rc = xml.failed ? diag_set(d, xml.failed, "The pack names too many questions.")
                    : form_load(a, buf_str(&xml), form_out, &findings, d);
    if (rc == ERR_SYNTAX)
        rc = diag_set(d, rc,
                      "The pack's paths make no form: they all begin with the same root, and none lies "
                      "below another. Check it against its form.");
    buf_free(&xml);
    return rc;
}
