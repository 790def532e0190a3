/* What the backends' `ceilings` and `profile` have in common: a clock, the fastest of several rows, and the times of steps. */
#ifndef BGD_MEASURE_H
#define BGD_MEASURE_H

#include "backend.h"

#define MEASURE_COPY_BYTES (256u << 20) /* of a copy that no cache holds: the largest have some 100 MB */

/* Seconds for which the calling thread has had a core: what other work takes from it on a busy machine does not count. */
double measure_now(void);

/* Does some work `times` times in a row, and says how long the row took. */
typedef int measure_row(void *user, uint32_t times, double *seconds, struct bgd_err *err);

/* The seconds that the work takes once: of the fastest of ten rows, each long enough (20 ms) for clock and start not to show. */
int measure_fastest(measure_row *row, void *user, double *seconds, struct bgd_err *err);

/* The same of a memcpy by the calling thread, as bytes per second, read and written added up. BGD_MEMORY. */
int measure_copy(double *bytes_per_second, struct bgd_err *err);

/*
 * The times of steps, as `profile` takes them. A backend builds its steps op by op, and what it builds for an op may compute ops
 * that follow it: `leaders` has for each op the one for which it was built (leaders[i] <= i, and a leader is its own).
 */
struct measure_steps {
    const struct bgd_model *model;
    const uint32_t *leaders;
    uint32_t repeats;
    double *seconds; /* (n_ops, repeats): of all that was built for an op */
    bool *steps;     /* per op: was anything? */
};

/* Borrows `leaders`; NULL: nothing is built for more than one op. measure_steps_close releases it, after a failure, too. BGD_MEMORY. */
int measure_steps_open(struct measure_steps *m, const struct bgd_model *model, const uint32_t *leaders, uint32_t repeats,
                       struct bgd_err *err);
void measure_steps_close(struct measure_steps *m);

/* Adds to the time of what was built for op `leader` in one of the repeats. */
static inline void measure_steps_add(struct measure_steps *m, uint32_t leader, uint32_t repeat, double seconds)
{
    m->seconds[(size_t)leader * m->repeats + repeat] += seconds;
    m->steps[leader] = true;
}

/* The medians, numbered in the order of their leaders. An op for which nothing was built has the number and time of the latest
 * step that computes one of its inputs. */
void measure_steps_times(const struct measure_steps *m, struct backend_op_time *times);

#endif
