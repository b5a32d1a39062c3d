/* What a screen shows: labels with their outputs in the language of the session, choices after filters,
 * messages. All of it is computed when asked and belongs to the arena of the caller; nothing here changes the
 * interview.
 */
#include "forms/expr_impl.h"
#include "forms/instance.h"

/* --- texts --- */

static void put_segments(struct session *s, struct segments segments, struct node context, struct buf *b)
{
    for (uint32_t i = 0; i < segments.count; i++) {
        const struct segment *g = &s->form->segments.at[segments.first + i];
        if (!g->output) {
            buf_put_str(b, g->literal);
            continue;
        }
        struct value v;
        struct arena_mark mark = arena_mark(&s->scratch);
        if (evaluate(s, &s->scratch, g->output, context, &v) == ERR_OK) {
            struct eval e = eval_for(s, &s->scratch);
            buf_put_str(b, value_text(&e, &v));
        }
        arena_release(&s->scratch, mark);
    }
}

static struct str render(struct session *s, struct segments segments, struct node context, struct arena *a)
{
    if (segments.count == 0)
        return STR("");
    if (segments.count == 1 && !s->form->segments.at[segments.first].output)
        return s->form->segments.at[segments.first].literal;
    struct buf b;
    buf_init(&b, 1u << 20);
    put_segments(s, segments, context, &b);
    struct str out = arena_str(a, buf_str(&b));
    buf_free(&b);
    return out.p ? out : STR("");
}

static const struct text_value *find_text(const struct form *f, uint32_t text, uint32_t language,
                                          enum text_form form)
{
    for (uint32_t i = f->text_first.at[text]; i < f->text_first.at[text + 1]; i++)
        if (f->text_values.at[i].language == language && f->text_values.at[i].form == form)
            return &f->text_values.at[i];
    return NULL;
}

/* The language of the session, else the form's default. */
struct str text_in_language(struct session *s, uint32_t text, enum text_form form, struct node context,
                            struct arena *a)
{
    const struct text_value *v = find_text(s->form, text, s->language, form);
    if (!v)
        v = find_text(s->form, text, s->form->language_default, form);
    return v ? render(s, v->segments, context, a) : STR("");
}

struct str label_text(struct session *s, const struct label *label, enum text_form form, struct node context,
                      struct arena *a)
{
    uint32_t text = label->text;
    if (!label->there)
        return STR("");
    if (label->text_id) {
        struct value v;
        if (evaluate(s, a, label->text_id, context, &v) != ERR_OK)
            return STR("");
        struct eval e = eval_for(s, a);
        struct str id = value_text(&e, &v);
        if (!map_get(&s->form->text_ids, id, &text))
            return form == TEXT_LONG ? id : STR("");
    }
    if (text != NONE)
        return text_in_language(s, text, form, context, a);
    return form == TEXT_LONG ? render(s, label->own, context, a) : STR("");
}

/* --- choices --- */

/* Fixed choices come first. Those of an itemset are nodes; rows of a list that stays with the host are only
 * fetched for the page that is wanted, and `items` then holds that page. */
struct choice_list {
    const struct control *control;
    struct node context;
    const struct nodes *items;
    bool streamed;
    struct expr_window window;
    bool searched; /* by search(): values and labels are columns that a choice of the form names */
    uint32_t fixed, total;
    uint32_t page; /* place of items->at[0] behind the fixed ones */
};

/* What goes wrong inside is no choice; only ERR_NOMEM comes back. */
static enum err open_window(struct session *s, const struct control *c, struct node context, struct arena *a,
                            struct choice_list *out)
{
    struct eval e = eval_for(s, a);
    e.context = context;
    enum err rc = c->itemset ? expr_window_open(c->itemset, &e, &out->window, &out->streamed) : ERR_OK;
    return rc == ERR_NOMEM ? rc : ERR_OK;
}

/* The text of a row's column, "" where there is none. */
static struct str column_text(struct session *s, struct node item, struct str column, struct arena *a)
{
    const struct tree *t = s->trees[item.tree];
    struct node cell;
    for (bool more = t->ops->first_child(t, item, &cell); more; more = t->ops->next_sibling(t, cell, &cell))
        if (str_eq(t->ops->name(t, cell).local, column))
            return t->ops->text(t, cell, a);
    return STR("");
}

