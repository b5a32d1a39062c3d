/* The primary instance as expressions see it: reads of references by the context rule, and a tree for
 * everything that only evaluation can tell. Non-relevant nodes and instances put aside are left out of both.
 * A node handle is {tree 0, frame, schema node}; the text of a leaf and the document above the root have
 * handles of their own.
 */
#include <math.h>

#include "forms/instance.h"

#define Y_TEXT 0x80000000u
#define Y_DOCUMENT 0xFFFFFFFEu
#define TEXT_OF_A_NODE 16 /* bytes that cost about what looking at a node costs */

static struct session *session_of(const struct tree *t)
{
    return ((const struct primary *)(const void *)t)->session;
}

static bool is_text(struct node n)
{
    return (n.y & Y_TEXT) && n.y != Y_DOCUMENT;
}

static bool visible(const struct session *s, const struct frame *f, uint32_t node)
{
    return cell_at(s, f, node)->hidden == 0;
}

static bool frame_in_use(const struct session *s, uint32_t number)
{
    const struct frame *f = s->frames.at[number];
    return f->cells[0].hidden == 0;
}

/* --- values --- */

static struct value read_text(struct session *s, const struct cell *c, enum cast cast)
{
    struct value v = {.type = VALUE_STRING, .text = c->text};
    struct civil t;
    double number;
    switch (cast) {
    case CAST_STRING: break;
    case CAST_BOOLEAN:
        v = (struct value){.type = VALUE_BOOL,
                           .boolean = str_eq_z(c->text, "true") || str_eq_z(c->text, "1")};
        break;
    case CAST_INT:
    case CAST_DECIMAL:
        /* A double holds 15 digits; a longer number, such as an identity number, stays the text that it is.
         */
        if (c->text.n <= 16 && num_read(c->text, &number))
            v = (struct value){.type = VALUE_NUMBER, .number = number};
        break;
    case CAST_DATE:
        if (civil_read(c->text, &t) && t.has_date)
            v = (struct value){.type = VALUE_DATE, .day = civil_days(t.year, t.month, t.day)};
        break;
    case CAST_DATETIME:
        if (civil_read(c->text, &t) && t.has_date && t.has_time) {
            const struct zone *zone = s->host->zone ? s->host->zone : zone_utc();
            v = (struct value){.type = VALUE_INSTANT};
            v.instant.ms = civil_instant_ms(&t, zone);
            v.instant.offset_min = t.has_offset ? t.offset_min : zone_offset_min(zone, v.instant.ms);
        }
        break;
    }
    return v;
}

struct value cell_value(struct session *s, const struct frame *f, uint32_t node, bool rules)
{
    struct cell *c = cell_at(s, f, node);
    if (c->text.n == 0 || c->status == ANSWER_PARTIAL)
        return rules ? (struct value){.type = VALUE_UNKNOWN}
                     : (struct value){.type = VALUE_STRING, .text = STR("")};
    if (!(c->flags & CELL_TYPED)) {
        c->typed = read_text(s, c, node_at(s, node)->cast);
        c->flags |= CELL_TYPED;
    }
    if (rules && c->typed.type == VALUE_NUMBER) {
        struct dec exact;
        if (dec_read(c->text, &exact))
            return (struct value){.type = VALUE_DEC, .dec = exact};
    }
    return c->typed;
}

/* --- references --- */

/* From a frame of an enclosing class down to the first instance in use of `class`; NULL when there is none.
 */
static const struct frame *first_below(const struct session *s, const struct frame *from, uint32_t class)
{
    uint32_t chain[REF_DEPTH_MAX + 1], depth = 0;
    for (uint32_t c = class; c != from->class; c = s->form->classes.at[c].parent)
        chain[depth++] = c;
    while (from && depth > 0) {
        const struct frame_list *list = frame_list(s, from, chain[--depth]);
        from = NULL;
        for (uint32_t i = entry_from(list, 0); i < list->used && !from; i = entry_from(list, i + 1))
            if (frame_in_use(s, list->at[i]))
                from = s->frames.at[list->at[i]];
    }
    return from;
}

