/* Takes an answer: is it of the type, among the choices, within the constraint? Only then it is written. Also
 * the answers that are not answers, the whole-form violation set, and finalising.
 */
#include "forms/instance.h"

/* --- types --- */

static bool is_point(struct str s)
{
    struct str word;
    double v[4];
    uint32_t count = 0;
    while (str_word(&s, &word))
        if (count == 4 || !num_read(word, &v[count++]))
            return false;
    return count >= 2 && v[0] >= -90 && v[0] <= 90 && v[1] >= -180 && v[1] <= 180;
}

static bool is_points(struct str s, uint32_t least)
{
    struct str one;
    uint32_t count = 0;
    while (str_split(&s, ';', &one)) {
        one = str_trim(one);
        if (one.n == 0)
            continue;
        if (!is_point(one))
            return false;
        count++;
    }
    return count >= least;
}

/* "2020" or "2020-05": a birth year that is all anybody knows. */
static bool is_partial_date(struct str s)
{
    struct civil c;
    char whole[16];
    if (s.n != 4 && s.n != 7)
        return false;
    memcpy(whole, "0000-01-01", 10);
    memcpy(whole, s.p, s.n);
    return civil_read_date((struct str){whole, 10}, &c);
}

static bool has_word(struct str list, struct str word)
{
    struct str one;
    while (str_word(&list, &one))
        if (str_eq(one, word))
            return true;
    return false;
}

struct candidate {
    struct str text;
    enum answer_status status;
};

static enum err read_date(struct arena *a, struct candidate *c)
{
    struct civil day;
    char text[16];
    if (is_partial_date(c->text)) {
        c->status = ANSWER_PARTIAL;
        return ERR_OK;
    }
    if (!civil_read_date(c->text, &day))
        return ERR_SYNTAX;
    size_t n = civil_write_date(civil_days(day.year, day.month, day.day), text);
    c->text = arena_str(a, (struct str){text, n});
    return c->text.p ? ERR_OK : ERR_NOMEM;
}

/* The fraction of a number is dropped, as both reference engines do. */
static enum err read_whole(struct arena *a, struct candidate *c)
{
    int64_t whole;
    double number;
    char text[NUM_TEXT_MAX];
    if (str_to_i64(c->text, &whole))
        return ERR_OK;
    if (!num_read(c->text, &number) || number <= -9e15 || number >= 9e15)
        return ERR_SYNTAX;
    size_t n = num_write((double)(int64_t)number, text);
    c->text = arena_str(a, (struct str){text, n});
    return c->text.p ? ERR_OK : ERR_NOMEM;
}

/* ERR_SYNTAX when it is not of the type. */
static enum err read_typed_text(struct arena *a, enum field_type type, struct candidate *c)
{
    struct civil t;
    double number;
    bool fits = true;
    switch (type) {
    case FIELD_INT: return read_whole(a, c);
    case FIELD_DATE: return read_date(a, c);
    case FIELD_DECIMAL: fits = num_read(c->text, &number); break;
    case FIELD_BOOLEAN: fits = has_word(STR("true false 1 0"), c->text); break;
    case FIELD_TIME: fits = civil_read_time(c->text, &t); break;
    case FIELD_DATETIME: fits = civil_read(c->text, &t) && t.has_date && t.has_time; break;
    case FIELD_GEOPOINT: fits = is_point(c->text); break;
    case FIELD_GEOTRACE: fits = is_points(c->text, 2); break;
    case FIELD_GEOSHAPE: fits = is_points(c->text, 3); break;
    case FIELD_STRING:
    case FIELD_BINARY:
    case FIELD_BARCODE:
    case FIELD_SELECT_ONE:
    case FIELD_SELECT_MANY:
    case FIELD_RANK: break;
    }
    return fits ? ERR_OK : ERR_SYNTAX;
}

bool answer_fits(struct arena *a, enum field_type type, struct str text)
{
    struct candidate c = {str_trim(text), ANSWER_GIVEN};
    return read_typed_text(a, type, &c) == ERR_OK && str_eq(c.text, str_trim(text));
}

/* --- what is said --- */

/* Messages of our own are in Chinese where the form's language is, else in English. */
static bool in_chinese(const struct session *s)
{
    static const char *const names[] = {"zh", "(zh", "中文", "汉语", "漢語", "Chinese"};
    struct str language = s->language < s->form->languages.count ? s->form->languages.at[s->language]
                                                                 : STR("");
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        ptrdiff_t at = str_find(language, str_of(names[i]));
        if (i == 0 ? at == 0 : at >= 0)
            return true;
    }
    return false;
}