/* search() offers each value once: the first row that has it. */
static enum err distinct_values(struct session *s, const struct control *c, struct nodes *rows,
                                struct arena *a)
{
    struct map seen;
    struct str column = str_trim(s->form->choices.at[c->search_columns].value);
    uint32_t kept = 0, before;
    map_init(&seen, a);
    for (uint32_t i = 0; i < rows->count; i++) {
        struct str value = column_text(s, rows->at[i], column, a);
        if (map_get(&seen, value, &before))
            continue;
        if (map_put(&seen, value, i) != ERR_OK)
            return ERR_NOMEM;
        rows->at[kept++] = rows->at[i];
    }
    rows->count = kept;
    return ERR_OK;
}

/* The label may name several columns. */
static struct str searched_label(struct session *s, const struct choice_list *l, struct node item,
                                 struct arena *a)
{
    const struct choice *names = &s->form->choices.at[l->control->search_columns];
    struct str rest = label_text(s, &names->label, TEXT_LONG, l->context, a), column;
    struct buf b;
    buf_init(&b, 1u << 20);
    while (str_split(&rest, ',', &column)) {
        if (b.n)
            buf_put_z(&b, ", ");
        buf_put_str(&b, column_text(s, item, str_trim(column), a));
    }
    struct str out = b.failed ? STR_NONE : arena_str(a, buf_str(&b));
    buf_free(&b);
    return out.p ? out : STR("");
}

static enum err open_choices(struct session *s, const struct control *c, struct node context, struct arena *a,
                             struct choice_list *out)
{
    struct value v = {.type = VALUE_STRING};
    *out = (struct choice_list){.control = c,
                                .context = context,
                                .fixed = c->choice_count,
                                .total = c->choice_count};
    enum err rc = open_window(s, c, context, a, out);
    out->searched = c->search != NULL;
    if (rc || out->streamed || (!c->itemset && !c->search))
        return rc;
    rc = evaluate(s, a, c->search ? c->search : c->itemset, context, &v);
    if (!rc && c->search && v.type == VALUE_NODES)
        rc = distinct_values(s, c, v.nodes, a);
    if (!rc && v.type == VALUE_NODES) {
        out->items = v.nodes;
        out->total += v.nodes->count;
    }
    return rc;
}

/* Brings the rows [skip, skip + limit) of a streamed list, fixed choices counted. */
static enum err take_page(struct choice_list *l, uint32_t skip, uint32_t limit, struct arena *a)
{
    struct nodes *page = ARENA_NEW(a, struct nodes);
    uint32_t fixed_left = skip < l->fixed ? l->fixed - skip : 0;
    if (!page)
        return ERR_NOMEM;
    l->items = page;
    l->page = skip > l->fixed ? skip - l->fixed : 0;
    if (limit <= fixed_left)
        return ERR_OK;
    return expr_window_rows(&l->window, l->page, limit - fixed_left, a, page);
}

/* The one row of a streamed list whose value is this; found through the value's column where it is one. */
static enum err find_value(const struct choice_list *l, struct str value, struct arena *a, bool *asked_out,
                           struct nodes *found_out)
{
    struct list_term term = {.op = LIST_EQ, .text = value};
    struct expr_window one;
    struct str column;
    *asked_out = l->streamed && expr_column(l->control->item_value, &column) &&
                 l->window.t->ops->query->column(l->window.t, column, &term.column);
    if (!*asked_out)
        return ERR_OK;
    enum err rc = expr_window_narrow(&l->window, &term, 1, a, &one);
    return rc ? rc : expr_window_rows(&one, 0, 1, a, found_out);
}

static enum err item_text(struct session *s, const struct expr *x, struct node item, struct arena *a,
                          struct str *out)
{
    struct value v;
    *out = STR("");
    if (!x)
        return ERR_OK;
    enum err rc = evaluate(s, a, x, item, &v);
    if (rc)
        return rc;
    struct eval e = eval_for(s, a);
    *out = value_text(&e, &v);
    return ERR_OK;
}

