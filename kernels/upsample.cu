/*
 * Bilinear enlargement, and the sum of what is enlarged. One thread computes 8 lanes of a pixel of y, or the only channel, from
 * those of 4 pixels of each x, which its neighbours need, too, so that they come from the caches: the bound is the memory
 * bandwidth of writing y. A value of one channel has 7 lanes of nothing, and at the size of a picture they are most of what a
 * network's last layers would read and write; so its sum, scale and activation are one kernel, which can write it without them.
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

template <class T, uint32_t LANES> __device__ static void load(const T *from, float x[LANES])
{
    if constexpr (LANES == 1)
        x[0] = to_float(*from);
    else
        load_lanes(from, x);
}

/* values = the lanes between two pixels of x. */
template <class T, uint32_t LANES>
__device__ static void load_between(kernel_value x, size_t line, between columns, uint32_t lane, float values[LANES])
{
    float right[LANES];
    load<T, LANES>(element<T>(x, line + columns.low, lane), values);
    load<T, LANES>(element<T>(x, line + columns.high, lane), right);
    for (uint32_t i = 0; i < LANES; i++)
        values[i] = values[i] * (1 - columns.share) + right[i] * columns.share;
}

/* A value, and how it is enlarged. */
struct summand {
    kernel_value value;
    axis down, across;
};

/* values = the lanes of x enlarged to y, at that place of y. */
template <class T, uint32_t LANES>
__device__ static void load_enlarged(const summand &x, kernel_value y, place at, float values[LANES])
{
    if (x.value.h == y.h && x.value.w == y.w)
        return load<T, LANES>(element<T>(x.value, at.pixel, at.lane), values);
    between rows = between_of(at.row, x.down), columns = between_of(at.column, x.across);
    size_t top = at.picture * x.value.h;
    float bottom[LANES];
    load_between<T, LANES>(x.value, (top + rows.low) * x.value.w, columns, at.lane, values);
    load_between<T, LANES>(x.value, (top + rows.high) * x.value.w, columns, at.lane, bottom);
    for (uint32_t i = 0; i < LANES; i++)
        values[i] = values[i] * (1 - rows.share) + bottom[i] * rows.share;
}

struct summands {
    summand x[KERNEL_SUM_MAX];
    uint32_t count;
};

template <class T, class U, uint32_t LANES>
static __global__ void upsample(size_t threads, summands sum, const float *weight, const float *bias, kernel_activation f,
                                kernel_value y)
{
    if (thread_number() >= threads)
        return;
    place at = place_of(thread_number(), y);
    float values[LANES], more[LANES];
    load_enlarged<T, LANES>(sum.x[0], y, at, values);
#pragma unroll
    for (uint32_t k = 1; k < KERNEL_SUM_MAX; k++) {
        if (k >= sum.count)
            break;
        load_enlarged<T, LANES>(sum.x[k], y, at, more);
        for (uint32_t i = 0; i < LANES; i++)
            values[i] += more[i];
    }
    if (weight)
        for (uint32_t i = 0; i < LANES; i++)
            values[i] = values[i] * weight[at.lane + i] + bias[at.lane + i];
    activate_all<U, LANES>(values, f);
    if constexpr (LANES == 1)
        *element<U>(y, at.pixel, 0) = from_float<U>(values[0]);
    else
        store_lanes(element<U>(y, at.pixel, at.lane), values);
}

static axis axis_of(uint32_t in, uint32_t out, bool align_corners)
{
    if (!align_corners)
        return {in, (float)in / (float)out, false};
    return {in, out > 1 ? (float)(in - 1) / (float)(out - 1) : 0, true};
}

cudaError_t kernel_upsample(cudaStream_t stream, uint32_t n, const kernel_enlarged *x, uint32_t count, const float *weight,
                            const float *bias, kernel_activation f, kernel_value y)
{
    summands sum = {{}, count};
    for (uint32_t k = 0; k < count; k++)
        sum.x[k] = {x[k].value, axis_of(x[k].value.h, y.h, x[k].align_corners), axis_of(x[k].value.w, y.w, x[k].align_corners)};
    return for_type(x[0].value.type, [&](auto zero) {
        using T = decltype(zero);
        auto kernel = y.pitch == 1 ? upsample<T, float, 1> : upsample<T, T, KERNEL_LANES>;
        return launch_threads(stream, groups_of(n, y), kernel, sum, weight, bias, f, y);
    });
}
