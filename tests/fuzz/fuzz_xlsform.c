/* Fuzz target: a workbook in Markdown through the whole converter. What comes out without an error must be an
 * XForm that the form compiler takes: the converter never hands out what it would refuse to run.
 */
#include "forms/limits.h"
#include "forms/xlsform.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a, b;
    struct diag d = {0};
    struct buf xml;
    struct xlsform_media media;
    struct xlsform_summary summary;
    struct form_findings findings;
    const struct form *form = NULL;
    arena_init(&a, 128u << 20);
    arena_init(&b, 128u << 20);
    buf_init(&xml, 16u << 20);
    enum err rc = xlsform_convert(&a, STR("f.md"), (struct str){(const char *)data, size}, NULL, &xml, &media,
                                  &summary, &findings, &d);
    CHECK((rc == ERR_OK) == (d.text[0] == '\0'));
    CHECK(rc != ERR_SYNTAX || findings.error_count > 0 || findings.list.count == 0);
    if (!rc) {
        struct form_findings again = {0};
        CHECK(form_load(&b, buf_str(&xml), &form, &again, &d) == ERR_OK);
    }
    buf_free(&xml);
    arena_free(&b);
    arena_free(&a);
    return 0;
}
