/* The body of a form: controls in document order, their choices, the actions nested in them and in the model,
 * and the public numbering of fields and repeats. A control bound to a path that does not exist is an error;
 * everything else that is merely odd is a warning.
 */
#include "forms/model.h"
#include "forms/xml_doc.h"

static const struct {
    const char *local;
    enum control_kind kind;
    enum field_type type; /* what the control makes of its field; FIELD_STRING = the bind decides */
} control_names[] = {
    {"input", CONTROL_INPUT, FIELD_STRING},
    {"secret", CONTROL_INPUT, FIELD_STRING},
    {"select1", CONTROL_SELECT_ONE, FIELD_SELECT_ONE},
    {"select", CONTROL_SELECT_MANY, FIELD_SELECT_MANY},
    {"rank", CONTROL_RANK, FIELD_RANK},
    {"range", CONTROL_RANGE, FIELD_STRING},
    {"upload", CONTROL_UPLOAD, FIELD_BINARY},
    {"trigger", CONTROL_TRIGGER, FIELD_STRING},
    {"group", CONTROL_GROUP, FIELD_STRING},
    {"repeat", CONTROL_REPEAT, FIELD_STRING},
};

static struct str keep(struct loader *l, struct str s)
{
    return load_str(l, str_trim(s));
}

static bool has_word(struct str list, const char *word)
{
    struct str token;
    while (str_word(&list, &token))
        if (str_eq_z(token, word))
            return true;
    return false;
}

/* --- choices --- */

static void load_item(struct loader *l, uint32_t element, uint32_t control, uint32_t context)
{
    const struct xml_doc *doc = l->doc;
    uint32_t value = xml_find_child(doc, element, NULL, "value"),
             label = xml_find_child(doc, element, NULL, "label");
    if (value == XML_NONE) {
        load_finding(l, FINDING_WARNING, xml_at(doc, element)->line, xml_at(doc, element)->column, context,
                     "A choice has no <value>, so nobody can give it.");
        return;
    }
    struct choice c = {.value = keep(l, xml_text(doc, value, l->scratch)), .label = {.text = NONE}};
    if (label != XML_NONE)
        c.label = load_label(l, label, context);
    struct choice *slot = vec_push(l->a, &l->form->choices);
    if (!slot) {
        load_nomem(l);
        return;
    }
    *slot = c;
    l->form->controls.at[control].choice_count++;
}

/* Label of an item: a path from the item, or jr:itext(path) for the id of a translated text. */
static const struct expr *item_path(struct loader *l, uint32_t element, bool *is_text)
{
    struct str ref = str_trim(xml_attr(l->doc, element, "", "ref"));
    if (is_text && str_starts(ref, STR("jr:itext(")) && str_ends(ref, STR(")"))) {
        *is_text = true;
        ref = str_sub(ref, 9, ref.n - 10);
    }
    return ref.n ? load_expr(l, element, NONE, ref, "itemset", false) : NULL;
}

static bool child_called(const struct tree *t, struct node parent, struct str name, struct node *out)
{
    if (!t->ops->first_child(t, parent, out))
        return false;
    do {
        if (t->ops->kind(t, *out) == NODE_ELEMENT && str_eq(t->ops->name(t, *out).local, name))
            return true;
    } while (t->ops->next_sibling(t, *out, out));
    return false;
}

/* The first item that "instance('id')/root/item[...]" leads to in a list of the form. */
static bool first_item(const struct form *f, struct str nodeset, const struct tree **tree_out,
                       struct node *item_out)
{
    struct str text = str_trim(nodeset), name;
    uint32_t index;
    ptrdiff_t quote = str_find(text, STR("')")), bracket;
    if (!str_starts(text, STR("instance('")) || quote < 10 ||
        !map_get(&f->resource_ids, str_sub(text, 10, (size_t)quote - 10), &index) ||
        f->resources.at[index].uri.n || !f->resources.at[index].tree)
        return false;
    const struct tree *t = f->resources.at[index].tree;
    struct node at = t->ops->root(t);
    text = str_sub(text, (size_t)quote + 2, text.n);
    bracket = str_find(text, STR("["));
    if (bracket >= 0)
        text = str_sub(text, 0, (size_t)bracket);
    if (!str_starts(text, STR("/")) || !t->ops->first_child(t, at, &at))
        return false;
    text = str_sub(text, 1, text.n);
    while (str_split(&text, '/', &name))
        if (!child_called(t, at, str_trim(name), &at))
            return false;
    *tree_out = t;
    *item_out = at;
    return true;
}

