/* `doorstep risk simulate`: an invented village (risk/simulate.h), the form and pack of a county, and three
 * ways of finding households in need on the very same lives: rules at the visits, rules and the insurer's
 * monthly data, and people who at the same visits flag as many households by their own judgement, which is
 * swept from perfect to blind. Where people and rules find equally many is the break-even. As a table, and as
 * a plot with --out.
 */
#include "agent/cli.h"
#include "agent/cmd_risk.h"
#include "agent/form_file.h"
#include "forms/session.h"
#include "risk/backtest.h"
#include "risk/judge.h"
#include "risk/simulate.h"
#include "risk/stats.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX_BYTES (64u << 20)
#define HOUSEHOLDS_MAX 1000000
#define SEEDS_MAX 100
#define SWEEP 11        /* errors of judgement: 0, 0.1 ... 1.0, as sd of the logarithm */
#define DAYS 30         /* a month */
#define START_DAY 20454 /* 2026-01-01 */

static const struct cli_command command_simulate = {
    .name = "risk simulate",
    .arguments = "FORM PACK",
    .summary = "ask an invented village what a pack finds",
    .example = "doorstep risk simulate examples/monitoring.xform.xml examples/pack.cn.json --households 2000",
};

enum policy { POLICY_RULES, POLICY_DEPARTMENTS, POLICY_PEOPLE, POLICIES = POLICY_PEOPLE + SWEEP };

/* One policy over all seeds. */
struct outcome {
    double precision[SEEDS_MAX], recall[SEEDS_MAX], on_time[SEEDS_MAX], delay[SEEDS_MAX], visits[SEEDS_MAX],
        flagged[SEEDS_MAX];
};

struct simulation {
    struct seam *seam;
    struct arena a, one;
    const char *form_path, *pack_path, *households_text, *months_text, *seeds_text, *every_text, *flag, *out,
        *lang;
    uint32_t households, months, every, seeds;
    uint64_t first_seed;
    enum severity level;
    const struct form *form;
    const struct pack *pack;
    struct backtest_household *by_policy[POLICIES];
    double *perceived; /* by household and visit, for one error at a time */
    double *left;      /* what people would see without error */
    struct outcome outcomes[POLICIES];
    double need[SEEDS_MAX], even[SEEDS_MAX];
    uint64_t judged;
};

static int64_t no_clock(void *self)
{
    (void)self;
    return 0;
}

static enum err no_memory(struct diag *d)
{
    return diag_set(d, ERR_NOMEM, "there is no memory left for the village");
}

/* -- judging a visit -------------------------------------------------------------------------------- */

static enum err put_answers(struct simulation *s, const struct village_answer *answers, uint32_t count,
                            uint32_t members, struct session_options *o, struct diag *d)
{
    struct saved_row *rows = ARENA_ARRAY(&s->one, struct saved_row, members + 1);
    struct saved_cell *cells = ARENA_ARRAY(&s->one, struct saved_cell, count + 1);
    const struct form_field *member = form_field_by_path(s->form, STR("/monitoring/member/age"));
    if (!rows || !cells)
        return no_memory(d);
    for (uint32_t i = 0; member && i < members; i++)
        rows[i] = (struct saved_row){i + 1, 0, member->repeat, i};
    o->rows = rows;
    o->row_count = member ? members : 0;
    o->row_key_next = (uint64_t)members + 1;
    for (uint32_t i = 0; i < count; i++) {
        const struct form_field *f = form_field_by_path(s->form, str_of(answers[i].path));
        if (!f)
            return diag_set(d, ERR_NOT_FOUND,
                            "the village answers %s, which this form does not ask: it is made for "
                            "examples/monitoring.xform.xml and forms that keep its paths",
                            answers[i].path);
        cells[o->cell_count++] = (struct saved_cell){answers[i].member, f->number, answers[i].text,
                                                     ANSWER_GIVEN};
    }
    o->cells = cells;
    return ERR_OK;
}