const struct frame *frame_seen(const struct session *s, const struct frame *from, uint32_t class)
{
    if (from->class == class)
        return from;
    return first_below(s, frame_up(s, from, form_common_class(s->form, from->class, class)), class);
}

static const struct frame *context_frame(const struct session *s, struct node context)
{
    const struct frame *f = context.tree == 0 ? frame_at(s, context.x) : NULL;
    return f ? f : s->frames.at[0];
}

static enum err read_scalar(struct eval *e, struct node context, uint32_t ref, struct value *out)
{
    struct session *s = e->host;
    const struct frame *from = context_frame(s, context);
    uint32_t node = ref_node(ref), class = node_at(s, node)->class;
    const struct frame *f = from;
    if (from->class != class)
        f = first_below(s, frame_up(s, from, form_base_class(s->form, from->class, ref, true)), class);
    *out = e->rules ? (struct value){.type = VALUE_UNKNOWN}
                    : (struct value){.type = VALUE_STRING, .text = STR("")};
    if (!f)
        return ERR_OK;
    bool itself = f == from && node == context.y; /* once(.) keeps what an irrelevant node holds */
    if (visible(s, f, node) || itself)
        *out = cell_value(s, f, node, e->rules);
    return ERR_OK;
}

static enum err push_node(struct eval *e, struct nodes *out, uint32_t *room, struct node n)
{
    if (out->count == *room) {
        uint32_t larger = *room ? *room * 2 : 16;
        struct node *at = ARENA_ARRAY(e->scratch, struct node, larger);
        if (!at)
            return ERR_NOMEM;
        if (out->count)
            memcpy(at, out->at, out->count * sizeof(*at));
        out->at = at;
        *room = larger;
    }
    out->at[out->count++] = n;
    return ERR_OK;
}

static enum err gather(struct eval *e, const struct frame *from, const uint32_t *chain, uint32_t depth,
                       uint32_t node, struct nodes *out, uint32_t *room)
{
    struct session *s = e->host;
    enum err rc = ERR_OK;
    if (depth == 0)
        return visible(s, from, node) ? push_node(e, out, room, (struct node){0, from->number, node})
                                      : ERR_OK;
    const struct frame_list *list = frame_list(s, from, chain[depth - 1]);
    for (uint32_t i = entry_from(list, 0); i < list->used && !rc; i = entry_from(list, i + 1))
        if (frame_in_use(s, list->at[i]))
            rc = gather(e, s->frames.at[list->at[i]], chain, depth - 1, node, out, room);
    return rc;
}

static enum err read_nodes(struct eval *e, struct node context, uint32_t ref, struct nodes *out)
{
    struct session *s = e->host;
    const struct frame *from = context_frame(s, context);
    uint32_t node = ref_node(ref), base = form_base_class(s->form, from->class, ref, false), depth = 0;
    uint32_t chain[REF_DEPTH_MAX + 1], room = out->count;
    for (uint32_t c = node_at(s, node)->class; c != base; c = s->form->classes.at[c].parent)
        chain[depth++] = c;
    return gather(e, frame_up(s, from, base), chain, depth, node, out, &room);
}

static bool read_aggregate(struct eval *e, const struct expr_kept *kept, struct value *out)
{
    struct session *s = e->host;
    return tally_read(s, context_frame(s, e->context), kept, out);
}

static enum err read_typed(struct eval *e, struct node n, struct value *out)
{
    struct session *s = e->host;
    if (n.tree == 0 && n.y < Y_TEXT && !node_at(s, n.y)->has_elements) {
        *out = cell_value(s, s->frames.at[n.x], n.y, e->rules);
        return ERR_OK;
    }
    const struct tree *t = n.tree < e->tree_count ? e->trees[n.tree] : NULL;
    uint64_t before = s->walked;
    struct str text = t ? t->ops->text(t, n, e->scratch) : STR("");
    uint64_t walked = s->walked - before;
    if (e->fuel < walked) {
        e->fuel = 0;
        return ERR_LIMIT;
    }
    e->fuel -= (uint32_t)walked;
    *out = text.n == 0 && e->rules ? (struct value){.type = VALUE_UNKNOWN}
                                   : (struct value){.type = VALUE_STRING, .text = text};
    return ERR_OK;
}

/* --- the tree --- */

