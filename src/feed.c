#include "feed.h"

#include "err.h"
#include "lanes.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

static void axis_free(struct feed_axis *axis)
{
    free(axis->first);
    free(axis->count);
    free(axis->weights);
    *axis = (struct feed_axis){0};
}

void feed_taps(uint32_t in, double extent, uint32_t out, uint32_t o, double *centre, double *reach, uint32_t *first,
               uint32_t *end)
{
    double scale = extent / out;
    *reach = scale > 1 ? scale : 1;
    *centre = (o + 0.5) * scale;
    double low = *centre - *reach + 0.5, high = *centre + *reach + 0.5;
    *first = low > 0 ? (uint32_t)low : 0;
    *end = high < in ? (uint32_t)high : in;
}

static void fill_taps(struct feed_axis *axis, uint32_t o)
{
    double centre, reach, sum = 0;
    uint32_t first, end;
    feed_taps(axis->in, axis->extent, axis->out, o, &centre, &reach, &first, &end);
    float *weights = axis->weights + (size_t)o * axis->taps;
    for (uint32_t i = first; i < end; i++) {
        double weight = 1 - fabs((i + 0.5 - centre) / reach);
        weights[i - first] = weight > 0 ? (float)weight : 0;
        sum += (double)weights[i - first];
    }
    for (uint32_t i = first; i < end; i++)
        weights[i - first] = (float)((double)weights[i - first] / sum);
    axis->first[o] = first;
    axis->count[o] = end - first;
}

void feed_extent(const struct bgd_image *image, double *width, double *height)
{
    *width = image->width;
    *height = image->height;
    if (image->format != BGD_JPEG) /* libwebp's reduced pixels are all of one size */
        return;
    for (uint32_t by = 1; by <= 8; by *= 2)
        if ((image->full_width + by - 1) / by == image->width && (image->full_height + by - 1) / by == image->height) {
            *width = (double)image->full_width / by;
            *height = (double)image->full_height / by;
            return;
        }
}

/* Makes the tables for in -> out, unless they are there from the last picture. */
static int axis_prepare(struct feed_axis *axis, uint32_t in, double extent, uint32_t out, struct bgd_err *err)
{
    if (axis->in == in && axis->extent == extent && axis->out == out)
        return 0;
    axis_free(axis);
    double scale = extent / out, reach = scale > 1 ? scale : 1;
    axis->taps = (uint32_t)ceil(reach) * 2 + 1;
    axis->first = calloc(out, sizeof *axis->first);
    axis->count = calloc(out, sizeof *axis->count);
    axis->weights = calloc((size_t)out * axis->taps, sizeof *axis->weights);
    if (!axis->first || !axis->count || !axis->weights) {
        axis_free(axis);
        return err_set(err, BGD_MEMORY, "out of memory resizing from %u to %u", in, out);
    }
    axis->in = in;
    axis->extent = extent;
    axis->out = out;
    for (uint32_t o = 0; o < out; o++)
        fill_taps(axis, o);
    return 0;
}

static int row_prepare(struct feed_scratch *scratch, uint32_t width, uint32_t mask_width, struct bgd_err *err)
{
    size_t needed = (size_t)width * 3 + 1 + mask_width; /* as sum_rows leaves them */
    if (scratch->row_size >= needed)
        return 0;
    float *row = realloc(scratch->row, needed * sizeof *row);
    if (!row)
        return err_set(err, BGD_MEMORY, "out of memory for a row of %u pixels", width);
    scratch->row = row;
    scratch->row_size = needed;
    return 0;
}

static int image_prepare(struct feed_scratch *scratch, const struct bgd_image *image, uint32_t width, uint32_t height,
                         uint32_t mask_width, struct bgd_err *err)
{
    double extent_x, extent_y;
    feed_extent(image, &extent_x, &extent_y);
    if (axis_prepare(&scratch->x, image->width, extent_x, width, err) ||
        axis_prepare(&scratch->y, image->height, extent_y, height, err))
        return err->code;
    return row_prepare(scratch, image->width, mask_width, err);
}

/* Output row o before its columns are summed: the rows of the picture under its taps, weighted. The inner loops run over
 * contiguous bytes, which is why rows come first: the compiler turns them into vector code. */
LANES_CLONES static void sum_rows(const struct bgd_image *image, const struct feed_axis *y, uint32_t o, float *restrict row)
{
    size_t stride = (size_t)image->width * 3;
    const float *weights = y->weights + (size_t)o * y->taps;
    const uint8_t *restrict source = image->rgb + y->first[o] * stride;
    for (size_t i = 0; i < stride; i++)
        row[i] = weights[0] * (float)source[i];
    uint32_t k = 1;
    for (; k + 4 <= y->count[o]; k += 4) { /* one look at the sums for four rows */
        const uint8_t *restrict a = source + k * stride, *restrict b = a + stride, *restrict c = b + stride,
                                *restrict d = c + stride;
        float u = weights[k], v = weights[k + 1], w = weights[k + 2], x = weights[k + 3];
        for (size_t i = 0; i < stride; i++)
            row[i] = row[i] + u * (float)a[i] + v * (float)b[i] + w * (float)c[i] + x * (float)d[i];
    }
    for (; k < y->count[o]; k++)
        for (size_t i = 0; i < stride; i++)
            row[i] += weights[k] * (float)source[k * stride + i];
    row[stride] = 0; /* loaded with the last pixel */
}

