/* A world's life: it is set up without faults, people work and the world misbehaves, then the faults stop. */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define WALL_MS 1794016800000 /* what the clocks say in the beginning: 2026-11-07T02:00Z */
#define PATIENCE 5000         /* requests of one sync */
#define YEAR_MS (365 * 86400000LL)
#define CARD_MAX ((uint64_t)256 << 20)
#define CENTRE_DISK_MAX ((uint64_t)16 << 30)

void fail(struct world *w, const char *what)
{
    if (!w->failed)
        w->failed = what;
}

void fail_about(struct world *w, const char *what, const char *format, ...)
{
    va_list args;
    if (w->failed)
        return;
    w->failed = what;
    va_start(args, format);
    vsnprintf(w->detail, sizeof w->detail, format, args);
    va_end(args);
}

bool device_is_off(const struct device *v)
{
    return sim_is_off(v->machine);
}

/* ---- opening, and after a power cut ---- */

static bool device_open(struct world *w, struct device *v)
{
    diag_clear(&w->diag);
    if (store_open("/handheld", sim_seam(v->machine), NULL, &v->store, &w->diag)) {
        fail(w, "a handheld's database does not open");
        return false;
    }
    if (store_check(v->store, &w->diag)) {
        fail(w, "a handheld's database is damaged");
        return false;
    }
    return true;
}

static void lift_limit(struct device *v)
{
    v->full = false;
    sim_disk_limit(v->machine, CARD_MAX);
}

/* Power comes back: databases open, on a full card too, and everything called saved is there. */
static void device_restart(struct world *w, struct device *v)
{
    w->n.cuts++;
    store_close(v->store);
    v->store = NULL;
    sim_restart(v->machine);
    sim_advance(w->sim, 1000 + (int64_t)sim_pick(w->sim, 60000));
    if (!device_open(w, v))
        return;
    lift_limit(v);
    for (int i = 0; i < HOUSEHOLDS && !w->failed; i++)
        book_settle(w, v, &v->books[i]);
}

static void centre_restart(struct world *w)
{
    w->n.cuts++;
    sim_centre_stop(w->centre);
    sim_restart(w->centre_machine);
    sim_advance(w->sim, 1000 + (int64_t)sim_pick(w->sim, 60000));
    diag_clear(&w->diag);
    if (sim_centre_start(w->centre, &w->diag))
        fail(w, "the centre's database does not open after a power cut");
}

/* Somebody makes room; what the full card refused is looked for: it is there whole, or not at all. */
static void make_room(struct world *w, struct device *v)
{
    lift_limit(v);
    for (int i = 0; i < HOUSEHOLDS && !w->failed && !device_is_off(v); i++)
        if (v->books[i].unsure || v->books[i].finalising)
            book_settle(w, v, &v->books[i]);
}

/* ---- travel ---- */

static void note_landed(struct world *w, const struct device *v)
{
    for (uint32_t i = 0; i < w->visits.count; i++)
        if (w->visits.at[i].author == v->author)
            w->visits.at[i].landed = true;
}

enum err run_deliver(struct world *w, struct device *v)
{
    struct deliver_options o = {.tries_max = 6};
    struct deliver_result result = {0};

    history_left(&w->history, v->author, ++w->step);
    diag_clear(&w->diag);
    sim_centre_patience(w->centre, PATIENCE);
    enum err rc = deliver(v->store, sim_seam(v->machine), &o, &result, &w->diag);
    if (sim_centre_is_tired(w->centre))
        fail(w, "a handheld asks for ever");
    sim_centre_patience(w->centre, UINT32_MAX);
    v->heard = ++w->step;
    if (rc == ERR_OK && !v->revoked) {
        if (result.totals.frames_quarantined > 0 && !w->clones && !w->set_back)
            fail(w, "the centre set a frame aside");
        if (w->portal)
            fail(w, "a login page was taken for the centre");
        if (result.frames_waiting == 0)
            note_landed(w, v);
    }
    if (rc && result.portal && !device_is_off(v)) {
        w->n.pages++;
        if (str_find(str_of(w->diag.text), STR("login page")) < 0)
            fail(w, "a login page was not called one");
    }
    return rc;
}