static enum node_kind primary_kind(const struct tree *t, struct node n)
{
    if (n.y == Y_DOCUMENT)
        return NODE_DOCUMENT;
    if (is_text(n))
        return NODE_TEXT;
    return node_at(session_of(t), n.y)->attribute ? NODE_ATTRIBUTE : NODE_ELEMENT;
}

static struct node_name primary_name(const struct tree *t, struct node n)
{
    const struct form *f = session_of(t)->form;
    if (n.y & Y_TEXT)
        return (struct node_name){STR(""), STR(""), STR("")};
    return f->names.at[f->nodes.at[n.y].name];
}

static struct node primary_root(const struct tree *t)
{
    (void)t;
    return (struct node){0, 0, Y_DOCUMENT};
}

static bool primary_parent(const struct tree *t, struct node n, struct node *out)
{
    const struct session *s = session_of(t);
    if (n.y == Y_DOCUMENT)
        return false;
    if (is_text(n)) {
        *out = (struct node){0, n.x, n.y & ~Y_TEXT};
        return true;
    }
    uint32_t parent = node_at(s, n.y)->parent;
    if (parent == NONE) {
        *out = primary_root(t);
        return true;
    }
    const struct frame *f = s->frames.at[n.x];
    *out = (struct node){0, node_at(s, parent)->class == f->class ? n.x : f->parent, parent};
    return true;
}

/* At or behind a slot of its list. */
static bool first_instance(const struct session *s, const struct frame *f, uint32_t node, uint32_t from,
                           struct node *out)
{
    const struct frame_list *list = frame_list(s, f, node_at(s, node)->class);
    for (uint32_t i = entry_from(list, from); i < list->used; i = entry_from(list, i + 1)) {
        if (frame_in_use(s, list->at[i])) {
            *out = (struct node){0, list->at[i], node};
            return true;
        }
    }
    return false;
}

/* The first visible one among a schema node and those after it, as children of a node in frame `f`. */
static bool first_of(const struct session *s, const struct frame *f, uint32_t node, bool attributes,
                     struct node *out)
{
    for (; node != NONE; node = node_at(s, node)->next) {
        const struct schema_node *n = node_at(s, node);
        if (n->attribute != attributes)
            continue;
        if (n->repeat) {
            if (first_instance(s, f, node, 0, out))
                return true;
        } else if (visible(s, f, node)) {
            *out = (struct node){0, f->number, node};
            return true;
        }
    }
    return false;
}

static bool primary_first_child(const struct tree *t, struct node n, struct node *out)
{
    const struct session *s = session_of(t);
    if (n.y == Y_DOCUMENT) {
        *out = (struct node){0, 0, 0};
        return true;
    }
    if (is_text(n) || node_at(s, n.y)->attribute)
        return false;
    const struct frame *f = s->frames.at[n.x];
    if (node_at(s, n.y)->has_elements)
        return first_of(s, f, node_at(s, n.y)->first_child, false, out);
    *out = (struct node){0, n.x, n.y | Y_TEXT};
    return cell_at(s, f, n.y)->text.n > 0;
}

static const struct frame *frame_around(const struct session *s, struct node n)
{
    const struct frame *f = s->frames.at[n.x];
    return node_at(s, n.y)->repeat ? s->frames.at[f->parent] : f;
}

static bool primary_next_sibling(const struct tree *t, struct node n, struct node *out)
{
    struct session *s = session_of(t);
    if ((n.y & Y_TEXT) || n.y == 0)
        return false;
    const struct frame *around = frame_around(s, n);
    if (node_at(s, n.y)->repeat && first_instance(s, around, n.y, entry_slot(s, s->frames.at[n.x]) + 1, out))
        return true;
    return first_of(s, around, node_at(s, n.y)->next, false, out);
}

static bool last_instance(const struct session *s, const struct frame *f, uint32_t node, uint32_t before,
                          struct node *out)
{
    const struct frame_list *list = frame_list(s, f, node_at(s, node)->class);
    for (uint32_t i = before; i-- > 0;) {
        if (list->at[i] != NONE && frame_in_use(s, list->at[i])) {
            *out = (struct node){0, list->at[i], node};
            return true;
        }
    }
    return false;
}