static enum err judge_visit(struct simulation *s, struct chance *c, const struct villager_household *h,
                            uint32_t month, bool insurer, bool *hit_out, struct diag *d)
{
    const struct session_host host = {.now_ms = no_clock};
    struct village_answer answers[VILLAGE_ANSWERS_MAX];
    struct session_options o = {.form = s->form, .host = &host, .frozen = true};
    struct session *session = NULL;
    struct judgement judged;
    struct buf dept;
    struct arena_mark mark = arena_mark(&s->one);
    uint32_t count = village_answers(c, h, month, &s->one, answers);
    buf_init(&dept, 4096);
    enum err rc = put_answers(s, answers, count, h->size, &o, d);
    if (!rc)
        rc = session_open(&s->one, &o, &session, d);
    if (!rc && insurer)
        buf_printf(&dept, "{\"med_self\":%u}", (unsigned)village_insurer(h, month));
    struct judge_input in = {.now = session,
                             .dept = insurer ? buf_str(&dept) : STR(""),
                             .area = STR("990101001201"),
                             .today = START_DAY + (int64_t)(month + 1) * DAYS};
    if (!rc)
        rc = judge_household(&s->one, s->pack, &in, &judged, d);
    if (!rc)
        *hit_out = judged.level >= s->level;
    s->judged++;
    session_close(session);
    buf_free(&dept);
    arena_release(&s->one, mark);
    return rc;
}

/* -- policies --------------------------------------------------------------------------------------- */

static bool is_visit(const struct simulation *s, uint32_t month)
{
    return (month + 1) % s->every == 0;
}

/* As a county's alert: much paid this year, sooner for those who were poor. */
static bool insurer_alerts(const struct villager_household *h, uint32_t month)
{
    return village_insurer(h, month) >= (h->ex_poor ? 5000 : 20000);
}

static struct backtest_household blank(const struct villager_household *h)
{
    return (struct backtest_household){
        .truth = h->need_month >= 0,
        .group = h->elderly  ? STR("elderly")
                 : h->remote ? STR("remote")
                             : STR("other"),
        .score = NAN,
        .flagged_day = INT64_MIN,
        .onset_day = h->need_month >= 0 ? START_DAY + (int64_t)(h->need_month + 1) * DAYS : INT64_MIN,
    };
}

static void flag(struct backtest_household *b, uint32_t month)
{
    if (b->flagged)
        return;
    b->flagged = true;
    b->flagged_day = START_DAY + (int64_t)(month + 1) * DAYS;
}

/* One household through the months, under rules alone and rules with the insurer. An alert brings a visit in
 * its month, at most one in three months. */
static enum err live(struct simulation *s, struct chance *c, uint32_t i, uint32_t *visits, uint32_t *extra,
                     struct diag *d)
{
    struct villager_household h;
    uint32_t last = 0, visit = 0, count = s->months / s->every;
    bool alerted = false;
    enum err rc = ERR_OK;
    village_household(c, s->months, &h);
    for (uint32_t p = 0; p < POLICIES; p++)
        s->by_policy[p][i] = blank(&h);
    for (uint32_t m = 0; !rc && m < s->months; m++) {
        bool hit = false, alert = insurer_alerts(&h, m);
        if (is_visit(s, m)) {
            rc = judge_visit(s, c, &h, m, true, &hit, d);
            if (hit)
                flag(&s->by_policy[POLICY_RULES][i], m);
            if (hit)
                flag(&s->by_policy[POLICY_DEPARTMENTS][i], m);
            s->left[(size_t)i * count + visit++] = village_left(&h, m);
            ++*visits;
            ++*extra;
            last = m;
        } else if (alert && !alerted && m >= last + 3) {
            rc = judge_visit(s, c, &h, m, true, &hit, d);
            if (hit)
                flag(&s->by_policy[POLICY_DEPARTMENTS][i], m);
            ++*extra;
            last = m;
        }
        alerted = alert;
    }
    return rc;
}

/* At the same visits as the rules, people flag the households that seem to have least: as many as the rules
 * flagged, so that both make the same work. */
