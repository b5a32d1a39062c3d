/* The commands about this device: enrol, sync, status.
 */
#include "agent/attach.h"
#include "agent/cli.h"
#include "agent/deliver.h"
#include "agent/leads.h"
#include "agent/returned.h"
#include "agent/term.h"
#include "agent/watch.h"
#include "agent/work.h"

#include <stdio.h>
#include <unistd.h>

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))
#define CLOCK_OFF_TOLD_MS (24LL * 3600 * 1000)

/* A clock that is a day off makes wrong dates in interviews; the person can set it, we cannot. */
static void warn_clock(int64_t off_ms, bool zh, FILE *to)
{
    char how_much[40];
    if (off_ms > -CLOCK_OFF_TOLD_MS && off_ms < CLOCK_OFF_TOLD_MS)
        return;
    cli_duration(off_ms, zh, how_much);
    if (zh)
        fprintf(to, "注意：本机时钟比中心%s %s，访谈日期会出错。请在系统设置中校正时间。\n",
                off_ms > 0 ? "快" : "慢", how_much);
    else
        fprintf(to,
                "Careful: this device's clock is %s %s; dates of interviews will be wrong. Set it in the "
                "system's settings.\n",
                how_much, off_ms > 0 ? "ahead" : "behind");
}

static void put_field(const char *before, struct str value)
{
    fputs(before, stdout);
    term_put(stdout, value);
}

/* ---- enrol ---- */

static bool confirm_root(void *self, const char *fingerprint)
{
    const bool *zh = self;
    char line[16];
    if (!isatty(STDIN_FILENO))
        return false;
    fprintf(stderr,
            *zh ? "中心的指纹是\n\n  %s\n\n与县里纸上的一致吗？一致请输入 yes："
                : "The centre's fingerprint is\n\n  %s\n\nIs it the one on the county's sheet? Type yes: ",
            fingerprint);
    return fgets(line, sizeof line, stdin) && (strcmp(line, "yes\n") == 0 || strcmp(line, "y\n") == 0);
}

static void enrolled_text(const struct identity *id, bool zh)
{
    put_field(zh ? "已登记：" : "enrolled at ", id->by.county);
    put_field(zh ? "，" : " as ", id->by.person_name);
    printf(zh ? "，设备 %016llx" : ", device %016llx", (unsigned long long)id->by.device);
    put_field(zh ? "，范围 " : ", area ", id->by.area);
    fputc('\n', stdout);
    fprintf(stderr, zh ? "下一步：`doorstep sync` 取回表单、规则和农户名单。\n"
                       : "Next: `doorstep sync` fetches forms, rules and households.\n");
}

static void enrolled_json(const struct identity *id)
{
    struct buf b;
    buf_init(&b, 1u << 20);
    buf_put_z(&b, "{\"centre\":");
    buf_put_json(&b, id->url);
    buf_put_z(&b, ",\"county\":");
    buf_put_json(&b, id->by.county);
    buf_put_z(&b, ",\"person\":");
    buf_put_json(&b, id->by.person_name);
    buf_put_z(&b, ",\"area\":");
    buf_put_json(&b, id->by.area);
    buf_printf(&b, ",\"device\":\"%016llx\",\"incarnation\":%u}\n", (unsigned long long)id->by.device,
               id->by.inc);
    fwrite(b.p, 1, b.n, stdout);
    buf_free(&b);
}

static int run_enrol(int argc, char **argv, struct seam *seam)
{
    const char *data = NULL, *url = NULL, *root = NULL, *json = NULL, *lang = NULL, *ca = NULL, *args[1];
    const struct cli_option options[] = {
        {"--ca", "FILE", "the only authority the centre's HTTPS certificate may come from, PEM", &ca},
        {"--centre", "URL", "address of the centre, with a typed code", &url},
        {"--root", "FINGERPRINT", "the county root's fingerprint, to compare without asking", &root},
        {"--json", NULL, "who this device is now, as JSON", &json},
        {"--lang", "zh|en", "language of the messages", &lang},
        {"--data", "DIR", "where this device keeps its data", &data},
    };
    int n;
    struct arena a;
    struct store *s = NULL;
    const struct zone *zone;
    struct diag d = {0};

    int code = cli_parse(&command_enrol, options, COUNT(options), argc, argv, args, 1, 1, &n);
    if (code >= 0)
        return code;
    bool zh = cli_chinese(lang);
    arena_init(&a, WORK_MEMORY_MAX);
    code = cli_store_open("enrol", &a, data, NULL, seam, &zone, &s);
    if (code < 0) {
        const struct enrol_options o = {.code = args[0],
                                        .url = url,
                                        .root_print = root,
                                        .ca_file = ca,
                                        .self = &zh,
                                        .confirm = confirm_root};
        enum err rc = enrol(s, seam, &o, &d);
        code = rc ? cli_fail("enrol", rc, &d) : 0;
        if (!rc && json)
            enrolled_json(store_identity(s));
        else if (!rc)
            enrolled_text(store_identity(s), zh);
    }
    store_close(s);
    arena_free(&a);
    return code;
}

