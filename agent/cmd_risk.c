/* `doorstep risk judge`: one household by one rule pack, with the reasons, from files alone. Nothing is kept
 * and no store is opened: what a pack's author tries rules with, and what anybody can check a finding by. The
 * same code as at the door and at the centre.
 */
#include "agent/cli.h"
#include "agent/cmd_risk.h"
#include "agent/form_file.h"
#include "agent/script.h"
#include "platform/base/civil.h"
#include "platform/base/json.h"
#include "platform/posix/posix_seam.h"
#include "risk/what_if.h"

#include <stdio.h>
#include <string.h>

#define FILE_BYTES_MAX (256u << 20)
#define RESOURCES_MAX 64

static const struct cli_command command_judge = {
    .name = "risk judge",
    .arguments = "FORM PACK (--answers FILE | --xml FILE)",
    .summary = "judge a household by a rule pack and say why",
    .example = "doorstep risk judge monitoring.xform.xml pack.cn.json --answers answers/trouble.tsv --area "
               "990101002205 --lang en",
};

static const struct cli_command command_what_if = {
    .name = "risk what-if",
    .arguments = "FORM PACK (--answers FILE | --xml FILE)",
    .summary = "show which answers decide what is found",
    .example = "doorstep risk what-if monitoring.xform.xml pack.cn.json --answers answers/trouble.tsv --area "
               "990101002205 --lang en",
};

struct risk_request {
    const char *form, *pack;
    const char *answers, *xml, *prev, *dept, *household, *area, *date, *json, *lang, *tz;
};

struct risk_job {
    struct risk_request q;
    struct seam *seam;
    struct arena a;
    struct session_host host;
    const struct zone *zone;
    int64_t now_ms;
    const struct form *form;
    const struct pack *pack;
    struct session *now, *prev;
    struct saved_interview earlier;
    struct buf resources[RESOURCES_MAX];
    uint32_t resource_count;
};

/* -- the session's host ----------------------------------------------------------------------------- */

static int64_t host_now(void *self)
{
    return ((struct risk_job *)self)->now_ms;
}

static enum err host_random(void *self, void *out, size_t n)
{
    struct risk_job *j = self;
    return j->seam->random(j->seam->self, out, n);
}

static enum err read_file(struct risk_job *j, const char *path, struct buf *out, struct diag *d)
{
    return risk_file_read(j->seam, path, FILE_BYTES_MAX, out, d);
}

/* Lists lie beside the form, under the last part of their address. */
static enum err host_resource(void *self, struct str uri, struct str *bytes_out, struct diag *d)
{
    struct risk_job *j = self;
    struct buf path;
    const char *slash = strrchr(j->q.form, '/');
    size_t name = uri.n;
    while (name > 0 && uri.p[name - 1] != '/')
        name--;
    if (j->resource_count == RESOURCES_MAX || name == uri.n)
        return diag_set(d, ERR_NOT_FOUND, "the list %.*s cannot be found", STR_ARG(uri));
    buf_init(&path, 1u << 16);
    if (slash)
        buf_put(&path, j->q.form, (size_t)(slash - j->q.form) + 1);
    buf_put_str(&path, str_sub(uri, name, uri.n));
    struct buf *out = &j->resources[j->resource_count++];
    enum err rc = path.failed ? path.failed : read_file(j, path.p, out, d);
    buf_free(&path);
    *bytes_out = buf_str(out);
    return rc;
}

/* -- reading ---------------------------------------------------------------------------------------- */

void risk_print_findings(const char *file, const struct form_findings *f)
{
    for (uint32_t i = 0; i < f->list.count; i++) {
        const struct form_finding *one = &f->list.at[i];
        fprintf(stderr, "%s: %s:%u: %.*s%s%.*s\n", one->severity == FINDING_ERROR ? "error" : "warning", file,
                one->line, STR_ARG(one->node), one->node.n ? ": " : "", STR_ARG(one->text));
    }
}

static enum err load_form(struct risk_job *j, struct diag *d)
{
    struct buf text = {0};
    struct form_findings findings = {0};
    enum err rc = form_file_read(j->seam, j->q.form, &j->a, &text, NULL, NULL, &findings, d);
    risk_print_findings(j->q.form, &findings);
    if (!rc) {
        rc = form_load(&j->a, buf_str(&text), &j->form, &findings, d);
        risk_print_findings(j->q.form, &findings);
    }
    buf_free(&text);
    return rc;
}

