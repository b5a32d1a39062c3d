/* doorstep courier: give to a memory card, take from it, show what lies on it.
 */
#include "agent/cli.h"
#include "agent/courier_impl.h"
#include "agent/courier_local.h"
#include "agent/courier_radio.h"
#include "agent/term.h"
#include "sync/render.h"

#include <stdio.h>

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

/* ---- what became of it ---- */

static void result_json(const char *verb, const struct courier_result *r, enum err rc)
{
    const struct sync_totals *t = &r->received.totals;
    struct buf trouble;
    buf_init(&trouble, 8192);
    buf_put_json(&trouble, str_of(r->trouble));
    printf(
        "{\"did\":\"%s\",\"result\":\"%s\",\"bundles\":%llu,\"bundles_damaged\":%llu,\"bytes_damaged\":%llu,"
        "\"frames_missing\":%llu,\"frames_receipted\":%llu,\"frames_quarantined\":%llu,"
        "\"changes_received\":%llu,\"objects_received\":%llu,\"objects_missing\":%llu,"
        "\"frames_carried\":%llu,\"devices_carried\":%llu,\"frames_let_go\":%llu,\"pieces_left\":%llu,"
        "\"pieces_false\":%llu,\"frames_own\":%llu,\"frames_left\":%llu,\"bytes\":%llu,"
        "\"bundles_removed\":%llu,\"frames_sent\":%llu,\"trouble\":%s}\n",
        verb, err_action(rc)->name, (unsigned long long)r->bundles, (unsigned long long)r->bundles_damaged,
        (unsigned long long)r->bytes_damaged, (unsigned long long)r->frames_missing,
        (unsigned long long)t->frames_receipted, (unsigned long long)t->frames_quarantined,
        (unsigned long long)t->changes_received, (unsigned long long)t->objects_received,
        (unsigned long long)r->objects_missing, (unsigned long long)r->frames_carried,
        (unsigned long long)r->devices_carried, (unsigned long long)r->frames_let_go,
        (unsigned long long)r->pieces_left, (unsigned long long)r->pieces_false,
        (unsigned long long)r->frames_own, (unsigned long long)r->frames_left, (unsigned long long)r->bytes,
        (unsigned long long)r->bundles_removed, (unsigned long long)r->frames_sent, buf_str(&trouble).p);
    buf_free(&trouble);
}

static void damage_text(const struct courier_result *r, bool zh)
{
    if (r->bundles_damaged == 0)
        return;
    printf(zh ? "%llu 个捎带包不完整（%llu 字节损坏，缺 %llu 批）；完好的部分已读出，原件都在原机器上\n"
              : "%llu bundles are not whole (%llu bytes damaged, %llu frames missing); what is whole was "
                "read, and the originals are where they were made\n",
           (unsigned long long)r->bundles_damaged, (unsigned long long)r->bytes_damaged,
           (unsigned long long)r->frames_missing);
}

static void take_text(const struct courier_result *r, bool zh)
{
    const struct sync_totals *t = &r->received.totals;
    printf(zh ? "本机：签收 %llu 批，收到 %llu 处改动、%llu 个文件\n"
              : "for this device: receipts for %llu frames, %llu changes, %llu objects\n",
           (unsigned long long)t->frames_receipted, (unsigned long long)t->changes_received,
           (unsigned long long)t->objects_received);
    printf(zh ? "替别人捎：%llu 台机器，%llu 批；县里已有、不再捎 %llu 批\n"
              : "carried for others: %llu devices, %llu frames; the centre has %llu, which are let go\n",
           (unsigned long long)r->devices_carried, (unsigned long long)r->frames_carried,
           (unsigned long long)r->frames_let_go);
    if (r->objects_missing > 0)
        printf(zh ? "还缺 %llu 个文件，卡上没有\n"
                  : "%llu objects are still missing; the card does not have them\n",
               (unsigned long long)r->objects_missing);
    if (r->pieces_left > 0)
        printf(zh ? "捎带已满，%llu 件没有拿\n" : "%llu pieces were left: no more can be carried\n",
               (unsigned long long)r->pieces_left);
    if (r->pieces_false > 0)
        printf(zh ? "%llu 件没有本县签名，没有拿\n"
                  : "%llu pieces are not signed by this county's devices and were left\n",
               (unsigned long long)r->pieces_false);
    if (r->trouble[0])
        printf(zh ? "有一部分用不上：%s\n" : "a part could not be used: %s\n", r->trouble);
    damage_text(r, zh);
}

