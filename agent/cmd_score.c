/* `doorstep risk score`: a pack over a table, one line of results for each household, or the totals over all
 * of them. Files alone; nothing is kept.
 */
#include "agent/cli.h"
#include "agent/cmd_risk.h"
#include "risk/table_read.h"
#include "platform/base/civil.h"

#include <stdio.h>
#include <string.h>

#define PACK_FILE_MAX (16u << 20)
#define LOOKUPS_MAX 16
#define FLUSH_BYTES 65536

static const struct cli_command command_score = {
    .name = "risk score",
    .arguments = "PACK DATA.csv",
    .summary = "score the households of a table by a pack",
    .example = "doorstep risk score examples/scores/fcs.json survey.csv --map map.json",
};

struct score_job {
    struct seam *seam;
    struct arena a, line;
    const char *pack_path, *data, *map, *lookup, *date, *totals, *json;
    const struct pack *pack;
    struct table_file *file;
    struct buf out;
    uint64_t households;
    double *sums, *weights; /* by total */
};

enum err risk_file_read(struct seam *seam, const char *path, size_t max, struct buf *out, struct diag *d)
{
    buf_init(out, max);
    enum err rc = seam->file_read(seam->self, path, out, d);
    return rc == ERR_NOT_FOUND ? diag_set(d, rc, "there is no file %s", path) : rc;
}

/* "NAME=FILE,NAME=FILE" */
static enum err read_lookups(struct arena *a, struct seam *seam, const char *option,
                             struct pack_lookup_file files[LOOKUPS_MAX], uint32_t *count_out, struct diag *d)
{
    struct str rest = str_of(option ? option : ""), one;
    *count_out = 0;
    while (rest.n && str_split(&rest, ',', &one)) {
        struct str name, text = one;
        struct buf bytes;
        if (*count_out == LOOKUPS_MAX || !str_split(&text, '=', &name) || !name.n || !text.n)
            return diag_set(d, ERR_USAGE, "--lookup wants NAME=FILE.csv, at most %d of them with commas",
                            LOOKUPS_MAX);
        char *path = arena_alloc(a, text.n + 1);
        if (!path)
            return diag_set(d, ERR_NOMEM, "there is no memory left for the look-up tables");
        memcpy(path, text.p, text.n);
        path[text.n] = 0;
        enum err rc = risk_file_read(seam, path, PACK_FILE_MAX, &bytes, d);
        files[*count_out] = (struct pack_lookup_file){name, rc ? STR("") : arena_str(a, buf_str(&bytes))};
        buf_free(&bytes);
        if (rc)
            return rc;
        (*count_out)++;
    }
    return ERR_OK;
}

enum err risk_table_pack(struct arena *a, struct seam *seam, const char *path, const char *lookup,
                         const struct pack **out, struct diag *d)
{
    struct pack_lookup_file files[LOOKUPS_MAX];
    struct form_findings findings = {0};
    struct buf text = {0};
    uint32_t count = 0;
    enum err rc = read_lookups(a, seam, lookup, files, &count, d);
    if (!rc)
        rc = risk_file_read(seam, path, PACK_FILE_MAX, &text, d);
    if (!rc)
        rc = pack_load_table(a, buf_str(&text), files, count, out, &findings, d);
    risk_print_findings(path, &findings);
    buf_free(&text);
    return rc;
}

enum err risk_day(struct seam *seam, const char *date, int64_t *day_out, struct diag *d)
{
    struct civil c = {0};
    if (!date) {
        *day_out = seam->wall_ms(seam->self) / 86400000;
        return ERR_OK;
    }
    if (!civil_read_date(str_of(date), &c))
        return diag_set(d, ERR_USAGE, "--date wants a day such as 2026-11-23, not \"%s\"", date);
    *day_out = civil_days(c.year, c.month, c.day);
    return ERR_OK;
}

/* -- output ----------------------------------------------------------------------------------------- */

static enum err flush(struct score_job *j, bool last, struct diag *d)
{
    if (j->out.failed)
        return diag_set(d, j->out.failed, "there is no memory left for the results");
    if (j->out.n < FLUSH_BYTES && !last)
        return ERR_OK;
    if (j->out.n && fwrite(j->out.p, 1, j->out.n, stdout) != j->out.n)
        return diag_set(d, ERR_IO, "the results could not be written to standard output");
    j->out.n = 0;
    return ERR_OK;
}

static void put_header(struct score_job *j, const struct table_judgement *t)
{
    buf_put_z(&j->out, "household");
    for (uint32_t i = 0; i < t->result_count; i++) {
        buf_put_char(&j->out, ',');
        buf_put_csv(&j->out, t->results[i].name);
    }
    buf_put_char(&j->out, '\n');
}

static void put_line(struct score_job *j, struct str key, const struct table_judgement *t)
{
    buf_put_csv(&j->out, key);
    for (uint32_t i = 0; i < t->result_count; i++) {
        buf_put_char(&j->out, ',');
        buf_put_csv(&j->out, t->results[i].text);
    }
    buf_put_char(&j->out, '\n');
}

