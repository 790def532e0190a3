/*
 * The hand-written kernels of the CUDA backend: launchers, callable from C.
 *
 * A launcher checks nothing (shapes come from a validated model), allocates nothing, waits for nothing: it puts its kernels
 * into `stream` and returns the launch's error. All may be captured into a CUDA graph. n is the number of pictures.
 *
 * Values are NHWC. The channels of a pixel are padded to a multiple of 8 *lanes*, and pixels are `pitch` elements apart, a
 * multiple of 8, too: so every group of 8 channels is 16 bytes of f16, aligned, and no kernel has a tail. A pitch larger than
 * the padded channels is a slice of a wider value: that is how concat costs nothing. Lanes beyond c hold finite numbers that
 * mean nothing; a slice has none (its c is a multiple of 8). Arithmetic is in f32, whatever the type of the values is.
 */
#ifndef BGD_KERNELS_H
#define BGD_KERNELS_H

#include "bgdet_format.h"

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KERNEL_LANES 8u
#define KERNEL_ATTENTION_ROWS_MAX 4096u /* c * h of an attention, the format's own limit */
#define KERNEL_EXCITE_MAX 8192u         /* padded channels, wide and squeezed together */

enum kernel_type { KERNEL_F32, KERNEL_F16, KERNEL_BF16 };
enum kernel_activation { KERNEL_NONE, KERNEL_RELU, KERNEL_SIGMOID, KERNEL_SILU, KERNEL_SELU };

/* Where a value lies on the device, and how. */
struct kernel_value {
    void *data; /* picture 0, pixel (0, 0), channel 0; 16-byte aligned */
    uint32_t c, h, w;
    uint32_t pitch; /* elements from a pixel to the next; a picture is h * w * pitch */
    enum kernel_type type;
};

static inline uint32_t kernel_lanes(uint32_t channels)
{
    return (channels + KERNEL_LANES - 1) / KERNEL_LANES * KERNEL_LANES;
}

/*
 * Sums of a value over its pixels, which a kernel takes in passing so that a mean need not read the value again. A tile is some
 * of a picture's pixels; which, and how many tiles there are, follows from the shapes alone, and each sum has a fixed order: so
 * a picture's sums depend on nothing but that picture, to the last bit. What is summed are the f32 before they are rounded to
 * the value's type. Lanes beyond c hold finite numbers that mean nothing.
 */
struct kernel_sums {
    float *data; /* (n, tiles, padded c), 16-byte aligned, all of it written; NULL: nobody wants them */
    uint32_t tiles;
};

/* ---------------------------------------------------------------- layout.cu */

/* y = chw (n, c, h, w) in f32; lanes beyond c become 0. */
cudaError_t kernel_pack(cudaStream_t stream, uint32_t n, const float *chw, struct kernel_value y);

/* chw (n, c, h, w) in f32 = x. */
cudaError_t kernel_unpack(cudaStream_t stream, uint32_t n, struct kernel_value x, float *chw);

/* Channels at .. at + x.c - 1 of y = x, of the same type, h and w; `at` may be any: the concat that cannot be a slice. If they
 * are y's last, the lanes behind them become 0. */
cudaError_t kernel_copy(cudaStream_t stream, uint32_t n, struct kernel_value x, uint32_t at, struct kernel_value y);

/* ---------------------------------------------------------------- pointwise.cu */

/* y = f(x); y of x's type, or f32. */
cudaError_t kernel_activate(cudaStream_t stream, uint32_t n, struct kernel_value x, enum kernel_activation f,
                            struct kernel_value y);

/* z = x + y or x * y, where y has x's shape, or is (c, 1, 1) or (1, h, w) and repeated (op_broadcasts). One type. */
cudaError_t kernel_combine(cudaStream_t stream, uint32_t n, bool multiply, struct kernel_value x, struct kernel_value y,
                           struct kernel_value z);

/* BGD_OP_DENOISE */
cudaError_t kernel_denoise(cudaStream_t stream, uint32_t n, struct kernel_value x, float cut, struct kernel_value y);

/* ---------------------------------------------------------------- depthwise.cu: what cuDNN does badly */

/* y = f(depthwise convolution of x + bias): one filter a channel. weight (kernel_h, kernel_w, padded c) and bias (padded c)
 * are f32, 16-byte aligned, 0 in the padding. Fast for kernels of 1x1, 3x3 and 5x5, stride 1, any dilation, and for the last two
 * with stride 2; with any other window slow. `sums` are y's, or NULL. */
cudaError_t kernel_depthwise(cudaStream_t stream, uint32_t n, struct kernel_value x, const struct bgd_window *window,
                             const float *weight, const float *bias, enum kernel_activation f, struct kernel_value y,
                             struct kernel_sums sums);

