/* What a person reads and what a machine compares: the sentence of a finding with its values, the values it
 * rests on with where each comes from, what is missing, and the same as JSON; then the page of a whole
 * judgement.
 *
 * Numbers are written from their decimal digits, never through floating-point arithmetic, and amounts are
 * cut, not rounded, at the fen: 7,499.997 must not read as 7,500 in a sentence that says it is below 7,500.
 */
#include "risk/pack_impl.h"

#include "platform/base/civil.h"

#define SENTENCE_MAX 65536
#define VALUES_JSON_MAX (4u << 20)

/* -- templates
 * -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum template_format format;
} formats[] = {
    {"money", FORMAT_MONEY},   {"percent", FORMAT_PERCENT}, {"count", FORMAT_COUNT},
    {"number", FORMAT_NUMBER}, {"date", FORMAT_DATE},       {"names", FORMAT_NAMES},
    {"choice", FORMAT_CHOICE},
};

static enum err add_text(struct arena *a, struct template *t, struct str text)
{
    if (text.n == 0)
        return ERR_OK;
    struct template_part *part = vec_push(a, &t->parts);
    if (!part)
        return ERR_NOMEM;
    part->kind = TEMPLATE_TEXT;
    part->text = arena_str(a, text);
    return part->text.p ? ERR_OK : ERR_NOMEM;
}

static enum err add_condition(struct arena *a, struct str inside, const struct template_names *names,
                              struct template_part *part, struct diag *d)
{
    ptrdiff_t colon = str_find(inside, STR(":"));
    if (colon < 1)
        return diag_set(d, ERR_SYNTAX, "\"{?%.*s}\" needs a name, a colon and the text to show.",
                        STR_ARG(inside));
    if (!names->find(names->self, str_sub(inside, 0, (size_t)colon), part, d))
        return ERR_SYNTAX;
    if (part->kind != TEMPLATE_VALUE)
        return diag_set(d, ERR_SYNTAX, "\"{?%.*s}\" asks for a value that is true or false.",
                        STR_ARG(inside));
    part->kind = TEMPLATE_IF;
    part->text = arena_str(a, str_sub(inside, (size_t)colon + 1, inside.n));
    return part->text.p ? ERR_OK : ERR_NOMEM;
}

static enum err add_value(struct str inside, const struct template_names *names, struct template_part *part,
                          struct diag *d)
{
    struct str rest = inside, name, format;
    str_split(&rest, '|', &name);
    if (!names->find(names->self, name, part, d))
        return ERR_SYNTAX;
    if (!str_split(&rest, '|', &format))
        return ERR_OK;
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
        if (str_eq_z(format, formats[i].name)) {
            part->format = formats[i].format;
            return ERR_OK;
        }
    return diag_set(d, ERR_SYNTAX,
                    "\"%.*s\" is no way to show a value; known are money, percent, count, number, date, "
                    "names and choice.",
                    STR_ARG(format));
}

enum err template_parse(struct arena *a, struct str text, const struct template_names *names,
                        struct template *out, struct diag *d)
{
    struct template t = {0};
    size_t from = 0;
    enum err rc = ERR_OK;
    for (size_t i = 0; i < text.n && !rc;) {
        if (text.p[i] != '{') {
            i++;
            continue;
        }
        if (i + 1 < text.n && text.p[i + 1] == '{') { /* "{{" stands for one brace */
            rc = add_text(a, &t, str_sub(text, from, i + 1 - from));
            i += 2;
            from = i;
            continue;
        }
        ptrdiff_t close = str_find(str_sub(text, i, text.n), STR("}"));
        if (close < 0)
            return diag_set(d, ERR_SYNTAX, "A \"{\" is not closed in \"%.*s\"; write \"{{\" for a brace.",
                            STR_ARG(text));
        struct str inside = str_sub(text, i + 1, (size_t)close - 1);
        rc = add_text(a, &t, str_sub(text, from, i - from));
        struct template_part part = {0};
        if (!rc && inside.n && inside.p[0] == '?')
            rc = add_condition(a, str_sub(inside, 1, inside.n), names, &part, d);
        else if (!rc)
            rc = add_value(inside, names, &part, d);
        struct template_part *slot = rc ? NULL : vec_push(a, &t.parts);
        if (!slot)
            return rc ? rc : ERR_NOMEM;
        *slot = part;
        i += (size_t)close + 1;
        from = i;
    }
    if (!rc)
        rc = add_text(a, &t, str_sub(text, from, text.n));
    if (!rc)
        *out = t;
    return rc;
}

/* -- numbers
 * ---------------------------------------------------------------------------------------------------- */

struct digits {
    bool negative;
    struct str whole, fraction;
};

