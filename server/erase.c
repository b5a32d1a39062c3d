/* Erasing (erase.h). What is erased is a set of rows (table gone): the household's and all below it. One
 * rule, the filter, says what of a change may be kept; the ledger, the centre's own log, what arrives and
 * what is replayed all pass through it, so that they agree.
 */
#include "server/erase.h"

#include <stdlib.h>

#include "server/store_erase.h"
#include "server/store_work.h"

#define PAGE 256
#define TRACE_PAGE 500
#define DAY_MS 86400000LL
#define TOMBSTONE_BODY (4 + BATCH_ID_SIZE + 8 + 4 + 8 + 8 + SHA256_SIZE)

/* ---- the filter ---- */

/* What may be known of an erased household itself: that it was there, where, and that it was erased. */
static bool stays(const struct change *c)
{
    return c->field == 0 || c->field == HOUSEHOLD_AREA || c->field == HOUSEHOLD_STATUS ||
           c->field == HOUSEHOLD_INTO;
}

static enum err change_look(struct cstore *st, const struct change *c, bool *keep_out, struct diag *d)
{
    struct row_id root;
    struct row_birth birth;
    *keep_out = true;
    enum err rc = cstore_gone(st, c->row, &root, d);
    if (!rc)
        *keep_out = row_id_same(root, c->row) && stays(c);
    if (rc != ERR_NOT_FOUND || c->op != CHANGE_ROW_CREATE || !row_birth_read(c->value, &birth) ||
        row_id_none(birth.parent))
        return rc == ERR_NOT_FOUND ? ERR_OK : rc;
    rc = cstore_gone(st, birth.parent, &root, d);
    if (rc)
        return rc == ERR_NOT_FOUND ? ERR_OK : rc;
    *keep_out = false;
    return cstore_gone_put(st, c->row, root, d);
}

enum err erase_filter(struct cstore *st, struct arena *a, struct change *changes, int64_t *hlc,
                      uint32_t *count, bool *dropped_out, struct diag *d)
{
    uint32_t n = 0;
    bool any = false;
    enum err rc = cstore_gone_any(st, &any, d);
    (void)a;
    if (rc || !any)
        return rc;
    for (uint32_t i = 0; !rc && i < *count; i++) {
        bool keep = true;
        rc = change_look(st, &changes[i], &keep, d);
        *dropped_out = *dropped_out || !keep;
        if (rc || !keep)
            continue;
        changes[n] = changes[i];
        if (hlc)
            hlc[n] = hlc[i];
        n++;
    }
    if (!rc)
        *count = n;
    return rc;
}

/* ---- tombstones ---- */

bool tombstone_is(struct str frame)
{
    return str_starts(frame, STR("DST1"));
}

static enum err tombstone_write(const struct key_pair_p256 *sign, const struct batch_row *b,
                                struct str payload, int64_t now_ms, struct buf *out)
{
    unsigned char hash[SHA256_SIZE], signature[SIGNATURE_SIZE];
    struct buf message;
    enum err rc = sha256(payload, hash);
    buf_put_z(out, "DST1");
    buf_put(out, b->batch_id, BATCH_ID_SIZE);
    buf_put_u64le(out, b->device);
    buf_put_u32le(out, b->inc);
    buf_put_u64le(out, b->batch_seq);
    buf_put_u64le(out, (uint64_t)now_ms);
    buf_put(out, hash, sizeof hash);
    buf_init(&message, 512);
    buf_put_z(&message, "dst1-sig");
    buf_put_str(&message, buf_str(out));
    if (!rc)
        rc = message.failed ? message.failed : p256_sign(sign, buf_str(&message), signature);
    buf_put(out, signature, sizeof signature);
    buf_free(&message);
    return rc ? rc : out->failed;
}

enum err erase_keep(struct cstore *st, struct arena *a, const struct key_pair_p256 *sign,
                    const struct batch_row *b, const struct batch_head *head, const struct change *changes,
                    uint32_t count, int64_t now_ms, struct diag *d)
{
    struct buf payload, tombstone;
    (void)a;
    buf_init(&payload, FRAME_RAW_MAX);
    buf_init(&tombstone, 512);
    enum err rc = batch_write(head, NULL, changes, count, &payload, d);
    if (!rc)
        rc = tombstone_write(sign, b, buf_str(&payload), now_ms, &tombstone);
    if (!rc)
        rc = cstore_batch_erase(st, b, buf_str(&tombstone), buf_str(&payload), count, d);
    buf_free(&tombstone);
    buf_free(&payload);
    return rc;
}

