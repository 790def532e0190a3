/*
 * ROC, precision-recall and reliability diagrams and histograms as SVG, inside an HTML page whose style sheet names the colours.
 *
 * Classes that the style sheet has: grid, axis, chance, curve, c0..c5 (of curves and their legend), bar, bin, first, second.
 */
#ifndef BGD_CHART_H
#define BGD_CHART_H

#include "metrics.h"

#include <stdio.h>

/* A curve of any number of points is drawn by so many at the most. */
#define CHART_VERTICES 300

/* In the unit square, y upwards. */
struct chart_point {
    double x, y;
};

struct chart_curve {
    const char *name;
    int colour;  /* 0..5; 0 is drawn the strongest */
    double area; /* beneath it, for the legend */
    size_t n;
    struct chart_point vertices[CHART_VERTICES];
};

/*
 * The vertices of the curves through the points of metrics_curve; false, and none, where a class has no card. ROC: recall over
 * the share of "no" cards that are called, straight between points, from (0, 0). Precision over recall: in steps, each recall
 * at the precision that it was reached with, so that the area is the average precision (straight lines would promise too
 * much: Davis and Goadrich 2006).
 */
bool chart_roc(const struct metrics_point *points, size_t n, struct chart_curve *curve);
bool chart_precision_recall(const struct metrics_point *points, size_t n, struct chart_curve *curve);

struct chart_axes {
    const char *title, *x, *y;
    bool chance; /* the diagonal: what chance alone gives */
};

void chart_put_curves(FILE *page, const struct chart_axes *axes, const struct chart_curve *curves, size_t n);

/* Share of y = 1 over mean P, a disc per bin whose area is its number of cards, and below how many cards each bin has. */
void chart_put_reliability(FILE *page, const struct chart_axes *axes, const struct metrics_bin bins[METRICS_BINS]);

/* What a histogram compares: the shares of two samples in `n` bars of the same width over 0..1. */
struct chart_bars {
    const char *names[2];
    const double *shares[2]; /* NAN: not drawn */
    size_t n;
};

/* Side by side in each bar; the y axis ends where it suits the highest. */
void chart_put_bars(FILE *page, const struct chart_axes *axes, const struct chart_bars *bars);

#endif
