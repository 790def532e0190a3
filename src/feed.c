#include "feed.h"

#include "err.h"

#include <math.h>
#include <stdlib.h>

static void axis_free(struct feed_axis *axis)
{
    free(axis->first);
    free(axis->count);
    free(axis->weights);
    *axis = (struct feed_axis){0};
}

static void fill_taps(struct feed_axis *axis, uint32_t o, double scale, double reach)
{
    double centre = (o + 0.5) * scale, sum = 0;
    double low = centre - reach + 0.5, high = centre + reach + 0.5;
    uint32_t first = low > 0 ? (uint32_t)low : 0;
    uint32_t end = high < axis->in ? (uint32_t)high : axis->in;
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
        fill_taps(axis, o, scale, reach);
    return 0;
}

static int row_prepare(struct feed_scratch *scratch, uint32_t width, struct bgd_err *err)
{
    size_t needed = (size_t)width * 3;
    if (scratch->row_size >= needed)
        return 0;
    float *row = realloc(scratch->row, needed * sizeof *row);
    if (!row)
        return err_set(err, BGD_MEMORY, "out of memory for a row of %u pixels", width);
    scratch->row = row;
    scratch->row_size = needed;
    return 0;
}

/* Output row o before its columns are summed: the rows of the picture under its taps, weighted. The inner loops run over
 * contiguous bytes, which is why rows come first: the compiler turns them into vector code. */
static void sum_rows(const struct bgd_image *image, const struct feed_axis *y, uint32_t o, float *restrict row)
{
    size_t stride = (size_t)image->width * 3;
    const float *weights = y->weights + (size_t)o * y->taps;
    const uint8_t *restrict source = image->rgb + y->first[o] * stride;
    for (size_t i = 0; i < stride; i++)
        row[i] = weights[0] * (float)source[i];
    for (uint32_t k = 1; k < y->count[o]; k++) {
        source += stride;
        float weight = weights[k];
        for (size_t i = 0; i < stride; i++)
            row[i] += weight * (float)source[i];
    }
}

int feed_image(const struct bgd_image *image, const struct feed_spec *spec, struct feed_scratch *scratch, float *chw,
               struct bgd_err *err)
{
    double width, height;
    feed_extent(image, &width, &height);
    if (axis_prepare(&scratch->x, image->width, width, spec->width, err) ||
        axis_prepare(&scratch->y, image->height, height, spec->height, err) || row_prepare(scratch, image->width, err))
        return err->code;
    size_t plane = (size_t)spec->width * spec->height;
    float gain[3], offset[3];
    for (int c = 0; c < 3; c++) {
        gain[c] = 1 / (255 * spec->std[c]);
        offset[c] = -spec->mean[c] / spec->std[c];
    }
    const struct feed_axis *x = &scratch->x;
    for (uint32_t i = 0; i < spec->height; i++) {
        sum_rows(image, &scratch->y, i, scratch->row);
        for (uint32_t j = 0; j < spec->width; j++) {
            const float *weights = x->weights + (size_t)j * x->taps, *pixel = scratch->row + (size_t)x->first[j] * 3;
            float r = 0, g = 0, b = 0;
            for (uint32_t k = 0; k < x->count[j]; k++, pixel += 3) {
                r += weights[k] * pixel[0];
                g += weights[k] * pixel[1];
                b += weights[k] * pixel[2];
            }
            float *out = chw + (size_t)i * spec->width + j;
            out[0] = r * gain[0] + offset[0];
            out[plane] = g * gain[1] + offset[1];
            out[2 * plane] = b * gain[2] + offset[2];
        }
    }
    return 0;
}

void feed_scratch_free(struct feed_scratch *scratch)
{
    axis_free(&scratch->x);
    axis_free(&scratch->y);
    free(scratch->row);
    *scratch = (struct feed_scratch){0};
}