/* Whatever has no receipt goes on the stick; what was on it stays. */
static void fill_stick(struct world *w, struct device *v)
{
    uint32_t frames = 0;
    uint64_t after = 0;
    bool any = true;

    diag_clear(&w->diag);
    if (store_cut(v->store, &frames, &w->diag))
        return;
    history_left(&w->history, v->author, ++w->step);
    while (any) {
        struct buf frame;
        buf_init(&frame, FRAME_SIZE_MAX);
        if (store_frame_next(v->store, after, &after, &frame, &any, &w->diag))
            any = false;
        struct on_stick *slot = any ? vec_push(&w->arena, &w->stick) : NULL;
        if (slot)
            *slot = (struct on_stick){arena_str(&w->arena, buf_str(&frame)), (uint32_t)(v - w->devices)};
        buf_free(&frame);
    }
}

/* Some of what is on the stick is handed in, in any order; it may have come by radio before, or come later.
 */
static void empty_stick(struct world *w)
{
    for (uint64_t n = sim_pick(w->sim, 6); n > 0 && w->stick.count > 0; n--) {
        uint32_t which = (uint32_t)sim_pick(w->sim, w->stick.count);
        int status = sim_centre_hand_in(w->centre, w->stick.at[which].frame);
        if (status == 200) {
            w->n.carried++;
            w->stick.at[which] = w->stick.at[--w->stick.count];
        } else if (!sim_is_off(w->centre_machine) && !w->portal && !w->centre_full) {
            fail_about(w, "the centre refuses a frame that came by hand", "status %d", status);
        }
        if (sim_is_off(w->centre_machine))
            break;
    }
}

/* ---- what goes wrong ---- */

static bool now(struct world *w, enum fault fault, uint32_t per_mille)
{
    bool chance = sim_chance(w->sim, per_mille);
    return w->faults[fault] && chance;
}

static void shut_out(struct world *w, struct device *v)
{
    diag_clear(&w->diag);
    if (sim_centre_revoke(w->centre, store_identity(v->store)->by.device, &w->diag)) {
        if (!sim_is_off(w->centre_machine) && !w->centre_full)
            fail(w, "a handheld cannot be revoked");
        return;
    }
    v->revoked = true;
    for (uint32_t i = 0; i < w->visits.count; i++)
        if (w->visits.at[i].author == v->author && !w->visits.at[i].landed)
            w->visits.at[i].optional = true;
    for (uint32_t i = 0; i < w->history.count; i++)
        if (w->history.at[i].author == v->author)
            w->history.at[i].optional = w->visits.at[w->history.at[i].visit - 1].optional;
}

/* The whole disk comes back, or all but the marker beside the database; somebody says so, or nobody does. */
static void set_back(struct world *w)
{
    const struct seam *seam = sim_seam(w->centre_machine);
    struct buf marker;
    struct diag quiet = {0};
    bool told = sim_chance(w->sim, 500), marker_stays = sim_chance(w->sim, 330);

    sim_cut_after(w->centre_machine, 0);
    sim_disk_limit(w->centre_machine, CENTRE_DISK_MAX);
    buf_init(&marker, 4096);
    marker_stays = !seam->file_read(seam->self, "/county/marker", &marker, &quiet) && marker_stays;
    sim_centre_stop(w->centre);
    sim_disk_copy(w->centre_machine, w->backup);
    sim_advance(w->sim, 60000 + (int64_t)sim_pick(w->sim, 600000));
    diag_clear(&w->diag);
    if ((marker_stays && seam->file_write(seam->self, "/county/marker", buf_str(&marker), false, &w->diag)) ||
        (told && sim_centre_set_back(w->centre, &w->diag)) || sim_centre_start(w->centre, &w->diag))
        fail(w, "a backup cannot be put back");
    w->set_back = true;
    w->unnoticed = w->unnoticed || (!told && !marker_stays);
    w->n.set_back++;
    buf_free(&marker);
}

