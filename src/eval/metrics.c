#include "metrics.h"

#include "../err.h"
#include "../percentile.h"
#include "../splitmix.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *metric_name(enum metric metric)
{
    static const char *const names[] = {"accuracy", "cross_entropy", "precision",         "recall",
                                        "f1",       "roc_auc",       "average_precision", "calibration_error"};
    _Static_assert(sizeof names / sizeof *names == METRICS, "a name for each");
    assert((size_t)metric < METRICS);
    return names[metric];
}

const char *metric_title(enum metric metric)
{
    static const char *const titles[] = {"accuracy", "cross-entropy", "precision",         "recall",
                                         "F1",       "ROC-AUC",       "average precision", "calibration error"};
    _Static_assert(sizeof titles / sizeof *titles == METRICS, "a title for each");
    assert((size_t)metric < METRICS);
    return titles[metric];
}

bool metric_is_percent(enum metric metric)
{
    return metric == METRIC_ACCURACY || metric == METRIC_PRECISION || metric == METRIC_RECALL || metric == METRIC_F1;
}

/* ---------------------------------------------------------------- the sample, by P downwards */

struct card {
    float p;
    uint8_t truth;
    uint8_t bin;
    double loss; /* the card's cross-entropy */
};

static int compare_cards(const void *a, const void *b)
{
    const struct card *first = a, *second = b;
    if (first->p != second->p)
        return first->p > second->p ? -1 : 1;
    return first->truth - second->truth; /* so that the order in which cards come changes nothing, not even a sum's last bit */
}

static struct card *sort_cards(const struct metrics_sample *sample)
{
    struct card *cards = malloc((sample->n + 1) * sizeof *cards);
    for (size_t i = 0; i < sample->n && cards; i++) {
        float p = sample->p[i];
        uint8_t truth = sample->truth[i];
        assert(p >= 0 && p <= 1 && truth <= 1);
        int bin = (int)((double)p * METRICS_BINS);
        cards[i].p = p;
        cards[i].truth = truth;
        cards[i].bin = (uint8_t)(bin < METRICS_BINS ? bin : METRICS_BINS - 1);
        cards[i].loss = fmin(-log(truth ? (double)p : 1 - (double)p), 100);
    }
    if (cards)
        qsort(cards, sample->n, sizeof *cards, compare_cards);
    return cards;
}

/* ---------------------------------------------------------------- measuring */

/* Sums over cards, each counted as often as it was drawn. */
struct sums {
    size_t yes, no;               /* cards */
    size_t tp, fp;                /* called */
    uint64_t half_pairs;          /* (yes, no) pairs in the right order, ties counting one half: times 2 */
    double loss, precision_gains; /* precision_gains: recall gained x precision, times `yes` */
    struct metrics_bin bins[METRICS_BINS];
};

/* One pass from the largest P down; cards of equal P are taken together. */
static struct sums add_up(const struct card *cards, size_t n, const uint32_t *count, float threshold)
{
    struct sums sums = {0};
    for (size_t i = 0; i < n;) {
        const struct card *card = &cards[i];
        size_t level = 0, level_yes = 0;
        for (; i < n && cards[i].p == card->p; i++) {
            level += count[i];
            level_yes += count[i] * cards[i].truth;
            sums.loss += count[i] * cards[i].loss;
        }
        size_t level_no = level - level_yes;
        sums.half_pairs += (uint64_t)level_no * (2 * sums.yes + level_yes);
        sums.yes += level_yes;
        sums.no += level_no;
        if (level_yes > 0)
            sums.precision_gains += (double)level_yes * (double)sums.yes / (double)(sums.yes + sums.no);
        if (card->p >= threshold) {
            sums.tp = sums.yes;
            sums.fp = sums.no;
        }
        struct metrics_bin *bin = &sums.bins[card->bin];
        bin->n += level;
        bin->p += (double)level * (double)card->p;
        bin->truth += (double)level_yes;
    }
    return sums;
}

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : (double)NAN;
}

