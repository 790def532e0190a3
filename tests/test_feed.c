/* Resizing, normalising and alpha inversion against Pillow and numpy (fixtures/feed.py). */
#include "bytes.h"
#include "feed.h"
#include "picture_files.h"

#include <math.h>

/* The same picture as feed.py's draw(). */
static struct bgd_image draw(uint32_t width, uint32_t height)
{
    struct bgd_image image = {.rgb = malloc((size_t)width * height * 3), .width = width, .height = height};
    uint8_t *out = image.rgb;
    for (uint64_t y = 0; y < height; y++)
        for (uint64_t x = 0; x < width; x++)
            for (uint64_t c = 0; c < 3; c++)
                *out++ = (uint8_t)((((x * 73856093) ^ (y * 19349663) ^ (c * 83492791)) >> 7 & 127) + 128 * x / width);
    return image;
}

struct golden {
    uint32_t width, height, by, out_width, out_height, kind;
    const uint8_t *values;
};

static bool next_golden(struct bytes *file, struct golden *g)
{
    if (!bytes_u32le(file, &g->width) || !bytes_u32le(file, &g->height) || !bytes_u32le(file, &g->by) ||
        !bytes_u32le(file, &g->out_width) || !bytes_u32le(file, &g->out_height) || !bytes_u32le(file, &g->kind))
        return false;
    uint64_t values = (uint64_t)3 * g->out_width * g->out_height;
    return bytes_take(file, g->kind ? 4 * values : values, &g->values);
}

static struct bgd_image picture_of(const struct golden *g)
{
    struct bgd_image image = draw((g->width + g->by - 1) / g->by, (g->height + g->by - 1) / g->by);
    image.full_width = g->width;
    image.full_height = g->height;
    image.format = g->by > 1 ? BGD_JPEG : BGD_PNG;
    return image;
}

static float *feed(const struct bgd_image *image, const struct feed_spec *spec, struct feed_scratch *scratch)
{
    struct bgd_err err;
    float *chw = malloc((size_t)3 * spec->width * spec->height * sizeof *chw);
    cr_assert_eq(feed_image(image, NULL, spec, scratch, chw, &err), 0);
    return chw;
}

/* The bound is Pillow's two roundings to 8 bits, 0.5 each, and floats. */
static double from_pillow(const struct golden *g, const float *chw)
{
    double worst = 0;
    size_t plane = (size_t)g->out_width * g->out_height;
    for (size_t i = 0; i < 3 * plane; i++)
        worst = fmax(worst, fabs(255 * (double)chw[i % 3 * plane + i / 3] - g->values[i]));
    return worst;
}

static double from_numpy(const struct golden *g, const float *chw)
{
    double worst = 0;
    for (size_t i = 0; i < (size_t)3 * g->out_width * g->out_height; i++) {
        float value;
        memcpy(&value, g->values + 4 * i, 4);
        worst = fmax(worst, fabs((double)chw[i] - (double)value));
    }
    return worst;
}

static void check_goldens(uint32_t kind, double bound, const struct feed_spec *settings)
{
    struct file file = file_load(BGDET_SOURCE_DIR "/tests/fixtures/feed.bin");
    struct bytes bytes = bytes_of(file.data, file.size);
    struct golden g;
    uint32_t n = 0;
    while (next_golden(&bytes, &g)) {
        if (g.kind != kind)
            continue;
        struct bgd_image image = picture_of(&g);
        struct feed_spec spec = *settings;
        spec.width = g.out_width;
        spec.height = g.out_height;
        struct feed_scratch scratch = {0};
        float *chw = feed(&image, &spec, &scratch);
        double worst = kind ? from_numpy(&g, chw) : from_pillow(&g, chw);
        cr_expect_leq(worst, bound, "%ux%u by %u to %ux%u: %g", g.width, g.height, g.by, g.out_width, g.out_height, worst);
        n++;
        feed_scratch_free(&scratch);
        free(chw);
        bgd_image_free(&image);
    }
    cr_expect_eq(bytes_left(&bytes), 0);
    cr_expect_geq(n, 6);
    free(file.data);
}

