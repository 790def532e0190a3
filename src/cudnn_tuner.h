/*
 * Times plans of cuDNN on the current CUDA device, for cudnn_plan_make to choose among: a stream of its own, events, and memory of
 * the convolutions' own sizes. Used by one thread. Unverified on a GPU.
 *
 * A plan is run as it is in a pass: in a CUDA graph, so that what a launch takes on the host does not show. Each run reads and
 * writes the same memory, of which the last-level cache holds more than it may in a pass, and all values are alike, which draws
 * less power than real ones: both alike for all plans that are compared.
 */
#ifndef BGD_CUDNN_TUNER_H
#define BGD_CUDNN_TUNER_H

#include "cudnn_plan.h"

/* Bytes that cudnn_tuner_time needs for a convolution, but for the plan's workspace. */
size_t cudnn_tuner_bytes(const struct cudnn_conv *conv);

/* For convolutions of which none needs more than `bytes`; nothing is allocated before cudnn_tuner_start. BGD_ARGUMENT if the device
 * is only described. */
int cudnn_tuner_open(struct cudnn *cudnn, size_t bytes, struct cudnn_tuner **tuner, struct bgd_err *err);
void cudnn_tuner_close(struct cudnn_tuner *tuner);

/* Gets ready what has not been. What fails here fails for every plan: BGD_MEMORY, or BGD_DEVICE, also when the device is lost. */
int cudnn_tuner_start(struct cudnn_tuner *tuner, struct bgd_err *err);

/* The median time of a run, in microseconds. An error is the plan's own: it does not run, cannot be captured, or there is no memory
 * for its workspace. */
int cudnn_tuner_time(struct cudnn_tuner *tuner, const struct cudnn_conv *conv, const struct cudnn_plan *plan,
                     double *microseconds, struct bgd_err *err);

#endif
