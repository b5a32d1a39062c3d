/* The XML of forms as a flat document: names and namespaces, texts, places, what is kept unread, and what is
 * refused with which sentence. */
#include "tests/support/unit.h"

#include <stdio.h>

#include "forms/xml_doc.h"

struct reading {
    struct arena a;
    struct xml_doc doc;
    struct diag d;
    enum err rc;
};

static bool is_list(const struct xml_doc *doc, uint32_t element)
{
    return xml_is(doc, element, NULL, "list");
}

static void begin(struct reading *r, struct str xml)
{
    struct xml_caps caps = {.depth_max = 20, .nodes_max = 200000, .skip = is_list};
    *r = (struct reading){.rc = ERR_OK};
    arena_init(&r->a, 1u << 28);
    r->rc = xml_doc_read(&r->a, xml, &caps, &r->doc, &r->d);
}

static void end(struct reading *r)
{
    arena_free(&r->a);
}

static void put_name(struct buf *b, struct node_name n)
{
    if (n.uri.n)
        buf_printf(b, "{%.*s}", STR_ARG(n.uri));
    if (n.prefix.n)
        buf_printf(b, "%.*s:", STR_ARG(n.prefix));
    buf_put_str(b, n.local);
}

/* {uri}prefix:name [attribute=value] (children), texts in quotes, what is kept unread in bars. */
static void put_node(struct buf *b, const struct xml_doc *doc, uint32_t n)
{
    const struct xml_node *x = xml_at(doc, n);
    if (x->name == XML_NONE) {
        buf_printf(b, "'%.*s'", STR_ARG(x->text));
        return;
    }
    put_name(b, xml_name(doc, n));
    for (uint32_t i = 0; i < x->attr_count; i++) {
        const struct xml_attr *a = &doc->attrs.at[x->attr_first + i];
        buf_put_char(b, '[');
        put_name(b, doc->names.at[a->name]);
        buf_printf(b, "=%.*s]", STR_ARG(a->value));
    }
    if (x->text.n)
        buf_printf(b, "|%.*s|", STR_ARG(x->text));
    if (x->first_child == XML_NONE)
        return;
    buf_put_char(b, '(');
    for (uint32_t c = x->first_child; c != XML_NONE; c = xml_at(doc, c)->next) {
        assert_int_equal(xml_at(doc, c)->parent, n);
        put_node(b, doc, c);
        if (xml_at(doc, c)->next != XML_NONE)
            buf_put_char(b, ' ');
    }
    buf_put_char(b, ')');
}

static void assert_reads(const char *xml, const char *expected)
{
    struct reading r;
    struct buf b;
    begin(&r, str_of(xml));
    if (r.rc)
        fail_msg("%s: %s", xml, r.d.text);
    buf_init(&b, 10000);
    put_node(&b, &r.doc, 0);
    if (!str_eq_z(buf_str(&b), expected))
        fail_msg("%s is read as %.*s, not %s", xml, STR_ARG(buf_str(&b)), expected);
    buf_free(&b);
    end(&r);
}

static void names_have_the_namespace_in_force(void **state)
{
    (void)state;
    assert_reads("<a/>", "a");
    assert_reads("<a xmlns='u'><b c='1'/><d xmlns=''><e/></d><f/></a>", "{u}a({u}b[c=1] d(e) {u}f)");
    assert_reads("<p:a xmlns:p='u' p:b='1' b='2'><p:c xmlns:p='v'><p:a p:b='3'/></p:c><p:a/></p:a>",
                 "{u}p:a[{u}p:b=1][b=2]({v}p:c({v}p:a[{v}p:b=3]) {u}p:a)");
    assert_reads("<a xml:lang='zh'/>", "a[{http://www.w3.org/XML/1998/namespace}xml:lang=zh]");
    assert_reads("<\xe5\x90\x8d>1</\xe5\x90\x8d>", "\xe5\x90\x8d('1')");
}

static void texts_are_joined_and_layout_is_left_out(void **state)
{
    (void)state;
    assert_reads("<a> <b>1</b>\n          \t<b>2</b> tail </a>", "a(' ' b('1') b('2') ' tail ')");
    assert_reads("<a>\n          text\n          </a>", "a('\n          text\n          ')");
    assert_reads("<a>x<!-- between -->y</a>", "a('xy')");
    assert_reads("<a>one\r\ntwo\rthree</a>", "a('one\ntwo\nthree')");
    assert_reads("<a>&lt;&amp;&#10;&#x4e2d;<![CDATA[<x>]]>&gt;</a>", "a('<&\n\xe4\xb8\xad<x>>')");
    assert_reads("<a b='x\ty\nz\r\nw&#10;v'/>", "a[b=x y z w\nv]");
    assert_reads("<?xml version='1.0' encoding='ISO-8859-1'?><a b='\xe9'>\xe9</a>",
                 "a[b=\xc3\xa9]('\xc3\xa9')");
    assert_reads("\xef\xbb\xbf<a>x</a>", "a('x')");
}

static void lists_are_kept_as_they_are_written(void **state)
{
    (void)state;
    assert_reads("<a><list b='1'> <item x=\"1\">1 &amp; 2</item>&lt;<item/></list>t</a>",
                 "a(list[b=1]|<item x=\"1\">1 &amp; 2</item>&lt;<item/>| 't')");
    assert_reads("<a><list></list><list/><list>text</list></a>", "a(list list list)");
}

