#include "bench_rates.h"

#include "percentile.h"

#include <math.h>

struct bench_rate bench_rate_of(double *rates, uint32_t n)
{
    percentile_sort(rates, n);
    return (struct bench_rate){percentile(rates, n, 50), percentile(rates, n, 10), percentile(rates, n, 90), n};
}

double bench_stage_seconds(const struct bench_stage *stage)
{
    return stage->part / stage->rate.median;
}

double bench_allowed(const struct bench_stage *stages, uint32_t n)
{
    double sides[2] = {0}, longest = 0; /* seconds per image: the host's, the device's; a stage's alone */
    for (uint32_t i = 0; i < n; i++) {
        sides[stages[i].on_device] += bench_stage_seconds(&stages[i]);
        longest = fmax(longest, 1 / stages[i].rate.median);
    }
    return 1 / fmax(longest, fmax(sides[0], sides[1]));
}
