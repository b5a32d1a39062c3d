/* Texts of a form: labels and messages with their outputs, and itext. A translated text is a number; its
 * values are sorted by text, language and form, so that a screen finds them without comparing names. Outputs
 * inside itext are compiled last, in the context of the first node that uses the text, because only then
 * relative paths mean something.
 */
#include "forms/model.h"
#include "forms/xml_doc.h"

static struct segment *add_segment(struct loader *l, struct segments *to)
{
    struct segment *s = vec_push(l->a, &l->form->segments);
    if (!s) {
        load_nomem(l);
        return NULL;
    }
    to->count++;
    return s;
}

static void add_literal(struct loader *l, struct segments *to, struct str text)
{
    struct segment *s = text.n ? add_segment(l, to) : NULL;
    if (!s)
        return;
    s->literal = arena_str(l->a, text);
    if (!s->literal.p)
        load_nomem(l);
}

/* Labels are written over several lines in hand-made forms: white space at the ends is layout. */
static struct str trim_end(struct str s, bool first, bool last)
{
    struct str t = str_trim(s);
    if (t.n == 0)
        return first || last ? STR("") : s;
    const char *from = first ? t.p : s.p, *to = last ? t.p + t.n : s.p + s.n;
    return (struct str){from, (size_t)(to - from)};
}

static struct segments load_segments(struct loader *l, uint32_t element, uint32_t context)
{
    const struct xml_doc *doc = l->doc;
    struct segments out = {.first = l->form->segments.count};
    uint32_t first = xml_at(doc, element)->first_child;
    for (uint32_t c = first; c != XML_NONE && !l->rc; c = xml_at(doc, c)->next) {
        if (xml_at(doc, c)->name == XML_NONE) {
            add_literal(l, &out,
                        trim_end(xml_at(doc, c)->text, c == first, xml_at(doc, c)->next == XML_NONE));
            continue;
        }
        if (!xml_is(doc, c, NULL, "output")) {
            add_literal(l, &out, xml_text(doc, c, l->scratch));
            continue;
        }
        struct str value = xml_attr(doc, c, "", "value");
        if (!value.p)
            value = xml_attr(doc, c, "", "ref");
        const struct expr *x = str_trim(value).n ? load_expr(l, c, context, value, "output", false) : NULL;
        struct segment *s = x ? add_segment(l, &out) : NULL;
        if (s)
            s->output = x;
    }
    return out;
}

static void own_text(struct loader *l, uint32_t text, uint32_t context)
{
    if (l->text_owner.at[text] == NONE)
        l->text_owner.at[text] = context;
}

/* jr:itext('id') or jr:itext(expression): gives what stands in the brackets. */
static bool itext_call(struct str text, struct str *inside)
{
    text = str_trim(text);
    if (!str_starts(text, STR("jr:itext")) || !str_ends(text, STR(")")))
        return false;
    struct str rest = str_trim(str_sub(text, 8, text.n));
    if (!str_starts(rest, STR("(")))
        return false;
    *inside = str_trim(str_sub(rest, 1, rest.n - 2));
    return true;
}

static bool quoted(struct str s, struct str *inside)
{
    if (s.n < 2 || (s.p[0] != '\'' && s.p[0] != '"') || s.p[s.n - 1] != s.p[0])
        return false;
    *inside = str_sub(s, 1, s.n - 2);
    return true;
}

static struct label text_label(struct loader *l, uint32_t element, uint32_t context, struct str inside)
{
    struct label out = {.there = true, .text = NONE};
    struct str id;
    if (!quoted(inside, &id)) {
        out.text_id = load_expr(l, element, context, inside, "jr:itext", false);
        return out;
    }
    if (map_get(&l->form->text_ids, id, &out.text)) {
        own_text(l, out.text, context);
        return out;
    }
    load_finding(l, FINDING_WARNING, xml_at(l->doc, element)->line, xml_at(l->doc, element)->column, context,
                 "There is no translated text \"%.*s\" in <itext>.", STR_ARG(id));
    out.text = NONE;
    return out;
}

struct label load_label(struct loader *l, uint32_t element, uint32_t context)
{
    struct label out = {.there = true, .text = NONE};
    struct str ref = xml_attr(l->doc, element, "", "ref"), inside;
    if (!str_trim(ref).n) {
        out.own = load_segments(l, element, context);
        return out;
    }
    if (itext_call(ref, &inside))
        return text_label(l, element, context, inside);
    const struct expr *x = load_expr(l, element, context, ref, "label", false);
    out.own.first = l->form->segments.count;
    struct segment *s = x ? add_segment(l, &out.own) : NULL;
    if (s)
        s->output = x;
    return out;
}

struct label load_message(struct loader *l, uint32_t element, uint32_t context, struct str text)
{
    struct label out = {.there = true, .text = NONE};
    struct str inside;
    if (itext_call(text, &inside))
        return text_label(l, element, context, inside);
    out.own.first = l->form->segments.count;
    add_literal(l, &out.own, str_trim(text));
    return out;
}

/* --- itext --- */

static const char *const form_names[TEXT_FORMS] = {"long",      "short", "guidance", "image",
                                                   "big-image", "audio", "video"};

