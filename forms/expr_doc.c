/* See expr_doc.h. Walks the document through tree_ops; nothing is indexed, for this serves single
 * expressions. */
#include "forms/expr_impl.h"

#include "forms/expr_doc.h"

static struct str doc_prefix(void *self, struct str prefix)
{
    const struct expr_doc *doc = self;
    for (uint32_t i = 0; i < doc->prefix_count; i++)
        if (str_eq(doc->prefixes[i].prefix, prefix))
            return doc->prefixes[i].uri;
    return STR_NONE;
}

static bool next_node(const struct tree *t, struct node *n)
{
    struct node next;
    if (t->ops->first_child(t, *n, &next)) {
        *n = next;
        return true;
    }
    do {
        if (t->ops->next_sibling(t, *n, &next)) {
            *n = next;
            return true;
        }
    } while (t->ops->parent(t, *n, n));
    return false;
}

static bool is_element(const struct tree *t, struct node n, const char *name)
{
    return t->ops->kind(t, n) == NODE_ELEMENT && str_eq_z(t->ops->name(t, n).local, name);
}

static bool attribute(struct eval *e, const struct tree *t, struct node n, const char *name, struct str *out)
{
    struct node a;
    for (bool more = t->ops->first_attribute(t, n, &a); more; more = t->ops->next_attribute(t, a, &a))
        if (str_eq_z(t->ops->name(t, a).local, name)) {
            *out = node_text(e, a);
            return true;
        }
    return false;
}

static enum err doc_instance(struct eval *e, struct str id, struct node *root_out)
{
    const struct expr_doc *doc = e->host;
    const struct tree *t = doc->tree;
    struct str value;
    if (!t)
        return ERR_NOT_FOUND;
    struct node n = t->ops->root(t);
    while (spend(e, 1) && next_node(t, &n))
        if (is_element(t, n, "instance") && attribute(e, t, n, "id", &value) && str_eq(value, id)) {
            *root_out = n;
            return ERR_OK;
        }
    return ERR_NOT_FOUND;
}

/* The plain value (no `form`) of a text. */
static bool text_value(struct eval *e, const struct tree *t, struct node text, struct str *out)
{
    struct node v;
    struct str form;
    for (bool more = t->ops->first_child(t, text, &v); more; more = t->ops->next_sibling(t, v, &v))
        if (is_element(t, v, "value") && !attribute(e, t, v, "form", &form)) {
            *out = node_text(e, v);
            return true;
        }
    return false;
}

static bool find_text(struct eval *e, const struct tree *t, struct node translation, struct str id,
                      struct str *out)
{
    struct node n;
    struct str value;
    for (bool more = t->ops->first_child(t, translation, &n); more; more = t->ops->next_sibling(t, n, &n))
        if (is_element(t, n, "text") && attribute(e, t, n, "id", &value) && str_eq(value, id))
            return text_value(e, t, n, out);
    return false;
}

/* In the language asked for, else in the default one, else in the first. */
static enum err doc_text(struct eval *e, const char *what, struct str a, struct str b, struct str *out)
{
    const struct expr_doc *doc = e->host;
    const struct tree *t = doc->tree;
    struct str language, flag, found = STR_NONE;
    int best = 0;
    (void)b;
    if (!t || !str_eq_z(STR("jr:itext"), what))
        return ERR_NOT_FOUND;
    struct node n = t->ops->root(t);
    while (spend(e, 1) && next_node(t, &n)) {
        if (!is_element(t, n, "translation"))
            continue;
        bool asked = attribute(e, t, n, "lang", &language) && str_eq(language, doc->language);
        int rank = asked ? 3 : attribute(e, t, n, "default", &flag) ? 2 : 1;
        if (rank > best && find_text(e, t, n, a, &found))
            best = rank;
    }
    if (!best)
        return ERR_NOT_FOUND;
    *out = found;
    return ERR_OK;
}

void expr_doc_scope(struct expr_doc *doc, enum expr_library library, struct expr_scope *scope)
{
    *scope = (struct expr_scope){.self = doc,
                                 .library = library,
                                 .nodes = true,
                                 .lenient = true,
                                 .context = EXPR_CONTEXT_NONE,
                                 .namespace_uri = doc_prefix};
}

void expr_doc_eval(struct expr_doc *doc, struct eval *e)
{
    e->host = doc;
    e->trees = &doc->tree;
    e->tree_count = doc->tree ? 1 : 0;
    e->instance = doc_instance;
    e->text = doc_text;
    e->language = doc->language;
}

enum err expr_doc_run(struct expr_doc *doc, enum expr_library library, struct eval *e, struct str text,
                      struct value *out)
{
    struct expr_scope scope;
    const struct expr *x = NULL;
    expr_doc_scope(doc, library, &scope);
    enum err rc = expr_compile(doc->a, &scope, text, &x, e->diag);
    return rc ? rc : expr_eval(x, e, out);
}
