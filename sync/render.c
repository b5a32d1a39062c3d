/* Both formats come from one walk: a member has a name and a value, an object begins and ends; what differs
 * is only how that is put on paper. */
#include "sync/render.h"

#include "platform/base/civil.h"
#include "sync/wire.h"

#define RENDER_MEMORY_MAX (64u << 20)
#define NUMBERED_DEVICE UINT64_MAX /* stands for "known by number only" */

struct render {
    struct buf *out;
    bool json;
    bool first;     /* nothing stands yet in the object that is open */
    unsigned depth; /* of objects */
};

static void begin_member(struct render *r, const char *name)
{
    if (r->json) {
        if (!r->first)
            buf_put_char(r->out, ',');
        buf_put_json(r->out, str_of(name));
        buf_put_char(r->out, ':');
    } else {
        for (unsigned i = 1; i < r->depth; i++)
            buf_put_z(r->out, "  ");
        buf_put_z(r->out, name);
        buf_put_z(r->out, ": ");
    }
    r->first = false;
}

static void end_member(struct render *r)
{
    if (!r->json)
        buf_put_char(r->out, '\n');
}

static void member_u64(struct render *r, const char *name, uint64_t v)
{
    begin_member(r, name);
    buf_put_u64(r->out, v);
    end_member(r);
}

static void member_i64(struct render *r, const char *name, int64_t v)
{
    begin_member(r, name);
    buf_put_i64(r->out, v);
    end_member(r);
}

static void member_text(struct render *r, const char *name, struct str v)
{
    begin_member(r, name);
    buf_put_json(r->out, v); /* quoted in both: a line end in a value is no line end here */
    end_member(r);
}

static void member_hex(struct render *r, const char *name, const void *bytes, size_t n)
{
    begin_member(r, name);
    buf_put_char(r->out, '"');
    buf_put_hex(r->out, bytes, n);
    buf_put_char(r->out, '"');
    end_member(r);
}

static void member_device(struct render *r, const char *name, uint64_t device)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(device >> (56 - 8 * i));
    if (device)
        member_hex(r, name, bytes, sizeof(bytes));
    else
        member_text(r, name, STR("centre"));
}

static void member_time(struct render *r, const char *name, int64_t ms)
{
    char text[40];
    struct civil c = civil_at(ms, zone_utc());
    member_text(r, name, (struct str){text, civil_write(&c, text)});
}

static void begin_object(struct render *r, const char *name)
{
    if (name)
        begin_member(r, name);
    else if (r->json && !r->first)
        buf_put_char(r->out, ',');
    if (r->json)
        buf_put_char(r->out, '{');
    else if (name)
        buf_put_char(r->out, '\n');
    r->first = true;
    r->depth++;
}

static void end_object(struct render *r)
{
    if (r->json)
        buf_put_char(r->out, '}');
    r->first = false;
    r->depth--;
}

/* --- names
 * -------------------------------------------------------------------------------------------------- */

static const char *const type_names[] = {"", "changes up", "changes down", "object", "receipt", "manifest"};
static const char *const suite_names[] = {"signed only", "X25519 ChaCha20-Poly1305", "X25519 AES-128-GCM"};
static const char *const op_names[] = {"set", "clear", "delete row", "create row", "resolve", "finalise"};
static const char *const status_names[] = {"", "", "don't know", "refused", "partial", "not asked"};
static const char *const kind_names[] = {"",          "household", "interview",  "repeat",
                                         "visit",     "finding",   "assignment", "department",
                                         "published", "comment",   "lead",       "entity"};

#define NAME(table, i) ((size_t)(i) < sizeof(table) / sizeof((table)[0]) ? (table)[i] : "?")

static void member_row(struct render *r, const char *name, struct row_id id)
{
    begin_member(r, name);
    if (id.device == NUMBERED_DEVICE)
        buf_printf(r->out, "\"number %llu\"", (unsigned long long)id.inc << 32 | id.counter);
    else if (!id.device)
        buf_printf(r->out, "\"centre/%lu/%lu\"", (unsigned long)id.inc, (unsigned long)id.counter);
    else
        buf_printf(r->out, "\"%016llx/%lu/%lu\"", (unsigned long long)id.device, (unsigned long)id.inc,
                   (unsigned long)id.counter);
    end_member(r);
}

/* --- head
 * --------------------------------------------------------------------------------------------------- */