static void backup(struct world *w)
{
    if (sim_is_off(w->centre_machine))
        return;
    if (w->backup && sim_chance(w->sim, 500)) {
        set_back(w);
        return;
    }
    if (!w->backup && sim_machine_add(w->sim, NULL, &w->backup, &w->diag))
        fail(w, "the world has no room for a backup");
    else
        sim_disk_copy(w->backup, w->centre_machine);
}

/* What was said in drafts, both copies will say. A draft in which members were added is finished before: each
 * copy would make them, and the checker knows members by their names. */
static bool drafts_share(struct world *w, struct device *v)
{
    for (int h = 0; h < HOUSEHOLDS; h++) {
        struct book *b = &v->books[h];
        bool added = false;
        for (uint32_t i = 0; i < b->drafted_count; i++)
            added = added || b->drafted[i].own;
        if (added)
            visit(w, v, b, true);
        if (w->failed || device_is_off(v) || b->unsure || b->finalising || (added && b->drafted_count))
            return false;
        for (uint32_t i = 0; i < b->drafted_count; i++)
            b->drafted[i].shared = true;
    }
    return true;
}

/* From here on there are two handhelds that believe to be the same one. */
static void clone_device(struct world *w, struct device *v)
{
    struct device *copy = &w->devices[w->device_count];
    if (!drafts_share(w, v))
        return;
    *copy = *v;
    copy->store = NULL;
    copy->author = w->device_count + 1;
    history_left(&w->history, v->author, ++w->step);
    copy->heard = w->step;
    if (sim_machine_add(w->sim, NULL, &copy->machine, &w->diag)) {
        fail(w, "the world has no room for a copy");
        return;
    }
    sim_disk_copy(copy->machine, v->machine);
    w->device_count++;
    w->clones++;
    w->n.clones++;
    (void)device_open(w, copy);
}

/* What a clock says whose battery was empty, or that somebody set to the far end; or that is right again. */
static void wild_clock(struct world *w, struct sim_machine *m)
{
    static const int64_t said[] = {86400000, 4086000000000, WALL_MS, WALL_MS};
    sim_wall_set(m, said[sim_pick(w->sim, 4)]);
}

static void before_action(struct world *w, struct device *v)
{
    if (now(w, FAULT_CUT_DEVICE, 300))
        sim_cut_after(v->machine, 1 + sim_pick(w->sim, 60));
    if (now(w, FAULT_CUT_CENTRE, 150))
        sim_cut_after(w->centre_machine, 1 + sim_pick(w->sim, 60));
    if (now(w, FAULT_CLOCK, 40))
        sim_wall_set(v->machine, WALL_MS + ((int64_t)sim_pick(w->sim, 21) - 10) * YEAR_MS);
    if (w->faults[FAULT_EPOCHAL] && now(w, FAULT_EPOCHAL, 60))
        wild_clock(w, sim_chance(w->sim, 300) ? w->centre_machine : v->machine);
    if (now(w, FAULT_PORTAL, w->portal ? 400 : 40)) {
        w->portal = !w->portal;
        sim_centre_portal(w->centre, w->portal);
    }
    if (now(w, FAULT_PARTITION, 100))
        sim_net_partition(v->machine, sim_chance(w->sim, 500));
    if (now(w, FAULT_FULL, 120)) {
        v->full = true;
        sim_disk_limit(v->machine, sim_disk_used(v->machine) + sim_pick(w->sim, 60000));
    }
    if (now(w, FAULT_CENTRE_FULL, 80)) {
        w->centre_full = true;
        sim_disk_limit(w->centre_machine, sim_disk_used(w->centre_machine) + sim_pick(w->sim, 100000));
    }
    if (now(w, FAULT_REVOKE, 5) && !v->revoked)
        shut_out(w, v);
    if (now(w, FAULT_SET_BACK, 25))
        backup(w);
    if (now(w, FAULT_CLONE, 15) && w->clones < CLONES_MAX)
        clone_device(w, v);
}

