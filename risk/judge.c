/* Judging one household: parameters for the place and day, the rows of the roster, derived values in order,
 * then every check by itself. Whatever an expression reads is written down with its value, so that a finding
 * can be explained and judged again elsewhere; what is missing makes a check unknown, never false.
 *
 * A check that goes wrong (too many steps, a value that is no number where one is needed) is a "cannot judge"
 * of its own and stops nobody else. The present visit is evaluated with the earlier one beside it: two
 * evaluations over two sessions, the earlier one first, because only the present one looks back.
 */
#include "risk/pack_impl.h"

#include "platform/base/civil.h"
#include "platform/base/json.h"

#include <math.h>

const char *judgement_level(const struct judgement *j)
{
    return j->level == SEVERITY_NONE && j->unknown ? "unknown" : severity_name(j->level);
}

const char *severity_name(enum severity s)
{
    static const char *const names[] = {"none", "blue", "yellow", "red"};
    return names[s];
}

const char *finding_kind_name(enum finding_kind k)
{
    static const char *const names[] = {"risk", "verify", "process"};
    return names[k];
}

static struct value unknown(void)
{
    return (struct value){.type = VALUE_UNKNOWN};
}

static struct value of_dec(struct dec d)
{
    return (struct value){.type = VALUE_DEC, .dec = d};
}

static struct value of_text(struct str s)
{
    return (struct value){.type = VALUE_STRING, .text = s};
}

static struct value of_day(int64_t day)
{
    return (struct value){.type = VALUE_DATE, .day = day};
}

static struct value of_bool(bool b)
{
    return (struct value){.type = VALUE_BOOL, .boolean = b};
}

static bool same_value(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case VALUE_BOOL: return a->boolean == b->boolean;
    case VALUE_NUMBER: return a->number == b->number;
    case VALUE_DEC: return dec_cmp(a->dec, b->dec) == 0;
    case VALUE_STRING: return str_eq(a->text, b->text);
    case VALUE_DATE: return a->day == b->day;
    case VALUE_UNKNOWN: return true;
    default: return false;
    }
}

/* -- readings
 * --------------------------------------------------------------------------------------------------- */

struct layout {
    uint32_t first[READING_CELL + 1];
};

static struct layout layout_of(const struct pack *p)
{
    uint32_t inputs = p->inputs.count, values = p->values.count;
    return (struct layout){{0, inputs, 2 * inputs, 2 * inputs + values, 2 * inputs + 2 * values,
                            2 * inputs + 2 * values + p->params.count,
                            2 * inputs + 2 * values + p->params.count + p->dept.count,
                            2 * inputs + 2 * values + p->params.count + p->dept.count + 1}};
}

/* Readings of one row: its fields, and behind them, on the present side, what departments hold about it. */
static uint32_t row_readings(const struct pack_set *set, bool prev)
{
    return set->field_count + (prev ? 0 : set->dept_count);
}

uint32_t reading_number(const struct judging *j, struct reading_id id)
{
    if (id.kind < READING_CELL)
        return layout_of(j->p).first[id.kind] + id.index;
    bool prev = id.kind == READING_PREV_CELL;
    const struct pack_set *set = &j->p->sets.at[id.index];
    const struct rows *r = prev ? &j->before.rows[id.index] : &j->now.rows[id.index];
    return r->first + id.row * row_readings(set, prev) + id.field +
           (id.kind == READING_DEPT_CELL ? set->field_count : 0);
}

static bool cell_of(const struct judging *j, const struct side *s, uint32_t number, struct reading_id *out)
{
    for (uint32_t i = 0; s->rows && i < j->p->sets.count; i++) {
        uint32_t fields = j->p->sets.at[i].field_count, each = row_readings(&j->p->sets.at[i], s->prev);
        uint32_t offset = number - s->rows[i].first;
        if (number < s->rows[i].first || offset >= s->rows[i].count * each)
            continue;
        *out = (struct reading_id){s->prev ? READING_PREV_CELL : READING_CELL, i, offset / each,
                                   offset % each};
        if (out->field >= fields) {
            out->kind = READING_DEPT_CELL;
            out->field -= fields;
        }
        return true;
    }
    return false;
}

struct reading_id reading_of(const struct judging *j, uint32_t number)
{
    struct layout layout = layout_of(j->p);
    struct reading_id id = {READING_INPUT, 0, 0, 0};
    if (number >= layout.first[READING_CELL]) {
        bool found = cell_of(j, &j->now, number, &id) || cell_of(j, &j->before, number, &id);
        CHECK(found);
        return id;
    }
    while (number >= layout.first[id.kind + 1])
        id.kind++;
    id.index = number - layout.first[id.kind];
    return id;
}

static void note(struct judging *j, uint32_t number, const struct value *v)
{
    uint64_t bit = UINT64_C(1) << (number % 64);
    j->readings[number] = *v;
    j->noted[number / 64] |= bit;
    if (j->trace.reads)
        j->trace.reads[number / 64] |= bit;
    if (j->trace.direct)
        j->trace.direct[number / 64] |= bit;
}

/* Everything another evaluation read was read by this one too. */
static void note_all(struct judging *j, const struct trace *t, bool direct)
{
    for (uint32_t i = 0; i < j->words; i++) {
        if (j->trace.reads && t->reads)
            j->trace.reads[i] |= t->reads[i];
        if (direct && j->trace.direct && t->direct)
            j->trace.direct[i] |= t->direct[i];
    }
}

/* An empty one; when it is opened again, the old one is emptied. */
static bool trace_open(struct judging *j, struct trace *t)
{
    if (t->reads) {
        memset(t->reads, 0, (j->words + 1) * sizeof(*t->reads));
        memset(t->direct, 0, (j->words + 1) * sizeof(*t->direct));
        return true;
    }
    t->reads = ARENA_ARRAY(&j->keep, uint64_t, j->words + 1);
    t->direct = ARENA_ARRAY(&j->keep, uint64_t, j->words + 1);
    return t->reads && t->direct;
}

/* -- values from outside
 * ---------------------------------------------------------------------------------------- */

static struct value as_number(const struct value *v, bool signed_too)
{
    struct value out = unknown();
    char text[NUM_TEXT_MAX];
    switch (v->type) {
    case VALUE_DEC: out = *v; break;
    case VALUE_NUMBER:
        if (isfinite(v->number) && dec_read((struct str){text, num_write(v->number, text)}, &out.dec))
            out.type = VALUE_DEC;
        else if (isfinite(v->number))
            out = *v;
        break;
    case VALUE_STRING:
        if (dec_read(str_trim(v->text), &out.dec))
            out.type = VALUE_DEC;
        break;
    default: break;
    }
    bool negative = (out.type == VALUE_DEC && out.dec.coefficient < 0) ||
                    (out.type == VALUE_NUMBER && out.number < 0);
    return negative && !signed_too ? unknown() : out;
}

