/* What `bgdet diff` prints: the comparison as text and as JSON. */
#ifndef BGD_DIFF_H
#define BGD_DIFF_H

#include "diff/comparison.h"

#include <stdio.h>

/* Tables for people. */
void diff_print(FILE *file, const struct comparison *comparison);

/* One JSON object: every number of the tables, all groups and the largest moves. BGD_MEMORY. */
int diff_print_json(FILE *file, const struct comparison *comparison, struct bgd_err *err);

#endif