const struct cli_command command_enrol = {
    .name = "enrol",
    .arguments = "CODE [--centre URL] [--root FINGERPRINT]",
    .summary = "make this device known to a centre",
    .example = "doorstep enrol 7K2M-94QX-BT3N-5 --centre http://127.0.0.1:8080 --root \"7F3A 09C2 11D0 5E6B "
               "88A1 0C4D 92EF 3B57\"",
    .run = run_enrol,
};

/* ---- sync ---- */

static void progress_line(const struct deliver_progress *p, bool zh, char *line, size_t n)
{
    if (p->list.n > 0)
        snprintf(line, n, zh ? "正在导入清单 %.*s" : "importing the list %.*s", STR_ARG(p->list));
    else if (p->wait_ms > 0)
        snprintf(line, n,
                 zh ? "%s；%lld 秒后再试；待发 %llu 字节" : "%s; next try in %lld s; %llu bytes wait",
                 p->portal ? (zh ? "当前网络返回登录页，不是中心"
                                 : "the network shows a login page, not the centre")
                           : (zh ? "没有连上中心" : "no connection to the centre"),
                 (long long)((p->wait_ms + 999) / 1000),
                 (unsigned long long)p->bytes_waiting + (unsigned long long)p->file_bytes_waiting);
    else
        snprintf(line, n,
                 zh ? "已有回执 %llu 批、%llu 份附件；待发 %llu 字节、附件 %llu 字节；收到 %llu 处改动、%llu "
                      "个文件"
                    : "receipts for %llu frames and %llu parts of attachments; left %llu bytes and %llu of "
                      "attachments; received %llu changes, %llu objects",
                 (unsigned long long)p->totals.frames_receipted,
                 (unsigned long long)p->totals.parts_receipted, (unsigned long long)p->bytes_waiting,
                 (unsigned long long)p->file_bytes_waiting, (unsigned long long)p->totals.changes_received,
                 (unsigned long long)p->totals.objects_received);
}

static void show_progress(void *self, const struct deliver_progress *p)
{
    const bool zh = *(const bool *)self;
    char line[400];

    progress_line(p, zh, line, sizeof line);
    fputc('\r', stderr);
    term_put_columns(stderr, str_of(line), 120, true);
    fflush(stderr);
}

/* One line an event, beside the result on standard output. */
static void event_json(void *self, const struct deliver_progress *p)
{
    struct buf b;
    (void)self;
    buf_init(&b, 1u << 16);
    buf_printf(&b, "{\"event\":\"%s\"", p->list.n ? "importing" : p->wait_ms > 0 ? "waiting" : "progress");
    buf_printf(&b,
               ",\"frames_receipted\":%llu,\"parts_receipted\":%llu,\"frames_waiting\":%llu,"
               "\"bytes_waiting\":%llu,\"files_waiting\":%llu,\"file_bytes_waiting\":%llu,"
               "\"changes_received\":%llu,\"objects_received\":%llu,\"bytes_up\":%llu,\"bytes_down\":%llu",
               (unsigned long long)p->totals.frames_receipted, (unsigned long long)p->totals.parts_receipted,
               (unsigned long long)p->frames_waiting, (unsigned long long)p->bytes_waiting,
               (unsigned long long)p->files_waiting, (unsigned long long)p->file_bytes_waiting,
               (unsigned long long)p->totals.changes_received, (unsigned long long)p->totals.objects_received,
               (unsigned long long)p->totals.bytes_up, (unsigned long long)p->totals.bytes_down);
    if (p->wait_ms > 0) {
        buf_printf(&b, ",\"wait_ms\":%lld,\"login_page\":%s,\"why\":", (long long)p->wait_ms,
                   p->portal ? "true" : "false");
        buf_put_json(&b, str_of(p->why ? p->why : ""));
    }
    if (p->list.n) {
        buf_put_z(&b, ",\"list\":");
        buf_put_json(&b, p->list);
    }
    buf_put_z(&b, "}\n");
    fwrite(b.p, 1, b.n, stderr);
    fflush(stderr);
    buf_free(&b);
}