static struct value as_date(const struct value *v)
{
    struct civil c = {0};
    if (v->type == VALUE_DATE)
        return *v;
    if (v->type == VALUE_INSTANT) {
        int64_t local = v->instant.ms + (int64_t)v->instant.offset_min * 60000;
        return of_day(local / 86400000 - (local % 86400000 < 0));
    }
    if (v->type == VALUE_STRING && civil_read(v->text, &c) && c.has_date)
        return of_day(civil_days(c.year, c.month, c.day));
    return unknown();
}

/* An answer as the type the pack gives it. What cannot be of that type, text where an amount belongs or an
 * amount below zero, is no answer. */
static struct value as_type(const struct value *v, enum pack_type type)
{
    if (v->type == VALUE_UNKNOWN || (v->type == VALUE_STRING && v->text.n == 0))
        return unknown();
    switch (type) {
    case PACK_MONEY:
    case PACK_COUNT: return as_number(v, false);
    case PACK_RATIO: return as_number(v, true);
    case PACK_DATE: return as_date(v);
    default: return *v;
    }
}

static enum err read_dept_value(struct judging *j, uint32_t i, const struct json *json)
{
    struct dept_value *d = &j->dept[i];
    const struct json *v = json;
    struct value raw = unknown();
    d->as_of = j->in->dept_as_of;
    if (json && json->type == JSON_OBJECT) {
        v = json_get(json, "value");
        d->source = arena_str(&j->keep, json_text(json, "source"));
        if (json_text(json, "as_of").n)
            d->as_of = arena_str(&j->keep, json_text(json, "as_of"));
    }
    if (v && (v->type == JSON_STRING || v->type == JSON_NUMBER))
        raw = of_text(arena_str(&j->keep, v->text));
    else if (v && v->type == JSON_BOOL)
        raw = of_text(v->boolean ? STR("yes") : STR("no"));
    d->value = as_type(&raw, j->p->dept.at[i].type);
    return raw.type == VALUE_STRING && !raw.text.p ? ERR_NOMEM : ERR_OK;
}

/* The rows of one set: lists of objects under the set's name, from as many departments as sent one. */
static enum err read_dept_rows(struct judging *j, uint32_t set, const struct json *root)
{
    for (const struct json *list = root->child; list; list = list->next) {
        if (list->type != JSON_ARRAY || !str_eq(list->name, j->p->sets.at[set].name))
            continue;
        for (const struct json *o = list->child; o; o = o->next) {
            struct dept_row *row = o->type == JSON_OBJECT ? vec_push(&j->keep, &j->dept_rows[set].list)
                                                          : NULL;
            if (o->type != JSON_OBJECT)
                continue;
            if (!row)
                return ERR_NOMEM;
            struct str as_of = json_text(o, "as_of");
            *row = (struct dept_row){o, as_of.n ? as_of : j->in->dept_as_of, json_text(o, "source")};
        }
    }
    return ERR_OK;
}

static enum err read_dept(struct judging *j, struct diag *d)
{
    const struct json *root = NULL;
    enum err rc = ERR_OK;
    j->dept = ARENA_ARRAY(&j->keep, struct dept_value, j->p->dept.count + 1);
    j->dept_rows = ARENA_ARRAY(&j->keep, struct dept_rows, j->p->sets.count + 1);
    if (!j->dept || !j->dept_rows)
        return ERR_NOMEM;
    if (j->in->dept.n) {
        rc = json_read(&j->keep, j->in->dept, &root, d);
        if (!rc && root->type != JSON_OBJECT)
            rc = diag_set(d, ERR_SYNTAX, "Department values are a JSON object, name by name.");
    }
    for (uint32_t i = 0; !rc && i < j->p->dept.count; i++) {
        const struct json *v = NULL;
        for (const struct json *c = root ? root->child : NULL; c && !v; c = c->next)
            if (str_eq(c->name, j->p->dept.at[i].name))
                v = c;
        rc = read_dept_value(j, i, v);
    }
    for (uint32_t i = 0; !rc && root && i < j->p->sets.count; i++)
        if (j->p->sets.at[i].dept_count)
            rc = read_dept_rows(j, i, root);
    return rc;
}

/* Village before county before city before province before everywhere; of one area the newest that holds on
 * that day. */
static const struct pack_entry *entry_for(const struct pack_param *p, struct str area, int64_t day)
{
    const struct pack_entry *best = NULL;
    for (uint32_t i = 0; i < p->entries.count; i++) {
        const struct pack_entry *e = &p->entries.at[i];
        if (!str_starts(area, e->area) || day < e->from || day > e->to)
            continue;
        bool better = !best || e->area.n > best->area.n ||
                      (e->area.n == best->area.n && e->from > best->from);
        if (better)
            best = e;
    }
    return best;
}

bool pack_param(const struct pack *p, struct str name, struct str area, int64_t day, struct dec *out)
{
    uint32_t i;
    const struct pack_entry *e = map_get(&p->params_by_name, name, &i)
                                     ? entry_for(&p->params.at[i], area, day)
                                     : NULL;
    if (e)
        *out = e->value;
    return e != NULL;
}

static enum err resolve_params(struct judging *j)
{
    j->params = ARENA_ARRAY(&j->keep, struct resolved_param, j->p->params.count + 1);
    if (!j->params)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < j->p->params.count; i++)
        j->params[i].entry = entry_for(&j->p->params.at[i], j->in->area, j->in->today);
    return ERR_OK;
}

/* -- reading the two visits
 * ------------------------------------------------------------------------------------- */

static struct side *side_of(struct eval *e)
{
    return (struct side *)e;
}

static uint32_t row_of(struct rows *r, struct node n)
{
    for (uint32_t i = 0; i < r->count; i++) {
        uint32_t at = (r->last_row + i) % r->count;
        if (r->at[at].x == n.x) {
            r->last_row = at;
            return at;
        }
    }
    return UINT32_MAX;
}