static bool primary_prev_sibling(const struct tree *t, struct node n, struct node *out)
{
    struct session *s = session_of(t);
    bool found = false;
    if ((n.y & Y_TEXT) || n.y == 0 || node_at(s, n.y)->attribute)
        return false;
    const struct frame *around = frame_around(s, n);
    if (node_at(s, n.y)->repeat && last_instance(s, around, n.y, entry_slot(s, s->frames.at[n.x]), out))
        return true;
    uint32_t parent = node_at(s, n.y)->parent;
    for (uint32_t c = node_at(s, parent)->first_child; c != n.y; c = node_at(s, c)->next) {
        struct node candidate;
        if (node_at(s, c)->attribute)
            continue;
        bool there = true;
        if (node_at(s, c)->repeat)
            there = last_instance(s, around, c, frame_list(s, around, node_at(s, c)->class)->used,
                                  &candidate);
        else if (visible(s, around, c))
            candidate = (struct node){0, around->number, c};
        else
            there = false;
        if (there)
            *out = candidate;
        found |= there;
    }
    return found;
}

static bool primary_first_attribute(const struct tree *t, struct node n, struct node *out)
{
    const struct session *s = session_of(t);
    return !(n.y & Y_TEXT) && first_of(s, s->frames.at[n.x], node_at(s, n.y)->first_child, true, out);
}

static bool primary_next_attribute(const struct tree *t, struct node n, struct node *out)
{
    const struct session *s = session_of(t);
    return !(n.y & Y_TEXT) && first_of(s, s->frames.at[n.x], node_at(s, n.y)->next, true, out);
}

/* Where a node stands when seen from a frame further up: the repeat node that leads to it. */
static uint32_t node_seen_from(const struct session *s, const struct frame *f, uint32_t node,
                               const struct frame *from)
{
    while (f != from) {
        node = s->form->classes.at[f->class].node;
        f = s->frames.at[f->parent];
    }
    return node;
}

static int primary_compare(const struct tree *t, struct node a, struct node b)
{
    struct session *s = session_of(t);
    if (a.y == Y_DOCUMENT || b.y == Y_DOCUMENT)
        return (a.y != Y_DOCUMENT) - (b.y != Y_DOCUMENT);
    uint32_t ya = a.y & ~Y_TEXT, yb = b.y & ~Y_TEXT;
    if (a.x == b.x)
        return ya != yb ? (ya < yb ? -1 : 1) : (int)is_text(a) - (int)is_text(b);
    const struct frame *fa = s->frames.at[a.x], *fb = s->frames.at[b.x], *common_a = fa, *common_b = fb;
    const struct frame_class *classes = s->form->classes.at;
    while (classes[common_a->class].depth > classes[common_b->class].depth)
        common_a = s->frames.at[common_a->parent];
    while (classes[common_b->class].depth > classes[common_a->class].depth)
        common_b = s->frames.at[common_b->parent];
    while (common_a != common_b) {
        common_a = s->frames.at[common_a->parent];
        common_b = s->frames.at[common_b->parent];
    }
    uint32_t seen_a = node_seen_from(s, fa, ya, common_a), seen_b = node_seen_from(s, fb, yb, common_a);
    if (seen_a != seen_b)
        return seen_a < seen_b ? -1 : 1;
    return frame_compare(s, fa, fb);
}

/* Adds the nodes that were looked at to `walked`; a long text counts as several. */
static void text_inside(struct session *s, const struct frame *f, uint32_t node, struct buf *b)
{
    const struct frame_class *class = &s->form->classes.at[f->class];
    uint32_t end = node_at(s, node)->end;
    for (uint32_t i = node; i < end; i++) {
        const struct schema_node *n = node_at(s, i);
        s->walked++;
        if (n->class == f->class) {
            if (!n->attribute && !n->has_elements && visible(s, f, i))
                buf_put_str(b, cell_at(s, f, i)->text);
            continue;
        }
        uint32_t inner = form_class_at_depth(s->form, n->class, class->depth + 1);
        const struct frame_list *list = frame_list(s, f, inner);
        for (uint32_t k = entry_from(list, 0); k < list->used; k = entry_from(list, k + 1))
            if (frame_in_use(s, list->at[k]))
                text_inside(s, s->frames.at[list->at[k]], s->form->classes.at[inner].node, b);
        i = s->form->nodes.at[s->form->classes.at[inner].node].end - 1;
    }
}

