/* The commands about answers in dispute: what two people said, what was decided, and deciding.
 */
#include "agent/cli.h"
#include "agent/disputes.h"
#include "agent/term.h"
#include "agent/work.h"

#include <stdio.h>

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

static void value_json(struct buf *b, const struct contested_value *v)
{
    buf_put_z(b, "{\"value\":");
    if (v->value.p)
        buf_put_json(b, v->value);
    else
        buf_put_z(b, "null");
    buf_printf(b, ",\"status\":%u,\"person\":%u,\"role\":%u,\"own\":%s,\"disputes\":%s,\"at_ms\":%lld}",
               v->status, v->person, v->role, v->own ? "true" : "false", v->disputes ? "true" : "false",
               (long long)v->at_ms);
}

static void show_json(struct dispute_names *n, const struct contested *list, uint32_t count)
{
    struct buf b;
    buf_init(&b, 64u << 20);
    buf_put_char(&b, '[');
    for (uint32_t i = 0; i < count; i++) {
        const struct contested *c = &list[i];
        buf_printf(&b, "%s{\"id\":\"%lld.%u\",\"decided\":%s,\"household\":", i ? "," : "", (long long)c->row,
                   c->field, c->decided ? "true" : "false");
        buf_put_json(&b, c->household);
        buf_put_z(&b, ",\"field\":");
        buf_put_json(&b, dispute_name(n, c));
        buf_printf(&b, ",\"policy\":\"%s\",\"values\":[", field_policy_name(field_policy(c->field)));
        for (uint32_t k = 0; k < c->count; k++) {
            buf_put_z(&b, k ? "," : "");
            value_json(&b, &c->values[k]);
        }
        buf_put_z(&b, "]}");
    }
    buf_put_z(&b, "]\n");
    fwrite(b.p, 1, b.n, stdout);
    buf_free(&b);
}

static void value_line(const struct contested *c, uint32_t k, bool zh)
{
    const struct contested_value *v = &c->values[k];
    char at[40];
    struct civil when = civil_at(v->at_ms, zone_utc());
    (void)civil_write(&when, at);
    printf("  %u  ", k + 1);
    if (v->value.p)
        term_put(stdout, v->value);
    else
        fputs(v->removed ? (zh ? "（已删除）" : "(removed)") : (zh ? "（空）" : "(empty)"), stdout);
    printf(zh ? "  人员 %u，%.16s" : "  person %u, %.16s", v->person, at);
    if (k == 0)
        fputs(c->decided ? (zh ? "  ← 裁定" : "  <- decided") : (zh ? "  ← 当前显示" : "  <- shown"), stdout);
    fputc('\n', stdout);
}

static void show_text(struct dispute_names *n, const struct contested *list, uint32_t count, bool zh)
{
    if (count == 0)
        puts(zh ? "没有互相矛盾的回答。" : "No answer is in dispute.");
    for (uint32_t i = 0; i < count; i++) {
        const struct contested *c = &list[i];
        printf("%lld.%u  ", (long long)c->row, c->field);
        term_put(stdout, c->household);
        fputs("  ", stdout);
        term_put(stdout, dispute_name(n, c));
        puts(c->decided ? (zh ? "  （已裁定）" : "  (decided)") : "");
        for (uint32_t k = 0; k < c->count; k++)
            value_line(c, k, zh);
    }
}

