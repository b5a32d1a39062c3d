/* What a whole sync does when operation 1, 2, 3 ... of a disk fails: the handheld's or the centre's, by an
 * input/output fault (a write may be short), a full disk and a lack of memory, once and for good; by radio
 * and by card.
 *
 *   sync_sweep [--step N]      every N-th operation only, from 1 + (a different one for each kind)
 *
 * A handheld holds a finished interview that the centre lacks, and the centre holds a colleague's answers
 * that the handheld lacks. After each break the run either said OK, or said what failed. Then the disk is
 * well again, in the same process or in the next one: databases open and check, the next sync succeeds, its
 * queue is empty, nothing was set aside or doubled, and the centre's state has the very hash that it has
 * without any fault.
 */
#include "agent/courier.h"
#include "agent/work.h"
#include "platform/sim/sim.h"
#include "tests/sim/centre.h"
#include "tests/sim/screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define DATA "/handheld"

/* Cards are real files: the courier streams them past the simulated disk. */
static char card_dir[] = "/tmp/doorstep-sweep.XXXXXX";
static char card[64], carried_dir[64], carried[96];

static bool card_make(void)
{
    if (!mkdtemp(card_dir))
        return false;
    (void)snprintf(card, sizeof card, "%s/card.dsb", card_dir);
    (void)snprintf(carried_dir, sizeof carried_dir, "%s/courier", card_dir);
    (void)snprintf(carried, sizeof carried, "%s/carried.dsb", carried_dir);
    return mkdir(carried_dir, 0700) == 0;
}

static void card_remove(void)
{
    (void)remove(card);
    (void)remove(carried);
    (void)remove(carried_dir);
    (void)remove(card_dir);
}

static void must(enum err rc, const struct diag *d, const char *what)
{
    if (!rc)
        return;
    fprintf(stderr, "sync_sweep: %s: %s (%s)\n", what, err_action(rc)->name, d->text);
    exit(1);
}

struct trial {
    struct sim *sim;
    struct sim_machine *centre_machine, *machine;
    struct sim_centre *centre;
    struct store *store;
    struct buf bundle;
    struct diag d;
};

/* ---- the disks that every trial begins with ---- */

static void trial_new(struct trial *t)
{
    memset(t, 0, sizeof *t);
    buf_init(&t->bundle, 16u << 20);
    must(sim_open(11, &t->sim, &t->d), &t->d, "the world");
    must(sim_machine_add(t->sim, NULL, &t->centre_machine, &t->d), &t->d, "a machine");
    must(sim_machine_add(t->sim, NULL, &t->machine, &t->d), &t->d, "a machine");
}

static void trial_leave(struct trial *t)
{
    store_close(t->store);
    sim_centre_close(t->centre);
    t->store = NULL;
    t->centre = NULL;
}

static void trial_end(struct trial *t)
{
    trial_leave(t);
    sim_close(t->sim);
    buf_free(&t->bundle);
}

static enum err trial_open(struct trial *t)
{
    diag_clear(&t->d);
    enum err rc = sim_centre_take_over(t->centre_machine, &t->centre, &t->d);
    return rc ? rc : store_open(DATA, sim_seam(t->machine), NULL, &t->store, &t->d);
}

static void interview(struct store *s, struct sim_machine *m, const char *value, struct diag *d)
{
    struct work k;
    struct work_options o = {.store = s, .seam = sim_seam(m), .form = "sim", .household = "H1"};
    struct work_result r;
    struct place p;
    struct arena a;
    arena_init(&a, 64u << 20);
    must(work_open(&k, &o, d), d, "an interview");
    must(session_place(k.session, STR("/data/f1"), &p, d), d, "a place");
    must(session_answer(k.session, p, str_of(value), d), d, "an answer");
    must(work_save(&k, d), d, "saving");
    must(work_finish(&k, &a, STR("fine"), &r, d), d, "finishing");
    work_close(&k);
    arena_free(&a);
}

static void enrolled(struct trial *t, struct sim_machine *m, const char *name, struct store **out)
{
    char token[32], print[40];
    struct enrol_options o = {.code = token, .url = "http://centre", .root_print = print};
    struct deliver_options how = {0};
    struct deliver_result r;
    must(sim_centre_token(t->centre, str_of(name), STR("99"), token, print, &t->d), &t->d, "a token");
    must(store_open(DATA, sim_seam(m), NULL, out, &t->d), &t->d, "a store");
    must(enrol(*out, sim_seam(m), &o, &t->d), &t->d, "enrolling");
    must(deliver(*out, sim_seam(m), &how, &r, &t->d), &t->d, "the first sync");
}

