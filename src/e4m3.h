/*
 * E4M3, a float of 8 bits (Micikevicius et al., FP8 Formats for Deep Learning, arXiv 2209.05433, table 1): a sign, 4 bits of exponent
 * with bias 7, 3 of mantissa; no infinity; 0x7f and 0xff are NAN. 448 is the largest, 2^-9 the smallest. In integer arithmetic:
 * the same bits with every compiler and CPU.
 */
#ifndef BGD_E4M3_H
#define BGD_E4M3_H

#include <stdint.h>
#include <string.h>

#define E4M3_MOST 448.0f

static inline float e4m3_to_float(uint8_t e4m3)
{
    uint32_t sign = (uint32_t)(e4m3 & 0x80u) << 24;
    uint32_t exponent = (e4m3 >> 3) & 0xfu;
    uint32_t mantissa = e4m3 & 7u;
    uint32_t bits;
    float value;
    if (exponent == 0) { /* zero or subnormal: mantissa x 2^-9, exact in float */
        value = (float)mantissa * 0x1p-9f;
        memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    } else if (exponent == 15 && mantissa == 7) {
        bits = sign | 0x7fc00000u;
    } else {
        bits = sign | (exponent + 120u) << 23 | mantissa << 20;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Rounds to nearest, ties to even; what is beyond 448, infinity too, becomes 448: CUDA's cvt.rn.satfinite. */
static inline uint8_t e4m3_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint8_t sign = (uint8_t)(bits >> 24 & 0x80u);
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return 0x7f;
    if (magnitude >= 0x43e00000u) /* 448 */
        return (uint8_t)(sign | 0x7eu);
    uint32_t shift = 20, base = magnitude - (120u << 23);
    if (magnitude < 0x3c800000u) { /* subnormal result: shift the full mantissa down to units of 2^-9 */
        uint32_t exponent = magnitude >> 23;
        if (exponent < 117)
            return sign;
        shift = 141 - exponent;
        base = (magnitude & 0x7fffffu) | 0x800000u;
    }
    uint32_t result = base >> shift;
    uint32_t rest = base & ((1u << shift) - 1);
    uint32_t halfway = 1u << (shift - 1);
    if (rest > halfway || (rest == halfway && (result & 1)))
        result++;
    return (uint8_t)(sign | result);
}

#endif
