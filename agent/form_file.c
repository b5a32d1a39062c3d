/* Forms from files: what is no XForm yet becomes one on the way in, so that nobody else needs to know.
 */
#include "agent/form_file.h"

#include "forms/limits.h"

enum err form_file_read(const struct seam *seam, const char *path, struct arena *a, struct buf *xml_out,
                        struct xlsform_summary *summary, struct xlsform_media *media,
                        struct form_findings *findings, struct diag *d)
{
    struct str xml = STR("");
    *findings = (struct form_findings){0};
    if (media)
        *media = (struct xlsform_media){STR(""), STR("")};
    buf_init(xml_out, FORM_BYTES_MAX);
    enum err rc = seam->file_read(seam->self, path, xml_out, d);
    if (rc || form_source_kind(str_of(path), buf_str(xml_out)) == SOURCE_XFORM)
        return rc;
    rc = form_source_to_xform(a, str_of(path), buf_str(xml_out), &xml, summary, media, findings, d);
    buf_clear(xml_out);
    buf_put_str(xml_out, xml);
    return rc ? rc : xml_out->failed;
}
