/* `doorstep lead`: leads on the handheld: list them with their clocks, open one, note a step, say what was
 * seen of an indicator. Everything leaves with the next sync.
 */
#include "agent/attach.h"
#include "agent/cli.h"
#include "agent/leads.h"
#include "agent/term.h"
#include "platform/base/json.h"

#include <stdio.h>

struct lead_request {
    const char *household, *channel, *source, *opened, *deadline, *evidence, *note, *at, *result, *category;
    const char *follow_up, *conditions, *photo, *position, *data, *tz, *json, *lang;
    const char *args[4];
    int n;
    struct seam *seam;
};

static struct str text(const char *z)
{
    return z ? str_of(z) : STR("");
}

static enum err lead_number(const char *z, int64_t *out, struct diag *d)
{
    return z && str_to_i64(str_of(z), out)
               ? ERR_OK
               : diag_set(d, ERR_USAGE, "say which lead, by its number in `doorstep lead list`");
}

static enum err day_holds(struct str day, struct diag *d)
{
    struct civil c;
    if (day.n && !civil_read_date(day, &c))
        return diag_set(d, ERR_USAGE, "\"%.*s\" is no day such as 2026-11-23", STR_ARG(day));
    return ERR_OK;
}

/* ---- list ---- */

static void put_seen(struct buf *out, const struct lead *l)
{
    for (uint32_t i = 0; i < l->seen.count; i++) {
        buf_put_z(out, i ? ",{\"name\":" : "{\"name\":");
        buf_put_json(out, l->seen.at[i].name);
        buf_put_z(out, ",\"result\":");
        buf_put_json(out, l->seen.at[i].result);
        buf_put_char(out, '}');
    }
}

static void lead_json(const struct lead *l, const struct clock *clocks, struct buf *out)
{
    buf_printf(out, "{\"lead\":%lld,\"household\":", (long long)l->key);
    buf_put_json(out, l->code);
    buf_printf(out, ",\"channel\":\"%s\",\"source\":", lead_channel_name(l->times.channel));
    buf_put_json(out, l->source);
    buf_put_z(out, ",\"opened\":");
    buf_put_json(out, l->opened);
    buf_printf(out, ",\"state\":\"%s\",\"open\":%s,\"result\":",
               lead_step_about(lead_times_state(&l->times))->code,
               lead_times_open(&l->times) ? "true" : "false");
    buf_put_json(out, l->result);
    buf_printf(out, ",\"indicators\":%.*s,\"seen\":[", l->indicators.n ? (int)l->indicators.n : 2,
               l->indicators.n ? l->indicators.p : "{}");
    put_seen(out, l);
    buf_put_z(out, "],\"clocks\":{");
    for (int i = 0; i < CLOCKS; i++)
        buf_printf(out, "%s\"%s\":{\"state\":\"%s\",\"left\":%lld}", i ? "," : "",
                   clock_about((enum clock_name)i)->code, clock_state_name(clocks[i].state),
                   (long long)clocks[i].left);
    buf_put_z(out, "}}\n");
}

static void lead_text(const struct lead *l, const struct clock *clocks, bool zh)
{
    const struct lead_step_about *state = lead_step_about(lead_times_state(&l->times));
    printf("%lld  ", (long long)l->key);
    term_put(stdout, l->code);
    printf("  %s  ", lead_channel_name(l->times.channel));
    term_put(stdout, l->source);
    printf("  %.10s  %s\n", l->opened.n >= 10 ? l->opened.p : "          ", zh ? state->zh : state->en);
    if (l->indicators.n) {
        printf("    ");
        term_put(stdout, l->indicators);
        putchar('\n');
    }
    for (int i = 0; i < CLOCKS; i++) {
        const struct clock_about *c = clock_about((enum clock_name)i);
        if (clocks[i].state == CLOCK_RUNS || clocks[i].state == CLOCK_OVERDUE)
            printf("    %s: %s (%lld)\n", zh ? c->zh : c->en, clock_state_name(clocks[i].state),
                   (long long)clocks[i].left);
    }
}

