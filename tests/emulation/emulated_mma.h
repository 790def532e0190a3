/*
 * The matrix instruction of kernels/mma.h by plain arithmetic: every thread of the warp leaves its elements of A and B for the
 * others, in the places where the PTX ISA has them, then adds up its own four sums, in the order of k. A GPU has another
 * order.
 */
#ifndef EMULATED_MMA_H
#define EMULATED_MMA_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

struct mma_fragments {
    float a[8], b[4];
};
static_assert(sizeof(mma_fragments) <= EMULATION_EXCHANGE);

inline float mma_float(__half x)
{
    return __half2float(x);
}

inline float mma_float(__nv_bfloat16 x)
{
    return __bfloat162float(x);
}

/* Registers as elements: two in each, the first in the lower half. */
template <class T> void mma_unpack(unsigned n, const uint32_t *registers, float *elements)
{
    for (unsigned i = 0; i < n; i++) {
        T element;
        memcpy(&element, reinterpret_cast<const char *>(registers) + i * sizeof element, sizeof element);
        elements[i] = mma_float(element);
    }
}

/* "Matrix Fragments for mma.m16n8k16 with floating point type", PTX ISA 9.0: who holds an element, and as which. */
inline float mma_a(const char *left, unsigned row, unsigned k)
{
    const unsigned lane = row % 8 * 4 + k % 8 / 2, i = k % 2 + row / 8 * 2 + k / 8 * 4;
    return reinterpret_cast<const mma_fragments *>(left + lane * EMULATION_EXCHANGE)->a[i];
}

inline float mma_b(const char *left, unsigned k, unsigned column)
{
    const unsigned lane = column * 4 + k % 8 / 2, i = k % 2 + k / 8 * 2;
    return reinterpret_cast<const mma_fragments *>(left + lane * EMULATION_EXCHANGE)->b[i];
}

template <class T> void emulated_mma(float sums[4], const uint32_t a[4], const uint32_t b[2])
{
    mma_fragments mine;
    mma_unpack<T>(8, a, mine.a);
    mma_unpack<T>(4, b, mine.b);
    const char *left = static_cast<const char *>(emulation_exchange(&mine, sizeof mine));
    const unsigned lane = threadIdx.x % 32;
    for (unsigned i = 0; i < 4; i++) {
        const unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
        for (unsigned k = 0; k < 16; k++)
            sums[i] += mma_a(left, row, k) * mma_b(left, k, column);
    }
}

#endif
