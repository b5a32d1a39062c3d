/* Asking a list instead of walking it: the terms of a predicate get their values and become a query; what
 * cannot be said exactly is asked wider, and the rows are then looked at one by one as they come, so that a
 * filter over a million rows needs the memory of its result.
 */
#include "forms/expr_impl.h"
#include "forms/list.h"

#define QUERY_TERMS_MAX 256u
#define QUERY_WORDS_MAX 500u

/* What is known of a part: is it the predicate's part, or true for more rows, or not said at all? */
enum grasp { GRASP_EXACT, GRASP_WIDER, GRASP_NONE };

struct part {
    uint32_t start; /* its first term */
    enum grasp grasp;
};

struct asking {
    const struct expr *x;
    struct eval *e;
    const struct tree *t;
    struct list_term *terms;
    uint32_t count;
    struct part parts[EXPR_DEPTH_MAX];
    uint32_t part_count;
};

static void put_constant(struct asking *q, uint32_t start, enum list_op op, enum grasp grasp)
{
    q->count = start;
    q->terms[q->count++] = (struct list_term){.op = op, .text = STR("")};
    q->parts[q->part_count - 1].grasp = grasp;
}

/* A comparison whose value is a number: the list compares it where no cell is a date or time. */
static bool say_number(struct asking *q, struct list_term *term, double n)
{
    if (isnan(n) || isinf(n) || !q->t->ops->query->numeric(q->t, term->column))
        return false;
    term->numeric = true;
    term->number = n;
    return true;
}

/* The value as the comparison of a form would take it; false when only the evaluator can. */
static bool say_comparison(struct asking *q, struct list_term *term, struct value v)
{
    bool equality = term->op == LIST_EQ || term->op == LIST_NE;
    struct value moment;
    if (v.type == VALUE_NODES) {
        if (v.nodes->count == 0) {
            term->op = LIST_FALSE;
            return true;
        }
        if (v.nodes->count > 1 || node_value(q->e, v.nodes->at[0], &v))
            return false;
    }
    if (v.type == VALUE_NUMBER)
        return say_number(q, term, v.number);
    if (v.type != VALUE_STRING)
        return false;
    term->text = v.text;
    if (equality)
        return true;
    return !value_moment(q->e, &v, &moment) && say_number(q, term, text_number(q->e, v.text));
}

static bool say_text(struct asking *q, struct list_term *term, struct value v)
{
    if (v.type == VALUE_NODES && v.nodes->count == 0)
        v = value_of_text(STR(""));
    else if (v.type == VALUE_NODES && node_value(q->e, v.nodes->at[0], &v))
        return false;
    term->text = value_text(q->e, &v);
    uint32_t words = 0;
    for (struct str left = term->text, one; term->op == LIST_AMONG && str_word(&left, &one);)
        words++;
    if (term->op != LIST_WORD)
        return words <= QUERY_WORDS_MAX;
    struct str rest = term->text = str_trim(term->text), word = STR("");
    if (!str_word(&rest, &word))
        return false; /* blank: whether the cell is */
    if (word.n != term->text.n)
        term->op = LIST_FALSE;
    return true;
}

static enum err say_leaf(struct asking *q, const struct filter_term *f, struct value *stack)
{
    struct list_term *term = &q->terms[q->count];
    *term = (struct list_term){.op = (enum list_op)f->op, .text = STR("")};
    q->parts[q->part_count++] = (struct part){q->count++, GRASP_EXACT};
    uint32_t start = q->count - 1;
    bool compares = f->op >= LIST_EQ && f->op <= LIST_GE;
    if (f->op == LIST_TRUE || f->op == LIST_FALSE)
        return ERR_OK;
    bool there = q->t->ops->query->column(q->t, f->column, &term->column);
    enum err rc = expr_run(q->x, q->e, f->first, f->end, stack);
    if (rc)
        return rc;
    if (!there && compares && stack->type != VALUE_BOOL)
        put_constant(q, start, LIST_FALSE, GRASP_EXACT);
    else if (!there || !(compares ? say_comparison(q, term, *stack) : say_text(q, term, *stack)))
        put_constant(q, start, LIST_TRUE, GRASP_NONE);
    return ERR_OK;
}

