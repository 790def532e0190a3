/*
 * From a decoded picture to a network's input, on the CPU: resize and normalise in one pass.
 *
 * The resize is Pillow's antialiased BILINEAR (Image.resize((w, h), Image.BILINEAR)), which is what people train with. For an
 * output position o of one axis, with scale = in / out and f = max(scale, 1): centre = (o + 0.5) * scale,   weight(i) = max(0,
 * 1 - |i + 0.5 - centre| / f),   normalised to sum 1 over the inputs i within f of the centre. Formula: Pillow,
 * src/libImaging/Resample.c (precompute_coeffs, bilinear_filter). Pillow rounds to 8 bits after each axis; this keeps float, so
 * a channel differs from Pillow's by at most 1/255.
 */
#ifndef BGD_FEED_H
#define BGD_FEED_H

#include "bgdet.h"

struct feed_spec {
    uint32_t width, height;
    float mean[3], std[3]; /* on the scale 0..1 */
};

/* The taps of one axis: output o is the weighted sum of inputs first[o] .. first[o] + count[o] - 1. */
struct feed_axis {
    uint32_t in, out; /* the sizes that the tables are for */
    double extent;    /* of the picture in inputs: in, or less by a part of the last one */
    uint32_t taps;    /* weights per output, the largest count */
    uint32_t *first, *count;
    float *weights; /* (out, taps) */
};

/* Tables and a row of sums, kept between pictures. Zero it before the first use; one per thread. */
struct feed_scratch {
    struct feed_axis x, y;
    float *row; /* (width of the picture, 3) */
    size_t row_size;
};

/*
 * The size of the picture in its decoded pixels. A JPEG of 900 columns decoded at 1/8 has 113, of which the last stands for 4
 * columns only: the picture is 112.5 wide, and taking it for 113 would move what is at its right by 4 of the photo's pixels.
 * (On the 47 real JPEGs of shared/data this alone is 0.5/255 of the mean difference between a reduced and a full
 * decode, 1.3/255.)
 */
void feed_extent(const struct bgd_image *image, double *width, double *height);

/* Writes (value / 255 - mean) / std of the resized picture to `chw` (3, height, width). Fails only for lack of memory. */
int feed_image(const struct bgd_image *image, const struct feed_spec *spec, struct feed_scratch *scratch, float *chw,
               struct bgd_err *err);

void feed_scratch_free(struct feed_scratch *scratch);

#endif