static void render_head(struct render *r, const struct frame *f)
{
    member_text(r, "frame", str_of(NAME(type_names, f->type)));
    member_hex(r, "batch_id", f->batch_id, sizeof(f->batch_id));
    member_device(r, "author", f->device);
    member_u64(r, f->device ? "incarnation" : "epoch", f->inc);
    member_u64(r, f->device ? "batch" : "server_seq", f->batch_seq);
    member_hex(r, "previous", f->prev, sizeof(f->prev));
    member_text(r, "seal", str_of(NAME(suite_names, f->suite)));
    member_hex(r, "for_key", f->key_id, sizeof(f->key_id));
    member_u64(r, "schema", f->schema);
    member_text(r, "packing",
                !(f->flags & FRAME_ZSTD) ? STR("none")
                : f->dict                ? STR("zstd, dictionary")
                                         : STR("zstd"));
    if (f->dict)
        member_u64(r, "dictionary", f->dict);
    member_u64(r, "payload_bytes", f->raw_size);
    member_u64(r, "frame_bytes", f->bytes.n);
}

/* --- payloads
 * ----------------------------------------------------------------------------------------------- */

static bool is_text(struct str v)
{
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] < ' ' && v.p[i] != '\n' && v.p[i] != '\t')
            return false;
    return utf8_valid(v);
}

static void render_value(struct render *r, struct str v)
{
    struct str shown = str_sub(v, 0, RENDER_VALUE_MAX);
    if (is_text(v)) {
        while (shown.n < v.n && shown.n && !utf8_valid(shown))
            shown.n--;
        member_text(r, "value", shown);
    } else {
        member_hex(r, "value_hex", shown.p, shown.n);
    }
    if (shown.n < v.n)
        member_u64(r, "value_bytes", v.n);
}

static void render_birth(struct render *r, struct str value)
{
    struct row_birth b;
    if (!row_birth_read(value, &b)) {
        render_value(r, value);
        return;
    }
    member_text(r, "kind", str_of(NAME(kind_names, b.kind)));
    if (!row_id_same(b.parent, (struct row_id){0}))
        member_row(r, "parent", b.parent);
    if (b.number)
        member_u64(r, "repeat", b.number);
    if (b.order)
        member_i64(r, "order", b.order);
    if (b.kind == ROW_INTERVIEW)
        member_hex(r, "form", b.object, sizeof(b.object));
}

static void render_change(struct render *r, const struct change *c, const struct down_author *by)
{
    begin_object(r, r->json ? NULL : "change");
    member_u64(r, "seq", c->seq);
    if (by) {
        member_device(r, "by", by->device);
        member_u64(r, "by_incarnation", by->inc);
        member_u64(r, "server_seq", by->server_seq);
        if (by->row_number)
            member_u64(r, "row_number", by->row_number);
    }
    member_row(r, "row", c->row);
    if (c->field)
        member_u64(r, "field", c->field);
    member_text(r, "does", str_of(NAME(op_names, c->op)));
    if (c->op == CHANGE_ROW_CREATE)
        render_birth(r, c->value);
    else if (c->value.n || c->op == CHANGE_SET || c->op == CHANGE_RESOLVE)
        render_value(r, c->value);
    if (c->status > 1)
        member_text(r, "status", str_of(NAME(status_names, c->status)));
    member_u64(r, "person", c->person);
    member_u64(r, "role", c->role);
    member_time(r, "clock", (by ? by->hlc : c->hlc) >> 16);
    member_u64(r, "clock_count", (uint64_t)(by ? by->hlc : c->hlc) & 0xffff);
    member_u64(r, "seen", c->seen);
    end_object(r);
}

static void render_changes(struct render *r, const struct change *changes, const struct down_author *authors,
                           uint32_t count)
{
    member_u64(r, "count", count);
    if (r->json) {
        begin_member(r, "changes");
        buf_put_char(r->out, '[');
        r->first = true;
    }
    for (uint32_t i = 0; i < count; i++)
        render_change(r, &changes[i], authors ? &authors[i] : NULL);
    if (r->json)
        buf_put_char(r->out, ']');
    r->first = false;
}

static void render_batch_head(struct render *r, const struct batch_head *h, bool down)
{
    member_u64(r, "epoch", h->epoch);
    member_time(r, "now", h->now_ms);
    if (down) {
        member_u64(r, "cursor_from", h->cursor_from);
        member_u64(r, "cursor", h->cursor);
        member_u64(r, "agreed", h->agreed);
        member_text(r, "caught_up", h->caught_up ? STR("yes") : STR("no"));
        return;
    }
    if (h->anchor_ms)
        member_time(r, "centre_heard", h->anchor_ms);
    if (h->elapsed_ms >= 0)
        member_i64(r, "seconds_since", h->elapsed_ms / 1000);
}

/* A row that is known by number only. */
static bool stand_in(void *self, uint64_t number, struct row_id *id_out)
{
    (void)self;
    *id_out = (struct row_id){NUMBERED_DEVICE, (uint32_t)(number >> 32), (uint32_t)number};
    return true;
}