static void sync_json(const struct deliver_result *r, enum err rc)
{
    const struct sync_totals *t = &r->totals;
    printf("{\"result\":\"%s\",\"frames_sent\":%llu,\"frames_receipted\":%llu,\"frames_quarantined\":%llu,"
           "\"changes_received\":%llu,\"objects_received\":%llu,\"bytes_up\":%llu,\"bytes_down\":%llu,"
           "\"exchanges\":%llu,\"failures\":%llu,\"frames_waiting\":%llu,\"bytes_waiting\":%llu,"
           "\"parts_receipted\":%llu,\"files_waiting\":%llu,\"file_bytes_waiting\":%llu,"
           "\"objects_patched\":%llu,\"objects_put_off\":%llu,"
           "\"clock_off_s\":%lld,\"budget_used\":%s,\"login_page\":%s}\n",
           err_action(rc)->name, (unsigned long long)t->frames_sent, (unsigned long long)t->frames_receipted,
           (unsigned long long)t->frames_quarantined, (unsigned long long)t->changes_received,
           (unsigned long long)t->objects_received, (unsigned long long)t->bytes_up,
           (unsigned long long)t->bytes_down, (unsigned long long)t->exchanges,
           (unsigned long long)t->failures, (unsigned long long)r->frames_waiting,
           (unsigned long long)r->bytes_waiting, (unsigned long long)t->parts_receipted,
           (unsigned long long)r->files_waiting, (unsigned long long)r->file_bytes_waiting,
           (unsigned long long)t->objects_patched, (unsigned long long)t->objects_put_off,
           (long long)(r->clock_off_ms / 1000), r->budget_used ? "true" : "false",
           r->portal ? "true" : "false");
}

static void sync_text(const struct deliver_result *r, bool zh)
{
    const struct sync_totals *t = &r->totals;
    printf(zh ? "发出 %llu 批，已有回执 %llu 批，被中心搁置 %llu 批；收到 %llu 处改动、%llu 个文件；"
                "上行 %llu 字节，下行 %llu 字节，%llu 次交换，%llu 次失败\n"
              : "frames sent %llu, with receipt %llu, set aside by the centre %llu; received %llu changes, "
                "%llu objects; %llu bytes up, %llu bytes down, %llu exchanges, %llu failed\n",
           (unsigned long long)t->frames_sent, (unsigned long long)t->frames_receipted,
           (unsigned long long)t->frames_quarantined, (unsigned long long)t->changes_received,
           (unsigned long long)t->objects_received, (unsigned long long)t->bytes_up,
           (unsigned long long)t->bytes_down, (unsigned long long)t->exchanges,
           (unsigned long long)t->failures);
    if (r->frames_waiting > 0)
        printf(zh ? "还有 %llu 批（%llu 字节）保存在本机，下次同步再发\n"
                  : "%llu frames (%llu bytes) are kept here for the next sync\n",
               (unsigned long long)r->frames_waiting, (unsigned long long)r->bytes_waiting);
    if (r->files_waiting > 0)
        printf(zh ? "还有 %llu 个附件（%llu 字节）保存在本机，下次同步再发\n"
                  : "%llu attachments (%llu bytes) are kept here for the next sync\n",
               (unsigned long long)r->files_waiting, (unsigned long long)r->file_bytes_waiting);
    if (t->objects_put_off > 0)
        printf(zh ? "%llu 个较大的文件等到不计流量的网络再取\n"
                  : "%llu large objects wait for a link that is not metered\n",
               (unsigned long long)t->objects_put_off);
    if (r->budget_used)
        printf("%s\n", zh ? "本次流量限额已用完" : "the limit of bytes for this run is used up");
}