static enum err load_pack(struct risk_job *j, struct diag *d)
{
    struct buf text = {0};
    struct form_findings findings = {0};
    enum err rc = read_file(j, j->q.pack, &text, d);
    if (!rc)
        rc = pack_load(&j->a, buf_str(&text), j->form, &j->pack, &findings, d);
    risk_print_findings(j->q.pack, &findings);
    buf_free(&text);
    return rc;
}

static enum err read_submission(struct risk_job *j, const char *path, struct saved_interview *out,
                                struct diag *d)
{
    struct buf text = {0};
    enum err rc = read_file(j, path, &text, d);
    if (!rc)
        rc = submission_read(&j->a, j->form, buf_str(&text), 1, out, d);
    buf_free(&text);
    return rc;
}

static enum err open_session(struct risk_job *j, const struct saved_interview *saved, bool revisit,
                             struct session **out, struct diag *d)
{
    struct session_options o = {.form = j->form, .host = &j->host, .row_key_next = 1};
    if (saved) {
        o.resume = true;
        o.revisit = revisit;
        o.rows = saved->rows;
        o.row_count = saved->row_count;
        o.cells = saved->cells;
        o.cell_count = saved->cell_count;
        o.row_key_next = saved->row_count + 1;
    }
    return session_open(&j->a, &o, out, d);
}

static enum err run_answers(struct risk_job *j, struct diag *d)
{
    struct buf text = {0};
    struct script script = {.form = j->form, .session = j->now, .a = &j->a, .file = j->q.answers};
    enum err rc = read_file(j, j->q.answers, &text, d);
    if (!rc)
        rc = script_run(&script, buf_str(&text), d);
    buf_free(&text);
    return rc;
}

/* An earlier visit and a script: the script is what has changed since. An earlier visit and a submission:
 * rows belong together by their order. */
static enum err open_sessions(struct risk_job *j, struct diag *d)
{
    struct saved_interview now = {0};
    enum err rc = ERR_OK;
    if (j->q.prev)
        rc = read_submission(j, j->q.prev, &j->earlier, d);
    if (!rc && j->q.prev)
        rc = open_session(j, &j->earlier, false, &j->prev, d);
    if (!rc && j->q.xml)
        rc = read_submission(j, j->q.xml, &now, d);
    if (rc)
        return rc;
    if (j->q.xml)
        return open_session(j, &now, false, &j->now, d);
    rc = open_session(j, j->q.prev ? &j->earlier : NULL, true, &j->now, d);
    return rc ? rc : run_answers(j, d);
}

/* -- department values ------------------------------------------------------------------------------ */

static void put_value(struct buf *out, const struct json *v)
{
    switch (v->type) {
    case JSON_STRING: buf_put_json(out, v->text); break;
    case JSON_NUMBER: buf_put_str(out, v->text); break;
    case JSON_BOOL: buf_put_z(out, v->boolean ? "true" : "false"); break;
    default: buf_put_z(out, "null"); break;
    }
}

static void put_record(struct buf *out, const struct json *record)
{
    const struct json *values = json_get(record, "values");
    for (const struct json *v = values ? values->child : NULL; v; v = v->next) {
        buf_put_char(out, out->n ? ',' : '{');
        buf_put_json(out, v->name);
        buf_put_z(out, ":{\"value\":");
        put_value(out, v);
        buf_put_z(out, ",\"as_of\":");
        buf_put_json(out, json_text(record, "as_of"));
        buf_put_z(out, ",\"source\":");
        buf_put_json(out, json_text(record, "source"));
        buf_put_char(out, '}');
    }
}

/* A file of records of many households: those of one become one object. */
static enum err gather_records(struct risk_job *j, const struct json *records, struct buf *out,
                               struct diag *d)
{
    const struct json *first = json_at(records, 0);
    struct str code = j->q.household ? str_of(j->q.household) : json_text(first, "household");
    uint32_t found = 0;
    for (const struct json *r = records->child; r; r = r->next) {
        bool same = str_eq(json_text(r, "household"), code);
        if (!same && !j->q.household)
            return diag_set(d, ERR_USAGE, "%s speaks of several households: say which with --household",
                            j->q.dept);
        if (same)
            put_record(out, r);
        found += same;
    }
    if (j->q.household && !found)
        return diag_set(d, ERR_NOT_FOUND, "%s has no record of the household %s", j->q.dept, j->q.household);
    buf_put_z(out, out->n ? "}" : "{}");
    return out->failed;
}

