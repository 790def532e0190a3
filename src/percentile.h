/* What a set of numbers is spread over. */
#ifndef BGD_PERCENTILE_H
#define BGD_PERCENTILE_H

#include <stddef.h>

/* Ascending. None is NAN. */
void percentile_sort(double *values, size_t n);

/* Of n >= 1 sorted values, interpolated linearly: numpy.percentile's default. `percent` is 0..100; 50 is the median. */
double percentile(const double *sorted, size_t n, double percent);

#endif
