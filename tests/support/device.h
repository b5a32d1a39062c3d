/* A handheld for tests: a real store on a simulated machine, and a centre that is only a pen: what it sends
 * down is written by hand, change by change.
 */
#ifndef TESTS_SUPPORT_DEVICE_H
#define TESTS_SUPPORT_DEVICE_H

#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/store_impl.h"
#include "agent/work.h"
#include "platform/sim/sim.h"

#define DEVICE_DIR "/handheld"
#define DEVICE_ID UINT64_C(0x1122334455667788)

/* Says what was wrong, not only that something was. */
#define OK(rc)                                                                 \
    do {                                                                       \
        enum err ok_rc_ = (rc);                                                \
        if (ok_rc_)                                                            \
            fail_msg("%s: %s (%s)", #rc, err_action(ok_rc_)->name, t->d.text); \
    } while (0)
#define FAILS(rc, wanted)                  \
    do {                                   \
        diag_clear(&t->d);                 \
        assert_int_equal((rc), (wanted));  \
        assert_true(t->d.text[0] != '\0'); \
        diag_clear(&t->d);                 \
    } while (0)

#define FEED_MAX 64

struct device_test {
    struct arena a;
    struct diag d;
    struct sim *sim;
    struct sim_machine *machine;
    const struct seam *seam;
    struct store *store;
    struct key_pair_p256 root, centre_sign;
    struct key_pair_x25519 centre_seal;
    uint32_t forms; /* written so far */
    /* what the centre is about to send */
    struct change changes[FEED_MAX];
    struct down_author authors[FEED_MAX];
    uint32_t count;
    uint64_t cursor;
    uint32_t epoch;
    uint64_t agreed; /* when the epoch moves: as far as both are the same history */
    uint64_t seq;    /* of the centre, and of whoever it passes on */
};

static inline void device_open(struct device_test *t)
{
    OK(store_open(DEVICE_DIR, t->seam, NULL, &t->store, &t->d));
}

static inline void device_reopen(struct device_test *t)
{
    store_close(t->store);
    t->store = NULL;
    device_open(t);
}

static inline int device_setup(void **state)
{
    struct device_test *t = calloc(1, sizeof *t);
    arena_init(&t->a, 512u << 20);
    OK(crypto_init(&t->d));
    OK(sim_open(7, &t->sim, &t->d));
    OK(sim_machine_add(t->sim, NULL, &t->machine, &t->d));
    t->seam = sim_seam(t->machine);
    t->epoch = 1;
    device_open(t);
    *state = t;
    return 0;
}

static inline int device_teardown(void **state)
{
    struct device_test *t = *state;
    store_close(t->store);
    sim_close(t->sim);
    arena_free(&t->a);
    free(t);
    return 0;
}

static inline struct identity device_identity(struct device_test *t)
{
    struct identity id = {.url = STR("http://centre"), .epoch = 1};
    struct keyset keys = {.county = STR("Test"), .epoch = 1, .issued_ms = 1};
    struct buf json;
    unsigned char seed[32] = {9};

    OK(p256_make(seed, &t->root));
    seed[0] = 8;
    OK(p256_make(seed, &t->centre_sign));
    seed[0] = 7;
    OK(x25519_make(seed, &t->centre_seal));
    seed[0] = 6;
    OK(x25519_make(seed, &id.seal));
    seed[0] = 5;
    OK(p256_make(seed, &id.sign));
    memcpy(keys.root_public, t->root.public, sizeof keys.root_public);
    memcpy(keys.sign_public, t->centre_sign.public, sizeof keys.sign_public);
    memcpy(keys.seal_public, t->centre_seal.public, sizeof keys.seal_public);
    buf_init(&json, 64u << 10);
    OK(keyset_write(&keys, &t->root, &json, &t->d));
    id.keyset = arena_str(&t->a, buf_str(&json));
    buf_free(&json);
    id.by = (struct enrol_reply){.device = DEVICE_ID,
                                 .inc = 1,
                                 .person = 3,
                                 .role = 1,
                                 .person_name = STR("Cadre"),
                                 .county = STR("Test"),
                                 .area = STR("99"),
                                 .epoch = 1,
                                 .server_time_ms = t->seam->wall_ms(t->seam->self),
                                 .token = STR("first")};
    return id;
}

static inline void device_enrol(struct device_test *t)
{
    struct identity id = device_identity(t);
    OK(store_enrol(t->store, &id, &t->d));
}

/* ---- the centre's pen ---- */

static inline struct row_id centre_row(uint32_t counter)
{
    return (struct row_id){0, 1, counter};
}

static inline void feed_from(struct device_test *t, uint64_t device, struct change c)
{
    assert_true(t->count < FEED_MAX);
    c.seq = ++t->seq;
    c.hlc = (t->seam->wall_ms(t->seam->self) + (int64_t)t->seq * 128) << 16;
    t->authors[t->count] = (struct down_author){
        .device = device, .inc = 1, .seq = c.seq, .hlc = c.hlc, .server_seq = t->cursor + 1};
    t->changes[t->count++] = c;
}

static inline void feed_birth(struct device_test *t, struct row_id row, uint8_t kind, struct row_id parent,
                              struct str form_id)
{
    struct row_birth birth = {.kind = (enum row_kind)kind, .parent = parent};
    unsigned char hash[SHA256_SIZE];
    struct buf b;
    if (form_id.n) {
        OK(sha256(form_id, hash));
        memcpy(birth.object, hash, sizeof birth.object);
    }
    buf_init(&b, 256);
    OK(row_birth_write(&b, &birth));
    feed_from(t, row.device,
              (struct change){.row = row, .op = CHANGE_ROW_CREATE, .value = arena_str(&t->a, buf_str(&b))});
    buf_free(&b);
}

static inline void feed_set(struct device_test *t, struct row_id row, uint32_t field, const char *value)
{
    feed_from(t, row.device, (struct change){.row = row, .field = field, .value = str_of(value)});
}

/* Sends what was fed; each sending is one transaction of the centre. */
static inline void feed_send(struct device_test *t)
{
    const struct step step = {.kind = STEP_DOWN,
                              .changes = t->changes,
                              .authors = t->authors,
                              .change_count = t->count,
                              .cursor = ++t->cursor,
                              .agreed = t->agreed,
                              .epoch = t->epoch};
    OK(store_down(t->store, &step, &t->d));
    t->count = 0;
}

static inline void feed_household(struct device_test *t, uint32_t counter, const char *code)
{
    feed_birth(t, centre_row(counter), ROW_HOUSEHOLD, (struct row_id){0}, STR(""));
    feed_set(t, centre_row(counter), HOUSEHOLD_CODE, code);
    feed_set(t, centre_row(counter), HOUSEHOLD_NAME, "Invented");
    feed_set(t, centre_row(counter), HOUSEHOLD_AREA, "990101001201");
    feed_send(t);
}

static inline void feed_published(struct device_test *t, uint32_t counter, const char *kind, const char *id,
                                  const char *version, struct str bytes, const char *fieldmap, bool held)
{
    unsigned char hash[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1] = {0}, size[24];
    OK(sha256(bytes, hash));
    hex_write(hash, sizeof hash, hex);
    snprintf(size, sizeof size, "%zu", bytes.n);
    feed_birth(t, centre_row(counter), ROW_PUBLISHED, (struct row_id){0}, STR(""));
    feed_set(t, centre_row(counter), PUBLISHED_KIND, kind);
    feed_set(t, centre_row(counter), PUBLISHED_ID, id);
    feed_set(t, centre_row(counter), PUBLISHED_VERSION, version);
    feed_set(t, centre_row(counter), PUBLISHED_HASH, arena_z(&t->a, str_of(hex)));
    feed_set(t, centre_row(counter), PUBLISHED_SIZE, arena_z(&t->a, str_of(size)));
    feed_set(t, centre_row(counter), PUBLISHED_STATE, "live");
    feed_set(t, centre_row(counter), PUBLISHED_FIELDS, fieldmap);
    feed_send(t);
    if (held)
        OK(store_object_put(t->store, hash, bytes, &t->d));
}

/* ---- an interview ---- */

#define FORM_HEAD                                                                           \
    "<h:html xmlns='http://www.w3.org/2002/xforms' xmlns:h='http://www.w3.org/1999/xhtml' " \
    "xmlns:jr='http://openrosa.org/javarosa' "                                              \
    "xmlns:ds='urn:doorstep:xforms:1'><h:head><h:title>Visit</h:title>"

/* Name, wage, a mood that is asked anew at every visit, and members. */
static const char visit_form[] = FORM_HEAD
    "<model><instance><data id='visit' version='1'><name/><wage/><mood/>"
    "<member jr:template=''><who/><age/></member><meta><instanceID/></meta></data></instance>"
    "<bind nodeset='/data/name' type='string'/><bind nodeset='/data/wage' type='int'/>"
    "<bind nodeset='/data/mood' type='string' ds:fresh='true()'/>"
    "<bind nodeset='/data/member/who' type='string'/><bind nodeset='/data/member/age' type='int'/>"
    "<bind nodeset='/data/meta/instanceID' type='string' jr:preload='uid'/></model></h:head><h:body>"
    "<input ref='/data/name'><label>Name</label></input><input ref='/data/wage'><label>Wage</label></input>"
    "<input ref='/data/mood'><label>Mood</label></input>"
    "<group ref='/data/member'><label>Member</label><repeat nodeset='/data/member'>"
    "<input ref='/data/member/who'><label>Who</label></input>"
    "<input ref='/data/member/age'><label>Age</label></input></repeat></group></h:body></h:html>";

/* One question and nothing that fills itself in. */
static const char bare_form[] = FORM_HEAD
    "<model><instance><data id='bare'><name/></data></instance><bind nodeset='/data/name' type='string'/>"
    "</model></h:head><h:body><input ref='/data/name'><label>Name</label></input></h:body></h:html>";

static inline const char *write_form(struct device_test *t, const char *xml)
{
    char path[32];
    snprintf(path, sizeof path, "/form%u.xml", t->forms++);
    OK(t->seam->file_write(t->seam->self, path, str_of(xml), false, &t->d));
    return arena_z(&t->a, str_of(path));
}

static inline enum err open_work_in(struct device_test *t, struct store *s, struct work *w, const char *form,
                                    const char *household)
{
    const struct work_options o = {.store = s, .seam = t->seam, .form = form, .household = household};
    diag_clear(&t->d);
    return work_open(w, &o, &t->d);
}

static inline void begin_work(struct device_test *t, struct work *w, const char *form, const char *household)
{
    OK(open_work_in(t, t->store, w, form, household));
}

static inline void say(struct device_test *t, struct work *w, const char *ref, const char *value)
{
    struct place p;
    OK(session_place(w->session, str_of(ref), &p, &t->d));
    OK(session_answer(w->session, p, str_of(value), &t->d));
    OK(work_save(w, &t->d));
}

static inline void add_member(struct device_test *t, struct work *w, const char *who)
{
    struct place p, added;
    char ref[40];
    struct place *all;
    OK(session_place(w->session, STR("/data"), &p, &t->d));
    OK(session_repeat_add(w->session, p, 0, &added, &t->d));
    snprintf(ref, sizeof ref, "/data/member[%u]/who", session_instances(w->session, p, 0, &t->a, &all));
    say(t, w, ref, who);
}

static inline void remove_member(struct device_test *t, struct work *w, const char *ref)
{
    struct place p;
    OK(session_place(w->session, str_of(ref), &p, &t->d));
    OK(session_repeat_remove(w->session, p, &t->d));
    OK(work_save(w, &t->d));
}

static inline void assert_says(struct device_test *t, struct session *s, const char *ref, const char *value)
{
    struct place p;
    bool relevant;
    OK(session_place(s, str_of(ref), &p, &t->d));
    struct str now = session_value(s, p, &relevant);
    if (!str_eq_z(now, value))
        fail_msg("%s is \"%.*s\", not \"%s\"", ref, STR_ARG(now), value);
}

static inline bool has_place(struct session *s, const char *ref)
{
    struct place p;
    struct diag quiet = {0};
    return session_place(s, str_of(ref), &p, &quiet) == ERR_OK;
}

static inline void finish_work(struct device_test *t, struct work *w)
{
    struct work_result r;
    OK(work_finish(w, &t->a, STR("fine"), &r, &t->d));
    work_close(w);
}

/* ---- what would travel ---- */

struct cut_frame {
    uint64_t batch_seq;
    struct str bytes;
    unsigned char batch_id[BATCH_ID_SIZE];
    struct batch_head head;
    struct change *changes;
    uint32_t count;
};

static bool no_number(void *self, uint64_t number, struct row_id *id_out)
{
    (void)self, (void)number, (void)id_out;
    return false;
}

/* The next frame after `after`, opened with the centre's key. False when there is none. */
static inline bool next_frame(struct device_test *t, uint64_t after, struct cut_frame *out)
{
    struct buf b, plain;
    struct frame f;
    size_t size;
    bool any = false;
    const struct batch_rows rows = {.id_of = no_number};

    *out = (struct cut_frame){0};
    buf_init(&b, FRAME_SIZE_MAX);
    OK(store_frame_next(t->store, after, &out->batch_seq, &b, &any, &t->d));
    out->bytes = arena_str(&t->a, buf_str(&b));
    buf_free(&b);
    if (!any)
        return false;
    OK(frame_parse(out->bytes, &f, &size, &t->d));
    OK(frame_verify(&f, store_identity(t->store)->sign.public, &t->d));
    memcpy(out->batch_id, f.batch_id, BATCH_ID_SIZE);
    buf_init(&plain, f.raw_size);
    OK(frame_open(&f, &t->centre_seal, &plain, &t->d));
    out->head = (struct batch_head){.device = f.device, .inc = f.inc};
    OK(batch_read(&t->a, arena_str(&t->a, buf_str(&plain)), &rows, &out->head, &out->changes, &out->count,
                  &t->d));
    buf_free(&plain);
    return true;
}

static inline struct cut_frame cut_one_frame(struct device_test *t)
{
    struct cut_frame f, other;
    uint32_t frames = 0;
    OK(store_cut(t->store, &frames, &t->d));
    assert_int_equal(frames, 1);
    assert_true(next_frame(t, 0, &f));
    assert_false(next_frame(t, f.batch_seq, &other));
    return f;
}

static inline uint32_t count_value(const struct cut_frame *f, const char *value)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->count; i++)
        n += str_eq_z(f->changes[i].value, value);
    return n;
}

