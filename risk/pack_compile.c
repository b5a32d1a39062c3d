/* Second half of loading a pack: names become references, paths are looked up in the form, expressions are
 * compiled by the form engine in rule mode, and derived values are put into an order in which each finds what
 * it needs.
 *
 * An expression reads answers only through the pack's inputs and sets, never by a path of its own: that is
 * what makes every read visible, so that a finding can say what it rests on and what is missing.
 */
#include "risk/clock.h"
#include "risk/pack_impl.h"

#include "forms/model.h"

/* -- names
 * ------------------------------------------------------------------------------------------------------ */

static void put_name(struct pack_loader *l, struct map *m, struct str name, uint32_t value, uint32_t line,
                     const char *list)
{
    uint32_t other;
    if (map_get(m, name, &other)) {
        PACK_ERROR(l, line, pack_where(l, list, name, ""),
                   "The name \"%.*s\" is used twice; give one of the two another.", STR_ARG(name));
        return;
    }
    if (map_put(m, name, value))
        l->rc = ERR_NOMEM;
}

/* "$members-all": every row of the repeat, whether it belongs to the set or not. */
static struct str name_of_all(struct pack_loader *l, struct str name)
{
    char *p = arena_alloc(l->a, name.n + 5);
    if (!p) {
        l->rc = ERR_NOMEM;
        return name;
    }
    memcpy(p, name.p, name.n);
    memcpy(p + name.n, "-all", 4);
    return (struct str){p, name.n + 4};
}

static void put_names(struct pack_loader *l)
{
    struct pack *p = l->pack;
    for (uint32_t i = 0; i < p->inputs.count; i++)
        put_name(l, &p->names, p->inputs.at[i].name, pack_ref(REF_INPUT, i), p->inputs.at[i].line, "inputs");
    for (uint32_t i = 0; i < p->sets.count; i++) {
        const struct pack_set *s = &p->sets.at[i];
        put_name(l, &p->names, s->name, pack_ref(REF_SET, i), s->line, "sets");
        put_name(l, &p->names, name_of_all(l, s->name), pack_ref(REF_ROWS, i), s->line, "sets");
        for (uint32_t k = 0; k < s->field_count; k++)
            for (uint32_t j = 0; j < k; j++)
                if (str_eq(s->fields[j].name, s->fields[k].name))
                    PACK_ERROR(l, s->fields[k].line, pack_where(l, "sets", s->name, ""),
                               "The field \"%.*s\" is there twice.", STR_ARG(s->fields[k].name));
        for (uint32_t k = 0; k < s->dept_count; k++)
            for (uint32_t j = 0; j < p->dept.count; j++)
                if (str_eq(s->dept[k].name, p->dept.at[j].name))
                    PACK_ERROR(
                        l, s->dept[k].line, pack_where(l, "sets", s->name, "dept"),
                        "\"%.*s\" is already a department's value about the household; give one of the "
                        "two another name.",
                        STR_ARG(s->dept[k].name));
    }
    for (uint32_t i = 0; i < p->derived_count; i++)
        put_name(l, &p->names, p->values.at[i].name, pack_ref(REF_VALUE, i), p->values.at[i].line, "derived");
    for (uint32_t i = 0; i < p->params.count; i++)
        put_name(l, &p->params_by_name, p->params.at[i].name, i, p->params.at[i].line, "params");
    for (uint32_t i = 0; i < p->dept.count; i++)
        put_name(l, &p->dept_by_name, p->dept.at[i].name, i, p->dept.at[i].line, "dept");
    for (uint32_t i = 0; i < p->lookups.count; i++)
        put_name(l, &p->lookups_by_name, p->lookups.at[i].name, i, p->lookups.at[i].line, "lookups");
    for (uint32_t i = 0; i < p->checks.count; i++)
        put_name(l, &p->checks_by_id, p->checks.at[i].id, i, p->checks.at[i].line, "checks");
}

/* The nearest of the names in a map, "" when none is near. */
static struct str nearest_name(const struct map *m, struct str name)
{
    struct str near = STR("");
    uint32_t nearest = name.n > 5 ? 4 : 3;
    for (uint32_t i = 0; i < m->room; i++) {
        if (!m->slots[i].key.p)
            continue;
        uint32_t distance = words_distance(m->slots[i].key, name);
        if (distance < nearest || (near.n && distance == nearest && str_cmp(m->slots[i].key, near) < 0)) {
            nearest = distance;
            near = m->slots[i].key;
        }
    }
    return near;
}