static enum err read_input(struct side *s, uint32_t i, struct value *out)
{
    enum err rc = ERR_OK;
    if (!s->input_read[i] && s->session) {
        const struct pack_item *item = &s->j->p->inputs.at[i];
        struct value v = unknown();
        rc = s->scalar(&s->eval, s->root, item->ref, &v);
        if (rc)
            return rc;
        v = as_type(&v, item->type);
        if (v.type == VALUE_STRING)
            v.text = arena_str(&s->j->keep, v.text);
        s->inputs[i] = v;
        s->input_read[i] = true;
    }
    *out = s->inputs[i];
    note(s->j,
         reading_number(s->j, (struct reading_id){s->prev ? READING_PREV_INPUT : READING_INPUT, i, 0, 0}),
         out);
    return rc;
}

static void read_value(struct side *s, uint32_t i, struct value *out)
{
    bool local = i >= s->j->p->derived_count;
    *out = s->values[i];
    note_all(s->j, &s->traces[i], local);
    if (!local)
        note(s->j,
             reading_number(s->j, (struct reading_id){s->prev ? READING_PREV_VALUE : READING_VALUE, i, 0, 0}),
             out);
}

static void note_cell(struct side *s, uint32_t set, uint32_t field, struct node n, struct value *v)
{
    struct rows *r = &s->rows[set];
    uint32_t row = row_of(r, n);
    struct value kept = *v;
    if (row == UINT32_MAX)
        return;
    uint32_t number = reading_number(s->j, (struct reading_id){s->prev ? READING_PREV_CELL : READING_CELL,
                                                               set, row, field});
    if (kept.type == VALUE_STRING) { /* the text may be in the scratch arena, and outlives it here */
        const struct value *known = &s->j->readings[number];
        bool same = known->type == VALUE_STRING && str_eq(known->text, kept.text);
        kept.text = same ? known->text : arena_str(&s->j->keep, kept.text);
    }
    note(s->j, number, &kept);
}

static enum err side_scalar(struct eval *e, struct node context, uint32_t ref, struct value *out)
{
    struct side *s = side_of(e);
    const struct pack *p = s->j->p;
    if (ref_is_pack(ref)) {
        uint32_t i = ref_index(ref);
        switch (ref_kind(ref)) {
        case REF_INPUT: return read_input(s, i, out);
        case REF_VALUE: read_value(s, i, out); return ERR_OK;
        case REF_SET:
        case REF_ROWS:
            if (ref_kind(ref) == REF_SET)
                note_all(s->j, &s->rows[i].trace, true);
            *out = (struct value){.type = VALUE_NODES,
                                  .nodes = ref_kind(ref) == REF_SET ? s->rows[i].kept : s->rows[i].all};
            return ERR_OK;
        case REF_TOP: break;
        }
        return ERR_OK;
    }
    enum err rc = s->scalar(e, context, ref, out);
    for (uint32_t i = 0; !rc && i < p->member_refs.count; i++) {
        const struct pack_member_ref *m = &p->member_refs.at[i];
        if (m->ref != ref)
            continue;
        *out = as_type(out, p->sets.at[m->set].fields[m->field].type);
        note_cell(s, m->set, m->field, context, out);
        break;
    }
    return rc;
}

enum err side_read(struct side *s, uint32_t ref, struct value *out)
{
    return side_scalar(&s->eval, s->root, ref, out);
}

/* Nodes that a path such as $members/name walked to. */
static enum err side_typed(struct eval *e, struct node n, struct value *out)
{
    struct side *s = side_of(e);
    const struct pack *p = s->j->p;
    enum err rc = s->typed(e, n, out);
    if (rc || n.tree != 0)
        return rc;
    struct str name = e->trees[0]->ops->name(e->trees[0], n).local;
    for (uint32_t i = 0; i < p->sets.count; i++) {
        if (row_of(&s->rows[i], n) == UINT32_MAX)
            continue;
        for (uint32_t k = 0; k < p->sets.at[i].field_count; k++) {
            if (!str_eq(p->sets.at[i].fields[k].name, name))
                continue;
            *out = as_type(out, p->sets.at[i].fields[k].type);
            note_cell(s, i, k, n, out);
            return ERR_OK;
        }
    }
    return ERR_OK;
}

/* -- functions of rules
 * ----------------------------------------------------------------------------------------- */

struct value param_read(struct judging *j, uint32_t i)
{
    struct value v = j->params[i].entry ? of_dec(j->params[i].entry->value) : unknown();
    note(j, reading_number(j, (struct reading_id){READING_PARAM, i, 0, 0}), &v);
    return v;
}

struct value dept_read(struct judging *j, uint32_t i)
{
    note(j, reading_number(j, (struct reading_id){READING_DEPT, i, 0, 0}), &j->dept[i].value);
    return j->dept[i].value;
}

static enum err fn_param(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct judging *j = side_of(e)->j;
    uint32_t i;
    (void)count;
    bool found = map_get(&j->p->params_by_name, value_text(e, &args[0]), &i);
    *out = found ? param_read(j, i) : unknown();
    return ERR_OK;
}

/* Whether a department's row is about this one: all fields to match that it gives are equal, and it gives
 * one. */
static enum err dept_row_fits(struct side *s, uint32_t set, uint32_t row, const struct dept_row *x, bool *out)
{
    const struct pack_set *p = &s->j->p->sets.at[set];
    uint32_t given = 0;
    *out = false;
    for (uint32_t i = 0; i < p->match_count; i++) {
        const struct pack_item *field = &p->fields[p->match[i]];
        const struct json *theirs = NULL;
        struct value ours = unknown();
        for (const struct json *v = x->values->child; v && !theirs; v = v->next)
            theirs = str_eq(v->name, field->name) && str_trim(v->text).n ? v : NULL;
        if (!theirs)
            continue;
        enum err rc = side_scalar(&s->eval, s->rows[set].at[row], field->ref, &ours);
        if (rc)
            return rc;
        if (ours.type == VALUE_UNKNOWN ||
            !str_eq(str_trim(value_text(&s->eval, &ours)), str_trim(theirs->text)))
            return ERR_OK;
        given++;
    }
    *out = given > 0;
    return ERR_OK;
}

/* What departments hold about a row: the first that gives it. One that gives another value for the same from
 * the same source is no knowledge. */
