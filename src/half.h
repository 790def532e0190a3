/* IEEE 754 half precision to and from float, in integer arithmetic: the same bits with every compiler and CPU. */
#ifndef BGD_HALF_H
#define BGD_HALF_H

#include <stdint.h>
#include <string.h>

static inline float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1fu;
    uint32_t mantissa = half & 0x3ffu;
    uint32_t bits;
    float value;
    if (exponent == 0) { /* zero or subnormal: mantissa x 2^-24, exact in float */
        value = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    } else if (exponent == 31) {
        bits = sign | 0x7f800000u | mantissa << 13;
    } else {
        bits = sign | (exponent + 112u) << 23 | mantissa << 13;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Rounds to nearest, ties to even; beyond 65,519.99 becomes infinity. */
static inline uint16_t half_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u)
        return (uint16_t)(sign | 0x7c00u);
    uint32_t shift = 13, base = magnitude - (112u << 23);
    if (magnitude < 0x38800000u) { /* subnormal result: shift the full mantissa down to units of 2^-24 */
        uint32_t exponent = magnitude >> 23;
        if (exponent < 102)
            return sign;
        shift = 126 - exponent;
        base = (magnitude & 0x7fffffu) | 0x800000u;
    }
    uint32_t result = base >> shift;
    uint32_t rest = base & ((1u << shift) - 1);
    uint32_t halfway = 1u << (shift - 1);
    if (rest > halfway || (rest == halfway && (result & 1)))
        result++;
    return (uint16_t)(sign | result);
}

#endif
