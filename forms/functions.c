/* The functions of XPath 1.0 itself, and what all function files share. Each function is one row of a table:
 * the same row serves look-up, arity, conversion of arguments and folding. Arguments arrive converted; in
 * rule mode a function is only called when none of them is UNKNOWN, unless its row says otherwise.
 */
#include "forms/expr_impl.h"

#define COUNT_OF(rows) ((uint32_t)(sizeof(rows) / sizeof(*(rows))))

bool each_value(struct eval *e, struct each *i, struct value *out, enum err *rc)
{
    *rc = ERR_OK;
    while (i->arg < i->count) {
        const struct value *v = &i->args[i->arg];
        if (v->type != VALUE_NODES) {
            i->arg++;
            *out = *v;
            return true;
        }
        i->maybe = i->maybe || v->nodes->maybe > 0;
        if (i->node < v->nodes->count) {
            *rc = spend(e, 1) ? node_value(e, v->nodes->at[i->node++], out) : ERR_LIMIT;
            return *rc == ERR_OK;
        }
        i->arg++;
        i->node = 0;
    }
    return false;
}

struct value value_count(const struct eval *e, int64_t n)
{
    if (e->rules)
        return (struct value){.type = VALUE_DEC, .dec = {n, 0}};
    return value_of_number((double)n);
}

uint32_t node_ordinal(struct eval *e, struct node n)
{
    const struct tree *t = node_tree(e, n);
    if (!t)
        return 0;
    uint32_t at = t->ops->ordinal ? t->ops->ordinal(t, n) : 0;
    if (at)
        return at;
    struct node_name name = t->ops->name(t, n);
    at = 1;
    for (struct node s = n; t->ops->prev_sibling(t, s, &s) && spend(e, 1);) {
        if (t->ops->kind(t, s) != NODE_ELEMENT)
            continue;
        struct node_name other = t->ops->name(t, s);
        if (str_eq(other.local, name.local) && str_eq(other.uri, name.uri))
            at++;
    }
    return at;
}

static enum err no_context(struct eval *e, const char *name)
{
    return diag_set(e->diag, ERR_SYNTAX,
                    "%s() without an argument needs a node to stand on, and there is none here", name);
}

/* The argument's text, or that of the context node. */
static enum err own_text(struct eval *e, const struct value *args, uint32_t count, const char *name,
                         struct str *out)
{
    if (count) {
        *out = args[0].text;
        return ERR_OK;
    }
    if (!node_tree(e, e->context))
        return no_context(e, name);
    struct value v;
    enum err rc = node_value(e, e->context, &v);
    if (!rc)
        *out = value_text(e, &v);
    return rc;
}

static enum err fn_true(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)e, (void)args, (void)count;
    *out = value_bool(true);
    return ERR_OK;
}

static enum err fn_false(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)e, (void)args, (void)count;
    *out = value_bool(false);
    return ERR_OK;
}

static enum err fn_boolean(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)e, (void)count;
    *out = args[0];
    return ERR_OK;
}

static enum err fn_not(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)e, (void)count;
    *out = value_bool(!args[0].boolean);
    return ERR_OK;
}

static enum err fn_lang(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    const struct tree *t = node_tree(e, e->context);
    *out = value_bool(false);
    struct node n = e->context, a;
    for (bool more = t != NULL; more; more = t->ops->parent(t, n, &n)) {
        if (t->ops->kind(t, n) != NODE_ELEMENT)
            continue;
        for (bool has = t->ops->first_attribute(t, n, &a); has; has = t->ops->next_attribute(t, a, &a)) {
            struct node_name name = t->ops->name(t, a);
            if (!str_eq_z(name.local, "lang") || !str_eq_z(name.uri, "http://www.w3.org/XML/1998/namespace"))
                continue;
            struct str lang = node_text(e, a), want = args[0].text;
            bool same = str_eq_nocase(str_sub(lang, 0, want.n), want);
            *out = value_bool(same && (lang.n == want.n || (lang.n > want.n && lang.p[want.n] == '-')));
            return ERR_OK;
        }
    }
    return ERR_OK;
}

static enum err fn_string(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct str s = STR("");
    enum err rc = own_text(e, args, count, "string", &s);
    *out = value_of_text(s);
    return rc;
}

