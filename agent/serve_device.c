/* See serve.h. The device: joining a county, memory cards, who uses it, and the lock of the screens.
 *
 * The lock is a lock of the screens: a stretched PIN is checked before anything is shown, wrong ones wait
 * longer and longer, and nothing is ever erased. It does not encrypt: the store's key lies beside the store,
 * as without a PIN.
 *
 * Several people have a store each (the data folder, and DATA/people/N): each is enrolled for themselves, and
 * what they do is theirs at the centre too.
 */
#include "agent/serve.h"

#include <stdio.h>

#include "agent/courier.h"
#include "platform/crypto.h"

#define PIN_FILE "pin.json"
#define PIN_LEAST 6
#define PIN_MOST 64
#define ROUNDS_LEAST 100000u
#define ROUNDS_MOST 4000000u
#define ROUNDS_TRIED 20000u
#define STRETCH_MS 1000
#define FREE_TRIES 5
#define PEOPLE_MAX 6
#define PLACES_MAX 24

/* ---- the PIN ---- */

struct pin {
    bool set;
    unsigned char salt[16], hash[PASSWORD_HASH_SIZE];
    int64_t rounds, wrong;
    struct str name;
};

static const char *pin_path(struct serve_call *c, const char *dir)
{
    struct buf b;
    buf_init(&b, 4200);
    buf_printf(&b, "%s/" PIN_FILE, dir);
    const char *path = arena_z(c->a, buf_str(&b));
    buf_free(&b);
    return path;
}

/* No file is no PIN; one that cannot be read is a lock that nobody opens, never an open door. */
static enum err pin_read(struct serve_call *c, const char *dir, struct pin *out)
{
    struct buf b;
    const struct json *x = NULL;
    struct diag quiet = {0};
    *out = (struct pin){.name = STR("")};
    buf_init(&b, 8192);
    enum err rc = c->g->seam->file_read(c->g->seam->self, pin_path(c, dir), &b, &quiet);
    struct str text = rc ? STR("") : arena_str(c->a, buf_str(&b));
    buf_free(&b);
    if (rc == ERR_NOT_FOUND)
        return ERR_OK;
    if (!rc)
        rc = json_read(c->a, text, &x, &quiet);
    if (rc || !json_i64(x, "rounds", &out->rounds) || !json_i64(x, "wrong", &out->wrong) ||
        !hex_read(json_text(x, "salt"), out->salt, sizeof out->salt) ||
        !hex_read(json_text(x, "hash"), out->hash, sizeof out->hash) || out->rounds < ROUNDS_LEAST ||
        out->rounds > ROUNDS_MOST)
        return diag_set(c->d, ERR_CORRUPT, "the file with the PIN cannot be read: the county can help");
    out->name = json_text(x, "name");
    out->set = true;
    return ERR_OK;
}

static enum err pin_write(struct serve_call *c, const char *dir, const struct pin *p)
{
    struct buf b;
    char salt[2 * sizeof p->salt], hash[2 * sizeof p->hash];
    hex_write(p->salt, sizeof p->salt, salt);
    hex_write(p->hash, sizeof p->hash, hash);
    buf_init(&b, 8192);
    js_open(&b, NULL, '{');
    js_str(&b, "name", p->name);
    js_str(&b, "salt", (struct str){salt, sizeof salt});
    js_i64(&b, "rounds", p->rounds);
    js_i64(&b, "wrong", p->wrong);
    js_str(&b, "hash", (struct str){hash, sizeof hash});
    buf_put_char(&b, '}');
    enum err rc = c->g->seam->file_write(c->g->seam->self, pin_path(c, dir), buf_str(&b), true, c->d);
    buf_free(&b);
    return rc;
}

static struct str salt_of(const struct pin *p)
{
    return (struct str){(const char *)p->salt, sizeof p->salt};
}

