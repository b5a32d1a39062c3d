/* What the handheld's store does when operation 1, 2, 3 ... of the disk fails: each verb is written once, and
 * broken at every operation, by an input/output fault, a full disk and a lack of memory, once and for good.
 *
 *   store_sweep [--step N]      every N-th operation only, from 1 + (a different one for each kind)
 *
 * After each break one of two things must hold: the verb said OK and what it did is there when the store is
 * opened again; or it said what failed, and the store is whole, as it was before or as it would be after. The
 * databases open and check. The next try succeeds, in the same process or in the next one.
 */
#include "agent/store_impl.h"
#include "agent/work.h"
#include "platform/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>

#define DIR_NAME "/handheld"

/* With a log and an entity: what stands beside the answers must stand or fall with them. */
#define FORM_BEGINS                                                                         \
    "<h:html xmlns='http://www.w3.org/2002/xforms' xmlns:h='http://www.w3.org/1999/xhtml' " \
    "xmlns:entities='http://www.opendatakit.org/xforms/entities' "                          \
    "xmlns:jr='http://openrosa.org/javarosa'><h:head><h:title>Sweep</h:title>"
#define META                                                                        \
    "<meta><instanceID/><audit/><entity dataset='people' create='1' id=''><label/>" \
    "</entity></meta></data></instance>"                                            \
    "<bind nodeset='/data/meta/instanceID' type='string' jr:preload='uid'/>"        \
    "<setvalue event='odk-instance-first-load' ref='/data/meta/entity/@id' value='uuid()'/>"

static const char form_xml[] = FORM_BEGINS
    "<model entities:entities-version='2024.1.0'>"
    "<instance><data id='sweep' version='1'><name/><wage/><member jr:template=''><who/></member>" META
    "<bind nodeset='/data/meta/entity/label' calculate='/data/name'/></model></h:head><h:body>"
    "<input ref='/data/name'><label>Name</label></input><input ref='/data/wage'><label>Wage</label></input>"
    "<group ref='/data/member'><label>Member</label><repeat nodeset='/data/member'>"
    "<input ref='/data/member/who'><label>Who</label></input></repeat></group></h:body></h:html>";

/* A newer version in which everything has another number, and what was a name stands elsewhere. */
static const char newer_xml[] = FORM_BEGINS
    "<model entities:entities-version='2024.1.0'>"
    "<instance><data id='sweep' version='2'><extra jr:template=''><x/></extra><about><name/></about>"
    "<member jr:template=''><who/></member>" META
    "<bind nodeset='/data/meta/entity/label' calculate='/data/about/name'/></model></h:head><h:body>"
    "<group ref='/data/extra'><label>X</label><repeat nodeset='/data/extra'>"
    "<input ref='/data/extra/x'><label>X</label></input></repeat></group>"
    "<group ref='/data/about'><label>A</label><input "
    "ref='/data/about/name'><label>Name</label></input></group>"
    "<group ref='/data/member'><label>Member</label><repeat nodeset='/data/member'>"
    "<input ref='/data/member/who'><label>Who</label></input></repeat></group></h:body></h:html>";

static const char *const files[] = {"/device.key", "/device.db", "/public.db", "/form.xml", "/newer.xml"};
#define FILE_COUNT 5

struct trial {
    struct sim *sim;
    struct sim_machine *machine;
    const struct seam *seam;
    struct store *store;
    struct work work;
    bool working;
    struct arena a;
    struct diag d;
};

/* The disk that a verb begins with. */
struct base {
    struct buf bytes[FILE_COUNT];
    bool there[FILE_COUNT];
};

static void must(enum err rc, const struct diag *d, const char *what)
{
    if (!rc)
        return;
    fprintf(stderr, "store_sweep: %s: %s (%s)\n", what, err_action(rc)->name, d->text);
    exit(1);
}

static const char *path_of(int i, char out[static 64])
{
    snprintf(out, 64, DIR_NAME "%s", files[i]);
    return out;
}

/* ---- a trial's world ---- */

