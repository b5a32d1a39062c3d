/* What compiles and is still no good: a comparison with a code that the question does not offer, so that a
 * check can never fire; two amounts compared that are told in different units. Looks at comparisons as they
 * are written, operand, operator, operand; where an operand is part of a larger sum nothing is said. All are
 * warnings: an older version of the form may have offered the code.
 */
#include "risk/pack_impl.h"

#include "forms/model.h"

#define LIST_NODES_MAX 20000 /* of a list inside the form */

enum word_kind {
    WORD_END,
    WORD_ITEM,
    WORD_PARAM,
    WORD_DEPT,
    WORD_TEXT,
    WORD_COMPARE,
    WORD_ARITHMETIC,
    WORD_OTHER
};
struct word {
    enum word_kind kind;
    struct str text; /* name, or the text in quotes */
};

static bool name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

static size_t past_spaces(struct str s, size_t i)
{
    while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\n' || s.p[i] == '\r'))
        i++;
    return i;
}

static size_t past_quoted(struct str s, size_t i)
{
    char quote = s.p[i++];
    while (i < s.n && s.p[i] != quote)
        i++;
    return i < s.n ? i + 1 : i;
}

static size_t past_name(struct str s, size_t i)
{
    while (i < s.n && name_byte(s.p[i]))
        i++;
    return i;
}

/* param('x'), dept('x'), prev('x') and prev(x) are one operand. */
static bool named_call(struct str s, struct str name, size_t *at, struct word *out)
{
    enum word_kind kind = str_eq_z(name, "param")  ? WORD_PARAM
                          : str_eq_z(name, "dept") ? WORD_DEPT
                          : str_eq_z(name, "prev") ? WORD_ITEM
                                                   : WORD_OTHER;
    size_t open = past_spaces(s, *at), from, end;
    if (kind == WORD_OTHER || open >= s.n || s.p[open] != '(')
        return false;
    from = past_spaces(s, open + 1);
    bool quoted = from < s.n && (s.p[from] == '\'' || s.p[from] == '"');
    end = quoted ? past_quoted(s, from) : past_name(s, from);
    size_t close = past_spaces(s, end);
    if (close >= s.n || s.p[close] != ')' || end <= from + (quoted ? 1 : 0))
        return false;
    *out = (struct word){kind, quoted ? str_sub(s, from + 1, end - from - 2) : str_sub(s, from, end - from)};
    *at = close + 1;
    return true;
}

static struct word name_word(struct str s, size_t *at)
{
    static const char *const arithmetic[] = {"div", "mod"};
    struct word w = {WORD_ITEM, STR("")};
    size_t from = *at;
    *at = past_name(s, from);
    w.text = str_sub(s, from, *at - from);
    for (size_t i = 0; i < sizeof arithmetic / sizeof *arithmetic; i++)
        if (str_eq_z(w.text, arithmetic[i]))
            w.kind = WORD_ARITHMETIC;
    if (str_eq_z(w.text, "and") || str_eq_z(w.text, "or"))
        w.kind = WORD_OTHER;
    if (w.kind != WORD_ITEM || named_call(s, w.text, at, &w))
        return w;
    size_t next = past_spaces(s, *at);
    if ((next < s.n && s.p[next] == '(') || (w.text.p[0] >= '0' && w.text.p[0] <= '9'))
        w.kind = WORD_OTHER; /* a function, a number */
    return w;
}

static struct word next_word(struct str s, size_t *at)
{
    size_t i = past_spaces(s, *at);
    if (i >= s.n) {
        *at = i;
        return (struct word){WORD_END, STR("")};
    }
    if (s.p[i] == '\'' || s.p[i] == '"') {
        *at = past_quoted(s, i);
        return (struct word){WORD_TEXT, str_sub(s, i + 1, *at - i - 2)};
    }
    if (s.p[i] == '$') {
        *at = past_name(s, i + 1);
        return (struct word){WORD_ITEM, str_sub(s, i + 1, *at - i - 1)};
    }
    if (name_byte(s.p[i]) && s.p[i] != '-') {
        *at = i;
        return name_word(s, at);
    }
    size_t n = i + 1 < s.n && s.p[i + 1] == '=' && (s.p[i] == '!' || s.p[i] == '<' || s.p[i] == '>') ? 2 : 1;
    *at = i + n;
    char c = s.p[i];
    enum word_kind kind = c == '=' || c == '!' || c == '<' || c == '>'   ? WORD_COMPARE
                          : c == '+' || c == '-' || c == '*' || c == '[' ? WORD_ARITHMETIC
                                                                         : WORD_OTHER;
    return (struct word){kind, str_sub(s, i, n)};
}

/* ---- what an operand is ---- */

