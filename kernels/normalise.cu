/*
 * Local response normalisation: each channel by those beside it.
 *
 * One thread computes 8 lanes of a pixel, and adds each square of their windows' channels to the lanes that it counts for. Its
 * neighbours read most of the same channels, from the caches: memory bandwidth is the bound.
 */
#include "device.h"

/* The window of a channel starts `before` it and ends `behind` it; channels that there are not count for nothing. */
template <class T>
static __global__ void lrn(size_t threads, kernel_value x, uint32_t before, uint32_t behind, float alpha, float beta, float k,
                           kernel_value y)
{
    if (thread_number() >= threads)
        return;
    place at = place_of(thread_number(), x);
    uint32_t first = at.lane > before ? at.lane - before : 0, end = min(at.lane + KERNEL_LANES + behind, x.c);
    float sum[KERNEL_LANES] = {0}, values[KERNEL_LANES];
    for (uint32_t c = first; c < end; c++) {
        float value = to_float(*element<T>(x, at.pixel, c));
        for (uint32_t i = 0; i < KERNEL_LANES; i++)
            if (c + before >= at.lane + i && c <= at.lane + i + behind)
                sum[i] += value * value;
    }
    load_lanes(element<T>(x, at.pixel, at.lane), values);
    for (uint32_t i = 0; i < KERNEL_LANES; i++)
        values[i] = at.lane + i < x.c ? values[i] / powf(k + alpha * sum[i], beta) : 0;
    store_lanes(element<T>(y, at.pixel, at.lane), values);
}

cudaError_t kernel_lrn(cudaStream_t stream, uint32_t n, kernel_value x, uint32_t size, float alpha, float beta, float k,
                       kernel_value y)
{
    return for_type(x.type, [&](auto zero) {
        return launch_threads(stream, groups_of(n, y), lrn<decltype(zero)>, x, size / 2, (size - 1) / 2, alpha / (float)size,
                              beta, k, y);
    });
}
