/* The compiled form as others see it: its fields and summary, paths to references, and the context rule.
 * Read-only once form_load has returned; no name is compared after that except where a caller hands in a path
 * as text.
 */
#include "forms/model.h"

/* --- the tree of paths --- */

static uint32_t child_hash(uint32_t parent, uint32_t local, bool attribute)
{
    uint64_t h = ((uint64_t)parent << 32 | (uint64_t)local << 1 | attribute) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(h >> 32);
}

uint32_t form_child(const struct form *f, uint32_t parent, uint32_t local, bool attribute)
{
    if (local == NONE || f->children_room == 0)
        return NONE;
    uint32_t mask = f->children_room - 1;
    for (uint32_t i = child_hash(parent, local, attribute) & mask;; i = (i + 1) & mask) {
        const struct child_slot *slot = &f->children[i];
        if (slot->child == NONE)
            return NONE;
        if (slot->parent == parent && slot->local == local && f->nodes.at[slot->child].attribute == attribute)
            return slot->child;
    }
}

void form_child_put(struct form *f, uint32_t child)
{
    const struct schema_node *n = &f->nodes.at[child];
    uint32_t mask = f->children_room - 1;
    uint32_t i = child_hash(n->parent, n->local, n->attribute) & mask;
    while (f->children[i].child != NONE) {
        const struct child_slot *s = &f->children[i];
        if (s->parent == n->parent && s->local == n->local && f->nodes.at[s->child].attribute == n->attribute)
            return; /* a twin: paths find the first one */
        i = (i + 1) & mask;
    }
    f->children[i] = (struct child_slot){n->parent, n->local, child};
}

uint32_t form_local(const struct form *f, struct str local)
{
    uint32_t number;
    return map_get(&f->locals, local, &number) ? number : NONE;
}

bool form_is_ancestor(const struct form *f, uint32_t ancestor, uint32_t node)
{
    return ancestor <= node && node < f->nodes.at[ancestor].end;
}

struct str form_node_path(const struct form *f, uint32_t node, struct arena *a)
{
    struct str out = STR("/");
    size_t n = 0;
    if (node == NONE)
        return STR("");
    for (uint32_t i = node; i != NONE; i = f->nodes.at[i].parent)
        n += f->names.at[f->nodes.at[i].name].local.n + (f->nodes.at[i].attribute ? 2 : 1);
    char *p = arena_alloc(a, n + 1);
    if (!p)
        return out;
    out = (struct str){p, n};
    for (uint32_t i = node; i != NONE; i = f->nodes.at[i].parent) {
        struct str local = f->names.at[f->nodes.at[i].name].local;
        n -= local.n;
        memcpy(p + n, local.p, local.n);
        if (f->nodes.at[i].attribute)
            p[--n] = '@';
        p[--n] = '/';
    }
    return out;
}

/* --- the context rule --- */

uint32_t form_class_at_depth(const struct form *f, uint32_t class, uint32_t depth)
{
    while (f->classes.at[class].depth > depth)
        class = f->classes.at[class].parent;
    return class;
}

uint32_t form_common_class(const struct form *f, uint32_t a, uint32_t b)
{
    while (a != b) {
        uint32_t *deeper = f->classes.at[a].depth >= f->classes.at[b].depth ? &a : &b;
        *deeper = f->classes.at[*deeper].parent;
    }
    return a;
}

uint32_t form_base_class(const struct form *f, uint32_t from, uint32_t ref, bool single)
{
    uint32_t target = f->nodes.at[ref_node(ref)].class;
    uint32_t common = form_common_class(f, from, target);
    if (single)
        return common;
    return form_class_at_depth(f, common, ref_depth(ref));
}

uint32_t form_self_ref(const struct form *f, uint32_t node)
{
    return ref_of(node, f->classes.at[f->nodes.at[node].class].depth);
}

/* --- paths of expressions --- */