/* The decimal text of a number, taken apart; `text` holds it. */
static bool digits_of(const struct value *v, char text[static NUM_TEXT_MAX], struct digits *out)
{
    struct str s;
    if (v->type == VALUE_DEC)
        s = (struct str){text, dec_write(v->dec, text)};
    else if (v->type == VALUE_NUMBER)
        s = (struct str){text, num_write(v->number, text)};
    else
        return false;
    *out = (struct digits){0};
    if (s.n && s.p[0] == '-') {
        out->negative = true;
        s = str_sub(s, 1, s.n);
    }
    if (s.n == 0 || s.p[0] < '0' || s.p[0] > '9')
        return false; /* NaN, Infinity */
    ptrdiff_t point = str_find(s, STR("."));
    out->whole = point < 0 ? s : str_sub(s, 0, (size_t)point);
    out->fraction = point < 0 ? STR("") : str_sub(s, (size_t)point + 1, s.n);
    return true;
}

static void put_grouped(struct buf *out, struct str whole)
{
    for (size_t i = 0; i < whole.n; i++) {
        if (i && (whole.n - i) % 3 == 0)
            buf_put_char(out, ',');
        buf_put_char(out, whole.p[i]);
    }
}

static bool all_zero(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '0')
            return false;
    return true;
}

static void put_money(struct buf *out, struct digits d)
{
    struct str fen = str_sub(d.fraction, 0, 2);
    if (d.negative && !(all_zero(d.whole) && all_zero(fen)))
        buf_put_char(out, '-');
    put_grouped(out, d.whole);
    if (all_zero(fen))
        return;
    buf_put_char(out, '.');
    buf_put_str(out, fen);
    if (fen.n == 1)
        buf_put_char(out, '0');
}

/* Digits with the point `shift` places to the right, rounded half up to one decimal: 0.3055 with 2 is 30.6.
 */
static void put_rounded(struct buf *out, struct digits d, size_t shift)
{
    char text[NUM_TEXT_MAX + 8] = "0"; /* a leading place for the carry */
    size_t n = 1, keep = d.whole.n + shift + 2;
    if (d.whole.n)
        memcpy(text + n, d.whole.p, d.whole.n);
    n += d.whole.n;
    size_t fraction = d.fraction.n < shift + 2 ? d.fraction.n : shift + 2;
    if (fraction)
        memcpy(text + n, d.fraction.p, fraction);
    n += fraction;
    while (n < keep + 1)
        text[n++] = '0';
    bool up = text[keep] >= '5';
    for (size_t i = keep; up && i-- > 0;) {
        up = text[i] == '9';
        text[i] = up ? '0' : (char)(text[i] + 1);
    }
    struct str whole = {text, keep - 1};
    while (whole.n > 1 && whole.p[0] == '0')
        whole = str_sub(whole, 1, whole.n);
    bool tenth = text[keep - 1] != '0';
    if (d.negative && (tenth || !all_zero(whole)))
        buf_put_char(out, '-');
    put_grouped(out, whole);
    if (tenth) {
        buf_put_char(out, '.');
        buf_put_char(out, text[keep - 1]);
    }
}

static void put_plain(struct buf *out, struct digits d)
{
    if (d.negative)
        buf_put_char(out, '-');
    buf_put_str(out, d.whole);
    if (d.fraction.n) {
        buf_put_char(out, '.');
        buf_put_str(out, d.fraction);
    }
}

/* -- values
 * ----------------------------------------------------------------------------------------------------- */

enum template_format format_of_type(enum pack_type type)
{
    switch (type) {
    case PACK_MONEY: return FORMAT_MONEY;
    case PACK_COUNT: return FORMAT_COUNT;
    case PACK_RATIO: return FORMAT_NUMBER;
    case PACK_CHOICE:
    case PACK_CHOICES:
    case PACK_YESNO: return FORMAT_CHOICE;
    case PACK_DATE: return FORMAT_DATE;
    default: return FORMAT_PLAIN;
    }
}

static void put_day(struct buf *out, int64_t day)
{
    char text[16];
    buf_put(out, text, civil_write_date(day, text));
}

static void put_choice(struct buf *out, const struct shown *s, enum language l)
{
    struct str text = s->value.text;
    for (uint32_t i = 0; s->item && i < s->item->choices.count; i++)
        if (str_eq(s->item->choices.at[i].value, text)) {
            buf_put_str(out, words_in(s->item->choices.at[i].words, l));
            return;
        }
    if (str_eq_z(text, "yes"))
        buf_put_z(out, l == LANGUAGE_EN ? "yes" : "是");
    else if (str_eq_z(text, "no"))
        buf_put_z(out, l == LANGUAGE_EN ? "no" : "否");
    else
        buf_put_str(out, text);
}