static enum err fn_number(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct value v = count ? args[0] : value_unknown();
    enum err rc = ERR_OK;
    if (!count)
        rc = node_tree(e, e->context) ? node_value(e, e->context, &v) : no_context(e, "number");
    *out = quantity_value(e, value_quantity(e, &v));
    return rc;
}

static enum err fn_concat(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    size_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        n += args[i].text.n;
    char *p = arena_alloc(e->scratch, n);
    if (!p)
        return ERR_NOMEM;
    *out = value_of_text((struct str){p, n});
    for (uint32_t i = 0; i < count; i++) {
        if (args[i].text.n)
            memcpy(p, args[i].text.p, args[i].text.n);
        p += args[i].text.n;
    }
    return ERR_OK;
}

static enum err fn_starts_with(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)e, (void)count;
    *out = value_bool(str_starts(args[0].text, args[1].text));
    return ERR_OK;
}

static enum err fn_contains(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)e, (void)count;
    *out = value_bool(str_find(args[0].text, args[1].text) >= 0);
    return ERR_OK;
}

static enum err fn_substring_before(struct eval *e, const struct value *args, uint32_t count,
                                    struct value *out)
{
    (void)e, (void)count;
    ptrdiff_t at = str_find(args[0].text, args[1].text);
    *out = value_of_text(str_sub(args[0].text, 0, at > 0 ? (size_t)at : 0));
    return ERR_OK;
}

static enum err fn_substring_after(struct eval *e, const struct value *args, uint32_t count,
                                   struct value *out)
{
    (void)e, (void)count;
    ptrdiff_t at = str_find(args[0].text, args[1].text);
    *out = value_of_text(at < 0 ? STR("")
                                : str_sub(args[0].text, (size_t)at + args[1].text.n, args[0].text.n));
    return ERR_OK;
}

static double round_half_up(double v)
{
    if (isnan(v) || isinf(v) || fabs(v) >= 4503599627370496.0)
        return v;
    double low = floor(v);
    double r = v - low >= 0.5 ? low + 1 : low;
    return r == 0 && (v < 0 || signbit(v)) ? -0.0 : r;
}

/* Code points whose place, from 1, is at least round(from) and less than round(from) + round(length). */
static enum err fn_substring(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    double from = round_half_up(value_number(e, &args[1]));
    double end = count > 2 ? from + round_half_up(value_number(e, &args[2])) : (double)INFINITY;
    struct str rest = args[0].text;
    const char *start = NULL, *stop = NULL;
    for (double at = 1; rest.n; at++) {
        const char *p = rest.p;
        utf8_next(&rest);
        if (at >= from && at < end) {
            start = start ? start : p;
            stop = rest.p;
        }
    }
    *out = value_of_text(start ? (struct str){start, (size_t)(stop - start)} : STR(""));
    return ERR_OK;
}

static enum err fn_string_length(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct str s = STR("");
    enum err rc = own_text(e, args, count, "string-length", &s);
    *out = value_count(e, (int64_t)utf8_length(s));
    return rc;
}

static enum err fn_normalize_space(struct eval *e, const struct value *args, uint32_t count,
                                   struct value *out)
{
    struct str s = STR(""), word;
    enum err rc = own_text(e, args, count, "normalize-space", &s);
    char *p = arena_alloc(e->scratch, s.n);
    if (rc || !p)
        return rc ? rc : ERR_NOMEM;
    size_t n = 0;
    while (str_word(&s, &word)) {
        if (n)
            p[n++] = ' ';
        memcpy(p + n, word.p, word.n);
        n += word.n;
    }
    *out = value_of_text((struct str){p, n});
    return ERR_OK;
}

static enum err fn_translate(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    struct str rest = args[0].text;
    char *p = arena_array(e->scratch, rest.n + 1, 4);
    if (!p)
        return ERR_NOMEM;
    size_t n = 0;
    while (rest.n) {
        if (!spend(e, 1))
            return ERR_LIMIT;
        struct str one = rest;
        uint32_t c = utf8_next(&rest);
        struct str from = args[1].text, to = args[2].text;
        bool replaced = false;
        while (from.n && !replaced) {
            uint32_t f = utf8_next(&from);
            uint32_t t = to.n ? utf8_next(&to) : 0;
            if (f == c) {
                replaced = true;
                if (t)
                    n += utf8_put(t, p + n);
            }
        }
        if (!replaced) {
            size_t width = (size_t)(rest.p - one.p);
            memcpy(p + n, one.p, width);
            n += width;
        }
    }
    *out = value_of_text((struct str){p, n});
    return ERR_OK;
}