static int run_conflicts(int argc, char **argv, struct seam *seam)
{
    const char *data = NULL, *json = NULL, *lang = NULL, *args[1];
    const struct cli_option options[] = {
        {"--json", NULL, "as JSON", &json},
        {"--lang", "zh|en", "language of the messages", &lang},
        {"--data", "DIR", "where this device keeps its data", &data},
    };
    int n;
    struct arena a;
    struct store *s = NULL;
    const struct zone *zone;
    struct diag d = {0};
    struct contested *list = NULL;
    uint32_t count = 0;

    int code = cli_parse(&command_conflicts, options, COUNT(options), argc, argv, args, 0, 0, &n);
    if (code >= 0)
        return code;
    arena_init(&a, WORK_MEMORY_MAX);
    code = cli_store_open("conflicts", &a, data, NULL, seam, &zone, &s);
    if (code < 0) {
        struct dispute_names names = {.s = s, .a = &a};
        enum err rc = store_contested(s, &a, &list, &count, &d);
        if (!rc)
            rc = store_published(s, &a, &names.list, &names.count, &d);
        code = rc ? cli_fail("conflicts", rc, &d) : 0;
        if (!rc && json)
            show_json(&names, list, count);
        else if (!rc)
            show_text(&names, list, count, cli_chinese(lang));
    }
    store_close(s);
    arena_free(&a);
    return code;
}

const struct cli_command command_conflicts = {
    .name = "conflicts",
    .arguments = "[--json]",
    .summary = "answers that two people gave differently, and what was decided",
    .example = "doorstep conflicts",
    .run = run_conflicts,
};

/* ---- resolve ---- */

static enum err decide(struct store *s, struct arena *a, const char *what, const char *keep,
                       const char *value, struct diag *d)
{
    struct str rest = str_of(what), number;
    int64_t row = 0;
    uint64_t field = 0, nth = 0;
    struct contested *list = NULL;
    uint32_t count = 0;

    if (!str_split(&rest, '.', &number) || !str_to_i64(number, &row) || !str_to_u64(rest, &field) ||
        field > UINT32_MAX || (keep != NULL) == (value != NULL) ||
        (keep && (!str_to_u64(str_of(keep), &nth) || nth == 0)))
        return diag_set(
            d, ERR_USAGE,
            "say which answer, as `doorstep conflicts` lists it, and one of --keep N and --value TEXT");
    if (value)
        return store_resolve(s, row, (uint32_t)field, str_of(value), d);
    enum err rc = store_contested(s, a, &list, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (list[i].decided || list[i].row != row || list[i].field != field)
            continue;
        return nth <= list[i].count ? store_resolve(s, row, (uint32_t)field, list[i].values[nth - 1].value, d)
                                    : diag_set(d, ERR_USAGE, "there is no value %s for this answer", keep);
    }
    return rc ? rc
              : diag_set(d, ERR_NOT_FOUND,
                         "this answer is not in dispute: list them with `doorstep conflicts`");
}

static int run_resolve(int argc, char **argv, struct seam *seam)
{
    const char *data = NULL, *keep = NULL, *value = NULL, *lang = NULL, *args[1];
    const struct cli_option options[] = {
        {"--keep", "N", "the n-th of the values as listed holds", &keep},
        {"--value", "TEXT", "this value holds", &value},
        {"--lang", "zh|en", "language of the messages", &lang},
        {"--data", "DIR", "where this device keeps its data", &data},
    };
    int n;
    struct arena a;
    struct store *s = NULL;
    const struct zone *zone;
    struct diag d = {0};

    int code = cli_parse(&command_resolve, options, COUNT(options), argc, argv, args, 1, 1, &n);
    if (code >= 0)
        return code;
    arena_init(&a, WORK_MEMORY_MAX);
    code = cli_store_open("resolve", &a, data, NULL, seam, &zone, &s);
    if (code < 0) {
        enum err rc = decide(s, &a, args[0], keep, value, &d);
        code = rc ? cli_fail("resolve", rc, &d) : 0;
        if (!rc)
            puts(cli_chinese(lang) ? "已裁定；下次同步时送出。" : "Decided; it leaves with the next sync.");
    }
    store_close(s);
    arena_free(&a);
    return code;
}

const struct cli_command command_resolve = {
    .name = "resolve",
    .arguments = "ROW.FIELD --keep N | --value TEXT",
    .summary = "decide which of two answers holds",
    .example = "doorstep resolve 17.3 --keep 2",
    .run = run_resolve,
};
