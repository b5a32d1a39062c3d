/* doorstep-sim: whole handhelds and a whole centre in one process, in made-up time, under faults.
 *
 *   doorstep-sim --seeds A-B [--devices D] [--batches N]
 *   doorstep-sim --cuts N [--from SEED]
 *
 * Each device visits its own households through the production code (work, store, session, deliver), over a
 * disk that loses power, a network that loses, doubles and delays, and clocks that jump; the centre's power
 * goes too. What the product said was saved is written down here, by code that shares nothing with it, and
 * compared after every restart and at the end:
 *
 *   1. an answer that was called saved is there after a power cut; one that was cut short is there whole or
 * not at all; databases open and check;
 *   2. once faults stop, everything finalised reaches the centre exactly once, as the very XML the device
 * sealed;
 *   3. nothing is set aside by the centre;
 *   4. on a card that is full every refusal says so, and costs nothing but itself; a login page in the
 *      centre's place is never taken for the centre.
 *
 * The same seed gives the same run in every build. A failure prints its seed and how to replay it.
 */
#include "agent/deliver.h"
#include "agent/work.h"
#include "platform/sim/sim.h"
#include "tests/sim/centre.h"

#include <stdio.h>
#include <stdlib.h>

#define DEVICES_MAX 200
#define HOUSEHOLDS 4 /* per device */
#define FIELDS 6
#define MEMBERS_MAX 5
#define TEXT_MAX 24

static const char form_xml[] =
    "<h:html xmlns='http://www.w3.org/2002/xforms' xmlns:h='http://www.w3.org/1999/xhtml' "
    "xmlns:jr='http://openrosa.org/javarosa'>"
    "<h:head><h:title>Simulated household</h:title><model>"
    "<instance><data id='sim' version='1'><f0/><f1/><f2/><f3/><f4/><f5/><total/>"
    "<member jr:template=''><name/><age/></member><meta><instanceID/></meta></data></instance>"
    "<bind nodeset='/data/f0' type='string'/><bind nodeset='/data/f1' type='string'/><bind "
    "nodeset='/data/f2' type='string'/>"
    "<bind nodeset='/data/f3' type='string'/><bind nodeset='/data/f4' type='string'/><bind "
    "nodeset='/data/f5' type='string'/>"
    "<bind nodeset='/data/total' type='string' calculate='count(/data/member)'/>"
    "<bind nodeset='/data/member/name' type='string'/><bind nodeset='/data/member/age' type='string'/>"
    "<bind nodeset='/data/meta/instanceID' type='string' jr:preload='uid'/>"
    "</model></h:head><h:body>"
    "<input ref='/data/f0'><label>0</label></input><input ref='/data/f1'><label>1</label></input><input "
    "ref='/data/f2'><label>2</label></input>"
    "<input ref='/data/f3'><label>3</label></input><input ref='/data/f4'><label>4</label></input><input "
    "ref='/data/f5'><label>5</label></input>"
    "<group ref='/data/member'><label>Member</label><repeat nodeset='/data/member'>"
    "<input ref='/data/member/name'><label>Name</label></input><input "
    "ref='/data/member/age'><label>Age</label></input>"
    "</repeat></group></h:body></h:html>";

/* What a household's answers are, in the checker's own terms. Zeroed tails, so that memcmp compares. */
struct answers {
    char f[FIELDS][TEXT_MAX];
    char m[MEMBERS_MAX][2][TEXT_MAX];
    int members;
};

struct case_model {
    char code[16];
    struct answers sure;  /* called saved */
    struct answers maybe; /* what the operation that was cut short would have made it */
    bool unsure;
    bool draft;      /* a visit is open */
    bool finalising; /* cut short while finalising */
};

struct device {
    struct sim_machine *machine;
    struct store *store;
    struct case_model cases[HOUSEHOLDS];
    uint32_t finalised;
    bool full; /* the card takes no more for the moment */
};

struct world {
    uint64_t seed;
    struct sim *sim;
    struct sim_machine *centre_machine;
    struct sim_centre *centre;
    struct device devices[DEVICES_MAX];
    uint32_t device_count, batches;
    /* every finalised visit */
    struct arena arena;
    VEC(struct answers) expected;
    uint64_t values;                /* for unique texts */
    uint64_t cuts, refusals, pages; /* power cuts; what a full card refused; syncs that met a login page */
    bool portal;
    struct diag diag;
    const char *failed; /* NULL = fine */
};