static void say_not(struct asking *q)
{
    struct part *p = &q->parts[q->part_count - 1];
    if (p->grasp == GRASP_EXACT)
        q->terms[q->count++] = (struct list_term){.op = LIST_NOT, .text = STR("")};
    else
        put_constant(q, p->start, LIST_TRUE, GRASP_NONE);
}

static void say_many(struct asking *q, const struct filter_term *f)
{
    uint32_t first = q->part_count - f->count;
    enum grasp best = GRASP_NONE, worst = GRASP_EXACT;
    for (uint32_t i = first; i < q->part_count; i++) {
        worst = q->parts[i].grasp > worst ? q->parts[i].grasp : worst;
        best = q->parts[i].grasp < best ? q->parts[i].grasp : best;
    }
    q->part_count = first + 1;
    struct part *p = &q->parts[first];
    if ((f->op == LIST_AND ? best : worst) == GRASP_NONE) {
        put_constant(q, p->start, LIST_TRUE, GRASP_NONE);
        return;
    }
    p->grasp = worst == GRASP_EXACT ? GRASP_EXACT : GRASP_WIDER;
    q->terms[q->count++] = (struct list_term){.op = (enum list_op)f->op, .count = f->count, .text = STR("")};
}

static enum err say_all(struct asking *q, const struct step *s, struct value *stack)
{
    enum err rc = ERR_OK;
    for (uint32_t i = s->filter_first; !rc && i < s->filter_end; i++) {
        const struct filter_term *f = &q->x->filters.at[i];
        if (f->op == LIST_NOT) {
            say_not(q);
        } else if (f->op == LIST_AND || f->op == LIST_OR) {
            say_many(q, f);
        } else if (q->part_count == EXPR_DEPTH_MAX) {
            return ERR_STATE;
        } else if (f->op == FILTER_OPAQUE) {
            q->parts[q->part_count++] = (struct part){q->count, GRASP_NONE};
            put_constant(q, q->count, LIST_TRUE, GRASP_NONE);
        } else {
            rc = say_leaf(q, f, stack);
        }
    }
    return rc;
}

/* The query of a step; ERR_STATE when it is too wide to be one. */
static enum err ask(const struct expr *x, struct eval *e, const struct step *s, const struct tree *t,
                    struct value *stack, struct list_query *out, enum grasp *grasp_out)
{
    uint32_t count = s->filter_end - s->filter_first;
    struct asking q = {.x = x, .e = e, .t = t};
    if (count > QUERY_TERMS_MAX)
        return ERR_STATE;
    q.terms = ARENA_ARRAY(e->scratch, struct list_term, count + 1);
    if (!q.terms)
        return ERR_NOMEM;
    enum err rc = say_all(&q, s, stack);
    *out = (struct list_query){q.terms, q.count};
    *grasp_out = rc ? GRASP_NONE : q.parts[0].grasp;
    return rc;
}

/* Rows of the query, looked at by the predicate itself when the query was wider. */
struct sifting {
    const struct expr *x;
    struct eval *e;
    const struct predicate *p; /* NULL: as they come */
    struct value *stack;
    struct node_list *out;
};

static enum err sift(void *to, struct node n)
{
    struct sifting *s = to;
    struct node_list one = {&n, 1, 1, 0};
    if (s->p) {
        enum err rc = spend(s->e, 1) ? apply_predicate(s->x, s->e, s->p, &one, 0, s->stack) : ERR_LIMIT;
        if (rc || one.count == 0)
            return rc;
    }
    return node_list_push(s->e, s->out, n);
}

enum err step_rows(const struct expr *x, struct eval *e, const struct step *s, struct node parent,
                   struct value *stack, struct node_list *out, bool *done_out)
{
    const struct tree *t = node_tree(e, parent);
    struct list_query query = {0};
    enum grasp grasp = GRASP_NONE;
    *done_out = false;
    if (s->filter_first == s->filter_end || !t->ops->query->answers(t, parent, s->local))
        return ERR_OK;
    enum err rc = ask(x, e, s, t, stack, &query, &grasp);
    if (rc == ERR_STATE)
        return ERR_OK;
    *done_out = true;
    struct sifting sifting = {x, e, grasp == GRASP_EXACT ? NULL : &x->predicates.at[s->predicate_first],
                              stack, out};
    return rc ? rc : t->ops->query->rows(t, &query, 0, UINT32_MAX, sift, &sifting);
}

