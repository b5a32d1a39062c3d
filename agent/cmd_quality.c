/* `doorstep risk quality`: what a table says about how its data came to be. Checks of single households are
 * those of the pack; checks over all of them are risk/quality.h. Files alone; nothing is kept.
 */
#include "agent/cli.h"
#include "agent/cmd_risk.h"
#include "risk/quality.h"

#include <stdio.h>
#include <string.h>

static const struct cli_command command_quality = {
    .name = "risk quality",
    .arguments = "PACK DATA.csv",
    .summary = "look for signs of poor data in a table",
    .example = "doorstep risk quality examples/quality.json survey.csv --map map.json --back revisit.csv",
};

struct quality_job {
    struct seam *seam;
    struct arena a, line;
    const char *pack_path, *data, *map, *back, *back_map, *date, *numbers, *json, *lang;
    const struct pack *pack;
    int64_t today;
    struct quality_data first, again;
    struct quality_report report; /* of the table; findings of households are printed as they come */
    struct buf out;
    uint64_t flags;
};

/* -- output ----------------------------------------------------------------------------------------- */

static enum err write_out(struct quality_job *j, struct diag *d)
{
    if (j->out.failed)
        return diag_set(d, j->out.failed, "there is no memory left for the results");
    if (j->out.n && fwrite(j->out.p, 1, j->out.n, stdout) != j->out.n)
        return diag_set(d, ERR_IO, "the results could not be written to standard output");
    j->out.n = 0;
    return ERR_OK;
}

static void put_fields(struct quality_job *j, const char *const *names, const struct str *values, int count)
{
    for (int i = 0; i < count; i++) {
        if (j->json) {
            buf_put_char(&j->out, i ? ',' : '{');
            buf_put_json(&j->out, str_of(names[i]));
            buf_put_char(&j->out, ':');
            buf_put_json(&j->out, values[i]);
        } else {
            buf_put_z(&j->out, i ? "," : "");
            buf_put_csv(&j->out, values[i]);
        }
    }
    buf_put_z(&j->out, j->json ? "}\n" : "\n");
}

static const char *const flag_fields[] = {"check", "severity", "household", "subject", "value", "text"};
static const char *const number_fields[] = {"check", "subject", "number", "value"};

static void put_header(struct quality_job *j, const char *const *names, int count)
{
    for (int i = 0; i < count && !j->json; i++)
        buf_printf(&j->out, "%s%s", i ? "," : "", names[i]);
    if (!j->json)
        buf_put_char(&j->out, '\n');
}

static void put_flag(struct quality_job *j, struct str check, enum severity severity, struct str key,
                     struct str subject, struct str value, struct str text)
{
    const struct str values[] = {check, str_of(severity_name(severity)), key, subject, value, text};
    j->flags++;
    if (!j->numbers)
        put_fields(j, flag_fields, values, 6);
}

static void put_report(struct quality_job *j)
{
    bool zh = cli_chinese(j->lang);
    for (uint32_t i = 0; i < j->report.flags.count; i++) {
        const struct quality_flag *f = &j->report.flags.at[i];
        put_flag(j, f->check, f->severity, f->row == UINT32_MAX ? STR("") : j->first.keys[f->row], f->subject,
                 f->value, zh ? f->text_zh : f->text_en);
    }
    for (uint32_t i = 0; i < j->report.numbers.count && j->numbers; i++) {
        const struct quality_number *n = &j->report.numbers.at[i];
        char text[NUM_TEXT_MAX];
        const struct str values[] = {n->check,
                                     n->subject,
                                     str_of(n->name),
                                     {text, num_write(n->value, text)}};
        put_fields(j, number_fields, values, 4);
    }
}

/* -- reading ---------------------------------------------------------------------------------------- */

static enum err tell_finding(void *self, struct str key, const struct finding *f, struct diag *d)
{
    struct quality_job *j = self;
    put_flag(j, f->rule, f->severity, key, STR(""), STR(""), cli_chinese(j->lang) ? f->text_zh : f->text_en);
    return j->out.n > 65536 ? write_out(j, d) : ERR_OK;
}

static enum err load(struct quality_job *j, const char *data, const char *map, struct quality_data *out,
                     bool tell, struct diag *d)
{
    const struct quality_reading q = {.a = &j->a,
                                      .line = &j->line,
                                      .pack = j->pack,
                                      .from = {j->seam->self, j->seam->file_read},
                                      .data = data,
                                      .map = map,
                                      .today = j->today,
                                      .self = j,
                                      .tell = tell ? tell_finding : NULL};
    return quality_read(&q, out, d);
}

static enum err run(struct quality_job *j, struct diag *d)
{
    enum err rc = risk_day(j->seam, j->date, &j->today, d);
    if (!rc)
        rc = risk_table_pack(&j->a, j->seam, j->pack_path, NULL, &j->pack, d);
    if (rc)
        return rc;
    put_header(j, j->numbers ? number_fields : flag_fields, j->numbers ? 4 : 6);
    rc = load(j, j->data, j->map, &j->first, true, d);
    if (!rc && j->back)
        rc = load(j, j->back, j->back_map ? j->back_map : j->map, &j->again, false, d);
    if (!rc)
        rc = quality_run(&j->a, j->pack, &j->first, j->back ? &j->again : NULL, &j->report, d);
    if (!rc)
        put_report(j);
    return rc ? rc : write_out(j, d);
}

int cmd_risk_quality(int argc, char **argv, struct seam *seam)
{
    struct quality_job j = {.seam = seam};
    const char *arguments[2];
    int count = 0;
    const struct cli_option options[] = {
        {"--map", "FILE", "which column is which input, as JSON", &j.map},
        {"--back", "FILE", "the same households asked again, for back checks", &j.back},
        {"--back-map", "FILE", "its map, when it is another", &j.back_map},
        {"--date", "ISO", "the day for parameters and ages; else today", &j.date},
        {"--numbers", NULL, "the numbers behind the checks instead of what they flag", &j.numbers},
        {"--json", NULL, "one JSON object a line", &j.json},
        {"--lang", "zh|en", "language of the texts", &j.lang},
    };
    struct diag d = {0};
    int code = cli_parse(&command_quality, options, (int)(sizeof(options) / sizeof(*options)), argc, argv,
                         arguments, 2, 2, &count);
    if (code >= 0)
        return code;
    j.pack_path = arguments[0];
    j.data = arguments[1];
    arena_init(&j.a, ARENA_GIB(4));
    arena_init(&j.line, (size_t)64 << 20);
    buf_init(&j.out, 64u << 20);
    enum err rc = run(&j, &d);
    code = rc ? cli_fail("risk quality", rc, &d) : 0;
    if (!rc)
        fprintf(stderr, "%u households, %llu flags: reasons to look again, not proof of anything\n",
                j.first.row_count, (unsigned long long)j.flags);
    buf_free(&j.out);
    arena_free(&j.line);
    arena_free(&j.a);
    return code;
}
