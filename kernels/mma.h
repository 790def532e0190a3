/*
 * Products of matrices by a warp, for device code (C++): sums (16, 8) += A (16, 16) times B (16, 8), A and B of f16 or bf16,
 * sums in f32. The instruction is mma.sync.aligned.m16n8k16 (PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point
 * type"), of sm_80 and later.
 *
 * Of the lanes of a warp, lane 4 g + t (g = 0 .. 7, t = 0 .. 3) holds
 *
 *     a[0]: A[g][2t], A[g][2t+1]       a[1]: A[g+8][2t], A[g+8][2t+1]
 *     a[2]: A[g][2t+8], A[g][2t+9]     a[3]: A[g+8][2t+8], A[g+8][2t+9]
 *     b[0]: B[2t][g], B[2t+1][g]       b[1]: B[2t+8][g], B[2t+9][g]
 *     sums: (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1)
 *
 * two elements in a register, the first in its lower half. The 16 products of a sum are the same whichever of them is called
 * the first, so long as A and B agree. So a lane takes neighbours where they lie: of a row of A, and of a column of B whose
 * elements are neighbours, too, elements 4t .. 4t+3 stand for columns 2t, 2t+1, 2t+8, 2t+9, 8 bytes in one load; or 8t ..
 * 8t+7, 16 bytes, for two products of 16 that follow one another. Both matrices come from global memory in this way: no detour
 * through shared memory, and no two lanes that load the same.
 */
#ifndef BGD_KERNELS_MMA_H
#define BGD_KERNELS_MMA_H

#include "device.h"

#ifndef __CUDACC__
#include <emulated_mma.h>
#endif

#define WARP 32u
#define MMA_ROWS 16u   /* of A */
#define MMA_COLUMNS 8u /* of B */
#define MMA_K 16u

/* This thread's lane of its warp, in a block of one dimension, as the fragments count it. */
__device__ inline uint32_t mma_group()
{
    return threadIdx.x % WARP / 4;
}
__device__ inline uint32_t mma_member()
{
    return threadIdx.x % 4;
}

/* What a lane takes of a row of A or a column of B for STEPS products that follow one another. */
template <uint32_t STEPS> struct alignas(8 * STEPS) mma_piece {
    uint32_t at[2 * STEPS];
};

template <uint32_t STEPS, class T> __device__ inline mma_piece<STEPS> load_piece(const T *from)
{
    return *reinterpret_cast<const mma_piece<STEPS> *>(from);
}

template <class T> __device__ void mma(float sums[4], const uint32_t a[4], const uint32_t b[2]);

#ifdef __CUDACC__ /* volatile: it must not move to where only some of the warp's threads want its result */
template <> __device__ inline void mma<__half>(float sums[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

template <> __device__ inline void mma<__nv_bfloat16>(float sums[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#else
template <class T> __device__ void mma(float sums[4], const uint32_t a[4], const uint32_t b[2])
{
    emulated_mma<T>(sums, a, b);
}
#endif

/* sums += the products of 16 rows, of which `low` has row g and `high` row g + 8, with 8 columns. */
template <class T, uint32_t STEPS>
__device__ inline void add_products(float sums[4], mma_piece<STEPS> low, mma_piece<STEPS> high, mma_piece<STEPS> columns)
{
    for (uint32_t i = 0; i < 2 * STEPS; i += 2) {
        const uint32_t a[] = {low.at[i], high.at[i], low.at[i + 1], high.at[i + 1]};
        mma<T>(sums, a, columns.at + i);
    }
}

/* For kernels that have no f32: there is no such instruction. */
template <class F> inline cudaError_t for_half_type(kernel_type type, F f)
{
    switch (type) {
    case KERNEL_F16: return f(__half());
    case KERNEL_BF16: return f(__nv_bfloat16());
    case KERNEL_F32:
    case KERNEL_F8: break;
    }
    return cudaErrorInvalidValue;
}

#endif