static enum err choice_value(struct session *s, const struct choice_list *l, uint32_t i, struct arena *a,
                             struct str *out)
{
    if (i < l->fixed) {
        *out = s->form->choices.at[l->control->choice_first + i].value;
        return ERR_OK;
    }
    struct node item = l->items->at[i - l->fixed - l->page];
    if (!l->searched)
        return item_text(s, l->control->item_value, item, a, out);
    *out = column_text(s, item, str_trim(s->form->choices.at[l->control->search_columns].value), a);
    return ERR_OK;
}

/* Label of an item of the itemset. */
/* Only a label that is a text of the form's own can carry a picture. */
static struct str choice_image(struct session *s, const struct choice_list *l, uint32_t i, struct arena *a)
{
    struct str id = STR("");
    uint32_t text;
    if (i < l->fixed)
        return label_text(s, &s->form->choices.at[l->control->choice_first + i].label, TEXT_IMAGE, l->context,
                          a);
    if (l->searched || !l->control->item_label_is_text ||
        item_text(s, l->control->item_label, l->items->at[i - l->fixed - l->page], a, &id) ||
        !map_get(&s->form->text_ids, id, &text))
        return STR("");
    return text_in_language(s, text, TEXT_IMAGE, l->context, a);
}

static enum err item_label(struct session *s, const struct choice_list *l, struct node item, struct arena *a,
                           struct str *out)
{
    uint32_t text;
    enum err rc = item_text(s, l->control->item_label, item, a, out);
    if (!rc && l->control->item_label_is_text && map_get(&s->form->text_ids, *out, &text))
        *out = text_in_language(s, text, TEXT_LONG, l->context, a);
    return rc;
}

static enum err choice_text(struct session *s, const struct choice_list *l, uint32_t i, struct arena *a,
                            struct str *out)
{
    if (i < l->fixed) {
        *out = label_text(s, &s->form->choices.at[l->control->choice_first + i].label, TEXT_LONG, l->context,
                          a);
        return ERR_OK;
    }
    struct node item = l->items->at[i - l->fixed - l->page];
    if (!l->searched)
        return item_label(s, l, item, a, out);
    *out = searched_label(s, l, item, a);
    return ERR_OK;
}

static bool takes_many(const struct control *c)
{
    return c->kind == CONTROL_SELECT_MANY || c->kind == CONTROL_RANK;
}

static bool has_word(struct str list, struct str word)
{
    struct str one;
    while (str_word(&list, &one))
        if (str_eq(one, word))
            return true;
    return false;
}

static uint32_t count_words(struct str list)
{
    struct str one;
    uint32_t count = 0;
    while (str_word(&list, &one))
        count++;
    return count;
}

/* Values not among the fixed choices, looked for in a list of the host; false when it must be walked. */
static enum err streamed_have(const struct choice_list *l, struct str text, bool many, struct arena *a,
                              uint32_t *found, bool *asked_out)
{
    struct str rest = text, value = text;
    enum err rc = ERR_OK;
    *asked_out = true;
    while (!rc && *asked_out && (!many || str_word(&rest, &value))) {
        struct nodes row = {0};
        rc = find_value(l, value, a, asked_out, &row);
        *found += row.count;
        if (!many)
            break;
    }
    return rc;
}

enum err choices_have(struct session *s, struct frame *f, uint32_t node, struct str text, bool *have_out)
{
    const struct control *c = &s->form->controls.at[node_at(s, node)->control];
    struct choice_list list;
    struct arena_mark mark = arena_mark(&s->scratch);
    uint32_t found = 0, wanted = takes_many(c) ? count_words(text) : 1;
    enum err rc = open_choices(s, c, (struct node){0, f->number, node}, &s->scratch, &list);
    bool asked = false;
    if (!rc && list.streamed)
        rc = streamed_have(&list, text, takes_many(c), &s->scratch, &found, &asked);
    if (!rc && list.streamed && !asked) {
        rc = take_page(&list, 0, UINT32_MAX, &s->scratch);
        list.total += rc ? 0 : list.items->count;
    }
    for (uint32_t i = 0; i < list.total && !rc && found < wanted; i++) {
        struct str value;
        struct arena_mark item = arena_mark(&s->scratch);
        rc = choice_value(s, &list, i, &s->scratch, &value);
        if (!rc && (takes_many(c) ? has_word(text, value) : str_eq(text, value)))
            found++;
        arena_release(&s->scratch, item);
    }
    arena_release(&s->scratch, mark);
    *have_out = found >= wanted || c->search; /* what was found before stays when the search goes on */
    return rc;
}

