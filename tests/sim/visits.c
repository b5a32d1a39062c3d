/* What people do at doors: open an interview, look at what stands there, answer, add and remove members,
 * finish. Each deed is noted only once the product called it saved; one that was cut short is looked for
 * afterwards, and is there whole or not at all.
 */
#include "tests/sim/world.h"

#include <stdio.h>

enum err book_open(struct world *w, struct device *v, struct book *b, struct work *k)
{
    struct work_options o = {.store = v->store,
                             .seam = sim_seam(v->machine),
                             .form = "sim",
                             .household = b->code};
    diag_clear(&w->diag);
    return work_open(k, &o, &w->diag);
}

void excuse(struct world *w, struct device *v, enum err rc, const char *what)
{
    if (device_is_off(v))
        return;
    if (v->full && rc == ERR_FULL && w->diag.text[0])
        w->n.refusals++;
    else
        fail(w, what);
}

/* ---- the draft, as the checker knows it ---- */

static struct drafted *drafted_find(struct book *b, const char *member, const char *field)
{
    for (uint32_t i = 0; i < b->drafted_count; i++)
        if (b->drafted[i].kind == SAID_ANSWER && strcmp(b->drafted[i].member, member) == 0 &&
            strcmp(b->drafted[i].field, field) == 0)
            return &b->drafted[i];
    return NULL;
}

static struct drafted *drafted_push(struct book *b, enum said_kind kind, const char *member)
{
    CHECK(b->drafted_count < DRAFT_MAX);
    struct drafted *x = &b->drafted[b->drafted_count++];
    *x = (struct drafted){.kind = kind, .heard = b->heard};
    snprintf(x->member, sizeof x->member, "%s", member);
    return x;
}

static void drafted_drop(struct book *b, const char *member)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->drafted_count; i++)
        if (strcmp(b->drafted[i].member, member) != 0)
            b->drafted[kept++] = b->drafted[i];
    b->drafted_count = kept;
}

static void note_answer(struct book *b, const struct deed *deed)
{
    char *there = screen_text(&b->screen, deed->member, deed->field);
    struct drafted *x = drafted_find(b, deed->member, deed->field);
    CHECK(there);
    if (!x) {
        struct drafted *name = *deed->member ? drafted_find(b, deed->member, "name") : NULL;
        x = drafted_push(b, SAID_ANSWER, deed->member);
        memcpy(x->field, deed->field, sizeof x->field);
        memcpy(x->stood, there, TEXT_MAX);
        x->own = name && name->own;
    }
    memcpy(x->text, deed->text, TEXT_MAX);
    x->shared = false;
    memcpy(there, deed->text, TEXT_MAX);
}

static void note_added(struct book *b, const struct deed *deed)
{
    CHECK(b->screen.members < MEMBERS_MAX);
    memcpy(b->screen.m[b->screen.members++][0], deed->member, TEXT_MAX);
    struct drafted *x = drafted_push(b, SAID_ANSWER, deed->member);
    snprintf(x->field, sizeof x->field, "name");
    memcpy(x->text, deed->member, TEXT_MAX);
    x->own = true;
}

/* A member that was added in this draft never was; of another one the age that stood there was seen. */
static void note_removed(struct book *b, const struct deed *deed)
{
    struct on_screen *s = &b->screen;
    struct drafted *age = drafted_find(b, deed->member, "age");
    struct drafted *name = drafted_find(b, deed->member, "name");
    char stood[TEXT_MAX] = {0};
    bool own = name && name->own;
    uint32_t which = screen_member(s, deed->member);
    CHECK(which < MEMBERS_MAX);
    memcpy(stood, age ? age->stood : s->m[which][1], TEXT_MAX);
    memmove(s->m[which], s->m[which + 1], sizeof s->m[0] * (s->members - which - 1));
    s->members--;
    memset(s->m[s->members], 0, sizeof s->m[0]);
    drafted_drop(b, deed->member);
    if (!own) {
        struct drafted *x = drafted_push(b, SAID_REMOVED, deed->member);
        memcpy(x->stood, stood, TEXT_MAX);
    }
}

static void note(struct book *b, const struct deed *deed)
{
    switch (deed->kind) {
    case DEED_ANSWER: note_answer(b, deed); break;
    case DEED_ADD: note_added(b, deed); break;
    case DEED_REMOVE: note_removed(b, deed); break;
    }
}

/* ---- what stands on a screen ---- */

