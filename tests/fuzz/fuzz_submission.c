/* Any bytes as a submission of one fixed form. What can be read opens as an interview, and its draft, read
 * again, gives the same draft. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "forms/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char form_xml[] =
    "<h:html xmlns=\"http://www.w3.org/2002/xforms\" xmlns:h=\"http://www.w3.org/1999/xhtml\" "
    "xmlns:jr=\"http://openrosa.org/javarosa\"><h:head><h:title/><model><instance><d id=\"f\"><n/><g "
    "at=\"\"><a/><b/></g>"
    "<r jr:template=\"\"><x/><s jr:template=\"\"><y/></s><sum/></r><c "
    "jr:template=\"\"><z/></c><total/></d></instance>"
    "<bind nodeset=\"/d/n\" type=\"int\"/><bind nodeset=\"/d/g\" relevant=\"/d/n &gt; 1\"/>"
    "<bind nodeset=\"/d/g/@at\" calculate=\"/d/n\"/><bind nodeset=\"/d/r/x\" type=\"int\" constraint=\". "
    "&lt; 9\"/>"
    "<bind nodeset=\"/d/r/sum\" calculate=\"sum(../s/y)\"/><bind nodeset=\"/d/total\" "
    "calculate=\"sum(/d/r/x)\"/>"
    "</model></h:head><h:body><input ref=\"/d/n\"/><input ref=\"/d/g/a\"/><repeat nodeset=\"/d/r\">"
    "<input ref=\"/d/r/x\"/><repeat nodeset=\"/d/r/s\"><input ref=\"/d/r/s/y\"/></repeat></repeat>"
    "<repeat nodeset=\"/d/c\" jr:count=\"/d/n\"><input ref=\"/d/c/z\"/></repeat></h:body></h:html>";

static int64_t now(void *self)
{
    (void)self;
    return 0;
}

/* Opens what the XML says and writes it as a draft; false when it is no submission of the form. */
static bool draft_of(struct arena *a, const struct form *f, struct str xml, struct buf *out)
{
    struct session_host host = {.now_ms = now};
    struct saved_interview saved;
    struct session *s = NULL;
    struct diag d = {0};
    if (submission_read(a, f, xml, 1, &saved, &d)) {
        if (d.text[0] == 0)
            abort();
        return false;
    }
    struct session_options o = {.form = f,
                                .host = &host,
                                .resume = true,
                                .rows = saved.rows,
                                .row_count = saved.row_count,
                                .cells = saved.cells,
                                .cell_count = saved.cell_count,
                                .unknown = saved.unknown,
                                .unknown_count = saved.unknown_count,
                                .memory_max = 32u << 20};
    bool ok = session_open(a, &o, &s, &d) == ERR_OK && session_xml(s, true, out, &d) == ERR_OK;
    session_close(s);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    const struct form *f = NULL;
    struct form_findings findings;
    struct diag d = {0};
    struct buf first, second;
    arena_init(&a, 128u << 20);
    buf_init(&first, 1u << 24);
    buf_init(&second, 1u << 24);
    if (form_load(&a, str_of(form_xml), &f, &findings, &d))
        abort();
    if (draft_of(&a, f, (struct str){(const char *)data, size}, &first) &&
        draft_of(&a, f, buf_str(&first), &second) &&
        (first.n != second.n || memcmp(first.p, second.p, first.n) != 0))
        abort();
    buf_free(&first);
    buf_free(&second);
    arena_free(&a);
    return 0;
}
