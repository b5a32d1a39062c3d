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

/* --- the longest path --- */

/* What must hold for a row to be shown, as far as it is one comparison of a select_one with a text: of
 * questions that want different choices of one question, only one is shown. */
struct condition {
    uint32_t question; /* NOWHERE = anything else */
    struct str choice;
    bool other; /* != */
};

static struct str first_conjunct(struct str s)
{
    ptrdiff_t end = str_find(s, STR(" and "));
    return end < 0 || str_find(s, STR(" or ")) >= 0 ? s : str_sub(s, 0, (size_t)end);
}

static enum xl_token significant(struct str *rest, struct str *token)
{
    enum xl_token t;
    do
        t = xl_next_token(rest, token);
    while (t == TK_SPACE);
    return t;
}

/* ${q} = 'a', ${q} != 'a', selected(${q}, 'a') */
static struct condition condition_of(struct xl *x, uint32_t i)
{
    struct condition c = {NOWHERE, STR(""), false};
    const struct xl_attr *a = xl_attr_get(&xl_node(x, i)->bind, "relevant");
    struct str rest = a ? first_conjunct(a->value) : STR(""), token, name, choice;
    uint32_t k;
    enum xl_token t = significant(&rest, &token);
    bool call = t == TK_CALL && str_eq_z(token, "selected(");
    if (call)
        t = significant(&rest, &token);
    if (t != TK_REFERENCE || token.n < 4)
        return c;
    name = str_sub(token, 2, token.n - 3);
    t = significant(&rest, &token);
    bool equal = t == TK_COMPARE && str_eq_z(token, "="), unequal = t == TK_COMPARE && str_eq_z(token, "!=");
    if (call ? t != TK_COMMA : !equal && !unequal)
        return c;
    t = significant(&rest, &choice);
    if ((t != TK_LITERAL && t != TK_NUMBER) || (call && significant(&rest, &token) != TK_CLOSE) ||
        significant(&rest, &token) != TK_END || !map_get(&x->name_index, name, &k) ||
        x->names.at[k].count != 1 || !str_eq_z(xl_node(x, x->names.at[k].node)->type_name, "select one"))
        return c;
    c.question = x->names.at[k].node;
    c.choice = t == TK_LITERAL ? str_sub(choice, 1, choice.n - 2) : choice;
    c.other = unequal;
    return c;
}

static bool holds(const struct condition *c, const struct condition *given)
{
    return given->other ? c->other : str_eq(c->choice, given->choice) != c->other;
}

struct longest {
    uint32_t *weight;            /* by node: most questions shown in it */
    struct condition *condition; /* by node */
};

static uint32_t shown_if(struct xl *x, const struct longest *l, uint32_t first, struct condition given)
{
    uint32_t sum = 0;
    for (uint32_t i = first; i != NOWHERE; i = xl_node(x, i)->next)
        if (l->condition[i].question == given.question && holds(&l->condition[i], &given))
            sum += l->weight[i];
    return sum;
}

/* Of the children that wait for one question: those of the choice with the most, or of one that none names.
 */
static uint32_t best_choice(struct xl *x, const struct longest *l, uint32_t first)
{
    uint32_t question = l->condition[first].question;
    uint32_t best = shown_if(x, l, first, (struct condition){question, STR(""), true});
    for (uint32_t i = first; i != NOWHERE; i = xl_node(x, i)->next) {
        struct condition given = {question, l->condition[i].choice, false};
        uint32_t sum = l->condition[i].question == question ? shown_if(x, l, first, given) : 0;
        best = sum > best ? sum : best;
    }
    return best;
}

#define CHILDREN_COMPARED 1000u /* in a larger group all count: the time grows with the square */

static uint32_t in_group(struct xl *x, const struct longest *l, uint32_t group)
{
    uint32_t sum = 0, first = xl_node(x, group)->first_child, children = 0;
    for (uint32_t i = first; i != NOWHERE; i = xl_node(x, i)->next)
        children++;
    for (uint32_t i = first; i != NOWHERE; i = xl_node(x, i)->next) {
        uint32_t question = l->condition[i].question, k = first;
        if (question == NOWHERE || children > CHILDREN_COMPARED) {
            sum += l->weight[i];
            continue;
        }
        while (k != i && l->condition[k].question != question)
            k = xl_node(x, k)->next;
        sum += k == i ? best_choice(x, l, i) : 0; /* the first counts for all that wait for the same */
    }
    return sum;
}

/* No interview shows more, each repeat counted once: conditions that are not understood may all hold. */
static uint32_t longest_path(struct xl *x)
{
    struct longest l = {.weight = arena_array(x->a, x->nodes.count, sizeof(*l.weight)),
                        .condition = arena_array(x->a, x->nodes.count, sizeof(*l.condition))};
    uint32_t *order = arena_array(x->a, x->nodes.count, sizeof(*order)), count = 0;
    if (!xl_check(x, order) || !xl_check(x, l.weight) || !xl_check(x, l.condition))
        return 0;
    for (uint32_t i = 0; i != NOWHERE && count < x->nodes.count; i = xl_after(x, i)) {
        order[count++] = i;
        l.condition[i] = condition_of(x, i);
    }
    while (count > 0) {
        uint32_t i = order[--count];
        l.weight[i] = asked(x, i) ? 1 : in_group(x, &l, i);
    }
    return l.weight[0];
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
    s.path_longest = longest_path(x);
    *out = s;
}