static enum err damaged(struct diag *d)
{
    return diag_set(d, ERR_CORRUPT, "A tombstone of an erased frame is not what the county signed.");
}

enum err tombstone_read(struct arena *a, const struct batch_row *b, const unsigned char *public,
                        const struct batch_rows *rows, struct ingest *in, struct diag *d)
{
    struct reader r = reader_of(b->frame);
    unsigned char hash[SHA256_SIZE];
    (void)read_bytes(&r, 4);
    struct str id = read_bytes(&r, BATCH_ID_SIZE);
    uint64_t device = read_u64le(&r);
    uint32_t inc = read_u32le(&r);
    uint64_t bseq = read_u64le(&r);
    (void)read_u64le(&r);
    struct str said = read_bytes(&r, SHA256_SIZE), signature = read_bytes(&r, SIGNATURE_SIZE);
    if (r.failed || reader_left(&r) || memcmp(id.p, b->batch_id, BATCH_ID_SIZE) != 0 || device != b->device ||
        inc != b->inc || bseq != b->batch_seq || sha256(b->payload, hash) ||
        memcmp(hash, said.p, SHA256_SIZE) != 0)
        return damaged(d);
    if (public) {
        struct buf message;
        buf_init(&message, 512);
        buf_put_z(&message, "dst1-sig");
        buf_put_str(&message, str_sub(b->frame, 0, TOMBSTONE_BODY));
        enum err rc = p256_verify(public, buf_str(&message), (const unsigned char *)signature.p);
        buf_free(&message);
        if (rc)
            return damaged(d);
    }
    *in = (struct ingest){.verdict = INGEST_ACCEPT, .payload = b->payload};
    in->frame.device = b->device;
    in->frame.inc = b->inc;
    in->frame.batch_seq = b->batch_seq;
    in->head = (struct batch_head){.device = b->device, .inc = b->inc};
    enum err rc = batch_read(a, b->payload, rows, &in->head, &in->changes, &in->change_count, d);
    in->hlc_effective = rc ? NULL : ARENA_ARRAY(a, int64_t, in->change_count);
    if (!rc && !in->hlc_effective)
        return diag_set(d, ERR_NOMEM, "Out of memory while reading a frame.");
    for (uint32_t i = 0; !rc && i < in->change_count; i++)
        in->hlc_effective[i] = hlc_effective(in->changes[i].hlc, in->head.anchor_ms, in->head.elapsed_ms);
    return rc;
}

/* ---- erasing a household ---- */

struct erasing {
    struct desk *k;
    const struct centre *c;
    struct arena a;
    struct row_id root;
    struct row_names names;
    VEC(struct row_id) below;
    VEC(uint64_t) seqs; /* of the log, ascending, each once */
    int64_t now;
    struct erased_result n;
};

static enum err seq_note(struct erasing *x, uint64_t seq)
{
    uint64_t *slot = seq ? vec_push(&x->a, &x->seqs) : NULL;
    if (slot)
        *slot = seq;
    return slot || !seq ? ERR_OK : ERR_NOMEM;
}

/* Also what was said before anybody knew where the row belongs. */
static enum err record_seqs(struct erasing *x, const struct record_row *row, struct diag *d)
{
    struct record r;
    enum err rc = record_unpack(&x->a, row->row, row->packed, &r, d);
    if (!rc && r.born)
        rc = seq_note(x, r.birth.server_seq);
    for (uint32_t i = 0; !rc && i < r.count; i++)
        for (uint32_t v = 0; !rc && v < r.cells[i].count; v++)
            rc = seq_note(x, r.cells[i].versions[v].server_seq);
    return rc;
}

