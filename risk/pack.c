/* Reads the JSON of a rule pack into arrays. What a value of the JSON may be is checked here, what it refers
 * to in pack_compile.c; both go on after a mistake, so that an author sees all of them at once. Nothing
 * unknown is passed over in silence: a key nobody reads is a mistake, because it is usually a misspelt one.
 */
#include "risk/clock.h"
#include "risk/pack_impl.h"

#include "platform/base/civil.h"
#include "platform/base/json.h"

/* -- mistakes
 * --------------------------------------------------------------------------------------------------- */

void pack_finding(struct pack_loader *l, enum finding_severity severity, uint32_t line, struct str where,
                  const struct diag *what)
{
    if (severity == FINDING_ERROR) {
        l->findings->error_count++;
        if (l->first && l->first->code == ERR_OK)
            diag_set_at(l->first, ERR_SYNTAX, line, 0, "%.*s: %s", STR_ARG(where), what->text);
    }
    if (l->findings->list.count > FORM_FINDINGS_MAX)
        return;
    struct form_finding *f = vec_push(l->a, &l->findings->list);
    if (!f) {
        l->rc = ERR_NOMEM;
        return;
    }
    bool last = l->findings->list.count > FORM_FINDINGS_MAX;
    f->severity = severity;
    f->line = last ? 0 : line;
    f->node = last ? STR("") : where;
    f->text = last ? STR("There are more mistakes than are listed here.")
                   : arena_str(l->a, str_of(what->text));
    if (!f->text.p)
        l->rc = ERR_NOMEM;
}

struct str pack_where(struct pack_loader *l, const char *list, struct str item, const char *key)
{
    struct str parts[3] = {str_of(list), item, str_of(key)};
    char *p = arena_alloc(l->a, parts[0].n + parts[1].n + parts[2].n + 3);
    size_t n = 0;
    if (!p) {
        l->rc = ERR_NOMEM;
        return str_of(list);
    }
    for (int i = 0; i < 3; i++) {
        if (parts[i].n == 0)
            continue;
        if (n)
            p[n++] = '.';
        memcpy(p + n, parts[i].p, parts[i].n);
        n += parts[i].n;
    }
    return (struct str){p, n};
}

uint32_t words_distance(struct str a, struct str b)
{
    uint32_t row[33];
    if (a.n > 32 || b.n > 32)
        return 32;
    for (uint32_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (uint32_t i = 1; i <= a.n; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= b.n; j++) {
            uint32_t cost = diagonal + (a.p[i - 1] != b.p[j - 1]);
            uint32_t step = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = cost < step ? cost : step;
        }
    }
    return row[b.n];
}

/* -- values of the JSON
 * ----------------------------------------------------------------------------------------- */

/* Keys are a list of words between spaces. */
void pack_keys(struct pack_loader *l, const struct json *o, struct str where, const char *known)
{
    for (const struct json *c = o ? o->child : NULL; c; c = c->next) {
        struct str rest = str_of(known), word, near = STR("");
        uint32_t nearest = 3;
        bool found = false;
        while (!found && str_word(&rest, &word)) {
            found = str_eq(word, c->name);
            uint32_t distance = words_distance(word, c->name);
            if (distance < nearest) {
                nearest = distance;
                near = word;
            }
        }
        if (found)
            continue;
        if (near.n)
            PACK_ERROR(l, c->line, where, "There is no \"%.*s\" here. Is \"%.*s\" meant?", STR_ARG(c->name),
                       STR_ARG(near));
        else
            PACK_ERROR(l, c->line, where, "There is no \"%.*s\" here; known are: %s.", STR_ARG(c->name),
                       known);
    }
}

struct str pack_text(struct pack_loader *l, const struct json *o, const char *key, bool needed,
                     struct str where)
{
    const struct json *j = json_get(o, key);
    if (j && j->type == JSON_STRING && (j->text.n || !needed)) {
        struct str s = arena_str(l->a, j->text);
        if (!s.p)
            l->rc = ERR_NOMEM;
        return s;
    }
    if (j)
        PACK_ERROR(l, j->line, where, "\"%s\" must be text%s.", key, needed ? " and not empty" : "");
    else if (needed)
        PACK_ERROR(l, o ? o->line : 0, where, "\"%s\" is missing.", key);
    return STR("");
}

struct words pack_words(struct pack_loader *l, const struct json *o, struct str where)
{
    struct words w = {pack_text(l, o, "zh", true, where), pack_text(l, o, "en", true, where)};
    return w;
}

const struct json *pack_object(struct pack_loader *l, const struct json *o, const char *key, bool needed,
                               struct str where)
{
    const struct json *j = json_get(o, key);
    if (j && j->type == JSON_OBJECT)
        return j;
    if (j)
        PACK_ERROR(l, j->line, where, "\"%s\" must be an object, in braces.", key);
    else if (needed)
        PACK_ERROR(l, o ? o->line : 0, where, "\"%s\" is missing.", key);
    return NULL;
}

const struct json *pack_array(struct pack_loader *l, const struct json *o, const char *key, bool needed,
                              struct str where)
{
    const struct json *j = json_get(o, key);
    if (j && j->type == JSON_ARRAY)
        return j;
    if (j)
        PACK_ERROR(l, j->line, where, "\"%s\" must be a list, in square brackets.", key);
    else if (needed)
        PACK_ERROR(l, o ? o->line : 0, where, "\"%s\" is missing.", key);
    return NULL;
}

