/* Judging at the door: a judge stays open beside the interview and is told of every answer once it is saved.
 * What it finds is kept to itself until the person has given a judgement of their own; only findings that the
 * pack calls urgent are told at once, each when it first holds.
 *
 * Always true: a pack that cannot be applied costs no answer and no interview: it is told, and the interview
 * goes on without it. What it is judged by besides the answers (the visit before, departments' values) is
 * what was known when the interview was opened.
 */
#include "agent/work_impl.h"

static enum err open_prev(struct work *w, struct diag *d)
{
    const struct saved_interview *p = &w->visit.prev;
    struct session_options so = {.form = w->form,
                                 .host = &w->host,
                                 .resume = true,
                                 .frozen = true,
                                 .rows = p->rows,
                                 .row_count = p->row_count,
                                 .cells = p->cells,
                                 .cell_count = p->cell_count,
                                 .row_key_next = w->visit.row_key_next};
    return session_open(&w->arena, &so, &w->prev, d);
}

/* Read once. */
static enum err basis(struct work *w, struct diag *d)
{
    enum err rc = ERR_OK;
    if (w->basis_read)
        return ERR_OK;
    if (w->has_household) {
        w->basis.area = w->household.area;
        rc = store_department(w->o.store, &w->arena, w->household.key, &w->basis.dept, &w->basis.dept_as_of,
                              d);
    }
    if (!rc && w->visit.revisit) {
        w->basis.prev_date = str_sub(w->visit.prev_ended, 0, 10);
        rc = open_prev(w, d);
        w->basis.prev = w->prev;
    }
    w->basis_read = !rc;
    return rc;
}

static enum err judge_input_now(struct work *w, struct judge_input *out, struct diag *d)
{
    enum err rc = basis(w, d);
    w->judged_ms = w->host.now_ms(w);
    struct civil today = civil_at(w->judged_ms, w->o.zone ? w->o.zone : zone_utc());
    *out = w->basis;
    out->now = w->session;
    out->today = civil_days(today.year, today.month, today.day);
    return rc;
}

enum err work_judge(struct work *w, struct arena *a, struct judgement *j, struct diag *d)
{
    struct judge_input in;
    if (!w->pack)
        return diag_set(d, ERR_NOT_FOUND, "no rule pack for this form is on the device");
    enum err rc = judge_input_now(w, &in, d);
    return rc ? rc : judge_household(a, w->pack, &in, j, d);
}

/* ---- after every answer ---- */

static bool was_told(const struct work *w, struct str rule)
{
    for (uint32_t i = 0; i < w->alerts.count; i++)
        if (str_eq(w->alerts.at[i].rule, rule))
            return true;
    return false;
}

static enum err tell(struct work *w, struct diag *d)
{
    struct judgement j;
    struct arena_mark mark = arena_mark(&w->judge_memory);
    enum err rc = judge_findings(w->judge, &w->judge_memory, true, &j, d);
    for (uint32_t i = 0; !rc && i < j.count; i++) {
        const struct finding *f = &j.findings[i];
        if (f->state != FINDING_HIT || was_told(w, f->rule))
            continue;
        struct work_alert *slot = vec_push(&w->arena, &w->alerts);
        struct work_alert alert = {arena_str(&w->arena, f->rule), arena_str(&w->arena, f->text_zh),
                                   arena_str(&w->arena, f->text_en), f->severity};
        if (slot && alert.rule.p && alert.zh.p && alert.en.p)
            *slot = alert;
        else
            rc = diag_set(d, ERR_NOMEM, "no memory for what was found");
    }
    arena_release(&w->judge_memory, mark);
    return rc;
}

static void give_up(struct work *w, const struct diag *why)
{
    judge_close(w->judge);
    w->judge = NULL;
    work_note(w, "the rules cannot be applied while the interview goes on: %s", why->text);
}

void work_judge_open(struct work *w)
{
    struct judge_input in;
    struct diag why = {0};
    if (!w->pack)
        return;
    arena_init(&w->judge_memory, WORK_MEMORY_MAX);
    enum err rc = judge_input_now(w, &in, &why);
    if (!rc)
        rc = judge_open(&w->arena, w->pack, &in, &w->judge, &why);
    if (!rc)
        rc = tell(w, &why);
    if (rc)
        give_up(w, &why);
}

void work_judge_touch(struct work *w)
{
    struct diag why = {0};
    if (!w->judge)
        return;
    enum err rc = judge_touch(w->judge, NULL, &why);
    if (!rc)
        rc = tell(w, &why);
    if (rc)
        give_up(w, &why);
}

void work_judge_close(struct work *w)
{
    judge_close(w->judge);
    w->judge = NULL;
    session_close(w->prev);
    w->prev = NULL;
    arena_free(&w->judge_memory);
}
