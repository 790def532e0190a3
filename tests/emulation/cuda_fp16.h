/* CUDA's half: storage of 2 bytes, and its conversions. */
#ifndef CUDA_FP16_H
#define CUDA_FP16_H

#include "half.h"

struct __half {
    uint16_t bits;
};

inline float __half2float(__half x)
{
    return half_to_float(x.bits);
}

inline __half __float2half(float x)
{
    return {half_from_float(x)};
}

#endif
