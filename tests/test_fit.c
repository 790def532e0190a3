/* Calibrations and thresholds against SciPy and scikit-learn (fixtures/metrics.py), and on cards whose calibration is known. */
#include "eval/fit.h"

#include "metrics_golden.h"
#include "random.h"

static double logit(float p)
{
    double inside = fmin(fmax((double)p, 0x1p-126), 1 - 0x1p-24);
    return log(inside) - log1p(-inside);
}

/* Mean cross-entropy against targets of `yes` and `no`. */
static double cross_entropy(const struct metrics_sample *sample, struct calibration calibration, double yes, double no)
{
    double sum = 0;
    for (size_t i = 0; i < sample->n; i++) {
        double z = (double)calibration.slope * logit(sample->p[i]) + (double)calibration.offset;
        double target = sample->truth[i] ? yes : no;
        sum += target * log1p(exp(-fabs(z))) + (1 - target) * log1p(exp(-fabs(z)));
        sum += z < 0 ? -target * z : (1 - target) * z;
    }
    return sum / (double)sample->n;
}

static struct calibration fitted(enum fit_method method, const struct metrics_sample *sample)
{
    struct calibration calibration;
    cr_expect(fit_calibration(method, sample->p, sample->truth, sample->n, &calibration));
    cr_expect(calibration.slope >= (float)CALIBRATION_SLOPE_LEAST && calibration.slope <= (float)CALIBRATION_SLOPE_MOST);
    cr_expect(fabsf(calibration.offset) <= (float)CALIBRATION_OFFSET_MOST);
    return calibration;
}

static bool is_near(float value, float expected, float tolerance)
{
    return fabsf(value - expected) <= tolerance * fmaxf(1, fabsf(expected));
}

/* The cross-entropy that a fit makes least: from Platt's targets. */
static double fitted_loss(const struct metrics_sample *sample, struct calibration calibration)
{
    size_t positives = 0;
    for (size_t i = 0; i < sample->n; i++)
        positives += sample->truth[i];
    return cross_entropy(sample, calibration, (double)(positives + 1) / (double)(positives + 2),
                         1 / (double)(sample->n - positives + 2));
}

/* Where the loss is flat slopes may differ, if ours is no worse. */
static void check_temperature(const struct golden *golden)
{
    if (isnan(golden->temperature.slope))
        return;
    struct calibration found = fitted(FIT_TEMPERATURE, &golden->sample);
    double loss = fitted_loss(&golden->sample, found), expected = fitted_loss(&golden->sample, golden->temperature);
    bool same = fabsf(found.slope / golden->temperature.slope - 1) < 1e-5f;
    cr_expect(found.offset == 0 && (same || loss <= expected), "%s: slope %.8g, loss %.12g; SciPy: %.8g, %.12g", golden->name,
              (double)found.slope, loss, (double)golden->temperature.slope, expected);
}

Test(fit, finds_scipys_temperature)
{
    golden_each(check_temperature);
}

static void check_platt(const struct golden *golden)
{
    if (isnan(golden->platt.slope))
        return;
    struct calibration found = fitted(FIT_PLATT, &golden->sample);
    double loss = fitted_loss(&golden->sample, found), expected = fitted_loss(&golden->sample, golden->platt);
    bool same = is_near(found.slope, golden->platt.slope, 1e-4f) && is_near(found.offset, golden->platt.offset, 1e-4f);
    cr_expect((same || loss < expected) && loss <= expected + 1e-9,
              "%s: %.8g, %.8g, loss %.12g; scikit-learn: %.8g, %.8g, %.12g", golden->name, (double)found.slope,
              (double)found.offset, loss, (double)golden->platt.slope, (double)golden->platt.offset, expected);
}

Test(fit, finds_scikit_learns_platt_scaling)
{
    golden_each(check_platt);
}

/* Cards of which P says `1 / slope` times the logit, less what the offset puts back. */
#define MADE 100000

