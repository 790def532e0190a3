/* The measuring of bgdet bench: what is asked for, in order, into a report. */
#ifndef BGD_BENCH_WORK_H
#define BGD_BENCH_WORK_H

#include "bench.h"

struct bench_settings {
    struct session_settings session;
    double seconds; /* of each measurement, at the least */
    bool sweep, roofline;
    double copy, flops; /* ceilings per second of a device that is not here: nothing is timed; 0: they are measured */
    char *const *operands;
    size_t n_operands; /* 0: the samples that ship */
    bool models;       /* the operands are model files, not cards */
};

struct bench;

/* Measures, with progress on stderr unless quiet. 0 with an incomplete report after a signal (session_stopped). Settings are
 * borrowed until bench_close, which follows in any case; *bench may be NULL. */
int bench_measure(const struct bench_settings *settings, struct bench **bench, struct bgd_err *err);
void bench_close(struct bench *bench);

const struct bench_report *bench_report(const struct bench *bench);

#endif