static enum err rows_gather(struct erasing *x, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    enum err rc = ERR_OK;
    do {
        rc = cstore_records(x->k->st, &x->a, RECORDS_OF_HOUSEHOLD, x->root, 0, after, PAGE, &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            after = rows[i].number;
            rc = record_seqs(x, &rows[i], d);
            if (rc || row_id_same(rows[i].row, x->root))
                continue;
            struct row_id *slot = vec_push(&x->a, &x->below);
            if (slot)
                *slot = rows[i].row;
            rc = slot ? ERR_OK : ERR_NOMEM;
        }
    } while (!rc && count == PAGE);
    return rc;
}

static int by_seq(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static enum err traces_gather(struct erasing *x, struct diag *d)
{
    uint64_t *page = NULL, before = INT64_MAX;
    uint32_t count = 0, n = 0;
    enum err rc = ERR_OK;
    do {
        rc = cstore_traces(x->k->st, &x->a, x->root, before, TRACE_PAGE, &page, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            before = page[i];
            rc = seq_note(x, page[i]);
        }
    } while (!rc && count == TRACE_PAGE);
    if (x->seqs.count)
        qsort(x->seqs.at, x->seqs.count, sizeof *x->seqs.at, by_seq);
    for (uint32_t i = 0; i < x->seqs.count; i++)
        if (n == 0 || x->seqs.at[n - 1] != x->seqs.at[i])
            x->seqs.at[n++] = x->seqs.at[i];
    x->seqs.count = n;
    return rc;
}

static enum err frame_erase(struct erasing *x, struct batch_row *b, struct diag *d)
{
    struct arena_mark mark = arena_mark(&x->a);
    const struct batch_rows rows = row_names_of(&x->names);
    struct batch_head head = {.device = b->device, .inc = b->inc};
    struct change *changes = NULL, *as = NULL;
    struct device_row device;
    uint32_t count = 0, n = 0;
    enum err rc = b->payload.n ? batch_read(&x->a, b->payload, &rows, &head, &changes, &count, d) : ERR_OK;
    as = rc ? NULL : ARENA_ARRAY(&x->a, struct change, count + 1);
    if (!rc && !as)
        rc = ERR_NOMEM;
    if (!rc && count)
        memcpy(as, changes, count * sizeof *as);
    if (!rc && b->as_inc) { /* the records know these rows by another name */
        struct ingest in = {.changes = as, .change_count = count};
        rc = cstore_device(x->k->st, &x->a, b->device, b->inc, &device, d);
        if (!rc)
            rc = changes_rename(x->k->st, &x->a, &device, b->as_inc, &in, d);
    }
    for (uint32_t i = 0; !rc && i < count; i++) {
        bool keep = true;
        rc = change_look(x->k->st, &as[i], &keep, d);
        if (!rc && keep)
            changes[n++] = changes[i];
    }
    if (!rc && n < count) {
        rc = erase_keep(x->k->st, &x->a, &x->c->sign, b, &head, changes, n, x->now, d);
        x->n.frames++;
    }
    arena_release(&x->a, mark);
    return rc;
}

static enum err own_erase(struct erasing *x, const struct own_row *o, struct diag *d)
{
    struct batch_head head = {0};
    struct change *changes = NULL;
    struct buf payload;
    uint32_t count = 0, n = 0;
    enum err rc = batch_read(&x->a, o->payload, NULL, &head, &changes, &count, d);
    head.inc = head.epoch;
    if (!rc)
        rc = batch_read(&x->a, o->payload, NULL, &head, &changes, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        bool keep = true;
        rc = change_look(x->k->st, &changes[i], &keep, d);
        if (!rc && keep)
            changes[n++] = changes[i];
    }
    if (rc || n == count)
        return rc;
    buf_init(&payload, FRAME_RAW_MAX);
    head.device = 0;
    rc = batch_write(&head, NULL, changes, n, &payload, d);
    if (!rc)
        rc = cstore_own_replace(x->k->st, o->seq, buf_str(&payload), d);
    buf_free(&payload);
    x->n.edits++;
    return rc;
}

static enum err log_erase(struct erasing *x, struct diag *d)
{
    uint64_t last_own = UINT64_MAX;
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < x->seqs.count; i++) {
        struct batch_row b;
        struct own_row o = {0};
        rc = cstore_batch_at(x->k->st, &x->a, x->seqs.at[i], &b, d);
        if (!rc) {
            rc = frame_erase(x, &b, d);
            continue;
        }
        if (rc == ERR_NOT_FOUND)
            rc = cstore_own_at(x->k->st, &x->a, x->seqs.at[i], &o, d);
        if (!rc && o.seq != last_own)
            rc = own_erase(x, &o, d);
        last_own = rc ? last_own : o.seq;
        rc = rc == ERR_NOT_FOUND ? ERR_OK : rc;
    }
    return rc;
}

