/* The survey sheet, row by row, into a tree of nodes: questions, groups, repeats, loops. What a row means is
 * decided here; how it is written is xlsform_write.c's business.
 */
#include "forms/xlsform_impl.h"

#include "forms/limits.h"

/* Where rows are put: one entry for each open group, the survey first. */
struct open {
    uint32_t node, row;
    const char *word; /* of its begin row */
    struct map names, lower;
};
struct reader_state {
    struct xl *x;
    struct open stack[FORM_DEPTH_MAX];
    uint32_t depth;
    uint32_t meta; /* rows that belong into the meta block */
    bool table;    /* inside a table-list */
    struct str table_list;
    struct map repeats; /* names of repeats, unique in the form */
};

struct xl_node *xl_node(struct xl *x, uint32_t i)
{
    CHECK(i < x->nodes.count);
    return &x->nodes.at[i];
}

uint32_t xl_node_add(struct xl *x, uint32_t parent, enum xl_kind kind, struct str name)
{
    if (x->nodes.count >= FORM_NODES_MAX) {
        if (!x->rc)
            x->rc = diag_set(x->d, ERR_LIMIT, "The survey has more than %u rows and repetitions.",
                             FORM_NODES_MAX);
        return 0;
    }
    struct xl_node *n = xl_push(x, &x->nodes);
    if (!n)
        return 0;
    uint32_t i = x->nodes.count - 1;
    *n = (struct xl_node){.kind = kind,
                          .name = name,
                          .parent = parent,
                          .first_child = NOWHERE,
                          .last_child = NOWHERE,
                          .next = NOWHERE,
                          .value_ref = STR("name"),
                          .label_ref = STR("label")};
    n->cell = (struct xl_cell){XL_SURVEY, 0, NOWHERE};
    if (parent != NOWHERE) {
        struct xl_node *p = xl_node(x, parent);
        if (p->last_child == NOWHERE)
            p->first_child = i;
        else
            xl_node(x, p->last_child)->next = i;
        p->last_child = i;
    }
    return i;
}

uint32_t xl_repeat_of(struct xl *x, uint32_t node)
{
    uint32_t i = node == NOWHERE ? NOWHERE : xl_node(x, node)->parent;
    while (i != NOWHERE && xl_node(x, i)->kind != XL_REPEAT)
        i = xl_node(x, i)->parent;
    return i;
}

bool xl_inside(struct xl *x, uint32_t node, uint32_t container)
{
    while (node != NOWHERE && node != container)
        node = xl_node(x, node)->parent;
    return node == container;
}

static struct xl_cell at(const struct xl_row *row, enum xl_group group, const char *key)
{
    return xl_cell_of(XL_SURVEY, row, xl_get(row, group, key));
}

/* --- names --- */

static void claim_name(struct reader_state *s, const struct xl_row *row, struct str name)
{
    struct xl *x = s->x;
    struct open *o = &s->stack[s->depth - 1];
    uint32_t other;
    struct xl_cell cell = at(row, XL_PLAIN, "name");
    struct str lower = xl_lower(x, name);
    if (str_eq_z(name, "meta"))
        xl_error(x, cell,
                 "The 'name' value 'meta' is invalid. The name 'meta' is reserved for form metadata.");
    else if (map_get(&o->names, name, &other))
        xl_error(x, cell,
                 "The 'name' value '%.*s' is invalid. Questions, groups, and repeats must be unique within "
                 "their nearest "
                 "parent group or repeat, or the survey if not inside a group or repeat; row %u has this "
                 "name already.",
                 STR_ARG(name), other);
    else if (map_get(&o->lower, lower, &other))
        xl_warning(x, cell,
                   "The 'name' value '%.*s' is problematic. The name is a case-insensitive match to another "
                   "name, in row "
                   "%u. Some data processing tools are not case-sensitive.",
                   STR_ARG(name), other);
    if (map_put(&o->names, name, row->number) || map_put(&o->lower, lower, row->number))
        xl_check(x, NULL);
}

/* In place of a name that cannot be one, so that the rest of its row is looked at all the same. */
static struct str stand_in(struct xl *x, uint32_t row)
{
    return xl_text_of(x, "row_%u", row);
}

/* The row's name, checked; after a finding one that will do for looking at the rest. */
static struct str row_name(struct reader_state *s, const struct xl_row *row, struct str type)
{
    struct xl *x = s->x;
    struct str name = xl_get_text(row, XL_PLAIN, "name");
    if (!name.n && str_eq_z(type, "note"))
        name = xl_text_of(x, "generated_note_name_%u", row->number);
    if (!name.n) {
        xl_error(x, at(row, XL_PLAIN, "type"), "Question or group with no name. Give this \"%.*s\" a name.",
                 STR_ARG(type));
        return stand_in(x, row->number);
    }
    if (!xl_is_name(name)) {
        xl_error(x, at(row, XL_PLAIN, "name"),
                 "The 'name' value '%.*s' is invalid. Names must begin with a letter or underscore. After "
                 "the first "
                 "character, names may contain letters, digits, underscores, hyphens, or periods.",
                 STR_ARG(name));
        return stand_in(x, row->number);
    }
    claim_name(s, row, name);
    return name;
}

/* --- what all rows have --- */

static const char *const media_kinds[] = {"image", "big-image", "audio", "video"};

static bool convertible(struct str key)
{
    return str_eq_z(key, "readonly") || str_eq_z(key, "required") || str_eq_z(key, "relevant") ||
           str_eq_z(key, "constraint") || str_eq_z(key, "calculate");
}

static bool is_message(struct str key)
{
    return str_eq_z(key, "jr:constraintMsg") || str_eq_z(key, "jr:requiredMsg") ||
           str_eq_z(key, "jr:noAppErrorString");
}

