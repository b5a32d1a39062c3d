/* `doorstep fill`: an interview in the terminal (interview.h), or from a script of answers (script.h). Either
 * way each accepted answer is committed before the next one is taken.
 */
#include "agent/attach.h"
#include "agent/cli.h"
#include "agent/interview.h"
#include "agent/script.h"
#include "agent/term.h"

#include <stdio.h>

struct fill_request {
    const char *form, *data, *answers, *household, *pack, *language, *type, *draft, *fresh, *json, *lang, *tz;
    const char *edit, *reason, *position, *migrate, *dry_run;
};

/* An urgent finding is told as soon as an answer brings it; the result has it again. */
static enum err save_line(void *self, struct diag *d)
{
    struct work *w = self;
    uint32_t from = w->alerts.count;
    enum err rc = work_save(w, d);
    interview_alerts(w, from, work_is_chinese(w->start.language), stderr);
    return rc;
}

/* The log has the question that an answer belongs to; one that no screen shows has none. */
static void question_at_hand(void *self, struct place p)
{
    struct work *w = self;
    struct diag quiet = {0};
    if (w->audit && !session_jump(w->session, p, &quiet))
        audit_view(w->audit);
}

static enum err comment_line(void *self, struct place p, struct str text, struct diag *d)
{
    return work_comment(self, p, text, d);
}

static enum err position_line(void *self, struct str position, struct diag *d)
{
    return work_position(self, position, d);
}

