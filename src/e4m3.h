/*
 * E4M3, a float of 8 bits (Micikevicius et al., FP8 Formats for Deep Learning, arXiv 2209.05433, table 1): a sign, 4 bits of
 * exponent with bias 7, 3 of mantissa; no infinity; 0x7f and 0xff are NAN. 448 is the largest, 2^-9 the smallest. To and from float:
 * small_float.h.
 */
#ifndef BGD_E4M3_H
#define BGD_E4M3_H

#include "small_float.h"

#define E4M3_MOST 448.0f

static inline float e4m3_to_float(uint8_t e4m3)
{
    const struct small_float format = {7, 3};
    uint32_t sign = (uint32_t)(e4m3 & 0x80u) << 24, magnitude = e4m3 & 0x7fu;
    return small_float_of_bits(sign | (magnitude == 0x7f ? 0x7fc00000u : small_float_widen(format, magnitude)));
}

/* Rounds to nearest, ties to even; what is beyond 448, infinity too, becomes 448: CUDA's cvt.rn.satfinite. */
static inline uint8_t e4m3_from_float(float value)
{
    const struct small_float format = {7, 3};
    uint32_t bits = small_float_bits(value), magnitude = bits & 0x7fffffffu;
    uint8_t sign = (uint8_t)(bits >> 24 & 0x80u);
    if (magnitude > 0x7f800000u)
        return 0x7f;
    if (magnitude >= 0x43e00000u) /* 448 */
        return (uint8_t)(sign | 0x7eu);
    return (uint8_t)(sign | small_float_round(format, magnitude));
}

#endif