static struct str primary_text(const struct tree *t, struct node n, struct arena *scratch)
{
    struct session *s = session_of(t);
    uint32_t node = n.y == Y_DOCUMENT ? 0 : n.y & ~Y_TEXT;
    const struct frame *f = s->frames.at[n.x];
    if (!node_at(s, node)->has_elements)
        return cell_at(s, f, node)->text;
    struct buf b;
    buf_init(&b, SESSION_MEMORY_MAX);
    text_inside(s, f, node, &b);
    s->walked += b.n / TEXT_OF_A_NODE;
    struct str out = arena_str(scratch, buf_str(&b));
    buf_free(&b);
    return out.p ? out : STR("");
}

/* Instances are counted as they lie in the list, relevant or not, as JavaRosa does. */
static uint32_t primary_ordinal(const struct tree *t, struct node n)
{
    struct session *s = session_of(t);
    if ((n.y & Y_TEXT) || !node_at(s, n.y)->repeat)
        return 0;
    return frame_position(s, s->frames.at[n.x]) + 1;
}

static const struct tree_ops primary_ops = {
    .kind = primary_kind,
    .name = primary_name,
    .parent = primary_parent,
    .first_child = primary_first_child,
    .next_sibling = primary_next_sibling,
    .prev_sibling = primary_prev_sibling,
    .first_attribute = primary_first_attribute,
    .next_attribute = primary_next_attribute,
    .compare = primary_compare,
    .text = primary_text,
    .root = primary_root,
    .ordinal = primary_ordinal,
};

void primary_init(struct session *s)
{
    s->primary = (struct primary){.tree = {.ops = &primary_ops, .index = 0}, .session = s};
}

/* --- the host of an evaluation --- */

static enum err find_instance(struct eval *e, struct str id, struct node *root_out)
{
    const struct session *s = e->host;
    uint32_t i;
    if (!map_get(&s->form->resource_ids, id, &i) || !s->trees[i + 1])
        return ERR_NOT_FOUND;
    *root_out = s->roots[i + 1];
    return ERR_OK;
}

/* A path handed over as text: from the bound node, or from the root; entries as the context rule has them. */
static bool place_by_path(const struct session *s, struct node from, struct str path, struct place *out)
{
    struct str rest = path, token;
    bool absolute = str_starts(rest, STR("/"));
    uint32_t node = absolute ? NONE : from.y;
    while (str_split(&rest, '/', &token)) {
        token = str_trim(token);
        if (token.n == 0 || str_eq_z(token, "."))
            continue;
        uint32_t local = form_local(s->form, token);
        if (str_eq_z(token, ".."))
            node = node == NONE ? NONE : node_at(s, node)->parent;
        else if (node == NONE)
            node = local != NONE && node_at(s, 0)->local == local ? 0 : NONE;
        else
            node = form_child(s->form, node, local, false);
        if (node == NONE)
            return false;
    }
    const struct frame *f = node == NONE ? NULL
                                         : frame_seen(s, context_frame(s, from), node_at(s, node)->class);
    if (f)
        *out = place_of(s, f, node);
    return f != NULL;
}

static enum err host_text(struct eval *e, const char *what, struct str a, struct str b, struct str *out)
{
    struct session *s = e->host;
    uint32_t text;
    if (strcmp(what, "version") == 0) {
        *out = s->form->version;
    } else if (strcmp(what, "property") == 0) {
        *out = s->host->property ? s->host->property(s->host->self, a) : STR("");
    } else if (strcmp(what, "jr:itext") == 0) {
        if (!map_get(&s->form->text_ids, a, &text))
            return ERR_NOT_FOUND;
        *out = text_in_language(s, text, TEXT_LONG, e->context, e->scratch);
    } else if (strcmp(what, "jr:choice-name") == 0) {
        struct place p;
        if (!place_by_path(s, e->current, str_trim(b), &p))
            return ERR_NOT_FOUND;
        *out = choice_label(s, p, a, e->scratch);
    } else {
        return ERR_NOT_FOUND;
    }
    if (!out->p)
        *out = STR("");
    return ERR_OK;
}