static void name_missing(const struct map *m, const char *what, struct str name, struct diag *d)
{
    struct str near = nearest_name(m, name);
    if (near.n)
        diag_set(d, ERR_NOT_FOUND, "There is no %s \"%.*s\". Is \"%.*s\" meant?", what, STR_ARG(name),
                 STR_ARG(near));
    else
        diag_set(d, ERR_NOT_FOUND, "There is no %s \"%.*s\".", what, STR_ARG(name));
}

/* -- the form
 * --------------------------------------------------------------------------------------------------- */

#define TYPE(t) (1u << (t))
static const uint32_t fields_for[PACK_TYPES] = {
    [PACK_MONEY] = TYPE(FIELD_INT) | TYPE(FIELD_DECIMAL) | TYPE(FIELD_STRING),
    [PACK_COUNT] = TYPE(FIELD_INT) | TYPE(FIELD_DECIMAL) | TYPE(FIELD_STRING) | TYPE(FIELD_SELECT_ONE),
    [PACK_RATIO] = TYPE(FIELD_INT) | TYPE(FIELD_DECIMAL) | TYPE(FIELD_STRING) | TYPE(FIELD_SELECT_ONE),
    [PACK_CHOICE] = TYPE(FIELD_SELECT_ONE) | TYPE(FIELD_STRING) | TYPE(FIELD_INT) | TYPE(FIELD_BOOLEAN),
    [PACK_CHOICES] = TYPE(FIELD_SELECT_MANY) | TYPE(FIELD_SELECT_ONE) | TYPE(FIELD_RANK) | TYPE(FIELD_STRING),
    [PACK_DATE] = TYPE(FIELD_DATE) | TYPE(FIELD_DATETIME),
    [PACK_TEXT] = UINT32_MAX,
    [PACK_YESNO] = 0,
};

static void check_type(struct pack_loader *l, const struct pack_item *item, const struct form_field *f,
                       struct str where)
{
    static const char *const names[] = {"text",       "a whole number",  "a decimal",       "a boolean",
                                        "a date",     "a time",          "a date and time", "a position",
                                        "a line",     "an area",         "a file",          "a barcode",
                                        "one choice", "several choices", "a ranking"};
    if (!(fields_for[item->type] & TYPE(f->type)))
        PACK_ERROR(l, item->line, where, "The form's %.*s is %s; that does not fit the type given here.",
                   STR_ARG(f->path),
                   (size_t)f->type < sizeof(names) / sizeof(*names) ? names[f->type] : "of another kind");
}

/* An absolute path as the form's own reference; the form says what is wrong with it. */
static enum err resolve_path(struct pack_loader *l, struct str path, uint32_t *ref_out, struct diag *d)
{
    struct expr_scope scope = form_scope(l->form, NONE);
    struct path_step steps[FORM_DEPTH_MAX];
    uint32_t count = 0;
    struct str rest = str_sub(path, 1, path.n), name;
    if (path.n < 2 || path.p[0] != '/')
        return diag_set(d, ERR_NOT_FOUND, "A path begins at the root, such as /form/group/question.");
    while (str_split(&rest, '/', &name)) {
        if (count == FORM_DEPTH_MAX || name.n == 0)
            return diag_set(d, ERR_NOT_FOUND, "\"%.*s\" is no path.", STR_ARG(path));
        steps[count++] = (struct path_step){STEP_CHILD, STR(""), name};
    }
    *ref_out = EXPR_REF_NONE;
    enum err rc = scope.path(scope.self, EXPR_CONTEXT_NONE, true, steps, count, ref_out, d);
    if (!rc && *ref_out == EXPR_REF_NONE)
        rc = diag_set(d, ERR_NOT_FOUND, "\"%.*s\" does not lead to one question.", STR_ARG(path));
    return rc;
}