static enum err judge_by_people(struct simulation *s, struct chance *c, uint32_t step, struct diag *d)
{
    uint32_t count = s->months / s->every, flagged = 0;
    struct arena_mark mark = arena_mark(&s->one);
    double *least = ARENA_ARRAY(&s->one, double, (size_t)s->households + 1), error = step / 10.0;
    if (!least)
        return no_memory(d);
    for (uint32_t i = 0; i < s->households; i++) {
        least[i] = INFINITY;
        flagged += s->by_policy[POLICY_RULES][i].flagged;
        for (uint32_t v = 0; v < count; v++) {
            double left = s->left[(size_t)i * count + v];
            /* an error of a part of the usual income, so that those with debts are not seen exactly */
            double seen = left + error * 12000 * chance_normal(c);
            s->perceived[(size_t)i * count + v] = seen;
            least[i] = seen < least[i] ? seen : least[i];
        }
    }
    stats_sort(least, s->households);
    double line = flagged ? least[flagged - 1] : -INFINITY;
    for (uint32_t i = 0; i < s->households; i++)
        for (uint32_t v = 0; v < count; v++)
            if (s->perceived[(size_t)i * count + v] <= line)
                flag(&s->by_policy[POLICY_PEOPLE + step][i], (v + 1) * s->every - 1);
    arena_release(&s->one, mark);
    return ERR_OK;
}

/* -- a seed ----------------------------------------------------------------------------------------- */

static enum err measure(struct simulation *s, uint32_t seed, uint32_t policy, double visits, struct diag *d)
{
    struct backtest b;
    struct arena_mark mark = arena_mark(&s->one);
    struct outcome *o = &s->outcomes[policy];
    if (backtest_run(&s->one, s->by_policy[policy], s->households, &b))
        return no_memory(d);
    o->precision[seed] = b.all.precision.value;
    o->recall[seed] = b.all.recall.value;
    o->on_time[seed] = b.on_time.value;
    o->delay[seed] = b.lead_p50;
    o->flagged[seed] = b.all.workload.value;
    o->visits[seed] = visits;
    if (policy == POLICY_RULES)
        s->need[seed] = (double)b.all.recall.of / s->households;
    arena_release(&s->one, mark);
    return ERR_OK;
}

/* The error at which people find as many as the rules; -1: the rules are never reached, 2: never left. */
static double break_even(const struct simulation *s, uint32_t seed)
{
    double rules = s->outcomes[POLICY_RULES].recall[seed];
    for (uint32_t i = 0; i < SWEEP; i++) {
        double here = s->outcomes[POLICY_PEOPLE + i].recall[seed];
        if (here >= rules)
            continue;
        if (i == 0)
            return -1;
        double before = s->outcomes[POLICY_PEOPLE + i - 1].recall[seed];
        return (i - 1 + (before - rules) / (before - here)) / 10;
    }
    return 2;
}

static enum err run_seed(struct simulation *s, uint32_t seed, struct diag *d)
{
    struct chance c = {s->first_seed + seed};
    uint32_t visits = 0, extra = 0;
    enum err rc = ERR_OK;
    for (uint32_t i = 0; !rc && i < s->households; i++)
        rc = live(s, &c, i, &visits, &extra, d);
    for (uint32_t step = 0; !rc && step < SWEEP; step++)
        rc = judge_by_people(s, &c, step, d);
    for (uint32_t p = 0; !rc && p < POLICIES; p++)
        rc = measure(s, seed, p, (double)(p == POLICY_DEPARTMENTS ? extra : visits) / s->households, d);
    s->even[seed] = rc ? 0 : break_even(s, seed);
    return rc;
}

/* -- telling ---------------------------------------------------------------------------------------- */

struct spread {
    double mean, low, high;
};

static struct spread spread_of(const double *v, uint32_t count)
{
    struct spread s = {0, INFINITY, -INFINITY};
    for (uint32_t i = 0; i < count; i++) {
        s.mean += v[i] / count;
        s.low = v[i] < s.low ? v[i] : s.low;
        s.high = v[i] > s.high ? v[i] : s.high;
    }
    return s;
}

static void policy_name(uint32_t policy, bool zh, char out[static 64])
{
    if (policy == POLICY_RULES)
        snprintf(out, 64, "%s", zh ? "规则" : "rules");
    else if (policy == POLICY_DEPARTMENTS)
        snprintf(out, 64, "%s", zh ? "规则加医保数据" : "rules and insurer");
    else
        snprintf(out, 64, zh ? "人的判断，误差%.1f" : "people, error %.1f", (policy - POLICY_PEOPLE) / 10.0);
}

