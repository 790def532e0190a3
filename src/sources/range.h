/*
 * Names with ranges, as bash expands them: cards-{000..127}.tar is cards-000.tar, cards-001.tar, ... cards-127.tar.
 *
 * Both ends are decimal numbers of at most 18 digits without a sign; the second may be the smaller one. If either has a zero in
 * front, all get as many digits as the longer one. Of several ranges in a name the last varies fastest. Other braces stay as
 * they are: {a..c}, {1,2}, {0..9..3}.
 */
#ifndef BGD_RANGE_H
#define BGD_RANGE_H

#include "bgdet.h"

#define RANGE_NAMES_MAX 1000000u

/* How many names `name` stands for; 1 without a range. BGD_LIMIT above RANGE_NAMES_MAX. */
int range_count(const char *name, uint64_t *count, struct bgd_err *err);

/* The one at place `at` < count, to be freed; NULL: out of memory. */
char *range_name(const char *name, uint64_t at);

#endif
