/* Metrics against scikit-learn, intervals against NumPy's percentile bootstrap (fixtures/metrics.py). */
#include "eval/metrics.h"

#include "metrics_golden.h"
#include "random.h"

static struct metrics measured(const struct metrics_sample *sample, uint32_t draws, uint64_t seed)
{
    struct metrics metrics;
    struct bgd_err err = {0};
    cr_assert_eq(metrics_measure(sample, draws, seed, &metrics, &err), 0, "%s", err.text);
    return metrics;
}

static bool is_near(double value, double expected, double tolerance)
{
    return isnan(expected) ? isnan(value) : fabs(value - expected) <= tolerance;
}

static void check_values(const struct golden *golden)
{
    struct metrics metrics = measured(&golden->sample, 0, 1);
    for (int i = 0; i < METRICS; i++) {
        double tolerance = 1e-12 * fmax(1, fabs(golden->values[i]));
        cr_expect(is_near(metrics.value[i], golden->values[i], tolerance), "%s of %s: %.12g, expected %.9g",
                  metric_name((enum metric)i), golden->name, metrics.value[i], golden->values[i]);
        cr_expect(isnan(metrics.low[i]) && isnan(metrics.high[i]), "an interval without draws");
    }
}

Test(metrics, are_what_scikit_learn_computes)
{
    golden_each(check_values);
}

/* The 2.5th percentile of 4000 draws from a normal distribution has a standard error of 1 % of the interval's width, the
 * difference of two such 1.5 %: 7 % is more than four of those. */
static void check_intervals(const struct golden *golden)
{
    if (isnan(golden->low[METRIC_ACCURACY]))
        return;
    struct metrics metrics = measured(&golden->sample, 4000, 1);
    for (int i = 0; i < METRICS; i++) {
        double tolerance = 0.07 * (golden->high[i] - golden->low[i]);
        cr_expect(is_near(metrics.low[i], golden->low[i], tolerance) && is_near(metrics.high[i], golden->high[i], tolerance),
                  "%s of %s: %g..%g, expected %g..%g", metric_name((enum metric)i), golden->name, metrics.low[i],
                  metrics.high[i], golden->low[i], golden->high[i]);
    }
}

Test(metrics, have_the_intervals_of_numpys_bootstrap)
{
    golden_each(check_intervals);
}

Test(metrics, count_each_card_once)
{
    const float p[] = {0.9f, 0.5f, 0.49f, 0.1f, 0.5f, 1, 0};
    const uint8_t truth[] = {1, 0, 1, 0, 1, 1, 0};
    struct metrics metrics = measured(&(struct metrics_sample){p, truth, 7, 0.5f}, 0, 1);
    cr_expect(metrics.n == 7 && metrics.positives == 4);
    cr_expect(metrics.tp == 3 && metrics.fp == 1 && metrics.fn == 1 && metrics.tn == 2);
    size_t n = 0;
    for (int i = 0; i < METRICS_BINS; i++)
        n += metrics.bins[i].n;
    cr_expect_eq(n, 7);
    cr_expect(metrics.bins[0].n == 1 && metrics.bins[14].n == 1, "P of 0 is in the first bin, of 1 in the last");
    const struct metrics_bin *bin = &metrics.bins[7]; /* 7/15 .. 8/15 */
    cr_expect(bin->n == 3 && fabs(bin->p - (0.5 + 0.5 + (double)0.49f) / 3) < 1e-12 && fabs(bin->truth - 2 / 3.0) < 1e-12);
}

Test(metrics, know_no_value_without_cards)
{
    struct metrics metrics = measured(&(struct metrics_sample){NULL, NULL, 0, 0.5f}, 10, 1);
    for (int i = 0; i < METRICS; i++)
        cr_expect(isnan(metrics.value[i]) && isnan(metrics.low[i]), "%s", metric_name((enum metric)i));
}