static void put_table(const struct simulation *s, bool zh, FILE *to)
{
    struct spread need = spread_of(s->need, s->seeds);
    fprintf(to,
            zh ? "%u户，%u个月，每%u个月走访一次，%u个种子；%.1f%%的户发生困难（%.1f–%.1f%%）\n\n"
               : "%u households, %u months, a visit every %u months, %u seeds; %.1f %% come to be in need "
                 "(%.1f-%.1f %%)\n\n",
            s->households, s->months, s->every, s->seeds, need.mean * 100, need.low * 100, need.high * 100);
    fprintf(to, "%s\n",
            zh ? "办法,准确率,识别率,识别率最低,识别率最高,31天内,中位天数,标记比例,每户走访"
               : "policy,precision,recall,recall min,recall max,within 31 days,median days,flagged,visits a "
                 "household");
    for (uint32_t p = 0; p < POLICIES; p++) {
        const struct outcome *o = &s->outcomes[p];
        struct spread recall = spread_of(o->recall, s->seeds);
        char name[64];
        policy_name(p, zh, name);
        fprintf(to, "%s,%.3f,%.3f,%.3f,%.3f,%.3f,%.0f,%.3f,%.2f\n", name,
                spread_of(o->precision, s->seeds).mean, recall.mean, recall.low, recall.high,
                spread_of(o->on_time, s->seeds).mean, spread_of(o->delay, s->seeds).mean,
                spread_of(o->flagged, s->seeds).mean, spread_of(o->visits, s->seeds).mean);
    }
}

static void put_break_even(const struct simulation *s, bool zh, FILE *to)
{
    struct spread e = spread_of(s->even, s->seeds);
    if (e.low < 0)
        fprintf(to, "%s\n",
                zh ? "\n损益平衡：有的种子里，人即使看得完全准也不如规则多"
                   : "\nbreak-even: in some seeds people find fewer even when they see exactly");
    else if (e.high > 1)
        fprintf(to, "%s\n",
                zh ? "\n损益平衡：误差到1.0，人仍不比规则少"
                   : "\nbreak-even: none up to an error of 1.0; people find at least as many");
    else
        fprintf(to,
                zh ? "\n损益平衡：人的误差为%.2f（%.2f–%.2f）时，两者识别率相同\n"
                   : "\nbreak-even: an error of %.2f (%.2f-%.2f); below it people find more, above it the "
                     "rules\n",
                e.mean, e.low, e.high);
}

static void put_meaning(bool zh, FILE *to)
{
    fprintf(
        to, "%s\n",
        zh ? "\n这里说明什么：困难由出卖牲畜、土地或挨饿的机会决定，这个机会取决于余下的钱和没有人问的韧性，"
             "不由规则决定；\n误差是人估计每户余钱的标准差，以12000元为单位；人与规则走访相同、标记的户数相同"
             "。"
             "\n不说明什么：冲击的机会、损失和误差都是假设，不是某个县的统计；不能证明规则胜过干部。"
           : "\nWhat this shows: need is a chance of selling livestock or land or of going hungry, which "
             "depends on what is left to live\non and on a resilience nobody asks for; no rule decides "
             "it. The error is the standard deviation of what people think is\nleft, in units of 12,000 "
             "yuan. People make the same visits as the rules and flag as many households.\nWhat it does "
             "not show: hazards, losses and errors are assumptions, no county's statistics. It does not "
             "prove that rules\ndo better than people.");
}

static double plot_x(uint32_t step)
{
    return 70 + step * 48;
}

static double plot_y(double share)
{
    return 320 - share * 280;
}

/* The name stands above its line, or below: two lines may lie close together. */
static void put_line(FILE *to, double y, const char *colour, const char *name, bool below)
{
    fprintf(
        to,
        "<line x1=\"70\" x2=\"550\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"2\" "
        "stroke-dasharray=\"6 4\"/><text x=\"545\" y=\"%.1f\" text-anchor=\"end\" fill=\"%s\">%s</text>\n",
        y, y, colour, below ? y + 15 : y - 5, colour, name);
}

