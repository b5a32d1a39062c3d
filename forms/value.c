/* What values mean: conversions between kinds by XPath 1.0 and the ODK specification, three-valued truth,
 * exact quantities, dates, and comparison. Nothing here knows an operation or a path.
 *
 * Always true: in rule mode UNKNOWN is neither true nor false nor a number, and no conversion makes it one;
 * outside rule mode it never arises. A date is a civil day; an instant is a moment; comparing the two takes
 * the day's local midnight.
 */
#include "forms/expr_impl.h"

#define DAY_MS INT64_C(86400000)

bool spend(struct eval *e, uint32_t amount)
{
    if (e->fuel < amount) {
        e->fuel = 0;
        return false;
    }
    e->fuel -= amount;
    return true;
}

struct str scratch_copy(struct eval *e, const char *p, size_t n)
{
    struct str s = arena_str(e->scratch, (struct str){p, n});
    if (!s.p)
        e->fuel = 0;
    return s;
}

const struct zone *eval_zone(const struct eval *e)
{
    return e->zone ? e->zone : zone_utc();
}

struct value value_of_truth(enum truth t)
{
    return t == TRUTH_UNKNOWN ? value_unknown() : value_bool(t == TRUTH_TRUE);
}

/* -- nodes
 * ------------------------------------------------------------------------------------------------------ */

const struct tree *node_tree(const struct eval *e, struct node n)
{
    return n.tree < e->tree_count ? e->trees[n.tree] : NULL;
}

struct str node_text(struct eval *e, struct node n)
{
    const struct tree *t = node_tree(e, n);
    return t ? t->ops->text(t, n, e->scratch) : STR("");
}

enum err node_value(struct eval *e, struct node n, struct value *out)
{
    if (e->typed)
        return e->typed(e, n, out);
    *out = value_of_text(node_text(e, n));
    if (e->rules && out->text.n == 0)
        *out = value_unknown();
    return ERR_OK;
}

int node_order(struct eval *e, struct node a, struct node b)
{
    if (a.tree != b.tree)
        return a.tree < b.tree ? -1 : 1;
    const struct tree *t = node_tree(e, a);
    return t ? t->ops->compare(t, a, b) : 0;
}

enum err node_list_push(struct eval *e, struct node_list *l, struct node n)
{
    if (!spend(e, 1))
        return ERR_LIMIT;
    if (l->count == l->room) {
        uint32_t room = l->room ? l->room * 2 : 8;
        struct node *at = ARENA_ARRAY(e->scratch, struct node, room);
        if (!at)
            return ERR_NOMEM;
        if (l->count)
            memcpy(at, l->at, l->count * sizeof(*at));
        l->at = at;
        l->room = room;
    }
    l->at[l->count++] = n;
    return ERR_OK;
}

enum err node_list_value(struct eval *e, const struct node_list *l, bool unordered, struct value *out)
{
    struct nodes *n = ARENA_NEW(e->scratch, struct nodes);
    if (!n)
        return ERR_NOMEM;
    *n = (struct nodes){.at = l->at, .count = l->count, .maybe = l->maybe, .unordered = unordered};
    *out = (struct value){.type = VALUE_NODES, .nodes = n};
    return ERR_OK;
}

/* Merge sort, bottom up: stable, no recursion, and linear when the list is in order already, as it nearly
 * always is. */
static enum err merge_sort(struct eval *e, struct node_list *l)
{
    struct node *from = l->at, *to = ARENA_ARRAY(e->scratch, struct node, l->count);
    if (!to)
        return ERR_NOMEM;
    for (uint32_t width = 1; width < l->count; width *= 2) {
        if (!spend(e, l->count))
            return ERR_LIMIT;
        for (uint32_t left = 0; left < l->count; left += 2 * width) {
            uint32_t middle = left + width < l->count ? left + width : l->count;
            uint32_t right = left + 2 * width < l->count ? left + 2 * width : l->count;
            uint32_t i = left, j = middle;
            for (uint32_t k = left; k < right; k++)
                to[k] = i < middle && (j >= right || node_order(e, from[i], from[j]) <= 0) ? from[i++]
                                                                                           : from[j++];
        }
        struct node *swap = from;
        from = to;
        to = swap;
    }
    l->at = from;
    return ERR_OK;
}

