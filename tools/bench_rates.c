#include "bench_rates.h"

#include "percentile.h"

#include <math.h>

struct bench_rate bench_rate_of(double *rates, uint32_t n)
{
    percentile_sort(rates, n);
    return (struct bench_rate){percentile(rates, n, 50), percentile(rates, n, 10), percentile(rates, n, 90), n};
}

double bench_allowed(const struct bench_stage *stages, uint32_t n)
{
    double seconds[2] = {0}; /* per image: the host's, the device's */
    for (uint32_t i = 0; i < n; i++)
        seconds[stages[i].on_device] += 1 / stages[i].rate.median;
    return 1 / fmax(seconds[0], seconds[1]);
}
