/* `doorstep risk backtest`: how well a pack's flags would have found the households whose label says that
 * they were in need. A household may stand in several lines, one for each visit: it is flagged from the first
 * line in which it is. Files alone; nothing is kept.
 */
#include "agent/cli.h"
#include "agent/cmd_risk.h"
#include "risk/table_read.h"
#include "platform/base/civil.h"
#include "platform/base/map.h"
#include "risk/backtest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct cli_command command_backtest = {
    .name = "risk backtest",
    .arguments = "PACK DATA.csv --label COLUMN",
    .summary = "compare a pack's flags with what happened",
    .example = "doorstep risk backtest pack.json panel.csv --map map.json --label in_need --baseline listed "
               "--group township",
};

enum extra { EXTRA_LABEL, EXTRA_BASELINE, EXTRA_GROUP, EXTRA_ONSET, EXTRAS };

struct backtest_job {
    struct seam *seam;
    struct arena a, line;
    const char *pack_path, *data, *map, *lookup, *date, *flag, *score, *json, *lang;
    const char *named[EXTRAS]; /* columns asked for, NULL = not */
    const struct pack *pack;
    uint32_t place[EXTRAS]; /* of each in a line's extras, UINT32_MAX = not there */
    const char *extras[EXTRAS];
    uint32_t extra_count;
    struct map households;
    VEC(struct backtest_household) at;
    struct buf out;
};