static void fail(struct world *w, const char *what)
{
    if (!w->failed)
        w->failed = what;
}

/* ---- reading answers back, from a session and from XML ---- */

static void copy_text(char out[static TEXT_MAX], struct str s)
{
    memset(out, 0, TEXT_MAX);
    memcpy(out, s.p ? s.p : "", s.n < TEXT_MAX ? s.n : TEXT_MAX - 1);
}

static bool read_place(struct work *k, const char *ref, char out[static TEXT_MAX])
{
    struct place p;
    struct diag quiet = {0};
    bool relevant;
    if (session_place(k->session, str_of(ref), &p, &quiet))
        return false;
    copy_text(out, session_value(k->session, p, &relevant));
    return true;
}

static void read_session(struct work *k, struct answers *out)
{
    char ref[64];
    memset(out, 0, sizeof *out);
    for (int i = 0; i < FIELDS; i++) {
        snprintf(ref, sizeof ref, "/data/f%d", i);
        read_place(k, ref, out->f[i]);
    }
    for (int i = 0; i < MEMBERS_MAX; i++) {
        snprintf(ref, sizeof ref, "/data/member[%d]/name", i + 1);
        if (!read_place(k, ref, out->m[i][0]))
            break;
        snprintf(ref, sizeof ref, "/data/member[%d]/age", i + 1);
        read_place(k, ref, out->m[i][1]);
        out->members = i + 1;
    }
}

/* The text of the next <name>...</name> at or after *from; an empty element reads as "". */
static bool read_element(struct str xml, const char *name, size_t *from, char out[static TEXT_MAX])
{
    char open[32], empty[32], close[32];
    snprintf(open, sizeof open, "<%s>", name);
    snprintf(empty, sizeof empty, "<%s/>", name);
    snprintf(close, sizeof close, "</%s>", name);
    struct str rest = str_sub(xml, *from, xml.n);
    ptrdiff_t at = str_find(rest, str_of(open)), none = str_find(rest, str_of(empty));
    memset(out, 0, TEXT_MAX);
    if (at < 0 && none < 0)
        return false;
    if (at < 0 || (none >= 0 && none < at)) {
        *from += (size_t)none + strlen(empty);
        return true;
    }
    struct str tail = str_sub(rest, (size_t)at + strlen(open), rest.n);
    ptrdiff_t end = str_find(tail, str_of(close));
    if (end < 0)
        return false;
    copy_text(out, str_sub(tail, 0, (size_t)end));
    *from += (size_t)at + strlen(open) + (size_t)end + strlen(close);
    return true;
}

static void read_xml(struct str xml, struct answers *out)
{
    char name[8];
    memset(out, 0, sizeof *out);
    for (int i = 0; i < FIELDS; i++) {
        size_t from = 0;
        snprintf(name, sizeof name, "f%d", i);
        read_element(xml, name, &from, out->f[i]);
    }
    size_t from = 0;
    while (out->members < MEMBERS_MAX && read_element(xml, "name", &from, out->m[out->members][0])) {
        read_element(xml, "age", &from, out->m[out->members][1]);
        out->members++;
    }
}

/* ---- a device ---- */

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

static void settle(struct world *w, struct device *v, struct case_model *c);

static void lift_limit(struct device *v)
{
    v->full = false;
    sim_disk_limit(v->machine, 256u << 20);
}

/* Power comes back: databases open, on a full card too, and everything called saved is there. */
static void device_restart(struct world *w, struct device *v)
{
    w->cuts++;
    store_close(v->store);
    v->store = NULL;
    sim_restart(v->machine);
    sim_advance(w->sim, 1000 + (int64_t)sim_pick(w->sim, 60000));
    if (!device_open(w, v))
        return;
    lift_limit(v);
    for (int i = 0; i < HOUSEHOLDS && !w->failed; i++)
        settle(w, v, &v->cases[i]);
}

static enum err open_case(struct world *w, struct device *v, struct case_model *c, struct work *k)
{
    struct work_options o = {.store = v->store,
                             .seam = sim_seam(v->machine),
                             .form = "sim",
                             .household = c->code};
    diag_clear(&w->diag);
    return work_open(k, &o, &w->diag);
}