enum err nodes_sort(struct eval *e, struct node_list *l)
{
    bool ordered = true;
    for (uint32_t i = 1; ordered && i < l->count; i++)
        ordered = node_order(e, l->at[i - 1], l->at[i]) < 0;
    if (ordered)
        return ERR_OK;
    enum err rc = merge_sort(e, l);
    if (rc)
        return rc;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < l->count; i++)
        if (kept == 0 || !node_same(l->at[kept - 1], l->at[i]))
            l->at[kept++] = l->at[i];
    l->count = kept;
    return ERR_OK;
}

enum err value_single(struct eval *e, const struct value *v, struct value *out)
{
    if (v->type != VALUE_NODES) {
        *out = *v;
        return ERR_OK;
    }
    if (v->nodes->count)
        return node_value(e, v->nodes->at[0], out);
    *out = e->rules ? value_unknown() : value_of_text(STR(""));
    return ERR_OK;
}

/* As value_single where an error has nowhere to go: then the fuel is gone, and the next operation stops. */
static struct value single(struct eval *e, const struct value *v)
{
    struct value one = value_unknown();
    if (value_single(e, v, &one))
        e->fuel = 0;
    return one;
}

/* -- dates
 * ------------------------------------------------------------------------------------------------------ */

int64_t moment_ms(const struct eval *e, const struct value *v)
{
    if (v->type == VALUE_INSTANT)
        return v->instant.ms;
    int64_t local = v->day * DAY_MS;
    return local - (int64_t)zone_offset_local(eval_zone(e), local) * 60000;
}

bool value_moment(struct eval *e, const struct value *v, struct value *out)
{
    struct civil c = {0};
    if (v->type == VALUE_DATE || v->type == VALUE_INSTANT) {
        *out = *v;
        return true;
    }
    if (v->type != VALUE_STRING)
        return false;
    struct str s = str_trim(v->text);
    if (s.n < 8 || !civil_read(s, &c) || !c.has_date)
        return false;
    if (!c.has_time) {
        *out = value_of_day(civil_days(c.year, c.month, c.day));
        return true;
    }
    const struct zone *z = eval_zone(e);
    *out = (struct value){.type = VALUE_INSTANT};
    out->instant.ms = civil_instant_ms(&c, z);
    out->instant.offset_min = c.has_offset ? c.offset_min : zone_offset_min(z, out->instant.ms);
    return true;
}

/* A date is its day number; an instant counts days since 1970-01-01T00:00Z. */
static double moment_number(const struct value *v)
{
    return v->type == VALUE_DATE ? (double)v->day : (double)v->instant.ms / (double)DAY_MS;
}

/* -- conversions
 * ------------------------------------------------------------------------------------------------ */

double text_number(const struct eval *e, struct str s)
{
    double n;
    s = str_trim(s);
    if (s.n > 1 && s.p[s.n - 1] == '.' && s.p[s.n - 2] >= '0' && s.p[s.n - 2] <= '9')
        s.n--; /* "5." */
    if (num_read(s, &n))
        return n;
    if (!e->odk || s.n == 0 || s.n > 64)
        return NOT_A_NUMBER;
    /* JavaRosa reads a comma as the decimal point, and forms from countries that write it so depend on it. */
    const char *comma = memchr(s.p, ',', s.n);
    if (comma) {
        char point[64];
        memcpy(point, s.p, s.n);
        point[comma - s.p] = '.';
        return num_read((struct str){point, s.n}, &n) ? n : NOT_A_NUMBER;
    }
    return NOT_A_NUMBER;
}