static void radio_text(const struct courier_result *r, bool zh)
{
    printf(zh ? "替别人发出 %llu 批；县里已有、不再捎 %llu 批；还捎着 %llu 台机器的东西\n"
              : "%llu frames of others were sent; the centre has %llu, which are let go; something of %llu "
                "devices is carried now\n",
           (unsigned long long)r->frames_sent, (unsigned long long)r->frames_let_go,
           (unsigned long long)r->devices_carried);
}

static void give_text(const struct courier_result *r, bool zh)
{
    printf(zh ? "装上 %llu 批（本机），%llu 批（替别人捎），共 %llu 字节；本机留着原件，等县里签收才清\n"
              : "%llu own frames and %llu carried ones, %llu bytes; the originals stay here until the centre "
                "signs for them\n",
           (unsigned long long)r->frames_own, (unsigned long long)r->frames_carried,
           (unsigned long long)r->bytes);
    if (r->frames_left + r->pieces_left > 0)
        printf(zh ? "因字节限额，%llu 批没有装上\n" : "%llu frames were left for the limit of bytes\n",
               (unsigned long long)r->frames_left + (unsigned long long)r->pieces_left);
    if (r->bundles_removed > 0)
        printf(zh ? "县里已签收，清掉卡上旧包 %llu 个\n"
                  : "%llu bundles whose frames the centre has were removed\n",
               (unsigned long long)r->bundles_removed);
    damage_text(r, zh);
}

enum verb { TAKE, GIVE, SHOW, SERVE, VERBS };
static const char *const verb_names[VERBS] = {"take", "give", "show", "serve"};

struct asked {
    enum verb verb;
    const char *place; /* NULL = none */
    const char *from;  /* another handheld's address, or NULL */
    const char *listen, *data;
    uint64_t bytes_max;
    bool json, zh, each;
};

/* ---- show ---- */

struct shown {
    uint64_t device;
    uint32_t inc;
    uint64_t frames, parts, wishes, bytes, first, last; /* up */
    uint64_t receipts, downs, down_bytes;               /* for it */
    bool certified, done, us;
    uint64_t has; /* contiguous, when the centre said so */
    uint64_t readable;
};

struct show {
    struct arena *a;
    struct buf frames; /* each frame as people read it, when that is wanted */
    bool each, json;
    struct look look;
    struct courier_result result;
    VEC(struct shown) devices;
    struct met met; /* what stands in two bundles is shown once */
    uint64_t objects, object_bytes;
};

static struct shown *shown_device(struct show *s, const struct piece *p)
{
    for (uint32_t i = 0; i < s->devices.count; i++)
        if (s->devices.at[i].device == p->device && s->devices.at[i].inc == p->inc)
            return &s->devices.at[i];
    struct shown *x = vec_push(s->a, &s->devices);
    if (x) {
        x->device = p->device;
        x->inc = p->inc;
        x->us = look_is_us(&s->look, p);
    }
    return x;
}

/* Whether our key opens it; then what is in it can be shown. */
static bool opens(struct show *s, const struct frame *f)
{
    struct buf plain;
    buf_init(&plain, f->raw_size);
    bool good = frame_open(f, &s->look.us->seal, &plain, NULL) == ERR_OK;
    const struct str opened = buf_str(&plain);
    if (s->each &&
        frame_render(f, good ? &opened : NULL, NULL, s->json ? RENDER_JSON : RENDER_TEXT, &s->frames))
        s->frames.failed = ERR_LIMIT;
    if (plain.p)
        crypto_wipe(plain.p, plain.room);
    buf_free(&plain);
    return good;
}

static void show_frame(struct show *s, struct shown *x, const struct piece *p)
{
    const struct frame *f = &p->frame;
    bool readable = opens(s, f);
    if (f->device == 0) {
        x->receipts += f->type == FRAME_RECEIPT;
        x->downs += f->type == FRAME_DOWN;
        x->down_bytes += p->bytes.n;
        x->readable += readable;
        return;
    }
    x->bytes += p->bytes.n;
    x->wishes += f->type == FRAME_MANIFEST;
    x->parts += f->type == FRAME_OBJECT;
    if (f->type != FRAME_UP)
        return;
    x->first = x->frames == 0 || f->batch_seq < x->first ? f->batch_seq : x->first;
    x->last = f->batch_seq > x->last ? f->batch_seq : x->last;
    x->frames++;
}