static enum err fn_count(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    const struct nodes *n = args[0].nodes;
    *out = value_count(e, n->count);
    if (n->maybe) {
        *out = (struct value){.type = VALUE_RANGE};
        out->range.lo = n->count;
        out->range.hi = (int64_t)n->count + n->maybe;
    }
    return ERR_OK;
}

static enum err fn_sum(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    double total = 0;
    const struct nodes *n = args[0].nodes;
    for (uint32_t i = 0; i < n->count; i++) {
        struct arena_mark mark = arena_mark(e->scratch);
        struct value v;
        enum err rc = node_value(e, n->at[i], &v);
        if (rc)
            return rc;
        total += value_number(e, &v);
        arena_release(e->scratch, mark);
    }
    *out = value_of_number(total);
    return ERR_OK;
}

/* Exact where the number is. */
static struct value whole(struct eval *e, const struct value *v, bool up)
{
    struct quantity q = value_quantity(e, v);
    if (q.exact) {
        int64_t unit = 1;
        for (uint8_t i = 0; i < q.dec.scale; i++)
            unit *= 10;
        int64_t n = q.dec.coefficient / unit, left = q.dec.coefficient % unit;
        return value_count(e, n + (up ? left > 0 : -(left < 0)));
    }
    return quantity_value(e, quantity_of(up ? ceil(q.number) : floor(q.number)));
}

static enum err fn_floor(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    *out = whole(e, &args[0], false);
    return ERR_OK;
}

static enum err fn_ceiling(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    *out = whole(e, &args[0], true);
    return ERR_OK;
}

static enum err fn_round(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    *out = value_of_number(round_half_up(value_number(e, &args[0])));
    return ERR_OK;
}

/* The node that name(), local-name() and namespace-uri() speak of. */
static enum err named_node(struct eval *e, const struct value *args, uint32_t count, const char *function,
                           struct node_name *out)
{
    struct node n = e->context;
    *out = (struct node_name){STR(""), STR(""), STR("")};
    if (count && args[0].nodes->count == 0)
        return ERR_OK;
    if (count)
        n = args[0].nodes->at[0];
    const struct tree *t = node_tree(e, n);
    if (!t)
        return no_context(e, function);
    *out = t->ops->name(t, n);
    return ERR_OK;
}

static enum err fn_local_name(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct node_name name;
    enum err rc = named_node(e, args, count, "local-name", &name);
    *out = value_of_text(name.local);
    return rc;
}

static enum err fn_namespace_uri(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct node_name name;
    enum err rc = named_node(e, args, count, "namespace-uri", &name);
    *out = value_of_text(name.uri);
    return rc;
}

static enum err fn_name(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct node_name name;
    enum err rc = named_node(e, args, count, "name", &name);
    *out = value_of_text(name.local);
    if (rc || name.prefix.n == 0)
        return rc;
    char *p = arena_alloc(e->scratch, name.prefix.n + 1 + name.local.n);
    if (!p)
        return ERR_NOMEM;
    memcpy(p, name.prefix.p, name.prefix.n);
    p[name.prefix.n] = ':';
    memcpy(p + name.prefix.n + 1, name.local.p, name.local.n);
    *out = value_of_text((struct str){p, name.prefix.n + 1 + name.local.n});
    return ERR_OK;
}

static bool has_word(struct str words, struct str want)
{
    struct str word;
    while (str_word(&words, &word))
        if (str_eq(word, want))
            return true;
    return false;
}

static bool has_id(struct eval *e, const struct tree *t, struct node n, struct str words)
{
    struct node a;
    for (bool more = t->ops->first_attribute(t, n, &a); more; more = t->ops->next_attribute(t, a, &a)) {
        struct node_name name = t->ops->name(t, a);
        bool plain = name.uri.n == 0 || str_eq_z(name.uri, "http://www.w3.org/XML/1998/namespace");
        if (plain && str_eq_z(name.local, "id") && has_word(words, node_text(e, a)))
            return true;
    }
    return false;
}