static void trial_begin(struct trial *t, const struct base *base)
{
    char path[64];
    memset(t, 0, sizeof *t);
    arena_init(&t->a, 256u << 20);
    must(sim_open(3, &t->sim, &t->d), &t->d, "the world");
    must(sim_machine_add(t->sim, NULL, &t->machine, &t->d), &t->d, "the machine");
    t->seam = sim_seam(t->machine);
    must(t->seam->dir_make(t->seam->self, DIR_NAME, &t->d), &t->d, "the folder");
    for (int i = 0; base && i < FILE_COUNT; i++)
        if (base->there[i])
            must(t->seam->file_write(t->seam->self, path_of(i, path), buf_str(&base->bytes[i]), true, &t->d),
                 &t->d, path);
}

static void trial_leave(struct trial *t)
{
    if (t->working)
        work_close(&t->work);
    t->working = false;
    store_close(t->store);
    t->store = NULL;
}

static void trial_end(struct trial *t)
{
    trial_leave(t);
    sim_close(t->sim);
    arena_free(&t->a);
}

static enum err open_store(struct trial *t)
{
    diag_clear(&t->d);
    return store_open(DIR_NAME, t->seam, NULL, &t->store, &t->d);
}

static void base_keep(struct trial *t, struct base *out)
{
    char path[64];
    trial_leave(t);
    for (int i = 0; i < FILE_COUNT; i++) {
        struct diag d = {0};
        buf_init(&out->bytes[i], 64u << 20);
        out->there[i] = !t->seam->file_read(t->seam->self, path_of(i, path), &out->bytes[i], &d);
    }
}

static void base_free(struct base *b)
{
    for (int i = 0; i < FILE_COUNT; i++)
        buf_free(&b->bytes[i]);
}

/* What the store holds, but for what is random: keys, frames, instance names. Of row numbers only that each
 * is there once and the next one is free: opening a visit spends one for its name before the visit is there.
 * When that fails the visit has another name and a later number, and a cut between the two leaves a gap. */
static struct str shape(struct trial *t)
{
    static const char *const queries[] = {
        "SELECT group_concat(next_seq||','||(next_counter > (SELECT coalesce(max(counter), 0) FROM row))||','"
        "||cursor) FROM counters",
        "SELECT group_concat(key||','||(device <> "
        "0)||','||inc||','||(SELECT count(*) FROM row o WHERE o.device = "
        "r.device AND o.inc = r.inc AND o.counter = r.counter)||','||number||','||kind||','||parent"
        "||','||interview||','||household||','||repeat||','||visit||','||deleted||','||state, ';') FROM "
        "(SELECT * FROM row ORDER BY key) r",
        "SELECT group_concat(seq||','||visit||','||row||','||fld||','||op||','||person||','||seen||','||batch"
        "||','||(op = 3), ';') FROM (SELECT * FROM chg ORDER BY seq)",
        "SELECT group_concat(key, ';') FROM (SELECT key FROM record ORDER BY key)",
        "SELECT group_concat(batch||','||seq_lo||','||seq_hi||','||numbered||','||sent||','||status, ';') "
        "FROM "
        "(SELECT * FROM outbox ORDER BY batch)",
        "SELECT group_concat(visit||','||place, ';') FROM bookmark",
        "SELECT group_concat(name, ';') FROM (SELECT name FROM meta ORDER BY name)",
        "SELECT group_concat(visit||','||row||','||path||','||val, ';') FROM (SELECT * FROM aside ORDER BY "
        "n)",
        "SELECT group_concat(visit||','||name, ';') FROM (SELECT visit, name FROM file ORDER BY visit, name)",
    };
    struct buf b;
    buf_init(&b, 16u << 20);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        struct stmt *q = NULL;
        bool row = false;
        must(db_prepare(t->store->db, queries[i], &q, &t->d), &t->d, "the shape");
        must(stmt_step(q, &row, &t->d), &t->d, "the shape");
        buf_put_str(&b, col_text(q, 0));
        buf_put_char(&b, '\n');
        stmt_done(q);
    }
    struct stmt *q = NULL;
    bool row = false;
    must(db_prepare(t->store->open, "SELECT count(*) FROM object", &q, &t->d), &t->d, "the shape");
    must(stmt_step(q, &row, &t->d), &t->d, "the shape");
    buf_put_i64(&b, col_i64(q, 0));
    stmt_done(q);
    struct str out = arena_str(&t->a, buf_str(&b));
    CHECK(out.p);
    buf_free(&b);
    return out;
}

