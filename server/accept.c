/* Accepting a frame: what it is is decided before any lock (sync/ingest), what becomes of it in one
 * transaction: ledger row, merged records, submissions, and the signed receipt. Only after the commit does
 * the receipt leave.
 *
 * Always true: the same frame, however often and by whichever way it comes, is answered with the same receipt
 * bytes and changes nothing more. A frame of a known device that cannot be applied is kept apart with its
 * reason and receipted so; nothing behind it waits. A frame that is not authentic leaves no trace.
 *
 * Two handhelds that send as one (a copied card, a backup put back) are noticed by a number that is taken or
 * by a broken chain of hashes: everything is kept, the incarnation ends, and the receipt says so; each of
 * them then asks for an incarnation of its own.
 */
#include "risk/clock.h"
#include "server/erase.h"
#include "server/parts.h"

#define CONTIGUOUS_PAGE 64
#define RECEIPT_LIST_MAX 256
#define CLOCK_NEAR_MS (10LL * 60 * 1000)

/* ---- before the transaction ---- */

static bool row_of_number(void *self, uint64_t number, struct row_id *id_out)
{
    struct row_names *n = self;
    enum err rc = cstore_record_of_number(n->st, number, id_out, NULL);
    if (rc && rc != ERR_NOT_FOUND)
        n->failed = rc;
    return rc == ERR_OK;
}

struct batch_rows row_names_of(struct row_names *n)
{
    return (struct batch_rows){.self = n, .id_of = row_of_number};
}

enum err device_refused(const struct device_row *v)
{
    if (!v->revoked_ms)
        return ERR_OK;
    return v->revoked_why == REVOKED_BY_PERSON || v->revoked_why == REVOKED_LOST ? ERR_DENIED : ERR_EXISTS;
}