static double plain_number(struct eval *e, const struct value *v)
{
    struct value moment;
    switch (v->type) {
    case VALUE_BOOL: return v->boolean ? 1 : 0;
    case VALUE_NUMBER: return v->number;
    case VALUE_DEC: return dec_double(v->dec);
    case VALUE_RANGE: return v->range.lo == v->range.hi ? (double)v->range.lo : NOT_A_NUMBER;
    case VALUE_STRING: {
        double n = text_number(e, v->text);
        if (isnan(n) && e->odk && value_moment(e, v, &moment))
            return moment_number(&moment);
        return n;
    }
    case VALUE_DATE:
    case VALUE_INSTANT: return moment_number(v);
    case VALUE_UNKNOWN:
    case VALUE_NODES: break;
    }
    return NOT_A_NUMBER;
}

double value_number(struct eval *e, const struct value *v)
{
    struct value one = single(e, v);
    return plain_number(e, &one);
}

struct str value_text(struct eval *e, const struct value *v)
{
    char text[NUM_TEXT_MAX];
    size_t n = 0;
    switch (v->type) {
    case VALUE_UNKNOWN: return STR("");
    case VALUE_BOOL: return v->boolean ? STR("true") : STR("false");
    case VALUE_STRING: return v->text;
    case VALUE_NUMBER: n = num_write(v->number, text); break;
    case VALUE_DEC: n = dec_write(v->dec, text); break;
    case VALUE_RANGE:
        n = num_write((double)v->range.lo, text);
        if (v->range.lo != v->range.hi) {
            text[n++] = '-';
            n += num_write((double)v->range.hi, text + n);
        }
        break;
    case VALUE_DATE: n = civil_write_date(v->day, text); break;
    case VALUE_INSTANT: {
        struct civil c = civil_at(v->instant.ms + (int64_t)v->instant.offset_min * 60000, zone_utc());
        c.offset_min = v->instant.offset_min;
        c.has_offset = true;
        n = civil_write(&c, text);
        break;
    }
    case VALUE_NODES: {
        struct value one = single(e, v);
        return one.type == VALUE_NODES ? STR("") : value_text(e, &one);
    }
    }
    return scratch_copy(e, text, n);
}

enum truth value_truth(struct eval *e, const struct value *v)
{
    bool yes = false;
    switch (v->type) {
    case VALUE_UNKNOWN: return TRUTH_UNKNOWN;
    case VALUE_BOOL: yes = v->boolean; break;
    case VALUE_NUMBER: yes = v->number != 0 && !isnan(v->number); break;
    case VALUE_DEC: yes = v->dec.coefficient != 0; break;
    case VALUE_RANGE:
        if (v->range.lo <= 0 && v->range.hi > 0)
            return TRUTH_UNKNOWN;
        yes = v->range.lo > 0;
        break;
    case VALUE_STRING: yes = v->text.n > 0; break;
    case VALUE_DATE:
    case VALUE_INSTANT: yes = true; break;
    case VALUE_NODES:
        if (v->nodes->count == 0 && v->nodes->maybe)
            return TRUTH_UNKNOWN;
        yes = v->nodes->count > 0;
        break;
    }
    (void)e;
    return yes ? TRUTH_TRUE : TRUTH_FALSE;
}

bool value_blank(struct eval *e, const struct value *v)
{
    struct value one = single(e, v);
    switch (one.type) {
    case VALUE_UNKNOWN: return true;
    case VALUE_STRING: return one.text.n == 0;
    case VALUE_NUMBER: return isnan(one.number);
    default: return false;
    }
}

/* -- quantities
 * ------------------------------------------------------------------------------------------------- */

struct quantity quantity_of(double d)
{
    return (struct quantity){.number = d};
}

struct quantity quantity_dec(struct dec d)
{
    return (struct quantity){.exact = true, .dec = d, .number = dec_double(d)};
}

