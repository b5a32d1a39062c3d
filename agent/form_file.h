/* A form's file as XForm XML, whatever it is: an XForm as it stands, a workbook converted.
 */
#ifndef DOORSTEP_AGENT_FORM_FILE_H
#define DOORSTEP_AGENT_FORM_FILE_H

#include "forms/xlsform.h"
#include "platform/seam.h"

/* `xml_out` is made by the call and freed by the caller, also after an error. What is wrong with a workbook
 * is in `findings` (in `a`), each naming its cell; with ERR_SYNTAX `xml_out` holds the form when only its
 * expressions are wrong, else nothing; `media` is the file that belongs to it, `summary` what a manager
 * reads; both may be NULL. */
enum err form_file_read(const struct seam *seam, const char *path, struct arena *a, struct buf *xml_out,
                        struct xlsform_summary *summary, struct xlsform_media *media,
                        struct form_findings *findings, struct diag *d) MUST_USE;

#endif
