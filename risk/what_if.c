/* See what_if.h. */
#include "risk/what_if.h"

#include "platform/base/num.h"

#include <math.h>

struct asking {
    struct arena *a;
    const struct pack *p;
    const struct session_options *options;
    const struct judge_input *in;
    struct diag *d;
    struct str hits; /* of the household as it is */
    struct str level;
    VEC(struct what_if) found;
    uint32_t tries;
    struct arena one; /* for one judgement */
};

/* Ids of what was hit, in the order of the page. */
static struct str hits_of(struct arena *a, const struct judgement *j)
{
    struct buf ids;
    buf_init(&ids, 1u << 20);
    for (uint32_t i = 0; i < j->count; i++) {
        if (j->findings[i].state != FINDING_HIT)
            continue;
        buf_put_z(&ids, ids.n ? " " : "");
        buf_put_str(&ids, j->findings[i].rule);
    }
    struct str s = ids.failed ? (struct str){0} : arena_str(a, buf_str(&ids));
    buf_free(&ids);
    return s;
}

static bool word_in(struct str words, struct str word)
{
    struct str one;
    while (str_word(&words, &one))
        if (str_eq(one, word))
            return true;
    return false;
}

/* Words of the first that are not in the second. */
static struct str words_without(struct arena *a, struct str words, struct str others)
{
    struct buf out;
    struct str one;
    buf_init(&out, 1u << 20);
    while (str_word(&words, &one)) {
        if (word_in(others, one))
            continue;
        buf_put_z(&out, out.n ? " " : "");
        buf_put_str(&out, one);
    }
    struct str s = out.failed ? (struct str){0} : arena_str(a, buf_str(&out));
    buf_free(&out);
    return s;
}

/* Judges the household with one answer changed. *said_out false: the question does not take this answer. */
static enum err ask(struct asking *w, struct str ref, struct str value, bool *said_out, struct str *hits_out,
                    struct str *level_out)
{
    struct judge_input in = *w->in;
    struct judgement judged;
    struct place place;
    struct diag quiet = {0};
    if (++w->tries > WHAT_IF_TRIES_MAX)
        return diag_set(w->d, ERR_LIMIT,
                        "There are too many questions to ask about: %d judgements were made.",
                        WHAT_IF_TRIES_MAX);
    enum err rc = session_open(&w->one, w->options, &in.now, w->d);
    if (rc)
        return rc;
    *said_out = ref.n == 0 || (session_place(in.now, ref, &place, &quiet) == ERR_OK &&
                               session_answer(in.now, place, value, &quiet) == ERR_OK);
    if (*said_out)
        rc = judge_household(&w->one, w->p, &in, &judged, w->d);
    if (!rc && *said_out) {
        *hits_out = hits_of(&w->one, &judged);
        *level_out = str_of(judgement_level(&judged));
        rc = hits_out->p ? ERR_OK : ERR_NOMEM;
    }
    session_close(in.now);
    return rc;
}

/* -- answers to try --------------------------------------------------------------------------------- */

struct question {
    struct str ref, label, value;
    bool number, whole;
};

static enum err keep(struct asking *w, const struct question *q, struct str to, struct str hits,
                     struct str level)
{
    struct what_if *f = vec_push(w->a, &w->found);
    if (!f)
        return ERR_NOMEM;
    *f = (struct what_if){.ref = arena_str(w->a, q->ref),
                          .label = arena_str(w->a, q->label),
                          .from = arena_str(w->a, q->value),
                          .to = arena_str(w->a, to),
                          .gone = words_without(w->a, w->hits, hits),
                          .come = words_without(w->a, hits, w->hits),
                          .level_from = w->level,
                          .level_to = level};
    return f->ref.p && f->label.p && f->from.p && f->to.p && f->gone.p && f->come.p ? ERR_OK : ERR_NOMEM;
}

