/* People, their enrolment tokens, devices, and bearer tokens.
 *
 * Always true: a token a person types works once and for 48 hours, and only a keyed hash of it is stored; a
 * bearer token is nothing but (device, incarnation, end) under a keyed hash, so that nothing has to be looked
 * up to refuse a forged one; whether the device is revoked is asked of the database at every request.
 */
#include "server/parts.h"
#include "sync/incarnation.h"

#define BEARER_BODY 16
#define BEARER_MAC 11 /* 27 bytes are 36 digits: nothing is left over that could be spelled two ways */
#define BEARER_BYTES (BEARER_BODY + BEARER_MAC)
#define BEARER_DIGITS BASE64_SIZE(BEARER_BYTES)
#define NAME_MAX_BYTES 120
#define AREA_MAX_BYTES 64

/* clang-format off */
static const char *const role_names[] = {
    [ROLE_HOUSEHOLD]  = "household",  [ROLE_ENUMERATOR] = "enumerator", [ROLE_CADRE]   = "cadre",
    [ROLE_SUPERVISOR] = "supervisor", [ROLE_COUNTY]     = "county",     [ROLE_DEPARTMENT] = "department",
    [ROLE_ANALYST]    = "analyst",    [ROLE_ADMIN]      = "admin",
};
/* clang-format on */

const char *role_name(uint8_t role)
{
    return role >= 1 && role <= ROLE_ADMIN ? role_names[role] : "";
}

uint8_t role_of(struct str name)
{
    for (int r = 1; r <= ROLE_ADMIN; r++) {
        if (str_eq_z(name, role_names[r]))
            return (uint8_t)r;
    }
    return 0;
}

/* ---- bearer tokens ---- */

static enum err bearer_mac(const unsigned char secret[static 32], const unsigned char *body,
                           unsigned char out[static SHA256_SIZE])
{
    char text[7 + BEARER_BODY];
    memcpy(text, "bearer:", 7);
    memcpy(text + 7, body, BEARER_BODY);
    return hmac_sha256((struct str){(const char *)secret, 32}, (struct str){text, sizeof text}, out);
}

static void put_le(unsigned char *p, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (unsigned char)(v >> (8 * i));
}

enum err bearer_write(const unsigned char secret[static 32], uint64_t device, uint32_t inc, int64_t until_ms,
                      char out[static BEARER_TEXT_MAX])
{
    unsigned char bytes[BEARER_BYTES], mac[SHA256_SIZE];
    put_le(bytes, device, 8);
    put_le(bytes + 8, inc, 4);
    put_le(bytes + 12, (uint64_t)(until_ms / 1000), 4);
    enum err rc = bearer_mac(secret, bytes, mac);
    if (rc)
        return rc;
    memcpy(bytes + BEARER_BODY, mac, BEARER_MAC);
    out[base64_write(bytes, sizeof bytes, out)] = 0;
    return ERR_OK;
}

enum err bearer_read(const unsigned char secret[static 32], struct str header, int64_t now_ms,
                     struct bearer *out)
{
    unsigned char bytes[BEARER_DIGITS], mac[SHA256_SIZE];
    size_t n = 0;
    *out = (struct bearer){0};
    if (!str_starts(header, STR("Bearer ")))
        return ERR_OK;
    struct str text = str_trim(str_sub(header, 7, header.n));
    if (text.n != BEARER_DIGITS || !base64_read(text, bytes, &n) || n != BEARER_BYTES)
        return ERR_OK;
    enum err rc = bearer_mac(secret, bytes, mac);
    if (rc)
        return rc;
    if (!crypto_equal(mac, bytes + BEARER_BODY, BEARER_MAC))
        return ERR_OK;
    struct reader r = reader_of((struct str){(const char *)bytes, BEARER_BODY});
    out->device = read_u64le(&r);
    out->inc = read_u32le(&r);
    out->until_ms = (int64_t)read_u32le(&r) * 1000;
    out->state = now_ms < out->until_ms ? BEARER_GOOD : BEARER_EXPIRED;
    return ERR_OK;
}

/* ---- enrolment ---- */

static enum err ticket_hash(const struct centre *c, uint64_t token60, unsigned char out[static SHA256_SIZE])
{
    unsigned char text[6 + 8] = "enrol:";
    put_le(text + 6, token60, 8);
    return hmac_sha256((struct str){(const char *)c->secret, sizeof c->secret},
                       (struct str){(const char *)text, sizeof text}, out);
}