static enum err author_of(struct cstore *st, struct arena *a, const struct frame *f,
                          struct device_row *device, struct ingest_author *out, struct diag *d)
{
    struct batch_row before;
    enum err rc = cstore_device(st, a, f->device, f->inc, device, NULL);
    if (rc == ERR_NOT_FOUND)
        return diag_set(d, ERR_DENIED,
                        "This handheld is not enrolled here. Enrol it again with a new token.");
    if (rc)
        return diag_set(d, rc, "The device could not be looked up.");
    *out = (struct ingest_author){.known = true, .revoked = device_refused(device)};
    memcpy(out->sign_public, device->sign_public, sizeof out->sign_public);
    if (f->batch_seq > 1) {
        rc = cstore_batch(st, a, f->device, f->inc, f->batch_seq - 1, &before, d);
        if (rc && rc != ERR_NOT_FOUND)
            return rc;
        out->prev_known = rc == ERR_OK;
        if (out->prev_known)
            memcpy(out->prev, before.hash, sizeof out->prev);
    }
    rc = cstore_batch_prev(st, f->device, f->inc, f->batch_seq + 1, out->next, d);
    out->next_known = rc == ERR_OK;
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

/* ---- what a device may change ---- */

static bool kind_from_device(enum row_kind kind)
{
    return kind == ROW_HOUSEHOLD || kind == ROW_INTERVIEW || kind == ROW_REPEAT || kind == ROW_VISIT ||
           kind == ROW_FINDING || kind == ROW_COMMENT || kind == ROW_LEAD || kind == ROW_ENTITY ||
           kind == ROW_STEP || kind == ROW_INDICATOR;
}

struct rules {
    struct cstore *st;
    struct arena *a;
    const struct device_row *device;
    uint8_t role;
    struct str area;           /* what its person may see */
    bool everywhere;           /* a clerk has looked at it: any area */
    uint64_t seen;             /* what the author of the change at hand had seen */
    struct row_id row;         /* the last one looked at */
    int kind;                  /* of it; 0 = not known */
    VEC(struct row_id) visits; /* born in this frame */
};

static bool is_new_visit(const struct rules *r, struct row_id row)
{
    for (uint32_t i = 0; i < r->visits.count; i++) {
        if (row_id_same(r->visits.at[i], row))
            return true;
    }
    return false;
}

/* A row that the device may not see, it may not change either: it was named by guessing, or it went to
 * another area meanwhile. Rows that are not here yet have no area. */
#define EVENTS_LOOKED_AT 64

/* It moved, and the author had not seen that yet: what was captured before is as good as if it had come
 * before. */
static enum err was_there(const struct rules *r, const struct record_row *known, bool *out, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    enum err rc = row_id_none(known->household)
                      ? ERR_OK
                      : cstore_records(r->st, r->a, RECORDS_OF_PARENT, known->household, ROW_EVENT, 0,
                                       EVENTS_LOOKED_AT, &rows, &count, d);
    for (uint32_t i = 0; !rc && i < count && !*out; i++) {
        struct record e;
        rc = record_unpack(r->a, rows[i].row, rows[i].packed, &e, d);
        *out = !rc && e.born && e.birth.device == 0 && e.birth.server_seq > r->seen &&
               str_eq_z(record_value(&e, EVENT_CODE), "move") &&
               str_starts(record_value(&e, EVENT_BEFORE), r->area);
    }
    return rc;
}

static enum err scope_check(const struct rules *r, const struct record_row *known, struct diag *d)
{
    bool own = known->row.device == r->device->device;
    if (own || r->everywhere || known->kind == 0 || r->area.n == 0)
        return ERR_OK;
    if (known->area.p && str_starts(known->area, r->area))
        return ERR_OK;
    bool before = false;
    enum err rc = was_there(r, known, &before, d);
    if (rc || before)
        return rc;
    return diag_set(
        d, ERR_DENIED,
        "A change is about a household outside this handheld's area %.*s. It is kept apart, and a "
        "supervisor may release it.",
        STR_ARG(r->area));
}

static enum err parent_check(struct rules *r, const struct row_birth *birth, struct diag *d)
{
    struct record_row parent;
    if (row_id_none(birth->parent) || birth->parent.device == r->device->device)
        return ERR_OK;
    enum err rc = cstore_record(r->st, r->a, birth->parent, &parent, d);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc ? rc : scope_check(r, &parent, d);
}

static enum err kind_look(struct rules *r, const struct change *c, struct diag *d)
{
    struct record_row known;
    struct row_birth birth;
    if (!row_id_same(r->row, c->row)) {
        r->row = c->row;
        r->kind = 0;
        enum err rc = cstore_record(r->st, r->a, c->row, &known, d);
        if (rc && rc != ERR_NOT_FOUND)
            return rc;
        r->kind = !rc ? known.kind : is_new_visit(r, c->row) ? ROW_VISIT : 0;
        if (!rc)
            rc = scope_check(r, &known, d);
        if (rc && rc != ERR_NOT_FOUND)
            return rc;
    }
    if (c->op != CHANGE_ROW_CREATE)
        return ERR_OK;
    if (!row_birth_read(c->value, &birth))
        return diag_set(d, ERR_SYNTAX, "The birth of a row cannot be read.");
    if (!kind_from_device(birth.kind))
        return diag_set(d, ERR_DENIED, "A handheld does not make rows of kind %d.", (int)birth.kind);
    r->kind = (int)birth.kind;
    enum err rc = parent_check(r, &birth, d);
    if (rc)
        return rc;
    struct row_id *visit = birth.kind == ROW_VISIT ? vec_push(r->a, &r->visits) : NULL;
    if (visit)
        *visit = c->row;
    return visit || birth.kind != ROW_VISIT ? ERR_OK : ERR_NOMEM;
}

static bool role_decides(uint8_t role)
{
    return role == ROLE_SUPERVISOR || role == ROLE_COUNTY || role == ROLE_ADMIN;
}

static enum err change_allowed(struct rules *r, const struct change *c, struct diag *d)
{
    if (row_id_none(c->row))
        return diag_set(d, ERR_SYNTAX, "A change names no row.");
    if (c->person != r->device->person)
        return diag_set(d, ERR_DENIED,
                        "A change says it was made by person %u; this handheld is person %u's.", c->person,
                        r->device->person);
    if (c->role != r->role)
        return diag_set(d, ERR_DENIED, "A change says it was made as %s; this handheld's person is %s.",
                        role_name(c->role), role_name(r->role));
    bool own = c->row.device == r->device->device && c->row.inc == r->device->inc;
    r->seen = c->seen;
    if (c->op == CHANGE_ROW_CREATE && !own)
        return diag_set(d, ERR_DENIED, "A row with another device's id is made here.");
    enum err rc = kind_look(r, c, d);
    if (rc)
        return rc;
    if (!own && r->kind == ROW_HOUSEHOLD && c->field == HOUSEHOLD_AREA)
        return diag_set(d, ERR_DENIED,
                        "A handheld does not move a household to another area; the county does.");
    if (r->kind == ROW_HOUSEHOLD && (c->field == HOUSEHOLD_STATUS || c->field == HOUSEHOLD_INTO))
        return diag_set(d, ERR_DENIED, "Only the county closes a household or merges it with another one.");
    if (r->kind && !kind_from_device((enum row_kind)r->kind))
        return diag_set(d, ERR_DENIED, "A handheld does not change rows of kind %d.", r->kind);
    if (c->op == CHANGE_RESOLVE && field_policy(c->field) == POLICY_IMMUTABLE && !role_decides(r->role))
        return diag_set(d, ERR_DENIED,
                        "An answer that stays is replaced only by a supervisor or the county.");
    enum lead_step step;
    if (r->kind == ROW_STEP && c->field == STEP_CODE && c->op == CHANGE_SET && !r->everywhere &&
        lead_step_read(c->value, &step))
        rc = lead_step_by(step, r->role, d);
    if (rc)
        return rc;
    if (c->op == CHANGE_FINALISE && !own)
        return diag_set(d, ERR_DENIED, "A visit is finished only by the handheld that made it.");
    if (c->op == CHANGE_FINALISE && r->kind && r->kind != ROW_VISIT)
        return diag_set(d, ERR_SYNTAX, "What is finished here is no visit.");
    if (r->kind == ROW_VISIT && c->field == VISIT_FORM && c->op == CHANGE_SET) {
        unsigned char hash[SHA256_SIZE];
        struct form_row form;
        if (!hex_read(c->value, hash, sizeof hash))
            return diag_set(d, ERR_SYNTAX, "A visit does not name its form by hash.");
        rc = cstore_form(r->st, r->a, hash, &form, d);
        if (rc == ERR_NOT_FOUND)
            return diag_set(d, ERR_NOT_FOUND,
                            "A visit was made with a form that was never published here (%.*s...).", 16,
                            c->value.p);
    }
    return rc;
}

/* Every row that is named, once each time its name changes. */
static enum err rows_warm(struct cstore *st, struct arena *a, const struct ingest *in, struct diag *d)
{
    struct row_id *rows = ARENA_ARRAY(a, struct row_id, in->change_count);
    uint32_t n = 0;
    if (!rows)
        return diag_set(d, ERR_NOMEM, "Out of memory while a frame is taken in.");
    for (uint32_t i = 0; i < in->change_count; i++)
        if (!n || !row_id_same(rows[n - 1], in->changes[i].row))
            rows[n++] = in->changes[i].row;
    return cstore_records_warm(st, rows, n, d);
}

enum err changes_allowed(struct cstore *st, struct arena *a, const struct device_row *device,
                         const struct person *person, bool everywhere, const struct ingest *in,
                         struct diag *d)
{
    struct rules r = {.st = st,
                      .a = a,
                      .device = device,
                      .role = person->role,
                      .area = person->area,
                      .everywhere = everywhere};
    enum err rc = rows_warm(st, a, in, d);
    for (uint32_t i = 0; !rc && i < in->change_count; i++)
        rc = change_allowed(&r, &in->changes[i], d);
    return rc;
}

enum err inherited_check(struct cstore *st, struct arena *a, const struct device_row *device,
                         const struct ingest *in, struct device_row *author_out, struct diag *d)
{
    struct heir *list = NULL;
    uint32_t count = 0;
    uint64_t upto = 0;
    *author_out = *device;
    if (!in->head.as_inc)
        return ERR_OK;
    author_out->inc = in->head.as_inc;
    enum err rc = cstore_heirs(st, a, device->device, device->inc, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++)
        if (list[i].from == in->head.as_inc)
            upto = list[i].upto;
    if (!rc && in->change_count && in->changes[in->change_count - 1].seq > upto)
        rc = diag_set(d, ERR_DENIED, "Changes of incarnation %u come from one that did not inherit them.",
                      in->head.as_inc);
    return rc;
}

/* Content of the frame is at fault, and not the store or the machine. */
static bool is_contents_fault(enum err rc)
{
    return rc == ERR_SYNTAX || rc == ERR_LIMIT || rc == ERR_DENIED || rc == ERR_NOT_FOUND ||
           rc == ERR_STATE || rc == ERR_VERSION || rc == ERR_CORRUPT;
}

/* ---- receipts ---- */

static int64_t clock_off(const struct batch_head *head, int64_t now_ms)
{
    int64_t off = 0;
    if (head->anchor_ms > 0 && head->elapsed_ms >= 0)
        off = head->now_ms - (head->anchor_ms + head->elapsed_ms);
    else if (head->now_ms > now_ms)
        off = head->now_ms - now_ms;
    return off > CLOCK_NEAR_MS || off < -CLOCK_NEAR_MS ? off : 0;
}

/* Numbers, times and hashes may be read by whoever carries them; tokens and sentences about content may not.
 */
static bool receipt_is_open(const struct receipt *r)
{
    for (uint32_t i = 0; i < r->item_count; i++)
        if (r->items[i].status == RECEIPT_QUARANTINED)
            return false;
    for (uint32_t i = 0; i < r->part_count; i++)
        if (r->parts[i].status == RECEIPT_QUARANTINED)
            return false;
    return r->token.n == 0;
}

static enum err receipt_make(struct server *s, const struct device_row *device, const struct receipt *r,
                             struct buf *frame_out, struct diag *d)
{
    unsigned char seed[32];
    struct buf payload;
    buf_init(&payload, FRAME_RAW_MAX);
    struct frame_seal how = {.type = FRAME_RECEIPT,
                             .inc = r->epoch,
                             .batch_seq = r->cursor ? r->cursor : 1,
                             .schema = BATCH_SCHEMA_RECEIPT,
                             .recipient = receipt_is_open(r) ? NULL : device->seal_public,
                             .author = &s->centre.sign,
                             .ephemeral_seed = seed};
    enum err rc = s->seam->random(s->seam->self, seed, sizeof seed);
    if (!rc)
        rc = receipt_write(r, &payload);
    if (!rc)
        rc = frame_make(&how, buf_str(&payload), frame_out, d);
    if (rc)
        (void)diag_set(d, rc, "The receipt could not be made.");
    crypto_wipe(seed, sizeof seed);
    if (payload.p)
        crypto_wipe(payload.p, payload.n);
    buf_free(&payload);
    return rc;
}

/* A frame is proof enough of its author and comes without a token. The first one in each third of a token's
 * life brings a fresh token back, so that what a device holds is good for as long again; should that receipt
 * be lost, it is still good for a third. */
static bool token_due(const struct server *s, const struct device_row *device, int64_t now_ms)
{
    int64_t third = s->token_life_ms / 3;
    return device->contact_ms / third != now_ms / third;
}

/* Revoked devices get none. */
static enum err token_renew(struct server *s, const struct device_row *device,
                            char out[static BEARER_TEXT_MAX], struct receipt *r)
{
    if (device->revoked_ms)
        return ERR_OK;
    r->token_until_ms = srv_now_ms(s) + s->token_life_ms;
    enum err rc = bearer_write(s->centre.secret, device->device, device->inc, r->token_until_ms, out);
    if (!rc)
        r->token = str_of(out);
    return rc;
}

/* ---- inside the transaction ---- */

struct accepting {
    struct server *s;
    struct cstore *st;
    struct arena *a;
    struct ingest *in;
    struct device_row *device;
    struct batch_row *batch; /* being made */
    const struct batch_rows *rows;
    struct str area;
    uint64_t cursor; /* the sender's; UINT64_MAX = not told */
    bool caught_up;
    int64_t now_ms;
    struct ingest left; /* of it, when something was about an erased household */
    bool dropped;
};

static void reason_set(struct batch_row *b, struct arena *a, const struct diag *why)
{
    b->status = RECEIPT_QUARANTINED;
    b->cause = why->code;
    b->reason = arena_str(a, str_of(why->text));
    if (!b->reason.n)
        b->reason = str_of(err_action(why->code)->todo_en);
}

/* All batches up to the mark are in the ledger, `added` among them from now on. */
static enum err contiguous_move(struct accepting *x, uint64_t added, struct diag *d)
{
    struct batch_row *next = NULL;
    uint32_t count = 0;
    if (added != x->device->contiguous + 1)
        return ERR_OK;
    x->device->contiguous = added;
    do {
        enum err rc = cstore_batches(x->st, x->a, x->device->device, x->device->inc, x->device->contiguous,
                                     CONTIGUOUS_PAGE, &next, &count, d);
        if (rc)
            return rc;
        for (uint32_t i = 0; i < count; i++) {
            if (next[i].batch_seq != x->device->contiguous + 1)
                return ERR_OK;
            x->device->contiguous++;
        }
    } while (count == CONTIGUOUS_PAGE);
    return ERR_OK;
}

static struct receipt_item receipt_item_of(const struct batch_row *b)
{
    struct receipt_item item = {.batch_seq = b->batch_seq,
                                .status = b->status,
                                .server_seq = b->server_seq,
                                .cause = b->cause,
                                .reason = b->reason};
    memcpy(item.batch_id, b->batch_id, BATCH_ID_SIZE);
    return item;
}

static enum err caught_up(struct accepting *x, bool *out, struct diag *d)
{
    uint64_t newest = cstore_counters(x->st)->server_seq;
    const struct down_ask ask = {.device = x->device, .area = x->area, .cursor = x->cursor};
    *out = false;
    if (x->device->revoked_ms || x->cursor > newest)
        return ERR_OK;
    return down_nothing(x->st, x->a, &ask, newest, out, d);
}

static enum err receipt_add(struct accepting *x, struct diag *d)
{
    char token[BEARER_TEXT_MAX];
    struct buf frame;
    struct receipt_item item = receipt_item_of(x->batch);
    struct receipt r = {.epoch = cstore_counters(x->st)->epoch,
                        .device = x->device->device,
                        .inc = x->device->inc,
                        .contiguous = x->device->contiguous,
                        .cursor = cstore_counters(x->st)->server_seq,
                        .server_time_ms = x->now_ms,
                        .clock_off_ms = clock_off(&x->in->head, x->now_ms),
                        .refused = device_refused(x->device),
                        .erase = x->device->revoked_ms && x->device->revoked_why == REVOKED_LOST,
                        .items = &item,
                        .item_count = 1};
    buf_init(&frame, FRAME_SIZE_MAX);
    enum err rc = caught_up(x, &r.caught_up, d);
    r.cursor_from = r.caught_up ? x->cursor : 0;
    x->caught_up = r.caught_up;
    if (!rc && token_due(x->s, x->device, x->now_ms))
        rc = token_renew(x->s, x->device, token, &r);
    if (!rc)
        rc = cstore_told_put(x->st, r.cursor, d);
    if (!rc)
        rc = receipt_make(x->s, x->device, &r, &frame, d);
    if (!rc) {
        x->batch->epoch = r.epoch;
        x->batch->receipt = arena_str(x->a, buf_str(&frame));
        rc = x->batch->receipt.p ? ERR_OK : diag_set(d, ERR_NOMEM, "Out of memory while making a receipt.");
    }
    crypto_wipe(token, sizeof token);
    buf_free(&frame);
    return rc;
}

/* Every row is merged and every interview looked at once, however many visits the frame finishes: what an
 * earlier one of them looked like is read from the frame itself. */
enum err frame_apply(const struct frame_apply *w, bool *conflict_out, struct diag *d)
{
    struct ingest kept = *w->in;
    const struct ingest *in = &kept;
    bool dropped = false;
    enum err rc = erase_filter(w->st, w->a, kept.changes, kept.hlc_effective, &kept.change_count, &dropped,
                               d);
    if (w->left)
        *w->left = kept;
    if (w->dropped)
        *w->dropped = dropped;
    struct rebuild rebuild = {.st = w->st,
                              .a = w->a,
                              .forms = w->forms,
                              .seam = w->seam,
                              .frame = in,
                              .author = w->author,
                              .server_seq = w->seq,
                              .cut = w->cut,
                              .rows = w->rows,
                              .rows_left = REBUILD_ROWS_MAX};
    struct cases cases = {.st = w->st, .a = w->a, .now_ms = w->now_ms, .basis = &w->forms->lines};
    if (!rc)
        rc = rows_warm(w->st, w->a, in, d);
    if (!rc)
        rc = cases_apply(&cases, w->author, in->changes, in->hlc_effective, in->change_count, w->seq, d);
    for (uint32_t i = 0; !rc && i < in->change_count; i++) {
        if (in->changes[i].op == CHANGE_FINALISE)
            rc = rebuild_note(&rebuild, &in->changes[i], w->now_ms, d);
    }
    for (uint32_t i = 0; !rc && i < cases.interviews.count; i++)
        rc = rebuild_interview(&rebuild, cases.interviews.at[i], d);
    if (!rc)
        rc = cases_lines(&cases, d);
    *conflict_out = cases.conflict;
    return rc;
}

/* What its author had seen, in numbers that mean the same today. */
enum err seen_cap(struct cstore *st, uint32_t epoch, uint32_t upto, struct change *changes, uint32_t count,
                  struct diag *d)
{
    uint64_t base = UINT64_MAX;
    enum err rc = cstore_epoch_base(st, epoch, upto, &base, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (changes[i].seen > base)
            changes[i].seen = base;
    }
    return rc;
}

static uint64_t newest_seen(const struct ingest *in)
{
    uint64_t newest = 0;
    for (uint32_t i = 0; i < in->change_count; i++)
        newest = in->changes[i].seen > newest ? in->changes[i].seen : newest;
    return newest;
}

static enum err changes_apply(struct accepting *x, struct diag *d)
{
    bool conflict = false;
    uint64_t claimed = newest_seen(x->in);
    enum err rc = seen_cap(x->st, x->in->head.epoch, EPOCH_TODAY, x->in->changes, x->in->change_count, d);
    uint64_t seen = newest_seen(x->in);
    uint64_t seq = ++cstore_counters(x->st)->server_seq;
    uint32_t as = x->in->head.as_inc;
    const struct frame_apply w = {.st = x->st,
                                  .a = x->a,
                                  .forms = &x->s->forms,
                                  .seam = x->s->seam,
                                  .in = x->in,
                                  .author = {x->device->device, as ? as : x->device->inc},
                                  .seq = seq,
                                  .rows = x->rows,
                                  .now_ms = x->now_ms,
                                  .cut = claimed > seen,
                                  .left = &x->left,
                                  .dropped = &x->dropped};
    if (!rc)
        rc = frame_apply(&w, &conflict, d);
    if (seen > x->device->cursor)
        x->device->cursor = seen;
    x->batch->server_seq = seq;
    x->batch->as_inc = as;
    x->batch->came_epoch = cstore_counters(x->st)->epoch;
    x->batch->change_count = x->in->change_count;
    x->batch->status = conflict ? RECEIPT_CONFLICTS : RECEIPT_STORED;
    return rc;
}

/* What one handheld may fill of the centre's disk before somebody has looked at it. */
static enum err apart_room(struct accepting *x, struct diag *d)
{
    uint64_t bytes = 0;
    enum err rc = cstore_apart_bytes(x->st, x->device->device, &bytes, d);
    if (!rc && bytes + x->batch->frame.n + x->batch->payload.n > SRV_APART_BYTES_MAX)
        rc = diag_set(
            d, ERR_FULL,
            "The centre keeps no more of what this handheld sends until a clerk has looked at what is "
            "set apart (doorstepd review list).");
    return rc;
}

/* The incarnation is over. Both that sent as it are told, and ask for one each. */
static enum err incarnation_end(struct accepting *x, struct diag *d)
{
    if (x->device->revoked_ms)
        return ERR_OK;
    x->device->revoked_ms = x->now_ms;
    x->device->revoked_why = REVOKED_COPY;
    return cstore_audit(x->st, x->now_ms, STR("device"), STR("clone-alarm"), x->batch->reason, d);
}

/* The handheld has said that it sends what this frame holds anew. */
static enum err recut_look(struct accepting *x, struct diag *d)
{
    uint32_t inc = 0;
    enum err rc = cstore_recut(x->st, x->device->device, x->batch->batch_id, &inc, d);
    if (rc == ERR_NOT_FOUND)
        return ERR_OK;
    struct diag why = {0};
    (void)diag_set(&why, ERR_STATE, "The handheld sends what this frame holds again, as incarnation %u.",
                   inc);
    if (!rc)
        reason_set(x->batch, x->a, &why);
    return rc;
}

static enum err batch_keep(struct accepting *x, struct diag *d)
{
    bool apart = x->batch->status == RECEIPT_QUARANTINED;
    enum err rc = apart ? apart_room(x, d) : ERR_OK;
    if (!rc && apart)
        rc = recut_look(x, d);
    if (!rc && apart && x->batch->cause == ERR_EXISTS)
        rc = incarnation_end(x, d);
    if (!rc && !x->batch->copy)
        rc = contiguous_move(x, x->batch->batch_seq, d);
    if (!rc)
        rc = receipt_add(x, d);
    x->device->contact_ms = x->now_ms;
    if (!rc)
        rc = cstore_batch_put(x->st, x->batch, d);
    if (!rc && !apart && x->dropped)
        rc = erase_keep(x->st, x->a, &x->s->centre.sign, x->batch, &x->left.head, x->left.changes,
                        x->left.change_count, x->now_ms, d);
    if (!rc)
        rc = cstore_device_put(x->st, x->device, d);
    if (!rc && apart)
        rc = cstore_audit(x->st, x->now_ms, STR("device"), STR("quarantined"), x->batch->reason, d);
    return rc;
}

/* The receipt that answered a frame before counts no more once the centre was set back: the same frame gets
 * another one. */
static enum err again_answer(struct accepting *x, const struct batch_row *before, struct diag *d)
{
    *x->batch = *before;
    if (before->epoch == cstore_counters(x->st)->epoch)
        return ERR_OK;
    enum err rc = receipt_add(x, d);
    return rc ? rc : cstore_batch_settle(x->st, x->batch, d);
}

/* A number that is taken by another frame: somebody runs a copy of this device. Both frames are kept. */
static enum err beside_keep(struct accepting *x, bool *again_out, struct diag *d)
{
    struct batch_row before;
    enum err rc = cstore_batch_beside(x->st, x->a, x->batch->device, x->batch->inc, x->batch->batch_seq,
                                      x->batch->batch_id, &before, d);
    if (rc != ERR_NOT_FOUND) {
        *again_out = rc == ERR_OK;
        return rc ? rc : again_answer(x, &before, d);
    }
    struct diag why = {0};
    (void)diag_set(
        &why, ERR_EXISTS,
        "Two different frames carry number %llu of this handheld: a copy of it is in use. Both are kept, and "
        "each handheld takes another incarnation.",
        (unsigned long long)x->batch->batch_seq);
    x->batch->copy = 1;
    reason_set(x->batch, x->a, &why);
    return batch_keep(x, d);
}

/* The device once more, under the lock: while this frame was being read, it may have been revoked, or another
 * of its frames counted. */
static enum err device_again(struct accepting *x, struct diag *late, struct diag *d)
{
    enum err rc = cstore_device(x->st, x->a, x->batch->device, x->batch->inc, x->device, d);
    if (!rc && x->device->revoked_ms && !late->code)
        (void)diag_set(late, device_refused(x->device),
                       "This handheld, or this incarnation of it, was shut out. What it sent is kept apart.");
    return rc;
}

/* `why`: set when the frame is not to be applied. *again_out: it was here before. */
static enum err in_transaction(struct accepting *x, const struct diag *why, bool *again_out, struct diag *d)
{
    struct batch_row before;
    struct diag late = *why;
    enum err rc = device_again(x, &late, d);
    if (rc)
        return rc;
    /* A frame of an earlier epoch does not say in which one its author counts now. */
    if (x->in->head.epoch != cstore_counters(x->st)->epoch)
        x->cursor = UINT64_MAX;
    rc = cstore_batch(x->st, x->a, x->batch->device, x->batch->inc, x->batch->batch_seq, &before, d);
    if (!rc && memcmp(before.batch_id, x->batch->batch_id, BATCH_ID_SIZE) == 0) {
        *again_out = true;
        rc = again_answer(x, &before, d);
        return rc ? rc : cstore_batch_again(x->st, before.device, before.inc, before.batch_seq, d);
    }
    if (!rc)
        return beside_keep(x, again_out, d);
    if (rc != ERR_NOT_FOUND)
        return rc;
    if (late.code)
        reason_set(x->batch, x->a, &late);
    rc = late.code ? ERR_OK : changes_apply(x, d);
    return rc ? rc : batch_keep(x, d);
}

static enum err transaction(struct accepting *x, const struct diag *why, bool *again_out, struct diag *d)
{
    struct batch_row fresh = *x->batch;
    struct device_row device = *x->device;
    pthread_mutex_lock(&x->s->write_turn);
    enum err rc = cstore_begin(x->st, d);
    if (!rc)
        rc = in_transaction(x, why, again_out, d);
    if (!rc)
        rc = cstore_commit(x->st, d);
    cstore_rollback(x->st);
    pthread_mutex_unlock(&x->s->write_turn);
    if (rc) {
        *x->batch = fresh;
        *x->device = device;
        *again_out = false;
    } else {
        centre_mark(x->s, x->st, false);
    }
    return rc;
}

static void log_accepted(const struct server *s, const struct batch_row *b, bool again, enum err rc)
{
    enum log_event event = rc || b->status == RECEIPT_QUARANTINED ? LOG_FRAME_QUARANTINED
                           : again                                ? LOG_FRAME_DUPLICATE
                                                                  : LOG_FRAME_STORED;
    s->seam->log(s->seam->self, event, (int64_t)b->device, (int64_t)b->batch_seq, rc);
}

static enum err batch_begin(struct batch_row *b, const struct ingest *in, int64_t now_ms)
{
    unsigned char hash[SHA256_SIZE];
    *b = (struct batch_row){.device = in->frame.device,
                            .inc = in->frame.inc,
                            .batch_seq = in->frame.batch_seq,
                            .frame = in->frame.bytes,
                            .payload = in->payload.p ? in->payload : STR(""),
                            .reason = STR(""),
                            .received_ms = now_ms};
    memcpy(b->batch_id, in->frame.batch_id, BATCH_ID_SIZE);
    enum err rc = sha256(in->frame.bytes, hash);
    memcpy(b->hash, hash, sizeof b->hash);
    return rc;
}

enum err srv_accept(struct server *s, struct cstore *st, struct arena *a, struct str bytes, uint64_t cursor,
                    struct accepted *out, struct diag *d)
{
    struct frame f;
    struct ingest_author author;
    struct ingest in = {0};
    struct diag why = {0};
    size_t size = 0;
    struct row_names names = {.st = st};
    const struct batch_rows rows = row_names_of(&names);
    struct dicts shelf = {st, a};
    const struct frame_dicts dicts = dicts_of(&shelf);