static void put_bind(struct xl *x, struct xl_node *n, const struct xl_row *row, const struct xl_prop *p)
{
    struct str key = p->column->key, value = p->value, call;
    const char *instead = convertible(key) ? xl_foreign_call(value, &call) : NULL;
    if (instead)
        xl_error(x, xl_cell_of(XL_SURVEY, row, p), "The function %.*s() belongs to another product: %s.",
                 STR_ARG(call), instead);
    int v = convertible(key) ? xl_yes_no(value) : -1;
    if (v >= 0)
        value = v ? STR("true()") : STR("false()");
    if (is_message(key) && xl_attr_get(&n->bind, arena_z(x->a, key)))
        return; /* another language of the same message */
    xl_attr_put(x, &n->bind, key, value, xl_cell_of(XL_SURVEY, row, p));
    if (!is_message(key) || x->rc)
        return;
    struct xl_text t = xl_get_translated(x, XL_SURVEY, row, XL_BIND, arena_z(x->a, key));
    bool dynamic = !str_eq_z(key, "jr:noAppErrorString") && !t.translated && xl_has_reference(value);
    if (t.translated || dynamic) {
        struct xl_text *kept = xl_check(x, arena_alloc(x->a, sizeof(*kept)));
        if (kept)
            *kept = t;
        xl_attr_get(&n->bind, arena_z(x->a, key))->text = kept;
    }
}

static void fill_texts(struct xl *x, struct xl_node *n, const struct xl_row *row)
{
    n->label = xl_get_translated(x, XL_SURVEY, row, XL_PLAIN, "label");
    n->hint = xl_get_translated(x, XL_SURVEY, row, XL_PLAIN, "hint");
    n->guidance = xl_get_translated(x, XL_SURVEY, row, XL_PLAIN, "guidance_hint");
    for (size_t k = 0; k < 4; k++) {
        struct xl_text t = xl_get_translated(x, XL_SURVEY, row, XL_MEDIA, media_kinds[k]);
        if (t.at.count) {
            n->media[n->media_count].kind = str_of(media_kinds[k]);
            n->media[n->media_count++].text = t;
        }
    }
}

static void fill_type(struct xl *x, struct xl_node *n)
{
    const struct xl_type *t = n->type;
    for (size_t i = 0; t && t->before && i < 2 && t->bind_more[i][0]; i++)
        xl_attr_put(x, &n->bind, str_of(t->bind_more[i][0]), str_of(t->bind_more[i][1]), n->cell);
    if (t && t->bind)
        xl_attr_put(x, &n->bind, STR("type"), str_of(t->bind), n->cell);
    for (size_t i = 0; t && !t->before && i < 2 && t->bind_more[i][0]; i++)
        xl_attr_put(x, &n->bind, str_of(t->bind_more[i][0]), str_of(t->bind_more[i][1]), n->cell);
}

static void fill_node(struct reader_state *s, uint32_t i, const struct xl_row *row)
{
    struct xl *x = s->x;
    struct xl_node *n = xl_node(x, i);
    n->cell = at(row, XL_PLAIN, "type");
    fill_texts(x, n, row);
    if (n->type && n->type->hint && !n->hint.at.count) {
        struct xl_value *v = xl_push(x, &n->hint.at);
        if (v)
            *v = (struct xl_value){x->default_language, str_of(n->type->hint), n->cell};
    }
    fill_type(x, n);
    struct str appearance = xl_get_text(row, XL_CONTROL, "appearance");
    if (n->kind == XL_QUESTION && !n->label.at.count && str_eq_z(appearance, "label")) {
        /* It only shows the labels of its choices. */
        struct xl_value *v = xl_push(x, &n->label.at);
        if (v)
            *v = (struct xl_value){x->default_language, STR(" "), n->cell};
    }
    for (uint32_t k = 0; k < row->count && !x->rc; k++) {
        const struct xl_prop *p = &row->props[k];
        struct xl_cell cell = xl_cell_of(XL_SURVEY, row, p);
        if (p->column->group == XL_BIND)
            put_bind(x, n, row, p);
        else if (p->column->group == XL_CONTROL)
            xl_attr_put(x, &n->control, p->column->key, p->value, cell);
        else if (p->column->group == XL_INSTANCE)
            xl_attr_put(x, &n->instance, p->column->key, p->value, cell);
        else if (p->column->group == XL_PLAIN && str_eq_z(p->column->key, "intent"))
            xl_attr_put(x, &n->control, STR("intent"), p->value, cell);
        else if (p->column->group == XL_PLAIN && str_eq_z(p->column->key, "choice_filter")) {
            n->choice_filter = p->value;
            n->filter_cell = cell;
        }
    }
}

static void add_action(struct xl *x, struct xl_node *n, const char *element, const char *event,
                       struct str value, bool in_repeat)
{
    struct xl_action *a = xl_push(x, &n->actions);
    if (a)
        *a = (struct xl_action){element, event, value, STR(""), in_repeat};
}

static void fill_default(struct xl *x, uint32_t i, const struct xl_row *row)
{
    struct xl_node *n = xl_node(x, i);
    const struct xl_prop *p = xl_get(row, XL_PLAIN, "default");
    if (!p)
        return;
    n->fallback = p->value;
    n->fallback_cell = xl_cell_of(XL_SURVEY, row, p);
    if (n->type && n->type->bind && strcmp(n->type->bind, "dateTime") == 0 && p->value.n > 10 &&
        p->value.p[10] == ' ')
        n->fallback = xl_concat(x, str_sub(p->value, 0, 10), STR("T"), str_sub(p->value, 11, p->value.n));
    n->dynamic = xl_is_dynamic(p->value, n->type_name);
    if (n->dynamic) {
        add_action(x, n, "setvalue", "odk-instance-first-load", p->value, false);
        if (xl_repeat_of(x, i) != NOWHERE)
            add_action(x, n, "setvalue", "odk-new-repeat", p->value, true);
    } else if (str_eq_z(n->type_name, "photo") && str_find(p->value, STR("jr://images/")) < 0) {
        n->fallback = xl_concat(x, STR("jr://images/"), p->value, STR(""));
    }
}

/* --- triggers --- */

