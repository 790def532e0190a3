/*
 * How far a run is, on stderr: for people a line with a bar, drawn over and over; for programs JSON lines:
 *
 *   {"event":"progress","rows":4100,"errors":3,"share":0.1230,"per_second":191.2,"seconds_left":152.9}
 *
 * "share" of the work that is done, and "seconds_left", are absent where nobody knows. A line a second at the most, and one at
 * the end.
 */
#ifndef BGD_PROGRESS_H
#define BGD_PROGRESS_H

#include <stdint.h>

enum progress_form { PROGRESS_NONE, PROGRESS_BAR, PROGRESS_JSON };

struct progress {
    enum progress_form form;
    double start, shown; /* seconds, monotonic */
    uint64_t rows, errors;
    float share;
};

/* A bar on a stderr that is no terminal is none. */
void progress_start(struct progress *progress, enum progress_form form);

/* `share` of the work that is done, 0..1, or NAN if nobody knows. The bar is drawn ten times a second at the most. */
void progress_show(struct progress *progress, uint64_t rows, uint64_t errors, float share);

/* The bar of work that has no rows says what is being done now, `step`; it is drawn at once. */
void progress_step(const struct progress *progress, const char *step, float share);

/* Takes the bar away, or writes the last JSON line. */
void progress_end(const struct progress *progress);

/* Seconds since progress_start; counts whatever the form. */
double progress_seconds(const struct progress *progress);

/* The JSON line, newline included, `elapsed` seconds after the start. */
#define PROGRESS_LINE 256
void progress_json(const struct progress *progress, double elapsed, char line[PROGRESS_LINE]);

#endif
