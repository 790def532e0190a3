/* A progress line on a terminal's stderr: bar, rate, time left. Redrawn at most ten times a second. */
#ifndef BGD_PROGRESS_H
#define BGD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool on;
    double start, drawn; /* seconds, monotonic */
};

/* `wanted` false, or a stderr that is no terminal, makes the calls below do nothing. */
void progress_start(struct progress *progress, bool wanted);

/* `share` of the work that is done, 0..1, or NAN if nobody knows. */
void progress_show(struct progress *progress, uint64_t rows, uint64_t errors, float share);

/* Takes the line away. */
void progress_clear(const struct progress *progress);

/* Seconds since progress_start; counts whether or not anything is drawn. */
double progress_seconds(const struct progress *progress);

#endif
