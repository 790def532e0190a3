/*
 * Activations, add and mul, denoise: each element of the result from the elements at the same place. One thread computes 8
 * lanes of a pixel; neighbouring threads take neighbouring lanes, then pixels. Memory bandwidth is the bound.
 *
 * Padding is computed along with the rest: it stays finite, and means nothing.
 */
#include "device.h"

/* ---------------------------------------------------------------- activate */

template <class T, class U> static __global__ void activate(size_t threads, kernel_value x, kernel_activation f, kernel_value y)
{
    if (thread_number() >= threads)
        return;
    place at = place_of(thread_number(), x);
    float values[KERNEL_LANES];
    load_lanes(element<T>(x, at.pixel, at.lane), values);
    activate_all<U, KERNEL_LANES>(values, f);
    store_lanes(element<U>(y, at.pixel, at.lane), values);
}

cudaError_t kernel_activate(cudaStream_t stream, uint32_t n, kernel_value x, kernel_activation f, kernel_value y)
{
    return for_type(x.type, [&](auto zero) {
        using T = decltype(zero);
        return launch_threads(stream, groups_of(n, x), y.type == x.type ? activate<T, T> : activate<T, float>, x, f, y);
    });
}

/* ---------------------------------------------------------------- add, mul */

enum repeat { REPEAT_NOTHING, REPEAT_CHANNELS, REPEAT_PIXELS }; /* y is x's shape, (c, 1, 1), (1, h, w) */

static repeat repeat_of(kernel_value x, kernel_value y)
{
    if (y.c == x.c && y.h == x.h && y.w == x.w)
        return REPEAT_NOTHING;
    return y.c == x.c ? REPEAT_CHANNELS : REPEAT_PIXELS;
}

/* y's lanes for x's at the place. */
template <class T> __device__ static void load_repeated(kernel_value y, repeat how, place at, float values[KERNEL_LANES])
{
    if (how == REPEAT_PIXELS) {
        float value = to_float(*element<T>(y, at.pixel, 0));
        for (uint32_t i = 0; i < KERNEL_LANES; i++)
            values[i] = value;
    } else {
        load_lanes(element<T>(y, how == REPEAT_CHANNELS ? at.picture : at.pixel, at.lane), values);
    }
}

template <class T>
static __global__ void combine(size_t threads, bool multiply, repeat how, kernel_value x, kernel_value y, kernel_value z)
{
    if (thread_number() >= threads)
        return;
    place at = place_of(thread_number(), x);
    float a[KERNEL_LANES], b[KERNEL_LANES];
    load_lanes(element<T>(x, at.pixel, at.lane), a);
    load_repeated<T>(y, how, at, b);
    for (uint32_t i = 0; i < KERNEL_LANES; i++)
        a[i] = multiply ? a[i] * b[i] : a[i] + b[i];
    store_lanes(element<T>(z, at.pixel, at.lane), a);
}

cudaError_t kernel_combine(cudaStream_t stream, uint32_t n, bool multiply, kernel_value x, kernel_value y, kernel_value z)
{
    return for_type(x.type, [&](auto zero) {
        return launch_threads(stream, groups_of(n, x), combine<decltype(zero)>, multiply, repeat_of(x, y), x, y, z);
    });
}

/* ---------------------------------------------------------------- denoise */

template <class T> static __global__ void denoise(size_t threads, kernel_value x, float cut, kernel_value y)
{
    if (thread_number() >= threads)
        return;
    place at = place_of(thread_number(), x);
    float values[KERNEL_LANES];
    load_lanes(element<T>(x, at.pixel, at.lane), values);
    for (uint32_t i = 0; i < KERNEL_LANES; i++) {
        float background = 1 - values[i];
        values[i] += background > cut ? 0 : background;
    }
    store_lanes(element<T>(y, at.pixel, at.lane), values);
}

cudaError_t kernel_denoise(cudaStream_t stream, uint32_t n, kernel_value x, float cut, kernel_value y)
{
    return for_type(x.type,
                    [&](auto zero) { return launch_threads(stream, groups_of(n, x), denoise<decltype(zero)>, x, cut, y); });
}
