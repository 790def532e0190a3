/* What labelled cards teach of an output: a calibration that makes its P believable, a threshold for a target. */
#ifndef BGD_FIT_H
#define BGD_FIT_H

#include "../calibration.h"
#include "metrics.h"

enum fit_method { FIT_TEMPERATURE, FIT_PLATT };

/*
 * The calibration that makes the cross-entropy of n cards least, from targets that stop short of 1 and 0: (positives + 1) /
 * (positives + 2) and 1 / (negatives + 2), as Platt has them, so that few cards which P happens to separate make no
 * certainty. With few cards, P moves towards the middle by that. Platt's pair by Newton's method with backtracking
 * (Lin, Lin and Weng 2007); one out of range (the slope, where P runs the wrong way) is the best on the range's edge. False, and CALIBRATION_NONE, where one of the classes has no card: there is nothing to learn from.
 */
bool fit_calibration(enum fit_method method, const float *p, const uint8_t *truth, size_t n, struct calibration *out);

/* What a threshold is chosen for: the highest F1, or the most recall among those whose precision is at least `precision`. */
struct fit_target {
    bool f1;
    double precision; /* 0..1; unless f1 */
};

/*
 * The threshold that does best by the target on the sample (whose own threshold is not read); of equals the highest. It lies
 * halfway between the P of the last card that it calls and the next lower P (0 where there is none), or is the former where no
 * float lies between: measured with it, the sample gives just what was promised. Where there is no "yes" card, or no threshold
 * reaches the precision, *met is false and *threshold stays. BGD_MEMORY.
 */
int fit_threshold(const struct metrics_sample *sample, struct fit_target target, float *threshold, bool *met,
                  struct bgd_err *err);

#endif