/* In rule mode everything that can be an exact decimal is one; a count that is not sure is a range. */
struct quantity value_quantity(struct eval *e, const struct value *v)
{
    struct value one = single(e, v);
    struct dec d = {0};
    if (!e->rules)
        return quantity_of(plain_number(e, &one));
    switch (one.type) {
    case VALUE_UNKNOWN: return (struct quantity){.unknown = true};
    case VALUE_DEC: return quantity_dec(one.dec);
    case VALUE_BOOL: return quantity_dec((struct dec){one.boolean, 0});
    case VALUE_DATE: return quantity_dec((struct dec){one.day, 0});
    case VALUE_STRING:
        if (dec_read(str_trim(one.text), &d))
            return quantity_dec(d);
        break;
    case VALUE_RANGE:
        if (one.range.lo == one.range.hi)
            return quantity_dec((struct dec){one.range.lo, 0});
        return (
            struct quantity){.ranged = true, .lo = one.range.lo, .hi = one.range.hi, .number = NOT_A_NUMBER};
    default: break;
    }
    double n = plain_number(e, &one);
    if (isnan(n))
        return (struct quantity){.unknown = true};
    return quantity_of(n);
}

struct value quantity_value(struct eval *e, struct quantity q)
{
    if (q.unknown)
        return value_unknown();
    if (q.ranged) {
        struct value v = {.type = VALUE_RANGE};
        v.range.lo = q.lo;
        v.range.hi = q.hi;
        return v;
    }
    if (q.exact)
        return (struct value){.type = VALUE_DEC, .dec = q.dec};
    if (e->rules && isnan(q.number))
        return value_unknown();
    return value_of_number(q.number);
}

static double arith(enum op_code op, double a, double b)
{
    switch (op) {
    case OP_ADD: return a + b;
    case OP_SUB: return a - b;
    case OP_MUL: return a * b;
    case OP_DIV: return a / b;
    default: return fmod(a, b);
    }
}

static bool dec_mod(struct dec a, struct dec b, struct dec *out)
{
    while (a.scale != b.scale) {
        struct dec *coarse = a.scale < b.scale ? &a : &b;
        if (coarse->coefficient > INT64_MAX / 10 || coarse->coefficient < INT64_MIN / 10)
            return false;
        coarse->coefficient *= 10;
        coarse->scale++;
    }
    if (b.coefficient == -1)
        *out = (struct dec){0, 0};
    else
        *out = (struct dec){a.coefficient % b.coefficient, a.scale};
    return true;
}

static bool exact_arith(enum op_code op, struct dec a, struct dec b, struct dec *out)
{
    switch (op) {
    case OP_ADD: return dec_add(a, b, out);
    case OP_SUB: return dec_sub(a, b, out);
    case OP_MUL: return dec_mul(a, b, out);
    case OP_DIV: return dec_div(a, b, out);
    default: return dec_mod(a, b, out);
    }
}

/* Sure counts move a range without widening it; anything else done to one is not known. */
static struct quantity range_arith(enum op_code op, struct quantity a, struct quantity b)
{
    struct quantity unknown = {.unknown = true};
    int64_t lo[2], hi[2];
    const struct quantity *q[2] = {&a, &b};
    if (op != OP_ADD && op != OP_SUB)
        return unknown;
    for (int i = 0; i < 2; i++) {
        if (!q[i]->ranged && !(q[i]->exact && q[i]->dec.scale == 0))
            return unknown;
        lo[i] = q[i]->ranged ? q[i]->lo : q[i]->dec.coefficient;
        hi[i] = q[i]->ranged ? q[i]->hi : q[i]->dec.coefficient;
        if (lo[i] < -INT64_C(1000000000000) || hi[i] > INT64_C(1000000000000))
            return unknown;
    }
    return (struct quantity){.ranged = true,
                             .lo = op == OP_ADD ? lo[0] + lo[1] : lo[0] - hi[1],
                             .hi = op == OP_ADD ? hi[0] + hi[1] : hi[0] - lo[1],
                             .number = NOT_A_NUMBER};
}

bool quantity_arith(struct eval *e, enum op_code op, struct quantity a, struct quantity b,
                    struct quantity *out)
{
    if (a.unknown || b.unknown) {
        *out = (struct quantity){.unknown = true};
        return true;
    }
    if (a.ranged || b.ranged) {
        *out = range_arith(op, a, b);
        return true;
    }
    if (e->rules && (op == OP_DIV || op == OP_MOD) && b.number == 0) {
        expr_trouble(e, "a division by zero has no answer");
        *out = (struct quantity){.unknown = true};
        return false;
    }
    struct dec d = {0};
    if (a.exact && b.exact && exact_arith(op, a.dec, b.dec, &d))
        *out = quantity_dec(d);
    else
        *out = quantity_of(arith(op, a.number, b.number));
    return true;
}