static void fill_trigger(struct xl *x, struct xl_node *n, const struct xl_row *row)
{
    const struct xl_prop *p = xl_get(row, XL_PLAIN, "trigger");
    struct str part, rest = p ? p->value : STR_NONE;
    if (!p)
        return;
    n->trigger_cell = xl_cell_of(XL_SURVEY, row, p);
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (!part.n)
            continue;
        if (!xl_is_reference(part)) {
            xl_error(x, n->trigger_cell,
                     "The 'trigger' value is invalid: \"%.*s\" is not a reference to a question. Write "
                     "${name}; a list must "
                     "have a comma between each, for example ${q1},${q2}.",
                     STR_ARG(part));
            continue;
        }
        struct str *t = xl_push(x, &n->triggers);
        if (t)
            *t = str_sub(part, 2, part.n - 3);
    }
}

static void check_background(struct xl *x, struct xl_node *n, const struct xl_row *row)
{
    if (!n->triggers.count)
        xl_error(x, n->cell,
                 "For '%.*s' questions, the 'trigger' column must not be empty: it names the question, as "
                 "${question_name_here}, whose answer sets it off.",
                 STR_ARG(n->type_name));
    if (xl_attr_get(&n->bind, "calculate"))
        xl_error(x, at(row, XL_BIND, "calculate"),
                 "For 'background-geopoint' questions, the 'calculation' column must be empty.");
}

/* --- groups --- */

static const struct {
    const char *word;
    enum xl_kind kind;
    const char *name;
} controls[] = {{"looped group", XL_REPEAT, "repeat"},
                {"group", XL_GROUP, "group"},
                {"lgroup", XL_REPEAT, "repeat"},
                {"repeat", XL_REPEAT, "repeat"},
                {"loop", XL_LOOP, "loop"}};

/* "begin_repeat", "begin loop over list" ... Gives the row of `controls` and the list; -1 when it is none. */
static int control_row(struct str type, const char *word, struct str *list_out)
{
    struct str begin = str_of(word);
    *list_out = STR("");
    if (!str_starts(type, begin) || type.n <= begin.n || !memchr(" _\t", type.p[begin.n], 3))
        return -1;
    struct str rest = str_sub(type, begin.n + 1, type.n);
    for (size_t i = 0; i < sizeof(controls) / sizeof(*controls); i++) {
        struct str w = str_of(controls[i].word);
        if (!str_starts(rest, w))
            continue;
        struct str more = str_sub(rest, w.n, rest.n);
        if (!more.n)
            return (int)i;
        if (more.p[0] != ' ')
            continue;
        more = str_sub(more, 1, more.n);
        if (str_starts(more, STR("over ")))
            more = str_sub(more, 5, more.n);
        if (more.n && !memchr(more.p, ' ', more.n)) {
            *list_out = more;
            return (int)i;
        }
    }
    return -1;
}

static void no_saveto(struct xl *x, const struct xl_row *row)
{
    if (xl_get(row, XL_BIND, "entities:saveto"))
        xl_error(x, at(row, XL_BIND, "entities:saveto"),
                 "The 'save_to' value is invalid. Groups and repeats can't be saved as entity properties. "
                 "Either remove or "
                 "move the save_to value in this row.");
}

static void end_control(struct reader_state *s, const struct xl_row *row, int control)
{
    struct xl *x = s->x;
    struct open *o = &s->stack[s->depth - 1];
    s->table = false;
    s->table_list = STR("");
    no_saveto(x, row);
    if (s->depth > 1 && xl_node(x, o->node)->kind == controls[control].kind) {
        s->depth--;
        return;
    }
    struct str name = xl_get_text(row, XL_PLAIN, "name");
    if (s->depth > 1)
        xl_error(x, at(row, XL_PLAIN, "type"),
                 "Unmatched 'end_%s'. No matching 'begin_%s' was found for the name '%.*s': what is open "
                 "here is the "
                 "begin_%s of row %u.",
                 controls[control].name, controls[control].name, STR_ARG(name), o->word, o->row);
    else
        xl_error(x, at(row, XL_PLAIN, "type"),
                 "Unmatched 'end_%s'. No matching 'begin_%s' was found for the name '%.*s': no group is open "
                 "here.",
                 controls[control].name, controls[control].name, STR_ARG(name));
    if (s->depth > 1)
        s->depth--;
}

/* A table-list shows its own label and hint as a note, so that they stay above the table. */
static void table_list(struct reader_state *s, uint32_t i, const struct xl_row *row)
{
    struct xl *x = s->x;
    struct xl_attr *a = xl_attr_get(&xl_node(x, i)->control, "appearance");
    struct str word, rest = a ? a->value : STR(""), appearance = STR("field-list");
    bool found = false;
    while (str_word(&rest, &word)) {
        if (str_eq_z(word, "table-list"))
            found = true;
        else
            appearance = xl_concat(x, appearance, STR(" "), word);
    }
    if (!found)
        return;
    s->table = true;
    s->table_list = STR("");
    a->value = appearance;
    if (!xl_node(x, i)->label.at.count && !xl_node(x, i)->hint.at.count)
        return;
    uint32_t k = xl_node_add(x, i, XL_QUESTION, xl_text_of(x, "generated_table_list_label_%u", row->number));
    struct xl_node *note = xl_node(x, k), *group = xl_node(x, i);
    note->type_name = STR("note");
    note->type = xl_type_named(note->type_name);
    note->cell = group->cell;
    note->label = group->label;
    note->hint = group->hint;
    group->label = (struct xl_text){0};
    group->hint = (struct xl_text){0};
    fill_type(x, note);
}