static bool bool_of(struct pack_loader *l, const struct json *o, const char *key, struct str where)
{
    const struct json *j = json_get(o, key);
    if (j && j->type != JSON_BOOL)
        PACK_ERROR(l, j->line, where, "\"%s\" must be true or false.", key);
    return j && j->type == JSON_BOOL && j->boolean;
}

static int64_t day_of(struct pack_loader *l, const struct json *o, const char *key, int64_t otherwise,
                      struct str where)
{
    const struct json *j = json_get(o, key);
    struct civil c = {0};
    if (!j)
        return otherwise;
    if (j->type == JSON_STRING && civil_read_date(j->text, &c))
        return civil_days(c.year, c.month, c.day);
    PACK_ERROR(l, j->line, where, "\"%s\" must be a date such as \"2026-01-31\".", key);
    return otherwise;
}

static bool number_of(struct pack_loader *l, const struct json *o, const char *key, struct dec *out,
                      struct str where)
{
    const struct json *j = json_get(o, key);
    if (j && j->type == JSON_NUMBER && dec_read(j->text, out))
        return true;
    if (j)
        PACK_ERROR(l, j->line, where, "\"%s\" must be a plain number with at most nine decimals.", key);
    else
        PACK_ERROR(l, o->line, where, "\"%s\" is missing.", key);
    return false;
}

bool pack_name_valid(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i > 0 && ((c >= '0' && c <= '9') || c == '-')))
            return false;
    }
    return s.n > 0 && s.n <= 64;
}

bool pack_list_fits(struct pack_loader *l, const struct json *list, const char *what, uint32_t count_max)
{
    if (!list)
        return false;
    if (list->count <= count_max)
        return true;
    PACK_ERROR(l, list->line, str_of(what), "There are %u entries; at most %u are read.", list->count,
               count_max);
    return false;
}

/* -- items
 * ------------------------------------------------------------------------------------------------------ */

static const char *const type_names[PACK_TYPES] = {
    [PACK_MONEY] = "money",     [PACK_COUNT] = "count", [PACK_RATIO] = "ratio", [PACK_CHOICE] = "choice",
    [PACK_CHOICES] = "choices", [PACK_DATE] = "date",   [PACK_TEXT] = "text",   [PACK_YESNO] = "yesno",
};

static enum pack_type type_of(struct pack_loader *l, const struct json *o, struct str where)
{
    struct str s = pack_text(l, o, "type", true, where);
    for (int i = 0; i < PACK_TYPES; i++)
        if (str_eq_z(s, type_names[i]))
            return (enum pack_type)i;
    if (s.n)
        PACK_ERROR(
            l, o->line, where,
            "\"%.*s\" is no type; known are money, count, ratio, choice, choices, date, text and yesno.",
            STR_ARG(s));
    return PACK_TEXT;
}

static void read_choices(struct pack_loader *l, const struct json *o, struct pack_item *item,
                         struct str where)
{
    const struct json *choices = pack_object(l, o, "choices", false, where);
    for (const struct json *c = choices ? choices->child : NULL; c && !l->rc; c = c->next) {
        struct pack_word *w = vec_push(l->a, &item->choices);
        if (!w) {
            l->rc = ERR_NOMEM;
            return;
        }
        w->value = arena_str(l->a, c->name);
        w->words = pack_words(l, c, where);
    }
}

/* What all named things have: a name fit for an expression, a type, a unit and words. */
static void read_item(struct pack_loader *l, const struct json *o, struct pack_item *item, struct str where)
{
    item->name = arena_str(l->a, o->name);
    item->line = o->line;
    item->ref = EXPR_REF_NONE;
    if (!pack_name_valid(o->name))
        PACK_ERROR(
            l, o->line, where,
            "A name is made of letters, digits, _ and -, begins with a letter and has at most 64 of them.");
    item->type = type_of(l, o, where);
    item->unit = pack_text(l, o, "unit", false, where);
    item->words = pack_words(l, o, where);
    read_choices(l, o, item, where);
}

/* Where a pack that reads a table finds what it names: in the form that is made of its inputs. */
static struct str table_path(struct pack_loader *l, struct str name)
{
    char *p = arena_alloc(l->a, name.n + sizeof(TABLE_ROOT));
    if (!p) {
        l->rc = ERR_NOMEM;
        return STR("");
    }
    memcpy(p, TABLE_ROOT, sizeof(TABLE_ROOT) - 1);
    memcpy(p + sizeof(TABLE_ROOT) - 1, name.p, name.n);
    return (struct str){p, name.n + sizeof(TABLE_ROOT) - 1};
}

static void read_inputs(struct pack_loader *l, const struct json *root)
{
    const struct json *list = pack_object(l, root, "inputs", true, STR("pack"));
    if (!pack_list_fits(l, list, "inputs", PACK_ITEMS_MAX))
        return;
    for (const struct json *o = list->child; o && !l->rc; o = o->next) {
        struct str where = pack_where(l, "inputs", o->name, "");
        struct pack_item *item = vec_push(l->a, &l->pack->inputs);
        if (!item) {
            l->rc = ERR_NOMEM;
            return;
        }
        pack_keys(l, o, where, l->pack->table ? "type unit zh en choices" : "path type unit zh en choices");
        read_item(l, o, item, where);
        item->path = l->pack->table ? table_path(l, item->name) : pack_text(l, o, "path", true, where);
        if (item->type == PACK_YESNO)
            PACK_ERROR(l, o->line, where,
                       "An answer is no truth value: its type is choice, and a rule says $%.*s = 'yes'.",
                       STR_ARG(item->name));
    }
}

