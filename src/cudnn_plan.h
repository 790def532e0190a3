/*
 * A convolution with its epilogue, as one plan of cuDNN's graph API (cuDNN 9, backend descriptors):
 *
 *     y = f(conv(x, w) * scale + residual + bias)
 *
 * Values are NHWC with channels padded to 8 (kernels/kernels.h); sums are f32, and so is all of the epilogue. The scale, one for each
 * channel of y, is for weights in E4M3, and without them 1. (Not named after
 * cuDNN's own cudnn_graph.h.) cuDNN is loaded when it is first opened, so that a program with this in it starts without it.
 */
#ifndef BGD_CUDNN_PLAN_H
#define BGD_CUDNN_PLAN_H

#include "bgdet.h"
#include "kernels.h"

struct cudnn; /* the library on one device; plans are made by one thread at a time */
struct cudnn_plan;
struct cudnn_tuner; /* cudnn_tuner.h */

/* Zero it before filling it: it is hashed as bytes. */
struct cudnn_conv {
    enum kernel_type type; /* of x, w, bias, residual and y; KERNEL_F8: of x and w, and the rest is f16 */
    uint32_t n;
    uint32_t c, h, w, pitch; /* x; c is padded (to KERNEL_F8_LANES in E4M3), and so is out_c */
    uint32_t out_c, out_h, out_w, out_pitch;
    uint32_t residual_pitch; /* of a residual with y's shape; 0: there is none */
    struct bgd_window window;
    enum kernel_activation activation;
};

/*
 * The library on the current CUDA device; or, if `description` is not NULL, on one that is not there: JSON as cuDNN's
 * CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR writes it; such plans can be looked at, not run. `cache` is a folder (made if it is missing) in which
 * built plans are kept, by device, version and convolution; NULL: they are not. A plan of the cache that is damaged or does
 * not load is built anew. BGD_DEVICE if cuDNN is missing, too old, or finds no device.
 */
int cudnn_open(const char *description, const char *cache, struct cudnn **cudnn, struct bgd_err *err);
void cudnn_close(struct cudnn *cudnn);

/* "cuDNN 9.19.0" */
const char *cudnn_version(const struct cudnn *cudnn);

/* The device's description as JSON, to be freed; NULL and an error if it cannot be had. */
char *cudnn_describe(const struct cudnn *cudnn, struct bgd_err *err);

/*
 * Without a tuner: the first plan that can be built, in the order of cuDNN's heuristics, then of its fallback list. Engines that
 * are not deterministic are left out, and for f32 those that round their inputs (TF32). BGD_DEVICE if there is none.
 *
 * With one: of the first eight that can be built, the one that runs the fastest; within 2 % of it, which is noise, the first in
 * that order. Those that do not run are passed over. A plan of the cache that was chosen so is taken as it is, with and without
 * a tuner, by every later run; one that was not is chosen anew. Another plan may have other last bits. BGD_MEMORY, BGD_DEVICE.
 */
int cudnn_plan_make(struct cudnn *cudnn, const struct cudnn_conv *conv, struct cudnn_tuner *tuner, struct cudnn_plan **plan,
                    struct bgd_err *err);
void cudnn_plan_free(struct cudnn_plan *plan);

size_t cudnn_plan_workspace(const struct cudnn_plan *plan); /* bytes, 256-byte aligned */

/* For people: "engine 7", or "engine 7, tuned: 41.2 us, next engine 2: 44.0 us", and behind it what was passed over: "engine 7
 * (engine 41 failed: NOT_SUPPORTED)". */
const char *cudnn_plan_name(const struct cudnn_plan *plan);

/* Device pointers: w (padded out_c, kernel_h, kernel_w, c) and bias (padded out_c) of the plan's types; scale (padded out_c) in f32,
 * of KERNEL_F8 alone. Can be captured. */
int cudnn_plan_run(struct cudnn *cudnn, const struct cudnn_plan *plan, cudaStream_t stream, const void *x, const void *w,
                   const void *bias, const float *scale, const void *residual, void *y, void *workspace, struct bgd_err *err);

#endif
