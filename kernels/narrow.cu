/*
 * f16 to E4M3 (src/e4m3.h has the format), for the convolutions of cuDNN's that take it.
 *
 * A thread converts 8 lanes: 16 bytes in, 8 out. Memory bandwidth is the bound. On sm_89 and later a conversion is one
 * instruction, for two numbers (cvt.rn.satfinite.e4m3x2.f32); a GPU before it computes the same with integers, and is not asked
 * to (backend_cuda.c). Unverified on a GPU.
 */
#include "device.h"

#include <cuda_fp8.h>

/* Lanes of y behind x's are 0: y's are padded to 16, x's to 8. */
static __global__ void narrow(size_t threads, kernel_value x, kernel_value y)
{
    if (thread_number() >= threads)
        return;
    uint32_t groups = y.pitch / KERNEL_LANES;
    size_t pixel = thread_number() / groups;
    uint32_t lane = (uint32_t)(thread_number() % groups) * KERNEL_LANES;
    float values[KERNEL_LANES] = {};
    uint64_t bytes = 0;
    if (lane < x.c)
        load_lanes(element<__half>(x, pixel, lane), values);
    for (uint32_t i = 0; i < KERNEL_LANES; i++)
        bytes |= (uint64_t)__nv_cvt_float_to_fp8(values[i], __NV_SATFINITE, __NV_E4M3) << (8 * i);
    *reinterpret_cast<uint64_t *>(element<uint8_t>(y, pixel, lane)) = bytes;
}

cudaError_t kernel_narrow(cudaStream_t stream, uint32_t n, kernel_value x, kernel_value y)
{
    size_t threads = (size_t)n * y.h * y.w * (y.pitch / KERNEL_LANES);
    return launch_threads(stream, threads, narrow, x, y);
}