static bool area_code_valid(struct str area)
{
    if (area.n > AREA_MAX_BYTES)
        return false;
    for (size_t i = 0; i < area.n; i++) {
        char c = area.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
              c == '.'))
            return false;
    }
    return true;
}

enum err area_code_check(struct str area, struct diag *d)
{
    return area_code_valid(area) ? ERR_OK
                                 : diag_set(d, ERR_USAGE,
                                            "The area must be a code of digits and letters (such as "
                                            "990101001), or empty.");
}

/* The same person under a second device keeps the number. */
enum err people_take(struct cstore *st, struct str name, uint8_t role, struct str area, int64_t now_ms,
                     struct person *out, struct diag *d)
{
    struct arena a;
    arena_init(&a, 1u << 16);
    struct person p = {0};
    enum err rc = cstore_person_find(st, &a, name, role, area, &p, NULL);
    if (rc == ERR_NOT_FOUND) {
        p.person = ++cstore_counters(st)->person;
        p.role = role;
        p.name = name;
        p.area = area;
        rc = cstore_person_put(st, &p, now_ms, d);
    }
    p.name = name;
    p.area = area;
    if (!rc)
        *out = p;
    arena_free(&a);
    return rc;
}

enum err people_ticket(struct cstore *st, const struct centre *c, const struct seam *seam, struct str name,
                       uint8_t role, struct str area, struct enrol_ticket *out, struct diag *d)
{
    if (name.n == 0 || name.n > NAME_MAX_BYTES || !utf8_valid(name))
        return diag_set(d, ERR_USAGE, "The person's name must have 1 to %d bytes of UTF-8.", NAME_MAX_BYTES);
    if (role != ROLE_CADRE && role != ROLE_ENUMERATOR)
        return diag_set(d, ERR_USAGE,
                        "A handheld is enrolled for a cadre or an enumerator: --role cadre|enumerator");
    enum err named = area_code_check(area, d);
    if (named)
        return named;
    struct enrol_ticket t = {0};
    struct enrol_row e = {0};
    int64_t now = seam->wall_ms(seam->self);
    enum err rc = seam->random(seam->self, &t.token60, sizeof t.token60);
    if (rc)
        return diag_set(d, rc, "The system gave no random bytes for a token.");
    t.token60 &= (1ull << 60) - 1;
    t.until_ms = now + SRV_ENROL_LIFE_MS;
    rc = ticket_hash(c, t.token60, e.hash);
    if (!rc)
        rc = cstore_begin(st, d);
    if (!rc)
        rc = people_take(st, name, role, area, now, &t.person, d);
    if (!rc) {
        e.person = t.person.person;
        e.until_ms = t.until_ms;
        rc = cstore_enrol_put(st, &e, d);
    }
    if (!rc)
        rc = cstore_audit(st, now, STR("centre"), STR("enrol-token"), name, d);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    if (!rc)
        *out = t;
    return rc;
}

static enum err device_new(struct server *s, struct cstore *st, const struct enrol_request *q,
                           const struct enrol_row *ticket, struct device_row *out, struct diag *d)
{
    struct device_row v = {.inc = 1,
                           .person = ticket->person,
                           .model = str_sub(q->model, 0, 120),
                           .version = str_sub(q->version, 0, 60),
                           .enrolled_ms = srv_now_ms(s),
                           .contact_ms = srv_now_ms(s)};
    memcpy(v.sign_public, q->sign_public, sizeof v.sign_public);
    memcpy(v.seal_public, q->seal_public, sizeof v.seal_public);
    enum err rc = s->seam->random(s->seam->self, &v.device, sizeof v.device);
    if (rc)
        return diag_set(d, rc, "The system gave no random bytes for a device number.");
    v.device &= (uint64_t)INT64_MAX;
    if (v.device == 0)
        v.device = 1;
    struct enrol_row used = *ticket;
    used.device = v.device;
    rc = cstore_device_put(st, &v, d);
    if (!rc)
        rc = cstore_enrol_put(st, &used, d);
    if (!rc)
        rc = cstore_audit(st, v.enrolled_ms, STR("device"), STR("enrolled"), v.model, d);
    if (!rc)
        *out = v;
    return rc;
}

