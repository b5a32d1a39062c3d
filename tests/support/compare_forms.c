/* compare_forms A.xml B.xml: are two XForms the same as models? Compared are the primary instance, secondary
 * instances by id, binds by node, actions, translations by language and id, and the body in order; attributes
 * in any order, white space collapsed. Prints what differs, one line each; exit 0 when nothing does.
 */
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *key, *text;
};
struct model {
    struct entry *at;
    size_t count, room;
};
struct text {
    char *p;
    size_t n, room;
};

static void add_n(struct text *t, const char *s, size_t n)
{
    if (t->n + n + 1 > t->room) {
        t->room = (t->n + n + 1) * 2;
        t->p = realloc(t->p, t->room);
        if (!t->p)
            abort();
    }
    memcpy(t->p + t->n, s, n);
    t->n += n;
    t->p[t->n] = '\0';
}

static void add(struct text *t, const char *s)
{
    add_n(t, s, strlen(s));
}

/* Runs of white space become one space; none at the ends. */
static void add_collapsed(struct text *t, const char *s)
{
    s += strspn(s, " \t\r\n");
    while (*s) {
        size_t n = strcspn(s, " \t\r\n");
        add_n(t, s, n);
        s += n;
        s += strspn(s, " \t\r\n");
        if (*s)
            add(t, " ");
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_attributes(struct text *t, xmlNodePtr n)
{
    char *all[128];
    size_t count = 0;
    for (xmlAttrPtr a = n->properties; a && count < 128; a = a->next) {
        struct text one = {0};
        xmlChar *value = xmlNodeGetContent((xmlNodePtr)a);
        add(&one, a->ns ? (const char *)a->ns->href : "");
        add(&one, "|");
        add(&one, (const char *)a->name);
        add(&one, "=");
        add_collapsed(&one, (const char *)value);
        xmlFree(value);
        all[count++] = one.p;
    }
    qsort(all, count, sizeof(*all), by_text);
    for (size_t i = 0; i < count; i++) {
        add(t, " [");
        add(t, all[i]);
        add(t, "]");
        free(all[i]);
    }
}

static void add_tree(struct text *t, xmlNodePtr n, int depth)
{
    if (depth > 200)
        abort();
    if (n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE) {
        struct text one = {0};
        add_collapsed(&one, (const char *)n->content);
        if (one.n) {
            add(t, "\"");
            add(t, one.p);
            add(t, "\"");
        }
        free(one.p);
    }
    if (n->type != XML_ELEMENT_NODE)
        return;
    add(t, "(");
    add(t, (const char *)n->name);
    add_attributes(t, n);
    for (xmlNodePtr c = n->children; c; c = c->next)
        add_tree(t, c, depth + 1);
    add(t, ")");
}

static void put(struct model *m, char *key, char *text)
{
    if (m->count == m->room) {
        m->room = m->room ? m->room * 2 : 256;
        m->at = realloc(m->at, m->room * sizeof(*m->at));
        if (!m->at)
            abort();
    }
    m->at[m->count++] = (struct entry){key, text ? text : strdup("")};
}

static char *keyed(const char *kind, const char *a, const char *b)
{
    struct text t = {0};
    add(&t, kind);
    add(&t, " ");
    add(&t, a);
    add(&t, *b ? " " : "");
    add(&t, b);
    return t.p;
}

static char *attribute(xmlNodePtr n, const char *name)
{
    xmlChar *v = xmlGetNoNsProp(n, (const xmlChar *)name);
    char *copy = strdup(v ? (const char *)v : "");
    xmlFree(v);
    return copy;
}

static void put_tree(struct model *m, char *key, xmlNodePtr n)
{
    struct text t = {0};
    add_tree(&t, n, 0);
    put(m, key, t.p);
}

static void read_itext(struct model *m, xmlNodePtr itext)
{
    for (xmlNodePtr l = itext->children; l; l = l->next) {
        char *lang = l->type == XML_ELEMENT_NODE ? attribute(l, "lang") : NULL;
        for (xmlNodePtr t = lang ? l->children : NULL; t; t = t->next) {
            if (t->type != XML_ELEMENT_NODE)
                continue;
            char *id = attribute(t, "id");
            for (xmlNodePtr v = t->children; v; v = v->next)
                if (v->type == XML_ELEMENT_NODE) {
                    char *form = attribute(v, "form"), *key = keyed(lang, id, form);
                    put_tree(m, keyed("text", key, ""), v);
                    free(key);
                    free(form);
                }
            free(id);
        }
        if (lang) {
            char *d = attribute(l, "default");
            put(m, keyed("language", lang, ""), d);
        }
        free(lang);
    }
}

/* The body, one entry for each control or group: its own attributes and what is not a control inside it. */
static void read_body(struct model *m, xmlNodePtr n, const char *above, int depth)
{
    int number = 0;
    for (xmlNodePtr c = n->children; c && depth < 100; c = c->next) {
        if (c->type != XML_ELEMENT_NODE)
            continue;
        const char *name = (const char *)c->name;
        int group = strcmp(name, "group") == 0 || strcmp(name, "repeat") == 0;
        char *ref = attribute(c, strcmp(name, "repeat") == 0 ? "nodeset" : "ref");
        char place[64];
        snprintf(place, sizeof(place), "%s.%d", above, ++number);
        char *key = keyed("control", place, ref);
        if (group) {
            struct text t = {0};
            add(&t, name);
            add_attributes(&t, c);
            put(m, key, t.p);
            char deeper[48];
            snprintf(deeper, sizeof(deeper), "%.40s", place);
            read_body(m, c, deeper, depth + 1);
        } else {
            put_tree(m, key, c);
        }
        free(ref);
    }
}

static void read_model(struct model *m, xmlNodePtr model)
{
    int first = 1;
    struct text t = {0};
    add_attributes(&t, model);
    put(m, keyed("model", "", ""), t.p);
    for (xmlNodePtr c = model->children; c; c = c->next) {
        const char *name = (const char *)c->name;
        if (c->type != XML_ELEMENT_NODE)
            continue;
        if (strcmp(name, "itext") == 0) {
            read_itext(m, c);
        } else if (strcmp(name, "instance") == 0) {
            char *id = attribute(c, "id");
            put_tree(m, keyed("instance", first ? "(primary)" : id, ""), c);
            free(id);
            first = 0;
        } else {
            char *node = attribute(c, strcmp(name, "bind") == 0 ? "nodeset" : "ref"),
                 *event = attribute(c, "event");
            put_tree(m, keyed(name, node, event), c);
            free(node);
            free(event);
        }
    }
}

static void read_any(struct model *m, xmlNodePtr n, int depth)
{
    for (; n && depth < 4; n = n->next) {
        if (n->type != XML_ELEMENT_NODE)
            continue;
        if (strcmp((const char *)n->name, "model") == 0)
            read_model(m, n);
        else if (strcmp((const char *)n->name, "body") == 0)
            read_body(m, n, "", 0);
        else if (strcmp((const char *)n->name, "title") == 0)
            put_tree(m, keyed("title", "", ""), n);
        else
            read_any(m, n->children, depth + 1);
    }
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int k = strcmp(x->key, y->key);
    return k ? k : strcmp(x->text, y->text);
}

static int read_file(const char *path, struct model *m)
{
    xmlDocPtr doc = xmlReadFile(path, NULL, XML_PARSE_NONET | XML_PARSE_HUGE);
    if (!doc)
        return 2;
    read_any(m, xmlDocGetRootElement(doc), 0);
    xmlFreeDoc(doc);
    qsort(m->at, m->count, sizeof(*m->at), by_key);
    return 0;
}

static void free_model(struct model *m)
{
    for (size_t i = 0; i < m->count; i++) {
        free(m->at[i].key);
        free(m->at[i].text);
    }
    free(m->at);
}

int main(int argc, char **argv)
{
    struct model a = {0}, b = {0};
    size_t i = 0, j = 0, different = 0;
    if (argc != 3 || read_file(argv[1], &a) || read_file(argv[2], &b)) {
        fprintf(stderr, "usage: compare_forms A.xml B.xml\n");
        return 2;
    }
    while (i < a.count || j < b.count) {
        int k = i == a.count ? 1 : j == b.count ? -1 : strcmp(a.at[i].key, b.at[j].key);
        if (k == 0 && strcmp(a.at[i].text, b.at[j].text) != 0)
            printf("%s\n  - %.600s\n  + %.600s\n", a.at[i].key, a.at[i].text, b.at[j].text);
        else if (k < 0)
            printf("only in the first: %s %.300s\n", a.at[i].key, a.at[i].text);
        else if (k > 0)
            printf("only in the second: %s %.300s\n", b.at[j].key, b.at[j].text);
        different += k != 0 || strcmp(a.at[i].text, b.at[j].text) != 0;
        i += k <= 0;
        j += k >= 0;
    }
    free_model(&a);
    free_model(&b);
    return different ? 1 : 0;
}
