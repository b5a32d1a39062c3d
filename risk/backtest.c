/* See backtest.h. */
#include "risk/backtest.h"

#include "platform/base/map.h"
#include "platform/base/num.h"
#include "risk/stats.h"

#include <math.h>

#define Z95 1.959963984540054
#define ON_TIME_DAYS 31

/* -- shares ----------------------------------------------------------------------------------------- */

struct share share_of(uint32_t hits, uint32_t of)
{
    struct share s = {hits, of, NAN, NAN, NAN};
    if (of == 0)
        return s;
    double n = of, p = hits / n, z2 = Z95 * Z95;
    double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
    double half = Z95 / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n));
    s.value = p;
    s.low = hits == 0 ? 0 : middle - half;
    s.high = hits == of ? 1 : middle + half;
    return s;
}

static struct backtest_rates rates_of(struct str group, struct backtest_counts c)
{
    uint32_t flagged = c.true_positive + c.false_positive, need = c.true_positive + c.false_negative;
    struct backtest_rates r = {.group = group, .counts = c};
    r.precision = share_of(c.true_positive, flagged);
    r.recall = share_of(c.true_positive, need);
    r.exclusion_error = share_of(c.false_negative, need);
    r.inclusion_error = share_of(c.false_positive, flagged);
    r.workload = share_of(flagged, need + c.false_positive + c.true_negative);
    r.visits_per_case = c.true_positive ? (double)flagged / c.true_positive : NAN;
    return r;
}

static void count_one(struct backtest_counts *c, bool flagged, bool truth)
{
    if (flagged && truth)
        c->true_positive++;
    else if (flagged)
        c->false_positive++;
    else if (truth)
        c->false_negative++;
    else
        c->true_negative++;
}

/* -- beside a baseline ------------------------------------------------------------------------------ */

/* Twice the smaller tail of the binomial of 1/2, at most 1. */
static double mcnemar(uint32_t a, uint32_t b)
{
    uint32_t n = a + b, least = a < b ? a : b;
    double sum = 0, term = n * num_log(0.5);
    if (n == 0)
        return 1;
    for (uint32_t k = 0; k <= least; k++) {
        sum += num_exp(term);
        term += num_log((double)(n - k)) - num_log((double)k + 1);
    }
    return sum * 2 < 1 ? sum * 2 : 1;
}

/* Newcombe's tenth method for paired shares. both, only_a, only_b, neither: households in need. */
static void paired_difference(struct backtest *out, double both, double only_a, double only_b, double neither)
{
    double n = both + only_a + only_b + neither;
    struct share a = share_of((uint32_t)(both + only_a), (uint32_t)n);
    struct share b = share_of((uint32_t)(both + only_b), (uint32_t)n);
    double sides = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither), phi = 0;
    if (n <= 0)
        return;
    if (sides > 0) {
        double product = both * neither - only_a * only_b;
        double numerator = product > n / 2 ? product - n / 2 : product >= 0 ? 0 : product;
        phi = numerator / sqrt(sides);
    }
    double la = a.value - a.low, ub = b.high - b.value, ua = a.high - a.value, lb = b.value - b.low;
    out->recall_difference = a.value - b.value;
    out->recall_low = out->recall_difference - sqrt(la * la - 2 * phi * la * ub + ub * ub);
    out->recall_high = out->recall_difference + sqrt(lb * lb - 2 * phi * lb * ua + ua * ua);
}

static void compare(struct backtest *out, const struct backtest_household *h, uint32_t count)
{
    uint32_t both = 0, neither = 0, agree = 0, n = 0, flagged = 0, base = 0;
    struct backtest_counts counts = {0};
    for (uint32_t i = 0; i < count; i++) {
        if (!h[i].has_baseline)
            continue;
        n++;
        count_one(&counts, h[i].baseline, h[i].truth);
        agree += h[i].flagged == h[i].baseline;
        flagged += h[i].flagged;
        base += h[i].baseline;
        if (!h[i].truth)
            continue;
        both += h[i].flagged && h[i].baseline;
        neither += !h[i].flagged && !h[i].baseline;
        out->only_flags += h[i].flagged && !h[i].baseline;
        out->only_baseline += !h[i].flagged && h[i].baseline;
    }
    out->has_baseline = n > 0;
    out->kappa = out->recall_difference = out->recall_low = out->recall_high = out->p_value = NAN;
    if (n == 0)
        return;
    double chance = ((double)flagged * base + (double)(n - flagged) * (n - base)) / ((double)n * n);
    out->baseline = rates_of(STR(""), counts);
    out->kappa = chance < 1 ? ((double)agree / n - chance) / (1 - chance) : NAN;
    out->p_value = mcnemar(out->only_flags, out->only_baseline);
    paired_difference(out, both, out->only_flags, out->only_baseline, neither);
}