static void after_action(struct world *w, struct device *v)
{
    w->centre_full = false;
    sim_disk_limit(w->centre_machine, CENTRE_DISK_MAX);
    if (!device_is_off(v) && now(w, FAULT_KILL, 40)) {
        sim_kill(v->machine);
        device_restart(w, v);
    }
    if (!device_is_off(v) && v->full)
        make_room(w, v);
    if (device_is_off(v))
        device_restart(w, v);
    if (!w->failed && sim_is_off(w->centre_machine))
        centre_restart(w);
    if (!w->failed && now(w, FAULT_KILL, 20)) {
        sim_kill(w->centre_machine);
        centre_restart(w);
    }
    if (!w->failed) {
        sim_cut_after(v->machine, 0);
        sim_cut_after(w->centre_machine, 0);
    }
}

static void act(struct world *w, struct device *v)
{
    w->step++;
    before_action(w, v);
    uint64_t what = sim_pick(w->sim, 100);
    if (what < 30)
        (void)!run_deliver(w, v);
    else if (what < 35 && w->faults[FAULT_STICK])
        fill_stick(w, v);
    else if (what < 42 && w->faults[FAULT_STICK])
        empty_stick(w);
    else
        visit(w, v, &v->books[sim_pick(w->sim, HOUSEHOLDS)], false);
    after_action(w, v);
}

/* ---- setting up ---- */

static bool enrol_device(struct world *w, struct device *v, uint32_t number)
{
    char token[32], print[40], person[32], area[32];
    struct enrol_options o = {.code = token, .url = "http://centre", .root_print = print};

    snprintf(person, sizeof person, "cadre %u", number);
    snprintf(area, sizeof area, "99%04u", v->team);
    return !sim_centre_token(w->centre, str_of(person), str_of(area), token, print, &w->diag) &&
           !enrol(v->store, sim_seam(v->machine), &o, &w->diag) && !run_deliver(w, v);
}

static void households_csv(const struct world *w, struct buf *out)
{
    buf_put_z(out, "code,area,name,address\n");
    for (uint32_t i = 0; i < w->teams; i++)
        for (int h = 0; h < HOUSEHOLDS; h++)
            buf_printf(out, "T%uH%d,99%04u000001,Invented %u-%d,somewhere\n", i, h, i, i, h);
}

static bool device_make(struct world *w, uint32_t i)
{
    struct device *v = &w->devices[i];
    v->author = i + 1;
    v->team = i / w->team_size < w->teams ? i / w->team_size : w->teams - 1;
    for (uint32_t h = 0; h < HOUSEHOLDS; h++) {
        v->books[h].household = v->team * HOUSEHOLDS + h;
        snprintf(v->books[h].code, sizeof v->books[h].code, "T%uH%u", v->team, h);
    }
    return !sim_machine_add(w->sim, NULL, &v->machine, &w->diag) && device_open(w, v) &&
           enrol_device(w, v, i);
}

/* The first of each team has been everywhere once, and the others have heard of it. */
static bool first_visits(struct world *w)
{
    for (uint32_t i = 0; i < w->device_count && !w->failed; i++) {
        struct device *v = &w->devices[i];
        bool first = i == 0 || w->devices[i - 1].team != v->team;
        for (int h = 0; first && h < HOUSEHOLDS && !w->failed; h++)
            visit(w, v, &v->books[h], true);
        if (!w->failed && run_deliver(w, v))
            return false;
    }
    return !w->failed;
}