static bool form_of(struct str name, enum text_form *out)
{
    if (!name.n) {
        *out = TEXT_LONG;
        return true;
    }
    for (uint32_t i = 0; i < TEXT_FORMS; i++) {
        if (str_eq_z(name, form_names[i])) {
            *out = (enum text_form)i;
            return true;
        }
    }
    return false;
}

static uint32_t text_number(struct loader *l, struct str id)
{
    struct form *f = l->form;
    uint32_t number;
    if (map_get(&f->text_ids, id, &number))
        return number;
    struct str *name = vec_push(l->a, &f->text_names);
    uint32_t *owner = vec_push(l->scratch, &l->text_owner);
    struct str kept = arena_str(l->a, id);
    number = f->text_names.count - 1;
    if (!name || !owner || !kept.p || map_put(&f->text_ids, kept, number) != ERR_OK) {
        load_nomem(l);
        return NONE;
    }
    *name = kept;
    *owner = NONE;
    return number;
}

static void load_text(struct loader *l, uint32_t element, uint32_t language)
{
    const struct xml_doc *doc = l->doc;
    struct str id = xml_attr(doc, element, "", "id");
    if (!id.n) {
        load_finding(l, FINDING_WARNING, xml_at(doc, element)->line, xml_at(doc, element)->column, NONE,
                     "A <text> in <itext> has no id, so nothing can show it.");
        return;
    }
    uint32_t text = text_number(l, id);
    for (uint32_t v = xml_element(doc, xml_at(doc, element)->first_child); v != XML_NONE && text != NONE;
         v = xml_element(doc, xml_at(doc, v)->next)) {
        enum text_form form;
        if (!xml_is(doc, v, NULL, "value") || !form_of(xml_attr(doc, v, "", "form"), &form))
            continue;
        struct text_value *value = vec_push(l->scratch, &l->text_values);
        uint32_t *from = vec_push(l->scratch, &l->text_elements);
        if (!value || !from) {
            load_nomem(l);
            return;
        }
        *value = (struct text_value){.text = text, .language = language, .form = form};
        *from = v;
    }
}

static void load_translation(struct loader *l, uint32_t element)
{
    const struct xml_doc *doc = l->doc;
    struct form *f = l->form;
    if (f->languages.count >= FORM_LANGUAGES_MAX) {
        l->rc = diag_set_at(l->first, ERR_LIMIT, xml_at(doc, element)->line, xml_at(doc, element)->column,
                            "The form has more than %d languages.", FORM_LANGUAGES_MAX);
        return;
    }
    struct str *name = vec_push(l->a, &f->languages);
    struct str lang = xml_attr(doc, element, "", "lang"),
               kept = arena_str(l->a, lang.p ? lang : STR("default"));
    if (!name || !kept.p) {
        load_nomem(l);
        return;
    }
    *name = kept;
    struct str is_default = xml_attr(doc, element, "", "default");
    if (is_default.p && !str_eq_z(is_default, "false()"))
        f->language_default = f->languages.count - 1;
    for (uint32_t t = xml_element(doc, xml_at(doc, element)->first_child); t != XML_NONE && !l->rc;
         t = xml_element(doc, xml_at(doc, t)->next))
        if (xml_is(doc, t, NULL, "text"))
            load_text(l, t, f->languages.count - 1);
}

void load_texts(struct loader *l)
{
    const struct xml_doc *doc = l->doc;
    for (uint32_t c = xml_element(doc, xml_at(doc, l->model)->first_child); c != XML_NONE;
         c = xml_element(doc, xml_at(doc, c)->next)) {
        if (!xml_is(doc, c, NULL, "itext"))
            continue;
        for (uint32_t t = xml_element(doc, xml_at(doc, c)->first_child); t != XML_NONE && !l->rc;
             t = xml_element(doc, xml_at(doc, t)->next))
            if (xml_is(doc, t, NULL, "translation"))
                load_translation(l, t);
    }
}

/* Counting sort by text; languages and forms keep the order of the document. */
void load_text_values(struct loader *l)
{
    struct form *f = l->form;
    uint32_t texts = f->text_names.count, values = l->text_values.count;
    f->text_first.at = ARENA_ARRAY(l->a, uint32_t, texts + 1);
    f->text_values.at = ARENA_ARRAY(l->a, struct text_value, values + 1);
    uint32_t *next = ARENA_ARRAY(l->scratch, uint32_t, texts + 1);
    if (!f->text_first.at || !f->text_values.at || !next) {
        load_nomem(l);
        return;
    }
    f->text_first.count = f->text_first.room = texts + 1;
    f->text_values.count = values;
    f->text_values.room = values + 1;
    for (uint32_t i = 0; i < values; i++)
        f->text_first.at[l->text_values.at[i].text + 1]++;
    for (uint32_t t = 0; t < texts; t++) {
        f->text_first.at[t + 1] += f->text_first.at[t];
        next[t] = f->text_first.at[t];
    }
    for (uint32_t i = 0; i < values && !l->rc; i++) {
        struct text_value *v = &f->text_values.at[next[l->text_values.at[i].text]++];
        *v = l->text_values.at[i];
        v->segments = load_segments(l, l->text_elements.at[i], l->text_owner.at[v->text]);
    }
}