static void resolve_inputs(struct pack_loader *l)
{
    for (uint32_t i = 0; i < l->pack->inputs.count; i++) {
        struct pack_item *item = &l->pack->inputs.at[i];
        struct str where = pack_where(l, "inputs", item->name, "path");
        struct diag what = {0};
        const struct form_field *f = form_field_by_path(l->form, item->path);
        if (item->path.n == 0)
            continue;
        if (resolve_path(l, item->path, &item->ref, &what))
            pack_finding(l, FINDING_ERROR, item->line, where, &what);
        else if (!f)
            PACK_ERROR(l, item->line, where, "%.*s is a group, not a question.", STR_ARG(item->path));
        else if (f->repeat != FORM_NO_REPEAT)
            PACK_ERROR(l, item->line, where, "%.*s lies inside a repeat: read it through a set.",
                       STR_ARG(item->path));
        else
            check_type(l, item, f, where);
        if (f)
            item->field = f->number;
    }
}

static void resolve_field(struct pack_loader *l, uint32_t set, uint32_t field)
{
    struct pack_set *s = &l->pack->sets.at[set];
    struct pack_item *item = &s->fields[field];
    struct str where = pack_where(l, "sets", s->name, "fields");
    struct path_step step = {STEP_CHILD, STR(""), item->name};
    struct expr_scope scope = form_scope(l->form, NONE);
    struct diag what = {0};
    char *path = arena_alloc(l->a, s->path.n + item->name.n + 2);
    if (!path) {
        l->rc = ERR_NOMEM;
        return;
    }
    memcpy(path, s->path.p, s->path.n);
    path[s->path.n] = '/';
    memcpy(path + s->path.n + 1, item->name.p, item->name.n);
    const struct form_field *f = form_field_by_path(l->form,
                                                    (struct str){path, s->path.n + 1 + item->name.n});
    if (scope.path(scope.self, s->ref, false, &step, 1, &item->ref, &what))
        pack_finding(l, FINDING_ERROR, item->line, where, &what);
    else if (!f || item->ref == EXPR_REF_NONE)
        PACK_ERROR(l, item->line, where, "\"%.*s\" is no question of %.*s.", STR_ARG(item->name),
                   STR_ARG(s->path));
    else
        check_type(l, item, f, where);
    if (f)
        item->field = f->number;
    struct pack_member_ref *m = vec_push(l->a, &l->pack->member_refs);
    if (m)
        *m = (struct pack_member_ref){item->ref, set, field};
    else
        l->rc = ERR_NOMEM;
}

static void resolve_sets(struct pack_loader *l)
{
    for (uint32_t i = 0; i < l->pack->sets.count && !l->rc; i++) {
        struct pack_set *s = &l->pack->sets.at[i];
        struct str where = pack_where(l, "sets", s->name, "path");
        struct diag what = {0};
        const struct form_repeat *repeat = NULL;
        for (uint32_t k = 0; k < form_repeat_count(l->form) && !repeat; k++)
            if (str_eq(form_repeat(l->form, k)->path, s->path))
                repeat = form_repeat(l->form, k);
        if (resolve_path(l, s->path, &s->ref, &what)) {
            pack_finding(l, FINDING_ERROR, s->line, where, &what);
        } else if (!repeat || repeat->parent != FORM_NO_REPEAT) {
            PACK_ERROR(l, s->line, where, "%.*s is no repeat that stands by itself.", STR_ARG(s->path));
        } else {
            s->ref = form_self_ref(l->form, ref_node(s->ref));
            for (uint32_t k = 0; k < s->field_count && !l->rc; k++)
                resolve_field(l, i, k);
        }
    }
}

/* -- what an expression may name
 * -------------------------------------------------------------------------------- */

static bool about_health(const struct pack_loader *l)
{
    return l->check && (l->check->groups & (1u << MUST_ILLNESS | 1u << MUST_DISABILITY));
}

