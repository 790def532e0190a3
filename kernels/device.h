/* What all kernels stand on: 8 lanes at a time, activations, the choice of a type, a launch. For device code (C++). */
#ifndef BGD_KERNELS_DEVICE_H
#define BGD_KERNELS_DEVICE_H

#include "kernels.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

__device__ inline float to_float(float x)
{
    return x;
}
__device__ inline float to_float(__half x)
{
    return __half2float(x);
}
__device__ inline float to_float(__nv_bfloat16 x)
{
    return __bfloat162float(x);
}

template <class T> __device__ T from_float(float x);
template <> __device__ inline float from_float<float>(float x)
{
    return x;
}
template <> __device__ inline __half from_float<__half>(float x)
{
    return __float2half(x);
}
template <> __device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float x)
{
    return __float2bfloat16(x);
}

/* 8 neighbouring channels: one 16-byte access, or two of f32. */
template <class T> struct alignas(16) lanes {
    T at[KERNEL_LANES];
};

template <class T> __device__ inline void load_lanes(const T *from, float x[KERNEL_LANES])
{
    const lanes<T> loaded = *reinterpret_cast<const lanes<T> *>(from);
    for (unsigned i = 0; i < KERNEL_LANES; i++)
        x[i] = to_float(loaded.at[i]);
}

template <class T> __device__ inline void store_lanes(T *to, const float x[KERNEL_LANES])
{
    lanes<T> stored;
    for (unsigned i = 0; i < KERNEL_LANES; i++)
        stored.at[i] = from_float<T>(x[i]);
    for (unsigned i = 0; i < sizeof stored / sizeof(uint4); i++) /* an assignment is taken apart into smaller stores */
        __stwb(reinterpret_cast<uint4 *>(to) + i, reinterpret_cast<const uint4 *>(&stored)[i]);
}

/* The groups of 8 lanes that hold a pixel's channels. */
__host__ __device__ inline uint32_t lane_groups(uint32_t channels)
{
    return (channels + KERNEL_LANES - 1) / KERNEL_LANES;
}

/* This thread of a one-dimensional grid. */
__device__ inline size_t thread_number()
{
    return (size_t)blockIdx.x * blockDim.x + threadIdx.x;
}

/* Where pixel `pixel` has its channel `lane`; pixels are counted through all pictures. */
template <class T> __device__ inline T *element(kernel_value value, size_t pixel, uint32_t lane)
{
    return static_cast<T *>(value.data) + pixel * value.pitch + lane;
}

/*
 * A thread's share of a value: the 8 lanes from `lane` on of a pixel. Neighbouring threads take neighbouring lanes, then
 * columns, so that what they load and store together is contiguous.
 */
struct place {
    size_t pixel; /* through all pictures */
    size_t picture;
    uint32_t row, column, lane;
};

__device__ inline place place_of(size_t thread, uint32_t channels, uint32_t columns, uint32_t rows)
{
    uint32_t groups = lane_groups(channels);
    size_t pixel = thread / groups, line = pixel / columns;
    return {pixel, line / rows, (uint32_t)(line % rows), (uint32_t)(pixel % columns),
            (uint32_t)(thread % groups) * KERNEL_LANES};
}

__device__ inline place place_of(size_t thread, kernel_value value)
{
    return place_of(thread, value.c, value.w, value.h);
}

/* torch.nn.SELU's digits */
#define SELU_SCALE 1.0507009873554804934193349852946f
#define SELU_ALPHA 1.6732632423543772848170429916717f

/*
 * The activation of a value that will be a T. In f16 and bf16 sigmoid(x) = (1 + tanh(x / 2)) / 2, and a tanh is one instruction
 * there (__tanhf is tanh.approx.f32), where exp and a division are about 20. Its relative error is 2^-11 at most (PTX ISA), so
 * that of a sigmoid is 2^-12, and that of x sigmoid(x) 2^-12 x: half of what is lost when an f16 of that size is rounded.
 */
template <class T> __device__ inline float activated(float x, kernel_activation f)
{
    constexpr bool exact = sizeof(T) == sizeof(float);
    switch (f) {
    case KERNEL_RELU: return x < 0 ? 0 : x; /* not fmaxf: NAN stays */
    case KERNEL_SIGMOID: return exact ? 1 / (1 + expf(-x)) : 0.5f + 0.5f * __tanhf(0.5f * x);
    case KERNEL_SILU: return exact ? x / (1 + expf(-x)) : 0.5f * x + 0.5f * x * __tanhf(0.5f * x);
    case KERNEL_SELU: return SELU_SCALE * (x > 0 ? x : SELU_ALPHA * expm1f(x));
    case KERNEL_NONE: break;
    }
    return x;
}

/* Of many, and which function it is asked once. */
template <class T, uint32_t N> __device__ inline void activate_all(float *x, kernel_activation f)
{
#pragma unroll
    for (kernel_activation known : {KERNEL_RELU, KERNEL_SIGMOID, KERNEL_SILU, KERNEL_SELU})
        if (f == known)
#pragma unroll
            for (uint32_t i = 0; i < N; i++)
                x[i] = activated<T>(x[i], known);
}

/* ---------------------------------------------------------------- host */

/* Calls f with a zero of the type: the body of a launcher, once a type. */
template <class F> inline cudaError_t for_type(kernel_type type, F f)
{
    switch (type) {
    case KERNEL_F32: return f(float());
    case KERNEL_F16: return f(__half());
    case KERNEL_BF16: return f(__nv_bfloat16());
    }
    return cudaErrorInvalidValue;
}

/* Groups of 8 lanes in n pictures: the threads of a kernel that take one each. */
inline size_t groups_of(uint32_t n, kernel_value value)
{
    return (size_t)n * value.h * value.w * lane_groups(value.c);
}

inline unsigned blocks_for(size_t threads, unsigned block)
{
    return (unsigned)((threads + block - 1) / block);
}

template <class... P, class... A>
inline cudaError_t launch(cudaStream_t stream, dim3 grid, dim3 block, void (*kernel)(P...), A... arguments)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.stream = stream;
    return cudaLaunchKernelEx(&config, kernel, static_cast<P>(arguments)...);
}

/* Blocks of 256 for that many threads; the kernel gets the number first, since its last block may have more. */
template <class... P, class... A>
inline cudaError_t launch_threads(cudaStream_t stream, size_t threads, void (*kernel)(size_t, P...), A... arguments)
{
    return launch(stream, blocks_for(threads, 256), 256, kernel, threads, arguments...);
}

#endif