static void make(float *p, uint8_t *truth, double slope, double offset)
{
    for (uint64_t i = 0; i < MADE; i++) {
        double x = 3 * (double)random_at(1, i);
        p[i] = (float)(1 / (1 + exp(-x)));
        truth[i] = ((double)random_at(2, i) + 1) / 2 < 1 / (1 + exp(-(slope * x + offset)));
    }
}

Test(fit, recovers_what_cards_were_made_with)
{
    static float p[MADE];
    static uint8_t truth[MADE];
    const struct metrics_sample sample = {p, truth, MADE, 0.5f};
    static const double slopes[] = {0.2, 1, 2.5}, offsets[] = {0, -2, 1};
    for (int i = 0; i < 3; i++) { /* a standard error is less than 0.02 */
        make(p, truth, slopes[i], 0);
        cr_expect_float_eq(fitted(FIT_TEMPERATURE, &sample).slope, (float)slopes[i], 0.06f);
        make(p, truth, slopes[i], offsets[i]);
        struct calibration platt = fitted(FIT_PLATT, &sample);
        cr_expect_float_eq(platt.slope, (float)slopes[i], 0.06f);
        cr_expect_float_eq(platt.offset, (float)offsets[i], 0.06f);
    }
}

Test(fit, makes_overconfident_cards_believable)
{
    static float p[MADE];
    static uint8_t truth[MADE];
    struct metrics_sample sample = {p, truth, MADE, 0.5f};
    make(p, truth, 0.3, 0.5);
    struct bgd_err err;
    struct metrics before, after;
    cr_assert_eq(metrics_measure(&sample, 0, 0, &before, &err), 0);
    struct calibration calibration = fitted(FIT_PLATT, &sample);
    for (int i = 0; i < MADE; i++)
        p[i] = calibration_apply(calibration, p[i]);
    cr_assert_eq(metrics_measure(&sample, 0, 0, &after, &err), 0);
    cr_expect_gt(before.value[METRIC_CALIBRATION_ERROR], 0.1);
    cr_expect_lt(after.value[METRIC_CALIBRATION_ERROR], 0.01);
    cr_expect_float_eq(after.value[METRIC_ROC_AUC], before.value[METRIC_ROC_AUC], 1e-6);
}

Test(fit, learns_nothing_from_one_class)
{
    const float p[] = {0.2f, 0.7f, 0.9f};
    const uint8_t clean[] = {0, 0, 0}, defective[] = {1, 1, 1};
    for (int method = FIT_TEMPERATURE; method <= FIT_PLATT; method++)
        for (size_t n = 0; n <= 3; n++) {
            struct calibration calibration = {7, 7};
            cr_expect_not(fit_calibration((enum fit_method)method, p, clean, n, &calibration));
            cr_expect(calibration.slope == 1 && calibration.offset == 0);
            cr_expect_not(fit_calibration((enum fit_method)method, p, defective, n, &calibration));
        }
}

Test(fit, leaves_p_alone_where_no_temperature_matters)
{
    const float p[] = {0.5f, 0.5f, 0.5f};
    const uint8_t truth[] = {0, 1, 1};
    cr_expect_eq(fitted(FIT_TEMPERATURE, &(struct metrics_sample){p, truth, 3, 0.5f}).slope, 1);
}

/* P in a tight cluster asks for a slope and an offset that are both out of range: no fit may be worse than none. */
Test(fit, is_never_worse_than_no_calibration)
{
    float p[40], random[43];
    uint8_t truth[40];
    const struct metrics_sample sample = {p, truth, 40, 0.5f};
    for (uint64_t round = 0; round < 300; round++) {
        random_fill(random, 43, round, 0.5f, 0.5f);
        float width = powf(10, -6 * random[41]);
        for (int i = 0; i < 40; i++) {
            p[i] = fminf(fmaxf(random[40] + width * (random[i] - 0.5f), 0), 1);
            truth[i] = i == 0 || (i < 39 && random_bits(round + 1000, (uint64_t)i) % 2);
        }
        for (int method = FIT_TEMPERATURE; method <= FIT_PLATT; method++)
            cr_expect_leq(fitted_loss(&sample, fitted((enum fit_method)method, &sample)),
                          fitted_loss(&sample, CALIBRATION_NONE) + 1e-9, "round %d, method %d", (int)round, method);
    }
}