static const struct pack_item *field_of(const struct pack *p, struct str name)
{
    for (uint32_t i = 0; i < p->sets.count; i++)
        for (uint32_t k = 0; k < p->sets.at[i].field_count; k++)
            if (str_eq(p->sets.at[i].fields[k].name, name))
                return &p->sets.at[i].fields[k];
    return NULL;
}

static const struct pack_item *dept_field_of(const struct pack *p, struct str name)
{
    for (uint32_t i = 0; i < p->sets.count; i++)
        for (uint32_t k = 0; k < p->sets.at[i].dept_count; k++)
            if (str_eq(p->sets.at[i].dept[k].name, name))
                return &p->sets.at[i].dept[k];
    return NULL;
}

static const struct pack_item *item_of(const struct pack *p, const struct word *w)
{
    uint32_t ref;
    if (w->kind == WORD_DEPT)
        return map_get(&p->dept_by_name, w->text, &ref) ? &p->dept.at[ref] : dept_field_of(p, w->text);
    if (w->kind != WORD_ITEM)
        return NULL;
    if (!map_get(&p->names, w->text, &ref))
        return field_of(p, w->text);
    return ref_kind(ref) == REF_INPUT   ? &p->inputs.at[ref_index(ref)]
           : ref_kind(ref) == REF_VALUE ? &p->values.at[ref_index(ref)]
                                        : NULL;
}

static struct str unit_of(const struct pack *p, const struct word *w)
{
    uint32_t i;
    const struct pack_item *item = item_of(p, w);
    if (w->kind == WORD_PARAM)
        return map_get(&p->params_by_name, w->text, &i) ? p->params.at[i].unit : STR("");
    return item ? item->unit : STR("");
}

/* The list inside the form that an itemset takes its choices from; NULL when it is elsewhere. */
static const struct tree *list_of(const struct form *f, const struct expr *itemset)
{
    struct str text = expr_text(itemset), begin = STR("instance('");
    uint32_t i;
    if (!str_starts(text, begin))
        return NULL;
    text = str_sub(text, begin.n, text.n);
    ptrdiff_t quote = str_find(text, STR("'"));
    if (quote < 0 || !map_get(&f->resource_ids, str_sub(text, 0, (size_t)quote), &i))
        return NULL;
    return f->resources.at[i].uri.n ? NULL : f->resources.at[i].tree;
}

/* Conditions of the itemset are not looked at: what any of them could offer counts. True when in doubt. */
static bool list_offers(struct arena *a, const struct tree *t, struct str column, struct str code)
{
    struct node n = t->ops->root(t), next;
    struct arena_mark mark = arena_mark(a);
    bool found = false;
    for (uint32_t looked_at = 0; !found; looked_at++) {
        if (looked_at == LIST_NODES_MAX)
            return true;
        found = t->ops->kind(t, n) == NODE_ELEMENT && str_eq(t->ops->name(t, n).local, column) &&
                str_eq(t->ops->text(t, n, a), code);
        arena_release(a, mark);
        if (t->ops->first_child(t, n, &next)) {
            n = next;
            continue;
        }
        while (!t->ops->next_sibling(t, n, &next))
            if (!t->ops->parent(t, n, &n))
                return found;
        n = next;
    }
    return found;
}

static bool control_may_offer(struct arena *a, const struct form *f, const struct control *c, struct str code)
{
    for (uint32_t k = 0; k < c->choice_count; k++)
        if (str_eq(f->choices.at[c->choice_first + k].value, code))
            return true;
    const struct tree *list = c->itemset && !c->search ? list_of(f, c->itemset) : NULL;
    if (list)
        return list_offers(a, list, expr_text(c->item_value), code);
    return c->itemset || c->search || c->choice_count == 0;
}

/* False also when the form tells only while it runs what it offers. */
static bool surely_not_offered(struct arena *a, const struct pack *p, const struct pack_item *item,
                               struct str code)
{
    const struct form *f = p->form;
    bool asked = false;
    bool is_answer = item->path.n || field_of(p, item->name) == item;
    if (p->table || !is_answer || (item->type != PACK_CHOICE && item->type != PACK_CHOICES) || !code.n ||
        item->ref == EXPR_REF_NONE)
        return false;
    for (uint32_t i = 0; i < f->controls.count; i++) {
        const struct control *c = &f->controls.at[i];
        if (c->node != ref_node(item->ref))
            continue;
        if (control_may_offer(a, f, c, code))
            return false;
        asked = true;
    }
    return asked;
}

static void look_at_code(struct pack_loader *l, const struct word *item, const struct word *code,
                         uint32_t line, struct str where)
{
    const struct pack_item *x = item_of(l->pack, item);
    if (x && code->kind == WORD_TEXT && surely_not_offered(l->a, l->pack, x, code->text))
        PACK_WARNING(l, line, where, "%.*s never is '%.*s': its question offers no such choice.",
                     STR_ARG(item->text), STR_ARG(code->text));
}

