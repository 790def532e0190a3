/* Seconds on the clock that only goes forward: for differences. */
#ifndef BGD_CLOCK_H
#define BGD_CLOCK_H

#include <time.h>

static inline double clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#endif