/* "..." is not <wanted>. */
static enum err wrong_type(const struct session *s, enum field_type type, struct str text, struct diag *d)
{
    static const struct {
        const char *english, *chinese;
    } wanted[] = {
        [FIELD_INT] = {"a whole number", "整数"},
        [FIELD_DECIMAL] = {"a number such as 12.5", "数字（例如 12.5）"},
        [FIELD_BOOLEAN] = {"true or false", "true 或 false"},
        [FIELD_DATE] = {"a date such as 2026-11-23", "日期（例如 2026-11-23）"},
        [FIELD_TIME] = {"a time such as 14:30", "时间（例如 14:30）"},
        [FIELD_DATETIME] = {"a date and time such as 2026-11-23T14:30",
                            "日期和时间（例如 2026-11-23T14:30）"},
        [FIELD_GEOPOINT] = {"a position such as \"6.3 -10.8\"", "位置（例如 6.3 -10.8）"},
        [FIELD_GEOTRACE] = {"a line of at least two positions", "至少两个位置的线"},
        [FIELD_GEOSHAPE] = {"an area of at least three positions", "至少三个位置的区域"},
    };
    struct str shown = str_sub(text, 0, utf8_offset(text, 60));
    return diag_set(d, ERR_SYNTAX, in_chinese(s) ? "“%.*s”不是%s。" : "\"%.*s\" is not %s.", STR_ARG(shown),
                    in_chinese(s) ? wanted[type].chinese : wanted[type].english);
}

static bool keeps_spaces(enum field_type type)
{
    return type == FIELD_STRING || type == FIELD_BINARY || type == FIELD_BARCODE;
}

/* One space between words, each word once, in the order given. */
static enum err tidy_words(struct arena *a, struct str *text)
{
    char *out = arena_alloc(a, text->n + 1);
    struct str rest = *text, word, done = {out, 0};
    if (!out)
        return ERR_NOMEM;
    while (str_word(&rest, &word)) {
        if (has_word(done, word))
            continue;
        if (done.n)
            out[done.n++] = ' ';
        memcpy(out + done.n, word.p, word.n);
        done.n += word.n;
    }
    *text = done;
    return ERR_OK;
}

static bool in_range(const struct control *c, struct str text)
{
    double v, start, end;
    if (!num_read(text, &v) || !num_read(c->range_start, &start) || !num_read(c->range_end, &end))
        return true;
    return start <= end ? v >= start && v <= end : v >= end && v <= start;
}

static enum err check_control(struct session *s, struct frame *f, uint32_t node, struct candidate *c,
                              struct diag *d)
{
    const struct schema_node *n = node_at(s, node);
    const struct control *control = n->control == NONE ? NULL : &s->form->controls.at[n->control];
    bool have = true;
    enum err rc = ERR_OK;
    if (!control)
        return ERR_OK;
    if (control->kind == CONTROL_RANGE && !in_range(control, c->text))
        return diag_set(d, ERR_SYNTAX,
                        in_chinese(s) ? "%.*s 不在 %.*s 和 %.*s 之间。"
                                      : "%.*s is not between %.*s and %.*s.",
                        STR_ARG(c->text), STR_ARG(control->range_start), STR_ARG(control->range_end));
    if (control->kind == CONTROL_TRIGGER && has_word(STR("true 1"), c->text))
        c->text = STR("OK"); /* what an acknowledgement is called in a submission */
    else if (control->kind == CONTROL_TRIGGER && has_word(STR("false 0"), c->text))
        c->text = STR("");
    if (control->kind != CONTROL_SELECT_ONE && control->kind != CONTROL_SELECT_MANY &&
        control->kind != CONTROL_RANK)
        return ERR_OK;
    if (control->kind != CONTROL_SELECT_ONE)
        rc = tidy_words(&s->scratch, &c->text);
    if (!rc)
        rc = choices_have(s, f, node, c->text, &have);
    if (!rc && !have)
        rc = diag_set(d, ERR_USAGE,
                      in_chinese(s) ? "“%.*s”不在选项之中。" : "\"%.*s\" is not among the choices.",
                      STR_ARG(str_sub(c->text, 0, utf8_offset(c->text, 60))));
    return rc;
}

/* --- messages --- */

