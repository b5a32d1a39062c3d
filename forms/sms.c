/* The compact message: one walk over the instance in document order. Tags are attributes of the elements
 * themselves, so they are cells like any other; nothing is kept for them in the model.
 */
#include "forms/sms.h"

#include "forms/instance.h"
#include "forms/xml_doc.h"

struct message {
    struct session *s;
    struct buf *out;
    struct str delimiter;
    bool tags;
};

static struct str odk_attribute(const struct session *s, const struct frame *f, uint32_t node,
                                const char *local)
{
    const struct form *form = s->form;
    uint32_t child = form_child_z(form, node, local, true);
    if (child == NONE || !str_eq_z(form->names.at[form->nodes.at[child].name].uri, NS_ODK))
        return STR_NONE;
    return cell_at(s, f, child)->text;
}

static void put_value(struct message *m, struct str value)
{
    while (value.n) {
        size_t n = 1;
        if (str_starts(value, m->delimiter)) {
            buf_put_char(m->out, '\\');
            n = m->delimiter.n;
        } else if (value.p[0] == '\\') {
            buf_put_char(m->out, '\\');
        }
        buf_put_str(m->out, str_sub(value, 0, n));
        value = str_sub(value, n, value.n);
    }
}

static void put_leaf(struct message *m, const struct frame *f, uint32_t node, struct str tag)
{
    const struct cell *c = cell_at(m->s, f, node);
    m->tags = true;
    if (c->hidden || !c->text.n)
        return;
    buf_put_str(m->out, tag);
    buf_put_str(m->out, m->delimiter);
    put_value(m, c->text);
    buf_put_str(m->out, m->delimiter);
}

/* Depth is capped by the reader of forms. */
static void put_node(struct message *m, const struct frame *f, uint32_t node)
{
    const struct form *form = m->s->form;
    struct str tag = form->nodes.at[node].has_elements ? STR_NONE : odk_attribute(m->s, f, node, "tag");
    if (tag.n) {
        put_leaf(m, f, node, tag);
        return;
    }
    for (uint32_t c = form->nodes.at[node].first_child; c != NONE; c = form->nodes.at[c].next) {
        const struct schema_node *n = &form->nodes.at[c];
        if (n->attribute)
            continue;
        if (!n->repeat) {
            put_node(m, f, c);
            continue;
        }
        const struct frame_list *list = frame_list(m->s, f, n->class);
        for (uint32_t i = entry_from(list, 0); i < list->used; i = entry_from(list, i + 1))
            put_node(m, m->s->frames.at[list->at[i]], c);
    }
}

enum err session_sms(struct session *s, struct buf *out, struct diag *d)
{
    const struct frame *root = s->frames.at[0];
    struct str prefix = odk_attribute(s, root, 0, "prefix"),
               delimiter = odk_attribute(s, root, 0, "delimiter");
    struct message m = {s, out, delimiter.n ? delimiter : STR(" "), false};
    if (prefix.n) {
        buf_put_str(out, prefix);
        buf_put_str(out, m.delimiter);
    }
    put_node(&m, root, 0);
    while (out->n && !out->failed && str_trim((struct str){out->p + out->n - 1, 1}).n == 0)
        out->p[--out->n] = 0;
    if (out->failed)
        return diag_set(d, out->failed, "The message is longer than %llu bytes.",
                        (unsigned long long)out->n_max);
    if (!m.tags)
        return diag_set(d, ERR_NOT_FOUND,
                        "The form marks nothing for a short message: no element has an odk:tag.");
    return ERR_OK;
}