/* Leaves everything closed: the disks are what trials copy. */
static void template_make(struct trial *t)
{
    struct sim_machine *other;
    struct store *colleague;
    struct deliver_options how = {0};
    struct deliver_result r;
    trial_new(t);
    must(sim_centre_make(t->centre_machine, str_of(sim_form_xml),
                         STR("code,area,name,address\nH1,990001000001,Invented,somewhere\n"), &t->centre,
                         &t->d),
         &t->d, "the centre");
    must(sim_machine_add(t->sim, NULL, &other, &t->d), &t->d, "a machine");
    enrolled(t, t->machine, "one", &t->store);
    enrolled(t, other, "two", &colleague);
    interview(t->store, t->machine, "v1", &t->d);
    interview(colleague, other, "v2", &t->d);
    must(deliver(colleague, sim_seam(other), &how, &r, &t->d), &t->d, "the colleague's sync");
    uint32_t frames;
    must(store_cut(t->store, &frames, &t->d), &t->d, "cutting");
    store_close(colleague);
    trial_leave(t);
}

/* ---- what is swept ---- */

static enum err by_radio(struct trial *t)
{
    struct deliver_options how = {.tries_max = 2};
    struct deliver_result r;
    diag_clear(&t->d);
    return deliver(t->store, sim_seam(t->machine), &how, &r, &t->d);
}

static enum err give(struct trial *t)
{
    const struct courier_options o = {.data = card_dir};
    struct courier_result r;
    diag_clear(&t->d);
    return courier_pack(t->store, sim_seam(t->machine), card, &o, &r, &t->d);
}

static enum err carry(struct trial *t)
{
    struct buf answer;
    diag_clear(&t->d);
    buf_init(&answer, 16u << 20);
    enum err rc = sim_centre_bundle(t->centre, buf_str(&t->bundle), &answer, &t->d);
    buf_free(&answer);
    return rc;
}

static enum err take(struct trial *t)
{
    const struct courier_options o = {.data = card_dir};
    struct courier_result r;
    diag_clear(&t->d);
    return courier_take(t->store, sim_seam(t->machine), card, &o, &r, &t->d);
}

static void nothing(struct trial *t)
{
    (void)t;
}

static void with_bundle(struct trial *t)
{
    must(give(t), &t->d, "a bundle");
    FILE *f = fopen(card, "rb");
    char bytes[65536];
    buf_clear(&t->bundle);
    buf_put(&t->bundle, bytes, f ? fread(bytes, 1, sizeof bytes, f) : 0);
    if (!f || fclose(f) || !t->bundle.n)
        must(ERR_IO, &t->d, "a bundle cannot be read");
}

static void with_answer(struct trial *t)
{
    struct buf answer;
    with_bundle(t);
    buf_init(&answer, 16u << 20);
    must(sim_centre_bundle(t->centre, buf_str(&t->bundle), &answer, &t->d), &t->d, "an answer");
    FILE *f = fopen(card, "wb");
    if (!f || fwrite(answer.p, 1, answer.n, f) != answer.n || fclose(f))
        must(ERR_IO, &t->d, "a card cannot be written");
    buf_free(&answer);
}

static const struct verb {
    const char *name;
    bool at_centre; /* whose disk fails */
    void (*prepare)(struct trial *t);
    enum err (*act)(struct trial *t);
} verbs[] = {
    {"sync by radio, handheld", false, nothing, by_radio},
    {"sync by radio, centre", true, nothing, by_radio},
    {"give to a card", false, nothing, give},
    {"a card at the centre", true, with_bundle, carry},
    {"take from a card", false, with_answer, take},
};

/* ---- the sweep ---- */

struct kind {
    enum err cause;
    bool for_good, reopen;
};

struct sweep {
    const struct verb *verb;
    const struct trial *template;
    unsigned char state[32]; /* of the centre, when nothing fails */
    uint32_t trials, told, unharmed, faults;
};

static void blame(struct sweep *s, const struct kind *k, uint64_t n, const struct trial *t, const char *what)
{
    s->faults++;
    printf("%s, operation %llu, %s %s, %s: %s (%s)\n", s->verb->name, (unsigned long long)n,
           err_action(k->cause)->name, k->for_good ? "for good" : "once",
           k->reopen ? "next process" : "same process", what, t->d.text);
}

