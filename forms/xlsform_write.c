/* The XForm as text, from the tree: one element on a line, so that a line of the XML stands for one place in
 * the workbook. Where each line's expressions came from is remembered; that is how mistakes found by the form
 * compiler get back to their cell.
 */
#include "forms/xlsform_impl.h"

#include "forms/limits.h"

struct element {
    const char *name;
    struct str own;     /* name when it is not a literal */
    bool open, inlined; /* start tag not yet closed; text on the same line */
};
struct writer {
    struct xl *x;
    struct buf *out;
    uint32_t line, depth;
    struct element stack[FORM_DEPTH_MAX + 16];
};

/* --- elements --- */

static void count_lines(struct writer *w, struct str s)
{
    const char *end = s.p + s.n;
    for (const char *p = s.p; s.n && (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        w->line++;
}

static void put(struct writer *w, struct str s)
{
    count_lines(w, s);
    buf_put_str(w->out, s);
}

static void open_named(struct writer *w, const char *name, struct str own)
{
    CHECK(w->depth < FORM_DEPTH_MAX + 16);
    if (w->depth > 0 && w->stack[w->depth - 1].open) {
        put(w, w->stack[w->depth - 1].inlined ? STR("") : STR(">\n"));
        w->stack[w->depth - 1].open = false;
    }
    put(w, STR("<"));
    put(w, name ? str_of(name) : own);
    w->stack[w->depth++] = (struct element){name, own, true, false};
}

static void open(struct writer *w, const char *name)
{
    open_named(w, name, STR(""));
}

static void remember(struct writer *w, struct str what, struct xl_cell cell, uint32_t node)
{
    struct xl_line *l = xl_push(w->x, &w->x->lines);
    if (l)
        *l = (struct xl_line){w->line + 1, 0, what, cell, node};
}

static void attr_str(struct writer *w, struct str name, struct str value)
{
    put(w, STR(" "));
    put(w, name);
    put(w, STR("=\""));
    buf_put_xml_attr(w->out, value);
    put(w, STR("\""));
}

static void attr(struct writer *w, const char *name, struct str value)
{
    attr_str(w, str_of(name), value);
}

/* Text of an element whose start tag is open; the line does not end. */
static void text(struct writer *w, struct str s)
{
    struct element *e = &w->stack[w->depth - 1];
    if (e->open) {
        put(w, STR(">"));
        e->open = false;
        e->inlined = true;
    }
    count_lines(w, s);
    buf_put_xml_text(w->out, s);
}

static void close(struct writer *w)
{
    struct element *e = &w->stack[--w->depth];
    if (e->open) {
        put(w, STR("/>\n"));
        return;
    }
    put(w, STR("</"));
    put(w, e->name ? str_of(e->name) : e->own);
    put(w, STR(">\n"));
}

static void leaf(struct writer *w, const char *name, struct str s)
{
    open(w, name);
    if (s.n)
        text(w, s);
    close(w);
}

/* --- labels: text with values of other answers in it --- */

/* The next part of a label that is shown as a value: an instance() path or a reference. */
static bool next_output(struct str s, size_t from, size_t *start, size_t *end)
{
    size_t a, b, c, d;
    struct str name;
    bool last_saved, path = xl_find_instance(s, from, &a, &b);
    bool reference = xl_find_reference(s, from, &c, &d, &name, &last_saved);
    while (reference && !name.n) /* a broken one is text */
        reference = xl_find_reference(s, d, &c, &d, &name, &last_saved);
    if (!path && !reference)
        return false;
    bool first = path && (!reference || a <= c);
    *start = first ? a : c;
    *end = first ? b : d;
    return true;
}

static bool has_output(struct str s)
{
    size_t a, b;
    return next_output(s, 0, &a, &b);
}

static void put_output(struct writer *w, struct str expression)
{
    put(w, STR("<output value=\""));
    buf_put_xml_attr(w->out, expression);
    put(w, STR("\"/>"));
}

/* Inside an open element. Mixed content gets a space at its ends where text meets the tags, as in the
 * reference. */
static void rich_text(struct writer *w, struct str s, uint32_t node, struct xl_cell cell)
{
    size_t start, end, from = 0, parts = 0;
    bool last_is_text = true;
    if (!s.n)
        return;
    if (!has_output(s)) {
        text(w, s);
        return;
    }
    for (size_t f = 0; next_output(s, f, &start, &end); f = end)
        parts += 1 + (start > f) + (end < s.n ? 1 : 0);
    bool mixed = parts > 1;
    remember(w, STR("output"), cell, node);
    if (mixed) {
        next_output(s, 0, &start, &end);
        text(w, start > 0 ? STR(" ") : STR(""));
    } else {
        put(w, STR(">\n"));
        w->stack[w->depth - 1].open = false;
        remember(w, STR("output"), cell, node);
    }
    for (; next_output(s, from, &start, &end); from = end) {
        if (start > from)
            text(w, str_sub(s, from, start - from));
        put_output(w, xl_resolve(w->x, str_sub(s, start, end - start), node, cell, false));
        last_is_text = false;
    }
    if (from < s.n) {
        text(w, str_sub(s, from, s.n));
        last_is_text = true;
    }
    (void)last_is_text;
    if (mixed)
        put(w, STR(" "));
    else
        put(w, STR("\n"));
}

/* --- translations --- */

/* All of it lives only while the XML is written: a text in nine languages is nine values. */
struct itext_value {
    const char *form; /* NULL = the text itself */
    struct str kind;  /* of media */
    struct str text;
    uint32_t node;
    struct xl_cell cell;
    bool plain; /* nobody sees it: what it refers to need not be there */
    struct itext_value *next;
};
struct itext_entry {
    uint32_t id; /* in ids */
    struct itext_value *first, *last;
};
struct itext_language {
    struct str name;
    VEC(struct itext_entry) entries;
    VEC(uint32_t) of_id; /* entry of an id, NOWHERE = none */
};
struct itext {
    struct arena scratch;
    struct map by_id;
    VEC(struct str) ids;
    VEC(struct itext_language) languages;
};

static struct itext_language *language(struct xl *x, struct itext *t, struct str name)
{
    for (uint32_t i = 0; i < t->languages.count; i++)
        if (str_eq(t->languages.at[i].name, name))
            return &t->languages.at[i];
    struct itext_language *l = xl_check(x, vec_push(&t->scratch, &t->languages));
    if (l)
        l->name = name;
    return l;
}

static uint32_t id_number(struct xl *x, struct itext *t, struct str id)
{
    uint32_t i;
    if (map_get(&t->by_id, id, &i))
        return i;
    struct str *slot = xl_check(x, vec_push(&t->scratch, &t->ids));
    if (!slot)
        return NOWHERE;
    *slot = id;
    if (map_put(&t->by_id, id, t->ids.count - 1))
        xl_check(x, NULL);
    return t->ids.count - 1;
}

static struct itext_entry *entry(struct xl *x, struct itext *t, struct itext_language *l, uint32_t id)
{
    while (l->of_id.count <= id) {
        uint32_t *none = xl_check(x, vec_push(&t->scratch, &l->of_id));
        if (!none)
            return NULL;
        *none = NOWHERE;
    }
    if (l->of_id.at[id] != NOWHERE)
        return &l->entries.at[l->of_id.at[id]];
    struct itext_entry *e = xl_check(x, vec_push(&t->scratch, &l->entries));
    if (!e)
        return NULL;
    *e = (struct itext_entry){id, NULL, NULL};
    l->of_id.at[id] = l->entries.count - 1;
    return e;
}

static bool same_value(const struct itext_value *a, const struct itext_value *b)
{
    return str_eq(a->kind, b->kind) && (a->form == NULL) == (b->form == NULL);
}

static void itext_put(struct xl *x, struct itext *t, struct itext_language *l, uint32_t id,
                      struct itext_value v)
{
    struct itext_entry *e = l && id != NOWHERE ? entry(x, t, l, id) : NULL;
    for (const struct itext_value *i = e ? e->first : NULL; i; i = i->next)
        if (same_value(i, &v))
            return;
    struct itext_value *slot = e ? xl_check(x, arena_alloc(&t->scratch, sizeof(*slot))) : NULL;
    if (!slot)
        return;
    *slot = v;
    slot->next = NULL;
    if (e->last)
        e->last->next = slot;
    else
        e->first = slot;
    e->last = slot;
}

static void itext_text(struct xl *x, struct itext *t, const struct xl_text *from, struct str id,
                       struct itext_value as)
{
    uint32_t number = from->at.count ? id_number(x, t, id) : NOWHERE;
    for (uint32_t i = 0; i < from->at.count && !x->rc; i++) {
        as.text = from->at.at[i].text;
        as.cell = from->at.at[i].cell;
        itext_put(x, t, language(x, t, from->at.at[i].language), number, as);
    }
}

static struct str text_id(struct xl *x, const struct xl_node *n, const char *what)
{
    return xl_concat(x, n->path, STR(":"), str_of(what));
}

static bool label_in_itext(const struct xl_node *n)
{
    return n->label.translated || n->media_count > 0;
}

static bool hint_in_itext(const struct xl_node *n)
{
    return n->hint.translated || n->guidance.at.count > 0;
}

static void collect_lists(struct xl *x, struct itext *t)
{
    for (uint32_t i = 0; i < x->lists.count; i++)
        for (uint32_t k = 0; x->lists.at[i].itext && k < x->lists.at[i].choices.count && !x->rc; k++) {
            const struct xl_choice *c = &x->lists.at[i].choices.at[k];
            struct str id = xl_text_of(x, "%.*s-%u", STR_ARG(x->lists.at[i].name), k);
            struct itext_value as = {.node = NOWHERE, .plain = !x->lists.at[i].used};
            itext_text(x, t, &c->label, id, as);
            for (uint32_t m = 0; m < c->media_count; m++) {
                as.kind = c->media[m].kind;
                itext_text(x, t, &c->media[m].text, id, as);
            }
        }
}

static void collect_node(struct xl *x, struct itext *t, uint32_t i)
{
    const struct xl_node *n = xl_node(x, i);
    const struct itext_value own = {.node = i}, guidance = {.form = "guidance", .node = i};
    for (uint32_t k = 0; k < n->bind.at.count; k++)
        if (n->bind.at.at[k].text)
            itext_text(x, t, n->bind.at.at[k].text, text_id(x, n, arena_z(x->a, n->bind.at.at[k].name)), own);
    if (label_in_itext(n))
        itext_text(x, t, &n->label, text_id(x, n, "label"), own);
    if (hint_in_itext(n))
        itext_text(x, t, &n->hint, text_id(x, n, "hint"), own);
    itext_text(x, t, &n->guidance, text_id(x, n, "hint"), guidance);
    for (uint32_t m = 0; m < n->media_count; m++)
        itext_text(x, t, &n->media[m].text, text_id(x, n, "label"),
                   (struct itext_value){.node = i, .kind = n->media[m].kind});
}

/* Every text exists in every language; what nobody wrote is a hyphen. */
static void fill_languages(struct xl *x, struct itext *t)
{
    struct itext_language all = {0}; /* has what any of them has */
    for (uint32_t i = 0; i < t->languages.count; i++)
        for (uint32_t k = 0; k < t->languages.at[i].entries.count && !x->rc; k++) {
            const struct itext_entry *e = &t->languages.at[i].entries.at[k];
            for (const struct itext_value *v = e->first; v; v = v->next)
                itext_put(x, t, &all, e->id, *v);
        }
    for (uint32_t j = 0; j < t->languages.count; j++)
        for (uint32_t k = 0; k < all.entries.count && !x->rc; k++)
            for (const struct itext_value *v = all.entries.at[k].first; v; v = v->next) {
                struct itext_value value = *v;
                value.text = STR("-");
                itext_put(x, t, &t->languages.at[j], all.entries.at[k].id, value);
            }
}

static void write_value(struct writer *w, const struct itext_value *v)
{
    bool image = str_eq_z(v->kind, "image") || str_eq_z(v->kind, "big-image");
    if (v->kind.n && str_eq_z(v->text, "-"))
        return;
    open(w, "value");
    if (v->form)
        attr(w, "form", str_of(v->form));
    if (v->kind.n) {
        attr(w, "form", v->kind);
        rich_text(w,
                  xl_concat(w->x, xl_concat(w->x, STR("jr://"), image ? STR("images") : v->kind, STR("/")),
                            v->text, STR("")),
                  v->node, v->cell);
    } else if (v->plain && v->text.n) {
        text(w, v->text);
    } else {
        rich_text(w, v->text, v->node, v->cell);
    }
    close(w);
}

static void write_itext(struct writer *w, struct itext *t)
{
    if (t->languages.count == 0)
        return;
    open(w, "itext");
    for (uint32_t i = 0; i < t->languages.count; i++) {
        const struct itext_language *l = &t->languages.at[i];
        open(w, "translation");
        attr(w, "lang", l->name);
        if (str_eq(l->name, w->x->default_language))
            attr(w, "default", STR("true()"));
        for (uint32_t k = 0; k < l->entries.count; k++) {
            open(w, "text");
            attr(w, "id", t->ids.at[l->entries.at[k].id]);
            for (const struct itext_value *v = l->entries.at[k].first; v; v = v->next)
                write_value(w, v);
            close(w);
        }
        close(w);
    }
    close(w);
}

/* --- the primary instance --- */

static void instance_attrs(struct writer *w, uint32_t i)
{
    const struct xl_node *n = xl_node(w->x, i);
    for (uint32_t k = 0; k < n->instance.at.count; k++) {
        const struct xl_attr *a = &n->instance.at.at[k];
        attr_str(w, a->name, xl_resolve(w->x, a->value, i, a->cell, false));
    }
}

static void write_entity_data(struct writer *w, const struct xl_entity *e)
{
    open(w, "entity");
    attr(w, "dataset", e->list);
    if (e->create_if.n || (!e->update_if.n && !e->entity_id.n))
        attr(w, "create", STR("1"));
    if (e->update_if.n || e->entity_id.n)
        attr(w, "update", STR("1"));
    if (e->entity_id.n) {
        attr(w, "baseVersion", STR(""));
        attr(w, "trunkVersion", STR(""));
        attr(w, "branchId", STR(""));
    }
    attr(w, "id", STR(""));
    if (e->label.n)
        leaf(w, "label", STR(""));
    close(w);
}

/* A repeat is written twice, as its template and as its first instance; inside either no further templates,
 * except nested ones inside the template. */
static void write_data(struct writer *w, uint32_t i, bool template, bool templates)
{
    struct xl *x = w->x;
    const struct xl_node *n = xl_node(x, i);
    if (n->kind == XL_EXTERNAL_INSTANCE || n->kind == XL_ENTITY_FIELD ||
        (n->kind == XL_META && n->first_child == NOWHERE))
        return;
    if (n->kind == XL_ENTITY) {
        write_entity_data(w, n->entity);
        return;
    }
    remember(w, STR("instance"), n->cell, i);
    open_named(w, NULL, n->name);
    if (template)
        attr(w, "jr:template", STR(""));
    else
        instance_attrs(w, i);
    if (n->kind == XL_QUESTION && n->fallback.n && !n->dynamic)
        text(w, n->fallback);
    for (uint32_t k = n->first_child; k != NOWHERE; k = xl_node(x, k)->next) {
        bool repeat = xl_node(x, k)->kind == XL_REPEAT;
        if (repeat && templates)
            write_data(w, k, true, true);
        if (!(repeat && template && templates))
            write_data(w, k, false, repeat ? false : templates);
    }
    close(w);
}

static void write_primary(struct writer *w)
{
    struct xl *x = w->x;
    open(w, "instance");
    open_named(w, NULL, x->used.form_name);
    for (uint32_t k = 0; k < x->attributes.at.count; k++)
        attr_str(w, x->attributes.at.at[k].name, x->attributes.at.at[k].value);
    attr(w, "id", x->form_id);
    if (x->instance_xmlns.n)
        attr(w, "xmlns", x->instance_xmlns);
    if (x->version.n)
        attr(w, "version", x->version);
    if (x->prefix.n)
        attr(w, "odk:prefix", x->prefix);
    if (x->delimiter.n)
        attr(w, "odk:delimiter", x->delimiter);
    for (uint32_t k = xl_node(x, 0)->first_child; k != NOWHERE; k = xl_node(x, k)->next) {
        if (xl_node(x, k)->kind == XL_REPEAT)
            write_data(w, k, true, true);
        write_data(w, k, false, xl_node(x, k)->kind != XL_REPEAT);
    }
    close(w);
    close(w);
}

/* --- secondary instances --- */

struct instance {
    struct str id, src;
    bool external; /* a row of its own */
    bool computed; /* only named in an expression */
};
struct instances {
    VEC(struct instance) at;
};

static void add_instance(struct writer *w, struct instances *all, struct str id, struct str src,
                         struct xl_cell cell, bool external)
{
    for (uint32_t i = 0; i < all->at.count; i++) {
        if (!str_eq(all->at.at[i].id, id))
            continue;
        if (external && all->at.at[i].external)
            xl_error(w->x, cell,
                     "Instance names must be unique within a form. The name '%.*s' was found more than once.",
                     STR_ARG(id));
        else if (!str_eq(all->at.at[i].src, src))
            xl_error(w->x, cell,
                     "The same instance id will be generated for different external instance source URIs. "
                     "Instance name: "
                     "'%.*s', existing URI: '%.*s', duplicate URI: '%.*s'. Rename one of the files.",
                     STR_ARG(id), STR_ARG(all->at.at[i].src), STR_ARG(src));
        all->at.at[i].computed = false;
        return;
    }
    struct instance *one = xl_push(w->x, &all->at);
    if (!one)
        return;
    *one = (struct instance){id, src, external, false};
    remember(w, STR("instance"), cell, NOWHERE);
    open(w, "instance");
    attr(w, "id", id);
    attr(w, "src", src);
    close(w);
}

static void pulled_instance(struct writer *w, struct instances *all, struct str name, struct xl_cell cell)
{
    uint32_t before = all->at.count;
    add_instance(w, all, name, xl_text_of(w->x, "jr://file-csv/%.*s.csv", STR_ARG(name)), cell, false);
    if (all->at.count > before)
        all->at.at[before].computed = true;
}

/* Names of files that pulldata() reads. */
static void pulldata_instances(struct writer *w, struct instances *all, struct str s, struct xl_cell cell)
{
    for (ptrdiff_t at; (at = str_find(s, STR("pulldata("))) >= 0;) {
        s = str_sub(s, (size_t)at + 9, s.n);
        struct str arg = s;
        size_t n = 0;
        while (n < arg.n && arg.p[n] != ',' && arg.p[n] != ')')
            n++;
        arg = str_trim(str_sub(arg, 0, n));
        if (arg.n > 2 && (arg.p[0] == '\'' || arg.p[0] == '"'))
            arg = str_trim(str_sub(arg, 1, arg.n - 2));
        if (arg.n && !memchr(arg.p, '(', arg.n) && !xl_has_reference(arg))
            pulled_instance(w, all, arg, cell);
    }
}

static const char *const expressions[] = {"calculate", "constraint", "readonly", "required", "relevant"};

static bool wants_last_saved(struct xl *x)
{
    for (uint32_t i = 0; i != NOWHERE; i = xl_after(x, i)) {
        struct xl_node *n = xl_node(x, i);
        bool found = str_find(n->choice_filter, STR("${last-saved#")) >= 0 ||
                     str_find(n->fallback, STR("${last-saved#")) >= 0;
        for (size_t k = 0; k < sizeof(expressions) / sizeof(*expressions); k++) {
            const struct xl_attr *a = xl_attr_get(&n->bind, expressions[k]);
            found |= a && str_find(a->value, STR("${last-saved#")) >= 0;
        }
        for (uint32_t k = 0; k < n->label.at.count; k++)
            found |= str_find(n->label.at.at[k].text, STR("${last-saved#")) >= 0;
        if (found)
            return true;
    }
    return false;
}

static void file_instance(struct writer *w, struct instances *all, const struct xl_node *n)
{
    size_t dot = n->itemset.n;
    while (dot > 0 && n->itemset.p[dot - 1] != '.')
        dot--;
    struct str stem = str_sub(n->itemset, 0, dot ? dot - 1 : n->itemset.n);
    bool csv = str_ends(n->itemset, STR(".csv"));
    add_instance(w, all, stem,
                 xl_concat(w->x, csv ? STR("jr://file-csv/") : STR("jr://file/"), n->itemset, STR("")),
                 n->cell, false);
}

static void node_instances(struct writer *w, struct instances *all, uint32_t i)
{
    struct xl_node *n = xl_node(w->x, i);
    bool csv = str_eq_z(n->type_name, "csv-external");
    if (n->kind == XL_EXTERNAL_INSTANCE)
        add_instance(w, all, n->name,
                     xl_text_of(w->x, csv ? "jr://file-csv/%.*s.csv" : "jr://file/%.*s.xml",
                                STR_ARG(n->name)),
                     n->cell, true);
    for (size_t k = 0; k < sizeof(expressions) / sizeof(*expressions); k++) {
        const struct xl_attr *a = xl_attr_get(&n->bind, expressions[k]);
        if (a)
            pulldata_instances(w, all, a->value, a->cell);
    }
    pulldata_instances(w, all, n->choice_filter, n->filter_cell);
    pulldata_instances(w, all, n->fallback, n->fallback_cell);
    if (n->from_file)
        file_instance(w, all, n);
}

static void write_choice(struct writer *w, const struct xl_list *l, uint32_t i)
{
    const struct xl_choice *c = &l->choices.at[i];
    struct xl_cell cell = {XL_CHOICES, c->row, NOWHERE};
    remember(w, STR("item"), cell, NOWHERE);
    open(w, "item");
    if (l->itext)
        leaf(w, "itextId", xl_text_of(w->x, "%.*s-%u", STR_ARG(l->name), i));
    leaf(w, "name", c->name);
    if (!l->itext && c->label.at.count) {
        open(w, "label");
        if (l->used)
            rich_text(w, c->label.at.at[0].text, NOWHERE, c->label.at.at[0].cell);
        else
            text(w, c->label.at.at[0].text); /* nobody sees it: what it refers to need not be there */
        close(w);
    }
    for (uint32_t k = 0; k < c->extra.at.count; k++) {
        const struct xl_attr *a = &c->extra.at.at[k];
        open_named(w, NULL, a->name);
        if (a->value.n)
            text(w, a->value);
        close(w);
    }
    close(w);
}

static void write_lists(struct writer *w, struct instances *all)
{
    for (uint32_t i = 0; i < w->x->lists.count; i++) {
        const struct xl_list *l = &w->x->lists.at[i];
        bool taken = l->search;
        for (uint32_t k = 0; k < all->at.count && !taken; k++)
            if (str_eq(all->at.at[k].id, l->name)) {
                taken = true;
                xl_error(w->x,
                         (struct xl_cell){XL_CHOICES, l->choices.count ? l->choices.at[0].row : 0, NOWHERE},
                         "The same instance id will be generated for different external instance source "
                         "URIs: the list "
                         "'%.*s' has the name of the file '%.*s'. Rename the list.",
                         STR_ARG(l->name), STR_ARG(all->at.at[k].src));
            }
        if (taken)
            continue;
        open(w, "instance");
        attr(w, "id", l->name);
        open(w, "root");
        for (uint32_t k = 0; k < l->choices.count && !w->x->rc; k++)
            write_choice(w, l, k);
        close(w);
        close(w);
    }
}

static void check_entity_instances(struct xl *x, const struct instances *all)
{
    for (uint32_t i = 0; i < x->entities.count; i++) {
        const struct xl_entity *e = &x->entities.at[i];
        bool found = !e->entity_id.n;
        for (uint32_t k = 0; k < all->at.count; k++)
            found |= str_eq(all->at.at[k].id, e->list);
        if (!found)
            xl_error(x, e->cell,
                     "The entity declaration is invalid. The entity list name '%.*s' does not match the name "
                     "of a secondary "
                     "instance, which is required when updating entities. Add a question with the type "
                     "'select_one_from_file %.*s.csv' or 'csv-external' named %.*s.",
                     STR_ARG(e->list), STR_ARG(e->list), STR_ARG(e->list));
    }
}

static bool reference_geometry_known(struct xl *x, const struct instances *all, struct str target)
{
    struct xl_list *l = xl_list_named(x, target);
    if (l && !l->search)
        return true;
    for (uint32_t i = 0; i < all->at.count; i++)
        if (str_eq(all->at.at[i].id, target) && !all->at.at[i].computed)
            return true;
    for (uint32_t i = 0; i < x->entities.count; i++)
        if (str_eq(x->entities.at[i].list, target))
            return true;
    uint32_t k;
    return xl_is_reference(target) && map_get(&x->name_index, str_sub(target, 2, target.n - 3), &k) &&
           xl_node(x, x->names.at[k].node)->kind == XL_REPEAT;
}

static bool is_geo(const struct xl_node *n)
{
    return str_eq_z(n->type_name, "geopoint") || str_eq_z(n->type_name, "geotrace") ||
           str_eq_z(n->type_name, "geoshape");
}

static void write_instances(struct writer *w)
{
    struct xl *x = w->x;
    struct instances all = {0};
    for (uint32_t i = 0; i != NOWHERE && !x->rc; i = xl_after(x, i))
        node_instances(w, &all, i);
    if (wants_last_saved(x))
        add_instance(w, &all, STR("__last-saved"), STR("jr://instance/last-saved"),
                     (struct xl_cell){XL_SURVEY, 0, NOWHERE}, false);
    for (uint32_t i = 0; i < all.at.count; i++)
        all.at.at[i].computed |= str_eq_z(all.at.at[i].src, "jr://instance/last-saved");
    write_lists(w, &all);
    check_entity_instances(x, &all);
    for (uint32_t i = 0; i != NOWHERE && !x->rc; i = xl_after(x, i)) {
        const struct xl_node *n = xl_node(x, i);
        if (is_geo(n) && n->itemset.n && !reference_geometry_known(x, &all, n->itemset))
            xl_error(x, n->cell,
                     "The 'parameters' value is invalid. The 'reference-geometry' parameter \"%.*s\" must "
                     "either match a "
                     "secondary instance name (a choices list_name, an entities list_name, or the base name "
                     "of an attached "
                     "file), or be a reference variable containing the name of a repeat.",
                     STR_ARG(n->itemset));
    }
}

/* --- binds and actions --- */

static void write_bind(struct writer *w, uint32_t i)
{
    struct xl *x = w->x;
    const struct xl_node *n = xl_node(x, i);
    if (n->bind.at.count == 0 || n->kind == XL_EXTERNAL_INSTANCE)
        return;
    remember(w, STR("bind"), n->cell, i);
    open(w, "bind");
    attr(w, "nodeset", n->path);
    for (uint32_t k = 0; k < n->bind.at.count; k++) {
        const struct xl_attr *a = &n->bind.at.at[k];
        if (n->triggers.count && str_eq_z(a->name, "calculate"))
            continue;
        remember(w, a->name, a->cell, i);
        if (a->text)
            attr_str(w, a->name, xl_text_of(x, "jr:itext('%.*s:%.*s')", STR_ARG(n->path), STR_ARG(a->name)));
        else
            attr_str(w, a->name, xl_resolve(x, a->value, i, a->cell, false));
    }
    close(w);
}

static void write_action(struct writer *w, uint32_t i, const struct xl_action *a, struct xl_cell cell)
{
    struct xl *x = w->x;
    remember(w, str_of(a->element), cell, i);
    open(w, a->element);
    attr(w, "ref", xl_node(x, i)->path);
    attr(w, "event", str_of(a->event));
    if (a->quality.n)
        attr(w, "odk:quality", a->quality);
    if (a->value.n)
        attr(w, "value", xl_resolve(x, a->value, i, cell, false));
    close(w);
}

static void entity_bind(struct writer *w, uint32_t i, const char *field, const char *order,
                        struct str calculate, struct xl_cell cell)
{
    struct xl *x = w->x;
    uint32_t from = xl_node(x, i)->first_child;
    remember(w, STR("calculate"), cell, i);
    open(w, "bind");
    attr(w, "nodeset", xl_concat(x, xl_node(x, i)->path, STR("/"), str_of(field)));
    struct str value = calculate.n ? xl_resolve(x, calculate, from, cell, false) : STR("");
    if (*order == 'c' && value.n)
        attr(w, "calculate", value);
    attr(w, "readonly", STR("true()"));
    attr(w, "type", STR("string"));
    if (*order != 'c' && value.n)
        attr(w, "calculate", value);
    close(w);
}

static void write_entity_binds(struct writer *w, uint32_t i)
{
    struct xl *x = w->x;
    const struct xl_entity *e = xl_node(x, i)->entity;
    static const char *const versions[][2] = {{"@baseVersion", "__version"},
                                              {"@trunkVersion", "__trunkVersion"},
                                              {"@branchId", "__branchId"}};
    if (e->create_if.n)
        entity_bind(w, i, "@create", "calculate", e->create_if, e->create_cell);
    if (e->update_if.n)
        entity_bind(w, i, "@update", "calculate", e->update_if, e->update_cell);
    for (size_t k = 0; e->entity_id.n && k < 3; k++)
        entity_bind(w, i, versions[k][0], "calculate",
                    xl_text_of(x, "instance('%.*s')/root/item[name=%.*s]/%s", STR_ARG(e->list),
                               STR_ARG(e->entity_id), versions[k][1]),
                    e->id_cell);
    entity_bind(w, i, "@id", "readonly", e->entity_id, e->id_cell);
    if (!e->entity_id.n) {
        open(w, "setvalue");
        attr(w, "ref", xl_concat(x, xl_node(x, i)->path, STR("/@id"), STR("")));
        attr(w, "event", STR("odk-instance-first-load"));
        attr(w, "value", STR("uuid()"));
        close(w);
    }
    if (e->label.n)
        entity_bind(w, i, "label", "calculate", e->label, e->label_cell);
}

static void write_binds(struct writer *w)
{
    struct xl *x = w->x;
    for (uint32_t i = xl_after(x, 0); i != NOWHERE && !x->rc; i = xl_after(x, i)) {
        const struct xl_node *n = xl_node(x, i);
        if (n->kind == XL_ENTITY) {
            write_entity_binds(w, i);
            continue;
        }
        write_bind(w, i);
        for (uint32_t k = 0; k < n->actions.count; k++)
            if (!n->actions.at[k].in_repeat)
                write_action(w, i, &n->actions.at[k], n->actions.at[k].value.n ? n->fallback_cell : n->cell);
    }
}

/* --- the body --- */

static void write_label(struct writer *w, uint32_t i)
{
    const struct xl_node *n = xl_node(w->x, i);
    open(w, "label");
    if (label_in_itext(n))
        attr(w, "ref", xl_text_of(w->x, "jr:itext('%.*s:label')", STR_ARG(n->path)));
    else if (n->label.at.count)
        rich_text(w, n->label.at.at[0].text, i, n->label.at.at[0].cell);
    close(w);
}

static void write_hint(struct writer *w, uint32_t i)
{
    const struct xl_node *n = xl_node(w->x, i);
    open(w, "hint");
    if (hint_in_itext(n))
        attr(w, "ref", xl_text_of(w->x, "jr:itext('%.*s:hint')", STR_ARG(n->path)));
    else
        rich_text(w, n->hint.at.at[0].text, i, n->hint.at.at[0].cell);
    close(w);
}

static void label_and_hint(struct writer *w, uint32_t i)
{
    const struct xl_node *n = xl_node(w->x, i);
    bool label = n->label.at.count > 0 || n->media_count > 0,
         hint = n->hint.at.count > 0 || n->guidance.at.count > 0;
    if (!label && (!n->hint.at.count))
        xl_error(w->x, n->cell, "The survey element named '%.*s' has no label or hint.", STR_ARG(n->name));
    write_label(w, i);
    if (hint)
        write_hint(w, i);
}

static void control_attrs(struct writer *w, uint32_t i)
{
    const struct xl_node *n = xl_node(w->x, i);
    for (uint32_t k = 0; k < n->control.at.count; k++) {
        const struct xl_attr *a = &n->control.at.at[k];
        remember(w, a->name, a->cell, i);
        attr_str(w, a->name, xl_resolve(w->x, a->value, i, a->cell, false));
    }
}

static struct str randomized(struct writer *w, uint32_t i, struct str nodeset)
{
    struct xl *x = w->x;
    const struct xl_node *n = xl_node(x, i);
    struct str seed = xl_param(n, "seed");
    if (!str_eq_z(xl_param(n, "randomize"), "true"))
        return nodeset;
    nodeset = xl_concat(x, STR("randomize("), nodeset, STR(""));
    if (seed.p)
        nodeset = xl_concat(x, nodeset, STR(", "), str_trim(xl_resolve(x, seed, i, n->cell, false)));
    return xl_concat(x, nodeset, STR(")"), STR(""));
}

static void itemset(struct writer *w, uint32_t i, struct str nodeset, struct str value, struct str label)
{
    const struct xl_node *n = xl_node(w->x, i);
    remember(w, STR("itemset"), n->choice_filter.n ? n->filter_cell : n->cell, i);
    open(w, "itemset");
    attr(w, "nodeset", randomized(w, i, nodeset));
    open(w, "value");
    attr(w, "ref", value);
    close(w);
    open(w, "label");
    attr(w, "ref", label);
    close(w);
    close(w);
}

/* Choices that are the answers to another question, one for each instance of its repeat. */
static void itemset_from_repeat(struct writer *w, uint32_t i)
{
    struct xl *x = w->x;
    const struct xl_node *n = xl_node(x, i);
    struct str name = str_sub(n->itemset, 2, n->itemset.n - 3);
    uint32_t target = xl_lookup(x, name, n->cell);
    if (target == NOWHERE)
        return;
    struct str path = xl_path_to(x, target, i, true), filter;
    size_t cut = path.n - name.n - 1;
    if (n->choice_filter.n)
        filter = xl_resolve_filter(x, n->choice_filter, i, n->filter_cell, xl_repeat_of(x, target));
    else
        filter = xl_text_of(x, "./%.*s != ''", STR_ARG(name));
    itemset(w, i, xl_text_of(x, "%.*s[%.*s]", (int)cut, path.p, STR_ARG(filter)), name, name);
}

static void write_choices(struct writer *w, uint32_t i)
{
    struct xl *x = w->x;
    const struct xl_node *n = xl_node(x, i);
    struct xl_list *l = n->from_file ? NULL : xl_list_named(x, n->itemset);
    if (xl_is_reference(n->itemset)) {
        itemset_from_repeat(w, i);
        return;
    }
    for (uint32_t k = 0; n->own_choices && l && k < l->choices.count; k++) {
        const struct xl_choice *c = &l->choices.at[k];
        open(w, "item");
        open(w, "label");
        if (l->itext)
            attr(w, "ref", xl_text_of(x, "jr:itext('%.*s-%u')", STR_ARG(l->name), k));
        else if (c->label.at.count)
            rich_text(w, c->label.at.at[0].text, i, c->label.at.at[0].cell);
        close(w);
        leaf(w, "value", c->name);
        close(w);
    }
    if (n->own_choices)
        return;
    struct str id = n->itemset;
    for (size_t dot = id.n; n->from_file && dot > 0; dot--)
        if (id.p[dot - 1] == '.') {
            id = str_sub(id, 0, dot - 1);
            break;
        }
    struct str filter = xl_resolve(x, n->choice_filter, i, n->filter_cell, true);
    struct str nodeset = filter.n
                             ? xl_text_of(x, "instance('%.*s')/root/item[%.*s]", STR_ARG(id), STR_ARG(filter))
                             : xl_text_of(x, "instance('%.*s')/root/item", STR_ARG(id));
    itemset(w, i, nodeset, n->value_ref, l && l->itext ? STR("jr:itext(itextId)") : n->label_ref);
}

/* What a geometry refers to: the places in a list, or those of a repeat's instances. */
static void write_geometry(struct writer *w, uint32_t i)
{
    struct xl *x = w->x;
    const struct xl_node *n = xl_node(x, i);
    if (!xl_is_reference(n->itemset)) {
        write_choices(w, i);
        return;
    }
    uint32_t target = xl_lookup(x, str_sub(n->itemset, 2, n->itemset.n - 3), n->cell);
    if (target == NOWHERE)
        return;
    struct str filter = n->choice_filter.n ? xl_resolve_filter(x, n->choice_filter, i, n->filter_cell, target)
                                           : STR("./geometry != ''");
    itemset(w, i, xl_text_of(x, "%.*s[%.*s]", STR_ARG(xl_path_to(x, target, i, false)), STR_ARG(filter)),
            STR("geometry"), STR("geometry"));
}

static void write_osm_tags(struct writer *w, uint32_t i)
{
    struct xl *x = w->x;
    const struct xl_node *n = xl_node(x, i);
    for (uint32_t k = 0; k < x->osm.count; k++) {
        if (!str_eq(x->osm.at[k].name, n->osm_list))
            continue;
        for (uint32_t c = 0; c < x->osm.at[k].choices.count; c++) {
            const struct xl_choice *tag = &x->osm.at[k].choices.at[c];
            open(w, "tag");
            attr(w, "key", tag->name);
            leaf(w, "label", tag->label.at.count ? tag->label.at.at[0].text : STR(""));
            for (uint32_t m = 0; m < x->osm.count; m++)
                for (uint32_t v = 0; str_eq(x->osm.at[m].name, tag->name) && v < x->osm.at[m].choices.count;
                     v++) {
                    const struct xl_choice *value = &x->osm.at[m].choices.at[v];
                    open(w, "item");
                    leaf(w, "label", value->label.at.count ? value->label.at.at[0].text : STR(""));
                    leaf(w, "value", value->name);
                    close(w);
                }
            close(w);
        }
    }
}

static void write_triggered(struct writer *w, uint32_t i)
{
    struct xl *x = w->x;
    for (uint32_t k = 0; k < xl_node(x, i)->triggered.count; k++) {
        uint32_t target = xl_node(x, i)->triggered.at[k];
        struct xl_node *t = xl_node(x, target);
        bool point = str_eq_z(t->type_name, "background-geopoint");
        const struct xl_attr *a = xl_attr_get(&t->bind, "calculate");
        remember(w, STR("calculate"), a ? a->cell : t->trigger_cell, target);
        open(w, point ? "odk:setgeopoint" : "setvalue");
        attr(w, "ref", t->path);
        attr(w, "event", STR("xforms-value-changed"));
        if (!point && a)
            attr(w, "value", xl_resolve(x, a->value, target, a->cell, false));
        close(w);
    }
}

static bool has_control(struct xl *x, uint32_t i)
{
    struct xl_node *n = xl_node(x, i);
    bool texts = n->label.at.count || n->hint.at.count;
    bool computed = xl_attr_get(&n->bind, "calculate") || n->triggers.count;
    return n->kind == XL_QUESTION && n->type && n->type->control && !(computed && !texts);
}

static void write_question(struct writer *w, uint32_t i)
{
    struct xl *x = w->x;
    const struct xl_node *n = xl_node(x, i);
    if (!has_control(x, i)) {
        for (uint32_t k = 0; k < n->triggered.count; k++)
            xl_error(x, xl_node(x, n->triggered.at[k])->trigger_cell,
                     "The question ${%.*s} is not user-visible so it can't be used as a calculation trigger "
                     "for question "
                     "${%.*s}.",
                     STR_ARG(n->name), STR_ARG(xl_node(x, n->triggered.at[k])->name));
        return;
    }
    remember(w, STR("control"), n->cell, i);
    open(w, n->type->control);
    attr(w, "ref", n->path);
    if (n->type->mediatype)
        attr(w, "mediatype", str_of(n->type->mediatype));
    control_attrs(w, i);
    if (n->query)
        attr(w, "query",
             xl_text_of(x, "instance('%.*s')/root/item[%.*s]", STR_ARG(n->itemset),
                        STR_ARG(xl_resolve(x, n->choice_filter, i, n->filter_cell, true))));
    label_and_hint(w, i);
    if (is_geo(n) && n->itemset.n)
        write_geometry(w, i);
    else if (n->itemset.n && !str_eq_z(n->type_name, "select one external"))
        write_choices(w, i);
    if (n->osm_list.n)
        write_osm_tags(w, i);
    write_triggered(w, i);
    close(w);
}

static void write_controls(struct writer *w, uint32_t parent);

static void new_repeat_actions(struct writer *w, uint32_t repeat)
{
    struct xl *x = w->x;
    for (uint32_t i = xl_after(x, repeat); i != NOWHERE && xl_inside(x, i, repeat); i = xl_after(x, i)) {
        const struct xl_node *n = xl_node(x, i);
        if (xl_repeat_of(x, i) != repeat)
            continue;
        for (uint32_t k = 0; k < n->actions.count; k++)
            if (n->actions.at[k].in_repeat)
                write_action(w, i, &n->actions.at[k], n->fallback_cell);
        if (n->kind == XL_ENTITY && !n->entity->entity_id.n) {
            open(w, "setvalue");
            attr(w, "ref", xl_concat(x, n->path, STR("/@id"), STR("")));
            attr(w, "event", STR("odk-new-repeat"));
            attr(w, "value", STR("uuid()"));
            close(w);
        }
    }
}

static void write_group(struct writer *w, uint32_t i)
{
    const struct xl_node *n = xl_node(w->x, i);
    remember(w, STR("group"), n->cell, i);
    open(w, "group");
    attr(w, "ref", n->path);
    control_attrs(w, i);
    if (n->label.at.count || n->media_count)
        write_label(w, i);
    write_controls(w, i);
    close(w);
}

static void write_repeat(struct writer *w, uint32_t i)
{
    const struct xl_node *n = xl_node(w->x, i);
    remember(w, STR("group"), n->cell, i);
    open(w, "group");
    attr(w, "ref", n->path);
    write_label(w, i);
    remember(w, STR("repeat"), n->cell, i);
    open(w, "repeat");
    attr(w, "nodeset", n->path);
    control_attrs(w, i);
    write_controls(w, i);
    new_repeat_actions(w, i);
    close(w);
    close(w);
}

static void write_controls(struct writer *w, uint32_t parent)
{
    struct xl *x = w->x;
    for (uint32_t i = xl_node(x, parent)->first_child; i != NOWHERE && !x->rc; i = xl_node(x, i)->next) {
        enum xl_kind kind = xl_node(x, i)->kind;
        if (kind == XL_GROUP)
            write_group(w, i);
        else if (kind == XL_REPEAT)
            write_repeat(w, i);
        else if (kind == XL_QUESTION)
            write_question(w, i);
    }
}

/* --- the whole --- */

static void write_namespaces(struct writer *w)
{
    struct xl *x = w->x;
    static const char *const known[][2] = {{"xmlns", "http://www.w3.org/2002/xforms"},
                                           {"xmlns:h", "http://www.w3.org/1999/xhtml"},
                                           {"xmlns:ev", "http://www.w3.org/2001/xml-events"},
                                           {"xmlns:xsd", "http://www.w3.org/2001/XMLSchema"},
                                           {"xmlns:jr", "http://openrosa.org/javarosa"},
                                           {"xmlns:orx", "http://openrosa.org/xforms"},
                                           {"xmlns:odk", "http://www.opendatakit.org/xforms"}};
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        attr(w, known[i][0], str_of(known[i][1]));
    if (x->entity_version)
        attr(w, "xmlns:entities", STR("http://www.opendatakit.org/xforms/entities"));
    struct str word, rest = x->namespaces;
    while (str_word(&rest, &word)) {
        ptrdiff_t equals = str_find(word, STR("="));
        if (equals <= 0)
            continue;
        struct str prefix = xl_concat(x, STR("xmlns:"), str_sub(word, 0, (size_t)equals), STR(""));
        struct str uri = str_sub(word, (size_t)equals + 1, word.n);
        bool taken = x->entity_version && str_eq_z(prefix, "xmlns:entities");
        while (uri.n && (uri.p[0] == '"' || uri.p[0] == '\''))
            uri = str_sub(uri, 1, uri.n);
        while (uri.n && (uri.p[uri.n - 1] == '"' || uri.p[uri.n - 1] == '\''))
            uri.n--;
        for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
            taken |= str_eq_z(prefix, known[i][0]);
        if (!taken)
            attr_str(w, prefix, uri);
    }
}

static void write_submission(struct writer *w)
{
    const struct xl *x = w->x;
    if (!x->submission_url.n && !x->public_key.n && !x->auto_send.n && !x->auto_delete.n &&
        !x->client_editable.n)
        return;
    open(w, "submission");
    if (x->submission_url.n) {
        attr(w, "action", x->submission_url);
        attr(w, "method", STR("post"));
    }
    if (x->public_key.n)
        attr(w, "base64RsaPublicKey", x->public_key);
    if (x->auto_send.n)
        attr(w, "orx:auto-send", x->auto_send);
    if (x->auto_delete.n)
        attr(w, "orx:auto-delete", x->auto_delete);
    if (x->client_editable.n)
        attr(w, "odk:client-editable", x->client_editable);
    close(w);
}

/* Which questions set off which calculations. */
static void link_triggers(struct xl *x)
{
    for (uint32_t i = 0; i != NOWHERE && !x->rc; i = xl_after(x, i))
        for (uint32_t k = 0; k < xl_node(x, i)->triggers.count; k++) {
            uint32_t from = xl_lookup(x, xl_node(x, i)->triggers.at[k], xl_node(x, i)->trigger_cell);
            if (from == NOWHERE)
                continue;
            if (xl_node(x, from)->kind != XL_QUESTION) {
                xl_error(x, xl_node(x, i)->trigger_cell,
                         "The 'trigger' value is invalid: ${%.*s} is a group or repeat; only a question can "
                         "set off a "
                         "calculation.",
                         STR_ARG(xl_node(x, from)->name));
                continue;
            }
            uint32_t *slot = xl_push(x, &xl_node(x, from)->triggered);
            if (slot)
                *slot = i;
        }
}

void xl_write(struct xl *x, struct buf *out)
{
    struct writer *w = xl_check(x, arena_alloc(x->a, sizeof(*w)));
    struct itext texts = {0};
    if (!w)
        return;
    *w = (struct writer){.x = x, .out = out};
    arena_init(&texts.scratch, FORM_MEMORY_MAX);
    map_init(&texts.by_id, &texts.scratch);
    link_triggers(x);
    collect_lists(x, &texts);
    for (uint32_t i = xl_after(x, 0); i != NOWHERE && !x->rc; i = xl_after(x, i))
        collect_node(x, &texts, i);
    fill_languages(x, &texts);
    for (uint32_t i = 0; i < texts.languages.count; i++) {
        struct str *l = xl_push(x, &x->languages);
        if (l)
            *l = texts.languages.at[i].name;
    }
    put(w, STR("<?xml version=\"1.0\"?>\n"));
    open(w, "h:html");
    write_namespaces(w);
    open(w, "h:head");
    leaf(w, "h:title", x->title);
    open(w, "model");
    attr(w, "odk:xforms-version", STR("1.0.0"));
    if (x->entity_version)
        attr(w, "entities:entities-version", str_of(x->entity_version));
    write_submission(w);
    write_itext(w, &texts);
    arena_free(&texts.scratch);
    write_primary(w);
    write_instances(w);
    write_binds(w);
    close(w);
    close(w);
    open(w, "h:body");
    if (x->style.n)
        attr(w, "class", x->style);
    write_controls(w, 0);
    close(w);
    close(w);
    if (out->failed && !x->rc)
        x->rc = diag_set(x->d, out->failed, "The form is larger than %u bytes.", FORM_BYTES_MAX);
}