/* 1, yes, true and 是 against 0, no, false and 否; anything else is no answer. */
static bool truth_of(struct str s, bool *out)
{
    static const char *const yes[] = {"1", "yes", "true", "Yes", "TRUE", "True", "是"};
    static const char *const no[] = {"0", "no", "false", "No", "FALSE", "False", "否"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
        if (str_eq_z(s, yes[i]) || str_eq_z(s, no[i])) {
            *out = str_eq_z(s, yes[i]);
            return true;
        }
    return false;
}

static struct str extra(const struct backtest_job *j, const struct table_line *line, enum extra which)
{
    return j->place[which] == UINT32_MAX ? STR("") : line->extras[j->place[which]];
}

/* A result by its name; the pack's level when none is named. */
static enum err flagged(const struct backtest_job *j, const struct table_judgement *t, bool *out,
                        struct diag *d)
{
    static const char *const levels[] = {"none", "blue", "yellow", "red"};
    for (int i = SEVERITY_BLUE; i <= SEVERITY_RED; i++)
        if (strcmp(j->flag, levels[i]) == 0) {
            *out = (int)t->judgement.level >= i;
            return ERR_OK;
        }
    for (uint32_t i = 0; i < t->result_count; i++)
        if (str_eq_z(t->results[i].name, j->flag)) {
            *out = t->results[i].number > 0;
            return ERR_OK;
        }
    return diag_set(d, ERR_USAGE, "--flag wants blue, yellow, red or a result of the pack, not \"%s\"",
                    j->flag);
}

static enum err score_of(const struct backtest_job *j, const struct table_judgement *t, double *out,
                         struct diag *d)
{
    *out = NAN;
    for (uint32_t i = 0; j->score && i < t->result_count; i++)
        if (str_eq_z(t->results[i].name, j->score)) {
            *out = t->results[i].number;
            return ERR_OK;
        }
    return j->score ? diag_set(d, ERR_USAGE, "the pack has no result \"%s\"", j->score) : ERR_OK;
}

static int64_t day_of(struct str s)
{
    struct civil c = {0};
    return civil_read_date(s, &c) ? civil_days(c.year, c.month, c.day) : INT64_MIN;
}

static enum err household_of(struct backtest_job *j, struct str key, struct backtest_household **out,
                             struct diag *d)
{
    uint32_t i;
    if (map_get(&j->households, key, &i)) {
        *out = &j->at.at[i];
        return ERR_OK;
    }
    struct str kept = arena_str(&j->a, key);
    struct backtest_household *h = vec_push(&j->a, &j->at);
    if (!h || !kept.p || map_put(&j->households, kept, j->at.count - 1))
        return diag_set(d, ERR_NOMEM, "there is no memory left for the households");
    *h = (struct backtest_household){.score = NAN, .flagged_day = INT64_MIN, .onset_day = INT64_MIN};
    h->group = STR("");
    *out = h;
    return ERR_OK;
}

static enum err add_line(struct backtest_job *j, const struct table_line *line,
                         const struct table_judgement *t, struct diag *d)
{
    struct backtest_household *h = NULL;
    struct str label = extra(j, line, EXTRA_LABEL), group = extra(j, line, EXTRA_GROUP);
    bool truth = false, baseline = false, flag = false;
    double score = NAN;
    if (!truth_of(label, &truth))
        return diag_set(d, ERR_SYNTAX, "%s:%u: the label \"%.*s\" is neither yes nor no (1, 0)", j->data,
                        line->line, STR_ARG(label));
    enum err rc = household_of(j, line->key, &h, d);
    if (!rc)
        rc = flagged(j, t, &flag, d);
    if (!rc)
        rc = score_of(j, t, &score, d);
    if (rc)
        return rc;
    if (flag && !h->flagged)
        h->flagged_day = line->household.today;
    h->flagged = h->flagged || flag;
    h->truth = h->truth || truth;
    if (truth_of(extra(j, line, EXTRA_BASELINE), &baseline)) {
        h->has_baseline = true;
        h->baseline = h->baseline || baseline;
    }
    if (!isnan(score) && (isnan(h->score) || score > h->score))
        h->score = score;
    int64_t onset = day_of(extra(j, line, EXTRA_ONSET));
    if (onset != INT64_MIN)
        h->onset_day = onset;
    if (h->group.n == 0 && group.n) {
        h->group = arena_str(&j->a, group);
        if (!h->group.p)
            return diag_set(d, ERR_NOMEM, "there is no memory left for the groups");
    }
    return ERR_OK;
}

static enum err read_all(struct backtest_job *j, int64_t today, struct diag *d)
{
    struct table_file *file = NULL;
    bool more = true;
    enum err rc = table_open(&j->a, &(struct table_files){j->seam->self, j->seam->file_read}, j->pack,
                             j->data, j->map, j->extras, j->extra_count, today, &file, d);
    while (!rc && more) {
        struct arena_mark mark = arena_mark(&j->line);
        struct table_line line;
        struct table_judgement t;
        rc = table_next(file, &j->line, &line, &more, d);
        if (!rc && more)
            rc = table_judge(&j->line, j->pack, &line.household, &t, d);
        if (!rc && more)
            rc = add_line(j, &line, &t, d);
        arena_release(&j->line, mark);
    }
    table_close(file);
    return rc;
}

static enum err run(struct backtest_job *j, struct diag *d)
{
    struct backtest result;
    int64_t today = 0;
    enum err rc = risk_day(j->seam, j->date, &today, d);
    if (!rc)
        rc = risk_table_pack(&j->a, j->seam, j->pack_path, j->lookup, &j->pack, d);
    if (!rc)
        rc = read_all(j, today, d);
    if (!rc && backtest_run(&j->a, j->at.at, j->at.count, &result))
        rc = diag_set(d, ERR_NOMEM, "there is no memory left for the comparison");
    if (rc)
        return rc;
    if (j->json) {
        backtest_json(&result, &j->out);
        buf_put_char(&j->out, '\n');
    } else {
        backtest_text(&result, cli_chinese(j->lang) ? STR("zh") : STR("en"), &j->out);
    }
    if (j->out.failed || fwrite(j->out.p, 1, j->out.n, stdout) != j->out.n)
        return diag_set(d, ERR_IO, "the results could not be written to standard output");
    return ERR_OK;
}

int cmd_risk_backtest(int argc, char **argv, struct seam *seam)
{
    struct backtest_job j = {.seam = seam, .flag = "yellow"};
    const char *arguments[2];
    int count = 0;
    const struct cli_option options[] = {
        {"--label", "COLUMN", "who was in need: yes or no, 1 or 0", &j.named[EXTRA_LABEL]},
        {"--map", "FILE", "which column is which input, as JSON; its key and date join visits", &j.map},
        {"--flag", "LEVEL", "flagged from blue, yellow or red on, or by a result; else yellow", &j.flag},
        {"--baseline", "COLUMN", "what people or the old way said: yes or no", &j.named[EXTRA_BASELINE]},
        {"--group", "COLUMN", "rates for each group too", &j.named[EXTRA_GROUP]},
        {"--onset", "COLUMN", "the day on which the need began", &j.named[EXTRA_ONSET]},
        {"--score", "RESULT", "a result whose AUC is wanted", &j.score},
        {"--lookup", "NAME=FILE", "a look-up table of the pack", &j.lookup},
        {"--date", "ISO", "the day for parameters and ages; else today", &j.date},
        {"--json", NULL, "as one JSON object", &j.json},
        {"--lang", "zh|en", "language of the table", &j.lang},
    };
    struct diag d = {0};
    int code = cli_parse(&command_backtest, options, (int)(sizeof(options) / sizeof(*options)), argc, argv,
                         arguments, 2, 2, &count);
    if (code >= 0)
        return code;
    if (!j.named[EXTRA_LABEL]) {
        diag_set(&d, ERR_USAGE, "name the column of the label: --label COLUMN");
        return cli_fail("risk backtest", ERR_USAGE, &d);
    }
    for (int i = 0; i < EXTRAS; i++) {
        j.place[i] = j.named[i] ? j.extra_count : UINT32_MAX;
        if (j.named[i])
            j.extras[j.extra_count++] = j.named[i];
    }
    j.pack_path = arguments[0];
    j.data = arguments[1];
    arena_init(&j.a, ARENA_GIB(4));
    arena_init(&j.line, (size_t)64 << 20);
    buf_init(&j.out, 64u << 20);
    map_init(&j.households, &j.a);
    enum err rc = run(&j, &d);
    code = rc ? cli_fail("risk backtest", rc, &d) : 0;
    buf_free(&j.out);
    arena_free(&j.line);
    arena_free(&j.a);
    return code;
}