    enum err rc = frame_parse(bytes, &f, &size, d);
    if (rc)
        return rc;
    if (size != bytes.n || f.type != FRAME_UP || f.batch_seq == 0)
        return diag_set(d, ERR_CORRUPT, "One frame with changes is expected here.");
    rc = author_of(st, a, &f, &out->device, &author, d);
    if (!rc)
        rc = cstore_person(st, a, out->device.person, &out->person, d);
    if (rc)
        return rc;
    author.dicts = &dicts;
    ingest_frame(a, bytes, &author, &s->centre.seal, &rows, &in, &why);
    if (in.verdict == INGEST_REFUSE)
        return diag_set(d, in.cause, "%s", why.text);
    if (names.failed)
        return diag_set(d, names.failed, "The rows that a frame names could not be looked up.");
    if (in.verdict == INGEST_QUARANTINE && !why.code)
        (void)diag_set(&why, in.cause, "The frame cannot be applied.");
    if (in.verdict == INGEST_ACCEPT) {
        struct device_row by;
        rc = inherited_check(st, a, &out->device, &in, &by, &why);
        if (!rc)
            rc = changes_allowed(st, a, &by, &out->person, false, &in, &why);
        if (rc && !is_contents_fault(rc))
            return diag_set(d, rc, "%s", why.text);
    }

