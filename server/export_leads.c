/* The leads of a county as tables: leads.csv, and below them steps.csv and indicators.csv, with the photos of
 * both in media/. A photo is linked to the very step or indicator that names it. Read a page at a time.
 */
#include "platform/base/csv.h"
#include "server/leads.h"
#include "server/transport.h"

#define PAGE 256
#define LEADS_FILE 0
#define STEPS_FILE 1
#define INDICATORS_FILE 2
#define MEDIA_FILE 3
#define LINE_MAX_BYTES (1u << 20)

struct exporting_leads {
    struct desk *k;
    const struct export_sink *sink;
    struct export_result n;
};

static const char *const files[] = {"leads.csv", "steps.csv", "indicators.csv"};
static const char *const headers[] = {
    "lead,household,area,channel,source,opened,state,result,category,follow_up,evidence\n",
    "lead,household,step,at,person,note,result,category,follow_up,photo,visit\n",
    "lead,household,indicator,result,note,photo,position,at,person,visit\n"};

static enum err put_line(struct exporting_leads *x, uint32_t file, const struct str *cells, uint32_t count,
                         struct diag *d)
{
    struct buf b;
    buf_init(&b, LINE_MAX_BYTES);
    for (uint32_t i = 0; i < count; i++) {
        buf_put_z(&b, i ? "," : "");
        buf_put_csv(&b, cells[i].p ? cells[i] : STR(""));
    }
    buf_put_char(&b, '\n');
    enum err rc = b.failed ? diag_set(d, b.failed, "A line of the leads is too long.")
                           : x->sink->write(x->sink->self, file, buf_str(&b), d);
    x->n.bytes += b.n;
    x->n.rows += !rc;
    buf_free(&b);
    return rc;
}

static enum err photo_write(struct exporting_leads *x, const struct attachment_row *file, struct diag *d)
{
    struct str bytes;
    struct buf name;
    struct arena_mark mark = arena_mark(x->k->a);
    buf_init(&name, 512);
    buf_put_z(&name, "media/");
    for (size_t i = 0; i < file->name.n; i++) { /* a name of a handheld: letters, digits and one dot */
        char c = file->name.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '.' || c == '-' || c == '_';
        buf_put_char(&name, plain && !(i == 0 && c == '.') ? c : '_');
    }
    enum err rc = name.failed;
    if (!rc)
        rc = cstore_attachment_bytes(x->k->st, x->k->a, file->hash, &bytes, d);
    if (!rc)
        rc = x->sink->begin(x->sink->self, MEDIA_FILE, buf_str(&name), d);
    if (!rc)
        rc = x->sink->write(x->sink->self, MEDIA_FILE, bytes, d);
    if (!rc)
        rc = x->sink->end(x->sink->self, MEDIA_FILE, d);
    x->n.attachments += !rc;
    buf_free(&name);
    arena_release(x->k->a, mark);
    return rc;
}

static enum err photos_write(struct exporting_leads *x, struct row_id row, struct diag *d)
{
    struct attachment_row *list = NULL;
    uint32_t count = 0;
    enum err rc = cstore_attachments(x->k->st, x->k->a, row, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (list[i].whole) {
            rc = photo_write(x, &list[i], d);
            continue;
        }
        x->n.attachments_missing++;
        desk_line(x->k, "warning", "%.*s has not arrived whole yet", STR_ARG(list[i].name));
    }
    return rc;
}

static enum err child_write(struct exporting_leads *x, const struct str *lead, const struct record_row *row,
                            struct diag *d)
{
    struct record r;
    enum err rc = record_unpack(x->k->a, row->row, row->packed, &r, d);
    if (rc || record_deleted(&r))
        return rc;
    if (row->kind == ROW_STEP) {
        const struct str cells[] = {lead[0],
                                    lead[1],
                                    record_value(&r, STEP_CODE),
                                    record_value(&r, STEP_AT),
                                    record_value(&r, STEP_PERSON),
                                    record_value(&r, STEP_REMARK),
                                    record_value(&r, STEP_RESULT),
                                    record_value(&r, STEP_CATEGORY),
                                    record_value(&r, STEP_FOLLOW_UP),
                                    record_value(&r, STEP_PHOTO),
                                    record_value(&r, STEP_OF_VISIT)};
        rc = put_line(x, STEPS_FILE, cells, sizeof cells / sizeof *cells, d);
    } else if (row->kind == ROW_INDICATOR) {
        const struct str cells[] = {lead[0],
                                    lead[1],
                                    record_value(&r, INDICATOR_NAME),
                                    record_value(&r, INDICATOR_RESULT),
                                    record_value(&r, INDICATOR_NOTE),
                                    record_value(&r, INDICATOR_PHOTO),
                                    record_value(&r, INDICATOR_POSITION),
                                    record_value(&r, INDICATOR_AT),
                                    record_value(&r, INDICATOR_PERSON),
                                    record_value(&r, INDICATOR_OF_VISIT)};
        rc = put_line(x, INDICATORS_FILE, cells, sizeof cells / sizeof *cells, d);
    }
    return rc ? rc : photos_write(x, row->row, d);
}

static enum err children_write(struct exporting_leads *x, const struct str *lead, struct row_id row,
                               struct diag *d)
{
    struct record_row *rows = NULL;
    uint32_t count = 0;
    uint64_t after = 0;
    enum err rc = ERR_OK;
    do {
        rc = cstore_records(x->k->st, x->k->a, RECORDS_OF_PARENT, row, 0, after, PAGE, &rows, &count, d);
        for (uint32_t i = 0; !rc && i < count; i++) {
            after = rows[i].number;
            rc = child_write(x, lead, &rows[i], d);
        }
    } while (!rc && count == PAGE);
    return rc;
}

static enum err lead_write(void *self, const struct lead_record *l, struct diag *d)
{
    struct exporting_leads *x = self;
    struct record_row household;
    struct buf number;
    struct arena_mark mark = arena_mark(x->k->a);
    struct str code = STR("");
    buf_init(&number, 24);
    buf_put_u64(&number, l->number);
    if (cstore_record(x->k->st, x->k->a, l->household, &household, NULL) == ERR_OK && household.code.p)
        code = household.code;
    const struct str cells[] = {buf_str(&number),
                                code,
                                l->area,
                                str_of(lead_channel_name(l->times.channel)),
                                l->source,
                                l->opened,
                                str_of(lead_step_about(lead_times_state(&l->times))->code),
                                l->result,
                                l->category,
                                l->follow_up,
                                l->indicators};
    enum err rc = put_line(x, LEADS_FILE, cells, sizeof cells / sizeof *cells, d);
    if (!rc)
        rc = children_write(x, cells, l->row, d);
    buf_free(&number);
    arena_release(x->k->a, mark);
    return rc;
}

enum err export_leads(struct desk *k, const struct export_sink *sink, struct export_result *out,
                      struct diag *d)
{
    struct exporting_leads x = {.k = k, .sink = sink};
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < 3; i++) {
        rc = sink->begin(sink->self, i, str_of(files[i]), d);
        if (!rc)
            rc = sink->write(sink->self, i, str_of(headers[i]), d);
    }
    if (!rc)
        rc = leads_each(k, lead_write, &x, d);
    for (uint32_t i = 0; !rc && i < 3; i++)
        rc = sink->end(sink->self, i, d);
    x.n.files = 3;
    if (!rc)
        *out = x.n;
    return rc;
}