static void read_fields(struct pack_loader *l, const struct json *set, struct pack_set *s, struct str where)
{
    const struct json *list = pack_object(l, set, "fields", true, where);
    if (!pack_list_fits(l, list, "fields", PACK_FIELDS_MAX))
        return;
    s->fields = ARENA_ARRAY(l->a, struct pack_item, list->count + 1);
    if (!s->fields) {
        l->rc = ERR_NOMEM;
        return;
    }
    for (const struct json *o = list->child; o && !l->rc; o = o->next) {
        struct str at = pack_where(l, "sets", s->name, "");
        pack_keys(l, o, at, "type unit zh en choices");
        struct pack_item *item = &s->fields[s->field_count++];
        read_item(l, o, item, at);
        if (item->type == PACK_YESNO)
            PACK_ERROR(l, o->line, at, "An answer is no truth value: the type of \"%.*s\" is choice.",
                       STR_ARG(item->name));
    }
}

/* What departments hold about single rows, and the fields by which the rows are found. */
static void read_set_dept(struct pack_loader *l, const struct json *set, struct pack_set *s)
{
    struct str where = pack_where(l, "sets", s->name, "dept");
    const struct json *list = pack_object(l, set, "dept", false, where);
    const struct json *match = pack_array(l, set, "match", list != NULL, pack_where(l, "sets", s->name, ""));
    if (!pack_list_fits(l, list, "dept", PACK_FIELDS_MAX))
        return;
    s->dept = ARENA_ARRAY(l->a, struct pack_item, list->count + 1);
    s->match = ARENA_ARRAY(l->a, uint32_t, (match ? match->count : 0) + 1);
    if (!s->dept || !s->match) {
        l->rc = ERR_NOMEM;
        return;
    }
    for (const struct json *o = list->child; o && !l->rc; o = o->next) {
        pack_keys(l, o, where, "type unit zh en choices");
        read_item(l, o, &s->dept[s->dept_count++], where);
    }
    for (const struct json *m = match ? match->child : NULL; m; m = m->next) {
        uint32_t field = 0;
        while (field < s->field_count && !(m->type == JSON_STRING && str_eq(s->fields[field].name, m->text)))
            field++;
        if (field < s->field_count) {
            s->fields[field].used = true;
            s->match[s->match_count++] = field;
        } else {
            PACK_ERROR(l, m->line, where,
                       "\"match\" lists fields of the set by which a department's row is found; "
                       "\"%.*s\" is none.",
                       STR_ARG(m->text));
        }
    }
}

static void read_sets(struct pack_loader *l, const struct json *root)
{
    const struct json *list = pack_object(l, root, "sets", false, STR("pack"));
    if (!pack_list_fits(l, list, "sets", PACK_ITEMS_MAX))
        return;
    for (const struct json *o = list->child; o && !l->rc; o = o->next) {
        struct str where = pack_where(l, "sets", o->name, "");
        struct pack_set *s = vec_push(l->a, &l->pack->sets);
        if (!s) {
            l->rc = ERR_NOMEM;
            return;
        }
        pack_keys(l, o, where,
                  l->pack->table ? "where name zh en fields" : "path where name zh en fields match dept");
        if (!pack_name_valid(o->name))
            PACK_ERROR(l, o->line, where,
                       "A name is made of letters, digits, _ and -, and begins with a letter.");
        s->name = arena_str(l->a, o->name);
        s->line = o->line;
        s->ref = EXPR_REF_NONE;
        s->path = l->pack->table ? table_path(l, s->name) : pack_text(l, o, "path", true, where);
        s->where_text = pack_text(l, o, "where", false, where);
        s->words = pack_words(l, o, where);
        s->name_field = UINT32_MAX;
        read_fields(l, o, s, where);
        read_set_dept(l, o, s);
        struct str name = pack_text(l, o, "name", false, where);
        for (uint32_t i = 0; i < s->field_count; i++)
            if (name.n && str_eq(s->fields[i].name, name))
                s->name_field = i;
        if (name.n && s->name_field == UINT32_MAX)
            PACK_ERROR(l, o->line, where,
                       "\"name\" is the field that names a row, and \"%.*s\" is not among the fields.",
                       STR_ARG(name));
    }
}

static void read_dept(struct pack_loader *l, const struct json *root)
{
    const struct json *list = pack_object(l, root, "dept", false, STR("pack"));
    if (!pack_list_fits(l, list, "dept", PACK_ITEMS_MAX))
        return;
    for (const struct json *o = list->child; o && !l->rc; o = o->next) {
        struct str where = pack_where(l, "dept", o->name, "");
        struct pack_item *item = vec_push(l->a, &l->pack->dept);
        if (!item) {
            l->rc = ERR_NOMEM;
            return;
        }
        pack_keys(l, o, where, "type unit zh en choices");
        read_item(l, o, item, where);
    }
}

static void read_derived(struct pack_loader *l, const struct json *root)
{
    const struct json *list = pack_object(l, root, "derived", false, STR("pack"));
    if (!pack_list_fits(l, list, "derived", PACK_ITEMS_MAX))
        return;
    for (const struct json *o = list->child; o && !l->rc; o = o->next) {
        struct str where = pack_where(l, "derived", o->name, "");
        struct pack_item *item = vec_push(l->a, &l->pack->values);
        if (!item) {
            l->rc = ERR_NOMEM;
            return;
        }
        pack_keys(l, o, where, "value type unit zh en choices");
        read_item(l, o, item, where);
        item->text = pack_text(l, o, "value", true, where);
    }
    l->pack->derived_count = l->pack->values.count;
}

