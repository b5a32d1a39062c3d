/* Functions on nodes: positions, secondary instances, random order, repeats by index.
 *
 * randomize() gives the same order as JavaRosa and the web engines for the same seed, bit for bit, because
 * choice lists were printed and analysed in that order: Fisher-Yates inside out over the Park-Miller
 * generator.
 */
#include "forms/expr_impl.h"

#define COUNT_OF(rows) ((uint32_t)(sizeof(rows) / sizeof(*(rows))))

/* A group that holds anything is not empty, even if all of it is blank. */
static bool has_children(struct eval *e, struct node n)
{
    const struct tree *t = node_tree(e, n);
    struct node c;
    for (bool more = t && t->ops->first_child(t, n, &c); more; more = t->ops->next_sibling(t, c, &c))
        if (t->ops->kind(t, c) == NODE_ELEMENT)
            return true;
    return false;
}

static enum err fn_count_non_empty(struct eval *e, const struct value *args, uint32_t count,
                                   struct value *out)
{
    (void)count;
    const struct nodes *n = args[0].nodes;
    int64_t given = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        struct arena_mark mark = arena_mark(e->scratch);
        struct value v;
        enum err rc = spend(e, 1) ? node_value(e, n->at[i], &v) : ERR_LIMIT;
        if (rc)
            return rc;
        given += !value_blank(e, &v) || has_children(e, n->at[i]);
        arena_release(e->scratch, mark);
    }
    *out = value_count(e, given);
    if (n->maybe) {
        *out = (struct value){.type = VALUE_RANGE};
        out->range.lo = given;
        out->range.hi = given + n->maybe;
    }
    return ERR_OK;
}

/* Of several nodes the one around the context, as in position(/data/rep) inside of rep. */
static struct node around_context(struct eval *e, const struct nodes *n)
{
    const struct tree *t = node_tree(e, e->current);
    struct node up = e->current;
    for (bool more = t && n->count > 1; more; more = t->ops->parent(t, up, &up))
        for (uint32_t i = 0; i < n->count && spend(e, 1); i++)
            if (node_same(n->at[i], up))
                return up;
    return n->at[0];
}

/* position(node): its place among the siblings of its name. */
static enum err fn_position(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    const struct nodes *n = args[0].nodes;
    *out = n->count ? value_count(e, node_ordinal(e, around_context(e, n)))
                    : quantity_value(e, quantity_of(NOT_A_NUMBER));
    return ERR_OK;
}

static enum err fn_instance(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)count;
    struct node_list l = {0};
    struct node root = NODE_NONE;
    enum err rc = e->instance ? e->instance(e, args[0].text, &root) : ERR_NOT_FOUND;
    if (rc == ERR_NOT_FOUND) {
        expr_trouble(e, "there is no instance \"%.*s\"", STR_ARG(args[0].text));
        rc = ERR_OK;
    } else if (!rc && node_tree(e, root)) {
        rc = node_list_push(e, &l, root);
    }
    return rc ? rc : node_list_value(e, &l, false, out);
}

/* -- random order
 * ----------------------------------------------------------------------------------------------- */

#define PARK_MILLER INT64_C(2147483647)

static double park_miller(int64_t *seed)
{
    *seed = *seed * 16807 % PARK_MILLER;
    return (double)(*seed - 1) / (double)(PARK_MILLER - 1);
}

static int64_t whole_seed(double seed)
{
    if (seed >= 9223372036854775807.0)
        return INT64_MAX;
    return seed <= -9223372036854775808.0 ? INT64_MIN : (int64_t)seed;
}

/* Seeds that are no number are hashed, and the first eight bytes count. JavaRosa passes them through a
 * double, so their last bits are lost, and the published orders are without them. */
static int64_t seed_of(struct eval *e, const struct value *v)
{
    unsigned char sum[64];
    size_t n = 0;
    double number = value_number(e, v);
    if (!isnan(number))
        return whole_seed(number);
    struct str s = value_text(e, v);
    if (s.n == 0 || str_eq_z(s, "NaN") || !text_digest(e, STR("SHA-256"), s, sum, &n))
        return 0;
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | sum[i];
    return whole_seed((double)(int64_t)bits);
}

static enum err fn_randomize(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    const struct nodes *n = args[0].nodes;
    struct node_list l = {.count = n->count, .maybe = n->maybe};
    int64_t seed = 0;
    uint64_t bits = 0;
    l.at = ARENA_ARRAY(e->scratch, struct node, n->count);
    if (!l.at)
        return ERR_NOMEM;
    if (!spend(e, n->count))
        return ERR_LIMIT;
    if (count > 1) {
        seed = seed_of(e, &args[1]);
    } else if (e->random && e->random(e, &bits, sizeof(bits)) == ERR_OK) {
        seed = (int64_t)(bits >> 1);
    } else {
        expr_trouble(e, "there is no source of random numbers here");
        return node_list_value(e, &(struct node_list){n->at, n->count, n->count, n->maybe}, n->unordered,
                               out);
    }
    seed %= PARK_MILLER;
    if (seed <= 0)
        seed += PARK_MILLER - 1;
    for (uint32_t i = 0; i < n->count; i++) {
        uint32_t j = (uint32_t)floor(park_miller(&seed) * (i + 1));
        if (j > i)
            j = i;
        l.at[i] = l.at[j];
        l.at[j] = n->at[i];
    }
    return node_list_value(e, &l, true, out);
}