static void repeat_count(struct reader_state *s, struct str name, const struct xl_row *row)
{
    struct xl *x = s->x;
    const struct xl_prop *p = xl_get(row, XL_CONTROL, "jr:count");
    if (!p || xl_is_reference(p->value))
        return;
    struct str counter = xl_concat(x, name, STR("_count"), STR(""));
    uint32_t k = xl_node_add(x, s->stack[s->depth - 1].node, XL_QUESTION, counter), other;
    struct xl_node *n = xl_node(x, k);
    n->type_name = STR("calculate");
    n->type = xl_type_named(n->type_name);
    n->cell = xl_cell_of(XL_SURVEY, row, p);
    fill_type(x, n);
    xl_attr_put(x, &n->bind, STR("readonly"), STR("true()"), n->cell);
    xl_attr_put(x, &n->bind, STR("calculate"), p->value, n->cell);
    struct open *o = &s->stack[s->depth - 1];
    if (map_get(&o->names, counter, &other))
        xl_error(x, n->cell,
                 "The 'name' value '%.*s' is invalid. Questions, groups, and repeats must be unique: this "
                 "repeat count "
                 "needs the name for itself; rename row %u.",
                 STR_ARG(counter), other);
    else if (map_put(&o->names, counter, row->number))
        xl_check(x, NULL);
}

static void begin_control(struct reader_state *s, const struct xl_row *row, struct str type, int control,
                          struct str list)
{
    struct xl *x = s->x;
    struct str name = row_name(s, row, type);
    enum xl_kind kind = controls[control].kind;
    uint32_t other, up = s->stack[s->depth - 1].node;
    if (kind == XL_REPEAT && name.n) {
        if (str_eq(name, x->used.form_name))
            xl_error(x, at(row, XL_PLAIN, "name"),
                     "The 'name' value '%.*s' is invalid. Repeat names must not be the same as the survey "
                     "root (which "
                     "defaults to 'data').",
                     STR_ARG(name));
        else if (map_get(&s->repeats, name, &other))
            xl_error(x, at(row, XL_PLAIN, "name"),
                     "The 'name' value '%.*s' is invalid. Repeat names must be unique anywhere in the "
                     "survey; row %u is a "
                     "repeat of this name.",
                     STR_ARG(name), other);
        if (map_put(&s->repeats, name, row->number))
            xl_check(x, NULL);
        repeat_count(s, name, row);
    }
    uint32_t i = xl_node_add(x, up, kind, name);
    struct xl_node *n = xl_node(x, i);
    n->type_name = str_of(controls[control].name);
    fill_node(s, i, row);
    const struct xl_prop *p = xl_get(row, XL_CONTROL, "jr:count");
    if (p && !xl_is_reference(p->value))
        xl_attr_put(x, &n->control, STR("jr:count"), xl_text_of(x, "${%.*s_count}", STR_ARG(name)),
                    xl_cell_of(XL_SURVEY, row, p));
    if ((p = xl_get(row, XL_BIND, "required")) && xl_yes_no(p->value) != 0)
        xl_error(x, xl_cell_of(XL_SURVEY, row, p),
                 "The 'required' value is invalid. Groups, repeats, and loops cannot be required. Either "
                 "remove the "
                 "'required' value in this row, or move it to a question inside.");
    no_saveto(x, row);
    if (kind == XL_LOOP) {
        struct xl_list *l = list.n ? xl_list_named(x, list) : NULL;
        if (!list.n)
            xl_error(x, n->cell, "Repeat loop without list name: write begin_loop over LIST.");
        else if (!l)
            xl_error(x, n->cell, "List name not in columns sheet: %.*s is no list of the choices sheet.",
                     STR_ARG(list));
        else
            l->used = true;
        n->itemset = list;
    }
    struct xl_attr *appearance = xl_attr_get(&n->control, "appearance");
    if (!n->label.at.count && !n->media_count &&
        !(kind == XL_GROUP && appearance && str_eq_z(appearance->value, "field-list")))
        xl_warning(x, n->cell, "%s has no label: '%.*s'.",
                   kind == XL_GROUP    ? "Group"
                   : kind == XL_REPEAT ? "Repeat"
                                       : "Loop",
                   STR_ARG(name));
    table_list(s, i, row);
    if (s->depth == FORM_DEPTH_MAX - 8) {
        if (!x->rc)
            x->rc = diag_set(x->d, ERR_LIMIT, "survey!%u: groups are nested more than %d deep.", row->number,
                             FORM_DEPTH_MAX - 8);
        return;
    }
    struct open *o = &s->stack[s->depth++];
    *o = (struct open){.node = i, .row = row->number, .word = controls[control].name};
    map_init(&o->names, x->a);
    map_init(&o->lower, x->a);
}

/* --- selects --- */

static const struct {
    const char *command, *type;
    bool file;
} selects[] = {{"add select one prompt using", "select one", false},
               {"add select multiple prompt using", "select all that apply", false},
               {"select all that apply from", "select all that apply", false},
               {"select one from file", "select one", true},
               {"select multiple from file", "select all that apply", true},
               {"select one from", "select one", false},
               {"select1", "select one", false},
               {"select_one", "select one", false},
               {"select one", "select one", false},
               {"select_multiple", "select all that apply", false},
               {"select all that apply", "select all that apply", false},
               {"select_one_external", "select one external", false},
               {"select_one_from_file", "select one", true},
               {"select_multiple_from_file", "select all that apply", true},
               {"rank", "rank", false}};

static int select_row(struct str type, struct str *list_out, bool *other_out)
{
    for (size_t i = 0; i < sizeof(selects) / sizeof(*selects); i++) {
        struct str c = str_of(selects[i].command);
        if (!str_starts(type, c) || type.n <= c.n + 1 || type.p[c.n] != ' ')
            continue;
        struct str rest = str_sub(type, c.n + 1, type.n), list;
        size_t n = 0;
        while (n < rest.n && rest.p[n] != ' ')
            n++;
        list = str_sub(rest, 0, n);
        rest = str_sub(rest, n, rest.n);
        *other_out = str_eq_z(rest, " or_other") || str_eq_z(rest, " or other") ||
                     str_eq_z(rest, " or specify other");
        if (list.n && (!rest.n || *other_out)) {
            *list_out = list;
            return (int)i;
        }
    }
    return -1;
}

static struct str extension(struct str list)
{
    for (size_t i = list.n; i > 1; i--)
        if (list.p[i - 1] == '.')
            return str_sub(list, i - 1, list.n);
    return STR("");
}