static void put_object(struct score_job *j, struct str key, const struct table_judgement *t)
{
    buf_put_z(&j->out, "{\"household\":");
    buf_put_json(&j->out, key);
    for (uint32_t i = 0; i < t->result_count; i++) {
        buf_put_char(&j->out, ',');
        buf_put_json(&j->out, t->results[i].name);
        buf_put_char(&j->out, ':');
        if (t->results[i].text.n == 0)
            buf_put_z(&j->out, "null");
        else if (t->results[i].number == t->results[i].number)
            buf_put_str(&j->out, t->results[i].text);
        else
            buf_put_json(&j->out, t->results[i].text);
    }
    buf_put_z(&j->out, "}\n");
}

static void put_number(struct buf *out, double v)
{
    char text[NUM_TEXT_MAX];
    buf_put(out, text, num_write(v, text));
}

static void put_totals(struct score_job *j)
{
    if (!j->json)
        buf_put_z(&j->out, "total,value,weight\n");
    for (uint32_t i = 0; i < table_total_count(j->pack); i++) {
        struct str name = table_total(j->pack, i).name;
        double mean = j->weights[i] > 0 ? j->sums[i] / j->weights[i] : 0;
        bool known = j->weights[i] > 0;
        buf_put_z(&j->out, j->json ? "{\"total\":" : "");
        if (j->json)
            buf_put_json(&j->out, name);
        else
            buf_put_csv(&j->out, name);
        buf_put_z(&j->out, j->json ? ",\"value\":" : ",");
        if (known)
            put_number(&j->out, mean);
        else
            buf_put_z(&j->out, j->json ? "null" : "");
        buf_put_z(&j->out, j->json ? ",\"weight\":" : ",");
        put_number(&j->out, j->weights[i]);
        buf_put_z(&j->out, j->json ? "}\n" : "\n");
    }
}

/* -- the run ---------------------------------------------------------------------------------------- */

static void add_totals(struct score_job *j, const struct table_judgement *t)
{
    for (uint32_t i = 0; i < table_total_count(j->pack); i++) {
        if (!t->totals[i].counts)
            continue;
        j->sums[i] += t->totals[i].weight * t->totals[i].value;
        j->weights[i] += t->totals[i].weight;
    }
}

static enum err one_line(struct score_job *j, bool *more_out, struct diag *d)
{
    struct arena_mark mark = arena_mark(&j->line);
    struct table_line line;
    struct table_judgement result;
    enum err rc = table_next(j->file, &j->line, &line, more_out, d);
    if (!rc && *more_out) {
        rc = table_judge(&j->line, j->pack, &line.household, &result, d);
        if (!rc) {
            add_totals(j, &result);
            if (!j->households && !j->totals && !j->json)
                put_header(j, &result);
            if (!j->totals && j->json)
                put_object(j, line.key, &result);
            else if (!j->totals)
                put_line(j, line.key, &result);
            j->households++;
            rc = flush(j, false, d);
        }
    }
    arena_release(&j->line, mark);
    return rc;
}

static enum err score(struct score_job *j, struct diag *d)
{
    int64_t today = 0;
    bool more = true;
    enum err rc = risk_day(j->seam, j->date, &today, d);
    if (!rc)
        rc = risk_table_pack(&j->a, j->seam, j->pack_path, j->lookup, &j->pack, d);
    if (!rc)
        rc = table_open(&j->a, &(struct table_files){j->seam->self, j->seam->file_read}, j->pack, j->data,
                        j->map, NULL, 0, today, &j->file, d);
    if (rc)
        return rc;
    uint32_t totals = table_total_count(j->pack);
    j->sums = ARENA_ARRAY(&j->a, double, totals + 1);
    j->weights = ARENA_ARRAY(&j->a, double, totals + 1);
    if (!j->sums || !j->weights)
        return diag_set(d, ERR_NOMEM, "there is no memory left for the totals");
    while (!rc && more)
        rc = one_line(j, &more, d);
    if (!rc && j->totals)
        put_totals(j);
    if (!rc)
        rc = flush(j, true, d);
    return rc;
}

int cmd_risk_score(int argc, char **argv, struct seam *seam)
{
    struct score_job j = {.seam = seam};
    const char *arguments[2];
    int count = 0;
    const struct cli_option options[] = {
        {"--map", "FILE", "which column is which input, as JSON", &j.map},
        {"--lookup", "NAME=FILE", "a look-up table of the pack, from a file of two columns", &j.lookup},
        {"--date", "ISO", "the day for parameters and ages; else today", &j.date},
        {"--totals", NULL, "the totals over all households instead of a line for each", &j.totals},
        {"--json", NULL, "one JSON object a line", &j.json},
    };
    struct diag d = {0};
    int code = cli_parse(&command_score, options, (int)(sizeof(options) / sizeof(*options)), argc, argv,
                         arguments, 2, 2, &count);
    if (code >= 0)
        return code;
    j.pack_path = arguments[0];
    j.data = arguments[1];
    arena_init(&j.a, ARENA_GIB(2));
    arena_init(&j.line, (size_t)64 << 20);
    buf_init(&j.out, 8u << 20);
    enum err rc = score(&j, &d);
    code = rc ? cli_fail("risk score", rc, &d) : 0;
    table_close(j.file);
    buf_free(&j.out);
    arena_free(&j.line);
    arena_free(&j.a);
    return code;
}