static void get_values(const struct sums *sums, double value[METRICS])
{
    double yes = (double)sums->yes, no = (double)sums->no, n = yes + no, tp = (double)sums->tp, fp = (double)sums->fp;
    double gap = 0;
    for (int i = 0; i < METRICS_BINS; i++)
        gap += fabs(sums->bins[i].p - sums->bins[i].truth);
    value[METRIC_ACCURACY] = share(tp + no - fp, n);
    value[METRIC_CROSS_ENTROPY] = share(sums->loss, n);
    value[METRIC_PRECISION] = yes > 0 ? share(tp, tp + fp) : (double)NAN;
    value[METRIC_RECALL] = share(tp, yes);
    value[METRIC_F1] = yes > 0 ? 2 * tp / (tp + fp + yes) : (double)NAN;
    value[METRIC_ROC_AUC] = share((double)sums->half_pairs / 2, yes * no);
    value[METRIC_AVERAGE_PRECISION] = share(sums->precision_gains, yes);
    value[METRIC_CALIBRATION_ERROR] = share(gap, n);
}

static void get_counts(const struct sums *sums, struct metrics *out)
{
    out->n = sums->yes + sums->no;
    out->positives = sums->yes;
    out->tp = sums->tp;
    out->fp = sums->fp;
    out->tn = sums->no - sums->fp;
    out->fn = sums->yes - sums->tp;
    for (int i = 0; i < METRICS_BINS; i++) {
        out->bins[i] = sums->bins[i];
        if (sums->bins[i].n > 0) {
            out->bins[i].p /= (double)sums->bins[i].n;
            out->bins[i].truth /= (double)sums->bins[i].n;
        }
    }
}

/* ---------------------------------------------------------------- bootstrap */

/* How often each of n cards comes up in n draws with replacement. */
static void draw(uint32_t *count, size_t n, uint64_t *state)
{
    memset(count, 0, n * sizeof *count);
    for (size_t i = 0; i < n; i++) /* the high half of a product with n: evenly 0..n - 1, but for 1 in 2^64 / n */
        count[(size_t)((unsigned __int128)random_bits(state) * n >> 64)]++;
}

/* `values` has a row of METRICS for each draw; `column` has room for a number from each. */
static void get_intervals(const double *values, uint32_t draws, double *column, struct metrics *out)
{
    for (int metric = 0; metric < METRICS; metric++) {
        size_t n = 0;
        for (uint32_t i = 0; i < draws; i++)
            if (!isnan(values[(size_t)i * METRICS + (size_t)metric]))
                column[n++] = values[(size_t)i * METRICS + (size_t)metric];
        out->low[metric] = out->high[metric] = (double)NAN;
        if (n == 0 || n < draws - n || isnan(out->value[metric]))
            continue;
        percentile_sort(column, n);
        out->low[metric] = percentile(column, n, 2.5);
        out->high[metric] = percentile(column, n, 97.5);
    }
}

int metrics_measure(const struct metrics_sample *sample, uint32_t draws, uint64_t seed, struct metrics *out,
                    struct bgd_err *err)
{
    size_t n = sample->n;
    struct card *cards = sort_cards(sample);
    uint32_t *count = malloc((n + 1) * sizeof *count);
    double *values = malloc(((size_t)draws + 1) * METRICS * sizeof *values);
    double *column = malloc(((size_t)draws + 1) * sizeof *column);
    bool room = cards && count && values && column;
    if (room) {
        for (size_t i = 0; i < n; i++)
            count[i] = 1;
        struct sums sums = add_up(cards, n, count, sample->threshold);
        get_counts(&sums, out);
        get_values(&sums, out->value);
        for (uint32_t i = 0; i < draws; i++) {
            draw(count, n, &seed);
            sums = add_up(cards, n, count, sample->threshold);
            get_values(&sums, values + (size_t)i * METRICS);
        }
        get_intervals(values, draws, column, out);
    }
    free(cards);
    free(count);
    free(values);
    free(column);
    return room ? 0 : err_set(err, BGD_MEMORY, "out of memory");
}

/* ---------------------------------------------------------------- curves */

int metrics_curve(const struct metrics_sample *sample, struct metrics_point **points, size_t *n, struct bgd_err *err)
{
    *n = 0;
    struct card *cards = sort_cards(sample);
    *points = cards ? malloc((sample->n + 1) * sizeof **points) : NULL;
    if (!*points) {
        free(cards);
        return err_set(err, BGD_MEMORY, "out of memory");
    }
    struct metrics_point point = {0};
    for (size_t i = 0; i < sample->n; i++) {
        point.p = cards[i].p;
        *(cards[i].truth ? &point.tp : &point.fp) += 1;
        if (i + 1 == sample->n || cards[i + 1].p != point.p)
            (*points)[(*n)++] = point;
    }
    free(cards);
    return 0;
}
