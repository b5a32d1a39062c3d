/* In the end: faults have stopped, what is open is finished, everything drains; then the centre, every
 * handheld and the checker's own history are compared.
 */
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

#define DRAIN_ROUNDS 4
#define ORDERS 3 /* in which the log is applied anew */

/* ---- draining ---- */

static void finish_drafts(struct world *w)
{
    for (uint32_t i = 0; i < w->device_count; i++)
        for (int h = 0; h < HOUSEHOLDS && !w->failed; h++)
            if (w->devices[i].books[h].drafted_count > 0)
                visit(w, &w->devices[i], &w->devices[i].books[h], true);
}

static void check_queue(struct world *w, struct device *v)
{
    struct arena a;
    struct store_status st;
    arena_init(&a, 64u << 20);
    if (store_status(v->store, &a, &st, &w->diag))
        fail(w, "a queue cannot be read");
    else if (st.frames_waiting || st.finalised_unsent)
        fail_about(w, "a queue did not drain", "author %u: %u frames, %u interviews", v->author,
                   st.frames_waiting, st.finalised_unsent);
    arena_free(&a);
}

/* Several times round: what was lost with a backup is sent again; what the last one brought, the first one
 * hears. */
static void drain(struct world *w)
{
    for (uint32_t i = 0; i < DRAIN_ROUNDS * w->device_count && !w->failed; i++) {
        struct device *v = &w->devices[i % w->device_count];
        enum err rc = run_deliver(w, v);
        if (v->revoked || i < (DRAIN_ROUNDS - 2) * w->device_count)
            continue;
        if (rc)
            fail(w, "a device could not deliver although nothing was broken any more");
        if (!w->failed)
            check_queue(w, v);
    }
}

/* ---- submissions: each finalised visit once, as the very XML of the door ---- */

static int compare_screens(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct on_screen));
}

/* A visit's document among those that were read and are not taken yet. */
static bool take_document(const struct on_screen *screen, const struct on_screen *read, bool *used,
                          uint32_t count)
{
    const struct on_screen *there = count ? bsearch(screen, read, count, sizeof *read, compare_screens)
                                          : NULL;
    size_t at = there ? (size_t)(there - read) : 0;
    while (there && at > 0 && compare_screens(&read[at - 1], screen) == 0)
        at--;
    while (there && at < count && used[at] && compare_screens(&read[at], screen) == 0)
        at++;
    if (!there || at == count || compare_screens(&read[at], screen) != 0)
        return false;
    used[at] = true;
    return true;
}

/* Where a backup was put back or a handheld copied, what somebody had seen of others is not known to the
 * centre any more: such a document may differ in what others had answered. It is there all the same. */
static void check_submissions(struct world *w, struct arena *a)
{
    struct sim_submission *got;
    uint32_t count = 0, matched = 0, missing = 0, differing = 0;
    bool exact = !w->set_back && !w->clones;

    diag_clear(&w->diag);
    if (sim_centre_submissions(w->centre, a, STR("sim"), &got, &count, &w->diag)) {
        fail(w, "the centre's submissions cannot be read");
        return;
    }
    struct on_screen *read = ARENA_ARRAY(a, struct on_screen, count + 1u);
    bool *used = ARENA_ARRAY(a, bool, count + 1u);
    CHECK(read && used);
    for (uint32_t i = 0; i < count; i++) {
        screen_of_xml(got[i].xml, &read[i]);
        differing += !got[i].matches;
        if (!got[i].matches && exact)
            fail_about(w, "the centre's XML is not the one the device sealed", "%.*s",
                       STR_ARG(got[i].instance_id));
    }
    if (count > 1)
        qsort(read, count, sizeof *read, compare_screens);
    for (uint32_t i = 0; i < w->visits.count && !w->failed; i++) {
        const struct visit_said *said = &w->visits.at[i];
        bool found = take_document(&said->screen, read, used, count);
        matched += found;
        missing += !found && !said->optional;
        if (!found && !said->optional && exact)
            fail_about(w, "a finalised visit is not at the centre as it was at the door",
                       "visit %u by author %u in household %u", i + 1, said->author, said->household);
    }
    w->n.differing += differing;
    if (missing > differing)
        fail_about(w, "finalised visits are not at the centre", "%u, and %u documents differ", missing,
                   differing);
    if (matched + differing < count)
        fail_about(w, "submissions are doubled or invented", "%u of %u are known", matched, count);
}

/* ---- versions: nothing lost, nothing doubled, nothing back from the dead ---- */