static bool external_file(struct str list)
{
    struct str e = extension(list);
    return str_eq_z(e, ".csv") || str_eq_z(e, ".xml") || str_eq_z(e, ".geojson");
}

/* Published templates leave lists to whoever adapts them: their filtered questions show nothing until then.
 */
static void empty_list(struct xl *x, const struct xl_node *n, struct str list)
{
    struct xl_list *l = xl_push(x, &x->lists);
    if (!l || map_put(&x->list_by_name, list, x->lists.count - 1)) {
        xl_check(x, NULL);
        return;
    }
    *l = (struct xl_list){.name = list, .used = true};
    xl_warning(x, n->cell,
               "The select list name '%.*s' was not found in the 'choices' sheet: the question will have no "
               "choices until "
               "rows with this list_name are added.",
               STR_ARG(list));
}

static void missing_list(struct xl *x, const struct xl_node *n, struct str list)
{
    struct str near = STR("");
    uint32_t best = 3;
    for (uint32_t i = 0; i < x->lists.count; i++) {
        uint32_t k = xl_distance(list, x->lists.at[i].name);
        if (k < best) {
            best = k;
            near = x->lists.at[i].name;
        }
    }
    if (x->lists.count && !near.n && n->choice_filter.n && !str_eq_z(n->type_name, "rank")) {
        empty_list(x, n, list);
        return;
    }
    if (!x->lists.count) {
        struct str similar = x->tables[XL_CHOICES].present ? STR("") : x->tables[XL_CHOICES].name;
        xl_error(x, n->cell,
                 "There should be a choices sheet in this xlsform. %s%.*s%sPlease ensure that the choices "
                 "sheet has the "
                 "mandatory columns 'list_name', 'name', and 'label'. The list '%.*s' was not found in the "
                 "'choices' sheet.",
                 similar.n ? "When looking for a sheet named 'choices', the following sheets with similar "
                             "names were found: "
                           : "",
                 STR_ARG(similar), similar.n ? ". " : "", STR_ARG(list));
    } else {
        xl_error(x, n->cell,
                 "The 'type' value is invalid. The select list name '%.*s' was not found in the 'choices' "
                 "sheet.%s%.*s%s "
                 "Please add one or more rows to the 'choices' sheet for this list_name.",
                 STR_ARG(list), near.n ? " Did you mean '" : "", STR_ARG(near), near.n ? "'?" : "");
    }
}

static void external_select(struct xl *x, struct xl_node *n, struct str list)
{
    uint32_t row;
    const struct xl_table *t = &x->tables[XL_EXTERNAL];
    if (!n->choice_filter.n)
        xl_warning(x, n->cell,
                   "select one external is only meant for filtered selects: add a choice_filter.");
    if (!t->present)
        xl_error(x, n->cell,
                 "There should be an external_choices sheet in this xlsform. %s%.*s%sPlease ensure that the "
                 "external_choices sheet has columns 'list name', and 'name'.",
                 t->name.n ? "When looking for a sheet named 'external_choices', the following sheets with "
                             "similar names "
                             "were found: "
                           : "",
                 STR_ARG(t->name), t->name.n ? ". " : "");
    else if (!map_get(&x->external_lists, list, &row))
        xl_error(x, n->cell, "List name not in external choices sheet: %.*s", STR_ARG(list));
    n->query = n->choice_filter.n > 0;
}

/* The choice "other" in every language the labels have. */
static void add_other(struct xl *x, struct xl_list *l)
{
    bool translated = false;
    VEC(struct str) languages = {0};
    for (uint32_t i = 0; i < l->choices.count; i++) {
        const struct xl_choice *c = &l->choices.at[i];
        if (str_eq_z(c->name, "other"))
            return;
        translated |= c->label.translated;
        for (uint32_t k = 0; k < c->label.at.count; k++) {
            uint32_t j = 0;
            while (j < languages.count && !str_eq(languages.at[j], c->label.at.at[k].language))
                j++;
            struct str *new = j == languages.count ? xl_push(x, &languages) : NULL;
            if (new)
                *new = c->label.at.at[k].language;
        }
    }
    struct xl_choice *c = xl_push(x, &l->choices);
    if (!c)
        return;
    c->name = STR("other");
    c->label.translated = translated;
    for (uint32_t j = 0; j < (translated ? languages.count : 1); j++) {
        struct xl_value *v = xl_push(x, &c->label.at);
        if (v)
            *v = (struct xl_value){translated ? languages.at[j] : x->default_language,
                                   STR("Other"),
                                   {XL_CHOICES, 0, NOWHERE}};
    }
}

static void or_other(struct reader_state *s, uint32_t i, struct xl_list *l)
{
    struct xl *x = s->x;
    struct xl_node *n = xl_node(x, i);
    x->or_other = true;
    if (n->choice_filter.n)
        xl_error(x, n->filter_cell, "Choice filter not supported with or_other.");
    if (!l) {
        xl_error(x, n->cell, "Please specify choices for this 'or other' question.");
        return;
    }
    add_other(x, l);
    struct str name = n->name;
    struct xl_cell cell = n->cell;
    uint32_t k = xl_node_add(x, s->stack[s->depth - 1].node, XL_QUESTION,
                             xl_concat(x, name, STR("_other"), STR("")));
    struct xl_node *o = xl_node(x, k);
    o->type_name = STR("text");
    o->type = xl_type_named(o->type_name);
    o->cell = cell;
    struct xl_value *v = xl_push(x, &o->label.at);
    if (v)
        *v = (struct xl_value){x->default_language, STR("Specify other."), cell};
    fill_type(x, o);
    xl_attr_put(x, &o->bind, STR("relevant"), xl_text_of(x, "selected(../%.*s, 'other')", STR_ARG(name)),
                cell);
}