/* About a second on this device, never less than what slow ones can do. */
static enum err rounds_for_here(struct serve_call *c, struct pin *p)
{
    unsigned char unused[PASSWORD_HASH_SIZE];
    int64_t before = c->g->seam->mono_ms(c->g->seam->self);
    enum err rc = password_stretch(STR("doorstep"), salt_of(p), ROUNDS_TRIED, unused);
    int64_t took = c->g->seam->mono_ms(c->g->seam->self) - before;
    int64_t rounds = (int64_t)ROUNDS_TRIED * STRETCH_MS / (took > 0 ? took : 1);
    p->rounds = rounds < ROUNDS_LEAST ? ROUNDS_LEAST : rounds > ROUNDS_MOST ? ROUNDS_MOST : rounds;
    return rc;
}

/* 30 s, 1, 5, then 30 minutes, in time that the device was up. */
static int64_t wait_after(int64_t wrong)
{
    static const int64_t waits_s[] = {30, 60, 300, 1800};
    int64_t i = wrong - FREE_TRIES;
    return i < 0 ? 0 : waits_s[i < 3 ? i : 3] * 1000;
}

static int64_t wait_left(const struct serve_call *c)
{
    int64_t left = c->g->pin_not_before - c->g->seam->mono_ms(c->g->seam->self);
    return left > 0 ? left : 0;
}

static enum err pin_try(struct serve_call *c, const char *dir, struct pin *p, struct str typed)
{
    unsigned char hash[PASSWORD_HASH_SIZE], differ = 0;
    /* Ending the program ends no wait. */
    if (!c->g->pin_tried && p->wrong >= FREE_TRIES)
        c->g->pin_not_before = c->g->seam->mono_ms(c->g->seam->self) + wait_after(p->wrong);
    c->g->pin_tried = true;
    if (wait_left(c) > 0)
        return diag_set(c->d, ERR_BUSY, "wait before the next try");
    if (typed.n > PIN_MOST)
        return diag_set(c->d, ERR_DENIED, "wrong PIN");
    p->wrong++; /* counted before it is looked at: pulling the battery gains no try */
    enum err rc = pin_write(c, dir, p);
    if (!rc)
        rc = password_stretch(typed, salt_of(p), (uint32_t)p->rounds, hash);
    if (rc)
        return diag_set(c->d, rc, "the PIN could not be checked");
    for (size_t i = 0; i < sizeof hash; i++)
        differ |= (unsigned char)(hash[i] ^ p->hash[i]);
    crypto_wipe(hash, sizeof hash);
    if (differ) {
        c->g->pin_not_before = c->g->seam->mono_ms(c->g->seam->self) + wait_after(p->wrong);
        return diag_set(c->d, ERR_DENIED, "wrong PIN");
    }
    p->wrong = 0;
    return pin_write(c, dir, p);
}

/* ---- who uses it ---- */

/* "" is the data folder itself; others are "1", "2" ... below DATA/people. */
static enum err person_dir(struct serve_call *c, struct str person, const char **out)
{
    struct buf b;
    uint64_t n = 0;
    if (person.n && (!str_to_u64(person, &n) || n == 0 || n > PEOPLE_MAX))
        return diag_set(c->d, ERR_NOT_FOUND, "nobody of that name uses this device");
    buf_init(&b, 4200);
    buf_put_z(&b, c->g->base);
    if (n)
        buf_printf(&b, "/people/%llu", (unsigned long long)n);
    *out = arena_z(c->a, buf_str(&b));
    buf_free(&b);
    return *out ? ERR_OK : diag_set(c->d, ERR_NOMEM, "no memory");
}

static enum err people_below(struct serve_call *c, struct str **names, uint32_t *count)
{
    struct buf b;
    buf_init(&b, 4200);
    buf_printf(&b, "%s/people", c->g->base);
    const char *dir = arena_z(c->a, buf_str(&b));
    buf_free(&b);
    enum err rc = c->g->seam->dir_list(c->g->seam->self, dir, c->a, names, count);
    if (rc)
        *count = 0;
    return ERR_OK;
}