/* -- comparison
 * ------------------------------------------------------------------------------------------------- */

static bool holds(enum token_kind op, int order)
{
    switch (op) {
    case TOK_EQ: return order == 0;
    case TOK_NE: return order != 0;
    case TOK_LT: return order < 0;
    case TOK_LE: return order <= 0;
    case TOK_GT: return order > 0;
    default: return order >= 0;
    }
}

static bool numbers_hold(enum token_kind op, double a, double b)
{
    if (isnan(a) || isnan(b))
        return op == TOK_NE;
    return holds(op, a < b ? -1 : a > b ? 1 : 0);
}

static enum truth ranges_hold(enum token_kind op, struct quantity a, struct quantity b)
{
    double alo = a.ranged ? (double)a.lo : a.number, ahi = a.ranged ? (double)a.hi : a.number;
    double blo = b.ranged ? (double)b.lo : b.number, bhi = b.ranged ? (double)b.hi : b.number;
    bool some = false, all = true;
    switch (op) {
    case TOK_EQ:
        some = alo <= bhi && blo <= ahi;
        all = alo == bhi && ahi == blo;
        break;
    case TOK_NE:
        some = !(alo == bhi && ahi == blo);
        all = ahi < blo || bhi < alo;
        break;
    case TOK_LT:
        some = alo < bhi;
        all = ahi < blo;
        break;
    case TOK_LE:
        some = alo <= bhi;
        all = ahi <= blo;
        break;
    case TOK_GT:
        some = ahi > blo;
        all = alo > bhi;
        break;
    default:
        some = ahi >= blo;
        all = alo >= bhi;
        break;
    }
    return all ? TRUTH_TRUE : some ? TRUTH_UNKNOWN : TRUTH_FALSE;
}

/* Forms in the field add shares up and ask whether they make 1; JavaRosa lets the last bits go, and so do we.
 */
#define NEAR 1e-12

static enum truth quantities_hold(const struct eval *e, enum token_kind op, struct quantity a,
                                  struct quantity b)
{
    if (a.unknown || b.unknown)
        return TRUTH_UNKNOWN;
    if (a.ranged || b.ranged)
        return ranges_hold(op, a, b);
    if (a.exact && b.exact)
        return holds(op, dec_cmp(a.dec, b.dec)) ? TRUTH_TRUE : TRUTH_FALSE;
    if (e->odk && !e->rules && (op == TOK_EQ || op == TOK_NE) && fabs(a.number - b.number) < NEAR)
        return op == TOK_EQ ? TRUTH_TRUE : TRUTH_FALSE;
    return numbers_hold(op, a.number, b.number) ? TRUTH_TRUE : TRUTH_FALSE;
}

static bool is_moment(const struct value *v)
{
    return v->type == VALUE_DATE || v->type == VALUE_INSTANT;
}

static bool is_number(const struct value *v)
{
    return v->type == VALUE_NUMBER || v->type == VALUE_DEC || v->type == VALUE_RANGE;
}

static bool moments_hold(struct eval *e, enum token_kind op, const struct value *a, const struct value *b)
{
    int64_t x = a->day, y = b->day;
    if (a->type != VALUE_DATE || b->type != VALUE_DATE) {
        x = moment_ms(e, a);
        y = moment_ms(e, b);
    }
    return holds(op, x < y ? -1 : x > y ? 1 : 0);
}