static enum err dept_cell(struct side *s, uint32_t set, uint32_t k, uint32_t row, struct value *out)
{
    struct judging *j = s->j;
    const struct pack_item *item = &j->p->sets.at[set].dept[k];
    const struct dept_row *first = NULL;
    *out = unknown();
    for (uint32_t i = 0; i < j->dept_rows[set].list.count; i++) {
        const struct dept_row *x = &j->dept_rows[set].list.at[i];
        const struct json *v = NULL;
        bool fits;
        for (const struct json *c = x->values->child; c && !v; c = c->next)
            v = str_eq(c->name, item->name) ? c : NULL;
        struct value raw = unknown(), value;
        if (v && (v->type == JSON_STRING || v->type == JSON_NUMBER))
            raw = of_text(v->text);
        else if (v && v->type == JSON_BOOL)
            raw = of_text(v->boolean ? STR("yes") : STR("no"));
        value = as_type(&raw, item->type);
        if (value.type == VALUE_UNKNOWN)
            continue;
        enum err rc = dept_row_fits(s, set, row, x, &fits);
        if (rc)
            return rc;
        if (!fits)
            continue;
        if (!first) {
            first = x;
            *out = value;
        } else if (str_eq(first->source, x->source) && !same_value(out, &value)) {
            *out = unknown();
            break;
        }
    }
    note(j, reading_number(j, (struct reading_id){READING_DEPT_CELL, set, row, k}), out);
    return ERR_OK;
}

/* In a condition on the rows of a set: what a department holds about this row. */
static enum err fn_dept(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct side *s = side_of(e);
    struct judging *j = s->j;
    struct str name = value_text(e, &args[0]);
    uint32_t i;
    (void)count;
    for (i = 0; !s->prev && i < j->p->sets.count; i++) {
        const struct pack_set *set = &j->p->sets.at[i];
        bool sent = set->dept_count && j->dept_rows[i].list.count; /* else it is looked for in vain */
        uint32_t row = sent ? row_of(&s->rows[i], e->context) : UINT32_MAX;
        for (uint32_t k = 0; row != UINT32_MAX && k < set->dept_count; k++)
            if (str_eq(set->dept[k].name, name))
                return dept_cell(s, i, k, row, out);
    }
    bool found = map_get(&j->p->dept_by_name, name, &i);
    *out = found ? dept_read(j, i) : unknown();
    return ERR_OK;
}

/* The same person at the earlier visit, found by the key of the row. */
static enum err prev_cell(struct side *s, uint32_t set, uint32_t field, uint32_t row, struct value *out)
{
    struct side *before = &s->j->before;
    struct rows *r = &before->rows[set];
    uint64_t key = s->rows[set].keys[row];
    for (uint32_t i = 0; i < r->count; i++)
        if (r->keys[i] == key)
            return side_scalar(&before->eval, r->at[i], s->j->p->sets.at[set].fields[field].ref, out);
    return ERR_OK;
}

static enum err fn_prev(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct side *s = side_of(e);
    struct judging *j = s->j;
    struct str name = value_text(e, &args[0]);
    uint32_t ref;
    (void)count;
    *out = unknown();
    if (s->prev || !j->before.session)
        return ERR_OK;
    for (uint32_t i = 0; i < j->p->sets.count; i++) {
        uint32_t row = row_of(&s->rows[i], e->context);
        for (uint32_t k = 0; row != UINT32_MAX && k < j->p->sets.at[i].field_count; k++)
            if (str_eq(j->p->sets.at[i].fields[k].name, name))
                return prev_cell(s, i, k, row, out);
    }
    if (!map_get(&j->p->names, name, &ref))
        return ERR_OK;
    if (ref_kind(ref) == REF_INPUT)
        return read_input(&j->before, ref_index(ref), out);
    if (ref_kind(ref) == REF_VALUE)
        read_value(&j->before, ref_index(ref), out);
    return ERR_OK;
}

static enum err fn_has_prev(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct side *s = side_of(e);
    (void)args;
    (void)count;
    *out = of_bool(!s->prev && s->j->before.session);
    return ERR_OK;
}

static enum err fn_prev_date(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct judging *j = side_of(e)->j;
    (void)args;
    (void)count;
    *out = side_of(e)->prev ? unknown() : j->prev_date;
    note(j, reading_number(j, (struct reading_id){READING_PREV_DATE, 0, 0, 0}), out);
    return ERR_OK;
}

static enum err fn_days(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct value later = as_date(&args[0]), earlier = as_date(&args[1]);
    (void)e;
    (void)count;
    *out = unknown();
    if (later.type == VALUE_DATE && earlier.type == VALUE_DATE)
        *out = of_dec((struct dec){later.day - earlier.day, 0});
    return ERR_OK;
}

static enum err fn_is_missing(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)e;
    (void)count;
    *out = of_bool(args[0].type == VALUE_UNKNOWN || (args[0].type == VALUE_STRING && args[0].text.n == 0));
    return ERR_OK;
}

static enum err fn_unknown(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)e;
    (void)args;
    (void)count;
    *out = unknown();
    return ERR_OK;
}

/* As sum(), but what is missing makes the whole unknown: a total without somebody's wage is no total. */
static enum err fn_total(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    const struct nodes *nodes = args[0].nodes;
    struct dec total = {0, 0};
    bool missing = nodes->maybe > 0;
    (void)count;
    for (uint32_t i = 0; i < nodes->count; i++) {
        struct value v = unknown();
        enum err rc = e->typed(e, nodes->at[i], &v);
        if (rc)
            return rc;
        v = as_number(&v, true);
        if (v.type != VALUE_DEC || !dec_add(total, v.dec, &total))
            missing = true;
    }
    *out = missing ? unknown() : of_dec(total);
    return ERR_OK;
}

/* The value beside a key of a look-up table; a key that is not in it has none. */
static enum err fn_lookup(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct judging *j = side_of(e)->j;
    struct value key = as_number(&args[1], true);
    uint32_t table;
    (void)count;
    *out = unknown();
    if (key.type != VALUE_DEC || !map_get(&j->p->lookups_by_name, value_text(e, &args[0]), &table))
        return ERR_OK;
    const struct pack_lookup *t = &j->p->lookups.at[table];
    uint32_t low = 0, high = t->entries.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (dec_cmp(t->entries.at[middle].key, key.dec) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < t->entries.count && dec_cmp(t->entries.at[low].key, key.dec) == 0)
        *out = of_dec(t->entries.at[low].value);
    return ERR_OK;
}

/* The C library's results differ in the last bit from one machine to the next; a judgement may not. */
static double number_or_nan(const struct value *v)
{
    struct value n = as_number(v, true);
    return n.type == VALUE_DEC ? dec_double(n.dec) : n.type == VALUE_NUMBER ? n.number : NAN;
}

static struct value of_number(double v)
{
    return isnan(v) ? unknown() : (struct value){.type = VALUE_NUMBER, .number = v};
}