/* The tiles of kernel_depthwise's sums; 0: of those values and that window it makes none. */
uint32_t kernel_depthwise_tiles(struct kernel_value x, const struct bgd_window *window, struct kernel_value y);

/* ---------------------------------------------------------------- convolution.cu */

/* A convolution with any number of groups, one thread an output: correct, and slow. weight (kernel_h, kernel_w, x.c / groups,
 * padded y.c), bias (padded y.c). */
cudaError_t kernel_grouped(cudaStream_t stream, uint32_t n, struct kernel_value x, const struct bgd_window *window,
                           uint32_t groups, const float *weight, const float *bias, enum kernel_activation f,
                           struct kernel_value y);

/* ---------------------------------------------------------------- pool.cu */

cudaError_t kernel_max_pool(cudaStream_t stream, uint32_t n, struct kernel_value x, const struct bgd_window *window,
                            struct kernel_value y);

/* y (c, 1, 1) = mean of x over h, w; the order of the sum is fixed. */
cudaError_t kernel_global_mean(cudaStream_t stream, uint32_t n, struct kernel_value x, struct kernel_value y);

/* BGD_OP_ADAPTIVE_MEAN, to y's h and w: for a few pixels each, as a thread sums all of a window. */
cudaError_t kernel_adaptive_mean(cudaStream_t stream, uint32_t n, struct kernel_value x, struct kernel_value y);

/* ---------------------------------------------------------------- normalise.cu */

/* BGD_OP_LRN over `size` channels. Lanes beyond c become 0. */
cudaError_t kernel_lrn(cudaStream_t stream, uint32_t n, struct kernel_value x, uint32_t size, float alpha, float beta, float k,
                       struct kernel_value y);

/* ---------------------------------------------------------------- excite.cu: the two small layers of squeeze-and-excite */

/* y (c, 1, 1) = g(W2 f(W1 x + b1) + b2) for x (c, 1, 1) of any padded width; or, where there are sums, for the mean over the
 * pixels of x (c, h, w), whose sums they are and of which nothing else is read: the tiles' sums, in order, divided by h * w. All
 * weights f32: w1 (squeezed, padded x.c), b1 (squeezed), w2 (squeezed, padded y.c), b2 (padded y.c), so that both are read along
 * their last axis by neighbouring threads; 0 in the padding. padded x.c + squeezed <= KERNEL_EXCITE_MAX. */
cudaError_t kernel_excite(cudaStream_t stream, uint32_t n, struct kernel_value x, struct kernel_sums sums, uint32_t squeezed,
                          const float *w1, const float *b1, enum kernel_activation f, const float *w2, const float *b2,
                          enum kernel_activation g, struct kernel_value y);

/* ---------------------------------------------------------------- expand.cu: the beginning of an EfficientNet's block */

#define KERNEL_EXPAND_CHUNK 16u /* inputs */

/*
 * y = g(depthwise convolution of f(1x1 convolution of x + b1) + b2), and y's sums. f16 or bf16 only. The window's kernel is 3x3
 * or 5x5, its strides are both 1 or both 2, its dilations 1; what it pads is the expanded value, with 0. w1 (chunks of
 * KERNEL_EXPAND_CHUNK inputs, padded y.c, KERNEL_EXPAND_CHUNK), of the values' type; b1 (padded y.c), w2 (kernel_h, kernel_w,
 * padded y.c) and b2 (padded y.c), f32; all 16-byte aligned and 0 in the padding, which fills w1's last chunk, too.
 */
cudaError_t kernel_expand(cudaStream_t stream, uint32_t n, struct kernel_value x, const void *w1, const float *b1,
                          enum kernel_activation f, const struct bgd_window *window, const float *w2, const float *b2,
                          enum kernel_activation g, struct kernel_value y, struct kernel_sums sums);

/* The tiles of its sums. */
uint32_t kernel_expand_tiles(const struct bgd_window *window, struct kernel_value y);

/* ---------------------------------------------------------------- project.cu: the end of an EfficientNet's block */

#define KERNEL_PROJECT_CHUNK 32u /* inputs */
#define KERNEL_PROJECT_MAX 320u  /* padded outputs */

/*
 * y = f(1x1 convolution of x * gate + bias + residual); gate (c, 1, 1), residual of y's shape, or its data NULL: none. f16 or
 * bf16 only. weight (chunks of KERNEL_PROJECT_CHUNK inputs, padded y.c, KERNEL_PROJECT_CHUNK), of the values' type, and bias
 * (padded y.c), f32; both 16-byte aligned and 0 in the padding, which fills the last chunk, too. Padded y.c <=
 * KERNEL_PROJECT_MAX.
 */