void show_value(struct buf *out, const struct shown *s, enum template_format format, enum language l)
{
    const struct value *v = &s->value;
    char text[NUM_TEXT_MAX];
    struct digits d;
    if (format == FORMAT_PLAIN && s->item)
        format = format_of_type(s->item->type);
    if (digits_of(v, text, &d)) {
        if (format == FORMAT_MONEY)
            put_money(out, d);
        else if (format == FORMAT_PERCENT)
            put_rounded(out, d, 2);
        else if (format == FORMAT_NUMBER)
            put_rounded(out, d, 0);
        else
            put_plain(out, d);
        if (format == FORMAT_PERCENT)
            buf_put_char(out, '%');
        return;
    }
    switch (v->type) {
    case VALUE_BOOL:
        buf_put_z(out, l == LANGUAGE_EN ? (v->boolean ? "yes" : "no") : (v->boolean ? "是" : "否"));
        break;
    case VALUE_STRING: put_choice(out, s, l); break;
    case VALUE_DATE: put_day(out, v->day); break;
    case VALUE_RANGE:
        buf_put_i64(out, v->range.lo);
        buf_put_z(out, l == LANGUAGE_EN ? " to " : "至");
        buf_put_i64(out, v->range.hi);
        break;
    case VALUE_NODES:
        for (uint32_t i = 0; i < s->name_count; i++) {
            if (i)
                buf_put_z(out, l == LANGUAGE_EN ? ", " : "、");
            buf_put_str(out, s->names[i]);
        }
        break;
    default: buf_put_z(out, l == LANGUAGE_EN ? "unknown" : "不详"); break;
    }
}

void value_json(struct buf *out, const struct value *v)
{
    char text[NUM_TEXT_MAX];
    struct digits d;
    if (digits_of(v, text, &d)) {
        put_plain(out, d);
        return;
    }
    switch (v->type) {
    case VALUE_BOOL: buf_put_z(out, v->boolean ? "true" : "false"); break;
    case VALUE_STRING: buf_put_json(out, v->text); break;
    case VALUE_DATE:
        buf_put_char(out, '"');
        put_day(out, v->day);
        buf_put_char(out, '"');
        break;
    case VALUE_RANGE:
        buf_put_char(out, '[');
        buf_put_i64(out, v->range.lo);
        buf_put_char(out, ',');
        buf_put_i64(out, v->range.hi);
        buf_put_char(out, ']');
        break;
    default: buf_put_z(out, "null"); break;
    }
}

/* -- sentences
 * -------------------------------------------------------------------------------------------------- */

/* A buffer's text into the arena of the result. */
static enum err take(struct judging *j, struct buf *b, struct str *out)
{
    enum err rc = b->failed;
    if (!rc) {
        *out = arena_str(j->a, str_trim(buf_str(b)));
        rc = out->p ? ERR_OK : ERR_NOMEM;
    }
    buf_free(b);
    return rc == ERR_LIMIT ? ERR_NOMEM : rc;
}

static enum err names_of(struct judging *j, struct shown *s)
{
    const struct nodes *nodes = s->value.nodes;
    struct str *names = ARENA_ARRAY(&j->keep, struct str, nodes->count + 1);
    if (!names)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < nodes->count; i++) {
        struct value v = {.type = VALUE_UNKNOWN};
        enum err rc = j->now.typed(&j->now.eval, nodes->at[i], &v);
        if (rc)
            return rc;
        names[i] = v.type == VALUE_UNKNOWN ? STR("?") : arena_str(&j->keep, value_text(&j->now.eval, &v));
    }
    s->names = names;
    s->name_count = nodes->count;
    return ERR_OK;
}

/* What a sentence shows is written down like what its condition read: it belongs to the reason too. */
static enum err part_value(struct judging *j, const struct template_part *part, struct shown *s)
{
    *s = (struct shown){.value = {.type = VALUE_UNKNOWN}};
    bool prev = part->kind == TEMPLATE_PREV_INPUT || part->kind == TEMPLATE_PREV_VALUE;
    struct side *side = prev ? &j->before : &j->now;
    enum err rc = ERR_OK;
    switch (part->kind) {
    case TEMPLATE_INPUT:
    case TEMPLATE_PREV_INPUT:
        rc = side_read(side, pack_ref(REF_INPUT, part->index), &s->value);
        s->item = &j->p->inputs.at[part->index];
        break;
    case TEMPLATE_VALUE:
    case TEMPLATE_PREV_VALUE:
    case TEMPLATE_IF:
        rc = side_read(side, pack_ref(REF_VALUE, part->index), &s->value);
        s->item = part->index < j->p->derived_count ? &j->p->values.at[part->index] : NULL;
        break;
    case TEMPLATE_PARAM: s->value = param_read(j, part->index); break;
    case TEMPLATE_DEPT:
        s->value = dept_read(j, part->index);
        s->item = &j->p->dept.at[part->index];
        break;
    case TEMPLATE_TEXT: break;
    }
    if (rc)
        return rc;
    return s->value.type == VALUE_NODES ? names_of(j, s) : ERR_OK;
}