/* ---- what verbs need ---- */

static struct identity identity_of(struct trial *t)
{
    struct identity id = {.url = STR("http://centre"), .epoch = 1};
    struct keyset keys = {.county = STR("Sweep"), .epoch = 1, .issued_ms = 1};
    struct key_pair_p256 root, sign;
    struct key_pair_x25519 seal;
    unsigned char seed[32] = {1};
    struct buf json;

    must(p256_make(seed, &root), &t->d, "a key");
    seed[0]++;
    must(p256_make(seed, &sign), &t->d, "a key");
    must(x25519_make(seed, &seal), &t->d, "a key");
    seed[0]++;
    must(x25519_make(seed, &id.seal), &t->d, "a key");
    must(p256_make(seed, &id.sign), &t->d, "a key");
    memcpy(keys.root_public, root.public, sizeof keys.root_public);
    memcpy(keys.sign_public, sign.public, sizeof keys.sign_public);
    memcpy(keys.seal_public, seal.public, sizeof keys.seal_public);
    buf_init(&json, 64u << 10);
    must(keyset_write(&keys, &root, &json, &t->d), &t->d, "a keyset");
    id.keyset = arena_str(&t->a, buf_str(&json));
    buf_free(&json);
    id.by = (struct enrol_reply){.device = 42,
                                 .inc = 1,
                                 .person = 3,
                                 .role = 1,
                                 .person_name = STR("Cadre"),
                                 .county = STR("Sweep"),
                                 .area = STR("99"),
                                 .epoch = 1,
                                 .server_time_ms = 1762480800000,
                                 .token = STR("token")};
    return id;
}

static enum err enrol_now(struct trial *t)
{
    struct identity id = identity_of(t);
    diag_clear(&t->d);
    return store_enrol(t->store, &id, &t->d);
}

static enum err down_now(struct trial *t)
{
    struct row_birth birth = {.kind = ROW_HOUSEHOLD};
    struct change changes[6] = {0};
    struct down_author authors[6] = {0};
    struct buf b;
    buf_init(&b, 256);
    CHECK(!row_birth_write(&b, &birth));
    for (uint32_t i = 0; i < 6; i++) {
        changes[i] = (struct change){.seq = i + 1,
                                     .row = {0, 1, 1 + i / 3},
                                     .op = i % 3 ? CHANGE_SET : CHANGE_ROW_CREATE,
                                     .field = i % 3,
                                     .value = i % 3 ? STR("H1") : buf_str(&b)};
        authors[i] =
            (struct down_author){.inc = 1, .seq = i + 1, .hlc = 1, .server_seq = 7, .row_number = i / 3 + 1};
    }
    const struct step step = {.kind = STEP_DOWN,
                              .changes = changes,
                              .authors = authors,
                              .change_count = 6,
                              .cursor = 7,
                              .epoch = 1};
    diag_clear(&t->d);
    enum err rc = store_down(t->store, &step, &t->d);
    buf_free(&b);
    return rc;
}

static enum err work_now(struct trial *t)
{
    const struct work_options o = {.store = t->store,
                                   .seam = t->seam,
                                   .form = DIR_NAME "/form.xml",
                                   .household = "H1"};
    diag_clear(&t->d);
    enum err rc = work_open(&t->work, &o, &t->d);
    t->working = !rc;
    return rc;
}

static void answer_in_session(struct trial *t, const char *ref, const char *value)
{
    struct place p;
    must(session_place(t->work.session, str_of(ref), &p, &t->d), &t->d, ref);
    must(session_answer(t->work.session, p, str_of(value), &t->d), &t->d, ref);
}

static void add_in_session(struct trial *t)
{
    struct place p, added;
    must(session_place(t->work.session, STR("/data"), &p, &t->d), &t->d, "a member");
    must(session_repeat_add(t->work.session, p, 0, &added, &t->d), &t->d, "a member");
}

static enum err save_now(struct trial *t)
{
    diag_clear(&t->d);
    return work_save(&t->work, &t->d);
}

