/* See serve.h. The road is every stop there is at this moment; it is walked, never kept, because an answer
 * may change it. The session's cursor stands where it stood before.
 */
#include "agent/serve.h"

bool road_is_question(const struct stop *st)
{
    return st->kind == STOP_QUESTION || st->kind == STOP_FIELD_LIST;
}

static bool same_stop(const struct stop *a, const struct stop *b)
{
    return a->kind == b->kind && a->place.key == b->place.key && a->place.node == b->place.node &&
           a->place.frame == b->place.frame && a->repeat == b->repeat;
}

static void go_to_start(struct serve_visit *v)
{
    struct diag quiet = {0};
    struct session *s = v->w.session;
    (void)!session_jump(s, v->first, &quiet); /* near the start, where the first stop still applies */
    while (session_stop(s).kind != STOP_START)
        session_prev(s);
}

/* The question whether to add an entry has no place of its own: it is reached from the stop before it. */
void road_stand(struct serve_call *c, const struct road *r, uint32_t index)
{
    struct diag quiet = {0};
    struct session *s = c->g->visit.w.session;
    uint32_t from = index;
    while (from > 0 && (!road_is_question(&r->stops.at[from]) ||
                        session_jump(s, r->stops.at[from].place, &quiet) != ERR_OK))
        from--;
    if (from == 0) {
        go_to_start(&c->g->visit);
        session_next(s);
    }
    for (; from < index; from++)
        session_next(s);
}

static void count(struct session *s, const struct place *places, uint32_t n, struct road *r)
{
    bool answered = false;
    for (uint32_t i = 0; i < n; i++)
        if (session_counts(s, places[i], &answered)) {
            r->questions++;
            r->answered += answered;
        }
}

enum err road_look(struct serve_call *c, struct road *r)
{
    struct session *s = c->g->visit.w.session;
    struct stop here = session_stop(s);

    *r = (struct road){0};
    go_to_start(&c->g->visit);
    for (;;) {
        struct stop st = session_next(s);
        struct stop *slot = vec_push(c->a, &r->stops);
        struct place *in = NULL;
        if (!slot)
            return diag_set(c->d, ERR_NOMEM, "no memory to look along the interview");
        *slot = st;
        if (same_stop(&st, &here)) {
            r->at = r->stops.count - 1;
            r->before = r->questions;
        }
        if (road_is_question(&st)) {
            uint32_t n = session_stop_questions(s, c->a, &in);
            count(s, in, n, r);
        }
        if (st.kind == STOP_END)
            break;
    }
    road_stand(c, r, r->at);
    return ERR_OK;
}

struct str road_prompt(struct serve_call *c, const struct stop *st)
{
    struct buf b;
    buf_init(&b, 8192);
    buf_put_str(&b, session_ref(c->g->visit.w.session, st->place, c->a));
    buf_put_z(&b, " + ");
    buf_put_str(&b, form_repeat(c->g->visit.w.form, st->repeat)->path);
    struct str place = arena_str(c->a, buf_str(&b));
    buf_free(&b);
    return place;
}

static enum err find_prompt(struct serve_call *c, struct str place, bool *found_out)
{
    struct road r;
    enum err rc = road_look(c, &r);
    for (uint32_t i = 0; !rc && i < r.stops.count; i++) {
        const struct stop *st = &r.stops.at[i];
        if (st->kind == STOP_REPEAT && str_eq(road_prompt(c, st), place)) {
            road_stand(c, &r, i);
            *found_out = true;
            return ERR_OK;
        }
    }
    return rc;
}

enum err road_find(struct serve_call *c, struct str place, bool *found_out)
{
    struct session *s = c->g->visit.w.session;
    struct diag quiet = {0};
    struct place p;

    *found_out = true;
    if (str_eq_z(place, "start")) {
        go_to_start(&c->g->visit);
        session_next(s);
        return ERR_OK;
    }
    if (str_eq_z(place, "end")) {
        struct road r;
        enum err rc = road_look(c, &r);
        if (!rc)
            road_stand(c, &r, r.stops.count - 1);
        return rc;
    }
    *found_out = false;
    if (str_find(place, STR(" + ")) >= 0)
        return find_prompt(c, place, found_out);
    *found_out = session_place(s, place, &p, &quiet) == ERR_OK && session_jump(s, p, &quiet) == ERR_OK;
    return ERR_OK;
}