static enum err scope_variable(void *self, struct str name, uint32_t *ref_out, struct diag *d)
{
    struct pack_loader *l = self;
    struct pack *p = l->pack;
    if (l->set != UINT32_MAX) { /* the condition of a set: only its own rows */
        if (str_eq_z(name, "rows")) {
            *ref_out = pack_ref(REF_ROWS, l->set);
            return ERR_OK;
        }
        return diag_set(d, ERR_NOT_FOUND, "The condition of a set reads only the set's fields, not $%.*s.",
                        STR_ARG(name));
    }
    for (uint32_t i = 0; l->check && i < l->check->value_count; i++) {
        if (!str_eq(p->values.at[l->check->value_first + i].name, name))
            continue;
        if (i >= l->values_visible)
            return diag_set(d, ERR_NOT_FOUND, "$%.*s is defined further down; put it above.", STR_ARG(name));
        *ref_out = pack_ref(REF_VALUE, l->check->value_first + i);
        return ERR_OK;
    }
    if (!map_get(&p->names, name, ref_out)) {
        name_missing(&p->names, "input, set or value", name, d);
        return ERR_NOT_FOUND;
    }
    if (ref_kind(*ref_out) == REF_INPUT) {
        p->inputs.at[ref_index(*ref_out)].used = true;
        p->inputs.at[ref_index(*ref_out)].health |= about_health(l);
    }
    return ERR_OK;
}

static enum err member_path(struct pack_loader *l, uint32_t set, const struct path_step *steps,
                            uint32_t count, uint32_t *ref_out, struct diag *d)
{
    struct pack_set *s = &l->pack->sets.at[set];
    struct str near = STR("");
    uint32_t nearest = 4;
    if (count != 1 || steps[0].kind != STEP_CHILD)
        return diag_set(d, ERR_NOT_FOUND, "Only the fields of \"%.*s\" can be read here.", STR_ARG(s->name));
    for (uint32_t i = 0; i < s->field_count; i++) {
        if (str_eq(s->fields[i].name, steps[0].local)) {
            s->fields[i].used = true;
            s->fields[i].health |= about_health(l) && i != s->name_field;
            *ref_out = s->fields[i].ref;
            return ERR_OK;
        }
        uint32_t distance = words_distance(s->fields[i].name, steps[0].local);
        if (distance < nearest) {
            nearest = distance;
            near = s->fields[i].name;
        }
    }
    if (near.n)
        return diag_set(d, ERR_NOT_FOUND, "The set \"%.*s\" has no field \"%.*s\". Is \"%.*s\" meant?",
                        STR_ARG(s->name), STR_ARG(steps[0].local), STR_ARG(near));
    return diag_set(d, ERR_NOT_FOUND, "The set \"%.*s\" has no field \"%.*s\"; name it under \"fields\".",
                    STR_ARG(s->name), STR_ARG(steps[0].local));
}

static enum err scope_path(void *self, uint32_t context, bool absolute, const struct path_step *steps,
                           uint32_t count, uint32_t *ref_out, struct diag *d)
{
    struct pack_loader *l = self;
    *ref_out = EXPR_REF_NONE;
    if (absolute)
        return diag_set(d, ERR_NOT_FOUND,
                        "A rule reads answers by name, such as $npi: make this path an input.");
    if (count == 0) { /* the nodes themselves, with conditions on them */
        *ref_out = context;
        return ERR_OK;
    }
    if (count == 1 && steps[0].kind == STEP_SELF && context != pack_ref(REF_TOP, 0))
        return ERR_OK;
    if (ref_is_pack(context) && (ref_kind(context) == REF_SET || ref_kind(context) == REF_ROWS))
        return member_path(l, ref_index(context), steps, count, ref_out, d);
    if (context == pack_ref(REF_TOP, 0) && count == 1 && steps[0].kind == STEP_CHILD)
        return diag_set(d, ERR_NOT_FOUND, "\"%.*s\" is read as $%.*s.", STR_ARG(steps[0].local),
                        STR_ARG(steps[0].local));
    return diag_set(d, ERR_NOT_FOUND, "There is nothing to read by a path here.");
}

/* -- functions that take a name
 * --------------------------------------------------------------------------------- */

static bool field_named(const struct pack *p, struct str name)
{
    for (uint32_t i = 0; i < p->sets.count; i++)
        for (uint32_t k = 0; k < p->sets.at[i].field_count; k++)
            if (str_eq(p->sets.at[i].fields[k].name, name))
                return true;
    return false;
}

/* What departments hold about rows of a set; an expression names it as what they hold about the household. */
static bool dept_cell_named(struct pack *p, struct str name)
{
    bool found = false;
    for (uint32_t i = 0; i < p->sets.count; i++)
        for (uint32_t k = 0; k < p->sets.at[i].dept_count; k++)
            if (str_eq(p->sets.at[i].dept[k].name, name))
                found = p->sets.at[i].dept[k].used = true;
    return found;
}