/* The two kinds of trouble that people meet every day are said in their language. */
static int sync_failed(enum err rc, const struct deliver_result *r, const struct diag *d, bool zh)
{
    const struct err_action *action = err_action(rc);
    if (!zh)
        return cli_fail("sync", rc, d);
    if (r->portal)
        fprintf(stderr, "doorstep sync: 当前网络返回的是登录页，不是中心：请先登录该网络，或换一个网络。\n");
    else if (rc == ERR_NET)
        fprintf(stderr, "doorstep sync: 连不上中心（%s）\n", d->text);
    else
        fprintf(stderr, "doorstep sync: %s\n", d->text);
    fprintf(stderr, "  %s\n", action->todo_zh);
    return action->exit_code;
}

static bool sync_limits(const char *bytes, const char *tries, struct deliver_options *o)
{
    uint64_t tries_max = 0;
    if (bytes && (!str_to_u64(str_of(bytes), &o->bytes_max) || o->bytes_max == 0))
        return false;
    if (tries && (!str_to_u64(str_of(tries), &tries_max) || tries_max == 0 || tries_max > 1000))
        return false;
    o->tries_max = (uint32_t)tries_max;
    return true;
}

/* ---- sync in the background ---- */

struct watching_tell {
    bool json, zh;
};

static void watch_told(void *self, bool link, const struct deliver_result *result, enum err rc,
                       const char *why)
{
    const struct watching_tell *t = self;
    if (!result && t->json)
        printf("{\"link\":%s}\n", link ? "true" : "false");
    else if (!result)
        puts(link ? (t->zh ? "有网络了" : "there is a network") : (t->zh ? "没有网络" : "no network"));
    else if (t->json)
        sync_json(result, rc);
    else if (rc)
        printf("%s\n", why);
    else
        sync_text(result, t->zh);
    (void)fflush(stdout);
}

static enum err run_watch(struct store *s, const struct seam *seam, const char *data,
                          const struct deliver_options *limits, struct watching_tell *tell, struct diag *d)
{
    struct watch_stats n;
    const struct watch_options o = {.data = data,
                                    .bytes_max = limits->bytes_max,
                                    .metered = limits->metered,
                                    .self = tell,
                                    .told = watch_told,
                                    .progress = tell->json ? event_json : NULL};
    enum err rc = watch(s, seam, &o, &n, d);
    if (!rc && tell->json)
        printf("{\"wakeups\":%llu,\"runs\":%llu,\"runs_failed\":%llu,\"looks\":%llu,"
               "\"link_changes\":%llu,\"asked\":%llu}\n",
               (unsigned long long)n.wakeups, (unsigned long long)n.runs, (unsigned long long)n.runs_failed,
               (unsigned long long)n.looks, (unsigned long long)n.link_changes, (unsigned long long)n.asked);
    return rc;
}

static int run_sync(int argc, char **argv, struct seam *seam)
{
    const char *data = NULL, *json = NULL, *bytes = NULL, *tries = NULL, *lang = NULL, *args[1];
    const char *background = NULL, *metered = NULL;
    const struct cli_option options[] = {
        {"--metered", NULL, "every byte costs: no attachments, no large lists", &metered},
        {"--watch", NULL, "stay, and sync whenever there is something and a network", &background},
        {"--max-bytes", "N", "stop politely after so many bytes", &bytes},
        {"--tries", "N", "give up after so many failures in a row (8)", &tries},
        {"--json", NULL, "what was done, as JSON; events on standard error", &json},
        {"--lang", "zh|en", "language of the messages", &lang},
        {"--data", "DIR", "where this device keeps its data", &data},
    };
    int n;
    struct arena a;
    struct store *s = NULL;
    const struct zone *zone;
    struct diag d = {0};
    struct deliver_options o = {0};
    struct deliver_result result = {0};

    int code = cli_parse(&command_sync, options, COUNT(options), argc, argv, args, 0, 0, &n);
    if (code >= 0)
        return code;
    if (!sync_limits(bytes, tries, &o)) {
        diag_set(&d, ERR_USAGE, "--max-bytes and --tries take whole numbers from 1");
        return cli_fail("sync", ERR_USAGE, &d);
    }
    bool zh = cli_chinese(lang);
    arena_init(&a, WORK_MEMORY_MAX);
    code = cli_store_open("sync", &a, data, NULL, seam, &zone, &s);
    o.metered = metered != NULL;
    if (code < 0 && background) {
        struct watching_tell told = {.json = json != NULL, .zh = zh};
        const char *dir = NULL;
        enum err rc = cli_data_dir(&a, data, &dir, &d);
        if (!rc)
            rc = run_watch(s, seam, dir, &o, &told, &d);
        code = rc ? cli_fail("sync", rc, &d) : 0;
    } else if (code < 0) {
        struct device_report state;
        const char *dir = NULL;
        if (cli_data_dir(&a, data, &dir, &d) == ERR_OK) {
            state = device_state(dir);
            o.state = &state;
        }
        o.self = &zh;
        o.progress = json ? event_json : isatty(STDERR_FILENO) ? show_progress : NULL;
        enum err rc = deliver(s, seam, &o, &result, &d);
        if (o.progress && !json)
            fputc('\n', stderr);
        if (json)
            sync_json(&result, rc);
        else
            sync_text(&result, zh);
        fflush(stdout);
        warn_clock(result.clock_off_ms, zh, stderr);
        code = rc ? sync_failed(rc, &result, &d, zh) : 0;
    }
    store_close(s);
    arena_free(&a);
    return code;
}

