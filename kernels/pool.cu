/*
 * The maximum and the mean over a window, and the mean over a picture. All read each value from memory once (a window's overlap
 * comes from the caches): memory bandwidth is the bound.
 */
#include "device.h"

struct range {
    uint32_t first, end;
};

/* ---------------------------------------------------------------- max_pool: one thread for 8 lanes of a pixel of y */

/* The part of the window of output `o` that is inside of the picture: never nothing, since pads are smaller than the kernel. */
__device__ static range window_inside(uint32_t o, uint32_t kernel, uint32_t stride, uint32_t pad, uint32_t size)
{
    int first = (int)(o * stride) - (int)pad;
    return {(uint32_t)max(first, 0), (uint32_t)min(first + (int)kernel, (int)size)};
}

template <class T> static __global__ void max_pool(size_t threads, kernel_value x, bgd_window window, kernel_value y)
{
    if (thread_number() >= threads)
        return;
    place at = place_of(thread_number(), y);
    range rows = window_inside(at.row, window.kernel_h, window.stride_h, window.pad_top, x.h);
    range columns = window_inside(at.column, window.kernel_w, window.stride_w, window.pad_left, x.w);
    float top[KERNEL_LANES], values[KERNEL_LANES];
    for (uint32_t i = 0; i < KERNEL_LANES; i++)
        top[i] = -INFINITY;
    for (uint32_t row = rows.first; row < rows.end; row++)
        for (uint32_t column = columns.first; column < columns.end; column++) {
            load_lanes(element<T>(x, (at.picture * x.h + row) * x.w + column, at.lane), values);
            for (uint32_t i = 0; i < KERNEL_LANES; i++)
                top[i] = fmaxf(top[i], values[i]);
        }
    store_lanes(element<T>(y, at.pixel, at.lane), top);
}

cudaError_t kernel_max_pool(cudaStream_t stream, uint32_t n, kernel_value x, const bgd_window *window, kernel_value y)
{
    return for_type(
        x.type, [&](auto zero) { return launch_threads(stream, groups_of(n, y), max_pool<decltype(zero)>, x, *window, y); });
}

/* ---------------------------------------------------------------- adaptive_mean: likewise */

/* What output `o` of `out` covers of a side. */
__device__ static range adaptive_window(uint32_t o, uint32_t out, uint32_t size)
{
    return {o * size / out, ((o + 1) * size + out - 1) / out};
}

template <class T> static __global__ void adaptive_mean(size_t threads, kernel_value x, kernel_value y)
{
    if (thread_number() >= threads)
        return;
    place at = place_of(thread_number(), y);
    range rows = adaptive_window(at.row, y.h, x.h), columns = adaptive_window(at.column, y.w, x.w);
    float count = (float)(rows.end - rows.first) * (float)(columns.end - columns.first);
    float sum[KERNEL_LANES] = {0}, values[KERNEL_LANES];
    for (uint32_t row = rows.first; row < rows.end; row++)
        for (uint32_t column = columns.first; column < columns.end; column++) {
            load_lanes(element<T>(x, (at.picture * x.h + row) * x.w + column, at.lane), values);
            for (uint32_t i = 0; i < KERNEL_LANES; i++)
                sum[i] += values[i];
        }
    for (uint32_t i = 0; i < KERNEL_LANES; i++)
        sum[i] /= count;
    store_lanes(element<T>(y, at.pixel, at.lane), sum);
}

cudaError_t kernel_adaptive_mean(cudaStream_t stream, uint32_t n, kernel_value x, kernel_value y)
{
    return for_type(x.type,
                    [&](auto zero) { return launch_threads(stream, groups_of(n, y), adaptive_mean<decltype(zero)>, x, y); });
}

/* ---------------------------------------------------------------- global_mean
 *
 * A block takes a few neighbouring groups of lanes of one picture (threadIdx.x), and shares its pixels out among its rows of
 * threads (threadIdx.y): each sums every blockDim.y-th pixel, then the rows' sums are added as a tree. So the order is fixed.
 */
#define MEAN_THREADS 256u
#define MEAN_GROUPS 8u /* of a block, at most: 128 bytes of f16, a line of the cache */

/* The sum over all rows of threads, in row 0. blockDim.y is a power of 2. */
__device__ static void add_rows(float sum[KERNEL_LANES])
{
    __shared__ float sums[KERNEL_LANES][MEAN_THREADS];
    unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
    for (unsigned i = 0; i < KERNEL_LANES; i++)
        sums[i][thread] = sum[i];
    for (unsigned rows = blockDim.y / 2; rows > 0; rows /= 2) {
        __syncthreads();
        if (threadIdx.y < rows)
            for (unsigned i = 0; i < KERNEL_LANES; i++)
                sums[i][thread] += sums[i][thread + rows * blockDim.x];
    }
    for (unsigned i = 0; i < KERNEL_LANES; i++)
        sum[i] = sums[i][thread];
}

template <class T> static __global__ void global_mean(uint32_t blocks_of_picture, kernel_value x, kernel_value y)
{
    size_t picture = blockIdx.x / blocks_of_picture;
    uint32_t lane = (blockIdx.x % blocks_of_picture * blockDim.x + threadIdx.x) * KERNEL_LANES;
    size_t plane_size = (size_t)x.h * x.w;
    float sum[KERNEL_LANES] = {0}, values[KERNEL_LANES];
    if (lane < x.c)
        for (size_t pixel = threadIdx.y; pixel < plane_size; pixel += blockDim.y) {
            load_lanes(element<T>(x, picture * plane_size + pixel, lane), values);
            for (uint32_t i = 0; i < KERNEL_LANES; i++)
                sum[i] += values[i];
        }
    add_rows(sum);
    if (lane >= x.c || threadIdx.y > 0)
        return;
    for (uint32_t i = 0; i < KERNEL_LANES; i++)
        sum[i] /= (float)plane_size;
    store_lanes(element<T>(y, picture, lane), sum);
}

cudaError_t kernel_global_mean(cudaStream_t stream, uint32_t n, kernel_value x, kernel_value y)
{
    uint32_t groups = lane_groups(x.c), width = 1;
    while (width < groups && width < MEAN_GROUPS)
        width *= 2;
    uint32_t blocks_of_picture = blocks_for(groups, width);
    return for_type(x.type, [&](auto zero) {
        return launch(stream, n * blocks_of_picture, dim3(width, MEAN_THREADS / width), global_mean<decltype(zero)>,
                      blocks_of_picture, x, y);
    });
}