static enum err show_piece(struct show *s, const struct piece *p)
{
    if ((p->kind == PIECE_OBJECT || p->kind == PIECE_FRAME) && met_add(&s->met, p->check) > 0)
        return ERR_OK;
    if (p->kind == PIECE_OBJECT) {
        s->objects += p->offset == 0;
        s->object_bytes += p->bytes.n;
    }
    if (p->kind != PIECE_CERTIFICATE && p->kind != PIECE_FRAME && p->kind != PIECE_DONE)
        return ERR_OK;
    struct shown *x = shown_device(s, p);
    if (!x)
        return ERR_NOMEM;
    const struct known_device *k = look_device(&s->look, p->device, p->inc);
    x->certified = k && k->certified;
    x->done = k && k->has_done;
    x->has = k ? k->done.contiguous : 0;
    if (p->kind == PIECE_FRAME)
        show_frame(s, x, p);
    return ERR_OK;
}

static enum err show_read(struct show *s, struct diag *d)
{
    enum err rc = met_init(&s->met, &s->look.arena, d);
    if (!rc)
        rc = look_through(&s->look, d);
    for (uint32_t i = 0; !rc && i < s->look.path_count; i++) {
        struct open_bundle b;
        struct piece p;
        bool any = true;
        rc = bundle_open(&b, s->look.paths[i].p, d);
        while (!rc && !(rc = bundle_read(&b.reader, &p, &any, d)) && any)
            rc = show_piece(s, &p);
        bundle_close(&b);
    }
    return rc;
}

static void put_frame_list(struct str lines)
{
    struct str one;
    bool first = true;
    printf(",\"list\":[");
    while (str_split(&lines, '\n', &one)) {
        if (one.n == 0)
            continue;
        printf("%s%.*s", first ? "" : ",", STR_ARG(one));
        first = false;
    }
    printf("]");
}

static void show_json(const struct show *s)
{
    printf("{\"bundles\":%llu,\"whole\":%s,\"bytes_damaged\":%llu,\"frames_missing\":%llu,\"objects\":%llu,"
           "\"object_bytes\":%llu,\"devices\":[",
           (unsigned long long)s->result.bundles, s->result.bundles_damaged ? "false" : "true",
           (unsigned long long)s->result.bytes_damaged, (unsigned long long)s->result.frames_missing,
           (unsigned long long)s->objects, (unsigned long long)s->object_bytes);
    for (uint32_t i = 0; i < s->devices.count; i++) {
        const struct shown *x = &s->devices.at[i];
        printf("%s{\"device\":\"%016llx\",\"incarnation\":%u,\"own\":%s,\"certified\":%s,\"frames\":%llu,"
               "\"first\":%llu,\"last\":%llu,\"parts\":%llu,\"wishes\":%llu,\"bytes\":%llu,"
               "\"receipts\":%llu,\"downs\":%llu,\"down_bytes\":%llu,\"readable\":%llu,\"centre_has\":",
               i ? "," : "", (unsigned long long)x->device, x->inc, x->us ? "true" : "false",
               x->certified ? "true" : "false", (unsigned long long)x->frames, (unsigned long long)x->first,
               (unsigned long long)x->last, (unsigned long long)x->parts, (unsigned long long)x->wishes,
               (unsigned long long)x->bytes, (unsigned long long)x->receipts, (unsigned long long)x->downs,
               (unsigned long long)x->down_bytes, (unsigned long long)x->readable);
        if (x->done)
            printf("%llu}", (unsigned long long)x->has);
        else
            printf("null}");
    }
    printf("]");
    if (s->each)
        put_frame_list(buf_str(&s->frames));
    printf("}\n");
}