Test(fit, makes_no_certainty_of_few_cards_that_p_separates)
{
    const float p[] = {0.3f, 0.45f, 0.55f, 0.6f};
    const uint8_t truth[] = {0, 0, 1, 1};
    struct calibration found = fitted(FIT_TEMPERATURE, &(struct metrics_sample){p, truth, 4, 0.5f});
    cr_expect(found.slope > 1 && found.slope < 10, "%g", (double)found.slope);
    cr_expect_lt(calibration_apply(found, 0.6f), 0.9f);
}

/* ---------------------------------------------------------------- thresholds */

static float threshold_for(const struct metrics_sample *sample, struct fit_target target)
{
    float threshold = -7;
    bool met;
    struct bgd_err err;
    cr_assert_eq(fit_threshold(sample, target, &threshold, &met, &err), 0);
    cr_expect(met ? threshold >= 0 && threshold <= 1 : threshold == -7);
    return met ? threshold : NAN;
}

static bool is_same(float a, float b)
{
    return isnan(a) ? isnan(b) : a == b;
}

static void check_thresholds(const struct golden *golden)
{
    float f1 = threshold_for(&golden->sample, (struct fit_target){.f1 = true});
    cr_expect(is_same(f1, golden->f1), "F1 of %s: %.9g, expected %.9g", golden->name, (double)f1, (double)golden->f1);
    for (int i = 0; i < GOLDEN_PRECISIONS; i++) {
        float recall = threshold_for(&golden->sample, (struct fit_target){.precision = golden->precisions[i]});
        cr_expect(is_same(recall, golden->recall[i]), "precision %g of %s: %.9g, expected %.9g", golden->precisions[i],
                  golden->name, (double)recall, (double)golden->recall[i]);
    }
}

Test(fit, finds_the_threshold_that_trying_all_finds)
{
    golden_each(check_thresholds);
}

static double value_at(struct metrics_sample sample, float threshold, enum metric metric)
{
    struct metrics metrics;
    struct bgd_err err;
    sample.threshold = threshold;
    cr_assert_eq(metrics_measure(&sample, 0, 0, &metrics, &err), 0);
    return metrics.value[metric];
}

/* Of all thresholds at which anything changes. */
static void check_promise(const struct golden *golden)
{
    double best = 0, most = 0, precision = 0.8;
    for (size_t i = 0; i < golden->sample.n; i++) {
        best = fmax(best, value_at(golden->sample, golden->p[i], METRIC_F1));
        if (value_at(golden->sample, golden->p[i], METRIC_PRECISION) >= precision)
            most = fmax(most, value_at(golden->sample, golden->p[i], METRIC_RECALL));
    }
    float f1 = threshold_for(&golden->sample, (struct fit_target){.f1 = true});
    float recall = threshold_for(&golden->sample, (struct fit_target){.precision = precision});
    cr_expect(isnan(f1) ? !(best > 0) : value_at(golden->sample, f1, METRIC_F1) == best, "%s", golden->name);
    cr_expect(isnan(recall) ? !(most > 0) : value_at(golden->sample, recall, METRIC_RECALL) == most, "%s", golden->name);
    cr_expect(isnan(recall) || value_at(golden->sample, recall, METRIC_PRECISION) >= precision, "%s", golden->name);
}

Test(fit, keeps_what_a_threshold_promises_when_it_is_measured)
{
    golden_each(check_promise);
}

Test(fit, calls_cards_of_p_0_only_with_the_threshold_0)
{
    const float p[] = {0, 0};
    const uint8_t truth[] = {1, 0};
    cr_expect_eq(threshold_for(&(struct metrics_sample){p, truth, 2, 0.5f}, (struct fit_target){.f1 = true}), 0);
    const float least[] = {0, 0x1p-149f};
    const uint8_t second[] = {0, 1};
    cr_expect_eq(threshold_for(&(struct metrics_sample){least, second, 2, 0.5f}, (struct fit_target){.precision = 1}),
                 0x1p-149f);
}