/* Which device this token stands for: a new one, or the one that asked before with the same key. */
static enum err device_for(struct server *s, struct cstore *st, struct arena *a,
                           const struct enrol_request *q, struct device_row *out, struct diag *d)
{
    struct enrol_row ticket;
    unsigned char hash[SHA256_SIZE];
    enum err rc = ticket_hash(&s->centre, q->token60, hash);
    if (rc)
        return rc;
    rc = cstore_enrol(st, hash, &ticket, NULL);
    if (rc == ERR_NOT_FOUND)
        return diag_set(d, ERR_DENIED,
                        "This enrolment token is not one of the county's. Check what was typed.");
    if (rc)
        return diag_set(d, rc, "The token could not be looked up.");
    if (ticket.device == 0 && srv_now_ms(s) >= ticket.until_ms)
        return diag_set(d, ERR_DENIED,
                        "This enrolment token has run out: it was valid for 48 hours. Ask for a new one.");
    if (ticket.device == 0)
        return device_new(s, st, q, &ticket, out, d);
    rc = cstore_device(st, a, ticket.device, 1, out, d);
    if (rc)
        return rc;
    if (memcmp(out->sign_public, q->sign_public, sizeof out->sign_public) != 0 ||
        memcmp(out->seal_public, q->seal_public, sizeof out->seal_public) != 0 || out->revoked_ms)
        return diag_set(d, ERR_DENIED, "This enrolment token has been used already. Ask for a new one.");
    return ERR_OK;
}

/* What anyone with the county's sign key can check: these keys are this device's. */
static enum err certificate_write(const struct centre *c, const struct device_row *v, struct buf *out)
{
    unsigned char signature[SIGNATURE_SIZE];
    buf_put_z(out, "doorstep-cert/1 ");
    buf_put_u64(out, v->device);
    buf_put_char(out, ' ');
    buf_put_u64(out, v->inc);
    buf_put_char(out, ' ');
    buf_put_hex(out, v->sign_public, sizeof v->sign_public);
    buf_put_char(out, ' ');
    buf_put_hex(out, v->seal_public, sizeof v->seal_public);
    buf_put_char(out, ' ');
    buf_put_i64(out, v->enrolled_ms);
    enum err rc = out->failed ? out->failed : p256_sign(&c->sign, buf_str(out), signature);
    if (rc)
        return rc;
    buf_put_char(out, ' ');
    buf_put_hex(out, signature, sizeof signature);
    return out->failed;
}

static enum err enrol_answer(struct server *s, struct cstore *st, const struct device_row *v,
                             const struct person *p, struct str known, struct buf *reply, struct diag *d)
{
    struct counters county;
    char token[BEARER_TEXT_MAX];
    unsigned char seed[32];
    struct buf certificate;
    int64_t now = srv_now_ms(s), until = now + s->token_life_ms;
    buf_init(&certificate, 4096);
    enum err rc = cstore_county(st, NULL, NULL, NULL, &county, d);
    if (!rc)
        rc = certificate_write(&s->centre, v, &certificate);
    if (!rc)
        rc = bearer_write(s->centre.secret, v->device, v->inc, until, token);
    if (!rc)
        rc = s->seam->random(s->seam->self, seed, sizeof seed);
    struct enrol_reply r = {.device = v->device,
                            .inc = v->inc,
                            .person = p->person,
                            .role = p->role,
                            .person_name = p->name,
                            .county = s->centre.county,
                            .area = p->area,
                            .epoch = county.epoch,
                            .server_time_ms = now,
                            .token = rc ? STR_NONE : str_of(token),
                            .token_until_ms = until,
                            .certificate = buf_str(&certificate),
                            .known = known};
    if (!rc)
        rc = enrol_reply_write(&r, &s->centre.sign, v->seal_public, seed, reply, d);
    crypto_wipe(token, sizeof token);
    crypto_wipe(seed, sizeof seed);
    buf_free(&certificate);
    return rc;
}

/* How many wrong tokens came in this minute, `more` added. */
static uint32_t wrong_tokens(struct server *s, uint32_t more)
{
    int64_t minute = s->seam->mono_ms(s->seam->self) / 60000;
    pthread_mutex_lock(&s->lock);
    if (minute != s->enrol_minute)
        s->enrol_wrong = 0;
    s->enrol_minute = minute;
    s->enrol_wrong += more;
    uint32_t count = s->enrol_wrong;
    pthread_mutex_unlock(&s->lock);
    return count;
}