/* In a table-list the first select is preceded by one that shows nothing but the choices' labels. */
static void in_table(struct reader_state *s, uint32_t up, struct str list, const struct xl_row *row,
                     const char *type, bool filter)
{
    struct xl *x = s->x;
    struct xl_cell cell = at(row, XL_PLAIN, "type");
    if (!s->table_list.n) {
        s->table_list = list;
        if (filter)
            xl_error(x, at(row, XL_PLAIN, "choice_filter"),
                     "Choice filter not supported for table-list appearance.");
        uint32_t k = xl_node_add(x, up, XL_QUESTION,
                                 xl_text_of(x, "reserved_name_for_field_list_labels_%u", row->number));
        struct xl_node *n = xl_node(x, k);
        n->type_name = str_of(type);
        n->type = xl_type_named(n->type_name);
        n->cell = cell;
        n->itemset = list;
        fill_type(x, n);
        xl_attr_put(x, &n->control, STR("appearance"), STR("label"), cell);
        struct xl_value *v = xl_push(x, &n->label.at);
        if (v)
            *v = (struct xl_value){x->default_language, STR(" "), cell};
    }
    if (!str_eq(s->table_list, list))
        xl_error(x, cell, "Badly formatted table list, list names don't match: %.*s vs. %.*s",
                 STR_ARG(s->table_list), STR_ARG(list));
}

static void check_select(struct xl *x, struct xl_node *n, int select, struct str list, struct xl_list *l)
{
    bool external = str_eq_z(n->type_name, "select one external");
    if (selects[select].file && !external_file(list))
        xl_error(x, n->cell,
                 "File name for '%s %.*s' should end with one of the supported file extensions: .csv, .xml, "
                 ".geojson. The "
                 "name is \"%.*s\".",
                 selects[select].command, STR_ARG(list), STR_ARG(list));
    else if (external)
        external_select(x, n, list);
    else if (!l && !external_file(list) && !xl_has_reference(list))
        missing_list(x, n, list);
    for (uint32_t i = 0; l && str_eq_z(n->type_name, "select all that apply") && i < l->choices.count; i++)
        if (memchr(l->choices.at[i].name.n ? l->choices.at[i].name.p : "-", ' ', l->choices.at[i].name.n))
            xl_error(x, (struct xl_cell){XL_CHOICES, l->choices.at[i].row, NOWHERE},
                     "Choice names with spaces cannot be added to multiple choice selects. See [%.*s] in "
                     "[%.*s], which "
                     "row %u of the survey uses.",
                     STR_ARG(l->choices.at[i].name), STR_ARG(list), n->cell.row);
}

static void select_question(struct reader_state *s, const struct xl_row *row, struct str name, int select,
                            struct str list, bool other)
{
    struct xl *x = s->x;
    uint32_t up = s->stack[s->depth - 1].node;
    struct xl_list *l = selects[select].file || external_file(list) ? NULL : xl_list_named(x, list);
    const char *type = selects[select].type;
    if (s->table)
        in_table(s, up, list, row, type, xl_get(row, XL_PLAIN, "choice_filter") != NULL);
    uint32_t i = xl_node_add(x, up, XL_QUESTION, name);
    struct xl_node *n = xl_node(x, i);
    n->type_name = str_of(type);
    n->type = xl_type_named(n->type_name);
    n->itemset = list;
    n->from_file = external_file(list);
    if (str_eq_z(extension(list), ".geojson")) {
        n->value_ref = STR("id");
        n->label_ref = STR("title");
    }
    fill_node(s, i, row);
    fill_default(x, i, row);
    fill_trigger(x, n, row);
    check_select(x, n, select, list, l);
    xl_read_params(x, n, row);
    bool from_file = n->from_file;
    n->from_file = selects[select].file;
    xl_apply_params(x, n, row);
    n->from_file = from_file;
    struct xl_attr *appearance = xl_attr_get(&n->control, "appearance");
    n->own_choices = appearance && str_find(appearance->value, STR("search(")) >= 0;
    if (n->own_choices && from_file)
        xl_error(x, appearance->cell,
                 "Question '%.*s' is a select from file type, using 'search()'. This combination is not "
                 "supported. Remove "
                 "the 'search()' usage, or change the select type.",
                 STR_ARG(name));
    if (l) {
        l->used = true;
        l->search |= n->own_choices;
    }
    if (s->table)
        xl_attr_put(x, &n->control, STR("appearance"), STR("list-nolabel"), n->cell);
    if (other)
        or_other(s, i, l);
}

/* --- other questions --- */

static void unknown_type(struct xl *x, const struct xl_row *row, struct str type)
{
    const char *instead = xl_type_foreign(type);
    struct str near = xl_type_nearest(type), first = type;
    struct str word;
    struct xl_cell cell = at(row, XL_PLAIN, "type");
    if (instead) {
        xl_error(x, cell, "The type '%.*s' belongs to another product: %s.", STR_ARG(type), instead);
        return;
    }
    if (str_word(&first, &word) && xl_type_foreign(word)) {
        xl_error(x, cell, "The type '%.*s' belongs to another product: %s.", STR_ARG(type),
                 xl_type_foreign(word));
        return;
    }
    if (str_starts(type, STR("include")))
        xl_error(
            x, cell,
            "This section has not been included: 'include' is no longer part of XLSForm; copy the rows.");
    else if (str_starts(type, STR("cascading")))
        xl_error(x, cell, "Unknown question type '%.*s': use select_one with a choice_filter.",
                 STR_ARG(type));
    else
        xl_error(x, cell, "Unknown question type '%.*s'.%s%.*s%s", STR_ARG(type),
                 near.n ? " Did you mean '" : "", STR_ARG(near),
                 near.n ? "'?" : " See docs/XLSFORM.md for the types there are.");
}

static bool osm_type(struct str type, struct str *list_out)
{
    *list_out = str_starts(type, STR("osm ")) ? str_trim(str_sub(type, 4, type.n)) : STR("");
    return list_out->n > 0 || str_eq_z(type, "osm");
}