static const struct feed_spec plain = {0, 0, 3, {0, 0, 0}, {1, 1, 1}, {0, 0, 0}};
static const struct feed_spec imagenet = {0, 0, 3, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, {0, 0, 0}};

Test(feed, resizes_as_pillow_does)
{
    check_goldens(0, 1.001, &plain);
}

/* Floats: weights, sums and the normalised value, which is at most 2.7, are each right to about 1e-7 of 1. */
Test(feed, normalises_as_numpy_does)
{
    check_goldens(1, 2e-6, &imagenet);
}

Test(feed, gives_the_same_with_used_scratch)
{
    struct file file = file_load(BGDET_SOURCE_DIR "/tests/fixtures/feed.bin");
    struct feed_scratch used = {0};
    for (int round = 0; round < 2; round++) {
        struct bytes bytes = bytes_of(file.data, file.size);
        struct golden g;
        while (next_golden(&bytes, &g)) {
            struct bgd_image image = picture_of(&g);
            struct feed_spec spec = round ? imagenet : plain;
            struct feed_scratch fresh = {0};
            spec.width = g.out_width;
            spec.height = g.out_height;
            float *a = feed(&image, &spec, &fresh), *b = feed(&image, &spec, &used), *c = feed(&image, &spec, &used);
            size_t size = (size_t)3 * g.out_width * g.out_height * sizeof *a;
            cr_expect(memcmp(a, b, size) == 0 && memcmp(a, c, size) == 0, "%ux%u", g.width, g.height);
            free(a);
            free(b);
            free(c);
            feed_scratch_free(&fresh);
            bgd_image_free(&image);
        }
    }
    feed_scratch_free(&used);
    feed_scratch_free(&used);
    free(file.data);
}

Test(feed, knows_how_far_a_reduced_jpeg_reaches)
{
    static const struct {
        uint32_t width, height, full_width, full_height;
        enum bgd_format format;
        double extent_x, extent_y;
    } cases[] = {
        {113, 150, 900, 1200, BGD_JPEG, 112.5, 150},
        {900, 1200, 900, 1200, BGD_JPEG, 900, 1200},
        {225, 300, 899, 1197, BGD_JPEG, 224.75, 299.25},
        {113, 150, 900, 1200, BGD_WEBP, 113, 150}, /* all its pixels are 7.96 columns wide */
        {113, 150, 0, 0, BGD_FORMAT_NONE, 113, 150},
        {113, 150, 0, 0, BGD_JPEG, 113, 150},
        {1, 1, 1, 1, BGD_JPEG, 1, 1},
        {1, 5, 1, 33, BGD_JPEG, 0.125, 4.125},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bgd_image image = {.width = cases[i].width,
                                  .height = cases[i].height,
                                  .full_width = cases[i].full_width,
                                  .full_height = cases[i].full_height,
                                  .format = cases[i].format};
        double x, y;
        feed_extent(&image, &x, &y);
        cr_expect(x == cases[i].extent_x && y == cases[i].extent_y, "case %zu: %g x %g", i, x, y);
    }
}

Test(feed, keeps_a_plain_picture_plain)
{
    for (uint32_t width = 1; width <= 200; width += 13)
        for (uint32_t out = 1; out <= 90; out += 8) {
            struct bgd_image image = {.rgb = malloc((size_t)width * 9 * 3), .width = width, .height = 9};
            memset(image.rgb, 200, (size_t)width * 9 * 3);
            struct feed_scratch scratch = {0};
            struct feed_spec spec = plain;
            spec.width = out;
            spec.height = 11;
            float *chw = feed(&image, &spec, &scratch);
            for (size_t i = 0; i < (size_t)33 * out; i++)
                cr_assert_float_eq(chw[i], 200.f / 255, 2e-6, "%u to %u: %g", width, out, (double)chw[i]);
            free(chw);
            feed_scratch_free(&scratch);
            bgd_image_free(&image);
        }
}