static enum err render(struct judging *j, const struct template *t, enum language l, struct str *out)
{
    struct buf b;
    enum err rc = ERR_OK;
    buf_init(&b, SENTENCE_MAX);
    for (uint32_t i = 0; !rc && i < t->parts.count; i++) {
        const struct template_part *part = &t->parts.at[i];
        struct shown s;
        if (part->kind == TEMPLATE_TEXT) {
            buf_put_str(&b, part->text);
            continue;
        }
        rc = part_value(j, part, &s);
        if (rc)
            break;
        if (part->kind != TEMPLATE_IF)
            show_value(&b, &s, part->format, l);
        else if (value_truth(&j->now.eval, &s.value) == TRUTH_TRUE)
            buf_put_str(&b, part->text);
    }
    if (rc) {
        buf_free(&b);
        return rc;
    }
    return take(j, &b, out);
}

/* -- what a check read
 * ------------------------------------------------------------------------------------------ */

static const struct pack_item *item_of(const struct judging *j, struct reading_id id)
{
    switch (id.kind) {
    case READING_INPUT:
    case READING_PREV_INPUT: return &j->p->inputs.at[id.index];
    case READING_VALUE:
    case READING_PREV_VALUE: return &j->p->values.at[id.index];
    case READING_DEPT: return &j->p->dept.at[id.index];
    case READING_CELL:
    case READING_PREV_CELL: return &j->p->sets.at[id.index].fields[id.field];
    case READING_DEPT_CELL: return &j->p->sets.at[id.index].dept[id.field];
    default: return NULL;
    }
}

static bool is_prev(enum reading_kind k)
{
    return k == READING_PREV_INPUT || k == READING_PREV_VALUE || k == READING_PREV_CELL ||
           k == READING_PREV_DATE;
}

static const struct rows *rows_of(const struct judging *j, struct reading_id id)
{
    return id.kind == READING_PREV_CELL ? &j->before.rows[id.index] : &j->now.rows[id.index];
}

static bool is_cell(enum reading_kind k)
{
    return k == READING_CELL || k == READING_PREV_CELL || k == READING_DEPT_CELL;
}

/* "npi", "prev.npi", "members[2].health", "dept.med_self", "dept.members[2].school", "param.line_income",
 * "prev.date". */
static void put_name(struct buf *out, const struct judging *j, struct reading_id id)
{
    if (is_prev(id.kind))
        buf_put_z(out, "prev.");
    if (id.kind == READING_DEPT || id.kind == READING_DEPT_CELL)
        buf_put_z(out, "dept.");
    if (id.kind == READING_PARAM) {
        buf_put_z(out, "param.");
        buf_put_str(out, j->p->params.at[id.index].name);
        return;
    }
    if (id.kind == READING_PREV_DATE) {
        buf_put_z(out, "date");
        return;
    }
    if (is_cell(id.kind)) {
        buf_put_str(out, j->p->sets.at[id.index].name);
        buf_put_char(out, '[');
        buf_put_u64(out, rows_of(j, id)->places[id.row]);
        buf_put_z(out, "].");
    }
    buf_put_str(out, item_of(j, id)->name);
}

/* Who a row is: the field the set names, else its place on the roster. */
static enum err put_row_name(struct buf *out, struct judging *j, struct reading_id id, enum language l)
{
    const struct pack_set *set = &j->p->sets.at[id.index];
    struct side *s = id.kind == READING_PREV_CELL ? &j->before : &j->now;
    const struct rows *r = rows_of(j, id);
    struct value v = {.type = VALUE_UNKNOWN};
    enum err rc = ERR_OK;
    if (set->name_field != UINT32_MAX)
        rc = s->scalar(&s->eval, r->at[id.row], set->fields[set->name_field].ref, &v);
    struct str name = rc || v.type == VALUE_UNKNOWN ? STR("") : value_text(&s->eval, &v);
    if (name.n) {
        buf_put_str(out, name);
    } else if (l == LANGUAGE_EN) {
        buf_put_z(out, "no. ");
        buf_put_u64(out, r->places[id.row]);
    } else {
        buf_put_z(out, "第");
        buf_put_u64(out, r->places[id.row]);
        buf_put_z(out, "个");
    }
    buf_put_z(out, l == LANGUAGE_EN ? ": " : "：");
    return rc;
}

static enum err put_label(struct buf *out, struct judging *j, struct reading_id id, enum language l)
{
    enum err rc = ERR_OK;
    if (is_cell(id.kind))
        rc = put_row_name(out, j, id, l);
    if (id.kind == READING_PARAM)
        buf_put_str(out, words_in(j->p->params.at[id.index].words, l));
    else if (id.kind == READING_PREV_DATE)
        buf_put_z(out, l == LANGUAGE_EN ? "date of the last visit" : "上次走访日期");
    else
        buf_put_str(out, words_in(item_of(j, id)->words, l));
    return rc;
}