const struct cli_command command_sync = {
    .name = "sync",
    .arguments = "[--watch] [--max-bytes N] [--json]",
    .summary = "deliver what is finalised, fetch what is new",
    .example = "doorstep sync --max-bytes 200000",
    .run = run_sync,
};

/* ---- status ---- */

struct status {
    const struct identity *id;
    struct store_status counts;
    struct attach_status files;
    struct household *households;
    struct published *published;
    struct returned *returned;
    uint32_t household_count, published_count, returned_count;
};

static void member(struct buf *b, const char *before, struct str value)
{
    buf_put_z(b, before);
    buf_put_json(b, value);
}

static void status_counts_json(struct buf *b, const struct status *x)
{
    const struct store_status *st = &x->counts;
    buf_printf(b, "{\"enrolled\":%s", x->id->enrolled ? "true" : "false");
    member(b, ",\"centre\":", x->id->url);
    member(b, ",\"county\":", x->id->by.county);
    member(b, ",\"person\":", x->id->by.person_name);
    buf_printf(b,
               ",\"device\":\"%016llx\",\"households\":%u,\"drafts\":%u,\"finalised_unsent\":%u,"
               "\"frames_waiting\":%u,\"frames_receipted\":%u,\"frames_quarantined\":%u,"
               "\"bytes_waiting\":%llu,\"objects_missing\":%u,\"changes\":%llu,\"clock_off_s\":%lld",
               (unsigned long long)x->id->by.device, st->households, st->drafts, st->finalised_unsent,
               st->frames_waiting, st->frames_receipted, st->frames_quarantined,
               (unsigned long long)st->bytes_waiting, st->objects_missing, (unsigned long long)st->changes,
               (long long)(st->clock_off_ms / 1000));
    buf_printf(b,
               ",\"files_waiting\":%llu,\"file_bytes_waiting\":%llu,\"files_delivered\":%llu,"
               "\"files_quarantined\":%llu",
               (unsigned long long)x->files.waiting, (unsigned long long)x->files.bytes_waiting,
               (unsigned long long)x->files.delivered, (unsigned long long)x->files.quarantined);
    buf_printf(b, ",\"conflicts\":%u,\"decisions\":%u", st->conflicts, st->decisions);
    member(b, ",\"over\":", x->id->over);
    member(b, ",\"last_contact\":", st->last_contact);
}