uint32_t text_distance(struct str a, struct str b, uint32_t max)
{
    uint32_t row[65];
    if (a.n > 64 || b.n > 64)
        return max + 1;
    for (uint32_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (uint32_t i = 1; i <= a.n; i++) {
        uint32_t diagonal = row[0], best = i;
        row[0] = i;
        for (uint32_t j = 1; j <= b.n; j++) {
            uint32_t cost = diagonal + (a.p[i - 1] != b.p[j - 1]);
            diagonal = row[j];
            uint32_t step = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = cost < step ? cost : step;
            best = row[j] < best ? row[j] : best;
        }
        if (best > max)
            return max + 1;
    }
    return row[b.n];
}

struct str form_nearest_child(const struct form *f, uint32_t parent, struct str local)
{
    struct str best = STR("");
    uint32_t best_distance = local.n < 4 ? 2 : 3;
    for (uint32_t c = f->nodes.at[parent].first_child; c != NONE; c = f->nodes.at[c].next) {
        struct str name = f->names.at[f->nodes.at[c].name].local;
        uint32_t distance = text_distance(local, name, best_distance);
        if (distance < best_distance) {
            best = name;
            best_distance = distance;
        }
    }
    return best;
}

/* Somewhere else in the form, perhaps: "member" moved into a group is the commonest cause of a dead path. */
static uint32_t node_elsewhere(const struct form *f, uint32_t local)
{
    for (uint32_t i = 0; local != NONE && i < f->nodes.count; i++)
        if (f->nodes.at[i].local == local)
            return i;
    return NONE;
}

static enum err path_missing(const struct form *f, uint32_t at, struct str local, struct diag *d)
{
    struct arena scratch;
    arena_init(&scratch, 1u << 20);
    struct str where = form_node_path(f, at, &scratch);
    uint32_t other = node_elsewhere(f, form_local(f, local));
    struct str near = at == NONE ? f->names.at[f->nodes.at[0].name].local : form_nearest_child(f, at, local);
    enum err rc;
    if (other != NONE) {
        struct str path = form_node_path(f, other, &scratch);
        rc = diag_set(d, ERR_NOT_FOUND, "%.*s has no \"%.*s\"; there is one at %.*s.", STR_ARG(where),
                      STR_ARG(local), STR_ARG(path));
    } else if (near.n) {
        rc = diag_set(d, ERR_NOT_FOUND, "%.*s has no \"%.*s\". Is \"%.*s\" meant?", STR_ARG(where),
                      STR_ARG(local), STR_ARG(near));
    } else {
        rc = diag_set(d, ERR_NOT_FOUND, "%.*s has no \"%.*s\".", STR_ARG(where), STR_ARG(local));
    }
    arena_free(&scratch);
    return rc;
}

/* Follows plain steps. `top` is the highest node the path stands on: where a node-set is looked for. */
static enum err walk_steps(const struct form *f, uint32_t at, const struct path_step *steps, uint32_t count,
                           uint32_t *node_out, uint32_t *top_out, struct diag *d)
{
    uint32_t top = at;
    for (uint32_t i = 0; i < count; i++) {
        const struct path_step *s = &steps[i];
        if (s->kind == STEP_SELF)
            continue;
        if (s->kind == STEP_PARENT) {
            if (at == NONE || f->nodes.at[at].parent == NONE)
                return diag_set(d, ERR_NOT_FOUND, "The path climbs above the root of the form.");
            at = f->nodes.at[at].parent;
            if (form_is_ancestor(f, at, top))
                top = at;
            continue;
        }
        if (s->local.n == 0 || str_eq_z(s->local, "*")) {
            *node_out = NONE;
            return ERR_OK;
        }
        uint32_t local = form_local(f, s->local), child;
        if (at == NONE)
            child = f->nodes.at[0].local == local && s->kind == STEP_CHILD ? 0 : NONE;
        else
            child = form_child(f, at, local, s->kind == STEP_ATTRIBUTE);
        if (child == NONE)
            return path_missing(f, at, s->local, d);
        if (f->nodes.at[child].twin != NONE) {
            *node_out = NONE;
            return ERR_OK;
        }
        at = child;
    }
    *node_out = at;
    *top_out = top;
    return ERR_OK;
}

static enum err scope_path(void *self, uint32_t context, bool absolute, const struct path_step *steps,
                           uint32_t count, uint32_t *ref_out, struct diag *d)
{
    const struct form *f = self;
    uint32_t node = NONE, top = NONE;
    if (!absolute && context == EXPR_CONTEXT_NONE) {
        *ref_out = EXPR_REF_NONE;
        return ERR_OK;
    }
    enum err rc = walk_steps(f, absolute ? NONE : ref_node(context), steps, count, &node, &top, d);
    if (rc)
        return rc;
    if (node == NONE) {
        *ref_out = EXPR_REF_NONE;
        return ERR_OK;
    }
    uint32_t depth = absolute || top == NONE ? 0 : f->classes.at[f->nodes.at[top].class].depth;
    *ref_out = ref_of(node, depth);
    return ERR_OK;
}

static bool scope_many(void *self, uint32_t context, uint32_t ref)
{
    const struct form *f = self;
    uint32_t from = context == EXPR_CONTEXT_NONE ? 0 : f->nodes.at[ref_node(context)].class;
    uint32_t target = f->nodes.at[ref_node(ref)].class;
    return form_common_class(f, from, target) != target;
}

static struct str scope_namespace(void *self, struct str prefix)
{
    const struct form *f = self;
    uint32_t i;
    if (prefix.n == 0)
        return STR_NONE; /* an unprefixed name in a form fits any namespace */
    return map_get(&f->prefixes, prefix, &i) ? f->uris.at[i] : STR_NONE;
}

struct expr_scope form_scope(const struct form *f, uint32_t context)
{
    return (struct expr_scope){
        .self = (void *)(uintptr_t)f, /* the callbacks only read */
        .library = EXPR_ODK,
        .context = context == NONE ? EXPR_CONTEXT_NONE : form_self_ref(f, context),
        .path = scope_path,
        .many = scope_many,
        .functions = form_functions,
        .function_count = form_function_count,
        .namespace_uri = scope_namespace,
    };
}

/* --- what the public header promises --- */

struct str form_id(const struct form *f)
{
    return f->id;
}

struct str form_version(const struct form *f)
{
    return f->version;
}

struct str form_title(const struct form *f)
{
    return f->title;
}

uint32_t form_language_count(const struct form *f)
{
    return f->languages.count;
}

struct str form_language(const struct form *f, uint32_t i)
{
    return i < f->languages.count ? f->languages.at[i] : STR("");
}

uint32_t form_language_default(const struct form *f)
{
    return f->language_default;
}

uint32_t form_field_count(const struct form *f)
{
    return f->fields.count;
}

const struct form_field *form_field(const struct form *f, uint32_t number)
{
    return number < f->fields.count ? &f->fields.at[number] : NULL;
}

const struct form_field *form_field_by_path(const struct form *f, struct str path)
{
    uint32_t number;
    return map_get(&f->field_paths, path, &number) ? &f->fields.at[number] : NULL;
}

uint32_t form_repeat_count(const struct form *f)
{
    return f->repeats.count;
}

const struct form_repeat *form_repeat(const struct form *f, uint32_t number)
{
    return number < f->repeats.count ? &f->repeats.at[number] : NULL;
}

struct form_summary form_summary(const struct form *f)
{
    return f->summary;
}

uint32_t form_resource_count(const struct form *f)
{
    return f->external.count;
}

struct str form_resource(const struct form *f, uint32_t i)
{
    return i < f->external.count ? f->resources.at[f->external.at[i]].uri : STR("");
}