static void show_text(const struct show *s, bool zh)
{
    for (uint32_t i = 0; i < s->devices.count; i++) {
        const struct shown *x = &s->devices.at[i];
        printf(zh ? "设备 %016llx-%u%s%s\n" : "device %016llx-%u%s%s\n", (unsigned long long)x->device,
               x->inc, x->us ? (zh ? "（本机）" : " (this one)") : "",
               x->certified ? "" : (zh ? "，没有本县证书" : ", no certificate of this county"));
        if (x->frames + x->parts > 0)
            printf(
                zh ? "  发往县里：%llu 批（%llu 到 %llu）、%llu 块附件，%llu 字节\n"
                   : "  to the centre: %llu frames (%llu to %llu), %llu parts of attachments, %llu bytes\n",
                (unsigned long long)x->frames, (unsigned long long)x->first, (unsigned long long)x->last,
                (unsigned long long)x->parts, (unsigned long long)x->bytes);
        if (x->receipts + x->downs > 0)
            printf(
                zh ? "  来自县里：签收单 %llu，下发 %llu，%llu 字节；本机可读 %llu\n"
                   : "  from the centre: %llu receipts, %llu downlinks, %llu bytes; %llu can be read here\n",
                (unsigned long long)x->receipts, (unsigned long long)x->downs,
                (unsigned long long)x->down_bytes, (unsigned long long)x->readable);
        if (x->done)
            printf(zh ? "  县里已有到第 %llu 批\n" : "  the centre has all up to frame %llu\n",
                   (unsigned long long)x->has);
    }
    if (s->objects > 0)
        printf(zh ? "公开文件 %llu 个，%llu 字节\n" : "%llu public objects, %llu bytes\n",
               (unsigned long long)s->objects, (unsigned long long)s->object_bytes);
    fwrite(s->frames.p ? s->frames.p : "", 1, s->frames.n, stdout);
    if (s->devices.count == 0 && s->objects == 0)
        puts(zh ? "空的" : "empty");
    damage_text(&s->result, zh);
}

static enum err show(struct store *st, struct arena *a, const struct asked *q, struct diag *d)
{
    struct show s = {.a = a, .each = q->each, .json = q->json};
    buf_init(&s.frames, 64u << 20);
    enum err rc = look_open(&s.look, store_identity(st), &s.result, d);
    if (!rc)
        rc = stream_list(&s.look.arena, q->place, COURIER_SUFFIX, COURIER_FILES_MAX, &s.look.paths,
                         &s.look.path_count, d);
    if (!rc)
        rc = show_read(&s, d);
    if (!rc && s.frames.failed)
        rc = diag_set(d, ERR_LIMIT, "there are too many frames to show each of them");
    if (!rc && q->json)
        show_json(&s);
    else if (!rc)
        show_text(&s, q->zh);
    buf_free(&s.frames);
    look_free(&s.look);
    return rc;
}

/* ---- the command ---- */

static void serving_ready(void *self, uint16_t port, const struct courier_result *packed)
{
    const struct asked *q = self;
    if (q->json)
        printf("{\"port\":%u,\"frames_own\":%llu,\"frames_carried\":%llu,\"bytes\":%llu}\n", port,
               (unsigned long long)packed->frames_own, (unsigned long long)packed->frames_carried,
               (unsigned long long)packed->bytes);
    else
        printf(q->zh ? "端口 %u：另一台机器可以来取 %llu 批。按 Ctrl-C 结束。\n"
                     : "port %u: another handheld can fetch %llu frames. Ctrl-C ends it.\n",
               port, (unsigned long long)packed->frames_own + (unsigned long long)packed->frames_carried);
    (void)fflush(stdout);
}

/* "127.0.0.1:9000", "[::1]:9000". */
static enum err serve(struct store *s, const struct seam *seam, struct arena *a, const struct asked *q,
                      const struct courier_options *o, struct diag *d)
{
    struct asked mine = *q;
    struct courier_serve how = {.self = &mine, .ready = serving_ready};
    struct str text = str_of(q->listen ? q->listen : "");
    size_t colon = text.n;
    uint64_t port = 0;
    while (colon > 0 && text.p[colon - 1] != ':')
        colon--;
    if (colon < 2 || !str_to_u64(str_sub(text, colon, text.n), &port) || port > 65535)
        return diag_set(d, ERR_USAGE, "courier serve needs --listen ADDRESS:PORT, such as 127.0.0.1:9000");
    struct str address = str_sub(text, 0, colon - 1);
    if (str_starts(address, STR("[")) && str_ends(address, STR("]")))
        address = str_sub(address, 1, address.n - 2);
    how.address = arena_z(a, address);
    how.port = (uint16_t)port;
    return how.address ? courier_serve(s, seam, o, &how, d) : ERR_NOMEM;
}

