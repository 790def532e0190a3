/*
 * Floats of 16 and of 8 bits to and from float, in integer arithmetic: the same bits with every compiler and CPU. A format is a
 * sign, an exponent with a bias, and a mantissa of so many bits; half.h and e4m3.h have the two that are used, and what is special
 * in each (infinity, NAN, what is too large).
 */
#ifndef BGD_SMALL_FLOAT_H
#define BGD_SMALL_FLOAT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct small_float {
    uint32_t bias, mantissa; /* mantissa: bits of it */
};

static inline uint32_t small_float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float small_float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Of a number that is not special, without its sign: the bits of the float that it is, exactly. */
static inline uint32_t small_float_widen(struct small_float format, uint32_t magnitude)
{
    if (magnitude >> format.mantissa)
        return (magnitude << (23 - format.mantissa)) + ((127 - format.bias) << 23);
    /* zero or subnormal: so many times 2^(1 - bias - mantissa), which is a float with that exponent */
    uint32_t unit = (128 - format.bias - format.mantissa) << 23;
    return small_float_bits((float)magnitude * small_float_of_bits(unit));
}

/* Of a float's bits, without its sign, that are finite and not too large: the nearest number, ties to even. */
static inline uint32_t small_float_round(struct small_float format, uint32_t magnitude)
{
    uint32_t shift = 23 - format.mantissa, least = 128 - format.bias; /* exponent of the least that is not subnormal */
    uint32_t exponent = magnitude >> 23, base = magnitude - ((127 - format.bias) << 23);
    if (exponent < least) { /* subnormal result: the full mantissa, shifted down to its units */
        if (exponent + format.mantissa + 1 < least)
            return 0;
        shift += least - exponent;
        base = (magnitude & 0x7fffffu) | 0x800000u;
    }
    uint32_t result = base >> shift, rest = base & ((1u << shift) - 1), halfway = 1u << (shift - 1);
    return result + (rest > halfway || (rest == halfway && (result & 1)));
}

#endif