static const char *look(struct trial *t, unsigned char state_out[static 32])
{
    struct arena a;
    struct store_status status = {0};
    struct sim_centre_counts counts = {0};
    struct sim_submission *list;
    uint32_t count = 0;
    const char *wrong = NULL;
    arena_init(&a, 64u << 20);
    if (store_check(t->store, &t->d))
        wrong = "the handheld's database is damaged";
    else if (by_radio(t) ||
             by_radio(t)) /* a later start of the centre makes receipts unsure until the next */
        wrong = "the next sync fails";
    else if (store_status(t->store, &a, &status, &t->d) || status.frames_waiting || status.finalised_unsent)
        wrong = "the queue is not empty";
    else if (sim_centre_counts(t->centre, &counts, &t->d) || counts.quarantined || counts.clones)
        wrong = "a frame was set aside";
    else if (sim_centre_submissions(t->centre, &a, STR("sim"), &list, &count, &t->d) || count != 2)
        wrong = "interviews are lost or doubled";
    else if (sim_centre_hash(t->centre, state_out, &t->d))
        wrong = "the centre's state has no hash";
    arena_free(&a);
    return wrong;
}

static void trial_begin(struct trial *t, const struct sweep *s)
{
    trial_new(t);
    sim_disk_copy(t->centre_machine, s->template->centre_machine);
    sim_disk_copy(t->machine, s->template->machine);
    must(trial_open(t), &t->d, "opening");
    s->verb->prepare(t);
}

/* False: the verb takes less than `n` operations. */
static bool break_at(struct sweep *s, const struct kind *k, uint64_t n)
{
    struct trial t;
    unsigned char state[32];
    trial_begin(&t, s);
    struct sim_machine *m = s->verb->at_centre ? t.centre_machine : t.machine;
    uint64_t before = sim_operations(m);
    sim_fail_at(m, n, k->cause, k->for_good);
    enum err rc = s->verb->act(&t);
    bool reached = sim_operations(m) - before >= n;
    s->trials += reached;
    s->told += rc != ERR_OK;
    s->unharmed += reached && !rc;
    if (rc && !t.d.text[0])
        blame(s, k, n, &t, "it failed without a sentence");
    if (k->reopen && reached)
        trial_leave(&t); /* a process that ends while the disk is still bad */
    sim_fail_at(m, 0, ERR_OK, false);
    if (k->reopen && reached && trial_open(&t))
        blame(s, k, n, &t, "it does not open any more");
    const char *wrong = t.store && t.centre ? look(&t, state) : NULL;
    if (wrong)
        blame(s, k, n, &t, wrong);
    else if (t.store && t.centre && memcmp(state, s->state, sizeof state) != 0)
        blame(s, k, n, &t, "the centre's state is another one");
    trial_end(&t);
    return reached;
}

static uint32_t sweep_verb(const struct verb *verb, const struct trial *template, uint64_t step)
{
    static const struct kind kinds[] = {
        {ERR_IO, false, false},  {ERR_IO, true, true},      {ERR_FULL, false, true},
        {ERR_FULL, true, false}, {ERR_NOMEM, false, false}, {ERR_NOMEM, true, true},
    };
    struct sweep s = {.verb = verb, .template = template};
    struct trial t;
    uint64_t most = 0;
    trial_begin(&t, &s);
    must(verb->act(&t), &t.d, verb->name);
    const char *wrong = look(&t, s.state);
    if (wrong) {
        printf("%s without any fault: %s (%s)\n", verb->name, wrong, t.d.text);
        trial_end(&t);
        return 1;
    }
    trial_end(&t);
    for (uint32_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (uint64_t n = 1 + i % step; break_at(&s, &kinds[i], n) && s.faults < 20; n += step)
            most = n > most ? n : most;
    printf("%-24s %4llu operations, %5u breaks: %5u told, %4u done all the same; %u faults\n", verb->name,
           (unsigned long long)most, s.trials, s.told, s.unharmed, s.faults);
    fflush(stdout);
    return s.faults;
}

int main(int argc, char **argv)
{
    struct diag d = {0};
    struct trial template;
    uint64_t step = 1;
    uint32_t faults = 0;
    if (argc == 3 && strcmp(argv[1], "--step") == 0 && str_to_u64(str_of(argv[2]), &step) && step >= 1 &&
        step <= 1000)
        argc = 1;
    if (argc != 1) {
        fprintf(stderr, "sync_sweep [--step N]\n");
        return 2;
    }
    must(crypto_init(&d), &d, "crypto");
    if (!card_make())
        must(ERR_IO, &d, "a folder for cards");
    template_make(&template);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        faults += sweep_verb(&verbs[i], &template, step);
    trial_end(&template);
    card_remove();
    printf("%u faults\n", faults);
    return faults > 0;
}