static enum err fn_exp(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)e;
    (void)count;
    *out = of_number(num_exp(number_or_nan(&args[0])));
    return ERR_OK;
}

static enum err fn_log(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    (void)e;
    (void)count;
    double v = number_or_nan(&args[0]);
    *out = of_number(v > 0 ? num_log(v) : NAN);
    return ERR_OK;
}

/* Whole exponents by multiplication, so that squares are what people expect; others through exp and log. */
static enum err fn_pow(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    double base = number_or_nan(&args[0]), exponent = number_or_nan(&args[1]), result = 1;
    (void)e;
    (void)count;
    if (!isnan(base) && exponent == floor(exponent) && fabs(exponent) <= 64) {
        for (int i = 0; i < (int)fabs(exponent); i++)
            result *= base;
        result = exponent < 0 ? 1 / result : result;
    } else {
        result = base > 0 && !isnan(exponent) ? num_exp(exponent * num_log(base)) : NAN;
    }
    *out = of_number(isfinite(result) ? result : NAN);
    return ERR_OK;
}

static enum err fn_hit(struct eval *e, const struct value *args, uint32_t count, struct value *out)
{
    struct judging *j = side_of(e)->j;
    uint32_t i;
    (void)count;
    *out = unknown();
    if (map_get(&j->p->checks_by_id, value_text(e, &args[0]), &i) && j->results[i] != TRUTH_UNKNOWN)
        *out = of_bool(j->results[i] == TRUTH_TRUE);
    return ERR_OK;
}

#define TAKES (EXPR_USES_HOST | EXPR_TAKES_UNKNOWN)
const struct expr_function risk_functions[] = {
    /*name      args   arguments                                          gives        reads */
    {"param", 1, 1, {ARG_STRING, ARG_ANY, ARG_ANY, ARG_ANY}, ARG_ANY, EXPR_USES_HOST, fn_param},
    {"dept", 1, 1, {ARG_STRING, ARG_ANY, ARG_ANY, ARG_ANY}, ARG_ANY, EXPR_USES_HOST, fn_dept},
    {"prev", 1, 1, {ARG_STRING, ARG_ANY, ARG_ANY, ARG_ANY}, ARG_ANY, EXPR_USES_HOST, fn_prev},
    {"has-prev", 0, 0, {ARG_ANY, ARG_ANY, ARG_ANY, ARG_ANY}, ARG_BOOL, EXPR_USES_HOST, fn_has_prev},
    {"prev-date", 0, 0, {ARG_ANY, ARG_ANY, ARG_ANY, ARG_ANY}, ARG_ANY, EXPR_USES_HOST, fn_prev_date},
    {"days", 2, 2, {ARG_ANY, ARG_ANY, ARG_ANY, ARG_ANY}, ARG_NUMBER, EXPR_USES_HOST, fn_days},
    {"is-missing", 1, 1, {ARG_ANY, ARG_ANY, ARG_ANY, ARG_ANY}, ARG_BOOL, TAKES, fn_is_missing},
    {"unknown", 0, 0, {ARG_ANY, ARG_ANY, ARG_ANY, ARG_ANY}, ARG_ANY, EXPR_USES_HOST, fn_unknown},
    {"total", 1, 1, {ARG_NODES, ARG_ANY, ARG_ANY, ARG_ANY}, ARG_NUMBER, EXPR_USES_HOST, fn_total},
    {"lookup", 2, 2, {ARG_STRING, ARG_ANY, ARG_ANY, ARG_ANY}, ARG_ANY, EXPR_USES_HOST, fn_lookup},
    {"exp", 1, 1, {ARG_NUMBER, ARG_ANY, ARG_ANY, ARG_ANY}, ARG_NUMBER, 0, fn_exp},
    {"log", 1, 1, {ARG_NUMBER, ARG_ANY, ARG_ANY, ARG_ANY}, ARG_NUMBER, 0, fn_log},
    {"pow", 2, 2, {ARG_NUMBER, ARG_NUMBER, ARG_ANY, ARG_ANY}, ARG_NUMBER, 0, fn_pow},
    {"hit", 1, 1, {ARG_STRING, ARG_ANY, ARG_ANY, ARG_ANY}, ARG_BOOL, EXPR_USES_HOST, fn_hit},
};
const uint32_t risk_function_count = sizeof(risk_functions) / sizeof(*risk_functions);

/* -- evaluation
 * ------------------------------------------------------------------------------------------------- */

/* A value that outlives the scratch arena. */
static bool keep_value(struct judging *j, struct value *v)
{
    if (v->type == VALUE_STRING) {
        v->text = arena_str(&j->keep, v->text);
        return v->text.p != NULL;
    }
    if (v->type != VALUE_NODES)
        return true;
    struct nodes *n = ARENA_NEW(&j->keep, struct nodes);
    struct node *at = ARENA_ARRAY(&j->keep, struct node, v->nodes->count + 1);
    if (!n || !at)
        return false;
    if (v->nodes->count)
        memcpy(at, v->nodes->at, v->nodes->count * sizeof(*at));
    *n = *v->nodes;
    n->at = at;
    v->nodes = n;
    return true;
}

/* Evaluates in one of the visits and writes down what is read. A fault of the expression itself is in
 * *fault_out and gives UNKNOWN; an error is only returned when the judgement cannot go on. */
static enum err evaluate(struct side *s, const struct expr *x, const struct trace *trace, struct value *out,
                         struct diag *fault_out)
{
    struct judging *j = s->j;
    struct arena_mark mark = arena_mark(&j->scratch);
    struct diag trouble = {0};
    uint32_t fuel = j->fuel < JUDGE_CHECK_FUEL_MAX ? j->fuel : JUDGE_CHECK_FUEL_MAX;
    struct value v = unknown();
    j->trace = *trace;
    s->eval.fuel = fuel;
    s->eval.context = s->root;
    s->eval.diag = &trouble;
    enum err rc = x ? expr_eval(x, &s->eval, &v) : ERR_OK;
    s->eval.diag = NULL;
    j->fuel -= fuel - s->eval.fuel;
    if (rc == ERR_LIMIT && fuel == JUDGE_CHECK_FUEL_MAX) {
        rc = ERR_OK;
        v = unknown();
        diag_set(fault_out, ERR_LIMIT, "it takes too many steps");
    } else if (rc && rc != ERR_NOMEM && rc != ERR_LIMIT) {
        rc = ERR_OK;
        v = unknown();
        diag_set(fault_out, ERR_SYNTAX, "%s", trouble.text);
    }
    if (!rc && !keep_value(j, &v))
        rc = ERR_NOMEM;
    arena_release(&j->scratch, mark);
    *out = v;
    return rc;
}

