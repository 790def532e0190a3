/* CUDA's E4M3: storage of a byte, and its conversion from float. */
#ifndef CUDA_FP8_H
#define CUDA_FP8_H

#include "e4m3.h"

typedef unsigned char __nv_fp8_storage_t;

enum __nv_saturation_t { __NV_NOSAT, __NV_SATFINITE };
enum __nv_fp8_interpretation_t { __NV_E4M3, __NV_E5M2 };

/* Saturating, to E4M3: what is used. */
inline __nv_fp8_storage_t __nv_cvt_float_to_fp8(float x, __nv_saturation_t, __nv_fp8_interpretation_t)
{
    return e4m3_from_float(x);
}

#endif