static enum err attach_line(void *self, struct str path, struct arena *a, struct str *name_out,
                            struct diag *d)
{
    struct work *w = self;
    return attach_file(w->o.store, w->o.seam, a, path, name_out, d);
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
    buf_put_z(&b, "],\"urgent\":[");
    for (uint32_t i = 0; i < w->alerts.count; i++) {
        buf_put_z(&b, i ? "," : "");
        buf_put_json(&b, w->alerts.at[i].rule);
    }
    buf_put_char(&b, ']');
    if (finished) {
        buf_put_z(&b, ",\"instance_id\":");
        buf_put_json(&b, r->instance_id);
        buf_printf(&b, ",\"entities\":%u,\"xml_bytes\":%zu,\"judgement\":", r->entities, r->xml_size);
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

static void tell_notes(const struct work *w, uint32_t from)
{
    for (uint32_t i = from; i < w->notes.count; i++) {
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
                            .after_line = save_line,
                            .before_answer = question_at_hand,
                            .comment = comment_line,
                            .position = position_line,
                            .attach = attach_line};
    uint32_t told = w->notes.count;

    arena_init(&a, WORK_MEMORY_MAX);
    enum err rc = work_file(w->o.seam, q->answers, &text, &d);
    if (!rc)
        rc = script_run(&script, buf_str(&text), &d);
    if (!rc && !q->draft) {
        rc = work_finish(w, &a, script.judgement, &r, &d);
        if (rc == ERR_STATE)
            list_violations(w, &a);
    }
    tell_notes(w, told);
    if (q->json)
        scripted_json(&script, w, &r, rc, !rc && !q->draft);
    else if (!rc && !q->draft)
        interview_result(w, &r, script.answers, zh);
    int code = rc ? cli_fail("fill", rc, &d) : 0;
    buf_free(&text);
    arena_free(&a);
    return code;
}

/* ---- a newer version of the form ---- */

static const char *const migration_kinds[] = {
    [MIGRATE_MOVED] = "moved",   [MIGRATE_RETYPED] = "retyped",       [MIGRATE_RETURNED] = "returned",
    [MIGRATE_GONE] = "gone",     [MIGRATE_MISFIT] = "misfit",         [MIGRATE_ENTRY_GONE] = "entry-gone",
    [MIGRATE_CHOICE] = "choice", [MIGRATE_CONSTRAINT] = "constraint", [MIGRATE_REQUIRED] = "required",
};

static void plan_json(const struct work_migration *m, bool dry)
{
    struct buf b;
    buf_init(&b, 64u << 20);
    buf_put_z(&b, "{\"from\":");
    buf_put_json(&b, form_version(m->from));
    buf_put_z(&b, ",\"to\":");
    buf_put_json(&b, form_version(m->to));
    buf_printf(&b, ",\"migrated\":%s,\"attention\":%u,\"set_aside\":%u,\"items\":[", dry ? "false" : "true",
               m->plan.attention, m->plan.aside_count);
    for (uint32_t i = 0; i < m->plan.item_count; i++) {
        const struct migration_item *item = &m->plan.items[i];
        buf_printf(&b, "%s{\"kind\":\"%s\",\"from\":", i ? "," : "", migration_kinds[item->kind]);
        buf_put_json(&b, item->from);
        buf_put_z(&b, ",\"to\":");
        buf_put_json(&b, item->to);
        buf_put_z(&b, ",\"value\":");
        buf_put_json(&b, item->value);
        buf_put_z(&b, ",\"text\":");
        buf_put_json(&b, item->text);
        buf_put_char(&b, '}');
    }
    buf_put_z(&b, "]}\n");
    fwrite(b.p, 1, b.n, stdout);
    buf_free(&b);
}

static void plan_text(const struct work_migration *m, bool dry, bool zh, FILE *to)
{
    fprintf(to,
            zh ? "草稿由版本 %.*s 转到版本 %.*s%s\n" : "the draft goes from version %.*s to version %.*s%s\n",
            STR_ARG(form_version(m->from)), STR_ARG(form_version(m->to)),
            !dry ? ""
            : zh ? "（试运行，未做改动）"
                 : " (dry run, nothing is changed)");
    for (uint32_t i = 0; i < m->plan.item_count; i++) {
        const struct migration_item *item = &m->plan.items[i];
        fputs(item->kind >= MIGRATE_GONE ? "  ! " : "    ", to);
        term_put(to, item->from.n ? item->from : item->to);
        if (item->value.n) {
            fputs(" = ", to);
            term_put(to, item->value);
        }
        fputs(": ", to);
        term_put(to, item->text);
        fputc('\n', to);
    }
    if (m->plan.item_count == 0)
        fprintf(to, "%s\n", zh ? "  全部答案都保持原位" : "  every answer stays in its place");
}

/* -1: go on with the interview. */
static int migrate(const struct fill_request *q, const struct work_options *o)
{
    struct diag d = {0};
    struct work w = {0};
    struct work_migration m = {0};
    bool dry = q->dry_run != NULL, zh = cli_chinese(q->lang);
    enum err rc = work_migrate(&w, o, dry, &m, &d);
    int code = rc ? cli_fail("fill", rc, &d) : dry ? 0 : -1;
    if (!rc && dry && q->json)
        plan_json(&m, dry);
    else if (!rc)
        plan_text(&m, dry, zh, dry ? stdout : stderr);
    work_close(&w);
    return code;
}

static int fill(const struct fill_request *q, const struct work_options *o)
{
    struct diag d = {0};
    struct work w = {0};
    int code = q->migrate ? migrate(q, o) : -1;

    if (code >= 0)
        return code;
    enum err rc = work_open(&w, o, &d);
    if (rc)
        return cli_fail("fill", rc, &d);
    bool zh = q->lang ? cli_chinese(q->lang) : work_is_chinese(w.start.language);
    code = 0;
    if (q->answers) {
        tell_notes(&w, 0);
        interview_alerts(&w, 0, zh, stderr);
        code = scripted(&w, q, zh);
    } else {
        interview_run(&w, zh);
    }
    work_close(&w);
    return code;
}

static bool usage_holds(const struct fill_request *q, struct diag *d)
{
    const char *wrong =
        !q->answers && !q->dry_run && (q->draft || q->json) ? "--draft and --json go with --answers FILE"
        : q->dry_run && !q->migrate                         ? "--dry-run goes with --migrate"
        : q->reason && !q->edit                             ? "--reason goes with --edit"
        : q->edit && (q->household || q->fresh || q->type || q->migrate)
            ? "--edit names the visit itself: --household, --new, --type and --migrate do not "
              "go with it"
            : NULL;
    if (wrong)
        (void)diag_set(d, ERR_USAGE, "%s", wrong);
    return !wrong;
}

static int run_fill(int argc, char **argv, struct seam *seam)
{
    struct fill_request q = {0};
    const char *args[1];
    const struct cli_option options[] = {
        {"--household", "CODE", "the household that is visited", &q.household},
        {"--answers", "FILE", "take the answers from a script: REF<TAB>VALUE lines", &q.answers},
        {"--draft", NULL, "with --answers: leave the interview a draft", &q.draft},
        {"--edit", "CODE|ID", "correct what was sent: a household's newest visit, or an instanceID", &q.edit},
        {"--reason", "TEXT", "with --edit: why, where the form wants to know", &q.reason},
        {"--migrate", NULL, "take the draft over to the newest version of the form", &q.migrate},
        {"--dry-run", NULL, "with --migrate: only say what would become of each answer", &q.dry_run},
        {"--position", "POINT", "\"LAT LON [ALT [ACC]]\", for forms that ask the device", &q.position},
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
    if (!usage_holds(&q, &d))
        return cli_fail("fill", ERR_USAGE, &d);
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
                                       .fresh = q.fresh != NULL,
                                       .edit = q.edit,
                                       .reason = q.reason,
                                       .position = q.position};
        code = fill(&q, &o);
    }
    store_close(store);
    arena_free(&a);
    return code;
}

const struct cli_command command_fill = {
    .name = "fill",
    .arguments = "FORM [--household CODE | --edit CODE|ID] [--answers FILE]",
    .summary = "hold an interview, in the terminal or from a script",
    .example = "doorstep fill household_monitoring --household H0001",
    .run = run_fill,
};
