/* Percentiles, and what stages allow together. */
#include "bench_rates.h"
#include "percentile.h"

#include <criterion/criterion.h>
#include <math.h>

static void assert_near(double value, double expected)
{
    cr_expect(fabs(value - expected) <= 1e-12 * fabs(expected), "%.17g, expected %.17g", value, expected);
}

/* numpy.percentile([3, 1, 4, 1, 5, 9, 2, 6], [0, 10, 50, 90, 100]) */
Test(bench, percentiles_are_numpys)
{
    double values[] = {3, 1, 4, 1, 5, 9, 2, 6};
    percentile_sort(values, 8);
    assert_near(percentile(values, 8, 0), 1);
    assert_near(percentile(values, 8, 10), 1);
    assert_near(percentile(values, 8, 50), 3.5);
    assert_near(percentile(values, 8, 90), 6.9);
    assert_near(percentile(values, 8, 100), 9);
    assert_near(percentile(values, 1, 37), 1);
}

Test(bench, a_rate_is_the_median_between_its_percentiles)
{
    double rates[] = {50, 10, 30, 20, 40};
    const struct bench_rate rate = bench_rate_of(rates, 5);
    assert_near(rate.median, 30);
    assert_near(rate.low, 14); /* 10 + 0.4 x 10 */
    assert_near(rate.high, 46);
    cr_expect_eq(rate.repetitions, 5);
    double one[] = {7};
    const struct bench_rate alone = bench_rate_of(one, 1);
    cr_expect(alone.low == 7 && alone.median == 7 && alone.high == 7);
}

/* Two stages of 200 and 300 images a second that take turns: 1 / (1/200 + 1/300) = 120. */
Test(bench, stages_of_a_cpu_take_turns)
{
    const struct bench_stage stages[] = {{"decode", false, {200, 1, 1000, 5}}, {"classify", false, {300, 1, 1000, 5}}};
    assert_near(bench_allowed(stages, 2), 120);
    assert_near(bench_allowed(stages, 1), 200);
}

/* The host's 120 beside the device's 1 / (1/1000 + 1/250) = 200, and then its 1 / (1/100 + 1/100) = 50. */
Test(bench, a_device_works_beside_its_host)
{
    struct bench_stage stages[] = {{"decode", false, {.median = 200}},
                                   {"feed", true, {.median = 1000}},
                                   {"classify", true, {.median = 250}},
                                   {"write", false, {.median = 300}}};
    assert_near(bench_allowed(stages, 4), 120);
    stages[1].rate.median = stages[2].rate.median = 100;
    assert_near(bench_allowed(stages, 4), 50);
}