static void note_final(struct world *w, struct device *v, struct case_model *c)
{
    struct answers *slot = vec_push(&w->arena, &w->expected);
    CHECK(slot);
    *slot = c->sure;
    v->finalised++;
    c->draft = false;
}

/* What stands in the store is compared with what was said; what was cut short may have happened or not. */
static void settle(struct world *w, struct device *v, struct case_model *c)
{
    struct work k;
    struct answers now;

    if (open_case(w, v, c, &k)) {
        fail(w, "an interview does not open after a power cut");
        return;
    }
    if (c->draft && !k.visit.resumed && !c->finalising)
        fail(w, "a draft is gone after a power cut");
    if (c->finalising && !k.visit.resumed) {
        note_final(w, v, c);
    }
    c->finalising = false;
    c->draft = true; /* opening began a visit if there was none */
    read_session(&k, &now);
    if (memcmp(&now, &c->sure, sizeof now) != 0) {
        if (!c->unsure || memcmp(&now, &c->maybe, sizeof now) != 0)
            fail(w, "a saved answer is lost or changed");
        c->sure = c->maybe;
    }
    c->unsure = false;
    work_close(&k);
}

static bool is_off(struct device *v)
{
    return sim_is_off(v->machine);
}

/* A failure needs a reason of this world: the power, or a card that is full and says so. */
static void excuse(struct world *w, struct device *v, enum err rc, const char *what)
{
    if (is_off(v))
        return;
    if (v->full && rc == ERR_FULL && w->diag.text[0])
        w->refusals++;
    else
        fail(w, what);
}

/* One change of the answers, in the session and in `after`. False when it could not be made at all. */
static bool change_something(struct world *w, struct work *k, struct answers *after)
{
    char ref[64], text[TEXT_MAX] = {0};
    struct place p, added;
    uint64_t what = sim_pick(w->sim, 10);

    snprintf(text, sizeof text, "v%llu", (unsigned long long)++w->values);
    if (what < 6 || (what < 9 && after->members == 0 && what != 6)) {
        int field = (int)sim_pick(w->sim, FIELDS);
        snprintf(ref, sizeof ref, "/data/f%d", field);
        memcpy(after->f[field], text, TEXT_MAX);
    } else if (what == 6 && after->members < MEMBERS_MAX) {
        if (session_place(k->session, STR("/data"), &p, &w->diag) ||
            session_repeat_add(k->session, p, 0, &added, &w->diag))
            return false;
        after->members++;
        return true;
    } else if (what < 9 && after->members > 0) {
        int member = (int)sim_pick(w->sim, (uint64_t)after->members), which = (int)sim_pick(w->sim, 2);
        snprintf(ref, sizeof ref, "/data/member[%d]/%s", member + 1, which ? "age" : "name");
        memcpy(after->m[member][which], text, TEXT_MAX);
    } else if (after->members > 0) {
        int member = (int)sim_pick(w->sim, (uint64_t)after->members);
        snprintf(ref, sizeof ref, "/data/member[%d]", member + 1);
        if (session_place(k->session, str_of(ref), &p, &w->diag) ||
            session_repeat_remove(k->session, p, &w->diag))
            return false;
        memmove(after->m[member], after->m[member + 1],
                sizeof after->m[0] * (size_t)(after->members - member - 1));
        after->members--;
        memset(after->m[after->members], 0, sizeof after->m[0]);
        return true;
    } else {
        return true;
    }
    return !session_place(k->session, str_of(ref), &p, &w->diag) &&
           !session_answer(k->session, p, str_of(text), &w->diag);
}

static void finalise(struct world *w, struct device *v, struct case_model *c, struct work *k)
{
    struct arena a;
    struct work_result r;

    arena_init(&a, 64u << 20);
    c->finalising = true;
    diag_clear(&w->diag);
    enum err rc = work_finish(k, &a, STR("fine"), &r, &w->diag);
    if (!rc) {
        c->finalising = false;
        note_final(w, v, c);
    } else {
        excuse(w, v, rc, "an interview could not be finalised although nothing was broken");
    }
    arena_free(&a);
}