struct str choice_label(struct session *s, struct place question, struct str value, struct arena *a)
{
    const struct frame *f = place_frame(s, question);
    uint32_t control = f ? place_control(s, question) : NONE;
    struct choice_list list;
    struct nodes row = {0};
    struct str one = STR(""), label = STR("");
    bool asked = false;
    if (control == NONE ||
        open_choices(s, &s->form->controls.at[control], (struct node){0, f->number, question.node}, a, &list))
        return STR("");
    if (list.streamed && find_value(&list, value, a, &asked, &row))
        return STR("");
    if (row.count)
        return item_label(s, &list, row.at[0], a, &label) ? STR("") : label;
    if (list.streamed && !asked) {
        if (take_page(&list, 0, UINT32_MAX, a))
            return STR("");
        list.total += list.items->count;
    }
    for (uint32_t i = 0; i < list.total; i++) {
        if (choice_value(s, &list, i, a, &one))
            return STR("");
        if (str_eq(one, value))
            return choice_text(s, &list, i, a, &label) ? STR("") : label;
    }
    return STR("");
}

static enum err one_choice(struct session *s, const struct choice_list *l, uint32_t i, struct str chosen,
                           struct arena *a, struct choice_view *out)
{
    enum err rc = choice_value(s, l, i, a, &out->value);
    if (!rc)
        rc = choice_text(s, l, i, a, &out->label);
    if (!rc)
        out->image = choice_image(s, l, i, a);
    if (!out->label.n)
        out->label = out->value;
    out->selected = takes_many(l->control) ? has_word(chosen, out->value) : str_eq(chosen, out->value);
    return rc;
}

static enum err choices_of(struct session *s, struct place p, struct arena *a, struct choice_list *list_out,
                           struct str *chosen_out, struct diag *d)
{
    const struct frame *f = place_frame(s, p);
    uint32_t control = f ? place_control(s, p) : NONE;
    if (control == NONE)
        return diag_set(d, ERR_NOT_FOUND, "There is no question at this place.");
    s->now_ms = s->host->now_ms(s->host->self);
    *chosen_out = cell_at(s, f, p.node)->text;
    return open_choices(s, &s->form->controls.at[control], (struct node){0, f->number, p.node}, a, list_out);
}

enum err session_choices(struct session *s, struct place p, uint32_t skip, uint32_t limit, struct arena *a,
                         struct choice_view **choices_out, uint32_t *count_out, uint32_t *total_out,
                         struct diag *d)
{
    struct choice_list list = {0};
    struct str chosen = STR("");
    uint32_t rows = 0;
    enum err rc = choices_of(s, p, a, &list, &chosen, d);
    if (!rc && list.streamed)
        rc = expr_window_count(&list.window, &rows);
    if (rc)
        return rc;
    list.total += rows;
    skip = skip < list.total ? skip : list.total;
    uint32_t count = list.total - skip < limit ? list.total - skip : limit;
    if (list.streamed)
        rc = take_page(&list, skip, count, a);
    struct choice_view *out = ARENA_ARRAY(a, struct choice_view, count + 1);
    if (list.streamed && !rc) /* a list that cannot be read any more ends early */
        while (count && skip + count > list.fixed + list.page + list.items->count)
            count--;
    for (uint32_t i = 0; i < count && out && !rc; i++)
        rc = one_choice(s, &list, skip + i, chosen, a, &out[i]);
    if (rc || !out)
        return rc ? rc : ERR_NOMEM;
    *choices_out = out;
    *count_out = count;
    *total_out = list.total;
    return ERR_OK;
}