static void use_name(struct pack_loader *l, struct str function, struct str name, struct diag *d)
{
    struct pack *p = l->pack;
    uint32_t i;
    if (str_eq_z(function, "param")) {
        if (map_get(&p->params_by_name, name, &i))
            p->params.at[i].used = true;
        else
            name_missing(&p->params_by_name, "parameter", name, d);
    } else if (str_eq_z(function, "dept")) {
        if (map_get(&p->dept_by_name, name, &i))
            p->dept.at[i].used = true;
        else if (!dept_cell_named(p, name))
            name_missing(&p->dept_by_name, "department value", name, d);
    } else if (str_eq_z(function, "lookup")) {
        if (map_get(&p->lookups_by_name, name, &i))
            p->lookups.at[i].used = true;
        else
            name_missing(&p->lookups_by_name, "look-up table", name, d);
    } else if (str_eq_z(function, "hit")) {
        if (!map_get(&p->checks_by_id, name, &i))
            name_missing(&p->checks_by_id, "check", name, d);
    } else if (map_get(&p->names, name, &i) && (ref_kind(i) == REF_INPUT || ref_kind(i) == REF_VALUE)) {
        if (ref_kind(i) == REF_INPUT)
            p->inputs.at[ref_index(i)].used = true;
    } else if (!field_named(p, name)) {
        name_missing(&p->names, "input, value or field", name, d);
    }
}

static size_t skip_space(struct str s, size_t i)
{
    while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\n' || s.p[i] == '\r'))
        i++;
    return i;
}

static size_t skip_quoted(struct str s, size_t i)
{
    char quote = s.p[i++];
    while (i < s.n && s.p[i] != quote)
        i++;
    return i < s.n ? i + 1 : i;
}

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

/* count($npi): a single value where nodes belong. The engine finds it only when it gets there. */
static void check_nodes(struct pack_loader *l, struct str function, struct str text, size_t at,
                        struct diag *d)
{
    size_t end = at + 1;
    uint32_t ref;
    if (at >= text.n || text.p[at] != '$')
        return;
    while (end < text.n && name_char(text.p[end]))
        end++;
    struct str name = str_sub(text, at + 1, end - at - 1);
    bool known = map_get(&l->pack->names, name, &ref);
    if (known && ref_kind(ref) != REF_SET && ref_kind(ref) != REF_ROWS)
        diag_set(d, ERR_SYNTAX, "%.*s() needs nodes, such as a set; $%.*s is one value.", STR_ARG(function),
                 STR_ARG(name));
}

/* param('x'), dept('x'), prev('x') and hit('x') name things of the pack: the name must stand there in quotes,
 * so that a misspelt one is found at load and not in front of a household. */
static void check_calls(struct pack_loader *l, struct str text, uint32_t line, struct str where)
{
    static const char *const functions[] = {"param", "dept", "prev", "hit", "lookup"};
    static const char *const refused[] = {"sin",  "cos",   "tan",   "asin",  "acos",
                                          "atan", "atan2", "exp10", "log10", "random"};
    size_t i = 0;
    while (i < text.n) {
        if (text.p[i] == '\'' || text.p[i] == '"') {
            i = skip_quoted(text, i);
            continue;
        }
        size_t from = i;
        while (i < text.n && name_char(text.p[i]))
            i++;
        if (i == from) {
            i++;
            continue;
        }
        struct str name = str_sub(text, from, i - from);
        bool named = false,
             nodes = str_eq_z(name, "count") || str_eq_z(name, "total") || str_eq_z(name, "sum");
        for (size_t k = 0; k < sizeof(functions) / sizeof(*functions); k++)
            named = named || str_eq_z(name, functions[k]);
        size_t open = skip_space(text, i);
        for (size_t k = 0; k < sizeof(refused) / sizeof(*refused); k++)
            if (str_eq_z(name, refused[k]) && open < text.n && text.p[open] == '(')
                PACK_ERROR(l, line, where,
                           "A rule cannot use %.*s(): it would not give the same everywhere and always.",
                           STR_ARG(name));
        if ((!named && !nodes) || open >= text.n || text.p[open] != '(' ||
            (from > 0 && text.p[from - 1] == '$'))
            continue;
        size_t quote = skip_space(text, open + 1);
        if (nodes) {
            struct diag what = {0};
            check_nodes(l, name, text, quote, &what);
            if (what.code)
                pack_finding(l, FINDING_ERROR, line, where, &what);
            continue;
        }
        size_t end = quote < text.n && (text.p[quote] == '\'' || text.p[quote] == '"')
                         ? skip_quoted(text, quote)
                         : quote;
        size_t close = skip_space(text, end);
        struct diag what = {0};
        char after = str_eq_z(name, "lookup") ? ',' : ')';
        if (end <= quote + 1 || close >= text.n || text.p[close] != after)
            diag_set(&what, ERR_SYNTAX, "%.*s() takes one name in quotes, such as %.*s('x'%s).",
                     STR_ARG(name), STR_ARG(name), after == ',' ? ", $score" : "");
        else
            use_name(l, name, str_sub(text, quote + 1, end - quote - 2), &what);
        if (what.code)
            pack_finding(l, FINDING_ERROR, line, where, &what);
        i = end > i ? end : i;
    }
}

