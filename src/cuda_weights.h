/*
 * Weights as the kernels want them. In the file they are (out, in / groups, kernel_h, kernel_w) without padding; in a
 * cuda_network's constants the axis that neighbouring threads take comes last, and is padded with zeros.
 */
#ifndef BGD_CUDA_WEIGHTS_H
#define BGD_CUDA_WEIGHTS_H

#include "cuda_builder.h"

/* How the four axes of a tensor lie in a constant: element (i0, i1, i2, i3) at the sum of i * stride. */
struct cuda_order {
    uint32_t sides[4];
    size_t strides[4];
    size_t size; /* of the constant, padding included */
};

/* (padded out, kernel_h, kernel_w, padded in): cuDNN's weights. */
struct cuda_order cuda_channels_last(struct shape in, uint32_t out, uint32_t kernel_h, uint32_t kernel_w);

/* (kernel_h, kernel_w, in / groups, padded out): those of kernel_depthwise and kernel_grouped; `in` is that of a group. */
struct cuda_order cuda_outputs_last(uint32_t in, uint32_t out, uint32_t kernel_h, uint32_t kernel_w);

/* A tensor's values in that order, as a constant of `type`, and its offset. */
int cuda_add_ordered(struct cuda_builder *b, uint32_t tensor, enum kernel_type type, struct cuda_order order, size_t *offset);

/* `count` numbers, padded to `size`. */
int cuda_add_padded(struct cuda_builder *b, uint32_t tensor, enum kernel_type type, uint32_t count, uint32_t size,
                    size_t *offset);

/* The weights (out, in) of a 1x1 convolution as (chunks of `chunk` inputs, padded out, chunk), of the network's type: those of
 * kernel_project and kernel_expand. */
int cuda_add_chunked(struct cuda_builder *b, uint32_t tensor, uint32_t in, uint32_t out, uint32_t chunk, size_t *offset);

#endif