enum err people_enrol(struct server *s, struct cstore *st, struct arena *a, struct str body,
                      struct buf *reply, struct diag *d)
{
    struct enrol_request q;
    struct device_row v = {0};
    struct person p;
    if (wrong_tokens(s, 0) >= SRV_ENROL_WRONG_MAX)
        return diag_set(d, ERR_BUSY, "Too many wrong enrolment tokens came in. Try again in a minute.");
    enum err rc = enrol_request_read(a, body, &s->centre.seal, &q, d);
    if (rc)
        return rc;
    pthread_mutex_lock(&s->write_turn);
    rc = cstore_begin(st, d);
    if (!rc)
        rc = device_for(s, st, a, &q, &v, d);
    if (!rc)
        rc = cstore_person(st, a, v.person, &p, d);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    pthread_mutex_unlock(&s->write_turn);
    if (rc == ERR_DENIED)
        (void)wrong_tokens(s, 1);
    if (!rc)
        rc = enrol_answer(s, st, &v, &p, STR(""), reply, d);
    if (!rc)
        s->seam->log(s->seam->self, LOG_ENROLLED, (int64_t)v.device, v.person, ERR_OK);
    return rc;
}

/* ---- another incarnation ---- */

struct reborn {
    struct server *s;
    struct cstore *st;
    struct arena *a;
    const struct incarnation_request *q;
    struct device_row old, new;
    struct buf known; /* of each visit that the request names, the incarnation it goes under */
};

/* The request of this very incarnation may have come before: its reply was lost. */
static enum err incarnation_pick(struct reborn *x, bool *known_out, struct diag *d)
{
    struct device_row *list = NULL;
    uint32_t count = 0, newest = 0;
    bool shut_out = false;
    enum err rc = cstore_devices(x->st, x->a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        const struct device_row *v = &list[i];
        if (v->device != x->old.device)
            continue;
        newest = v->inc > newest ? v->inc : newest;
        shut_out = shut_out || device_refused(v) == ERR_DENIED;
        if (v->inc != x->old.inc && v->revoked_why != REVOKED_RELEASE &&
            memcmp(v->sign_public, x->q->sign_public, sizeof v->sign_public) == 0) {
            x->new = *v;
            *known_out = true;
        }
    }
    if (!rc && shut_out)
        rc = diag_set(d, ERR_DENIED, "This handheld has been revoked. Enrol it again with a new token.");
    if (!rc && !*known_out) {
        x->new = x->old;
        x->new.inc = newest + 1;
        memcpy(x->new.sign_public, x->q->sign_public, sizeof x->new.sign_public);
        memcpy(x->new.seal_public, x->q->seal_public, sizeof x->new.seal_public);
        x->new.enrolled_ms = x->new.contact_ms = srv_now_ms(x->s);
        x->new.revoked_ms = 0;
        x->new.revoked_why = REVOKED_BY_PERSON;
        x->new.contiguous = x->new.cursor = 0;
    }
    return rc;
}

/* What the handheld cuts anew must not count twice. */
static enum err recut_note(struct reborn *x, const struct incarnation_item *item, struct diag *d)
{
    struct batch_row b;
    char reason[80];
    enum err rc = cstore_batch(x->st, x->a, x->old.device, x->old.inc, item->batch_seq, &b, d);
    if (rc == ERR_NOT_FOUND || (!rc && memcmp(b.batch_id, item->batch_id, BATCH_ID_SIZE) != 0))
        rc = cstore_batch_beside(x->st, x->a, x->old.device, x->old.inc, item->batch_seq, item->batch_id, &b,
                                 d);
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    bool here = rc == ERR_OK;
    if (here && b.status != RECEIPT_QUARANTINED)
        return diag_set(d, ERR_STATE,
                        "Frame %llu of this handheld is stored here; it must ask for its receipts first.",
                        (unsigned long long)item->batch_seq);
    rc = cstore_recut_put(x->st, x->old.device, item->batch_id, x->new.inc, d);
    if (!rc && here) {
        struct buf text;
        buf_init(&text, sizeof reason);
        buf_printf(&text, "The handheld sends what this frame holds again, as incarnation %u.", x->new.inc);
        b.reason = arena_str(x->a, buf_str(&text));
        b.cause = ERR_STATE;
        rc = b.reason.p ? cstore_batch_settle(x->st, &b, d) : ERR_NOMEM;
        buf_free(&text);
    }
    return rc;
}

