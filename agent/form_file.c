/* Forms from files: what is no XForm yet becomes one on the way in, so that nobody else needs to know.
 */
#include "agent/form_file.h"

#include "forms/limits.h"

enum err form_file_read(const struct seam *seam, const char *path, struct arena *a, struct buf *xml_out,
                        struct xlsform_summary *summary, struct xlsform_media *media,
                        struct form_findings *findings, struct diag *d)
{
    struct buf bytes;
    *findings = (struct form_findings){0};
    if (media)
        *media = (struct xlsform_media){STR(""), STR("")};
    buf_init(xml_out, FORM_BYTES_MAX);
    buf_init(&bytes, FORM_BYTES_MAX);
    enum err rc = seam->file_read(seam->self, path, &bytes, d);
    if (rc || form_source_kind(str_of(path), buf_str(&bytes)) == SOURCE_XFORM) {
        *xml_out = bytes;
        return rc;
    }
    rc = xlsform_convert(a, str_of(path), buf_str(&bytes), NULL, xml_out, media, summary, findings, d);
    buf_free(&bytes);
    return rc ? rc : xml_out->failed;
}