static void put_param_json(struct buf *out, const struct judging *j, uint32_t i)
{
    const struct pack_param *p = &j->p->params.at[i];
    const struct pack_entry *e = j->params[i].entry;
    buf_put_json(out, p->name);
    if (!e) {
        buf_put_z(out, ":null");
        return;
    }
    struct value v = {.type = VALUE_DEC, .dec = e->value};
    buf_put_z(out, ":{\"value\":");
    value_json(out, &v);
    buf_put_z(out, ",\"unit\":");
    buf_put_json(out, p->unit);
    buf_put_z(out, ",\"area\":");
    buf_put_json(out, e->area.n ? e->area : STR("*"));
    buf_put_z(out, ",\"from\":");
    if (e->from == INT64_MIN) {
        buf_put_z(out, "null");
    } else {
        buf_put_char(out, '"');
        put_day(out, e->from);
        buf_put_char(out, '"');
    }
    buf_put_z(out, ",\"source\":");
    buf_put_json(out, e->source);
    buf_put_z(out, p->example ? ",\"example\":true}" : ",\"example\":false}");
}

/* Inputs and parameters as JSON, in the order of their numbers, which is that of the pack. */
static enum err explain_json(struct judging *j, struct finding *f)
{
    struct buf inputs, params, name;
    buf_init(&inputs, VALUES_JSON_MAX);
    buf_init(&params, VALUES_JSON_MAX);
    buf_init(&name, SENTENCE_MAX);
    for (uint32_t n = 0; n < j->reading_count; n++) {
        if (!trace_has(j->trace.reads, n))
            continue;
        struct reading_id id = reading_of(j, n);
        struct buf *out = id.kind == READING_PARAM ? &params : &inputs;
        buf_put_char(out, out->n ? ',' : '{');
        if (id.kind == READING_PARAM) {
            put_param_json(out, j, id.index);
            continue;
        }
        buf_clear(&name);
        put_name(&name, j, id);
        buf_put_json(out, buf_str(&name));
        buf_put_char(out, ':');
        value_json(out, &j->readings[n]);
    }
    buf_put_z(&inputs, inputs.n ? "}" : "{}");
    buf_put_z(&params, params.n ? "}" : "{}");
    enum err rc = name.failed;
    buf_free(&name);
    enum err first = take(j, &inputs, &f->inputs);
    enum err second = take(j, &params, &f->params);
    return rc ? rc : first ? first : second;
}

static void put_source(struct buf *out, const struct judging *j, struct reading_id id, enum language l)
{
    bool en = l == LANGUAGE_EN;
    if (is_prev(id.kind))
        buf_put_z(out, en ? " (last visit)" : "（上次）");
    if (id.kind == READING_PARAM) {
        bool example = j->p->params.at[id.index].example;
        const struct pack_entry *e = j->params[id.index].entry;
        buf_put_z(out, en ? " (threshold" : "（标准");
        if (e && e->from != INT64_MIN) {
            buf_put_z(out, en ? " since " : "，");
            put_day(out, e->from);
            buf_put_z(out, en ? "" : "起");
        }
        buf_put_z(out, en ? (example ? ", example)" : ")") : (example ? "，示例）" : "）"));
    }
    if (id.kind != READING_DEPT)
        return;
    const struct dept_value *d = &j->dept[id.index];
    buf_put_z(out, en ? " (" : "（");
    buf_put_str(out, d->source.n ? d->source : en ? STR("department") : STR("部门"));
    if (d->as_of.n) {
        buf_put_char(out, ' ');
        buf_put_str(out, d->as_of);
    }
    buf_put_z(out, en ? ")" : "）");
}

static bool worth_showing(const struct judging *j, struct reading_id id, const struct value *v)
{
    const struct pack_item *item = item_of(j, id);
    if (is_cell(id.kind) || v->type == VALUE_NODES || v->type == VALUE_UNKNOWN)
        return false;
    if (!item || v->type != VALUE_STRING || item->type == PACK_TEXT)
        return true;
    if (str_eq_z(v->text, "yes") || str_eq_z(v->text, "no"))
        return true;
    for (uint32_t i = 0; i < item->choices.count; i++)
        if (str_eq(item->choices.at[i].value, v->text))
            return true;
    return false; /* a code that the pack has no words for */
}

static void put_unit(struct buf *out, struct str unit, enum language l)
{
    static const struct {
        const char *unit, *zh, *en;
    } units[] = {
        {"CNY", "元", " yuan"},
        {"%", "%", "%"},
        {"minutes", "分钟", " minutes"},
        {"days", "天", " days"},
        {"months", "个月", " months"},
        {"years", "岁", " years"},
        {"people", "人", ""},
        {"x", "倍", " times"},
    };
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
        if (str_starts(unit, str_of(units[i].unit))) {
            buf_put_z(out, l == LANGUAGE_EN ? units[i].en : units[i].zh);
            return;
        }
}

