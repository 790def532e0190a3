/*
 * From a decoded picture to a network's input, on the CPU: resize, normalise and, with a mask, alpha inversion in one pass.
 *
 * The resize is Pillow's antialiased BILINEAR (Image.resize((w, h), Image.BILINEAR)), which is what people train with. For
 * an output position o of one axis, with scale = in / out and f = max(scale, 1):
 *
 *     centre = (o + 0.5) * scale
 *     weight(i) = max(0, 1 - |i + 0.5 - centre| / f), normalised to sum 1 over the inputs i within f of the centre
 *
 * Formula: Pillow, src/libImaging/Resample.c (precompute_coeffs, bilinear_filter). Pillow rounds to 8 bits after each axis;
 * this keeps float, so a channel differs from Pillow's by at most 1/255.
 *
 * Alpha inversion: the mask says where the object is, so alpha = 1 - mask is what is left of the card, its background. A
 * network of three channels sees it on the fill colour, rgb * alpha + fill * (1 - alpha); one of four sees rgb and alpha.
 */
#ifndef BGD_FEED_H
#define BGD_FEED_H

#include "bgdet.h"

struct feed_spec {
    uint32_t width, height;
    uint32_t channels;     /* 3, or 4: the last is alpha, 0..1, not normalised */
    float mean[3], std[3]; /* on the scale 0..1 */
    float fill[3];         /* what stands where the object was, 0..1 */
};

/* Where the object is, of any size: it is resized to the network's like the picture. */
struct feed_mask {
    const float *values; /* (height, width): P(object), 0..1 */
    uint32_t width, height;
    float threshold; /* resized values from it on are 1, all others 0; negative: they stay as they are */
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
    struct feed_axis x, y, mask_x, mask_y;
    float *row; /* (width of the picture, 3), and after it (width of the mask) */
    size_t row_size;
};

/*
 * The size of the picture in its decoded pixels. A JPEG of 900 columns decoded at 1/8 has 113, of which the last stands for 4
 * columns only: the picture is 112.5 wide, and taking it for 113 would move what is at its right by 4 of the photo's pixels.
 * (On 47 real JPEGs this alone is 0.5/255 of the mean difference between a reduced and a full
 * decode, 1.3/255.)
 */
void feed_extent(const struct bgd_image *image, double *width, double *height);

/*
 * The inputs under the taps of output o, of an axis of `in` inputs that is `extent` of them long: *first .. *end - 1. *reach is
 * the f and *centre the centre of the formula above.
 */
void feed_taps(uint32_t in, double extent, uint32_t out, uint32_t o, double *centre, double *reach, uint32_t *first,
               uint32_t *end);

/*
 * Writes (value / 255 - mean) / std of the resized picture, with its object inverted away if there is a `mask` (NULL: none),
 * to `chw` (channels, height, width). Four channels need a mask. BGD_MEMORY, or BGD_DAMAGED for a
 * mask that is not finite, which a model with damaged weights may compute.
 */
int feed_image(const struct bgd_image *image, const struct feed_mask *mask, const struct feed_spec *spec,
               struct feed_scratch *scratch, float *chw, struct bgd_err *err);

/* The picture at width x height in 8 bits, rounded once (at most 1 from Pillow, which rounds after each axis): a thumbnail that later stages take for the card. */
int feed_shrink(const struct bgd_image *image, uint32_t width, uint32_t height, struct feed_scratch *scratch,
                struct bgd_image *thumbnail, struct bgd_err *err);

void feed_scratch_free(struct feed_scratch *scratch);

#endif
