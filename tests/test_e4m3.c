/* E4M3 against doubles. */
#include "e4m3.h"

#include <criterion/criterion.h>
#include <math.h>

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The value of an E4M3 by its definition: arXiv 2209.05433, table 1. */
static double e4m3_value(uint8_t e4m3)
{
    int exponent = e4m3 >> 3 & 15, mantissa = e4m3 & 7;
    double magnitude = exponent == 0                     ? ldexp(mantissa, -9)
                       : exponent == 15 && mantissa == 7 ? NAN
                                                         : ldexp(8 + mantissa, exponent - 10);
    return e4m3 & 0x80 ? -magnitude : magnitude;
}

Test(e4m3, the_papers_own_examples)
{
    cr_expect_eq(e4m3_to_float(0x7e), 448.0f, "S.1111.110 is the largest: 1.75 * 2^8");
    cr_expect_eq(e4m3_to_float(0x08), 0x1p-6f, "S.0001.000 is the smallest normal number");
    cr_expect_eq(e4m3_to_float(0x07), 0.875f * 0x1p-6f, "S.0000.111 is the largest subnormal");
    cr_expect_eq(e4m3_to_float(0x01), 0x1p-9f, "S.0000.001 is the smallest");
    cr_expect_eq(e4m3_to_float(0x38), 1.0f);
}

Test(e4m3, every_one_has_its_value_and_comes_back)
{
    for (uint32_t i = 0; i < 256; i++) {
        float value = e4m3_to_float((uint8_t)i);
        double expected = e4m3_value((uint8_t)i);
        if (isnan(expected)) {
            cr_assert(isnan(value), "0x%02x", i);
            cr_assert(isnan(e4m3_to_float(e4m3_from_float(value))), "0x%02x", i);
        } else {
            cr_assert_eq((double)value, expected, "0x%02x is %g", i, (double)value);
            cr_assert_eq(!!signbit(value), i >> 7, "0x%02x", i);
            cr_assert_eq(e4m3_from_float(value), i, "0x%02x comes back as 0x%02x", i, e4m3_from_float(value));
        }
    }
}

/* The nearest by search: of the two around it the nearer one, of two equally near the even one. */
static uint8_t nearest(double value)
{
    uint8_t low = 0;
    while (low < 0x7e && e4m3_value((uint8_t)(low + 1)) <= value)
        low++;
    if (low == 0x7e)
        return low;
    double middle = (e4m3_value(low) + e4m3_value((uint8_t)(low + 1))) / 2;
    return value < middle || (value == middle && low % 2 == 0) ? low : (uint8_t)(low + 1);
}

static void check(uint32_t bits)
{
    float value = float_of(bits & 0x7fffffff);
    uint8_t expected = nearest((double)value), got = e4m3_from_float(value);
    cr_assert_eq(got, expected, "%a gives 0x%02x, expected 0x%02x", (double)value, got, expected);
    cr_assert_eq(e4m3_from_float(-value), expected | 0x80, "%a", (double)-value);
}

Test(e4m3, rounds_to_the_nearest_and_ties_to_even)
{
    for (uint32_t i = 0; i < 0x7e; i++) { /* around every one, and around the middle between it and the next */
        float middle = (float)((e4m3_value((uint8_t)i) + e4m3_value((uint8_t)(i + 1))) / 2), self = e4m3_to_float((uint8_t)i);
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

Test(e4m3, saturates)
{
    cr_expect_eq(e4m3_from_float(448.1f), 0x7e);
    cr_expect_eq(e4m3_from_float(-1e30f), 0xfe);
    cr_expect_eq(e4m3_from_float(INFINITY), 0x7e);
    cr_expect_eq(e4m3_from_float(-INFINITY), 0xfe);
    cr_expect(isnan(e4m3_to_float(e4m3_from_float(NAN))));
    cr_expect(isnan(e4m3_to_float(e4m3_from_float(float_of(0x7f800001)))), "a NaN whose payload is in the lost bits");
}