/* --- a window on the nodes of a path --- */

/* The last step of the whole expression, when it takes rows of a list and its query says all there is to say.
 */
static const struct step *last_step(const struct expr *x)
{
    const struct op *op = x->ops.count ? &x->ops.at[x->ops.count - 1] : NULL;
    if (!op || op->code != OP_STEP)
        return NULL;
    const struct step *s = &x->steps.at[op->a];
    bool asks = s->filter_end > s->filter_first;
    if (s->axis != AXIS_CHILD || s->test != TEST_NAME || s->uri.n ||
        s->predicate_end - s->predicate_first != asks)
        return NULL;
    return s;
}

enum err expr_window_open(const struct expr *x, struct eval *e, struct expr_window *w, bool *open_out)
{
    static const struct list_term everything = {.op = LIST_TRUE, .text = {"", 0}};
    const struct step *s = last_step(x);
    enum grasp grasp = GRASP_EXACT;
    struct list_query q = {&everything, 1};
    *open_out = false;
    struct value *stack = s ? ARENA_ARRAY(e->scratch, struct value, x->stack_need + 1) : NULL;
    if (!stack)
        return s ? ERR_NOMEM : ERR_OK;
    e->odk = x->library == EXPR_ODK;
    e->current = e->context;
    e->position = e->size = 1;
    enum err rc = expr_run(x, e, 0, x->ops.count - 1, stack);
    if (rc || stack->type != VALUE_NODES || stack->nodes->count != 1)
        return rc;
    struct node parent = stack->nodes->at[0];
    const struct tree *t = node_tree(e, parent);
    if (!t || !t->ops->query || !t->ops->query->answers(t, parent, s->local))
        return ERR_OK;
    if (s->filter_end > s->filter_first)
        rc = ask(x, e, s, t, stack + 1, &q, &grasp);
    if (rc || grasp != GRASP_EXACT)
        return rc == ERR_STATE ? ERR_OK : rc;
    *w = (struct expr_window){t, q.at, q.count};
    *open_out = true;
    return ERR_OK;
}

enum err expr_window_narrow(const struct expr_window *w, const struct list_term *also, uint32_t count,
                            struct arena *a, struct expr_window *out)
{
    struct list_term *all = ARENA_ARRAY(a, struct list_term, w->count + count + 1);
    if (!all)
        return ERR_NOMEM;
    memcpy(all, w->terms, w->count * sizeof(*all));
    memcpy(all + w->count, also, count * sizeof(*all));
    all[w->count + count] = (struct list_term){.op = LIST_AND, .count = 2, .text = STR("")};
    *out = (struct expr_window){w->t, all, w->count + count + 1};
    return ERR_OK;
}

struct gathering {
    struct arena *a;
    struct nodes *out;
    uint32_t room;
};

static enum err gather(void *to, struct node n)
{
    struct gathering *g = to;
    struct node *slot = vec_push_raw(g->a, (void **)&g->out->at, &g->out->count, &g->room, sizeof(n));
    if (!slot)
        return ERR_NOMEM;
    *slot = n;
    return ERR_OK;
}

enum err expr_window_rows(const struct expr_window *w, uint32_t skip, uint32_t limit, struct arena *a,
                          struct nodes *out)
{
    struct gathering g = {a, out, 0};
    return w->t->ops->query->rows(w->t, &(struct list_query){w->terms, w->count}, skip, limit, gather, &g);
}

enum err expr_window_count(const struct expr_window *w, uint32_t *count_out)
{
    return w->t->ops->query->count(w->t, &(struct list_query){w->terms, w->count}, count_out);
}

bool expr_column(const struct expr *x, struct str *column_out)
{
    if (!x || x->ops.count != 2 || x->ops.at[0].code != OP_CONTEXT || x->ops.at[1].code != OP_STEP)
        return false;
    const struct step *s = &x->steps.at[x->ops.at[1].a];
    *column_out = s->local;
    return s->axis == AXIS_CHILD && s->test == TEST_NAME && s->uri.n == 0 &&
           s->predicate_first == s->predicate_end;
}
