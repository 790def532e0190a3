#include "jpeg_mean.h"

#include <string.h>

const uint8_t jpeg_mean_place[64] = {0,  1,  5,  25, 6,  25, 2,  25, 25, 10, 25, 11, 25, 7,  25, 3,  25, 25, 25, 25, 15, 25,
                                     16, 25, 12, 25, 8,  25, 4,  25, 25, 25, 25, 25, 25, 20, 21, 25, 17, 25, 13, 25, 9,  25,
                                     25, 25, 25, 25, 25, 22, 25, 18, 25, 14, 25, 25, 25, 25, 23, 25, 19, 25, 25, 24};

/*
 * The mean of the first four samples of an 8-point inverse transform, and that of the last four: the DC coefficient and, with
 * opposite signs, the odd ones, each times sqrt(2) (cos a + cos 3a + cos 5a + cos 7a), a = k pi / 16; those of the even ones are
 * zero. Twice that in fixed point of 13 bits, as libjpeg has it, whose first pass (columns) keeps 2 bits more.
 */
const int32_t jpeg_mean_factors[6] = {1 << 15, 29692, -10426, 6967, -5906, 0};

/* As JPEG_MEAN_MAX, of a column. */
#define COLUMN_MAX 16383

static bool is_beyond(int32_t value, int32_t bound)
{
    return value < -bound || value > bound;
}

/* False if the mean is beyond what all variants clamp alike. */
static bool put_mean(int32_t mean, uint8_t *out)
{
    int32_t value = mean + 128;
    *out = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    return mean >= -512 && mean < 512;
}

bool jpeg_mean_quarters(const struct jpeg_mean_sums *sums, uint8_t out[4])
{
    int32_t halves[2][5]; /* of each column */
    bool agreed = true;
    for (int i = 0; i < 5; i++) {
        halves[0][i] = (sums->even[i] + sums->odd[i] + (1 << 12)) >> 13;
        halves[1][i] = (sums->even[i] - sums->odd[i] + (1 << 12)) >> 13;
        agreed &= !is_beyond(halves[0][i], COLUMN_MAX);
        agreed &= !is_beyond(halves[1][i], COLUMN_MAX);
    }
    if (!agreed)
        return false;
    for (int row = 0; row < 2; row++, out += 2) {
        const int32_t *c = halves[row];
        int32_t even = c[0] * jpeg_mean_factors[0] + (1 << 19);
        int32_t odd = c[1] * jpeg_mean_factors[1] + c[2] * jpeg_mean_factors[2] + c[3] * jpeg_mean_factors[3] +
                      c[4] * jpeg_mean_factors[4];
        agreed &= put_mean((even + odd) >> 20, out);
        agreed &= put_mean((even - odd) >> 20, out + 1);
    }
    return agreed;
}

bool jpeg_mean_plain(int32_t value, uint8_t out[4])
{
    bool agreed = put_mean((value + 4) >> 3, out);
    memset(out + 1, out[0], 3);
    return agreed;
}