static void check_item_part(struct loader *l, uint32_t element, struct str nodeset)
{
    const struct xml_node *e = xml_at(l->doc, element);
    struct str ref = str_trim(xml_attr(l->doc, element, "", "ref"));
    const struct tree *t;
    struct node item, part;
    if (str_starts(ref, STR("jr:itext(")) && str_ends(ref, STR(")")))
        ref = str_trim(str_sub(ref, 9, ref.n - 10));
    for (size_t i = 0; i < ref.n; i++)
        if (memchr("/[(@.", ref.p[i], 5))
            return;
    if (ref.n && first_item(l->form, nodeset, &t, &item) && !child_called(t, item, ref, &part))
        load_finding(l, FINDING_WARNING, e->line, e->column, NONE,
                     "The first item of %.*s has no <%.*s>: its %.*s would be blank.", STR_ARG(nodeset),
                     STR_ARG(ref), STR_ARG(xml_name(l->doc, element).local));
}

static void load_itemset(struct loader *l, uint32_t element, uint32_t control, uint32_t context)
{
    const struct xml_doc *doc = l->doc;
    struct str nodeset = xml_attr(doc, element, "", "nodeset");
    const struct expr *set = load_expr(l, element, context, nodeset, "itemset", true);
    uint32_t value = xml_find_child(doc, element, NULL, "value"),
             label = xml_find_child(doc, element, NULL, "label");
    const struct expr *v = value == XML_NONE ? NULL : item_path(l, value, NULL), *t = NULL;
    bool is_text = false;
    if (label != XML_NONE) {
        t = item_path(l, label, &is_text);
        check_item_part(l, label, nodeset);
    }
    if (value != XML_NONE)
        check_item_part(l, value, nodeset);
    if (value == XML_NONE)
        load_finding(l, FINDING_ERROR, xml_at(doc, element)->line, xml_at(doc, element)->column, context,
                     "An <itemset> has no <value ref=\"...\">.");
    if (set && expr_never_any(set))
        load_finding(l, FINDING_WARNING, xml_at(doc, element)->line, xml_at(doc, element)->column, context,
                     "The filter of these choices is never true, so none of them is ever shown: %.*s",
                     STR_ARG(nodeset));
    struct control *c = &l->form->controls.at[control];
    c->itemset = set;
    c->item_value = v;
    c->item_label = t;
    c->item_label_is_text = is_text;
}

static void load_choices(struct loader *l, uint32_t element, uint32_t control, uint32_t context)
{
    const struct xml_doc *doc = l->doc;
    struct form *f = l->form;
    bool any = false;
    f->controls.at[control].choice_first = f->choices.count;
    for (uint32_t c = xml_element(doc, xml_at(doc, element)->first_child); c != XML_NONE && !l->rc;
         c = xml_element(doc, xml_at(doc, c)->next)) {
        bool item = xml_is(doc, c, NULL, "item");
        if (item)
            load_item(l, c, control, context);
        else if (xml_is(doc, c, NULL, "itemset"))
            load_itemset(l, c, control, context);
        any |= item || xml_is(doc, c, NULL, "itemset");
    }
    if (!any)
        load_finding(l, FINDING_WARNING, xml_at(doc, element)->line, xml_at(doc, element)->column, context,
                     "This question has no choices, so nobody can answer it.");
}

/* --- controls --- */

/* The node nearest to a path that leads nowhere: as far as it goes, then the name most like the next one;
 * else that name anywhere. */