/* Without a DTD, an attribute `id` (or xml:id) is taken for the identifier. */
static enum err fn_id(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct node_list found = {0};
    const struct tree *t = node_tree(e, e->context);
    struct each each = {.args = args, .count = count};
    struct value v;
    enum err rc;
    while (t && each_value(e, &each, &v, &rc)) {
        struct str words = value_text(e, &v);
        struct node n = t->ops->root(t), child;
        for (bool more = true; more && !rc;) {
            if (!spend(e, 1))
                return ERR_LIMIT;
            if (t->ops->kind(t, n) == NODE_ELEMENT && has_id(e, t, n, words))
                rc = node_list_push(e, &found, n);
            if (t->ops->first_child(t, n, &child)) {
                n = child;
                continue;
            }
            while (!(more = t->ops->next_sibling(t, n, &n)))
                if (!t->ops->parent(t, n, &n))
                    break;
        }
        if (rc)
            return rc;
    }
    rc = nodes_sort(e, &found);
    return rc ? rc : node_list_value(e, &found, false, out);
}

#define B ARG_BOOL
#define N ARG_NUMBER
#define S ARG_STRING
#define SET ARG_NODES
#define MANY ARG_MANY
#define ANY ARG_ANY

/* XPath 1.0, sections 4.1 to 4.4. position() and last() are operations of their own. */
/* clang-format off */
static const struct expr_function rows[] = {
    /*name                min  max             arguments     returns  marks           call */
    {"last",             0,   0,              {ANY},        N,       0,              NULL},
    {"position",         0,   0,              {ANY},        N,       0,              NULL},
    {"count",            1,   1,              {SET},        N,       0,              fn_count},
    {"id",               1,   1,              {MANY},       SET,     EXPR_USES_ALL,  fn_id},
    {"local-name",       0,   1,              {SET},        S,       EXPR_USES_SELF, fn_local_name},
    {"namespace-uri",    0,   1,              {SET},        S,       EXPR_USES_SELF, fn_namespace_uri},
    {"name",             0,   1,              {SET},        S,       EXPR_USES_SELF, fn_name},
    {"string",           0,   1,              {S},          S,       0,              fn_string},
    {"concat",           2,   EXPR_ARGS_MANY, {S, S, S, S}, S,       0,              fn_concat},
    {"starts-with",      2,   2,              {S, S},       B,       0,              fn_starts_with},
    {"contains",         2,   2,              {S, S},       B,       0,              fn_contains},
    {"substring-before", 2,   2,              {S, S},       S,       0,              fn_substring_before},
    {"substring-after",  2,   2,              {S, S},       S,       0,              fn_substring_after},
    {"substring",        2,   3,              {S, N, N},    S,       0,              fn_substring},
    {"string-length",    0,   1,              {S},          N,       0,              fn_string_length},
    {"normalize-space",  0,   1,              {S},          S,       0,              fn_normalize_space},
    {"translate",        3,   3,              {S, S, S},    S,       0,              fn_translate},
    {"boolean",          1,   1,              {B},          B,       0,              fn_boolean},
    {"not",              1,   1,              {B},          B,       0,              fn_not},
    {"true",             0,   0,              {ANY},        B,       0,              fn_true},
    {"false",            0,   0,              {ANY},        B,       0,              fn_false},
    {"lang",             1,   1,              {S},          B,       EXPR_USES_SELF, fn_lang},
    {"number",           0,   1,              {ANY},        N,       0,              fn_number},
    {"sum",              1,   1,              {SET},        N,       0,              fn_sum},
    {"floor",            1,   1,              {N},          N,       0,              fn_floor},
    {"ceiling",          1,   1,              {N},          N,       0,              fn_ceiling},
    {"round",            1,   1,              {N},          N,       0,              fn_round},
    {"current",          0,   0,              {ANY},        SET,     0,              NULL},
};
/* clang-format on */

struct expr_function_table expr_function_table(uint32_t i)
{
    switch (i) {
    case 0: return expr_functions_text();
    case 1: return expr_functions_number();
    case 2: return expr_functions_date();
    case 3: return expr_functions_nodes();
    case 4: return expr_functions_geo();
    default: return (struct expr_function_table){rows, COUNT_OF(rows)};
    }
}