static void check_drafted(struct world *w, struct book *b, struct on_screen *now)
{
    for (uint32_t i = 0; i < b->drafted_count && !w->failed; i++) {
        const struct drafted *x = &b->drafted[i];
        bool removed = x->kind == SAID_REMOVED;
        const char *there = removed ? NULL : screen_text(now, x->member, x->field);
        if (removed && screen_member(now, x->member) < MEMBERS_MAX)
            fail_about(w, "a member that was removed is back", "%s of %s", x->member, b->code);
        if (!removed && (!there || strcmp(there, x->text) != 0))
            fail_about(w, "a saved answer is lost or changed", "%s, not %s, in %s %s of %s",
                       there ? there : "nothing", x->text, x->member, x->field, b->code);
    }
}

/* Whatever else is shown was said by somebody, here. */
static void check_text(struct world *w, const struct book *b, const char *member, const char *field,
                       const char *text)
{
    const struct said *s = history_find(&w->history, text);
    if (!*text || w->failed)
        return;
    if (!s || s->household != b->household || strcmp(s->member, member) != 0 || strcmp(s->field, field) != 0)
        fail_about(w, "a screen shows what nobody said there", "%s in %s %s of %s", text, member, field,
                   b->code);
}

static bool is_drafted(struct book *b, const char *member, const char *field)
{
    return drafted_find(b, member, field) != NULL;
}

static void check_others(struct world *w, struct book *b, struct on_screen *now)
{
    char field[8];
    for (int i = 0; i < FIELDS; i++) {
        snprintf(field, sizeof field, "f%d", i);
        if (!is_drafted(b, "", field))
            check_text(w, b, "", field, now->f[i]);
    }
    for (uint32_t i = 0; i < now->members; i++) {
        const char *name = now->m[i][0];
        if (!*name)
            fail_about(w, "a member without a name", "in %s", b->code);
        if (screen_member(now, name) != i)
            fail_about(w, "a member is there twice", "%s of %s", name, b->code);
        if (!is_drafted(b, name, "name"))
            check_text(w, b, name, "name", name);
        if (!is_drafted(b, name, "age"))
            check_text(w, b, name, "age", now->m[i][1]);
    }
}

static void look(struct world *w, struct device *v, struct book *b, struct work *k)
{
    struct on_screen now;
    screen_of_session(k->session, &now);
    check_drafted(w, b, &now);
    check_others(w, b, &now);
    b->screen = now;
    b->heard = v->heard;
    b->draft = true; /* opening began a visit if there was none: the form names itself */
}

/* ---- finishing ---- */

static void note_final(struct world *w, struct device *v, struct book *b)
{
    struct visit_said *slot = vec_push(&w->arena, &w->visits);
    CHECK(slot);
    *slot = (struct visit_said){.screen = b->screen,
                                .author = v->author,
                                .household = b->household,
                                .optional = v->revoked};
    for (uint32_t i = 0; i < b->drafted_count; i++) {
        const struct drafted *x = &b->drafted[i];
        struct said s = {.kind = x->kind,
                         .household = b->household,
                         .author = v->author,
                         .visit = w->visits.count,
                         .heard = x->heard,
                         .shared = x->shared,
                         .optional = v->revoked};
        memcpy(s.member, x->member, sizeof s.member);
        memcpy(s.field, x->field, sizeof s.field);
        memcpy(s.text, x->text, sizeof s.text);
        memcpy(s.stood, x->stood, sizeof s.stood);
        history_add(&w->history, &s);
    }
    b->drafted_count = 0;
    b->draft = false;
}

static void finalise(struct world *w, struct device *v, struct book *b, struct work *k)
{
    struct arena a;
    struct work_result r;

    arena_init(&a, 64u << 20);
    b->finalising = true;
    diag_clear(&w->diag);
    enum err rc = work_finish(k, &a, STR("fine"), &r, &w->diag);
    if (!rc) {
        b->finalising = false;
        note_final(w, v, b);
    } else {
        excuse(w, v, rc, "an interview could not be finalised although nothing was broken");
    }
    arena_free(&a);
}

/* ---- after a power cut, or a refusal ---- */

static bool happened(const struct deed *deed, struct on_screen *now)
{
    if (deed->kind == DEED_ANSWER) {
        const char *there = screen_text(now, deed->member, deed->field);
        return there && strcmp(there, deed->text) == 0;
    }
    bool there = screen_member(now, deed->member) < MEMBERS_MAX;
    return deed->kind == DEED_ADD ? there : !there;
}