/* -- parameters
 * ------------------------------------------------------------------------------------------------- */

static struct str area_of(struct pack_loader *l, const struct json *o, struct str where)
{
    struct str s = pack_text(l, o, "area", true, where);
    if (str_eq_z(s, "*"))
        return STR("");
    bool digits = s.n >= 2 && s.n <= 12;
    for (size_t i = 0; i < s.n; i++)
        digits = digits && s.p[i] >= '0' && s.p[i] <= '9';
    if (s.n && !digits)
        PACK_ERROR(l, o->line, where, "\"area\" is \"*\" or 2 to 12 digits of an area code, not \"%.*s\".",
                   STR_ARG(s));
    return s;
}

static void add_entry(struct pack_loader *l, const struct json *o, struct pack_param *p, bool override,
                      struct str where)
{
    struct pack_entry e = {.area = STR("")};
    if (override) {
        pack_keys(l, o, where, "area from to value source");
        e.area = area_of(l, o, where);
        e.source = pack_text(l, o, "source", true, where);
    } else {
        e.source = p->source;
    }
    e.from = day_of(l, o, "from", INT64_MIN, where);
    e.to = day_of(l, o, "to", INT64_MAX, where);
    if (!number_of(l, o, "value", &e.value, where))
        return;
    if (e.from > e.to)
        PACK_ERROR(l, o->line, where, "\"from\" is after \"to\": correct one of the two days.");
    for (uint32_t i = 0; i < p->entries.count; i++) {
        const struct pack_entry *other = &p->entries.at[i];
        if (str_eq(other->area, e.area) && other->from == e.from && dec_cmp(other->value, e.value) != 0)
            PACK_ERROR(l, o->line, where,
                       "Two values hold for the same area from the same day; keep one, or give the other a "
                       "later \"from\".");
    }
    struct pack_entry *slot = vec_push(l->a, &p->entries);
    if (slot)
        *slot = e;
    else
        l->rc = ERR_NOMEM;
}

static void read_param(struct pack_loader *l, const struct json *o)
{
    struct str where = pack_where(l, "params", o->name, "");
    struct pack_param *p = vec_push(l->a, &l->pack->params);
    if (!p) {
        l->rc = ERR_NOMEM;
        return;
    }
    pack_keys(l, o, where, "value unit zh en source example from to overrides");
    if (!pack_name_valid(o->name))
        PACK_ERROR(l, o->line, where,
                   "A name is made of letters, digits, _ and -, and begins with a letter.");
    p->name = arena_str(l->a, o->name);
    p->line = o->line;
    p->unit = pack_text(l, o, "unit", true, where);
    p->words = pack_words(l, o, where);
    p->source = pack_text(l, o, "source", true, where);
    p->example = bool_of(l, o, "example", where);
    add_entry(l, o, p, false, where);
    const struct json *list = pack_array(l, o, "overrides", false, where);
    if (!pack_list_fits(l, list, "overrides", 10 * PACK_ITEMS_MAX))
        return;
    for (const struct json *e = list->child; e && !l->rc; e = e->next) {
        if (e->type == JSON_OBJECT)
            add_entry(l, e, p, true, where);
        else
            PACK_ERROR(l, e->line, where, "An override is an object with area, from, value and source.");
    }
}

static void read_params(struct pack_loader *l, const struct json *root)
{
    const struct json *list = pack_object(l, root, "params", false, STR("pack"));
    if (!pack_list_fits(l, list, "params", PACK_ITEMS_MAX))
        return;
    for (const struct json *o = list->child; o && !l->rc; o = o->next)
        read_param(l, o);
}

/* -- checks
 * ----------------------------------------------------------------------------------------------------- */

enum severity pack_severity(struct pack_loader *l, const struct json *o, struct str where)
{
    struct str s = pack_text(l, o, "severity", true, where);
    for (int i = SEVERITY_BLUE; i <= SEVERITY_RED; i++)
        if (str_eq_z(s, severity_name((enum severity)i)))
            return (enum severity)i;
    if (s.n)
        PACK_ERROR(l, o->line, where, "\"severity\" is red, yellow or blue, not \"%.*s\".", STR_ARG(s));
    return SEVERITY_BLUE;
}

static enum finding_kind kind_of(struct pack_loader *l, const struct json *o, struct str where)
{
    struct str s = pack_text(l, o, "kind", false, where);
    for (int i = KIND_RISK; i <= KIND_PROCESS; i++)
        if (str_eq_z(s, finding_kind_name((enum finding_kind)i)))
            return (enum finding_kind)i;
    if (s.n)
        PACK_ERROR(l, o->line, where, "\"kind\" is risk, verify or process, not \"%.*s\".", STR_ARG(s));
    return KIND_RISK;
}

