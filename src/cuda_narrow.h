/*
 * The convolutions of a network that multiply E4M3, in a cuda_network that is `narrow` (BGD_PRECISION_F8).
 *
 *     y = f(conv(E4M3(x), q) * scale + residual + bias)        w = q * scale: q E4M3, scale f32, for each channel of y
 *
 * Which: those in one group, of 9 taps or more, with 128 channels of input or more, with 2^25 multiply-accumulates for a picture or
 * more, and 1024 for an element of the input or more. The rest of the network, the sum's epilogue included, is as in f16.
 *
 *   - Tensor cores multiply E4M3 at twice the rate of f16: on an H200 (790 TFLOP/s of f16, 4.3 TB/s) a multiply-accumulate is
 *     1.3 fs shorter. To convert an element of the input reads two bytes and writes one, 0.7 ps at most (a batch may fit into the
 *     cache). So it is even at about 550 for an element; 1024 leaves a margin.
 *   - The conversion is a launch more, of about 3 us. 2^25 for a picture, 256 pictures: 11 us that the products are shorter.
 *   - Sums over fewer than 128 * 9 products average less of the rounding away.
 *   In TRACER-B0 these are two 3x3 convolutions of its decoder with 224 and 192 channels, 44 % of all multiply-accumulates at
 *   320x320; a ResNet of small cards has none.
 *
 * Values are converted without a scale. E4M3 has 4 significant bits from 2^-6 to 448 and multiples of 2^-9 below: what is rounded is off
 * by 1/16 of itself, or by 2^-10, at the most. Behind a convolution, with its batch-norm folded in, and an activation, a channel's values
 * have the spread that the batch-norm was trained to, about 1; TRACER's decoder multiplies two or three such values, which widens
 * it. What is larger than 448 all the same becomes 448, infinity too. Of the shipped TRACER-B0's inputs for 24 sample cards none is
 * that large, the largest is 118, and 1 of 100 lies below 2^-6 without being 0.
 * A channel's weights are scaled so that the largest becomes 448: after folding, channels differ by orders of magnitude.
 *
 * Sums are f32 as cuDNN has it; the tensor cores of Hopper are reported to keep about 14 bits while they add products of
 * FP8 (DeepSeek-V3 Technical Report, arXiv 2412.19437, 3.3.2), and the emulated device does not. Unverified on a GPU.
 */
#ifndef BGD_CUDA_NARROW_H
#define BGD_CUDA_NARROW_H

#include "cuda_builder.h"

/* Whether op `index`, a convolution, is one of them. */
bool cuda_is_narrow(const struct cuda_builder *b, uint32_t index);

/* Converts the input of the convolution's step, which has nothing but its inputs and activation yet, in a step before it; adds
 * weights (constant 0) and scales (constant 2). */
int cuda_narrow(struct cuda_builder *b, uint32_t index, struct cuda_step *step);

#endif
