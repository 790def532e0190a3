/* What a block of a JPEG shows at 1/8: the mean of its pixels, or those of its four quarters. */
#ifndef BGD_JPEG_MEAN_H
#define BGD_JPEG_MEAN_H

#include <stdbool.h>
#include <stdint.h>

/* Of a block whose DC coefficient times its step is `value`. */
static inline uint8_t jpeg_mean(int32_t value)
{
    int32_t mean = ((((value + 4) >> 3) & 1023) ^ 512) - 512 + 128; /* libjpeg wraps what is far beyond white */
    return (uint8_t)(mean < 0 ? 0 : mean > 255 ? 255 : mean);
}

/*
 * The quarters' means depend on 25 of a block's 64 coefficients, those of the rows and columns 0, 1, 3, 5, 7; the waves of all
 * others are zero in the mean. Their places are those of a (5, 5) table, so the DC coefficient's is 0.
 */
#define JPEG_MEAN_UNUSED 25 /* the place of all others */
#define JPEG_MEAN_PLACES 26

extern const uint8_t jpeg_mean_place[64]; /* of coefficients in zigzag order (T.81, figure A.6) */

extern const int32_t jpeg_mean_factors[6]; /* of the rows' shares, and of what is not used: 0 */

/* Of 8-bit pixels no coefficient is beyond 2,048 (by rounding, a few more). With this bound all sums fit in 32 bits. */
#define JPEG_MEAN_MAX 8191

/* Of each of the five columns of a block: the DC coefficient's share of the column's halves, and what the others add to the upper
 * half and take from the lower. Zero it before a block. */
struct jpeg_mean_sums {
    int32_t even[5], odd[5];
};

/* Adds the coefficient `value` that was divided by `step`. False if it is so large that the library's own variants (C, SIMD)
 * differ; then nothing is added. */
static inline bool jpeg_mean_add(struct jpeg_mean_sums *sums, uint32_t place, int32_t value, uint16_t step)
{
    int32_t coefficient = value * step;
    if (coefficient < -JPEG_MEAN_MAX || coefficient > JPEG_MEAN_MAX)
        return false;
    uint32_t row = place / 5, column = place % 5;
    if (row == 0)
        sums->even[column] = coefficient * jpeg_mean_factors[0];
    else
        sums->odd[column] += coefficient * jpeg_mean_factors[row];
    return true;
}

/* The means of the upper left, upper right, lower left and lower right quarter, by the arithmetic of libjpeg's reduced transform.
 * False as above. */
bool jpeg_mean_quarters(const struct jpeg_mean_sums *sums, uint8_t out[4]);

/* The same of a block of which the DC coefficient alone, times its step `value`, is not zero. */
bool jpeg_mean_plain(int32_t value, uint8_t out[4]);

#endif