static enum err host_random(struct eval *e, void *out, size_t n)
{
    const struct session *s = e->host;
    return s->host->random ? s->host->random(s->host->self, out, n) : ERR_STATE;
}

static enum err host_digest(struct eval *e, struct str algorithm, struct str data, unsigned char out[64],
                            size_t *n_out)
{
    const struct session *s = e->host;
    return s->host->digest ? s->host->digest(s->host->self, algorithm, data, out, n_out) : ERR_STATE;
}

void eval_init(struct session *s, struct eval *e, struct arena *scratch)
{
    *e = (struct eval){
        .scratch = scratch,
        .host = s,
        .context = {0, 0, 0},
        .scalar = read_scalar,
        .nodes = read_nodes,
        .aggregate = read_aggregate,
        .typed = read_typed,
        .trees = s->trees,
        .tree_count = s->form->resources.count + 1,
        .instance = find_instance,
        .text = host_text,
        .random = host_random,
        .digest = host_digest,
        .now_ms = s->now_ms,
        .zone = s->host->zone ? s->host->zone : zone_utc(),
        .language = form_language(s->form, s->language),
        .fuel = EXPR_FUEL_DEFAULT,
        .regexes = &s->regexes,
    };
}

struct eval eval_for(struct session *s, struct arena *scratch)
{
    struct eval e;
    eval_init(s, &e, scratch);
    return e;
}

void session_eval(struct session *s, struct eval *e, struct arena *scratch)
{
    s->now_ms = s->host->now_ms(s->host->self);
    eval_init(s, e, scratch);
}

enum err evaluate_in(struct eval *e, const struct expr *x, struct node context, struct value *out)
{
    struct session *s = e->host;
    e->context = context;
    e->fuel = EXPR_FUEL_DEFAULT;
    enum err rc = expr_eval(x, e, out);
    s->worked += EXPR_FUEL_DEFAULT - e->fuel;
    if (rc == ERR_NOMEM)
        return rc;
    if (rc)
        *out = (struct value){.type = VALUE_STRING, .text = STR("")};
    return ERR_OK;
}

enum err evaluate(struct session *s, struct arena *scratch, const struct expr *x, struct node context,
                  struct value *out)
{
    struct eval e;
    eval_init(s, &e, scratch);
    return evaluate_in(&e, x, context, out);
}

/* --- results as answers --- */

static struct str day_text(struct eval *e, int64_t day)
{
    struct value v = {.type = VALUE_DATE, .day = day};
    return value_text(e, &v);
}

/* What a calculation stores. No number is no answer; a date node takes the day of an instant or a day number;
 * an int node the whole part. Other text stays what it is. */
struct str value_for_node(struct session *s, struct eval *e, uint32_t node, const struct value *v)
{
    enum cast cast = node_at(s, node)->cast;
    if (cast == CAST_DATE && v->type == VALUE_INSTANT) {
        struct civil local = civil_at(v->instant.ms, e->zone);
        return day_text(e, civil_days(local.year, local.month, local.day));
    }
    if (cast == CAST_DATE && v->type == VALUE_NUMBER && v->number > -720000 && v->number < 2930000) {
        int64_t day = (int64_t)v->number;
        return day_text(e, day > v->number ? day - 1 : day);
    }
    if (cast == CAST_DATETIME && v->type == VALUE_DATE) {
        struct civil c = {.has_date = true, .has_time = true, .has_offset = true};
        char text[40];
        civil_from_days(v->day, &c.year, &c.month, &c.day);
        c.offset_min = zone_offset_local(e->zone, v->day * 86400000);
        size_t n = civil_write(&c, text);
        struct str out = arena_str(e->scratch, (struct str){text, n});
        return out.p ? out : STR("");
    }
    double number;
    struct str text = value_text(e, v);
    if (v->type == VALUE_NUMBER && isnan(v->number))
        return STR("");
    if (cast == CAST_INT && num_read(text, &number) && number != trunc(number)) {
        struct value whole = {.type = VALUE_NUMBER, .number = trunc(number)};
        text = value_text(e, &whole);
    }
    return text;
}