static uint32_t nearest_node(struct loader *l, uint32_t context, struct str path)
{
    const struct form *f = l->form;
    struct path_step step = {0};
    struct str rest = str_trim(path);
    uint32_t at = str_starts(rest, STR("/")) ? NONE : context, best = NONE, distance = 3, last = NONE;
    if (at == NONE && rest.n)
        rest = str_sub(rest, 1, rest.n);
    while (load_step(&rest, &step)) {
        uint32_t next = at;
        if (step.kind == STEP_PARENT)
            next = at == NONE ? NONE : f->nodes.at[at].parent;
        else if (step.kind != STEP_SELF && at == NONE)
            next = f->nodes.at[0].local == form_local(f, step.local) ? 0 : NONE;
        else if (step.kind != STEP_SELF)
            next = form_child(f, at, form_local(f, step.local), step.kind == STEP_ATTRIBUTE);
        if (next == NONE)
            break;
        at = next;
    }
    for (uint32_t i = 0; i < f->nodes.count && step.local.n; i++) {
        struct str name = f->names.at[f->nodes.at[i].name].local;
        bool there = f->nodes.at[i].parent == at;
        uint32_t d = text_distance(step.local, name, 3);
        if (d >= distance || d >= name.n || (!there && d > 0))
            continue;
        best = i;
        distance = d;
    }
    while (load_step(&rest, &step)) /* a wrong group: where is the last name? */
        last = form_local(f, step.local);
    for (uint32_t i = 0; best == NONE && last != NONE && i < f->nodes.count; i++)
        if (f->nodes.at[i].local == last)
            best = i;
    return best;
}

static void path_leads_nowhere(struct loader *l, uint32_t element, uint32_t context, struct str ref)
{
    const struct xml_node *e = xml_at(l->doc, element);
    uint32_t near = nearest_node(l, context, ref);
    struct str path = near == NONE ? STR("") : form_node_path(l->form, near, l->scratch);
    load_finding(l, FINDING_ERROR, e->line, e->column, NONE,
                 "<%.*s> is bound to %.*s, which is not in the primary instance%s%.*s%s",
                 STR_ARG(xml_name(l->doc, element).local), STR_ARG(str_trim(ref)),
                 path.n ? "; did you mean " : "", STR_ARG(path), path.n ? "?" : ".");
}

static uint32_t control_node(struct loader *l, uint32_t element, uint32_t context, enum control_kind kind)
{
    const struct xml_node *e = xml_at(l->doc, element);
    struct str bind = xml_attr(l->doc, element, "", "bind");
    struct str ref = xml_attr(l->doc, element, "", kind == CONTROL_REPEAT ? "nodeset" : "ref");
    uint32_t node = NONE;
    if (!ref.p && (kind == CONTROL_GROUP || kind == CONTROL_REPEAT)) /* some write one for the other */
        ref = xml_attr(l->doc, element, "", kind == CONTROL_GROUP ? "nodeset" : "ref");
    if (bind.n) {
        if (!map_get(&l->bind_ids, bind, &node))
            load_finding(l, FINDING_ERROR, e->line, e->column, context,
                         "There is no bind with the id \"%.*s\". Write ref=\"path\" instead.", STR_ARG(bind));
        return node;
    }
    if (!str_trim(ref).n) {
        if (kind != CONTROL_GROUP)
            load_finding(l, FINDING_ERROR, e->line, e->column, context, "<%.*s> has no %s.",
                         STR_ARG(xml_name(l->doc, element).local),
                         kind == CONTROL_REPEAT ? "nodeset" : "ref");
        return NONE;
    }
    node = load_path(l, context, ref);
    if (node == NONE)
        path_leads_nowhere(l, element, context, ref);
    return node;
}

static void repeat_attributes(struct loader *l, uint32_t element, struct control *c)
{
    struct str count = xml_attr(l->doc, element, NS_JAVAROSA, "count");
    struct str closed = xml_attr(l->doc, element, NS_JAVAROSA, "noAddRemove");
    c->fixed_count = count.n || (closed.n && !str_eq_z(str_trim(closed), "false()"));
    if (count.n)
        c->count = load_expr(l, element, c->node, count, "jr:count", false);
}

static void check_range(struct loader *l, const struct control *c)
{
    const struct str *limits[] = {&c->range_start, &c->range_end, &c->range_step};
    static const char *const names[] = {"start", "end", "step"};
    double number;
    for (size_t i = 0; i < 3; i++)
        if (!num_read(*limits[i], &number))
            load_finding(l, FINDING_ERROR, c->line, c->column, c->node,
                         "The %s of this range, \"%.*s\", is not a number.", names[i], STR_ARG(*limits[i]));
    if (num_read(c->range_step, &number) && number == 0)
        load_finding(l, FINDING_ERROR, c->line, c->column, c->node, "The step of this range must not be 0.");
}