static enum err finish_now(struct trial *t)
{
    struct work_result r;
    diag_clear(&t->d);
    return work_finish(&t->work, &t->a, STR("fine"), &r, &t->d);
}

static enum err cut_now(struct trial *t)
{
    uint32_t frames;
    diag_clear(&t->d);
    return store_cut(t->store, &frames, &t->d);
}

/* ---- verbs ---- */

/* `prepare` makes the disk that the verb begins with; `begin` brings a fresh process to just before it. */
struct verb {
    const char *name;
    void (*prepare)(struct trial *t);
    void (*begin)(struct trial *t);
    enum err (*act)(struct trial *t);
};

static void prepare_nothing(struct trial *t)
{
    (void)t;
}

static void prepare_fresh(struct trial *t)
{
    must(t->seam->file_write(t->seam->self, DIR_NAME "/form.xml", str_of(form_xml), false, &t->d), &t->d,
         "a form");
    must(open_store(t), &t->d, "the store");
}

static void prepare_early(struct trial *t)
{
    const struct work_options o = {.seam = t->seam, .form = DIR_NAME "/form.xml"};
    prepare_fresh(t);
    struct work_options with = o;
    with.store = t->store;
    must(work_open(&t->work, &with, &t->d), &t->d, "an early interview");
    t->working = true;
    answer_in_session(t, "/data/name", "A");
    add_in_session(t);
    must(save_now(t), &t->d, "an early answer");
    must(finish_now(t), &t->d, "an early interview");
}

static void prepare_enrolled(struct trial *t)
{
    unsigned char hash[SHA256_SIZE];
    prepare_fresh(t);
    must(enrol_now(t), &t->d, "enrolment");
    must(down_now(t), &t->d, "a household");
    /* A visit keeps its form before it begins: two steps, so that the second one stands alone here. */
    must(sha256(str_of(form_xml), hash), &t->d, "a hash");
    must(store_object_put(t->store, hash, str_of(form_xml), &t->d), &t->d, "a form");
}

static void prepare_draft(struct trial *t)
{
    prepare_enrolled(t);
    must(work_now(t), &t->d, "a visit");
    answer_in_session(t, "/data/name", "first");
    add_in_session(t);
    add_in_session(t);
    must(save_now(t), &t->d, "an answer");
    answer_in_session(t, "/data/name", "second");
    struct place p;
    must(session_place(t->work.session, STR("/data/member[2]"), &p, &t->d), &t->d, "a member");
    must(session_repeat_remove(t->work.session, p, &t->d), &t->d, "a member");
    must(save_now(t), &t->d, "an answer");
}

static void prepare_newer(struct trial *t)
{
    unsigned char hash[SHA256_SIZE];
    prepare_draft(t);
    answer_in_session(t, "/data/wage", "12");
    must(save_now(t), &t->d, "an answer");
    must(t->seam->file_write(t->seam->self, DIR_NAME "/newer.xml", str_of(newer_xml), false, &t->d), &t->d,
         "a newer form");
    must(sha256(str_of(newer_xml), hash), &t->d, "a hash");
    must(store_object_put(t->store, hash, str_of(newer_xml), &t->d), &t->d, "a newer form");
}

static void prepare_final(struct trial *t)
{
    prepare_draft(t);
    must(finish_now(t), &t->d, "a finish");
}

static void prepare_cut(struct trial *t)
{
    prepare_final(t);
    must(cut_now(t), &t->d, "a cut");
}

static void begin_closed(struct trial *t)
{
    (void)t;
}

static void begin_open(struct trial *t)
{
    must(open_store(t), &t->d, "the store");
}

static void begin_work_open(struct trial *t)
{
    begin_open(t);
    must(work_now(t), &t->d, "a visit");
}

static void begin_answered(struct trial *t)
{
    begin_work_open(t);
    answer_in_session(t, "/data/wage", "12");
    add_in_session(t);
}

static enum err act_receipt(struct trial *t)
{
    struct buf frame;
    struct frame f;
    size_t size;
    uint64_t batch = 0;
    bool any = false, again;
    struct receipt_item item = {.status = RECEIPT_STORED, .server_seq = 9};

