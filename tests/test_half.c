/* Half precision against doubles. */
#include "half.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The value of a half by its definition. */
static double half_value(uint16_t half)
{
    int exponent = half >> 10 & 31, mantissa = half & 1023;
    double magnitude = exponent == 0    ? ldexp(mantissa, -24)
                       : exponent == 31 ? (mantissa ? NAN : INFINITY)
                                        : ldexp(1024 + mantissa, exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

Test(half, every_half_has_its_value_and_comes_back)
{
    for (uint32_t i = 0; i < 65536; i++) {
        float value = half_to_float((uint16_t)i);
        double expected = half_value((uint16_t)i);
        if (isnan(expected)) {
            cr_assert(isnan(value), "0x%04x", i);
            cr_assert(isnan(half_to_float(half_from_float(value))), "0x%04x", i);
        } else {
            cr_assert_eq((double)value, expected, "0x%04x is %g", i, (double)value);
            cr_assert_eq(!!signbit(value), i >> 15, "0x%04x", i);
            cr_assert_eq(half_from_float(value), i, "0x%04x comes back as 0x%04x", i, half_from_float(value));
        }
    }
}

/* The nearest half by search: of the two halves around it the nearer one, of two equally near the even one; beyond the largest
 * half, the next power of two stands for infinity. */
static uint16_t nearest(double value)
{
    uint16_t low = 0, high = 0x7c00; /* the order of positive halves is that of their bits */
    while (high - low > 1) {
        uint16_t middle = (uint16_t)((low + high) / 2);
        if (half_value(middle) <= value)
            low = middle;
        else
            high = middle;
    }
    double above = high == 0x7c00 ? 65536 : half_value(high), middle = (half_value(low) + above) / 2;
    return value < middle || (value == middle && low % 2 == 0) ? low : high;
}

static void check(uint32_t bits)
{
    float value = float_of(bits & 0x7fffffff);
    uint16_t expected = nearest((double)value), got = half_from_float(value);
    cr_assert_eq(got, expected, "%a gives 0x%04x, expected 0x%04x", (double)value, got, expected);
    cr_assert_eq(half_from_float(-value), expected | 0x8000, "%a", (double)-value);
}

Test(half, rounds_to_the_nearest_and_ties_to_even)
{
    for (uint32_t i = 0; i < 0x7c00; i++) { /* around every half, and around the middle between it and the next */
        double above = i == 0x7bff ? 65536 : half_value((uint16_t)(i + 1));
        float middle = (float)((half_value((uint16_t)i) + above) / 2), self = half_to_float((uint16_t)i);
        uint32_t at, of;
        memcpy(&at, &middle, sizeof at);
        memcpy(&of, &self, sizeof of);
        for (uint32_t d = 0; d < 3; d++) {
            check(at - 1 + d);
            check(of + d);
        }
    }
    for (uint32_t bits = 0; bits < 0x7f800000; bits += 99991) /* and everywhere else, subnormal floats included */
        check(bits);
}

Test(half, infinity_and_nan)
{
    cr_expect_eq(half_from_float(INFINITY), 0x7c00);
    cr_expect_eq(half_from_float(-INFINITY), 0xfc00);
    cr_expect_eq(half_from_float(65519.996f), 0x7bff);
    cr_expect_eq(half_from_float(65520), 0x7c00);
    cr_expect(isnan(half_to_float(half_from_float(NAN))));
    cr_expect(isnan(half_to_float(half_from_float(float_of(0x7f800001)))), "a NaN whose payload is in the lost bits");
}