/* -- the score -------------------------------------------------------------------------------------- */

/* The chance that one in need scores higher than one who is not, ties counted half; error after Hanley and
 * McNeil 1982. `need` and `other`: scores of the two, sorted. */
static void area(struct backtest *out, const double *need, uint32_t need_count, const double *other,
                 uint32_t other_count)
{
    double wins = 0, n = need_count, m = other_count;
    uint32_t below = 0, upto = 0; /* of the others: below this score, and at most it */
    out->auc = out->auc_error = NAN;
    if (need_count == 0 || other_count == 0)
        return;
    for (uint32_t i = 0; i < need_count; i++) {
        while (below < other_count && other[below] < need[i])
            below++;
        while (upto < other_count && other[upto] <= need[i])
            upto++;
        wins += below + (upto - below) / 2.0;
    }
    double auc = wins / (n * m), q1 = auc / (2 - auc), q2 = 2 * auc * auc / (1 + auc);
    out->auc = auc;
    out->auc_error = sqrt((auc * (1 - auc) + (n - 1) * (q1 - auc * auc) + (m - 1) * (q2 - auc * auc)) /
                          (n * m));
}

static void judge_scores(struct backtest *out, const struct backtest_household *h, uint32_t count,
                         double *need, double *other)
{
    uint32_t needs = 0, others = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (isnan(h[i].score))
            continue;
        if (h[i].truth)
            need[needs++] = h[i].score;
        else
            other[others++] = h[i].score;
    }
    stats_sort(need, needs);
    stats_sort(other, others);
    area(out, need, needs, other, others);
}

/* -- time ------------------------------------------------------------------------------------------- */

static void times(struct backtest *out, const struct backtest_household *h, uint32_t count, double *room)
{
    uint32_t n = 0, on_time = 0, dated = 0;
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!h[i].truth || h[i].onset_day == INT64_MIN)
            continue;
        dated++;
        if (!h[i].flagged || h[i].flagged_day == INT64_MIN)
            continue;
        double delay = (double)(h[i].flagged_day - h[i].onset_day);
        on_time += delay <= ON_TIME_DAYS;
        sum += delay;
        room[n++] = delay;
    }
    stats_sort(room, n);
    out->timed = n;
    out->lead_mean = n ? sum / n : NAN;
    out->lead_p25 = stats_percentile(room, n, 25);
    out->lead_p50 = stats_percentile(room, n, 50);
    out->lead_p75 = stats_percentile(room, n, 75);
    out->on_time = share_of(on_time, dated);
}

/* -- groups ----------------------------------------------------------------------------------------- */

static enum err group_rates(struct arena *a, struct backtest *out, const struct backtest_household *h,
                            uint32_t count)
{
    struct map map;
    VEC(struct backtest_rates) groups = {0};
    map_init(&map, a);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t g;
        if (h[i].group.n == 0)
            continue;
        if (!map_get(&map, h[i].group, &g)) {
            struct backtest_rates *r = vec_push(a, &groups);
            g = groups.count - 1;
            if (!r || map_put(&map, h[i].group, g))
                return ERR_NOMEM;
            *r = (struct backtest_rates){.group = h[i].group};
        }
        count_one(&groups.at[g].counts, h[i].flagged, h[i].truth);
    }
    for (uint32_t i = 0; i < groups.count; i++)
        groups.at[i] = rates_of(groups.at[i].group, groups.at[i].counts);
    for (uint32_t i = 1; i < groups.count; i++) { /* by name; groups are few */
        struct backtest_rates one = groups.at[i];
        uint32_t k = i;
        for (; k > 0 && str_cmp(groups.at[k - 1].group, one.group) > 0; k--)
            groups.at[k] = groups.at[k - 1];
        groups.at[k] = one;
    }
    out->groups = groups.at;
    out->group_count = groups.count;
    return ERR_OK;
}

enum err backtest_run(struct arena *a, const struct backtest_household *h, uint32_t count,
                      struct backtest *out)
{
    struct backtest b = {.households = count};
    struct backtest_counts counts = {0};
    double *room = ARENA_ARRAY(a, double, (size_t)count + 1);
    double *other = ARENA_ARRAY(a, double, (size_t)count + 1);
    if (!room || !other)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        count_one(&counts, h[i].flagged, h[i].truth);
    b.all = rates_of(STR(""), counts);
    compare(&b, h, count);
    judge_scores(&b, h, count, room, other);
    times(&b, h, count, room);
    enum err rc = group_rates(a, &b, h, count);
    if (!rc)
        *out = b;
    return rc;
}

