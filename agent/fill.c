/* `doorstep fill`: an interview in the terminal (interview.h), or from a script of answers (script.h). Either
 * way each accepted answer is committed before the next one is taken.
 */
#include "agent/cli.h"
#include "agent/interview.h"
#include "agent/script.h"
#include "agent/term.h"

#include <stdio.h>

struct fill_request {
    const char *form, *data, *answers, *household, *pack, *language, *type, *draft, *fresh, *json, *lang, *tz;
};

static enum err save_line(void *self, struct diag *d)
{
    return work_save(self, d);
}

static void scripted_json(const struct script *script, const struct work *w, const struct work_result *r,
                          enum err rc, bool finished)
{
    struct buf b;
    buf_init(&b, 64u << 20);
    buf_printf(&b, "{\"result\":\"%s\",\"answers\":%u,\"finalised\":%s,\"notes\":[", err_action(rc)->name,
               script->answers, finished ? "true" : "false");
    for (uint32_t i = 0; i < w->notes.count; i++) {
        buf_put_z(&b, i ? "," : "");
        buf_put_json(&b, w->notes.at[i]);
    }
    buf_put_char(&b, ']');
    if (finished) {
        buf_put_z(&b, ",\"instance_id\":");
        buf_put_json(&b, r->instance_id);
        buf_printf(&b, ",\"xml_bytes\":%zu,\"judgement\":", r->xml_size);
        if (r->judged)
            judgement_json(&r->judgement, &b);
        else
            buf_put_z(&b, "null");
    }
    buf_put_z(&b, "}\n");
    fwrite(b.p, 1, b.n, stdout);
    buf_free(&b);
}

static void list_violations(struct work *w, struct arena *a)
{
    struct place *places;
    uint32_t count = session_violations(w->session, a, &places);
    for (uint32_t i = 0; i < count; i++) {
        struct question_view v;
        struct diag d = {0};
        if (session_view(w->session, places[i], a, &v, &d))
            continue;
        fputs("  ", stderr);
        term_put(stderr, v.ref);
        fputs(": ", stderr);
        term_put(stderr, v.message.n ? v.message : STR("required"));
        fputc('\n', stderr);
    }
}

static void tell_notes(const struct work *w)
{
    for (uint32_t i = 0; i < w->notes.count; i++) {
        fputs("doorstep fill: ", stderr);
        term_put(stderr, w->notes.at[i]);
        fputc('\n', stderr);
    }
}

static int scripted(struct work *w, const struct fill_request *q, bool zh)
{
    struct diag d = {0};
    struct buf text = {0};
    struct arena a;
    struct work_result r = {0};
    struct script script = {.form = w->form,
                            .session = w->session,
                            .a = &a,
                            .file = q->answers,
                            .self = w,
                            .after_line = save_line};

    arena_init(&a, WORK_MEMORY_MAX);
    enum err rc = work_file(w->o.seam, q->answers, &text, &d);
    if (!rc)
        rc = script_run(&script, buf_str(&text), &d);
    if (!rc && !q->draft) {
        rc = work_finish(w, &a, script.judgement, &r, &d);
        if (rc == ERR_STATE)
            list_violations(w, &a);
    }
    if (q->json)
        scripted_json(&script, w, &r, rc, !rc && !q->draft);
    else if (!rc && !q->draft)
        interview_result(w, &r, script.answers, zh);
    int code = rc ? cli_fail("fill", rc, &d) : 0;
    buf_free(&text);
    arena_free(&a);
    return code;
}

static int fill(const struct fill_request *q, const struct work_options *o)
{
    struct diag d = {0};
    struct work w = {0};

    enum err rc = work_open(&w, o, &d);
    if (rc)
        return cli_fail("fill", rc, &d);
    bool zh = q->lang ? cli_chinese(q->lang) : work_is_chinese(w.start.language);
    int code = 0;
    if (q->answers) {
        tell_notes(&w);
        code = scripted(&w, q, zh);
    } else {
        interview_run(&w, zh);
    }
    work_close(&w);
    return code;
}

static int run_fill(int argc, char **argv, struct seam *seam)
{
    struct fill_request q = {0};
    const char *args[1];
    const struct cli_option options[] = {
        {"--household", "CODE", "the household that is visited", &q.household},
        {"--answers", "FILE", "take the answers from a script: REF<TAB>VALUE lines", &q.answers},
        {"--draft", NULL, "with --answers: leave the interview a draft", &q.draft},
        {"--new", NULL, "begin a new interview although a draft is there", &q.fresh},
        {"--language", "NAME", "language of the questions", &q.language},
        {"--lang", "zh|en", "language of this program's own words", &q.lang},
        {"--type", "TEXT", "kind of visit", &q.type},
        {"--pack", "FILE", "rule pack from a file instead of the published one", &q.pack},
        {"--tz", "ZONE", "time zone, as Asia/Shanghai", &q.tz},
        {"--json", NULL, "with --answers: the result as JSON", &q.json},
        {"--data", "DIR", "where this device keeps its data", &q.data},
    };
    int n;
    struct arena a;
    struct diag d = {0};
    struct store *store = NULL;
    const struct zone *zone = NULL;

    int code = cli_parse(&command_fill, options, (int)(sizeof options / sizeof *options), argc, argv, args, 1,
                         1, &n);
    if (code >= 0)
        return code;
    q.form = args[0];
    if (!q.answers && (q.draft || q.json)) {
        diag_set(&d, ERR_USAGE, "--draft and --json go with --answers FILE");
        return cli_fail("fill", ERR_USAGE, &d);
    }
    arena_init(&a, WORK_MEMORY_MAX);
    code = cli_store_open("fill", &a, q.data, q.tz, seam, &zone, &store);
    if (code < 0) {
        const struct work_options o = {.store = store,
                                       .seam = seam,
                                       .zone = zone,
                                       .form = q.form,
                                       .pack = q.pack,
                                       .household = q.household,
                                       .type = q.type,
                                       .language = q.language,
                                       .fresh = q.fresh != NULL};
        code = fill(&q, &o);
    }
    store_close(store);
    arena_free(&a);
    return code;
}

const struct cli_command command_fill = {
    .name = "fill",
    .arguments = "FORM [--household CODE] [--answers FILE]",
    .summary = "hold an interview, in the terminal or from a script",
    .example = "doorstep fill household_monitoring --household H0001",
    .run = run_fill,
};