/* Frames that were set apart and say something of it are emptied: nobody can release them any more. */
static enum err apart_erase(struct erasing *x, struct diag *d)
{
    struct quarantined *list = NULL;
    uint32_t count = 0;
    const struct batch_rows rows = row_names_of(&x->names);
    enum err rc = cstore_quarantine(x->k->st, &x->a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct arena_mark mark = arena_mark(&x->a);
        struct batch_row b;
        struct batch_head head = {.device = list[i].batch.device, .inc = list[i].batch.inc};
        struct change *changes = NULL;
        uint32_t n = 0;
        bool about = false;
        rc = cstore_batch_whole(x->k->st, &x->a, list[i].batch.device, list[i].batch.inc,
                                list[i].batch.batch_seq, list[i].batch.copy, &b, d);
        if (!rc && b.payload.n && !batch_read(&x->a, b.payload, &rows, &head, &changes, &n, NULL)) {
            for (uint32_t c = 0; !rc && c < n && !about; c++) {
                bool keep = true;
                rc = change_look(x->k->st, &changes[c], &keep, d);
                about = !keep;
            }
            if (!rc && about)
                rc = erase_keep(x->k->st, &x->a, &x->c->sign, &b, &head, changes, 0, x->now, d);
            x->n.frames += !rc && about;
        }
        arena_release(&x->a, mark);
    }
    return rc;
}

/* Only what may stay, as the filter would have left it. */
static enum err root_trim(struct erasing *x, struct diag *d)
{
    struct record_row row;
    struct record r;
    struct buf packed;
    uint32_t n = 0, m = 0;
    enum err rc = cstore_record(x->k->st, &x->a, x->root, &row, d);
    if (!rc)
        rc = record_unpack(&x->a, x->root, row.packed, &r, d);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < r.count; i++)
        if (stays(&(struct change){.field = r.cells[i].field}))
            r.cells[n++] = r.cells[i];
    for (uint32_t i = 0; i < r.mark_count; i++)
        if (stays(&(struct change){.field = r.marks[i].field}))
            r.marks[m++] = r.marks[i];
    r.count = n;
    r.mark_count = m;
    buf_init(&packed, 1u << 20);
    rc = record_pack(&r, &packed);
    row.packed = buf_str(&packed);
    row.code = STR_NONE;
    row.conflicts = 0;
    if (!rc)
        rc = cstore_record_put(x->k->st, &row, d);
    buf_free(&packed);
    return rc;
}

static enum err records_erase(struct erasing *x, struct diag *d)
{
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < x->below.count; i++)
        rc = cstore_row_erase(x->k->st, x->below.at[i], d);
    if (!rc)
        rc = root_trim(x, d);
    if (!rc)
        rc = cstore_attachments_unlinked(x->k->st, &x->n.files, d);
    if (!rc)
        rc = cstore_traces_drop(x->k->st, x->root, d);
    x->n.rows = x->below.count + 1;
    return rc ? rc : lines_refresh(x->k->st, x->root, NULL, d);
}

static enum err gone_put(struct erasing *x, struct diag *d)
{
    enum err rc = cstore_gone_put(x->k->st, x->root, x->root, d);
    for (uint32_t i = 0; !rc && i < x->below.count; i++)
        rc = cstore_gone_put(x->k->st, x->below.at[i], x->root, d);
    return rc;
}