static enum err explain_values(struct judging *j, enum language l, struct str *out)
{
    struct buf b;
    enum err rc = ERR_OK;
    buf_init(&b, SENTENCE_MAX);
    for (uint32_t n = 0; !rc && n < j->reading_count; n++) {
        struct reading_id id;
        if (!trace_has(j->trace.direct, n))
            continue;
        id = reading_of(j, n);
        struct shown s = {.value = j->readings[n], .item = item_of(j, id)};
        if (!worth_showing(j, id, &s.value))
            continue;
        struct str unit = id.kind == READING_PARAM ? j->p->params.at[id.index].unit
                          : s.item                 ? s.item->unit
                                                   : STR("");
        enum template_format format = FORMAT_PLAIN;
        if (id.kind == READING_PARAM)
            format = str_starts(unit, STR("CNY")) ? FORMAT_MONEY
                     : str_eq_z(unit, "ratio")    ? FORMAT_PERCENT
                                                  : FORMAT_NUMBER;
        if (b.n)
            buf_put_z(&b, l == LANGUAGE_EN ? "; " : "；");
        rc = put_label(&b, j, id, l);
        buf_put_char(&b, ' ');
        show_value(&b, &s, format, l);
        put_unit(&b, unit, l);
        put_source(&b, j, id, l);
    }
    if (rc) {
        buf_free(&b);
        return rc;
    }
    return take(j, &b, out);
}

/* -- what is missing
 * -------------------------------------------------------------------------------------------- */