/* ---------------------------------------------------------------- alpha inversion */

struct masked {
    uint32_t width, height, mask_width, mask_height, out_width, out_height;
    const uint8_t *fill, *picture, *alpha, *composite;
};

static bool next_masked(struct bytes *file, struct masked *m)
{
    if (!bytes_u32le(file, &m->width) || !bytes_u32le(file, &m->height) || !bytes_u32le(file, &m->mask_width) ||
        !bytes_u32le(file, &m->mask_height) || !bytes_u32le(file, &m->out_width) || !bytes_u32le(file, &m->out_height))
        return false;
    uint64_t plane = (uint64_t)m->out_width * m->out_height;
    return bytes_take(file, 3, &m->fill) && bytes_take(file, 3 * plane, &m->picture) &&
           bytes_take(file, 4 * plane, &m->alpha) && bytes_take(file, 3 * plane, &m->composite);
}

/* As feed.py's draw_mask(), to be freed. */
static float *draw_mask(uint32_t width, uint32_t height)
{
    float *values = malloc((size_t)width * height * sizeof *values), *out = values;
    for (uint64_t y = 0; y < height; y++)
        for (uint64_t x = 0; x < width; x++)
            *out++ = (float)((((x * 73856093) ^ (y * 19349663)) >> 7 & 127) + (x * 2 > width ? 128 : 0)) / 255;
    return values;
}

static double alpha_of(const struct masked *m, size_t i)
{
    float alpha;
    memcpy(&alpha, m->alpha + 4 * i, 4);
    return (double)alpha;
}

static struct feed_spec spec_of(const struct masked *m, uint32_t channels, const struct feed_spec *settings)
{
    struct feed_spec spec = *settings;
    spec.width = m->out_width;
    spec.height = m->out_height;
    spec.channels = channels;
    for (int c = 0; c < 3; c++)
        spec.fill[c] = (float)m->fill[c] / 255;
    return spec;
}

/* The picture of `m` through feed_image, to be freed. `threshold` as in struct feed_mask. */
static float *feed_masked(const struct masked *m, const struct feed_spec *spec, float threshold, struct feed_scratch *scratch)
{
    struct bgd_image image = draw(m->width, m->height);
    float *values = draw_mask(m->mask_width, m->mask_height);
    const struct feed_mask mask = {values, m->mask_width, m->mask_height, threshold};
    struct bgd_err err;
    float *chw = malloc((size_t)spec->channels * spec->width * spec->height * sizeof *chw);
    cr_assert_eq(feed_image(&image, &mask, spec, scratch, chw, &err), 0);
    free(values);
    bgd_image_free(&image);
    return chw;
}

typedef void (*masked_check)(const struct masked *m, struct feed_scratch *scratch);

/* One scratch for all: its tables must follow the sizes of picture and mask. */
static void each_masked(masked_check check)
{
    struct file file = file_load(BGDET_SOURCE_DIR "/tests/fixtures/feed_masks.bin");
    struct bytes bytes = bytes_of(file.data, file.size);
    struct feed_scratch scratch = {0};
    struct masked m;
    uint32_t n = 0;
    for (; next_masked(&bytes, &m); n++)
        check(&m, &scratch);
    cr_expect_eq(bytes_left(&bytes), 0);
    cr_expect_geq(n, 8);
    feed_scratch_free(&scratch);
    free(file.data);
}

#define SIZES(m) (m)->width, (m)->height, (m)->mask_width, (m)->mask_height, (m)->out_width, (m)->out_height