/* -- the sessions
 * ----------------------------------------------------------------------------------------------- */

/* Where the rows of a set stand now; the list lives in the scratch arena. */
static uint32_t instances_of(struct side *s, const struct pack_set *set, struct place **places_out)
{
    struct place top = {0};
    struct str root = set->path;
    ptrdiff_t slash = str_find(str_sub(set->path, 1, set->path.n), STR("/"));
    uint32_t repeat = 0;
    *places_out = NULL;
    if (slash >= 0)
        root = str_sub(set->path, 0, (size_t)slash + 1);
    while (repeat < form_repeat_count(s->j->p->form) &&
           !str_eq(form_repeat(s->j->p->form, repeat)->path, set->path))
        repeat++;
    if (session_place(s->session, root, &top, NULL))
        return 0;
    return session_instances(s->session, top, repeat, &s->j->scratch, places_out);
}

static enum err place_rows(struct side *s, const struct pack_set *set, struct rows *r)
{
    struct judging *j = s->j;
    struct place *places = NULL;
    r->keys = ARENA_ARRAY(&j->keep, uint64_t, r->count + 1);
    r->places = ARENA_ARRAY(&j->keep, uint32_t, r->count + 1);
    if (!r->keys || !r->places)
        return ERR_NOMEM;
    uint32_t count = instances_of(s, set, &places);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = row_of(r, (struct node){0, places[i].frame, 0});
        if (row == UINT32_MAX)
            continue;
        r->keys[row] = places[i].key;
        r->places[row] = i + 1;
    }
    return ERR_OK;
}

static enum err find_rows(struct side *s, uint32_t i)
{
    struct judging *j = s->j;
    const struct pack_set *set = &j->p->sets.at[i];
    struct rows *r = &s->rows[i];
    struct nodes found = {0};
    s->eval.fuel = j->fuel;
    enum err rc = s->eval.nodes(&s->eval, s->root, set->ref, &found);
    if (rc)
        return rc;
    r->all = ARENA_NEW(&j->keep, struct nodes);
    r->at = ARENA_ARRAY(&j->keep, struct node, found.count + 1);
    if (!r->all || !r->at)
        return ERR_NOMEM;
    if (found.count)
        memcpy(r->at, found.at, found.count * sizeof(*r->at));
    r->count = found.count;
    *r->all = (struct nodes){.at = r->at, .count = found.count};
    r->kept = r->all;
    r->first = j->reading_count;
    j->reading_count += r->count * row_readings(set, s->prev);
    return place_rows(s, set, r);
}

static enum err keep_rows(struct side *s, uint32_t i)
{
    const struct pack_set *set = &s->j->p->sets.at[i];
    struct rows *r = &s->rows[i];
    struct value v = unknown();
    struct diag fault = {0};
    if (!trace_open(s->j, &r->trace))
        return ERR_NOMEM;
    if (!set->where)
        return ERR_OK;
    enum err rc = evaluate(s, set->where, &r->trace, &v, &fault);
    if (!rc && v.type == VALUE_NODES) {
        r->kept = v.nodes;
    } else if (!rc) { /* nobody can say who belongs */
        r->kept = ARENA_NEW(&s->j->keep, struct nodes);
        if (!r->kept)
            return ERR_NOMEM;
        r->kept->maybe = r->count;
    }
    return rc;
}

/* The engine over the session as it stands now. */
static void look_at(struct side *s)
{
    session_eval(s->session, &s->eval, &s->j->scratch);
    s->scalar = s->eval.scalar;
    s->typed = s->eval.typed;
    s->root = s->eval.context;
    s->eval.scalar = side_scalar;
    s->eval.typed = side_typed;
    s->eval.rules = true;
    s->eval.zone = zone_utc();
    s->eval.now_ms = s->j->in->today * INT64_C(86400000);
}

static enum err open_side(struct judging *j, struct side *s, struct session *session, bool prev)
{
    const struct pack *p = j->p;
    s->j = j;
    s->prev = prev;
    s->session = session;
    s->rows = ARENA_ARRAY(&j->keep, struct rows, p->sets.count + 1);
    s->inputs = ARENA_ARRAY(&j->keep, struct value, p->inputs.count + 1);
    s->input_read = ARENA_ARRAY(&j->keep, bool, p->inputs.count + 1);
    s->values = ARENA_ARRAY(&j->keep, struct value, p->values.count + 1);
    s->traces = ARENA_ARRAY(&j->keep, struct trace, p->values.count + 1);
    if (!s->rows || !s->inputs || !s->input_read || !s->values || !s->traces)
        return ERR_NOMEM;
    if (!session)
        return ERR_OK;
    look_at(s);
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < p->sets.count; i++)
        rc = find_rows(s, i);
    return rc;
}

static enum err derive_one(struct side *s, uint32_t v, struct diag *fault_out)
{
    if (!trace_open(s->j, &s->traces[v]))
        return ERR_NOMEM;
    return evaluate(s, s->j->p->values.at[v].expr, &s->traces[v], &s->values[v], fault_out);
}

static enum err derive(struct side *s)
{
    const struct pack *p = s->j->p;
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < p->sets.count; i++)
        rc = keep_rows(s, i);
    for (uint32_t i = 0; !rc && i < p->derived_count; i++) {
        struct diag fault = {0};
        rc = derive_one(s, p->order[i], &fault);
    }
    return rc;
}

static enum err find_prev_date(struct judging *j)
{
    struct value text = of_text(j->in->prev_date);
    j->prev_date = unknown();
    if (!j->before.session)
        return ERR_OK;
    j->prev_date = as_date(&text);
    if (j->prev_date.type == VALUE_DATE || j->p->date_input == UINT32_MAX)
        return ERR_OK;
    j->trace = (struct trace){0};
    return read_input(&j->before, j->p->date_input, &j->prev_date);
}

/* -- checks
 * ----------------------------------------------------------------------------------------------------- */

static enum truth truth_of(struct judging *j, const struct value *v)
{
    return value_truth(&j->now.eval, v);
}

static enum err judge_when(struct judging *j, uint32_t i)
{
    struct check_state *c = &j->checks[i];
    struct value v = unknown();
    if (!trace_open(j, &c->trace))
        return ERR_NOMEM;
    enum err rc = evaluate(&j->now, j->p->checks.at[i].when, &c->trace, &v, &c->fault);
    if (!rc)
        j->results[i] = truth_of(j, &v);
    return rc;
}