/* Where in the form it stands: characters are counted, not bytes. */
static void elements_know_their_line_and_column(void **state)
{
    struct reading r;
    (void)state;
    begin(&r, STR("<a>\n  <b/>\r\n<c>\xe4\xb8\xad\xe6\x96\x87 eight letters and more<d/></c></a>"));
    assert_int_equal(r.rc, ERR_OK);
    static const struct {
        const char *name;
        uint32_t line, column;
    } places[] = {{"a", 1, 1}, {"b", 2, 3}, {"c", 3, 1}, {"d", 3, 29}};
    size_t found = 0;
    for (uint32_t n = 0; n < r.doc.nodes.count; n++)
        for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
            if (xml_is(&r.doc, n, NULL, places[i].name)) {
                assert_int_equal(xml_at(&r.doc, n)->line, places[i].line);
                assert_int_equal(xml_at(&r.doc, n)->column, places[i].column);
                found++;
            }
    assert_int_equal(found, 4);
    end(&r);
}

static void what_is_wrong_is_said_with_its_place(void **state)
{
    static const struct {
        const char *xml;
        uint32_t line, column;
        const char *says;
    } wrong[] = {
        {"", 0, 0, "empty"},
        {"text", 1, 1, "syntax error"},
        {"<a>", 1, 4, "no element found"},
        {"<a>\n</b>", 2, 3, "mismatched tag"},
        {"<a/><b/>", 1, 5, "junk after document element"},
        {"<a b='1' b='2'/>", 1, 10, "duplicate attribute"},
        {"<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>", 1, 1, "duplicate attribute"},
        {"<a><p:b/></a>", 1, 4, "unbound prefix"},
        {"<a xmlns:p=''/>", 1, 1, "undeclare"},
        {"<a xmlns:xml='u'/>", 1, 1, "prefix"},
        {"<a xmlns:a='u'><a:b:c/></a>", 1, 20, "not well-formed"},
        {"<a>&nbsp;</a>", 1, 4, "undefined entity"},
        {"<a>\x01</a>", 1, 4, "not well-formed"},
        {"<a>\xff</a>", 1, 4, "not well-formed"},
        {"<a><list><p:b/></list></a>", 1, 10, "unbound prefix"},
        {"<!DOCTYPE a [\n<!ENTITY x \"y\">]><a>&x;</a>", 2, 12, "declares the entity \"x\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct reading r;
        begin(&r, str_of(wrong[i].xml));
        if (r.rc != ERR_SYNTAX || !strstr(r.d.text, wrong[i].says) || r.d.line != wrong[i].line ||
            r.d.column != wrong[i].column)
            fail_msg("%s: %u:%u %s", wrong[i].xml, r.d.line, r.d.column, r.d.text);
        end(&r);
    }
}

static void depth_and_number_are_capped(void **state)
{
    struct reading r;
    struct buf b;
    (void)state;
    buf_init(&b, 1u << 22);
    for (int i = 0; i < 21; i++)
        buf_put_z(&b, "<a>");
    begin(&r, buf_str(&b));
    assert_int_equal(r.rc, ERR_LIMIT);
    assert_non_null(strstr(r.d.text, "nested deeper than 20"));
    end(&r);
    buf_clear(&b);
    buf_put_z(&b, "<a>");
    for (int i = 0; i < 200000; i++)
        buf_put_z(&b, "<b/>");
    begin(&r, buf_str(&b));
    assert_int_equal(r.rc, ERR_LIMIT);
    assert_non_null(strstr(r.d.text, "More than 200000"));
    end(&r);
    buf_free(&b);
}

/* Larger than what the parser is given at once. */
static void large_documents_are_read_in_pieces(void **state)
{
    struct reading r;
    struct buf b;
    enum { ITEMS = 60000 };
    (void)state;
    buf_init(&b, 1u << 25);
    buf_put_z(&b, "<a>\n");
    for (uint32_t i = 0; i < ITEMS; i++)
        buf_printf(&b, "  <b c='%u'>%0150u\n &amp; more</b>\n", i, i);
    buf_put_z(&b, "</a>");
    assert_true(b.n > (9u << 20));
    begin(&r, buf_str(&b));
    assert_int_equal(r.rc, ERR_OK);
    uint32_t e = xml_element(&r.doc, xml_at(&r.doc, 0)->first_child);
    for (uint32_t i = 0; i < ITEMS; i++) {
        char expected[200];
        snprintf(expected, sizeof expected, "%0150u\n & more", i);
        assert_true(e != XML_NONE);
        assert_int_equal(xml_at(&r.doc, e)->line, 2 + 2 * i);
        assert_true(str_eq_z(xml_text(&r.doc, e, &r.a), expected));
        e = xml_element(&r.doc, xml_at(&r.doc, e)->next);
    }
    assert_int_equal(e, XML_NONE);
    end(&r);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_the_namespace_in_force),
        cmocka_unit_test(texts_are_joined_and_layout_is_left_out),
        cmocka_unit_test(lists_are_kept_as_they_are_written),
        cmocka_unit_test(elements_know_their_line_and_column),
        cmocka_unit_test(what_is_wrong_is_said_with_its_place),
        cmocka_unit_test(depth_and_number_are_capped),
        cmocka_unit_test(large_documents_are_read_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