static enum err put_person(struct serve_call *c, struct str person)
{
    const char *dir = NULL;
    struct pin p;
    enum err rc = person_dir(c, person, &dir);
    if (!rc)
        rc = pin_read(c, dir, &p);
    if (rc)
        return rc;
    js_open(c->out, NULL, '{');
    js_str(c->out, "id", person);
    js_str(c->out, "name", p.name);
    js_bool(c->out, "pin", p.set);
    js_bool(c->out, "here", str_eq_z(person, c->g->person));
    buf_put_char(c->out, '}');
    return ERR_OK;
}

static enum err lock_state(struct serve_call *c)
{
    struct str *names = NULL;
    uint32_t count = 0;
    enum err rc = people_below(c, &names, &count);
    js_open(c->out, NULL, '{');
    js_bool(c->out, "locked", c->g->locked);
    js_i64(c->out, "wait_ms", wait_left(c));
    js_open(c->out, "people", '[');
    if (!rc)
        rc = put_person(c, STR(""));
    for (uint32_t i = 0; !rc && i < count; i++)
        rc = put_person(c, names[i]);
    buf_put_z(c->out, "]}");
    return rc;
}

/* Another person's store takes this one's place. */
static enum err change_to(struct serve_call *c, struct str person)
{
    const char *dir = NULL;
    struct store *s = NULL;
    if (str_eq_z(person, c->g->person))
        return ERR_OK;
    enum err rc = person_dir(c, person, &dir);
    if (!rc)
        rc = c->g->seam->dir_make(c->g->seam->self, dir, c->d);
    if (!rc)
        rc = store_open(dir, c->g->seam, c->g->zone, &s, c->d);
    if (rc)
        return rc;
    serve_training_end(c->g);
    visit_close(c->g);
    store_close(c->g->store);
    c->g->store = s;
    snprintf(c->g->person, sizeof c->g->person, "%.*s", STR_ARG(person));
    serve_sync_folder(c->g, dir);
    return ERR_OK;
}

static enum err unlock(struct serve_call *c)
{
    const char *dir = NULL;
    struct pin p;
    struct str person = json_text(c->in, "person");
    person = person.p ? person : STR("");
    enum err rc = person_dir(c, person, &dir);
    if (!rc)
        rc = pin_read(c, dir, &p);
    if (!rc && !p.set)
        rc = diag_set(c->d, ERR_STATE, "this person has no PIN yet");
    if (!rc)
        rc = pin_try(c, dir, &p, json_text(c->in, "pin"));
    if (!rc)
        rc = change_to(c, person);
    if (!rc)
        rc = serve_session_begin(c);
    if (rc)
        return rc;
    c->g->locked = false;
    buf_put_z(c->out, "{}");
    return ERR_OK;
}

static enum err lock(struct serve_call *c)
{
    struct pin p;
    enum err rc = pin_read(c, c->g->data, &p);
    if (rc)
        return rc;
    if (!p.set)
        return diag_set(c->d, ERR_STATE, "choose a PIN first");
    serve_lock(c->g);
    buf_put_z(c->out, "{}");
    return ERR_OK;
}

void serve_lock(struct serving *g)
{
    serve_training_end(g);
    visit_close(g);
    g->locked = true;
    memset(g->sessions, 0, sizeof g->sessions);
}

bool serve_has_pin(const struct serving *g)
{
    struct buf b, path;
    struct diag quiet = {0};
    buf_init(&path, 4200);
    buf_init(&b, 8192);
    buf_printf(&path, "%s/" PIN_FILE, g->data);
    bool is = g->seam->file_read(g->seam->self, path.p, &b, &quiet) != ERR_NOT_FOUND;
    buf_free(&b);
    buf_free(&path);
    return is;
}

static bool digits_or_long(struct str pin)
{
    return pin.n >= PIN_LEAST && pin.n <= PIN_MOST;
}

