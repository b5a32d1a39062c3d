/* See simulate.h. Every number below that is not from a published statistic is an assumption. */
#include "risk/simulate.h"

#include "platform/base/num.h"

#include <math.h>

#define MEDIAN_INCOME 17734.0 /* yuan a head and year: rural median of 2022 */
#define INCOME_SD 0.504       /* of the logarithm, from mean 20,133 and median */
#define SIZE_MEAN 3.4         /* monitored households of a prefecture: 3.35 */
#define SIZE_SD 1.5
#define WAGE_SHARE 0.45 /* of a province's rural income */
#define WAGE_SD 0.25
#define TRANSFER_SHARE 0.17
#define REPORT_ERROR 0.12 /* sd of the logarithm of what is answered */
#define BLANK 0.02        /* chance that an amount is not answered */

/* splitmix64 */
static uint64_t next(struct chance *c)
{
    uint64_t x = c->state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

double chance_uniform(struct chance *c)
{
    return (double)(next(c) >> 11) / 9007199254740992.0;
}

double chance_normal(struct chance *c)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += chance_uniform(c);
    return sum;
}

bool chance_of(struct chance *c, double probability)
{
    return chance_uniform(c) < probability;
}

static double lognormal(struct chance *c, double median, double sd)
{
    return median * num_exp(sd * chance_normal(c));
}

