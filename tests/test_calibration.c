/* What a calibration does to P; how one is found: test_fit.c. */
#include "calibration.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

Test(calibration, keeps_p_to_the_bit_where_there_is_none)
{
    static const float p[] = {0, 0x1p-149f, 0.1f, 0.5f, 0x1.fffffep-1f, 1};
    for (int i = 0; i < 6; i++) {
        float kept = calibration_apply(CALIBRATION_NONE, p[i]);
        cr_expect_eq(memcmp(&kept, &p[i], sizeof kept), 0, "%g became %g", (double)p[i], (double)kept);
    }
}

Test(calibration, is_the_formula)
{
    cr_expect_float_eq(calibration_apply((struct calibration){2, 0}, 0.75f), 0.9f, 1e-6f);         /* odds 3 become 9 */
    cr_expect_float_eq(calibration_apply((struct calibration){0.5f, 0}, 0.9f), 0.75f, 1e-6f);      /* odds 9 become 3 */
    cr_expect_float_eq(calibration_apply((struct calibration){1, logf(2)}, 0.5f), 2.f / 3, 1e-6f); /* odds 1 become 2 */
}

Test(calibration, keeps_the_order_and_stays_within_0_and_1)
{
    static const struct calibration some[] = {{0x1p-10f, 0}, {0x1p-10f, -100}, {0.3f, 2}, {1, 0.1f}, {1024, 100}, {1024, -100}};
    for (size_t c = 0; c < sizeof some / sizeof *some; c++) {
        float before = calibration_apply(some[c], 0);
        for (uint32_t bits = 0; bits <= 0x3f800000; bits += 997) { /* every 997th float of 0..1 */
            float p, after;
            memcpy(&p, &bits, sizeof p);
            after = calibration_apply(some[c], p);
            cr_assert(after >= before && after >= 0 && after <= 1, "at %.9g: %.9g after %.9g", (double)p, (double)after,
                      (double)before);
            before = after;
        }
    }
}
