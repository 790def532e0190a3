/*
 * How right a yes-or-no output is on a set of cards, with what chance alone would make of it.
 *
 * P is the output's probability of "yes", y the truth (0 or 1), and the output says "yes" from its threshold on.
 *   accuracy            (TP + TN) / (TP + TN + FP + FN)
 *   cross-entropy       mean of -ln P where y is 1, -ln(1 - P) where it is 0; a logarithm counts as -100 at the least, as in
 *                       PyTorch's BCELoss
 *   precision, recall   TP / (TP + FP), TP / (TP + FN);     F1 = 2 TP / (2 TP + FP + FN)
 *   ROC-AUC             the chance that a "yes" card has a larger P than a "no" card, ties counting half
 *   average precision   sum over the distinct P, downwards, of (recall gained) x (precision there)
 *   calibration error   over 15 bins of equal width in P: sum of (share of the cards) x |mean P - share of y = 1|
 *                       (expected calibration error; Guo et al. 2017, arXiv 1706.04599, on P of "yes")
 * A metric that has nothing to stand on is NAN: precision when nothing was called; precision, recall, F1, AUC and average
 * precision without a "yes" card, since there was nothing to find; AUC without a "no" card; all of them without cards. No bin's edge but 0 and 1 is a float, so it does
 * not matter to which side an edge belongs.
 */
#ifndef BGD_METRICS_H
#define BGD_METRICS_H

#include "bgdet.h"

enum metric {
    METRIC_ACCURACY,
    METRIC_CROSS_ENTROPY,
    METRIC_PRECISION,
    METRIC_RECALL,
    METRIC_F1,
    METRIC_ROC_AUC,
    METRIC_AVERAGE_PRECISION,
    METRIC_CALIBRATION_ERROR,
    METRICS
};

/* "accuracy", "cross_entropy", ... "calibration_error". */
const char *metric_name(enum metric metric);

/* "accuracy", "cross-entropy", "ROC-AUC": for people. */
const char *metric_title(enum metric metric);

/* Accuracy, precision, recall and F1, which people read as percentages. */
bool metric_is_percent(enum metric metric);

#define METRICS_BINS 15

/* One output on n cards. Borrowed. */
struct metrics_sample {
    const float *p;       /* n of 0..1 */
    const uint8_t *truth; /* n of 0 or 1 */
    size_t n;
    float threshold; /* called from P >= threshold on */
};

struct metrics_bin {
    size_t n;
    double p, truth; /* means; 0 where n is 0 */
};

struct metrics {
    size_t n, positives;
    size_t tp, fp, tn, fn;
    double value[METRICS];
    double low[METRICS], high[METRICS]; /* 95 % interval; NAN where value is, or fewer than half the draws have the metric */
    struct metrics_bin bins[METRICS_BINS];
};

/*
 * Measures the sample, and again on `draws` samples of n cards drawn from it with replacement (percentile bootstrap; Efron
 * and Tibshirani 1993, chapter 13); low and high are the 2.5th and 97.5th percentiles of those, interpolated linearly. The same
 * cards in any order, draws and seed give the same numbers. draws 0: no intervals, all NAN. BGD_MEMORY.
 */
int metrics_measure(const struct metrics_sample *sample, uint32_t draws, uint64_t seed, struct metrics *out,
                    struct bgd_err *err);

/* A point of the ROC and precision-recall curves: what calling from P >= p on would give. */
struct metrics_point {
    float p;
    size_t tp, fp;
};

/* One point per distinct P, downwards; *points is to be freed. BGD_MEMORY. */
int metrics_curve(const struct metrics_sample *sample, struct metrics_point **points, size_t *n, struct bgd_err *err);

#endif
