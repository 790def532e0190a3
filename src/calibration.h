/*
 * From what a network says to what can be believed: P' = 1 / (1 + exp(-(slope * ln(P / (1 - P)) + offset))).
 *
 * Temperature scaling (Guo et al. 2017, arXiv 1706.04599) is slope 1 / T and offset 0; Platt scaling (Platt 1999) is both. For
 * a sigmoid head ln(P / (1 - P)) is the logit itself; for a softmax head, one label against the rest. P is taken into
 * 2^-126 .. 1 - 2^-24, the normal floats between 0 and 1. slope > 0, so no order changes.
 */
#ifndef BGD_CALIBRATION_H
#define BGD_CALIBRATION_H

#include "bgdet.h"

#define CALIBRATION_SLOPE_LEAST 0x1p-10
#define CALIBRATION_SLOPE_MOST 1024.0
#define CALIBRATION_OFFSET_MOST 100.0

struct calibration {
    float slope;  /* CALIBRATION_SLOPE_LEAST .. CALIBRATION_SLOPE_MOST */
    float offset; /* -CALIBRATION_OFFSET_MOST .. CALIBRATION_OFFSET_MOST */
};

#define CALIBRATION_NONE ((struct calibration){1, 0}) /* P as the network says it */

/* ln(P / (1 - P)). */
double calibration_logit(float p);

/* P'; P itself, to the last bit, for CALIBRATION_NONE. */
float calibration_apply(struct calibration calibration, float p);

#endif