    buf_init(&frame, FRAME_SIZE_MAX);
    diag_clear(&t->d);
    enum err rc = store_frame_next(t->store, 0, &batch, &frame, &any, &t->d);
    if (!rc && any)
        rc = frame_parse(buf_str(&frame), &f, &size, &t->d);
    if (!rc && any) {
        item.batch_seq = batch;
        memcpy(item.batch_id, f.batch_id, BATCH_ID_SIZE);
        const struct step step = {.kind = STEP_RECEIPT,
                                  .receipt = {.epoch = 1,
                                              .device = 42,
                                              .inc = 1,
                                              .cursor = 9,
                                              .server_time_ms = 1762480900000,
                                              .token = STR("next"),
                                              .items = &item,
                                              .item_count = 1},
                                  .receipt_frame = STR("signed"),
                                  .cursor = 9};
        rc = store_receipt(t->store, &step, &again, &t->d);
    }
    buf_free(&frame);
    return rc;
}

static enum err act_object(struct trial *t)
{
    char *bytes = arena_alloc(&t->a, 20000);
    unsigned char hash[SHA256_SIZE];
    CHECK(bytes && !sha256((struct str){bytes, 20000}, hash));
    diag_clear(&t->d);
    return store_object_put(t->store, hash, (struct str){bytes, 20000}, &t->d);
}

/* "It has that version already" is what the next try says after one that did it and failed behind that. */
static enum err act_migrate(struct trial *t)
{
    const struct work_options o = {.store = t->store,
                                   .seam = t->seam,
                                   .form = DIR_NAME "/newer.xml",
                                   .household = "H1"};
    struct work_migration m;
    struct work w = {0};
    diag_clear(&t->d);
    enum err rc = work_migrate(&w, &o, false, &m, &t->d);
    work_close(&w);
    return rc == ERR_STATE ? ERR_OK : rc;
}

static enum err act_place(struct trial *t)
{
    diag_clear(&t->d);
    return store_visit_place(t->store, &t->work.visit, STR("/data/wage"), &t->d);
}

static const struct verb verbs[] = {
    {"open and migrate", prepare_nothing, begin_closed, open_store},
    {"enrol and adopt", prepare_early, begin_open, enrol_now},
    {"downlink", prepare_fresh, begin_open, down_now},
    {"object", prepare_fresh, begin_open, act_object},
    {"open a visit", prepare_enrolled, begin_open, work_now},
    {"save", prepare_draft, begin_answered, save_now},
    {"note the place", prepare_draft, begin_work_open, act_place},
    {"migrate a draft", prepare_newer, begin_open, act_migrate},
    {"finalise", prepare_draft, begin_work_open, finish_now},
    {"cut", prepare_final, begin_open, cut_now},
    {"receipt", prepare_cut, begin_open, act_receipt},
};

/* ---- the sweep ---- */

struct kind {
    enum err cause;
    bool for_good, reopen;
};

struct counts {
    uint32_t trials, told, unharmed, failed_but_there, faults;
};

struct sweep {
    const struct verb *verb;
    struct base base;
    char before[65536], after[65536];
    struct counts n;
};

static void keep_text(char out[static 65536], struct str s)
{
    CHECK(s.n < 65536);
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
}

static void blame(struct sweep *s, const struct kind *k, uint64_t n, const struct trial *t, const char *what)
{
    s->n.faults++;
    printf("%s, operation %llu, %s %s, %s: %s (%s)\n", s->verb->name, (unsigned long long)n,
           err_action(k->cause)->name, k->for_good ? "for good" : "once",
           k->reopen ? "next process" : "same process", what, t->d.text);
}

/* The next process: opens, checks, and finds one of two states. False: neither. */
static bool look_again(struct sweep *s, const struct kind *k, uint64_t n, struct trial *t, bool *there_out)
{
    trial_leave(t);
    if (open_store(t)) {
        blame(s, k, n, t, "the store does not open any more");
        return false;
    }
    if (store_check(t->store, &t->d)) {
        blame(s, k, n, t, "a database is damaged");
        return false;
    }
    struct str now = shape(t);
    *there_out = str_eq_z(now, s->after);
    if (*there_out || str_eq_z(now, s->before))
        return true;
    blame(s, k, n, t, "the store is neither as before nor as after");
    return false;
}

