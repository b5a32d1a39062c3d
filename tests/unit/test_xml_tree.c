/* Documents that expressions look at: what becomes a node, in which order, and what is refused. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

#include "forms/limits.h"
#include "forms/value.h"

struct doc {
    struct arena a;
    const struct tree *t;
    struct diag d;
};

static enum err read_text(struct doc *doc, const char *xml)
{
    memset(doc, 0, sizeof(*doc));
    arena_init(&doc->a, (size_t)64 << 20);
    return xml_tree_read(&doc->a, str_of(xml), 3, &doc->t, &doc->d);
}

/* Writes the tree the way it is walked: elements in brackets, attributes with @, texts in quotes. */
static void walk(const struct tree *t, struct node n, struct arena *a, char *out)
{
    struct node c;
    struct str name = t->ops->name(t, n).local, text = t->ops->text(t, n, a);
    switch (t->ops->kind(t, n)) {
    case NODE_ELEMENT:
        sprintf(out + strlen(out), "<%.*s", STR_ARG(name));
        for (bool more = t->ops->first_attribute(t, n, &c); more; more = t->ops->next_attribute(t, c, &c))
            sprintf(out + strlen(out), "@%.*s=%.*s", STR_ARG(t->ops->name(t, c).local),
                    STR_ARG(t->ops->text(t, c, a)));
        break;
    case NODE_TEXT: sprintf(out + strlen(out), "'%.*s'", STR_ARG(text)); return;
    case NODE_COMMENT: sprintf(out + strlen(out), "!%.*s", STR_ARG(text)); return;
    case NODE_PI: sprintf(out + strlen(out), "?%.*s:%.*s", STR_ARG(name), STR_ARG(text)); return;
    default: break;
    }
    for (bool more = t->ops->first_child(t, n, &c); more; more = t->ops->next_sibling(t, c, &c))
        walk(t, c, a, out);
    if (t->ops->kind(t, n) == NODE_ELEMENT)
        strcat(out, ">");
}

static void every_kind_of_node_is_kept_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *xml, *walk;
    } rows[] = {
        {"<a/>", "<a>"},
        {"<a b='1' c='2'>x<d/>y</a>", "<a@b=1@c=2'x'<d>'y'>"},
        {"<a>x<![CDATA[<b>]]>y</a>", "<a'x''<b>''y'>"},
        {"<!-- before --><a><?go now?><!--in--></a>", "! before <a?go:now!in>"},
        {"<!DOCTYPE a><a>&lt;&#20013;</a>", "<a'<\xe4\xb8\xad'>"},
        {"<a>\n <b> </b></a>", "<a'\n '<b' '>>"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct doc doc;
        char out[500] = "";
        assert_int_equal(read_text(&doc, rows[i].xml), ERR_OK);
        walk(doc.t, doc.t->ops->root(doc.t), &doc.a, out);
        assert_string_equal(out, rows[i].walk);
        arena_free(&doc.a);
    }
}

static void neighbours_agree_with_each_other(void **state)
{
    (void)state;
    struct doc doc;
    struct node a, b, c, back;
    assert_int_equal(read_text(&doc, "<r k='v'><a/><b>1<i>2</i>3</b></r>"), ERR_OK);
    const struct tree *t = doc.t;
    struct node root = t->ops->root(t), r;
    assert_int_equal(root.tree, 3);
    assert_true(t->ops->first_child(t, root, &r));
    assert_true(t->ops->first_child(t, r, &a));
    assert_true(t->ops->next_sibling(t, a, &b));
    assert_false(t->ops->next_sibling(t, b, &c));
    assert_true(t->ops->prev_sibling(t, b, &back) && node_same(back, a));
    assert_true(t->ops->parent(t, b, &back) && node_same(back, r));
    assert_true(t->ops->first_attribute(t, r, &c));
    assert_true(t->ops->parent(t, c, &back) && node_same(back, r));
    assert_false(t->ops->next_sibling(t, c, &back)); /* an attribute has no siblings */
    assert_true(t->ops->compare(t, r, c) < 0 && t->ops->compare(t, c, a) < 0 && t->ops->compare(t, b, a) > 0);
    assert_true(str_eq(t->ops->text(t, b, &doc.a), STR("123")));
    assert_false(t->ops->parent(t, root, &back));
    arena_free(&doc.a);
}

