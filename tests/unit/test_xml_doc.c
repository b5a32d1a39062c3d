/* The XML of forms: the quick reader says of every document what expat says, and takes those that forms are
 * made of. */
#include "tests/support/unit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "forms/xml_build.h"
#include "tests/support/xml_docs.h"

static bool is_plain(const char *xml)
{
    struct arena a;
    struct xml_doc doc;
    struct xml_build b;
    struct diag d = {0};
    struct xml_caps caps = {.depth_max = 20, .nodes_max = 1000};
    arena_init(&a, 1u << 24);
    build_begin(&b, &a, str_of(xml), &caps, &doc, &d);
    bool plain = xml_scan(&b);
    build_end(&b);
    arena_free(&a);
    return plain;
}

static const char *const plain[] = {
    "<a/>",
    "<?xml version=\"1.0\"?><a/>",
    "<?xml version='1.0' encoding='utf-8'?>\n<!-- by hand -->\n<a></a>\n<!-- the end -->\n",
    "<a>text</a>",
    "<a.-9/>",
    "<a b=\"1\" c = '2'\n d=\"it's\"/>",
    "<a> <b>1</b>\n  <b>2</b> tail </a>",
    "<a b=\"&lt;&amp;&#10;&#x4e2d;&quot;\">&gt; &apos;&#65;</a>",
    "<a b=\"x\ty\nz\r\nw\"/>",
    "<a>one\r\ntwo\rthree</a>",
    "<a>x<!-- between -->y</a>",
    "<a>x ] ]] ]&gt; > y</a>",
    "<a>中文 · العربية</a>",
    "<a xmlns=\"u\"><b c=\"1\"/><d xmlns=\"\"><e/></d><f/></a>",
    "<p:a xmlns:p=\"u\" p:b=\"1\" b=\"2\"><p:c xmlns:p=\"v\"><p:a p:b=\"3\"/></p:c><p:a/></p:a>",
    "<h:a xmlns:h=\"u\" xmlns=\"v\" xmlns:jr=\"w\"><h:b jr:c=\"1\"/><b jr:c=\"2\" c=\"3\"></b ></h:a>",
    "<a><list><item x=\"1\">1</item>&amp;<item/></list><list></list><list>text</list><list/></a>",
    "<a>\n  <b/>\n\n   text at the end\n</a>",
};

static const char *const others[] = {
    "",
    "text",
    "<a>",
    "<a></b>",
    "<a><b></a></b>",
    "<a/><b/>",
    "<a/>tail",
    "<a b=\"1\" b=\"2\"/>",
    "<a b=\"1\"c=\"2\"/>",
    "<a b=1/>",
    "<a b=\"<\"/>",
    "<a b/>",
    "<a>&nbsp;</a>",
    "<a>&#0;</a>",
    "<a>&#xD800;</a>",
    "<a>&#99999999999;</a>",
    "<a>]]></a>",
    "<a><!-- a -- b --></a>",
    "<a><!-- a --></a><!-- b",
    "<a>\x01</a>",
    "<a>\xff</a>",
    "<a>\xef\xbf\xbf</a>",
    "<p:a/>",
    "<a p:b=\"1\"/>",
    "<a xmlns:p=\"\"/>",
    "<a xmlns:xml=\"u\"/>",
    "<a xmlns:p=\"u\" xmlns:q=\"u\" p:b=\"1\" q:b=\"2\"/>",
    "<a:b:c xmlns:a=\"u\"/>",
    "<1a/>",
    "< a/>",
    "<a / >",
    "<a><![CDATA[<x>]]></a>",
    "<?xml version=\"1.0\"?><?p i?><a/>",
    "<!DOCTYPE a><a/>",
    "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
    "\xef\xbb\xbf<a/>",
    " <?xml version=\"1.0\"?><a/>",
    "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xe9</a>",
    "<?xml version=\"1.0\" standalone=\"yes\"?><a/>",
    "<a xml:lang=\"zh\"/>",
    "<\xe5\x90\x8d>1</\xe5\x90\x8d>",
    "<a\xe5\x90\x8d/>",
    "<a><b/></a",
    "<a><b/></a><",
    "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>",
};

static void plain_documents_are_read_quickly_and_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
        if (!is_plain(plain[i]))
            fail_msg("not read: %s", plain[i]);
        if (!readings_agree(str_of(plain[i])))
            fail_msg("read differently: %s", plain[i]);
    }
}

static void others_are_read_or_refused_as_expat_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        if (is_plain(others[i]))
            fail_msg("read: %s", others[i]);
        if (!readings_agree(str_of(others[i])))
            fail_msg("read differently: %s", others[i]);
    }
}

/* Cut off anywhere and with any byte changed. */
static void damaged_documents_are_refused_alike(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
        size_t n = strlen(plain[i]);
        char copy[300];
        for (size_t cut = 0; cut < n; cut++) {
            if (!readings_agree((struct str){plain[i], cut}))
                fail_msg("read differently: %.*s", (int)cut, plain[i]);
            for (const char *c = "<>&/!-=\"':; \n]x\x01"; *c; c++) {
                memcpy(copy, plain[i], n);
                copy[cut] = *c;
                if (!readings_agree((struct str){copy, n}))
                    fail_msg("read differently: %.*s", (int)n, copy);
            }
        }
    }
}

static void read_file(const char *folder, const char *name, struct buf *out)
{
    char path[1200], piece[65536];
    size_t n;
    buf_clear(out);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    while (f && (n = fread(piece, 1, sizeof(piece), f)) > 0)
        buf_put(out, piece, n);
    if (f)
        fclose(f);
}

static void published_forms_are_read_the_same(void **state)
{
    char folder[1000];
    const char *shared = getenv("DOORSTEP_SHARED");
    struct buf xml;
    uint32_t read = 0;
    (void)state;
    snprintf(folder, sizeof(folder), "%s/conformance/forms", shared ? shared : DS_SOURCE_DIR "/../shared");
    DIR *dir = opendir(folder);
    if (!dir) {
        print_message("no published forms: set DOORSTEP_SHARED\n");
        skip();
    }
    buf_init(&xml, 1u << 26);
    for (const struct dirent *e; (e = readdir(dir));) {
        if (!str_ends(str_of(e->d_name), STR(".xml")))
            continue;
        read_file(folder, e->d_name, &xml);
        if (!readings_agree(buf_str(&xml)))
            fail_msg("read differently: %s", e->d_name);
        read++;
    }
    closedir(dir);
    buf_free(&xml);
    assert_in_range(read, 100, 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_documents_are_read_quickly_and_the_same),
        cmocka_unit_test(others_are_read_or_refused_as_expat_does),
        cmocka_unit_test(damaged_documents_are_refused_alike),
        cmocka_unit_test(published_forms_are_read_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