static void bind_control(struct loader *l, struct control *c, uint32_t index, enum field_type type)
{
    if (c->node == NONE)
        return;
    struct schema_node *n = &l->form->nodes.at[c->node];
    bool container = c->kind == CONTROL_GROUP || c->kind == CONTROL_REPEAT;
    if (n->control == NONE || (!container && l->form->controls.at[n->control].kind == CONTROL_GROUP))
        n->control = index;
    if (!container && type != FIELD_STRING)
        n->type = type;
    if (c->kind == CONTROL_REPEAT)
        l->form->classes.at[n->class].control = index;
}

static void load_labels(struct loader *l, uint32_t element, uint32_t index, uint32_t context)
{
    uint32_t label = xml_find_child(l->doc, element, NULL, "label"),
             hint = xml_find_child(l->doc, element, NULL, "hint");
    if (label != XML_NONE) {
        struct label text = load_label(l, label, context);
        l->form->controls.at[index].label = text;
    }
    if (hint != XML_NONE) {
        struct label text = load_label(l, hint, context);
        l->form->controls.at[index].hint = text;
    }
}

/* "search" is the old word for "autocomplete": whoever knows only one of them finds it. search(...) is
 * another thing. */
static struct str appearance_of(struct loader *l, uint32_t element, enum control_kind kind)
{
    struct str text = xml_attr(l->doc, element, "", "appearance");
    struct buf b;
    bool select = kind == CONTROL_SELECT_ONE || kind == CONTROL_SELECT_MANY;
    if (!select || !has_word(text, "search") || has_word(text, "autocomplete"))
        return keep(l, text);
    buf_init(&b, text.n + 20);
    buf_put_z(&b, "autocomplete ");
    buf_put_str(&b, str_trim(text));
    struct str both = load_str(l, buf_str(&b));
    buf_free(&b);
    return both;
}

static void load_control(struct loader *l, uint32_t element, size_t row, uint32_t parent, uint32_t context);

/* Depth is bounded by FORM_DEPTH_MAX, which the XML reader enforces. */
static void load_children(struct loader *l, uint32_t element, uint32_t parent, uint32_t context)
{
    const struct xml_doc *doc = l->doc;
    for (uint32_t c = xml_element(doc, xml_at(doc, element)->first_child); c != XML_NONE && !l->rc;
         c = xml_element(doc, xml_at(doc, c)->next)) {
        for (size_t i = 0; i < sizeof(control_names) / sizeof(*control_names); i++) {
            if (xml_is(doc, c, NULL, control_names[i].local)) {
                load_control(l, c, i, parent, context);
                break;
            }
        }
    }
}

