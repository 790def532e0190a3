/* Eight floats side by side, each as the C library has it alone. */
#include "lanes.h"

#include <criterion/criterion.h>
#include <math.h>

/* In units of the last place of what it should be. */
static double error_of(float value, double expected)
{
    return fabs((double)value - expected) / (nextafterf((float)expected, INFINITY) - (double)(float)expected);
}

Test(lanes, exp_is_within_two_units_of_its_last_place)
{
    double worst = 0;
    for (int i = 0; i < 2000000; i++) { /* all of its range, denser around 0 */
        double t = i / 1000000.0 - 1;
        lanes x, y;
        for (uint32_t k = 0; k < LANES; k++)
            x[k] = (float)(k % 2 ? 87 * t : 87 * t * t * t) + (float)k * 1e-3f;
        y = lanes_exp(x);
        for (uint32_t k = 0; k < LANES; k++)
            worst = fmax(worst, error_of(y[k], exp((double)x[k])));
    }
    cr_expect_leq(worst, 2, "%g", worst);
    cr_expect_gt(worst, 0.5); /* or it is not what was measured */
}

Test(lanes, exp_of_what_is_too_small_is_zero_and_of_what_is_too_large_finite)
{
    lanes y = lanes_exp((lanes){-INFINITY, -88, -87.31f, 0, 88.3f, 89, INFINITY, NAN});
    cr_expect_eq(y[0], 0);
    cr_expect_eq(y[1], 0);
    cr_expect_eq(y[2], 0);
    cr_expect_eq(y[3], 1);
    cr_expect(isfinite(y[4]) && y[4] > 2.2e38f, "%g", (double)y[4]);
    cr_expect_eq(y[5], y[4]);
    cr_expect_eq(y[6], y[4]);
    for (uint32_t i = 0; i < 1000; i++) { /* whatever a NAN carries */
        union {
            uint32_t bits;
            float value;
        } x = {.bits = 0x7fc00000 + i * 4099};
        cr_expect(isnan(lanes_exp((lanes){0} + x.value)[i % LANES]), "0x%x", x.bits);
    }
    cr_expect(isnan(y[7]));
}

Test(lanes, choose_takes_each_lane_by_its_own_mask)
{
    const lanes x = {1, -1, 2, -2, 0, -0.0f, 3, NAN}, zero = {0};
    const lanes y = lanes_choose(x > zero, x, zero);
    static const float expected[LANES] = {1, 0, 2, 0, 0, 0, 3, 0};
    for (uint32_t i = 0; i < LANES; i++)
        cr_expect_eq(y[i], expected[i], "lane %u: %g", i, (double)y[i]);
    cr_expect_eq(lanes_sum(y), 6);
}