static enum err judge_check(struct judging *j, uint32_t i, struct diag *d)
{
    const struct pack_check *c = &j->p->checks.at[i];
    enum err rc = ERR_OK;
    j->checks[i].fault = (struct diag){0};
    for (uint32_t k = c->value_first; !rc && k < c->value_first + c->value_count; k++)
        rc = derive_one(&j->now, k, &j->checks[i].fault);
    if (!rc)
        rc = judge_when(j, i);
    if (rc == ERR_LIMIT)
        diag_set(d, rc, "The rule pack takes too many steps; it was stopped at the check %.*s.",
                 STR_ARG(c->id));
    return rc;
}

/* Severity first, then hits before what cannot be judged, then the order of the pack. */
static void sort_findings(struct finding *f, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct finding one = f[i];
        uint32_t k = i;
        while (k > 0 && (f[k - 1].severity < one.severity ||
                         (f[k - 1].severity == one.severity && f[k - 1].state > one.state))) {
            f[k] = f[k - 1];
            k--;
        }
        f[k] = one;
    }
}

static enum err suggest_category(struct judging *j, struct judgement *out)
{
    for (uint32_t i = 0; i < j->p->categories.count; i++) {
        const struct pack_category *c = &j->p->categories.at[i];
        struct value v = unknown();
        struct trace none = {0};
        struct diag fault = {0};
        enum err rc = evaluate(&j->now, c->when, &none, &v, &fault);
        if (rc)
            return rc;
        if (truth_of(j, &v) != TRUTH_TRUE)
            continue;
        out->category = c->code;
        out->category_zh = c->words.zh;
        out->category_en = c->words.en;
        break;
    }
    return ERR_OK;
}

static enum err judge_all(struct judging *j, struct diag *d)
{
    enum err rc = ERR_OK;
    j->results = ARENA_ARRAY(&j->keep, enum truth, j->p->checks.count + 1);
    j->checks = ARENA_ARRAY(&j->keep, struct check_state, j->p->checks.count + 1);
    if (!j->results || !j->checks)
        return ERR_NOMEM;
    for (uint32_t i = 0; !rc && i < j->p->checks.count; i++)
        rc = judge_check(j, i, d);
    return rc;
}

/* The sentences: only now, because most answers change what is true, and few are read. */
static enum err tell(struct judging *j, bool urgent_only, struct judgement *out)
{
    const struct pack *p = j->p;
    enum err rc = ERR_OK;
    out->findings = ARENA_ARRAY(j->a, struct finding, p->checks.count + 1);
    if (!out->findings)
        return ERR_NOMEM;
    for (uint32_t i = 0; !rc && i < p->checks.count; i++) {
        const struct pack_check *c = &p->checks.at[i];
        struct finding *f = &out->findings[out->count];
        if (j->results[i] == TRUTH_FALSE || (urgent_only && (!c->urgent || j->results[i] != TRUTH_TRUE)))
            continue;
        j->trace = j->checks[i].trace;
        rc = explain_finding(j, c, j->results[i], &j->checks[i].fault, f);
        if (rc)
            break;
        out->count++;
        out->unknown += f->state == FINDING_CANNOT_JUDGE;
        if (f->state == FINDING_HIT && f->severity > out->level)
            out->level = f->severity;
    }
    out->checked = p->checks.count;
    if (!rc)
        rc = suggest_category(j, out);
    sort_findings(out->findings, out->count);
    return rc;
}

static enum err judge_prepare(struct judging *j, struct diag *d)
{
    j->reading_count = layout_of(j->p).first[READING_CELL];
    enum err rc = resolve_params(j);
    if (!rc)
        rc = read_dept(j, d);
    if (!rc)
        rc = open_side(j, &j->before, j->in->prev, true);
    if (!rc)
        rc = open_side(j, &j->now, j->in->now, false);
    if (rc)
        return rc;
    j->words = j->reading_count / 64 + 1;
    j->readings = ARENA_ARRAY(&j->keep, struct value, j->reading_count + 1);
    j->noted = ARENA_ARRAY(&j->keep, uint64_t, j->words + 1);
    j->changed = ARENA_ARRAY(&j->keep, uint64_t, j->words + 1);
    if (!j->readings || !j->noted || !j->changed)
        return ERR_NOMEM;
    rc = find_prev_date(j);
    if (!rc && j->before.session)
        rc = derive(&j->before);
    if (!rc)
        rc = derive(&j->now);
    return rc;
}

/* -- after every answer
 * -----------------------------------------------------------------------------------------
 * An answer may change what other questions are worth: relevance, calculations, whole rows. So nothing is
 * believed of what changed; everything that was ever read is read again, which is cheap, and only what rests
 * on a reading that differs is judged again. */

/* True when the rows are those of before, in the same order. */
static bool same_rows(struct side *s, uint32_t i)
{
    const struct rows *r = &s->rows[i];
    struct nodes found = {0};
    struct place *places = NULL;
    s->eval.fuel = JUDGE_FUEL_MAX;
    if (s->eval.nodes(&s->eval, s->root, s->j->p->sets.at[i].ref, &found) || found.count != r->count)
        return false;
    for (uint32_t k = 0; k < r->count; k++)
        if (found.at[k].x != r->at[k].x)
            return false;
    uint32_t count = instances_of(s, &s->j->p->sets.at[i], &places), known = 0;
    for (uint32_t k = 0; k < r->count; k++)
        known += r->places[k] <= count && r->places[k] > 0 && places[r->places[k] - 1].key == r->keys[k];
    return known == r->count;
}

/* A reading again; what differs is kept and marked. */
static enum err reread(struct side *s, struct node at, uint32_t ref, enum pack_type type, uint32_t number,
                       struct value *copy)
{
    struct judging *j = s->j;
    struct value v = unknown();
    enum err rc = s->scalar(&s->eval, at, ref, &v);
    if (rc)
        return rc;
    v = as_type(&v, type);
    if (same_value(&v, &j->readings[number]))
        return ERR_OK;
    if (!keep_value(j, &v))
        return ERR_NOMEM;
    j->readings[number] = v;
    if (copy)
        *copy = v;
    j->changed[number / 64] |= UINT64_C(1) << (number % 64);
    return ERR_OK;
}