static void load_control(struct loader *l, uint32_t element, size_t row, uint32_t parent, uint32_t context)
{
    struct form *f = l->form;
    const struct xml_doc *doc = l->doc;
    const struct xml_node *e = xml_at(doc, element);
    enum control_kind kind = control_names[row].kind;
    uint32_t node = control_node(l, element, context, kind);
    uint32_t index = f->controls.count;
    bool container = kind == CONTROL_GROUP || kind == CONTROL_REPEAT;
    if (node == NONE && kind != CONTROL_GROUP)
        return;
    if (kind == CONTROL_REPEAT && !f->nodes.at[node].repeat) {
        load_finding(l, FINDING_ERROR, e->line, e->column, node, "The form itself cannot be repeated.");
        return;
    }
    struct control *c = vec_push(l->a, &f->controls);
    if (!c) {
        load_nomem(l);
        return;
    }
    uint32_t inner = node == NONE ? context : node;
    bool around = kind == CONTROL_REPEAT;
    if (kind == CONTROL_GROUP && node != NONE && f->nodes.at[node].repeat &&
        !form_is_ancestor(f, node, context)) {
        around = true; /* the group that gives a repeat its label names the same path */
        node = NONE;
    }
    bool query = kind == CONTROL_INPUT && xml_attr(doc, element, "", "query").n; /* select_one_external */
    if (query)
        kind = CONTROL_SELECT_ONE;
    uint32_t shown_at = around ? f->nodes.at[inner].parent : inner;
    uint32_t walk = 0;
    for (uint32_t i = parent; i != NONE && walk == 0; i = f->controls.at[i].parent)
        if (f->controls.at[i].kind == CONTROL_REPEAT)
            walk = f->nodes.at[f->controls.at[i].node].class;
    *c = (struct control){.walk = walk,
                          .kind = kind,
                          .parent = parent,
                          .end = index + 1,
                          .node = node,
                          .line = e->line,
                          .column = e->column,
                          .class = f->nodes.at[shown_at].class,
                          .label = {.text = NONE},
                          .hint = {.text = NONE}};
    c->appearance = appearance_of(l, element, kind);
    struct str mediatype = xml_attr(doc, element, "", "mediatype");
    c->mediatype = keep(l, mediatype.p ? mediatype : xml_attr(doc, element, "", "accept"));
    c->range_start = keep(l, xml_attr(doc, element, "", "start"));
    c->range_end = keep(l, xml_attr(doc, element, "", "end"));
    c->range_step = keep(l, xml_attr(doc, element, "", "step"));
    c->field_list = container && has_word(c->appearance, "field-list");
    if (kind == CONTROL_REPEAT) {
        repeat_attributes(l, element, c);
        if (walk != c->class)
            load_finding(l, FINDING_ERROR, e->line, e->column, node,
                         "This repeat stands outside the repeat that its entries belong to. Move it inside.");
    }
    if (kind == CONTROL_RANGE)
        check_range(l, c);
    bind_control(l, c, index, control_names[row].type);
    load_labels(l, element, index, around && kind == CONTROL_GROUP ? shown_at : inner);
    if (query)
        load_query(l, element, index, inner);
    else if (kind == CONTROL_SELECT_ONE || kind == CONTROL_SELECT_MANY || kind == CONTROL_RANK)
        load_choices(l, element, index, inner);
    if (!query && (kind == CONTROL_SELECT_ONE || kind == CONTROL_SELECT_MANY))
        load_search(l, element, index, inner);
    uint32_t repeat_class = kind == CONTROL_REPEAT ? f->nodes.at[node].class : walk ? walk : NONE;
    load_actions(l, element, container ? NONE : node, repeat_class);
    if (container)
        load_children(l, element, index, inner);
    f->controls.at[index].end = f->controls.count;
}

/* A group that holds a repeat cannot be one screen: people could not add to it. */
static void split_field_lists(struct form *f)
{
    for (uint32_t i = 0; i < f->controls.count; i++) {
        if (f->controls.at[i].kind != CONTROL_REPEAT)
            continue;
        for (uint32_t p = f->controls.at[i].parent; p != NONE; p = f->controls.at[p].parent) {
            f->controls.at[i].field_list |= f->controls.at[p].field_list &&
                                            f->controls.at[p].kind == CONTROL_GROUP &&
                                            p == f->controls.at[i].parent;
            f->controls.at[p].field_list = false;
        }
    }
}

/* What stands behind relevant="false()" is never asked. */
static void find_unreachable(struct loader *l)
{
    const struct form *f = l->form;
    for (uint32_t i = 0; i < f->binds.count; i++) {
        const struct bind *b = &f->binds.at[i];
        struct value v;
        uint32_t questions = 0;
        if (!b->expr[PROP_RELEVANT] || !expr_constant(b->expr[PROP_RELEVANT], &v) || v.type != VALUE_BOOL ||
            v.boolean)
            continue;
        for (uint32_t c = 0; c < f->controls.count; c++)
            questions += f->controls.at[c].node != NONE && f->controls.at[c].kind != CONTROL_GROUP &&
                         f->controls.at[c].kind != CONTROL_REPEAT &&
                         form_is_ancestor(f, b->node, f->controls.at[c].node);
        if (questions)
            load_finding(l, FINDING_WARNING, b->line, b->column, b->node,
                         "This is never relevant, so %u %s never asked. Take the condition or the %s out.",
                         questions, questions == 1 ? "question is" : "questions are",
                         questions == 1 ? "question" : "questions");
    }
}