/* One answer; what it changes is kept when it changes anything. */
static enum err attempt(struct asking *w, const struct question *q, struct str value, bool *changed_out)
{
    struct arena_mark mark = arena_mark(&w->one);
    struct str hits = STR(""), level = STR("");
    bool said = false;
    enum err rc = ask(w, q->ref, value, &said, &hits, &level);
    *changed_out = !rc && said && !str_eq(hits, w->hits);
    if (*changed_out)
        rc = keep(w, q, value, hits, level);
    arena_release(&w->one, mark);
    return rc;
}

static struct str amount(char text[static NUM_TEXT_MAX], double v)
{
    return (struct str){text, num_write(v, text)};
}

/* Whether the outcome with this amount is that of `far`. */
static enum err same_as(struct asking *w, const struct question *q, double v, struct str far, bool *same_out)
{
    char text[NUM_TEXT_MAX];
    struct arena_mark mark = arena_mark(&w->one);
    struct str hits = STR(""), level = STR("");
    bool said = false;
    enum err rc = ask(w, q->ref, amount(text, v), &said, &hits, &level);
    *same_out = !rc && said && str_eq(hits, far);
    arena_release(&w->one, mark);
    return rc;
}

/* The amount nearest to the present one that gives what `far` gives. Between the two there may be other
 * steps; this one is real, because it is judged. */
static enum err nearest(struct asking *w, const struct question *q, double present, double far)
{
    char text[NUM_TEXT_MAX];
    struct arena_mark mark = arena_mark(&w->one);
    struct str hits = STR(""), level = STR("");
    bool said = false, same = false, changed;
    enum err rc = ask(w, q->ref, amount(text, far), &said, &hits, &level);
    struct str outcome = rc || !said ? STR("") : arena_str(w->a, hits);
    double grain = q->whole ? 1 : 0.01, good = far, bad = present;
    arena_release(&w->one, mark);
    if (rc || !said || str_eq(outcome, w->hits))
        return rc;
    while (!rc && fabs(good - bad) > grain) {
        double middle = floor((good + bad) / 2 / grain + 0.5) * grain;
        if (middle == good || middle == bad)
            break;
        rc = same_as(w, q, middle, outcome, &same);
        if (same)
            good = middle;
        else
            bad = middle;
    }
    return rc ? rc : attempt(w, q, amount(text, good), &changed);
}

static enum err try_numbers(struct asking *w, const struct question *q)
{
    static const double factors[] = {0, 0.5, 2, 10};
    double present = 0;
    bool has = num_read(q->value, &present);
    enum err rc = ERR_OK;
    uint32_t first = w->found.count;
    for (size_t i = 0; !rc && i < sizeof(factors) / sizeof(*factors); i++) {
        double far = has && present != 0 ? present * factors[i] : factors[i] * (q->whole ? 5 : 5000);
        if (far == present && has)
            continue;
        rc = nearest(w, q, present, q->whole ? floor(far) : far);
    }
    /* 2 and 10 times, or 0 and half, may meet at the same amount. */
    for (uint32_t i = first; i < w->found.count; i++)
        for (uint32_t k = i + 1; k < w->found.count;) {
            if (str_eq(w->found.at[i].to, w->found.at[k].to))
                w->found.at[k] = w->found.at[--w->found.count];
            else
                k++;
        }
    return rc;
}

static enum err try_choices(struct asking *w, struct session *s, struct place p, const struct question *q)
{
    struct arena names;
    struct choice_view *choices = NULL;
    uint32_t count = 0, total = 0;
    struct diag quiet = {0};
    arena_init(&names, 4u << 20);
    enum err rc = session_choices(s, p, 0, WHAT_IF_CHOICES_MAX, &names, &choices, &count, &total, &quiet);
    if (rc != ERR_NOMEM)
        rc = ERR_OK;
    for (uint32_t i = 0; !rc && total <= WHAT_IF_CHOICES_MAX && i < count; i++) {
        bool changed;
        if (!str_eq(choices[i].value, q->value))
            rc = attempt(w, q, choices[i].value, &changed);
    }
    arena_free(&names);
    return rc;
}