static void next_try(struct sweep *s, const struct kind *k, uint64_t n, struct trial *t)
{
    bool there;
    if (k->reopen) {
        trial_leave(t);
        s->verb->begin(t);
    }
    if (s->verb->act(t))
        blame(s, k, n, t, "the next try fails too");
    else if (look_again(s, k, n, t, &there) && !there)
        blame(s, k, n, t, "the next try has no effect");
}

/* False: the verb takes less than `n` operations. */
static bool break_at(struct sweep *s, const struct kind *k, uint64_t n)
{
    struct trial t;
    bool there = false;

    trial_begin(&t, &s->base);
    s->verb->begin(&t);
    uint64_t before = sim_operations(t.machine);
    sim_fail_at(t.machine, n, k->cause, k->for_good);
    enum err rc = s->verb->act(&t);
    bool reached = sim_operations(t.machine) - before >= n;
    s->n.trials += reached;
    s->n.told += rc != ERR_OK;
    s->n.unharmed += reached && !rc;
    if (rc && !t.d.text[0])
        blame(s, k, n, &t, "it failed without a sentence");
    if (rc && k->reopen && reached)
        trial_leave(&t); /* a process that ends while the card is still bad */
    sim_fail_at(t.machine, 0, ERR_OK, false);
    if (rc && !k->reopen) {
        next_try(s, k, n, &t);
    } else if (look_again(s, k, n, &t, &there)) {
        if (!rc && !there)
            blame(s, k, n, &t, "it said OK, and there is nothing");
        s->n.failed_but_there += rc && there;
        if (rc && !there)
            next_try(s, k, n, &t);
    }
    trial_end(&t);
    return reached;
}

static void learn(struct sweep *s)
{
    struct trial t;
    trial_begin(&t, NULL);
    s->verb->prepare(&t);
    base_keep(&t, &s->base);
    trial_end(&t);

    trial_begin(&t, &s->base);
    s->verb->begin(&t);
    keep_text(s->before, t.store ? shape(&t) : STR(""));
    must(s->verb->act(&t), &t.d, s->verb->name);
    trial_leave(&t);
    must(open_store(&t), &t.d, "the store");
    keep_text(s->after, shape(&t));
    trial_end(&t);
}

static uint32_t sweep_verb(const struct verb *verb, uint32_t step)
{
    static struct sweep s;
    static const struct kind kinds[] = {
        {ERR_IO, false, false},   {ERR_IO, false, true},    {ERR_IO, true, false},
        {ERR_IO, true, true},     {ERR_FULL, false, false}, {ERR_FULL, false, true},
        {ERR_FULL, true, false},  {ERR_FULL, true, true},   {ERR_NOMEM, false, false},
        {ERR_NOMEM, false, true}, {ERR_NOMEM, true, false}, {ERR_NOMEM, true, true},
    };
    uint64_t most = 0;
    memset(&s, 0, sizeof s);
    s.verb = verb;
    learn(&s);
    for (uint32_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (uint64_t n = 1 + i % step; break_at(&s, &kinds[i], n) && s.n.faults < 20; n += step)
            most = n > most ? n : most;
    printf("%-18s %4llu operations, %5u breaks: %5u told, %4u done all the same, %3u told but there; %u "
           "faults\n",
           verb->name, (unsigned long long)most, s.n.trials, s.n.told, s.n.unharmed, s.n.failed_but_there,
           s.n.faults);
    fflush(stdout);
    base_free(&s.base);
    return s.n.faults;
}

int main(int argc, char **argv)
{
    struct diag d = {0};
    uint64_t step = 1;
    uint32_t faults = 0;
    if (argc == 3 && strcmp(argv[1], "--step") == 0 && str_to_u64(str_of(argv[2]), &step) && step >= 1 &&
        step <= 1000)
        argc = 1;
    if (argc != 1) {
        fprintf(stderr, "store_sweep [--step N]\n");
        return 2;
    }
    must(crypto_init(&d), &d, "crypto");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        faults += sweep_verb(&verbs[i], (uint32_t)step);
    printf("%u faults\n", faults);
    return faults > 0;
}
