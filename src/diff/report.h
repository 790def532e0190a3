/* A comparison as one self-contained HTML page: numbers, charts, and the cards that moved the most as pictures. */
#ifndef BGD_DIFF_REPORT_H
#define BGD_DIFF_REPORT_H

#include "comparison.h"

struct diff_report {
    const struct comparison *comparison;
    const struct bgd_image *pictures; /* one per move; without pixels: could not be found */
};

/* Writes `path`, which appears complete or not at all. BGD_WRITE names the file; BGD_MEMORY. */
int diff_report_write(const struct diff_report *report, const char *path, struct bgd_err *err);

#endif