static void read_check_values(struct pack_loader *l, const struct json *o, struct pack_check *c,
                              struct str where)
{
    const struct json *list = pack_object(l, o, "values", false, where);
    c->value_first = l->pack->values.count;
    if (!pack_list_fits(l, list, "values", PACK_FIELDS_MAX))
        return;
    for (const struct json *v = list->child; v && !l->rc; v = v->next) {
        struct pack_item *item = vec_push(l->a, &l->pack->values);
        if (!item) {
            l->rc = ERR_NOMEM;
            return;
        }
        item->name = arena_str(l->a, v->name);
        item->line = v->line;
        item->type = PACK_TEXT;
        if (!pack_name_valid(v->name))
            PACK_ERROR(l, v->line, where,
                       "A name is made of letters, digits, _ and -, and begins with a letter.");
        if (v->type == JSON_STRING)
            item->text = arena_str(l->a, v->text);
        else
            PACK_ERROR(l, v->line, pack_where(l, "checks", c->id, "values"),
                       "The value \"%.*s\" must be an expression, as text.", STR_ARG(v->name));
        c->value_count++;
    }
}

/* Which of the groups that are visited in any case a household belongs to when the check hits. */
static void read_groups(struct pack_loader *l, const struct json *o, struct pack_check *c)
{
    struct str where = pack_where(l, "checks", json_text(o, "id"), "visit");
    const struct json *list = pack_array(l, o, "visit", false, where);
    for (const struct json *g = list ? list->child : NULL; g; g = g->next) {
        enum must_visit group;
        if (g->type == JSON_STRING && must_visit_read(g->text, &group))
            c->groups |= 1u << group;
        else
            PACK_ERROR(l, g->line, where,
                       "\"visit\" lists groups that are visited in any case: income, illness, alone, "
                       "allowance, disability, children, work, accident; \"%.*s\" is none.",
                       STR_ARG(g->text));
    }
}

static void read_check(struct pack_loader *l, const struct json *o)
{
    struct pack_check *c = vec_push(l->a, &l->pack->checks);
    if (!c) {
        l->rc = ERR_NOMEM;
        return;
    }
    c->line = o->line;
    struct str where = pack_where(l, "checks", json_text(o, "id"), "");
    pack_keys(l, o, where, "id severity kind urgent visit name when values text follow source");
    c->id = pack_text(l, o, "id", true, where);
    if (c->id.n && !pack_name_valid(c->id))
        PACK_ERROR(l, o->line, where, "An id is made of letters, digits, _ and -, and begins with a letter.");
    c->severity = pack_severity(l, o, where);
    c->kind = kind_of(l, o, where);
    c->urgent = bool_of(l, o, "urgent", where);
    read_groups(l, o, c);
    c->source = pack_text(l, o, "source", true, where);
    c->when_text = pack_text(l, o, "when", true, where);
    const struct json *name = pack_object(l, o, "name", true, where);
    if (name)
        c->name = pack_words(l, name, where);
    read_check_values(l, o, c, where);
}

/* "S-QA S-LZ" in the words of the pack's "sources", which are a text each, or one for each language. A code
 * that is not among them stands for itself. */
static void read_source_words(struct pack_loader *l, const struct json *sources, struct pack_check *c)
{
    struct buf zh, en;
    struct str rest = c->source, code;
    buf_init(&zh, 1u << 16);
    buf_init(&en, 1u << 16);
    while (str_word(&rest, &code)) {
        const struct json *s = NULL;
        for (const struct json *x = sources ? sources->child : NULL; x && !s; x = x->next)
            s = str_eq(x->name, code) ? x : NULL;
        bool words = s && s->type == JSON_OBJECT, text = s && s->type == JSON_STRING;
        buf_put_z(&zh, zh.n ? "；" : "");
        buf_put_z(&en, en.n ? "; " : "");
        buf_put_str(&zh, words ? json_text(s, "zh") : text ? s->text : code);
        buf_put_str(&en, words ? json_text(s, "en") : text ? s->text : code);
    }
    c->source_words = (struct words){arena_str(l->a, buf_str(&zh)), arena_str(l->a, buf_str(&en))};
    if (zh.failed || en.failed || !c->source_words.zh.p || !c->source_words.en.p)
        l->rc = ERR_NOMEM;
    buf_free(&zh);
    buf_free(&en);
}

static void read_sources(struct pack_loader *l, const struct json *root)
{
    const struct json *sources = pack_object(l, root, "sources", false, STR("pack"));
    for (const struct json *s = sources ? sources->child : NULL; s && !l->rc; s = s->next)
        if (s->type == JSON_OBJECT)
            (void)pack_words(l, s, pack_where(l, "sources", s->name, ""));
        else if (s->type != JSON_STRING)
            PACK_ERROR(l, s->line, pack_where(l, "sources", s->name, ""),
                       "A source is told as text, or as zh and en.");
    for (uint32_t i = 0; i < l->pack->checks.count && !l->rc; i++)
        read_source_words(l, sources, &l->pack->checks.at[i]);
}

static void read_checks(struct pack_loader *l, const struct json *root)
{
    const struct json *list = pack_array(l, root, "checks", !l->pack->table, STR("pack"));
    if (!pack_list_fits(l, list, "checks", PACK_ITEMS_MAX))
        return;
    for (const struct json *o = list->child; o && !l->rc; o = o->next) {
        if (o->type == JSON_OBJECT)
            read_check(l, o);
        else
            PACK_ERROR(l, o->line, STR("checks"), "A check is an object, in braces.");
    }
    if (list->count == 0)
        PACK_ERROR(l, list->line, STR("checks"), "The pack has no check.");
}