/* In a transaction. Handhelds are told by the status of the household. */
static enum err erase(struct erasing *x, const struct work_by *by, struct str reason, struct diag *d)
{
    struct cases cases = {.st = x->k->st, .a = &x->a};
    const struct case_field fields[] = {{HOUSEHOLD_STATUS, STR("erased")}, {HOUSEHOLD_INTO, STR("")}};
    struct case_edit edit = {
        .row = x->root, .fields = fields, .field_count = 2, .person = by->person, .role = by->role};
    enum err rc = cases_edit(&cases, x->k->epoch, x->now, &edit, d);
    if (!rc)
        rc = rows_gather(x, d);
    if (!rc)
        rc = traces_gather(x, d);
    if (!rc)
        rc = gone_put(x, d);
    if (!rc)
        rc = log_erase(x, d);
    if (!rc)
        rc = apart_erase(x, d);
    if (!rc)
        rc = records_erase(x, d);
    return rc ? rc : cstore_erased_put(x->k->st, x->root, x->now, by->name, reason, d);
}

static enum err erase_one(struct desk *k, const struct centre *c, const struct work_by *by,
                          struct row_id root, struct str about, struct str reason, struct erased_result *out,
                          struct diag *d)
{
    struct erasing x = {.k = k, .c = c, .root = root, .names = {.st = k->st}};
    x.now = k->seam->wall_ms(k->seam->self);
    arena_init(&x.a, 512u << 20);
    enum err rc = cstore_begin(k->st, d);
    if (!rc)
        rc = erase(&x, by, reason, d);
    if (!rc)
        rc = cstore_audit(k->st, x.now, by->name, STR("erased"), about, d);
    if (!rc)
        rc = cstore_commit(k->st, d);
    cstore_rollback(k->st);
    arena_free(&x.a);
    if (!rc)
        *out = x.n;
    return rc == ERR_NOMEM ? diag_set(d, rc, "Out of memory while erasing.") : rc;
}

enum err household_erase(struct desk *k, const struct centre *c, const struct work_by *by, struct str code,
                         struct str reason, struct erased_result *out, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    if (by->role != ROLE_COUNTY && by->role != ROLE_ADMIN)
        return diag_set(d, ERR_DENIED, "Only the county erases; your role is %s.", role_name(by->role));
    if (str_trim(reason).n == 0 || reason.n > CSTORE_TEXT_MAX)
        return diag_set(d, ERR_USAGE, "Say why, in at most %d bytes.", CSTORE_TEXT_MAX);
    enum err rc = cstore_records_coded(k->st, k->a, ROW_HOUSEHOLD, code, &rows, &count, d);
    if (!rc && count == 0)
        rc = diag_set(d, ERR_NOT_FOUND, "No household has the code %.*s.", STR_ARG(code));
    struct buf about;
    buf_init(&about, 64);
    if (!rc) /* the log of acts must not tell what was to be forgotten */
        buf_printf(&about, "household number %llu", (unsigned long long)rows[0].number);
    if (!rc)
        rc = erase_one(k, c, by, rows[0].row, buf_str(&about), reason, out, d);
    buf_free(&about);
    return rc;
}

/* ---- retention ---- */

static enum err closed_long_ago(struct desk *k, const struct record_row *row, int64_t before_ms, bool *out,
                                struct diag *d)
{
    struct record r;
    enum err rc = record_unpack(k->a, row->row, row->packed, &r, d);
    const struct record_cell *status = rc ? NULL : record_cell(&r, HOUSEHOLD_STATUS);
    *out = status && status->count && str_eq_z(record_value(&r, HOUSEHOLD_STATUS), "closed") &&
           status->versions[0].hlc >> 16 < before_ms;
    return rc;
}

enum err erase_closed(struct desk *k, const struct centre *c, const struct work_by *by, uint32_t days,
                      uint64_t *count_out, struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0, done = 0;
    int64_t before = k->seam->wall_ms(k->seam->self) - (int64_t)days * DAY_MS;
    enum err rc = ERR_OK;
    do {
        struct arena_mark mark = arena_mark(k->a);
        rc = cstore_records(k->st, k->a, RECORDS_OF_KIND, (struct row_id){0}, ROW_HOUSEHOLD, after, PAGE,
                            &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            bool old = false;
            struct erased_result one = {0};
            after = rows[i].number;
            rc = closed_long_ago(k, &rows[i], before, &old, d);
            if (!rc && old)
                rc = erase_one(k, c, by, rows[i].row, STR("closed household, retention"), STR("retention"),
                               &one, d);
            done += !rc && old;
        }
        arena_release(k->a, mark);
    } while (!rc && count == PAGE);
    *count_out = done;
    return rc;
}