/* A visit: some answers, each saved; perhaps finalised at the end. */
static void visit(struct world *w, struct device *v, bool to_the_end)
{
    struct case_model *c = &v->cases[sim_pick(w->sim, HOUSEHOLDS)];
    struct work k;
    uint64_t answers = 1 + sim_pick(w->sim, 8);

    enum err rc = open_case(w, v, c, &k);
    if (rc) {
        excuse(w, v, rc, "an interview does not open although nothing was broken");
        return;
    }
    c->draft = true;
    for (uint64_t i = 0; i < answers && !w->failed; i++) {
        struct answers after = c->sure;
        if (!change_something(w, &k, &after)) {
            fail(w, "the session refused an answer");
            break;
        }
        sim_advance(w->sim, 2000 + (int64_t)sim_pick(w->sim, 20000));
        diag_clear(&w->diag);
        rc = work_save(&k, &w->diag);
        if (rc) {
            c->maybe = after;
            c->unsure = true;
            excuse(w, v, rc, "an answer could not be saved although nothing was broken");
            break;
        }
        c->sure = after;
    }
    if (!w->failed && !c->unsure && (to_the_end || sim_chance(w->sim, 500)))
        finalise(w, v, c, &k);
    work_close(&k);
}

static enum err run_deliver(struct world *w, struct device *v)
{
    struct deliver_options o = {.tries_max = 6};
    struct deliver_result result = {0};
    diag_clear(&w->diag);
    enum err rc = deliver(v->store, sim_seam(v->machine), &o, &result, &w->diag);
    if (!rc && result.totals.frames_quarantined > 0)
        fail(w, "the centre set a frame aside");
    if (!rc && w->portal)
        fail(w, "a login page was taken for the centre");
    if (rc && result.portal && !is_off(v)) {
        w->pages++;
        if (str_find(str_of(w->diag.text), STR("login page")) < 0)
            fail(w, "a login page was not called one");
    }
    return rc;
}

/* ---- the world ---- */

static void centre_restart(struct world *w)
{
    w->cuts++;
    sim_centre_stop(w->centre);
    sim_restart(w->centre_machine);
    diag_clear(&w->diag);
    if (sim_centre_start(w->centre, &w->diag))
        fail(w, "the centre's database does not open after a power cut");
}

/* Somebody makes room; what the full card refused is looked for: it is there whole, or not at all. */
static void make_room(struct world *w, struct device *v)
{
    lift_limit(v);
    for (int i = 0; i < HOUSEHOLDS && !w->failed && !is_off(v); i++)
        if (v->cases[i].unsure || v->cases[i].finalising)
            settle(w, v, &v->cases[i]);
}

static void after_action(struct world *w, struct device *v)
{
    if (!is_off(v) && v->full)
        make_room(w, v);
    if (is_off(v))
        device_restart(w, v);
    if (!w->failed && sim_is_off(w->centre_machine))
        centre_restart(w);
}

static void act(struct world *w, struct device *v)
{
    if (sim_chance(w->sim, 250))
        sim_cut_after(v->machine, 1 + sim_pick(w->sim, 60));
    if (sim_chance(w->sim, 120))
        sim_cut_after(w->centre_machine, 1 + sim_pick(w->sim, 60));
    if (sim_chance(w->sim, 20))
        sim_wall_set(v->machine, 1762480800000 + ((int64_t)sim_pick(w->sim, 20) - 10) * 365 * 86400000LL);
    if (sim_chance(w->sim, w->portal ? 400 : 40)) {
        w->portal = !w->portal;
        sim_centre_portal(w->centre, w->portal);
    }
    if (sim_chance(w->sim, 100)) {
        v->full = true;
        sim_disk_limit(v->machine, sim_disk_used(v->machine) + sim_pick(w->sim, 60000));
    }
    if (sim_chance(w->sim, 350))
        (void)!run_deliver(w, v);
    else
        visit(w, v, false);
    if (!is_off(v) && sim_chance(w->sim, 30)) {
        sim_kill(v->machine);
        device_restart(w, v);
    }
    after_action(w, v);
    if (!w->failed) {
        sim_cut_after(v->machine, 0);
        sim_cut_after(w->centre_machine, 0);
    }
}