static void put_plot(const struct simulation *s, bool zh, FILE *to)
{
    fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 600 380\" font-family=\"sans-serif\" "
            "font-size=\"12\">\n<title>%s</title>\n<rect width=\"600\" height=\"380\" fill=\"#fff\"/>\n",
            zh ? "识别率与人的判断误差" : "Recall against the error of people's judgement");
    for (int i = 0; i <= 5; i++)
        fprintf(to,
                "<line x1=\"70\" x2=\"550\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/><text x=\"62\" "
                "y=\"%.1f\" text-anchor=\"end\">%d %%</text>\n",
                plot_y(i / 5.0), plot_y(i / 5.0), plot_y(i / 5.0) + 4, i * 20);
    for (uint32_t i = 0; i < SWEEP; i++)
        fprintf(to, "<text x=\"%.1f\" y=\"338\" text-anchor=\"middle\">%.1f</text>\n", plot_x(i), i / 10.0);
    fprintf(to, "<text x=\"310\" y=\"362\" text-anchor=\"middle\">%s</text>\n",
            zh ? "人的判断误差（×12000元）" : "error of judgement (x 12,000 yuan)");
    fprintf(to, "<polygon fill=\"#1f5fa8\" fill-opacity=\"0.18\" points=\"");
    for (uint32_t i = 0; i < SWEEP; i++)
        fprintf(to, "%.1f,%.1f ", plot_x(i),
                plot_y(spread_of(s->outcomes[POLICY_PEOPLE + i].recall, s->seeds).high));
    for (uint32_t i = SWEEP; i-- > 0;)
        fprintf(to, "%.1f,%.1f ", plot_x(i),
                plot_y(spread_of(s->outcomes[POLICY_PEOPLE + i].recall, s->seeds).low));
    fprintf(to, "\"/>\n<polyline fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"2.5\" points=\"");
    for (uint32_t i = 0; i < SWEEP; i++)
        fprintf(to, "%.1f,%.1f ", plot_x(i),
                plot_y(spread_of(s->outcomes[POLICY_PEOPLE + i].recall, s->seeds).mean));
    fprintf(to, "\"/>\n<text x=\"78\" y=\"%.1f\" fill=\"#1f5fa8\">%s</text>\n",
            plot_y(spread_of(s->outcomes[POLICY_PEOPLE].recall, s->seeds).mean) - 8, zh ? "人" : "people");
    put_line(to, plot_y(spread_of(s->outcomes[POLICY_RULES].recall, s->seeds).mean), "#b3261e",
             zh ? "规则" : "rules", true);
    put_line(to, plot_y(spread_of(s->outcomes[POLICY_DEPARTMENTS].recall, s->seeds).mean), "#1b6e3c",
             zh ? "规则加医保数据" : "rules and insurer", false);
    fprintf(to, "</svg>\n");
}

/* -- the command ------------------------------------------------------------------------------------ */

static enum err write_file(const struct simulation *s, const char *name, bool zh, bool plot, struct diag *d)
{
    char path[4096];
    if (snprintf(path, sizeof(path), "%s/%s", s->out, name) >= (int)sizeof(path))
        return diag_set(d, ERR_USAGE, "the path of --out is too long");
    FILE *to = fopen(path, "w");
    if (!to)
        return diag_set(d, ERR_IO, "%s cannot be written; does the directory exist?", path);
    if (plot)
        put_plot(s, zh, to);
    else
        put_table(s, zh, to);
    bool bad = ferror(to);
    if (fclose(to) || bad)
        return diag_set(d, ERR_IO, "%s could not be written whole", path);
    return ERR_OK;
}

static enum err load(struct simulation *s, struct diag *d)
{
    struct buf text = {0}, pack = {0};
    struct form_findings findings = {0};
    enum err rc = form_file_read(s->seam, s->form_path, &s->a, &text, NULL, NULL, &findings, d);
    if (!rc)
        rc = form_load(&s->a, buf_str(&text), &s->form, &findings, d);
    if (!rc)
        rc = risk_file_read(s->seam, s->pack_path, FILE_MAX_BYTES, &pack, d);
    if (!rc)
        rc = pack_load(&s->a, buf_str(&pack), s->form, &s->pack, &findings, d);
    if (rc)
        risk_print_findings(s->pack_path, &findings);
    buf_free(&text);
    buf_free(&pack);
    return rc;
}

static enum err run(struct simulation *s, struct diag *d)
{
    enum err rc = load(s, d);
    size_t visits = (size_t)s->households * (s->months / s->every);
    if (rc)
        return rc;
    for (uint32_t p = 0; p < POLICIES; p++) {
        s->by_policy[p] = ARENA_ARRAY(&s->a, struct backtest_household, (size_t)s->households + 1);
        if (!s->by_policy[p])
            return no_memory(d);
    }
    s->left = ARENA_ARRAY(&s->a, double, visits + 1);
    s->perceived = ARENA_ARRAY(&s->a, double, visits + 1);
    if (!s->left || !s->perceived)
        return no_memory(d);
    for (uint32_t i = 0; !rc && i < s->seeds; i++) {
        rc = run_seed(s, i, d);
        fprintf(stderr, "\r%u / %u", i + 1, s->seeds);
    }
    fprintf(stderr, "\r");
    return rc;
}

