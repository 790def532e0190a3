/*
 * The end of an EfficientNet's block: a 1x1 convolution that makes few channels of many, of a value that is gated on its way.
 *
 * A product of matrices, pixels by inputs (A) times inputs by outputs (B). A warp takes 32 pixels and a slice of the outputs,
 * most often all of them. It loads each element of x once, 16 bytes at a time, straight into the fragments, and gates it there;
 * the weights, which all warps want, come from the L1 cache. No warp waits for another. Reading x is the bound: N / 2
 * multiply-accumulates a byte, of which an H200's tensor cores do some 50 in the time of a byte. (Of gating as a step of its
 * own this saves the writing of a value of x's size and the reading of it.) Slices of the same pixels are neighbouring blocks:
 * all but the first find x in the L2 cache.
 *
 * A pixel's sums run over its own channels, in one order wherever in the batch it is: nothing else plays a part in its bits.
 */
#include "mma.h"

#define WARPS 4u
#define HALVES 2u /* of a warp's pixels, 16 rows of A each */
#define PIXELS (HALVES * MMA_ROWS)
#define ROWS (2 * HALVES) /* of which a lane has a part: g, g + 8, g + 16, g + 24 */
#define STEPS 2u          /* products, for which a lane loads together: 16 bytes */
#define CHUNK KERNEL_PROJECT_CHUNK
#define SLICE_MAX 12u                           /* tiles of 8 outputs: 8 sums a lane each */
#define STAGED 4u                               /* tiles that leave through shared memory together */
#define STAGED_PITCH (STAGED * MMA_COLUMNS + 8) /* + 8: 4 rows that are written together lie in different banks */

static_assert(CHUNK == STEPS * MMA_K);

template <class T> __device__ static mma_piece<STEPS> gated(const lanes<T> &x, const T *gate)
{
    float factors[KERNEL_LANES];
    lanes<T> product;
    load_lanes(gate, factors);
    for (uint32_t i = 0; i < KERNEL_LANES; i++)
        product.at[i] = from_float<T>(to_float(x.at[i]) * factors[i]); /* rounded, as by a step of its own */
    return load_piece<STEPS>(product.at);
}

/* sums += the products of the 32 pixels from `first` on, of `pixels` in all, with `tiles` tiles of outputs from first_output
 * on. Rows behind the last pixel repeat it. */
template <class T, uint32_t TILES>
__device__ static void add_inputs(size_t first, size_t pixels, kernel_value x, kernel_value gate, const T *weight,
                                  uint32_t outputs, uint32_t first_output, uint32_t tiles, float sums[HALVES][TILES][4])
{
    const uint32_t inputs = lane_groups(x.c) * KERNEL_LANES, lane = mma_member() * KERNEL_LANES;
    const size_t plane_size = (size_t)x.h * x.w;
    const T *rows[ROWS], *gates[ROWS];
    for (uint32_t r = 0; r < ROWS; r++) {
        size_t pixel = first + mma_group() + r * 8;
        pixel = pixel < pixels ? pixel : pixels - 1;
        rows[r] = element<T>(x, pixel, lane);
        gates[r] = element<T>(gate, pixel / plane_size, lane);
    }
    weight += (first_output + mma_group()) * CHUNK + lane;

    lanes<T> ahead[ROWS]; /* of the next chunk: on their way while this one's products are computed */
    for (uint32_t r = 0; r < ROWS && lane < inputs; r++)
        ahead[r] = *reinterpret_cast<const lanes<T> *>(rows[r]);
    for (uint32_t k = 0; k < inputs; k += CHUNK, weight += (size_t)outputs * CHUNK) {
        mma_piece<STEPS> a[ROWS] = {}; /* 0 behind the last input */
        for (uint32_t r = 0; r < ROWS && k + lane < inputs; r++)
            a[r] = gated(ahead[r], gates[r] + k);
        for (uint32_t r = 0; r < ROWS && k + CHUNK + lane < inputs; r++)
            ahead[r] = *reinterpret_cast<const lanes<T> *>(rows[r] + k + CHUNK);
#pragma unroll /* here and below: sums that are not all named have no registers */
        for (uint32_t j = 0; j < TILES; j++) {
            if (j >= tiles)
                continue;
            const mma_piece<STEPS> b = load_piece<STEPS>(weight + j * MMA_COLUMNS * CHUNK);
            for (uint32_t half = 0; half < HALVES; half++)
                add_products<T>(sums[half][j], a[2 * half], a[2 * half + 1], b);
        }
    }
}