static inline uint32_t count_op(const struct cut_frame *f, enum change_op op)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->count; i++)
        n += f->changes[i].op == op;
    return n;
}

/* A receipt for it, as the centre would give. */
static inline enum err give_receipt(struct device_test *t, const struct cut_frame *f,
                                    struct receipt_item item, struct receipt receipt, bool *again)
{
    item.batch_seq = item.batch_seq ? item.batch_seq : f->batch_seq;
    receipt.device = receipt.device ? receipt.device : DEVICE_ID;
    receipt.inc = 1;
    receipt.epoch = receipt.epoch ? receipt.epoch : 1;
    receipt.server_time_ms = receipt.server_time_ms ? receipt.server_time_ms
                                                    : t->seam->wall_ms(t->seam->self);
    receipt.items = &item;
    receipt.item_count = 1;
    const struct step step = {.kind = STEP_RECEIPT,
                              .receipt = receipt,
                              .receipt_frame = STR("signed"),
                              .cursor = receipt.cursor};
    diag_clear(&t->d);
    return store_receipt(t->store, &step, again, &t->d);
}

static inline struct receipt_item item_for(const struct cut_frame *f, enum receipt_status status,
                                           uint64_t server_seq)
{
    struct receipt_item item = {.batch_seq = f->batch_seq, .status = status, .server_seq = server_seq};
    memcpy(item.batch_id, f->batch_id, BATCH_ID_SIZE);
    return item;
}

static inline struct store_status status_now(struct device_test *t)
{
    struct store_status st;
    OK(store_status(t->store, &t->a, &st, &t->d));
    return st;
}

#endif