/* Pillow's rounded picture over the fill colour by Pillow's alpha in mode F: the picture may differ by 1, alpha by floats. */
static void check_composite(const struct masked *m, struct feed_scratch *scratch)
{
    struct feed_spec spec = spec_of(m, 3, &plain);
    float *chw = feed_masked(m, &spec, -1, scratch);
    size_t plane = (size_t)m->out_width * m->out_height;
    double worst = 0, from_composite = 0;
    for (size_t i = 0; i < 3 * plane; i++) {
        double alpha = alpha_of(m, i / 3), value = 255 * (double)chw[i % 3 * plane + i / 3];
        worst = fmax(worst, fabs(value - (m->picture[i] * alpha + m->fill[i % 3] * (1 - alpha))));
        from_composite = fmax(from_composite, fabs(value - m->composite[i]));
    }
    cr_expect_leq(worst, 1.001, "%ux%u by %ux%u to %ux%u: %g", SIZES(m), worst);
    /* Image.composite takes a mask of 8 bits, rounded twice, and rounds once more. */
    cr_expect_leq(from_composite, 2, "%ux%u by %ux%u to %ux%u: %g from Image.composite", SIZES(m), from_composite);
    free(chw);
}

Test(feed, puts_what_is_not_object_on_the_fill_colour_as_pillow_does)
{
    each_masked(check_composite);
}

static void check_four_channels(const struct masked *m, struct feed_scratch *scratch)
{
    struct feed_spec four = spec_of(m, 4, &imagenet), three = spec_of(m, 3, &imagenet);
    struct feed_scratch fresh = {0};
    struct bgd_image image = draw(m->width, m->height);
    float *chw = feed_masked(m, &four, -1, scratch), *bare = feed(&image, &three, &fresh);
    size_t plane = (size_t)m->out_width * m->out_height;
    cr_expect_arr_eq(chw, bare, 3 * plane * sizeof *bare, "%ux%u by %ux%u to %ux%u: a mask changes rgb", SIZES(m));
    double worst = 0;
    for (size_t i = 0; i < plane; i++)
        worst = fmax(worst, fabs((double)chw[3 * plane + i] - alpha_of(m, i)));
    cr_expect_leq(worst, 2e-6, "%ux%u by %ux%u to %ux%u: alpha is %g off", SIZES(m), worst);
    free(chw);
    free(bare);
    feed_scratch_free(&fresh);
    bgd_image_free(&image);
}

Test(feed, gives_four_channels_the_picture_untouched_and_alpha)
{
    each_masked(check_four_channels);
}

static void check_normalised(const struct masked *m, struct feed_scratch *scratch)
{
    struct feed_spec raw = spec_of(m, 3, &plain), spec = spec_of(m, 3, &imagenet);
    float *a = feed_masked(m, &raw, -1, scratch), *b = feed_masked(m, &spec, -1, scratch);
    size_t plane = (size_t)m->out_width * m->out_height;
    double worst = 0;
    for (size_t i = 0; i < 3 * plane; i++)
        worst = fmax(worst, fabs(((double)a[i] - (double)spec.mean[i / plane]) / (double)spec.std[i / plane] - (double)b[i]));
    cr_expect_leq(worst, 2e-6, "%ux%u by %ux%u to %ux%u: the fill colour is not normalised: %g", SIZES(m), worst);
    free(a);
    free(b);
}

Test(feed, normalises_after_compositing)
{
    each_masked(check_normalised);
}

static void check_threshold(const struct masked *m, struct feed_scratch *scratch)
{
    struct feed_spec four = spec_of(m, 4, &plain), three = spec_of(m, 3, &plain);
    struct feed_scratch fresh = {0};
    struct bgd_image image = draw(m->width, m->height);
    float *alpha = feed_masked(m, &four, 0.5f, scratch), *cut = feed_masked(m, &three, 0.5f, scratch);
    float *bare = feed(&image, &three, &fresh);
    size_t plane = (size_t)m->out_width * m->out_height, wrong = 0, cut_wrong = 0;
    for (size_t i = 0; i < plane; i++) {
        bool object = alpha[3 * plane + i] == 0;
        wrong += alpha[3 * plane + i] != 0 && alpha[3 * plane + i] != 1;
        wrong += fabs(alpha_of(m, i) - 0.5) > 1e-5 && object != (alpha_of(m, i) < 0.5);
        for (size_t c = 0; c < 3; c++)
            cut_wrong += cut[c * plane + i] != (object ? three.fill[c] : bare[c * plane + i]);
    }
    cr_expect_eq(wrong, 0, "%ux%u by %ux%u to %ux%u: %zu alphas", SIZES(m), wrong);
    cr_expect_eq(cut_wrong, 0, "%ux%u by %ux%u to %ux%u: %zu values", SIZES(m), cut_wrong);
    free(alpha);
    free(cut);
    free(bare);
    feed_scratch_free(&fresh);
    bgd_image_free(&image);
}

