/* Rates, and what they come to together: the arithmetic of bgdet bench. */
#ifndef BGD_BENCH_RATES_H
#define BGD_BENCH_RATES_H

#include <stdbool.h>
#include <stdint.h>

/* Images per second of the same work, done over and over. */
struct bench_rate {
    double median, low, high; /* low and high: the 10th and the 90th percentile */
    uint32_t repetitions;
};

/* A part of what is done to every card. */
struct bench_stage {
    const char *name;
    bool on_device; /* a device with memory of its own does it, while the host does something else */
    struct bench_rate rate;
    double part; /* of its side's processors that the rate is of, above 0; 1: all of them */
};

/* Seconds for an image, were all processors of its side at work. */
double bench_stage_seconds(const struct bench_stage *stage);

/* Of `n` >= 1 repetitions' rates, which are sorted. */
struct bench_rate bench_rate_of(double *rates, uint32_t n);

/*
 * The images per second that the stages' medians allow when all are at work together. Stages that share the same processors
 * take turns: 1 / (sum of bench_stage_seconds). Those of the device, where there are any, run beside those of the host: the slower
 * side's. And no more than each stage alone.
 */
double bench_allowed(const struct bench_stage *stages, uint32_t n);

#endif