void load_body(struct loader *l)
{
    struct form *f = l->form;
    struct control *root = vec_push(l->a, &f->controls);
    if (!root) {
        load_nomem(l);
        return;
    }
    *root = (struct control){.kind = CONTROL_GROUP,
                             .parent = NONE,
                             .end = 1,
                             .node = NONE,
                             .label = {.text = NONE},
                             .hint = {.text = NONE}};
    load_actions(l, l->model, NONE, NONE);
    if (l->body != XML_NONE) {
        load_actions(l, l->body, NONE, NONE);
        load_children(l, l->body, 0, 0);
    }
    f->controls.at[0].end = f->controls.count;
    split_field_lists(f);
    find_unreachable(l);
}

/* --- actions --- */

static const struct {
    const char *name;
    uint32_t event;
} event_names[] = {
    {"odk-instance-first-load", EVENT_FIRST_LOAD},
    {"xforms-ready", EVENT_FIRST_LOAD},
    {"odk-instance-load", EVENT_LOAD},
    {"odk-new-repeat", EVENT_NEW_REPEAT},
    {"jr-insert", EVENT_NEW_REPEAT},
    {"xforms-value-changed", EVENT_VALUE_CHANGED},
    {"xforms-revalidate", EVENT_REVALIDATE},
};

static uint32_t load_events(struct loader *l, uint32_t element, bool in_repeat)
{
    const struct xml_node *e = xml_at(l->doc, element);
    struct str list = xml_attr(l->doc, element, "", "event"), word;
    uint32_t events = 0;
    if (!list.p)
        list = xml_attr(l->doc, element, "http://www.w3.org/2001/xml-events", "event");
    while (str_word(&list, &word)) {
        uint32_t event = 0;
        for (size_t i = 0; i < sizeof(event_names) / sizeof(*event_names); i++)
            if (str_eq_z(word, event_names[i].name))
                event = event_names[i].event;
        if (!event)
            load_finding(
                l, FINDING_ERROR, e->line, e->column, NONE,
                "An action waits for \"%.*s\", which is not an event. Events are odk-instance-first-load, "
                "odk-instance-load, odk-new-repeat, xforms-value-changed and xforms-revalidate.",
                STR_ARG(word));
        if (event == EVENT_NEW_REPEAT && !in_repeat)
            load_finding(l, FINDING_ERROR, e->line, e->column, NONE,
                         "An action for odk-new-repeat must stand inside the <repeat> it belongs to.");
        events |= event;
    }
    return events;
}

static struct str without_predicates(struct loader *l, struct str path)
{
    char *p = arena_alloc(l->scratch, path.n + 1);
    size_t n = 0;
    uint32_t depth = 0;
    if (!p) {
        load_nomem(l);
        return STR("");
    }
    for (size_t i = 0; i < path.n; i++) {
        depth += path.p[i] == '[';
        if (depth == 0)
            p[n++] = path.p[i];
        depth -= path.p[i] == ']' && depth > 0;
    }
    return (struct str){p, n};
}

static uint32_t action_target(struct loader *l, uint32_t element, uint32_t trigger, uint32_t repeat_class)
{
    struct str ref = xml_attr(l->doc, element, "", "ref"), bind = xml_attr(l->doc, element, "", "bind");
    uint32_t context = trigger != NONE        ? trigger
                       : repeat_class != NONE ? l->form->classes.at[repeat_class].node
                                              : 0;
    uint32_t node = NONE;
    struct str plain = without_predicates(l, ref);
    if (bind.n)
        map_get(&l->bind_ids, bind, &node);
    else
        node = load_path(l, context, plain);
    if (node == NONE && trigger != NONE)
        node = load_path(l, l->form->nodes.at[trigger].parent, plain);
    if (node == NONE)
        load_finding(l, FINDING_ERROR, xml_at(l->doc, element)->line, xml_at(l->doc, element)->column,
                     context, "An action writes to %.*s, which is not in the primary instance.",
                     STR_ARG(ref));
    return node;
}

static void chain_action(struct loader *l, uint32_t *head, uint32_t index)
{
    while (*head != NONE)
        head = &l->form->actions.at[*head].next;
    *head = index;
}

