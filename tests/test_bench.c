/* Percentiles, what stages allow together, and a chart of whatever was measured. */
#include "bench_chart.h"
#include "percentile.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    const struct bench_stage stages[] = {{"decode", false, {200, 1, 1000, 5}, 1}, {"classify", false, {300, 1, 1000, 5}, 1}};
    assert_near(bench_allowed(stages, 2), 120);
    assert_near(bench_allowed(stages, 1), 200);
}

/* The host's 120 beside the device's 1 / (1/1000 + 1/250) = 200, and then its 1 / (1/100 + 1/100) = 50. */
Test(bench, a_device_works_beside_its_host)
{
    struct bench_stage stages[] = {{"decode", false, {.median = 200}, 1},
                                   {"feed", true, {.median = 1000}, 1},
                                   {"classify", true, {.median = 250}, 1},
                                   {"write", false, {.median = 300}, 1}};
    assert_near(bench_allowed(stages, 4), 120);
    stages[1].rate.median = stages[2].rate.median = 100;
    assert_near(bench_allowed(stages, 4), 50);
}

/* A quarter of the threads find evidence of 300 images a second, all would of 1200: 1 / (1/400 + 1/1200) = 300. At 200 by that
 * quarter the whole could do 1 / (1/400 + 1/800) = 267, the quarter does not. */
Test(bench, a_stage_of_few_threads_costs_the_others_little_and_is_a_limit_by_itself)
{
    struct bench_stage stages[] = {{"decode", false, {.median = 400}, 1}, {"evidence", false, {.median = 300}, 0.25}};
    assert_near(bench_allowed(stages, 2), 300);
    stages[1].rate.median = 200;
    assert_near(bench_allowed(stages, 2), 200);
}

/* ---------------------------------------------------------------- charts */

Test(bench, ticks_are_round)
{
    const double values[][2] = {{1, 1}, {1.01, 2}, {2, 2}, {3, 5}, {7, 10}, {0.03, 0.05}, {4999, 5000}, {0, 1}, {-3, 1}};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_near(chart_round_up(values[i][0]), values[i][1]);
    cr_expect_eq(chart_round_up((double)NAN), 1);
    cr_expect_eq(chart_round_up((double)INFINITY), 1);
}

/* A report in which every rate, time and ceiling is `x`; the SVG of it, to be freed. */
static char *draw(double x)
{
    const struct bench_rate rate = {x, x, x, 5};
    struct bench_cards cards = {.n = 1, .formats = {[BGD_JPEG] = 1}, .bytes = x, .pixels = x};
    struct roofline_step steps[] = {{"a", "conv", 1, x, x, x, true, x}, {"b", "conv", 1, x, x, x, false, x}};
    struct bench_network network = {"network", {.ceilings = {x, x, 4}, .macs = x, .measured = 1, .steps = steps, .n_steps = 2}};
    struct bench_report report = {.commit = "0123456789ab",
                                  .cards = &cards,
                                  .n_stages = 2,
                                  .stages = {{"decode", false, rate}, {"classify", true, rate}},
                                  .whole = rate,
                                  .allowed = x,
                                  .n_by_batch = 1,
                                  .by_batch = {{"network", 2, {{1, rate}, {2, rate}}}},
                                  .n_networks = 1,
                                  .networks = &network};
    char *svg = NULL;
    size_t size = 0;
    struct bgd_err err;
    FILE *file = open_memstream(&svg, &size);
    cr_assert_not_null(file);
    cr_expect_eq(bench_put_chart(file, &report, &err), 0);
    network.roofline.measured = 0; /* one that was not timed */
    cr_expect_eq(bench_put_chart(file, &report, &err), 0);
    fclose(file);
    cr_expect_lt(size, 40000, "%g: %zu bytes", x, size);
    return svg;
}

Test(bench, a_chart_ends_whatever_was_measured)
{
    const double values[] = {0, -1, 1e-300, 1e300, (double)NAN, (double)INFINITY};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        free(draw(values[i]));
}

Test(bench, a_chart_has_places_for_numbers_of_any_common_size)
{
    const double values[] = {1e-6, 0.001, 1, 1000, 1e9, 1e15};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char *svg = draw(values[i]);
        cr_expect(!strstr(svg, "\"nan") && !strstr(svg, "inf\"") && !strstr(svg, "-nan"), "%g", values[i]);
        free(svg);
    }
}