static enum err asked_here(struct judging *j, struct str ref, bool *asked_out)
{
    struct place place = {0};
    enum err rc = session_place(j->now.session, ref, &place, NULL);
    *asked_out = true;
    if (!rc)
        session_value(j->now.session, place, asked_out);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

/* A blank question that the form does not ask in this household is not what is missing. */
static enum err is_asked(struct judging *j, struct reading_id id, bool *asked_out)
{
    struct buf ref;
    *asked_out = true;
    if (id.kind != READING_INPUT && id.kind != READING_CELL)
        return ERR_OK;
    buf_init(&ref, SENTENCE_MAX);
    if (id.kind == READING_INPUT) {
        buf_put_str(&ref, j->p->inputs.at[id.index].path);
    } else {
        buf_put_str(&ref, j->p->sets.at[id.index].path);
        buf_put_char(&ref, '[');
        buf_put_u64(&ref, j->now.rows[id.index].places[id.row]);
        buf_put_z(&ref, "]/");
        buf_put_str(&ref, item_of(j, id)->name);
    }
    enum err rc = ref.failed ? ref.failed : asked_here(j, buf_str(&ref), asked_out);
    buf_free(&ref);
    return rc;
}

struct missing {
    uint32_t *numbers;
    uint32_t count;
};

static bool can_be_missing(const struct judging *j, uint32_t n)
{
    if (!trace_has(j->trace.reads, n) || j->readings[n].type != VALUE_UNKNOWN)
        return false;
    enum reading_kind kind = reading_of(j, n).kind;
    return kind != READING_VALUE && kind != READING_PREV_VALUE;
}

static enum err find_missing(struct judging *j, bool asked_only, struct missing *out)
{
    out->count = 0;
    for (uint32_t n = 0; n < j->reading_count; n++) {
        bool asked = true;
        if (!can_be_missing(j, n))
            continue;
        enum err rc = asked_only ? is_asked(j, reading_of(j, n), &asked) : ERR_OK;
        if (rc)
            return rc;
        if (asked)
            out->numbers[out->count++] = n;
    }
    return ERR_OK;
}

static enum err missing_names(struct judging *j, const struct missing *m, struct str *out)
{
    struct buf b;
    buf_init(&b, VALUES_JSON_MAX);
    for (uint32_t i = 0; i < m->count; i++) {
        if (i)
            buf_put_char(&b, ' ');
        put_name(&b, j, reading_of(j, m->numbers[i]));
    }
    return take(j, &b, out);
}

static enum err missing_sentence(struct judging *j, const struct missing *m, const struct diag *fault,
                                 enum language l, struct str *out)
{
    bool en = l == LANGUAGE_EN;
    struct buf b;
    enum err rc = ERR_OK;
    buf_init(&b, SENTENCE_MAX);
    if (fault->code) {
        buf_put_z(&b, en ? "Cannot judge: the rule has a fault (" : "无法判断：规则有错（");
        buf_put_z(&b, fault->text);
        buf_put_z(&b, en ? "). This does not mean there is no risk." : "）。这不等于没有风险。");
        return take(j, &b, out);
    }
    if (m->count == 0) {
        buf_put_z(&b, en ? "Cannot judge: these answers give no result. This does not mean there is no risk."
                         : "无法判断：这些答案算不出结果。这不等于没有风险。");
        return take(j, &b, out);
    }
    buf_put_z(&b, en ? "Cannot judge, missing: " : "无法判断：缺");
    for (uint32_t i = 0; !rc && i < m->count && i < JUDGE_MISSING_SHOWN_MAX; i++) {
        struct reading_id id = reading_of(j, m->numbers[i]);
        if (i)
            buf_put_z(&b, en ? ", " : "、");
        rc = put_label(&b, j, id, l);
        put_source(&b, j, id, l);
    }
    if (m->count > JUDGE_MISSING_SHOWN_MAX) {
        buf_put_z(&b, en ? " and " : "等");
        buf_put_u64(&b, en ? m->count - JUDGE_MISSING_SHOWN_MAX : m->count);
        buf_put_z(&b, en ? " more" : "项");
    }
    buf_put_z(&b, en ? ". Blank does not mean safe." : "。没填不等于没有风险。");
    if (rc) {
        buf_free(&b);
        return rc;
    }
    return take(j, &b, out);
}

static enum err explain_missing(struct judging *j, const struct diag *fault, struct finding *f)
{
    struct missing m = {ARENA_ARRAY(&j->keep, uint32_t, j->reading_count + 1), 0};
    if (!m.numbers)
        return ERR_NOMEM;
    enum err rc = find_missing(j, true, &m);
    if (!rc && m.count == 0)
        rc = find_missing(j, false, &m);
    if (!rc)
        rc = missing_names(j, &m, &f->missing);
    if (!rc)
        rc = missing_sentence(j, &m, fault, LANGUAGE_ZH, &f->text_zh);
    if (!rc)
        rc = missing_sentence(j, &m, fault, LANGUAGE_EN, &f->text_en);
    f->follow_zh = STR("去问清楚或看清楚，再判断。");
    f->follow_en = STR("Ask or look, then judge.");
    return rc;
}

static enum err explain_hit(struct judging *j, const struct pack_check *c, struct finding *f)
{
    enum err rc = render(j, &c->text_zh, LANGUAGE_ZH, &f->text_zh);
    if (!rc)
        rc = render(j, &c->text_en, LANGUAGE_EN, &f->text_en);
    if (!rc)
        rc = render(j, &c->follow_zh, LANGUAGE_ZH, &f->follow_zh);
    if (!rc)
        rc = render(j, &c->follow_en, LANGUAGE_EN, &f->follow_en);
    return rc;
}

enum err explain_finding(struct judging *j, const struct pack_check *c, enum truth t,
                         const struct diag *fault, struct finding *out)
{
    struct finding f = {
        .rule = c->id,
        .severity = c->severity,
        .state = t == TRUTH_TRUE ? FINDING_HIT : FINDING_CANNOT_JUDGE,
        .kind = c->kind,
        .urgent = c->urgent,
        .name_zh = c->name.zh,
        .name_en = c->name.en,
        .missing = STR(""),
        .source = c->source,
        .source_zh = c->source_words.zh,
        .source_en = c->source_words.en,
    };
    enum err rc = t == TRUTH_TRUE ? explain_hit(j, c, &f) : explain_missing(j, fault, &f);
    if (!rc)
        rc = explain_json(j, &f);
    if (!rc)
        rc = explain_values(j, LANGUAGE_ZH, &f.values_zh);
    if (!rc)
        rc = explain_values(j, LANGUAGE_EN, &f.values_en);
    if (!rc)
        *out = f;
    return rc;
}

/* -- the page
 * --------------------------------------------------------------------------------------------------- */

static const char *severity_word(enum severity s, bool en)
{
    static const char *const zh[] = {"", "下轮", "7天内", "立即"};
    static const char *const english[] = {"", "Next round", "Within 7 days", "Now"};
    return en ? english[s] : zh[s];
}

static void put_line(struct buf *out, const char *head, struct str text)
{
    if (text.n == 0)
        return;
    buf_put_z(out, "  ");
    buf_put_z(out, head);
    buf_put_str(out, text);
    buf_put_char(out, '\n');
}

static void put_finding(struct buf *out, const struct finding *f, bool en)
{
    bool hit = f->state == FINDING_HIT;
    buf_put_char(out, '[');
    buf_put_z(out, hit ? severity_word(f->severity, en) : en ? "Cannot judge" : "无法判断");
    buf_put_z(out, "] ");
    buf_put_str(out, en ? f->name_en : f->name_zh);
    buf_put_z(out, "  ");
    buf_put_str(out, f->rule);
    buf_put_char(out, '\n');
    put_line(out, "", en ? f->text_en : f->text_zh);
    if (hit)
        put_line(out, en ? "Rests on: " : "依据：", en ? f->values_en : f->values_zh);
    put_line(out, en ? "Check next: " : "接着核实：", en ? f->follow_en : f->follow_zh);
    put_line(out, en ? "Source: " : "来源：", en ? f->source_en : f->source_zh);
}

/* Risks, then what cannot be judged, then differences from records, then the clocks. */
static int page_group(const struct finding *f)
{
    if (f->state == FINDING_CANNOT_JUDGE)
        return 1;
    return f->kind == KIND_RISK ? 0 : f->kind == KIND_VERIFY ? 2 : 3;
}

void judgement_text(const struct judgement *j, struct str language, struct buf *out)
{
    bool en = str_starts(language, STR("en"));
    buf_put_z(out, en ? "Rule pack " : "规则包 ");
    buf_put_str(out, j->pack_id);
    buf_put_char(out, ' ');
    buf_put_str(out, j->pack_version);
    if (j->expired)
        buf_put_z(out, en ? " (expired: judged by an old standard)" : "（已过期：按旧标准）");
    buf_put_char(out, '\n');
    if (j->count == j->unknown)
        buf_put_z(out, en ? "The rules found no lead this time; that does not mean no risk."
                          : "本次规则没有发现线索，不等于没有风险。");
    else {
        buf_put_u64(out, j->count - j->unknown);
        buf_put_z(out, en ? (j->count - j->unknown == 1 ? " lead" : " leads") : " 条线索");
    }
    if (j->unknown) {
        buf_put_z(out, j->count == j->unknown ? (en ? " " : "") : en ? ", " : "，");
        buf_put_u64(out, j->unknown);
        buf_put_z(out, en ? " cannot be judged" : " 项无法判断");
    }
    if (j->count > j->unknown)
        buf_put_z(out, en ? ". A lead, not a verdict." : "。这是线索，不是结论。");
    buf_put_char(out, '\n');
    for (int group = 0; group < 4; group++)
        for (uint32_t i = 0; i < j->count; i++)
            if (page_group(&j->findings[i]) == group) {
                buf_put_char(out, '\n');
                put_finding(out, &j->findings[i], en);
            }
    if (j->category.n) {
        buf_put_z(out,
                  en ? "\nSuggested category (the village meeting decides): " : "\n建议类别（要经评议）：");
        buf_put_str(out, en ? j->category_en : j->category_zh);
        buf_put_char(out, '\n');
    }
}

static void put_member(struct buf *out, const char *name, struct str text)
{
    buf_put_char(out, ',');
    buf_put_char(out, '"');
    buf_put_z(out, name);
    buf_put_z(out, "\":");
    buf_put_json(out, text);
}

static void put_words(struct buf *out, const char *name, struct str zh, struct str en)
{
    buf_put_z(out, ",\"");
    buf_put_z(out, name);
    buf_put_z(out, "\":{\"zh\":");
    buf_put_json(out, zh);
    buf_put_z(out, ",\"en\":");
    buf_put_json(out, en);
    buf_put_char(out, '}');
}

static void finding_json(struct buf *out, const struct finding *f)
{
    buf_put_z(out, "{\"rule\":");
    buf_put_json(out, f->rule);
    put_member(out, "severity", str_of(severity_name(f->severity)));
    put_member(out, "state", f->state == FINDING_HIT ? STR("hit") : STR("cannot-judge"));
    put_member(out, "kind", str_of(finding_kind_name(f->kind)));
    buf_put_z(out, f->urgent ? ",\"urgent\":true" : ",\"urgent\":false");
    put_words(out, "name", f->name_zh, f->name_en);
    put_words(out, "text", f->text_zh, f->text_en);
    put_words(out, "values", f->values_zh, f->values_en);
    put_words(out, "follow", f->follow_zh, f->follow_en);
    buf_put_z(out, ",\"inputs\":");
    buf_put_str(out, f->inputs);
    buf_put_z(out, ",\"params\":");
    buf_put_str(out, f->params);
    buf_put_z(out, ",\"missing\":[");
    struct str rest = f->missing, word;
    for (bool first = true; str_word(&rest, &word); first = false) {
        if (!first)
            buf_put_char(out, ',');
        buf_put_json(out, word);
    }
    buf_put_char(out, ']');
    put_member(out, "source", f->source);
    buf_put_char(out, '}');
}

void judgement_json(const struct judgement *j, struct buf *out)
{
    buf_put_z(out, "{\"pack\":");
    buf_put_json(out, j->pack_id);
    put_member(out, "version", j->pack_version);
    buf_put_z(out, j->expired ? ",\"expired\":true" : ",\"expired\":false");
    put_member(out, "level", str_of(judgement_level(j)));
    put_member(out, "category", j->category);
    put_words(out, "category_name", j->category_zh, j->category_en);
    buf_put_z(out, ",\"checked\":");
    buf_put_u64(out, j->checked);
    buf_put_z(out, ",\"unknown\":");
    buf_put_u64(out, j->unknown);
    buf_put_z(out, ",\"findings\":[");
    for (uint32_t i = 0; i < j->count; i++) {
        if (i)
            buf_put_char(out, ',');
        finding_json(out, &j->findings[i]);
    }
    buf_put_z(out, "]}");
}
