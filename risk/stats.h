/* Sorting numbers and reading percentiles off them: what the studies over tables share. */
#ifndef DOORSTEP_RISK_STATS_H
#define DOORSTEP_RISK_STATS_H

#include <stdint.h>

void stats_sort(double *v, uint32_t count); /* ascending; no NaN */
/* Of sorted numbers, as Stata's summarize gives it: with count * percent / 100 whole the mean of that value
 * and the next, else the next one up. NaN without numbers. */
double stats_percentile(const double *sorted, uint32_t count, uint32_t percent);

#endif
