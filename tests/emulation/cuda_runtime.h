/*
 * CUDA's C++ dialect for a C++17 compiler: what our kernels use of it, and the launch of a kernel. A thread of a block is a
 * plain call of the kernel (emulation.cpp), and all threads of a block run on one thread of the host: so shared memory is
 * that thread's own, and an atomic operation needs to be one only towards other host threads.
 */
#ifndef CUDA_RUNTIME_H
#define CUDA_RUNTIME_H

#include <cuda_runtime_api.h>

#include <functional>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <tuple>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __shared__ static thread_local
#define __launch_bounds__(...)

/* ---------------------------------------------------------------- a thread and its block */

struct uint3 {
    unsigned int x, y, z;
};

/* __thread, not thread_local: reading one costs no call. */
extern __thread uint3 threadIdx, blockIdx;
extern __thread dim3 blockDim, gridDim;

/* Must be reached by all threads of a block, or of a warp, or by none: anything else ends the program. */
void __syncthreads();
void __syncwarp();

/* Each thread of a warp leaves up to EMULATION_EXCHANGE bytes for the others: those of thread i are at i * EMULATION_EXCHANGE
 * of what is returned, until this thread's next but one exchange. Also a __syncwarp. */
#define EMULATION_EXCHANGE 64u
const void *emulation_exchange(const void *mine, size_t bytes);

/* ---------------------------------------------------------------- arithmetic */

inline uint32_t __float_as_uint(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

inline float __uint_as_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

struct alignas(16) uint4 {
    unsigned int x, y, z, w;
};

/* A store; how caches keep it is not emulated. */
inline void __stwb(uint4 *to, uint4 value)
{
    __builtin_memcpy(to, &value, sizeof value);
}

/* Not to be fused with a sum: these sources are compiled with -ffp-contract=off. */
inline float __fmul_rn(float x, float y)
{
    return x * y;
}

/* tanh.approx.f32, always as wrong as it may be (a relative error of 2^-11: PTX ISA), up or down as the last bit of x has it. */
inline float __tanhf(float x)
{
    float y = tanhf(x) * (__float_as_uint(x) & 1 ? 1 + 0x1p-11f : 1 - 0x1p-11f);
    return y > 1 ? 1 : y < -1 ? -1 : y;
}

inline int min(int a, int b)
{
    return b < a ? b : a;
}

inline int max(int a, int b)
{
    return a < b ? b : a;
}

inline unsigned int min(unsigned int a, unsigned int b)
{
    return b < a ? b : a;
}

inline unsigned int max(unsigned int a, unsigned int b)
{
    return a < b ? b : a;
}

/* Returns the old value. */
inline unsigned int atomicAdd(unsigned int *at, unsigned int x)
{
    return __atomic_fetch_add(at, x, __ATOMIC_RELAXED);
}

/* ---------------------------------------------------------------- a launch */

/* Runs `kernel` as every thread of the grid, or records that. */
cudaError_t emulation_launch(const cudaLaunchConfig_t &config, std::function<void()> kernel);

template <class... P, class... A>
inline cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(P...), A &&...arguments)
{
    std::tuple<P...> copies(std::forward<A>(arguments)...);
    return emulation_launch(*config, [kernel, copies] { std::apply(kernel, copies); });
}

#endif