/* Asks the list itself for rows whose value or label begins with the text, where both are columns. */
static enum err narrow_to_prefix(struct choice_list *l, struct str prefix, struct arena *a, bool *done_out)
{
    struct list_term also[3] = {{.op = LIST_STARTS, .text = prefix},
                                {.op = LIST_STARTS, .text = prefix},
                                {.op = LIST_OR, .count = 2, .text = STR("")}};
    const struct control *c = l->control;
    struct str column;
    *done_out = l->streamed && !c->item_label_is_text && expr_column(c->item_value, &column) &&
                l->window.t->ops->query->column(l->window.t, column, &also[0].column) &&
                expr_column(c->item_label, &column) &&
                l->window.t->ops->query->column(l->window.t, column, &also[1].column);
    return *done_out ? expr_window_narrow(&l->window, also, 3, a, &l->window) : ERR_OK;
}

enum err session_choices_starting(struct session *s, struct place p, struct str prefix, uint32_t limit,
                                  struct arena *a, struct choice_view **choices_out, uint32_t *count_out,
                                  struct diag *d)
{
    struct choice_list list = {0};
    struct str chosen = STR("");
    uint32_t count = 0;
    bool asked = false;
    enum err rc = choices_of(s, p, a, &list, &chosen, d);
    if (!rc)
        rc = narrow_to_prefix(&list, prefix, a, &asked);
    if (!rc && list.streamed)
        rc = take_page(&list, 0, asked && limit < UINT32_MAX - list.fixed ? limit + list.fixed : UINT32_MAX,
                       a);
    if (rc)
        return rc;
    list.total += list.streamed ? list.items->count : 0;
    struct choice_view *out = ARENA_ARRAY(a, struct choice_view,
                                          (limit < list.total ? limit : list.total) + 1);
    for (uint32_t i = 0; i < list.total && count < limit && out && !rc; i++) {
        struct choice_view one = {.value = STR(""), .label = STR("")};
        rc = one_choice(s, &list, i, chosen, a, &one);
        if (!rc && (str_starts(one.label, prefix) || str_starts(one.value, prefix)))
            out[count++] = one;
    }
    if (rc || !out)
        return rc ? rc : ERR_NOMEM;
    *choices_out = out;
    *count_out = count;
    return ERR_OK;
}

/* --- questions --- */

static struct node control_context(struct session *s, uint32_t control, const struct frame *f)
{
    uint32_t node = s->form->controls.at[control].node;
    for (uint32_t c = control; node == NONE && c != NONE; c = s->form->controls.at[c].parent)
        node = s->form->controls.at[c].node;
    const struct frame *seen = node == NONE ? NULL : frame_seen(s, f, node_at(s, node)->class);
    if (!seen)
        return (struct node){0, 0, 0};
    return (struct node){0, seen->number, node};
}

/* Labels of the groups around, from outside in; a repeat adds the number of its instance to the label before
 * it. */
static struct str groups_around(struct session *s, uint32_t control, const struct frame *f, struct arena *a)
{
    uint32_t chain[FORM_DEPTH_MAX + 1], depth = 0;
    struct buf b;
    buf_init(&b, 1u << 20);
    for (uint32_t c = s->form->controls.at[control].parent; c != NONE && c != 0 && depth <= FORM_DEPTH_MAX;
         c = s->form->controls.at[c].parent)
        chain[depth++] = c;
    while (depth > 0) {
        uint32_t c = chain[--depth];
        const struct control *group = &s->form->controls.at[c];
        struct str label = label_text(s, &group->label, TEXT_LONG, control_context(s, c, f), a);
        if (label.n) {
            if (b.n)
                buf_put_z(&b, " › ");
            buf_put_str(&b, label);
        }
        const struct frame *entry = NULL;
        if (group->kind == CONTROL_REPEAT)
            entry = frame_seen(s, f, node_at(s, group->node)->class);
        if (entry) {
            if (b.n)
                buf_put_char(&b, ' ');
            buf_put_u64(&b, frame_position(s, entry) + 1u);
        }
    }
    struct str out = arena_str(a, buf_str(&b));
    buf_free(&b);
    return out.p ? out : STR("");
}