Test(feed, cuts_hard_after_resizing_the_mask)
{
    each_masked(check_threshold);
}

/* From the number on a pixel is object, the number itself included; and a mask of one pixel is everywhere. */
Test(feed, takes_the_threshold_itself_for_object)
{
    static const float around[] = {0.49999997f, 0.5f, 0.50000006f};
    struct bgd_image image = draw(7, 5);
    struct feed_scratch scratch = {0};
    struct feed_spec spec = {.width = 4, .height = 3, .channels = 4, .std = {1, 1, 1}};
    float chw[4 * 12];
    struct bgd_err err;
    for (int i = 0; i < 3; i++) {
        const struct feed_mask mask = {&around[i], 1, 1, 0.5f};
        cr_assert_eq(feed_image(&image, &mask, &spec, &scratch, chw, &err), 0);
        for (int k = 36; k < 48; k++)
            cr_expect_eq(chw[k], i == 0 ? 1 : 0, "P(object) = %.8f", (double)around[i]);
    }
    feed_scratch_free(&scratch);
    bgd_image_free(&image);
}

static void check_shrink(const struct masked *m, struct feed_scratch *scratch)
{
    static struct bgd_image thumbnail; /* its memory serves all */
    struct bgd_image image = draw(m->width, m->height);
    struct bgd_err err;
    thumbnail.format = BGD_JPEG;
    thumbnail.full_width = 8 * m->out_width;
    cr_assert_eq(feed_shrink(&image, m->out_width, m->out_height, scratch, &thumbnail, &err), 0);
    cr_expect(thumbnail.width == m->out_width && thumbnail.height == m->out_height);
    cr_expect(thumbnail.full_width == m->out_width && thumbnail.full_height == m->out_height);
    cr_expect_eq(thumbnail.format, BGD_FORMAT_NONE);
    double x, y;
    feed_extent(&thumbnail, &x, &y);
    cr_expect(x == m->out_width && y == m->out_height, "the thumbnail is taken for a reduced JPEG: %g x %g", x, y);
    int worst = 0;
    for (size_t i = 0; i < (size_t)3 * m->out_width * m->out_height; i++)
        worst = abs(thumbnail.rgb[i] - m->picture[i]) > worst ? abs(thumbnail.rgb[i] - m->picture[i]) : worst;
    cr_expect_leq(worst, 1, "%ux%u by %ux%u to %ux%u: %d", SIZES(m), worst);
    bgd_image_free(&image);
    if (m->width == 1) /* the last */
        bgd_image_free(&thumbnail);
}

Test(feed, shrinks_to_a_thumbnail_as_pillow_does)
{
    each_masked(check_shrink);
}

/* The extremes of 8 bits, whose sums of weights may exceed 1 by an ulp. */
Test(feed, shrinks_white_to_white_and_black_to_black)
{
    struct feed_scratch scratch = {0};
    struct bgd_image thumbnail = {0};
    struct bgd_err err;
    for (uint32_t width = 1; width < 200; width += 11)
        for (int value = 0; value < 256; value += 255) {
            struct bgd_image image = {.rgb = malloc((size_t)width * 9 * 3), .width = width, .height = 9};
            memset(image.rgb, value, (size_t)width * 9 * 3);
            cr_assert_eq(feed_shrink(&image, 30, 40, &scratch, &thumbnail, &err), 0);
            for (size_t i = 0; i < 3600; i++)
                cr_assert_eq(thumbnail.rgb[i], value, "%u columns", width);
            bgd_image_free(&image);
        }
    bgd_image_free(&thumbnail);
    feed_scratch_free(&scratch);
}