static enum err carry_out(struct store *s, const struct seam *seam, struct arena *a, const struct asked *q,
                          struct diag *d)
{
    const struct courier_options o = {.data = q->data, .bytes_max = q->bytes_max};
    struct courier_result result = {0};
    if (q->verb == SHOW)
        return show(s, a, q, d);
    if (q->verb == SERVE)
        return serve(s, seam, a, q, &o, d);
    bool radio = q->verb == GIVE && !q->place;
    enum err rc = radio                        ? courier_radio(s, seam, &o, &result, d)
                  : q->verb == TAKE && q->from ? courier_take_from(s, seam, q->from, &o, &result, d)
                  : q->verb == TAKE            ? courier_take(s, seam, q->place, &o, &result, d)
                                               : courier_give(s, seam, q->place, &o, &result, d);
    if (q->json)
        result_json(verb_names[q->verb], &result, rc);
    else if (radio)
        radio_text(&result, q->zh);
    else if (!rc && q->verb == TAKE)
        take_text(&result, q->zh);
    else if (!rc)
        give_text(&result, q->zh);
    return rc;
}

static bool verb_of(const char *name, enum verb *out)
{
    for (int i = 0; i < VERBS; i++)
        if (strcmp(name, verb_names[i]) == 0) {
            *out = (enum verb)i;
            return true;
        }
    return false;
}

static int run_courier(int argc, char **argv, struct seam *seam)
{
    const char *data = NULL, *json = NULL, *lang = NULL, *bytes = NULL, *frames = NULL;
    const char *args[2] = {NULL, NULL};
    struct asked q = {0};
    const struct cli_option options[] = {
        {"--frames", NULL, "with show: each frame, and what is in it when it can be read here", &frames},
        {"--from", "ADDRESS", "with take: another handheld that serves, such as 10.0.0.7:9000", &q.from},
        {"--listen", "ADDR:PORT", "with serve: where to answer another handheld; port 0 = any", &q.listen},
        {"--max-bytes", "N", "give at most so many bytes; carry at most so many", &bytes},
        {"--json", NULL, "what was done, or what is there, as JSON", &json},
        {"--lang", "zh|en", "language of the messages", &lang},
        {"--data", "DIR", "where this device keeps its data", &data},
    };
    int n;
    struct arena a;
    struct store *s = NULL;
    const struct zone *zone;
    struct diag d = {0};

    int code = cli_parse(&command_courier, options, COUNT(options), argc, argv, args, 1, 2, &n);
    if (code >= 0)
        return code;
    bool known = verb_of(args[0], &q.verb) && (!bytes || str_to_u64(str_of(bytes), &q.bytes_max));
    int places = (args[1] != NULL) + (q.from != NULL) + (q.listen != NULL);
    bool placed = places == (q.verb != GIVE || args[1]) && (!q.from || q.verb == TAKE) &&
                  (q.verb == SERVE) == (q.listen != NULL);
    if (!known || !placed) {
        diag_set(&d, ERR_USAGE,
                 "say: courier take|give|show FOLDER, courier give (by radio, what is carried for others), "
                 "courier "
                 "take --from ADDRESS, or courier serve --listen ADDRESS:PORT");
        return cli_fail("courier", ERR_USAGE, &d);
    }
    q.place = args[1];
    q.json = json != NULL;
    q.each = frames != NULL;
    q.zh = cli_chinese(lang);
    arena_init(&a, 64u << 20);
    code = cli_store_open("courier", &a, data, NULL, seam, &zone, &s);
    if (code < 0) {
        enum err rc = cli_data_dir(&a, data, &q.data, &d);
        if (!rc)
            rc = carry_out(s, seam, &a, &q, &d);
        (void)fflush(stdout);
        code = rc ? cli_fail("courier", rc, &d) : 0;
    }
    store_close(s);
    arena_free(&a);
    return code;
}

const struct cli_command command_courier = {
    .name = "courier",
    .arguments = "take|give|show DIR | give | take --from ADDRESS | serve --listen ADDR:PORT",
    .summary = "deliver without a network: by memory card, and for others",
    .example = "doorstep courier give /media/card",
    .run = run_courier,
};