/* -- indexed-repeat
 * --------------------------------------------------------------------------------------------- */

static bool contains(struct eval *e, const struct nodes *sorted, struct node n)
{
    uint32_t low = 0, high = sorted->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = node_same(sorted->at[middle], n) ? 0 : node_order(e, sorted->at[middle], n);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* Those instances that stand at `index` among their siblings. */
static enum err instances_at(struct eval *e, const struct nodes *all, double index, struct nodes *out)
{
    struct node_list l = {0};
    for (uint32_t i = 0; i < all->count; i++) {
        if (node_ordinal(e, all->at[i]) != index)
            continue;
        enum err rc = node_list_push(e, &l, all->at[i]);
        if (rc)
            return rc;
    }
    *out = (struct nodes){.at = l.at, .count = l.count};
    return ERR_OK;
}

static bool inside(struct eval *e, struct node n, const struct nodes *instances)
{
    const struct tree *t = node_tree(e, n);
    do {
        if (contains(e, instances, n))
            return true;
    } while (t && spend(e, 1) && t->ops->parent(t, n, &n));
    return false;
}

/* How many ancestors two nodes of one tree share, counted from `b` upwards: 0 = b itself is around a. */
static uint32_t steps_to_common(struct eval *e, struct node a, struct node b)
{
    const struct tree *t = node_tree(e, a);
    for (uint32_t up = 0; t; up++) {
        struct node n = a;
        do {
            if (node_same(n, b))
                return up;
        } while (spend(e, 1) && t->ops->parent(t, n, &n));
        if (!t->ops->parent(t, b, &b))
            break;
    }
    return UINT32_MAX;
}

/* indexed-repeat(target, repeat, index, ...): repeats left out are those around the context. */
static enum err fn_indexed_repeat(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct node_list l = {.at = args[0].nodes->at, .count = args[0].nodes->count};
    enum err rc = ERR_OK;
    if (count % 2 == 0)
        return diag_set(e->diag, ERR_SYNTAX, "indexed-repeat() needs an index after each repeat");
    for (uint32_t i = 1; i + 1 < count; i += 2) {
        struct nodes wanted = {0};
        if (args[i].type != VALUE_NODES)
            return diag_set(e->diag, ERR_SYNTAX, "indexed-repeat() needs a path to a repeat as argument %u",
                            i + 1);
        double index = floor(value_number(e, &args[i + 1]));
        if (!(index >= 1))
            index = 1; /* blank or zero: forms in the field rely on the first */
        struct node_list kept = {0};
        rc = instances_at(e, args[i].nodes, index, &wanted);
        for (uint32_t k = 0; !rc && k < l.count; k++)
            if (inside(e, l.at[k], &wanted))
                rc = node_list_push(e, &kept, l.at[k]);
        if (rc)
            return rc;
        l = kept;
    }
    uint32_t nearest = UINT32_MAX;
    for (uint32_t k = 0; l.count > 1 && k < l.count; k++) {
        uint32_t up = steps_to_common(e, l.at[k], e->current);
        nearest = up < nearest ? up : nearest;
    }
    struct node_list kept = {0};
    for (uint32_t k = 0; !rc && k < l.count; k++)
        if (nearest == UINT32_MAX || steps_to_common(e, l.at[k], e->current) == nearest)
            rc = node_list_push(e, &kept, l.at[k]);
    return rc ? rc : node_list_value(e, &kept, false, out);
}

#define N ARG_NUMBER
#define S ARG_STRING
#define SET ARG_NODES
#define MANY ARG_MANY
#define ANY ARG_ANY

/* clang-format off */
static const struct expr_function rows[] = {
    /*name               min  max  arguments                returns  marks           call */
    {"position",        0,   1,   {SET},                   N,       0,              fn_position},
    {"count-non-empty", 1,   1,   {SET},                   N,       0,              fn_count_non_empty},
    {"instance",        1,   1,   {S},                     SET,     0,              fn_instance},
    {"randomize",       1,   2,   {SET, ANY},              SET,     EXPR_USES_ZONE, fn_randomize},
    {"indexed-repeat",  3,   11,  {SET, MANY, MANY, MANY}, SET,     0,              fn_indexed_repeat},
};
/* clang-format on */

struct expr_function_table expr_functions_nodes(void)
{
    return (struct expr_function_table){rows, COUNT_OF(rows)};
}