/* -- for people and programs ------------------------------------------------------------------------ */

static void put_percent(struct buf *out, double share)
{
    if (isnan(share)) {
        buf_put_z(out, "-");
        return;
    }
    uint32_t tenths = (uint32_t)floor(share * 1000 + 0.5);
    buf_printf(out, "%u.%u %%", tenths / 10, tenths % 10);
}

static void put_share(struct buf *out, const char *name, const struct share *s)
{
    buf_printf(out, "  %s: ", name);
    put_percent(out, s->value);
    buf_put_z(out, " (");
    put_percent(out, s->low);
    buf_put_z(out, " - ");
    put_percent(out, s->high);
    buf_printf(out, "; %u / %u)\n", s->hits, s->of);
}

/* Two digits behind the point; the sign is kept. */
static void put_hundredths(struct buf *out, double v)
{
    if (isnan(v)) {
        buf_put_z(out, "-");
        return;
    }
    uint64_t hundredths = (uint64_t)floor(fabs(v) * 100 + 0.5);
    buf_printf(out, "%s%llu.%02u", v < 0 && hundredths ? "-" : "", (unsigned long long)(hundredths / 100),
               (unsigned)(hundredths % 100));
}

struct words_of {
    const char *households, *flagged, *missed, *precision, *recall, *exclusion, *inclusion, *workload,
        *visits, *baseline, *difference, *only, *kappa, *auc, *lead, *on_time, *group, *note;
};

static const struct words_of words_zh = {
    "户数",
    "发现",
    "漏掉",
    "准确率（发现的户中确有困难）",
    "识别率（有困难的户中被发现）",
    "漏评率",
    "错评率",
    "工作量（需要走访的户）",
    "每发现一户困难户要走访",
    "对照（干部判断或旧办法）",
    "识别率之差",
    "只由规则发现／只由对照发现的困难户",
    "一致性 kappa",
    "得分的 AUC",
    "从困难发生到发现的天数：平均、四分位",
    "31天内发现",
    "分组",
    "区间为95%。这里只说明规则与标签的关系：标签若由同样的收入公式得出，数字必然偏好；不能证明胜过干部。",
};
static const struct words_of words_en = {
    "households",
    "found",
    "missed",
    "precision (of those flagged, in need)",
    "recall (of those in need, flagged)",
    "exclusion error",
    "inclusion error",
    "work-load (households to visit)",
    "visits for each household found in need",
    "baseline (people's judgement, or the old way)",
    "difference in recall",
    "in need and found only by the rules / only by the baseline",
    "agreement, kappa",
    "AUC of the score",
    "days from the beginning of the need to the flag: mean, quartiles",
    "flagged within 31 days",
    "group",
    "Intervals are 95 %. This shows how rules relate to a label. A label made by the same formula of income "
    "flatters them, and nothing here proves that they do better than people.",
};

static void put_rates(struct buf *out, const struct backtest_rates *r, const struct words_of *w)
{
    put_share(out, w->precision, &r->precision);
    put_share(out, w->recall, &r->recall);
    put_share(out, w->exclusion, &r->exclusion_error);
    put_share(out, w->inclusion, &r->inclusion_error);
    put_share(out, w->workload, &r->workload);
    buf_printf(out, "  %s: ", w->visits);
    put_hundredths(out, r->visits_per_case);
    buf_put_char(out, '\n');
}

static void put_comparison(const struct backtest *b, const struct words_of *w, struct buf *out)
{
    buf_printf(out, "\n%s\n", w->baseline);
    put_rates(out, &b->baseline, w);
    buf_printf(out, "  %s: ", w->difference);
    put_hundredths(out, b->recall_difference);
    buf_put_z(out, " (");
    put_hundredths(out, b->recall_low);
    buf_put_z(out, " - ");
    put_hundredths(out, b->recall_high);
    buf_printf(out, ")\n  %s: %u / %u, p = ", w->only, b->only_flags, b->only_baseline);
    put_hundredths(out, b->p_value);
    buf_printf(out, "\n  %s: ", w->kappa);
    put_hundredths(out, b->kappa);
    buf_put_char(out, '\n');
}