static enum err reread_all(struct side *s)
{
    struct judging *j = s->j;
    const struct pack *p = j->p;
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < p->inputs.count; i++)
        if (s->input_read[i])
            rc = reread(s, s->root, p->inputs.at[i].ref, p->inputs.at[i].type, i, &s->inputs[i]);
    for (uint32_t i = 0; !rc && i < p->sets.count; i++) {
        const struct pack_set *set = &p->sets.at[i];
        for (uint32_t row = 0; row < s->rows[i].count; row++) {
            uint32_t number = s->rows[i].first + row * row_readings(set, s->prev);
            for (uint32_t k = 0; !rc && k < set->field_count; k++, number++)
                if (trace_has(j->noted, number))
                    rc = reread(s, s->rows[i].at[row], set->fields[k].ref, set->fields[k].type, number, NULL);
        }
    }
    return rc;
}

static bool touched(const struct judging *j, const struct trace *t)
{
    uint64_t common = 0;
    for (uint32_t i = 0; i < j->words; i++)
        common |= t->reads[i] & j->changed[i];
    return common != 0;
}

static enum err judge_touched_check(struct judging *j, uint32_t i, uint32_t *count, struct diag *d)
{
    const struct pack_check *c = &j->p->checks.at[i];
    bool again = touched(j, &j->checks[i].trace);
    for (uint32_t k = c->value_first; !again && k < c->value_first + c->value_count; k++)
        again = touched(j, &j->now.traces[k]);
    if (!again)
        return ERR_OK;
    ++*count;
    return judge_check(j, i, d);
}

static enum err judge_touched(struct judging *j, uint32_t *count, struct diag *d)
{
    const struct pack *p = j->p;
    struct side *s = &j->now;
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < p->sets.count; i++)
        if (touched(j, &s->rows[i].trace))
            rc = keep_rows(s, i);
    for (uint32_t i = 0; !rc && i < p->derived_count; i++) {
        struct diag fault = {0};
        if (touched(j, &s->traces[p->order[i]]))
            rc = derive_one(s, p->order[i], &fault);
    }
    for (uint32_t i = 0; !rc && i < p->checks.count; i++)
        rc = judge_touched_check(j, i, count, d);
    return rc;
}

/* -- the whole
 * -------------------------------------------------------------------------------------------------- */

struct judge {
    struct judging j;
    struct judge_input in;
};

#define JUDGE_KEEP_MAX (4u << 20) /* what answers leave behind; then everything is begun anew */

static enum err explain_error(enum err rc, struct diag *d)
{
    if (rc == ERR_NOMEM)
        return diag_set(d, rc, "There is no memory left to judge this household.");
    if (rc == ERR_LIMIT)
        return d && d->code == rc ? rc : diag_set(d, rc, "The rule pack takes too many steps.");
    return rc ? diag_set(d, rc, "The rule pack cannot be applied to this household.") : rc;
}

static enum err begin(struct judging *j, struct diag *d)
{
    arena_init(&j->keep, JUDGE_MEMORY_MAX);
    arena_init(&j->scratch, JUDGE_MEMORY_MAX);
    j->fuel = JUDGE_FUEL_MAX;
    enum err rc = judge_prepare(j, d);
    if (!rc)
        rc = judge_all(j, d);
    return rc;
}

static void end(struct judging *j)
{
    arena_free(&j->scratch);
    arena_free(&j->keep);
}

static struct judgement empty(const struct judging *j)
{
    return (struct judgement){
        .pack_id = j->p->id,
        .pack_version = j->p->version,
        .category = STR(""),
        .category_zh = STR(""),
        .category_en = STR(""),
        .expired = j->in->today > j->p->valid_to,
    };
}

enum err judge_open(struct arena *a, const struct pack *p, const struct judge_input *in,
                    struct judge **judge_out, struct diag *d)
{
    struct judge *g = ARENA_NEW(a, struct judge);
    if (!g)
        return diag_set(d, ERR_NOMEM, "There is no memory left to judge this household.");
    CHECK(in->now);
    g->in = *in;
    g->j = (struct judging){.p = p, .in = &g->in};
    enum err rc = explain_error(begin(&g->j, d), d);
    if (rc)
        end(&g->j);
    else
        *judge_out = g;
    return rc;
}

void judge_close(struct judge *g)
{
    if (g)
        end(&g->j);
}

static enum err begin_anew(struct judge *g, struct diag *d)
{
    const struct pack *p = g->j.p;
    end(&g->j);
    g->j = (struct judging){.p = p, .in = &g->in};
    return begin(&g->j, d);
}

enum err judge_touch(struct judge *g, uint32_t *judged_out, struct diag *d)
{
    struct judging *j = &g->j;
    struct arena_mark mark = arena_mark(&j->scratch);
    bool same = j->keep.used < JUDGE_KEEP_MAX;
    uint32_t count = 0;
    enum err rc = ERR_OK;
    look_at(&j->now);
    j->fuel = JUDGE_FUEL_MAX;
    j->trace = (struct trace){0};
    memset(j->changed, 0, (j->words + 1) * sizeof(*j->changed));
    for (uint32_t i = 0; same && i < j->p->sets.count; i++)
        same = same_rows(&j->now, i);
    if (same) {
        rc = reread_all(&j->now);
        arena_release(&j->scratch, mark);
        if (!rc)
            rc = judge_touched(j, &count, d);
    } else {
        rc = begin_anew(g, d);
        count = j->p->checks.count;
    }
    if (!rc && judged_out)
        *judged_out = count;
    return explain_error(rc, d);
}

enum err judge_findings(struct judge *g, struct arena *a, bool urgent_only, struct judgement *out,
                        struct diag *d)
{
    struct judgement result = empty(&g->j);
    g->j.a = a;
    g->j.fuel = JUDGE_FUEL_MAX;
    enum err rc = tell(&g->j, urgent_only, &result);
    if (!rc)
        *out = result;
    return explain_error(rc, d);
}

enum err judge_and(struct arena *a, const struct pack *p, const struct judge_input *in, struct judgement *out,
                   enum err (*then)(void *self, struct judging *j), void *self, struct diag *d)
{
    struct judging j = {.p = p, .in = in, .a = a};
    struct judgement result = empty(&j);
    CHECK(in->now);
    enum err rc = begin(&j, d);
    if (!rc)
        rc = tell(&j, false, &result);
    if (!rc && then)
        rc = then(self, &j);
    if (!rc)
        *out = result;
    end(&j);
    return explain_error(rc, d);
}

enum err judge_household(struct arena *a, const struct pack *p, const struct judge_input *in,
                         struct judgement *out, struct diag *d)
{
    return judge_and(a, p, in, out, NULL, NULL, d);
}