/* Is this very visit stored as one of incarnation `inc`? */
static enum err is_stored(struct reborn *x, const struct incarnation_visit *v, uint32_t inc, bool *out,
                          struct diag *d)
{
    const struct row_id row = {x->old.device, inc, v->counter};
    struct submission_row s;
    struct record_row kept;
    struct record record;
    struct arena_mark mark = arena_mark(x->a);
    enum err rc = cstore_submission(x->st, x->a, row, &s, d);
    bool same = !rc && s.final_seq == v->seq;
    if (same)
        rc = cstore_record(x->st, x->a, row, &kept, d);
    if (same && !rc)
        rc = record_unpack(x->a, row, kept.packed, &record, d);
    if (same && !rc)
        *out = v->check == incarnation_visit_check(record_value(&record, VISIT_ENDED),
                                                   record_value(&record, VISIT_INSTANCE),
                                                   record_value(&record, VISIT_XML_HASH));
    arena_release(x->a, mark);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

/* Both copies of a handheld hold what was finished before the copy was made. Whoever asks first gives such a
 * visit its incarnation; when it is stored already, it has one. */
static enum err visit_name(struct reborn *x, const struct incarnation_visit *v, uint32_t *inc_out,
                           struct diag *d)
{
    struct device_row *list = NULL;
    uint32_t count = 0;
    bool found = false;
    enum err rc = cstore_claim(x->st, x->old.device, v, inc_out, d);
    if (rc != ERR_NOT_FOUND)
        return rc;
    rc = cstore_devices(x->st, x->a, &list, &count, d);
    for (uint32_t i = 0; !rc && !found && i < count; i++) {
        if (list[i].device != x->old.device || list[i].revoked_why == REVOKED_RELEASE)
            continue;
        *inc_out = list[i].inc;
        rc = is_stored(x, v, list[i].inc, &found, d);
    }
    if (!found)
        *inc_out = x->new.inc;
    return rc ? rc : cstore_claim_put(x->st, x->old.device, v, *inc_out, d);
}

/* What the new incarnation goes on from: what the old one had delivered or inherited, and every visit that
 * goes under another name. */
static enum err heirs_note(struct reborn *x, const struct incarnation_visit *v, uint32_t inc, struct diag *d)
{
    const struct heir h = {x->new.device, x->new.inc, inc, v->seq};
    return inc == x->new.inc ? ERR_OK : cstore_heir_put(x->st, &h, d);
}

static enum err heirs_take_over(struct reborn *x, struct diag *d)
{
    struct heir *list = NULL;
    uint32_t count = 0;
    const struct heir own = {x->new.device, x->new.inc, x->old.inc, x->q->upto};
    enum err rc = cstore_heirs(x->st, x->a, x->old.device, x->old.inc, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        list[i].inc = x->new.inc;
        rc = cstore_heir_put(x->st, &list[i], d);
    }
    return rc ? rc : cstore_heir_put(x->st, &own, d);
}

static enum err visits_name(struct reborn *x, struct diag *d)
{
    enum err rc = heirs_take_over(x, d);
    for (uint32_t i = 0; !rc && i < x->q->visit_count; i++) {
        uint32_t inc = 0;
        rc = visit_name(x, &x->q->visits[i], &inc, d);
        if (!rc)
            rc = heirs_note(x, &x->q->visits[i], inc, d);
        buf_put_z(&x->known, i ? " " : "");
        buf_put_u64(&x->known, inc);
    }
    return rc ? rc : x->known.failed;
}

static enum err incarnation_make(struct reborn *x, struct diag *d)
{
    bool known = false;
    int64_t now = srv_now_ms(x->s);
    enum err rc = cstore_device(x->st, x->a, x->old.device, x->old.inc, &x->old, d);
    if (!rc)
        rc = incarnation_pick(x, &known, d);
    if (!rc)
        rc = visits_name(x, d);
    if (rc || known)
        return rc;
    for (uint32_t i = 0; !rc && i < x->q->item_count; i++)
        rc = recut_note(x, &x->q->items[i], d);
    if (!rc && !x->old.revoked_ms) {
        x->old.revoked_ms = now;
        x->old.revoked_why = REVOKED_REPLACED;
        rc = cstore_device_put(x->st, &x->old, d);
    }
    if (!rc)
        rc = cstore_device_put(x->st, &x->new, d);
    return rc ? rc : cstore_audit(x->st, now, STR("device"), STR("incarnation"), x->new.model, d);
}

static enum err incarnation_open(struct server *s, struct cstore *st, struct arena *a, struct str bytes,
                                 struct incarnation_request *q, struct device_row *old, struct diag *d)
{
    struct frame f;
    size_t size = 0;
    struct buf plain;
    enum err rc = frame_parse(bytes, &f, &size, d);
    if (!rc && (size != bytes.n || f.type != FRAME_MANIFEST || f.schema != BATCH_SCHEMA_INCARNATION))
        rc = diag_set(d, ERR_CORRUPT, "One request for another incarnation is expected here.");
    if (!rc && cstore_device(st, a, f.device, f.inc, old, NULL))
        rc = diag_set(d, ERR_DENIED, "This handheld is not enrolled here. Enrol it again with a new token.");
    if (!rc)
        rc = frame_verify(&f, old->sign_public, d);
    if (rc)
        return rc;
    buf_init(&plain, f.raw_size);
    rc = frame_open(&f, &s->centre.seal, &plain, d);
    struct str payload = rc ? STR_NONE : arena_str(a, buf_str(&plain));
    buf_free(&plain);
    return rc ? rc : payload.p ? incarnation_read(a, payload, q, d) : ERR_NOMEM;
}

enum err people_incarnation(struct server *s, struct cstore *st, struct arena *a, struct str frame,
                            struct buf *reply, struct diag *d)
{
    struct incarnation_request q;
    struct person p;
    struct reborn x = {.s = s, .st = st, .a = a, .q = &q};
    enum err rc = incarnation_open(s, st, a, frame, &q, &x.old, d);
    if (rc)
        return rc;
    buf_init(&x.known, 16u * INCARNATION_ITEMS_MAX);
    pthread_mutex_lock(&s->write_turn);
    rc = cstore_begin(st, d);
    if (!rc)
        rc = incarnation_make(&x, d);
    if (!rc)
        rc = cstore_person(st, a, x.new.person, &p, d);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    pthread_mutex_unlock(&s->write_turn);
    if (!rc)
        rc = enrol_answer(s, st, &x.new, &p, buf_str(&x.known), reply, d);
    if (!rc)
        s->seam->log(s->seam->self, LOG_ENROLLED, (int64_t)x.new.device, x.new.person, ERR_OK);
    buf_free(&x.known);
    return rc;
}

static enum err shut_out(struct cstore *st, uint64_t device, enum revoked_why why, const char *what,
                         int64_t now_ms, struct diag *d)
{
    struct arena a;
    struct device_row *list = NULL;
    uint32_t count = 0, found = 0;
    arena_init(&a, 64u << 20);
    enum err rc = cstore_begin(st, d);
    if (!rc)
        rc = cstore_devices(st, &a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (list[i].device != device)
            continue;
        found++;
        if (list[i].revoked_ms && (list[i].revoked_why == why || list[i].revoked_why == REVOKED_LOST))
            continue;
        list[i].revoked_ms = now_ms;
        list[i].revoked_why = why;
        rc = cstore_device_put(st, &list[i], d);
        if (!rc)
            rc = cstore_audit(st, now_ms, STR("centre"), str_of(what), list[i].model, d);
    }
    if (!rc && !found)
        rc = diag_set(d, ERR_NOT_FOUND,
                      "No device %016llx is enrolled here. List them with: doorstepd device list DIR",
                      (unsigned long long)device);
    if (!rc)
        rc = cstore_commit(st, d);
    cstore_rollback(st);
    arena_free(&a);
    return rc;
}

enum err people_revoke(struct cstore *st, uint64_t device, int64_t now_ms, struct diag *d)
{
    return shut_out(st, device, REVOKED_BY_PERSON, "device-revoked", now_ms, d);
}

enum err people_lost(struct cstore *st, uint64_t device, int64_t now_ms, struct diag *d)
{
    return shut_out(st, device, REVOKED_LOST, "device-erase-ordered", now_ms, d);
}