static void view_cell(struct session *s, const struct frame *f, uint32_t node, struct arena *a,
                      struct question_view *v)
{
    const struct cell *c = cell_at(s, f, node);
    v->type = node_at(s, node)->type;
    v->value = arena_str(a, c->text);
    v->status = (enum answer_status)c->status;
    if (v->status == ANSWER_NONE && c->text.n)
        v->status = ANSWER_GIVEN;
    v->relevant = c->hidden == 0;
    v->required = c->flags & CELL_REQUIRED;
    v->readonly = cell_readonly(s, f, node);
    v->answered = v->status != ANSWER_NONE;
    v->violated = c->violation != 0;
    if (v->violated)
        v->message = violation_message(s, f, node, c->flags & CELL_BROKEN, a);
}

enum err session_view(struct session *s, struct place p, struct arena *a, struct question_view *view_out,
                      struct diag *d)
{
    const struct frame *f = place_frame(s, p);
    struct question_view v = {.ref = STR(""),
                              .label = STR(""),
                              .hint = STR(""),
                              .guidance = STR(""),
                              .image = STR(""),
                              .big_image = STR(""),
                              .audio = STR(""),
                              .video = STR(""),
                              .appearance = STR(""),
                              .mediatype = STR(""),
                              .value = STR(""),
                              .message = STR(""),
                              .group = STR(""),
                              .range_start = STR(""),
                              .range_end = STR(""),
                              .range_step = STR("")};
    if (!f || (!(p.node & PLACE_CONTROL) && p.node >= s->form->nodes.count))
        return diag_set(d, ERR_NOT_FOUND, "There is nothing at this place.");
    uint32_t control = place_control(s, p);
    s->now_ms = s->host->now_ms(s->host->self);
    v.ref = session_ref(s, p, a);
    v.relevant = true;
    if (!(p.node & PLACE_CONTROL))
        view_cell(s, f, p.node, a, &v);
    if (control != NONE) {
        const struct control *c = &s->form->controls.at[control];
        struct node context = control_context(s, control, f);
        v.control = c->kind;
        v.label = label_text(s, &c->label, TEXT_LONG, context, a);
        if (!v.label.n && c->kind == CONTROL_REPEAT && c->parent != 0)
            v.label = label_text(s, &s->form->controls.at[c->parent].label, TEXT_LONG, context, a);
        v.image = label_text(s, &c->label, TEXT_IMAGE, context, a);
        v.big_image = label_text(s, &c->label, TEXT_BIG_IMAGE, context, a);
        v.audio = label_text(s, &c->label, TEXT_AUDIO, context, a);
        v.video = label_text(s, &c->label, TEXT_VIDEO, context, a);
        v.hint = label_text(s, &c->hint, TEXT_LONG, context, a);
        v.guidance = label_text(s, &c->hint, TEXT_GUIDANCE, context, a);
        v.appearance = c->appearance;
        v.mediatype = c->mediatype;
        v.range_start = c->range_start;
        v.range_end = c->range_end;
        v.range_step = c->range_step;
        v.group = groups_around(s, control, f, a);
    }
    *view_out = v;
    return ERR_OK;
}

/* The label stands on the repeat, or on the group around it, as form tools write it. */
struct str session_repeat_label(struct session *s, const struct stop *st, struct arena *a)
{
    const struct frame *f = place_frame(s, st->place);
    if (st->kind != STOP_REPEAT || !f || st->repeat + 1 >= s->form->classes.count)
        return STR("");
    uint32_t control = s->form->classes.at[st->repeat + 1].control;
    if (control == NONE)
        return STR("");
    const struct control *c = &s->form->controls.at[control];
    struct str own = label_text(s, &c->label, TEXT_LONG, control_context(s, control, f), a);
    if (own.n || c->parent == NONE || s->form->controls.at[c->parent].kind != CONTROL_GROUP)
        return own;
    return label_text(s, &s->form->controls.at[c->parent].label, TEXT_LONG, control_context(s, c->parent, f),
                      a);
}