static double within(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

/* -- a life ----------------------------------------------------------------------------------------- */

static void shocks(struct chance *c, struct villager_household *h, uint32_t month, uint32_t months,
                   uint32_t *job_until)
{
    double yearly = h->income > 0 ? h->income : 0, wage = yearly * h->wage_share;
    double frailty = h->elderly ? 2 : 1;
    if (chance_of(c, 0.0035 * frailty)) {
        h->events[month] |= EVENT_ILLNESS;
        for (uint32_t k = month; k < months && k < month + 6; k++)
            h->medical[k] += lognormal(c, 2500, 0.9);
    }
    if (*job_until <= month && h->workers && chance_of(c, 0.006)) {
        h->events[month] |= EVENT_JOB;
        *job_until = month + 2 + (uint32_t)(chance_uniform(c) * 10);
    }
    if (*job_until > month)
        h->lost[month] += wage / 12 * (h->workers > 1 ? 0.6 : 1);
    if (chance_of(c, h->remote ? 0.003 : 0.0015)) {
        h->events[month] |= EVENT_DISASTER;
        h->other[month] += lognormal(c, 8000, 0.9);
        h->lost[month] += yearly * (1 - h->wage_share) * 0.3;
    }
    if (chance_of(c, 0.0012)) {
        h->events[month] |= EVENT_ACCIDENT;
        h->other[month] += lognormal(c, 10000, 0.9);
    }
    if (h->workers && chance_of(c, 0.0003)) {
        h->events[month] |= EVENT_DEATH;
        for (uint32_t k = month; k < months; k++)
            h->lost[k] += wage / 12 / h->workers;
    }
    if (chance_of(c, 0.002)) {
        h->events[month] |= EVENT_TRADE;
        for (uint32_t k = month; k < months && k < month + 8; k++)
            h->lost[k] += yearly * (1 - h->wage_share - h->transfer_share) / 12 * 0.6;
    }
}

double village_left(const struct villager_household *h, uint32_t month)
{
    double left = h->income;
    for (uint32_t k = month >= 11 ? month - 11 : 0; k <= month; k++)
        left -= h->lost[k] + h->medical[k] + h->other[k];
    return left / h->size;
}

/* Chance in one month of selling what one lives from, of hunger, of a child leaving school. */
static double need_hazard(const struct villager_household *h, uint32_t month)
{
    double shortfall = (7000 - village_left(h, month)) / 7000;
    double x = -5.2 + 3.5 * shortfall - 0.9 * h->resilience;
    return 1 / (1 + num_exp(0 - x)) * (shortfall > -1 ? 1 : 0.05);
}

void village_household(struct chance *c, uint32_t months, struct villager_household *out)
{
    struct villager_household h = {.need_month = -1, .shock_month = -1};
    uint32_t job_until = 0;
    h.size = (uint32_t)within(floor(SIZE_MEAN + SIZE_SD * chance_normal(c) + 0.5), 1, VILLAGE_SIZE_MAX);
    h.elderly = h.size <= 2 && chance_of(c, 0.45);
    h.workers = h.elderly ? 0 : (uint32_t)within(floor(h.size * 0.55 + 0.5), 1, h.size);
    h.children = h.size - h.workers - (h.elderly ? h.size : 0);
    h.remote = chance_of(c, 0.3);
    double head = MEDIAN_INCOME * num_exp(INCOME_SD * chance_normal(c)) * (h.remote ? 0.85 : 1);
    h.income = head * h.size;
    h.transfer_share = h.elderly ? 0.6 : within(TRANSFER_SHARE + 0.1 * chance_normal(c), 0, 0.6);
    h.wage_share = h.elderly ? 0 : within(WAGE_SHARE + WAGE_SD * chance_normal(c), 0, 1 - h.transfer_share);
    h.ex_poor = chance_of(c, within(0.9 - head / 20000, 0.02, 0.8));
    h.resilience = chance_normal(c);
    for (uint32_t m = 0; m < months; m++)
        shocks(c, &h, m, months, &job_until);
    for (uint32_t m = 0; m < months && h.need_month < 0; m++) {
        if (h.events[m])
            h.shock_month = (int32_t)m;
        if (chance_of(c, need_hazard(&h, m)))
            h.need_month = (int32_t)m;
    }
    if (h.need_month >= 0 && h.shock_month < 0)
        h.shock_month = h.need_month;
    *out = h;
}

double village_insurer(const struct villager_household *h, uint32_t month)
{
    double sum = 0;
    for (uint32_t k = month - month % 12; k <= month; k++)
        sum += h->medical[k];
    return sum;
}

/* -- answers ---------------------------------------------------------------------------------------- */

struct answering {
    struct chance *c;
    struct arena *a;
    struct village_answer *out;
    uint32_t count;
};

static void say(struct answering *w, const char *path, uint32_t member, struct str text)
{
    if (w->count < VILLAGE_ANSWERS_MAX && text.p)
        w->out[w->count++] = (struct village_answer){path, member, text};
}

static void say_z(struct answering *w, const char *path, uint32_t member, const char *text)
{
    say(w, path, member, str_of(text));
}

static void say_number(struct answering *w, const char *path, uint32_t member, double v)
{
    char text[NUM_TEXT_MAX];
    say(w, path, member, arena_str(w->a, (struct str){text, num_write(floor(v + 0.5), text)}));
}

/* Remembered, rounded to ten, sometimes not known. */
static void say_money(struct answering *w, const char *path, uint32_t member, double v)
{
    double told = v <= 0 ? 0 : floor(v * num_exp(REPORT_ERROR * chance_normal(w->c)) / 10 + 0.5) * 10;
    if (!chance_of(w->c, BLANK))
        say_number(w, path, member, told);
}

static double sum_of(const double *months, uint32_t month, uint32_t back)
{
    double sum = 0;
    for (uint32_t k = month + 1 >= back ? month + 1 - back : 0; k <= month; k++)
        sum += months[k];
    return sum;
}

static uint32_t events_of(const struct villager_household *h, uint32_t month, uint32_t back)
{
    uint32_t seen = 0;
    for (uint32_t k = month + 1 >= back ? month + 1 - back : 0; k <= month; k++)
        seen |= h->events[k];
    return seen;
}

static void say_member(struct answering *w, const struct villager_household *h, uint32_t place,
                       uint32_t month, double wage)
{
    bool worker = place <= h->workers, child = !worker && !h->elderly;
    uint32_t recent = events_of(h, month, 6);
    double age = h->elderly ? 72 : worker ? 30 + 5 * (double)place : 9 + (double)(place % 6);
    bool ill = place == 1 && (recent & EVENT_ILLNESS);
    bool out_of_work = place == 1 && worker && (events_of(h, month, 4) & EVENT_JOB);
    say_number(w, "/monitoring/member/age", place, age);
    say_z(w, "/monitoring/member/sharing", place, "yes");
    say_z(w, "/monitoring/member/at_home", place, worker && place > 1 ? "no" : "yes");
    say_z(w, "/monitoring/member/health", place, ill ? "serious" : "healthy");
    say_z(w, "/monitoring/member/disability", place, "0");
    say_z(w, "/monitoring/member/insured", place, chance_of(w->c, 0.005) ? "no" : "yes");
    if (child)
        say_z(w, "/monitoring/member/school", place, "in_compulsory");
    if (age < 16)
        return;
    say_z(w, "/monitoring/member/labour", place, worker ? "normal" : "none");
    say_z(w, "/monitoring/member/main_earner", place, place == 1 ? "yes" : "no");
    say_z(w, "/monitoring/member/work_status", place,
          out_of_work          ? "lost"
          : worker && wage > 0 ? "employed"
                               : "farming");
    if (out_of_work)
        say_number(w, "/monitoring/member/months_out", place, 2);
    if (worker && (wage > 0 || out_of_work))
        say_money(w, "/monitoring/member/wage_year", place, wage / h->workers);
}

static void say_income(struct answering *w, const struct villager_household *h, uint32_t month, double *wage)
{
    double lost = sum_of(h->lost, month, 12), own = h->income * (1 - h->wage_share - h->transfer_share);
    *wage = h->income * h->wage_share;
    double from_wage = *wage < lost ? *wage : lost;
    *wage -= from_wage;
    own -= lost - from_wage;
    double cost = own > 0 ? own * 0.6 : h->income * 0.1, gross = own + cost;
    say_z(w, "/monitoring/income/sources", 0, "crop");
    say_money(w, "/monitoring/income/crop_gross", 0, gross > 0 ? gross : 0);
    say_money(w, "/monitoring/income/crop_cost", 0, cost);
    say_z(w, "/monitoring/income/property", 0, "0");
    say_money(w, "/monitoring/income/pension", 0, h->income * h->transfer_share * 0.5);
    say_money(w, "/monitoring/income/subsidy", 0, h->income * h->transfer_share * 0.3);
    say_z(w, "/monitoring/income/public_post", 0, "0");
    say_money(w, "/monitoring/income/remittance", 0, h->income * h->transfer_share * 0.2);
}

static void say_spending(struct answering *w, const struct villager_household *h, uint32_t month)
{
    double medical = sum_of(h->medical, month, 12), other = sum_of(h->other, month, 12);
    uint32_t seen = events_of(h, month, 12);
    say_money(w, "/monitoring/spend/med_total", 0, medical * 3);
    if (medical > 0)
        say_money(w, "/monitoring/spend/med_reimbursed", 0, medical * 2);
    say_z(w, "/monitoring/spend/med_outp_month", 0, "0");
    say_money(w, "/monitoring/spend/edu_self", 0, 800.0 * h->children);
    say_z(w, "/monitoring/spend/housing_forced", 0, "0");
    say_z(w, "/monitoring/spend/care", 0, "0");
    bool disaster = seen & EVENT_DISASTER, accident = seen & EVENT_ACCIDENT, death = seen & EVENT_DEATH;
    struct buf events;
    buf_init(&events, 128);
    buf_put_z(&events, disaster ? "disaster " : "");
    buf_put_z(&events, accident ? "accident " : "");
    buf_put_z(&events, death ? "death_main " : "");
    if (events.n == 0)
        buf_put_z(&events, "none");
    say(w, "/monitoring/shock/events", 0, arena_str(w->a, str_trim(buf_str(&events))));
    buf_free(&events);
    if (disaster) {
        say_money(w, "/monitoring/shock/disaster_loss", 0, other);
        say_money(w, "/monitoring/shock/disaster_repair", 0, accident ? other / 2 : other);
    }
    if (accident) {
        say_z(w, "/monitoring/shock/accident_injury", 0, "no");
        say_money(w, "/monitoring/shock/accident_cost", 0, disaster ? other / 2 : other);
    }
    bool trade = events_of(h, month, 8) & EVENT_TRADE;
    say_z(w, "/monitoring/industry/main", 0, "crop");
    say_number(w, "/monitoring/industry/loss_share", 0, trade ? 60 : 0);
}

static void say_rest(struct answering *w, const struct villager_household *h)
{
    say_z(w, "/monitoring/visit/consent", 0, "agreed");
    say_z(w, "/monitoring/household/ex_poor", 0, h->ex_poor ? "yes" : "no");
    say_z(w, "/monitoring/household/monitored", 0, "no");
    say_z(w, "/monitoring/household/relief", 0, "none");
    say_z(w, "/monitoring/house/grade", 0, "A");
    say_z(w, "/monitoring/house/only_dwelling", 0, "yes");
    say_z(w, "/monitoring/house/observed_damage", 0, "no");
    say_z(w, "/monitoring/water/source", 0, "tap");
    say_z(w, "/monitoring/water/quality_ok", 0, "yes");
    say_z(w, "/monitoring/water/quantity_ok", 0, "yes");
    say_z(w, "/monitoring/water/supply_ok", 0, "yes");
    say_z(w, "/monitoring/living/food_ok", 0, "yes");
    say_z(w, "/monitoring/living/clothes_ok", 0, "yes");
    say_z(w, "/monitoring/debt/total", 0, "0");
}

uint32_t village_answers(struct chance *c, const struct villager_household *h, uint32_t month,
                         struct arena *a, struct village_answer out[VILLAGE_ANSWERS_MAX])
{
    struct answering w = {c, a, out, 0};
    double wage = 0;
    say_rest(&w, h);
    say_income(&w, h, month, &wage);
    say_spending(&w, h, month);
    for (uint32_t i = 1; i <= h->size; i++)
        say_member(&w, h, i, month, wage);
    return w.count;
}