/* y = f(a row's sums + bias + residual), 8 lanes of it. */
template <class T>
__device__ static void finish(const float *sums, size_t pixel, uint32_t lane, const float *bias, kernel_value residual,
                              kernel_activation f, kernel_value y)
{
    float values[KERNEL_LANES], more[KERNEL_LANES];
    load_lanes(sums, values);
    load_lanes(bias + lane, more);
    for (uint32_t i = 0; i < KERNEL_LANES; i++)
        values[i] += more[i];
    if (residual.data) {
        load_lanes(element<T>(residual, pixel, lane), more);
        for (uint32_t i = 0; i < KERNEL_LANES; i++)
            values[i] += more[i];
    }
    activate_all<T, KERNEL_LANES>(values, f);
    store_lanes(element<T>(y, pixel, lane), values);
}

/* A slice has `in_slice` tiles, the last one may have fewer. */
template <class T, uint32_t TILES>
static __global__ void __launch_bounds__(WARPS *WARP, 2)
    project(size_t pixels, uint32_t slices, uint32_t in_slice, kernel_value x, kernel_value gate, const T *weight,
            const float *bias, kernel_value residual, kernel_activation f, kernel_value y)
{
    alignas(16) __shared__ float staged[WARPS][MMA_ROWS][STAGED_PITCH];
    const uint32_t warp = threadIdx.x / WARP, outputs = lane_groups(y.c) * KERNEL_LANES;
    const uint32_t first_tile = blockIdx.x % slices * in_slice, tiles = min(lane_groups(y.c) - first_tile, in_slice);
    const size_t first = (blockIdx.x / slices * (size_t)WARPS + warp) * PIXELS;
    if (first >= pixels)
        return;
    float sums[HALVES][TILES][4] = {};
    add_inputs<T, TILES>(first, pixels, x, gate, weight, outputs, first_tile * MMA_COLUMNS, tiles, sums);

#pragma unroll
    for (uint32_t half = 0; half < HALVES; half++)
#pragma unroll
        for (uint32_t j0 = 0; j0 < TILES; j0 += STAGED) {
            for (uint32_t j = j0; j < j0 + STAGED && j < TILES; j++)
                for (uint32_t i = 0; i < 4; i++)
                    staged[warp][mma_group() + i / 2 * 8][(j - j0) * MMA_COLUMNS + 2 * mma_member() + i % 2] = sums[half][j][i];
            __syncwarp();
            const uint32_t tile = j0 + threadIdx.x % STAGED;
            for (uint32_t row = threadIdx.x % WARP / STAGED; row < MMA_ROWS; row += WARP / STAGED) {
                const size_t pixel = first + half * MMA_ROWS + row;
                if (tile < tiles && pixel < pixels)
                    finish<T>(&staged[warp][row][(tile - j0) * MMA_COLUMNS], pixel, (first_tile + tile) * MMA_COLUMNS, bias,
                              residual, f, y);
            }
            __syncwarp();
        }
}

/* With room for so many tiles in a slice. */
template <class T> static auto project_of(uint32_t tiles)
{
    return tiles <= 2   ? project<T, 2>
           : tiles <= 3 ? project<T, 3>
           : tiles <= 5 ? project<T, 5>
           : tiles <= 8 ? project<T, 8>
                        : project<T, SLICE_MAX>;
}

cudaError_t kernel_project(cudaStream_t stream, uint32_t n, kernel_value x, kernel_value gate, const void *weight,
                           const float *bias, kernel_value residual, kernel_activation f, kernel_value y)
{
    const size_t pixels = (size_t)n * x.h * x.w;
    const uint32_t tiles = lane_groups(y.c), slices = blocks_for(tiles, SLICE_MAX), in_slice = blocks_for(tiles, slices);
    return for_half_type(x.type, [&](auto zero) {
        using T = decltype(zero);
        return launch(stream, blocks_for(pixels, WARPS * PIXELS) * slices, WARPS * WARP, project_of<T>(in_slice), pixels,
                      slices, in_slice, x, gate, static_cast<const T *>(weight), bias, residual, f, y);
    });
}