/* -- all questions ---------------------------------------------------------------------------------- */

static enum err try_place(struct asking *w, struct session *s, struct place p)
{
    struct arena words;
    struct question_view v;
    struct diag quiet = {0};
    arena_init(&words, 1u << 20);
    enum err rc = session_view(s, p, &words, &v, &quiet);
    if (rc == ERR_NOMEM) {
        arena_free(&words);
        return rc;
    }
    bool open = !rc && v.relevant && !v.readonly;
    rc = ERR_OK;
    struct question q = {v.ref, v.label, v.value, false, v.type == FIELD_INT};
    q.number = open && (v.type == FIELD_INT || v.type == FIELD_DECIMAL);
    if (open && (v.control == CONTROL_SELECT_ONE || v.control == CONTROL_SELECT_MANY))
        rc = try_choices(w, s, p, &q);
    else if (q.number && (v.control == CONTROL_INPUT || v.control == CONTROL_RANGE))
        rc = try_numbers(w, &q);
    arena_free(&words);
    return rc;
}

static enum err try_field(struct asking *w, struct session *s, const struct form_field *f)
{
    struct place place, top, *rows = NULL;
    struct diag quiet = {0};
    struct arena names;
    enum err rc = ERR_OK;
    if (f->repeat == FORM_NO_REPEAT)
        return session_place(s, f->path, &place, &quiet) ? ERR_OK : try_place(w, s, place);
    const struct form_repeat *r = form_repeat(w->options->form, f->repeat);
    if (r->parent != FORM_NO_REPEAT)
        return ERR_OK; /* no pack reads rows within rows */
    ptrdiff_t slash = str_find(str_sub(r->path, 1, r->path.n), STR("/"));
    arena_init(&names, 4u << 20);
    if (slash < 0 || session_place(s, str_sub(r->path, 0, (size_t)slash + 1), &top, &quiet))
        goto done;
    uint32_t count = session_instances(s, top, f->repeat, &names, &rows);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct buf ref;
        buf_init(&ref, 4096);
        buf_printf(&ref, "%.*s[%u]%.*s", STR_ARG(r->path), i + 1, (int)(f->path.n - r->path.n),
                   f->path.p + r->path.n);
        if (!ref.failed && session_place(s, buf_str(&ref), &place, &quiet) == ERR_OK)
            rc = try_place(w, s, place);
        buf_free(&ref);
    }
done:
    arena_free(&names);
    return rc;
}

enum err what_if_run(struct arena *a, const struct pack *p, const struct session_options *options,
                     const struct judge_input *in, struct what_if **out, uint32_t *count_out, struct diag *d)
{
    struct asking w = {.a = a, .p = p, .options = options, .in = in, .d = d, .level = STR("")};
    struct session *s = NULL;
    bool said = false;
    struct str hits = STR("");
    arena_init(&w.one, 256u << 20);
    enum err rc = session_open(a, options, &s, d);
    if (!rc)
        rc = ask(&w, STR(""), STR(""), &said, &hits, &w.level);
    w.hits = arena_str(a, hits);
    if (!rc && !w.hits.p)
        rc = ERR_NOMEM;
    arena_free(&w.one);
    arena_init(&w.one, 256u << 20);
    for (uint32_t i = 0; !rc && i < form_field_count(options->form); i++)
        if (!form_field(options->form, i)->calculated)
            rc = try_field(&w, s, form_field(options->form, i));
    session_close(s);
    arena_free(&w.one);
    if (rc == ERR_NOMEM)
        diag_set(d, rc, "There is no memory left for other answers.");
    if (!rc) {
        *out = w.found.at;
        *count_out = w.found.count;
    }
    return rc;
}