static enum err read_dept(struct risk_job *j, struct str *out, struct diag *d)
{
    struct buf text = {0}, one = {0};
    const struct json *root = NULL;
    *out = STR("");
    if (!j->q.dept)
        return ERR_OK;
    buf_init(&one, FILE_BYTES_MAX);
    enum err rc = read_file(j, j->q.dept, &text, d);
    if (!rc)
        rc = json_read(&j->a, buf_str(&text), &root, d);
    const struct json *records = rc ? NULL : json_get(root, "records");
    if (records && records->type == JSON_ARRAY)
        rc = gather_records(j, records, &one, d);
    if (!rc) {
        *out = arena_str(&j->a, records ? buf_str(&one) : buf_str(&text));
        rc = out->p ? ERR_OK : ERR_NOMEM;
    }
    buf_free(&one);
    buf_free(&text);
    return rc;
}

/* -- the day ---------------------------------------------------------------------------------------- */

/* --date, else now. The form's own today() is the same day. */
static enum err set_clock(struct risk_job *j, struct diag *d)
{
    struct civil c = {0};
    enum err rc = posix_zone_load(&j->a, j->q.tz, &j->zone, d);
    j->now_ms = j->seam->wall_ms(j->seam->self);
    if (rc || !j->q.date)
        return rc;
    if (!civil_read_date(str_of(j->q.date), &c))
        return diag_set(d, ERR_USAGE, "--date wants a day such as 2026-11-23, not \"%s\"", j->q.date);
    c.has_date = c.has_time = true;
    c.hour = 12;
    j->now_ms = civil_instant_ms(&c, j->zone);
    return ERR_OK;
}

/* A submission is judged for the day it was made, unless --date says otherwise. */
static int64_t day_of_visit(struct risk_job *j)
{
    struct civil c = civil_at(j->now_ms, j->zone);
    struct place p;
    struct diag quiet = {0};
    struct str path = pack_date_path(j->pack);
    if (j->q.xml && !j->q.date && path.n && session_place(j->now, path, &p, &quiet) == ERR_OK) {
        struct civil said;
        if (civil_read_date(session_value(j->now, p, NULL), &said))
            c = said;
    }
    return civil_days(c.year, c.month, c.day);
}

/* -- the command ------------------------------------------------------------------------------------ */

static enum err prepare(struct risk_job *j, struct judge_input *in, struct diag *d)
{
    enum err rc = set_clock(j, d);
    if (!rc)
        rc = load_form(j, d);
    if (!rc)
        rc = load_pack(j, d);
    if (!rc)
        rc = open_sessions(j, d);
    if (!rc)
        rc = read_dept(j, &in->dept, d);
    if (rc)
        return rc;
    in->now = j->now;
    in->prev = j->prev;
    in->area = j->q.area ? str_of(j->q.area) : STR("");
    in->today = day_of_visit(j);
    return ERR_OK;
}

static enum err judge(struct risk_job *j, struct buf *out, struct diag *d)
{
    struct judge_input in = {0};
    struct judgement result;
    enum err rc = prepare(j, &in, d);
    if (!rc)
        rc = judge_household(&j->a, j->pack, &in, &result, d);
    if (rc)
        return rc;
    if (j->q.json) {
        judgement_json(&result, out);
        buf_put_char(out, '\n');
    } else {
        judgement_text(&result, cli_chinese(j->q.lang) ? STR("zh") : STR("en"), out);
    }
    return out->failed;
}

/* -- what if ---------------------------------------------------------------------------------------- */

