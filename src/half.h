/* IEEE 754 half precision to and from float: small_float.h. */
#ifndef BGD_HALF_H
#define BGD_HALF_H

#include "small_float.h"

static inline float half_to_float(uint16_t half)
{
    const struct small_float format = {15, 10};
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, magnitude = half & 0x7fffu;
    bool finite = magnitude < 0x7c00u;
    uint32_t bits = finite ? small_float_widen(format, magnitude) : 0x7f800000u | (magnitude & 0x3ffu) << 13;
    return small_float_of_bits(sign | bits);
}

/* Rounds to nearest, ties to even; beyond 65,519.99 becomes infinity. */
static inline uint16_t half_from_float(float value)
{
    const struct small_float format = {15, 10};
    uint32_t bits = small_float_bits(value), magnitude = bits & 0x7fffffffu;
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u)
        return (uint16_t)(sign | 0x7c00u);
    return (uint16_t)(sign | small_float_round(format, magnitude));
}

#endif