static int64_t today_of(struct seam *seam, const struct zone *zone)
{
    struct civil c = civil_at(seam->wall_ms(seam->self), zone ? zone : zone_utc());
    return civil_days(c.year, c.month, c.day);
}

static enum err show(struct store *s, struct arena *a, const struct lead_request *q, int64_t today,
                     struct diag *d)
{
    struct lead *list;
    struct household h = {0};
    uint32_t count = 0;
    struct buf out;
    const struct pack *pack = NULL;
    enum err rc = q->household ? store_household(s, a, str_of(q->household), &h, d) : ERR_OK;
    if (!rc)
        rc = store_leads(s, a, h.key, &list, &count, d);
    if (!rc)
        rc = store_clock_pack(s, a, &pack, d);
    buf_init(&out, 64u << 20);
    for (uint32_t i = 0; !rc && i < count; i++) {
        struct clock_days days;
        struct clock clocks[CLOCKS];
        clock_days_for(pack, list[i].area, today, &days);
        lead_clocks(&list[i].times, &days, today, clocks);
        if (q->json)
            lead_json(&list[i], clocks, &out);
        else if (!rc)
            lead_text(&list[i], clocks, cli_chinese(q->lang));
    }
    fwrite(out.p ? out.p : "", 1, out.n, stdout);
    buf_free(&out);
    return rc;
}

/* ---- open, step, seen ---- */

static enum err open_lead(struct store *s, struct arena *a, const struct lead_request *q, struct diag *d)
{
    struct lead l = {.source = text(q->source),
                     .opened = text(q->opened),
                     .deadline = text(q->deadline),
                     .indicators = text(q->evidence),
                     .note = text(q->note)};
    struct household h;
    const struct json *evidence = NULL;
    int64_t key;
    if (!q->household)
        return diag_set(d, ERR_USAGE, "say about whom: --household CODE");
    if (!lead_channel_read(text(q->channel ? q->channel : "patrol"), &l.times.channel))
        return diag_set(d, ERR_USAGE, "--channel is self_report, patrol or department");
    enum err rc = day_holds(l.opened, d);
    if (!rc)
        rc = day_holds(l.deadline, d);
    if (!rc && l.indicators.n)
        rc = json_read(a, l.indicators, &evidence, d);
    if (!rc && evidence && evidence->type != JSON_OBJECT)
        rc = diag_set(d, ERR_USAGE, "--evidence is a JSON object, such as {\"med_self\": 23000}");
    if (!rc)
        rc = store_household(s, a, str_of(q->household), &h, d);
    if (!rc)
        rc = store_lead_open(s, h.key, &l, &key, d);
    if (!rc)
        printf(q->json ? "{\"lead\":%lld}\n" : "lead %lld is open; it leaves with the next sync\n",
               (long long)key);
    return rc;
}

static enum err take_step(struct store *s, struct arena *a, const struct lead_request *q, int64_t today,
                          struct diag *d)
{
    struct lead_step_taken t = {.at = text(q->at),
                                .note = text(q->note),
                                .result = text(q->result),
                                .category = text(q->category),
                                .follow_up = text(q->follow_up)};
    int64_t lead = 0;
    enum err rc = lead_number(q->args[1], &lead, d);
    if (!rc && (q->n < 3 || !lead_step_read(str_of(q->args[2]), &t.step) || t.step == STEP_LEAD))
        rc = diag_set(
            d, ERR_USAGE,
            "a step is one of forward, visit, compare, notice, notice_end, township, county, announce, "
            "record, help, remove, close");
    if (!rc)
        rc = day_holds(t.at, d);
    if (!rc && t.step == STEP_REMOVE) {
        rc = removal_check(text(q->conditions), today, d);
        t.result = text(q->conditions);
    }
    if (!rc && q->photo)
        rc = attach_file(s, q->seam, a, str_of(q->photo), &t.photo, d);
    return rc ? rc : store_lead_step(s, lead, &t, d);
}