static void plain_question(struct reader_state *s, const struct xl_row *row, struct str name, struct str type)
{
    struct xl *x = s->x;
    struct str tags;
    bool osm = osm_type(type, &tags);
    const struct xl_type *t = xl_type_named(osm ? STR("osm") : type);
    if (!t) {
        unknown_type(x, row, type);
        return;
    }
    bool external = str_eq_z(type, "xml-external") || str_eq_z(type, "csv-external");
    uint32_t i = xl_node_add(x, s->stack[s->depth - 1].node, external ? XL_EXTERNAL_INSTANCE : XL_QUESTION,
                             name);
    struct xl_node *n = xl_node(x, i);
    n->type = t;
    n->type_name = osm ? STR("osm") : type;
    n->osm_list = tags;
    fill_node(s, i, row);
    fill_default(x, i, row);
    fill_trigger(x, n, row);
    if (str_eq_z(type, "background-audio"))
        add_action(x, n, "odk:recordaudio", "odk-instance-load", STR(""), false);
    if (str_eq_z(type, "start-geopoint"))
        add_action(x, n, "odk:setgeopoint", "odk-instance-first-load", STR(""), false);
    if (str_eq_z(type, "background-geopoint"))
        check_background(x, n, row);
    if (str_eq_z(type, "calculate") && !xl_attr_get(&n->bind, "calculate") && !n->dynamic)
        xl_error(x, n->cell, "Missing calculation: '%.*s' needs one in the 'calculation' column.",
                 STR_ARG(name));
    if (external && xl_repeat_of(x, i) != NOWHERE)
        xl_error(x, n->cell,
                 "The 'type' value is invalid. External instances must not be placed inside a repeat. Move "
                 "this question out "
                 "of the repeat, or choose a different question type.");
    if (str_eq_z(type, "subscriberid") || str_eq_z(type, "simserial"))
        xl_warning(x, n->cell,
                   "%.*s is no longer supported on most devices. Only old versions of Collect on Android "
                   "versions older than "
                   "11 still support it.",
                   STR_ARG(type));
    xl_read_params(x, n, row);
    xl_apply_params(x, n, row);
}

static void audit_row(struct reader_state *s, const struct xl_row *row)
{
    struct xl *x = s->x;
    struct str name = xl_get_text(row, XL_PLAIN, "name");
    if (name.n && !str_eq_z(name, "audit"))
        xl_error(x, at(row, XL_PLAIN, "name"),
                 "Audits must always be named 'audit'. The name column should be left blank; it is \"%.*s\".",
                 STR_ARG(name));
    uint32_t i = xl_node_add(x, s->meta, XL_QUESTION, STR("audit"));
    struct xl_node *n = xl_node(x, i);
    n->type_name = STR("audit");
    n->type = xl_type_named(n->type_name);
    fill_node(s, i, row);
    xl_read_params(x, n, row);
    xl_apply_params(x, n, row);
}

/* A setting in a row of the survey sheet, as very old forms have it. */
static bool setting_row(struct xl *x, const struct xl_row *row, struct str type)
{
    struct str name = xl_get_text(row, XL_PLAIN, "name");
    if (str_eq_z(type, "set form title") || str_eq_z(type, "form_title"))
        x->title = name;
    else if (str_eq_z(type, "set form id") || str_eq_z(type, "form_id"))
        x->form_id = name;
    else
        return false;
    return true;
}

static void read_row(struct reader_state *s, const struct xl_row *row)
{
    struct xl *x = s->x;
    struct str list, type = xl_type_alias(xl_get_text(row, XL_PLAIN, "type"));
    const struct xl_prop *disabled = xl_get(row, XL_PLAIN, "disabled");
    bool other = false;
    int k;
    if (disabled)
        xl_warning(x, xl_cell_of(XL_SURVEY, row, disabled),
                   "The 'disabled' column header is not part of the current spec. We recommend using "
                   "relevant instead.");
    if (row->count == 0 || (disabled && xl_yes_no(disabled->value) == 1))
        return;
    if (!type.n) {
        struct xl_cell whole = {XL_SURVEY, row->number, NOWHERE};
        if (xl_get(row, XL_PLAIN, "name") || xl_get(row, XL_PLAIN, "label"))
            xl_error(x, whole, "Question with no type. (\"%.*s\")", STR_ARG(row->props[0].value));
        else
            xl_warning(x, whole, "Row without name, text, or label is being skipped.");
        return;
    }
    if (str_eq_z(type, "audit")) {
        audit_row(s, row);
    } else if (setting_row(x, row, type)) {
        return;
    } else if ((k = control_row(type, "end", &list)) >= 0) {
        end_control(s, row, k);
    } else if ((k = control_row(type, "begin", &list)) >= 0) {
        begin_control(s, row, type, k, list);
    } else if (xl_type_foreign(type)) {
        unknown_type(x, row, type);
    } else {
        struct str name = row_name(s, row, type);
        k = select_row(type, &list, &other);
        if (k >= 0)
            select_question(s, row, name, k, list, other);
        else
            plain_question(s, row, name, type);
    }
}

/* --- loops: one group for each choice --- */

static struct str substituted(struct xl *x, struct str s, struct str name, struct str label)
{
    struct str out = STR("");
    for (ptrdiff_t at_mark; (at_mark = str_find(s, STR("%("))) >= 0;) {
        struct str rest = str_sub(s, (size_t)at_mark, s.n);
        bool is_name = str_starts(rest, STR("%(name)s")), is_label = str_starts(rest, STR("%(label)s"));
        size_t skip = is_name ? 8 : is_label ? 9 : 2;
        out = xl_concat(x, out, str_sub(s, 0, (size_t)at_mark),
                        is_name    ? name
                        : is_label ? label
                                   : STR("%("));
        s = str_sub(s, (size_t)at_mark + skip, s.n);
    }
    return out.n ? xl_concat(x, out, s, STR("")) : s;
}

static struct str label_in(const struct xl_text *t, struct str language)
{
    for (uint32_t i = 0; i < t->at.count; i++)
        if (str_eq(t->at.at[i].language, language))
            return t->at.at[i].text;
    return t->at.count ? t->at.at[0].text : STR("");
}