static enum err number_option(const char *text, const char *name, uint32_t low, uint32_t high, uint32_t *out,
                              struct diag *d)
{
    uint64_t v;
    if (!text)
        return ERR_OK;
    if (!str_to_u64(str_of(text), &v) || v < low || v > high)
        return diag_set(d, ERR_USAGE, "%s wants a number from %u to %u, not \"%s\"", name, low, high, text);
    *out = (uint32_t)v;
    return ERR_OK;
}

static enum err read_options(struct simulation *s, struct diag *d)
{
    static const char *const levels[] = {"none", "blue", "yellow", "red"};
    uint64_t last = 5;
    s->households = 1000;
    s->months = 24;
    s->every = 6;
    s->first_seed = 1;
    enum err rc = number_option(s->households_text, "--households", 10, HOUSEHOLDS_MAX, &s->households, d);
    if (!rc)
        rc = number_option(s->months_text, "--months", 1, VILLAGE_MONTHS_MAX, &s->months, d);
    if (!rc)
        rc = number_option(s->every_text, "--every", 1, s->months, &s->every, d);
    for (int i = SEVERITY_BLUE; i <= SEVERITY_RED; i++)
        if (strcmp(s->flag, levels[i]) == 0)
            s->level = (enum severity)i;
    if (!rc && s->level == SEVERITY_NONE)
        rc = diag_set(d, ERR_USAGE, "--flag wants blue, yellow or red, not \"%s\"", s->flag);
    if (!rc && s->seeds_text) {
        struct str rest = str_of(s->seeds_text), first;
        bool range = str_split(&rest, '-', &first) && str_to_u64(first, &s->first_seed);
        if (!range || !str_to_u64(rest, &last) || last < s->first_seed || last - s->first_seed >= SEEDS_MAX)
            rc = diag_set(d, ERR_USAGE, "--seeds wants A-B, at most %d of them, not \"%s\"", SEEDS_MAX,
                          s->seeds_text);
    }
    s->seeds = rc ? 0 : (uint32_t)(last - s->first_seed + 1);
    return rc;
}

int cmd_risk_simulate(int argc, char **argv, struct seam *seam)
{
    struct simulation s = {.seam = seam, .flag = "red"};
    const char *arguments[2];
    int count = 0;
    const struct cli_option options[] = {
        {"--households", "N", "households of the village; else 1000", &s.households_text},
        {"--months", "N", "months they live; else 24", &s.months_text},
        {"--every", "N", "months between visits; else 6", &s.every_text},
        {"--seeds", "A-B", "villages; else 1-5", &s.seeds_text},
        {"--flag", "LEVEL", "flagged from blue, yellow or red on; else red", &s.flag},
        {"--out", "DIR", "write simulate.csv and simulate.svg there", &s.out},
        {"--lang", "zh|en", "language of the table and the plot", &s.lang},
    };
    struct diag d = {0};
    int code = cli_parse(&command_simulate, options, (int)(sizeof(options) / sizeof(*options)), argc, argv,
                         arguments, 2, 2, &count);
    if (code >= 0)
        return code;
    s.form_path = arguments[0];
    s.pack_path = arguments[1];
    arena_init(&s.a, ARENA_GIB(8));
    arena_init(&s.one, (size_t)1 << 30);
    bool zh = cli_chinese(s.lang);
    enum err rc = read_options(&s, &d);
    if (!rc)
        rc = run(&s, &d);
    if (!rc) {
        put_table(&s, zh, stdout);
        put_break_even(&s, zh, stdout);
        put_meaning(zh, stdout);
    }
    if (!rc && s.out)
        rc = write_file(&s, "simulate.csv", zh, false, &d);
    if (!rc && s.out)
        rc = write_file(&s, "simulate.svg", zh, true, &d);
    code = rc ? cli_fail("risk simulate", rc, &d) : 0;
    arena_free(&s.one);
    arena_free(&s.a);
    return code;
}