static void choose_faults(struct world *w)
{
    for (int i = 0; i < FAULT_EPOCHAL; i++)
        w->faults[i] = sim_chance(w->sim, 550);
    /* of these at most one: what each of them may cost is told apart */
    uint64_t grave = sim_pick(w->sim, 5);
    w->faults[FAULT_REVOKE] = grave == 0;
    w->faults[FAULT_SET_BACK] = grave == 1 || grave == 2;
    w->faults[FAULT_CLONE] = grave == 3;
    /* by the number of the seed, so that the others stay what they were */
    w->faults[FAULT_EPOCHAL] = w->seed % 4 == 1 && !w->faults[FAULT_SET_BACK] && !w->faults[FAULT_CLONE];
    if (w->always_cut)
        w->faults[FAULT_CUT_DEVICE] = w->faults[FAULT_CUT_CENTRE] = true;
    w->team_size = 2 + (uint32_t)sim_pick(w->sim, 2);
    w->teams = w->device_count < w->team_size ? 1 : w->device_count / w->team_size;
}

static bool build(struct world *w)
{
    struct buf csv;
    const struct sim_machine_options large = {.disk_max = CENTRE_DISK_MAX};
    bool ok = !sim_open(w->seed, &w->sim, &w->diag);
    if (ok)
        choose_faults(w);
    buf_init(&csv, 1u << 20);
    households_csv(w, &csv);
    ok = ok && !sim_machine_add(w->sim, &large, &w->centre_machine, &w->diag) &&
         !sim_centre_make(w->centre_machine, str_of(sim_form_xml), buf_str(&csv), &w->centre, &w->diag);
    buf_free(&csv);
    for (uint32_t i = 0; ok && i < w->device_count; i++)
        ok = device_make(w, i);
    ok = ok && first_visits(w);
    if (!ok)
        fail(w, "the world could not be set up");
    return ok;
}

static void set_weather(struct world *w)
{
    const bool *on = w->faults;
    struct sim_net_faults f = {.lose_request = on[FAULT_LOSS] ? 160 : 0,
                               .lose_reply = on[FAULT_LOSS] ? 160 : 0,
                               .truncate = on[FAULT_TRUNCATE] ? 100 : 0,
                               .duplicate = on[FAULT_DUPLICATE] ? 200 : 0,
                               .late_duplicate = on[FAULT_LATE] ? 200 : 0,
                               .delay_ms_min = 20,
                               .delay_ms_max = 3000};
    sim_net_faults(w->sim, &f);
}

static void faults_stop(struct world *w)
{
    sim_net_faults(w->sim, NULL);
    sim_net_flush(w->sim);
    w->portal = false;
    sim_centre_portal(w->centre, false);
    for (uint32_t i = 0; i < w->device_count; i++)
        sim_net_partition(w->devices[i].machine, false);
}

static void tell_how_far(const struct world *w, uint64_t done, uint64_t all)
{
    if (w->telling && done * 20 / all != (done + 1) * 20 / all)
        fprintf(stderr, "seed %llu: %llu %% of %llu actions\n", (unsigned long long)w->seed,
                (unsigned long long)((done + 1) * 100 / all), (unsigned long long)all);
}

void world_run(struct world *w)
{
    arena_init(&w->arena, 512u << 20);
    w->devices = calloc(w->device_count + CLONES_MAX, sizeof *w->devices);
    CHECK(w->devices);
    if (build(w)) {
        uint64_t actions = (uint64_t)w->batches * w->device_count * 3;
        set_weather(w);
        for (uint64_t i = 0; i < actions && !w->failed; i++) {
            act(w, &w->devices[sim_pick(w->sim, w->device_count)]);
            tell_how_far(w, i, actions);
        }
        faults_stop(w);
        if (!w->failed)
            final_check(w);
    }
    for (uint32_t i = 0; i < w->device_count; i++)
        store_close(w->devices[i].store);
    sim_centre_close(w->centre);
    sim_close(w->sim);
    free(w->devices);
    history_free(&w->history);
    arena_free(&w->arena);
}
