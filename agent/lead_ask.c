/* The visit that a lead asks for: each indicator is confirmed or refuted at the door, with a note. See
 * leads.h.
 */
#include "agent/attach.h"
#include "agent/leads.h"
#include "agent/term.h"
#include "agent/work_impl.h"

#include <stdio.h>

static struct str evidence_text(struct arena *a, const struct json *v)
{
    struct buf b;
    buf_init(&b, 4096);
    switch (v->type) {
    case JSON_STRING:
    case JSON_NUMBER: buf_put_str(&b, v->text); break;
    case JSON_BOOL: buf_put_z(&b, v->boolean ? "yes" : "no"); break;
    default: break;
    }
    struct str s = arena_str(a, buf_str(&b));
    buf_free(&b);
    return s;
}

enum err lead_notes(struct work *w, struct diag *d)
{
    struct lead *list;
    uint32_t count = 0;
    if (!w->has_household)
        return ERR_OK;
    enum err rc = store_leads(w->o.store, &w->arena, w->household.key, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++)
        if (lead_times_open(&list[i].times))
            work_note(w,
                      "lead %lld stands open (%s%s%.*s%s%.*s): its indicators are asked after the interview",
                      (long long)list[i].key, lead_channel_name(list[i].times.channel),
                      list[i].source.n ? ", " : "", STR_ARG(list[i].source),
                      list[i].deadline.n ? ", due " : "", STR_ARG(list[i].deadline));
    return rc;
}

static bool first_is(struct str typed, char a, const char *zh)
{
    return typed.n && (typed.p[0] == a || typed.p[0] == a - 32 || str_starts(typed, str_of(zh)));
}

static void print_indicator(const struct lead_asking *q, struct str name, struct str value)
{
    printf("  ");
    term_put(stdout, name);
    printf(" = ");
    term_put(stdout, value);
    printf(q->zh ? "\n  是否属实？ y 属实   n 不属实   u 说不清\n> "
                 : "\n  Is it so? y confirmed   n refuted   u unclear\n> ");
}

/* "" = the input ended. */
static struct str ask_result(const struct lead_asking *q, struct str name, struct str value)
{
    while (!q->ended(q->self)) {
        print_indicator(q, name, value);
        struct str typed = q->read_line(q->self);
        if (q->ended(q->self))
            break;
        if (first_is(typed, 'y', "属实"))
            return STR("confirmed");
        if (first_is(typed, 'n', "不属实"))
            return STR("refuted");
        if (first_is(typed, 'u', "说不清"))
            return STR("unclear");
    }
    return STR("");
}

static struct str ask_text(const struct lead_asking *q, const char *zh, const char *en)
{
    printf("  %s\n> ", q->zh ? zh : en);
    return q->ended(q->self) ? STR("") : arena_str(&q->w->arena, q->read_line(q->self));
}

/* A file that cannot be taken is asked for again: what was seen does not depend on it. */
static struct str ask_photo(const struct lead_asking *q)
{
    while (!q->ended(q->self)) {
        struct diag d = {0};
        struct str name = STR(""),
                   path = ask_text(q, "照片文件（回车略过）", "A photo: its file, or Enter for none");
        if (!path.n)
            break;
        if (!attach_file(q->w->o.store, q->w->o.seam, &q->w->arena, path, &name, &d))
            return name;
        printf("  %s\n", d.text);
    }
    return STR("");
}

struct seen_so_far {
    uint32_t confirmed, refuted, unclear;
};

static enum err ask_indicator(const struct lead_asking *q, const struct lead *l, const struct json *v,
                              struct seen_so_far *n, struct diag *d)
{
    struct lead_seen seen = {.name = v->name};
    seen.result = ask_result(q, v->name, evidence_text(&q->w->arena, v));
    if (!seen.result.n)
        return ERR_OK;
    seen.note = ask_text(q, "怎么看出来的？一句话（回车略过）", "How was it seen? A few words, or Enter");
    seen.photo = ask_photo(q);
    seen.visit = q->w->visit.key;
    seen.position = q->w->o.position ? str_of(q->w->o.position) : STR("");
    n->confirmed += str_eq_z(seen.result, "confirmed");
    n->refuted += str_eq_z(seen.result, "refuted");
    n->unclear += str_eq_z(seen.result, "unclear");
    return store_lead_indicator(q->w->o.store, l->key, &seen, d);
}

static enum err ask_lead(const struct lead_asking *q, const struct lead *l, struct diag *d)
{
    const struct json *root = NULL;
    struct diag quiet = {0};
    struct seen_so_far n = {0};
    enum err rc = ERR_OK;
    printf(q->zh ? "\n线索 %lld（%s%s%.*s）\n" : "\nLead %lld (%s%s%.*s)\n", (long long)l->key,
           lead_channel_name(l->times.channel), l->source.n ? ", " : "", STR_ARG(l->source));
    if (l->indicators.n && json_read(&q->w->arena, l->indicators, &root, &quiet) != ERR_OK)
        root = NULL;
    for (const struct json *v = root ? root->child : NULL; !rc && v; v = v->next)
        rc = ask_indicator(q, l, v, &n, d);
    if (rc || q->ended(q->self))
        return rc;
    struct lead_step_taken step = {.step = STEP_VISIT, .category = q->category, .visit = q->w->visit.key};
    step.result = n.confirmed && !n.refuted && !n.unclear   ? STR("confirmed")
                  : n.refuted && !n.confirmed && !n.unclear ? STR("refuted")
                                                            : STR("partly");
    step.follow_up = ask_text(q, "建议的后续措施（回车略过）", "What is to be done next? Or Enter");
    return store_lead_step(q->w->o.store, l->key, &step, d);
}

enum err lead_ask(const struct lead_asking *q, struct diag *d)
{
    struct lead *list;
    uint32_t count = 0;
    if (!q->w->has_household)
        return ERR_OK;
    enum err rc = store_leads(q->w->o.store, &q->w->arena, q->w->household.key, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count && !q->ended(q->self); i++)
        if (lead_times_open(&list[i].times) && list[i].times.at[STEP_VISIT] == LEAD_NEVER)
            rc = ask_lead(q, &list[i], d);
    return rc;
}