static void look_at_units(struct pack_loader *l, const struct word *a, const struct word *b, uint32_t line,
                          struct str where)
{
    struct str x = unit_of(l->pack, a), y = unit_of(l->pack, b);
    if (x.n && y.n && !str_eq(x, y))
        PACK_WARNING(l, line, where, "%.*s is told in %.*s, and compared with %.*s, which is in %.*s.",
                     STR_ARG(a->text), STR_ARG(x), STR_ARG(b->text), STR_ARG(y));
}

/* "CNY" of "CNY/year": what may be added up. */
static struct str measure(struct str unit)
{
    ptrdiff_t slash = str_find(unit, STR("/"));
    return slash < 0 ? unit : str_sub(unit, 0, (size_t)slash);
}

static void look_at_sum(struct pack_loader *l, const struct word *a, const struct word *b, uint32_t line,
                        struct str where)
{
    struct str x = measure(unit_of(l->pack, a)), y = measure(unit_of(l->pack, b));
    if (x.n && y.n && !str_eq(x, y))
        PACK_WARNING(l, line, where,
                     "%.*s is told in %.*s, and added to or taken from %.*s, which is in %.*s.",
                     STR_ARG(b->text), STR_ARG(y), STR_ARG(a->text), STR_ARG(x));
}

static bool is_factor(const struct word *w)
{
    return w->kind == WORD_ARITHMETIC && !str_eq_z(w->text, "+") && !str_eq_z(w->text, "-") &&
           !str_eq_z(w->text, "[");
}

static bool is_zero(struct str text)
{
    bool zero = text.n > 0;
    for (size_t i = 0; i < text.n; i++)
        zero = zero && (text.p[i] == '0' || text.p[i] == '.');
    return zero;
}

static bool operand(const struct word *w)
{
    return w->kind == WORD_ITEM || w->kind == WORD_PARAM || w->kind == WORD_DEPT || w->kind == WORD_TEXT;
}

static void look(struct pack_loader *l, struct str text, uint32_t line, struct str where)
{
    struct word w[5] = {{WORD_OTHER, STR("")}}; /* before, left, operator, right, behind */
    size_t at = 0;
    for (int i = 1; i < 5; i++)
        w[i] = next_word(text, &at);
    while (w[1].kind != WORD_END) {
        bool alone = w[0].kind != WORD_ARITHMETIC || str_eq_z(w[0].text, "[");
        bool end = w[4].kind != WORD_ARITHMETIC;
        if (alone && end && w[2].kind == WORD_COMPARE && operand(&w[1]) && operand(&w[3])) {
            look_at_code(l, &w[1], &w[3], line, where);
            look_at_code(l, &w[3], &w[1], line, where);
            look_at_units(l, &w[1], &w[3], line, where);
        }
        bool sum = w[2].kind == WORD_ARITHMETIC && (str_eq_z(w[2].text, "+") || str_eq_z(w[2].text, "-"));
        if (sum && !is_factor(&w[0]) && !is_factor(&w[4]) && operand(&w[1]) && operand(&w[3]))
            look_at_sum(l, &w[1], &w[3], line, where);
        if (w[2].kind == WORD_ARITHMETIC && (str_eq_z(w[2].text, "div") || str_eq_z(w[2].text, "mod")) &&
            is_zero(w[3].text))
            PACK_WARNING(l, line, where,
                         "Something is divided by 0 here: that is never known, so it can never be judged.");
        memmove(w, w + 1, 4 * sizeof *w);
        w[4] = next_word(text, &at);
    }
}

void pack_lint(struct pack_loader *l)
{
    const struct pack *p = l->pack;
    for (uint32_t i = 0; i < p->sets.count; i++)
        look(l, p->sets.at[i].where_text, p->sets.at[i].line,
             pack_where(l, "sets", p->sets.at[i].name, "where"));
    for (uint32_t i = 0; i < p->derived_count; i++)
        look(l, p->values.at[i].text, p->values.at[i].line,
             pack_where(l, "derived", p->values.at[i].name, "value"));
    for (uint32_t i = 0; i < p->checks.count; i++) {
        const struct pack_check *c = &p->checks.at[i];
        for (uint32_t k = 0; k < c->value_count; k++)
            look(l, p->values.at[c->value_first + k].text, p->values.at[c->value_first + k].line,
                 pack_where(l, "checks", c->id, "values"));
        look(l, c->when_text, c->line, pack_where(l, "checks", c->id, "when"));
    }
    for (uint32_t i = 0; i < p->categories.count; i++)
        look(l, p->categories.at[i].when_text, p->categories.at[i].line,
             pack_where(l, "categories", p->categories.at[i].code, "when"));
}
