/* XLSForm: a questionnaire written as a workbook becomes an XForm. One internal form, built from the sheets,
 * is what the XML is written from; that XML is what form_load() compiles, so that a form runs here exactly as
 * it does wherever else the XML is sent. Output follows the reference converter (pyxform 4.5):
 * docs/XLSFORM.md says where and why it differs.
 */
#ifndef DOORSTEP_FORMS_XLSFORM_H
#define DOORSTEP_FORMS_XLSFORM_H

#include "forms/form.h"
#include "platform/base/buf.h"

enum form_source { SOURCE_XFORM, SOURCE_XLSX, SOURCE_XLS, SOURCE_CSV, SOURCE_MD };

/* By content where it tells (zip, the old binary format, "<"), else by the file name's end. */
enum form_source form_source_kind(struct str file_name, struct str bytes);

/* A file that belongs to the form, made from its workbook: itemsets.csv of select_one_external. */
struct xlsform_media {
    struct str name; /* "" when there is none */
    struct str bytes;
};

struct xlsform_options {
    struct str form_name; /* root element; "" = "data" */
    struct str form_id;   /* used when the settings sheet has none; "" = the file's name without its end */
    bool unchecked;       /* the result is not compiled: mistakes in expressions stay unseen */
};

/* What a survey manager reads before a form goes out. */
struct xlsform_summary {
    uint32_t questions, without_label;
    uint32_t unused_choices; /* choices of lists that no question uses */
    /* No interview shows more questions, each repeat counted once. Of those that want different choices of
     * one select_one (${q} = 'a', ${q} != 'a', selected(${q}, 'a'), alone or first of several joined by
     * "and") only one choice counts; all other conditions may hold at once. */
    uint32_t path_longest;
    uint32_t languages;
    struct {
        struct str name;
        uint32_t texts, texts_all; /* how many of all texts it has */
    } language[64];
    /* An estimate: every question answered once, with the length that answers of its type usually have, and
     * two bytes each for what is kept beside it. */
    uint32_t answer_bytes;
};

/* Converts a workbook. Every mistake is in `findings` (text beginning with the cell, "survey!B12: ...", line
 * and column 0), warnings among them; ERR_SYNTAX when there is at least one error, ERR_LIMIT beyond the caps
 * of xlsform_sheet.h. `media` and `summary` may be NULL. Expressions are checked by compiling the result, so
 * that their mistakes name the cell, too, beside whatever else is wrong. When only they are wrong, `xml_out`
 * holds the form all the same, otherwise nothing after an error. */
enum err xlsform_convert(struct arena *a, struct str file_name, struct str bytes,
                         const struct xlsform_options *options, struct buf *xml_out,
                         struct xlsform_media *media, struct xlsform_summary *summary,
                         struct form_findings *findings, struct diag *d) MUST_USE;

/* Any form as XForm XML: a workbook is converted, an XForm is taken as it is. *xml_out lies in `a` or is
 * `bytes` itself; as with xlsform_convert(), it is set though expressions are wrong. */
enum err form_source_to_xform(struct arena *a, struct str file_name, struct str bytes, struct str *xml_out,
                              struct xlsform_summary *summary, struct xlsform_media *media,
                              struct form_findings *findings, struct diag *d) MUST_USE;

#endif