static enum err note_seen(struct store *s, struct arena *a, const struct lead_request *q, struct diag *d)
{
    int64_t lead = 0;
    enum err rc = lead_number(q->args[1], &lead, d);
    if (rc)
        return rc;
    struct lead_seen seen = {.name = q->n > 2 ? str_of(q->args[2]) : STR(""),
                             .result = q->n > 3 ? str_of(q->args[3]) : STR(""),
                             .note = text(q->note),
                             .position = text(q->position)};
    if (!seen.name.n || (!str_eq_z(seen.result, "confirmed") && !str_eq_z(seen.result, "refuted") &&
                         !str_eq_z(seen.result, "unclear")))
        return diag_set(d, ERR_USAGE, "say: doorstep lead seen LEAD INDICATOR confirmed|refuted|unclear");
    if (q->photo)
        rc = attach_file(s, q->seam, a, str_of(q->photo), &seen.photo, d);
    return rc ? rc : store_lead_indicator(s, lead, &seen, d);
}

static enum err run(struct store *s, struct arena *a, const struct lead_request *q, int64_t today,
                    struct diag *d)
{
    struct str what = str_of(q->args[0]);
    if (str_eq_z(what, "list"))
        return show(s, a, q, today, d);
    if (str_eq_z(what, "open"))
        return open_lead(s, a, q, d);
    if (str_eq_z(what, "step"))
        return take_step(s, a, q, today, d);
    if (str_eq_z(what, "seen"))
        return note_seen(s, a, q, d);
    return diag_set(d, ERR_USAGE, "say one of: lead list, lead open, lead step, lead seen");
}

static int run_lead(int argc, char **argv, struct seam *seam)
{
    struct lead_request q = {.seam = seam};
    const struct cli_option options[] = {
        {"--household", "CODE", "about whom", &q.household},
        {"--channel", "NAME", "open: self_report, patrol (else this) or department", &q.channel},
        {"--source", "TEXT", "open: who said it", &q.source},
        {"--opened", "DAY", "open: when it came up, else now", &q.opened},
        {"--deadline", "DAY", "open: until when it is to be verified", &q.deadline},
        {"--evidence", "JSON", "open: indicators by name, {\"med_self\": 23000}", &q.evidence},
        {"--at", "DAY", "step: when it was taken, else now", &q.at},
        {"--result", "TEXT", "step: confirmed, refuted, partly", &q.result},
        {"--category", "CODE", "step: the category that is suggested", &q.category},
        {"--follow-up", "TEXT", "step: what is to be done", &q.follow_up},
        {"--conditions", "WORDS",
         "step remove: above=DAY spending=yes guarantees=yes original=yes new-risk=no ...", &q.conditions},
        {"--note", "TEXT", "a few words", &q.note},
        {"--photo", "FILE", "step, seen: a photo, which travels behind the data", &q.photo},
        {"--position", "POINT", "seen: \"LAT LON [ALT [ACC]]\"", &q.position},
        {"--tz", "ZONE", "time zone, as Asia/Shanghai", &q.tz},
        {"--json", NULL, "as JSON, a line each", &q.json},
        {"--lang", "zh|en", "language", &q.lang},
        {"--data", "DIR", "where this device keeps its data", &q.data},
    };
    struct arena a;
    struct diag d = {0};
    struct store *s = NULL;
    const struct zone *zone = NULL;
    int code = cli_parse(&command_lead, options, (int)(sizeof options / sizeof *options), argc, argv, q.args,
                         1, 4, &q.n);
    if (code >= 0)
        return code;
    arena_init(&a, WORK_MEMORY_MAX);
    code = cli_store_open("lead", &a, q.data, q.tz, seam, &zone, &s);
    if (code < 0) {
        enum err rc = run(s, &a, &q, today_of(seam, zone), &d);
        code = rc ? cli_fail("lead", rc, &d) : 0;
    }
    store_close(s);
    arena_free(&a);
    return code;
}

const struct cli_command command_lead = {
    .name = "lead",
    .arguments = "list | open --household CODE | step LEAD STEP | seen LEAD INDICATOR RESULT",
    .summary = "signs of risk that somebody verifies: list, open, note a step, say what was seen",
    .example =
        "doorstep lead open --household H0001 --channel self_report --evidence '{\"med_self\": 23000}'",
    .run = run_lead,
};