static void status_json(const struct status *x)
{
    struct buf b;
    buf_init(&b, 64u << 20);
    status_counts_json(&b, x);
    buf_put_z(&b, ",\"returned\":");
    returned_json(x->returned, x->returned_count, &b);
    buf_put_z(&b, ",\"caseload\":[");
    for (uint32_t i = 0; i < x->household_count; i++) {
        const struct household *h = &x->households[i];
        member(&b, i ? ",{\"code\":" : "{\"code\":", h->code);
        member(&b, ",\"name\":", h->name);
        member(&b, ",\"area\":", h->area);
        member(&b, ",\"last_visit\":", h->last_visit);
        member(&b, ",\"level\":", h->last_level);
        buf_printf(&b, ",\"draft\":%s}", h->draft ? "true" : "false");
    }
    buf_put_z(&b, "],\"published\":[");
    for (uint32_t i = 0; i < x->published_count; i++) {
        const struct published *p = &x->published[i];
        member(&b, i ? ",{\"kind\":" : "{\"kind\":", p->kind);
        member(&b, ",\"id\":", p->id);
        member(&b, ",\"version\":", p->version);
        member(&b, ",\"title\":", p->title);
        buf_printf(&b, ",\"held\":%s}", p->held ? "true" : "false");
    }
    buf_put_z(&b, "]}\n");
    fwrite(b.p, 1, b.n, stdout);
    buf_free(&b);
}

/* Captured work is safe; it only travels under another name. */
static void put_over(struct str why, bool zh)
{
    if (str_eq_z(why, "revoked"))
        puts(zh ? "县里已停用本机：请凭新的登记码重新登记；已采集的内容仍保存在本机。"
                : "The county has shut this device out: enrol it with a new code; what it holds is safe.");
    else
        puts(zh ? "本机身份已失效（有副本或恢复过备份）：下次同步时自动换新，内容不会丢失。"
                : "This device's identity is over (a copy of it, or a backup put back): the next sync takes "
                  "a new "
                  "one; nothing is lost.");
}

static void status_counts_text(const struct status *x, bool zh)
{
    const struct store_status *st = &x->counts;
    if (x->id->enrolled) {
        put_field("", x->id->by.county);
        put_field(" · ", x->id->by.person_name);
        printf(zh ? " · 设备 %016llx" : " · device %016llx", (unsigned long long)x->id->by.device);
        put_field(zh ? " · 范围 " : " · area ", x->id->by.area);
        fputc('\n', stdout);
    } else {
        printf("%s\n", zh ? "尚未登记：答案保存在本机，直到 `doorstep enrol`"
                          : "not enrolled yet: answers are kept here until `doorstep enrol`");
    }
    printf(zh ? "草稿 %u · 已完成待打包 %u · 待发 %u 批（%llu 字节）· 已有回执 %u · 被中心搁置 %u\n"
              : "drafts %u · finalised and not yet cut %u · frames waiting %u (%llu bytes) · with receipt "
                "%u · set aside by the centre %u\n",
           st->drafts, st->finalised_unsent, st->frames_waiting, (unsigned long long)st->bytes_waiting,
           st->frames_receipted, st->frames_quarantined);
    if (x->files.waiting + x->files.delivered > 0)
        printf(zh ? "附件：待发 %llu 个（%llu 字节）· 已送达 %llu · 被中心搁置 %llu\n"
                  : "attachments waiting %llu (%llu bytes) · delivered %llu · set aside by the centre %llu\n",
               (unsigned long long)x->files.waiting, (unsigned long long)x->files.bytes_waiting,
               (unsigned long long)x->files.delivered, (unsigned long long)x->files.quarantined);
    if (st->conflicts > 0)
        printf(zh ? "有 %u 处回答互相矛盾：`doorstep conflicts`\n"
                  : "%u answers in dispute: `doorstep conflicts`\n",
               st->conflicts);
    if (st->decisions > 0)
        printf(zh ? "已裁定 %u 处：`doorstep conflicts`\n" : "%u decided: `doorstep conflicts`\n",
               st->decisions);
    if (x->id->over.n)
        put_over(x->id->over, zh);
    put_field(zh ? "上次联系中心：" : "last contact ", st->last_contact.n ? st->last_contact
                                                       : zh               ? STR("从未")
                                                                          : STR("never"));
    fputc('\n', stdout);
    warn_clock(st->clock_off_ms, zh, stdout);
}

static void published_text(const struct status *x, bool zh)
{
    if (x->published_count > 0)
        printf("\n%s\n", zh ? "表单、清单、规则" : "forms, lists, rules");
    for (uint32_t i = 0; i < x->published_count; i++) {
        const struct published *p = &x->published[i];
        fputs("  ", stdout);
        term_put_columns(stdout, p->kind, 5, true);
        put_field(" ", p->id);
        put_field(" ", p->version);
        if (p->title.n && !str_eq(p->title, p->id))
            put_field("  ", p->title);
        puts(p->held ? "" : zh ? "  （同步时取回）" : "  (sync fetches it)");
    }
}