static struct xl_text substituted_text(struct xl *x, const struct xl_text *from, const struct xl_choice *c)
{
    struct xl_text t = {.translated = from->translated};
    for (uint32_t i = 0; i < from->at.count; i++) {
        struct xl_value *v = xl_push(x, &t.at);
        if (v) {
            *v = from->at.at[i];
            v->text = substituted(x, v->text, c->name, label_in(&c->label, v->language));
        }
    }
    return t;
}

static struct xl_attrs copied(struct xl *x, const struct xl_attrs *from)
{
    struct xl_attrs out = {0};
    for (uint32_t i = 0; i < from->at.count; i++) {
        struct xl_attr *a = xl_push(x, &out.at);
        if (a)
            *a = from->at.at[i];
    }
    return out;
}

static void copy_node(struct xl *x, uint32_t from, uint32_t to, const struct xl_choice *c, uint32_t depth)
{
    uint32_t i = xl_node_add(x, to, xl_node(x, from)->kind, xl_node(x, from)->name);
    if (x->rc || depth > FORM_DEPTH_MAX)
        return;
    struct xl_node *n = xl_node(x, i), *o = xl_node(x, from);
    struct xl_node kept = *n;
    *n = *o;
    n->parent = kept.parent;
    n->first_child = n->last_child = n->next = NOWHERE;
    n->bind = copied(x, &o->bind);
    n->control = copied(x, &o->control);
    if (c) {
        n->name = substituted(x, n->name, c->name, label_in(&c->label, x->default_language));
        n->label = substituted_text(x, &o->label, c);
        n->hint = substituted_text(x, &o->hint, c);
    }
    for (uint32_t k = xl_node(x, from)->first_child; k != NOWHERE; k = xl_node(x, k)->next)
        copy_node(x, k, i, NULL, depth + 1);
}

static void expand_loop(struct xl *x, uint32_t loop)
{
    struct xl_list *l = xl_list_named(x, xl_node(x, loop)->itemset);
    uint32_t first = xl_node(x, loop)->first_child;
    xl_node(x, loop)->kind = XL_GROUP;
    xl_node(x, loop)->itemset = STR("");
    xl_node(x, loop)->first_child = xl_node(x, loop)->last_child = NOWHERE;
    for (uint32_t c = 0; l && c < l->choices.count && !x->rc; c++) {
        if (str_eq_z(l->choices.at[c].name, "none"))
            continue;
        uint32_t g = xl_node_add(x, loop, XL_GROUP, l->choices.at[c].name);
        xl_node(x, g)->label = l->choices.at[c].label;
        xl_node(x, g)->cell = xl_node(x, loop)->cell;
        if (!xl_is_name(l->choices.at[c].name))
            xl_error(x, (struct xl_cell){XL_CHOICES, l->choices.at[c].row, NOWHERE},
                     "\"%.*s\" cannot name a group, but the loop of survey row %u makes one of every choice.",
                     STR_ARG(l->choices.at[c].name), xl_node(x, loop)->cell.row);
        for (uint32_t k = first; k != NOWHERE; k = xl_node(x, k)->next)
            copy_node(x, k, g, &l->choices.at[c], 0);
    }
}

/* --- the meta block --- */

static void meta_value(struct xl *x, uint32_t meta, const char *name, struct str calculate)
{
    uint32_t i = xl_node_add(x, meta, XL_QUESTION, str_of(name));
    struct xl_node *n = xl_node(x, i);
    n->type_name = STR("calculate");
    n->type = xl_type_named(n->type_name);
    fill_type(x, n);
    if (calculate.n) {
        n->cell = x->instance_name_cell;
        xl_attr_put(x, &n->bind, STR("calculate"), calculate, x->instance_name_cell);
    } else {
        xl_attr_put(x, &n->bind, STR("readonly"), STR("true()"), n->cell);
        xl_attr_put(x, &n->bind, STR("jr:preload"), x->instance_id.n ? x->instance_id : STR("uid"), n->cell);
    }
}

static void append(struct xl *x, uint32_t parent, uint32_t child)
{
    struct xl_node *p = xl_node(x, parent);
    if (p->last_child == NOWHERE)
        p->first_child = child;
    else
        xl_node(x, p->last_child)->next = child;
    p->last_child = child;
    xl_node(x, child)->parent = parent;
}

void xl_read_survey(struct xl *x)
{
    struct reader_state *s = xl_check(x, arena_alloc(x->a, sizeof(*s)));
    const struct xl_table *t = &x->tables[XL_SURVEY];
    if (!s)
        return;
    s->x = x;
    map_init(&s->repeats, x->a);
    xl_check(x, vec_reserve(x->a, &x->nodes, t->rows.count < 4096 ? t->rows.count + 8 : 4096) ? x : NULL);
    xl_node_add(x, NOWHERE, XL_GROUP, x->used.form_name);
    s->meta = xl_node_add(x, NOWHERE, XL_META, STR("meta"));
    if (x->rc)
        return;
    s->stack[0] = (struct open){.node = 0};
    map_init(&s->stack[0].names, x->a);
    map_init(&s->stack[0].lower, x->a);
    s->depth = 1;
    if (xl_has_column(t, XL_PLAIN, "type"))
        for (uint32_t i = 0; i < t->rows.count && !x->rc; i++)
            read_row(s, &t->rows.at[i]);
    for (; s->depth > 1 && !x->rc; s->depth--) {
        const struct open *o = &s->stack[s->depth - 1];
        xl_error(x, xl_node(x, o->node)->cell,
                 "Unmatched 'begin_%s'. No matching 'end_%s' was found for the name '%.*s'.", o->word,
                 o->word, STR_ARG(xl_node(x, o->node)->name));
    }
    for (uint32_t i = 0, n = x->nodes.count; i < n && !x->rc; i++)
        if (xl_node(x, i)->kind == XL_LOOP)
            expand_loop(x, i);
    if (x->rc)
        return;
    if (!x->omit_instance_id)
        meta_value(x, s->meta, "instanceID", STR(""));
    if (x->instance_name.n)
        meta_value(x, s->meta, "instanceName", x->instance_name);
    append(x, 0, s->meta);
}