static enum err set_pin(struct serve_call *c)
{
    struct pin p;
    struct str wanted = json_text(c->in, "pin");
    const struct identity *id = store_identity(c->g->store);
    enum err rc = pin_read(c, c->g->data, &p);
    if (!rc && p.set)
        rc = pin_try(c, c->g->data, &p, json_text(c->in, "old"));
    if (!rc && !digits_or_long(wanted))
        rc = diag_set(c->d, ERR_USAGE, "a PIN has at least %d digits", PIN_LEAST);
    if (!rc)
        rc = c->g->seam->random(c->g->seam->self, p.salt, sizeof p.salt);
    if (!rc)
        rc = rounds_for_here(c, &p);
    if (!rc)
        rc = password_stretch(wanted, salt_of(&p), (uint32_t)p.rounds, p.hash);
    if (rc)
        return diag_set(c->d, rc, "the PIN could not be kept");
    p.name = id->by.person_name.n ? id->by.person_name : STR("");
    rc = pin_write(c, c->g->data, &p);
    buf_put_z(c->out, "{}");
    return rc;
}

/* A new person begins with an empty store, and enrols. The one before must have a PIN: else the new one could
 * read on. */
static enum err add_person(struct serve_call *c)
{
    struct pin p;
    struct str *names = NULL;
    uint32_t count = 0;
    char next[8];
    enum err rc = pin_read(c, c->g->data, &p);
    if (!rc && !p.set)
        rc = diag_set(c->d, ERR_STATE, "choose a PIN first: whoever comes next must not read this");
    if (!rc)
        rc = people_below(c, &names, &count);
    if (!rc && count >= PEOPLE_MAX - 1)
        rc = diag_set(c->d, ERR_LIMIT, "this device has as many people as it can hold");
    snprintf(next, sizeof next, "%u", count + 1);
    if (!rc)
        rc = change_to(c, str_of(next));
    buf_put_z(c->out, "{}");
    return rc;
}

/* ---- joining a county ---- */

struct print_shown {
    char text[64];
};

/* Nobody is here to compare: it is shown, and asked for again with it. */
static bool show_print(void *self, const char *fingerprint)
{
    struct print_shown *p = self;
    snprintf(p->text, sizeof p->text, "%s", fingerprint);
    return false;
}

static const char *text_z(struct serve_call *c, const char *name)
{
    struct str s = json_text(c->in, name);
    return s.n ? arena_z(c->a, str_trim(s)) : NULL;
}

static enum err join(struct serve_call *c)
{
    struct print_shown shown = {""};
    struct enrol_options o = {.code = text_z(c, "code"),
                              .url = text_z(c, "url"),
                              .root_print = text_z(c, "fingerprint"),
                              .self = &shown,
                              .confirm = show_print};
    if (!o.code)
        return diag_set(c->d, ERR_USAGE, "type the code on the county's sheet");
    enum err rc = enrol(c->g->store, c->g->seam, &o, c->d);
    if (rc && !shown.text[0])
        return rc;
    js_open(c->out, NULL, '{');
    js_bool(c->out, "enrolled", !rc);
    if (rc)
        js_z(c->out, "fingerprint", shown.text);
    js_str(c->out, "county", store_identity(c->g->store)->by.county);
    js_str(c->out, "person", store_identity(c->g->store)->by.person_name);
    buf_put_char(c->out, '}');
    if (!rc)
        serve_sync_anew(c->g);
    return ERR_OK;
}

/* ---- memory cards ---- */

static void places_below(struct serve_call *c, const char *dir, struct str *out, uint32_t *count, bool deeper)
{
    struct str *names = NULL;
    uint32_t n = 0;
    if (c->g->seam->dir_list(c->g->seam->self, dir, c->a, &names, &n))
        return;
    for (uint32_t i = 0; i < n && *count < PLACES_MAX; i++) {
        struct buf b;
        buf_init(&b, 4200);
        buf_printf(&b, "%s/%.*s", dir, STR_ARG(names[i]));
        struct str path = arena_str(c->a, buf_str(&b));
        buf_free(&b);
        if (!path.p)
            return;
        if (deeper)
            places_below(c, path.p, out, count, false);
        else
            out[(*count)++] = path;
    }
}