static const char *level_text(struct str level, bool zh)
{
    static const struct {
        const char *level, *zh, *en;
    } words[] = {{"red", "立即", "now"},
                 {"yellow", "7天内", "within 7 days"},
                 {"blue", "下轮", "next round"},
                 {"unknown", "有项目无法判断", "cannot judge all"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_eq_z(level, words[i].level))
            return zh ? words[i].zh : words[i].en;
    return zh ? "没有线索" : "no lead";
}

static void put_what_if(const struct what_if *w, bool zh, struct buf *out)
{
    struct str from = w->from.n ? w->from : zh ? STR("（空）") : STR("(blank)");
    buf_printf(out,
               zh ? "%.*s（%.*s）\n  由 %.*s 改为 %.*s：" : "%.*s (%.*s)\n  %.*s -> %.*s:", STR_ARG(w->label),
               STR_ARG(w->ref), STR_ARG(from), STR_ARG(w->to));
    if (w->gone.n)
        buf_printf(out, zh ? " 不再有 %.*s" : " no longer %.*s", STR_ARG(w->gone));
    if (w->come.n)
        buf_printf(out, zh ? " 新增 %.*s" : " now %.*s", STR_ARG(w->come));
    if (!str_eq(w->level_from, w->level_to))
        buf_printf(out, zh ? "；级别由“%s”变为“%s”" : "; level \"%s\" -> \"%s\"",
                   level_text(w->level_from, zh), level_text(w->level_to, zh));
    buf_put_char(out, '\n');
}

static void put_what_if_json(const struct what_if *w, struct buf *out)
{
    const struct {
        const char *name;
        struct str value;
    } members[] = {{"ref", w->ref},   {"from", w->from}, {"to", w->to},
                   {"gone", w->gone}, {"come", w->come}, {"level", w->level_to}};
    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
        buf_printf(out, "%c\"%s\":", i ? ',' : '{', members[i].name);
        buf_put_json(out, members[i].value);
    }
    buf_put_z(out, "}\n");
}

/* The form's language for "zh" or "en", by the code in brackets of its name; else its default. */
static uint32_t language_of(const struct form *f, bool zh)
{
    for (uint32_t i = 0; i < form_language_count(f); i++)
        if (str_find(form_language(f, i), zh ? STR("(zh") : STR("(en")) >= 0)
            return i;
    return form_language_default(f);
}

/* The interview as it now stands, to be opened again and again. */
static enum err saved_now(struct risk_job *j, struct session_options *o, struct diag *d)
{
    struct saved_interview *saved = ARENA_NEW(&j->a, struct saved_interview);
    struct buf xml;
    if (!saved)
        return ERR_NOMEM;
    buf_init(&xml, FILE_BYTES_MAX);
    enum err rc = session_xml(j->now, true, &xml, d);
    if (!rc)
        rc = submission_read(&j->a, j->form, buf_str(&xml), 1, saved, d);
    buf_free(&xml);
    *o = (struct session_options){.form = j->form,
                                  .host = &j->host,
                                  .resume = true,
                                  .rows = saved->rows,
                                  .row_count = saved->row_count,
                                  .cells = saved->cells,
                                  .cell_count = saved->cell_count,
                                  .row_key_next = saved->row_count + 1,
                                  .language = language_of(j->form, cli_chinese(j->q.lang))};
    return rc;
}

static enum err what_if(struct risk_job *j, struct buf *out, struct diag *d)
{
    struct judge_input in = {0};
    struct session_options o = {0};
    struct what_if *found = NULL;
    uint32_t count = 0;
    bool zh = cli_chinese(j->q.lang);
    enum err rc = prepare(j, &in, d);
    if (!rc)
        rc = saved_now(j, &o, d);
    if (!rc)
        rc = what_if_run(&j->a, j->pack, &o, &in, &found, &count, d);
    for (uint32_t i = 0; !rc && i < count; i++) {
        if (j->q.json)
            put_what_if_json(&found[i], out);
        else
            put_what_if(&found[i], zh, out);
    }
    if (!rc && !j->q.json)
        buf_put_z(out, zh ? "\n这些答案决定结果，先核实它们；不是用来挑选答案的。\n"
                          : "\nThese answers decide what is found: verify them first. They are not there to "
                            "be chosen.\n");
    return rc ? rc : out->failed;
}