static struct str level_text(struct str level, bool zh)
{
    static const char *const names[][2] = {
        {"red", "红"}, {"yellow", "黄"}, {"blue", "蓝"}, {"unknown", "无法判断"}, {"none", "无线索"}};
    for (size_t i = 0; zh && i < sizeof names / sizeof *names; i++)
        if (str_eq_z(level, names[i][0]))
            return str_of(names[i][1]);
    return level;
}

static void households_text(const struct status *x, bool zh)
{
    uint32_t code = 6, name = 6;
    for (uint32_t i = 0; i < x->household_count; i++) {
        uint32_t c = term_width(x->households[i].code), n = term_width(x->households[i].name);
        code = c > code && c <= 20 ? c : code;
        name = n > name && n <= 24 ? n : name;
    }
    if (x->household_count > 0)
        printf("\n%s\n", zh ? "农户" : "households");
    for (uint32_t i = 0; i < x->household_count; i++) {
        const struct household *h = &x->households[i];
        struct str day = h->last_visit.n ? str_sub(h->last_visit, 0, 10)
                         : zh            ? STR("未走访")
                                         : STR("not visited");
        fputs("  ", stdout);
        term_put_columns(stdout, h->code, code, true);
        fputs("  ", stdout);
        term_put_columns(stdout, h->name, name, true);
        put_field("  ", day);
        if (h->last_level.n)
            put_field("  ", level_text(h->last_level, zh));
        puts(h->draft ? (zh ? "  （有草稿）" : "  (draft)") : "");
    }
}

static enum err status_read(struct store *s, struct arena *a, bool check, int64_t now_ms,
                            const struct zone *zone, struct status *x, struct diag *d)
{
    struct civil c = civil_at(now_ms, zone ? zone : zone_utc());
    enum err rc = check ? store_check(s, d) : ERR_OK;
    if (!rc)
        rc = store_status(s, a, &x->counts, d);
    if (!rc)
        rc = attach_status(s, &x->files, d);
    if (!rc)
        rc = store_households(s, a, &x->households, &x->household_count, d);
    if (!rc)
        rc = store_queue(s, a, civil_days(c.year, c.month, c.day), x->households, x->household_count, d);
    if (!rc)
        rc = store_published(s, a, &x->published, &x->published_count, d);
    if (!rc)
        rc = store_returned(s, a, &x->returned, &x->returned_count, d);
    x->id = store_identity(s);
    return rc;
}

static int run_status(int argc, char **argv, struct seam *seam)
{
    const char *data = NULL, *json = NULL, *check = NULL, *lang = NULL, *args[1];
    const struct cli_option options[] = {
        {"--check", NULL, "also check every page of the databases", &check},
        {"--json", NULL, "as JSON", &json},
        {"--lang", "zh|en", "language of the messages", &lang},
        {"--data", "DIR", "where this device keeps its data", &data},
    };
    int n;
    struct arena a;
    struct store *s = NULL;
    const struct zone *zone;
    struct diag d = {0};
    struct status x = {0};

    int code = cli_parse(&command_status, options, COUNT(options), argc, argv, args, 0, 0, &n);
    if (code >= 0)
        return code;
    bool zh = cli_chinese(lang);
    arena_init(&a, WORK_MEMORY_MAX);
    code = cli_store_open("status", &a, data, NULL, seam, &zone, &s);
    if (code < 0) {
        enum err rc = status_read(s, &a, check != NULL, seam->wall_ms(seam->self), zone, &x, &d);
        code = rc ? cli_fail("status", rc, &d) : 0;
        if (!rc && json)
            status_json(&x);
        else if (!rc) {
            status_counts_text(&x, zh);
            returned_text(x.returned, x.returned_count, zh);
            published_text(&x, zh);
            households_text(&x, zh);
        }
    }
    store_close(s);
    arena_free(&a);
    return code;
}

const struct cli_command command_status = {
    .name = "status",
    .arguments = "[--json]",
    .summary = "what this device holds, and what is not delivered yet",
    .example = "doorstep status --json",
    .run = run_status,
};
