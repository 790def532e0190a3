/* The charts of a benchmark: one below the other, or two side by side, in an SVG that grows downwards. */
#ifndef BGD_BENCH_CHART_H
#define BGD_BENCH_CHART_H

#include "bench.h"

/* In pixels. */
enum { CHART_WIDTH = 760, CHART_MARGIN = 28, CHART_GAP = 28, CHART_COLUMN = (CHART_WIDTH - 2 * CHART_MARGIN - CHART_GAP) / 2 };

struct chart {
    FILE *svg;
    double left, top; /* where the next one stands */
};

/* `value` with three digits: "0.0519", "8.21", "187"; "12.3k", "1.03M" of larger ones. */
#define CHART_NUMBER 24
void chart_number(char text[CHART_NUMBER], double value);

/* The least of 1, 2, 5, 10, ... times a power of ten that is not below `value`; 1 if that is not above 0, or
 * infinite. */
double chart_round_up(double value);

/* Log-log: a step's arithmetic a second over its arithmetic a byte, beneath the ceilings, its area the time that it takes. Returns the
 * height. */
double chart_put_roofline(const struct chart *chart, const struct bench_network *network);

#endif