struct str violation_message(struct session *s, const struct frame *f, uint32_t node, bool broken,
                             struct arena *a)
{
    const struct schema_node *n = node_at(s, node);
    const struct bind *b = n->bind == NONE ? NULL : &s->form->binds.at[n->bind];
    const struct label *label = b ? (broken ? &b->constraint_message : &b->required_message) : NULL;
    struct str text = STR("");
    if (label && label->there)
        text = label_text(s, label, TEXT_LONG, (struct node){0, f->number, node}, a);
    if (text.n)
        return text;
    bool chinese = in_chinese(s);
    if (broken && (!b || !b->expr[PROP_VALID]))
        return chinese ? STR("这个答案已不在选项之中。") : STR("This answer is no longer among the choices.");
    if (broken)
        return chinese ? STR("这里不允许这个答案。") : STR("This answer is not allowed here.");
    return chinese ? STR("此题必须回答。") : STR("This question must be answered.");
}

/* --- answering --- */

static enum err may_answer(struct session *s, struct place p, struct frame **f_out, struct diag *d)
{
    struct frame *f = place_frame(s, p);
    enum err rc = session_ready(s, d);
    if (rc)
        return rc;
    if (!f || p.node >= s->form->nodes.count || node_at(s, p.node)->class != f->class ||
        node_at(s, p.node)->field == NONE)
        return diag_set(d, ERR_NOT_FOUND, "There is no such question.");
    const struct schema_node *n = node_at(s, p.node);
    if (cell_at(s, f, p.node)->hidden)
        return diag_set(d, ERR_STATE,
                        in_chinese(s) ? "此题目前不适用。" : "This question does not apply now.");
    if (n->fixed || s->form->fields.at[n->field].calculated || cell_readonly(s, f, p.node))
        return diag_set(d, ERR_STATE,
                        in_chinese(s) ? "此项由问卷自动填写，不能作答。"
                                      : "This value is not to be answered: the form fills it in.");
    *f_out = f;
    return ERR_OK;
}

static enum err check_answer(struct session *s, struct frame *f, uint32_t node, struct candidate *c,
                             bool forced, struct diag *d)
{
    enum field_type type = node_at(s, node)->type;
    bool holds = true;
    if (c->text.n > ANSWER_BYTES_MAX)
        return diag_set(d, ERR_LIMIT,
                        in_chinese(s) ? "一个答案最多 %d 字节。" : "An answer holds at most %d bytes.",
                        ANSWER_BYTES_MAX);
    if (!utf8_valid(c->text))
        return diag_set(d, ERR_SYNTAX, "The answer is not UTF-8 text.");
    if (!keeps_spaces(type))
        c->text = str_trim(c->text);
    if (c->text.n == 0)
        return ERR_OK;
    enum err rc = read_typed_text(&s->scratch, type, c);
    if (rc == ERR_SYNTAX)
        return wrong_type(s, type, c->text, d);
    if (!rc)
        rc = check_control(s, f, node, c, d);
    if (!rc && !forced && c->status != ANSWER_PARTIAL)
        rc = constraint_holds(s, f, node, c->text, &holds);
    if (!rc && !holds) {
        struct str message = violation_message(s, f, node, true, &s->scratch);
        rc = diag_set(d, ERR_SYNTAX, "%.*s", STR_ARG(message));
    }
    return rc;
}

static enum err answer(struct session *s, struct place p, struct str value, bool forced, struct diag *d)
{
    struct frame *f = NULL;
    struct candidate c = {value, ANSWER_GIVEN};
    enum err rc = may_answer(s, p, &f, d);
    if (rc)
        return rc;
    struct arena_mark mark = arena_mark(&s->scratch);
    rc = check_answer(s, f, p.node, &c, forced, d);
    bool clears = forced && (rc == ERR_SYNTAX || rc == ERR_USAGE); /* `d` says why it cannot be kept */
    if (!rc || clears) {
        struct str kept = clears ? STR("") : c.text;
        enum err wrote = cell_set(s, f, p.node, kept, kept.n ? c.status : ANSWER_NONE);
        rc = wrote ? wrote : rc;
    }
    arena_release(&s->scratch, mark);
    if (rc && !clears)
        return rc;
    enum err computed = recompute(s, d);
    return computed ? computed : rc;
}

enum err session_answer(struct session *s, struct place p, struct str value, struct diag *d)
{
    return answer(s, p, value, false, d);
}

enum err session_answer_forced(struct session *s, struct place p, struct str value, struct diag *d)
{
    return answer(s, p, value, true, d);
}