static void load_action(struct loader *l, uint32_t element, enum action_kind kind, uint32_t trigger,
                        uint32_t repeat_class)
{
    struct form *f = l->form;
    if (kind != ACTION_SETVALUE && !xml_is(l->doc, element, NS_ODK, NULL)) {
        load_finding(l, FINDING_ERROR, xml_at(l->doc, element)->line, xml_at(l->doc, element)->column, NONE,
                     "<%.*s> must be in the namespace %s.", STR_ARG(xml_name(l->doc, element).local), NS_ODK);
        return;
    }
    uint32_t events = load_events(l, element, repeat_class != NONE);
    uint32_t target = action_target(l, element, trigger, repeat_class);
    struct str value = xml_attr(l->doc, element, "", "value");
    if (target == NONE || !events)
        return;
    const struct expr *x = NULL;
    if (kind == ACTION_SETVALUE && str_trim(value).n)
        x = load_expr(l, element, target, value, "setvalue", false);
    struct str ref = xml_attr(l->doc, element, "", "ref");
    const struct expr *nodes = NULL;
    if (str_find(ref, STR("[")) >= 0)
        nodes = load_expr(l, element, trigger != NONE ? trigger : 0, ref, "ref", true);
    struct action *a = vec_push(l->a, &f->actions);
    if (!a) {
        load_nomem(l);
        return;
    }
    *a = (struct action){.kind = kind,
                         .events = events,
                         .target = target,
                         .trigger = trigger,
                         .next = NONE,
                         .repeat = repeat_class,
                         .target_nodes = nodes,
                         .value = x,
                         .line = xml_at(l->doc, element)->line};
    a->quality = keep(l, xml_attr(l->doc, element, NS_ODK, "quality"));
    a->text = value.p ? STR("") : keep(l, xml_text(l->doc, element, l->scratch)); /* value="" clears */
    if ((events & EVENT_VALUE_CHANGED) && trigger != NONE)
        chain_action(l, &f->nodes.at[trigger].actions, f->actions.count - 1);
}

void load_actions(struct loader *l, uint32_t parent, uint32_t trigger, uint32_t repeat_class)
{
    const struct xml_doc *doc = l->doc;
    for (uint32_t c = xml_element(doc, xml_at(doc, parent)->first_child); c != XML_NONE && !l->rc;
         c = xml_element(doc, xml_at(doc, c)->next)) {
        if (xml_is(doc, c, NULL, "setvalue"))
            load_action(l, c, ACTION_SETVALUE, trigger, repeat_class);
        else if (xml_is(doc, c, NULL, "setgeopoint"))
            load_action(l, c, ACTION_SETGEOPOINT, trigger, repeat_class);
        else if (xml_is(doc, c, NULL, "recordaudio"))
            load_action(l, c, ACTION_RECORDAUDIO, trigger, repeat_class);
    }
}

/* --- public numbering --- */

/* Literal pieces of a text in the default language. */
static struct str plain_text(struct loader *l, const struct label *label)
{
    const struct form *f = l->form;
    struct segments s = label->own;
    if (label->there && label->text != NONE) {
        s = (struct segments){0};
        for (uint32_t i = f->text_first.at[label->text]; i < f->text_first.at[label->text + 1]; i++)
            if (f->text_values.at[i].language == f->language_default &&
                f->text_values.at[i].form == TEXT_LONG)
                s = f->text_values.at[i].segments;
    }
    if (s.count == 1 && !f->segments.at[s.first].output)
        return f->segments.at[s.first].literal;
    struct buf b;
    buf_init(&b, 1u << 20);
    for (uint32_t i = 0; i < s.count; i++)
        buf_put_str(&b, f->segments.at[s.first + i].literal);
    struct str out = arena_str(l->a, buf_str(&b));
    buf_free(&b);
    return out.p ? out : STR("");
}

static void add_field(struct loader *l, uint32_t node)
{
    struct form *f = l->form;
    struct schema_node *n = &f->nodes.at[node];
    struct form_field *field = vec_push(l->a, &f->fields);
    uint32_t *back = vec_push(l->a, &f->field_nodes);
    if (!field || !back) {
        load_nomem(l);
        return;
    }
    const struct bind *b = n->bind == NONE ? NULL : &f->binds.at[n->bind];
    const struct control *c = n->control == NONE ? NULL : &f->controls.at[n->control];
    *back = node;
    n->field = f->fields.count - 1;
    *field = (struct form_field){
        .number = n->field,
        .path = form_node_path(f, node, l->a),
        .type = n->type,
        .repeat = n->class == 0 ? FORM_NO_REPEAT : n->class - 1,
        .attribute = n->attribute,
        .fresh = b && (b->fresh || b->preload != PRELOAD_NONE),
        .calculated = b && !c && (b->expr[PROP_CALCULATE] || b->preload != PRELOAD_NONE),
        .label = c ? plain_text(l, &c->label) : STR(""),
    };
    if (map_put(&f->field_paths, field->path, field->number) != ERR_OK)
        load_nomem(l);
}