/* Of one "yes" and one "no" card, half the draws have both: a few more with some seeds, a few fewer with others. */
Test(metrics, have_an_interval_if_half_of_the_draws_have_the_metric)
{
    const float p[] = {0.2f, 0.8f};
    const uint8_t truth[] = {0, 1};
    int known = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct metrics metrics = measured(&(struct metrics_sample){p, truth, 2, 0.5f}, 1001, seed);
        cr_expect_eq(metrics.value[METRIC_ROC_AUC], 1);
        cr_expect(metrics.low[METRIC_RECALL] == 1 && metrics.high[METRIC_RECALL] == 1, "three quarters have a \"yes\" card");
        known += !isnan(metrics.low[METRIC_ROC_AUC]);
    }
    cr_expect(known > 5 && known < 35, "%d of 40", known);
}

static void fill(float *p, uint8_t *truth, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = roundf((random_at(1, i) + 1) * 50) / 100;
        truth[i] = (random_at(2, i) + 1) / 2 < p[i];
    }
}

Test(metrics, do_not_depend_on_the_order_of_cards)
{
    float p[300], backwards[300];
    uint8_t truth[300], truth_backwards[300];
    fill(p, truth, 300);
    for (int i = 0; i < 300; i++) {
        backwards[i] = p[299 - i];
        truth_backwards[i] = truth[299 - i];
    }
    struct metrics one = measured(&(struct metrics_sample){p, truth, 300, 0.5f}, 50, 9);
    struct metrics other = measured(&(struct metrics_sample){backwards, truth_backwards, 300, 0.5f}, 50, 9);
    cr_expect_eq(memcmp(one.value, other.value, sizeof one.value), 0);
    cr_expect_eq(memcmp(one.low, other.low, sizeof one.low), 0);
    cr_expect_eq(memcmp(one.high, other.high, sizeof one.high), 0);
}

Test(metrics, draw_anew_for_another_seed_alone)
{
    float p[300];
    uint8_t truth[300];
    fill(p, truth, 300);
    const struct metrics_sample sample = {p, truth, 300, 0.5f};
    struct metrics one = measured(&sample, 200, 9), same = measured(&sample, 200, 9), other = measured(&sample, 200, 10);
    cr_expect_eq(memcmp(one.low, same.low, sizeof one.low), 0);
    cr_expect_neq(one.low[METRIC_CROSS_ENTROPY], other.low[METRIC_CROSS_ENTROPY]);
    cr_expect_eq(memcmp(one.value, other.value, sizeof one.value), 0);
}

/* Two draws give v and w, of which one draw with the same seed tells v. */
Test(metrics, interpolate_percentiles_linearly)
{
    float p[300];
    uint8_t truth[300];
    fill(p, truth, 300);
    const struct metrics_sample sample = {p, truth, 300, 0.5f};
    struct metrics one = measured(&sample, 1, 9), two = measured(&sample, 2, 9);
    for (int i = 0; i < METRICS; i++) {
        cr_expect_eq(one.low[i], one.high[i]);
        double v = one.low[i], w = two.low[i] + two.high[i] - v;
        cr_expect_float_eq(two.high[i] - two.low[i], 0.95 * fabs(v - w), 1e-12);
    }
}

static void check_curve(const struct golden *golden)
{
    struct metrics_sample sample = golden->sample;
    struct metrics_point *points;
    size_t n;
    struct bgd_err err;
    cr_assert_eq(metrics_curve(&sample, &points, &n, &err), 0);
    for (size_t i = 0; i < n; i++) {
        sample.threshold = points[i].p;
        struct metrics metrics = measured(&sample, 0, 1);
        cr_expect(points[i].tp == metrics.tp && points[i].fp == metrics.fp, "%s at %g", golden->name, (double)points[i].p);
        cr_expect(i == 0 || points[i].p < points[i - 1].p, "%s: not downwards", golden->name);
    }
    cr_expect_eq(points[n - 1].tp + points[n - 1].fp, sample.n, "the last point calls every card");
    free(points);
}

Test(metrics, have_a_curve_whose_points_are_thresholds)
{
    golden_each(check_curve);
}

Test(metrics, have_names_of_their_own)
{
    cr_expect_str_eq(metric_name(METRIC_ACCURACY), "accuracy");
    cr_expect_str_eq(metric_name(METRIC_CROSS_ENTROPY), "cross_entropy");
    cr_expect_str_eq(metric_name(METRIC_ROC_AUC), "roc_auc");
    cr_expect_str_eq(metric_name(METRIC_CALIBRATION_ERROR), "calibration_error");
}