static enum err render_up(struct render *r, struct arena *a, const struct frame *f, struct str payload,
                          const struct batch_rows *rows, struct diag *d)
{
    const struct batch_rows by_number = {.id_of = stand_in, .unchecked = true};
    struct batch_head head = {.device = f->device, .inc = f->inc};
    struct change *changes;
    uint32_t count;
    enum err rc = batch_read(a, payload, rows ? rows : &by_number, &head, &changes, &count, d);
    if (rc)
        return rc;
    render_batch_head(r, &head, false);
    render_changes(r, changes, NULL, count);
    return ERR_OK;
}

static enum err render_down(struct render *r, struct arena *a, const struct frame *f, struct str payload,
                            struct diag *d)
{
    struct batch_head head = {.device = f->device, .inc = f->inc};
    struct change *changes;
    struct down_author *authors;
    uint32_t count;
    enum err rc = down_read(a, payload, &head, &changes, &authors, &count, d);
    if (rc)
        return rc;
    render_batch_head(r, &head, true);
    render_changes(r, changes, authors, count);
    return ERR_OK;
}

static void render_item(struct render *r, const struct receipt_item *item)
{
    static const char *const names[] = {"", "stored", "stored, with conflicts", "set aside"};
    begin_object(r, r->json ? NULL : "batch");
    member_u64(r, "number", item->batch_seq);
    member_hex(r, "batch_id", item->batch_id, sizeof(item->batch_id));
    member_text(r, "status", str_of(NAME(names, item->status)));
    if (item->server_seq)
        member_u64(r, "server_seq", item->server_seq);
    if (item->status == RECEIPT_QUARANTINED)
        member_text(r, "reason", item->reason);
    end_object(r);
}

/* The token itself is never shown: it would open the centre to whoever reads over a shoulder. */
static enum err render_receipt(struct render *r, struct arena *a, struct str payload, struct diag *d)
{
    struct receipt receipt;
    enum err rc = receipt_read(a, payload, &receipt, d);
    if (rc)
        return rc;
    member_u64(r, "epoch", receipt.epoch);
    member_device(r, "for_device", receipt.device);
    member_u64(r, "incarnation", receipt.inc);
    member_u64(r, "all_stored_up_to", receipt.contiguous);
    member_u64(r, "cursor", receipt.cursor);
    member_time(r, "centre_time", receipt.server_time_ms);
    if (receipt.clock_off_ms)
        member_i64(r, "clock_off_seconds", receipt.clock_off_ms / 1000);
    if (receipt.token.n)
        member_time(r, "token_until", receipt.token_until_ms);
    if (receipt.refused)
        member_text(r, "refused", str_of(err_action(receipt.refused)->name));
    if (r->json) {
        begin_member(r, "batches");
        buf_put_char(r->out, '[');
        r->first = true;
    }
    for (uint32_t i = 0; i < receipt.item_count; i++)
        render_item(r, &receipt.items[i]);
    if (r->json)
        buf_put_char(r->out, ']');
    r->first = false;
    return ERR_OK;
}

static enum err render_payload(struct render *r, struct arena *a, const struct frame *f, struct str payload,
                               const struct batch_rows *rows, struct diag *d)
{
    switch (f->schema) {
    case BATCH_SCHEMA_CHANGES: return render_up(r, a, f, payload, rows, d);
    case BATCH_SCHEMA_DOWN: return render_down(r, a, f, payload, d);
    case BATCH_SCHEMA_RECEIPT: return render_receipt(r, a, payload, d);
    default: return diag_set(d, ERR_VERSION, "Payloads of schema %u are not shown.", (unsigned)f->schema);
    }
}

enum err frame_render(const struct frame *f, const struct str *opened, const struct batch_rows *rows,
                      enum render_format format, struct buf *out)
{
    struct render r = {.out = out, .json = format == RENDER_JSON, .first = true};
    struct arena a;
    struct diag d = {0};
    enum err rc = ERR_OK;
    begin_object(&r, NULL);
    render_head(&r, f);
    if (opened) {
        arena_init(&a, RENDER_MEMORY_MAX);
        begin_object(&r, "payload");
        rc = render_payload(&r, &a, f, *opened, rows, &d);
        if (rc && rc != ERR_NOMEM) {
            member_text(&r, "not_readable", str_of(d.text));
            rc = ERR_OK;
        }
        end_object(&r);
        arena_free(&a);
    }
    end_object(&r);
    if (r.json)
        buf_put_char(out, '\n');
    return rc ? rc : out->failed;
}