static void put_times(const struct backtest *b, const struct words_of *w, struct buf *out)
{
    const double values[] = {b->lead_mean, b->lead_p25, b->lead_p50, b->lead_p75};
    buf_printf(out, "  %s:", w->lead);
    for (int i = 0; i < 4; i++) {
        buf_put_z(out, i == 1 ? "; " : " ");
        put_hundredths(out, values[i]);
    }
    buf_put_char(out, '\n');
    put_share(out, w->on_time, &b->on_time);
}

void backtest_text(const struct backtest *b, struct str language, struct buf *out)
{
    const struct words_of *w = str_starts(language, STR("en")) ? &words_en : &words_zh;
    buf_printf(out, "%s: %u; %s: %u; %s: %u\n", w->households, b->households, w->flagged,
               b->all.counts.true_positive, w->missed, b->all.counts.false_negative);
    put_rates(out, &b->all, w);
    if (!isnan(b->auc)) {
        buf_printf(out, "  %s: ", w->auc);
        put_hundredths(out, b->auc);
        buf_put_z(out, " (");
        put_hundredths(out, b->auc - Z95 * b->auc_error);
        buf_put_z(out, " - ");
        put_hundredths(out, b->auc + Z95 * b->auc_error < 1 ? b->auc + Z95 * b->auc_error : 1);
        buf_put_z(out, ")\n");
    }
    if (b->on_time.of)
        put_times(b, w, out);
    if (b->has_baseline)
        put_comparison(b, w, out);
    for (uint32_t i = 0; i < b->group_count; i++) {
        buf_printf(out, "\n%s %.*s\n", w->group, STR_ARG(b->groups[i].group));
        put_rates(out, &b->groups[i], w);
    }
    buf_printf(out, "\n%s\n", w->note);
}

static void json_number(struct buf *out, const char *name, double v)
{
    char text[NUM_TEXT_MAX];
    buf_printf(out, ",\"%s\":", name);
    if (isfinite(v))
        buf_put(out, text, num_write(v, text));
    else
        buf_put_z(out, "null");
}

static void json_share(struct buf *out, const char *name, const struct share *s)
{
    buf_printf(out, ",\"%s\":{\"hits\":%u,\"of\":%u", name, s->hits, s->of);
    json_number(out, "value", s->value);
    json_number(out, "low", s->low);
    json_number(out, "high", s->high);
    buf_put_char(out, '}');
}

static void json_rates(struct buf *out, const struct backtest_rates *r)
{
    buf_put_z(out, "{\"group\":");
    buf_put_json(out, r->group);
    buf_printf(out, ",\"true_positive\":%u,\"false_positive\":%u,\"false_negative\":%u,\"true_negative\":%u",
               r->counts.true_positive, r->counts.false_positive, r->counts.false_negative,
               r->counts.true_negative);
    json_share(out, "precision", &r->precision);
    json_share(out, "recall", &r->recall);
    json_share(out, "exclusion_error", &r->exclusion_error);
    json_share(out, "inclusion_error", &r->inclusion_error);
    json_share(out, "workload", &r->workload);
    json_number(out, "visits_per_case", r->visits_per_case);
    buf_put_char(out, '}');
}

void backtest_json(const struct backtest *b, struct buf *out)
{
    buf_printf(out, "{\"households\":%u,\"all\":", b->households);
    json_rates(out, &b->all);
    json_number(out, "auc", b->auc);
    json_number(out, "auc_error", b->auc_error);
    buf_printf(out, ",\"timed\":%u", b->timed);
    json_number(out, "lead_mean", b->lead_mean);
    json_number(out, "lead_p25", b->lead_p25);
    json_number(out, "lead_p50", b->lead_p50);
    json_number(out, "lead_p75", b->lead_p75);
    json_share(out, "on_time", &b->on_time);
    if (b->has_baseline) {
        buf_put_z(out, ",\"baseline\":");
        json_rates(out, &b->baseline);
        json_number(out, "recall_difference", b->recall_difference);
        json_number(out, "recall_difference_low", b->recall_low);
        json_number(out, "recall_difference_high", b->recall_high);
        buf_printf(out, ",\"only_flags\":%u,\"only_baseline\":%u", b->only_flags, b->only_baseline);
        json_number(out, "p_value", b->p_value);
        json_number(out, "kappa", b->kappa);
    }
    buf_put_z(out, ",\"groups\":[");
    for (uint32_t i = 0; i < b->group_count; i++) {
        if (i)
            buf_put_char(out, ',');
        json_rates(out, &b->groups[i]);
    }
    buf_put_z(out, "]}");
}
