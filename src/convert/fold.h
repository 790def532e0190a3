/* Neighbours that are both linear, folded into one: batch-norms into convolutions, a mean into a dense layer. */
#ifndef BGD_FOLD_H
#define BGD_FOLD_H

#include "checkpoint.h"

#define FOLD_CELLS_MAX 64u /* of an adaptive mean */

/* Weights read from a checkpoint, to be freed by fold_free. */
struct folded {
    float *weight; /* (out, in / groups, kernel, kernel) */
    float *bias;   /* (out) */
    uint32_t out, in, kernel_h, kernel_w;
};

/*
 * Reads CONV.weight (4 dimensions, and CONV.bias if there is one) and, if `norm` is not NULL, NORM.weight, .bias, .running_mean
 * and .running_var: scale = gamma / sqrt(var + eps),   weight' = weight * scale,   bias' = beta + (bias - mean) * scale in
 * double, rounded once. NORM.num_batches_tracked is taken and ignored. Every tensor read is marked as used. BGD_DAMAGED names
 * the tensor that is missing or of the wrong shape.
 */
int fold_conv(const struct checkpoint *checkpoint, const char *conv, const char *norm, double eps, struct folded *out,
              struct bgd_err *err);

/*
 * The other way round: NORM, then the 1x1 convolution CONV behind it (which must have no padding for this to be one):
 *     weight' = weight * scale[in],   bias' = bias + sum over in of weight * (beta - mean * scale)[in]
 */
int fold_norm_conv(const struct checkpoint *checkpoint, const char *norm, const char *conv, double eps, struct folded *out,
                   struct bgd_err *err);

/* NORM by itself: a depthwise 1x1 convolution, weight (channels, 1, 1, 1). */
int fold_norm(const struct checkpoint *checkpoint, const char *norm, double eps, struct folded *out, struct bgd_err *err);

/* Reads NAME.weight (2 dimensions) and NAME.bias; kernel 1x1. */
int fold_dense(const struct checkpoint *checkpoint, const char *name, struct folded *out, struct bgd_err *err);

/*
 * PyTorch's adaptive_avg_pool2d of maps (h, w) to rows x columns, and the dense layer behind it, which takes c maps of that
 * size: folded into a layer that takes the c maps (h, w),
 *     weight'(out, c, y, x) = sum over i, j of weight(out, c, i, j) * share(i, y) * share(j, x)
 * in double, rounded once. Row i is the mean of the rows from start = floor(i * h / rows) up to end = ceil((i + 1) * h / rows),
 * so share(i, y) = 1 / (end - start) for those and else 0; columns alike. h * w is at most rows * columns: the layer does not
 * grow. A mean of maps to their own size changes nothing.
 */
void fold_adaptive_mean(struct folded *dense, uint32_t rows, uint32_t columns, uint32_t h, uint32_t w);

void fold_free(struct folded *folded);

#endif