static void read_categories(struct pack_loader *l, const struct json *root)
{
    const struct json *list = pack_array(l, root, "categories", false, STR("pack"));
    if (!pack_list_fits(l, list, "categories", PACK_FIELDS_MAX))
        return;
    for (const struct json *o = list->child; o && !l->rc; o = o->next) {
        struct str where = pack_where(l, "categories", json_text(o, "code"), "");
        struct pack_category *c = vec_push(l->a, &l->pack->categories);
        if (!c) {
            l->rc = ERR_NOMEM;
            return;
        }
        pack_keys(l, o, where, "code when zh en");
        c->line = o->line;
        c->code = pack_text(l, o, "code", true, where);
        c->when_text = pack_text(l, o, "when", true, where);
        c->words = pack_words(l, o, where);
    }
}

/* -- the whole
 * -------------------------------------------------------------------------------------------------- */

static void read_forms(struct pack_loader *l, const struct json *root)
{
    const struct json *forms = pack_array(l, root, "forms", true, STR("pack"));
    bool ours = false;
    for (const struct json *f = forms ? forms->child : NULL; f; f = f->next) {
        if (f->type != JSON_STRING)
            PACK_ERROR(l, f->line, STR("forms"), "A form is named by its id, as text.");
        ours = ours || (f->type == JSON_STRING && str_eq(f->text, form_id(l->form)));
    }
    if (forms && !ours && !l->alone)
        PACK_ERROR(l, forms->line, STR("forms"), "The pack is not for the form \"%.*s\".",
                   STR_ARG(form_id(l->form)));
}

static void read_head(struct pack_loader *l, const struct json *root)
{
    struct pack *p = l->pack;
    struct str where = STR("pack");
    int64_t format = 0;
    pack_keys(l, root, where,
              p->table
                  ? "format table id version title note valid date sources inputs sets dept params lookups "
                    "derived checks categories results totals over"
                  : "format id version title note forms valid date sources inputs sets dept params lookups "
                    "derived checks categories");
    if (!json_i64(root, "format", &format) || format != 1)
        PACK_ERROR(l, root->line, where, "\"format\" must be 1; another number is for a newer Doorstep.");
    p->id = pack_text(l, root, "id", true, where);
    p->version = pack_text(l, root, "version", true, where);
    const struct json *title = pack_object(l, root, "title", true, where);
    if (title)
        p->title = pack_words(l, title, where);
    const struct json *valid = pack_object(l, root, "valid", true, where);
    p->valid_from = INT64_MIN;
    p->valid_to = INT64_MAX;
    if (valid) {
        pack_keys(l, valid, STR("valid"), "from to");
        p->valid_from = day_of(l, valid, "from", INT64_MIN, STR("valid"));
        p->valid_to = day_of(l, valid, "to", INT64_MAX, STR("valid"));
        if (p->valid_from > p->valid_to)
            PACK_ERROR(l, valid->line, STR("valid"),
                       "\"from\" is after \"to\": correct one of the two days.");
    }
    if (!p->table)
        read_forms(l, root);
}

/* Templates need the names of everything else, so they are read last. */
static void read_date(struct pack_loader *l, const struct json *root)
{
    struct str name = pack_text(l, root, "date", false, STR("pack"));
    l->pack->date_input = UINT32_MAX;
    for (uint32_t i = 0; i < l->pack->inputs.count; i++) {
        struct pack_item *in = &l->pack->inputs.at[i];
        if (name.n && str_eq(in->name, name) && in->type == PACK_DATE) {
            l->pack->date_input = i;
            in->used = true;
        }
    }
    if (name.n && l->pack->date_input == UINT32_MAX)
        PACK_ERROR(l, root->line, STR("pack"), "\"date\" must name an input of type date; \"%.*s\" is none.",
                   STR_ARG(name));
}

/* Names in sentences. */
static bool template_name(void *self, struct str name, struct template_part *part, struct diag *d)
{
    struct pack_loader *l = self;
    struct pack *p = l->pack;
    uint32_t i;
    bool prev = str_starts(name, STR("prev:"));
    if (str_starts(name, STR("param:"))) {
        if (!map_get(&p->params_by_name, str_sub(name, 6, name.n), &i)) {
            diag_set(d, ERR_NOT_FOUND, "There is no parameter \"%.*s\".", STR_ARG(name));
            return false;
        }
        p->params.at[i].used = true;
        part->kind = TEMPLATE_PARAM;
        part->index = i;
        return true;
    }
    if (str_starts(name, STR("dept:"))) {
        if (!map_get(&p->dept_by_name, str_sub(name, 5, name.n), &i)) {
            diag_set(d, ERR_NOT_FOUND, "There is no department value \"%.*s\".", STR_ARG(name));
            return false;
        }
        p->dept.at[i].used = true;
        part->kind = TEMPLATE_DEPT;
        part->index = i;
        return true;
    }
    if (prev)
        name = str_sub(name, 5, name.n);
    for (i = 0; !prev && l->check && i < l->check->value_count; i++)
        if (str_eq(p->values.at[l->check->value_first + i].name, name)) {
            part->kind = TEMPLATE_VALUE;
            part->index = l->check->value_first + i;
            return true;
        }
    uint32_t ref;
    if (!map_get(&p->names, name, &ref) || (ref_kind(ref) != REF_INPUT && ref_kind(ref) != REF_VALUE)) {
        diag_set(d, ERR_NOT_FOUND, "There is no value \"%.*s\".", STR_ARG(name));
        return false;
    }
    bool input = ref_kind(ref) == REF_INPUT;
    part->index = ref_index(ref);
    if (input)
        p->inputs.at[part->index].used = true;
    part->kind = input  ? prev ? TEMPLATE_PREV_INPUT : TEMPLATE_INPUT
                 : prev ? TEMPLATE_PREV_VALUE
                        : TEMPLATE_VALUE;
    return true;
}