static bool enrol_device(struct world *w, struct device *v, uint32_t number)
{
    char token[32], print[40], person[32], area[32];
    struct enrol_options o = {.code = token, .url = "http://centre", .root_print = print};

    snprintf(person, sizeof person, "cadre %u", number);
    snprintf(area, sizeof area, "99%04u", number);
    return !sim_centre_token(w->centre, str_of(person), str_of(area), token, print, &w->diag) &&
           !enrol(v->store, sim_seam(v->machine), &o, &w->diag) && !run_deliver(w, v);
}

static void households_csv(const struct world *w, struct buf *out)
{
    buf_put_z(out, "code,area,name,address\n");
    for (uint32_t i = 0; i < w->device_count; i++)
        for (int h = 0; h < HOUSEHOLDS; h++)
            buf_printf(out, "D%uH%d,99%04u000001,Invented %u-%d,somewhere\n", i, h, i, i, h);
}

static bool build(struct world *w)
{
    struct buf csv;

    buf_init(&csv, 1u << 20);
    households_csv(w, &csv);
    bool ok = !sim_open(w->seed, &w->sim, &w->diag) &&
              !sim_machine_add(w->sim, NULL, &w->centre_machine, &w->diag) &&
              !sim_centre_make(w->centre_machine, str_of(form_xml), buf_str(&csv), &w->centre, &w->diag);
    buf_free(&csv);
    for (uint32_t i = 0; ok && i < w->device_count; i++) {
        struct device *v = &w->devices[i];
        ok = !sim_machine_add(w->sim, NULL, &v->machine, &w->diag) && device_open(w, v) &&
             enrol_device(w, v, i);
        for (int h = 0; ok && h < HOUSEHOLDS; h++)
            snprintf(v->cases[h].code, sizeof v->cases[h].code, "D%uH%d", i, h);
    }
    if (!ok)
        fail(w, "the world could not be set up");
    return ok;
}

/* Once faults stop, everything drains. */
static void drain(struct world *w)
{
    sim_net_faults(w->sim, NULL);
    sim_net_flush(w->sim);
    for (uint32_t i = 0; i < w->device_count && !w->failed; i++) {
        struct device *v = &w->devices[i];
        struct arena a;
        struct store_status st;
        if (run_deliver(w, v))
            fail(w, "a device could not deliver although nothing was broken any more");
        arena_init(&a, 64u << 20);
        if (!w->failed &&
            (store_status(v->store, &a, &st, &w->diag) || st.frames_waiting || st.finalised_unsent))
            fail(w, "a queue did not drain");
        arena_free(&a);
    }
}

static int compare_answers(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct answers));
}

static void check_centre(struct world *w)
{
    struct arena a;
    struct sim_submission *got;
    struct answers *read;
    struct sim_centre_counts counts;
    uint32_t count = 0;

    arena_init(&a, 1024u << 20);
    if (sim_centre_submissions(w->centre, &a, STR("sim"), &got, &count, &w->diag) ||
        sim_centre_counts(w->centre, &counts, &w->diag)) {
        fail(w, "the centre's submissions cannot be read");
    } else if (counts.quarantined || counts.clones) {
        fail(w, "the centre set frames aside");
    } else if (count != w->expected.count) {
        diag_clear(&w->diag);
        diag_set(&w->diag, ERR_STATE, "%u finalised, %u at the centre", w->expected.count, count);
        fail(w, "submissions are lost or doubled");
    } else {
        read = ARENA_ARRAY(&a, struct answers, count + 1u);
        for (uint32_t i = 0; i < count; i++) {
            read_xml(got[i].xml, &read[i]);
            if (!got[i].matches)
                fail(w, "the centre's XML is not the one the device sealed");
        }
        if (count > 0) {
            qsort(read, count, sizeof *read, compare_answers);
            qsort(w->expected.at, count, sizeof *read, compare_answers);
            if (memcmp(read, w->expected.at, count * sizeof *read) != 0)
                fail(w, "a submission differs from what was saved at the door");
        }
    }
    arena_free(&a);
}