/* -- expressions
 * ------------------------------------------------------------------------------------------------ */

static const struct expr *compile(struct pack_loader *l, struct str text, uint32_t line, struct str where,
                                  bool category)
{
    const struct expr *x = NULL;
    struct diag what = {0};
    struct expr_scope scope = {
        .self = l,
        .library = EXPR_ODK,
        .rules = true,
        .context = pack_ref(REF_TOP, 0),
        .path = scope_path,
        .variable = scope_variable,
        .functions = risk_functions,
        .function_count = category ? risk_function_count : risk_function_count - 1,
    };
    if (text.n == 0)
        return NULL;
    check_calls(l, text, line, where);
    enum err rc = expr_compile(l->a, &scope, text, &x, &what);
    if (rc == ERR_NOMEM)
        l->rc = rc;
    if (!rc && !what.code)
        return x;
    if (what.column && l->set != UINT32_MAX && what.column > 6)
        what.column -= 6; /* "$rows[" */
    if (what.column)
        PACK_ERROR(l, line, where, "column %u: %s", what.column, what.text);
    else
        pack_finding(l, FINDING_ERROR, line, where, &what);
    return NULL;
}

static void compile_sets(struct pack_loader *l)
{
    for (uint32_t i = 0; i < l->pack->sets.count && !l->rc; i++) {
        struct pack_set *s = &l->pack->sets.at[i];
        if (s->where_text.n == 0)
            continue;
        char *text = arena_alloc(l->a, s->where_text.n + 8);
        if (!text) {
            l->rc = ERR_NOMEM;
            return;
        }
        memcpy(text, "$rows[", 6);
        memcpy(text + 6, s->where_text.p, s->where_text.n);
        text[6 + s->where_text.n] = ']';
        l->set = i;
        s->where = compile(l, (struct str){text, s->where_text.n + 7}, s->line,
                           pack_where(l, "sets", s->name, "where"), false);
        l->set = UINT32_MAX;
    }
}

static void compile_check(struct pack_loader *l, struct pack_check *c)
{
    struct pack *p = l->pack;
    struct value constant;
    l->check = c;
    for (uint32_t i = 0; i < c->value_count && !l->rc; i++) {
        struct pack_item *v = &p->values.at[c->value_first + i];
        struct str where = pack_where(l, "checks", c->id, "values");
        uint32_t other;
        if (map_get(&p->names, v->name, &other))
            PACK_ERROR(l, v->line, where, "\"%.*s\" is already the name of an input, set or derived value.",
                       STR_ARG(v->name));
        for (uint32_t k = 0; k < i; k++)
            if (str_eq(p->values.at[c->value_first + k].name, v->name))
                PACK_ERROR(l, v->line, where, "The name \"%.*s\" is used twice.", STR_ARG(v->name));
        l->values_visible = i;
        v->expr = compile(l, v->text, v->line, where, false);
    }
    l->values_visible = c->value_count;
    struct str where = pack_where(l, "checks", c->id, "when");
    c->when = compile(l, c->when_text, c->line, where, false);
    l->check = NULL;
    if (c->when && expr_constant(c->when, &constant))
        PACK_WARNING(l, c->line, where,
                     constant.type == VALUE_BOOL && !constant.boolean
                         ? "The condition is never true: this check can never fire."
                         : "The condition does not depend on anything: it always gives the same.");
}

