/*
 * Bilinear enlargement. One thread computes 8 lanes of a pixel of y from those of 4 pixels of x, which its neighbours need,
 * too, so that they come from the caches: the bound is the memory bandwidth of writing y.
 */
#include "device.h"

/* An axis of x, and what leads from an output to its position there. */
struct axis {
    uint32_t size;
    float ratio;
    bool align_corners;
};

/* The two inputs around a position, and how far it is from low to high. */
struct between {
    uint32_t low, high;
    float share;
};

/* As PyTorch computes it (UpSample.h), in float. __fmul_rn: a product that is rounded as it is there, never part of an fma, so
 * that a position that lands on an input does so here, too. */
__device__ static between between_of(uint32_t o, axis x)
{
    float position = x.align_corners ? __fmul_rn(x.ratio, (float)o) : fmaxf(__fmul_rn((float)o + 0.5f, x.ratio) - 0.5f, 0);
    uint32_t low = min((uint32_t)position, x.size - 1);
    return {low, min(low + 1, x.size - 1), position - (float)low};
}

/* values = the lanes between two pixels of x. */
template <class T>
__device__ static void load_between(kernel_value x, size_t line, between columns, uint32_t lane, float values[KERNEL_LANES])
{
    float right[KERNEL_LANES];
    load_lanes(element<T>(x, line + columns.low, lane), values);
    load_lanes(element<T>(x, line + columns.high, lane), right);
    for (uint32_t i = 0; i < KERNEL_LANES; i++)
        values[i] = values[i] * (1 - columns.share) + right[i] * columns.share;
}

template <class T> static __global__ void upsample(size_t threads, kernel_value x, axis down, axis across, kernel_value y)
{
    if (thread_number() >= threads)
        return;
    place at = place_of(thread_number(), y);
    between rows = between_of(at.row, down), columns = between_of(at.column, across);
    float top[KERNEL_LANES], bottom[KERNEL_LANES];
    load_between<T>(x, (at.picture * x.h + rows.low) * x.w, columns, at.lane, top);
    load_between<T>(x, (at.picture * x.h + rows.high) * x.w, columns, at.lane, bottom);
    for (uint32_t i = 0; i < KERNEL_LANES; i++)
        top[i] = top[i] * (1 - rows.share) + bottom[i] * rows.share;
    store_lanes(element<T>(y, at.pixel, at.lane), top);
}

static axis axis_of(uint32_t in, uint32_t out, bool align_corners)
{
    if (!align_corners)
        return {in, (float)in / (float)out, false};
    return {in, out > 1 ? (float)(in - 1) / (float)(out - 1) : 0, true};
}

cudaError_t kernel_upsample(cudaStream_t stream, uint32_t n, kernel_value x, bool align_corners, kernel_value y)
{
    axis down = axis_of(x.h, y.h, align_corners), across = axis_of(x.w, y.w, align_corners);
    return for_type(x.type, [&](auto zero) {
        return launch_threads(stream, groups_of(n, y), upsample<decltype(zero)>, x, down, across, y);
    });
}
