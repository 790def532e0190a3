/*
 * From what a network says to what can be believed: P' = 1 / (1 + exp(-(slope * ln(P / (1 - P)) + offset))).
 *
 * Temperature scaling (Guo et al. 2017, arXiv 1706.04599) is slope 1 / T and offset 0; Platt scaling (Platt 1999) is both. For a
 * sigmoid head ln(P / (1 - P)) is the logit itself; for a softmax head, one label against the rest. P is taken into
 * 2^-126 .. 1 - 2^-24, the normal floats between 0 and 1. slope > 0, so no order changes.
 */
#ifndef BGD_CALIBRATION_H
#define BGD_CALIBRATION_H

#include "metrics.h"

#define CALIBRATION_SLOPE_LEAST 0x1p-10
#define CALIBRATION_SLOPE_MOST 1024.0
#define CALIBRATION_OFFSET_MOST 100.0

struct calibration {
    float slope;  /* CALIBRATION_SLOPE_LEAST .. CALIBRATION_SLOPE_MOST */
    float offset; /* -CALIBRATION_OFFSET_MOST .. CALIBRATION_OFFSET_MOST */
};

#define CALIBRATION_NONE ((struct calibration){1, 0}) /* P as the network says it */

/* P'; P itself, to the last bit, for CALIBRATION_NONE. */
float calibration_apply(struct calibration calibration, float p);

enum calibration_method { CALIBRATION_TEMPERATURE, CALIBRATION_PLATT };

/*
 * The calibration that makes the cross-entropy of n cards least, from targets that stop short of 1 and 0: (positives + 1) /
 * (positives + 2) and 1 / (negatives + 2), as Platt has them, so that few cards which P happens to separate make no
 * certainty. Platt's pair by Newton's method with backtracking (Lin, Lin and Weng 2007). A slope out of
 * its range (the least where P runs the wrong way), or else such an offset, is taken to the range's end and the other fitted
 * again. False, and CALIBRATION_NONE, where one of the classes has no card: there is nothing to learn from.
 */
bool calibration_fit(enum calibration_method method, const float *p, const uint8_t *truth, size_t n, struct calibration *out);

/* What a threshold is chosen for: the highest F1, or the most recall among those whose precision is at least `precision`. */
struct calibration_target {
    bool f1;
    double precision; /* 0..1; unless f1 */
};

/*
 * The threshold that does best by the target on the sample (whose own threshold is not read); of equals the highest. It lies
 * halfway between the P of the last card that it calls and the next lower P (0 where there is none), or is the former where no
 * float lies between: measured with it, the sample gives just what was promised. Where there is no "yes" card, or no threshold
 * reaches the precision, *met is false and *threshold stays. BGD_MEMORY.
 */
int calibration_threshold(const struct metrics_sample *sample, struct calibration_target target, float *threshold, bool *met,
                          struct bgd_err *err);

#endif
