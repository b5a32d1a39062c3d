/* What a survey manager wants to know of a questionnaire before it goes out.
 */
#include "forms/xlsform_impl.h"

static bool asked(struct xl *x, uint32_t i)
{
    const struct xl_node *n = xl_node(x, i);
    return n->kind == XL_QUESTION && n->type && n->type->control && (n->label.at.count || n->hint.at.count);
}

/* Bytes an answer usually takes as stored: typical lengths seen in published data sets. */
static uint32_t usual_bytes(const struct xl_node *n)
{
    static const struct {
        const char *bind;
        uint32_t bytes;
    } usual[] = {{"int", 3},       {"decimal", 6}, {"date", 10},      {"time", 18},      {"dateTime", 29},
                 {"geopoint", 40}, {"binary", 17}, {"geotrace", 400}, {"geoshape", 400}, {"barcode", 13}};
    for (size_t i = 0; n->type && n->type->bind && i < sizeof(usual) / sizeof(*usual); i++)
        if (strcmp(n->type->bind, usual[i].bind) == 0)
            return usual[i].bytes;
    if (str_eq_z(n->type_name, "note"))
        return 0;
    return str_eq_z(n->type_name, "text") ? 15 : str_eq_z(n->type_name, "select all that apply") ? 12 : 5;
}

static void count_text(struct xl *x, struct xlsform_summary *s, const struct xl_text *t)
{
    if (!t->at.count)
        return;
    for (uint32_t l = 0; l < s->languages; l++) {
        s->language[l].texts_all++;
        for (uint32_t i = 0; i < t->at.count; i++)
            if (str_eq(t->at.at[i].language, s->language[l].name) && !str_eq_z(t->at.at[i].text, "-")) {
                s->language[l].texts++;
                break;
            }
    }
    (void)x;
}

static uint32_t unused(struct xl *x)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->lists.count; i++)
        if (!x->lists.at[i].used)
            n += x->lists.at[i].choices.count;
    return n;
}

void xl_summarise(struct xl *x, struct xlsform_summary *out)
{
    struct xlsform_summary s = {0};
    for (; s.languages < x->languages.count && s.languages < 64; s.languages++)
        s.language[s.languages].name = x->languages.at[s.languages];
    if (!s.languages)
        s.language[s.languages++].name = x->default_language;
    for (uint32_t i = xl_after(x, 0); i != NOWHERE; i = xl_after(x, i)) {
        const struct xl_node *n = xl_node(x, i);
        bool shown = asked(x, i);
        s.questions += shown;
        s.path_longest += shown;
        s.without_label += n->kind == XL_QUESTION && n->type && n->type->control && !n->label.at.count &&
                           !n->media_count && shown;
        if (n->kind == XL_QUESTION)
            s.answer_bytes += usual_bytes(n) + 2;
        count_text(x, &s, &n->label);
        count_text(x, &s, &n->hint);
    }
    for (uint32_t i = 0; i < x->lists.count; i++)
        for (uint32_t k = 0; x->lists.at[i].used && k < x->lists.at[i].choices.count; k++)
            count_text(x, &s, &x->lists.at[i].choices.at[k].label);
    s.unused_choices = unused(x);
    *out = s;
}