static void compile_all(struct pack_loader *l)
{
    struct pack *p = l->pack;
    compile_sets(l);
    for (uint32_t i = 0; i < p->derived_count && !l->rc; i++) {
        struct pack_item *v = &p->values.at[i];
        v->expr = compile(l, v->text, v->line, pack_where(l, "derived", v->name, "value"), false);
    }
    for (uint32_t i = 0; i < p->checks.count && !l->rc; i++)
        compile_check(l, &p->checks.at[i]);
    for (uint32_t i = 0; i < p->categories.count && !l->rc; i++) {
        struct pack_category *c = &p->categories.at[i];
        c->when = compile(l, c->when_text, c->line, pack_where(l, "categories", c->code, "when"), true);
    }
}

/* -- the order of derived values
 * -------------------------------------------------------------------------------- */

struct visit {
    uint32_t value, next_read;
};

static void report_cycle(struct pack_loader *l, const struct visit *stack, uint32_t depth, uint32_t back_to)
{
    struct pack *p = l->pack;
    struct diag what = {0};
    char chain[DIAG_TEXT_MAX - 80];
    size_t n = 0;
    uint32_t first = 0, shown = 0;
    while (stack[first].value != back_to)
        first++;
    for (uint32_t i = first; i <= depth + 1 && shown < PACK_CHAIN_MAX; i++, shown++) {
        struct str name = p->values.at[i <= depth ? stack[i].value : back_to].name;
        if (n + name.n + 5 > sizeof(chain))
            break;
        if (n) {
            memcpy(chain + n, " -> ", 4);
            n += 4;
        }
        memcpy(chain + n, name.p, name.n);
        n += name.n;
    }
    diag_set(&what, ERR_SYNTAX, "These values need each other: %.*s. One must do without.", (int)n, chain);
    pack_finding(l, FINDING_ERROR, p->values.at[back_to].line,
                 pack_where(l, "derived", p->values.at[back_to].name, "value"), &what);
}

enum mark { MARK_NEW, MARK_OPEN, MARK_DONE };

/* Depth first with a stack of our own: each value is written behind everything it reads. */
static void order_derived(struct pack_loader *l)
{
    struct pack *p = l->pack;
    uint32_t done = 0;
    struct visit *stack = ARENA_ARRAY(l->a, struct visit, p->derived_count + 1);
    uint8_t *marks = ARENA_ARRAY(l->a, uint8_t, p->derived_count + 1);
    p->order = ARENA_ARRAY(l->a, uint32_t, p->derived_count + 1);
    if (!stack || !marks || !p->order) {
        l->rc = ERR_NOMEM;
        return;
    }
    for (uint32_t i = 0; i < p->derived_count; i++) {
        if (marks[i] != MARK_NEW)
            continue;
        uint32_t depth = 0;
        stack[0] = (struct visit){i, 0};
        marks[i] = MARK_OPEN;
        for (;;) {
            struct visit *top = &stack[depth];
            const struct expr_read *reads = NULL;
            const struct expr *x = p->values.at[top->value].expr;
            uint32_t count = x ? expr_reads(x, &reads) : 0, next = UINT32_MAX;
            while (top->next_read < count && next == UINT32_MAX) {
                uint32_t ref = reads[top->next_read++].ref;
                if (ref_is_pack(ref) && ref_kind(ref) == REF_VALUE)
                    next = ref_index(ref);
            }
            if (next == UINT32_MAX) {
                marks[top->value] = MARK_DONE;
                p->order[done++] = top->value;
                if (depth == 0)
                    break;
                depth--;
            } else if (marks[next] == MARK_OPEN) {
                report_cycle(l, stack, depth, next);
            } else if (marks[next] == MARK_NEW) {
                marks[next] = MARK_OPEN;
                stack[++depth] = (struct visit){next, 0};
            }
        }
    }
}

void pack_compile(struct pack_loader *l)
{
    put_names(l);
    if (!l->rc)
        resolve_inputs(l);
    if (!l->rc)
        resolve_sets(l);
    if (!l->rc)
        compile_all(l);
    if (!l->rc)
        order_derived(l);
}