static void run_world(struct world *w)
{
    struct sim_net_faults faults = {.lose_request = 100,
                                    .truncate = 50,
                                    .lose_reply = 100,
                                    .duplicate = 100,
                                    .late_duplicate = 100,
                                    .delay_ms_min = 20,
                                    .delay_ms_max = 3000};

    arena_init(&w->arena, 256u << 20);
    if (build(w)) {
        sim_net_faults(w->sim, &faults);
        uint64_t actions = (uint64_t)w->batches * w->device_count * 3;
        for (uint64_t i = 0; i < actions && !w->failed; i++)
            act(w, &w->devices[sim_pick(w->sim, w->device_count)]);
        sim_net_faults(w->sim, NULL);
        w->portal = false;
        sim_centre_portal(w->centre, false);
        for (uint32_t i = 0; i < w->device_count && !w->failed; i++)
            visit(w, &w->devices[i], true);
        if (!w->failed)
            drain(w);
        if (!w->failed)
            check_centre(w);
    }
    for (uint32_t i = 0; i < w->device_count; i++)
        store_close(w->devices[i].store);
    sim_centre_close(w->centre);
    sim_close(w->sim);
    arena_free(&w->arena);
}

static bool read_range(const char *text, uint64_t *from, uint64_t *to)
{
    struct str rest = str_of(text), first;
    str_split(&rest, '-', &first);
    return str_to_u64(first, from) && str_to_u64(rest.n ? rest : first, to) && *from <= *to;
}

static uint64_t number(const char *text, uint64_t max)
{
    uint64_t v = 0;
    if (!text || !str_to_u64(str_of(text), &v) || v == 0 || v > max) {
        fprintf(stderr, "doorstep-sim: a number from 1 to %llu is wanted\n", (unsigned long long)max);
        exit(2);
    }
    return v;
}

int main(int argc, char **argv)
{
    uint64_t from = 1, to = UINT64_MAX, cuts_wanted = 0, cuts = 0, finalised = 0, saved = 0, refusals = 0,
             pages = 0;
    uint32_t devices = 5, batches = 10, passed = 0, failed = 0;
    bool range = false;
    struct diag d = {0};

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--seeds") == 0 && value && read_range(value, &from, &to))
            range = true, i++;
        else if (strcmp(argv[i], "--cuts") == 0)
            cuts_wanted = number(value, 1000000), i++;
        else if (strcmp(argv[i], "--from") == 0)
            from = number(value, UINT64_MAX), i++;
        else if (strcmp(argv[i], "--devices") == 0)
            devices = (uint32_t)number(value, DEVICES_MAX), i++;
        else if (strcmp(argv[i], "--batches") == 0)
            batches = (uint32_t)number(value, 100000), i++;
        else {
            fprintf(strcmp(argv[i], "--help") == 0 ? stdout : stderr,
                    "doorstep-sim --seeds A-B [--devices D] [--batches N]   whole runs under faults\n"
                    "doorstep-sim --cuts N [--from SEED]                    runs until so many power cuts "
                    "happened\n");
            return strcmp(argv[i], "--help") == 0 ? 0 : 2;
        }
    }
    if (!range && !cuts_wanted)
        to = from;
    if (crypto_init(&d))
        return 1;
    for (uint64_t seed = from; seed <= to && (!cuts_wanted || cuts < cuts_wanted); seed++) {
        struct world *w = calloc(1, sizeof *w);
        if (!w)
            return 1;
        *w = (struct world){.seed = seed, .device_count = devices, .batches = batches};
        run_world(w);
        cuts += w->cuts;
        finalised += w->expected.count;
        saved += w->values;
        refusals += w->refusals;
        pages += w->pages;
        if (w->failed) {
            failed++;
            printf("seed %llu failed: %s (%s); replay: doorstep-sim --seeds %llu-%llu --devices %u --batches "
                   "%u\n",
                   (unsigned long long)seed, w->failed, w->diag.text, (unsigned long long)seed,
                   (unsigned long long)seed, devices, batches);
            fflush(stdout);
        } else {
            passed++;
        }
        free(w);
        if (failed >= 20)
            break;
    }
    printf("%llu power cuts and kills, %llu answers given, %llu interviews finalised\n",
           (unsigned long long)cuts, (unsigned long long)saved, (unsigned long long)finalised);
    printf("%llu times a full card refused, %llu syncs met a login page\n", (unsigned long long)refusals,
           (unsigned long long)pages);
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}
