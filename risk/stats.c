/* See stats.h. A heap sort: no memory, no recursion, and no worst case that a table could be made for. */
#include "risk/stats.h"

#include <math.h>

static void sift(double *v, uint32_t from, uint32_t count)
{
    for (uint32_t child; (child = 2 * from + 1) < count; from = child) {
        if (child + 1 < count && v[child + 1] > v[child])
            child++;
        if (v[from] >= v[child])
            return;
        double t = v[from];
        v[from] = v[child];
        v[child] = t;
    }
}

void stats_sort(double *v, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;)
        sift(v, i, count);
    for (uint32_t n = count; n > 1;) {
        double t = v[--n];
        v[n] = v[0];
        v[0] = t;
        sift(v, 0, n);
    }
}

double stats_percentile(const double *sorted, uint32_t count, uint32_t percent)
{
    uint64_t product = (uint64_t)count * percent, whole = product / 100;
    if (count == 0)
        return NAN;
    if (product % 100 == 0 && whole > 0 && whole < count)
        return (sorted[whole - 1] + sorted[whole]) / 2;
    return sorted[whole < count ? whole : count - 1];
}
