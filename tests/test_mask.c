/* Masks at a picture's own size, against the bilinear that PyTorch calls align_corners=False. */
#include "mask.h"
#include "random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

/* The formula as PyTorch documents it, one axis after the other, in double precision. */
static double sample(const float *line, uint32_t stride, uint32_t in, double position)
{
    double floor_at = floor(position), share = position - floor_at;
    double low = fmin(fmax(floor_at, 0), in - 1.0), high = fmin(fmax(floor_at + 1, 0), in - 1.0);
    return (double)line[(size_t)low * stride] * (1 - share) + (double)line[(size_t)high * stride] * share;
}

static double expected(const float *mask, uint32_t width, uint32_t height, uint32_t out_width, uint32_t out_height, uint32_t x,
                       uint32_t y)
{
    float column[512];
    double across = (x + 0.5) * width / out_width - 0.5, down = (y + 0.5) * height / out_height - 0.5;
    for (uint32_t i = 0; i < height; i++)
        column[i] = (float)sample(mask + (size_t)i * width, 1, width, across);
    return 255 * sample(column, 1, height, down);
}

Test(mask, is_bilinear_between_the_centres_of_pixels)
{
    static const uint32_t sizes[][4] = {{3, 4, 9, 12},  {48, 64, 113, 150}, {320, 320, 60, 80}, {1, 1, 7, 5}, {1, 9, 30, 40},
                                        {9, 1, 30, 40}, {7, 5, 1, 1},       {7, 5, 1, 90},      {2, 2, 2, 2}, {60, 80, 61, 79}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint32_t width = sizes[s][0], height = sizes[s][1], out_width = sizes[s][2], out_height = sizes[s][3];
        float *mask = malloc((size_t)width * height * sizeof *mask);
        uint8_t *out = malloc((size_t)out_width * out_height); /* exact: a write too many is AddressSanitizer's to see */
        random_fill(mask, (size_t)width * height, s, 0.5f, 0.5f);
        mask_enlarge(mask, width, height, out, out_width, out_height);
        double worst = 0;
        for (uint32_t y = 0; y < out_height; y++)
            for (uint32_t x = 0; x < out_width; x++)
                worst = fmax(worst,
                             fabs(out[(size_t)y * out_width + x] - expected(mask, width, height, out_width, out_height, x, y)));
        cr_expect_leq(worst, 0.501, "%ux%u to %ux%u: %g", width, height, out_width, out_height, worst);
        free(mask);
        free(out);
    }
}

/* Worked out by hand: columns at 0, 1/4, 3/4 and 1 of the way, rows at 0, 1/2 and 1. */
Test(mask, has_the_numbers_worked_out_by_hand)
{
    static const float mask[] = {0, 1, 0.5f, 0.25f};
    static const uint8_t golden[] = {0, 64, 191, 255, 64, 88, 135, 159, 128, 112, 80, 64};
    uint8_t out[12];
    mask_enlarge(mask, 2, 2, out, 4, 3);
    for (int i = 0; i < 12; i++)
        cr_expect_eq(out[i], golden[i], "place %d: %u, expected %u", i, out[i], golden[i]);
}

Test(mask, of_its_own_size_is_itself)
{
    float mask[256];
    uint8_t out[256];
    for (int i = 0; i < 256; i++)
        mask[i] = (float)i / 255;
    mask_enlarge(mask, 16, 16, out, 16, 16);
    for (int i = 0; i < 256; i++)
        cr_expect_eq(out[i], i);
}

Test(mask, stays_plain_if_it_is)
{
    static const float values[] = {0, 0.2f, 0.5f, 1};
    static const uint8_t bytes[] = {0, 51, 128, 255};
    static uint8_t out[50 * 70];
    for (size_t v = 0; v < 4; v++)
        for (uint32_t in = 1; in < 40; in += 6) {
            float mask[40 * 3];
            for (uint32_t i = 0; i < 3 * in; i++)
                mask[i] = values[v];
            mask_enlarge(mask, in, 3, out, 50, 70);
            for (size_t i = 0; i < sizeof out; i++)
                cr_assert_eq(out[i], bytes[v], "%g from %u columns: %u", (double)values[v], in, out[i]);
        }
}

/* A network's mask may hold anything; UBSan looks at the conversion to bytes. */
Test(mask, brings_any_number_into_range)
{
    static const float values[] = {-1, 2, NAN, INFINITY, -INFINITY, 3.4e38f, -3.4e38f, 0, 1};
    uint8_t out[1];
    for (size_t i = 0; i < 9; i++) {
        mask_enlarge(&values[i], 1, 1, out, 1, 1);
        if (!isinf(values[i])) /* infinity may become either */
            cr_expect_eq(out[0], values[i] >= 1 ? 255 : 0, "%g: %u", (double)values[i], out[0]);
    }
    static uint8_t many[40 * 30];
    mask_enlarge(values, 3, 3, many, 40, 30);
    mask_enlarge(values, 9, 1, many, 40, 30);
    mask_enlarge(values, 1, 9, many, 30, 40);
}