static int run_on_files(const struct risk_request *q, struct seam *seam, const char *name,
                        enum err (*run)(struct risk_job *j, struct buf *out, struct diag *d))
{
    struct risk_job j = {.q = *q, .seam = seam};
    struct diag d = {0};
    struct buf out;
    arena_init(&j.a, (size_t)1 << 30);
    buf_init(&out, FILE_BYTES_MAX);
    j.host = (struct session_host){.self = &j,
                                   .now_ms = host_now,
                                   .random = host_random,
                                   .resource = host_resource};
    enum err rc = run(&j, &out, &d);
    if (!rc && out.n && fwrite(out.p, 1, out.n, stdout) != out.n)
        rc = diag_set(&d, ERR_IO, "the findings could not be written to standard output");
    int code = rc ? cli_fail(name, rc, &d) : 0;
    session_close(j.now);
    session_close(j.prev);
    for (uint32_t i = 0; i < j.resource_count; i++)
        buf_free(&j.resources[i]);
    buf_free(&out);
    arena_free(&j.a);
    return code;
}

static int on_files(int argc, char **argv, struct seam *seam, const struct cli_command *c,
                    enum err (*run)(struct risk_job *j, struct buf *out, struct diag *d))
{
    struct risk_request q = {0};
    const char *arguments[2];
    int count = 0;
    const struct cli_option options[] = {
        {"--answers", "FILE", "a script of answers: REF<TAB>VALUE lines", &q.answers},
        {"--xml", "FILE", "a submission", &q.xml},
        {"--prev", "FILE", "the submission of the visit before", &q.prev},
        {"--dept", "FILE", "what departments hold: an object of values, or a file of records", &q.dept},
        {"--household", "CODE", "whose records, when the file has several households", &q.household},
        {"--area", "CODE", "area code of the village, for parameters", &q.area},
        {"--date", "ISO", "the day of the visit; else that of the submission, else today", &q.date},
        {"--tz", "ZONE", "time zone, such as Asia/Shanghai", &q.tz},
        {"--json", NULL, "as one JSON object", &q.json},
        {"--lang", "zh|en", "language of the findings", &q.lang},
    };
    int code = cli_parse(c, options, (int)(sizeof(options) / sizeof(*options)), argc, argv, arguments, 2, 2,
                         &count);
    if (code >= 0)
        return code;
    q.form = arguments[0];
    q.pack = arguments[1];
    if (!q.answers == !q.xml) {
        struct diag d = {0};
        diag_set(&d, ERR_USAGE, "say whom to judge: --answers FILE or --xml FILE, one of them");
        return cli_fail(c->name, ERR_USAGE, &d);
    }
    return run_on_files(&q, seam, c->name, run);
}

static int cmd_risk_judge(int argc, char **argv, struct seam *seam)
{
    return on_files(argc, argv, seam, &command_judge, judge);
}

static int cmd_risk_what_if(int argc, char **argv, struct seam *seam)
{
    return on_files(argc, argv, seam, &command_what_if, what_if);
}

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv, struct seam *seam);
} risk_commands[] = {
    {"judge", "judge a household by a rule pack and say why", cmd_risk_judge},
    {"what-if", "show which answers decide what is found", cmd_risk_what_if},
    {"score", "score the households of a table by a pack", cmd_risk_score},
    {"quality", "look for signs of poor data in a table", cmd_risk_quality},
    {"backtest", "compare a pack's flags with what happened", cmd_risk_backtest},
    {"simulate", "ask an invented village what a pack finds", cmd_risk_simulate},
};

static void print_commands(FILE *to)
{
    fprintf(to, "doorstep risk COMMAND: what rule packs say about households\n\n");
    for (size_t i = 0; i < sizeof(risk_commands) / sizeof(*risk_commands); i++)
        fprintf(to, "  %-9s %s\n", risk_commands[i].name, risk_commands[i].summary);
    fprintf(to, "\nEach explains itself: doorstep risk judge --help\n");
}

int cmd_risk(int argc, char **argv, struct seam *seam)
{
    const char *name = argc > 1 ? argv[1] : "--help";
    for (size_t i = 0; i < sizeof(risk_commands) / sizeof(*risk_commands); i++)
        if (strcmp(name, risk_commands[i].name) == 0)
            return risk_commands[i].run(argc - 1, argv + 1, seam);
    bool help = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    if (!help)
        fprintf(stderr, "doorstep risk: there is no \"%s\"\n", name);
    print_commands(help ? stdout : stderr);
    return help ? 0 : err_action(ERR_USAGE)->exit_code;
}