enum err session_answer_status(struct session *s, struct place p, enum answer_status status, struct diag *d)
{
    struct frame *f = NULL;
    enum err rc = may_answer(s, p, &f, d);
    if (rc)
        return rc;
    struct str text = cell_at(s, f, p.node)->text;
    if ((status == ANSWER_GIVEN || status == ANSWER_PARTIAL) && text.n == 0)
        return diag_set(d, ERR_USAGE, "There is no answer that could be called given.");
    bool keeps = status == ANSWER_GIVEN || status == ANSWER_PARTIAL;
    uint32_t valid = node_at(s, p.node)->prop[PROP_VALID];
    cell_at(s, f, p.node)->flags &= (uint8_t)~CELL_TYPED;
    rc = cell_set(s, f, p.node, keeps ? text : STR(""), status);
    if (!rc && keeps)
        touch_value(s, f, p.node); /* a partial date reads as blank */
    if (!rc && valid != NONE)
        mark_prop(s, valid, f);
    return rc ? rc : recompute(s, d);
}

/* --- violations --- */

static int compare_cells(struct session *s, struct cell_id a, struct cell_id b)
{
    return s->primary.tree.ops->compare(&s->primary.tree, (struct node){0, a.frame, a.node},
                                        (struct node){0, b.frame, b.node});
}

/* Merge sort from below: a roster of a thousand may have thousands of open questions. */
static void sort_cells(struct session *s, struct cell_id *at, struct cell_id *spare, uint32_t count)
{
    for (uint32_t width = 1; width < count; width *= 2) {
        for (uint32_t from = 0; from < count; from += 2 * width) {
            uint32_t middle = from + width < count ? from + width : count;
            uint32_t end = from + 2 * width < count ? from + 2 * width : count;
            uint32_t i = from, k = middle;
            for (uint32_t out = from; out < end; out++) {
                bool left = i < middle && (k >= end || compare_cells(s, at[i], at[k]) <= 0);
                spare[out] = left ? at[i++] : at[k++];
            }
        }
        memcpy(at, spare, count * sizeof(*at));
    }
}

uint32_t session_violations(struct session *s, struct arena *a, struct place **places_out)
{
    uint32_t count = s->violations.count;
    struct cell_id *cells = ARENA_ARRAY(a, struct cell_id, count + 1),
                   *spare = ARENA_ARRAY(a, struct cell_id, count + 1);
    struct place *places = ARENA_ARRAY(a, struct place, count + 1);
    if (!cells || !spare || !places)
        return 0;
    if (count)
        memcpy(cells, s->violations.at, count * sizeof(*cells));
    sort_cells(s, cells, spare, count);
    for (uint32_t i = 0; i < count; i++)
        places[i] = place_of(s, s->frames.at[cells[i].frame], cells[i].node);
    *places_out = places;
    return count;
}

/* --- the end --- */

static enum err set_end_times(struct session *s)
{
    enum err rc = ERR_OK;
    struct arena_mark mark = arena_mark(&s->scratch);
    char text[40];
    struct civil c = civil_at(s->now_ms, s->host->zone ? s->host->zone : zone_utc());
    struct str now = {text, civil_write(&c, text)};
    for (uint32_t i = 0; i < s->form->preloads.count && !rc; i++) {
        const struct bind *b = &s->form->binds.at[s->form->preloads.at[i]];
        if (b->preload == PRELOAD_END && node_at(s, b->node)->class == 0)
            rc = cell_set(s, s->frames.at[0], b->node, now, ANSWER_GIVEN);
    }
    arena_release(&s->scratch, mark);
    return rc;
}

enum err session_finalise(struct session *s, struct diag *d)
{
    enum err rc = session_ready(s, d);
    if (!rc)
        rc = set_end_times(s);
    if (!rc)
        rc = run_event(s, EVENT_REVALIDATE);
    if (!rc)
        rc = recompute(s, d);
    if (rc)
        return rc;
    if (s->violations.count) {
        struct arena_mark mark = arena_mark(&s->scratch);
        struct place *places = NULL;
        if (session_violations(s, &s->scratch, &places)) {
            const struct frame *f = s->frames.at[places[0].frame];
            bool broken = cell_at(s, f, places[0].node)->flags & CELL_BROKEN;
            struct str ref = session_ref(s, places[0], &s->scratch);
            struct str message = violation_message(s, f, places[0].node, broken, &s->scratch);
            rc = diag_set(d, ERR_STATE,
                          in_chinese(s) ? "还有 %u 个答案需要处理，第一个是 %.*s：%.*s"
                                        : "%u answers stand in the way, first %.*s: %.*s",
                          s->violations.count, STR_ARG(ref), STR_ARG(message));
        }
        arena_release(&s->scratch, mark);
        return rc ? rc : ERR_NOMEM;
    }
    s->finalised = true;
    return ERR_OK;
}