/* A pixel's colours, and one float more. */
typedef float pixel __attribute__((vector_size(4 * sizeof(float))));

/* The weighted pixel under the taps of output column o. */
static inline pixel sum_columns(const struct feed_axis *x, uint32_t o, const float *row)
{
    const float *weights = x->weights + (size_t)o * x->taps;
    pixel sum = {0}, next;
    row += (size_t)x->first[o] * 3;
    for (uint32_t k = 0; k < x->count[o]; k++, row += 3) {
        memcpy(&next, row, sizeof next);
        sum += weights[k] * next;
    }
    return sum;
}

/* False if a sum is not finite. */
static bool sum_mask_rows(const struct feed_mask *mask, const struct feed_axis *y, uint32_t o, float *restrict row)
{
    const float *weights = y->weights + (size_t)o * y->taps;
    const float *restrict source = mask->values + (size_t)y->first[o] * mask->width;
    for (uint32_t i = 0; i < mask->width; i++)
        row[i] = 0;
    for (uint32_t k = 0; k < y->count[o]; k++, source += mask->width)
        for (uint32_t i = 0; i < mask->width; i++)
            row[i] += weights[k] * source[i];
    float zero = 0;
    for (uint32_t i = 0; i < mask->width; i++)
        zero += 0 * row[i]; /* NAN for a NAN or an infinity */
    return zero == 0;
}

/* 1 - mask at output column o. */
static float inverted(const struct feed_mask *mask, const struct feed_axis *x, uint32_t o, const float *row)
{
    const float *weights = x->weights + (size_t)o * x->taps;
    float object = 0;
    for (uint32_t k = 0; k < x->count[o]; k++)
        object += weights[k] * row[x->first[o] + k];
    if (mask->threshold >= 0)
        object = object >= mask->threshold ? 1 : 0;
    return 1 - object;
}

static pixel colours(const float rgb[3])
{
    return (pixel){rgb[0], rgb[1], rgb[2], 0};
}

int feed_image(const struct bgd_image *image, const struct feed_mask *mask, const struct feed_spec *spec,
               struct feed_scratch *scratch, float *chw, struct bgd_err *err)
{
    assert(spec->channels == 3 || (spec->channels == 4 && mask));
    uint32_t mask_width = mask ? mask->width : 0;
    if (image_prepare(scratch, image, spec->width, spec->height, mask_width, err))
        return err->code;
    if (mask && (axis_prepare(&scratch->mask_x, mask->width, mask->width, spec->width, err) ||
                 axis_prepare(&scratch->mask_y, mask->height, mask->height, spec->height, err)))
        return err->code;
    size_t plane = (size_t)spec->width * spec->height;
    float *mask_row = scratch->row + (size_t)image->width * 3 + 1;
    const pixel mean = colours(spec->mean), std = colours(spec->std) + (pixel){0, 0, 0, 1}, fill = colours(spec->fill);
    for (uint32_t i = 0; i < spec->height; i++) {
        sum_rows(image, &scratch->y, i, scratch->row);
        if (mask && !sum_mask_rows(mask, &scratch->mask_y, i, mask_row)) /* an overflow must not pass for a mask */
            return err_set(err, BGD_DAMAGED, "the segmenter computes a mask that is not finite");
        for (uint32_t j = 0; j < spec->width; j++) {
            float *out = chw + (size_t)i * spec->width + j;
            pixel value = sum_columns(&scratch->x, j, scratch->row) * (1 / 255.0f);
            float alpha = mask ? inverted(mask, &scratch->mask_x, j, mask_row) : 1;
            if (spec->channels == 3 && mask)
                value = value * alpha + fill * (1 - alpha);
            value = (value - mean) / std;
            for (int c = 0; c < 3; c++)
                out[(size_t)c * plane] = value[c];
            if (spec->channels == 4)
                out[3 * plane] = alpha;
        }
    }
    return 0;
}

int feed_shrink(const struct bgd_image *image, uint32_t width, uint32_t height, struct feed_scratch *scratch,
                struct bgd_image *thumbnail, struct bgd_err *err)
{
    size_t size = (size_t)width * height * 3;
    if (image_prepare(scratch, image, width, height, 0, err))
        return err->code;
    if (thumbnail->capacity < size) {
        uint8_t *grown = realloc(thumbnail->rgb, size);
        if (!grown)
            return err_set(err, BGD_MEMORY, "out of memory for %ux%u pixels", width, height);
        thumbnail->rgb = grown;
        thumbnail->capacity = size;
    }
    thumbnail->width = thumbnail->full_width = width;
    thumbnail->height = thumbnail->full_height = height;
    thumbnail->format = BGD_FORMAT_NONE;
    uint8_t *out = thumbnail->rgb;
    for (uint32_t i = 0; i < height; i++) {
        sum_rows(image, &scratch->y, i, scratch->row);
        for (uint32_t j = 0; j < width; j++, out += 3) {
            pixel value = sum_columns(&scratch->x, j, scratch->row) + 0.5f;
            for (int c = 0; c < 3; c++)
                out[c] = (uint8_t)value[c];
        }
    }
    return 0;
}

void feed_scratch_free(struct feed_scratch *scratch)
{
    axis_free(&scratch->x);
    axis_free(&scratch->y);
    axis_free(&scratch->mask_x);
    axis_free(&scratch->mask_y);
    free(scratch->row);
    *scratch = (struct feed_scratch){0};
}