static void names_carry_their_namespace(void **state)
{
    (void)state;
    struct doc doc;
    struct node n, ns;
    assert_int_equal(read_text(&doc, "<a xmlns='u' xmlns:p='v'><p:b p:c='1' d='2' xmlns=''/></a>"), ERR_OK);
    const struct tree *t = doc.t;
    assert_true(t->ops->first_child(t, t->ops->root(t), &n));
    assert_true(str_eq(t->ops->name(t, n).uri, STR("u")) && t->ops->name(t, n).prefix.n == 0);
    assert_true(t->ops->namespace_at(t, n, 0, &ns) && str_eq(t->ops->text(t, ns, &doc.a), STR("u")));
    assert_true(t->ops->first_child(t, n, &n));
    assert_true(str_eq(t->ops->name(t, n).uri, STR("v")) && str_eq(t->ops->name(t, n).prefix, STR("p")));
    /* the default is taken away here: p and xml are left */
    assert_true(t->ops->namespace_at(t, n, 0, &ns) && str_eq(t->ops->name(t, ns).local, STR("p")));
    assert_true(t->ops->namespace_at(t, n, 1, &ns) && str_eq(t->ops->name(t, ns).local, STR("xml")));
    assert_false(t->ops->namespace_at(t, n, 2, &ns));
    assert_true(t->ops->first_attribute(t, n, &n) && str_eq(t->ops->name(t, n).uri, STR("v")));
    assert_true(t->ops->next_attribute(t, n, &n) && t->ops->name(t, n).uri.n == 0);
    arena_free(&doc.a);
}

static void what_could_harm_is_refused_at_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *xml;
        enum err rc;
        uint32_t line;
    } rows[] = {
        {"<a>\n<b></a>", ERR_SYNTAX, 2},
        {"", ERR_SYNTAX, 1},
        {"<!DOCTYPE a [\n<!ENTITY x 'y'>\n]><a>&x;</a>", ERR_SYNTAX, 2},
        {"<!DOCTYPE a [<!ENTITY % p 'y'>]><a/>", ERR_SYNTAX, 1},
        {"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", ERR_SYNTAX, 1},
        {"<a>&nbsp;</a>", ERR_SYNTAX, 1},
        {"<p:a/>", ERR_SYNTAX, 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct doc doc;
        assert_int_equal(read_text(&doc, rows[i].xml), rows[i].rc);
        assert_int_equal(doc.d.line, rows[i].line);
        assert_true(doc.d.text[0] != 0);
        assert_null(doc.t);
        arena_free(&doc.a);
    }
}

static void depth_has_a_cap(void **state)
{
    (void)state;
    static char xml[8 * (FORM_DEPTH_MAX + 10)];
    struct doc doc;
    for (int over = 0; over < 2; over++) {
        int depth = over ? FORM_DEPTH_MAX + 5 : FORM_DEPTH_MAX - 2;
        xml[0] = 0;
        for (int i = 0; i < depth; i++)
            strcat(xml, "<a>");
        for (int i = 0; i < depth; i++)
            strcat(xml, "</a>");
        assert_int_equal(read_text(&doc, xml), over ? ERR_LIMIT : ERR_OK);
        arena_free(&doc.a);
    }
}

static void memory_runs_out_as_an_error(void **state)
{
    (void)state;
    for (size_t memory = 64; memory < 200000; memory += memory / 3) {
        struct doc doc = {0};
        arena_init(&doc.a, memory);
        enum err rc = xml_tree_read(&doc.a,
                                    STR("<a xmlns:p='u'><b c='d'>text</b><p:e>more</p:e><!--x--></a>"), 0,
                                    &doc.t, &doc.d);
        assert_true(rc == ERR_OK || rc == ERR_NOMEM);
        arena_free(&doc.a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_node_is_kept_in_order),
        cmocka_unit_test(neighbours_agree_with_each_other),
        cmocka_unit_test(names_carry_their_namespace),
        cmocka_unit_test(what_could_harm_is_refused_at_its_line),
        cmocka_unit_test(depth_has_a_cap),
        cmocka_unit_test(memory_runs_out_as_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