void book_settle(struct world *w, struct device *v, struct book *b)
{
    struct work k;
    struct on_screen now;

    if (book_open(w, v, b, &k)) {
        if (device_is_off(v))
            return;
        fail(w, "an interview does not open after a power cut");
        return;
    }
    if (b->draft && b->drafted_count && !k.visit.resumed && !b->finalising)
        fail(w, "a draft is gone after a power cut");
    if (b->finalising && !k.visit.resumed)
        note_final(w, v, b);
    b->finalising = false;
    screen_of_session(k.session, &now);
    if (b->unsure && happened(&b->cut_short, &now))
        note(b, &b->cut_short);
    b->unsure = false;
    look(w, v, b, &k);
    work_close(&k);
}

/* ---- a visit ---- */

static void choose(struct world *w, struct book *b, struct deed *deed)
{
    uint64_t what = sim_pick(w->sim, 10);
    const struct on_screen *s = &b->screen;
    *deed = (struct deed){.kind = DEED_ANSWER};
    snprintf(deed->text, sizeof deed->text, "v%llu", (unsigned long long)++w->values);
    if ((what == 6 && s->members < MEMBERS_ADD_MAX) || (what > 6 && s->members == 0)) {
        deed->kind = DEED_ADD;
        memcpy(deed->member, deed->text, TEXT_MAX);
    } else if (what > 6) {
        memcpy(deed->member, s->m[sim_pick(w->sim, s->members)][0], TEXT_MAX);
        deed->kind = what == 9 ? DEED_REMOVE : DEED_ANSWER;
        snprintf(deed->field, sizeof deed->field, "age");
    } else {
        /* two fields are asked more often than the others: people meet there */
        uint64_t field = sim_chance(w->sim, 500) ? sim_pick(w->sim, 2) : sim_pick(w->sim, FIELDS);
        snprintf(deed->field, sizeof deed->field, "f%u", (unsigned)field);
    }
}

static bool say(struct session *s, const char *ref, const char *text, struct diag *d)
{
    struct place p;
    return !session_place(s, str_of(ref), &p, d) && !session_answer(s, p, str_of(text), d);
}

/* In the session; false when the session would not. */
static bool carry_out(struct world *w, struct book *b, const struct deed *deed, struct session *s)
{
    struct place p, added;
    char ref[64];
    if (deed->kind == DEED_ADD) {
        snprintf(ref, sizeof ref, "/data/member[%u]/name", b->screen.members + 1);
        return !session_place(s, STR("/data"), &p, &w->diag) &&
               !session_repeat_add(s, p, 0, &added, &w->diag) && say(s, ref, deed->member, &w->diag);
    }
    if (!*deed->member) {
        snprintf(ref, sizeof ref, "/data/%s", deed->field);
        return say(s, ref, deed->text, &w->diag);
    }
    uint32_t which = screen_member(&b->screen, deed->member);
    snprintf(ref, sizeof ref, deed->kind == DEED_REMOVE ? "/data/member[%u]" : "/data/member[%u]/age",
             which + 1);
    if (deed->kind == DEED_ANSWER)
        return say(s, ref, deed->text, &w->diag);
    return !session_place(s, str_of(ref), &p, &w->diag) && !session_repeat_remove(s, p, &w->diag);
}

static void say_something(struct world *w, struct device *v, struct book *b, struct work *k)
{
    struct deed deed;
    choose(w, b, &deed);
    if (!carry_out(w, b, &deed, k->session)) {
        fail(w, "the session refused an answer");
        return;
    }
    sim_advance(w->sim, 2000 + (int64_t)sim_pick(w->sim, 20000));
    diag_clear(&w->diag);
    enum err rc = work_save(k, &w->diag);
    if (!rc) {
        note(b, &deed);
        return;
    }
    b->cut_short = deed;
    b->unsure = true;
    excuse(w, v, rc, "an answer could not be saved although nothing was broken");
}

void visit(struct world *w, struct device *v, struct book *b, bool to_the_end)
{
    struct work k;
    uint64_t answers = 1 + sim_pick(w->sim, 8);

    enum err rc = book_open(w, v, b, &k);
    if (rc) {
        excuse(w, v, rc, "an interview does not open although nothing was broken");
        return;
    }
    look(w, v, b, &k);
    for (uint64_t i = 0; i < answers && !w->failed && !b->unsure && b->drafted_count < DRAFT_MAX - 2; i++) {
        say_something(w, v, b, &k);
        if (w->faults[FAULT_MEANWHILE] && !b->unsure && sim_chance(w->sim, 40))
            (void)!run_deliver(w, v);
    }
    if (!w->failed && !b->unsure && !device_is_off(v) && (to_the_end || sim_chance(w->sim, 500)))
        finalise(w, v, b, &k);
    work_close(&k);
}
