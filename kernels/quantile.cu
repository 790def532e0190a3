/*
 * BGD_OP_QUANTILE_MASK: a picture's values up to its quantile become 0.
 *
 * The two values around the quantile's position are selected by their bits, 8 at a time from the highest: a histogram of those
 * values that have all higher bits right says which 8 come next, and how many values lie below them (radix select, as in
 * Alabi et al. 2012, "Fast k-selection algorithms for graphics processing units"). A block a picture, which is read 9 times:
 * 224 values in TRACER, where latency is the bound.
 */
#include "device.h"

#define BINS 256u
#define BLOCK BINS /* a bin a thread */

/* Orders floats as unsigned integers, and NAN behind all numbers. */
__device__ static uint32_t key_of(float x)
{
    uint32_t bits = __float_as_uint(x);
    if (isnan(x))
        return UINT32_MAX;
    return bits >> 31 ? ~bits : bits | 1u << 31;
}

__device__ static float value_of_key(uint32_t key)
{
    return __uint_as_float(key >> 31 ? key & ~(1u << 31) : ~key);
}

/* Value i of those that count. */
template <class T> __device__ static float value_at(kernel_value x, size_t first_pixel, uint32_t i)
{
    return to_float(*element<T>(x, first_pixel + i / x.c, i % x.c));
}

/* counts (BINS) become those of all bins up to each. */
__device__ static void accumulate(uint32_t *counts)
{
    for (unsigned step = 1; step < BINS; step *= 2) {
        uint32_t before = threadIdx.x >= step ? counts[threadIdx.x - step] : 0;
        __syncthreads();
        counts[threadIdx.x] += before;
        __syncthreads();
    }
}

/* The value with `rank` values before it. */
template <class T> __device__ static float selected(kernel_value x, size_t first_pixel, uint32_t rank)
{
    __shared__ uint32_t counts[BINS], digit, below; /* the bin that holds the rank, and the values in bins before it */
    uint32_t key = 0, n = x.c * x.h * x.w;
    for (int shift = 24; shift >= 0; shift -= 8) {
        uint64_t known = (uint64_t)key >> shift >> 8;
        counts[threadIdx.x] = 0;
        __syncthreads();
        for (uint32_t i = threadIdx.x; i < n; i += BLOCK) {
            uint32_t candidate = key_of(value_at<T>(x, first_pixel, i));
            if ((uint64_t)candidate >> shift >> 8 == known)
                atomicAdd(&counts[candidate >> shift & (BINS - 1)], 1u);
        }
        __syncthreads();
        accumulate(counts);
        uint32_t before = threadIdx.x ? counts[threadIdx.x - 1] : 0;
        if (before <= rank && rank < counts[threadIdx.x]) {
            digit = threadIdx.x;
            below = before;
        }
        __syncthreads();
        key |= digit << shift;
        rank -= below;
        __syncthreads(); /* before the next round or call writes */
    }
    return value_of_key(key);
}

/* torch.lerp, in its two forms. The products are rounded before they are added, as on the CPU: an fma with 0 cannot be joined
 * with what follows. */
__device__ static float between(float a, float b, float share)
{
    return share < 0.5f ? a + fmaf(share, b - a, 0.0f) : b - fmaf(b - a, 1 - share, 0.0f);
}

/* The quantile lies `share` of the way from the value of rank `low` to the one of rank `high`. */
template <class T>
static __global__ void quantile_mask(kernel_value x, uint32_t low, uint32_t high, float share, kernel_value y)
{
    size_t pixels = (size_t)x.h * x.w, first = blockIdx.x * pixels;
    float a = selected<T>(x, first, low), b = selected<T>(x, first, high), quantile = between(a, b, share);
    uint32_t groups = lane_groups(x.c);
    for (size_t i = threadIdx.x; i < pixels * groups; i += BLOCK) {
        size_t pixel = first + i / groups;
        uint32_t lane = (uint32_t)(i % groups) * KERNEL_LANES;
        float values[KERNEL_LANES];
        load_lanes(element<T>(x, pixel, lane), values);
        for (float &value : values)
            value = value > quantile ? value : 0;
        store_lanes(element<T>(y, pixel, lane), values);
    }
}

cudaError_t kernel_quantile_mask(cudaStream_t stream, uint32_t n, kernel_value x, float share, kernel_value y)
{
    uint32_t last = x.c * x.h * x.w - 1;
    float position = share * (float)last, whole = floorf(position);
    uint32_t low = (uint32_t)whole, high = low + (low < last);
    return for_type(x.type, [&](auto zero) {
        return launch(stream, n, BLOCK, quantile_mask<decltype(zero)>, x, low, high, position - whole, y);
    });
}
