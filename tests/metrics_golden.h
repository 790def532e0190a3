/* The samples of fixtures/metrics.txt, and what scikit-learn, SciPy and NumPy make of them. */
#ifndef BGD_TESTS_METRICS_GOLDEN_H
#define BGD_TESTS_METRICS_GOLDEN_H

#include "eval/fit.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define GOLDEN_SAMPLES 17
#define GOLDEN_CARDS 400
#define GOLDEN_PRECISIONS 3

struct golden {
    char name[32];
    float p[GOLDEN_CARDS];
    uint8_t truth[GOLDEN_CARDS];
    struct metrics_sample sample; /* borrows p and truth */
    double values[METRICS], low[METRICS], high[METRICS];
    struct calibration temperature, platt;
    float f1;
    double precisions[GOLDEN_PRECISIONS];
    float recall[GOLDEN_PRECISIONS]; /* for each precision */
};

static inline void golden_read(FILE *file, struct golden *golden)
{
    *golden = (struct golden){.temperature = CALIBRATION_NONE};
    struct metrics_sample *sample = &golden->sample;
    char digits[GOLDEN_CARDS + 1];
    cr_assert_eq(fscanf(file, " sample %31s %zu %f p", golden->name, &sample->n, &sample->threshold), 3);
    cr_assert_leq(sample->n, GOLDEN_CARDS);
    for (size_t i = 0; i < sample->n; i++)
        cr_assert_eq(fscanf(file, "%f", &golden->p[i]), 1);
    cr_assert_eq(fscanf(file, " truth %400s values", digits), 1);
    for (size_t i = 0; i < sample->n; i++)
        golden->truth[i] = digits[i] == '1';
    for (int i = 0; i < METRICS; i++)
        cr_assert_eq(fscanf(file, "%lf", &golden->values[i]), 1);
    cr_assert_eq(fscanf(file, " intervals"), 0);
    for (int i = 0; i < METRICS; i++)
        cr_assert_eq(fscanf(file, "%lf %lf", &golden->low[i], &golden->high[i]), 2);
    cr_assert_eq(fscanf(file, " temperature %f platt %f %f f1 %f", &golden->temperature.slope, &golden->platt.slope,
                        &golden->platt.offset, &golden->f1),
                 4);
    for (int i = 0; i < GOLDEN_PRECISIONS; i++)
        cr_assert_eq(fscanf(file, " recall %lf %f", &golden->precisions[i], &golden->recall[i]), 2);
    sample->p = golden->p;
    sample->truth = golden->truth;
}

/* Calls `check` for each sample. */
static inline void golden_each(void (*check)(const struct golden *golden))
{
    FILE *file = fopen(BGDET_SOURCE_DIR "/tests/fixtures/metrics.txt", "r");
    cr_assert(file);
    for (int i = 0; i < GOLDEN_SAMPLES; i++) {
        struct golden golden;
        golden_read(file, &golden);
        check(&golden);
    }
    fclose(file);
}

#endif