static void add_repeat(struct loader *l, uint32_t class)
{
    struct form *f = l->form;
    struct form_repeat *r = vec_push(l->a, &f->repeats);
    if (!r) {
        load_nomem(l);
        return;
    }
    uint32_t parent = f->classes.at[class].parent;
    *r = (struct form_repeat){.number = class - 1,
                              .path = form_node_path(f, f->classes.at[class].node, l->a),
                              .parent = parent == 0 ? FORM_NO_REPEAT : parent - 1};
}

/* Attributes that nothing can change are part of the form, not answers. */
static void mark_fixed(struct form *f)
{
    for (uint32_t i = 0; i < f->nodes.count; i++)
        f->nodes.at[i].fixed = f->nodes.at[i].attribute && f->nodes.at[i].bind == NONE &&
                               f->nodes.at[i].class == 0;
    for (uint32_t i = 0; i < f->actions.count; i++)
        f->nodes.at[f->actions.at[i].target].fixed = false;
}

/* Prefixes that a submission must declare. */
static void list_namespaces(struct loader *l)
{
    struct form *f = l->form;
    for (uint32_t i = 0; i < f->names.count; i++) {
        const struct node_name *n = &f->names.at[i];
        uint32_t k = 0;
        while (k < f->namespaces.count && !str_eq(f->namespaces.at[k].prefix, n->prefix))
            k++;
        if (!n->prefix.n || str_eq_z(n->prefix, "xml") || k < f->namespaces.count)
            continue;
        struct node_name *slot = vec_push(l->a, &f->namespaces);
        if (!slot) {
            load_nomem(l);
            return;
        }
        *slot = *n;
    }
}

/* Elements `depth` levels below a node. */
static uint32_t elements_below(const struct tree *t, struct node n, uint32_t depth)
{
    uint32_t count = 0;
    struct node child;
    for (bool more = t->ops->first_child(t, n, &child); more; more = t->ops->next_sibling(t, child, &child))
        if (t->ops->kind(t, child) == NODE_ELEMENT)
            count += depth > 1 ? elements_below(t, child, depth - 1) : 1;
    return count;
}

static void summarise(struct form *f)
{
    struct form_summary *s = &f->summary;
    for (uint32_t i = 1; i < f->controls.count; i++) {
        s->groups += f->controls.at[i].kind == CONTROL_GROUP;
        s->questions += f->controls.at[i].kind != CONTROL_GROUP && f->controls.at[i].kind != CONTROL_REPEAT;
    }
    for (uint32_t i = 0; i < f->binds.count; i++) {
        s->calculations += f->binds.at[i].expr[PROP_CALCULATE] != NULL;
        s->constraints += f->binds.at[i].expr[PROP_VALID] != NULL;
    }
    s->repeats = f->repeats.count;
    s->languages = f->languages.count;
    s->lists = f->resources.count;
    s->choices = f->choices.count;
    for (uint32_t i = 0; i < f->resources.count; i++)
        if (f->resources.at[i].tree) /* <instance>, its root, the items in that */
            s->choices += elements_below(f->resources.at[i].tree,
                                         f->resources.at[i].tree->ops->root(f->resources.at[i].tree), 3);
}

void load_fields(struct loader *l)
{
    struct form *f = l->form;
    for (uint32_t c = 1; c < f->classes.count && !l->rc; c++)
        add_repeat(l, c);
    if (!vec_reserve(l->a, &f->fields, f->nodes.count) || !vec_reserve(l->a, &f->field_nodes, f->nodes.count))
        load_nomem(l);
    for (uint32_t i = 0; i < f->nodes.count && !l->rc; i++)
        if (!f->nodes.at[i].has_elements)
            add_field(l, i);
    list_namespaces(l);
    mark_fixed(f);
    summarise(f);
}
