/* Invented households that live month by month, for asking what a rule pack can and cannot find. Pure and
 * seeded: the same seed gives the same village on every machine.
 *
 * What decides that a household is in need is not a rule: each month it may sell livestock or land, take a
 * child out of school or go hungry, with a chance that grows as what is left to live on shrinks and falls
 * with a resilience that no question asks for. The rules see answers: with errors, with blanks, at visits
 * only. Sizes, incomes and their sources follow published statistics (docs/RISK.md); hazards, losses and
 * errors are assumptions, and are printed with every result.
 */
#ifndef DOORSTEP_RISK_SIMULATE_H
#define DOORSTEP_RISK_SIMULATE_H

#include "platform/base/arena.h"
#include "platform/base/buf.h"

struct chance {
    uint64_t state;
};
double chance_uniform(struct chance *c); /* [0, 1) */
double chance_normal(struct chance *c);  /* mean 0, sd 1, within 6: twelve uniforms */
bool chance_of(struct chance *c, double probability);

#define VILLAGE_SIZE_MAX 10
#define VILLAGE_MONTHS_MAX 60

struct villager_household {
    uint32_t size, workers, children;
    bool elderly, ex_poor, remote;
    double income; /* yearly net, of the whole household, before shocks */
    double wage_share, transfer_share;
    double resilience; /* mean 0, sd 1: savings, relatives, health; nobody asks */
    /* by month, from 0 */
    double lost[VILLAGE_MONTHS_MAX];    /* income lost in the month */
    double medical[VILLAGE_MONTHS_MAX]; /* self-paid */
    double other[VILLAGE_MONTHS_MAX];   /* repairs, accidents */
    uint8_t events[VILLAGE_MONTHS_MAX]; /* enum village_event bits that happened in the month */
    int32_t need_month;                 /* first in need; -1 = never */
    int32_t shock_month;                /* the last shock before it; need_month when none */
};
enum village_event {
    EVENT_ILLNESS = 1,
    EVENT_JOB = 2,
    EVENT_DISASTER = 4,
    EVENT_ACCIDENT = 8,
    EVENT_DEATH = 16,
    EVENT_TRADE = 32
};
void village_household(struct chance *c, uint32_t months, struct villager_household *out);
/* Left to live on, yuan a head in the twelve months before the end of `month`: known to nobody. */
double village_left(const struct villager_household *h, uint32_t month);

/* What is answered at a visit at the end of `month`: each is a path of the example form, the place of the
 * member (0 = none) and a text; texts live in `a`. */
struct village_answer {
    const char *path;
    uint32_t member;
    struct str text;
};
#define VILLAGE_ANSWERS_MAX 256
uint32_t village_answers(struct chance *c, const struct villager_household *h, uint32_t month,
                         struct arena *a, struct village_answer out[VILLAGE_ANSWERS_MAX]);
/* What the insurer knows: self-paid in the calendar year so far. */
double village_insurer(const struct villager_household *h, uint32_t month);

#endif
