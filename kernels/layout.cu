/*
 * Between the layout of files and callers, f32 in (n, c, h, w), and that of kernels (kernels.h); and the concat that copies.
 *
 * Nothing is computed: memory bandwidth is the bound. Packed values have few channels (pictures, masks, scores), so
 * neighbouring threads of pack and unpack take neighbouring pixels, which is what the side in planes wants; of copy, channels.
 */
#include "device.h"

/* 8 lanes of a pixel, for values in planes: neighbouring threads take neighbouring pixels, then groups of lanes. */
struct planar_place {
    size_t pixel;     /* through all pictures */
    size_t plane;     /* where the lanes' first plane has the pixel */
    uint32_t channel; /* of the first lane */
};

__device__ static planar_place planar_place_of(size_t thread, kernel_value value)
{
    size_t plane_size = (size_t)value.h * value.w;
    uint32_t groups = lane_groups(value.c);
    size_t pixel = thread % plane_size, row = thread / plane_size, picture = row / groups;
    uint32_t channel = (uint32_t)(row % groups) * KERNEL_LANES;
    return {picture * plane_size + pixel, (picture * value.c + channel) * plane_size + pixel, channel};
}

template <class T> static __global__ void pack(size_t threads, const float *chw, kernel_value y)
{
    size_t plane_size = (size_t)y.h * y.w;
    if (thread_number() >= threads)
        return;
    planar_place at = planar_place_of(thread_number(), y);
    float values[KERNEL_LANES];
    for (uint32_t i = 0; i < KERNEL_LANES; i++)
        values[i] = at.channel + i < y.c ? chw[at.plane + i * plane_size] : 0;
    store_lanes(element<T>(y, at.pixel, at.channel), values);
}

template <class T> static __global__ void unpack(size_t threads, kernel_value x, float *chw)
{
    size_t plane_size = (size_t)x.h * x.w;
    if (thread_number() >= threads)
        return;
    planar_place at = planar_place_of(thread_number(), x);
    float values[KERNEL_LANES];
    load_lanes(element<T>(x, at.pixel, at.channel), values);
    for (uint32_t i = 0; i < KERNEL_LANES; i++)
        if (at.channel + i < x.c)
            chw[at.plane + i * plane_size] = values[i];
}

/* One thread an element, of `channels` a pixel: those around them are other threads' or another copy's. */
template <class T> static __global__ void copy(size_t threads, uint32_t channels, kernel_value x, uint32_t at, kernel_value y)
{
    if (thread_number() >= threads)
        return;
    size_t pixel = thread_number() / channels;
    uint32_t channel = (uint32_t)(thread_number() % channels);
    *element<T>(y, pixel, at + channel) = channel < x.c ? *element<T>(x, pixel, channel) : from_float<T>(0);
}

cudaError_t kernel_pack(cudaStream_t stream, uint32_t n, const float *chw, kernel_value y)
{
    size_t threads = groups_of(n, y);
    return for_type(y.type, [&](auto zero) { return launch_threads(stream, threads, pack<decltype(zero)>, chw, y); });
}

cudaError_t kernel_unpack(cudaStream_t stream, uint32_t n, kernel_value x, float *chw)
{
    size_t threads = groups_of(n, x);
    return for_type(x.type, [&](auto zero) { return launch_threads(stream, threads, unpack<decltype(zero)>, x, chw); });
}

cudaError_t kernel_copy(cudaStream_t stream, uint32_t n, kernel_value x, uint32_t at, kernel_value y)
{
    uint32_t channels = at + x.c == y.c ? lane_groups(y.c) * KERNEL_LANES - at : x.c;
    size_t threads = (size_t)n * x.h * x.w * channels;
    return for_type(x.type,
                    [&](auto zero) { return launch_threads(stream, threads, copy<decltype(zero)>, channels, x, at, y); });
}
