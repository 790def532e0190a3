/* The report's section of curves: ROC, precision-recall, reliability. */
#ifndef BGD_REPORT_CHARTS_H
#define BGD_REPORT_CHARTS_H

#include "evaluation.h"

#include <stdio.h>

/* BGD_MEMORY. */
int report_put_charts(FILE *page, const struct evaluation *evaluation, struct bgd_err *err);

#endif