    struct accepting x = {.s = s,
                          .st = st,
                          .a = a,
                          .in = &in,
                          .device = &out->device,
                          .batch = &out->batch,
                          .rows = &rows,
                          .area = out->person.area,
                          .cursor = cursor,
                          .now_ms = srv_now_ms(s)};
    rc = batch_begin(x.batch, &in, x.now_ms);
    if (!rc)
        rc = transaction(&x, &why, &out->duplicate, d);
    if (is_contents_fault(rc) && !why.code) { /* found only while merging: keep it apart instead */
        why = d ? *d : (struct diag){.code = rc};
        diag_clear(d);
        rc = transaction(&x, &why, &out->duplicate, d);
    }
    out->caught_up = !out->duplicate && x.caught_up;
    out->epoch = in.head.epoch == x.batch->epoch ? in.head.epoch : 0;
    log_accepted(s, x.batch, out->duplicate, rc);
    return rc;
}

enum err srv_receipt_again(struct server *s, struct cstore *st, struct arena *a,
                           const struct device_row *device, struct batch_row *batch, struct diag *d)
{
    struct device_row author = *device;
    struct ingest none = {.verdict = INGEST_ACCEPT};
    struct accepting x = {.s = s,
                          .st = st,
                          .a = a,
                          .in = &none,
                          .device = &author,
                          .batch = batch,
                          .cursor = UINT64_MAX,
                          .now_ms = srv_now_ms(s)};
    return receipt_add(&x, d);
}

enum err srv_receipts(struct server *s, struct cstore *st, struct arena *a, const struct device_row *device,
                      uint64_t since, bool fresh_token, struct buf *frame_out, struct diag *d)
{
    struct batch_row *list = NULL;
    uint32_t count = 0;
    char token[BEARER_TEXT_MAX];
    struct counters now;
    enum err rc = cstore_county(st, a, NULL, NULL, &now, d);
    if (!rc)
        rc = srv_telling(s, st, now.server_seq, d);
    if (!rc)
        rc = cstore_batches(st, a, device->device, device->inc, since, RECEIPT_LIST_MAX, &list, &count, d);
    if (rc)
        return rc;
    struct receipt_item *items = ARENA_ARRAY(a, struct receipt_item, count);
    if (!items)
        return diag_set(d, ERR_NOMEM, "Out of memory while listing receipts.");
    for (uint32_t i = 0; i < count; i++)
        items[i] = receipt_item_of(&list[i]);
    struct receipt r = {.epoch = now.epoch,
                        .device = device->device,
                        .inc = device->inc,
                        .contiguous = device->contiguous,
                        .cursor = now.server_seq,
                        .refused = device_refused(device),
                        .erase = device->revoked_ms && device->revoked_why == REVOKED_LOST,
                        .server_time_ms = srv_now_ms(s),
                        .items = items,
                        .item_count = count};
    if (fresh_token)
        rc = token_renew(s, device, token, &r);
    if (!rc)
        rc = receipt_make(s, device, &r, frame_out, d);
    crypto_wipe(token, sizeof token);
    return rc;
}