cudaError_t kernel_project(cudaStream_t stream, uint32_t n, struct kernel_value x, struct kernel_value gate, const void *weight,
                           const float *bias, struct kernel_value residual, enum kernel_activation f, struct kernel_value y);

/* ---------------------------------------------------------------- upsample.cu */

#define KERNEL_SUM_MAX 3u

struct kernel_enlarged {
    struct kernel_value value;
    bool align_corners;
};

/* y = f(weight (x[0] + .. x[count - 1]) + bias): 1 to KERNEL_SUM_MAX values of y's channels, added one after another. Each is
 * enlarged to y's h and w first: bilinear, positions as backend_ref's upsample_place computes them; one that has them is taken as
 * it is. weight and bias (padded c) are f32; both NULL: 1 and 0. y is of the x's type; or it is one channel in f32 with a pitch
 * of 1, the layout of files and callers. */
cudaError_t kernel_upsample(cudaStream_t stream, uint32_t n, const struct kernel_enlarged *x, uint32_t count,
                            const float *weight, const float *bias, enum kernel_activation f, struct kernel_value y);

/* ---------------------------------------------------------------- attention.cu */

/* Over c, at each h, w; y of x's type, or f32. Lanes beyond c become 0. */
cudaError_t kernel_softmax(cudaStream_t stream, uint32_t n, struct kernel_value x, struct kernel_value y);

/* BGD_OP_ATTENTION: q, k, v, y of one shape, each a matrix of c * h rows (row c_index * h + h_index) and w columns. */
cudaError_t kernel_attention(cudaStream_t stream, uint32_t n, struct kernel_value q, struct kernel_value k,
                             struct kernel_value v, struct kernel_value y);

/* ---------------------------------------------------------------- quantile.cu */

/* BGD_OP_QUANTILE_MASK, over all c * h * w values of a picture (padding does not count). */
cudaError_t kernel_quantile_mask(cudaStream_t stream, uint32_t n, struct kernel_value x, float share, struct kernel_value y);

/* ---------------------------------------------------------------- high_pass.cu */

/* The waves of the frequencies inside the disc (src/high_pass.h), copied to the device. */
struct kernel_waves {
    uint32_t nu, nv;              /* frequencies down and across of the box around the disc; 0: nothing is inside */
    const float *row_re, *row_im; /* (nu, h) */
    const float *col_re, *col_im; /* (nv, w) */
    const float *inside;          /* (nu, nv): 1 / (h w) inside of the disc, else 0 */
};

/* Bytes of scratch memory for kernel_high_pass, 16-byte aligned. */
size_t kernel_high_pass_scratch(uint32_t n, struct kernel_value x, uint32_t nu, uint32_t nv);

/* BGD_OP_HIGH_PASS: |x - the part of x inside the disc|. */
cudaError_t kernel_high_pass(cudaStream_t stream, uint32_t n, struct kernel_value x, struct kernel_waves waves, void *scratch,
                             struct kernel_value y);

/* ---------------------------------------------------------------- feed.cu */

/* Output rows row0 .. row1 - 1 of one picture, and where the rows of its pixels that they need lie. */
struct kernel_piece {
    uint64_t offset;           /* into pixels: of column 0 of row first_row, any alignment */
    double extent_x, extent_y; /* of the picture in its pixels (feed_extent) */
    uint32_t width, height;    /* of the picture; a row is width * 3 bytes, RGB */
    uint32_t first_row;
    uint32_t picture; /* its place in the batch */
    uint32_t row0, row1;
};

/* What becomes of a resized pixel: as struct feed_spec and struct feed_mask (src/feed.h) have it. */
struct kernel_feed_spec {
    float mean[3], std[3], fill[3];
    uint32_t channels; /* 3 or 4 */
    const float *mask; /* (pictures, mask_height, mask_width): P(object); NULL: none */
    uint32_t mask_width, mask_height;
    float threshold;      /* negative: soft */
    uint32_t *not_finite; /* set to 1 where a resized mask is not finite; never cleared */
};

/* y (channels, height, width) of the pictures named in `pieces` (on the device, n_pieces <= 65535): resize, normalise, alpha
 * inversion (src/feed.h has the formulas), in one launch. Lanes beyond the channels become 0. */
cudaError_t kernel_feed(cudaStream_t stream, uint32_t n_pieces, const struct kernel_piece *pieces, const uint8_t *pixels,
                        struct kernel_feed_spec feed, struct kernel_value y);

#ifdef __cplusplus
}
#endif
#endif