static void read_template(struct pack_loader *l, struct str text, struct str where, uint32_t line,
                          struct template *out)
{
    struct template_names names = {l, template_name};
    struct diag what = {0};
    enum err rc = template_parse(l->a, text, &names, out, &what);
    if (rc == ERR_NOMEM)
        l->rc = rc;
    else if (rc)
        pack_finding(l, FINDING_ERROR, line, where, &what);
}

static void read_sentences(struct pack_loader *l, const struct json *root)
{
    const struct json *list = json_get(root, "checks");
    uint32_t i = 0;
    if (!list || list->type != JSON_ARRAY)
        return;
    for (const struct json *o = list->child; o && !l->rc && i < l->pack->checks.count; o = o->next) {
        if (o->type != JSON_OBJECT)
            continue;
        struct pack_check *c = &l->pack->checks.at[i++];
        struct str where = pack_where(l, "checks", c->id, "text");
        const struct json *text = pack_object(l, o, "text", true, where);
        const struct json *follow = pack_object(l, o, "follow", true, where);
        struct words t = {STR(""), STR("")}, f = {STR(""), STR("")};
        if (text)
            t = pack_words(l, text, where);
        if (follow)
            f = pack_words(l, follow, where);
        l->check = c;
        read_template(l, t.zh, where, o->line, &c->text_zh);
        read_template(l, t.en, where, o->line, &c->text_en);
        where = pack_where(l, "checks", c->id, "follow");
        read_template(l, f.zh, where, o->line, &c->follow_zh);
        read_template(l, f.en, where, o->line, &c->follow_en);
        l->check = NULL;
    }
}

static void warn_unused(struct pack_loader *l)
{
    const struct pack *p = l->pack;
    for (uint32_t i = 0; i < p->params.count; i++)
        if (!p->params.at[i].used && !clock_is_param(p->params.at[i].name))
            PACK_WARNING(l, p->params.at[i].line, pack_where(l, "params", p->params.at[i].name, ""),
                         "No expression and no sentence uses this parameter.");
    for (uint32_t i = 0; i < p->inputs.count; i++)
        if (!p->inputs.at[i].used)
            PACK_WARNING(l, p->inputs.at[i].line, pack_where(l, "inputs", p->inputs.at[i].name, ""),
                         "No expression and no sentence uses this input.");
    for (uint32_t i = 0; i < p->dept.count; i++)
        if (!p->dept.at[i].used)
            PACK_WARNING(l, p->dept.at[i].line, pack_where(l, "dept", p->dept.at[i].name, ""),
                         "No expression and no sentence uses this department value.");
    for (uint32_t i = 0; i < p->sets.count; i++)
        for (uint32_t k = 0; k < p->sets.at[i].dept_count; k++)
            if (!p->sets.at[i].dept[k].used)
                PACK_WARNING(l, p->sets.at[i].dept[k].line, pack_where(l, "sets", p->sets.at[i].name, "dept"),
                             "No expression uses what departments hold as \"%.*s\".",
                             STR_ARG(p->sets.at[i].dept[k].name));
}

static void read_all(struct pack_loader *l, const struct json *root)
{
    read_head(l, root);
    read_inputs(l, root);
    read_date(l, root);
    read_sets(l, root);
    read_dept(l, root);
    read_params(l, root);
    pack_read_lookups(l, root);
    read_derived(l, root);
    read_checks(l, root);
    read_sources(l, root);
    read_categories(l, root);
    if (!l->rc)
        pack_compile(l);
    if (!l->rc)
        read_sentences(l, root);
    if (!l->rc)
        pack_read_results(l, root);
    if (!l->rc)
        pack_read_over(l, root);
    if (!l->rc)
        warn_unused(l);
    if (!l->rc)
        pack_lint(l);
}

/* `form` NULL: a pack that reads a table, whose form is made here; or with `alone` one whose form is not at
 * hand. */
static enum err load(struct arena *a, struct str json, const struct form *form, bool alone,
                     const struct pack_lookup_file *files, uint32_t file_count, const struct pack **pack_out,
                     struct form_findings *findings, struct diag *d)
{
    struct form_findings own = {0};
    struct pack *p = ARENA_NEW(a, struct pack);
    struct arena scratch;
    const struct json *root = NULL;
    struct diag first = {0};
    if (!p)
        return diag_set(d, ERR_NOMEM, "There is no memory left for the rule pack.");
    if (json.n > PACK_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, "The rule pack has %zu bytes; at most %u are read.", json.n,
                        PACK_BYTES_MAX);
    struct pack_loader l = {.pack = p,
                            .a = a,
                            .form = form,
                            .findings = findings ? findings : &own,
                            .first = &first,
                            .set = UINT32_MAX,
                            .alone = alone,
                            .files = files,
                            .file_count = file_count};
    p->table = !form;
    map_init(&p->names, a);
    map_init(&p->params_by_name, a);
    map_init(&p->dept_by_name, a);
    map_init(&p->checks_by_id, a);
    map_init(&p->lookups_by_name, a);
    arena_init(&scratch, 64u << 20);
    enum err rc = json_read(&scratch, json, &root, d);
    if (!rc && (!root || root->type != JSON_OBJECT))
        rc = diag_set(d, ERR_SYNTAX, "A rule pack is a JSON object, in braces.");
    if (!rc && alone)
        p->table = json_bool(root, "table");
    if (!rc && p->table)
        rc = pack_table_form(a, root, &l.form, d);
    else if (!rc && alone)
        rc = pack_own_form(a, root, &l.form, d);
    if (rc)
        goto done;
    p->form = l.form;
    read_all(&l, root);
    rc = l.rc;
    if (rc)
        diag_set(d, rc, "There is no memory left for the rule pack.");
    else if (l.findings->error_count)
        rc = diag_set_at(d, ERR_SYNTAX, first.line, 0, "%s", first.text);
    if (!rc)
        *pack_out = p;
done:
    arena_free(&scratch);
    return rc;
}

