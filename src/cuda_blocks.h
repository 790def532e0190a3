/*
 * The blocks of EfficientNets as few steps: patterns of ops that a kernel computes, so that what is between them never reaches
 * memory. f16 and bf16 only, and only where the network's maker wants it (cuda_network_create).
 *
 *     1x1 convolution, activation, depthwise convolution, activation: kernel_expand
 *     mul by a gate of one pixel, 1x1 convolution, add, activation:   kernel_project
 */
#ifndef BGD_CUDA_BLOCKS_H
#define BGD_CUDA_BLOCKS_H

#include "cuda_builder.h"

/* The depthwise convolution that becomes one step with the 1x1 convolution `op`; NONE: there is none, or it does not pay. */
uint32_t cuda_find_expand(const struct cuda_builder *b, uint32_t op);
int cuda_build_expand(struct cuda_builder *b, uint32_t op, uint32_t depthwise);

/* The 1x1 convolution that becomes one step with the mul `op`; or NONE. */
uint32_t cuda_find_project(const struct cuda_builder *b, uint32_t op);
int cuda_build_project(struct cuda_builder *b, uint32_t op, uint32_t conv);

#endif