/* Where systems show cards and sticks; and the folder that was named when serving began. */
static enum err places(struct serve_call *c, struct str **out, uint32_t *count_out)
{
    struct str *list = ARENA_ARRAY(c->a, struct str, PLACES_MAX + 1);
    uint32_t count = 0;
    if (!list)
        return diag_set(c->d, ERR_NOMEM, "no memory for the list of cards");
    if (c->g->card)
        list[count++] = str_of(c->g->card);
    places_below(c, "/media", list, &count, true);
    places_below(c, "/run/media", list, &count, true);
    *out = list;
    *count_out = count;
    return ERR_OK;
}

static enum err courier_state(struct serve_call *c)
{
    struct str *list = NULL;
    uint32_t count = 0;
    enum err rc = places(c, &list, &count);
    if (rc)
        return rc;
    js_open(c->out, NULL, '{');
    js_open(c->out, "places", '[');
    for (uint32_t i = 0; i < count; i++)
        js_str(c->out, NULL, list[i]);
    buf_put_z(c->out, "]}");
    return ERR_OK;
}

static enum err courier_place(struct serve_call *c, const char **out)
{
    struct str *list, wanted = json_text(c->in, "place");
    uint32_t count = 0;
    enum err rc = places(c, &list, &count);
    for (uint32_t i = 0; !rc && i < count; i++)
        if (str_eq(list[i], wanted)) {
            *out = arena_z(c->a, wanted);
            return *out ? ERR_OK : diag_set(c->d, ERR_NOMEM, "no memory");
        }
    return rc ? rc : diag_set(c->d, ERR_NOT_FOUND, "this card is not in the device any more");
}

static enum err courier(struct serve_call *c, bool give)
{
    const char *place = NULL;
    struct courier_result r = {0};
    const struct courier_options o = {.data = c->g->data};
    enum err rc = courier_place(c, &place);
    if (!rc)
        rc = give ? courier_give(c->g->store, c->g->seam, place, &o, &r, c->d)
                  : courier_take(c->g->store, c->g->seam, place, &o, &r, c->d);
    if (rc)
        return rc;
    js_open(c->out, NULL, '{');
    js_i64(c->out, "own", (int64_t)r.frames_own);
    js_i64(c->out, "bytes", (int64_t)r.bytes);
    js_i64(c->out, "carried", (int64_t)r.frames_carried);
    js_i64(c->out, "devices", (int64_t)r.devices_carried);
    js_i64(c->out, "receipts", (int64_t)r.received.totals.frames_receipted);
    js_i64(c->out, "changes", (int64_t)r.received.totals.changes_received);
    js_i64(c->out, "damaged", (int64_t)r.bundles_damaged);
    js_z(c->out, "trouble", r.trouble);
    buf_put_char(c->out, '}');
    return ERR_OK;
}

static enum err give(struct serve_call *c)
{
    return courier(c, true);
}

static enum err take(struct serve_call *c)
{
    return courier(c, false);
}

const struct serve_route serve_device_routes[] = {
    {HTTP_GET, "/api/lock", lock_state},
    {HTTP_POST, "/api/unlock", unlock},
    {HTTP_POST, "/api/lock", lock},
    {HTTP_POST, "/api/pin", set_pin},
    {HTTP_POST, "/api/person", add_person},
    {HTTP_POST, "/api/enrol", join},
    {HTTP_GET, "/api/courier", courier_state},
    {HTTP_POST, "/api/courier/give", give},
    {HTTP_POST, "/api/courier/take", take},
    {HTTP_GET, NULL, NULL},
};