/* Two single values. */
static enum truth compare_single(struct eval *e, enum token_kind op, const struct value *a,
                                 const struct value *b)
{
    bool equality = op == TOK_EQ || op == TOK_NE;
    if (a->type == VALUE_UNKNOWN || b->type == VALUE_UNKNOWN)
        return TRUTH_UNKNOWN;
    if (equality && (a->type == VALUE_BOOL || b->type == VALUE_BOOL)) {
        enum truth x = value_truth(e, a), y = value_truth(e, b);
        if (x == TRUTH_UNKNOWN || y == TRUTH_UNKNOWN)
            return TRUTH_UNKNOWN;
        return (x == y) == (op == TOK_EQ) ? TRUTH_TRUE : TRUTH_FALSE;
    }
    if (is_moment(a) || is_moment(b) ||
        (!equality && e->odk && a->type == VALUE_STRING && b->type == VALUE_STRING)) {
        struct value x, y;
        if (value_moment(e, a, &x) && value_moment(e, b, &y))
            return moments_hold(e, op, &x, &y) ? TRUTH_TRUE : TRUTH_FALSE;
    }
    if (equality && !is_number(a) && !is_number(b))
        return str_eq(value_text(e, a), value_text(e, b)) == (op == TOK_EQ) ? TRUTH_TRUE : TRUTH_FALSE;
    return quantities_hold(e, op, value_quantity(e, a), value_quantity(e, b));
}

static enum token_kind mirrored(enum token_kind op)
{
    switch (op) {
    case TOK_LT: return TOK_GT;
    case TOK_LE: return TOK_GE;
    case TOK_GT: return TOK_LT;
    case TOK_GE: return TOK_LE;
    default: return op;
    }
}

/* Does it hold for some node? An unknown node leaves a false answer unknown. */
static enum err compare_nodes(struct eval *e, enum token_kind op, const struct nodes *nodes,
                              const struct value *b, enum truth *out)
{
    bool unknown = nodes->maybe > 0;
    for (uint32_t i = 0; i < nodes->count; i++) {
        struct value a;
        if (!spend(e, 1))
            return ERR_LIMIT;
        struct arena_mark mark = arena_mark(e->scratch);
        enum err rc = node_value(e, nodes->at[i], &a);
        if (rc)
            return rc;
        enum truth t = compare_single(e, op, &a, b);
        arena_release(e->scratch, mark);
        if (t == TRUTH_TRUE) {
            *out = t;
            return ERR_OK;
        }
        unknown = unknown || t == TRUTH_UNKNOWN;
    }
    *out = unknown ? TRUTH_UNKNOWN : TRUTH_FALSE;
    return ERR_OK;
}

static enum err compare_node_sets(struct eval *e, enum token_kind op, const struct nodes *a,
                                  const struct nodes *b, enum truth *out)
{
    bool unknown = a->maybe || b->maybe;
    *out = TRUTH_FALSE;
    for (uint32_t i = 0; i < b->count; i++) {
        struct value v;
        enum truth t;
        enum err rc = node_value(e, b->at[i], &v);
        if (!rc)
            rc = compare_nodes(e, op, a, &v, &t);
        if (rc)
            return rc;
        if (t == TRUTH_TRUE) {
            *out = t;
            return ERR_OK;
        }
        unknown = unknown || t == TRUTH_UNKNOWN;
    }
    if (unknown)
        *out = TRUTH_UNKNOWN;
    return ERR_OK;
}

enum err value_compare(struct eval *e, enum token_kind op, const struct value *a, const struct value *b,
                       struct value *out)
{
    enum truth t = TRUTH_FALSE;
    enum err rc = ERR_OK;
    bool a_nodes = a->type == VALUE_NODES, b_nodes = b->type == VALUE_NODES;
    if ((a_nodes && b->type == VALUE_BOOL) || (b_nodes && a->type == VALUE_BOOL)) {
        struct value x = value_of_truth(value_truth(e, a)), y = value_of_truth(value_truth(e, b));
        t = compare_single(e, op, &x, &y);
    } else if (a_nodes && b_nodes) {
        rc = compare_node_sets(e, op, a->nodes, b->nodes, &t);
    } else if (a_nodes) {
        rc = compare_nodes(e, op, a->nodes, b, &t);
    } else if (b_nodes) {
        rc = compare_nodes(e, mirrored(op), b->nodes, a, &t);
    } else {
        t = compare_single(e, op, a, b);
    }
    *out = value_of_truth(t);
    return rc;
}