enum err pack_load(struct arena *a, struct str json, const struct form *form, const struct pack **pack_out,
                   struct form_findings *findings, struct diag *d)
{
    CHECK(form);
    return load(a, json, form, false, NULL, 0, pack_out, findings, d);
}

enum err pack_load_table(struct arena *a, struct str json, const struct pack_lookup_file *files,
                         uint32_t file_count, const struct pack **pack_out, struct form_findings *findings,
                         struct diag *d)
{
    return load(a, json, NULL, false, files, file_count, pack_out, findings, d);
}

enum err pack_load_alone(struct arena *a, struct str json, const struct pack **pack_out,
                         struct form_findings *findings, struct diag *d)
{
    return load(a, json, NULL, true, NULL, 0, pack_out, findings, d);
}

enum err pack_about_read(struct arena *a, struct str json, struct pack_about *out, struct diag *d)
{
    struct arena scratch;
    const struct json *root = NULL;
    struct pack_about about = {0};
    arena_init(&scratch, 64u << 20);
    enum err rc = json.n > PACK_BYTES_MAX
                      ? diag_set(d, ERR_LIMIT, "The rule pack has more than %u bytes.", PACK_BYTES_MAX)
                      : json_read(&scratch, json, &root, d);
    if (rc)
        goto done;
    const struct json *forms = json_get(root, "forms"), *title = json_get(root, "title");
    struct str id = json_text(root, "id"), version = json_text(root, "version");
    if (!root || root->type != JSON_OBJECT || !id.n || !version.n || !forms || forms->type != JSON_ARRAY) {
        rc = diag_set(d, ERR_SYNTAX,
                      "This is no rule pack: it needs \"id\", \"version\" and a list of \"forms\".");
        goto done;
    }
    about.id = arena_str(a, id);
    about.version = arena_str(a, version);
    about.title_zh = arena_str(a, json_text(title, "zh"));
    about.title_en = arena_str(a, json_text(title, "en"));
    about.form_ids = ARENA_ARRAY(a, struct str, forms->count + 1);
    bool room = about.id.p && about.version.p && about.title_zh.p && about.title_en.p && about.form_ids;
    for (const struct json *f = forms->child; room && f; f = f->next)
        if (f->type == JSON_STRING) {
            about.form_ids[about.form_id_count] = arena_str(a, f->text);
            room = about.form_ids[about.form_id_count++].p != NULL;
        }
    if (room)
        *out = about;
    else
        rc = diag_set(d, ERR_NOMEM, "There is no memory left for the rule pack.");
done:
    arena_free(&scratch);
    return rc;
}

struct str pack_id(const struct pack *p)
{
    return p->id;
}

struct str pack_version(const struct pack *p)
{
    return p->version;
}

struct str pack_title(const struct pack *p, struct str language)
{
    return words_in(p->title, str_starts(language, STR("en")) ? LANGUAGE_EN : LANGUAGE_ZH);
}

uint32_t pack_must_visit(const struct pack *p, struct str rule)
{
    uint32_t i;
    return p && map_get(&p->checks_by_id, rule, &i) ? p->checks.at[i].groups : 0;
}

struct str pack_dept_name(const struct pack *p, struct str name, bool zh)
{
    uint32_t i;
    if (!p || !map_get(&p->dept_by_name, name, &i))
        return STR("");
    const struct words *w = &p->dept.at[i].words;
    return zh ? w->zh : w->en;
}

uint32_t pack_check_count(const struct pack *p)
{
    return p->checks.count;
}

bool pack_tells_health(const struct pack *p, struct str path)
{
    for (uint32_t i = 0; i < p->inputs.count; i++)
        if (p->inputs.at[i].health && str_eq(p->inputs.at[i].path, path))
            return true;
    for (uint32_t i = 0; i < p->sets.count; i++) {
        const struct pack_set *s = &p->sets.at[i];
        struct str rest = str_starts(path, s->path) ? str_sub(path, s->path.n, path.n) : STR("");
        for (uint32_t k = 0; k < s->field_count; k++)
            if (s->fields[k].health && rest.n && rest.p[0] == '/' &&
                str_eq(str_sub(rest, 1, rest.n), s->fields[k].name))
                return true;
    }
    return false;
}

bool pack_is_table(const struct pack *p)
{
    return p->table;
}

uint32_t pack_result_count(const struct pack *p)
{
    return p->result_count;
}

struct str pack_date_path(const struct pack *p)
{
    return p->date_input == UINT32_MAX ? STR("") : p->inputs.at[p->date_input].path;
}
