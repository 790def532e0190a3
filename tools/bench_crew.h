/* The same work on several threads side by side, over and over, timed. */
#ifndef BGD_BENCH_CREW_H
#define BGD_BENCH_CREW_H

#include "bench_rates.h"
#include "bgdet.h"

#include <stdatomic.h>

/* What the workers do once, together, between two looks at the clock. */
struct crew_round {
    uint64_t passes;            /* of the work */
    atomic_uint_fast64_t begun; /* 0 at first: for those who share out what a round consists of */
};

struct crew_work {
    uint32_t workers; /* threads */
    uint64_t images;  /* that a pass does, all workers together */
    /* A worker's (0-based) part of a round. */
    int (*work)(void *user, uint32_t worker, struct crew_round *round, struct bgd_err *err);
    void *user;
};

#define CREW_REPETITIONS 5 /* at the least */

/*
 * Warms up with rounds that grow until one takes a twentieth of `seconds`, or a second; then repeats such rounds until `seconds` are over, at
 * least CREW_REPETITIONS times. A signal (session_stopped) ends it after the round: *rate is then of no use. The first error of
 * a worker, or BGD_MEMORY.
 */
int crew_measure(const struct crew_work *work, double seconds, struct bench_rate *rate, struct bgd_err *err);

#endif