static void check_versions(struct world *w, struct arena *a)
{
    struct sim_version *got;
    uint32_t count = 0;
    char text[TEXT_MAX];

    if (sim_centre_versions(w->centre, a, &got, &count, &w->diag)) {
        fail(w, "the centre's records cannot be read");
        return;
    }
    for (uint32_t i = 0; i < count && !w->failed; i++) {
        snprintf(text, sizeof text, "%.*s", STR_ARG(got[i].text));
        struct said *s = history_find(&w->history, text);
        if (!s)
            fail_about(w, "the centre holds what nobody said", "%s", text);
        struct said *twin = s ? history_twin(&w->history, s) : NULL;
        if (s && s->found && twin && !twin->found)
            twin->found = true;
        else if (s && s->found)
            fail_about(w, "an answer is there twice", "%s", text);
        else if (s)
            s->found = true;
        if (s && got[i].shown && !got[i].row_removed) {
            s->shown = true;
            if (twin)
                twin->shown = true;
        }
        w->n.conflicts += !got[i].shown;
    }
    for (uint32_t i = 0; i < w->history.count && !w->failed; i++) {
        const struct said *s = &w->history.at[i];
        if (s->kind != SAID_ANSWER)
            continue;
        enum fate fate = history_fate(&w->history, s);
        w->n.overwritten += fate == FATE_GONE;
        const struct said *twin = history_twin(&w->history, s);
        /* which of the two was overwritten, nobody can tell */
        bool alike = twin && (twin->found || history_fate(&w->history, twin) != FATE_GONE);
        if (fate == FATE_THERE && !s->found && !(twin && twin->found))
            fail_about(w, "an answer that nobody overwrote is lost",
                       "%s in %s %s of household %u, said by author %u", s->text, s->member, s->field,
                       s->household, s->author);
        /* after a backup was put back, nobody is taken to have seen what came after it */
        if (fate == FATE_GONE && s->found && !alike && !w->set_back)
            fail_about(w, "an answer is still there although its overwriter had it on the screen",
                       "%s in %s %s of household %u, said by author %u", s->text, s->member, s->field,
                       s->household, s->author);
    }
}

/* ---- screens: every handheld of a team shows the same, and the same as the centre ---- */

static void check_shown(struct world *w, const char *text, const char *code)
{
    const struct said *s = history_find(&w->history, text);
    if (*text && s && !s->shown)
        fail_about(w, "a handheld shows what the centre does not", "%s in %s", text, code);
}

static void check_screen(struct world *w, const struct book *b, const struct on_screen *s)
{
    for (int i = 0; i < FIELDS; i++)
        check_shown(w, s->f[i], b->code);
    for (uint32_t i = 0; i < s->members; i++) {
        check_shown(w, s->m[i][0], b->code);
        check_shown(w, s->m[i][1], b->code);
    }
    for (uint32_t i = 0; i < w->history.count && !w->failed; i++) {
        const struct said *said = &w->history.at[i];
        if (said->kind != SAID_ANSWER || said->household != b->household || said->optional)
            continue;
        bool name = strcmp(said->field, "name") == 0;
        enum fate fate = name ? history_member(&w->history, b->household, said->member) : FATE_EITHER;
        bool there = name && screen_member(s, said->member) < MEMBERS_MAX;
        if (fate == FATE_THERE && !there)
            fail_about(w, "a member is gone that nobody removed knowingly", "%s of %s", said->member,
                       b->code);
        if (fate == FATE_GONE && there && !w->set_back)
            fail_about(w, "a member that was removed is there again", "%s of %s", said->member, b->code);
        const char *shown = screen_text((struct on_screen *)(uintptr_t)s, said->member, said->field);
        if (said->shown && (!shown || strcmp(shown, said->text) != 0))
            fail_about(w, "the centre shows what a handheld does not", "%s in %s", said->text, b->code);
    }
}

static void read_screen(struct world *w, struct device *v, struct book *b, struct on_screen *out)
{
    struct work k;
    if (book_open(w, v, b, &k)) {
        fail(w, "an interview does not open in the end");
        return;
    }
    screen_of_session(k.session, out);
    work_close(&k);
}

static void check_screens(struct world *w)
{
    for (uint32_t i = 0; i < w->device_count && !w->failed; i++) {
        struct device *v = &w->devices[i];
        for (int h = 0; h < HOUSEHOLDS && !w->failed && !v->revoked; h++) {
            struct on_screen s = {0};
            read_screen(w, v, &v->books[h], &s);
            if (!w->failed)
                check_screen(w, &v->books[h], &s);
        }
    }
}

/* ---- what stands apart ---- */

static void check_counts(struct world *w)
{
    struct sim_centre_counts counts;
    bool revoked = false;
    for (uint32_t i = 0; i < w->device_count; i++)
        revoked = revoked || w->devices[i].revoked;
    if (sim_centre_counts(w->centre, &counts, &w->diag))
        fail(w, "the centre's counts cannot be read");
    else if (!w->clones && !w->set_back && (counts.clones || (counts.quarantined && !revoked)))
        fail_about(w, "the centre set frames aside", "%llu, and %llu as copies",
                   (unsigned long long)counts.quarantined, (unsigned long long)counts.clones);
}

/* ---- the state: the same from the log, in whatever order it is applied ---- */

static void check_orders(struct world *w)
{
    unsigned char state[32], again[32];
    diag_clear(&w->diag);
    if (sim_centre_hash(w->centre, state, &w->diag))
        fail(w, "the centre's state has no hash");
    for (uint64_t i = 0; i < ORDERS && !w->failed; i++) {
        if (sim_centre_replay(w->centre, i ? w->seed * ORDERS + i : 0, again, &w->diag))
            fail(w, "the log cannot be applied anew");
        else if (memcmp(state, again, sizeof state) != 0)
            fail_about(w, "the log gives another state", i ? "in another order" : "in its own order");
    }
}

void final_check(struct world *w)
{
    struct arena a;
    arena_init(&a, 2048ull << 20);
    finish_drafts(w);
    if (!w->failed)
        drain(w);
    if (!w->failed)
        check_counts(w);
    if (!w->failed)
        check_submissions(w, &a);
    if (!w->failed)
        check_versions(w, &a);
    if (!w->failed)
        check_screens(w);
    if (!w->failed)
        check_orders(w);
    arena_free(&a);
}
